//! Which types and namespaces are asked for.

use crate::kube::resources::Resource;

/// A pattern with any number of `*`, each of which stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

impl Pattern {
    /// Any text is a pattern.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// The pattern as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `name` fits as a whole.
    pub fn fits(&self, name: &[u8]) -> bool {
        let mut parts = self.text.as_bytes().split(|byte| *byte == b'*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        // The leftmost place for each leaves the most for the next.
        for part in parts {
            let Some(at) = find(rest, part) else { return false };
            rest = rest.get(at.saturating_add(part.len())..).unwrap_or_default();
        }
        rest.ends_with(last)
    }

    /// Whether it can fit several names.
    pub fn has_wildcard(&self) -> bool {
        self.text.contains('*')
    }
}

/// Where `part` first is in `text`.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}

/// The type of an object, as far as its place in etcd tells it.
#[derive(Debug, Clone, Copy)]
pub struct TypeOf<'k> {
    /// Plural name.
    pub plural: &'k [u8],
    /// Group, empty for the core group.
    pub group: &'k [u8],
    /// The type, if it is built in.
    pub built_in: Option<&'static Resource>,
}

/// What `--include-…` and `--exclude-…` say. Excluding wins.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Only these namespaces; all if empty.
    pub include_namespaces: Vec<Pattern>,
    /// Not these.
    pub exclude_namespaces: Vec<Pattern>,
    /// Only these types; all if empty.
    pub include_resources: Vec<Pattern>,
    /// Not these.
    pub exclude_resources: Vec<Pattern>,
}

impl Scope {
    /// Whether objects of that type may be taken at all.
    pub fn takes_type(&self, type_of: &TypeOf<'_>) -> bool {
        let fits = |pattern: &Pattern| names(pattern, type_of);
        (self.include_resources.is_empty() || self.include_resources.iter().any(fits))
            && !self.exclude_resources.iter().any(fits)
    }

    /// Whether that object is taken.
    ///
    /// A `Namespace` is in itself. Of what is in no namespace nothing is taken
    /// where namespaces are asked for, unless its type is by name.
    pub fn takes(&self, type_of: &TypeOf<'_>, namespace: Option<&[u8]>, name: &[u8]) -> bool {
        if !self.takes_type(type_of) {
            return false;
        }
        let is_namespace = type_of.plural == b"namespaces" && type_of.group.is_empty();
        let Some(namespace) = namespace.or(is_namespace.then_some(name)) else {
            return self.include_namespaces.is_empty() || self.names_type(type_of);
        };
        let fits = |pattern: &Pattern| pattern.fits(namespace);
        (self.include_namespaces.is_empty() || self.include_namespaces.iter().any(fits))
            && !self.exclude_namespaces.iter().any(fits)
    }

    /// Whether that type is asked for by its name, not by a wildcard.
    fn names_type(&self, type_of: &TypeOf<'_>) -> bool {
        self.include_resources.iter().any(|pattern| !pattern.has_wildcard() && names(pattern, type_of))
    }
}

/// Whether the pattern means the type: by its plural name, with or without its
/// group; of built-in types by any of their names.
fn names(pattern: &Pattern, type_of: &TypeOf<'_>) -> bool {
    let full = [type_of.plural, b".", type_of.group].concat();
    let is_core = type_of.group.is_empty();
    (!is_core && pattern.fits(&full))
        || ((is_core || !pattern.has_wildcard()) && pattern.fits(type_of.plural))
        || (type_of.built_in.is_some() && Resource::find(&pattern.text) == type_of.built_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().copied().map(Pattern::new).collect()
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, fits, fits_not) in [
            ("shop", &["shop"][..], &["shops", "", "sho"][..]),
            ("*", &["", "a", "shop"], &[]),
            ("team-*", &["team-", "team-a"], &["team", "a-team-b"]),
            ("*-prod", &["a-prod", "-prod"], &["prod", "a-prod-b"]),
            ("a*b*c", &["abc", "axbxc", "abbc", "abcbc"], &["ab", "acb", "abcd"]),
            ("aa*aa", &["aaaa", "aabaa"], &["aaa", "aa"]),
            ("a**b", &["ab", "axb"], &["a", "b"]),
        ] {
            for name in fits {
                assert!(Pattern::new(pattern).fits(name.as_bytes()), "{pattern} {name}");
            }
            for name in fits_not {
                assert!(!Pattern::new(pattern).fits(name.as_bytes()), "{pattern} {name}");
            }
        }
    }

    fn deployments() -> TypeOf<'static> {
        TypeOf { plural: b"deployments", group: b"apps", built_in: Resource::find("deployments.apps") }
    }

    fn widgets() -> TypeOf<'static> {
        TypeOf { plural: b"widgets", group: b"example.com", built_in: None }
    }

    fn pods() -> TypeOf<'static> {
        TypeOf { plural: b"pods", group: b"", built_in: Resource::find("pods") }
    }

    #[test]
    fn types_are_named_as_kubectl_names_them() {
        let takes = |include: &str, type_of: TypeOf<'_>| {
            let scope = Scope { include_resources: patterns(&[include]), ..Scope::default() };
            scope.takes_type(&type_of)
        };
        for include in ["deployments", "deployments.apps", "deploy", "Deployment", "*.apps", "*", "dep*"] {
            assert!(takes(include, deployments()), "{include}");
        }
        for include in ["pods", "deployments.example.com", "*.example.com", "apps"] {
            assert!(!takes(include, deployments()), "{include}");
        }
        assert!(takes("widgets", widgets()) && takes("*.example.com", widgets()));
        assert!(!takes("deploy", widgets()));
        assert!(takes("po", pods()) && takes("p*", pods()) && !takes("*.apps", pods()));
        let excluded = Scope { exclude_resources: patterns(&["deploy"]), ..Scope::default() };
        assert!(!excluded.takes_type(&deployments()) && excluded.takes_type(&pods()));
    }

    #[test]
    fn namespaces_select_what_is_in_them_and_themselves() {
        let scope = Scope {
            include_namespaces: patterns(&["shop*"]),
            exclude_namespaces: patterns(&["shop-test"]),
            ..Scope::default()
        };
        let namespaces = TypeOf { plural: b"namespaces", group: b"", built_in: Resource::find("ns") };
        let nodes = TypeOf { plural: b"nodes", group: b"", built_in: Resource::find("nodes") };
        assert!(scope.takes(&pods(), Some(b"shop"), b"web"));
        assert!(!scope.takes(&pods(), Some(b"shop-test"), b"web"));
        assert!(!scope.takes(&pods(), Some(b"other"), b"web"));
        assert!(scope.takes(&namespaces, None, b"shop") && !scope.takes(&namespaces, None, b"other"));
        assert!(!scope.takes(&nodes, None, b"shop"));
        let named = Scope { include_resources: patterns(&["no", "pods"]), ..scope.clone() };
        assert!(named.takes(&nodes, None, b"node1") && !named.takes(&namespaces, None, b"shop"));
        let all = Scope { include_resources: patterns(&["*"]), ..scope };
        assert!(!all.takes(&nodes, None, b"node1"));
        assert!(Scope::default().takes(&nodes, None, b"node1"));
    }
}
