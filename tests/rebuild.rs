//! Databases written anew: what is in them is what a description of etcd's rules,
//! followed step by step, says.

mod support;

use std::collections::BTreeMap;

use etcdsnap::bolt::{Db, Metas, TxId, small_buckets};
use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::kube::manifest::scope::Pattern;
use etcdsnap::ops::hashkv::hashkv;
use etcdsnap::ops::reader::Reader;
use etcdsnap::ops::rebuild::{
    BumpTo, Changes, CompactAt, ConcernLog, DroppedType, Leases, Outcome, Reason, Rebuild, RebuildError,
    Refusal, Request, Selection,
};
use etcdsnap::ops::verify::{Options, verify};
use etcdsnap::ops::{Progress, Settings};
use etcdsnap::source::Source;
use proptest::prelude::*;

use support::history::{Change, compacted, history};
use support::store::{Put, Store, lease, message, revision};
use support::{Entry, entry};

type Content = BTreeMap<String, Vec<(Vec<u8>, Vec<u8>)>>;

const BUCKETS: [&str; 11] = [
    "alarm",
    "auth",
    "authRoles",
    "authUsers",
    "cluster",
    "key",
    "lease",
    "members",
    "members_removed",
    "meta",
    "unknown",
];

fn content(file: &[u8]) -> Content {
    let db = Db::open(file).expect("a database");
    let names = BUCKETS.map(str::as_bytes);
    let (elements, report) = small_buckets(&db, &names);
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    let entries = |elements: Vec<etcdsnap::bolt::LeafElement<'_>>| {
        elements.iter().map(|element| (element.key().to_vec(), element.value().to_vec())).collect()
    };
    elements
        .into_iter()
        .map(|(name, elements)| (String::from_utf8_lossy(name).into_owned(), entries(elements)))
        .collect()
}

fn try_rebuild(file: &[u8], changes: Changes) -> Result<(Outcome, Vec<u8>), RebuildError> {
    let progress = Progress::default();
    let settings = Settings::new(&progress);
    let db = Db::open(file).expect("a database");
    let request = Request { changes, replaced: BTreeMap::new(), reader: Reader::default() };
    let rebuild = Rebuild::plan(&db, &request, &settings)?;
    let mut out = Vec::new();
    rebuild.write(Metas::Stream(TxId(9)), &mut out)?;
    assert_eq!(out.len() as u64, rebuild.size());
    // The hash that was foreseen is that of what was written.
    let source = Source::from_bytes("rebuilt", out.clone());
    let snapshot = Snapshot::from_source(source).expect("a snapshot");
    if let Ok(answer) = hashkv(&snapshot, None, &settings) {
        assert_eq!(rebuild.hash_kv(&settings)?, answer.hash);
    }
    Ok((rebuild.outcome().clone(), out))
}

/// The result, which must be sound and have the revision that the outcome tells.
#[track_caller]
fn rebuild(file: &[u8], changes: Changes) -> (Outcome, Content) {
    let (outcome, out) = try_rebuild(file, changes).expect("rebuilt");
    let progress = Progress::default();
    let source = Source::from_bytes("rebuilt", support::seal(out.clone()));
    let report = verify(&source, &Settings::new(&progress), &Options::default()).expect("verified");
    assert!(report.is_sound(), "{:?}", report.findings);
    let facts = report.facts.expect("facts");
    assert_eq!(facts.revision, outcome.revision.1);
    assert_eq!(facts.compact_revision, outcome.compact_revision.1);
    assert_eq!(facts.pages.free, 0);
    (outcome, content(&out))
}

fn refusal(file: &[u8], changes: Changes) -> Refusal {
    match try_rebuild(file, changes) {
        Err(RebuildError::Refused(refusal)) => refusal,
        other => panic!("no refusal: {other:?}"),
    }
}

fn pairs<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Vec<(Vec<u8>, Vec<u8>)> {
    entries.into_iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect()
}

fn store_of(records: Vec<Entry>) -> Store {
    let mut store = Store::sample(0);
    store.key = records;
    store.small.get_mut("lease").expect("a bucket").clear();
    let meta = store.of("meta");
    meta.retain(|entry| !entry.key.ends_with(b"CompactRev"));
    store
}

fn changes(selection: Selection) -> Changes {
    Changes { selection, ..Changes::default() }
}

