//! What damage means for the data: which keys are lost or doubtful, and whether the latest
//! state is affected or only history.
//!
//! ```text
//! faults of the tree ─▶ spans of revisions ─┬▶ fragments on the damaged pages: keys that are lost
//! revisions that are missing ───────────────┘  what newer records of the same keys account for
//!                                              the rest: what may have been changed in it
//! ```
//!
//! What is known, and how:
//!
//! - Above the compact revision every main revision was there: those that are missing are
//!   lost. A key whose newest record is older than one of them may have been changed or
//!   deleted in it (*doubtful*); a key with a newer record lost history at most.
//! - Up to the compact revision each key has one record, its newest then. So what is lost
//!   there are keys that were not written since, and no key that is left is doubtful for it.
//! - A record whose bytes are still on its damaged page names its key. It is lost if no newer
//!   record of that key is left; and it accounts for its revision.
//! - A newer record whose version does not follow the one before it says how many writes
//!   are missing between. If as many are known to be missing as revisions are, these were
//!   probably all there was: a revision that changed several keys may be among them.
//!
//! Nothing of this is computed for a sound file.

mod deletions;
mod fragments;
mod tally;
mod unreached;

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;

use crate::bolt::{Db, Fault, FaultKind, FileOffset, WalkOptions, WalkReport, walk};
use crate::etcd::gaps::LivesLog;
use crate::etcd::history::{HistoryFault, HistoryFaultKind, HistoryLog, OrderPart};
use crate::etcd::keyspace::Keyspace;
use crate::etcd::record::{Record, Records, UnreadableLog};
use crate::etcd::revision::Revision;
use crate::etcd::schema::KEY;
use crate::kube::registry_key::Prefixes;

use deletions::Deletions;
use fragments::{Fragment, Lost, LostSpan, Newer};
use tally::Counter;

pub(super) use deletions::Tombstones;
pub use tally::{Group, GroupName, Tally};
pub(super) use unreached::Question;

/// What is affected by damage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affected {
    /// The state that a restore would bring back.
    pub latest: Latest,
    /// Main revisions that are lost, or of which a part is: from the first to the last,
    /// which is missing where there is no end. In order, up to a thousand.
    pub revisions: Vec<(i64, Option<i64>)>,
    /// How many revisions above the compact revision are missing between others.
    pub missing: u64,
    /// Whether newer records of the same keys account for all that are missing, if each
    /// revision changed one key.
    pub accounted_for: bool,
    /// Keys whose newest change is lost, by what is left of it.
    pub lost: Tally,
    /// Keys that are left and may be older than what they were, or should be gone.
    pub doubtful: Tally,
    /// Objects of Kubernetes that are alive and cannot be decoded.
    pub undecodable: Tally,
    /// Keys of which only older changes are known to be lost.
    pub past: u64,
    /// Whether keys may be lost of which nothing is left, not even the name.
    pub unnamed: bool,
    /// Whether bytes were changed after the file was saved, so that any value may be wrong.
    pub anywhere: bool,
    /// Whether no key at all can be read.
    pub nothing_left: bool,
    /// Whether there is more damage than is kept, so that all of this is the least.
    pub more: bool,
}

/// Whether the newest value of every key is what it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Latest {
    /// It is: what is lost is older than a record that is left.
    #[default]
    Whole,
    /// It may not be.
    Doubtful,
    /// For certain it is not.
    Affected,
}

/// What a walk found.
pub(super) struct Evidence<'e, 'a> {
    pub(super) db: &'e Db<'a>,
    pub(super) walked: &'e WalkReport,
    pub(super) order: &'e OrderPart<'a>,
    pub(super) keyspace: &'e Keyspace<'a, LivesLog>,
    pub(super) unreadable: &'e UnreadableLog,
    /// Values of Kubernetes that cannot be decoded.
    pub(super) undecodable: Vec<FileOffset>,
    /// The compact revision, 0 for none, and whether that compaction was finished.
    pub(super) compact: i64,
    pub(super) compacted: bool,
    /// Whether bucket `key` is not there and should be.
    pub(super) lacks_keys: bool,
    /// Whether a later etcd wrote it, which may know more fields.
    pub(super) is_newer: bool,
    pub(super) prefixes: &'e Prefixes,
    /// The deletions that the walk met.
    pub(super) deletions: &'e Deletions,
    pub(super) threads: NonZeroUsize,
}

