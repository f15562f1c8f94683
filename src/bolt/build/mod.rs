//! A fresh database, written from the bottom up in one stream.
//!
//! The caller hands over the top-level buckets in the order of their names, and
//! of each its entries in the order of their keys, once to learn the [`Layout`]
//! and once more to have the pages written. Pages leave in the order of the
//! file, the metas first, so that what is written can be hashed on its way, and
//! its size is known before the first byte.
//!
//! ```text
//! meta 0  meta 1 │ leaf leaf … branch leaf … branch branch │ … │ root leaf
//!                └ first bucket too large to be inline ────┘
//! ```
//!
//! A page is written as soon as the next entry does not fit into it, and its first
//! key goes up one level, where the page of that level is filled in the same way. So
//! every page refers to pages before it, and memory holds one page of each level:
//! some tens of kilobytes however large the database is, and never less than the
//! longest value.
//!
//! Pages are filled to the brim. bbolt leaves half of a page free (etcd a tenth) for
//! entries that come between others; the one large bucket of etcd only ever
//! grows at its end. No list of free pages is stored, as etcd itself has it:
//! whoever opens the file knows that every page is in use.
//!
//! Source: bbolt `node.go` (`spill`, `inlineable`), `tx.go` (`WriteTo`) @ v1.4.3.

#[cfg(test)]
mod tests;
mod tree;

use std::io::{self, Write};

use super::bucket::BUCKET_HEADER_SIZE;
use super::encode::{Draft, LeafEntry, TooLarge};
use super::meta::{Meta, PageSize};
use super::{PageId, TxId};
use tree::Tree;

/// Why a database cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A key does not follow the one before it, or a bucket's name.
    #[error("key \"{}\" does not follow \"{}\"", key.escape_ascii(), previous.escape_ascii())]
    Order {
        /// The key before.
        previous: Vec<u8>,
        /// The key.
        key: Vec<u8>,
    },
    /// A key of no bytes or too many, a value beyond two GiB, or more pages than
    /// a file can have.
    #[error("an entry would not fit bbolt's limits")]
    TooLarge,
    /// An entry before the first bucket.
    #[error("an entry outside of any bucket")]
    NoBucket,
    /// The entries are not those that the layout was made from.
    #[error("the entries changed between the two passes over them")]
    Changed,
    /// The pages cannot be written.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<TooLarge> for BuildError {
    fn from(TooLarge: TooLarge) -> Self {
        Self::TooLarge
    }
}

/// Where everything will be: what the metas must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    page_size: PageSize,
    root: PageId,
    high_water_mark: PageId,
}

impl Layout {
    /// Bytes of the database.
    pub fn size(&self) -> u64 {
        self.high_water_mark.0.saturating_mul(self.page_size.bytes())
    }
}

/// How the metas tell where the database comes from. Both always describe the
/// same tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metas {
    /// As in the stream of a snapshot: page 0 has this transaction, page 1 the one
    /// before it.
    Stream(TxId),
    /// As bbolt commits: this transaction or the next, whichever is odd, on page 1,
    /// and the one before it on page 0.
    Committed(TxId),
}

impl Metas {
    /// Both meta pages.
    pub fn pages(self, meta: Meta) -> Vec<u8> {
        let (first, second) = match self {
            // Page 1 has one less, and there is none below 0.
            Self::Stream(txid) => (txid.0.max(1), txid.0.max(1).saturating_sub(1)),
            Self::Committed(txid) => ((txid.0 | 1).saturating_sub(1), txid.0 | 1),
        };
        let mut pages = Meta { txid: TxId(first), ..meta }.to_page(0);
        pages.extend(Meta { txid: TxId(second), ..meta }.to_page(1));
        pages
    }
}

/// Takes in buckets and entries in order.
///
/// ```
/// use etcdsnap::bolt::{Builder, BuildError, Db, Metas, PageSize, TxId};
///
/// fn fill<W: std::io::Write>(builder: &mut Builder<W>) -> Result<(), BuildError> {
///     builder.bucket(b"fruit", 0)?;
///     builder.entry(b"apple", b"red")?;
///     builder.entry(b"pear", b"green")
/// }
/// let mut measuring = Builder::measure(PageSize::new(4096).expect("a page size"));
/// fill(&mut measuring)?;
/// let layout = measuring.layout()?;
/// let mut file = Vec::new();
/// let mut writing = Builder::write(layout, Metas::Stream(TxId(2)), &mut file)?;
/// fill(&mut writing)?;
/// writing.finish()?;
/// assert_eq!(file.len() as u64, layout.size());
/// assert!(Db::open(&file).is_ok());
/// # Ok::<(), BuildError>(())
/// ```
#[derive(Debug)]
pub struct Builder<W> {
    pages: Pages<W>,
    layout: Option<Layout>,
    root: Tree,
    bucket: Option<OpenBucket>,
}

#[derive(Debug)]
struct OpenBucket {
    name: Vec<u8>,
    sequence: u64,
    tree: Tree,
}

