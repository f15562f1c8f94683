//! YAML as kubectl writes it.
//!
//! kubectl makes JSON of an object, reads that as YAML 1.1 and writes what it has
//! read, so that what comes out is the work of one library, go-yaml 2, which keeps
//! the habits of libyaml. All of them are followed to the byte: plain text where
//! it is possible, single quotes where it is not, double quotes for what would be
//! read as another type or needs escapes, blocks for several lines; folding at
//! blanks behind column 80; keys of more than 128 bytes or several lines behind a
//! question mark; an order of keys in which `k9` comes before `k10`.
//!
//! But for one thing: characters that turn the direction of writing or have no width are
//! escapes, between double quotes, where kubectl writes them as they are. They mean the
//! same, and a reader sees what is there.
//!
//! Where kubectl fails we write what its library writes without the way through
//! JSON: DEL and the controls from U+0080 on as escapes, keys of any length.
//!
//! Source: `staging/src/k8s.io/cli-runtime/pkg/printers/yaml.go`, 1.35;
//! `sigs.k8s.io/yaml` 1.6.0 (`JSONToYAML`); `go.yaml.in/yaml/v2` 2.4.3 `encode.go`,
//! `emitterc.go`, `sorter.go`, `resolve.go`.

mod letters;
mod order;
mod resolve;
mod scalar;

use std::borrow::Cow;

use crate::kube::go_number::{push_general, push_int, push_json};
use crate::kube::value::{Map, Value};
use scalar::push_blanks;

/// Blanks for each level.
const INDENT: usize = 2;

/// Keys of more bytes do not stand before a colon.
const LONGEST_KEY: usize = 128;

/// Appends `value` as `kubectl -o yaml` prints it.
///
/// Like there, U+0085 in a value does not survive: it is read as the end of a
/// line and becomes a blank. [`write_exactly`] keeps it.
pub fn write(value: &Value<'_>, out: &mut Vec<u8>) {
    Writer { out, exact: false }.document(value);
}

/// Appends `value` as [`write()`] does, but so that every text is read back as it
/// was.
pub fn write_exactly(value: &Value<'_>, out: &mut Vec<u8>) {
    Writer { out, exact: true }.document(value);
}

/// Appends `value` as [`write()`] does if it is an element of a list under a key
/// that stands `level` levels deep: an element of a list that is not in memory as
/// a whole. The output must be at the start of a line. Elements of `items` in a
/// `List` are at level 0.
pub fn write_item(value: &Value<'_>, level: usize, out: &mut Vec<u8>) {
    Writer { out, exact: false }.item(value, level.saturating_mul(INDENT));
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    exact: bool,
}

impl Writer<'_> {
    fn document(&mut self, value: &Value<'_>) {
        match value {
            Value::Map(map) if !map.is_empty() => self.map(map, 0, false),
            Value::List(items) if !items.is_empty() => self.list(items, 0, false),
            _ => self.leaf(value, INDENT),
        }
    }

    /// Entries, one below the other; the first where the line has got to if `inline`.
    fn map(&mut self, map: &Map<'_>, indent: usize, inline: bool) {
        let entries = map.entries();
        if order::is_natural(entries) {
            self.entries(entries.iter(), indent, inline);
        } else {
            self.entries(order::sorted(entries).into_iter(), indent, inline);
        }
    }

    fn entries<'a: 'v, 'v>(
        &mut self,
        entries: impl Iterator<Item = &'v (Cow<'a, str>, Value<'a>)>,
        indent: usize,
        mut inline: bool,
    ) {
        let deeper = indent.saturating_add(INDENT);
        for (key, value) in entries {
            if !inline {
                push_blanks(indent, self.out);
            }
            inline = false;
            if key.len() <= LONGEST_KEY && !scalar::has_breaks(key) {
                scalar::push(key, deeper, false, self.out);
                self.out.push(b':');
                match value {
                    Value::Map(map) if !map.is_empty() => {
                        self.out.push(b'\n');
                        self.map(map, deeper, false);
                    }
                    Value::List(items) if !items.is_empty() => {
                        self.out.push(b'\n');
                        self.list(items, indent, false);
                    }
                    _ => {
                        self.out.push(b' ');
                        self.leaf(value, deeper);
                    }
                }
            } else {
                self.out.extend_from_slice(b"? ");
                self.line(key, deeper);
                push_blanks(indent, self.out);
                self.out.extend_from_slice(b": ");
                self.nested(value, deeper);
            }
        }
    }

    /// Elements, one below the other; the first where the line has got to if `inline`.
    fn list(&mut self, items: &[Value<'_>], indent: usize, mut inline: bool) {
        for item in items {
            match inline {
                true => self.dash(item, indent),
                false => self.item(item, indent),
            }
            inline = false;
        }
    }

    fn item(&mut self, value: &Value<'_>, indent: usize) {
        push_blanks(indent, self.out);
        self.dash(value, indent);
    }

    fn dash(&mut self, value: &Value<'_>, indent: usize) {
        self.out.extend_from_slice(b"- ");
        self.nested(value, indent.saturating_add(INDENT));
    }

    /// A value that begins in this line, behind `- ` or `: `.
    fn nested(&mut self, value: &Value<'_>, indent: usize) {
        match value {
            Value::Map(map) if !map.is_empty() => self.map(map, indent, true),
            Value::List(items) if !items.is_empty() => self.list(items, indent, true),
            _ => self.leaf(value, indent),
        }
    }

    /// A value that has nothing in it, with the end of its line.
    fn leaf(&mut self, value: &Value<'_>, indent: usize) {
        match value {
            Value::Null => self.out.extend_from_slice(b"null\n"),
            Value::Bool(true) => self.out.extend_from_slice(b"true\n"),
            Value::Bool(false) => self.out.extend_from_slice(b"false\n"),
            Value::List(_) => self.out.extend_from_slice(b"[]\n"),
            Value::Map(_) => self.out.extend_from_slice(b"{}\n"),
            Value::Int(number) => {
                push_int(*number, self.out);
                self.out.push(b'\n');
            }
            Value::Float(number) => {
                push_float(*number, self.out);
                self.out.push(b'\n');
            }
            Value::Str(text) if self.exact => self.line(text, indent),
            Value::Str(text) => self.line(&through_json(text), indent),
        }
    }

    fn line(&mut self, text: &str, indent: usize) {
        if !scalar::push(text, indent, true, self.out) {
            self.out.push(b'\n');
        }
    }
}

