//! The first corpus: what the fixtures hold, taken apart for each door.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use etcdsnap::bolt::{Db, leaves_forward, small_bucket};
use etcdsnap::etcd::key_value::KeyValue;
use etcdsnap::etcd::wal::Records;
use etcdsnap::kube::registry_key::{ObjectKey, Prefixes, RegistryKey};
use serde_json::Value as Json;

use crate::support::store::{self, Store, revision};
use crate::support::{self, Entry, Pages, entry, inline_bucket, tree_bucket};

/// Of a kind of thing, this many are enough to begin with.
const FEW: usize = 4;

/// What is known to come to a door.
pub(crate) fn of(door: &str) -> Vec<Vec<u8>> {
    match door {
        "page" => pages(),
        "db" | "verify" | "salvage" | "carve" | "restore" => snapshots(),
        "revision_key" => some(entries_of("key").map(|(key, _)| key).chain(compactions()), 1),
        "key_value" => records(),
        "lease" => entries_of("lease").map(joined).collect(),
        "member" => members(),
        "auth" => ["authUsers", "authRoles", "alarm"].into_iter().flat_map(of_bucket).collect(),
        "raft" => logs().iter().flat_map(|log| messages(log)).chain(snap_files()).collect(),
        "wal" => logs(),
        "snap_file" => snap_files(),
        "envelope" | "object" => values(),
        "json" => custom_resources().chain(texts("json-readings", "in")).collect(),
        "cbor" => cbor(),
        "encryption_config" => encryption_configs(),
        "member_file" => member_files(),
        "words" => words(),
        other => panic!("there is no first corpus for {other:?}"),
    }
}

