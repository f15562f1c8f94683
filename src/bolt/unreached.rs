//! What a file holds beside what its tree reaches: pages that nothing uses, room
//! inside pages that are in use, and what follows the last page.
//!
//! bbolt never wipes a page that it frees. What it writes are whole pages, with
//! zeros behind the last element; so in a file that only bbolt wrote, free pages
//! hold all there is, and the room inside pages in use is empty.

use super::bucket::Bucket;
use super::db::Db;
use super::fold::{Extent, Fold, LeafView};
use super::meta::{META_OFFSET, META_SIZE};
use super::page::{HEADER_SIZE, LeafElement, Page, PageFlags};
use super::page_set::PageSet;
use super::walk::{WalkOptions, WalkReport, pages_of, walk_claiming};
use super::{FileOffset, PageId};
use crate::codec::fixed::u64_le;

/// A run of bytes that the tree does not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Where it begins.
    pub start: FileOffset,
    /// How many bytes it has.
    pub length: u64,
    /// Why nothing reaches it.
    pub kind: GapKind,
}

/// The kinds of [`Gap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapKind {
    /// Whole pages below the high-water mark that nothing uses.
    Free,
    /// Whole pages that a tree leads to and that cannot be read; or what elements hold
    /// that are not what they should be.
    Refused,
    /// Room inside a page that is in use: between its elements or behind them.
    Slack,
    /// Whatever follows the last page.
    Beyond,
}

/// All that a tree does not reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unreached {
    /// Where it is: runs of free pages, slack that is not all zeros, and what
    /// follows the last page. In ascending order.
    pub gaps: Vec<Gap>,
    /// Bytes of free pages.
    pub free: u64,
    /// Bytes of pages in use that cannot be read.
    pub refused: u64,
    /// Bytes of slack, zeros included.
    pub slack: u64,
    /// Bytes behind the last page.
    pub beyond: u64,
}

impl Unreached {
    /// All of it, in bytes.
    pub fn bytes(&self) -> u64 {
        let inside = self.refused.saturating_add(self.slack);
        self.free.saturating_add(inside).saturating_add(self.beyond)
    }

    /// Adds what the tree leads to, and whoever reads it refuses.
    pub fn refuse(&mut self, refused: impl IntoIterator<Item = (FileOffset, u64)>) {
        for (start, length) in refused {
            self.push(start.0, start.0.saturating_add(length), GapKind::Refused);
        }
        self.gaps.sort_unstable_by_key(|gap| gap.start);
    }

    fn push(&mut self, start: u64, end: u64, kind: GapKind) {
        let length = end.saturating_sub(start);
        if length == 0 {
            return;
        }
        let sum = match kind {
            GapKind::Free => &mut self.free,
            GapKind::Refused => &mut self.refused,
            GapKind::Slack => &mut self.slack,
            GapKind::Beyond => &mut self.beyond,
        };
        *sum = sum.saturating_add(length);
        self.gaps.push(Gap { start: FileOffset(start), length, kind });
    }
}

/// Walks `db` as [`walk`](super::walk()) does, and tells what it did not reach of the
/// file's `bytes` before `end`.
///
/// `options.only` must not be set: pages of other buckets would be taken for free.
pub fn walk_unreached<'a, F: Fold<'a>>(
    db: &Db<'a>,
    bytes: &'a [u8],
    fold: &F,
    options: &WalkOptions<'_>,
) -> (F::Total, WalkReport, Unreached) {
    let ((total, found), report, claimed) = walk_claiming(db, &(Shared(fold), SlackFold), options);
    let mut unreached = found;
    slack_outside_leaves(db, bytes, &claimed, &mut unreached);
    let page_size = db.meta.page_size.bytes();
    let file_end = bytes.len() as u64;
    let limit = db.image.page_limit();
    let mut run: Option<u64> = None;
    for id in 2..=limit {
        let free = id < limit && !claimed.contains(PageId(id));
        match (free, run) {
            (true, None) => run = Some(id),
            (false, Some(first)) => {
                run = None;
                let end = id.saturating_mul(page_size).min(file_end);
                unreached.push(first.saturating_mul(page_size), end, GapKind::Free);
            }
            _ => {}
        }
    }
    unreached.push(db.meta.image_size(), file_end, GapKind::Beyond);
    unreached.gaps.sort_unstable_by_key(|gap| gap.start);
    (total, report, unreached)
}

