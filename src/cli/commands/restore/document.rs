//! A restore as JSON.

use std::path::PathBuf;

use etcdsnap::etcd::membership::Member;
use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::ops::restore::Restored;
use serde::Serialize;

use super::{Done, Restore, lines, shown};
use crate::cli::commands::SCHEMA_VERSION;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    schema_version: u32,
    file: String,
    #[serde(flatten)]
    place: PlaceDocument,
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
#[serde(untagged, rename_all_fields = "camelCase")]
enum PlaceDocument {
    One {
        data_dir: String,
        wal_dir: String,
        moved_aside: Vec<MovedDocument>,
        left_alone: Vec<String>,
        name: String,
        member_id: String,
    },
    All {
        out_dir: String,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberDocument {
    id: String,
    name: String,
    #[serde(rename = "peerURLs")]
    peer_urls: Vec<String>,
    /// Where it is, if all are restored at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tar: Option<String>,
}

#[derive(Serialize)]
struct MovedDocument {
    from: String,
    to: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WarningDocument {
    code: &'static str,
    text: String,
}

impl MemberDocument {
    fn of(member: &Member) -> Self {
        Self {
            id: member.id.to_string(),
            name: member.name.clone(),
            peer_urls: member.peer_urls.clone(),
            data_dir: None,
            tar: None,
        }
    }
}

impl PlaceDocument {
    fn of(restored: &Restored, name: &str) -> Self {
        let moved = restored.moved_aside.iter();
        Self::One {
            data_dir: shown(&restored.data_dir),
            wal_dir: shown(&restored.wal_dir),
            moved_aside: moved
                .map(|moved| MovedDocument { from: shown(&moved.from), to: shown(&moved.to) })
                .collect(),
            left_alone: restored.left_alone.iter().map(|path| shown(path)).collect(),
            name: name.to_owned(),
            member_id: restored.node.to_string(),
        }
    }
}

impl Restore {
    pub(super) fn document(&self, restored: &Done, warnings: Vec<(&'static str, String)>) -> Document {
        let (summary, report, place, members) = match restored {
            Done::One(restored) => (
                &restored.summary,
                &restored.report,
                PlaceDocument::of(restored, self.name()),
                restored.summary.members.iter().map(MemberDocument::of).collect(),
            ),
            Done::All(restored) => {
                let member = |(member, path): &(Member, PathBuf)| {
                    let path = Some(shown(path));
                    let (data_dir, tar) = if self.all.is_tar() { (None, path) } else { (path, None) };
                    MemberDocument { data_dir, tar, ..MemberDocument::of(member) }
                };
                let place = PlaceDocument::All { out_dir: shown(&restored.out_dir) };
                (&restored.summary, &restored.report, place, restored.members.iter().map(member).collect())
            }
        };
        Document {
            schema_version: SCHEMA_VERSION,
            file: shown(&self.file),
            place,
            cluster_id: summary.cluster.to_string(),
            members,
            revision_before: summary.revision_before,
            revision_after: summary.revision_after,
            db_size: summary.db_size,
            written_by: summary.written_by.to_string(),
            written_for: summary.written_for.to_string(),
            starts_on: lines(summary.starts_on),
            digest: match report.digest {
                Some(DigestVerdict::Matches) => "matches",
                Some(DigestVerdict::Differs { .. }) => "differs",
                _ => "absent",
            },
            warnings: warnings.into_iter().map(|(code, text)| WarningDocument { code, text }).collect(),
        }
    }
}
