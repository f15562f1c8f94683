//! Damage on the way to an answer, and whether there can be one.

use crate::bolt::{Db, Excerpt, FaultLog, WalkReport, bucket_names};
use crate::etcd::credible::{MissingLog, RecordLog};
use crate::etcd::history::LostRevisions;
use crate::etcd::present::{Unread, nowhere};
use crate::etcd::revision::RevisionKey;
use crate::etcd::schema;
use crate::etcd::state::State;

use super::newer::{Newer, newer};
use super::{OpError, Settings};

/// Damage met on the way to an answer.
#[derive(Debug, Clone, Default)]
pub struct Damage {
    /// Bytes missing at the end of the file.
    pub missing_bytes: u64,
    /// Faults of pages and trees.
    pub tree: FaultLog,
    /// Records that cannot be read or contradict themselves, and revisions that are missing.
    pub records: RecordLog,
    /// Writes that are newer than all that was read, and that nothing leads to.
    pub newer: Option<Newer>,
}

impl Damage {
    /// What a walk over the records of `db` met, and what it cannot meet. Revisions that are
    /// missing where the tree is damaged are the same damage.
    pub(super) fn met(db: &Db<'_>, tree: FaultLog, mut records: RecordLog, settings: &Settings<'_>) -> Self {
        // What stands in another place is not missing.
        if records.missing.count > 0
            && tree.is_out_of_order(schema::KEY)
            && let Some(order) = State::read(db).judge().order
        {
            records.missing = MissingLog::of(&nowhere(db, order, Unread::Count, settings.threads));
        }
        let spans = lost_revisions(&tree);
        records.missing.retain(|hole| {
            let behind = spans.partition_point(|(first, _)| *first <= hole.first);
            let span = behind.checked_sub(1).and_then(|index| spans.get(index));
            !span.is_some_and(|(_, end)| end.is_none_or(|end| hole.last < end))
        });
        let newer = newer(db, tree.is_empty(), &settings.walk());
        Self { missing_bytes: db.missing_bytes(), tree, records, newer }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.missing_bytes == 0
    }

    /// How many faults there are.
    pub fn len(&self) -> u64 {
        let RecordLog { unreadable, missing } = &self.records;
        let records = unreadable.count.saturating_add(missing.count);
        self.tree.len().saturating_add(records).saturating_add(u64::from(self.newer.is_some()))
    }

    /// Itself if there is none, or it is to be skipped and does not take all of
    /// the bucket that the answer is made of.
    pub(crate) fn tolerated(self, lost: Option<Lost>, settings: &Settings<'_>) -> Result<Self, OpError> {
        match lost {
            Some(lost) => Err(OpError::NothingLeft { lost, damage: Box::new(self) }),
            None if self.is_empty() || settings.skip_damaged => Ok(self),
            None => Err(OpError::Damaged { damage: Box::new(self) }),
        }
    }
}

/// What an answer is made without, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Records that could be reached, and not be read or not be believed.
    pub records: u64,
    /// Entries of pages that could be read otherwise.
    pub entries: u64,
    /// Pages that could not be read, each with all that it leads to.
    pub pages: u64,
    /// Main revisions that were written on these: from the first up to, but without, the
    /// last, which is missing if there is no end. In order and apart from each other.
    pub revisions: Vec<(i64, Option<i64>)>,
    /// Revisions that are missing where the tree has no fault.
    pub missing: Vec<LostRevisions>,
    /// Writes that are newer than all that was read.
    pub newer: Option<Newer>,
    /// Whether there is so much damage that not all of it was kept: then these are the
    /// least.
    pub more: bool,
}

impl LeftOut {
    /// How many revisions there are at most; `None` if some have no end.
    pub fn revision_count(&self) -> Option<u64> {
        self.revisions.iter().try_fold(0u64, |sum, (first, end)| {
            Some(sum.saturating_add(end.as_ref()?.saturating_sub(*first).max(0).unsigned_abs()))
        })
    }
}

impl Damage {
    /// What an answer that passes over this is made without.
    pub fn left_out(&self) -> LeftOut {
        let RecordLog { unreadable, missing } = &self.records;
        let kept = self.tree.sorted();
        let more = kept.len() as u64 != self.tree.len() || missing.first.len() as u64 != missing.count;
        let mut left = LeftOut {
            records: unreadable.count,
            revisions: lost_revisions(&self.tree),
            missing: missing.first.clone(),
            newer: self.newer,
            more,
            ..LeftOut::default()
        };
        for fault in kept.into_iter().filter(|fault| fault.lost.is_some()) {
            // An element of a branch leads to a page, one of a leaf has a place of its own.
            let is_entry = fault.place.element.is_some() && fault.place.offset.is_some();
            let to = if is_entry { &mut left.entries } else { &mut left.pages };
            *to = to.saturating_add(1);
        }
        left
    }
}

/// Main revisions from the first up to, but without, the last; to the end, if there is no
/// last.
type Span = (i64, Option<i64>);

