//! One pass over every page that is in use, checking each and handing every
//! leaf to a [`Fold`].
//!
//! The first attempt takes the tree for sound ([`tree::quick`]) and runs side by
//! side from the start. If a page then turns out not to be where a sound tree
//! has it, everything is dropped and the pass is made again from a list of
//! leaves that was checked page by page ([`tree::careful`]). So a sound file is
//! read once, a damaged one at most twice, and what is reported never depends
//! on which thread was faster.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use super::PageId;
use super::bucket::Bucket;
use super::db::Db;
use super::fault::{Fault, FaultKind, FaultLog, Place};
use super::fold::{Fold, LeafView};
use super::freelist::free_pages;
use super::page::{LeafElement, Page, PageFlags};
use super::page_set::PageSet;
use super::plan::{Careful, Plan, Quick};
use super::tree::{BranchCount, Irregular};
use super::walker::Walker;

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

impl WalkReport {
    /// Whether there is damage in the top-level bucket `name`, or on the way to
    /// it, and not one of its elements could be read.
    pub fn is_lost(&self, name: &[u8]) -> bool {
        let bucket = self.buckets.iter().find(|bucket| bucket.depth == 0 && bucket.name == name);
        let here = |fault: &&Fault| match &fault.bucket {
            // What is no bucket stands in the list of buckets in the place of some.
            Some(top) => {
                **top == *name || bucket.is_none() && matches!(fault.kind, FaultKind::NotABucket { .. })
            }
            // What is lost of the root are names of buckets.
            None => bucket.is_none() && (fault.lost.is_some() || fault.kind.may_hide_elements()),
        };
        bucket.is_none_or(|bucket| bucket.keys == 0) && self.faults.sorted().iter().any(here)
    }
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
    let (total, report, _) = walk_claiming(db, fold, options);
    (total, report)
}

/// As [`walk`], and which pages are in use.
pub(super) fn walk_claiming<'a, F: Fold<'a>>(
    db: &Db<'a>,
    fold: &F,
    options: &WalkOptions<'_>,
) -> (F::Total, WalkReport, PageSet) {
    attempt::<Quick, _>(db, fold, options).unwrap_or_else(|Irregular| {
        if let Some(progress) = options.progress {
            progress.store(0, Ordering::Relaxed);
        }
        let Ok(walked) = attempt::<Careful, _>(db, fold, options);
        walked
    })
}

/// Collects the elements of buckets.
struct Collect;

/// Elements by the names of their top-level buckets.
type Collected<'a> = BTreeMap<&'a [u8], Vec<LeafElement<'a>>>;

impl<'a> Fold<'a> for Collect {
    type Part = Vec<LeafElement<'a>>;
    type Total = Collected<'a>;

    fn total(&self) -> Self::Total {
        Collected::new()
    }

    fn part(&self, _: &Bucket<'a>) -> Self::Part {
        Vec::new()
    }

    fn leaf(&self, part: &mut Self::Part, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        if bucket.depth == 0 {
            part.extend_from_slice(leaf.elements);
        }
    }

    fn join(&self, total: &mut Self::Total, bucket: &Bucket<'a>, part: Self::Part) {
        if bucket.depth == 0 {
            total.entry(bucket.name).or_default().extend(part);
        }
    }
}

/// All elements of some top-level buckets, each in order, and what is wrong with
/// their trees or the way there. For buckets that are known to be small: memory
/// follows the number of elements. A bucket that is not there has none.
pub fn small_buckets<'a>(db: &Db<'a>, names: &[&[u8]]) -> (Collected<'a>, WalkReport) {
    let options = WalkOptions { threads: NonZeroUsize::MIN, only: Some(names), progress: None };
    walk(db, &Collect, &options)
}

/// As [`small_buckets`], of one bucket.
pub fn small_bucket<'a>(db: &Db<'a>, name: &[u8]) -> (Vec<LeafElement<'a>>, FaultLog) {
    let (mut collected, report) = small_buckets(db, &[name]);
    (collected.remove(name).unwrap_or_default(), report.faults)
}

/// The pages of the root, of the stored freelist and of the given top-level
/// buckets, each by itself, and what is wrong with them.
pub(crate) fn pages_of(db: &Db<'_>, buckets: &[&[u8]]) -> (Vec<PageId>, FaultLog) {
    let options = WalkOptions { threads: NonZeroUsize::MIN, only: Some(buckets), progress: None };
    let Ok(((), report, claimed)) = attempt::<Careful, _>(db, &(), &options);
    (claimed.iter().skip(2).collect(), report.faults)
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
    let walker = Walker::new(db.image, &(), &claimed, None);
    let mut report = WalkReport::default();
    let elements = walker.root_elements(db.meta.root, &mut BranchCount::default(), &mut report);
    (elements, report.faults)
}

/// Walks by one plan; what may keep it from an end is the plan's to say.
fn attempt<'a, P: Plan, F: Fold<'a>>(
    db: &Db<'a>,
    fold: &F,
    options: &WalkOptions<'_>,
) -> Result<(F::Total, WalkReport, PageSet), P::Misfit> {
    let image = db.image;
    let claimed = PageSet::new(image.page_limit());
    let mut report = WalkReport::default();
    let _ = claimed.insert_run(PageId(0), 2);
    let retired = claim_retired(db, &claimed, &mut report);
    let freelist = claim_freelist(db, &claimed, &mut report);
    let walker = Walker::new(image, fold, &claimed, options.progress);
    let mut branches = BranchCount::default();
    let mut generation = walker.top_level(db.meta.root, options.only, &mut branches, &mut report);
    let mut total = fold.total();
    while !generation.is_empty() {
        generation =
            walker.buckets::<P>(generation, options.threads, &mut total, &mut branches, &mut report)?;
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
pub(super) fn claim_freelist<'a>(
    db: &Db<'a>,
    claimed: &PageSet,
    report: &mut WalkReport,
) -> Option<Page<'a>> {
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
pub(super) fn check_freelist(db: &Db<'_>, claimed: &PageSet, page: &Page<'_>, faults: &mut FaultLog) {
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
