//! `history`: what became of one key.
#![cfg(feature = "cli")]

mod harness;
mod support;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::{ask, fixture};
use serde_json::{Value as Json, json};
use support::store::{Put, deletion, revision};
use support::{Entry, NO_FREELIST, Pages, bucket, entry, leaf_image, seal, tree_bucket};

/// The objects of `tests/upstream/kubernetes/check.sh`, with what that script did to them.
const OBJECTS: &str = "k8s-1.35-objects";

#[track_caller]
fn asked(file: &str, more: &[&str]) -> harness::Answer {
    ask(&[&["history", file], more].concat())
}

fn writes(answer: &harness::Answer) -> Vec<Json> {
    answer.json()["writes"].as_array().expect("writes").clone()
}

#[test]
fn a_pod_that_was_annotated_three_times_tells_each() {
    let file = fixture(OBJECTS);
    let answer = asked(&file, &["pod/web-1", "-n", "shop", "--patch", "-o", "json"]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    let writes = writes(&answer);
    let steps: Vec<_> = writes
        .iter()
        .flat_map(|write| write["changes"].as_array().expect("changes"))
        .filter(|change| change["path"].as_str().is_some_and(|path| path.starts_with("metadata.annotations")))
        .collect();
    assert_eq!(
        steps,
        [
            &json!({"path": "metadata.annotations", "after": {"step": "1"}}),
            &json!({"path": "metadata.annotations.step", "before": "1", "after": "2"}),
            &json!({"path": "metadata.annotations.step", "before": "2", "after": "3"}),
        ]
    );
    // Each write is what `keys` has at its revision.
    for write in &writes {
        let at = write["revision"].to_string();
        let key = "/registry/pods/shop/web-1";
        let listed = ask(&["keys", &file, key, "--rev", &at, "-o", "jsonl"]);
        let listed: Json = serde_json::from_str(listed.text().lines().next().expect("a key")).expect("JSON");
        assert_eq!(listed["modRevision"], write["revision"]);
        for field in ["createRevision", "version", "valueSize"] {
            assert_eq!(listed[field], write[field], "{field} at {at}");
        }
    }
}

#[test]
fn what_was_deleted_is_told_and_what_came_again_begins_anew() {
    let file = fixture(OBJECTS);
    let deeds = |more: &[&str]| {
        let answer = asked(&file, &[more, &["-o", "json"]].concat());
        assert_eq!(answer.code, Some(0), "{}", answer.err);
        let writes = writes(&answer);
        writes.iter().map(|write| write["what"].as_str().expect("a word").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(deeds(&["configmap", "cm-1", "-n", "team-b"]), ["created", "deleted"]);
    assert_eq!(deeds(&["secret/db-pass", "-n", "shop"]), ["created", "deleted", "created"]);
    assert_eq!(deeds(&["/registry/secrets/shop/db-pass"]), ["created", "deleted", "created"]);
    assert_eq!(deeds(&["--key", "/registry/secrets/shop/db-pass"]), ["created", "deleted", "created"]);
}

#[test]
fn what_never_was_is_a_no_with_a_way_on() {
    let file = fixture(OBJECTS);
    let answer = asked(&file, &["pod/nobody"]);
    assert_eq!((answer.code, answer.text()), (Some(1), ""));
    for part in ["pods nobody in namespace default", "since revision", "carve", "-n names another one"] {
        assert!(answer.err.contains(part), "{}", answer.err);
    }
    let answer = asked(&file, &["/registry/nothing"]);
    assert_eq!(answer.code, Some(1));
    assert!(answer.err.contains("etcdsnap keys FILE PREFIX"), "{}", answer.err);
}

#[test]
fn one_thing_is_asked_for() {
    let file = fixture(OBJECTS);
    for more in [
        &[][..],
        &["pods"],
        &["pods", "a", "b"],
        &["pod/a", "pod/b"],
        &["pods,services", "a"],
        &["/registry/pods/shop/web-1", "-n", "shop"],
        &["pod/a", "--show-secrets"],
        &["--key", "/a", "pod/a"],
    ] {
        assert_eq!(asked(&file, more).code, Some(2), "{more:?}");
    }
    assert_eq!(asked(&file, &["nosuchtype/a"]).code, Some(1));
}

fn secret(password: &str, name: &str) -> Vec<u8> {
    let object = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop", "labels": {"by": name}},
        "data": {"password": STANDARD.encode(password)}
    });
    object.to_string().into_bytes()
}

fn record(key: &[u8], main: i64, version: i64, created: i64, value: &[u8]) -> Entry {
    let kv = Put { key, create: created, modified: main, version, value, lease: 7 };
    entry(revision(main, 0), kv.to_bytes())
}

/// A store in which a Secret, a plain key and a key of odd bytes were changed.
fn made_up(folder: &Path) -> PathBuf {
    let secret_key = b"/registry/secrets/shop/db";
    let mut pages = Pages::new(4096);
    let leaf = pages.place(leaf_image(&[
        record(secret_key, 5, 3, 2, &secret("hunter1", "ann")),
        record(secret_key, 6, 4, 2, &secret("hunter22", "bob")),
        record(b"plain", 7, 1, 7, b"one\x1b[31m"),
        record(b"plain", 8, 2, 7, b"two"),
        record(b"odd\0\xff", 9, 1, 9, b"x"),
        deletion("plain", 10),
        record(secret_key, 11, 5, 2, b"k8s:enc:aescbc:v1:k1:0123456789abcdef"),
    ]));
    let root = pages.place(leaf_image(&[bucket("key", tree_bucket(leaf))]));
    let path = folder.join("made-up.db");
    std::fs::write(&path, seal(pages.finish(root, NO_FREELIST, 8))).expect("written");
    path
}

#[test]
fn values_of_secrets_are_hidden_unless_they_are_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = made_up(folder.path());
    let file = file.to_str().expect("UTF-8");
    let hidden = asked(file, &["secret/db", "-n", "shop", "-p"]);
    let base64 = STANDARD.encode("hunter22");
    assert!(
        hidden.text().contains("~ data.password: \"<redacted 7 bytes>\" -> \"<redacted 8 bytes>\""),
        "{}",
        hidden.text()
    );
    assert!(hidden.text().contains("~ metadata.labels.by: \"ann\" -> \"bob\""), "{}", hidden.text());
    assert!(!hidden.text().contains("hunter") && !hidden.text().contains(&base64), "{}", hidden.text());
    let shown = asked(file, &["secret/db", "-n", "shop", "-p", "--show-secrets"]);
    assert!(shown.text().contains(&base64), "{}", shown.text());
    // One write is encrypted: what it changed is not told.
    for answer in [&hidden, &shown] {
        assert_eq!(answer.code, Some(1));
        assert!(answer.text().contains("! not told: "), "{}", answer.text());
        assert!(answer.err.contains("the changes of 1 write are not told"), "{}", answer.err);
    }
    // Without --patch nothing is left untold.
    assert_eq!(asked(file, &["secret/db", "-n", "shop"]).code, Some(0));
}

