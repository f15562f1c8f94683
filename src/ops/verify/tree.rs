//! Faults of pages and trees, graded.

use crate::bolt::{Fault, FaultKind, FaultLog};
use crate::ops::finding::{Check, Finding, Findings, Grade};

pub(super) fn findings(faults: &FaultLog, findings: &mut Findings) {
    let sorted = faults.sorted();
    for (code, count) in faults.counts() {
        let mut of_kind = sorted.iter().filter(|fault| fault.kind.code() == code);
        // The first stands for those that were not kept.
        let kept = of_kind.clone().count() as u64;
        if let Some(first) = of_kind.next() {
            findings.count_more(finding(first), count.saturating_sub(kept).saturating_add(1));
        }
        for fault in of_kind {
            findings.push(finding(fault));
        }
    }
}

fn finding(fault: &Fault) -> Finding {
    let (check, grade) = class(&fault.kind);
    Finding {
        bucket: fault.bucket.as_ref().map(|name| name.escape_ascii().to_string()),
        lost: fault.lost.as_deref().cloned(),
        ..Finding::new(grade, check, fault.kind.code())
            .at(fault.place)
            .because(fault.kind.expected(), fault.kind.found())
    }
}

fn class(kind: &FaultKind) -> (Check, Grade) {
    match kind {
        // etcd reads a stored list when it starts, and crashes on the first two. No data is in
        // it, and nothing that is written here has one.
        FaultKind::NotAFreelist { .. }
        | FaultKind::FreelistTooLong { .. }
        | FaultKind::FreeOutOfRange { .. }
        | FaultKind::FreedTwice { .. }
        | FaultKind::FreelistOrder { .. }
        | FaultKind::ReachableFreed
        | FaultKind::UnreachableUnfreed => (Check::Freelist, Grade::Suspicious),
        FaultKind::EmptyLeaf
        | FaultKind::ElementFlags { .. }
        | FaultKind::ElementsOverlap { .. }
        | FaultKind::ElementsApart { .. }
        | FaultKind::InlineSlack { .. }
        | FaultKind::DataBehind { .. }
        | FaultKind::OverflowUnused { .. }
        | FaultKind::UnevenDepth { .. }
        | FaultKind::NestedInInline => (Check::Tree, Grade::Suspicious),
        // Keys out of order are not found by whoever looks for them.
        _ => (Check::Tree, Grade::DataLost),
    }
}
