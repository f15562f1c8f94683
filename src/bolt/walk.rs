//! One pass over every page that is in use, checking each and handing every
//! leaf to a [`Fold`].
//!
//! The first attempt takes the tree for sound ([`tree::quick`]) and runs side by
//! side from the start. If a page then turns out not to be where a sound tree
//! has it, everything is dropped and the pass is made again from a list of
//! leaves that was checked page by page ([`tree::careful`]). So a sound file is
//! read once, a damaged one at most twice, and what is reported never depends
//! on which thread was faster.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::PageId;
use super::bucket::{Bucket, BucketRoot};
use super::db::Db;
use super::fault::{Excerpt, Fault, FaultKind, FaultLog, Place};
use super::fold::{Fold, LeafView};
use super::freelist::free_pages;
use super::ordered::ordered;
use super::page::{LeafElement, Page, PageFlags};
use super::page_set::PageSet;
use super::tree::{self, Bounds, BranchCount, Irregular, Unit};

/// How to walk.
#[derive(Debug, Clone, Copy)]
pub struct WalkOptions<'o> {
    /// Threads to use, the caller's included.
    pub threads: NonZeroUsize,
    /// Only these top-level buckets. Pages of others are then not known to be in
    /// use, so nothing is said about free pages.
    pub only: Option<&'o [&'o [u8]]>,
    /// Counts the pages that were read, for whoever shows progress.
    pub progress: Option<&'o AtomicU64>,
}

/// What a walk found, beside what its fold made of the leaves.
#[derive(Debug, Clone, Default)]
pub struct WalkReport {
    /// Everything that is wrong.
    pub faults: FaultLog,
    /// Pages by kind.
    pub pages: PageCounts,
    /// The buckets, in the order of their names, nested ones behind.
    pub buckets: Vec<BucketCounts>,
}

/// Pages by what they are used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageCounts {
    /// First pages of branches.
    pub branch: u64,
    /// First pages of leaves.
    pub leaf: u64,
    /// Further pages of branches and leaves.
    pub overflow: u64,
    /// Pages of the stored freelist.
    pub freelist: u64,
    /// Metas included; everything that is not free.
    pub in_use: u64,
    /// Pages below the high-water mark that nothing uses.
    pub free: u64,
}

/// A bucket and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketCounts {
    /// Its name.
    pub name: Vec<u8>,
    /// 0 for a top-level bucket.
    pub depth: u32,
    /// Whether it has no pages of its own.
    pub inline: bool,
    /// Its keys.
    pub keys: u64,
    /// Bytes of all keys and values.
    pub bytes: u64,
}

/// Walks all of `db` and returns what `fold` made of the leaves.
pub fn walk<'a, F: Fold<'a>>(db: &Db<'a>, fold: &F, options: &WalkOptions<'_>) -> (F::Total, WalkReport) {
    attempt(db, fold, options, true)
        .or_else(|Irregular| {
            if let Some(progress) = options.progress {
                progress.store(0, Ordering::Relaxed);
            }
            attempt(db, fold, options, false)
        })
        .map_or_else(|Irregular| (fold.total(), WalkReport::default()), |(total, report, _)| (total, report))
}

/// Collects the elements of a bucket.
struct Collect;

impl<'a> Fold<'a> for Collect {
    type Part = Vec<LeafElement<'a>>;
    type Total = Vec<LeafElement<'a>>;

    fn total(&self) -> Self::Total {
        Vec::new()
    }

    fn part(&self, _: &Bucket<'a>) -> Self::Part {
        Vec::new()
    }

    fn leaf(&self, part: &mut Self::Part, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        if bucket.depth == 0 {
            part.extend_from_slice(leaf.elements);
        }
    }

    fn join(&self, total: &mut Self::Total, _: &Bucket<'a>, part: Self::Part) {
        total.extend(part);
    }
}

/// All elements of a top-level bucket, in order, and what is wrong with its
/// tree or the way there. For buckets that are known to be small: memory
/// follows their number. A bucket that is not there has none.
pub fn small_bucket<'a>(db: &Db<'a>, name: &[u8]) -> (Vec<LeafElement<'a>>, FaultLog) {
    let options = WalkOptions { threads: NonZeroUsize::MIN, only: Some(&[name]), progress: None };
    let (elements, report) = walk(db, &Collect, &options);
    (elements, report.faults)
}

