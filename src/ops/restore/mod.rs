//! A fresh member directory from a snapshot: the data of the old cluster with
//! the membership of a new one.
//!
//! Done in the order that nothing can be lost by:
//!
//! 1. [`plan`](Plan): what will be written, as a value. The database is the
//!    snapshot's own pages plus a handful behind them.
//! 2. stage: written to a place of its own on the target's file system,
//!    while the digest is computed and all that will be written is verified.
//! 3. the verdict: a damaged snapshot ends here, and the staging place goes.
//! 4. publish: `member` appears at the target by one rename.
//!
//! Source: etcd `etcdutl/snapshot/v3_snapshot.go` @ v3.5.33, v3.6.14, v3.7.1.

mod mark;
mod place;
mod plan;
mod publish;
mod request;
mod stage;
mod target;
mod warning;

use std::path::PathBuf;

use crate::bolt::{Db, OpenError, PatchError};
use crate::etcd::membership::{MemberId, NewMembersError};
use crate::etcd::peer_url::BootstrapError;
use crate::etcd::snapshot::DigestVerdict;
use crate::source::{Source, SourceError};

pub use plan::{Plan, StartsOn, Summary};
pub use request::{Membership, Placement, Request};
pub use target::{Owner, TargetError};
pub use warning::Warning;

use super::finding::{Check, Grade};
use super::{Settings, verify};

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
    #[error("revision {revision} cannot be moved ahead by {by}: the largest revision is 9223372036854775807")]
    BumpTooFar {
        /// The revision of the snapshot.
        revision: i64,
        /// How far it was to go.
        by: u64,
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
    /// The database cannot be given new members.
    #[error("the database cannot be patched: {0}")]
    Patch(#[from] PatchError),
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
}

/// A restored directory.
#[derive(Debug)]
pub struct Restored {
    /// What was done.
    pub summary: Summary,
    /// Which of the members this is.
    pub node: MemberId,
    /// What was found in the snapshot.
    pub report: verify::Report,
    /// Where `member` now stands.
    pub data_dir: PathBuf,
    /// Where the WAL stands.
    pub wal_dir: PathBuf,
    /// What the operator should know before starting etcd.
    pub warnings: Vec<Warning>,
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
    request.membership.cluster.validate(&placement.name, &placement.advertised)?;
    let node = MemberId::derive(&placement.advertised, &request.membership.token);
    let plan = match Plan::new(&db, request) {
        Ok(plan) => plan,
        // Damage is told as damage, not as the first thing it got in the way of.
        Err(RestoreError::Patch(error)) => {
            let report = examine(source, &db, settings, request)?;
            return Err(refusal(&report)
                .map_or(RestoreError::Patch(error), |_| RestoreError::Damaged(Box::new(report))));
        }
        Err(error) => return Err(error),
    };
    let target = target::Target::examine(&placement.data_dir, placement.wal_dir.as_deref())?;
    let staging = stage::Staging::take(target, placement.owner, placement.mode)?;
    let report = std::thread::scope(|scope| {
        // Beside the checks: written, read again, and waited for until it is on
        // disk, most of which the kernel has done by then.
        let writing = scope.spawn(|| {
            staging.write(source, &plan, node, settings.progress)?;
            staging.sync(&plan).map_err(RestoreError::from)
        });
        let report = verify::check_patched(source, &db, &plan.patched.db(), settings, &request.verify);
        // A full disk is the operator's first worry, but damage is the greater.
        let verdict = source.finish().map_err(RestoreError::from);
        let verdict = verdict.and_then(|()| judge(&report, request.skip_hash_check));
        if verdict.is_err() {
            staging.abandon();
        }
        let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        verdict.and(written).map(|()| report)
    })?;
    source.finish()?;
    let (data_dir, wal_dir) = staging.publish()?;
    let warnings = plan.warnings(&report, request);
    Ok(Restored { summary: plan.summary(), node, report, data_dir, wal_dir, warnings })
}

fn examine(
    source: &Source,
    db: &Db<'_>,
    settings: &Settings<'_>,
    request: &Request,
) -> Result<verify::Report, SourceError> {
    let report = verify::check_patched(source, db, db, settings, &request.verify);
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
