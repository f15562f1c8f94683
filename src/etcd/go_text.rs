//! Text as Go's standard library writes it: JSON strings and quoted strings.
//!
//! The JSON stands in WAL entries, the `members` bucket and the v2 store, which
//! should equal upstream's byte for byte; quoted strings stand in messages that
//! operators search for.

use std::fmt::{self, Write as _};

/// Appends `bytes` as a JSON string.
///
/// Beyond what JSON demands, `<`, `>`, `&`, U+2028 and U+2029 are escaped, and
/// each byte that is not UTF-8 becomes an escaped U+FFFD.
///
/// Source: Go `encoding/json/encode.go`, `appendString` with `escapeHTML`, as of
/// Go 1.22 (older ones wrote `\b` and `\f` as `\u0008` and `\u000c`).
pub(super) fn push_json_string(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                _ => out.push(c),
            }
        }
        for _ in chunk.invalid() {
            out.push_str("\\ufffd");
        }
    }
    out.push('"');
}

/// Appends `texts` as a JSON list of strings.
pub(super) fn push_json_strings(out: &mut String, texts: &[String]) {
    out.push('[');
    for (position, text) in texts.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        push_json_string(out, text.as_bytes());
    }
    out.push(']');
}

/// Shows bytes in double quotes with Go's escapes, as its verb `%q` does.
///
/// Source: Go `strconv/quote.go`, `Quote`. Which characters beyond ASCII count
/// as printable follows the Unicode version of the Rust standard library.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' => f.write_str("\\\"")?,
                    '\\' => f.write_str("\\\\")?,
                    '\u{7}' => f.write_str("\\a")?,
                    '\u{8}' => f.write_str("\\b")?,
                    '\u{b}' => f.write_str("\\v")?,
                    '\u{c}' => f.write_str("\\f")?,
                    '\n' => f.write_str("\\n")?,
                    '\r' => f.write_str("\\r")?,
                    '\t' => f.write_str("\\t")?,
                    _ if is_printable(c) => f.write_char(c)?,
                    '\0'..='\u{1f}' | '\u{7f}' => write!(f, "\\x{:02x}", u32::from(c))?,
                    '\0'..='\u{ffff}' => write!(f, "\\u{:04x}", u32::from(c))?,
                    _ => write!(f, "\\U{:08x}", u32::from(c))?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_char('"')
    }
}

/// Whether Go prints `c` as it is: a letter, mark, number, punctuation, symbol
/// or the ASCII space.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // The standard library's table of printable characters is only reachable
    // through its escapes. Behind a letter it leaves combining marks alone, as Go
    // does.
    format!("a{c}").escape_debug().eq(['a', c])
}

/// Where and why a text is not the JSON that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at line {line}, column {column}")]
pub struct JsonFault {
    /// What is wrong there.
    pub kind: JsonFaultKind,
    /// Line of the text, from 1.
    pub line: usize,
    /// Column in that line, in bytes, from 1.
    pub column: usize,
}

/// The kinds of [`JsonFault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonFaultKind {
    /// The bytes are no JSON text.
    #[error("JSON syntax error")]
    Syntax,
    /// JSON, but a field is missing or of another type.
    #[error("unexpected JSON value")]
    Value,
    /// The text ends too early.
    #[error("JSON text cut short")]
    Truncated,
}

impl From<serde_json::Error> for JsonFault {
    fn from(error: serde_json::Error) -> Self {
        let kind = match error.classify() {
            serde_json::error::Category::Eof => JsonFaultKind::Truncated,
            serde_json::error::Category::Data => JsonFaultKind::Value,
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => JsonFaultKind::Syntax,
        };
        Self { kind, line: error.line(), column: error.column() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_are_gos() {
        let json = |bytes: &[u8]| {
            let mut out = String::new();
            push_json_string(&mut out, bytes);
            out
        };
        assert_eq!(json(b"https://a:1?x=<1>&y"), r#""https://a:1?x=\u003c1\u003e\u0026y""#);
        assert_eq!(
            json(b"\"\\/\n\r\t\x08\x0c\x00\x1f\x7f"),
            "\"\\\"\\\\/\\n\\r\\t\\b\\f\\u0000\\u001f\x7f\""
        );
        assert_eq!(json("\u{2028}\u{2029}\u{e9}\u{fffd}".as_bytes()), "\"\\u2028\\u2029\u{e9}\u{fffd}\"");
        assert_eq!(json(b"a\xe2\x82b\xff"), r#""a\ufffd\ufffdb\ufffd""#);
    }

    #[test]
    fn quoted_strings_are_gos() {
        let quoted = |text: &str| Quoted(text.as_bytes()).to_string();
        assert_eq!(quoted("a \"b\" \\ ~"), r#""a \"b\" \\ ~""#);
        assert_eq!(quoted("\u{7}\u{8}\u{b}\u{c}\n\r\t\0\u{1b}\u{7f}"), r#""\a\b\v\f\n\r\t\x00\x1b\x7f""#);
        assert_eq!(quoted("\u{e9}\u{301}\u{4e2d}'"), "\"\u{e9}\u{301}\u{4e2d}'\"");
        assert_eq!(quoted("\u{a0}\u{202e}\u{feff}\u{e0001}"), r#""\u00a0\u202e\ufeff\U000e0001""#);
        assert_eq!(Quoted(b"%a\xc3").to_string(), r#""%a\xc3""#);
    }
}
