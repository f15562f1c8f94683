//! Taking the census of a database: the careful plan, page by page.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::bucket::{Bucket, BucketRoot};
use super::super::db::Db;
use super::super::fault::{Excerpt, Fault, FaultKind, FaultLog, Place};
use super::super::freelist::free_pages;
use super::super::ordered::ordered;
use super::super::page::{Page, PageFlags};
use super::super::page_set::PageSet;
use super::super::tree::{self, Bounds, BranchCount, Event, Seen, Visited};
use super::super::walk::{WalkReport, check_freelist, claim_freelist};
use super::super::walker::Walker;
use super::super::{FileOffset, PageId};
use super::slot::{FAULTY, LISTED, SHARED, Slot};
use super::{Census, Level, Tree, Use};

/// A census that is being taken.
struct Taking<'t, 'a> {
    walker: Walker<'t, 'a, ()>,
    threads: NonZeroUsize,
    progress: Option<&'t AtomicU64>,
    slots: Vec<Slot>,
    trees: Vec<Tree<'a>>,
    faults: FaultLog,
}

/// A leaf that is to be read.
struct Job<'a> {
    page: Page<'a>,
    bounds: Bounds<'a>,
    root: bool,
    depth: u32,
}

/// What a run of leaves came to.
#[derive(Default)]
struct Read<'a> {
    faults: FaultLog,
    faulty: Vec<PageId>,
    nested: Vec<Found<'a>>,
    levels: Vec<Level>,
}

/// A bucket, and the page and element it was found in.
struct Found<'a> {
    bucket: Bucket<'a>,
    place: (PageId, u32),
    parent: usize,
}

pub(super) fn take<'a>(db: &Db<'a>, threads: NonZeroUsize, progress: Option<&AtomicU64>) -> Census<'a> {
    let image = db.image;
    let limit = usize::try_from(image.page_limit()).unwrap_or(usize::MAX);
    let claimed = PageSet::new(image.page_limit());
    let _ = claimed.insert_run(PageId(0), 2);
    let mut taking = Taking {
        walker: Walker::new(image, &(), &claimed, None),
        threads,
        progress,
        slots: vec![Slot::UNREACHED; limit],
        trees: Vec::new(),
        faults: FaultLog::default(),
    };
    for (id, meta) in (0..2).map(PageId).zip(&db.metas) {
        taking.place(id, Slot::new(Use::Meta, None, None, 0));
        let sound = image.meta_header(id.0) == Some((id.0, PageFlags::META));
        if meta.is_err() || !sound {
            taking.mark(id, FAULTY);
        }
    }
    let freelist = taking.freelist(db, &claimed);
    taking.trees.push(Tree {
        name: &[],
        parent: None,
        nesting: 0,
        top: 0,
        place: None,
        root: BucketRoot::Tree(db.meta.root),
        sequence: db.meta.sequence,
        levels: Vec::new(),
        faults: 0,
    });
    let mut generation = taking.tree(0, None);
    while !generation.is_empty() {
        let mut next = Vec::new();
        for Found { bucket, place, parent } in generation {
            let index = taking.trees.len();
            let nesting = bucket.depth.saturating_add(1);
            taking.trees.push(Tree {
                name: bucket.name,
                parent: Some(parent),
                nesting,
                top: if nesting == 1 { index } else { taking.trees.get(parent).map_or(0, |up| up.top) },
                place: Some(place),
                root: bucket.root,
                sequence: bucket.sequence,
                levels: Vec::new(),
                faults: 0,
            });
            next.extend(taking.tree(index, Some(&bucket)));
        }
        generation = next;
    }
    let freelist_read = taking.free(db, &claimed, freelist.as_ref());
    let Taking { slots, trees, faults, .. } = taking;
    Census { image, db: Some(*db), slots, trees, faults, freelist_read, file_size: db.file_size }
}

