//! Records newer than all that the tree has, on pages that it does not reach.
//!
//! Of a member's `db` each meta has a tree of its own, one commit apart. Where the newer
//! meta cannot be used, the older one leads to the state before the last commit, and
//! nothing in that tree tells that there was one. The same if what should lead to the
//! records leads to nothing at all. The pages of that commit are still there: leaves of
//! bucket `key`, with revisions that come after the last one of the tree.
//!
//! In a sound file this is not asked: a snapshot that a busy etcd streams may hold pages of
//! transactions that were begun later, and lacks nothing.

use std::collections::HashSet;

use crate::bolt::{
    Db, GapKind, MetaFields, Place, Relic, RelicElement, RelicKind, RelicPart, WalkOptions,
    leaves_backward_in_any_order, relics, walk_unreached,
};
use crate::etcd::history::is_consistent;
use crate::etcd::record::Record;
use crate::etcd::revision::Revision;
use crate::etcd::schema;
use crate::etcd::snapshot::{Trailer, trailer};
use crate::etcd::state::State;

use super::records::newest;

/// The latest writes, which nothing leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newer {
    /// Main revision of the tree's last record; `None` if it has none.
    pub tree: Option<i64>,
    /// Main revision of the first of these writes.
    pub first: i64,
    /// Main revision of the last of them.
    pub last: i64,
    /// Where the first of them stands.
    pub place: Place,
}

impl Newer {
    /// Which they are, in words.
    pub fn revisions(&self) -> String {
        let Self { first, last, .. } = self;
        if first == last { format!("revision {first}") } else { format!("revisions {first} to {last}") }
    }

    /// What should be there in their place.
    pub fn expected(&self) -> String {
        match self.tree {
            Some(tree) => format!("revision {tree}, the tree's last, to be the newest in the file"),
            None => "no record in the file, as the tree has none".to_owned(),
        }
    }

    /// What is there.
    pub fn found(&self) -> String {
        format!("{} on pages that nothing leads to", self.revisions())
    }
}

impl std::fmt::Display for Newer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected {}, found {}", self.expected(), self.found())
    }
}

/// These writes, one by one.
#[derive(Debug)]
pub(super) struct NewerWrites<'a> {
    /// All of them together.
    pub(super) span: Newer,
    /// What they have to be newer than: the tree's last revision, the compact one, the first
    /// of any store.
    pub(super) before: i64,
    /// How many main revisions there are.
    pub(super) revisions: u64,
    /// The keys, in order, if they were asked for.
    pub(super) keys: Vec<&'a [u8]>,
}

/// Whether one of the metas of `db` cannot be used, and may have led to another tree.
pub(super) fn may_lead_elsewhere(db: &Db<'_>) -> bool {
    if db.metas.iter().all(Result::is_ok) {
        return false;
    }
    let bytes = db.image.file();
    // What is streamed has one tree under both metas.
    if matches!(trailer(db, bytes), Trailer::Digest(_)) {
        return false;
    }
    let size = db.meta.page_size.bytes();
    let page = |number: usize| {
        let at = usize::try_from(size).ok()?.checked_mul(number)?;
        bytes.get(at..).and_then(MetaFields::read)
    };
    let leads_here = |fields: MetaFields| {
        (fields.root, fields.high_water_mark) == (db.meta.root.0, db.meta.high_water_mark.0)
    };
    let broken = db.metas.iter().enumerate().filter(|(_, meta)| meta.is_err());
    broken.into_iter().any(|(number, _)| !page(number).is_some_and(leads_here))
}

/// Looks for such writes where the tree of `db` may not be the last one that was written: by
/// its metas, or because it has no record and `is_whole`, so that nothing else tells why.
pub(super) fn newer(db: &Db<'_>, is_whole: bool, options: &WalkOptions<'_>) -> Option<Newer> {
    search(db, is_whole, Keys::Pass, options).map(|writes| writes.span)
}

/// As [`newer()`], with all keys that were written.
pub(super) fn newer_writes<'a>(
    db: &Db<'a>,
    is_whole: bool,
    options: &WalkOptions<'_>,
) -> Option<NewerWrites<'a>> {
    search(db, is_whole, Keys::Take, options)
}

/// Whether keys are kept, of which there may be millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Take,
    Pass,
}

fn search<'a>(db: &Db<'a>, is_whole: bool, keys: Keys, options: &WalkOptions<'_>) -> Option<NewerWrites<'a>> {
    let is_older = may_lead_elsewhere(db);
    if !(is_older || is_whole && is_empty(db)) {
        return None;
    }
    let state = State::read(db);
    let tree = newest(db, state.judge(), options).map(|revision| revision.main);
    // The first write of a store has revision 2.
    let before = tree.max(state.compact_revision()).unwrap_or(0).max(1);
    let mut found = look(db, before, keys, options);
    found.mains.sort_unstable();
    found.mains.dedup();
    let (_, place) = found.first?;
    let (first, last) = (*found.mains.first()?, *found.mains.last()?);
    let mut keys: Vec<&[u8]> = found.keys.into_iter().collect();
    keys.sort_unstable();
    let span = Newer { tree, first, last, place };
    Some(NewerWrites { span, before, revisions: found.mains.len() as u64, keys })
}

/// Whether the tree has no record.
fn is_empty(db: &Db<'_>) -> bool {
    let mut leaves = leaves_backward_in_any_order(db, schema::KEY);
    !leaves.any(|leaf| leaf.is_ok_and(|elements| !elements.is_empty()))
}

/// The records that were found.
#[derive(Default)]
struct Found<'a> {
    keys: HashSet<&'a [u8]>,
    mains: Vec<i64>,
    first: Option<(Revision, Place)>,
}

fn look<'a>(db: &Db<'a>, before: i64, keys: Keys, options: &WalkOptions<'_>) -> Found<'a> {
    let bytes = db.image.file();
    let options = WalkOptions { only: None, progress: None, ..*options };
    let (_, _, mut unreached) = walk_unreached(db, bytes, &(), &options);
    unreached.gaps.retain(|gap| matches!(gap.kind, GapKind::Free | GapKind::Beyond));
    let mut found = Found::default();
    let leaves = relics(bytes, &unreached.gaps, db.meta.page_size);
    let place = |leaf: &Relic| Place::page(db.image.page_of(leaf.start));
    for leaf in leaves.iter().filter(|relic| relic.kind == RelicKind::Leaf) {
        leaf.read(bytes, |part| {
            if let RelicPart::Element(element) = part
                && let Some(record) = record(&element)
                && record.revision.main > before
            {
                found.add(&record, place(leaf));
                if keys == Keys::Take {
                    found.keys.insert(record.kv.key);
                }
            }
        });
    }
    found
}

impl Found<'_> {
    fn add(&mut self, record: &Record<'_>, place: Place) {
        let revision = record.revision;
        if self.mains.last() != Some(&revision.main) {
            self.mains.push(revision.main);
        }
        if self.first.as_ref().is_none_or(|(first, _)| revision < *first) {
            self.first = Some((revision, place));
        }
    }
}

/// The record in an element, if all of it is there and it does not contradict itself.
fn record<'a>(element: &RelicElement<'a>) -> Option<Record<'a>> {
    if element.is_bucket || element.missing > 0 {
        return None;
    }
    Record::read(element.key, element.value, element.offset).ok().filter(is_consistent)
}
