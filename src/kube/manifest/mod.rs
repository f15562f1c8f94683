//! Objects as manifests that can be applied to another cluster.
//!
//! ```text
//! object ─▶ scope       is its type and namespace asked for
//!        ─▶ left_out    does the other cluster make it by itself, or should it not be made again
//!        ─▶ clean       without what only the old cluster could know
//!        ─▶ namespaces  under other names of namespaces
//!        ─▶ redact      without what must stay secret
//!        ─▶ order       where in the output
//!        ─▶ file_name   and in which file
//! ```
//!
//! Everything here looks at objects as they are stored, in whatever version of
//! their API. `docs/export.md` lists what is left out and taken away, and why.

pub mod clean;
pub mod file_name;
pub mod identity;
pub mod left_out;
pub mod namespaces;
pub mod needs;
pub mod order;
mod provenance;
pub mod redact;
pub mod scope;
pub mod versions;

/// Objects of any shape.
#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::clean::{Keep, clean};
    use super::file_name::ObjectPath;
    use super::identity::Identity;
    use super::left_out::{Include, Surroundings, left_out};
    use super::namespaces::NamespaceMap;
    use super::needs::Needs;
    use super::redact::{Redaction, forbid};
    use crate::kube::resources::RESOURCES;
    use crate::kube::value::{Map, Value};

    /// Keys that the rules look at, so that they meet values of the wrong type.
    const KEYS: [&str; 44] = [
        "addresses",
        "aggregationRule",
        "annotations",
        "claimRef",
        "clusterIP",
        "clusterIPs",
        "conditions",
        "containers",
        "controller",
        "creationTimestamp",
        "data",
        "deletionTimestamp",
        "endpoints",
        "fieldsV1",
        "finalizers",
        "imagePullSecrets",
        "items",
        "jobTemplate",
        "kubectl.kubernetes.io/last-applied-configuration",
        "kubernetes.io/metadata.name",
        "labels",
        "managedFields",
        "matchLabels",
        "metadata",
        "mountPath",
        "name",
        "namespace",
        "namespaceSelector",
        "ownerReferences",
        "ports",
        "priorityClassName",
        "roleRef",
        "rules",
        "secrets",
        "selector",
        "spec",
        "status",
        "subjects",
        "subsets",
        "template",
        "tolerations",
        "volumeMounts",
        "volumes",
        "webhooks",
    ];

    fn value() -> impl Strategy<Value = Value<'static>> {
        let text = prop::sample::select(vec![
            "shop",
            "secret",
            "None",
            "true",
            "",
            "system:serviceaccount:shop:x",
            "{\"spec\":{}}",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 60, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::vec((prop::sample::select(&KEYS[..]), inner), 0..8).prop_map(|entries| {
                    Map::from_entries(
                        entries.into_iter().map(|(key, value)| (Cow::Borrowed(key), value)).collect(),
                    )
                    .into()
                }),
            ]
        })
    }

    /// Of any built-in type.
    fn object() -> impl Strategy<Value = Value<'static>> {
        let parts = (value(), value(), value(), value(), 0..RESOURCES.len());
        parts.prop_map(|(metadata, spec, data, mut object, index)| {
            let resource = RESOURCES.get(index).expect("a type");
            let api_version =
                if resource.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", resource.group) };
            if let Some(map) = object.as_map_mut() {
                map.insert("apiVersion", api_version.into());
                map.insert("kind", Value::from(resource.kind));
                for (key, value) in [("metadata", metadata), ("spec", spec), ("data", data)] {
                    map.insert(key, value);
                }
            }
            object
        })
    }

    /// All text in `value`.
    fn texts<'v>(value: &'v Value<'_>, into: &mut Vec<&'v str>) {
        match value {
            Value::Str(text) => into.push(text),
            Value::List(items) => items.iter().for_each(|item| texts(item, into)),
            Value::Map(map) => map.entries().iter().for_each(|(_, value)| texts(value, into)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn no_object_is_too_odd_to_be_a_manifest(object in object()) {
            let mut surroundings = Surroundings::default();
            surroundings.note(&object);
            let _ = left_out(&object, &surroundings, Include::default());
            Needs::default().note(&object);
            let mut changed = object;
            clean(&mut changed, Keep::default());
            let once = changed.clone();
            clean(&mut changed, Keep::default());
            prop_assert_eq!(&changed, &once);
            NamespaceMap::parse(["shop=market"]).expect("a map").apply(&mut changed);
            let _ = ObjectPath::of(&Identity::of(&changed));
            forbid(&mut changed);
        }

        #[test]
        fn no_value_of_a_redacted_object_is_left(mut object in object()) {
            let Some((group, kind)) = Identity::of(&object).built_in.map(|of| (of.group, of.kind)) else { return Ok(()) };
            prop_assert!(Redaction::secrets().and(group, kind).apply(&mut object));
            let map = object.as_map().expect("a map");
            for (key, value) in map.entries() {
                let mut left = Vec::new();
                if !["apiVersion", "immutable", "kind", "metadata", "type"].contains(&key.as_ref()) {
                    texts(value, &mut left);
                }
                prop_assert!(left.iter().all(|text| text.starts_with("<redacted ")), "{key}: {left:?}");
            }
        }
    }
}
