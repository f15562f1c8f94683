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
    Db, FileOffset, Gap, Image, KeySpan, PageId, PageSize, Relic, RelicElement, RelicKind, RelicPart, Survey,
    ordered, page_begins, relic_jobs, relics, whole_leaf,
};
use crate::etcd::history::is_consistent;
use crate::etcd::remnant::{Form, Spot, Sure, of_element, scan_keyed};

use super::found::{Found, Origin, Standing};
use super::missing::Missing;
use super::remains::{BUCKET_HEADER, Remains, RootLeaf, age_of_root, elements, order_of};

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
    /// Revisions that the tree lacks though it is well formed, in order.
    pub(super) missing: &'s [Missing],
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
            || order_of(key).is_some_and(|order| {
                self.again.binary_search(&order).is_ok() || Missing::one_has(self.missing, order)
            })
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
            let others = super::remains::elements(&Relic { kind: RelicKind::Headless, ..*relic }, self.file);
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
        // A table of which nothing is missing, whose data follow each other, vouches for itself.
        let chained = relic.is_counted(&elements)
            && elements.iter().zip(elements.iter().skip(1)).all(|(one, next)| {
                one.offset.0.saturating_add(one.key_value().len() as u64) == next.offset.0
                    && one.key < next.key
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
