//! The three checksums that etcd's files carry: FNV-1a 64 (bbolt's metas),
//! CRC-32C (WAL records, `.snap` files, status hash, HashKV) and SHA-256 (the
//! trailer of a snapshot). SHA-1 serves only to derive member ids.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// FNV-1a, 64 bit, over all of `bytes`.
pub fn fnv1a_64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// CRC-32 Castagnoli of a stream, together with the stream's length, so that
/// the parts of a stream can be computed apart and joined afterwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Crc32c {
    value: u32,
    length: usize,
}

impl Crc32c {
    /// The checksum of no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes` to the stream.
    #[inline]
    pub fn update(&mut self, bytes: &[u8]) {
        self.value = crc32c::crc32c_append(self.value, bytes);
        self.length = self.length.saturating_add(bytes.len());
    }

    /// Appends a stream whose checksum was computed on its own. Costs some
    /// microseconds, so join parts of many thousand records, not records.
    pub fn join(&mut self, next: Self) {
        if next.length == 0 {
            return;
        }
        self.value = crc32c::crc32c_combine(self.value, next.value, next.length);
        self.length = self.length.saturating_add(next.length);
    }

    /// The checksum of everything so far.
    pub fn value(self) -> u32 {
        self.value
    }
}

/// CRC-32 Castagnoli of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// CRC-32 Castagnoli of a stream whose checksum so far is `value`, with `bytes`
/// behind it.
pub fn crc32c_append(value: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(value, bytes)
}

/// A SHA-256 digest in the making.
#[derive(Clone, Default)]
pub struct Sha256Stream(Sha256);

impl Sha256Stream {
    /// The digest of no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything appended.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The first eight bytes, big-endian, of the SHA-1 of the concatenated parts.
pub fn sha1_prefix_u64(parts: &[&[u8]]) -> u64 {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    let digest: [u8; 20] = hash.finalize().into();
    crate::codec::fixed::u64_be(&digest, 0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors() {
        assert_eq!(fnv1a_64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a_64(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b"key"), 0x40a4_756d);
        assert_eq!(crc32c_append(crc32c(b"12345"), b"6789"), 0xe306_9283);
        assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(sha1_prefix_u64(&[b"ab", b"c"]), 0xa999_3e36_4706_816a);
    }

    #[test]
    fn joined_parts_equal_the_whole() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n * 7 % 251) as u8).collect();
        for cut in [0, 1, 17, 65_536, 99_999, 100_000] {
            let (head, tail) = bytes.split_at(cut);
            let mut left = Crc32c::new();
            left.update(head);
            let mut right = Crc32c::new();
            right.update(tail);
            left.join(right);
            assert_eq!(left.value(), crc32c(&bytes), "cut at {cut}");
        }
    }
}
