//! Versions of APIs that servers do not take any more.
//!
//! An object stays in etcd in the version it was written in until somebody
//! writes it again. Servers convert what they answer with; so does an export,
//! where little has to be changed.

mod convert;
mod definition;

pub use convert::convert;
pub use definition::make_acceptable;

/// The 25 of Kubernetes 1.25, the first release that does not take objects of
/// that kind in that version; `None` if all do.
///
/// Versions of the future count too: what will be dropped is known beforehand.
/// Source: kubernetes `staging/src/k8s.io/api`, `APILifecycleRemoved` in
/// `zz_generated.prerelease-lifecycle.go`, 1.35; for types that are gone
/// altogether, and for CRDs and API services, the deprecation guide.
pub fn removed_in(group: &str, version: &str, kind: &str) -> Option<u8> {
    find(group, version, kind).map(|(_, _, _, minor, _)| *minor)
}

fn find(group: &str, version: &str, kind: &str) -> Option<&'static Row> {
    REMOVED.iter().find(|(g, v, kinds, ..)| (*g, *v) == (group, version) && kinds.contains(&kind))
}

/// Group, version, kinds; the release that dropped it; the version that
/// [`convert`] makes of it.
type Row = (&'static str, &'static str, &'static [&'static str], u8, Option<&'static str>);

