//! What was saved, what was lost and what is doubtful.

use crate::bolt::{Excerpt, PageId};
use crate::etcd::revision::Revision;
use crate::etcd::snapshot::DigestVerdict;

use super::found::Named;

pub use crate::etcd::history::LostRevisions;

/// Things of one kind: how many, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log<T> {
    /// All of them.
    pub count: u64,
    /// The first ten thousand.
    pub first: Vec<T>,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self { count: 0, first: Vec::new() }
    }
}

impl<T> Log<T> {
    /// How many are kept in full.
    pub const KEPT: usize = 10_000;

    pub(super) fn append(&mut self, more: Self) {
        self.count = self.count.saturating_add(more.count);
        let room = Self::KEPT.saturating_sub(self.first.len());
        self.first.extend(more.first.into_iter().take(room));
    }

    pub(super) fn push(&mut self, item: T) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < Self::KEPT {
            self.first.push(item);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Where the tree that was followed begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// At the root that the newer of the good metas names, or the only one.
    Meta(usize),
    /// At the root of the older meta, as that of the newer one is broken.
    OlderMeta(usize),
    /// At a page that has the form of a root, as no meta leads to one.
    Page(PageId),
    /// At a page that has the form of a root and is newer than the root of the meta that is
    /// left: the newer meta cannot be used.
    Newer(PageId),
    /// Nowhere: there is no root.
    None,
}

/// A record that says of what is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRecord {
    /// The key, and the record that tells.
    pub named: Named,
    /// What is lost.
    pub why: WhyLost,
}

/// What is lost of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyLost {
    /// This record: a part of its value is gone. Whether a newer one of its key was
    /// saved.
    Torn {
        /// Whether it was.
        newer: bool,
    },
    /// This record: it cannot be read.
    Unreadable,
    /// This record: it contradicts itself.
    Contradictory,
    /// Versions of its key before it.
    Versions {
        /// The first.
        first: i64,
        /// The last.
        last: i64,
    },
    /// The end of an earlier life of its key, or the begin of this one.
    Life,
}

impl WhyLost {
    /// A stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Torn { .. } => "torn",
            Self::Unreadable => "unreadable",
            Self::Contradictory => "contradictory",
            Self::Versions { .. } => "versions",
            Self::Life => "life",
        }
    }

    /// Whether the latest value of the key may be gone, and not only what was before.
    pub fn is_latest(&self) -> bool {
        match self {
            Self::Torn { newer } => !newer,
            Self::Unreadable | Self::Contradictory => true,
            Self::Versions { .. } | Self::Life => false,
        }
    }
}

/// A record that was saved and may be wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubtful {
    /// The record.
    pub named: Named,
    /// Why.
    pub doubt: Doubt,
    /// Whether it is the value that its key will have.
    pub latest: bool,
}

/// Why a record may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Found outside of the tree, at or below the compact revision, and nothing tells
    /// that it was not replaced or deleted by what is lost.
    Unlinked,
    /// Two records under one revision: that on the better page was taken.
    Contested,
    /// Its value goes on behind the begin of a page, and nothing tells whether what
    /// stands there is its own.
    Unverified,
}

impl Doubt {
    /// A stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unlinked => "unlinked",
            Self::Contested => "contested",
            Self::Unverified => "unverified",
        }
    }
}

/// A value that was saved, of a key of Kubernetes, and is no object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// The record.
    pub named: Named,
    /// What is wrong with it.
    pub why: String,
    /// Whether it is the value that its key will have.
    pub latest: bool,
}

/// Keys of bucket `key`, that is revisions, that the tree lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostSpan {
    /// From here; none from the first.
    pub first: Option<Revision>,
    /// Up to, but without, this; none to the last.
    pub end: Option<Revision>,
    /// Records that were found again.
    pub found: u64,
    /// Whether it is certain that these are all.
    pub complete: bool,
}

/// Keys whose last state may be among what is lost: they are alive, and were last written
/// before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outdated {
    /// The last main revision that is lost, or may be; none if it is not known where the
    /// history ended, or nothing is lost.
    pub last_lost: Option<i64>,
    /// Their last records that were saved, the newest first.
    pub keys: Log<Named>,
}

