//! Pages in each other's place: all records are there, the order of the tree is not that of
//! the revisions. Every answer is that of the sound file nevertheless, for whoever passes
//! over damage; and nobody answers without a word.

mod support;

use std::collections::BTreeMap;

use etcdsnap::etcd::keyspace::LiveKey;
use etcdsnap::etcd::record::Record;
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::kube::registry_key::Prefixes;
use etcdsnap::ops::{OpError, Progress, Settings, hashkv, history, keys, lookup, status};

use support::store::{Built, Store};
use support::{ask, entry, reseal};

/// Revision, value; neither for a deletion.
type Written = (i64, Option<Vec<u8>>);

/// All that readers say of a file. Each answers for itself.
struct Readers<'f> {
    snapshot: &'f Snapshot,
    all: &'f [Vec<u8>],
    skip_damaged: bool,
}

/// What is asked, in words, and the answer in any form that can be compared.
type Answers = BTreeMap<String, Result<String, OpError>>;

fn written(record: &Record<'_>) -> Written {
    (record.revision.main, (!record.tombstone).then(|| record.kv.value.to_vec()))
}

impl Readers<'_> {
    fn answers(&self) -> Answers {
        let mut answers = Answers::new();
        let db = self.snapshot.db().expect("it opens");
        let progress = Progress::default();
        // Some thousand questions: threads would take longer to begin than to answer.
        let threads = std::num::NonZeroUsize::MIN;
        let settings = Settings { skip_damaged: self.skip_damaged, threads, progress: &progress };
        let mut add = |question: String, answer: Result<String, OpError>| {
            answers.insert(question, answer);
        };
        for revision in [None, Some(20), Some(40), Some(61)] {
            let entry = |live: LiveKey<'_>| Some((live.key.to_vec(), written(&live.record()?)));
            let listing = keys::keys(&db, Vec::new(), revision, &settings);
            let listing =
                listing.map(|listing| (listing.revision, listing.iter().filter_map(entry).collect()));
            add(format!("keys at {revision:?}"), listing.map(|found: (i64, Vec<_>)| format!("{found:?}")));
            for key in self.all {
                let state = lookup::key(&db, key, revision, &settings);
                let state = state.map(|state| format!("{:?}", state.newest.as_ref().map(written)));
                add(format!("{} at {revision:?}", key.escape_ascii()), state);
            }
            let hash = hashkv::hashkv(self.snapshot, revision, &settings);
            add(format!("hash at {revision:?}"), hash.map(|report| format!("{:?}", report.hash)));
        }
        for key in self.all {
            let found = history::history(&db, std::slice::from_ref(key), &settings);
            let found = found.map(|found| found.records.iter().map(written).collect());
            add(
                format!("history of {}", key.escape_ascii()),
                found.map(|found: Vec<_>| format!("{found:?}")),
            );
        }
        let figures = status::figures(self.snapshot, &settings);
        add("figures".into(), figures.map(|(found, _)| format!("{} {}", found.total_keys, found.revision)));
        let page = status::status(self.snapshot, &Prefixes::well_known(), &settings);
        let page = page.map(|page| format!("{} {:?}", page.figures.total_keys, page.window));
        add("status".into(), page);
        let same = hashkv::compare(std::slice::from_ref(self.snapshot), None, &settings);
        add("comparison".into(), same.map(|same| format!("{:?}", same.map(|found| found.hashes[0].hash))));
        answers
    }
}

fn answers(file: &[u8], all: &[Vec<u8>], skip_damaged: bool) -> Answers {
    let snapshot = Snapshot::from_source(ask::source(file)).expect("it opens");
    Readers { snapshot: &snapshot, all, skip_damaged }.answers()
}

/// Exchanges two pages, but for their ids.
fn exchange(built: &mut Built, one: u64, other: u64) {
    let (first, second) = (built.at(one, 8), built.at(other, 8));
    swap(built, first, second, built.page_size - 8);
}

