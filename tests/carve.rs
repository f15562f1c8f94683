//! What a file holds beside its tree is found: on files that are built with every
//! kind of remains, and on real ones that are damaged.

mod support;

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use etcdsnap::bolt::{Db, small_bucket};
use etcdsnap::etcd::remnant::{EntryKind, Remnant, Sure};
use etcdsnap::etcd::snapshot::SnapshotError;
use etcdsnap::ops::carve::{Carved, Found, Relation, carve};
use etcdsnap::ops::{OpError, Progress, Settings};
use etcdsnap::source::Source;
use proptest::prelude::*;
use support::store::{Built, Put, Store, deletion, lease, member, message, put, revision};
use support::{
    Entry, NO_FREELIST, Pages, bucket, entry, fixtures, inline_bucket, leaf_image, seal, tree_bucket,
};

const PAGE: usize = 4096;

fn with_carved<T>(file: &[u8], then: impl Fn(&Carved<'_>) -> T) -> T {
    let source = Source::from_bytes("built.db", file.to_vec());
    let mut told = Vec::new();
    let mut answer = None;
    // The answer must not depend on the number of threads.
    for threads in [1, 3] {
        let progress = Progress::default();
        let threads = NonZeroUsize::new(threads).expect("threads");
        let settings = Settings { threads, skip_damaged: false, progress: &progress };
        let carved = carve(&source, &settings).expect("searched");
        told.push(format!("{:?} {:?}", carved.found, carved.searched));
        answer = Some(then(&carved));
    }
    assert_eq!(told[0], told[1]);
    answer.expect("an answer")
}

/// What was found, in words: `k@7 deleted whole x1`, with what is missing.
fn told(file: &[u8]) -> Vec<String> {
    with_carved(file, |carved| carved.found.iter().map(|found| line(carved, found)).collect())
}

fn line(carved: &Carved<'_>, found: &Found) -> String {
    let (relation, sure) = (found.relation.name(), found.spot.sure.name());
    let what = match found.read(carved.file()).expect("readable") {
        Remnant::Record { revision, tombstone, kv } => {
            let mark = if tombstone { " tombstone" } else { "" };
            format!("{}@{revision}{mark}", kv.key.escape_ascii())
        }
        Remnant::Entry { kind, key, .. } => format!("{} {}", kind.name(), key.escape_ascii()),
        Remnant::Value(value) => format!("value of {}", value.len()),
    };
    let missing = match found.spot.missing {
        0 => String::new(),
        missing => format!(" -{missing}"),
    };
    format!("{what} {relation} {sure} x{}{missing}", found.copies)
}

/// A value that is told from all others, of some size.
fn value(key: &str, main: i64, size: usize) -> Vec<u8> {
    let mut value = format!("value of {key} at {main};").into_bytes();
    value.resize(size.max(value.len()), b'.');
    value
}

fn sized(key: &str, main: i64, size: usize) -> Entry {
    let value = value(key, main, size);
    let kv = Put { key: key.as_bytes(), create: main, modified: main, version: 1, value: &value, lease: 0 };
    entry(revision(main, 0), kv.to_bytes())
}

/// What is in the tree: `a` and `b` at revisions 10 and 11, and one member.
fn live() -> Vec<Entry> {
    vec![put("a", 10, 2, 4), put("b", 11, 11, 1)]
}

/// A file with [`live`] in its tree and `stale` among its pages.
fn file_of(page_size: usize, stale: impl FnOnce(&mut Pages)) -> Vec<u8> {
    let mut pages = Pages::new(page_size);
    stale(&mut pages);
    let levels = pages.tree(&live(), page_size / 2, 10);
    let root = levels.last().expect("a root")[0];
    let members = inline_bucket(&[member(1, "one", false)]);
    let names = [bucket("key", tree_bucket(root)), bucket("members", members)];
    let root = pages.place(leaf_image(&names));
    seal(pages.finish(root, NO_FREELIST, 8))
}

fn file(stale: impl FnOnce(&mut Pages)) -> Vec<u8> {
    file_of(PAGE, stale)
}

#[test]
fn nothing_is_found_where_nothing_is_left() {
    assert_eq!(told(&file(|_| ())), [""; 0]);
}

#[test]
fn a_stale_page_gives_up_what_is_not_alive_and_says_what_became_of_it() {
    let file = file(|pages| {
        let mut entries = vec![put("a", 7, 2, 3), put("gone", 8, 8, 1), deletion("gone", 9)];
        entries.extend(live());
        entries.push(put("a", 12, 2, 5));
        pages.place(leaf_image(&entries));
    });
    assert_eq!(
        told(&file),
        [
            "a@7 compacted whole x1",
            "a@12 later whole x1",
            "gone@8 deleted whole x1",
            "gone@9 tombstone deleted whole x1"
        ]
    );
    with_carved(&file, |carved| {
        assert_eq!(carved.searched.live_copies, 2);
        assert_eq!((carved.searched.unexplained, carved.searched.free), (0, PAGE as u64));
        let found = carved.found.first().expect("found");
        assert_eq!(carved.page_of(found.spot.offset).0, 2);
        let Some(Remnant::Record { kv, .. }) = found.read(carved.file()) else { panic!("a record") };
        assert_eq!((kv.value, kv.create_revision, kv.version), (&b"value of a at 7"[..], 2, 3));
    });
}

#[test]
fn copies_are_counted_and_other_contents_of_a_revision_are_not_copies() {
    let file = file(|pages| {
        for _ in 0..5 {
            pages.place(leaf_image(&[put("gone", 8, 8, 1)]));
        }
        pages.place(leaf_image(&[sized("gone", 8, 100)]));
    });
    assert_eq!(told(&file), ["gone@8 deleted whole x5", "gone@8 deleted whole x1"]);
    with_carved(&file, |carved| {
        let pages: Vec<u64> =
            carved.found[0].other_offsets().map(|offset| carved.page_of(offset).0).collect();
        assert_eq!((carved.page_of(carved.found[0].spot.offset).0, pages), (2, vec![3, 4, 5]));
    });
}

#[test]
fn room_behind_and_between_elements_of_pages_in_use_is_searched() {
    let hidden = put("slack", 5, 5, 1);
    let bytes = [hidden.key, hidden.value].concat();
    let mut file = file(|_| ());
    // The leaf of bucket `key`, and the root, which has an inline bucket in it.
    for (page, room) in [(2, 3000), (3, 3500), (0, 900)] {
        let at = page * PAGE + room;
        assert!(file[at..at + bytes.len()].iter().all(|byte| *byte == 0), "room on page {page}");
        file[at..at + bytes.len()].copy_from_slice(&bytes);
    }
    assert_eq!(told(&file), ["slack@5 deleted scan x3"]);
    with_carved(&file, |carved| assert!(carved.searched.slack > 0 && carved.searched.free == 0));
}

#[test]
fn what_follows_the_last_page_is_searched_and_the_digest_is_not() {
    let mut file = file(|_| ());
    file.truncate(file.len() - 32);
    let start = file.len();
    let mut page = leaf_image(&[put("beyond", 6, 6, 1)]);
    page[..8].copy_from_slice(&((start / PAGE) as u64).to_le_bytes());
    page.resize(PAGE, 0);
    file.extend(page);
    // As a member's file is that has grown: two sectors more.
    file.extend([0; 1024]);
    assert_eq!(told(&file), ["beyond@6 deleted whole x1"]);
    with_carved(&file, |carved| assert_eq!(carved.searched.beyond, 4096 + 1024));
}

/// A leaf of four large records on five pages.
fn large() -> Vec<u8> {
    leaf_image(&[sized("w", 5, 5000), sized("x", 6, 5000), sized("y", 7, 5000), sized("z", 8, 3000)])
}

#[test]
fn of_a_page_whose_front_was_overwritten_the_records_behind_are_found() {
    let file = file(|pages| {
        let first = pages.place(large());
        pages.overwrite(first, leaf_image(&[put("new", 9, 9, 1)]));
    });
    // Of `w` only the tail of its value is left, which nothing names.
    assert_eq!(
        told(&file),
        ["new@9 deleted whole x1", "x@6 deleted scan x1", "y@7 deleted scan x1", "z@8 deleted fragment x1"]
    );
    with_carved(&file, |carved| {
        assert!((500..1200).contains(&carved.searched.unexplained), "{:?}", carved.searched);
    });
}

#[test]
fn of_a_value_whose_end_was_overwritten_it_is_told_how_much_is_missing() {
    let file = file(|pages| {
        let first = pages.place(large());
        // On the third of its five pages: in the midst of `x`.
        pages.overwrite(first + 2, leaf_image(&[put("new", 9, 9, 1)]));
    });
    let record = |key: &str, main| sized(key, main, 5000);
    let before_x = 16 + 4 * 16 + record("w", 5).key.len() + record("w", 5).value.len();
    let x = record("x", 6);
    let missing = before_x + x.key.len() + x.value.len() - 2 * PAGE;
    assert_eq!(
        told(&file),
        [
            "new@9 deleted whole x1".to_owned(),
            "w@5 deleted whole x1".to_owned(),
            format!("x@6 deleted fragment x1 -{missing}"),
            // `y` began under the new page; behind that the old one goes on, without a header.
            "z@8 deleted fragment x1".to_owned()
        ]
    );
}

#[test]
fn a_value_that_was_overwritten_by_a_page_that_lost_its_header_is_cut_there() {
    // Nothing but records: the second stands where the first one's value goes on.
    let file = file(|pages| {
        let first = pages.place(large());
        pages.overwrite(first + 2, leaf_image(&[sized("new", 9, 300)]));
        pages.wipe(first, 0..40);
        pages.wipe(first + 2, 0..32);
    });
    let found = told(&file);
    assert!(found.contains(&"w@5 deleted scan x1".to_owned()), "{found:?}");
    assert!(found.contains(&"new@9 deleted scan x1".to_owned()), "{found:?}");
    let x = found.iter().find(|line| line.starts_with("x@6")).expect("x");
    assert!(x.contains("deleted fragment") && x.contains(" -"), "{x}");
}

#[test]
fn a_destroyed_header_leaves_the_table_and_a_destroyed_table_the_records() {
    let entries = [put("p", 5, 5, 1), put("q", 6, 6, 1), put("r", 7, 7, 1)];
    for (wiped, sure) in [(0..16, "element"), (4..12, "element"), (0..64, "scan")] {
        let file = file(|pages| {
            let page = pages.place(leaf_image(&entries));
            pages.wipe(page, wiped.clone());
        });
        let expected = ["p@5", "q@6", "r@7"].map(|record| format!("{record} deleted {sure} x1"));
        assert_eq!(told(&file), expected, "{wiped:?}");
    }
}

#[test]
fn a_message_without_its_revision_key_is_found_and_said_to_be_a_fragment() {
    let entries = [put("p", 5, 5, 1), put("q", 6, 6, 1)];
    let file = file(|pages| {
        let page = pages.place(leaf_image(&entries));
        // Header, table and the first revision key.
        pages.wipe(page, 0..16 + 32 + 17);
    });
    assert_eq!(told(&file), ["p@5 deleted fragment x1", "q@6 deleted scan x1"]);
}

#[test]
fn pieces_of_what_is_found_whole_or_alive_are_no_finds_of_their_own() {
    let cut = |pages: &mut Pages, entry: Entry| {
        // So that its value goes over to the second page, which is then another's.
        let page = pages.place(leaf_image(&[sized("filler", 4, 3000), entry]));
        pages.overwrite(page + 1, leaf_image(&[put("other", 4, 4, 1)]));
    };
    let file = file(|pages| {
        cut(pages, sized("gone", 8, 5000));
        pages.place(leaf_image(&[sized("gone", 8, 5000)]));
        // Another value under the same revision is no piece of it.
        cut(pages, entry(revision(8, 0), Put { value: &[b'!'; 5000], ..as_put("gone", 8) }.to_bytes()));
    });
    let found = told(&file);
    let gone: Vec<_> = found.iter().filter(|line| line.starts_with("gone")).collect();
    assert_eq!(gone.len(), 2, "{found:?}");
    assert!(found.contains(&"gone@8 deleted whole x2".to_owned()), "{found:?}");
}

fn as_put(key: &str, main: i64) -> Put<'_> {
    Put { key: key.as_bytes(), create: main, modified: main, version: 1, value: b"", lease: 0 }
}

