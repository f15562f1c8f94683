//! What is written down for one page.

use super::super::PageId;

/// What a page is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Use {
    /// One of the two metas.
    Meta,
    /// The list of free pages.
    Freelist,
    /// A branch of a tree.
    Branch,
    /// A leaf of a tree.
    Leaf,
    /// A further page of one of those before it.
    Overflow,
    /// Something leads here, but the page is not what it should be.
    Bad,
    /// Nothing reaches it, and no list contradicts that.
    Free,
    /// Nothing reaches it, but the stored list of free pages does not have it.
    Leaked,
    /// By form only: its header is that of no page.
    Unknown,
}

impl Use {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Freelist => "freelist",
            Self::Branch => "branch",
            Self::Leaf => "leaf",
            Self::Overflow => "overflow",
            Self::Bad => "bad",
            Self::Free => "free",
            Self::Leaked => "leaked",
            Self::Unknown => "unknown",
        }
    }

    /// Whether no tree, list or meta has a use for it.
    pub fn is_unused(self) -> bool {
        matches!(self, Self::Free | Self::Leaked | Self::Unknown)
    }
}

/// A page, in 16 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// From the top: the page that leads here, 40 bits; the element, 16; the
    /// depth, 8. For overflow pages the first page of their run.
    place: u64,
    tree: u32,
    pub(super) kind: Use,
    marks: u8,
}

/// `place` without a page.
const NO_PAGE: u64 = (1 << 40) - 1;
const NO_TREE: u32 = u32::MAX;

/// Something is wrong with the page.
pub(super) const FAULTY: u8 = 1;
/// More than one claims it.
pub(super) const SHARED: u8 = 2;
/// It is in the stored list of free pages.
pub(super) const LISTED: u8 = 4;

impl Slot {
    /// A page that nothing has reached so far.
    pub(super) const UNREACHED: Self =
        Self { place: NO_PAGE << 24, tree: NO_TREE, kind: Use::Free, marks: 0 };

    pub(super) fn new(kind: Use, tree: Option<usize>, from: Option<(PageId, u32)>, depth: u32) -> Self {
        let (page, element) = from.map_or((NO_PAGE, 0), |(page, element)| (page.0.min(NO_PAGE), element));
        Self {
            // An element's number comes from 16 bits, a depth is 64 at most.
            place: page << 24 | u64::from(element & 0xffff) << 8 | u64::from(depth & 0xff),
            tree: tree.and_then(|tree| u32::try_from(tree).ok()).unwrap_or(NO_TREE),
            kind,
            marks: 0,
        }
    }

    pub(super) fn from(&self) -> Option<(PageId, u32)> {
        let page = self.place >> 24;
        let element = u32::try_from(self.place >> 8 & 0xffff).unwrap_or(0);
        (page != NO_PAGE).then_some((PageId(page), element))
    }

    pub(super) fn depth(&self) -> u32 {
        u32::try_from(self.place & 0xff).unwrap_or(0)
    }

    pub(super) fn tree(&self) -> Option<usize> {
        (self.tree != NO_TREE).then_some(self.tree as usize)
    }

    pub(super) fn mark(&mut self, mark: u8) {
        self.marks |= mark;
    }

    pub(super) fn is(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    /// Keeps its marks.
    pub(super) fn becomes(&mut self, slot: Self) {
        *self = Self { marks: self.marks | slot.marks, ..slot };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_costs_sixteen_bytes_and_keeps_what_it_was_given() {
        assert!(size_of::<Slot>() <= 16);
        for from in [None, Some((PageId(0), 0)), Some((PageId(NO_PAGE - 1), 65_535))] {
            let mut slot = Slot::new(Use::Leaf, Some(7), from, 64);
            slot.mark(SHARED);
            slot.becomes(Slot { kind: Use::Bad, ..slot });
            assert_eq!((slot.from(), slot.depth(), slot.tree(), slot.kind), (from, 64, Some(7), Use::Bad));
            assert!(slot.is(SHARED) && !slot.is(FAULTY));
        }
        assert_eq!((Slot::UNREACHED.from(), Slot::UNREACHED.tree()), (None, None));
    }
}
