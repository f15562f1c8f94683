//! What a restore would meet at its target. Nothing is made, changed or held.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FlockOperation, access, flock};

use super::Placement;
use super::place::{self, INSIDE, LOCK, name_beside, parent};
use super::plan::Plan;
use super::target::{Target, TargetError, failed};
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
    pub(super) fn take(placement: &Placement, plan: &Plan<'_>) -> Self {
        let (data_dir, wal_dir) = (&placement.data_dir, placement.wal_dir.as_deref());
        let elsewhere = wal_dir.filter(|wal_dir| *wal_dir != data_dir.join("member").join("wal"));
        let mut rooms: Vec<_> = room(data_dir, plan.space_needed(elsewhere.is_none())).into_iter().collect();
        rooms.extend(elsewhere.and_then(|wal_dir| room(wal_dir, PREALLOCATED)));
        let problem =
            usable(placement).and_then(|()| match rooms.iter().find(|room| room.free < room.needed) {
                None => Ok(()),
                Some(Room { path, needed, free }) => {
                    Err(TargetError::NoSpace { path: path.clone(), needed: *needed, available: *free })
                }
            });
        Self { problem: problem.err(), rooms }
    }
}

fn room(target: &Path, needed: u64) -> Option<Room> {
    let path = nearest(target);
    let found = rustix::fs::statvfs(&path).ok()?;
    Some(Room { path, needed, free: found.f_bavail.saturating_mul(found.f_frsize) })
}

/// The directory that is there already, on the way to `path`.
fn nearest(path: &Path) -> PathBuf {
    let mut way = path.to_owned();
    while !way.exists() && way != parent(&way) {
        way = parent(&way);
    }
    way
}

fn usable(placement: &Placement) -> Result<(), TargetError> {
    let (data_dir, wal_dir) = (&placement.data_dir, placement.wal_dir.as_deref());
    if let Some(owner) = placement.owner {
        let user = rustix::process::geteuid();
        if !user.is_root() && owner.uid != user.as_raw() {
            return Err(TargetError::NotRoot { owner });
        }
    }
    let target = Target::examine(data_dir, wal_dir)?;
    stageable(data_dir, target.existing_owner.is_some() || target.wal_inside)?;
    match &target.wal_dir {
        Some(wal_dir) => stageable(wal_dir, target.wal_owner.is_some()),
        None => Ok(()),
    }
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