#[test]
fn former_entries_of_the_small_buckets_are_told_by_their_form() {
    let hash = [b"$2a$10$".as_slice(), &[b'h'; 53]].concat();
    let user = message(&[(1, Err(b"alice")), (2, Err(&hash)), (3, Err(b"reader"))]);
    let permission = message(&[(1, Ok(2)), (2, Err(b"/app"))]);
    let role = message(&[(1, Err(b"reader")), (2, Err(&permission))]);
    let alarm = message(&[(1, Ok(7)), (2, Ok(1))]);
    let file = file(|pages| {
        let small = [
            bucket("alarm", inline_bucket(&[entry(alarm.clone(), "")])),
            bucket("auth", inline_bucket(&[entry("authEnabled", [1])])),
            bucket("authRoles", inline_bucket(&[entry("reader", role.clone())])),
            bucket("authUsers", inline_bucket(&[entry("alice", user.clone())])),
            bucket("lease", inline_bucket(&[lease(0x77)])),
            bucket("members", inline_bucket(&[member(1, "one", false), member(2, "two", false)])),
            bucket("members_removed", inline_bucket(&[entry("3", "removed")])),
            bucket("meta", inline_bucket(&[entry("consistent_index", 9u64.to_be_bytes())])),
        ];
        pages.place(leaf_image(&small));
        // The same on pages of their own, where no bucket is named.
        pages.place(leaf_image(&[entry("alice", user.clone())]));
        pages.place(leaf_image(&[entry("reader", role.clone()), lease(0x77)]));
        pages.place(leaf_image(&[member(1, "older name", false)]));
    });
    let found = told(&file);
    let expected = [
        "meta consistent_index deleted whole x1",
        "member 1 replaced whole x1",
        "member 2 deleted whole x1",
        "removed-member 3 deleted whole x1",
        "user alice deleted whole x2",
        "role reader deleted whole x2",
        "auth authEnabled deleted whole x1",
    ];
    for line in expected {
        assert!(found.contains(&line.to_owned()), "{line}: {found:#?}");
    }
    assert!(found.iter().any(|line| line.starts_with("lease ") && line.ends_with("deleted whole x2")));
    assert!(found.iter().any(|line| line.starts_with("alarm ") && line.ends_with("deleted whole x1")));
    assert_eq!(found.len(), expected.len() + 2, "{found:#?}");
}