#[test]
fn nothing_but_the_pages_is_different_after_a_defragmentation() {
    let mut store = Store::sample(300);
    store.small.insert("unknown", vec![entry("k", vec![7; 5000]), entry("l", "")]);
    let file = store.build().file;
    let (outcome, found) = rebuild_unsound(&file, Changes { defrag: true, ..Changes::default() });
    assert_eq!(found, content(&file));
    assert_eq!(outcome.records.0, outcome.records.1);
    assert!(outcome.size.1 < outcome.size.0, "stale pages are gone");
}

/// As [`rebuild`], of a store that `verify` has something to say about.
#[track_caller]
fn rebuild_unsound(file: &[u8], changes: Changes) -> (Outcome, Content) {
    let (outcome, out) = try_rebuild(file, changes).expect("rebuilt");
    (outcome, content(&out))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn history_is_compacted_by_the_rules(
        transactions in proptest::collection::vec(
            proptest::collection::btree_map(0u8..6, proptest::option::weighted(0.7, 1u8..40), 1..4), 1..60),
        at in 0usize..62,
        now in any::<bool>(),
    ) {
        let changes_made = history(&transactions);
        let last = changes_made.last().map_or(1, |change| change.main);
        let at = if now { last } else { (at as i64).clamp(1, last) };
        let file = store_of(changes_made.iter().map(Change::entry).collect()).build().file;
        let compact = if now { CompactAt::Now } else { CompactAt::Revision(at) };
        let (outcome, found) = rebuild(&file, Changes { compact: Some(compact), ..Changes::default() });
        let expected: Vec<_> = compacted(&changes_made, at, true).iter().map(Change::entry).collect();
        prop_assert_eq!(&found["key"], &pairs(&expected));
        prop_assert_eq!(outcome.revision, (last, last));
        prop_assert_eq!(outcome.records, (changes_made.len() as u64, expected.len() as u64));
        for key in ["scheduledCompactRev", "finishedCompactRev"] {
            prop_assert!(found["meta"].contains(&(key.as_bytes().to_vec(), revision(at, 0))));
        }
    }

    #[test]
    fn a_key_goes_with_its_history_and_the_revision_stays(
        transactions in proptest::collection::vec(
            proptest::collection::btree_map(0u8..6, proptest::option::weighted(0.7, 1u8..40), 1..4), 1..60),
        dropped in 0u8..6,
    ) {
        let changes_made = history(&transactions);
        let last = changes_made.last().map_or(1, |change| change.main);
        let file = store_of(changes_made.iter().map(Change::entry).collect()).build().file;
        let selection =
            Selection { drop_prefixes: vec![vec![b'k', dropped]], ..Selection::default() };
        let others: Vec<_> =
            changes_made.iter().filter(|change| change.key != [b'k', dropped]).cloned().collect();
        let expected: Vec<_> = compacted(&others, last, true).iter().map(Change::entry).collect();
        let alive = expected.iter().filter(|entry| entry.key.len() == 17).count() as u64;
        if alive == 0 {
            prop_assert_eq!(refusal(&file, changes(selection)), Refusal::NothingLeft);
        } else {
            let (outcome, found) = rebuild(&file, changes(selection));
            prop_assert_eq!(&found["key"], &pairs(&expected));
            prop_assert_eq!(outcome.revision, (last, last));
            prop_assert_eq!(outcome.compact_revision.1, Some(last));
            prop_assert_eq!(outcome.live_keys.1, alive);
            prop_assert_eq!(outcome.left_out.keys, outcome.live_keys.0 - alive);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damage_is_an_error_and_nothing_worse(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..30),
        leases in prop_oneof![Just(Leases::Keep), Just(Leases::Expire), Just(Leases::Detach)],
        compact in prop_oneof![Just(None), Just(Some(CompactAt::Now)), (1i64..90).prop_map(|at| Some(CompactAt::Revision(at)))],
        selective in any::<bool>(),
    ) {
        let mut file = Store::sample(80).build().file;
        // Behind the metas, which have checksums.
        let start = 2 * Store::sample(80).page_size;
        for (index, change) in flips {
            let at = start + index.index(file.len() - start);
            file[at] ^= change;
        }
        let drop_prefixes = if selective { vec![b"key-1".to_vec()] } else { Vec::new() };
        let selection = Selection { drop_prefixes, ..Selection::default() };
        let all = Changes {
            selection, leases, compact, disable_auth: true, defrag: true, bump_to: Some(BumpTo::Always(1 << 40)), ..Changes::default()
        };
        if let Ok((_, out)) = try_rebuild(&file, all) {
            prop_assert!(Db::open(&out).is_ok());
        }
    }
}

fn put(key: &str, main: i64, create: i64, version: i64, lease: i64) -> Entry {
    let value = Put { key: key.as_bytes(), create, modified: main, version, value: b"v", lease };
    entry(revision(main, 0), value.to_bytes())
}

fn deletion(key: &str, main: i64, sub: i64) -> (Vec<u8>, Vec<u8>) {
    let mut id = revision(main, sub);
    id.push(b't');
    (id, message(&[(1, Err(key.as_bytes()))]))
}

/// Keys on leases 7 and 9, on one that is not there, on none any more.
fn leased_store() -> Vec<u8> {
    let mut store = store_of(vec![
        put("z", 2, 2, 1, 7),
        put("free", 3, 3, 1, 9),
        put("a", 4, 4, 1, 7),
        put("free", 5, 3, 2, 0),
        put("m", 6, 6, 1, 9),
        put("lost", 7, 7, 1, 5),
        put("z", 8, 2, 2, 7),
    ]);
    *store.of("lease") = vec![lease(7), lease(8), lease(9)];
    store.build().file
}

#[test]
fn leases_are_revoked_in_order_each_at_a_revision_of_its_own() {
    let file = leased_store();
    let (outcome, found) = rebuild_unsound(&file, Changes { leases: Leases::Expire, ..Changes::default() });
    let mut expected = content(&file);
    let records = expected.get_mut("key").expect("records");
    // Lease 8 has no keys, and 5 is none.
    records.extend([deletion("a", 9, 0), deletion("z", 9, 1), deletion("m", 10, 0)]);
    expected.insert("lease".to_owned(), Vec::new());
    assert_eq!(found, expected);
    assert_eq!((outcome.leases_removed, outcome.expired.keys), (3, 3));
    assert_eq!((outcome.keys_of_missing_leases, outcome.revision), (1, (8, 10)));

    // Of the deletions only those at the very revision outlive a compaction.
    let both = Changes { leases: Leases::Expire, compact: Some(CompactAt::Now), ..Changes::default() };
    let (outcome, found) = rebuild_unsound(&file, both);
    let kept = [put("free", 5, 3, 2, 0), put("lost", 7, 7, 1, 5)];
    assert_eq!(found["key"], [pairs(&kept), vec![deletion("m", 10, 0)]].concat());
    assert_eq!((outcome.revision.1, outcome.compact_revision.1), (10, Some(10)));
    assert_eq!(outcome.live_keys, (5, 2));
}

#[test]
fn keys_stay_without_their_leases() {
    let file = leased_store();
    let (outcome, found) = rebuild(&file, Changes { leases: Leases::Detach, ..Changes::default() });
    let mut expected = content(&file);
    expected.insert(
        "key".to_owned(),
        pairs(&[
            // An earlier record attaches nothing.
            put("z", 2, 2, 1, 7),
            put("free", 3, 3, 1, 9),
            put("a", 4, 4, 1, 0),
            put("free", 5, 3, 2, 0),
            put("m", 6, 6, 1, 0),
            put("lost", 7, 7, 1, 0),
            put("z", 8, 2, 2, 0),
        ]),
    );
    expected.insert("lease".to_owned(), Vec::new());
    assert_eq!(found, expected);
    assert_eq!((outcome.leases_removed, outcome.keys_detached, outcome.revision), (3, 4, (8, 8)));
}

#[test]
fn authentication_goes_off_and_users_stay() {
    let mut store = store_of(vec![put("k", 2, 2, 1, 0)]);
    let number = |number: u64| number.to_be_bytes().to_vec();
    *store.of("auth") = vec![entry("authEnabled", vec![1]), entry("authRevision", number(8))];
    let file = store.build().file;
    let (outcome, found) = rebuild_unsound(&file, Changes { disable_auth: true, ..Changes::default() });
    assert!(outcome.auth_disabled);
    let expected = [entry("authEnabled", vec![0]), entry("authRevision", number(9))];
    assert_eq!(found["auth"], pairs(&expected));
    *store.of("auth") = expected.to_vec();
    let (outcome, found) =
        rebuild_unsound(&store.build().file, Changes { disable_auth: true, ..Changes::default() });
    assert!(!outcome.auth_disabled, "it is off already");
    assert_eq!(found["auth"], pairs(&expected));
}

#[test]
fn a_bumped_revision_has_an_empty_record_and_a_compaction_to_come() {
    let file = leased_store();
    let bump_to = Some(BumpTo::Always(1_000_000_000));
    let (outcome, found) = rebuild_unsound(&file, Changes { bump_to, ..Changes::default() });
    assert_eq!(found["key"].last(), Some(&(revision(1_000_000_000, 0), Vec::new())));
    let scheduled = (b"scheduledCompactRev".to_vec(), revision(1_000_000_000, 0));
    assert!(found["meta"].contains(&scheduled));
    assert!(!found["meta"].iter().any(|(key, _)| key == b"finishedCompactRev"));
    assert_eq!(outcome.revision, (8, 1_000_000_000));
    let back = Changes { bump_to: Some(BumpTo::Always(8)), ..Changes::default() };
    assert!(matches!(try_rebuild(&file, back), Err(RebuildError::Revision { from: 8, to: 8 })));
}

#[test]
fn history_that_is_not_there_cannot_be_compacted() {
    let file = leased_store();
    let at = |at| Changes { compact: Some(CompactAt::Revision(at)), ..Changes::default() };
    assert!(matches!(try_rebuild(&file, at(9)), Err(RebuildError::Compact(_))));
    let (_, once) = try_rebuild(&file, at(6)).expect("compacted");
    assert!(matches!(try_rebuild(&once, at(5)), Err(RebuildError::Compact(_))));
    let (_, twice) = try_rebuild(&once, at(6)).expect("compacted again");
    assert_eq!(content(&twice), content(&once));
}

fn object(key: &str, main: i64, json: serde_json::Value) -> Entry {
    let value = json.to_string();
    let value = Put {
        key: key.as_bytes(),
        create: main,
        modified: main,
        version: 1,
        value: value.as_bytes(),
        lease: 0,
    };
    entry(revision(main, 0), value.to_bytes())
}

/// A claim with its volume, and a pod with its replica set.
fn cluster(policy: &str, owners: &[&str]) -> Vec<u8> {
    let owner = |uid: &&str| serde_json::json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": uid});
    let owners: Vec<_> = owners.iter().map(owner).collect();
    let meta = |name: &str, uid: &str| serde_json::json!({"name": name, "namespace": "shop", "uid": uid});
    let mut pod = meta("web-1", "u-pod");
    pod["ownerReferences"] = owners.into();
    let volume = serde_json::json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv", "uid": "u-pv"},
        "spec": {
            "persistentVolumeReclaimPolicy": policy,
            "claimRef": {"namespace": "shop", "name": "data", "uid": "u-claim"},
        },
    });
    store_of(vec![
        object(
            "/registry/persistentvolumeclaims/shop/data",
            2,
            serde_json::json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta("data", "u-claim")}),
        ),
        object("/registry/persistentvolumes/pv", 3, volume),
        object(
            "/registry/replicasets/shop/web",
            4,
            serde_json::json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta("web", "u-set")}),
        ),
        object(
            "/registry/pods/shop/web-1",
            5,
            serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": pod}),
        ),
        object(
            "/registry/namespaces/shop",
            6,
            serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "u-ns"}}),
        ),
    ])
    .build()
    .file
}

