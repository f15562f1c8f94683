//! Members from a file or from the snapshot, and etcd started by what
//! `--start-flags` prints.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::client::Client;
use super::process::{Tools, etcdsnap};
use super::server::{Seat, Server};
use super::snapshots::{KUBERNETES_OF_3_6, OF_3_4, OF_3_5, db_of, restore};
use super::store::hashkv;

const NAMES: [&str; 3] = ["node1", "node2", "node3"];

/// Restores `file` as the member `name`, with the flags to start it by.
#[track_caller]
fn restored(file: &Path, name: &str, data_dir: &Path, members: &[&str]) -> Value {
    let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let (file, data_dir) = (text(file), text(data_dir));
    let args = ["restore", &file, "--name", name, "--data-dir", &data_dir, "-o", "json", "--skip-hash-check"];
    etcdsnap([&args, members, &["--start-flags", "env"]].concat()).expect(0).json()
}

/// The variables, as a shell reads them.
fn environment(plan: &Value) -> BTreeMap<String, String> {
    let text = plan["startFlags"][0]["text"].as_str().expect("text");
    let script = format!("set -a\n{text}\nexec env -0");
    let output =
        std::process::Command::new("sh").env_clear().args(["-c", &script]).output().expect("a shell");
    let pairs = output.stdout.split(|byte| *byte == 0).filter_map(|pair| {
        let pair = String::from_utf8(pair.to_vec()).expect("UTF-8");
        pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    pairs.filter(|(name, _)| name.starts_with("ETCD_")).collect()
}

/// Starts three members by what was printed for each, and looks at them.
fn come_up(
    tools: &Tools,
    line: &str,
    file: &Path,
    user: Option<&str>,
    folder: &Path,
    members: &[&str],
    seats: [Seat; 3],
) -> Vec<(Server, Client)> {
    let data_dir = |name: &str| folder.join("restored").join(name);
    let plans = NAMES.map(|name| restored(file, name, &data_dir(name), members));
    let expected: Vec<_> = NAMES
        .iter()
        .zip(&plans)
        .map(|(name, plan)| (plan["memberId"].as_str().expect("an id").to_owned(), (*name).to_owned()))
        .collect();
    let revision = plans[0]["revisionAfter"].as_i64().expect("a revision");
    let spawned: Vec<_> = seats
        .into_iter()
        .zip(NAMES)
        .zip(&plans)
        .map(|((seat, name), plan)| {
            let urls = seat.peer_url();
            let environment = environment(plan);
            assert_eq!(environment["ETCD_INITIAL_ADVERTISE_PEER_URLS"], urls);
            Server::spawn_by(tools, seat, line, &data_dir(name), &environment)
        })
        .collect();
    let mut started = Vec::new();
    for mut server in spawned {
        let client = server.client(tools, user);
        server.wait_until_healthy(&client);
        started.push((server, client));
    }
    for (_, client) in &started {
        assert_eq!(client.members(), expected);
        assert_eq!(client.hashkv(revision), hashkv(file, 0));
    }
    started[0].1.put("written-on-the-first", "read on the third");
    let store = started[2].1.store(None);
    assert_eq!(store.entries["written-on-the-first"].value, b"read on the third");
    started
}

fn cluster(seats: &[Seat; 3]) -> String {
    let pairs: Vec<_> =
        NAMES.iter().zip(seats).map(|(name, seat)| format!("{name}={}", seat.peer_url())).collect();
    pairs.join(",")
}

/// A database that lists three members at the addresses of `seats`.
fn listing(folder: &Path, file: &Path, seats: &[Seat; 3]) -> std::path::PathBuf {
    let data_dir = folder.join("listing");
    restore(file, "node1", &data_dir, &seats[0].peer_url(), &cluster(seats), &[]);
    db_of(&data_dir)
}

#[test]
fn the_members_of_a_snapshot_come_up_elsewhere() {
    for line in ["3.5", "3.6", "3.7"] {
        let Some(tools) = Tools::of_lines(&[line]) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let fixture = if line == "3.5" { &OF_3_5 } else { &KUBERNETES_OF_3_6 };
        let old = NAMES.map(|_| Seat::take());
        let db = listing(folder.path(), &fixture.path(), &old);
        let seats = NAMES.map(|_| Seat::take());
        let host = |url: String| url.trim_start_matches("http://").to_owned();
        // One by its whole URL, the others by host and port.
        let maps = [
            format!("{}={}", old[0].peer_url(), seats[0].peer_url()),
            format!("{}={}", host(old[1].peer_url()), host(seats[1].peer_url())),
            format!("{}={}", host(old[2].peer_url()), host(seats[2].peer_url())),
        ];
        let members = ["--same-members", "--map-url", &maps[0], "--map-url", &maps[1], "--map-url", &maps[2]];
        come_up(&tools, line, &db, fixture.user, folder.path(), &members, seats);
    }
}

#[test]
fn the_members_of_a_snapshot_come_up_where_they_were() {
    let Some(tools) = Tools::of_lines(&["3.6"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let seats = NAMES.map(|_| Seat::take());
    let db = listing(folder.path(), &KUBERNETES_OF_3_6.path(), &seats);
    let plan = restored(&db, "node1", &folder.path().join("same"), &["--same-members"]);
    let warned = |plan: &Value| {
        let warnings = plan["warnings"].as_array().expect("warnings");
        warnings.iter().any(|warning| warning["code"] == "ids-of-old-cluster")
    };
    assert!(warned(&plan), "{plan}");
    let members = ["--same-members", "--initial-cluster-token", "recovery-1"];
    let other = restored(&db, "node1", &folder.path().join("other"), &members);
    assert!(!warned(&other), "{other}");
    come_up(&tools, "3.6", &db, None, folder.path(), &members, seats);
}

#[test]
fn a_member_with_an_address_and_a_name_on_one_port_comes_up() {
    let Some(tools) = Tools::of_lines(&["3.6"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for (number, host) in ["node1.example", "localhost", "[fe80::1%25lo]"].into_iter().enumerate() {
        let data_dir = folder.path().join(format!("node1-{number}"));
        let seat = Seat::take();
        let url = seat.peer_url();
        let other = url.replace("127.0.0.1", host);
        let (urls, members) = (format!("{url},{other}"), format!("node1={url},node1={other}"));
        let members = ["--initial-cluster", &members, "--initial-advertise-peer-urls", &urls];
        let plan = restored(&OF_3_5.path(), "node1", &data_dir, &members);
        let mut server = Server::spawn_by(&tools, seat, "3.6", &data_dir, &environment(&plan));
        let client = server.client(&tools, OF_3_5.user);
        server.wait_until_healthy(&client);
        server.stop();
    }
}

#[test]
fn what_etcdctl_prints_is_a_list_of_members() {
    for line in ["3.4", "3.5", "3.6", "3.7"] {
        let Some(tools) = Tools::of_lines(&[line]) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let fixture = match line {
            "3.4" => &OF_3_4,
            "3.5" => &OF_3_5,
            _ => &KUBERNETES_OF_3_6,
        };
        let seats = NAMES.map(|_| Seat::take());
        // Three running members, asked.
        let file = folder.path().join("written.yaml");
        let member =
            |(name, seat): (&&str, &Seat)| format!("- {{name: {name}, peerURLs: ['{}']}}\n", seat.peer_url());
        let list: String = NAMES.iter().zip(&seats).map(member).collect();
        std::fs::write(&file, format!("token: mine\nmembers:\n{list}")).expect("written");
        let members = ["--members-file", file.to_str().expect("UTF-8")];
        let started = come_up(&tools, line, &fixture.path(), fixture.user, folder.path(), &members, seats);
        let mut answers = vec![started[0].1.run(&["member", "list"]).expect(0).stdout];
        if line > "3.4" {
            // `-w json` is given already; ids become text.
            answers.push(started[0].1.run(&["member", "list", "--hex"]).expect(0).stdout);
        }
        for (number, answer) in answers.into_iter().enumerate() {
            let printed = folder.path().join(format!("printed-{number}.json"));
            std::fs::write(&printed, answer).expect("written");
            let printed = printed.to_str().expect("UTF-8");
            let members = ["--members-file", printed, "--initial-cluster-token", "mine"];
            let plan =
                restored(&fixture.path(), "node2", &folder.path().join(format!("again-{number}")), &members);
            let expected: Vec<_> = started[0].1.members().into_iter().map(|(id, _)| id).collect();
            let mut found: Vec<_> = plan["members"]
                .as_array()
                .expect("members")
                .iter()
                .map(|member| (member["name"].to_string(), member["id"].as_str().expect("an id").to_owned()))
                .collect();
            found.sort();
            assert_eq!(found.into_iter().map(|(_, id)| id).collect::<Vec<_>>(), expected, "{line}");
        }
    }
}

/// Why the state is "existing": with the data in another place than etcd looks,
/// "new" is an empty store under the ids of the restored one.
#[test]
fn by_a_wrong_path_no_empty_cluster_is_started() {
    for line in ["3.4", "3.5", "3.6", "3.7"] {
        let Some(tools) = Tools::of_lines(&[line]) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let seat = Seat::take();
        let list = folder.path().join("members.yaml");
        std::fs::write(&list, format!("members: [{{name: node1, peerURLs: ['{}']}}]", seat.peer_url()))
            .expect("written");
        let members = ["--members-file", list.to_str().expect("UTF-8")];
        let plan = restored(&OF_3_5.path(), "node1", &folder.path().join("node1"), &members);
        let mut environment = environment(&plan);
        let wrong = folder.path().join("wrong");
        environment.insert("ETCD_DATA_DIR".to_owned(), wrong.to_str().expect("UTF-8").to_owned());
        let log = Server::spawn_by(&tools, seat, line, &wrong, &environment).wait_until_it_gives_up();
        assert!(log.contains("cannot fetch cluster info from peer urls"), "{line}: {log}");

        let seat = Seat::take();
        let url = seat.peer_url();
        environment.insert("ETCD_INITIAL_CLUSTER_STATE".to_owned(), "new".to_owned());
        environment.insert("ETCD_INITIAL_CLUSTER".to_owned(), format!("node1={url}"));
        environment.insert("ETCD_INITIAL_ADVERTISE_PEER_URLS".to_owned(), url.clone());
        environment.insert("ETCD_LISTEN_PEER_URLS".to_owned(), url);
        let mut server = Server::spawn_by(&tools, seat, line, &wrong, &environment);
        let client = server.client(&tools, None);
        server.wait_until_healthy(&client);
        assert!(client.store(None).entries.is_empty());
    }
}
