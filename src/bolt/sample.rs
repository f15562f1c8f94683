//! Some elements from all over a bucket.

use super::bucket::{Bucket, BucketRoot};
use super::db::Db;
use super::page::{LeafElement, PageFlags};
use super::tree::MAX_DEPTH;
use super::walk::top_level_elements;
use super::{Image, PageId};

/// About `count` elements of top-level bucket `name`, evenly spread over its
/// tree as the branches tell. Fewer where pages are damaged; none if the bucket
/// has no tree of its own.
pub fn sample<'a>(db: &Db<'a>, name: &[u8], count: u32) -> Vec<LeafElement<'a>> {
    let (elements, _) = top_level_elements(db);
    let bucket = elements.iter().find(|element| element.key() == name);
    match bucket.map(|element| Bucket::parse(element, None)) {
        Some(Ok(Bucket { root: BucketRoot::Tree(root), .. })) => {
            let step = u32::MAX.checked_div(count).unwrap_or(u32::MAX);
            (0..count).filter_map(|index| at(&db.image, root, index.saturating_mul(step))).collect()
        }
        _ => Vec::new(),
    }
}

/// The element that lies at `fraction` of the way through the tree, where 2^32
/// would be its end.
fn at<'a>(image: &Image<'a>, root: PageId, fraction: u32) -> Option<LeafElement<'a>> {
    let mut fraction = u64::from(fraction);
    let mut page = image.page(root).ok()?;
    for _ in 0..MAX_DEPTH {
        let scaled = fraction.checked_mul(u64::from(page.count))?;
        let index = u32::try_from(scaled >> 32).ok()?;
        fraction = scaled & u64::from(u32::MAX);
        match page.flags {
            PageFlags::LEAF => return page.leaf_element(index),
            PageFlags::BRANCH => page = image.page(page.branch_element(index).ok()?.child).ok()?,
            _ => return None,
        }
    }
    None
}
