//! Which leaves a tree has, in order.
//!
//! Two ways to list them. [`quick`] trusts that the tree is what bbolt writes:
//! all leaves at one depth. It reads the upper levels only and hands out the
//! parents of the leaves as units of work; whatever then turns out not to fit is
//! no finding yet but a reason to list again. [`careful`] reads the header of
//! every page one after the other, claims each run before it looks inside, and
//! reports every fault at its place. A sound file never needs it.

use std::sync::Arc;

use super::bucket::{Bucket, BucketRoot};
use super::fault::{Excerpt, Fault, FaultKind, KeyRange, Place};
use super::image::Image;
use super::page::{BranchElement, KeysApart, Page, PageFlags};
use super::page_set::PageSet;
use super::{FileOffset, PageId};

/// No tree of 64-bit page ids with two children per branch is deeper, and none
/// that etcd writes comes near. What is deeper is damage, not a big file.
pub(crate) const MAX_DEPTH: u32 = 64;

/// The keys a page may hold: at or above `lower`, below `upper`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds<'a> {
    pub(crate) lower: Option<&'a [u8]>,
    pub(crate) upper: Option<&'a [u8]>,
}

impl Bounds<'_> {
    pub(crate) fn range(&self) -> Box<KeyRange> {
        Box::new(KeyRange { lower: self.lower.map(Excerpt::of), upper: self.upper.map(Excerpt::of) })
    }

    /// What is wrong with a page that holds `key`.
    pub(crate) fn check(&self, key: &[u8]) -> Result<(), FaultKind> {
        match (self.lower, self.upper) {
            (Some(lower), _) if key < lower => {
                Err(FaultKind::KeyBelowParent { separator: Excerpt::of(lower), key: Excerpt::of(key) })
            }
            (_, Some(upper)) if key >= upper => {
                Err(FaultKind::KeyAboveParent { separator: Excerpt::of(upper), key: Excerpt::of(key) })
            }
            _ => Ok(()),
        }
    }
}

/// What is wrong with a key behind `previous`.
pub(crate) fn check_order(previous: &[u8], key: &[u8]) -> Result<(), FaultKind> {
    if key > previous {
        return Ok(());
    }
    Err(FaultKind::KeyOrder { previous: Excerpt::of(previous), key: Excerpt::of(key) })
}

/// A piece of a tree as [`quick`] lists it: not yet looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Believed<'a> {
    /// A branch page whose children are believed to be leaves.
    Parent { page: PageId, bounds: Bounds<'a> },
    /// A page believed to be a leaf, and the bucket's only page.
    Root { page: PageId },
    /// The page of an inline bucket.
    Inline { bytes: &'a [u8], offset: FileOffset },
}

/// A piece of a tree as [`careful`] lists it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// A leaf whose header was read and whose first page was claimed; `root` if
    /// it is the bucket's only page. Its overflow pages are claimed when it is
    /// read: by then every page that anything points at is claimed, so of two
    /// runs that overlap it is the one that reaches into the other that gives way.
    Leaf { page: Page<'a>, bounds: Bounds<'a>, root: bool },
    /// The page of an inline bucket.
    Inline { bytes: &'a [u8], offset: FileOffset },
}

/// A tree that is not as bbolt writes trees. Says nothing of what is wrong.
#[derive(Debug)]
pub(crate) struct Irregular;

/// Pages of the branches above the units.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct BranchCount {
    pub(crate) pages: u64,
    pub(crate) overflow: u64,
}

impl BranchCount {
    pub(crate) fn add(&mut self, page: &Page<'_>) {
        self.pages = self.pages.saturating_add(1);
        self.overflow = self.overflow.saturating_add(u64::from(page.overflow));
    }
}

/// Claims a page and its run, and checks its kind.
pub(crate) fn claim<'a>(
    image: &Image<'a>,
    claimed: &PageSet,
    id: PageId,
    wanted: PageFlags,
) -> Result<Page<'a>, Irregular> {
    let page = image.page(id).map_err(|_| Irregular)?;
    if page.flags != wanted {
        return Err(Irregular);
    }
    claimed.insert_run(id, page.pages()).map_err(|_| Irregular)?;
    Ok(page)
}

