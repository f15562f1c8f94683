//! Records of bucket `key`: unreadable ones, and those that break a rule.

use crate::bolt::Db;
use crate::etcd::gaps::LivesLog;
use crate::etcd::history::{HistoryFault, HistoryFaultKind, OrderPart};
use crate::etcd::record::{Record, UnreadableLog};
use crate::etcd::revision::Revision;
use crate::etcd::state::State;
use crate::ops::finding::{Check, Finding, Findings, Grade};

use super::schema::place;

pub(super) fn findings(
    db: &Db<'_>,
    state: &State,
    order: &OrderPart<'_>,
    lives: &LivesLog,
    unreadable: &UnreadableLog,
    findings: &mut Findings,
) {
    for (index, record) in unreadable.first.iter().enumerate() {
        let finding = Finding::new(Grade::DataLost, Check::History, "record-unreadable")
            .at(place(db, record.offset))
            .of_bucket("key")
            .about(record.key.clone())
            .because("a revision and a key-value message", record.fault.to_string());
        let rest =
            if index == 0 { unreadable.count.saturating_sub(unreadable.first.len() as u64) } else { 0 };
        findings.count_more(finding, rest.saturating_add(1));
    }
    let is_newer = state.is_of_unknown_line();
    for log in [order.log(), &lives.unexplained] {
        for (_, count, faults) in log.kinds() {
            let unkept = count.saturating_sub(faults.len() as u64);
            for (index, fault) in faults.iter().enumerate() {
                let rest = if index == 0 { unkept } else { 0 };
                findings.count_more(finding(db, fault, is_newer), rest.saturating_add(1));
            }
        }
    }
    for (code, count) in lives.explained() {
        findings.explain(code, count);
    }
}

/// What the last compaction left, and what it left undone. `is_whole` if no record
/// of the bucket is out of reach.
pub(super) fn compaction(state: &State, order: &OrderPart<'_>, is_whole: bool, findings: &mut Findings) {
    let main = |revision: Option<Revision>| revision.map_or(0, |revision| revision.main);
    let (scheduled, finished) = (main(state.scheduled_compact), main(state.finished_compact));
    let last = order.last().map_or(0, |record| record.revision.main);
    let mut note = |code, expected: String, found: String| {
        findings.push(Finding::new(Grade::Note, Check::History, code).because(expected, found));
    };
    if scheduled > finished {
        let found = format!("compaction {finished} done");
        if scheduled == last && order.last().is_some_and(Record::is_bump) {
            let expected = format!("a history without leaps, and compaction {scheduled} done");
            note("restored-with-bump", expected, format!("a restore's mark at {last}, and {found}"));
        } else {
            note("compaction-unfinished", format!("compaction {scheduled} done"), found);
        }
    }
    if finished > scheduled {
        // A compaction is scheduled, then done; a restore only schedules one.
        let code = "compaction-out-of-order";
        let found = format!("compaction {finished} done, and only {scheduled} asked for");
        let finding = Finding::new(Grade::Suspicious, Check::History, code);
        findings.push(finding.because(format!("no more than compaction {scheduled} done"), found));
    }
    let mut note = |code, expected: String, found: String| {
        findings.push(Finding::new(Grade::Note, Check::History, code).because(expected, found));
    };
    let compact = scheduled.max(finished);
    if !is_whole {
        return;
    }
    let of_last = if last > 0 { format!("the last record has revision {last}") } else { "no record".into() };
    if compact > last {
        let expected = format!("records up to the compact revision {compact}");
        let code = if scheduled > finished { "revision-goes-back" } else { "compacted-beyond-last-record" };
        let first = last.saturating_add(1);
        let without = if first == compact {
            format!(", and revision {compact} none")
        } else {
            format!(", and revisions {first} to {compact} none")
        };
        note(code, expected, if last > 0 { of_last + &without } else { of_last });
    } else if scheduled == finished && compact > 0 && order.lacks_changes_of_compaction() {
        let expected = format!("all changes of the compact revision {compact}");
        note("compaction-dropped-deletion", expected, "fewer; only deletions are ever dropped there".into());
    }
}

fn finding(db: &Db<'_>, fault: &HistoryFault, is_newer: bool) -> Finding {
    let (grade, code) = match fault.kind {
        HistoryFaultKind::MoreFields if is_newer => (Grade::Note, fault.kind.code()),
        // All that is known to write to this file has no such field: what was another one
        // is missing.
        HistoryFaultKind::MoreFields => (Grade::Suspicious, HistoryFaultKind::Form.code()),
        kind if kind.is_loss() => (Grade::DataLost, kind.code()),
        kind => (Grade::Suspicious, kind.code()),
    };
    let (expected, found) = fault.kind.expected_and_found(fault.revision);
    Finding::new(grade, Check::History, code)
        .at(place(db, fault.offset))
        .of_bucket("key")
        .about(fault.key.clone())
        .because(expected, found)
}
