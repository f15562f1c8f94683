//! Reading. Linear in the input, and no deeper on the stack than [`MAX_DEPTH`].
//!
//! serde_json is not used because it refuses what Kubernetes reads (bytes that
//! are no UTF-8, half a surrogate pair) and rounds some numbers differently.

use std::borrow::Cow;

use crate::kube::notes::Notes;
use crate::kube::value::{MAX_DEPTH, Map, Value};

/// What makes bytes not the JSON of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column} (byte {offset}): {kind}")]
pub struct JsonFault {
    /// Bytes from the start of the input.
    pub offset: usize,
    /// Lines end in `\n`; the first is 1.
    pub line: usize,
    /// Bytes from the start of the line, the first being 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: JsonFaultKind,
}

/// The kinds of [`JsonFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonFaultKind {
    /// Another byte than could follow, or the end.
    #[error("expected {expected}, found {}", Found(*found))]
    Unexpected {
        /// What could follow.
        expected: &'static str,
        /// The byte; none at the end of the input.
        found: Option<u8>,
    },
    /// The input ends inside a text.
    #[error("the text has no end")]
    EndlessText,
    /// A byte below 0x20 inside a text.
    #[error("a control character in a text")]
    ControlCharacter,
    /// A backslash followed by what it may not be followed by.
    #[error("not an escape sequence")]
    Escape,
    /// Not in JSON's grammar of numbers.
    #[error("not a number")]
    Number,
    /// A number with a magnitude that only infinity has.
    #[error("a number beyond 64-bit floats")]
    NumberRange,
    /// More than [`MAX_DEPTH`] levels.
    #[error("lists and maps nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

struct Found(Option<u8>);

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("the end"),
            Some(byte) => write!(f, "\"{}\"", std::ascii::escape_default(byte)),
        }
    }
}

/// Reads one value and nothing behind it but blanks.
///
/// As Kubernetes does it: a number without a point that fits is an
/// [`Value::Int`], any other a [`Value::Float`]; of equal keys the last counts;
/// each byte that is not part of UTF-8 and each half of a surrogate pair becomes
/// U+FFFD. Text without escapes is borrowed. Upstream allows 10,000 levels.
///
/// # Errors
///
/// The first [`JsonFault`].
pub fn parse(bytes: &[u8]) -> Result<Value<'_>, JsonFault> {
    parse_noting(bytes, &mut Notes::default())
}

/// As [`parse`]; counts in `notes` the texts that are not UTF-8 and the keys that
/// are there again.
///
/// # Errors
///
/// The first [`JsonFault`].
pub fn parse_noting<'a>(bytes: &'a [u8], notes: &mut Notes) -> Result<Value<'a>, JsonFault> {
    let mut reader = Reader { bytes, text: std::str::from_utf8(bytes).ok(), at: 0, notes };
    let mut read = || {
        let value = reader.value(0)?;
        match reader.peek() {
            None => Ok(value),
            found => Err(unexpected("the end", found)),
        }
    };
    read().map_err(|kind| fault(bytes, reader.at, kind))
}

fn fault(bytes: &[u8], offset: usize, kind: JsonFaultKind) -> JsonFault {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let breaks = before.iter().filter(|byte| **byte == b'\n').count();
    let column = before.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
    JsonFault { offset, line: breaks.saturating_add(1), column: column.saturating_add(1), kind }
}

fn unexpected(expected: &'static str, found: Option<u8>) -> JsonFaultKind {
    JsonFaultKind::Unexpected { expected, found }
}

/// Bytes that end a run of text: the quote, the backslash, control characters.
const ENDS_RUN: [bool; 256] = {
    let mut ends = [false; 256];
    let mut rest: &mut [bool] = &mut ends;
    let mut byte = 0_u8;
    while let Some((place, more)) = rest.split_first_mut() {
        *place = matches!(byte, b'"' | b'\\' | ..0x20);
        byte = byte.wrapping_add(1);
        rest = more;
    }
    ends
};

