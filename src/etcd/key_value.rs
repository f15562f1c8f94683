//! `mvccpb.KeyValue`: what a record of bucket `key` holds.

use crate::codec::protobuf::{Fields, WireFault, Writer, take_bytes, take_varint};

/// A revision of a key, borrowed from the file.
///
/// | number | type | field |
/// |--:|---|---|
/// | 1 | bytes | key |
/// | 2 | int64 | create revision: when this life of the key began |
/// | 3 | int64 | mod revision: this write |
/// | 4 | int64 | version: writes in this life, from 1 |
/// | 5 | bytes | value |
/// | 6 | int64 | lease, 0 for none |
///
/// Zero values are not written. A tombstone holds the key alone; the record that
/// a restore with a bumped revision leaves behind holds nothing.
/// Source: etcd `api/mvccpb/kv.proto`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyValue<'a> {
    /// The user's key.
    pub key: &'a [u8],
    /// Main revision of the put that created this life of the key.
    pub create_revision: i64,
    /// Main revision of this write.
    pub mod_revision: i64,
    /// Writes since creation, this one included.
    pub version: i64,
    /// The user's value.
    pub value: &'a [u8],
    /// The lease the key is attached to, or 0.
    pub lease: i64,
}

/// Whether the message of a record has the form that etcd gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsWritten {
    /// Known fields alone, in order.
    Yes,
    /// Known fields in order, and behind them others with higher numbers: what a later
    /// etcd would write. A changed tag may look like that as well, and then the field that
    /// it stood before is missing.
    WithMore,
    /// Anything else: a field was damaged, and is missed by all readers.
    No,
}

impl<'a> KeyValue<'a> {
    /// The highest number of a field that is known.
    const LAST_FIELD: u32 = 6;

    /// Reads the value of a record.
    ///
    /// # Errors
    /// Bytes that are no protobuf message, a known field of another type, or a
    /// second key: no etcd writes one, and which of the two counts would depend
    /// on who reads it.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireFault> {
        Self::parse_with_form(bytes).map(|(parsed, _)| parsed)
    }

    /// Reads the value of a record, and says whether it is as etcd writes it.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    #[inline]
    pub(crate) fn parse_with_form(bytes: &'a [u8]) -> Result<(Self, AsWritten), WireFault> {
        match Self::parse_usual(bytes) {
            Some(parsed) => Ok((parsed, AsWritten::Yes)),
            None => Self::parse_any(bytes),
        }
    }

    /// Reads a message as all versions of etcd write it: the fields in ascending
    /// order, each at most once, none that is zero or empty, no number longer than it
    /// has to be. `None` for any other.
    #[inline]
    fn parse_usual(mut bytes: &'a [u8]) -> Option<Self> {
        let rest = &mut bytes;
        let parsed = Self {
            key: written_bytes(rest, 0x0a)?,
            create_revision: written_number(rest, 0x10)?,
            mod_revision: written_number(rest, 0x18)?,
            version: written_number(rest, 0x20)?,
            value: written_bytes(rest, 0x2a)?,
            lease: written_number(rest, 0x30)?,
        };
        rest.is_empty().then_some(parsed)
    }

    fn parse_any(bytes: &'a [u8]) -> Result<(Self, AsWritten), WireFault> {
        let mut parsed = Self::default();
        let mut keyed = false;
        let mut last = 0;
        let mut ascending = true;
        for field in Fields::new(bytes) {
            let field = field?;
            // A field that is not known may be a list.
            ascending &= field.number > last || field.number == last && last > Self::LAST_FIELD;
            last = field.number;
            match field.number {
                1 if std::mem::replace(&mut keyed, true) => return Err(field.repeated()),
                1 => parsed.key = field.bytes()?,
                2 => parsed.create_revision = field.int64()?,
                3 => parsed.mod_revision = field.int64()?,
                4 => parsed.version = field.int64()?,
                5 => parsed.value = field.bytes()?,
                6 => parsed.lease = field.int64()?,
                _ => {}
            }
        }
        let has_more = ascending && last > Self::LAST_FIELD;
        Ok((parsed, if has_more { AsWritten::WithMore } else { AsWritten::No }))
    }

    /// The message as etcd writes it: fields that are zero or empty are left out.
    pub fn encode(&self) -> Vec<u8> {
        let bytes = |writer: Writer, number, value: &[u8]| {
            if value.is_empty() { writer } else { writer.bytes(number, value) }
        };
        let number = |writer: Writer, number, value: i64| {
            if value == 0 { writer } else { writer.varint(number, value.cast_unsigned()) }
        };
        let mut writer = bytes(Writer::new(), 1, self.key);
        writer = number(writer, 2, self.create_revision);
        writer = number(writer, 3, self.mod_revision);
        writer = number(writer, 4, self.version);
        writer = bytes(writer, 5, self.value);
        number(writer, 6, self.lease).finish()
    }

    /// Only the key. The first field in all that etcd writes, which is tried
    /// first; the answer is the same as [`parse`](Self::parse) gives for every
    /// message that it accepts.
    #[inline]
    pub fn key_of(bytes: &'a [u8]) -> Option<&'a [u8]> {
        if bytes.first() == Some(&0x0a) {
            return take_bytes(&mut { bytes }, 0x0a);
        }
        Self::parse(bytes).ok().map(|parsed| parsed.key)
    }
}

