//! The buckets of the new database, handed to a builder as often as it asks.

use std::collections::BTreeMap;
use std::io::Write;

use crate::bolt::{
    BuildError, Builder, Db, Entries, Excerpt, FileOffset, LeafElement, leaves_forward, top_level_buckets,
};
use crate::etcd::key_value::KeyValue;
use crate::etcd::record::{Record, RecordFault};
use crate::etcd::revision::{Revision, RevisionKey};
use crate::etcd::schema;

use super::RebuildError;
use super::changes::Selection;

/// A compaction as etcd does it: of records up to `at`, those stay that are the
/// newest of their keys, and deletions at exactly that revision, so that a watch which
/// begins there is told of them.
/// Source: etcd `server/storage/mvcc/{key_index,kvstore_compaction}.go` @ v3.6.14.
#[derive(Debug)]
pub(super) struct Compaction {
    pub(super) at: i64,
    pub(super) newest: Marked,
}

/// Records by their places.
#[derive(Debug, Default)]
pub(super) struct Marked(Vec<FileOffset>);

impl Marked {
    pub(super) fn new(mut offsets: Vec<FileOffset>) -> Self {
        offsets.sort_unstable();
        Self(offsets)
    }

    /// Whether it is one of them.
    pub(super) fn contains(&self, offset: FileOffset) -> bool {
        self.0.binary_search(&offset).is_ok()
    }

    /// Those from `first` on.
    fn from(&self, first: FileOffset) -> MarkedFrom<'_> {
        let start = self.0.partition_point(|offset| *offset < first);
        MarkedFrom(self.0.get(start..).unwrap_or_default())
    }
}

/// Asked of the elements of one leaf, which come with ascending offsets.
struct MarkedFrom<'m>(&'m [FileOffset]);

impl MarkedFrom<'_> {
    fn has(&mut self, offset: FileOffset) -> bool {
        while let Some((first, rest)) = self.0.split_first()
            && *first < offset
        {
            self.0 = rest;
        }
        self.0.first() == Some(&offset)
    }
}

/// Where the new database goes, bucket by bucket.
pub(super) trait Sink {
    fn bucket(&mut self, name: &[u8], sequence: u64) -> Result<(), BuildError>;

    /// An entry of the bucket; of a record that the file has in some form, where that is.
    fn entry(&mut self, key: &[u8], value: &[u8], from: Option<FileOffset>) -> Result<(), BuildError>;
}

impl<W: Write> Sink for Builder<W> {
    fn bucket(&mut self, name: &[u8], sequence: u64) -> Result<(), BuildError> {
        self.bucket(name, sequence)
    }

    fn entry(&mut self, key: &[u8], value: &[u8], _: Option<FileOffset>) -> Result<(), BuildError> {
        self.entry(key, value)
    }
}

/// What the new database holds.
#[derive(Debug)]
pub(super) struct Content<'a> {
    pub(super) db: Db<'a>,
    /// Buckets that have other entries than in the file.
    pub(super) replaced: BTreeMap<Vec<u8>, Entries>,
    pub(super) selection: Selection,
    pub(super) compaction: Option<Compaction>,
    /// Newest records of keys that lose their lease.
    pub(super) detached: Marked,
    /// Deletions behind all records: when, and where the deleted record is.
    pub(super) deletions: Vec<(Revision, FileOffset)>,
    /// The revision of an empty record behind everything.
    pub(super) bump: Option<i64>,
}

impl Content<'_> {
    /// Hands everything over; how many records there were, and how many are left.
    pub(super) fn emit<S: Sink>(&self, builder: &mut S) -> Result<(u64, u64), RebuildError> {
        let buckets = top_level_buckets(&self.db).map_err(RebuildError::Damaged)?;
        let mut sequences: BTreeMap<&[u8], u64> =
            buckets.iter().map(|bucket| (bucket.name, bucket.sequence)).collect();
        for name in self.replaced.keys() {
            sequences.entry(name).or_default();
        }
        sequences.entry(schema::KEY).or_default();
        let mut records = (0, 0);
        for (name, sequence) in sequences {
            builder.bucket(name, sequence)?;
            match self.replaced.get(name) {
                Some(entries) => {
                    for (key, value) in entries {
                        builder.entry(key, value, None)?;
                    }
                }
                None if name == schema::KEY => records = self.records(builder)?,
                None => {
                    for leaf in leaves_forward(&self.db, name) {
                        for element in leaf.map_err(RebuildError::Damaged)? {
                            builder.entry(plain(&element)?.key(), element.value(), None)?;
                        }
                    }
                }
            }
        }
        Ok(records)
    }

    fn records<S: Sink>(&self, builder: &mut S) -> Result<(u64, u64), RebuildError> {
        let (mut before, mut after) = (0u64, 0u64);
        let selective = !self.selection.is_empty();
        for leaf in leaves_forward(&self.db, schema::KEY) {
            let leaf = leaf.map_err(RebuildError::Damaged)?;
            let Some(first) = leaf.first().map(|element| element.offset) else { continue };
            let mut newest = self.compaction.as_ref().map(|compaction| compaction.newest.from(first));
            let mut detached = self.detached.from(first);
            before = before.saturating_add(leaf.len() as u64);
            for element in &leaf {
                let key = RevisionKey::parse(plain(element)?.key())
                    .map_err(|fault| RebuildError::Record(Excerpt::of(element.key()), fault.into()))?;
                let past = self.compaction.as_ref().filter(|compaction| key.revision.main <= compaction.at);
                let stays = match (past, &mut newest) {
                    (Some(compaction), Some(newest)) => {
                        let at_compaction = key.tombstone && key.revision.main == compaction.at;
                        newest.has(element.offset) || (at_compaction && self.takes(element))
                    }
                    _ => !selective || self.takes(element),
                };
                if !stays {
                    continue;
                }
                after = after.saturating_add(1);
                if detached.has(element.offset) {
                    let kv = Record::parse(element)
                        .map_err(|fault| RebuildError::Record(Excerpt::of(element.key()), fault))?
                        .kv;
                    let value = KeyValue { lease: 0, ..kv }.encode();
                    builder.entry(element.key(), &value, Some(element.offset))?;
                } else {
                    builder.entry(element.key(), element.value(), Some(element.offset))?;
                }
            }
        }
        for (revision, offset) in &self.deletions {
            let deleted = self.db.image.element(*offset);
            let key = deleted.and_then(|element| KeyValue::key_of(element.value())).unwrap_or_default();
            let tombstone = RevisionKey { revision: *revision, tombstone: true };
            let value = KeyValue { key, ..KeyValue::default() }.encode();
            builder.entry(&tombstone.to_bytes(), &value, None)?;
            after = after.saturating_add(1);
        }
        if let Some(main) = self.bump {
            let key = RevisionKey { revision: Revision { main, sub: 0 }, tombstone: false };
            builder.entry(&key.to_bytes(), &[], None)?;
            after = after.saturating_add(1);
        }
        Ok((before, after))
    }

    fn takes(&self, element: &LeafElement<'_>) -> bool {
        KeyValue::key_of(element.value()).is_some_and(|key| self.selection.takes(key))
    }
}

/// An element that is no nested bucket: etcd has none, and no reader of etcd's would
/// see what is in it.
pub(super) fn plain<'e, 'a>(element: &'e LeafElement<'a>) -> Result<&'e LeafElement<'a>, RebuildError> {
    if element.is_bucket {
        return Err(RebuildError::Record(Excerpt::of(element.key()), RecordFault::Bucket));
    }
    Ok(element)
}
