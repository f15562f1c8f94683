//! Fixed-width integers at an offset of a byte slice.
//!
//! bbolt writes its own numbers little-endian (on every machine in use); etcd
//! writes the numbers inside keys and values big-endian. Both spell their byte
//! order here, so no caller ever depends on the host's.

/// The `N` bytes at `offset`, or `None` if they reach past the end.
#[inline]
pub fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk::<N>().copied()
}

/// Little-endian `u16` at `offset`.
#[inline]
pub fn u16_le(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

/// Little-endian `u32` at `offset`.
#[inline]
pub fn u32_le(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

/// Little-endian `u64` at `offset`.
#[inline]
pub fn u64_le(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// Big-endian `u64` at `offset`.
#[inline]
pub fn u64_be(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_be_bytes)
}

/// Big-endian `i64` at `offset`.
#[inline]
pub fn i64_be(bytes: &[u8], offset: usize) -> Option<i64> {
    array_at(bytes, offset).map(i64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_end_exactly_at_the_end() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(u16_le(&bytes, 7), Some(0x0908));
        assert_eq!(u16_le(&bytes, 8), None);
        assert_eq!(u64_be(&bytes, 1), Some(0x0203_0405_0607_0809));
        assert_eq!(u64_be(&bytes, 2), None);
        assert_eq!(u64_le(&bytes, 0), Some(0x0807_0605_0403_0201));
        assert_eq!(u32_le(&bytes, usize::MAX), None);
    }
}
