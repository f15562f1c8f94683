//! Snapshots of a running member, and its files while it runs and after.

use std::path::{Path, PathBuf};

use super::process::{PATIENCE, Tools, etcdsnap};
use super::server::{Seat, Server, Start};
use super::snapshots::{KUBERNETES_OF_3_6, db_of, restore};
use super::store::assert_sound;

/// A snapshot of a fresh member of `line` with a few keys in it, taken once the
/// file says by which line it was written.
pub(crate) fn small_snapshot(tools: &Tools, line: &str, folder: &Path) -> PathBuf {
    let (server, client) = Server::fresh(tools, line, folder, None);
    for number in 0..20 {
        client.put(&format!("key-{}", number % 7), &format!("value {number}"));
    }
    let path = folder.join("small.db");
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        client.save_snapshot(&path);
        if super::store::status(&path)["etcdVersion"] == line {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "no storage version in {PATIENCE:?}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    server.stop();
    path
}

#[test]
fn a_live_member_is_backed_up_but_never_read_or_overwritten() {
    for line in ["3.6", "3.7"] {
        let Some(tools) = Tools::of_lines(&[line]) else { continue };
        let folder = tempfile::tempdir().expect("a folder");
        let seat = Seat::take();
        let (peer_url, data_dir) = (seat.peer_url(), folder.path().join("n1"));
        let cluster = format!("n1={peer_url}");
        restore(&KUBERNETES_OF_3_6.path(), "n1", &data_dir, &peer_url, &cluster, &[]);
        let start = Start { line, name: "n1", data_dir: &data_dir, initial_cluster: &cluster, more: &[] };
        let (server, client) = Server::start(&tools, seat, &start, None);
        client.put("written-after-the-restore", "1");

        let saved = folder.path().join("saved.db");
        client.save_snapshot(&saved);
        // Until its first change of members, etcd leaves the old cluster's entry there.
        assert_sound(&saved, &["conf-state-stale"]);

        let db = db_of(&data_dir);
        for command in ["verify", "keys", "status", "hashkv", "members", "list"] {
            let answer = etcdsnap([command.as_ref(), db.as_os_str()]).expect(2);
            assert!(answer.stderr.contains("locked"), "{command}: {}", answer.stderr);
        }
        let before = listing(&data_dir);
        let answer =
            etcdsnap(["restore".as_ref(), saved.as_os_str(), "--data-dir".as_ref(), data_dir.as_os_str()]);
        let answer = answer.expect(2);
        assert!(answer.stderr.contains("in use"), "{}", answer.stderr);
        assert_eq!(listing(&data_dir), before);
        client.put("written-after-the-refusal", "1");

        server.stop();
        assert_sound(&db, &["digest-absent", "conf-state-stale"]);
        let answer = etcdsnap(["value".as_ref(), db.as_os_str(), "written-after-the-refusal".as_ref()]);
        assert_eq!(answer.expect(0).text(), "1");
    }
}

/// Every path below a folder, and beside it.
fn listing(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.parent().expect("a parent").to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            // etcd is at work: it makes and renames files of its own.
            if path.is_dir() {
                open.push(path.clone());
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
