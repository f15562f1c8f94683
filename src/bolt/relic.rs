//! Pages by their form: what stretches of a file that nothing reaches once were.
//!
//! A page that bbolt freed stays as it is until another page is written over it,
//! always from its first byte on. So where a header stands, the newest page of
//! that place begins, and reaches to the next header or to a page in use; of
//! older, longer pages only the tails are left behind it, without a header.
//!
//! Damage takes headers away and moves pages. A leaf is known by its table alone, too,
//! and where no page begins at a page's place, at any other byte.

use memchr::memmem;

use super::apart::apart;
use super::bucket::{BUCKET_HEADER_SIZE, BucketRoot};
use super::meta::PageSize;
use super::page::{BUCKET_FLAG, HEADER_SIZE, MAX_KEY_SIZE, PageFlags, RawHeader};
use super::unreached::{end_of_branch, end_of_freelist};
use super::{FileOffset, Gap, GapKind, PageId};
use crate::codec::fixed::{u32_le, u64_le};

/// A stretch of bytes, and what it seems to have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relic {
    /// Where it begins.
    pub start: FileOffset,
    /// How many bytes are left of it.
    pub length: u64,
    /// What it was.
    pub kind: RelicKind,
}

/// The kinds of [`Relic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelicKind {
    /// A leaf page.
    Leaf,
    /// A leaf page whose header is gone, wrong, or not where a page begins, and whose
    /// table of elements is there.
    Headless,
    /// A branch page.
    Branch,
    /// A list of free pages.
    Freelist,
    /// Bytes without a form.
    Raw,
}

/// A key and its value on a leaf that nothing reaches.
#[derive(Debug, Clone, Copy)]
pub struct RelicElement<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value, as far as it is left.
    pub value: &'a [u8],
    /// Bytes of the value that were overwritten since.
    pub missing: u32,
    /// Whether the value is a bucket.
    pub is_bucket: bool,
    /// Where the key begins in the file.
    pub offset: FileOffset,
    key_value: &'a [u8],
}

