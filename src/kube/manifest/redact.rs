//! Objects without what must stay secret.
//!
//! Every value is replaced by a text that tells its size, `<redacted 12 bytes>`;
//! which values there are stays visible. In the `data` of a Secret that is no
//! base64, so a server refuses it; [`forbid`] makes it refuse any object.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::clean::LAST_APPLIED;
use super::identity::Identity;
use crate::kube::value::{Map, Value};

/// Whose values are replaced: those of Secrets, and of other types that were
/// named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redaction {
    also: Vec<(String, String)>,
}

/// What stays of an object: what it is, and what it is called.
const LEFT: [&str; 5] = ["apiVersion", "immutable", "kind", "metadata", "type"];

/// Fields whose text is base64, of which the size is that of what it stands for.
const BASE64: [(&str, &str); 2] = [("Secret", "data"), ("ConfigMap", "binaryData")];

impl Redaction {
    /// Of Secrets alone.
    pub fn secrets() -> Self {
        Self::default()
    }

    /// Also of that type. Of one whose kind nobody knows, as nothing defines it, the
    /// kind is empty: then everything of its group is concerned.
    pub fn and(mut self, group: &str, kind: &str) -> Self {
        self.also.push((group.to_owned(), kind.to_owned()));
        self
    }

    /// Whether objects of that type are concerned.
    pub fn concerns(&self, group: &str, kind: &str) -> bool {
        (group.is_empty() && kind == "Secret")
            || self.also.iter().any(|(a, b)| a.as_str() == group && (b.is_empty() || b.as_str() == kind))
    }

    /// Replaces the values of `object`, if it is concerned; tells whether it is.
    ///
    /// All but `apiVersion`, `kind`, `metadata`, `type` and `immutable` is
    /// replaced. Of the annotations those that may hold a copy of the object: the
    /// one of `kubectl apply`, JSON, packed text, and what repeats a value.
    pub fn apply(&self, object: &mut Value<'_>) -> bool {
        self.apply_among(object, &mut Hidden::default())
    }

    /// As [`apply`](Self::apply) to one of several states of an object: what repeats a
    /// value that any of them had is replaced, too. `hidden` has those of the others, and
    /// gets those of this one.
    pub fn apply_among(&self, object: &mut Value<'_>, hidden: &mut Hidden) -> bool {
        let identity = Identity::of(object);
        let (group, kind) = identity.type_name();
        if !self.concerns(group, kind) && !self.concerns(identity.group, identity.kind) {
            return false;
        }
        let base64: Vec<&str> = BASE64
            .iter()
            .filter(|(of, _)| group.is_empty() && *of == kind)
            .map(|(_, field)| *field)
            .collect();
        let is_secret = group.is_empty() && kind == "Secret";
        let Some(map) = object.as_map_mut() else { return false };
        let values = &mut hidden.0;
        map.retain(|key, value| {
            if !LEFT.contains(&key) {
                replace(value, base64.contains(&key), values);
            }
            true
        });
        if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_map_mut) {
            for place in ["annotations", "labels"] {
                redact_repeated(metadata, place, values);
            }
            // Of the owners of fields: names of keys are no secret, values of lists are.
            if !is_secret {
                redact_managed_fields(metadata);
            }
        }
        true
    }
}

/// Values that were replaced and must not be shown where something repeats them.
#[derive(Default)]
pub struct Hidden(BTreeSet<String>);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hidden").field("values", &self.0.len()).finish()
    }
}

/// Replaces the leaves of `value` and collects what they were, if it is text.
fn replace(value: &mut Value<'_>, is_base64: bool, values: &mut BTreeSet<String>) {
    match value {
        Value::Map(map) => map.retain(|_, value| {
            replace(value, is_base64, values);
            true
        }),
        Value::List(items) => items.iter_mut().for_each(|value| replace(value, is_base64, values)),
        Value::Null => {}
        Value::Str(text) => {
            let size = if is_base64 { decoded_size(text) } else { text.len() };
            let marker = marker(size);
            // What is repeated elsewhere is rather the value than its base64.
            let plain = is_base64.then(|| STANDARD.decode(text.as_bytes()).ok()).flatten();
            let plain = plain.and_then(|plain| String::from_utf8(plain).ok());
            let stored = std::mem::take(text).into_owned();
            for value in plain.into_iter().chain([stored]) {
                // A line in a file has an end that whoever repeats it leaves out.
                let trimmed = value.trim();
                if trimmed.len() >= SHORTEST_REPEATED && trimmed.len() < value.len() {
                    values.insert(trimmed.to_owned());
                }
                if value.len() >= SHORTEST_REPEATED {
                    values.insert(value);
                }
            }
            *value = Value::from(marker);
        }
        Value::Bool(_) => *value = Value::from("<redacted boolean>"),
        Value::Int(_) | Value::Float(_) => *value = Value::from("<redacted number>"),
    }
}

