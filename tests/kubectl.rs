//! `get` against what kubectl said of the same cluster just before its snapshot
//! was taken: every resource, as tables, YAML and JSON.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Answer, ask, fixture, fixtures};
use serde_json::Value;

/// Snapshots with recorded answers.
const RECORDED: [&str; 3] = ["k8s-1.35-etcd-3.6", "k8s-1.35-etcd-3.5-encrypted", "k8s-1.35-objects"];

/// In which forms a resource can be compared.
fn forms(resource: &str) -> &'static [&'static str] {
    match resource {
        // Asked of the components and not stored; stored as core events.
        "componentstatuses" | "events.events.k8s.io" => &[],
        // Renewed between answer and snapshot.
        "leases.coordination.k8s.io" => &["table", "wide"],
        _ => &["table", "wide", "yaml", "json"],
    }
}

fn answers(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference/kubectl").join(name)
}

fn said(name: &str, form: &str, resource: &str) -> Option<String> {
    let ending = match form {
        "yaml" | "json" => form,
        _ => "txt",
    };
    fs::read_to_string(answers(name).join(form).join(format!("{resource}.{ending}"))).ok()
}

/// Asks for a resource of all namespaces, at the time of the recording.
fn get(name: &str, resource: &str, options: &[&str]) -> Answer {
    let now = fs::read_to_string(answers(name).join("recorded-at")).expect("a time");
    let (file, keys) = (fixture(name), fixtures().join("snapshots/encryption-config.yaml"));
    let mut args = vec!["get", &file, resource, "-A", "--now", now.trim()];
    let keys = keys.to_str().expect("a path");
    if name.ends_with("encrypted") {
        args.extend(["--encryption-config", keys]);
    }
    args.extend(options);
    ask(&args)
}

/// A table whose ages are hidden: they went on while the answers were recorded,
/// and the width of their columns with them.
fn masked(table: &str) -> Vec<Vec<String>> {
    let is_age = |word: &str| {
        let word = word.trim_start_matches('(');
        let units = word.chars().filter(|c| "smhdy".contains(*c)).count();
        (1..=2).contains(&units)
            && word.starts_with(|c: char| c.is_ascii_digit())
            && word.ends_with(|c| "smhdy".contains(c))
            && word.chars().all(|c| c.is_ascii_digit() || "smhdy".contains(c))
    };
    let word = |word: &str| if is_age(word) { "AGE".to_owned() } else { word.to_owned() };
    table.lines().map(|line| line.split_whitespace().map(word).collect()).collect()
}

