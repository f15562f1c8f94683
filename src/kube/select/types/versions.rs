//! The version of its API that a type was asked for in: `deployments.v1.apps`.

use super::ResourceType;
use crate::kube::field_table::FieldTable;
use crate::kube::resources::Resource;
use crate::kube::type_name::TypeName;

/// The version in `typed`, which means the type `of`; none if there is none in it.
pub(super) fn asked<'t>(typed: &TypeName<'t>, of: ResourceType<'_>) -> Option<&'t str> {
    let behind = typed.group?;
    // Groups may begin like a version.
    if behind.eq_ignore_ascii_case(of.group()) {
        return None;
    }
    if let Some((version, _)) = typed.versioned {
        return Some(version);
    }
    let (version, group) = behind.split_once('.')?;
    group.eq_ignore_ascii_case(of.group()).then_some(version)
}

/// The versions that are known of a type, the foremost first; none if nothing
/// tells.
pub(super) fn known(of: ResourceType<'_>) -> Vec<String> {
    let mut versions: Vec<String> = match of {
        ResourceType::BuiltIn(resource) => built_in(resource).map(str::to_owned).collect(),
        ResourceType::Custom(crd) => crd.versions.iter().map(|version| version.name.clone()).collect(),
    };
    versions.sort_by(|one, other| super::compare_versions(one, other));
    versions.dedup();
    versions
}

/// Of all releases that the field tables know.
fn built_in(resource: &'static Resource) -> impl Iterator<Item = &'static str> {
    let tables = [FieldTable::kubernetes(), FieldTable::openshift()];
    tables.into_iter().flat_map(FieldTable::kinds).filter_map(|(name, _)| {
        let (group, rest) = name.split_once('/')?;
        let (version, kind) = rest.split_once('/')?;
        (kind == resource.kind && resource.is_in(group)).then_some(version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::resources::RESOURCES;

    fn of(name: &str) -> ResourceType<'static> {
        ResourceType::BuiltIn(Resource::find(name).expect("a type"))
    }

    #[test]
    fn versions_of_built_in_types_are_those_of_all_releases() {
        assert_eq!(known(of("deployments.apps")), ["v1", "v1beta2", "v1beta1"]);
        assert_eq!(known(of("pods")), ["v1"]);
        assert_eq!(known(of("horizontalpodautoscalers.autoscaling")), ["v2", "v1", "v2beta2", "v2beta1"]);
        let unknown = RESOURCES.iter().filter(|resource| known(ResourceType::BuiltIn(resource)).is_empty());
        let unknown: Vec<_> = unknown.map(Resource::full_name).collect();
        assert!(unknown.len() < 20, "{unknown:?}");
    }

    #[test]
    fn a_version_stands_before_the_group() {
        let asked = |typed, name| asked(&TypeName::parse(typed), of(name));
        assert_eq!(asked("deployments.v1.apps", "deployments.apps"), Some("v1"));
        assert_eq!(asked("deploy.v9.apps", "deployments.apps"), Some("v9"));
        assert_eq!(asked("pods.v1.", "pods"), Some("v1"));
        assert_eq!(asked("deployments.apps", "deployments.apps"), None);
        assert_eq!(asked("deployments", "deployments.apps"), None);
    }
}
