//! What is in no namespace and is needed by what is in one.
//!
//! Objects alone cannot be applied where their namespace, a priority class of
//! pods, a storage class of claims, or the type of custom resources is not there.

use std::collections::HashSet;

use super::identity::Identity;
use crate::kube::resources::Resource;
use crate::kube::value::Value;

/// Objects in no namespace, each by group, kind and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    objects: HashSet<(Need, String)>,
}

/// A type that others refer to: group and kind.
type Need = (&'static str, &'static str);

/// All of them.
const NEEDED: [Need; 8] = [
    ("", "Namespace"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "StorageClass"),
    ("storage.k8s.io", "VolumeAttributesClass"),
];

fn need(resource: &Resource) -> Option<Need> {
    NEEDED.into_iter().find(|need| *need == (resource.group, resource.kind))
}

impl Needs {
    /// Takes note of what `object` refers to, its namespace first.
    ///
    /// Not persistent volumes: where a claim should find its data on another
    /// cluster is nothing that can be followed here.
    pub fn note(&mut self, object: &Value<'_>) {
        let identity = Identity::of(object);
        self.add("", "Namespace", identity.namespace);
        match identity.type_name() {
            ("", "Pod") => self.note_pod(object, &["spec"]),
            ("", "PodTemplate") => self.note_pod(object, &["template", "spec"]),
            ("apps" | "apps.openshift.io", _) | ("batch", "Job") | ("", "ReplicationController") => {
                self.note_pod(object, &["spec", "template", "spec"]);
                for claim in object.items(&["spec", "volumeClaimTemplates"]) {
                    self.note_claim(claim);
                }
            }
            ("batch", "CronJob") => {
                self.note_pod(object, &["spec", "jobTemplate", "spec", "template", "spec"])
            }
            ("", "PersistentVolumeClaim") => self.note_claim(object),
            ("networking.k8s.io", "Ingress") => {
                self.add("networking.k8s.io", "IngressClass", object.text(&["spec", "ingressClassName"]));
            }
            ("rbac.authorization.k8s.io", "RoleBinding")
                if object.text(&["roleRef", "kind"]) == "ClusterRole" =>
            {
                self.add("rbac.authorization.k8s.io", "ClusterRole", object.text(&["roleRef", "name"]));
            }
            _ => {}
        }
    }

    /// Takes note of the CRD of a custom resource.
    pub fn note_custom(&mut self, plural: &str, group: &str) {
        self.add("apiextensions.k8s.io", "CustomResourceDefinition", &format!("{plural}.{group}"));
    }

    fn note_pod(&mut self, object: &Value<'_>, spec: &[&str]) {
        let Some(spec) = object.at(spec) else { return };
        self.add("scheduling.k8s.io", "PriorityClass", spec.text(&["priorityClassName"]));
        self.add("node.k8s.io", "RuntimeClass", spec.text(&["runtimeClassName"]));
        for volume in spec.items(&["volumes"]) {
            if let Some(template) = volume.at(&["ephemeral", "volumeClaimTemplate"]) {
                self.note_claim(template);
            }
        }
    }

    fn note_claim(&mut self, claim: &Value<'_>) {
        let class = match claim.text(&["spec", "storageClassName"]) {
            "" => claim.text(&["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"]),
            class => class,
        };
        self.add("storage.k8s.io", "StorageClass", class);
        self.add(
            "storage.k8s.io",
            "VolumeAttributesClass",
            claim.text(&["spec", "volumeAttributesClassName"]),
        );
    }

    fn add(&mut self, group: &'static str, kind: &'static str, name: &str) {
        if !name.is_empty() {
            self.objects.insert(((group, kind), name.to_owned()));
        }
    }

    /// Takes in what was noted elsewhere.
    pub fn extend(&mut self, other: Self) {
        self.objects.extend(other.objects);
    }

    /// Whether objects of that type can be needed at all.
    pub fn can_have(resource: &Resource) -> bool {
        need(resource).is_some()
    }

    /// Whether that object is needed.
    pub fn has(&self, resource: &Resource, name: &str) -> bool {
        need(resource).is_some_and(|need| self.objects.contains(&(need, name.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn needs(object: Json) -> Vec<(&'static str, String)> {
        let mut needs = Needs::default();
        needs.note(&Value::from(object));
        let mut names: Vec<_> = needs.objects.into_iter().map(|((_, kind), name)| (kind, name)).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_referred_to_is_needed() {
        let spec = json!({"priorityClassName": "gold", "runtimeClassName": "kata", "volumes": [
            {"ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "scratch"}}}}, {"emptyDir": {}}]});
        let template = json!({"spec": spec});
        let all = [
            ("PriorityClass", "gold".to_owned()),
            ("RuntimeClass", "kata".into()),
            ("StorageClass", "scratch".into()),
        ];
        for (object, expected) in [
            (json!({"apiVersion": "v1", "kind": "Pod", "spec": spec}), &all[..]),
            (json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": template}}), &all),
            (json!({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template}}), &all),
            (
                json!({"apiVersion": "batch/v1beta1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": template}}}}),
                &all,
            ),
            (
                json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"volumeClaimTemplates": [{"spec": {"storageClassName": "fast"}}]}}),
                &[("StorageClass", "fast".into())],
            ),
            (
                json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}}, "spec": {}}),
                &[("StorageClass", "old".into())],
            ),
            (
                json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"ingressClassName": "nginx"}}),
                &[("IngressClass", "nginx".into())],
            ),
            (
                json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "roleRef": {"kind": "ClusterRole", "name": "reader"}}),
                &[("ClusterRole", "reader".into())],
            ),
            (
                json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "roleRef": {"kind": "Role", "name": "reader"}}),
                &[],
            ),
            (json!({"apiVersion": "example.com/v1", "kind": "Pod", "spec": spec}), &[]),
        ] {
            assert_eq!(needs(object.clone()), expected, "{object}");
        }
    }

    #[test]
    fn a_custom_resource_needs_its_definition() {
        let mut needs = Needs::default();
        needs.note_custom("widgets", "example.com");
        let mut all = Needs::default();
        all.extend(needs);
        let definitions = Resource::find("crd").expect("built in");
        assert!(Needs::can_have(definitions) && !Needs::can_have(Resource::find("pods").expect("built in")));
        assert!(all.has(definitions, "widgets.example.com"));
        assert!(!all.has(definitions, "widgets"));
        let mut pod = Needs::default();
        pod.note(&Value::from(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop"}})));
        assert!(pod.has(Resource::find("ns").expect("built in"), "shop"));
    }

    #[test]
    fn every_needed_type_is_a_known_one_in_no_namespace() {
        for (group, kind) in NEEDED {
            let resource = crate::kube::manifest::identity::built_in(group, kind).expect(kind);
            assert!(!resource.namespaced && resource.group == group);
        }
    }
}
