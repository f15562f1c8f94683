//! Asks the library everything there is to ask of a file.

use std::num::NonZeroUsize;
use std::path::Path;

use etcdsnap::bolt::{Db, FaultLog, Use, WalkOptions, walk};
use etcdsnap::etcd::peer_url::{InitialCluster, PeerUrl};
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::etcd::state::State;
use etcdsnap::ops::finding::{Check, Grade};
use etcdsnap::ops::restore::{
    self, Bump, Database, Existing, Membership, Placement, Plan, Request, RestoreError, Restored,
};
use etcdsnap::ops::salvage::{self, SalvageError};
use etcdsnap::ops::verify::{self, Report};
use etcdsnap::ops::{self, Progress, Settings, hashkv, keys, list, lookup, member_list, pages, status};
use etcdsnap::source::Source;

pub const THREADS: [usize; 3] = [1, 2, 5];

fn threads(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("threads")
}

pub fn source(file: &[u8]) -> Source {
    Source::from_bytes("built.db", file.to_vec())
}

/// The report of `verify`, which must not depend on the number of threads.
pub fn verify(file: &[u8]) -> Report {
    let source = source(file);
    let reports = THREADS.map(|number| {
        let progress = Progress::default();
        let settings = Settings { threads: threads(number), skip_damaged: false, progress: &progress };
        verify::verify(&source, &settings, &verify::Options::default()).expect("nobody writes to it")
    });
    let told = reports.each_ref().map(|report| format!("{report:?}"));
    assert!(told.iter().all(|other| *other == told[0]), "the answer depends on the threads: {told:#?}");
    let [report, ..] = reports;
    report
}

/// What can be saved of a file, which must not depend on the number of threads.
pub fn salvage(source: &Source) -> Result<salvage::Plan<'_>, SalvageError> {
    let plans = [3, 1].map(|number| {
        let progress = Progress::default();
        let settings = Settings { threads: threads(number), skip_damaged: false, progress: &progress };
        salvage::plan(source, &verify::Options::default(), &settings)
    });
    let told = plans.each_ref().map(|plan| plan.as_ref().map(|plan| plan.report.clone()).ok());
    assert!(told[0] == told[1], "the answer depends on the threads: {told:#?}");
    let [plan, _] = plans;
    plan
}

/// Whether the file without regard to its digest is one that must not be restored.
pub fn is_damaged(report: &Report) -> bool {
    let worst =
        report.checks.iter().filter(|check| check.check != Check::Digest).filter_map(|check| check.worst);
    worst.max().is_some_and(|worst| worst >= Grade::DataLost)
}

const URL: &str = "http://10.9.9.1:2380";

pub fn request(bump_revision: Option<u64>) -> Request {
    let cluster = InitialCluster::parse(&format!("n1={URL}")).expect("a cluster");
    Request {
        membership: Membership { cluster, token: "token".into(), ..Membership::default() },
        skip_hash_check: true,
        bump: bump_revision.map(Bump::By),
        ..Request::default()
    }
}

fn placement(folder: &Path) -> Placement {
    Placement {
        name: "n1".into(),
        advertised: PeerUrl::parse_list(URL).expect("a URL"),
        data_dir: folder.join("restored"),
        wal_dir: None,
        owner: None,
        mode: None,
        existing: Existing::Refuse,
    }
}

/// Restores, digest or no digest, into a place that is gone afterwards.
pub fn restore(file: &[u8], bump_revision: Option<u64>) -> Result<Restored, RestoreError> {
    let folder = tempfile::tempdir().expect("a folder");
    let progress = Progress::default();
    let result = restore::restore(
        &source(file),
        &request(bump_revision),
        &placement(folder.path()),
        &Settings { threads: threads(2), skip_damaged: false, progress: &progress },
    );
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(left.len(), usize::from(result.is_ok()), "a refusal leaves nothing behind: {left:?}");
    result
}