/// A file without a tree: nothing of it is reached.
pub fn all_unreached(bytes: &[u8]) -> Unreached {
    let mut unreached = Unreached::default();
    unreached.push(0, bytes.len() as u64, GapKind::Free);
    unreached
}

/// A fold that is borrowed.
struct Shared<'f, F>(&'f F);

impl<'a, F: Fold<'a>> Fold<'a> for Shared<'_, F> {
    type Part = F::Part;
    type Total = F::Total;

    fn total(&self) -> F::Total {
        self.0.total()
    }

    fn part(&self, bucket: &Bucket<'a>) -> F::Part {
        self.0.part(bucket)
    }

    fn leaf(&self, part: &mut F::Part, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        self.0.leaf(part, bucket, leaf);
    }

    fn enter(&self, total: &mut F::Total, bucket: &Bucket<'a>) {
        self.0.enter(total, bucket);
    }

    fn join(&self, total: &mut F::Total, bucket: &Bucket<'a>, part: F::Part) {
        self.0.join(total, bucket, part);
    }
}

/// The room inside leaves.
struct SlackFold;

impl<'a> Fold<'a> for SlackFold {
    type Part = Unreached;
    type Total = Unreached;

    fn total(&self) -> Unreached {
        Unreached::default()
    }

    fn part(&self, _: &Bucket<'a>) -> Unreached {
        Unreached::default()
    }

    fn leaf(&self, part: &mut Unreached, _: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        slack_of_leaf(&leaf.extent, leaf.elements, leaf.page.is_some(), part);
    }

    fn join(&self, total: &mut Unreached, _: &Bucket<'a>, part: Unreached) {
        total.slack = total.slack.saturating_add(part.slack);
        total.refused = total.refused.saturating_add(part.refused);
        total.gaps.extend(part.gaps);
    }
}

fn slack_of_leaf(extent: &Extent<'_>, elements: &[LeafElement<'_>], is_page: bool, found: &mut Unreached) {
    if extent.table_end > extent.bytes.len() {
        return refuse(extent, is_page, found);
    }
    let span = |element: &LeafElement<'_>| {
        let start = within(extent, element.data_offset());
        (start, start.saturating_add(element.key_value().len()))
    };
    let in_order = elements.iter().zip(elements.iter().skip(1)).all(|(a, b)| span(a).1 <= span(b).0);
    let mut position = extent.table_end;
    let mut each = |(start, end): (usize, usize)| {
        if start > position {
            slack(extent, position, start, found);
        }
        position = position.max(end);
    };
    if in_order {
        elements.iter().map(span).for_each(&mut each);
    } else {
        let mut spans: Vec<_> = elements.iter().map(span).collect();
        spans.sort_unstable();
        spans.into_iter().for_each(&mut each);
    }
    slack(extent, position, extent.bytes.len(), found);
}

/// Notes all of a page whose table cannot be read.
fn refuse(extent: &Extent<'_>, is_page: bool, found: &mut Unreached) {
    if is_page {
        let end = extent.start.0.saturating_add(extent.bytes.len() as u64);
        found.push(extent.start.0, end, GapKind::Refused);
    } else {
        slack(extent, 0, extent.bytes.len(), found);
    }
}

fn within(extent: &Extent<'_>, offset: FileOffset) -> usize {
    usize::try_from(offset.0.saturating_sub(extent.start.0)).unwrap_or(usize::MAX)
}

/// Notes a part of a page in use, if there is anything in it.
fn slack(extent: &Extent<'_>, start: usize, end: usize, found: &mut Unreached) {
    let Some(bytes) = extent.bytes.get(start..end) else { return };
    if bytes.iter().all(|byte| *byte == 0) {
        found.slack = found.slack.saturating_add(bytes.len() as u64);
        return;
    }
    let offset = |at: usize| extent.start.0.saturating_add(at as u64);
    found.push(offset(start), offset(end), GapKind::Slack);
}

