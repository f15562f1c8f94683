//! What every object has, and the marks that controllers leave on it.

use super::{FieldGroup, Keep, remove, retain_entries};
use crate::kube::resources::Resource;
use crate::kube::value::Value;

/// Where `kubectl apply` keeps what it was given.
pub(in crate::kube::manifest) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What the server alone writes, and `generateName`, which does nothing beside a
/// name.
const SERVER_FIELDS: [&str; 9] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generateName",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

pub(super) fn clean(object: &mut Value<'_>, keep: Keep) {
    if keep.drops(FieldGroup::ServerMetadata) {
        for field in SERVER_FIELDS {
            remove(object, &["metadata", field]);
        }
    }
    if keep.drops(FieldGroup::OwnerReferences) {
        remove(object, &["metadata", "ownerReferences"]);
    }
    if keep.drops(FieldGroup::Finalizers) {
        remove(object, &["metadata", "finalizers"]);
    }
    if keep.drops(FieldGroup::LastApplied) {
        retain_entries(object, &["metadata", "annotations"], |name, _| name != LAST_APPLIED);
    }
    if keep.drops(FieldGroup::Status) {
        remove(object, &["status"]);
    }
}

/// Removes `creationTimestamp: null`, which servers before 1.35 and old clients
/// write into the metadata of every template, at whatever depth it stands.
pub(super) fn remove_empty_times(value: &mut Value<'_>) {
    match value {
        Value::Map(map) => map.retain(|key, value| {
            if key == "metadata"
                && let Some(metadata) = value.as_map_mut()
                && metadata.get("creationTimestamp") == Some(&Value::Null)
            {
                metadata.remove("creationTimestamp");
            }
            remove_empty_times(value);
            true
        }),
        Value::List(items) => items.iter_mut().for_each(remove_empty_times),
        _ => {}
    }
}

/// Annotations that controllers and nodes write, by kind.
///
/// Source: kubernetes 1.35 `pkg/controller/deployment/util`,
/// `staging/src/k8s.io/api/{apps,batch,core,autoscaling}`,
/// `pkg/apis/autoscaling/annotations.go`, `pkg/volume/util`; network plugins
/// Calico, Multus, OVN-Kubernetes; OpenShift's admission.
const ANNOTATIONS: [(&str, &str, &[&str]); 9] = [
    (
        "apps",
        "Deployment",
        &["deployment.kubernetes.io/revision", "deployment.kubernetes.io/revision-history"],
    ),
    (
        "apps",
        "ReplicaSet",
        &[
            "deployment.kubernetes.io/desired-replicas",
            "deployment.kubernetes.io/max-replicas",
            "deployment.kubernetes.io/revision",
            "deployment.kubernetes.io/revision-history",
        ],
    ),
    ("apps", "DaemonSet", &["deprecated.daemonset.template.generation"]),
    ("batch", "Job", &["batch.kubernetes.io/job-tracking"]),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        &["autoscaling.alpha.kubernetes.io/conditions", "autoscaling.alpha.kubernetes.io/current-metrics"],
    ),
    (
        "",
        "Endpoints",
        &["endpoints.kubernetes.io/last-change-trigger-time", "endpoints.kubernetes.io/over-capacity"],
    ),
    ("discovery.k8s.io", "EndpointSlice", &["endpoints.kubernetes.io/last-change-trigger-time"]),
    (
        "",
        "Node",
        &[
            "csi.volume.kubernetes.io/nodeid",
            "node.alpha.kubernetes.io/ttl",
            "volumes.kubernetes.io/controller-managed-attach-detach",
        ],
    ),
    (
        "",
        "Pod",
        &[
            "cni.projectcalico.org/containerID",
            "cni.projectcalico.org/podIP",
            "cni.projectcalico.org/podIPs",
            "k8s.ovn.org/pod-networks",
            "k8s.v1.cni.cncf.io/network-status",
            "k8s.v1.cni.cncf.io/networks-status",
            "kubernetes.io/config.hash",
            "kubernetes.io/config.mirror",
            "kubernetes.io/config.seen",
            "kubernetes.io/config.source",
            "kubernetes.io/limit-ranger",
            "openshift.io/scc",
        ],
    ),
];

