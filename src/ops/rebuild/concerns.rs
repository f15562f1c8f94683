//! Kept objects that a cluster would delete, or nobody could use, because of what is
//! left out.
//!
//! Two controllers act on what is missing, and both destroy: the volume controller
//! deletes a volume with all its data if its claim is gone and its policy is `Delete`;
//! the garbage collector deletes an object if none of its owners is there any more.
//! Source: kubernetes `pkg/controller/volume/persistentvolume/pv_controller.go`,
//! `pkg/controller/garbagecollector/garbagecollector.go`, 1.35.
//!
//! Two more lose what makes them of use: in a namespace without its `Namespace` nothing
//! can be made (admission `NamespaceLifecycle`), and a custom resource without its
//! definition is behind no path of the API. That follows from keys alone.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use crate::etcd::keyspace::Keyspace;
use crate::etcd::record::Record;
use crate::kube::field_set::FieldSet;
use crate::kube::object::Options;
use crate::kube::registry_key::RegistryKey;
use crate::kube::value::Value;
use crate::ops::Settings;
use crate::ops::list::TypeKey;
use crate::ops::objects::StoredObject;
use crate::ops::reader::{Buffer, Outcome, Reader};

use super::changes::Selection;

/// An object that stays, and what it needs that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// `pods default/web-1`, `persistentvolumes pv-1`.
    pub object: String,
    /// Its claim (`default/data`), or its first owner (`ReplicaSet web`); empty if the
    /// object cannot be read.
    pub needs: String,
}

/// Objects of one kind of concern.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConcernLog {
    /// How many there are.
    pub count: u64,
    /// The first thousand, in the order of the file.
    pub first: Vec<Concern>,
}

impl ConcernLog {
    const KEPT: usize = 1000;

    fn push(&mut self, concern: Concern) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < Self::KEPT {
            self.first.push(concern);
        }
    }

    fn join(&mut self, later: Self) {
        self.count = self.count.saturating_add(later.count);
        let room = Self::KEPT.saturating_sub(self.first.len());
        self.first.extend(later.first.into_iter().take(room));
    }
}

/// Objects that stay without the one object that many of them need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bereft {
    /// How many there are.
    pub count: u64,
    /// How many by the name of what they need; of a thousand names.
    pub by_name: BTreeMap<String, u64>,
}

impl Bereft {
    const NAMES: usize = 1000;

    fn add(&mut self, name: String, objects: u64) {
        self.count = self.count.saturating_add(objects);
        if self.by_name.len() < Self::NAMES || self.by_name.contains_key(&name) {
            let number = self.by_name.entry(name).or_default();
            *number = number.saturating_add(objects);
        }
    }

    fn join(&mut self, later: Self) {
        let named = later.by_name.values().copied().fold(0, u64::saturating_add);
        self.count = self.count.saturating_add(later.count.saturating_sub(named));
        for (name, objects) in later.by_name {
            self.add(name, objects);
        }
    }
}

/// What a cluster would do to objects that stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Concerns {
    /// Volumes with policy `Delete` whose claim is left out.
    pub reclaimed: ConcernLog,
    /// Volumes that cannot be read where claims are left out: each may be one of
    /// those.
    pub unreadable_volumes: ConcernLog,
    /// Objects all of whose owners are left out.
    pub orphans: ConcernLog,
    /// Objects in namespaces whose `Namespace` is left out, by namespace.
    pub without_namespace: Bereft,
    /// Custom resources whose definition is left out, by its name.
    pub without_definition: Bereft,
    /// Objects that could not be looked into, encrypted ones mostly.
    pub unreadable: u64,
}

impl Concerns {
    fn join(&mut self, later: Self) {
        self.reclaimed.join(later.reclaimed);
        self.unreadable_volumes.join(later.unreadable_volumes);
        self.orphans.join(later.orphans);
        self.without_namespace.join(later.without_namespace);
        self.without_definition.join(later.without_definition);
        self.unreadable = self.unreadable.saturating_add(later.unreadable);
    }
}

