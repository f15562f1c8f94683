//! The leaves of a bucket one after the other on one thread: forwards for whoever
//! needs the entries in order and keeps nothing of them, backwards for whoever
//! looks for something that was written lately and stops when it is found.

use super::bucket::{Bucket, BucketRoot};
use super::db::Db;
use super::fault::{Excerpt, Fault, FaultKind, Place};
use super::page::{LeafElement, Page, PageFlags};
use super::page_set::PageSet;
use super::tree::{Bounds, MAX_DEPTH};
use super::walk::top_level_elements;
use super::{Image, PageId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// Yields the elements of one leaf after the other, in the order of the page
/// within each. A page that cannot be read, does not have all its elements, or stands
/// where its keys do not belong, is a fault, and the other leaves follow nevertheless.
/// Keys inside a page are not checked against their neighbours.
pub struct Leaves<'a> {
    image: Image<'a>,
    direction: Direction,
    /// Pages seen, so that a cycle ends.
    seen: PageSet,
    /// Branches on the way.
    stack: Vec<Frame<'a>>,
    start: Option<BucketRoot<'a>>,
    bucket: std::sync::Arc<[u8]>,
}

/// A branch on the way to a leaf.
struct Frame<'a> {
    page: Page<'a>,
    /// The number of children still to visit.
    left: u32,
    bounds: Bounds<'a>,
}

impl std::fmt::Debug for Leaves<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaves").field("depth", &self.stack.len()).finish_non_exhaustive()
    }
}

/// The leaves of top-level bucket `name`, the last one first. Without such a
/// bucket, or with damage on the way to it, there are none.
pub fn leaves_backward<'a>(db: &Db<'a>, name: &[u8]) -> Leaves<'a> {
    leaves(db, name, Direction::Backward)
}

/// The leaves of top-level bucket `name`, the first one first. Without such a
/// bucket, or with damage on the way to it, there are none.
pub fn leaves_forward<'a>(db: &Db<'a>, name: &[u8]) -> Leaves<'a> {
    leaves(db, name, Direction::Forward)
}

/// The top-level buckets in the order of their names.
///
/// # Errors
/// The first thing that is wrong with the root, an entry that is no bucket
/// included.
pub fn top_level_buckets<'a>(db: &Db<'a>) -> Result<Vec<Bucket<'a>>, Box<Fault>> {
    let (elements, faults) = top_level_elements(db);
    if let Some(fault) = faults.sorted().first() {
        return Err(Box::new((*fault).clone()));
    }
    let bucket = |element: &LeafElement<'a>| {
        let fault = |kind| {
            let offset = element.offset;
            let place = Place {
                page: Some(db.image.page_of(offset)),
                element: Some(element.index),
                offset: Some(offset),
            };
            Box::new(Fault { place, bucket: Some(element.key().into()), kind, lost: None })
        };
        if !element.is_bucket {
            return Err(fault(FaultKind::NotABucket { key: Excerpt::of(element.key()) }));
        }
        Bucket::parse(element, None).map_err(fault)
    };
    elements.iter().map(bucket).collect()
}

fn leaves<'a>(db: &Db<'a>, name: &[u8], direction: Direction) -> Leaves<'a> {
    let (elements, _) = top_level_elements(db);
    let bucket = elements.iter().find(|element| element.key() == name);
    let bucket = bucket.and_then(|element| Bucket::parse(element, None).ok());
    Leaves {
        image: db.image,
        direction,
        seen: PageSet::new(db.image.page_limit()),
        stack: Vec::new(),
        start: bucket.map(|bucket| bucket.root),
        bucket: name.into(),
    }
}

impl<'a> Leaves<'a> {
    fn fault(&self, page: PageId, kind: FaultKind) -> Box<Fault> {
        Box::new(Fault { place: Place::page(page), bucket: Some(self.bucket.clone()), kind, lost: None })
    }

