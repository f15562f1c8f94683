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

/// Bytes of the data behind the table, or why there can be no such page.
fn data_size<'e>(parts: impl Iterator<Item = (&'e [u8], &'e [u8])>) -> Result<(u16, usize), TooLarge> {
    let (mut count, mut size) = (0u16, 0usize);
    for (key, value) in parts {
        // 0xFFFF elements are legal for bbolt, one less leaves no doubt.
        count = count.checked_add(1).filter(|count| *count < u16::MAX).ok_or(TooLarge)?;
        if key.is_empty() || key.len() > MAX_KEY_SIZE as usize {
            return Err(TooLarge);
        }
        size = size
            .checked_add(HEADER_SIZE)
            .and_then(|size| size.checked_add(key.len()))
            .and_then(|size| size.checked_add(value.len()))
            .ok_or(TooLarge)?;
    }
    let size = size.checked_add(HEADER_SIZE).filter(|size| *size <= MAX_RUN).ok_or(TooLarge)?;
    Ok((count, size))
}

/// Bytes that a leaf page with these entries has, without padding.
pub(crate) fn leaf_size(entries: &[LeafEntry<'_>]) -> Result<usize, TooLarge> {
    data_size(entries.iter().map(|entry| (entry.key, entry.value))).map(|(_, size)| size)
}

/// Where the data of a page with `count` elements begins.
fn table_end(count: u16) -> usize {
    HEADER_SIZE.saturating_mul(usize::from(count).saturating_add(1))
}

/// `pos` of an element: from its own start, `element`, to its data.
fn position(data: usize, element: usize) -> Result<u32, TooLarge> {
    data.checked_sub(element).and_then(|position| u32::try_from(position).ok()).ok_or(TooLarge)
}

fn header(
    id: PageId,
    flags: PageFlags,
    count: u16,
    size: usize,
    page_size: Option<PageSize>,
) -> Result<(Vec<u8>, usize), TooLarge> {
    let page = page_size.map_or(1, |page_size| page_size.bytes());
    let length = (size as u64).checked_next_multiple_of(page).ok_or(TooLarge)?;
    let overflow = match page_size {
        Some(page_size) => page_size.pages_in(length).saturating_sub(1),
        None => 0,
    };
    let overflow = u32::try_from(overflow).map_err(|_| TooLarge)?;
    let length = usize::try_from(length).map_err(|_| TooLarge)?;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(&RawHeader { id: id.0, flags, count, overflow }.to_bytes());
    Ok((bytes, length))
}

/// A leaf page run: padded to whole pages, or, without a page size, the image
/// inside an inline bucket.
pub(crate) fn leaf_page(
    id: PageId,
    entries: &[LeafEntry<'_>],
    page_size: Option<PageSize>,
) -> Result<Vec<u8>, TooLarge> {
    let (count, size) = data_size(entries.iter().map(|entry| (entry.key, entry.value)))?;
    let (mut bytes, length) = header(id, PageFlags::LEAF, count, size, page_size)?;
    let mut data = table_end(count);
    for entry in entries {
        let position = position(data, bytes.len())?;
        bytes.extend_from_slice(&(if entry.is_bucket { BUCKET_FLAG } else { 0 }).to_le_bytes());
        bytes.extend_from_slice(&position.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(entry.key.len()).map_err(|_| TooLarge)?.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(entry.value.len()).map_err(|_| TooLarge)?.to_le_bytes());
        data = data.saturating_add(entry.key.len()).saturating_add(entry.value.len());
    }
    for entry in entries {
        bytes.extend_from_slice(entry.key);
        bytes.extend_from_slice(entry.value);
    }
    bytes.resize(length, 0);
    Ok(bytes)
}

/// A branch page run, padded to whole pages.
pub(crate) fn branch_page(
    id: PageId,
    entries: &[BranchEntry<'_>],
    page_size: PageSize,
) -> Result<Vec<u8>, TooLarge> {
    let (count, size) = data_size(entries.iter().map(|entry| (entry.key, &[][..])))?;
    let (mut bytes, length) = header(id, PageFlags::BRANCH, count, size, Some(page_size))?;
    let mut data = table_end(count);
    for entry in entries {
        let position = position(data, bytes.len())?;
        bytes.extend_from_slice(&position.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(entry.key.len()).map_err(|_| TooLarge)?.to_le_bytes());
        bytes.extend_from_slice(&entry.child.0.to_le_bytes());
        data = data.saturating_add(entry.key.len());
    }
    for entry in entries {
        bytes.extend_from_slice(entry.key);
    }
    bytes.resize(length, 0);
    Ok(bytes)
}
