//! Counts, and what must be zero of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde::Serialize;

use super::anatomy::Place;
use super::case::{Came, Form, Message, Schedule, Step, Verdict};
use super::commands::CommandLine;
use super::mutation::Kind;

/// What a campaign came to.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tally {
    pub(crate) mutations: u64,
    /// Commands that were run, each once for a file.
    pub(crate) commands: u64,
    /// Of these, by the program itself.
    pub(crate) programs: u64,
    /// Of the commands, those that ended with exit code 0.
    pub(crate) answered_yes: u64,
    pub(crate) kinds: BTreeMap<Kind, OfKind>,
    /// With the digest recomputed: what `verify` saw, by what the changed bytes were for.
    pub(crate) places: BTreeMap<Place, OfPlace>,
    /// Of these, the unseen ones that changed how a page or a record is made: to be looked
    /// at one by one.
    pub(crate) unseen: Vec<Unseen>,
    pub(crate) bbolt: Comparison,
    /// What must not be, with the mutation that shows it.
    pub(crate) failures: BTreeMap<Wrong, Vec<Failure>>,
    #[serde(skip)]
    cases: BTreeMap<u64, Case>,
}

/// A mutation that `verify` does not see without the digest.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unseen {
    mutation: u64,
    kind: Kind,
    place: Place,
}

/// Mutations of one kind.
#[derive(Debug, Default, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfKind {
    pub(crate) mutations: u64,
    /// By `verify`, with the digest as it is.
    pub(crate) detected_with_digest: u64,
    /// Those that change more than the digest.
    pub(crate) resealed: u64,
    #[serde(flatten)]
    pub(crate) seen: OfPlace,
}

/// How mutations were judged with the digest recomputed.
#[derive(Debug, Default, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OfPlace {
    pub(crate) detected: u64,
    pub(crate) noted: u64,
    pub(crate) unseen: u64,
}

/// What `bbolt check` said of the same files.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comparison {
    pub(crate) checked: u64,
    /// It reported something, crashed, or did not come to an end.
    pub(crate) objected: u64,
    /// Of those, what `verify` detected, too.
    pub(crate) objected_and_detected: u64,
    /// What `verify` detected and bbolt called sound.
    pub(crate) only_verify: u64,
}

/// What must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Wrong {
    Crash,
    Hang,
    UndetectedWithDigest,
    RestoredWithWrongDigest,
    MissedWhatBboltReports,
}

impl Wrong {
    const ALL: [Self; 5] = [
        Self::Crash,
        Self::Hang,
        Self::UndetectedWithDigest,
        Self::RestoredWithWrongDigest,
        Self::MissedWhatBboltReports,
    ];

    fn words(self) -> &'static str {
        match self {
            Self::Crash => "crashes",
            Self::Hang => "hangs",
            Self::UndetectedWithDigest => "changed bytes that verify did not notice, digest present",
            Self::RestoredWithWrongDigest => "restored or repacked in spite of a wrong digest",
            Self::MissedWhatBboltReports => "reported by bbolt check, and sound to verify",
        }
    }
}

/// One thing that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    pub(crate) mutation: u64,
    pub(crate) step: String,
    pub(crate) what: String,
}

/// A mutation under way.
#[derive(Debug, Clone)]
struct Case {
    kind: Kind,
    /// What most hangs on of all that was changed.
    place: Option<Place>,
    resealed: Option<Verdict>,
}

impl OfPlace {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Detected => self.detected += 1,
            Verdict::Noted => self.noted += 1,
            Verdict::Unseen => self.unseen += 1,
        }
    }

    fn add(&mut self, other: Self) {
        self.detected += other.detected;
        self.noted += other.noted;
        self.unseen += other.unseen;
    }

    fn all(self) -> u64 {
        self.detected + self.noted + self.unseen
    }
}

