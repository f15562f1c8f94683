//! What is still there is saved: of files damaged in hundreds of ways, every record
//! whose bytes are untouched, wherever they lie, is in what `salvage` makes, or was
//! superseded where the new history begins. The oracle is the file before the damage.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use etcdsnap::bolt::{Db, leaves_forward};
use etcdsnap::etcd::key_value::KeyValue;
use etcdsnap::ops::salvage::{Report, SalvageError};
use etcdsnap::source::Source;
use memchr::memmem;
use support::ask;
use support::store::{Built, Store};

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn records(file: &[u8]) -> Records {
    let db = Db::open(file).expect("a database");
    let leaves = leaves_forward(&db, b"key").map(|leaf| leaf.expect("a sound leaf"));
    leaves.flatten().map(|element| (element.key().to_vec(), element.value().to_vec())).collect()
}

fn main_of(key: &[u8]) -> i64 {
    i64::from_be_bytes(key[..8].try_into().expect("a revision"))
}

fn user_key(value: &[u8]) -> Vec<u8> {
    KeyValue::parse(value).expect("a message").key.to_vec()
}

/// Numbers that are the same on every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

fn set(file: &mut [u8], at: usize, bytes: &[u8]) {
    let end = (at + bytes.len()).min(file.len());
    file[at..end].copy_from_slice(&bytes[..end - at]);
}

/// Damages `file` in one way; what way is returned, for whoever reads a failure.
fn damage(file: &mut Vec<u8>, page_size: usize, dice: &mut Dice) -> String {
    let pages = file.len() / page_size;
    let page = 2 + dice.below(pages - 2);
    let at = page * page_size;
    let count = usize::from(u16::from_le_bytes([file[at + 10], file[at + 11]]));
    let element = at + 16 + 16 * dice.below(count.clamp(1, page_size / 16 - 1));
    match dice.below(19) {
        0 => {
            let (from, length) = (dice.below(page_size), dice.below(page_size));
            let end = (at + from + length).min(at + page_size);
            file[at + from..end].fill(0);
            format!("zeros in page {page} from {from}")
        }
        1 => {
            let bytes = dice.bytes(16);
            set(file, at, &bytes);
            format!("page {page}: header of noise")
        }
        2 => {
            let flags = [0u16, 1, 2, 4, 16, 0x55][dice.below(6)];
            set(file, at + 8, &flags.to_le_bytes());
            format!("page {page}: flags {flags}")
        }
        3 => {
            let new = [0, 1, count / 2, count + 1, count + 7, 900, 65_535][dice.below(7)] as u16;
            set(file, at + 10, &new.to_le_bytes());
            format!("page {page}: count {count} to {new}")
        }
        4..=7 => {
            // Position, size of the key, size of the value.
            let field = element + [4, 8, 12][dice.below(3)];
            let old = u32::from_le_bytes(file[field..field + 4].try_into().expect("four"));
            let more = dice.below(120) as u32;
            let new = [old.wrapping_add(1 + more), old.wrapping_sub(1 + more), dice.next() as u32, 0]
                [dice.below(4)];
            set(file, field, &new.to_le_bytes());
            format!("page {page}: element field at {:#x}: {old} to {new}", field - at)
        }
        8 => {
            let overflow = [1u32, 2, 40, u32::MAX][dice.below(4)];
            set(file, at + 12, &overflow.to_le_bytes());
            format!("page {page}: overflow {overflow}")
        }
        9 => {
            let id = dice.below(pages) as u64;
            set(file, at, &id.to_le_bytes());
            format!("page {page}: number {id}")
        }
        10 => {
            let other = 2 + dice.below(pages - 2);
            for offset in 0..page_size {
                file.swap(at + offset, other * page_size + offset);
            }
            format!("pages {page} and {other} swapped")
        }
        11 => {
            let other = 2 + dice.below(pages - 2);
            file.copy_within(at..at + page_size, other * page_size);
            format!("page {page} over {other}")
        }
        12 => {
            let cut = at + dice.below(page_size);
            file.truncate(cut.max(3 * page_size));
            format!("cut at {cut}")
        }
        13 => {
            file[..2 * page_size].fill(0);
            "no metas".to_owned()
        }
        14 => {
            let count = [1, 7, 8, 100, 512, 4096][dice.below(6)];
            let bytes = dice.bytes(count);
            let from = at + dice.below(page_size);
            file.splice(from..from, bytes.iter().copied());
            format!("{} bytes more at {from}", bytes.len())
        }
        15 => {
            let from = at + dice.below(page_size);
            let end = (from + [1, 7, 8, 100, 512, 4096][dice.below(6)]).min(file.len());
            file.drain(from..end);
            format!("{} bytes less at {from}", end - from)
        }
        16 => {
            let bytes = dice.bytes(1);
            let from = at + dice.below(page_size);
            set(file, from, &bytes);
            format!("a byte at {from}")
        }
        17 => {
            let count = 1 + dice.below(300);
            let bytes = dice.bytes(count);
            let from = at + dice.below(page_size);
            set(file, from, &bytes);
            format!("{count} bytes of noise at {from}")
        }
        _ => {
            let bytes = dice.bytes(16);
            set(file, element, &bytes);
            format!("page {page}: element at {:#x} of noise", element - at)
        }
    }
}

