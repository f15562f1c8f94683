//! A fresh member directory from a snapshot: the data of the old cluster with
//! the membership of a new one.
//!
//! Done in the order that nothing can be lost by:
//!
//! 1. [`plan`](Plan): what will be written, as a value. [`preview`] ends here. The database is the
//!    snapshot's own pages plus a handful behind them, or, if something of the content is to be
//!    changed, written anew.
//! 2. stage: written to a place of its own on the target's file system,
//!    while the digest is computed and all that will be written is verified.
//! 3. the verdict: a damaged snapshot ends here, and the staging place goes.
//!    A database that was written anew is read again and verified by itself.
//! 4. publish: `member` appears at the target by one rename.
//!
//! Source: etcd `etcdutl/snapshot/v3_snapshot.go` @ v3.5.33, v3.6.14, v3.7.1.

mod all_members;
mod archive;
mod aside;
mod attributes;
mod copy;
mod edits;
mod fingerprint;
mod lines;
mod mark;
pub mod member_file;
pub mod membership;
mod place;
mod plan;
mod publish;
mod request;
mod space;
mod stage;
mod survey;
mod target;
mod tree;
mod warning;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bolt::{Db, OpenError, PatchError};
use crate::etcd::hash_kv::HashKv;
use crate::etcd::line::EtcdLine;
use crate::etcd::membership::{MemberId, NewMembersError};
use crate::etcd::peer_url::BootstrapError;
use crate::etcd::snap_file::SnapFault;
use crate::etcd::snapshot::DigestVerdict;
use crate::etcd::wal::WalFault;
use crate::source::{Source, SourceError};

pub use all_members::{AllRestored, Form, OutDir, preview_all, restore_all};
pub use aside::{Existing, Moved};
pub use edits::Correction;
pub use fingerprint::{Fingerprint, NoFingerprint};
pub use lines::StartsOn;
pub use plan::{Database, Plan, Summary};
pub use request::{Bump, Corrections, Membership, Placement, Request};
pub use survey::{Room, Survey};
pub use target::{Owner, TargetError};
pub use warning::Warning;

use stage::Published;

use super::digest::Content;
use super::finding::{Check, Grade};
use super::rebuild::{RebuildError, Refusal};
use super::{OpError, Settings, hashkv, verify};

