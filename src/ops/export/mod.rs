//! Objects as manifests for another cluster.
//!
//! ```text
//! list ─▶ by type and namespace ─▶ note services, needs ─▶ in the order of the output ─▶ sink
//!         (keys alone)             (some objects)          (each object: decode, leave out,
//!                                                           clean, rename, redact, print)
//! ```
//!
//! Only keys are kept in memory, objects are read when their turn has come; those
//! that refer to others, and services that endpoints belong to, are read twice.

mod candidates;
mod tree;

pub use tree::{Tree, TreeError};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::list::{Listed, Selection, UnknownType, list};
use super::{Damage, OpError, Settings};
use crate::bolt::{Db, ordered};
use crate::kube::manifest::clean::{Keep, clean};
use crate::kube::manifest::file_name::ObjectPath;
use crate::kube::manifest::identity::Identity;
use crate::kube::manifest::left_out::{Include, Reason, Surroundings, left_out};
use crate::kube::manifest::namespaces::NamespaceMap;
use crate::kube::manifest::needs::Needs;
use crate::kube::manifest::redact::{Redaction, forbid};
use crate::kube::manifest::removed::removed_in;
use crate::kube::manifest::scope::Scope;
use crate::kube::value::Value;
use candidates::{Candidate, Candidates};

/// What to export, and in which form.
#[derive(Default)]
pub struct Request<'r> {
    /// Types, revision, place of the keys. Its namespace is not looked at.
    pub selection: Selection,
    /// Which types and namespaces.
    pub scope: Scope,
    /// Which objects, as they are stored; all if `None`.
    pub filter: Option<&'r (dyn Fn(&Value<'_>) -> bool + Sync)>,
    /// What is not left out.
    pub include: Include,
    /// What is not taken away.
    pub keep: Keep,
    /// Whose values are replaced. Then nothing can be applied.
    pub redaction: Option<Redaction>,
    /// Other names for namespaces.
    pub namespaces: NamespaceMap,
}

/// A stored value, read.
#[derive(Debug)]
pub struct Read<'v> {
    /// The object.
    pub object: Value<'v>,
    /// What of it is not in the tree, in a few words.
    pub lost: Option<String>,
}

/// Reads stored values: opens what is encrypted, decodes the rest.
pub trait ObjectReader: Sync {
    /// Reads `stored`, the value of `listed`, and hands on what it is, or in a few
    /// words why it cannot be read.
    fn read<T>(
        &self,
        listed: &Listed<'_>,
        stored: &[u8],
        then: impl FnOnce(Result<Read<'_>, String>) -> T,
    ) -> T;
}

/// One object, ready to be written.
#[derive(Debug)]
pub struct Manifest {
    /// Where in a tree of files.
    pub path: ObjectPath,
    /// As it was printed.
    pub text: Vec<u8>,
}

/// Objects counted under something, by type.
pub type Counts<K> = BTreeMap<K, BTreeMap<String, u64>>;

/// What was exported, and what was not.
#[derive(Debug, Default)]
pub struct Report {
    /// The revision that was asked for, or the current one.
    pub revision: i64,
    /// Damage that was skipped.
    pub damage: Damage,
    /// Types asked for that there are none of.
    pub unknown: Vec<UnknownType>,
    /// Written objects by type.
    pub written: BTreeMap<String, u64>,
    /// Of these, how many are there because others need them.
    pub needed: u64,
    /// Objects that were left out, by reason.
    pub left_out: Counts<Reason>,
    /// Objects that cannot be read, by reason.
    pub unreadable: Counts<String>,
    /// Objects that were written without a part of them, by what is lost.
    pub partial: Counts<String>,
    /// Places in objects that still seem to mean a namespace that was renamed.
    pub namespaces_left: Vec<NamespacesLeft>,
    /// How many objects have such places; the first are in the list.
    pub namespaces_left_in: u64,
    /// Objects in versions of their API that newer servers do not take, by the
    /// first release that does not and the version.
    pub outdated: Counts<(u8, String)>,
    /// Custom resources among what was written.
    pub custom: u64,
    /// Volumes whose disks go with their claims.
    pub volumes_to_delete: u64,
}

/// An object that still seems to mean a namespace that was renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespacesLeft {
    /// Its type.
    pub resource: String,
    /// Its namespace and name, as they are now.
    pub path: ObjectPath,
    /// Where.
    pub places: Vec<String>,
}

