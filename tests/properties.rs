//! What holds of any bytes, any history and any shape of tree.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::LazyLock;

use etcdsnap::bolt::{Bucket, Db, Entries, Fold, LeafView, Patch, PatchError, WalkOptions, walk};
use etcdsnap::etcd::peer_url::{InitialCluster, PeerUrl};
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::etcd::{snap_file, wal};
use etcdsnap::ops::{Progress, Settings, hashkv, keys, status};
use proptest::prelude::*;
use support::history::{Change, compacted, hash_kv, history, live, status_hash};
use support::store::{Store, revision};
use support::{Entry, NO_FREELIST, Pages, ask, bucket, entry, inline_bucket, tree_bucket};

static FIXTURES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| support::fixtures().into_iter().map(|(_, file)| file).collect());

/// Pages of a fixture.
const PAGE: usize = 4096;

/// Damage to a file.
#[derive(Debug, Clone)]
enum Harm {
    Flip(usize, u8),
    Overwrite(usize, Vec<u8>),
    Cut(usize),
    Swap(usize, usize),
    Double(usize, usize),
    Zero(usize),
    /// A number in the first bytes of a page: header, elements.
    Number(usize, usize, u32),
}

impl Harm {
    fn any() -> impl Strategy<Value = Self> {
        let at = || any::<prop::sample::Index>().prop_map(|index| index.index(1 << 30));
        let small = prop_oneof![0u32..120, Just(u32::MAX), any::<u32>()];
        prop_oneof![
            (at(), 0u8..8).prop_map(|(at, bit)| Self::Flip(at, bit)),
            (at(), prop::collection::vec(any::<u8>(), 1..300))
                .prop_map(|(at, bytes)| Self::Overwrite(at, bytes)),
            at().prop_map(Self::Cut),
            (at(), at()).prop_map(|(one, two)| Self::Swap(one, two)),
            (at(), at()).prop_map(|(from, to)| Self::Double(from, to)),
            at().prop_map(Self::Zero),
            (at(), 0usize..100, small).prop_map(|(page, field, number)| Self::Number(page, field, number)),
        ]
    }

    fn apply(&self, file: &mut Vec<u8>) {
        if file.len() <= 2 * PAGE {
            return;
        }
        let page = |at: &usize| at % (file.len() / PAGE) * PAGE;
        match self {
            Self::Flip(at, bit) => {
                let at = at % file.len();
                file[at] ^= 1 << bit;
            }
            Self::Overwrite(at, bytes) => {
                let at = at % file.len();
                let end = file.len().min(at + bytes.len());
                file[at..end].copy_from_slice(&bytes[..end - at]);
            }
            Self::Cut(at) => file.truncate(at % file.len()),
            Self::Swap(one, two) => {
                let (one, two) = (page(one), page(two));
                (0..PAGE).for_each(|byte| file.swap(one + byte, two + byte));
            }
            Self::Double(from, to) => {
                let (from, to) = (page(from), page(to));
                file.copy_within(from..from + PAGE, to);
            }
            Self::Zero(at) => {
                let at = page(at);
                file[at..at + PAGE].fill(0);
            }
            Self::Number(at, field, number) => {
                let at = page(at) + 4 * field;
                file[at..at + 4].copy_from_slice(&number.to_le_bytes());
            }
        }
    }
}

fn harmed() -> impl Strategy<Value = (Vec<u8>, bool)> {
    (0..5usize, prop::collection::vec(Harm::any(), 1..4)).prop_map(|(fixture, harms)| {
        let whole = &FIXTURES[fixture];
        let mut file = whole.clone();
        harms.iter().for_each(|harm| harm.apply(&mut file));
        let changed = file != *whole;
        (file, changed)
    })
}

fn settings(progress: &Progress) -> Settings<'_> {
    Settings { threads: NonZeroUsize::new(2).expect("threads"), skip_damaged: false, progress }
}

fn snapshot(file: &[u8]) -> Snapshot {
    Snapshot::from_source(ask::source(file)).expect("a database")
}

/// The keys and values of every top-level bucket, in order.
struct Everything;

type Content = BTreeMap<Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>>;

impl<'a> Fold<'a> for Everything {
    type Part = Vec<(Vec<u8>, Vec<u8>)>;
    type Total = Content;

    fn total(&self) -> Content {
        Content::new()
    }

    fn part(&self, _: &Bucket<'a>) -> Self::Part {
        Vec::new()
    }

    fn leaf(&self, part: &mut Self::Part, _: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        part.extend(leaf.elements.iter().map(|element| (element.key().to_vec(), element.value().to_vec())));
    }

    fn enter(&self, total: &mut Content, bucket: &Bucket<'a>) {
        total.entry(bucket.name.to_vec()).or_default();
    }

    fn join(&self, total: &mut Content, bucket: &Bucket<'a>, part: Self::Part) {
        total.entry(bucket.name.to_vec()).or_default().extend(part);
    }
}

