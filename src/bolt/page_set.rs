//! A set of page ids: one bit per page below the high-water mark.
//!
//! Pages are claimed here *before* their content is looked at, which is what
//! keeps every walk linear and free of cycles: whoever comes second to a page
//! is turned away. Claims are atomic, so that workers share one set.

use std::sync::atomic::{AtomicU64, Ordering};

use super::PageId;

/// The set. Memory: an eighth of a byte per page of the file.
#[derive(Debug)]
pub(crate) struct PageSet {
    words: Vec<AtomicU64>,
    limit: u64,
}

impl PageSet {
    /// An empty set for pages `0..limit`. The caller has bounded `limit` by the
    /// size of the file.
    pub(crate) fn new(limit: u64) -> Self {
        let words = usize::try_from(limit.div_ceil(64)).unwrap_or(0);
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect(), limit }
    }

    fn word(&self, id: u64) -> Option<(&AtomicU64, u64)> {
        if id >= self.limit {
            return None;
        }
        Some((self.words.get(usize::try_from(id / 64).ok()?)?, 1 << (id % 64)))
    }

    /// Adds one page. Whether it was new; a page beyond the limit never is.
    pub(crate) fn insert(&self, id: PageId) -> bool {
        self.word(id.0).is_some_and(|(word, bit)| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }

    /// Adds the run of `pages` pages from `first`, up to the first page that is
    /// taken already, which `Err` names. Stopping there keeps the cost of all
    /// claims together within the number of pages.
    pub(crate) fn insert_run(&self, first: PageId, pages: u64) -> Result<(), PageId> {
        (first.0..first.0.saturating_add(pages)).map(PageId).find(|id| !self.insert(*id)).map_or(Ok(()), Err)
    }

    /// Whether a page is in the set.
    pub(crate) fn contains(&self, id: PageId) -> bool {
        self.word(id.0).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// The pages in the set, in ascending order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = PageId> {
        (0..self.limit).map(PageId).filter(|id| self.contains(*id))
    }

    /// How many pages are in the set.
    pub(crate) fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.load(Ordering::Relaxed).count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_claim_is_turned_away() {
        let set = PageSet::new(130);
        assert_eq!(set.insert_run(PageId(60), 10), Ok(()));
        assert_eq!(set.insert_run(PageId(55), 10), Err(PageId(60)));
        assert!(set.contains(PageId(55)) && set.contains(PageId(69)));
        assert!(!set.contains(PageId(70)));
        assert!(set.insert(PageId(129)));
        assert!(!set.insert(PageId(130)));
        assert_eq!(set.len(), 16);
        assert_eq!(set.insert_run(PageId(128), 9), Err(PageId(129)));
    }
}
