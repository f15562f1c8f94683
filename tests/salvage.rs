//! What `salvage` makes of damaged files, held against the file before it was damaged.
//!
//! The made-up file is that of `tests/damage/main.rs`: branches 13 to 16 and leaves 2 to 12
//! of bucket `key`, root 18, free page 17, revisions 2 to 61, compacted at 5.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use etcdsnap::bolt::{Db, FileOffset, PageId, leaves_forward, whole_leaf};
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::etcd::state::State;
use etcdsnap::ops::salvage::{Base, BucketState, Doubt, Report, SalvageError, WhyLost};
use etcdsnap::ops::verify;
use etcdsnap::ops::{Progress, Settings, hashkv, status};
use etcdsnap::source::Source;
use proptest::prelude::*;
use support::store::Built;
use support::store::{self, Store, deletion, message, put, revision};
use support::{Entry, Pages, ask, entry, inline_bucket, leaf_image, tree_bucket};

const PAGE: usize = 1024;
const LEAF: u64 = 6;
const NEXT_LEAF: u64 = 7;
const BRANCH: u64 = 14;
const KEY_ROOT: u64 = 16;
const ROOT: u64 = 18;

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn bucket_of(file: &[u8], name: &[u8]) -> Records {
    let db = Db::open(file).expect("a database");
    let leaves = leaves_forward(&db, name).map(|leaf| leaf.expect("a sound leaf"));
    leaves.flatten().map(|element| (element.key().to_vec(), element.value().to_vec())).collect()
}

fn records(file: &[u8]) -> Records {
    bucket_of(file, b"key")
}

fn main_of(key: &[u8]) -> i64 {
    i64::from_be_bytes(key[..8].try_into().expect("a revision"))
}

/// Salvages a file; the result verifies.
fn salvaged(file: &[u8]) -> (Report, Vec<u8>) {
    let source = ask::source(file);
    let plan = ask::salvage(&source).expect("something to save");
    let bytes = plan.to_bytes().expect("written");
    assert_eq!(bytes.len() as u64, plan.size() + 32);
    let report = ask::verify(&bytes);
    assert!(plan.fits(&report), "{:?}\n{:?}", plan.report, report.findings.kinds());
    (plan.report.clone(), bytes)
}

/// As [`salvaged`], and nothing in the result is made up.
fn checked(truth: &[u8], damaged: &[u8]) -> (Report, Records) {
    let (report, bytes) = salvaged(damaged);
    let (truth, saved) = (records(truth), records(&bytes));
    let doubtful: BTreeSet<i64> =
        report.doubtful.first.iter().map(|doubtful| doubtful.named.revision.main).collect();
    for (key, value) in &saved {
        let main = main_of(key);
        assert!(truth.get(key) == Some(value) || doubtful.contains(&main), "revision {main}: {report:#?}");
    }
    assert_eq!(saved.len() as u64, report.records);
    (report, saved)
}

/// That everything of the history was saved.
#[track_caller]
fn all_saved(truth: &[u8], damaged: &[u8]) -> Report {
    let (report, saved) = checked(truth, damaged);
    assert!(saved == records(truth), "{report:#?}");
    assert!(report.gaps.is_empty() && report.lost.is_empty() && report.doubtful.is_empty(), "{report:#?}");
    report
}

fn sample() -> Built {
    Store::sample(60).build()
}

fn on_page(built: &Built, page: u64) -> Records {
    let db = Db::open(&built.file).expect("a database");
    let leaf = whole_leaf(&db.image, PageId(page)).expect("a leaf");
    leaf.iter().map(|element| (element.key().to_vec(), element.value().to_vec())).collect()
}

fn zero(built: &mut Built, page: u64) {
    let at = built.at(page, 0);
    built.file[at..at + PAGE].fill(0);
}

