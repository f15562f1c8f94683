//! `-L KEY` and `--show-labels`: labels as columns of a table.
//!
//! Source: kubernetes `cli-runtime/pkg/printers/tableprinter.go`, 1.35.

use crate::kube::value::Value;

/// What `--show-labels` shows for an object that has none.
pub const NONE: &str = "<none>";

/// The header over `--show-labels`.
pub const ALL_HEADER: &str = "LABELS";

/// The header over the column of one label: what follows the last slash of its
/// key, in capitals.
pub fn header(key: &str) -> String {
    super::printer_columns::capitals(key.rsplit('/').next().unwrap_or_default())
}

/// The value of one label of an object; empty if it does not have the label.
pub fn value<'v>(object: &'v Value<'_>, key: &str) -> &'v str {
    object.at(&["metadata", "labels", key]).and_then(Value::as_str).unwrap_or_default()
}

/// All labels of an object: `app=web,tier=front`.
pub fn all(object: &Value<'_>) -> String {
    let labels = object.entries(&["metadata", "labels"]);
    let label = |(key, value): &(_, Value<'_>)| format!("{key}={}", value.as_str().unwrap_or_default());
    let mut labels: Vec<String> = labels.iter().map(label).collect();
    // As the texts they are now: `a-b=1` comes before `a=1`.
    labels.sort_unstable();
    if labels.is_empty() { NONE.to_owned() } else { labels.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_are_shown_as_kubectl_shows_them() {
        let labels = json!({"a": "1", "a-b": "2", "app.kubernetes.io/name": "web", "e": ""});
        let object = Value::from(json!({"metadata": {"labels": labels}}));
        assert_eq!(all(&object), "a-b=2,a=1,app.kubernetes.io/name=web,e=");
        assert_eq!(value(&object, "app.kubernetes.io/name"), "web");
        assert_eq!(value(&object, "e"), "");
        assert_eq!(value(&object, "name"), "");
        assert_eq!(header("app.kubernetes.io/name"), "NAME");
        assert_eq!(header("tier"), "TIER");
        assert_eq!(all(&Value::from(json!({"metadata": {"labels": {}}}))), "<none>");
        assert_eq!(all(&Value::Null), "<none>");
    }
}
