//! The renames that make a staged directory appear.
//!
//! One rename where the WAL is inside `member`. With a WAL elsewhere there are
//! more, and a run can be killed between them: so the WAL comes first, with a file
//! beside it that says that it belongs to no member yet, and the database last.
//! There is never a database without its WAL, and the next run knows what it may
//! replace.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::etcd::wal::FIRST_SEGMENT;

use super::mark::UNFINISHED;
use super::place::{Place, parent};
use super::stage::sync_path;
use super::target::{Target, TargetError, failed};

pub(super) struct Publication<'t> {
    pub(super) main: Place,
    pub(super) wal: Option<Place>,
    pub(super) mode: Option<u32>,
    /// Whether `member` goes into a directory that is there, or the directory
    /// itself is put in place.
    pub(super) into_existing: bool,
    pub(super) target: &'t Target,
}

impl Publication<'_> {
    /// Publishes. The inner result is of what comes after the database is in
    /// place: it is there then, but may not survive a crash of the machine.
    pub(super) fn publish(self) -> Result<Result<(), TargetError>, TargetError> {
        let Some(wal_dir) = &self.target.wal_dir else {
            self.publish_member()?;
            return Ok(self.sync_parents());
        };
        self.publish_wal(wal_dir)?;
        self.publish_member().inspect_err(|_| {
            // Best effort, as the mark tells the next run that this WAL is nobody's.
            let _ = fs::remove_file(wal_dir.join(FIRST_SEGMENT));
            let _ = fs::remove_file(wal_dir.join(UNFINISHED));
            if self.target.wal_owner.is_none() {
                let _ = fs::remove_dir(wal_dir);
            }
        })?;
        let mark = wal_dir.join(UNFINISHED);
        Ok(self
            .sync_parents()
            .and_then(|()| fs::remove_file(&mark).map_err(failed("remove", &mark)))
            .and_then(|()| sync_path(wal_dir)))
    }

    fn publish_member(&self) -> Result<(), TargetError> {
        let data_dir = &self.target.data_dir;
        let staged = self.main.tree();
        if let Some(mode) = self.mode {
            let path = if self.into_existing { data_dir } else { &staged };
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
                .map_err(failed("set the mode of", path))?;
        }
        if self.into_existing {
            rename_new(&staged.join("member"), &data_dir.join("member"))
        } else {
            rename_new(&staged, data_dir)
        }
    }

    /// Makes the new entries of directories durable.
    fn sync_parents(&self) -> Result<(), TargetError> {
        let data_dir = &self.target.data_dir;
        sync_path(&if self.into_existing { data_dir.clone() } else { parent(data_dir) })?;
        let places = [Some(&self.main), self.wal.as_ref()];
        for made in places.into_iter().flatten().flat_map(Place::made) {
            sync_path(&parent(made))?;
        }
        Ok(())
    }

    fn publish_wal(&self, wal_dir: &Path) -> Result<(), TargetError> {
        let Some(place) = &self.wal else { return Ok(()) };
        let staged = place.tree();
        if self.target.wal_owner.is_none() {
            rename_new(&staged, wal_dir)?;
            return sync_path(&parent(wal_dir));
        }
        // A directory that is there, perhaps a mount point, perhaps with what a
        // killed run left: the mark comes before all else, and says of which
        // member the WAL will be.
        let (mark, segment) = (wal_dir.join(UNFINISHED), wal_dir.join(FIRST_SEGMENT));
        if self.target.wal_unfinished {
            fs::rename(staged.join(UNFINISHED), &mark).map_err(failed("publish", &mark))?;
            sync_path(wal_dir)?;
            match fs::remove_file(&segment) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed("remove what an earlier restore left:", &segment)(error));
                }
                _ => {}
            }
        } else {
            rename_new(&staged.join(UNFINISHED), &mark)?;
            sync_path(wal_dir)?;
        }
        rename_new(&staged.join(FIRST_SEGMENT), &segment)?;
        sync_path(wal_dir)
    }
}

/// Renames, but never over anything.
fn rename_new(from: &Path, to: &Path) -> Result<(), TargetError> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // File systems without that flag: the check is then not atomic.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            if to.exists() {
                let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
                return Err(failed("publish", to)(error));
            }
            fs::rename(from, to).map_err(failed("publish", to))
        }
        Err(error) => Err(failed("publish", to)(error.into())),
    }
}
