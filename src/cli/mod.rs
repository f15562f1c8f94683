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
use etcdsnap::source::{Source, Witness};

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
    /// Those who know whether what was opened is still what it was.
    witnesses: Vec<Witness>,
    /// What was written besides the answer: files, and directories with all in them.
    written: Vec<PathBuf>,
    /// What was warned of.
    warnings: Mutex<Vec<String>>,
}

impl<'c> Context<'c> {
    fn settings(&self) -> Settings<'c> {
        Settings::new(self.progress)
    }

    /// Remembers that the answer rests on it.
    fn opened(&mut self, source: &Source) {
        self.witnesses.push(source.witness());
    }

    /// What the command came to. If it failed, and something that it opened is not any more
    /// what it was then, that is the reason: a file that is cut short or written to while it
    /// is read looks damaged, and what to do about damage would be the wrong advice. An
    /// answer stands: who gives one has asked before.
    ///
    /// The change is told in place of everything that may come of what was read, a mistake in
    /// the command line included (that there is no member of that name, say): it will be found
    /// again in a copy of the file. What [stands regardless](Failure::regardless) is told
    /// as it is.
    fn judged<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failure| {
            if failure.is_regardless() {
                return failure;
            }
            let changed = self.witnesses.iter().find_map(|witness| witness.unchanged().err());
            changed.map_or(failure, Failure::from)
        })
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
            tell_line(&line);
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
    tell_line(&line.to_string());
}

fn tell_line(line: &str) {
    // A hint may hold a command to be copied.
    let width = if line.starts_with("  hint: ") { None } else { terminal::width(&io::stderr()) };
    let _ = writeln!(io::stderr(), "{}", terminal::wrapped(line, width));
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
            witnesses: Vec::new(),
            written: Vec::new(),
            warnings: Mutex::default(),
        };
        let start = Instant::now();
        let result = run(&self.command, &mut context);
        let result = context.judged(result);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, OpenOptions};

    use etcdsnap::ops::restore::{RestoreError, TargetError};
    use etcdsnap::ops::whole_file::FileError;
    use etcdsnap::source::SourceError;

    /// Runs `test` with a context, and a snapshot of its own.
    fn with_context<T>(test: impl FnOnce(&mut Context<'_>, &Path) -> T) -> T {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("snap.db");
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/snapshots/etcd-3.6.db");
        std::fs::copy(fixture, &path).expect("copied");
        let global = Global { quiet: true, verbose: false, evidence: None, help: () };
        let (mut out, progress) = (io::sink(), Progress::default());
        let mut context = Context {
            global: &global,
            out: &mut out,
            progress: &progress,
            witnesses: Vec::new(),
            written: Vec::new(),
            warnings: Mutex::default(),
        };
        test(&mut context, &path)
    }

    fn cut(path: &Path) {
        OpenOptions::new().write(true).open(path).expect("opened").set_len(8192).expect("cut");
    }

    /// What a command that fails with `failure` ends with.
    fn told(context: &Context<'_>, failure: impl Into<Failure>) -> (u8, String) {
        let failure = context.judged(Err::<(), _>(failure.into())).expect_err("refused");
        (failure.code(), failure.message().to_owned())
    }

    #[test]
    fn a_file_that_is_cut_short_while_it_is_read_is_not_called_damaged() {
        with_context(|context, path| {
            let source = Source::open(path).expect("opened");
            context.opened(&source);
            drop(source);
            let damaged = || Failure::no("the file is damaged");
            assert_eq!(told(context, damaged()), (1, "the file is damaged".to_owned()));
            cut(path);
            let (code, message) = told(context, damaged());
            assert!(code == 2 && message.contains("changed while it was read"), "{message}");
            assert!(context.judged(Ok(())).is_ok(), "who answers asks itself");
        });
    }

    #[test]
    fn every_command_leaves_a_witness_of_what_it_opens() {
        const COMMANDS: &[&[&str]] = &[
            &["status", "FILE"],
            &["hashkv", "FILE", "FILE"],
            &["members", "FILE"],
            &["keys", "FILE"],
            &["value", "FILE", "KEY"],
            &["list", "FILE"],
            &["get", "FILE", "pods"],
            &["api-resources", "FILE"],
            &["history", "FILE", "/KEY"],
            &["export", "FILE"],
            &["encryption", "FILE"],
            &["carve", "FILE"],
            &["restore", "FILE", "--data-dir", "NEW", "--dry-run"],
            &["repack", "FILE", "NEW", "--dry-run"],
            &["pages", "FILE"],
            &["page", "FILE"],
            &["tree", "FILE"],
            &["salvage", "FILE", "NEW", "--dry-run"],
        ];
        // Those that open nothing, one that ends with each file by itself, and other names.
        const OTHERS: &[&str] = &["decode", "version", "completion", "man", "verify", "snapshot", "member"];
        for command in Cli::command().get_subcommands().map(clap::Command::get_name) {
            let is_tried = COMMANDS.iter().any(|words| words.first() == Some(&command));
            assert!(is_tried != OTHERS.contains(&command), "{command}");
        }
        for words in COMMANDS {
            with_context(|context, path| {
                let new = path.with_extension("new");
                let words = words.iter().map(|word| match *word {
                    "FILE" => path.as_os_str(),
                    "NEW" => new.as_os_str(),
                    word => word.as_ref(),
                });
                let words = std::iter::once("etcdsnap".as_ref()).chain(words);
                let cli = Cli::try_parse_from(words.clone()).expect("a command");
                let _ = run(&cli.command, context);
                let files = words.filter(|word| *word == path.as_os_str()).count();
                assert_eq!(context.witnesses.len(), files, "{cli:?}");
                cut(path);
                let (code, message) = told(context, Failure::no("the file is damaged"));
                assert!(code == 2 && message.contains("changed while it was read"), "{cli:?}: {message}");
            });
        }
    }

    #[test]
    fn what_could_not_be_written_is_told_even_if_the_source_changed() {
        with_context(|context, path| {
            let source = Source::open(path).expect("opened");
            context.opened(&source);
            cut(path);
            let file = || path.to_owned();
            let full = || io::Error::from(io::ErrorKind::StorageFull);
            let target = || TargetError::Io { action: "write", path: file(), error: full() };
            let stand: [Failure; 7] = [
                full().into(),
                FileError::Io { action: "write", path: file(), error: full() }.into(),
                FileError::NoSpace { path: file(), needed: 2, available: 1 }.into(),
                target().into(),
                TargetError::NoSpace { path: file(), needed: 2, available: 1 }.into(),
                RestoreError::NotDurable(target()).into(),
                SourceError::Locked { path: "another".into() }.into(),
            ];
            for failure in stand {
                let message = failure.message().to_owned();
                assert_eq!(told(context, failure), (2, message));
            }
            // Whoever read the output has left.
            assert_eq!(told(context, io::Error::from(io::ErrorKind::BrokenPipe)).0, 0);

            // What could not be written, because it could not be read.
            let write = || {
                let mut copy = File::create(path.with_extension("copy")).expect("made");
                copy.write_all(source.bytes()).expect_err("the rest is lost")
            };
            for failure in [
                Failure::from(write()),
                FileError::Io { action: "write", path: file(), error: write() }.into(),
                RestoreError::Target(TargetError::Io { action: "write", path: file(), error: write() })
                    .into(),
            ] {
                let (code, message) = told(context, failure);
                assert!(code == 2 && message.contains("changed while it was read"), "{message}");
            }
        });
    }
}
