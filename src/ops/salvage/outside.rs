//! What the tree lost and was found outside of it, and what became of the keys there.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;

use crate::bolt::{BucketRoot, KeySpan, LeafElement, PageId, PageSize, Survey, Surveyor};
use crate::etcd::revision::{Revision, RevisionKey};

use super::base::Start;
use super::facts::Look;
use super::found::Found;
use super::gather::{OnLeaves, append};
use super::history::{Compacted, History};
use super::missing::Missing;
use super::prove::{adopt, prove};
use super::remains::Remains;
use super::report::{LostRecord, LostSpan, WhyLost};
use super::search::Search;
use super::small::Small;

/// The tree of bucket `key`, as far as there is one.
pub(super) struct Tree<'t, 'a> {
    pub(super) surveyor: &'t Surveyor<'a>,
    pub(super) survey: &'t mut Survey<'a>,
    pub(super) again: &'t [(i64, i64, bool)],
    pub(super) missing: &'t [Missing],
    pub(super) look: &'t Look<'t>,
    pub(super) threads: NonZeroUsize,
}

/// What was found outside of the tree.
#[derive(Debug, Default)]
pub(super) struct Outside {
    pub(super) records: u64,
    torn: Vec<Found>,
    pub(super) proven_gone: u64,
    healed: Vec<PageId>,
    /// The last record of a tree to which nothing led.
    adopted: Option<Revision>,
}

impl Outside {
    /// `searched`: what a search for it has already found.
    pub(super) fn find<'a>(
        file: &'a [u8],
        start: &Start<'a>,
        tree: &mut Tree<'_, 'a>,
        searched: Option<Remains>,
        records: &mut Vec<Found>,
        small: &mut Small<'a>,
    ) -> Self {
        let page_size: PageSize = start.page_size;
        let size = file.len() as u64;
        let Tree { surveyor, survey, again, missing, look, threads } = tree;
        let (again, missing, look, threads) = (*again, *missing, *look, *threads);
        let mut adopted = None;
        let search = Search { file, page_size, survey, again, missing, threads };
        let mut remains = searched.unwrap_or_else(|| search.remains(&surveyor.rest(size)));
        if survey.lost().contains(&KeySpan { lower: b"", upper: None }) {
            let search = Search { file, page_size, survey, again, missing, threads };
            if let Some((top, first)) = adopt(&search, &remains) {
                let root = BucketRoot::Tree(top);
                let image = search.image();
                let read = |part: &mut OnLeaves, elements: &[LeafElement<'a>], whole: bool| {
                    part.read(elements, whole, look)
                };
                **survey = Surveyor::new(image).side_by_side(root, threads, read, |part| {
                    append(records, part.records);
                });
                survey.begin_at(first);
                // Had there been a newer one, and it is lost, nothing would tell.
                adopted = remains.newest().map(|(main, sub, _)| Revision { main, sub });
                let search = Search { file, page_size, survey, again, missing, threads };
                let is_wanted = |found: &Found| found.entry(file).is_some_and(|(key, _)| search.wants(key));
                remains.records.retain(is_wanted);
                remains.torn.retain(is_wanted);
            }
        }
        let image = Search { file, page_size, survey, again, missing, threads }.image();
        if !start.is_good() || !small.is_intact() {
            small.complete(&image, file, &remains.roots, &remains.entries, start.is_good());
        }
        let mut found = std::mem::take(&mut remains.records);
        // Above the compact revision nothing was ever removed.
        let Compacted { at, known } = small.compacted();
        let spared =
            |found: &Found| known && found.revision().main > at && Missing::one_has(missing, found.order());
        let proven_gone = prove(&mut found, &remains, file, &image, spared);
        let mut torn = std::mem::take(&mut remains.torn);
        if !torn.is_empty() {
            prove(&mut torn, &remains, file, &image, spared);
        }
        let outside = Self {
            records: found.len() as u64,
            torn,
            proven_gone,
            adopted,
            healed: std::mem::take(&mut remains.healed),
        };
        append(records, found);
        outside
    }

    /// Takes down the records of which a part is missing, unless all of one was found
    /// elsewhere, or it was superseded before the last compaction.
    pub(super) fn lose_torn(&self, file: &[u8], history: &mut History) {
        let keys = self.torn.iter().filter_map(|found| found.key(file));
        let mut newest: HashMap<&[u8], Option<Revision>> = keys.map(|key| (key, None)).collect();
        if newest.is_empty() && self.torn.is_empty() {
            return;
        }
        for found in &history.records {
            if let Some(slot) = found.key(file).and_then(|key| newest.get_mut(key)) {
                *slot = Some(found.revision());
            }
        }
        let mut told: HashSet<Revision> = history.lost.first.iter().map(|lost| lost.named.revision).collect();
        for found in &self.torn {
            if !told.insert(found.revision()) {
                continue;
            }
            let at = history.records.partition_point(|other| other.revision() < found.revision());
            if history.records.get(at).is_some_and(|other| other.revision() == found.revision()) {
                continue;
            }
            let newest = found.key(file).and_then(|key| newest.get(key).copied().flatten());
            let newer = newest.is_some_and(|newest| newest > found.revision());
            if !newer || found.revision().main > history.compact {
                history.lost.push(LostRecord { named: found.named(file), why: WhyLost::Torn { newer } });
            }
        }
    }
}

