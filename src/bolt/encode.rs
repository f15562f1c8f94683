//! Pages as bytes: the inverse of [`page`](super::page).
//!
//! Elements are laid out as bbolt lays them out: the table, then keys and
//! values in the order of the table, without gaps.

use super::PageId;
use super::meta::PageSize;
use super::page::{BUCKET_FLAG, HEADER_SIZE, MAX_KEY_SIZE, PageFlags, RawHeader};

/// An entry of a leaf page to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeafEntry<'e> {
    pub(crate) key: &'e [u8],
    pub(crate) value: &'e [u8],
    pub(crate) is_bucket: bool,
}

/// A child of a branch page to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BranchEntry<'e> {
    pub(crate) key: &'e [u8],
    pub(crate) child: PageId,
}

/// Entries that no single page run can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// The longest page run that bbolt reads.
const MAX_RUN: usize = 0x7FFF_FFFF;

/// One element of a page's table; its key, and of a leaf its value, follow those
/// of the elements before it.
#[derive(Debug, Clone, Copy)]
enum Element {
    Leaf { flags: u32, key: u32, value: u32 },
    Branch { key: u32, child: PageId },
}

/// A page to which elements are added one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    flags: PageFlags,
    elements: Vec<Element>,
    data: Vec<u8>,
    /// Header, table and data.
    size: usize,
    /// Whether only the size is wanted.
    measured_only: bool,
}

impl Draft {
    pub(crate) fn leaf() -> Self {
        Self::new(PageFlags::LEAF)
    }

    pub(crate) fn branch() -> Self {
        Self::new(PageFlags::BRANCH)
    }

    fn new(flags: PageFlags) -> Self {
        Self { flags, elements: Vec::new(), data: Vec::new(), size: HEADER_SIZE, measured_only: false }
    }

    /// To learn how long the page would be: keys and values are not kept.
    pub(crate) fn measured_only(self) -> Self {
        Self { measured_only: true, ..self }
    }

    /// Bytes of the page without padding.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Bytes of the page with another element.
    pub(crate) fn size_with(&self, key: &[u8], value: &[u8]) -> usize {
        self.size.saturating_add(HEADER_SIZE).saturating_add(key.len()).saturating_add(value.len())
    }

    pub(crate) fn count(&self) -> usize {
        self.elements.len()
    }

    /// Makes it an empty page of the same kind.
    pub(crate) fn clear(&mut self) {
        self.elements.clear();
        self.data.clear();
        self.size = HEADER_SIZE;
    }

