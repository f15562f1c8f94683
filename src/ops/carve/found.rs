//! Each distinct thing once, however many copies of it there are.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::bolt::FileOffset;
use crate::etcd::remnant::{Form, Remnant, Spot, Sure};
use crate::etcd::revision::Revision;

/// Something that was found, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The copy that is most sure, of those the first in the file.
    pub spot: Spot,
    /// What it is to the present state.
    pub relation: Relation,
    /// How many copies there are, this one included.
    pub copies: u32,
    others: [u64; OTHERS],
}

/// Places of other copies that are kept.
const OTHERS: usize = 3;

/// What something is to the state that the tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// Its key does not exist any more.
    Deleted,
    /// An older revision of a key that exists.
    Compacted,
    /// An older value of a member, user or other entry that exists.
    Replaced,
    /// Written after the newest record that the tree holds: while the snapshot was
    /// being taken, or in another history of the store.
    Later,
    /// Without a tree, or without a key, nothing can be said.
    Unknown,
}

impl Relation {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Compacted => "compacted",
            Self::Replaced => "replaced",
            Self::Later => "later",
            Self::Unknown => "unknown",
        }
    }
}

impl Found {
    fn new(spot: Spot) -> Self {
        Self { spot, relation: Relation::Unknown, copies: 1, others: [u64::MAX; OTHERS] }
    }

    /// Of a record: its revision.
    pub fn revision(&self, file: &[u8]) -> Option<Revision> {
        match self.read(file) {
            Some(Remnant::Record { revision, .. }) => Some(revision),
            _ => None,
        }
    }

    /// Where other copies begin: the first of them in the file.
    pub fn other_offsets(&self) -> impl Iterator<Item = FileOffset> {
        self.others.into_iter().filter(|offset| *offset != u64::MAX).map(FileOffset)
    }

    /// Reads it; `None` if the file was changed since.
    pub fn read<'a>(&self, file: &'a [u8]) -> Option<Remnant<'a>> {
        self.spot.read(file)
    }

    /// By what it is sorted: key and revision; what has no key comes last.
    pub(super) fn sort_key<'a>(&self, file: &'a [u8]) -> (bool, &'a [u8], Revision, FileOffset) {
        let none = Revision::default();
        let (has_no_key, key, revision) = match self.read(file) {
            Some(Remnant::Record { kv, revision, .. }) => (false, kv.key, revision),
            Some(Remnant::Entry { key, .. }) => (false, key, none),
            Some(Remnant::Value(_)) | None => (true, &[][..], none),
        };
        (has_no_key, key, revision, self.spot.offset)
    }

    /// Adds a copy, and keeps the better of the two.
    fn merge(&mut self, other: &Self) {
        self.copies = self.copies.saturating_add(other.copies);
        let worse = |spot: &Spot| (spot.missing, std::cmp::Reverse(spot.sure), spot.offset);
        let mut spare = other.spot;
        if worse(&other.spot) < worse(&self.spot) {
            spare = std::mem::replace(&mut self.spot, other.spot);
        }
        let mut all = [u64::MAX; OTHERS + OTHERS + 1];
        let offsets = self.others.into_iter().chain(other.others).chain([spare.offset.0]);
        for (to, from) in all.iter_mut().zip(offsets) {
            *to = from;
        }
        all.sort_unstable();
        for (to, from) in self.others.iter_mut().zip(all) {
            *to = from;
        }
    }
}

/// What was met, not compared with all else yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Met {
    pub(super) spot: Spot,
    hash: u64,
}

/// Collects what is met.
pub(super) struct Table<'a> {
    file: &'a [u8],
    hasher: RandomState,
    table: HashTable<(u64, u32)>,
    found: Vec<Found>,
}

impl<'a> Table<'a> {
    pub(super) fn new(file: &'a [u8]) -> Self {
        Self { file, hasher: RandomState::new(), table: HashTable::new(), found: Vec::new() }
    }

    /// Prepares a spot, on any thread.
    pub(super) fn met(hasher: &RandomState, file: &[u8], spot: Spot) -> Met {
        let hash = hasher.hash_one((spot.form, spot.missing, spot.bytes(file)));
        Met { spot, hash }
    }

