//! What is written over the entries of the snapshot: the small buckets anew, and
//! a record behind the last one for a bump.
//!
//! First what upstream's restore of 3.5 to 3.7 does, then the corrections that
//! were asked for, each by itself. `docs/restore.md` says of each why.

use std::collections::BTreeMap;

use crate::bolt::{Db, Entries, Patch, PatchError, Patched};
use crate::etcd::line::EtcdLine;
use crate::etcd::membership::Member;
use crate::etcd::raft::ConfState;
use crate::etcd::revision::{Revision, RevisionKey};
use crate::etcd::state::State;
use crate::etcd::{conf_state, schema};

use super::Corrections;
use super::fingerprint::EntriesHash;
use super::lines::{cluster_line, newest_line};

/// Something other than what upstream's restore of the same line does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Correction {
    /// Marks that 3.4 does not know are gone: `meta/term` and `meta/confState`.
    MarksOf3_5Removed,
    /// `meta/storageVersion` is that of the target, or gone.
    StorageVersion {
        /// As it was.
        from: String,
        /// As it is; `None` if the target knows none.
        to: Option<String>,
    },
    /// `cluster/clusterVersion` is that of the target.
    ClusterVersion {
        /// As it was.
        from: String,
        /// As it is.
        to: String,
    },
    /// `cluster/downgrade` is gone.
    DowngradeCleared {
        /// The version it went to.
        target: String,
    },
    /// The bucket `alarm` is empty.
    AlarmsCleared {
        /// How many there were.
        alarms: usize,
    },
    /// `meta/confState` names the new members.
    ConfStateRewritten,
}

/// The small buckets to be, and the record to be appended.
#[derive(Debug)]
pub(super) struct Edits {
    meta: Entries,
    cluster: Entries,
    members: Entries,
    /// `None`: as they are.
    alarms: Option<Entries>,
    bump: Option<Vec<u8>>,
    corrections: Vec<Correction>,
}

impl Edits {
    /// What upstream's restore writes for a cluster of `members`.
    pub(super) fn of_upstream(db: &Db<'_>, members: &[Member]) -> Result<Self, PatchError> {
        let file = Patch::new(*db);
        let mut meta = file.entries(schema::META)?;
        let count = members.len() as u64;
        meta.insert(schema::CONSISTENT_INDEX.to_vec(), count.to_be_bytes().to_vec());
        meta.insert(schema::TERM.to_vec(), 1u64.to_be_bytes().to_vec());
        let entry = |member: &Member| (member.id.to_string().into_bytes(), member.to_json().into_bytes());
        Ok(Self {
            meta,
            cluster: file.entries(schema::CLUSTER)?,
            members: members.iter().map(entry).collect(),
            alarms: None,
            bump: None,
            corrections: Vec::new(),
        })
    }

    /// Moves the revision to `revision`, and has everything before compacted.
    pub(super) fn bump(&mut self, revision: i64) {
        let revision = Revision { main: revision, sub: 0 };
        let key = RevisionKey { revision, tombstone: false }.to_bytes();
        self.meta.insert(schema::SCHEDULED_COMPACT.to_vec(), key.clone());
        self.bump = Some(key);
    }

    /// Makes the corrections that were asked for, and those that the target cannot
    /// do without.
    pub(super) fn correct(
        &mut self,
        asked: Corrections,
        state: &State,
        members: &[Member],
        target: EtcdLine,
    ) {
        let is_downgrade = asked.downgrade && target < newest_line(state);
        if is_downgrade {
            self.downgrade(state, target);
        }
        if let Some(version) = &state.downgrade
            && (asked.clear_downgrade || is_downgrade)
        {
            self.cluster.remove(schema::DOWNGRADE);
            self.corrections.push(Correction::DowngradeCleared { target: version.clone() });
        }
        if asked.clear_alarms && !state.alarms.is_empty() {
            self.alarms = Some(Entries::new());
            self.corrections.push(Correction::AlarmsCleared { alarms: state.alarms.len() });
        }
        if target < EtcdLine::V3_5 {
            self.meta.remove(schema::TERM);
            self.meta.remove(schema::CONF_STATE);
            self.corrections.push(Correction::MarksOf3_5Removed);
        } else if asked.rewrite_conf_state {
            let json = conf_state::to_json(&ConfState::of(members));
            self.meta.insert(schema::CONF_STATE.to_vec(), json.into_bytes());
            self.corrections.push(Correction::ConfStateRewritten);
        }
    }

    /// What `etcdutl migrate` does to the storage version, and what a downgrade of
    /// a running cluster does to the version that its members agree on.
    fn downgrade(&mut self, state: &State, target: EtcdLine) {
        let (version, from) = (format!("{target}.0"), state.storage_version_text());
        let is_newer = from.parse().is_ok_and(|written: EtcdLine| written > target);
        if is_newer {
            let to = (target >= EtcdLine::V3_6).then(|| version.clone());
            match &to {
                Some(to) => self.meta.insert(schema::STORAGE_VERSION.to_vec(), to.clone().into_bytes()),
                None => self.meta.remove(schema::STORAGE_VERSION),
            };
            self.corrections.push(Correction::StorageVersion { from, to });
        }
        if let Some(from) = &state.cluster_version
            && cluster_line(state).is_some_and(|agreed| agreed > target)
        {
            self.cluster.insert(schema::CLUSTER_VERSION.to_vec(), version.clone().into_bytes());
            self.corrections.push(Correction::ClusterVersion { from: from.clone(), to: version });
        }
    }

    pub(super) fn corrections(&self) -> &[Correction] {
        &self.corrections
    }

    /// Buckets that get these entries and no others.
    pub(super) fn replaced(&self) -> BTreeMap<Vec<u8>, Entries> {
        let alarms = self.alarms.clone().map(|alarms| (schema::ALARM, alarms));
        let buckets = [
            (schema::CLUSTER, self.cluster.clone()),
            (schema::MEMBERS, self.members.clone()),
            (schema::MEMBERS_REMOVED, Entries::new()),
            (schema::META, self.meta.clone()),
        ];
        buckets.into_iter().chain(alarms).map(|(name, entries)| (name.to_vec(), entries)).collect()
    }

    /// SHA-256 of all of it, and of what else is changed if the database is written
    /// anew: see [`Fingerprint`](super::Fingerprint).
    pub(super) fn hash(&self, changes: Option<&Entries>) -> [u8; 32] {
        let mut hash = EntriesHash::default();
        for (name, entries) in self.replaced() {
            hash.bucket("replace", &name, &entries);
        }
        if let Some(key) = &self.bump {
            hash.bucket("append", schema::KEY, &Entries::from([(key.clone(), Vec::new())]));
        }
        if let Some(changes) = changes {
            hash.bucket("rebuild", b"", changes);
        }
        hash.finish()
    }

    /// The database with the edits made.
    pub(super) fn apply<'a>(&self, db: &Db<'a>) -> Result<Patched<'a>, PatchError> {
        let mut patch = Patch::new(*db);
        if let Some(key) = &self.bump {
            patch.append(schema::KEY, key.clone(), Vec::new());
        }
        for (name, entries) in self.replaced() {
            patch.replace(&name, entries);
        }
        patch.apply()
    }
}
