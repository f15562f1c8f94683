//! All that there is in a file: what the tree has, and what lies outside of it.

use std::hash::RandomState;
use std::num::NonZeroUsize;

use crate::bolt::{BucketRoot, Db, Excerpt, LeafElement, PageId, Survey, Surveyor, Trust};

use super::super::verify;
use super::base::Start;
use super::facts::Look;
use super::found::{Found, Origin};
use super::history::{self, History};
use super::missing::Missing;
use super::outdated;
use super::outside::{Outside, Tree, refound, spans};
use super::prove::{adopt, merge};
use super::remains::Remains;
use super::report::{Log, Report};
use super::search::Search;
use super::small::{self, Small};
use super::values::Values;

/// All that was found in a file.
pub(super) struct Salvage<'a> {
    pub(super) start: Start<'a>,
    pub(super) small: Small<'a>,
    pub(super) history: History,
    pub(super) report: Report,
}

impl<'a> Salvage<'a> {
    pub(super) fn of(file: &'a [u8], threads: NonZeroUsize, options: &verify::Options) -> Self {
        let mut start = Start::of_metas(file);
        if start.db.is_none() {
            let nothing = Survey::default();
            let (again, missing) = (&[], &[]);
            let search =
                Search { file, page_size: start.page_size, survey: &nothing, again, missing, threads };
            let surveyor = Surveyor::new(search.image());
            let remains = search.remains(&surveyor.rest(file.len() as u64));
            start = start.or_by_form(&search, &remains);
        }
        let look = Look { file, prefixes: &options.prefixes, hasher: RandomState::new() };
        let mut followed = Followed::of(file, start, &look, threads);
        let mut remains = None;
        if !followed.missing.is_empty() {
            let found = followed.search(file, threads).remains(&followed.surveyor.rest(file.len() as u64));
            match followed.better(file, &found, &look, threads) {
                Some(better) => followed = better,
                None => remains = Some(found),
            }
        }
        let Followed { start, surveyor, mut small, mut records, foreign, mut survey, again, missing, found } =
            followed;
        let structure = start.is_good() && survey.is_whole() && again.is_empty() && !found;
        let is_intact = structure && small.is_intact();
        let outside = if is_intact && missing.is_empty() {
            Outside::default()
        } else {
            let (survey, again, missing) = (&mut survey, &again, &missing);
            let mut tree = Tree { surveyor: &surveyor, survey, again, missing, look: &look, threads };
            Outside::find(file, &start, &mut tree, remains, &mut records, &mut small)
        };
        let is_behind = |found: &Found| {
            let tail = missing.last().filter(|missing| missing.before.is_none());
            found.origin != Origin::Tree && tail.is_some_and(|tail| tail.has(found.revision()))
        };
        if start.perhaps_newer && records.iter().any(is_behind) {
            // They are of a commit whose root is lost, and with it what it had of the others.
            small.is_older();
        }
        small.judge(start.page_size);
        small.make_usable();
        if !records.is_sorted_by_key(Found::rank) {
            records.sort_unstable_by_key(Found::rank);
        }
        merge(&mut records, file);
        let compacted = small.compacted();
        let mut history = history::make(records, &look, compacted, outside.records == 0, threads);
        outside.lose_torn(file, &mut history);
        let values = Values::read(&history.records, &look, threads);
        small.leases(&values.leases);
        if history.compact != compacted.at || outside.records > 0 && compacted.at > 0 {
            small.compact(history.compact);
        }
        small.order_compactions();
        small.judge(start.page_size);
        small.settle();
        let mut spans = spans(&survey, &outside, &history, compacted);
        spans.extend(refound(&missing, &history, compacted));
        let from_outside =
            |found: &&Found| matches!(found.origin, Origin::Page | Origin::Stray | Origin::Pointed);
        small.foreign.append(foreign);
        let lacks_nothing = missing.iter().all(|missing| missing.before.is_none()) && outside.records == 0;
        let sound = is_intact && lacks_nothing && small.broken.is_empty();
        let report = Report {
            base: start.base,
            sound,
            records: history.records.len() as u64,
            live_keys: history.live_keys,
            outside: history.records.iter().filter(from_outside).count() as u64,
            proven_gone: outside.proven_gone,
            dropped: history.dropped,
            revision: history.revision,
            compact_before: compacted.at,
            compact_known: compacted.known,
            compact_after: history.compact,
            outdated: outdated::outdated(&history, &spans, file),
            spans,
            gaps: std::mem::take(&mut history.gaps),
            lost: std::mem::take(&mut history.lost),
            doubtful: std::mem::take(&mut history.doubtful),
            undecodable: values.undecodable,
            digest: None,
            broken_entries: std::mem::take(&mut small.broken),
            buckets: std::mem::take(&mut small.told),
            leases_made: small.leases_made,
            auth_disabled: small.auth_disabled,
            foreign: std::mem::take(&mut small.foreign),
            size: 0,
        };
        Self { start, small, history, report }
    }
}

