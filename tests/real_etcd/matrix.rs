//! Who wrote the file × for which line × which members × with or without a bump:
//! restored, started, and everything that an operator would look at compared.
//!
//! By default every pair of lines once, with the members and the bump taken in
//! turn, on the oldest line that is said to start: any two values come up
//! together, but for a target of 3.4 with a learner (`learners.rs`). With `ETCDSNAP_MATRIX=whole` everything, on every
//! line that is said to start: `tests/upstream/matrix.sh`, whose last result is
//! in `docs/restore.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use etcdsnap::bolt::small_buckets;
use etcdsnap::etcd::lease::Lease;
use etcdsnap::etcd::line::EtcdLine;
use etcdsnap::etcd::schema;
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::ops::restore::StartsOn;
use serde_json::Value;
use tempfile::TempDir;

use super::client::Client;
use super::process::{PATIENCE, Tools, etcdsnap};
use super::server::{Seat, Server, Start};
use super::snapshots::{OF_3_4, OF_3_5, OF_3_6, db_of, restore};
use super::store::{Store, hashkv, integer};

/// A snapshot, and what is expected of what is restored from it.
struct Origin {
    file: PathBuf,
    line: EtcdLine,
    user: Option<&'static str>,
    store: Store,
    /// Seconds that each lease is granted for, by its id.
    leases: BTreeMap<i64, i64>,
}

impl Origin {
    fn of(file: PathBuf, line: &str, user: Option<&'static str>) -> Self {
        let snapshot = Snapshot::open(&file).expect("a snapshot");
        let db = snapshot.db().expect("a database");
        let (elements, _) = small_buckets(&db, &[schema::LEASE]);
        let leases = elements.get(schema::LEASE).into_iter().flatten();
        let leases = leases.map(|element| Lease::parse(element.key(), element.value()).expect("a lease"));
        let leases = leases.map(|lease| (lease.id.0, lease.ttl_seconds)).collect();
        let store = Store::of_file(&file, 0);
        Self { line: line.parse().expect("a line"), user, store, leases, file }
    }
}

/// Members that a restored cluster begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    Three,
    /// Three, of which the last but one has no vote.
    WithLearner,
}

impl Shape {
    const ALL: [Self; 3] = [Self::One, Self::Three, Self::WithLearner];

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::One => &["node1"],
            Self::Three | Self::WithLearner => &["node1", "node2", "node3"],
        }
    }

    fn learner(self) -> Option<&'static str> {
        (self == Self::WithLearner).then_some("node2")
    }
}

/// One restore, and the line it is started on.
#[derive(Debug, Clone, Copy)]
struct Cell {
    target: EtcdLine,
    on: EtcdLine,
    shape: Shape,
    bump: bool,
}

/// Members that run.
struct Cluster<'t> {
    tools: &'t Tools,
    line: String,
    user: Option<&'static str>,
    urls: String,
    members: Vec<Running>,
    folder: TempDir,
}

/// Where a restored store begins.
struct Restored {
    revision: i64,
    /// HashKV there. 3.4 answers none at the revision of a compaction, which is
    /// where a bump leads.
    hash: Option<String>,
}

struct Running {
    name: String,
    data_dir: PathBuf,
    server: Server,
    client: Client,
}