/// What there is in a [`Relic`].
#[derive(Debug, Clone, Copy)]
pub enum RelicPart<'a> {
    /// A key with its value.
    Element(RelicElement<'a>),
    /// Bytes that no element claims.
    Rest(FileOffset, &'a [u8]),
}

/// Takes `gaps` apart.
///
/// Reads some headers and tables, no more than there are bytes.
pub fn relics(bytes: &[u8], gaps: &[Gap], page_size: PageSize) -> Vec<Relic> {
    let mut found = Vec::new();
    for gap in gaps {
        let end = gap.start.0.saturating_add(gap.length).min(bytes.len() as u64);
        // Elements that are refused do not begin where a page does.
        let is_page = gap.start.0.is_multiple_of(page_size.bytes());
        if gap.kind == GapKind::Slack || gap.kind == GapKind::Refused && !is_page {
            push(&mut found, gap.start.0, end, RelicKind::Raw);
        } else {
            pages(bytes, gap.start.0, end, page_size, &mut found);
        }
    }
    displaced(bytes, found)
}

/// Runs of `relics` that have some size together, to be worked on side by side.
pub fn relic_jobs(relics: &[Relic]) -> Vec<&[Relic]> {
    const BYTES: u64 = 1 << 20;
    let mut jobs = Vec::new();
    let mut rest = relics;
    while !rest.is_empty() {
        let mut bytes = 0u64;
        let count = rest.iter().take_while(|relic| {
            let is_room = bytes < BYTES;
            bytes = bytes.saturating_add(relic.length);
            is_room
        });
        let Some((job, behind)) = rest.split_at_checked(count.count().max(1)) else { break };
        jobs.push(job);
        rest = behind;
    }
    jobs
}

/// Whether a page seems to begin at `at`, which is a page's place.
pub fn page_begins(bytes: &[u8], at: FileOffset, page_size: PageSize) -> bool {
    begins(bytes, at.0, bytes.len() as u64, page_size, true).is_some()
}

/// Whether `page` begins with the table of a leaf, of some elements and without a break.
pub(super) fn has_table(page: &[u8]) -> bool {
    Table::headless(page).is_some_and(|table| table.is_whole && table.count > 1)
}

/// Finds leaves in stretches without a form: bytes were put in or taken away in front of
/// them, so that they do not stand where pages do; or they are those of inline buckets,
/// on a page of which nothing else is left.
///
/// Looks at every place where the flags of a leaf may stand. What is found is not looked
/// into again, so the cost follows the bytes.
fn displaced(bytes: &[u8], found: Vec<Relic>) -> Vec<Relic> {
    /// Where a leaf's flags stand in its header.
    const FLAGS: usize = 8;
    let flags = memmem::Finder::new(&[2, 0]);
    let mut all = Vec::with_capacity(found.len());
    for relic in found {
        if relic.kind != RelicKind::Raw {
            all.push(relic);
            continue;
        }
        let area = relic.bytes(bytes);
        let mut position = 0usize;
        let offset = |at: usize| relic.start.0.saturating_add(at as u64);
        for hit in flags.find_iter(area) {
            let Some(at) = hit.checked_sub(FLAGS).filter(|at| *at >= position) else { continue };
            let page = area.get(at..).unwrap_or_default();
            // Of one that breaks off, the end is not known: its records have a form of their own.
            let Some(table) = Table::of_leaf(page).filter(|table| table.is_whole) else { continue };
            let end = at.saturating_add(table.data_end).min(area.len());
            push(&mut all, offset(position), offset(at), RelicKind::Raw);
            push(&mut all, offset(at), offset(end), RelicKind::Headless);
            position = end;
        }
        push(&mut all, offset(position), offset(area.len()), RelicKind::Raw);
    }
    all
}

fn push(found: &mut Vec<Relic>, start: u64, end: u64, kind: RelicKind) {
    if end <= start {
        return;
    }
    match found.last_mut() {
        Some(last)
            if kind == RelicKind::Raw
                && last.kind == RelicKind::Raw
                && last.start.0.saturating_add(last.length) == start =>
        {
            last.length = end.saturating_sub(last.start.0);
        }
        _ => found.push(Relic { start: FileOffset(start), length: end.saturating_sub(start), kind }),
    }
}

/// Takes whole pages apart, from one header to the next.
fn pages(bytes: &[u8], start: u64, end: u64, page_size: PageSize, found: &mut Vec<Relic>) {
    let size = page_size.bytes();
    // What was begun, and where by its own word it ends.
    let mut open = (start, start, RelicKind::Raw);
    let mut at = start;
    while at < end {
        if let Some((kind, claimed)) = begins(bytes, at, end, page_size, at >= open.1) {
            push(found, open.0, at.min(open.1), open.2);
            push(found, open.1.max(open.0), at, RelicKind::Raw);
            open = (at, at.saturating_add(claimed).min(end), kind);
        }
        at = at.saturating_add(size);
    }
    push(found, open.0, open.1, open.2);
    push(found, open.1, end, RelicKind::Raw);
}

/// What begins at `at`, and how many bytes it says it has.
fn begins(
    bytes: &[u8],
    at: u64,
    end: u64,
    page_size: PageSize,
    is_outside: bool,
) -> Option<(RelicKind, u64)> {
    let page = bytes.get(usize::try_from(at).ok()?..usize::try_from(end).ok()?)?;
    let size = page_size.bytes();
    let header = RawHeader::read(page)?;
    if header.is_plausible(page_size.pages_in(at), size) {
        let kind = match header.flags {
            PageFlags::LEAF => RelicKind::Leaf,
            // A leaf that says to be something else: no other page has a table like it.
            _ if Table::headless(page).is_some() => RelicKind::Headless,
            PageFlags::BRANCH => RelicKind::Branch,
            _ => RelicKind::Freelist,
        };
        return Some((kind, u64::from(header.overflow).saturating_add(1).saturating_mul(size)));
    }
    // Inside a page that has its header, that takes more: what is stored there could
    // look like a table.
    let table = Table::headless(page).filter(|table| is_outside || table.is_whole && table.count > 1)?;
    let length = (table.data_end as u64).checked_next_multiple_of(size)?;
    Some((RelicKind::Headless, length))
}

/// The table of a leaf whose header does not count.
struct Table {
    /// Elements that follow each other without a break.
    count: u32,
    /// Where the data of the last of them ends.
    data_end: usize,
    /// Whether these are all that there were.
    is_whole: bool,
}

impl Table {
    /// Finds out by the table alone how many elements there are: the first one's
    /// key stands right behind the table, and each next one's right behind the
    /// value before it.
    fn headless(page: &[u8]) -> Option<Self> {
        let first = u32_le(page, HEADER_SIZE.checked_add(4)?)? as usize;
        let count = first.checked_div(HEADER_SIZE)?;
        if count == 0 || count > usize::from(u16::MAX) || !first.is_multiple_of(HEADER_SIZE) {
            return None;
        }
        let mut next = HEADER_SIZE.checked_add(first)?;
        let mut met = 0usize;
        while met < count {
            let at = HEADER_SIZE.checked_mul(met.checked_add(1)?)?;
            let Some((start, end)) = span(page, at).filter(|(start, _)| *start == next) else { break };
            // Of the data of the last elements some may be gone.
            if start >= page.len() {
                break;
            }
            next = end;
            met = met.checked_add(1)?;
        }
        // One element alone could be chance if there should be more of them.
        let is_whole = met == count;
        (met >= count.min(2)).then_some(Self { count: u32::try_from(met).ok()?, data_end: next, is_whole })
    }

    /// The table of a leaf that has its header, but for its number.
    fn of_leaf(page: &[u8]) -> Option<Self> {
        let header = RawHeader::read(page).filter(|header| header.flags == PageFlags::LEAF)?;
        // The first key stands right behind the table: most of what is none is told by that.
        let first = u32_le(page, HEADER_SIZE.checked_add(4)?)? as usize;
        if first != HEADER_SIZE.checked_mul(usize::from(header.count))? {
            return None;
        }
        Self::headless(page)
    }
}

/// Where by its header the data of the leaf element at `at` begins and ends.
fn span(page: &[u8], at: usize) -> Option<(usize, usize)> {
    let field = |offset: usize| u32_le(page, at.checked_add(offset)?);
    let (flags, position, key_size, value_size) = (field(0)?, field(4)?, field(8)?, field(12)?);
    if flags & !BUCKET_FLAG != 0 || !(1..=MAX_KEY_SIZE).contains(&key_size) {
        return None;
    }
    let start = at.checked_add(position as usize)?;
    Some((start, start.checked_add(key_size as usize)?.checked_add(value_size as usize)?))
}

impl PageSize {
    /// The page size that most pages of a file speak for, where no meta tells: pages
    /// begin with their own number.
    pub fn guess(bytes: &[u8]) -> Self {
        const SAMPLES: usize = 1 << 14;
        let fitting = |size: u32| {
            let pages = bytes.len().checked_div(size as usize).unwrap_or(0);
            let step = pages.div_ceil(SAMPLES).max(1);
            let fits = |page: &usize| {
                let header = bytes.get(page.saturating_mul(size as usize)..).and_then(RawHeader::read);
                header.is_some_and(|header| header.is_plausible(*page as u64, u64::from(size)))
            };
            let met = (2..pages.max(2)).step_by(step).filter(fits).count();
            // As many bytes for each, so that a size is not chosen for being small.
            met.saturating_mul(step).saturating_mul(size as usize)
        };
        let sizes = (Self::MIN.trailing_zeros()..=16).map(|shift| 1u32 << shift);
        let best = sizes.map(|size| (fitting(size), size)).max();
        best.filter(|(met, _)| *met > 0).and_then(|(_, size)| Self::new(size)).unwrap_or(Self::USUAL)
    }
}

impl Relic {
    /// Its bytes in the file.
    pub fn bytes<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        let start = usize::try_from(self.start.0).unwrap_or(usize::MAX);
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        start.checked_add(length).and_then(|end| file.get(start..end)).unwrap_or_default()
    }

    /// Whether a leaf had as many elements as these: the first key stands right behind a
    /// table of so many.
    pub fn is_counted(&self, elements: &[RelicElement<'_>]) -> bool {
        let table = (elements.len() as u64).saturating_add(1).saturating_mul(HEADER_SIZE as u64);
        elements.first().is_some_and(|first| first.offset.0 == self.start.0.saturating_add(table))
    }

    /// Hands over all that is in it, `file` being the whole file.
    ///
    /// Elements together have no more bytes than the page: of such that overlap only
    /// those are handed over that are in nobody's way.
    pub fn read<'a>(&self, file: &'a [u8], mut each: impl FnMut(RelicPart<'a>)) {
        let bytes = self.bytes(file);
        match self.kind {
            RelicKind::Raw => each(RelicPart::Rest(self.start, bytes)),
            RelicKind::Leaf => {
                let Some(header) = RawHeader::read(bytes) else { return };
                read_leaf(bytes, self.start, u32::from(header.count), &mut each);
            }
            RelicKind::Headless => {
                let count = Table::headless(bytes).map_or(0, |table| table.count);
                read_leaf(bytes, self.start, count, &mut each);
            }
            RelicKind::Branch | RelicKind::Freelist => {
                let count = RawHeader::read(bytes).map_or(0, |header| header.count);
                // What is not what it says may be anything, from its header on.
                let end = match self.kind {
                    RelicKind::Branch if !is_branch(bytes, count) => HEADER_SIZE,
                    RelicKind::Branch => end_of_branch(bytes, count),
                    _ if !is_freelist(bytes, count) => HEADER_SIZE,
                    _ => end_of_freelist(bytes, count),
                };
                rest(bytes, self.start, end, bytes.len(), &mut each);
            }
        }
    }
}

impl<'a> RelicElement<'a> {
    /// Key and value, as they follow each other in the file.
    pub fn key_value(&self) -> &'a [u8] {
        self.key_value
    }

    /// Where the bucket begins that this is, if it is one.
    pub fn bucket(&self) -> Option<BucketRoot<'a>> {
        let root = u64_le(self.value, 0).filter(|_| self.is_bucket)?;
        if root != 0 {
            return Some(BucketRoot::Tree(PageId(root)));
        }
        let before = self.key.len().saturating_add(BUCKET_HEADER_SIZE);
        let offset = FileOffset(self.offset.0.saturating_add(before as u64));
        let bytes = self.value.get(BUCKET_HEADER_SIZE..).filter(|bytes| bytes.len() >= HEADER_SIZE)?;
        Some(BucketRoot::Inline { bytes, offset })
    }

    /// Hands over what is in the inline page of a bucket's value. Nothing if the
    /// bucket has a tree of its own.
    pub fn read_inline(&self, mut each: impl FnMut(RelicPart<'a>)) {
        let root = self.value.get(..8);
        let Some(page) = self.value.get(BUCKET_HEADER_SIZE..).filter(|_| root == Some(&[0; 8])) else {
            return;
        };
        let Some(header) = RawHeader::read(page).filter(|header| header.flags == PageFlags::LEAF) else {
            return;
        };
        let before = self.key.len().saturating_add(BUCKET_HEADER_SIZE);
        let start = FileOffset(self.offset.0.saturating_add(before as u64));
        read_leaf(page, start, u32::from(header.count), &mut each);
    }
}

