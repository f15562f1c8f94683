//! What changes in the buckets `meta` and `auth`, and those of users and roles.

use crate::bolt::{Entries, leaves_forward};
use crate::etcd::revision::{Revision, RevisionKey};
use crate::etcd::root_user::{ROOT, root_role, root_user};
use crate::etcd::schema;
use crate::etcd::state::State;

use super::content::{Content, plain};
use super::{Changes, RebuildError};

impl Content<'_> {
    /// What the changes do to buckets `meta` and `auth`.
    pub(super) fn small_buckets(
        &mut self,
        state: &State,
        changes: &Changes,
        compacted: Option<i64>,
    ) -> Result<(), RebuildError> {
        let key = |main| RevisionKey { revision: Revision { main, sub: 0 }, tombstone: false }.to_bytes();
        let scheduled = self.bump.or(compacted);
        if let Some(scheduled) = scheduled {
            let meta = self.bucket(schema::META)?;
            meta.insert(schema::SCHEDULED_COMPACT.to_vec(), key(scheduled));
            if let Some(compacted) = compacted {
                meta.insert(schema::FINISHED_COMPACT.to_vec(), key(compacted));
            }
        }
        let mut auth_revision = state.auth_revision.unwrap_or(0);
        if let Some(password) = &changes.root_password {
            let users = self.bucket(schema::AUTH_USERS)?;
            let user = root_user(users.get(ROOT).map(Vec::as_slice), password);
            users.insert(ROOT.to_vec(), user);
            self.bucket(schema::AUTH_ROLES)?.entry(ROOT.to_vec()).or_insert_with(root_role);
            auth_revision = auth_revision.wrapping_add(1);
        }
        // As etcd: nothing happens if it is off already.
        if changes.disable_auth && state.auth_enabled {
            self.bucket(schema::AUTH)?.insert(schema::AUTH_ENABLED.to_vec(), vec![0]);
            auth_revision = auth_revision.wrapping_add(1);
        }
        if Some(auth_revision) != state.auth_revision.or(Some(0)) {
            let auth = self.bucket(schema::AUTH)?;
            auth.insert(schema::AUTH_REVISION.to_vec(), auth_revision.to_be_bytes().to_vec());
        }
        Ok(())
    }

    /// The entries that a bucket is to have: those of the file, unless it was given
    /// others.
    fn bucket(&mut self, name: &[u8]) -> Result<&mut Entries, RebuildError> {
        let mut entries = Entries::new();
        if !self.replaced.contains_key(name) {
            for leaf in leaves_forward(&self.db, name) {
                for element in leaf.map_err(RebuildError::Damaged)? {
                    let element = plain(&element)?;
                    entries.insert(element.key().to_vec(), element.value().to_vec());
                }
            }
        }
        Ok(self.replaced.entry(name.to_vec()).or_insert(entries))
    }
}
