//! Pods. Templates of pods are left as their authors wrote them: nothing is
//! added to them.

use super::generated_name::is_generated;
use super::{FieldGroup, Keep, maps_in, remove, retain_items};
use crate::kube::value::Value;

const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Where admission mounts a service account's token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

pub(super) fn clean(pod: &mut Value<'_>, keep: Keep) {
    if keep.drops(FieldGroup::NodeNames) {
        remove(pod, &["spec", "nodeName"]);
    }
    if keep.drops(FieldGroup::EphemeralContainers) {
        remove(pod, &["spec", "ephemeralContainers"]);
    }
    if keep.drops(FieldGroup::ClassValues) {
        remove(pod, &["spec", "priority"]);
        remove(pod, &["spec", "preemptionPolicy"]);
        if !pod.text(&["spec", "runtimeClassName"]).is_empty() {
            remove(pod, &["spec", "overhead"]);
        }
    }
    if keep.drops(FieldGroup::Tolerations) {
        retain_items(pod, &["spec", "tolerations"], |toleration| !is_default_toleration(toleration));
    }
    if keep.drops(FieldGroup::TokenVolumes) {
        remove_token_volume(pod);
    }
    if keep.drops(FieldGroup::ServiceAccountSecrets) {
        let base = format!("{}-dockercfg-", service_account(pod));
        retain_items(pod, &["spec", "imagePullSecrets"], |secret| {
            !is_generated(secret.text(&["name"]), &base)
        });
    }
}

fn service_account<'v>(pod: &'v Value<'_>) -> &'v str {
    match pod.text(&["spec", "serviceAccountName"]) {
        "" => "default",
        name => name,
    }
}

/// Source: kubernetes `plugin/pkg/admission/defaulttolerationseconds`, 1.35.
fn is_default_toleration(toleration: &Value<'_>) -> bool {
    let key = toleration.text(&["key"]);
    (key == "node.kubernetes.io/not-ready" || key == "node.kubernetes.io/unreachable")
        && toleration.text(&["operator"]) == "Exists"
        && toleration.text(&["effect"]) == "NoExecute"
        && toleration.int(&["tolerationSeconds"]) == Some(300)
        && toleration.as_map().is_some_and(|map| map.len() == 4)
}

/// Removes the volume with the token: one with a generated name that is mounted
/// where admission does it and nowhere else.
///
/// Source: kubernetes `plugin/pkg/admission/serviceaccount`: projected volumes
/// since 1.21, the account's token secret before.
fn remove_token_volume(pod: &mut Value<'_>) {
    let secret = format!("{}-token-", service_account(pod));
    let is_token = |volume: &&Value<'_>| {
        let name = volume.text(&["name"]);
        let projected = is_generated(name, "kube-api-access-") && volume.get("projected").is_some();
        projected || (is_generated(name, &secret) && volume.text(&["secret", "secretName"]) == name)
    };
    let name = |volume: &Value<'_>| volume.text(&["name"]).to_owned();
    let found = pod.items(&["spec", "volumes"]).iter().filter(is_token).map(name);
    for name in found.collect::<Vec<_>>() {
        if is_mounted_elsewhere(pod, &name) {
            continue;
        }
        retain_items(pod, &["spec", "volumes"], |volume| volume.text(&["name"]) != name);
        for list in CONTAINERS {
            for container in maps_in(pod, &["spec", list]) {
                remove_mounts(container, &name);
            }
        }
    }
}

fn is_mounted_elsewhere(pod: &Value<'_>, volume: &str) -> bool {
    let mounts = CONTAINERS
        .iter()
        .flat_map(|list| pod.items(&["spec", list]))
        .flat_map(|container| container.items(&["volumeMounts"]));
    mounts
        .filter(|mount| mount.text(&["name"]) == volume)
        .any(|mount| mount.text(&["mountPath"]) != TOKEN_PATH)
}

