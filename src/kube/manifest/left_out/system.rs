//! What every cluster makes for itself.

use super::super::clean::is_made_for;
use super::super::identity::Identity;
use super::{Reason, Surroundings};
use crate::kube::value::Value;

fn label<'v>(object: &'v Value<'_>, name: &str) -> Option<&'v str> {
    object.at(&["metadata", "labels", name]).and_then(Value::as_str)
}

fn annotation<'v>(object: &'v Value<'_>, name: &str) -> Option<&'v str> {
    object.at(&["metadata", "annotations", name]).and_then(Value::as_str)
}

/// Why no object of that type is written; `None` if it depends on the object.
pub(super) fn reason_of_type(group: &str, kind: &str) -> Option<Reason> {
    let reason = match (group, kind) {
        ("", "Event") => Reason::Events,
        ("coordination.k8s.io", "Lease" | "LeaseCandidate") => Reason::Leases,
        ("", "Node")
        | ("storage.k8s.io", "CSINode" | "CSIStorageCapacity" | "VolumeAttachment")
        | ("resource.k8s.io", "ResourceSlice")
        | ("network.openshift.io", "HostSubnet") => Reason::Nodes,
        ("networking.k8s.io", "IPAddress") => Reason::Addresses,
        ("apps", "ControllerRevision") => Reason::Revisions,
        ("certificates.k8s.io", "CertificateSigningRequest" | "PodCertificateRequest")
        | ("internal.apiserver.k8s.io", "StorageVersion")
        | ("storagemigration.k8s.io", "StorageVersionMigration")
        | ("lifecycle.k8s.io", "Eviction" | "EvictionRequest")
        | ("resource.k8s.io", "ResourcePoolStatusRequest" | "PodScheduling" | "PodSchedulingContext")
        | ("oauth.openshift.io", "OAuthAccessToken" | "OAuthAuthorizeToken")
        | ("security.openshift.io", "RangeAllocation")
        | ("network.openshift.io", "ClusterNetwork" | "NetNamespace")
        | ("template.openshift.io", "BrokerTemplateInstance") => Reason::Requests,
        _ => return None,
    };
    Some(reason)
}

/// Source: kubernetes 1.35 `pkg/controlplane` (controllers and reconcilers),
/// `plugin/pkg/auth/authorizer/rbac/bootstrappolicy`, `pkg/controller`,
/// `staging/src/k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap`,
/// `staging/src/k8s.io/kube-aggregator/pkg/controllers/autoregister`; kubeadm
/// `cmd/kubeadm/app/constants`; OpenShift's controllers.
pub(super) fn reason(
    object: &Value<'_>,
    identity: &Identity<'_>,
    surroundings: &Surroundings,
) -> Option<Reason> {
    let Identity { namespace, name, .. } = *identity;
    let (group, kind) = identity.type_name();
    if let Some(reason) = reason_of_type(group, kind) {
        return Some(reason);
    }
    let is_api_server = namespace == "default" && name == "kubernetes";
    let (holds, reason) = match (group, kind) {
        ("", "Service") if is_api_server => (true, Reason::ApiServer),
        ("", "Endpoints") | ("discovery.k8s.io", "EndpointSlice") if is_api_server => {
            (true, Reason::Endpoints)
        }
        ("", "ConfigMap" | "Endpoints") if is_election_lock(object) => (true, Reason::Leases),
        ("", "Endpoints") => (follows_from_service(object, namespace, name, surroundings), Reason::Endpoints),
        ("discovery.k8s.io", "EndpointSlice") => {
            let service = label(object, "kubernetes.io/service-name").unwrap_or_default();
            (follows_from_service(object, namespace, service, surroundings), Reason::Endpoints)
        }
        ("", "ConfigMap") => (is_certificate_map(name), Reason::Certificates),
        ("certificates.k8s.io", "ClusterTrustBundle") => {
            (name.starts_with("kubernetes.io:"), Reason::Certificates)
        }
        ("", "Secret") => (is_token(object, name), Reason::Tokens),
        ("", "ServiceAccount") => (is_cluster_account(object, namespace, name), Reason::ServiceAccounts),
        ("rbac.authorization.k8s.io", _) => (is_cluster_role(object, name), Reason::Roles),
        ("flowcontrol.apiserver.k8s.io", _) => (is_bootstrap_flow(object, name), Reason::FlowControl),
        ("scheduling.k8s.io", "PriorityClass") => (name.starts_with("system-"), Reason::PriorityClasses),
        ("", "Namespace") => (NAMESPACES.contains(&name), Reason::Namespaces),
        ("apiregistration.k8s.io", "APIService") => (is_own_api_service(object), Reason::ApiServices),
        ("networking.k8s.io", "ServiceCIDR") => (name == "kubernetes", Reason::Addresses),
        ("", "Pod") => (annotation(object, "kubernetes.io/config.mirror").is_some(), Reason::StaticPods),
        _ => (false, Reason::Installation),
    };
    if holds {
        return Some(reason);
    }
    is_installed(identity).then_some(Reason::Installation)
}