impl Tally {
    /// Takes in what a worker tells.
    pub(crate) fn take(&mut self, schedule: &Schedule, message: &Message) {
        match message {
            Message::Case { number, kind, places } => {
                self.mutations += 1;
                self.kinds.entry(*kind).or_default().mutations += 1;
                let case = Case { kind: *kind, place: places.iter().max().copied(), resealed: None };
                // One worker is at one mutation at a time.
                self.cases.clear();
                self.cases.insert(*number, case);
            }
            Message::Done { number, step, came } => {
                let steps = schedule.steps(*number);
                if let Some(step) = steps.get(*step) {
                    self.done(schedule, *number, *step, came);
                }
            }
        }
    }

    fn done(&mut self, schedule: &Schedule, number: u64, step: Step, came: &Came) {
        let mut wrong = |wrong: Wrong, what: String| {
            let failure = Failure { mutation: number, step: schedule.words(step), what };
            self.failures.entry(wrong).or_default().push(failure);
        };
        if let Step::Command(..) | Step::Program(..) = step
            && *came != Came::Nothing
        {
            self.commands += 1;
            self.programs += u64::from(matches!(step, Step::Program(..)));
            self.answered_yes += u64::from(*came == Came::Answered(0));
        }
        match (came, step) {
            (Came::Crashed(how), _) => wrong(Wrong::Crash, how.clone()),
            (Came::Hung, _) => wrong(Wrong::Hang, "no end within the limit".to_owned()),
            (Came::Answered(0), Step::Command(Form::AsIs, index) | Step::Program(Form::AsIs, index)) => {
                let words = schedule.commands.get(index).map(CommandLine::words).unwrap_or_default();
                // To give sound pages a digest of which a part is missing is what it is for.
                let is_digest_alone = self.cases.get(&number).is_some_and(|case| case.place.is_none());
                match words.split(' ').next() {
                    Some("verify") => wrong(Wrong::UndetectedWithDigest, "exit code 0".to_owned()),
                    Some("repack") if is_digest_alone => {}
                    _ => wrong(Wrong::RestoredWithWrongDigest, "exit code 0".to_owned()),
                }
            }
            (Came::Judged { as_is, resealed, .. }, _) => {
                if *as_is != Verdict::Detected {
                    wrong(Wrong::UndetectedWithDigest, format!("{as_is:?}"));
                }
                self.judged(number, *as_is, *resealed);
            }
            (Came::Bbolt(objection), _) => {
                let seen = self.cases.get(&number).and_then(|case| case.resealed);
                let detected = seen == Some(Verdict::Detected);
                self.bbolt.checked += 1;
                self.bbolt.objected += u64::from(objection.is_some());
                self.bbolt.objected_and_detected += u64::from(objection.is_some() && detected);
                self.bbolt.only_verify += u64::from(objection.is_none() && detected);
                if let (Some(objection), false) = (objection, detected) {
                    wrong(Wrong::MissedWhatBboltReports, objection.clone());
                }
            }
            (Came::Answered(_) | Came::Nothing, _) => {}
        }
    }

    fn judged(&mut self, number: u64, as_is: Verdict, resealed: Option<Verdict>) {
        let Some(case) = self.cases.get_mut(&number) else { return };
        case.resealed = resealed;
        let kind = self.kinds.entry(case.kind).or_default();
        kind.detected_with_digest += u64::from(as_is == Verdict::Detected);
        if let (Some(verdict), Some(place)) = (resealed, case.place) {
            kind.resealed += 1;
            kind.seen.count(verdict);
            self.places.entry(place).or_default().count(verdict);
            let of_form = (Place::RecordField..Place::Meta).contains(&place);
            if verdict == Verdict::Unseen && of_form {
                self.unseen.push(Unseen { mutation: number, kind: case.kind, place });
            }
        }
    }