fn pairs(pages: &[u64]) -> Vec<(u64, u64)> {
    let behind = |(at, one): (usize, &u64)| pages[at + 1..].iter().map(|other| (*one, *other)).collect();
    pages.iter().enumerate().flat_map::<Vec<_>, _>(behind).collect()
}

/// Exchanges `size` bytes at two places.
fn swap(built: &mut Built, one: usize, other: usize, size: usize) {
    let (a, b) = (built.file[one..one + size].to_vec(), built.file[other..other + size].to_vec());
    built.set(one, &b);
    built.set(other, &a);
    reseal(&mut built.file);
}

/// Exchanges two children of a branch, and if they are to be told apart by them no more, their
/// separators.
fn exchange_children(built: &mut Built, branch: u64, (one, other): (usize, usize), with_keys: bool) {
    let (first, second) = (built.element(branch, one), built.element(branch, other));
    swap(built, first + 8, second + 8, 8);
    if with_keys {
        let (first, second) = (key_of_child(built, first), key_of_child(built, second));
        swap(built, first, second, 17);
    }
}

fn key_of_child(built: &Built, element: usize) -> usize {
    element + built.word(element) as usize
}

/// Exchanges two entries of a leaf, of one size, that follow each other.
fn exchange_entries(built: &mut Built, leaf: u64, one: usize) -> bool {
    let size = |built: &Built, index| {
        let element = built.element(leaf, index);
        (built.word(element + 8), built.word(element + 12))
    };
    if size(built, one) != size(built, one + 1) {
        return false;
    }
    let (first, second) = (built.data(leaf, one), built.data(leaf, one + 1));
    swap(built, first, second, second - first);
    true
}

fn set_count(built: &mut Built, branch: u64, count: u16) {
    let at = built.at(branch, 10);
    built.set(at, &count.to_le_bytes());
    reseal(&mut built.file);
}

fn count(built: &Built, page: u64) -> u16 {
    let at = built.at(page, 10);
    u16::from_le_bytes(built.file[at..at + 2].try_into().expect("two bytes"))
}

/// The sound store, what its readers say, and all its keys.
fn sound() -> (Store, Built, Answers, Vec<Vec<u8>>) {
    let store = Store::sample(60);
    let sound = store.build();
    let mut all: Vec<Vec<u8>> = (0..10).map(|number| format!("k{number:02}").into_bytes()).collect();
    all.push(b"of no record".to_vec());
    let expected = answers(&sound.file, &all, false);
    assert!(expected.values().all(Result::is_ok));
    let has_deletion = |found: &Result<String, _>| found.as_ref().is_ok_and(|found| found.contains("None"));
    assert!(expected.iter().any(|(question, found)| question.starts_with("history") && has_deletion(found)));
    (store, sound, expected, all)
}

/// Readers that go by all records refuse; who looks for one key may find it before, and is right
/// then.
fn refused_or_right(file: &[u8], all: &[Vec<u8>], expected: &Answers, what: &str) {
    for (question, answer) in answers(file, all, false) {
        match answer {
            Ok(found) => {
                assert!(question.starts_with('k') && question.contains(" at "), "{what}: {question}");
                assert!(!question.starts_with("keys"), "{what}: {question}");
                assert_eq!(found, *expected[&question].as_ref().expect("sound"), "{what}: {question}");
            }
            Err(error) => assert!(matches!(error, OpError::Damaged { .. }), "{what}: {question}: {error}"),
        }
    }
}

fn right(file: &[u8], all: &[Vec<u8>], expected: &Answers, what: &str) {
    refused_or_right(file, all, expected, what);
    for (question, answer) in answers(file, all, true) {
        let found = answer.unwrap_or_else(|error| panic!("{what}: {question}: {error}"));
        assert_eq!(found, *expected[&question].as_ref().expect("sound"), "{what}: {question}");
    }
    let report = ask::verify(file);
    let facts = report.facts.expect("facts");
    let figures = format!("{} {}", facts.live_keys, facts.revision);
    assert_eq!(figures, *expected["figures"].as_ref().expect("sound"), "{what}");
    let lines = ask::lines(&report);
    assert!(lines.iter().any(|line| line.contains("tree/key-")), "{what}: {lines:?}");
    assert!(!lines.iter().any(|line| line.contains("history/")), "{what}: {lines:?}");
}

