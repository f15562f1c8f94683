//! Faults of released versions of etcd, as they show in a file: `verify` names
//! each, the versions that have it, the first without, and what to do. The files
//! of `fixtures/faults` were made by those versions; the others are built here.
#![cfg(feature = "cli")]

mod harness;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use etcdsnap::ops::known_fault;
use serde_json::Value;

use harness::restoring::{place, restore, text};
use harness::{SNAPSHOTS, ask, fixture, fixtures};
use support::history::{compacted, history};
use support::store::{Built, Store, deletion, lease, leased, member, message, put, revision};
use support::{Entry, MetaFields, NO_FREELIST, entry};

const CURRENT: &str = "etcd-3.5.1";

/// What is to be told of a file.
struct Told {
    code: &'static str,
    grade: &'static str,
    /// Versions with the fault, and the first without.
    versions: &'static [(&'static str, &'static str)],
    /// A part of what is to be done.
    remedy: &'static str,
}

const fn note(
    code: &'static str,
    versions: &'static [(&'static str, &'static str)],
    remedy: &'static str,
) -> Told {
    Told { code, grade: "note", versions, remedy }
}

const fn suspicious(
    code: &'static str,
    versions: &'static [(&'static str, &'static str)],
    remedy: &'static str,
) -> Told {
    Told { code, grade: "suspicious", versions, remedy }
}

const fn lost(
    code: &'static str,
    versions: &'static [(&'static str, &'static str)],
    remedy: &'static str,
) -> Told {
    Told { code, grade: "data-lost", versions, remedy }
}

fn real(name: &str) -> PathBuf {
    fixtures().join("faults").join(format!("{name}.db"))
}

/// The codes that are about how the file was copied, and not about a fault.
const OF_COPIES: [&str; 2] = ["digest-absent", "conf-state-stale"];

/// The findings in `file`, by code; what JSON and the page say must be the same.
fn found(file: &Path) -> Vec<Value> {
    let answer = ask(&["verify", "-o", "json", text(file)]);
    answer.json()["files"][0]["findings"].as_array().expect("findings").clone()
}

fn codes(file: &Path) -> Vec<String> {
    let codes = found(file).into_iter().map(|finding| finding["code"].as_str().expect("a code").to_owned());
    codes.filter(|code| !OF_COPIES.contains(&code.as_str())).collect()
}

fn texts(value: &Value) -> Vec<String> {
    let texts = value.as_array().into_iter().flatten();
    texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
}

/// Asserts that `verify` tells exactly this of `file`, in JSON and in words.
#[track_caller]
fn tells(file: &Path, told: &[Told]) {
    let mut expected: Vec<_> = told.iter().map(|told| told.code.to_owned()).collect();
    let mut given = codes(file);
    expected.sort();
    given.sort();
    assert_eq!(given, expected, "{}", file.display());
    let page = ask(&["verify", text(file)]).exits(i32::from(told.iter().any(|told| told.grade != "note")));
    let all = found(file);
    for told in told {
        let finding = all.iter().find(|finding| finding["code"] == told.code).expect("it was there");
        assert_eq!(finding["grade"], told.grade, "{finding}");
        let advice = finding["advice"].as_str().unwrap_or_default();
        assert!(advice.contains(told.remedy), "{} is not in {advice:?}", told.remedy);
        let faults = finding["knownFaults"].as_array().cloned().unwrap_or_default();
        let affected: Vec<_> = faults.iter().flat_map(|fault| texts(&fault["affected"])).collect();
        let fixed: Vec<_> = faults.iter().flat_map(|fault| texts(&fault["fixedIn"])).collect();
        for (with, without) in told.versions {
            assert!(affected.iter().any(|versions| versions == with), "{with} is not in {affected:?}");
            assert!(fixed.iter().any(|version| version == without), "{without} is not in {fixed:?}");
            assert!(page.text().contains(with) && page.text().contains(without), "{}", page.text());
        }
        assert_eq!(told.versions.is_empty(), faults.is_empty(), "{finding}");
        let links = faults.iter().flat_map(|fault| texts(&fault["references"]));
        assert!(links.into_iter().all(|link| link.starts_with("https://github.com/etcd-io/etcd/pull/")));
        let head = format!("{}: {}", told.grade, told.code);
        assert!(page.text().contains(&head) && page.text().contains(told.remedy), "{}", page.text());
    }
}

/// A file that is gone with its folder.
struct File {
    folder: tempfile::TempDir,
}

impl File {
    fn of(bytes: &[u8]) -> Self {
        let folder = place();
        fs::write(folder.path().join("built.db"), bytes).expect("written");
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("built.db")
    }
}

