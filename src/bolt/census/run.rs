//! Runs: a page with its overflow, as the census has it.

use super::super::page::{BranchElement, HEADER_SIZE, Page, RawHeader};
use super::super::tree::MAX_DEPTH;
use super::super::{FileOffset, PageId};
use super::slot::{FAULTY, LISTED, SHARED};
use super::{Census, Use};

/// A page with the pages that belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Its first page.
    pub first: PageId,
    /// How many pages it has.
    pub pages: u64,
    /// What it is used for.
    pub kind: Use,
    /// The tree it is in, as an index into [`Census::trees`].
    pub tree: Option<usize>,
    /// Branches above it in that tree.
    pub depth: u32,
    /// What leads to it.
    pub parent: Option<Parent>,
    /// Whether something is wrong with it.
    pub faulty: bool,
    /// Whether more than one claims it, or a part of it.
    pub shared: bool,
    /// Whether the stored list of free pages has it.
    pub listed: bool,
}

/// What leads to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// The meta that holds.
    Meta,
    /// An element: of a branch, or of a leaf that has a bucket's header there.
    Element {
        /// Its page.
        page: PageId,
        /// Its index.
        element: u32,
    },
}

/// The keys that a page may hold: at or above the first, below the second.
type Range<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

impl<'a> Census<'a> {
    /// All runs, in the order of the file; of pages that nothing uses, each is
    /// one by itself.
    pub fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let mut next = PageId(0);
        std::iter::from_fn(move || {
            let run = self.run(next)?;
            next = PageId(next.0.saturating_add(run.pages));
            Some(run)
        })
    }

    /// The run that a page is in; `None` beyond the last page.
    pub fn run_of(&self, id: PageId) -> Option<Run> {
        let slot = self.slot(id)?;
        let head = slot.from().filter(|_| slot.kind == Use::Overflow);
        self.run(head.map_or(id, |(head, _)| head))
    }

    /// The child that an element of a branch leads to; `None` if that belongs to
    /// another element, or to nothing.
    pub fn child(&self, branch: &Run, element: &BranchElement<'_>) -> Option<Run> {
        let slot = self.slot(element.child)?;
        let ours = slot.from() == Some((branch.first, element.index));
        if ours && slot.kind != Use::Overflow { self.run(element.child) } else { None }
    }

    /// The run that begins with page `id`.
    fn run(&self, id: PageId) -> Option<Run> {
        let slot = *self.slot(id)?;
        let behind = (id.0.saturating_add(1)..self.pages()).map(PageId);
        let ours = |next: &PageId| {
            self.slot(*next).is_some_and(|slot| {
                slot.kind == Use::Overflow && slot.from().is_some_and(|(head, _)| head == id)
            })
        };
        let tail = behind.take_while(ours).count() as u64;
        let tree = slot.tree();
        let element = |(page, element)| Parent::Element { page, element };
        let above = match slot.from() {
            Some(from) => Some(element(from)),
            // The root of its tree: the bucket's header leads here.
            None => match tree.and_then(|tree| self.trees.get(tree)) {
                Some(tree) => Some(tree.place.map_or(Parent::Meta, element)),
                None => {
                    let meta = self.db.as_ref().map(|db| db.meta);
                    meta.filter(|meta| meta.freelist == Some(id)).map(|_| Parent::Meta)
                }
            },
        };
        Some(Run {
            first: id,
            pages: tail.saturating_add(1),
            kind: slot.kind,
            tree,
            depth: slot.depth(),
            parent: above,
            faulty: slot.is(FAULTY),
            shared: slot.is(SHARED),
            listed: slot.is(LISTED),
        })
    }

    /// The keys that a page of a tree may hold, by the branches above it.
    pub fn bounds(&self, run: &Run) -> Range<'a> {
        let mut lower = None;
        let mut id = run.first;
        for level in 0..MAX_DEPTH {
            let Some(slot) = self.slot(id) else { break };
            let Some((page, index)) = slot.from() else { break };
            let Some(parent) = self.tree_page(page) else { break };
            if level == 0 {
                lower = parent.branch_element(index).ok().map(|element| element.key);
            }
            let next = index.saturating_add(1);
            let above = parent.branch_element(next).ok().filter(|_| next < u32::from(parent.count));
            if let Some(above) = above {
                return (lower, Some(above.key));
            }
            id = page;
        }
        (lower, None)
    }

    /// A page of a tree, with the run that the census gives it.
    pub(super) fn tree_page(&self, id: PageId) -> Option<Page<'a>> {
        let header = self.header(id)?;
        // A branch has all that it claims; counting its pages anew for each child
        // would cost far more than reading them.
        let pages = match self.slot(id)?.kind {
            Use::Branch | Use::Freelist => u64::from(header.overflow).saturating_add(1),
            _ => self.run(id)?.pages,
        };
        Some(page(header, id, self.image.run(id, pages), self.image.offset_of(id)))
    }

    /// The header of a page, whatever it is used for.
    pub fn header(&self, id: PageId) -> Option<RawHeader> {
        RawHeader::read(self.image.bytes_at(self.image.offset_of(id), HEADER_SIZE)?)
    }
}

pub(super) fn page(header: RawHeader, id: PageId, bytes: &[u8], offset: FileOffset) -> Page<'_> {
    Page { id, flags: header.flags, count: header.count, overflow: header.overflow, bytes, offset }
}
