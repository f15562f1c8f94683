//! `get`, `decode` and `export` with what people type: flags in kubectl's forms, what
//! is to be hidden, what is not there, and objects that nobody knows.

mod harness;

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use harness::{Answer, ask, ask_with, fixture, make_snapshot};

fn get(words: &[&str]) -> Answer {
    let file = fixture("k8s-1.35-objects");
    ask(&[&["get", file.as_str()], words].concat())
}

fn export(words: &[&str]) -> Answer {
    let file = fixture("k8s-1.35-objects");
    ask(&[&["export", file.as_str()], words].concat())
}

/// A snapshot of these keys and values, in a place that is gone afterwards.
fn store(puts: &[(&str, &[u8])]) -> (TempDir, String) {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("made.db");
    let puts: Vec<(&[u8], &[u8])> = puts.iter().map(|(key, value)| (key.as_bytes(), *value)).collect();
    make_snapshot(&file, &puts);
    let name = text(&file);
    (place, name)
}

fn text(path: &Path) -> String {
    path.to_str().expect("a UTF-8 path").to_owned()
}

/// An object in protobuf: its version, its kind and its message, each short.
fn unknown(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let field =
        |tag: u8, bytes: &[u8]| [&[tag, u8::try_from(bytes.len()).expect("short")][..], bytes].concat();
    let names = [field(0x0a, api_version.as_bytes()), field(0x12, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(0x0a, &names), field(0x12, message)].concat()
}

#[test]
fn switches_and_values_are_written_as_for_kubectl() {
    let names = "pod/crashing\npod/done\npod/web-1\npod/web-2\npod/gated\npod/leaving\n";
    for words in [
        &["pods", "-A", "-o", "name"][..],
        &["pods", "-A=true", "-o=name"],
        &["pods", "-Aoname"],
        &["pods", "--all-namespaces=T", "-oyaml", "-oname"],
        &["pods", "-A", "--output=name", "--chunk-size", "500", "--chunk-size=0"],
        &["pods", "-A", "-oname", "--watch=false", "--server-print=true", "--request-timeout=0"],
    ] {
        assert_eq!(get(words).exits(0).text(), names, "{words:?}");
    }
    let rows = |words: &[&str]| get(words).exits(0).text().lines().count();
    assert_eq!(rows(&["pods", "-n", "shop", "--no-headers=true"]), 4);
    assert_eq!(rows(&["pods", "--namespace=shop", "--no-headers=false"]), 5);
    assert_eq!(rows(&["pods", "-n=shop", "-l=app=web", "--no-headers"]), 2);
    assert_eq!(rows(&["pods", "-A", "-A=false", "-n", "team-b", "--no-headers"]), 2);
    get(&["pods", "-n", "shop", "--show-labels=true"]).exits(0).says("LABELS");
    get(&["pod", "nope", "--ignore-not-found=true"]).exits(0);
    get(&["pod", "nope", "--ignore-not-found=false"]).exits(1);
    let managed = |words: &[&str]| {
        get(&[&["pods", "-A", "-ojson"], words].concat()).exits(0).text().contains("managedFields")
    };
    assert!(managed(&["--show-managed-fields"]) && managed(&["--show-managed-fields=true"]));
    assert!(!managed(&["--show-managed-fields=false"]));
    get(&["pods", "--no-headers=maybe"]).exits(2).says("true or false");
    let path = ["pods", "-A", "-o", "jsonpath={.items[*].nope}"];
    get(&path).exits(0);
    get(&[&path[..], &["--allow-missing-template-keys=false"]].concat()).exits(2).says("nope is not found");
}

#[test]
fn what_a_file_cannot_do_is_answered_with_the_nearest_thing() {
    for (words, nearest) in [
        (&["--watch-only"][..], "--rev"),
        (&["-w=true"], "--rev"),
        (&["--output-watch-events"], "--rev"),
        (&["--raw", "/api/v1/pods"], "etcdsnap value"),
        (&["--template={{.kind}}"], "jsonpath"),
        (&["-o", "go-template={{.kind}}"], "jsonpath"),
        (&["--subresource=status"], "{.status}"),
        (&["--server-print=false"], "custom-columns"),
        (&["--filename", "pod.yaml"], "pod/web-1"),
        (&["-k", "."], "pod/web-1"),
        (&["-R"], "pod/web-1"),
        (&["--context", "prod"], "-n"),
        (&["--kubeconfig=/x"], "-n"),
        (&["-o", "kyaml"], "-o yaml"),
    ] {
        get(&[&["pods"], words].concat()).refuses(2).says(nearest);
    }
}

#[test]
fn a_version_that_a_type_does_not_have_is_told() {
    get(&["deployments.v9.apps"])
        .refuses(1)
        .says("no deployments.apps in version \"v9\"")
        .says("v1, v1beta2");
    get(&["widgets.v7.example.com"]).refuses(1).says("stored is v1");
    get(&["deployments.v1.apps", "-A", "-o", "name"]).exits(0).says("deployment.apps/web");
    let older = get(&["deploy.v1beta1.apps", "-A", "-ojson"]).exits(0);
    assert_eq!(older.json()["items"][0]["apiVersion"], "apps/v1");
    assert!(older.err.contains("in the version they are stored in: apps/v1"), "{}", older.err);
}

#[test]
fn what_is_to_be_hidden_is_named_as_to_kubectl_and_counted() {
    let hidden = |words: &[&str]| {
        let answer = get(&[&["-ojson"], words].concat()).exits(0);
        assert!(answer.text().contains("redacted"), "{words:?}: {}", answer.text());
        answer
    };
    hidden(&["secrets", "-A", "--redact"]).says("redacted: 2 secrets\n");
    for typed in ["cm", "configmaps", "ConfigMap", "configmaps.v1."] {
        hidden(&["cm", "-n", "shop", &format!("--redact={typed}")]).says("redacted: 1 configmaps\n");
    }
    for typed in ["wd", "widgets", "widget.example.com", "Widget", "gadgets", "widgets.v1.example.com"] {
        hidden(&["wd", "-n", "shop", &format!("--redact={typed}")]).says("redacted: 2 widgets.example.com\n");
    }
    hidden(&["cm,secrets", "-n", "shop", "--redact=cm,wd"]).says("redacted: 1 configmaps, 2 secrets\n");
    get(&["cm", "-A", "--redact=confgimaps"]).refuses(1).says("did you mean configmaps");
    get(&["cm", "-A", "--redact=widgetz"]).refuses(1).says("widgets");
    export(&["-n", "shop", "--redact=wd", "-ojsonl"])
        .exits(0)
        .says("redacted: 2 secrets, 2 widgets.example.com\n");
    export(&["-n", "shop", "--redact=widgetz"]).refuses(1);
}

#[test]
fn a_type_behind_redact_is_never_mistaken() {
    // A name cannot be asked for in all namespaces, nor with a selector.
    get(&["cm", "-A", "-ojson", "--redact", "cm"]).exits(0).says("redacted: 19 configmaps");
    get(&["cm", "-n", "shop", "-l", "!a", "-ojson", "--redact", "configmaps"])
        .exits(0)
        .says("redacted: 1 config");
    // It could be the name of one.
    get(&["cm", "-n", "shop", "--redact", "cm"]).refuses(2).says("--redact=cm");
    get(&["--redact", "wd", "-A"]).refuses(2).says("--redact=wd");
    export(&["--redact", "configmaps"]).refuses(2).says("--redact=configmaps");
    // What can only be asked for is no type to be hidden.
    get(&["pod", "-n", "shop", "-o", "name", "--redact", "web-1"]).exits(0).says("pod/web-1");
    get(&["--redact", "secrets", "-A", "-ojson"]).exits(0).says("redacted: 2 secrets");
    let file = fixture("k8s-1.35-objects");
    ask(&["get", "--redact", &file, "secrets", "-A", "-ojson"]).exits(0).says("redacted: 2 secrets");
    let map = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"b":"open"}}"#;
    for typed in [&["--redact", "cm"][..], &["--redact=configmaps"], &["--redact", "secrets,cm"]] {
        let answer = ask_with(&[&["decode"], typed].concat(), map).exits(0).says("redacted: 1 ConfigMap");
        assert!(!answer.text().contains("open"));
    }
    ask_with(&["decode", "--redact", "confgimap"], map).refuses(1).says("configmap");
    ask_with(&["decode", "--redact=Widget.example.com"], map).exits(0).says("open");
}

