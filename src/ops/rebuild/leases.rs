//! Leases that go: their keys are deleted as etcd would, or lose what attaches them.

use crate::bolt::{Db, Entries, leaves_forward};
use crate::codec::fixed::i64_be;
use crate::etcd::record::Record;
use crate::etcd::revision::Revision;
use crate::etcd::schema;

use super::census::Census;
use super::content::{Content, Marked};
use super::{Leases, Outcome, RebuildError};

/// What becomes of leases, and which there are.
#[derive(Debug)]
pub(super) struct Expiry {
    leases: Leases,
    /// In order; none if they stay.
    ids: Vec<i64>,
}

impl Expiry {
    pub(super) fn read(db: &Db<'_>, leases: Leases) -> Result<Self, RebuildError> {
        let mut ids = Vec::new();
        if leases != Leases::Keep {
            for leaf in leaves_forward(db, schema::LEASE) {
                let leaf = leaf.map_err(RebuildError::Damaged)?;
                ids.extend(leaf.iter().filter_map(|element| i64_be(element.key(), 0)));
            }
            ids.sort_unstable();
        }
        Ok(Self { leases, ids })
    }

    /// Whether leases go, and with them keys or what attaches keys to them.
    pub(super) fn is_any(&self) -> bool {
        self.leases != Leases::Keep
    }

    /// Whether a key that is attached to this lease goes with it.
    pub(super) fn expires(&self, lease: i64) -> bool {
        lease != 0 && self.leases == Leases::Expire && self.ids.binary_search(&lease).is_ok()
    }
}

impl Content<'_> {
    /// Takes the leases away, and their keys or what attaches keys to them.
    pub(super) fn leases(
        &mut self,
        expiry: &Expiry,
        census: &mut Census,
        outcome: &mut Outcome,
    ) -> Result<(), RebuildError> {
        if !expiry.is_any() {
            return Ok(());
        }
        outcome.leases_removed = expiry.ids.len() as u64;
        self.replaced.insert(schema::LEASE.to_vec(), Entries::new());
        let mut leased = std::mem::take(&mut census.leased);
        if expiry.leases == Leases::Detach {
            outcome.keys_detached = leased.len() as u64;
            self.detached = Marked::new(leased.into_iter().map(|(_, offset)| offset).collect());
            return Ok(());
        }
        let all = leased.len();
        leased.retain(|(lease, _)| expiry.expires(*lease));
        outcome.keys_of_missing_leases = all.saturating_sub(leased.len()) as u64;
        outcome.live_keys.1 = outcome.live_keys.1.saturating_sub(leased.len() as u64);
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
