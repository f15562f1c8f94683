//! A decoded object: the tree that JSON, YAML, CBOR and protobuf all stand for.
//!
//! Maps are kept in the order of their keys' bytes, which is the order that JSON
//! output has; each key is there once. Text is borrowed where it can be from the
//! bytes that were decoded, which are a copy of what the file holds and never
//! the mapped file itself.

use std::borrow::Cow;

/// Levels of lists and maps that a decoded object may have. Readers refuse
/// more, so that whoever walks a [`Value`] may do so by recursion.
pub const MAX_DEPTH: usize = 128;

/// One value of an object.
// The tag as wide as what follows it, so that values are moved in whole words:
// of a narrow one the compiler also moves the bytes beside it, which is slow.
#[derive(Debug, Clone, PartialEq, Default)]
#[repr(u64)]
pub enum Value<'a> {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number, and whole ones beyond 64 bits.
    Float(f64),
    /// Text.
    Str(Cow<'a, str>),
    /// A list.
    List(Vec<Value<'a>>),
    /// A map.
    Map(Map<'a>),
}

/// A map, in the order of its keys' bytes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map<'a> {
    entries: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Value<'a> {
    /// A number as whoever reads Go's JSON of it has it: a whole number if it is
    /// written as one and fits. `None` if it is infinite or none.
    pub fn number(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        // The digits that are written are the fewest that mean this number, with
        // zeros behind them: those of a large one are not its own.
        let whole = if number.fract() == 0.0 { number.to_string().parse().ok() } else { None };
        Some(whole.map_or(Self::Float(number), Self::Int))
    }

    /// The value under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The value at the end of `path`, through maps alone.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The text at the end of `path`; empty if there is none.
    pub fn text(&self, path: &[&str]) -> &str {
        self.at(path).and_then(Self::as_str).unwrap_or_default()
    }

    /// The whole number at the end of `path`.
    pub fn int(&self, path: &[&str]) -> Option<i64> {
        self.at(path).and_then(Self::as_int)
    }

    /// Whether `true` stands at the end of `path`.
    pub fn is_true(&self, path: &[&str]) -> bool {
        matches!(self.at(path), Some(Self::Bool(true)))
    }

    /// The elements of the list at the end of `path`; none if there is none.
    pub fn items(&self, path: &[&str]) -> &[Self] {
        self.at(path).and_then(Self::as_list).unwrap_or_default()
    }

    /// The entries of the map at the end of `path`; none if there is none.
    pub fn entries(&self, path: &[&str]) -> &[(Cow<'a, str>, Self)] {
        self.at(path).and_then(Self::as_map).map(Map::entries).unwrap_or_default()
    }

    /// The same, borrowing nothing.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(yes) => Value::Bool(yes),
            Self::Int(number) => Value::Int(number),
            Self::Float(number) => Value::Float(number),
            Self::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
            Self::List(items) => Value::List(items.into_iter().map(Self::into_owned).collect()),
            Self::Map(map) => {
                let owned =
                    |(key, value): (Cow<'a, str>, Self)| (Cow::Owned(key.into_owned()), value.into_owned());
                Value::Map(Map { entries: map.entries.into_iter().map(owned).collect() })
            }
        }
    }

    /// As text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// As a whole number.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// As a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// As a map.
    pub fn as_map(&self) -> Option<&Map<'a>> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// As a map that can be changed.
    pub fn as_map_mut(&mut self) -> Option<&mut Map<'a>> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The value under `key`, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        self.as_map_mut()?.get_mut(key)
    }

    /// The value at the end of `path`, to be changed.
    pub fn at_mut(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |value, key| value.get_mut(key))
    }
}

