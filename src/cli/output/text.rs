//! Bytes from a snapshot as text that does nothing to a terminal.
//!
//! A snapshot may hold anything: escape sequences, line breaks, marks that turn
//! the direction of writing, characters that cannot be seen. They are written as
//! escapes wherever the output is text, terminal or not.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

pub(crate) use etcdsnap::codec::display::{acts_on_display, misleads as is_dangerous};

/// Bytes as printable text. Text that is harmless stays as it is, but for
/// backslashes, which are doubled: so escapes can be told from text.
pub(crate) fn safe(bytes: &[u8]) -> String {
    safe_cow(bytes).into_owned()
}

/// A path as printable text.
pub(crate) fn shown(path: &Path) -> String {
    safe(path.as_os_str().as_encoded_bytes())
}

/// As [`safe`], without a copy where nothing is escaped.
pub(crate) fn safe_cow(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let plain = bytes.iter().all(|byte| matches!(byte, 0x20..=0x5b | 0x5d..=0x7e));
        if plain || !text.chars().any(|character| character == '\\' || is_dangerous(character)) {
            return Cow::Borrowed(text);
        }
    }
    Cow::Owned(escaped(bytes))
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                character if is_dangerous(character) => push_escaped(character, &mut out),
                character => out.push(character),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Text with all that would act on a terminal written as escapes, but for line breaks
/// and tabs. Unlike [`safe`], it leaves backslashes: for texts with lines of their own,
/// which nobody reads back.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    replaced(text, |character| !matches!(character, '\n' | '\t') && is_dangerous(character))
}

/// As [`harmless`], for what is to stay one line.
pub(crate) fn harmless_line(text: &str) -> Cow<'_, str> {
    replaced(text, is_dangerous)
}

fn replaced(text: &str, replaces: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&replaces) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if replaces(character) {
            push_escaped(character, &mut out);
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

fn push_escaped(character: char, out: &mut String) {
    match character {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        character if character.is_ascii_control() => {
            let _ = write!(out, "\\x{:02x}", u32::from(character));
        }
        character => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        }
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `1 key`, `2 keys`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", super::size::grouped(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_raw() {
        assert_eq!(safe(b"/registry/pods/a"), "/registry/pods/a");
        assert_eq!(safe("caf\u{e9}".as_bytes()), "caf\u{e9}");
        assert_eq!(safe(b"C:\\x"), "C:\\\\x");
        assert_eq!(safe(b"a\x1b[31m\\"), "a\\x1b[31m\\\\");
        assert_eq!(safe(b"a\nb\x7f\xff"), "a\\nb\\x7f\\xff");
        assert_eq!(safe("\u{202e}\u{9b}\u{2028}".as_bytes()), "\\u{202e}\\u{9b}\\u{2028}");
        // Two names that look the same.
        let unseen = "ad\u{ad}min\u{3164}\u{fe0f}\u{e0041}";
        assert_eq!(safe(unseen.as_bytes()), "ad\\u{ad}min\\u{3164}\\u{fe0f}\\u{e0041}");
        assert_eq!(harmless(unseen), safe(unseen.as_bytes()));
    }

    #[test]
    fn texts_of_several_lines_keep_them_and_do_nothing_else() {
        assert_eq!(harmless("a\n\tb\\ \u{e9}"), "a\n\tb\\ \u{e9}");
        assert_eq!(harmless("\u{1b}[2J\r\u{202e}\u{9b}"), "\\x1b[2J\\r\\u{202e}\\u{9b}");
        assert_eq!(harmless_line("a\n'b\\'"), "a\\n'b\\'");
    }

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(count(1, "key", "keys"), "1 key");
        assert_eq!(count(1200, "key", "keys"), "1,200 keys");
    }
}
