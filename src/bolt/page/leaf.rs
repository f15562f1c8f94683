//! Leaf pages: keys and values.

use super::super::FileOffset;
use super::super::apart::apart;
use super::super::fault::FaultKind;
use super::{BUCKET_FLAG, HEADER_SIZE, MAX_KEY_SIZE, Page};
use crate::codec::fixed::u32_le;

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

impl<'a> Page<'a> {
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
    /// element that is named, or behind all of them: a page inside a bucket's value is cut
    /// to size, and any other is filled up with zeros. `elements` are all that the page
    /// has, as read from it.
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
        if is_inline {
            return (before < region).then_some((None, FaultKind::InlineSlack { end: before, region }));
        }
        // What is cut off an element goes on right behind it; reading further costs more
        // than it tells.
        let behind = usize::try_from(before).ok().and_then(|end| self.bytes.get(end)).copied();
        if let Some(byte) = behind.filter(|byte| *byte != 0 && !elements.is_empty()) {
            return Some((None, FaultKind::DataBehind { end: before, byte }));
        }
        self.unused_overflow(before).map(|kind| (None, kind))
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
