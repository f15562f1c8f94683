//! Where the leaves of each bucket are and where their keys begin: enough to look
//! up a key without the branches above it, which may be damaged.

use std::collections::BTreeMap;

use super::PageId;
use super::bucket::{Bucket, BucketRoot};
use super::fold::{Fold, LeafView};
use super::image::Image;
use super::page::{LeafElement, Page};

/// The leaves of one top-level bucket. Memory: 40 bytes a leaf.
#[derive(Debug, Clone, Default)]
pub struct LeafIndex<'a> {
    leaves: Vec<IndexedLeaf<'a>>,
}

/// A leaf and its first key.
#[derive(Debug, Clone, Copy)]
pub struct IndexedLeaf<'a> {
    first: &'a [u8],
    place: Place<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Page(PageId),
    Inline(BucketRoot<'a>),
}

impl<'a> IndexedLeaf<'a> {
    fn page(&self, image: &Image<'a>) -> Option<Page<'a>> {
        match self.place {
            Place::Page(id) => image.page(id).ok(),
            Place::Inline(BucketRoot::Inline { bytes, offset }) => Bucket::inline_page(bytes, offset).ok(),
            Place::Inline(BucketRoot::Tree(_)) => None,
        }
    }
}

impl<'a> LeafIndex<'a> {
    /// The element with this key. In a bucket whose keys are out of order it may
    /// be missed.
    pub fn find(&self, image: &Image<'a>, key: &[u8]) -> Option<LeafElement<'a>> {
        let behind = self.leaves.partition_point(|leaf| leaf.first <= key);
        let page = self.leaves.get(behind.checked_sub(1)?)?.page(image)?;
        let at = lower_bound(&page, key);
        page.leaf_element(at).filter(|element| at < u32::from(page.count) && element.key() == key)
    }

    /// The elements whose keys are `key` or above, in order.
    pub fn from<'i>(
        &'i self,
        image: &'i Image<'a>,
        key: &'i [u8],
    ) -> impl Iterator<Item = LeafElement<'a>> + 'i {
        let behind = self.leaves.partition_point(|leaf| leaf.first <= key);
        let leaves = self.leaves.get(behind.saturating_sub(1)..).unwrap_or_default();
        leaves.iter().filter_map(|leaf| leaf.page(image)).flat_map(move |page| {
            let first = lower_bound(&page, key);
            (first..u32::from(page.count)).filter_map(move |index| page.leaf_element(index))
        })
    }

    /// Whether there is no leaf.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }
}

/// The first element whose key is not below `key`.
fn lower_bound(page: &Page<'_>, key: &[u8]) -> u32 {
    let (mut low, mut high) = (0, u32::from(page.count));
    while low < high {
        let middle = low.midpoint(high);
        // What cannot be read counts as above: the search ends all the same.
        if page.leaf_element(middle).is_some_and(|element| element.key() < key) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    low
}

/// Makes a [`LeafIndex`] of every top-level bucket.
#[derive(Debug, Clone, Copy)]
pub struct LeafIndexes;

impl<'a> Fold<'a> for LeafIndexes {
    type Part = Vec<IndexedLeaf<'a>>;
    type Total = BTreeMap<&'a [u8], LeafIndex<'a>>;

    fn total(&self) -> Self::Total {
        BTreeMap::new()
    }

    fn part(&self, _: &Bucket<'a>) -> Self::Part {
        Vec::new()
    }

    fn leaf(&self, part: &mut Self::Part, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        let Some(first) = leaf.elements.first().filter(|_| bucket.depth == 0) else { return };
        let place = leaf.page.map_or(Place::Inline(bucket.root), Place::Page);
        part.push(IndexedLeaf { first: first.key(), place });
    }

    fn join(&self, total: &mut Self::Total, bucket: &Bucket<'a>, part: Self::Part) {
        if bucket.depth > 0 {
            return;
        }
        let index = total.entry(bucket.name).or_default();
        let in_order = |leaf: &IndexedLeaf<'a>, before: &IndexedLeaf<'a>| before.first <= leaf.first;
        let sorted = part.is_sorted_by(|a, b| a.first <= b.first)
            && part.first().zip(index.leaves.last()).is_none_or(|(leaf, before)| in_order(leaf, before));
        index.leaves.extend(part);
        if !sorted {
            index.leaves.sort_by_key(|leaf| leaf.first);
        }
    }
}
