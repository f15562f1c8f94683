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
//! leases go, and up to 30 per Kubernetes object that is left out. Where any of those
//! owned others: 8 per object that stays, and 64 to 80 per object with owners.

mod census;
mod changes;
mod collector;
mod concerns;
mod content;
mod hash;
mod leases;
mod looker;
mod outcome;
mod small_buckets;

use std::collections::BTreeMap;
use std::io::Write;

use crate::bolt::{BuildError, Builder, Db, Entries, Excerpt, Fault, Layout, Metas, WalkOptions, walk};
use crate::etcd::hash_kv::OutOfWindow;
use crate::etcd::keyspace::{Keyspace, KeyspaceFold, LiveKey};
use crate::etcd::record::{RecordFault, Records};
use crate::etcd::state::State;

use super::damage::damage;
use super::reader::Reader;
use super::{OpError, Settings};
use census::Census;
use content::{Compaction, Content, Marked};
use leases::Expiry;
use looker::Looker;
use outcome::refusals;

pub use census::{LeftOut, LeftOutLog};
pub use changes::{BumpTo, Changes, CompactAt, DroppedType, Leases, Reason, Selection, Unmatched};
pub use concerns::{Bereft, Concern, ConcernLog, Concerns};
pub use outcome::{Outcome, Refusal};

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

/// A database to be written anew.
#[derive(Debug)]
pub struct Rebuild<'a> {
    content: Content<'a>,
    layout: Layout,
    outcome: Outcome,
    refusals: Vec<Refusal>,
}

impl<'a> Rebuild<'a> {
    /// Finds out what is to be written, and how large it will be.
    ///
    /// # Errors
    /// Damage, and revisions that do not fit. That nothing would be left or that a
    /// cluster would delete what stays is no error yet: see
    /// [`refusals`](Self::refusals).
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
            expired: LeftOutLog::default(),
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
        let expiry = Expiry::read(db, changes.leases)?;
        let mut census = Census::take(&keyspace, changes, &expiry, &looker, settings);
        outcome.live_keys.1 = census.keys_kept;
        outcome.left_out = std::mem::take(&mut census.left_out);
        outcome.expired = std::mem::take(&mut census.expired);
        outcome.unmatched = changes.selection.unmatched(&census.hits);
        let stays = |live: &LiveKey<'_>| {
            changes.selection.takes(live.key)
                && !live.record().is_some_and(|record| expiry.expires(record.kv.lease))
        };
        let lost = std::mem::take(&mut census.lost);
        outcome.concerns = looker.concerns(&keyspace, &stays, lost, settings);

        content.leases(&expiry, &mut census, &mut outcome)?;
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
        let refusals = refusals(&outcome, changes);
        Ok(Self { content, layout, outcome, refusals })
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
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
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
        if let Some(refusal) = self.refusals.first() {
            return Err(RebuildError::Refused(*refusal));
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
        // Where keys are left out, only what is alive stays.
        Some(CompactAt::Revision(at)) if changes.selection.is_empty() => Some(at),
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