    /// Both tallies as one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.mutations += other.mutations;
        self.commands += other.commands;
        self.programs += other.programs;
        self.answered_yes += other.answered_yes;
        for (kind, more) in other.kinds {
            let sum = self.kinds.entry(kind).or_default();
            sum.mutations += more.mutations;
            sum.detected_with_digest += more.detected_with_digest;
            sum.resealed += more.resealed;
            sum.seen.add(more.seen);
        }
        for (place, more) in other.places {
            self.places.entry(place).or_default().add(more);
        }
        self.unseen.extend(other.unseen);
        self.bbolt.checked += other.bbolt.checked;
        self.bbolt.objected += other.bbolt.objected;
        self.bbolt.objected_and_detected += other.bbolt.objected_and_detected;
        self.bbolt.only_verify += other.bbolt.only_verify;
        for (wrong, more) in other.failures {
            self.failures.entry(wrong).or_default().extend(more);
        }
        self
    }

    /// Whether all is zero that must be.
    pub(crate) fn is_clean(&self) -> bool {
        self.failures.values().all(Vec::is_empty)
    }

    fn count(&self, wrong: Wrong) -> usize {
        self.failures.get(&wrong).map_or(0, Vec::len)
    }

    /// For people.
    pub(crate) fn text(&self, out: &mut dyn Write, replay: &str) -> io::Result<()> {
        writeln!(out, "{:<28}{:>10}{:>14}   {:^34}", "", "", "with digest", "digest recomputed")?;
        writeln!(
            out,
            "{:<28}{:>10}{:>14}{:>10}{:>10}{:>9}{:>8}",
            "kind", "mutations", "detected", "files", "detected", "noted", "unseen"
        )?;
        let mut sum = OfKind::default();
        let row = |out: &mut dyn Write, name: &str, of: &OfKind| {
            let OfPlace { detected, noted, unseen } = of.seen;
            writeln!(
                out,
                "{name:<28}{:>10}{:>14}{:>10}{detected:>10}{noted:>9}{unseen:>8}",
                of.mutations, of.detected_with_digest, of.resealed
            )
        };
        for kind in Kind::ALL {
            let Some(of) = self.kinds.get(kind) else { continue };
            row(out, kind.words(), of)?;
            sum.mutations += of.mutations;
            sum.detected_with_digest += of.detected_with_digest;
            sum.resealed += of.resealed;
            sum.seen.add(of.seen);
        }
        row(out, "all", &sum)?;
        writeln!(out, "\nwith the digest recomputed, by what the changed bytes were for:")?;
        writeln!(out, "{:<42}{:>8}{:>10}{:>8}{:>8}", "", "files", "detected", "noted", "unseen")?;
        for (place, of) in &self.places {
            let OfPlace { detected, noted, unseen } = of;
            writeln!(out, "{:<42}{:>8}{detected:>10}{noted:>8}{unseen:>8}", place.words(), of.all())?;
        }
        for Unseen { mutation, kind, place } in &self.unseen {
            writeln!(out, "  unseen: mutation {mutation}, {}, {}", kind.words(), place.words())?;
        }
        writeln!(
            out,
            "\ncommands run: {}, of which {} by the program itself; {} ended with 0",
            self.commands, self.programs, self.answered_yes
        )?;
        let Comparison { checked, objected, objected_and_detected, only_verify } = self.bbolt;
        if checked > 0 {
            writeln!(
                out,
                "bbolt check: {checked} files, objections or crashes on {objected}, of which verify detected \
                 {objected_and_detected}; verify alone detected {only_verify}"
            )?;
        }
        writeln!(out, "\nmust be 0:")?;
        for wrong in Wrong::ALL {
            let skipped = wrong == Wrong::MissedWhatBboltReports && checked == 0;
            let count = if skipped { "not asked".to_owned() } else { self.count(wrong).to_string() };
            writeln!(out, "  {count:>9}  {}", wrong.words())?;
        }
        let mut told = BTreeSet::new();
        for (wrong, failures) in &self.failures {
            for failure in failures {
                // One of each sort: thousands say no more than the first.
                if told.insert((*wrong, failure.step.clone(), failure.what.clone())) && told.len() <= 50 {
                    writeln!(
                        out,
                        "\n{}: mutation {}, {}\n  {}\n  {replay} --only {}",
                        wrong.words(),
                        failure.mutation,
                        failure.step,
                        failure.what,
                        failure.mutation
                    )?;
                }
            }
        }
        Ok(())
    }
}