impl Builder<io::Sink> {
    /// To learn the layout: nothing is written, and of the values nothing but their
    /// lengths is looked at.
    pub fn measure(page_size: PageSize) -> Self {
        Self::new(page_size, None, None)
    }

    /// Where everything will be.
    ///
    /// # Errors
    /// More than bbolt can hold.
    pub fn layout(self) -> Result<Layout, BuildError> {
        let (root, pages, _) = self.end()?;
        Ok(Layout { page_size: pages.page_size, root, high_water_mark: PageId(pages.next) })
    }
}

impl<W: Write> Builder<W> {
    /// To write to `out` what has this layout. The metas are written at once.
    ///
    /// # Errors
    /// If they cannot be.
    pub fn write(layout: Layout, metas: Metas, mut out: W) -> Result<Self, BuildError> {
        let Layout { page_size, root, high_water_mark } = layout;
        let meta = Meta { page_size, root, sequence: 0, freelist: None, high_water_mark, txid: TxId(0) };
        out.write_all(&metas.pages(meta))?;
        Ok(Self::new(page_size, Some(out), Some(layout)))
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// [`BuildError::Changed`] if the entries were not those of the layout; else as
    /// [`entry`](Self::entry).
    pub fn finish(self) -> Result<(), BuildError> {
        let (root, pages, layout) = self.end()?;
        match layout {
            Some(layout) if layout.root == root && layout.high_water_mark.0 == pages.next => Ok(()),
            _ => Err(BuildError::Changed),
        }
    }

    fn new(page_size: PageSize, out: Option<W>, layout: Option<Layout>) -> Self {
        let limit = layout.map_or(u64::MAX, |layout| layout.high_water_mark.0);
        // The root is small and always made whole.
        let pages = Pages { page_size, next: 2, limit, out, buffer: Vec::new() };
        Self { pages, layout, root: Tree::new(true), bucket: None }
    }

    /// Begins a bucket; the one before it is complete.
    ///
    /// # Errors
    /// A name that does not follow the one before, limits of bbolt, or a failed write.
    pub fn bucket(&mut self, name: &[u8], sequence: u64) -> Result<(), BuildError> {
        self.end_bucket()?;
        let tree = Tree::new(self.pages.out.is_some());
        self.bucket = Some(OpenBucket { name: name.to_vec(), sequence, tree });
        Ok(())
    }

    /// Adds an entry to the bucket begun last.
    ///
    /// # Errors
    /// A key that does not follow the one before, limits of bbolt, or a failed write.
    pub fn entry(&mut self, key: &[u8], value: &[u8]) -> Result<(), BuildError> {
        let bucket = self.bucket.as_mut().ok_or(BuildError::NoBucket)?;
        bucket.tree.push(&LeafEntry { key, value, is_bucket: false }, &mut self.pages)
    }

    fn end_bucket(&mut self) -> Result<(), BuildError> {
        let Some(OpenBucket { name, sequence, tree }) = self.bucket.take() else { return Ok(()) };
        let mut value = Vec::new();
        match tree.inline(self.pages.page_size)? {
            Some(image) => {
                value.extend_from_slice(&0u64.to_le_bytes());
                value.extend_from_slice(&sequence.to_le_bytes());
                value.extend_from_slice(&image);
            }
            None => {
                let root = tree.finish(&mut self.pages)?;
                value.extend_from_slice(&root.0.to_le_bytes());
                value.extend_from_slice(&sequence.to_le_bytes());
            }
        }
        debug_assert!(value.len() >= BUCKET_HEADER_SIZE);
        self.root.push(&LeafEntry { key: &name, value: &value, is_bucket: true }, &mut self.pages)
    }

    fn end(mut self) -> Result<(PageId, Pages<W>, Option<Layout>), BuildError> {
        self.end_bucket()?;
        let root = self.root.finish(&mut self.pages)?;
        if let Some(out) = &mut self.pages.out {
            out.flush()?;
        }
        Ok((root, self.pages, self.layout))
    }
}

/// Pages in the order of the file.
#[derive(Debug)]
struct Pages<W> {
    page_size: PageSize,
    /// The id of the next page.
    next: u64,
    /// No page may have this id.
    limit: u64,
    /// Where they go; `None` if they are only counted.
    out: Option<W>,
    /// One page run, kept for its memory.
    buffer: Vec<u8>,
}

impl<W: Write> Pages<W> {
    /// Gives a page the next place in the file.
    fn place(&mut self, page: &Draft) -> Result<PageId, BuildError> {
        let id = PageId(self.next);
        let next = self.next.checked_add(page.pages(self.page_size)).ok_or(BuildError::TooLarge)?;
        if next.checked_mul(self.page_size.bytes()).is_none_or(|size| size > i64::MAX as u64) {
            return Err(BuildError::TooLarge);
        }
        if next > self.limit {
            return Err(BuildError::Changed);
        }
        if let Some(out) = &mut self.out {
            self.buffer.clear();
            page.write(id, Some(self.page_size), &mut self.buffer)?;
            out.write_all(&self.buffer)?;
        }
        self.next = next;
        Ok(id)
    }
}