fn dropping(plural: &str, group: &str) -> Changes {
    let dropped = DroppedType { plural: plural.to_owned(), group: group.to_owned() };
    changes(Selection { drop_types: vec![dropped], ..Selection::default() })
}

#[test]
fn volumes_that_would_be_deleted_are_named_and_refused() {
    let file = cluster("Delete", &["u-set"]);
    let claims = dropping("persistentvolumeclaims", "");
    assert_eq!(refusal(&file, claims.clone()), Refusal::Reclaim(1));
    let (outcome, _) = rebuild(&file, Changes { accept_reclaim: true, ..claims.clone() });
    let concern = &outcome.concerns.reclaimed.first[0];
    assert_eq!((concern.object.as_str(), concern.needs.as_str()), ("persistentvolumes pv", "shop/data"));
    rebuild(&cluster("Retain", &["u-set"]), claims.clone());
    // Its data goes, too.
    assert_eq!(refusal(&cluster("Recycle", &["u-set"]), claims), Refusal::Reclaim(1));
    // The namespace takes the claim and the pods with it; the volume is in none.
    let exclude_namespaces = vec![Pattern::new("shop")];
    let namespace = changes(Selection { exclude_namespaces, ..Selection::default() });
    assert_eq!(refusal(&file, namespace.clone()), Refusal::Reclaim(1));
    let both = Selection {
        drop_types: dropping("persistentvolumes", "").selection.drop_types,
        ..namespace.selection
    };
    assert_eq!(refusal(&file, changes(both)), Refusal::NothingLeft);
}