#[test]
fn members_and_users_are_found_where_no_page_is_left() {
    let hash = [b"$2a$10$".as_slice(), &[b'h'; 53]].concat();
    let user = message(&[(1, Err(b"alice")), (2, Err(&hash)), (3, Err(b"reader"))]);
    let file = file(|pages| {
        let page = pages.place(leaf_image(&[member(2, "two", true), entry("alice", user)]));
        pages.wipe(page, 0..48);
    });
    assert_eq!(told(&file), ["member 2 deleted scan x1", "user alice deleted scan x1"]);
    with_carved(&file, |carved| assert_eq!(carved.searched.unexplained, 48, "what was wiped"));
}

#[test]
fn a_value_whose_key_is_gone_is_found_by_its_envelope() {
    let json = br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","namespace":"n"}}"#;
    let file = file(|pages| {
        let kv = Put { value: json, ..as_put("/registry/configmaps/n/m", 5) };
        let page = pages.place(leaf_image(&[entry(revision(5, 0), kv.to_bytes())]));
        pages.wipe(page, 0..16 + 16 + 17 + 20);
    });
    assert_eq!(told(&file), [format!("value of {} unknown fragment x1", json.len())]);
}

#[test]
fn without_metas_all_is_found_by_its_form_whatever_the_page_size() {
    for page_size in [1024, 4096, 16384, 65536] {
        let mut file = file_of(page_size, |pages| {
            pages.place(leaf_image(&[put("gone", 8, 8, 1)]));
        });
        for meta in [0, page_size] {
            file[meta..meta + 80].fill(0x55);
        }
        let expected = ["1", "a@10", "b@11", "gone@8"];
        let found = told(&file);
        assert_eq!(found.len(), expected.len(), "{page_size}: {found:?}");
        for (line, start) in found.iter().zip(expected) {
            assert!(line.trim_start_matches("member ").starts_with(start), "{line}");
            assert!(line.ends_with("unknown whole x1"), "{page_size}: {line}");
        }
        with_carved(&file, |carved| {
            assert!(carved.tree.is_none() && carved.unusable.is_some());
            assert_eq!(carved.searched.page_size, page_size as u64);
        });
    }
}

