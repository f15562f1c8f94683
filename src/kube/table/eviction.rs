//! `lifecycle.k8s.io`: evictions that ask before they take.

use std::borrow::Cow;

use super::row::{NONE, Row, UNKNOWN, UNSET, condition, count, elapsed, first_few, instant, set};
use super::{Context, Printer, column, wide};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "EvictionRequest" => &EVICTION_REQUEST,
        "Eviction" => &EVICTION,
        _ => return None,
    })
}

static EVICTION_REQUEST: Printer = Printer {
    columns: &[
        column("Name"),
        column("Target"),
        column("Target Type"),
        column("Status"),
        column("Requester"),
        column("Intent"),
        column("Age"),
    ],
    print: |request, row| {
        row.name(request);
        target(request, row);
        row.cell(|| status(request));
        row.text(request.text(&["spec", "requester"]));
        row.text(request.text(&["spec", "intent"]));
        row.age(request);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec", "status"],
    wide_reads: &[],
};

static EVICTION: Printer = Printer {
    columns: &[
        column("Name"),
        column("Target"),
        column("Target Type"),
        column("Status"),
        column("Active Responder"),
        column("Responder Status"),
        column("Responder Expected Finish"),
        column("Requesters"),
        column("Age"),
        wide("Responder Heartbeat"),
        wide("Responder Status Message"),
    ],
    print: eviction,
    reads: &["metadata.name", "metadata.creationTimestamp", "spec", "status"],
    wide_reads: &[],
};

fn eviction<'v>(eviction: &'v Value<'v>, row: &mut Row<'v>) {
    let context = row.context;
    let responders = eviction.items(&["status", "targetResponders"]);
    let begun = |responder: &&Value<'_>| {
        let state = responder.text(&["state"]);
        state == "Active" || ended(state)
    };
    // The last active one, or else the last that is done.
    let active = responders.iter().rfind(|responder| responder.text(&["state"]) == "Active");
    let active = active.or_else(|| responders.iter().rfind(|responder| ended(responder.text(&["state"]))));
    let name = active.map_or(UNSET, |responder| responder.text(&["name"]));
    let report = active.and_then(|_| {
        let mut reports = eviction.items(&["status", "responders"]).iter();
        reports.find(|report| report.text(&["name"]) == name)
    });
    let state = active.map(|responder| responder.text(&["state"])).unwrap_or_default();

    row.name(eviction);
    target(eviction, row);
    row.cell(|| status(eviction));
    row.cell(|| format!("{name} ({}/{})", responders.iter().filter(begun).count(), responders.len()));
    row.cell(|| report.map_or(Cow::Borrowed(UNSET), |report| progress(state, report, context)));
    row.cell(|| report.map_or(Cow::Borrowed(UNKNOWN), |report| expected_finish(state, report, context)));
    row.cell(|| requesters(eviction.items(&["status", "requesters"])));
    row.age(eviction);
    row.cell(|| {
        let heartbeat = report.and_then(|report| set(report, &["heartbeatTime"]));
        heartbeat.map_or(Cow::Borrowed(UNSET), |time| Cow::Owned(ago(time, context)))
    });
    row.cell(|| match report.map(|report| report.text(&["message"]).trim()) {
        None | Some("") => UNSET,
        Some(message) => message,
    });
}

fn ended(state: &str) -> bool {
    matches!(state, "Canceled" | "Interrupted" | "Completed")
}

fn target<'v>(object: &'v Value<'v>, row: &mut Row<'v>) {
    let pod = set(object, &["spec", "target", "pod"]);
    row.cell(|| pod.map_or(UNSET, |pod| pod.text(&["name"])));
    row.cell(|| pod.map_or(UNSET, |_| "Pod"));
}

fn status(object: &Value<'_>) -> Cow<'static, str> {
    let conditions = object.items(&["status", "conditions"]);
    let reached = ["TargetEvicted", "Failed"].into_iter().find_map(|name| {
        let found = condition(conditions, name)?;
        (found.text(&["status"]) == "True").then(|| format!("{name} ({})", found.text(&["reason"])))
    });
    match reached {
        Some(reached) => Cow::Owned(reached),
        None if count(object, &["status", "observedGeneration"]) > 0 => Cow::Borrowed("Progressing"),
        None => Cow::Borrowed("Pending"),
    }
}

fn ago(time: &Value<'_>, context: &Context) -> String {
    format!("{} ago", context.since(instant(Some(time))))
}

fn progress<'v>(state: &'v str, report: &'v Value<'v>, context: &Context) -> Cow<'v, str> {
    match (state, set(report, &["startTime"]), set(report, &["completionTime"])) {
        ("Active", Some(start), _) => Cow::Owned(format!("Started ({})", ago(start, context))),
        ("Completed", _, Some(end)) => Cow::Owned(format!("{state} ({})", ago(end, context))),
        _ => Cow::Borrowed(state),
    }
}

fn expected_finish(state: &str, report: &Value<'_>, context: &Context) -> Cow<'static, str> {
    if ended(state) {
        return Cow::Borrowed("-");
    }
    let expected = set(report, &["expectedCompletionTime"])
        .filter(|_| state == "Active" && set(report, &["startTime"]).is_some());
    let Some(expected) = expected else { return Cow::Borrowed(UNKNOWN) };
    match (instant(Some(expected)), context.now) {
        (Some(time), Some(now)) if time > now => Cow::Owned(format!("in {}", elapsed(now, time))),
        _ => Cow::Owned(ago(expected, context)),
    }
}

/// The first by name of those who still want it, and the number of the others.
fn requesters<'v>(requesters: &'v [Value<'v>]) -> Cow<'static, str> {
    let wanting = requesters.iter().filter(|requester| requester.text(&["intent"]) != "Withdrawn");
    let mut names: Vec<_> = wanting.map(|requester| requester.text(&["name"])).collect();
    names.sort_unstable();
    match (requesters.is_empty(), names.is_empty()) {
        (true, _) => Cow::Borrowed(NONE),
        (false, true) => Cow::Borrowed("<withdrawn>"),
        (false, false) => Cow::Owned(first_few(names.into_iter().map(Cow::Borrowed), 1)),
    }
}
