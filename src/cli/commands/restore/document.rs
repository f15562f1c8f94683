//! A restore, or the plan of one, as JSON: one shape for both.

use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::etcd::wal::PREALLOCATED;
use etcdsnap::ops::rebuild::Outcome;
use etcdsnap::ops::restore::{Preview, Restored};
use serde::Serialize;

use super::{Restore, lines, shown, words};
use crate::cli::changed::ChangedDocument;
use crate::cli::commands::SCHEMA_VERSION;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    schema_version: u32,
    dry_run: bool,
    file: String,
    data_dir: String,
    wal_dir: String,
    name: String,
    member_id: String,
    cluster_id: String,
    state: String,
    members: Vec<MemberDocument>,
    revision_before: i64,
    revision_after: i64,
    compact_revision: Option<i64>,
    /// Of a dry run alone.
    #[serde(rename = "hashKV")]
    hash_kv: Option<HashDocument>,
    db_size: u64,
    db_size_in_use: Option<u64>,
    wal_size: u64,
    quota_needed: Option<u64>,
    leases: Option<u64>,
    alarms: Vec<String>,
    auth_enabled: bool,
    users: usize,
    /// Whether a client sees the same as before, revisions aside.
    faithful: bool,
    /// Only if something is left out or changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangedDocument>,
    written_by: String,
    written_for: String,
    starts_on: Vec<String>,
    digest: &'static str,
    corrections: Vec<Told>,
    warnings: Vec<Told>,
    /// Of a dry run alone.
    target: Option<TargetDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberDocument {
    id: String,
    name: String,
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<String>,
    is_learner: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HashDocument {
    hash: String,
    hash_revision: i64,
    compact_revision: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetDocument {
    usable: bool,
    problem: Option<String>,
    space: Vec<SpaceDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpaceDocument {
    path: String,
    needed: u64,
    free: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    code: &'static str,
    text: String,
}

impl Restore {
    pub(super) fn document(
        &self,
        restored: &Restored,
        plan: Option<(&Preview, Option<String>)>,
        warnings: Vec<(&'static str, String)>,
    ) -> Document {
        let summary = &restored.summary;
        let told = |(code, text)| Told { code, text };
        Document {
            schema_version: SCHEMA_VERSION,
            dry_run: plan.is_some(),
            file: shown(&self.file),
            data_dir: shown(&restored.data_dir),
            wal_dir: shown(&restored.wal_dir),
            name: self.name.clone(),
            member_id: restored.node.to_string(),
            cluster_id: summary.cluster.to_string(),
            state: restored.state.to_string(),
            members: summary
                .members
                .iter()
                .map(|member| MemberDocument {
                    id: member.id.to_string(),
                    name: member.name.clone(),
                    peer_urls: member.peer_urls.clone(),
                    is_learner: member.is_learner,
                })
                .collect(),
            revision_before: summary.revision_before,
            revision_after: summary.revision_after,
            compact_revision: summary.compact_revision,
            hash_kv: plan.as_ref().map(|(preview, _)| HashDocument {
                hash: format!("{:08x}", preview.hash_kv.hash),
                hash_revision: preview.hash_kv.revision,
                compact_revision: Some(preview.hash_kv.compact_revision).filter(|revision| *revision >= 0),
            }),
            db_size: summary.db_size,
            db_size_in_use: restored.in_use(),
            wal_size: PREALLOCATED,
            quota_needed: summary.quota,
            leases: restored.leases(),
            alarms: summary.alarms.iter().map(|alarm| alarm.kind.to_string()).collect(),
            auth_enabled: summary.auth_enabled,
            users: summary.users,
            faithful: summary.changed.as_ref().is_none_or(Outcome::is_faithful),
            changes: summary.changed.as_ref().map(ChangedDocument::of),
            written_by: summary.written_by.to_string(),
            written_for: summary.written_for.to_string(),
            starts_on: lines(summary.starts_on),
            digest: match restored.report.digest {
                Some(DigestVerdict::Matches) => "matches",
                Some(DigestVerdict::Differs { .. }) => "differs",
                _ => "absent",
            },
            corrections: summary.corrections.iter().map(words::correction).map(told).collect(),
            warnings: warnings.into_iter().map(told).collect(),
            target: plan.map(|(preview, problem)| TargetDocument {
                usable: problem.is_none(),
                problem,
                space: preview
                    .survey
                    .rooms
                    .iter()
                    .map(|room| SpaceDocument {
                        path: shown(&room.path),
                        needed: room.needed,
                        free: room.free,
                    })
                    .collect(),
            }),
        }
    }
}
