//! HashKV: the hash by which etcd's members compare their data.
//!
//! CRC-32C, seeded with the bytes `key`, over keys and values of the records of
//! bucket `key` up to a revision, less what a compaction at that revision would
//! drop. Two values say something about each other only if both their hash
//! revision and their compact revision are equal.
//!
//! A record at or below the compact revision counts if it is the newest of its
//! key up to the hash revision and no tombstone. One quirk of upstream is kept:
//! if no key is alive at that revision, nothing at all is left out. A tombstone
//! exactly at the compact revision never counts, so that members which compacted
//! before and after 3.5.16 agree.
//!
//! Source: etcd `server/storage/mvcc/hash.go`, `key_index.go` @ v3.6.14; the same
//! numbers come from 3.4.45, 3.5.33 and 3.7.1.

use crate::bolt::{
    Bucket, Db, FaultLog, FileOffset, Fold, LeafElement, LeafView, WalkOptions, WalkReport, walk,
};
use crate::codec::checksum::Crc32c;

use super::credible::{Answered, Credible, Judge, RecordLog};
use super::in_order::InOrder;
use super::keyspace::KeyspaceFold;
use super::record::Record;
use super::revision::RevisionKey;
use super::schema;

/// The revisions that a store can be asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The last compaction, asked for or done; `None` before the first.
    pub compact: Option<i64>,
    /// The revision of the store.
    pub current: i64,
}

/// A revision outside of the [`Window`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfWindow {
    /// History before the compact revision is gone.
    #[error("revision {asked} has been compacted: the snapshot can be asked for {compact} to {current}")]
    Compacted {
        /// What was asked for.
        asked: i64,
        /// The oldest revision there is.
        compact: i64,
        /// The newest.
        current: i64,
    },
    /// The store never reached that revision.
    #[error("revision {asked} is in the future: the snapshot can be asked for {oldest} to {current}")]
    Future {
        /// What was asked for.
        asked: i64,
        /// The oldest revision there is.
        oldest: i64,
        /// The newest.
        current: i64,
    },
}

impl Window {
    /// The oldest revision that can be asked for.
    pub fn oldest(&self) -> i64 {
        self.compact.unwrap_or(1).max(1)
    }

    /// The revision to answer for: `asked`, or the current one.
    ///
    /// # Errors
    /// A revision that was compacted away, or not yet reached.
    pub fn resolve(&self, asked: Option<i64>) -> Result<i64, OutOfWindow> {
        let (oldest, current) = (self.oldest(), self.current);
        match asked {
            None | Some(0) => Ok(current),
            Some(asked) if asked > current => Err(OutOfWindow::Future { asked, oldest, current }),
            Some(asked) if asked < oldest => Err(OutOfWindow::Compacted { asked, compact: oldest, current }),
            Some(asked) => Ok(asked),
        }
    }
}

/// A HashKV value with what it is the hash of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashKv {
    /// The hash.
    pub hash: u32,
    /// The revision it was computed at.
    pub revision: i64,
    /// The compact revision, -1 if the store was never compacted, as upstream
    /// prints it.
    pub compact_revision: i64,
}

/// What stood in the way of a faithful answer.
#[derive(Debug, Clone, Default)]
pub struct HashKvFaults {
    /// Damage to the tree.
    pub tree: FaultLog,
    /// Records that could not be read or believed, and revisions that are missing.
    pub records: RecordLog,
    /// Whether damage left nothing at all to hash.
    pub all_lost: bool,
}

impl HashKvFaults {
    fn of(report: WalkReport, records: RecordLog) -> Self {
        let all_lost = report.is_lost(schema::KEY);
        Self { tree: report.faults, records, all_lost }
    }
}

/// Computes HashKV at `revision`, which must be inside the window whose compact
/// revision is `compact`, over the records that `judge` believes.
pub fn hash_kv(
    db: &Db<'_>,
    revision: i64,
    compact: Option<i64>,
    judge: Judge,
    options: &WalkOptions<'_>,
) -> (HashKv, HashKvFaults) {
    // Bucket `meta` holds the compact revision: it takes part in the answer.
    let options = WalkOptions { only: Some(&[schema::KEY, schema::META]), ..*options };
    let compact = compact.unwrap_or(-1);
    // Only records at or below the compact revision can be left out, so before
    // the first compaction there is no need to know which are alive.
    let mut faults = HashKvFaults::default();
    let keep = (compact >= 0).then(|| {
        let fold = Credible { fold: KeyspaceFold::new(db.image).at(revision), judge };
        let (Answered { total: alive, log, .. }, report) = walk(db, &fold, &options);
        faults = HashKvFaults::of(report, log);
        alive.sorted_offsets()
    });
    let mut checksum = Checksum { keep: keep.as_deref(), revision, compact, judge: None };
    let hash = if keep.is_some() {
        None
    } else {
        let (walked, report) = walk(db, &(checksum, Credible { fold: (), judge }), &options);
        let (hash, Answered { log, .. }) = walked;
        faults = HashKvFaults::of(report, log);
        Some(hash)
    };
    if let Some(in_order) = InOrder::where_needed(db, judge, &faults.tree, &options) {
        let hash = hash_in_order(db, &in_order, revision, compact);
        return (HashKv { hash, revision, compact_revision: compact }, faults);
    }
    // What is left out must have no part in the hash; only then values are looked at.
    checksum.judge = (faults.records.unreadable.count > 0).then_some(judge);
    let hash = hash.filter(|_| checksum.judge.is_none()).unwrap_or_else(|| walk(db, &checksum, &options).0);
    (HashKv { hash: hash.value(), revision, compact_revision: compact }, faults)
}