/// The last element of a top-level bucket, found by going down the right edge of
/// its tree. `None` if the bucket is empty, not there, or anything on the way is
/// damaged: a walk then says what.
pub fn last_element<'a>(db: &Db<'a>, name: &[u8]) -> Option<LeafElement<'a>> {
    let (elements, _) = top_level_elements(db);
    let bucket = Bucket::parse(elements.iter().find(|element| element.key() == name)?, None).ok()?;
    let mut page = match bucket.root {
        BucketRoot::Inline { bytes, offset } => Bucket::inline_page(bytes, offset).ok()?,
        BucketRoot::Tree(root) => db.image.page(root).ok()?,
    };
    for _ in 0..tree::MAX_DEPTH {
        let last = u32::from(page.count).checked_sub(1)?;
        if page.flags == PageFlags::LEAF {
            return page.leaf_element(last);
        }
        page = db.image.page(page.branch_element(last).ok()?.child).ok()?;
    }
    None
}

/// The pages of the root, of the stored freelist and of the given top-level
/// buckets, each by itself, and what is wrong with them.
pub(crate) fn pages_of(db: &Db<'_>, buckets: &[&[u8]]) -> (Vec<PageId>, FaultLog) {
    let options = WalkOptions { threads: NonZeroUsize::MIN, only: Some(buckets), progress: None };
    match attempt(db, &(), &options, false) {
        Ok(((), report, claimed)) => (claimed.iter().skip(2).collect(), report.faults),
        Err(Irregular) => (Vec::new(), FaultLog::default()),
    }
}

/// The names of the top-level buckets, and what is wrong on the way to them.
pub fn bucket_names(db: &Db<'_>) -> (Vec<Vec<u8>>, FaultLog) {
    let (elements, faults) = top_level_elements(db);
    let buckets = elements.iter().filter(|element| element.is_bucket);
    (buckets.map(|element| element.key().to_vec()).collect(), faults)
}

/// The elements of the root: names and headers of the top-level buckets.
pub(crate) fn top_level_elements<'a>(db: &Db<'a>) -> (Vec<LeafElement<'a>>, FaultLog) {
    let claimed = PageSet::new(db.image.page_limit());
    let _ = claimed.insert_run(PageId(0), 2);
    let walker = Walker {
        image: db.image,
        fold: &(),
        claimed: &claimed,
        quick: false,
        irregular: AtomicBool::new(false),
        progress: None,
    };
    let mut report = WalkReport::default();
    let elements = walker.root_elements(db.meta.root, &mut BranchCount::default(), &mut report);
    (elements, report.faults)
}

struct Walker<'w, 'a, F> {
    image: super::Image<'a>,
    fold: &'w F,
    claimed: &'w PageSet,
    quick: bool,
    /// Set by the first worker that meets something irregular.
    irregular: AtomicBool,
    progress: Option<&'w AtomicU64>,
}

/// A run of units of one bucket.
struct Chunk<'c, 'a> {
    bucket: usize,
    units: &'c [Unit<'a>],
}

/// What a chunk came to.
struct Run<'a, P> {
    bucket: usize,
    part: P,
    faults: FaultLog,
    nested: Vec<Bucket<'a>>,
    branches: BranchCount,
    leaves: u64,
    overflow: u64,
    keys: u64,
    bytes: u64,
}

/// Parents per chunk, and leaves per chunk: some 2000 leaves either way.
const PARENTS_PER_CHUNK: usize = 16;
const LEAVES_PER_CHUNK: usize = 2000;

fn attempt<'a, F: Fold<'a>>(
    db: &Db<'a>,
    fold: &F,
    options: &WalkOptions<'_>,
    quick: bool,
) -> Result<(F::Total, WalkReport, PageSet), Irregular> {
    let image = db.image;
    let claimed = PageSet::new(image.page_limit());
    let mut report = WalkReport::default();
    let _ = claimed.insert_run(PageId(0), 2);
    let retired = claim_retired(db, &claimed, &mut report);
    let freelist = claim_freelist(db, &claimed, &mut report);
    let walker = Walker {
        image,
        fold,
        claimed: &claimed,
        quick,
        irregular: AtomicBool::new(false),
        progress: options.progress,
    };
    let mut branches = BranchCount::default();
    let mut generation = walker.top_level(db.meta.root, options.only, &mut branches, &mut report);
    let mut total = fold.total();
    while !generation.is_empty() {
        generation = walker.buckets(generation, options.threads, &mut total, &mut branches, &mut report)?;
    }
    report.pages.branch = branches.pages;
    report.pages.overflow = report.pages.overflow.saturating_add(branches.overflow);
    report.pages.in_use = claimed.len().saturating_sub(retired);
    report.pages.free = db.meta.high_water_mark.0.saturating_sub(report.pages.in_use);
    if let (Some(freelist), None) = (freelist, options.only) {
        check_freelist(db, &claimed, &freelist, &mut report.faults);
    }
    Ok((total, report, claimed))
}

