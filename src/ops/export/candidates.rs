//! Which objects may be written, by their keys alone.

use std::num::NonZeroUsize;

use super::super::list::{Listed, ObjectListing, Selection, list};
use super::super::reader::{Buffer, Outcome, Reader};
use super::{Counts, OpError, Request, Settings, read};
use crate::bolt::Db;
use crate::kube::manifest::left_out::{Reason, Surroundings, left_out_by_type};
use crate::kube::manifest::needs::Needs;
use crate::kube::manifest::order::Rank;
use crate::kube::manifest::scope::TypeOf;
use crate::kube::resources::Resource;

/// An object that may be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    rank: Rank,
    /// Only if others need it.
    pub(super) if_needed: bool,
    pub(super) listed: Listed<'a>,
}

impl Candidate<'_> {
    /// Whether others refer to it.
    pub(super) fn is_needed(&self, needs: &Needs) -> bool {
        let name = str::from_utf8(self.listed.name()).ok();
        let resource = self.listed.registry.object().and_then(|object| object.built_in);
        resource.zip(name).is_some_and(|(resource, name)| needs.has(resource, name))
    }

    /// Notes the CRD that a custom resource is of.
    pub(super) fn note_definition(&self, needs: &mut Needs) {
        let Some(object) = self.listed.registry.object() else { return };
        let plural = str::from_utf8(object.resource).ok();
        let group = object.group.and_then(|group| str::from_utf8(group).ok());
        if let (None, Some(plural), Some(group)) = (object.built_in, plural, group) {
            needs.note_custom(plural, group);
        }
    }
}

/// All of them, in the order of the output.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    pub(super) objects: Vec<Candidate<'a>>,
    /// What is left out whatever it holds.
    pub(super) left_out: Counts<Reason>,
    /// Whether what the objects refer to is written too.
    pub(super) ask_for_needs: bool,
    services: Vec<Listed<'a>>,
    with_endpoints: bool,
    all_types: bool,
}

/// One run of keys.
#[derive(Default)]
struct Part<'a> {
    objects: Vec<Candidate<'a>>,
    services: Vec<Listed<'a>>,
    with_endpoints: bool,
    left_out: Counts<Reason>,
}

impl<'a> Candidates<'a> {
    pub(super) fn choose(
        listing: &ObjectListing<'a>,
        request: &Request<'_>,
        settings: &Settings<'_>,
    ) -> Self {
        let all_types = request.selection.types.is_empty() && request.scope.include_resources.is_empty();
        // Where only some objects are asked for, and not by type, what they refer to
        // would be missing.
        let ask_for_needs =
            all_types && (request.reader.is_choosy() || !request.scope.include_namespaces.is_empty());
        let map = |run: &mut dyn Iterator<Item = Listed<'a>>| {
            let mut part = Part::default();
            run.for_each(|listed| part.add(listed, request, ask_for_needs));
            part
        };
        let mut all = Part::default();
        listing.objects(settings.threads, map, |part| all.join(part));
        // Stable: within a type they stay in the order of their keys.
        all.objects.sort_by_key(|candidate| candidate.rank);
        let Part { objects, services, with_endpoints, left_out } = all;
        Self { objects, left_out, ask_for_needs, services, with_endpoints, all_types }
    }

    /// What must be known of services, if there are endpoints to be decided about.
    pub(super) fn surroundings(
        &self,
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
                if let Some(Outcome::Object(object)) = outcome {
                    surroundings.note(&object.value);
                }
            });
        };
        if self.all_types {
            self.services.iter().for_each(&mut note);
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

impl<'a> Part<'a> {
    fn add(&mut self, listed: Listed<'a>, request: &Request<'_>, ask_for_needs: bool) {
        let Some(object) = listed.registry.object() else { return };
        let built_in = object.built_in;
        let type_of = TypeOf { plural: object.resource, group: object.group.unwrap_or_default(), built_in };
        if is(built_in, "", "Service") {
            self.services.push(listed);
        }
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
        self.objects.push(Candidate { rank: Rank::of(built_in), if_needed, listed });
    }

    fn join(&mut self, part: Self) {
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
