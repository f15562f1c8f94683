//! A database with a few small buckets exchanged, without rewriting it.
//!
//! The pages of the file stay as they are, byte for byte. Behind them, at the
//! high-water mark, a few pages are appended: the leaves of buckets that do not
//! fit inline, a new path to a record added at the end of a large bucket, and a
//! new root leaf that leads to everything old and new. Then both metas are
//! written to point there. Pages that are no longer reached are free pages: the
//! new metas say that no freelist is stored, so whoever opens the file finds
//! them by walking.
//!
//! The result is a value: it can be walked and verified before a byte of it is
//! written anywhere.

use std::collections::BTreeMap;

use super::bucket::{BUCKET_HEADER_SIZE, Bucket, BucketRoot};
use super::db::Db;
use super::encode::{BranchEntry, LeafEntry, TooLarge, branch_page, leaf_page, leaf_size};
use super::fault::{Fault, FaultKind, FaultLog, Place};
use super::meta::Meta;
use super::page::{Page, PageFlags};
use super::tree::{Bounds, MAX_DEPTH, for_each_child};
use super::walk::{pages_of, small_bucket};
use super::{FileOffset, PageId, TxId};

/// Why a database cannot be patched. Only damaged or absurd files get here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchError {
    /// The file ends before its last page.
    #[error("the file lacks {0} bytes")]
    Truncated(u64),
    /// A page on the way is damaged.
    #[error("{}: expected {}, found {}", .0.place, .0.kind.expected(), .0.kind.found())]
    Damaged(Box<Fault>),
    /// There is nothing to append to.
    #[error("there is no bucket {}", .0.escape_ascii())]
    NoBucket(Vec<u8>),
    /// A key to append does not follow the last key of its bucket.
    #[error("the key to append does not follow the last key of the bucket")]
    Order,
    /// More elements than a page can have, or more pages than a file.
    #[error("the result would not fit bbolt's limits")]
    TooLarge,
}

impl From<TooLarge> for PatchError {
    fn from(TooLarge: TooLarge) -> Self {
        Self::TooLarge
    }
}

/// Entries of a bucket, by key.
pub type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Changes to a database, not yet made.
#[derive(Debug)]
pub struct Patch<'a> {
    db: Db<'a>,
    replaced: BTreeMap<Vec<u8>, Entries>,
    appended: BTreeMap<Vec<u8>, (Vec<u8>, Vec<u8>)>,
}

/// A patched database: what the file will hold.
#[derive(Debug, Clone)]
pub struct Patched<'a> {
    base: Db<'a>,
    appendix: Vec<u8>,
    meta: Meta,
    /// Pages of the base that were in use and no longer are.
    retired: Vec<(PageId, u64)>,
}

impl<'a> Patch<'a> {
    /// No changes yet.
    pub fn new(db: Db<'a>) -> Self {
        Self { db, replaced: BTreeMap::new(), appended: BTreeMap::new() }
    }

    /// The entries of a bucket as they are in the file; none if there is no such
    /// bucket. For buckets that are known to be small.
    ///
    /// # Errors
    /// [`PatchError::Damaged`] if the bucket cannot be read whole.
    pub fn entries(&self, name: &[u8]) -> Result<Entries, PatchError> {
        whole_bucket(&self.db, name)
    }

    /// Gives a bucket, there already or not, these entries and no others.
    pub fn replace(&mut self, name: &[u8], entries: Entries) {
        self.replaced.insert(name.to_vec(), entries);
    }

    /// Adds an entry behind the last one of a bucket, which must be there and may be large.
    pub fn append(&mut self, name: &[u8], key: Vec<u8>, value: Vec<u8>) {
        self.appended.insert(name.to_vec(), (key, value));
    }

    /// Makes the changes.
    ///
    /// # Errors
    /// See [`PatchError`]. Of a file that a walk finds sound, only those that
    /// are about limits.
    pub fn apply(self) -> Result<Patched<'a>, PatchError> {
        let Self { db, replaced, appended } = self;
        if db.missing_bytes() > 0 {
            return Err(PatchError::Truncated(db.missing_bytes()));
        }
        // What is replaced goes out of sight, so this is the last chance to see
        // that it is damaged.
        let names: Vec<&[u8]> = replaced.keys().map(Vec::as_slice).collect();
        let (retired, faults) = pages_of(&db, &names);
        sound(&faults)?;
        let retired = retired.into_iter().map(|id| (id, 1)).collect();
        let mut writer = Writer { db, appendix: Vec::new(), retired };
        let (elements, faults) = super::walk::top_level_elements(&db);
        sound(&faults)?;
        let mut root: BTreeMap<Vec<u8>, (Vec<u8>, bool)> = elements
            .iter()
            .map(|element| (element.key().to_vec(), (element.value().to_vec(), element.is_bucket)))
            .collect();
        for (name, entries) in &replaced {
            let sequence = elements
                .iter()
                .find(|element| element.key() == name)
                .and_then(|element| Bucket::parse(element, None).ok())
                .map_or(0, |bucket| bucket.sequence);
            root.insert(name.clone(), (writer.bucket(entries, sequence)?, true));
        }
        for (name, (key, value)) in appended {
            let bucket = elements.iter().find(|element| element.key() == name);
            let bucket = match bucket.map(|element| Bucket::parse(element, None)) {
                None => return Err(PatchError::NoBucket(name)),
                Some(Ok(bucket)) => bucket,
                Some(Err(_)) => return Err(PatchError::Order),
            };
            root.insert(name, (writer.append(bucket, &key, &value)?, true));
        }
        let entries: Vec<_> = root
            .iter()
            .map(|(key, (value, is_bucket))| LeafEntry { key, value, is_bucket: *is_bucket })
            .collect();
        let id = writer.next_id()?;
        let page = leaf_page(id, &entries, Some(db.meta.page_size))?;
        writer.push(page);
        let meta = Meta {
            root: id,
            freelist: None,
            high_water_mark: writer.next_id()?,
            txid: next_odd(db.meta.txid).ok_or(PatchError::TooLarge)?,
            ..db.meta
        };
        Ok(Patched { base: db, appendix: writer.appendix, meta, retired: writer.retired })
    }
}

