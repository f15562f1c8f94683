//! The tree of one bucket however much of it is damaged: its leaves, the keys that
//! they vouch for, and the keys that are lost with pages that cannot be read.
//!
//! A leaf vouches for all keys between its separators if it is *whole*: as bbolt writes
//! leaves, that is with its keys in order and inside those bounds, and with the data of
//! its elements right behind the table and without gaps. Then a key that is not on it
//! was not in the bucket. Of any other leaf two elements that follow each other in its
//! table and in its data still vouch for the keys between them; nothing vouches for those
//! around an element that cannot be read.

use std::num::NonZeroUsize;

use super::bucket::{Bucket, BucketRoot};
use super::db::Db;
use super::image::Image;
use super::meta::PageSize;
use super::ordered::ordered;
use super::page::{HEADER_SIZE, LeafElement, Page, PageFlags};
use super::page_set::PageSet;
use super::relic::has_table;
use super::tree::{self, Bounds, BranchCount, MAX_DEPTH, Seen};
use super::unreached::{Gap, GapKind};
use super::walk::top_level_elements;
use super::{FileOffset, PageId, Relic, RelicKind};
use crate::codec::fixed::u32_le;

/// Keys from `lower` up to, but without, `upper`. No key is empty, so that an empty
/// `lower` is below all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpan<'a> {
    /// The first key.
    pub lower: &'a [u8],
    /// The first key behind it; none if it has no end.
    pub upper: Option<&'a [u8]>,
}

impl<'a> KeySpan<'a> {
    fn of(bounds: &Bounds<'a>) -> Self {
        Self { lower: bounds.lower.unwrap_or_default(), upper: bounds.upper }
    }

    /// Whether `key` lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.lower && self.upper.is_none_or(|upper| key < upper)
    }
}

/// A page that a tree leads to and that cannot be read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenPage<'a> {
    /// The page; none if what should lead to it is broken.
    pub page: Option<PageId>,
    /// The keys that it was to hold.
    pub span: KeySpan<'a>,
}

/// Keys that are lost with a page, or with some elements of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostKeys<'a> {
    /// The page; none if what should lead to it is broken.
    pub page: Option<PageId>,
    /// Where they were.
    pub span: KeySpan<'a>,
    /// How many keys there were, the one that can be read at its beginning included; none
    /// if nothing tells.
    pub count: Option<u64>,
}

impl<'a> From<BrokenPage<'a>> for LostKeys<'a> {
    fn from(BrokenPage { page, span }: BrokenPage<'a>) -> Self {
        Self { page, span, count: None }
    }
}

/// What is left of a bucket's tree. Without a tree, that is nothing.
#[derive(Debug, Clone)]
pub struct Survey<'a> {
    /// Keys that are lost, in order and apart from each other.
    lost: Vec<KeySpan<'a>>,
    /// Pages that are broken.
    pub broken: Vec<BrokenPage<'a>>,
    /// What is lost with them.
    pub lost_keys: Vec<LostKeys<'a>>,
}

impl Default for Survey<'_> {
    fn default() -> Self {
        Self { lost: vec![KeySpan { lower: b"", upper: None }], broken: Vec::new(), lost_keys: Vec::new() }
    }
}

impl<'a> Survey<'a> {
    fn of(broken: Vec<BrokenPage<'a>>, mut lost_keys: Vec<LostKeys<'a>>) -> Self {
        lost_keys.sort_by_key(|lost| lost.span.lower);
        let spans = lost_keys.iter().map(|lost| lost.span).collect();
        let mut survey = Self { lost: Vec::new(), broken, lost_keys };
        survey.lose(spans);
        survey
    }

    /// Whether the tree vouches for `key`: it is there, or it was not in the bucket.
    pub fn covers(&self, key: &[u8]) -> bool {
        let behind = self.lost.partition_point(|span| span.lower <= key);
        let before = behind.checked_sub(1).and_then(|index| self.lost.get(index));
        before.is_none_or(|span| !span.contains(key))
    }

    /// The keys for which nothing vouches.
    pub fn lost(&self) -> &[KeySpan<'a>] {
        &self.lost
    }

    /// Whether nothing is lost.
    pub fn is_whole(&self) -> bool {
        self.lost.is_empty() && self.broken.is_empty()
    }

    /// Takes back what it says of keys below `first`.
    pub(crate) fn begin_at(&mut self, first: &'a [u8]) {
        let mut lost = std::mem::take(&mut self.lost);
        let span = KeySpan { lower: b"", upper: Some(first) };
        lost.push(span);
        self.lose(lost);
        self.lost_keys.insert(0, LostKeys { page: None, span, count: None });
    }

