//! Priority and fairness: `flowcontrol.apiserver.k8s.io`.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::row::{NONE, Row, condition, count, decimal, set};
use super::{Printer, column};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "FlowSchema" => &FLOW_SCHEMA,
        "PriorityLevelConfiguration" => &PRIORITY_LEVEL,
        _ => return None,
    })
}

static FLOW_SCHEMA: Printer = Printer {
    columns: &[
        column("Name"),
        column("PriorityLevel"),
        column("MatchingPrecedence"),
        column("DistinguisherMethod"),
        column("Age"),
        column("MissingPL"),
    ],
    print: |schema, row| {
        row.name(schema);
        row.text(schema.text(&["spec", "priorityLevelConfiguration", "name"]));
        row.number(or_default(count(schema, &["spec", "matchingPrecedence"]), 1000));
        row.cell(|| match set(schema, &["spec", "distinguisherMethod"]) {
            None => NONE,
            Some(method) => method.text(&["type"]),
        });
        row.age(schema);
        row.cell(|| {
            let dangling = condition(schema.items(&["status", "conditions"]), "Dangling");
            dangling.map_or("?", |condition| condition.text(&["status"]))
        });
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.priorityLevelConfiguration.name",
        "spec.matchingPrecedence",
        "spec.distinguisherMethod.type",
        "status.conditions.type",
        "status.conditions.status",
    ],
    wide_reads: &[],
};

/// The order of a list: the schema that is matched first comes first.
pub(super) fn by_precedence(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    let key = |schema: &Value<'_>| or_default(count(schema, &["spec", "matchingPrecedence"]), 1000);
    let name = ["metadata", "name"];
    key(a).cmp(&key(b)).then_with(|| a.text(&name).cmp(b.text(&name)))
}

/// What servers fill in for zero.
fn or_default(number: i64, default: i64) -> i64 {
    if number == 0 { default } else { number }
}

static PRIORITY_LEVEL: Printer = Printer {
    columns: &[
        column("Name"),
        column("Type"),
        column("AssuredConcurrencyShares").until(25),
        column("NominalConcurrencyShares").since(26),
        column("Queues"),
        column("HandSize"),
        column("QueueLengthLimit"),
        column("Age"),
    ],
    print: priority_level,
    reads: &["metadata.name", "metadata.creationTimestamp", "metadata.annotations", "spec"],
    wide_reads: &[],
};

fn priority_level<'v>(level: &'v Value<'v>, row: &mut Row<'v>) {
    let limited = set(level, &["spec", "limited"]);
    let shares = || match limited {
        None => Cow::Borrowed(NONE),
        Some(limited) => decimal(shares(level, limited)),
    };
    row.name(level);
    row.text(level.text(&["spec", "type"]));
    row.cell(shares);
    row.cell(shares);
    let queuing = limited.and_then(|limited| set(limited, &["limitResponse", "queuing"]));
    for (field, default) in [("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)] {
        row.cell(|| match queuing {
            None => Cow::Borrowed(NONE),
            Some(queuing) => decimal(or_default(count(queuing, &[field]), default)),
        });
    }
    row.age(level);
}

/// Zero shares are a value in version 1, and in v1beta3 if an annotation says so.
fn shares(level: &Value<'_>, limited: &Value<'_>) -> i64 {
    const DEFAULT: i64 = 30;
    let nominal = limited.int(&["nominalConcurrencyShares"]);
    let version = level.text(&["apiVersion"]).rsplit_once('/').map_or("", |(_, version)| version);
    match version {
        "v1alpha1" | "v1beta1" | "v1beta2" => {
            or_default(count(limited, &["assuredConcurrencyShares"]), DEFAULT)
        }
        "v1beta3" => {
            let kept = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares";
            let default = match level.at(&["metadata", "annotations", kept]) {
                Some(_) => 0,
                None => DEFAULT,
            };
            or_default(nominal.unwrap_or_default(), default)
        }
        _ => nominal.unwrap_or(DEFAULT),
    }
}
