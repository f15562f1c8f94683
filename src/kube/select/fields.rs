//! Field selectors: `metadata.name=web,status.phase!=Running`.
//!
//! An API server knows a few fields of each type; here any path will do. A part
//! of a path is a key of a map, or the number of an element behind the name of a
//! list: `spec.containers[0].image`. What is compared is text: that of a text,
//! number or boolean, and the empty one for whatever is absent, null, a list or
//! a map. In a value `\`, `,` and `=` are written `\\`, `\,` and `\=`.
//! Source: kubernetes `apimachinery/pkg/fields/selector.go`, 1.35.

use super::jsonpath::text::number_text;
use crate::kube::value::Value;

/// Which fields an object must have. The empty one passes every object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    path: Vec<Step>,
    value: String,
    /// The value, if it is a whole number as it is written: to compare without writing.
    whole: Option<i64>,
    is: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Element(usize),
}

/// Why text is no field selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// There is no `=`, `==` or `!=`.
    #[error("'{term}' has none of '=', '==' and '!='")]
    Operator {
        /// One of the terms between the commas.
        term: String,
    },
    /// A `\` that is not before `\`, `,` or `=`.
    #[error("invalid escape sequence in '{value}': only '\\\\', '\\,' and '\\=' are")]
    Escape {
        /// The value, as it was typed.
        value: String,
    },
    /// An `=` in a value.
    #[error("unescaped '=' in the value '{value}'")]
    Unescaped {
        /// The value, as it was typed.
        value: String,
    },
}

impl FieldSelector {
    /// Reads a selector. Blanks count as parts of paths and values.
    pub fn parse(text: &str) -> Result<Self, FieldFault> {
        let terms = split_terms(text).into_iter().filter(|term| !term.is_empty());
        let mut terms = terms.map(Term::parse).collect::<Result<Vec<_>, _>>()?;
        // `=` alone, whatever it may mean, excludes nothing upstream.
        terms.retain(|term| term.path != steps("") || !term.value.is_empty());
        Ok(Self { terms })
    }

    /// Whether every object passes.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether `object` passes.
    pub fn matches(&self, object: &Value<'_>) -> bool {
        self.terms.iter().all(|term| term.matches(object))
    }

    /// The text that the field `path` must have to pass, if there is only one:
    /// what is asked by key need not be decoded.
    pub fn required(&self, path: &[&str]) -> Option<&str> {
        let is_path = |term: &&Term| {
            term.is
                && term.path.len() == path.len()
                && term
                    .path
                    .iter()
                    .zip(path)
                    .all(|(step, key)| matches!(step, Step::Key(name) if name == key))
        };
        self.terms.iter().find(is_path).map(|term| term.value.as_str())
    }
}

/// At the commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let mut escaped = false;
    let is_end = |character: char| {
        let ends = character == ',' && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    };
    text.split(is_end).collect()
}

impl Term {
    fn parse(term: &str) -> Result<Self, FieldFault> {
        let fault = || FieldFault::Operator { term: term.to_owned() };
        let at = term.char_indices().map(|(at, _)| at);
        let operator = |at: usize| {
            let (path, rest) = term.split_at_checked(at)?;
            let operators = [("!=", false), ("==", true), ("=", true)];
            operators.iter().find_map(|(mark, is)| Some((path, *is, rest.strip_prefix(mark)?)))
        };
        let (path, is, value) = at.filter_map(operator).next().ok_or_else(fault)?;
        let value = unescape(value)?;
        let whole = value.parse().ok().filter(|whole: &i64| whole.to_string() == value);
        Ok(Self { path: steps(path), value, whole, is })
    }

    fn matches(&self, object: &Value<'_>) -> bool {
        let step = |value, step: &Step| match step {
            Step::Key(key) => Value::get(value, key),
            Step::Element(index) => value.as_list()?.get(*index),
        };
        let equal = match self.path.iter().try_fold(object, step) {
            None | Some(Value::Null | Value::List(_) | Value::Map(_)) => self.value.is_empty(),
            Some(Value::Bool(true)) => self.value == "true",
            Some(Value::Bool(false)) => self.value == "false",
            Some(Value::Int(number)) => self.whole == Some(*number),
            Some(Value::Float(number)) => self.value == number_text(*number),
            Some(Value::Str(text)) => self.value == **text,
        };
        equal == self.is
    }
}

/// `spec.containers[0].image`. What does not have the form is a key.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (mut name, mut elements) = (part, Vec::new());
        while let Some((before, index)) = name.strip_suffix(']').and_then(|part| part.rsplit_once('[')) {
            let Ok(index) = index.parse() else { break };
            elements.push(Step::Element(index));
            name = before;
        }
        steps.push(Step::Key(name.to_owned()));
        steps.extend(elements.into_iter().rev());
    }
    steps
}

fn unescape(value: &str) -> Result<String, FieldFault> {
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => text.push(escaped),
                _ => return Err(FieldFault::Escape { value: value.to_owned() }),
            },
            '=' => return Err(FieldFault::Unescaped { value: value.to_owned() }),
            other => text.push(other),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn selectors_pass_what_upstream_passes() {
        let lines = recorded::lines("fields");
        let (objects, cases) = lines.split_first().expect("a first line");
        let objects: Vec<Value<'_>> =
            objects.as_array().expect("a list").iter().cloned().map(Value::from).collect();
        let mut passed = 0;
        for case in cases {
            let text = case["selector"].as_str().expect("text");
            let selector = FieldSelector::parse(text);
            let Some(expected) = case["matches"].as_str() else {
                assert!(selector.is_err(), "{case} but {selector:?}");
                continue;
            };
            let selector = selector.unwrap_or_else(|fault| panic!("{case} but {fault}"));
            let matches: String =
                objects.iter().map(|object| if selector.matches(object) { '1' } else { '0' }).collect();
            assert_eq!(matches, expected, "{case}");
            passed += 1;
        }
        assert!(passed > 150, "{passed}");
    }

    #[test]
    fn elements_of_lists_can_be_named() {
        let object = Value::from(json!({"l": [{"a": "x"}, {"a": ["y", "z"]}], "k[0]": 1}));
        for (text, matches) in [
            ("l[0].a=x", true),
            ("l[1].a[1]=z", true),
            ("l[1].a[2]=", true),
            ("l[1].a=", true),
            ("l.a=", true),
            ("l[-1].a=", true),
            ("l[0].a=y", false),
            ("k[x]=", true),
        ] {
            let selector = FieldSelector::parse(text).expect(text);
            assert_eq!(selector.matches(&object), matches, "{text}");
        }
    }

    #[test]
    fn the_one_name_asked_for_is_known() {
        let selector = FieldSelector::parse("metadata.name=web,metadata.namespace!=a").expect("a selector");
        assert_eq!(selector.required(&["metadata", "name"]), Some("web"));
        assert_eq!(selector.required(&["metadata", "namespace"]), None);
        assert_eq!(selector.required(&["metadata"]), None);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(any in ".*", near in r"[a-c.!=,\\\[\]0-9]{0,24}") {
            let object = Value::from(json!({"a": {"b": [1, "c"]}}));
            for text in [any, near] {
                if let Ok(selector) = FieldSelector::parse(&text) {
                    let _ = selector.matches(&object);
                }
            }
        }
    }
}
