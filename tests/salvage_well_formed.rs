//! What `salvage` makes of files whose pages fit each other, and that are not sound all the
//! same: entries that are none, trees that lack revisions, a commit that no meta leads to.

mod support;

use std::collections::BTreeMap;

use etcdsnap::bolt::{Db, PageId, leaves_forward};
use etcdsnap::etcd::lease::Lease;
use etcdsnap::etcd::state::State;
use etcdsnap::ops::salvage::{Base, BucketState, LEASE_SECONDS, Report, WhyLost};
use support::store::{Built, Store, deletion, member, put, revision};
use support::{MetaFields, Pages, ask, branch_image, bucket, entry, inline_bucket, leaf_image, tree_bucket};

const PAGE: usize = 1024;

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

fn bucket_of(file: &[u8], name: &[u8]) -> Entries {
    let db = Db::open(file).expect("a database");
    let leaves = leaves_forward(&db, name).map(|leaf| leaf.expect("a sound leaf"));
    leaves.flatten().map(|element| (element.key().to_vec(), element.value().to_vec())).collect()
}

fn records(file: &[u8]) -> Entries {
    bucket_of(file, b"key")
}

/// Salvages a file; the result verifies, without any remark worse than a note.
#[track_caller]
fn salvaged(file: &[u8]) -> (Report, Vec<u8>) {
    let source = ask::source(file);
    let plan = ask::salvage(&source).expect("something to save");
    let bytes = plan.to_bytes().expect("written");
    let report = ask::verify(&bytes);
    assert!(plan.fits(&report) && report.is_sound(), "{:#?}\n{:?}", plan.report, report.findings.kinds());
    (plan.report.clone(), bytes)
}

fn state(file: &[u8]) -> State {
    State::read(&Db::open(file).expect("a database"))
}

/// The bucket, key and fate of each entry that is told of.
fn told(report: &Report) -> Vec<(&str, &[u8], bool)> {
    let entries = report.broken_entries.first.iter();
    let told = entries.map(|entry| {
        assert!(!entry.why.is_empty());
        let bucket = std::str::from_utf8(&entry.bucket).expect("UTF-8");
        (bucket, entry.key.bytes.as_slice(), entry.replaced)
    });
    told.collect()
}