/// An encrypted value.
fn sealed(key: &str, main: i64) -> Entry {
    let value = b"k8s:enc:secretbox:v1:key1:\x01\x02\x03 not to be opened";
    let value = Put { key: key.as_bytes(), create: main, modified: main, version: 1, value, lease: 0 };
    entry(revision(main, 0), value.to_bytes())
}

#[test]
fn volumes_that_cannot_be_read_are_refused_where_claims_go() {
    let file = store_of(vec![
        sealed("/registry/persistentvolumeclaims/shop/denc", 2),
        sealed("/registry/persistentvolumes/vol-enc", 3),
        sealed("/registry/secrets/shop/s", 4),
        sealed("/registry/secrets/team-b/t", 5),
    ])
    .build()
    .file;
    let exclude = |names: &[&str]| Selection {
        exclude_namespaces: names.iter().map(|name| Pattern::new(*name)).collect(),
        ..Selection::default()
    };
    assert_eq!(refusal(&file, changes(exclude(&["shop"]))), Refusal::ReclaimUnknown(1));
    assert_eq!(refusal(&file, dropping("persistentvolumeclaims", "")), Refusal::ReclaimUnknown(1));
    let accepted = Changes { accept_reclaim: true, ..changes(exclude(&["shop"])) };
    let concerns = try_rebuild(&file, accepted).expect("accepted").0.concerns;
    assert_eq!(concerns.unreadable_volumes.count, 1);
    assert_eq!(concerns.unreadable_volumes.first[0].object, "persistentvolumes vol-enc");
    assert_eq!((concerns.reclaimed.count, concerns.unreadable), (0, 4));
    // No claim goes, or the volume goes, too.
    try_rebuild(&file, changes(exclude(&["team-b"]))).expect("nothing to lose");
    let both = Selection {
        drop_types: dropping("persistentvolumes", "").selection.drop_types,
        ..exclude(&["shop"])
    };
    try_rebuild(&file, changes(both)).expect("nothing to lose");
}

