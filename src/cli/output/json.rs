//! JSON that does nothing to a terminal.
//!
//! JSON itself asks for escapes below U+0020 only. Names in a snapshot may hold
//! what turns the direction of writing or commands a terminal (C1 controls) as
//! well; in JSON too, these are written as `\uXXXX`, which means the same.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::text::is_dangerous;

/// Writes one document, indented, with a newline behind.
pub(crate) fn write_page(out: &mut dyn Write, document: &impl Serialize) -> io::Result<()> {
    let form = Harmless(PrettyFormatter::new());
    document.serialize(&mut Serializer::with_formatter(&mut *out, form))?;
    out.write_all(b"\n")
}

/// Writes one document in one line.
pub(crate) fn write_line(out: &mut dyn Write, document: &impl Serialize) -> io::Result<()> {
    let form = Harmless(CompactFormatter);
    document.serialize(&mut Serializer::with_formatter(&mut *out, form))?;
    out.write_all(b"\n")
}

/// Another form of JSON, with strings that are harmless.
struct Harmless<F>(F);

/// Methods that are left to the form inside.
macro_rules! as_inside {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        #[inline]
        fn $method<W: ?Sized + Write>(&mut self, out: &mut W $(, $argument: $type)*) -> io::Result<()> {
            self.0.$method(out $(, $argument)*)
        }
    )*};
}

impl<F: Formatter> Formatter for Harmless<F> {
    as_inside! {
        begin_array()
        end_array()
        begin_array_value(first: bool)
        end_array_value()
        begin_object()
        end_object()
        begin_object_key(first: bool)
        begin_object_value()
        end_object_value()
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        if text.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            return out.write_all(text.as_bytes());
        }
        let mut rest = text;
        while let Some(at) = rest.find(is_dangerous) {
            let (harmless, dangerous) = rest.split_at(at);
            out.write_all(harmless.as_bytes())?;
            let mut behind = dangerous.chars();
            if let Some(character) = behind.next() {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
            rest = behind.as_str();
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_escaped_and_means_the_same() {
        let name = "a\u{202e}b\u{9b}c\u{200f}\u{61c}\u{2066}\u{7f}\u{1b}[m\"\\ d\u{e9}\u{1f600}";
        let document = serde_json::json!({ name: [name], "n": 1 });
        let (mut page, mut line) = (Vec::new(), Vec::new());
        write_page(&mut page, &document).expect("written");
        write_line(&mut line, &document).expect("written");
        for written in [&page, &line] {
            assert_eq!(serde_json::from_slice::<serde_json::Value>(written).expect("JSON"), document);
            let text = std::str::from_utf8(written).expect("UTF-8");
            let controls = text.chars().filter(|found| *found != '\n' && is_dangerous(*found)).count();
            assert_eq!(controls, 0, "{text}");
            assert!(text.contains("a\\u202eb\\u009bc\\u200f\\u061c\\u2066\\u007f\\u001b[m"), "{text}");
            assert!(text.contains("d\u{e9}\u{1f600}"), "{text}");
        }
        // Otherwise as serde_json writes them.
        let plain = serde_json::json!({ "a": [], "b": {}, "c": [1, { "d": null }] });
        let mut page = Vec::new();
        write_page(&mut page, &plain).expect("written");
        assert_eq!(page, format!("{plain:#}\n").into_bytes());
    }
}
