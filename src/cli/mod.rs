//! Arguments, dispatch, and how an answer becomes an exit code.

mod changed;
mod commands;
mod decryption;
mod evidence;
mod failure;
mod grammar;
mod input;
mod output;
mod progress;
mod prompt;
mod redaction;
mod refused;
mod selection;
mod switch;
mod wal_words;
mod words;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

use etcdsnap::ops::{Progress, Settings};

use evidence::{Evidence, Witnessed};
use failure::Failure;
use output::terminal;

/// Reads, verifies, lists and restores etcd snapshots, with no etcd running.
///
/// FILE is a snapshot made with `etcdctl snapshot save`, or a copy of a stopped
/// member's db file. It is never written to.
#[derive(Debug, Parser)]
#[command(name = "etcdsnap", version, after_help = EXIT_CODES)]
#[command(disable_help_subcommand = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = GENERAL, display_order = LAST + 3)]
    version: (),
    #[command(subcommand)]
    command: Command,
}

/// Heading of the options that are not one command's own.
pub(crate) const GENERAL: &str = "General options";
/// These come behind all others.
const LAST: usize = 1000;

const EXIT_CODES: &str = "\
Exit codes: 0 yes or done; 1 the answer is no (damage, differences, a key that is not there);
2 it could not be done (usage, permission, a file in use).";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Only the answer: no progress, no notes
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GENERAL, display_order = LAST)]
    quiet: bool,
    /// Also what is usually left out
    #[arg(short, long, global = true, help_heading = GENERAL, display_order = LAST + 1)]
    verbose: bool,
    /// Write a report on the input to a new file: hashes and times before and after,
    /// all findings, the command, the program
    #[arg(long, global = true, value_name = "REPORT", hide_short_help = true, help_heading = GENERAL, display_order = LAST + 1)]
    evidence: Option<PathBuf>,
    /// Print help; -h prints a summary
    #[arg(short, long, global = true, action = ArgAction::Help, help_heading = GENERAL, display_order = LAST + 2)]
    help: (),
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(alias = "check")]
    Verify(commands::verify::Verify),
    Status(commands::status::Status),
    Hashkv(commands::hashkv::Hashkv),
    Members(commands::members::Members),
    Keys(commands::keys::Keys),
    Value(commands::value::Value),
    List(commands::list::List),
    Get(Box<commands::get::Get>),
    ApiResources(commands::api_resources::ApiResources),
    History(Box<commands::history::History>),
    Decode(commands::decode::Decode),
    Export(Box<commands::export::Export>),
    Encryption(commands::encryption::Encryption),
    Carve(Box<commands::carve::Carve>),
    Restore(Box<commands::restore::Restore>),
    Repack(Box<commands::repack::Repack>),
    Pages(commands::pages::Pages),
    Page(commands::page::Page),
    Tree(commands::tree::Tree),
    Salvage(commands::salvage::Salvage),
    Version(commands::version::Version),
    Completion(commands::completion::Completion),
    Man(commands::man::Man),
    /// `snapshot status` and `snapshot restore`, as etcdutl has them
    #[command(hide = true, subcommand)]
    Snapshot(SnapshotCommand),
    /// `member list`, as etcdctl has it
    #[command(hide = true, subcommand)]
    Member(MemberCommand),
}

#[derive(Debug, Subcommand)]
enum SnapshotCommand {
    Status(commands::status::Status),
    Restore(Box<commands::restore::Restore>),
}

#[derive(Debug, Subcommand)]
enum MemberCommand {
    List(commands::members::Members),
}

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Exit code 0.
    Yes,
    /// Exit code 1.
    No,
}

/// What every command works with.
pub(crate) struct Context<'c> {
    global: &'c Global,
    out: &'c mut (dyn Write + Send),
    progress: &'c Progress,
    /// What was written besides the answer: files, and directories with all in them.
    written: Vec<PathBuf>,
    /// What was warned of.
    warnings: Mutex<Vec<String>>,
}

impl<'c> Context<'c> {
    fn settings(&self) -> Settings<'c> {
        Settings::new(self.progress)
    }

    /// Remembers that something was written there.
    fn wrote(&mut self, path: &Path) {
        self.written.push(path.to_owned());
    }

    /// A line for the person at the terminal, not part of the answer.
    fn say(&self, line: impl std::fmt::Display) {
        let line = line.to_string();
        if let Some(text) = line.strip_prefix("warning: ") {
            self.remember(text.to_owned());
        }
        if !self.global.quiet {
            tell(line);
        }
    }

    /// A warning of a trap, which not even `--quiet` hides.
    fn warn(&self, text: &str) {
        self.remember(text.to_owned());
        tell(format_args!("warning: {text}"));
    }

    fn remember(&self, warning: String) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }
}

