//! The rules that etcd's history obeys, and records that break them.
//!
//! What holds of all history: a write carries its own revision, a life of a key
//! begins with version 1 and counts up by one, revisions ascend. What holds
//! above the compact revision, where nothing was ever dropped: every main
//! revision is there, the changes of a transaction are numbered from 0 without a
//! gap, and whatever a record builds on is there too. A record that is missing
//! there was lost.
//!
//! Source: etcd `server/storage/mvcc/{kvstore_txn,key_index,kvstore_compaction}.go`
//! @ v3.6.14.

mod alone;
mod fault;

use crate::bolt::Image;

use super::keyspace::Succession;
use super::present::Hole;
use super::record::{Record, RecordFold};
use super::revision::Revision;

pub(crate) use alone::{contradiction, is_consistent};
pub use fault::{Contradiction, HistoryFault, HistoryFaultKind, HistoryLog, LostRevisions};

use alone::{contradictions, is_key_alone};

/// Checks each record on its own and against the one before it.
#[derive(Debug, Clone, Copy)]
pub struct RevisionOrder {
    /// The compact revision, 0 if there is none.
    pub compact: i64,
}

/// What a run of records says of their order.
#[derive(Debug, Default)]
pub struct OrderPart<'a> {
    first: Option<Record<'a>>,
    last: Option<Record<'a>>,
    log: HistoryLog,
    at_compact: Changes,
    is_bumped: bool,
}

/// The changes of one revision.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Changes {
    count: i64,
    /// The last one's number in its transaction.
    last_sub: i64,
}

/// A record, as far as its place among the others is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) revision: Revision,
    /// Whether it has the form of what a restore with a bumped revision leaves behind.
    pub(crate) is_bump: bool,
}

impl Placed {
    #[inline]
    pub(crate) fn of(record: &Record<'_>) -> Self {
        // The key tells nearly all records apart from a bump's.
        Self { revision: record.revision, is_bump: record.kv.key.is_empty() && record.is_bump() }
    }
}

impl RevisionOrder {
    /// Tells the rules that a record breaks by where it stands; `previous` is the revision
    /// of the record before it, `None` for the first of the store.
    #[inline]
    pub(crate) fn misplaced(
        &self,
        previous: Option<Revision>,
        placed: Placed,
        tell: impl FnMut(HistoryFaultKind),
    ) {
        let Revision { main, sub } = placed.revision;
        let follows = previous.is_some_and(|before| {
            let same = main == before.main && before.sub.checked_add(1) == Some(sub);
            same || sub == 0 && before.main.checked_add(1) == Some(main)
        });
        // At or below the compact revision anything may have been dropped. Nearly all
        // others follow, and no bump does.
        let any = main <= self.compact && previous != Some(placed.revision);
        if placed.is_bump || !any && !follows {
            self.missing(previous, placed, tell);
        }
    }

    /// Whether [`follow`](Self::follow) has nothing against a record under some key, which
    /// its revision and that of the record before tell.
    pub(crate) fn is_in_order(&self, previous: Option<Revision>, revision: Revision) -> bool {
        let Revision { main, sub } = revision;
        let before = previous.unwrap_or(Revision { main: 1, sub: 0 });
        let is_next = main == before.main && Some(sub) == before.sub.checked_add(1)
            || sub == 0 && main == before.main.max(self.compact).saturating_add(1);
        previous != Some(revision) && (main <= self.compact || is_next)
    }

