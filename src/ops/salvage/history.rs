//! From all records that were found to a history without contradictions.
//!
//! Holes in a history would make etcd serve a past that never was: a watch would
//! miss what was in them. So where there are any, the new store is compacted behind
//! the last one, and below that only the newest record of each key is kept, as a
//! compaction keeps it. Above nothing is missing.

use std::num::NonZeroUsize;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::bolt::ordered;
use crate::etcd::history::{HistoryFaultKind, HistoryLog, Lives, RevisionOrder};
use crate::etcd::keyspace::Succession;
use crate::etcd::record::Record;
use crate::etcd::revision::Revision;

use super::facts::{Facts, Look, State};
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
    pub(super) gaps: Log<LostRevisions>,
    /// Whether records at or below the compact revision contradict each other.
    unsettled: bool,
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
pub(super) fn make(
    mut records: Vec<Found>,
    look: &Look<'_>,
    compacted: Compacted,
    untouched: bool,
    threads: NonZeroUsize,
) -> History {
    let file = look.file;
    // More than 4 billion records: 120 GB for this list alone.
    records.truncate(NONE as usize);
    let Line { next, left_out, mut unusable, mut history, .. } = Line::of(&records, look, compacted, threads);
    // What is lost for certain is told first.
    unusable.append(std::mem::take(&mut history.lost));
    history.lost = unusable;
    let cut = history.compact > compacted.at;
    let keep = !cut && untouched && !history.unsettled;
    let compact = history.compact;
    let mut left_out = left_out.into_iter().peekable();
    // Those that stay move to the front; the newer one of a key is still where it was.
    let mut kept = 0usize;
    for index in 0..records.len() {
        if left_out.next_if(|out| *out as usize == index).is_some() {
            continue;
        }
        let Some(found) = records.get(index).copied() else { break };
        let newer = next.get(index).filter(|next| **next != NONE);
        let newer = newer.and_then(|next| records.get(*next as usize)).copied();
        let main = found.revision().main;
        let superseded = newer.is_some_and(|newer| newer.revision().main <= compact);
        let stays = keep || main > compact || !superseded && (!found.tombstone() || main == compact);
        if !stays {
            history.dropped = history.dropped.saturating_add(1);
            continue;
        }
        let latest = newer.is_none() && !found.tombstone();
        if latest {
            history.live_keys = history.live_keys.saturating_add(1);
        }
        if let Some(doubt) = doubt(&found, newer.as_ref(), file, compacted) {
            history.doubtful.push(Doubtful { named: found.named(file), doubt, latest });
        }
        if let Some(place) = records.get_mut(kept) {
            *place = found.as_latest(latest);
            kept = kept.saturating_add(1);
        }
    }
    records.truncate(kept);
    let last = records.last().map_or(0, |found| found.revision().main);
    history.revision = last.max(compact).max(1);
    history.records = records;
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

/// Records, one after the other. Each is linked with the next of its key, and
/// `history.compact` is moved behind the last hole or contradiction.
struct Line<'r> {
    records: &'r [Found],
    file: &'r [u8],
    compacted: Compacted,
    history: History,
    /// Revision of the record before.
    before: Option<Revision>,
    /// The newest record of each key so far, with the key's hash.
    newest: HashTable<(u32, u32)>,
    /// For each record the next of its key.
    next: Vec<u32>,
    /// Records that are of no use, in order.
    left_out: Vec<u32>,
    unusable: Log<LostRecord>,
}

impl<'r> Line<'r> {
    fn of(records: &'r [Found], look: &'r Look<'_>, compacted: Compacted, threads: NonZeroUsize) -> Self {
        const RUN: usize = 4096;
        let mut line = Self {
            records,
            file: look.file,
            compacted,
            history: History { compact: compacted.at, ..History::default() },
            before: None,
            newest: HashTable::new(),
            next: vec![NONE; records.len()],
            left_out: Vec::new(),
            unusable: Log::default(),
        };
        let runs: Vec<&[Found]> = records.chunks(RUN).collect();
        let facts = |found: &Found| match found.facts.state {
            State::Unread => Facts::of(found.record(look.file).as_ref(), look),
            _ => found.facts,
        };
        let read = |run: &&[Found]| run.iter().map(facts).collect::<Vec<_>>();
        let mut number = 0u32;
        ordered(&runs, threads, read, |facts| {
            for facts in facts {
                line.take(number, facts);
                number = number.saturating_add(1);
            }
        });
        line
    }