#[track_caller]
fn tells_of(store: &Store, told: &[Told]) {
    tells(&File::of(&store.build().file).path(), told);
}

fn sample() -> Store {
    Store::sample(60)
}

const ZOMBIES: &[(&str, &str)] = &[("3.5.0 to 3.5.25", "3.5.26")];
const DELETION: &[(&str, &str)] = &[("3.4.0 to 3.4.33", "3.4.34"), ("3.5.0 to 3.5.15", "3.5.16")];
const BACKWARDS: &[(&str, &str)] = &[("3.4.0 to 3.4.31", "3.4.32"), ("3.5.0 to 3.5.13", "3.5.14")];
const DEFRAGMENTED: &[(&str, &str)] =
    &[("3.4.0 to 3.4.37", "3.4.38"), ("3.5.0 to 3.5.22", "3.5.23"), ("3.6.0 to 3.6.4", "3.6.5")];

#[test]
fn members_that_a_restore_by_etcd_3_4_left_in_3_5_1() {
    let told = [
        note("member-not-in-raft", ZOMBIES, "3.5.26 or later"),
        note("member-name-shared", ZOMBIES, "3.5.26 or later"),
        note("peer-url-shared", ZOMBIES, "3.5.26 or later"),
    ];
    tells(&real("zombie-members"), &told);
    ask(&["members", text(&real("zombie-members"))]).exits(0).says("3.5.0 to 3.5.25; fixed in 3.5.26");
}

#[test]
fn members_that_were_removed_and_are_there() {
    let mut store = sample();
    store.of("members_removed").insert(0, entry("3", "removed"));
    tells_of(&store, &[note("zombie-member", ZOMBIES, "3.5.26 or later")]);
}

#[test]
fn members_that_3_5_0_forgot() {
    let mut store = sample();
    store.of("members").pop();
    let versions = &[("3.5.0", "3.5.1"), ("3.5.0 to 3.5.25", "3.5.26")];
    tells_of(&store, &[note("voter-without-member", versions, "3.5.26 or later")]);
}

#[test]
fn a_promotion_that_3_5_1_did_not_write_down() {
    let versions = &[("3.5.0 to 3.5.19", "3.5.20"), ("3.5.0 to 3.5.23", "3.5.24")];
    tells(&real("learner-not-promoted"), &[note("learner-not-promoted", versions, "not to 3.7 before")]);
}

#[test]
fn a_learner_whose_new_urls_made_it_a_voter() {
    let mut store = sample();
    *store.value("meta", "confState") = b"{\"voters\":[1,2],\"learners\":[3],\"auto_leave\":false}".to_vec();
    let versions = &[("3.5.0 to 3.5.30", "3.5.31"), ("3.6.0 to 3.6.11", "3.6.12")];
    tells_of(&store, &[note("learner-promoted-silently", versions, "etcdctl member promote")]);
}

#[test]
fn a_learner_left_by_a_forced_new_cluster() {
    let mut store = sample();
    *store.of("members") = vec![member(1, "a", false), member(2, "b", true)];
    *store.value("meta", "confState") = b"{\"voters\":[1],\"auto_leave\":false}".to_vec();
    let versions = &[("3.5.0 to 3.5.24", "3.5.25"), ("3.6.0 to 3.6.5", "3.6.6")];
    tells_of(&store, &[note("stray-learner", versions, "etcdctl member remove")]);
    // Where raft kept the learner as well, the file is that of any cluster of a
    // voter and a learner.
    tells(&real("force-new-cluster"), &[]);
}

#[test]
fn deletions_that_a_compaction_of_3_5_1_dropped() {
    let run = "Run 3.4.34, 3.5.16 or later";
    tells(&real("deletion-dropped"), &[note("compaction-dropped-deletion", DELETION, run)]);
    tells(&real("last-deletion-dropped"), &[note("compacted-beyond-last-record", DELETION, run)]);
}

#[test]
fn a_revision_that_went_back_on_3_5_1() {
    let file = real("revision-goes-back");
    let remedy = "Start 3.4.32, 3.5.14 or later";
    tells(&file, &[note("revision-goes-back", BACKWARDS, remedy), note("compaction-unfinished", &[], "")]);
    ask(&["status", "-o", "json", text(&file)]).exits(0);
    let report = ask(&["verify", "-o", "json", text(&file)]).json();
    assert_eq!(report["files"][0]["facts"]["revision"], 5, "that of the compaction");
}

#[test]
fn a_restore_of_3_5_1_without_a_bump_that_nobody_started() {
    tells(&real("restored-without-bump"), &[note("restored-without-bump", &[], "--bump-revision auto")]);
}

