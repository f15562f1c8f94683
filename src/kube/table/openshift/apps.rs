//! Deployment configs.

use std::collections::BTreeSet;

use super::super::row::{count, decimal, set};
use super::super::{Printer, column};
use crate::kube::value::Value;

pub(super) static DEPLOYMENT_CONFIG: Printer = Printer {
    columns: &[
        column("Name"),
        column("Revision"),
        column("Desired"),
        column("Current"),
        column("Triggered By"),
    ],
    print: |config, row| {
        row.name(config);
        row.number(count(config, &["status", "latestVersion"]));
        row.cell(|| {
            let replicas = decimal(count(config, &["spec", "replicas"]));
            if config.is_true(&["spec", "test"]) {
                format!("{replicas} (during test)").into()
            } else {
                replicas
            }
        });
        row.number(count(config, &["status", "updatedReplicas"]));
        row.cell(|| triggers(config));
    },
    reads: &[
        "metadata.name",
        "spec.replicas",
        "spec.test",
        "spec.triggers",
        "spec.template.spec.containers.name",
        "status.latestVersion",
        "status.updatedReplicas",
    ],
    wide_reads: &[],
};

/// `config,image(web:latest)`.
fn triggers(config: &Value<'_>) -> String {
    if set(config, &["spec", "triggers"]).is_none() {
        return "config".to_owned();
    }
    let containers = config.items(&["spec", "template", "spec", "containers"]);
    let containers: BTreeSet<_> = containers.iter().map(|container| container.text(&["name"])).collect();
    let trigger = |trigger: &Value<'_>| match trigger.text(&["type"]) {
        "ConfigChange" => Some("config".to_owned()),
        "ImageChange" => {
            let change =
                set(trigger, &["imageChangeParams"]).filter(|change| change.is_true(&["automatic"]))?;
            let names = change.items(&["containerNames"]).iter();
            let mut names: Vec<_> = names.map(|name| name.as_str().unwrap_or_default()).collect();
            // Which containers follow the image is said if it is not plain.
            let prefix = match containers.len() != 1 && !names.iter().all(|name| containers.contains(name)) {
                true => {
                    names.sort_unstable();
                    format!("{}:", names.join(","))
                }
                false => String::new(),
            };
            let name = change.text(&["from", "name"]);
            Some(match change.text(&["from", "kind"]) {
                "" | "ImageStreamTag" => format!("image({prefix}{name})"),
                kind => format!("{kind}({prefix}{name})"),
            })
        }
        other => Some(other.to_owned()),
    };
    let triggers: BTreeSet<_> = config.items(&["spec", "triggers"]).iter().filter_map(trigger).collect();
    triggers.into_iter().collect::<Vec<_>>().join(",")
}
