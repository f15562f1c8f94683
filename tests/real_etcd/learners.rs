//! Members that start without a vote.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::Client;
use super::process::{PATIENCE, Tools};
use super::server::{Seat, Server, Start};
use super::snapshots::{Fixture, OF_3_4, OF_3_5, OF_3_6, restore};
use super::store::hashkv;

/// Ids and names of the learners.
fn learners(members: &Value) -> Vec<(String, String)> {
    let members = members["members"].as_array().expect("members").iter();
    let learners = members.filter(|member| member["isLearner"] == true);
    learners
        .map(|member| {
            let id = member["ID"].as_u64().expect("an id");
            (format!("{id:x}"), member["name"].as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

fn is_leader(client: &Client) -> bool {
    let status = &client.ask(&["endpoint", "status"])[0]["Status"];
    status["leader"] == status["header"]["member_id"]
}

/// Three members of which one is a learner start together; it catches up and is
/// given a vote.
fn a_learner_starts(fixture: &Fixture, line: &str, learner: &str) {
    let Some(tools) = Tools::of_lines(&[line]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["node1", "node2", "node3"];
    let seats = names.map(|_| Seat::take());
    let pairs: Vec<_> =
        names.iter().zip(&seats).map(|(name, seat)| format!("{name}={}", seat.peer_url())).collect();
    let cluster = pairs.join(",");
    let flags = ["--learners", learner];
    let mut states = std::collections::BTreeSet::new();
    let mut revision = 0;
    for (name, seat) in names.iter().zip(&seats) {
        let data_dir = folder.path().join(name);
        let plan = restore(&fixture.path(), name, &data_dir, &seat.peer_url(), &cluster, &flags);
        states.insert(plan["state"].to_string());
        revision = plan["revisionAfter"].as_i64().expect("a revision");
    }
    assert_eq!(states.len(), 1, "{states:?}");
    let mut servers = Vec::new();
    for (name, seat) in names.iter().zip(seats) {
        let data_dir = folder.path().join(name);
        let start = Start { line, name, data_dir: &data_dir, initial_cluster: &cluster, more: &[] };
        servers.push((*name, Server::spawn(&tools, seat, &start)));
    }
    let clients: Vec<_> = servers.iter().map(|(_, server)| server.client(&tools, fixture.user)).collect();
    for ((name, server), client) in servers.iter_mut().zip(&clients) {
        // A learner answers no linearizable reads.
        if *name != learner {
            server.wait_until_healthy(client);
        }
    }
    // With authentication on, a member of 3.4 that is not the leader hands a
    // promotion on without the user's name.
    let mut voters = names.iter().zip(&clients).filter(|(name, _)| **name != learner);
    let (_, leader) = voters.find(|(_, client)| is_leader(client)).expect("a leader");
    let found = learners(&leader.ask(&["member", "list"]));
    assert_eq!(found.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), [learner]);
    leader.put("written-before-the-promotion", "1");

    // Refused until the learner has all that the leader has. etcdctl 3.4 may ask
    // twice, and then be refused as it is a learner no more.
    let deadline = Instant::now() + PATIENCE;
    while !learners(&leader.ask(&["member", "list"])).is_empty() {
        assert!(Instant::now() < deadline, "{learner} is still a learner");
        leader.run(&["member", "promote", &found[0].0]);
        std::thread::sleep(Duration::from_millis(200));
    }
    for ((_, server), client) in servers.iter_mut().zip(&clients) {
        server.wait_until_healthy(client);
        assert_eq!(learners(&client.ask(&["member", "list"])), []);
        let store = client.store(None);
        assert_eq!(store.entries["written-before-the-promotion"].value, b"1");
        assert_eq!(client.hashkv(revision), hashkv(&fixture.path(), 0));
    }
}

#[test]
fn a_learner_of_3_4_starts_catches_up_and_is_promoted() {
    a_learner_starts(&OF_3_4, "3.4", "node3");
}

#[test]
fn a_learner_of_3_5_starts_catches_up_and_is_promoted() {
    a_learner_starts(&OF_3_5, "3.5", "node1");
}

#[test]
fn a_learner_of_3_6_starts_catches_up_and_is_promoted() {
    a_learner_starts(&OF_3_6, "3.6", "node2");
}

#[test]
fn a_learner_of_3_7_starts_catches_up_and_is_promoted() {
    a_learner_starts(&OF_3_6, "3.7", "node3");
}