const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Locks of leader elections that predate leases.
fn is_election_lock(object: &Value<'_>) -> bool {
    annotation(object, "control-plane.alpha.kubernetes.io/leader").is_some()
}

/// Endpoints are made by hand only for a service that selects nothing.
fn follows_from_service(
    object: &Value<'_>,
    namespace: &str,
    service: &str,
    surroundings: &Surroundings,
) -> bool {
    let managed = label(object, "endpointslice.kubernetes.io/managed-by")
        .or_else(|| label(object, "endpoints.kubernetes.io/managed-by"));
    let by_controller = matches!(
        managed,
        Some(
            "endpointslice-controller.k8s.io"
                | "endpointslicemirroring-controller.k8s.io"
                | "endpoint-controller"
        )
    );
    by_controller || !surroundings.is_without_selector(namespace, service)
}

fn is_certificate_map(name: &str) -> bool {
    ["kube-root-ca.crt", "openshift-service-ca.crt"].contains(&name)
}

fn is_token(secret: &Value<'_>, name: &str) -> bool {
    let is_pull_secret = |account: &str| is_made_for(name, account);
    match secret.text(&["type"]) {
        "kubernetes.io/service-account-token" | "bootstrap.kubernetes.io/token" => true,
        "kubernetes.io/dockercfg" => {
            annotation(secret, "openshift.io/internal-registry-auth-token.service-account").is_some()
                || annotation(secret, "kubernetes.io/service-account.name").is_some_and(is_pull_secret)
        }
        _ => false,
    }
}

/// Accounts of controllers, with `--use-service-account-credentials`: each has a
/// role `system:controller:NAME`, these aside.
///
/// Source: kubernetes 1.35 and 1.37 `bootstrappolicy/controller_policy.go`,
/// `cmd/kube-controller-manager/names`; 1.14 to 1.34 for those that are gone.
const CONTROLLERS: [&str; 47] = [
    "attachdetach-controller",
    "bootstrap-signer",
    "certificate-controller",
    "cloud-provider",
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemon-set-controller",
    "deployment-controller",
    "device-taint-eviction-controller",
    "disruption-controller",
    "endpoint-controller",
    "endpointslice-controller",
    "endpointslicemirroring-controller",
    "ephemeral-volume-controller",
    "expand-controller",
    "generic-garbage-collector",
    "horizontal-pod-autoscaler",
    "job-controller",
    "kube-apiserver-serving-clustertrustbundle-publisher",
    "legacy-service-account-token-cleaner",
    "namespace-controller",
    "node-controller",
    "persistent-volume-binder",
    "pod-garbage-collector",
    "podcertificaterequestcleaner",
    "podgroup-protection-controller",
    "pv-protection-controller",
    "pvc-protection-controller",
    "replicaset-controller",
    "replication-controller",
    "resource-claim-controller",
    "resourcepoolstatusrequest-controller",
    "resourcequota-controller",
    "root-ca-cert-publisher",
    "route-controller",
    "selinux-warning-controller",
    "service-account-controller",
    "service-cidrs-controller",
    "service-controller",
    "statefulset-controller",
    "storage-version-garbage-collector",
    "storage-version-migrator-controller",
    "token-cleaner",
    "ttl-after-finished-controller",
    "ttl-controller",
    "validatingadmissionpolicy-status-controller",
    "volumeattributesclass-protection-controller",
];

/// `default` in every namespace; OpenShift adds `builder` and `deployer`. One that
/// somebody gave something to (a pull secret, a cloud role) is not left out.
fn is_cluster_account(account: &Value<'_>, namespace: &str, name: &str) -> bool {
    if namespace == "kube-system" && CONTROLLERS.contains(&name) {
        return true;
    }
    let is_default =
        name == "default" || (["builder", "deployer"].contains(&name) && has_pull_secret(account, name));
    is_default && is_untouched(account, name)
}

fn has_pull_secret(account: &Value<'_>, name: &str) -> bool {
    annotation(account, OPENSHIFT_PULL_SECRET).is_some()
        || account.items(&["secrets"]).iter().any(|secret| is_made_for(secret.text(&["name"]), name))
}

