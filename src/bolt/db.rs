//! Opening a file: page size, the two metas, which of them holds.

use super::image::Image;
use super::meta::{MAGIC, META_OFFSET, META_SIZE, Meta, MetaFault, PageSize};
use super::{PageId, TxId};
use crate::codec::fixed::u32_le;

/// A database: its pages, seen through the meta that was chosen.
///
/// Opening touches the metas only. Whether the pages are sound, a
/// [`walk`](super::walk()) tells.
#[derive(Debug, Clone, Copy)]
pub struct Db<'a> {
    /// The pages below the high-water mark.
    pub image: Image<'a>,
    /// The meta that holds.
    pub meta: Meta,
    /// Both metas as they are in the file.
    pub metas: [Result<Meta, MetaFault>; 2],
    /// Which of the two is `meta`: 0 or 1.
    pub active: usize,
    /// Bytes that the file has.
    pub file_size: u64,
}

/// Why a file is no bbolt database that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// Too short to hold the metas.
    #[error("the file has {size} bytes, too few for a bbolt database")]
    TooShort {
        /// Bytes of the file.
        size: u64,
    },
    /// Nothing in the file looks like a meta.
    #[error("expected bbolt magic {MAGIC:#010x} at offset 0x10, found {found:#010x}")]
    NotBolt {
        /// What stands at offset 16.
        found: u32,
    },
    /// Written on a big-endian machine, whose byte order bbolt keeps.
    #[error("the database was written on a big-endian machine")]
    BigEndian,
    /// Neither meta can be used.
    #[error("both metas are unusable: meta 0: {first}; meta 1: {second}")]
    BothMetas {
        /// What is wrong with meta 0.
        first: MetaFault,
        /// What is wrong with meta 1.
        second: MetaFault,
    },
}

impl<'a> Db<'a> {
    /// Opens a database that begins at the first of `bytes`; more bytes than it
    /// has pages may follow.
    ///
    /// Of two good metas the one with the higher transaction id holds, as in
    /// bbolt. A file shorter than its pages opens as well: what is missing shows
    /// as [`BeyondFile`](super::FaultKind::BeyondFile) where it is missed, and as
    /// [`Db::missing_bytes`].
    ///
    /// # Errors
    /// [`OpenError`] if there is no usable meta.
    pub fn open(bytes: &'a [u8]) -> Result<Self, OpenError> {
        let file_size = bytes.len() as u64;
        if bytes.is_empty() {
            return Err(OpenError::Empty);
        }
        let first = Meta::parse(bytes);
        let second_offset = match first {
            Ok(meta) => Some(meta.page_size),
            // The page size is only known from meta 1, so look where it can be.
            Err(_) => find_second_meta(bytes),
        };
        let second = second_offset.map_or(Err(MetaFault::Missing), |page_size| {
            Meta::parse(
                usize::try_from(page_size.bytes()).ok().and_then(|at| bytes.get(at..)).unwrap_or_default(),
            )
        });
        let (active, meta) = match (first, second) {
            (Ok(first), Ok(second)) if second.txid > first.txid => (1, second),
            (Ok(first), _) => (0, first),
            (Err(_), Ok(second)) => (1, second),
            (Err(first), Err(second)) => return Err(unusable(bytes, first, second)),
        };
        let image = Image::new(bytes, meta.page_size, meta.high_water_mark);
        Ok(Self { image, meta, metas: [first, second], active, file_size })
    }

    /// The database as it will be once `image` and `meta` are written.
    pub(crate) fn of_image(image: Image<'a>, meta: Meta) -> Self {
        Self { image, meta, metas: [Ok(meta), Ok(meta)], active: 0, file_size: meta.image_size() }
    }

    /// A database whose root is taken to be at `root`, all of `bytes` being its pages:
    /// where there is no meta to say so.
    pub(crate) fn with_root(bytes: &'a [u8], page_size: PageSize, root: PageId) -> Self {
        let high_water_mark = PageId((bytes.len() as u64).div_ceil(page_size.bytes()));
        let meta = Meta { page_size, root, sequence: 0, freelist: None, high_water_mark, txid: TxId(0) };
        let image = Image::new(bytes, page_size, high_water_mark);
        let missing = Err(MetaFault::Missing);
        Self { image, meta, metas: [missing, missing], active: 0, file_size: bytes.len() as u64 }
    }

