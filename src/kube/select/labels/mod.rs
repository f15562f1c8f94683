//! Label selectors: `app=web,tier in (front, back),!canary`.
//!
//! ```text
//! selector    = [requirement *("," requirement)]
//! requirement = ["!"] KEY | KEY ("=" | "==" | "!=" | ">" | "<") VALUE
//!             | KEY ("in" | "notin") "(" [VALUE *("," VALUE)] ")"
//! ```
//!
//! Blanks may stand between all parts; nothing is quoted, as no key or value
//! needs it. An object without the key passes `!=`, `notin` and `!`, no other.
//! Source: kubernetes `apimachinery/pkg/labels/selector.go` and
//! `apimachinery/pkg/api/validate/content/kube.go`, 1.35.

mod lexer;

use crate::kube::value::{Map, Value};
use lexer::{Lexer, Token};

/// Which labels an object must have. The empty one passes every object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Exists,
    Absent,
    /// Also `=` and `==`.
    In(Vec<String>),
    /// Also `!=`.
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

/// Why text is no label selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelFault {
    /// Something else had to stand here.
    #[error("found '{found}', expected: {expected}")]
    Unexpected {
        /// What stands there; empty at the end.
        found: String,
        /// What could.
        expected: &'static str,
    },
    /// No label can have this key.
    #[error("'{key}' is no label key: {reason}")]
    Key {
        /// What was given.
        key: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// No label can have this value.
    #[error("'{value}' is no label value: {reason}")]
    Value {
        /// What was given.
        value: String,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// `>` and `<` compare whole numbers of 64 bits.
    #[error("'{value}' is no whole number, which '>' and '<' need")]
    Number {
        /// What was given.
        value: String,
    },
}

const NAME_LENGTH: usize = 63;
const PREFIX_LENGTH: usize = 253;

/// Letters and digits, between them also `-`, `_` and `.`.
fn is_name(text: &str) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// `example.com`.
fn is_subdomain(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.split('.').all(|part| {
        let ends = [part.bytes().next(), part.bytes().next_back()];
        ends.iter().all(|end| end.is_some_and(is_letter))
            && part.bytes().all(|byte| is_letter(byte) || byte == b'-')
    })
}

fn check_key(key: &str) -> Result<(), LabelFault> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let reason = if name.contains('/') {
        "it has more than one slash"
    } else if prefix.is_some_and(|prefix| prefix.len() > PREFIX_LENGTH || !is_subdomain(prefix)) {
        "before the slash there must be a DNS name in small letters of at most 253 bytes"
    } else if name.len() > NAME_LENGTH {
        "a name has at most 63 bytes"
    } else if !is_name(name) {
        "a name has letters, digits, '-', '_' and '.', and begins and ends with a letter or digit"
    } else {
        return Ok(());
    };
    Err(LabelFault::Key { key: key.to_owned(), reason })
}

fn check_value(value: &str) -> Result<(), LabelFault> {
    let reason = if value.len() > NAME_LENGTH {
        "a value has at most 63 bytes"
    } else if !value.is_empty() && !is_name(value) {
        "a value has letters, digits, '-', '_' and '.', and begins and ends with a letter or digit"
    } else {
        return Ok(());
    };
    Err(LabelFault::Value { value: value.to_owned(), reason })
}

fn unexpected<T>(found: Token<'_>, expected: &'static str) -> Result<T, LabelFault> {
    Err(LabelFault::Unexpected { found: found.text().to_owned(), expected })
}

fn number(value: &str) -> Result<i64, LabelFault> {
    value.parse().map_err(|_| LabelFault::Number { value: value.to_owned() })
}

impl LabelSelector {
    /// Reads a selector.
    pub fn parse(text: &str) -> Result<Self, LabelFault> {
        let mut lexer = Lexer::new(text);
        let mut requirements = Vec::new();
        match lexer.peek() {
            Token::End => return Ok(Self { requirements }),
            Token::Word(_) | Token::Not => {}
            other => return unexpected(other, "!, identifier, or 'end of string'"),
        }
        loop {
            requirements.push(requirement(&mut lexer)?);
            match lexer.next() {
                Token::End => return Ok(Self { requirements }),
                Token::Comma => {}
                other => return unexpected(other, "',' or 'end of string'"),
            }
            if !matches!(lexer.peek(), Token::Word(_) | Token::Not) {
                return unexpected(lexer.peek(), "identifier after ','");
            }
        }
    }

    /// Whether every object passes.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether an object passes, by its `metadata.labels`.
    pub fn matches(&self, object: &Value<'_>) -> bool {
        self.is_empty() || self.matches_labels(object.at(&["metadata", "labels"]).and_then(Value::as_map))
    }

