//! Writes that the tree does not lead to: those of the last commit, where the newer meta of a
//! member's `db` is broken, and all of them, where what should lead to the records is empty.

mod support;

use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::ops::verify::{Latest, Report};
use etcdsnap::ops::{
    Damage, OpError, Progress, Settings, hashkv, history, keys, lookup, member_list, status,
};

use support::store::{Store, put};
use support::{
    Entry, MetaFields, NO_FREELIST, Pages, ask, bucket, fnv1a, inline_bucket, leaf_image, seal, set_meta,
    tree_bucket,
};

const PAGE: usize = 1024;
const CODE: &str = "data-lost history/newest-unreached";

/// Places the tree of `store`, its bucket `key` being `key` if that is given; the root.
fn tree(pages: &mut Pages, store: &Store, key: Option<Vec<u8>>) -> u64 {
    let levels = pages.tree(&store.key, store.leaf_bytes, store.fan_out);
    let key = key.unwrap_or_else(|| tree_bucket(levels[levels.len() - 1][0]));
    let mut names: Vec<Entry> =
        store.small.iter().map(|(name, entries)| bucket(*name, inline_bucket(entries))).collect();
    names.push(bucket("key", key));
    names.sort_by(|a, b| a.key.cmp(&b.key));
    pages.place(leaf_image(&names))
}

/// A member's `db`: a commit, and behind it one that wrote the revisions 60 and 61. Its metas,
/// the newer first.
fn member() -> (Vec<u8>, [MetaFields; 2]) {
    let mut pages = Pages::new(PAGE);
    let older = tree(&mut pages, &Store::sample(58), None);
    let older_end = pages.next();
    let newer = tree(&mut pages, &Store::sample(60), None);
    let newer = MetaFields {
        page_size: PAGE as u32,
        root: newer,
        freelist: NO_FREELIST,
        high_water_mark: pages.next(),
        txid: 8,
    };
    let older = MetaFields { root: older, high_water_mark: older_end, txid: 7, ..newer };
    let mut file = pages.finish(newer.root, NO_FREELIST, 8);
    set_meta(&mut file, PAGE, 1, older);
    (file, [newer, older])
}

fn told(file: &[u8]) -> (Report, Vec<String>) {
    let report = ask::verify(file);
    let lines = ask::lines(&report);
    (report, lines)
}

fn is_told(lines: &[String]) -> bool {
    lines.iter().any(|line| line.starts_with(CODE))
}

/// What each reader says of the damage that it skipped, or why it does not answer.
fn readers(file: &[u8], skip_damaged: bool) -> Vec<Result<Damage, OpError>> {
    let snapshot = Snapshot::from_source(ask::source(file)).expect("it opens");
    let db = snapshot.db().expect("it opens");
    let progress = Progress::default();
    let settings = Settings { skip_damaged, ..Settings::new(&progress) };
    let key = b"k07".to_vec();
    vec![
        keys::keys(&db, Vec::new(), None, &settings).map(|listing| listing.damage),
        lookup::key(&db, &key, None, &settings).map(|state| state.damage),
        history::history(&db, &[key], &settings).map(|history| history.damage),
        status::figures(&snapshot, &settings).map(|(_, damage)| damage),
        hashkv::hashkv(&snapshot, None, &settings).map(|report| report.damage),
        member_list::members(&snapshot, &settings).map(|report| report.damage),
    ]
}

/// Whether readers speak of the writes `lost`, if the tree they read ends at `tree`.
fn readers_tell(file: &[u8], tree: Option<i64>, lost: (i64, i64)) {
    for answer in readers(file, false) {
        assert_eq!(answer.is_ok(), tree.is_none(), "{answer:?}");
    }
    for answer in readers(file, true) {
        let told = answer.expect("an answer").newer;
        assert_eq!(
            told.map(|newer| (newer.tree, newer.first, newer.last)),
            tree.map(|_| (tree, lost.0, lost.1))
        );
    }
}

