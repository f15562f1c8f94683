//! One bucket's tree in the making.

use std::io::Write;

use super::super::PageId;
use super::super::encode::{BranchEntry, Draft, LeafEntry};
use super::super::meta::PageSize;
use super::{BuildError, Pages};

/// The page of each level that is being filled.
#[derive(Debug)]
pub(super) struct Tree {
    leaf: Draft,
    first_key: Vec<u8>,
    last_key: Option<Vec<u8>>,
    /// From the parents of leaves upwards.
    branches: Vec<Draft>,
}

impl Tree {
    /// `whole`: to be written and not only measured.
    pub(super) fn new(whole: bool) -> Self {
        let leaf = if whole { Draft::leaf() } else { Draft::leaf().measured_only() };
        Self { leaf, first_key: Vec::new(), last_key: None, branches: Vec::new() }
    }

    pub(super) fn push<W: Write>(
        &mut self,
        entry: &LeafEntry<'_>,
        pages: &mut Pages<W>,
    ) -> Result<(), BuildError> {
        match &mut self.last_key {
            Some(last) if last.as_slice() >= entry.key => {
                return Err(BuildError::Order { previous: last.clone(), key: entry.key.to_vec() });
            }
            Some(last) => {
                last.clear();
                last.extend_from_slice(entry.key);
            }
            none => *none = Some(entry.key.to_vec()),
        }
        if self.leaf.count() > 0
            && self.leaf.size_with(entry.key, entry.value) as u64 > pages.page_size.bytes()
        {
            self.end_leaf(pages)?;
        }
        if self.leaf.count() == 0 {
            self.first_key.clear();
            self.first_key.extend_from_slice(entry.key);
        }
        Ok(self.leaf.push(entry)?)
    }

    fn end_leaf<W: Write>(&mut self, pages: &mut Pages<W>) -> Result<(), BuildError> {
        let child = pages.place(&self.leaf)?;
        self.leaf.clear();
        let key = std::mem::take(&mut self.first_key);
        self.add_child(0, key, child, pages)
    }

    /// Adds a child to a level. The page of that level is written if it is full, and
    /// so are those above it.
    fn add_child<W: Write>(
        &mut self,
        mut level: usize,
        mut key: Vec<u8>,
        mut child: PageId,
        pages: &mut Pages<W>,
    ) -> Result<(), BuildError> {
        loop {
            let Some(branch) = self.branches.get_mut(level) else {
                let mut branch = Draft::branch();
                branch.push_child(&BranchEntry { key: &key, child })?;
                self.branches.push(branch);
                return Ok(());
            };
            let full = branch.size_with(&key, &[]) as u64 > pages.page_size.bytes();
            if !full || branch.count() < 3 {
                branch.push_child(&BranchEntry { key: &key, child })?;
                return Ok(());
            }
            // The last one goes along to the next page, so that this has two children
            // even if no more come: bbolt merges branches that have fewer.
            let last = branch.pop_child();
            let first_key = branch.first_key().unwrap_or_default().to_vec();
            let written = pages.place(branch)?;
            branch.clear();
            if let Some((key, child)) = &last {
                branch.push_child(&BranchEntry { key, child: *child })?;
            }
            branch.push_child(&BranchEntry { key: &key, child })?;
            (level, key, child) = (level.saturating_add(1), first_key, written);
        }
    }

    /// The image of an inline bucket, if bbolt would have it inline: on one leaf that
    /// takes no more than a quarter of a page.
    pub(super) fn inline(&self, page_size: PageSize) -> Result<Option<Vec<u8>>, BuildError> {
        if !self.branches.is_empty() || self.leaf.size() as u64 > page_size.bytes() / 4 {
            return Ok(None);
        }
        let mut image = Vec::new();
        self.leaf.write(PageId(0), None, &mut image)?;
        Ok(Some(image))
    }

    /// Writes what is left; the root page.
    pub(super) fn finish<W: Write>(mut self, pages: &mut Pages<W>) -> Result<PageId, BuildError> {
        if self.branches.is_empty() {
            return pages.place(&self.leaf);
        }
        self.end_leaf(pages)?;
        let mut level = 0;
        loop {
            let Some(branch) = self.branches.get_mut(level) else { return Err(BuildError::TooLarge) };
            let key = branch.first_key().unwrap_or_default().to_vec();
            let written = pages.place(branch)?;
            level = level.saturating_add(1);
            if level == self.branches.len() {
                return Ok(written);
            }
            self.add_child(level, key, written, pages)?;
        }
    }
}
