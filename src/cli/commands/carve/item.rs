//! One thing that was found, read as far as it can be.

use etcdsnap::etcd::key_value::AsWritten;
use etcdsnap::etcd::record::Record;
use etcdsnap::etcd::remnant::{EntryKind, Remnant};
use etcdsnap::etcd::revision::Revision;
use etcdsnap::kube::encryption::Locked;
use etcdsnap::kube::manifest::redact::Redaction;
use etcdsnap::kube::object::{Object, Options};
use etcdsnap::kube::value::Value;
use etcdsnap::ops::carve::{Found, Kind, Label};
use etcdsnap::ops::objects::StoredObject;
use etcdsnap::ops::reader::{Buffer, Outcome, Reader};

use super::Asked;
use super::summary::Summary;

pub(super) struct Item<'i, 'a> {
    pub(super) found: &'i Found,
    pub(super) remnant: Remnant<'a>,
    pub(super) label: Label,
    pub(super) page: u64,
    reader: &'i Reader<'i>,
}

/// What can be shown of a value.
pub(super) enum Content<'a> {
    /// Nothing was written: a deletion.
    Nothing,
    /// An object.
    Object(Value<'static>),
    /// Bytes, and why they are no object, if they should be one.
    Bytes(&'a [u8], Option<String>),
    /// Bytes that are not shown because they may hold what is to be hidden.
    Hidden(String),
}

impl<'i, 'a> Item<'i, 'a> {
    pub(super) fn new(asked: &Asked<'i, 'a>, found: &'i Found, remnant: Remnant<'a>, label: Label) -> Self {
        let page = asked.carved.page_of(found.spot.offset).0;
        Self { found, remnant, label, page, reader: asked.reader }
    }

    /// Of a record: its revision.
    pub(super) fn revision(&self) -> Option<Revision> {
        match self.remnant {
            Remnant::Record { revision, .. } => Some(revision),
            _ => None,
        }
    }

    pub(super) fn is_tombstone(&self) -> bool {
        matches!(self.remnant, Remnant::Record { tombstone: true, .. })
    }

    /// The bytes of the value, as they are stored.
    pub(super) fn stored(&self) -> &'a [u8] {
        match self.remnant {
            Remnant::Record { kv, .. } => kv.value,
            Remnant::Entry { value, .. } | Remnant::Value(value) => value,
        }
    }

    /// The etcd key, if it is there.
    pub(super) fn key(&self) -> Option<&'a [u8]> {
        match self.remnant {
            Remnant::Record { kv, .. } => Some(kv.key),
            Remnant::Entry { key, .. } => Some(key).filter(|key| !key.is_empty()),
            Remnant::Value(_) => None,
        }
    }

    /// Reads the value, and counts what cannot be read.
    pub(super) fn content(&self, summary: &mut Summary) -> Content<'a> {
        if self.is_tombstone() {
            return Content::Nothing;
        }
        let stored = self.stored();
        let hides = self.reader.redaction.is_some();
        match self.label.kind {
            Kind::Entry(EntryKind::User) if hides => Content::Hidden("it holds a password's hash".to_owned()),
            Kind::Entry(_) | Kind::Key | Kind::Internal => Content::Bytes(stored, None),
            Kind::Object | Kind::Value => match self.object() {
                Ok(object) => Content::Object(object),
                Err(why) => {
                    let why = match self.found.spot.missing {
                        0 => why,
                        missing => format!("{missing} bytes are missing at its end"),
                    };
                    summary.unreadable(&why);
                    // What is encrypted hides itself; of anything else nobody knows what is in it.
                    let is_locked = Locked::without_configuration(stored).is_some();
                    if hides && !is_locked { Content::Hidden(why) } else { Content::Bytes(stored, Some(why)) }
                }
            },
        }
    }

    fn object(&self) -> Result<Value<'static>, String> {
        match self.remnant {
            Remnant::Record { revision, tombstone, kv } => {
                let record = Record {
                    revision,
                    tombstone,
                    as_written: AsWritten::Yes,
                    kv,
                    offset: self.found.spot.offset,
                };
                let stored = StoredObject {
                    namespace: self.label.namespace.as_deref(),
                    name: &self.label.name,
                    record,
                };
                self.reader.read(&stored, &mut Buffer::default(), |outcome| match outcome {
                    Outcome::Object { object, .. } => Ok(object.value.into_owned()),
                    Outcome::Unreadable { why, .. } => Err(why.to_string()),
                    Outcome::NotSelected => Err("it was not asked for".to_owned()),
                })
            }
            _ => {
                let object = Object::decode(self.stored(), &Options::default());
                let mut value = object.map_err(|why| why.to_string())?.value;
                if let Some(redaction) = self.reader.redaction {
                    Redaction::apply(redaction, &mut value);
                }
                Ok(value.into_owned())
            }
        }
    }
}
