//! Versions of APIs that servers do not take any more.
//!
//! Objects are exported in the version they are stored in; a newer server may
//! have dropped it.

/// The 25 of Kubernetes 1.25, the first release that does not take objects of
/// that kind in that version; `None` if all do.
///
/// Versions of the future count too: what will be dropped is known beforehand.
/// Source: kubernetes `staging/src/k8s.io/api`, `APILifecycleRemoved` in
/// `zz_generated.prerelease-lifecycle.go`, 1.35; for types that are gone
/// altogether, and for CRDs and API services, the deprecation guide.
pub fn removed_in(group: &str, version: &str, kind: &str) -> Option<u8> {
    let row = REMOVED.iter().find(|(g, v, kinds, _)| (*g, *v) == (group, version) && kinds.contains(&kind));
    row.map(|(.., minor)| *minor)
}

type Row = (&'static str, &'static str, &'static [&'static str], u8);

const REMOVED: &[Row] = &[
    (
        "admissionregistration.k8s.io",
        "v1alpha1",
        &["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"],
        38,
    ),
    (
        "admissionregistration.k8s.io",
        "v1alpha1",
        &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
        32,
    ),
    (
        "admissionregistration.k8s.io",
        "v1beta1",
        &["MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"],
        40,
    ),
    (
        "admissionregistration.k8s.io",
        "v1beta1",
        &["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
        22,
    ),
    (
        "admissionregistration.k8s.io",
        "v1beta1",
        &["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
        34,
    ),
    ("apiextensions.k8s.io", "v1beta1", &["CustomResourceDefinition"], 22),
    ("apiregistration.k8s.io", "v1beta1", &["APIService"], 22),
    ("apps", "v1beta1", &["ControllerRevision", "Deployment", "StatefulSet"], 16),
    ("apps", "v1beta2", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"], 16),
    ("autoscaling", "v2beta1", &["HorizontalPodAutoscaler"], 25),
    ("autoscaling", "v2beta2", &["HorizontalPodAutoscaler"], 26),
    ("batch", "v1beta1", &["CronJob"], 25),
    ("batch", "v2alpha1", &["CronJob"], 21),
    ("certificates.k8s.io", "v1alpha1", &["ClusterTrustBundle"], 37),
    ("certificates.k8s.io", "v1beta1", &["CertificateSigningRequest"], 22),
    ("certificates.k8s.io", "v1beta1", &["ClusterTrustBundle"], 39),
    ("certificates.k8s.io", "v1beta1", &["PodCertificateRequest"], 41),
    ("coordination.k8s.io", "v1alpha2", &["LeaseCandidate"], 38),
    ("coordination.k8s.io", "v1beta1", &["Lease"], 22),
    ("coordination.k8s.io", "v1beta1", &["LeaseCandidate"], 39),
    ("discovery.k8s.io", "v1beta1", &["EndpointSlice"], 25),
    ("events.k8s.io", "v1beta1", &["Event"], 25),
    (
        "extensions",
        "v1beta1",
        &["DaemonSet", "Deployment", "NetworkPolicy", "PodSecurityPolicy", "ReplicaSet"],
        16,
    ),
    ("extensions", "v1beta1", &["Ingress"], 22),
    ("flowcontrol.apiserver.k8s.io", "v1beta1", &["FlowSchema", "PriorityLevelConfiguration"], 26),
    ("flowcontrol.apiserver.k8s.io", "v1beta2", &["FlowSchema", "PriorityLevelConfiguration"], 29),
    ("flowcontrol.apiserver.k8s.io", "v1beta3", &["FlowSchema", "PriorityLevelConfiguration"], 32),
    ("networking.k8s.io", "v1beta1", &["IPAddress", "ServiceCIDR"], 37),
    ("networking.k8s.io", "v1beta1", &["Ingress", "IngressClass"], 22),
    ("node.k8s.io", "v1beta1", &["RuntimeClass"], 25),
    ("policy", "v1beta1", &["PodDisruptionBudget", "PodSecurityPolicy"], 25),
    (
        "rbac.authorization.k8s.io",
        "v1beta1",
        &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
        22,
    ),
    ("resource.k8s.io", "v1alpha3", &["DeviceTaintRule"], 39),
    (
        "resource.k8s.io",
        "v1beta1",
        &["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"],
        38,
    ),
    (
        "resource.k8s.io",
        "v1beta2",
        &["DeviceClass", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice"],
        39,
    ),
    ("scheduling.k8s.io", "v1beta1", &["PriorityClass"], 22),
    ("storage.k8s.io", "v1alpha1", &["CSIStorageCapacity", "VolumeAttachment"], 24),
    ("storage.k8s.io", "v1alpha1", &["VolumeAttributesClass"], 35),
    ("storage.k8s.io", "v1beta1", &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment"], 22),
    ("storage.k8s.io", "v1beta1", &["CSIStorageCapacity"], 27),
    ("storage.k8s.io", "v1beta1", &["VolumeAttributesClass"], 37),
    ("storagemigration.k8s.io", "v1beta1", &["StorageVersionMigration"], 41),
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
        for (group, version, kinds, minor) in REMOVED {
            for kind in *kinds {
                assert!(built_in(group, kind).is_some(), "{group} {kind}");
                assert_eq!(removed_in(group, version, kind), Some(*minor));
            }
        }
    }
}