/// The room in metas, the root, branches and the stored freelist.
fn slack_outside_leaves(db: &Db<'_>, bytes: &[u8], claimed: &PageSet, found: &mut Unreached) {
    let page_size = db.meta.page_size.bytes();
    let region = |start: u64, pages: u64| {
        let from = usize::try_from(start).ok()?;
        let length = usize::try_from(pages.saturating_mul(page_size)).ok()?;
        let to = from.checked_add(length)?.min(bytes.len());
        Some(Extent { start: FileOffset(start), bytes: bytes.get(from..to)?, table_end: 0 })
    };
    for meta in 0..2u64 {
        if let Some(extent) = region(meta.saturating_mul(page_size), 1) {
            slack(&extent, META_OFFSET.saturating_add(META_SIZE), extent.bytes.len(), found);
        }
    }
    // The root's own leaves are read before the walk, and no fold is told of them.
    let mut elements = Vec::new();
    for id in pages_of(db, &[]).0 {
        if let Ok(page) = db.image.page(id)
            && page.flags == PageFlags::LEAF
        {
            page.leaf_elements(&mut elements, |_, _| ());
            slack_of_leaf(&page.extent(), &elements, true, found);
        }
    }
    let mut next = 2;
    for id in claimed.iter().skip(2) {
        if id.0 < next {
            continue;
        }
        let Ok(page) = db.image.page(id) else { continue };
        // Only so far as it was claimed: another page may have its end.
        let tail = (1..page.pages()).take_while(|more| claimed.contains(PageId(id.0.saturating_add(*more))));
        let pages = 1u64.saturating_add(tail.count() as u64);
        next = id.0.saturating_add(pages);
        let used = match page.flags {
            PageFlags::BRANCH if !is_sound_branch(&page) => {
                if let Some(extent) = region(db.image.offset_of(id).0, pages) {
                    refuse(&extent, true, found);
                }
                continue;
            }
            PageFlags::BRANCH => end_of_branch(page.bytes, page.count),
            PageFlags::FREELIST => end_of_freelist(page.bytes, page.count),
            _ => continue,
        };
        if let Some(extent) = region(db.image.offset_of(id).0, pages) {
            slack(&extent, used, extent.bytes.len(), found);
        }
    }
}

/// Whether all elements of a branch can be read: else it may be something else.
fn is_sound_branch(page: &Page<'_>) -> bool {
    page.branch_elements().is_ok_and(|mut elements| elements.all(|element| element.is_ok()))
}

/// Where the keys of a branch end, from its start.
pub(super) fn end_of_branch(page: &[u8], count: u16) -> usize {
    let table = HEADER_SIZE.saturating_add(HEADER_SIZE.saturating_mul(usize::from(count)));
    let element = |index: usize| {
        let at = HEADER_SIZE.saturating_mul(index.saturating_add(1));
        let header = RawElement::read(page, at)?;
        at.checked_add(header.position)?.checked_add(header.key_size).filter(|end| *end <= page.len())
    };
    (0..usize::from(count)).filter_map(element).max().unwrap_or(0).max(table)
}

/// Where the ids of a freelist end, from its start.
pub(super) fn end_of_freelist(page: &[u8], count: u16) -> usize {
    let ids = match count {
        0xFFFF => u64_le(page, HEADER_SIZE).and_then(|count| count.checked_add(1)),
        count => Some(u64::from(count)),
    };
    let bytes = ids.and_then(|ids| ids.checked_mul(8)).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.and_then(|bytes| bytes.checked_add(HEADER_SIZE)).unwrap_or(usize::MAX).min(page.len())
}

/// The first half of a branch element's header.
struct RawElement {
    position: usize,
    key_size: usize,
}

impl RawElement {
    fn read(page: &[u8], at: usize) -> Option<Self> {
        let both = u64_le(page, at)?;
        let position = usize::try_from(both & 0xFFFF_FFFF).ok()?;
        Some(Self { position, key_size: usize::try_from(both >> 32).ok()? })
    }
}
