//! The work of a walk: buckets to units, units to chunks, chunks to parts.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::bucket::{Bucket, BucketRoot};
use super::fault::{Excerpt, Fault, FaultKind, FaultLog, Place};
use super::fold::{Fold, LeafView};
use super::image::Image;
use super::ordered::ordered;
use super::page::{LeafElement, Page};
use super::page_set::PageSet;
use super::plan::Plan;
use super::tree::{self, Bounds, BranchCount, Event, Seen, check_order};
use super::walk::{BucketCounts, WalkReport};
use super::{FileOffset, PageId};

/// What all threads of a walk share.
pub(super) struct Walker<'w, 'a, F> {
    pub(super) image: Image<'a>,
    fold: &'w F,
    pub(super) claimed: &'w PageSet,
    /// Set by the first worker whose plan has no way with what it met.
    given_up: AtomicBool,
    progress: Option<&'w AtomicU64>,
}

/// A run of units of one bucket.
struct Chunk<'c, 'a, P: Plan> {
    /// Of the bucket among those that are walked.
    index: usize,
    bucket: &'c Bucket<'a>,
    units: &'c [P::Unit<'a>],
}

/// What a chunk came to.
struct Run<'a, P: Plan, T> {
    index: usize,
    part: T,
    read: Read<'a>,
    misfit: Option<P::Misfit>,
}

/// What was read, beside what the fold made of it.
#[derive(Default)]
pub(super) struct Read<'a> {
    pub(super) faults: FaultLog,
    nested: Vec<Bucket<'a>>,
    pub(super) branches: BranchCount,
    leaves: u64,
    overflow: u64,
    keys: u64,
    bytes: u64,
}

/// Reads the units of one chunk.
pub(super) struct Reader<'r, 'a, F: Fold<'a>> {
    pub(super) walker: &'r Walker<'r, 'a, F>,
    pub(super) bucket: &'r Bucket<'a>,
    part: F::Part,
    /// Of the leaf at hand.
    elements: Vec<LeafElement<'a>>,
    pub(super) read: Read<'a>,
}

impl<'a, F: Fold<'a>> Reader<'_, 'a, F> {
    pub(super) fn inline(&mut self, bytes: &'a [u8], offset: FileOffset) {
        match Bucket::inline_page(bytes, offset) {
            Ok(page) => self.leaf(&page, Bounds::default(), true),
            Err(kind) => self.read.faults.push(Fault {
                place: Place {
                    offset: Some(offset),
                    page: Some(self.walker.image.page_of(offset)),
                    element: None,
                },
                bucket: Some(Arc::clone(&self.bucket.top)),
                kind,
                lost: Some(Bounds::default().range()),
            }),
        }
    }

    pub(super) fn leaf(&mut self, page: &Page<'a>, bounds: Bounds<'a>, root: bool) {
        let Self { walker, bucket, part, elements, read } = self;
        walker.read_leaf(page, bounds, root, Some(bucket), elements, &mut read.faults);
        let inline = page.id.0 == 0;
        if !inline {
            read.leaves = read.leaves.saturating_add(1);
            read.overflow = read.overflow.saturating_add(u64::from(page.overflow));
            if let Some(progress) = walker.progress {
                progress.fetch_add(page.pages(), Ordering::Relaxed);
            }
        }
        read.keys = read.keys.saturating_add(elements.len() as u64);
        for element in elements.iter() {
            read.bytes = read.bytes.saturating_add(element.key_value().len() as u64);
            if element.is_bucket {
                let found = if inline {
                    Err(FaultKind::NestedInInline)
                } else {
                    Bucket::parse(element, Some(bucket))
                };
                match found {
                    Ok(nested) => read.nested.push(nested),
                    Err(kind) => read.faults.push(Fault {
                        place: walker.element_place(page, Some(element.index)),
                        bucket: Some(Arc::clone(&bucket.top)),
                        kind,
                        lost: None,
                    }),
                }
            }
        }
        let view = LeafView { page: (!inline).then_some(page.id), elements, extent: page.extent() };
        walker.fold.leaf(part, bucket, &view);
    }
}