/// Claims the pages that a patched database no longer uses, so that what shared
/// a page with them before is still found. Returns how many they are.
fn claim_retired(db: &Db<'_>, claimed: &PageSet, report: &mut WalkReport) -> u64 {
    let before = claimed.len();
    for (first, pages) in db.image.retired() {
        if let Err(shared) = claimed.insert_run(*first, *pages) {
            let kind = FaultKind::MultipleReferences { shared };
            report.faults.push(Fault { place: Place::page(*first), bucket: None, kind, lost: None });
        }
    }
    claimed.len().saturating_sub(before)
}

/// Claims the stored freelist's pages, before any tree can, and checks that the
/// list fits into them.
fn claim_freelist<'a>(db: &Db<'a>, claimed: &PageSet, report: &mut WalkReport) -> Option<Page<'a>> {
    let id = db.meta.freelist?;
    let found = db.image.page(id).and_then(|page| match page.flags {
        PageFlags::FREELIST => Ok(page),
        flags => Err(FaultKind::NotAFreelist { flags }),
    });
    match found {
        Ok(page) => {
            let _ = claimed.insert_run(id, page.pages());
            report.pages.freelist = page.pages();
            if let Err(kind) = free_pages(&page) {
                report.faults.push(Fault { place: Place::page(id), bucket: None, kind, lost: None });
            }
            Some(page)
        }
        Err(kind) => {
            report.faults.push(Fault { place: Place::page(id), bucket: None, kind, lost: None });
            None
        }
    }
}

/// Compares the stored freelist with what the trees use.
fn check_freelist(db: &Db<'_>, claimed: &PageSet, page: &Page<'_>, faults: &mut FaultLog) {
    let high_water_mark = db.meta.high_water_mark;
    let mut push = |page: PageId, element, kind| {
        let place = Place { page: Some(page), element, offset: None };
        faults.push(Fault { place, bucket: None, kind, lost: None });
    };
    // A list that does not fit was told of when it was claimed.
    let Ok(ids) = free_pages(page) else { return };
    let free = PageSet::new(db.image.page_limit());
    let mut previous = 0;
    for (index, id) in ids.enumerate() {
        let element = u32::try_from(index).ok();
        if id.0 < 2 || id >= high_water_mark {
            push(page.id, element, FaultKind::FreeOutOfRange { id: id.0, high_water_mark });
            continue;
        }
        if free.contains(id) {
            push(page.id, element, FaultKind::FreedTwice { id });
        } else if id.0 < previous {
            push(page.id, element, FaultKind::FreelistOrder { previous, id: id.0 });
        }
        if claimed.contains(id) {
            push(id, None, FaultKind::ReachableFreed);
        }
        free.insert(id);
        previous = id.0;
    }
    for id in (2..db.image.page_limit()).map(PageId) {
        if !claimed.contains(id) && !free.contains(id) {
            push(id, None, FaultKind::UnreachableUnfreed);
        }
    }
}