fn remove_mounts(container: &mut crate::kube::value::Map<'_>, volume: &str) {
    let Some(Value::List(mounts)) = container.get_mut("volumeMounts") else { return };
    mounts.retain(|mount| mount.text(&["name"]) != volume);
    if mounts.is_empty() {
        container.remove("volumeMounts");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_cleaned, cleaned};
    use super::*;
    use serde_json::{Value as Json, json};

    /// As an API server stores it: bound, run, and with what admission adds.
    fn pod() -> Json {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "web", "namespace": "shop", "uid": "1", "labels": {"app": "web"},
                "annotations": {"cni.projectcalico.org/podIP": "10.1.0.5/32", "team": "a"}
            },
            "spec": {
                "containers": [
                    {"name": "a", "image": "a", "volumeMounts": [
                        {"name": "data", "mountPath": "/data"},
                        {"name": "kube-api-access-x7k2z", "mountPath": TOKEN_PATH, "readOnly": true}
                    ]},
                    {"name": "b", "image": "b", "volumeMounts": [
                        {"name": "kube-api-access-x7k2z", "mountPath": TOKEN_PATH, "readOnly": true}
                    ]}
                ],
                "initContainers": [{"name": "i", "image": "i", "volumeMounts": [
                    {"name": "kube-api-access-x7k2z", "mountPath": TOKEN_PATH, "readOnly": true}
                ]}],
                "ephemeralContainers": [{"name": "debug", "image": "sh"}],
                "nodeName": "node1", "priority": 1000, "priorityClassName": "gold",
                "preemptionPolicy": "PreemptLowerPriority", "serviceAccountName": "robot",
                "serviceAccount": "robot", "overhead": {"cpu": "1"}, "runtimeClassName": "kata",
                "imagePullSecrets": [{"name": "robot-dockercfg-bcdfg"}, {"name": "registry"}],
                "tolerations": [
                    {"key": "dedicated", "operator": "Exists"},
                    {"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300},
                    {"effect": "NoExecute", "key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 300}
                ],
                "volumes": [
                    {"name": "data", "emptyDir": {}},
                    {"name": "kube-api-access-x7k2z", "projected": {"defaultMode": 420, "sources": []}}
                ]
            },
            "status": {"phase": "Running", "nominatedNodeName": "node2"}
        })
    }

    #[test]
    fn a_bound_pod_becomes_what_its_author_wrote() {
        assert_cleaned(
            pod(),
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": "web", "namespace": "shop", "labels": {"app": "web"}, "annotations": {"team": "a"}
                },
                "spec": {
                    "containers": [
                        {"name": "a", "image": "a", "volumeMounts": [{"name": "data", "mountPath": "/data"}]},
                        {"name": "b", "image": "b"}
                    ],
                    "initContainers": [{"name": "i", "image": "i"}],
                    "priorityClassName": "gold", "serviceAccountName": "robot", "serviceAccount": "robot",
                    "runtimeClassName": "kata", "imagePullSecrets": [{"name": "registry"}],
                    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                    "volumes": [{"name": "data", "emptyDir": {}}]
                }
            }),
        );
    }

    #[test]
    fn each_group_of_a_pod_has_its_switch() {
        for (group, path) in [
            (FieldGroup::NodeNames, &["spec", "nodeName"][..]),
            (FieldGroup::ClassValues, &["spec", "priority"]),
            (FieldGroup::ClassValues, &["spec", "preemptionPolicy"]),
            (FieldGroup::ClassValues, &["spec", "overhead"]),
            (FieldGroup::EphemeralContainers, &["spec", "ephemeralContainers"]),
            (FieldGroup::Status, &["status"]),
        ] {
            assert!(cleaned(pod(), &[]).at(path).is_none(), "{path:?}");
            assert!(cleaned(pod(), &[group]).at(path).is_some(), "{path:?}");
        }
        let count = |keep: &[FieldGroup], list: &str| cleaned(pod(), keep).items(&["spec", list]).len();
        assert_eq!(count(&[FieldGroup::Tolerations], "tolerations"), 3);
        assert_eq!(count(&[FieldGroup::TokenVolumes], "volumes"), 2);
        assert_eq!(count(&[FieldGroup::ServiceAccountSecrets], "imagePullSecrets"), 2);
    }

    fn with_volume(volume: Json, path: &str) -> Json {
        let mount = json!({"name": volume["name"], "mountPath": path});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "a", "volumeMounts": [mount]}], "volumes": [volume]
        }})
    }

    #[test]
    fn the_token_secret_of_older_servers_goes_too() {
        let volume = json!({"name": "default-token-x7k2z", "secret": {"secretName": "default-token-x7k2z"}});
        assert_cleaned(
            with_volume(volume, TOKEN_PATH),
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}}),
        );
    }

    #[test]
    fn volumes_that_somebody_named_or_mounted_stay() {
        for (volume, path) in [
            (json!({"name": "kube-api-access-mine", "projected": {}}), TOKEN_PATH),
            (json!({"name": "kube-api-access-x7k2z", "emptyDir": {}}), TOKEN_PATH),
            (json!({"name": "kube-api-access-x7k2z", "projected": {}}), "/elsewhere"),
            (json!({"name": "robot-token-x7k2z", "secret": {"secretName": "robot-token-x7k2z"}}), TOKEN_PATH),
            (json!({"name": "default-token-x7k2z", "secret": {"secretName": "mine"}}), TOKEN_PATH),
        ] {
            let pod = with_volume(volume, path);
            assert_cleaned(pod.clone(), pod);
        }
    }

    #[test]
    fn tolerations_with_another_time_stay() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"tolerations": [
            {"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 60}
        ]}});
        assert_cleaned(pod.clone(), pod);
    }
}