    fn lose(&mut self, mut spans: Vec<KeySpan<'a>>) {
        spans.retain(|span| span.upper.is_none_or(|upper| upper > span.lower));
        spans.sort_unstable_by_key(|span| span.lower);
        for span in spans {
            match self.lost.last_mut() {
                Some(last) if last.upper.is_none_or(|upper| upper >= span.lower) => {
                    last.upper = last.upper.zip(span.upper).map(|(one, other)| one.max(other));
                }
                _ => self.lost.push(span),
            }
        }
    }
}

/// How far a whole leaf is trusted by who knows what belongs on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// It holds what it should, and all keys for which it vouches.
    Full,
    /// It vouches for its keys; but its bytes are to be searched, as any others.
    Keys,
    /// The elements at these indices, in order, have keys that cannot be theirs.
    Except(Vec<u32>),
}

/// Surveys buckets of one file, each page for one of them.
#[derive(Debug)]
pub struct Surveyor<'a> {
    image: Image<'a>,
    claimed: PageSet,
    whole: PageSet,
}

impl<'a> Surveyor<'a> {
    /// Of the pages of `image`.
    pub fn new(image: Image<'a>) -> Self {
        let limit = image.page_limit();
        Self { image, claimed: PageSet::new(limit), whole: PageSet::new(limit) }
    }

    /// Whether there is a page of a tree at `root`.
    pub(crate) fn leads_somewhere(image: &Image<'a>, root: PageId) -> bool {
        let page = image.page(root);
        page.is_ok_and(|page| page.flags == PageFlags::LEAF || page.flags == PageFlags::BRANCH)
    }

