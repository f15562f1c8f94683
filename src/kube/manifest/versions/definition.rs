//! CRDs that servers take.
//!
//! A definition is decoded as the `v1` that servers answer with. What was made as
//! `v1beta1` may say in it what servers keep, and do not take from their users.

use super::convert::each_map;
use crate::kube::value::{Map, Value};

/// Changes a CRD in `v1` so that it can be created: each version has a schema, and
/// that fields unknown to it are kept is said there.
///
/// Source: kubernetes `staging/src/k8s.io/apiextensions-apiserver/pkg/apis/
/// apiextensions/v1beta1/defaults.go` and `validation/validation.go`, 1.35.
pub fn make_acceptable(definition: &mut Value<'_>) {
    let Some(spec) = definition.get_mut("spec").and_then(Value::as_map_mut) else { return };
    let keeps_unknown = spec.remove("preserveUnknownFields") == Some(Value::Bool(true));
    for version in each_map(spec, "versions") {
        require_schema(version, keeps_unknown);
    }
}

fn require_schema(version: &mut Map<'_>, keeps_unknown: bool) {
    const SCHEMA: &str = "openAPIV3Schema";
    let schema = match version.remove("schema") {
        Some(Value::Map(schema)) => Some(schema),
        _ => None,
    };
    let mut schema = schema.unwrap_or_default();
    let (mut root, is_there) = match schema.remove(SCHEMA) {
        Some(Value::Map(root)) => (root, true),
        _ => (Map::default(), false),
    };
    if root.get("type").is_none() {
        root.insert("type", Value::from("object"));
    }
    if keeps_unknown || !is_there {
        root.insert("x-kubernetes-preserve-unknown-fields", Value::Bool(true));
    }
    schema.insert(SCHEMA, root.into());
    version.insert("schema", schema.into());
}