fn marker(size: usize) -> String {
    if size == 1 { "<redacted 1 byte>".to_owned() } else { format!("<redacted {size} bytes>") }
}

/// How many bytes base64 stands for; of anything else its own size.
fn decoded_size(text: &str) -> usize {
    let digits = text.trim_end_matches('=');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if digits.bytes().all(is_digit) {
        // Four digits are three bytes; two digits one, three digits two.
        digits.len().saturating_mul(3) / 4
    } else {
        text.len()
    }
}

/// Shorter values would be found in anything.
const SHORTEST_REPEATED: usize = 4;

/// Bytes of annotations, times values that are searched for in them: a fraction of a second.
const MOST_SEARCHED: usize = 1 << 28;

/// Annotations or labels that repeat what is hidden.
fn redact_repeated(metadata: &mut Map<'_>, place: &str, values: &BTreeSet<String>) {
    let Some(found) = metadata.get_mut(place) else { return };
    let Some(texts) = found.as_map_mut() else {
        // No server keeps anything else here, so nobody knows what it is.
        return replace(found, false, &mut BTreeSet::new());
    };
    // Each text is searched for each value. Where that is too much, none is shown.
    let length = texts.entries().iter().filter_map(|(_, text)| text.as_str()).map(str::len).sum::<usize>();
    let too_much = length.saturating_add(texts.len()).saturating_mul(values.len()) > MOST_SEARCHED;
    texts.retain(|name, value| {
        let Value::Str(text) = value else {
            replace(value, false, &mut BTreeSet::new());
            return true;
        };
        let is_document = text.trim_start().starts_with(['{', '[']);
        // gzip and zip, in base64.
        let is_packed = text.starts_with("H4sI") || text.starts_with("UEsDB");
        let repeats = || values.iter().any(|value| text.contains(value.as_str()));
        if name == LAST_APPLIED || is_document || is_packed || too_much || repeats() {
            *value = Value::from(marker(text.len()));
        }
        true
    });
}

fn redact_managed_fields(metadata: &mut Map<'_>) {
    let Some(Value::List(entries)) = metadata.get_mut("managedFields") else { return };
    for entry in entries {
        if let Some(fields) = entry.get_mut("fieldsV1") {
            *fields = Value::from("<redacted>");
        }
    }
}

/// A key that no annotation may have, so that servers refuse the object and name
/// it as the reason.
///
/// Source: kubernetes `staging/src/k8s.io/apimachinery/pkg/api/validation/
/// objectmeta.go`, `ValidateAnnotations`, asked for objects of every type.
pub const FORBIDDING: &str = "etcdsnap: redacted, not to be applied";

/// Marks `object` in such a way that no API server takes it.
pub fn forbid(object: &mut Value<'_>) {
    let Some(object) = object.as_map_mut() else { return };
    let mut metadata = take_map(object, "metadata");
    let mut annotations = take_map(&mut metadata, "annotations");
    annotations.insert(FORBIDDING, Value::from("true"));
    metadata.insert("annotations", Value::Map(annotations));
    object.insert("metadata", Value::Map(metadata));
}

