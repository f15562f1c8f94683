//! Writes newer than the tree, as a finding and as keys that are lost.

use crate::bolt::{Db, WalkOptions};
use crate::kube::registry_key::Prefixes;
use crate::ops::finding::{Check, Finding, Findings, Grade};
use crate::ops::newer::newer_writes;

use super::tally::{Counter, Tally};
use super::{Affected, Latest, merge};

/// What is known of the file before it is looked into once more.
pub(in crate::ops::verify) struct Question<'q, 'a> {
    pub(in crate::ops::verify) db: &'q Db<'a>,
    pub(in crate::ops::verify) prefixes: &'q Prefixes,
    pub(in crate::ops::verify) walk: WalkOptions<'q>,
}

impl Question<'_, '_> {
    /// Looks for such writes where the tree may not be the last one that was written. What
    /// was known to be affected comes with what is known now.
    pub(in crate::ops::verify) fn answer(
        &self,
        findings: &mut Findings,
        affected: Option<Affected>,
    ) -> Option<Affected> {
        // Where the tree is damaged, that it ends early is told of.
        let (worst, _) = findings.of_check(Check::Tree);
        let is_whole = worst.is_none_or(|worst| worst < Grade::DataLost);
        let Some(found) = newer_writes(self.db, is_whole, &self.walk) else { return affected };
        let span = found.span;
        findings.push(
            Finding::new(Grade::DataLost, Check::History, "newest-unreached")
                .at(span.place)
                .of_bucket("key")
                .because(span.expected(), span.found()),
        );
        let mut counter = Counter::new(self.prefixes);
        found.keys.into_iter().for_each(|key| counter.add(key));
        let mut affected = affected.unwrap_or_default();
        affected.latest = Latest::Affected;
        affected.nothing_left |= span.tree.is_none();
        // All of them are there, unless some pages of it are gone.
        let behind = span.last.saturating_sub(found.before).max(0).unsigned_abs();
        affected.unnamed |= behind > found.revisions;
        affected.accounted_for = false;
        affected.revisions.push((found.before.saturating_add(1), Some(span.last)));
        affected.revisions.sort_unstable();
        merge(&mut affected.revisions);
        affected.lost.add(counter.finish());
        Some(affected)
    }
}

impl Tally {
    /// Adds the keys of another one.
    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.ungrouped = self.ungrouped.saturating_add(other.ungrouped);
        self.groups.extend(other.groups);
    }
}
