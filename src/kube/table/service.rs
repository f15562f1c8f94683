//! Services, endpoints and endpoint slices.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::labels::format_labels;
use super::row::{NONE, Row, UNKNOWN, count, decimal, first_few, joined, set_text};
use super::{Printer, column, wide};
use crate::kube::value::Value;

pub(super) static SERVICE: Printer = Printer {
    columns: &[
        column("Name"),
        column("Type"),
        column("Cluster-IP"),
        column("External-IP"),
        column("Port(s)"),
        column("Age"),
        wide("Selector"),
    ],
    print: service,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.type",
        "spec.clusterIP",
        "spec.clusterIPs",
        "spec.externalIPs",
        "spec.externalName",
        "spec.ports",
        "status.loadBalancer.ingress.ip",
        "status.loadBalancer.ingress.hostname",
    ],
    wide_reads: &["spec.selector"],
};

fn service<'v>(service: &'v Value<'v>, row: &mut Row<'v>) {
    let kind = match service.text(&["spec", "type"]) {
        "" => "ClusterIP",
        kind => kind,
    };
    row.name(service);
    row.text(kind);
    row.cell(|| match service.items(&["spec", "clusterIPs"]).first().and_then(Value::as_str) {
        Some(ip) => ip,
        None => match service.text(&["spec", "clusterIP"]) {
            "" => NONE,
            ip => ip,
        },
    });
    row.cell(|| external_ip(service, kind));
    row.cell(|| ports(service.items(&["spec", "ports"])));
    row.age(service);
    row.cell(|| format_labels(service.entries(&["spec", "selector"])));
}

fn external_ip<'v>(service: &'v Value<'v>, kind: &str) -> Cow<'v, str> {
    let external = joined(service.items(&["spec", "externalIPs"]), ",");
    match kind {
        "ClusterIP" | "NodePort" if external.is_empty() => Cow::Borrowed(NONE),
        "ClusterIP" | "NodePort" => external,
        "LoadBalancer" => {
            let balancers = load_balancers(service.items(&["status", "loadBalancer", "ingress"]));
            match (balancers.is_empty(), external.is_empty()) {
                (true, true) => Cow::Borrowed("<pending>"),
                (false, true) => balancers,
                (true, false) => external,
                (false, false) => Cow::Owned(format!("{balancers},{external}")),
            }
        }
        "ExternalName" => Cow::Borrowed(service.text(&["spec", "externalName"])),
        _ => Cow::Borrowed(UNKNOWN),
    }
}

/// Addresses or else names, sorted, each once. Servers always ask for the wide
/// form, which does not cut the text off.
pub(super) fn load_balancers<'v>(ingress: &'v [Value<'v>]) -> Cow<'v, str> {
    let address = |point: &'v Value<'v>| match point.text(&["ip"]) {
        "" => point.text(&["hostname"]),
        ip => ip,
    };
    let addresses: BTreeSet<_> = ingress.iter().map(address).filter(|text| !text.is_empty()).collect();
    match addresses.len() {
        0 | 1 => Cow::Borrowed(addresses.first().copied().unwrap_or_default()),
        _ => Cow::Owned(addresses.into_iter().collect::<Vec<_>>().join(",")),
    }
}

fn ports(ports: &[Value<'_>]) -> Cow<'static, str> {
    if ports.is_empty() {
        return Cow::Borrowed(NONE);
    }
    let port = |port: &Value<'_>| {
        let number = count(port, &["port"]);
        let protocol = match port.text(&["protocol"]) {
            "" => "TCP",
            protocol => protocol,
        };
        match count(port, &["nodePort"]) {
            node @ 1.. => format!("{number}:{node}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    };
    Cow::Owned(ports.iter().map(port).collect::<Vec<_>>().join(","))
}

pub(super) static ENDPOINTS: Printer = Printer {
    columns: &[column("Name"), column("Endpoints"), column("Age")],
    print: |endpoints, row| {
        row.name(endpoints);
        row.cell(|| addresses(endpoints.items(&["subsets"])));
        row.age(endpoints);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "subsets.addresses.ip", "subsets.ports.port"],
    wide_reads: &[],
};

/// Each ready address with each port, three of them.
fn addresses(subsets: &[Value<'_>]) -> Cow<'static, str> {
    const MAX: usize = 3;
    if subsets.is_empty() {
        return Cow::Borrowed(NONE);
    }
    let mut shown = Vec::new();
    let mut total: usize = 0;
    for subset in subsets {
        let addresses = subset.items(&["addresses"]);
        let ports = subset.items(&["ports"]);
        // Headless services may have none.
        let ports = if ports.is_empty() { &[Value::Null] } else { ports };
        for port in ports {
            total = total.saturating_add(addresses.len());
            for address in addresses.iter().take(MAX.saturating_sub(shown.len())) {
                let ip = address.text(&["ip"]);
                shown.push(match (port, ip.contains(':')) {
                    (Value::Null, _) => ip.to_owned(),
                    (port, true) => format!("[{ip}]:{}", count(port, &["port"])),
                    (port, false) => format!("{ip}:{}", count(port, &["port"])),
                });
            }
        }
    }
    let text = shown.join(",");
    Cow::Owned(match total.saturating_sub(MAX) {
        0 => text,
        more => format!("{text} + {more} more..."),
    })
}

pub(super) static ENDPOINT_SLICE: Printer = Printer {
    columns: &[column("Name"), column("AddressType"), column("Ports"), column("Endpoints"), column("Age")],
    print: |slice, row| {
        row.name(slice);
        row.text(slice.text(&["addressType"]));
        row.cell(|| first_few(slice.items(&["ports"]).iter().map(slice_port), 3));
        row.cell(|| {
            let addresses =
                slice.items(&["endpoints"]).iter().flat_map(|endpoint| endpoint.items(&["addresses"]));
            first_few(addresses.map(|address| Cow::Borrowed(address.as_str().unwrap_or_default())), 3)
        });
        row.age(slice);
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "addressType",
        "ports.name",
        "ports.port",
        "endpoints.addresses",
    ],
    wide_reads: &[],
};

/// Without a number the name, which is empty unless told otherwise.
fn slice_port<'v>(port: &'v Value<'v>) -> Cow<'v, str> {
    match port.int(&["port"]) {
        Some(number) => decimal(number),
        None => Cow::Borrowed(set_text(port, &["name"]).unwrap_or_default()),
    }
}
