//! CBOR as API servers store custom resources, if told so: RFC 8949, without
//! what JSON has no place for.
//!
//! | item | value |
//! |---|---|
//! | integers | whole numbers; beyond 64 bits with a sign refused |
//! | byte strings | text, since the servers write all text so; under tag 21, 22 or 23 its base64 of URLs, base64 or hexadecimal |
//! | text strings | text; refused if not UTF-8 |
//! | lists, maps | lists, maps; keys must be text, byte strings or `null`, which is the empty text, each there once |
//! | tags 0 and 1 | times, as RFC 3339 |
//! | tags 2 and 3 | big numbers, refused |
//! | other tags | what they are on |
//! | `false`, `true`, `null` | the same; other simple values refused |
//! | floats of 16, 32, 64 bits | numbers; infinities and no-numbers refused |
//!
//! Of indefinite length or not. Servers refuse more than 64 levels and lists of
//! more than 1024 elements, which are read here.
//!
//! Source: kubernetes `staging/src/k8s.io/apimachinery/pkg/runtime/serializer/
//! cbor/internal/modes/decode.go`, 1.35; `github.com/fxamacker/cbor/v2`
//! `decode.go`, 2.9.

use std::borrow::Cow;

use super::notes::Notes;
use super::text;
use super::unix_time::UnixTime;
use super::value::{MAX_DEPTH, Map, Value};

/// Why bytes are not a CBOR item that stands for a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct CborFault {
    /// Bytes from the start to the item that is wrong, or behind it.
    pub offset: usize,
    /// What is wrong with it.
    pub kind: CborFaultKind,
}

/// The kinds of [`CborFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborFaultKind {
    /// The bytes end inside an item.
    #[error("truncated item")]
    Truncated,
    /// There are bytes behind the item.
    #[error("bytes behind the object")]
    Trailing,
    /// A first byte that is reserved, or an end where there is nothing to end.
    #[error("illegal first byte {0:#04x}")]
    Head(u8),
    /// Lists and maps inside each other.
    #[error("nested in more than {MAX_DEPTH} levels")]
    TooDeep,
    /// A whole number of more than 64 bits with its sign.
    #[error("whole number beyond 64 bits")]
    Integer,
    /// Infinite, or no number.
    #[error("a float that is no number")]
    Float,
    /// A text string that is not UTF-8.
    #[error("text that is not UTF-8")]
    Text,
    /// A map's key that is neither a text nor a byte string.
    #[error("a key that is no text")]
    Key,
    /// A map's key that is there twice.
    #[error("a map with a key twice")]
    DuplicateKey,
    /// A tag on what it cannot be on, or one that JSON has no place for.
    #[error("tag {0} on an item that it does not fit")]
    Tag(u64),
    /// A simple value that JSON does not have.
    #[error("simple value {0}")]
    Simple(u8),
}

/// Reads the one item that `bytes` are. Byte strings that are not UTF-8 are
/// counted in `notes`.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse<'a>(bytes: &'a [u8], notes: &mut Notes) -> Result<Value<'a>, CborFault> {
    let mut reader = Reader { rest: bytes, notes };
    let value = reader.item(MAX_DEPTH, None);
    let value =
        value.and_then(|value| if reader.rest.is_empty() { Ok(value) } else { Err(CborFaultKind::Trailing) });
    value.map_err(|kind| CborFault { offset: bytes.len().saturating_sub(reader.rest.len()), kind })
}

/// What a tag says that a byte string is to become in text.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    Base64Url,
    Base64,
    Hexadecimal,
}

/// The head of an item: major type, and argument or none if indefinite.
#[derive(Clone, Copy)]
struct Head {
    byte: u8,
    argument: Option<u64>,
}

impl Head {
    fn major(self) -> u8 {
        self.byte >> 5
    }

    fn illegal(self) -> CborFaultKind {
        CborFaultKind::Head(self.byte)
    }

    fn definite(self) -> Result<u64, CborFaultKind> {
        self.argument.ok_or(self.illegal())
    }
}

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

/// The end of an item of indefinite length.
const BREAK: u8 = 0xff;

/// Elements for which room is made before they are read.
const ROOM: u64 = 16;

struct Reader<'a, 'n> {
    rest: &'a [u8],
    notes: &'n mut Notes,
}

