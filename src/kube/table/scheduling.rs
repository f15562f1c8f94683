//! `scheduling.k8s.io`, and runtime classes.

use super::row::{NONE, Row, count, set};
use super::{Printer, column};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "PriorityClass" => &PRIORITY_CLASS,
        "Workload" => &WORKLOAD,
        "PodGroup" => &POD_GROUP,
        "CompositePodGroup" => &COMPOSITE_POD_GROUP,
        _ => return None,
    })
}

static PRIORITY_CLASS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Value"),
        column("Global-Default"),
        column("Age"),
        column("PreemptionPolicy").since(32),
    ],
    print: |class, row| {
        row.name(class);
        row.number(count(class, &["value"]));
        row.flag(class.is_true(&["globalDefault"]));
        row.age(class);
        row.cell(|| match set(class, &["preemptionPolicy"]).and_then(Value::as_str) {
            None => "PreemptLowerPriority",
            Some(policy) => policy,
        });
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "value", "globalDefault", "preemptionPolicy"],
    wide_reads: &[],
};

pub(super) static RUNTIME_CLASS: Printer = Printer {
    columns: &[column("Name"), column("Handler"), column("Age")],
    print: |class, row| {
        row.name(class);
        row.cell(|| match class.text(&["apiVersion"]) {
            "node.k8s.io/v1alpha1" => class.text(&["spec", "runtimeHandler"]),
            _ => class.text(&["handler"]),
        });
        row.age(class);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "handler", "spec.runtimeHandler"],
    wide_reads: &[],
};

static WORKLOAD: Printer = Printer {
    columns: &[column("Name"), column("Age")],
    print: |workload, row| {
        row.name(workload);
        row.age(workload);
    },
    reads: &["metadata.name", "metadata.creationTimestamp"],
    wide_reads: &[],
};

static POD_GROUP: Printer = Printer {
    columns: &[column("Name"), column("Policy"), column("Workload"), column("Status"), column("Age")],
    print: |group, row| {
        row.name(group);
        policy(group, row);
        row.cell(|| status(group));
        row.age(group);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec", "status.conditions"],
    wide_reads: &[],
};

static COMPOSITE_POD_GROUP: Printer = Printer {
    columns: &[column("Name"), column("Policy"), column("Workload"), column("Age")],
    print: |group, row| {
        row.name(group);
        policy(group, row);
        row.age(group);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec"],
    wide_reads: &[],
};

/// Policy and workload.
fn policy<'v>(group: &'v Value<'v>, row: &mut Row<'v>) {
    row.cell(|| match set(group, &["spec", "schedulingPolicy", "gang"]) {
        None => "Basic",
        Some(_) => "Gang",
    });
    row.cell(|| match set(group, &["spec", "workloadRef"]) {
        Some(reference) => reference.text(&["workloadName"]),
        // Of v1alpha2, which 1.36 had.
        None => match set(group, &["spec", "podGroupTemplateRef"]) {
            Some(reference) => reference.text(&["workload", "workloadName"]),
            None => NONE,
        },
    });
}

fn status<'v>(group: &'v Value<'v>) -> &'v str {
    // The last of several counts.
    let last = |name: &str| {
        let mut conditions = group.items(&["status", "conditions"]).iter();
        conditions.rfind(|condition| condition.text(&["type"]) == name)
    };
    let scheduled = match group.text(&["apiVersion"]) {
        "scheduling.k8s.io/v1alpha2" => "PodGroupScheduled",
        _ => "PodGroupInitiallyScheduled",
    };
    match (last("DisruptionTarget"), last(scheduled)) {
        (Some(disruption), _) => disruption.text(&["reason"]),
        (None, Some(scheduled)) if scheduled.text(&["status"]) == "True" => "Scheduled",
        (None, Some(_)) => "Unschedulable",
        (None, None) => "Pending",
    }
}
