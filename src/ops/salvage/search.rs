//! What lies outside of the tree: records for the keys that it lost, leaves that once
//! were the root, entries of the small buckets.
//!
//! Pages come first: a leaf with its table tells what it holds. What of a page no sound
//! element claims, and all that has no page, is then searched byte by byte for what every
//! record has; so a record is found whatever became of the page around it.
//!
//! Bucket `key` only grows at its end, a record is never changed, and only a
//! compaction removes one. So on any leaf, however old, two records that follow each
//! other prove that what would stand between them was gone when it was written, and
//! has not come back. That needs no knowledge of which page is newer.

use std::num::NonZeroUsize;

use crate::bolt::{
    Db, Edges, FileOffset, Gap, Image, KeySpan, LeafElement, PageId, PageSize, Relic, RelicElement,
    RelicKind, RelicPart, Survey, Surveyor, Trust, inline_entries, ordered, page_begins, relic_jobs, relics,
    vacancies, whole_leaf,
};
use crate::codec::fixed::u64_be;
use crate::etcd::history::is_consistent;
use crate::etcd::remnant::{Form, Spot, Sure, of_element, scan_keyed};
use crate::etcd::revision::RevisionKey;
use crate::etcd::schema;

use super::found::{Found, Origin, Standing};

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
    pub(super) roots: Vec<RootLeaf>,
    /// Entries of small buckets on leaves of their own, known by their form.
    pub(super) entries: Vec<Spot>,
    /// Broken pages whose content is there all the same, from its first record to its last.
    pub(super) healed: Vec<PageId>,
}

/// A leaf that holds the names of buckets, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RootLeaf {
    /// The raft index that the bucket `meta` inside it names, which every commit of etcd
    /// moves on.
    pub(super) age: u64,
    /// Where it begins.
    pub(super) start: FileOffset,
    length: u64,
    headless: bool,
    /// Its page, if it is one, whole and where it should be.
    pub(super) page: Option<PageId>,
}

impl RootLeaf {
    /// The names of buckets, and the buckets.
    pub(super) fn elements<'a>(&self, file: &'a [u8]) -> Vec<RelicElement<'a>> {
        let kind = if self.headless { RelicKind::Headless } else { RelicKind::Leaf };
        elements(&Relic { start: self.start, length: self.length, kind }, file)
    }
}

impl Remains {
    /// The newest record, whole or not.
    pub(super) fn newest(&self) -> Option<(i64, i64, bool)> {
        self.records.iter().chain(&self.torn).map(Found::order).max()
    }

    fn append(&mut self, mut more: Self) {
        self.records.append(&mut more.records);
        self.torn.append(&mut more.torn);
        self.witnesses.append(&mut more.witnesses);
        self.roots.append(&mut more.roots);
        self.entries.append(&mut more.entries);
        self.healed.append(&mut more.healed);
    }
}

/// The place of a revision key among others.
pub(super) fn order_of(key: &[u8]) -> Option<(i64, i64, bool)> {
    let key = RevisionKey::parse(key).ok()?;
    Some((key.revision.main, key.revision.sub, key.tombstone))
}

/// What pages came to, and the bytes of which they tell nothing.
#[derive(Default)]
struct Part<'a> {
    remains: Remains,
    areas: Vec<Area>,
    /// Where pages begin and end to which the tree leads, and the keys that they should hold.
    spans: Vec<(u64, u64, KeySpan<'a>)>,
}

/// Bytes that no sound element claims.
#[derive(Debug, Clone, Copy)]
struct Area {
    start: u64,
    end: u64,
    /// Whether a sound record begins where they end.
    followed: bool,
}

/// How many of these are searched in one go.
const AREAS: usize = 64;

impl Part<'_> {
    /// Adds an area. Those that touch are one: where a page ends says little if pages were
    /// moved.
    fn area(&mut self, area: Area) {
        if area.end <= area.start {
            return;
        }
        match self.areas.last_mut().filter(|last| last.end == area.start && !last.followed) {
            Some(last) => *last = Area { start: last.start, ..area },
            None => self.areas.push(area),
        }
    }

    fn append(&mut self, more: Self) {
        self.remains.append(more.remains);
        more.areas.into_iter().for_each(|area| self.area(area));
        self.spans.extend(more.spans);
    }
}

