//! Pages by their own headers, where no meta tells what they are for.

use super::super::PageId;
use super::super::fault::FaultLog;
use super::super::image::Image;
use super::super::meta::PageSize;
use super::super::page::{PageFlags, RawHeader};
use super::slot::Slot;
use super::{Census, Use};

/// What the header of a page makes it, if it is used for nothing or not as it
/// says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormFound {
    /// A branch.
    Branch,
    /// A leaf.
    Leaf,
    /// A list of free pages.
    Freelist,
    /// A meta.
    Meta,
}

impl FormFound {
    /// The form of a page that has its own number and a kind that exists.
    pub(super) fn of(header: &RawHeader, id: PageId) -> Option<Self> {
        if header.id != id.0 {
            return None;
        }
        match header.flags {
            PageFlags::BRANCH => Some(Self::Branch),
            PageFlags::LEAF => Some(Self::Leaf),
            PageFlags::FREELIST => Some(Self::Freelist),
            PageFlags::META => Some(Self::Meta),
            _ => None,
        }
    }

    /// In one word.
    pub fn name(self) -> &'static str {
        self.kind().name()
    }

    fn kind(self) -> Use {
        match self {
            Self::Branch => Use::Branch,
            Self::Leaf => Use::Leaf,
            Self::Freelist => Use::Freelist,
            Self::Meta => Use::Meta,
        }
    }
}

impl Census<'_> {
    /// What a page's own header makes it.
    pub fn form(&self, id: PageId) -> Option<FormFound> {
        FormFound::of(&self.header(id)?, id)
    }
}

/// The page size that most headers fit, among the first pages that each size
/// gives. Metas do not count, as theirs may be what is lost.
fn page_size(bytes: &[u8]) -> Option<PageSize> {
    const PAGES: u64 = 4096;
    let sizes = (0..=14u32).filter_map(|shift| PageSize::new(PageSize::MIN.checked_shl(shift)?));
    let fitting = sizes.map(|size| {
        let image = Image::new(bytes, size, PageId(u64::MAX));
        let fits = |id: &u64| {
            let header = RawHeader::read(image.run(PageId(*id), 1));
            header.is_some_and(|header| FormFound::of(&header, PageId(*id)).is_some())
        };
        let pages = (bytes.len() as u64).div_ceil(size.bytes()).min(PAGES);
        ((2..pages).filter(fits).count(), size)
    });
    // The first of those that fit best.
    let (pages, size) = fitting.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    (pages > 0).then_some(size)
}

pub(super) fn by_form(bytes: &[u8]) -> Option<Census<'_>> {
    let size = page_size(bytes)?;
    let pages = (bytes.len() as u64).div_ceil(size.bytes());
    let image = Image::new(bytes, size, PageId(pages));
    let mut slots = vec![Slot::new(Use::Unknown, None, None, 0); usize::try_from(pages).ok()?];
    // The page whose overflow we are in, and where that ends.
    let mut run = None;
    for (id, slot) in (0..).map(PageId).zip(&mut slots) {
        let header = RawHeader::read(image.run(id, 1));
        let form = header.as_ref().and_then(|header| FormFound::of(header, id));
        if let (Some(form), Some(header)) = (form, header) {
            *slot = Slot::new(form.kind(), None, None, 0);
            // A page that has a header of its own ends whatever reaches it.
            run = Some((id, id.0.saturating_add(u64::from(header.overflow))));
        } else if id.0 < 2 {
            *slot = Slot::new(Use::Meta, None, None, 0);
        } else if let Some((head, _)) = run.filter(|(_, last)| id.0 <= *last) {
            *slot = Slot::new(Use::Overflow, None, Some((head, 0)), 0);
        }
    }
    Some(Census {
        image,
        db: None,
        slots,
        trees: Vec::new(),
        faults: FaultLog::default(),
        freelist_read: false,
        file_size: bytes.len() as u64,
    })
}
