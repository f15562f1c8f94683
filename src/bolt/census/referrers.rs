//! Who points at a page: all that do, not only the one it belongs to.

use std::collections::{BTreeMap, BTreeSet};

use super::super::PageId;
use super::super::bucket::BucketRoot;
use super::super::freelist::free_pages;
use super::super::page::{PageFlags, RawHeader};
use super::run::page;
use super::{Census, Use};

/// Something that names a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Referrer {
    /// A meta, as the root of all.
    Root {
        /// Which of the two.
        meta: usize,
    },
    /// A meta, as the list of free pages.
    Freelist {
        /// Which of the two.
        meta: usize,
    },
    /// The header of a bucket.
    Bucket {
        /// The bucket's tree.
        tree: usize,
        /// The page of the header.
        page: PageId,
        /// The element.
        element: u32,
    },
    /// An element of a branch.
    Branch {
        /// The branch.
        page: PageId,
        /// The element.
        element: u32,
        /// Whether the branch is in use. If not, it is what an earlier
        /// transaction left behind.
        in_use: bool,
    },
    /// The list of free pages.
    Listed {
        /// Position in the list, from 0.
        index: u64,
    },
}

/// All that name one page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Referrers {
    /// The first [`KEPT`](Self::KEPT) of them.
    pub first: Vec<Referrer>,
    /// How many there are.
    pub count: u64,
}

impl Referrers {
    /// How many are kept in full.
    pub const KEPT: usize = 100;

    fn push(&mut self, referrer: Referrer) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < Self::KEPT {
            self.first.push(referrer);
        }
    }
}

impl Census<'_> {
    /// All that name one of the `wanted` pages, in one pass over metas, buckets,
    /// branches in use, branches that are left over, and the list of free pages.
    ///
    /// Of a branch that is left over only the first page is looked at: what
    /// followed it may be something else by now.
    pub fn referrers(&self, wanted: &BTreeSet<PageId>) -> BTreeMap<PageId, Referrers> {
        let mut found: BTreeMap<PageId, Referrers> = BTreeMap::new();
        let mut push = |id: PageId, referrer| {
            if wanted.contains(&id) {
                found.entry(id).or_default().push(referrer);
            }
        };
        let metas = self.db.iter().flat_map(|db| db.metas.iter().enumerate());
        for (meta, fields) in metas.filter_map(|(number, meta)| Some((number, meta.as_ref().ok()?))) {
            push(fields.root, Referrer::Root { meta });
            if let Some(freelist) = fields.freelist {
                push(freelist, Referrer::Freelist { meta });
            }
        }
        for (tree, bucket) in self.trees.iter().enumerate() {
            if let (BucketRoot::Tree(root), Some((page, element))) = (bucket.root, bucket.place) {
                push(root, Referrer::Bucket { tree, page, element });
            }
        }
        for run in self.runs() {
            let pages = if run.kind.is_unused() { 1 } else { run.pages };
            let bytes = self.image.run(run.first, pages);
            let Some(header) = RawHeader::read(bytes) else { continue };
            let in_use = run.kind == Use::Branch;
            if header.flags != PageFlags::BRANCH || (header.id != run.first.0 && !in_use) {
                continue;
            }
            let branch = page(header, run.first, bytes, self.image.offset_of(run.first));
            for (element, child) in branch.children() {
                push(child, Referrer::Branch { page: run.first, element, in_use });
            }
        }
        let freelist = self.db.as_ref().and_then(|db| self.tree_page(db.meta.freelist?));
        for (index, id) in (0..).zip(freelist.iter().filter_map(|page| free_pages(page).ok()).flatten()) {
            push(id, Referrer::Listed { index });
        }
        found
    }
}
