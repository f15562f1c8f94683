//! What became of one key: every record of it that the file still has.

use memchr::memmem;

use crate::bolt::Db;
use crate::etcd::hash_kv::Window;
use crate::etcd::record::{Record, RecordFold};
use crate::kube::changes::{Change, changes};
use crate::kube::dated::newest_time;
use crate::kube::encryption::{Keyring, open};
use crate::kube::manifest::redact::{Hidden, Redaction};
use crate::kube::object::{Object, Options};
use crate::kube::registry_key::Prefixes;
use crate::kube::unix_time::UnixTime;
use crate::kube::value::Value;

use super::objects::StoredObject;
use super::reader::{Buffer, Outcome, Reader, Unreadable};
use super::records::{Answer, ask};
use super::{Damage, OpError, Settings};

/// All records of a key.
#[derive(Debug)]
pub struct KeyHistory<'a> {
    /// In the order they were written.
    pub records: Vec<Record<'a>>,
    /// The revisions that could be asked for.
    pub window: Window,
    /// Damage that was skipped.
    pub damage: Damage,
}

/// What a record did to its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Made it.
    Created,
    /// Gave it another value, or the same again.
    Changed,
    /// Took it away.
    Deleted,
}

impl Deed {
    /// What `record` did.
    pub fn of(record: &Record<'_>) -> Self {
        match record {
            record if record.tombstone => Self::Deleted,
            record if record.kv.version == 1 => Self::Created,
            _ => Self::Changed,
        }
    }

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

/// Versions of a key that were there once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The first of them.
    pub from: i64,
    /// The last of them.
    pub to: i64,
}

/// Finds all records of a key, which may be any of `keys`.
///
/// Time: one walk over all records. Memory: that of the records found.
///
/// # Errors
/// A damaged file, unless that is to be skipped.
pub fn history<'a>(
    db: &Db<'a>,
    keys: &[Vec<u8>],
    settings: &Settings<'_>,
) -> Result<KeyHistory<'a>, OpError> {
    let Answer { total: records, window, damage, .. } = ask(db, None, settings, |_| OfKeys(keys))?;
    Ok(KeyHistory { records, window, damage })
}

struct OfKeys<'k>(&'k [Vec<u8>]);

impl<'a> RecordFold<'a> for OfKeys<'_> {
    type Part = Vec<Record<'a>>;
    type Total = Vec<Record<'a>>;

    fn total(&self) -> Self::Total {
        Vec::new()
    }

    fn part(&self) -> Self::Part {
        Vec::new()
    }

    #[inline]
    fn record(&self, part: &mut Self::Part, record: &Record<'a>) {
        if self.0.iter().any(|key| key == record.kv.key) {
            part.push(*record);
        }
    }

    fn join(&self, total: &mut Self::Total, part: Self::Part) {
        total.extend(part);
    }
}

impl KeyHistory<'_> {
    /// The versions that are missing right before each record: compacted away before
    /// the first, lost to damage between others.
    pub fn missing(&self) -> impl Iterator<Item = Option<Missing>> {
        let before = std::iter::once(None).chain(self.records.iter().map(Some));
        before.zip(&self.records).map(|(previous, record)| {
            let from = match previous {
                Some(previous)
                    if !previous.tombstone && previous.kv.create_revision == record.kv.create_revision =>
                {
                    previous.kv.version.saturating_add(1)
                }
                _ => 1,
            };
            let to = record.kv.version.saturating_sub(1);
            (!record.tombstone && from <= to).then_some(Missing { from, to })
        })
    }
}

/// A record's value, read as far as it can be.
#[derive(Debug)]
pub enum Content {
    /// A Kubernetes object.
    Object {
        /// What it is.
        whole: Value<'static>,
        /// What of it may be shown.
        shown: Value<'static>,
        /// Whether that is less.
        redacted: bool,
    },
    /// Of a key that is none of Kubernetes' objects.
    Bytes {
        /// The value.
        value: Vec<u8>,
        /// Whether it must not be shown: it may be a Secret, kept where this program
        /// does not look for one.
        hidden: bool,
    },
    /// It should be an object and cannot be read.
    Unreadable(Unreadable),
    /// A tombstone has none.
    Nothing,
}

