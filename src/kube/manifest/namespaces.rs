//! Namespaces under other names, wherever an object names one.

use std::collections::BTreeMap;

use super::identity::Identity;
use crate::kube::value::Value;

/// Old names of namespaces and the new ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceMap {
    names: BTreeMap<String, String>,
}

/// What cannot be mapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// Not of the form.
    #[error("{0:?} is not of the form OLD=NEW")]
    Form(String),
    /// The new one can be no namespace.
    #[error("{0:?} is no name of a namespace: small letters, digits and '-', 63 characters at most")]
    Name(String),
    /// Mapped twice.
    #[error("namespace {0:?} is given two new names")]
    Twice(String),
    /// Two become one: objects of the same name would overwrite each other.
    #[error("two namespaces would be called {0:?}")]
    Merged(String),
}

impl NamespaceMap {
    /// Of `OLD=NEW` words.
    ///
    /// # Errors
    /// Words of another form; new names that are none; an old or a new name that
    /// is there twice.
    pub fn parse<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Result<Self, MapError> {
        let mut map = Self::default();
        for word in words {
            let word = word.as_ref();
            let (old, new) = word.split_once('=').ok_or_else(|| MapError::Form(word.to_owned()))?;
            if old.is_empty() {
                return Err(MapError::Form(word.to_owned()));
            }
            if !is_label(new) {
                return Err(MapError::Name(new.to_owned()));
            }
            if map.names.values().any(|other| other == new) {
                return Err(MapError::Merged(new.to_owned()));
            }
            if map.names.insert(old.to_owned(), new.to_owned()).is_some() {
                return Err(MapError::Twice(old.to_owned()));
            }
        }
        Ok(map)
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Old and new names, in the order of the old ones.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().map(|(old, new)| (old.as_str(), new.as_str()))
    }

    /// Whether `namespace` keeps its name, and another one gets the same.
    pub fn is_taken(&self, namespace: &str) -> bool {
        !self.names.contains_key(namespace) && self.names.values().any(|new| new == namespace)
    }

    /// Puts the new names into `object`. Returns the places that still seem to
    /// mean an old one: fields of custom resources, host names. At most
    /// [`MOST_LEFT`].
    pub fn apply(&self, object: &mut Value<'_>) -> Vec<String> {
        if self.is_empty() {
            return Vec::new();
        }
        self.rename(object, &["metadata", "namespace"]);
        let identity = Identity::of(object);
        if identity.built_in.is_some() {
            match identity.type_name() {
                ("", "Namespace") => {
                    self.rename(object, &["metadata", "name"]);
                    self.rename(object, &["metadata", "labels", METADATA_NAME]);
                }
                (group, kind) => {
                    let row = FIELDS.iter().find(|(names, ..)| names.contains(&(group, kind)));
                    if let Some((_, names, selectors, pods)) = row {
                        names.iter().for_each(|path| self.rename(object, path));
                        selectors.iter().for_each(|path| self.rename_in_selector(object, path));
                        pods.iter().for_each(|path| self.rename_in_pod(object, path));
                    }
                    self.rename_special(object);
                }
            }
        }
        let mut left = Vec::new();
        self.find_left(object, &mut String::new(), &mut left);
        left
    }

    fn rename(&self, object: &mut Value<'_>, path: &[&str]) {
        each(object, path, &mut |value| self.rename_value(value));
    }

    fn rename_value(&self, value: &mut Value<'_>) {
        if let Some(new) = value.as_str().and_then(|old| self.names.get(old)) {
            *value = Value::from(new.clone());
        }
    }

    /// Selectors of namespaces, by the label that repeats the name.
    fn rename_in_selector(&self, object: &mut Value<'_>, path: &[&str]) {
        each(object, path, &mut |selector| {
            self.rename(selector, &["matchLabels", METADATA_NAME]);
            each(selector, &["matchExpressions", "*"], &mut |expression| {
                if expression.text(&["key"]) == METADATA_NAME {
                    self.rename(expression, &["values", "*"]);
                }
            });
        });
    }

