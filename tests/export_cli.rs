//! `export`, the command, on snapshots of which it is known what the API server
//! said of every object.

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use harness::{Answer, ask, fixture, fixtures, recorded, tree};
use serde_json::Value as Json;

const PLAIN: &str = "k8s-1.35-etcd-3.6";
const ENCRYPTED: &str = "k8s-1.35-etcd-3.5-encrypted";
const OBJECTS: &str = "k8s-1.35-objects";
const EVERYTHING: [&str; 4] =
    ["--include-system", "--include-owned", "--include-finished", "--include-deleted"];

/// Exports `name` as JSON, with what opens it.
fn export(name: &str, options: &[&str]) -> Answer {
    let keys = fixtures().join("snapshots/encryption-config.yaml");
    let (file, keys) = (fixture(name), keys.to_str().expect("a path").to_owned());
    let mut args = vec!["export", &file, "-o", "json"];
    if name == ENCRYPTED {
        args.extend(["--encryption-config", &keys]);
    }
    args.extend(options);
    ask(&args)
}

fn items(answer: &Answer) -> Vec<Json> {
    answer.json()["items"].as_array().expect("a list").clone()
}

/// Kind, namespace and name.
type Name = (String, String, String);

fn name(object: &Json) -> Name {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    (text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]))
}

/// What the server answered, of all types that are stored.
fn served(snapshot: &str) -> BTreeMap<Name, Json> {
    let folder = format!("reference/kubectl/{snapshot}");
    let mut all = BTreeMap::new();
    for resource in recorded(&format!("{folder}/resources.txt")).lines() {
        if ["componentstatuses", "events.events.k8s.io"].contains(&resource) {
            continue;
        }
        let path = fixtures().join(format!("{folder}/json/{resource}.json"));
        let Ok(text) = fs::read_to_string(path) else { continue };
        let list: Json = serde_json::from_str(&text).expect("JSON");
        all.extend(
            list["items"].as_array().expect("a list").iter().map(|object| (name(object), object.clone())),
        );
    }
    all
}

/// Where `part` has what `whole` has not.
fn excess(part: &Json, whole: &Json, path: &str) -> Option<String> {
    match (part, whole) {
        (Json::Object(part), Json::Object(whole)) => part.iter().find_map(|(key, value)| {
            excess(value, whole.get(key).unwrap_or(&Json::Null), &format!("{path}.{key}"))
        }),
        // Of the lists only tolerations and volumes get shorter.
        (Json::Array(part), Json::Array(whole)) if part.len() == whole.len() => {
            let pairs = part.iter().zip(whole).enumerate();
            pairs
                .into_iter()
                .find_map(|(index, (part, whole))| excess(part, whole, &format!("{path}[{index}]")))
        }
        (Json::Array(part), Json::Array(whole)) => {
            part.iter().find(|item| !whole.contains(item)).map(|item| format!("{path}: {item}"))
        }
        _ => (part != whole).then(|| format!("{path}: {part} is not {whole}")),
    }
}

/// The server converts what it answers with, as does an export.
#[test]
fn nothing_is_written_that_the_server_had_not() {
    for snapshot in [PLAIN, ENCRYPTED, OBJECTS] {
        let served = served(snapshot);
        let answer = export(snapshot, &EVERYTHING).exits(0);
        let items = items(&answer);
        assert!(items.len() > 100 && items.len() == served.len(), "{} of {}", items.len(), served.len());
        for object in &items {
            let name = name(object);
            let Some(answered) = served.get(&name) else { panic!("{name:?} in {snapshot}") };
            // A lease is renewed, the rules of an aggregated role are left empty.
            if name.0 == "Lease" || answered.get("aggregationRule").is_some() {
                continue;
            }
            assert_eq!(excess(object, answered, ""), None, "{name:?} in {snapshot}");
            for gone in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
                assert_eq!(object["metadata"].get(gone), None, "{name:?}");
            }
            assert_eq!(object.get("status"), None, "{name:?}");
        }
    }
}

#[test]
fn what_every_cluster_has_is_left_out_and_counted() {
    let answer = export(PLAIN, &[]).exits(0);
    let items = items(&answer);
    let left: Vec<_> =
        served(PLAIN).into_keys().filter(|other| !items.iter().any(|item| name(item) == *other)).collect();
    for (kind, namespace, name) in &left {
        let is_known = match kind.as_str() {
            "Event"
            | "Lease"
            | "Endpoints"
            | "EndpointSlice"
            | "Node"
            | "FlowSchema"
            | "APIService"
            | "IPAddress"
            | "PriorityLevelConfiguration" => true,
            "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding" => namespace != "shop",
            "Namespace" => name.starts_with("kube-") || name == "default",
            "Service" | "ServiceCIDR" => name == "kubernetes",
            "PriorityClass" => name.starts_with("system-"),
            "ConfigMap" => namespace == "kube-system",
            _ => false,
        };
        assert!(is_known, "{kind} {namespace}/{name}");
    }
    answer.says("left out: nodes and what belongs to them: 1 nodes\n").says("exported 65 objects");
}

