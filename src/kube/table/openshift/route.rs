//! Routes.

use std::borrow::Cow;

use super::super::row::{Row, condition, count, scalar, set};
use super::super::{Printer, column};
use crate::kube::value::Value;

pub(super) static ROUTE: Printer = Printer {
    columns: &[
        column("Name"),
        column("Host/Port"),
        column("Path"),
        column("Services"),
        column("Port"),
        column("Termination"),
        column("Wildcard"),
    ],
    print: route,
    reads: &[
        "metadata.name",
        "spec.host",
        "spec.path",
        "spec.to.name",
        "spec.to.weight",
        "spec.alternateBackends.name",
        "spec.alternateBackends.weight",
        "spec.port.targetPort",
        "spec.tls.termination",
        "spec.tls.destinationCACertificate",
        "spec.tls.insecureEdgeTerminationPolicy",
        "spec.wildcardPolicy",
        "status.ingress",
    ],
    wide_reads: &[],
};

fn route<'v>(route: &'v Value<'v>, row: &mut Row<'v>) {
    row.name(route);
    row.cell(|| host(route));
    row.text(route.text(&["spec", "path"]));
    row.cell(|| backends(route));
    row.cell(|| match set(route, &["spec", "port"]) {
        None => Cow::Borrowed("<all>"),
        Some(port) => port.get("targetPort").map_or(Cow::Borrowed(""), scalar),
    });
    row.cell(|| termination(route));
    row.text_or(route.text(&["spec", "wildcardPolicy"]), "None");
}

/// The host under which routers have admitted the route, or why they have not.
fn host<'v>(route: &'v Value<'v>) -> Cow<'v, str> {
    let wanted = route.text(&["spec", "host"]);
    if set(route, &["status", "ingress"]).is_none() {
        return Cow::Borrowed(wanted);
    }
    let (mut host, mut reason, mut matched) = (wanted, "", false);
    let (mut admitted, mut rejected) = (0_usize, 0_usize);
    for ingress in route.items(&["status", "ingress"]) {
        let Some(found) = condition(ingress.items(&["conditions"]), "Admitted") else { continue };
        match found.text(&["status"]) {
            "True" => {
                admitted = admitted.saturating_add(1);
                if !matched {
                    host = ingress.text(&["host"]);
                    matched = host == wanted;
                }
            }
            "False" => {
                rejected = rejected.saturating_add(1);
                reason = found.text(&["reason"]);
            }
            _ => {}
        }
    }
    match (admitted, rejected) {
        (0, 0) => Cow::Borrowed("Pending"),
        (0, _) => Cow::Borrowed(reason),
        (1, 0) => Cow::Borrowed(host),
        (_, 0) => Cow::Owned(format!("{host} ... {} more", admitted.saturating_sub(1))),
        _ => Cow::Owned(format!("{host} ... {rejected} rejected")),
    }
}

/// `a(75%),b(25%)`.
fn backends<'v>(route: &'v Value<'v>) -> String {
    let main = route.at(&["spec", "to"]).into_iter();
    let backends: Vec<_> = main.chain(route.items(&["spec", "alternateBackends"])).collect();
    // What servers fill in.
    let weight = |backend: &Value<'_>| match set(backend, &["weight"]) {
        None => 100,
        Some(_) => count(backend, &["weight"]),
    };
    let total = backends.iter().map(|backend| weight(backend)).fold(0, i64::saturating_add);
    let text = |backend: &&Value<'_>| {
        let name = backend.text(&["name"]);
        match weight(backend).saturating_mul(100).checked_div(total) {
            Some(_) if backends.len() == 1 => name.to_owned(),
            share => format!("{name}({}%)", share.unwrap_or_default()),
        }
    };
    backends.iter().map(text).collect::<Vec<_>>().join(",")
}

fn termination<'v>(route: &'v Value<'v>) -> Cow<'v, str> {
    let Some(tls) = set(route, &["spec", "tls"]) else { return Cow::Borrowed("") };
    let termination = match tls.text(&["termination"]) {
        "" if tls.text(&["destinationCACertificate"]).is_empty() => "edge",
        "Edge" => "edge",
        "Reencrypt" => "reencrypt",
        "Passthrough" => "passthrough",
        termination => termination,
    };
    match (termination, tls.text(&["insecureEdgeTerminationPolicy"])) {
        (termination, "") => Cow::Borrowed(termination),
        ("", insecure) => Cow::Owned(format!("default/{insecure}")),
        (termination, insecure) => Cow::Owned(format!("{termination}/{insecure}")),
    }
}