    /// Takes in the bytes of an element, whose lengths are returned.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(u32, u32), TooLarge> {
        // 0xFFFF elements are legal for bbolt, one less leaves no doubt.
        if self.elements.len() >= usize::from(u16::MAX).saturating_sub(1) {
            return Err(TooLarge);
        }
        if key.is_empty() || key.len() > MAX_KEY_SIZE as usize {
            return Err(TooLarge);
        }
        let size = self.size_with(key, value);
        if size > MAX_RUN {
            return Err(TooLarge);
        }
        self.size = size;
        if !self.measured_only {
            self.data.extend_from_slice(key);
            self.data.extend_from_slice(value);
        }
        Ok((
            u32::try_from(key.len()).map_err(|_| TooLarge)?,
            u32::try_from(value.len()).map_err(|_| TooLarge)?,
        ))
    }

    /// Adds a key and its value.
    pub(crate) fn push(&mut self, entry: &LeafEntry<'_>) -> Result<(), TooLarge> {
        let (key, value) = self.take(entry.key, entry.value)?;
        let flags = if entry.is_bucket { BUCKET_FLAG } else { 0 };
        self.elements.push(Element::Leaf { flags, key, value });
        Ok(())
    }

    /// Adds a child.
    pub(crate) fn push_child(&mut self, entry: &BranchEntry<'_>) -> Result<(), TooLarge> {
        let (key, _) = self.take(entry.key, &[])?;
        self.elements.push(Element::Branch { key, child: entry.child });
        Ok(())
    }

    /// Takes the last child out again.
    pub(crate) fn pop_child(&mut self) -> Option<(Vec<u8>, PageId)> {
        let Some(Element::Branch { key, child }) = self.elements.last().copied() else { return None };
        let start = self.data.len().checked_sub(key as usize)?;
        self.elements.pop();
        self.size = self.size.saturating_sub(HEADER_SIZE).saturating_sub(key as usize);
        Some((self.data.split_off(start), child))
    }

    /// The key of the first element.
    pub(crate) fn first_key(&self) -> Option<&[u8]> {
        let (Element::Leaf { key, .. } | Element::Branch { key, .. }) = *self.elements.first()?;
        self.data.get(..key as usize)
    }

    /// Pages that the page's run takes.
    pub(crate) fn pages(&self, page_size: PageSize) -> u64 {
        (self.size as u64).div_ceil(page_size.bytes())
    }

    /// Appends the page to `bytes`: padded to whole pages, or, without a page
    /// size, as the image inside an inline bucket.
    pub(crate) fn write(
        &self,
        id: PageId,
        page_size: Option<PageSize>,
        bytes: &mut Vec<u8>,
    ) -> Result<(), TooLarge> {
        let pages = page_size.map_or(1, |page_size| self.pages(page_size));
        let overflow = u32::try_from(pages.saturating_sub(1)).map_err(|_| TooLarge)?;
        let length = match page_size {
            Some(page_size) => {
                usize::try_from(pages.saturating_mul(page_size.bytes())).map_err(|_| TooLarge)?
            }
            None => self.size,
        };
        let count = u16::try_from(self.elements.len()).map_err(|_| TooLarge)?;
        let start = bytes.len();
        bytes.reserve(length);
        bytes.extend_from_slice(&RawHeader { id: id.0, flags: self.flags, count, overflow }.to_bytes());
        let mut data = HEADER_SIZE.saturating_mul(usize::from(count).saturating_add(1));
        for element in &self.elements {
            let here = bytes.len().saturating_sub(start);
            // From the element's own start to its data.
            let position = data.checked_sub(here).and_then(|position| u32::try_from(position).ok());
            let position = position.ok_or(TooLarge)?.to_le_bytes();
            match *element {
                Element::Leaf { flags, key, value } => {
                    for word in [flags.to_le_bytes(), position, key.to_le_bytes(), value.to_le_bytes()] {
                        bytes.extend_from_slice(&word);
                    }
                    data = data.saturating_add(key as usize).saturating_add(value as usize);
                }
                Element::Branch { key, child } => {
                    bytes.extend_from_slice(&position);
                    bytes.extend_from_slice(&key.to_le_bytes());
                    bytes.extend_from_slice(&child.0.to_le_bytes());
                    data = data.saturating_add(key as usize);
                }
            }
        }
        // Of a page that was only measured the data is not there: zeros.
        bytes.extend_from_slice(&self.data);
        bytes.resize(start.saturating_add(length), 0);
        Ok(())
    }
}

/// Bytes that a leaf page with these entries has, without padding.
pub(crate) fn leaf_size(entries: &[LeafEntry<'_>]) -> Result<usize, TooLarge> {
    let mut page = Draft::leaf().measured_only();
    entries.iter().try_for_each(|entry| page.push(entry))?;
    Ok(page.size())
}

/// A leaf page run: padded to whole pages, or, without a page size, the image
/// inside an inline bucket.
pub(crate) fn leaf_page(
    id: PageId,
    entries: &[LeafEntry<'_>],
    page_size: Option<PageSize>,
) -> Result<Vec<u8>, TooLarge> {
    let mut page = Draft::leaf();
    entries.iter().try_for_each(|entry| page.push(entry))?;
    let mut bytes = Vec::new();
    page.write(id, page_size, &mut bytes)?;
    Ok(bytes)
}

/// A branch page run, padded to whole pages.
pub(crate) fn branch_page(
    id: PageId,
    entries: &[BranchEntry<'_>],
    page_size: PageSize,
) -> Result<Vec<u8>, TooLarge> {
    let mut page = Draft::branch();
    entries.iter().try_for_each(|entry| page.push_child(entry))?;
    let mut bytes = Vec::new();
    page.write(id, Some(page_size), &mut bytes)?;
    Ok(bytes)
}