#[test]
fn get_prints_what_kubectl_printed() {
    let mut compared = 0;
    for name in RECORDED {
        let resources = fs::read_to_string(answers(name).join("resources.txt")).expect("a list");
        for resource in resources.lines() {
            for form in forms(resource) {
                let Some(said) = said(name, form, resource) else { continue };
                let options: &[&str] = match *form {
                    "table" => &[],
                    "wide" => &["-o", "wide"],
                    "yaml" => &["-o", "yaml", "--show-managed-fields"],
                    _ => &["-o", "json"],
                };
                let answer = get(name, resource, options).exits(0);
                if matches!(*form, "yaml" | "json") {
                    assert_eq!(answer.text(), said, "{name} {resource} {form}");
                } else {
                    assert_eq!(masked(answer.text()), masked(&said), "{name} {resource} {form}");
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 450, "{compared} answers");
}

#[test]
fn names_namespaces_and_selectors_choose_as_kubectl_does() {
    let file = fixture("k8s-1.35-objects");
    let names = |args: &[&str]| -> Vec<String> {
        let args = [&["get", file.as_str()], args, &["-o", "name"]].concat();
        ask(&args).exits(0).text().lines().map(str::to_owned).collect()
    };
    assert_eq!(names(&["pods", "-n", "team-b"]), ["pod/gated", "pod/leaving"]);
    assert_eq!(names(&["pod", "web-2", "web-1", "-n", "shop"]), ["pod/web-2", "pod/web-1"]);
    assert_eq!(names(&["pod/web-1", "svc/db", "-n", "shop"]), ["pod/web-1", "service/db"]);
    assert_eq!(names(&["po", "-A", "-l", "app in (web),track!=canary"]), ["pod/web-1"]);
    assert_eq!(
        names(&["po", "-A", "-l", "!app", "--field-selector", "status.phase=Running"]),
        ["pod/crashing"]
    );
    assert_eq!(names(&["wd", "-A", "--field-selector", "spec.size=2"]), ["widget.example.com/w2"]);
    assert_eq!(names(&["gadgets", "-n", "team-b"]), ["widget.example.com/w3"]);
    assert_eq!(names(&["planets"]), ["planet.space.example.com/mars"]);
    let sorted = names(&["po", "-n", "shop", "--sort-by", ".status.containerStatuses[0].restartCount"]);
    assert_eq!(sorted, ["pod/web-2", "pod/done", "pod/web-1", "pod/crashing"]);
    ask(&["get", &file, "pods", "-w"]).refuses(2).says("a file does not change");
    ask(&["get", &file, "pod", "web-1", "-A"]).refuses(2);
    ask(&["get", &file, "depolyments"]).refuses(1).says("deployments");
    ask(&["get", &file, "pods"]).exits(0).says("No resources found in default namespace.");
    ask(&["get", &file, "pod", "nope"]).exits(1).says("not found");
    ask(&["get", &file, "pod", "nope", "--ignore-not-found"]).exits(0);
    ask(&["get", &file, "componentstatuses"]).exits(1).says("not stored in etcd");
}

#[test]
fn paths_and_columns_of_the_users_own() {
    let file = fixture("k8s-1.35-objects");
    let get = |args: &[&str]| ask(&[&["get", file.as_str()], args].concat()).exits(0).text().to_owned();
    let names =
        get(&["wd", "-A", "-o", "jsonpath={range .items[*]}{.metadata.name}={.spec.size}{\"\\n\"}{end}"]);
    assert_eq!(names, "w1=1\nw2=2\nw3=\n");
    assert_eq!(get(&["wd", "w1", "-n", "shop", "-o", "jsonpath={.spec.tags[*]}"]), "a b");
    assert_eq!(
        get(&["wd", "-A", "-o", "custom-columns=NAME:.metadata.name,SIZE:.spec.size"]),
        "NAME   SIZE\nw1     1\nw2     2\nw3     <none>\n"
    );
    // kubectl puts the objects of all types into one list, so they are one table.
    assert_eq!(
        get(&["secret,wd", "-n", "shop", "-o", "custom-columns=NAME:.metadata.name,KIND:.kind"]),
        "NAME      KIND\ndb-pass   Secret\nweb-tls   Secret\nw1        Widget\nw2        Widget\n"
    );
    let labels = get(&[
        "pods",
        "-n",
        "shop",
        "-L",
        "track",
        "--show-labels",
        "--no-headers",
        "--sort-by=.metadata.name",
    ]);
    let last = labels.lines().last().expect("a row");
    assert!(last.ends_with("canary   app=web,track=canary"), "{last}");
    let lines = get(&["pods", "-A", "-o", "jsonl"]);
    let objects: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(objects.len(), 6);
}

#[test]
fn what_cannot_be_shown_is_told_and_not_dropped() {
    let file = fixture("k8s-1.35-etcd-3.5-encrypted");
    let table = ask(&["get", &file, "secrets", "-A"]).exits(1).says("1 object could not be shown");
    assert!(table.text().contains("<encrypted with aescbc, key key1"), "{}", table.text());
    let secrets = ask(&["get", &file, "secrets", "-A", "-o", "json"]).exits(1).json();
    let secret = &secrets["items"][0];
    assert_eq!(secret["kind"], "Secret");
    assert_eq!(secret["metadata"]["name"], "db-pass");
    assert!(secret["etcdsnap.raw"].as_str().is_some_and(|raw| raw.starts_with("azhzOmVuYzphZXNjYmM6")));
    assert!(secret["etcdsnap.reason"].as_str().is_some_and(|why| why.contains("aescbc")));
}

#[test]
fn secrets_can_be_hidden_in_every_form() {
    let file = fixture("k8s-1.35-objects");
    for form in ["yaml", "json", "jsonl", "jsonpath={.items[*].data}", "custom-columns=A:.data"] {
        let get = |more: &[&str]| {
            let args = [&["get", file.as_str(), "secrets", "-n", "shop", "-o", form], more].concat();
            ask(&args).exits(0).text().to_owned()
        };
        assert!(get(&[]).contains("bmV3"), "{form}");
        let hidden = get(&["--redact"]);
        assert!(!hidden.contains("bmV3") && hidden.contains("3 bytes"), "{form}: {hidden}");
    }
}

#[test]
fn a_single_value_is_decoded_from_stdin() {
    let file = fixture("k8s-1.35-objects");
    let value = ask(&["value", &file, "/registry/pods/shop/web-1"]).exits(0).out;
    for end in [&b""[..], b"\n", b"\r\n"] {
        let pod = harness::ask_with(&["decode", "-o", "json"], &[&value, end].concat()).exits(0).json();
        assert_eq!(pod["metadata"]["name"], "web-1");
    }
    harness::ask_with(&["decode"], b"").refuses(1);
    harness::ask_with(&["decode"], b"nonsense").refuses(1);
    let (file, keys) =
        (fixture("k8s-1.35-etcd-3.5-encrypted"), fixtures().join("snapshots/encryption-config.yaml"));
    let (key, keys) = ("/registry/widgets/shop/w1", keys.to_str().expect("a path"));
    let key = if ask(&["value", &file, key]).code == Some(0) {
        key
    } else {
        "/registry/example.com/widgets/shop/w1"
    };
    let value = ask(&["value", &file, key]).exits(0).out;
    harness::ask_with(&["decode"], &value).refuses(1).says("--key");
    let opened =
        harness::ask_with(&["decode", "--key", key, "--encryption-config", keys, "-o", "json"], &value);
    assert_eq!(opened.exits(0).json()["kind"], "Widget");
}

#[test]
fn what_repeats_a_hidden_value_is_hidden_and_what_json_lost_is_told() {
    let secret = br#"{"kind":"Secret","apiVersion":"v1","metadata":{"annotations":{"q":"my secretpass"},
        "labels":{"l":"secretpass"}},"data":{"a":"c2VjcmV0cGFzcw=="}}"#;
    let hidden = harness::ask_with(&["decode", "--redact"], secret).exits(0);
    assert!(!hidden.text().contains("secretpass"), "{}", hidden.text());
    let lossy = b"{\"kind\":\"P\xff\",\"apiVersion\":\"v1\",\"a\":1,\"a\":2}";
    harness::ask_with(&["decode"], lossy).exits(1).says("not UTF-8").says("there twice");
}

#[test]
fn types_are_listed_with_what_there_is_of_them() {
    let file = fixture("k8s-1.35-objects");
    let types = ask(&["api-resources", &file, "-o", "json"]).exits(0).json();
    let of = |name: &str| {
        types["resources"].as_array().expect("a list").iter().find(|of| of["name"] == name).cloned()
    };
    let widgets = of("widgets").expect("widgets");
    assert_eq!((&widgets["objects"], &widgets["apiVersion"]), (&3.into(), &"example.com/v1".into()));
    assert_eq!(of("pods").expect("pods")["objects"], 6);
    assert_eq!(of("podsecuritypolicies"), None);
    ask(&["api-resources", &file, "--all"]).exits(0).says("podpresets");
}

#[test]
fn an_export_is_a_tree_of_files_or_one_stream() {
    let file = fixture("k8s-1.35-objects");
    let place = tempfile::tempdir().expect("a directory");
    let target = place.path().join("out");
    let out_dir = target.to_str().expect("a path");
    let all =
        ask(&["export", &file, "--out-dir", out_dir]).exits(0).says("left out: events").says("kubectl apply");
    assert!(all.out.is_empty());
    let deployment = fs::read_to_string(target.join("shop/deployment.apps/web.yaml")).expect("a manifest");
    assert!(
        deployment.contains("image: nginx:1.27")
            && !deployment.contains("uid:")
            && !deployment.contains("status:")
    );
    let definition =
        target.join("_cluster/customresourcedefinition.apiextensions.k8s.io/widgets.example.com.yaml");
    assert!(
        fs::read_to_string(definition)
            .expect("a definition")
            .starts_with("apiVersion: apiextensions.k8s.io/v1\n")
    );
    ask(&["export", &file, "--out-dir", out_dir]).refuses(2).says("not empty");

    let stream = ask(&["export", &file, "-n", "shop", "-q"]).exits(0);
    let kinds: Vec<&str> = stream.text().lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    let place_of = |kind: &str| kinds.iter().position(|other| *other == kind).expect("a kind");
    assert!(place_of("Namespace") < place_of("ConfigMap") && place_of("ConfigMap") < place_of("Deployment"));
    assert!(!stream.text().contains("team-b"));
    let list =
        ask(&["export", &file, "secrets", "-o", "json", "--namespace-map", "shop=store"]).exits(0).json();
    assert_eq!(list["items"][0]["metadata"]["namespace"], "store");
    let secrets = ask(&["export", &file, "secrets", "--redact"])
        .exits(0)
        .says("Not to be applied")
        .says("<redacted 3 bytes>");
    assert!(!secrets.text().contains("bmV3"));
    ask(&["export", &file, "--keep", "cluster-ip"]).refuses(2).says("cluster-ips");
    ask(&["export", &file, "nonsense"]).refuses(1);
}
