//! Databases that a restore wrote and no etcd has started on.

use crate::etcd::state::State;
use crate::ops::finding::{Check, Finding, Findings, Grade};

/// A restore lets the log of raft begin anew, at term 1 and with one entry for
/// each member, and keeps the revision. An etcd that started has a term above, and
/// a cluster that was never restored has an entry for each revision after the first.
pub(super) fn findings(state: &State, revision: i64, findings: &mut Findings) {
    let members = state.members.len() as u64;
    let is_first_term = state.term.is_none_or(|term| term <= 1);
    let index = state.consistent_index.unwrap_or(0);
    let written = u64::try_from(revision.saturating_sub(1)).unwrap_or(0);
    // What a restore with a bump leaves is told by its own mark.
    let is_bumped = state.scheduled_compact > state.finished_compact;
    if members > 0 && is_first_term && index == members && written > index && !is_bumped {
        let expected = format!("an index of {written} or more in raft's log at revision {revision}");
        findings.push(
            Finding::new(Grade::Note, Check::History, "restored-without-bump")
                .of_bucket("meta")
                .because(expected, format!("{index}, as a restore with {members} of its members leaves it")),
        );
    }
}