    #[cold]
    fn missing(&self, previous: Option<Revision>, placed: Placed, mut tell: impl FnMut(HistoryFaultKind)) {
        let Placed { revision: Revision { main, sub }, is_bump } = placed;
        if previous == Some(placed.revision) {
            return tell(HistoryFaultKind::Repeated);
        }
        // The first write of a store has revision 2.
        let before = previous.unwrap_or(Revision { main: 1, sub: 0 });
        // A restore that moves the revision ahead writes one, alone and far ahead; what has
        // its form elsewhere is a write that lost its content.
        let is_next = previous.is_some() && main <= before.main.saturating_add(1);
        if is_bump && (sub != 0 || is_next) {
            tell(HistoryFaultKind::EmptyKey);
        }
        if main <= self.compact {
            return;
        }
        if main == before.main {
            let expected = before.sub.saturating_add(1);
            if sub != expected {
                tell(HistoryFaultKind::SubGap { expected });
            }
            return;
        }
        let after = before.main.max(self.compact);
        // A restore with a bumped revision leaps ahead on purpose.
        if main > after.saturating_add(1) && !is_bump {
            tell(HistoryFaultKind::Gap { after });
        }
        if sub != 0 {
            tell(HistoryFaultKind::SubGap { expected: 0 });
        }
    }

    /// As [`misplaced`](Self::misplaced), written down.
    #[inline]
    pub(crate) fn follow(&self, previous: Option<Revision>, record: &Record<'_>, log: &mut HistoryLog) {
        self.misplaced(previous, Placed::of(record), |kind| log.push(record, kind));
    }
}

impl<'a> RecordFold<'a> for RevisionOrder {
    type Part = OrderPart<'a>;
    type Total = OrderPart<'a>;

    fn total(&self) -> OrderPart<'a> {
        OrderPart::default()
    }

    fn part(&self) -> OrderPart<'a> {
        OrderPart::default()
    }

    #[inline]
    fn record(&self, part: &mut OrderPart<'a>, record: &Record<'a>) {
        contradictions(record, |kind| part.log.push(record, kind));
        if record.revision.main == self.compact {
            part.at_compact.count = part.at_compact.count.saturating_add(1);
            part.at_compact.last_sub = record.revision.sub;
        }
        // The key tells nearly all records apart from a bump's.
        part.is_bumped |= record.kv.key.is_empty() && record.revision.main > self.compact && record.is_bump();
        match &part.last {
            Some(last) => self.follow(Some(last.revision), record, &mut part.log),
            None => part.first = Some(*record),
        }
        part.last = Some(*record);
    }

    fn join(&self, total: &mut OrderPart<'a>, part: OrderPart<'a>) {
        if let Some(first) = &part.first {
            let before = total.last.map(|last| last.revision);
            self.follow(before, first, &mut total.log);
            total.first.get_or_insert(*first);
            total.last = part.last;
        }
        total.log.append(part.log);
        total.at_compact.count = total.at_compact.count.saturating_add(part.at_compact.count);
        total.at_compact.last_sub = total.at_compact.last_sub.max(part.at_compact.last_sub);
        total.is_bumped |= part.is_bumped;
    }
}

impl OrderPart<'_> {
    /// Takes back the revisions that were missed in order, for those that are nowhere.
    pub(crate) fn correct(&mut self, image: &Image<'_>, holes: &[Hole]) {
        self.log.correct(image, holes);
    }

    /// What was found.
    pub fn log(&self) -> &HistoryLog {
        &self.log
    }

    /// The last record.
    pub fn last(&self) -> Option<&Record<'_>> {
        self.last.as_ref()
    }

    /// Whether changes of the compact revision itself are not there. A transaction
    /// changes no key twice, so each of its writes was the newest of its key at
    /// the compaction and stayed; so did each deletion, from 3.4.34 and 3.5.16 on.
    ///
    /// `false` as well where it cannot be told: above a compact revision inside the
    /// leap of a bumped restore nothing was ever written.
    pub fn lacks_changes_of_compaction(&self) -> bool {
        let Changes { count, last_sub } = self.at_compact;
        !self.is_bumped && (count == 0 || last_sub >= count)
    }
}

/// Checks each record against the one before it of the same key.
#[derive(Debug, Clone, Copy)]
pub struct Lives {
    /// The compact revision, 0 if there is none.
    pub compact: i64,
}