    /// Reads the bucket at `root`, one leaf after the other. `each` gets what could be
    /// read of each, and whether the leaf is whole.
    pub fn bucket(
        &self,
        root: BucketRoot<'a>,
        mut each: impl FnMut(&[LeafElement<'a>], bool) + Send,
    ) -> Survey<'a> {
        type Leaves<'a> = Vec<(Vec<LeafElement<'a>>, bool)>;
        let take = |leaves: &mut Leaves<'a>, elements: &[LeafElement<'a>], whole: bool| {
            leaves.push((elements.to_vec(), whole));
            Trust::Full
        };
        self.side_by_side(root, NonZeroUsize::MIN, take, |leaves| {
            leaves.iter().for_each(|(elements, whole)| each(elements, *whole));
        })
    }

    /// Reads the bucket at `root`. `take` gets what could be read of each leaf and whether
    /// it is whole, adds it to the part of a run of leaves, and says how far it trusts the
    /// leaf. `join` gets the parts, in order.
    pub fn side_by_side<P: Send + Default>(
        &self,
        root: BucketRoot<'a>,
        threads: NonZeroUsize,
        take: impl Fn(&mut P, &[LeafElement<'a>], bool) -> Trust + Sync,
        mut join: impl FnMut(P) + Send,
    ) -> Survey<'a> {
        /// Leaves that are read in one go.
        const RUN: usize = 256;
        let (mut broken, mut lost): (Vec<BrokenPage<'a>>, Vec<LostKeys<'a>>) = Default::default();
        let seen = tree::careful(&self.image, &self.claimed, root, &mut BranchCount::default(), |event| {
            match event {
                tree::Event::Fault(found) => {
                    if let Some(bounds) = found.lost {
                        let page = found.element.is_none().then_some(found.page);
                        let page = BrokenPage { page, span: KeySpan::of(&bounds) };
                        // Elements that cannot be read, side by side, lose the same keys.
                        if page.page.is_some() || broken.last() != Some(&page) {
                            broken.push(page);
                        }
                    }
                }
                // What else it leads to is not known, so that it vouches for nothing.
                tree::Event::Visited(visited) => {
                    if visited.found.is_ok_and(|page| page.flags == PageFlags::BRANCH && !is_counted(page)) {
                        broken
                            .push(BrokenPage { page: Some(visited.id), span: KeySpan::of(&visited.bounds) });
                    }
                }
            }
        });
        lost.extend(broken.iter().copied().map(LostKeys::from));
        let read = |run: &&[Seen<'a>]| {
            let (mut part, mut elements) = (P::default(), Vec::new());
            let bad = run.iter().filter_map(|seen| self.leaf(seen, &mut elements, &mut part, &take));
            let bad: Vec<_> = bad.collect();
            (part, bad)
        };
        let runs: Vec<&[Seen<'a>]> = seen.chunks(RUN).collect();
        ordered(&runs, threads, read, |(part, bad)| {
            for (page, keys) in bad {
                broken.push(page);
                lost.extend(keys);
            }
            join(part);
        });
        Survey::of(broken, lost)
    }

    /// Adds a leaf to `part`; the page and what is lost with it, if it is broken. Of an
    /// inline bucket that has none there is nothing to add.
    fn leaf<P>(
        &self,
        seen: &Seen<'a>,
        elements: &mut Vec<LeafElement<'a>>,
        part: &mut P,
        take: &impl Fn(&mut P, &[LeafElement<'a>], bool) -> Trust,
    ) -> Option<(BrokenPage<'a>, Vec<LostKeys<'a>>)> {
        let (page, bounds, root) = match *seen {
            Seen::Leaf { page, bounds, root } => (Ok(page), bounds, root),
            Seen::Inline { bytes, offset } => (Bucket::inline_page(bytes, offset), Bounds::default(), true),
        };
        let Ok(page) = page else {
            let broken = BrokenPage { page: None, span: KeySpan::of(&bounds) };
            return Some((broken, vec![broken.into()]));
        };
        let inline = page.id.0 == 0;
        let tail = PageId(page.id.0.saturating_add(1));
        let shared =
            if inline { None } else { self.claimed.insert_run(tail, u64::from(page.overflow)).err() };
        let page = match shared {
            None => page,
            Some(shared) => page.cut(shared.0.saturating_sub(page.id.0), self.image.page_size().bytes()),
        };
        let span = KeySpan::of(&bounds);
        let alone = shared.is_none() && !is_overwritten(&page, self.image.page_size());
        let whole = read(&page, elements)
            && alone
            && (root || !elements.is_empty())
            && elements.first().is_none_or(|first| span.contains(first.key()))
            && elements.last().is_none_or(|last| span.contains(last.key()));
        let trust = take(part, elements, whole);
        let except = if let Trust::Except(except) = &trust { except.as_slice() } else { &[] };
        if !whole || !except.is_empty() {
            let broken = BrokenPage { page: (!inline).then_some(page.id), span };
            elements.retain(|element| except.binary_search(&element.index).is_err());
            let between = if alone { lost_between(&page, elements, broken) } else { None };
            return Some((broken, between.unwrap_or_else(|| vec![broken.into()])));
        }
        if !inline && trust == Trust::Full && is_filled_up(&page, elements) {
            let _ = self.whole.insert_run(page.id, page.pages());
        }
        None
    }

    /// Everything but the whole leaves met so far, page by page. The metas, too: where they
    /// are broken, nobody knows how long a page is.
    pub fn rest(&self, file_size: u64) -> Vec<Gap> {
        let size = self.image.page_size().bytes();
        let pages = file_size.div_ceil(size);
        let mut gaps: Vec<Gap> = Vec::new();
        let mut open: Option<u64> = None;
        for id in 0..=pages {
            let taken = id == pages || self.whole.contains(PageId(id));
            match (taken, open) {
                (false, None) => open = Some(id),
                (true, Some(first)) => {
                    let start = first.saturating_mul(size);
                    let end = id.saturating_mul(size).min(file_size);
                    let length = end.saturating_sub(start);
                    gaps.push(Gap { start: FileOffset(start), length, kind: GapKind::Free });
                    open = None;
                }
                _ => {}
            }
        }
        gaps
    }
}

/// The keys of a leaf for which the elements that can be read do not vouch; none if these
/// do not fit each other, so that nothing tells which of them is right.
fn lost_between<'a>(
    page: &Page<'a>,
    elements: &[LeafElement<'a>],
    broken: BrokenPage<'a>,
) -> Option<Vec<LostKeys<'a>>> {
    let mut lost = Vec::new();
    let mut lower = broken.span.lower;
    if !elements.first().is_some_and(|first| is_counted_before(page, first)) {
        return None;
    }
    // What the next element has to be, and where its data begin.
    let (mut index, mut next) = (0, page.offset.0.saturating_add(page.table_end() as u64));
    for element in elements {
        let (key, start) = (element.key(), element.data_offset().0);
        let is_in_order = if index == 0 { key >= lower } else { key > lower };
        if !is_in_order || !broken.span.contains(key) || start < next {
            return None;
        }
        if (element.index, start) != (index, next) {
            // Elements without data were not on this page.
            let missing = (start > next).then(|| element.index.saturating_sub(index));
            let count =
                missing.filter(|count| *count > 0).map(|count| count.saturating_add(u32::from(index > 0)));
            let span = KeySpan { lower, upper: Some(key) };
            lost.push(LostKeys { page: broken.page, span, count: count.map(u64::from) });
        }
        lower = key;
        index = element.index.saturating_add(1);
        next = start.saturating_add(element.key_value().len() as u64);
    }
    let missing = u32::from(page.count).saturating_sub(index);
    if missing > 0 || !is_filled_up(page, elements) {
        let count = (missing > 0).then(|| u64::from(missing).saturating_add(1));
        lost.push(LostKeys { page: broken.page, span: KeySpan { lower, upper: broken.span.upper }, count });
    }
    Some(lost)
}

/// Whether a leaf has as many elements as it was written with, `first` being the first that
/// can be read: the data of its very first one stand right behind the table, as its place
/// or the sizes of those before `first` say. The last ones would be hidden by a lesser count.
fn is_counted_before(page: &Page<'_>, first: &LeafElement<'_>) -> bool {
    let start = first.data_offset().0.saturating_sub(page.offset.0);
    let table_end = page.table_end();
    if first.index == 0 {
        return start == table_end as u64;
    }
    let field = |index: u32, at: usize| {
        let slot = HEADER_SIZE.saturating_mul(index as usize).saturating_add(HEADER_SIZE);
        u32_le(page.bytes, slot.saturating_add(at)).map_or(0, u64::from)
    };
    let sizes = (0..first.index).map(|index| field(index, 8).saturating_add(field(index, 12)));
    let data = sizes.fold(table_end as u64, u64::saturating_add);
    field(0, 4).saturating_add(HEADER_SIZE as u64) == table_end as u64 || data == start
}

/// Whether another leaf stands where the page goes on behind its first page.
fn is_overwritten(page: &Page<'_>, page_size: PageSize) -> bool {
    let size = usize::try_from(page_size.bytes()).unwrap_or(usize::MAX);
    let mut tails = (1..page.pages()).map_while(|number| {
        let at = usize::try_from(number).ok()?.checked_mul(size)?;
        page.bytes.get(at..)
    });
    tails.any(has_table)
}

/// Whether there are but zeros behind the last element, as bbolt fills pages up.
fn is_filled_up(page: &Page<'_>, elements: &[LeafElement<'_>]) -> bool {
    let end = elements.last().map_or(page.table_end() as u64, |last| {
        let start = last.data_offset().0.saturating_sub(page.offset.0);
        start.saturating_add(last.key_value().len() as u64)
    });
    let slack = usize::try_from(end).ok().and_then(|end| page.bytes.get(end..));
    slack.is_none_or(|slack| slack.iter().all(|byte| *byte == 0))
}

/// Whether a branch has as many elements as it was written with: the first key stands
/// right behind the table.
fn is_counted(page: &Page<'_>) -> bool {
    let first = u32_le(page.bytes, HEADER_SIZE).map(|position| HEADER_SIZE.saturating_add(position as usize));
    first == Some(page.table_end())
}

/// Reads the elements of a leaf; whether they are as bbolt writes them.
fn read<'a>(page: &Page<'a>, elements: &mut Vec<LeafElement<'a>>) -> bool {
    let mut sound = page.hidden().is_none();
    page.leaf_elements(elements, |_, _| sound = false);
    let mut next = page.offset.0.saturating_add(page.table_end() as u64);
    let mut previous: Option<&[u8]> = None;
    for element in elements.iter() {
        sound &= element.data_offset().0 == next && previous.is_none_or(|previous| previous < element.key());
        next = next.saturating_add(element.key_value().len() as u64);
        previous = Some(element.key());
    }
    sound
}