impl<'a> Reader<'a, '_> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], CborFaultKind> {
        let length = usize::try_from(length).map_err(|_| CborFaultKind::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(CborFaultKind::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn head(&mut self) -> Result<Head, CborFaultKind> {
        let (byte, rest) = self.rest.split_first().ok_or(CborFaultKind::Truncated)?;
        let info = byte & 0x1f;
        let argument = match info {
            0..24 => Some(u64::from(info)),
            24..28 => {
                self.rest = rest;
                let bytes = self.take(1 << (info & 3))?;
                let argument = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
                return Ok(Head { byte: *byte, argument: Some(argument) });
            }
            31 => None,
            _ => return Err(CborFaultKind::Head(*byte)),
        };
        self.rest = rest;
        Ok(Head { byte: *byte, argument })
    }

    /// Takes the end of an item of indefinite length, if it is next.
    fn at_break(&mut self) -> bool {
        let rest = self.rest.strip_prefix(&[BREAK]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Whether there is one more element of a list or map of `count`.
    fn one_more(&mut self, count: Option<u64>, read: usize) -> bool {
        match count {
            Some(count) => u64::try_from(read).is_ok_and(|read| read < count),
            None => !self.at_break(),
        }
    }

    /// The next item, which may have `levels` of lists and maps.
    fn item(&mut self, levels: usize, mut encoding: Option<Encoding>) -> Result<Value<'a>, CborFaultKind> {
        let mut head = self.head()?;
        while head.major() == TAG {
            let tag = head.definite()?;
            head = self.head()?;
            match tag {
                0 | 1 => return self.time(tag, head),
                2 | 3 => return Err(CborFaultKind::Tag(tag)),
                21 => encoding = Some(Encoding::Base64Url),
                22 => encoding = Some(Encoding::Base64),
                23 => encoding = Some(Encoding::Hexadecimal),
                _ => {}
            }
        }
        match head.major() {
            UNSIGNED | NEGATIVE => integer(head).map(Value::Int),
            BYTES => {
                let bytes = self.string(head)?;
                Ok(self.byte_string(bytes, encoding))
            }
            TEXT => self.text_string(head).map(Value::Str),
            LIST => self.list(head.argument, deeper(levels)?, encoding),
            MAP => self.map(head.argument, deeper(levels)?, encoding),
            _ => match head.byte {
                0xf4 => Ok(Value::Bool(false)),
                0xf5 => Ok(Value::Bool(true)),
                0xf6 => Ok(Value::Null),
                0xf9..=0xfb => Value::number(float(head)?).ok_or(CborFaultKind::Float),
                BREAK => Err(head.illegal()),
                0xf8 => Err(CborFaultKind::Simple(u8::try_from(head.definite()?).unwrap_or_default())),
                byte => Err(CborFaultKind::Simple(byte & 0x1f)),
            },
        }
    }

    /// The bytes of a string whose head was read.
    fn string(&mut self, head: Head) -> Result<Cow<'a, [u8]>, CborFaultKind> {
        if let Some(length) = head.argument {
            return self.take(length).map(Cow::Borrowed);
        }
        let mut whole = Vec::new();
        while !self.at_break() {
            let chunk = self.head()?;
            if chunk.major() != head.major() {
                return Err(chunk.illegal());
            }
            let chunk = self.take(chunk.definite()?)?;
            if head.major() == TEXT {
                std::str::from_utf8(chunk).map_err(|_| CborFaultKind::Text)?;
            }
            whole.extend_from_slice(chunk);
        }
        Ok(Cow::Owned(whole))
    }

    fn text_string(&mut self, head: Head) -> Result<Cow<'a, str>, CborFaultKind> {
        match self.string(head)? {
            Cow::Borrowed(bytes) => {
                std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| CborFaultKind::Text)
            }
            Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| CborFaultKind::Text),
        }
    }

    fn byte_string(&mut self, bytes: Cow<'a, [u8]>, encoding: Option<Encoding>) -> Value<'a> {
        match (encoding, bytes) {
            (Some(Encoding::Base64Url), bytes) => text::base64_url(&bytes).into(),
            (Some(Encoding::Base64), bytes) => text::base64(&bytes).into(),
            (Some(Encoding::Hexadecimal), bytes) => text::hexadecimal(&bytes).into(),
            (None, Cow::Borrowed(bytes)) => Value::Str(text::lossy(bytes, self.notes)),
            (None, Cow::Owned(bytes)) => text::lossy(&bytes, self.notes).into_owned().into(),
        }
    }

    fn list(
        &mut self,
        count: Option<u64>,
        levels: usize,
        encoding: Option<Encoding>,
    ) -> Result<Value<'a>, CborFaultKind> {
        let mut items = Vec::with_capacity(room(count));
        while self.one_more(count, items.len()) {
            items.push(self.item(levels, encoding)?);
        }
        Ok(Value::List(items))
    }

    fn map(
        &mut self,
        count: Option<u64>,
        levels: usize,
        encoding: Option<Encoding>,
    ) -> Result<Value<'a>, CborFaultKind> {
        let mut entries = Vec::with_capacity(room(count));
        while self.one_more(count, entries.len()) {
            let key = match self.item(0, encoding).map_err(key_fault)? {
                Value::Str(key) => key,
                // Go's text that was never set.
                Value::Null => Cow::Borrowed(""),
                _ => return Err(CborFaultKind::Key),
            };
            entries.push((key, self.item(levels, encoding)?));
        }
        let read = entries.len();
        let map = Map::from_entries(entries);
        if map.len() < read { Err(CborFaultKind::DuplicateKey) } else { Ok(Value::Map(map)) }
    }

    /// What a tag for times is on: RFC 3339 text, or seconds since 1970.
    fn time(&mut self, tag: u64, head: Head) -> Result<Value<'a>, CborFaultKind> {
        let fault = CborFaultKind::Tag(tag);
        if tag == 0 {
            if head.major() != TEXT {
                return Err(fault);
            }
            let text = self.text_string(head)?;
            return text.parse::<UnixTime>().map(|_| Value::Str(text)).map_err(|_| fault);
        }
        let (seconds, fraction) = match head.byte {
            _ if head.major() <= NEGATIVE => (integer(head)?, 0.0),
            0xf9..=0xfb => {
                let number = float(head)?;
                let whole = Value::number(number.trunc()).and_then(|whole| whole.as_int());
                (whole.ok_or(fault)?, number - number.trunc())
            }
            _ => return Err(fault),
        };
        // Between -1 and 1, of the sign of the seconds.
        #[expect(clippy::cast_possible_truncation, reason = "less than a second")]
        let nanos = (fraction * 1e9) as i64;
        let seconds = seconds.saturating_add(nanos.div_euclid(1_000_000_000));
        let text = UnixTime::from_seconds(seconds).ok_or(fault)?.to_string();
        // Before the `Z`, without zeros at the end.
        let nanos = format!(".{:09}", nanos.rem_euclid(1_000_000_000));
        let nanos = nanos.trim_end_matches('0').trim_end_matches('.');
        Ok(format!("{}{nanos}Z", text.trim_end_matches('Z')).into())
    }
}

