//! What is done with each mutation, step by step, and what is told of it.

use serde::{Deserialize, Serialize};

use super::anatomy::Place;
use super::commands::CommandLine;
use super::mutation::Kind;

/// Which of a mutation's two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    /// With the digest of the sound file.
    AsIs,
    /// With the digest made right again.
    Resealed,
}

impl Form {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::AsIs => "as it is",
            Self::Resealed => "digest recomputed",
        }
    }
}

/// One thing that is done with a mutation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The library's `verify` of both files.
    Judge,
    /// A command, in the worker's own process.
    Command(Form, usize),
    /// A command, by the program itself.
    Program(Form, usize),
    /// `bbolt check`.
    Bbolt,
}

/// Which mutations get which steps.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) commands: Vec<CommandLine>,
    /// Commands that write run for every so many-th mutation.
    pub(crate) write_every: u64,
    /// So does the program; 0 is never.
    pub(crate) program_every: u64,
    /// So does `bbolt check`; 0 is never.
    pub(crate) bbolt_every: u64,
}

impl Schedule {
    /// What is done with mutation `number`, in order.
    pub(crate) fn steps(&self, number: u64) -> Vec<Step> {
        let due = |every: u64| number.checked_rem(every) == Some(0);
        let mut steps = vec![Step::Judge];
        for channel in [Step::Command as fn(Form, usize) -> Step, Step::Program] {
            if channel(Form::AsIs, 0) == Step::Program(Form::AsIs, 0) && !due(self.program_every) {
                continue;
            }
            for (index, command) in self.commands.iter().enumerate() {
                if command.writes && !due(self.write_every) {
                    continue;
                }
                if command.is_asked_of_unsealed() {
                    steps.push(channel(Form::AsIs, index));
                }
                steps.push(channel(Form::Resealed, index));
            }
        }
        if due(self.bbolt_every) {
            steps.push(Step::Bbolt);
        }
        steps
    }

    /// A step in words.
    pub(crate) fn words(&self, step: Step) -> String {
        let line = |index: usize| self.commands.get(index).map_or_else(String::new, CommandLine::words);
        match step {
            Step::Judge => "the library's verify".to_owned(),
            Step::Command(form, index) => format!("{}, {}", line(index), form.words()),
            Step::Program(form, index) => format!("the program: {}, {}", line(index), form.words()),
            Step::Bbolt => "bbolt check".to_owned(),
        }
    }
}

/// What `verify` says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// Something worse than a note.
    Detected,
    /// Sound, with a note that the undamaged file does not have.
    Noted,
    /// Nothing that it does not say of the undamaged file.
    Unseen,
}

/// What a worker tells, one line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Message {
    /// A mutation was made.
    Case { number: u64, kind: Kind, places: Vec<Place> },
    /// A step was done.
    Done { number: u64, step: usize, came: Came },
}

/// What a step came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Came {
    /// Verdicts on both files; no second one if only the digest was changed.
    Judged { as_is: Verdict, resealed: Option<Verdict>, codes: Vec<String> },
    /// An exit code.
    Answered(u8),
    /// There is no such file of this mutation.
    Nothing,
    /// It panicked, ended by a signal, or with another exit code.
    Crashed(String),
    /// It did not come to an end.
    Hung,
    /// What bbolt had to say against the file; `None` if nothing.
    Bbolt(Option<String>),
}