#[test]
fn objects_that_stay_without_their_namespace_or_definition_are_counted() {
    let named = |kind: &str, name: &str| serde_json::json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
    let definition = "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.com";
    let other = "/registry/apiextensions.k8s.io/customresourcedefinitions/gadgets.example.com";
    let keys = [
        "/registry/namespaces/shop",
        "/registry/namespaces/dev",
        "/registry/configmaps/shop/a",
        "/registry/configmaps/shop/b",
        "/registry/configmaps/dev/c",
        "/registry/clusterroles/shop",
        "/registry/configmaps/never-there/d",
        definition,
        other,
        "/registry/example.com/widgets/shop/w",
        "/registry/example.com/gadgets/shop/g",
    ];
    let records = (2..).zip(keys).map(|(main, key)| object(key, main, named("Any", "any")));
    let file = store_of(records.collect()).build().file;
    let concerns = |changes: Changes| try_rebuild(&file, changes).expect("rebuilt").0.concerns;
    let by_name = |names: &[(&str, u64)]| -> BTreeMap<String, u64> {
        names.iter().map(|(name, objects)| ((*name).to_owned(), *objects)).collect()
    };
    let found = concerns(dropping("namespaces", ""));
    assert_eq!(found.without_namespace.count, 5);
    assert_eq!(found.without_namespace.by_name, by_name(&[("dev", 1), ("shop", 4)]));
    assert_eq!(found.without_definition.count, 0);
    let found = concerns(dropping("customresourcedefinitions", "apiextensions.k8s.io"));
    assert_eq!(found.without_definition.count, 2);
    let both = by_name(&[("gadgets.example.com", 1), ("widgets.example.com", 1)]);
    assert_eq!(found.without_definition.by_name, both);
    assert_eq!(found.without_namespace.count, 0);
    // One of them by its key alone.
    let drop_prefixes = vec![definition.as_bytes().to_vec()];
    let found = concerns(changes(Selection { drop_prefixes, ..Selection::default() }));
    assert_eq!(found.without_definition.by_name, by_name(&[("widgets.example.com", 1)]));
    // Who goes with its namespace is missing nothing.
    let exclude_namespaces = vec![Pattern::new("shop")];
    let found = concerns(changes(Selection { exclude_namespaces, ..Selection::default() }));
    assert_eq!((found.without_namespace.count, found.without_definition.count), (0, 0));
}

