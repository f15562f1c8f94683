//! A type of objects, whoever defined it.

use std::borrow::Cow;

use super::built_in;
use crate::kube::resources::Resource;
use crate::kube::select::crd::Crd;

/// A type of objects.
#[derive(Debug, Clone, Copy)]
pub enum ResourceType<'t> {
    /// One that API servers have.
    BuiltIn(&'static Resource),
    /// One that the cluster defined.
    Custom(&'t Crd),
}

impl<'t> ResourceType<'t> {
    /// `deployments`.
    pub fn plural(&self) -> &'t str {
        match self {
            Self::BuiltIn(resource) => resource.plural,
            Self::Custom(crd) => &crd.plural,
        }
    }

    /// `apps`; empty for the core group.
    pub fn group(&self) -> &'t str {
        match self {
            Self::BuiltIn(resource) => resource.group,
            Self::Custom(crd) => &crd.group,
        }
    }

    /// `Deployment`; empty for a type without a definition.
    pub fn kind(&self) -> &'t str {
        match self {
            Self::BuiltIn(resource) => resource.kind,
            Self::Custom(crd) => &crd.kind,
        }
    }

    /// `deployment`.
    pub fn singular(&self) -> Cow<'t, str> {
        match self {
            Self::BuiltIn(resource) => Cow::Owned(resource.singular()),
            Self::Custom(crd) => Cow::Borrowed(&crd.singular),
        }
    }

    /// `deploy`.
    pub fn short_names(&self) -> Vec<&'t str> {
        match self {
            Self::BuiltIn(resource) => resource.short_names.to_vec(),
            Self::Custom(crd) => crd.short_names.iter().map(String::as_str).collect(),
        }
    }

    /// Whether each object belongs to a namespace.
    pub fn namespaced(&self) -> bool {
        match self {
            Self::BuiltIn(resource) => resource.namespaced,
            Self::Custom(crd) => crd.namespaced,
        }
    }

    /// `deployments.apps`, `pods`.
    pub fn full_name(&self) -> String {
        match self {
            Self::BuiltIn(resource) => resource.full_name(),
            Self::Custom(crd) => crd.full_name(),
        }
    }

    /// Names for several types, of which this is one.
    pub fn categories(&self) -> Vec<&'t str> {
        match self {
            Self::BuiltIn(resource) => built_in::categories(resource).collect(),
            Self::Custom(crd) => crd.categories.iter().map(String::as_str).collect(),
        }
    }
}

/// By group and plural, which no two types share.
impl PartialEq for ResourceType<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.group() == other.group() && self.plural() == other.plural()
    }
}

impl Eq for ResourceType<'_> {}
