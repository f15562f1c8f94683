//! kubectl's JSONPath templates: `{range .items[*]}{.metadata.name}{"\n"}{end}`.
//!
//! ```text
//! text outside of braces is printed; in braces stand, one after the other,
//! .name  ['name']      a field             [2]  [-1]  [1:9:2]  [*]  elements
//! .*                   all values          [0,2]  ['a','b']         several of these
//! ..                   all below           [?(@.a=="b")]            elements that fit
//! "text"  5  true      themselves          {range path} … {end}     for each
//! @  $                 nothing: a path begins where its braces do
//! ```
//!
//! There is no `&&`, no function, no arithmetic. Upstream walks maps in an order
//! of chance, this in that of their keys.
//! Source: kubernetes `client-go/util/jsonpath`, 1.35.

mod compare;
mod evaluate;
mod fault;
mod found;
mod node;
mod parser;
pub mod text;
mod unquote;

use crate::kube::json;
use crate::kube::value::Value;
use evaluate::Evaluator;
pub use fault::PathFault;
pub use found::Found;
use node::Node;

/// What a template may find in all its steps, so that one which multiplies
/// (`.. .*.. .*`) ends before the memory does.
const MOST_RESULTS: usize = 1 << 26;

/// A template, ready to be asked of objects.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    nodes: Vec<Node>,
    strict: bool,
    most: usize,
}

impl JsonPath {
    /// Reads a template. Fields that an object does not have are no fault.
    pub fn parse(template: &str) -> Result<Self, PathFault> {
        Ok(Self { nodes: parser::parse(template)?, strict: false, most: MOST_RESULTS })
    }

    /// Reads a path as `--sort-by` and custom columns have it: `.metadata.name`,
    /// with or without the dot, with or without braces.
    pub fn parse_relaxed(path: &str) -> Result<Self, PathFault> {
        Self::parse(&relaxed(path)?)
    }

    /// Makes a field that nothing has a fault (`--allow-missing-template-keys=false`).
    pub fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// Lets all its steps together find at most `most` values: for paths that come
    /// from where the objects come from.
    pub fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// Hands to `take` what the template finds: a list for each text and each pair
    /// of braces, those inside a range as often as it has elements.
    pub fn each<'v>(
        &'v self,
        object: &'v Value<'v>,
        mut take: impl FnMut(&[Found<'v>]),
    ) -> Result<(), PathFault> {
        Evaluator::new(&self.nodes, self.strict, self.most).run(object, &mut take)
    }

    /// What the first text or pair of braces finds, and the first place in it.
    pub fn first<'v>(&'v self, object: &'v Value<'v>) -> Result<Option<Found<'v>>, PathFault> {
        let mut first = None;
        self.each(object, |results| {
            first.get_or_insert(results.first().copied());
        })?;
        Ok(first.flatten())
    }

    /// Writes what the template finds as `-o jsonpath` does: the results of a
    /// pair of braces with blanks between them, lists and maps as compact JSON,
    /// null as `null`. Nothing is written if there is a fault.
    pub fn write(&self, object: &Value<'_>, out: &mut Vec<u8>) -> Result<(), PathFault> {
        let before = out.len();
        let written = self.each(object, |results| {
            for (place, found) in results.iter().enumerate() {
                if place > 0 {
                    out.push(b' ');
                }
                found.write(out);
            }
        });
        if written.is_err() {
            out.truncate(before);
        }
        written
    }

    /// Writes what the template finds as `-o jsonpath-as-json` does: a JSON list
    /// for each text and each pair of braces.
    pub fn write_json(&self, object: &Value<'_>, out: &mut Vec<u8>) -> Result<(), PathFault> {
        let before = out.len();
        let mut nothing = false;
        let written = self.each(object, |results| {
            nothing |= results.contains(&Found::NOTHING);
            json::write(&Value::List(results.iter().map(|found| text::value_of(*found)).collect()), out);
        });
        let written = if nothing { written.and(Err(PathFault::EmptyRange)) } else { written };
        if written.is_err() {
            out.truncate(before);
        }
        written
    }
}

