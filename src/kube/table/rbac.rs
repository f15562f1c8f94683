//! Roles and their bindings.

use std::borrow::Cow;

use super::row::Row;
use super::{DEFAULT, Printer, column, wide};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "Role" | "ClusterRole" => &DEFAULT,
        "RoleBinding" | "ClusterRoleBinding" => &BINDING,
        _ => return None,
    })
}

static BINDING: Printer = Printer {
    columns: &[
        column("Name"),
        column("Role").since(18),
        column("Age"),
        wide("Role").until(17),
        wide("Users"),
        wide("Groups"),
        wide("ServiceAccounts"),
    ],
    print: binding,
    reads: &["metadata.name", "metadata.creationTimestamp", "roleRef.kind", "roleRef.name"],
    wide_reads: &["subjects"],
};

fn binding<'v>(binding: &'v Value<'v>, row: &mut Row<'v>) {
    let role = || format!("{}/{}", binding.text(&["roleRef", "kind"]), binding.text(&["roleRef", "name"]));
    row.name(binding);
    row.cell(role);
    row.age(binding);
    row.cell(role);
    for kind in ["User", "Group", "ServiceAccount"] {
        row.cell(|| subjects(binding, kind));
    }
}

/// The subjects of a kind, service accounts with their namespace.
fn subjects(binding: &Value<'_>, wanted: &str) -> String {
    let alpha = binding.text(&["apiVersion"]) == "rbac.authorization.k8s.io/v1alpha1";
    let subject = |subject: &Value<'_>| {
        let (kind, name) = (subject.text(&["kind"]), Cow::Borrowed(subject.text(&["name"])));
        let (kind, name) = match (kind, &*name) {
            // What the user `*` was taken for.
            ("User", "*") if alpha => ("Group", Cow::Borrowed("system:authenticated")),
            ("ServiceAccount", name) => {
                ("ServiceAccount", Cow::Owned(format!("{}/{name}", subject.text(&["namespace"]))))
            }
            _ => (kind, name.clone()),
        };
        (kind == wanted).then(|| name.into_owned())
    };
    binding.items(&["subjects"]).iter().filter_map(subject).collect::<Vec<_>>().join(", ")
}
