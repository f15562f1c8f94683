//! A snapshot file, whole or in parts.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use etcdsnap::bolt::{Db, Meta, PageId, PageSize, TxId, WalkOptions, walk};
use etcdsnap::codec::checksum::crc32c;
use etcdsnap::etcd::peer_url::{InitialCluster, PeerUrl};
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::etcd::state::State;
use etcdsnap::kube::encryption::Keyring;
use etcdsnap::kube::registry_key::Prefixes;
use etcdsnap::ops::finding::{Check, Grade};
use etcdsnap::ops::rebuild::{Changes, CompactAt, Leases};
use etcdsnap::ops::restore::{Bump, Corrections, Existing, Membership, Placement, RestoreError};
use etcdsnap::ops::{
    Progress, Settings, encryption, hashkv, keys, list, lookup, member_list, pages, restore as restores,
    salvage as salvages, status, verify as verifies,
};
use etcdsnap::source::Source;

const KEYRING: &str = include_str!("../../fixtures/snapshots/encryption-config.yaml");

static PROGRESS: Progress = Progress {
    pages: std::sync::atomic::AtomicU64::new(0),
    hashed: std::sync::atomic::AtomicU64::new(0),
    written: std::sync::atomic::AtomicU64::new(0),
};

fn settings(threads: usize, skip_damaged: bool) -> Settings<'static> {
    let threads = NonZeroUsize::new(threads).expect("threads");
    Settings { threads, skip_damaged, progress: &PROGRESS }
}

fn source(bytes: &[u8]) -> Source {
    Source::from_bytes("fuzz.db", bytes.to_vec())
}

fn keyring() -> Arc<Keyring> {
    static PARSED: LazyLock<Arc<Keyring>> =
        LazyLock::new(|| Arc::new(Keyring::parse(KEYRING.as_bytes()).expect("a configuration")));
    Arc::clone(&PARSED)
}

/// A number that differs from input to input, to choose between variants by.
fn choice(bytes: &[u8]) -> u32 {
    crc32c(bytes)
}

/// Pages of a bucket behind metas and a root that are sound: where damage is read
/// from the start.
pub(super) fn page(bytes: &[u8]) {
    const SIZE: u32 = PageSize::MIN;
    let padding = bytes.len().next_multiple_of(SIZE as usize);
    let page_size = PageSize::new(SIZE).expect("a page size");
    let high_water_mark = PageId(3 + (padding / SIZE as usize) as u64);
    let meta = |txid| Meta {
        page_size,
        root: PageId(2),
        sequence: 0,
        freelist: None,
        high_water_mark,
        txid: TxId(txid),
    };
    let mut file = [meta(2).to_page(0), meta(1).to_page(1), root_of_key()].concat();
    file.resize(3 * SIZE as usize, 0);
    file.extend_from_slice(bytes);
    file.resize(3 * SIZE as usize + padding, 0);
    let db = Db::open(&file).expect("the metas are sound");
    let report = |threads| {
        let options = WalkOptions { threads, only: None, progress: None };
        format!("{:?}", walk(&db, &(), &options).1)
    };
    assert_eq!(report(NonZeroUsize::MIN), report(NonZeroUsize::new(2).expect("two")));
    let _ = State::read(&db);
    surveyed(&file);
}

/// A root leaf with bucket `key`, whose root is page 3.
fn root_of_key() -> Vec<u8> {
    let mut page = [&2u64.to_le_bytes()[..], &2u16.to_le_bytes(), &1u16.to_le_bytes(), &[0; 4]].concat();
    for word in [1u32, 16, 3, 16] {
        page.extend(word.to_le_bytes());
    }
    page.extend(b"key");
    page.extend(3u64.to_le_bytes());
    page.extend([0; 8]);
    page
}