impl Lives {
    /// The rule that `current` breaks, if it replaces `previous`: `None` if the key was not
    /// alive.
    pub(super) fn broken(
        &self,
        previous: Option<&Record<'_>>,
        current: &Record<'_>,
    ) -> Option<HistoryFaultKind> {
        let kv = &current.kv;
        if current.is_bump() || kv.key.is_empty() {
            return None;
        }
        let all_there = current.revision.main > self.compact;
        // That a deletion lost its mark is told of it alone, and not again of what
        // it did or of what came after.
        let previous = previous.filter(|previous| !is_key_alone(previous));
        match (previous, current.tombstone || is_key_alone(current)) {
            (Some(_), true) => None,
            // Deleted twice is no harm: the second did nothing.
            (None, true) => all_there.then_some(HistoryFaultKind::NothingToDelete),
            (None, false) if all_there && kv.version > 1 => {
                Some(HistoryFaultKind::NothingToUpdate(kv.version))
            }
            (None, false) => None,
            (Some(_), false) if kv.version == 1 && kv.create_revision == current.revision.main => {
                Some(HistoryFaultKind::BornTwice)
            }
            (Some(previous), false) if previous.kv.create_revision != kv.create_revision => {
                let previous = previous.kv.create_revision;
                Some(HistoryFaultKind::CreateChanged { previous, create: kv.create_revision })
            }
            (Some(previous), false) if previous.kv.version.checked_add(1) != Some(kv.version) => {
                Some(HistoryFaultKind::VersionStep { previous: previous.kv.version, version: kv.version })
            }
            (Some(_), false) => None,
        }
    }
}

impl<'a> Succession<'a> for Lives {
    type Log = HistoryLog;
    const ACTIVE: bool = true;

    fn follow(&self, log: &mut HistoryLog, previous: Option<&Record<'a>>, current: &Record<'a>) {
        if let Some(kind) = self.broken(previous, current) {
            log.push(current, kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bolt::FileOffset;
    use crate::etcd::key_value::{AsWritten, KeyValue};

    #[test]
    fn what_is_in_order_by_its_revision_is_in_order() {
        for compact in [0, 1, 3] {
            let order = RevisionOrder { compact };
            let all = (0..7).flat_map(|main| (0..3).map(move |sub| Revision { main, sub }));
            for previous in std::iter::once(None).chain(all.clone().map(Some)) {
                for revision in
                    all.clone().filter(|revision| previous.is_none_or(|before| before <= *revision))
                {
                    let mut log = HistoryLog::default();
                    let record = put(revision.main, revision.sub, 1, 1);
                    order.follow(previous, &record, &mut log);
                    let case = (compact, previous, revision);
                    assert_eq!(order.is_in_order(previous, revision), log.is_empty(), "{case:?}");
                }
            }
        }
    }

    fn put(main: i64, sub: i64, create: i64, version: i64) -> Record<'static> {
        let kv = KeyValue {
            key: b"k",
            create_revision: create,
            mod_revision: main,
            version,
            ..KeyValue::default()
        };
        Record {
            revision: Revision { main, sub },
            tombstone: false,
            as_written: AsWritten::Yes,
            kv,
            offset: FileOffset(0),
        }
    }

    fn deletion(main: i64) -> Record<'static> {
        let kv = KeyValue { key: b"k", ..KeyValue::default() };
        Record {
            revision: Revision { main, sub: 0 },
            tombstone: true,
            as_written: AsWritten::Yes,
            kv,
            offset: FileOffset(0),
        }
    }

    fn bump(main: i64) -> Record<'static> {
        let kv = KeyValue::default();
        Record {
            revision: Revision { main, sub: 0 },
            tombstone: false,
            as_written: AsWritten::Yes,
            kv,
            offset: FileOffset(0),
        }
    }

