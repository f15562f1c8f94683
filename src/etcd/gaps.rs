//! Revisions that are missing, and the broken rules that they explain.
//!
//! Where a page of records is lost, each key that was written on it and written again
//! later has a record that does not follow the one before it. That is the loss once more,
//! and no fault of these records. So the walk that follows the lives of the keys also
//! counts the revisions that are missing above the compact revision, where none may be;
//! what fits into a gap since the key's last record is counted, and not told of.
//!
//! What a rule says is missing was there for certain, and a newer record of the same key
//! is still there: of that key only history is lost.

use std::collections::BTreeMap;

use super::history::{HistoryFaultKind, HistoryLog, Lives};
use super::keyspace::Succession;
use super::present::Hole;
use super::record::Record;
use super::revision::Revision;

/// As [`Lives`], but for what gaps explain.
#[derive(Debug, Clone, Copy)]
pub struct LivesAcrossGaps {
    /// The compact revision, 0 if there is none.
    pub compact: i64,
}

/// What [`LivesAcrossGaps`] remembers.
#[derive(Debug, Clone, Default)]
pub struct LivesLog {
    /// Rules that are broken, and no gap explains it.
    pub unexplained: HistoryLog,
    /// Revisions that are missing.
    pub gaps: Gaps,
    explained: BTreeMap<&'static str, u64>,
    proven: u64,
}

impl LivesLog {
    /// The rules that are broken because of gaps, by code, and how often.
    pub fn explained(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.explained.iter().map(|(code, count)| (*code, *count))
    }

    /// Whether what newer records say of lost ones makes up for all the revisions that are
    /// missing: then each was a change of a key that was changed again later. Only where
    /// every transaction changes one key, as those of Kubernetes do.
    pub fn accounts_for_all_gaps(&self) -> bool {
        let gaps = &self.gaps;
        !gaps.has_transactions && !gaps.is_cut && self.proven >= gaps.missing
    }

    /// Takes back the revisions that were missed in order, for those that are nowhere.
    pub(crate) fn correct(&mut self, nowhere: &[Hole]) {
        let gaps = &mut self.gaps;
        *gaps = Gaps { newest: gaps.newest, has_transactions: gaps.has_transactions, ..Gaps::default() };
        for lost in nowhere.iter().filter_map(|hole| hole.rule.lost(hole.revision.main)) {
            gaps.lose(lost.first, lost.last, lost.part);
        }
    }

    /// How many records are known to be missing, at least, of keys that have newer ones.
    pub fn proven(&self) -> u64 {
        self.proven
    }
}

/// Main revisions that are missing above the compact revision, or of which changes are.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    runs: Vec<Run>,
    missing: u64,
    newest: Revision,
    /// Whether there were more than are kept.
    is_cut: bool,
    /// Whether any transaction changed more than one key.
    has_transactions: bool,
}

/// Revisions without one that is there between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// Whether some changes of it are there.
    pub part: bool,
    /// How many are missing before.
    before: u64,
}