#[test]
fn a_restore_with_a_bump_that_nobody_started() {
    let mut store = sample();
    store.key.push(entry(revision(1_000_061, 0), ""));
    *store.value("meta", "scheduledCompactRev") = revision(1_000_061, 0);
    *store.value("meta", "consistent_index") = 3u64.to_be_bytes().to_vec();
    *store.value("meta", "term") = 1u64.to_be_bytes().to_vec();
    tells_of(&store, &[note("restored-with-bump", &[], "")]);
    // Started, the mark stays for ever, and means nothing.
    *store.value("meta", "finishedCompactRev") = revision(1_000_061, 0);
    *store.value("meta", "consistent_index") = 9u64.to_be_bytes().to_vec();
    *store.value("meta", "term") = 2u64.to_be_bytes().to_vec();
    let newest: Vec<Entry> = store.key.split_off(50);
    store.key = newest;
    tells_of(&store, &[]);
    // Compacted in the middle of the leap: nothing was ever written there.
    for key in ["scheduledCompactRev", "finishedCompactRev"] {
        *store.value("meta", key) = revision(500, 0);
    }
    tells_of(&store, &[]);
}

#[test]
fn alarms_of_3_5_1() {
    tells(&real("alarm-nospace"), &[note("alarm-nospace", &[], "etcdctl alarm disarm")]);
    tells(&real("alarm-corrupt"), &[note("alarm-corrupt", &[], "etcdctl alarm disarm")]);
}

#[test]
fn leases_that_are_not_there() {
    let mut store = sample();
    store.key.push(leased("new", 62, 62, 1, 78));
    tells_of(&store, &[note("lease-missing", &[("all before 3.4.0", "3.4.0")], "--detach-leases")]);
}

#[test]
fn leases_that_are_none() {
    let short = Entry { key: vec![0; 7], ..lease(5) };
    let other = Entry { key: lease(6).key, ..lease(5) };
    let over = entry(5i64.to_be_bytes(), message(&[(1, Ok(5)), (2, Ok(0))]));
    for bad in [short, other, over] {
        let mut store = sample();
        store.of("lease").insert(0, bad);
        tells_of(&store, &[suspicious("lease-unreadable", &[], "repack --detach-leases")]);
    }
}

#[test]
fn users_that_do_not_fit_together() {
    let mut store = sample();
    *store.value("auth", "authEnabled") = vec![1];
    tells_of(&store, &[suspicious("auth-without-root", &[], "--reset-root-password")]);
    let mut store = sample();
    store.of("authUsers").push(entry("bob", message(&[(1, Err(b"bob")), (3, Err(b"reader"))])));
    tells_of(&store, &[note("role-missing", &[], "etcdctl user revoke-role")]);
}

#[test]
fn storage_versions_of_another_etcd() {
    let mut store = sample();
    *store.value("meta", "storageVersion") = b"3.8.0".to_vec();
    tells_of(&store, &[note("storage-version-unknown", &[], "the etcd that wrote it")]);
    let newer = File::of(&store.build().file);
    restore(text(&newer.path()), &newer.folder.path().join("etcd"), &["--dry-run"]).refuses(2).says("3.8.0");
    // 3.6 on the data of 3.5, before all members agreed: nothing is wrong.
    store.of("meta").retain(|entry| entry.key != b"storageVersion");
    let upgraded = File::of(&store.build().file);
    tells(&upgraded.path(), &[]);
    let report = ask(&["verify", "-o", "json", text(&upgraded.path())]).json();
    assert_eq!(report["files"][0]["facts"]["etcdVersion"], "3.5");
    // Which etcd starts on what a restore makes of a file is in its plan.
    let place = place();
    let plan = restore(&fixture("etcd-3.6"), &place.path().join("etcd"), &["--dry-run", "-o", "json"]);
    let plan = plan.exits(0).json();
    assert!(
        plan["startsOn"].to_string().contains("3.6") && !plan["startsOn"].to_string().contains("3.5"),
        "{plan}"
    );
}

