//! Writing. Into memory, with nothing allocated but the output.

use crate::codec::display::acts_on_display;
use crate::kube::go_number::{push_int, push_json};
use crate::kube::value::Value;

/// Blanks for each level.
const INDENT: usize = 4;

/// Appends `value` as `kubectl -o json` prints it, with a newline at the end:
/// indented by four blanks a level, keys in the order of their bytes, `<`, `>`,
/// `&`, U+2028 and U+2029 escaped. Unlike kubectl, so are all other characters that act
/// on a display: they mean the same.
///
/// Numbers that are not finite, which JSON cannot hold, become `null`.
pub fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    write_at(value, 0, out);
    out.push(b'\n');
}

/// Appends `value` as [`write()`] does if it stands `level` levels deep, from where
/// the line has got to and without a newline: an element of a list that is not
/// in memory as a whole. Elements of `items` in a `List` are at level 2.
pub fn write_at(value: &Value<'_>, level: usize, out: &mut Vec<u8>) {
    Writer { out, newlines: true }.value(value, level);
}

/// Appends `value` on one line without blanks, as Go's `json.Marshal` has it.
pub fn write_compact(value: &Value<'_>, out: &mut Vec<u8>) {
    Writer { out, newlines: false }.value(value, 0);
}

/// What each byte of a text becomes: itself (0), an escape sequence of two
/// characters (its second), `\u00XX` (`u`), or what depends on the next bytes
/// (`?`: first bytes of characters that act on a display).
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut rest: &mut [u8] = &mut escapes;
    let mut byte = 0_u8;
    while let Some((place, more)) = rest.split_first_mut() {
        *place = match byte {
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0c => b'f',
            b'\r' => b'r',
            b'"' | b'\\' => byte,
            ..0x20 | b'<' | b'>' | b'&' | 0x7f => b'u',
            0xc2 | 0xd8 | 0xe2 | 0xef => b'?',
            _ => 0,
        };
        byte = byte.wrapping_add(1);
        rest = more;
    }
    escapes
};

fn escape(byte: u8) -> u8 {
    ESCAPES.get(usize::from(byte)).copied().unwrap_or_default()
}

fn hex(digit: u8) -> u8 {
    b"0123456789abcdef".get(usize::from(digit & 15)).copied().unwrap_or_default()
}

/// The character that `first` begins, if it acts on a display, and what is behind it.
/// All of those have two or three bytes.
fn acting(first: u8, after: &[u8]) -> Option<(u32, &[u8])> {
    let (bytes, after) = match (first, after) {
        (0xc2 | 0xd8, [second, after @ ..]) => ([first, *second, 0], after),
        (_, [second, third, after @ ..]) => ([first, *second, *third], after),
        _ => return None,
    };
    let character = std::str::from_utf8(&bytes).ok()?.chars().next()?;
    acts_on_display(character).then_some((u32::from(character), after))
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    newlines: bool,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value<'_>, level: usize) {
        match value {
            Value::Null => self.out.extend_from_slice(b"null"),
            Value::Bool(true) => self.out.extend_from_slice(b"true"),
            Value::Bool(false) => self.out.extend_from_slice(b"false"),
            Value::Int(number) => push_int(*number, self.out),
            Value::Float(number) => push_json(*number, self.out),
            Value::Str(text) => self.text(text),
            Value::List(items) if items.is_empty() => self.out.extend_from_slice(b"[]"),
            Value::List(items) => {
                let inner = level.saturating_add(1);
                let mut before = b'[';
                for item in items {
                    self.out.push(before);
                    self.newline(inner);
                    self.value(item, inner);
                    before = b',';
                }
                self.newline(level);
                self.out.push(b']');
            }
            Value::Map(map) if map.is_empty() => self.out.extend_from_slice(b"{}"),
            Value::Map(map) => {
                let inner = level.saturating_add(1);
                let mut before = b'{';
                for (key, value) in map.entries() {
                    self.out.push(before);
                    self.newline(inner);
                    self.text(key);
                    self.out.extend_from_slice(if self.newlines { b": " } else { b":" });
                    self.value(value, inner);
                    before = b',';
                }
                self.newline(level);
                self.out.push(b'}');
            }
        }
    }

    fn newline(&mut self, level: usize) {
        if self.newlines {
            self.out.push(b'\n');
            let blanks = level.saturating_mul(INDENT);
            self.out.resize(self.out.len().saturating_add(blanks), b' ');
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push(b'"');
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|byte| escape(*byte) != 0) {
            let Some((run, [byte, after @ ..])) = rest.split_at_checked(at) else { break };
            self.out.extend_from_slice(run);
            rest = after;
            match escape(*byte) {
                b'u' => {
                    self.out.extend_from_slice(b"\\u00");
                    self.out.push(hex(byte >> 4));
                    self.out.push(hex(*byte));
                }
                b'?' => match acting(*byte, after) {
                    Some((character, after)) => {
                        self.out.extend_from_slice(b"\\u");
                        for place in [12, 8, 4, 0] {
                            self.out.push(hex(character.wrapping_shr(place).to_le_bytes()[0]));
                        }
                        rest = after;
                    }
                    None => self.out.push(*byte),
                },
                short => self.out.extend_from_slice(&[b'\\', short]),
            }
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
    }
}
