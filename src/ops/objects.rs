//! Stored Kubernetes objects of the types asked for: all of a type, or a few by
//! name. What is in their values is the caller's business.

use std::num::NonZeroUsize;

use crate::bolt::Db;
use crate::etcd::hash_kv::Window;
use crate::etcd::keyspace::LiveKey;
use crate::etcd::record::Record;
use crate::kube::registry_key::{Prefixes, RegistryKey};

use super::keys::{KeyListing, keys};
use super::lookup::any_of;
use super::{Damage, OpError, Settings};

/// Where the objects of one type are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Below the store's prefix, without slashes at the ends: `pods`,
    /// `services/specs`, `example.com/widgets`.
    pub path: String,
    /// Only those in this namespace.
    pub namespace: Option<String>,
}

impl Place {
    /// What the keys of its objects begin with.
    fn starts(&self, prefixes: &Prefixes) -> Vec<Vec<u8>> {
        let starts = prefixes.key_starts().into_iter();
        starts
            .map(|mut start| {
                start.extend_from_slice(self.path.as_bytes());
                start.push(b'/');
                if let Some(namespace) = &self.namespace {
                    start.extend_from_slice(namespace.as_bytes());
                    start.push(b'/');
                }
                start
            })
            .collect()
    }

    /// The keys that the object `name` can have.
    pub fn keys(&self, prefixes: &Prefixes, name: &str) -> Vec<Vec<u8>> {
        let mut keys = self.starts(prefixes);
        keys.iter_mut().for_each(|key| key.extend_from_slice(name.as_bytes()));
        keys
    }
}

/// An object as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredObject<'a> {
    /// Its namespace, if it has one.
    pub namespace: Option<&'a [u8]>,
    /// Its name.
    pub name: &'a [u8],
    /// Its newest record, with the etcd key and the value.
    pub record: Record<'a>,
}

impl<'a> StoredObject<'a> {
    pub(crate) fn of(record: Record<'a>, prefixes: &Prefixes) -> Option<Self> {
        match RegistryKey::parse(record.kv.key, prefixes) {
            RegistryKey::Object(object) => {
                Some(Self { namespace: object.namespace, name: object.name, record })
            }
            _ => None,
        }
    }
}

/// All objects of some types.
#[derive(Debug)]
pub struct Objects<'a> {
    listing: KeyListing<'a>,
    prefixes: Prefixes,
}

/// Finds all objects at `places`, as they were at `revision` or are now.
///
/// # Errors
/// A revision that is not there; a damaged file, unless that is to be skipped.
pub fn objects<'a>(
    db: &Db<'a>,
    places: &[Place],
    prefixes: &Prefixes,
    revision: Option<i64>,
    settings: &Settings<'_>,
) -> Result<Objects<'a>, OpError> {
    let starts = places.iter().flat_map(|place| place.starts(prefixes)).collect();
    let listing = keys(db, starts, revision, settings)?;
    Ok(Objects { listing, prefixes: prefixes.clone() })
}

impl<'a> Objects<'a> {
    /// The revision that was asked for, or the current one.
    pub fn revision(&self) -> i64 {
        self.listing.revision
    }

    /// The revisions that could be asked for.
    pub fn window(&self) -> Window {
        self.listing.window
    }

    /// Damage that was skipped.
    pub fn damage(&self) -> &Damage {
        &self.listing.damage
    }

    /// Hands the objects at `place` to `map`, in runs that follow each other in
    /// the order of their keys (by namespace and name), and what becomes of each
    /// run to `join`, in order.
    pub fn at<T: Send>(
        &self,
        place: &Place,
        threads: NonZeroUsize,
        map: impl Fn(&mut dyn Iterator<Item = StoredObject<'a>>) -> T + Sync,
        join: impl FnMut(T) + Send,
    ) {
        let map = |run: &mut dyn Iterator<Item = LiveKey<'a>>| {
            let records = run.filter_map(|live| live.record());
            map(&mut records.filter_map(|record| StoredObject::of(record, &self.prefixes)))
        };
        self.listing.below(&place.starts(&self.prefixes), threads, map, join);
    }
}

/// A few objects by name.
#[derive(Debug)]
pub struct Named<'a> {
    /// In the order of the names; `None` for those that are not there.
    pub objects: Vec<Option<StoredObject<'a>>>,
    /// The revision that was asked for, or the current one.
    pub revision: i64,
    /// Damage that was skipped.
    pub damage: Damage,
}

/// Finds the objects of these places and names, as they were at `revision` or
/// are now, without reading more of the file than it takes.
///
/// # Errors
/// As [`objects`].
pub fn named<'a>(
    db: &Db<'a>,
    wanted: &[(&Place, &str)],
    prefixes: &Prefixes,
    revision: Option<i64>,
    settings: &Settings<'_>,
) -> Result<Named<'a>, OpError> {
    let things: Vec<_> = wanted.iter().map(|(place, name)| place.keys(prefixes, name)).collect();
    let states = any_of(db, &things, revision, settings)?;
    let newest = states.newest.into_iter();
    let alive = newest.map(|record| record.filter(|record| !record.tombstone));
    let objects = alive.map(|record| record.and_then(|record| StoredObject::of(record, prefixes)));
    Ok(Named { objects: objects.collect(), revision: states.revision, damage: states.damage })
}
