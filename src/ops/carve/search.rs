//! The search itself: stretch by stretch, side by side.

use std::hash::RandomState;

use crate::bolt::{FileOffset, PageSize, Relic, RelicElement, RelicKind, RelicPart, ordered, relic_jobs};
use crate::etcd::remnant::{Form, Spot, Sure, of_element, scan};
use crate::kube::stray::strays;

use super::super::{Progress, Settings};
use super::Searched;
use super::found::{Met, Table};
use super::present::Present;

/// What a run of stretches came to.
#[derive(Default)]
struct Part {
    met: Vec<Met>,
    understood: u64,
    unexplained: u64,
    live_copies: u64,
    foreign: u64,
}

/// Searches `relics` and adds what the tree does not hold to `table`.
pub(super) fn search<'a>(
    file: &'a [u8],
    relics: &[Relic],
    page_size: PageSize,
    present: Option<&Present<'a>>,
    settings: &Settings<'_>,
    table: &mut Table<'a>,
    searched: &mut Searched,
) {
    let hasher = table.hasher();
    let map = |job: &&[Relic]| {
        let mut worker = Worker { file, page_size, present, hasher: &hasher, part: Part::default() };
        for relic in *job {
            worker.relic(relic);
        }
        let bytes: u64 = job.iter().map(|relic| relic.length).fold(0, u64::saturating_add);
        let pages = bytes.checked_div(page_size.bytes()).unwrap_or(0);
        Progress::add(&settings.progress.pages, pages);
        worker.part
    };
    let join = |part: Part| {
        part.met.iter().for_each(|met| table.add(met));
        searched.understood = searched.understood.saturating_add(part.understood);
        searched.unexplained = searched.unexplained.saturating_add(part.unexplained);
        searched.live_copies = searched.live_copies.saturating_add(part.live_copies);
        searched.foreign = searched.foreign.saturating_add(part.foreign);
    };
    ordered(&relic_jobs(relics), settings.threads, map, join);
}

struct Worker<'w, 'a> {
    file: &'a [u8],
    page_size: PageSize,
    present: Option<&'w Present<'a>>,
    hasher: &'w RandomState,
    part: Part,
}

impl<'a> Worker<'_, 'a> {
    fn relic(&mut self, relic: &Relic) {
        let sure = if relic.kind == RelicKind::Headless { Sure::Element } else { Sure::Whole };
        relic.read(self.file, |part| match part {
            RelicPart::Element(element) => self.element(&element, sure, None),
            RelicPart::Rest(offset, bytes) => self.rest(offset, bytes),
        });
    }

    /// An element of a page in any bucket, or in the inline `bucket`.
    fn element(&mut self, element: &RelicElement<'a>, sure: Sure, bucket: Option<&[u8]>) {
        if element.is_bucket && bucket.is_none() {
            let name = Some(element.key);
            element.read_inline(|part| match part {
                RelicPart::Element(inner) => self.element(&inner, sure, name),
                RelicPart::Rest(offset, bytes) => self.rest(offset, bytes),
            });
            return;
        }
        match of_element(element, sure, bucket) {
            Some(spot) => self.spot(spot),
            None => {
                self.part.foreign = self.part.foreign.saturating_add(1);
                // By the page it is an element, and still it may hold something.
                self.rest(element.offset, element.key_value());
            }
        }
    }

    fn rest(&mut self, offset: FileOffset, bytes: &'a [u8]) {
        let mut spots = Vec::new();
        let mut left = Vec::new();
        scan(
            bytes,
            offset,
            self.page_size,
            |spot| spots.push(spot),
            |offset, bytes| left.push((offset, bytes)),
        );
        spots.into_iter().for_each(|spot| self.spot(spot));
        for (offset, bytes) in left {
            self.values(offset, bytes);
        }
    }

    /// Values without keys.
    fn values(&mut self, offset: FileOffset, bytes: &'a [u8]) {
        let mut position = 0usize;
        for stray in strays(bytes) {
            self.unexplained(bytes.get(position..stray.start));
            position = stray.start.saturating_add(stray.length);
            let Ok(length) = u32::try_from(stray.length) else { continue };
            let offset = FileOffset(offset.0.saturating_add(stray.start as u64));
            let (form, sure) = (Form::Value, Sure::Fragment);
            self.spot(Spot { offset, length, key_length: 0, missing: stray.missing, form, sure });
        }
        self.unexplained(bytes.get(position..));
    }

    fn unexplained(&mut self, bytes: Option<&[u8]>) {
        let bytes = bytes.unwrap_or_default();
        let first = bytes.iter().position(|byte| *byte != 0);
        let last = bytes.iter().rposition(|byte| *byte != 0);
        let length = last.zip(first).map_or(0, |(last, first)| last.saturating_sub(first).saturating_add(1));
        self.part.unexplained = self.part.unexplained.saturating_add(length as u64);
    }

    fn spot(&mut self, spot: Spot) {
        let Some(remnant) = spot.read(self.file) else { return };
        self.part.understood = self.part.understood.saturating_add(u64::from(spot.length));
        if self.present.is_some_and(|present| present.holds(self.file, &spot, &remnant)) {
            self.part.live_copies = self.part.live_copies.saturating_add(1);
            return;
        }
        self.part.met.push(Table::met(self.hasher, self.file, spot));
    }
}