/// Why there is no restored directory. Nothing stands at the target then, and
/// nothing is in the way of another try; only [`NotDurable`](Self::NotDurable)
/// comes after the directory was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The membership does not fit together.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// The new members cannot be told apart.
    #[error(transparent)]
    Members(#[from] NewMembersError),
    /// The revision cannot be moved that far.
    #[error("revision {revision} cannot be moved ahead by {by}: {} is the last that is allowed", Bump::LIMIT)]
    BumpTooFar {
        /// The last revision in the snapshot.
        revision: i64,
        /// How far it was to go.
        by: u64,
    },
    /// The bump does not lead past what was there.
    #[error("the bump leads to revision {bumped}, and the snapshot is at revision {revision}")]
    BumpTooShort {
        /// The revision of the snapshot.
        revision: i64,
        /// Where the bump leads.
        bumped: i64,
    },
    /// The target is older than the file, and a downgrade was not asked for.
    #[error("the snapshot was written by etcd {written_by}, which is newer than etcd {target}")]
    NewerThanTarget {
        /// The newest line that has left a mark in it.
        written_by: EtcdLine,
        /// The line to write for.
        target: EtcdLine,
    },
    /// Upstream has no downgrade of that kind either.
    #[error("a file of etcd {written_by} cannot be made one for etcd {target}")]
    CannotDowngrade {
        /// The line that wrote the snapshot.
        written_by: EtcdLine,
        /// The line to write for.
        target: EtcdLine,
    },
    /// The result would not be what it was to be.
    #[error("the restored state would be {found}, and {expected} is expected")]
    OtherState {
        /// What was asked for.
        expected: Fingerprint,
        /// What it would be.
        found: Fingerprint,
        /// What the request came to.
        summary: Box<Summary>,
    },
    /// Written by a line of etcd that this version does not know.
    #[error("the snapshot has storage version {0}, and etcd 3.7 is the newest that can be restored for")]
    UnknownLine(String),
    /// The target cannot be used or written.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The snapshot cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file is no database.
    #[error(transparent)]
    NotADatabase(#[from] OpenError),
    /// There is no digest, and doing without was not asked for.
    #[error("the snapshot has no digest")]
    MissingDigest(Box<verify::Report>),
    /// The digest does not match, and doing without was not asked for.
    #[error("the digest does not match")]
    DigestDiffers(Box<verify::Report>),
    /// The snapshot is damaged.
    #[error("the snapshot is damaged")]
    Damaged(Box<verify::Report>),
    /// HashKV of the result cannot be computed.
    #[error(transparent)]
    HashKv(#[from] OpError),
    /// The database cannot be given new members.
    #[error("the database cannot be patched: {0}")]
    Patch(#[from] PatchError),
    /// The database cannot be written anew with the changes.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// It was not accepted what the changes would come to.
    #[error("{0}")]
    Refused(Refusal),
    /// The database that was written anew is not what was planned.
    #[error("the database that was written does not verify")]
    NotAsPlanned(Box<verify::Report>),
    /// The directory stands at the target, but it is not certain that it would
    /// survive a crash of the machine.
    #[error("restored, but {0}")]
    NotDurable(#[source] TargetError),
    /// What was staged is not what was to be written.
    #[error("{} does not read back as it was written, first at byte {offset}", path.display())]
    ReadBack {
        /// The staged file.
        path: PathBuf,
        /// The first byte that differs.
        offset: u64,
    },
    /// What was staged is as planned, and etcd could not read its WAL.
    #[error("{}: {fault}", path.display())]
    StagedWal {
        /// The staged file.
        path: PathBuf,
        /// What is wrong with it.
        fault: WalFault,
    },
    /// What was staged is as planned, and etcd could not read its raft snapshot.
    #[error("{}: {fault}", path.display())]
    StagedSnap {
        /// The staged file.
        path: PathBuf,
        /// What is wrong with it.
        fault: SnapFault,
    },
}

/// A restored directory, or one that could be.
#[derive(Debug)]
pub struct Restored {
    /// What was done.
    pub summary: Summary,
    /// What stands for the content of the database.
    pub state: Fingerprint,
    /// Which of the members this is.
    pub node: MemberId,
    /// What was found in the snapshot.
    pub report: verify::Report,
    /// Where `member` now stands.
    pub data_dir: PathBuf,
    /// Where the WAL stands.
    pub wal_dir: PathBuf,
    /// What stood there before, and where it is now.
    pub moved_aside: Vec<Moved>,
    /// What else is in these directories and was not touched.
    pub left_alone: Vec<PathBuf>,
    /// What the operator should know before starting etcd.
    pub warnings: Vec<Warning>,
}

/// What a restore would do.
#[derive(Debug)]
pub struct Preview<R> {
    /// What it would come to.
    pub restored: R,
    /// The hash that every member will answer at the new revision, learners once they
    /// are promoted.
    pub hash_kv: HashKv,
    /// What is at the target.
    pub survey: Survey,
    /// Why a restore would be refused, if what the changes come to was not accepted.
    pub refusals: Vec<Refusal>,
    /// The state that was expected, if the result would be another one: a restore would
    /// be refused for that, too.
    pub missed_state: Option<Fingerprint>,
}

/// Restores `source` as one member.
///
/// # Errors
/// See [`RestoreError`].
pub fn restore(
    source: &Source,
    request: &Request,
    placement: &Placement,
    settings: &Settings<'_>,
) -> Result<Restored, RestoreError> {
    let db = Db::open(source.bytes())?;
    let (plan, node) = prepare(source, &db, request, placement, settings)?;
    acceptable(source, &db, &plan, request, settings)?;
    if let Some(wal_dir) = &placement.wal_dir {
        mark::forget_finished(wal_dir)?;
    }
    let staging = stage::Staging::take(placement)?;
    let ((report, state), labels) =
        verified(source, &db, &plan, request, settings, staging.abandoned(), || {
            staging.write(source, &plan, node, settings.progress)
        })?;
    as_planned(&staging.db(), 0, &plan, request, settings)?;
    let Published { data_dir, wal_dir, moved_aside, left_alone } = staging.publish()?;
    let mut warnings = plan.warnings(source, &report, request);
    warnings.extend(labels);
    warnings.extend(aside::lacks_its_wal(&moved_aside));
    let summary = plan.summary();
    Ok(Restored { summary, state, node, report, data_dir, wal_dir, moved_aside, left_alone, warnings })
}

/// Finds out all that [`restore`] would do and say, and writes nothing.
///
/// # Errors
/// As [`restore`], but that a target which cannot be used, a refusal and another state
/// than expected are part of the answer.
pub fn preview(
    source: &Source,
    request: &Request,
    placement: &Placement,
    settings: &Settings<'_>,
) -> Result<Preview<Restored>, RestoreError> {
    let db = Db::open(source.bytes())?;
    let (plan, node) = prepare(source, &db, request, placement, settings)?;
    let (survey, target) = Survey::of_member(placement, &plan);
    let ((report, state), hash_kv) = foreseen(source, &db, &plan, request, settings)?;
    let mut warnings = plan.warnings(source, &report, request);
    let (data_dir, wal_dir) = (placement.data_dir.clone(), placement.wal_path());
    let (moved_aside, left_alone) =
        target.map_or_else(Default::default, |target| (target.aside.moved(), target.left_alone));
    warnings.extend(aside::lacks_its_wal(&moved_aside));
    let summary = plan.summary();
    let restored =
        Restored { summary, state, node, report, data_dir, wal_dir, moved_aside, left_alone, warnings };
    let (refusals, missed_state) = (plan.database.refusals().to_vec(), missed(request, state));
    Ok(Preview { restored, hash_kv, survey, refusals, missed_state })
}

fn prepare<'a>(
    source: &Source,
    db: &Db<'a>,
    request: &Request,
    placement: &Placement,
    settings: &Settings<'_>,
) -> Result<(Plan<'a>, MemberId), RestoreError> {
    request.membership.cluster.validate(&placement.name, &placement.advertised)?;
    let node = MemberId::derive(&placement.advertised, &request.membership.token);
    Ok((plan(source, db, request, settings)?, node))
}

/// What to write. Damage is told as damage, not as the first thing that it got in
/// the way of.
fn plan<'a>(
    source: &Source,
    db: &Db<'a>,
    request: &Request,
    settings: &Settings<'_>,
) -> Result<Plan<'a>, RestoreError> {
    let error = match Plan::new(db, request, settings) {
        Err(error @ (RestoreError::Patch(_) | RestoreError::Rebuild(_))) => error,
        planned => return planned,
    };
    let report = examine(source, db, db, settings, request)?;
    Err(refusal(&report).map_or(error, |_| RestoreError::Damaged(Box::new(report))))
}

/// What was found in the snapshot, and what stands for the result.
type Verdict = (verify::Report, Fingerprint);

/// Writes while all that is written is verified, and returns both answers if the
/// verdict allows it. `abandoned` is set as soon as it does not.
fn verified<T: Send>(
    source: &Source,
    db: &Db<'_>,
    plan: &Plan<'_>,
    request: &Request,
    settings: &Settings<'_>,
    abandoned: &AtomicBool,
    write: impl FnOnce() -> Result<T, RestoreError> + Send,
) -> Result<(Verdict, T), RestoreError> {
    let answers = std::thread::scope(|scope| {
        // Beside the checks: written, read again, and waited for until it is on
        // disk, most of which the kernel has done by then.
        let writing = scope.spawn(write);
        // A full disk is the operator's first worry, but damage is the greater.
        let verdict = verdict(source, db, plan, request, settings);
        if verdict.is_err() {
            abandoned.store(true, Ordering::Relaxed);
        }
        let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        verdict.and_then(|verdict| written.map(|written| (verdict, written)))
    })?;
    source.finish()?;
    Ok(answers)
}

/// The verdict on a plan that is not carried out, and the hash that it would have. What
/// state was expected is asked elsewhere.
fn foreseen(
    source: &Source,
    db: &Db<'_>,
    plan: &Plan<'_>,
    request: &Request,
    settings: &Settings<'_>,
) -> Result<(Verdict, HashKv), RestoreError> {
    let verdict = judged(source, db, plan, request, settings)?;
    let hash_kv = match &plan.database {
        Database::Patched(patched) => hashkv::of_db(&patched.db(), settings)?.hash,
        Database::Rebuilt(rebuild) => rebuild.hash_kv(settings)?,
    };
    source.finish()?;
    Ok((verdict, hash_kv))
}

/// That nobody has to accept first what the changes come to. Damage is the greater
/// worry, and told before.
fn acceptable(
    source: &Source,
    db: &Db<'_>,
    plan: &Plan<'_>,
    request: &Request,
    settings: &Settings<'_>,
) -> Result<(), RestoreError> {
    let Some(refusal) = plan.database.refusals().first() else { return Ok(()) };
    verdict(source, db, plan, request, settings)?;
    Err(RestoreError::Refused(*refusal))
}

/// Verifies a database that was written anew, from byte `at` of the file that it is in
/// now. (Of several files each byte was compared with the same source.)
fn as_planned(
    path: &Path,
    at: u64,
    plan: &Plan<'_>,
    request: &Request,
    settings: &Settings<'_>,
) -> Result<(), RestoreError> {
    let Some(outcome) = plan.database.outcome() else { return Ok(()) };
    let staged = Source::open(path)?;
    let end = at.saturating_add(plan.database.size());
    let range = usize::try_from(at).unwrap_or(usize::MAX)..usize::try_from(end).unwrap_or(usize::MAX);
    let db = Db::open(staged.bytes().get(range).unwrap_or_default())?;
    let report = verify::check_part(&db, settings, &request.verify);
    staged.finish()?;
    let agrees = report.facts.as_ref().is_some_and(|facts| outcome.agrees_with(facts));
    if refusal(&report).is_some() || !agrees || db.meta.image_size() != plan.database.size() {
        return Err(RestoreError::NotAsPlanned(Box::new(report)));
    }
    Ok(())
}

/// Whether the plan may be carried out, and what its result will be.
fn verdict(
    source: &Source,
    db: &Db<'_>,
    plan: &Plan<'_>,
    request: &Request,
    settings: &Settings<'_>,
) -> Result<Verdict, RestoreError> {
    let (report, state) = judged(source, db, plan, request, settings)?;
    match missed(request, state) {
        Some(expected) => {
            let summary = Box::new(plan.summary());
            Err(RestoreError::OtherState { expected, found: state, summary })
        }
        None => Ok((report, state)),
    }
}

/// The state that was expected, if `state` is another.
fn missed(request: &Request, state: Fingerprint) -> Option<Fingerprint> {
    request.expected_state.filter(|expected| *expected != state)
}

/// Whether the snapshot may be restored, and what the result will be.
fn judged(
    source: &Source,
    db: &Db<'_>,
    plan: &Plan<'_>,
    request: &Request,
    settings: &Settings<'_>,
) -> Result<Verdict, RestoreError> {
    let report = match &plan.database {
        Database::Patched(patched) => examine(source, db, &patched.db(), settings, request),
        // What comes of it is verified once it is written.
        Database::Rebuilt(_) => examine(source, db, db, settings, request),
    }?;
    judge(&report, request.skip_hash_check)?;
    // Computed for every restore; absent only from reports of other checks.
    let state = plan.fingerprint(&report.content.unwrap_or_default());
    Ok((report, state))
}

fn examine(
    source: &Source,
    db: &Db<'_>,
    patched: &Db<'_>,
    settings: &Settings<'_>,
    request: &Request,
) -> Result<verify::Report, SourceError> {
    let report = verify::check_patched(source, db, patched, settings, &request.verify, Content::Always);
    source.finish()?;
    Ok(report)
}

/// The check that forbids a restore, digest aside.
fn refusal(report: &verify::Report) -> Option<Check> {
    let bad = |check: &&verify::CheckResult| {
        check.check != Check::Digest && check.worst.is_some_and(|worst| worst >= Grade::DataLost)
    };
    report.checks.iter().find(bad).map(|check| check.check)
}

fn judge(report: &verify::Report, skip_hash_check: bool) -> Result<(), RestoreError> {
    if refusal(report).is_some() {
        return Err(RestoreError::Damaged(Box::new(report.clone())));
    }
    match report.digest {
        Some(DigestVerdict::Matches) => Ok(()),
        _ if skip_hash_check => Ok(()),
        Some(DigestVerdict::Differs { .. }) => Err(RestoreError::DigestDiffers(Box::new(report.clone()))),
        _ => Err(RestoreError::MissingDigest(Box::new(report.clone()))),
    }
}