/// The first of `faults`, if there is any.
fn sound(faults: &FaultLog) -> Result<(), PatchError> {
    // What is written has no list of free pages, and nothing of the old one is needed.
    match faults.sorted().iter().find(|fault| !fault.kind.is_of_freelist()) {
        Some(fault) => Err(PatchError::Damaged(Box::new((*fault).clone()))),
        None => Ok(()),
    }
}

/// All entries of a bucket of plain entries; none if there is no such bucket.
fn whole_bucket(db: &Db<'_>, name: &[u8]) -> Result<Entries, PatchError> {
    let (elements, faults) = small_bucket(db, name);
    sound(&faults)?;
    let mut entries = Entries::new();
    for element in elements {
        if element.is_bucket {
            let offset = element.offset;
            let place = Place {
                page: Some(db.image.page_of(offset)),
                element: Some(element.index),
                offset: Some(offset),
            };
            let (bucket, kind) = (Some(name.into()), FaultKind::NestedInInline);
            return Err(PatchError::Damaged(Box::new(Fault { place, bucket, kind, lost: None })));
        }
        entries.insert(element.key().to_vec(), element.value().to_vec());
    }
    Ok(entries)
}

struct Writer<'a> {
    db: Db<'a>,
    appendix: Vec<u8>,
    retired: Vec<(PageId, u64)>,
}

impl<'a> Writer<'a> {
    /// The page id at which the next page will stand.
    fn next_id(&self) -> Result<PageId, PatchError> {
        let pages = self.db.meta.page_size.pages_in(self.appendix.len() as u64);
        self.db.meta.high_water_mark.0.checked_add(pages).map(PageId).ok_or(PatchError::TooLarge)
    }

    fn push(&mut self, page: Vec<u8>) {
        self.appendix.extend_from_slice(&page);
    }

    /// Writes a bucket of plain entries and returns the value that leads to it:
    /// inline if bbolt would have it inline.
    fn bucket(&mut self, entries: &Entries, sequence: u64) -> Result<Vec<u8>, PatchError> {
        let entries: Vec<_> =
            entries.iter().map(|(key, value)| LeafEntry { key, value, is_bucket: false }).collect();
        let page_size = self.db.meta.page_size;
        if leaf_size(&entries)? as u64 <= page_size.bytes() / 4 {
            let mut value = bucket_header(PageId(0), sequence);
            value.extend(leaf_page(PageId(0), &entries, None)?);
            return Ok(value);
        }
        let id = self.next_id()?;
        let page = leaf_page(id, &entries, Some(page_size))?;
        self.push(page);
        Ok(bucket_header(id, sequence))
    }