#[test]
fn a_sound_file_comes_out_as_it_was() {
    let mut files = support::fixtures();
    files.push(("sample".into(), sample().file));
    for (name, file) in files {
        let (report, bytes) = salvaged(&file);
        assert!(report.is_complete() && report.sound && !report.latest_affected(), "{name}: {report:?}");
        assert!(records(&bytes) == records(&file), "{name}");
        let progress = Progress::default();
        let settings = Settings::new(&progress);
        let hashes = |file: &[u8]| {
            let snapshot = Snapshot::from_source(ask::source(file)).expect("a snapshot");
            let hash = hashkv::hashkv(&snapshot, None, &settings).expect("a hash");
            let figures = status::figures(&snapshot, &settings).expect("figures");
            (format!("{hash:?}"), figures.0.hash)
        };
        assert_eq!(hashes(&bytes), hashes(&file), "{name}");
    }
}

#[test]
fn without_metas_the_root_is_found_by_its_form() {
    let (truth, mut built) = (sample(), sample());
    built.file[..2 * PAGE].fill(0);
    let report = all_saved(&truth.file, &built.file);
    assert_eq!(report.base, Base::Page(etcdsnap::bolt::PageId(ROOT)));
    assert!(report.is_complete(), "{report:#?}");
    for (name, file) in support::fixtures() {
        let mut damaged = file.clone();
        damaged[..2 * 4096].fill(0xee);
        let (report, bytes) = salvaged(&damaged);
        assert!(records(&bytes) == records(&file), "{name}: {report:#?}");
        assert!(report.is_complete(), "{name}: {report:#?}");
    }
}

#[test]
fn without_a_root_the_tree_of_the_history_is_found() {
    // Key k03 is attached to a lease, and alive until 53.
    let (truth, mut built) = (Store::sample(50).build(), Store::sample(50).build());
    let root = built.root;
    zero(&mut built, root);
    let report = all_saved(&truth.file, &built.file);
    assert_eq!(report.base, Base::Meta(0));
    assert!(!report.is_complete());
    let lease = report.buckets.iter().find(|bucket| bucket.name == b"lease").expect("told");
    assert_eq!(lease.entries, 1, "made anew, as a key is attached to it");
    assert_eq!(report.leases_made, 1);
    assert!(report.buckets.iter().all(|bucket| bucket.state == BucketState::Empty));
}

#[test]
fn a_branch_that_is_gone_costs_nothing_that_is_still_there() {
    for page in [13, BRANCH, 15, KEY_ROOT] {
        let (truth, mut built) = (sample(), sample());
        zero(&mut built, page);
        let report = all_saved(&truth.file, &built.file);
        // Where records may have been compacted away, or may have followed the last
        // one, it cannot be known that these were all.
        assert_eq!(report.is_complete(), page == BRANCH, "{page}: {report:#?}");
    }
}

#[test]
fn a_leaf_without_its_header_is_read_by_its_table() {
    let (truth, mut built) = (sample(), sample());
    let at = built.at(LEAF, 0);
    built.set(at, &[0xff; 16]);
    assert!(all_saved(&truth.file, &built.file).is_complete());
}

#[test]
fn a_leaf_without_its_table_is_read_by_its_records() {
    let (truth, mut built) = (sample(), sample());
    let at = built.at(LEAF, 0);
    built.set(at, &[0; 16 * 7]);
    assert!(all_saved(&truth.file, &built.file).is_complete());
}

#[test]
fn a_count_that_is_too_small_or_too_large_hides_nothing() {
    for count in [0u16, 3, 5, 7, 900] {
        let (truth, mut built) = (sample(), sample());
        let at = built.at(LEAF, 10);
        built.set(at, &count.to_le_bytes());
        all_saved(&truth.file, &built.file);
    }
}

#[test]
fn an_element_that_cannot_be_read_costs_no_more_than_itself() {
    let truth = sample();
    for leaf in truth.leaves().iter().copied() {
        let mains: Vec<i64> = on_page(&truth, leaf).keys().map(|key| main_of(key)).collect();
        for (index, main) in mains.iter().enumerate() {
            let mut built = sample();
            // Its key would reach out of the page; its data are where they were.
            let at = built.element(leaf, index) + 8;
            built.set(at, &[0xff; 4]);
            let report = all_saved(&truth.file, &built.file);
            assert!(report.is_complete() && !report.latest_affected(), "{leaf} {index}: {report:#?}");

            // Nothing of it is left, and all others are.
            let (from, element) = (truth.data(leaf, index), truth.element(leaf, index));
            let size = truth.word(element + 8) + truth.word(element + 12);
            built.file[from..from + size as usize].fill(0);
            let (report, saved) = checked(&truth.file, &built.file);
            let newer = |records: Records| -> Records {
                records
                    .into_iter()
                    .filter(|(key, _)| main_of(key) > report.compact_after.max(*main))
                    .collect()
            };
            assert!(newer(saved) == newer(records(&truth.file)), "{leaf} {index}: {report:#?}");
            assert!(!report.is_complete() && report.latest_affected(), "{leaf} {index}: {report:#?}");
            let is_last = *main == 61;
            assert_eq!(report.outdated.last_lost, (!is_last).then_some(*main), "{leaf} {index}");
        }
    }
}