    fn rename_in_pod(&self, object: &mut Value<'_>, path: &[&str]) {
        each(object, path, &mut |spec| {
            for affinity in ["podAffinity", "podAntiAffinity"] {
                let required = ["affinity", affinity, "requiredDuringSchedulingIgnoredDuringExecution", "*"];
                let preferred = [
                    "affinity",
                    affinity,
                    "preferredDuringSchedulingIgnoredDuringExecution",
                    "*",
                    "podAffinityTerm",
                ];
                for terms in [&required[..], &preferred] {
                    each(spec, terms, &mut |term| {
                        self.rename(term, &["namespaces", "*"]);
                        self.rename_in_selector(term, &["namespaceSelector"]);
                    });
                }
            }
            let claim =
                ["volumes", "*", "ephemeral", "volumeClaimTemplate", "spec", "dataSourceRef", "namespace"];
            self.rename(spec, &claim);
        });
    }

    fn rename_special(&self, object: &mut Value<'_>) {
        let identity = Identity::of(object);
        match identity.type_name() {
            ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
                each(object, &["subjects", "*", "name"], &mut |name| self.rename_in_user(name));
            }
            ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
                each(object, &["rules", "*"], &mut |rule| {
                    if rule
                        .items(&["resources"])
                        .iter()
                        .any(|resource| resource.as_str() == Some("namespaces"))
                    {
                        self.rename(rule, &["resourceNames", "*"]);
                    }
                })
            }
            ("security.openshift.io", "SecurityContextConstraints") => {
                for list in ["users", "groups"] {
                    each(object, &[list, "*"], &mut |name| self.rename_in_user(name));
                }
            }
            ("storage.k8s.io", "StorageClass") => each(object, &["parameters"], &mut |parameters| {
                let Some(parameters) = parameters.as_map_mut() else { return };
                parameters.retain(|key, value| {
                    let key = key.to_ascii_lowercase();
                    if key.ends_with("secret-namespace") || key.ends_with("secretnamespace") {
                        self.rename_value(value);
                    }
                    true
                });
            }),
            _ => {}
        }
    }

    /// `system:serviceaccount:NAMESPACE:NAME`, `system:serviceaccounts:NAMESPACE`.
    fn rename_in_user(&self, user: &mut Value<'_>) {
        let Some(text) = user.as_str() else { return };
        let renamed = if let Some(rest) = text.strip_prefix(ACCOUNT) {
            let (namespace, name) = rest.split_once(':').unwrap_or((rest, ""));
            self.names.get(namespace).map(|new| format!("{ACCOUNT}{new}:{name}"))
        } else {
            let namespace = text.strip_prefix(ACCOUNTS);
            namespace.and_then(|namespace| self.names.get(namespace)).map(|new| format!("{ACCOUNTS}{new}"))
        };
        if let Some(renamed) = renamed {
            *user = Value::from(renamed);
        }
    }

    fn find_left(&self, value: &Value<'_>, path: &mut String, left: &mut Vec<String>) {
        if left.len() >= MOST_LEFT {
            return;
        }
        let length = path.len();
        match value {
            Value::Map(map) => {
                for (key, value) in map.entries() {
                    if length > 0 {
                        path.push('.');
                    }
                    path.push_str(key);
                    let names = key.to_ascii_lowercase();
                    let is_named =
                        |value: &Value<'_>| value.as_str().is_some_and(|text| self.names.contains_key(text));
                    if (names.ends_with("namespace") && is_named(value))
                        || (names.ends_with("namespaces") && value.items(&[]).iter().any(is_named))
                    {
                        // A new name may be another's old one: that is no oversight.
                        if !self.is_new(value) {
                            left.push(path.clone());
                        }
                    } else {
                        self.find_left(value, path, left);
                    }
                    path.truncate(length);
                }
            }
            Value::List(items) => {
                for (index, value) in items.iter().enumerate() {
                    path.push_str(&format!("[{index}]"));
                    self.find_left(value, path, left);
                    path.truncate(length);
                }
            }
            Value::Str(text) if self.names.keys().any(|old| mentions(text, old)) => left.push(path.clone()),
            _ => {}
        }
    }

    fn is_new(&self, value: &Value<'_>) -> bool {
        let is_new =
            |value: &Value<'_>| value.as_str().is_some_and(|text| self.names.values().any(|new| new == text));
        is_new(value) || value.items(&[]).iter().any(is_new)
    }
}

