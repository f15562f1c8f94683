//! Which providers are for which resource.
//!
//! A rule names a resource of a group (`secrets`, `deployments.apps`), all of a
//! group (`*.apps`, `*.` for the core group) or all there are (`*.*`). The one
//! that names the resource counts, else that of its group, else that of all.
//! Several entries of a file that name the same add up, in their order.
//!
//! Source: kubernetes `staging/src/k8s.io/apiserver/pkg/server/options/
//! encryptionconfig/config.go`, 1.35: `transformerFromOverrides` and
//! `getTransformerOverridesAndKMSPluginProbes`.

use super::faulty::{Fault, Odd};

/// What a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupResource {
    resource: String,
    group: String,
}

impl GroupResource {
    /// `secrets`, `deployments.apps`, `*.apps`, `*.`, `*.*`.
    pub(super) fn parse(name: &str) -> Self {
        let (resource, group) = name.split_once('.').unwrap_or((name, ""));
        Self { resource: resource.to_owned(), group: group.to_owned() }
    }

    fn is_all(&self) -> bool {
        self.resource == "*" && self.group == "*"
    }

    /// Whether all that `other` is for is covered by this wildcard.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.is_all() || self.resource == "*" && self.group == other.group
    }

    /// What is odd about it, if anything.
    pub(super) fn oddity(&self) -> Option<Odd> {
        let Self { resource, group } = self;
        if resource.to_lowercase() != *resource || group.to_lowercase() != *group {
            return Some(Odd::Capitals);
        }
        match (resource.as_str(), group.as_str()) {
            ("apiserveripinfo" | "serviceipallocations" | "servicenodeportallocations", "") => {
                Some(Odd::NoApi)
            }
            (_, "events.k8s.io") => Some(Odd::Events),
            (_, "extensions") => Some(Odd::Extensions),
            (resource, "*") if resource != "*" => Some(Odd::AcrossGroups),
            _ => None,
        }
    }
}

impl std::fmt::Display for GroupResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.group.as_str() {
            "" if self.resource != "*" => f.write_str(&self.resource),
            group => write!(f, "{}.{group}", self.resource),
        }
    }
}

/// What a rule is for, and its providers as indices, in order.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    target: GroupResource,
    pub(super) providers: Vec<usize>,
}

/// The rules of a configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    /// Adds the providers of an entry that names `target`.
    ///
    /// # Errors
    /// If a wildcard further up covers it.
    pub(super) fn add(&mut self, target: &GroupResource, providers: &[usize]) -> Result<(), Fault> {
        // A wildcard masks itself too, so it cannot be named twice.
        if let Some(earlier) = self.rules.iter().find(|rule| rule.target.covers(target)) {
            return Err(Fault::Masked { name: target.to_string(), by: earlier.target.to_string() });
        }
        match self.rules.iter_mut().find(|rule| rule.target == *target) {
            Some(rule) => rule.providers.extend_from_slice(providers),
            None => self.rules.push(Rule { target: target.clone(), providers: providers.to_vec() }),
        }
        Ok(())
    }

    /// The rule that names a resource itself.
    pub(super) fn named(&self, group: &[u8], resource: &[u8]) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| rule.target.resource.as_bytes() == resource && rule.target.group.as_bytes() == group)
    }

    /// The rule for a resource.
    pub(super) fn of(&self, group: &[u8], resource: &[u8]) -> Option<&Rule> {
        self.named(group, resource).or_else(|| self.named(group, b"*")).or_else(|| self.named(b"*", b"*"))
    }

    /// The rules that may be for a resource whose group is not known: those that
    /// name it in any group, then the wildcards.
    pub(super) fn of_any_group(&self, resource: &[u8]) -> impl Iterator<Item = &Rule> {
        let named =
            |wanted: Vec<u8>| self.rules.iter().filter(move |rule| rule.target.resource.as_bytes() == wanted);
        named(resource.to_vec()).chain(named(b"*".to_vec()))
    }
}