#[test]
fn a_namespace_can_be_had_under_another_name() {
    let answer = export(PLAIN, &["-n", "shop", "--namespace-map", "shop=market"]).exits(0);
    let items = items(&answer);
    let names: Vec<_> = items.iter().map(name).collect();
    assert_eq!(names[0], ("Namespace".into(), String::new(), "market".into()));
    assert!(names.iter().any(|(kind, ..)| kind == "CustomResourceDefinition"));
    assert!(names.iter().all(|(_, namespace, _)| ["", "market"].contains(&namespace.as_str())), "{names:?}");
    let binding = items.iter().find(|item| item["kind"] == "RoleBinding").expect("there");
    assert_eq!(binding["subjects"][0]["namespace"], "market");
}

#[test]
fn types_are_named_as_to_kubectl() {
    for types in [&["deploy,sts", "wd"][..], &["Deployment", "statefulsets.apps", "widget"]] {
        let answer = export(PLAIN, types).exits(0);
        let kinds: Vec<_> = items(&answer).iter().map(|item| name(item).0).collect();
        assert_eq!(kinds, ["Deployment", "StatefulSet", "Widget", "Widget", "Widget"], "{types:?}");
    }
    export(PLAIN, &["widgetz"]).refuses(1).says("widgets");
    export(PLAIN, &["pod/web-1"]).refuses(2);
    export(PLAIN, &["-l", "a in"]).refuses(2);
    export(PLAIN, &["--namespace-map", "shop"]).refuses(2);
    let empty = export(PLAIN, &["deploy", "-l", "app=nothing"]).exits(0).says("No resources found");
    assert_eq!(items(&empty), [""; 0]);
}

#[test]
fn yaml_is_one_document_for_each_object() {
    let answer = ask(&["export", &fixture(PLAIN), "deploy,cm", "-l", "app=web"]).exits(0);
    let documents: Vec<_> = answer.text().split("---\n").collect();
    assert_eq!(documents.len(), 2);
    assert!(documents[0].starts_with("apiVersion: v1\n") && documents[0].contains("\nkind: ConfigMap\n"));
    assert!(
        documents[1]
            .starts_with("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels:\n    app: web\n")
    );
    assert!(!answer.text().contains("uid") && !answer.text().contains("last-applied"));
    let lines = ask(&["export", &fixture(PLAIN), "pods", "-o", "jsonl"]).exits(0);
    assert!(lines.text().lines().count() == 2 && lines.text().starts_with("{\"apiVersion\":\"v1\","));
}

#[test]
fn a_tree_has_a_file_for_each_object_and_nothing_is_overwritten() {
    let home = tempfile::tempdir().expect("a directory");
    let out = home.path().join("out");
    let directory = out.to_str().expect("a path");
    let export = |options: &[&str]| {
        let file = fixture(PLAIN);
        let args = [&["export", &file, "-n", "shop", "--out-dir", directory], options].concat();
        ask(&args)
    };
    export(&["-o", "jsonl"]).refuses(2);
    export(&["--rev", "100000"]).refuses(1);
    assert!(!out.exists(), "an export that failed leaves nothing");
    let answer = export(&[]).exits(0).says("exported 21 objects to ");
    assert_eq!(answer.text(), "");
    let files: Vec<_> = tree(&out).into_iter().filter(|line| line.contains(".yaml ")).collect();
    assert_eq!(files.len(), 21, "{files:?}");
    let read = |name: &str| fs::read_to_string(out.join(name)).expect(name);
    assert!(read("_cluster/namespace/shop.yaml").contains("name: shop\n"));
    assert!(
        read("_cluster/customresourcedefinition.apiextensions.k8s.io/widgets.example.com.yaml")
            .starts_with("apiVersion: apiextensions.k8s.io/v1\n")
    );
    assert!(read("shop/deployment.apps/web.yaml").starts_with("apiVersion: apps/v1\nkind: Deployment\n"));
    let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
    assert_eq!(mode(&out.join("shop/secret/db-pass.yaml")), 0o600);
    assert_eq!(mode(&out.join("shop/secret")), 0o700);
    let before = tree(&out);
    export(&[]).refuses(2).says("not empty");
    assert_eq!(tree(&out), before);
}

#[test]
fn nothing_secret_is_left_in_a_redacted_export() {
    let plain = items(&export(PLAIN, &["secrets,configmaps"]).exits(0));
    let data = plain.iter().flat_map(|object| ["data", "binaryData"].map(|field| &object[field]));
    let values = data.filter_map(Json::as_object).flat_map(|data| data.values()).filter_map(Json::as_str);
    let values: Vec<&str> = values.filter(|value| value.len() > 4).collect();
    assert!(values.len() >= 3, "{values:?}");
    let redacted =
        ask(&["export", &fixture(PLAIN), "--redact=secrets,configmaps", "--keep", "last-applied"]).exits(0);
    // A text of several lines would be written as such.
    for line in values.iter().flat_map(|value| value.lines()) {
        assert!(!redacted.text().contains(line), "{line}");
    }
    assert!(
        redacted.text().starts_with("# Redacted: the values of Secrets are not in it. Not to be applied.\n")
    );
    let documents = redacted.text().split("---\n").count();
    let forbidden = redacted.text().matches("'etcdsnap: redacted, not to be applied': \"true\"\n").count();
    assert_eq!((documents, forbidden), (65, 65));
}

#[test]
fn what_cannot_be_opened_is_counted_and_makes_it_fail() {
    let answer = ask(&["export", &fixture(ENCRYPTED), "-n", "shop"]).exits(1);
    answer
        .says("warning: could not be exported: 1 secrets: encrypted with aescbc, key key1")
        .says("--encryption-config");
    export(ENCRYPTED, &["-n", "shop"]).exits(0);
}
