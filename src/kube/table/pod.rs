//! Pods: STATUS, READY and RESTARTS are worked out from the containers.

use std::borrow::Cow;

use super::row::{NONE, Row, condition, count, decimal, holds, instant, set};
use super::{Context, Printer, column, wide};
use crate::kube::unix_time::UnixTime;
use crate::kube::value::Value;

pub(super) static POD: Printer = Printer {
    columns: &[
        column("Name"),
        column("Ready"),
        column("Status"),
        column("Restarts"),
        column("Age"),
        wide("IP"),
        wide("Node"),
        wide("Nominated Node"),
        wide("Readiness Gates"),
    ],
    print: pod,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "spec.containers.name",
        "spec.initContainers.name",
        "spec.initContainers.restartPolicy",
        "status.phase",
        "status.reason",
        "status.conditions.type",
        "status.conditions.status",
        "status.conditions.reason",
        "status.initContainerStatuses.name",
        "status.initContainerStatuses.ready",
        "status.initContainerStatuses.started",
        "status.initContainerStatuses.restartCount",
        "status.initContainerStatuses.state",
        "status.initContainerStatuses.lastState.terminated.finishedAt",
        "status.containerStatuses.ready",
        "status.containerStatuses.restartCount",
        "status.containerStatuses.state",
        "status.containerStatuses.lastState.terminated.finishedAt",
    ],
    wide_reads: &[
        "status.podIP",
        "status.podIPs.ip",
        "status.nominatedNodeName",
        "spec.nodeName",
        "spec.readinessGates.conditionType",
    ],
};

fn pod<'v>(pod: &'v Value<'v>, row: &mut Row<'v>) {
    let context = row.context;
    let summary = Summary::of(pod, context.release);
    row.name(pod);
    row.cell(|| match (summary.ready, summary.total) {
        (0, 1) => Cow::Borrowed("0/1"),
        (1, 1) => Cow::Borrowed("1/1"),
        (ready, total) => Cow::Owned(format!("{ready}/{total}")),
    });
    row.cell(|| summary.reason);
    row.cell(|| restarts(summary.restarts, context));
    row.age(pod);
    row.text_or(pod_ip(pod), NONE);
    row.text_or(pod.text(&["spec", "nodeName"]), NONE);
    row.text_or(pod.text(&["status", "nominatedNodeName"]), NONE);
    row.cell(|| readiness_gates(pod));
}

fn restarts(restarts: Restarts, context: &Context) -> Cow<'static, str> {
    match restarts.last {
        // Up to 1.27 there could be a date without a restart.
        Some(time) if context.release >= 22 && (restarts.count != 0 || context.release < 28) => {
            Cow::Owned(format!("{} ({} ago)", restarts.count, context.since(Some(time))))
        }
        _ => decimal(restarts.count),
    }
}

/// The single address is the elder field and wins over the list.
fn pod_ip<'v>(pod: &'v Value<'v>) -> &'v str {
    match pod.text(&["status", "podIP"]) {
        "" => pod.items(&["status", "podIPs"]).first().map(|ip| ip.text(&["ip"])).unwrap_or_default(),
        ip => ip,
    }
}

fn readiness_gates(pod: &Value<'_>) -> Cow<'static, str> {
    let gates = pod.items(&["spec", "readinessGates"]);
    if gates.is_empty() {
        return Cow::Borrowed(NONE);
    }
    let conditions = pod.items(&["status", "conditions"]);
    let open = gates.iter().filter(|gate| holds(conditions, gate.text(&["conditionType"]))).count();
    Cow::Owned(format!("{open}/{}", gates.len()))
}

struct Summary<'v> {
    reason: Cow<'v, str>,
    ready: usize,
    total: usize,
    restarts: Restarts,
}

/// What has become of the init containers.
struct Initialization {
    initializing: bool,
    all: Restarts,
    of_sidecars: Restarts,
}

/// What containers of one sort have added up to.
#[derive(Default, Clone, Copy)]
struct Restarts {
    count: i64,
    last: Option<UnixTime>,
}

impl Restarts {
    fn add(&mut self, status: &Value<'_>) {
        self.count = self.count.saturating_add(count(status, &["restartCount"]));
        self.last = self.last.max(instant(status.at(&["lastState", "terminated", "finishedAt"])));
    }
}

impl<'v> Summary<'v> {
    fn of(pod: &'v Value<'v>, release: u16) -> Self {
        let conditions = pod.items(&["status", "conditions"]);
        let phase = pod.text(&["status", "phase"]);
        let given = pod.text(&["status", "reason"]);
        let mut summary = Self {
            reason: Cow::Borrowed(if given.is_empty() { phase } else { given }),
            ready: 0,
            total: pod.items(&["spec", "containers"]).len(),
            restarts: Restarts::default(),
        };
        let gated = |condition: &Value<'_>| {
            condition.text(&["type"]) == "PodScheduled" && condition.text(&["reason"]) == "SchedulingGated"
        };
        if release >= 26 && conditions.iter().any(gated) {
            summary.reason = Cow::Borrowed("SchedulingGated");
        }