const OPENSHIFT_PULL_SECRET: &str = "openshift.io/internal-registry-pull-secret-ref";

fn is_untouched(account: &Value<'_>, name: &str) -> bool {
    let made =
        |list: &str| account.items(&[list]).iter().all(|secret| is_made_for(secret.text(&["name"]), name));
    let annotations = account.entries(&["metadata", "annotations"]);
    made("secrets")
        && made("imagePullSecrets")
        && account.get("automountServiceAccountToken").is_none_or(|value| *value == Value::Null)
        && account.entries(&["metadata", "labels"]).is_empty()
        && annotations.iter().all(|(key, _)| key == OPENSHIFT_PULL_SECRET)
}

fn is_cluster_role(role: &Value<'_>, name: &str) -> bool {
    label(role, "kubernetes.io/bootstrapping") == Some("rbac-defaults")
        // Written by servers only, of OpenShift too; a person who wants a role left alone
        // sets it to false.
        || annotation(role, "rbac.authorization.kubernetes.io/autoupdate").is_some()
        || name.starts_with("system:")
        || name.starts_with("kubeadm:")
}

fn is_bootstrap_flow(object: &Value<'_>, name: &str) -> bool {
    annotation(object, "apf.kubernetes.io/autoupdate-spec").is_some()
        || ["exempt", "catch-all"].contains(&name)
}

/// Served by the API server itself (built in or by a CRD), or made from a CRD.
fn is_own_api_service(object: &Value<'_>) -> bool {
    label(object, "kube-aggregator.kubernetes.io/automanaged").is_some()
        || object.at(&["spec", "service"]).is_none_or(|service| *service == Value::Null)
}

/// Kind, namespace, name.
const INSTALLED: [(&str, &str, &str); 14] = [
    ("ConfigMap", "kube-public", "cluster-info"),
    ("ConfigMap", "kube-system", "coredns"),
    ("ConfigMap", "kube-system", "extension-apiserver-authentication"),
    ("ConfigMap", "kube-system", "kube-apiserver-legacy-service-account-token-tracking"),
    ("ConfigMap", "kube-system", "kube-proxy"),
    ("ConfigMap", "kube-system", "kubeadm-config"),
    ("ConfigMap", "kube-system", "kubelet-config"),
    ("DaemonSet", "kube-system", "kube-proxy"),
    ("Deployment", "kube-system", "coredns"),
    ("Secret", "kube-system", "kubeadm-certs"),
    ("Service", "kube-system", "kube-dns"),
    ("ServiceAccount", "kube-system", "coredns"),
    ("ServiceAccount", "kube-system", "kube-proxy"),
    ("Role", "kube-system", "kube-proxy"),
];

fn is_installed(identity: &Identity<'_>) -> bool {
    let Some(resource) = identity.built_in else { return false };
    let place = (resource.kind, identity.namespace, identity.name);
    INSTALLED.contains(&place)
        || place == ("RoleBinding", "kube-system", "kube-proxy")
        // Before 1.24 the name had the minor version in it.
        || (place.0 == "ConfigMap" && place.1 == "kube-system" && place.2.starts_with("kubelet-config-1."))
}

#[cfg(test)]
mod tests {
    use super::super::{Include, left_out};
    use super::*;
    use serde_json::{Value as Json, json};