#[test]
fn what_a_damaged_tree_lost_is_not_called_deleted() {
    let mut file = file(|_| ());
    // The leaf of bucket `key`: another page's number.
    file[2 * PAGE] = 99;
    assert_eq!(told(&file), ["a@10 unknown element x1", "b@11 unknown element x1"]);
}

#[test]
fn other_files_are_refused_and_called_by_their_name() {
    for bytes in [&b""[..], b"\x1f\x8b\x08 packed", b"{\"error\":\"not found\"}\n"] {
        let source = Source::from_bytes("other", bytes.to_vec());
        let progress = Progress::default();
        let error = carve(&source, &Settings::new(&progress)).expect_err("no database");
        assert!(matches!(error, OpError::Snapshot(SnapshotError::NotADatabase { .. })), "{error}");
    }
}

/// Keys and values of bucket `key`, by the tree.
fn records(file: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let db = Db::open(file).expect("a database");
    let (elements, faults) = small_bucket(&db, b"key");
    assert!(faults.is_empty());
    elements.iter().map(|element| (element.key().to_vec(), element.value().to_vec())).collect()
}

/// What a walk lists of a real file, and what is found when its metas are gone.
#[test]
fn every_record_of_the_real_snapshots_is_found_without_their_metas() {
    for (name, file) in fixtures() {
        let listed = records(&file);
        let mut broken = file.clone();
        broken[..80].fill(0xEE);
        broken[4096..4096 + 80].fill(0xEE);
        with_carved(&broken, |carved| {
            let mut found: Vec<(Vec<u8>, Vec<u8>)> = carved
                .found
                .iter()
                .filter(|found| found.spot.sure == Sure::Whole && found.revision(carved.file()).is_some())
                .map(|found| {
                    let bytes = found.spot.bytes(carved.file());
                    let (key, value) = bytes.split_at(found.spot.key_length as usize);
                    (key.to_vec(), value.to_vec())
                })
                .collect();
            found.sort();
            for record in &listed {
                assert!(
                    found.binary_search(record).is_ok(),
                    "{name}: {:?}",
                    record.0.escape_ascii().to_string()
                );
            }
            assert!(listed.len() > 40, "{name}");
            let users = carved.found.iter().filter(|found| {
                matches!(found.read(carved.file()), Some(Remnant::Entry { kind: EntryKind::User, .. }))
            });
            assert!(users.count() >= if name.starts_with("etcd-") { 2 } else { 0 }, "{name}");
            assert!(carved.found.iter().all(|found| found.relation == Relation::Unknown));
        });
    }
}

