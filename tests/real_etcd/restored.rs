//! etcd starts on what was restored and has everything.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::client::Client;
use super::process::Tools;
use super::server::{Seat, Server, Start};
use super::snapshots::{
    Fixture, KUBERNETES_OF_3_5, KUBERNETES_OF_3_6, OF_3_4, OF_3_5, OF_3_6, db_of, restore,
};
use super::store::{Store, assert_sound, hashkv, status};

/// A cluster of one restored member.
pub(crate) struct Single {
    server: Server,
    pub(crate) client: Client,
    initial_cluster: String,
    pub(crate) plan: Value,
    folder: TempDir,
}

impl Single {
    pub(crate) fn start(
        tools: &Tools,
        file: &Path,
        line: &str,
        user: Option<&str>,
        restore_flags: &[&str],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let seat = Seat::take();
        let (peer_url, data_dir) = (seat.peer_url(), folder.path().join("n1"));
        let initial_cluster = format!("n1={peer_url}");
        let plan = restore(file, "n1", &data_dir, &peer_url, &initial_cluster, restore_flags);
        let start =
            Start { line, name: "n1", data_dir: &data_dir, initial_cluster: &initial_cluster, more: &[] };
        let before = hashkv(&db_of(&data_dir), 0);
        if restore_flags.is_empty() {
            assert_eq!(before, hashkv(file, 0), "the restored db against the snapshot");
        }
        let (server, client) = Server::start(tools, seat, &start, user);
        Self { server, client, initial_cluster, plan, folder }
    }

    fn id(&self) -> String {
        self.plan["memberId"].as_str().expect("an id").to_owned()
    }
}

/// Restores a fixture as a cluster of one and looks at everything in it.
fn starts(fixture: &Fixture, line: &str) {
    let Some(tools) = Tools::of_lines(&[line]) else { return };
    let expected = fixture.store();
    let single = Single::start(&tools, &fixture.path(), line, fixture.user, &[]);
    let Single { client, plan, .. } = &single;
    let revision = plan["revisionAfter"].as_i64().expect("a revision");

    let found = client.store(Some(revision));
    found.assert_holds(expected);
    assert_eq!(expected.revision, revision);
    let allowed = revision..=revision + fixture.short_lived;
    assert!(allowed.contains(&found.revision), "{} for {allowed:?}", found.revision);
    assert_eq!(client.hashkv(revision), hashkv(&fixture.path(), 0));
    assert_eq!(client.members(), [(single.id(), "n1".to_owned())]);
    let starts_on = plan["startsOn"].as_array().expect("lines");
    assert!(starts_on.contains(&line.into()), "{line} is not among {starts_on:?}");

    let after = client.put("written-after-the-restore", "1");
    let allowed = revision + 1..=revision + 1 + fixture.short_lived;
    assert!(allowed.contains(&after), "{after} for {allowed:?}");
    let written = &client.store(None).entries["written-after-the-restore"];
    assert_eq!((written.version, written.mod_revision), (1, after));
}

#[test]
fn a_snapshot_of_3_4_starts_on_3_4() {
    starts(&OF_3_4, "3.4");
}

#[test]
fn a_snapshot_of_3_4_starts_on_3_5() {
    starts(&OF_3_4, "3.5");
}

#[test]
fn a_snapshot_of_3_4_starts_on_3_6() {
    starts(&OF_3_4, "3.6");
}

#[test]
fn a_snapshot_of_3_4_starts_on_3_7() {
    starts(&OF_3_4, "3.7");
}

#[test]
fn a_snapshot_of_3_5_starts_on_3_5() {
    starts(&OF_3_5, "3.5");
}

#[test]
fn a_snapshot_of_3_5_starts_on_3_6() {
    starts(&OF_3_5, "3.6");
}

#[test]
fn a_snapshot_of_3_5_starts_on_3_7() {
    starts(&OF_3_5, "3.7");
}

#[test]
fn a_snapshot_of_3_6_starts_on_3_6() {
    starts(&OF_3_6, "3.6");
}

#[test]
fn a_snapshot_of_3_6_starts_on_3_7() {
    starts(&OF_3_6, "3.7");
}

#[test]
fn a_kubernetes_snapshot_of_3_5_starts_on_3_5() {
    starts(&KUBERNETES_OF_3_5, "3.5");
}

#[test]
fn a_kubernetes_snapshot_of_3_6_starts_on_3_7() {
    starts(&KUBERNETES_OF_3_6, "3.7");
}