impl Affected {
    /// The same in a file of which is known that bytes were changed since it was saved:
    /// they may be those of any value.
    pub(super) fn of_changed_bytes(self) -> Self {
        let latest = if self.latest == Latest::Whole { Latest::Doubtful } else { self.latest };
        Self { latest, anywhere: true, ..self }
    }
}

impl<'e, 'a> Evidence<'e, 'a> {
    /// Whether there is anything to ask about.
    fn is_sound(&self) -> bool {
        !(self.walked.faults.sorted().into_iter().any(concerns_keys) || self.nothing_left())
            && self.unreadable.count == 0
            && self
                .order
                .log()
                .kinds()
                .all(|(code, ..)| self.is_newer && code == HistoryFaultKind::MoreFields.code())
            && self.keyspace.log.unexplained.is_empty()
            && self.undecodable.is_empty()
    }

    /// Whether no key can be read, or none is there where some should be.
    fn nothing_left(&self) -> bool {
        self.walked.is_lost(KEY) || self.lacks_keys
    }

    /// Begins to find out; `None` if no key is concerned.
    pub(super) fn weigh(self) -> Option<Weighing<'e, 'a>> {
        if self.is_sound() {
            return None;
        }
        let mut lost = Lost::of(self.db, self.walked, self.unreadable);
        let contested = self.contested(&mut lost);
        let holes = self.holes(&lost);
        let mut undecodable = self.undecodable.clone();
        undecodable.sort_unstable();
        let mut newest_lost: HashMap<&'a [u8], Fragment<'a>> = HashMap::new();
        for fragment in &lost.fragments {
            let newest = newest_lost.entry(fragment.key).or_insert(*fragment);
            if fragment.revision > newest.revision {
                *newest = *fragment;
            }
        }
        let counter = || Counter::new(self.prefixes);
        Some(Weighing {
            doubtful: counter(),
            broken: counter(),
            more: lost.is_cut || self.keyspace.log.gaps.is_cut(),
            evidence: self,
            contested,
            holes,
            undecodable,
            newest_lost,
            alive: HashMap::new(),
        })
    }