/// Places that are told of, per object.
pub const MOST_LEFT: usize = 16;

const METADATA_NAME: &str = "kubernetes.io/metadata.name";
const ACCOUNT: &str = "system:serviceaccount:";
const ACCOUNTS: &str = "system:serviceaccounts:";

/// Whether `text` has a service's host name or an account of that namespace.
fn mentions(text: &str, namespace: &str) -> bool {
    let host = format!(".{namespace}.svc");
    let mut rest = text;
    while let Some(at) = rest.find(&host) {
        rest = rest.get(at.saturating_add(host.len())..).unwrap_or_default();
        if !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-') {
            return true;
        }
    }
    text.contains(&format!("{ACCOUNT}{namespace}:"))
}

/// Hands what is at the end of `path` to `f`, where `*` stands for each item of a
/// list.
fn each(value: &mut Value<'_>, path: &[&str], f: &mut dyn FnMut(&mut Value<'_>)) {
    match path.split_first() {
        None => f(value),
        Some((&"*", rest)) => {
            if let Value::List(items) = value {
                items.iter_mut().for_each(|item| each(item, rest, f));
            }
        }
        Some((key, rest)) => {
            if let Some(value) = value.get_mut(key) {
                each(value, rest, f);
            }
        }
    }
}

/// A label of DNS: what a namespace's name must be.
fn is_label(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !name.is_empty()
        && name.len() <= 63
        && name.bytes().all(|byte| plain(byte) || byte == b'-')
        && name.bytes().next().is_some_and(plain)
        && name.bytes().last().is_some_and(plain)
}

type Path = &'static [&'static str];

/// Types by group and kind; then where they name namespaces, select them, and
/// have the `spec` of a pod.
type Row = (&'static [(&'static str, &'static str)], &'static [Path], &'static [Path], &'static [Path]);