/// What is wrong with an account of what was saved.
fn complaints(truth: &Records, damaged: &[u8], saved: &Records, report: &Report) -> Vec<String> {
    let named: BTreeSet<i64> = report.doubtful.first.iter().map(|item| item.named.revision.main).collect();
    let lost: BTreeSet<i64> = report.lost.first.iter().map(|item| item.named.revision.main).collect();
    // The newest of each key that a compaction there leaves behind, or a deletion that it
    // drops with all before it.
    let mut newest: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    let is_there =
        |key: &Vec<u8>, value: &Vec<u8>| memmem::find(damaged, &[key.as_slice(), value].concat()).is_some();
    let deleted = truth.iter().filter(|(key, value)| {
        key.len() == 18 && main_of(key) <= report.compact_after && is_there(key, value)
    });
    for (key, value) in saved.iter().chain(deleted) {
        let main = newest.entry(user_key(value)).or_default();
        *main = main_of(key).max(*main);
    }
    let mut wrong = Vec::new();
    for (key, value) in truth {
        let main = main_of(key);
        let whole = [key.as_slice(), value].concat();
        if saved.get(key) == Some(value) || memmem::find(damaged, &whole).is_none() {
            continue;
        }
        // Dropped behind a hole as a compaction drops it.
        let followed = newest.get(&user_key(value)).is_some_and(|newest| *newest > main);
        let dropped = main <= report.compact_after && (followed || key.len() == 18);
        let contested = saved.contains_key(key) && named.contains(&main);
        if is_hidden(damaged, &whole, saved) {
            continue;
        }
        if !dropped && !contested {
            let told = if lost.contains(&main) { ", told as lost" } else { "" };
            let other = if saved.contains_key(key) { ", another was" } else { "" };
            let after = report.compact_after;
            wrong.push(format!("revision {main} is still there and was not saved{told}{other} ({after})"));
        }
    }
    for (key, value) in saved {
        let main = main_of(key);
        // What was changed inside a value or a sub revision nobody can see: then nothing that
        // was written at that revision is there as it was.
        let changed = !truth.iter().any(|(key, value)| main_of(key) == main && is_there(key, value))
            && is_there(key, value);
        if truth.get(key) != Some(value) && !changed && !named.contains(&main) {
            wrong.push(format!("revision {main} was made up"));
        }
    }
    wrong
}

/// The last record of each key, by its revision.
fn last_of_each(records: &Records) -> BTreeMap<Vec<u8>, &Vec<u8>> {
    records.iter().map(|(key, value)| (user_key(value), key)).collect()
}

/// Keys that are in an older state than they had, or back from the dead, and not named.
fn unnamed(truth: &Records, saved: &Records, report: &Report) -> Vec<String> {
    let outdated = report.outdated.keys.first.iter().map(|named| named.revision);
    let doubtful = report.doubtful.first.iter().map(|doubtful| doubtful.named.revision);
    let named: BTreeSet<(i64, i64)> = outdated.chain(doubtful).map(|of| (of.main, of.sub)).collect();
    let torn = report.lost.first.iter().filter(|lost| lost.why.is_latest());
    let torn: BTreeSet<&[u8]> = torn.map(|lost| lost.named.key.bytes.as_slice()).collect();
    let was = last_of_each(truth);
    let mut wrong = Vec::new();
    for (key, revision) in last_of_each(saved) {
        let sub = i64::from_be_bytes(revision[9..17].try_into().expect("a revision"));
        let newer = was.get(&key).filter(|newest| **newest > revision && revision.len() == 17);
        if newer.is_some() && !named.contains(&(main_of(revision), sub)) && !torn.contains(key.as_slice()) {
            let name = String::from_utf8_lossy(&key).into_owned();
            wrong.push(format!("{name} is as it was at {}, and nobody says so", main_of(revision)));
        }
    }
    wrong
}

