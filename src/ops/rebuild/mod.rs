//! A database written anew with something changed: keys left out, history
//! compacted, leases or authentication gone, or nothing but the free pages.
//!
//! ```text
//! walk ─▶ keyspace ─▶ census ─▶ concerns ─▶ Rebuild ─▶ layout ─▶ pages, in order
//!         alive now   stays?    who needs   (a plan)   measured  written once
//!                     leased?   what goes?
//! ```
//!
//! A [`Rebuild`] is a plan: nothing is written until [`Rebuild::write`], and all that
//! will be different is in its [`Outcome`]. What is written is a function of the
//! file and the request alone, so that it is the same on every node.
//!
//! **Leaving keys out** takes all their records. History would have holes then, and a
//! watch from an old revision would never learn that the keys are gone; so the
//! store is compacted at its own revision, which also keeps that revision where it was
//! even if its last record went.
//!
//! **Memory** is that of a keyspace (12 to 45 bytes per live key), 8 bytes per key
//! that stays if the store is compacted, 16 to 40 per key attached to a lease if
//! leases go, and up to 30 per Kubernetes object that is left out.

mod census;
mod changes;
mod concerns;
mod content;
mod hash;

use std::collections::BTreeMap;
use std::io::Write;

use crate::bolt::{
    BuildError, Builder, Db, Entries, Excerpt, Fault, Layout, Metas, WalkOptions, leaves_forward, walk,
};
use crate::codec::fixed::i64_be;
use crate::etcd::hash_kv::OutOfWindow;
use crate::etcd::keyspace::{Keyspace, KeyspaceFold};
use crate::etcd::record::{Record, RecordFault, Records};
use crate::etcd::revision::{Revision, RevisionKey};
use crate::etcd::root_user::{ROOT, root_role, root_user};
use crate::etcd::schema;
use crate::etcd::state::State;

use super::damage::damage;
use super::reader::Reader;
use super::verify::Facts;
use super::{OpError, Settings};
use census::Census;
use concerns::Looker;
use content::{Compaction, Content, Marked};

pub use census::{LeftOut, LeftOutLog};
pub use changes::{BumpTo, Changes, CompactAt, DroppedType, Leases, Reason, Selection, Unmatched};
pub use concerns::{Concern, ConcernLog, Concerns};

/// What to write.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    /// What is to be changed.
    pub changes: Changes,
    /// Buckets that are to have these entries, whatever the file has: those that a
    /// restore makes anew. What the changes do to them is done on top.
    pub replaced: BTreeMap<Vec<u8>, Entries>,
    /// Opens encrypted values, to see what they refer to.
    pub reader: Reader<'r>,
}

/// Why a database cannot be written anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// It is damaged.
    #[error(transparent)]
    Op(#[from] OpError),
    /// A page of it is damaged.
    #[error("{}: expected {}, found {}", .0.place, .0.kind.expected(), .0.kind.found())]
    Damaged(Box<Fault>),
    /// An entry cannot be carried over.
    #[error("entry {0}: {1}")]
    Record(Excerpt, RecordFault),
    /// It cannot be compacted there.
    #[error(transparent)]
    Compact(#[from] OutOfWindow),
    /// Revisions would be used up, or go back.
    #[error("the revision cannot go from {from} to {to}")]
    Revision {
        /// The revision that the store would have.
        from: i64,
        /// The revision that it was to have.
        to: i64,
    },
    /// The pages cannot be made or written.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It was not accepted what the changes would come to.
    #[error("{0}")]
    Refused(Refusal),
}

/// Why a [`Rebuild`] is not to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is left.
    #[error("no key would be left")]
    NothingLeft,
    /// Something that was to be kept is not there.
    #[error("something that is to be kept is not there")]
    KeepsNothing,
    /// Volumes would be deleted with their data.
    #[error("{0} volumes would be deleted with their data, for want of their claims")]
    Reclaim(u64),
    /// Objects would be deleted.
    #[error("{0} objects would be deleted, for want of their owners")]
    Orphans(u64),
}