/// A number that was JSON before: whole if it is written so there and fits.
fn push_float(number: f64, out: &mut Vec<u8>) {
    let mut json = Vec::new();
    push_json(number, &mut json);
    let text = std::str::from_utf8(&json).unwrap_or_default();
    match (text.parse::<i64>(), text.parse::<u64>()) {
        // Not the text: `-0` becomes `0`.
        (Ok(int), _) => push_int(int, out),
        (_, Ok(_)) => out.extend_from_slice(&json),
        _ => push_general(number, out),
    }
}

/// What is left of a text that was read from JSON as YAML: U+0085 ends a line
/// there, which blanks around it and the next line's indentation are not part of.
fn through_json(text: &str) -> Cow<'_, str> {
    const NEXT_LINE: char = '\u{85}';
    // The two bytes of it; memchr does not look for one in most text.
    if text.is_ascii() || !text.contains(NEXT_LINE) {
        return Cow::Borrowed(text);
    }
    let blank = |char| char == ' ' || char == NEXT_LINE;
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(blank) {
        let Some((run, blanks)) = rest.split_at_checked(at) else { break };
        folded.push_str(run);
        rest = blanks.trim_start_matches(blank);
        let blanks = blanks.strip_suffix(rest).unwrap_or_default();
        match blanks.chars().filter(|char| *char == NEXT_LINE).count() {
            0 => folded.push_str(blanks),
            // One is a blank, more are the ends of empty lines.
            1 => folded.push(' '),
            more => folded.extend(std::iter::repeat_n('\n', more.saturating_sub(1))),
        }
    }
    folded.push_str(rest);
    Cow::Owned(folded)
}

