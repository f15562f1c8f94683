//! What the list of built-in types does not say of them.

use crate::kube::resources::Resource;

/// Built-in types by category, in the order in which kubectl shows them.
///
/// Source: `Categories()` in kubernetes `pkg/registry`,
/// `apiextensions-apiserver/pkg/registry`, and in openshift-apiserver `pkg`.
pub(super) static CATEGORIES: &[(&str, &[&str])] = &[
    (
        "all",
        &[
            "pods",
            "replicationcontrollers",
            "services",
            "daemonsets.apps",
            "deployments.apps",
            "replicasets.apps",
            "statefulsets.apps",
            "horizontalpodautoscalers.autoscaling",
            "cronjobs.batch",
            "jobs.batch",
            "deploymentconfigs.apps.openshift.io",
            "buildconfigs.build.openshift.io",
            "builds.build.openshift.io",
            "imagestreams.image.openshift.io",
            "routes.route.openshift.io",
        ],
    ),
    (
        "api-extensions",
        &[
            "apiservices.apiregistration.k8s.io",
            "mutatingwebhookconfigurations.admissionregistration.k8s.io",
            "validatingadmissionpolicies.admissionregistration.k8s.io",
            "validatingadmissionpolicybindings.admissionregistration.k8s.io",
            "validatingwebhookconfigurations.admissionregistration.k8s.io",
            "mutatingadmissionpolicies.admissionregistration.k8s.io",
            "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
            "customresourcedefinitions.apiextensions.k8s.io",
        ],
    ),
];

/// Types of Kubernetes' own that not every server has: previews that are off
/// unless asked for, and what was given up.
static UNUSUAL: &[&str] = &[
    "auditsinks",
    "clustercidrs",
    "clustertrustbundles",
    "compositepodgroups",
    "devicetaintrules",
    "evictionrequests",
    "evictions",
    "leasecandidates",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "podcertificaterequests",
    "podgroups",
    "podpresets",
    "podschedulingcontexts",
    "podschedulings",
    "podsecuritypolicies",
    "resourceclaimparameters",
    "resourceclasses",
    "resourceclassparameters",
    "resourcepoolstatusrequests",
    "storageversionmigrations",
    "storageversions",
    "workloads",
];

/// Whether a server of any release has the type, unless told otherwise.
pub(super) fn is_usual(resource: &Resource) -> bool {
    !resource.group.ends_with(".openshift.io") && !UNUSUAL.contains(&resource.plural)
}

/// Whether `name` is the full name of a built-in type.
pub(super) fn is_called(resource: &Resource, name: &str) -> bool {
    let (plural, group) = name.split_once('.').unwrap_or((name, ""));
    resource.plural == plural && resource.group == group
}

/// The categories that a built-in type is in.
pub(super) fn categories(resource: &Resource) -> impl Iterator<Item = &'static str> {
    let has = |names: &&[&str]| names.iter().any(|name| is_called(resource, name));
    CATEGORIES.iter().filter(move |(_, names)| has(names)).map(|(category, _)| *category)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::resources::RESOURCES;

    #[test]
    fn categories_and_unusual_types_name_built_in_ones() {
        for name in CATEGORIES.iter().flat_map(|(_, names)| *names) {
            assert_eq!(RESOURCES.iter().filter(|resource| is_called(resource, name)).count(), 1, "{name}");
        }
        for name in UNUSUAL {
            assert_eq!(RESOURCES.iter().filter(|resource| resource.plural == *name).count(), 1, "{name}");
        }
        let pods = Resource::find("po").expect("a type");
        assert_eq!(categories(pods).collect::<Vec<_>>(), ["all"]);
    }
}
