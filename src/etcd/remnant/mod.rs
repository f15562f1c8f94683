//! What is left of records and entries outside of the tree.
//!
//! Two ways lead to them. An element of a page that once was a leaf
//! ([`of_element`]) has its key and value told apart; to which bucket it belonged
//! nothing says, so its form has to (`EntryKind::of`). Where no page is left,
//! bytes are searched for what all records have ([`scan`]).
//!
//! ```text
//! 00 00 00 00 00 00 17 86  5f  00 00 00 00 00 00 00 00   0a 1b /registry/…
//! main revision             _   sub revision              KeyValue: field 1, …
//! ```

mod entry;
mod message;
mod scan;

pub use entry::EntryKind;
pub use scan::{scan, scan_keyed};

use super::key_value::KeyValue;
use super::revision::{Revision, RevisionKey};
use crate::bolt::{FileOffset, RelicElement};
use message::Beginning;

/// How sure it is that something was once stored as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sure {
    /// Something is missing or cannot be verified: a part of the value was
    /// overwritten, or the revision key in front of it.
    Fragment,
    /// Found by its form where no page is left. All of it is there, and revision
    /// key and message name the same revision.
    Scan,
    /// As `Whole`, on a page whose header is gone.
    Element,
    /// On a page with its header and its table of elements, and for a record: its
    /// revision key and its message name the same revision.
    Whole,
}

impl Sure {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fragment => "fragment",
            Self::Scan => "scan",
            Self::Element => "element",
            Self::Whole => "whole",
        }
    }
}

/// What a [`Spot`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A revision key, and a message behind it.
    Record,
    /// A message without its revision key.
    Message,
    /// An entry of one of the small buckets.
    Entry(EntryKind),
    /// A value alone.
    Value,
}

/// Where in a file something is left, and what it is. Enough to read it again,
/// and small: there may be very many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Where it begins: a record at its revision key, an entry at its key.
    pub offset: FileOffset,
    /// Bytes that are there.
    pub length: u32,
    /// Bytes of the key among them.
    pub key_length: u32,
    /// Bytes that are missing at its end.
    pub missing: u32,
    /// How it is to be read.
    pub form: Form,
    /// How sure it is.
    pub sure: Sure,
}

/// What is left of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remnant<'a> {
    /// A write or deletion of a key.
    Record {
        /// Its revision. Without a revision key the sub revision is not known, and
        /// shown as 0.
        revision: Revision,
        /// Whether it deletes its key.
        tombstone: bool,
        /// What was written, as far as it is there.
        kv: KeyValue<'a>,
    },
    /// An entry of one of the small buckets.
    Entry {
        /// What kind of entry.
        kind: EntryKind,
        /// Its key.
        key: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// A value whose key is gone.
    Value(&'a [u8]),
}

impl Spot {
    /// The bytes that are there.
    pub fn bytes<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        let start = usize::try_from(self.offset.0).unwrap_or(usize::MAX);
        file.get(start..start.saturating_add(self.length as usize)).unwrap_or_default()
    }

    /// Reads it again; `None` if the file was changed since.
    pub fn read<'a>(&self, file: &'a [u8]) -> Option<Remnant<'a>> {
        let bytes = self.bytes(file);
        let (key, value) = bytes.split_at_checked(self.key_length as usize)?;
        match self.form {
            Form::Record => {
                let RevisionKey { revision, tombstone } = RevisionKey::parse(key).ok()?;
                let kv = if self.missing == 0 {
                    KeyValue::parse(value).ok()?
                } else {
                    Beginning::parse(value)?.kv
                };
                Some(Remnant::Record { revision, tombstone, kv })
            }
            Form::Message => {
                let kv = Beginning::parse(value)?.kv;
                let revision = Revision { main: kv.mod_revision, sub: 0 };
                Some(Remnant::Record { revision, tombstone: false, kv })
            }
            Form::Entry(kind) => Some(Remnant::Entry { kind, key, value }),
            Form::Value => Some(Remnant::Value(bytes)),
        }
    }
}

/// Recognises what an element of a leaf page was; `None` if it is nothing that etcd
/// writes. `sure` tells what is left of the page, `bucket` the element's bucket if
/// that is known.
pub fn of_element(element: &RelicElement<'_>, sure: Sure, bucket: Option<&[u8]>) -> Option<Spot> {
    let RelicElement { key, value, missing, offset, .. } = *element;
    let (length, key_length) =
        (u32::try_from(key.len().checked_add(value.len())?).ok()?, u32::try_from(key.len()).ok()?);
    let spot = |form, sure| Spot { offset, length, key_length, missing, form, sure };
    if let Ok(RevisionKey { revision, tombstone }) = RevisionKey::parse(key) {
        if missing > 0 {
            let beginning = Beginning::parse(value)?;
            return beginning.fits(revision, tombstone).then(|| spot(Form::Record, Sure::Fragment));
        }
        let kv = KeyValue::parse(value).ok()?;
        let agrees = match tombstone {
            true => kv.mod_revision == 0,
            false => kv.mod_revision == revision.main,
        };
        return Some(spot(Form::Record, if agrees { sure } else { Sure::Fragment }));
    }
    if missing > 0 || element.is_bucket {
        return None;
    }
    EntryKind::of(bucket, key, value).map(|kind| spot(Form::Entry(kind), sure))
}
