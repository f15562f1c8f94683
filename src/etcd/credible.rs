//! Records for those who answer from them.
//!
//! [`Records`](super::record::Records) hands on whatever can be read, to be judged.
//! [`Credible`] judges: a record that contradicts itself is left out like one that cannot
//! be read, and revisions that are missing are taken down. Both costs a few comparisons of
//! numbers that are read anyway.

use crate::bolt::{Bucket, Excerpt, FileOffset, Fold, LeafElement, LeafView};

use super::history::{Contradiction, HistoryFaultKind, LostRevisions, Placed, RevisionOrder, contradiction};
use super::present::Hole;
use super::record::{Record, RecordFault, RecordFold, UnreadableLog, UnreadableRecord};
use super::revision::{Revision, RevisionKey};
use super::schema;

/// How records are judged.
#[derive(Debug, Clone, Copy)]
pub struct Judge {
    /// Whether one that contradicts itself is left out.
    pub alone: bool,
    /// Whether the file is that of an etcd newer than any that is known, whose records may
    /// have more fields.
    pub is_newer: bool,
    /// By what revisions are missed; `None` where it is not known which were compacted away.
    pub order: Option<RevisionOrder>,
}

impl Judge {
    /// Takes every record as etcd would.
    pub const LENIENT: Self = Self { alone: false, is_newer: false, order: None };

    /// What `record` says against itself, if that counts.
    #[inline]
    pub(crate) fn contradiction(&self, record: &Record<'_>) -> Option<Contradiction> {
        if self.alone { contradiction(record, self.is_newer) } else { None }
    }
}

/// Makes a fold over leaves of a fold over records that can be believed.
#[derive(Debug, Clone, Copy)]
pub struct Credible<R> {
    /// The question.
    pub fold: R,
    /// Who decides which records it is asked of.
    pub judge: Judge,
}

/// What was found beside the records that can be believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordLog {
    /// Records that cannot be read, or contradict themselves.
    pub unreadable: UnreadableLog,
    /// Revisions that are not there and should be.
    pub missing: MissingLog,
}

impl From<UnreadableLog> for RecordLog {
    fn from(unreadable: UnreadableLog) -> Self {
        Self { unreadable, missing: MissingLog::default() }
    }
}

impl RecordLog {
    fn append(&mut self, later: Self) {
        self.unreadable.append(later.unreadable);
        self.missing.append(later.missing);
    }
}

/// Missing revisions: how many holes there are, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MissingLog {
    /// All of them.
    pub count: u64,
    /// The first thousand.
    pub first: Vec<LostRevisions>,
}

impl MissingLog {
    const KEPT: usize = 1000;

    fn push(&mut self, hole: LostRevisions) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < Self::KEPT {
            self.first.push(hole);
        }
    }

    /// Of all revisions that are nowhere.
    pub(crate) fn of(holes: &[Hole]) -> Self {
        let mut log = Self::default();
        let lost = holes.iter().filter_map(|hole| hole.rule.lost(hole.revision.main));
        lost.for_each(|lost| log.push(lost));
        log
    }

    /// Keeps only those that are `wanted`. Of those that were not kept all stay.
    pub(crate) fn retain(&mut self, wanted: impl FnMut(&LostRevisions) -> bool) {
        let before = self.first.len() as u64;
        self.first.retain(wanted);
        self.count = self.count.saturating_sub(before.saturating_sub(self.first.len() as u64));
    }

    fn append(&mut self, later: Self) {
        self.count = self.count.saturating_add(later.count);
        let room = Self::KEPT.saturating_sub(self.first.len());
        self.first.extend(later.first.into_iter().take(room));
    }
}

/// What a run of records amounts to.
#[derive(Debug)]
pub struct CrediblePart<P> {
    part: P,
    first: Option<(Placed, FileOffset)>,
    last: Option<Revision>,
    log: RecordLog,
}

/// What all records amount to.
#[derive(Debug)]
pub struct Answered<T> {
    /// The answer.
    pub total: T,
    /// What it is made without.
    pub log: RecordLog,
    last: Option<Revision>,
}

impl<R> Credible<R> {
    /// Takes down what is missing before a record, and says what is wrong with one that
    /// stands where it does.
    #[inline]
    fn arrive(
        &self,
        log: &mut RecordLog,
        previous: Option<Revision>,
        placed: Placed,
    ) -> Option<Contradiction> {
        let mut wrong = None;
        let order = self.judge.order?;
        order.misplaced(previous, placed, |rule| {
            if let Some(hole) = rule.lost(placed.revision.main) {
                log.missing.push(hole);
            } else if rule == HistoryFaultKind::EmptyKey {
                wrong = Some(Contradiction { revision: placed.revision, rule });
            }
        });
        wrong
    }

    /// Takes in where an entry of the part stands, and says what is wrong with that.
    #[inline]
    fn place<P>(
        &self,
        part: &mut CrediblePart<P>,
        placed: Placed,
        offset: FileOffset,
    ) -> Option<Contradiction> {
        let before = part.last.replace(placed.revision);
        if before.is_some() {
            return self.arrive(&mut part.log, before, placed);
        }
        // What is before the part is known when it is joined.
        part.first = Some((placed, offset));
        None
    }
}

