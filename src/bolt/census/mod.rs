//! What each page of a file is used for, and who says so.
//!
//! A census is a walk with a memory: it goes the way of the careful plan
//! ([`tree::careful`](super::tree)), so it reports the same faults, and writes
//! down for every page which tree it belongs to, how deep, and which element
//! leads to it. From that follow the keys that a page may hold and what is free.
//!
//! Made for damaged files. A page that two parents claim belongs to the first;
//! a page that cannot be used is [`Use::Bad`] and keeps its parent; where both
//! metas are unusable, [`Census::by_form`] goes by the pages' own headers.
//!
//! Cost: linear in the file, without recursion. Memory: 16 bytes for each page of
//! the file and some 200 for each bucket; while it is taken, some 100 more for
//! each leaf of the tree at hand.

mod form;
mod referrers;
mod run;
mod slot;
mod take;
mod view;

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;

use super::bucket::BucketRoot;
use super::db::Db;
use super::fault::FaultLog;
use super::image::Image;
use super::{FileOffset, PageId};

pub use form::FormFound;
pub use referrers::{Referrer, Referrers};
pub use run::{Parent, Run};
pub use slot::Use;
pub use view::PageView;

use slot::Slot;

/// What is known of every page.
#[derive(Debug)]
pub struct Census<'a> {
    image: Image<'a>,
    /// Absent where no meta could be used.
    db: Option<Db<'a>>,
    slots: Vec<Slot>,
    trees: Vec<Tree<'a>>,
    faults: FaultLog,
    /// Whether there is a list of free pages that could be read.
    freelist_read: bool,
    /// Bytes of the file.
    file_size: u64,
}

/// The tree of a bucket, or of the root, whose entries are the buckets.
#[derive(Debug, Clone)]
pub struct Tree<'a> {
    /// The bucket's name among its siblings; empty for the root.
    pub name: &'a [u8],
    /// The tree that the bucket stands in; `None` for the root.
    pub parent: Option<usize>,
    /// 0 for the root, 1 for a bucket in it, and so on.
    pub nesting: u32,
    /// The first bucket on the way from the root; itself at nesting 1.
    pub top: usize,
    /// The page and the element that hold the bucket's header.
    pub place: Option<(PageId, u32)>,
    /// Where its keys are.
    pub root: BucketRoot<'a>,
    /// bbolt's counter for the bucket.
    pub sequence: u64,
    /// Its levels, the root's first; one for an inline bucket.
    pub levels: Vec<Level>,
    /// How many faults are in it.
    pub faults: u64,
}

/// What the pages of one level of a tree come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level {
    /// Branch pages, without their overflow.
    pub branches: u64,
    /// Leaf pages, without their overflow. Of an inline bucket none.
    pub leaves: u64,
    /// Overflow pages of both.
    pub overflow: u64,
    /// Elements.
    pub elements: u64,
    /// Those of leaves: keys with a value, and nested buckets.
    pub keys: u64,
    /// Bytes that headers, elements, keys and values take.
    pub used: u64,
}

impl Level {
    /// All pages of the level.
    pub fn pages(&self) -> u64 {
        self.branches.saturating_add(self.leaves).saturating_add(self.overflow)
    }

    fn add(&mut self, more: &Self) {
        self.branches = self.branches.saturating_add(more.branches);
        self.leaves = self.leaves.saturating_add(more.leaves);
        self.overflow = self.overflow.saturating_add(more.overflow);
        self.elements = self.elements.saturating_add(more.elements);
        self.keys = self.keys.saturating_add(more.keys);
        self.used = self.used.saturating_add(more.used);
    }
}

impl Tree<'_> {
    /// All levels together.
    pub fn total(&self) -> Level {
        let mut total = Level::default();
        self.levels.iter().for_each(|level| total.add(level));
        total
    }

    /// Whether it has no pages of its own.
    pub fn is_inline(&self) -> bool {
        matches!(self.root, BucketRoot::Inline { .. })
    }
}

impl<'a> Census<'a> {
    /// Takes the census of a database.
    pub fn take(db: &Db<'a>, threads: NonZeroUsize, progress: Option<&AtomicU64>) -> Self {
        take::take(db, threads, progress)
    }

    /// The pages by their own headers, for a file without a usable meta: no tree
    /// is known then, so no bucket, no parent, and nothing that is surely free.
    /// `None` if not a single page looks like one.
    pub fn by_form(bytes: &'a [u8]) -> Option<Self> {
        form::by_form(bytes)
    }

    /// The pages.
    pub fn image(&self) -> Image<'a> {
        self.image
    }

    /// The database; `None` if the census was taken by form.
    pub fn db(&self) -> Option<&Db<'a>> {
        self.db.as_ref()
    }

    /// The trees: the root's first, each before those of the buckets in it.
    pub fn trees(&self) -> &[Tree<'a>] {
        &self.trees
    }

    /// Everything that is wrong, as a walk reports it.
    pub fn faults(&self) -> &FaultLog {
        &self.faults
    }

    /// How many pages are known: those below the high-water mark, as far as the
    /// file goes.
    pub fn pages(&self) -> u64 {
        self.slots.len() as u64
    }

    /// Whether a list of free pages is stored and could be read. Without one,
    /// free is what nothing reaches.
    pub fn has_freelist(&self) -> bool {
        self.freelist_read
    }

    /// The bytes behind the last page: where they begin, and how many there are.
    pub fn behind(&self) -> (FileOffset, u64) {
        let end = self.db.as_ref().map_or(self.file_size, |db| db.meta.image_size()).min(self.file_size);
        (FileOffset(end), self.file_size.saturating_sub(end))
    }

    /// Pages below the high-water mark that the file is too short for.
    pub fn missing_pages(&self) -> u64 {
        self.image.high_water_mark().0.saturating_sub(self.pages())
    }

    fn slot(&self, id: PageId) -> Option<&Slot> {
        self.slots.get(usize::try_from(id.0).ok()?)
    }
}
