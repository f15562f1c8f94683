//! Kubernetes objects by resource and namespace: counted, then named.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;

use crate::bolt::{Db, FileOffset};
use crate::etcd::hash_kv::Window;
use crate::etcd::keyspace::LiveKey;
use crate::etcd::record::Record;
use crate::kube::registry_key::{ObjectKey, Prefixes, RegistryKey};
use crate::kube::resources::{RESOURCES, Resource};
use crate::kube::type_name::{TypeName, nearest};

use super::keys::{KeyListing, keys};
use super::{Damage, OpError, Settings};

/// Which objects.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// What the user typed for the type, each to be found; all types if empty.
    pub types: Vec<String>,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// The state at this revision.
    pub revision: Option<i64>,
    /// Where Kubernetes keeps its keys.
    pub prefixes: Prefixes,
}

/// The type of an object: what it is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeKey<'a> {
    /// Plural name; of keys that are no objects, their label.
    pub resource: &'a [u8],
    /// Group, empty for the core group.
    pub group: &'a [u8],
    /// Whether these are keys that a server keeps for itself, and no objects.
    pub internal: bool,
}

impl<'a> TypeKey<'a> {
    pub(crate) fn of(key: &RegistryKey<'a>) -> Self {
        match key {
            RegistryKey::Object(ObjectKey { built_in: Some(resource), .. }) => Self::built_in(resource),
            RegistryKey::Object(object) => {
                Self { resource: object.resource, group: object.group.unwrap_or_default(), internal: false }
            }
            RegistryKey::Internal(internal) => {
                Self { resource: internal.label().as_bytes(), group: b"", internal: true }
            }
            RegistryKey::Other => Self { resource: b"other", group: b"", internal: true },
        }
    }

    fn built_in(resource: &'static Resource) -> Self {
        Self { resource: resource.plural.as_bytes(), group: resource.group.as_bytes(), internal: false }
    }

    /// `deployments.apps`, `pods`; bytes that are no text are escaped.
    pub fn name(&self) -> String {
        let mut name = self.resource.escape_ascii().to_string();
        if !self.group.is_empty() {
            name.push('.');
            name.extend(self.group.escape_ascii().map(char::from));
        }
        name
    }
}

/// An object, or a key that a server keeps for itself.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// Its etcd key.
    pub key: &'a [u8],
    /// What the key says.
    pub registry: RegistryKey<'a>,
    live: LiveKey<'a>,
}

impl<'a> Listed<'a> {
    /// The type it is counted under.
    pub fn type_key(&self) -> TypeKey<'a> {
        TypeKey::of(&self.registry)
    }

    /// Where it is: all that need be kept of it to find it again with
    /// [`ObjectListing::at`].
    pub fn offset(&self) -> FileOffset {
        self.live.offset()
    }

    /// Its newest record; `None` if the file was changed since it was met.
    pub fn record(&self) -> Option<Record<'a>> {
        self.live.record()
    }

    /// Its namespace, if it has one.
    pub fn namespace(&self) -> Option<&'a [u8]> {
        self.registry.object().and_then(|object| object.namespace)
    }

    /// Its name; of a key that is no object, the whole key.
    pub fn name(&self) -> &'a [u8] {
        self.registry.object().map_or(self.key, |object| object.name)
    }
}

/// A type that is not in the snapshot and not built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownType {
    /// What was typed.
    pub typed: String,
    /// Types with a similar name.
    pub nearest: Vec<String>,
}

/// The objects selected.
#[derive(Debug)]
pub struct ObjectListing<'a> {
    listing: KeyListing<'a>,
    prefixes: Prefixes,
    wanted: Vec<TypeKey<'a>>,
    all_types: bool,
    namespace: Option<Vec<u8>>,
    /// The revision that was asked for, or the current one.
    pub revision: i64,
    /// The revisions that could be asked for.
    pub window: Window,
    /// Damage that was skipped.
    pub damage: Damage,
    /// Types asked for that there are none of.
    pub unknown: Vec<UnknownType>,
}

/// How many objects of one type there are in one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<'a> {
    /// The type.
    pub type_key: TypeKey<'a>,
    /// The namespace, if the type has namespaces.
    pub namespace: Option<&'a [u8]>,
    /// How many.
    pub count: u64,
    /// The key of the first of them.
    pub first: &'a [u8],
}

/// Lists the Kubernetes objects of `db`.
///
/// # Errors
/// A revision that is not there; a damaged file, unless that is to be skipped.
pub fn list<'a>(
    db: &Db<'a>,
    selection: &Selection,
    settings: &Settings<'_>,
) -> Result<ObjectListing<'a>, OpError> {
    // k3s and a few others keep something beside the objects; it is told too.
    let listing = keys(db, starts(selection), selection.revision, settings)?;
    let mut objects = ObjectListing {
        revision: listing.revision,
        window: listing.window,
        damage: listing.damage.clone(),
        prefixes: selection.prefixes.clone(),
        wanted: Vec::new(),
        all_types: selection.types.is_empty(),
        namespace: selection.namespace.as_ref().map(|namespace| namespace.as_bytes().to_vec()),
        unknown: Vec::new(),
        listing,
    };
    objects.choose(&selection.types, settings.threads);
    Ok(objects)
}

/// What the keys that can be selected begin with: less to keep in mind where all
/// types are built in.
fn starts(selection: &Selection) -> Vec<Vec<u8>> {
    let paths: Option<Vec<&str>> = selection
        .types
        .iter()
        .map(|typed| Resource::find(typed).and_then(|resource| resource.path))
        .collect();
    let prefixes = selection.prefixes.key_starts();
    match paths {
        Some(paths) if !paths.is_empty() => {
            let below = |prefix: &Vec<u8>| {
                let prefix = prefix.clone();
                paths.clone().into_iter().map(move |path| [prefix.as_slice(), path.as_bytes(), b"/"].concat())
            };
            prefixes.iter().flat_map(below).collect()
        }
        _ if selection.types.is_empty() => Vec::new(),
        _ => prefixes,
    }
}