#[test]
fn names_of_encrypted_objects_are_in_their_keys() {
    let file = fixture("k8s-1.35-etcd-3.5-encrypted");
    let names = ask(&["get", &file, "secrets", "-A", "-o", "name"]).exits(0);
    assert_eq!((names.text(), names.err.as_str()), ("secret/db-pass\n", ""));
    assert_eq!(
        ask(&["get", &file, "secret/db-pass", "-n", "shop", "-oname"]).exits(0).text(),
        "secret/db-pass\n"
    );
    // What has to be looked at has to be read.
    ask(&["get", &file, "secrets", "-A", "-o", "name", "-l", "a=b"]).exits(1).says("could not be shown");
}

#[test]
fn an_unknown_kind_is_shown_by_the_numbers_of_its_fields() {
    let message = b"\x0a\x05\x0a\x03box\x12\x03\x08\x96\x01\x1a\x02\xff\xfe";
    let value = unknown("example.com/v3", "Box", message);
    let (_place, file) = store(&[("/registry/example.com/boxes/shop/box", &value)]);
    let expected: Value = serde_json::json!({"1": {"1": "box"}, "2": {"1": 150}, "3": {"base64": "//4="}});
    let shown = ask(&["get", &file, "boxes", "-n", "shop", "-ojson"]).exits(1);
    let object = &shown.json()["items"][0];
    assert_eq!(object["etcdsnap.fields"], expected);
    assert_eq!((&object["kind"], &object["apiVersion"]), (&"Box".into(), &"example.com/v3".into()));
    assert_eq!(object["etcdsnap.reason"], "unknown kind Box of example.com/v3");
    assert!(object["etcdsnap.raw"].is_string());
    ask(&["get", &file, "boxes", "-n", "shop", "-oyaml"])
        .exits(1)
        .says("  etcdsnap.fields:\n    \"1\":\n      \"1\": box\n    \"2\":\n      \"1\": 150\n    \"3\":\n      base64: //4=\n");
    let decoded = ask_with(&["decode", "-ojson"], &value).exits(1).says("fields are shown by their numbers");
    assert_eq!(decoded.json()["etcdsnap.fields"], expected);
    let hidden = ask(&["get", &file, "boxes", "-n", "shop", "-ojson", "--redact=boxes"]).exits(1);
    let object = &hidden.json()["items"][0];
    assert_eq!(object["etcdsnap.fields"], Value::Null);
    assert!(hidden.err.contains("redacted: 1 boxes.example.com"), "{}", hidden.err);
}

