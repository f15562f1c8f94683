//! What pages prove of records: which are gone for good, which copy is trusted most, and
//! which tree they belong to.

use crate::bolt::{
    BucketRoot, Edges, Image, LeafElement, PageId, RelicKind, Surveyor, Trust, vacancies, whole_leaf,
};
use crate::etcd::revision::RevisionKey;

use super::found::{Found, Origin, Standing};
use super::remains::{Remains, order_of};
use super::search::Search;

/// Removes records that a leaf or branch proves to have been compacted away, and of
/// equal ones all but the one that is trusted most. How many were proven gone. `spared`
/// are those that no page speaks against: nothing can have removed them, so that a page
/// without them is itself what is wrong.
pub(super) fn prove(
    records: &mut Vec<Found>,
    remains: &Remains,
    file: &[u8],
    image: &Image<'_>,
    spared: impl Fn(&Found) -> bool,
) -> u64 {
    records.sort_unstable_by_key(Found::rank);
    merge(records, file);
    let mut marks = vec![0i32; records.len().saturating_add(1)];
    let mut gone = |low: (i64, i64, bool), high: (i64, i64, bool)| {
        let from = records.partition_point(|found| found.order() <= low);
        let to = records.partition_point(|found| found.order() < high);
        if from < to
            && let Some(mark) = marks.get_mut(from)
        {
            *mark = mark.saturating_add(1);
            if let Some(mark) = marks.get_mut(to) {
                *mark = mark.saturating_sub(1);
            }
        }
    };
    for id in &remains.witnesses {
        let leaf = whole_leaf(image, *id).unwrap_or_default();
        for (one, next) in leaf.iter().zip(leaf.iter().skip(1)) {
            if let (Some(low), Some(high)) = (order_of(one.key()), order_of(next.key())) {
                gone(low, high);
            }
        }
    }
    vacancies(image, &remains.relics, |last, next| {
        if let (Some(low), Some(high)) = (order_of(last), order_of(next)) {
            gone(low, high);
        }
    });
    let before = records.len();
    let mut depth = 0i32;
    let mut marks = marks.into_iter();
    records.retain(|found| {
        depth = depth.saturating_add(marks.next().unwrap_or(0));
        depth == 0 || spared(found)
    });
    before.saturating_sub(records.len()) as u64
}

/// Of records with the same revision, in order of trust, keeps the first.
pub(super) fn merge(records: &mut Vec<Found>, file: &[u8]) {
    records.dedup_by(|next, kept| {
        let same = next.order() == kept.order();
        // From what is worth less nothing is learned.
        let equals = next.standing <= kept.standing && next.origin != Origin::Broken;
        if same && equals && kept.origin != Origin::Tree && !next.is_same(kept, file) {
            kept.standing = Standing::Contested;
        }
        same
    });
}

/// The top of bucket `key`'s tree where nothing leads to it: of all pages that look
/// like one, that whose tree is sound and reaches to the last record there is. With it
/// the first key for which it vouches: it may be a part of the tree only.
pub(super) fn adopt<'a>(search: &Search<'_, 'a>, remains: &Remains) -> Option<(PageId, &'a [u8])> {
    const TRIED: usize = 8;
    let image = search.image();
    let mut edges = Edges::new(image);
    let tops = |kind| remains.relics.iter().filter(move |relic| relic.kind == kind);
    let mut candidates: Vec<(&[u8], &[u8], PageId)> = Vec::new();
    for relic in tops(RelicKind::Branch).chain(tops(RelicKind::Leaf)) {
        let id = image.page_of(relic.start);
        let Some((first, last)) = edges.of(id) else { continue };
        if RevisionKey::parse(first).is_ok() && RevisionKey::parse(last).is_ok() {
            candidates.push((last, first, id));
        }
    }
    let (newest, ..) = *candidates.iter().max_by_key(|(last, ..)| *last)?;
    if order_of(newest) < remains.newest() {
        return None;
    }
    candidates.retain(|(last, ..)| *last == newest);
    let first = candidates.iter().map(|(_, first, _)| *first).min()?;
    candidates.retain(|(_, begin, _)| *begin == first);
    let whole = candidates.iter().take(TRIED).filter_map(|(.., id)| {
        let mut records = 0usize;
        let surveyor = Surveyor::new(image);
        let root = BucketRoot::Tree(*id);
        let count = |count: &mut usize, elements: &[LeafElement<'a>], _: bool| {
            *count = count.saturating_add(elements.len());
            Trust::Full
        };
        let survey = surveyor
            .side_by_side(root, search.threads, count, |count| records = records.saturating_add(count));
        (survey.is_whole()).then_some((records, *id))
    });
    // Since the last write only a compaction can have changed it.
    whole.min().map(|(_, id)| (id, first))
}
