//! What `verify` says damage means for the data, against what really became of it: the
//! keys of the sound file are compared with those that are left.
#![cfg(feature = "cli")]

mod harness;
mod support;

use std::collections::BTreeMap;
use std::fs;

use etcdsnap::etcd::keyspace::LiveKey;
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::ops::verify::{Affected, GroupName, Latest, Report, Tally};
use etcdsnap::ops::{Progress, Settings, keys};

use harness::{ask as program, fixture};
use support::ask;
use support::store::{Built, Put, Store, put, revision};
use support::{Entry, entry, reseal};

/// All keys that are alive, and the revision that each was written at; with a damaged file,
/// of those that are left. `None` if there is no answer.
fn alive(file: &[u8]) -> Option<BTreeMap<Vec<u8>, i64>> {
    let snapshot = Snapshot::from_source(ask::source(file)).ok()?;
    let db = snapshot.db().ok()?;
    let progress = Progress::default();
    let settings = Settings { skip_damaged: true, ..Settings::new(&progress) };
    let listing = keys::keys(&db, Vec::new(), None, &settings).ok()?;
    let entry = |live: LiveKey<'_>| Some((live.key.to_vec(), live.record()?.revision.main));
    Some(listing.iter().filter_map(entry).collect())
}

fn affected(file: &[u8]) -> Affected {
    let report: Report = ask::verify(file);
    report.affected.clone().unwrap_or_else(|| panic!("{:?}", ask::lines(&report)))
}

/// The names that a tally tells, which for these stores are the keys.
fn names(tally: &Tally) -> Vec<String> {
    let text = |excerpt: &etcdsnap::bolt::Excerpt| String::from_utf8(excerpt.bytes.clone()).expect("text");
    let mut names: Vec<String> = tally.groups.iter().flat_map(|group| group.first.iter().map(text)).collect();
    names.sort();
    names
}

fn built() -> Built {
    Store::sample(60).build()
}

/// The pages of the sample: six revisions to a leaf, from 2 on.
fn zero(built: &mut Built, page: u64) {
    let at = built.at(page, 0);
    built.set(at, &[0; 1024]);
    reseal(&mut built.file);
}

fn of_no_kind(built: &mut Built, page: u64) {
    let at = built.at(page, 8);
    built.set(at, &[0x77]);
    reseal(&mut built.file);
}

#[test]
fn a_lost_page_whose_keys_were_all_written_again_is_history() {
    let mut b = built();
    zero(&mut b, 6);
    let told = affected(&b.file);
    // One of these revisions may have changed a second key, which nothing would tell.
    assert_eq!((told.latest, told.missing, told.accounted_for), (Latest::Doubtful, 6, true), "{told:?}");
    assert!(told.lost.is_empty() && told.doubtful.is_empty() && !told.unnamed, "{told:?}");
    let sound = built();
    let main =
        |index| i64::from_be_bytes(sound.file[sound.data(6, index)..][..8].try_into().expect("eight bytes"));
    assert_eq!(told.revisions, [(main(0), Some(main(5)))]);
    assert_eq!(alive(&b.file), alive(&sound.file), "it is true");

    // The same with what is left of the page: the keys are known.
    let mut b = built();
    of_no_kind(&mut b, 6);
    let told = affected(&b.file);
    assert_eq!((told.latest, told.past, told.accounted_for), (Latest::Whole, 6, true), "{told:?}");
}

#[test]
fn revisions_for_which_nothing_accounts_make_older_keys_doubtful() {
    let (mut b, sound) = (built(), built());
    zero(&mut b, 11);
    let told = affected(&b.file);
    let before = alive(&sound.file).expect("keys");
    let after = alive(&b.file).expect("keys");
    let differs = |key: &&Vec<u8>| before.get(*key) != after.get(*key);
    let stale: Vec<String> =
        after.keys().filter(differs).map(|key| String::from_utf8(key.clone()).expect("text")).collect();
    assert!(!stale.is_empty());
    assert_eq!((told.latest, told.accounted_for), (Latest::Doubtful, false), "{told:?}");
    assert!(stale.iter().all(|key| names(&told.doubtful).contains(key)), "{stale:?} {told:?}");
}

