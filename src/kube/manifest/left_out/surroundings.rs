//! What must be known of other objects.

use std::collections::HashSet;

use super::super::identity::Identity;
use crate::kube::value::Value;

/// What must be known of other objects of the snapshot.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Namespace and name of services that select no pods: their endpoints are
    /// made by hand.
    without_selector: HashSet<(String, String)>,
}

impl Surroundings {
    /// Takes note of `object`. Only Services matter; all of the snapshot are to
    /// be told, exported or not.
    pub fn note(&mut self, object: &Value<'_>) {
        let identity = Identity::of(object);
        if identity.type_name() == ("", "Service")
            && object.entries(&["spec", "selector"]).is_empty()
            && object.text(&["spec", "type"]) != "ExternalName"
        {
            self.without_selector.insert((identity.namespace.to_owned(), identity.name.to_owned()));
        }
    }

    /// Takes in what was noted elsewhere.
    pub fn extend(&mut self, other: Self) {
        self.without_selector.extend(other.without_selector);
    }

    pub(super) fn is_without_selector(&self, namespace: &str, service: &str) -> bool {
        // Two clones per endpoints object, of which there are few to be asked.
        self.without_selector.contains(&(namespace.to_owned(), service.to_owned()))
    }
}