    /// Codes of what the order check finds, the records cut into two runs at
    /// every place: the answer must not depend on it.
    fn order(compact: i64, records: &[Record<'static>]) -> Vec<&'static str> {
        let check = RevisionOrder { compact };
        let answer = |cut: usize| {
            let mut total = check.total();
            for run in [&records[..cut], &records[cut..]] {
                let mut part = check.part();
                run.iter().for_each(|record| check.record(&mut part, record));
                check.join(&mut total, part);
            }
            total.log.kinds().map(|(code, ..)| code).collect::<Vec<_>>()
        };
        for cut in 0..records.len() {
            assert_eq!(answer(cut), answer(records.len()), "cut at {cut}");
        }
        answer(records.len())
    }

    #[test]
    fn sound_history_has_nothing_to_say() {
        assert!(order(0, &[put(2, 0, 2, 1), put(3, 0, 2, 2), deletion(4), put(5, 0, 5, 1)]).is_empty());
        assert!(order(9, &[put(3, 0, 2, 2), put(7, 4, 2, 3), deletion(10), bump(1_000)]).is_empty());
    }

    #[test]
    fn each_rule_is_seen_broken() {
        assert_eq!(order(0, &[put(2, 0, 2, 1), put(4, 0, 2, 2)]), ["revision-gap"]);
        assert_eq!(order(0, &[put(3, 0, 2, 2)]), ["revision-gap"]);
        assert_eq!(order(0, &[put(2, 1, 2, 1)]), ["sub-revision-gap"]);
        assert_eq!(order(0, &[put(2, 0, 2, 1), put(2, 2, 2, 1)]), ["sub-revision-gap"]);
        assert_eq!(order(0, &[put(2, 0, 2, 1), deletion(2)]), ["revision-repeated"]);
        assert_eq!(order(0, &[put(2, 0, 2, 2)]), ["version"]);
        assert_eq!(order(5, &[put(2, 0, 1, 1)]), ["first-version"]);
        assert_eq!(order(5, &[put(2, 0, 3, 1)]), ["create-revision"]);
        let mut wrong = put(2, 0, 2, 1);
        wrong.kv.mod_revision = 7;
        assert_eq!(order(0, &[wrong]), ["mod-revision"]);
        let mut full = deletion(3);
        full.kv.value = b"v";
        assert_eq!(order(0, &[put(2, 0, 2, 1), full]), ["tombstone-content"]);
        let unmarked = Record { tombstone: false, ..deletion(3) };
        assert_eq!(order(0, &[put(2, 0, 2, 1), unmarked]), ["deletion-unmarked"]);
        let marked = Record { tombstone: true, ..put(3, 0, 2, 2) };
        assert_eq!(order(0, &[put(2, 0, 2, 1), marked]), ["write-marked-deleted"]);
        let mut nameless = put(2, 0, 2, 1);
        nameless.kv.key = b"";
        assert_eq!(order(0, &[nameless]), ["empty-key"]);
    }

    #[test]
    fn lives_of_a_key() {
        let follow = |compact, previous: Option<Record<'static>>, current: Record<'static>| {
            let mut log = HistoryLog::default();
            Lives { compact }.follow(&mut log, previous.as_ref(), &current);
            log.kinds().map(|(code, ..)| code).next()
        };
        assert_eq!(follow(0, Some(put(2, 0, 2, 1)), put(3, 0, 2, 2)), None);
        assert_eq!(follow(0, None, put(3, 0, 3, 1)), None);
        assert_eq!(follow(5, None, put(3, 0, 2, 2)), None);
        assert_eq!(follow(0, None, put(3, 0, 2, 2)), Some("nothing-to-update"));
        assert_eq!(follow(0, None, deletion(3)), Some("nothing-to-delete"));
        let unmarked = |main| Record { tombstone: false, ..deletion(main) };
        assert_eq!(follow(0, Some(put(2, 0, 2, 1)), unmarked(3)), None);
        assert_eq!(follow(0, None, unmarked(3)), Some("nothing-to-delete"));
        assert_eq!(follow(0, Some(unmarked(3)), put(4, 0, 4, 1)), None);
        assert_eq!(follow(0, Some(unmarked(3)), deletion(4)), Some("nothing-to-delete"));
        assert_eq!(follow(0, Some(put(2, 0, 2, 1)), put(3, 0, 3, 1)), Some("born-twice"));
        assert_eq!(follow(0, Some(put(2, 0, 2, 1)), put(4, 0, 2, 3)), Some("version-step"));
        assert_eq!(follow(0, Some(put(4, 0, 2, 3)), put(5, 0, 3, 2)), Some("create-revision-changed"));
    }
}
