//! What is left outside of the tree, as it was found.

use crate::bolt::{FileOffset, PageId, Relic, RelicElement, RelicKind, RelicPart, inline_entries};
use crate::codec::fixed::u64_be;
use crate::etcd::remnant::Spot;
use crate::etcd::revision::RevisionKey;
use crate::etcd::schema;

use super::found::Found;

/// What lies in the gaps of a tree.
#[derive(Debug, Default)]
pub(super) struct Remains {
    pub(super) relics: Vec<Relic>,
    /// Whole records in lost keys.
    pub(super) records: Vec<Found>,
    /// Records in lost keys of which a part is missing.
    pub(super) torn: Vec<Found>,
    /// Leaves of bucket `key` that are whole and hold nothing that contradicts itself.
    pub(super) witnesses: Vec<PageId>,
    /// Leaves that hold the names of buckets, the newest first.
    pub(super) roots: Vec<RootLeaf>,
    /// Entries of small buckets on leaves of their own, known by their form.
    pub(super) entries: Vec<Spot>,
    /// Broken pages whose content is there all the same, from its first record to its last.
    pub(super) healed: Vec<PageId>,
}

/// A leaf that holds the names of buckets, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RootLeaf {
    /// The raft index that the bucket `meta` inside it names, which every commit of etcd
    /// moves on.
    pub(super) age: u64,
    /// Where it begins.
    pub(super) start: FileOffset,
    pub(super) length: u64,
    pub(super) headless: bool,
    /// Its page, if it is one, whole and where it should be.
    pub(super) page: Option<PageId>,
}

impl RootLeaf {
    /// The names of buckets, and the buckets.
    pub(super) fn elements<'a>(&self, file: &'a [u8]) -> Vec<RelicElement<'a>> {
        let kind = if self.headless { RelicKind::Headless } else { RelicKind::Leaf };
        elements(&Relic { start: self.start, length: self.length, kind }, file)
    }
}

impl Remains {
    /// The newest record, whole or not.
    pub(super) fn newest(&self) -> Option<(i64, i64, bool)> {
        self.records.iter().chain(&self.torn).map(Found::order).max()
    }

    pub(super) fn append(&mut self, mut more: Self) {
        self.records.append(&mut more.records);
        self.torn.append(&mut more.torn);
        self.witnesses.append(&mut more.witnesses);
        self.roots.append(&mut more.roots);
        self.entries.append(&mut more.entries);
        self.healed.append(&mut more.healed);
    }
}

/// The place of a revision key among others.
pub(super) fn order_of(key: &[u8]) -> Option<(i64, i64, bool)> {
    let key = RevisionKey::parse(key).ok()?;
    Some((key.revision.main, key.revision.sub, key.tombstone))
}

/// Bytes of a bucket's header: of a bucket with a tree of its own that is all.
pub(super) const BUCKET_HEADER: usize = 16;

pub(super) fn elements<'a>(relic: &Relic, file: &'a [u8]) -> Vec<RelicElement<'a>> {
    let mut elements = Vec::new();
    relic.read(file, |part| {
        if let RelicPart::Element(element) = part {
            elements.push(element);
        }
    });
    elements
}

/// How far etcd was, by the bucket `meta` on a leaf with the names of buckets.
pub(super) fn age_of_root(leaf: &[RelicElement<'_>]) -> u64 {
    let meta = leaf.iter().find(|element| element.key == schema::META);
    let Some(bytes) = meta.and_then(|meta| meta.value.get(BUCKET_HEADER..)) else { return 0 };
    let entries = inline_entries(bytes);
    let index = entries.iter().find(|(key, _)| *key == schema::CONSISTENT_INDEX);
    index.and_then(|(_, value)| u64_be(value, 0)).unwrap_or(0)
}
