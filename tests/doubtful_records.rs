//! Readers on files whose pages are in order and whose records are not: one that contradicts
//! itself, and revisions that are missing as a whole, so that nothing points at their place.
#![cfg(feature = "cli")]

mod harness;
mod support;

use std::path::{Path, PathBuf};

use harness::{Answer, ask};
use support::store::{Put, Store, put, revision};
use support::{Entry, entry};

/// Key `k01` is written at 11, 21, 31, 41, 51 and 61, `k03` at 3 to 53, others likewise.
fn sample() -> Store {
    Store::sample(60)
}

/// Index of the record with main revision `main`.
fn of(main: usize) -> usize {
    main - 2
}

fn written(store: &Store, folder: &Path) -> PathBuf {
    let path = folder.join("store.db");
    std::fs::write(&path, store.build().file).expect("written");
    path
}

/// The commands that answer from all records.
const ALL: [&[&str]; 6] =
    [&["status"], &["hashkv"], &["keys"], &["list"], &["api-resources"], &["history", "--key", "k05"]];

fn asked(command: &[&str], file: &Path, more: &[&str]) -> Answer {
    let file = file.to_str().expect("UTF-8");
    let (name, options) = command.split_first().expect("a command");
    ask(&[&[*name, file], options, more].concat())
}

fn value(file: &Path, key: &str, more: &[&str]) -> Answer {
    asked(&["value"], file, &[&[key], more].concat())
}

/// A write of `k01` at 61, of which one number is wrong.
fn contradictory() -> Vec<(Entry, &'static str)> {
    let right = Put { key: b"k01", create: 11, modified: 61, version: 6, value: b"v", lease: 0 };
    let with = |kv: Put<'_>| entry(revision(61, 0), kv.to_bytes());
    let deletion = [revision(61, 0).as_slice(), b"t"].concat();
    vec![
        (with(Put { modified: 60, ..right }), "expected mod revision 61, found mod revision 60"),
        (with(Put { create: 62, ..right }), "expected a create revision from 1 to 61"),
        (with(Put { version: 0, ..right }), "found version 0"),
        (with(Put { version: 1, ..right }), "found version 1, created at 11"),
        (with(Put { key: b"", ..right }), "found an empty key"),
        (with(Put { create: 0, modified: 0, version: 0, value: b"", ..right }), "without that mark"),
        (
            with(Put { create: 0, modified: 0, version: 0, value: b"", key: b"", lease: 0 }),
            "found an empty key",
        ),
        (entry(deletion.clone(), Put { version: 0, ..right }.to_bytes()), "found more than a key"),
        (entry(deletion, right.to_bytes()), "found the write of revision 61"),
    ]
}

#[test]
fn a_record_that_contradicts_itself_is_damage_to_every_reader() {
    for (wrong, words) in contradictory() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = sample();
        store.key[of(61)] = wrong;
        let file = written(&store, folder.path());
        let words = format!("the file is damaged: record of revision 61: it contradicts itself: {words}");
        let (start, end) = words.split_at(words.find("itself").expect("there"));
        for command in ALL {
            asked(command, &file, &[]).refuses(1).says(start).says(end.rsplit(": ").next().expect("words"));
            asked(command, &file, &["--skip-damaged"])
                .exits(1)
                .says("left out: 1 record that cannot be read or contradicts itself");
        }
        value(&file, "k01", &[]).refuses(1).says(start);
        // Without it the key is what it was before.
        let older = value(&file, "k01", &["--skip-damaged"]).exits(1).says("warning: damage was skipped");
        assert_eq!(older.text(), "value of k01 at 51");
    }
}

#[test]
fn what_was_written_after_a_contradiction_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = sample();
    store.key[of(31)] = put("k01", 31, 11, 7);
    let wrong = Put { key: b"k01", create: 11, modified: 30, version: 3, value: b"v", lease: 0 };
    store.key[of(31)].value = wrong.to_bytes();
    let file = written(&store, folder.path());
    assert_eq!(value(&file, "k09", &[]).exits(0).text(), "value of k09 at 59");
    value(&file, "nobody", &[]).refuses(1).says("record of revision 31");
    value(&file, "k01", &["--rev", "35"]).refuses(1).says("record of revision 31");
}