#[test]
fn objects_that_would_lose_all_their_owners_are_named_and_refused() {
    let sets = dropping("replicasets", "apps");
    let file = cluster("Delete", &["u-set"]);
    assert_eq!(refusal(&file, sets.clone()), Refusal::Orphans(1));
    let (outcome, _) = rebuild(&file, Changes { accept_orphans: true, ..sets.clone() });
    let concern = &outcome.concerns.orphans.first[0];
    assert_eq!((concern.object.as_str(), concern.needs.as_str()), ("pods shop/web-1", "ReplicaSet web"));
    // One that was never there does not keep it.
    assert_eq!(refusal(&cluster("Delete", &["u-never", "u-set"]), sets.clone()), Refusal::Orphans(1));
    // Another owner does.
    let (outcome, _) = rebuild(&cluster("Delete", &["u-set", "u-claim"]), sets);
    assert_eq!(outcome.concerns.orphans.count, 0);
    let kinds: Vec<_> =
        outcome.left_out.kinds.iter().map(|kind| (kind.reason, kind.resource.as_str(), kind.keys)).collect();
    assert_eq!(kinds, [(Reason::Resource, "replicasets.apps", 1)]);
}

/// Objects by their keys: UID, lease and owner of each, and what is in its `spec`.
fn owned(objects: &[(&str, &str, i64, &str, serde_json::Value)]) -> Store {
    let record =
        |(main, (key, uid, lease, owner, spec)): (i64, &(&str, &str, i64, &str, serde_json::Value))| {
            let reference =
                serde_json::json!({"apiVersion": "v1", "kind": "Owner", "name": owner, "uid": owner});
            let owners = if owner.is_empty() { vec![] } else { vec![reference] };
            let metadata = serde_json::json!({"name": uid, "uid": uid, "ownerReferences": owners});
            let value =
                serde_json::json!({"apiVersion": "v1", "kind": "Any", "metadata": metadata, "spec": spec});
            let value = value.to_string();
            let (key, value) = (key.as_bytes(), value.as_bytes());
            let put = Put { key, create: main, modified: main, version: 1, value, lease: *lease };
            entry(revision(main, 0), put.to_bytes())
        };
    let mut store = store_of((2..).zip(objects).map(record).collect());
    *store.of("lease") = vec![lease(7)];
    store
}

fn volume_of(claim: &str) -> serde_json::Value {
    serde_json::json!({
        "persistentVolumeReclaimPolicy": "Delete",
        "claimRef": {"namespace": "shop", "name": claim},
    })
}

fn concerns_of(log: &ConcernLog) -> Vec<(&str, &str)> {
    log.first.iter().map(|concern| (concern.object.as_str(), concern.needs.as_str())).collect()
}

