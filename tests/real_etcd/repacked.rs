//! What is written anew is what a server makes of the same data, and servers start on
//! it.

use std::path::{Path, PathBuf};

use etcdsnap::bolt::{Db, small_buckets};
use serde_json::{Value, json};

use super::client::Client;
use super::gateway::{Gateway, delete, put};
use super::made_up::enable_auth;
use super::process::{Tools, etcdsnap, run};
use super::server::{Seat, Server, Start};
use super::snapshots::{Fixture, KUBERNETES_OF_3_6, OF_3_4, OF_3_5, OF_3_6, restore};
use super::store::{Store, assert_sound, hashkv, integer, status};

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// The entries of a bucket.
fn bucket(file: &Path, name: &str) -> Entries {
    let bytes = std::fs::read(file).expect("a file");
    let db = Db::open(&bytes).expect("a database");
    let (mut found, report) = small_buckets(&db, &[name.as_bytes()]);
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    let elements = found.remove(name.as_bytes()).unwrap_or_default();
    elements.iter().map(|element| (element.key().to_vec(), element.value().to_vec())).collect()
}

/// Repacks `file`; the new file, and what the answer says.
#[track_caller]
fn repack(file: &Path, name: &str, flags: &[&str]) -> (PathBuf, Value) {
    let out = file.with_file_name(name);
    let paths = [file, &out].map(|path| path.to_str().expect("a path in UTF-8").to_owned());
    let args = ["repack", &paths[0], &paths[1], "-o", "json"];
    let answer = etcdsnap([&args, flags].concat()).expect(0).json();
    (out, answer)
}

/// Upstream's own check of the tree, of the file without its digest.
fn assert_bbolt_accepts(file: &Path) {
    let Some(tools) = Tools::find(&["bbolt".to_owned()]) else { return };
    let bytes = std::fs::read(file).expect("a file");
    let copy = file.with_extension("undigested");
    std::fs::write(&copy, &bytes[..bytes.len() - 32]).expect("a copy");
    let answer = run(tools.command("bbolt").arg("check").arg(&copy)).expect(0);
    assert!(answer.text().contains("OK"), "{}", answer.text());
}

/// Puts, deletions of one key and of several, transactions: some revisions end with a
/// deletion, some with a put. The revision of the last change.
fn fill(server: &Server) -> i64 {
    let mut gateway = Gateway::connect(server.client_address());
    let mut revision = 1;
    for step in 0..400u32 {
        let key = |number: u32| format!("key/{:02}", number % 37);
        let (path, body) = match step % 10 {
            3 => ("kv/deleterange", delete(&key(step * 7), None)),
            7 => ("kv/deleterange", delete(&key(step * 3), Some(&key(step * 3 + 4)))),
            9 => {
                let requests = json!([
                    {"request_delete_range": delete(&key(step), None)},
                    {"request_put": put(&format!("other/{step}"), b"in a transaction", 0)},
                ]);
                ("kv/txn", json!({"success": requests}))
            }
            _ => ("kv/put", put(&key(step * 11), format!("value {step}").as_bytes(), 0)),
        };
        revision = revision.max(gateway.ask(path, &body));
    }
    revision
}

