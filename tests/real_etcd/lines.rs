//! Which line of etcd starts on what was restored for which: the table in
//! `src/ops/restore/lines.rs`, cell by cell.
//!
//! Every pair of lines is tried on the oldest line that is said to start, which
//! is the one that could fail. With `ETCDSNAP_ALL_LINES=1` on all of them.

use std::path::Path;

use etcdsnap::etcd::line::EtcdLine;
use etcdsnap::ops::restore::StartsOn;

use super::process::{Tools, etcdsnap};
use super::restored::Single;
use super::snapshots::{OF_3_4, OF_3_5, OF_3_6};
use super::store::{Store, hashkv};

const LINES: [&str; 4] = ["3.4", "3.5", "3.6", "3.7"];

/// Restores for a line, starts another on it, and looks at everything.
fn starts(tools: &Tools, file: &Path, user: Option<&str>, flags: &[&str], on: &str) {
    let single = Single::start(tools, file, on, user, flags);
    let revision = single.plan["revisionAfter"].as_i64().expect("a revision");
    let found = single.client.store(Some(revision));
    found.assert_holds(&Store::of_file(file, 0));
    assert_eq!(single.client.hashkv(revision), hashkv(file, 0), "{flags:?} on {on}");
    assert_eq!(single.client.members().len(), 1);
    assert!(single.client.put("written-after-the-restore", "1") > revision);
}

/// All that is said to start on a file of one line.
fn all_of(written_by: &str, file: &Path, user: Option<&str>) {
    let by: EtcdLine = written_by.parse().expect("a line");
    let all = std::env::var_os("ETCDSNAP_ALL_LINES").is_some_and(|value| value == "1");
    for target in EtcdLine::ALL {
        let target_text = target.to_string();
        let mut flags = vec!["--target-version", &target_text];
        if target < by {
            flags.push("--downgrade");
        }
        let Some(starts_on) = StartsOn::of(by, target) else {
            let place = tempfile::tempdir().expect("a folder");
            let target = place.path().join("etcd");
            let args =
                ["restore", file.to_str().expect("UTF-8"), "--data-dir", target.to_str().expect("UTF-8")];
            etcdsnap([&args, &flags[..]].concat()).expect(2);
            continue;
        };
        let tried = starts_on.lines().take(if all { LINES.len() } else { 1 });
        for line in tried.map(|line| line.to_string()) {
            let Some(tools) = Tools::of_lines(&[&line]) else { continue };
            starts(&tools, file, user, &flags, &line);
        }
    }
}

#[test]
fn a_file_of_3_4_starts_on_what_the_table_says() {
    all_of("3.4", &OF_3_4.path(), OF_3_4.user);
}

#[test]
fn a_file_of_3_5_starts_on_what_the_table_says() {
    all_of("3.5", &OF_3_5.path(), OF_3_5.user);
}

#[test]
fn a_file_of_3_6_starts_on_what_the_table_says() {
    all_of("3.6", &OF_3_6.path(), OF_3_6.user);
}

#[test]
fn a_file_of_3_7_starts_on_what_the_table_says() {
    let Some(tools) = Tools::of_lines(&["3.7"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = super::live::small_snapshot(&tools, "3.7", folder.path());
    all_of("3.7", &file, None);
}

/// Before the downgrade's marks are taken out, the line refuses.
#[test]
fn a_file_of_3_7_starts_on_3_6_only_with_a_downgrade() {
    let Some(tools) = Tools::of_lines(&["3.6", "3.7"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = super::live::small_snapshot(&tools, "3.7", folder.path());
    let flags = ["--target-version", "3.6", "--downgrade", "--bump-revision", "auto"];
    let single = Single::start(&tools, &file, "3.6", None, &flags);
    let revision = single.plan["revisionAfter"].as_i64().expect("a revision");
    single.client.store(Some(revision)).assert_holds(&Store::of_file(&file, 0));
    // Said by a plan, before there is a server to ask.
    let place = tempfile::tempdir().expect("a folder");
    let target = place.path().join("etcd");
    let args = ["restore", file.to_str().expect("UTF-8"), "--data-dir", target.to_str().expect("UTF-8")];
    let plan = etcdsnap([&args[..], &flags, &["--dry-run", "-o", "json"]].concat()).expect(0).json();
    assert_eq!(plan["hashKV"]["hashRevision"], revision);
    assert_eq!(plan["hashKV"]["hash"], single.client.hashkv(revision));
}
