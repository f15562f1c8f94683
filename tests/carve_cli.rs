//! `carve`, the command: its forms of output, its files, and what it hides.
#![cfg(feature = "cli")]

mod harness;
mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::{Untouched, ask, fixture, tree};
use serde_json::{Value as Json, json};
use support::store::{Put, deletion, put, revision};
use support::{Entry, NO_FREELIST, Pages, bucket, entry, inline_bucket, leaf_image, seal, tree_bucket};

fn object(kind: &str, name: &str, data: &str) -> Vec<u8> {
    let value = STANDARD.encode(data);
    let object = json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {"name": name, "namespace": "shop"}, "data": {"v": value}
    });
    object.to_string().into_bytes()
}

fn record(key: &str, main: i64, value: &[u8]) -> Entry {
    let kv = Put { key: key.as_bytes(), create: main, modified: main, version: 1, value, lease: 0 };
    entry(revision(main, 0), kv.to_bytes())
}

const SECRET: &str = "/registry/secrets/shop/db";

/// A Secret that was changed, a ConfigMap that was deleted, a key of another program.
fn made_up(folder: &Path) -> PathBuf {
    let mut pages = Pages::new(4096);
    let old = [
        record(SECRET, 5, &object("Secret", "db", "old password")),
        record("/registry/configmaps/shop/app", 6, &object("ConfigMap", "app", "settings")),
        deletion("/registry/configmaps/shop/app", 7),
        record("evil\x1b[31m\n", 8, b"plain\x1b[0m"),
    ];
    pages.place(leaf_image(&old));
    let cut = pages.place(leaf_image(&[
        put("filler", 3, 3, 1),
        record("/registry/secrets/shop/cut", 4, &object("Secret", "cut", &"cut password".repeat(600))),
    ]));
    pages.overwrite(cut + 1, leaf_image(&[put("other", 3, 3, 1)]));
    let leaf = pages.place(leaf_image(&[record(SECRET, 9, &object("Secret", "db", "new password"))]));
    let names = [bucket("key", tree_bucket(leaf)), bucket("members", inline_bucket(&[]))];
    let root = pages.place(leaf_image(&names));
    let path = folder.join("made-up.db");
    fs::write(&path, seal(pages.finish(root, NO_FREELIST, 8))).expect("written");
    path
}

fn asked(file: &Path, more: &[&str]) -> harness::Answer {
    ask(&[&["carve", file.to_str().expect("a path")], more].concat())
}

fn lines(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn the_table_names_each_find_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = made_up(folder.path());
    let before = Untouched::of(&file);
    let answer = asked(&file, &[]).exits(0).says("2 values of Secrets").says("6 deleted, 1 compacted");
    let words: Vec<Vec<&str>> = answer.text().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0][..6], ["REVISION", "WHAT", "SURE", "TYPE", "NAMESPACE", "NAME"]);
    let starts: Vec<_> = words[1..].iter().map(|row| row[..6].join(" ")).collect();
    assert!(starts.contains(&"5 compacted whole secrets shop db".to_owned()), "{starts:#?}");
    assert!(starts.contains(&"6 deleted whole configmaps shop app".to_owned()), "{starts:#?}");
    assert!(starts.contains(&"4 deleted fragment secrets shop cut".to_owned()), "{starts:#?}");
    assert!(starts.contains(&"8 deleted whole (key) - evil\\x1b[31m\\n".to_owned()), "{starts:#?}");
    assert!(!answer.text().contains('\x1b') && !answer.err.contains('\x1b'));
    assert_eq!(before, Untouched::of(&file));
}

#[test]
fn types_names_namespaces_and_prefixes_choose() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = made_up(folder.path());
    let keys = |more: &[&str]| -> Vec<String> {
        let answer = asked(&file, &[&["-o", "jsonl"], more].concat()).exits(0);
        lines(answer.text()).iter().map(|line| line["key"].as_str().expect("a key").to_owned()).collect()
    };
    assert_eq!(keys(&["secret"]), ["/registry/secrets/shop/cut", SECRET]);
    assert_eq!(keys(&["secrets,cm", "db"]), [SECRET]);
    assert_eq!(keys(&["cm", "-n", "other"]), [""; 0]);
    assert_eq!(keys(&["--prefix", "/registry/c", "-n", "shop"]).len(), 2);
    let nothing = asked(&file, &["pods"]).exits(0);
    assert!(nothing.err.contains("found nothing of that"), "{}", nothing.err);
}

#[test]
fn yaml_is_a_stream_of_objects_below_their_provenance() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = made_up(folder.path());
    let answer = asked(&file, &["-o", "yaml", "secrets", "db"]).exits(0);
    let text = answer.text();
    let start = format!("# {SECRET}, revision 5: compacted\n# whole; page 2, offset 0x");
    assert!(text.starts_with(&start), "{text}");
    assert!(text.contains("; 1 copy\napiVersion: v1\n"), "{text}");
    assert!(
        text.contains(&STANDARD.encode("old password")) && text.contains("resourceVersion: \"5\""),
        "{text}"
    );
    let all = asked(&file, &["-o", "yaml"]).exits(0);
    let documents: Vec<_> = all.text().split("---\n").collect();
    assert_eq!(documents.len(), 6, "{}", all.text());
    assert!(documents.iter().all(|document| document.starts_with("# ")), "{}", all.text());
    assert!(!all.text().contains('\x1b'));
}