/// Ways to break the meta at `page`, that is `meta`.
fn broken(file: &[u8], page: usize, meta: MetaFields) -> Vec<Vec<u8>> {
    let at = page * PAGE;
    let mut bad_sum = file.to_vec();
    bad_sum[at + 72] ^= 1;
    let mut zeroed = file.to_vec();
    zeroed[at + 8..at + 80].fill(0);
    let mut impossible = file.to_vec();
    set_meta(&mut impossible, PAGE, page as u64, MetaFields { root: 1 << 40, ..meta });
    assert_eq!(fnv1a(&impossible[at + 16..at + 72]).to_le_bytes(), impossible[at + 72..at + 80]);
    vec![bad_sum, zeroed, impossible]
}

#[test]
fn the_last_commit_under_a_broken_meta_is_lost_and_told() {
    let (file, [newer, older]) = member();
    let (report, lines) = told(&file);
    assert!(report.is_sound(), "{lines:?}");
    for file in broken(&file, 0, newer) {
        let (report, lines) = told(&file);
        assert!(is_told(&lines), "{lines:?}");
        let affected = report.affected.expect("affected");
        assert_eq!((affected.latest, affected.unnamed), (Latest::Affected, false), "{affected:?}");
        assert_eq!(affected.revisions, [(60, Some(61))]);
        assert_eq!(affected.lost.count, 2, "{affected:?}");
        assert!(ask::restore(&file, None).is_err(), "a restore says the same");
        readers_tell(&file, Some(59), (60, 61));
    }
    // With the newer meta nothing is lost.
    for file in broken(&file, 1, older) {
        let (_, lines) = told(&file);
        assert!(!is_told(&lines), "{lines:?}");
        readers_tell(&file, None, (0, 0));
    }
}

#[test]
fn a_stream_has_one_tree_under_both_metas_and_lacks_nothing() {
    let mut pages = Pages::new(PAGE);
    let store = Store::sample(60);
    // Of a transaction that was begun while the file was streamed.
    pages.place(leaf_image(&[put("late", 62, 62, 1)]));
    let root = tree(&mut pages, &store, None);
    let high_water_mark = pages.next();
    let meta = MetaFields { page_size: PAGE as u32, root, freelist: NO_FREELIST, high_water_mark, txid: 8 };
    let file = pages.finish(root, NO_FREELIST, 8);
    assert!(!is_told(&told(&seal(file.clone())).1));
    for page in 0..2 {
        for file in broken(&file, page, meta) {
            assert!(!is_told(&told(&seal(file)).1), "with its digest");
        }
        // Without it the broken meta itself still says where it led.
        let mut bad_sum = file.clone();
        bad_sum[page * PAGE + 72] ^= 1;
        assert!(!is_told(&told(&bad_sum).1), "{page}");
    }
}

#[test]
fn records_are_missed_where_nothing_leads_to_any() {
    let store = Store::sample(60);
    let mut pages = Pages::new(PAGE);
    let root = tree(&mut pages, &store, Some(inline_bucket(&[])));
    let file = seal(pages.finish(root, NO_FREELIST, 8));
    let (report, lines) = told(&file);
    assert!(is_told(&lines), "{lines:?}");
    let affected = report.affected.expect("affected");
    assert!(affected.nothing_left && affected.latest == Latest::Affected, "{affected:?}");
    assert_eq!(affected.revisions, [(6, Some(61))], "up to the compact revision, 5, there may be less");
    let unread = readers(&file, false).into_iter().filter_map(Result::err);
    assert_eq!(unread.filter(|error| error.to_string().contains("revisions 6 to 61")).count(), 6);
    assert!(ask::restore(&file, None).is_err());

    // A root that lists nothing.
    let mut pages = Pages::new(PAGE);
    tree(&mut pages, &store, None);
    let root = pages.place(leaf_image(&[]));
    let file = seal(pages.finish(root, NO_FREELIST, 8));
    let (report, lines) = told(&file);
    assert!(is_told(&lines), "{lines:?}");
    assert_eq!(report.affected.expect("affected").revisions, [(2, Some(61))]);
    assert!(ask::restore(&file, None).is_err());

    // A store that nobody wrote to.
    let empty = Store { key: Vec::new(), ..store };
    assert!(readers(&empty.build().file, false).iter().all(Result::is_ok));
    let (report, lines) = told(&empty.build().file);
    assert!(report.is_sound(), "{lines:?}");
}