impl Cluster<'_> {
    fn spawn(&mut self, name: &str, seat: Seat, state: &[&str]) {
        let data_dir = self.folder.path().join(name);
        let start =
            Start { line: &self.line, name, data_dir: &data_dir, initial_cluster: &self.urls, more: state };
        let server = Server::spawn(self.tools, seat, &start);
        let client = server.client(self.tools, self.user);
        self.members.push(Running { name: name.to_owned(), data_dir, server, client });
    }

    /// Until all but `without` answer.
    fn wait(&mut self, without: Option<&str>) {
        for member in self.members.iter_mut().filter(|member| Some(member.name.as_str()) != without) {
            member.server.wait_until_healthy(&member.client);
        }
    }

    /// Whoever leads, once someone does.
    fn leader(&self) -> &Client {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leads = self.members.iter().find(|member| {
                let answer = member.client.run(&["endpoint", "status"]);
                answer.succeeded() && {
                    let status = &answer.json()[0]["Status"];
                    status["leader"] == status["header"]["member_id"]
                }
            });
            if let Some(leads) = leads {
                return &leads.client;
            }
            assert!(Instant::now() < deadline, "no leader");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ids and names of those without a vote.
    fn learners(&self) -> Vec<(String, String)> {
        let answer = self.leader().ask(&["member", "list"]);
        let members = answer["members"].as_array().expect("members").iter();
        let learners = members.filter(|member| member["isLearner"] == true);
        let named = |member: &Value| {
            let id = member["ID"].as_u64().expect("an id");
            (format!("{id:x}"), member["name"].as_str().unwrap_or_default().to_owned())
        };
        learners.map(named).collect()
    }

    /// Gives the learner a vote, once it has caught up.
    fn promote(&mut self, learner: &str) {
        let learners = self.learners();
        assert_eq!(learners.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), [learner]);
        let deadline = Instant::now() + PATIENCE;
        // etcdctl 3.4 may ask twice, and then be refused as it is a learner no more.
        while !self.learners().is_empty() {
            assert!(Instant::now() < deadline, "{learner} is still a learner");
            self.leader().run(&["member", "promote", &learners[0].0]);
            std::thread::sleep(Duration::from_millis(200));
        }
        self.wait(None);
    }

    /// Ends all in an orderly way, and starts them again where they were.
    fn restart(&mut self) {
        let members = std::mem::take(&mut self.members);
        // All are told first: one that is left alone would look for a new leader.
        members.iter().for_each(|member| member.server.tell_to_end());
        let ended: Vec<_> = members.into_iter().map(|member| (member.name, member.server.stop())).collect();
        for (name, ports) in ended {
            self.spawn(&name, Seat::again(ports), &[]);
        }
        self.wait(None);
    }

    /// A member that joins the running cluster.
    fn join(&mut self, name: &str) {
        let seat = Seat::take();
        let url = format!("--peer-urls={}", seat.peer_url());
        // Refused while the cluster is too young, or a member not yet heard of.
        self.leader().ask_until_granted(&["member", "add", name, &url]);
        self.urls.push_str(&format!(",{name}={}", seat.peer_url()));
        self.spawn(name, seat, &["--initial-cluster-state", "existing"]);
        self.wait(None);
    }

    /// Takes a member out, and ends it.
    fn leave(&mut self, name: &str) {
        let at = self.members.iter().position(|member| member.name == name).expect("a member");
        let leaves = self.members.remove(at);
        // Another one is asked, whoever leads.
        let client = &self.members[0].client;
        let ids = client.members();
        let (id, _) = ids.iter().find(|(_, named)| named == name).expect("listed");
        client.ask_until_granted(&["member", "remove", id]);
        leaves.server.kill();
        let left = self.urls.split(',').filter(|pair| !pair.starts_with(&format!("{name}=")));
        self.urls = left.collect::<Vec<_>>().join(",");
        self.wait(None);
    }

    /// Every member has what the file has, at the revision that the restore named.
    fn assert_holds(&self, origin: &Origin, restored: &Restored) {
        for member in &self.members {
            member.client.store(Some(restored.revision)).assert_holds(&origin.store);
            if let Some(hash) = &restored.hash {
                assert_eq!(&member.client.hashkv(restored.revision), hash, "{}", member.name);
            }
        }
    }

    /// All members agree on all of the history, and with a snapshot of it.
    fn assert_alike(&self) {
        let saved = self.folder.path().join("saved.db");
        let first = &self.members[0].client;
        first.save_snapshot(&saved);
        let revision = super::store::status(&saved)["revision"].as_i64().expect("a revision");
        let hash = hashkv(&saved, revision);
        for member in &self.members {
            assert_eq!(member.client.hashkv(revision), hash, "{}", member.name);
        }
        std::fs::remove_file(saved).expect("removed");
    }

    /// A write through each member is read from each.
    fn assert_written_through_each(&self, round: &str) {
        for member in &self.members {
            member.client.put(&format!("written/{round}/{}", member.name), &member.name);
        }
        for reader in &self.members {
            let store = reader.client.store(None);
            for writer in &self.members {
                let entry = &store.entries[&format!("written/{round}/{}", writer.name)];
                assert_eq!(entry.value, writer.name.as_bytes(), "as {} has it", reader.name);
            }
        }
    }
}