/// A compaction by etcdsnap is that of a server, record by record.
fn compacts_alike(line: &str) {
    let Some(tools) = Tools::of_lines(&[line]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (server, client) = Server::fresh(&tools, line, folder.path(), None);
    let last = fill(&server);
    let mut saved = folder.path().join("saved-0.db");
    client.save_snapshot(&saved);
    let tombstones: Vec<i64> = bucket(&saved, "key")
        .iter()
        .filter(|(key, _)| key.len() == 18)
        .map(|(key, _)| i64::from_be_bytes(key[..8].try_into().expect("eight bytes")))
        .collect();
    // Among them a revision of a deletion, one of a put, and the newest.
    let middle = tombstones[tombstones.len() / 2];
    let put = (middle..last).find(|revision| !tombstones.contains(revision)).expect("a put");
    for (number, at) in [middle, put, last].into_iter().enumerate() {
        let at_text = if at == last { "now".to_owned() } else { at.to_string() };
        let (ours, answer) = repack(&saved, &format!("ours-{number}.db"), &["--compact", &at_text]);
        assert_eq!(answer["compactRevision"], at);
        client.run(&["compact", &at.to_string(), "--physical"]).expect(0);
        let theirs = folder.path().join(format!("saved-{}.db", number + 1));
        client.save_snapshot(&theirs);
        let compact_keys = |file: &Path| -> Entries {
            bucket(file, "meta").into_iter().filter(|(key, _)| key.ends_with(b"CompactRev")).collect()
        };
        assert_eq!(compact_keys(&ours), compact_keys(&theirs));
        // 3.4.23 drops deletions right at the revision, which later releases keep.
        if line != "3.4" {
            assert_eq!(bucket(&ours, "key"), bucket(&theirs, "key"), "compacted at {at}");
        }
        assert_eq!(hashkv(&ours, 0), hashkv(&theirs, 0));
        // At the compact revision itself the server repeats what it had found before.
        if at != last {
            assert_eq!(hashkv(&ours, 0), client.hashkv(last), "compacted at {at}");
        }
        assert_bbolt_accepts(&ours);
        saved = theirs;
    }
    server.kill();
    let (_server, client) = Server::fresh(&tools, line, folder.path(), None);
    // 3.4 refuses to hash at the compact revision.
    if line != "3.4" {
        assert_eq!(hashkv(&folder.path().join("ours-2.db"), 0), client.hashkv(last));
    }
}

#[test]
fn history_is_compacted_as_3_4_does() {
    compacts_alike("3.4");
}

#[test]
fn history_is_compacted_as_3_5_does() {
    compacts_alike("3.5");
}

#[test]
fn history_is_compacted_as_3_6_does() {
    compacts_alike("3.6");
}

#[test]
fn history_is_compacted_as_3_7_does() {
    compacts_alike("3.7");
}

#[test]
fn leases_are_revoked_and_authentication_turned_off_as_a_server_does() {
    for line in ["3.5", "3.6", "3.7"] {
        let Some(tools) = Tools::of_lines(&[line]) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let (server, client) = Server::fresh(&tools, line, folder.path(), None);
        let mut gateway = Gateway::connect(server.client_address());
        let leases = [0x0111_1111_1111_1111i64, 0x0222_2222_2222_2222, 0x0333_3333_3333_3333];
        for id in leases {
            gateway.ask("lease/grant", &json!({"ID": id, "TTL": 100_000}));
        }
        for number in 0..40usize {
            // The second lease has no keys in the end.
            let lease = if number % 3 == 1 { 0 } else { leases[number % 3] };
            gateway.ask("kv/put", &put(&format!("k{:02}", 97 * number % 40), b"v", lease));
        }
        gateway.ask("kv/put", &put("k05", b"no lease any more", 0));
        gateway.ask("kv/put", &put("k06", b"gone", leases[1]));
        gateway.ask("kv/deleterange", &delete("k06", None));
        let client = enable_auth(&client);
        let before = folder.path().join("before.db");
        client.save_snapshot(&before);
        let (ours, answer) = repack(&before, "ours.db", &["--expire-leases", "--disable-auth"]);
        for id in leases {
            client.run(&["lease", "revoke", &format!("{id:x}")]).expect(0);
        }
        client.run(&["auth", "disable"]).expect(0);
        let theirs = folder.path().join("theirs.db");
        client.save_snapshot(&theirs);
        for name in ["key", "lease", "auth", "authUsers", "authRoles"] {
            assert_eq!(bucket(&ours, name), bucket(&theirs, name), "{line}: {name}");
        }
        assert_eq!(hashkv(&ours, 0), hashkv(&theirs, 0));
        assert_eq!(answer["revision"], status(&theirs)["revision"]);
        assert_bbolt_accepts(&ours);
    }
}

/// Restores a file as a cluster of one and starts it.
fn start(tools: &Tools, line: &str, folder: &Path, file: &Path, user: Option<&str>) -> (Server, Client) {
    let seat = Seat::take();
    let (peer_url, data_dir) = (seat.peer_url(), folder.join("n1"));
    let cluster = format!("n1={peer_url}");
    restore(file, "n1", &data_dir, &peer_url, &cluster, &[]);
    let start = Start { line, name: "n1", data_dir: &data_dir, initial_cluster: &cluster, more: &[] };
    Server::start(tools, seat, &start, user)
}

/// Every way to write a database anew, each started and looked at whole.
fn starts(line: &str, fixture: &Fixture) {
    let Some(tools) = Tools::of_lines(&[line]) else { return };
    for (flags, off) in [
        (&["--defrag"][..], false),
        (&["--compact", "now"], false),
        (&["--detach-leases", "--disable-auth"], true),
        (&["--drop-prefix", "/registry/events/", "--drop-prefix", "key-000", "--expire-leases"], false),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("source.db");
        std::fs::copy(fixture.path(), &source).expect("copied");
        let (file, answer) = repack(&source, "repacked.db", flags);
        assert_bbolt_accepts(&file);
        if flags == ["--defrag"] {
            assert_eq!(hashkv(&file, 0), hashkv(&source, 0));
            assert_eq!(status(&file)["hash"], status(&source)["hash"]);
        }
        let revision = integer(&answer["revision"]);
        let user = fixture.user.filter(|_| !off);
        let (server, client) = start(&tools, line, folder.path(), &file, user);
        let found = client.store(None);
        let expected = Store::of_file(&file, 0);
        assert_eq!(expected.entries.len() as u64, answer["liveKeys"].as_u64().expect("a number"));
        // Leases that were kept may end soon after the start.
        if flags.iter().any(|flag| flag.ends_with("-leases")) {
            found.assert_holds(&expected);
            assert_eq!(found.revision, revision);
        } else {
            client.store(Some(revision)).assert_holds(&expected);
        }
        let compacted = answer["compactRevision"].as_i64().unwrap_or(-1);
        if line != "3.4" || compacted < revision {
            assert_eq!(client.hashkv(revision), hashkv(&file, 0), "{flags:?}");
        }
        if compacted > 1 {
            let old = (compacted - 1).to_string();
            let watch = client.run(&["watch", "", "--prefix", "--rev", &old]);
            assert!(watch.stderr.contains("required revision has been compacted"), "{flags:?}: {watch:?}");
        }
        let written = client.put("written-after", "1");
        assert!((revision + 1..=revision + 1 + fixture.short_lived).contains(&written), "{written}");
        client.run(&["compact", &written.to_string(), "--physical"]).expect(0);
        assert_eq!(client.store(None).entries["written-after"].version, 1);
        let saved = folder.path().join("saved.db");
        client.save_snapshot(&saved);
        let findings = etcdsnap(["verify".as_ref(), saved.as_os_str()]).expect(0);
        assert!(findings.text().contains("SOUND"), "{}", findings.text());
        server.stop();
    }
}

#[test]
fn databases_written_anew_start_on_3_4() {
    starts("3.4", &OF_3_4);
}

#[test]
fn databases_written_anew_start_on_3_5() {
    starts("3.5", &OF_3_5);
}

#[test]
fn databases_written_anew_start_on_3_6() {
    starts("3.6", &OF_3_6);
    starts("3.6", &KUBERNETES_OF_3_6);
}

#[test]
fn databases_written_anew_start_on_3_7() {
    starts("3.7", &KUBERNETES_OF_3_6);
}

#[test]
fn a_stopped_member_gives_a_snapshot_and_a_running_one_does_not() {
    for line in ["3.4", "3.5", "3.6", "3.7"] {
        let Some(tools) = Tools::of_lines(&[line]) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let (server, client) = Server::fresh(&tools, line, folder.path(), None);
        let last = fill(&server);
        let data_dir = folder.path().join("fresh");
        let out = folder.path().join("out.db");
        let refused = etcdsnap(["repack".as_ref(), data_dir.as_os_str(), out.as_os_str()]).expect(2);
        assert!(refused.stderr.contains("locked"), "{}", refused.stderr);
        let hash = client.hashkv(last);
        server.stop();
        let (file, answer) = repack(&data_dir, "stopped.db", &[]);
        assert_eq!((integer(&answer["revision"]), hashkv(&file, 0)), (last, hash));
        assert_eq!(answer["wal"]["pending"], 0, "{answer:#}");
        assert_sound(&file, &[]);
    }
}

#[test]
fn writes_that_are_only_in_the_log_of_a_killed_member_are_counted() {
    let Some(tools) = Tools::of_lines(&["3.6"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("fresh");
    // The database is written out every tenth of a second, the log at once; a kill may
    // come just after the former.
    for attempt in 0..20 {
        let (server, client) = Server::fresh(&tools, "3.6", folder.path(), None);
        let mut gateway = Gateway::connect(server.client_address());
        // Other entries than writes (a question about alarms is one) wait for the next
        // write to be noted as applied; so there is one, and time for it to be on disk.
        gateway.ask("kv/put", &put("first", b"v", 0));
        std::thread::sleep(std::time::Duration::from_millis(500));
        for number in 0..30 {
            gateway.ask("kv/put", &put(&format!("k{number}"), b"v", 0));
        }
        server.kill();
        drop(client);
        let (_, answer) = repack(&data_dir, &format!("killed-{attempt}.db"), &[]);
        let pending = integer(&answer["wal"]["pending"]);
        if pending == 0 {
            continue;
        }
        assert_eq!(answer["warnings"][0]["code"], "wal-ahead", "{answer:#}");
        // A restore of the file itself says the same.
        let db = data_dir.join("member/snap/db");
        let args = ["restore".as_ref(), db.as_os_str(), "--skip-hash-check".as_ref(), "--dry-run".as_ref()];
        let target = folder.path().join("restored");
        let more = ["-o".as_ref(), "json".as_ref(), "--data-dir".as_ref(), target.as_os_str()];
        let plan = etcdsnap([&args[..], &more].concat()).expect(0).json();
        let told = plan["warnings"].as_array().expect("warnings").iter();
        let told: Vec<_> = told.filter(|warning| warning["code"] == "wal-ahead").collect();
        assert_eq!(told, [&answer["warnings"][0]]);
        let (_server, client) = Server::fresh(&tools, "3.6", folder.path(), None);
        // Every entry that was not applied is a put, and so one revision.
        assert_eq!(client.store(None).revision, integer(&answer["revision"]) + pending);
        return;
    }
    panic!("the log was never ahead of the database");
}
