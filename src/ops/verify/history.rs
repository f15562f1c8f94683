//! Records of bucket `key`: unreadable ones, and those that break a rule.

use crate::bolt::Db;
use crate::etcd::history::{HistoryFault, HistoryFaultKind, HistoryLog};
use crate::etcd::record::UnreadableLog;
use crate::etcd::state::State;
use crate::ops::finding::{Check, Finding, Findings, Grade};

use super::schema::place;

pub(super) fn findings(
    db: &Db<'_>,
    order: &HistoryLog,
    lives: &HistoryLog,
    unreadable: &UnreadableLog,
    state: &State,
    last: i64,
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
    for log in [order, lives] {
        for (_, count, faults) in log.kinds() {
            let unkept = count.saturating_sub(faults.len() as u64);
            for (index, fault) in faults.iter().enumerate() {
                let rest = if index == 0 { unkept } else { 0 };
                findings.count_more(finding(db, fault), rest.saturating_add(1));
            }
        }
    }
    compaction(state, last, findings);
}

fn compaction(state: &State, last: i64, findings: &mut Findings) {
    let main =
        |revision: Option<crate::etcd::revision::Revision>| revision.map_or(0, |revision| revision.main);
    let (scheduled, finished) = (main(state.scheduled_compact), main(state.finished_compact));
    if scheduled > finished {
        let (expected, found) =
            (format!("compaction {scheduled} done"), format!("compaction {finished} done"));
        findings.push(
            Finding::new(Grade::Note, Check::History, "compaction-unfinished").because(expected, found),
        );
    }
    if scheduled.max(finished) > last && last > 0 {
        let expected = format!("records up to the compact revision {}", scheduled.max(finished));
        findings.push(
            Finding::new(Grade::Note, Check::History, "compacted-beyond-last-record")
                .because(expected, format!("the last record has revision {last}")),
        );
    }
}

fn finding(db: &Db<'_>, fault: &HistoryFault) -> Finding {
    let grade = if fault.kind.is_loss() { Grade::DataLost } else { Grade::Suspicious };
    let (expected, found) = words(fault);
    Finding::new(grade, Check::History, fault.kind.code())
        .at(place(db, fault.offset))
        .of_bucket("key")
        .about(fault.key.clone())
        .because(expected, found)
}

fn words(fault: &HistoryFault) -> (String, String) {
    let revision = fault.revision;
    let main = revision.main;
    match fault.kind {
        HistoryFaultKind::ModRevision(found) => {
            (format!("mod revision {main}"), format!("mod revision {found}"))
        }
        HistoryFaultKind::CreateRevision(found) => {
            (format!("a create revision from 1 to {main}"), format!("create revision {found}"))
        }
        HistoryFaultKind::Version(found) => {
            (format!("a version that can be at revision {main}"), format!("version {found}"))
        }
        HistoryFaultKind::FirstVersion { version, create } => (
            "version 1 exactly if create and mod revision are equal".into(),
            format!("version {version}, created at {create}, written at {main}"),
        ),
        HistoryFaultKind::TombstoneContent => {
            ("a deletion with its key alone".into(), "more than a key".into())
        }
        HistoryFaultKind::DeletionUnmarked => (
            "a create revision and a version, as every write has, or the mark of a deletion".into(),
            "a deletion's content, its key alone, without that mark".into(),
        ),
        HistoryFaultKind::WriteMarkedDeleted => {
            ("a deletion with its key alone".into(), format!("the write of revision {main}"))
        }
        HistoryFaultKind::Form => (
            "the six fields that a record has, in order".into(),
            "a field that etcd does not know, or another order: a field may be missing".into(),
        ),
        HistoryFaultKind::EmptyKey => ("a key of at least one byte".into(), "an empty key".into()),
        HistoryFaultKind::Repeated => {
            ("every revision once".into(), format!("revision {revision} as write and as deletion"))
        }
        HistoryFaultKind::Gap { after } => (
            format!("revision {} after {after}", after.saturating_add(1)),
            format!("revision {main}: {} are missing", main.saturating_sub(after).saturating_sub(1)),
        ),
        HistoryFaultKind::SubGap { expected } => {
            (format!("change {expected} of revision {main}"), format!("change {}", revision.sub))
        }
        HistoryFaultKind::VersionStep { previous, version } => {
            (format!("version {} after {previous}", previous.saturating_add(1)), format!("version {version}"))
        }
        HistoryFaultKind::CreateChanged { previous, create } => {
            (format!("create revision {previous}, as before"), format!("create revision {create}"))
        }
        HistoryFaultKind::BornTwice => {
            ("an update of a key that is alive".into(), format!("a creation at revision {main}"))
        }
        HistoryFaultKind::NothingToUpdate(version) => (
            "an earlier version of the key above the compact revision".into(),
            format!("version {version} without any before it"),
        ),
        HistoryFaultKind::NothingToDelete => (
            "a live key to delete".into(),
            format!("a deletion at revision {main} of a key that is not there"),
        ),
    }
}
