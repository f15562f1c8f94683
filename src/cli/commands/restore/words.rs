//! What a warning says.

use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::ops::restore::Warning;

use super::Restore;
use crate::cli::output::size::grouped;
use crate::cli::output::text::{count, safe};

/// A warning's stable name, and what it says.
pub(super) fn words(warning: &Warning, args: &Restore) -> (&'static str, String) {
    match warning {
        Warning::DigestSkipped(DigestVerdict::Differs { .. }) => (
            "digest-differs",
            "the digest does not match: bytes inside values may be wrong; everything else was checked".into(),
        ),
        Warning::DigestSkipped(_) => (
            "digest-absent",
            "there was no digest to check the snapshot by; everything else was checked".into(),
        ),
        Warning::Alarm(alarm) => (
            "alarm",
            format!(
                "the {} alarm is on in the snapshot and so in the restored cluster: `etcdctl alarm disarm` after it is up, once its cause is gone",
                alarm.kind
            ),
        ),
        Warning::AuthEnabled { users } => (
            "auth-enabled",
            format!(
                "authentication is on: the restored cluster asks for the passwords of the old one ({})",
                count(*users as u64, "user", "users")
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
                args.initial_cluster_token
            ),
        ),
        Warning::KubernetesWithoutBump { revision } => (
            "kubernetes-without-bump",
            format!(
                "this is a Kubernetes store and its revision goes back to {}: API servers, controllers and kubelets that kept running would hold on to what they saw after it. Restart all of them after the restore, or restore with --bump-revision 1000000000 --mark-compacted (the same on every member)",
                grouped(revision.unsigned_abs())
            ),
        ),
        Warning::DowngradeUnderWay(target) => (
            "downgrade-under-way",
            format!(
                "a downgrade to {} was under way; `etcdctl downgrade cancel` ends it",
                safe(target.as_bytes())
            ),
        ),
        Warning::CompactionUnfinished => {
            ("compaction-unfinished", "a compaction was not finished; etcd finishes it when it starts".into())
        }
        Warning::Suspicious(number) => (
            "suspicious",
            format!(
                "{} in the snapshot: see `etcdsnap verify`",
                count(*number, "suspicious finding", "suspicious findings")
            ),
        ),
        _ => ("other", format!("{warning:?}")),
    }
}
