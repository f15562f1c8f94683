//! etcd starts on what was salvaged and restored, and has what was saved.

use std::fs;
use std::path::Path;

use etcdsnap::bolt::{Db, leaves_forward};

use super::process::{Tools, etcdsnap};
use super::restored::Single;
use super::snapshots::{Fixture, KUBERNETES_OF_3_6, OF_3_5, OF_3_6};
use super::store::hashkv;

const PAGE: usize = 4096;

/// What is done to a file.
type Damage = fn(&mut [u8]);

/// Pages by kind, as their headers have it.
fn pages(file: &[u8], flags: u16) -> Vec<usize> {
    let is = |page: &usize| {
        let at = page * PAGE;
        file[at..at + 8] == (*page as u64).to_le_bytes() && file[at + 8..at + 10] == flags.to_le_bytes()
    };
    (2..file.len() / PAGE).filter(is).collect()
}

fn zero(file: &mut [u8], page: usize) {
    file[page * PAGE..(page + 1) * PAGE].fill(0);
}

fn without_metas(file: &mut [u8]) {
    file[..2 * PAGE].fill(0);
}

fn without_branches(file: &mut [u8]) {
    for page in pages(file, 1) {
        zero(file, page);
    }
}

fn without_headers(file: &mut [u8]) {
    for page in pages(file, 2).into_iter().step_by(3) {
        file[page * PAGE..page * PAGE + 16].fill(0xff);
    }
}

/// The values of the entries of a bucket become something else: in every copy of its page.
fn spoil(file: &mut [u8], bucket: &[u8], byte: u8) {
    let db = Db::open(file).expect("a database");
    let leaves = leaves_forward(&db, bucket).map(|leaf| leaf.expect("a sound leaf"));
    let entries: Vec<_> = leaves
        .flatten()
        .map(|element| (element.key_value().to_vec(), element.key().len(), element.value().len()))
        .collect();
    for (entry, key, value) in entries.into_iter().filter(|(.., value)| *value > 0) {
        let mut from = 0;
        while let Some(at) = file[from..].windows(entry.len()).position(|bytes| bytes == entry) {
            let start = from + at + key;
            file[start..start + value].fill(byte);
            from = start + value;
        }
    }
}

fn with_leases_that_are_none(file: &mut [u8]) {
    spoil(file, b"lease", 0xff);
}

fn with_versions_that_are_none(file: &mut [u8]) {
    spoil(file, b"cluster", 0x1b);
    spoil(file, b"members", b'[');
}

fn with_positions_that_are_none(file: &mut [u8]) {
    spoil(file, b"meta", 0xff);
}

/// Salvages, restores, starts: every key that is said to be saved is there.
fn starts(fixture: &Fixture, line: &str, damage: Damage, whole: bool) {
    let Some(tools) = Tools::of_lines(&[line]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [damaged, saved] = ["damaged.db", "saved.db"].map(|name| folder.path().join(name));
    let mut file = fs::read(fixture.path()).expect("a fixture");
    damage(&mut file);
    fs::write(&damaged, file).expect("written");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let answer = etcdsnap(["salvage", &text(&damaged), &text(&saved), "-o", "json"]);
    let account = answer.expect(i32::from(!whole)).json();
    assert_eq!(account["complete"], whole, "{account:#}");
    etcdsnap(["verify", &text(&saved)]).expect(0);
    let single = Single::start(&tools, &saved, line, fixture.user, &[]);
    let revision = account["revision"].as_i64().expect("a revision");
    let store = single.client.store(Some(revision));
    assert_eq!(store.entries.len() as u64, account["saved"]["liveKeys"].as_u64().expect("a number"));
    store.assert_holds(fixture.store());
    assert_eq!(single.client.hashkv(revision), hashkv(&saved, 0));
    if whole {
        assert_eq!(hashkv(&saved, 0), hashkv(&fixture.path(), 0));
    }
    single.client.put("written-after-the-restore", "1");
}

#[test]
fn without_metas_on_3_6() {
    starts(&KUBERNETES_OF_3_6, "3.6", without_metas, true);
}

#[test]
fn without_branches_on_3_7() {
    starts(&KUBERNETES_OF_3_6, "3.7", without_branches, false);
}

#[test]
fn without_branches_on_3_5() {
    starts(&OF_3_5, "3.5", without_branches, false);
}

#[test]
fn without_the_headers_of_leaves_on_3_6() {
    starts(&OF_3_6, "3.6", without_headers, false);
}

#[test]
fn without_leases_that_are_none_on_3_6() {
    starts(&KUBERNETES_OF_3_6, "3.6", with_leases_that_are_none, false);
}

#[test]
fn without_versions_that_are_none_on_3_6() {
    starts(&OF_3_6, "3.6", with_versions_that_are_none, false);
}

#[test]
fn without_positions_that_are_none_on_3_6() {
    starts(&KUBERNETES_OF_3_6, "3.6", with_positions_that_are_none, false);
}