/// Writes a line to stderr, and for a terminal breaks it where that ends. Whoever does
/// not listen is no reason to fail.
pub(crate) fn tell(line: impl std::fmt::Display) {
    let line = line.to_string();
    // A hint may hold a command to be copied.
    let width = if line.starts_with("  hint: ") { None } else { terminal::width(&io::stderr()) };
    let _ = writeln!(io::stderr(), "{}", terminal::wrapped(&line, width));
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = match grammar::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    etcdsnap::source::install_fault_guard();
    cli.answer(io::stdout())
}

impl Cli {
    /// Does what was typed, with `stdout` for the answer.
    pub(crate) fn answer(&self, stdout: impl Write + Send) -> ExitCode {
        let progress = Progress::default();
        let evidence = self.global.evidence.as_deref();
        let evidence = match evidence.map(|path| Evidence::begin(path, self.command.inputs())).transpose() {
            Ok(evidence) => evidence,
            Err(failure) => return failure.report(),
        };
        let witnessed = Witnessed::new(stdout, evidence.is_some());
        let mut out = BufWriter::with_capacity(1 << 16, witnessed);
        let mut context = Context {
            global: &self.global,
            out: &mut out,
            progress: &progress,
            written: Vec::new(),
            warnings: Mutex::default(),
        };
        let start = Instant::now();
        let result = run(&self.command, &mut context);
        let written = std::mem::take(&mut context.written);
        let warnings = context.warnings.into_inner().unwrap_or_else(PoisonError::into_inner);
        // What was answered so far comes first; a reader that left is no error.
        let flushed = out.flush().map_err(Failure::from);
        let mut result = result.and_then(|outcome| flushed.map(|()| outcome));
        if let Some(evidence) = evidence {
            result = evidence.finish(result, out.get_mut().account(), &written, warnings);
        }
        if self.global.verbose {
            tell(format_args!("took {:.3} s", start.elapsed().as_secs_f64()));
        }
        match result {
            Ok(Outcome::Yes) => ExitCode::SUCCESS,
            Ok(Outcome::No) => ExitCode::from(1),
            Err(failure) => failure.report(),
        }
    }
}

impl Command {
    /// The snapshots that it reads.
    fn inputs(&self) -> Vec<PathBuf> {
        match self {
            Self::Verify(args) => args.inputs(),
            Self::Status(args) | Self::Snapshot(SnapshotCommand::Status(args)) => args.inputs(),
            Self::Hashkv(args) => args.inputs(),
            Self::Members(args) | Self::Member(MemberCommand::List(args)) => args.inputs(),
            Self::Keys(args) => args.inputs(),
            Self::Value(args) => args.inputs(),
            Self::List(args) => args.inputs(),
            Self::Get(args) => args.inputs(),
            Self::ApiResources(args) => args.inputs(),
            Self::Export(args) => args.inputs(),
            Self::History(args) => args.inputs(),
            Self::Encryption(args) => args.inputs(),
            Self::Carve(args) => args.inputs(),
            Self::Repack(args) => args.inputs(),
            Self::Restore(args) | Self::Snapshot(SnapshotCommand::Restore(args)) => args.inputs(),
            Self::Pages(args) => args.inputs(),
            Self::Page(args) => args.inputs(),
            Self::Tree(args) => args.inputs(),
            Self::Salvage(args) => args.inputs(),
            Self::Decode(_) | Self::Version(_) | Self::Completion(_) | Self::Man(_) => Vec::new(),
        }
    }
}

fn run(command: &Command, context: &mut Context<'_>) -> Result<Outcome, Failure> {
    match command {
        Command::Verify(args) => args.run(context),
        Command::Status(args) | Command::Snapshot(SnapshotCommand::Status(args)) => args.run(context),
        Command::Hashkv(args) => args.run(context),
        Command::Members(args) | Command::Member(MemberCommand::List(args)) => args.run(context),
        Command::Keys(args) => args.run(context),
        Command::Value(args) => args.run(context),
        Command::List(args) => args.run(context),
        Command::Get(args) => args.run(context),
        Command::ApiResources(args) => args.run(context),
        Command::History(args) => args.run(context),
        Command::Decode(args) => args.run(context),
        Command::Export(args) => args.run(context),
        Command::Encryption(args) => args.run(context),
        Command::Carve(args) => args.run(context),
        Command::Restore(args) | Command::Snapshot(SnapshotCommand::Restore(args)) => args.run(context),
        Command::Repack(args) => args.run(context),
        Command::Pages(args) => args.run(context),
        Command::Page(args) => args.run(context),
        Command::Tree(args) => args.run(context),
        Command::Salvage(args) => args.run(context),
        Command::Version(args) => args.run(context),
        Command::Completion(args) => args.run(context, &mut Cli::command()),
        Command::Man(args) => args.run(context, &mut Cli::command()),
    }
}