        let init = summary.init_containers(pod, release);
        let initialized = release >= 28
            && condition(conditions, "Initialized").is_some_and(|found| found.text(&["status"]) == "True");
        let restarts = if !init.initializing || initialized {
            // Up to 1.27 the date was that of the init containers too.
            let last = if release < 28 { init.all.last } else { init.of_sidecars.last };
            summary.containers(pod, release, Restarts { last, ..init.of_sidecars })
        } else {
            init.all
        };

        if set(pod, &["metadata", "deletionTimestamp"]).is_some() {
            if given == "NodeLost" {
                summary.reason = Cow::Borrowed("Unknown");
            } else if release < 31 || !matches!(phase, "Succeeded" | "Failed") {
                summary.reason = Cow::Borrowed("Terminating");
            }
        }
        summary.restarts = restarts;
        summary
    }

    /// Goes through the init containers up to the first that has yet to finish.
    ///
    /// Those that restart always, sidecars, count as containers once started.
    fn init_containers(&mut self, pod: &'v Value<'v>, release: u16) -> Initialization {
        let specs = pod.items(&["spec", "initContainers"]);
        let always = |spec: &Value<'_>| release >= 28 && spec.text(&["restartPolicy"]) == "Always";
        self.total = self.total.saturating_add(specs.iter().filter(|spec| always(spec)).count());

        let mut all = Restarts::default();
        let mut of_sidecars = Restarts::default();
        let mut initializing = false;
        for (index, status) in pod.items(&["status", "initContainerStatuses"]).iter().enumerate() {
            let name = status.text(&["name"]);
            let sidecar = specs.iter().rfind(|spec| spec.text(&["name"]) == name).is_some_and(always);
            all.add(status);
            if sidecar {
                of_sidecars.add(status);
            }
            let terminated = set(status, &["state", "terminated"]);
            if terminated.is_some_and(|state| count(state, &["exitCode"]) == 0) {
                continue;
            }
            if sidecar && status.is_true(&["started"]) {
                if status.is_true(&["ready"]) {
                    self.ready = self.ready.saturating_add(1);
                }
                continue;
            }
            let waiting = status.text(&["state", "waiting", "reason"]);
            self.reason = Cow::Owned(match terminated {
                Some(state) => format!("Init:{}", exit(state)),
                None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
                None => format!("Init:{index}/{}", specs.len()),
            });
            initializing = true;
            break;
        }
        Initialization { initializing, all, of_sidecars }
    }

    /// Goes through the containers proper; returns their restarts and those
    /// `before`.
    fn containers(&mut self, pod: &'v Value<'v>, release: u16, before: Restarts) -> Restarts {
        let mut running = false;
        let mut error = None;
        let mut restarts = before;
        for status in pod.items(&["status", "containerStatuses"]).iter().rev() {
            restarts.add(status);
            let waiting = status.text(&["state", "waiting", "reason"]);
            if !waiting.is_empty() {
                self.reason = Cow::Borrowed(waiting);
            } else if let Some(state) = set(status, &["state", "terminated"]) {
                self.reason = exit(state);
                if count(state, &["exitCode"]) != 0 {
                    error = Some(self.reason.clone());
                }
            } else if status.is_true(&["ready"]) && set(status, &["state", "running"]).is_some() {
                running = true;
                self.ready = self.ready.saturating_add(1);
            }
        }
        // One container has completed, but the pod has not while others run.
        if self.reason == "Completed" {
            let ready = pod.items(&["status", "conditions"]).iter().any(|condition| {
                condition.text(&["type"]) == "Ready" && condition.text(&["status"]) == "True"
            });
            match error {
                _ if running && (ready || release < 18) => self.reason = Cow::Borrowed("Running"),
                Some(error) if release >= 35 => self.reason = error,
                _ if running => self.reason = Cow::Borrowed("NotReady"),
                _ => {}
            }
        }
        restarts
    }
}

/// Why a container has ended.
fn exit<'v>(state: &'v Value<'v>) -> Cow<'v, str> {
    match (state.text(&["reason"]), count(state, &["signal"])) {
        ("", 0) => Cow::Owned(format!("ExitCode:{}", count(state, &["exitCode"]))),
        ("", signal) => Cow::Owned(format!("Signal:{signal}")),
        (reason, _) => Cow::Borrowed(reason),
    }
}
