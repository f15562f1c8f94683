//! A campaign of mutations against every command.
//!
//! ```console
//! $ cargo run --release --example campaign -- FILE SEED COUNT
//! ```
//!
//! Damages a sound snapshot COUNT times, in ways that follow from SEED, and gives each
//! damaged file to every command, twice: as it is, where its digest gives every change
//! away, and with the digest made right again, where structure and meaning alone must
//! speak. Counts what was detected and what was not, and by what the changed bytes were
//! for. That nothing crashes or hangs, that no change goes unnoticed and nothing is
//! restored while there is a digest, and that nothing is called sound which `bbolt check`
//! objects to, must hold for all: else it ends with exit code 1, and says how to repeat
//! the case.
//!
//! ```text
//! overseer ──starts──▶ workers (this program again): mutation ─▶ commands, in the same process
//!     ▲                  │                                   └─▶ every so often: program, bbolt
//!     └─ a line a step ──┘   a worker that dies or stalls is replaced; its step is the culprit
//! ```

mod anatomy;
mod case;
// The whole of the command line, as the binary has it.
#[path = "../../src/cli/mod.rs"]
#[allow(dead_code)]
mod cli;
mod commands;
mod mutation;
mod outside;
mod overseer;
mod random;
mod tally;
mod worker;

use std::ffi::OsString;
use std::io::{self, Write};
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use case::Schedule;
use worker::Share;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Damages a sound snapshot again and again, and asks every command about it
#[derive(Debug, Parser)]
#[command(name = "campaign")]
struct Command {
    #[command(flatten)]
    arguments: Arguments,
    /// For the processes that it starts: their share
    #[arg(long, hide = true)]
    share: Option<Share>,
}

#[derive(Debug, Clone, clap::Args)]
struct Arguments {
    /// A sound snapshot with its digest
    file: PathBuf,
    /// What the mutations follow from
    seed: u64,
    /// How many mutations
    count: u64,
    /// Processes that work side by side
    #[arg(long, default_value = "2")]
    workers: NonZeroU8,
    /// Seconds until a command counts as hung
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Commands that write a file or a directory run on every so many-th mutation
    #[arg(long, default_value_t = 10)]
    write_every: u64,
    /// The program, which runs every command on every so many-th mutation, too [default: the
    /// `etcdsnap` of the same build, if it is there]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How often; 0 is never
    #[arg(long, default_value_t = 100)]
    binary_every: u64,
    /// bbolt's command-line tool, whose `check` runs on every so many-th mutation, too
    #[arg(long)]
    bbolt: Option<PathBuf>,
    /// How often; 0 is never
    #[arg(long, default_value_t = 10)]
    bbolt_every: u64,
    /// Only this mutation; tells of every step
    #[arg(long)]
    only: Option<u64>,
    /// With --only: a directory for the two damaged files
    #[arg(long, requires = "only")]
    keep: Option<PathBuf>,
    /// Form of the result
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

impl Arguments {
    /// The mutations, from the first up to but without the last.
    fn range(&self) -> (u64, u64) {
        self.only.map_or((0, self.count), |only| (only, only.saturating_add(1)))
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// How long a worker may be silent: it looks after the programs that it starts itself.
    fn patience(&self) -> Duration {
        self.limit() + Duration::from_secs(5)
    }

    /// The program that is run, if any.
    fn program(&self) -> Option<PathBuf> {
        self.binary.clone().or_else(|| {
            let beside = std::env::current_exe().ok()?.parent()?.parent()?.join("etcdsnap");
            beside.is_file().then_some(beside)
        })
    }

    fn schedule(&self) -> Result<Schedule, Failed> {
        // Of a mutation that is looked at alone, all is of interest.
        let every = |every: u64| if self.only.is_some() { 1 } else { every };
        Ok(Schedule {
            commands: commands::commands(&self.file)?,
            write_every: every(self.write_every.max(1)),
            program_every: if self.program().is_some() { every(self.binary_every) } else { 0 },
            bbolt_every: if self.bbolt.is_some() { every(self.bbolt_every) } else { 0 },
        })
    }

    /// The same arguments for a worker.
    fn again(&self) -> Vec<OsString> {
        let mut words = vec![
            self.file.clone().into_os_string(),
            self.seed.to_string().into(),
            self.count.to_string().into(),
            format!("--seconds={}", self.seconds).into(),
            format!("--write-every={}", self.write_every).into(),
            format!("--binary-every={}", self.binary_every).into(),
            format!("--bbolt-every={}", self.bbolt_every).into(),
        ];
        let mut path = |name: &str, path: &Option<PathBuf>| {
            if let Some(path) = path {
                words.extend([name.into(), path.clone().into_os_string()]);
            }
        };
        path("--binary", &self.binary);
        path("--bbolt", &self.bbolt);
        if let Some(only) = self.only {
            words.push(format!("--only={only}").into());
        }
        words
    }
}

fn main() -> ExitCode {
    let Command { arguments, share } = Command::parse();
    let ended = match share {
        Some(share) => worker::work(&arguments, &share).map(|()| true),
        None => campaign(&arguments),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("campaign: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs it all and says whether all is zero that must be.
fn campaign(arguments: &Arguments) -> Result<bool, Failed> {
    let file = std::fs::read(&arguments.file)?;
    let anatomy = anatomy::Anatomy::of(&file).ok_or("FILE is no sound snapshot")?;
    if mutation::sealed(file.get(..anatomy.image).unwrap_or_default()) != file {
        return Err("FILE has no digest, or not the right one".into());
    }
    let schedule = arguments.schedule()?;
    // Where there is one, a directory in memory: nothing of this need outlive a crash.
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
    if let (Some(keep), Some(number)) = (&arguments.keep, arguments.only) {
        let mutant = mutation::mutant(&file, &anatomy, arguments.seed, number);
        std::fs::create_dir_all(keep)?;
        std::fs::write(keep.join("as-is.db"), &mutant.as_is)?;
        if let Some(resealed) = &mutant.resealed {
            std::fs::write(keep.join("resealed.db"), resealed)?;
        }
    }
    let start = Instant::now();
    let tally = overseer::oversee(arguments, &schedule, scratch.path())?;
    let seconds = start.elapsed().as_secs_f64();
    let mut out = io::stdout().lock();
    if arguments.output == "json" {
        serde_json::to_writer_pretty(&mut out, &tally)?;
        writeln!(out)?;
    } else {
        let Arguments { file, seed, write_every, .. } = arguments;
        writeln!(
            out,
            "{}, seed {seed}: {} mutations in {seconds:.0} s, {} command lines on each; those that write on \
             every {write_every}th\n",
            file.display(),
            tally.mutations,
            schedule.commands.len(),
        )?;
        let replay = format!("cargo run --release --example campaign -- {} {seed} 0", file.display());
        tally.text(&mut out, &replay)?;
    }
    Ok(tally.is_clean())
}