/// A small bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmallBucket {
    /// Its name.
    pub name: Vec<u8>,
    /// How it fared.
    pub state: BucketState,
    /// Its entries.
    pub entries: u64,
}

/// An entry of a small bucket that was left out, as it is not what its bucket holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenEntry {
    /// The bucket.
    pub bucket: Vec<u8>,
    /// The entry's key.
    pub key: Excerpt,
    /// What is wrong with it.
    pub why: String,
    /// Whether another entry under this key was written: from an older copy of the bucket,
    /// or made anew.
    pub replaced: bool,
}

/// How a small bucket fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketState {
    /// As it was.
    Intact,
    /// What was left of it.
    Partial,
    /// From an older copy.
    Older,
    /// Put together from single entries.
    Entries,
    /// Nothing of it was found.
    Empty,
}

impl BucketState {
    /// A stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Partial => "partial",
            Self::Older => "older",
            Self::Entries => "entries",
            Self::Empty => "empty",
        }
    }
}

/// The whole account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where the tree that was followed begins.
    pub base: Base,
    /// Whether nothing was damaged.
    pub sound: bool,
    /// Records that are written.
    pub records: u64,
    /// Keys that are alive.
    pub live_keys: u64,
    /// Those of the records that the tree did not lead to.
    pub outside: u64,
    /// Records outside of the tree that a page proves to have been compacted away.
    pub proven_gone: u64,
    /// Records that were found and are not written: superseded below the new compact
    /// revision.
    pub dropped: u64,
    /// Revision of the new store.
    pub revision: i64,
    /// The compact revision that was found, 0 for none.
    pub compact_before: i64,
    /// Whether it is sure.
    pub compact_known: bool,
    /// The new one, 0 for none.
    pub compact_after: i64,
    /// What the tree lost of bucket `key`.
    pub spans: Vec<LostSpan>,
    /// Revisions of which nothing was found.
    pub gaps: Log<LostRevisions>,
    /// Keys of which something is known to be lost.
    pub lost: Log<LostRecord>,
    /// Records that may be wrong.
    pub doubtful: Log<Doubtful>,
    /// Keys that may have been changed or deleted by what is lost.
    pub outdated: Outdated,
    /// Values that are broken inside.
    pub undecodable: Log<Undecodable>,
    /// Whether the digest of the file that was read is right; none if no meta tells where
    /// it would stand.
    pub digest: Option<DigestVerdict>,
    /// Entries of small buckets that were left out.
    pub broken_entries: Log<BrokenEntry>,
    /// The small buckets.
    pub buckets: Vec<SmallBucket>,
    /// Leases that were made anew, as keys are attached to them.
    pub leases_made: u64,
    /// Whether authentication was switched off, as nobody could have used it.
    pub auth_disabled: bool,
    /// Nested buckets and entries that etcd does not have, which were left out.
    pub foreign: Log<Excerpt>,
    /// Bytes of the new database.
    pub size: u64,
}

impl Report {
    /// Whether everything that the database held is in the new one, for certain.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty()
            && self.lost.is_empty()
            && self.doubtful.is_empty()
            && self.foreign.is_empty()
            && self.broken_entries.is_empty()
            && self.leases_made == 0
            && !self.auth_disabled
            && self.spans.iter().all(|span| span.complete)
            && self.buckets.iter().all(|bucket| bucket.state == BucketState::Intact)
    }

    /// Whether the latest value of any key may be missing or wrong, and not only what
    /// was before.
    pub fn latest_affected(&self) -> bool {
        !self.gaps.is_empty()
            || self.spans.iter().any(|span| !span.complete)
            // Where no revision is missing, a write or a deletion of another key stands under
            // a wrong one.
            || self.lost.count > self.lost.first.len() as u64
            || self.lost.first.iter().any(|lost| lost.why != WhyLost::Torn { newer: true })
            || self.doubtful.first.iter().any(|doubtful| doubtful.latest)
            || !self.outdated.keys.is_empty()
    }
}