/// 65,535 elements that share one run of pages, on thousands of pages.
#[test]
fn elements_that_claim_more_than_there_is_cost_no_more_than_the_file_is_long() {
    let mut pages = Pages::new(PAGE);
    for _ in 0..20 {
        // A table of 65,535 elements takes 256 pages; each points to all of the rest.
        let count = 65_535usize;
        let mut image = leaf_image(&[]);
        image[10..12].copy_from_slice(&u16::MAX.to_le_bytes());
        for index in 0..count {
            let behind = 16 + 16 * count - (16 + 16 * index);
            for word in [0, behind as u32, 17, 60_000] {
                image.extend(word.to_le_bytes());
            }
        }
        image.extend(revision(5, 0));
        image.resize(16 + 16 * count + 61_000, b'\n');
        pages.place(image);
    }
    let root = pages.place(leaf_image(&[]));
    let file = seal(pages.finish(root, NO_FREELIST, 8));
    let start = Instant::now();
    told(&file);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?} for {} bytes", start.elapsed(), file.len());
}

/// Anchors of all kinds, one behind the other.
#[test]
fn bytes_that_look_like_beginnings_cost_no_more_than_they_are_long() {
    let record = [revision(5, 0), message(&[(1, Err(b"k")), (2, Ok(5)), (3, Ok(5)), (4, Ok(1))])].concat();
    let cut = [record.as_slice(), b"\x2a\xff\xff\xff\x7f"].concat();
    for piece in [
        &cut[..],
        &cut[17..],
        b"{\"id\":1,\"peerURLs\":",
        b"\x0a\x01a\x12\x3c$2a$",
        b"k8s\0\x0a\x04\x0a\x02v1\x12\xff\xff\x7f",
        b"{\"kind\":\"",
        b"\x0a\x7f",
    ] {
        let mut file = file(|_| ());
        let length = file.len() + (4 << 20);
        while file.len() < length {
            file.extend_from_slice(piece);
        }
        let start = Instant::now();
        told(&file);
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?}: {:?}",
            piece.escape_ascii(),
            start.elapsed()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the bytes are, every find lies in the file and can be read again.
    #[test]
    fn mutated_files_are_searched_to_their_end(
        which in any::<prop::sample::Index>(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<[u8; 24]>(), 1usize..24), 0..40),
        cut in any::<prop::sample::Index>(),
        shorten in any::<bool>(),
        break_metas in any::<bool>(),
    ) {
        let all = fixtures();
        let mut file = all[which.index(all.len())].1.clone();
        for (place, bytes, count) in places {
            let at = place.index(file.len() - 24);
            file[at..at + count].copy_from_slice(&bytes[..count]);
        }
        if break_metas {
            file[20..60].fill(1);
            file[4096 + 20..4096 + 60].fill(1);
        }
        if shorten {
            file.truncate(cut.index(file.len()).max(600));
        }
        if file.len() > 512 {
            with_carved(&file, |carved| {
                for found in &carved.found {
                    assert!(found.read(carved.file()).is_some());
                    assert_eq!(found.spot.bytes(carved.file()).len(), found.spot.length as usize);
                }
                let searched = carved.searched;
                assert!(searched.unexplained <= searched.bytes(), "{searched:?}");
            });
        }
    }

    #[test]
    fn random_bytes_are_no_obstacle(bytes in prop::collection::vec(any::<u8>(), 1..20_000)) {
        let source = Source::from_bytes("random", bytes);
        let progress = Progress::default();
        let _ = carve(&source, &Settings::new(&progress));
    }
}