/// A snapshot file: everything there is to ask of it.
pub(super) fn db(bytes: &[u8]) {
    surveyed(bytes);
    let Ok(db) = Db::open(bytes) else {
        assert!(Snapshot::from_source(source(bytes)).is_err());
        return;
    };
    let _ = State::read(&db);
    let snapshot = Snapshot::from_source(source(bytes)).expect("it can be opened");
    let prefixes = Prefixes::well_known();
    for skip_damaged in [false, true] {
        let settings = settings(1, skip_damaged);
        let _ = status::status(&snapshot, &prefixes, &settings);
        let _ = member_list::members(&snapshot, &settings);
        for revision in [None, Some(9), Some(i64::MAX)] {
            let _ = hashkv::hashkv(&snapshot, revision, &settings);
            let _ = lookup::key(&db, b"k03", revision, &settings);
            let Ok(listing) = keys::keys(&db, Vec::new(), revision, &settings) else { continue };
            let mut sorted = Vec::new();
            listing.by_key(
                NonZeroUsize::MIN,
                |run| run.map(|key| key.key).collect(),
                |run: Vec<_>| sorted.extend(run),
            );
            assert!(sorted.is_sorted() && sorted.len() == listing.iter().count());
        }
        let request =
            encryption::Request { keyring: Some(&keyring()), all_revisions: true, ..Default::default() };
        let _ = encryption::audit(&db, &request, &settings);
        if let Ok(listing) = list::list(&db, &list::Selection::default(), &settings) {
            let total: u64 = listing.counts(settings.threads).iter().map(|count| count.count).sum();
            let mut named = 0;
            listing.objects(settings.threads, |run| run.count(), |run| named += run as u64);
            assert_eq!(total, named);
        }
    }
}

/// Every page by itself.
fn surveyed(bytes: &[u8]) {
    let source = source(bytes);
    let Ok(survey) = pages::survey(&source, &settings(1, false)) else { return };
    let census = &survey.census;
    let mut next = 0;
    for run in census.runs() {
        assert_eq!(run.first.0, next, "each page belongs to one run");
        next += run.pages;
        let view = census.view(&run);
        let _ = (census.bounds(&run), census.faults_of(&run), view.meta_fields());
        let _ = (view.slack(), view.first_and_last(), view.free_ids(), view.branch_elements());
        for element in view.leaf_elements().0 {
            let _ = pages::content(survey.within(&run), &element);
        }
    }
    assert_eq!(next, census.pages());
    let _ = census.referrers(&census.runs().map(|run| run.first).collect());
}

fn report_of(bytes: &[u8], threads: usize, options: &verifies::Options) -> verifies::Report {
    verifies::verify(&source(bytes), &settings(threads, false), options).expect("nobody writes to it")
}

/// Whether the content, without regard to the digest, is such as must not be restored.
fn is_damaged(report: &verifies::Report) -> bool {
    let worst = |check: &verifies::CheckResult| check.worst.is_some_and(|worst| worst >= Grade::DataLost);
    report.checks.iter().any(|check| check.check != Check::Digest && worst(check))
}

/// `verify`, whose report must not depend on threads, nor on a digest be silent.
pub(super) fn verify(bytes: &[u8]) {
    let options = verifies::Options { keyring: Some(keyring()), ..verifies::Options::default() };
    let report = report_of(bytes, 1, &options);
    assert_eq!(format!("{report:?}"), format!("{:?}", report_of(bytes, 3, &options)));
    if report.is_sound() {
        let db = Db::open(bytes).expect("a sound file can be opened");
        let options = WalkOptions { threads: NonZeroUsize::MIN, only: None, progress: None };
        assert!(walk(&db, &(), &options).1.faults.is_empty());
        let snapshot = Snapshot::from_source(source(bytes)).expect("a sound file can be opened");
        keys::keys(&db, Vec::new(), None, &settings(1, false)).expect("and read");
        hashkv::hashkv(&snapshot, None, &settings(1, false)).expect("and hashed");
    }
}

