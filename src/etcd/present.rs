//! Which revisions are there, in whatever order they are met.
//!
//! Who reads records one after the other misses revisions where a page stands in another
//! one's place: those that come later in the file are not lost. So where a tree has its keys
//! out of order, the revisions that are missing are told by the set of those that are there.
//! It costs one more pass, and runs of revisions that follow each other are kept as one.

use std::num::NonZeroUsize;

use crate::bolt::{Bucket, Db, FileOffset, Fold, LeafElement, LeafView, WalkOptions, walk};

use super::history::{HistoryFaultKind, Placed, RevisionOrder, is_consistent};
use super::record::Record;
use super::revision::{Revision, RevisionKey};
use super::schema::KEY;

/// Revisions that are missing in front of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hole {
    /// Where the leaf element of the record behind it stands.
    pub(crate) offset: FileOffset,
    /// That record's revision.
    pub(crate) revision: Revision,
    /// What is missing.
    pub(crate) rule: HistoryFaultKind,
}

/// The revisions above the compact one that are nowhere in bucket `key` of `db`. What cannot
/// be read fills a hole only if it is to `count`.
pub(crate) fn nowhere(db: &Db<'_>, order: RevisionOrder, count: Unread, threads: NonZeroUsize) -> Vec<Hole> {
    let options = WalkOptions { threads, only: Some(&[KEY]), progress: None };
    let (runs, _) = walk(db, &Present { compact: order.compact, count }, &options);
    runs.judge(order)
}

/// What becomes of records that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// They are there: that they cannot be read is told elsewhere.
    Count,
    /// They are missing.
    Miss,
}

/// Collects the revisions.
struct Present {
    compact: i64,
    count: Unread,
}

/// Revisions that follow each other.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: Revision,
    last: Revision,
    /// The record at the beginning.
    offset: FileOffset,
    is_bump: bool,
}

#[derive(Debug, Default)]
struct Runs {
    runs: Vec<Run>,
    /// Main revisions of which records speak that contradict themselves: these may fill
    /// holes, and never make one.
    loose: Vec<(i64, FileOffset)>,
}

impl Runs {
    fn add(&mut self, placed: Placed, offset: FileOffset) {
        let Placed { revision, is_bump } = placed;
        match self.runs.last_mut() {
            Some(run) if !is_bump && follows(run.last, revision) => run.last = revision,
            _ => self.runs.push(Run { first: revision, last: revision, offset, is_bump }),
        }
    }

    fn judge(mut self, order: RevisionOrder) -> Vec<Hole> {
        let newest = self.runs.iter().map(|run| run.last.main).max().unwrap_or(0);
        for (main, offset) in self.loose.drain(..).filter(|(main, _)| *main < newest) {
            let first = Revision { main, sub: 0 };
            self.runs.push(Run { first, last: first, offset, is_bump: false });
        }
        self.runs.sort_unstable_by_key(|run| run.first);
        let mut holes = Vec::new();
        let mut previous: Option<Revision> = None;
        for run in &self.runs {
            if previous.is_none_or(|previous| run.first > previous) {
                let (revision, offset) = (run.first, run.offset);
                let placed = Placed { revision, is_bump: run.is_bump };
                order.misplaced(previous, placed, |rule| {
                    if rule.lost(revision.main).is_some() {
                        holes.push(Hole { offset, revision, rule });
                    }
                });
            }
            previous = previous.max(Some(run.last));
        }
        holes
    }
}

fn follows(before: Revision, next: Revision) -> bool {
    let same = next.main == before.main && before.sub.checked_add(1) == Some(next.sub);
    same || next.sub == 0 && before.main.checked_add(1) == Some(next.main)
}

impl Present {
    fn element(&self, runs: &mut Runs, element: &LeafElement<'_>) {
        let offset = element.offset;
        let mut loose = |main: i64| {
            if main > self.compact {
                runs.loose.push((main, offset));
            }
        };
        match Record::parse(element) {
            Ok(record) if is_consistent(&record) || record.is_bump() => {
                if record.revision.main > self.compact {
                    runs.add(Placed::of(&record), offset);
                }
            }
            Ok(record) => {
                loose(record.revision.main);
                if record.kv.mod_revision != record.revision.main {
                    loose(record.kv.mod_revision);
                }
            }
            Err(_) if self.count == Unread::Count => {
                if let Ok(key) = RevisionKey::parse(element.key()) {
                    loose(key.revision.main);
                }
            }
            Err(_) => {}
        }
    }
}

impl<'a> Fold<'a> for Present {
    type Part = Runs;
    type Total = Runs;

    fn total(&self) -> Runs {
        Runs::default()
    }

    fn part(&self, _: &Bucket<'a>) -> Runs {
        Runs::default()
    }

    fn leaf(&self, part: &mut Runs, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        if bucket.is(KEY) {
            leaf.elements.iter().for_each(|element| self.element(part, element));
        }
    }

    fn join(&self, total: &mut Runs, _: &Bucket<'a>, part: Runs) {
        total.runs.extend(part.runs);
        total.loose.extend(part.loose);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(compact: i64, runs: &[(i64, i64)], loose: &[i64]) -> Vec<(i64, i64)> {
        let at = |main| Revision { main, sub: 0 };
        let offset = FileOffset(0);
        let runs = Runs {
            runs: runs
                .iter()
                .map(|(first, last)| Run { first: at(*first), last: at(*last), offset, is_bump: false })
                .collect(),
            loose: loose.iter().map(|main| (*main, offset)).collect(),
        };
        let lost = |hole: &Hole| {
            hole.rule.lost(hole.revision.main).map(|lost| (lost.first, lost.last)).expect("a loss")
        };
        runs.judge(RevisionOrder { compact }).iter().map(lost).collect()
    }

    #[test]
    fn what_stands_elsewhere_is_not_missing() {
        assert_eq!(missing(0, &[(2, 5), (9, 12), (6, 8)], &[]), []);
        assert_eq!(missing(0, &[(9, 12), (3, 5)], &[]), [(2, 2), (6, 8)]);
        assert_eq!(missing(4, &[(9, 12), (6, 7)], &[]), [(5, 5), (8, 8)]);
        // Twice is no harm.
        assert_eq!(missing(0, &[(2, 9), (4, 6), (10, 10)], &[]), []);
    }

    #[test]
    fn what_contradicts_itself_fills_holes_and_makes_none() {
        assert_eq!(missing(0, &[(2, 5), (7, 9)], &[6, 900]), []);
        assert_eq!(missing(0, &[(2, 5), (9, 9)], &[7]), [(6, 6), (8, 8)]);
    }
}