    /// Whether an object with these labels passes.
    pub fn matches_labels(&self, labels: Option<&Map<'_>>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.and_then(|labels| labels.get(&requirement.key)).and_then(Value::as_str);
            requirement.test.passes(value)
        })
    }
}

impl Test {
    fn passes(&self, value: Option<&str>) -> bool {
        let has = |values: &[String]| value.is_some_and(|value| values.iter().any(|other| other == value));
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
            Self::In(values) => has(values),
            Self::NotIn(values) => !has(values),
            Self::Greater(bound) => number().is_some_and(|number| number > *bound),
            Self::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

fn requirement(lexer: &mut Lexer<'_>) -> Result<Requirement, LabelFault> {
    let absent = lexer.peek() == Token::Not;
    if absent {
        lexer.next();
    }
    let key = match lexer.next() {
        Token::Word(key) => key,
        other => return unexpected(other, "identifier"),
    };
    check_key(key)?;
    if absent || matches!(lexer.peek(), Token::End | Token::Comma) {
        let test = if absent { Test::Absent } else { Test::Exists };
        return Ok(Requirement { key: key.to_owned(), test });
    }
    let operator = lexer.next();
    let values = match operator {
        Token::Word("in" | "notin") => set(lexer)?,
        Token::Equals | Token::DoubleEquals | Token::NotEquals | Token::Greater | Token::Less => {
            match lexer.peek() {
                Token::End | Token::Comma => vec![String::new()],
                Token::Word(value) => {
                    lexer.next();
                    vec![value.to_owned()]
                }
                other => return unexpected(other, "identifier"),
            }
        }
        other => return unexpected(other, "in, notin, =, ==, !=, gt, lt"),
    };
    for value in &values {
        check_value(value)?;
    }
    let first = values.first().map(String::as_str).unwrap_or_default();
    let test = match operator {
        Token::Greater => Test::Greater(number(first)?),
        Token::Less => Test::Less(number(first)?),
        Token::NotEquals | Token::Word("notin") => Test::NotIn(values),
        _ => Test::In(values),
    };
    Ok(Requirement { key: key.to_owned(), test })
}

/// `(a, b)`. Nothing between commas or brackets is the empty value.
fn set(lexer: &mut Lexer<'_>) -> Result<Vec<String>, LabelFault> {
    match lexer.next() {
        Token::Open => {}
        other => return unexpected(other, "'('"),
    }
    let mut values = Vec::new();
    loop {
        let value = match lexer.peek() {
            Token::Word(value) => {
                lexer.next();
                value
            }
            Token::Comma | Token::Close => "",
            other => return unexpected(other, "',', ')' or identifier"),
        };
        if !values.iter().any(|other| other == value) {
            values.push(value.to_owned());
        }
        match lexer.next() {
            Token::Comma => {}
            Token::Close => return Ok(values),
            other => return unexpected(other, "',' or ')'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn selectors_pass_what_upstream_passes() {
        let lines = recorded::lines("labels");
        let (sets, cases) = lines.split_first().expect("a first line");
        let objects: Vec<Value<'_>> = (sets.as_array().expect("a list").iter())
            .map(|labels| Value::from(json!({"metadata": {"labels": labels}})))
            .collect();
        let mut passed = 0;
        for case in cases {
            let text = case["selector"].as_str().expect("text");
            let selector = LabelSelector::parse(text);
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
        assert!(passed > 350, "{passed}");
    }

    #[test]
    fn faults_name_what_is_wrong() {
        let fault = |text| LabelSelector::parse(text).expect_err(text).to_string();
        assert_eq!(fault("a b"), "found 'b', expected: in, notin, =, ==, !=, gt, lt");
        assert_eq!(fault("a in b"), "found 'b', expected: '('");
        assert_eq!(fault("a=b,"), "found '', expected: identifier after ','");
        assert_eq!(fault("x>y"), "'y' is no whole number, which '>' and '<' need");
        assert_eq!(fault("a/b/c"), "'a/b/c' is no label key: it has more than one slash");
        assert!(fault("a=-").starts_with("'-' is no label value"));
    }

    #[test]
    fn labels_that_are_no_map_are_no_labels() {
        let selector = LabelSelector::parse("!a").expect("a selector");
        for object in [json!(null), json!({"metadata": 1}), json!({"metadata": {"labels": ["a"]}})] {
            assert!(selector.matches(&Value::from(object)));
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(any in ".*", near in "[a-c!=<>(),. in\t\0-]{0,24}") {
            let labels = Value::from(json!({"a": "1", "b": "c"}));
            for text in [any, near] {
                if let Ok(selector) = LabelSelector::parse(&text) {
                    let _ = selector.matches_labels(labels.as_map());
                }
            }
        }
    }
}