/// The revisions that were written where `tree` is damaged, in order and apart from each
/// other.
fn lost_revisions(tree: &FaultLog) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for fault in tree.sorted() {
        let Some(lost) = fault.lost.as_ref().filter(|_| fault.bucket.as_deref() == Some(schema::KEY)) else {
            continue;
        };
        let main = |key: &Excerpt| RevisionKey::parse(&key.bytes).ok().map(|key| key.revision.main);
        let first = lost.lower.as_ref().map_or(Some(0), main);
        let end = lost.upper.as_ref().map_or(Some(None), |key| main(key).map(Some));
        if let (Some(first), Some(end)) = (first, end) {
            // A revision may go on behind its first change.
            spans.push((first, end.map(|end| end.max(first.saturating_add(1)))));
        }
    }
    spans.sort_unstable();
    let mut apart: Vec<Span> = Vec::with_capacity(spans.len());
    for (first, end) in spans {
        match apart.last_mut() {
            Some((_, before)) if before.is_none_or(|before| first <= before) => {
                *before = before.zip(end).map(|(before, end)| before.max(end));
            }
            _ => apart.push((first, end)),
        }
    }
    apart
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = self.tree.sorted().first().map(|fault| {
            format!("{}: expected {}, found {}", fault.place, fault.kind.expected(), fault.kind.found())
        });
        let RecordLog { unreadable, missing } = &self.records;
        let first = first.or_else(|| {
            let record = unreadable.first.first()?;
            let name = match RevisionKey::parse(&record.key.bytes) {
                Ok(key) => format!("of revision {}", key.revision),
                Err(_) => record.key.to_string(),
            };
            Some(format!("record {name}: {}", record.fault))
        });
        let first = first.or_else(|| missing.first.first().map(ToString::to_string));
        let first = first.or_else(|| self.newer.as_ref().map(ToString::to_string));
        if self.missing_bytes > 0 {
            write!(f, "{} bytes are missing at its end", self.missing_bytes)?;
        }
        let separator = if self.missing_bytes > 0 { "; " } else { "" };
        match first {
            None => Ok(()),
            Some(first) if self.len() == 1 => write!(f, "{separator}{first}"),
            Some(first) => write!(f, "{separator}{} faults, the first: {first}", self.len()),
        }
    }
}

/// What a walk over the records met, if that can be passed over.
pub(super) fn damage(
    db: &Db<'_>,
    report: WalkReport,
    records: RecordLog,
    settings: &Settings<'_>,
) -> Result<Damage, OpError> {
    let lost = Lost::of_keys(db, report.is_lost(schema::KEY));
    Damage::met(db, report.faults, records, settings).tolerated(lost, settings)
}

/// What cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The list of the buckets.
    AllBuckets,
    /// A bucket from its first entry to its last.
    Bucket(&'static [u8]),
}

impl Lost {
    /// Bucket `key`, if `lost` or not there in a database that has been written to.
    pub(super) fn of_keys(db: &Db<'_>, lost: bool) -> Option<Self> {
        Self::of(db, schema::KEY, lost || State::read(db).lacks_keys())
    }

    /// `bucket`, if `lost`: with all the others, if not one can be found.
    pub(crate) fn of(db: &Db<'_>, bucket: &'static [u8], lost: bool) -> Option<Self> {
        let named = || if bucket_names(db).0.is_empty() { Self::AllBuckets } else { Self::Bucket(bucket) };
        lost.then(named)
    }
}

impl Lost {
    /// What is lost, and by what damage.
    pub(super) fn because(&self, damage: &Damage) -> String {
        match damage.is_empty() {
            true => format!("{self} is not there, and etcd has run on this database"),
            false => format!("{self} cannot be read: {damage}"),
        }
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AllBuckets => f.write_str("the list of buckets"),
            Self::Bucket(name) => write!(f, "bucket {}", name.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bolt::{Fault, FaultKind, FileOffset, KeyRange, PageId, Place};
    use crate::etcd::revision::Revision;

    fn key(main: i64) -> Excerpt {
        let revision = Revision { main, sub: 0 };
        Excerpt::of(&crate::etcd::revision::RevisionKey { revision, tombstone: false }.to_bytes())
    }

    fn fault(element: Option<u32>, lower: Option<i64>, upper: Option<i64>) -> Fault {
        let place = Place { page: Some(PageId(3)), element, offset: element.map(|_| FileOffset(4000)) };
        let lost = KeyRange { lower: lower.map(key), upper: upper.map(key) };
        let kind = FaultKind::KeySize { size: 0 };
        Fault { place, bucket: Some(schema::KEY.into()), kind, lost: Some(Box::new(lost)) }
    }

    fn left(faults: Vec<Fault>) -> LeftOut {
        let mut damage = Damage::default();
        faults.into_iter().for_each(|fault| damage.tree.push(fault));
        damage.left_out()
    }

    #[test]
    fn what_is_left_out_is_counted_and_its_revisions_are_joined() {
        let found = left(vec![
            fault(None, Some(20), Some(30)),
            fault(Some(2), Some(25), Some(27)),
            fault(Some(5), Some(40), Some(40)),
        ]);
        assert_eq!((found.records, found.entries, found.pages, found.more), (0, 2, 1, false));
        assert_eq!(found.revisions, [(20, Some(30)), (40, Some(41))]);
        assert_eq!(found.revision_count(), Some(11));
    }

    #[test]
    fn where_a_tree_has_no_end_the_number_of_revisions_is_not_known() {
        let found = left(vec![fault(None, Some(20), None), fault(None, None, Some(3))]);
        assert_eq!(found.revisions, [(0, Some(3)), (20, None)]);
        assert_eq!(found.revision_count(), None);
    }

    #[test]
    fn of_more_damage_than_is_kept_it_is_the_least() {
        let many = (0..1500u32).map(|index| fault(Some(index), Some(2), Some(3))).collect();
        let found = left(many);
        assert!(found.more && found.entries == FaultLog::KEPT as u64);
    }
}