#[test]
fn what_is_to_be_hidden_is_in_no_form_of_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = made_up(folder.path());
    let secrets = [STANDARD.encode("old password"), STANDARD.encode("cut password")];
    let pieces: Vec<&str> = secrets.iter().map(|secret| &secret[..12]).collect();
    let directory = folder.path().join("out");
    for form in [&["-o", "yaml"][..], &["-o", "jsonl"], &["--out-dir", directory.to_str().expect("a path")]] {
        let answer = asked(&file, &[form, &["--redact"]].concat()).exits(0);
        let mut all = answer.text().to_owned();
        for name in tree(&directory_if_there(&directory)).iter().map(|line| first_word(line)) {
            if let Ok(text) = fs::read(directory.join(name)) {
                all.push_str(&String::from_utf8_lossy(&text));
            }
        }
        for line in all.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok()) {
            let value = STANDARD.decode(line["value"].as_str().unwrap_or_default()).expect("base64");
            let value = String::from_utf8_lossy(&value).into_owned();
            assert!(pieces.iter().all(|piece| !value.contains(piece)), "{line}");
        }
        assert!(pieces.iter().all(|piece| !all.contains(piece)), "{form:?}: {all}");
    }
}

fn directory_if_there(directory: &Path) -> PathBuf {
    fs::create_dir_all(directory).expect("a directory");
    directory.to_owned()
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

#[test]
fn files_are_written_with_an_index_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = made_up(folder.path());
    let directory = folder.path().join("out");
    let out = directory.to_str().expect("a path");
    let answer = asked(&file, &["--out-dir", out]).exits(0);
    assert_eq!(answer.text(), "");
    let index = fs::read_to_string(directory.join("_index.jsonl")).expect("an index");
    let index = lines(&index);
    // The deletion has no value, and is in the index all the same.
    assert_eq!(index.len(), 7);
    assert_eq!(index.iter().filter(|line| line["file"].is_null()).count(), 1);
    for line in &index {
        let Some(name) = line["file"].as_str() else { continue };
        let path = directory.join(name);
        assert_eq!(fs::metadata(&path).expect(name).mode() & 0o777, 0o600, "{name}");
        assert!(fs::read(&path).expect(name).len() > 5, "{name}");
    }
    let secret = index.iter().find(|line| line["key"] == SECRET).expect("the Secret");
    assert_eq!(secret["file"], "shop/secrets/db.r5.yaml");
    assert_eq!((&secret["offset"], &secret["page"]), (&json!(8192 + 16 + 4 * 16), &json!(2)));
    let plain = index.iter().find(|line| line["type"] == "key" && line["modRevision"] == 8).expect("the key");
    assert_eq!(
        fs::read(directory.join(plain["file"].as_str().expect("a file"))).expect("there"),
        b"plain\x1b[0m"
    );
    asked(&file, &["--out-dir", out]).refuses(2).says("is not empty");
}

#[test]
fn a_real_backup_without_metas_still_gives_up_its_objects() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bytes = fs::read(fixture("k8s-1.35-objects")).expect("a fixture");
    bytes[..80].fill(0xEE);
    bytes[4096..4176].fill(0xEE);
    let path = folder.path().join("broken.db");
    fs::write(&path, bytes).expect("written");
    let answer =
        asked(&path, &["pods", "-n", "shop", "-o", "jsonl"]).exits(0).says("the whole file was searched");
    let pods: Vec<Json> = lines(answer.text());
    // What the API server answered when it was asked.
    let recorded = harness::recorded("reference/kubectl/k8s-1.35-objects/json/pods.json");
    let served: Json = serde_json::from_str(&recorded).expect("JSON");
    let mut compared = 0;
    for pod in served["items"].as_array().expect("pods") {
        if pod["metadata"]["namespace"] != "shop" {
            continue;
        }
        let name = &pod["metadata"]["name"];
        let version = &pod["metadata"]["resourceVersion"];
        let found = pods.iter().find(|found| {
            &found["object"]["metadata"]["name"] == name
                && &found["object"]["metadata"]["resourceVersion"] == version
        });
        let found = found.unwrap_or_else(|| panic!("{name} at {version}"));
        assert_eq!(found["object"]["spec"], pod["spec"], "{name}");
        compared += 1;
    }
    assert_eq!(compared, 4);
}

#[test]
fn what_is_no_database_is_refused_with_a_way_to_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in [("empty", &b""[..]), ("packed.gz", b"\x1f\x8b\x08....")] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("written");
        asked(&path, &[]).refuses(1);
    }
    asked(&folder.path().join("absent"), &[]).refuses(2);
    let directory = folder.path().join("never");
    asked(&folder.path().join("packed.gz"), &["--out-dir", directory.to_str().expect("a path")]).refuses(1);
    assert!(!directory.exists());
}

#[test]
fn a_type_that_there_is_not_is_refused_and_one_that_was_not_found_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = made_up(folder.path());
    asked(&file, &["nosuchtype"]).exits(1).says("there is no resource type \"nosuchtype\"");
    for known in ["pods", "member", "key", "secrets,user"] {
        asked(&file, &[known]).exits(0);
    }
    // A type of which nothing was found, but that is alive.
    let alive = fixture("k8s-1.35-objects");
    let rows = ask(&["list", &alive, "-A", "-o", "name"]).exits(0);
    let custom =
        rows.text().lines().filter_map(|line| line.split('/').next()).find(|name| name.contains(".example"));
    if let Some(custom) = custom {
        ask(&["carve", &alive, custom]).exits(0);
    }
}

#[test]
fn of_what_holds_nothing_of_etcd_it_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("noise");
    let noise: Vec<u8> = (0..100_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for bytes in [noise, vec![0; 70_000]] {
        fs::write(&file, bytes).expect("written");
        asked(&file, &[]).exits(1).says("there is nothing of etcd in it");
    }
}