impl Cell {
    fn run(self, tools: &Tools, origin: &Origin) {
        let folder = tempfile::tempdir().expect("a folder");
        let names = self.shape.names();
        let seats: Vec<_> = names.iter().map(|_| Seat::take()).collect();
        let pairs: Vec<_> =
            names.iter().zip(&seats).map(|(name, seat)| format!("{name}={}", seat.peer_url())).collect();
        let target = self.target.to_string();
        let mut flags = vec!["--target-version", &target];
        if self.target < origin.line {
            flags.push("--downgrade");
        }
        if let Some(learner) = self.shape.learner() {
            flags.extend(["--learners", learner]);
        }
        if self.bump {
            flags.extend(["--bump-revision", "auto"]);
        }
        let urls = pairs.join(",");
        let plans: Vec<_> = names
            .iter()
            .zip(&seats)
            .map(|(name, seat)| {
                let data_dir = folder.path().join(name);
                restore(&origin.file, name, &data_dir, &seat.peer_url(), &urls, &flags)
            })
            .collect();
        let revision = plans[0]["revisionAfter"].as_i64().expect("a revision");
        let bumped_by = if self.bump { 1_000_000_000 } else { 0 };
        assert_eq!(revision, origin.store.revision + bumped_by);
        let hash = hashkv(&db_of(&folder.path().join(names[0])), 0);
        if !self.bump {
            assert_eq!(hash, hashkv(&origin.file, 0));
        }
        let answered = self.on > EtcdLine::V3_4 || !self.bump;
        let restored = Restored { revision, hash: answered.then_some(hash) };
        for plan in &plans {
            assert_eq!(plan["state"], plans[0]["state"]);
            let lines = plan["startsOn"].as_array().expect("lines");
            assert!(lines.contains(&self.on.to_string().into()), "{lines:?}");
        }

        let (line, user, members) = (self.on.to_string(), origin.user, Vec::new());
        let mut cluster = Cluster { tools, line, user, urls, members, folder };
        for (name, seat) in names.iter().zip(seats) {
            cluster.spawn(name, seat, &[]);
        }
        // A learner answers no linearizable reads.
        cluster.wait(self.shape.learner());
        let expected: Vec<_> = names
            .iter()
            .zip(&plans)
            .map(|(name, plan)| (plan["memberId"].as_str().expect("an id").to_owned(), (*name).to_owned()))
            .collect();
        assert_eq!(cluster.leader().members(), expected);
        if let Some(learner) = self.shape.learner() {
            cluster.promote(learner);
        }
        cluster.assert_holds(origin, &restored);
        self.assert_leases(&cluster, origin);
        assert_login(&cluster, origin);
        cluster.assert_written_through_each("first");
        cluster.restart();
        cluster.assert_holds(origin, &restored);
        cluster.assert_written_through_each("restarted");
        cluster.assert_alike();
        if self.bump {
            assert_old_watch_is_refused(cluster.leader(), origin);
        }

        cluster.join("joined");
        cluster.assert_holds(origin, &restored);
        cluster.leave("node1");
        cluster.assert_holds(origin, &restored);
        cluster.assert_written_through_each("without-the-first");
        cluster.assert_alike();
        let names: Vec<_> = cluster.leader().members().into_iter().map(|(_, name)| name).collect();
        let mut left: Vec<_> = self.shape.names()[1..].iter().map(|name| (*name).to_owned()).collect();
        left.insert(0, "joined".to_owned());
        assert_eq!(names, left);
        assert!(cluster.members.iter().all(|member| db_of(&member.data_dir).is_file()));
    }

    /// The leases that there were, each granted for as long as it was.
    fn assert_leases(self, cluster: &Cluster<'_>, origin: &Origin) {
        let leader = cluster.leader();
        let mut found = BTreeMap::new();
        for id in leader.ask(&["lease", "list"])["leases"].as_array().into_iter().flatten() {
            let id = integer(&id["id"]);
            let lease = leader.ask(&["lease", "timetolive", &format!("{id:x}")]);
            found.insert(id, integer(&lease["granted-ttl"]));
            let left = integer(&lease["ttl"]);
            assert!(left > 0 && left <= found[&id], "lease {id:x}: {left} s left");
        }
        assert_eq!(found, origin.leases);
    }
}

