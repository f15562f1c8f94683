//! A restore as JSON.

use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::ops::restore::Restored;
use serde::Serialize;

use super::{Restore, lines, shown};
use crate::cli::commands::SCHEMA_VERSION;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    schema_version: u32,
    file: String,
    data_dir: String,
    wal_dir: String,
    name: String,
    member_id: String,
    cluster_id: String,
    members: Vec<MemberDocument>,
    revision_before: i64,
    revision_after: i64,
    db_size: u64,
    written_by: String,
    written_for: String,
    starts_on: Vec<String>,
    digest: &'static str,
    warnings: Vec<WarningDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberDocument {
    id: String,
    name: String,
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WarningDocument {
    code: &'static str,
    text: String,
}

impl Restore {
    pub(super) fn document(&self, restored: &Restored, warnings: Vec<(&'static str, String)>) -> Document {
        let summary = &restored.summary;
        Document {
            schema_version: SCHEMA_VERSION,
            file: shown(&self.file),
            data_dir: shown(&restored.data_dir),
            wal_dir: shown(&restored.wal_dir),
            name: self.name.clone(),
            member_id: restored.node.to_string(),
            cluster_id: summary.cluster.to_string(),
            members: summary
                .members
                .iter()
                .map(|member| MemberDocument {
                    id: member.id.to_string(),
                    name: member.name.clone(),
                    peer_urls: member.peer_urls.clone(),
                })
                .collect(),
            revision_before: summary.revision_before,
            revision_after: summary.revision_after,
            db_size: summary.db_size,
            written_by: summary.written_by.to_string(),
            written_for: summary.written_for.to_string(),
            starts_on: lines(summary.starts_on),
            digest: match restored.report.digest {
                Some(DigestVerdict::Matches) => "matches",
                Some(DigestVerdict::Differs { .. }) => "differs",
                _ => "absent",
            },
            warnings: warnings.into_iter().map(|(code, text)| WarningDocument { code, text }).collect(),
        }
    }
}
