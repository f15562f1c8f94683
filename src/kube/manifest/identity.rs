//! What an object is, and what it is called.

use crate::kube::resources::{RESOURCES, Resource};
use crate::kube::value::Value;

/// What an object says of itself. Anything missing is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'v> {
    /// Group of its API, empty for the core group.
    pub group: &'v str,
    /// Version of its API.
    pub version: &'v str,
    /// Its kind.
    pub kind: &'v str,
    /// Its namespace, empty if it has none.
    pub namespace: &'v str,
    /// Its name.
    pub name: &'v str,
    /// Its type, if that is built in.
    pub built_in: Option<&'static Resource>,
}

impl<'v> Identity<'v> {
    /// Of any value at all.
    pub fn of(object: &'v Value<'_>) -> Self {
        let api_version = object.text(&["apiVersion"]);
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let kind = object.text(&["kind"]);
        Self {
            group,
            version,
            kind,
            namespace: object.text(&["metadata", "namespace"]),
            name: object.text(&["metadata", "name"]),
            built_in: built_in(group, kind),
        }
    }

    /// Group and kind, under the names that a built-in type has today: a
    /// Deployment of `extensions` is one of `apps`.
    pub fn type_name(&self) -> (&'v str, &'v str) {
        self.built_in.map_or((self.group, self.kind), |resource| (resource.group, resource.kind))
    }
}

/// The built-in type of that group and kind, under either of its groups.
pub fn built_in(group: &str, kind: &str) -> Option<&'static Resource> {
    let fits = |resource: &&Resource| {
        resource.kind == kind && (resource.group == group || resource.also_in == Some(group))
    };
    RESOURCES.iter().find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn built_in_types_are_known_under_both_of_their_groups() {
        for api_version in ["apps/v1", "extensions/v1beta1"] {
            let object = Value::from(json!({
                "apiVersion": api_version, "kind": "Deployment",
                "metadata": {"name": "web", "namespace": "shop"}
            }));
            let identity = Identity::of(&object);
            assert_eq!(identity.type_name(), ("apps", "Deployment"));
            assert_eq!((identity.namespace, identity.name), ("shop", "web"));
        }
        let custom = Value::from(json!({"apiVersion": "example.com/v1", "kind": "Deployment"}));
        assert_eq!(Identity::of(&custom).type_name(), ("example.com", "Deployment"));
        assert_eq!(Identity::of(&custom).built_in, None);
        let nothing = Value::Null;
        assert_eq!(Identity::of(&nothing).type_name(), ("", ""));
    }
}
