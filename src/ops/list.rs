//! Kubernetes objects by resource and namespace: counted, then named.

use std::collections::BTreeMap;

use crate::bolt::Db;
use crate::etcd::hash_kv::Window;
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

/// The type of an object, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeLabel {
    /// `deployments.apps`, `pods`; bytes that are no text are escaped.
    pub name: String,
    /// Whether these are keys that a server keeps for itself, and no objects.
    pub internal: bool,
}

impl TypeLabel {
    fn of(key: &ObjectKey<'_>) -> Self {
        let name = match (key.built_in, key.group) {
            (Some(resource), _) => resource.full_name(),
            (None, Some(group)) if !group.is_empty() => {
                format!("{}.{}", key.resource.escape_ascii(), group.escape_ascii())
            }
            _ => key.resource.escape_ascii().to_string(),
        };
        Self { name, internal: false }
    }
}

/// An object, or a key that a server keeps for itself.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    /// Its etcd key.
    pub key: &'a [u8],
    /// What the key says.
    pub registry: RegistryKey<'a>,
    /// Main revision of its last write.
    pub mod_revision: i64,
    /// Bytes of its value.
    pub value_size: u64,
}

impl<'a> Listed<'a> {
    /// The type it is counted under.
    pub fn label(&self) -> TypeLabel {
        match &self.registry {
            RegistryKey::Object(object) => TypeLabel::of(object),
            RegistryKey::Internal(internal) => {
                TypeLabel { name: internal.label().to_owned(), internal: true }
            }
            RegistryKey::Other => TypeLabel { name: "other".to_owned(), internal: true },
        }
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
    wanted: Vec<String>,
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
pub type Counts = BTreeMap<(TypeLabel, Option<Vec<u8>>), u64>;

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
        namespace: selection.namespace.as_ref().map(|namespace| namespace.as_bytes().to_vec()),
        unknown: Vec::new(),
        listing,
    };
    objects.choose(&selection.types);
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
    fn choose(&mut self, types: &[String]) {
        if types.is_empty() {
            return;
        }
        let mut present: Vec<String> = Vec::new();
        for typed in types {
            if let Some(resource) = Resource::find(typed) {
                self.wanted.push(resource.full_name());
                continue;
            }
            if present.is_empty() {
                let labels: std::collections::BTreeSet<_> =
                    self.all().map(|listed| listed.label().name).collect();
                present = labels.into_iter().collect();
            }
            let parsed = TypeName::parse(typed);
            let fits = |label: &&String| {
                let (plural, group) = label.split_once('.').unwrap_or((label, ""));
                parsed.is_name(plural) && parsed.fit(group).is_some()
            };
            match present.iter().find(fits) {
                Some(label) => self.wanted.push(label.clone()),
                None => {
                    let built_in = RESOURCES.iter().map(|resource| resource.plural);
                    let names = present.iter().map(String::as_str).chain(built_in);
                    let nearest = nearest(typed, names).into_iter().map(str::to_owned).collect();
                    self.unknown.push(UnknownType { typed: typed.clone(), nearest });
                }
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = Listed<'a>> + '_ {
        self.listing.in_file_order().filter_map(|record| self.listed(&record))
    }

    fn listed(&self, record: &crate::etcd::record::Record<'a>) -> Option<Listed<'a>> {
        let registry = RegistryKey::parse(record.kv.key, &self.prefixes);
        // Keys of other programs are no part of Kubernetes, but for those that
        // stand among its own.
        if matches!(registry, RegistryKey::Other) && self.prefixes.strip(record.kv.key).is_none() {
            return None;
        }
        Some(Listed {
            key: record.kv.key,
            registry,
            mod_revision: record.revision.main,
            value_size: record.kv.value.len() as u64,
        })
    }

    fn is_selected(&self, listed: &Listed<'a>) -> bool {
        let namespace = self.namespace.as_deref();
        (namespace.is_none() || namespace == listed.namespace())
            && (self.wanted.is_empty() && self.unknown.is_empty()
                || self.wanted.contains(&listed.label().name))
    }

    /// How many objects there are of each type in each namespace.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::new();
        for listed in self.all().filter(|listed| self.is_selected(listed)) {
            let key = (listed.label(), listed.namespace().map(<[u8]>::to_vec));
            let count = counts.entry(key).or_default();
            *count = count.saturating_add(1);
        }
        counts
    }

    /// The objects in the order of their keys: by type, namespace and name.
    pub fn objects(&self) -> impl Iterator<Item = Listed<'a>> + '_ {
        self.listing
            .by_key()
            .filter_map(|record| self.listed(&record))
            .filter(|listed| self.is_selected(listed))
    }
}
