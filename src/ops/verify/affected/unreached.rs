//! Records newer than all that the tree has, on pages that it does not reach.
//!
//! Of a member's `db` each meta has a tree of its own, one commit apart. Where the newer
//! meta cannot be used, the older one leads to the state before the last commit, and
//! nothing in that tree tells that there was one. The same if what should lead to the
//! records leads to nothing at all. The pages of that commit are still there: leaves of
//! bucket `key`, with revisions that come after the last one of the tree.
//!
//! In a sound file this is not asked: a snapshot that a busy etcd streams may hold pages of
//! transactions that were begun later, and lacks nothing.

use std::collections::HashMap;

use crate::bolt::{
    Db, GapKind, MetaFields, Place, Relic, RelicElement, RelicKind, RelicPart, WalkOptions, last_element,
    relics, walk_unreached,
};
use crate::etcd::history::is_consistent;
use crate::etcd::key_value::KeyValue;
use crate::etcd::record::Record;
use crate::etcd::revision::{Revision, RevisionKey};
use crate::etcd::schema::KEY;
use crate::etcd::snapshot::Trailer;
use crate::etcd::state::State;
use crate::kube::registry_key::Prefixes;
use crate::ops::finding::{Check, Finding, Findings, Grade};

use super::tally::{Counter, Tally};
use super::{Affected, Latest, merge};

/// What is known of the file before it is looked into once more.
pub(in crate::ops::verify) struct Question<'q, 'a> {
    pub(in crate::ops::verify) db: &'q Db<'a>,
    pub(in crate::ops::verify) bytes: &'a [u8],
    pub(in crate::ops::verify) trailer: &'q Trailer,
    pub(in crate::ops::verify) prefixes: &'q Prefixes,
    pub(in crate::ops::verify) walk: WalkOptions<'q>,
}

/// The records that were found.
#[derive(Default)]
struct Newer<'a> {
    /// The newest change of each key.
    keys: HashMap<&'a [u8], Revision>,
    mains: Vec<i64>,
    first: Option<(Revision, Place)>,
}

impl<'a> Question<'_, 'a> {
    /// Looks for such records where the tree may not be the last one that was written. What
    /// was known to be affected comes with what is known now.
    pub(in crate::ops::verify) fn answer(
        &self,
        findings: &mut Findings,
        affected: Option<Affected>,
    ) -> Option<Affected> {
        let element = last_element(self.db, KEY);
        let last =
            element.and_then(|element| RevisionKey::parse(element.key()).ok()).map(|key| key.revision.main);
        // Where the tree is damaged, that it ends early is told of.
        let (worst, _) = findings.of_check(Check::Tree);
        let is_empty = element.is_none() && worst.is_none_or(|worst| worst < Grade::DataLost);
        if !(is_empty || last.is_some() && self.may_lead_elsewhere()) {
            return affected;
        }
        // The first write of a store has revision 2.
        let newest = last.max(State::read(self.db).compact_revision()).unwrap_or(0).max(1);
        let mut newer = self.look(newest);
        newer.mains.sort_unstable();
        newer.mains.dedup();
        let (Some((_, place)), Some(first), Some(end)) =
            (newer.first, newer.mains.first().copied(), newer.mains.last().copied())
        else {
            return affected;
        };
        let revisions =
            if first == end { format!("revision {first}") } else { format!("revisions {first} to {end}") };
        findings.push(
            Finding::new(Grade::DataLost, Check::History, "newest-unreached")
                .at(place)
                .of_bucket("key")
                .because(
                    match last {
                        Some(last) => {
                            format!("revision {last}, the tree's last, to be the newest in the file")
                        }
                        None => "no record in the file, as the tree has none".to_owned(),
                    },
                    format!("{revisions} on pages that nothing leads to"),
                ),
        );
        let mut counter = Counter::new(self.prefixes);
        let mut keys: Vec<&[u8]> = newer.keys.into_keys().collect();
        keys.sort_unstable();
        keys.into_iter().for_each(|key| counter.add(key));
        let mut affected = affected.unwrap_or_default();
        affected.latest = Latest::Affected;
        affected.nothing_left |= last.is_none();
        // All of them are there, unless some pages of it are gone.
        let span = end.saturating_sub(newest).max(0).unsigned_abs();
        affected.unnamed |= span > newer.mains.len() as u64;
        affected.accounted_for = false;
        affected.revisions.push((newest.saturating_add(1), Some(end)));
        affected.revisions.sort_unstable();
        merge(&mut affected.revisions);
        affected.lost.add(counter.finish());
        Some(affected)
    }

    /// Whether one of the metas cannot be used, and may have led to another tree.
    fn may_lead_elsewhere(&self) -> bool {
        // What is streamed has one tree under both metas.
        if matches!(self.trailer, Trailer::Digest(_)) {
            return false;
        }
        let size = self.db.meta.page_size.bytes();
        let page = |number: usize| {
            let at = usize::try_from(size).ok()?.checked_mul(number)?;
            self.bytes.get(at..).and_then(MetaFields::read)
        };
        let leads_here = |fields: MetaFields| {
            let meta = &self.db.meta;
            (fields.root, fields.high_water_mark) == (meta.root.0, meta.high_water_mark.0)
        };
        let broken = self.db.metas.iter().enumerate().filter(|(_, meta)| meta.is_err());
        broken.into_iter().any(|(number, _)| !page(number).is_some_and(leads_here))
    }

    fn look(&self, newest: i64) -> Newer<'a> {
        let (_, _, mut unreached) = walk_unreached(self.db, self.bytes, &(), &self.walk);
        unreached.gaps.retain(|gap| matches!(gap.kind, GapKind::Free | GapKind::Beyond));
        let mut newer = Newer::default();
        let page_size = self.db.meta.page_size;
        let leaves = relics(self.bytes, &unreached.gaps, page_size);
        for leaf in leaves.iter().filter(|relic| relic.kind == RelicKind::Leaf) {
            leaf.read(self.bytes, |part| {
                if let RelicPart::Element(element) = part
                    && let Some(record) = record(&element)
                    && record.revision.main > newest
                {
                    newer.add(&record, self.place(leaf));
                }
            });
        }
        newer
    }

    fn place(&self, leaf: &Relic) -> Place {
        Place::page(self.db.image.page_of(leaf.start))
    }
}

impl<'a> Newer<'a> {
    fn add(&mut self, record: &Record<'a>, place: Place) {
        let revision = record.revision;
        let of_key = self.keys.entry(record.kv.key).or_insert(revision);
        *of_key = revision.max(*of_key);
        if self.mains.last() != Some(&revision.main) {
            self.mains.push(revision.main);
        }
        if self.first.is_none_or(|(first, _)| revision < first) {
            self.first = Some((revision, place));
        }
    }
}

/// The record in an element, if all of it is there and it does not contradict itself.
fn record<'a>(element: &RelicElement<'a>) -> Option<Record<'a>> {
    if element.is_bucket || element.missing > 0 {
        return None;
    }
    let RevisionKey { revision, tombstone } = RevisionKey::parse(element.key).ok()?;
    let (kv, as_written) = KeyValue::parse_with_form(element.value).ok()?;
    let record = Record { revision, tombstone, as_written, kv, offset: element.offset };
    is_consistent(&record).then_some(record)
}

impl Tally {
    /// Adds the keys of another one.
    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.ungrouped = self.ungrouped.saturating_add(other.ungrouped);
        self.groups.extend(other.groups);
    }
}
