//! Meta pages 0 and 1: where the root is, how far the file reaches.
//!
//! [`Meta`] is only made from bytes that passed every check here, so holding
//! one means: magic, version and checksum are right, the page size is one that
//! bbolt can write, and root and freelist lie below the high-water mark.

use super::{PageId, TxId};
use crate::codec::checksum::fnv1a_64;
use crate::codec::fixed::{u32_le, u64_le};

/// Marks a bbolt file; stored in the byte order of the machine that wrote it.
pub(crate) const MAGIC: u32 = 0xED0C_DAED;
/// The only format version there is.
pub(crate) const VERSION: u32 = 2;
/// `freelist` of a meta whose file stores no list of free pages, as etcd's.
pub const NO_FREELIST: u64 = u64::MAX;
/// Where the meta begins inside its page: after the page header.
pub(crate) const META_OFFSET: usize = 16;
/// Bytes of a meta, checksum included.
pub(crate) const META_SIZE: usize = 64;

/// Bytes per page: a power of two from 1 KiB to 16 MiB, the range that bbolt
/// itself looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u32);

impl PageSize {
    /// The smallest page size that bbolt probes for.
    pub const MIN: u32 = 1 << 10;
    /// The largest.
    pub const MAX: u32 = 1 << 24;
    /// What databases have on nearly all machines.
    pub(super) const USUAL: Self = Self(4096);

    /// Checks that `bytes` is a page size.
    pub fn new(bytes: u32) -> Option<Self> {
        (bytes.is_power_of_two() && (Self::MIN..=Self::MAX).contains(&bytes)).then_some(Self(bytes))
    }

    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        u64::from(self.0)
    }

    /// How many whole pages there are in `bytes`: the number of the page that
    /// byte lies in.
    pub(crate) fn pages_in(self, bytes: u64) -> u64 {
        bytes.checked_shr(self.0.trailing_zeros()).unwrap_or(0)
    }
}

/// A checked meta.
///
/// | offset in page | size | field | meaning |
/// |--:|--:|---|---|
/// | 16 | 4 | magic | `0xED0CDAED` |
/// | 20 | 4 | version | 2 |
/// | 24 | 4 | page size | bytes |
/// | 28 | 4 | flags | unused |
/// | 32 | 8 | root | page of the root bucket |
/// | 40 | 8 | sequence | of the root bucket, unused |
/// | 48 | 8 | freelist | its page, or [`NO_FREELIST`] |
/// | 56 | 8 | high-water mark | first page never allocated |
/// | 64 | 8 | txid | transaction that wrote this meta |
/// | 72 | 8 | checksum | FNV-1a 64 of bytes 16..72 |
///
/// Source: bbolt `internal/common/meta.go`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Bytes per page.
    pub page_size: PageSize,
    /// Page of the root bucket's tree.
    pub root: PageId,
    /// Sequence of the root bucket.
    pub sequence: u64,
    /// Page of the stored list of free pages, if one is stored.
    pub freelist: Option<PageId>,
    /// First page id that was never allocated; all pages in use lie below.
    pub high_water_mark: PageId,
    /// The transaction that wrote this meta.
    pub txid: TxId,
}

/// Why a meta page cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetaFault {
    /// The file ends before or inside the meta.
    #[error("the file ends before it")]
    Missing,
    /// The first field is not bbolt's magic number.
    #[error("expected magic {MAGIC:#010x}, found {found:#010x}")]
    Magic {
        /// What stands there instead.
        found: u32,
    },
    /// Written on a big-endian machine.
    #[error("the magic number is big-endian")]
    BigEndian,
    /// Another format version.
    #[error("expected format version {VERSION}, found {found}")]
    Version {
        /// What stands there instead.
        found: u32,
    },
    /// The checksum does not match the fields.
    #[error("stored checksum {stored:#018x}, computed {computed:#018x}")]
    Checksum {
        /// As stored.
        stored: u64,
        /// Over the fields as they are.
        computed: u64,
    },
    /// Not a power of two in 1 KiB ..= 16 MiB.
    #[error("page size {found} is no power of two from 1024 to 16777216")]
    PageSize {
        /// What the meta says.
        found: u32,
    },
    /// Root or freelist not in `2 .. high-water mark`, or that mark is absurd.
    #[error("{field} is {found}, the high-water mark {high_water_mark}")]
    OutOfRange {
        /// `root`, `freelist` or `high-water mark`.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The high-water mark beside it.
        high_water_mark: u64,
    },
}

