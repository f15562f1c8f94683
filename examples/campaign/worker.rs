//! The process that does the work. If it dies or stalls, nobody but itself is lost.

use std::any::Any;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use clap::Parser;
use etcdsnap::ops::finding::{Findings, Grade};
use etcdsnap::ops::verify::{self, Report};
use etcdsnap::ops::{Progress, Settings};
use etcdsnap::source::Source;

use super::anatomy::Anatomy;
use super::case::{Came, Form, Message, Schedule, Step, Verdict};
use super::mutation::{Mutant, mutant};
use super::{Arguments, cli, commands, outside};

/// What of the campaign a worker does: mutation `first` from its `step` on (what came
/// before was done by a worker that is gone), and each `stride` further, before `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) first: u64,
    pub(crate) step: usize,
    pub(crate) stride: u64,
    pub(crate) end: u64,
    /// A directory of its own.
    pub(crate) scratch: PathBuf,
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { first, step, stride, end, scratch } = self;
        write!(f, "{first}:{step}:{stride}:{end}:{}", scratch.display())
    }
}

impl std::str::FromStr for Share {
    type Err = Failed;

    fn from_str(text: &str) -> Result<Self, Failed> {
        let mut parts = text.splitn(5, ':');
        let mut next = || parts.next().ok_or("a part is missing");
        Ok(Self {
            first: next()?.parse()?,
            step: next()?.parse()?,
            stride: next()?.parse()?,
            end: next()?.parse()?,
            scratch: next()?.into(),
        })
    }
}

/// What was said at the first panic of a command, on whichever thread.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Works on its share and tells of each step on stdout.
pub(crate) fn work(arguments: &Arguments, share: &Share) -> Result<(), Failed> {
    std::panic::set_hook(Box::new(|panic| {
        let mut first = PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        first.get_or_insert_with(|| panic.to_string().replace('\n', " "));
    }));
    let sound = std::fs::read(&arguments.file)?;
    let anatomy = Anatomy::of(&sound).ok_or("FILE cannot be taken apart")?;
    let schedule = arguments.schedule()?;
    let bench = Bench::new(&share.scratch, arguments, &schedule, &sound)?;
    let mut out = io::stdout().lock();
    let mut number = share.first;
    let mut from = share.step;
    while number < share.end {
        let mutant = mutant(&sound, &anatomy, arguments.seed, number);
        bench.place(&mutant)?;
        if from == 0 {
            let places = mutant.places.clone();
            tell(&mut out, &Message::Case { number, kind: mutant.kind, places })?;
        }
        for (step, what) in schedule.steps(number).into_iter().enumerate().skip(from) {
            let came = bench.step(what, &mutant)?;
            tell(&mut out, &Message::Done { number, step, came })?;
        }
        from = 0;
        number += share.stride;
    }
    Ok(())
}

fn tell(out: &mut impl Write, message: &Message) -> Result<(), Failed> {
    serde_json::to_writer(&mut *out, message)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// The worker's place, with the commands parsed once for all mutations.
struct Bench<'b> {
    arguments: &'b Arguments,
    schedule: &'b Schedule,
    scratch: &'b Path,
    out: PathBuf,
    /// For each command, those for both files.
    parsed: Vec<[cli::Cli; 2]>,
    /// What is found in the sound file.
    sound: Report,
}

impl<'b> Bench<'b> {
    fn new(
        scratch: &'b Path,
        arguments: &'b Arguments,
        schedule: &'b Schedule,
        sound: &[u8],
    ) -> Result<Self, Failed> {
        let out = scratch.join("out");
        let parse = |command: &commands::CommandLine, form: Form| {
            let words = command.arguments(&path(scratch, form), &out, Some(1));
            cli::Cli::try_parse_from(std::iter::once("etcdsnap".to_owned()).chain(words))
        };
        let parsed = schedule.commands.iter();
        let parsed = parsed
            .map(|command| Ok([parse(command, Form::AsIs)?, parse(command, Form::Resealed)?]))
            .collect::<Result<_, clap::Error>>()?;
        let sound = judge(sound)?;
        Ok(Self { arguments, schedule, scratch, out, parsed, sound })
    }

    /// Writes the files of a mutation to where the commands look for them.
    fn place(&self, mutant: &Mutant) -> Result<(), Failed> {
        std::fs::write(path(self.scratch, Form::AsIs), &mutant.as_is)?;
        if let Some(resealed) = &mutant.resealed {
            std::fs::write(path(self.scratch, Form::Resealed), resealed)?;
        }
        Ok(())
    }

