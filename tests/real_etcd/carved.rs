//! What real etcd deleted, overwrote and compacted away is found again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::gateway::{Gateway, delete, put};
use super::process::{Tools, etcdsnap};
use super::server::Server;
use super::store::integer;

/// A write that was made.
struct Write {
    key: String,
    revision: i64,
    value: Vec<u8>,
}

/// Values as the objects of an API server look in size and kind: some JSON, some bytes,
/// the largest of several pages. Each is told from all others by its first bytes.
fn value(number: usize, key: &str) -> Vec<u8> {
    let size = [30, 300, 900, 900, 2500, 9000, 20_000][number % 7];
    let name = key.rsplit('/').next().unwrap_or_default();
    let filler: String = (0..size).map(|at| char::from(b'a' + ((at * 7 + number) % 26) as u8)).collect();
    let marker = format!("marker-{number:06}");
    if key.starts_with("/registry/") {
        let kind = if key.contains("/secrets/") { "Secret" } else { "ConfigMap" };
        let data = STANDARD.encode(filler);
        format!(
            r#"{{"kind":"{kind}","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"shop","uid":"{marker}"}},"data":{{"v":"{data}"}}}}"#
        )
        .into_bytes()
    } else {
        format!("{marker}\0\n{filler}").into_bytes()
    }
}

