//! The core group, and leases.

use std::borrow::Cow;

use super::node::NODE;
use super::pod::POD;
use super::row::{Row, count, decimal, instant, length, scalar, set};
use super::service::{ENDPOINTS, SERVICE};
use super::storage::{CLAIM, VOLUME};
use super::workloads::{POD_TEMPLATE, REPLICATION_CONTROLLER};
use super::{DEFAULT, Printer, column, wide};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "Pod" => &POD,
        "Node" => &NODE,
        "Service" => &SERVICE,
        "Endpoints" => &ENDPOINTS,
        "Event" => &EVENT,
        "Namespace" => &NAMESPACE,
        "Secret" => &SECRET,
        "ConfigMap" => &CONFIG_MAP,
        "ServiceAccount" => &SERVICE_ACCOUNT,
        "ResourceQuota" => &RESOURCE_QUOTA,
        "PersistentVolume" => &VOLUME,
        "PersistentVolumeClaim" => &CLAIM,
        "PodTemplate" => &POD_TEMPLATE,
        "ReplicationController" => &REPLICATION_CONTROLLER,
        "LimitRange" => &DEFAULT,
        _ => return None,
    })
}

pub(super) fn coordination_printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "Lease" => &LEASE,
        "LeaseCandidate" => &LEASE_CANDIDATE,
        _ => return None,
    })
}

static NAMESPACE: Printer = Printer {
    columns: &[column("Name"), column("Status"), column("Age")],
    print: |namespace, row| {
        row.name(namespace);
        row.text_or(namespace.text(&["status", "phase"]), "Active");
        row.age(namespace);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "status.phase"],
    wide_reads: &[],
};

static SECRET: Printer = Printer {
    columns: &[column("Name"), column("Type"), column("Data"), column("Age")],
    print: |secret, row| {
        row.name(secret);
        row.text_or(secret.text(&["type"]), "Opaque");
        row.cell(|| {
            let data = secret.entries(&["data"]);
            // Servers move it over, so that it is in no object they have written.
            let text = secret.entries(&["stringData"]).iter();
            let more = text.filter(|(key, _)| !data.iter().any(|(other, _)| other == key)).count();
            decimal(length(data.len().saturating_add(more)))
        });
        row.age(secret);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "type", "data{}", "stringData{}"],
    wide_reads: &[],
};

static CONFIG_MAP: Printer = Printer {
    columns: &[column("Name"), column("Data"), column("Age")],
    print: |map, row| {
        // Binary data counts from 1.16 on.
        let binary = if row.context.release < 16 { 0 } else { map.entries(&["binaryData"]).len() };
        row.name(map);
        row.number(length(map.entries(&["data"]).len().saturating_add(binary)));
        row.age(map);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "data{}", "binaryData{}"],
    wide_reads: &[],
};

static SERVICE_ACCOUNT: Printer = Printer {
    columns: &[column("Name"), column("Secrets").until(34), column("Age")],
    print: |account, row| {
        row.name(account);
        row.number(length(account.items(&["secrets"]).len()));
        row.age(account);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "secrets.name"],
    wide_reads: &[],
};

static RESOURCE_QUOTA: Printer = Printer {
    columns: &[
        column("Name"),
        column("Age").until(32),
        column("Request"),
        column("Limit"),
        column("Age").since(33),
    ],
    print: |quota, row| {
        row.name(quota);
        row.age(quota);
        row.cell(|| quotas(quota, false));
        row.cell(|| quotas(quota, true));
        row.age(quota);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "status.hard", "status.used"],
    wide_reads: &[],
};

/// `cpu: 1/4, pods: 3/10`: used and allowed, either of limits or of the others.
fn quotas(quota: &Value<'_>, limits: bool) -> String {
    let used = |name: &str| quota.at(&["status", "used", name]).map_or(Cow::Borrowed("0"), scalar);
    let hard = quota.entries(&["status", "hard"]).iter();
    let wanted = hard.filter(|(name, _)| name.starts_with("limits.") == limits);
    let texts = wanted.map(|(name, allowed)| format!("{name}: {}/{}", used(name), scalar(allowed)));
    texts.collect::<Vec<_>>().join(", ")
}