#[test]
fn entries_that_etcd_cannot_read_are_not_carried_over() {
    type Change = fn(&mut Store);
    let changes: [(&'static str, &[u8], bool, Change); 14] = [
        ("cluster", b"clusterVersion", false, |store| {
            *store.value("cluster", "clusterVersion") = b"x.6".into()
        }),
        ("cluster", b"downgrade", false, |store| store.of("cluster").push(entry("downgrade", "{{"))),
        ("meta", b"finishedCompactRev", false, |store| {
            *store.value("meta", "finishedCompactRev") = vec![0xff; 17];
        }),
        ("meta", b"consistent_index", true, |store| *store.value("meta", "consistent_index") = vec![1]),
        ("meta", b"confState", false, |store| *store.value("meta", "confState") = b"{\"voters\":".into()),
        ("meta", b"storageVersion", true, |store| *store.value("meta", "storageVersion") = b"six".into()),
        ("meta", b"zzz", false, |store| store.of("meta").push(entry("zzz", "1"))),
        ("members", b"2", false, |store| *store.value("members", "2") = b"[[[[".into()),
        ("members", b"5", false, |store| store.of("members").push(entry("5", member(6, "f", false).value))),
        ("members_removed", b"nobody", false, |store| {
            store.of("members_removed").push(entry("nobody", "removed"))
        }),
        ("alarm", b"\xff", false, |store| store.of("alarm").push(entry([0xff], Vec::new()))),
        ("auth", b"authEnabled", false, |store| *store.value("auth", "authEnabled") = vec![7]),
        ("authUsers", b"eve", false, |store| store.of("authUsers").push(entry("eve", [0xff]))),
        ("authRoles", b"r", false, |store| store.of("authRoles").push(entry("r", "\x0a\x01s"))),
    ];
    for (name, key, replaced, change) in changes {
        let mut store = Store::sample(60);
        change(&mut store);
        let file = store.build().file;
        assert!(!ask::verify(&file).is_sound(), "{name}: nothing was changed");
        let (report, bytes) = salvaged(&file);
        assert_eq!(told(&report), [(name, key, replaced)]);
        assert!(!report.is_complete() && !report.sound && !report.latest_affected(), "{name}: {report:#?}");
        assert!(records(&bytes) == records(&file), "{name}");
        // All others of its bucket stay.
        let before = store.of(name).len();
        assert_eq!(
            bucket_of(&bytes, name.as_bytes()).len(),
            before - usize::from(!replaced),
            "{name} {key:?}"
        );
    }
}

#[test]
fn a_downgrade_to_no_version_is_not_carried_over() {
    for (target, stays) in [("3.5.0", true), ("\\u001b[2J", false), ("3.5", false)] {
        let mut store = Store::sample(60);
        let json = format!("{{\"target-version\":\"{target}\",\"enabled\":true}}");
        store.of("cluster").push(entry("downgrade", json));
        let (report, bytes) = salvaged(&store.build().file);
        assert_eq!(bucket_of(&bytes, b"cluster").contains_key(&b"downgrade"[..]), stays, "{target}");
        assert_eq!(report.is_complete(), stays, "{target}");
    }
}

#[test]
fn a_compaction_that_cannot_be_read_leaves_the_other() {
    let mut store = Store::sample(60);
    *store.value("meta", "finishedCompactRev") = vec![0xff; 17];
    let (report, bytes) = salvaged(&store.build().file);
    assert!(!report.compact_known && report.compact_after == 5, "{report:#?}");
    assert_eq!(state(&bytes).compact_revision(), Some(5));

    // Both, and nothing tells of a compaction but the history.
    *store.value("meta", "scheduledCompactRev") = vec![0xff; 17];
    let (report, _) = salvaged(&store.build().file);
    assert!(!report.compact_known, "{report:#?}");

    let mut store = Store::sample(60);
    *store.value("meta", "finishedCompactRev") = revision(30, 0);
    let (report, bytes) = salvaged(&store.build().file);
    assert_eq!(told(&report), [("meta", &b"scheduledCompactRev"[..], true)]);
    let state = state(&bytes);
    assert_eq!((state.scheduled_compact, state.compact_revision()), (state.finished_compact, Some(30)));
}

#[test]
fn leases_that_are_none_are_made_anew_where_keys_are_attached() {
    // Key k03 is attached to lease 77, and alive until 53.
    let mut store = Store::sample(50);
    let leases = store.of("lease");
    leases[0].value = vec![0xff; 12];
    leases.push(entry([1, 1, 1], Vec::new()));
    leases.insert(0, entry([0; 8], [0xff; 12]));
    let file = store.build().file;
    assert!(!ask::verify(&file).is_sound());
    let (report, bytes) = salvaged(&file);
    assert_eq!(report.leases_made, 1);
    let made: Vec<Lease> = bucket_of(&bytes, b"lease")
        .iter()
        .map(|(key, value)| Lease::parse(key, value).expect("a lease"))
        .collect();
    assert_eq!(
        made.iter().map(|lease| (lease.id.0, lease.ttl_seconds)).collect::<Vec<_>>(),
        [(77, LEASE_SECONDS)]
    );
    let fates: Vec<_> = told(&report).iter().map(|(_, key, replaced)| (key.len(), *replaced)).collect();
    assert_eq!(fates, [(8, false), (8, true), (3, false)]);
}

#[test]
fn a_write_of_nothing_is_lost_with_its_revision() {
    let mut store = Store::sample(60);
    store.key[30].value.clear();
    let file = store.build().file;
    let (report, bytes) = salvaged(&file);
    let main = 32;
    assert!(!records(&bytes).contains_key(&revision(main, 0)));
    assert!(
        report
            .lost
            .first
            .iter()
            .any(|lost| { lost.named.revision.main == main && lost.why == WhyLost::Contradictory })
    );
    // Version 4 of its key is missing to the one that was written at 42.
    assert_eq!((report.compact_after, report.revision), (42, 61));
}

#[test]
fn no_small_bucket_takes_pages_of_the_history_away() {
    let built = Store::sample(60).build();
    let truth = records(&built.file);
    for name in ["meta", "members", "lease", "authUsers"] {
        for page in [16, built.leaves()[3]] {
            let mut built = built.clone();
            // The bucket has a tree instead of its inline page, in the header of its value.
            let at = built.bucket(name);
            built.set(at, &page.to_le_bytes());
            let (report, bytes) = salvaged(&built.file);
            assert!(records(&bytes) == truth, "{name} {page}: {report:#?}");
            assert!(!report.is_complete());
            let small = bucket_of(&bytes, name.as_bytes());
            assert!(small.keys().all(|key| key.len() != 17), "{name} {page}: {small:?}");
        }
    }
}

/// The root of bucket `key` is set to another page of its tree.
fn rooted_at(page: u64) -> (Built, Built) {
    let truth = Store::sample(60).build();
    let mut built = truth.clone();
    let at = built.bucket("key");
    built.set(at, &page.to_le_bytes());
    (truth, built)
}

#[test]
fn where_the_root_is_one_of_its_own_pages_the_tree_is_found() {
    let levels = Store::sample(60).build().levels;
    // One with which the history begins lacks nothing but its end.
    for page in levels.iter().flat_map(|level| level.iter().skip(usize::from(level.len() > 1))) {
        let (truth, built) = rooted_at(*page);
        let (report, bytes) = salvaged(&built.file);
        assert!(records(&bytes) == records(&truth.file), "{page}: {report:#?}");
        assert_eq!((report.revision, report.compact_after), (61, 5), "{page}");
        assert_eq!(report.sound, *page == levels[2][0], "{page}");
    }
}

#[test]
fn without_the_tree_around_it_the_records_are_found() {
    let levels = Store::sample(60).build().levels;
    for page in levels[0].iter().skip(1).chain(levels[1].iter().skip(1)) {
        let (truth, mut built) = rooted_at(*page);
        for branch in &levels[2] {
            let at = built.at(*branch, 0);
            built.file[at..at + PAGE].fill(0);
        }
        let (report, bytes) = salvaged(&built.file);
        assert!(records(&bytes) == records(&truth.file), "{page}: {report:#?}");
        // Whether there was something behind it, nobody knows.
        let is_last = built.levels[0].last() == Some(page) || built.levels[1].last() == Some(page);
        assert_eq!(report.spans.iter().any(|span| span.end.is_none()), !is_last, "{page}: {report:#?}");
        assert!(!report.sound && report.gaps.is_empty(), "{page}");
    }
}

#[test]
fn a_leaf_that_no_branch_names_is_found() {
    let truth = Store::sample(60).build();
    for index in [0usize, 1] {
        let mut built = truth.clone();
        let branch = built.levels[1][index];
        // Its first child is left out, with its element and its key.
        let leaves = &truth.leaves()[4 * index + 1..4 * index + 4];
        let first_key = |leaf: &u64| {
            let at = truth.data(*leaf, 0);
            (truth.file[at..at + 17].to_vec(), *leaf)
        };
        let children: Vec<_> = leaves.iter().map(first_key).collect();
        let mut image = branch_image(&children);
        image[..8].copy_from_slice(&branch.to_le_bytes());
        image.resize(PAGE, 0);
        let at = built.at(branch, 0);
        built.set(at, &image);
        let (report, bytes) = salvaged(&built.file);
        assert!(records(&bytes) == records(&truth.file), "{index}: {report:#?}");
        assert!(report.gaps.is_empty() && report.outside > 0, "{report:#?}");
    }
}

#[test]
fn what_was_deleted_does_not_come_back_for_a_hole() {
    // Key `dead` was written at 4, deleted at 6, and the store compacted at 8. The tree
    // lacks revision 9.
    let current = [put("a", 3, 3, 1), put("b", 5, 5, 1), put("c", 7, 7, 1)];
    let mut pages = Pages::new(PAGE);
    pages.place(leaf_image(&[put("a", 3, 3, 1), put("dead", 4, 4, 1), put("b", 5, 5, 1)]));
    pages.place(leaf_image(&[put("b", 5, 5, 1), deletion("dead", 6), put("c", 7, 7, 1), put("d", 9, 9, 1)]));
    let leaves = [&current[..], &[put("e", 10, 10, 1)]];
    let children = leaves.map(|leaf| (leaf[0].key.clone(), pages.place(leaf_image(leaf))));
    let branch = pages.place(branch_image(&children));
    let root = pages.place(root_of(branch, 9, 8));
    let file = support::seal(pages.finish(root, support::NO_FREELIST, 8));
    let (report, bytes) = salvaged(&file);
    let mains: Vec<Vec<u8>> = records(&bytes).into_keys().collect();
    assert_eq!(mains, [3, 5, 7, 9, 10].map(|main| revision(main, 0)), "{report:#?}");
    assert!(report.gaps.is_empty() && report.doubtful.is_empty(), "{report:#?}");
}

#[test]
fn free_pages_of_a_sound_file_add_nothing() {
    // As the pages of a snapshot that was streamed while the next commits were written.
    let mut pages = Pages::new(PAGE);
    pages.place(leaf_image(&[put("a", 2, 2, 1), put("b", 3, 3, 1), put("new", 4, 4, 1)]));
    let leaf = pages.place(leaf_image(&[put("a", 2, 2, 1), put("b", 3, 3, 1)]));
    let root = pages.place(root_of(leaf, 9, 0));
    pages.place(root_of(2, 10, 0));
    let file = support::seal(pages.finish(root, support::NO_FREELIST, 8));
    for broken in [false, true] {
        let mut file = file.clone();
        if broken {
            // In a snapshot both metas name one root.
            file[PAGE..2 * PAGE].fill(0);
        }
        let (report, bytes) = salvaged(&file);
        assert!(records(&bytes) == records(&file) && report.is_complete() && report.sound, "{report:#?}");
    }
}

/// A leaf with the names of buckets.
fn root_of(key: u64, index: u64, compacted: i64) -> Vec<u8> {
    let mut meta = vec![entry("consistent_index", index.to_be_bytes())];
    if compacted > 0 {
        meta.push(entry("finishedCompactRev", revision(compacted, 0)));
        meta.push(entry("scheduledCompactRev", revision(compacted, 0)));
    }
    meta.push(entry("term", 2u64.to_be_bytes()));
    leaf_image(&[
        bucket("key", tree_bucket(key)),
        bucket("members", inline_bucket(&[member(1, &format!("at{index}"), false)])),
        bucket("meta", inline_bucket(&meta)),
    ])
}

/// A member's `db` after a commit more: where its parts are.
struct Live {
    file: Vec<u8>,
    newer_root: u64,
}

fn live() -> Live {
    let mut pages = Pages::new(PAGE);
    let older = pages.place(leaf_image(&[put("a", 2, 2, 1), put("b", 3, 3, 1)]));
    let newer = pages.place(leaf_image(&[put("a", 2, 2, 1), put("b", 3, 3, 1), put("precious", 4, 4, 1)]));
    let older_root = pages.place(root_of(older, 9, 0));
    let newer_root = pages.place(root_of(newer, 10, 0));
    let high_water_mark = pages.next();
    let mut file = pages.finish(older_root, support::NO_FREELIST, 8);
    let page_size = u32::try_from(PAGE).expect("small");
    let meta =
        MetaFields { page_size, root: newer_root, freelist: support::NO_FREELIST, high_water_mark, txid: 9 };
    support::set_meta(&mut file, PAGE, 1, meta);
    Live { file, newer_root }
}

/// What becomes of the newer meta.
fn without_the_newer_meta(file: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let changed = |change: fn(&mut [u8])| {
        let mut file = file.to_vec();
        change(&mut file[PAGE..2 * PAGE]);
        file
    };
    let mut nowhere = file.to_vec();
    let page_size = u32::try_from(PAGE).expect("small");
    let meta =
        MetaFields { page_size, root: 1 << 40, freelist: support::NO_FREELIST, high_water_mark: 6, txid: 9 };
    support::set_meta(&mut nowhere, PAGE, 1, meta);
    vec![
        ("zero", changed(|meta| meta.fill(0))),
        ("sum", changed(|meta| meta[72] ^= 1)),
        ("root", changed(|meta| meta[32] ^= 1)),
        ("nowhere", nowhere),
    ]
}

#[test]
fn the_newest_commit_is_found_without_its_meta() {
    let Live { file, newer_root } = live();
    let (report, bytes) = salvaged(&file);
    assert!(report.is_complete() && report.sound && records(&bytes).len() == 3);
    for (how, damaged) in without_the_newer_meta(&file) {
        let (report, bytes) = salvaged(&damaged);
        assert_eq!(report.base, Base::Newer(PageId(newer_root)), "{how}");
        assert!(records(&bytes) == records(&file), "{how}: {report:#?}");
        assert!(report.is_complete(), "{how}: {report:#?}");
        let state = state(&bytes);
        assert_eq!((state.consistent_index, state.members[0].name.as_str()), (Some(10), "at10"), "{how}");
    }
}

#[test]
fn without_its_root_the_records_of_the_newest_commit_are_found() {
    let Live { file, newer_root } = live();
    let mut damaged = without_the_newer_meta(&file);
    damaged.push(("root page", file.clone()));
    let at = usize::try_from(newer_root).expect("small") * PAGE;
    for (how, mut damaged) in damaged {
        damaged[at..at + PAGE].fill(0);
        let (report, bytes) = salvaged(&damaged);
        assert!(records(&bytes) == records(&file), "{how}: {report:#?}");
        assert!(!report.is_complete() && report.latest_affected(), "{how}");
        assert_eq!(report.revision, 4, "{how}");
        // The others are those of the commit before.
        assert!(report.buckets.iter().all(|bucket| bucket.state == BucketState::Older), "{how}: {report:#?}");
        assert_eq!(state(&bytes).members[0].name, "at9", "{how}");
    }
}

#[test]
fn an_older_meta_that_is_broken_changes_nothing() {
    let Live { mut file, .. } = live();
    let truth = records(&file);
    file[..PAGE].fill(0);
    let (report, bytes) = salvaged(&file);
    assert!(records(&bytes) == truth && report.is_complete() && report.base == Base::Meta(1), "{report:#?}");
}
