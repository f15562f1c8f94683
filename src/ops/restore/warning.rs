//! Where an operator would walk into a trap.

use std::path::PathBuf;

use crate::etcd::auth::Alarm;
use crate::etcd::membership::MemberId;
use crate::etcd::snapshot::DigestVerdict;
use crate::ops::finding::{Check, Grade};
use crate::ops::verify;
use crate::ops::wal_view::{WalView, log_beside};
use crate::source::Source;

use super::{Correction, Owner, Plan, Request};

/// The quota that etcd starts with unless told otherwise: `DefaultQuotaBytes` in
/// `server/storage/quota.go`; the same from 3.4 to 3.7.
const DEFAULT_QUOTA: u64 = 2 << 30;
/// Learners that etcd starts with unless told otherwise: `DefaultMaxLearners` in
/// `server/etcdserver/api/membership/cluster.go`, from 3.6 on.
const DEFAULT_LEARNERS: usize = 1;

/// The quota that a database of `db_size` bytes needs, if the default is too near
/// or passed: half as much again, in whole GiB.
pub(super) fn quota(db_size: u64) -> Option<u64> {
    let tight = db_size > DEFAULT_QUOTA / 5 * 4;
    let roomy = db_size.saturating_add(db_size / 2).max(DEFAULT_QUOTA.saturating_add(1));
    tight.then(|| roomy.checked_next_multiple_of(1 << 30).unwrap_or(u64::MAX))
}

/// What an operator should know before starting etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The digest was absent or wrong, and that was to be passed over.
    DigestSkipped(DigestVerdict),
    /// The file is a member's own, and its log has, or may have, writes beyond it.
    WalAhead(WalView),
    /// What was moved aside has no log in it, nor was one moved: it is where the old
    /// member was told to have it.
    OldWalElsewhere,
    /// An alarm is still on: the new cluster will refuse writes, or everything.
    Alarm(Alarm),
    /// Users and passwords of the old cluster hold in the new one.
    AuthEnabled {
        /// How many users there are.
        users: usize,
    },
    /// New members have ids of the old cluster, so that old members which still
    /// run would talk to them.
    IdsOfOldCluster(Vec<MemberId>),
    /// A Kubernetes store whose revision goes back: API servers and controllers
    /// keep serving what they remember.
    KubernetesWithoutBump {
        /// The revision that the store starts with.
        revision: i64,
    },
    /// A downgrade was under way.
    DowngradeUnderWay(String),
    /// A compaction was asked for and not finished: it is resumed at the start.
    CompactionUnfinished,
    /// The same, and the records end before it: an etcd with a known fault would
    /// start with an older revision.
    RevisionGoesBack {
        /// The revision that the store has.
        revision: i64,
    },
    /// The database is larger than etcd takes unless told otherwise, or nearly so.
    Quota {
        /// Bytes of the database.
        db_size: u64,
        /// What to start etcd with: `--quota-backend-bytes`.
        suggested: u64,
    },
    /// More learners than etcd starts with unless told otherwise.
    ManyLearners {
        /// How many there are.
        learners: usize,
    },
    /// What the old members agreed on, or a downgrade of theirs, keeps the line
    /// from starting that it was written for.
    KeptFromTarget,
    /// Suspicious findings on other things than the digest, in number.
    Suspicious(u64),
    /// What was there belongs to someone else, and only root could have given them what
    /// is new.
    OwnerNotKept {
        /// Whose it is.
        owner: Owner,
    },
    /// SELinux's label of what was replaced, or of the directory that was there,
    /// could not be given to what is new.
    LabelNotKept {
        /// The first file without it, where it was staged.
        path: PathBuf,
        /// The system's answer.
        error: String,
    },
}

impl Plan<'_> {
    /// Where an operator would walk into a trap.
    pub(super) fn warnings(
        &self,
        source: &Source,
        report: &verify::Report,
        request: &Request,
    ) -> Vec<Warning> {
        let mut warnings = Vec::new();
        match report.digest {
            // A snapshot, whatever it is called.
            Some(DigestVerdict::Matches) | None => {}
            Some(verdict) => {
                warnings.push(Warning::DigestSkipped(verdict));
                let wal = WalView::look(log_beside(source.path()).as_deref(), self.state.consistent_index);
                warnings.extend(wal.may_have_more().then_some(Warning::WalAhead(wal)));
            }
        }
        // What is wrong with the digest was said.
        let others = report.findings.kinds().into_iter().filter(|(check, ..)| *check != Check::Digest);
        let suspicious = others.filter(|(_, _, grade, ..)| *grade == Grade::Suspicious);
        let suspicious = suspicious.map(|(.., count, _)| count).sum();
        if suspicious > 0 {
            warnings.push(Warning::Suspicious(suspicious));
        }
        warnings.extend(self.summary.alarms.iter().copied().map(Warning::Alarm));
        if self.summary.auth_enabled {
            warnings.push(Warning::AuthEnabled { users: self.summary.users });
        }
        let old = |id: &MemberId| {
            self.state.members.iter().any(|member| member.id == *id) || self.state.removed.contains(id)
        };
        let same: Vec<_> = self.summary.members.iter().map(|member| member.id).filter(old).collect();
        if !same.is_empty() {
            warnings.push(Warning::IdsOfOldCluster(same));
        }
        if report.facts.is_some_and(|facts| facts.is_kubernetes) && !self.summary.is_bumped {
            warnings.push(Warning::KubernetesWithoutBump { revision: self.summary.revision_after });
        }
        let cleared = |correction: &Correction| matches!(correction, Correction::DowngradeCleared { .. });
        if let Some(target) = &self.state.downgrade
            && !self.summary.corrections.iter().any(cleared)
        {
            warnings.push(Warning::DowngradeUnderWay(target.clone()));
        }
        if !self.summary.starts_on.contains(self.summary.written_for) {
            warnings.push(Warning::KeptFromTarget);
        }
        if let Some(suggested) = self.summary.quota {
            warnings.push(Warning::Quota { db_size: self.summary.db_size, suggested });
        }
        let learners = self.summary.members.iter().filter(|member| member.is_learner).count();
        if learners > DEFAULT_LEARNERS {
            warnings.push(Warning::ManyLearners { learners });
        }
        // That one is done, or there is another.
        let compacts = self.summary.is_bumped || request.changes.compacts();
        if !compacts && self.state.scheduled_compact > self.state.finished_compact {
            let mut kinds = report.findings.kinds().into_iter();
            warnings.push(match kinds.any(|(_, code, ..)| code == "revision-goes-back") {
                true => Warning::RevisionGoesBack { revision: self.summary.revision_after },
                false => Warning::CompactionUnfinished,
            });
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_named_before_the_default_is_reached() {
        const GIB: u64 = 1 << 30;
        assert_eq!(quota(GIB), None);
        assert_eq!(quota(2 * GIB / 5 * 4), None);
        assert_eq!(quota(GIB / 10 * 17), Some(3 * GIB));
        assert_eq!(quota(2 * GIB), Some(3 * GIB));
        assert_eq!(quota(3 * GIB), Some(5 * GIB));
        assert_eq!(quota(u64::MAX), Some(u64::MAX));
        for size in (1..64).map(|bits| 1u64 << bits) {
            assert!(quota(size).is_none_or(|quota| quota > size));
        }
    }
}
