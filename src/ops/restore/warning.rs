//! Where an operator would walk into a trap.

use crate::etcd::auth::Alarm;
use crate::etcd::membership::MemberId;
use crate::etcd::snapshot::DigestVerdict;
use crate::ops::finding::{Check, Grade};
use crate::ops::verify;

use super::{Plan, Request};

/// What an operator should know before starting etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The digest was absent or wrong, and that was to be passed over.
    DigestSkipped(DigestVerdict),
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
    /// Suspicious findings on other things than the digest, in number.
    Suspicious(u64),
}

impl Plan<'_> {
    /// Where an operator would walk into a trap.
    pub(super) fn warnings(&self, report: &verify::Report, request: &Request) -> Vec<Warning> {
        let mut warnings = Vec::new();
        match report.digest {
            Some(DigestVerdict::Matches) | None => {}
            Some(verdict) => warnings.push(Warning::DigestSkipped(verdict)),
        }
        // What is wrong with the digest was said.
        let others = report.findings.kinds().into_iter().filter(|(check, ..)| *check != Check::Digest);
        let suspicious = others.filter(|(_, _, grade, ..)| *grade == Grade::Suspicious);
        let suspicious = suspicious.map(|(.., count, _)| count).sum();
        if suspicious > 0 {
            warnings.push(Warning::Suspicious(suspicious));
        }
        warnings.extend(self.state.alarms.iter().copied().map(Warning::Alarm));
        if self.state.auth_enabled {
            warnings.push(Warning::AuthEnabled { users: self.state.users.len() });
        }
        let old = |id: &MemberId| {
            self.state.members.iter().any(|member| member.id == *id) || self.state.removed.contains(id)
        };
        let same: Vec<_> = self.summary.members.iter().map(|member| member.id).filter(old).collect();
        if !same.is_empty() {
            warnings.push(Warning::IdsOfOldCluster(same));
        }
        if report.facts.is_some_and(|facts| facts.is_kubernetes) && request.bump_revision.is_none() {
            warnings.push(Warning::KubernetesWithoutBump { revision: self.summary.revision_after });
        }
        if let Some(target) = &self.state.downgrade {
            warnings.push(Warning::DowngradeUnderWay(target.clone()));
        }
        if self.state.scheduled_compact > self.state.finished_compact {
            warnings.push(Warning::CompactionUnfinished);
        }
        warnings
    }
}