#[test]
fn what_an_orphan_owns_goes_with_it_down_to_the_data_of_volumes() {
    let none = serde_json::json!({});
    let file = owned(&[
        ("/registry/statefulsets/shop/db", "u-db", 0, "", none.clone()),
        ("/registry/persistentvolumeclaims/shop/data-db-0", "u-claim", 0, "u-db", none.clone()),
        ("/registry/persistentvolumes/pv-0", "u-pv-0", 0, "", volume_of("data-db-0")),
        ("/registry/persistentvolumes/pv-1", "u-pv-1", 0, "", volume_of("kept")),
        ("/registry/deployments/shop/web", "u-web", 0, "", none.clone()),
        ("/registry/replicasets/shop/web-1", "u-set", 0, "u-web", none.clone()),
        ("/registry/pods/shop/web-1-a", "u-pod", 0, "u-set", none.clone()),
    ])
    .build()
    .file;
    let accepting = |changes| Changes { accept_orphans: true, accept_reclaim: true, ..changes };
    let sets = dropping("statefulsets", "apps");
    let refused = Changes { accept_orphans: true, ..sets.clone() };
    assert_eq!(refusal(&file, refused), Refusal::Reclaim(1));
    let (outcome, _) = rebuild(&file, accepting(sets));
    assert_eq!(
        concerns_of(&outcome.concerns.orphans),
        [("persistentvolumeclaims shop/data-db-0", "Owner u-db")]
    );
    assert_eq!(concerns_of(&outcome.concerns.reclaimed), [("persistentvolumes pv-0", "shop/data-db-0")]);
    let (outcome, _) = rebuild(&file, accepting(dropping("deployments", "apps")));
    assert_eq!(
        concerns_of(&outcome.concerns.orphans),
        [("replicasets.apps shop/web-1", "Owner u-web"), ("pods shop/web-1-a", "Owner u-set")]
    );
    assert_eq!(outcome.concerns.reclaimed.count, 0);
}

#[test]
fn all_in_an_orphaned_namespace_goes_with_it() {
    let none = serde_json::json!({});
    let file = owned(&[
        ("/registry/capsule.clastix.io/tenants/oil", "u-tenant", 0, "", none.clone()),
        ("/registry/namespaces/shop", "u-shop", 0, "u-tenant", none.clone()),
        ("/registry/persistentvolumeclaims/shop/data", "u-claim", 0, "", none.clone()),
        ("/registry/persistentvolumeclaims/other/data", "u-other", 0, "", none.clone()),
        ("/registry/persistentvolumes/pv-0", "u-pv-0", 0, "", volume_of("data")),
        (
            "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.com",
            "u-definition",
            0,
            "u-tenant",
            none.clone(),
        ),
        ("/registry/example.com/widgets/w", "u-widget", 0, "", none.clone()),
    ])
    .build()
    .file;
    let dropped = changes(Selection {
        drop_prefixes: vec![b"/registry/capsule.clastix.io/".to_vec()],
        ..Selection::default()
    });
    assert_eq!(refusal(&file, dropped.clone()), Refusal::Reclaim(1));
    let (outcome, _) = rebuild(&file, Changes { accept_orphans: true, accept_reclaim: true, ..dropped });
    assert_eq!(
        concerns_of(&outcome.concerns.orphans),
        [
            ("namespaces shop", "Owner u-tenant"),
            ("persistentvolumeclaims shop/data", "Namespace shop"),
            ("customresourcedefinitions.apiextensions.k8s.io widgets.example.com", "Owner u-tenant"),
            ("widgets.example.com w", "CustomResourceDefinition widgets.example.com"),
        ]
    );
    assert_eq!(concerns_of(&outcome.concerns.reclaimed), [("persistentvolumes pv-0", "shop/data")]);
}

#[test]
fn what_goes_with_its_lease_is_listed_and_missed_like_all_that_goes() {
    let none = serde_json::json!({});
    let file = owned(&[
        ("/registry/persistentvolumeclaims/shop/data", "u-claim", 7, "", none.clone()),
        ("/registry/persistentvolumes/pv-0", "u-pv-0", 0, "", volume_of("data")),
        ("/registry/deployments/shop/web", "u-web", 7, "", none.clone()),
        ("/registry/replicasets/shop/web-1", "u-set", 0, "u-web", none.clone()),
        // Another lease, which is not there.
        ("/registry/deployments/shop/stays", "u-stays", 8, "", none.clone()),
        ("/registry/replicasets/shop/stays-1", "u-kept", 0, "u-stays", none.clone()),
        ("plain", "u-plain", 7, "", none.clone()),
    ])
    .build()
    .file;
    let expire = Changes { leases: Leases::Expire, ..Changes::default() };
    assert_eq!(refusal(&file, expire.clone()), Refusal::Reclaim(1));
    assert_eq!(refusal(&file, Changes { accept_reclaim: true, ..expire.clone() }), Refusal::Orphans(1));
    let accepting = Changes { accept_reclaim: true, accept_orphans: true, ..expire.clone() };
    let (outcome, _) = rebuild_unsound(&file, accepting);
    let expired = outcome.expired.kinds.iter().map(|kind| (kind.reason, kind.resource.as_str(), kind.keys));
    assert_eq!(
        expired.collect::<Vec<_>>(),
        [
            (Reason::Lease, "deployments.apps", 1),
            (Reason::Lease, "other", 1),
            (Reason::Lease, "persistentvolumeclaims", 1),
        ]
    );
    assert_eq!((outcome.expired.keys, outcome.left_out.keys), (3, 0));
    // They stay without it.
    let (outcome, _) = rebuild_unsound(&file, Changes { leases: Leases::Detach, ..expire });
    assert_eq!((outcome.expired.keys, outcome.concerns.orphans.count), (0, 0));
}

