//! JSON: read as Kubernetes reads it, written as kubectl writes it.
//!
//! Source: `sigs.k8s.io/json` (`internal/golang/encoding/json/decode.go`), as in
//! Kubernetes 1.35; `staging/src/k8s.io/cli-runtime/pkg/printers/json.go`; Go
//! `encoding/json/encode.go`, 1.25.

mod read;
mod write;

pub use read::{JsonFault, JsonFaultKind, parse, parse_noting};
pub use write::{write, write_at, write_compact};

/// Against what Go reads and writes: `fixtures/README.md` says how it was asked.
#[cfg(test)]
pub(in crate::kube) mod tests {
    use super::*;
    use crate::codec::display::acts_on_display;
    use crate::kube::value::Value;
    use proptest::prelude::*;

    const READINGS: &str = include_str!("../../../fixtures/kube/json-readings.jsonl");
    const CASES: &str = include_str!("../../../fixtures/kube/yaml-cases.jsonl");

    fn lines(fixture: &str) -> impl Iterator<Item = serde_json::Value> {
        fixture.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"))
    }

    fn compact(value: &Value) -> String {
        let mut out = Vec::new();
        write_compact(value, &mut out);
        String::from_utf8(out).expect("text")
    }

    fn indented(value: &Value) -> String {
        let mut out = Vec::new();
        write(value, &mut out);
        String::from_utf8(out).expect("text")
    }

    /// What Go has written, with escapes for what acts on a display, which it leaves.
    fn escaped(of_go: &str) -> String {
        let acts = |character: char| character != '\n' && acts_on_display(character);
        let one = |character: char| match acts(character) {
            true => format!("\\u{:04x}", u32::from(character)),
            false => character.to_string(),
        };
        of_go.chars().map(one).collect()
    }

    #[test]
    fn what_go_reads_is_read_alike_and_what_it_refuses_is_refused() {
        let mut refused = 0;
        for line in lines(READINGS) {
            let hex = line["in"].as_str().expect("hexadecimal");
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("a byte");
            let input: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            let read = parse(&input).map(|value| compact(&value));
            match line["out"].as_str() {
                Some(out) => assert_eq!(read, Ok(escaped(out)), "{}", input.escape_ascii()),
                None => {
                    assert!(read.is_err(), "{}: {read:?}", input.escape_ascii());
                    refused += 1;
                }
            }
        }
        assert!(refused > 100, "only {refused} are wrong");
    }

    #[test]
    fn objects_are_written_as_go_writes_them() {
        let mut compared = 0;
        for line in lines(CASES) {
            let input = line["in"].as_str().expect("JSON text");
            let value = parse(input.as_bytes()).expect("sound");
            assert_eq!(compact(&value), escaped(input));
            if let Some(json) = line["json"].as_str() {
                assert_eq!(indented(&value), escaped(json));
                compared += 1;
            }
        }
        assert!(compared > 300, "only {compared} have JSON");
    }

    #[test]
    fn a_recorded_answer_is_written_again_as_it_was() {
        let recorded = include_str!("../../../fixtures/kube/pods.json");
        assert_eq!(indented(&parse(recorded.as_bytes()).expect("sound")), recorded);
    }

