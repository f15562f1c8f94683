//! A restore, or the plan of one, as JSON: one shape for both.

use std::path::PathBuf;

use etcdsnap::etcd::membership::Member;
use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::etcd::wal::PREALLOCATED;
use etcdsnap::ops::rebuild::Outcome;
use etcdsnap::ops::restore::Restored;
use serde::Serialize;

use super::{Done, Foreseen, Restore, lines, words};
use crate::cli::changed::{ChangedDocument, Remark};
use crate::cli::commands::SCHEMA_VERSION;
use crate::cli::failure::target_fault;
use crate::cli::output::text::shown;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    schema_version: u32,
    dry_run: bool,
    file: String,
    #[serde(flatten)]
    place: PlaceDocument,
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
    /// Why it was not or would not be restored.
    refused: Vec<Remark>,
    /// Of a dry run alone.
    target: Option<TargetDocument>,
    /// Only if they are asked for, and there is or can be something to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_flags: Option<Vec<StartDocument>>,
}

/// How one member is to be started.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartDocument {
    pub(super) name: String,
    pub(super) form: &'static str,
    pub(super) text: String,
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
    is_learner: bool,
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

impl MemberDocument {
    fn of(member: &Member) -> Self {
        Self {
            id: member.id.to_string(),
            name: member.name.clone(),
            peer_urls: member.peer_urls.clone(),
            is_learner: member.is_learner,
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
    pub(super) fn document(
        &self,
        restored: &Done,
        plan: Option<&Foreseen>,
        warnings: Vec<(&'static str, String)>,
        start_flags: Option<Vec<StartDocument>>,
    ) -> Document {
        let told = |(code, text)| Told { code, text };
        let (summary, report) = (restored.summary(), restored.report());
        let (place, members) = match restored {
            Done::One(restored) => (
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
                (place, restored.members.iter().map(member).collect())
            }
        };
        Document {
            schema_version: SCHEMA_VERSION,
            dry_run: plan.is_some(),
            file: shown(&self.file),
            place,
            cluster_id: summary.cluster.to_string(),
            state: restored.state().to_string(),
            members,
            revision_before: summary.revision_before,
            revision_after: summary.revision_after,
            compact_revision: summary.compact_revision,
            hash_kv: plan.map(|plan| HashDocument {
                hash: format!("{:08x}", plan.hash_kv.hash),
                hash_revision: plan.hash_kv.revision,
                compact_revision: Some(plan.hash_kv.compact_revision).filter(|revision| *revision >= 0),
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
            digest: match report.digest {
                Some(DigestVerdict::Matches) => "matches",
                Some(DigestVerdict::Differs { .. }) => "differs",
                _ => "absent",
            },
            corrections: summary.corrections.iter().map(words::correction).map(told).collect(),
            warnings: warnings.into_iter().map(told).collect(),
            refused: plan.map(|plan| plan.refused(restored.state(), restored.summary())).unwrap_or_default(),
            target: plan.map(|plan| TargetDocument {
                usable: plan.problem.is_none(),
                problem: plan.problem.as_ref().map(target_fault),
                space: plan
                    .rooms
                    .iter()
                    .map(|room| SpaceDocument {
                        path: shown(&room.path),
                        needed: room.needed,
                        free: room.free,
                    })
                    .collect(),
            }),
            start_flags,
        }
    }
}