#[test]
fn a_store_that_was_bumped_before_has_the_hash_that_was_foreseen() {
    let bump = |to| Some(BumpTo::Always(to));
    let once = Changes { bump_to: bump(1_000_000_000), ..Changes::default() };
    let (_, once) = try_rebuild(&leased_store(), once).expect("bumped");
    let twice = bump(2_000_000_000);
    let drop_prefixes = vec![b"free".to_vec()];
    for changes in [
        Changes { defrag: true, bump_to: twice, ..Changes::default() },
        Changes { leases: Leases::Expire, bump_to: twice, ..Changes::default() },
        Changes { leases: Leases::Detach, bump_to: twice, ..Changes::default() },
        Changes { compact: Some(CompactAt::Now), bump_to: twice, ..Changes::default() },
        Changes {
            bump_to: twice,
            ..changes(Selection { drop_prefixes: drop_prefixes.clone(), ..Selection::default() })
        },
        Changes { defrag: true, ..Changes::default() },
    ] {
        // Compared where it is written.
        let (_, again) = try_rebuild(&once, changes.clone()).expect("bumped again");
        try_rebuild(&again, Changes { bump_to: bump(3_000_000_000), ..changes }).expect("and again");
    }
}

#[test]
fn what_is_to_be_kept_must_be_there() {
    let file = cluster("Retain", &[]);
    let include = |name: &str| {
        changes(Selection { include_namespaces: vec![Pattern::new(name)], ..Selection::default() })
    };
    assert_eq!(refusal(&file, include("shopp")), Refusal::KeepsNothing);
    rebuild(&file, include("sh*"));
    let keep = |prefix: &str| {
        changes(Selection { keep_prefixes: vec![prefix.as_bytes().to_vec()], ..Selection::default() })
    };
    assert_eq!(refusal(&file, keep("/other/")), Refusal::NothingLeft);
    let exclude =
        changes(Selection { exclude_namespaces: vec![Pattern::new("dev")], ..Selection::default() });
    assert_eq!(rebuild(&file, exclude).0.unmatched.len(), 1);
}

#[test]
fn buckets_of_the_caller_take_the_place_of_those_in_the_file() {
    let file = leased_store();
    let progress = Progress::default();
    let db = Db::open(&file).expect("a database");
    let meta = BTreeMap::from([(b"consistent_index".to_vec(), vec![0, 0, 0, 0, 0, 0, 0, 1])]);
    let members = BTreeMap::from([(b"1".to_vec(), b"{}".to_vec())]);
    let replaced = BTreeMap::from([
        (b"meta".to_vec(), meta),
        (b"members".to_vec(), members),
        (b"members_removed".to_vec(), BTreeMap::new()),
    ]);
    let changes = Changes { compact: Some(CompactAt::Now), ..Changes::default() };
    let request = Request { changes, replaced, reader: Reader::default() };
    let rebuild = Rebuild::plan(&db, &request, &Settings::new(&progress)).expect("a plan");
    let mut out = Vec::new();
    rebuild.write(Metas::Committed(TxId(4)), &mut out).expect("written");
    let found = content(&out);
    let names: Vec<_> = found["meta"].iter().map(|(key, _)| String::from_utf8_lossy(key)).collect();
    assert_eq!(names, ["consistent_index", "finishedCompactRev", "scheduledCompactRev"]);
    assert_eq!(found["members"], [(b"1".to_vec(), b"{}".to_vec())]);
    assert_eq!(found["members_removed"], []);
}
