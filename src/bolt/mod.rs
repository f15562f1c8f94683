//! A bbolt database file: pages, trees, buckets, key/value pairs.
//!
//! Knows nothing of etcd. Written for files that may be damaged or hostile:
//! every number read is checked before it is used, every page is visited at
//! most once, and damage is a value ([`Fault`]) that the reader reports and
//! goes on past. Layout and rules: `docs/format/bolt.md`.
//!
//! ```text
//! bytes ─▶ Db (metas chosen) ─▶ Image (pages) ─▶ walk: every leaf of every
//!                                                bucket, in order, to a Fold
//! ```
//!
//! Source: bbolt `internal/common/*.go`, `db.go`, `tx_check.go` @ v1.4.3; the
//! format is the same in 1.3, 1.4 and 1.5.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod apart;
mod bucket;
mod build;
mod census;
mod db;
mod encode;
mod fault;
mod fold;
mod freelist;
mod image;
mod leaf_index;
mod leaves;
mod meta;
mod ordered;
mod page;
mod page_set;
mod patch;
mod plan;
mod relic;
mod sample;
mod survey;
mod tree;
mod unreached;
mod walk;
mod walker;

pub use bucket::{Bucket, BucketRoot};
pub use build::{BuildError, Builder, Layout, Metas};
pub use census::{Census, FormFound, Level, PageView, Parent, Referrer, Referrers, Run, Tree, Use};
pub use db::{Db, OpenError};
pub use fault::{Excerpt, Fault, FaultKind, FaultLog, KeyRange, Place};
pub use fold::{Fold, LeafView};
pub use image::Image;
pub use leaf_index::{IndexedLeaf, LeafIndex, LeafIndexes};
pub use leaves::{
    Leaves, last_element, leaves_backward, leaves_backward_in_any_order, leaves_forward, top_level_buckets,
};
pub use meta::{Meta, MetaFault, MetaFields, NO_FREELIST, PageSize};
pub use ordered::ordered;
pub use page::{BranchElement, LeafElement, PageFlags, RawHeader};
pub use patch::{Entries, Patch, PatchError, Patched};
pub use relic::{Relic, RelicElement, RelicKind, RelicPart, page_begins, relic_jobs, relics};
pub use sample::sample;
pub(crate) use survey::buckets_of_root;
pub use survey::{
    BrokenPage, Edges, KeySpan, LostKeys, Survey, Surveyor, Trust, inline_entries, vacancies, whole_leaf,
};
pub use unreached::{Gap, GapKind, Unreached, all_unreached, walk_unreached};
pub use walk::{
    BucketCounts, PageCounts, WalkOptions, WalkReport, bucket_names, small_bucket, small_buckets, walk,
};

/// Number of a page: its offset divided by the page size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub u64);

/// Number of a write transaction; every commit takes the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxId(pub u64);

/// Bytes from the start of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileOffset(pub u64);

impl std::fmt::Display for PageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for TxId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for FileOffset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