/// What a walk finds, which must be nothing wrong.
fn content(db: &Db<'_>, threads: usize) -> Content {
    let threads = NonZeroUsize::new(threads).expect("threads");
    let (content, report) = walk(db, &Everything, &WalkOptions { threads, only: None, progress: None });
    assert!(report.faults.is_empty(), "{:#?}", report.faults);
    content
}

fn pairs(entries: &[Entry]) -> Vec<(Vec<u8>, Vec<u8>)> {
    entries.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
}

fn entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    let key = prop::collection::vec(any::<u8>(), 1..40);
    let value = prop_oneof![
        9 => prop::collection::vec(any::<u8>(), 0..60),
        1 => prop::collection::vec(any::<u8>(), 1000..6000),
    ];
    prop::collection::btree_map(key, value, 0..most)
        .prop_map(|map| map.into_iter().map(|(key, value)| entry(key, value)).collect())
}

fn transactions() -> impl Strategy<Value = Vec<BTreeMap<u8, Option<u8>>>> {
    let change = prop_oneof![3 => (0u8..40).prop_map(Some), 1 => Just(None)];
    // With few keys there are revisions at which none is alive.
    (1u8..7).prop_flat_map(move |keys| {
        prop::collection::vec(prop::collection::btree_map(0..keys, change.clone(), 1..4), 1..60)
    })
}