impl Run {
    /// How many revisions they are.
    pub fn len(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1).max(0).unsigned_abs()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Gaps {
    /// At most so many runs are kept, of 40 bytes.
    const KEPT: usize = 1 << 16;

    /// In order, and apart from each other.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Whether any transaction changed more than one key.
    pub fn has_transactions(&self) -> bool {
        self.has_transactions
    }

    /// Whether there are more runs than are kept.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// How many revisions are missing, those of runs that are not kept included.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Takes in the next record.
    fn see(&mut self, record: &Record<'_>, compact: i64) {
        let Revision { main, sub } = record.revision;
        let before = self.newest;
        self.newest = before.max(record.revision);
        self.has_transactions |= sub > 0;
        if main <= compact {
            return;
        }
        // The first write of a store has revision 2.
        let after = before.main.max(compact).max(1);
        // A restore with a bumped revision leaps ahead on purpose.
        if main > after.saturating_add(1) && !record.is_bump() {
            self.lose(after.saturating_add(1), main.saturating_sub(1), false);
        }
        let expected = if main == before.main { before.sub.saturating_add(1) } else { 0 };
        if main >= before.main && sub > expected {
            self.lose(main, main, true);
        }
    }

    fn lose(&mut self, first: i64, last: i64, part: bool) {
        if self.runs.last().is_some_and(|run| run.last >= first) {
            return;
        }
        let run = Run { first, last, part, before: self.missing };
        self.missing = self.missing.saturating_add(run.len());
        if self.runs.len() < Self::KEPT {
            self.runs.push(run);
        } else {
            self.is_cut = true;
        }
    }

    /// How many revisions are missing up to `main`.
    fn up_to(&self, main: i64) -> u64 {
        let behind = self.runs.partition_point(|run| run.first <= main);
        let last = behind.checked_sub(1).and_then(|index| self.runs.get(index));
        last.map_or(0, |run| {
            let there = Run { last: run.last.min(main), ..*run };
            run.before.saturating_add(there.len())
        })
    }

    /// How many revisions are missing between two that are there.
    fn between(&self, after: i64, before: i64) -> u64 {
        self.up_to(before.saturating_sub(1)).saturating_sub(self.up_to(after))
    }
}

impl LivesAcrossGaps {
    /// How many records are missing, at least, if `current` breaks a rule because of
    /// revisions that are missing; and behind which revision they stood.
    fn missing(
        &self,
        kind: HistoryFaultKind,
        previous: Option<&Record<'_>>,
        current: &Record<'_>,
    ) -> Option<(u64, i64)> {
        let after = previous.map_or(self.compact, |previous| previous.revision.main);
        let create = current.kv.create_revision;
        let count = match kind {
            HistoryFaultKind::VersionStep { previous, version } => {
                version.checked_sub(previous)?.checked_sub(1)?
            }
            // The deletion before it.
            HistoryFaultKind::BornTwice => 1,
            // That, and all writes of this life.
            HistoryFaultKind::CreateChanged { create, .. } if create > after => current.kv.version,
            // What was written up to the compact revision is missing as well, and in no gap.
            HistoryFaultKind::NothingToUpdate(version) if create > self.compact => version.checked_sub(1)?,
            HistoryFaultKind::NothingToDelete => 1,
            _ => return None,
        };
        let count = u64::try_from(count).ok().filter(|count| *count > 0)?;
        let after = match kind {
            HistoryFaultKind::NothingToUpdate(_) => after.max(create.saturating_sub(1)),
            _ => after,
        };
        Some((count, after.max(self.compact)))
    }
}

impl<'a> Succession<'a> for LivesAcrossGaps {
    type Log = LivesLog;
    const ACTIVE: bool = true;

