//! From all records that were found to a history without contradictions.
//!
//! Holes in a history would make etcd serve a past that never was: a watch would
//! miss what was in them. So where there are any, the new store is compacted behind
//! the last one, and below that only the newest record of each key is kept, as a
//! compaction keeps it. Above nothing is missing.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::etcd::history::{HistoryFaultKind, HistoryLog, Lives, RevisionOrder, is_consistent};
use crate::etcd::keyspace::Succession;
use crate::etcd::record::Record;
use crate::etcd::revision::Revision;

use super::found::{Found, Origin, Standing};
use super::report::{Doubt, Doubtful, Log, LostRecord, LostRevisions, WhyLost};

/// What is known of compactions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compacted {
    /// The last one, 0 for none.
    pub(super) at: i64,
    /// Whether that is sure.
    pub(super) known: bool,
}

/// A history to be written.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) records: Vec<Found>,
    /// Below this revision only the newest records are there.
    pub(super) compact: i64,
    pub(super) live_keys: u64,
    pub(super) revision: i64,
    /// Records that were found and are not written: superseded below `compact`.
    pub(super) dropped: u64,
    /// Leases that live keys are attached to, in order.
    pub(super) leases: Vec<i64>,
    pub(super) gaps: Log<LostRevisions>,
    /// The last main revision that is known to be lost, or a part of it; 0 if none is.
    pub(super) last_hole: i64,
    pub(super) lost: Log<LostRecord>,
    pub(super) doubtful: Log<Doubtful>,
}

/// No record.
const NONE: u32 = u32::MAX;

/// Makes a history of `records`, which are in order and of which each revision is
/// there once. `untouched`: they are all of a sound tree, and what its own compaction
/// left half done stays so.
pub(super) fn make(mut records: Vec<Found>, file: &[u8], compacted: Compacted, untouched: bool) -> History {
    let mut history = History { compact: compacted.at, ..History::default() };
    let mut previous: Option<Revision> = None;
    records.retain(|found| {
        let record = found.record(file);
        let sound = record.as_ref().is_some_and(is_consistent) && previous != Some(found.revision());
        if sound {
            previous = Some(found.revision());
        } else if previous != Some(found.revision()) || found.origin != Origin::Broken {
            let why = if record.is_some() { WhyLost::Contradictory } else { WhyLost::Unreadable };
            // Of which key it was is not known, or not to be believed.
            history.last_hole = history.last_hole.max(found.revision().main);
            history.lost.push(LostRecord { named: found.named(file), why });
        }
        sound
    });
    // More than 4 billion records: 120 GB for this list alone.
    records.truncate(NONE as usize);
    let next = succession(&records, file, &mut history, compacted);
    let cut = history.compact > compacted.at;
    let keep = !cut && untouched;
    let compact = history.compact;
    let newer = |index: usize| {
        let next = next.get(index).copied().filter(|next| *next != NONE)?;
        records.get(next as usize)
    };
    let mut kept = Vec::with_capacity(records.len());
    for (index, found) in records.iter().enumerate() {
        let main = found.revision().main;
        let superseded = newer(index).is_some_and(|newer| newer.revision().main <= compact);
        let stays = keep || main > compact || !superseded && (!found.tombstone() || main == compact);
        if !stays {
            history.dropped = history.dropped.saturating_add(1);
            continue;
        }
        let latest = newer(index).is_none() && !found.tombstone();
        if latest {
            history.live_keys = history.live_keys.saturating_add(1);
        }
        if let Some(doubt) = doubt(found, newer(index), file, compacted) {
            history.doubtful.push(Doubtful { named: found.named(file), doubt, latest });
        }
        if let Some(record) =
            latest.then(|| found.record(file)).flatten().filter(|record| record.kv.lease != 0)
        {
            history.leases.push(record.kv.lease);
        }
        kept.push(found.as_latest(latest));
    }
    history.leases.sort_unstable();
    history.leases.dedup();
    let last = kept.last().map_or(0, |found| found.revision().main);
    history.revision = last.max(compact).max(1);
    history.records = kept;
    history
}

