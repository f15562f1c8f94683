//! Leases that go: their keys are deleted as etcd would, or lose what attaches them.

use crate::bolt::{Entries, leaves_forward};
use crate::codec::fixed::i64_be;
use crate::etcd::record::Record;
use crate::etcd::revision::Revision;
use crate::etcd::schema;

use super::census::Census;
use super::content::{Content, Marked};
use super::{Leases, Outcome, RebuildError};

impl Content<'_> {
    /// Takes the leases away, and their keys or what attaches keys to them.
    pub(super) fn leases(
        &mut self,
        leases: Leases,
        census: &mut Census,
        outcome: &mut Outcome,
    ) -> Result<(), RebuildError> {
        let mut ids = Vec::new();
        for leaf in leaves_forward(&self.db, schema::LEASE) {
            let leaf = leaf.map_err(RebuildError::Damaged)?;
            ids.extend(leaf.iter().filter_map(|element| i64_be(element.key(), 0)));
        }
        ids.sort_unstable();
        outcome.leases_removed = ids.len() as u64;
        self.replaced.insert(schema::LEASE.to_vec(), Entries::new());
        let mut leased = std::mem::take(&mut census.leased);
        if leases == Leases::Detach {
            outcome.keys_detached = leased.len() as u64;
            self.detached = Marked::new(leased.into_iter().map(|(_, offset)| offset).collect());
            return Ok(());
        }
        let all = leased.len();
        leased.retain(|(lease, _)| ids.binary_search(lease).is_ok());
        outcome.keys_expired = leased.len() as u64;
        outcome.keys_of_missing_leases = all.saturating_sub(leased.len()) as u64;
        outcome.live_keys.1 = outcome.live_keys.1.saturating_sub(outcome.keys_expired);
        let gone = Marked::new(leased.iter().map(|(_, offset)| *offset).collect());
        census.kept.retain(|offset| !gone.contains(*offset));
        let image = self.db.image;
        let key = |offset| Record::at(&image, offset).map(|record| record.kv.key).unwrap_or_default();
        leased.sort_by(|(lease, offset), (other_lease, other)| {
            lease.cmp(other_lease).then_with(|| key(*offset).cmp(key(*other)))
        });
        let mut revision = Revision { main: outcome.revision.1, sub: 0 };
        let mut previous = None;
        for (lease, offset) in leased {
            if previous == Some(lease) {
                revision.sub = revision.sub.saturating_add(1);
            } else {
                let too_far = RebuildError::Revision { from: revision.main, to: i64::MAX };
                revision = Revision { main: revision.main.checked_add(1).ok_or(too_far)?, sub: 0 };
            }
            previous = Some(lease);
            self.deletions.push((revision, offset));
        }
        outcome.revision.1 = revision.main;
        Ok(())
    }
}