/// Lists what the bucket at `root` has, reading its upper levels only.
pub(crate) fn quick<'a>(
    image: &Image<'a>,
    claimed: &PageSet,
    root: BucketRoot<'a>,
    count: &mut BranchCount,
) -> Result<Vec<Believed<'a>>, Irregular> {
    let root = match root {
        BucketRoot::Inline { bytes, offset } => return Ok(vec![Believed::Inline { bytes, offset }]),
        BucketRoot::Tree(root) => root,
    };
    let first = image.page(root).map_err(|_| Irregular)?;
    if first.flags == PageFlags::LEAF {
        return Ok(vec![Believed::Root { page: root }]);
    }
    let mut level = vec![(root, Bounds::default())];
    for _ in 0..MAX_DEPTH {
        // The kind of the first child of the level stands for all of them.
        let (leftmost, _) = *level.first().ok_or(Irregular)?;
        let leftmost = image.page(leftmost).map_err(|_| Irregular)?;
        if leftmost.flags != PageFlags::BRANCH {
            return Err(Irregular);
        }
        let child = leftmost.branch_element(0).map_err(|_| Irregular)?.child;
        if leftmost.count == 0 {
            return Err(Irregular);
        }
        if image.page(child).map_err(|_| Irregular)?.flags == PageFlags::LEAF {
            return Ok(level.into_iter().map(|(page, bounds)| Believed::Parent { page, bounds }).collect());
        }
        let mut next = Vec::new();
        for (id, bounds) in level {
            let page = claim(image, claimed, id, PageFlags::BRANCH)?;
            count.add(&page);
            for_each_child(&page, bounds, |element, bounds| next.push((element.child, bounds)))
                .map_err(|_| Irregular)?;
        }
        level = next;
    }
    Err(Irregular)
}

/// Hands out the children of a sound branch page with the keys each may hold.
///
/// # Errors
/// The first thing that is wrong with the page; what was handed out before does not count.
pub(crate) fn for_each_child<'a>(
    page: &Page<'a>,
    bounds: Bounds<'a>,
    mut each: impl FnMut(BranchElement<'a>, Bounds<'a>),
) -> Result<(), FaultKind> {
    let elements = page.branch_elements()?;
    if let Some((_, gap)) = page.branch_gap() {
        return Err(gap);
    }
    let mut pending: Option<BranchElement<'a>> = None;
    for element in elements {
        let element = element.map_err(|(_, kind)| kind)?;
        match pending.replace(element) {
            None => bounds.check(element.key)?,
            Some(previous) => {
                check_order(previous.key, element.key)?;
                each(previous, Bounds { lower: Some(previous.key), upper: Some(element.key) });
            }
        }
    }
    let last = pending.ok_or(FaultKind::EmptyBranch)?;
    bounds.check(last.key)?;
    each(last, Bounds { lower: Some(last.key), upper: bounds.upper });
    Ok(())
}

/// A fault met by [`careful`].
pub(crate) struct ListFault<'a> {
    /// The page it is about.
    pub(crate) page: PageId,
    /// The branch element it is about.
    pub(crate) element: Option<u32>,
    pub(crate) kind: FaultKind,
    /// The keys lost by it.
    pub(crate) lost: Option<Bounds<'a>>,
}

impl ListFault<'_> {
    /// As a fault of the tree of `bucket`.
    pub(crate) fn of_bucket(self, bucket: Option<&Bucket<'_>>) -> Fault {
        Fault {
            place: Place { page: Some(self.page), element: self.element, offset: None },
            bucket: bucket.map(|bucket| Arc::clone(&bucket.top)),
            kind: self.kind,
            lost: self.lost.map(|bounds| bounds.range()),
        }
    }
}

/// A reference that [`careful`] followed.
pub(crate) struct Visited<'v, 'a> {
    /// The page it leads to.
    pub(crate) id: PageId,
    /// The branch page and the element that it was met in; none for the root.
    pub(crate) from: Option<(PageId, u32)>,
    /// Branches above.
    pub(crate) depth: u32,
    /// The keys that it is to hold.
    pub(crate) bounds: Bounds<'a>,
    /// The page, if it is a branch or a leaf that nothing else has claimed.
    pub(crate) found: Result<&'v Page<'a>, &'v FaultKind>,
}

/// What [`careful`] tells while it lists.
pub(crate) enum Event<'v, 'a> {
    /// A reference was followed. Comes before what is wrong with its page.
    Visited(Visited<'v, 'a>),
    /// Something is wrong.
    Fault(ListFault<'a>),
}

struct Frame<'a> {
    page: Page<'a>,
    bounds: Bounds<'a>,
    next: u32,
    previous: Option<&'a [u8]>,
    keys: KeysApart,
    /// The position and the key of the element that is believed next; none behind the last.
    ahead: (u32, Option<&'a [u8]>),
}

impl<'a> Frame<'a> {
    fn element(&self, index: u32) -> Result<BranchElement<'a>, FaultKind> {
        let element = self.page.branch_element(index)?;
        self.keys.check(index)?;
        Ok(element)
    }

