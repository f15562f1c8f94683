//! The order in which objects can be applied.
//!
//! What others refer to comes first, what can stand in the way of others last.
//! Source: Helm `pkg/release/util/kind_sorter.go` and velero
//! `pkg/cmd/server/config` agree on most of it; what differs has its reason below.

use crate::kube::resources::Resource;

/// Group and kind, in the order of the output; those on a line are equal.
const ORDER: &[&[(&str, &str)]] = &[
    &[("", "Namespace")],
    &[("apiextensions.k8s.io", "CustomResourceDefinition")],
    // A pod that names one that is not there is refused.
    &[("scheduling.k8s.io", "PriorityClass"), ("node.k8s.io", "RuntimeClass")],
    &[("policy", "PodSecurityPolicy"), ("security.openshift.io", "SecurityContextConstraints")],
    &[("storage.k8s.io", "CSIDriver")],
    &[("storage.k8s.io", "StorageClass"), ("storage.k8s.io", "VolumeAttributesClass")],
    &[("networking.k8s.io", "IngressClass")],
    &[("resource.k8s.io", "DeviceClass"), ("resource.k8s.io", "ResourceClass")],
    // Before claims: so these find the volume that waits for them, and no new one is made.
    &[("", "PersistentVolume")],
    // Before pods: it fills in what they leave open. Quotas come far behind.
    &[("", "LimitRange")],
    &[("", "ServiceAccount")],
    &[("", "Secret")],
    &[("", "ConfigMap")],
    &[("", "PersistentVolumeClaim")],
    &[("rbac.authorization.k8s.io", "ClusterRole")],
    &[("rbac.authorization.k8s.io", "Role")],
    &[("rbac.authorization.k8s.io", "ClusterRoleBinding")],
    &[("rbac.authorization.k8s.io", "RoleBinding")],
    &[("networking.k8s.io", "NetworkPolicy")],
    &[("policy", "PodDisruptionBudget")],
    // Pods are told of the services that are there when they start.
    &[("", "Service")],
    &[("", "Endpoints"), ("discovery.k8s.io", "EndpointSlice")],
    &[("resource.k8s.io", "ResourceClaimTemplate")],
    &[("resource.k8s.io", "ResourceClaim")],
    &[("apps", "DaemonSet")],
    &[("", "Pod")],
    &[("", "ReplicationController")],
    &[("apps", "ReplicaSet")],
    &[("apps", "Deployment"), ("apps.openshift.io", "DeploymentConfig")],
    &[("apps", "StatefulSet")],
    &[("batch", "Job")],
    &[("batch", "CronJob")],
    &[("autoscaling", "HorizontalPodAutoscaler")],
    &[("networking.k8s.io", "Ingress"), ("route.openshift.io", "Route")],
];

/// Until its use was counted a quota refuses everything it is about ("status
/// unknown for quota"), so it comes behind all that.
///
/// Source: kubernetes `staging/src/k8s.io/apiserver/pkg/admission/plugin/
/// resourcequota/controller.go`, 1.35.
const QUOTA: (&str, &str) = ("", "ResourceQuota");

/// What can refuse others, and what is served by pods that are not yet running.
const LAST: &[&[(&str, &str)]] = &[
    &[
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ],
    &[
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ],
    &[
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ],
    &[("apiregistration.k8s.io", "APIService")],
];

/// Place of a type in the output: less is earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    stage: Stage,
    place: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    Listed,
    BuiltIn,
    Custom,
    Quota,
    Last,
}

impl Rank {
    /// Of objects of a built-in type, or of custom resources: these come when
    /// the built-in ones that may serve them are there.
    pub fn of(resource: Option<&Resource>) -> Self {
        let Some(resource) = resource else { return Self { stage: Stage::Custom, place: 0 } };
        let name = (resource.group, resource.kind);
        let place = |order: &[&[(&str, &str)]]| {
            let line = order.iter().position(|line| line.contains(&name));
            line.map(|line| u8::try_from(line).unwrap_or(u8::MAX))
        };
        if let Some(place) = place(ORDER) {
            return Self { stage: Stage::Listed, place };
        }
        match place(LAST) {
            Some(place) => Self { stage: Stage::Last, place },
            None if name == QUOTA => Self { stage: Stage::Quota, place: 0 },
            None => Self { stage: Stage::BuiltIn, place: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::manifest::identity::built_in;

    #[test]
    fn every_type_in_the_order_is_a_known_one() {
        for (group, kind) in ORDER.iter().chain(LAST).copied().flatten().chain([&QUOTA]) {
            let resource = built_in(group, kind).unwrap_or_else(|| panic!("{group} {kind}"));
            assert_eq!(resource.group, *group, "{kind}");
        }
    }

    #[test]
    fn what_is_referred_to_comes_first() {
        let ranks = [
            ("", "Namespace"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("scheduling.k8s.io", "PriorityClass"),
            ("storage.k8s.io", "StorageClass"),
            ("", "PersistentVolume"),
            ("", "ServiceAccount"),
            ("", "Secret"),
            ("", "PersistentVolumeClaim"),
            ("rbac.authorization.k8s.io", "Role"),
            ("rbac.authorization.k8s.io", "RoleBinding"),
            ("", "Service"),
            ("extensions", "Deployment"),
            ("", "PodTemplate"),
            ("example.com", "Widget"),
            ("", "ResourceQuota"),
            ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
            ("apiregistration.k8s.io", "APIService"),
        ]
        .map(|(group, kind)| Rank::of(built_in(group, kind)));
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    }
}
