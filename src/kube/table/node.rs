//! Nodes.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::row::{NONE, Row, UNKNOWN};
use super::{Printer, column, wide};
use crate::kube::value::Value;

pub(super) static NODE: Printer = Printer {
    columns: &[
        column("Name"),
        column("Status"),
        column("Roles"),
        column("Age"),
        column("Version"),
        wide("Internal-IP"),
        wide("External-IP"),
        wide("OS-Image"),
        wide("Kernel-Version"),
        wide("Container-Runtime"),
    ],
    print: node,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.labels",
        "spec.unschedulable",
        "status.conditions.type",
        "status.conditions.status",
        "status.nodeInfo",
    ],
    wide_reads: &["status.addresses"],
};

fn node<'v>(node: &'v Value<'v>, row: &mut Row<'v>) {
    let release = row.context.release;
    let info = |key: &str| node.text(&["status", "nodeInfo", key]);
    row.name(node);
    row.cell(|| status(node));
    row.cell(|| roles(node));
    row.age(node);
    row.text(info("kubeletVersion"));
    row.text(address(node, "InternalIP"));
    row.text(address(node, "ExternalIP"));
    row.text_or(info("osImage"), UNKNOWN);
    row.cell(|| {
        let kernel = match info("kernelVersion") {
            "" => UNKNOWN,
            kernel => kernel,
        };
        match info("architecture") {
            architecture if release >= 36 && !architecture.is_empty() => {
                Cow::Owned(format!("{kernel} ({architecture})"))
            }
            _ => Cow::Borrowed(kernel),
        }
    });
    row.text_or(info("containerRuntimeVersion"), UNKNOWN);
}

fn status(node: &Value<'_>) -> &'static str {
    // The last of several counts.
    let ready = node.items(&["status", "conditions"]).iter().rfind(|found| found.text(&["type"]) == "Ready");
    let ready = ready.map(|condition| condition.text(&["status"]) == "True");
    match (ready, node.is_true(&["spec", "unschedulable"])) {
        (Some(true), false) => "Ready",
        (Some(true), true) => "Ready,SchedulingDisabled",
        (Some(false), false) => "NotReady",
        (Some(false), true) => "NotReady,SchedulingDisabled",
        (None, false) => "Unknown",
        (None, true) => "Unknown,SchedulingDisabled",
    }
}

/// Of labels `node-role.kubernetes.io/ROLE` and `kubernetes.io/role=ROLE`.
fn roles<'v>(node: &'v Value<'v>) -> Cow<'v, str> {
    let role =
        |(key, value): &'v (Cow<'v, str>, Value<'v>)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role),
            None if key == "kubernetes.io/role" => value.as_str(),
            None => None,
        };
    let labels = node.entries(&["metadata", "labels"]).iter();
    let roles: BTreeSet<_> = labels.filter_map(role).filter(|role| !role.is_empty()).collect();
    match roles.len() {
        0 => Cow::Borrowed(NONE),
        1 => Cow::Borrowed(roles.first().copied().unwrap_or_default()),
        _ => Cow::Owned(roles.into_iter().collect::<Vec<_>>().join(",")),
    }
}

/// The first address of a type.
fn address<'v>(node: &'v Value<'v>, of: &str) -> &'v str {
    let mut addresses = node.items(&["status", "addresses"]).iter();
    addresses.find(|address| address.text(&["type"]) == of).map_or(NONE, |found| found.text(&["address"]))
}
