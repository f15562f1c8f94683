//! What a typed type means, among the built-in ones and those of the store.
//!
//! kubectl asks its server which types there are. A file does not say which
//! built-in ones its server had, so the usual ones count as there, and those that
//! come and go, or belong to OpenShift, only if the store has objects of them;
//! else a type of the same name that the cluster defined is meant.
//! Source: kubernetes `client-go/restmapper/{shortcut,category_expansion,discovery}.go`,
//! `cli-runtime/pkg/resource/builder.go`, 1.35.

mod built_in;
mod resource_type;
mod versions;

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;

use super::arguments::Request;
use super::crd::{Crd, compare_versions};
use crate::kube::resources::{RESOURCES, Resource};
use crate::kube::type_name::{GroupFit, TypeName, nearest};
use built_in::{CATEGORIES, is_called, is_usual};
pub use resource_type::ResourceType;

/// The types of a store.
#[derive(Debug, Clone, Default)]
pub struct Types {
    /// In the order in which kubectl prefers them.
    crds: Vec<Crd>,
    /// Built-in types that count although they are not usual.
    present: Vec<&'static Resource>,
}

/// The objects of one type that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'t> {
    /// Their type.
    pub resource: ResourceType<'t>,
    /// Their names, in the order in which they were given; `None`: all.
    pub names: Option<Vec<String>>,
    /// The version of the API they are asked for in, if one was typed.
    pub version: Option<String>,
}

/// Why a typed type means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeFault {
    /// There is no such type.
    #[error("there is no resource type {typed:?}")]
    Unknown {
        /// What was typed.
        typed: String,
        /// Names that are near, best first.
        nearest: Vec<String>,
    },
    /// There is such a type, but not in that version of its API.
    #[error("there are no {resource} in version {version:?}")]
    Version {
        /// The type, in full.
        resource: String,
        /// The version that was typed.
        version: String,
        /// Those that are known, the foremost first.
        known: Vec<String>,
        /// The one that objects are stored in, if the type's definition tells.
        stored: Option<String>,
    },
    /// Names were given, for a category of several types.
    #[error("you must specify only one resource: {0:?} stands for several")]
    Several(String),
}

/// How well a type fits what was typed: the least is the best.
type Rank = (Reverse<GroupFit>, u8, u8);

const USUAL: u8 = 0;
const PRESENT: u8 = 1;
const DEFINED: u8 = 2;
const ABSENT: u8 = 3;

/// The version that kubectl uses of a type; the foremost is the least.
#[derive(Clone, PartialEq, Eq)]
struct Version(String);