#[test]
fn pages_that_changed_places_are_put_in_order() {
    let (truth, mut built) = (sample(), sample());
    let (one, other) = (built.at(LEAF, 0), built.at(NEXT_LEAF, 0));
    for offset in 0..PAGE {
        built.file.swap(one + offset, other + offset);
    }
    assert!(all_saved(&truth.file, &built.file).is_complete());
}

#[test]
fn a_cycle_costs_nothing() {
    let (truth, mut built) = (sample(), sample());
    let at = built.element(BRANCH, 0) + 8;
    built.set(at, &BRANCH.to_le_bytes());
    assert!(all_saved(&truth.file, &built.file).is_complete());
}

#[test]
fn what_is_gone_is_named_and_the_history_begins_behind_it() {
    let (truth, mut built) = (sample(), sample());
    let lost: BTreeSet<i64> = on_page(&truth, LEAF).keys().map(|key| main_of(key)).collect();
    zero(&mut built, LEAF);
    let (report, saved) = checked(&truth.file, &built.file);
    let gap = report.gaps.first[0];
    assert_eq!((gap.first..=gap.last).collect::<BTreeSet<_>>(), lost);
    assert_eq!(report.gaps.count, 1);
    assert_eq!((report.compact_before, report.compact_known), (5, true));
    assert!(report.compact_after >= gap.last);
    assert!(!report.is_complete() && report.latest_affected());
    // All that is newer, and the newest of every key before.
    let all = records(&truth.file);
    let newer = |records: &Records| -> Records {
        records.clone().into_iter().filter(|(key, _)| main_of(key) > report.compact_after).collect()
    };
    assert!(newer(&saved) == newer(&all));
    assert_eq!(report.live_keys, 9);
    // Keys that were written in the lost revisions are known by the step in their versions.
    let versions = report.lost.first.iter().filter(|lost| matches!(lost.why, WhyLost::Versions { .. }));
    assert!(versions.count() > 0 && report.lost.first.iter().all(|lost| !lost.why.is_latest()));
}

#[test]
fn keys_that_what_is_lost_may_have_deleted_are_named() {
    let mut store = Store::sample(60);
    let change = |main, sub, of: Entry| Entry { key: revision(main, sub), ..of };
    store.key.insert(1, change(2, 1, put("dead", 2, 2, 1)));
    store.key.insert(2, change(2, 2, put("alive", 2, 2, 1)));
    let behind = store.key.iter().position(|entry| main_of(&entry.key) == 31).expect("there");
    let deleted = deletion("dead", 30);
    store.key.insert(behind, Entry { key: [revision(30, 1).as_slice(), b"t"].concat(), ..deleted });
    let mut built = store.build();
    assert!(ask::verify(&built.file).is_sound());
    let mains = |page| on_page(&built, page).keys().map(|key| main_of(key)).collect::<Vec<_>>();
    let leaf = *built.leaves().iter().find(|page| mains(**page).contains(&30)).expect("a leaf");
    let last = *mains(leaf).last().expect("a record");
    zero(&mut built, leaf);
    let (report, bytes) = salvaged(&built.file);
    let outdated = &report.outdated;
    assert_eq!(outdated.last_lost, Some(last));
    // The newest first. All others were written after what is lost.
    let named: Vec<_> = outdated.keys.first.iter().map(|named| named.key.bytes.as_slice()).collect();
    assert_eq!((outdated.keys.count, named), (2, vec![&b"alive"[..], b"dead"]));
    assert!(records(&bytes).contains_key(&revision(2, 1)), "it is back, and was named");
    assert!(report.latest_affected() && !report.is_complete());
    assert_eq!(salvaged(&sample().file).0.outdated, Default::default());
}

