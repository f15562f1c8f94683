//! What Kubernetes keeps in the values of an etcd store.
//!
//! ```text
//! key   ─▶ RegistryKey   which resource, namespace and name; or what else
//! value ─▶ Envelope      how the object is stored, its kind, its bytes
//!       ─▶ newest_time   when it was last touched, as far as it says
//!       ─▶ object        the object in it as a tree: Value
//!            ─▶ json, yaml, table, manifest: as kubectl shows it
//! ```
//!
//! Layout: `docs/format/kubernetes.md`.
//! Source: kubernetes `pkg/kubeapiserver/default_storage_factory_builder.go`,
//! `staging/src/k8s.io/apimachinery/pkg/runtime/serializer/protobuf`,
//! `staging/src/k8s.io/apiserver/pkg/storage/value/encrypt`, 1.14 to 1.37.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::cast_possible_truncation))]

pub mod cbor;
pub mod changes;
pub mod dated;
pub mod encryption;
pub mod envelope;
pub mod field_set;
pub mod field_table;
mod go_number;
pub mod human_duration;
pub mod json;
pub mod manifest;
pub mod notes;
pub mod object;
pub mod protobuf;
pub mod registry_key;
pub mod resources;
pub mod select;
pub mod stray;
pub mod table;
mod text;
pub mod type_name;
pub mod unix_time;
pub mod value;
pub mod yaml;

