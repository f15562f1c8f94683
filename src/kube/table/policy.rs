//! Disruption budgets, and the security policies of old.

use std::borrow::Cow;

use super::row::{count, joined, scalar, set};
use super::{Printer, column};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "PodDisruptionBudget" => &DISRUPTION_BUDGET,
        "PodSecurityPolicy" => &SECURITY_POLICY,
        _ => return None,
    })
}

static DISRUPTION_BUDGET: Printer = Printer {
    columns: &[
        column("Name"),
        column("Min Available"),
        column("Max Unavailable"),
        column("Allowed Disruptions"),
        column("Age"),
    ],
    print: |budget, row| {
        row.name(budget);
        row.cell(|| bound(budget, "minAvailable"));
        row.cell(|| bound(budget, "maxUnavailable"));
        row.number(count(budget, &["status", "disruptionsAllowed"]));
        row.age(budget);
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.minAvailable",
        "spec.maxUnavailable",
        "status.disruptionsAllowed",
    ],
    wide_reads: &[],
};

/// A number or a percentage.
fn bound<'v>(budget: &'v Value<'v>, field: &str) -> Cow<'v, str> {
    set(budget, &["spec", field]).map_or(Cow::Borrowed("N/A"), scalar)
}

/// Source: kubernetes, up to 1.26.
static SECURITY_POLICY: Printer = Printer {
    columns: &[
        column("Name"),
        column("Priv"),
        column("Caps"),
        column("SELinux"),
        column("RunAsUser"),
        column("FsGroup"),
        column("SupGroup"),
        column("ReadOnlyRootFs"),
        column("Volumes"),
    ],
    print: |policy, row| {
        row.name(policy);
        row.flag(policy.is_true(&["spec", "privileged"]));
        row.cell(|| joined(policy.items(&["spec", "allowedCapabilities"]), ","));
        for field in ["seLinux", "runAsUser", "fsGroup", "supplementalGroups"] {
            row.text(policy.text(&["spec", field, "rule"]));
        }
        row.flag(policy.is_true(&["spec", "readOnlyRootFilesystem"]));
        row.cell(|| joined(policy.items(&["spec", "volumes"]), ","));
    },
    reads: &["metadata.name", "spec"],
    wide_reads: &[],
};
