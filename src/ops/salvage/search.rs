//! What lies outside of the tree: records for the keys that it lost, leaves that once
//! were the root, entries of the small buckets.
//!
//! Bucket `key` only grows at its end, a record is never changed, and only a
//! compaction removes one. So on any leaf, however old, two records that follow each
//! other prove that what would stand between them was gone when it was written, and
//! has not come back. That needs no knowledge of which page is newer.

use crate::bolt::{
    Db, Edges, FileOffset, Gap, Image, KeySpan, PageId, PageSize, Relic, RelicElement, RelicKind, RelicPart,
    Survey, Surveyor, relics, vacancies, whole_leaf,
};
use crate::codec::fixed::u64_be;
use crate::etcd::history::is_consistent;
use crate::etcd::remnant::{Form, Spot, Sure, of_element, scan};
use crate::etcd::revision::RevisionKey;
use crate::etcd::schema;

use super::found::{Found, Origin};

/// What lies in the gaps of a tree.
#[derive(Debug, Default)]
pub(super) struct Remains {
    pub(super) relics: Vec<Relic>,
    /// Whole records in lost keys.
    pub(super) records: Vec<Found>,
    /// Records in lost keys of which a part is missing.
    pub(super) torn: Vec<Found>,
    /// Leaves of bucket `key` that are whole and hold nothing that contradicts itself.
    pub(super) witnesses: Vec<PageId>,
    /// Leaves that hold the names of buckets, the newest first.
    pub(super) roots: Vec<PageId>,
    /// Entries of small buckets on leaves of their own, known by their form.
    pub(super) entries: Vec<Spot>,
    /// Broken pages whose content is there all the same, from its first record to its last.
    pub(super) healed: Vec<PageId>,
}

impl Remains {
    /// The newest record, whole or not.
    pub(super) fn newest(&self) -> Option<(i64, i64, bool)> {
        self.records.iter().chain(&self.torn).map(Found::order).max()
    }
}

/// The place of a revision key among others.
pub(super) fn order_of(key: &[u8]) -> Option<(i64, i64, bool)> {
    let key = RevisionKey::parse(key).ok()?;
    Some((key.revision.main, key.revision.sub, key.tombstone))
}

/// Where to look.
pub(super) struct Search<'s, 'a> {
    pub(super) file: &'a [u8],
    pub(super) page_size: PageSize,
    /// Of bucket `key`.
    pub(super) survey: &'s Survey<'a>,
}