impl<P> CrediblePart<P> {
    /// Takes down an entry that is left out.
    #[cold]
    fn refuse(&mut self, element: &LeafElement<'_>, fault: RecordFault) {
        let (offset, key) = (element.offset, Excerpt::of(element.key()));
        self.log.unreadable.push(UnreadableRecord { offset, key, fault });
    }
}

impl<'a, R: RecordFold<'a>> Fold<'a> for Credible<R> {
    type Part = Option<CrediblePart<R::Part>>;
    type Total = Answered<R::Total>;

    fn total(&self) -> Self::Total {
        Answered { total: self.fold.total(), log: RecordLog::default(), last: None }
    }

    fn part(&self, bucket: &Bucket<'a>) -> Self::Part {
        let part =
            || CrediblePart { part: self.fold.part(), first: None, last: None, log: RecordLog::default() };
        bucket.is(schema::KEY).then(part)
    }

    #[inline]
    fn leaf(&self, part: &mut Self::Part, _: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        let Some(part) = part else { return };
        for element in leaf.elements {
            match Record::parse(element) {
                Ok(record) => {
                    let wrong = self.place(part, Placed::of(&record), element.offset);
                    match wrong.or_else(|| self.judge.contradiction(&record)) {
                        None => self.fold.record(&mut part.part, &record),
                        Some(wrong) => part.refuse(element, RecordFault::Contradiction(wrong)),
                    }
                }
                Err(fault) => {
                    // Nobody can read it, but it is there: nothing is missing at its revision.
                    if let Ok(key) = RevisionKey::parse(element.key()) {
                        let placed = Placed { revision: key.revision, is_bump: false };
                        self.place(part, placed, element.offset);
                    }
                    part.refuse(element, fault);
                }
            }
        }
    }

    fn join(&self, total: &mut Self::Total, _: &Bucket<'a>, part: Self::Part) {
        let Some(part) = part else { return };
        if let Some((placed, offset)) = part.first {
            // The fold was told of it, but not of any key that somebody could ask for.
            if let Some(wrong) = self.arrive(&mut total.log, total.last, placed) {
                let key = RevisionKey { revision: placed.revision, tombstone: false }.to_bytes();
                let fault = RecordFault::Contradiction(wrong);
                let key = Excerpt::of(&key);
                total.log.unreadable.push(UnreadableRecord { offset, key, fault });
            }
            total.last = part.last;
        }
        total.log.append(part.log);
        self.fold.join(&mut total.total, part.part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::key_value::{AsWritten, KeyValue};

    fn placed(main: i64, sub: i64) -> Placed {
        Placed { revision: Revision { main, sub }, is_bump: false }
    }

    fn missing(compact: i64, revisions: &[Placed]) -> (Vec<(i64, i64, bool)>, usize) {
        let order = Some(RevisionOrder { compact });
        let credible = Credible { fold: (), judge: Judge { alone: true, is_newer: false, order } };
        let mut log = RecordLog::default();
        let mut wrong = 0;
        let mut previous = None;
        for placed in revisions {
            wrong += usize::from(credible.arrive(&mut log, previous, *placed).is_some());
            previous = Some(placed.revision);
        }
        (log.missing.first.iter().map(|hole| (hole.first, hole.last, hole.part)).collect(), wrong)
    }

    #[test]
    fn revisions_are_missed_above_the_compact_revision_alone() {
        let sparse = [placed(3, 0), placed(9, 0), placed(15, 0), placed(15, 1), placed(15, 3), placed(16, 1)];
        assert_eq!(missing(15, &sparse), (vec![(16, 16, true)], 0));
        assert_eq!(missing(10, &sparse).0, [(11, 14, false), (15, 15, true), (16, 16, true)]);
        assert_eq!(missing(0, &[placed(4, 0)]).0, [(2, 3, false)]);
        assert_eq!(missing(0, &[placed(2, 0), placed(3, 0)]).0, []);
    }

    #[test]
    fn the_leap_of_a_bumped_restore_is_no_hole_and_what_only_looks_like_it_is_no_record() {
        let bump = |main| Placed { is_bump: true, ..placed(main, 0) };
        assert_eq!(missing(0, &[placed(2, 0), bump(1000), placed(1001, 0)]), (vec![], 0));
        assert_eq!(missing(0, &[placed(2, 0), bump(3), placed(4, 0)]), (vec![], 1));
    }

    #[test]
    fn who_is_lenient_takes_what_contradicts_itself() {
        let kv =
            KeyValue { key: b"k", mod_revision: 8, create_revision: 7, version: 1, ..KeyValue::default() };
        let revision = Revision { main: 7, sub: 0 };
        let record =
            Record { revision, tombstone: false, as_written: AsWritten::Yes, kv, offset: FileOffset(0) };
        let strict = Judge { alone: true, is_newer: false, order: None };
        assert_eq!(Judge::LENIENT.contradiction(&record), None);
        let told = strict.contradiction(&record).expect("another mod revision").to_string();
        assert_eq!(told, "expected mod revision 7, found mod revision 8");
    }
}
