//! Looks into objects: what of those that go others refer to, and what those that stay
//! refer to.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::bolt::FileOffset;
use crate::etcd::keyspace::{Keyspace, LiveKey};
use crate::etcd::record::Record;
use crate::kube::field_set::FieldSet;
use crate::kube::object::Options;
use crate::kube::registry_key::RegistryKey;
use crate::kube::value::Value;
use crate::ops::Settings;
use crate::ops::list::TypeKey;
use crate::ops::objects::StoredObject;
use crate::ops::reader::{Buffer, Outcome, Reader};

use super::collector::{Dependent, Dependents};
use super::concerns::{Bereft, Concern, ConcernLog, Concerns};

/// What goes and others may refer to. Kept as hashes of 8 bytes.
#[derive(Debug, Default)]
pub(super) struct Lost {
    uids: Vec<u64>,
    claims: Vec<u64>,
    /// Namespaces, and definitions of custom resources.
    containers: Vec<u64>,
    unreadable: u64,
}

impl Lost {
    pub(super) fn join(&mut self, part: Self) {
        self.uids.extend(part.uids);
        self.claims.extend(part.claims);
        self.containers.extend(part.containers);
        self.unreadable = self.unreadable.saturating_add(part.unreadable);
    }

    fn is_empty(&self) -> bool {
        [&self.uids, &self.claims, &self.containers].iter().all(|list| list.is_empty())
    }
}

/// The same, to look things up in.
struct Gone {
    uids: HashSet<u64>,
    containers: HashSet<u64>,
}

/// What a first look at the objects that stay came to.
#[derive(Debug, Default)]
struct Missed {
    without_namespace: Bereft,
    without_definition: Bereft,
    unreadable: u64,
    /// Whether an owner of any goes.
    orphans: bool,
    /// Whether a `Namespace` or a definition has owners: all in it would go with it.
    owned_containers: bool,
    volumes: Vec<FileOffset>,
}