#[test]
fn json_that_is_nested_too_deep_is_kept_as_it_is_and_told() {
    let deep = |levels: usize| {
        let nested = [b"[".repeat(levels), b"]".repeat(levels)].concat();
        [
            br#"{"apiVersion":"a.b/v1","kind":"C","metadata":{"name":"x"},"spec":"#.to_vec(),
            nested,
            b"}".to_vec(),
        ]
        .concat()
    };
    // The object itself is one level. The reader of this test gives up earlier.
    ask_with(&["decode"], &deep(127)).exits(0);
    ask_with(&["decode"], &deep(128)).exits(1).says("nested deeper than 128 levels");
    let (whole, deeper, deepest) = (deep(100), deep(128), deep(200_000));
    let (_place, file) = store(&[
        ("/registry/a.b/cs/n/deeper", &deeper),
        ("/registry/a.b/cs/n/deepest", &deepest),
        ("/registry/a.b/cs/n/whole", &whole),
    ]);
    for form in ["json", "yaml", "jsonl", "custom-columns=A:.metadata.name", "wide"] {
        ask(&["get", &file, "cs.a.b", "-n", "n", "-o", form])
            .exits(1)
            .says("2 objects could not be shown: lists and maps nested deeper than 128 levels");
    }
    let shown = ask(&["get", &file, "cs.a.b", "-n", "n", "-ojson"]).exits(1).json();
    let has = |place: usize, key: &str| !shown["items"][place][key].is_null();
    assert_eq!([0, 1, 2].map(|place| has(place, "etcdsnap.raw")), [true, true, false]);
    assert!(has(2, "spec") && has(0, "etcdsnap.reason"));
    ask(&["export", &file, "-ojsonl"]).exits(1).says("nested deeper than 128 levels");
}

