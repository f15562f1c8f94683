//! What a restore would meet at its target. Nothing is made, changed or held.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FlockOperation, access, flock};

use super::Placement;
use super::all_members::{self, Form, OutDir};
use super::place::{self, INSIDE, LOCK, name_beside, parent};
use super::plan::Plan;
use super::space::Needed;
use super::target::{Owner, Target, TargetError, failed};
use crate::etcd::wal::PREALLOCATED;

/// A file system that something will be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// A directory on it.
    pub path: PathBuf,
    /// Bytes needed.
    pub needed: u64,
    /// Bytes free for this user.
    pub free: u64,
}

/// The answer.
#[derive(Debug)]
pub struct Survey {
    /// Why the target cannot be used, if it cannot.
    pub problem: Option<TargetError>,
    /// Space needed and free: where the database goes, then where a WAL elsewhere
    /// goes.
    pub rooms: Vec<Room>,
}

impl Survey {
    /// What a member would meet, and the target as it was found if it can be used.
    pub(super) fn of_member(placement: &Placement, plan: &Plan<'_>) -> (Self, Option<Target>) {
        let (data_dir, wal_dir) = (&placement.data_dir, placement.wal_dir.as_deref());
        let elsewhere = wal_dir.filter(|wal_dir| *wal_dir != data_dir.join("member").join("wal"));
        let mut needed = Needed::default();
        needed.add(&nearest(data_dir), &nearest(data_dir), plan.database.size());
        let wal_at = nearest(elsewhere.unwrap_or(data_dir));
        needed.add(&wal_at, &wal_at, PREALLOCATED);
        match usable(placement) {
            Ok(target) => (Self::of(&needed, Ok(())), Some(target)),
            Err(problem) => (Self::of(&needed, Err(problem)), None),
        }
    }

    /// What `count` members would meet that go to one directory.
    pub(super) fn of_all(out_dir: &OutDir, plan: &Plan<'_>, count: usize) -> Self {
        let each = plan.database.size().saturating_add(PREALLOCATED);
        let at = nearest(&out_dir.path);
        let mut needed = Needed::default();
        needed.add(&at, &at, each.saturating_mul(count as u64));
        let usable = || {
            if out_dir.form == Form::Directories {
                may_give(out_dir.owner)?;
            }
            let (target, _) = all_members::examine(&out_dir.path)?;
            stageable(&target, false)
        };
        Self::of(&needed, usable())
    }

    fn of(needed: &Needed, usable: Result<(), TargetError>) -> Self {
        let problem = usable.and_then(|()| needed.check());
        Self { problem: problem.err(), rooms: needed.rooms() }
    }
}

/// The directory that is there already, on the way to `path`.
fn nearest(path: &Path) -> PathBuf {
    let mut way = path.to_owned();
    while !way.exists() && way != parent(&way) {
        way = parent(&way);
    }
    way
}

/// Whether what is written can be given to `owner`.
fn may_give(owner: Option<Owner>) -> Result<(), TargetError> {
    let user = rustix::process::geteuid();
    match owner {
        Some(owner) if !user.is_root() && owner.uid != user.as_raw() => Err(TargetError::NotRoot { owner }),
        _ => Ok(()),
    }
}

fn usable(placement: &Placement) -> Result<Target, TargetError> {
    let (data_dir, wal_dir) = (&placement.data_dir, placement.wal_dir.as_deref());
    may_give(placement.owner)?;
    let target = Target::examine(data_dir, wal_dir, placement.existing)?;
    stageable(data_dir, target.existing_owner.is_some() || target.wal_inside)?;
    if let Some(wal_dir) = &target.wal_dir {
        stageable(wal_dir, target.wal_owner.is_some())?;
    }
    Ok(target)
}

/// Whether a place for staging can be made, inside `target` or beside it.
fn stageable(target: &Path, inside: bool) -> Result<(), TargetError> {
    let within = if inside { target.to_owned() } else { parent(target) };
    let name = if inside { Some(INSIDE.into()) } else { name_beside(target) };
    let no_name = || TargetError::NotADirectory { path: target.to_owned() };
    let staging = within.join(name.ok_or_else(no_name)?);
    if fs::symlink_metadata(&staging).is_ok() {
        place::own(&staging)?;
        // Let go at once: this only asks whether somebody holds it.
        if let Ok(lock) = File::open(staging.join(LOCK))
            && let Err(rustix::io::Errno::WOULDBLOCK) = flock(&lock, FlockOperation::NonBlockingLockShared)
        {
            return Err(TargetError::Busy { path: target.to_owned() });
        }
    }
    let made_in = nearest(&within);
    access(&made_in, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| failed("create a directory in", &made_in)(error.into()))
}