#[test]
fn the_samples_of_other_tests_hold_what_their_page_left_behind() {
    // `Pages::stale` writes an element that is none of etcd's.
    let built = Store::sample(60).build();
    with_carved(&built.file, |carved| {
        assert!(carved.found.is_empty(), "{:?}", carved.found);
        assert_eq!(carved.searched.foreign, 1);
    });
}

/// The revisions of the records on a page.
fn revisions_of(built: &Built, page: u64) -> Vec<i64> {
    let count = built.word(built.at(page, 10)) & 0xFFFF;
    let main = |index| {
        let at = built.data(page, index);
        i64::from_be_bytes(built.file[at..at + 8].try_into().expect("a revision"))
    };
    (0..count as usize).map(main).collect()
}

fn tells(file: &[u8], main: i64) -> bool {
    told(file).iter().any(|line| line.contains(&format!("@{main} ")) && !line.contains("fragment"))
}

/// A leaf of the sample of `tests/damage/main.rs`.
const LEAF: u64 = 6;

#[test]
fn a_page_in_use_that_cannot_be_read_is_searched() {
    let sound = Store::sample(60).build();
    let revisions = revisions_of(&sound, LEAF);
    let damages: [(usize, &[u8]); 5] =
        [(8, &[0x10, 0]), (8, &[1, 0]), (8, &[0x55, 0x55]), (10, &[0x84, 3]), (0, &[0xEE; 16])];
    for (offset, bytes) in damages {
        let mut built = sound.clone();
        built.set(built.at(LEAF, offset), bytes);
        for main in &revisions {
            assert!(tells(&built.file, *main), "{offset} {bytes:?}: {main} in {:#?}", told(&built.file));
        }
    }
}