impl Missed {
    fn join(&mut self, later: Self) {
        self.without_namespace.join(later.without_namespace);
        self.without_definition.join(later.without_definition);
        self.unreadable = self.unreadable.saturating_add(later.unreadable);
        self.orphans |= later.orphans;
        self.owned_containers |= later.owned_containers;
        self.volumes.extend(later.volumes);
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
        stays: &(dyn Fn(&LiveKey<'_>) -> bool + Sync),
        mut lost: Lost,
        settings: &Settings<'_>,
    ) -> Concerns {
        if lost.is_empty() {
            return Concerns { unreadable: lost.unreadable, ..Concerns::default() };
        }
        let missed = self.missed(keyspace, stays, &lost, settings);
        let mut orphans = ConcernLog::default();
        if missed.orphans {
            let mut dependents = self.dependents(keyspace, stays, missed.owned_containers, settings);
            let mut sight = self.sight();
            for orphan in dependents.without(&lost.uids) {
                let Some(record) = keyspace.at(orphan).and_then(|live| live.record()) else { continue };
                sight.doom(&record, &mut orphans, &mut lost);
            }
        }
        let mut concerns = Concerns {
            orphans,
            without_namespace: missed.without_namespace,
            without_definition: missed.without_definition,
            unreadable: lost.unreadable.saturating_add(missed.unreadable),
            ..Concerns::default()
        };
        if !lost.claims.is_empty() {
            let claims: HashSet<u64> = lost.claims.into_iter().collect();
            let mut sight = self.sight();
            for volume in missed.volumes {
                let Some(record) = keyspace.at(volume).and_then(|live| live.record()) else { continue };
                sight.reclaim(&record, &claims, &mut concerns);
            }
        }
        concerns
    }

    fn missed(
        &self,
        keyspace: &Keyspace<'_>,
        stays: &(dyn Fn(&LiveKey<'_>) -> bool + Sync),
        lost: &Lost,
        settings: &Settings<'_>,
    ) -> Missed {
        let set = |list: &[u64]| list.iter().copied().collect();
        let gone = Gone { uids: set(&lost.uids), containers: set(&lost.containers) };
        let mut all = Missed::default();
        self.at_each(
            keyspace,
            stays,
            settings,
            |sight, record, part: &mut Missed| sight.miss(record, &gone, part),
            |part| all.join(part),
        );
        all
    }

    /// Who of those that stay depends on whom.
    fn dependents(
        &self,
        keyspace: &Keyspace<'_>,
        stays: &(dyn Fn(&LiveKey<'_>) -> bool + Sync),
        containers: bool,
        settings: &Settings<'_>,
    ) -> Dependents {
        let mut all = Dependents::default();
        self.at_each(
            keyspace,
            stays,
            settings,
            |sight, record, part: &mut Dependents| sight.relate(record, containers, part),
            |part| all.join(part),
        );
        all
    }

    /// Looks at each key that stays, in runs whose parts are joined in the order of the
    /// file.
    fn at_each<P: Default + Send>(
        &self,
        keyspace: &Keyspace<'_>,
        stays: &(dyn Fn(&LiveKey<'_>) -> bool + Sync),
        settings: &Settings<'_>,
        look: impl Fn(&mut Sight<'_, 'r>, &Record<'_>, &mut P) + Sync,
        join: impl FnMut(P) + Send,
    ) {
        keyspace.in_file_order(
            settings.threads,
            |run| {
                let mut part = P::default();
                let mut sight = self.sight();
                for record in run.filter(stays).filter_map(|live| live.record()) {
                    look(&mut sight, &record, &mut part);
                }
                part
            },
            join,
        );
    }

    fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text)
    }

    fn claim(&self, namespace: &str, name: &str) -> u64 {
        self.hash(&format!("{namespace}/{name}"))
    }

    /// The claim that the key is of, if it is of one.
    fn claim_of(&self, key: &RegistryKey<'_>) -> Option<u64> {
        let object = key.object().filter(|_| is_core(key, b"persistentvolumeclaims"))?;
        let namespace = String::from_utf8_lossy(object.namespace.unwrap_or_default());
        Some(self.claim(&namespace, &String::from_utf8_lossy(object.name)))
    }

    /// What deletes all that is in it if it goes, or makes it useless: a `Namespace`, a
    /// definition of custom resources.
    fn container(&self, key: &RegistryKey<'_>) -> Option<u64> {
        let name = String::from_utf8_lossy(key.object()?.name);
        if is_core(key, b"namespaces") {
            Some(self.namespace(&name))
        } else if is_definition(key) {
            Some(self.definition(&name))
        } else {
            None
        }
    }

    /// A namespace as a [`container`](Self::container).
    fn namespace(&self, name: &str) -> u64 {
        self.hasher.hash_one(("namespace", name))
    }

    /// A definition as one, by its name, which is that of its type.
    fn definition(&self, name: &str) -> u64 {
        self.hasher.hash_one(("definition", name))
    }

    /// The namespace and the definition that an object goes with.
    fn contained_in(&self, key: &RegistryKey<'_>) -> Vec<u64> {
        let Some(object) = key.object() else { return Vec::new() };
        let namespace = object.namespace.map(|name| self.namespace(&String::from_utf8_lossy(name)));
        namespace.into_iter().chain([self.definition(&TypeKey::of(key).name())]).collect()
    }
}

/// A [`Looker`] on one thread.
pub(super) struct Sight<'l, 'r> {
    looker: &'l Looker<'r>,
    buffer: Buffer,
}

impl<'l> Sight<'l, '_> {
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

    fn key<'k>(&self, record: &Record<'k>) -> RegistryKey<'k>
    where
        'l: 'k,
    {
        RegistryKey::parse(record.kv.key, &self.looker.reader.prefixes)
    }

    /// Notes an object that goes.
    pub(super) fn lose(&mut self, record: &Record<'_>, lost: &mut Lost) {
        let looker = self.looker;
        let key = self.key(record);
        lost.claims.extend(looker.claim_of(&key));
        lost.containers.extend(looker.container(&key));
        let read = self.read(record, |object| {
            let uid = object.text(&["metadata", "uid"]);
            if !uid.is_empty() {
                lost.uids.push(looker.hash(uid));
            }
        });
        lost.unreadable = lost.unreadable.saturating_add(u64::from(!read));
    }

    /// Notes what an object that stays would miss.
    fn miss(&mut self, record: &Record<'_>, gone: &Gone, missed: &mut Missed) {
        let looker = self.looker;
        let key = self.key(record);
        if let Some(object) = key.object().filter(|_| !gone.containers.is_empty()) {
            if let Some(namespace) = object.namespace.map(String::from_utf8_lossy)
                && gone.containers.contains(&looker.namespace(&namespace))
            {
                missed.without_namespace.add(namespace.into_owned(), 1);
            }
            let of_type = TypeKey::of(&key).name();
            if gone.containers.contains(&looker.definition(&of_type)) {
                missed.without_definition.add(of_type, 1);
            }
        }
        if is_core(&key, b"persistentvolumes") {
            missed.volumes.push(record.offset);
        }
        let is_container = looker.container(&key).is_some();
        let read = self.read(record, |object| {
            let owners = object.items(&["metadata", "ownerReferences"]);
            missed.owned_containers |= is_container && !owners.is_empty();
            missed.orphans |=
                owners.iter().any(|owner| gone.uids.contains(&looker.hash(owner.text(&["uid"]))));
        });
        missed.unreadable = missed.unreadable.saturating_add(u64::from(!read));
    }

    /// Notes what an object that stays depends on.
    fn relate(&mut self, record: &Record<'_>, containers: bool, dependents: &mut Dependents) {
        let looker = self.looker;
        let key = self.key(record);
        let mut dependent = Dependent {
            offset: record.offset,
            uid: None,
            owners: Vec::new(),
            holds: looker.container(&key).filter(|_| containers),
            held_by: if containers { looker.contained_in(&key) } else { Vec::new() },
        };
        self.read(record, |object| {
            let uid = object.text(&["metadata", "uid"]);
            dependent.uid = (!uid.is_empty()).then(|| looker.hash(uid));
            let owners = object.items(&["metadata", "ownerReferences"]);
            dependent.owners.extend(owners.iter().map(|owner| looker.hash(owner.text(&["uid"]))));
        });
        dependents.add(dependent);
    }

    /// Notes an object that would be deleted.
    fn doom(&mut self, record: &Record<'_>, orphans: &mut ConcernLog, lost: &mut Lost) {
        let key = self.key(record);
        lost.claims.extend(self.looker.claim_of(&key));
        orphans.push(|| {
            let mut needs = String::new();
            self.read(record, |object| {
                if let Some(owner) = object.items(&["metadata", "ownerReferences"]).first() {
                    needs = format!("{} {}", owner.text(&["kind"]), owner.text(&["name"]));
                }
            });
            if needs.is_empty() {
                needs = match key.object().and_then(|object| object.namespace) {
                    Some(namespace) => format!("Namespace {}", String::from_utf8_lossy(namespace)),
                    None => format!("CustomResourceDefinition {}", TypeKey::of(&key).name()),
                };
            }
            Concern { object: named(&key), needs }
        });
    }

    /// Notes a volume that would be deleted or emptied for want of one of `claims`.
    fn reclaim(&mut self, record: &Record<'_>, claims: &HashSet<u64>, concerns: &mut Concerns) {
        let looker = self.looker;
        let key = self.key(record);
        let read = self.read(record, |object| {
            let claim = ["namespace", "name"].map(|field| object.text(&["spec", "claimRef", field]));
            if matches!(object.text(&["spec", "persistentVolumeReclaimPolicy"]), "Delete" | "Recycle")
                && claims.contains(&looker.claim(claim[0], claim[1]))
            {
                concerns.reclaimed.push(|| Concern { object: named(&key), needs: claim.join("/") });
            }
        });
        if !read {
            concerns.unreadable_volumes.push(|| Concern { object: named(&key), needs: String::new() });
        }
    }
}

fn is_core(key: &RegistryKey<'_>, plural: &[u8]) -> bool {
    is_of(key, plural, b"")
}

fn is_definition(key: &RegistryKey<'_>) -> bool {
    is_of(key, b"customresourcedefinitions", b"apiextensions.k8s.io")
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
