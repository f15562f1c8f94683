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

use super::list::{Listed, ObjectListing, Selection, UnknownType, list};
use super::objects::StoredObject;
use super::reader::{self, Buffer, Reader};
use super::{Damage, OpError, Settings};
use crate::bolt::{Db, ordered};
use crate::kube::field_set::FieldSet;
use crate::kube::manifest::clean::{Keep, clean};
use crate::kube::manifest::file_name::ObjectPath;
use crate::kube::manifest::identity::Identity;
use crate::kube::manifest::left_out::{Include, Reason, Surroundings, left_out};
use crate::kube::manifest::namespaces::NamespaceMap;
use crate::kube::manifest::needs::Needs;
use crate::kube::manifest::redact::{Redaction, forbid};
use crate::kube::manifest::scope::{List, Scope};
use crate::kube::manifest::versions::removed_in;
use crate::kube::notes::Notes;
use crate::kube::value::Value;
use candidates::{Candidate, Candidates, is_needed, note_definition};

/// What to export, and in which form.
#[derive(Debug, Default)]
pub struct Request<'r> {
    /// Types and revision. Its namespace is not looked at.
    pub selection: Selection,
    /// Which types and namespaces.
    pub scope: Scope,
    /// Opens encrypted values, and chooses by labels and fields. What it decodes
    /// and redacts is not looked at.
    pub reader: Reader<'r>,
    /// What is not left out.
    pub include: Include,
    /// What is not taken away.
    pub keep: Keep,
    /// Whose values are replaced. Then nothing can be applied.
    pub redaction: Option<Redaction>,
    /// Other names for namespaces.
    pub namespaces: NamespaceMap,
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
    /// Objects that were written with less than is stored, or with something else.
    pub partial: Counts<Partly>,
    /// Places in objects that still seem to mean a namespace that was renamed.
    pub namespaces_left: Vec<NamespacesLeft>,
    /// How many objects have such places; the first are in the list.
    pub namespaces_left_in: u64,
    /// Objects in versions of their API that newer servers do not take, by the
    /// first release that does not and the version.
    pub outdated: Counts<(u8, String)>,
    /// Objects that are written in another version of their API than they were
    /// stored in, by both.
    pub converted: Counts<(String, String)>,
    /// Custom resources among what was written.
    pub custom: u64,
    /// Volumes whose disks go with their claims.
    pub volumes_to_delete: u64,
    /// Objects of which values were replaced, by type.
    pub redacted: BTreeMap<String, u64>,
    /// Patterns of the scope that fit nothing.
    pub met_nothing: Vec<(List, String)>,
    /// Namespaces that were to be renamed and that nothing is in.
    pub nowhere: Vec<String>,
}

/// What a written object lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partly {
    /// It has fields that this version does not know.
    UnknownFields,
    /// It has text that is not UTF-8, fields that are there twice, or parts that
    /// cannot be read.
    Altered,
}

impl Partly {
    fn of(notes: &Notes) -> Option<Self> {
        match notes.unknown_fields {
            _ if notes.is_empty() => None,
            0 => Some(Self::Altered),
            _ => Some(Self::UnknownFields),
        }
    }
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
    /// A namespace would get the name of another one that is written, too.
    #[error("namespace {:?} would become part of {:?}, which is written, too", .0.old, .0.new)]
    Merged(Merged),
    /// The output cannot be written.
    #[error("{0}")]
    Sink(E),
}

/// Two namespaces that would become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The one that was to get the name of the other.
    pub old: String,
    /// The one that has it.
    pub new: String,
    /// Objects of the same type and name in both.
    pub in_both: usize,
    /// The first of them, `configmaps/settings`.
    pub first: Vec<String>,
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
    partly: Option<Partly>,
    needed: bool,
    redacted: bool,
    to_delete: bool,
    is_custom: bool,
    outdated: Option<(u8, String)>,
    converted: Option<(String, String)>,
    places: Vec<String>,
}

/// Objects read by one thread before it hands them on.
const RUN: usize = 64;

