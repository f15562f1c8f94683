//! Members against voters and learners, and the marks that known faults of
//! etcd leave in both. All of it is about the cluster that was; a restore
//! writes new members, so these are notes.

use std::collections::{BTreeMap, BTreeSet};

use crate::etcd::membership::{Member, MemberId};
use crate::etcd::state::State;
use crate::ops::finding::{Check, Finding, Findings, Grade};

pub(super) fn findings(state: &State, findings: &mut Findings) {
    let mut push = |code, id: Option<MemberId>, expected: String, found: String| {
        let mut finding =
            Finding::new(Grade::Note, Check::Membership, code).of_bucket("members").because(expected, found);
        if let Some(id) = id {
            finding = finding.about(crate::bolt::Excerpt::of(id.to_string().as_bytes()));
        }
        findings.push(finding);
    };
    let removed: BTreeSet<MemberId> = state.removed.iter().copied().collect();
    for member in state.members.iter().filter(|member| removed.contains(&member.id)) {
        let id = member.id;
        push("zombie-member", Some(id), "a member or a removed one".into(), format!("{id} is both"));
    }
    shared(&state.members, |code, members, what| {
        push(code, None, format!("{what} of one member"), format!("shared by {members}"));
    });
    let Some(conf_state) = &state.conf_state else { return };
    if state.is_conf_state_stale() {
        let expected = "voters and learners that are members".to_owned();
        push("conf-state-stale", None, expected, "only ids of an earlier cluster".into());
        return;
    }
    let voters: BTreeSet<MemberId> = conf_state.voters.iter().copied().collect();
    let learners: BTreeSet<MemberId> = conf_state.learners.iter().copied().collect();
    let members: BTreeSet<MemberId> = state.members.iter().map(|member| member.id).collect();
    for member in &state.members {
        let id = member.id;
        if member.is_learner && voters.contains(&id) {
            let expected = format!("{id} as a voter, as raft has it");
            push("learner-not-promoted", Some(id), expected, "a learner".into());
        } else if !member.is_learner && learners.contains(&id) {
            let expected = format!("{id} as a learner, as raft has it");
            push("learner-promoted-silently", Some(id), expected, "a voter".into());
        } else if !voters.contains(&id) && !learners.contains(&id) && !removed.contains(&id) {
            let code =
                if member.is_learner && voters.len() == 1 { "stray-learner" } else { "member-not-in-raft" };
            push(code, Some(id), format!("{id} among raft's voters or learners"), "it is neither".into());
        }
    }
    for id in voters.union(&learners).filter(|id| !members.contains(id)) {
        push("voter-without-member", Some(*id), format!("a member {id}, as raft has it"), "none".into());
    }
}

/// Names and peer URLs that several members have.
fn shared(members: &[Member], mut push: impl FnMut(&'static str, String, String)) {
    let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut urls: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for member in members {
        if !member.name.is_empty() {
            names.entry(&member.name).or_default().push(member.id.to_string());
        }
        for url in &member.peer_urls {
            urls.entry(url).or_default().push(member.id.to_string());
        }
    }
    for (code, what, owners) in
        [("member-name-shared", "a name", names), ("peer-url-shared", "a peer URL", urls)]
    {
        for (text, ids) in owners.into_iter().filter(|(_, ids)| ids.len() > 1) {
            push(code, ids.join(", "), format!("{what} {text:?}"));
        }
    }
}