/// The census finds what a walk finds, and has each page once.
pub fn census(file: &[u8]) {
    let source = source(file);
    let progress = Progress::default();
    let surveys = THREADS.map(|number| {
        let settings = Settings { threads: threads(number), skip_damaged: false, progress: &progress };
        pages::survey(&source, &settings)
    });
    let [Ok(first), Ok(second), Ok(third)] = &surveys else {
        assert!(surveys.iter().all(Result::is_err));
        return;
    };
    let census = &first.census;
    let runs: Vec<_> = census.runs().collect();
    for other in [second, third] {
        assert_eq!(other.census.runs().collect::<Vec<_>>(), runs, "the census depends on the threads");
    }
    let mut next = 0;
    for run in &runs {
        assert_eq!(run.first.0, next);
        next += run.pages;
        let (_, _) = (census.bounds(run), census.faults_of(run));
        let view = census.view(run);
        let _ = (view.slack(), view.first_and_last(), view.meta_fields(), view.free_ids());
        let _ = view.branch_elements();
        for element in view.leaf_elements().0 {
            let _ = pages::content(first.within(run), &element);
        }
    }
    assert_eq!(next, census.pages());
    let _ = census.referrers(&runs.iter().map(|run| run.first).collect());
    let Some(db) = census.db() else { return };
    let options = WalkOptions { threads: threads(1), only: None, progress: None };
    let (_, report) = walk(db, &(), &options);
    let counts = |log: &FaultLog| log.counts().collect::<Vec<_>>();
    assert_eq!(counts(census.faults()), counts(&report.faults));
    if report.faults.is_empty() {
        let free = runs.iter().filter(|run| run.kind == Use::Free).count() as u64;
        assert_eq!(free + census.missing_pages(), report.pages.free);
        assert!(runs.iter().all(|run| !run.shared && !matches!(run.kind, Use::Bad | Use::Leaked)));
    } else {
        assert!(!first.faults().is_empty());
    }
}

/// Every question but `verify` and `restore`, strict and lenient. Only whether
/// they come back is of interest here.
pub fn questions(file: &[u8]) {
    census(file);
    let Ok(db) = Db::open(file) else {
        assert!(Snapshot::from_source(source(file)).is_err());
        return;
    };
    let mut walks = THREADS.map(|number| {
        let options = WalkOptions { threads: threads(number), only: None, progress: None };
        format!("{:?}", walk(&db, &(), &options).1)
    });
    walks.sort();
    assert_eq!(walks[0], walks[2], "the walk depends on the threads");
    let _ = State::read(&db);
    let snapshot = Snapshot::from_source(source(file)).expect("it opened");
    let progress = Progress::default();
    for skip_damaged in [false, true] {
        let settings = Settings { threads: threads(2), skip_damaged, progress: &progress };
        let _ = status::figures(&snapshot, &settings);
        let _ = status::status(&snapshot, &Default::default(), &settings);
        let _ = member_list::members(&snapshot, &settings);
        for revision in [None, Some(1), Some(9), Some(i64::MAX), Some(i64::MIN)] {
            let _ = hashkv::hashkv(&snapshot, revision, &settings);
            let _ = lookup::key(&db, b"k03", revision, &settings);
            if let Ok(listing) = keys::keys(&db, vec![b"k".to_vec(), b"/".to_vec()], revision, &settings) {
                let mut keys = Vec::new();
                listing.in_file_order(
                    threads(2),
                    |run| run.map(|key| key.key).collect(),
                    |run: Vec<_>| {
                        keys.extend(run);
                    },
                );
                keys.sort_unstable();
                let mut sorted = Vec::new();
                listing.by_key(
                    threads(2),
                    |run| run.map(|key| key.key).collect(),
                    |run: Vec<_>| sorted.extend(run),
                );
                assert_eq!(sorted, keys);
                assert_eq!(listing.iter().map(|key| key.key).collect::<Vec<_>>(), keys);
            }
        }
        for types in [vec![], vec!["pods".to_owned(), "deploy".to_owned(), "nothing".to_owned()]] {
            let selection = list::Selection { types, ..list::Selection::default() };
            if let Ok(listing) = list::list(&db, &selection, &settings) {
                let total: u64 = listing.counts(threads(2)).iter().map(|count| count.count).sum();
                let mut named = 0;
                listing.objects(threads(2), |run| run.count(), |run| named += run as u64);
                assert_eq!(total, named);
            }
        }
    }
}

