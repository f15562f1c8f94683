//! The protobuf wire format: tags, varints and length-delimited fields.
//!
//! Reading borrows from the input and never allocates; writing appends to a
//! `Vec`. Which field numbers mean what is the caller's knowledge.
//!
//! Source: the encoding chapter of the protocol buffers documentation; groups
//! (wire types 3 and 4) are refused, as nothing etcd or Kubernetes writes has
//! them.

/// What makes bytes not a protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset} of the message")]
pub struct WireFault {
    /// Bytes from the start of the message to the field that is wrong.
    pub offset: usize,
    /// What is wrong there.
    pub kind: WireFaultKind,
}

/// The kinds of [`WireFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireFaultKind {
    /// The message ends inside a field.
    #[error("truncated field")]
    Truncated,
    /// A varint of more than ten bytes or more than 64 bits.
    #[error("varint longer than 64 bits")]
    VarintTooLong,
    /// A field number of 0 or above 2^29 - 1.
    #[error("illegal field number")]
    FieldNumber,
    /// Wire type 3, 4, 6 or 7.
    #[error("illegal wire type {0}")]
    WireType(u8),
    /// A known field written with another wire type than its schema says.
    #[error("field {0} has the wrong wire type")]
    FieldType(u32),
    /// A field of which there can be only one, a second time.
    #[error("field {0} is there twice")]
    Repeated(u32),
}

/// A field's payload as it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1, little-endian.
    Fixed64(u64),
    /// Wire type 2: bytes, string, sub-message or packed list.
    Bytes(&'a [u8]),
    /// Wire type 5, little-endian.
    Fixed32(u32),
}

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field's number in the schema.
    pub number: u32,
    /// Its payload.
    pub value: Value<'a>,
    /// Bytes from the start of the message to the field's tag.
    pub offset: usize,
}

impl<'a> Field<'a> {
    fn wrong_type(&self) -> WireFault {
        WireFault { offset: self.offset, kind: WireFaultKind::FieldType(self.number) }
    }

    /// The fault of a field that may not be there again.
    pub fn repeated(&self) -> WireFault {
        WireFault { offset: self.offset, kind: WireFaultKind::Repeated(self.number) }
    }

    /// The payload as length-delimited bytes.
    #[inline]
    pub fn bytes(&self) -> Result<&'a [u8], WireFault> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.wrong_type()),
        }
    }

    /// The payload as an unsigned varint.
    #[inline]
    pub fn varint(&self) -> Result<u64, WireFault> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.wrong_type()),
        }
    }

    /// The payload as an `int64` varint (two's complement, as protobuf has it).
    #[inline]
    pub fn int64(&self) -> Result<i64, WireFault> {
        self.varint().map(u64::cast_signed)
    }

    /// The payload as a `double`.
    #[inline]
    pub fn float64(&self) -> Result<f64, WireFault> {
        match self.value {
            Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(self.wrong_type()),
        }
    }
}

/// Takes the field whose one-byte tag is `tag` from the front of a message, if it
/// is the next: a varint. 0 if another field is; `None` if it cannot be read.
///
/// For messages whose fields are known to come in a certain order. Whoever finds
/// another order reads the message with [`Fields`].
#[inline]
pub fn take_varint(message: &mut &[u8], tag: u8) -> Option<u64> {
    match message.split_first() {
        Some((next, rest)) if *next == tag => *message = rest,
        _ => return Some(0),
    }
    varint(message)
}

/// As [`take_varint`], for a length-delimited field: empty if another is next.
#[inline]
pub fn take_bytes<'a>(message: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    match message.split_first() {
        Some((next, rest)) if *next == tag => *message = rest,
        _ => return Some(&[]),
    }
    let length = usize::try_from(varint(message)?).ok()?;
    let (bytes, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(bytes)
}

