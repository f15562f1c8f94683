//! Comparisons in filters.
//!
//! Source: kubernetes `client-go/third_party/forked/golang/template/funcs.go`, 1.35.

use std::cmp::Ordering;

use super::fault::PathFault;
use super::found::{Found, Kind};
use super::node::Node;
use crate::kube::value::Value;

enum Basic<'v> {
    Bool(bool),
    Int(i64),
    /// What is found in text.
    Byte(u8),
    Float(f64),
    Text(&'v [u8]),
}

fn basic(found: Found<'_>) -> Result<Basic<'_>, PathFault> {
    Ok(match found.kind {
        Kind::Byte(byte) => Basic::Byte(byte),
        Kind::Value(Value::Bool(yes)) | Kind::Literal(Node::Bool(yes)) => Basic::Bool(*yes),
        Kind::Value(Value::Int(number)) | Kind::Literal(Node::Int(number)) => Basic::Int(*number),
        Kind::Value(Value::Float(number)) | Kind::Literal(Node::Float(number)) => Basic::Float(*number),
        Kind::Value(Value::Str(text)) => Basic::Text(text.as_bytes()),
        Kind::Literal(Node::Text(text)) => Basic::Text(text),
        _ => return Err(PathFault::Incomparable),
    })
}

/// Whether `left operator right` holds. Only values of one type can be compared.
pub(super) fn holds(left: Found<'_>, operator: &str, right: Found<'_>) -> Result<bool, PathFault> {
    let wanted: fn(Ordering) -> bool = match operator {
        "==" => Ordering::is_eq,
        "!=" => Ordering::is_ne,
        "<" => Ordering::is_lt,
        "<=" => Ordering::is_le,
        ">" => Ordering::is_gt,
        ">=" => Ordering::is_ge,
        other => return Err(PathFault::Operator(other.to_owned())),
    };
    let ordering = match (basic(left)?, basic(right)?) {
        (Basic::Bool(_), Basic::Bool(_)) if !matches!(operator, "==" | "!=") => {
            return Err(PathFault::Incomparable);
        }
        (Basic::Bool(left), Basic::Bool(right)) => left.cmp(&right),
        (Basic::Int(left), Basic::Int(right)) => left.cmp(&right),
        (Basic::Byte(left), Basic::Byte(right)) => left.cmp(&right),
        (Basic::Int(left), Basic::Byte(right)) => left.cmp(&right.into()),
        (Basic::Byte(left), Basic::Int(right)) => i64::from(left).cmp(&right),
        // There is no JSON for what is no number.
        (Basic::Float(left), Basic::Float(right)) => left.partial_cmp(&right).unwrap_or(Ordering::Greater),
        (Basic::Text(left), Basic::Text(right)) => left.cmp(right),
        _ => return Err(PathFault::Incompatible),
    };
    Ok(wanted(ordering))
}
