//! Time per layer, from opening a file to restoring it.
//!
//! `cargo bench --bench layers` measures the fixture; for figures that mean
//! something name a snapshot of a large cluster:
//! `ETCDSNAP_BENCH_FILE=big.db cargo bench --bench layers`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etcdsnap::bolt::{Db, WalkOptions, walk};
use etcdsnap::etcd::hash_kv::hash_kv;
use etcdsnap::etcd::keyspace::KeyspaceFold;
use etcdsnap::etcd::peer_url::{InitialCluster, PeerUrl};
use etcdsnap::etcd::record::Records;
use etcdsnap::etcd::snapshot::{Snapshot, hash_content};
use etcdsnap::etcd::state::State;
use etcdsnap::etcd::status_hash::StatusHash;
use etcdsnap::kube::field_set::FieldSet;
use etcdsnap::kube::object::{self, Object};
use etcdsnap::kube::{json, yaml};
use etcdsnap::ops::list::{Selection, list};
use etcdsnap::ops::restore::{Existing, Membership, Placement, Request, restore};
use etcdsnap::ops::verify::{Options, Values, verify};
use etcdsnap::ops::{Progress, Settings, keys, status};

fn file() -> PathBuf {
    std::env::var_os("ETCDSNAP_BENCH_FILE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/snapshots/k8s-1.35-etcd-3.6.db")),
        PathBuf::from,
    )
}

fn layers(criterion: &mut Criterion) {
    let path = file();
    let snapshot = Snapshot::open(&path).unwrap();
    let bytes = snapshot.source().bytes();
    snapshot.source().populate(0, bytes.len());
    let db = snapshot.db().unwrap();
    let progress = Progress::default();
    let settings = Settings::new(&progress);
    let options = WalkOptions { threads: settings.threads, only: None, progress: None };

    let mut group = criterion.benchmark_group("bolt");
    group.throughput(Throughput::Bytes(db.meta.image_size()));
    group.bench_function("open", |b| b.iter(|| Db::open(bytes)));
    group.bench_function("walk", |b| b.iter(|| walk(&db, &(), &options)));
    let one = WalkOptions { threads: NonZeroUsize::MIN, ..options };
    group.bench_function("walk on one thread", |b| b.iter(|| walk(&db, &(), &one)));
    group.finish();

    let mut group = criterion.benchmark_group("etcd");
    group.throughput(Throughput::Bytes(db.meta.image_size()));
    group.bench_function("state", |b| b.iter(|| State::read(&db)));
    group.bench_function("status hash", |b| b.iter(|| walk(&db, &StatusHash, &options)));
    group.bench_function("keyspace", |b| {
        b.iter(|| walk(&db, &Records(KeyspaceFold::new(db.image)), &options));
    });
    let state = State::read(&db);
    let last = walk(&db, &Records(KeyspaceFold::new(db.image)), &options).0.0.last;
    let (compact, judge) = (state.compact_revision(), state.judge());
    group.bench_function("hashkv", |b| b.iter(|| hash_kv(&db, last, compact, judge, &options)));
    group.bench_function("digest", |b| b.iter(|| hash_content(bytes, |_, _| {})));
    group.finish();

    objects(criterion, &snapshot);
    text(criterion);

    let mut group = criterion.benchmark_group("ops");
    group.throughput(Throughput::Bytes(db.meta.image_size()));
    group.bench_function("verify", |b| {
        b.iter(|| verify(snapshot.source(), &settings, &Options::default()).unwrap());
    });
    group.bench_function("status", |b| b.iter(|| status::figures(&snapshot, &settings).unwrap()));
    group.bench_function("keys", |b| {
        b.iter(|| {
            let listing = keys::keys(&db, Vec::new(), None, &settings).unwrap();
            let mut bytes = 0;
            listing.by_key(
                settings.threads,
                |run| run.map(|live| live.key.len()).sum::<usize>(),
                |n| bytes += n,
            );
            bytes
        });
    });
    group.bench_function("list", |b| {
        b.iter(|| list(&db, &Selection::default(), &settings).unwrap().counts(settings.threads).len());
    });
    group.bench_function("restore", |b| {
        b.iter_with_large_drop(|| {
            let folder = tempfile::tempdir().unwrap();
            let cluster = InitialCluster::parse("default=http://localhost:2380").unwrap();
            let request = Request {
                membership: Membership { cluster, token: "etcd-cluster".into(), ..Membership::default() },
                skip_hash_check: true,
                verify: Options { values: Values::First, ..Options::default() },
                ..Request::default()
            };
            let placement = Placement {
                name: "default".into(),
                advertised: vec![PeerUrl::parse("http://localhost:2380").unwrap()],
                data_dir: folder.path().join("restored"),
                wal_dir: None,
                owner: None,
                mode: None,
                existing: Existing::Refuse,
            };
            restore(snapshot.source(), &request, &placement, &settings).unwrap();
            folder
        });
    });
    group.finish();
}

/// Stored values as objects, on one thread.
fn objects(criterion: &mut Criterion, snapshot: &Snapshot) {
    let progress = Progress::default();
    let settings = Settings::new(&progress);
    let listing = keys::keys(&snapshot.db().unwrap(), Vec::new(), None, &settings).unwrap();
    let whole = object::Options::default();
    let values: Vec<_> = listing
        .iter()
        .filter_map(|key| key.record().map(|record| record.kv.value.to_vec()))
        .filter(|value| Object::decode(value, &whole).is_ok())
        .take(20_000)
        .collect();
    let decode = |options: &object::Options| -> usize {
        values.iter().filter_map(|value| Object::decode(value, options).ok()).map(|o| o.name().len()).sum()
    };
    let fields = FieldSet::only(["metadata.name", "metadata.namespace", "metadata.labels"]);
    let names = object::Options { fields, ..object::Options::default() };
    let mut group = criterion.benchmark_group("kube");
    group.throughput(Throughput::Bytes(values.iter().map(|value| value.len() as u64).sum()));
    group.bench_function("decode objects", |b| b.iter(|| decode(&whole)));
    group.bench_function("decode names and labels", |b| b.iter(|| decode(&names)));
    group.finish();
}

/// Objects as text, on one thread: bytes of that text per second.
fn text(criterion: &mut Criterion) {
    let recorded = include_bytes!("../fixtures/kube/pods.json");
    let pods = json::parse(recorded).unwrap();
    let mut out = Vec::new();
    let mut group = criterion.benchmark_group("kube");
    let mut measure = |name, write: fn(&_, &mut Vec<u8>)| {
        write(&pods, &mut out);
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                write(&pods, &mut out);
                out.len()
            });
        });
        out.clear();
    };
    measure("write YAML", yaml::write);
    measure("write JSON", json::write);
    measure("write JSON on one line", json::write_compact);
    group.throughput(Throughput::Bytes(recorded.len() as u64));
    group.bench_function("read JSON", |b| b.iter(|| json::parse(recorded).unwrap()));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = layers
}
criterion_main!(benches);