#[test]
fn a_snapshot_of_3_7_does_not_start_on_3_6() {
    let Some(tools) = Tools::of_lines(&["3.6", "3.7"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = super::live::small_snapshot(&tools, "3.7", folder.path());
    let seat = Seat::take();
    let (peer_url, data_dir) = (seat.peer_url(), folder.path().join("n1"));
    let cluster = format!("n1={peer_url}");
    let plan = restore(&file, "n1", &data_dir, &peer_url, &cluster, &[]);
    assert_eq!(plan["startsOn"], serde_json::json!(["3.7"]));
    let start = Start { line: "3.6", name: "n1", data_dir: &data_dir, initial_cluster: &cluster, more: &[] };
    let log = Server::spawn(&tools, seat, &start).wait_until_it_gives_up();
    assert!(log.contains("is not supported") && log.contains("3.7.0"), "{log}");
}

#[test]
fn members_added_one_at_a_time_catch_up() {
    let Some(tools) = Tools::of_lines(&["3.6"]) else { return };
    let fixture = &KUBERNETES_OF_3_6;
    let mut single = Single::start(&tools, &fixture.path(), "3.6", fixture.user, &[]);
    let folder = tempfile::tempdir().expect("a folder");
    let revision = single.plan["revisionAfter"].as_i64().expect("a revision");
    let mut cluster = single.initial_cluster.clone();
    let mut servers = Vec::new();
    for name in ["n2", "n3"] {
        let seat = Seat::take();
        let peer_url = format!("--peer-urls={}", seat.peer_url());
        // Refused while the member before is not long enough part of the cluster.
        single.client.ask_until_granted(&["member", "add", name, &peer_url]);
        cluster.push_str(&format!(",{name}={}", seat.peer_url()));
        let start = Start {
            line: "3.6",
            name,
            data_dir: &folder.path().join(name),
            initial_cluster: &cluster,
            more: &["--initial-cluster-state", "existing"],
        };
        let (server, client) = Server::start(&tools, seat, &start, fixture.user);
        client.store(Some(revision)).assert_holds(fixture.store());
        assert_eq!(client.hashkv(revision), hashkv(&fixture.path(), 0));
        servers.push(server);
    }
    single.server.wait_until_healthy(&single.client);
    let members = single.client.members();
    assert_eq!(members.len(), 3);
    assert_eq!(members[0], (single.id(), "n1".to_owned()));
}

#[test]
fn a_bumped_store_tells_old_watchers_to_start_anew() {
    for line in ["3.5", "3.6", "3.7"] {
        let fixture = if line == "3.5" { &KUBERNETES_OF_3_5 } else { &KUBERNETES_OF_3_6 };
        let Some(tools) = Tools::of_lines(&[line]) else { continue };
        let flags = ["--bump-revision", "1000000000", "--mark-compacted"];
        let single = Single::start(&tools, &fixture.path(), line, fixture.user, &flags);
        let old = fixture.store().revision;
        let bumped = old + 1_000_000_000;
        assert_eq!(single.plan["revisionAfter"], bumped);

        let found: Store = single.client.store(Some(bumped));
        found.assert_holds(fixture.store());
        assert!((bumped..=bumped + fixture.short_lived).contains(&found.revision), "{}", found.revision);
        let compacted = "required revision has been compacted";
        let answer =
            single.client.run(&["get", "/registry", "--prefix", "--rev", &old.to_string()]).expect(1);
        assert!(answer.stderr.contains(compacted), "{}", answer.stderr);
        let answer = single.client.run(&["watch", "/registry", "--prefix", "--rev", &old.to_string()]);
        assert!(!answer.succeeded() && answer.stderr.contains(compacted), "{answer:?}");
        let after = single.client.put("written-after-the-restore", "1");
        assert!((bumped + 1..=bumped + 1 + fixture.short_lived).contains(&after), "{after}");
        assert_saved_is_sound(&single);
        single.client.put("written-after-the-restore", "2");
        single.client.run(&["compact", &(after + 1).to_string(), "--physical"]).expect(0);
        single.client.put("written-after-the-restore", "3");
        assert_saved_is_sound(&single);
    }
}

/// A snapshot of the restored member is sound, and alike in HashKV.
fn assert_saved_is_sound(single: &Single) {
    let saved = single.folder.path().join("saved.db");
    single.client.save_snapshot(&saved);
    // Until its first change of members, etcd leaves the old cluster's entry there.
    assert_sound(&saved, &["conf-state-stale"]);
    let revision = status(&saved)["revision"].as_i64().expect("a revision");
    assert_eq!(hashkv(&saved, revision), single.client.hashkv(revision));
    single.client.store(Some(revision)).assert_holds(&Store::of_file(&saved, 0));
}

#[test]
fn etcd_starts_with_a_wal_that_is_elsewhere() {
    for line in ["3.5", "3.6", "3.7"] {
        let Some(tools) = Tools::of_lines(&[line]) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let seat = Seat::take();
        let (peer_url, data_dir) = (seat.peer_url(), folder.path().join("n1"));
        let wal_dir = folder.path().join("another-disk/wal");
        std::fs::create_dir(folder.path().join("another-disk")).expect("a folder");
        let wal_flags = ["--wal-dir", wal_dir.to_str().expect("UTF-8")];
        let cluster = format!("n1={peer_url}");
        restore(&OF_3_5.path(), "n1", &data_dir, &peer_url, &cluster, &wal_flags);
        assert!(!data_dir.join("member/wal").exists());
        let start =
            Start { line, name: "n1", data_dir: &data_dir, initial_cluster: &cluster, more: &wal_flags };
        let (server, client) = Server::start(&tools, seat, &start, OF_3_5.user);
        client.store(None).assert_holds(OF_3_5.store());
        server.stop();
        let names = |folder: &Path| {
            let entries = std::fs::read_dir(folder).expect("a folder");
            entries.map(|entry| entry.expect("an entry").file_name()).collect::<Vec<_>>()
        };
        let left: Vec<_> =
            names(&wal_dir).into_iter().filter(|name| name == "etcdsnap-unfinished-restore").collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(!data_dir.join("member/wal").exists());
    }
}
