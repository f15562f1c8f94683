//! CustomResourceDefinitions: the types that a cluster defined for itself.
//!
//! Source: kubernetes `apiextensions-apiserver/pkg/apis/apiextensions/{v1,v1beta1}/types.go`,
//! `apimachinery/pkg/version/helpers.go`, 1.35.

use std::cmp::Ordering;

use crate::kube::value::Value;

/// A type that a cluster defined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Crd {
    /// `example.com`.
    pub group: String,
    /// `widgets`.
    pub plural: String,
    /// `widget`.
    pub singular: String,
    /// `Widget`; empty if nothing defines the type, but objects of it are stored.
    pub kind: String,
    /// `WidgetList`.
    pub list_kind: String,
    /// Abbreviations.
    pub short_names: Vec<String>,
    /// Names for several types at once: `all`.
    pub categories: Vec<String>,
    /// Whether each object belongs to a namespace.
    pub namespaced: bool,
    /// All versions, in the order of the definition.
    pub versions: Vec<CrdVersion>,
}

/// A version of a type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CrdVersion {
    /// `v1beta1`.
    pub name: String,
    /// Whether the API server answers to it.
    pub served: bool,
    /// Whether new objects are stored in it.
    pub storage: bool,
    /// What tables show besides the name; empty: the age.
    pub columns: Vec<ColumnDefinition>,
}

/// One of a type's `additionalPrinterColumns`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnDefinition {
    /// The header, before kubectl puts it in capitals.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// Above zero for what only `-o wide` shows.
    pub priority: i64,
    /// `.spec.replicas`.
    pub json_path: String,
}

/// Why an object is no CustomResourceDefinition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CrdFault {
    /// It says it is something else.
    #[error("it is no CustomResourceDefinition")]
    Kind,
    /// A field is missing without which it defines nothing.
    #[error("its {0} is missing")]
    Missing(&'static str),
}

fn texts(value: &Value<'_>, path: &[&str]) -> Vec<String> {
    value.items(path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Crd {
    /// Reads a definition, of `v1` or `v1beta1`.
    pub fn read(object: &Value<'_>) -> Result<Self, CrdFault> {
        if object.text(&["kind"]) != "CustomResourceDefinition" {
            return Err(CrdFault::Kind);
        }
        // A name that another definition took first is not among the accepted ones.
        let accepted = ["status", "acceptedNames"];
        let names: &[&str] = if object.at(&accepted).is_some_and(|names| !names.text(&["plural"]).is_empty())
        {
            &accepted
        } else {
            &["spec", "names"]
        };
        let names = object.at(names).unwrap_or(&Value::Null);
        let text = |path: &[&str]| object.text(path).to_owned();
        let crd = Self {
            group: text(&["spec", "group"]),
            plural: names.text(&["plural"]).to_owned(),
            singular: names.text(&["singular"]).to_owned(),
            kind: names.text(&["kind"]).to_owned(),
            list_kind: names.text(&["listKind"]).to_owned(),
            short_names: texts(names, &["shortNames"]),
            categories: texts(names, &["categories"]),
            namespaced: object.text(&["spec", "scope"]) == "Namespaced",
            versions: versions(object),
        };
        let missing = [(&crd.group, "group"), (&crd.plural, "plural name"), (&crd.kind, "kind")];
        if let Some((_, name)) = missing.into_iter().find(|(value, _)| value.is_empty()) {
            return Err(CrdFault::Missing(name));
        }
        let lower = crd.kind.to_lowercase();
        let (singular, list_kind) = (crd.singular.clone(), crd.list_kind.clone());
        Ok(Self {
            singular: if singular.is_empty() { lower } else { singular },
            list_kind: if list_kind.is_empty() { format!("{}List", crd.kind) } else { list_kind },
            ..crd
        })
    }

    /// A type of which there are objects, but no definition that could be read.
    pub fn undefined(group: &str, plural: &str, namespaced: bool) -> Self {
        Self { group: group.to_owned(), plural: plural.to_owned(), namespaced, ..Self::default() }
    }

    /// `widgets.example.com`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }

    /// The version that kubectl asks for, and whose columns it shows: the
    /// foremost of those that are served.
    pub fn preferred(&self) -> Option<&CrdVersion> {
        let served = self.versions.iter().filter(|version| version.served);
        served.reduce(|best, next| match compare_versions(&next.name, &best.name) {
            Ordering::Less => next,
            _ => best,
        })
    }

    /// The version that objects are stored in.
    pub fn stored(&self) -> Option<&CrdVersion> {
        self.versions.iter().find(|version| version.storage)
    }
}

fn versions(object: &Value<'_>) -> Vec<CrdVersion> {
    // v1beta1 has them once for all versions, or with each.
    let common = columns(object.at(&["spec"]).unwrap_or(&Value::Null));
    let version = |version: &Value<'_>| {
        let own = columns(version);
        CrdVersion {
            name: version.text(&["name"]).to_owned(),
            served: version.is_true(&["served"]),
            storage: version.is_true(&["storage"]),
            columns: if own.is_empty() { common.clone() } else { own },
        }
    };
    let listed: Vec<_> = object.items(&["spec", "versions"]).iter().map(version).collect();
    let only = object.text(&["spec", "version"]);
    if listed.is_empty() && !only.is_empty() {
        return vec![CrdVersion { name: only.to_owned(), served: true, storage: true, columns: common }];
    }
    listed
}

fn columns(of: &Value<'_>) -> Vec<ColumnDefinition> {
    let column = |column: &Value<'_>| {
        // v1 and v1beta1.
        let path = column.get("jsonPath").or_else(|| column.get("JSONPath"));
        ColumnDefinition {
            name: column.text(&["name"]).to_owned(),
            kind: column.text(&["type"]).to_owned(),
            priority: column.int(&["priority"]).unwrap_or(0),
            json_path: path.and_then(Value::as_str).unwrap_or_default().to_owned(),
        }
    };
    of.items(&["additionalPrinterColumns"]).iter().map(column).collect()
}

