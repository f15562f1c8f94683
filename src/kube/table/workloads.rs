//! Controllers of pods: `apps`, `extensions`, `batch` and replication controllers.

use std::borrow::Cow;

use super::labels::{format_labels, format_selector, workload_selector};
use super::row::{NONE, Row, count, decimal, elapsed, holds, instant, length, set, set_text};
use super::{Printer, column, wide};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "Deployment" => &DEPLOYMENT,
        "ReplicaSet" => &REPLICA_SET,
        "DaemonSet" => &DAEMON_SET,
        "StatefulSet" => &STATEFUL_SET,
        "ControllerRevision" => &CONTROLLER_REVISION,
        _ => return None,
    })
}

pub(super) fn batch_printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "Job" => &JOB,
        "CronJob" => &CRON_JOB,
        _ => return None,
    })
}

const CONTAINERS: &[&str] = &[
    "spec.template.spec.containers.name",
    "spec.template.spec.containers.image",
    "spec.selector",
    "spec.template.metadata.labels",
];

pub(super) static POD_TEMPLATE: Printer = Printer {
    columns: &[column("Name"), column("Containers"), column("Images"), column("Pod Labels")],
    print: |template, row| {
        row.name(template);
        containers(template.items(&["template", "spec", "containers"]), row);
        row.cell(|| format_labels(template.entries(&["template", "metadata", "labels"])));
    },
    reads: &[
        "metadata.name",
        "template.metadata.labels",
        "template.spec.containers.name",
        "template.spec.containers.image",
    ],
    wide_reads: &[],
};

pub(super) static REPLICATION_CONTROLLER: Printer = Printer {
    columns: REPLICA_COLUMNS,
    print: |controller, row| {
        replicas(controller, row);
        row.cell(|| match controller.entries(&["spec", "selector"]) {
            [] => format_labels(controller.entries(&["spec", "template", "metadata", "labels"])),
            own => format_labels(own),
        });
    },
    reads: REPLICA_READS,
    wide_reads: CONTAINERS,
};

pub(super) static REPLICA_SET: Printer = Printer {
    columns: REPLICA_COLUMNS,
    print: |set, row| {
        replicas(set, row);
        row.cell(|| none_or_error(workload_selector(set)));
    },
    reads: REPLICA_READS,
    wide_reads: CONTAINERS,
};

const REPLICA_COLUMNS: &[super::Column] = &[
    column("Name"),
    column("Desired"),
    column("Current"),
    column("Ready"),
    column("Age"),
    wide("Containers"),
    wide("Images"),
    wide("Selector"),
];

const REPLICA_READS: &[&str] = &[
    "metadata.name",
    "metadata.creationTimestamp",
    "spec.replicas",
    "status.replicas",
    "status.readyReplicas",
];

fn replicas<'v>(object: &'v Value<'v>, row: &mut Row<'v>) {
    row.name(object);
    row.number(desired(object));
    row.number(count(object, &["status", "replicas"]));
    row.number(count(object, &["status", "readyReplicas"]));
    row.age(object);
    template_containers(object, row);
}

/// Replicas are one unless told otherwise.
fn desired(object: &Value<'_>) -> i64 {
    object.int(&["spec", "replicas"]).unwrap_or(1)
}

fn template_containers<'v>(object: &'v Value<'v>, row: &mut Row<'v>) {
    containers(object.items(&["spec", "template", "spec", "containers"]), row);
}

/// Names and images.
fn containers<'v>(containers: &'v [Value<'v>], row: &mut Row<'v>) {
    for field in ["name", "image"] {
        row.cell(|| match containers {
            [one] => Cow::Borrowed(one.text(&[field])),
            _ => Cow::Owned(containers.iter().map(|one| one.text(&[field])).collect::<Vec<_>>().join(",")),
        });
    }
}

fn none_or_error(selector: Result<String, super::labels::BadSelector>) -> Cow<'static, str> {
    match selector {
        Ok(text) if text.is_empty() => Cow::Borrowed(NONE),
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed("<error>"),
    }
}