#[test]
fn where_nobody_knows_how_the_history_ended_every_key_may_be_outdated() {
    let mut built = sample();
    let last = *built.leaves().last().expect("a leaf");
    zero(&mut built, last);
    let (report, _) = salvaged(&built.file);
    assert_eq!((report.outdated.last_lost, report.outdated.keys.count), (None, report.live_keys));
}

#[test]
fn of_a_cut_file_everything_before_the_cut_is_saved() {
    let (truth, built) = (sample(), sample());
    let cut = &built.file[..built.at(10, 0)];
    let (report, saved) = checked(&truth.file, cut);
    let before: Records = (2..10).flat_map(|page| on_page(&truth, page)).collect();
    assert!(saved == before, "{report:#?}");
    assert!(report.latest_affected());
}

#[test]
fn a_value_that_is_cut_off_is_lost_under_its_name() {
    // A large value at the end of the file, of which only the first page is left.
    let mut store = Store { leaf_bytes: 400, ..Store::sample(8) };
    let value = vec![b'v'; 3000];
    let kv = store::Put { key: b"large", create: 10, modified: 10, version: 1, value: &value, lease: 0 };
    store.key.push(entry(revision(10, 0), kv.to_bytes()));
    let truth = store.build();
    let large = *truth.leaves().last().expect("a leaf");
    let mut file = truth.file.clone();
    file.truncate(truth.at(large, PAGE));
    let (report, saved) = checked(&truth.file, &file);
    assert_eq!(saved.len(), 8);
    let lost = &report.lost.first[0];
    assert_eq!((lost.named.key.bytes.as_slice(), lost.why), (&b"large"[..], WhyLost::Torn { newer: false }));
}

/// A store of one leaf for bucket `key` and, before it, pages that are not in use.
fn with_stale(current: &[support::Entry], stale: &[&[support::Entry]], compacted: i64) -> (Vec<u8>, u64) {
    let mut pages = Pages::new(PAGE);
    for leaf in stale {
        pages.place(leaf_image(leaf));
    }
    let (one, other) = current.split_at(current.len() / 2);
    let children = [one, other].map(|leaf| (leaf[0].key.clone(), pages.place(leaf_image(leaf))));
    let branch = pages.place(support::branch_image(&children));
    let meta = [
        entry("consistent_index", 9u64.to_be_bytes()),
        entry("finishedCompactRev", revision(compacted, 0)),
        entry("scheduledCompactRev", revision(compacted, 0)),
        entry("term", 2u64.to_be_bytes()),
    ];
    let names = [support::bucket("key", tree_bucket(branch)), support::bucket("meta", inline_bucket(&meta))];
    let root = pages.place(leaf_image(&names));
    (support::seal(pages.finish(root, support::NO_FREELIST, 8)), branch)
}

/// Key `dead` was written at 4, deleted at 6, and the store compacted at 8.
fn current() -> Vec<support::Entry> {
    vec![put("a", 3, 3, 1), put("b", 5, 5, 1), put("c", 7, 7, 1), put("d", 9, 9, 1), put("e", 10, 10, 1)]
}

fn zero_page(file: &mut [u8], page: u64) {
    let at = usize::try_from(page).expect("small") * PAGE;
    file[at..at + PAGE].fill(0);
}

#[test]
fn what_was_deleted_and_compacted_away_does_not_come_back() {
    let stale = [put("a", 3, 3, 1), put("dead", 4, 4, 1), put("b", 5, 5, 1)];
    let (mut file, branch) = with_stale(&current(), &[&stale], 8);
    let truth = file.clone();
    zero_page(&mut file, branch);
    let (report, saved) = checked(&truth, &file);
    assert_eq!(report.proven_gone, 1, "{report:#?}");
    assert!(saved == records(&truth));
}