    fn at(&self, number: u32) -> Option<&'r Found> {
        self.records.get(number as usize)
    }

    fn take(&mut self, number: u32, facts: Facts) {
        let Some(found) = self.at(number) else { return };
        let revision = found.revision();
        let is_repeated = self.before == Some(revision);
        if facts.state != State::Sound || is_repeated {
            if !is_repeated || found.origin != Origin::Broken {
                let why = match facts.state {
                    State::Unread | State::Unreadable => WhyLost::Unreadable,
                    _ => WhyLost::Contradictory,
                };
                // Of which key it was is not known, or not to be believed.
                self.history.last_hole = self.history.last_hole.max(revision.main);
                self.unusable.push(LostRecord { named: found.named(self.file), why });
            }
            self.left_out.push(number);
            return;
        }
        let compact = self.compacted.at;
        let (order, lives) = (RevisionOrder { compact }, Lives { compact });
        let mut log = HistoryLog::default();
        if !(facts.hash != 0 && order.is_in_order(self.before, revision))
            && let Some(record) = found.record(self.file)
        {
            order.follow(self.before, &record, &mut log);
        }
        if log.kinds().any(|(code, ..)| code == HistoryFaultKind::EmptyKey.code()) {
            // Nobody writes it, and the change that it was is gone.
            self.history.last_hole = self.history.last_hole.max(revision.main);
            self.unusable.push(LostRecord { named: found.named(self.file), why: WhyLost::Contradictory });
            self.left_out.push(number);
            return;
        }
        self.before = Some(revision);
        let is_gap = !log.is_empty();
        let previous = self.link(number, facts.hash, found);
        // Nothing has to be there before the first write of a key, nor below a compaction.
        if (previous.is_some() || !facts.begins && revision.main > compact)
            && let Some(record) = found.record(self.file)
        {
            let previous = previous.and_then(|previous| previous.record(self.file));
            lives.follow(&mut log, previous.as_ref(), &record);
        }
        if log.is_empty() {
            return;
        }
        if let Some(record) = found.record(self.file) {
            lose(&mut self.history, found, &record, &log, self.compacted, self.file);
        }
        if is_gap {
            let main = revision.main;
            // A whole revision that is missing lies before this one, a part of one in it.
            let in_it = revision.sub != 0 || log.kinds().any(|(code, ..)| code == "sub-revision-gap");
            let behind = if in_it { main } else { main.saturating_sub(1) };
            self.history.compact = self.history.compact.max(behind);
        }
    }

    /// Links a record to the one before it of its key, which is returned if it is a write.
    fn link(&mut self, number: u32, hash: u32, found: &Found) -> Option<&'r Found> {
        let (records, file) = (self.records, self.file);
        let spread = |hash: u32| u64::from(hash) << 32 | u64::from(hash);
        let key = |number: u32| records.get(number as usize).and_then(|found| found.key(file));
        // Keys are read only where hashes agree.
        let is_same = |(other, newest): &(u32, u32)| *other == hash && key(*newest) == found.key(file);
        match self.newest.entry(spread(hash), is_same, |(hash, _)| spread(*hash)) {
            Entry::Vacant(slot) => {
                slot.insert((hash, number));
                None
            }
            Entry::Occupied(mut slot) => {
                let (_, newest) = slot.get_mut();
                let earlier = std::mem::replace(newest, number);
                if let Some(link) = self.next.get_mut(earlier as usize) {
                    *link = number;
                }
                records.get(earlier as usize).filter(|earlier| !earlier.tombstone())
            }
        }
    }
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
        } else {
            history.unsettled = true;
        }
    }
}