    fn object(api_version: &str, kind: &str, place: &str) -> Json {
        let (namespace, name) = place.split_once('/').expect("namespace/name");
        let mut metadata = json!({"name": name});
        if !namespace.is_empty() {
            metadata["namespace"] = json!(namespace);
        }
        json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})
    }

    #[track_caller]
    fn assert_reason(object: &Json, reason: Option<Reason>) {
        let value = Value::from(object.clone());
        let surroundings = Surroundings::default();
        assert_eq!(left_out(&value, &surroundings, Include::default()), reason, "{object}");
        let all = Include { system: true, ..Include::default() };
        assert_eq!(left_out(&value, &surroundings, all), None, "{object}");
    }

    #[test]
    fn what_is_known_by_type_and_name_is_left_out() {
        for (api_version, kind, place, reason) in [
            ("v1", "Event", "shop/web.17", Some(Reason::Events)),
            ("events.k8s.io/v1", "Event", "shop/web.17", Some(Reason::Events)),
            ("coordination.k8s.io/v1", "Lease", "kube-node-lease/node1", Some(Reason::Leases)),
            ("v1", "Endpoints", "default/kubernetes", Some(Reason::Endpoints)),
            ("discovery.k8s.io/v1", "EndpointSlice", "default/kubernetes", Some(Reason::Endpoints)),
            ("v1", "Service", "default/kubernetes", Some(Reason::ApiServer)),
            ("v1", "Service", "shop/kubernetes", None),
            ("v1", "Service", "default/web", None),
            ("v1", "Service", "kube-system/kube-dns", Some(Reason::Installation)),
            ("v1", "Service", "shop/kube-dns", None),
            ("v1", "ConfigMap", "shop/kube-root-ca.crt", Some(Reason::Certificates)),
            ("v1", "ConfigMap", "shop/openshift-service-ca.crt", Some(Reason::Certificates)),
            ("v1", "ConfigMap", "shop/app", None),
            ("v1", "ConfigMap", "kube-system/kubelet-config-1.21", Some(Reason::Installation)),
            ("v1", "ConfigMap", "kube-system/extension-apiserver-authentication", Some(Reason::Installation)),
            ("v1", "ConfigMap", "kube-system/mine", None),
            ("v1", "Node", "/node1", Some(Reason::Nodes)),
            ("storage.k8s.io/v1", "CSINode", "/node1", Some(Reason::Nodes)),
            ("resource.k8s.io/v1", "ResourceSlice", "/node1-gpu", Some(Reason::Nodes)),
            ("storage.k8s.io/v1", "VolumeAttachment", "/csi-1", Some(Reason::Nodes)),
            ("storage.k8s.io/v1", "StorageClass", "/fast", None),
            ("scheduling.k8s.io/v1", "PriorityClass", "/system-node-critical", Some(Reason::PriorityClasses)),
            ("scheduling.k8s.io/v1", "PriorityClass", "/gold", None),
            ("v1", "Namespace", "/kube-system", Some(Reason::Namespaces)),
            ("v1", "Namespace", "/default", Some(Reason::Namespaces)),
            ("v1", "Namespace", "/kube-flannel", None),
            ("networking.k8s.io/v1", "IPAddress", "/10.0.0.1", Some(Reason::Addresses)),
            ("networking.k8s.io/v1", "ServiceCIDR", "/kubernetes", Some(Reason::Addresses)),
            ("networking.k8s.io/v1", "ServiceCIDR", "/more", None),
            ("apps/v1", "ControllerRevision", "shop/db-1", Some(Reason::Revisions)),
            ("certificates.k8s.io/v1", "CertificateSigningRequest", "/csr-1", Some(Reason::Requests)),
            ("rbac.authorization.k8s.io/v1", "ClusterRole", "/system:node", Some(Reason::Roles)),
            ("rbac.authorization.k8s.io/v1", "RoleBinding", "kube-system/kubeadm:x", Some(Reason::Roles)),
            ("rbac.authorization.k8s.io/v1", "Role", "shop/reader", None),
            ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "/exempt", Some(Reason::FlowControl)),
            ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "/mine", None),
            ("apiregistration.k8s.io/v1", "APIService", "/v1.apps", Some(Reason::ApiServices)),
            ("example.com/v1", "Event", "shop/e", None),
            ("example.com/v1", "Namespace", "/default", None),
        ] {
            assert_reason(&object(api_version, kind, place), reason);
        }
    }

    #[test]
    fn what_is_known_by_a_label_or_an_annotation_is_left_out() {
        for (api_version, kind, field, name, value, reason) in [
            (
                "rbac.authorization.k8s.io/v1",
                "ClusterRole",
                "labels",
                "kubernetes.io/bootstrapping",
                "rbac-defaults",
                Reason::Roles,
            ),
            (
                "rbac.authorization.k8s.io/v1",
                "ClusterRole",
                "annotations",
                "rbac.authorization.kubernetes.io/autoupdate",
                "true",
                Reason::Roles,
            ),
            (
                "flowcontrol.apiserver.k8s.io/v1",
                "FlowSchema",
                "annotations",
                "apf.kubernetes.io/autoupdate-spec",
                "true",
                Reason::FlowControl,
            ),
            (
                "apiregistration.k8s.io/v1",
                "APIService",
                "labels",
                "kube-aggregator.kubernetes.io/automanaged",
                "onstart",
                Reason::ApiServices,
            ),
            ("v1", "Pod", "annotations", "kubernetes.io/config.mirror", "abc", Reason::StaticPods),
            (
                "v1",
                "ConfigMap",
                "annotations",
                "control-plane.alpha.kubernetes.io/leader",
                "{}",
                Reason::Leases,
            ),
        ] {
            let mut object = object(api_version, kind, "/x");
            object["spec"] = json!({"service": {"name": "s", "namespace": "n"}});
            assert_reason(&object, None);
            object["metadata"][field] = json!({name: value});
            assert_reason(&object, Some(reason));
        }
    }

    #[test]
    fn tokens_are_left_out_and_other_secrets_are_not() {
        for (secret_type, name, annotation, reason) in [
            ("kubernetes.io/service-account-token", "mine", "a", Some(Reason::Tokens)),
            ("bootstrap.kubernetes.io/token", "bootstrap-token-abc", "a", Some(Reason::Tokens)),
            (
                "kubernetes.io/dockercfg",
                "default-dockercfg-x7k2z",
                "kubernetes.io/service-account.name",
                Some(Reason::Tokens),
            ),
            (
                "kubernetes.io/dockercfg",
                "x",
                "openshift.io/internal-registry-auth-token.service-account",
                Some(Reason::Tokens),
            ),
            ("kubernetes.io/dockercfg", "registry", "kubernetes.io/service-account.name", None),
            ("kubernetes.io/dockercfg", "default-dockercfg-x7k2z", "a", None),
            ("Opaque", "db", "a", None),
            ("helm.sh/release.v1", "sh.helm.release.v1.web.v1", "a", None),
        ] {
            let mut object = object("v1", "Secret", &format!("shop/{name}"));
            object["type"] = json!(secret_type);
            object["metadata"]["annotations"] = json!({annotation: "default"});
            assert_reason(&object, reason);
        }
    }

    #[test]
    fn a_default_account_that_somebody_changed_is_not_left_out() {
        let with = |name: &str, fields: Json| {
            let mut account = object("v1", "ServiceAccount", &format!("shop/{name}"));
            for (key, value) in fields.as_object().expect("a map") {
                if key == "annotations" || key == "labels" {
                    account["metadata"][key] = value.clone();
                } else {
                    account[key] = value.clone();
                }
            }
            account
        };
        let made = Some(Reason::ServiceAccounts);
        for (account, reason) in [
            (with("default", json!({})), made),
            (with("default", json!({"secrets": [{"name": "default-token-x7k2z"}]})), made),
            (with("default", json!({"imagePullSecrets": [{"name": "registry"}]})), None),
            (with("default", json!({"annotations": {"eks.amazonaws.com/role-arn": "arn"}})), None),
            (with("default", json!({"automountServiceAccountToken": false})), None),
            (with("robot", json!({})), None),
            (with("builder", json!({})), None),
            (with("builder", json!({"secrets": [{"name": "builder-dockercfg-x7k2z"}]})), made),
            (with("deployer", json!({"annotations": {OPENSHIFT_PULL_SECRET: "s"}})), made),
            (object("v1", "ServiceAccount", "kube-system/job-controller"), made),
            (object("v1", "ServiceAccount", "shop/job-controller"), None),
        ] {
            assert_reason(&account, reason);
        }
    }

    #[test]
    fn endpoints_made_by_hand_are_kept() {
        let mut surroundings = Surroundings::default();
        let service = |name: &str, spec: Json| {
            let mut service = object("v1", "Service", &format!("shop/{name}"));
            service["spec"] = spec;
            Value::from(service)
        };
        surroundings.note(&service("web", json!({"selector": {"app": "web"}})));
        surroundings.note(&service("outside", json!({"type": "ExternalName"})));
        let mut more = Surroundings::default();
        more.note(&service("db", json!({"clusterIP": "None"})));
        surroundings.extend(more);
        let slice = |service: &str, manager: &str| {
            let mut slice = object("discovery.k8s.io/v1", "EndpointSlice", "shop/x");
            slice["metadata"]["labels"] = json!({"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": manager});
            slice
        };
        let out = Some(Reason::Endpoints);
        for (endpoints, reason) in [
            (object("v1", "Endpoints", "shop/db"), None),
            (object("v1", "Endpoints", "other/db"), out),
            (object("v1", "Endpoints", "shop/web"), out),
            (object("v1", "Endpoints", "shop/outside"), out),
            (object("v1", "Endpoints", "shop/nobody"), out),
            (slice("db", "staff"), None),
            (slice("web", "staff"), out),
            (slice("db", "endpointslicemirroring-controller.k8s.io"), out),
        ] {
            let value = Value::from(endpoints.clone());
            assert_eq!(left_out(&value, &surroundings, Include::default()), reason, "{endpoints}");
        }
    }
}