/// Source: kubernetes `staging/src/k8s.io/api` 1.35, every field named
/// `namespace`, `namespaces` or `namespaceSelector`.
const FIELDS: &[Row] = &[
    (
        &[("rbac.authorization.k8s.io", "RoleBinding"), ("rbac.authorization.k8s.io", "ClusterRoleBinding")],
        &[&["subjects", "*", "namespace"]],
        &[],
        &[],
    ),
    (
        &[
            ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
            ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ],
        &[&["webhooks", "*", "clientConfig", "service", "namespace"]],
        &[&["webhooks", "*", "namespaceSelector"]],
        &[],
    ),
    (
        &[
            ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
            ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ],
        &[],
        &[&["spec", "matchConstraints", "namespaceSelector"]],
        &[],
    ),
    (
        &[
            ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
            ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ],
        &[&["spec", "paramRef", "namespace"]],
        &[&["spec", "matchResources", "namespaceSelector"]],
        &[],
    ),
    (&[("apiregistration.k8s.io", "APIService")], &[&["spec", "service", "namespace"]], &[], &[]),
    (
        &[("apiextensions.k8s.io", "CustomResourceDefinition")],
        &[
            &["spec", "conversion", "webhook", "clientConfig", "service", "namespace"],
            &["spec", "conversion", "webhookClientConfig", "service", "namespace"],
        ],
        &[],
        &[],
    ),
    (
        &[("networking.k8s.io", "NetworkPolicy")],
        &[],
        &[
            &["spec", "ingress", "*", "from", "*", "namespaceSelector"],
            &["spec", "egress", "*", "to", "*", "namespaceSelector"],
        ],
        &[],
    ),
    (&[("networking.k8s.io", "IngressClass")], &[&["spec", "parameters", "namespace"]], &[], &[]),
    (
        &[("", "PersistentVolume")],
        &[
            &["spec", "azureFile", "secretNamespace"],
            &["spec", "cephfs", "secretRef", "namespace"],
            &["spec", "claimRef", "namespace"],
            &["spec", "csi", "controllerExpandSecretRef", "namespace"],
            &["spec", "csi", "controllerPublishSecretRef", "namespace"],
            &["spec", "csi", "nodeExpandSecretRef", "namespace"],
            &["spec", "csi", "nodePublishSecretRef", "namespace"],
            &["spec", "csi", "nodeStageSecretRef", "namespace"],
            &["spec", "flexVolume", "secretRef", "namespace"],
            &["spec", "glusterfs", "endpointsNamespace"],
            &["spec", "iscsi", "secretRef", "namespace"],
            &["spec", "rbd", "secretRef", "namespace"],
            &["spec", "scaleIO", "secretRef", "namespace"],
            &["spec", "storageos", "secretRef", "namespace"],
        ],
        &[],
        &[],
    ),
    (&[("", "PersistentVolumeClaim")], &[&["spec", "dataSourceRef", "namespace"]], &[], &[]),
    (
        &[("", "Endpoints")],
        &[
            &["subsets", "*", "addresses", "*", "targetRef", "namespace"],
            &["subsets", "*", "notReadyAddresses", "*", "targetRef", "namespace"],
        ],
        &[],
        &[],
    ),
    (&[("discovery.k8s.io", "EndpointSlice")], &[&["endpoints", "*", "targetRef", "namespace"]], &[], &[]),
    (
        &[("flowcontrol.apiserver.k8s.io", "FlowSchema")],
        &[
            &["spec", "rules", "*", "subjects", "*", "serviceAccount", "namespace"],
            &["spec", "rules", "*", "resourceRules", "*", "namespaces", "*"],
        ],
        &[],
        &[],
    ),
    (&[("", "Pod")], &[], &[], &[&["spec"]]),
    (&[("", "PodTemplate")], &[], &[], &[&["template", "spec"]]),
    (&[("batch", "CronJob")], &[], &[], &[&["spec", "jobTemplate", "spec", "template", "spec"]]),
    (
        &[
            ("", "ReplicationController"),
            ("apps", "DaemonSet"),
            ("apps", "Deployment"),
            ("apps", "ReplicaSet"),
            ("apps", "StatefulSet"),
            ("apps.openshift.io", "DeploymentConfig"),
            ("batch", "Job"),
        ],
        &[&["spec", "volumeClaimTemplates", "*", "spec", "dataSourceRef", "namespace"]],
        &[],
        &[&["spec", "template", "spec"]],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn map() -> NamespaceMap {
        NamespaceMap::parse(["shop=market", "team-b=shop"]).expect("a map")
    }

    #[test]
    fn only_what_makes_sense_is_a_map() {
        for (words, error) in [
            (&["shop"][..], MapError::Form("shop".into())),
            (&["=a"], MapError::Form("=a".into())),
            (&["a="], MapError::Name(String::new())),
            (&["a=B"], MapError::Name("B".into())),
            (&["a=-b"], MapError::Name("-b".into())),
            (&["a=b", "a=c"], MapError::Twice("a".into())),
            (&["a=c", "b=c"], MapError::Merged("c".into())),
        ] {
            assert_eq!(NamespaceMap::parse(words), Err(error), "{words:?}");
        }
        assert!(NamespaceMap::parse([""; 0]).expect("nothing").is_empty());
    }

    #[test]
    fn an_object_moves_and_a_namespace_is_renamed() {
        let mut object = Value::from(
            json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "shop", "namespace": "shop"}}),
        );
        assert!(map().apply(&mut object).is_empty());
        assert_eq!(object.text(&["metadata", "namespace"]), "market");
        assert_eq!(object.text(&["metadata", "name"]), "shop");
        let mut namespace = Value::from(
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-b", "labels": {METADATA_NAME: "team-b"}}}),
        );
        map().apply(&mut namespace);
        assert_eq!(namespace.text(&["metadata", "name"]), "shop");
        assert_eq!(namespace.text(&["metadata", "labels", METADATA_NAME]), "shop");
    }

    /// Fills in every path of the table with an old name and reads back the new
    /// one: no path is misspelt into another's way.
    #[test]
    fn every_field_of_the_table_is_renamed() {
        fn put(path: &[&str], leaf: Json) -> Json {
            path.iter()
                .rev()
                .fold(leaf, |inner, key| if *key == "*" { json!([inner]) } else { json!({*key: inner}) })
        }
        let selector = |name: &str| {
            json!({"matchLabels": {METADATA_NAME: name, "app": "shop"},
                "matchExpressions": [{"key": METADATA_NAME, "operator": "In", "values": [name, "else"]}, {"key": "app", "values": ["shop"]}]})
        };
        let pod = |name: &str| {
            let term = json!({"namespaces": [name], "namespaceSelector": selector(name)});
            let terms = json!({
                "requiredDuringSchedulingIgnoredDuringExecution": [term],
                "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": term}]
            });
            json!({"affinity": {"podAffinity": terms, "podAntiAffinity": terms},
                "volumes": [{"ephemeral": {"volumeClaimTemplate": {"spec": {"dataSourceRef": {"namespace": name}}}}}]})
        };
        for (types, names, selectors, pods) in FIELDS {
            for (group, kind) in *types {
                let filled = |name: &str| {
                    let leaves = names.iter().map(|path| (path, json!(name)));
                    let selectors = selectors.iter().map(|path| (path, selector(name)));
                    let pods = pods.iter().map(|path| (path, pod(name)));
                    let all = leaves.chain(selectors).chain(pods).map(|(path, leaf)| {
                        let api_version =
                            if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
                        let mut object = put(path, leaf);
                        object["apiVersion"] = json!(api_version);
                        object["kind"] = json!(kind);
                        object
                    });
                    all.collect::<Vec<_>>()
                };
                for (before, after) in filled("shop").into_iter().zip(filled("market")) {
                    let mut object = Value::from(before);
                    assert_eq!(map().apply(&mut object), [""; 0], "{kind}");
                    assert_eq!(object, Value::from(after), "{kind}");
                }
            }
        }
    }

    #[test]
    fn accounts_as_users_and_groups_move_too() {
        let binding = |users: [&str; 5]| {
            let subjects: Vec<_> = users.iter().map(|name| json!({"kind": "User", "name": name})).collect();
            Value::from(
                json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "subjects": subjects}),
            )
        };
        let mut object = binding([
            "system:serviceaccount:shop:robot",
            "system:serviceaccounts:shop",
            "system:serviceaccounts",
            "system:serviceaccount:other:shop",
            "shop",
        ]);
        assert!(map().apply(&mut object).is_empty());
        let expected = binding([
            "system:serviceaccount:market:robot",
            "system:serviceaccounts:market",
            "system:serviceaccounts",
            "system:serviceaccount:other:shop",
            "shop",
        ]);
        assert_eq!(object, expected);
    }

    #[test]
    fn roles_and_storage_classes_name_namespaces_in_their_own_way() {
        let mut role = Value::from(
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [
            {"resources": ["namespaces"], "resourceNames": ["shop", "x"]}, {"resources": ["pods"], "resourceNames": ["shop"]}]}),
        );
        map().apply(&mut role);
        assert_eq!(
            role,
            Value::from(
                json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": [
            {"resources": ["namespaces"], "resourceNames": ["market", "x"]}, {"resources": ["pods"], "resourceNames": ["shop"]}]})
            )
        );
        let mut class = Value::from(
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "parameters": {
            "csi.storage.k8s.io/provisioner-secret-namespace": "shop", "adminSecretNamespace": "shop", "pool": "shop"}}),
        );
        map().apply(&mut class);
        assert_eq!(class.text(&["parameters", "csi.storage.k8s.io/provisioner-secret-namespace"]), "market");
        assert_eq!(class.text(&["parameters", "adminSecretNamespace"]), "market");
        assert_eq!(class.text(&["parameters", "pool"]), "shop");
    }

    #[test]
    fn places_that_cannot_be_renamed_are_told() {
        let mut object = Value::from(json!({
            "apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"},
            "spec": {
                "secretRef": {"namespace": "team-b"}, "watchNamespaces": ["x", "team-b"],
                "url": "http://web.shop.svc.cluster.local:80/", "users": ["system:serviceaccount:shop:x"],
                "other": "web.shop.svcx", "another": "webshop.svc", "namespace": "else"
            }
        }));
        let left = map().apply(&mut object);
        assert_eq!(left, ["spec.secretRef.namespace", "spec.url", "spec.users[0]", "spec.watchNamespaces"]);
    }

    #[test]
    fn a_new_name_that_is_anothers_old_one_is_no_oversight() {
        let mut object = Value::from(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "team-b"}}),
        );
        assert_eq!(map().apply(&mut object), [""; 0]);
        assert_eq!(object.text(&["metadata", "namespace"]), "shop");
    }
}