const REMOVED: &[Row] = &[
    ("admissionregistration.k8s.io", "v1alpha1", &["MutatingAdmissionPolicy"], 38, None),
    (
        "admissionregistration.k8s.io",
        "v1alpha1",
        &["MutatingAdmissionPolicyBinding"],
        38,
        Some("admissionregistration.k8s.io/v1"),
    ),
    (
        "admissionregistration.k8s.io",
        "v1alpha1",
        &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
        32,
        Some("admissionregistration.k8s.io/v1"),
    ),
    ("admissionregistration.k8s.io", "v1beta1", &["MutatingAdmissionPolicy"], 40, None),
    (
        "admissionregistration.k8s.io",
        "v1beta1",
        &["MutatingAdmissionPolicyBinding"],
        40,
        Some("admissionregistration.k8s.io/v1"),
    ),
    (
        "admissionregistration.k8s.io",
        "v1beta1",
        &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
        22,
        Some("admissionregistration.k8s.io/v1"),
    ),
    (
        "admissionregistration.k8s.io",
        "v1beta1",
        &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
        34,
        Some("admissionregistration.k8s.io/v1"),
    ),
    ("apiextensions.k8s.io", "v1beta1", &["CustomResourceDefinition"], 22, None),
    ("apiregistration.k8s.io", "v1beta1", &["APIService"], 22, Some("apiregistration.k8s.io/v1")),
    ("apps", "v1beta1", &["ControllerRevision", "Deployment", "StatefulSet"], 16, Some("apps/v1")),
    (
        "apps",
        "v1beta2",
        &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
        16,
        Some("apps/v1"),
    ),
    ("autoscaling", "v2beta1", &["HorizontalPodAutoscaler"], 25, None),
    ("autoscaling", "v2beta2", &["HorizontalPodAutoscaler"], 26, Some("autoscaling/v2")),
    ("batch", "v1beta1", &["CronJob"], 25, Some("batch/v1")),
    ("batch", "v2alpha1", &["CronJob"], 21, Some("batch/v1")),
    ("certificates.k8s.io", "v1alpha1", &["ClusterTrustBundle"], 37, None),
    ("certificates.k8s.io", "v1beta1", &["CertificateSigningRequest"], 22, None),
    ("certificates.k8s.io", "v1beta1", &["ClusterTrustBundle"], 39, None),
    ("certificates.k8s.io", "v1beta1", &["PodCertificateRequest"], 41, None),
    ("coordination.k8s.io", "v1alpha2", &["LeaseCandidate"], 38, None),
    ("coordination.k8s.io", "v1beta1", &["Lease"], 22, Some("coordination.k8s.io/v1")),
    ("coordination.k8s.io", "v1beta1", &["LeaseCandidate"], 39, None),
    ("discovery.k8s.io", "v1beta1", &["EndpointSlice"], 25, Some("discovery.k8s.io/v1")),
    ("events.k8s.io", "v1beta1", &["Event"], 25, Some("events.k8s.io/v1")),
    ("extensions", "v1beta1", &["DaemonSet", "Deployment", "ReplicaSet"], 16, Some("apps/v1")),
    ("extensions", "v1beta1", &["NetworkPolicy"], 16, Some("networking.k8s.io/v1")),
    ("extensions", "v1beta1", &["PodSecurityPolicy"], 16, None),
    ("extensions", "v1beta1", &["Ingress"], 22, Some("networking.k8s.io/v1")),
    (
        "flowcontrol.apiserver.k8s.io",
        "v1beta1",
        &["FlowSchema", "PriorityLevelConfiguration"],
        26,
        Some("flowcontrol.apiserver.k8s.io/v1"),
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        "v1beta2",
        &["FlowSchema", "PriorityLevelConfiguration"],
        29,
        Some("flowcontrol.apiserver.k8s.io/v1"),
    ),
    (
        "flowcontrol.apiserver.k8s.io",
        "v1beta3",
        &["FlowSchema", "PriorityLevelConfiguration"],
        32,
        Some("flowcontrol.apiserver.k8s.io/v1"),
    ),
    ("networking.k8s.io", "v1beta1", &["IPAddress", "ServiceCIDR"], 37, Some("networking.k8s.io/v1")),
    ("networking.k8s.io", "v1beta1", &["Ingress", "IngressClass"], 22, Some("networking.k8s.io/v1")),
    ("node.k8s.io", "v1beta1", &["RuntimeClass"], 25, Some("node.k8s.io/v1")),
    ("policy", "v1beta1", &["PodDisruptionBudget"], 25, Some("policy/v1")),
    ("policy", "v1beta1", &["PodSecurityPolicy"], 25, None),
    (
        "rbac.authorization.k8s.io",
        "v1beta1",
        &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
        22,
        Some("rbac.authorization.k8s.io/v1"),
    ),
    ("resource.k8s.io", "v1alpha3", &["DeviceTaintRule"], 39, None),
    (
        "resource.k8s.io",
        "v1beta1",
        &["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"],
        38,
        None,
    ),
    (
        "resource.k8s.io",
        "v1beta2",
        &["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"],
        39,
        None,
    ),
    ("scheduling.k8s.io", "v1beta1", &["PriorityClass"], 22, Some("scheduling.k8s.io/v1")),
    (
        "storage.k8s.io",
        "v1alpha1",
        &["CSIStorageCapacity", "VolumeAttachment"],
        24,
        Some("storage.k8s.io/v1"),
    ),
    ("storage.k8s.io", "v1alpha1", &["VolumeAttributesClass"], 35, Some("storage.k8s.io/v1")),
    (
        "storage.k8s.io",
        "v1beta1",
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"],
        22,
        Some("storage.k8s.io/v1"),
    ),
    ("storage.k8s.io", "v1beta1", &["CSIStorageCapacity"], 27, Some("storage.k8s.io/v1")),
    ("storage.k8s.io", "v1beta1", &["VolumeAttributesClass"], 37, Some("storage.k8s.io/v1")),
    ("storagemigration.k8s.io", "v1beta1", &["StorageVersionMigration"], 41, None),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::manifest::identity::built_in;

    #[test]
    fn versions_that_are_gone_are_known() {
        assert_eq!(removed_in("batch", "v1beta1", "CronJob"), Some(25));
        assert_eq!(removed_in("extensions", "v1beta1", "Ingress"), Some(22));
        assert_eq!(removed_in("extensions", "v1beta1", "Deployment"), Some(16));
        assert_eq!(removed_in("batch", "v1", "CronJob"), None);
        assert_eq!(removed_in("", "v1", "Pod"), None);
        assert_eq!(removed_in("example.com", "v1beta1", "CronJob"), None);
    }

    #[test]
    fn every_kind_of_the_table_is_a_known_one() {
        for (group, version, kinds, minor, _) in REMOVED {
            for kind in *kinds {
                assert!(built_in(group, kind).is_some(), "{group} {kind}");
                assert_eq!(removed_in(group, version, kind), Some(*minor));
            }
        }
    }
}