/// Whether a record that is still there stands inside of another one that was saved: where
/// bytes were taken out of a value, what follows takes their place, and the value is none
/// the less whole by its page and by its message.
fn is_hidden(damaged: &[u8], whole: &[u8], saved: &Records) -> bool {
    let places: Vec<usize> = memmem::find_iter(damaged, whole).collect();
    saved.iter().any(|(key, value)| {
        let other = [key.as_slice(), value].concat();
        other.len() > whole.len() / 2
            && memmem::find_iter(damaged, &other)
                .any(|at| places.iter().all(|place| (at + 1..at + other.len()).contains(place)))
    })
}

/// Damages `truth` `count` times, in one to three ways each.
fn campaign(truth: &[u8], page_size: usize, count: u64) {
    let original = records(truth);
    let mut failures = Vec::new();
    for seed in 0..count {
        let mut dice = Dice(seed);
        let mut file = truth.to_vec();
        let ways = 1 + dice.below(3);
        let ways: Vec<String> = (0..ways).map(|_| damage(&mut file, page_size, &mut dice)).collect();
        let source = Source::from_bytes("damaged.db", file.clone());
        let plan = match ask::salvage(&source) {
            Ok(plan) => plan,
            Err(SalvageError::Nothing { .. }) => {
                let is_there = |(key, value): (&Vec<u8>, &Vec<u8>)| {
                    memmem::find(&file, &[key.as_slice(), value].concat()).is_some()
                };
                if !original.iter().any(is_there) {
                    continue;
                }
                failures.push(format!("seed {seed} {ways:?}: nothing"));
                continue;
            }
            Err(error) => panic!("seed {seed}: {error}"),
        };
        let bytes = plan.to_bytes().expect("written");
        let verified = ask::verify(&bytes);
        assert!(plan.fits(&verified), "seed {seed} {ways:?}: {:?}", verified.findings.kinds());
        let saved = records(&bytes);
        let mut wrong = complaints(&original, &file, &saved, &plan.report);
        wrong.extend(unnamed(&original, &saved, &plan.report));
        if !wrong.is_empty() {
            failures.push(format!("seed {seed} {ways:?}: {} of them, {}", wrong.len(), wrong[0]));
        }
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("fixtures/snapshots/{name}")).expect("a fixture")
}

/// Values of all sizes, some longer than pages.
fn long_values() -> Built {
    let mut store = Store { leaf_bytes: 900, ..Store::sample(0) };
    for main in 2i64..80 {
        let value =
            vec![b'a' + (main % 26) as u8; if main % 9 == 4 { 2500 } else { (main * 7 % 90) as usize }];
        let name = format!("k{:02}", main % 13);
        let create = 2 + (main - 2) % 13;
        let put = support::store::Put {
            key: name.as_bytes(),
            create: if create < 2 { main } else { create },
            modified: main,
            version: 1 + (main - create) / 13,
            value: &value,
            lease: 0,
        };
        store.key.push(support::entry(support::store::revision(main, 0), put.to_bytes()));
    }
    store.build()
}

#[test]
fn what_is_still_there_of_a_made_up_file_is_saved() {
    campaign(&Store::sample(60).build().file, 1024, 600);
}

#[test]
fn what_is_still_there_of_long_values_is_saved() {
    campaign(&long_values().file, 1024, 400);
}

#[test]
fn what_is_still_there_of_a_real_file_is_saved() {
    campaign(&fixture("etcd-3.6.db"), 4096, 300);
}

#[test]
fn what_is_still_there_of_a_cluster_is_saved() {
    campaign(&fixture("k8s-1.35-etcd-3.6.db"), 4096, 200);
}