    /// Those of `open` keys that have a newer record than the one that is lost. None of
    /// them is alive with one, so that it is a deletion.
    fn newer(&self, open: &HashMap<&'a [u8], Revision>) -> BTreeSet<&'a [u8]> {
        if self.deletions.is_cut {
            let options = WalkOptions { threads: self.threads, only: Some(&[KEY]), progress: None };
            return walk(self.db, &Records(Newer { lost: open }), &options).0.0;
        }
        let image = self.db.image;
        let deletions = self.deletions.places.iter().filter_map(|place| Record::at(&image, *place));
        let is_newer =
            |record: &Record<'a>| open.get(record.kv.key).is_some_and(|lost| record.revision > *lost);
        deletions.filter(is_newer).map(|record| record.kv.key).collect()
    }

    /// Whether keys stand where etcd does not look for them, or entries may be missing
    /// where nothing else would tell.
    fn is_out_of_place(&self) -> bool {
        let faults = self.walked.faults.sorted();
        let mut mine = faults.into_iter().filter(|fault| concerns_keys(fault) && fault.lost.is_none());
        mine.any(|fault| !matches!(fault.kind, FaultKind::ElementFlags { .. }))
    }

    /// Whether entries may be missing from a leaf, and nothing tells how many.
    fn may_lack_entries(&self) -> bool {
        let mut faults = self.walked.faults.sorted().into_iter().filter(|fault| concerns_keys(fault));
        faults.any(|fault| fault.kind.may_hide_elements())
    }

    /// Where the records stand that break a rule and cannot be believed. A deletion and a
    /// write that took each other's mark are lost, whatever is left of them.
    fn contested(&self, lost: &mut Lost<'a>) -> Vec<FileOffset> {
        let image = self.db.image;
        let mut contested = Vec::new();
        // What neither has the revision that it stands under nor goes on with its key's life
        // is a copy of another record: that of its place is not there.
        let astray: BTreeSet<FileOffset> = self
            .keyspace
            .log
            .unexplained
            .kinds()
            .flat_map(|(_, _, faults)| faults.iter().map(|fault| fault.offset))
            .collect();
        let mut each = |fault: &HistoryFault| match fault.kind {
            HistoryFaultKind::Gap { .. }
            | HistoryFaultKind::SubGap { .. }
            | HistoryFaultKind::NothingToUpdate(_)
            | HistoryFaultKind::NothingToDelete => {}
            HistoryFaultKind::MoreFields if self.is_newer => {}
            // A record that lost its content was one of some key.
            HistoryFaultKind::EmptyKey => {
                let end = Revision { sub: fault.revision.sub.saturating_add(1), ..fault.revision };
                let (first, end) = (Some(fault.revision), Some(end));
                lost.spans.push(LostSpan { first, end, known: false, certain: true });
            }
            HistoryFaultKind::DeletionUnmarked | HistoryFaultKind::WriteMarkedDeleted => {
                if let Some(record) = Record::at(&image, fault.offset) {
                    let tombstone = fault.kind == HistoryFaultKind::DeletionUnmarked;
                    lost.add(Fragment { key: record.kv.key, revision: fault.revision, tombstone });
                }
            }
            HistoryFaultKind::ModRevision(_) if astray.contains(&fault.offset) => {
                let end = Revision { sub: fault.revision.sub.saturating_add(1), ..fault.revision };
                let (first, end) = (Some(fault.revision), Some(end));
                lost.spans.push(LostSpan { first, end, known: false, certain: true });
                contested.push(fault.offset);
            }
            _ => contested.push(fault.offset),
        };
        let logs = [self.order.log(), &self.keyspace.log.unexplained];
        for log in logs {
            log.kinds().for_each(|(_, _, faults)| faults.iter().for_each(&mut each));
        }
        lost.is_cut |= logs.into_iter().any(has_unkept);
        contested.sort_unstable();
        contested
    }

    /// What is lost where no revision is missing as a whole: changes at the end of a
    /// transaction. Adds the revisions that may be concerned.
    fn vague(&self, spans: &[LostSpan], revisions: &mut Vec<(i64, Option<i64>)>) -> Vague {
        let gaps = &self.keyspace.log.gaps;
        let is_missing = |main: i64| {
            let next = gaps.runs().partition_point(|run| run.last < main);
            gaps.runs().get(next).is_some_and(|run| run.first <= main)
        };
        // A separator may name another change than the first of a transaction, too.
        let is_later = |revision: Option<Revision>| revision.is_some_and(|revision| revision.sub > 0);
        let has_transactions = gaps.has_transactions()
            || spans.iter().any(|span| !span.certain && (is_later(span.first) || is_later(span.end)));
        let mut vague = Vague::default();
        for span in spans.iter().filter(|span| !span.known) {
            let (first, Some(end)) = (span.first_main(self.compact), span.end) else { continue };
            let last = end.main.saturating_sub(i64::from(end.sub == 0)).max(first);
            // Below the compact revision and behind the last record it was told of.
            if first <= self.compact || end.main > self.keyspace.last.saturating_add(1) {
                continue;
            }
            if has_transactions || span.certain && !is_missing(last) {
                revisions.push((first, Some(last)));
                vague.last = vague.last.max(Some(last));
            } else {
                vague.if_single = true;
            }
        }
        vague
    }

    /// What is lost for certain or perhaps, and what is left of it after all that accounts
    /// for itself.
    fn holes(&self, lost: &Lost<'a>) -> Holes {
        let gaps = &self.keyspace.log.gaps;
        let newest = self.keyspace.last;
        let named: BTreeSet<i64> = lost.fragments.iter().map(|fragment| fragment.revision.main).collect();
        let mut holes = Holes::default();
        let affected = &mut holes.affected;
        affected.missing = gaps.missing();
        // Between revisions that are there.
        let mut open = 0u64;
        for run in gaps.runs() {
            affected.revisions.push((run.first, Some(run.last)));
            let known = named.range(run.first..=run.last);
            let unknown = run.len().saturating_sub(known.clone().count() as u64);
            if unknown > 0 {
                open = open.saturating_add(unknown);
                let last = known
                    .rev()
                    .fold(run.last, |last, main| if *main == last { last.saturating_sub(1) } else { last });
                holes.last = Some(last);
            }
        }
        let mut behind = false;
        let mut below = false;
        for span in &lost.spans {
            let first = span.first_main(self.compact);
            let end = span.end.map(|end| end.main.max(first.saturating_add(1)));
            if self.compact > 0 && first <= self.compact {
                let last = end.map_or(self.compact, |end| end.saturating_sub(1).min(self.compact));
                affected.revisions.push((first, Some(last.max(first))));
                below |= !span.known;
            }
            if end.is_none_or(|end| end > newest.saturating_add(1)) {
                affected.revisions.push((first.max(newest.saturating_add(1)), None));
                behind |= !span.known;
            }
        }
        let vague = self.vague(&lost.spans, &mut affected.revisions);
        let is_accounted = open > 0 && !behind && !below && self.keyspace.log.accounts_for_all_gaps();
        if is_accounted {
            holes.if_single = true;
            holes.last = None;
        }
        holes.if_single |= vague.if_single;
        holes.last = holes.last.max(vague.last);
        affected.unnamed = behind || below || open > 0 && !is_accounted || vague.last.is_some();
        affected.accounted_for =
            affected.missing > 0 && !gaps.is_cut() && !affected.unnamed && (open == 0 || is_accounted);
        if behind {
            // Whatever there is may have been changed later.
            holes.last = Some(i64::MAX);
        } else if below && !self.compacted {
            holes.last = holes.last.max(Some(self.compact));
        }
        if gaps.is_cut() {
            holes.last = Some(newest);
        }
        affected.revisions.sort_unstable();
        merge(&mut affected.revisions);
        holes
    }
}

/// What is lost between revisions none of which is missing as a whole.
#[derive(Debug, Default)]
struct Vague {
    /// The last revision of which a change is missing.
    last: Option<i64>,
    /// Whether nothing is, if each revision changed one key.
    if_single: bool,
}

/// Revisions that are lost, and the last of those for which nothing accounts.
#[derive(Debug, Default)]
struct Holes {
    last: Option<i64>,
    /// Whether some of it is only accounted for if each revision changed one key.
    if_single: bool,
    affected: Affected,
}

/// What is to be asked of every key that is alive.
pub(super) struct Weighing<'e, 'a> {
    evidence: Evidence<'e, 'a>,
    /// Records that break a rule, and values that cannot be decoded, by their places.
    contested: Vec<FileOffset>,
    undecodable: Vec<FileOffset>,
    holes: Holes,
    newest_lost: HashMap<&'a [u8], Fragment<'a>>,
    /// The newest records of keys of which another record is lost.
    alive: HashMap<&'a [u8], Revision>,
    doubtful: Counter<'a, 'e>,
    broken: Counter<'a, 'e>,
    more: bool,
}

impl<'a> Weighing<'_, 'a> {
    /// Takes in the newest record of a key that is alive.
    pub(super) fn live(&mut self, record: &Record<'a>) {
        let key = record.kv.key;
        if !self.newest_lost.is_empty() && self.newest_lost.contains_key(key) {
            self.alive.insert(key, record.revision);
        }
        let is_stale = self.holes.last.is_some_and(|last| record.revision.main < last);
        if is_stale || self.contested.binary_search(&record.offset).is_ok() {
            self.doubtful.add(key);
        }
        if self.undecodable.binary_search(&record.offset).is_ok() {
            self.broken.add(key);
        }
    }

