//! What pods may do, and who may be bound to roles.

use std::borrow::Cow;

use super::super::labels::format_selector;
use super::super::row::{NONE, Row, UNKNOWN, decimal, joined, set};
use super::super::{Printer, column};
use super::first_three;
use crate::kube::value::Value;

pub(super) static CONSTRAINTS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Privileged"),
        column("Capabilities"),
        column("SELinux"),
        column("RunAsUser"),
        column("FSGroup"),
        column("SupplementalGroups"),
        column("Priority"),
        column("ReadOnlyFS"),
        column("Volumes"),
    ],
    print: |constraints, row| {
        row.name(constraints);
        row.flag(constraints.is_true(&["allowPrivilegedContainer"]));
        row.cell(|| joined(constraints.items(&["allowedCapabilities"]), ","));
        for field in ["seLinuxContext", "runAsUser", "fsGroup", "supplementalGroups"] {
            row.text(constraints.text(&[field, "type"]));
        }
        row.cell(|| constraints.int(&["priority"]).map_or(Cow::Borrowed(NONE), decimal));
        row.flag(constraints.is_true(&["readOnlyRootFilesystem"]));
        row.cell(|| joined(constraints.items(&["volumes"]), ","));
    },
    reads: &[
        "metadata.name",
        "allowPrivilegedContainer",
        "allowedCapabilities",
        "seLinuxContext.type",
        "runAsUser.type",
        "fsGroup.type",
        "supplementalGroups.type",
        "priority",
        "readOnlyRootFilesystem",
        "volumes",
    ],
    wide_reads: &[],
};

/// The data, a bit map in base64, is shown as it is stored.
pub(super) static RANGE_ALLOCATION: Printer = Printer {
    columns: &[column("Name"), column("Range"), column("Data")],
    print: |allocation, row| {
        row.name(allocation);
        row.text(allocation.text(&["range"]));
        row.text(allocation.text(&["data"]));
    },
    reads: &["metadata.name", "range", "data"],
    wide_reads: &[],
};

pub(super) static ROLE_BINDING_RESTRICTION: Printer = Printer {
    columns: &[column("Name"), column("Subject Type"), column("Subjects")],
    print: restriction,
    reads: &["metadata.name", "spec"],
    wide_reads: &[],
};

fn restriction<'v>(restriction: &'v Value<'v>, row: &mut Row<'v>) {
    let of = |field| set(restriction, &["spec", field]);
    let text = |value: &Value<'_>| value.as_str().unwrap_or_default().to_owned();
    let selected = |restriction: &Value<'_>| {
        let selectors = restriction.items(&["labels"]);
        selectors.iter().map(|selector| format_selector(Some(selector)).into_owned()).collect::<Vec<_>>()
    };
    let (kind, subjects): (_, Vec<_>) = if let Some(users) = of("userrestriction") {
        let names = users.items(&["users"]).iter().map(text);
        let groups = users.items(&["groups"]).iter().map(|group| format!("group({})", text(group)));
        ("User", names.chain(groups).chain(selected(users)).collect())
    } else if let Some(groups) = of("grouprestriction") {
        ("Group", groups.items(&["groups"]).iter().map(text).chain(selected(groups)).collect())
    } else if let Some(accounts) = of("serviceaccountrestriction") {
        let named = accounts.items(&["serviceaccounts"]).iter();
        let named =
            named.map(|account| format!("{}/{}", account.text(&["namespace"]), account.text(&["name"])));
        let namespaces = accounts.items(&["namespaces"]).iter();
        let namespaces = namespaces.map(|namespace| format!("{}/*", text(namespace)));
        ("ServiceAccount", named.chain(namespaces).collect())
    } else {
        (UNKNOWN, Vec::new())
    };
    row.name(restriction);
    row.text(kind);
    row.cell(|| if subjects.is_empty() { NONE.to_owned() } else { first_three(subjects) });
}