/// Snapshots of two API servers (1.35.4), against what those answered.
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZeroUsize;
    use std::path::Path;

    use super::dated::newest_time;
    use super::envelope::{Encrypted, Envelope, Provider, check_shape};
    use super::json;
    use super::object::{Encoding, Object, Options};
    use super::registry_key::{Prefixes, RegistryKey};
    use super::resources::Resource;
    use super::unix_time::UnixTime;
    use super::value::Value;
    use crate::bolt::{WalkOptions, walk};
    use crate::etcd::keyspace::KeyspaceFold;
    use crate::etcd::record::{Record, Records};
    use crate::etcd::snapshot::Snapshot;

    const PLAIN: &str = "k8s-1.35-etcd-3.6.db";
    const ENCRYPTED: &str = "k8s-1.35-etcd-3.5-encrypted.db";

    /// Rows of `kubectl get RESOURCE -A` from either server. Without
    /// `componentstatuses`, which are not stored, and `events.events.k8s.io`,
    /// which are the same as `events`.
    const COUNTS: [(&str, usize); 39] = [
        ("apiservices.apiregistration.k8s.io", 22),
        ("clusterrolebindings.rbac.authorization.k8s.io", 49),
        ("clusterroles.rbac.authorization.k8s.io", 68),
        ("configmaps", 37),
        ("cronjobs.batch", 1),
        ("customresourcedefinitions.apiextensions.k8s.io", 1),
        ("daemonsets.apps", 1),
        ("deployments.apps", 1),
        ("endpoints", 1),
        ("endpointslices.discovery.k8s.io", 2),
        ("events", 1),
        ("flowschemas.flowcontrol.apiserver.k8s.io", 11),
        ("horizontalpodautoscalers.autoscaling", 1),
        ("ingresses.networking.k8s.io", 1),
        ("ipaddresses.networking.k8s.io", 2),
        ("jobs.batch", 1),
        ("leases.coordination.k8s.io", 2),
        ("limitranges", 1),
        ("namespaces", 6),
        ("networkpolicies.networking.k8s.io", 1),
        ("nodes", 1),
        ("persistentvolumeclaims", 1),
        ("persistentvolumes", 1),
        ("poddisruptionbudgets.policy", 1),
        ("pods", 2),
        ("priorityclasses.scheduling.k8s.io", 2),
        ("prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", 8),
        ("replicasets.apps", 1),
        ("resourcequotas", 1),
        ("rolebindings.rbac.authorization.k8s.io", 8),
        ("roles.rbac.authorization.k8s.io", 8),
        ("secrets", 1),
        ("serviceaccounts", 1),
        ("servicecidrs.networking.k8s.io", 1),
        ("services", 2),
        ("statefulsets.apps", 1),
        ("storageclasses.storage.k8s.io", 1),
        ("validatingwebhookconfigurations.admissionregistration.k8s.io", 1),
        ("widgets.example.com", 3),
    ];

    /// The live keys of a fixture with their values.
    fn live(name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        revised(name).into_iter().map(|(key, _, value)| (key, value)).collect()
    }

    /// The same with the revisions that last changed them.
    fn revised(name: &str) -> Vec<(Vec<u8>, i64, Vec<u8>)> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/snapshots").join(name);
        let snapshot = Snapshot::open(&path).expect("a snapshot");
        let db = snapshot.db().expect("a database");
        let options = WalkOptions { threads: NonZeroUsize::MIN, only: None, progress: None };
        let ((keyspace, _), _) = walk(&db, &Records(KeyspaceFold::new(db.image)), &options);
        let of =
            |record: Record<'_>| (record.kv.key.to_vec(), record.kv.mod_revision, record.kv.value.to_vec());
        keyspace.live().map(of).collect()
    }

    /// `plural.group` of an object's key, the label of an internal one.
    fn resource_of(key: &[u8]) -> Result<String, &'static str> {
        let parsed = RegistryKey::parse(key, &Prefixes::well_known());
        match parsed {
            RegistryKey::Object(object) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
                Ok(match object.group.map(text).expect("a known group") {
                    group if group.is_empty() => text(object.resource),
                    group => format!("{}.{group}", text(object.resource)),
                })
            }
            RegistryKey::Internal(internal) => Err(internal.label()),
            RegistryKey::Other => panic!("not understood: {}", key.escape_ascii()),
        }
    }

    #[test]
    fn every_key_is_of_a_resource_the_server_listed() {
        for name in [PLAIN, ENCRYPTED] {
            let mut counts = BTreeMap::new();
            let mut internal = BTreeMap::new();
            let records = live(name);
            for (key, _) in &records {
                match resource_of(key) {
                    Ok(resource) => *counts.entry(resource).or_insert(0) += 1,
                    Err(label) => *internal.entry(label).or_insert(0) += 1,
                }
            }
            let expected: BTreeMap<_, _> =
                COUNTS.into_iter().map(|(resource, count)| (resource.to_owned(), count)).collect();
            assert_eq!(counts, expected, "{name}");
            let internal: Vec<_> = internal.into_iter().collect();
            assert_eq!(internal, [("masterleases", 1), ("ranges", 1)], "{name}");
            let prefixes = Prefixes::detect(records.iter().map(|(key, _)| key.as_slice()));
            assert_eq!(prefixes, Some(Prefixes::new(["registry"])));
        }
    }

    #[test]
    fn every_value_is_recognised() {
        for name in [PLAIN, ENCRYPTED] {
            for (key, value) in live(name) {
                let Ok(resource) = resource_of(&key) else { continue };
                let envelope = Envelope::parse(&value).expect("a sound envelope");
                assert_eq!(check_shape(&envelope), Ok(()));
                let provider = match (name == ENCRYPTED, resource.as_str()) {
                    (true, "secrets") => Some(Provider::AesCbc),
                    (true, "configmaps") => Some(Provider::SecretBox),
                    (true, "serviceaccounts" | "widgets.example.com") => Some(Provider::AesGcm),
                    _ => None,
                };
                match (envelope, provider) {
                    (Envelope::Encrypted(Encrypted { provider: found, version, .. }), Some(provider)) => {
                        assert_eq!((found, version), (provider, &b"v1"[..]), "{resource}");
                        assert_eq!(newest_time(&value), None);
                    }
                    (Envelope::Protobuf(unknown), None) => {
                        let built_in = Resource::find(&resource).expect("built in");
                        assert_eq!(unknown.kind, built_in.kind.as_bytes());
                        let group = unknown.api_version.split(|byte| *byte == b'/').rev().nth(1);
                        assert_eq!(group.unwrap_or_default(), built_in.group.as_bytes());
                        assert!(newest_time(&value).is_some());
                    }
                    (Envelope::Json(_), None) => {
                        // What the two servers behind the main one keep, and what they serve.
                        let json = ["customresourcedefinitions.", "apiservices.", "widgets."];
                        assert!(json.iter().any(|start| resource.starts_with(start)), "{resource}");
                        assert!(newest_time(&value).is_some());
                    }
                    (other, _) => panic!("{}: {other:?}", key.escape_ascii()),
                }
            }
        }
    }

    /// Compared with the times in the servers' answers, object by object; here
    /// are the newest of each store and one of each kind of evidence.
    #[test]
    fn the_newest_times_are_those_the_server_showed() {
        let times = |name| -> BTreeMap<_, _> {
            live(name).into_iter().map(|(key, value)| (key, newest_time(&value))).collect()
        };
        let plain = times(PLAIN);
        let time = |key: &str| plain.get(key.as_bytes()).copied().flatten().map(|time| time.to_string());
        assert_eq!(time("/registry/example.com/widgets/shop/w1").as_deref(), Some("2026-11-22T14:35:20Z"));
        assert_eq!(time("/registry/leases/kube-node-lease/node1").as_deref(), Some("2026-11-22T14:35:16Z"));
        assert_eq!(time("/registry/namespaces/default").as_deref(), Some("2026-11-22T14:35:13Z"));
        assert_eq!(time("/registry/pods/shop/web-1").as_deref(), Some("2026-11-22T14:35:21Z"));
        assert_eq!(time("/registry/events/shop/web-1.17").as_deref(), Some("2026-11-22T14:35:21Z"));
        assert_eq!(
            time("/registry/leases/kube-system/apiserver-wlv32tlttr4jl3gtroqexyxapa").as_deref(),
            Some("2026-11-22T14:35:34Z")
        );
        assert_eq!(time("/registry/deployments/shop/web").as_deref(), Some("2026-11-22T14:35:16Z"));
        assert_eq!(time("/registry/secrets/shop/db-pass").as_deref(), Some("2026-11-22T14:35:23Z"));
        // Recorded at 14:35:35 and 14:39:22, right before the snapshots were made.
        let newest = |times: BTreeMap<Vec<u8>, Option<UnixTime>>| {
            times.into_values().max().flatten().map(|time| time.to_string())
        };
        assert_eq!(newest(plain).as_deref(), Some("2026-11-22T14:35:34Z"));
        assert_eq!(newest(times(ENCRYPTED)).as_deref(), Some("2026-11-22T14:39:21Z"));
    }

    /// `kubectl get RESOURCE -A -o json`, object by object.
    #[test]
    fn objects_are_what_the_server_answered() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference/kubectl/k8s-1.35-etcd-3.6/json");
        let mut answers = BTreeMap::new();
        let mut compared = BTreeMap::new();
        for (key, revision, value) in revised(PLAIN) {
            let Ok(resource) = resource_of(&key) else { continue };
            let answer = answers.entry(resource.clone()).or_insert_with(|| {
                std::fs::read(folder.join(format!("{resource}.json"))).expect("what the server answered")
            });
            let answer = json::parse(answer).expect("JSON");
            let mut object = Object::decode(&value, &Options::default()).expect("an object");
            assert!(object.notes.is_empty(), "{}", object.notes);
            object.set_resource_version(revision);
            let names = |item: &Value<'_>| {
                ["namespace", "name"].map(|name| item.text(&["metadata", name]).to_owned())
            };
            let items = answer.items(&["items"]);
            let item = items.iter().find(|item| names(item) == names(&object.value)).expect("an answer");
            match (object.kind(), object.api_version()) {
                // Converted before it is answered.
                ("CustomResourceDefinition", "apiextensions.k8s.io/v1beta1") => {}
                // Renewed between the answer and the snapshot.
                ("Lease", _)
                    if item.text(&["spec", "renewTime"]) != object.value.text(&["spec", "renewTime"]) => {}
                _ => assert_eq!(item, &object.value, "{}", key.escape_ascii()),
            }
            *compared.entry(object.encoding).or_insert(0) += 1;
        }
        assert_eq!(compared, BTreeMap::from([(Encoding::Protobuf, 229), (Encoding::Json, 26)]));
    }
}