#[test]
fn keys_that_are_left_on_a_damaged_page_are_named() {
    let mut b = built();
    let last = *b.leaves().last().expect("leaves");
    of_no_kind(&mut b, last);
    let told = affected(&b.file);
    assert_eq!(told.latest, Latest::Affected);
    let before = alive(&built().file).expect("keys");
    let after = alive(&b.file).expect("keys");
    let differs = |key: &&Vec<u8>| before.get(*key) != after.get(*key);
    let lost: Vec<String> =
        before.keys().filter(differs).map(|key| String::from_utf8(key.clone()).expect("text")).collect();
    assert_eq!(names(&told.lost), lost);
    assert_eq!(told.revisions.last().map(|(_, end)| *end), Some(None));
    // Where the first of them stands, there were no more.
    assert!(!told.unnamed, "{told:?}");
    let mut c = built();
    let wiped = c.data(last, usize::from(c.file[c.at(last, 10)]) - 1);
    c.set(wiped, &[0; 24]);
    of_no_kind(&mut c, last);
    assert!(affected(&c.file).unnamed, "the last one is not known");

    // A record that is no message still has its key; one element costs no other.
    let mut b = built();
    let at = b.element(last, 2);
    let size = b.word(at + 12) - 4;
    b.set(at + 12, &size.to_le_bytes());
    reseal(&mut b.file);
    let told = affected(&b.file);
    assert_eq!((told.latest, told.lost.count), (Latest::Affected, 1), "{told:?}");
}

#[test]
fn what_is_lost_below_the_compact_revision_makes_no_key_doubtful_that_is_left() {
    // Keys that were written once, long ago, and compacted since.
    let mut store = Store::sample(60);
    let old = |main: i64| {
        let key = format!("/registry/secrets/shop/s{main}");
        let value =
            format!("{{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{{\"name\":\"s{main}\"}}}}");
        let put = Put {
            key: key.as_bytes(),
            create: main,
            modified: main,
            version: 1,
            value: value.as_bytes(),
            lease: 0,
        };
        entry(revision(main, 0), put.to_bytes())
    };
    store.key = (2..=40).step_by(2).map(old).chain((41..=60).map(old)).collect();
    for key in ["scheduledCompactRev", "finishedCompactRev"] {
        *store.value("meta", key) = revision(40, 0);
    }
    let mut b = store.build();
    let first = b.leaves()[1];
    zero(&mut b, first);
    let told = affected(&b.file);
    assert_eq!((told.latest, told.unnamed, told.missing), (Latest::Doubtful, true, 0), "{told:?}");
    assert!(told.doubtful.is_empty() && told.lost.is_empty(), "{told:?}");
    // A compaction that was not finished may have left older records of keys.
    *store.value("meta", "finishedCompactRev") = revision(3, 0);
    let mut b = store.build();
    zero(&mut b, first);
    let told = affected(&b.file);
    assert!(told.doubtful.count > 0, "{told:?}");
    let name = GroupName::Objects {
        resource: etcdsnap::bolt::Excerpt::of(b"secrets"),
        group: etcdsnap::bolt::Excerpt::of(b""),
        namespace: Some(etcdsnap::bolt::Excerpt::of(b"shop")),
    };
    assert_eq!(told.doubtful.groups.iter().map(|group| &group.name).collect::<Vec<_>>(), [&name]);
}

#[test]
fn where_a_transaction_changes_several_keys_nothing_accounts_for_a_gap() {
    let mut store = Store::sample(60);
    let value = Put { key: b"more", create: 61, modified: 61, version: 1, value: b"v", lease: 0 }.to_bytes();
    store.key.push(entry(revision(61, 1), value));
    let mut b = store.build();
    zero(&mut b, 6);
    let told = affected(&b.file);
    assert_eq!((told.latest, told.accounted_for), (Latest::Doubtful, false), "{told:?}");
}

#[test]
fn damage_elsewhere_concerns_no_key_and_a_wrong_digest_any() {
    let mut b = built();
    let at = b.bucket("members") + 28;
    b.set(at, &[1]);
    reseal(&mut b.file);
    assert_eq!(ask::verify(&b.file).affected, None);
    let mut b = built();
    *b.file.last_mut().expect("bytes") ^= 1;
    let told = affected(&b.file);
    assert_eq!((told.latest, told.anywhere), (Latest::Doubtful, true));
    assert_eq!(ask::verify(&built().file).affected, None);
    // A leaf that was emptied without a trace may have held anything.
    let mut b = built();
    let at = b.at(3, 10);
    b.set(at, &[0; 1024 - 10]);
    reseal(&mut b.file);
    assert_eq!(affected(&b.file).latest, Latest::Doubtful);
    // Flags that mean nothing take nothing away.
    let mut b = built();
    let at = b.element(6, 2);
    b.set(at, &6u32.to_le_bytes());
    reseal(&mut b.file);
    assert_eq!(ask::verify(&b.file).affected, None);
    let mut b = Store { freelist: Some(false), ..Store::sample(60) }.build();
    let count = b.at(b.freelist, 10);
    b.set(count, &0u16.to_le_bytes());
    reseal(&mut b.file);
    assert_eq!(ask::verify(&b.file).affected, None);
    let mut b = built();
    of_no_kind(&mut b, 18);
    assert_eq!(affected(&b.file).latest, Latest::Affected);
}