impl<'a> Taking<'_, 'a> {
    fn slot(&mut self, id: PageId) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(id.0).ok()?)
    }

    fn place(&mut self, id: PageId, slot: Slot) {
        if let Some(at) = self.slot(id) {
            at.becomes(slot);
        }
    }

    /// Marks a page, and the first of its run.
    fn mark(&mut self, id: PageId, mark: u8) {
        let Some(slot) = self.slot(id) else { return };
        slot.mark(mark);
        let head = slot.from().filter(|_| slot.kind == Use::Overflow);
        if let Some(slot) = head.and_then(|(head, _)| self.slot(head)) {
            slot.mark(mark);
        }
    }

    /// The pages behind the first of a run of `pages`.
    fn tail(&mut self, head: PageId, pages: u64, tree: Option<usize>, depth: u32) {
        for id in (head.0..head.0.saturating_add(pages)).skip(1) {
            self.place(PageId(id), Slot::new(Use::Overflow, tree, Some((head, 0)), depth));
        }
    }

    fn freelist(&mut self, db: &Db<'a>, claimed: &PageSet) -> Option<Page<'a>> {
        let id = db.meta.freelist?;
        let mut report = WalkReport::default();
        let page = claim_freelist(db, claimed, &mut report);
        let kind = if page.is_some() { Use::Freelist } else { Use::Bad };
        self.place(id, Slot::new(kind, None, None, 0));
        if let Some(page) = &page {
            self.tail(id, page.pages(), None, 0);
        }
        if !report.faults.is_empty() {
            self.mark(id, FAULTY);
        }
        self.faults.append(report.faults);
        page
    }

    /// Reads one tree and returns the buckets in it.
    fn tree(&mut self, index: usize, bucket: Option<&Bucket<'a>>) -> Vec<Found<'a>> {
        let Some(root) = self.trees.get(index).map(|tree| tree.root) else { return Vec::new() };
        let before = self.faults.len();
        let mut levels = Vec::new();
        let (image, claimed) = (self.walker.image, self.walker.claimed);
        let listed = tree::careful(&image, claimed, root, &mut BranchCount::default(), |event| match event {
            Event::Visited(visited) => self.visited(index, &visited, &mut levels),
            Event::Fault(fault) => self.fault(fault.of_bucket(bucket)),
        });
        let jobs: Vec<Job<'a>> =
            listed.into_iter().filter_map(|seen| self.job(index, bucket, seen)).collect();
        let nested = self.leaves(index, bucket, &jobs, &mut levels);
        let faults = self.faults.len().saturating_sub(before);
        if let Some(tree) = self.trees.get_mut(index) {
            tree.levels = levels;
            tree.faults = faults;
        }
        nested
    }

    fn fault(&mut self, fault: Fault) {
        if let Some(page) = fault.place.page {
            self.mark(page, FAULTY);
            if let FaultKind::MultipleReferences { shared } = fault.kind {
                self.mark(page, SHARED);
                self.mark(shared, SHARED);
            }
        }
        self.faults.push(fault);
    }

    fn visited(&mut self, tree: usize, visited: &Visited<'_, 'a>, levels: &mut Vec<Level>) {
        let Visited { id, from, depth, found, .. } = *visited;
        let from_root = self.trees.get(tree).and_then(|tree| tree.place);
        match found {
            Ok(page) => {
                let branch = page.flags == PageFlags::BRANCH;
                let kind = if branch { Use::Branch } else { Use::Leaf };
                self.place(id, Slot::new(kind, Some(tree), from, depth));
                if branch {
                    self.tail(id, page.pages(), Some(tree), depth);
                    let more = Level {
                        branches: 1,
                        leaves: 0,
                        overflow: u64::from(page.overflow),
                        elements: u64::from(page.count),
                        keys: 0,
                        used: page.used().unwrap_or(0),
                    };
                    add(levels, depth, &more);
                }
            }
            Err(_) => match self.slot(id).map(|slot| (slot.kind, slot.from())) {
                Some((Use::Free, None)) => {
                    self.place(id, Slot::new(Use::Bad, Some(tree), from, depth));
                }
                // What it leads to belongs to another already.
                Some((kind, _)) if kind != Use::Meta => {}
                // It leads nowhere: so the page that says so is wrong.
                _ => {
                    if let Some((page, _)) = from.or(from_root) {
                        self.mark(page, FAULTY);
                    }
                }
            },
        }
    }

    /// A leaf's run is claimed when all first pages are: see [`Seen::Leaf`].
    fn job(&mut self, tree: usize, bucket: Option<&Bucket<'a>>, seen: Seen<'a>) -> Option<Job<'a>> {
        match seen {
            Seen::Leaf { page, bounds, root } => {
                let depth = self.slot(page.id).map_or(0, |slot| slot.depth());
                let mut log = FaultLog::default();
                let page = self.walker.claim_tail(page, bucket, bounds, &mut log);
                let pages = self.walker.image.page_size().pages_in(page.bytes.len() as u64);
                self.tail(page.id, pages, Some(tree), depth);
                if !log.is_empty() {
                    self.mark(page.id, FAULTY | SHARED);
                    self.mark(PageId(page.id.0.saturating_add(pages)), SHARED);
                    self.faults.append(log);
                }
                Some(Job { page, bounds, root, depth })
            }
            Seen::Inline { bytes, offset } => match Bucket::inline_page(bytes, offset) {
                Ok(page) => Some(Job { page, bounds: Bounds::default(), root: true, depth: 0 }),
                Err(kind) => {
                    self.inline_fault(bucket, offset, kind);
                    None
                }
            },
        }
    }

    fn inline_fault(&mut self, bucket: Option<&Bucket<'a>>, offset: FileOffset, kind: FaultKind) {
        let page = Some(self.walker.image.page_of(offset));
        self.fault(Fault {
            place: Place { offset: Some(offset), page, element: None },
            bucket: bucket.map(|bucket| Arc::clone(&bucket.top)),
            kind,
            lost: Some(Bounds::default().range()),
        });
    }

    /// Reads leaves, side by side.
    fn leaves(
        &mut self,
        tree: usize,
        bucket: Option<&Bucket<'a>>,
        jobs: &[Job<'a>],
        levels: &mut Vec<Level>,
    ) -> Vec<Found<'a>> {
        const CHUNK: usize = 1000;
        let mut nested = Vec::new();
        let chunks: Vec<&[Job<'a>]> = jobs.chunks(CHUNK).collect();
        let mut faulty = Vec::new();
        let mut faults = std::mem::take(&mut self.faults);
        let walker = &self.walker;
        ordered(
            &chunks,
            self.threads,
            |chunk| read(walker, tree, bucket, chunk),
            |part| {
                faults.append(part.faults);
                faulty.extend(part.faulty);
                nested.extend(part.nested);
                for (depth, more) in (0..).zip(&part.levels) {
                    add(levels, depth, more);
                }
                if let Some(progress) = self.progress {
                    let pages = part.levels.iter().map(Level::pages).sum();
                    progress.fetch_add(pages, Ordering::Relaxed);
                }
            },
        );
        self.faults = faults;
        for page in faulty {
            self.mark(page, FAULTY);
        }
        nested
    }

    /// Tells free from in use. Whether there is a list of free pages.
    fn free(&mut self, db: &Db<'a>, claimed: &PageSet, freelist: Option<&Page<'a>>) -> bool {
        for (id, slot) in (0..).zip(&mut self.slots) {
            // Claimed by a branch whose run then turned out to be another's.
            if slot.kind == Use::Free && claimed.contains(PageId(id)) {
                slot.becomes(Slot::new(Use::Bad, None, None, 0));
                slot.mark(FAULTY | SHARED);
            }
        }
        let Some((page, ids)) = freelist.and_then(|page| Some((page, free_pages(page).ok()?))) else {
            return false;
        };
        for id in ids {
            if let Some(slot) = self.slot(id).filter(|_| id.0 >= 2) {
                slot.mark(LISTED);
                if slot.kind != Use::Free {
                    self.mark(id, FAULTY);
                }
            }
        }
        for slot in &mut self.slots {
            if slot.kind == Use::Free && !slot.is(LISTED) {
                slot.kind = Use::Leaked;
                slot.mark(FAULTY);
            }
        }
        let mut log = FaultLog::default();
        check_freelist(db, claimed, page, &mut log);
        // Of each kind the first are kept, so one of the list's own is among them.
        if log.sorted().iter().any(|fault| fault.place.page == Some(page.id)) {
            self.mark(page.id, FAULTY);
        }
        self.faults.append(log);
        true
    }
}

/// Adds to the level at `depth`.
fn add(levels: &mut Vec<Level>, depth: u32, more: &Level) {
    let depth = depth.min(tree::MAX_DEPTH) as usize;
    if levels.len() <= depth {
        levels.resize(depth.saturating_add(1), Level::default());
    }
    if let Some(level) = levels.get_mut(depth) {
        level.add(more);
    }
}

/// Reads the leaves of one chunk.
fn read<'a>(
    walker: &Walker<'_, 'a, ()>,
    tree: usize,
    bucket: Option<&Bucket<'a>>,
    jobs: &[Job<'a>],
) -> Read<'a> {
    let mut read = Read::default();
    let mut elements = Vec::new();
    for job in jobs {
        let page = &job.page;
        let before = read.faults.len();
        walker.read_leaf(page, job.bounds, job.root, bucket, &mut elements, &mut read.faults);
        let inline = page.id.0 == 0;
        for element in &elements {
            let found = match (element.is_bucket, bucket) {
                (true, Some(_)) if inline => Err(FaultKind::NestedInInline),
                (true, parent) => Bucket::parse(element, parent),
                (false, None) => Err(FaultKind::NotABucket { key: Excerpt::of(element.key()) }),
                (false, Some(_)) => continue,
            };
            match found {
                Ok(bucket) => {
                    read.nested.push(Found { bucket, place: (page.id, element.index), parent: tree });
                }
                Err(kind) => read.faults.push(Fault {
                    place: walker.element_place(page, Some(element.index)),
                    bucket: Some(
                        bucket.map_or_else(|| element.key().into(), |bucket| Arc::clone(&bucket.top)),
                    ),
                    kind,
                    lost: None,
                }),
            }
        }
        if read.faults.len() != before {
            read.faulty.push(if inline { walker.image.page_of(page.offset) } else { page.id });
        }
        let pages = walker.image.page_size().pages_in(page.bytes.len() as u64);
        let more = Level {
            branches: 0,
            leaves: u64::from(!inline),
            overflow: if inline { 0 } else { pages.saturating_sub(1) },
            elements: elements.len() as u64,
            keys: elements.len() as u64,
            used: page.used().unwrap_or(0),
        };
        add(&mut read.levels, job.depth, &more);
    }
    read
}