#[test]
fn what_may_have_been_deleted_is_saved_as_doubtful() {
    // The leaf that would prove it is gone too.
    let stale = [put("a", 3, 3, 1), put("dead", 4, 4, 1), put("b", 5, 5, 1)];
    let (mut file, branch) = with_stale(&current(), &[&stale], 8);
    let truth = file.clone();
    zero_page(&mut file, branch);
    zero_page(&mut file, branch - 2);
    let (report, saved) = checked(&truth, &file);
    let doubtful: Vec<_> =
        report.doubtful.first.iter().map(|doubtful| (doubtful.named.revision.main, doubtful.doubt)).collect();
    for main in [3, 4, 5] {
        assert!(doubtful.contains(&(main, Doubt::Unlinked)), "{doubtful:?}");
    }
    assert!(saved.contains_key(&revision(4, 0)));
    assert!(!doubtful.iter().any(|(main, _)| *main > 8), "nothing is removed above: {doubtful:?}");
}

#[test]
fn where_the_deletion_is_left_too_nothing_is_doubtful_about_it() {
    let stale =
        [put("a", 3, 3, 1), put("dead", 4, 4, 1), put("b", 5, 5, 1), deletion("dead", 6), put("c", 7, 7, 1)];
    let (mut file, branch) = with_stale(&current(), &[&stale], 8);
    let truth = file.clone();
    zero_page(&mut file, branch);
    zero_page(&mut file, branch - 2);
    let (_, saved) = checked(&truth, &file);
    assert!(!saved.contains_key(&revision(4, 0)));
}

#[test]
fn small_buckets_come_from_the_newest_older_root() {
    let mut pages = Pages::new(PAGE);
    let leaf = pages.place(leaf_image(&current()));
    let root = |index: u64, name: &str| {
        let meta = [
            entry("consistent_index", index.to_be_bytes()),
            entry("finishedCompactRev", revision(8, 0)),
            entry("scheduledCompactRev", revision(8, 0)),
            entry("term", 2u64.to_be_bytes()),
        ];
        leaf_image(&[
            support::bucket("key", tree_bucket(leaf)),
            support::bucket("members", inline_bucket(&[store::member(1, name, false)])),
            support::bucket("meta", inline_bucket(&meta)),
        ])
    };
    pages.place(root(5, "older"));
    pages.place(root(7, "newer"));
    pages.place(root(6, "middle"));
    let current = pages.place(root(9, "current"));
    let mut file = support::seal(pages.finish(current, support::NO_FREELIST, 8));
    zero_page(&mut file, current);
    let (report, bytes) = salvaged(&file);
    let state = State::read(&Db::open(&bytes).expect("a database"));
    assert_eq!(state.members[0].name, "newer");
    assert_eq!(state.consistent_index, Some(7));
    assert_eq!(report.base, Base::Meta(0));
    assert!(!report.compact_known);
    assert_eq!(report.compact_after, 8);
}

#[test]
fn authentication_that_nobody_could_use_is_switched_off() {
    let mut store = Store::sample(20);
    *store.value("auth", "authEnabled") = vec![1];
    let user = message(&[(1, Err(b"root")), (2, Err(b"hash")), (3, Err(b"root"))]);
    store.of("authUsers").push(entry("root", user));
    let mut built = store.build();
    let users = built.bucket("authUsers");
    // The bucket's own page: another kind of page.
    built.set(users + 16 + 8, &[0x55, 0x55]);
    let (report, bytes) = salvaged(&built.file);
    assert!(report.auth_disabled);
    assert!(!State::read(&Db::open(&bytes).expect("a database")).auth_enabled);
}

#[test]
fn in_what_is_no_database_nothing_is_found() {
    for bytes in [vec![], vec![0; 100_000], b"text".repeat(9999), vec![0xff; 5000]] {
        let source = Source::from_bytes("x", bytes);
        assert!(matches!(ask::salvage(&source), Err(SalvageError::Nothing { .. })));
    }
}

#[test]
fn places_are_told_where_they_are() {
    let (_, mut built) = (sample(), sample());
    zero(&mut built, BRANCH);
    zero(&mut built, LEAF);
    let (report, _) = salvaged(&built.file);
    for lost in &report.lost.first {
        let FileOffset(at) = lost.named.offset;
        let at = usize::try_from(at).expect("small");
        assert_eq!(main_of(&built.file[at..]), lost.named.revision.main);
    }
}