impl Content {
    /// Reads the value of `record` as `reader` has it. What `redaction` replaces is in
    /// `whole` nevertheless, to be compared and not to be shown. `hidden` is what it
    /// replaces in the other records of the key; see [`hidden`].
    pub fn read(
        record: &Record<'_>,
        reader: &Reader<'_>,
        redaction: Option<&Redaction>,
        hidden: &mut Hidden,
    ) -> Self {
        if record.tombstone {
            return Self::Nothing;
        }
        let Some(stored) = StoredObject::of(*record, &reader.prefixes) else {
            let value = record.kv.value.to_vec();
            let hidden = redaction.is_some() && may_be_secret(record.kv.key, &value);
            return Self::Bytes { value, hidden };
        };
        reader.read(&stored, &mut Buffer::default(), |outcome| match outcome {
            Outcome::Object { object, .. } => {
                let mut whole = object.value.into_owned();
                // It is a new one with every write.
                if let Some(metadata) = whole.get_mut("metadata").and_then(Value::as_map_mut) {
                    metadata.remove("resourceVersion");
                }
                let mut shown = whole.clone();
                let redacted = redaction.is_some_and(|redaction| redaction.apply_among(&mut shown, hidden));
                Self::Object { whole, shown, redacted }
            }
            Outcome::Unreadable { why, .. } => Self::Unreadable(why),
            Outcome::NotSelected => Self::Nothing,
        })
    }

    /// What is different from `before`: nothing, if these cannot be compared part by
    /// part, or only one of them may be shown.
    pub fn changes_since(&self, before: &Self) -> Vec<Change> {
        match (before, self) {
            (
                Self::Object { whole: before, redacted: one, .. },
                Self::Object { whole: after, redacted: other, .. },
            ) if one == other => changes(before, after, *one),
            _ => Vec::new(),
        }
    }
}

/// All that `redaction` replaces in any of `records`: an earlier or a later write may
/// repeat it in a place that is shown otherwise.
pub fn hidden(records: &[Record<'_>], reader: &Reader<'_>, redaction: Option<&Redaction>) -> Hidden {
    let mut hidden = Hidden::default();
    if redaction.is_some() {
        for record in records {
            Content::read(record, reader, redaction, &mut hidden);
        }
    }
    hidden
}

/// Whether a value under a key that is none of Kubernetes' may be a Secret's all the same.
fn may_be_secret(key: &[u8], value: &[u8]) -> bool {
    memmem::find(key, b"/secrets/").is_some()
        || value.starts_with(b"k8s")
        || Object::decode(value, &Options::default()).is_ok()
}

/// The newest time that the value of `record` carries: it was written then, or
/// later.
pub fn dated(record: &Record<'_>, keys: Option<&Keyring>, prefixes: &Prefixes) -> Option<UnixTime> {
    if record.tombstone {
        return None;
    }
    let opened = open(keys, prefixes, record.kv.key, record.kv.value).ok()?;
    newest_time(&opened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bolt::FileOffset;
    use crate::etcd::key_value::{AsWritten, KeyValue};
    use crate::etcd::revision::Revision;

    fn record(main: i64, version: i64, created: i64) -> Record<'static> {
        let kv = KeyValue {
            key: b"a",
            create_revision: created,
            mod_revision: main,
            version,
            value: b"",
            lease: 0,
        };
        Record {
            revision: Revision { main, sub: 0 },
            tombstone: version == 0,
            kv,
            offset: FileOffset(0),
            as_written: AsWritten::Yes,
        }
    }

    fn missing(records: Vec<Record<'static>>) -> Vec<Option<(i64, i64)>> {
        let window = Window { compact: None, current: 100 };
        let history = KeyHistory { records, window, damage: Damage::default() };
        history.missing().map(|missing| missing.map(|missing| (missing.from, missing.to))).collect()
    }

    #[test]
    fn versions_before_the_first_record_and_between_records_are_missed() {
        let records =
            vec![record(10, 4, 2), record(12, 5, 2), record(20, 8, 2), record(21, 0, 0), record(30, 1, 30)];
        assert_eq!(missing(records), [Some((1, 3)), None, Some((6, 7)), None, None]);
    }

    #[test]
    fn a_new_life_counts_from_one() {
        let records = vec![record(10, 3, 2), record(30, 3, 28)];
        assert_eq!(missing(records), [Some((1, 2)), Some((1, 2))]);
    }

    #[test]
    fn a_record_says_what_it_did() {
        let deeds =
            [record(2, 1, 2), record(3, 2, 2), record(4, 0, 0)].map(|record| Deed::of(&record).name());
        assert_eq!(deeds, ["created", "changed", "deleted"]);
    }
}