fn take_map<'a>(map: &mut Map<'a>, key: &str) -> Map<'a> {
    match map.remove(key) {
        Some(Value::Map(inner)) => inner,
        _ => Map::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    #[track_caller]
    fn assert_redacted(redaction: &Redaction, before: Json, after: Json) {
        let mut object = Value::from(before);
        assert!(redaction.apply(&mut object));
        assert_eq!(object, Value::from(after));
    }

    #[test]
    fn a_secrets_values_become_their_sizes() {
        assert_redacted(
            &Redaction::secrets(),
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
                "metadata": {"name": "db", "labels": {"app": "web"}, "annotations": {
                    LAST_APPLIED: "{\"stringData\":{\"password\":\"s3cr3t-Pa55\"}}",
                    "example.com/original": " {\"a\": 1}", "objectset.rio.cattle.io/applied": "H4sIAAAA",
                    "note": "the value is czNjcjN0LVBhNTU=.", "team": "shop", "kubernetes.io/service-account.name": "x"
                }},
                "data": {"password": "czNjcjN0LVBhNTU=", "empty": "", "one": "YQ==", "three": "YWJj", "odd": "a b"},
                "stringData": {"plain": "abc"}
            }),
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
                "metadata": {"name": "db", "labels": {"app": "web"}, "annotations": {
                    LAST_APPLIED: "<redacted 41 bytes>",
                    "example.com/original": "<redacted 9 bytes>", "objectset.rio.cattle.io/applied": "<redacted 8 bytes>",
                    "note": "<redacted 30 bytes>", "team": "shop", "kubernetes.io/service-account.name": "x"
                }},
                "data": {
                    "password": "<redacted 11 bytes>", "empty": "<redacted 0 bytes>", "one": "<redacted 1 byte>",
                    "three": "<redacted 3 bytes>", "odd": "<redacted 3 bytes>"
                },
                "stringData": {"plain": "<redacted 3 bytes>"}
            }),
        );
    }

    #[test]
    fn what_another_state_of_the_object_hides_is_hidden_too() {
        let mut hidden = Hidden::default();
        let state = |value: &str, note: &str| {
            Value::from(json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"annotations": {"note": note}}, "data": {"password": value}}))
        };
        // "hunter2" and a line end.
        let mut before = state("aHVudGVyMgo=", "fine");
        let mut after = state("bmV3IG9uZQ==", "it was hunter2 before");
        let alone = {
            let mut alone = after.clone();
            Redaction::secrets().apply(&mut alone);
            alone
        };
        assert_eq!(alone.text(&["metadata", "annotations", "note"]), "it was hunter2 before");
        assert!(Redaction::secrets().apply_among(&mut before, &mut hidden));
        assert!(Redaction::secrets().apply_among(&mut after, &mut hidden));
        assert_eq!(before.text(&["metadata", "annotations", "note"]), "fine");
        assert_eq!(after.text(&["metadata", "annotations", "note"]), "<redacted 21 bytes>");
    }

    #[test]
    fn annotations_that_are_none_are_hidden() {
        assert_redacted(
            &Redaction::secrets(),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"annotations": "hunter2", "labels": ["x"]}}),
            json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"annotations": "<redacted 7 bytes>", "labels": ["<redacted 1 byte>"]}}),
        );
    }

    #[test]
    fn nothing_of_a_secret_of_an_odd_shape_is_left() {
        assert_redacted(
            &Redaction::secrets(),
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": {"b": ["c", 1, 1.5, true, null]}}, "more": "x",
                "metadata": {"annotations": {"odd": ["x"]}}}),
            json!({"apiVersion": "v1", "kind": "Secret", "more": "<redacted 1 byte>",
                "data": {"a": {"b": ["<redacted 0 bytes>", "<redacted number>", "<redacted number>", "<redacted boolean>", null]}},
                "metadata": {"annotations": {"odd": ["<redacted 1 byte>"]}}}),
        );
    }

    #[test]
    fn other_types_are_redacted_when_they_are_named() {
        let redaction = Redaction::secrets().and("", "ConfigMap").and("example.com", "Widget");
        assert_redacted(
            &redaction,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"},
                "data": {"a": "YWJj"}, "binaryData": {"b": "YWJj"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"},
                "data": {"a": "<redacted 4 bytes>"}, "binaryData": {"b": "<redacted 3 bytes>"}}),
        );
        assert_redacted(
            &redaction,
            json!({"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"size": 3, "key": "abc"}, "status": {"ok": true},
                "metadata": {"name": "w", "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {"v:\"x\"": {}}}}]}}),
            json!({"apiVersion": "example.com/v1", "kind": "Widget", "status": {"ok": "<redacted boolean>"},
                "spec": {"size": "<redacted number>", "key": "<redacted 3 bytes>"},
                "metadata": {"name": "w", "managedFields": [{"manager": "m", "fieldsV1": "<redacted>"}]}}),
        );
        for (api_version, kind) in [("v1", "Pod"), ("other.com/v1", "Widget"), ("example.com/v1", "Secret")] {
            let mut object =
                Value::from(json!({"apiVersion": api_version, "kind": kind, "data": {"a": "b"}}));
            let before = object.clone();
            assert!(!redaction.apply(&mut object));
            assert_eq!(object, before);
        }
    }

    #[test]
    fn of_a_type_that_nothing_defines_the_whole_group_is_hidden() {
        let redaction = Redaction::secrets().and("example.com", "");
        assert!(redaction.concerns("example.com", "Widget") && !redaction.concerns("", "Pod"));
    }

    #[test]
    fn a_forbidden_object_has_an_annotation_that_no_server_allows() {
        for before in [
            json!({}),
            json!({"metadata": {"annotations": {}}}),
            json!({"metadata": null}),
            json!({"metadata": {"annotations": []}}),
        ] {
            let mut object = Value::from(before);
            forbid(&mut object);
            assert_eq!(object.text(&["metadata", "annotations", FORBIDDING]), "true");
        }
        // The name part of a qualified name: letters, digits, '-', '_', '.'.
        assert!(!FORBIDDING.contains('/'));
        assert!(FORBIDDING.contains([' ', ':', ',']));
    }
}