/// What was found of revisions that a well-formed tree lacked: what is missing still is told
/// as a hole. Nothing tells where a history ended of which the end was missing.
pub(super) fn refound(missing: &[Missing], history: &History, compacted: Compacted) -> Vec<LostSpan> {
    let single = history.records.iter().all(|found| found.revision().sub == 0);
    let mut spans = Vec::new();
    for missing in missing {
        let Missing { after, before } = *missing;
        let from =
            history.records.partition_point(|found| after.is_some_and(|after| found.revision() <= after));
        let behind =
            history.records.partition_point(|found| before.is_none_or(|before| found.revision() < before));
        let found = behind.saturating_sub(from) as u64;
        let above = after.map_or(0, |after| after.main) >= compacted.at;
        let last = before.map_or(i64::MAX, |before| before.main);
        let first = after.map_or(1, |after| after.main);
        let next = history.gaps.first.partition_point(|gap| gap.last < first);
        let unkept = history.gaps.count > history.gaps.first.len() as u64;
        let hole = unkept || history.gaps.first.get(next).is_some_and(|gap| gap.first <= last);
        if found == 0 && (above || before.is_none()) || hole && above && before.is_some() {
            continue;
        }
        let complete = before.is_some() && above && single;
        spans.push(LostSpan { first: after, end: before, found, complete });
    }
    spans
}

/// What became of the keys that the tree lost.
pub(super) fn spans(
    survey: &Survey<'_>,
    outside: &Outside,
    history: &History,
    compacted: Compacted,
) -> Vec<LostSpan> {
    let revision = |key: &[u8]| RevisionKey::parse(key).ok().map(|key| key.revision);
    let (lost, broken) = (survey.lost(), &survey.lost_keys);
    // That of a transaction with several changes the last are missing leaves no hole.
    let single = history.records.iter().all(|found| found.revision().sub == 0);
    let mut spans = Vec::with_capacity(lost.len());
    for span in lost {
        let (first, end) = (revision(span.lower), span.upper.and_then(revision));
        let from = history.records.partition_point(|found| Some(found.revision()) < first);
        let to = end.map_or(history.records.len(), |end| {
            history.records.partition_point(|found| found.revision() < end)
        });
        let found = to.saturating_sub(from) as u64;
        let inside = broken.partition_point(|broken| broken.span.lower < span.lower);
        let behind = broken.partition_point(|broken| span.upper.is_none_or(|end| broken.span.lower < end));
        let inside = broken.get(inside..behind).unwrap_or_default();
        let is_healed = |page| outside.healed.binary_search(&page).is_ok();
        let healed = !inside.is_empty() && inside.iter().all(|broken| broken.page.is_some_and(is_healed));
        // Above the compact revision every revision was there: none may be missing.
        let above = compacted.known && first.is_some_and(|first| first.main > compacted.at);
        let gaps = &history.gaps.first;
        let next = gaps.partition_point(|gap| first.is_some_and(|first| gap.last < first.main));
        let unkept = history.gaps.count > gaps.len() as u64;
        let hole = unkept || gaps.get(next).is_some_and(|gap| end.is_none_or(|end| gap.first <= end.main));
        // As many as the page says were on it.
        let count = inside.iter().try_fold(0u64, |sum, lost| Some(sum.saturating_add(lost.count?)));
        let count = count.filter(|_| !inside.is_empty());
        let counted = count.is_some_and(|count| found >= count);
        // Separators that are none say nothing of what lies between them.
        let bounded = (span.lower.is_empty() || first.is_some()) && span.upper.is_none_or(|_| end.is_some());
        let complete = healed
            || bounded
                && (counted || above && single && count.is_none() && end.is_some() && !hole && found > 0);
        spans.push(LostSpan { first, end, found, complete });
    }
    if let Some(last) = outside.adopted {
        spans.push(LostSpan { first: Some(last), end: None, found: 1, complete: false });
    }
    spans
}
