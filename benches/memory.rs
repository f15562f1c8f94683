//! Peak heap of each operation, for each live key, pod or find. The mapped file is no heap: its
//! pages belong to the page cache.
//!
//! `ETCDSNAP_BENCH_FILE=big.db cargo bench --bench memory`
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::PathBuf;

use etcdsnap::bolt::Db;
use etcdsnap::etcd::peer_url::{InitialCluster, PeerUrl};
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::kube::field_set::FieldSet;
use etcdsnap::kube::object::Options as Decoding;
use etcdsnap::kube::table::{Context, printer};
use etcdsnap::kube::value::Value;
use etcdsnap::kube::{json, yaml};
use etcdsnap::ops::carve::carve;
use etcdsnap::ops::export::{Request, export};
use etcdsnap::ops::hashkv::hashkv;
use etcdsnap::ops::list::{self, list};
use etcdsnap::ops::objects::{Place, StoredObject, objects};
use etcdsnap::ops::reader::{Buffer, Outcome, Reader};
use etcdsnap::ops::rebuild::{Changes, CompactAt, Selection};
use etcdsnap::ops::restore::{Existing, Membership, Placement, Request as Restore, restore};
use etcdsnap::ops::salvage::plan as salvage;
use etcdsnap::ops::verify::{Options, verify};
use etcdsnap::ops::{Progress, Settings, keys, status};
use etcdsnap::source::Source;
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

fn measure(name: &str, count: u64, work: impl FnOnce()) {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    work();
    let peak = HEAP.peak_usage().saturating_sub(before);
    println!("{name:18} {:8.1} MiB   {:6.1} bytes each", peak as f64 / 1048576.0, peak as f64 / count as f64);
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
    measure("salvage", live, || drop(salvage(snapshot.source(), &Options::default(), &settings).unwrap()));
    measure("carve", live, || drop(carve(snapshot.source(), &settings).unwrap()));
    // Without its metas a tree reaches nothing of it: each record is found by its form.
    let mut bytes = snapshot.source().bytes().to_vec();
    let metas = bytes.len().min(2 * usize::try_from(db.meta.page_size.bytes()).unwrap());
    bytes[..metas].fill(0);
    let unreached = Source::from_bytes("unreached.db", bytes);
    let records = carve(&unreached, &settings).unwrap().found.len() as u64;
    println!("{records} records and entries found without metas");
    let all = Options::default();
    measure("salvage, no metas", records, || drop(salvage(&unreached, &all, &settings).unwrap()));
    measure("carve, no metas", records, || drop(carve(&unreached, &settings).unwrap()));
    drop(unreached);
    measure("list", live, || {
        let listing = list(&db, &list::Selection::default(), &settings).unwrap();
        drop(listing.counts(settings.threads));
    });
    let place = Place { path: "pods".to_owned(), namespace: None };
    let pods = count(&db, &place, &settings);
    println!("{pods} pods");
    let printer = printer("", "Pod").unwrap();
    let context = Context::new(None);
    let row = |object: &Value<'_>, text: &mut Vec<u8>| {
        for cell in printer.cells(object, &context) {
            text.extend_from_slice(cell.as_bytes());
        }
    };
    let shown = FieldSet::only(printer.reads(false).map(|path| path.trim_end_matches("{}")));
    measure("get pods", pods, || get(&db, &place, shown, row, &settings));
    let item = |object: &Value<'_>, text: &mut Vec<u8>| yaml::write_item(object, 0, text);
    measure("get pods -o yaml", pods, || get(&db, &place, Decoding::default().fields, item, &settings));
    measure("export", live, || {
        let request = Request::default();
        let written = export(
            &db,
            &request,
            &settings,
            |object| {
                let mut text = Vec::new();
                json::write_compact(object, &mut text);
                text
            },
            |manifest| if manifest.text.is_empty() { Err(()) } else { Ok(()) },
        );
        drop(written.unwrap());
    });
    measure("restore", live, || restored(&snapshot, Changes::default(), &settings));
    let without_events =
        Selection { drop_prefixes: vec![b"/registry/events/".to_vec()], ..Selection::default() };
    let selection = Changes { selection: without_events, ..Changes::default() };
    let kept = keys::keys(&db, Vec::new(), None, &settings).unwrap();
    let kept = kept.iter().filter(|live| !live.key.starts_with(b"/registry/events/")).count() as u64;
    println!("{kept} keys without events");
    measure("restore in part", kept, || restored(&snapshot, selection, &settings));
    let compacted = Changes { compact: Some(CompactAt::Now), ..Changes::default() };
    measure("compacted", live, || restored(&snapshot, compacted, &settings));
}

/// Restores into a place that is gone afterwards; the file is mapped, the heap is what
/// verifying, planning and writing take.
fn restored(snapshot: &Snapshot, changes: Changes, settings: &Settings<'_>) {
    const URL: &str = "http://10.0.0.1:2380";
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let cluster = InitialCluster::parse(&format!("n1={URL}")).unwrap();
    let membership = Membership { cluster, token: "t".to_owned(), ..Membership::default() };
    let request = Restore { membership, changes, skip_hash_check: true, ..Restore::default() };
    let placement = Placement {
        name: "n1".to_owned(),
        advertised: PeerUrl::parse_list(URL).unwrap(),
        data_dir: folder.path().join("restored"),
        wal_dir: None,
        owner: None,
        mode: None,
        existing: Existing::Refuse,
    };
    drop(restore(snapshot.source(), &request, &placement, settings).unwrap());
}

fn count(db: &Db<'_>, place: &Place, settings: &Settings<'_>) -> u64 {
    let reader = Reader::default();
    let found = objects(db, std::slice::from_ref(place), &reader.prefixes, None, settings).unwrap();
    let mut count = 0;
    found.at(place, settings.threads, |run| run.count() as u64, |run| count += run);
    count
}

/// As the command reads and prints, into the void.
fn get(
    db: &Db<'_>,
    place: &Place,
    fields: FieldSet,
    print: impl Fn(&Value<'_>, &mut Vec<u8>) + Sync,
    settings: &Settings<'_>,
) {
    let mut reader = Reader::default();
    reader.options.fields = fields;
    let found = objects(db, std::slice::from_ref(place), &reader.prefixes, None, settings).unwrap();
    let mut length = 0;
    let work = |run: &mut dyn Iterator<Item = StoredObject<'_>>| {
        let mut buffer = Buffer::default();
        let mut text = Vec::new();
        for stored in run {
            reader.read(&stored, &mut buffer, |outcome| {
                if let Outcome::Object { object, .. } = outcome {
                    print(&object.value, &mut text);
                }
            });
        }
        text
    };
    found.at(place, settings.threads, work, |text| length += text.len());
    assert!(length > 0);
}
