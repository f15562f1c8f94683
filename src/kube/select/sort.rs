//! `--sort-by`.
//!
//! Objects without the field come first, then those where it is null. Numbers
//! are compared with numbers, text with text: as amounts where both are
//! (`100Mi` before `1Gi`, `9` before `10`), else by their bytes. What is equal
//! keeps its order, which upstream does not promise.
//! Source: kubernetes `kubectl/pkg/cmd/get/sorter.go`, 1.35.

use super::jsonpath::{Found, JsonPath, PathFault, relaxed};
use super::quantity::Quantity;
use crate::kube::value::Value;

/// The field to sort by.
#[derive(Debug, Clone, PartialEq)]
pub struct SortBy {
    path: JsonPath,
    template: String,
}

/// What an object has in that field: all that sorting needs of it.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey(Key);

#[derive(Debug, Clone, PartialEq)]
enum Key {
    Missing,
    Null,
    Int(i64),
    Float(f64),
    Text(Box<str>, Option<Quantity>),
    /// Something that has no order.
    Other(&'static str),
}

/// Why objects cannot be sorted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SortFault {
    /// No object has the field: most likely it was mistyped.
    #[error("couldn't find any field with path {0:?} in the list of objects")]
    Nowhere(String),
    /// The values have no order, or none among each other.
    #[error("field {path} is unsortable: it is {one} here and {other} there")]
    Unsortable {
        /// The template of the field.
        path: String,
        /// What one object has.
        one: &'static str,
        /// What another one has.
        other: &'static str,
    },
}

impl SortBy {
    /// Reads a path: `.metadata.name`, with or without the dot, with or without
    /// braces; or any template, whose first result counts.
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        let template = relaxed(text).unwrap_or_else(|_| text.to_owned());
        Ok(Self { path: JsonPath::parse(&template)?, template })
    }

    /// What sorting needs of an object.
    pub fn key(&self, object: &Value<'_>) -> Result<SortKey, PathFault> {
        Ok(SortKey(self.path.first(object)?.map_or(Key::Missing, Key::of)))
    }

    /// The places of the keys in their order.
    pub fn order(&self, keys: &[SortKey]) -> Result<Vec<usize>, SortFault> {
        if !keys.is_empty() && keys.iter().all(|key| key.0 == Key::Missing) {
            return Err(SortFault::Nowhere(self.template.clone()));
        }
        let mut present = keys.iter().filter_map(|key| key.0.kind());
        if let Some(first) = present.next() {
            for other in present {
                if first != other || matches!(first, "true or false" | "a list" | "a map") {
                    let path = self.template.clone();
                    return Err(SortFault::Unsortable { path, one: first, other });
                }
            }
        }
        let key = |place: &usize| keys.get(*place).map_or(&Key::Missing, |key| &key.0);
        Ok(merge_sort(keys.len(), |left, right| key(left).is_less(key(right))))
    }
}

impl Key {
    fn of(found: Found<'_>) -> Self {
        match found.as_value() {
            Some(Value::Null) => Self::Null,
            Some(Value::Int(number)) => Self::Int(*number),
            Some(Value::Float(number)) => Self::Float(*number),
            Some(Value::Str(text)) => Self::Text((**text).into(), Quantity::parse(text)),
            Some(Value::Bool(_)) => Self::Other("true or false"),
            Some(Value::List(_)) => Self::Other("a list"),
            Some(Value::Map(_)) => Self::Other("a map"),
            // Text of the template, the same for each.
            None => {
                let mut text = Vec::new();
                found.write(&mut text);
                Self::Text(String::from_utf8_lossy(&text).into(), None)
            }
        }
    }

