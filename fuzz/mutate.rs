//! Mutations that know how the bytes are made. What is changed at random fails at the
//! first checksum; so pages are changed as pages, numbers as numbers, and the checksums
//! are made right again, so that the change gets to where it is looked at.

use etcdsnap::bolt::PageSize;
use etcdsnap::codec::checksum::{crc32c, crc32c_append, fnv1a_64, sha256};
use etcdsnap::codec::fixed::{u16_le, u32_le, u64_le};
use etcdsnap::etcd::raft::{Record, SealedSnapshot};

/// Numbers at random, the same for the same start (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    /// Less than `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end as u64).max(1)).unwrap_or(0)
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    /// A number where numbers matter: near 0, near a power of two, or near `about`.
    fn number(&mut self, about: u64) -> u64 {
        let near = self.next() % 5;
        let base = match self.below(4) {
            0 => 0,
            1 => about,
            2 => 1u64.checked_shl(u32::try_from(self.below(65)).unwrap_or(0)).unwrap_or(0),
            _ => self.next() % about.max(1),
        };
        base.wrapping_add(near).wrapping_sub(2)
    }
}

/// Changes a snapshot: one to four changes to pages and their parts, then mostly the
/// metas' checksums and often the digest are made right again.
pub(crate) fn snapshot(bytes: &mut Vec<u8>, seed: u64) {
    let mut random = Random(seed);
    for _ in 0..=random.below(4) {
        change(bytes, &mut random);
    }
    if !random.one_in(8) {
        seal_metas(bytes);
    }
    if random.one_in(2) {
        seal(bytes);
    }
}

fn page_size(bytes: &[u8]) -> usize {
    let stated = u32_le(bytes, 24).and_then(PageSize::new).map(PageSize::bytes);
    usize::try_from(stated.unwrap_or(1024)).unwrap_or(1024)
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let size = page_size(bytes);
    let count = bytes.len() / size;
    let (one, other) = (random.below(count), random.below(count));
    match random.below(12) {
        0 => {
            let at = random.below(bytes.len());
            flip(bytes, at, random);
        }
        1 => header(bytes, one * size, count, random),
        2..=4 => element(bytes, one * size, count, random),
        5 => meta(bytes, random.below(2) * size, count, random),
        6 => copy(bytes, one * size, other * size, size, random.one_in(2)),
        7 => swap(bytes, one * size, other * size, size),
        8 => fill(bytes, one * size, size, random),
        9 => {
            let (from, to, length) = (random.below(bytes.len()), random.below(bytes.len()), random.below(64));
            let taken = bytes.get(from..from + length).map(<[u8]>::to_vec);
            put(bytes, to, &taken.unwrap_or_default());
        }
        10 => number(bytes, one * size + 8 * random.below(size / 8), count, random),
        _ if random.one_in(2) => bytes.truncate(random.below(bytes.len() + 1)),
        _ => bytes.resize(bytes.len() + random.below(size), 0),
    }
}

fn put(bytes: &mut [u8], at: usize, with: &[u8]) {
    if let Some(place) = at.checked_add(with.len()).and_then(|end| bytes.get_mut(at..end)) {
        place.copy_from_slice(with);
    }
}

fn flip(bytes: &mut [u8], at: usize, random: &mut Random) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
}

/// A number of two, four or eight bytes.
fn number(bytes: &mut [u8], at: usize, count: usize, random: &mut Random) {
    let number = random.number(count as u64).to_le_bytes();
    put(bytes, at, &number[..[2, 4, 8][random.below(3)]]);
}

/// Number, kind, count or overflow of a page.
fn header(bytes: &mut [u8], page: usize, count: usize, random: &mut Random) {
    let number = random.number(count as u64).to_le_bytes();
    match random.below(4) {
        0 => put(bytes, page, &number),
        1 => put(bytes, page + 8, &[1 << random.below(6), 0]),
        2 => put(bytes, page + 10, &number[..2]),
        _ => put(bytes, page + 12, &number[..4]),
    }
}

