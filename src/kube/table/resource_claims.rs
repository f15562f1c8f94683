//! Dynamic resource allocation: `resource.k8s.io`, from v1alpha1 to v1.

use std::borrow::Cow;

use super::row::{NONE, Row, count, decimal, instant, length, set};
use super::{Printer, column};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "DeviceClass" => &DEVICE_CLASS,
        "ResourceClaim" => &CLAIM,
        "ResourceClaimTemplate" => &CLAIM_TEMPLATE,
        "ResourceSlice" => &SLICE,
        "ResourcePoolStatusRequest" => &POOL_STATUS_REQUEST,
        "DeviceTaintRule" => &TAINT_RULE,
        "ResourceClass" => &RESOURCE_CLASS,
        "PodScheduling" | "PodSchedulingContext" => &SCHEDULING_CONTEXT,
        "ResourceClaimParameters" | "ResourceClassParameters" => &PARAMETERS,
        _ => return None,
    })
}

static DEVICE_CLASS: Printer = Printer {
    columns: &[column("Name"), column("Age")],
    print: |class, row| {
        row.name(class);
        row.age(class);
    },
    reads: &["metadata.name", "metadata.creationTimestamp"],
    wide_reads: &[],
};

static CLAIM: Printer = Printer {
    columns: &[
        column("Name"),
        column("ResourceClassName").until(30),
        column("AllocationMode").until(30),
        column("State"),
        column("Age"),
    ],
    print: |claim, row| {
        let release = row.context.release;
        row.name(claim);
        row.text(claim.text(&["spec", "resourceClassName"]));
        row.text_or(claim.text(&["spec", "allocationMode"]), "WaitForFirstConsumer");
        row.cell(|| state(claim, release));
        row.age(claim);
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "spec.resourceClassName",
        "spec.allocationMode",
        "status",
    ],
    wide_reads: &[],
};

