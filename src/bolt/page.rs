//! Pages: header, element tables, and the slices they point at.

use super::apart::apart;
use super::fault::FaultKind;
use super::fold::Extent;
use super::freelist::free_ids;
use super::meta::{META_OFFSET, META_SIZE};
use super::{FileOffset, PageId};
use crate::codec::fixed::{u16_le, u32_le, u64_le};

/// Bytes of a page header, and of an element of either table.
pub(crate) const HEADER_SIZE: usize = 16;
/// The longest key that bbolt accepts.
pub(crate) const MAX_KEY_SIZE: u32 = 32_768;
/// Leaf element flag: the value is a bucket.
pub(crate) const BUCKET_FLAG: u32 = 1;

/// The kind of a page. Exactly one of the constants in a sound file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageFlags(pub u16);

impl PageFlags {
    /// Separators and child page numbers.
    pub const BRANCH: Self = Self(0x01);
    /// Keys and values.
    pub const LEAF: Self = Self(0x02);
    /// One of the two metas.
    pub const META: Self = Self(0x04);
    /// The list of free pages.
    pub const FREELIST: Self = Self(0x10);
}

impl std::fmt::Display for PageFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::BRANCH => f.write_str("a branch page"),
            Self::LEAF => f.write_str("a leaf page"),
            Self::META => f.write_str("a meta page"),
            Self::FREELIST => f.write_str("a freelist page"),
            Self(other) => write!(f, "page flags {other:#06x}"),
        }
    }
}

/// Header at the start of every page: 16 bytes, little-endian.
///
/// | offset | size | field | meaning |
/// |--:|--:|---|---|
/// | 0 | 8 | `id` | its own number (0 inside an inline bucket) |
/// | 8 | 2 | `flags` | see [`PageFlags`] |
/// | 10 | 2 | `count` | elements that follow (freelist: `0xFFFF` means "see first entry") |
/// | 12 | 4 | `overflow` | further pages, contiguous, that belong to this one |
///
/// As read: nothing is checked yet. Source: bbolt `internal/common/page.go`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawHeader {
    /// The page's own number.
    pub id: u64,
    /// The kind of the page.
    pub flags: PageFlags,
    /// Elements that follow.
    pub count: u16,
    /// Further pages of the run.
    pub overflow: u32,
}

impl RawHeader {
    pub(crate) fn read(page: &[u8]) -> Option<Self> {
        Some(Self {
            id: u64_le(page, 0)?,
            flags: PageFlags(u16_le(page, 8)?),
            count: u16_le(page, 10)?,
            overflow: u32_le(page, 12)?,
        })
    }

    /// Whether this can be the header of page `id`: its number, a kind that there
    /// is, and no more elements than there is room for. Text and numbers that
    /// stand at the start of a page by chance do not look like it.
    pub(super) fn is_plausible(&self, id: u64, page_size: u64) -> bool {
        let room = u64::from(self.overflow).saturating_add(1).saturating_mul(page_size);
        let table = (HEADER_SIZE as u64).saturating_mul(u64::from(self.count).saturating_add(1));
        self.id == id
            && match self.flags {
                PageFlags::BRANCH | PageFlags::LEAF => table <= room,
                PageFlags::FREELIST => true,
                _ => false,
            }
    }

    pub(crate) fn to_bytes(self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let fields = self
            .id
            .to_le_bytes()
            .into_iter()
            .chain(self.flags.0.to_le_bytes())
            .chain(self.count.to_le_bytes())
            .chain(self.overflow.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }
}

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

/// A key and its value on a leaf page.
///
/// | offset | size | field |
/// |--:|--:|---|
/// | 0 | 4 | `flags`: 1 if the value is a bucket |
/// | 4 | 4 | `pos`: where the key is, from the start of this element |
/// | 8 | 4 | `ksize` |
/// | 12 | 4 | `vsize` |
///
/// The value follows its key at once, so one slice holds both.
#[derive(Debug, Clone, Copy)]
pub struct LeafElement<'a> {
    key_value: &'a [u8],
    key_size: u32,
    position: u32,
    /// Position in the page, from 0.
    pub index: u32,
    /// Whether the value is a bucket.
    pub is_bucket: bool,
    /// Where the element's header stands in the file.
    pub offset: FileOffset,
}

