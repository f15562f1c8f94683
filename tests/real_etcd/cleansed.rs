//! etcd starts on a restore that left something out or cleansed it: three members that
//! agree, and with what is expected from the snapshot alone.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::process::{Tools, etcdsnap};
use super::server::{Seat, Server, Start};
use super::snapshots::{Fixture, KUBERNETES_OF_3_6, OF_3_4, OF_3_5, OF_3_6, restore};
use super::store::{Entry, Store, integer};
use super::terminal::Terminal;

/// What is asked for, and what it means for each key.
struct Case {
    flags: &'static [&'static str],
    /// What becomes of a key.
    stays: fn(&str, &Entry) -> bool,
    /// Whether keys lose their lease.
    detached: bool,
    auth_off: bool,
    /// All members by one command.
    all: bool,
}

const DEFRAG: Case =
    Case { flags: &["--defrag"], stays: |_, _| true, detached: false, auth_off: false, all: false };

/// Restores three members; their directories and the answers.
fn three(
    fixture: &Fixture,
    case: &Case,
    folder: &Path,
    cluster: &str,
    members: &[(&str, String)],
) -> Vec<(PathBuf, Value)> {
    if case.all {
        let (file, out) = (fixture.path(), folder.join("all"));
        let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
        let (file, out_text) = (text(&file), text(&out));
        let args = ["restore", &file, "--all-members", "--out-dir", &out_text, "-o", "json"];
        let args = [&args[..], &["--initial-cluster", cluster], case.flags].concat();
        let answer = etcdsnap(args).expect(0).json();
        return members.iter().map(|(name, _)| (out.join(name), answer.clone())).collect();
    }
    let each = members.iter().map(|(name, url)| {
        let data_dir = folder.join(name);
        let answer = restore(&fixture.path(), name, &data_dir, url, cluster, case.flags);
        (data_dir, answer)
    });
    each.collect()
}