    #[test]
    fn elements_written_alone_make_up_the_list() {
        let value = parse(br#"{"a":[{"b":[1,{}]},[],"x"]}"#).expect("sound");
        let mut out = b"{\n    \"a\": [\n        ".to_vec();
        for (index, item) in value.items(&["a"]).iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b",\n        ");
            }
            write_at(item, 2, &mut out);
        }
        out.extend_from_slice(b"\n    ]\n}\n");
        assert_eq!(String::from_utf8(out).expect("text"), indented(&value));
    }

    #[test]
    fn text_without_escapes_is_not_copied() {
        let read = parse(br#"{"plain":["text",{"more":"\u00e9"}]}"#).expect("sound");
        let borrowed = |value: Option<&Value>| matches!(value, Some(Value::Str(text)) if matches!(text, std::borrow::Cow::Borrowed(_)));
        let items = read.items(&["plain"]);
        assert!(borrowed(items.first()));
        assert!(!borrowed(items.get(1).and_then(|item| item.get("more"))));
    }

    #[test]
    fn nesting_has_a_limit_that_is_named() {
        use crate::kube::value::MAX_DEPTH;
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        let fault = parse(&nested(MAX_DEPTH + 1)).expect_err("too deep");
        assert_eq!(fault.kind, JsonFaultKind::TooDeep);
        assert_eq!((fault.offset, fault.line, fault.column), (MAX_DEPTH, 1, MAX_DEPTH + 1));
        let maps = b"{\"a\":".repeat(1_000_000);
        assert_eq!(parse(&maps).expect_err("too deep").kind, JsonFaultKind::TooDeep);
    }

    #[test]
    fn faults_say_where_and_what() {
        for (text, place, message) in [
            ("", (0, 1, 1), "expected a value, found the end"),
            ("{\n  \"a\": tru,\n}", (9, 2, 8), "expected true, found \"t\""),
            ("{\"a\": 1,\n}", (9, 2, 1), "expected a key in quotes, found \"}\""),
            ("{\"a\" 1}", (5, 1, 6), "expected a colon, found \"1\""),
            ("[1\n\n 2]", (5, 3, 2), "expected a comma or the end of the list, found \"2\""),
            ("{\"a\":1]", (6, 1, 7), "expected a comma or the end of the map, found \"]\""),
            ("[] []", (3, 1, 4), "expected the end, found \"[\""),
            ("\"abc", (4, 1, 5), "the text has no end"),
            ("\"a\tb\"", (2, 1, 3), "a control character in a text"),
            ("\"a\\qb\"", (2, 1, 3), "not an escape sequence"),
            ("[1e999]", (1, 1, 2), "a number beyond 64-bit floats"),
            ("[-]", (1, 1, 2), "not a number"),
            ("\u{e9}", (0, 1, 1), "expected a value, found \"\\xc3\""),
        ] {
            let fault = parse(text.as_bytes()).expect_err(text);
            assert_eq!((fault.offset, fault.line, fault.column), place, "{text}");
            let (offset, line, column) = place;
            assert_eq!(fault.to_string(), format!("line {line}, column {column} (byte {offset}): {message}"));
        }
    }

    /// Any tree that JSON can hold.
    pub(in crate::kube) fn any_value() -> impl Strategy<Value = Value<'static>> {
        let text = prop_oneof![
            ".{0,12}",
            "[a-z0-9:#' \n-]{0,12}",
            proptest::collection::vec(any::<char>(), 0..6).prop_map(String::from_iter),
        ];
        // Of numbers that are not whole: these are read back as whole ones.
        let float = any::<f64>().prop_filter("has a fraction", |x| x.is_finite() && x.fract() != 0.0);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            float.prop_map(Value::Float),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            let entry = (text.clone().prop_map(std::borrow::Cow::Owned), inner.clone());
            prop_oneof![
                proptest::collection::vec(inner, 0..6).prop_map(Value::List),
                proptest::collection::vec(entry, 0..6)
                    .prop_map(|entries| Value::Map(crate::kube::value::Map::from_entries(entries))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(value in any_value()) {
            for text in [indented(&value), compact(&value)] {
                prop_assert_eq!(parse(text.as_bytes()).expect("sound"), value.clone());
                // Another reader's opinion.
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
                prop_assert!(text.trim_end_matches('\n').chars().all(|c| c >= ' ' || c == '\n'));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn anything_like_json_is_read_or_refused(
            bytes in "([\\[\\]{}:,\"\\\\ue0d8-]|true|null|-?[0-9.e]+|\"[a-z]*\"){0,20}"
        ) {
            let ours = parse(bytes.as_bytes()).is_ok();
            // serde_json refuses lone surrogates, which Go replaces.
            let theirs = serde_json::from_str::<serde_json::Value>(&bytes).is_ok();
            prop_assert!(ours || !theirs, "{bytes}");
            prop_assert!(theirs || !ours || bytes.contains("\\u"), "{bytes}");
        }
    }
}
