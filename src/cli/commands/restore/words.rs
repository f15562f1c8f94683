//! What a warning says.

use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::ops::restore::{Correction, Summary, Warning};

use crate::cli::changed::Remark;
use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::text::{count, safe};
use crate::cli::wal_words;

/// What else there is to know.
pub(super) struct Surroundings<'r> {
    pub(super) token: &'r str,
    pub(super) resets_root_password: bool,
    /// Where things were written, as words of a command.
    pub(super) places: String,
}

/// A warning's stable name, and what it says.
pub(super) fn words(warning: &Warning, surroundings: &Surroundings<'_>) -> (&'static str, String) {
    let Surroundings { token, resets_root_password, ref places } = *surroundings;
    match warning {
        Warning::DigestSkipped(DigestVerdict::Differs { .. }) => (
            "digest-differs",
            "the digest does not match: bytes inside values may be wrong; everything else was checked".into(),
        ),
        Warning::DigestSkipped(_) => (
            "digest-absent",
            "there was no digest to check the snapshot by; everything else was checked".into(),
        ),
        Warning::WalAhead(view) => {
            let elsewhere = "`etcdsnap repack SRC OUT --wal-dir DIR` looks in another place";
            let remark = wal_words::warning(view, elsewhere).map(Remark::into_parts);
            remark.unwrap_or_else(|| ("other", format!("{warning:?}")))
        }
        Warning::OldWalElsewhere => (
            "old-wal-elsewhere",
            "the member that was there has no WAL in it: its etcd was started with a --wal-dir, which is left alone. An etcd on what is restored must not be given that one; to go back, the old data needs it again".into(),
        ),
        Warning::Alarm(alarm) => (
            "alarm",
            format!(
                "the {} alarm is on in the snapshot and so in the restored cluster: `etcdctl alarm disarm` after it is up, once its cause is gone, or restore with --clear-alarms",
                alarm.kind
            ),
        ),
        Warning::AuthEnabled { users } => (
            "auth-enabled",
            format!(
                "authentication is on: the restored cluster asks for the passwords of the old one ({}{})",
                count(*users as u64, "user", "users"),
                if resets_root_password { ", of which root has the new one" } else { "" }
            ),
        ),
        Warning::IdsOfOldCluster(ids) => (
            "ids-of-old-cluster",
            format!(
                "the new {} of the old cluster: old members that still run, or come back, would talk to the new ones and crash or corrupt them. Stop all of them for good, or restore again (every member) with another --initial-cluster-token than {:?}",
                match ids.as_slice() {
                    [id] => format!("member {id} has the id of a member"),
                    ids => format!("{} members have ids of members", ids.len()),
                },
                token
            ),
        ),
        Warning::KubernetesWithoutBump { revision } => (
            "kubernetes-without-bump",
            format!(
                "this is a Kubernetes store and its revision goes back to {}: API servers, controllers and kubelets that kept running would hold on to what they saw after it. Restart all of them after the restore, or restore with --bump-revision auto (on every member)",
                grouped(revision.unsigned_abs())
            ),
        ),
        Warning::DowngradeUnderWay(target) => (
            "downgrade-under-way",
            format!(
                "a downgrade to {} was under way and still is in the result: --clear-downgrade leaves it out, `etcdctl downgrade cancel` ends it later. Until then etcd 3.5 starts only if it is of that version",
                safe(target.as_bytes())
            ),
        ),
        Warning::CompactionUnfinished => {
            ("compaction-unfinished", "a compaction was not finished; etcd finishes it when it starts".into())
        }
        Warning::RevisionGoesBack { revision } => (
            "revision-goes-back",
            format!(
                "a compaction at the last revision was not finished: etcd before 3.4.32 and 3.5.14 would start with an older revision than {}. Start a later one, or restore with --bump-revision auto (on every member)",
                grouped(revision.unsigned_abs())
            ),
        ),
        Warning::Quota { db_size, suggested } => (
            "quota",
            format!(
                "the database has {}, and etcd takes no writes beyond 2 GiB unless told otherwise: start every member with --quota-backend-bytes={suggested}",
                humanized(*db_size)
            ),
        ),
        Warning::ManyLearners { learners } => (
            "many-learners",
            format!(
                "etcd from 3.6 on starts with one learner unless told otherwise: start every member with --max-learners={learners}"
            ),
        ),
        Warning::KeptFromTarget => (
            "kept-from-target",
            "the old cluster's version, or a downgrade of it that was under way, keeps the etcd from starting that this was written for".into(),
        ),
        Warning::Suspicious(number) => (
            "suspicious",
            format!(
                "{} in the snapshot: see `etcdsnap verify`",
                count(*number, "suspicious finding", "suspicious findings")
            ),
        ),
        Warning::OwnerNotKept { owner } => (
            "owner-not-kept",
            format!(
                "what was there belongs to user {uid}, and only root can give files away: before etcd starts as that user, `sudo chown -R {uid}:{gid} {places}`",
                uid = owner.uid,
                gid = owner.gid
            ),
        ),
        Warning::LabelNotKept { path, error } => (
            "label-not-kept",
            format!(
                "the SELinux label of what was there could not be given to {} ({}): `restorecon -R` on the directory sets it by the rules of this host",
                safe(path.file_name().unwrap_or_default().as_encoded_bytes()),
                safe(error.as_bytes())
            ),
        ),
        _ => ("other", format!("{warning:?}")),
    }
}

/// That the revision is moved because clients would see something else.
pub(super) fn bump_implied(summary: &Summary) -> (&'static str, String) {
    let revision = |revision: i64| grouped(revision.unsigned_abs());
    let (from, to) = (revision(summary.revision_before), revision(summary.revision_after));
    let text = format!(
        "the result is not what was saved, so the revision is moved from {from} to {to} with everything before compacted: clients that watch are told to list anew, and none takes what it remembers for what is there. --bump-revision says how far, 0 not at all"
    );
    ("bump-implied", text)
}

/// What was done that a restore by etcd would not have done: stable name, words.
pub(super) fn correction(correction: &Correction) -> (&'static str, String) {
    match correction {
        Correction::MarksOf3_5Removed => {
            ("marks-of-3.5-removed", "no meta/term and meta/confState, which 3.4 does not know".into())
        }
        Correction::StorageVersion { from, to: Some(to) } => {
            ("storage-version", format!("storage version {} made {to}", safe(from.as_bytes())))
        }
        Correction::StorageVersion { from, to: None } => {
            ("storage-version", format!("storage version {} removed", safe(from.as_bytes())))
        }
        Correction::ClusterVersion { from, to } => {
            ("cluster-version", format!("cluster version {} made {to}", safe(from.as_bytes())))
        }
        Correction::DowngradeCleared { target } => {
            ("downgrade-cleared", format!("the downgrade to {} left out", safe(target.as_bytes())))
        }
        Correction::AlarmsCleared { alarms } => {
            ("alarms-cleared", format!("{} left out", count(*alarms as u64, "alarm", "alarms")))
        }
        Correction::ConfStateRewritten => {
            ("conf-state-rewritten", "meta/confState names the new members".into())
        }
        _ => ("other", format!("{correction:?}")),
    }
}
