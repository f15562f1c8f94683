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

impl TypeOf<'_> {
    fn is_namespace(&self) -> bool {
        self.plural == b"namespaces" && self.group.is_empty()
    }
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
        let Some(namespace) = namespace.or(type_of.is_namespace().then_some(name)) else {
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

/// Which patterns of a [`Scope`] have met something that they fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Met {
    include_namespaces: Vec<bool>,
    exclude_namespaces: Vec<bool>,
    include_resources: Vec<bool>,
    exclude_resources: Vec<bool>,
}

/// A list of a [`Scope`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// [`Scope::include_namespaces`].
    IncludeNamespaces,
    /// [`Scope::exclude_namespaces`].
    ExcludeNamespaces,
    /// [`Scope::include_resources`].
    IncludeResources,
    /// [`Scope::exclude_resources`].
    ExcludeResources,
}

fn meet(patterns: &[Pattern], met: &mut Vec<bool>, fits: impl Fn(&Pattern) -> bool) {
    met.resize(patterns.len(), false);
    for (pattern, met) in patterns.iter().zip(met) {
        *met = *met || fits(pattern);
    }
}

impl Met {
    /// Notes the patterns that an object fits.
    pub fn note(&mut self, scope: &Scope, type_of: &TypeOf<'_>, namespace: Option<&[u8]>, name: &[u8]) {
        if let Some(namespace) = namespace.or(type_of.is_namespace().then_some(name)) {
            let fits = |pattern: &Pattern| pattern.fits(namespace);
            meet(&scope.include_namespaces, &mut self.include_namespaces, fits);
            meet(&scope.exclude_namespaces, &mut self.exclude_namespaces, fits);
        }
        let fits = |pattern: &Pattern| names(pattern, type_of);
        meet(&scope.include_resources, &mut self.include_resources, fits);
        meet(&scope.exclude_resources, &mut self.exclude_resources, fits);
    }

    /// Adds what another part of the objects has met.
    pub fn merge(&mut self, other: &Self) {
        let add = |met: &mut Vec<bool>, other: &[bool]| {
            met.resize(met.len().max(other.len()), false);
            met.iter_mut().zip(other).for_each(|(met, other)| *met |= other);
        };
        add(&mut self.include_namespaces, &other.include_namespaces);
        add(&mut self.exclude_namespaces, &other.exclude_namespaces);
        add(&mut self.include_resources, &other.include_resources);
        add(&mut self.exclude_resources, &other.exclude_resources);
    }

    /// The patterns that met nothing: most likely they were mistyped.
    pub fn nothing(&self, scope: &Scope) -> Vec<(List, String)> {
        let lists = [
            (List::IncludeNamespaces, &scope.include_namespaces, &self.include_namespaces),
            (List::ExcludeNamespaces, &scope.exclude_namespaces, &self.exclude_namespaces),
            (List::IncludeResources, &scope.include_resources, &self.include_resources),
            (List::ExcludeResources, &scope.exclude_resources, &self.exclude_resources),
        ];
        let mut nothing = Vec::new();
        for (list, patterns, met) in lists {
            for (place, pattern) in patterns.iter().enumerate() {
                if !met.get(place).copied().unwrap_or_default() {
                    nothing.push((list, pattern.text.clone()));
                }
            }
        }
        nothing
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
    fn patterns_that_met_nothing_are_known() {
        let scope = Scope {
            include_namespaces: patterns(&["shop", "shpo"]),
            exclude_namespaces: patterns(&["te*"]),
            include_resources: patterns(&["pods", "*.apps"]),
            exclude_resources: patterns(&["widgets"]),
        };
        let mut met = Met::default();
        assert_eq!(met.nothing(&scope).len(), 6);
        met.note(&scope, &pods(), Some(b"shop"), b"web");
        let mut other = Met::default();
        other.note(&scope, &deployments(), Some(b"team"), b"web");
        met.merge(&other);
        let nothing = [(List::IncludeNamespaces, "shpo"), (List::ExcludeResources, "widgets")];
        assert_eq!(met.nothing(&scope), nothing.map(|(list, text)| (list, text.to_owned())));
        let namespaces = TypeOf { plural: b"namespaces", group: b"", built_in: Resource::find("ns") };
        met.note(&scope, &namespaces, None, b"shpo");
        assert_eq!(met.nothing(&scope).len(), 1);
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