/// A number as it is written, 0 if it is not there. The last byte of a varint is zero only
/// if it is longer than it has to be, or all of it is zero.
#[inline]
fn written_number(message: &mut &[u8], tag: u8) -> Option<i64> {
    let before = *message;
    let number = take_varint(message, tag)?;
    ends_as_written(before, message.len()).then_some(number.cast_signed())
}

/// The same for bytes, whose length is such a number.
#[inline]
fn written_bytes<'a>(message: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let before = *message;
    let bytes = take_bytes(message, tag)?;
    ends_as_written(before, message.len().checked_add(bytes.len())?).then_some(bytes)
}

/// Whether the last byte in front of the `rest` bytes at the end of `message` is not zero.
#[inline]
fn ends_as_written(message: &[u8], rest: usize) -> bool {
    let taken = message.len().checked_sub(rest).and_then(|taken| taken.checked_sub(1));
    taken.and_then(|last| message.get(last)).is_none_or(|last| *last != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_as_etcd_writes_it() {
        let bytes = b"\x0a\x02k1\x10\x02\x18\x07\x20\x02\x2a\x03v1b";
        let parsed = KeyValue::parse(bytes).expect("sound");
        let expected =
            KeyValue { key: b"k1", create_revision: 2, mod_revision: 7, version: 2, value: b"v1b", lease: 0 };
        assert_eq!(parsed, expected);
        assert_eq!(parsed.encode(), bytes);
        assert_eq!(KeyValue::key_of(bytes), Some(&b"k1"[..]));
    }

    #[test]
    fn the_usual_way_and_the_general_way_agree() {
        let parts: [&[u8]; 7] = [
            b"\x0a\x02k1",
            b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x18\x07",
            b"\x20\x02",
            b"\x2a\x03v1b",
            b"\x30\x80\x01",
            b"\x0a\x01z",
        ];
        for choice in 0u32..1 << parts.len() {
            let chosen = parts.iter().enumerate().filter(|(bit, _)| choice & (1 << bit) != 0);
            let message = chosen.map(|(_, part)| *part).collect::<Vec<_>>().concat();
            for end in 0..=message.len() {
                let message = &message[..end];
                let any = KeyValue::parse_any(message).map(|(parsed, _)| parsed);
                assert_eq!(KeyValue::parse(message), any, "{message:02x?}");
                if let Ok(parsed) = KeyValue::parse(message) {
                    assert_eq!(KeyValue::parse(&parsed.encode()), Ok(parsed), "{message:02x?}");
                    assert_eq!(KeyValue::key_of(message), Some(parsed.key), "{message:02x?}");
                }
            }
        }
    }

    #[test]
    fn fields_of_a_later_etcd_are_told_from_damaged_ones() {
        let form = |bytes: &[u8]| KeyValue::parse_with_form(bytes).expect("a message").1;
        let known: &[u8] = b"\x0a\x01k\x10\x02\x18\x07\x20\x02\x2a\x01v";
        let with = |more: &[u8]| form(&[known, more].concat());
        assert_eq!(with(b""), AsWritten::Yes);
        assert_eq!(with(b"\x30\x05"), AsWritten::Yes);
        for more in [&b"\x38\x01"[..], b"\x30\x05\x38\x01", b"\x3a\x01a\x3a\x01b", b"\x38\x01\x48\x02"] {
            assert_eq!(with(more), AsWritten::WithMore, "{more:02x?}");
        }
        for more in [&b"\x38\x01\x30\x05"[..], b"\x48\x01\x38\x01", b"\x30\x05\x30\x05", b"\x2a\x01w"] {
            assert_eq!(with(more), AsWritten::No, "{more:02x?}");
        }
        assert_eq!(form(b"\x38\x01\x0a\x01k"), AsWritten::No);
        // A number that is longer than it has to be, or zero, which would not be there.
        for more in [&b"\x30\x80\x00"[..], b"\x30\x00", b"\x30\x85\x80\x00"] {
            assert_eq!(with(more), AsWritten::No, "{more:02x?}");
        }
        for message in [&b"\x0a\x81\x00k"[..], b"\x0a\x00", b"\x0a\x01k\x2a\x00"] {
            assert_eq!(form(message), AsWritten::No, "{message:02x?}");
        }
    }

    #[test]
    fn any_order_unknown_fields_and_nothing_at_all_are_read() {
        let parsed = KeyValue::parse(b"\x18\x07\x48\x01\x0a\x01k").expect("sound");
        assert_eq!((parsed.key, parsed.mod_revision), (&b"k"[..], 7));
        assert_eq!(KeyValue::key_of(b"\x18\x07\x48\x01\x0a\x01k"), Some(&b"k"[..]));
        assert_eq!(KeyValue::parse(b""), Ok(KeyValue::default()));
        assert_eq!(KeyValue::key_of(b""), Some(&b""[..]));
        assert!(KeyValue::parse(b"\x0a\x05k").is_err());
        assert_eq!(KeyValue::key_of(b"\x0a\x05k"), None);
    }
}
