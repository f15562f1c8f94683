//! What a file still holds that its tree no longer reaches: deleted and compacted
//! revisions, former members, users, leases.
//!
//! ```text
//! walk ─▶ gaps ─▶ relics ─▶ elements ─────▶ spots ─▶ each once ─▶ what it is to the present
//!  (what is     (pages by  └▶ rest ─ scan ─┘  (minus what the
//!   not reached) their form)                   tree reaches as it is)
//! ```
//!
//! The file is read twice at most in each part: once by the walk or once as a
//! stretch that no page reaches; and the records once more to see which of the keys
//! found are alive. Memory: [`Found`] and a slot of the table for each distinct
//! thing, at most some 150 bytes, and 40 bytes for each leaf in use.

mod found;
mod label;
mod present;
mod search;
mod types;

use std::num::NonZeroUsize;

use crate::bolt::{Bucket, FileOffset, Fold, LeafElement, LeafIndexes, LeafView, Meta, PageId, PageSize};
use crate::bolt::{Db, FaultLog, OpenError, Unreached, all_unreached, relics, walk_unreached};
use crate::etcd::record::Record;
use crate::etcd::remnant::EntryKind;
use crate::etcd::schema;
use crate::etcd::snapshot::{FileKind, SnapshotError, Trailer, trailer};
use crate::etcd::state::State;
use crate::source::Source;

use super::records::newest_main;
use super::{OpError, Settings};

use found::Table;
pub use found::{Found, Relation};
pub use label::{Kind, Label, Selection};
use present::Present;

/// All that was found.
#[derive(Debug)]
pub struct Carved<'a> {
    file: &'a [u8],
    /// Each distinct thing, by key and revision; what has no key comes last.
    pub found: Vec<Found>,
    /// What was searched.
    pub searched: Searched,
    /// The tree beside which this is no longer reached; `None` if there is none that
    /// can be used, so that nothing is.
    pub tree: Option<Tree>,
    /// Why there is no tree.
    pub unusable: Option<OpenError>,
}

/// The tree of the file.
#[derive(Debug, Clone)]
pub struct Tree {
    /// The main revision of its last record.
    pub revision: i64,
    /// Its damage: what it would reach without is found here, too.
    pub faults: FaultLog,
    /// The other meta, if it led to another tree.
    pub older_meta: Option<(PageId, Meta)>,
}

/// How much was searched, and what came of it. All in bytes, but for counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Searched {
    /// Pages that nothing uses.
    pub free: u64,
    /// Pages in use that cannot be read, and elements that are not what their bucket holds.
    pub refused: u64,
    /// Room inside pages in use.
    pub slack: u64,
    /// What follows the last page.
    pub beyond: u64,
    /// Of all these, what is left of records and entries, copies and what the tree
    /// reaches as well included.
    pub understood: u64,
    /// What is neither that nor part of a page's structure, zeros at its ends left
    /// out: tails of values whose beginnings are gone, for the most part.
    pub unexplained: u64,
    /// Records and entries that the tree reaches as they are: no news.
    pub live_copies: u64,
    /// Keys and values of buckets with another form than etcd's.
    pub foreign: u64,
    /// Bytes of a page of the database, or what was taken for it.
    pub page_size: u64,
}

impl Searched {
    /// All that was searched.
    pub fn bytes(&self) -> u64 {
        let inside = self.refused.saturating_add(self.slack);
        self.free.saturating_add(inside).saturating_add(self.beyond)
    }
}

/// Finds all that `source` holds and its tree does not reach.
///
/// Damage is no obstacle: what a damaged tree no longer reaches is found like all
/// else. If no meta can be used, the whole file is searched.
///
/// # Errors
/// An empty file, or one that by its first bytes is of another kind.
pub fn carve<'a>(source: &'a Source, settings: &Settings<'_>) -> Result<Carved<'a>, OpError> {
    let all = source.bytes();
    let db = Db::open(all);
    let file = match &db {
        Ok(db) => match trailer(db, all) {
            Trailer::Digest(_) | Trailer::Misplaced { .. } => without_digest(all),
            _ => all,
        },
        Err(error) => {
            let looks_like = FileKind::of(all);
            let is_other = looks_like.is_some_and(|kind| kind != FileKind::Zeros);
            if is_other || all.is_empty() {
                let (path, error) = (source.path().to_owned(), *error);
                return Err(SnapshotError::NotADatabase { path, error, looks_like }.into());
            }
            all
        }
    };
    let (unreached, present, tree) = match &db {
        Ok(db) => {
            let ((indexes, refused), report, mut unreached) =
                walk_unreached(db, file, &(LeafIndexes, Misfits), &settings.walk());
            unreached.refuse(refused);
            let revision = newest_main(db, State::read(db).judge(), &settings.walk());
            let tree = Tree { revision, faults: report.faults, older_meta: older_meta(db) };
            (unreached, Some(Present { db: *db, indexes }), Some(tree))
        }
        Err(_) => (all_unreached(file), None, None),
    };
    let page_size = db.as_ref().ok().map(|db| db.meta.page_size);
    let mut carved =
        Carved { file, found: Vec::new(), searched: searched(&unreached), tree, unusable: db.err() };
    carved.search(&unreached, page_size, present.as_ref(), settings);
    Ok(carved)
}