/// The message of a put as protobuf has it, from its key to the end of its value.
fn message(write: &Write, create: i64, version: i64) -> Vec<u8> {
    fn varint(mut number: u64, out: &mut Vec<u8>) {
        while number >= 0x80 {
            out.push(number as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }
    let mut out = vec![0x0a];
    varint(write.key.len() as u64, &mut out);
    out.extend_from_slice(write.key.as_bytes());
    for (tag, number) in [(0x10, create), (0x18, write.revision), (0x20, version)] {
        out.push(tag);
        varint(number as u64, &mut out);
    }
    out.push(0x2a);
    varint(write.value.len() as u64, &mut out);
    out.extend_from_slice(&write.value);
    out
}

fn occurs(haystack: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.starts_with(needle) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

fn carve(file: &Path) -> Vec<Value> {
    let answer = etcdsnap(["carve".as_ref(), file.as_os_str(), "-o".as_ref(), "jsonl".as_ref()]).expect(0);
    let text = answer.text();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn everything_that_is_physically_there_is_found_and_nothing_that_is_alive() {
    for line in ["3.5", "3.6", "3.7"] {
        let Some(tools) = Tools::of_lines(&[line]) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let (server, client) = Server::fresh(&tools, line, folder.path(), None);
        let mut gateway = Gateway::connect(server.client_address());
        let keys: Vec<String> = (0..90)
            .map(|number| match number % 3 {
                0 => format!("/registry/secrets/shop/s{number}"),
                1 => format!("/registry/configmaps/shop/c{number}"),
                _ => format!("app/k{number}"),
            })
            .collect();
        let mut writes: Vec<(Write, i64, i64)> = Vec::new();
        let mut lives: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        let mut newest: BTreeMap<String, i64> = BTreeMap::new();
        for round in 0..6usize {
            for step in 0..60usize {
                let number = round * 60 + step;
                let key = keys[(number * 37 + round * 11) % keys.len()].clone();
                let value = value(number, &key);
                let revision = gateway.ask("kv/put", &put(&key, &value, 0));
                let life = lives.entry(key.clone()).or_insert((revision, 0));
                life.1 += 1;
                newest.insert(key.clone(), revision);
                writes.push((Write { key, revision, value }, life.0, life.1));
            }
            let mut revision = 0;
            for step in 0..8usize {
                let key = &keys[(round * 17 + step * 5) % keys.len()];
                revision = gateway.ask("kv/deleterange", &delete(key, None));
                lives.remove(key);
                newest.remove(key);
            }
            gateway.ask("kv/compaction", &json!({"revision": revision.to_string(), "physical": true}));
        }
        let file = folder.path().join("saved.db");
        client.save_snapshot(&file);
        server.stop();

        let bytes = std::fs::read(&file).expect("a snapshot");
        let mut found: BTreeMap<(String, i64), Vec<Value>> = BTreeMap::new();
        for item in carve(&file) {
            if item["kind"] == "put" {
                let key = item["key"].as_str().expect("a key").to_owned();
                found.entry((key, integer(&item["modRevision"]))).or_default().push(item);
            }
        }
        let (mut there, mut missed) = (0, Vec::new());
        for (write, create, version) in &writes {
            let items = found.get(&(write.key.clone(), write.revision));
            if newest.get(&write.key) == Some(&write.revision) {
                assert!(items.is_none(), "etcd {line}: {}@{} is alive", write.key, write.revision);
                continue;
            }
            if !occurs(&bytes, &message(write, *create, *version)) {
                continue;
            }
            there += 1;
            let expected = if newest.contains_key(&write.key) { "compacted" } else { "deleted" };
            let is_whole = |item: &Value| {
                let same = match item["object"]["metadata"]["uid"].as_str() {
                    Some(uid) => write.value.windows(uid.len()).any(|part| part == uid.as_bytes()),
                    None => {
                        STANDARD.decode(item["value"].as_str().unwrap_or_default()).ok().as_ref()
                            == Some(&write.value)
                    }
                };
                same && item["missingBytes"].is_null()
                    && item["relation"] == expected
                    && item["valueSize"] == write.value.len()
            };
            if !items.is_some_and(|items| items.iter().any(is_whole)) {
                missed.push(format!("{}@{}: {items:?}", write.key, write.revision));
            }
        }
        assert!(
            missed.is_empty(),
            "etcd {line}: of {there} that are there {} were missed: {missed:#?}",
            missed.len()
        );
        assert!(there >= 40, "etcd {line} left {there} of {} values behind", writes.len());
        println!("etcd {line}: {there} of {there} values found");
        // Nothing is made up: what is said to be whole was written.
        let written: BTreeSet<(String, i64)> =
            writes.iter().map(|(write, ..)| (write.key.clone(), write.revision)).collect();
        for place in found.keys() {
            assert!(written.contains(place), "etcd {line}: {place:?} was never written");
        }
    }
}

#[test]
fn a_former_member_and_a_former_user_are_found() {
    let line = "3.6";
    let Some(tools) = Tools::of_lines(&[line]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (server, client) = Server::fresh(&tools, line, folder.path(), None);
    let mut there = 0;
    for round in 0..4 {
        let (user, role) = (format!("alice{round}"), format!("reader{round}"));
        // An id follows from the URL and the second, and is never taken again.
        let url = format!("--peer-urls=http://127.0.0.1:{}", round + 1);
        let added = client.ask(&["member", "add", "second", &url, "--learner"]);
        let id = added["member"]["ID"].as_u64().expect("an id");
        client.ask(&["user", "add", &format!("{user}:password")]);
        client.ask(&["role", "add", &role]);
        client.ask(&["role", "grant-permission", &role, "read", "/app/", "--prefix=true"]);
        let member = format!("{id:x}");
        // What only an entry holds: its key with the start of its value behind it. Of a role that start
        // is all that is sure, for what it permits comes later and may be in a commit of its own.
        let removals: [(&str, &str, String, &[&str]); 3] = [
            ("member", &member, format!("{member}{{\"id\":{id},"), &["member", "remove", &member]),
            ("user", &user, format!("{user}\x0a\x06{user}\x12\x3c$2a$"), &["user", "delete", &user]),
            ("role", &role, format!("{role}\x0a\x07{role}"), &["role", "delete", &role]),
        ];
        for (kind, key, bytes, command) in removals {
            client.ask(command);
            // At once: of so small a database the next few commits leave nothing.
            let file = folder.path().join(format!("{kind}{round}.db"));
            client.save_snapshot(&file);
            let found = carve(&file);
            let is_found = found
                .iter()
                .any(|item| item["type"] == kind && item["key"] == key && item["relation"] == "deleted");
            let is_there = occurs(&std::fs::read(&file).expect("a snapshot"), bytes.as_bytes());
            assert_eq!(is_found, is_there, "{kind}: {found:?}");
            there += usize::from(is_there);
        }
    }
    server.stop();
    assert!(there > 0, "etcd left nothing behind");
    println!("{there} of 12 former members, users and roles were there, and found");
}