/// The template that a relaxed path stands for.
///
/// Source: kubernetes `kubectl/pkg/cmd/get/customcolumn.go`, 1.35.
pub fn relaxed(path: &str) -> Result<String, PathFault> {
    if path.is_empty() {
        return Ok(String::new());
    }
    let inside = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).unwrap_or(path);
    if inside.is_empty() || inside.contains(['{', '}']) {
        return Err(PathFault::NotRelaxed);
    }
    let name = inside.strip_prefix('.').filter(|name| !name.is_empty()).unwrap_or(inside);
    Ok(format!("{{.{name}}}"))
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// What was recorded, and whether all of it is in an order that counts.
    fn expected(case: &serde_json::Value) -> Option<Vec<u8>> {
        if let Some(hex) = case["hex"].as_str() {
            let digits: Vec<u32> = hex.chars().map(|digit| digit.to_digit(16).expect("hex")).collect();
            return Some(digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect());
        }
        // Go escapes what stands for bytes that are no UTF-8.
        case["output"].as_str().map(|text| text.replace("\\ufffd", "\u{fffd}").into_bytes())
    }

    fn words(text: &[u8]) -> Vec<&[u8]> {
        let mut words: Vec<_> =
            text.split(|byte| b" ,[]\n".contains(byte)).filter(|word| !word.is_empty()).collect();
        words.sort_unstable();
        words
    }

    #[test]
    fn templates_print_what_upstream_prints() {
        let lines = recorded::lines("jsonpath");
        let (objects, cases) = lines.split_first().expect("a first line");
        let objects: Vec<Value<'_>> =
            objects.as_array().expect("a list").iter().cloned().map(Value::from).collect();
        let (mut printed, mut refused) = (0, 0);
        for case in cases {
            let template = case["template"].as_str().expect("text");
            let object = &objects[case["object"].as_u64().expect("a number") as usize];
            let mut out = Vec::new();
            let result = JsonPath::parse(template).and_then(|path| {
                let path = if case["strict"] == true { path.strict() } else { path };
                if case["json"] == true {
                    path.write_json(object, &mut out)
                } else {
                    path.write(object, &mut out)
                }
            });
            let Some(expected) = expected(case) else {
                assert!(result.is_err(), "{case} but {}", String::from_utf8_lossy(&out));
                refused += 1;
                continue;
            };
            assert_eq!(result, Ok(()), "{case}");
            let (ours, theirs) = (String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));
            if case["unordered"] == true {
                assert_eq!(words(&out), words(&expected), "{template}\n{ours}\n{theirs}");
            } else {
                assert!(out == expected, "{template}\n{ours}\n{theirs}");
            }
            printed += 1;
        }
        assert!(printed > 1000 && refused > 400, "{printed} {refused}");
    }

    #[test]
    fn relaxed_paths_are_upstreams() {
        let lines = recorded::lines("columns");
        let cases: Vec<_> = lines.iter().filter(|case| case["relaxed"].is_string()).collect();
        assert!(cases.len() > 20);
        for case in cases {
            let path = case["relaxed"].as_str().expect("text");
            assert_eq!(relaxed(path).ok().as_deref(), case["output"].as_str(), "{case}");
        }
    }

    #[test]
    fn what_multiplies_is_stopped() {
        let mut object = json!(1);
        for _ in 0..100 {
            object = json!([object, "x"]);
        }
        let object = Value::from(object);
        let path = JsonPath::parse("{.. .*.. .*.. .*.. .*.. .*}").expect("a path").at_most(10_000);
        assert_eq!(path.each(&object, |_| {}), Err(PathFault::TooMany(10_000)));
        let union = format!("{{[{}]}}", ["*"; 50].join(","));
        let path = JsonPath::parse(&union).expect("a path").at_most(99);
        assert_eq!(path.each(&object, |_| {}), Err(PathFault::TooMany(99)));
        let nested = "{range .*}".repeat(40);
        let path = JsonPath::parse(&nested).expect("a path").at_most(1000);
        assert_eq!(path.each(&object, |_| {}), Err(PathFault::TooMany(1000)));
    }

    #[test]
    fn filters_in_filters_have_an_end() {
        for depth in [1, 2, 10, 1000] {
            let template = format!("{{{}{}}}", "[?(@.a'".repeat(depth), "')]".repeat(depth));
            let _ = JsonPath::parse(&template);
            let template = format!("{{{}{}}}", "[?(@.a\\'\"".repeat(depth), "\"\\')]".repeat(depth));
            let _ = JsonPath::parse(&template);
        }
    }

    proptest! {
        #[test]
        fn any_template_can_be_read(
            any in ".*",
            near in r#"\{(range |end|\.[a-c]|\[[0-9:,*-]{0,5}\]|\[\?\(@\.a[<=>!]{0,2}[12"']\)\]|\.\.|\}\{|['"\\x0]| ){0,12}\}?"#,
        ) {
            let object = Value::from(json!({"a": [{"a": 1}, {"a": "x", "b": [[1, 2], []]}], "b": null, "c": "é"}));
            for template in [any, near] {
                let Ok(path) = JsonPath::parse(&template) else { continue };
                let _ = path.clone().at_most(100_000).write(&object, &mut Vec::new());
                let _ = path.strict().at_most(100_000).write(&object, &mut Vec::new());
            }
        }
    }
}
