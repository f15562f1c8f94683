//! What a record says of itself, without a look at any other.
//!
//! One judge for everybody: `verify` tells each rule that is broken, salvage looks for
//! another copy of such a record, and those who answer from records leave it out.

use crate::etcd::key_value::AsWritten;
use crate::etcd::record::Record;

use super::fault::{Contradiction, HistoryFaultKind};

/// The first rule that `record` breaks by itself. In the file of an etcd newer than any
/// that is known (`is_newer`) fields behind the known ones break none.
#[inline]
pub(crate) fn contradiction(record: &Record<'_>, is_newer: bool) -> Option<Contradiction> {
    let mut first = None;
    contradictions(record, |rule| {
        if !(is_newer && rule == HistoryFaultKind::MoreFields) {
            first.get_or_insert(rule);
        }
    });
    Some(Contradiction { revision: record.revision, rule: first? })
}

/// Whether a record breaks no rule by itself.
#[inline]
pub(crate) fn is_consistent(record: &Record<'_>) -> bool {
    contradiction(record, false).is_none()
}

/// Tells every rule that `record` breaks by itself. Only numbers are looked at that
/// reading the record had to read: this is asked of every record.
#[inline]
pub(super) fn contradictions(record: &Record<'_>, mut tell: impl FnMut(HistoryFaultKind)) {
    let kv = &record.kv;
    match record.as_written {
        AsWritten::Yes => {}
        AsWritten::WithMore => tell(HistoryFaultKind::MoreFields),
        AsWritten::No => tell(HistoryFaultKind::Form),
    }
    if record.tombstone {
        if is_write(record) {
            tell(HistoryFaultKind::WriteMarkedDeleted);
        } else if !is_key_alone(record) {
            tell(HistoryFaultKind::TombstoneContent);
        }
        if kv.key.is_empty() {
            tell(HistoryFaultKind::EmptyKey);
        }
        return;
    }
    if is_key_alone(record) {
        // Without a key, too, it is what a bumped restore leaves behind.
        if !kv.key.is_empty() {
            tell(HistoryFaultKind::DeletionUnmarked);
        }
        return;
    }
    if kv.key.is_empty() {
        tell(HistoryFaultKind::EmptyKey);
    }
    let main = record.revision.main;
    if kv.mod_revision != main {
        tell(HistoryFaultKind::ModRevision(kv.mod_revision));
    }
    if kv.create_revision < 1 || kv.create_revision > main {
        tell(HistoryFaultKind::CreateRevision(kv.create_revision));
    } else if kv.version < 1 || kv.version.saturating_sub(1) > main.saturating_sub(kv.create_revision) {
        tell(HistoryFaultKind::Version(kv.version));
    } else if (kv.version == 1) != (kv.create_revision == main) {
        tell(HistoryFaultKind::FirstVersion { version: kv.version, create: kv.create_revision });
    }
}

/// Whether the message is that of a tombstone. Every write has a create revision,
/// a mod revision and a version of at least 1.
#[inline]
pub(super) fn is_key_alone(record: &Record<'_>) -> bool {
    let kv = &record.kv;
    kv.create_revision == 0 && kv.mod_revision == 0 && kv.version == 0 && kv.lease == 0 && kv.value.is_empty()
}

/// Whether the message is that of the write at its revision.
fn is_write(record: &Record<'_>) -> bool {
    let kv = &record.kv;
    kv.mod_revision == record.revision.main && kv.create_revision > 0 && kv.version > 0
}
