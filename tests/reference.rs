//! Answers against those that upstream's own tools, a running etcd and a real
//! API server gave for the same data: `fixtures/README.md` says how.

mod harness;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use etcdsnap::bolt::{Db, bucket_names, small_bucket};
use etcdsnap::codec::checksum::sha256;
use serde_json::Value;

use harness::{SNAPSHOTS, ask, fixture, recorded};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn status_prints_the_bytes_of_etcdutl_3_6() {
    for name in SNAPSHOTS {
        for format in ["json", "simple", "table", "fields"] {
            let expected = recorded(&format!("reference/status/{name}.{format}"));
            let answer = ask(&["status", "-w", format, &fixture(name)]).exits(0);
            assert_eq!(answer.text(), expected, "{name} {format}");
            assert_eq!(answer.err, "");
        }
    }
}

#[test]
fn the_rich_status_has_the_same_figures() {
    for name in SNAPSHOTS {
        let expected = json(&recorded(&format!("reference/status/{name}.json")));
        let page = ask(&["status", "-o", "json", &fixture(name)]).exits(0).json();
        let hash = expected["hash"].as_u64().expect("a number");
        assert_eq!(page["statusHash"], format!("{hash:08x}"), "{name}");
        assert_eq!(page["revision"], expected["revision"], "{name}");
        assert_eq!(
            page["liveKeys"].as_u64().map(|live| live <= expected["totalKey"].as_u64().unwrap()),
            Some(true)
        );
        assert_eq!(page["digest"], "matches", "{name}");
    }
}

#[test]
fn hashkv_is_that_of_etcdutl_3_7() {
    for name in SNAPSHOTS {
        let expected = recorded(&format!("reference/hashkv/{name}.etcdutl-3.7.1.json"));
        let answer = ask(&["hashkv", "-w", "json", &fixture(name)]).exits(0);
        assert_eq!(json(answer.text()), json(&expected), "{name}");
    }
}

#[test]
fn hashkv_is_what_the_running_servers_answered() {
    for name in ["etcd-3.4", "etcd-3.5", "etcd-3.6"] {
        // The answers of `endpoint status` and `endpoint hashkv`, a line each.
        let lines = recorded(&format!("reference/hashkv/{name}.endpoint.json"));
        let server = json(lines.lines().nth(1).expect("two lines"));
        let server = &server[0]["HashKV"];
        let ours = ask(&["hashkv", "-w", "json", &fixture(name)]).exits(0).json();
        assert_eq!(ours["hash"], server["hash"], "{name}");
        assert_eq!(ours["compactRevision"], server["compact_revision"], "{name}");
        assert_eq!(ours["hashRevision"], server["header"]["revision"], "{name}");
    }
}

#[test]
fn members_are_the_rows_of_etcdctl_member_list() {
    for name in ["etcd-3.4", "etcd-3.5", "etcd-3.6"] {
        let answer = ask(&["members", "-w", "table", &fixture(name)]).exits(0);
        let rows: Vec<&str> = answer.text().lines().skip(3).filter(|line| line.starts_with('|')).collect();
        assert_eq!(
            rows,
            recorded(&format!("reference/members/{name}.txt")).lines().collect::<Vec<_>>(),
            "{name}"
        );
    }
}

#[test]
fn list_counts_what_the_api_server_listed() {
    for name in ["k8s-1.35-etcd-3.5-encrypted", "k8s-1.35-etcd-3.6"] {
        let mut expected = BTreeMap::new();
        for line in recorded(&format!("reference/counts/{name}.txt")).lines() {
            let [resource, namespace, count] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            expected
                .insert((resource.to_owned(), namespace.to_owned()), count.parse::<u64>().expect("a number"));
        }
        let page = ask(&["list", "-o", "json", &fixture(name)]).exits(0).json();
        let mut found = BTreeMap::new();
        let mut internal = Vec::new();
        for row in page["resources"].as_array().expect("a list") {
            let resource = row["resource"].as_str().expect("text").to_owned();
            if row["apiObjects"] == false {
                internal.push(resource);
                continue;
            }
            let namespace = row["namespace"].as_str().unwrap_or("-").to_owned();
            found.insert((resource, namespace), row["count"].as_u64().expect("a number"));
        }
        assert_eq!(found, expected, "{name}");
        assert_eq!(internal, ["masterleases", "ranges"], "{name}");

        // The names that follow are as many as were counted.
        let names = ask(&["list", "-A", "-o", "jsonl", &fixture(name)]).exits(0);
        let all: u64 = expected.values().sum::<u64>() + 2;
        assert_eq!(names.text().lines().count() as u64, all, "{name}");
    }
}

