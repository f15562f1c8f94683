//! Bytes as the text that Go's JSON has for them.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::notes::Notes;

/// `bytes` as they are if they are UTF-8; else with U+FFFD in place of each byte
/// that is wrong, and a remark in `notes`.
#[inline]
pub(super) fn lossy<'a>(bytes: &'a [u8], notes: &mut Notes) -> Cow<'a, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            notes.invalid_text = notes.invalid_text.saturating_add(1);
            Cow::Owned(replaced(bytes))
        }
    }
}

/// Go replaces byte by byte, where Rust's own function replaces what could have
/// been one character as a whole.
fn replaced(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|_| text.push('\u{fffd}'));
    }
    text
}

/// `bytes` in the standard base64, with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// `bytes` in the base64 of URLs, without padding.
pub(super) fn base64_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `bytes` in small hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right sides are what Go 1.26 answers:
    /// `json.Marshal(string(bytes))`, `base64.StdEncoding`, `RawURLEncoding`, `hex`.
    #[test]
    fn as_go_has_it() {
        let of = |bytes: &[u8]| {
            let mut notes = Notes::default();
            let text = lossy(bytes, &mut notes).into_owned();
            (text, notes.invalid_text)
        };
        assert_eq!(of("aé😀".as_bytes()), ("aé😀".into(), 0));
        assert_eq!(of(b"a\xe2\x82b\xff"), ("a\u{fffd}\u{fffd}b\u{fffd}".into(), 1));
        assert_eq!(of(b"\xed\xa0\x80"), ("\u{fffd}\u{fffd}\u{fffd}".into(), 1));
        assert_eq!(of(b"\xf0\x9f\x98"), ("\u{fffd}\u{fffd}\u{fffd}".into(), 1));
        assert_eq!(base64(b"\xfb\xff\xfe\x01"), "+//+AQ==");
        assert_eq!(base64_url(b"\xfb\xff\xfe\x01"), "-__-AQ");
        assert_eq!(hexadecimal(b"\x00\xfb"), "00fb");
    }
}
