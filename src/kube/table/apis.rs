//! What servers know of APIs: aggregated ones, custom resources, storage versions.

use std::borrow::Cow;

use super::row::{Row, UNSET, condition, first_few, set, set_text};
use super::{DEFAULT, Printer, column};
use crate::kube::value::Value;

pub(super) fn printer(kind: &str) -> Option<&'static Printer> {
    Some(match kind {
        "APIService" => &API_SERVICE,
        "StorageVersion" => &STORAGE_VERSION,
        "StorageVersionMigration" => &MIGRATION,
        "CustomResourceDefinition" | "PodPreset" | "AuditSink" => &DEFAULT,
        _ => return None,
    })
}

static API_SERVICE: Printer = Printer {
    columns: &[column("Name"), column("Service"), column("Available"), column("Age")],
    print: |service, row| {
        row.name(service);
        row.cell(|| match set(service, &["spec", "service"]) {
            None => Cow::Borrowed("Local"),
            Some(target) => Cow::Owned(format!("{}/{}", target.text(&["namespace"]), target.text(&["name"]))),
        });
        row.cell(|| match condition(service.items(&["status", "conditions"]), "Available") {
            None => Cow::Borrowed("Unknown"),
            Some(found) => match (found.text(&["status"]), found.text(&["reason"])) {
                (status @ "True", _) | (status, "") => Cow::Borrowed(status),
                (status, reason) => Cow::Owned(format!("{status} ({reason})")),
            },
        });
        row.age(service);
    },
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.service",
        "status.conditions.type",
        "status.conditions.status",
        "status.conditions.reason",
    ],
    wide_reads: &[],
};

static STORAGE_VERSION: Printer = Printer {
    columns: &[column("Name"), column("CommonEncodingVersion"), column("StorageVersions"), column("Age")],
    print: |version, row| {
        row.name(version);
        row.cell(|| set_text(version, &["status", "commonEncodingVersion"]).unwrap_or(UNSET));
        row.cell(|| {
            let servers = version.items(&["status", "storageVersions"]).iter();
            let text = |server: &Value<'_>| {
                let (id, version) = (server.text(&["apiServerID"]), server.text(&["encodingVersion"]));
                Cow::Owned(format!("{id}={version}"))
            };
            first_few(servers.map(text), 3)
        });
        row.age(version);
    },
    reads: &["metadata.name", "metadata.creationTimestamp", "status"],
    wide_reads: &[],
};

static MIGRATION: Printer = Printer {
    columns: &[column("Name"), column("Resource"), column("Status").since(35)],
    print: migration,
    reads: &["metadata.name", "spec.resource", "status.conditions.type", "status.conditions.status"],
    wide_reads: &[],
};

fn migration<'v>(migration: &'v Value<'v>, row: &mut Row<'v>) {
    let release = row.context.release;
    let part = |field| migration.text(&["spec", "resource", field]);
    row.name(migration);
    row.cell(|| match (part("resource"), part("version"), part("group")) {
        (resource, version, group) if release < 35 => Cow::Owned(format!("{resource}.{version}.{group}")),
        (resource, _, "") => Cow::Borrowed(resource),
        (resource, _, group) => Cow::Owned(format!("{resource}.{group}")),
    });
    row.cell(|| {
        let mut conditions = migration.items(&["status", "conditions"]).iter().rev();
        let holding = conditions.find(|condition| {
            condition.text(&["status"]) == "True"
                && matches!(condition.text(&["type"]), "Running" | "Failed" | "Succeeded")
        });
        holding.map_or("Unknown", |condition| condition.text(&["type"]))
    });
}