static LEASE: Printer = Printer {
    columns: &[column("Name"), column("Holder"), column("Age")],
    print: |lease, row| {
        row.name(lease);
        row.text(lease.text(&["spec", "holderIdentity"]));
        row.age(lease);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec.holderIdentity"],
    wide_reads: &[],
};

static LEASE_CANDIDATE: Printer = Printer {
    columns: &[
        column("Name"),
        column("LeaseName"),
        column("BinaryVersion"),
        column("EmulationVersion"),
        column("Age"),
    ],
    print: |candidate, row| {
        row.name(candidate);
        row.text(candidate.text(&["spec", "leaseName"]));
        row.text(candidate.text(&["spec", "binaryVersion"]));
        row.text(candidate.text(&["spec", "emulationVersion"]));
        row.age(candidate);
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.leaseName",
        "spec.binaryVersion",
        "spec.emulationVersion",
    ],
    wide_reads: &[],
};

/// Events of both groups, whose fields have different names.
pub(super) static EVENT: Printer = Printer {
    columns: &[
        column("Last Seen"),
        column("Type"),
        column("Reason"),
        column("Object"),
        wide("Subobject"),
        wide("Source"),
        column("Message"),
        wide("First Seen"),
        wide("Count"),
        wide("Name"),
    ],
    print: event,
    reads: &[
        "type",
        "reason",
        "message",
        "note",
        "involvedObject.kind",
        "involvedObject.name",
        "regarding.kind",
        "regarding.name",
        "eventTime",
        "firstTimestamp",
        "lastTimestamp",
        "deprecatedFirstTimestamp",
        "deprecatedLastTimestamp",
        "series",
    ],
    wide_reads: &[
        "metadata.name",
        "involvedObject.fieldPath",
        "regarding.fieldPath",
        "source",
        "deprecatedSource",
        "reportingComponent",
        "reportingController",
        "reportingInstance",
        "count",
        "deprecatedCount",
    ],
};

fn event<'v>(event: &'v Value<'v>, row: &mut Row<'v>) {
    let context = row.context;
    let core = event.text(&["apiVersion"]) == "v1";
    let field = |in_core: &'static str, in_events: &'static str| if core { in_core } else { in_events };
    let text = |in_core, in_events| event.text(&[field(in_core, in_events)]);
    let time = |in_core, in_events| instant(event.at(&[field(in_core, in_events)]));

    let object = field("involvedObject", "regarding");
    let series = set(event, &["series"]).filter(|_| context.release >= 19);
    let event_time = || instant(event.at(&["eventTime"])).filter(|_| context.release >= 19);
    let first = time("firstTimestamp", "deprecatedFirstTimestamp").or_else(event_time);
    let last = match series {
        Some(series) => instant(series.at(&["lastObservedTime"])),
        None => {
            let last = time("lastTimestamp", "deprecatedLastTimestamp");
            last.or_else(|| first.filter(|_| context.release >= 18))
        }
    };

    row.cell(|| context.since(last));
    row.text(event.text(&["type"]));
    row.text(event.text(&["reason"]));
    row.cell(|| {
        let (kind, name) = (event.text(&[object, "kind"]).to_lowercase(), event.text(&[object, "name"]));
        if name.is_empty() { kind } else { format!("{kind}/{name}") }
    });
    row.text(event.text(&[object, "fieldPath"]));
    row.cell(|| {
        let source = field("source", "deprecatedSource");
        let either = |given: &'v str, otherwise: &'v str| {
            if given.is_empty() && context.release >= 19 { otherwise } else { given }
        };
        let reporter = text("reportingComponent", "reportingController");
        let component = either(event.text(&[source, "component"]), reporter);
        match either(event.text(&[source, "host"]), event.text(&["reportingInstance"])) {
            "" => Cow::Borrowed(component),
            instance => Cow::Owned(format!("{component}, {instance}")),
        }
    });
    row.text(text("message", "note").trim());
    row.cell(|| context.since(first));
    row.cell(|| {
        let counted = count(event, &[field("count", "deprecatedCount")]);
        decimal(match series {
            // The first of a series was counted apart for a while.
            Some(series) if context.release < 23 => count(series, &["count"]).saturating_add(1),
            Some(series) => count(series, &["count"]),
            None if counted == 0 && context.release >= 19 => 1,
            None => counted,
        })
    });
    row.name(event);
}
