//! `networking.k8s.io`, with what used to be in `extensions`.

use std::borrow::Cow;

use super::labels::format_selector;
use super::row::{NONE, Row, count, decimal, joined, set, set_text};
use super::service::load_balancers;
use super::{Printer, column, wide};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "Ingress" => &INGRESS,
        "IngressClass" => &INGRESS_CLASS,
        "NetworkPolicy" => &NETWORK_POLICY,
        "ServiceCIDR" => &SERVICE_CIDR,
        "IPAddress" => &IP_ADDRESS,
        "ClusterCIDR" => &CLUSTER_CIDR,
        _ => return None,
    })
}

static INGRESS: Printer = Printer {
    columns: &[
        column("Name"),
        column("Class").since(18),
        column("Hosts"),
        column("Address"),
        column("Ports"),
        column("Age"),
    ],
    print: |ingress, row| {
        row.name(ingress);
        row.cell(|| set_text(ingress, &["spec", "ingressClassName"]).unwrap_or(NONE));
        row.cell(|| hosts(ingress.items(&["spec", "rules"])));
        row.cell(|| load_balancers(ingress.items(&["status", "loadBalancer", "ingress"])));
        row.cell(|| if ingress.items(&["spec", "tls"]).is_empty() { "80" } else { "80, 443" });
        row.age(ingress);
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.ingressClassName",
        "spec.rules.host",
        "spec.tls.secretName",
        "status.loadBalancer.ingress.ip",
        "status.loadBalancer.ingress.hostname",
    ],
    wide_reads: &[],
};

/// Three hosts; of the others the number of rules, be they for a host or not.
fn hosts<'v>(rules: &'v [Value<'v>]) -> Cow<'v, str> {
    const MAX: usize = 3;
    let mut shown = Vec::new();
    let mut more = false;
    for rule in rules {
        more = more || shown.len() == MAX;
        let host = rule.text(&["host"]);
        if !more && !host.is_empty() {
            shown.push(host);
        }
    }
    match shown.as_slice() {
        [] => Cow::Borrowed("*"),
        [one] => Cow::Borrowed(one),
        some if more => {
            Cow::Owned(format!("{} + {} more...", some.join(","), rules.len().saturating_sub(MAX)))
        }
        some => Cow::Owned(some.join(",")),
    }
}

static INGRESS_CLASS: Printer = Printer {
    columns: &[column("Name"), column("Controller"), column("Parameters"), column("Age")],
    print: ingress_class,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.annotations",
        "spec.controller",
        "spec.parameters",
    ],
    wide_reads: &[],
};

fn ingress_class<'v>(class: &'v Value<'v>, row: &mut Row<'v>) {
    let marked = row.context.release >= 36;
    row.cell(|| {
        let name = class.text(&["metadata", "name"]);
        let mark = class.text(&["metadata", "annotations", "ingressclass.kubernetes.io/is-default-class"]);
        match mark == "true" && marked {
            true => Cow::Owned(format!("{name} (default)")),
            false => Cow::Borrowed(name),
        }
    });
    row.text(class.text(&["spec", "controller"]));
    row.cell(|| match set(class, &["spec", "parameters"]) {
        None => Cow::Borrowed(NONE),
        Some(parameters) => {
            let (kind, name) = (parameters.text(&["kind"]), parameters.text(&["name"]));
            Cow::Owned(match set_text(parameters, &["apiGroup"]) {
                None => format!("{kind}/{name}"),
                Some(group) => format!("{kind}.{group}/{name}"),
            })
        }
    });
    row.age(class);
}

static NETWORK_POLICY: Printer = Printer {
    columns: &[column("Name"), column("Pod-Selector"), column("Age")],
    print: |policy, row| {
        row.name(policy);
        row.cell(|| format_selector(set(policy, &["spec", "podSelector"])));
        row.age(policy);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec.podSelector"],
    wide_reads: &[],
};

static SERVICE_CIDR: Printer = Printer {
    columns: &[column("Name"), column("CIDRs"), column("Age")],
    print: |cidr, row| {
        row.name(cidr);
        row.cell(|| joined(cidr.items(&["spec", "cidrs"]), ","));
        row.age(cidr);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec.cidrs"],
    wide_reads: &[],
};

static IP_ADDRESS: Printer = Printer {
    columns: &[column("Name"), column("ParentRef")],
    print: |address, row| {
        row.name(address);
        row.cell(|| match set(address, &["spec", "parentRef"]) {
            None => Cow::Borrowed(NONE),
            Some(parent) => Cow::Owned(reference(parent)),
        });
    },
    reads: &["metadata.name", "spec.parentRef"],
    wide_reads: &[],
};

/// `services/default/web`.
fn reference(parent: &Value<'_>) -> String {
    let mut text = parent.text(&["resource"]).to_lowercase();
    for (mark, part) in
        [(".", parent.text(&["group"]).to_lowercase().as_str()), ("/", parent.text(&["namespace"]))]
    {
        if !part.is_empty() {
            text.push_str(mark);
            text.push_str(part);
        }
    }
    text.push('/');
    text.push_str(parent.text(&["name"]));
    text
}

static CLUSTER_CIDR: Printer = Printer {
    columns: &[
        column("Name"),
        column("PerNodeHostBits"),
        column("IPv4"),
        column("IPv6"),
        column("Age"),
        wide("NodeSelector"),
    ],
    print: |cidr, row| {
        row.name(cidr);
        row.cell(|| decimal(count(cidr, &["spec", "perNodeHostBits"])));
        row.text_or(cidr.text(&["spec", "ipv4"]), NONE);
        row.text_or(cidr.text(&["spec", "ipv6"]), NONE);
        row.age(cidr);
        row.cell(|| match set(cidr, &["spec", "nodeSelector"]) {
            None => Cow::Borrowed(NONE),
            Some(selector) => Cow::Owned(node_selector(selector.items(&["nodeSelectorTerms"]))),
        });
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "spec"],
    wide_reads: &[],
};

/// As Go prints its structs: `MatchExpressions: [{zone In [a b]}]`.
fn node_selector(terms: &[Value<'_>]) -> String {
    let mut texts = Vec::new();
    for term in terms {
        for (name, field) in [("MatchExpressions", "matchExpressions"), ("MatchFields", "matchFields")] {
            let requirements = term.items(&[field]);
            if requirements.is_empty() {
                continue;
            }
            let requirement = |requirement: &Value<'_>| {
                let (key, operator) = (requirement.text(&["key"]), requirement.text(&["operator"]));
                format!("{{{key} {operator} [{}]}}", joined(requirement.items(&["values"]), " "))
            };
            let requirements: Vec<_> = requirements.iter().map(requirement).collect();
            texts.push(format!("{name}: [{}]", requirements.join(" ")));
        }
    }
    texts.join(",")
}