/// A store with this history, compacted at `compact` if there is any, laid out
/// in small leaves.
fn store(changes: &[Change], compact: Option<i64>) -> Store {
    let key = changes.iter().map(Change::entry).collect();
    let compaction =
        |at| ["finishedCompactRev", "scheduledCompactRev"].map(|name| entry(name, revision(at, 0))).to_vec();
    let small = BTreeMap::from([("meta", compact.map(compaction).unwrap_or_default())]);
    Store { key, small, ..Store::sample(0) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..9000)) {
        prop_assert!(!ask::everything(&bytes).is_sound());
        let _ = wal::Records::new(&bytes).count();
        let _ = snap_file::parse(&bytes);
    }

    #[test]
    fn any_text_is_a_peer_url_or_none(
        text in "\\PC{0,40}", url in "(https?|unixs?)://[a-z\\[\\]:0-9.%@/?=,]{0,20}",
    ) {
        for text in [text, url] {
            let _ = PeerUrl::parse(&text);
            let _ = PeerUrl::parse_list(&text);
            let _ = InitialCluster::parse(&text);
            let _ = InitialCluster::parse(&format!("a={text},b={text}"));
        }
    }

    #[test]
    fn damaged_snapshots_are_answered((file, changed) in harmed()) {
        let report = ask::everything(&file);
        prop_assert_eq!(report.is_sound(), !changed, "{:?}", ask::lines(&report));
    }

    #[test]
    fn damaged_snapshots_with_a_right_digest_are_answered((mut file, _) in harmed()) {
        prop_assume!(file.len() > 3 * PAGE);
        support::reseal(&mut file);
        ask::everything(&file);
    }

    #[test]
    fn damaged_wal_and_snap_files_are_answered(
        at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<prop::sample::Index>(),
    ) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/restored/etcd-3.6.14-node1");
        for name in ["wal", "0000000000000001-0000000000000003.snap"] {
            let mut file = std::fs::read(folder.join(name)).expect("a fixture");
            let at = at.index(file.len());
            file[at] ^= 1 << bit;
            for file in [&file[..], &file[..cut.index(file.len())]] {
                let _ = wal::Records::new(file).count();
                let _ = snap_file::parse(file);
            }
        }
    }

    #[test]
    fn what_is_built_is_what_is_walked(
        large in entries(300), small in entries(6),
        page_size in prop::sample::select(vec![1024usize, 4096, 65536]),
        leaf_bytes in 60usize..2000, fan_out in 2usize..9,
    ) {
        let mut pages = Pages::new(page_size);
        let levels = pages.tree(&large, leaf_bytes, fan_out);
        let names = [
            bucket("a", inline_bucket(&small)),
            bucket("b", tree_bucket(levels[levels.len() - 1][0])),
            bucket("c", inline_bucket(&[])),
        ];
        let root = pages.place(support::leaf_image(&names));
        let file = support::seal(pages.finish(root, NO_FREELIST, 8));
        let db = Db::open(&file).expect("a database");
        let expected = Content::from([
            (b"a".to_vec(), pairs(&small)),
            (b"b".to_vec(), pairs(&large)),
            (b"c".to_vec(), Vec::new()),
        ]);
        for threads in ask::THREADS {
            prop_assert_eq!(&content(&db, threads), &expected);
        }
    }

    #[test]
    fn a_patch_changes_what_it_says_and_nothing_else(
        shape in prop::sample::select(vec!["inline", "empty", "leaf", "tree", "absent"]),
        records in 1i64..150, fan_out in 2usize..9, members in 0u64..80, replaced in entries(60),
    ) {
        let mut base = Store { fan_out, ..Store::sample(records) };
        match shape {
            "inline" => base.key_inline = true,
            "empty" => base.key.clear(),
            "leaf" => base.leaf_bytes = 1 << 20,
            _ => {}
        }
        *base.of("members") = (0..members).map(|id| entry(format!("{id:04}"), "member")).collect();
        let mut file = base.build().file;
        if shape == "absent" {
            let mut pages = Pages::new(1024);
            let root = pages.place(support::leaf_image(&[bucket("members", inline_bucket(&[]))]));
            file = support::seal(pages.finish(root, NO_FREELIST, 8));
        }
        let db = Db::open(&file).expect("a database");
        let mut expected = content(&db, 1);
        let mut patch = Patch::new(db);
        let entries: Entries = replaced.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect();
        patch.replace(b"members", entries);
        patch.append(b"key", revision(1 << 40, 0), b"value".to_vec());
        let patched = patch.apply();
        if shape == "absent" {
            prop_assert_eq!(patched.err(), Some(PatchError::NoBucket(b"key".to_vec())));
            return Ok(());
        }
        let patched = patched.expect("a sound base");
        expected.insert(b"members".to_vec(), pairs(&replaced));
        expected.entry(b"key".to_vec()).or_default().push((revision(1 << 40, 0), b"value".to_vec()));
        prop_assert_eq!(content(&patched.db(), 2), expected.clone());

        let mut written = file[..usize::try_from(patched.base_size()).expect("small")].to_vec();
        written.extend(patched.appendix().1);
        let metas = patched.meta_pages();
        written[..metas.len()].copy_from_slice(&metas);
        prop_assert_eq!(written.len() as u64, patched.size());
        prop_assert_eq!(content(&Db::open(&written).expect("a database"), 2), expected);
    }

    #[test]
    fn hashes_and_keys_are_those_of_the_slow_way(
        transactions in transactions(), compact in prop::option::of(0f64..=1.0), keep_last in any::<bool>(),
    ) {
        let all = history(&transactions);
        let last = all.last().map_or(1, |change| change.main);
        let compact = compact.map(|part| 1 + ((last - 1) as f64 * part) as i64);
        let left = compact.map_or_else(|| all.clone(), |at| compacted(&all, at, keep_last));
        let store = store(&left, compact);
        let file = store.build().file;
        let report = ask::verify(&file);
        prop_assert!(report.is_sound(), "{:?}", ask::lines(&report));

        let snapshot = snapshot(&file);
        let progress = Progress::default();
        let settings = settings(&progress);
        let mut buckets = store.small.clone();
        buckets.insert("key", store.key.clone());
        let (figures, _) = status::figures(&snapshot, &settings).expect("sound");
        prop_assert_eq!(figures.hash, status_hash(&buckets));
        prop_assert_eq!(figures.revision, left.last().map_or(0, |change| change.main));
        prop_assert_eq!(figures.total_keys, live(&left, i64::MAX).len() as u64);

        let db = snapshot.db().expect("a database");
        let current = left.last().map_or(1, |change| change.main).max(compact.unwrap_or(1));
        for at in compact.unwrap_or(1)..=current {
            let hash = hashkv::hashkv(&snapshot, Some(at), &settings).expect("in the window").hash;
            prop_assert_eq!(hash.hash, hash_kv(&left, at, compact.unwrap_or(-1)), "at {}", at);
            prop_assert_eq!((hash.revision, hash.compact_revision), (at, compact.unwrap_or(-1)));
            let listing = keys::keys(&db, Vec::new(), Some(at), &settings).expect("in the window");
            let found: Vec<_> =
                listing.iter().filter_map(|key| key.record()).map(|record| (record.kv.key.to_vec(), record.revision.main)).collect();
            let expected: Vec<_> = live(&all, at).into_iter().map(|(key, change)| (key, change.main)).collect();
            prop_assert_eq!(found, expected, "at {}", at);
        }
        for outside in [compact.unwrap_or(1) - 1, current + 1].into_iter().filter(|at| *at > 0) {
            prop_assert!(hashkv::hashkv(&snapshot, Some(outside), &settings).is_err(), "at {}", outside);
        }
    }

    #[test]
    fn keys_come_in_the_order_of_their_bytes(
        names in prop::collection::btree_set(prop::collection::vec(0u8..3, 1..30), 1..120), turn in any::<prop::sample::Index>(),
    ) {
        let names: Vec<Vec<u8>> = names.into_iter().collect();
        let turn = turn.index(names.len());
        let order: Vec<&Vec<u8>> = names[turn..].iter().chain(&names[..turn]).collect();
        let change = |(main, key): (i64, &&Vec<u8>)| Change {
            main, sub: 0, key: (*key).clone(), value: Some(b"v".to_vec()), create: main, version: 1,
        };
        let changes: Vec<_> = (2..).zip(&order).map(change).collect();
        let file = store(&changes, None).build().file;
        let progress = Progress::default();
        let db = Db::open(&file).expect("a database");
        let listing = keys::keys(&db, Vec::new(), None, &settings(&progress)).expect("sound");
        let found: Vec<_> = listing.iter().map(|key| key.key.to_vec()).collect();
        prop_assert_eq!(&found, &names);
        let distinct: BTreeSet<_> = found.iter().collect();
        prop_assert_eq!(distinct.len(), names.len());
    }
}