    /// What it means, once all keys were told; `None` if none is concerned.
    pub(super) fn finish(self) -> Option<Affected> {
        let (lost, past) = self.sort_out();
        let Self { evidence, contested, holes, doubtful, broken, more, .. } = self;
        let if_single = holes.if_single;
        let mut affected = Affected {
            lost,
            doubtful: doubtful.finish(),
            undecodable: broken.finish(),
            past,
            more,
            ..holes.affected
        };
        let nothing_left = evidence.nothing_left();
        if nothing_left {
            affected.nothing_left = true;
            affected.past = 0;
        }
        // A write or a deletion that is missing without a gap stands under another key, or
        // was one's, and which is not known.
        let is_astray = !evidence.keyspace.log.unexplained.is_empty();
        affected.unnamed |= nothing_left || is_astray || evidence.may_lack_entries();
        affected.latest = if !affected.lost.is_empty() || !affected.undecodable.is_empty() || nothing_left {
            Latest::Affected
        } else if affected.unnamed
            || if_single
            || !affected.doubtful.is_empty()
            || more
            || evidence.is_out_of_place()
        {
            Latest::Doubtful
        } else {
            Latest::Whole
        };
        let nothing_lost = affected.revisions.is_empty() && past == 0;
        let all_believed = evidence.undecodable.is_empty()
            && contested.is_empty()
            && evidence.keyspace.log.unexplained.is_empty();
        let is_whole = affected.latest == Latest::Whole && nothing_lost && all_believed;
        (!is_whole).then_some(affected)
    }