/// What will be different.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Revision of the store, in the file and after the changes.
    pub revision: (i64, i64),
    /// Its compact revision.
    pub compact_revision: (Option<i64>, Option<i64>),
    /// Records of all keys' histories.
    pub records: (u64, u64),
    /// Keys that are alive.
    pub live_keys: (u64, u64),
    /// Bytes of the database.
    pub size: (u64, u64),
    /// What the selection leaves out.
    pub left_out: LeftOutLog,
    /// Parts of the selection that fit nothing.
    pub unmatched: Vec<Unmatched>,
    /// What a cluster would do to what stays.
    pub concerns: Concerns,
    /// Leases that go.
    pub leases_removed: u64,
    /// Keys deleted with their leases.
    pub keys_expired: u64,
    /// Keys that lose their lease and stay.
    pub keys_detached: u64,
    /// Keys that stay attached to leases that are not there: no lease, so nothing
    /// to revoke.
    pub keys_of_missing_leases: u64,
    /// Whether authentication was on and goes off.
    pub auth_disabled: bool,
    /// Whether user `root` gets another password.
    pub root_password: bool,
}

impl Outcome {
    /// Whether a client sees the same, revisions aside: only history or free pages may
    /// have gone.
    pub fn is_faithful(&self) -> bool {
        self.left_out.keys == 0
            && self.leases_removed == 0
            && self.keys_expired == 0
            && self.keys_detached == 0
            && !self.auth_disabled
            && !self.root_password
    }

    /// Whether what was found in the written database is what it was to be.
    pub fn agrees_with(&self, facts: &Facts) -> bool {
        // The empty record of a bumped revision counts as a key.
        let bumped = Some(self.revision.1) == self.compact_revision.1;
        let live = self.live_keys.1;
        (facts.live_keys == live || (bumped && facts.live_keys == live.saturating_add(1)))
            && facts.revision == self.revision.1
            && facts.compact_revision == self.compact_revision.1
    }
}

/// A database to be written anew.
#[derive(Debug)]
pub struct Rebuild<'a> {
    content: Content<'a>,
    layout: Layout,
    outcome: Outcome,
    refusal: Option<Refusal>,
}

impl<'a> Rebuild<'a> {
    /// Finds out what is to be written, and how large it will be.
    ///
    /// # Errors
    /// Damage, and revisions that do not fit. That nothing would be left or that a
    /// cluster would delete what stays is no error yet: see
    /// [`refusal`](Self::refusal).
    pub fn plan(db: &Db<'a>, request: &Request<'_>, settings: &Settings<'_>) -> Result<Self, RebuildError> {
        let changes = &request.changes;
        let state = State::read(db);
        let selective = !changes.selection.is_empty();
        let (keyspace, at_compaction) = keyspaces(db, &state, changes, settings)?;
        let window = state.window(keyspace.last);
        let mut outcome = Outcome {
            revision: (window.current, window.current),
            compact_revision: (window.compact, window.compact),
            records: (0, 0),
            live_keys: (keyspace.len() as u64, keyspace.len() as u64),
            size: (db.meta.image_size(), 0),
            left_out: LeftOutLog::default(),
            unmatched: Vec::new(),
            concerns: Concerns::default(),
            leases_removed: 0,
            keys_expired: 0,
            keys_detached: 0,
            keys_of_missing_leases: 0,
            auth_disabled: changes.disable_auth && state.auth_enabled,
            root_password: changes.root_password.is_some(),
        };
        let mut content = Content {
            db: *db,
            replaced: request.replaced.clone(),
            selection: changes.selection.clone(),
            compaction: None,
            detached: Marked::default(),
            deletions: Vec::new(),
            bump: None,
        };

        let looker = Looker::new(&request.reader);
        let mut census = Census::take(&keyspace, changes, &looker, settings);
        outcome.live_keys.1 = census.keys_kept;
        outcome.left_out = std::mem::take(&mut census.left_out);
        outcome.unmatched = changes.selection.unmatched(&census.hits);
        if selective {
            outcome.concerns = looker.concerns(&keyspace, &changes.selection, &census.lost, settings);
        }

        if changes.leases != Leases::Keep {
            content.leases(changes.leases, &mut census, &mut outcome)?;
        }
        let now = outcome.revision.1;
        let at = match changes.compact {
            _ if selective => Some(now),
            Some(CompactAt::Now) => Some(now),
            Some(CompactAt::Revision(at)) => Some(at),
            None => None,
        };
        if let Some(at) = at {
            let newest = match at_compaction {
                Some(keyspace) => keyspace.sorted_offsets(),
                None => std::mem::take(&mut census.kept),
            };
            content.compaction = Some(Compaction { at, newest: Marked::new(newest) });
            content.deletions.retain(|(revision, _)| revision.main >= at);
            outcome.compact_revision.1 = Some(at);
        }
        drop(keyspace);
        drop(census);
        if let Some(to) = changes.bump_to.and_then(|bump| bump.revision(outcome.is_faithful())) {
            if to <= now {
                return Err(RebuildError::Revision { from: now, to });
            }
            content.bump = Some(to);
            outcome.revision.1 = to;
            outcome.compact_revision.1 = Some(to);
        }
        content.small_buckets(&state, changes, at)?;

        let mut measuring = Builder::measure(db.meta.page_size);
        outcome.records = content.emit(&mut measuring)?;
        let layout = measuring.layout()?;
        outcome.size.1 = layout.size();
        let refusal = refusal(&outcome, changes);
        Ok(Self { content, layout, outcome, refusal })
    }