/// Below `fixtures`, from the crate or from `fuzz` in it.
fn fixture(path: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = if here.ends_with("fuzz") { here.parent().expect("the crate") } else { here };
    root.join("fixtures").join(path)
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below a folder whose names end like that, in order.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![fixture(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// At most a few of each length.
fn some(all: impl Iterator<Item = Vec<u8>>, of_each: usize) -> Vec<Vec<u8>> {
    let mut lengths = BTreeMap::<usize, usize>::new();
    let known: BTreeSet<_> = all.collect();
    let mut enough = |bytes: &Vec<u8>| {
        let count = lengths.entry(bytes.len()).or_default();
        *count += 1;
        *count <= of_each
    };
    known.into_iter().filter(|bytes| enough(bytes)).collect()
}

fn databases() -> Vec<Vec<u8>> {
    files("snapshots", ".db").iter().map(|path| read(path)).collect()
}

/// All entries of a bucket in the real snapshots.
fn entries_of(bucket: &'static str) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    databases().into_iter().flat_map(move |file| {
        let db = Db::open(&file).expect("a fixture");
        let elements: Vec<_> = if bucket == "key" {
            leaves_forward(&db, b"key").flat_map(|leaf| leaf.expect("sound")).collect()
        } else {
            small_bucket(&db, bucket.as_bytes()).0
        };
        elements.iter().map(|element| (element.key().to_vec(), element.value().to_vec())).collect::<Vec<_>>()
    })
}

/// Key and value in one, with the key's length in front.
fn joined((key, value): (Vec<u8>, Vec<u8>)) -> Vec<u8> {
    [&[u8::try_from(key.len()).unwrap_or(u8::MAX)][..], &key, &value].concat()
}

fn of_bucket(name: &'static str) -> impl Iterator<Item = Vec<u8>> {
    entries_of(name).flat_map(|(key, value)| [key, value])
}

fn compactions() -> impl Iterator<Item = Vec<u8>> {
    entries_of("meta").filter(|(key, _)| key.ends_with(b"CompactRev")).map(|(_, value)| value)
}

fn records() -> Vec<Vec<u8>> {
    some(entries_of("key").map(|(_, value)| value).filter(|value| value.len() < 2000), 1)
}

fn members() -> Vec<Vec<u8>> {
    let removed = entries_of("members_removed").map(joined);
    let state = entries_of("meta").filter(|(key, _)| key == b"confState").map(|(_, value)| value);
    entries_of("members").map(|(_, value)| value).chain(state).chain(removed).collect()
}

/// The newest record of some Kubernetes objects, one of each resource.
fn objects(file: &[u8]) -> BTreeMap<Vec<u8>, Entry> {
    let db = Db::open(file).expect("a fixture");
    let prefixes = Prefixes::well_known();
    let mut found = BTreeMap::new();
    for element in leaves_forward(&db, b"key").flat_map(|leaf| leaf.expect("sound")) {
        let Ok(record) = KeyValue::parse(element.value()) else { continue };
        if let RegistryKey::Object(ObjectKey { resource, .. }) = RegistryKey::parse(record.key, &prefixes)
            && element.value().len() < 1200
        {
            found.insert(resource.to_vec(), entry(element.key(), element.value()));
        }
    }
    found
}

/// Stored values of Kubernetes: each resource of each snapshot, plain and encrypted,
/// protobuf, JSON and CBOR.
fn values() -> Vec<Vec<u8>> {
    let value = |entry: Entry| KeyValue::parse(&entry.value).expect("a record").value.to_vec();
    let stored =
        databases().iter().flat_map(|file| objects(file).into_values()).map(value).collect::<Vec<_>>();
    let encrypted = verdicts()["values"].as_array().expect("values").clone();
    let encrypted = encrypted.iter().map(|value| STANDARD.decode(text(value, "stored")).expect("base64"));
    let cbor = cbor().into_iter().take(3 * FEW);
    stored.into_iter().chain(encrypted).chain(cbor).chain(custom_resources().take(3 * FEW)).collect()
}

/// Small snapshots of a few pages: made-up ones in several forms, and one with real
/// objects.
fn snapshots() -> Vec<Vec<u8>> {
    let sample = |records| Store { page_size: 1024, leaf_bytes: 300, ..Store::sample(records) };
    let mut stores = vec![
        sample(14),
        Store { freelist: Some(false), ..sample(9) },
        Store { freelist: Some(true), fan_out: 2, ..sample(12) },
        Store { key_inline: true, ..sample(5) },
        Store { leaf_bytes: 4096, ..sample(40) },
    ];
    for file in databases() {
        let objects: Vec<_> = objects(&file).into_values().collect();
        for some in objects.chunks(12).take(2) {
            stores.push(of_objects(some));
        }
    }
    let mut files: Vec<_> = stores.iter().map(|store| store.build().file).collect();
    // One with a value of several pages, one without its digest.
    let mut large = sample(6);
    large.key.push(store::put("large", 8, 8, 1));
    large.key.last_mut().expect("a record").value = large_value();
    files.push(large.build().file);
    let mut bare = sample(9).build().file;
    bare.truncate(bare.len() - 32);
    files.push(bare);
    files
}

fn large_value() -> Vec<u8> {
    let put = store::Put { key: b"large", create: 8, modified: 8, version: 1, value: &[7; 2500], lease: 0 };
    put.to_bytes()
}

/// A store of these records; what was before the last of them is compacted away.
fn of_objects(records: &[Entry]) -> Store {
    let mut key = records.to_vec();
    key.sort_by(|one, other| one.key.cmp(&other.key));
    let last = key.last().and_then(|last| last.key.get(..8)?.try_into().ok()).map_or(1, i64::from_be_bytes);
    let mut store = Store { key, leaf_bytes: 1500, page_size: 1024, ..Store::sample(0) };
    for name in ["finishedCompactRev", "scheduledCompactRev"] {
        *store.value("meta", name) = revision(last, 0);
    }
    store
}

/// The tree of bucket `key` alone, whose root is page 3.
fn pages() -> Vec<Vec<u8>> {
    let store = Store::sample(14);
    let part = |pages: Pages| pages.finish(3, support::NO_FREELIST, 2)[3 * 1024..].to_vec();
    let empty = || {
        let mut pages = Pages::new(1024);
        pages.stale();
        pages
    };
    let mut leaf = empty();
    leaf.place(support::leaf_image(&store.key[..5]));
    let mut tree = empty();
    let halves = [&store.key[..7], &store.key[7..]];
    tree.place(support::branch_image(&[(halves[0][0].key.clone(), 4), (halves[1][0].key.clone(), 5)]));
    for half in halves {
        tree.place(support::leaf_image(half));
    }
    let mut nested = empty();
    let inner = vec![entry("a", "b")];
    let buckets = [support::bucket("inline", inline_bucket(&inner)), support::bucket("tree", tree_bucket(4))];
    nested.place(support::leaf_image(&buckets));
    nested.place(support::leaf_image(&inner));
    [leaf, tree, nested].map(part).into()
}

fn logs() -> Vec<Vec<u8>> {
    files("restored", "/wal").iter().map(|path| read(path)).collect()
}

fn messages(log: &[u8]) -> Vec<Vec<u8>> {
    Records::new(log).map(|record| record.expect("a sound log").data.to_vec()).collect()
}

fn snap_files() -> Vec<Vec<u8>> {
    files("restored", ".snap").iter().map(|path| read(path)).collect()
}

fn lines(name: &str) -> Vec<Json> {
    let text = String::from_utf8(read(&fixture(&format!("kube/{name}.jsonl")))).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn text<'v>(value: &'v Json, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// A field of every line.
fn texts(file: &str, name: &'static str) -> impl Iterator<Item = Vec<u8>> {
    lines(file).into_iter().map(move |line| text(&line, name).as_bytes().to_vec())
}

fn custom_resources() -> impl Iterator<Item = Vec<u8>> {
    lines("stored-versions").into_iter().map(|line| line["served"].to_string().into_bytes())
}

fn cbor() -> Vec<Vec<u8>> {
    let text = String::from_utf8(read(&fixture("kube/cbor.txt"))).expect("text");
    let digits = text.lines().filter_map(|line| line.split('\t').next());
    let digit = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(pair, 16).expect("hexadecimal")
    };
    let all = digits.map(|line| line.as_bytes().chunks(2).map(digit).collect());
    some(all, FEW)
}

fn verdicts() -> Json {
    serde_json::from_slice(&read(&fixture("reference/encryption/verdicts.json"))).expect("verdicts")
}

fn encryption_configs() -> Vec<Vec<u8>> {
    let verdicts = verdicts();
    let configs = verdicts["configs"].as_array().expect("configurations").iter();
    configs.map(|config| text(config, "text").as_bytes().to_vec()).collect()
}

fn member_files() -> Vec<Vec<u8>> {
    [
        "members:\n- name: n1\n  peerURLs: [https://10.0.0.1:2380]\n- name: n2\n  learner: true\ntoken: t\n",
        r#"{"schemaVersion":1,"members":[{"id":"1","name":"n1","peerURLs":["http://a:1"],"isLearner":false}]}"#,
        r#"{"header":{"cluster_id":1},"members":[{"ID":2,"name":"n1","peerURLs":["http://a:1"],"isLearner":true}]}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

fn words() -> Vec<Vec<u8>> {
    let urls =
        ["http://10.0.0.1:2380,https://h.example:1", "n1=http://10.0.0.1:2380,n2=unix:///a%20b", "1.5Gi"];
    let arguments = lines("select-arguments").into_iter().filter_map(|line| {
        let words: Vec<_> = line["arguments"].as_array()?.iter().filter_map(Json::as_str).collect();
        Some(words.join(" ").into_bytes())
    });
    let mut all: Vec<_> = urls.map(|text| text.as_bytes().to_vec()).into();
    all.extend(texts("select-labels", "selector"));
    all.extend(texts("select-fields", "selector"));
    all.extend(texts("select-jsonpath", "template"));
    all.extend(texts("select-columns", "spec"));
    all.extend(arguments);
    all.sort();
    all.dedup();
    all
}