/// The user of the file can log in with the old password, and nobody without.
fn assert_login(cluster: &Cluster<'_>, origin: &Origin) {
    let client = &cluster.members[0].client;
    let Some(user) = origin.user else {
        assert!(client.run(&["put", "anyone-may", "1"]).succeeded());
        return;
    };
    assert!(client.run(&["user", "list"]).succeeded());
    let (name, _) = user.split_once(':').expect("a password");
    let wrong = client.as_user(&format!("{name}:wrong")).run(&["user", "list"]);
    assert!(!wrong.succeeded() && wrong.stderr.contains("authentication failed"), "{}", wrong.stderr);
    let nobody = cluster.members[0].server.client(cluster.tools, None).run(&["get", "a"]);
    assert!(!nobody.succeeded() && nobody.stderr.contains("user name is empty"), "{}", nobody.stderr);
}

/// Whoever watched the old cluster is told to start anew.
fn assert_old_watch_is_refused(client: &Client, origin: &Origin) {
    let old = (origin.store.revision + 1).to_string();
    let answer = client.run(&["watch", "", "--prefix", "--rev", &old]);
    let compacted = "required revision has been compacted";
    assert!(!answer.succeeded() && answer.stderr.contains(compacted), "{answer:?}");
}

/// What is not to be had is refused, before anything is written.
fn assert_refused(origin: &Origin, target: EtcdLine) {
    let place = tempfile::tempdir().expect("a folder");
    let dir = place.path().join("etcd");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (file, dir_text, target) = (text(&origin.file), text(&dir), target.to_string());
    let args = ["restore", &file, "--data-dir", &dir_text, "--target-version", &target, "--downgrade"];
    etcdsnap(args).expect(2);
    assert!(!dir.exists());
}

/// All cells of a file, or a slice of them that begins at `turn`.
fn all_of(origin: &Origin, turn: usize) {
    let whole = std::env::var_os("ETCDSNAP_MATRIX").is_some_and(|value| value == "whole");
    for (number, target) in EtcdLine::ALL.into_iter().enumerate() {
        let Some(starts_on) = StartsOn::of(origin.line, target) else {
            assert_refused(origin, target);
            continue;
        };
        for on in starts_on.lines().take(if whole { EtcdLine::ALL.len() } else { 1 }) {
            let cells: Vec<_> = if whole {
                let bumps = [false, true];
                let shapes = Shape::ALL.into_iter();
                shapes.flat_map(|shape| bumps.map(|bump| Cell { target, on, shape, bump })).collect()
            } else {
                let shape = Shape::ALL[(turn + number) % Shape::ALL.len()];
                vec![Cell { target, on, shape, bump: (turn + number).is_multiple_of(2) }]
            };
            let Some(tools) = Tools::of_lines(&[&on.to_string()]) else { continue };
            for cell in cells {
                cell.run(&tools, origin);
                if whole {
                    let (written, target) = (origin.line, cell.target);
                    let bump = if cell.bump { "with a bump" } else { "as it was" };
                    println!("MATRIX {written} for {target} on {on}: {:?}, {bump}: ok", cell.shape);
                }
            }
        }
    }
}

#[test]
fn what_3_4_wrote_lives_again() {
    all_of(&Origin::of(OF_3_4.path(), "3.4", OF_3_4.user), 0);
}

#[test]
fn what_3_5_wrote_lives_again() {
    all_of(&Origin::of(OF_3_5.path(), "3.5", OF_3_5.user), 1);
}

#[test]
fn what_3_6_wrote_lives_again() {
    all_of(&Origin::of(OF_3_6.path(), "3.6", OF_3_6.user), 2);
}

#[test]
fn what_3_7_wrote_lives_again() {
    let Some(tools) = Tools::of_lines(&["3.7"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = super::live::small_snapshot(&tools, "3.7", folder.path());
    all_of(&Origin::of(file, "3.7", None), 1);
}
