//! What a path leads to.

use super::node::Node;
use super::text;
use crate::kube::value::Value;

/// One result of a template.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found<'v> {
    pub(super) kind: Kind<'v>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind<'v> {
    /// Something in the object.
    Value(&'v Value<'v>),
    /// Something in the template: text, a number, a boolean.
    Literal(&'v Node),
    /// A byte of a text: text is walked as if it were a list.
    Byte(u8),
    /// The element of a range that has none, or of which it is null.
    Nothing,
}

impl<'v> Found<'v> {
    pub(super) fn value(value: &'v Value<'v>) -> Self {
        Self { kind: Kind::Value(value) }
    }

    pub(super) fn literal(node: &'v Node) -> Self {
        Self { kind: Kind::Literal(node) }
    }

    pub(super) const NOTHING: Self = Self { kind: Kind::Nothing };

    /// The part of the object that was found, if it is one.
    pub fn as_value(&self) -> Option<&'v Value<'v>> {
        match self.kind {
            Kind::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Writes it as `-o jsonpath` does.
    pub fn write(&self, out: &mut Vec<u8>) {
        text::write_found(*self, out);
    }

    /// Writes it as custom columns do.
    pub fn write_plain(&self, out: &mut Vec<u8>) {
        text::write_plain(*self, out);
    }

    pub(super) fn as_list(&self) -> Option<&'v [Value<'v>]> {
        self.as_value().and_then(Value::as_list)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Value(Value::Null))
    }

    /// The bytes of a text.
    pub(super) fn as_text(&self) -> Option<&'v [u8]> {
        match self.kind {
            Kind::Value(Value::Str(text)) => Some(text.as_bytes()),
            Kind::Literal(Node::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What it is, in a word.
    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Value(Value::Null) | Kind::Nothing => "null",
            Kind::Value(Value::Bool(_)) | Kind::Literal(Node::Bool(_)) => "boolean",
            Kind::Value(Value::Str(_)) | Kind::Literal(Node::Text(_)) => "text",
            Kind::Value(Value::List(_)) => "list",
            Kind::Value(Value::Map(_)) => "map",
            _ => "number",
        }
    }
}
