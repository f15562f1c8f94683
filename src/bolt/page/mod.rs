//! Pages: header, element tables, and the slices they point at.

mod branch;
mod header;
mod leaf;

use super::fault::FaultKind;
use super::fold::Extent;
use super::freelist::free_ids;
use super::meta::{META_OFFSET, META_SIZE};
use super::{FileOffset, PageId};
use crate::codec::fixed::u32_le;

pub use branch::BranchElement;
pub(crate) use branch::KeysApart;
pub use header::{PageFlags, RawHeader};
pub use leaf::LeafElement;

/// Bytes of a page header, and of an element of either table.
pub(crate) const HEADER_SIZE: usize = 16;
/// The longest key that bbolt accepts.
pub(crate) const MAX_KEY_SIZE: u32 = 32_768;
/// Leaf element flag: the value is a bucket.
pub(crate) const BUCKET_FLAG: u32 = 1;

/// A page whose header was checked: it stands where it says, and all its
/// `1 + overflow` pages lie below the high-water mark and inside the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) id: PageId,
    pub(crate) flags: PageFlags,
    pub(crate) count: u16,
    pub(crate) overflow: u32,
    /// The whole run, header included.
    pub(crate) bytes: &'a [u8],
    /// Where `bytes` begins in the file.
    pub(crate) offset: FileOffset,
}

impl<'a> Page<'a> {
    /// Pages of the run, the first included.
    pub(crate) fn pages(&self) -> u64 {
        u64::from(self.overflow).saturating_add(1)
    }

    /// Whether there is more of the run than elements take that end at byte `end`.
    pub(crate) fn unused_overflow(&self, end: u64) -> Option<FaultKind> {
        let page_size = (self.bytes.len() as u64).checked_div(self.pages()).filter(|size| *size > 0)?;
        let most = end.checked_div(page_size)?.saturating_add(1);
        (self.pages() > most).then_some(FaultKind::OverflowUnused { pages: self.pages(), end })
    }

    /// The page as if its run ended before its `pages`th page.
    pub(crate) fn cut(mut self, pages: u64, page_size: u64) -> Self {
        let length = usize::try_from(pages.saturating_mul(page_size)).unwrap_or(usize::MAX);
        self.bytes = self.bytes.get(..length).unwrap_or(self.bytes);
        self
    }

    /// What it takes up in the file.
    pub(super) fn extent(&self) -> Extent<'a> {
        Extent { start: self.offset, bytes: self.bytes, table_end: self.table_end() }
    }

    /// Where the element table ends, from the start of the page.
    pub(super) fn table_end(&self) -> usize {
        // At most 16 + 16 * 65535.
        HEADER_SIZE.saturating_add(HEADER_SIZE.saturating_mul(usize::from(self.count)))
    }

    fn check_table(&self) -> Result<(), FaultKind> {
        if self.table_end() > self.bytes.len() {
            return Err(FaultKind::TableTooLong { count: self.count, region: self.bytes.len() as u64 });
        }
        Ok(())
    }

    /// Offset in the file of element `index`.
    pub(crate) fn element_offset(&self, index: u32) -> FileOffset {
        let within = (HEADER_SIZE as u64).saturating_mul(u64::from(index).saturating_add(1));
        FileOffset(self.offset.0.saturating_add(within))
    }

    /// Where the last byte ends that the page's own kind has a use for, from the
    /// start of the page. What is behind is slack. `None` if that cannot be told:
    /// a page of no kind, or a table that does not fit.
    pub(crate) fn used(&self) -> Option<u64> {
        match self.flags {
            PageFlags::META => Some((META_OFFSET.saturating_add(META_SIZE)) as u64),
            PageFlags::FREELIST => {
                let (_, ids) = free_ids(self).ok()?;
                Some(ids.end as u64)
            }
            PageFlags::BRANCH | PageFlags::LEAF => {
                self.check_table().ok()?;
                let region = self.bytes.len() as u64;
                let ends = (0..usize::from(self.count)).filter_map(|index| self.data_end(index));
                Some(ends.filter(|end| *end <= region).max().unwrap_or(0).max(self.table_end() as u64))
            }
            _ => None,
        }
    }

    /// Where the data of an element would end, from the start of the page.
    fn data_end(&self, index: usize) -> Option<u64> {
        let at = HEADER_SIZE.saturating_mul(index).saturating_add(HEADER_SIZE);
        let field = |offset| Some(u64::from(u32_le(self.bytes, at.checked_add(offset)?)?));
        let sizes = if self.flags == PageFlags::LEAF {
            [field(4)?, field(8)?, field(12)?]
        } else {
            [field(0)?, field(4)?, 0]
        };
        Some(sizes.into_iter().fold(at as u64, u64::saturating_add))
    }
}
