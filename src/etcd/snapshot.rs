//! A snapshot file: a database image, and behind it 32 bytes of SHA-256.
//!
//! ```text
//! 0                          high-water mark * page size        + 32
//! ├─ pages ─────────────────────────────────────────┼─ digest ─┤
//! ```
//!
//! Copies of a member's `db` have no digest and may have room behind the pages.
//! Source: etcd `server/etcdserver/api/v3rpc/maintenance.go`,
//! `client/v3/snapshot/v3_snapshot.go` @ v3.6.14.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bolt::{Db, OpenError};
use crate::codec::checksum::Sha256Stream;
use crate::codec::fixed::array_at;
use crate::source::{Source, SourceError};

/// Bytes of the digest behind a snapshot's pages.
pub const DIGEST_SIZE: u64 = 32;
/// Page sizes are multiples of this, so a file with a digest is 32 bytes more
/// than one. The rule by which upstream knows a digest.
const SECTOR: u64 = 512;

/// What stands behind the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trailer {
    /// Exactly the digest.
    Digest([u8; 32]),
    /// Nothing: the file ends with its last page.
    None,
    /// Room that a running etcd had set aside: whole sectors.
    Slack(u64),
    /// By its length the file has a digest at its end, but its pages do not end
    /// where the digest begins. Upstream takes the last 32 bytes for a digest.
    Misplaced {
        /// The last 32 bytes.
        digest: [u8; 32],
        /// Where the pages end.
        image_size: u64,
    },
    /// Some bytes that are neither digest nor whole sectors.
    Odd(u64),
    /// The pages do not end inside the file.
    Missing(u64),
}

/// How the digest fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestVerdict {
    /// There is no digest.
    Absent,
    /// The bytes are those that were saved.
    Matches,
    /// They are not.
    Differs {
        /// As stored behind the pages.
        stored: [u8; 32],
        /// Of the bytes as they are.
        computed: [u8; 32],
    },
}

/// An open snapshot. Owns its bytes, so it can be kept and shared.
#[derive(Debug, Clone)]
pub struct Snapshot {
    source: Arc<Source>,
}

/// Why a snapshot cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The file cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is no database.
    #[error("{}: {error}", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: OpenError,
        /// What it seems to be instead.
        looks_like: Option<FileKind>,
    },
}

/// Other kinds of files that are given in place of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
    /// A zip archive.
    Zip,
    /// A tar archive.
    Tar,
    /// Encrypted by age, gpg or openssl.
    Encrypted,
    /// JSON.
    Json,
    /// Some other text.
    Text,
    /// All zeros.
    Zeros,
}

impl FileKind {
    /// Recognises a file by its first bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        const MAGICS: [(&[u8], FileKind); 9] = [
            (b"\x1f\x8b", FileKind::Gzip),
            (b"\x28\xb5\x2f\xfd", FileKind::Zstd),
            (b"\xfd7zXZ\0", FileKind::Xz),
            (b"BZh", FileKind::Bzip2),
            (b"PK\x03\x04", FileKind::Zip),
            (b"PK\x05\x06", FileKind::Zip),
            (b"age-encryption.org/", FileKind::Encrypted),
            (b"-----BEGIN PGP MESSAGE", FileKind::Encrypted),
            (b"Salted__", FileKind::Encrypted),
        ];
        let head = bytes.get(..512).unwrap_or(bytes);
        if let Some((_, kind)) = MAGICS.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Some(*kind);
        }
        if head.get(257..262) == Some(b"ustar") {
            return Some(Self::Tar);
        }
        if head.is_empty() {
            return None;
        }
        if bytes.get(..1 << 16).unwrap_or(bytes).iter().all(|byte| *byte == 0) {
            return Some(Self::Zeros);
        }
        let printable = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e);
        if head.iter().all(printable) {
            let json = head.trim_ascii_start().starts_with(b"{");
            return Some(if json { Self::Json } else { Self::Text });
        }
        None
    }
}

impl Snapshot {
    /// Opens and maps the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, is in use by etcd, or is no database. A
    /// damaged database opens.
    pub fn open(path: &Path) -> Result<Self, SnapshotError> {
        Self::from_source(Source::open(path)?)
    }

    /// Takes a source that is open.
    ///
    /// # Errors
    /// If it is no database.
    pub fn from_source(source: Source) -> Result<Self, SnapshotError> {
        match Db::open(source.bytes()) {
            Ok(_) => Ok(Self { source: Arc::new(source) }),
            Err(error) => Err(SnapshotError::NotADatabase {
                path: source.path().to_owned(),
                error,
                looks_like: FileKind::of(source.bytes()),
            }),
        }
    }

    /// The file.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The database in it.
    ///
    /// # Errors
    /// None that [`open`](Self::open) would not have met, unless the file was
    /// changed since.
    pub fn db(&self) -> Result<Db<'_>, SnapshotError> {
        Db::open(self.source.bytes()).map_err(|error| SnapshotError::NotADatabase {
            path: self.source.path().to_owned(),
            error,
            looks_like: None,
        })
    }
}

/// What stands behind the pages of `db`, whose file is `bytes`.
pub fn trailer(db: &Db<'_>, bytes: &[u8]) -> Trailer {
    let (image_size, file_size) = (db.meta.image_size(), bytes.len() as u64);
    let last = || bytes.len().checked_sub(DIGEST_SIZE as usize).and_then(|at| array_at::<32>(bytes, at));
    let by_length = (file_size % SECTOR == DIGEST_SIZE).then(last).flatten();
    match (file_size.checked_sub(image_size), by_length) {
        (Some(DIGEST_SIZE), Some(digest)) => Trailer::Digest(digest),
        (_, Some(digest)) => Trailer::Misplaced { digest, image_size },
        (None, None) => Trailer::Missing(image_size.saturating_sub(file_size)),
        (Some(0), None) => Trailer::None,
        (Some(more), None) if more % SECTOR == 0 => Trailer::Slack(more),
        (Some(more), None) => Trailer::Odd(more),
    }
}

impl Trailer {
    /// The stored digest, by upstream's rule.
    pub fn digest(&self) -> Option<[u8; 32]> {
        match self {
            Self::Digest(digest) | Self::Misplaced { digest, .. } => Some(*digest),
            _ => None,
        }
    }
}

/// SHA-256 of `content`: all of a snapshot but the last 32 bytes, which it should
/// be equal to. `ahead` is called before each piece is read.
pub fn hash_content(content: &[u8], mut ahead: impl FnMut(usize, usize)) -> [u8; 32] {
    const PIECE: usize = 4 << 20;
    let mut hash = Sha256Stream::new();
    let mut done = 0usize;
    for piece in content.chunks(PIECE) {
        ahead(done, piece.len());
        hash.update(piece);
        done = done.saturating_add(piece.len());
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_recognised() {
        let mut tar = vec![0; 512];
        tar[..4].copy_from_slice(b"snap");
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, kind) in [
            (&b"\x1f\x8b\x08"[..], Some(FileKind::Gzip)),
            (b"\x28\xb5\x2f\xfd..", Some(FileKind::Zstd)),
            (b"PK\x03\x04", Some(FileKind::Zip)),
            (&tar, Some(FileKind::Tar)),
            (b" {\"a\":1}\n", Some(FileKind::Json)),
            (b"not found\n", Some(FileKind::Text)),
            (&[0; 900], Some(FileKind::Zeros)),
            (b"\x01\x02", None),
            (b"", None),
        ] {
            assert_eq!(FileKind::of(bytes), kind);
        }
    }
}
