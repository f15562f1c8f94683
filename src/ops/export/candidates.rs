//! Which objects may be written, by their keys alone.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use super::super::list::{Listed, ObjectListing, Selection, TypeKey, list};
use super::super::reader::{Buffer, Outcome, Reader};
use super::{Counts, Merged, OpError, Request, Settings, read};
use crate::bolt::{Db, FileOffset};
use crate::kube::manifest::left_out::{Reason, Surroundings, left_out_by_type};
use crate::kube::manifest::namespaces::NamespaceMap;
use crate::kube::manifest::needs::Needs;
use crate::kube::manifest::order::Rank;
use crate::kube::manifest::scope::{Met, TypeOf};
use crate::kube::resources::Resource;

/// An object that may be written. There may be millions: all that is kept is where
/// it is, and what its place in the output depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    offset: FileOffset,
    rank: Rank,
    /// Only if others need it.
    pub(super) if_needed: bool,
}

impl Candidate {
    /// The object; `None` if the file was changed since it was met.
    pub(super) fn listed<'a>(&self, listing: &ObjectListing<'a>) -> Option<Listed<'a>> {
        listing.at(self.offset)
    }
}

/// Whether others refer to `listed`.
pub(super) fn is_needed(listed: &Listed<'_>, needs: &Needs) -> bool {
    let name = str::from_utf8(listed.name()).ok();
    let resource = listed.registry.object().and_then(|object| object.built_in);
    resource.zip(name).is_some_and(|(resource, name)| needs.has(resource, name))
}

/// Notes the CRD that a custom resource is of.
pub(super) fn note_definition(listed: &Listed<'_>, needs: &mut Needs) {
    let Some(object) = listed.registry.object() else { return };
    let plural = str::from_utf8(object.resource).ok();
    let group = object.group.and_then(|group| str::from_utf8(group).ok());
    if let (None, Some(plural), Some(group)) = (object.built_in, plural, group) {
        needs.note_custom(plural, group);
    }
}

/// Objects in two namespaces that are named, if they collide.
const MOST_NAMED: usize = 10;

/// All of them, in the order of the output.
#[derive(Debug)]
pub(super) struct Candidates {
    pub(super) objects: Vec<Candidate>,
    /// What is left out whatever it holds.
    pub(super) left_out: Counts<Reason>,
    /// Whether what the objects refer to is written too.
    pub(super) ask_for_needs: bool,
    /// Patterns that fit something.
    pub(super) met: Met,
    /// Namespaces that objects are in, of those that have to do with the renaming.
    namespaces: BTreeSet<String>,
    services: Vec<FileOffset>,
    with_endpoints: bool,
    all_types: bool,
}

/// One run of keys.
#[derive(Default)]
struct Part {
    objects: Vec<Candidate>,
    met: Met,
    namespaces: BTreeSet<String>,
    services: Vec<FileOffset>,
    with_endpoints: bool,
    left_out: Counts<Reason>,
}

