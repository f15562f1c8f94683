//! Records that were found, in and outside of the tree.

use crate::bolt::{Excerpt, FileOffset, LeafElement, PageSize};
use crate::etcd::key_value::KeyValue;
use crate::etcd::record::Record;
use crate::etcd::remnant::{Form, Spot};
use crate::etcd::revision::{Revision, RevisionKey};

use super::facts::{Facts, Look, State};

/// How a record was found; the first is trusted most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// By the tree.
    Tree,
    /// On the page to which the tree leads, though that page is damaged.
    Pointed,
    /// On a page that has the form of a leaf and to which nothing leads.
    Page,
    /// By its own form.
    Stray,
    /// On a leaf of the tree, where it is none: it cannot be read, or contradicts itself.
    Broken,
}

/// What speaks for a record, beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// The page that it is on, or what stands right behind it.
    Vouched,
    /// Nothing: its value goes on behind the begin of a page, and what follows does not
    /// tell whether that page belongs to it.
    Unverified,
    /// Another record was found under the same revision, with other bytes.
    Contested,
}

/// A record, by its place, and what was seen when it was read: 40 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    main: i64,
    sub: i64,
    /// Where its revision key begins in the file.
    at: u64,
    /// Bytes of its message.
    value: u32,
    /// What it says of itself, if it was read.
    pub(super) facts: Facts,
    tombstone: bool,
    pub(super) origin: Origin,
    pub(super) standing: Standing,
    /// Whether it is what its key has in the end.
    pub(super) latest: bool,
}

impl Found {
    /// The record of a leaf element of the tree, if its key is a revision.
    pub(super) fn of_element(element: &LeafElement<'_>, look: &Look<'_>) -> Option<Self> {
        let RevisionKey { revision, tombstone } = RevisionKey::parse(element.key()).ok()?;
        let value = u32::try_from(element.value().len()).ok().filter(|_| !element.is_bucket)?;
        let at = element.data_offset().0;
        let found = Self::new(revision, tombstone, at, value, Origin::Tree);
        let facts = Facts::of(Record::parse(element).ok().as_ref(), look);
        let origin = if facts.state == State::Sound { Origin::Tree } else { Origin::Broken };
        Some(Self { origin, facts, ..found })
    }

    /// A record that lies somewhere else; whole or not.
    pub(super) fn of_spot(spot: &Spot, file: &[u8], origin: Origin) -> Option<Self> {
        if spot.form != Form::Record {
            return None;
        }
        let key = spot.bytes(file).get(..spot.key_length as usize)?;
        let RevisionKey { revision, tombstone } = RevisionKey::parse(key).ok()?;
        let value = spot.length.checked_sub(spot.key_length)?;
        Some(Self::new(revision, tombstone, spot.offset.0, value, origin))
    }

    fn new(revision: Revision, tombstone: bool, at: u64, value: u32, origin: Origin) -> Self {
        let Revision { main, sub } = revision;
        let (facts, standing) = (Facts::default(), Standing::Vouched);
        Self { main, sub, at, value, facts, tombstone, origin, standing, latest: false }
    }

    /// As one on a page to which the tree leads.
    pub(super) fn pointed(self) -> Self {
        Self { origin: Origin::Pointed, ..self }
    }

    /// As one that cannot be what was written.
    pub(super) fn broken(self) -> Self {
        Self { origin: Origin::Broken, ..self }
    }

    /// With what speaks for it.
    pub(super) fn standing(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// With whether it is what its key has in the end.
    pub(super) fn as_latest(self, latest: bool) -> Self {
        Self { latest, ..self }
    }

    /// Its place among the keys of the bucket.
    pub(super) fn order(&self) -> (i64, i64, bool) {
        (self.main, self.sub, self.tombstone)
    }

    /// Its place, and among those of the same place how far it is trusted.
    pub(super) fn rank(&self) -> ((i64, i64, bool), Origin, Standing, u64) {
        (self.order(), self.origin, self.standing, self.at)
    }

    pub(super) fn revision(&self) -> Revision {
        Revision { main: self.main, sub: self.sub }
    }

    pub(super) fn tombstone(&self) -> bool {
        self.tombstone
    }

    /// The key in the bucket.
    pub(super) fn revision_key(&self) -> RevisionKey {
        RevisionKey { revision: self.revision(), tombstone: self.tombstone }
    }

    /// The element's key and value.
    pub(super) fn entry<'a>(&self, file: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let start = usize::try_from(self.at).ok()?;
        let middle = start.checked_add(17)?.checked_add(usize::from(self.tombstone))?;
        let end = middle.checked_add(self.value as usize)?;
        Some((file.get(start..middle)?, file.get(middle..end)?))
    }

    /// The record, if it is one.
    pub(super) fn record<'a>(&self, file: &'a [u8]) -> Option<Record<'a>> {
        let (_, value) = self.entry(file)?;
        let (kv, as_written) = KeyValue::parse_with_form(value).ok()?;
        let offset = FileOffset(self.at);
        Some(Record { revision: self.revision(), tombstone: self.tombstone, as_written, kv, offset })
    }

    /// The user's key; of a record that is not whole, as far as it is there.
    pub(super) fn key<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        KeyValue::key_of(self.entry(file)?.1)
    }

    /// Whether its message may go on behind its end: one that was cut off between two
    /// fields is a message, too. Behind a whole one the next record begins, or what bbolt
    /// fills pages up with: zeros both.
    pub(super) fn is_cut(&self, file: &[u8]) -> bool {
        let end = self.at.saturating_add(17).saturating_add(u64::from(self.tombstone));
        let end = end.saturating_add(u64::from(self.value));
        // Behind a full page its number says what the next one begins with.
        if end.is_multiple_of(u64::from(PageSize::MIN)) {
            return false;
        }
        let behind = usize::try_from(end).ok().and_then(|end| file.get(end)).copied().unwrap_or(0);
        // The tags of a `KeyValue`.
        !self.tombstone && matches!(behind, 0x0a | 0x10 | 0x18 | 0x20 | 0x2a | 0x30)
    }

    /// Whether both have the same bytes.
    pub(super) fn is_same(&self, other: &Self, file: &[u8]) -> bool {
        self.at == other.at && self.value == other.value || self.entry(file) == other.entry(file)
    }

    /// As it is told of.
    pub(super) fn named(&self, file: &[u8]) -> Named {
        Named {
            key: Excerpt::of(self.key(file).unwrap_or_default()),
            revision: self.revision(),
            offset: FileOffset(self.at),
        }
    }
}

/// A record by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The user's key; empty if that is not known.
    pub key: Excerpt,
    /// Its revision.
    pub revision: Revision,
    /// Where it stands in the file.
    pub offset: FileOffset,
}