#[test]
fn a_bucket_of_keys_that_cannot_be_found_is_no_sound_database() {
    let mut b = built();
    let root = b.at(18, 0);
    let name = b.file[root..].windows(3).position(|bytes| bytes == b"key").expect("its name");
    b.set(root + name, b"j");
    reseal(&mut b.file);
    let report = ask::verify(&b.file);
    assert!(
        ask::lines(&report).contains(&"data-lost schema/missing-bucket".to_owned()),
        "{:?}",
        ask::lines(&report)
    );
    let told = affected(&b.file);
    assert!(told.latest == Latest::Affected && told.nothing_left && told.unnamed, "{told:?}");
    assert!(alive(&b.file).is_none(), "nor is it an empty one");
}

#[test]
fn a_deletion_under_another_key_leaves_some_key_alive_that_should_not_be() {
    let mut b = built();
    // The last letter of the key that a deletion names.
    let data = |leaf: &u64| (0..2).map(|index| b.data(*leaf, index)).collect::<Vec<_>>();
    let mut places = b.leaves().iter().flat_map(data);
    let at = places.find(|at| b.file[at + 17..].first() == Some(&b't'));
    let at = at.expect("a deletion");
    let end = at + 18 + 2 + usize::from(b.file[at + 19]) - 1;
    b.set(end, b"~");
    reseal(&mut b.file);
    let told = affected(&b.file);
    assert!(told.latest == Latest::Doubtful && told.unnamed, "{told:?}");
}

/// Two of its changes, and the second is lost: no revision is missing.
#[test]
fn the_last_change_of_a_transaction_leaves_no_hole_and_is_told() {
    let store = || {
        let mut store = Store::sample(60);
        let second = Entry { key: revision(40, 1), ..put("second", 40, 40, 1) };
        let at = store.key.iter().position(|entry| entry.key == revision(40, 0)).expect("there");
        store.key.insert(at + 1, second);
        store.build()
    };
    let place = |b: &Built| {
        let count = |leaf: u64| usize::from(b.file[b.at(leaf, 10)]);
        let each = |leaf: &u64| (0..count(*leaf)).map(|index| (*leaf, index)).collect::<Vec<_>>();
        let mut places = b.leaves().iter().flat_map(each);
        places
            .find(|(leaf, index)| b.file[b.data(*leaf, *index)..].starts_with(&revision(40, 1)))
            .expect("it")
    };
    for what in ["value", "key", "element", "page"] {
        let mut b = store();
        let (leaf, index) = place(&b);
        let (element, data) = (b.element(leaf, index), b.data(leaf, index));
        let size = b.word(element + 12) as usize;
        // Nothing names the key any more.
        b.file[data + 17..data + 17 + size].fill(0);
        match what {
            "value" => {}
            "key" => b.set(data, &[0; 17]),
            "element" => b.set(element, &[0xff; 16]),
            _ => of_no_kind(&mut b, leaf),
        }
        reseal(&mut b.file);
        let told = affected(&b.file);
        assert!(told.latest == Latest::Doubtful && told.unnamed, "{what}: {told:?}");
        assert!(
            told.revisions.iter().any(|(first, last)| *first <= 40 && *last >= Some(40)),
            "{what}: {told:?}"
        );
    }
}

