//! The two plans of a walk. Which of them can come to no end is in their types.

use std::convert::Infallible;

use super::bucket::Bucket;
use super::fault::FaultLog;
use super::fold::Fold;
use super::page::PageFlags;
use super::tree::{self, Believed, Bounds, BranchCount, Irregular, Seen};
use super::walker::{Reader, Walker};

/// One of the two ways to list the leaves of a tree and to read what is listed.
pub(super) trait Plan {
    /// A piece of a tree.
    type Unit<'a>: Copy + Sync;
    /// What a tree can be that this plan has no way with. Nothing at all, for the
    /// plan that takes every tree.
    type Misfit: Send;
    /// How many units are worked on in one go: some 2000 leaves.
    const CHUNK: usize;

    /// Lists the units of a bucket.
    fn list<'a, F: Fold<'a>>(
        walker: &Walker<'_, 'a, F>,
        bucket: &Bucket<'a>,
        branches: &mut BranchCount,
        faults: &mut FaultLog,
    ) -> Result<Vec<Self::Unit<'a>>, Self::Misfit>;

    /// Reads a unit.
    fn work<'a, F: Fold<'a>>(
        reader: &mut Reader<'_, 'a, F>,
        unit: Self::Unit<'a>,
    ) -> Result<(), Self::Misfit>;
}

/// Takes a tree for sound, and reports nothing.
pub(super) struct Quick;

impl Plan for Quick {
    type Unit<'a> = Believed<'a>;
    type Misfit = Irregular;
    const CHUNK: usize = 16;

    fn list<'a, F: Fold<'a>>(
        walker: &Walker<'_, 'a, F>,
        bucket: &Bucket<'a>,
        branches: &mut BranchCount,
        _: &mut FaultLog,
    ) -> Result<Vec<Believed<'a>>, Irregular> {
        tree::quick(&walker.image, walker.claimed, bucket.root, branches)
    }

    fn work<'a, F: Fold<'a>>(reader: &mut Reader<'_, 'a, F>, unit: Believed<'a>) -> Result<(), Irregular> {
        let Walker { image, claimed, .. } = reader.walker;
        match unit {
            Believed::Inline { bytes, offset } => reader.inline(bytes, offset),
            Believed::Root { page } => {
                let page = tree::claim(image, claimed, page, PageFlags::LEAF)?;
                reader.leaf(&page, Bounds::default(), true);
            }
            Believed::Parent { page, bounds } => {
                let parent = tree::claim(image, claimed, page, PageFlags::BRANCH)?;
                reader.read.branches.add(&parent);
                let mut children = Vec::with_capacity(usize::from(parent.count));
                tree::for_each_child(&parent, bounds, |element, bounds| {
                    children.push((element.child, bounds))
                })
                .map_err(|_| Irregular)?;
                for (child, bounds) in children {
                    let page = tree::claim(image, claimed, child, PageFlags::LEAF)?;
                    reader.leaf(&page, bounds, false);
                }
            }
        }
        Ok(())
    }
}

/// Takes any tree, and reports all that is wrong with it.
pub(super) struct Careful;

impl Plan for Careful {
    type Unit<'a> = Seen<'a>;
    type Misfit = Infallible;
    const CHUNK: usize = 2000;

    fn list<'a, F: Fold<'a>>(
        walker: &Walker<'_, 'a, F>,
        bucket: &Bucket<'a>,
        branches: &mut BranchCount,
        faults: &mut FaultLog,
    ) -> Result<Vec<Seen<'a>>, Infallible> {
        Ok(walker.list_carefully(bucket.root, Some(bucket), branches, faults))
    }

    fn work<'a, F: Fold<'a>>(reader: &mut Reader<'_, 'a, F>, unit: Seen<'a>) -> Result<(), Infallible> {
        match unit {
            Seen::Inline { bytes, offset } => reader.inline(bytes, offset),
            Seen::Leaf { page, bounds, root } => {
                let faults = &mut reader.read.faults;
                let page = reader.walker.claim_tail(page, Some(reader.bucket), bounds, faults);
                reader.leaf(&page, bounds, root);
            }
        }
        Ok(())
    }
}
