//! Records that the tree lost and whose bytes are still there: on the damaged page itself,
//! by their form. They tell which keys are lost; whether they can be saved is asked of
//! `salvage`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::bolt::{Db, Fault, FileOffset, LeafElement, PageFlags, PageId, WalkReport};
use crate::codec::fixed::u32_le;
use crate::etcd::key_value::KeyValue;
use crate::etcd::record::{Record, RecordFold, UnreadableLog};
use crate::etcd::remnant::{Form, scan_keyed};
use crate::etcd::revision::{Revision, RevisionKey};
use crate::etcd::schema::KEY;

/// A record that is lost, by what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    pub(super) key: &'a [u8],
    pub(super) revision: Revision,
    pub(super) tombstone: bool,
}

/// Revisions that cannot be read because of one fault: from the first up to, but without,
/// the second; open where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LostSpan {
    pub(super) first: Option<Revision>,
    pub(super) end: Option<Revision>,
    /// Whether all records that were in it are among the fragments.
    pub(super) known: bool,
    /// Whether a record was there for certain.
    pub(super) certain: bool,
}

impl LostSpan {
    fn of(fault: &Fault) -> Option<Self> {
        let lost = fault.lost.as_ref()?;
        let revision =
            |key: &crate::bolt::Excerpt| RevisionKey::parse(&key.bytes).ok().map(|key| key.revision);
        let first = lost.lower.as_ref().and_then(revision);
        Some(Self { first, end: lost.upper.as_ref().and_then(revision), known: false, certain: false })
    }

    /// The first main revision of which a change may be lost. Above the compact revision a
    /// record stands right behind that of the revision before it.
    pub(super) fn first_main(&self, compact: i64) -> i64 {
        let before = |end: Revision| end.main.saturating_sub(i64::from(end.sub == 0));
        let single = self.end.filter(|end| self.certain && before(*end) > compact);
        self.first.map(|first| first.main).or(single.map(before)).unwrap_or(0)
    }

    fn contains(&self, revision: Revision) -> bool {
        self.first.is_none_or(|first| revision >= first) && self.end.is_none_or(|end| revision < end)
    }
}

/// What the tree of bucket `key` lost.
#[derive(Debug, Default)]
pub(super) struct Lost<'a> {
    pub(super) spans: Vec<LostSpan>,
    pub(super) fragments: Vec<Fragment<'a>>,
    /// Whether there is more of either.
    pub(super) is_cut: bool,
}

impl<'a> Lost<'a> {
    /// At most so many fragments are kept, of 56 bytes.
    const KEPT: usize = 1 << 16;
    /// Longer runs hold one record, whose key stands in front.
    const PAGES: u64 = 16;

    /// Reads the pages that faults name, each once.
    pub(super) fn of(db: &Db<'a>, walked: &WalkReport, unreadable: &UnreadableLog) -> Self {
        let mut lost =
            Self { is_cut: walked.faults.sorted().len() as u64 != walked.faults.len(), ..Self::default() };
        let inline =
            walked.buckets.iter().any(|bucket| bucket.depth == 0 && bucket.name == KEY && bucket.inline);
        let mut pages: BTreeMap<PageId, Vec<(bool, LostSpan)>> = BTreeMap::new();
        for fault in walked.faults.sorted() {
            let Some(span) = LostSpan::of(fault).filter(|_| super::concerns_keys(fault)) else { continue };
            let is_element = fault.place.element.is_some() && fault.place.offset.is_some();
            match fault.place.page.filter(|_| !inline) {
                Some(page) => pages.entry(page).or_default().push((is_element, span)),
                None => lost.spans.push(span),
            }
        }
        let mut next = PageId(0);
        for (page, spans) in pages {
            // A run that began before it was read with that.
            if page >= next {
                next = lost.page(db, page, &spans);
            } else {
                lost.spans.extend(spans.iter().map(|(_, span)| *span));
            }
        }
        lost.unreadable(db, unreadable);
        lost
    }

    /// Searches a damaged page; returns the page behind it.
    fn page(&mut self, db: &Db<'a>, id: PageId, spans: &[(bool, LostSpan)]) -> PageId {
        let image = db.image;
        let page = image.page(id).ok().filter(|page| page.flags == PageFlags::LEAF);
        let mut elements = Vec::new();
        if let Some(page) = page {
            page.leaf_elements(&mut elements, |_, _| ());
        }
        // Its header may be wrong, but what it says of its length is only a limit here.
        let overflow = image.bytes_at(image.offset_of(id), 16).and_then(|header| u32_le(header, 12));
        let pages = u64::from(overflow.unwrap_or(0)).saturating_add(1).min(Self::PAGES);
        // What can be read is not lost.
        let read: BTreeSet<&[u8]> = elements.iter().map(|element| element.key()).collect();
        let before = self.fragments.len();
        let mut places = Vec::new();
        scan_keyed(image.run(id, pages), image.offset_of(id), image.page_size(), |spot| {
            let bytes =
                image.bytes_at(spot.offset, spot.length as usize).filter(|_| spot.form == Form::Record);
            let Some((key, value)) = bytes.and_then(|bytes| bytes.split_at_checked(spot.key_length as usize))
            else {
                return;
            };
            if let (Ok(RevisionKey { revision, tombstone }), Some(user_key)) =
                (RevisionKey::parse(key), whole_key(value))
                && spot.missing == 0
            {
                places.push((spot.offset, spot.length));
                if read.contains(key) || !spans.iter().any(|(_, span)| span.contains(revision)) {
                    return;
                }
                self.add(Fragment { key: user_key, revision, tombstone });
            }
        });
        let found = self.fragments.len().saturating_sub(before);
        // An element that cannot be read is one record. How many a page had is told by where
        // the first of them stands, if none is missing between.
        let known = match spans.iter().all(|(is_element, _)| *is_element) {
            true => found >= spans.len(),
            false => is_all_of(image.offset_of(id), &places),
        };
        let told = |(certain, span): &(bool, LostSpan)| LostSpan { known, certain: *certain, ..*span };
        self.spans.extend(spans.iter().map(told));
        PageId(id.0.saturating_add(pages))
    }