impl<'w, 'a, F: Fold<'a>> Walker<'w, 'a, F> {
    pub(super) fn new(
        image: Image<'a>,
        fold: &'w F,
        claimed: &'w PageSet,
        progress: Option<&'w AtomicU64>,
    ) -> Self {
        Self { image, fold, claimed, given_up: AtomicBool::new(false), progress }
    }

    /// The elements of the root's tree, which is read from end to end.
    pub(super) fn root_elements(
        &self,
        root: PageId,
        branches: &mut BranchCount,
        report: &mut WalkReport,
    ) -> Vec<LeafElement<'a>> {
        let faults = &mut report.faults;
        let listed = self.list_carefully(BucketRoot::Tree(root), None, branches, faults);
        let mut all = Vec::new();
        let mut elements = Vec::new();
        for seen in listed {
            let Seen::Leaf { page, bounds, root } = seen else { continue };
            let page = self.claim_tail(page, None, bounds, faults);
            report.pages.leaf = report.pages.leaf.saturating_add(1);
            report.pages.overflow = report.pages.overflow.saturating_add(u64::from(page.overflow));
            self.read_leaf(&page, bounds, root, None, &mut elements, faults);
            all.extend_from_slice(&elements);
        }
        all
    }

    /// The top-level buckets.
    pub(super) fn top_level(
        &self,
        root: PageId,
        only: Option<&[&[u8]]>,
        branches: &mut BranchCount,
        report: &mut WalkReport,
    ) -> Vec<Bucket<'a>> {
        let mut buckets = Vec::new();
        for element in self.root_elements(root, branches, report) {
            let found = if element.is_bucket {
                Bucket::parse(&element, None)
            } else {
                Err(FaultKind::NotABucket { key: Excerpt::of(element.key()) })
            };
            match found {
                Ok(bucket) if only.is_none_or(|only| only.contains(&bucket.name)) => buckets.push(bucket),
                Ok(_) => {}
                Err(kind) => {
                    let page = Some(self.image.page_of(element.offset));
                    let place = Place { page, element: Some(element.index), offset: Some(element.offset) };
                    report.faults.push(Fault { place, bucket: Some(element.key().into()), kind, lost: None });
                }
            }
        }
        buckets
    }

    pub(super) fn list_carefully(
        &self,
        root: BucketRoot<'a>,
        bucket: Option<&Bucket<'a>>,
        branches: &mut BranchCount,
        faults: &mut FaultLog,
    ) -> Vec<Seen<'a>> {
        tree::careful(&self.image, self.claimed, root, branches, |event| {
            if let Event::Fault(found) = event {
                faults.push(found.of_bucket(bucket));
            }
        })
    }

    /// Walks the given buckets and returns the buckets found inside them.
    pub(super) fn buckets<P: Plan>(
        &self,
        buckets: Vec<Bucket<'a>>,
        threads: NonZeroUsize,
        total: &mut F::Total,
        branches: &mut BranchCount,
        report: &mut WalkReport,
    ) -> Result<Vec<Bucket<'a>>, P::Misfit> {
        let mut units = Vec::with_capacity(buckets.len());
        for bucket in &buckets {
            units.push(P::list(self, bucket, branches, &mut report.faults)?);
        }
        let mut chunks = Vec::new();
        for (index, (bucket, units)) in buckets.iter().zip(&units).enumerate() {
            chunks.extend(units.chunks(P::CHUNK).map(|units| Chunk { index, bucket, units }));
        }
        let first_counts = report.buckets.len();
        report.buckets.extend(buckets.iter().map(|bucket| BucketCounts {
            name: bucket.name.to_vec(),
            depth: bucket.depth,
            inline: matches!(bucket.root, BucketRoot::Inline { .. }),
            keys: 0,
            bytes: 0,
        }));
        let mut nested = Vec::new();
        let mut misfit = None;
        let mut entered = 0;
        let join = |run: Run<'a, P, F::Part>| {
            while entered <= run.index {
                if let Some(bucket) = buckets.get(entered) {
                    self.fold.enter(total, bucket);
                }
                entered = entered.saturating_add(1);
            }
            if let Some(bucket) = buckets.get(run.index) {
                self.fold.join(total, bucket, run.part);
            }
            let read = run.read;
            report.faults.append(read.faults);
            report.pages.leaf = report.pages.leaf.saturating_add(read.leaves);
            report.pages.overflow = report.pages.overflow.saturating_add(read.overflow);
            branches.pages = branches.pages.saturating_add(read.branches.pages);
            branches.overflow = branches.overflow.saturating_add(read.branches.overflow);
            if let Some(counts) = report.buckets.get_mut(first_counts.saturating_add(run.index)) {
                counts.keys = counts.keys.saturating_add(read.keys);
                counts.bytes = counts.bytes.saturating_add(read.bytes);
            }
            nested.extend(read.nested);
            misfit = misfit.take().or(run.misfit);
        };
        ordered(&chunks, threads, |chunk| self.chunk::<P>(chunk), join);
        if let Some(misfit) = misfit {
            return Err(misfit);
        }
        for bucket in buckets.iter().skip(entered) {
            self.fold.enter(total, bucket);
        }
        Ok(nested)
    }

    /// Works on one chunk.
    fn chunk<P: Plan>(&self, chunk: &Chunk<'_, 'a, P>) -> Run<'a, P, F::Part> {
        let mut reader = Reader {
            walker: self,
            bucket: chunk.bucket,
            part: self.fold.part(chunk.bucket),
            elements: Vec::new(),
            read: Read::default(),
        };
        let mut misfit = None;
        for unit in chunk.units {
            if self.given_up.load(Ordering::Relaxed) {
                break;
            }
            misfit = P::work(&mut reader, *unit).err();
            if misfit.is_some() {
                self.given_up.store(true, Ordering::Relaxed);
                break;
            }
        }
        Run { index: chunk.index, part: reader.part, read: reader.read, misfit }
    }

    /// Claims the overflow pages of a leaf; where one of them belongs to
    /// something else, the leaf ends before it.
    pub(super) fn claim_tail(
        &self,
        page: Page<'a>,
        bucket: Option<&Bucket<'a>>,
        bounds: Bounds<'a>,
        faults: &mut FaultLog,
    ) -> Page<'a> {
        let tail = PageId(page.id.0.saturating_add(1));
        match self.claimed.insert_run(tail, u64::from(page.overflow)) {
            Ok(()) => page,
            Err(shared) => {
                faults.push(Fault {
                    place: Place::page(page.id),
                    bucket: bucket.map(|bucket| Arc::clone(&bucket.top)),
                    kind: FaultKind::MultipleReferences { shared },
                    lost: Some(bounds.range()),
                });
                page.cut(shared.0.saturating_sub(page.id.0), self.image.page_size().bytes())
            }
        }
    }

    pub(super) fn element_place(&self, page: &Page<'a>, element: Option<u32>) -> Place {
        let offset = element.map_or(page.offset, |index| page.element_offset(index));
        Place { page: Some(self.image.page_of(offset)), element, offset: Some(offset) }
    }

    /// Reads a leaf's elements and checks their order and bounds.
    pub(super) fn read_leaf(
        &self,
        page: &Page<'a>,
        bounds: Bounds<'a>,
        root: bool,
        bucket: Option<&Bucket<'a>>,
        elements: &mut Vec<LeafElement<'a>>,
        faults: &mut FaultLog,
    ) {
        let mut push = |element, kind, lost: Option<Bounds<'a>>| {
            faults.push(Fault {
                place: self.element_place(page, element),
                bucket: bucket.map(|bucket| Arc::clone(&bucket.top)),
                kind,
                lost: lost.map(|bounds| bounds.range()),
            });
        };
        if page.count == 0 && !root {
            push(None, FaultKind::EmptyLeaf, None);
        }
        if let Some(bytes) = page.hidden() {
            push(None, FaultKind::ElementsHidden { bytes }, Some(bounds));
        }
        let mut found = Vec::new();
        page.leaf_elements(elements, |element, kind| found.push((element, kind)));
        // An element that was left out leaves a gap of its own.
        if found.is_empty()
            && let Some((element, kind)) = page.leaf_gap(elements)
        {
            push(element, kind, None);
        }
        for (element, kind) in found {
            let lost = !matches!(kind, FaultKind::ElementFlags { .. } | FaultKind::ElementsOverlap { .. });
            push(element, kind, lost.then(|| around(elements, element, bounds)));
        }
        let ascending = elements.iter().zip(elements.iter().skip(1)).all(|(a, b)| a.key() < b.key());
        let above = |key| bounds.lower.is_none_or(|lower| key >= lower);
        let below = |key| bounds.upper.is_none_or(|upper| key < upper);
        if ascending
            && elements.first().is_none_or(|first| above(first.key()))
            && elements.last().is_none_or(|last| below(last.key()))
        {
            return;
        }
        let mut previous: Option<&[u8]> = None;
        for element in elements.iter() {
            let key = element.key();
            let order = previous.map_or(Ok(()), |previous| check_order(previous, key));
            previous = Some(key);
            for kind in [order, bounds.check(key)].into_iter().filter_map(Result::err) {
                push(Some(element.index), kind, None);
            }
        }
    }
}

/// The keys among which an element that cannot be read stood: between its neighbours.
fn around<'a>(elements: &[LeafElement<'a>], element: Option<u32>, bounds: Bounds<'a>) -> Bounds<'a> {
    let Some(index) = element else { return bounds };
    let behind = elements.partition_point(|element| element.index < index);
    let key = |at: usize| elements.get(at).map(LeafElement::key);
    let lower =
        behind.checked_sub(1).and_then(key).filter(|key| bounds.lower.is_none_or(|lower| *key >= lower));
    let upper = key(behind).filter(|key| bounds.upper.is_none_or(|upper| *key < upper));
    match (lower, upper) {
        // Keys that are out of order say nothing of what is between them.
        (Some(lower), Some(upper)) if lower >= upper => bounds,
        _ => Bounds { lower: lower.or(bounds.lower), upper: upper.or(bounds.upper) },
    }
}
