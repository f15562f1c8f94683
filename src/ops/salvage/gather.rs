//! All that there is in a file: what the tree has, and what lies outside of it.

use std::num::NonZeroUsize;

use crate::bolt::{Db, Excerpt, LeafElement, PageId, Survey, Surveyor, Trust};

use super::super::verify;
use super::base::Start;
use super::found::{Found, Origin};
use super::history::{self, Compacted, History};
use super::outdated;
use super::outside::{Outside, Tree, spans};
use super::prove::merge;
use super::report::Report;
use super::search::Search;
use super::small::{self, Small};
use super::values;

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
        let mut small = small::read(start.db.as_ref(), &surveyor);
        if start.stale {
            small.is_older();
        }
        let mut records = Vec::new();
        let mut unreadable = Vec::new();
        let mut survey = Survey::default();
        if let Some(root) = start.key {
            let read = |elements: &[LeafElement<'a>], whole: bool| read_leaf(elements, whole, file);
            survey = surveyor.side_by_side(root, threads, read, |(mut found, mut foreign)| {
                records.append(&mut found);
                unreadable.append(&mut foreign);
            });
        }
        let broken = records.iter().filter(|found: &&Found| found.origin == Origin::Broken);
        let mut again: Vec<_> = broken.map(Found::order).collect();
        again.sort_unstable();
        let sound = start.is_good() && small.is_intact() && survey.is_whole() && again.is_empty();
        let outside = if sound {
            Outside::default()
        } else {
            let mut tree = Tree { surveyor: &surveyor, survey: &mut survey, again: &again, threads };
            Outside::find(file, &start, &mut tree, &mut records, &mut small)
        };
        small.make_usable();
        // Those of a sound tree are in order.
        records.sort_by_key(Found::rank);
        merge(&mut records, file);
        let (at, known) = small.compacted();
        let compacted = Compacted { at, known };
        let mut history = history::make(records, file, compacted, outside.records == 0);
        outside.lose_torn(file, &mut history);
        small.leases(&history.leases);
        if history.compact != at || outside.records > 0 && at > 0 {
            small.compact(history.compact);
        }
        let spans = spans(&survey, &outside, &history, compacted);
        let from_outside =
            |found: &&Found| matches!(found.origin, Origin::Page | Origin::Stray | Origin::Pointed);
        for key in unreadable {
            small.foreign.push(key);
        }
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
            undecodable: values::undecodable(&history.records, file, &options.prefixes, threads),
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

/// The records of a leaf of the tree, and keys that are none of records; and how far the
/// leaf is to be trusted.
pub(super) fn read_leaf(elements: &[LeafElement<'_>], whole: bool, file: &[u8]) -> (OnLeaf, Trust) {
    let mut records = Vec::with_capacity(elements.len());
    let mut foreign = Vec::new();
    for element in elements {
        match Found::of_element(element) {
            Some(found) => records.push(if found.is_cut(file) { found.broken() } else { found }),
            None => foreign.push(Excerpt::of(element.key())),
        }
    }
    let broken = records.iter().any(|found| found.origin == Origin::Broken);
    let trust = match foreign.is_empty() {
        // Data that was moved gives any keys.
        false => Trust::Nothing,
        true if broken => Trust::Keys,
        true => Trust::Full,
    };
    if !whole {
        foreign.clear();
    }
    ((records, foreign), trust)
}

/// Records, and keys that are none of records.
type OnLeaf = (Vec<Found>, Vec<Excerpt>);
