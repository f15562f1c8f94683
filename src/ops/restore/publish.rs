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

use super::place::{INSIDE, Place, parent, remove};
use super::stage::sync_path;
use super::target::{Target, TargetError, UNFINISHED, failed};

pub(super) struct Publication<'t> {
    pub(super) main: Place,
    pub(super) wal: Option<Place>,
    pub(super) mode: Option<u32>,
    pub(super) target: &'t Target,
}

impl Publication<'_> {
    pub(super) fn publish(self) -> Result<(), TargetError> {
        let Some(wal_dir) = &self.target.wal_dir else { return self.publish_member() };
        self.publish_wal(wal_dir)?;
        self.publish_member().inspect_err(|_| {
            // Best effort, as the mark tells the next run that this WAL is nobody's;
            // and never once there is a database that needs it.
            if self.target.data_dir.join("member").exists() {
                return;
            }
            let _ = clear(wal_dir);
            let _ = fs::remove_file(wal_dir.join(UNFINISHED));
            if !self.target.wal_exists {
                let _ = fs::remove_dir(wal_dir);
            }
        })?;
        let mark = wal_dir.join(UNFINISHED);
        fs::remove_file(&mark).map_err(failed("remove", &mark))?;
        sync_path(wal_dir)
    }

    fn publish_member(&self) -> Result<(), TargetError> {
        let data_dir = &self.target.data_dir;
        let staged = self.main.tree();
        let into_existing = data_dir.exists();
        if let Some(mode) = self.mode {
            let path = if into_existing { data_dir } else { &staged };
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
                .map_err(failed("set the mode of", path))?;
        }
        if into_existing {
            rename_new(&staged.join("member"), &data_dir.join("member"))?;
            sync_path(data_dir)
        } else {
            rename_new(&staged, data_dir)?;
            sync_path(&parent(data_dir))
        }
    }

    fn publish_wal(&self, wal_dir: &Path) -> Result<(), TargetError> {
        let Some(place) = &self.wal else { return Ok(()) };
        let staged = place.tree();
        if !self.target.wal_exists {
            rename_new(&staged, wal_dir)?;
            return sync_path(&parent(wal_dir));
        }
        // A directory that is there, perhaps a mount point, perhaps with what a
        // killed run left: the mark comes before all else.
        let mark = wal_dir.join(UNFINISHED);
        if !mark.exists() {
            rename_new(&staged.join(UNFINISHED), &mark)?;
            sync_path(wal_dir)?;
        }
        clear(wal_dir)?;
        rename_new(&staged.join(FIRST_SEGMENT), &wal_dir.join(FIRST_SEGMENT))?;
        sync_path(wal_dir)
    }
}

/// Removes what a killed run left in a WAL's directory, but for the mark.
fn clear(wal_dir: &Path) -> Result<(), TargetError> {
    for entry in fs::read_dir(wal_dir).map_err(failed("read", wal_dir))? {
        let entry = entry.map_err(failed("read", wal_dir))?;
        let name = entry.file_name();
        if name != UNFINISHED && name != INSIDE && name != "lost+found" {
            remove(&entry.path())?;
        }
    }
    Ok(())
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