    /// Writes a new path to an entry behind the last one of `bucket`.
    fn append(&mut self, bucket: Bucket<'a>, key: &[u8], value: &[u8]) -> Result<Vec<u8>, PatchError> {
        let root = match bucket.root {
            BucketRoot::Tree(root) => root,
            BucketRoot::Inline { .. } => {
                let mut entries = whole_bucket(&self.db, bucket.name)?;
                if entries.last_key_value().is_some_and(|(last, _)| last.as_slice() >= key) {
                    return Err(PatchError::Order);
                }
                entries.insert(key.to_vec(), value.to_vec());
                return self.bucket(&entries, bucket.sequence);
            }
        };
        let mut path = Vec::new();
        let mut page = self.page(root)?;
        let mut within = Bounds::default();
        while page.flags == PageFlags::BRANCH {
            if path.len() >= MAX_DEPTH as usize {
                return Err(PatchError::TooLarge);
            }
            path.push(page);
            // It goes out of sight, and what it does not name any more with it.
            let mut last = None;
            for_each_child(&page, within, |element, bounds| last = Some((element.child, bounds)))
                .map_err(|kind| damaged(&page, kind))?;
            let (child, bounds) = last.ok_or(PatchError::Order)?;
            within = bounds;
            page = self.page(child)?;
        }
        if page.flags != PageFlags::LEAF {
            return Err(damaged(&page, FaultKind::PageType { flags: page.flags }));
        }
        let mut elements = Vec::new();
        let mut fault = None;
        page.leaf_elements(&mut elements, |_, kind| {
            fault.get_or_insert(kind);
        });
        // Elements that cannot be read, or are not counted, must not make the leaf look empty.
        let hidden = page.hidden().map(|bytes| FaultKind::ElementsHidden { bytes });
        if let Some(kind) = fault.or(hidden) {
            return Err(damaged(&page, kind));
        }
        let first_key = elements.first().map(|element| element.key().to_vec());
        if elements.last().is_some_and(|last| last.key() >= key) {
            return Err(PatchError::Order);
        }
        let leaf = self.next_id()?;
        let entry = LeafEntry { key, value, is_bucket: false };
        let bytes = leaf_page(leaf, &[entry], Some(self.db.meta.page_size))?;
        self.push(bytes);
        let new_root = match (path.is_empty(), first_key) {
            // An empty root leaf gives way to the new one.
            (true, None) => {
                self.retired.push((page.id, page.pages()));
                leaf
            }
            // A single leaf gets a branch above it and the new leaf.
            (true, Some(first)) => {
                let children =
                    [BranchEntry { key: &first, child: page.id }, BranchEntry { key, child: leaf }];
                self.branch(&children)?
            }
            (false, _) => self.path_to(&path, key, leaf)?,
        };
        Ok(bucket_header(new_root, bucket.sequence))
    }

    /// Copies the branches of `path` from the bottom up: the lowest with one more
    /// child, the others with their last child repointed.
    fn path_to(&mut self, path: &[Page<'a>], key: &[u8], leaf: PageId) -> Result<PageId, PatchError> {
        let mut below = None;
        for page in path.iter().rev() {
            self.retired.push((page.id, page.pages()));
            let elements = page.branch_elements().map_err(|kind| damaged(page, kind))?;
            let mut children = Vec::with_capacity(usize::from(page.count).saturating_add(1));
            for element in elements {
                let element = element.map_err(|(_, kind)| damaged(page, kind))?;
                children.push(BranchEntry { key: element.key, child: element.child });
            }
            match (below, children.last_mut()) {
                (Some(id), Some(last)) => last.child = id,
                _ => children.push(BranchEntry { key, child: leaf }),
            }
            below = Some(self.branch(&children)?);
        }
        below.ok_or(PatchError::Order)
    }

    fn branch(&mut self, children: &[BranchEntry<'_>]) -> Result<PageId, PatchError> {
        let id = self.next_id()?;
        let page = branch_page(id, children, self.db.meta.page_size)?;
        self.push(page);
        Ok(id)
    }

    fn page(&self, id: PageId) -> Result<Page<'a>, PatchError> {
        self.db.image.page(id).map_err(|kind| {
            let place = Place::page(id);
            PatchError::Damaged(Box::new(Fault { place, bucket: None, kind, lost: None }))
        })
    }
}

/// The next transaction that bbolt would write to meta page 1.
fn next_odd(txid: TxId) -> Option<TxId> {
    txid.0.checked_add(1).map(|next| next | 1).map(TxId)
}

fn damaged(page: &Page<'_>, kind: FaultKind) -> PatchError {
    let place = Place::page(page.id);
    PatchError::Damaged(Box::new(Fault { place, bucket: None, kind, lost: None }))
}

fn bucket_header(root: PageId, sequence: u64) -> Vec<u8> {
    let mut value = Vec::with_capacity(BUCKET_HEADER_SIZE);
    value.extend_from_slice(&root.0.to_le_bytes());
    value.extend_from_slice(&sequence.to_le_bytes());
    value
}

impl Patched<'_> {
    /// The database as it will be.
    pub fn db(&self) -> Db<'_> {
        let start = FileOffset(self.base.meta.image_size());
        let image =
            self.base.image.with_appendix(start, &self.appendix, self.meta.high_water_mark, &self.retired);
        Db::of_image(image, self.meta)
    }

    /// Both meta pages, to be written at offset 0. Both describe the same tree,
    /// each under a transaction of its own parity, as bbolt would commit it: page
    /// 1 is the later one, by which the file can be told from a snapshot stream.
    pub fn meta_pages(&self) -> Vec<u8> {
        let earlier = Meta { txid: TxId(self.meta.txid.0.saturating_sub(1)), ..self.meta };
        let mut pages = earlier.to_page(0);
        pages.extend(self.meta.to_page(1));
        pages
    }

    /// The pages to be written behind those of the file, and where.
    pub fn appendix(&self) -> (FileOffset, &[u8]) {
        (FileOffset(self.base.meta.image_size()), &self.appendix)
    }

    /// Bytes of the file's own pages, which stay as they are but for the metas.
    pub fn base_size(&self) -> u64 {
        self.base.meta.image_size()
    }

    /// Bytes of the whole database.
    pub fn size(&self) -> u64 {
        self.meta.image_size()
    }
}