    /// Tells keys whose newest change is lost from those that have newer ones; how many the
    /// latter are.
    fn sort_out(&self) -> (Tally, u64) {
        let Self { evidence, newest_lost, alive, .. } = self;
        let is_newer = |key: &[u8], lost: Revision| alive.get(key).is_some_and(|alive| *alive > lost);
        // What is not alive may have been deleted later: only its tombstone tells.
        let open: HashMap<&'a [u8], Revision> = newest_lost
            .values()
            .filter(|lost| !is_newer(lost.key, lost.revision))
            .map(|lost| (lost.key, lost.revision))
            .collect();
        let newer = if open.is_empty() { BTreeSet::new() } else { evidence.newer(&open) };
        // In the order of the keys: each time the same.
        let mut keys: Vec<&Fragment<'a>> = newest_lost.values().collect();
        keys.sort_unstable_by_key(|fragment| fragment.key);
        let mut gone = Counter::new(evidence.prefixes);
        let mut past = 0u64;
        for fragment in keys {
            // Without the deletion of a key that is not there nothing changes.
            let is_open = open.contains_key(fragment.key) && !newer.contains(fragment.key);
            if is_open && (!fragment.tombstone || alive.contains_key(fragment.key)) {
                gone.add(fragment.key);
            } else if !is_open {
                past = past.saturating_add(1);
            }
        }
        (gone.finish(), past)
    }
}

/// Whether a fault is one of the tree of bucket `key`, or of the way there.
fn concerns_keys(fault: &Fault) -> bool {
    match &fault.bucket {
        Some(bucket) => **bucket == *KEY,
        // Without keys that are lost it is the list of free pages, or another bucket's name.
        None => fault.lost.is_some(),
    }
}

fn has_unkept(log: &HistoryLog) -> bool {
    log.kinds().any(|(_, count, kept)| count != kept.len() as u64)
}

/// Joins spans that touch each other, and keeps the first thousand.
fn merge(spans: &mut Vec<(i64, Option<i64>)>) {
    const KEPT: usize = 1000;
    spans.dedup_by(|next, before| {
        let touches = before.1.is_none_or(|last| next.0 <= last.saturating_add(1));
        if touches {
            before.1 = before.1.zip(next.1).map(|(one, other)| one.max(other));
        }
        touches
    });
    spans.truncate(KEPT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_touch_are_one() {
        let mut spans =
            vec![(2, Some(4)), (5, Some(5)), (9, Some(12)), (10, Some(11)), (20, None), (25, Some(30))];
        merge(&mut spans);
        assert_eq!(spans, [(2, Some(5)), (9, Some(12)), (20, None)]);
    }
}