impl<'a> Search<'_, 'a> {
    /// All pages of the file, whatever a meta says of their number.
    pub(super) fn image(&self) -> Image<'a> {
        Db::with_root(self.file, self.page_size, PageId(2)).image
    }

    pub(super) fn remains(&self, gaps: &[Gap]) -> Remains {
        let mut remains = Remains { relics: relics(self.file, gaps, self.page_size), ..Remains::default() };
        let image = self.image();
        let mut roots = Vec::new();
        let mut broken: Vec<(PageId, KeySpan<'a>)> =
            self.survey.broken.iter().filter_map(|broken| Some((broken.page?, broken.span))).collect();
        broken.sort_unstable_by_key(|(page, _)| *page);
        for relic in std::mem::take(&mut remains.relics) {
            let id = image.page_of(relic.start);
            match relic.kind {
                RelicKind::Leaf | RelicKind::Headless => {
                    let pointed = broken.binary_search_by_key(&id, |(page, _)| *page).ok();
                    let span = pointed.and_then(|index| broken.get(index)).map(|(_, span)| *span);
                    let is_root = self.leaf(&image, &relic, id, span, &mut remains);
                    if is_root && let Some(leaf) = whole_leaf(&image, id) {
                        roots.push((age_of_root(&leaf), id));
                    }
                }
                RelicKind::Raw => self.stray(relic.start, relic.bytes(self.file), &mut remains),
                RelicKind::Branch | RelicKind::Freelist => {}
            }
            remains.relics.push(relic);
        }
        roots.sort_unstable_by(|one, other| other.cmp(one));
        remains.roots = roots.into_iter().map(|(_, id)| id).collect();
        remains
    }

    /// Takes in what has the form of a leaf. `span` is what the page was to hold, if the
    /// tree leads to it. Whether it holds names of buckets.
    fn leaf(
        &self,
        image: &Image<'a>,
        relic: &Relic,
        id: PageId,
        span: Option<KeySpan<'a>>,
        remains: &mut Remains,
    ) -> bool {
        // Not if the next page begins inside it.
        let whole = relic.kind == RelicKind::Leaf
            && image.run_length(id) == Some(relic.length)
            && whole_leaf(image, id).is_some();
        let (mut elements, mut rest) = self.parts(relic);
        let mut kind = relic.kind;
        if kind == RelicKind::Leaf && !whole {
            // Its header may be wrong about the number of elements.
            let (others, behind) = self.parts(&Relic { kind: RelicKind::Headless, ..*relic });
            if others.len() >= elements.len() {
                (elements, rest, kind) = (others, behind, RelicKind::Headless);
            }
        }
        let sure = if kind == RelicKind::Leaf { Sure::Whole } else { Sure::Element };
        let is_revision = |element: &RelicElement<'a>| RevisionKey::parse(element.key).is_ok();
        let fits = span.is_some_and(|span| elements.iter().all(|element| span.contains(element.key)));
        let pointed = fits && elements.iter().all(is_revision);
        let origin = if pointed { Origin::Pointed } else { Origin::Page };
        let mut clean = !elements.is_empty();
        for element in &elements {
            let spot = of_element(element, sure, None);
            let kept = match &spot {
                Some(Spot { form: Form::Record, .. }) => self.record(&spot, origin, remains),
                Some(spot) => {
                    remains.entries.push(*spot);
                    false
                }
                None => false,
            };
            clean &= kept;
        }
        for (offset, bytes) in rest {
            self.stray(offset, bytes, remains);
        }
        if whole && clean {
            remains.witnesses.push(id);
        }
        // A table that follows from the first element to the last vouches for itself.
        let chained = elements.iter().zip(elements.iter().skip(1)).all(|(one, next)| {
            one.offset.0.saturating_add(one.key_value().len() as u64) == next.offset.0 && one.key < next.key
        });
        if pointed && clean && (whole || kind == RelicKind::Headless && chained) {
            remains.healed.push(id);
        }
        whole && elements.iter().all(|element| element.is_bucket)
    }

    /// Elements, and what no element claims.
    fn parts(&self, relic: &Relic) -> (Vec<RelicElement<'a>>, Vec<(FileOffset, &'a [u8])>) {
        let (mut elements, mut rest) = (Vec::new(), Vec::new());
        relic.read(self.file, |part| match part {
            RelicPart::Element(element) => elements.push(element),
            RelicPart::Rest(offset, bytes) => rest.push((offset, bytes)),
        });
        (elements, rest)
    }

    /// Takes in a record, if it is one; whether it is whole and consistent.
    fn record(&self, spot: &Option<Spot>, origin: Origin, remains: &mut Remains) -> bool {
        let Some(found) = spot.as_ref().and_then(|spot| Found::of_spot(spot, self.file, origin)) else {
            return false;
        };
        let missing = spot.as_ref().is_some_and(|spot| spot.missing > 0);
        let sound = !missing && found.record(self.file).is_some_and(|record| is_consistent(&record));
        let key = found.entry(self.file).map_or(&b""[..], |(key, _)| key);
        if !self.survey.covers(key) {
            let to = if sound { &mut remains.records } else { &mut remains.torn };
            to.push(found);
        }
        sound
    }

    /// Searches bytes without a form.
    fn stray(&self, offset: FileOffset, bytes: &'a [u8], remains: &mut Remains) {
        let mut spots = Vec::new();
        scan(bytes, offset, self.page_size, |spot| spots.push(spot), |_, _| ());
        for spot in spots {
            if spot.form == Form::Record {
                // What cannot be verified to its end is taken for torn.
                let spot = match spot.sure {
                    Sure::Fragment => Spot { missing: spot.missing.max(1), ..spot },
                    _ => spot,
                };
                self.record(&Some(spot), Origin::Stray, remains);
            }
        }
    }
}

/// Orders leaves that hold the names of buckets: by the raft index that the bucket
/// `meta` inside one names, which every commit of etcd moves on.
fn age_of_root(leaf: &[crate::bolt::LeafElement<'_>]) -> u64 {
    let meta = leaf.iter().find(|element| element.key() == schema::META);
    let Some(bytes) = meta.and_then(|meta| meta.value().get(16..)) else { return 0 };
    let entries = crate::bolt::inline_entries(bytes);
    let index = entries.iter().find(|(key, _)| *key == schema::CONSISTENT_INDEX);
    index.and_then(|(_, value)| u64_be(value, 0)).unwrap_or(0)
}

/// Removes records that a leaf or branch proves to have been compacted away, and of
/// equal ones all but the one that is trusted most. How many were proven gone.
pub(super) fn prove(records: &mut Vec<Found>, remains: &Remains, file: &[u8], image: &Image<'_>) -> u64 {
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
    records.retain(|_| {
        depth = depth.saturating_add(marks.next().unwrap_or(0));
        depth == 0
    });
    before.saturating_sub(records.len()) as u64
}

/// Of records with the same revision, in order of trust, keeps the first.
pub(super) fn merge(records: &mut Vec<Found>, file: &[u8]) {
    records.dedup_by(|next, kept| {
        let same = next.order() == kept.order();
        if same && kept.origin != Origin::Tree && !next.is_same(kept, file) {
            kept.contested = true;
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
        let root = crate::bolt::BucketRoot::Tree(*id);
        let survey = surveyor.bucket(root, |elements, _| records = records.saturating_add(elements.len()));
        (survey.is_whole()).then_some((records, *id))
    });
    // Since the last write only a compaction can have changed it.
    whole.min().map(|(_, id)| (id, first))
}