    fn step(&self, step: Step, mutant: &Mutant) -> Result<Came, Failed> {
        let is_there = |form: Form| form == Form::AsIs || mutant.resealed.is_some();
        match step {
            Step::Command(form, _) | Step::Program(form, _) if !is_there(form) => Ok(Came::Nothing),
            Step::Bbolt if !is_there(Form::Resealed) => Ok(Came::Nothing),
            Step::Judge => Ok(guarded(|| self.judged(mutant)).unwrap_or_else(Came::Crashed)),
            Step::Command(form, index) => {
                let Some(parsed) = self.parsed.get(index) else { return Ok(Came::Nothing) };
                let [as_is, resealed] = parsed;
                let line = if form == Form::AsIs { as_is } else { resealed };
                let came = guarded(|| code(line.answer(io::sink())));
                commands::clear(&self.out)?;
                Ok(came.unwrap_or_else(Came::Crashed))
            }
            Step::Program(form, index) => {
                let (Some(program), Some(command)) =
                    (self.arguments.program(), self.schedule.commands.get(index))
                else {
                    return Ok(Came::Nothing);
                };
                let words = command.arguments(&path(self.scratch, form), &self.out, None);
                let came = outside::program(&program, &words, self.scratch, self.arguments.limit())?;
                commands::clear(&self.out)?;
                Ok(came)
            }
            Step::Bbolt => {
                let Some(bbolt) = &self.arguments.bbolt else { return Ok(Came::Nothing) };
                let file = path(self.scratch, Form::Resealed);
                // That it has no end is an answer, too: before the worker itself is given up.
                Ok(outside::bbolt(bbolt, &file, self.scratch, self.arguments.limit() / 2)?)
            }
        }
    }

    fn judged(&self, mutant: &Mutant) -> Came {
        let verdict = |file: &[u8]| judge(file).ok().map(|report| (self.verdict(&report), report));
        let Some((as_is, _)) = verdict(&mutant.as_is) else { return Came::Crashed("no report".into()) };
        let resealed = mutant.resealed.as_deref().map(verdict);
        match resealed {
            None => Came::Judged { as_is, resealed: None, codes: Vec::new() },
            Some(Some((resealed, report))) => {
                let codes = codes(&report.findings).map(|(code, _)| code.to_owned()).collect();
                Came::Judged { as_is, resealed: Some(resealed), codes }
            }
            Some(None) => Came::Crashed("no report".into()),
        }
    }

    fn verdict(&self, report: &Report) -> Verdict {
        if report.worst() > Some(Grade::Note) {
            Verdict::Detected
        } else if codes(&report.findings).eq(codes(&self.sound.findings)) {
            Verdict::Unseen
        } else {
            Verdict::Noted
        }
    }
}

fn codes(findings: &Findings) -> impl Iterator<Item = (&'static str, u64)> {
    findings.kinds().into_iter().map(|(_, code, _, count, _)| (code, count))
}

fn judge(file: &[u8]) -> Result<Report, Failed> {
    let source = Source::from_bytes("mutant.db", file.to_vec());
    let progress = Progress::default();
    let settings = Settings { threads: std::num::NonZeroUsize::MIN, ..Settings::new(&progress) };
    Ok(verify::verify(&source, &settings, &verify::Options::default())?)
}

fn path(scratch: &Path, form: Form) -> PathBuf {
    scratch.join(match form {
        Form::AsIs => "as-is.db",
        Form::Resealed => "resealed.db",
    })
}

fn code(code: ExitCode) -> Came {
    (0..=2)
        .find(|number| ExitCode::from(*number) == code)
        .map_or_else(|| Came::Crashed(format!("{code:?}")), Came::Answered)
}

/// What `command` comes to, or what was said at its panic.
fn guarded<T>(command: impl FnOnce() -> T) -> Result<T, String> {
    let ended = catch_unwind(AssertUnwindSafe(command));
    let told = PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    match (ended, told) {
        (Ok(came), None) => Ok(came),
        // A thread that panicked, and somebody who did not mind.
        (Ok(_), Some(told)) => Err(told),
        (Err(panic), told) => Err(told.unwrap_or_else(|| words(panic.as_ref()))),
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    panic.downcast_ref::<&str>().map_or_else(|| "a panic without words".to_owned(), |&words| words.to_owned())
}