pub(super) fn remove_marks(object: &mut Value<'_>, resource: &Resource) {
    let marks =
        ANNOTATIONS.iter().find(|(group, kind, _)| (*group, *kind) == (resource.group, resource.kind));
    if let Some((_, _, marks)) = marks {
        retain_entries(object, &["metadata", "annotations"], |name, _| !marks.contains(&name));
    }
}

/// The label repeats the name, and the server writes both it and the finalizer.
pub(super) fn clean_namespace(object: &mut Value<'_>, keep: Keep) {
    if keep.drops(FieldGroup::ControllerMarks) {
        retain_entries(object, &["metadata", "labels"], |name, _| name != "kubernetes.io/metadata.name");
    }
    if keep.drops(FieldGroup::Finalizers) {
        retain_entries(object, &["spec"], |name, _| name != "finalizers");
    }
}

pub(super) fn clean_node(object: &mut Value<'_>, keep: Keep) {
    if keep.drops(FieldGroup::NodeNames) {
        for field in ["podCIDR", "podCIDRs", "providerID"] {
            remove(object, &["spec", field]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_cleaned, cleaned};
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_server_writes_into_metadata_goes() {
        assert_cleaned(
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": {"creationTimestamp": "mine"},
                "metadata": {
                    "name": "app", "namespace": "shop", "generateName": "a", "selfLink": "/api/v1/x", "uid": "1",
                    "resourceVersion": "5", "generation": 2, "creationTimestamp": "2026-11-22T14:35:16Z",
                    "deletionTimestamp": "2026-11-22T14:35:16Z", "deletionGracePeriodSeconds": 30,
                    "managedFields": [{"manager": "kubectl"}], "finalizers": ["example.com/f"],
                    "ownerReferences": [{"kind": "X", "uid": "2"}], "labels": {"app": "web"},
                    "annotations": {LAST_APPLIED: "{}", "mine": "yes"}
                }
            }),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": {"creationTimestamp": "mine"},
                "metadata": {"name": "app", "namespace": "shop", "labels": {"app": "web"}, "annotations": {"mine": "yes"}}
            }),
        );
    }

    #[test]
    fn a_namespace_keeps_its_own_labels_only() {
        assert_cleaned(
            json!({
                "apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": ["kubernetes"]},
                "metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop", "tier": "gold"}},
                "status": {"phase": "Active"}
            }),
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": "shop", "labels": {"tier": "gold"}}
            }),
        );
        let kept = cleaned(
            json!({"apiVersion": "v1", "kind": "Namespace", "spec": {"finalizers": ["kubernetes"]}, "metadata": {"name": "n"}}),
            &[FieldGroup::Finalizers],
        );
        assert_eq!(kept.items(&["spec", "finalizers"]).len(), 1);
    }

    #[test]
    fn empty_times_go_from_templates_at_any_depth_and_set_ones_stay() {
        assert_cleaned(
            json!({
                "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
                "spec": {"jobTemplate": {
                    "metadata": {"creationTimestamp": null, "labels": {"a": "b"}},
                    "spec": {"template": {"metadata": {"creationTimestamp": null}, "spec": {"x": {"creationTimestamp": null}}}}
                }}
            }),
            json!({
                "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "c"},
                "spec": {"jobTemplate": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"template": {"metadata": {}, "spec": {"x": {"creationTimestamp": null}}}}
                }}
            }),
        );
    }

    #[test]
    fn marks_of_controllers_go_from_their_own_kind_only() {
        let object = |api_version: &str, kind: &str| {
            json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "annotations": {
                "deployment.kubernetes.io/revision": "4", "kubernetes.io/change-cause": "me"}}})
        };
        let deployment = cleaned(object("apps/v1", "Deployment"), &[]);
        assert_eq!(deployment.entries(&["metadata", "annotations"]).len(), 1);
        let old = cleaned(object("extensions/v1beta1", "Deployment"), &[]);
        assert_eq!(old.entries(&["metadata", "annotations"]).len(), 1);
        let other = cleaned(object("v1", "ConfigMap"), &[]);
        assert_eq!(other.entries(&["metadata", "annotations"]).len(), 2);
    }

    #[test]
    fn a_node_loses_what_its_cloud_and_its_network_gave_it() {
        assert_cleaned(
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
                "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"], "providerID": "aws:///i", "taints": []}}),
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"taints": []}}),
        );
    }
}