fn state(claim: &Value<'_>, release: u16) -> &'static str {
    let deleted = set(claim, &["metadata", "deletionTimestamp"]).is_some();
    let allocated = set(claim, &["status", "allocation"]).is_some();
    let reserved = !claim.items(&["status", "reservedFor"]).is_empty();
    let leaving = release < 32 && (deleted || claim.is_true(&["status", "deallocationRequested"]));
    match (deleted, allocated, reserved) {
        (false, false, _) => "pending",
        (true, false, _) => "deleted",
        (false, true, true) => "allocated,reserved",
        (true, true, true) => "deleted,allocated,reserved",
        (false, true, false) if leaving => "allocated,deallocating",
        (true, true, false) if leaving => "deleted,allocated,deallocating",
        (false, true, false) => "allocated",
        (true, true, false) => "deleted,allocated",
    }
}

static CLAIM_TEMPLATE: Printer = Printer {
    columns: &[
        column("Name"),
        column("ResourceClassName").until(30),
        column("AllocationMode").until(30),
        column("Age"),
    ],
    print: |template, row| {
        row.name(template);
        row.text(template.text(&["spec", "spec", "resourceClassName"]));
        row.text_or(template.text(&["spec", "spec", "allocationMode"]), "WaitForFirstConsumer");
        row.age(template);
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.spec.resourceClassName",
        "spec.spec.allocationMode",
    ],
    wide_reads: &[],
};

static SLICE: Printer = Printer {
    columns: &[column("Name"), column("Node"), column("Driver"), column("Pool").since(31), column("Age")],
    print: |slice, row| {
        // v1alpha2 has them at the top.
        let old = slice.text(&["apiVersion"]) == "resource.k8s.io/v1alpha2";
        row.name(slice);
        row.text(if old { slice.text(&["nodeName"]) } else { slice.text(&["spec", "nodeName"]) });
        row.text(if old { slice.text(&["driverName"]) } else { slice.text(&["spec", "driver"]) });
        row.text(slice.text(&["spec", "pool", "name"]));
        row.age(slice);
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "nodeName",
        "driverName",
        "spec.nodeName",
        "spec.driver",
        "spec.pool.name",
    ],
    wide_reads: &[],
};

static TAINT_RULE: Printer = Printer {
    columns: &[
        column("Name"),
        column("Key"),
        column("Value"),
        column("Effect"),
        column("TimeAdded"),
        column("Age"),
    ],
    print: |rule, row| {
        let context = row.context;
        row.name(rule);
        for field in ["key", "value", "effect"] {
            row.text(rule.text(&["spec", "taint", field]));
        }
        row.cell(|| match set(rule, &["spec", "taint", "timeAdded"]) {
            // Servers fill in the time at which they read it.
            None => context.since(context.now),
            time => context.since(instant(time)),
        });
        row.age(rule);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec.taint"],
    wide_reads: &[],
};

static POOL_STATUS_REQUEST: Printer = Printer {
    columns: &[
        column("Name"),
        column("Driver"),
        column("Total"),
        column("Available"),
        column("Allocated"),
        column("Unavailable"),
        column("Errors"),
        column("Pools"),
        column("Status"),
        column("Completed"),
    ],
    print: pool_status_request,
    reads: &["metadata.name", "spec.driver", "status"],
    wide_reads: &[],
};

fn pool_status_request<'v>(request: &'v Value<'v>, row: &mut Row<'v>) {
    let context = row.context;
    let status = set(request, &["status"]);
    let conditions = request.items(&["status", "conditions"]).iter();
    // Whichever comes first.
    let mut decided = conditions.filter(|condition| condition.text(&["status"]) == "True");
    let end = decided.find(|condition| matches!(condition.text(&["type"]), "Complete" | "Failed"));
    let state = end.map_or("Pending", |end| end.text(&["type"]));
    let pools = request.items(&["status", "pools"]);
    let pool_count = count(request, &["status", "poolCount"]);
    let sums = status.filter(|_| state != "Failed");

    row.name(request);
    row.text(request.text(&["spec", "driver"]));
    for field in ["totalDevices", "availableDevices", "allocatedDevices", "unavailableDevices"] {
        row.cell(|| match sums {
            None => Cow::Borrowed("-"),
            Some(_) => decimal(pools.iter().map(|pool| count(pool, &[field])).fold(0, i64::saturating_add)),
        });
    }
    row.cell(|| match sums {
        None => Cow::Borrowed("-"),
        Some(_) => {
            let faulty = pools.iter().filter(|pool| set(pool, &["validationError"]).is_some());
            decimal(length(faulty.count()))
        }
    });
    row.number(pool_count);
    row.cell(|| match state {
        "Complete" if pool_count > length(pools.len()) => {
            Cow::Owned(format!("Complete ({}/{pool_count} pools)", pools.len()))
        }
        state => Cow::Borrowed(state),
    });
    row.cell(|| match end {
        Some(end) if state == "Complete" => context.since(instant(end.at(&["lastTransitionTime"]))),
        _ => Cow::Borrowed(NONE),
    });
}

/// Source: kubernetes 1.26 to 1.30.
static RESOURCE_CLASS: Printer = Printer {
    columns: &[column("Name"), column("DriverName"), column("Age")],
    print: |class, row| {
        row.name(class);
        row.text(class.text(&["driverName"]));
        row.age(class);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "driverName"],
    wide_reads: &[],
};

/// Source: kubernetes 1.26 to 1.31.
static SCHEDULING_CONTEXT: Printer = Printer {
    columns: &[column("Name"), column("SelectedNode"), column("Age")],
    print: |context, row| {
        row.name(context);
        row.text(context.text(&["spec", "selectedNode"]));
        row.age(context);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec.selectedNode"],
    wide_reads: &[],
};

/// Source: kubernetes 1.30.
static PARAMETERS: Printer = Printer {
    columns: &[column("Name"), column("GeneratedFrom"), column("Age")],
    print: |parameters, row| {
        row.name(parameters);
        row.cell(|| match set(parameters, &["generatedFrom"]) {
            None => String::new(),
            Some(from) => {
                let text = |field| from.text(&[field]);
                format!("{}.{} {}", text("kind"), text("apiGroup"), text("name"))
            }
        });
        row.age(parameters);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "generatedFrom"],
    wide_reads: &[],
};