#[test]
fn an_element_in_use_that_is_no_record_is_searched_with_what_is_around_it() {
    let sound = Store::sample(60).build();
    let revisions = revisions_of(&sound, LEAF);
    for (field, difference) in [(8, -7), (8, 9), (12, -9), (12, 9), (12, 200), (4, 3), (4, 70), (12, 600)] {
        let mut built = sound.clone();
        let at = built.element(LEAF, 2) + field;
        let word = built.word(at).wrapping_add_signed(difference);
        built.set(at, &word.to_le_bytes());
        assert!(tells(&built.file, revisions[2]), "{field} {difference}: {:#?}", told(&built.file));
    }
}

#[test]
fn an_element_in_use_that_is_no_entry_of_its_bucket_is_searched() {
    let hash = [b"$2a$10$".as_slice(), &[b'h'; 53]].concat();
    let user = message(&[(1, Err(b"alice")), (2, Err(&hash)), (3, Err(b"reader"))]);
    let with = |second: &str, name: &str| {
        let mut pages = Pages::new(PAGE);
        let key = pages.place(leaf_image(&live()));
        let members = [member(1, "one", false), entry(second, member(2, "two", false).value)];
        let names = [
            bucket("authUsers", inline_bucket(&[entry(name, user.clone())])),
            bucket("key", tree_bucket(key)),
            bucket("members", inline_bucket(&members)),
        ];
        let root = pages.place(leaf_image(&names));
        seal(pages.finish(root, NO_FREELIST, 8))
    };
    assert_eq!(told(&with("2", "alice")), [""; 0]);
    // A bit of each key: what the values are is in them.
    let file = with("3", "alicd");
    let found = told(&file);
    assert_eq!(found, ["user  deleted fragment x1", "member  deleted fragment x1"]);
    with_carved(&file, |carved| assert!(carved.searched.refused > 0));
}

#[test]
fn pages_that_were_moved_by_some_bytes_are_found() {
    let built = Store::sample(60).build();
    let all: Vec<i64> = built.leaves().iter().flat_map(|leaf| revisions_of(&built, *leaf)).collect();
    for more in [1usize, 8, 100, 512] {
        let mut file = built.file.clone();
        let at = 5 * built.page_size;
        file.splice(at..at, std::iter::repeat_n(0xEE, more));
        let lines = told(&file);
        for main in &all {
            assert!(
                lines.iter().any(|line| line.contains(&format!("@{main} "))),
                "{more}: {main} in {lines:#?}"
            );
        }
        // What stood in inline buckets has no form of its own outside of pages.
        assert!(lines.iter().any(|line| line.starts_with("lease ")), "{more}: {lines:#?}");
    }
}
