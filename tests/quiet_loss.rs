//! Damage of a few bytes that takes entries away and leaves everything else in order. Whatever
//! makes a reader answer otherwise must be told by `verify`, however right the digest is made.

mod support;

use std::path::Path;

use etcdsnap::codec::checksum::sha256;
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::ops::verify::{Options, verify};
use etcdsnap::ops::{Progress, Settings, keys};
use etcdsnap::source::Source;

const PAGE: usize = 4096;
const DIGEST: usize = 32;
const LEAF: u16 = 2;

fn source(content: &[u8]) -> Source {
    let mut file = content.to_vec();
    file.extend_from_slice(&sha256(content));
    Source::from_bytes("changed.db", file)
}

/// All keys with the revisions of their last changes; `None` if they are refused.
fn listed(content: &[u8]) -> Option<Vec<(Vec<u8>, i64)>> {
    let snapshot = Snapshot::from_source(source(content)).ok()?;
    let progress = Progress::default();
    let settings = Settings::new(&progress);
    let db = snapshot.db().ok()?;
    let listing = keys::keys(&db, Vec::new(), None, &settings).ok()?;
    let entries = listing
        .iter()
        .filter_map(|live| live.record().map(|record| (live.key.to_vec(), record.kv.mod_revision)));
    Some(entries.collect())
}

fn is_sound(content: &[u8]) -> bool {
    let progress = Progress::default();
    let report = verify(&source(content), &Settings::new(&progress), &Options::default());
    report.expect("nobody writes to it").is_sound()
}

fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// Makes each change to each leaf that counts elements, and compares.
fn for_each_leaf(change: impl Fn(&mut [u8], usize)) {
    let mut noticed = 0;
    for name in ["etcd-3.4", "etcd-3.6", "k8s-1.35-etcd-3.6"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/snapshots/{name}.db"));
        let file = std::fs::read(path).expect("a fixture");
        let content = &file[..file.len() - DIGEST];
        let sound = listed(content).expect("a sound file");
        assert!(is_sound(content), "{name}");
        for page in 2..content.len() / PAGE {
            let at = page * PAGE;
            let count = usize::from(u16::from_le_bytes([content[at + 10], content[at + 11]]));
            if content[at + 8..at + 10] != LEAF.to_le_bytes() || count == 0 || number(content, at) != page {
                continue;
            }
            let mut changed = content.to_vec();
            change(&mut changed[at..], count);
            if listed(&changed).as_ref() != Some(&sound) {
                noticed += 1;
                assert!(!is_sound(&changed), "{name}: page {page} of {count} elements");
            }
        }
    }
    assert!(noticed > 20, "{noticed}");
}

#[test]
fn a_leaf_that_counts_no_element_any_more() {
    for_each_leaf(|page, _| page[10..12].fill(0));
}

#[test]
fn a_last_record_without_its_value() {
    for_each_leaf(|page, count| {
        let element = 16 * count;
        page[element + 12..element + 16].fill(0);
    });
}

#[test]
fn a_last_record_that_is_cut_anywhere() {
    for keep in [1, 2, 5, 9, 17, 33] {
        for_each_leaf(|page, count| {
            let element = 16 * count;
            let size = number(page, element + 12);
            let size = u32::try_from(size.saturating_sub(keep)).expect("a size");
            page[element + 12..element + 16].copy_from_slice(&size.to_le_bytes());
        });
    }
}

#[test]
fn a_root_of_all_buckets_without_elements_is_not_restored() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/snapshots/k8s-1.35-etcd-3.6.db");
    let file = std::fs::read(path).expect("a fixture");
    let mut content = file[..file.len() - DIGEST].to_vec();
    let snapshot = Snapshot::from_source(Source::from_bytes("sound.db", file)).expect("a snapshot");
    let root = usize::try_from(snapshot.db().expect("a database").meta.root.0).expect("a page");
    content[root * PAGE + 10..root * PAGE + 12].fill(0);
    let progress = Progress::default();
    let report = verify(&source(&content), &Settings::new(&progress), &Options::default()).expect("read");
    assert!(support::ask::is_damaged(&report), "{:?}", report.findings.kinds());
    assert_eq!(listed(&content), None);
}