#[test]
fn a_namespace_does_not_become_part_of_another() {
    let map =
        |name: &str| format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}}}}"#);
    let (one, two, same) = (map("one"), map("two"), map("same"));
    let (_place, file) = store(&[
        ("/registry/configmaps/a/one", one.as_bytes()),
        ("/registry/configmaps/a/same", same.as_bytes()),
        ("/registry/configmaps/b/same", same.as_bytes()),
        ("/registry/configmaps/b/two", two.as_bytes()),
    ]);
    let export = |words: &[&str]| ask(&[&["export", file.as_str(), "-ojsonl"], words].concat());
    let refused = export(&["--namespace-map", "a=b"]).refuses(2).says("in both there is: configmaps/same");
    assert_eq!(refused.text(), "", "nothing is written");
    let count = |words: &[&str]| export(words).exits(0).text().lines().count();
    assert_eq!(count(&["--namespace-map", "a=b", "-n", "a"]), 2);
    assert_eq!(count(&["--namespace-map", "a=b", "--exclude-namespaces", "b"]), 2);
    // Both have other names then.
    assert_eq!(count(&["--namespace-map", "a=b,b=a"]), 4);
    assert_eq!(count(&["--namespace-map", "a=b,b=c"]), 4);
}

#[test]
fn what_chooses_nothing_is_told() {
    let answer = export(&[
        "--include-namespaces=shop,shpo",
        "--exclude-namespaces=team-*,taem-*",
        "--include-resources=pods,*.apps,*.aps",
        "--exclude-resources=events",
        "--namespace-map=nope=x",
    ])
    .exits(0);
    let warnings: Vec<&str> = answer.err.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(
        warnings,
        [
            "warning: --include-namespaces shpo: nothing fits it",
            "warning: --exclude-namespaces taem-*: nothing fits it",
            "warning: --include-resources *.aps: nothing fits it",
            "warning: --namespace-map: nothing that is written is in namespace nope",
        ]
    );
    export(&["-n", "shop", "--include-namespaces", "team-b"]).exits(2);
}

#[test]
fn an_encrypted_value_is_told_what_opens_it() {
    let file = fixture("k8s-1.35-etcd-3.5-encrypted");
    let value = ask(&["value", &file, "/registry/secrets/shop/db-pass"]).exits(0).out;
    let answer = ask_with(&["decode"], &value).refuses(1);
    assert!(answer.err.contains("--encryption-config") && answer.err.contains("--key"), "{}", answer.err);
    let answer = ask_with(&["decode", "--key", "/registry/secrets/shop/db-pass"], &value).refuses(1);
    assert!(answer.err.contains("--encryption-config"), "{}", answer.err);
    // No header that could be opened, with keys or without.
    ask_with(&["decode"], b"k8s:enc:").refuses(1).says("header is broken");
}