    /// The key of the first element behind `index` that is believed. Asked of ascending
    /// positions, each element is looked at once.
    fn key_behind(&mut self, index: u32) -> Option<&'a [u8]> {
        if self.ahead.0 <= index {
            let behind = index.saturating_add(1)..u32::from(self.page.count);
            let mut elements = behind.filter_map(|index| Some((index, self.element(index).ok()?.key)));
            self.ahead = elements.next().map_or((u32::MAX, None), |(index, key)| (index, Some(key)));
        }
        self.ahead.1
    }
}

/// Lists every leaf of the bucket at `root`, reading the header of every page,
/// and reports what is wrong. Memory: the leaves, and one frame per level.
pub(crate) fn careful<'a>(
    image: &Image<'a>,
    claimed: &PageSet,
    root: BucketRoot<'a>,
    count: &mut BranchCount,
    mut event: impl FnMut(Event<'_, 'a>),
) -> Vec<Seen<'a>> {
    let root = match root {
        BucketRoot::Inline { bytes, offset } => return vec![Seen::Inline { bytes, offset }],
        BucketRoot::Tree(root) => root,
    };
    let mut units = Vec::new();
    let mut stack: Vec<Frame<'a>> = Vec::new();
    let mut leaf_depth = None;
    let mut visit = Some((root, Bounds::default(), None));
    loop {
        if let Some((id, bounds, from)) = visit.take() {
            let depth = u32::try_from(stack.len()).unwrap_or(MAX_DEPTH);
            let found = claim_reporting(image, claimed, id);
            event(Event::Visited(Visited { id, from, depth, bounds, found: found.as_ref() }));
            let mut fault = |fault| event(Event::Fault(fault));
            let mut lose = |kind| fault(ListFault { page: id, element: None, kind, lost: Some(bounds) });
            match found {
                Err(kind) => lose(kind),
                Ok(_) if depth >= MAX_DEPTH => lose(FaultKind::TooDeep { limit: MAX_DEPTH }),
                Ok(page) if page.flags == PageFlags::LEAF => {
                    let first = *leaf_depth.get_or_insert(depth);
                    if first != depth {
                        let kind = FaultKind::UnevenDepth { first, depth };
                        fault(ListFault { page: id, element: None, kind, lost: None });
                    }
                    units.push(Seen::Leaf { page, bounds, root: depth == 0 });
                }
                Ok(page) => match page.branch_elements() {
                    Err(kind) => lose(kind),
                    Ok(_) if page.count == 0 => lose(FaultKind::EmptyBranch),
                    Ok(_) => {
                        count.add(&page);
                        if let Some((element, kind)) = page.branch_gap() {
                            fault(ListFault { page: id, element, kind, lost: None });
                        }
                        let keys = KeysApart::of(&page);
                        stack.push(Frame { page, bounds, next: 0, previous: None, keys, ahead: (0, None) });
                    }
                },
            }
        }
        let Some(frame) = stack.last_mut() else { return units };
        if frame.next >= u32::from(frame.page.count) {
            stack.pop();
            continue;
        }
        let index = frame.next;
        frame.next = index.saturating_add(1);
        let page = frame.page.id;
        let mut at = |kind, lost| event(Event::Fault(ListFault { page, element: Some(index), kind, lost }));
        let upper = frame.key_behind(index).or(frame.bounds.upper);
        match frame.element(index) {
            Err(kind) => at(kind, Some(Bounds { lower: frame.previous, upper })),
            Ok(element) => {
                let key = element.key;
                let order = frame.previous.map_or(Ok(()), |previous| check_order(previous, key));
                for kind in [order, frame.bounds.check(key)].into_iter().filter_map(Result::err) {
                    at(kind, None);
                }
                frame.previous = Some(key);
                visit = Some((element.child, Bounds { lower: Some(key), upper }, Some((page, index))));
            }
        }
    }
}

fn claim_reporting<'a>(image: &Image<'a>, claimed: &PageSet, id: PageId) -> Result<Page<'a>, FaultKind> {
    if id.0 >= 2 && claimed.contains(id) {
        return Err(FaultKind::MultipleReferences { shared: id });
    }
    let page = image.page(id)?;
    if page.flags != PageFlags::BRANCH && page.flags != PageFlags::LEAF {
        return Err(FaultKind::PageType { flags: page.flags });
    }
    let pages = if page.flags == PageFlags::LEAF { 1 } else { page.pages() };
    claimed.insert_run(id, pages).map_err(|shared| FaultKind::MultipleReferences { shared })?;
    Ok(page)
}