    /// What can only be compared with its like; `None` for what always can.
    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Missing | Self::Null => None,
            Self::Int(_) => Some("a whole number"),
            Self::Float(_) => Some("a number with a fraction"),
            Self::Text(..) => Some("text"),
            Self::Other(kind) => Some(kind),
        }
    }

    fn is_less(&self, other: &Self) -> bool {
        let rank = |key: &Self| match key {
            Self::Missing => 0,
            Self::Null => 1,
            _ => 2,
        };
        match (self, other) {
            (Self::Int(left), Self::Int(right)) => left < right,
            (Self::Float(left), Self::Float(right)) => left < right,
            (Self::Text(_, Some(left)), Self::Text(_, Some(right))) => left < right,
            (Self::Text(left, _), Self::Text(right, _)) => left < right,
            _ => rank(self) < rank(other),
        }
    }
}

/// The numbers below `count` in their order, equal ones as they were. The order
/// of amounts among other text can go in circles, which the standard library's
/// sorting does not allow.
fn merge_sort(count: usize, is_less: impl Fn(&usize, &usize) -> bool) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    let mut run = 1;
    while run < count {
        let mut merged = Vec::with_capacity(count);
        for pair in places.chunks(run.saturating_mul(2)) {
            let (left, right) = pair.split_at_checked(run).unwrap_or((pair, &[]));
            let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
            while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
                let next = if is_less(second, first) { right.next() } else { left.next() };
                merged.extend(next);
            }
            merged.extend(left.chain(right));
        }
        places = merged;
        run = run.saturating_mul(2);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_order_is_kubectls() {
        let lines = recorded::lines("sort");
        let cases: Vec<_> = lines.iter().filter(|line| line["path"].is_string()).collect();
        let (mut sorted, mut refused) = (0, 0);
        for case in cases {
            let values = case["values"].as_array().expect("a list");
            let is_missing =
                |value: &serde_json::Value| case["missing"].is_string() && *value == case["missing"];
            let objects = values.iter().map(|value| {
                if is_missing(value) { json!({"spec": {}}) } else { json!({"spec": {"v": value}}) }
            });
            let objects: Vec<Value<'_>> = objects.map(Value::from).collect();
            let order = SortBy::parse(case["path"].as_str().expect("text")).ok().and_then(|by| {
                let keys: Result<Vec<_>, _> = objects.iter().map(|object| by.key(object)).collect();
                let keys = keys.ok()?;
                Some((by.order(&keys).ok()?, keys))
            });
            let Some(expected) = case["order"].as_array() else {
                assert!(order.is_none(), "{case} but {order:?}");
                refused += 1;
                continue;
            };
            let (order, keys) = order.unwrap_or_else(|| panic!("{case}"));
            let expected = expected.iter().map(|place| place.as_u64().expect("a number") as usize);
            // Upstream's sorting is not stable, so only what the order is of counts.
            for (ours, theirs) in order.iter().zip(expected) {
                let (ours, theirs) = (&keys[*ours].0, &keys[theirs].0);
                assert!(!ours.is_less(theirs) && !theirs.is_less(ours), "{case}\n{order:?}");
            }
            sorted += 1;
        }
        assert!(sorted > 200 && refused > 10, "{sorted} {refused}");
    }

    #[test]
    fn equal_objects_keep_their_order() {
        let by = SortBy::parse(".a").expect("a path");
        let values =
            [json!({"a": 2}), json!({}), json!({"a": 1}), json!({}), json!({"a": 2}), json!({"a": 1})];
        let keys: Vec<_> = values.map(|value| by.key(&Value::from(value)).expect("a key")).into();
        assert_eq!(by.order(&keys), Ok(vec![1, 3, 2, 5, 0, 4]));
        assert_eq!(by.order(&[]), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn anything_can_be_sorted(texts in prop::collection::vec("[0-9]{0,2}[kKx]?i?", 0..40)) {
            let by = SortBy::parse("a").expect("a path");
            let key = |text: &String| by.key(&Value::from(json!({"a": text}))).expect("a key");
            let mut order = by.order(&texts.iter().map(key).collect::<Vec<_>>()).expect("an order");
            order.sort_unstable();
            prop_assert_eq!(order, (0..texts.len()).collect::<Vec<_>>());
        }
    }
}
