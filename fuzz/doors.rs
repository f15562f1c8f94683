//! The doors through which bytes that nobody vouches for come in, each as a
//! function of bytes. What has to hold: it comes back, without a panic, in time
//! and memory that the bytes pay for. The fuzz targets call them with what they
//! make up; `tests/doors.rs` calls them with what was found once.

use std::num::NonZeroUsize;

use etcdsnap::bolt::{Db, WalkOptions, walk};
use etcdsnap::codec::protobuf::Fields;
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::etcd::{auth, conf_state, key_value, lease, membership, peer_url, revision, snap_file, wal};
use etcdsnap::kube::encryption::Keyring;
use etcdsnap::kube::envelope::{Envelope, check_shape};
use etcdsnap::kube::field_set::FieldSet;
use etcdsnap::kube::notes::Notes;
use etcdsnap::kube::object::{Object, Options};
use etcdsnap::kube::registry_key::{Prefixes, RegistryKey};
use etcdsnap::kube::select::fields::FieldSelector;
use etcdsnap::kube::select::jsonpath::JsonPath;
use etcdsnap::kube::select::labels::LabelSelector;
use etcdsnap::kube::table;
use etcdsnap::kube::value::Value;
use etcdsnap::kube::{cbor, dated, json, yaml};
use etcdsnap::ops::{self, Progress, Settings, hashkv, keys, pages, salvage, status, verify};
use etcdsnap::source::Source;

/// A door: its name and the function behind it.
pub(crate) type Door = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const DOORS: &[Door] = &[
    ("db", db),
    ("carve", carve),
    ("entries", entries),
    ("salvage", salvage),
    ("envelope", envelope),
    ("object", object),
    ("json", json),
    ("cbor", cbor),
    ("wal", wal),
    ("snap_file", snap_file),
    ("words", words),
];

/// A snapshot file: everything there is to ask of it.
pub(crate) fn db(bytes: &[u8]) {
    let progress = Progress::default();
    let source = || Source::from_bytes("fuzz.db", bytes.to_vec());
    for skip_damaged in [false, true] {
        let settings = Settings { threads: NonZeroUsize::MIN, skip_damaged, progress: &progress };
        let _ = verify::verify(&source(), &settings, &verify::Options::default());
        let source_of_pages = source();
        if let Ok(survey) = pages::survey(&source_of_pages, &settings) {
            pages_of(&survey);
        }
        let Ok(snapshot) = Snapshot::from_source(source()) else { continue };
        let _ = status::status(&snapshot, &Prefixes::well_known(), &settings);
        let _ = hashkv::hashkv(&snapshot, None, &settings);
        let Ok(db) = snapshot.db() else { continue };
        if let Ok(listing) = keys::keys(&db, Vec::new(), None, &settings) {
            listing.by_key(NonZeroUsize::MIN, |run| run.count(), |_| ());
        }
    }
    if let Ok(db) = Db::open(bytes) {
        let options = WalkOptions { threads: NonZeroUsize::MIN, only: None, progress: None };
        let _ = walk(&db, &(), &options);
    }
}

/// Bytes that are searched for what is left in them.
pub(crate) fn carve(bytes: &[u8]) {
    let progress = Progress::default();
    let settings = Settings { threads: NonZeroUsize::MIN, skip_damaged: false, progress: &progress };
    let source = Source::from_bytes("fuzz.db", bytes.to_vec());
    let Ok(carved) = ops::carve::carve(&source, &settings) else { return };
    let prefixes = Prefixes::well_known();
    for found in &carved.found {
        let remnant = found.read(carved.file()).expect("what was found can be read again");
        let _ = ops::carve::Label::of(&remnant, &prefixes);
    }
    assert!(carved.searched.unexplained <= carved.searched.bytes());
}

/// Every page by itself.
fn pages_of(survey: &pages::Survey<'_>) {
    for run in survey.census.runs() {
        let view = survey.census.view(&run);
        let _ = (survey.census.bounds(&run), view.slack(), view.first_and_last(), view.free_ids());
        let _ = view.branch_elements();
        for element in view.leaf_elements().0 {
            let _ = pages::content(survey.within(&run), &element);
        }
    }
    let _ = survey.census.referrers(&survey.census.runs().map(|run| run.first).collect());
}

