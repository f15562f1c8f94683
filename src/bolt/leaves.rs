//! The leaves of a bucket one after the other on one thread: forwards for whoever
//! needs the entries in order and keeps nothing of them, backwards for whoever
//! looks for something that was written lately and stops when it is found.

use super::bucket::{Bucket, BucketRoot};
use super::db::Db;
use super::fault::{Excerpt, Fault, FaultKind, Place};
use super::page::{LeafElement, Page, PageFlags};
use super::page_set::PageSet;
use super::tree::{Bounds, MAX_DEPTH, check_order, for_each_child};
use super::walk::top_level_elements;
use super::{Image, PageId};

/// What is asked of the leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The first one first.
    Forward,
    /// The last one first.
    Backward,
    /// The last one first, whatever keys it has.
    BackwardInAnyOrder,
}

/// Yields the elements of one leaf after the other, in the order of the page
/// within each. A page that cannot be read, or does not have all its elements, is a
/// fault, and the other leaves follow nevertheless. So is, where the order counts, a page
/// whose keys are not in order or not where they belong; of a branch that is so none of
/// the leaves below it follows.
pub struct Leaves<'a> {
    image: Image<'a>,
    way: Way,
    /// Pages seen, so that a cycle ends.
    seen: PageSet,
    /// What is still to visit of each branch on the way, the next one last.
    stack: Vec<Vec<(PageId, Bounds<'a>)>>,
    start: Option<BucketRoot<'a>>,
    bucket: std::sync::Arc<[u8]>,
}

impl std::fmt::Debug for Leaves<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaves").field("depth", &self.stack.len()).finish_non_exhaustive()
    }
}

/// The leaves of top-level bucket `name`, the last one first. Without such a
/// bucket, or with damage on the way to it, there are none.
pub fn leaves_backward<'a>(db: &Db<'a>, name: &[u8]) -> Leaves<'a> {
    leaves(db, name, Way::Backward)
}

/// As [`leaves_backward`], for whoever does not mind that one stands in another's place.
pub fn leaves_backward_in_any_order<'a>(db: &Db<'a>, name: &[u8]) -> Leaves<'a> {
    leaves(db, name, Way::BackwardInAnyOrder)
}

/// The leaves of top-level bucket `name`, the first one first. Without such a
/// bucket, or with damage on the way to it, there are none.
pub fn leaves_forward<'a>(db: &Db<'a>, name: &[u8]) -> Leaves<'a> {
    leaves(db, name, Way::Forward)
}

/// The last element of top-level bucket `name`. `None` if the bucket is empty, not there, or
/// anything on the way is damaged or out of order: a walk then says what.
pub fn last_element<'a>(db: &Db<'a>, name: &[u8]) -> Option<LeafElement<'a>> {
    leaves_backward(db, name).next()?.ok()?.pop()
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

fn leaves<'a>(db: &Db<'a>, name: &[u8], way: Way) -> Leaves<'a> {
    let (elements, _) = top_level_elements(db);
    let bucket = elements.iter().find(|element| element.key() == name);
    let bucket = bucket.and_then(|element| Bucket::parse(element, None).ok());
    Leaves {
        image: db.image,
        way,
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

    /// Visits a page: the elements of a leaf, or `None` for a branch, whose children are
    /// now on the stack.
    fn visit(&mut self, id: PageId, bounds: Bounds<'a>) -> Result<Option<Vec<LeafElement<'a>>>, Box<Fault>> {
        let page = self.image.page(id).map_err(|kind| self.fault(id, kind))?;
        if !self.seen.insert(id) {
            return Err(self.fault(id, FaultKind::MultipleReferences { shared: id }));
        }
        match page.flags {
            PageFlags::LEAF => {
                let elements = self.elements(&page)?;
                self.ordered(id, elements, bounds).map(Some)
            }
            PageFlags::BRANCH if self.stack.len() >= MAX_DEPTH as usize => {
                Err(self.fault(id, FaultKind::TooDeep { limit: MAX_DEPTH }))
            }
            PageFlags::BRANCH => {
                let children = self.children(&page, bounds).map_err(|kind| self.fault(id, kind))?;
                self.stack.push(children);
                Ok(None)
            }
            flags => Err(self.fault(id, FaultKind::PageType { flags })),
        }
    }

    /// The elements of a leaf, if they are in order or need not be.
    fn ordered(
        &self,
        page: PageId,
        elements: Vec<LeafElement<'a>>,
        bounds: Bounds<'a>,
    ) -> Result<Vec<LeafElement<'a>>, Box<Fault>> {
        if self.way != Way::BackwardInAnyOrder {
            in_order(&elements, bounds).map_err(|kind| self.fault(page, kind))?;
        }
        Ok(elements)
    }

    /// The children of a branch, the next one last.
    fn children(&self, page: &Page<'a>, bounds: Bounds<'a>) -> Result<Vec<(PageId, Bounds<'a>)>, FaultKind> {
        let mut children = Vec::new();
        if self.way == Way::BackwardInAnyOrder {
            let readable = page.branch_elements()?.filter_map(Result::ok);
            children.extend(readable.map(|element| (element.child, Bounds::default())));
            return Ok(children);
        }
        for_each_child(page, bounds, |element, bounds| children.push((element.child, bounds)))?;
        if self.way == Way::Forward {
            children.reverse();
        }
        Ok(children)
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
                page.and_then(|page| {
                    let elements = self.elements(&page)?;
                    self.ordered(PageId(0), elements, Bounds::default()).map(Some)
                })
            }
            None => Ok(None),
        };
        loop {
            match visited {
                Ok(Some(elements)) => return Some(Ok(elements)),
                Ok(None) => {}
                Err(fault) => return Some(Err(fault)),
            }
            visited = match self.stack.last_mut()?.pop() {
                Some((child, bounds)) => self.visit(child, bounds),
                None => {
                    self.stack.pop();
                    Ok(None)
                }
            };
        }
    }
}

/// What is wrong with the order of a leaf's elements.
fn in_order(elements: &[LeafElement<'_>], bounds: Bounds<'_>) -> Result<(), FaultKind> {
    for (element, next) in elements.iter().zip(elements.iter().skip(1)) {
        check_order(element.key(), next.key())?;
    }
    for element in elements.first().into_iter().chain(elements.last()) {
        bounds.check(element.key())?;
    }
    Ok(())
}
