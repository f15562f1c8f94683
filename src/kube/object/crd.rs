//! A CustomResourceDefinition in the version that servers answer in.
//!
//! Servers store definitions as `v1beta1` to this day, and answer as `v1`, which is
//! all that they take since 1.22. What `v1beta1` says once for all versions `v1`
//! says of each:
//!
//! | `v1beta1` | `v1` |
//! |---|---|
//! | `spec.version` | one of `spec.versions`, if there are none |
//! | `spec.validation` | `schema` of each version |
//! | `spec.subresources`, `additionalPrinterColumns`, `selectableFields` | of each version |
//! | `JSONPath` of a column | `jsonPath` |
//! | `spec.conversion.webhookClientConfig`, `conversionReviewVersions` | `spec.conversion.webhook.clientConfig`, `…` |
//! | `spec.preserveUnknownFields: false` | nothing |
//!
//! Source: kubernetes `staging/src/k8s.io/apiextensions-apiserver/pkg/apis/
//! apiextensions/{v1,v1beta1}/conversion.go`, 1.35.

use crate::kube::value::{Map, Value};

/// The version that servers answer in.
pub(super) const ANSWERED: &str = "apiextensions.k8s.io/v1";

/// Of each version: as it is called for all of them, and for one.
const SHARED: [(&str, &str); 4] = [
    ("validation", "schema"),
    ("subresources", "subresources"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
    ("selectableFields", "selectableFields"),
];

/// Makes a definition in `v1beta1` one in `v1`.
pub(super) fn answered(definition: &mut Value<'_>) {
    if let Some(map) = definition.as_map_mut() {
        map.insert(super::API_VERSION, Value::from(ANSWERED));
    }
    let Some(spec) = definition.get_mut("spec").and_then(Value::as_map_mut) else { return };
    let version = spec.remove("version");
    let mut versions = match spec.remove("versions") {
        Some(Value::List(versions)) => versions,
        _ => Vec::new(),
    };
    if let Some(name @ Value::Str(_)) = version
        && versions.is_empty()
    {
        let entries = [("name", name), ("served", Value::Bool(true)), ("storage", Value::Bool(true))];
        let mut only = Map::default();
        entries.into_iter().for_each(|(key, value)| only.insert(key, value));
        versions.push(only.into());
    }
    for (of_all, of_one) in SHARED {
        let Some(shared) = spec.remove(of_all).filter(|shared| *shared != Value::Null) else { continue };
        for version in versions.iter_mut().filter_map(Value::as_map_mut) {
            version.insert(of_one, shared.clone());
        }
    }
    versions.iter_mut().for_each(name_paths);
    spec.insert("versions", Value::List(versions));
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(false)) {
        spec.remove("preserveUnknownFields");
    }
    if let Some(conversion) = spec.get_mut("conversion").and_then(Value::as_map_mut) {
        let client = conversion.remove("webhookClientConfig").filter(|client| *client != Value::Null);
        let versions =
            conversion.remove("conversionReviewVersions").filter(|versions| *versions != Value::Null);
        if client.is_some() || versions.is_some() {
            let mut webhook = Map::default();
            client.into_iter().for_each(|client| webhook.insert("clientConfig", client));
            // `v1` prints it even where there is none.
            webhook.insert("conversionReviewVersions", versions.unwrap_or_default());
            conversion.insert("webhook", webhook.into());
        }
    }
}

/// `JSONPath` becomes `jsonPath` in the columns of a version.
fn name_paths(version: &mut Value<'_>) {
    let Some(Value::List(columns)) = version.get_mut("additionalPrinterColumns") else { return };
    for column in columns.iter_mut().filter_map(Value::as_map_mut) {
        if let Some(path) = column.remove("JSONPath") {
            column.insert("jsonPath", path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_said_of_all_versions_is_said_of_each() {
        let mut definition = Value::from(json!({"apiVersion": "apiextensions.k8s.io/v1beta1", "spec": {
            "version": "v1", "validation": {"openAPIV3Schema": {"type": "object"}}, "subresources": {"status": {}},
            "additionalPrinterColumns": [{"name": "A", "JSONPath": ".a"}], "preserveUnknownFields": false,
            "versions": [{"name": "v1", "served": true}, {"name": "v2", "storage": true}],
            "conversion": {"strategy": "Webhook", "webhookClientConfig": {"url": "https://w"},
                "conversionReviewVersions": ["v1"]}}}));
        answered(&mut definition);
        let of_each = json!({"schema": {"openAPIV3Schema": {"type": "object"}}, "subresources": {"status": {}},
            "additionalPrinterColumns": [{"name": "A", "jsonPath": ".a"}]});
        let version = |own: serde_json::Value| {
            let mut version = of_each.clone();
            version.as_object_mut().expect("a map").extend(own.as_object().expect("a map").clone());
            version
        };
        assert_eq!(
            definition,
            Value::from(json!({"apiVersion": "apiextensions.k8s.io/v1", "spec": {
            "versions": [version(json!({"name": "v1", "served": true})), version(json!({"name": "v2", "storage": true}))],
            "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://w"},
                "conversionReviewVersions": ["v1"]}}}}))
        );
    }

    #[test]
    fn the_one_version_of_the_oldest_definitions() {
        let mut definition =
            Value::from(json!({"spec": {"version": "v1alpha1", "preserveUnknownFields": true}}));
        answered(&mut definition);
        assert_eq!(
            definition,
            Value::from(json!({"apiVersion": "apiextensions.k8s.io/v1", "spec": {
            "versions": [{"name": "v1alpha1", "served": true, "storage": true}], "preserveUnknownFields": true}}))
        );
    }
}