/// Plans a restore and walks what would be written.
pub fn plans(file: &[u8]) {
    let Ok(db) = Db::open(file) else { return };
    for bump in [None, Some(0), Some(1_000_000_000), Some(u64::MAX)] {
        let settings = Settings { threads: threads(2), skip_damaged: false, progress: &Progress::default() };
        if let Ok(plan) = Plan::new(&db, &request(bump), &settings)
            && let Database::Patched(patched) = &plan.database
        {
            let options = WalkOptions { threads: threads(1), only: None, progress: None };
            let _ = walk(&patched.db(), &(), &options);
        }
    }
}

/// What `verify` says of records that must not be answered from, and of records that are
/// missing: by itself or by where it stands, no record of those is in order.
const DOUBTED: [&str; 13] = [
    "newest-unreached",
    "record-unreadable",
    "mod-revision",
    "create-revision",
    "version",
    "first-version",
    "tombstone-content",
    "deletion-unmarked",
    "write-marked-deleted",
    "record-form",
    "empty-key",
    "revision-gap",
    "sub-revision-gap",
];

/// Those who answer from all records refuse what `verify` finds wrong with them, and
/// nothing that is sound.
pub fn readers(file: &[u8], report: &Report) {
    let Ok(snapshot) = Snapshot::from_source(source(file)) else { return };
    let db = snapshot.db().expect("it opened");
    let progress = Progress::default();
    let settings = Settings { threads: threads(2), skip_damaged: false, progress: &progress };
    let answers = [
        ("status", status::status(&snapshot, &Default::default(), &settings).map(|_| ())),
        ("figures", status::figures(&snapshot, &settings).map(|_| ())),
        ("hashkv", hashkv::hashkv(&snapshot, None, &settings).map(|_| ())),
        ("keys", keys::keys(&db, Vec::new(), None, &settings).map(|_| ())),
        ("list", list::list(&db, &list::Selection::default(), &settings).map(|_| ())),
        ("history", ops::history::history(&db, &[b"k03".to_vec()], &settings).map(|_| ())),
    ];
    let kinds = report.findings.kinds();
    let has = |wanted: &[&str]| kinds.iter().any(|(_, code, ..)| wanted.contains(code));
    // Without bucket `meta` nobody knows what was compacted away.
    let order = if has(&["missing-bucket"]) { 2 } else { 0 };
    let doubted = DOUBTED.get(..DOUBTED.len() - order).is_some_and(has);
    for (question, answer) in answers {
        assert!(!doubted || answer.is_err(), "{question} answers in spite of {:#?}", report.findings);
        assert!(!report.is_sound() || answer.is_ok(), "{question} of a sound file: {answer:?}");
    }
}

/// Everything, with what must hold between the answers. Returns what `verify`
/// said.
pub fn everything(file: &[u8]) -> Report {
    let report = verify(file);
    questions(file);
    readers(file, &report);
    plans(file);
    for bump in [None, Some(1000)] {
        let restored = restore(file, bump);
        if is_damaged(&report) {
            let told = restored.as_ref().map(|restored| &restored.warnings);
            assert!(
                restored.is_err(),
                "bump {bump:?}: restored in spite of {:#?}\n{told:?}",
                report.findings
            );
        }
    }
    report
}

/// The findings, one line for each kind: grade, check and code, how many, and
/// where the first of them is.
pub fn lines(report: &Report) -> Vec<String> {
    let line = |(check, code, grade, count, kept): (Check, &str, Grade, u64, &[_])| {
        let mut place =
            kept.first().map(|first: &etcdsnap::ops::finding::Finding| first.place).unwrap_or_default();
        // The page and the element say it; offsets are for people with hex editors.
        if place.page.is_some() {
            place.offset = None;
        }
        let many = if count == 1 { String::new() } else { format!(" x{count}") };
        format!("{grade} {check}/{code}{many} {place}").trim_end().to_owned()
    };
    report.findings.kinds().into_iter().map(line).collect()
}