/// Every page of every snapshot, damaged in several ways: what `verify` says must be true.
#[test]
fn what_is_said_to_be_whole_is_whole_and_what_is_stale_is_told() {
    let mut whole = 0;
    let mut named = 0;
    let mut exact = 0;
    for (name, file) in support::fixtures().into_iter().chain([("built".to_owned(), built().file)]) {
        let size = if name == "built" { 1024 } else { 4096 };
        let before = alive(&file).expect("keys");
        for page in 2..(file.len() - 32) / size {
            let at = page * size;
            for damage in 0..4 {
                let mut changed = file.clone();
                match damage {
                    0 => changed[at..at + size].fill(0),
                    1 => changed[at + 8] = 0x77,
                    2 => changed[at..at + 8].copy_from_slice(&99_999u64.to_le_bytes()),
                    // The size of the second element's value.
                    _ => changed[at + 16 + 16 + 15] ^= 0x40,
                }
                reseal(&mut changed);
                let what = format!("{name}, page {page}, damage {damage}");
                let report = {
                    let progress = Progress::default();
                    let source = ask::source(&changed);
                    etcdsnap::ops::verify::verify(&source, &Settings::new(&progress), &Default::default())
                        .expect("nobody writes to it")
                };
                let Some(after) = alive(&changed) else {
                    assert_eq!(report.affected.map(|told| told.latest), Some(Latest::Affected), "{what}");
                    continue;
                };
                let Some(told) = report.affected else {
                    assert_eq!(after, before, "{what}: {:?}", ask::lines(&report));
                    continue;
                };
                if told.latest == Latest::Whole {
                    assert_eq!(after, before, "{what}: {told:?}");
                    whole += 1;
                }
                let stale = after.iter().filter(|(key, main)| before.get(*key) != Some(main)).count() as u64;
                let gone = before.keys().filter(|key| !after.contains_key(*key)).count() as u64;
                assert!(told.doubtful.count + told.lost.count >= stale, "{what}: {stale} stale, {told:?}");
                assert!(told.unnamed || told.lost.count >= gone, "{what}: {gone} gone, {told:?}");
                named += told.lost.count;
                // Where all that was on a page is still there, nothing is left to guess.
                if name == "built" && damage == 1 && (2..12).contains(&page) {
                    let differs = |key: &&Vec<u8>| before.get(*key) != after.get(*key);
                    let mut keys: Vec<_> =
                        before.keys().chain(after.keys()).filter(differs).cloned().collect();
                    keys.sort();
                    keys.dedup();
                    let keys: Vec<_> =
                        keys.into_iter().map(|key| String::from_utf8(key).expect("text")).collect();
                    assert_eq!(names(&told.lost), keys, "{what}: {told:?}");
                    exact += 1;
                }
            }
        }
    }
    assert!(whole > 50 && named > 500, "{whole} times only history, {named} keys named");
    assert_eq!(exact, 10);
}

#[test]
fn the_page_and_the_document_name_objects() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("damaged.db");
    let path = path.to_str().expect("a path");
    let sound = fs::read(fixture("k8s-1.35-etcd-3.6")).expect("a file");
    let mut bytes = sound.clone();
    bytes[20 * 4096 + 8] = 0x77;
    fs::write(path, &bytes).expect("written");
    let before = alive(&sound).expect("keys");
    let after = alive(&bytes).expect("keys");
    let changed = before.iter().filter(|(key, main)| after.get(*key) != Some(main)).count();
    assert!(changed > before.len() - after.len(), "some are gone, and some are older");
    let document = program(&["verify", "-o", "json", path]).exits(1).json();
    let told = &document["files"][0]["affected"];
    assert_eq!(
        (&told["latestState"], &told["lost"]["count"]),
        (&"affected".into(), &changed.into()),
        "{told:#}"
    );
    let groups = told["lost"]["groups"].as_array().expect("groups");
    let page = program(&["verify", path]).exits(1).says("The latest state is affected.");
    for group in groups {
        let (resource, first) = (&group["resource"], &group["first"][0]);
        let (resource, first) = (resource.as_str().expect("a type"), first.as_str().expect("a name"));
        assert!(before.keys().any(|key| String::from_utf8_lossy(key).ends_with(first)));
        assert!(page.text().contains(resource) && page.text().contains(first), "{}", page.text());
    }
    page.says("etcdsnap list --skip-damaged FILE");
    // What later records miss because of it is counted with it.
    let findings = document["files"][0]["findings"].as_array().expect("findings");
    let gap = findings.iter().find(|finding| finding["code"] == "revision-gap").expect("a gap");
    assert_eq!(gap["explains"]["nothing-to-update"], 1, "{gap:#}");
    assert!(!findings.iter().any(|finding| finding["code"] == "nothing-to-update"));
    program(&["verify", path]).says("Explained by it, and not told again");
}

