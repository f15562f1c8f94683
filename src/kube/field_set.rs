//! Which fields of an object are wanted, so that the others need not be decoded.

use super::value::Value;

/// A set of paths: `metadata.name`. What is below a path of the set is in it too.
///
/// Lists do not count as a step: `spec.containers.name` means the names of all
/// containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldSet {
    /// Whether fields that are not in `named` are in the set.
    rest: bool,
    named: Vec<(String, FieldSet)>,
}

/// What a [`FieldSet`] says of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted<'s> {
    /// Nothing of it.
    Nothing,
    /// All of it.
    All,
    /// What is in the inner set.
    Part(&'s FieldSet),
}

impl FieldSet {
    /// Everything.
    pub fn all() -> Self {
        Self { rest: true, named: Vec::new() }
    }

    /// The fields at `paths`, and nothing else.
    pub fn only<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let mut set = Self { rest: false, named: Vec::new() };
        for path in paths {
            set.put(path, true);
        }
        set
    }

    /// This set with the fields at `path`.
    #[must_use]
    pub fn with(mut self, path: &str) -> Self {
        self.put(path, true);
        self
    }

    /// This set without the fields at `path`.
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.put(path, false);
        self
    }

    fn put(&mut self, path: &str, wanted: bool) {
        let mut set = self;
        for name in path.split('.') {
            if set.rest == wanted && set.named.is_empty() {
                return;
            }
            let known = set.named.iter().position(|(other, _)| other == name);
            let index = known.unwrap_or_else(|| {
                let inner = Self { rest: set.rest, named: Vec::new() };
                set.named.push((name.to_owned(), inner));
                set.named.len().saturating_sub(1)
            });
            let Some((_, inner)) = set.named.get_mut(index) else { return };
            set = inner;
        }
        *set = Self { rest: wanted, named: Vec::new() };
    }

    /// Whether a field of an object is in the set.
    #[inline]
    pub fn wanted(&self, name: &str) -> Wanted<'_> {
        let Some((_, inner)) = self.named.iter().find(|(other, _)| other == name) else {
            return if self.rest { Wanted::All } else { Wanted::Nothing };
        };
        match (inner.named.is_empty(), inner.rest) {
            (false, _) => Wanted::Part(inner),
            (true, true) => Wanted::All,
            (true, false) => Wanted::Nothing,
        }
    }

    /// Whether everything is in the set.
    pub fn is_all(&self) -> bool {
        self.rest && self.named.is_empty()
    }

    /// Takes out of a decoded object what is not in the set.
    pub fn prune(&self, value: &mut Value<'_>) {
        match value {
            Value::Map(map) => map.retain(|name, inner| self.keeps(name, inner)),
            Value::List(items) => items.iter_mut().for_each(|item| self.prune(item)),
            _ => {}
        }
    }

    /// Whether the field `name` is in the set; takes out of its value what is not.
    pub fn keeps(&self, name: &str, value: &mut Value<'_>) -> bool {
        match self.wanted(name) {
            Wanted::Nothing => return false,
            Wanted::All => {}
            Wanted::Part(set) => set.prune(value),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pruned(set: &FieldSet) -> Value<'static> {
        let mut pod = Value::from(json!({
            "metadata": {"name": "web", "labels": {"a": "b", "c": "d"}, "managedFields": [{}]},
            "spec": {"containers": [{"name": "c1", "image": "i"}, {"name": "c2"}], "nodeName": "n"},
        }));
        set.prune(&mut pod);
        pod
    }

    #[test]
    fn paths_lead_through_lists() {
        let set = FieldSet::only(["metadata.name", "spec.containers.name", "metadata.labels"]);
        assert_eq!(
            pruned(&set),
            Value::from(json!({
                "metadata": {"name": "web", "labels": {"a": "b", "c": "d"}},
                "spec": {"containers": [{"name": "c1"}, {"name": "c2"}]},
            }))
        );
        assert_eq!(pruned(&FieldSet::only([])), Value::from(json!({})));
        assert!(FieldSet::all().is_all() && !set.is_all());
    }

    #[test]
    fn later_paths_go_before_earlier_ones() {
        let set = FieldSet::only(["metadata.name", "metadata"]);
        assert_eq!(set.wanted("metadata"), Wanted::All);
        assert_eq!(FieldSet::only(["metadata", "metadata.name"]).wanted("metadata"), Wanted::All);
        let set = FieldSet::only(["metadata", "spec"]).without("metadata.labels.a").without("spec");
        assert_eq!(set.wanted("spec"), Wanted::Nothing);
        assert_eq!(
            pruned(&set),
            Value::from(json!({"metadata": {"name": "web", "labels": {"c": "d"}, "managedFields": [{}]}}))
        );
        let all_but = FieldSet::all().without("metadata.managedFields");
        assert_eq!(pruned(&all_but).at(&["metadata", "managedFields"]), None);
        assert_eq!(pruned(&all_but).text(&["spec", "nodeName"]), "n");
        assert_eq!(pruned(&all_but.with("metadata.managedFields")), pruned(&FieldSet::all()));
    }
}
