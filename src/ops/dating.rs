//! When a snapshot was made, as far as what is in it says.

use crate::bolt::{Db, leaves_backward};
use crate::etcd::record::Record;
use crate::etcd::revision::Revision;
use crate::etcd::schema;
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

/// The newest time that any of `records` carries.
pub fn newest_write<'r, 'a: 'r>(records: impl Iterator<Item = &'r Record<'a>>) -> Option<DatedWrite> {
    let dated = records.filter(|record| !record.tombstone).filter_map(|record| {
        let time = newest_time(record.kv.value)?;
        Some(DatedWrite { time, key: record.kv.key.to_vec(), revision: record.revision })
    });
    // Of equal times the later write.
    dated.max_by_key(|write| (write.time, write.revision))
}

/// The newest time among the last records of `db` up to `at_most`. Pages that
/// cannot be read are passed over.
pub fn last_dated_write(db: &Db<'_>, at_most: i64) -> Option<DatedWrite> {
    let mut records = Vec::new();
    for leaf in leaves_backward(db, schema::KEY).flatten() {
        let parsed = leaf.iter().rev().filter_map(|element| Record::parse(element).ok());
        records.extend(parsed.filter(|record| record.revision.main <= at_most));
        if records.len() >= DATED_AMONG {
            records.truncate(DATED_AMONG);
            break;
        }
    }
    newest_write(records.iter())
}
