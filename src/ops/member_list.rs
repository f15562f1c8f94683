//! Who was in the cluster.

use std::collections::{BTreeMap, BTreeSet};

use crate::etcd::membership::{ClusterId, Member, MemberId};
use crate::etcd::peer_url::PeerUrl;
use crate::etcd::schema;
use crate::etcd::snapshot::Snapshot;
use crate::etcd::state::State;

use super::finding::{Findings, Grade};
use super::newer::newer;
use super::verify;
use super::{Damage, Lost, OpError, Settings};

/// What a member is to raft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Votes.
    Voter,
    /// Receives the log and does not vote.
    Learner,
}

/// A member, as bucket `members` has it, and what raft says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    /// Id, name, URLs.
    pub member: Member,
    /// By the bucket: what the cluster's own list said.
    pub role: Role,
    /// By `confState`; `None` if it does not name the member or is stale.
    pub raft_role: Option<Role>,
}

/// The id of the cluster, as far as a file can tell it: it was computed from the
/// ids of the first members and is stored nowhere in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterIdGuess {
    /// All members have ids that follow from their URLs and the default token,
    /// and none was ever removed: these are the first members.
    Certain(ClusterId),
    /// No member was ever removed: right, unless one was added later.
    Likely(ClusterId),
    /// The first members are not known: some were removed, there are none, or
    /// the lists are damaged.
    Unknown,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct MembersReport {
    /// By id.
    pub members: Vec<MemberInfo>,
    /// Ids that can never join again.
    pub removed: Vec<MemberId>,
    /// Whether `confState` is of an earlier cluster, as after a restore.
    pub stale_conf_state: bool,
    /// Voters and learners that raft names and the bucket does not.
    pub unknown_to_bucket: Vec<MemberId>,
    /// The cluster's id.
    pub cluster_id: ClusterIdGuess,
    /// Marks of known faults of etcd.
    pub findings: Findings,
    /// Damage that was skipped.
    pub damage: Damage,
}

/// The token that members are bootstrapped with if none is given.
pub const DEFAULT_TOKEN: &str = "etcd-cluster";

/// Lists the members of `snapshot`.
///
/// # Errors
/// A file whose small buckets are damaged, unless that is to be skipped.
pub fn members(snapshot: &Snapshot, settings: &Settings<'_>) -> Result<MembersReport, OpError> {
    let db = snapshot.db()?;
    let state = State::read(&db);
    let lost = Lost::of(&db, schema::MEMBERS, state.unread.contains(&schema::MEMBERS));
    let tree = state.tree_faults.clone();
    // A commit that nothing leads to, and that wrote keys, may have changed members as well.
    let newer = newer(&db, tree.is_empty(), &settings.walk());
    let damage = Damage { tree, newer, ..Damage::default() }.tolerated(lost, settings)?;
    snapshot.source().finish()?;
    Ok(report(&state, damage))
}

pub(crate) fn report(state: &State, damage: Damage) -> MembersReport {
    let stale = state.is_conf_state_stale();
    let conf_state = state.conf_state.clone().unwrap_or_default();
    let roles = |ids: &[MemberId], role| ids.iter().map(|id| (*id, role)).collect::<Vec<_>>();
    // A voter is a voter even if it is named among the learners as well.
    let roles: BTreeMap<MemberId, Role> = roles(&conf_state.learners, Role::Learner)
        .into_iter()
        .chain(roles(&conf_state.voters, Role::Voter))
        .collect();
    let raft_role = |id: &MemberId| roles.get(id).copied().filter(|_| !stale);
    let members: Vec<_> = state
        .members
        .iter()
        .map(|member| MemberInfo {
            member: member.clone(),
            role: if member.is_learner { Role::Learner } else { Role::Voter },
            raft_role: raft_role(&member.id),
        })
        .collect();
    let members_of_bucket: BTreeSet<MemberId> = state.members.iter().map(|member| member.id).collect();
    let known = |id: &MemberId| members_of_bucket.contains(id);
    let all = conf_state.voters.iter().chain(&conf_state.learners);
    let unknown_to_bucket = if stale { Vec::new() } else { all.filter(|id| !known(id)).copied().collect() };
    let mut findings = Findings::default();
    verify::membership_findings(state, &mut findings);
    debug_assert!(findings.worst().is_none_or(|worst| worst == Grade::Note));
    MembersReport {
        members,
        removed: state.removed.clone(),
        stale_conf_state: stale,
        unknown_to_bucket,
        cluster_id: cluster_id(state),
        findings,
        damage,
    }
}

fn cluster_id(state: &State) -> ClusterIdGuess {
    if !state.removed.is_empty() || state.members.is_empty() || !state.tree_faults.is_empty() {
        return ClusterIdGuess::Unknown;
    }
    let ids: Vec<MemberId> = state.members.iter().map(|member| member.id).collect();
    let id = ClusterId::derive(ids);
    let first = |member: &Member| {
        let urls: Option<Vec<_>> = member.peer_urls.iter().map(|url| PeerUrl::parse(url).ok()).collect();
        urls.is_some_and(|urls| MemberId::derive(&urls, DEFAULT_TOKEN) == member.id)
    };
    if state.members.iter().all(first) { ClusterIdGuess::Certain(id) } else { ClusterIdGuess::Likely(id) }
}
