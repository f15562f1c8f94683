//! Encrypted values that the keys at hand do not open.
//!
//! What matters is what is alive: a server that starts on the restored store
//! reads that. Older revisions may well be encrypted with keys that were given
//! up since.

use crate::bolt::{Db, Excerpt, FileOffset};
use crate::etcd::keyspace::Keyspace;
use crate::etcd::record::Record;
use crate::kube::encryption::{Keyring, Why};
use crate::kube::registry_key::{Prefixes, RegistryKey};
use crate::ops::finding::{Check, Finding, Findings, Grade};

use super::schema::place;

/// The records of values that stayed closed, in the order of their revisions.
#[derive(Default)]
pub(super) struct LockedRecords {
    /// The key is wrong or missing.
    pub(super) closed: Vec<FileOffset>,
    /// A key management service holds it.
    pub(super) kms: Vec<FileOffset>,
}

impl LockedRecords {
    pub(super) fn push(&mut self, why: Why, offset: FileOffset) {
        if why == Why::Kms { self.kms.push(offset) } else { self.closed.push(offset) }
    }

    pub(super) fn join(&mut self, later: Self) {
        self.closed.extend(later.closed);
        self.kms.extend(later.kms);
    }
}

pub(super) fn findings<L>(
    db: &Db<'_>,
    prefixes: &Prefixes,
    keyring: &Keyring,
    records: &LockedRecords,
    keyspace: &Keyspace<'_, L>,
    findings: &mut Findings,
) {
    if records.closed.is_empty() && records.kms.is_empty() {
        return;
    }
    let live = keyspace.sorted_offsets();
    let is_live = |offset: &FileOffset| live.binary_search(offset).is_ok();
    let (closed, old): (Vec<_>, Vec<_>) = records.closed.iter().copied().partition(is_live);
    let kms: Vec<_> = records.kms.iter().copied().filter(is_live).collect();
    let expected = "a value that the encryption configuration opens";
    for (grade, code, offsets) in [
        (Grade::Suspicious, "value-locked", &closed),
        (Grade::Note, "value-locked-by-kms", &kms),
        (Grade::Note, "old-value-locked", &old),
    ] {
        let unkept = offsets.len().saturating_sub(Findings::KEPT) as u64;
        for (index, offset) in offsets.iter().take(Findings::KEPT).enumerate() {
            let Some(record) = Record::at(&db.image, *offset) else { continue };
            let (key, value) = (record.kv.key, record.kv.value);
            let registry = RegistryKey::parse(key, prefixes);
            let Err(locked) = keyring.open_at(&registry, key, value) else { continue };
            let finding = Finding::new(grade, Check::Kubernetes, code)
                .at(place(db, *offset))
                .of_bucket("key")
                .about(Excerpt::of(key))
                .because(expected, locked.to_string());
            findings.count_more(finding, if index == 0 { unkept.saturating_add(1) } else { 1 });
        }
    }
}
