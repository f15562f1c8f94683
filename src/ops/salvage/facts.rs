//! What a record says of itself. Each record of a tree is read once for it, while its page
//! is in the cache.

use std::hash::{BuildHasher, RandomState};

use crate::etcd::history::is_consistent;
use crate::etcd::record::Record;
use crate::kube::envelope::{Envelope, check_shape};
use crate::kube::registry_key::{Prefixes, RegistryKey};

/// With what records are looked into.
#[derive(Debug)]
pub(super) struct Look<'l> {
    pub(super) file: &'l [u8],
    pub(super) prefixes: &'l Prefixes,
    pub(super) hasher: RandomState,
}

/// All that most records are asked for: 8 bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    /// Hash of its key, 0 if it has none.
    pub(super) hash: u32,
    pub(super) state: State,
    pub(super) frame: Frame,
    /// Whether a life of its key may begin with it.
    pub(super) begins: bool,
    /// Whether its key is attached to a lease.
    pub(super) leased: bool,
}

/// Whether a record is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody has looked.
    #[default]
    Unread,
    /// It cannot be read.
    Unreadable,
    /// It contradicts itself.
    Contradictory,
    /// It does not.
    Sound,
}

/// What is around a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Frame {
    /// None of a Kubernetes key.
    #[default]
    Other,
    /// What an object is stored in.
    Object,
    /// Something else.
    Strange,
}

impl Facts {
    pub(super) fn of(record: Option<&Record<'_>>, look: &Look<'_>) -> Self {
        let Some(record) = record else { return Self { state: State::Unreadable, ..Self::default() } };
        let kv = &record.kv;
        Self {
            hash: if kv.key.is_empty() { 0 } else { (look.hasher.hash_one(kv.key) as u32).max(1) },
            state: if is_consistent(record) { State::Sound } else { State::Contradictory },
            frame: Frame::of(record, look.prefixes),
            begins: !record.tombstone && kv.version <= 1,
            leased: kv.lease != 0,
        }
    }
}

impl Frame {
    fn of(record: &Record<'_>, prefixes: &Prefixes) -> Self {
        if record.tombstone || prefixes.strip(record.kv.key).is_none() {
            return Self::Other;
        }
        let Ok(envelope) = Envelope::parse(record.kv.value) else { return Self::Strange };
        match envelope {
            _ if check_shape(&envelope).is_err() => Self::Strange,
            Envelope::Protobuf(_) | Envelope::Json(_) | Envelope::Cbor(_) | Envelope::Encrypted(_) => {
                Self::Object
            }
            _ => match RegistryKey::parse(record.kv.key, prefixes) {
                RegistryKey::Object(_) => Self::Strange,
                _ => Self::Other,
            },
        }
    }
}
