//! The renames that make a staged directory appear.
//!
//! One rename where the WAL is inside `member`. With a WAL elsewhere there are
//! more, and a run can be killed between them: so the WAL comes first, with a file
//! beside it that says that it belongs to no member yet, and the database last.
//! There is never a database without its WAL, and the next run knows what it may
//! replace.
//!
//! A `member` that is there is exchanged with the new one, so that there is one
//! at every moment: an etcd that is started on a directory without any begins a
//! new, empty store. With a WAL elsewhere two directories cannot change at once, so
//! the old member goes aside first.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::etcd::wal::FIRST_SEGMENT;

use super::aside::Moved;
use super::mark::UNFINISHED;
use super::place::{Place, parent};
use super::target::{Target, TargetError, failed};
use super::tree::sync_path;

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
        let aside = &self.target.aside;
        // An etcd may have come back since the target was looked at.
        aside.not_in_use(self.target.wal_dir.as_deref())?;
        let Some(wal_dir) = &self.target.wal_dir else {
            match &aside.member {
                Some(old) => self.exchange(old)?,
                None => self.publish_member()?,
            }
            return Ok(self.sync_parents());
        };
        aside.perform()?;
        self.publish_apart(wal_dir).inspect_err(|_| aside.undo())?;
        let mark = wal_dir.join(UNFINISHED);
        Ok(self
            .sync_parents()
            .and_then(|()| fs::remove_file(&mark).map_err(failed("remove", &mark)))
            .and_then(|()| sync_path(wal_dir)))
    }

    /// The WAL, and then the database; or neither.
    fn publish_apart(&self, wal_dir: &Path) -> Result<(), TargetError> {
        self.publish_wal(wal_dir)?;
        self.publish_member().inspect_err(|_| {
            // Best effort, as the mark tells the next run that this WAL is nobody's.
            let _ = fs::remove_file(wal_dir.join(FIRST_SEGMENT));
            let _ = fs::remove_file(wal_dir.join(UNFINISHED));
            if self.target.wal_owner.is_none() {
                let _ = fs::remove_dir(wal_dir);
            }
        })
    }

    fn set_mode(&self) -> Result<(), TargetError> {
        let Some(mode) = self.mode else { return Ok(()) };
        let path = if self.into_existing { self.target.data_dir.clone() } else { self.main.tree() };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).map_err(failed("set the mode of", &path))
    }

    /// Puts the staged `member` in the place of the one that is there, which gets
    /// the name to be put aside by.
    fn exchange(&self, old: &Moved) -> Result<(), TargetError> {
        self.set_mode()?;
        let staged = self.main.tree().join("member");
        self.main.note_exchange(old.to.file_name().unwrap_or_default())?;
        rename_new(&staged, &old.to)?;
        let exchanged = renameat_with(CWD, &old.to, CWD, &old.from, RenameFlags::EXCHANGE);
        let Err(error) = exchanged else { return Ok(()) };
        rename_new(&old.to, &staged)?;
        if !is_without_flags(error) {
            return Err(failed("publish", &old.from)(error.into()));
        }
        rename_new(&old.from, &old.to)?;
        rename_new(&staged, &old.from).inspect_err(|_| {
            let _ = rename_new(&old.to, &old.from);
        })
    }

    fn publish_member(&self) -> Result<(), TargetError> {
        let data_dir = &self.target.data_dir;
        let staged = self.main.tree();
        self.set_mode()?;
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
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<(), TargetError> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // The check is then not atomic.
        Err(error) if is_without_flags(error) => {
            if to.exists() {
                let error = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
                return Err(failed("publish", to)(error));
            }
            fs::rename(from, to).map_err(failed("publish", to))
        }
        Err(error) => Err(failed("publish", to)(error.into())),
    }
}

/// Whether an error is that of a file system which knows no flags for renames.
fn is_without_flags(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::NOTSUP)
}