fn ends_run(byte: u8) -> bool {
    ENDS_RUN.get(usize::from(byte)).copied().unwrap_or_default()
}

struct Reader<'a, 'n> {
    bytes: &'a [u8],
    /// The same, if all of it is UTF-8.
    text: Option<&'a str>,
    at: usize,
    notes: &'n mut Notes,
}

impl<'a> Reader<'a, '_> {
    fn next(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    /// The next byte behind blanks.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.next() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.skip(1),
                other => return other,
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, JsonFaultKind> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Str),
            Some(b'{') => self.map(below(depth)?).map(Value::Map),
            Some(b'[') => self.list(below(depth)?).map(Value::List),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true").map(|()| Value::Bool(true)),
            Some(b'f') => self.word("false").map(|()| Value::Bool(false)),
            Some(b'n') => self.word("null").map(|()| Value::Null),
            found => Err(unexpected("a value", found)),
        }
    }

    fn word(&mut self, word: &'static str) -> Result<(), JsonFaultKind> {
        if self.rest().starts_with(word.as_bytes()) {
            self.skip(word.len());
            Ok(())
        } else {
            Err(unexpected(word, self.next()))
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value<'a>>, JsonFaultKind> {
        self.skip(1);
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.skip(1);
            return Ok(items);
        }
        loop {
            items.push(self.value(depth)?);
            match self.peek() {
                Some(b',') => self.skip(1),
                Some(b']') => {
                    self.skip(1);
                    return Ok(items);
                }
                found => return Err(unexpected("a comma or the end of the list", found)),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Map<'a>, JsonFaultKind> {
        self.skip(1);
        let mut entries = Vec::new();
        if self.peek() == Some(b'}') {
            self.skip(1);
            return Ok(Map::default());
        }
        loop {
            let key = match self.peek() {
                Some(b'"') => self.string()?,
                found => return Err(unexpected("a key in quotes", found)),
            };
            match self.peek() {
                Some(b':') => self.skip(1),
                found => return Err(unexpected("a colon", found)),
            }
            entries.push((key, self.value(depth)?));
            match self.peek() {
                Some(b',') => self.skip(1),
                Some(b'}') => {
                    self.skip(1);
                    let count = entries.len();
                    let map = Map::from_entries(entries);
                    let repeated = count.saturating_sub(map.len()) as u64;
                    self.notes.repeated_fields = self.notes.repeated_fields.saturating_add(repeated);
                    return Ok(map);
                }
                found => return Err(unexpected("a comma or the end of the map", found)),
            }
        }
    }

    /// Bytes up to the next that ends a run, and that byte.
    fn run(&mut self) -> Result<(Cow<'a, str>, u8), JsonFaultKind> {
        let rest = self.rest();
        let end = rest.iter().position(|byte| ends_run(*byte));
        let start = self.at;
        self.skip(end.unwrap_or(rest.len()));
        let Some(stop) = self.next() else { return Err(JsonFaultKind::EndlessText) };
        let run = match self.text {
            Some(text) => Cow::Borrowed(text.get(start..self.at).unwrap_or_default()),
            None => as_utf8(self.bytes.get(start..self.at).unwrap_or_default()),
        };
        if matches!(run, Cow::Owned(_)) {
            self.invalid_text();
        }
        Ok((run, stop))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonFaultKind> {
        self.skip(1);
        let (first, stop) = self.run()?;
        if stop == b'"' {
            self.skip(1);
            return Ok(first);
        }
        let mut text = first.into_owned();
        loop {
            match self.next() {
                Some(b'"') => {
                    self.skip(1);
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => text.push(self.escape()?),
                _ => return Err(JsonFaultKind::ControlCharacter),
            }
            let (run, _) = self.run()?;
            text.push_str(&run);
        }
    }

    /// An escape sequence, from its backslash on.
    fn escape(&mut self) -> Result<char, JsonFaultKind> {
        let short = match self.rest().get(1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            None => return Err(JsonFaultKind::EndlessText),
            Some(_) => return Err(JsonFaultKind::Escape),
        };
        self.skip(2);
        Ok(short)
    }

    fn unicode_escape(&mut self) -> Result<char, JsonFaultKind> {
        let high = self.code_unit().ok_or(JsonFaultKind::Escape)?;
        self.skip(6);
        if let Some(char) = char::from_u32(u32::from(high)) {
            return Ok(char);
        }
        // Half of a pair. Whatever follows one that has no other half is read by itself.
        let low = self.code_unit();
        match low.map(|low| char::decode_utf16([high, low]).next()) {
            Some(Some(Ok(char))) => {
                self.skip(6);
                Ok(char)
            }
            _ => {
                self.invalid_text();
                Ok(char::REPLACEMENT_CHARACTER)
            }
        }
    }

    fn invalid_text(&mut self) {
        self.notes.invalid_text = self.notes.invalid_text.saturating_add(1);
    }

    /// The number in `\uXXXX`, if that is next.
    fn code_unit(&self) -> Option<u16> {
        let digits = self.rest().strip_prefix(b"\\u")?.first_chunk::<4>()?;
        digits.iter().try_fold(0u16, |number, digit| {
            let digit = u16::try_from(char::from(*digit).to_digit(16)?).ok()?;
            Some(number << 4 | digit)
        })
    }

    fn number(&mut self) -> Result<Value<'a>, JsonFaultKind> {
        let rest = self.rest();
        let (length, whole) = measure(rest).ok_or(JsonFaultKind::Number)?;
        let digits = rest.get(..length).unwrap_or_default();
        let number = match if whole { int(digits) } else { None } {
            Some(int) => Value::Int(int),
            None => {
                let text = std::str::from_utf8(digits).map_err(|_| JsonFaultKind::Number)?;
                let float: f64 = text.parse().map_err(|_| JsonFaultKind::Number)?;
                if float.is_infinite() {
                    return Err(JsonFaultKind::NumberRange);
                }
                Value::Float(float)
            }
        };
        self.skip(length);
        Ok(number)
    }
}

fn below(depth: usize) -> Result<usize, JsonFaultKind> {
    if depth < MAX_DEPTH { Ok(depth.saturating_add(1)) } else { Err(JsonFaultKind::TooDeep) }
}

/// Length of the number at the front, and whether it has neither point nor exponent.
fn measure(bytes: &[u8]) -> Option<(usize, bool)> {
    fn digits(bytes: &[u8]) -> &[u8] {
        let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        bytes.get(count..).unwrap_or_default()
    }
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let mut rest = match unsigned.split_first()? {
        (b'0', rest) => rest,
        (b'1'..=b'9', rest) => digits(rest),
        _ => return None,
    };
    let mut whole = true;
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = digits(fraction);
        (rest.len() < fraction.len()).then_some(())?;
        whole = false;
    }
    if let Some((b'e' | b'E', exponent)) = rest.split_first() {
        let unsigned = match exponent.split_first() {
            Some((b'+' | b'-', unsigned)) => unsigned,
            _ => exponent,
        };
        rest = digits(unsigned);
        (rest.len() < unsigned.len()).then_some(())?;
        whole = false;
    }
    Some((bytes.len().saturating_sub(rest.len()), whole))
}

/// A whole number, if it fits.
fn int(digits: &[u8]) -> Option<i64> {
    let (negative, digits) = match digits.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    // Downwards, as there is one more below zero than above.
    let number = digits.iter().try_fold(0i64, |number, digit| {
        number.checked_mul(10)?.checked_sub(i64::from(digit.wrapping_sub(b'0')))
    })?;
    if negative { Some(number) } else { number.checked_neg() }
}

/// As text, each byte that is no UTF-8 replaced by U+FFFD.
fn as_utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        // `from_utf8_lossy` makes one character of each chunk, Go one of each byte.
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}