#[test]
fn what_stands_in_another_place_is_out_of_order_and_not_lost() {
    // Two leaves in each other's place.
    let mut b = built();
    let (one, other) = (b.at(5, 0), b.at(9, 0));
    let (first, second) = (b.file[one + 8..one + 1024].to_vec(), b.file[other + 8..other + 1024].to_vec());
    b.set(one + 8, &second);
    b.set(other + 8, &first);
    reseal(&mut b.file);
    // Two entries of a leaf, of one size.
    let mut c = built();
    let (one, other) = (c.data(6, 1), c.data(6, 2));
    let (first, second) = (c.file[one..other].to_vec(), c.file[other..c.data(6, 3)].to_vec());
    assert_eq!(first.len(), second.len());
    c.set(one, &second);
    c.set(other, &first);
    reseal(&mut c.file);
    for file in [&b.file, &c.file] {
        let report: Report = ask::verify(file);
        let lines = ask::lines(&report);
        assert!(lines.iter().any(|line| line.contains("tree/key-")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("revision-gap")), "{lines:?}");
        let told = report.affected.expect("affected");
        assert_eq!((told.missing, told.latest), (0, Latest::Doubtful), "{told:?}");
        assert!(told.revisions.is_empty() && !told.unnamed, "{told:?}");
        let snapshot = Snapshot::from_source(ask::source(file)).expect("it opens");
        let db = snapshot.db().expect("it opens");
        let progress = Progress::default();
        let settings = Settings { skip_damaged: true, ..Settings::new(&progress) };
        let listing = keys::keys(&db, Vec::new(), None, &settings).expect("keys");
        assert_eq!(listing.damage.records.missing.count, 0, "{}", listing.damage);
    }
    // And what is missing as well is told.
    zero(&mut b, 6);
    let report: Report = ask::verify(&b.file);
    let told = report.affected.expect("affected");
    assert_eq!((told.missing, told.revisions.len()), (6, 1), "{told:?}");
}

#[test]
fn the_revision_of_a_record_that_is_a_copy_of_another_is_named() {
    let mut b = built();
    let (one, other) = (b.data(6, 0), b.data(6, 1));
    let size = b.word(b.element(6, 0) + 12) as usize;
    assert_eq!(size, b.word(b.element(6, 1) + 12) as usize);
    let main = i64::from_be_bytes(b.file[other..other + 8].try_into().expect("eight bytes"));
    let copy = b.file[one + 17..one + 17 + size].to_vec();
    b.set(other + 17, &copy);
    reseal(&mut b.file);
    assert_eq!(affected(&b.file).revisions, [(main, Some(main))]);
}

/// The last sentence of `verify`, and all before it.
fn page(store: &Store, change: impl FnOnce(&mut Built)) -> (String, String) {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("file.db");
    let mut built = store.build();
    change(&mut built);
    reseal(&mut built.file);
    fs::write(&path, &built.file).expect("written");
    let answer = program(&["verify", path.to_str().expect("a path")]);
    let text = answer.text().trim_end().to_owned();
    let last = text.lines().last().expect("a sentence").to_owned();
    (text, last)
}

#[test]
fn what_verify_says_of_metas_and_compactions_holds() {
    let store = Store::sample(60);
    let (_, last) = page(&store, |_| ());
    assert!(last.starts_with("SOUND: this is what etcd saved, byte for byte"), "{last}");
    // One meta is left: it was not saved so, whatever the digest says.
    let (text, last) = page(&store, |b| b.file[16] ^= 1);
    assert!(last.starts_with("SOUND: the digest matches") && !text.contains("byte for byte"), "{text}");
    // Where etcd crashes, that is said last, too, and one grade is given for it.
    let with_list = Store { freelist: Some(false), ..store.clone() };
    for (text, last) in [
        page(&store, |b| b.file[8] = 6),
        page(&with_list, |b| {
            let at = b.at(b.freelist, 8);
            b.set(at, &[2]);
        }),
    ] {
        assert!(last.starts_with("DOUBTFUL: etcd itself would crash on this file"), "{text}");
    }
    // That nothing is missing is not known.
    let mut far = store;
    for name in ["scheduledCompactRev", "finishedCompactRev"] {
        *far.value("meta", name) = revision(5000, 0);
    }
    let (text, _) = page(&far, |_| ());
    assert!(
        text.contains("revisions 62 to 5000 none") && text.contains("compare with another member"),
        "{text}"
    );
    assert!(!text.contains("Nothing alive is missing"), "{text}");
}
