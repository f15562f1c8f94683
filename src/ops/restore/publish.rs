//! The renames that make a staged directory appear.
//!
//! One rename where the WAL is inside `member`. With a WAL elsewhere there are
//! two, and a run can be killed between them: so the WAL comes first, with a file
//! beside it that says that it belongs to no member yet, and the database last.
//! There is never a database without its WAL, and the next run knows what it may
//! replace.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::stage::{Place, TargetError, UNFINISHED, failed, parent, sync_path};

pub(super) struct Publication<'t> {
    pub(super) main: Place,
    pub(super) wal: Option<Place>,
    /// Whether `member` goes into a directory that is there, or the directory
    /// itself is put in place.
    pub(super) into_existing: bool,
    pub(super) mode: Option<u32>,
    pub(super) data_dir: &'t Path,
    pub(super) wal_dir: Option<&'t Path>,
}

impl Publication<'_> {
    pub(super) fn publish(self) -> Result<(), TargetError> {
        if let (Some(place), Some(wal_dir)) = (&self.wal, self.wal_dir) {
            publish_wal(place, wal_dir)?;
        }
        if let Some(mode) = self.mode {
            let path = if self.into_existing { self.data_dir } else { &self.main.path };
            fs::set_permissions(path, fs::Permissions::from_mode(mode))
                .map_err(failed("set the mode of", path))?;
        }
        let staged = self.main.path.join("member");
        if self.into_existing {
            rename_new(&staged, &self.data_dir.join("member"))?;
            sync_path(self.data_dir)?;
        } else {
            fs::remove_file(self.main.path.join("lock")).map_err(failed("remove", &self.main.path))?;
            rename_new(&self.main.path, self.data_dir)?;
            sync_path(&parent(self.data_dir))?;
        }
        if let Some(wal_dir) = self.wal_dir {
            let mark = wal_dir.join(UNFINISHED);
            fs::remove_file(&mark).map_err(failed("remove", &mark))?;
            sync_path(wal_dir)?;
        }
        Ok(())
    }
}

fn publish_wal(place: &Place, wal_dir: &Path) -> Result<(), TargetError> {
    if wal_dir.join(UNFINISHED).exists() {
        // A run before this one was killed after its first rename.
        fs::remove_dir_all(wal_dir).map_err(failed("remove what an earlier restore left:", wal_dir))?;
    }
    let staged = place.path.join("wal");
    if wal_dir.exists() {
        // An empty directory, perhaps a mount point: the segment moves in.
        for entry in fs::read_dir(&staged).map_err(failed("read", &staged))? {
            let entry = entry.map_err(failed("read", &staged))?;
            rename_new(&entry.path(), &wal_dir.join(entry.file_name()))?;
        }
        sync_path(wal_dir)
    } else {
        rename_new(&staged, wal_dir)?;
        sync_path(&parent(wal_dir))
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