#[test]
fn a_value_that_another_write_repeats_stays_hidden() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = |password: &str, annotations: Json| {
        let object = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "db", "namespace": "shop", "annotations": annotations},
            "data": {"password": STANDARD.encode(password)}
        });
        object.to_string().into_bytes()
    };
    let applied = |password: &str| {
        let object = json!({"kind": "Secret", "stringData": {"password": password}}).to_string();
        json!({"kubectl.kubernetes.io/last-applied-configuration": object})
    };
    let key = b"/registry/secrets/shop/db";
    let mut pages = Pages::new(4096);
    let leaf = pages.place(leaf_image(&[
        // What comes later is told before, what was before is told later.
        record(key, 2, 1, 2, &state("hunter1", json!({"next": "will be hunter22"}))),
        record(key, 3, 2, 2, &state("hunter22\n", applied("hunter22"))),
        record(key, 4, 3, 2, &state("sesame", json!({"was": "hunter22", "packed": "aHVudGVyMQ=="}))),
        record(key, 5, 4, 2, &state("sesame", applied("hunter1"))),
    ]));
    let root = pages.place(leaf_image(&[bucket("key", tree_bucket(leaf))]));
    let path = folder.path().join("repeated.db");
    std::fs::write(&path, seal(pages.finish(root, NO_FREELIST, 8))).expect("written");
    let file = path.to_str().expect("UTF-8");
    for format in ["table", "json", "jsonl"] {
        let answer = asked(file, &["secret/db", "-n", "shop", "-p", "-o", format]);
        assert_eq!(answer.code, Some(0), "{}", answer.err);
        for part in ["hunter", "aHVudGVyM", "sesame"] {
            assert!(!answer.text().contains(part), "{part}: {}", answer.text());
        }
        assert!(answer.text().contains("last-applied-configuration"), "{}", answer.text());
        let shown = asked(file, &["secret/db", "-n", "shop", "-p", "--show-secrets", "-o", format]);
        assert!(shown.text().contains("hunter22"), "{}", shown.text());
    }
}

#[test]
fn versions_that_were_compacted_away_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = made_up(folder.path());
    let file = file.to_str().expect("UTF-8");
    let answer = asked(file, &["secret/db", "-n", "shop"]);
    assert!(answer.text().contains("(versions 1 to 2 are not there any more)\n5 "), "{}", answer.text());
    assert!(answer.err.contains("etcdsnap carve FILE"), "{}", answer.err);
    let json = asked(file, &["secret/db", "-n", "shop", "-o", "json"]);
    assert_eq!(writes(&json)[0]["missingVersions"], json!([1, 2]));
}

#[test]
fn a_key_that_is_no_object_is_told_as_text_that_does_nothing_to_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = made_up(folder.path());
    let file = file.to_str().expect("UTF-8");
    let answer = asked(file, &["--key", "plain", "-p"]);
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert!(answer.text().contains("~ (value): \"one\\u001b[31m\" -> \"two\""), "{}", answer.text());
    assert!(!answer.text().contains('\x1b'));
    assert!(answer.text().contains("deleted"));
    let odd = asked(file, &["--key-hex", "6f646400ff", "-o", "json"]);
    let document = odd.json();
    assert_eq!((&document["key"], &document["keyHex"]), (&json!("odd\\x00\\xff"), &json!("6f646400ff")));
}

#[test]
fn past_damage_the_rest_is_told_and_the_answer_is_no() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = made_up(folder.path());
    let mut bytes = std::fs::read(&file).expect("read");
    // The value of the first record no longer has the form of a record.
    let at = bytes.windows(25).position(|part| part == b"/registry/secrets/shop/db").expect("the key");
    bytes[at - 2] = 0xff;
    std::fs::write(&file, &bytes).expect("written");
    let file = file.to_str().expect("UTF-8");
    let refused = asked(file, &["--key", "plain"]);
    assert_eq!((refused.code, refused.text()), (Some(1), ""));
    let rest = asked(file, &["--key", "plain", "--skip-damaged"]);
    assert_eq!(rest.code, Some(1));
    assert_eq!(rest.text().lines().count(), 4, "{}", rest.text());
    assert!(rest.err.contains("damage was skipped"), "{}", rest.err);
}
