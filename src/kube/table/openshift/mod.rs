//! OpenShift's own kinds, as far as its API servers keep them in etcd.
//!
//! Those that are custom resources (security context constraints since 4.0, for
//! one) have their columns in their definition, which comes first.
//!
//! Source: openshift-apiserver `pkg/*/printers/internalversion/printer.go` (4.21) and
//! oauth-apiserver `pkg/{oauth,user}/printers/internalversion/printer.go`; networks as in
//! origin `pkg/printers/internalversion/printer.go`, 3.11.

mod apps;
mod build;
mod image;
mod oauth;
mod quota;
mod route;
mod security;
mod template;

use std::cmp::Ordering;

use super::row::{count, decimal, instant, joined};
use super::{DEFAULT, Printer, column};
use crate::kube::value::Value;

/// How a kind of OpenShift is printed. 3.x kept objects under the group of none too.
pub(super) fn printer(group: &str, kind: &str) -> Option<&'static Printer> {
    let in_group = |name: &str| group.strip_suffix(".openshift.io").is_some_and(|prefix| prefix == name);
    if !group.is_empty() && !group.ends_with(".openshift.io") {
        return None;
    }
    let old = group.is_empty();
    match kind {
        "DeploymentConfig" if old || in_group("apps") => Some(&apps::DEPLOYMENT_CONFIG),
        "Build" if old || in_group("build") => Some(&build::BUILD),
        "BuildConfig" if old || in_group("build") => Some(&build::BUILD_CONFIG),
        "Image" if old || in_group("image") => Some(&image::IMAGE),
        "ImageStream" if old || in_group("image") => Some(&image::IMAGE_STREAM),
        "Route" if old || in_group("route") => Some(&route::ROUTE),
        "Template" if old || in_group("template") => Some(&template::TEMPLATE),
        "TemplateInstance" if in_group("template") => Some(&template::TEMPLATE_INSTANCE),
        "BrokerTemplateInstance" if in_group("template") => Some(&template::BROKER_TEMPLATE_INSTANCE),
        "OAuthClient" if old || in_group("oauth") => Some(&oauth::CLIENT),
        "OAuthClientAuthorization" if old || in_group("oauth") => Some(&oauth::CLIENT_AUTHORIZATION),
        "OAuthAccessToken" | "OAuthAuthorizeToken" if old || in_group("oauth") => Some(&oauth::TOKEN),
        "User" if old || in_group("user") => Some(&oauth::USER),
        "Identity" if old || in_group("user") => Some(&oauth::IDENTITY),
        "Group" if old || in_group("user") => Some(&oauth::GROUP),
        "SecurityContextConstraints" if old || in_group("security") => Some(&security::CONSTRAINTS),
        "RangeAllocation" if in_group("security") => Some(&security::RANGE_ALLOCATION),
        "RoleBindingRestriction" if old || in_group("authorization") => {
            Some(&security::ROLE_BINDING_RESTRICTION)
        }
        // Of 3.6 and before; no printer of theirs is left.
        "Policy" | "PolicyBinding" | "ClusterPolicy" | "ClusterPolicyBinding"
            if old || in_group("authorization") =>
        {
            Some(&DEFAULT)
        }
        "ClusterResourceQuota" if old || in_group("quota") => Some(&quota::CLUSTER_RESOURCE_QUOTA),
        "HostSubnet" if old || in_group("network") => Some(&HOST_SUBNET),
        "NetNamespace" if old || in_group("network") => Some(&NET_NAMESPACE),
        "ClusterNetwork" if old || in_group("network") => Some(&CLUSTER_NETWORK),
        "EgressNetworkPolicy" if old || in_group("network") => Some(&EGRESS_NETWORK_POLICY),
        _ => None,
    }
}

/// The order of builds in a list.
pub(super) fn by_age(a: &Value<'_>, b: &Value<'_>) -> Ordering {
    let made = |object: &Value<'_>| instant(object.at(&["metadata", "creationTimestamp"]));
    made(a).cmp(&made(b))
}

static HOST_SUBNET: Printer = Printer {
    columns: &[
        column("Name"),
        column("Host"),
        column("Host IP"),
        column("Subnet"),
        column("Egress CIDRs"),
        column("Egress IPs"),
    ],
    print: |subnet, row| {
        row.name(subnet);
        for field in ["host", "hostIP", "subnet"] {
            row.text(subnet.text(&[field]));
        }
        for field in ["egressCIDRs", "egressIPs"] {
            row.cell(|| format!("[{}]", joined(subnet.items(&[field]), ", ")));
        }
    },
    reads: &["metadata.name", "host", "hostIP", "subnet", "egressCIDRs", "egressIPs"],
    wide_reads: &[],
};

static NET_NAMESPACE: Printer = Printer {
    columns: &[column("Name"), column("NetID"), column("Egress IPs")],
    print: |namespace, row| {
        row.text(namespace.text(&["netname"]));
        row.number(count(namespace, &["netid"]));
        row.cell(|| format!("[{}]", joined(namespace.items(&["egressIPs"]), ", ")));
    },
    reads: &["netname", "netid", "egressIPs"],
    wide_reads: &[],
};

static CLUSTER_NETWORK: Printer = Printer {
    columns: &[column("Name"), column("Cluster Networks"), column("Service Network"), column("Plugin Name")],
    print: |network, row| {
        row.name(network);
        row.cell(|| {
            let entry = |entry: &Value<'_>| {
                let length = decimal(count(entry, &["hostSubnetLength"]));
                format!("{}:{length}", entry.text(&["CIDR"]))
            };
            first_three(network.items(&["clusterNetworks"]).iter().map(entry).collect())
        });
        row.text(network.text(&["serviceNetwork"]));
        row.text(network.text(&["pluginName"]));
    },
    reads: &["metadata.name", "clusterNetworks", "serviceNetwork", "pluginName"],
    wide_reads: &[],
};

static EGRESS_NETWORK_POLICY: Printer = Printer {
    columns: &[column("Name")],
    print: |policy, row| row.name(policy),
    reads: &["metadata.name"],
    wide_reads: &[],
};

/// `a, b, c + 2 more...`
fn first_three(mut texts: Vec<String>) -> String {
    const MAX: usize = 3;
    let more = texts.len().saturating_sub(MAX);
    texts.truncate(MAX);
    let shown = texts.join(", ");
    if more == 0 { shown } else { format!("{shown} + {more} more...") }
}