/// The hash over records that the tree has in another order than that of their revisions.
fn hash_in_order(db: &Db<'_>, in_order: &InOrder, revision: i64, compact: i64) -> u32 {
    let alive = (compact >= 0)
        .then(|| in_order.ask(&db.image, &KeyspaceFold::new(db.image).at(revision)).sorted_offsets());
    let mut crc = Crc32c::new();
    crc.update(schema::KEY);
    for offset in in_order.offsets() {
        let is_alive =
            || alive.as_ref().is_none_or(|alive| alive.is_empty() || alive.binary_search(&offset).is_ok());
        if let Some(element) = db.image.element(offset)
            && let Ok(key) = RevisionKey::parse(element.key())
            && counts(&key, revision, compact, is_alive)
        {
            crc.update(element.key_value());
        }
    }
    crc.value()
}

/// Whether a record has a part in the hash at `revision` of a store compacted at
/// `compact`; `is_alive` tells of one whether it is the newest of its key at `revision`,
/// and no deletion.
pub(crate) fn counts(
    key: &RevisionKey,
    revision: i64,
    compact: i64,
    is_alive: impl FnOnce() -> bool,
) -> bool {
    let main = key.revision.main;
    if main > revision || (main == compact && key.tombstone) {
        return false;
    }
    main > compact || is_alive()
}

#[derive(Clone, Copy)]
struct Checksum<'k> {
    /// Offsets of the records that are alive, ascending; `None` if all count.
    keep: Option<&'k [FileOffset]>,
    revision: i64,
    compact: i64,
    /// Decides which records take part, if not all do.
    judge: Option<Judge>,
}

impl Checksum<'_> {
    fn believes(&self, element: &LeafElement<'_>) -> bool {
        self.judge.is_none_or(|judge| {
            Record::parse(element).is_ok_and(|record| judge.contradiction(&record).is_none())
        })
    }

    fn counts(&self, key: &RevisionKey, offset: FileOffset, keep: &mut &[FileOffset]) -> bool {
        counts(key, self.revision, self.compact, || {
            if self.keep.is_none_or(<[_]>::is_empty) {
                return true;
            }
            // Elements of a page come with ascending offsets.
            while let Some((first, rest)) = keep.split_first()
                && *first < offset
            {
                *keep = rest;
            }
            keep.first() == Some(&offset)
        })
    }
}

impl<'a> Fold<'a> for Checksum<'_> {
    type Part = Crc32c;
    type Total = Crc32c;

    fn total(&self) -> Crc32c {
        let mut crc = Crc32c::new();
        crc.update(schema::KEY);
        crc
    }

    fn part(&self, _: &Bucket<'a>) -> Crc32c {
        Crc32c::new()
    }

    #[inline]
    fn leaf(&self, part: &mut Crc32c, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        let Some(first) = leaf.elements.first().filter(|_| bucket.is(schema::KEY)) else { return };
        let all = self.keep.unwrap_or_default();
        let start = all.partition_point(|offset| *offset < first.offset);
        let mut keep = all.get(start..).unwrap_or_default();
        for element in leaf.elements {
            if let Ok(key) = RevisionKey::parse(element.key())
                && self.counts(&key, element.offset, &mut keep)
                && self.believes(element)
            {
                part.update(element.key_value());
            }
        }
    }

    fn join(&self, total: &mut Crc32c, _: &Bucket<'a>, part: Crc32c) {
        total.join(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::checksum;

    #[test]
    fn the_window_answers_as_the_server_does() {
        let window = Window { compact: Some(60), current: 157 };
        assert_eq!(window.resolve(None), Ok(157));
        assert_eq!(window.resolve(Some(60)), Ok(60));
        assert!(matches!(window.resolve(Some(59)), Err(OutOfWindow::Compacted { .. })));
        assert!(matches!(window.resolve(Some(158)), Err(OutOfWindow::Future { .. })));
        assert_eq!(Window { compact: None, current: 9 }.resolve(Some(1)), Ok(1));
    }

    #[test]
    fn the_seed_is_upstreams() {
        assert_eq!(checksum::crc32c(schema::KEY), 0x40a4_756d);
    }
}
