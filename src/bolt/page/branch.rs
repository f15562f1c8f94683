//! Branch pages: separators and the pages they lead to.

use super::super::PageId;
use super::super::apart::apart;
use super::super::fault::FaultKind;
use super::{HEADER_SIZE, MAX_KEY_SIZE, Page};
use crate::codec::fixed::{u32_le, u64_le};

/// A child of a branch page.
///
/// | offset | size | field |
/// |--:|--:|---|
/// | 0 | 4 | `pos`: where the key is, from the start of this element |
/// | 4 | 4 | `ksize` |
/// | 8 | 8 | `pgid`: the child |
#[derive(Debug, Clone, Copy)]
pub struct BranchElement<'a> {
    /// Position in the page, from 0.
    pub index: u32,
    /// The smallest key of the child at the time it was last written.
    pub key: &'a [u8],
    /// The child's page.
    pub child: PageId,
}

/// Which elements of a branch page are believed.
///
/// Their keys together have no more bytes than the page has behind its table, or
/// comparing and copying them would cost far more than reading the page: 65,535 elements
/// can share one long key. Where they claim more, only such are believed as share none
/// ([`apart`]), so that a key whose size is wrong costs only itself.
#[derive(Debug, Clone)]
pub(crate) struct KeysApart {
    /// By their positions; none if there is room for all.
    kept: Option<Vec<bool>>,
    claimed: u64,
    region: u64,
}

impl KeysApart {
    /// Reads no more than the table.
    pub(crate) fn of(page: &Page<'_>) -> Self {
        let spans = || {
            let indices = 0..u32::from(page.count);
            indices.filter_map(|index| page.key_span(index).ok().map(|(start, end)| (index, (start, end))))
        };
        let lengths = spans().map(|(_, (start, end))| end.saturating_sub(start) as u64);
        let claimed = lengths.fold(0, u64::saturating_add);
        let room = page.bytes.len().saturating_sub(page.table_end()) as u64;
        let kept = (claimed > room).then(|| {
            let (indices, spans): (Vec<u32>, Vec<(usize, usize)>) = spans().unzip();
            let mut kept = vec![false; usize::from(page.count)];
            for (index, is_kept) in indices.into_iter().zip(apart(&spans, page.table_end())) {
                if let Some(kept) = kept.get_mut(index as usize) {
                    *kept = is_kept;
                }
            }
            kept
        });
        Self { kept, claimed, region: page.bytes.len() as u64 }
    }

    /// Whether the element at `index` is believed.
    ///
    /// # Errors
    /// [`FaultKind::ElementsTooLarge`] if it is in the way of others.
    pub(crate) fn check(&self, index: u32) -> Result<(), FaultKind> {
        match &self.kept {
            Some(kept) if kept.get(index as usize) != Some(&true) => {
                Err(FaultKind::ElementsTooLarge { claimed: self.claimed, region: self.region })
            }
            _ => Ok(()),
        }
    }
}

impl<'a> Page<'a> {
    /// The children of a branch page, in order; each stands for itself.
    ///
    /// Reading costs no more than the page is long: see [`KeysApart`].
    pub(crate) fn branch_elements(
        &self,
    ) -> Result<impl Iterator<Item = Result<BranchElement<'a>, (u32, FaultKind)>> + use<'a>, FaultKind> {
        self.check_table()?;
        let (page, keys) = (*self, KeysApart::of(self));
        let read = move |index| {
            let element = page.branch_element(index).and_then(|element| keys.check(index).map(|()| element));
            element.map_err(|kind| (index, kind))
        };
        Ok((0..u32::from(self.count)).map(read))
    }

    /// The pages that the elements of a branch page name, whatever their keys are.
    pub(crate) fn children(&self) -> impl Iterator<Item = (u32, PageId)> + use<'a> {
        let count = if self.check_table().is_ok() { u32::from(self.count) } else { 0 };
        let bytes = self.bytes;
        (0..count).filter_map(move |index| {
            let at = HEADER_SIZE.saturating_mul(index as usize).saturating_add(HEADER_SIZE);
            Some((index, PageId(u64_le(bytes, at.checked_add(8)?)?)))
        })
    }

    /// The child of a branch page at `index`.
    pub(crate) fn branch_element(&self, index: u32) -> Result<BranchElement<'a>, FaultKind> {
        let (start, end) = self.key_span(index)?;
        let outside = || self.key_outside(start, end);
        let key = self.bytes.get(start..end).ok_or_else(outside)?;
        let at = HEADER_SIZE.saturating_mul(index as usize).saturating_add(HEADER_SIZE);
        let child = u64_le(self.bytes, at.saturating_add(8)).ok_or_else(outside)?;
        Ok(BranchElement { index, key, child: PageId(child) })
    }

    /// Where the key of a branch element begins and ends, from the start of the page, if
    /// it lies inside it.
    fn key_span(&self, index: u32) -> Result<(usize, usize), FaultKind> {
        let at = HEADER_SIZE.saturating_mul(index as usize).saturating_add(HEADER_SIZE);
        let element = self.bytes.get(at..).and_then(|bytes| bytes.first_chunk::<HEADER_SIZE>());
        let read = |offset| u32_le(element?, offset);
        let (Some(position), Some(size)) = (read(0), read(4)) else {
            return Err(self.key_outside(at, at));
        };
        if !(1..=MAX_KEY_SIZE).contains(&size) {
            return Err(FaultKind::KeySize { size });
        }
        let start = at.saturating_add(position as usize);
        let end = start.saturating_add(size as usize);
        if start < self.table_end() || end > self.bytes.len() {
            return Err(self.key_outside(start, end));
        }
        Ok((start, end))
    }

    fn key_outside(&self, start: usize, end: usize) -> FaultKind {
        FaultKind::ElementOutside {
            start: start as u64,
            end: end as u64,
            first: self.table_end() as u64,
            region: self.bytes.len() as u64,
        }
    }

    /// The first element of a branch page whose key does not follow the one before it, or
    /// what is wrong behind the last. `None` also if not all of them can be read, for which
    /// there are other words.
    pub(crate) fn branch_gap(&self) -> Option<(Option<u32>, FaultKind)> {
        let mut gap = None;
        let mut before = self.table_end() as u64;
        for element in self.branch_elements().ok()? {
            let BranchElement { index, key, .. } = element.ok()?;
            let start = self.key_span(index).ok()?.0 as u64;
            if gap.is_none() && start != before {
                let kind = if start > before {
                    FaultKind::ElementsApart { start, before }
                } else {
                    FaultKind::ElementsOverlap { start, other_end: before }
                };
                gap = Some((Some(index), kind));
            }
            before = start.saturating_add(key.len() as u64);
        }
        gap.or_else(|| self.unused_overflow(before).map(|kind| (None, kind)))
    }
}