#[test]
fn answers_are_those_of_the_revisions_and_not_of_the_order_of_the_pages() {
    let (store, sound, expected, all) = sound();
    let mut tried = 0;
    for (one, other) in sound.levels.iter().take(2).flat_map(|level| pairs(level)) {
        let mut b = store.build();
        exchange(&mut b, one, other);
        right(&b.file, &all, &expected, &format!("pages {one} and {other}"));
        tried += 1;
    }
    for branch in sound.levels[1..].iter().flatten() {
        for (one, other) in pairs(&(0..u64::from(count(&sound, *branch))).collect::<Vec<_>>()) {
            for with_keys in [false, true] {
                let mut b = store.build();
                exchange_children(&mut b, *branch, (one as usize, other as usize), with_keys);
                right(
                    &b.file,
                    &all,
                    &expected,
                    &format!("{one} and {other} of branch {branch}, {with_keys}"),
                );
                tried += 1;
            }
        }
    }
    for leaf in sound.leaves() {
        for one in 0..usize::from(count(&sound, *leaf)) - 1 {
            let mut b = store.build();
            if exchange_entries(&mut b, *leaf, one) {
                right(&b.file, &all, &expected, &format!("{one} and the next of leaf {leaf}"));
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

#[test]
fn what_a_branch_does_not_name_any_more_is_missed() {
    let (store, sound, expected, all) = sound();
    for branch in sound.levels[1..].iter().flatten() {
        for fewer in 0..count(&sound, *branch) {
            let mut b = store.build();
            set_count(&mut b, *branch, fewer);
            let what = format!("{fewer} children of {branch}");
            let (refused, passed) = (answers(&b.file, &all, false), answers(&b.file, &all, true));
            for (question, answer) in &refused {
                match answer {
                    Ok(found) => {
                        assert_eq!(found, expected[question].as_ref().expect("sound"), "{what}: {question}")
                    }
                    Err(OpError::Damaged { .. } | OpError::NothingLeft { .. }) => {}
                    Err(OpError::Revision(_)) => {
                        assert!(passed[question].is_err(), "{what}: {question}");
                    }
                    Err(error) => panic!("{what}: {question}: {error}"),
                }
            }
            assert!(refused["keys at None"].is_err(), "{what}");
        }
    }
}

#[test]
fn a_broken_older_meta_and_pages_out_of_order_are_not_a_lost_commit() {
    let (store, sound, expected, all) = sound();
    let leaves = sound.leaves();
    let mut b = store.build();
    exchange(&mut b, leaves[0], *leaves.last().expect("leaves"));
    // No digest, and a meta of which nothing is left: it may have led anywhere.
    let mut file = b.file[..b.file.len() - 32].to_vec();
    file[1024 + 8..1024 + 80].fill(0);
    right(&file, &all, &expected, "a member's db");
}

#[test]
fn disorder_elsewhere_does_not_hide_that_of_the_records() {
    let (mut store, _, expected, all) = sound();
    // More faults than are kept of a kind.
    let entries = store.of("alarm");
    *entries = (0..1100u32).rev().map(|number| entry(number.to_be_bytes(), "")).collect();
    let mut b = store.build();
    let (first, last) = (b.leaves()[0], *b.leaves().last().expect("leaves"));
    exchange(&mut b, first, last);
    let passed = answers(&b.file, &all, true);
    for question in ["status", "figures"] {
        assert_eq!(
            passed[question].as_ref().expect("an answer"),
            expected[question].as_ref().expect("sound")
        );
    }
}