impl<'a> LeafElement<'a> {
    /// The key.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.key_value.get(..self.key_size as usize).unwrap_or_default()
    }

    /// The value; of a bucket, its header and inline page.
    #[inline]
    pub fn value(&self) -> &'a [u8] {
        self.key_value.get(self.key_size as usize..).unwrap_or_default()
    }

    /// Key and value, as they follow each other in the file.
    #[inline]
    pub fn key_value(&self) -> &'a [u8] {
        self.key_value
    }

    /// Where the key begins in the file.
    #[inline]
    pub fn data_offset(&self) -> FileOffset {
        FileOffset(self.offset.0.saturating_add(u64::from(self.position)))
    }

    /// Reads the element whose header stands at `at` of `bytes`.
    #[inline]
    pub(crate) fn read(bytes: &'a [u8], at: usize, index: u32, offset: FileOffset) -> Option<(Self, u32)> {
        let header = bytes.get(at..)?.first_chunk::<HEADER_SIZE>()?;
        let (flags, pos) = (u32_le(header, 0)?, u32_le(header, 4)?);
        let (key_size, value_size) = (u32_le(header, 8)?, u32_le(header, 12)?);
        let start = at.checked_add(pos as usize)?;
        let end = start.checked_add(key_size as usize)?.checked_add(value_size as usize)?;
        let key_value = bytes.get(start..end)?;
        Some((
            Self { key_value, key_size, position: pos, index, is_bucket: flags & BUCKET_FLAG != 0, offset },
            flags,
        ))
    }
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
    /// Pages of the run, the first included.
    pub(crate) fn pages(&self) -> u64 {
        u64::from(self.overflow).saturating_add(1)
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

    /// The key and value of a leaf page at `index`, if they lie inside it.
    pub(crate) fn leaf_element(&self, index: u32) -> Option<LeafElement<'a>> {
        let at = HEADER_SIZE.checked_mul(index as usize)?.checked_add(HEADER_SIZE)?;
        LeafElement::read(self.bytes, at, index, self.element_offset(index)).map(|(element, _)| element)
    }

    /// How many bytes of data there are behind the header of a page that counts no
    /// element, if there are any.
    pub(crate) fn hidden(&self) -> Option<u64> {
        if self.count != 0 {
            return None;
        }
        let data = self.bytes.get(HEADER_SIZE..)?;
        let last = data.iter().rposition(|byte| *byte != 0)?;
        Some((last as u64).saturating_add(1))
    }

    /// Reads the keys and values of a leaf page into `elements`, in the order of
    /// the page. What is wrong goes to `fault` with the element's index; such an
    /// element is left out if it cannot be read.
    ///
    /// Reading costs no more than the page is long: if the elements together claim
    /// more bytes than the page has, only such are kept as share none ([`apart`]).
    pub(crate) fn leaf_elements(
        &self,
        elements: &mut Vec<LeafElement<'a>>,
        mut fault: impl FnMut(Option<u32>, FaultKind),
    ) {
        elements.clear();
        if let Err(kind) = self.check_table() {
            fault(None, kind);
            return;
        }
        let (first, region) = (self.table_end(), self.bytes.len());
        let mut claimed = 0u64;
        let mut in_order_end = first;
        let mut in_order = true;
        for index in 0..u32::from(self.count) {
            let at = HEADER_SIZE.saturating_mul(index as usize).saturating_add(HEADER_SIZE);
            let offset = self.element_offset(index);
            let Some((element, flags)) = LeafElement::read(self.bytes, at, index, offset)
                .filter(|(element, _)| at.saturating_add(element.position as usize) >= first)
            else {
                fault(Some(index), self.outside(at));
                continue;
            };
            if !(1..=MAX_KEY_SIZE).contains(&element.key_size) {
                fault(Some(index), FaultKind::KeySize { size: element.key_size });
                continue;
            }
            claimed = claimed.saturating_add(element.key_value.len() as u64);
            if flags & !BUCKET_FLAG != 0 {
                fault(Some(index), FaultKind::ElementFlags { flags });
            }
            let start = at.saturating_add(element.position as usize);
            in_order &= start >= in_order_end;
            in_order_end = start.saturating_add(element.key_value.len());
            elements.push(element);
        }
        if claimed > region.saturating_sub(first) as u64 {
            self.keep_apart(elements, claimed, fault);
        } else if !in_order {
            self.check_overlap(elements, fault);
        }
    }

    /// Of elements that together claim more than there is, drops those that are in the
    /// way of others.
    fn keep_apart(
        &self,
        elements: &mut Vec<LeafElement<'a>>,
        claimed: u64,
        mut fault: impl FnMut(Option<u32>, FaultKind),
    ) {
        let within = |element: &LeafElement<'a>| {
            let start = element.data_offset().0.saturating_sub(self.offset.0);
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            (start, start.saturating_add(element.key_value.len()))
        };
        let spans: Vec<(usize, usize)> = elements.iter().map(within).collect();
        let mut kept = apart(&spans, self.table_end()).into_iter();
        elements.retain(|element| {
            let stays = kept.next().unwrap_or(false);
            if !stays {
                let region = self.bytes.len() as u64;
                fault(Some(element.index), FaultKind::ElementsTooLarge { claimed, region });
            }
            stays
        });
    }

    /// Legal but never written: data that does not follow the order of the
    /// elements. Then overlap has to be looked for.
    fn check_overlap(&self, elements: &[LeafElement<'a>], mut fault: impl FnMut(Option<u32>, FaultKind)) {
        let mut spans: Vec<(u64, u64, u32)> = elements
            .iter()
            .map(|element| {
                let start = element.data_offset().0.saturating_sub(self.offset.0);
                (start, start.saturating_add(element.key_value.len() as u64), element.index)
            })
            .collect();
        spans.sort_unstable();
        let mut furthest = 0;
        for (start, end, index) in spans {
            if start < furthest {
                fault(Some(index), FaultKind::ElementsOverlap { start, other_end: furthest });
            }
            furthest = furthest.max(end);
        }
    }

    /// The first bytes of a leaf that belong to no element, before the data of the
    /// element that is named, or behind all of them in a page inside a bucket's value,
    /// which is cut to size. `elements` are all that the page has, as read from it.
    pub(crate) fn leaf_gap(&self, elements: &[LeafElement<'a>]) -> Option<(Option<u32>, FaultKind)> {
        let mut before = self.table_end() as u64;
        for element in elements {
            let start = element.data_offset().0.saturating_sub(self.offset.0);
            if start > before {
                return Some((Some(element.index), FaultKind::ElementsApart { start, before }));
            }
            before = start.saturating_add(element.key_value.len() as u64);
        }
        let (is_inline, region) = (self.id.0 == 0, self.bytes.len() as u64);
        (is_inline && before < region).then_some((None, FaultKind::InlineSlack { end: before, region }))
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

    fn outside(&self, at: usize) -> FaultKind {
        let field =
            |offset: usize| at.checked_add(offset).and_then(|at| u32_le(self.bytes, at)).map_or(0, u64::from);
        let start = field(4).saturating_add(at as u64);
        FaultKind::ElementOutside {
            start,
            end: start.saturating_add(field(8)).saturating_add(field(12)),
            first: self.table_end() as u64,
            region: self.bytes.len() as u64,
        }
    }
}