/// A field of an element, of leaf or branch, or what it points to.
fn element(bytes: &mut [u8], page: usize, count: usize, random: &mut Random) {
    let elements = usize::from(u16_le(bytes, page + 10).unwrap_or(0)).min(256);
    let at = page + 16 + 16 * random.below(elements + 1);
    let field = 4 * random.below(4);
    match random.below(4) {
        0 => number(bytes, at + 8, count, random),
        1 => {
            let stands = u32_le(bytes, at + field).unwrap_or(0);
            let moved = stands.wrapping_add(u32::try_from(random.below(33)).unwrap_or(0)).wrapping_sub(16);
            put(bytes, at + field, &moved.to_le_bytes());
        }
        2 => {
            let data = at + u32_le(bytes, at + 4).map_or(0, |pos| pos as usize);
            let within = data + random.below(40);
            if random.one_in(2) {
                flip(bytes, within, random);
            } else {
                number(bytes, within, count, random);
            }
        }
        _ => put(bytes, at + field, &random.number(count as u64).to_le_bytes()[..4]),
    }
}

/// A field of a meta.
fn meta(bytes: &mut [u8], page: usize, count: usize, random: &mut Random) {
    let at = page + [24, 32, 48, 56, 64, 0][random.below(6)];
    put(bytes, at, &random.number(count as u64).to_le_bytes());
}

/// A page over another one, which may keep its number.
fn copy(bytes: &mut [u8], from: usize, to: usize, size: usize, numbered: bool) {
    let Some(page) = bytes.get(from..from + size).map(<[u8]>::to_vec) else { return };
    put(bytes, to, &page);
    if numbered {
        put(bytes, to, &((to / size) as u64).to_le_bytes());
    }
}

fn swap(bytes: &mut [u8], one: usize, other: usize, size: usize) {
    let (Some(first), Some(second)) = (bytes.get(one..one + size), bytes.get(other..other + size)) else {
        return;
    };
    let (first, second) = (first.to_vec(), second.to_vec());
    put(bytes, one, &second);
    put(bytes, other, &first);
}

/// Zeros or garbage over a page or the end of it.
fn fill(bytes: &mut [u8], page: usize, size: usize, random: &mut Random) {
    let garbage = random.one_in(2);
    let from = page + if random.one_in(2) { 0 } else { random.below(size) };
    for byte in bytes.iter_mut().take(page + size).skip(from) {
        *byte = if garbage { random.next().to_le_bytes()[0] } else { 0 };
    }
}

/// Makes the checksums of both metas right.
fn seal_metas(bytes: &mut [u8]) {
    for page in [0, page_size(bytes)] {
        let Some(body) = bytes.get(page + 16..page + 72) else { continue };
        let checksum = fnv1a_64(body);
        put(bytes, page + 72, &checksum.to_le_bytes());
    }
}

/// Makes the digest right, or appends one.
fn seal(bytes: &mut Vec<u8>) {
    if bytes.len() % page_size(bytes) == 32 {
        bytes.truncate(bytes.len() - 32);
    }
    let digest = sha256(bytes);
    bytes.extend(digest);
}

/// Makes the checksums of a WAL's records right, as far as they can be told apart.
pub(crate) fn seal_wal(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut rest, mut crc) = (bytes, 0);
    while let Some(field) = u64_le(rest, 0) {
        let length = usize::try_from(field & 0x00ff_ffff_ffff_ffff).unwrap_or(usize::MAX);
        let padding = if field >> 63 == 1 { usize::from(field.to_be_bytes()[0] & 7) } else { 0 };
        let Some(message) = rest.get(8..).and_then(|body| body.get(..length)) else { break };
        let Ok(mut record) = Record::parse(message) else { break };
        crc = crc32c_append(crc, record.data.unwrap_or_default());
        record.crc = crc;
        let message = record.encode();
        let pad = (8 - message.len() % 8) % 8;
        let marked = if pad == 0 { 0 } else { (0x80 | pad as u64) << 56 };
        out.extend((message.len() as u64 | marked).to_le_bytes());
        out.extend(message);
        out.resize(out.len() + pad, 0);
        rest = rest.get(8 + length + padding..).unwrap_or_default();
    }
    out.extend(rest);
    out
}

/// Makes the checksum of a `.snap` file right, if it is a message.
pub(crate) fn seal_snap_file(bytes: &[u8]) -> Vec<u8> {
    match SealedSnapshot::parse(bytes) {
        Ok(sealed) => SealedSnapshot { crc: crc32c(sealed.data), data: sealed.data }.encode(),
        Err(_) => bytes.to_vec(),
    }
}
