//! Revisions that a well-formed tree lacks.
//!
//! Above the compact revision every main revision was there. So a tree that skips some was
//! cut off, or something else was put in its place, however well its pages fit each other;
//! and then nothing tells that its last record is the last one, either.

use crate::bolt::Survey;
use crate::etcd::history::{Placed, RevisionOrder};
use crate::etcd::revision::{Revision, RevisionKey};

use super::facts::Look;
use super::found::Found;
use super::history::Compacted;

/// Revisions between two records of a tree that follow each other, or behind its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missing {
    /// The record before them; none if they are the first.
    pub(super) after: Option<Revision>,
    /// That behind them; none if they are the last.
    pub(super) before: Option<Revision>,
}

impl Missing {
    /// Whether `revision` is one of them.
    pub(super) fn has(&self, revision: Revision) -> bool {
        self.after.is_none_or(|after| revision > after) && self.before.is_none_or(|before| revision < before)
    }

    /// Whether one of `all`, which are in order, has the record at this place.
    pub(super) fn one_has(all: &[Self], (main, sub, _): (i64, i64, bool)) -> bool {
        let revision = Revision { main, sub };
        let behind = all.partition_point(|missing| missing.after.is_none_or(|after| after < revision));
        behind.checked_sub(1).and_then(|index| all.get(index)).is_some_and(|missing| missing.has(revision))
    }

    /// What the tree of `survey` lacks, of which these are the records, in order: where it
    /// vouches for its keys and has a hole. If it has one, or `perhaps_newer`, what is
    /// behind its last record belongs to it.
    pub(super) fn of(
        records: &[Found],
        survey: &Survey<'_>,
        look: &Look<'_>,
        compacted: Compacted,
        perhaps_newer: bool,
    ) -> Vec<Self> {
        let order = RevisionOrder { compact: compacted.at };
        let mut all = Vec::new();
        let mut last = None;
        for found in records {
            let revision = found.revision();
            if compacted.known && last != Some(revision) && !order.is_in_order(last, revision) {
                let mut is_hole = false;
                let placed = found.record(look.file).map(|record| Placed::of(&record));
                let placed = placed.unwrap_or(Placed { revision, is_bump: false });
                order.misplaced(last, placed, |kind| is_hole |= kind.lost(revision.main).is_some());
                if is_hole && !is_explained(survey, last, revision) {
                    all.push(Self { after: last, before: Some(revision) });
                }
            }
            last = Some(revision);
        }
        let is_open = survey.covers(&[0xff; 18]);
        if is_open && (perhaps_newer || !all.is_empty()) {
            all.push(Self { after: last, before: None });
        }
        all
    }
}

/// Whether some of the keys between two records are known to be lost.
fn is_explained(survey: &Survey<'_>, after: Option<Revision>, before: Revision) -> bool {
    let key = |revision| RevisionKey { revision, tombstone: false }.to_bytes();
    let (from, to) = (after.map(key).unwrap_or_default(), key(before));
    let lost = survey.lost();
    let first = lost.partition_point(|span| span.upper.is_some_and(|upper| upper <= from.as_slice()));
    lost.get(first).is_some_and(|span| span.lower < to.as_slice())
}