#[test]
fn copies_that_went_wrong() {
    let built = sample().build();
    let length = built.file.len();
    let cut = File::of(&built.file[..length / 2]);
    let all = codes(&cut.path());
    assert!(all.contains(&"truncated".to_owned()), "{all:?}");
    ask(&["verify", text(&cut.path())]).exits(1).says("Copy the file again");

    let mut rotten = built.clone();
    let at = rotten.data(rotten.leaves()[4], 2) + 40;
    rotten.file[at] ^= 1;
    tells(&File::of(&rotten.file).path(), &[lost("digest-differs", &[], "another copy")]);

    let mut stale = built;
    let pages = u64::try_from((length - 32) / stale.page_size).expect("few");
    let root = stale.root;
    let meta = MetaFields { page_size: 1024, root, freelist: NO_FREELIST, high_water_mark: pages, txid: 9 };
    support::set_meta(&mut stale.file, 1024, 1, meta);
    tells(&File::of(&stale.file).path(), &[suspicious("digest-stale", &[], "--skip-hash-check")]);
}

#[test]
fn a_copy_of_a_running_3_5_1() {
    let file = real("copy-of-running");
    tells(&file, &[lost("record-unreadable", &[], "etcdctl snapshot save")]);
    let place = place();
    restore(text(&file), &place.path().join("etcd"), &["--skip-hash-check", "--dry-run"]).refuses(1);
}

#[test]
fn a_tree_that_a_defragmentation_spoiled() {
    let mut built: Built = sample().build();
    let [first, second] = [0, 1].map(|index| built.element(built.levels[1][0], index) + 8);
    let child = built.file[first..first + 8].to_vec();
    built.set(second, &child);
    support::reseal(&mut built.file);
    let file = File::of(&built.file);
    let all = found(&file.path());
    let finding = all.iter().find(|finding| finding["code"] == "multiple-references").expect("two parents");
    assert_eq!(finding["grade"], "data-lost");
    let page = ask(&["verify", text(&file.path())]).exits(1).says("etcdsnap salvage");
    for (with, without) in DEFRAGMENTED {
        assert!(page.text().contains(with) && page.text().contains(without), "{}", page.text());
        assert!(finding["knownFaults"].to_string().contains(with));
    }
    // Of the same file with a wrong digest something else is to blame: it was changed since.
    let mut changed = built.file.clone();
    *changed.last_mut().expect("bytes") ^= 1;
    // Nor are they what a copy that was cut off comes of.
    let cut = built.file[..built.file.len() - 1500].to_vec();
    for (file, code) in [(changed, "multiple-references"), (cut, "page-beyond-file")] {
        let file = File::of(&file);
        let page = ask(&["verify", text(&file.path())]).exits(1).says(code);
        assert!(!page.text().contains("Known fault"), "{}", page.text());
        assert!(found(&file.path()).iter().all(|finding| finding.get("knownFaults").is_none()));
    }
}

#[test]
fn lists_of_free_pages_that_are_wrong() {
    let store = Store { freelist: Some(false), ..sample() };
    let versions = &[("3.2.0 to 3.2.9", "3.2.10")];
    for (id, code) in [(store.build().root, "reachable-freed"), (store.build().stale, "freed-twice")] {
        let mut built = store.build();
        let (count, second) = (built.at(built.freelist, 10), built.at(built.freelist, 24));
        built.set(count, &2u16.to_le_bytes());
        built.set(second, &id.to_le_bytes());
        support::reseal(&mut built.file);
        tells(&File::of(&built.file).path(), &[suspicious(code, versions, "etcdsnap repack")]);
    }
    let mut built = store.build();
    let count = built.at(built.freelist, 10);
    built.set(count, &0u16.to_le_bytes());
    support::reseal(&mut built.file);
    tells(&File::of(&built.file).path(), &[suspicious("unreachable-unfreed", versions, "etcdsnap repack")]);
}