/// Exports objects of `db`: `print` makes text of each, on several threads, and
/// `sink` is given these in the order in which they can be applied.
///
/// # Errors
/// A revision that is not there; a damaged file, unless that is to be skipped; a
/// namespace that would become part of another; the first error of `sink`.
pub fn export<'a, E: Send>(
    db: &Db<'a>,
    request: &Request<'_>,
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
    // Whether an object is asked for is found out here: one that others need is
    // written although it is not.
    let mut reader = Reader {
        keys: request.reader.keys,
        options: request.reader.options.clone(),
        prefixes: selection.prefixes.clone(),
        ..Reader::default()
    };
    let candidates = Candidates::choose(&listing, request, settings);
    if let Some(merged) = candidates.merged(&request.namespaces, &listing) {
        return Err(ExportError::Merged(merged));
    }
    report.met_nothing = candidates.met.nothing(&request.scope);
    report.nowhere = candidates.nowhere(&request.namespaces);
    reader.options.fields = FieldSet::only(SEEN_OF_SERVICES);
    let surroundings = candidates.surroundings(&listing, db, &selection, &reader, settings)?;
    // Who manages which field tells which were set by people.
    reader.options.fields = FieldSet::all();
    let mut exporter = Exporter { request, listing: &listing, reader, surroundings, needs: Needs::default() };
    if candidates.ask_for_needs {
        exporter.needs = exporter.find_needs(&candidates.objects, settings);
    }
    report.left_out = candidates.left_out;

    let failed = AtomicBool::new(false);
    let mut result = Ok(());
    let runs: Vec<&[Candidate]> = candidates.objects.chunks(RUN).collect();
    let map = |run: &&[Candidate]| {
        if failed.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut buffer = Buffer::default();
        let export = |candidate: &Candidate| {
            let Some(listed) = candidate.listed(&listing) else {
                return ("of unknown type".to_owned(), Outcome::Unreadable(CHANGED.to_owned()));
            };
            (listed.type_key().name(), exporter.export(candidate, &listed, &mut buffer, &print))
        };
        run.iter().map(export).collect()
    };
    let join = |outcomes: Vec<_>| {
        for (type_name, outcome) in outcomes {
            if result.is_err() {
                return;
            }
            if let Some(manifest) = report.count(type_name, outcome) {
                result = sink(manifest);
                failed.store(result.is_err(), Ordering::Relaxed);
            }
        }
    };
    ordered(&runs, settings.threads, map, join);
    result.map_err(ExportError::Sink)?;
    Ok(report)
}

/// What endpoints are decided by.
const SEEN_OF_SERVICES: [&str; 4] = ["metadata.name", "metadata.namespace", "spec.selector", "spec.type"];

/// Why an object that was there is not found again.
const CHANGED: &str = "the file changed while it was read";

struct Exporter<'e, 'r, 'a> {
    request: &'e Request<'r>,
    listing: &'e ObjectListing<'a>,
    reader: Reader<'e>,
    surroundings: Surroundings,
    needs: Needs,
}