/// Against what kubectl's library writes: `fixtures/README.md` says how it was
/// asked.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::display::acts_on_display;
    use crate::kube::json;
    use proptest::prelude::*;

    const CASES: &str = include_str!("../../../fixtures/kube/yaml-cases.jsonl");

    fn yaml(value: &Value<'_>) -> String {
        let mut out = Vec::new();
        write(value, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn objects_are_written_as_upstream_writes_them() {
        let mut wrong = Vec::new();
        let mut escaped = 0;
        for (index, line) in CASES.lines().enumerate() {
            let case: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            let value = json::parse(case["in"].as_str().expect("text").as_bytes()).expect("sound");
            let (found, expected) = (yaml(&value), case["yaml"].as_str().expect("text"));
            // Upstream leaves what turns the direction of writing.
            let acts = |c: char| !matches!(c, '\n' | '\u{2028}' | '\u{2029}') && acts_on_display(c);
            if expected.contains(acts) {
                let data = |text: &str| yaml_serde::from_str::<yaml_serde::Value>(text).expect("YAML");
                assert_eq!(data(&found), data(expected), "{found}");
                assert!(!found.contains(acts), "{found}");
                escaped += 1;
            } else if found != expected {
                let at = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
                wrong.push((index, at.map(|(found, expected)| (found.to_owned(), expected.to_owned()))));
            }
        }
        assert!(CASES.lines().count() > 500 && (1..20).contains(&escaped), "{escaped} have escapes");
        assert!(wrong.is_empty(), "{} differ: {:#?}", wrong.len(), wrong.iter().take(20).collect::<Vec<_>>());
    }

    /// Read from `[-0.0,5.0,1e19,1e20,0.00001]`; YAML has other forms for what is
    /// not finite, JSON none.
    #[test]
    fn numbers_have_been_json_before() {
        let numbers =
            [-0.0, 5.0, 1e19, 1e20, 0.00001, f64::NAN, f64::NEG_INFINITY].map(Value::Float).to_vec();
        let expected = "- 0\n- 5\n- 10000000000000000000\n- 1e+20\n- 1e-05\n- .nan\n- -.inf\n";
        assert_eq!(yaml(&Value::List(numbers)), expected);
    }

    #[test]
    fn elements_written_alone_make_up_the_list() {
        let value =
            json::parse(br#"{"items":[{"a":1,"b":["x"]},"y z",[],[1],{"k":"1\n2"}]}"#).expect("sound");
        for level in 0..3 {
            let nested = (0..level)
                .fold(value.clone(), |value, _| Value::Map(Map::from_entries(vec![("m".into(), value)])));
            let mut out = Vec::new();
            for depth in 0..level {
                push_blanks(2 * depth, &mut out);
                out.extend_from_slice(b"m:\n");
            }
            push_blanks(2 * level, &mut out);
            out.extend_from_slice(b"items:\n");
            for item in value.items(&["items"]) {
                write_item(item, level, &mut out);
            }
            assert_eq!(String::from_utf8(out).expect("text"), yaml(&nested));
        }
    }

    /// go-yaml cannot read these characters in JSON; asked of `yaml.Marshal` alone.
    #[test]
    fn what_makes_kubectl_fail_is_escaped() {
        for (text, written) in [
            ("a\u{7f}b", "\"a\\x7Fb\"\n"),
            ("a\u{80}", "\"a\\x80\"\n"),
            ("\u{fffe}\u{ffff}", "\"\\uFFFE\\uFFFF\"\n"),
        ] {
            assert_eq!(yaml(&Value::from(text)), written);
        }
        let key = "k".repeat(2000);
        let map =
            Map::from_entries(vec![(key.clone().into(), Value::Int(1)), ("a\u{85}b".into(), Value::Null)]);
        assert_eq!(yaml(&Value::Map(map)), format!("? \"a\\Nb\"\n: null\n? {key}\n: 1\n"));
    }

    #[test]
    fn exact_output_keeps_next_line() {
        let exactly = |text: &str| {
            let mut out = Vec::new();
            write_exactly(&Value::from(text.to_owned()), &mut out);
            String::from_utf8(out).expect("text")
        };
        assert_eq!(yaml(&Value::from("a\u{85}b")), "a b\n");
        assert_eq!(exactly("a\u{85}b"), "\"a\\Nb\"\n");
        assert_eq!(exactly("a b"), "a b\n");
    }

    /// Texts that would take hours if any step looked at all of them again.
    #[test]
    fn time_follows_the_length_of_the_text() {
        let size = 500_000;
        for part in [
            "a",
            " ",
            "a ",
            "a  ",
            "é ",
            "é  ",
            "' ",
            "\t ",
            "\n",
            "a\n",
            "\n ",
            "\u{2028}",
            "\u{2028}a ",
            "\u{85}",
            "1",
            "1_",
            ":1",
            "\u{10ffff}",
        ] {
            let text = part.repeat(size / part.len());
            let value = Value::List(vec![Value::from(format!("x{text}x")), Value::from(text)]);
            assert!(yaml(&value).len() >= size / 2, "{part:?}");
            let key = |n: usize| Cow::Owned(format!("{part}{}", n * 7919 % 20_000));
            let keys = (0..20_000).map(|n| (key(n), Value::Null)).collect();
            assert!(yaml(&Value::Map(Map::from_entries(keys))).len() > 20_000, "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_unprintable_is_written(value in json::tests::any_value()) {
            let text = yaml(&value);
            prop_assert!(
                text.chars().all(|c| matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')),
                "{text:?}"
            );
        }
    }
}