static DEPLOYMENT: Printer = Printer {
    columns: &[
        column("Name"),
        column("Ready"),
        column("Up-to-date"),
        column("Available"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    print: |deployment, row| {
        row.name(deployment);
        row.cell(|| format!("{}/{}", count(deployment, &["status", "readyReplicas"]), desired(deployment)));
        row.number(count(deployment, &["status", "updatedReplicas"]));
        row.number(count(deployment, &["status", "availableReplicas"]));
        row.age(deployment);
        template_containers(deployment, row);
        row.cell(|| workload_selector(deployment).unwrap_or_else(|_| "<invalid>".to_owned()));
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.replicas",
        "status.readyReplicas",
        "status.updatedReplicas",
        "status.availableReplicas",
    ],
    wide_reads: CONTAINERS,
};

static DAEMON_SET: Printer = Printer {
    columns: &[
        column("Name"),
        column("Desired"),
        column("Current"),
        column("Ready"),
        column("Up-to-date"),
        column("Available"),
        column("Node Selector"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    print: |set, row| {
        row.name(set);
        for field in [
            "desiredNumberScheduled",
            "currentNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
        ] {
            row.number(count(set, &["status", field]));
        }
        row.cell(|| format_labels(set.entries(&["spec", "template", "spec", "nodeSelector"])));
        row.age(set);
        template_containers(set, row);
        row.cell(|| none_or_error(workload_selector(set)));
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.template.spec.nodeSelector",
        "status.desiredNumberScheduled",
        "status.currentNumberScheduled",
        "status.numberReady",
        "status.updatedNumberScheduled",
        "status.numberAvailable",
    ],
    wide_reads: CONTAINERS,
};

static STATEFUL_SET: Printer = Printer {
    columns: &[column("Name"), column("Ready"), column("Age"), wide("Containers"), wide("Images")],
    print: |set, row| {
        row.name(set);
        row.cell(|| format!("{}/{}", count(set, &["status", "readyReplicas"]), desired(set)));
        row.age(set);
        template_containers(set, row);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec.replicas", "status.readyReplicas"],
    wide_reads: CONTAINERS,
};

static CONTROLLER_REVISION: Printer = Printer {
    columns: &[column("Name"), column("Controller"), column("Revision"), column("Age")],
    print: |revision, row| {
        row.name(revision);
        row.cell(|| controller(revision));
        row.number(count(revision, &["revision"]));
        row.age(revision);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "metadata.ownerReferences", "revision"],
    wide_reads: &[],
};

/// `statefulset.apps/web`.
fn controller(object: &Value<'_>) -> Cow<'static, str> {
    let owners = object.items(&["metadata", "ownerReferences"]);
    let Some(owner) = owners.iter().find(|owner| owner.is_true(&["controller"])) else {
        return Cow::Borrowed(NONE);
    };
    let (kind, name) = (owner.text(&["kind"]), owner.text(&["name"]));
    Cow::Owned(match owner.text(&["apiVersion"]).rsplit_once('/') {
        Some((group, _)) if !group.is_empty() => {
            format!("{}/{name}", format!("{kind}.{group}").to_lowercase())
        }
        _ if kind.is_empty() => name.to_owned(),
        _ => format!("{}/{name}", kind.to_lowercase()),
    })
}

static JOB: Printer = Printer {
    columns: &[
        column("Name"),
        column("Status").since(30),
        column("Completions"),
        column("Duration"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    print: job,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "spec.completions",
        "spec.parallelism",
        "status.conditions.type",
        "status.conditions.status",
        "status.succeeded",
        "status.startTime",
        "status.completionTime",
    ],
    wide_reads: CONTAINERS,
};

fn job<'v>(job: &'v Value<'v>, row: &mut Row<'v>) {
    let context = row.context;
    row.name(job);
    row.cell(|| job_status(job, context.release));
    row.cell(|| {
        let done = decimal(count(job, &["status", "succeeded"]));
        match (job.int(&["spec", "completions"]), count(job, &["spec", "parallelism"])) {
            (Some(wanted), _) => format!("{done}/{wanted}"),
            (None, parallel @ 2..) => format!("{done}/1 of {parallel}"),
            (None, _) => format!("{done}/1"),
        }
    });
    row.cell(|| match (set(job, &["status", "startTime"]), set(job, &["status", "completionTime"])) {
        (None, _) => Cow::Borrowed(""),
        (start, None) => context.since(instant(start)),
        (start, end) => match (instant(start), instant(end)) {
            (Some(start), Some(end)) => Cow::Owned(elapsed(start, end)),
            _ => context.since(None),
        },
    });
    row.age(job);
    template_containers(job, row);
    row.cell(|| format_selector(set(job, &["spec", "selector"])));
}

fn job_status(job: &Value<'_>, release: u16) -> &'static str {
    let conditions = job.items(&["status", "conditions"]);
    if holds(conditions, "Complete") {
        "Complete"
    } else if holds(conditions, "Failed") {
        "Failed"
    } else if set(job, &["metadata", "deletionTimestamp"]).is_some() {
        "Terminating"
    } else if holds(conditions, "Suspended") {
        "Suspended"
    } else if holds(conditions, "FailureTarget") {
        "FailureTarget"
    } else if release >= 34 && holds(conditions, "SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

static CRON_JOB: Printer = Printer {
    columns: &[
        column("Name"),
        column("Schedule"),
        column("Timezone").since(30),
        column("Suspend"),
        column("Active"),
        column("Last Schedule"),
        column("Age"),
        wide("Containers"),
        wide("Images"),
        wide("Selector"),
    ],
    print: cron_job,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.schedule",
        "spec.timeZone",
        "spec.suspend",
        "status.active.name",
        "status.lastScheduleTime",
    ],
    wide_reads: &[
        "spec.jobTemplate.spec.template.spec.containers.name",
        "spec.jobTemplate.spec.template.spec.containers.image",
        "spec.jobTemplate.spec.selector",
    ],
};

fn cron_job<'v>(cron: &'v Value<'v>, row: &mut Row<'v>) {
    let context = row.context;
    row.name(cron);
    row.text(cron.text(&["spec", "schedule"]));
    row.cell(|| set_text(cron, &["spec", "timeZone"]).unwrap_or(NONE));
    row.cell(|| if cron.is_true(&["spec", "suspend"]) { "True" } else { "False" });
    row.number(length(cron.items(&["status", "active"]).len()));
    row.cell(|| match set(cron, &["status", "lastScheduleTime"]) {
        None => Cow::Borrowed(NONE),
        time => context.since(instant(time)),
    });
    row.age(cron);
    containers(cron.items(&["spec", "jobTemplate", "spec", "template", "spec", "containers"]), row);
    row.cell(|| format_selector(set(cron, &["spec", "jobTemplate", "spec", "selector"])));
}
