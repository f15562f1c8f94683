//! Keys that were saved in a state which need not be their last.
//!
//! Whatever was written in revisions that are lost is not known, and that a key has no
//! record there says nothing. So every key that is alive in the result and was last
//! written before the last of them may have been changed or deleted in them. A key that
//! has a later record has its last state: no revision behind that one is lost.

use super::found::Found;
use super::history::History;
use super::report::{LostSpan, Outdated};

/// Finds the keys of `history` whose last state may be among what is lost.
pub(super) fn outdated(history: &History, spans: &[LostSpan], file: &[u8]) -> Outdated {
    let mut outdated = Outdated::default();
    let lost = history.last_hole.max(spans.iter().filter_map(last_of).max().unwrap_or(0));
    if lost == 0 {
        return outdated;
    }
    // Further ahead it is no revision that was reached, but one that was damaged.
    outdated.last_lost = (lost <= history.revision.saturating_add(1)).then_some(lost);
    let is_before = |found: &&Found| found.latest && found.revision().main < lost;
    for found in history.records.iter().rev().filter(is_before) {
        outdated.keys.push(found.named(file));
    }
    outdated
}

/// The last main revision that may be missing in a span; the last there is, if nothing
/// tells where it ends.
fn last_of(span: &LostSpan) -> Option<i64> {
    let last = span.end.map_or(i64::MAX, |end| end.main.saturating_sub(i64::from(end.sub == 0)));
    (!span.complete).then_some(last)
}
