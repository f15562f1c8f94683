//! What a walk does with the leaves it meets.
//!
//! A [`Fold`] is handed every leaf of every bucket. Leaves are worked on side by
//! side, in runs; each run fills a part of its own, and the parts are joined in
//! the order of the keys. So a fold sees everything in order without anything
//! being done in order. Folds compose: a tuple of folds is a fold, and each page
//! is read once for all of them.

use super::bucket::Bucket;
use super::page::LeafElement;
use super::{FileOffset, PageId};

/// A leaf page whose elements were read and checked.
#[derive(Debug, Clone, Copy)]
pub struct LeafView<'p, 'a> {
    /// Its page; `None` for the page inside an inline bucket.
    pub page: Option<PageId>,
    /// What could be read, in the order of the page.
    pub elements: &'p [LeafElement<'a>],
    /// What the leaf takes up in the file.
    pub(super) extent: Extent<'a>,
}

/// What a page takes up in the file, overflow included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent<'a> {
    pub(super) start: FileOffset,
    pub(super) bytes: &'a [u8],
    /// Where its table of elements ends, from `start`.
    pub(super) table_end: usize,
}

/// One question asked of all leaves.
pub trait Fold<'a>: Sync {
    /// What a run of leaves amounts to.
    type Part: Send;
    /// What everything amounts to.
    type Total: Send;

    /// The total of nothing.
    fn total(&self) -> Self::Total;

    /// An empty part for a run of leaves of `bucket`.
    fn part(&self, bucket: &Bucket<'a>) -> Self::Part;

    /// Takes in a leaf of `bucket`.
    fn leaf(&self, part: &mut Self::Part, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>);

    /// Called once for each bucket, in order, before its parts are joined.
    fn enter(&self, total: &mut Self::Total, bucket: &Bucket<'a>) {
        let _ = (total, bucket);
    }

    /// Adds the part that follows in the order of the keys.
    fn join(&self, total: &mut Self::Total, bucket: &Bucket<'a>, part: Self::Part);
}

macro_rules! fold_of_tuple {
    ($($name:ident $index:tt),+) => {
        impl<'a, $($name: Fold<'a>),+> Fold<'a> for ($($name,)+) {
            type Part = ($($name::Part,)+);
            type Total = ($($name::Total,)+);

            fn total(&self) -> Self::Total {
                ($(self.$index.total(),)+)
            }

            fn part(&self, bucket: &Bucket<'a>) -> Self::Part {
                ($(self.$index.part(bucket),)+)
            }

            #[inline]
            fn leaf(&self, part: &mut Self::Part, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
                $(self.$index.leaf(&mut part.$index, bucket, leaf);)+
            }

            fn enter(&self, total: &mut Self::Total, bucket: &Bucket<'a>) {
                $(self.$index.enter(&mut total.$index, bucket);)+
            }

            fn join(&self, total: &mut Self::Total, bucket: &Bucket<'a>, part: Self::Part) {
                $(self.$index.join(&mut total.$index, bucket, part.$index);)+
            }
        }
    };
}

fold_of_tuple!(A 0);
fold_of_tuple!(A 0, B 1);
fold_of_tuple!(A 0, B 1, C 2);
fold_of_tuple!(A 0, B 1, C 2, D 3);
fold_of_tuple!(A 0, B 1, C 2, D 3, E 4);

/// A walk that only checks.
impl<'a> Fold<'a> for () {
    type Part = ();
    type Total = ();
    fn total(&self) {}
    fn part(&self, _: &Bucket<'a>) {}
    fn leaf(&self, (): &mut (), _: &Bucket<'a>, _: &LeafView<'_, 'a>) {}
    fn join(&self, (): &mut (), _: &Bucket<'a>, (): ()) {}
}
