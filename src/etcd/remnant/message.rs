//! A `KeyValue` whose end is not known, or lost.

use crate::codec::protobuf::{take_bytes, take_varint, varint};
use crate::etcd::key_value::KeyValue;
use crate::etcd::revision::Revision;

/// No request to etcd is longer, whatever limits it was given.
const LONGEST: u64 = 1 << 30;
const KEY: u8 = 0x0a;
const CREATE: u8 = 0x10;
const MODIFIED: u8 = 0x18;
const VERSION: u8 = 0x20;
const VALUE: u8 = 0x2a;
const LEASE: u8 = 0x30;

/// A message as all versions of etcd write it, read from its beginning for as long
/// as its fields follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beginning<'a> {
    /// What is there; a value that is cut has the bytes that are left.
    pub(super) kv: KeyValue<'a>,
    /// Bytes of the message that are there.
    pub(super) length: usize,
    /// Bytes of the message before its value.
    pub(super) before_value: usize,
    /// Bytes of the value that are not there.
    pub(super) missing: u32,
}

impl<'a> Beginning<'a> {
    /// Reads a message with a whole key at the front of `bytes`.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut kv = KeyValue {
            key: take_bytes(&mut rest, KEY).filter(|key| !key.is_empty())?,
            create_revision: take_varint(&mut rest, CREATE)?.cast_signed(),
            mod_revision: take_varint(&mut rest, MODIFIED)?.cast_signed(),
            version: take_varint(&mut rest, VERSION)?.cast_signed(),
            ..KeyValue::default()
        };
        let mut missing = 0;
        let mut before_value = bytes.len().saturating_sub(rest.len());
        // A key alone is a deletion: nothing of the next thing belongs to it.
        if kv.mod_revision != 0
            && let Some((&VALUE, behind)) = rest.split_first()
        {
            let mut behind = behind;
            let length = varint(&mut behind).filter(|length| *length <= LONGEST)?;
            let length = usize::try_from(length).ok()?;
            before_value = bytes.len().saturating_sub(behind.len());
            let there = length.min(behind.len());
            missing = u32::try_from(length.saturating_sub(there)).ok()?;
            (kv.value, rest) = behind.split_at_checked(there)?;
        }
        if kv.mod_revision != 0
            && missing == 0
            && rest.first() == Some(&LEASE)
            && let mut behind = rest
            && let Some(lease) = take_varint(&mut behind, LEASE)
        {
            kv.lease = lease.cast_signed();
            rest = behind;
        }
        Some(Self { kv, length: bytes.len().saturating_sub(rest.len()), before_value, missing })
    }

    /// Whether it can be what a revision key is followed by.
    pub(super) fn fits(&self, revision: Revision, tombstone: bool) -> bool {
        if tombstone {
            return self.kv.mod_revision == 0 && self.kv.create_revision == 0 && self.kv.version == 0;
        }
        self.kv.mod_revision == revision.main && self.is_consistent()
    }

    /// Whether its revisions and version can stand in one message.
    pub(super) fn is_consistent(&self) -> bool {
        let KeyValue { create_revision, mod_revision, version, .. } = self.kv;
        let writes = mod_revision.saturating_sub(create_revision).saturating_add(1);
        create_revision >= 1 && create_revision <= mod_revision && (1..=writes).contains(&version)
    }
}
