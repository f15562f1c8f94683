//! Pages in each other's place: all records are there, the order of the tree is not that of
//! the revisions. Every answer is that of the sound file nevertheless, for whoever passes
//! over damage; and nobody answers without a word.

mod support;

use std::collections::BTreeMap;

use etcdsnap::etcd::keyspace::LiveKey;
use etcdsnap::etcd::record::Record;
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::kube::registry_key::Prefixes;
use etcdsnap::ops::{OpError, Progress, Settings, history, keys, lookup, status};

use support::store::{Built, Store};
use support::{ask, reseal};

/// Revision, value; neither for a deletion.
type Written = (i64, Option<Vec<u8>>);

/// All that readers say of a file.
#[derive(Debug, PartialEq)]
struct Answers {
    /// The keys at each revision, and now at 0.
    alive: BTreeMap<i64, BTreeMap<Vec<u8>, Written>>,
    looked_up: BTreeMap<(i64, Vec<u8>), Option<Written>>,
    histories: BTreeMap<Vec<u8>, Vec<Written>>,
    /// Keys and revision, by `status` and its five figures.
    status: [(u64, i64); 2],
}

fn written(record: &Record<'_>) -> Written {
    (record.revision.main, (!record.tombstone).then(|| record.kv.value.to_vec()))
}

fn answers(file: &[u8], all: &[Vec<u8>], revisions: &[i64], skip_damaged: bool) -> Result<Answers, OpError> {
    let snapshot = Snapshot::from_source(ask::source(file))?;
    let db = snapshot.db()?;
    let progress = Progress::default();
    let settings = Settings { skip_damaged, ..Settings::new(&progress) };
    let mut answers = Answers {
        alive: BTreeMap::new(),
        looked_up: BTreeMap::new(),
        histories: BTreeMap::new(),
        status: [(0, 0); 2],
    };
    for revision in revisions.iter().copied().map(Some).chain([None]) {
        let at = revision.unwrap_or(0);
        let listing = keys::keys(&db, Vec::new(), revision, &settings)?;
        let entry = |live: LiveKey<'_>| Some((live.key.to_vec(), written(&live.record()?)));
        answers.alive.insert(at, listing.iter().filter_map(entry).collect());
        for key in all {
            let state = lookup::key(&db, key, revision, &settings)?;
            answers.looked_up.insert((at, key.clone()), state.newest.as_ref().map(written));
        }
    }
    for key in all {
        let found = history::history(&db, std::slice::from_ref(key), &settings)?;
        answers.histories.insert(key.clone(), found.records.iter().map(written).collect());
    }
    let (figures, _) = status::figures(&snapshot, &settings)?;
    let page = status::status(&snapshot, &Prefixes::well_known(), &settings)?;
    answers.status = [(figures.total_keys, figures.revision), (page.figures.total_keys, page.window.current)];
    Ok(answers)
}

/// Exchanges two pages, but for their ids.
fn exchange(built: &mut Built, one: u64, other: u64) {
    let (first, second) = (built.at(one, 8), built.at(other, 8));
    let size = built.page_size - 8;
    let (a, b) = (built.file[first..first + size].to_vec(), built.file[second..second + size].to_vec());
    built.set(first, &b);
    built.set(second, &a);
    reseal(&mut built.file);
}

fn pairs(pages: &[u64]) -> Vec<(u64, u64)> {
    let behind = |(at, one): (usize, &u64)| pages[at + 1..].iter().map(|other| (*one, *other)).collect();
    pages.iter().enumerate().flat_map::<Vec<_>, _>(behind).collect()
}

#[test]
fn answers_are_those_of_the_revisions_and_not_of_the_order_of_the_pages() {
    let store = Store::sample(60);
    let sound = store.build();
    let at_all = [20, 40, 61];
    let snapshot = Snapshot::from_source(ask::source(&sound.file)).expect("it opens");
    let db = snapshot.db().expect("it opens");
    let progress = Progress::default();
    let now = keys::keys(&db, Vec::new(), Some(20), &Settings::new(&progress)).expect("keys");
    let mut all: Vec<Vec<u8>> = now.iter().map(|live| live.key.to_vec()).collect();
    all.push(b"of no record".to_vec());
    let expected = answers(&sound.file, &all, &at_all, false).expect("it is sound");
    assert!(expected.histories.values().flatten().any(|(_, value)| value.is_none()), "nothing was deleted");
    let levels = sound.levels.clone();
    let mut tried = 0;
    for (one, other) in levels.iter().take(2).flat_map(|level| pairs(level)) {
        let mut b = store.build();
        exchange(&mut b, one, other);
        let refused = answers(&b.file, &all, &at_all, false).expect_err("out of order");
        assert!(matches!(refused, OpError::Damaged { .. }), "{one} and {other}: {refused}");
        let found = answers(&b.file, &all, &at_all, true).expect("answers");
        assert_eq!(found, expected, "{one} and {other}");
        let report = ask::verify(&b.file);
        let facts = report.facts.expect("facts");
        assert_eq!((facts.live_keys, facts.revision), expected.status[0], "{one} and {other}");
        let lines = ask::lines(&report);
        assert!(!lines.iter().any(|line| line.contains("version-step")), "{lines:?}");
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn one_key_is_not_looked_up_in_the_wrong_place() {
    let store = Store::sample(60);
    let sound = store.build();
    let (first, last) = (sound.leaves()[0], *sound.leaves().last().expect("leaves"));
    let mut b = store.build();
    exchange(&mut b, first, last);
    // What was written first stands last, where whoever looks for something new begins.
    let key = {
        let snapshot = Snapshot::from_source(ask::source(&sound.file)).expect("it opens");
        let db = snapshot.db().expect("it opens");
        let progress = Progress::default();
        let listing = keys::keys(&db, Vec::new(), Some(6), &Settings::new(&progress)).expect("keys");
        listing.iter().next().expect("a key").key.to_vec()
    };
    let snapshot = Snapshot::from_source(ask::source(&b.file)).expect("it opens");
    let db = snapshot.db().expect("it opens");
    let progress = Progress::default();
    let refused = lookup::key(&db, &key, None, &Settings::new(&progress)).expect_err("out of order");
    assert!(matches!(refused, OpError::Damaged { .. }), "{refused}");
}