/// Objects with places left that are remembered.
const MOST_REMEMBERED: usize = 100;

/// Why there is no export, or half of one.
#[derive(Debug, thiserror::Error)]
pub enum ExportError<E> {
    /// The file cannot be read.
    #[error(transparent)]
    Op(#[from] OpError),
    /// The output cannot be written.
    #[error("{0}")]
    Sink(E),
}

/// What became of one object.
enum Outcome {
    Written(Box<Written>),
    LeftOut(Reason),
    Unreadable(String),
    NotAsked,
}

struct Written {
    manifest: Manifest,
    lost: Option<String>,
    needed: bool,
    to_delete: bool,
    is_custom: bool,
    outdated: Option<(u8, String)>,
    places: Vec<String>,
}

/// Objects read by one thread before it hands them on.
const RUN: usize = 64;

/// Exports objects of `db`: `print` makes text of each, on several threads, and
/// `sink` is given these in the order in which they can be applied.
///
/// # Errors
/// A revision that is not there; a damaged file, unless that is to be skipped; the
/// first error of `sink`.
pub fn export<'a, E: Send>(
    db: &Db<'a>,
    request: &Request<'_>,
    reader: &impl ObjectReader,
    settings: &Settings<'_>,
    print: impl Fn(&Value<'_>) -> Vec<u8> + Sync,
    mut sink: impl FnMut(Manifest) -> Result<(), E> + Send,
) -> Result<Report, ExportError<E>> {
    let selection = Selection { namespace: None, ..request.selection.clone() };
    let listing = list(db, &selection, settings)?;
    let mut report = Report {
        revision: listing.revision,
        damage: listing.damage.clone(),
        unknown: listing.unknown.clone(),
        ..Report::default()
    };
    let candidates = Candidates::choose(&listing, request, settings);
    let surroundings = candidates.surroundings(db, &selection, reader, settings)?;
    let exporter = Exporter { request, reader, surroundings, needs: Needs::default() };
    let needs = if candidates.ask_for_needs {
        exporter.needs(&candidates.objects, settings)
    } else {
        Needs::default()
    };
    let exporter = Exporter { needs, ..exporter };
    report.left_out = candidates.left_out;

    let failed = AtomicBool::new(false);
    let mut result = Ok(());
    let runs: Vec<&[Candidate<'a>]> = candidates.objects.chunks(RUN).collect();
    let map = |run: &&[Candidate<'a>]| {
        if failed.load(Ordering::Relaxed) {
            return Vec::new();
        }
        run.iter()
            .map(|candidate| (candidate.listed.type_key(), exporter.export(candidate, &print)))
            .collect()
    };
    let join = |outcomes: Vec<_>| {
        for (type_key, outcome) in outcomes {
            if result.is_err() {
                return;
            }
            if let Some(manifest) = report.count(type_key, outcome) {
                result = sink(manifest);
                failed.store(result.is_err(), Ordering::Relaxed);
            }
        }
    };
    ordered(&runs, settings.threads, map, join);
    result.map_err(ExportError::Sink)?;
    Ok(report)
}

struct Exporter<'e, 'r, R> {
    request: &'e Request<'r>,
    reader: &'e R,
    surroundings: Surroundings,
    needs: Needs,
}

impl<R: ObjectReader> Exporter<'_, '_, R> {
    /// What the objects asked for refer to.
    fn needs(&self, candidates: &[Candidate<'_>], settings: &Settings<'_>) -> Needs {
        let runs: Vec<&[Candidate<'_>]> = candidates.chunks(RUN).collect();
        let map = |run: &&[Candidate<'_>]| {
            let mut needs = Needs::default();
            for candidate in run.iter().filter(|candidate| !candidate.if_needed) {
                let Some(record) = candidate.listed.record() else { continue };
                self.reader.read(&candidate.listed, record.kv.value, |read| {
                    let Ok(Read { object, .. }) = read else { return };
                    if self.is_asked(&object)
                        && left_out(&object, &self.surroundings, self.request.include).is_none()
                    {
                        needs.note(&object);
                        candidate.note_definition(&mut needs);
                    }
                });
            }
            needs
        };
        let mut all = Needs::default();
        ordered(&runs, settings.threads, map, |needs| all.extend(needs));
        all
    }

    fn is_asked(&self, object: &Value<'_>) -> bool {
        self.request.filter.is_none_or(|filter| filter(object))
    }

    fn export(&self, candidate: &Candidate<'_>, print: &(impl Fn(&Value<'_>) -> Vec<u8> + Sync)) -> Outcome {
        let needed = candidate.is_needed(&self.needs);
        if candidate.if_needed && !needed {
            return Outcome::NotAsked;
        }
        let Some(record) = candidate.listed.record() else {
            return Outcome::Unreadable("the file changed while it was read".to_owned());
        };
        self.reader.read(&candidate.listed, record.kv.value, |read| match read {
            Err(reason) => Outcome::Unreadable(reason),
            Ok(Read { mut object, lost }) => {
                let is_asked = !candidate.if_needed && self.is_asked(&object);
                if !is_asked && !needed {
                    return Outcome::NotAsked;
                }
                match left_out(&object, &self.surroundings, self.request.include) {
                    Some(reason) if is_asked => Outcome::LeftOut(reason),
                    Some(_) => Outcome::NotAsked,
                    None => {
                        let places = self.change(&mut object);
                        let identity = Identity::of(&object);
                        let removed = removed_in(identity.group, identity.version, identity.kind);
                        Outcome::Written(Box::new(Written {
                            manifest: Manifest { path: ObjectPath::of(&identity), text: print(&object) },
                            lost,
                            needed: !is_asked,
                            to_delete: identity.type_name() == ("", "PersistentVolume")
                                && object.text(&["spec", "persistentVolumeReclaimPolicy"]) == "Delete",
                            is_custom: identity.built_in.is_none(),
                            outdated: removed.map(|minor| (minor, object.text(&["apiVersion"]).to_owned())),
                            places,
                        }))
                    }
                }
            }
        })
    }

    /// Makes a manifest of `object`. Returns places that still seem to mean a
    /// namespace that was renamed.
    fn change(&self, object: &mut Value<'_>) -> Vec<String> {
        clean(object, self.request.keep);
        let places = self.request.namespaces.apply(object);
        if let Some(redaction) = &self.request.redaction {
            redaction.apply(object);
            forbid(object);
        }
        places
    }
}

impl Report {
    /// Counts an outcome, and returns what is to be written.
    fn count(&mut self, type_key: super::list::TypeKey<'_>, outcome: Outcome) -> Option<Manifest> {
        fn add(counts: &mut BTreeMap<String, u64>, name: String) {
            let count = counts.entry(name).or_default();
            *count = count.saturating_add(1);
        }
        match outcome {
            Outcome::NotAsked => None,
            Outcome::LeftOut(reason) => {
                add(self.left_out.entry(reason).or_default(), type_key.name());
                None
            }
            Outcome::Unreadable(reason) => {
                add(self.unreadable.entry(reason).or_default(), type_key.name());
                None
            }
            Outcome::Written(written) => {
                let Written { manifest, lost, needed, to_delete, is_custom, outdated, places } = *written;
                add(&mut self.written, type_key.name());
                self.needed = self.needed.saturating_add(u64::from(needed));
                self.volumes_to_delete = self.volumes_to_delete.saturating_add(u64::from(to_delete));
                self.custom = self.custom.saturating_add(u64::from(is_custom));
                if let Some(outdated) = outdated {
                    add(self.outdated.entry(outdated).or_default(), type_key.name());
                }
                if let Some(lost) = lost {
                    add(self.partial.entry(lost).or_default(), type_key.name());
                }
                if !places.is_empty() {
                    self.namespaces_left_in = self.namespaces_left_in.saturating_add(1);
                    if self.namespaces_left.len() < MOST_REMEMBERED {
                        let (resource, path) = (type_key.name(), manifest.path.clone());
                        self.namespaces_left.push(NamespacesLeft { resource, path, places });
                    }
                }
                Some(manifest)
            }
        }
    }

    /// How many objects were written.
    pub fn total(&self) -> u64 {
        self.written.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}