/// Whether all keys of a branch lie inside it.
fn is_branch(page: &[u8], count: u16) -> bool {
    let table_end = HEADER_SIZE.saturating_mul(usize::from(count).saturating_add(1));
    let fits = |index: usize| {
        let at = HEADER_SIZE.checked_mul(index.checked_add(1)?)?;
        let start = at.checked_add(u32_le(page, at)? as usize)?;
        let size = u32_le(page, at.checked_add(4)?)?;
        let end = start.checked_add(size as usize)?;
        Some(start >= table_end && end <= page.len() && (1..=MAX_KEY_SIZE).contains(&size))
    };
    (0..usize::from(count)).all(|index| fits(index) == Some(true))
}

/// Whether the ids of a freelist ascend.
fn is_freelist(page: &[u8], count: u16) -> bool {
    let first = if count == u16::MAX { HEADER_SIZE.saturating_add(8) } else { HEADER_SIZE };
    let ids = page.get(first..end_of_freelist(page, count)).unwrap_or_default();
    let ids = ids.chunks_exact(8).filter_map(|id| u64_le(id, 0));
    let mut previous = 1;
    ids.into_iter().all(|id| std::mem::replace(&mut previous, id) < id)
}

fn read_leaf<'a>(page: &'a [u8], offset: FileOffset, count: u32, each: &mut impl FnMut(RelicPart<'a>)) {
    let table_end = HEADER_SIZE.saturating_mul((count as usize).saturating_add(1));
    let mut elements = Vec::new();
    for index in 0..count as usize {
        let at = HEADER_SIZE.saturating_mul(index.saturating_add(1));
        if at >= page.len() {
            break;
        }
        let Some((start, end)) = span(page, at).filter(|(start, _)| *start >= table_end) else { continue };
        let Some(element) = element(page, offset, at, start, end) else { continue };
        elements.push((element, (start, end)));
    }
    let mut spans: Vec<(usize, usize)> = elements.iter().map(|(_, span)| *span).collect();
    let in_order = spans.iter().zip(spans.iter().skip(1)).all(|(one, next)| one.1 <= next.0);
    if !in_order {
        let kept = apart(&spans, table_end);
        let mut stays = kept.iter();
        elements.retain(|_| stays.next() == Some(&true));
        spans = elements.iter().map(|(_, span)| *span).collect();
        spans.sort_unstable();
    }
    elements.into_iter().for_each(|(element, _)| each(RelicPart::Element(element)));
    let mut position = table_end.min(page.len());
    for (start, end) in spans {
        rest(page, offset, position, start, each);
        position = position.max(end);
    }
    rest(page, offset, position, page.len(), each);
}

fn element<'a>(
    page: &'a [u8],
    offset: FileOffset,
    at: usize,
    start: usize,
    end: usize,
) -> Option<RelicElement<'a>> {
    let key_end = start.checked_add(u32_le(page, at.checked_add(8)?)? as usize)?;
    let flags = u32_le(page, at)?;
    Some(RelicElement {
        key: page.get(start..key_end)?,
        value: page.get(key_end..end.min(page.len()))?,
        missing: u32::try_from(end.saturating_sub(page.len().max(key_end))).ok()?,
        is_bucket: flags & BUCKET_FLAG != 0,
        offset: FileOffset(offset.0.saturating_add(start as u64)),
        key_value: page.get(start..end.min(page.len()))?,
    })
}

/// Hands over bytes that no element claims, unless they are all zeros.
fn rest<'a>(
    page: &'a [u8],
    offset: FileOffset,
    start: usize,
    end: usize,
    each: &mut impl FnMut(RelicPart<'a>),
) {
    let Some(bytes) = page.get(start..end) else { return };
    if bytes.iter().any(|byte| *byte != 0) {
        each(RelicPart::Rest(FileOffset(offset.0.saturating_add(start as u64)), bytes));
    }
}