/// The top-level buckets that can be read, and whether these are all.
pub(crate) fn buckets_of_root<'a>(db: &Db<'a>) -> (Vec<Bucket<'a>>, bool) {
    let (elements, faults) = top_level_elements(db);
    let buckets: Vec<_> = elements.iter().filter_map(Bucket::of_element).collect();
    let whole = faults.is_empty() && buckets.len() == elements.len();
    (buckets, whole)
}

/// Keys and values on the page inside an inline bucket, as far as they can be read.
pub fn inline_entries(page: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut elements = Vec::new();
    if let Ok(page) = Bucket::inline_page(page, FileOffset(0)) {
        page.leaf_elements(&mut elements, |_, _| ());
    }
    elements.iter().map(|element| (element.key(), element.value())).collect()
}

/// The elements of the leaf at `id`, if it is one and as bbolt writes leaves.
pub fn whole_leaf<'a>(image: &Image<'a>, id: PageId) -> Option<Vec<LeafElement<'a>>> {
    let page = image.page(id).ok().filter(|page| page.flags == PageFlags::LEAF)?;
    let mut elements = Vec::new();
    (read(&page, &mut elements) && !elements.is_empty()).then_some(elements)
}

/// Finds the keys at the edges of trees that nothing vouches for. Pages may be shared
/// and runs be long, so the bytes that are read for it are limited.
#[derive(Debug)]
pub struct Edges<'a> {
    image: Image<'a>,
    budget: u64,
}

