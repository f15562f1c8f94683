//! What differs between two states of an object.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::value::Value;

/// A step from a value to one inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The value under a key of a map.
    Key(String),
    /// An element of a list.
    Element {
        /// What names it among the others, `name` and `web`, if anything does.
        named: Option<(&'static str, String)>,
        /// Where it stands in the older list.
        before: Option<usize>,
        /// Where it stands in the newer list.
        after: Option<usize>,
    },
}

/// A part of an object that is not what it was.
///
/// Values are not in it: whoever shows them may have to hide some, and takes them
/// from what may be shown, by [`before`](Self::before) and [`after`](Self::after).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The way to the part.
    pub path: Vec<Step>,
    /// Whether it was there before.
    pub was: bool,
    /// Whether it is there now.
    pub is: bool,
}

impl Change {
    /// The part in `object`, a state from before.
    pub fn before<'v, 'a>(&self, object: &'v Value<'a>) -> Option<&'v Value<'a>> {
        if self.was { self.part(object, |before, _| before) } else { None }
    }

    /// The part in `object`, a state from after.
    pub fn after<'v, 'a>(&self, object: &'v Value<'a>) -> Option<&'v Value<'a>> {
        if self.is { self.part(object, |_, after| after) } else { None }
    }

    fn part<'v, 'a>(
        &self,
        object: &'v Value<'a>,
        side: impl Fn(Option<usize>, Option<usize>) -> Option<usize>,
    ) -> Option<&'v Value<'a>> {
        self.path.iter().try_fold(object, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Element { before, after, .. } => value.as_list()?.get(side(*before, *after)?),
        })
    }
}

