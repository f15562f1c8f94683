//! One look at every key that is alive: which stay, which are left out and why,
//! and which are attached to leases.

use std::collections::BTreeMap;

use crate::bolt::FileOffset;
use crate::etcd::keyspace::{Keyspace, LiveKey};
use crate::kube::registry_key::RegistryKey;
use crate::ops::Settings;
use crate::ops::list::TypeKey;

use super::changes::{Changes, CompactAt, Hits, Reason, Selection};
use super::leases::Expiry;
use super::looker::{Looker, Lost};

/// How many keys are left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Why.
    pub reason: Reason,
    /// The prefix, type or namespace that it is for; empty for
    /// [`Reason::NotKept`] and [`Reason::Lease`].
    pub subject: Vec<u8>,
    /// What they are, as `list` has it: a type, or `other` for what is none of
    /// Kubernetes.
    pub resource: String,
    /// How many keys.
    pub keys: u64,
    /// Bytes of their values.
    pub bytes: u64,
}

/// What was left out, in the order of reasons and names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOutLog {
    /// Up to a thousand kinds.
    pub kinds: Vec<LeftOut>,
    /// Keys of further kinds.
    pub further_keys: u64,
    /// All keys.
    pub keys: u64,
    /// Bytes of the values of all.
    pub bytes: u64,
}

/// Keys and bytes by reason, subject and resource.
#[derive(Debug, Default)]
struct Tally {
    kinds: BTreeMap<(Reason, Vec<u8>, String), (u64, u64)>,
    further: (u64, u64),
}

impl Tally {
    /// A store can have as many namespaces as keys.
    const KINDS: usize = 1000;

    fn add(&mut self, kind: (Reason, Vec<u8>, String), (keys, bytes): (u64, u64)) {
        let full = self.kinds.len() >= Self::KINDS;
        let count = match self.kinds.get_mut(&kind) {
            Some(count) => count,
            None if full => &mut self.further,
            None => self.kinds.entry(kind).or_default(),
        };
        *count = (count.0.saturating_add(keys), count.1.saturating_add(bytes));
    }

    fn join(&mut self, other: Self) {
        for (kind, count) in other.kinds {
            self.add(kind, count);
        }
        self.further.0 = self.further.0.saturating_add(other.further.0);
        self.further.1 = self.further.1.saturating_add(other.further.1);
    }

    fn finish(self) -> LeftOutLog {
        let (mut keys, mut bytes) = self.further;
        let mut kinds = Vec::new();
        for ((reason, subject, resource), (more, size)) in self.kinds {
            keys = keys.saturating_add(more);
            bytes = bytes.saturating_add(size);
            kinds.push(LeftOut { reason, subject, resource, keys: more, bytes: size });
        }
        LeftOutLog { kinds, further_keys: self.further.0, keys, bytes }
    }
}

/// What the look at all keys came to.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// The newest records of keys that stay, in the order of the file; only where
    /// everything else is to go.
    pub(super) kept: Vec<FileOffset>,
    /// Keys that stay.
    pub(super) keys_kept: u64,
    /// Lease and newest record of keys that stay and are attached to one.
    pub(super) leased: Vec<(i64, FileOffset)>,
    pub(super) left_out: LeftOutLog,
    /// Of the keys that stay those that are deleted with their leases.
    pub(super) expired: LeftOutLog,
    pub(super) hits: Hits,
    /// What others may miss of what is left out.
    pub(super) lost: Lost,
    tally: Tally,
    expiring: Tally,
}

impl Census {
    /// Looks at all keys of `keyspace`.
    pub(super) fn take(
        keyspace: &Keyspace<'_>,
        changes: &Changes,
        expiry: &Expiry,
        looker: &Looker<'_>,
        settings: &Settings<'_>,
    ) -> Self {
        let selection = &changes.selection;
        let only_alive = !selection.is_empty() || changes.compact == Some(CompactAt::Now);
        let mut all = Self::default();
        keyspace.in_file_order(
            settings.threads,
            |run| {
                let mut part = Self::default();
                let mut sight = looker.sight();
                for live in run {
                    part.look_at(&live, selection, only_alive, expiry, |part, live| {
                        if let Some(record) = live.record() {
                            sight.lose(&record, &mut part.lost);
                        }
                    });
                }
                part
            },
            |part| all.join(part),
        );
        all.left_out = std::mem::take(&mut all.tally).finish();
        all.expired = std::mem::take(&mut all.expiring).finish();
        all
    }

    fn look_at<'a>(
        &mut self,
        live: &LiveKey<'a>,
        selection: &Selection,
        only_alive: bool,
        expiry: &Expiry,
        mut lose: impl FnMut(&mut Self, &LiveKey<'a>),
    ) {
        let left_out = selection.judge(live.key, Some(&mut self.hits));
        let Some(record) = live.record() else { return };
        let resource = || TypeKey::of(&RegistryKey::parse(live.key, &selection.prefixes)).name();
        let size = (1, record.kv.value.len() as u64);
        if let Some((reason, subject)) = left_out {
            self.tally.add((reason, subject, resource()), size);
            lose(self, live);
            return;
        }
        if expiry.expires(record.kv.lease) {
            self.expiring.add((Reason::Lease, Vec::new(), resource()), size);
            lose(self, live);
        }
        self.keys_kept = self.keys_kept.saturating_add(1);
        if only_alive {
            self.kept.push(record.offset);
        }
        if expiry.is_any() && record.kv.lease != 0 {
            self.leased.push((record.kv.lease, record.offset));
        }
    }

    fn join(&mut self, part: Self) {
        self.kept.extend(part.kept);
        self.keys_kept = self.keys_kept.saturating_add(part.keys_kept);
        self.leased.extend(part.leased);
        self.hits.join(&part.hits);
        self.lost.join(part.lost);
        self.tally.join(part.tally);
        self.expiring.join(part.expiring);
    }
}
