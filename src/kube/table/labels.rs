//! Labels and label selectors in one line.
//!
//! Source: kubernetes `staging/src/k8s.io/apimachinery/pkg/labels/{labels,selector}.go`,
//! `pkg/apis/meta/v1/{helpers.go,generated.pb.go}` and
//! `pkg/api/validate/content/{kube,dns}.go`, 1.37.

use std::borrow::Cow;

use super::row::{NONE, set};
use crate::kube::value::Value;

type Labels<'v> = [(Cow<'v, str>, Value<'v>)];

/// `app=web,tier=front`, or `<none>`.
pub(super) fn format_labels(labels: &Labels<'_>) -> Cow<'static, str> {
    if labels.is_empty() {
        return Cow::Borrowed(NONE);
    }
    let mut pairs: Vec<_> =
        labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    // Not always the order of the keys: `a-b=1` comes before `a=1`.
    pairs.sort_unstable();
    Cow::Owned(pairs.join(","))
}

/// A selector has no meaning: an unknown operator, a name that cannot be one,
/// values where none belong or none where some do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadSelector;

/// A `LabelSelector` as text, `app=web,tier in (a,b),!old`; empty if it selects
/// everything or, not being there, nothing.
pub(super) fn selector(selector: Option<&Value<'_>>) -> Result<String, BadSelector> {
    let Some(selector) = selector else { return Ok(String::new()) };
    let mut requirements: Vec<(&str, String)> = Vec::new();
    for (key, value) in selector.entries(&["matchLabels"]) {
        let value = value.as_str().unwrap_or_default();
        if !is_key(key) || !is_value(value) {
            return Err(BadSelector);
        }
        requirements.push((key, format!("{key}={value}")));
    }
    for expression in selector.items(&["matchExpressions"]) {
        let key = expression.text(&["key"]);
        requirements.push((key, requirement(key, expression)?));
    }
    // Go's order of equal keys: as they come, while there are up to twelve.
    requirements.sort_by_key(|(key, _)| *key);
    let texts: Vec<_> = requirements.into_iter().map(|(_, text)| text).collect();
    Ok(texts.join(","))
}

/// As above, with `<none>` and `<error>` for the special cases.
pub(super) fn format_selector(value: Option<&Value<'_>>) -> Cow<'static, str> {
    match selector(value) {
        Ok(text) if text.is_empty() => Cow::Borrowed(NONE),
        Ok(text) => Cow::Owned(text),
        Err(BadSelector) => Cow::Borrowed("<error>"),
    }
}

fn requirement(key: &str, expression: &Value<'_>) -> Result<String, BadSelector> {
    let mut values: Vec<_> =
        expression.items(&["values"]).iter().map(|value| value.as_str().unwrap_or_default()).collect();
    if !is_key(key) || !values.iter().all(|value| is_value(value)) {
        return Err(BadSelector);
    }
    let operator = match expression.text(&["operator"]) {
        "In" => "in",
        "NotIn" => "notin",
        "Exists" if values.is_empty() => return Ok(key.to_owned()),
        "DoesNotExist" if values.is_empty() => return Ok(format!("!{key}")),
        _ => return Err(BadSelector),
    };
    if values.is_empty() {
        return Err(BadSelector);
    }
    values.sort_unstable();
    Ok(format!("{key} {operator} ({})", values.join(",")))
}

/// A `LabelSelector` as the code generated from its protobuf definition prints
/// it, which is what a policy binding shows of the selector of its parameters.
pub(super) fn debug_selector(selector: &Value<'_>) -> String {
    let labels: String = selector
        .entries(&["matchLabels"])
        .iter()
        .map(|(key, value)| format!("{key}: {},", value.as_str().unwrap_or_default()))
        .collect();
    let expressions: String = selector
        .items(&["matchExpressions"])
        .iter()
        .map(|expression| {
            let values = expression.items(&["values"]);
            let values: Vec<_> = values.iter().map(|value| value.as_str().unwrap_or_default()).collect();
            let (key, operator) = (expression.text(&["key"]), expression.text(&["operator"]));
            let values = values.join(" ");
            format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},")
        })
        .collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},\
         MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}

/// The selector of a workload. Versions before `apps/v1beta2` take the labels of
/// the pod template if there is none.
pub(super) fn workload_selector<'v>(object: &'v Value<'v>) -> Result<String, BadSelector> {
    let own = set(object, &["spec", "selector"]);
    if own.is_none() && matches!(object.text(&["apiVersion"]), "extensions/v1beta1" | "apps/v1beta1") {
        let labels = object.entries(&["spec", "template", "metadata", "labels"]);
        if labels.iter().any(|(key, value)| !is_key(key) || !is_value(value.as_str().unwrap_or_default())) {
            return Err(BadSelector);
        }
        let pairs: Vec<_> = labels
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
            .collect();
        return Ok(pairs.join(","));
    }
    selector(own)
}

/// A name of at most 63 bytes, with or without a DNS subdomain before a slash.
fn is_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    !name.is_empty() && is_value(name) && prefix.is_none_or(is_subdomain)
}

/// At most 63 bytes, letters, digits, `-`, `_` and `.`, the latter three not at
/// the ends; or nothing.
fn is_value(value: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let outer = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    bytes.len() <= 63 && bytes.iter().all(inner) && outer(bytes.first()) && outer(bytes.last())
}

fn is_subdomain(name: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(plain)
            && bytes.last().is_some_and(plain)
            && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Source: the cases of upstream's `TestFormatLabels`, `TestLabelSelectorAsSelector`.
    #[test]
    fn selectors_as_text() {
        let text = |json| selector(Some(&Value::from(json)));
        assert_eq!(selector(None), Ok(String::new()));
        assert_eq!(text(json!({})), Ok(String::new()));
        assert_eq!(text(json!({"matchLabels": {"foo": "bar"}})), Ok("foo=bar".into()));
        let both = json!({
            "matchLabels": {"foo": "bar"},
            "matchExpressions": [
                {"key": "baz", "operator": "In", "values": ["qux", "norf"]},
                {"key": "a", "operator": "DoesNotExist"},
                {"key": "foo", "operator": "Exists"},
                {"key": "z.io/y", "operator": "NotIn", "values": [""]},
            ],
        });
        assert_eq!(text(both), Ok("!a,baz in (norf,qux),foo=bar,foo,z.io/y notin ()".into()));
        for bad in [
            json!({"key": "baz", "operator": "In"}),
            json!({"key": "baz", "operator": "Exists", "values": ["a"]}),
            json!({"key": "baz", "operator": "Gt", "values": ["1"]}),
            json!({"key": "", "operator": "Exists"}),
            json!({"key": "-a", "operator": "Exists"}),
            json!({"key": "A.io/a", "operator": "Exists"}),
            json!({"key": "a/b/c", "operator": "Exists"}),
            json!({"key": "/a", "operator": "Exists"}),
            json!({"key": "a".repeat(64), "operator": "Exists"}),
            json!({"key": "a", "operator": "In", "values": ["b", "c d"]}),
        ] {
            assert_eq!(text(json!({"matchExpressions": [bad]})), Err(BadSelector), "{bad}");
        }
    }

    #[test]
    fn pairs_are_sorted_as_wholes() {
        let labels = Value::from(json!({"a": "1", "a-b": "2", "b": ""}));
        assert_eq!(format_labels(labels.entries(&[])), "a-b=2,a=1,b=");
        assert_eq!(format_labels(&[]), "<none>");
    }
}