    fn follow(&self, log: &mut LivesLog, previous: Option<&Record<'a>>, current: &Record<'a>) {
        log.gaps.see(current, self.compact);
        let lives = Lives { compact: self.compact };
        let Some(kind) = lives.broken(previous, current) else { return };
        match self.missing(kind, previous, current) {
            Some((count, after)) if count <= log.gaps.between(after, current.revision.main) => {
                let explained = log.explained.entry(kind.code()).or_default();
                *explained = explained.saturating_add(1);
                log.proven = log.proven.saturating_add(count);
            }
            _ => log.unexplained.push(current, kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bolt::FileOffset;
    use crate::etcd::key_value::{AsWritten, KeyValue};

    fn put(main: i64, create: i64, version: i64) -> Record<'static> {
        let kv = KeyValue {
            key: b"k",
            create_revision: create,
            mod_revision: main,
            version,
            value: b"v",
            lease: 0,
        };
        let revision = Revision { main, sub: 0 };
        Record { revision, tombstone: false, as_written: AsWritten::Yes, kv, offset: FileOffset(0) }
    }

    fn deletion(main: i64) -> Record<'static> {
        let kv = KeyValue { key: b"k", ..KeyValue::default() };
        Record { tombstone: true, kv, ..put(main, 0, 0) }
    }

    /// Follows records of one key among those of others.
    fn log(compact: i64, others: &[i64], mine: &[Record<'static>]) -> LivesLog {
        let rules = LivesAcrossGaps { compact };
        let mut all: Vec<_> = mine.iter().map(|record| (*record, true)).collect();
        all.extend(others.iter().map(|main| (put(*main, *main, 1), false)));
        all.sort_by_key(|(record, _)| record.revision);
        let mut log = LivesLog::default();
        let mut newest: Option<Record<'static>> = None;
        for (record, is_mine) in &all {
            let before = newest.filter(|newest| *is_mine && !newest.tombstone);
            rules.follow(&mut log, before.as_ref(), record);
            if *is_mine {
                newest = Some(*record);
            }
        }
        log
    }

    fn told(log: &LivesLog) -> (Vec<&'static str>, Vec<(&'static str, u64)>) {
        (log.unexplained.kinds().map(|(code, ..)| code).collect(), log.explained().collect())
    }

    #[test]
    fn a_step_that_fits_into_a_gap_is_explained_by_it() {
        let two_missing = log(0, &[3, 6], &[put(2, 2, 1), put(7, 2, 4)]);
        assert_eq!(told(&two_missing), (vec![], vec![("version-step", 1)]));
        assert_eq!((two_missing.gaps.missing(), two_missing.proven()), (2, 2));
        assert!(two_missing.accounts_for_all_gaps());
        let one_of_two = log(0, &[3, 6], &[put(2, 2, 1), put(7, 2, 3)]);
        assert_eq!(told(&one_of_two).1, [("version-step", 1)]);
        assert!(!one_of_two.accounts_for_all_gaps());
        // A gap of two holds no three writes, and none before the key's last record any.
        assert_eq!(told(&log(0, &[3, 6], &[put(2, 2, 1), put(7, 2, 5)])), (vec!["version-step"], vec![]));
        assert_eq!(told(&log(0, &[2, 5], &[put(6, 6, 1), put(7, 6, 3)])), (vec!["version-step"], vec![]));
        // Versions that go back, or stand still, are no loss.
        for version in [1, 2] {
            let log = log(0, &[3, 6], &[put(2, 2, 1), put(3, 2, 2), put(7, 2, version)]);
            assert_eq!(told(&log), (vec!["version-step"], vec![]));
        }
    }

    #[test]
    fn other_rules_that_are_broken_by_a_gap() {
        for (before, after, code) in [
            (vec![put(2, 2, 1)], put(7, 7, 1), "born-twice"),
            (vec![put(2, 2, 1)], put(7, 5, 2), "create-revision-changed"),
            (vec![], put(7, 4, 3), "nothing-to-update"),
            (vec![], deletion(7), "nothing-to-delete"),
        ] {
            let mine = [before.clone(), vec![after]].concat();
            let others: &[i64] = if before.is_empty() { &[2, 3, 6] } else { &[3, 6] };
            assert_eq!(told(&log(0, others, &mine)), (vec![], vec![(code, 1)]));
            let without = log(0, &[2, 3, 4, 5, 6][usize::from(!before.is_empty())..], &mine);
            assert_eq!(told(&without), (vec![code], vec![]));
        }
        // Created up to the compact revision: what was there then is in no gap.
        assert_eq!(told(&log(4, &[3, 4, 6], &[put(7, 2, 2)])).0, ["nothing-to-update"]);
    }

    #[test]
    fn revisions_that_are_missing_are_counted_where_none_may_be() {
        let runs =
            |log: &LivesLog| log.gaps.runs().iter().map(|run| (run.first, run.last)).collect::<Vec<_>>();
        assert_eq!(runs(&log(0, &[4, 5, 9], &[])), [(2, 3), (6, 8)]);
        assert_eq!(runs(&log(6, &[4, 5, 9], &[])), [(7, 8)]);
        assert_eq!(runs(&log(9, &[4, 5, 9], &[])), []);
        let mut of_a_transaction = put(4, 4, 1);
        of_a_transaction.revision.sub = 2;
        let part = log(3, &[], &[of_a_transaction]);
        assert_eq!((runs(&part), part.gaps.runs()[0].part), (vec![(4, 4)], true));
        assert!(!part.accounts_for_all_gaps());
        assert!(log(0, &[2, 3], &[]).accounts_for_all_gaps());
    }

    #[test]
    fn of_more_gaps_than_are_kept_the_revisions_are_counted_all_the_same() {
        let mut gaps = Gaps::default();
        let number = Gaps::KEPT as i64 + 10;
        (1..=number).for_each(|index| gaps.see(&put(2 * index, 2, 1), 0));
        assert_eq!((gaps.runs().len(), gaps.missing(), gaps.is_cut()), (Gaps::KEPT, number as u64 - 1, true));
        assert_eq!((gaps.between(4, 8), gaps.between(5, 5), gaps.up_to(0)), (2, 0, 0));
    }
}