impl Exporter<'_, '_, '_> {
    /// What the objects asked for refer to.
    fn find_needs(&self, candidates: &[Candidate], settings: &Settings<'_>) -> Needs {
        let runs: Vec<&[Candidate]> = candidates.chunks(RUN).collect();
        let map = |run: &&[Candidate]| {
            let mut needs = Needs::default();
            let mut buffer = Buffer::default();
            for candidate in run.iter().filter(|candidate| !candidate.if_needed) {
                let Some(listed) = candidate.listed(self.listing) else { continue };
                read(&self.reader, &listed, &mut buffer, |outcome| {
                    let Some(reader::Outcome::Object { object, .. }) = outcome else { return };
                    let object = object.value;
                    if self.request.reader.selects(&object) && self.left_out(&object).is_none() {
                        needs.note(&object);
                        note_definition(&listed, &mut needs);
                    }
                });
            }
            needs
        };
        let mut all = Needs::default();
        ordered(&runs, settings.threads, map, |needs| all.extend(needs));
        all
    }

    fn left_out(&self, object: &Value<'_>) -> Option<Reason> {
        left_out(object, &self.surroundings, self.request.include)
    }

    fn export(
        &self,
        candidate: &Candidate,
        listed: &Listed<'_>,
        buffer: &mut Buffer,
        print: &(impl Fn(&Value<'_>) -> Vec<u8> + Sync),
    ) -> Outcome {
        let needed = is_needed(listed, &self.needs);
        if candidate.if_needed && !needed {
            return Outcome::NotAsked;
        }
        read(&self.reader, listed, buffer, |outcome| {
            let object = match outcome {
                Some(reader::Outcome::Object { object, .. }) => object,
                Some(reader::Outcome::NotSelected) => return Outcome::NotAsked,
                Some(reader::Outcome::Unreadable { why, .. }) => return Outcome::Unreadable(why.reason()),
                None => return Outcome::Unreadable(CHANGED.to_owned()),
            };
            let partly = Partly::of(&object.notes);
            let mut object = object.value;
            let is_asked = !candidate.if_needed && self.request.reader.selects(&object);
            if !is_asked && !needed {
                return Outcome::NotAsked;
            }
            if let Some(reason) = self.left_out(&object) {
                return if is_asked { Outcome::LeftOut(reason) } else { Outcome::NotAsked };
            }
            let stored = object.text(&["apiVersion"]).to_owned();
            let (places, redacted) = self.change(&mut object);
            let now = object.text(&["apiVersion"]);
            let converted = (now != stored).then(|| (stored, now.to_owned()));
            let identity = Identity::of(&object);
            let removed = removed_in(identity.group, identity.version, identity.kind);
            Outcome::Written(Box::new(Written {
                manifest: Manifest { path: ObjectPath::of(&identity), text: print(&object) },
                partly,
                needed: !is_asked,
                redacted,
                to_delete: identity.type_name() == ("", "PersistentVolume")
                    && object.text(&["spec", "persistentVolumeReclaimPolicy"]) == "Delete",
                is_custom: identity.built_in.is_none(),
                outdated: removed.map(|minor| (minor, now.to_owned())),
                converted,
                places,
            }))
        })
    }

    /// Makes a manifest of `object`. Returns places that still seem to mean a
    /// namespace that was renamed, and whether values were replaced.
    fn change(&self, object: &mut Value<'_>) -> (Vec<String>, bool) {
        clean(object, self.request.keep);
        let places = self.request.namespaces.apply(object);
        let Some(redaction) = &self.request.redaction else { return (places, false) };
        let redacted = redaction.apply(object);
        forbid(object);
        (places, redacted)
    }
}

/// Reads the value of `listed`; `None` if the file was changed since it was met.
fn read<T>(
    reader: &Reader<'_>,
    listed: &Listed<'_>,
    buffer: &mut Buffer,
    then: impl FnOnce(Option<reader::Outcome<'_>>) -> T,
) -> T {
    let Some(record) = listed.record() else { return then(None) };
    let stored = StoredObject { namespace: listed.namespace(), name: listed.name(), record };
    reader.read(&stored, buffer, |outcome| then(Some(outcome)))
}

impl Report {
    /// Counts an outcome, and returns what is to be written.
    fn count(&mut self, type_name: String, outcome: Outcome) -> Option<Manifest> {
        fn add(counts: &mut BTreeMap<String, u64>, name: String) {
            let count = counts.entry(name).or_default();
            *count = count.saturating_add(1);
        }
        match outcome {
            Outcome::NotAsked => None,
            Outcome::LeftOut(reason) => {
                add(self.left_out.entry(reason).or_default(), type_name.clone());
                None
            }
            Outcome::Unreadable(reason) => {
                add(self.unreadable.entry(reason).or_default(), type_name.clone());
                None
            }
            Outcome::Written(written) => {
                let Written {
                    manifest,
                    partly,
                    needed,
                    redacted,
                    to_delete,
                    is_custom,
                    outdated,
                    converted,
                    places,
                } = *written;
                if redacted {
                    add(&mut self.redacted, type_name.clone());
                }
                add(&mut self.written, type_name.clone());
                self.needed = self.needed.saturating_add(u64::from(needed));
                self.volumes_to_delete = self.volumes_to_delete.saturating_add(u64::from(to_delete));
                self.custom = self.custom.saturating_add(u64::from(is_custom));
                if let Some(outdated) = outdated {
                    add(self.outdated.entry(outdated).or_default(), type_name.clone());
                }
                if let Some(converted) = converted {
                    add(self.converted.entry(converted).or_default(), type_name.clone());
                }
                if let Some(partly) = partly {
                    add(self.partial.entry(partly).or_default(), type_name.clone());
                }
                if !places.is_empty() {
                    self.namespaces_left_in = self.namespaces_left_in.saturating_add(1);
                    if self.namespaces_left.len() < MOST_REMEMBERED {
                        let (resource, path) = (type_name, manifest.path.clone());
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