impl<'a> ObjectListing<'a> {
    fn choose(&mut self, types: &[String], threads: NonZeroUsize) {
        let mut present: Option<Vec<(TypeKey<'a>, String)>> = None;
        for typed in types {
            if let Some(resource) = Resource::find(typed) {
                self.wanted.push(TypeKey::built_in(resource));
                continue;
            }
            let present = present.get_or_insert_with(|| self.present(threads));
            let parsed = TypeName::parse(typed);
            let fits = |(_, name): &&(TypeKey<'a>, String)| {
                let (plural, group) = name.split_once('.').unwrap_or((name, ""));
                parsed.is_name(plural) && parsed.fit(group).is_some()
            };
            match present.iter().find(fits) {
                Some((key, _)) => self.wanted.push(*key),
                None => {
                    let built_in = RESOURCES.iter().map(|resource| resource.plural);
                    let names = present.iter().map(|(_, name)| name.as_str()).chain(built_in);
                    let nearest = nearest(typed, names).into_iter().map(str::to_owned).collect();
                    self.unknown.push(UnknownType { typed: typed.clone(), nearest });
                }
            }
        }
    }

    /// All types that there are objects of.
    fn present(&self, threads: NonZeroUsize) -> Vec<(TypeKey<'a>, String)> {
        let all: BTreeSet<TypeKey<'a>> =
            self.count(threads, |_| true).into_iter().map(|count| count.type_key).collect();
        all.into_iter().map(|key| (key, key.name())).collect()
    }

    fn listed(&self, live: LiveKey<'a>) -> Option<Listed<'a>> {
        let registry = RegistryKey::parse(live.key, &self.prefixes);
        // Keys of other programs are no part of Kubernetes, but for those that
        // stand among its own.
        if matches!(registry, RegistryKey::Other) && self.prefixes.strip(live.key).is_none() {
            return None;
        }
        Some(Listed { key: live.key, registry, live })
    }

    fn is_selected(&self, listed: &Listed<'a>) -> bool {
        let namespace = self.namespace.as_deref();
        (namespace.is_none() || namespace == listed.namespace())
            && (self.all_types || self.wanted.contains(&listed.type_key()))
    }

    fn count(&self, threads: NonZeroUsize, wanted: impl Fn(&Listed<'a>) -> bool + Sync) -> Vec<Count<'a>> {
        type Counts<'a> = HashMap<(TypeKey<'a>, Option<&'a [u8]>), Count<'a>>;
        fn add<'a>(counts: &mut Counts<'a>, more: Count<'a>) {
            let entry = counts.entry((more.type_key, more.namespace));
            let sum = entry.or_insert(Count { count: 0, ..more });
            sum.count = sum.count.saturating_add(more.count);
            sum.first = sum.first.min(more.first);
        }
        let mut counts = Counts::new();
        let map = |run: &mut dyn Iterator<Item = LiveKey<'a>>| {
            let mut part = Counts::new();
            for listed in run.filter_map(|live| self.listed(live)).filter(|listed| wanted(listed)) {
                let (type_key, namespace) = (listed.type_key(), listed.namespace());
                add(&mut part, Count { type_key, namespace, count: 1, first: listed.key });
            }
            part
        };
        self.listing.in_file_order(threads, map, |part| {
            part.into_values().for_each(|more| add(&mut counts, more));
        });
        let mut counts: Vec<_> = counts.into_values().collect();
        counts.sort_unstable_by_key(|count| count.first);
        counts
    }

    /// How many objects there are of each type in each namespace, in the order in
    /// which [`objects`](Self::objects) begins with them.
    pub fn counts(&self, threads: NonZeroUsize) -> Vec<Count<'a>> {
        self.count(threads, |listed| self.is_selected(listed))
    }

    /// What was listed at `offset`, as [`Listed::offset`] told; `None` if the file was
    /// changed since.
    pub fn at(&self, offset: FileOffset) -> Option<Listed<'a>> {
        self.listed(self.listing.at(offset)?)
    }

    /// Those of a run of keys that are selected.
    fn selected<'s>(
        &'s self,
        run: &'s mut dyn Iterator<Item = LiveKey<'a>>,
    ) -> impl Iterator<Item = Listed<'a>> + use<'s, 'a> {
        run.filter_map(|live| self.listed(live)).filter(|listed| self.is_selected(listed))
    }

    /// As [`objects`](Self::objects), in the order of the file, which is faster.
    pub fn in_file_order<T: Send>(
        &self,
        threads: NonZeroUsize,
        map: impl Fn(&mut dyn Iterator<Item = Listed<'a>>) -> T + Sync,
        join: impl FnMut(T) + Send,
    ) {
        self.listing.in_file_order(threads, |run| map(&mut self.selected(run)), join);
    }

    /// Hands the objects to `map`, in runs that follow each other in the order of
    /// the keys (by type as it is called in the store, namespace and name), and
    /// what becomes of each run to `join`, in order.
    pub fn objects<T: Send>(
        &self,
        threads: NonZeroUsize,
        map: impl Fn(&mut dyn Iterator<Item = Listed<'a>>) -> T + Sync,
        join: impl FnMut(T) + Send,
    ) {
        self.listing.by_key(threads, |run| map(&mut self.selected(run)), join);
    }
}
