//! Peak heap of each operation, per live key. The mapped file is no heap: its
//! pages belong to the page cache.
//!
//! `ETCDSNAP_BENCH_FILE=big.db cargo bench --bench memory`
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::PathBuf;

use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::ops::hashkv::hashkv;
use etcdsnap::ops::list::{Selection, list};
use etcdsnap::ops::verify::{Options, verify};
use etcdsnap::ops::{Progress, Settings, keys, status};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn measure(name: &str, live_keys: u64, work: impl FnOnce()) {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    work();
    let peak = HEAP.peak_usage().saturating_sub(before);
    println!(
        "{name:16} {:8.1} MiB   {:6.1} bytes per live key",
        peak as f64 / 1048576.0,
        peak as f64 / live_keys as f64
    );
}

fn main() {
    let path = std::env::var_os("ETCDSNAP_BENCH_FILE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/snapshots/k8s-1.35-etcd-3.6.db")),
        PathBuf::from,
    );
    let snapshot = Snapshot::open(&path).unwrap();
    let db = snapshot.db().unwrap();
    let progress = Progress::default();
    let settings = Settings::new(&progress);
    let live = status::figures(&snapshot, &settings).unwrap().0.total_keys;
    println!("{}: {} bytes, {live} live keys", path.display(), snapshot.source().bytes().len());
    measure("status -w", live, || drop(status::figures(&snapshot, &settings).unwrap()));
    measure("status", live, || drop(status::status(&snapshot, &Default::default(), &settings).unwrap()));
    measure("verify", live, || drop(verify(snapshot.source(), &settings, &Options::default()).unwrap()));
    measure("hashkv", live, || drop(hashkv(&snapshot, None, &settings).unwrap()));
    measure("keys", live, || {
        let listing = keys::keys(&db, Vec::new(), None, &settings).unwrap();
        listing.by_key(settings.threads, |run| run.count(), |_| {});
    });
    measure("list", live, || {
        let listing = list(&db, &Selection::default(), &settings).unwrap();
        drop(listing.counts(settings.threads));
    });
}
