//! The columns that the API server prints for each built-in kind.
//!
//! `kubectl get` shows a table that the server has made: a [`Printer`] has the
//! columns of a kind and makes the cells of one object of it, from the object in
//! the version it is stored in. The server converts to its internal types first
//! and fills in defaults; so does a printer, where a cell depends on it.
//!
//! Releases print differently. Columns say from and up to which release they are
//! there, and [`Context::release`] chooses; the newest known is 1.37.
//!
//! Source: kubernetes `pkg/printers/internalversion/printers.go`, 1.14 to 1.37, and
//! the defaults and conversions in `pkg/apis`; `rest/table.go` of apiserver and
//! `apiservice/etcd/etcd.go` of kube-aggregator; OpenShift as said in `openshift`.

mod admission;
mod apis;
mod autoscaling;
mod certificates;
mod core;
mod eviction;
mod flow;
mod labels;
mod network;
mod node;
mod openshift;
mod pod;
mod policy;
mod rbac;
mod resource_claims;
mod row;
mod scheduling;
mod service;
mod storage;
mod workloads;

use std::borrow::Cow;
use std::cmp::Ordering;

use self::row::Row;
use super::unix_time::UnixTime;
use super::value::Value;

pub use self::storage::effective_default_storage_class;

/// The minor release whose tables are printed if nothing else is known.
pub const NEWEST_RELEASE: u16 = 37;

/// One column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// As the server has it, `Cluster-IP`; kubectl shows it in capitals.
    pub name: &'static str,
    /// Shown with `-o wide` only.
    pub wide: bool,
    /// The first minor release that has the column.
    since: u16,
    /// The last one.
    until: u16,
}

const fn column(name: &'static str) -> Column {
    Column { name, wide: false, since: 0, until: u16::MAX }
}

const fn wide(name: &'static str) -> Column {
    Column { name, wide: true, since: 0, until: u16::MAX }
}

impl Column {
    const fn since(self, since: u16) -> Self {
        Self { since, ..self }
    }

    const fn until(self, until: u16) -> Self {
        Self { until, ..self }
    }
}

/// What a table depends on besides the object.
#[derive(Debug, Clone)]
pub struct Context {
    /// The moment that ages are counted up to. Without it they are `<unknown>`.
    pub now: Option<UnixTime>,
    /// The 36 of Kubernetes 1.36: the release whose server is answering.
    pub release: u16,
    /// Whether columns of `-o wide` are wanted.
    pub wide: bool,
    /// The storage class that servers from 1.37 on mark as default, in lists; see
    /// [`effective_default_storage_class`].
    pub default_storage_class: Option<String>,
}

impl Context {
    /// Of the newest release, not wide.
    pub fn new(now: Option<UnixTime>) -> Self {
        Self { now, release: NEWEST_RELEASE, wide: false, default_storage_class: None }
    }

    fn shows(&self, column: &Column) -> bool {
        (self.wide || !column.wide) && (column.since..=column.until).contains(&self.release)
    }
}

/// Makes the cells of all columns, shown or not, in their order.
type Print = for<'v> fn(&'v Value<'v>, &mut Row<'v>);

/// How objects of one kind are shown in a table.
#[derive(Debug)]
pub struct Printer {
    columns: &'static [Column],
    print: Print,
    reads: &'static [&'static str],
    wide_reads: &'static [&'static str],
}

impl Printer {
    /// The columns that are shown.
    pub fn columns<'c>(&self, context: &'c Context) -> impl Iterator<Item = &'static Column> + use<'c> {
        self.columns.iter().filter(|column| context.shows(column))
    }

    /// The cells of `object`, as many as [`columns`](Self::columns).
    pub fn cells<'v>(&self, object: &'v Value<'v>, context: &'v Context) -> Vec<Cow<'v, str>> {
        let mut row = Row::new(self.columns, context);
        (self.print)(object, &mut row);
        row.finish()
    }

    /// The fields that cells are made of, as paths through maps and through the
    /// elements of lists: `status.conditions.type`. A decoder may leave out all
    /// others. A path ends at a whole value; of a path that ends in `{}` only the
    /// keys matter, as with a Secret's `data{}`. `apiVersion` goes without saying.
    pub fn reads(&self, wide: bool) -> impl Iterator<Item = &'static str> + use<> {
        let more = if wide { self.wide_reads } else { &[] };
        self.reads.iter().chain(more).copied()
    }
}

/// How the kind of a group is printed; `None` if it is not built in.
///
/// The version does not matter: printers look at the `apiVersion` of an object
/// where versions differ.
pub fn printer(group: &str, kind: &str) -> Option<&'static Printer> {
    match group {
        "" => core::printer(kind),
        "events.k8s.io" if kind == "Event" => Some(&core::EVENT),
        "apps" => workloads::printer(kind),
        "extensions" => match kind {
            "Ingress" | "NetworkPolicy" => network::printer(kind),
            "PodSecurityPolicy" => policy::printer(kind),
            "ReplicationController" => None,
            _ => workloads::printer(kind),
        },
        "batch" => workloads::batch_printer(kind),
        "autoscaling" if kind == "HorizontalPodAutoscaler" => Some(&autoscaling::AUTOSCALER),
        "policy" => policy::printer(kind),
        "networking.k8s.io" => network::printer(kind),
        "discovery.k8s.io" if kind == "EndpointSlice" => Some(&service::ENDPOINT_SLICE),
        "rbac.authorization.k8s.io" => rbac::printer(kind),
        "storage.k8s.io" => storage::printer(kind),
        "coordination.k8s.io" => core::coordination_printer(kind),
        "certificates.k8s.io" => certificates::printer(kind),
        "admissionregistration.k8s.io" => admission::printer(kind),
        "flowcontrol.apiserver.k8s.io" => flow::printer(kind),
        "resource.k8s.io" => resource_claims::printer(kind),
        "scheduling.k8s.io" => scheduling::printer(kind),
        "node.k8s.io" if kind == "RuntimeClass" => Some(&scheduling::RUNTIME_CLASS),
        "lifecycle.k8s.io" => eviction::printer(kind),
        "apiregistration.k8s.io"
        | "apiextensions.k8s.io"
        | "internal.apiserver.k8s.io"
        | "storagemigration.k8s.io"
        | "settings.k8s.io"
        | "auditregistration.k8s.io" => apis::printer(kind),
        _ => openshift::printer(group, kind),
    }
}

/// The order of two rows, for the few kinds whose tables are not in the order of
/// the keys in etcd. A server sorts what it sends at once, kubectl asks for five
/// hundred at a time.
pub fn row_order(group: &str, kind: &str) -> Option<fn(&Value<'_>, &Value<'_>) -> Ordering> {
    match (group, kind) {
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => Some(flow::by_precedence),
        ("" | "build.openshift.io", "Build") => Some(openshift::by_age),
        _ => None,
    }
}

/// The table of kinds that have no columns of their own.
pub static DEFAULT: Printer = Printer {
    columns: &[column("Name"), column("Age").until(14), column("Created At").since(15)],
    print: |object, row| {
        row.name(object);
        row.age(object);
        row.created(object);
    },
    reads: &["metadata.name", "metadata.creationTimestamp"],
    wide_reads: &[],
};

#[cfg(test)]
mod tests;
