//! Buckets: named trees, the small ones kept inline in their parent's leaf.

use std::sync::Arc;

use super::fault::FaultKind;
use super::image::Image;
use super::page::{HEADER_SIZE, LeafElement, Page, PageFlags};
use super::{FileOffset, PageId};
use crate::codec::fixed::u64_le;

/// Bytes of the header at the start of a bucket's value.
pub(crate) const BUCKET_HEADER_SIZE: usize = 16;

/// Where a bucket's keys are.
#[derive(Debug, Clone, Copy)]
pub enum BucketRoot<'a> {
    /// A tree of its own.
    Tree(PageId),
    /// A leaf page image inside the bucket's value.
    Inline {
        /// The image.
        bytes: &'a [u8],
        /// Where it begins in the file.
        offset: FileOffset,
    },
}

/// A bucket as its parent's leaf element describes it.
///
/// The value begins with `root` (page id, 0 for inline) and `sequence`, 8 bytes
/// each; an inline bucket's page follows. Source: bbolt `internal/common/bucket.go`.
#[derive(Debug, Clone)]
pub struct Bucket<'a> {
    /// Its name among its siblings.
    pub name: &'a [u8],
    /// 0 for a bucket of the root.
    pub depth: u32,
    /// Where its keys are.
    pub root: BucketRoot<'a>,
    /// bbolt's counter for the bucket; etcd does not use it.
    pub sequence: u64,
    /// The top-level bucket it is in; itself at depth 0.
    pub(crate) top: Arc<[u8]>,
}

impl<'a> Bucket<'a> {
    /// Whether this is the top-level bucket `name`.
    pub fn is(&self, name: &[u8]) -> bool {
        self.depth == 0 && self.name == name
    }

    /// The top-level bucket that `element` holds, if it is one.
    pub(crate) fn of_element(element: &LeafElement<'a>) -> Option<Self> {
        Self::parse(element, None).ok().filter(|_| element.is_bucket)
    }

    /// Reads the bucket that `element` holds.
    pub(crate) fn parse(element: &LeafElement<'a>, parent: Option<&Bucket<'a>>) -> Result<Self, FaultKind> {
        let value = element.value();
        let short = |least: usize| FaultKind::BucketHeader { size: value.len() as u64, least: least as u64 };
        let root = u64_le(value, 0).ok_or_else(|| short(BUCKET_HEADER_SIZE))?;
        let sequence = u64_le(value, 8).ok_or_else(|| short(BUCKET_HEADER_SIZE))?;
        let root = if root == 0 {
            let bytes = value.get(BUCKET_HEADER_SIZE..).unwrap_or_default();
            if bytes.len() < HEADER_SIZE {
                return Err(short(BUCKET_HEADER_SIZE.saturating_add(HEADER_SIZE)));
            }
            let before = (element.key().len() as u64).saturating_add(BUCKET_HEADER_SIZE as u64);
            let offset = FileOffset(element.data_offset().0.saturating_add(before));
            BucketRoot::Inline { bytes, offset }
        } else {
            BucketRoot::Tree(PageId(root))
        };
        Ok(Self {
            name: element.key(),
            depth: parent.map_or(0, |parent| parent.depth.saturating_add(1)),
            root,
            sequence,
            top: parent.map_or_else(|| element.key().into(), |parent| Arc::clone(&parent.top)),
        })
    }

    /// The page of an inline bucket.
    pub(crate) fn inline_page(bytes: &'a [u8], offset: FileOffset) -> Result<Page<'a>, FaultKind> {
        let page = Image::inline_page(bytes, offset)
            .ok_or(FaultKind::BucketHeader { size: bytes.len() as u64, least: HEADER_SIZE as u64 })?;
        if page.flags != PageFlags::LEAF || page.overflow != 0 {
            return Err(FaultKind::InlineBucket { flags: page.flags, overflow: page.overflow });
        }
        Ok(page)
    }
}