const ONE: [&str; 5] = [
    "--name=node1",
    "--initial-cluster=node1=https://10.20.30.101:2380",
    "--initial-advertise-peer-urls=https://10.20.30.101:2380",
    "--bump-revision=1000000",
    "--mark-compacted",
];
const THREE: [&str; 3] = [
    "--name=node1",
    "--initial-cluster=node1=https://10.20.30.101:2380,node2=https://10.20.30.102:2380,node3=https://10.20.30.103:2380",
    "--initial-advertise-peer-urls=https://10.20.30.101:2380",
];

fn restore(name: &str, flags: &[&str], to: &Path) -> std::path::PathBuf {
    let (file, target) = (fixture(name), to.join("restored"));
    let mut args = vec!["-q", "restore", &file, "--data-dir", target.to_str().expect("UTF-8")];
    args.extend(flags);
    ask(&args).exits(0);
    target.join("member/snap/db")
}

#[test]
fn a_restored_database_has_the_status_hash_of_upstreams() {
    let upstream = json(&recorded("reference/restored-status.json"));
    for (restored, snapshot, flags) in [
        ("etcd-3.5.33-node1", "etcd-3.5", &THREE[..]),
        ("etcd-3.5.33-bump", "etcd-3.5", &ONE),
        ("etcd-3.6.14-node1", "etcd-3.6", &THREE),
        ("etcd-3.6.14-bump", "etcd-3.6", &ONE),
        ("etcd-3.7.1-node1", "etcd-3.6", &THREE),
        ("etcd-3.7.1-bump", "etcd-3.6", &ONE),
    ] {
        let place = tempfile::tempdir().expect("a directory");
        let db = restore(snapshot, flags, place.path());
        let ours = ask(&["status", "-w", "json", db.to_str().expect("UTF-8")]).exits(0).json();
        for figure in ["hash", "revision", "totalKey", "version"] {
            assert_eq!(ours[figure], upstream[restored][figure], "{restored} {figure}");
        }
    }
}

/// Buckets as the recorded listing has them: key and value, long values by digest.
fn listing(db: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let bytes = fs::read(db).expect("a database");
    let db = Db::open(&bytes).expect("a database");
    let (names, faults) = bucket_names(&db);
    assert!(faults.is_empty());
    let mut buckets = BTreeMap::new();
    for name in names {
        let (elements, faults) = small_bucket(&db, &name);
        assert!(faults.is_empty());
        let entry = |value: &[u8]| match value.len() {
            0..=32 => hex(value),
            _ => format!("sha256:{}", hex(&sha256(value))),
        };
        let entries = elements.iter().map(|element| (hex(element.key()), entry(element.value()))).collect();
        buckets.insert(String::from_utf8(name).expect("etcd's names are text"), entries);
    }
    buckets
}

fn recorded_listing(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut buckets = BTreeMap::<String, BTreeMap<String, String>>::new();
    let mut bucket = String::new();
    for line in text.lines() {
        match line.strip_prefix(' ') {
            None => {
                line.clone_into(&mut bucket);
                buckets.insert(bucket.clone(), BTreeMap::new());
            }
            Some(entry) => {
                let (key, value) = entry.split_once(' ').expect("key and value");
                let entries = buckets.get_mut(&bucket).expect("a bucket comes first");
                entries.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    buckets
}

#[test]
fn a_3_4_snapshot_is_restored_as_3_4_does_but_for_the_members() {
    let place = tempfile::tempdir().expect("a directory");
    let mut ours = listing(&restore("etcd-3.4", &THREE, place.path()));
    let mut theirs = recorded_listing(&recorded("reference/restored-etcd-3.4.txt"));
    let mut take = |bucket: &str| {
        let pair = (ours.remove(bucket), theirs.remove(bucket));
        (pair.0.unwrap_or_else(|| panic!("{bucket}")), pair.1.unwrap_or_else(|| panic!("{bucket}")))
    };

    // 3.4 leaves the old members where they are, and the removed ones too; from
    // 3.5 on they are replaced, which is what we do.
    let (members, old_members) = take("members");
    let id = |id: &str| id.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let ids: Vec<_> = members.keys().cloned().collect();
    assert_eq!(ids, [id("11abc49c8f7d2160"), id("61646feeb29fa0bd"), id("d1e1d6a7d887d1fd")]);
    assert_eq!(old_members.len(), 3);
    assert!(old_members.keys().all(|old| !members.contains_key(old)));
    let (removed, old_removed) = take("members_removed");
    assert!(removed.is_empty());
    assert_eq!(old_removed.len(), 1);

    // 3.5 starts the log at term 1 and says so in a key that 3.4 does not know.
    let (mut meta, old_meta) = take("meta");
    assert_eq!(meta.remove(&id("term")).as_deref(), Some("0000000000000001"));
    assert_eq!(meta, old_meta);

    assert_eq!(ours, theirs, "alarm, auth, authRoles, authUsers, cluster, key, lease");
    assert_eq!(ours.len(), 7);
    assert!(ours["key"].len() > 100);
}