/// The path in the form of JSONPath, as far as it goes: `spec.containers[name=web].image`,
/// `metadata.annotations['example.com/a']`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.path.iter().enumerate() {
            match step {
                Step::Key(key) if is_plain(key) => {
                    if number > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(key)?;
                }
                Step::Key(key) => write!(f, "['{}']", key.replace('\'', "\\'"))?,
                Step::Element { named: Some((by, name)), .. } => write!(f, "[{by}={name}]")?,
                Step::Element { named: None, before, after } => {
                    write!(f, "[{}]", after.or(*before).unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// What names the elements of lists in Kubernetes' objects, the most telling first.
const NAMES: [&str; 8] = ["name", "type", "uid", "ip", "key", "mountPath", "containerPort", "topologyKey"];

/// All parts that differ, in the order of the newer state, what is gone behind it.
///
/// Of lists whose elements have names those of the same name are compared, of others those
/// of the same place; `unnamed` has all compared by place, for objects whose values
/// must not be told.
pub fn changes(before: &Value<'_>, after: &Value<'_>, unnamed: bool) -> Vec<Change> {
    let mut found = Vec::new();
    compare(before, after, unnamed, &mut Vec::new(), &mut found);
    found
}

// Recursion: a value has no more levels than `MAX_DEPTH`.
fn compare(
    before: &Value<'_>,
    after: &Value<'_>,
    unnamed: bool,
    path: &mut Vec<Step>,
    found: &mut Vec<Change>,
) {
    let mut step = |step: Step, one: Option<&Value<'_>>, other: Option<&Value<'_>>| {
        path.push(step);
        match (one, other) {
            (Some(one), Some(other)) => compare(one, other, unnamed, path, found),
            (one, other) => {
                found.push(Change { path: path.clone(), was: one.is_some(), is: other.is_some() });
            }
        }
        path.pop();
    };
    match (before, after) {
        (Value::Map(one), Value::Map(other)) => {
            for (key, value) in other.entries() {
                step(Step::Key(key.clone().into_owned()), one.get(key), Some(value));
            }
            for (key, value) in one.entries().iter().filter(|(key, _)| other.get(key).is_none()) {
                step(Step::Key(key.clone().into_owned()), Some(value), None);
            }
        }
        (Value::List(one), Value::List(other)) => {
            let by = if unnamed { None } else { naming(one, other) };
            let Some(by) = by else {
                for place in 0..one.len().max(other.len()) {
                    let (was, is) = (one.get(place), other.get(place));
                    let element =
                        Step::Element { named: None, before: was.map(|_| place), after: is.map(|_| place) };
                    step(element, was, is);
                }
                return;
            };
            let place_of = |list: &[Value<'_>]| {
                let named = list.iter().enumerate();
                let named = named.filter_map(|(place, value)| Some((name(value, by)?, place)));
                named.collect::<HashMap<_, _>>()
            };
            let (was, is) = (place_of(one), place_of(other));
            for (place, value) in other.iter().enumerate() {
                let Some(name) = name(value, by) else { continue };
                let before = was.get(&name).copied();
                let element = Step::Element { named: Some((by, name)), before, after: Some(place) };
                step(element, before.and_then(|place| one.get(place)), Some(value));
            }
            for (place, value) in one.iter().enumerate() {
                let Some(name) = name(value, by).filter(|name| !is.contains_key(name)) else { continue };
                let element = Step::Element { named: Some((by, name)), before: Some(place), after: None };
                step(element, Some(value), None);
            }
        }
        (one, other) if one == other => {}
        _ => found.push(Change { path: path.clone(), was: true, is: true }),
    }
}

/// What names an element: text, or a whole number.
fn name(element: &Value<'_>, by: &str) -> Option<String> {
    match element.get(by)? {
        Value::Str(text) => Some(text.clone().into_owned()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A field that every element of both lists has, and no two of one list alike; none, if
/// what is in both comes in another order, which may mean something.
fn naming(one: &[Value<'_>], other: &[Value<'_>]) -> Option<&'static str> {
    let by = shared_name(one, other)?;
    let names = |list: &[Value<'_>]| list.iter().filter_map(|element| name(element, by)).collect::<Vec<_>>();
    let (was, is) = (names(one), names(other));
    let (before, after): (HashSet<_>, HashSet<_>) = (was.iter().collect(), is.iter().collect());
    let stayed = was.iter().filter(|name| after.contains(name));
    stayed.eq(is.iter().filter(|name| before.contains(name))).then_some(by)
}

fn shared_name(one: &[Value<'_>], other: &[Value<'_>]) -> Option<&'static str> {
    let names_all = |by: &&&'static str| {
        [one, other].into_iter().all(|list| {
            let mut seen = HashSet::new();
            list.iter().all(|element| name(element, by).is_some_and(|name| seen.insert(name)))
        })
    };
    NAMES.iter().find(names_all).copied()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(before: serde_json::Value, after: serde_json::Value) -> Vec<String> {
        let (before, after) = (Value::from(before), Value::from(after));
        let told = changes(&before, &after, false).into_iter().map(|change| {
            let side = |value: Option<&Value<'_>>| {
                let mut text = Vec::new();
                if let Some(value) = value {
                    super::super::json::write_compact(value, &mut text);
                }
                String::from_utf8(text).expect("JSON")
            };
            format!("{change}: {} -> {}", side(change.before(&before)), side(change.after(&after)))
        });
        told.collect()
    }

    #[test]
    fn what_is_new_changed_and_gone_is_told_by_its_path() {
        let before = json!({"spec": {"replicas": 2, "old": true}, "kind": "D"});
        let after = json!({"spec": {"replicas": 3, "new": {"a": 1}}, "kind": "D"});
        assert_eq!(
            told(before, after),
            ["spec.new:  -> {\"a\":1}", "spec.replicas: 2 -> 3", "spec.old: true -> "]
        );
    }

    #[test]
    fn equal_states_have_no_changes() {
        let state = json!({"a": [1, {"name": "x"}], "b": null});
        assert_eq!(told(state.clone(), state), [""; 0]);
    }

    #[test]
    fn elements_are_compared_by_name_wherever_they_stand() {
        let before = json!({"c": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]});
        let after = json!({"c": [{"name": "n"}, {"name": "a", "image": "1"}, {"name": "b", "image": "2"}]});
        assert_eq!(
            told(before, after),
            ["c[name=n]:  -> {\"name\":\"n\"}", "c[name=b].image: \"1\" -> \"2\""]
        );
    }

    #[test]
    fn another_order_is_a_change() {
        let before = json!([{"name": "a"}, {"name": "b"}]);
        let after = json!([{"name": "b"}, {"name": "a"}]);
        assert_eq!(told(before, after), ["[0].name: \"a\" -> \"b\"", "[1].name: \"b\" -> \"a\""]);
    }

    #[test]
    fn elements_without_a_name_of_their_own_are_compared_by_place() {
        let before = json!({"c": [{"name": "a", "v": 1}, {"name": "a", "v": 2}], "l": ["x", "y"]});
        let after = json!({"c": [{"name": "a", "v": 1}, {"name": "a", "v": 3}], "l": ["x"]});
        assert_eq!(told(before, after), ["c[1].v: 2 -> 3", "l[1]: \"y\" -> "]);
    }

    #[test]
    fn keys_that_are_no_words_are_quoted() {
        let change = told(json!({"a": {"x.y/z": 1}}), json!({"a": {"x.y/z": 2}}));
        assert_eq!(change, ["a['x.y/z']: 1 -> 2"]);
    }

    #[test]
    fn where_values_must_not_be_told_elements_have_no_names() {
        let (before, after) = (json!([{"name": "a", "v": 1}]), json!([{"name": "a", "v": 2}]));
        let found = changes(&Value::from(before), &Value::from(after), true);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["[0].v"]);
    }

    #[test]
    fn another_kind_of_value_is_a_change() {
        assert_eq!(told(json!({"a": 1}), json!({"a": "1"})), ["a: 1 -> \"1\""]);
        assert_eq!(told(json!({"a": []}), json!({"a": {}})), ["a: [] -> {}"]);
    }
}