impl<'a, F: Fold<'a>> Walker<'_, 'a, F> {
    /// The elements of the root's tree, which is read from end to end.
    fn root_elements(
        &self,
        root: PageId,
        branches: &mut BranchCount,
        report: &mut WalkReport,
    ) -> Vec<LeafElement<'a>> {
        let faults = &mut report.faults;
        let units = self.list_carefully(BucketRoot::Tree(root), None, branches, faults);
        let mut all = Vec::new();
        let mut elements = Vec::new();
        for unit in &units {
            let Unit::Claimed { page, bounds, root } = unit else { continue };
            let page = self.claim_tail(*page, None, *bounds, faults);
            report.pages.leaf = report.pages.leaf.saturating_add(1);
            report.pages.overflow = report.pages.overflow.saturating_add(u64::from(page.overflow));
            self.read_leaf(&page, *bounds, *root, None, &mut elements, faults);
            all.extend_from_slice(&elements);
        }
        all
    }

    /// The top-level buckets.
    fn top_level(
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

    fn list_carefully(
        &self,
        root: BucketRoot<'a>,
        bucket: Option<&Bucket<'a>>,
        branches: &mut BranchCount,
        faults: &mut FaultLog,
    ) -> Vec<Unit<'a>> {
        tree::careful(&self.image, self.claimed, root, branches, |found| {
            faults.push(Fault {
                place: Place { page: Some(found.page), element: found.element, offset: None },
                bucket: bucket.map(|bucket| Arc::clone(&bucket.top)),
                kind: found.kind,
                lost: found.lost.map(|bounds| bounds.range()),
            });
        })
    }

    /// Walks the given buckets and returns the buckets found inside them.
    fn buckets(
        &self,
        buckets: Vec<Bucket<'a>>,
        threads: NonZeroUsize,
        total: &mut F::Total,
        branches: &mut BranchCount,
        report: &mut WalkReport,
    ) -> Result<Vec<Bucket<'a>>, Irregular> {
        let mut units = Vec::with_capacity(buckets.len());
        for bucket in &buckets {
            units.push(if self.quick {
                tree::quick(&self.image, self.claimed, bucket.root, branches)?
            } else {
                self.list_carefully(bucket.root, Some(bucket), branches, &mut report.faults)
            });
        }
        let mut chunks = Vec::new();
        for (bucket, units) in units.iter().enumerate() {
            let size = match units.first() {
                Some(Unit::Parent { .. }) => PARENTS_PER_CHUNK,
                _ => LEAVES_PER_CHUNK,
            };
            chunks.extend(units.chunks(size).map(|units| Chunk { bucket, units }));
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
        let mut entered = 0;
        let join = |run: Run<'a, F::Part>| {
            while entered <= run.bucket {
                if let Some(bucket) = buckets.get(entered) {
                    self.fold.enter(total, bucket);
                }
                entered = entered.saturating_add(1);
            }
            if let Some(bucket) = buckets.get(run.bucket) {
                self.fold.join(total, bucket, run.part);
            }
            report.faults.append(run.faults);
            report.pages.leaf = report.pages.leaf.saturating_add(run.leaves);
            report.pages.overflow = report.pages.overflow.saturating_add(run.overflow);
            branches.pages = branches.pages.saturating_add(run.branches.pages);
            branches.overflow = branches.overflow.saturating_add(run.branches.overflow);
            if let Some(counts) = report.buckets.get_mut(first_counts.saturating_add(run.bucket)) {
                counts.keys = counts.keys.saturating_add(run.keys);
                counts.bytes = counts.bytes.saturating_add(run.bytes);
            }
            nested.extend(run.nested);
        };
        ordered(&chunks, threads, |chunk| self.chunk(chunk, &buckets), join);
        if self.irregular.load(Ordering::Relaxed) {
            return Err(Irregular);
        }
        for bucket in buckets.iter().skip(entered) {
            self.fold.enter(total, bucket);
        }
        Ok(nested)
    }

    /// Works on one chunk.
    fn chunk(&self, chunk: &Chunk<'_, 'a>, buckets: &[Bucket<'a>]) -> Run<'a, F::Part> {
        // The index comes from enumerating these very buckets.
        let placeholder = Bucket::nameless();
        let bucket = buckets.get(chunk.bucket).unwrap_or(&placeholder);
        let mut run = Run {
            bucket: chunk.bucket,
            part: self.fold.part(bucket),
            faults: FaultLog::default(),
            nested: Vec::new(),
            branches: BranchCount::default(),
            leaves: 0,
            overflow: 0,
            keys: 0,
            bytes: 0,
        };
        let mut elements = Vec::new();
        for unit in chunk.units {
            if self.irregular.load(Ordering::Relaxed) {
                break;
            }
            if self.unit(unit, bucket, &mut elements, &mut run).is_err() {
                self.irregular.store(true, Ordering::Relaxed);
                break;
            }
        }
        run
    }

    fn unit(
        &self,
        unit: &Unit<'a>,
        bucket: &Bucket<'a>,
        elements: &mut Vec<LeafElement<'a>>,
        run: &mut Run<'a, F::Part>,
    ) -> Result<(), Irregular> {
        match *unit {
            Unit::Inline { bytes, offset } => match Bucket::inline_page(bytes, offset) {
                Ok(page) => self.leaf(&page, Bounds::default(), true, bucket, elements, run),
                Err(kind) => run.faults.push(Fault {
                    place: Place {
                        offset: Some(offset),
                        page: Some(self.image.page_of(offset)),
                        element: None,
                    },
                    bucket: Some(Arc::clone(&bucket.top)),
                    kind,
                    lost: Some(Bounds::default().range()),
                }),
            },
            Unit::Claimed { page, bounds, root } => {
                let page = self.claim_tail(page, Some(bucket), bounds, &mut run.faults);
                self.leaf(&page, bounds, root, bucket, elements, run);
            }
            Unit::Leaf { page, bounds, root } => {
                let page = tree::claim(&self.image, self.claimed, page, PageFlags::LEAF)?;
                self.leaf(&page, bounds, root, bucket, elements, run);
            }
            Unit::Parent { page, bounds } => {
                let parent = tree::claim(&self.image, self.claimed, page, PageFlags::BRANCH)?;
                run.branches.add(&parent);
                let mut children = Vec::with_capacity(usize::from(parent.count));
                tree::for_each_child(&parent, bounds, |element, bounds| {
                    children.push((element.child, bounds))
                })?;
                for (child, bounds) in children {
                    let page = tree::claim(&self.image, self.claimed, child, PageFlags::LEAF)?;
                    self.leaf(&page, bounds, false, bucket, elements, run);
                }
            }
        }
        Ok(())
    }

    /// Claims the overflow pages of a leaf; where one of them belongs to
    /// something else, the leaf ends before it.
    fn claim_tail(
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

    fn leaf(
        &self,
        page: &Page<'a>,
        bounds: Bounds<'a>,
        root: bool,
        bucket: &Bucket<'a>,
        elements: &mut Vec<LeafElement<'a>>,
        run: &mut Run<'a, F::Part>,
    ) {
        self.read_leaf(page, bounds, root, Some(bucket), elements, &mut run.faults);
        let inline = page.id.0 == 0;
        if !inline {
            run.leaves = run.leaves.saturating_add(1);
            run.overflow = run.overflow.saturating_add(u64::from(page.overflow));
            if let Some(progress) = self.progress {
                progress.fetch_add(page.pages(), Ordering::Relaxed);
            }
        }
        run.keys = run.keys.saturating_add(elements.len() as u64);
        for element in elements.iter() {
            run.bytes = run.bytes.saturating_add(element.key_value().len() as u64);
            if element.is_bucket {
                let found = if inline {
                    Err(FaultKind::NestedInInline)
                } else {
                    Bucket::parse(element, Some(bucket))
                };
                match found {
                    Ok(nested) => run.nested.push(nested),
                    Err(kind) => run.faults.push(Fault {
                        place: self.element_place(page, Some(element.index)),
                        bucket: Some(Arc::clone(&bucket.top)),
                        kind,
                        lost: None,
                    }),
                }
            }
        }
        let view = LeafView { page: (!inline).then_some(page.id), elements };
        self.fold.leaf(&mut run.part, bucket, &view);
    }

    fn element_place(&self, page: &Page<'a>, element: Option<u32>) -> Place {
        let offset = element.map_or(page.offset, |index| page.element_offset(index));
        Place { page: Some(self.image.page_of(offset)), element, offset: Some(offset) }
    }

    /// Reads a leaf's elements and checks their order and bounds.
    fn read_leaf(
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
        page.leaf_elements(elements, |element, kind| {
            let lost = !matches!(kind, FaultKind::ElementFlags { .. } | FaultKind::ElementsOverlap { .. });
            push(element, kind, lost.then_some(bounds));
        });
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
            if let Some(previous) = previous.filter(|previous| key <= *previous) {
                let (previous, key) = (Excerpt::of(previous), Excerpt::of(key));
                push(Some(element.index), FaultKind::KeyOrder { previous, key }, None);
            }
            previous = Some(key);
            let key_excerpt = || Excerpt::of(key);
            if let Some(lower) = bounds.lower.filter(|_| !above(key)) {
                let kind = FaultKind::KeyBelowParent { separator: Excerpt::of(lower), key: key_excerpt() };
                push(Some(element.index), kind, None);
            }
            if let Some(upper) = bounds.upper.filter(|_| !below(key)) {
                let kind = FaultKind::KeyAboveParent { separator: Excerpt::of(upper), key: key_excerpt() };
                push(Some(element.index), kind, None);
            }
        }
    }
}