/// What is left out that others may refer to. Kept as hashes of 8 bytes.
#[derive(Debug, Default)]
pub(super) struct Lost {
    uids: Vec<u64>,
    claims: Vec<u64>,
    namespaces: Vec<u64>,
    definitions: Vec<u64>,
    unreadable: u64,
}

/// The same, to look things up in.
struct Gone {
    uids: HashSet<u64>,
    claims: HashSet<u64>,
    namespaces: HashSet<u64>,
    definitions: HashSet<u64>,
}

impl Lost {
    pub(super) fn join(&mut self, part: Self) {
        self.uids.extend(part.uids);
        self.claims.extend(part.claims);
        self.namespaces.extend(part.namespaces);
        self.definitions.extend(part.definitions);
        self.unreadable = self.unreadable.saturating_add(part.unreadable);
    }
}

/// Looks into objects for what they refer to.
pub(super) struct Looker<'r> {
    reader: Reader<'r>,
    hasher: RandomState,
}

impl<'r> Looker<'r> {
    /// With what `reader` knows of keys and prefixes.
    pub(super) fn new(reader: &Reader<'r>) -> Self {
        let fields = FieldSet::only([
            "metadata.uid",
            "metadata.ownerReferences",
            "spec.claimRef",
            "spec.persistentVolumeReclaimPolicy",
        ]);
        let options = Options { fields, ..Options::default() };
        let reader =
            Reader { keys: reader.keys, prefixes: reader.prefixes.clone(), options, ..Reader::default() };
        Self { reader, hasher: RandomState::new() }
    }

    pub(super) fn sight(&self) -> Sight<'_, 'r> {
        Sight { looker: self, buffer: Buffer::default() }
    }

    /// What of `lost` the keys that stay need.
    pub(super) fn concerns(
        &self,
        keyspace: &Keyspace<'_>,
        selection: &Selection,
        lost: &Lost,
        settings: &Settings<'_>,
    ) -> Concerns {
        let mut all = Concerns { unreadable: lost.unreadable, ..Concerns::default() };
        let lists = [&lost.uids, &lost.claims, &lost.namespaces, &lost.definitions];
        if lists.iter().all(|list| list.is_empty()) {
            return all;
        }
        let [uids, claims, namespaces, definitions] = lists.map(|list| list.iter().copied().collect());
        let gone = Gone { uids, claims, namespaces, definitions };
        keyspace.in_file_order(
            settings.threads,
            |run| {
                let mut part = Concerns::default();
                let mut sight = self.sight();
                for live in run.filter(|live| selection.takes(live.key)) {
                    if let Some(record) = live.record() {
                        sight.miss(&record, &gone, &mut part);
                    }
                }
                part
            },
            |part| all.join(part),
        );
        all
    }

    /// Notes what an object that stays would miss by its key.
    fn miss_by_key(&self, key: &RegistryKey<'_>, gone: &Gone, concerns: &mut Concerns) {
        let Some(object) = key.object() else { return };
        if let Some(namespace) = object.namespace.filter(|_| !gone.namespaces.is_empty()) {
            let namespace = String::from_utf8_lossy(namespace);
            if gone.namespaces.contains(&self.hash(&namespace)) {
                concerns.without_namespace.add(namespace.into_owned(), 1);
            }
        }
        if !gone.definitions.is_empty() {
            // A definition's name is that of its type.
            let name = TypeKey::of(key).name();
            if gone.definitions.contains(&self.hash(&name)) {
                concerns.without_definition.add(name, 1);
            }
        }
    }

    fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text)
    }

    fn claim(&self, namespace: &str, name: &str) -> u64 {
        self.hash(&format!("{namespace}/{name}"))
    }
}

/// A [`Looker`] on one thread.
pub(super) struct Sight<'l, 'r> {
    looker: &'l Looker<'r>,
    buffer: Buffer,
}

