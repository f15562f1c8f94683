//! What an export came to, for stderr.

use std::collections::BTreeMap;
use std::path::Path;

use etcdsnap::kube::manifest::left_out::Switch;
use etcdsnap::kube::manifest::scope::List;
use etcdsnap::ops::export::{NamespacesLeft, Partly, Report};

use crate::cli::output::size::grouped;
use crate::cli::output::text::{count, safe, shown};

/// Objects that are named, without -v.
const NAMED: usize = 5;

pub(super) fn lines(report: &Report, directory: Option<&Path>, redacted: bool, verbose: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let total = report.total();
    let place = directory.map_or_else(String::new, |directory| format!(" to {}", shown(directory)));
    lines.push(match total {
        0 => format!("No resources found at revision {}", report.revision),
        _ => format!(
            "exported {}{place}, as of revision {}",
            count(total, "object", "objects"),
            report.revision
        ),
    });
    if verbose {
        lines.extend(
            report
                .written
                .iter()
                .map(|(name, number)| format!("  {} {}", grouped(*number), safe(name.as_bytes()))),
        );
    }
    if report.needed > 0 {
        lines.push(format!("  {} of them because the others need them", grouped(report.needed)));
    }
    for (reason, types) in &report.left_out {
        lines.push(format!("left out: {}: {}", reason.words(), names(types)));
    }
    let mut switches: Vec<&str> = report.left_out.keys().map(|reason| switch(reason.switch())).collect();
    switches.dedup();
    if !switches.is_empty() {
        lines.push(format!("  hint: {} would write them too", switches.join(", ")));
    }
    for (reason, types) in &report.unreadable {
        lines.push(format!("warning: could not be exported: {}: {}", names(types), safe(reason.as_bytes())));
    }
    if report.unreadable.keys().any(|reason| reason.starts_with("encrypted")) {
        lines.push(
            "  hint: --encryption-config names the API server's key file; `etcdsnap encryption FILE` tells what it must open"
                .to_owned(),
        );
    }
    for (partly, types) in &report.partial {
        let what = match partly {
            Partly::UnknownFields => "have fields that this version does not know and left out",
            Partly::Altered => {
                "have text that is not UTF-8 or fields that are there twice, written as servers would show them"
            }
        };
        lines.push(format!("warning: {} {what}", names(types)));
    }
    for (list, pattern) in &report.met_nothing {
        lines.push(format!("warning: {} {}: nothing fits it", option(*list), safe(pattern.as_bytes())));
    }
    for namespace in &report.nowhere {
        let namespace = safe(namespace.as_bytes());
        lines.push(format!("warning: --namespace-map: nothing that is written is in namespace {namespace}"));
    }
    notes(report, verbose, &mut lines);
    next(report, directory, redacted, &mut lines);
    lines
}

fn notes(report: &Report, verbose: bool, lines: &mut Vec<String>) {
    let converted = report.converted.values().flat_map(|types| types.values()).sum();
    if converted > 0 {
        lines.push(format!(
            "note: {} in another version of the API than stored: newer servers refuse the old one (--keep api-versions){}",
            count(converted, "object is written", "objects are written"),
            if verbose { ":" } else { "" }
        ));
        let details = report.converted.iter().filter(|_| verbose);
        lines.extend(details.map(|((stored, now), types)| {
            format!("  {}: {}, now {}", names(types), safe(stored.as_bytes()), safe(now.as_bytes()))
        }));
    }
    for ((minor, api_version), types) in &report.outdated {
        lines.push(format!(
            "note: {} in {}: Kubernetes 1.{minor} and newer do not take that version",
            names(types),
            safe(api_version.as_bytes())
        ));
    }
    if report.volumes_to_delete > 0 {
        lines.push(format!(
            "note: {} with the reclaim policy Delete: if two clusters use a disk and one deletes the claim, the data is gone for both",
            count(report.volumes_to_delete, "persistent volume", "persistent volumes")
        ));
    }
    if report.namespaces_left_in > 0 {
        lines.push(format!(
            "note: {} may still mean a namespace by its old name:",
            count(report.namespaces_left_in, "object", "objects")
        ));
        let limit = if verbose { usize::MAX } else { NAMED };
        let shown = report.namespaces_left.iter().take(limit);
        lines.extend(shown.clone().map(place));
        let rest = report.namespaces_left_in.saturating_sub(shown.count() as u64);
        if rest > 0 {
            lines.push(format!("  and {} more", grouped(rest)));
        }
    }
}

/// What to do with it.
fn next(report: &Report, directory: Option<&Path>, redacted: bool, lines: &mut Vec<String>) {
    if report.total() == 0 {
        return;
    }
    if redacted {
        lines.push("it is redacted: every API server will refuse it".to_owned());
        return;
    }
    lines.push(match directory {
        Some(directory) => {
            format!("next: kubectl apply -R -f {}", shown(directory))
        }
        None => "next: kubectl apply -f -".to_owned(),
    });
    if report.written.contains_key("customresourcedefinitions.apiextensions.k8s.io") && report.custom > 0 {
        lines.push(
            "  twice: kubectl looks for the types of custom resources before it makes their CRDs".to_owned(),
        );
    }
}

fn place(left: &NamespacesLeft) -> String {
    let NamespacesLeft { resource, path, places } = left;
    format!(
        "  {} {}/{}: {}",
        safe(resource.as_bytes()),
        path.namespace,
        path.name,
        safe(places.join(", ").as_bytes())
    )
}

fn names(types: &BTreeMap<String, u64>) -> String {
    let name = |(name, number): (&String, &u64)| format!("{} {}", grouped(*number), safe(name.as_bytes()));
    types.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn option(list: List) -> &'static str {
    match list {
        List::IncludeNamespaces => "--include-namespaces",
        List::ExcludeNamespaces => "--exclude-namespaces",
        List::IncludeResources => "--include-resources",
        List::ExcludeResources => "--exclude-resources",
    }
}

fn switch(switch: Switch) -> &'static str {
    match switch {
        Switch::System => "--include-system",
        Switch::Owned => "--include-owned",
        Switch::Finished => "--include-finished",
        Switch::Deleted => "--include-deleted",
    }
}