fn deeper(levels: usize) -> Result<usize, CborFaultKind> {
    levels.checked_sub(1).ok_or(CborFaultKind::TooDeep)
}

/// A key that is a list or a map is no key, and not too deep.
fn key_fault(fault: CborFaultKind) -> CborFaultKind {
    if fault == CborFaultKind::TooDeep { CborFaultKind::Key } else { fault }
}

fn room(count: Option<u64>) -> usize {
    usize::try_from(count.unwrap_or_default().min(ROOM)).unwrap_or_default()
}

fn integer(head: Head) -> Result<i64, CborFaultKind> {
    let magnitude = i64::try_from(head.definite()?).map_err(|_| CborFaultKind::Integer)?;
    // -1 - n has the bits of n turned.
    Ok(if head.major() == NEGATIVE { !magnitude } else { magnitude })
}

/// A float of 16, 32 or 64 bits.
fn float(head: Head) -> Result<f64, CborFaultKind> {
    let bits = head.definite()?;
    Ok(match head.byte {
        0xf9 => half(u16::try_from(bits).unwrap_or_default()),
        0xfa => f64::from(f32::from_bits(u32::try_from(bits).unwrap_or_default())),
        _ => f64::from_bits(bits),
    })
}

/// Sign, five bits of exponent, ten of fraction: IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let exponent = i32::from(bits >> 10 & 0x1f);
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent.saturating_sub(15)),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}