    /// Records that were reached and are no messages: their revision is known, and the user's
    /// key where the beginning of the message is whole.
    fn unreadable(&mut self, db: &Db<'a>, unreadable: &UnreadableLog) {
        self.is_cut |= unreadable.count != unreadable.first.len() as u64;
        // They come in the order of their leaves.
        let mut leaf = None;
        for record in &unreadable.first {
            let Ok(RevisionKey { revision, tombstone }) = RevisionKey::parse(&record.key.bytes) else {
                let id = db.image.page_of(record.offset);
                if leaf.as_ref().is_none_or(|leaf: &Leaf| leaf.id != id) {
                    leaf = Some(Leaf::read(db, id));
                }
                self.spans.extend(leaf.as_ref().map(|leaf| leaf.beside(record.offset)));
                continue;
            };
            let end = Revision { sub: revision.sub.saturating_add(1), ..revision };
            let element = db.image.element(record.offset);
            // Where it was wiped there are zeros, in front of which its length may still stand.
            let key = element.and_then(|element| KeyValue::key_of(element.value()));
            let key = key.filter(|key| !key.is_empty() && !key.contains(&0));
            if let Some(key) = key {
                self.add(Fragment { key, revision, tombstone });
            }
            let known = key.is_some();
            self.spans.push(LostSpan { first: Some(revision), end: Some(end), known, certain: true });
        }
    }

    pub(super) fn add(&mut self, fragment: Fragment<'a>) {
        if self.fragments.len() < Self::KEPT {
            self.fragments.push(fragment);
        } else {
            self.is_cut = true;
        }
    }
}

/// The revisions on a leaf, with the places of their elements.
struct Leaf {
    id: PageId,
    revisions: Vec<(FileOffset, Revision)>,
}

impl Leaf {
    fn read(db: &Db<'_>, id: PageId) -> Self {
        let mut elements = Vec::new();
        if let Ok(page) = db.image.page(id) {
            page.leaf_elements(&mut elements, |_, _| ());
        }
        let revision = |element: &LeafElement<'_>| {
            Some((element.offset, RevisionKey::parse(element.key()).ok()?.revision))
        };
        Self { id, revisions: elements.iter().filter_map(revision).collect() }
    }

    /// The revisions between which an element stands whose key is none.
    fn beside(&self, offset: FileOffset) -> LostSpan {
        let first = self.revisions.iter().rev().find(|(place, _)| *place < offset);
        let end = self.revisions.iter().find(|(place, _)| *place > offset);
        let revision = |found: Option<&(FileOffset, Revision)>| found.map(|(_, revision)| *revision);
        LostSpan { first: revision(first), end: revision(end), known: false, certain: true }
    }
}

/// The user's key in a record of which nothing is missing.
fn whole_key(value: &[u8]) -> Option<&[u8]> {
    let key = KeyValue::parse(value).ok()?.key;
    Some(key).filter(|key| !key.is_empty())
}

/// Whether the records at `places`, each of so many bytes, are all that the leaf at `page`
/// had: one behind the other, the first right behind a table of so many elements.
fn is_all_of(page: FileOffset, places: &[(FileOffset, u32)]) -> bool {
    let table = (places.len() as u64).saturating_add(1).saturating_mul(16);
    let mut next = page.0.saturating_add(table);
    places.iter().all(|(place, length)| {
        let follows = place.0 == next;
        next = next.saturating_add(u64::from(*length));
        follows
    }) && !places.is_empty()
}

/// Looks for records that are newer than lost ones of the same key.
pub(super) struct Newer<'n, 'a> {
    /// The newest lost revision of each key.
    pub(super) lost: &'n HashMap<&'a [u8], Revision>,
}

impl<'a> RecordFold<'a> for Newer<'_, 'a> {
    type Part = BTreeSet<&'a [u8]>;
    type Total = BTreeSet<&'a [u8]>;

    fn total(&self) -> Self::Total {
        BTreeSet::new()
    }

    fn part(&self) -> Self::Part {
        BTreeSet::new()
    }

    fn record(&self, part: &mut Self::Part, record: &Record<'a>) {
        if self.lost.get(record.kv.key).is_some_and(|lost| record.revision > *lost) {
            part.insert(record.kv.key);
        }
    }

    fn join(&self, total: &mut Self::Total, part: Self::Part) {
        total.extend(part);
    }
}