impl Version {
    fn of(crd: &Crd) -> Self {
        Self(crd.preferred().map(|version| version.name.clone()).unwrap_or_default())
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_versions(&self.0, &other.0)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Types {
    /// Of definitions in any order. `is_present` tells of a built-in type that not
    /// every server has whether the store has objects of it.
    pub fn new(crds: Vec<Crd>, is_present: impl Fn(&'static Resource) -> bool) -> Self {
        let unusual = RESOURCES.iter().filter(|resource| !is_usual(resource));
        let mut types = Self { crds, present: unusual.filter(|resource| is_present(resource)).collect() };
        types.sort();
        types
    }

    /// Groups in the order of a server's list of them: by the name of its foremost
    /// version, `v1.example.com`. In a group by version, then by name.
    fn sort(&mut self) {
        let mut foremost: HashMap<String, Version> = HashMap::new();
        for crd in &self.crds {
            let version = Version::of(crd);
            let known = foremost.entry(crd.group.clone()).or_insert_with(|| version.clone());
            if version < *known {
                *known = version;
            }
        }
        let group = |crd: &Crd| {
            let version = foremost.get(&crd.group).map(|version| version.0.as_str());
            format!("{}.{}", version.unwrap_or_default(), crd.group)
        };
        self.crds.sort_by_cached_key(|crd| (group(crd), Version::of(crd), crd.plural.clone()));
    }

    /// What the cluster defined, in the order in which kubectl prefers it.
    pub fn crds(&self) -> &[Crd] {
        &self.crds
    }

    /// All types: the built-in ones that every server has or that are present,
    /// then what the cluster defined.
    pub fn all(&self) -> impl Iterator<Item = ResourceType<'_>> {
        let there = |resource: &&'static Resource| is_usual(resource) || self.is_present(resource);
        let built_in = RESOURCES.iter().filter(there).filter(|resource| !self.is_redefined(resource));
        built_in.map(ResourceType::BuiltIn).chain(self.crds.iter().map(ResourceType::Custom))
    }

    fn is_present(&self, resource: &'static Resource) -> bool {
        self.present.iter().any(|present| std::ptr::eq(*present, resource))
    }

    /// Newer OpenShift defines some of its older built-in types.
    fn is_redefined(&self, resource: &Resource) -> bool {
        self.crds.iter().any(|crd| crd.plural == resource.plural && crd.group == resource.group)
    }

    /// Whether the meaning of a request depends on what the cluster defined. If it
    /// does not, `Types::default()` knows it, too.
    pub fn needs_crds(request: &Request) -> bool {
        let is_usual_one = |typed: &str| {
            let category = matches!(request, Request::All(_) | Request::Named(..))
                && CATEGORIES.iter().any(|(name, _)| *name == typed);
            let name = TypeName::parse(typed);
            let fit = RESOURCES.iter().filter_map(|resource| built_in_rank(&name, resource, ABSENT));
            !category
                && fit.min().is_some_and(|(Reverse(fit), class, _)| (fit, class) == (GroupFit::Exact, USUAL))
        };
        // A category of the cluster's own cannot have the name of a usual type.
        !request.types().into_iter().all(is_usual_one)
    }

    /// The type that is meant by `typed`: `pods`, `po`, `Pod`, `deployments.apps`,
    /// `deployment.v1.apps`. The version must be one that is known of the type, and
    /// does not matter otherwise, as each object is stored once.
    pub fn find(&self, typed: &str) -> Result<ResourceType<'_>, TypeFault> {
        let name = TypeName::parse(typed);
        let built_in =
            RESOURCES.iter().filter(|resource| !self.is_redefined(resource)).filter_map(|resource| {
                let absent = if self.is_present(resource) { PRESENT } else { ABSENT };
                Some((built_in_rank(&name, resource, absent)?, ResourceType::BuiltIn(resource)))
            });
        let custom =
            self.crds.iter().filter_map(|crd| Some((crd_rank(&name, crd)?, ResourceType::Custom(crd))));
        // The first of the best.
        let best = built_in.chain(custom).min_by_key(|(rank, _)| *rank);
        let (_, resource) = best.ok_or_else(|| self.unknown(typed))?;
        let known = versions::known(resource);
        match versions::asked(&name, resource) {
            Some(version) if !known.is_empty() && !known.iter().any(|other| other == version) => {
                let stored = match resource {
                    ResourceType::Custom(crd) => crd.stored().map(|stored| stored.name.clone()),
                    ResourceType::BuiltIn(_) => None,
                };
                let (resource, version) = (resource.full_name(), version.to_owned());
                Err(TypeFault::Version { resource, version, known, stored })
            }
            _ => Ok(resource),
        }
    }

    /// `resource`, asked for as `typed`.
    fn wanted<'t>(resource: ResourceType<'t>, typed: &str, names: Option<Vec<String>>) -> Wanted<'t> {
        let version = versions::asked(&TypeName::parse(typed), resource).map(str::to_owned);
        Wanted { resource, names, version }
    }

    fn unknown(&self, typed: &str) -> TypeFault {
        let full_names: Vec<String> = self.crds.iter().map(Crd::full_name).collect();
        let mut names: Vec<&str> = RESOURCES.iter().flat_map(Resource::names).collect();
        for (crd, full_name) in self.crds.iter().zip(&full_names) {
            names.extend([crd.plural.as_str(), &crd.singular, full_name]);
            names.extend(crd.short_names.iter().map(String::as_str));
        }
        names.retain(|name| !name.is_empty());
        let nearest = nearest(typed, names).into_iter().map(str::to_owned).collect();
        TypeFault::Unknown { typed: typed.to_owned(), nearest }
    }

    /// The types of a category; none if there is no such category.
    pub fn category(&self, category: &str) -> Vec<ResourceType<'_>> {
        let names = CATEGORIES.iter().filter(|(name, _)| *name == category).flat_map(|(_, names)| *names);
        let built_in = names.filter_map(|name| RESOURCES.iter().find(|resource| is_called(resource, name)));
        let there = built_in.filter(|resource| is_usual(resource) || self.is_present(resource));
        let there = there.filter(|resource| !self.is_redefined(resource));
        let custom = self.crds.iter().filter(|crd| crd.categories.iter().any(|name| name == category));
        there.map(ResourceType::BuiltIn).chain(custom.map(ResourceType::Custom)).collect()
    }

    fn expand(&self, typed: &str) -> Result<Vec<ResourceType<'_>>, TypeFault> {
        match self.category(typed) {
            types if types.is_empty() => Ok(vec![self.find(typed)?]),
            types => Ok(types),
        }
    }

    /// What a request means: the types in the order in which they are shown.
    pub fn resolve(&self, request: &Request) -> Result<Vec<Wanted<'_>>, TypeFault> {
        let mut wanted: Vec<Wanted<'_>> = Vec::new();
        match request {
            Request::All(typed) => {
                for typed in typed {
                    for resource in self.expand(typed)? {
                        if wanted.iter().all(|other| other.resource != resource) {
                            wanted.push(Self::wanted(resource, typed, None));
                        }
                    }
                }
            }
            Request::Named(typed, names) => match self.expand(typed)?.as_slice() {
                [resource] => wanted.push(Self::wanted(*resource, typed, Some(names.clone()))),
                _ => return Err(TypeFault::Several(typed.clone())),
            },
            Request::Pairs(pairs) => {
                for (typed, name) in pairs {
                    let resource = self.find(typed)?;
                    let last = wanted.last_mut().filter(|last| last.resource == resource);
                    match last.and_then(|last| last.names.as_mut()) {
                        Some(names) => names.push(name.clone()),
                        None => wanted.push(Self::wanted(resource, typed, Some(vec![name.clone()]))),
                    }
                }
            }
        }
        Ok(wanted)
    }
}

