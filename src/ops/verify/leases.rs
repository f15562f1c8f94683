//! Leases, and live keys that are attached to leases which are not there.

use crate::bolt::{Bucket, Db, Excerpt, Fold, LeafView};
use crate::etcd::lease::{Lease, LeaseFault, LeaseId};
use crate::etcd::record::Record;
use crate::etcd::schema;
use crate::ops::finding::{Check, Finding, Findings, Grade};

use super::schema::place;

/// Collects the ids of all leases.
pub(super) struct Leases;

/// What bucket `lease` holds.
#[derive(Default)]
pub(super) struct LeaseIds<'a> {
    /// Ids, ascending as the keys of the bucket are (unsigned).
    pub(super) ids: Vec<LeaseId>,
    faults: Vec<(crate::bolt::LeafElement<'a>, LeaseFault)>,
    fault_count: u64,
}

impl<'a> Fold<'a> for Leases {
    type Part = LeaseIds<'a>;
    type Total = LeaseIds<'a>;

    fn total(&self) -> LeaseIds<'a> {
        LeaseIds::default()
    }

    fn part(&self, _: &Bucket<'a>) -> LeaseIds<'a> {
        LeaseIds::default()
    }

    fn leaf(&self, part: &mut LeaseIds<'a>, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        if !bucket.is(schema::LEASE) {
            return;
        }
        for element in leaf.elements {
            match Lease::parse(element.key(), element.value()) {
                Ok(lease) => part.ids.push(lease.id),
                Err(fault) => {
                    part.fault_count = part.fault_count.saturating_add(1);
                    if part.faults.len() < Findings::KEPT {
                        part.faults.push((*element, fault));
                    }
                }
            }
        }
    }

    fn join(&self, total: &mut LeaseIds<'a>, _: &Bucket<'a>, part: LeaseIds<'a>) {
        total.ids.extend(part.ids);
        total.fault_count = total.fault_count.saturating_add(part.fault_count);
        let room = Findings::KEPT.saturating_sub(total.faults.len());
        total.faults.extend(part.faults.into_iter().take(room));
    }
}

/// Returns how many live keys are attached to a lease.
pub(super) fn findings<'a>(
    db: &Db<'_>,
    leases: &LeaseIds<'a>,
    live: impl Iterator<Item = Record<'a>>,
    findings: &mut Findings,
) -> u64 {
    for (index, (element, fault)) in leases.faults.iter().enumerate() {
        let finding = Finding::new(Grade::Suspicious, Check::Leases, "lease-unreadable")
            .at(place(db, element.offset))
            .of_bucket("lease")
            .about(Excerpt::of(element.key()))
            .because("a lease under its own id", fault.to_string());
        let unkept = leases.fault_count.saturating_sub(leases.faults.len() as u64);
        findings.count_more(finding, if index == 0 { unkept.saturating_add(1) } else { 1 });
    }
    let mut ids = leases.ids.clone();
    ids.sort_unstable();
    let mut attached = 0u64;
    for record in live.filter(|record| record.kv.lease != 0) {
        attached = attached.saturating_add(1);
        let lease = LeaseId(record.kv.lease);
        if ids.binary_search(&lease).is_err() {
            findings.push(
                Finding::new(Grade::Note, Check::Leases, "lease-missing")
                    .at(place(db, record.offset))
                    .of_bucket("key")
                    .about(Excerpt::of(record.kv.key))
                    .because(format!("lease {lease}, which the key is attached to"), "no such lease"),
            );
        }
    }
    attached
}