fn starts(line: &str, fixture: &Fixture, case: &Case) {
    let Some(tools) = Tools::of_lines(&[line]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let seats = ["n1", "n2", "n3"].map(|name| (name, Seat::take()));
    let members: Vec<_> = seats.iter().map(|(name, seat)| (*name, seat.peer_url())).collect();
    let cluster: Vec<_> = members.iter().map(|(name, url)| format!("{name}={url}")).collect();
    let cluster = cluster.join(",");
    let dry = [case.flags, &["--dry-run"]].concat();
    let plan = restore(&fixture.path(), "n1", &folder.path().join("n1"), &members[0].1, &cluster, &dry);
    let restored = three(fixture, case, folder.path(), &cluster, &members);
    for (_, answer) in &restored {
        assert_eq!(answer["state"], plan["state"]);
        assert_eq!(answer["changes"], plan["changes"]);
    }
    let (revision, before) = (integer(&plan["revisionAfter"]), integer(&plan["revisionBefore"]));

    let user = fixture.user.filter(|_| !case.auth_off);
    let mut servers = Vec::new();
    for ((name, seat), (data_dir, _)) in seats.into_iter().zip(&restored) {
        let start = Start { line, name, data_dir, initial_cluster: &cluster, more: &[] };
        servers.push(Server::spawn(&tools, seat, &start));
    }
    let clients: Vec<_> = servers.iter().map(|server| server.client(&tools, user)).collect();
    for (server, client) in servers.iter_mut().zip(&clients) {
        server.wait_until_healthy(client);
    }

    let snapshot = fixture.store();
    let kept = snapshot.entries.iter().filter(|(key, entry)| (case.stays)(key, entry));
    let kept = kept.map(|(key, entry)| {
        let lease = if case.detached { 0 } else { entry.lease };
        (key.clone(), Entry { lease, ..entry.clone() })
    });
    let expected = Store { revision, entries: kept.collect() };
    let gone = snapshot.entries.len() - expected.entries.len();
    let changes = &plan["changes"];
    let count = |name: &str| changes[name].as_u64().expect("a number") as usize;
    assert_eq!(count("leftOutKeys") + count("keysExpired"), gone, "{changes:#}");
    let compacted = plan["compactRevision"].as_i64().unwrap_or(-1);
    for client in &clients {
        client.store(Some(revision)).assert_holds(&expected);
        // 3.4 refuses to hash at the compact revision.
        if line != "3.4" || compacted < revision {
            assert_eq!(client.hashkv(revision), plan["hashKV"]["hash"], "{:?}", case.flags);
        }
    }
    if compacted == revision {
        let old = (before - 1).to_string();
        let watch = clients[1].run(&["watch", "", "--prefix", "--rev", &old]);
        assert!(watch.stderr.contains("required revision has been compacted"), "{watch:?}");
    }

    let written = clients.iter().map(|client| client.put("written-after", "1")).max().expect("three");
    let allowed = revision + 3..=revision + 3 + fixture.short_lived;
    assert!(allowed.contains(&written), "{written} for {allowed:?}");
    clients[2].run(&["compact", &written.to_string(), "--physical"]).expect(0);
    let last = clients[0].put("written-after", "2");
    for client in &clients {
        assert_eq!(client.store(None).entries["written-after"].version, 4);
        assert_eq!(client.hashkv(last), clients[0].hashkv(last), "{:?}", case.flags);
    }
    let saved = folder.path().join("saved.db");
    clients[0].save_snapshot(&saved);
    let findings = etcdsnap(["verify".as_ref(), saved.as_os_str()]).expect(0);
    assert!(findings.text().contains("SOUND"), "{}", findings.text());
    drop(servers);
    again(&tools, line, &saved, user);
}

/// A second disaster: the source is what was saved from such a restore, bumped or not.
fn again(tools: &Tools, line: &str, saved: &Path, user: Option<&str>) {
    let flags = &["--defrag", "--bump-revision", "auto"];
    let seat = Seat::take();
    let (url, data_dir) = (seat.peer_url(), saved.with_extension("again"));
    let cluster = format!("again={url}");
    let dry = [&flags[..], &["--dry-run"]].concat();
    let plan = restore(saved, "again", &data_dir, &url, &cluster, &dry);
    let done = restore(saved, "again", &data_dir, &url, &cluster, flags);
    assert_eq!(done["state"], plan["state"]);
    let start = Start { line, name: "again", data_dir: &data_dir, initial_cluster: &cluster, more: &[] };
    let mut server = Server::spawn(tools, seat, &start);
    let client = server.client(tools, user);
    server.wait_until_healthy(&client);
    let revision = integer(&plan["revisionAfter"]);
    if line != "3.4" || plan["compactRevision"].as_i64().unwrap_or(-1) < revision {
        assert_eq!(client.hashkv(revision), plan["hashKV"]["hash"]);
    }
}

#[test]
fn cleansed_restores_start_on_3_4() {
    let flags = &[
        "--drop-prefix",
        "plain/key1",
        "--drop-prefix-hex",
        "2f72656769737472792f636f6e6669676d6170732f6e732f6b32",
    ];
    let stays = |key: &str, _: &Entry| {
        !key.starts_with("plain/key1") && !key.starts_with("/registry/configmaps/ns/k2")
    };
    starts("3.4", &OF_3_4, &Case { flags, stays, ..DEFRAG });
    let flags = &["--compact", "now", "--disable-auth"];
    starts("3.4", &OF_3_4, &Case { flags, auth_off: true, all: true, ..DEFRAG });
}

#[test]
fn cleansed_restores_start_on_3_5() {
    let flags = &["--keep-prefix", "plain/", "--keep-prefix", "/leased/", "--expire-leases"];
    let stays = |key: &str, entry: &Entry| key.starts_with("plain/") && entry.lease == 0;
    starts("3.5", &OF_3_5, &Case { flags, stays, ..DEFRAG });
    starts("3.5", &OF_3_5, &Case { all: true, ..DEFRAG });
}

#[test]
fn cleansed_restores_start_on_3_6() {
    let flags = &["--drop-resource", "events,leases", "--exclude-namespaces", "default"];
    let stays = |key: &str, _: &Entry| {
        let dropped = ["/registry/events/", "/registry/leases/"].iter().any(|prefix| key.starts_with(prefix));
        !dropped && !key.contains("/default/") && key != "/registry/namespaces/default"
    };
    starts("3.6", &KUBERNETES_OF_3_6, &Case { flags, stays, all: true, ..DEFRAG });
    let flags = &["--detach-leases", "--bump-revision", "auto"];
    starts("3.6", &OF_3_6, &Case { flags, detached: true, ..DEFRAG });
}

#[test]
fn cleansed_restores_start_on_3_7() {
    let flags = &["--include-namespaces", "kube-system", "--bump-revision", "0"];
    let stays = |key: &str, _: &Entry| {
        ["default", "kube-public", "kube-node-lease", "shop", "team-b"].iter().all(|namespace| {
            !key.contains(&format!("/{namespace}/")) && key != format!("/registry/namespaces/{namespace}")
        })
    };
    starts("3.7", &KUBERNETES_OF_3_6, &Case { flags, stays, ..DEFRAG });
    let flags = &["--expire-leases", "--disable-auth", "--compact", "now"];
    let stays = |_: &str, entry: &Entry| entry.lease == 0;
    starts("3.7", &OF_3_6, &Case { flags, stays, auth_off: true, ..DEFRAG });
}

/// Of password `allmine`, by a test of Go's bcrypt.
const HASH: &str = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga";

/// A restore of all members, of which there is one, that is told the password on a
/// terminal.
fn asked_for(password: &str, file: &Path, folder: &Path, cluster: &str) -> Value {
    let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let (file, out) = (text(file), text(&folder.join("all")));
    let args = ["restore", &file, "--all-members", "--out-dir", &out, "--initial-cluster", cluster];
    let args = [&args[..], &["--reset-root-password", "-o", "json"]].concat();
    let mut terminal = Terminal::new();
    let child = terminal.start(env!("CARGO_BIN_EXE_etcdsnap"), &args);
    for question in ["New password of root: ", "Once more: "] {
        terminal.see(question);
        terminal.type_in(&format!("{password}\r"));
    }
    let output = child.wait_with_output().expect("an answer");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(folder.join("all/n1"), folder.join("n1")).expect("moved");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn root_logs_in_with_the_new_password_alone() {
    for (line, fixture) in [("3.4", &OF_3_4), ("3.5", &OF_3_5), ("3.6", &OF_3_6), ("3.7", &KUBERNETES_OF_3_6)]
    {
        let Some(tools) = Tools::of_lines(&[line]) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let seat = Seat::take();
        let (peer_url, data_dir) = (seat.peer_url(), folder.path().join("n1"));
        let cluster = format!("n1={peer_url}");
        // Of a hash, or asked for; the program made the hash of the latter.
        let plan = if line == "3.7" || line == "3.5" {
            asked_for("allmine", &fixture.path(), folder.path(), &cluster)
        } else {
            let flags = ["--reset-root-password", HASH];
            restore(&fixture.path(), "n1", &data_dir, &peer_url, &cluster, &flags)
        };
        assert_eq!((&plan["faithful"], &plan["changes"]["rootPassword"]), (&false.into(), &true.into()));
        let start = Start { line, name: "n1", data_dir: &data_dir, initial_cluster: &cluster, more: &[] };
        let enabled = fixture.user.is_some();
        let user = enabled.then_some("root:allmine");
        let (_server, client) = Server::start(&tools, seat, &start, user);
        if !enabled {
            // Where there were no users, there is all now that this asks for.
            client.run(&["auth", "enable"]).expect(0);
        }
        let root = client.as_user("root:allmine");
        root.put("by-root", "1");
        let old = client.as_user("root:rootpw").run(&["put", "by-the-old", "1"]);
        assert!(old.stderr.contains("authentication failed"), "{old:?}");
        root.run(&["role", "get", "root"]).expect(0);
        root.run(&["auth", "disable"]).expect(0);
        let store = Store::of_range(&root.ask(&["get", "by-", "--prefix"]));
        assert_eq!(store.entries.len(), 1);
    }
}