impl Sight<'_, '_> {
    /// Hands the object in `record`, if it is one, to `then`; whether it could be
    /// read.
    fn read(&mut self, record: &Record<'_>, then: impl FnOnce(&Value<'_>)) -> bool {
        let Some(stored) = StoredObject::of(*record, &self.looker.reader.prefixes) else { return true };
        self.looker.reader.read(&stored, &mut self.buffer, |outcome| match outcome {
            Outcome::Object { object, .. } => {
                then(&object.value);
                true
            }
            Outcome::NotSelected => true,
            Outcome::Unreadable { .. } => false,
        })
    }

    /// Notes an object that is left out.
    pub(super) fn lose(&mut self, record: &Record<'_>, lost: &mut Lost) {
        let looker = self.looker;
        let key = RegistryKey::parse(record.kv.key, &looker.reader.prefixes);
        if let Some(object) = key.object() {
            let name = String::from_utf8_lossy(object.name);
            if is_core(&key, b"persistentvolumeclaims") {
                let namespace = String::from_utf8_lossy(object.namespace.unwrap_or_default());
                lost.claims.push(looker.claim(&namespace, &name));
            } else if is_core(&key, b"namespaces") {
                lost.namespaces.push(looker.hash(&name));
            } else if is_of(&key, b"customresourcedefinitions", b"apiextensions.k8s.io") {
                lost.definitions.push(looker.hash(&name));
            }
        }
        let read = self.read(record, |object| {
            let uid = object.text(&["metadata", "uid"]);
            if !uid.is_empty() {
                lost.uids.push(looker.hash(uid));
            }
        });
        lost.unreadable = lost.unreadable.saturating_add(u64::from(!read));
    }

    /// Notes what an object that stays would miss.
    fn miss(&mut self, record: &Record<'_>, gone: &Gone, concerns: &mut Concerns) {
        let looker = self.looker;
        let key = RegistryKey::parse(record.kv.key, &looker.reader.prefixes);
        looker.miss_by_key(&key, gone, concerns);
        let is_volume = is_core(&key, b"persistentvolumes");
        let Concerns { reclaimed, orphans, .. } = concerns;
        let read = self.read(record, |object| {
            let owners = object.items(&["metadata", "ownerReferences"]);
            let is_lost = |owner: &Value<'_>| gone.uids.contains(&looker.hash(owner.text(&["uid"])));
            if let Some(owner) = owners.first()
                && owners.iter().all(is_lost)
            {
                let needs = format!("{} {}", owner.text(&["kind"]), owner.text(&["name"]));
                orphans.push(Concern { object: named(&key), needs });
            }
            let claim = ["namespace", "name"].map(|field| object.text(&["spec", "claimRef", field]));
            if is_volume
                && object.text(&["spec", "persistentVolumeReclaimPolicy"]) == "Delete"
                && gone.claims.contains(&looker.claim(claim[0], claim[1]))
            {
                reclaimed.push(Concern { object: named(&key), needs: claim.join("/") });
            }
        });
        if is_volume && !read && !gone.claims.is_empty() {
            concerns.unreadable_volumes.push(Concern { object: named(&key), needs: String::new() });
        }
        concerns.unreadable = concerns.unreadable.saturating_add(u64::from(!read));
    }
}

fn is_core(key: &RegistryKey<'_>, plural: &[u8]) -> bool {
    is_of(key, plural, b"")
}

fn is_of(key: &RegistryKey<'_>, plural: &[u8], group: &[u8]) -> bool {
    let type_key = TypeKey::of(key);
    type_key.resource == plural && type_key.group == group && !type_key.internal
}

fn named(key: &RegistryKey<'_>) -> String {
    let Some(object) = key.object() else { return String::new() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let namespace = object.namespace.map(|namespace| text(namespace) + "/").unwrap_or_default();
    format!("{} {namespace}{}", TypeKey::of(key).name(), text(object.name))
}