/// What there is below a root.
struct Followed<'a> {
    start: Start<'a>,
    surveyor: Surveyor<'a>,
    small: Small<'a>,
    /// In order.
    records: Vec<Found>,
    foreign: Log<Excerpt>,
    survey: Survey<'a>,
    /// Records that are to be looked for again, in order.
    again: Vec<(i64, i64, bool)>,
    missing: Vec<Missing>,
    /// Whether the tree of bucket `key` was found by its form, as the root leads to another.
    found: bool,
}

impl<'a> Followed<'a> {
    fn of(file: &'a [u8], start: Start<'a>, look: &Look<'_>, threads: NonZeroUsize) -> Self {
        let image = match &start.db {
            Some(db) => db.image,
            None => Db::with_root(file, start.page_size, PageId(2)).image,
        };
        let surveyor = Surveyor::new(image);
        let mut records = Vec::new();
        let mut foreign = Log::default();
        let mut survey = Survey::default();
        // First, so that no other bucket takes its pages away.
        if let Some(root) = start.key {
            let read = |part: &mut OnLeaves, elements: &[LeafElement<'a>], whole: bool| {
                part.read(elements, whole, look)
            };
            survey = surveyor.side_by_side(root, threads, read, |part| {
                append(&mut records, part.records);
                foreign.append(part.foreign);
            });
        }
        let mut small = small::read(start.db.as_ref(), &surveyor);
        if start.stale {
            small.is_older();
        }
        small.judge(start.page_size);
        let broken = records.iter().filter(|found: &&Found| found.origin == Origin::Broken);
        let mut again: Vec<_> = broken.map(Found::order).collect();
        again.sort_unstable();
        if !records.is_sorted_by_key(Found::rank) {
            records.sort_unstable_by_key(Found::rank);
        }
        let compacted = small.compacted();
        let missing = Missing::of(&records, &survey, look, compacted, start.perhaps_newer);
        Self { start, surveyor, small, records, foreign, survey, again, missing, found: false }
    }

    fn search<'s>(&'s self, file: &'a [u8], threads: NonZeroUsize) -> Search<'s, 'a> {
        let Self { survey, again, missing, start, .. } = self;
        Search { file, page_size: start.page_size, survey, again, missing, threads }
    }

    /// Another tree, if there is one that lacks nothing: below a newer root, or that which
    /// bucket `key` should lead to. `remains`: of all that this one does not hold.
    fn better(
        &self,
        file: &'a [u8],
        remains: &Remains,
        look: &Look<'_>,
        threads: NonZeroUsize,
    ) -> Option<Self> {
        let search = self.search(file, threads);
        let lacks_nothing = |other: &Self| {
            let last = |records: &[Found]| records.last().map(Found::revision);
            let is_newest = last(&other.records) >= last(&self.records);
            let is_full = Missing::of(&other.records, &other.survey, look, other.small.compacted(), false);
            is_newest && other.survey.is_whole() && other.again.is_empty() && is_full.is_empty()
        };
        if self.start.perhaps_newer {
            let newer = self.start.newer(&search, remains, self.small.index());
            let newer = newer.into_iter().map(|start| Self::of(file, start, look, threads));
            if let Some(newer) =
                newer.into_iter().find(|newer| newer.small.is_intact() && lacks_nothing(newer))
            {
                return Some(newer);
            }
        }
        let is_cut = self.missing.iter().any(|missing| missing.before.is_some());
        let (top, _) = adopt(&search, remains).filter(|_| is_cut)?;
        let start = Start { key: Some(BucketRoot::Tree(top)), ..self.start };
        let found = Self { found: true, ..Self::of(file, start, look, threads) };
        lacks_nothing(&found).then_some(found)
    }
}

/// What a run of leaves of the tree holds.
#[derive(Default)]
pub(super) struct OnLeaves {
    pub(super) records: Vec<Found>,
    /// Keys that are none of records.
    foreign: Log<Excerpt>,
}

impl OnLeaves {
    /// Adds a leaf; how far it is to be trusted.
    pub(super) fn read(&mut self, elements: &[LeafElement<'_>], whole: bool, look: &Look<'_>) -> Trust {
        let (mut broken, mut foreign) = (false, Vec::new());
        for element in elements {
            match Found::of_element(element, look) {
                Some(found) => {
                    let found = if found.is_cut(look.file) { found.broken() } else { found };
                    broken |= found.origin == Origin::Broken;
                    self.records.push(found);
                }
                None => {
                    foreign.push(element.index);
                    if whole {
                        self.foreign.push(Excerpt::of(element.key()));
                    }
                }
            }
        }
        match broken {
            // Data that was moved gives any keys.
            _ if !foreign.is_empty() => Trust::Except(foreign),
            true => Trust::Keys,
            false => Trust::Full,
        }
    }
}

/// Appends records. There may be so many that room for as many again is too much.
pub(super) fn append(all: &mut Vec<Found>, mut more: Vec<Found>) {
    if all.capacity().saturating_sub(all.len()) < more.len() {
        all.reserve_exact(more.len().max(all.len() / 8));
    }
    all.append(&mut more);
}