/// A damaged file, of which a sound one is made.
pub(super) fn salvage(bytes: &[u8]) {
    let source = source(bytes);
    let Ok(plan) = salvages::plan(&source, &verifies::Options::default(), &settings(1, false)) else {
        return;
    };
    let saved = plan.to_bytes().expect("what was planned can be written");
    let report = report_of(&saved, 1, &verifies::Options::default());
    assert!(plan.fits(&report), "{:?}", report.findings.kinds());
}

/// Bytes that are searched for what is left in them.
pub(super) fn carve(bytes: &[u8]) {
    let source = source(bytes);
    let Ok(carved) = etcdsnap::ops::carve::carve(&source, &settings(1, false)) else { return };
    let prefixes = Prefixes::well_known();
    for found in &carved.found {
        let remnant = found.read(carved.file()).expect("what was found can be read again");
        let _ = etcdsnap::ops::carve::Label::of(&remnant, &prefixes);
    }
    assert!(carved.searched.unexplained <= carved.searched.bytes());
}

const URL: &str = "http://10.9.9.1:2380";

/// What is asked of a restore, chosen by the input.
fn request(choice: u32) -> restores::Request {
    let has = |bit: u32| choice >> bit & 1 == 1;
    let cluster = InitialCluster::parse(&format!("n1={URL}")).expect("a cluster");
    let corrections = Corrections {
        downgrade: false,
        clear_downgrade: has(0),
        clear_alarms: has(0),
        rewrite_conf_state: has(0),
    };
    let changes = Changes {
        compact: has(1).then_some(CompactAt::Now),
        leases: if has(2) { Leases::Detach } else { Leases::Keep },
        defrag: has(3),
        ..Changes::default()
    };
    restores::Request {
        membership: Membership { cluster, token: "token".into(), ..Membership::default() },
        corrections,
        bump: has(4).then_some(Bump::By(1000)),
        // Half of them are patched, half are written anew.
        changes: if has(5) { changes } else { Changes::default() },
        skip_hash_check: !has(6),
        ..restores::Request::default()
    }
}

/// `restore` into a folder of its own. It does what its preview said, leaves nothing
/// behind if it refuses, refuses what is damaged, and what it makes verifies.
pub(super) fn restore(bytes: &[u8]) {
    let request = request(choice(bytes));
    let source = source(bytes);
    let settings = settings(1, false);
    let folder = tempfile::tempdir().expect("a folder");
    let placement = Placement {
        name: "n1".into(),
        advertised: PeerUrl::parse_list(URL).expect("a URL"),
        data_dir: folder.path().join("restored"),
        wal_dir: None,
        owner: None,
        mode: None,
        existing: Existing::Refuse,
    };
    let foreseen = restores::preview(&source, &request, &placement, &settings);
    let left = |folder: &Path| fs::read_dir(folder).expect("a folder").count();
    assert_eq!(left(folder.path()), 0, "a preview writes nothing");
    // A refusal writes 64 MB first: not every one is waited for.
    if foreseen.is_err() && !choice(bytes).is_multiple_of(16) {
        return;
    }
    let refused = foreseen.as_ref().is_ok_and(|foreseen| !foreseen.refusals.is_empty());
    match restores::restore(&source, &request, &placement, &settings) {
        Err(RestoreError::Refused(_)) => assert!(refused),
        Err(error) => {
            assert!(foreseen.is_err(), "{error} was not foreseen");
            assert_eq!(left(folder.path()), 0, "a refusal leaves nothing behind");
        }
        Ok(restored) => {
            let foreseen = foreseen.expect("foreseen");
            assert_eq!(foreseen.restored.state, restored.state);
            let before = report_of(bytes, 1, &verifies::Options::default());
            assert!(!is_damaged(&before), "{:?}", before.findings.kinds());
            let db = fs::read(placement.data_dir.join("member/snap/db")).expect("a database");
            let after = report_of(&db, 1, &verifies::Options::default());
            assert!(!is_damaged(&after), "{:?}", after.findings.kinds());
        }
    }
}