impl<'a> Edges<'a> {
    /// Reads a few times as many bytes as `image` has, at most.
    pub fn new(image: Image<'a>) -> Self {
        let bytes = image.page_limit().saturating_mul(image.page_size().bytes());
        Self { image, budget: bytes.saturating_mul(4) }
    }

    /// The first and the last key below the page at `id`: of a leaf that is whole, or of
    /// the leaves at both edges of a branch.
    pub fn of(&mut self, id: PageId) -> Option<(&'a [u8], &'a [u8])> {
        Some((self.edge(id, false)?, self.edge(id, true)?))
    }

    fn edge(&mut self, mut id: PageId, last: bool) -> Option<&'a [u8]> {
        for _ in 0..MAX_DEPTH {
            let page = self.image.page(id).ok()?;
            let index = if last { u32::from(page.count).checked_sub(1)? } else { 0 };
            match page.flags {
                PageFlags::LEAF => {
                    self.budget = self.budget.checked_sub(page.bytes.len() as u64)?;
                    let leaf = whole_leaf(&self.image, id)?;
                    let element = if last { leaf.last() } else { leaf.first() };
                    return element.map(LeafElement::key);
                }
                PageFlags::BRANCH => id = page.branch_element(index).ok()?.child,
                _ => return None,
            }
        }
        None
    }
}

/// Between the last key below a child and the separator of the next there was nothing
/// when a branch was written. Hands over these pairs of all branches among `relics`, where
/// the children on both sides still fit their separators.
pub fn vacancies<'a>(image: &Image<'a>, relics: &[Relic], mut each: impl FnMut(&'a [u8], &'a [u8])) {
    let mut edges = Edges::new(*image);
    for relic in relics.iter().filter(|relic| relic.kind == RelicKind::Branch) {
        let Ok(page) = image.page(image.page_of(relic.start)) else { continue };
        let Ok(elements) = page.branch_elements() else { continue };
        // The last key below the child before, if that child fits its separator.
        let mut previous: Option<&'a [u8]> = None;
        for element in elements.map_while(Result::ok) {
            // A separator that was damaged would speak against keys that are there: it
            // counts only if the child behind it is there and fits it, too.
            let fitting = edges.of(element.child).filter(|(first, _)| *first >= element.key);
            if let (Some(last), Some(_)) = (previous, fitting)
                && last < element.key
            {
                each(last, element.key);
            }
            previous = fitting.map(|(_, last)| last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span<'a>(lower: &'a [u8], upper: Option<&'a [u8]>) -> KeySpan<'a> {
        KeySpan { lower, upper }
    }

    fn survey<'a>(spans: &[KeySpan<'a>]) -> Survey<'a> {
        Survey::of(
            Vec::new(),
            spans.iter().map(|span| LostKeys { page: None, span: *span, count: None }).collect(),
        )
    }

    #[test]
    fn what_is_covered_and_what_is_lost_are_all_keys_together() {
        let lost = [span(b"b", Some(b"f")), span(b"m", Some(b"p")), span(b"t", None)];
        let mut survey =
            survey(&[lost[1], span(b"b", Some(b"d")), span(b"u", None), span(b"d", Some(b"f")), lost[2]]);
        assert_eq!(survey.lost(), lost);
        for key in [&b"a"[..], b"b", b"d", b"e", b"f", b"m", b"o", b"p", b"t", b"z"] {
            assert_eq!(survey.covers(key), !lost.iter().any(|span| span.contains(key)), "{key:?}");
        }
        survey.begin_at(b"n");
        assert_eq!(survey.lost(), [span(b"", Some(b"p")), lost[2]]);
    }

    #[test]
    fn bytes_that_are_too_few_for_a_page_hold_no_entry() {
        for size in 0..HEADER_SIZE {
            assert!(inline_entries(&[0xff; HEADER_SIZE][..size]).is_empty());
        }
    }

    #[test]
    fn without_a_tree_everything_is_lost() {
        assert!(!Survey::default().covers(b"a") && !Survey::default().is_whole());
        assert!(survey(&[]).covers(b"a") && survey(&[]).is_whole());
    }
}