/// Where to look.
pub(super) struct Search<'s, 'a> {
    pub(super) file: &'a [u8],
    pub(super) page_size: PageSize,
    /// Of bucket `key`.
    pub(super) survey: &'s Survey<'a>,
    /// Records that the tree has and that cannot be used, in order: another copy of them
    /// is looked for, too.
    pub(super) again: &'s [(i64, i64, bool)],
    pub(super) threads: NonZeroUsize,
}

impl<'a> Search<'_, 'a> {
    /// All pages of the file, whatever a meta says of their number.
    pub(super) fn image(&self) -> Image<'a> {
        Db::with_root(self.file, self.page_size, PageId(2)).image
    }

    /// Whether a record under this key is looked for: the tree does not vouch for it.
    pub(super) fn wants(&self, key: &[u8]) -> bool {
        !self.survey.covers(key)
            || order_of(key).is_some_and(|order| self.again.binary_search(&order).is_ok())
    }

    pub(super) fn remains(&self, gaps: &[Gap]) -> Remains {
        let relics = relics(self.file, gaps, self.page_size);
        let image = self.image();
        let mut broken: Vec<(PageId, KeySpan<'a>)> =
            self.survey.broken.iter().filter_map(|broken| Some((broken.page?, broken.span))).collect();
        broken.sort_unstable_by_key(|(page, _)| *page);
        let mut found = Part::default();
        let pages = |job: &&[Relic]| {
            let mut part = Part::default();
            job.iter().for_each(|relic| self.relic(&image, relic, &broken, &mut part));
            part
        };
        ordered(&relic_jobs(&relics), self.threads, pages, |part| found.append(part));
        let Part { mut remains, areas, spans } = found;
        let search = |job: &&[Area]| {
            let mut remains = Remains::default();
            job.iter().for_each(|area| self.stray(area, &spans, &mut remains));
            remains
        };
        let jobs: Vec<&[Area]> = areas.chunks(AREAS).collect();
        ordered(&jobs, self.threads, search, |more| remains.append(more));
        remains.relics = relics;
        remains.roots.sort_unstable_by(|one, other| other.cmp(one));
        remains
    }

    fn relic(&self, image: &Image<'a>, relic: &Relic, broken: &[(PageId, KeySpan<'a>)], part: &mut Part<'a>) {
        if !matches!(relic.kind, RelicKind::Leaf | RelicKind::Headless) {
            // Branches and freelists, too: a kind is two bytes.
            let end = relic.start.0.saturating_add(relic.length);
            return part.area(Area { start: relic.start.0, end, followed: false });
        }
        let id = image.page_of(relic.start);
        let pointed = broken.binary_search_by_key(&id, |(page, _)| *page).ok();
        let span = pointed.and_then(|index| broken.get(index)).map(|(_, span)| *span);
        self.leaf(image, relic, id, span, part);
    }

    /// Takes in what has the form of a leaf. `span` is what the page was to hold, if the
    /// tree leads to it.
    fn leaf(
        &self,
        image: &Image<'a>,
        relic: &Relic,
        id: PageId,
        span: Option<KeySpan<'a>>,
        part: &mut Part<'a>,
    ) {
        // Not if the next page begins inside it.
        let whole = relic.kind == RelicKind::Leaf
            && image.run_length(id) == Some(relic.length)
            && whole_leaf(image, id).is_some();
        let mut elements = elements(relic, self.file);
        let mut kind = relic.kind;
        if kind == RelicKind::Leaf && !whole {
            // Its header may be wrong about the number of elements.
            let others = self::elements(&Relic { kind: RelicKind::Headless, ..*relic }, self.file);
            if others.len() >= elements.len() {
                (elements, kind) = (others, RelicKind::Headless);
            }
        }
        let sure = if kind == RelicKind::Leaf { Sure::Whole } else { Sure::Element };
        let spots: Vec<Option<Spot>> =
            elements.iter().map(|element| of_element(element, sure, None)).collect();
        let judge =
            |spot: &Option<Spot>| spot.is_some_and(|spot| self.is_sound(&spot) && !self.is_cut(&spot));
        let sound: Vec<bool> = spots.iter().map(judge).collect();
        let mut keys =
            elements.iter().zip(&sound).filter(|(_, sound)| **sound).map(|(element, _)| element.key);
        // By what can be read of it, it is the page that the tree leads to.
        let span = span.filter(|span| sound.contains(&true) && keys.all(|key| span.contains(key)));
        if let Some(span) = span {
            part.spans.push((relic.start.0, relic.start.0.saturating_add(relic.length), span));
        }
        let remains = &mut part.remains;
        // What sound elements claim needs no search.
        let mut claimed: Vec<(u64, u64)> = Vec::new();
        for ((element, spot), sound) in elements.iter().zip(&spots).zip(&sound) {
            let sound = match *spot {
                Some(spot) if spot.form == Form::Record => {
                    self.record(&spot, *sound, Origin::Page, span, Standing::Vouched, remains);
                    *sound
                }
                Some(spot) => {
                    remains.entries.push(spot);
                    true
                }
                None if element.is_bucket => self.inline(element, sure, whole, remains),
                None => false,
            };
            if sound {
                let start = element.offset.0;
                claimed.push((start, start.saturating_add(element.key_value().len() as u64)));
            }
        }
        let clean = !elements.is_empty() && !sound.contains(&false);
        let pointed = span.is_some();
        // A table that follows from the first element to the last vouches for itself.
        let chained = elements.iter().zip(elements.iter().skip(1)).all(|(one, next)| {
            one.offset.0.saturating_add(one.key_value().len() as u64) == next.offset.0 && one.key < next.key
        });
        if whole && clean {
            remains.witnesses.push(id);
        }
        if pointed && clean && (whole || kind == RelicKind::Headless && chained) {
            remains.healed.push(id);
        }
        if !elements.is_empty() && chained && elements.iter().all(|element| element.is_bucket) {
            remains.roots.push(RootLeaf {
                age: age_of_root(&elements),
                start: relic.start,
                length: relic.length,
                headless: kind == RelicKind::Headless,
                page: whole.then_some(id),
            });
        }
        // What of it no sound element claims is searched.
        claimed.sort_unstable();
        let mut position = relic.start.0;
        for (start, end) in claimed {
            part.area(Area { start: position, end: start, followed: true });
            position = position.max(end);
        }
        let end = relic.start.0.saturating_add(relic.length);
        part.area(Area { start: position, end, followed: false });
    }

    /// Whether a bucket on a leaf is one; of a leaf that is not whole takes in what is in
    /// its inline page. Those of whole ones are looked for by name.
    fn inline(&self, element: &RelicElement<'a>, sure: Sure, whole: bool, remains: &mut Remains) -> bool {
        let mut is_bucket = element.value.len() == BUCKET_HEADER && element.missing == 0;
        element.read_inline(|part| {
            is_bucket = true;
            if let RelicPart::Element(inner) = part
                && !whole
                && let Some(spot) = of_element(&inner, sure, Some(element.key))
                && spot.form != Form::Record
            {
                remains.entries.push(spot);
            }
        });
        is_bucket
    }

    /// Whether nothing of a record is missing and it does not contradict itself.
    fn is_sound(&self, spot: &Spot) -> bool {
        let found = Found::of_spot(spot, self.file, Origin::Stray);
        let record = found.and_then(|found| found.record(self.file));
        spot.missing == 0 && record.is_some_and(|record| is_consistent(&record))
    }

    /// Whether what an element of a table is said to hold may be less than it was.
    fn is_cut(&self, spot: &Spot) -> bool {
        let found = Found::of_spot(spot, self.file, Origin::Stray);
        found.is_some_and(|found| found.is_cut(self.file))
    }

    /// Takes in a record. `span` is what the page that it is on was to hold, if the tree
    /// leads there.
    fn record(
        &self,
        spot: &Spot,
        sound: bool,
        origin: Origin,
        span: Option<KeySpan<'a>>,
        standing: Standing,
        remains: &mut Remains,
    ) {
        let Some(found) = Found::of_spot(spot, self.file, origin) else { return };
        let key = found.entry(self.file).map_or(&b""[..], |(key, _)| key);
        if !self.wants(key) {
            return;
        }
        let found = if span.is_some_and(|span| span.contains(key)) { found.pointed() } else { found };
        let to = if sound { &mut remains.records } else { &mut remains.torn };
        to.push(found.standing(standing));
    }

    /// Searches bytes without a form. `spans` are the keys of pages to which the tree leads,
    /// by where these begin and end.
    fn stray(&self, area: &Area, spans: &[(u64, u64, KeySpan<'a>)], remains: &mut Remains) {
        let Area { start, end, followed } = *area;
        let range = usize::try_from(start).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX);
        let bytes = self.file.get(range).unwrap_or_default();
        let span_of = |at: u64| {
            let behind = spans.partition_point(|(begin, ..)| *begin <= at);
            let (_, until, span) = spans.get(behind.checked_sub(1)?)?;
            (at < *until).then_some(*span)
        };
        let mut spots = Vec::new();
        scan_keyed(bytes, FileOffset(start), self.page_size, |spot| spots.push(spot));
        for spot in spots {
            match spot.form {
                Form::Record => {
                    let last = spot.offset.0.saturating_add(u64::from(spot.length));
                    let sure = spot.sure != Sure::Fragment || followed && last == end;
                    let (missing, standing) = match spot.missing {
                        0 if !sure => self.standing(spot.offset.0, last, end),
                        missing => (missing, Standing::Vouched),
                    };
                    let spot = Spot { missing, ..spot };
                    let span = span_of(spot.offset.0);
                    self.record(&spot, self.is_sound(&spot), Origin::Stray, span, standing, remains);
                }
                Form::Entry(_) => remains.entries.push(spot),
                Form::Message | Form::Value => {}
            }
        }
    }

    /// What speaks for a record that goes on behind the begin of a page, of bytes that end
    /// at `end`: how much of it is missing for certain, and its standing.
    fn standing(&self, start: u64, last: u64, end: u64) -> (u32, Standing) {
        let size = self.page_size.bytes();
        let first = start.checked_next_multiple_of(size).unwrap_or(u64::MAX);
        let mut begun = (first..last).step_by(usize::try_from(size).unwrap_or(usize::MAX));
        if let Some(at) = begun.find(|at| page_begins(self.file, FileOffset(*at), self.page_size)) {
            return (u32::try_from(last.saturating_sub(at)).unwrap_or(u32::MAX).max(1), Standing::Vouched);
        }
        // bbolt fills up the last page of a run with zeros.
        let until = last.checked_next_multiple_of(size).unwrap_or(u64::MAX).min(end);
        let range = usize::try_from(last).unwrap_or(usize::MAX)..usize::try_from(until).unwrap_or(usize::MAX);
        let is_padded = self.file.get(range).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0));
        (0, if is_padded { Standing::Vouched } else { Standing::Unverified })
    }
}

/// Bytes of a bucket's header: of a bucket with a tree of its own that is all.
const BUCKET_HEADER: usize = 16;

fn elements<'a>(relic: &Relic, file: &'a [u8]) -> Vec<RelicElement<'a>> {
    let mut elements = Vec::new();
    relic.read(file, |part| {
        if let RelicPart::Element(element) = part {
            elements.push(element);
        }
    });
    elements
}

/// How far etcd was, by the bucket `meta` on a leaf with the names of buckets.
fn age_of_root(leaf: &[RelicElement<'_>]) -> u64 {
    let meta = leaf.iter().find(|element| element.key == schema::META);
    let Some(bytes) = meta.and_then(|meta| meta.value.get(BUCKET_HEADER..)) else { return 0 };
    let entries = inline_entries(bytes);
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
        let root = crate::bolt::BucketRoot::Tree(*id);
        let count = |elements: &[LeafElement<'a>], _: bool| (elements.len(), Trust::Full);
        let survey = surveyor
            .side_by_side(root, search.threads, count, |count| records = records.saturating_add(count));
        (survey.is_whole()).then_some((records, *id))
    });
    // Since the last write only a compaction can have changed it.
    whole.min().map(|(_, id)| (id, first))
}