impl Meta {
    /// Reads the meta of a page, given the page's bytes (or the first of them).
    ///
    /// # Errors
    /// The first check that fails, in upstream's order: magic, version, checksum;
    /// then the ranges that upstream leaves unchecked.
    pub fn parse(page: &[u8]) -> Result<Self, MetaFault> {
        let body = page.get(META_OFFSET..META_OFFSET + META_SIZE).ok_or(MetaFault::Missing)?;
        let word = |offset| u32_le(body, offset).ok_or(MetaFault::Missing);
        let long = |offset| u64_le(body, offset).ok_or(MetaFault::Missing);
        let magic = word(0)?;
        if magic == MAGIC.swap_bytes() {
            return Err(MetaFault::BigEndian);
        }
        if magic != MAGIC {
            return Err(MetaFault::Magic { found: magic });
        }
        let version = word(4)?;
        if version != VERSION {
            return Err(MetaFault::Version { found: version });
        }
        let (stored, computed) = (long(56)?, fnv1a_64(body.get(..56).ok_or(MetaFault::Missing)?));
        if stored != computed {
            return Err(MetaFault::Checksum { stored, computed });
        }
        let found = word(8)?;
        let page_size = PageSize::new(found).ok_or(MetaFault::PageSize { found })?;
        let high_water_mark = long(40)?;
        let in_range = |field, found| {
            if (2..high_water_mark).contains(&found) {
                Ok(PageId(found))
            } else {
                Err(MetaFault::OutOfRange { field, found, high_water_mark })
            }
        };
        if high_water_mark.checked_mul(page_size.bytes()).is_none_or(|size| size > i64::MAX as u64) {
            return Err(MetaFault::OutOfRange {
                field: "high-water mark",
                found: high_water_mark,
                high_water_mark,
            });
        }
        let root = in_range("root", long(16)?)?;
        let freelist = match long(32)? {
            NO_FREELIST => None,
            id => Some(in_range("freelist", id)?),
        };
        Ok(Self {
            page_size,
            root,
            sequence: long(24)?,
            freelist,
            high_water_mark: PageId(high_water_mark),
            txid: TxId(long(48)?),
        })
    }

    /// The meta as the bytes of a whole page `number` (0 or 1), zeros behind it.
    pub fn to_page(&self, number: u64) -> Vec<u8> {
        let mut page = Vec::with_capacity(usize::try_from(self.page_size.bytes()).unwrap_or(0));
        page.extend_from_slice(&number.to_le_bytes());
        page.extend_from_slice(&super::page::PageFlags::META.0.to_le_bytes());
        page.extend_from_slice(&[0; 6]);
        let mut body = Vec::with_capacity(META_SIZE);
        body.extend_from_slice(&MAGIC.to_le_bytes());
        body.extend_from_slice(&VERSION.to_le_bytes());
        body.extend_from_slice(&self.page_size.0.to_le_bytes());
        body.extend_from_slice(&[0; 4]);
        body.extend_from_slice(&self.root.0.to_le_bytes());
        body.extend_from_slice(&self.sequence.to_le_bytes());
        body.extend_from_slice(&self.freelist.map_or(NO_FREELIST, |id| id.0).to_le_bytes());
        body.extend_from_slice(&self.high_water_mark.0.to_le_bytes());
        body.extend_from_slice(&self.txid.0.to_le_bytes());
        let checksum = fnv1a_64(&body);
        body.extend_from_slice(&checksum.to_le_bytes());
        page.extend_from_slice(&body);
        page.resize(usize::try_from(self.page_size.bytes()).unwrap_or(page.len()), 0);
        page
    }

    /// Bytes of the database: all pages below the high-water mark. What etcd
    /// calls the total size.
    pub fn image_size(&self) -> u64 {
        // `parse` refused a mark for which this would not fit.
        self.high_water_mark.0.saturating_mul(self.page_size.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(txid: u64) -> Meta {
        Meta {
            page_size: PageSize::new(4096).expect("a page size"),
            root: PageId(3),
            sequence: 0,
            freelist: Some(PageId(2)),
            high_water_mark: PageId(4),
            txid: TxId(txid),
        }
    }

    #[test]
    fn checksums_of_a_fresh_database_are_upstreams() {
        for (txid, checksum) in [(0, 0x0751_6e11_4689_fdee_u64), (1, 0x264c_351a_5179_480f)] {
            let page = fresh(txid).to_page(txid);
            assert_eq!(u64_le(&page, 72), Some(checksum));
            assert_eq!(Meta::parse(&page), Ok(fresh(txid)));
            assert_eq!(page.len(), 4096);
        }
    }

    #[test]
    fn each_check_refuses_its_fault() {
        let good = fresh(1).to_page(0);
        assert_eq!(Meta::parse(&good[..79]), Err(MetaFault::Missing));
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut page = good.clone();
            change(&mut page);
            Meta::parse(&page).expect_err("a fault")
        };
        assert!(matches!(with(&|p| p[16] = 0), MetaFault::Magic { .. }));
        assert_eq!(with(&|p| p[16..20].reverse()), MetaFault::BigEndian);
        assert_eq!(with(&|p| p[20] = 3), MetaFault::Version { found: 3 });
        assert!(matches!(with(&|p| p[64] ^= 1), MetaFault::Checksum { .. }));
        let meta = |change: &dyn Fn(&mut Meta)| {
            let mut meta = fresh(1);
            change(&mut meta);
            Meta::parse(&meta.to_page(0)).expect_err("a fault")
        };
        assert!(matches!(meta(&|m| m.root = PageId(4)), MetaFault::OutOfRange { field: "root", .. }));
        assert!(matches!(meta(&|m| m.root = PageId(1)), MetaFault::OutOfRange { field: "root", .. }));
        assert!(matches!(
            meta(&|m| m.freelist = Some(PageId(9))),
            MetaFault::OutOfRange { field: "freelist", .. }
        ));
        assert!(matches!(
            meta(&|m| m.high_water_mark = PageId(u64::MAX / 2)),
            MetaFault::OutOfRange { field: "high-water mark", .. }
        ));
        let mut odd = good.clone();
        odd[24..28].copy_from_slice(&3000u32.to_le_bytes());
        let sum = fnv1a_64(&odd[16..72]);
        odd[72..80].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(Meta::parse(&odd), Err(MetaFault::PageSize { found: 3000 }));
    }
}