/// The foremost first: `v2`, `v1`, `v1beta2`, `v1beta1`, `v1alpha1`, then all
/// others by their names.
pub fn compare_versions(one: &str, other: &str) -> Ordering {
    match (rank(one), rank(other)) {
        (Some(one), Some(other)) => other.cmp(&one),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}

/// How stable a version is, its number, and that of its preview.
fn rank(version: &str) -> Option<(u8, u64, u64)> {
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let version = version.strip_prefix('v')?;
    for (stage, name) in [(0, "alpha"), (1, "beta")] {
        if let Some((major, minor)) = version.split_once(name) {
            return Some((stage, number(major)?, number(minor)?));
        }
    }
    Some((2, number(version)?, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(spec: serde_json::Value) -> Result<Crd, CrdFault> {
        Crd::read(&Value::from(json!({"kind": "CustomResourceDefinition", "spec": spec})))
    }

    #[test]
    fn definitions_of_v1_have_columns_by_version() {
        let column = json!({"name": "Size", "type": "integer", "jsonPath": ".spec.size", "priority": 1});
        let crd = read(json!({
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [
                {"name": "v1beta1", "served": true, "storage": true},
                {"name": "v1", "served": true, "storage": false, "additionalPrinterColumns": [column]},
                {"name": "v2", "served": false, "storage": false},
            ],
        }))
        .expect("a definition");
        assert_eq!((crd.singular.as_str(), crd.list_kind.as_str()), ("widget", "WidgetList"));
        assert!(crd.namespaced);
        assert_eq!(crd.full_name(), "widgets.example.com");
        let preferred = crd.preferred().expect("a version");
        assert_eq!((preferred.name.as_str(), preferred.columns.len()), ("v1", 1));
        assert_eq!(preferred.columns[0].json_path, ".spec.size");
        assert_eq!(crd.stored().map(|version| version.name.as_str()), Some("v1beta1"));
    }

    #[test]
    fn definitions_of_v1beta1_have_columns_for_all_versions() {
        let columns = json!([{"name": "Size", "type": "integer", "JSONPath": ".spec.size"}]);
        let names = json!({"plural": "widgets", "kind": "Widget", "singular": "wodget"});
        let crd = read(json!({
            "group": "example.com", "scope": "Cluster", "names": names,
            "version": "v1alpha1", "additionalPrinterColumns": columns,
        }))
        .expect("a definition");
        assert_eq!(crd.singular, "wodget");
        assert!(!crd.namespaced);
        assert_eq!(crd.preferred(), crd.stored());
        assert_eq!(crd.preferred().expect("a version").columns[0].json_path, ".spec.size");
    }

    #[test]
    fn names_that_were_not_accepted_do_not_count() {
        let object = json!({
            "kind": "CustomResourceDefinition",
            "spec": {"group": "b.com", "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["po", "wd"]}},
            "status": {"acceptedNames": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]}},
        });
        assert_eq!(Crd::read(&Value::from(object)).expect("a definition").short_names, ["wd"]);
    }

    #[test]
    fn what_defines_nothing_is_refused() {
        assert_eq!(Crd::read(&Value::Null), Err(CrdFault::Kind));
        assert_eq!(read(json!(null)), Err(CrdFault::Missing("group")));
        assert_eq!(read(json!({"group": "a"})), Err(CrdFault::Missing("plural name")));
        assert_eq!(read(json!({"group": "a", "names": {"plural": "b"}})), Err(CrdFault::Missing("kind")));
    }

    #[test]
    fn stable_versions_come_first() {
        let mut versions = [
            "v1alpha1",
            "foo1",
            "v10",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v2",
            "foo10",
            "v1beta",
            "v",
        ];
        versions.sort_by(|one, other| compare_versions(one, other));
        let expected = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v1alpha1",
            "foo1",
            "foo10",
            "v",
            "v1beta",
        ];
        assert_eq!(versions, expected);
    }

    proptest! {
        #[test]
        fn any_version_can_be_ranked(one in "v?[0-9]{0,25}(alpha|beta)?[0-9]{0,3}", other in ".*") {
            prop_assert_eq!(compare_versions(&one, &other), compare_versions(&other, &one).reverse());
        }
    }
}
