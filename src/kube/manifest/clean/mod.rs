//! Takes away what only the cluster could know that an object was in.
//!
//! Source: kubernetes 1.35 `pkg/registry` (strategies), `plugin/pkg/admission`,
//! `pkg/controller`; what is worth taking away also velero `pkg/restore` and
//! kubectl-neat.

mod access;
mod generated_name;
mod groups;
mod metadata;
mod pod;
mod service;
mod storage;
mod workload;

pub use groups::{FieldGroup, Keep, UnknownGroup};

pub(super) use access::is_made_for;
pub(super) use metadata::LAST_APPLIED;

use super::identity::Identity;
use super::versions::{convert, make_acceptable};
use crate::kube::value::{Map, Value};

/// Takes away all groups of fields but those in `keep`.
///
/// Of custom resources only `metadata` and `status` are touched: nothing is
/// known of the rest.
pub fn clean(object: &mut Value<'_>, keep: Keep) {
    if keep.drops(FieldGroup::ApiVersions) {
        convert(object);
    }
    let Identity { built_in, .. } = Identity::of(object);
    if let Some(resource) = built_in {
        match (resource.group, resource.kind) {
            ("", "Pod") => pod::clean(object, keep),
            ("", "Service") => service::clean(object, keep),
            ("", "PersistentVolumeClaim") => storage::clean_claim(object, keep),
            ("", "PersistentVolume") => storage::clean_volume(object, keep),
            ("", "ServiceAccount") => access::clean_service_account(object, keep),
            ("", "Secret") => access::clean_secret(object, keep),
            ("rbac.authorization.k8s.io", "ClusterRole") => access::clean_cluster_role(object, keep),
            ("batch", "Job") => workload::clean_job(object, keep),
            ("apps", "StatefulSet") => workload::clean_stateful_set(object, keep),
            ("", "Namespace") => metadata::clean_namespace(object, keep),
            ("", "Node") => metadata::clean_node(object, keep),
            ("", "Endpoints") | ("discovery.k8s.io", "EndpointSlice") => {
                service::clean_endpoints(object, keep);
            }
            ("apiextensions.k8s.io", "CustomResourceDefinition") if keep.drops(FieldGroup::ApiVersions) => {
                make_acceptable(object);
            }
            ("route.openshift.io", "Route") => service::clean_route(object, keep),
            _ => {}
        }
        if keep.drops(FieldGroup::ControllerMarks) {
            metadata::remove_marks(object, resource);
        }
        if keep.drops(FieldGroup::ServerMetadata) {
            metadata::remove_empty_times(object);
        }
    }
    // Last: what is above reads the uid and who set which field.
    metadata::clean(object, keep);
}

/// Removes the last of `path`, if the maps before it are there.
fn remove(value: &mut Value<'_>, path: &[&str]) {
    if let Some((last, before)) = path.split_last()
        && let Some(map) = value.at_mut(before).and_then(Value::as_map_mut)
    {
        map.remove(last);
    }
}

/// Keeps of the map at `path` the entries of which `keep` holds; if none is left
/// it goes as a whole.
fn retain_entries(value: &mut Value<'_>, path: &[&str], mut keep: impl FnMut(&str, &Value<'_>) -> bool) {
    let Some(map) = value.at_mut(path).and_then(Value::as_map_mut) else { return };
    let before = map.len();
    map.retain(|key, value| keep(key, value));
    if map.is_empty() && before > 0 {
        remove(value, path);
    }
}

/// As [`retain_entries`], of a list.
fn retain_items(value: &mut Value<'_>, path: &[&str], keep: impl FnMut(&Value<'_>) -> bool) {
    let Some(Value::List(items)) = value.at_mut(path) else { return };
    let before = items.len();
    items.retain(keep);
    if items.is_empty() && before > 0 {
        remove(value, path);
    }
}

/// The maps among the items of the list at `path`, to be changed.
fn maps_in<'v, 'a>(value: &'v mut Value<'a>, path: &[&str]) -> impl Iterator<Item = &'v mut Map<'a>> {
    let items = match value.at_mut(path) {
        Some(Value::List(items)) => items.as_mut_slice(),
        _ => &mut [],
    };
    items.iter_mut().filter_map(Value::as_map_mut)
}

/// Objects before and after, as JSON.
#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    pub(super) fn cleaned(object: Json, keep: &[FieldGroup]) -> Value<'static> {
        let mut object = Value::from(object);
        clean(&mut object, keep.iter().copied().collect());
        object
    }

    #[track_caller]
    pub(super) fn assert_cleaned(before: Json, after: Json) {
        assert_eq!(cleaned(before, &[]), Value::from(after));
    }

    #[test]
    fn of_custom_resources_only_metadata_and_status_are_touched() {
        let spec = json!({"clusterIP": "10.0.0.1", "nodeName": "n", "template": {"metadata": {"creationTimestamp": null}}});
        assert_cleaned(
            json!({
                "apiVersion": "example.com/v1", "kind": "Service",
                "metadata": {"name": "w", "uid": "1", "generation": 3, "labels": {"job-name": "x"}},
                "spec": spec, "status": {"ready": true}
            }),
            json!({
                "apiVersion": "example.com/v1", "kind": "Service",
                "metadata": {"name": "w", "labels": {"job-name": "x"}}, "spec": spec
            }),
        );
    }

    #[test]
    fn values_that_are_no_objects_are_left_alone() {
        for value in [
            json!(null),
            json!([1]),
            json!({"metadata": 1}),
            json!({"kind": "Pod", "apiVersion": "v1", "spec": []}),
        ] {
            assert_cleaned(value.clone(), value);
        }
    }

    /// Objects of every kind with everything in them that can be taken away:
    /// with all groups kept nothing changes.
    #[test]
    fn what_is_kept_stays() {
        let metadata = json!({
            "name": "x", "namespace": "n", "uid": "u", "resourceVersion": "1", "generation": 1,
            "managedFields": [{"manager": "m"}], "ownerReferences": [{"uid": "o"}], "finalizers": ["f"],
            "labels": {"job-name": "x", "kubernetes.io/metadata.name": "x"},
            "annotations": {"deployment.kubernetes.io/revision": "1", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
        });
        for resource in crate::kube::resources::RESOURCES {
            let api_version =
                if resource.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", resource.group) };
            let object = json!({
                "apiVersion": api_version, "kind": resource.kind, "metadata": metadata,
                "spec": {
                    "clusterIP": "10.0.0.1", "ports": [{"port": 1, "nodePort": 30000}], "nodeName": "n",
                    "selector": {"matchLabels": {"controller-uid": "u"}}, "volumeName": "v", "priority": 0,
                    "finalizers": ["kubernetes"], "host": "h"
                },
                "secrets": [{"name": "x-token-bcdfg"}], "aggregationRule": {}, "rules": [], "status": {}
            });
            assert_eq!(cleaned(object.clone(), FieldGroup::ALL), Value::from(object), "{}", resource.kind);
        }
    }
}