/// Why a record may be wrong, if it may.
fn doubt(found: &Found, newer: Option<&Found>, file: &[u8], compacted: Compacted) -> Option<Doubt> {
    match found.standing {
        Standing::Contested => return Some(Doubt::Contested),
        Standing::Unverified => return Some(Doubt::Unverified),
        Standing::Vouched => {}
    }
    if matches!(found.origin, Origin::Tree | Origin::Pointed) {
        return None;
    }
    // Nothing was ever removed there.
    if compacted.known && found.revision().main > compacted.at {
        return None;
    }
    let follows = |newer: &Found| {
        let (one, next) = (found.record(file)?.kv, newer.record(file)?.kv);
        Some(next.create_revision == one.create_revision && one.version.checked_add(1) == Some(next.version))
    };
    match newer {
        // The next version says what came before it.
        Some(newer) if follows(newer) == Some(true) => None,
        _ => Some(Doubt::Unlinked),
    }
}

/// Links each record with the next of its key, and moves `history.compact` behind the
/// last hole or contradiction.
fn succession(records: &[Found], file: &[u8], history: &mut History, compacted: Compacted) -> Vec<u32> {
    let mut next = vec![NONE; records.len()];
    let mut newest: HashTable<(u32, u32)> = HashTable::new();
    let hasher = RandomState::new();
    let spread = |hash: u32| u64::from(hash) << 32 | u64::from(hash);
    let (order, lives) = (RevisionOrder { compact: compacted.at }, Lives { compact: compacted.at });
    let mut before: Option<Revision> = None;
    for (index, found) in records.iter().enumerate() {
        let Some(record) = found.record(file) else { continue };
        let Ok(number) = u32::try_from(index) else { break };
        let mut log = HistoryLog::default();
        order.follow(before, &record, &mut log);
        let gap = !log.is_empty();
        let at = |index: u32| records.get(index as usize);
        let hash = hasher.hash_one(record.kv.key) as u32;
        let same = |(other, index): &(u32, u32)| {
            *other == hash && at(*index).and_then(|found| found.key(file)) == Some(record.kv.key)
        };
        let mut previous = None;
        match newest.entry(spread(hash), same, |(hash, _)| spread(*hash)) {
            Entry::Occupied(mut slot) => {
                let (_, newest) = slot.get_mut();
                let earlier = std::mem::replace(newest, number);
                if let Some(link) = next.get_mut(earlier as usize) {
                    *link = number;
                }
                previous = at(earlier).filter(|earlier| !earlier.tombstone());
            }
            Entry::Vacant(slot) => {
                slot.insert((hash, number));
            }
        }
        let previous = previous.and_then(|found| found.record(file));
        lives.follow(&mut log, previous.as_ref(), &record);
        if !log.is_empty() {
            lose(history, found, &record, &log, compacted, file);
        }
        if gap {
            let main = record.revision.main;
            // A whole revision that is missing lies before this one, a part of one in it.
            let in_it = record.revision.sub != 0 || log.kinds().any(|(code, ..)| code == "sub-revision-gap");
            history.compact = history.compact.max(if in_it { main } else { main.saturating_sub(1) });
        }
        before = Some(record.revision);
    }
    next
}

/// Takes down what a record says of others that are not there.
fn lose(
    history: &mut History,
    found: &Found,
    record: &Record<'_>,
    log: &HistoryLog,
    compacted: Compacted,
    file: &[u8],
) {
    let main = record.revision.main;
    for fault in log.kinds().flat_map(|(_, _, faults)| faults) {
        if let Some(revisions) = fault.kind.lost(main) {
            history.last_hole = history.last_hole.max(revisions.last);
            history.gaps.push(revisions);
            continue;
        }
        let why = match fault.kind {
            HistoryFaultKind::VersionStep { previous, version } if version > previous => {
                WhyLost::Versions { first: previous.saturating_add(1), last: version.saturating_sub(1) }
            }
            HistoryFaultKind::NothingToUpdate(version) => {
                WhyLost::Versions { first: 1, last: version.saturating_sub(1) }
            }
            _ => WhyLost::Life,
        };
        // Below the last compaction it may have been dropped as it should be.
        if main > compacted.at {
            history.compact = history.compact.max(main);
            history.lost.push(LostRecord { named: found.named(file), why });
        }
    }
}
