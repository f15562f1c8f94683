//! How values are printed: by templates, and as Go's `fmt` prints them.

use super::found::{Found, Kind};
use super::node::Node;
use crate::kube::value::Value;
use crate::kube::{go_number, json};

/// As a template prints a result.
pub(super) fn write_found(found: Found<'_>, out: &mut Vec<u8>) {
    match found.kind {
        Kind::Value(value @ (Value::List(_) | Value::Map(_))) => json::write_compact(value, out),
        Kind::Value(Value::Null) => out.extend_from_slice(b"null"),
        Kind::Nothing => out.extend_from_slice(b"<no value>"),
        _ => write_plain(found, out),
    }
}

/// As Go's `fmt.Sprint` has it, and with it custom columns: `map[a:1 b:[2 3]]`,
/// null as `<nil>`.
pub(super) fn write_plain(found: Found<'_>, out: &mut Vec<u8>) {
    match found.kind {
        Kind::Value(value) => write_value(value, out),
        Kind::Nothing => out.extend_from_slice(b"<nil>"),
        Kind::Byte(byte) => out.extend_from_slice(byte.to_string().as_bytes()),
        Kind::Literal(literal) => match literal {
            Node::Text(text) => out.extend_from_slice(text),
            Node::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Node::Float(number) => out.extend_from_slice(number_text(*number).as_bytes()),
            Node::Bool(yes) => out.extend_from_slice(yes.to_string().as_bytes()),
            _ => {}
        },
    }
}

/// Depth is bounded by [`MAX_DEPTH`](crate::kube::value::MAX_DEPTH).
fn write_value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"<nil>"),
        Value::Bool(yes) => out.extend_from_slice(yes.to_string().as_bytes()),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Float(number) => out.extend_from_slice(number_text(*number).as_bytes()),
        Value::Str(text) => out.extend_from_slice(text.as_bytes()),
        Value::List(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b' ');
                }
                write_value(item, out);
            }
            out.push(b']');
        }
        Value::Map(map) => {
            out.extend_from_slice(b"map[");
            for (place, (key, value)) in map.entries().iter().enumerate() {
                if place > 0 {
                    out.push(b' ');
                }
                out.extend_from_slice(key.as_bytes());
                out.push(b':');
                write_value(value, out);
            }
            out.push(b']');
        }
    }
}

/// A result as a value of its own. Bytes that are no UTF-8 become U+FFFD, one each.
pub(super) fn value_of(found: Found<'_>) -> Value<'_> {
    match found.kind {
        Kind::Value(value) => value.clone(),
        Kind::Nothing => Value::Null,
        Kind::Byte(byte) => Value::Int(byte.into()),
        Kind::Literal(literal) => match literal {
            Node::Text(text) => {
                let mut valid = String::new();
                for chunk in text.utf8_chunks() {
                    valid.push_str(chunk.valid());
                    valid.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
                }
                Value::from(valid)
            }
            Node::Int(number) => Value::Int(*number),
            Node::Float(number) => Value::Float(*number),
            Node::Bool(yes) => Value::Bool(*yes),
            _ => Value::Null,
        },
    }
}

/// A number as Go prints a `float64`: the shortest digits that mean it, with an
/// exponent from 1e+06 on and below 1e-04.
pub fn number_text(number: f64) -> String {
    if number.is_finite() {
        let mut text = Vec::new();
        go_number::push_general(number, &mut text);
        return String::from_utf8(text).unwrap_or_default();
    }
    let text = if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_go() {
        for (number, text) in [(0.0, "0"), (-0.0, "-0"), (f64::INFINITY, "+Inf"), (f64::NEG_INFINITY, "-Inf")]
        {
            assert_eq!(number_text(number), text);
        }
        assert_eq!(number_text(f64::NAN), "NaN");
    }
}
