//! When a snapshot was made, as far as what is in it says.

use crate::etcd::record::Record;
use crate::etcd::revision::Revision;
use crate::kube::dated::newest_time;
use crate::kube::unix_time::UnixTime;

/// How many of the last records are searched for a time. In a living cluster
/// every node renews a lease each ten seconds, so a few hundred would do.
pub const DATED_AMONG: usize = 2000;

/// A write that can be dated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatedWrite {
    /// The time that the value carries.
    pub time: UnixTime,
    /// Whose value it is.
    pub key: Vec<u8>,
    /// The write's revision.
    pub revision: Revision,
}

impl DatedWrite {
    /// The write of `record`, whose value is `plain` when it is opened; `None` if that
    /// carries no time.
    pub(super) fn of(record: &Record<'_>, plain: &[u8]) -> Option<Self> {
        let time = newest_time(plain)?;
        Some(Self { time, key: record.kv.key.to_vec(), revision: record.revision })
    }
}

/// The newest time that any of `records` carries.
pub fn newest_write<'r, 'a: 'r>(records: impl Iterator<Item = &'r Record<'a>>) -> Option<DatedWrite> {
    let dated = records
        .filter(|record| !record.tombstone)
        .filter_map(|record| DatedWrite::of(record, record.kv.value));
    newest(dated)
}

/// The newest of `writes`; of equal times the later write.
pub(super) fn newest(writes: impl Iterator<Item = DatedWrite>) -> Option<DatedWrite> {
    writes.max_by_key(|write| (write.time, write.revision))
}
