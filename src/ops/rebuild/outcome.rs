//! What will be different, and whether that was accepted.

use super::super::verify::Facts;
use super::{Changes, Concerns, LeftOutLog, Unmatched};

/// Why a [`Rebuild`](super::Rebuild) is not to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is left.
    #[error("no key would be left")]
    NothingLeft,
    /// Something that was to be kept is not there.
    #[error("something that is to be kept is not there")]
    KeepsNothing,
    /// Volumes would be deleted with their data.
    #[error("{0} volumes would be deleted with their data, for want of their claims")]
    Reclaim(u64),
    /// Volumes cannot be asked whether they would be.
    #[error("{0} volumes cannot be read: they may be deleted with their data, for want of their claims")]
    ReclaimUnknown(u64),
    /// Objects would be deleted.
    #[error("{0} objects would be deleted, for want of their owners")]
    Orphans(u64),
}

/// What will be different.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Revision of the store, in the file and after the changes.
    pub revision: (i64, i64),
    /// Its compact revision.
    pub compact_revision: (Option<i64>, Option<i64>),
    /// Records of all keys' histories.
    pub records: (u64, u64),
    /// Keys that are alive.
    pub live_keys: (u64, u64),
    /// Bytes of the database.
    pub size: (u64, u64),
    /// What the selection leaves out.
    pub left_out: LeftOutLog,
    /// Parts of the selection that fit nothing.
    pub unmatched: Vec<Unmatched>,
    /// What a cluster would do to what stays.
    pub concerns: Concerns,
    /// Leases that go.
    pub leases_removed: u64,
    /// Keys deleted with their leases.
    pub expired: LeftOutLog,
    /// Keys that lose their lease and stay.
    pub keys_detached: u64,
    /// Keys that stay attached to leases that are not there: no lease, so nothing
    /// to revoke.
    pub keys_of_missing_leases: u64,
    /// Whether authentication was on and goes off.
    pub auth_disabled: bool,
    /// Whether user `root` gets another password.
    pub root_password: bool,
}

impl Outcome {
    /// Whether a client sees the same, revisions aside: only history or free pages may
    /// have gone.
    pub fn is_faithful(&self) -> bool {
        self.left_out.keys == 0
            && self.leases_removed == 0
            && self.expired.keys == 0
            && self.keys_detached == 0
            && !self.auth_disabled
            && !self.root_password
    }

    /// Whether what was found in the written database is what it was to be.
    pub fn agrees_with(&self, facts: &Facts) -> bool {
        // The empty record of a bumped revision counts as a key.
        let bumped = Some(self.revision.1) == self.compact_revision.1;
        let live = self.live_keys.1;
        (facts.live_keys == live || (bumped && facts.live_keys == live.saturating_add(1)))
            && facts.revision == self.revision.1
            && facts.compact_revision == self.compact_revision.1
    }
}

/// Why nothing is to be written: nothing speaks against it, or all that does.
pub(super) fn refusals(outcome: &Outcome, changes: &Changes) -> Vec<Refusal> {
    let keeps_nothing =
        |part: &Unmatched| matches!(part, Unmatched::KeepPrefix(_) | Unmatched::IncludeNamespace(_));
    let Concerns { reclaimed, unreadable_volumes, orphans, .. } = &outcome.concerns;
    if !changes.selection.is_empty() && outcome.live_keys.1 == 0 {
        return vec![Refusal::NothingLeft];
    }
    let mut refusals = Vec::new();
    refusals.extend(outcome.unmatched.iter().any(keeps_nothing).then_some(Refusal::KeepsNothing));
    if !changes.accept_reclaim {
        refusals.extend((reclaimed.count > 0).then_some(Refusal::Reclaim(reclaimed.count)));
        let unknown = unreadable_volumes.count;
        refusals.extend((unknown > 0).then_some(Refusal::ReclaimUnknown(unknown)));
    }
    if !changes.accept_orphans {
        refusals.extend((orphans.count > 0).then_some(Refusal::Orphans(orphans.count)));
    }
    refusals
}