impl<'a> Map<'a> {
    /// Of entries in any order. Of a key that is there several times the last
    /// counts, as Go has it.
    pub fn from_entries(mut entries: Vec<(Cow<'a, str>, Value<'a>)>) -> Self {
        // Stable, so that the last of equals stays the last.
        if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    std::mem::swap(later, earlier);
                }
                same
            });
        }
        Self { entries }
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|(other, _)| (**other).cmp(key))
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.find(key).ok().and_then(|index| self.entries.get(index)).map(|(_, value)| value)
    }

    /// The value under `key`, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value<'a>> {
        self.find(key).ok().and_then(|index| self.entries.get_mut(index)).map(|(_, value)| value)
    }

    /// Puts `value` under `key`, in place of what may be there.
    pub fn insert(&mut self, key: impl Into<Cow<'a, str>>, value: Value<'a>) {
        let key = key.into();
        match self.find(&key) {
            Ok(index) => {
                if let Some(entry) = self.entries.get_mut(index) {
                    entry.1 = value;
                }
            }
            Err(index) => self.entries.insert(index, (key, value)),
        }
    }

    /// Takes out what is under `key`.
    pub fn remove(&mut self, key: &str) -> Option<Value<'a>> {
        self.find(key).ok().map(|index| self.entries.remove(index).1)
    }

    /// Keeps the entries of which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value<'a>) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
    }

    /// All entries, in the order of their keys' bytes.
    pub fn entries(&self) -> &[(Cow<'a, str>, Value<'a>)] {
        &self.entries
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Str(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Str(Cow::Owned(text))
    }
}

impl<'a> From<Map<'a>> for Value<'a> {
    fn from(map: Map<'a>) -> Self {
        Self::Map(map)
    }
}

/// As serde_json has it, for tests that write objects down as JSON.
#[cfg(test)]
impl From<serde_json::Value> for Value<'_> {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Self::Null,
            Json::Bool(yes) => Self::Bool(yes),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Float(number.as_f64().expect("a number")),
            },
            Json::String(text) => Self::Str(Cow::Owned(text)),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Json::Object(map) => {
                let entries = map.into_iter().map(|(key, value)| (Cow::Owned(key), Self::from(value)));
                Self::Map(Map::from_entries(entries.collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn maps_are_in_the_order_of_bytes_and_the_last_of_equal_keys_counts() {
        let entry = |key: &'static str, number| (Cow::Borrowed(key), Value::Int(number));
        let map = Map::from_entries(vec![
            entry("b", 1),
            entry("a", 2),
            entry("b", 3),
            entry("B", 4),
            entry("b", 5),
        ]);
        let entries: Vec<_> =
            map.entries().iter().map(|(key, value)| (key.as_ref(), value.as_int())).collect();
        assert_eq!(entries, [("B", Some(4)), ("a", Some(2)), ("b", Some(5))]);
    }

    #[test]
    fn whole_floats_are_whole_numbers() {
        assert_eq!(Value::number(-0.0), Some(Value::Int(0)));
        // Go 1.26 writes these as 9007199254740992, 9223372036854775000 and
        // 9223372036854775807 + 193.
        assert_eq!(Value::number(9_007_199_254_740_993.0), Some(Value::Int(9_007_199_254_740_992)));
        assert_eq!(Value::number(9_223_372_036_854_774_784.0), Some(Value::Int(9_223_372_036_854_775_000)));
        assert_eq!(
            Value::number(9_223_372_036_854_775_808.0),
            Some(Value::Float(9_223_372_036_854_775_808.0))
        );
        assert_eq!(Value::number(1.5), Some(Value::Float(1.5)));
        assert_eq!(Value::number(f64::NAN), None);
        assert_eq!(Value::number(f64::NEG_INFINITY), None);
    }

    #[test]
    fn paths_lead_through_maps() {
        let mut pod = Value::from(json!({"metadata": {"name": "web", "labels": {"a": "b"}}, "list": [1, 2]}));
        assert_eq!(pod.text(&["metadata", "name"]), "web");
        assert_eq!(pod.text(&["metadata", "name", "more"]), "");
        assert_eq!(pod.items(&["list"]), [Value::Int(1), Value::Int(2)]);
        assert_eq!(pod.entries(&["metadata", "labels"]).len(), 1);
        let metadata = pod.get_mut("metadata").and_then(Value::as_map_mut).expect("a map");
        metadata.insert("name", Value::from("db"));
        metadata.insert("uid", Value::from("1"));
        assert_eq!(metadata.remove("labels").map(|labels| labels.text(&["a"]).to_owned()), Some("b".into()));
        assert_eq!(pod, Value::from(json!({"metadata": {"name": "db", "uid": "1"}, "list": [1, 2]})));
    }
}