/// Takes a varint without a tag off the front of `bytes`, as packed lists have
/// them. `None` if it cannot be read.
#[inline]
pub fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Iterates over the fields of a message. Ends after the first fault.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Fields<'a> {
    /// Reads `message` from its start.
    #[inline]
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message, length: message.len() }
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, WireFaultKind> {
        // One byte is by far the most common length.
        match self.rest.split_first() {
            Some((byte, rest)) if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireFaultKind> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(WireFaultKind::Truncated)?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(WireFaultKind::VarintTooLong);
            }
            value |= bits << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireFaultKind::VarintTooLong)
    }

    #[inline]
    fn take(&mut self, length: u64) -> Result<&'a [u8], WireFaultKind> {
        let length = usize::try_from(length).map_err(|_| WireFaultKind::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(WireFaultKind::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn field(&mut self) -> Result<(u32, Value<'a>), WireFaultKind> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| WireFaultKind::FieldNumber)?;
        if number == 0 || number >= 1 << 29 {
            return Err(WireFaultKind::FieldNumber);
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let bytes = self.take(8)?;
                Value::Fixed64(super::fixed::u64_le(bytes, 0).ok_or(WireFaultKind::Truncated)?)
            }
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?;
                Value::Fixed32(super::fixed::u32_le(bytes, 0).ok_or(WireFaultKind::Truncated)?)
            }
            other => return Err(WireFaultKind::WireType(u8::try_from(other).unwrap_or(7))),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireFault>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let offset = self.length.saturating_sub(self.rest.len());
        Some(match self.field() {
            Ok((number, value)) => Ok(Field { number, value, offset }),
            Err(kind) => {
                self.rest = &[];
                Err(WireFault { offset, kind })
            }
        })
    }
}

/// Appends fields to a message in the order of the calls.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty message.
    pub fn new() -> Self {
        Self::default()
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Appends a varint field, zero or not.
    #[must_use]
    pub fn varint(mut self, number: u32, value: u64) -> Self {
        self.raw_varint(u64::from(number) << 3);
        self.raw_varint(value);
        self
    }

    /// Appends a length-delimited field, empty or not.
    #[must_use]
    pub fn bytes(mut self, number: u32, value: &[u8]) -> Self {
        self.raw_varint(u64::from(number) << 3 | 2);
        self.raw_varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(bytes: &[u8]) -> Result<Field<'_>, WireFault> {
        let mut fields = Fields::new(bytes);
        let first = fields.next().expect("one field");
        assert!(fields.next().is_none());
        first
    }

    #[test]
    fn reads_what_the_writer_wrote() {
        let message =
            Writer::new().varint(1, 0).varint(2, u64::MAX).bytes(3, b"abc").bytes(100, b"").finish();
        let fields: Vec<_> = Fields::new(&message).map(|f| f.expect("sound")).collect();
        assert_eq!(fields[0].value, Value::Varint(0));
        assert_eq!(fields[1].int64(), Ok(-1));
        assert_eq!(fields[2].bytes(), Ok(&b"abc"[..]));
        assert_eq!((fields[3].number, fields[3].bytes()), (100, Ok(&b""[..])));
        let float = [&[0x09][..], &0.1f64.to_le_bytes()].concat();
        assert_eq!(only(&float).and_then(|field| field.float64()), Ok(0.1));
        assert!(fields[0].float64().is_err());
    }

    #[test]
    fn every_fault_has_its_place() {
        let fault = |bytes| only(bytes).expect_err("a fault").kind;
        assert_eq!(fault(&[0x08]), WireFaultKind::Truncated);
        assert_eq!(fault(&[0x0a, 5, 1]), WireFaultKind::Truncated);
        assert_eq!(
            fault(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
            WireFaultKind::Truncated
        );
        assert_eq!(fault(&[0x09, 1]), WireFaultKind::Truncated);
        assert_eq!(fault(&[0x0d, 1]), WireFaultKind::Truncated);
        assert_eq!(fault(&[0x00, 1]), WireFaultKind::FieldNumber);
        assert_eq!(fault(&[0x0b]), WireFaultKind::WireType(3));
        assert_eq!(
            fault(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
            WireFaultKind::VarintTooLong
        );
        let wrong = only(&[0x08, 1]).expect("sound").bytes();
        assert_eq!(wrong, Err(WireFault { offset: 0, kind: WireFaultKind::FieldType(1) }));
        let second = Fields::new(&[0x08, 1, 0x10]).nth(1);
        assert_eq!(second, Some(Err(WireFault { offset: 2, kind: WireFaultKind::Truncated })));
    }
}
