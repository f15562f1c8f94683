//! All that there is in a file: what the tree has, and what lies outside of it.

use std::hash::RandomState;
use std::num::NonZeroUsize;

use crate::bolt::{Db, Excerpt, LeafElement, PageId, Survey, Surveyor, Trust};

use super::super::verify;
use super::base::Start;
use super::facts::Look;
use super::found::{Found, Origin};
use super::history::{self, Compacted, History};
use super::outdated;
use super::outside::{Outside, Tree, spans};
use super::prove::merge;
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
            let search = Search { file, page_size: start.page_size, survey: &nothing, again: &[], threads };
            let surveyor = Surveyor::new(search.image());
            let remains = search.remains(&surveyor.rest(file.len() as u64));
            start = start.or_by_form(&search, &remains);
        }
        let image = match &start.db {
            Some(db) => db.image,
            None => Db::with_root(file, start.page_size, PageId(2)).image,
        };
        let surveyor = Surveyor::new(image);
        let look = Look { file, prefixes: &options.prefixes, hasher: RandomState::new() };
        let mut small = small::read(start.db.as_ref(), &surveyor);
        if start.stale {
            small.is_older();
        }
        let mut records = Vec::new();
        let mut foreign = Log::default();
        let mut survey = Survey::default();
        if let Some(root) = start.key {
            let read = |part: &mut OnLeaves, elements: &[LeafElement<'a>], whole: bool| {
                part.read(elements, whole, &look)
            };
            survey = surveyor.side_by_side(root, threads, read, |part| {
                append(&mut records, part.records);
                foreign.append(part.foreign);
            });
        }
        let broken = records.iter().filter(|found: &&Found| found.origin == Origin::Broken);
        let mut again: Vec<_> = broken.map(Found::order).collect();
        again.sort_unstable();
        let sound = start.is_good() && small.is_intact() && survey.is_whole() && again.is_empty();
        let outside = if sound {
            Outside::default()
        } else {
            let mut tree =
                Tree { surveyor: &surveyor, survey: &mut survey, again: &again, look: &look, threads };
            Outside::find(file, &start, &mut tree, &mut records, &mut small)
        };
        small.make_usable();
        if !records.is_sorted_by_key(Found::rank) {
            records.sort_unstable_by_key(Found::rank);
        }
        merge(&mut records, file);
        let (at, known) = small.compacted();
        let compacted = Compacted { at, known };
        let mut history = history::make(records, &look, compacted, outside.records == 0, threads);
        outside.lose_torn(file, &mut history);
        let values = Values::read(&history.records, &look, threads);
        small.leases(&values.leases);
        if history.compact != at || outside.records > 0 && at > 0 {
            small.compact(history.compact);
        }
        let spans = spans(&survey, &outside, &history, compacted);
        let from_outside =
            |found: &&Found| matches!(found.origin, Origin::Page | Origin::Stray | Origin::Pointed);
        small.foreign.append(foreign);
        let report = Report {
            base: start.base,
            sound,
            records: history.records.len() as u64,
            live_keys: history.live_keys,
            outside: history.records.iter().filter(from_outside).count() as u64,
            proven_gone: outside.proven_gone,
            dropped: history.dropped,
            revision: history.revision,
            compact_before: at,
            compact_known: known,
            compact_after: history.compact,
            outdated: outdated::outdated(&history, &spans, file),
            spans,
            gaps: std::mem::take(&mut history.gaps),
            lost: std::mem::take(&mut history.lost),
            doubtful: std::mem::take(&mut history.doubtful),
            undecodable: values.undecodable,
            digest: None,
            buckets: std::mem::take(&mut small.told),
            leases_made: small.leases_made,
            auth_disabled: small.auth_disabled,
            foreign: std::mem::take(&mut small.foreign),
            size: 0,
        };
        Self { start, small, history, report }
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