/// A mutation of the pages, not of what is inside a value.
#[derive(Debug, Clone)]
enum Mutation {
    Zero(usize),
    Header(usize, usize, u8),
    Table(usize, usize, u8),
    Swap(usize, usize),
    Double(usize, usize),
    Cut(usize),
    Meta(usize, usize, u8),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let page = 0usize..1 << 20;
    prop_oneof![
        page.clone().prop_map(Mutation::Zero),
        (page.clone(), 0usize..16, any::<u8>()).prop_map(|(page, at, byte)| Mutation::Header(page, at, byte)),
        (page.clone(), 16usize..400, any::<u8>())
            .prop_map(|(page, at, byte)| Mutation::Table(page, at, byte)),
        (page.clone(), page.clone()).prop_map(|(one, other)| Mutation::Swap(one, other)),
        (page.clone(), page.clone()).prop_map(|(one, other)| Mutation::Double(one, other)),
        page.clone().prop_map(Mutation::Cut),
        (0usize..2, 0usize..80, any::<u8>()).prop_map(|(meta, at, byte)| Mutation::Meta(meta, at, byte)),
    ]
}

fn mutate(file: &mut Vec<u8>, page_size: usize, mutation: &Mutation) {
    let pages = file.len() / page_size;
    if pages < 3 {
        return;
    }
    let at = |page: usize| (2 + page % (pages - 2)) * page_size;
    match *mutation {
        Mutation::Zero(page) => file[at(page)..at(page) + page_size].fill(0),
        Mutation::Header(page, offset, byte) => file[at(page) + offset] = byte,
        Mutation::Table(page, offset, byte) => {
            // Only what is a table: the count tells.
            let start = at(page);
            let count = usize::from(u16::from_le_bytes([file[start + 10], file[start + 11]]));
            if offset < 16 + 16 * count {
                file[start + offset] = byte;
            }
        }
        Mutation::Swap(one, other) => {
            for offset in 0..page_size {
                file.swap(at(one) + offset, at(other) + offset);
            }
        }
        Mutation::Double(from, to) => file.copy_within(at(from)..at(from) + page_size, at(to)),
        Mutation::Cut(page) => file.truncate(at(page)),
        Mutation::Meta(meta, offset, byte) => file[meta * page_size + offset] = byte,
    }
}

fn never_makes_anything_up(truth: &[u8], page_size: usize, mutations: &[Mutation]) {
    let mut file = truth.to_vec();
    // Tables first, while the counts still tell where they end: a byte behind that
    // is one of a value, and nothing would show that it was changed.
    let (tables, others): (Vec<_>, Vec<_>) =
        mutations.iter().partition(|mutation| matches!(mutation, Mutation::Table(..)));
    for mutation in tables.into_iter().chain(others) {
        mutate(&mut file, page_size, mutation);
    }
    let source = Source::from_bytes("mutated.db", file.clone());
    match ask::salvage(&source) {
        Err(SalvageError::Nothing { .. }) => {}
        Err(error) => panic!("{error}"),
        Ok(_) => {
            checked(truth, &file);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_made_up_of_damaged_pages(mutations in prop::collection::vec(mutation(), 1..6)) {
        never_makes_anything_up(&sample().file, PAGE, &mutations);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_made_up_of_a_damaged_real_file(mutations in prop::collection::vec(mutation(), 1..12)) {
        let file = std::fs::read("fixtures/snapshots/etcd-3.6.db").expect("a fixture");
        never_makes_anything_up(&file, 4096, &mutations);
    }
}

#[test]
fn options_of_verify_do_not_matter_to_what_is_saved() {
    let source = ask::source(&sample().file);
    let plan = ask::salvage(&source).expect("sound");
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out.db");
    let progress = Progress::default();
    let settings = Settings::new(&progress);
    let written = plan.write(&out, &verify::Options::default(), &settings).expect("written");
    let bytes = std::fs::read(&out).expect("there");
    assert_eq!(bytes, plan.to_bytes().expect("in memory"));
    assert_eq!(written.written.size, bytes.len() as u64);
    assert!(matches!(plan.write(&out, &verify::Options::default(), &settings), Err(SalvageError::File(_))));
}
