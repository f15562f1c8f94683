//! One run, as it stands in the file.

use super::super::fault::{Fault, FaultKind, FaultLog, Place};
use super::super::freelist::free_pages;
use super::super::meta::{Meta, MetaFault, MetaFields};
use super::super::page::{BranchElement, LeafElement, Page, RawHeader};
use super::super::page_set::PageSet;
use super::super::tree::Bounds;
use super::super::walker::Walker;
use super::super::{FileOffset, PageId};
use super::form::FormFound;
use super::run::page;
use super::{Census, Run, Use};

/// The bytes of a run, and what its header makes of them. Nothing is believed:
/// elements that cannot be read are faults beside those that can.
#[derive(Debug, Clone, Copy)]
pub struct PageView<'a> {
    /// Where it begins in the file.
    pub offset: FileOffset,
    /// Its header; `None` if the file ends inside it.
    pub header: Option<RawHeader>,
    /// What the header makes it, if it is one at all.
    pub form: Option<FormFound>,
    /// All its bytes, the header included. Of a page that nothing uses, with the
    /// overflow that its header claims, as far as nothing else uses that either.
    pub bytes: &'a [u8],
    page: Option<Page<'a>>,
}

impl<'a> Census<'a> {
    /// A run to look into.
    pub fn view(&self, run: &Run) -> PageView<'a> {
        let overflow = self.header(run.first).map_or(0, |header| header.overflow);
        let unused = |id: &u64| self.slot(PageId(*id)).is_some_and(|slot| slot.kind.is_unused());
        let pages = if run.kind.is_unused() && self.form(run.first).is_some() {
            let behind = run.first.0.saturating_add(1)..=run.first.0.saturating_add(u64::from(overflow));
            (behind.take_while(unused).count() as u64).saturating_add(1)
        } else {
            run.pages
        };
        self.view_of(run.first, pages)
    }

    /// As [`view`](Self::view), without the overflow of pages that nothing uses:
    /// the cost of all views together is then that of the file.
    pub fn glance(&self, run: &Run) -> PageView<'a> {
        self.view_of(run.first, run.pages)
    }

    fn view_of(&self, id: PageId, pages: u64) -> PageView<'a> {
        let bytes = self.image.run(id, pages);
        let offset = self.image.offset_of(id);
        let header = RawHeader::read(bytes);
        PageView {
            offset,
            header,
            form: header.as_ref().and_then(|header| FormFound::of(header, id)),
            bytes,
            page: header.map(|header| page(header, id, bytes, offset)),
        }
    }

    /// What is wrong with the pages of a run. All of it for a leaf; for others,
    /// what was kept of the faults of the whole file.
    pub fn faults_of(&self, run: &Run) -> Vec<Fault> {
        let end = run.first.0.saturating_add(run.pages);
        let ours = |fault: &&Fault| fault.place.page.is_some_and(|page| (run.first.0..end).contains(&page.0));
        let kept: Vec<Fault> = self.faults.sorted().into_iter().filter(ours).cloned().collect();
        match self.tree_page(run.first).filter(|_| run.faulty && kept.is_empty() && run.kind == Use::Leaf) {
            Some(page) => self.recheck(run, &page),
            None => kept,
        }
    }

    /// Reads a leaf once more, where the file has more faults than are kept.
    fn recheck(&self, run: &Run, page: &Page<'a>) -> Vec<Fault> {
        let (lower, upper) = self.bounds(run);
        let claimed = PageSet::new(0);
        let walker = Walker::new(self.image, &(), &claimed, None);
        let (mut elements, mut log) = (Vec::new(), FaultLog::default());
        let root = run.depth == 0;
        walker.read_leaf(page, Bounds { lower, upper }, root, None, &mut elements, &mut log);
        log.sorted().into_iter().cloned().collect()
    }
}

impl<'a> PageView<'a> {
    /// Bytes up to the last one that the page's kind has a use for. `None` if
    /// that cannot be told.
    pub fn used(&self) -> Option<u64> {
        self.form?;
        self.page.as_ref()?.used()
    }

    /// What is behind those bytes.
    pub fn slack(&self) -> Option<&'a [u8]> {
        self.bytes.get(usize::try_from(self.used()?).ok()?..)
    }

    /// Children, and what is wrong with those that are left out.
    pub fn branch_elements(&self) -> (Vec<BranchElement<'a>>, Vec<Fault>) {
        let Some(page) = &self.page else { return Default::default() };
        let mut faults = Vec::new();
        let elements = match page.branch_elements() {
            Ok(elements) => elements,
            Err(kind) => return (Vec::new(), vec![self.fault(page, None, kind)]),
        };
        let read = elements.filter_map(|element| {
            element.map_err(|(index, kind)| faults.push(self.fault(page, Some(index), kind))).ok()
        });
        (read.collect(), faults)
    }

    /// Keys and values, and what is wrong with those that are left out.
    pub fn leaf_elements(&self) -> (Vec<LeafElement<'a>>, Vec<Fault>) {
        let Some(page) = &self.page else { return Default::default() };
        let (mut elements, mut faults) = (Vec::new(), Vec::new());
        page.leaf_elements(&mut elements, |index, kind| faults.push(self.fault(page, index, kind)));
        (elements, faults)
    }

    /// The first and the last key of a branch or leaf, without reading the rest.
    pub fn first_and_last(&self) -> Option<(&'a [u8], &'a [u8])> {
        let page = self.page.as_ref()?;
        let last = u32::from(page.count).checked_sub(1)?;
        let key = |index| match self.form? {
            FormFound::Branch => page.branch_element(index).ok().map(|element| element.key),
            FormFound::Leaf => page.leaf_element(index).map(|element| element.key()),
            FormFound::Freelist | FormFound::Meta => None,
        };
        Some((key(0)?, key(last)?))
    }

    /// The ids in a list of free pages.
    ///
    /// # Errors
    /// A list that does not fit into its pages, or no list at all.
    pub fn free_ids(&self) -> Result<Vec<PageId>, FaultKind> {
        self.page.as_ref().map_or(Ok(Vec::new()), |page| Ok(free_pages(page)?.collect()))
    }

    /// The fields of a meta.
    pub fn meta_fields(&self) -> Option<MetaFields> {
        MetaFields::read(self.bytes)
    }

    /// A meta, checked.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn meta(&self) -> Result<Meta, MetaFault> {
        Meta::parse(self.bytes)
    }

    fn fault(&self, page: &Page<'a>, element: Option<u32>, kind: FaultKind) -> Fault {
        let offset = element.map_or(page.offset, |index| page.element_offset(index));
        let place = Place { page: Some(page.id), element, offset: Some(offset) };
        Fault { place, bucket: None, kind, lost: None }
    }
}