#[test]
fn a_leaf_that_is_gone_with_all_that_points_at_it_is_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = sample();
    store.key.drain(of(40)..of(52));
    let file = written(&store, folder.path());
    for command in ALL {
        asked(command, &file, &[]).refuses(1).says("the file is damaged: revisions 40 to 51 are missing");
        asked(command, &file, &["--skip-damaged"])
            .exits(1)
            .says("revisions 40 to 51 are missing: what was written in them is not in what you see");
    }
    // Whatever was written after them is what it is; of all else nobody knows.
    assert_eq!(value(&file, "k09", &[]).exits(0).text(), "value of k09 at 59");
    store.key.drain(of(40)..);
    store.key.push(put("late", 52, 52, 1));
    let file = written(&store, folder.path());
    assert_eq!(value(&file, "late", &[]).exits(0).text(), "value of late at 52");
    value(&file, "k09", &[]).refuses(1).says("revisions 40 to 51 are missing");
    assert_eq!(value(&file, "k09", &["--skip-damaged"]).exits(1).text(), "value of k09 at 39");
}

#[test]
fn changes_of_a_transaction_are_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = sample();
    store.key.push(put("a", 62, 62, 1));
    store.key.push(Entry { key: revision(62, 2), ..put("c", 62, 62, 1) });
    let file = written(&store, folder.path());
    for command in ALL {
        asked(command, &file, &[]).refuses(1).says("a part of revision 62 is missing");
    }
    value(&file, "k01", &[]).refuses(1);
}

#[test]
fn nothing_is_missed_that_was_compacted_away_or_leapt_over() {
    let sound = |store: &Store| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = written(store, folder.path());
        asked(&["verify"], &file, &[]).exits(0);
        for command in ALL {
            let answer = asked(command, &file, &[]);
            // Some of them find no Kubernetes here, which is another matter.
            let is_other = answer.err.contains("no store of Kubernetes");
            assert!(answer.code == Some(0) || is_other, "{}: {}", answer.asked, answer.err);
        }
        for key in ["k09", "k01"] {
            value(&file, key, &[]).exits(0);
        }
    };
    sound(&sample());
    // A compaction that was asked for and is half done.
    let mut half = sample();
    *half.value("meta", "scheduledCompactRev") = revision(40, 0);
    half.key.drain(..of(16));
    sound(&half);
    let mut done = sample();
    for key in ["scheduledCompactRev", "finishedCompactRev"] {
        *done.value("meta", key) = revision(25, 0);
    }
    done.key.drain(..of(16));
    sound(&done);
    // A restore that moved the revision ahead, and what was written since.
    let mut bumped = sample();
    *bumped.value("meta", "scheduledCompactRev") = revision(1_000_061, 0);
    bumped.key.push(entry(revision(1_000_061, 0), ""));
    sound(&bumped);
    bumped.key.push(put("after", 1_000_062, 1_000_062, 1));
    sound(&bumped);
    // As one that nobody marked as compacted.
    let mut unmarked = sample();
    unmarked.key.push(entry(revision(900, 0), ""));
    unmarked.key.push(put("after", 901, 901, 1));
    sound(&unmarked);
}

#[test]
fn a_last_leaf_that_counts_nothing_is_not_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut built = sample().build();
    let last = *built.leaves().last().expect("a leaf");
    let at = built.at(last, 10);
    built.set(at, &[0, 0]);
    support::reseal(&mut built.file);
    let file = folder.path().join("store.db");
    std::fs::write(&file, &built.file).expect("written");
    // Its older value is on the leaf before.
    value(&file, "k01", &[]).refuses(1);
    value(&file, "k05", &[]).refuses(1);
}