    /// The database as the other of two good metas has it, if that is another tree.
    pub(crate) fn other_tree(&self, bytes: &'a [u8]) -> Option<Self> {
        let active = self.active ^ 1;
        let meta = (*self.metas.get(active)?).ok()?;
        let image = Image::new(bytes, meta.page_size, meta.high_water_mark);
        (meta.root != self.meta.root).then_some(Self { image, meta, active, ..*self })
    }

    /// How many bytes the file lacks to hold all pages, 0 in a whole file.
    pub fn missing_bytes(&self) -> u64 {
        self.meta.image_size().saturating_sub(self.file_size)
    }

    /// Whether the metas look as a snapshot stream leaves them: the same tree in
    /// both, page 0 one transaction ahead.
    pub fn is_snapshot_stream(&self) -> bool {
        match self.metas {
            [Ok(first), Ok(second)] => {
                second.txid.0.checked_add(1) == Some(first.txid.0)
                    && Meta { txid: first.txid, ..second } == first
            }
            _ => false,
        }
    }
}

/// Where a damaged meta 0 leaves the page size unknown: the first place at
/// which a good meta 1 can stand.
fn find_second_meta(bytes: &[u8]) -> Option<PageSize> {
    (0..=14)
        .map_while(|shift| {
            let size = PageSize::MIN << shift;
            let at = usize::try_from(size).ok()?;
            // As upstream: not in the last KiB of a file.
            (at < bytes.len().checked_sub(PageSize::MIN as usize)?).then_some((size, at))
        })
        .find_map(|(size, at)| {
            let meta = Meta::parse(bytes.get(at..)?).ok()?;
            PageSize::new(size).filter(|found| *found == meta.page_size)
        })
}

fn unusable(bytes: &[u8], first: MetaFault, second: MetaFault) -> OpenError {
    match first {
        MetaFault::Missing => OpenError::TooShort { size: bytes.len() as u64 },
        MetaFault::BigEndian => OpenError::BigEndian,
        MetaFault::Magic { found } if u32_le(bytes, 4096 + META_OFFSET) != Some(MAGIC) => {
            OpenError::NotBolt { found }
        }
        _ if bytes.len() < META_OFFSET + META_SIZE => OpenError::TooShort { size: bytes.len() as u64 },
        _ => OpenError::BothMetas { first, second },
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PageId, TxId};
    use super::*;

    fn metas(page_size: u32, first: u64, second: u64) -> Vec<u8> {
        let meta = |txid| Meta {
            page_size: PageSize::new(page_size).expect("a page size"),
            root: PageId(2),
            sequence: 0,
            freelist: None,
            high_water_mark: PageId(3),
            txid: TxId(txid),
        };
        let mut file = meta(first).to_page(0);
        file.extend(meta(second).to_page(1));
        file.resize(3 * page_size as usize, 0);
        file
    }

    #[test]
    fn the_higher_transaction_holds() {
        for (first, second, active) in [(8, 7, 0), (8, 9, 1)] {
            let file = metas(4096, first, second);
            let db = Db::open(&file).expect("a database");
            assert_eq!((db.active, db.meta.txid), (active, TxId(first.max(second))));
            assert_eq!(db.is_snapshot_stream(), active == 0);
        }
    }

    #[test]
    fn a_damaged_first_meta_is_passed_over_at_any_page_size() {
        for page_size in [1024, 4096, 8192, 65536] {
            let mut file = metas(page_size, 8, 7);
            file[17] ^= 1;
            let db = Db::open(&file).expect("a database");
            assert_eq!((db.active, db.meta.page_size.bytes()), (1, u64::from(page_size)));
            assert!(db.metas[0].is_err());
        }
    }

    #[test]
    fn what_is_no_database_is_told_apart() {
        assert!(matches!(Db::open(b""), Err(OpenError::Empty)));
        assert!(matches!(Db::open(&[1; 40]), Err(OpenError::TooShort { size: 40 })));
        assert!(matches!(Db::open(&[b'x'; 9000]), Err(OpenError::NotBolt { found: 0x7878_7878 })));
        let mut file = metas(4096, 8, 7);
        file[16..20].reverse();
        file[4096 + 16..4096 + 20].reverse();
        assert!(matches!(Db::open(&file), Err(OpenError::BigEndian)));
        let mut file = metas(4096, 8, 7);
        file[40] ^= 1;
        file[4096 + 40] ^= 1;
        assert!(matches!(Db::open(&file), Err(OpenError::BothMetas { .. })));
    }

    #[test]
    fn a_short_file_opens_and_says_what_is_missing() {
        let file = metas(4096, 8, 7);
        assert_eq!(Db::open(&file[..8192 + 100]).expect("a database").missing_bytes(), 4096 - 100);
    }
}