/// What a restore makes of a list of members that is wrong: the new ones alone.
#[test]
fn a_restore_wipes_out_what_is_wrong_with_the_members() {
    for name in ["zombie-members", "learner-not-promoted", "force-new-cluster"] {
        let place = place();
        let target = place.path().join("etcd");
        let plan = restore(text(&real(name)), &target, &["--dry-run", "-o", "json"]).exits(0).json();
        let members = plan["members"].as_array().expect("members");
        assert_eq!(members.len(), 1, "{plan}");
        assert_eq!(members[0]["name"], "node1");
        restore(text(&real(name)), &target, &[]).exits(0);
        let db = target.join("member/snap/db");
        let listed = ask(&["members", "-o", "json", text(&db)]).exits(0).json();
        assert_eq!(listed["members"].as_array().map(Vec::len), Some(1), "{listed}");
        assert_eq!(listed["members"][0]["isLearner"], false);
        let left: Vec<_> = codes(&db).into_iter().filter(|code| code != "restored-without-bump").collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}

fn warnings(plan: &Value) -> Vec<String> {
    let warnings = plan["warnings"].as_array().expect("warnings").iter();
    warnings.map(|warning| warning["code"].as_str().expect("a code").to_owned()).collect()
}

fn plan(name: &str, more: &[&str]) -> Value {
    let place = place();
    let flags = [&["--dry-run", "-o", "json", "--skip-hash-check"], more].concat();
    restore(text(&real(name)), &place.path().join("etcd"), &flags).exits(0).json()
}

#[test]
fn a_restore_keeps_alarms_with_a_warning_or_clears_them() {
    for name in ["alarm-nospace", "alarm-corrupt"] {
        assert!(warnings(&plan(name, &[])).contains(&"alarm".to_owned()), "{name}");
        assert!(!warnings(&plan(name, &["--clear-alarms"])).contains(&"alarm".to_owned()), "{name}");
    }
}

#[test]
fn a_restore_warns_of_a_revision_that_may_go_back_unless_it_is_moved_ahead() {
    let kept = plan("revision-goes-back", &[]);
    assert_eq!(kept["revisionAfter"], 5);
    assert!(warnings(&kept).contains(&"revision-goes-back".to_owned()), "{kept}");
    let moved = plan("revision-goes-back", &["--bump-revision", "auto"]);
    assert!(moved["revisionAfter"].as_i64() > Some(1_000_000), "{moved}");
    assert!(!warnings(&moved).contains(&"revision-goes-back".to_owned()), "{moved}");
}

/// The store that is left of `transactions` after a compaction at `at`, by a
/// release that keeps deletions right there or by one that drops them.
fn after_compaction(at: i64, keeps: bool, transactions: &[&[(u8, Option<u8>)]]) -> Store {
    let transactions: Vec<_> = transactions.iter().map(|changes| changes.iter().copied().collect()).collect();
    let left = compacted(&history(&transactions), at, keeps);
    let mut store = sample();
    store.key = left.iter().map(support::history::Change::entry).collect();
    for key in ["scheduledCompactRev", "finishedCompactRev"] {
        *store.value("meta", key) = revision(at, 0);
    }
    store
}

#[test]
fn a_deletion_at_the_compact_revision_is_missed_only_if_it_was_dropped() {
    let (put, delete) = (Some(9), None);
    let transactions: &[&[(u8, Option<u8>)]] =
        &[&[(1, put), (2, put), (3, put)], &[(1, delete), (2, put)], &[(3, delete)], &[(4, put)]];
    for at in 2..=5 {
        let kept = after_compaction(at, true, transactions);
        tells_of(&kept, &[]);
        let dropped = after_compaction(at, false, transactions);
        let run = "Run 3.4.34, 3.5.16 or later";
        match at {
            3 | 4 => tells_of(&dropped, &[note("compaction-dropped-deletion", DELETION, run)]),
            _ => tells_of(&dropped, &[]),
        }
    }
    let mut plain = sample();
    plain.key = vec![put_at(2), deletion("k", 3)];
    for key in ["scheduledCompactRev", "finishedCompactRev"] {
        *plain.value("meta", key) = revision(3, 0);
    }
    tells_of(&plain, &[]);
}

fn put_at(main: i64) -> Entry {
    put("other", main, main, 1)
}

#[test]
fn sound_snapshots_of_released_versions_are_told_to_have_none_of_it() {
    for name in SNAPSHOTS {
        assert!(codes(Path::new(&fixture(name))).is_empty(), "{name}");
    }
}

/// The table in docs/findings.md has the codes and the versions of the program.
#[test]
fn the_document_names_the_same_versions() {
    let document = fs::read_to_string(fixtures().join("../docs/findings.md")).expect("the document");
    let (_, table) = document.split_once("## Faults of released versions").expect("the section");
    let codes = table.split('`').skip(1).step_by(2);
    let mut known = 0;
    for code in codes {
        for fault in known_fault::of(code, false) {
            known += 1;
            for versions in fault.versions {
                let (with, without) = (versions.to_string(), versions.fixed_in());
                let row = table.lines().find(|line| {
                    line.contains(&format!("`{code}`")) && line.contains(&with) && line.contains(&without)
                });
                assert!(row.is_some(), "{code}: {with}, {without}");
            }
        }
    }
    assert!(known > 20, "{known}");
    // Those of 3.5.1 are not only built: there is a file of each.
    let readme = fs::read_to_string(fixtures().join("README.md")).expect("the document");
    for file in fs::read_dir(fixtures().join("faults")).expect("the files") {
        let name = file.expect("a file").file_name().to_string_lossy().into_owned();
        assert!(
            readme.lines().any(|line| line.contains(&format!("`{name}`")) && line.contains(CURRENT)),
            "{name}"
        );
    }
}
