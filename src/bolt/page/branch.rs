//! Branch pages: separators and the pages they lead to.

use super::super::PageId;
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

/// How many bytes the keys of a branch page may still have. Together they have no
/// more than the page has behind its table, or comparing and copying them would
/// cost far more than reading the page: 65,535 elements can share one long key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyBudget {
    claimed: u64,
    limit: u64,
    region: u64,
}

impl KeyBudget {
    pub(crate) fn new(page: &Page<'_>) -> Self {
        let region = page.bytes.len();
        Self { claimed: 0, limit: region.saturating_sub(page.table_end()) as u64, region: region as u64 }
    }

    /// Takes in the next key.
    ///
    /// # Errors
    /// [`FaultKind::ElementsTooLarge`] for this key and all that follow, once
    /// there is no room left for it.
    pub(crate) fn spend(&mut self, key: &[u8]) -> Result<(), FaultKind> {
        self.claimed = self.claimed.saturating_add(key.len() as u64);
        if self.claimed > self.limit {
            return Err(FaultKind::ElementsTooLarge { claimed: self.claimed, region: self.region });
        }
        Ok(())
    }
}

impl<'a> Page<'a> {
    /// The children of a branch page, in order; each stands for itself.
    ///
    /// Reading costs no more than the page is long: see [`KeyBudget`].
    pub(crate) fn branch_elements(
        &self,
    ) -> Result<impl Iterator<Item = Result<BranchElement<'a>, (u32, FaultKind)>> + use<'a>, FaultKind> {
        self.check_table()?;
        let page = *self;
        let mut budget = KeyBudget::new(self);
        Ok((0..u32::from(self.count)).map(move |index| {
            page.branch_element(index)
                .and_then(|element| budget.spend(element.key).map(|()| element))
                .map_err(|kind| (index, kind))
        }))
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
        let at = HEADER_SIZE.saturating_mul(index as usize).saturating_add(HEADER_SIZE);
        let outside = |start: u64, end: u64| FaultKind::ElementOutside {
            start,
            end,
            first: self.table_end() as u64,
            region: self.bytes.len() as u64,
        };
        let read = || {
            Some((
                u32_le(self.bytes, at)?,
                u32_le(self.bytes, at.checked_add(4)?)?,
                u64_le(self.bytes, at.checked_add(8)?)?,
            ))
        };
        let Some((pos, size, child)) = read() else {
            return Err(outside(at as u64, at as u64));
        };
        if !(1..=MAX_KEY_SIZE).contains(&size) {
            return Err(FaultKind::KeySize { size });
        }
        let start = at.saturating_add(pos as usize);
        let end = start.saturating_add(size as usize);
        match self.bytes.get(start..end) {
            Some(key) if start >= self.table_end() => Ok(BranchElement { index, key, child: PageId(child) }),
            _ => Err(outside(start as u64, end as u64)),
        }
    }

    /// The first element of a branch page whose key does not follow the one before it.
    /// `None` also if not all of them can be read, for which there are other words.
    pub(crate) fn branch_gap(&self) -> Option<(u32, FaultKind)> {
        let mut gap = None;
        let mut before = self.table_end() as u64;
        for element in self.branch_elements().ok()? {
            let BranchElement { index, key, .. } = element.ok()?;
            let at = HEADER_SIZE.saturating_mul(index as usize).saturating_add(HEADER_SIZE);
            let start = (at as u64).saturating_add(u64::from(u32_le(self.bytes, at)?));
            if gap.is_none() && start != before {
                let kind = if start > before {
                    FaultKind::ElementsApart { start, before }
                } else {
                    FaultKind::ElementsOverlap { start, other_end: before }
                };
                gap = Some((index, kind));
            }
            before = start.saturating_add(key.len() as u64);
        }
        gap
    }
}
