//! What stands at the start of every page.

use super::HEADER_SIZE;
use crate::codec::fixed::{u16_le, u32_le, u64_le};

/// The kind of a page. Exactly one of the constants in a sound file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageFlags(pub u16);

impl PageFlags {
    /// Separators and child page numbers.
    pub const BRANCH: Self = Self(0x01);
    /// Keys and values.
    pub const LEAF: Self = Self(0x02);
    /// One of the two metas.
    pub const META: Self = Self(0x04);
    /// The list of free pages.
    pub const FREELIST: Self = Self(0x10);
}

impl std::fmt::Display for PageFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::BRANCH => f.write_str("a branch page"),
            Self::LEAF => f.write_str("a leaf page"),
            Self::META => f.write_str("a meta page"),
            Self::FREELIST => f.write_str("a freelist page"),
            Self(other) => write!(f, "page flags {other:#06x}"),
        }
    }
}

/// Header at the start of every page: 16 bytes, little-endian.
///
/// | offset | size | field | meaning |
/// |--:|--:|---|---|
/// | 0 | 8 | `id` | its own number (0 inside an inline bucket) |
/// | 8 | 2 | `flags` | see [`PageFlags`] |
/// | 10 | 2 | `count` | elements that follow (freelist: `0xFFFF` means "see first entry") |
/// | 12 | 4 | `overflow` | further pages, contiguous, that belong to this one |
///
/// As read: nothing is checked yet. Source: bbolt `internal/common/page.go`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawHeader {
    /// The page's own number.
    pub id: u64,
    /// The kind of the page.
    pub flags: PageFlags,
    /// Elements that follow.
    pub count: u16,
    /// Further pages of the run.
    pub overflow: u32,
}

impl RawHeader {
    pub(crate) fn read(page: &[u8]) -> Option<Self> {
        Some(Self {
            id: u64_le(page, 0)?,
            flags: PageFlags(u16_le(page, 8)?),
            count: u16_le(page, 10)?,
            overflow: u32_le(page, 12)?,
        })
    }

    /// Whether this can be the header of page `id`: its number, a kind that there
    /// is, and no more elements than there is room for. Text and numbers that
    /// stand at the start of a page by chance do not look like it.
    pub(in crate::bolt) fn is_plausible(&self, id: u64, page_size: u64) -> bool {
        let room = u64::from(self.overflow).saturating_add(1).saturating_mul(page_size);
        let table = (HEADER_SIZE as u64).saturating_mul(u64::from(self.count).saturating_add(1));
        self.id == id
            && match self.flags {
                PageFlags::BRANCH | PageFlags::LEAF => table <= room,
                PageFlags::FREELIST => true,
                _ => false,
            }
    }

    pub(crate) fn to_bytes(self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        let fields = self
            .id
            .to_le_bytes()
            .into_iter()
            .chain(self.flags.0.to_le_bytes())
            .chain(self.count.to_le_bytes())
            .chain(self.overflow.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }
}
