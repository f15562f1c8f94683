//! One member as a tar archive: `member/...`, to be unpacked into a data directory.
//!
//! The oldest common form, ustar, so that every tar unpacks it; numbers that do
//! not fit are written in base 256, as GNU's does and all others read. Owner, modes
//! and times are told, not taken from any file: the bytes follow from the snapshot
//! and the request alone. The zeros behind the WAL's records are in it, as the forms
//! that could leave them out are not read everywhere; on disk they are a hole.
//!
//! | offset | size | field |
//! |--:|--:|---|
//! | 0 | 100 | name |
//! | 100, 108, 116 | 8 | mode, user, group |
//! | 124, 136 | 12 | size, time of the last change |
//! | 148 | 8 | sum of all bytes, blanks in its own place |
//! | 156 | 1 | `0` file, `5` directory |
//! | 257 | 8 | `ustar`, zero, `00` |
//! | 329, 337 | 8 | numbers of a device: 0 |
//!
//! A file's bytes follow, filled up to 512; two blocks of zeros end the archive.

use std::fs::File;
use std::path::PathBuf;

use crate::etcd::membership::MemberId;
use crate::etcd::wal::{FIRST_SEGMENT, PREALLOCATED};

use super::copy::DbFile;
use super::plan::Plan;
use super::target::failed;
use super::tree::{check_snap, check_wal};
use super::{Owner, RestoreError};

const BLOCK: u64 = 512;
/// All files' time: 1980-01-01, for tars that find 1970 implausible.
const TIME: u64 = 315_532_800;

/// Where what goes into an archive.
#[derive(Debug)]
pub(super) struct Archive {
    /// Headers, each with its offset.
    headers: Vec<(u64, Vec<u8>)>,
    snap: (u64, Vec<u8>),
    wal_head: (u64, Vec<u8>),
    db_at: u64,
    length: u64,
}

impl Archive {
    /// Lays out the archive of `node`.
    pub(super) fn new(plan: &Plan<'_>, node: MemberId, owner: Owner) -> Self {
        let mut archive = Self {
            headers: Vec::new(),
            snap: (0, plan.snap.clone()),
            wal_head: (0, plan.wal_head(node)),
            db_at: 0,
            length: 0,
        };
        archive.push("member/", b'5', 0, owner);
        archive.push("member/snap/", b'5', 0, owner);
        let snap = format!("member/snap/{}", plan.snap_name);
        archive.snap.0 = archive.push(&snap, b'0', plan.snap.len() as u64, owner);
        archive.db_at = archive.push("member/snap/db", b'0', plan.database.size(), owner);
        archive.push("member/wal/", b'5', 0, owner);
        let segment = format!("member/wal/{FIRST_SEGMENT}");
        archive.wal_head.0 = archive.push(&segment, b'0', PREALLOCATED, owner);
        archive.length = archive.length.saturating_add(BLOCK.saturating_mul(2));
        archive
    }

    /// Where the database begins.
    pub(super) fn db_at(&self) -> u64 {
        self.db_at
    }

    /// Adds a header and room for the content; returns where that begins.
    fn push(&mut self, name: &str, kind: u8, size: u64, owner: Owner) -> u64 {
        self.headers.push((self.length, header(name, kind, size, owner)));
        let content = self.length.saturating_add(BLOCK);
        self.length = content.saturating_add(size.next_multiple_of(BLOCK));
        content
    }

    /// Makes the file, with all in it but the database.
    pub(super) fn create(&self, path: PathBuf) -> Result<DbFile, RestoreError> {
        let mut file = DbFile::create_at(path, self.db_at)?;
        file.set_len(self.length)?;
        for (offset, bytes) in self.headers.iter().chain([&self.snap, &self.wal_head]) {
            file.write(bytes, *offset)?;
        }
        Ok(file)
    }

    /// Reads again what [`create`](Self::create) wrote, as etcd would.
    pub(super) fn read_back(&self, path: PathBuf) -> Result<(), RestoreError> {
        let file = File::open(&path).map_err(failed("read", &path))?;
        let length = file.metadata().map_err(failed("examine", &path))?.len();
        if length != self.length {
            return Err(RestoreError::ReadBack { path, offset: length.min(self.length) });
        }
        check_wal(&file, self.wal_head.0, &path, &self.wal_head.1)?;
        check_snap(&file, self.snap.0, &path, &self.snap.1)
    }
}

fn header(name: &str, kind: u8, size: u64, owner: Owner) -> Vec<u8> {
    let mode = if kind == b'5' { 0o700 } else { 0o600 };
    let mut fields: Vec<(usize, Vec<u8>)> = vec![
        (100, name.as_bytes().to_vec()),
        (8, number(mode, 8)),
        (8, number(owner.uid.into(), 8)),
        (8, number(owner.gid.into(), 8)),
        (12, number(size, 12)),
        (12, number(TIME, 12)),
        (8, b"        ".to_vec()),
        (1, vec![kind]),
        (100, Vec::new()),
        (8, b"ustar\x0000".to_vec()),
        (64, Vec::new()),
        (8, number(0, 8)),
        (8, number(0, 8)),
    ];
    let joined = |fields: &[(usize, Vec<u8>)]| {
        let mut block = Vec::with_capacity(512);
        let mut end = 0usize;
        for (width, bytes) in fields {
            end = end.saturating_add(*width);
            block.extend_from_slice(bytes);
            block.resize(end, 0);
        }
        block.resize(512, 0);
        block
    };
    let sum: u64 = joined(&fields).iter().copied().map(u64::from).sum();
    if let Some((_, checksum)) = fields.get_mut(6) {
        *checksum = format!("{sum:06o}\0 ").into_bytes();
    }
    joined(&fields)
}

/// A number in a field of `width` bytes: octal digits and a zero byte, or, if it
/// is too large for those, big-endian under a set first bit.
fn number(value: u64, width: usize) -> Vec<u8> {
    let digits = format!("{value:0width$o}\0", width = width.saturating_sub(1));
    if digits.len() == width {
        return digits.into_bytes();
    }
    let mut bytes = vec![0; width.saturating_sub(8)];
    bytes.extend_from_slice(&value.to_be_bytes());
    if let Some(first) = bytes.first_mut() {
        *first |= 0x80;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_what_tar_writes() {
        // As GNU tar writes it: tar --format=ustar --numeric-owner --owner=1000
        // --group=1001 --mtime=@315532800, for 5 bytes of mode 600 and a directory.
        for (name, kind, size, mode, length, sum) in [
            ("member/snap/db", b'0', 5, "0000600", "00000000005", "011772"),
            ("member/", b'5', 0, "0000700", "00000000000", "010524"),
        ] {
            let mut wanted = name.as_bytes().to_vec();
            wanted.resize(100, 0);
            wanted.extend(format!("{mode}\00001750\00001751\0{length}\002263523000\0{sum}\0 ").bytes());
            wanted.push(kind);
            wanted.resize(257, 0);
            wanted.extend(b"ustar\x0000");
            wanted.resize(329, 0);
            wanted.extend(b"0000000\x000000000\0");
            wanted.resize(512, 0);
            assert!(header(name, kind, size, Owner { uid: 1000, gid: 1001 }) == wanted, "{name}");
        }
    }

    #[test]
    fn numbers_that_are_too_large_for_octal_are_binary() {
        assert_eq!(number(0o7_777_777, 8), b"7777777\0");
        assert_eq!(number(0o10_000_000, 8), [0x80, 0, 0, 0, 0, 0x20, 0, 0]);
        assert_eq!(number(8 << 30, 12), [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    }
}