    /// Visits a page: the elements of a leaf, or `None` for a branch, which is
    /// now on the stack.
    fn visit(&mut self, id: PageId, bounds: Bounds<'a>) -> Result<Option<Vec<LeafElement<'a>>>, Box<Fault>> {
        let page = self.image.page(id).map_err(|kind| self.fault(id, kind))?;
        if !self.seen.insert(id) {
            return Err(self.fault(id, FaultKind::MultipleReferences { shared: id }));
        }
        match page.flags {
            PageFlags::LEAF => {
                let elements = self.elements(&page)?;
                for element in elements.first().into_iter().chain(elements.last()) {
                    bounds.check(element.key()).map_err(|kind| self.fault(id, kind))?;
                }
                Ok(Some(elements))
            }
            PageFlags::BRANCH if self.stack.len() >= MAX_DEPTH as usize => {
                Err(self.fault(id, FaultKind::TooDeep { limit: MAX_DEPTH }))
            }
            PageFlags::BRANCH => {
                self.stack.push(Frame { page, left: u32::from(page.count), bounds });
                Ok(None)
            }
            flags => Err(self.fault(id, FaultKind::PageType { flags })),
        }
    }

    fn elements(&self, page: &Page<'a>) -> Result<Vec<LeafElement<'a>>, Box<Fault>> {
        let mut elements = Vec::new();
        let mut fault = None;
        page.leaf_elements(&mut elements, |element, kind| {
            let place = Place { page: Some(page.id), element, offset: None };
            fault =
                fault.take().or(Some(Fault { place, bucket: Some(self.bucket.clone()), kind, lost: None }));
        });
        let hidden = page.hidden().map(|bytes| (None, FaultKind::ElementsHidden { bytes }));
        // A leaf below a branch has elements.
        let empty = (page.count == 0 && !self.stack.is_empty()).then_some((None, FaultKind::EmptyLeaf));
        let missing = hidden.or(empty).or_else(|| page.leaf_gap(&elements));
        let fault = fault.or_else(|| {
            let (element, kind) = missing?;
            let place = Place { page: Some(page.id), element, offset: None };
            Some(Fault { place, bucket: Some(self.bucket.clone()), kind, lost: None })
        });
        fault.map_or(Ok(elements), |fault| Err(Box::new(fault)))
    }
}

impl<'a> Iterator for Leaves<'a> {
    type Item = Result<Vec<LeafElement<'a>>, Box<Fault>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut visited = match self.start.take() {
            Some(BucketRoot::Tree(root)) => self.visit(root, Bounds::default()),
            Some(BucketRoot::Inline { bytes, offset }) => {
                let page = Bucket::inline_page(bytes, offset).map_err(|kind| self.fault(PageId(0), kind));
                page.and_then(|page| self.elements(&page)).map(Some)
            }
            None => Ok(None),
        };
        loop {
            match visited {
                Ok(Some(elements)) => return Some(Ok(elements)),
                Ok(None) => {}
                Err(fault) => return Some(Err(fault)),
            }
            let frame = self.stack.last_mut()?;
            let Some(left) = frame.left.checked_sub(1) else {
                self.stack.pop();
                visited = Ok(None);
                continue;
            };
            frame.left = left;
            let count = u32::from(frame.page.count);
            let index = match self.direction {
                Direction::Backward => left,
                Direction::Forward => count.saturating_sub(left).saturating_sub(1),
            };
            let id = frame.page.id;
            visited = match frame.child(index) {
                Ok((child, bounds)) => self.visit(child, bounds),
                Err(kind) => Err(self.fault(id, kind)),
            };
        }
    }
}

impl<'a> Frame<'a> {
    /// A child, and the keys that it may hold.
    fn child(&self, index: u32) -> Result<(PageId, Bounds<'a>), FaultKind> {
        let element = self.page.branch_element(index)?;
        self.bounds.check(element.key)?;
        let next = index.saturating_add(1);
        let behind = (next < u32::from(self.page.count)).then(|| self.page.branch_element(next));
        // One that cannot be read is a fault of its own.
        let upper = behind.and_then(Result::ok).map(|element| element.key).or(self.bounds.upper);
        Ok((element.child, Bounds { lower: Some(element.key), upper }))
    }
}