    pub(super) fn hasher(&self) -> RandomState {
        self.hasher.clone()
    }

    pub(super) fn add(&mut self, met: &Met) {
        let (file, found) = (self.file, &mut self.found);
        let bytes = met.spot.bytes(file);
        let is_same = |(hash, index): &(u64, u32)| {
            let other = found.get(*index as usize).map(|found| &found.spot);
            *hash == met.hash
                && other.is_some_and(|spot| {
                    spot.form == met.spot.form
                        && spot.missing == met.spot.missing
                        && (spot.offset == met.spot.offset || spot.bytes(file) == bytes)
                })
        };
        let new = Found::new(met.spot);
        if let Some((_, index)) = self.table.find(met.hash, is_same) {
            if let Some(known) = found.get_mut(*index as usize)
                && known.spot.offset != met.spot.offset
            {
                known.merge(&new);
            }
            return;
        }
        let Ok(index) = u32::try_from(found.len()) else { return };
        // There may be so many that room for as many again is too much.
        if found.len() == found.capacity() {
            found.reserve_exact((found.len() / 8).max(64));
        }
        found.push(new);
        self.table.insert_unique(met.hash, (met.hash, index), |(hash, _)| *hash);
    }

    /// All that was met. Pieces of what was found whole are counted as copies of it.
    pub(super) fn finish(self) -> Vec<Found> {
        let Self { file, table, found: mut whole, .. } = self;
        drop(table);
        let is_piece = |found: &mut Found| {
            found.spot.sure == Sure::Fragment && matches!(found.spot.form, Form::Record | Form::Message)
        };
        let pieces: Vec<Found> = whole.extract_if(.., is_piece).collect();
        if pieces.is_empty() {
            return whole;
        }
        let main = |found: &Found| found.revision(file).map(|revision| revision.main);
        let numbered = whole.iter().enumerate();
        let mut by_main: Vec<(i64, usize)> =
            numbered.filter_map(|(index, found)| Some((main(found)?, index))).collect();
        by_main.sort_unstable();
        let mut left: Vec<(Option<i64>, Found)> = Vec::new();
        for piece in pieces {
            let of = main(&piece);
            match of.and_then(|of| home(&piece, of, &by_main, &whole, file)) {
                Some(index) => {
                    if let Some(found) = whole.get_mut(index) {
                        found.merge(&piece);
                    }
                }
                None => left.push((of, piece)),
            }
        }
        // A piece that is longer first: then the shorter ones find it.
        left.sort_unstable_by_key(|(of, piece)| {
            (*of, std::cmp::Reverse(piece.spot.length), piece.spot.offset)
        });
        let mut kept: Vec<(Option<i64>, Found)> = Vec::new();
        for (of, piece) in left {
            match kept.last_mut().filter(|(main, last)| *main == of && is_part(&piece, last, file)) {
                Some((_, last)) => last.merge(&piece),
                None => kept.push((of, piece)),
            }
        }
        whole.extend(kept.into_iter().map(|(_, piece)| piece));
        whole
    }
}

/// How many records of one transaction a piece is compared with.
const COMPARED: usize = 256;

/// The record in `whole` that `piece`, written at revision `main`, is a part of.
fn home(piece: &Found, main: i64, by_main: &[(i64, usize)], whole: &[Found], file: &[u8]) -> Option<usize> {
    let start = by_main.partition_point(|(of, _)| *of < main);
    let of_main = by_main.get(start..)?.iter().take(COMPARED).take_while(|(of, _)| *of == main);
    let mut records = of_main.filter_map(|(_, index)| Some((*index, whole.get(*index)?)));
    records.find(|(_, found)| is_part(piece, found, file)).map(|(index, _)| index)
}

/// Whether two records say the same as far as `piece` goes.
fn is_part(piece: &Found, whole: &Found, file: &[u8]) -> bool {
    let (Some(Remnant::Record { kv: a, .. }), Some(Remnant::Record { kv: b, .. })) =
        (piece.read(file), whole.read(file))
    else {
        return false;
    };
    a.key == b.key
        && (a.create_revision, a.mod_revision, a.version) == (b.create_revision, b.mod_revision, b.version)
        && b.value.starts_with(a.value)
}