    /// What will be different.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The revision that the store is bumped to, if it is.
    pub fn bumped_to(&self) -> Option<i64> {
        self.content.bump
    }

    /// What of `changes`, those that it was planned with, the content depends on.
    pub(crate) fn resolved(&self, changes: &Changes) -> Entries {
        let compacted = self.content.compaction.as_ref().map(|compaction| compaction.at);
        changes.canonical(&self.outcome, compacted)
    }

    /// Why [`write`](Self::write) will do nothing.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
    }

    /// Bytes of the database.
    pub fn size(&self) -> u64 {
        self.layout.size()
    }

    /// Writes the database in the order of its bytes.
    ///
    /// # Errors
    /// A [`Refusal`], or a failed write; damage only if the file changed since.
    pub fn write<W: Write>(&self, metas: Metas, out: W) -> Result<(), RebuildError> {
        if let Some(refusal) = self.refusal {
            return Err(RebuildError::Refused(refusal));
        }
        let mut builder = Builder::write(self.layout, metas, out)?;
        self.content.emit(&mut builder)?;
        Ok(builder.finish()?)
    }
}

/// The keys that are alive now, and, if history is to begin at an earlier revision,
/// those that were alive then.
fn keyspaces<'a>(
    db: &Db<'a>,
    state: &State,
    changes: &Changes,
    settings: &Settings<'_>,
) -> Result<(Keyspace<'a>, Option<Keyspace<'a>>), RebuildError> {
    let earlier = match changes.compact {
        Some(CompactAt::Revision(at)) => Some(at),
        _ => None,
    };
    let now = KeyspaceFold::new(db.image);
    let then = earlier.map(|at| KeyspaceFold::new(db.image).at(at));
    let options = WalkOptions { only: None, ..settings.walk() };
    let (((now, then), records), report) = walk(db, &Records((now, then)), &options);
    damage(db, report, records.into(), &Settings { skip_damaged: false, ..*settings })?;
    if let Some(at) = earlier {
        // 0 would mean the current revision.
        state.window(now.last).resolve(Some(at.max(1)))?;
    }
    Ok((now, then))
}

fn refusal(outcome: &Outcome, changes: &Changes) -> Option<Refusal> {
    let keeps_nothing =
        |part: &Unmatched| matches!(part, Unmatched::KeepPrefix(_) | Unmatched::IncludeNamespace(_));
    let Concerns { reclaimed, orphans, .. } = &outcome.concerns;
    if !changes.selection.is_empty() && outcome.live_keys.1 == 0 {
        Some(Refusal::NothingLeft)
    } else if outcome.unmatched.iter().any(keeps_nothing) {
        Some(Refusal::KeepsNothing)
    } else if reclaimed.count > 0 && !changes.accept_reclaim {
        Some(Refusal::Reclaim(reclaimed.count))
    } else if orphans.count > 0 && !changes.accept_orphans {
        Some(Refusal::Orphans(orphans.count))
    } else {
        None
    }
}

impl Content<'_> {
    /// Takes the leases away, and their keys or what attaches keys to them.
    fn leases(
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

    /// What the changes do to buckets `meta` and `auth`.
    fn small_buckets(
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
                    let element = content::plain(&element)?;
                    entries.insert(element.key().to_vec(), element.value().to_vec());
                }
            }
        }
        Ok(self.replaced.entry(name.to_vec()).or_insert(entries))
    }
}