fn without_digest(file: &[u8]) -> &[u8] {
    const DIGEST: usize = crate::etcd::snapshot::DIGEST_SIZE as usize;
    file.len().checked_sub(DIGEST).and_then(|end| file.get(..end)).unwrap_or(file)
}

fn searched(unreached: &Unreached) -> Searched {
    let Unreached { free, refused, slack, beyond, .. } = *unreached;
    Searched { free, refused, slack, beyond, ..Searched::default() }
}

/// The meta that does not hold, if it is sound and not of the same tree, as in a
/// snapshot stream.
fn older_meta(db: &Db<'_>) -> Option<(PageId, Meta)> {
    let number = 1usize.checked_sub(db.active)?;
    let other = (*db.metas.get(number)?).ok()?;
    let is_same = Meta { txid: db.meta.txid, ..other } == db.meta;
    (!is_same).then_some((PageId(number as u64), other))
}

/// Elements that are not what the entries of their bucket are: where one with a wrong size
/// ends or begins, another may stand.
struct Misfits;

impl Misfits {
    fn is_one(bucket: &[u8], element: &LeafElement<'_>) -> bool {
        if bucket == schema::KEY {
            return Record::parse(element).is_err();
        }
        let kind = EntryKind::of_bucket(bucket);
        kind.is_some_and(|kind| element.is_bucket || !kind.accepts(element.key(), element.value()))
    }
}

impl<'a> Fold<'a> for Misfits {
    type Part = Vec<(FileOffset, u64)>;
    type Total = Vec<(FileOffset, u64)>;

    fn total(&self) -> Self::Total {
        Vec::new()
    }

    fn part(&self, _: &Bucket<'a>) -> Self::Part {
        Vec::new()
    }

    fn leaf(&self, part: &mut Self::Part, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        if bucket.depth > 0 {
            return;
        }
        let refused = leaf.elements.iter().filter(|element| Self::is_one(bucket.name, element));
        // Where its position is wrong, a key may begin in front of it: no longer than that of
        // a revision, but for names of users and roles, which stand in the value, too.
        const KEY: u64 = 17;
        part.extend(refused.map(|element| {
            let start = FileOffset(element.data_offset().0.saturating_sub(KEY));
            (start, KEY.saturating_add(element.key_value().len() as u64))
        }));
    }

    fn join(&self, total: &mut Self::Total, _: &Bucket<'a>, part: Self::Part) {
        total.extend(part);
    }
}

impl<'a> Carved<'a> {
    fn search(
        &mut self,
        unreached: &Unreached,
        page_size: Option<PageSize>,
        present: Option<&Present<'a>>,
        settings: &Settings<'_>,
    ) {
        let page_size = page_size.unwrap_or_else(|| PageSize::guess(self.file));
        self.searched.page_size = page_size.bytes();
        let relics = relics(self.file, &unreached.gaps, page_size);
        let mut table = Table::new(self.file);
        search::search(self.file, &relics, page_size, present, settings, &mut table, &mut self.searched);
        let mut found = table.finish();
        let revision = self.tree.as_ref().map(|tree| tree.revision);
        let is_sound = self.tree.as_ref().is_some_and(|tree| tree.faults.is_empty());
        present::relate(self.file, &mut found, present, revision, is_sound, settings);
        found.shrink_to_fit();
        found.sort_by_cached_key(|found| found.sort_key(self.file));
        self.found = found;
    }

    /// The file without its digest, of which all offsets are.
    pub fn file(&self) -> &'a [u8] {
        self.file
    }

    /// The page that an offset lies in.
    pub fn page_of(&self, offset: FileOffset) -> PageId {
        PageId(offset.0.checked_div(self.searched.page_size).unwrap_or(0))
    }

    /// Hands runs of what was found to `map`, side by side, and what becomes of each
    /// run to `join`, in order.
    pub fn in_runs<T: Send>(
        &self,
        threads: NonZeroUsize,
        map: impl Fn(&[Found]) -> T + Sync,
        join: impl FnMut(T) + Send,
    ) {
        const RUN: usize = 128;
        let runs: Vec<&[Found]> = self.found.chunks(RUN).collect();
        crate::bolt::ordered(&runs, threads, |run| map(run), join);
    }
}