impl Candidates {
    pub(super) fn choose(
        listing: &ObjectListing<'_>,
        request: &Request<'_>,
        settings: &Settings<'_>,
    ) -> Self {
        let all_types = request.selection.types.is_empty() && request.scope.include_resources.is_empty();
        // Where only some objects are asked for, and not by type, what they refer to
        // would be missing.
        let ask_for_needs =
            all_types && (request.reader.is_choosy() || !request.scope.include_namespaces.is_empty());
        let map = |run: &mut dyn Iterator<Item = Listed<'_>>| {
            let mut part = Part::default();
            run.for_each(|listed| part.add(&listed, request, ask_for_needs));
            part
        };
        let mut all = Part::default();
        listing.objects(settings.threads, map, |part| all.join(part));
        // Stable: within a type they stay in the order of their keys.
        all.objects.sort_by_key(|candidate| candidate.rank);
        let Part { objects, met, namespaces, services, with_endpoints, left_out } = all;
        Self { objects, left_out, ask_for_needs, met, namespaces, services, with_endpoints, all_types }
    }

    /// Old names of namespaces that nothing is in.
    pub(super) fn nowhere(&self, map: &NamespaceMap) -> Vec<String> {
        let old = map.names().map(|(old, _)| old);
        old.filter(|old| !self.namespaces.contains(*old)).map(str::to_owned).collect()
    }

    /// The first namespace that would get the name of another one that is written,
    /// too, with what is in both.
    pub(super) fn merged(&self, map: &NamespaceMap, listing: &ObjectListing<'_>) -> Option<Merged> {
        let has = |name: &str| self.namespaces.contains(name);
        let (old, new) = map.names().find(|(old, new)| map.is_taken(new) && has(old) && has(new))?;
        let inside = |namespace: &str| {
            let wanted = namespace.as_bytes().to_vec();
            let listed = self.objects.iter().filter_map(|candidate| candidate.listed(listing));
            let inside = listed.filter(|listed| listed.namespace() == Some(wanted.as_slice()));
            inside.map(|listed| (listed.type_key(), listed.name())).collect::<BTreeSet<_>>()
        };
        let (in_old, in_new) = (inside(old), inside(new));
        let both = in_old.intersection(&in_new);
        let name =
            |(type_key, name): &(TypeKey<'_>, &[u8])| format!("{}/{}", type_key.name(), name.escape_ascii());
        Some(Merged {
            old: old.to_owned(),
            new: new.to_owned(),
            in_both: both.clone().count(),
            first: both.take(MOST_NAMED).map(name).collect(),
        })
    }

    /// What must be known of services, if there are endpoints to be decided about.
    pub(super) fn surroundings(
        &self,
        listing: &ObjectListing<'_>,
        db: &Db<'_>,
        selection: &Selection,
        reader: &Reader<'_>,
        settings: &Settings<'_>,
    ) -> Result<Surroundings, OpError> {
        let mut surroundings = Surroundings::default();
        if !self.with_endpoints {
            return Ok(surroundings);
        }
        let mut buffer = Buffer::default();
        let mut note = |listed: &Listed<'_>| {
            read(reader, listed, &mut buffer, |outcome| {
                if let Some(Outcome::Object { object, .. }) = outcome {
                    surroundings.note(&object.value);
                }
            });
        };
        if self.all_types {
            let services = self.services.iter().filter_map(|offset| listing.at(*offset));
            services.for_each(|listed| note(&listed));
        } else {
            let selection = Selection { types: vec!["services".to_owned()], ..selection.clone() };
            let listing = list(db, &selection, settings)?;
            listing.objects(
                NonZeroUsize::MIN,
                |run| run.collect::<Vec<_>>(),
                |run| run.iter().for_each(&mut note),
            );
        }
        Ok(surroundings)
    }
}

impl Part {
    fn add(&mut self, listed: &Listed<'_>, request: &Request<'_>, ask_for_needs: bool) {
        let Some(object) = listed.registry.object() else { return };
        let built_in = object.built_in;
        let type_of = TypeOf { plural: object.resource, group: object.group.unwrap_or_default(), built_in };
        if is(built_in, "", "Service") {
            self.services.push(listed.offset());
        }
        self.met.note(&request.scope, &type_of, listed.namespace(), listed.name());
        let taken = request.scope.takes(&type_of, listed.namespace(), listed.name());
        let if_needed = !taken
            && ask_for_needs
            && built_in.is_some_and(Needs::can_have)
            && request.scope.takes_type(&type_of);
        if !taken && !if_needed {
            return;
        }
        if let Some(reason) = built_in.and_then(|resource| left_out_by_type(resource, request.include))
            // Whether it is one that was asked for can only be seen in it.
            && !request.reader.is_choosy()
        {
            let counts = self.left_out.entry(reason).or_default();
            let count = counts.entry(listed.type_key().name()).or_default();
            *count = count.saturating_add(1);
            return;
        }
        self.with_endpoints |=
            is(built_in, "", "Endpoints") || is(built_in, "discovery.k8s.io", "EndpointSlice");
        self.note_namespace(listed, request);
        self.objects.push(Candidate { offset: listed.offset(), rank: Rank::of(built_in), if_needed });
    }

    /// Notes the namespace of an object if it gets another name, or its name is
    /// another one's new one.
    fn note_namespace(&mut self, listed: &Listed<'_>, request: &Request<'_>) {
        let Some(namespace) = listed.namespace().and_then(|name| str::from_utf8(name).ok()) else { return };
        let is_meant = |(old, new)| old == namespace || new == namespace;
        if request.namespaces.names().any(is_meant) && !self.namespaces.contains(namespace) {
            self.namespaces.insert(namespace.to_owned());
        }
    }

    fn join(&mut self, part: Self) {
        self.met.merge(&part.met);
        self.namespaces.extend(part.namespaces);
        self.objects.extend(part.objects);
        self.services.extend(part.services);
        self.with_endpoints |= part.with_endpoints;
        for (reason, counts) in part.left_out {
            let sums = self.left_out.entry(reason).or_default();
            for (name, more) in counts {
                let sum = sums.entry(name).or_default();
                *sum = sum.saturating_add(more);
            }
        }
    }
}

fn is(resource: Option<&Resource>, group: &str, kind: &str) -> bool {
    resource.is_some_and(|resource| (resource.group, resource.kind) == (group, kind))
}
