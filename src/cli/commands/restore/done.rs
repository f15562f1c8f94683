//! A restore that was carried out or foreseen, of one member or of all.

use std::path::Path;

use etcdsnap::etcd::hash_kv::HashKv;
use etcdsnap::ops::rebuild::Refusal;
use etcdsnap::ops::restore::{
    AllRestored, Fingerprint, Preview, RestoreError, Restored, Room, Summary, TargetError, Warning,
};
use etcdsnap::ops::verify::Report;

use crate::cli::changed::Remark;
use crate::cli::refused::refusal;

/// What was restored, or would be.
pub(super) enum Done {
    One(Restored),
    All(AllRestored),
}

/// What is known of a restore that was not carried out.
pub(super) struct Foreseen {
    pub(super) hash_kv: HashKv,
    pub(super) rooms: Vec<Room>,
    pub(super) problem: Option<TargetError>,
    pub(super) refusals: Vec<Refusal>,
    /// The state that was expected, if it would be another.
    pub(super) missed_state: Option<Fingerprint>,
}

impl Foreseen {
    /// Whether a restore would be refused for what it comes to, wherever it goes.
    pub(super) fn is_refused(&self) -> bool {
        self.missed_state.is_some() || !self.refusals.is_empty()
    }

    /// All that speaks against it: stable name, words.
    pub(super) fn refused(&self, found: Fingerprint, summary: &Summary) -> Vec<Remark> {
        let missed = self.missed_state.map(|expected| {
            let summary = Box::new(summary.clone());
            Remark::new("other-state", RestoreError::OtherState { expected, found, summary }.to_string())
        });
        let refusals = self.refusals.iter().map(refusal);
        let problem = self.problem.as_ref().map(|problem| Remark::new("target", problem.to_string()));
        missed.into_iter().chain(refusals).chain(problem).collect()
    }
}

impl Done {
    pub(super) fn summary(&self) -> &Summary {
        match self {
            Self::One(restored) => &restored.summary,
            Self::All(restored) => &restored.summary,
        }
    }

    pub(super) fn report(&self) -> &Report {
        match self {
            Self::One(restored) => &restored.report,
            Self::All(restored) => &restored.report,
        }
    }

    pub(super) fn state(&self) -> Fingerprint {
        match self {
            Self::One(restored) => restored.state,
            Self::All(restored) => restored.state,
        }
    }

    pub(super) fn warnings(&self) -> &[Warning] {
        match self {
            Self::One(restored) => &restored.warnings,
            Self::All(restored) => &restored.warnings,
        }
    }

    /// The directory that was restored to.
    pub(super) fn directory(&self) -> &Path {
        match self {
            Self::One(restored) => &restored.data_dir,
            Self::All(restored) => &restored.out_dir,
        }
    }

    /// Bytes of the database's pages that hold something, if that is known.
    pub(super) fn in_use(&self) -> Option<u64> {
        if self.summary().changed.is_some() {
            return Some(self.summary().db_size);
        }
        Some(self.report().facts?.pages.in_use.saturating_mul(self.summary().page_size))
    }

    /// Leases that are in the database, if that is known.
    pub(super) fn leases(&self) -> Option<u64> {
        let removed = self.summary().changed.as_ref().map_or(0, |outcome| outcome.leases_removed);
        Some(self.report().facts?.leases.saturating_sub(removed))
    }
}

/// A plan in the two parts that are told of it.
pub(super) fn foreseen<R>(preview: Preview<R>, done: impl FnOnce(R) -> Done) -> (Done, Foreseen) {
    let Preview { restored, hash_kv, survey, refusals, missed_state } = preview;
    let (rooms, problem) = (survey.rooms, survey.problem);
    (done(restored), Foreseen { hash_kv, rooms, problem, refusals, missed_state })
}