/// A damaged file, of which a sound one is made.
pub(crate) fn salvage(bytes: &[u8]) {
    let source = Source::from_bytes("fuzz.db", bytes.to_vec());
    let Ok(plan) = salvage::plan(&source) else { return };
    let saved = plan.to_bytes().expect("what was planned can be written");
    let progress = Progress::default();
    let settings = Settings { threads: NonZeroUsize::MIN, skip_damaged: false, progress: &progress };
    let saved = Source::from_bytes("saved.db", saved);
    let report = verify::verify(&saved, &settings, &verify::Options::default()).expect("unchanged");
    assert!(plan.fits(&report), "{:?}", report.findings.kinds());
}

/// What stands in etcd's buckets, key and value told apart by the first byte.
pub(crate) fn entries(bytes: &[u8]) {
    let Some((split, rest)) = bytes.split_first() else { return };
    let (key, value) = rest.split_at_checked(usize::from(*split)).unwrap_or((rest, &[]));
    let _ = revision::RevisionKey::parse(key);
    let _ = key_value::KeyValue::parse(value);
    let _ = lease::Lease::parse(key, value);
    let _ = membership::Member::parse(value);
    let _ = conf_state::parse(value);
    let _ = auth::User::parse(value);
    let _ = auth::Role::parse(value);
    let _ = RegistryKey::parse(rest, &Prefixes::well_known());
    Fields::new(rest).for_each(drop);
}

/// A value of a Kubernetes key, as far as it is recognised without decoding.
pub(crate) fn envelope(bytes: &[u8]) {
    if let Ok(envelope) = Envelope::parse(bytes) {
        let _ = check_shape(&envelope);
    }
    let _ = dated::newest_time(bytes);
}

/// A value decoded whole, and written down in every form.
pub(crate) fn object(bytes: &[u8]) {
    let options = Options { fields: FieldSet::all(), null_creation_timestamps: true };
    for options in [options, Options::default()] {
        let Ok(mut object) = Object::decode(bytes, &options) else { continue };
        object.set_resource_version(1);
        shown(&object.value);
        let group = object.api_version().split_once('/').map_or("", |(group, _)| group).to_owned();
        let mut context = table::Context::new(None);
        context.wide = true;
        if let Some(printer) = table::printer(&group, object.kind()) {
            assert_eq!(printer.cells(&object.value, &context).len(), printer.columns(&context).count());
        }
    }
}

fn shown(value: &Value<'_>) {
    let mut text = Vec::new();
    json::write(value, &mut text);
    let again = json::parse(&text).expect("what was written can be read");
    let mut once_more = Vec::new();
    json::write(&again, &mut once_more);
    assert!(text == once_more, "JSON comes back as it was");
    text.clear();
    yaml::write(value, &mut text);
    let control = |byte: &u8| *byte < 0x20 && *byte != b'\n' && *byte != b'\t';
    assert!(!text.iter().any(control), "no control character is written");
}

/// JSON, as custom resources are stored.
pub(crate) fn json(bytes: &[u8]) {
    if let Ok(value) = json::parse(bytes) {
        shown(&value);
    }
}

/// CBOR, as custom resources are stored.
pub(crate) fn cbor(bytes: &[u8]) {
    if let Ok(value) = cbor::parse(bytes, &mut Notes::default()) {
        shown(&value);
    }
}

/// A segment of a WAL.
pub(crate) fn wal(bytes: &[u8]) {
    wal::Records::new(bytes).take_while(Result::is_ok).for_each(drop);
}

/// A raft snapshot.
pub(crate) fn snap_file(bytes: &[u8]) {
    let _ = snap_file::parse(bytes);
}

/// What an operator may type.
pub(crate) fn words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = peer_url::PeerUrl::parse_list(text);
    let _ = peer_url::InitialCluster::parse(text);
    let _ = LabelSelector::parse(text);
    let _ = FieldSelector::parse(text);
    let _ = JsonPath::parse(text);
    let _ = Keyring::parse(bytes);
}
