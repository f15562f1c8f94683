//! The stored list of free pages, where there is one. etcd stores none: its
//! free pages are those that nothing reaches.

use std::ops::Range;

use super::PageId;
use super::fault::FaultKind;
use super::page::{HEADER_SIZE, Page, PageFlags};
use crate::codec::fixed::u64_le;

/// `count` of a freelist page whose real count is the first entry.
const LONG_FORM: u16 = 0xFFFF;

/// The ids on a freelist page, which `16 + 8 * n` bytes hold, or `16 + 8 * (1 + n)`
/// in the long form. Source: bbolt `internal/freelist/shared.go`.
pub(crate) fn free_pages<'a>(page: &Page<'a>) -> Result<impl Iterator<Item = PageId> + use<'a>, FaultKind> {
    let (ids, _) = free_ids(page)?;
    Ok(ids.chunks_exact(8).filter_map(|id| u64_le(id, 0)).map(PageId))
}

/// The bytes of the ids, and where in the page they stand.
pub(super) fn free_ids<'a>(page: &Page<'a>) -> Result<(&'a [u8], Range<usize>), FaultKind> {
    if page.flags != PageFlags::FREELIST {
        return Err(FaultKind::NotAFreelist { flags: page.flags });
    }
    let region = page.bytes.len() as u64;
    let too_long = |count| FaultKind::FreelistTooLong { count, region };
    let (count, start) = if page.count == LONG_FORM {
        (u64_le(page.bytes, HEADER_SIZE).ok_or_else(|| too_long(1))?, HEADER_SIZE + 8)
    } else {
        (u64::from(page.count), HEADER_SIZE)
    };
    let length = count
        .checked_mul(8)
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| too_long(count))?;
    let end = start.checked_add(length).ok_or_else(|| too_long(count))?;
    let ids = page.bytes.get(start..end).ok_or_else(|| too_long(count))?;
    Ok((ids, start..end))
}
