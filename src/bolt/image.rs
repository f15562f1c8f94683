//! The pages of a database as one address space: a file's bytes, and behind
//! them, for a database about to be written, the pages that will be appended.

use super::fault::FaultKind;
use super::meta::PageSize;
use super::page::{HEADER_SIZE, LeafElement, Page, PageFlags, RawHeader};
use super::{FileOffset, PageId};

/// Pages by number. Cheap to copy; borrows everything.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    base: &'a [u8],
    appendix: &'a [u8],
    appendix_start: u64,
    page_size: PageSize,
    high_water_mark: PageId,
    /// Runs of pages, by first page and length, that were in use before the
    /// appendix took their place. Whatever else claims them was damaged then.
    retired: &'a [(PageId, u64)],
}

impl<'a> Image<'a> {
    pub(crate) fn new(base: &'a [u8], page_size: PageSize, high_water_mark: PageId) -> Self {
        Self { base, appendix: &[], appendix_start: u64::MAX, page_size, high_water_mark, retired: &[] }
    }

    /// `base`, cut at `start`, with `appendix` behind it, which takes the place of
    /// the `retired` pages.
    pub(crate) fn with_appendix(
        self,
        start: FileOffset,
        appendix: &'a [u8],
        high_water_mark: PageId,
        retired: &'a [(PageId, u64)],
    ) -> Self {
        let end = usize::try_from(start.0).unwrap_or(usize::MAX);
        Self {
            base: self.base.get(..end).unwrap_or(self.base),
            appendix,
            appendix_start: start.0,
            page_size: self.page_size,
            high_water_mark,
            retired,
        }
    }

    /// Runs of pages that are no longer in use and that nothing else may claim.
    pub(crate) fn retired(&self) -> &'a [(PageId, u64)] {
        self.retired
    }

    /// The bytes of the file, without what is to be appended.
    pub(crate) fn file(&self) -> &'a [u8] {
        self.base
    }

    /// Bytes per page.
    pub fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// The first page that was never allocated.
    pub fn high_water_mark(&self) -> PageId {
        self.high_water_mark
    }

    /// Where the bytes end, as a file offset.
    fn end(&self) -> u64 {
        if self.appendix.is_empty() {
            self.base.len() as u64
        } else {
            self.appendix_start.saturating_add(self.appendix.len() as u64)
        }
    }

    /// Pages that could be in use: below the high-water mark and inside the file.
    pub(crate) fn page_limit(&self) -> u64 {
        self.high_water_mark.0.min(self.end().div_ceil(self.page_size.bytes()))
    }

    /// Where a page begins.
    pub fn offset_of(&self, id: PageId) -> FileOffset {
        FileOffset(id.0.saturating_mul(self.page_size.bytes()))
    }

    /// The bytes from `offset` on, to the end of what is contiguous.
    fn bytes_from(&self, offset: FileOffset) -> Option<&'a [u8]> {
        let (part, within) = if offset.0 >= self.appendix_start {
            (self.appendix, offset.0.checked_sub(self.appendix_start)?)
        } else {
            (self.base, offset.0)
        };
        part.get(usize::try_from(within).ok()?..)
    }

    /// `length` bytes at `offset`.
    pub fn bytes_at(&self, offset: FileOffset, length: usize) -> Option<&'a [u8]> {
        self.bytes_from(offset)?.get(..length)
    }

    /// The bytes of `pages` pages from `id` on, as far as there are any.
    pub(crate) fn run(&self, id: PageId, pages: u64) -> &'a [u8] {
        let rest = self.bytes_from(self.offset_of(id)).unwrap_or_default();
        let length = usize::try_from(pages.saturating_mul(self.page_size.bytes())).unwrap_or(usize::MAX);
        rest.get(..length).unwrap_or(rest)
    }

    /// A page with its overflow run, its header checked: see [`Page`].
    ///
    /// The flags are not looked at; what kind of page is wanted here, the caller
    /// knows.
    pub(crate) fn page(&self, id: PageId) -> Result<Page<'a>, FaultKind> {
        if id.0 < 2 || id >= self.high_water_mark {
            return Err(FaultKind::ReferenceOutOfRange { target: id, high_water_mark: self.high_water_mark });
        }
        let offset = self.offset_of(id);
        let beyond = |pages: u64| FaultKind::BeyondFile {
            end: offset.0.saturating_add(pages.saturating_mul(self.page_size.bytes())),
            length: self.end(),
        };
        let bytes = self.bytes_from(offset).unwrap_or_default();
        let header = RawHeader::read(bytes).ok_or_else(|| beyond(1))?;
        if header.id != id.0 {
            return Err(FaultKind::PageId { position: id, id: header.id });
        }
        let pages = u64::from(header.overflow).saturating_add(1);
        if id.0.saturating_add(pages) > self.high_water_mark.0 {
            return Err(FaultKind::OverflowOutOfRange {
                overflow: header.overflow,
                high_water_mark: self.high_water_mark,
            });
        }
        let length =
            usize::try_from(pages.saturating_mul(self.page_size.bytes())).map_err(|_| beyond(pages))?;
        let bytes = bytes.get(..length).ok_or_else(|| beyond(pages))?;
        Ok(Page { id, flags: header.flags, count: header.count, overflow: header.overflow, bytes, offset })
    }

    /// Bytes of the page at `id` with its overflow, if its header is sound.
    pub(crate) fn run_length(&self, id: PageId) -> Option<u64> {
        self.page(id).ok().map(|page| page.bytes.len() as u64)
    }

    /// Number and kind in the header of meta page `number`, which opening a file
    /// does not look at.
    pub fn meta_header(&self, number: u64) -> Option<(u64, PageFlags)> {
        let header = RawHeader::read(self.bytes_at(self.offset_of(PageId(number)), HEADER_SIZE)?)?;
        Some((header.id, header.flags))
    }

    /// The key and value of a leaf element that a walk has met, by the offset it
    /// had. Checked anew, as the file may have changed: `None` if they do not lie
    /// inside it any more.
    #[inline]
    pub fn element(&self, offset: FileOffset) -> Option<LeafElement<'a>> {
        let bytes = self.bytes_from(offset)?;
        LeafElement::read(bytes, 0, 0, offset).map(|(element, _)| element)
    }

    /// The page that an element's offset lies in (the first of its run is not
    /// known from here).
    pub fn page_of(&self, offset: FileOffset) -> PageId {
        PageId(self.page_size.pages_in(offset.0))
    }

    /// The leaf page image inside an inline bucket's value.
    pub(crate) fn inline_page(bytes: &'a [u8], offset: FileOffset) -> Option<Page<'a>> {
        let header = RawHeader::read(bytes)?;
        Some(Page {
            id: PageId(0),
            flags: header.flags,
            count: header.count,
            overflow: header.overflow,
            bytes,
            offset,
        })
    }
}