fn built_in_rank(name: &TypeName<'_>, resource: &'static Resource, unusual: u8) -> Option<Rank> {
    if !resource.names().any(|other| name.is_name(other)) {
        return None;
    }
    let groups = std::iter::once(resource.group).chain(resource.also_in);
    let fit = groups.filter_map(|group| name.fit(group)).max()?;
    Some((Reverse(fit), if is_usual(resource) { USUAL } else { unusual }, 0))
}

/// Whole names come before short ones, these before the kind.
fn crd_rank(name: &TypeName<'_>, crd: &Crd) -> Option<Rank> {
    let is_name = |other: &String| !other.is_empty() && name.is_name(other);
    let kind_of_name = if is_name(&crd.plural) || is_name(&crd.singular) {
        0
    } else if crd.short_names.iter().any(is_name) {
        1
    } else if is_name(&crd.kind) {
        2
    } else {
        return None;
    };
    // A version need not look like one.
    let versioned = name.group.and_then(|group| group.split_once('.')).is_some_and(|(version, group)| {
        group.eq_ignore_ascii_case(&crd.group) && crd.versions.iter().any(|known| known.name == version)
    });
    let fit = if versioned { GroupFit::Exact } else { name.fit(&crd.group)? };
    Some((Reverse(fit), DEFINED, kind_of_name))
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use super::*;
    use crate::kube::value::Value;
    use proptest::prelude::*;

    /// Where we are more lenient than kubectl: an alias of a group counts, case
    /// never matters, and `v1` may stand alone.
    const LENIENT: [&str; 3] = ["pods.v1", "deployments.extensions", "cs"];

    fn recorded_types() -> Types {
        let lines = recorded::lines("arguments");
        let crds = lines[0].as_array().expect("a list").iter().cloned();
        let crds: Vec<_> = crds.map(|crd| Crd::read(&Value::from(crd)).expect("a definition")).collect();
        assert_eq!(crds.len(), 13);
        Types::new(crds, |_| false)
    }

    #[test]
    fn arguments_mean_what_they_mean_to_kubectl() {
        let types = recorded_types();
        let (mut answered, mut refused) = (0, 0);
        for case in &recorded::lines("arguments")[1..] {
            let arguments: Vec<_> = (case["arguments"].as_array().expect("a list").iter())
                .map(|text| text.as_str().expect("text"))
                .collect();
            let request = Request::parse(&arguments);
            let wanted = request.as_ref().map_err(ToString::to_string).and_then(|request| {
                let wanted = types.resolve(request).map_err(|fault| fault.to_string())?;
                // Without the definitions it is the same, where they are not needed.
                if !Types::needs_crds(request) {
                    assert_eq!(Types::default().resolve(request).as_ref(), Ok(&wanted), "{case}");
                }
                Ok(wanted)
            });
            let Some(expected) = case["asked"].as_array() else {
                let lenient = LENIENT.contains(&arguments.first().copied().unwrap_or_default());
                assert!(wanted.is_err() || lenient, "{case} but {wanted:?}");
                refused += 1;
                continue;
            };
            let asked =
                wanted.unwrap_or_else(|fault| panic!("{case} but {fault}")).into_iter().flat_map(|wanted| {
                    let resource = format!("{}/{}", wanted.resource.group(), wanted.resource.plural());
                    match wanted.names {
                        None => vec![resource],
                        Some(names) => names.iter().map(|name| format!("{resource}={name}")).collect(),
                    }
                });
            let asked: Vec<_> = asked.collect();
            if arguments == ["wd.other.example.com"] {
                // kubectl takes `other` for a version, and then forgets it.
                assert_eq!(asked, ["other.example.com/widgets"]);
                continue;
            }
            assert_eq!(
                asked,
                expected.iter().map(|text| text.as_str().expect("text")).collect::<Vec<_>>(),
                "{case}"
            );
            answered += 1;
        }
        assert!(answered > 180 && refused > 80, "{answered} {refused}");
    }

    #[test]
    fn every_built_in_type_is_found_by_each_of_its_names() {
        let types = Types::default();
        for resource in RESOURCES {
            let (singular, full_name) = (resource.singular(), resource.full_name());
            let names: Vec<&str> = resource.names().collect();
            for name in names.into_iter().chain([singular.as_str(), &full_name]) {
                assert_eq!(
                    types.find(name).map(|found| found.full_name()),
                    Ok(resource.full_name()),
                    "{name}"
                );
            }
        }
    }

    fn crd(group: &str, plural: &str) -> Crd {
        Crd { kind: "K".into(), ..Crd::undefined(group, plural, true) }
    }

    #[test]
    fn what_is_stored_decides_between_a_rare_type_and_one_of_the_clusters_own() {
        let crds = vec![crd("kyverno.io", "policies"), crd("scheduling.volcano.sh", "podgroups")];
        let absent = Types::new(crds.clone(), |_| false);
        let present = Types::new(crds, |_| true);
        for (typed, own, built_in) in [
            ("policies", "policies.kyverno.io", "policies.authorization.openshift.io"),
            ("podgroups", "podgroups.scheduling.volcano.sh", "podgroups.scheduling.k8s.io"),
        ] {
            assert_eq!(absent.find(typed).map(|found| found.full_name()), Ok(own.to_owned()));
            assert_eq!(present.find(typed).map(|found| found.full_name()), Ok(built_in.to_owned()));
        }
        let is_openshift = |resource: ResourceType<'_>| resource.group().ends_with("openshift.io");
        assert_eq!(absent.category("all").into_iter().filter(|resource| is_openshift(*resource)).count(), 0);
        assert_eq!(present.category("all").into_iter().filter(|resource| is_openshift(*resource)).count(), 5);
    }

    #[test]
    fn a_definition_takes_the_place_of_the_built_in_type_of_its_name() {
        let types = Types::new(vec![crd("security.openshift.io", "securitycontextconstraints")], |_| true);
        let found = types.find("securitycontextconstraints").expect("a type");
        assert!(matches!(found, ResourceType::Custom(_)));
        assert_eq!(types.all().filter(|other| *other == found).count(), 1);
    }

    #[test]
    fn a_version_that_a_type_does_not_have_is_told_with_those_it_has() {
        let types = recorded_types();
        let known = |typed: &str| match types.find(typed) {
            Err(TypeFault::Version { known, .. }) => known,
            other => panic!("{typed}: {other:?}"),
        };
        assert_eq!(known("deployments.v9.apps"), ["v1", "v1beta2", "v1beta1"]);
        assert_eq!(known("pods.v2."), ["v1"]);
        assert_eq!(
            types.find("deployments.v1beta1.apps").map(|found| found.full_name()),
            Ok("deployments.apps".into())
        );
        let pairs = Request::parse(&["deployments.v1.apps/a"]).expect("a request");
        let wanted = types.resolve(&pairs).expect("a type");
        assert_eq!(wanted[0].version.as_deref(), Some("v1"));
    }

    #[test]
    fn what_is_near_is_suggested() {
        let types = recorded_types();
        let nearest = |typed| match types.find(typed) {
            Err(TypeFault::Unknown { nearest, .. }) => nearest,
            other => panic!("{other:?}"),
        };
        assert_eq!(nearest("widgetz"), ["widget", "widgets"]);
        assert_eq!(nearest("deploymnets").first().map(String::as_str), Some("deployments"));
        assert_eq!(nearest("widgets.exampel.com").first().map(String::as_str), Some("widgets.example.com"));
        assert_eq!(nearest("qqqqqqqq"), [""; 0]);
    }

    proptest! {
        #[test]
        fn anything_can_be_asked_for(arguments in prop::collection::vec("[a-c,./]{0,4}|pods|all|.*", 0..4)) {
            let types = Types::new(vec![crd("a.b", "c"), Crd::undefined("", "", false)], |_| true);
            if let Ok(request) = Request::parse(&arguments) {
                let _ = Types::needs_crds(&request);
                let _ = types.resolve(&request);
            }
        }
    }
}
