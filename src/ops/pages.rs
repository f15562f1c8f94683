//! The pages of a file, and what etcd keeps on them.

use std::collections::BTreeMap;

use crate::bolt::{Census, Db, FileOffset, LeafElement, MetaFault, OpenError, PageId, Run, Tree, Use};
use crate::etcd::entry::{Entry, EntryError, Within};
use crate::etcd::revision::RevisionKey;
use crate::etcd::schema;
use crate::etcd::snapshot::{FileKind, SnapshotError, Trailer, trailer};
use crate::kube::envelope::{Envelope, EnvelopeFault};
use crate::source::Source;

use super::{OpError, Settings};

/// All pages of a file.
#[derive(Debug)]
pub struct Survey<'a> {
    /// What each page is used for.
    pub census: Census<'a>,
    /// What stands behind the pages; `None` if it is not known where they end.
    pub trailer: Option<Trailer>,
    /// Why no meta could be used: the pages are then known by form only.
    pub no_meta: Option<OpenError>,
}

/// A key as its bucket has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'a> {
    /// A revision: a key of bucket `key`.
    Revision(RevisionKey),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// An entry of a leaf, as far as it is understood.
#[derive(Debug, Clone)]
pub struct Content<'a> {
    /// What it is.
    pub entry: Result<Entry<'a>, EntryError>,
    /// What the value of a record is, as Kubernetes stores values.
    pub envelope: Option<Result<Envelope<'a>, EnvelopeFault>>,
}

/// Looks at all pages of a file, however damaged it is.
///
/// # Errors
/// A file in which not a single page can be found.
pub fn survey<'a>(source: &'a Source, settings: &Settings<'_>) -> Result<Survey<'a>, OpError> {
    let bytes = source.bytes();
    match Db::open(bytes) {
        Ok(db) => {
            let census = Census::take(&db, settings.threads, Some(&settings.progress.pages));
            Ok(Survey { census, trailer: Some(trailer(&db, bytes)), no_meta: None })
        }
        Err(error) => {
            let by_form = match error {
                OpenError::BothMetas { .. } | OpenError::NotBolt { .. } => Census::by_form(bytes),
                _ => None,
            };
            match by_form {
                Some(census) => Ok(Survey { census, trailer: None, no_meta: Some(error) }),
                None => Err(OpError::Snapshot(SnapshotError::NotADatabase {
                    path: source.path().to_owned(),
                    error,
                    looks_like: FileKind::of(bytes),
                })),
            }
        }
    }
}

impl<'a> Survey<'a> {
    /// The tree that a run is in.
    pub fn tree(&self, run: &Run) -> Option<&Tree<'a>> {
        self.census.trees().get(run.tree?)
    }

    /// Where the elements of a run stand.
    pub fn within(&self, run: &Run) -> Within<'a> {
        match self.tree(run) {
            None => Within::Unknown,
            Some(tree) => match tree.nesting {
                0 => Within::Root,
                1 => Within::Bucket(tree.name),
                _ => Within::Nested,
            },
        }
    }

    /// What is wrong with a meta.
    pub fn meta_fault(&self, number: usize) -> Option<MetaFault> {
        match (self.census.db(), self.no_meta) {
            (Some(db), _) => db.metas.get(number)?.err(),
            (None, Some(OpenError::BothMetas { first, second })) => {
                Some(if number == 0 { first } else { second })
            }
            _ => None,
        }
    }

    /// Exact number of what is wrong with pages, by code.
    pub fn faults(&self) -> BTreeMap<&'static str, u64> {
        let mut counts: BTreeMap<&'static str, u64> = self.census.faults().counts().collect();
        let metas = self.census.runs().take(2).filter(|run| run.kind == Use::Meta && run.faulty).count();
        if metas > 0 {
            counts.insert("meta", metas as u64);
        }
        if self.no_meta.is_some() {
            counts.insert("both-metas-unusable", 1);
        }
        let missing = self.census.missing_pages();
        if missing > 0 {
            counts.insert("truncated", 1);
        }
        counts
    }

    /// The page that `offset` lies in, by the page size of the file.
    pub fn page_at(&self, offset: u64) -> PageId {
        self.census.image().page_of(FileOffset(offset))
    }
}

/// A key as its bucket has it. Where the bucket is not known, a key that has the
/// form of a revision is taken for one.
pub fn key<'a>(within: Within<'_>, key: &'a [u8]) -> Key<'a> {
    match within {
        Within::Bucket(schema::KEY) | Within::Unknown => {
            RevisionKey::parse(key).map_or(Key::Bytes(key), Key::Revision)
        }
        _ => Key::Bytes(key),
    }
}

/// What an element of a leaf is.
pub fn content<'a>(within: Within<'_>, element: &LeafElement<'a>) -> Content<'a> {
    let entry = Entry::parse(within, element);
    let envelope = match &entry {
        Ok(Entry::Record(record)) if !record.tombstone => Some(Envelope::parse(record.kv.value)),
        _ => None,
    };
    Content { entry, envelope }
}
