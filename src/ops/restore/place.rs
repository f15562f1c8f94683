//! A place to make something in before it is published.
//!
//! It is on the file system of the target, so that a rename can publish what is
//! in it: beside a target that does not exist yet, inside one that does (an empty
//! directory, or a mount point with nothing but `lost+found`). Its name is fixed
//! and it is locked while in use, so a second run at the same time is refused,
//! and what a killed run left behind is found and removed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

pub(super) use crate::ops::folder::parent;

use super::target::{TargetError, failed};

/// Name of the place inside an existing target.
pub(super) const INSIDE: &str = ".etcdsnap-restore";
/// Held exclusively while the place is in use.
pub(super) const LOCK: &str = "lock";
/// What will be published, or holds what will be.
const TREE: &str = "tree";
/// Says of a name beside this place which directory stood there before it was
/// exchanged with `member`.
const NOTE: &str = "exchange";

/// A place that this process holds. Removed when dropped.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    _lock: File,
    /// Directories that had to be made on the way, outermost first. Those that
    /// stay empty go when the place goes.
    made: Vec<PathBuf>,
}

impl Place {
    /// Takes the place for a target that exists.
    pub(super) fn inside(target: &Path) -> Result<Self, TargetError> {
        Self::take(target.join(INSIDE), target)
    }

    /// Takes the place for a target that does not exist.
    pub(super) fn beside(target: &Path) -> Result<Self, TargetError> {
        let no_name = || TargetError::NotADirectory { path: target.to_owned() };
        let name = name_beside(target).ok_or_else(no_name)?;
        Self::take(parent(target).join(name), target)
    }

    /// Removes what a killed run left beside a target that has come into being
    /// since. What is not a restore's, or is in use, stays.
    pub(super) fn clear_beside(target: &Path) {
        if name_beside(target).is_some_and(|name| parent(target).join(name).exists()) {
            drop(Self::beside(target));
        }
    }

    fn take(path: PathBuf, target: &Path) -> Result<Self, TargetError> {
        let mut made = Vec::new();
        let taken = Self::take_making(&path, target, &mut made);
        match taken {
            Ok(lock) => {
                let place = Self { path, _lock: lock, made };
                place.clear()?;
                make_directory(&place.tree())?;
                Ok(place)
            }
            Err(error) => {
                remove_empty(&made);
                Err(error)
            }
        }
    }

    fn take_making(path: &Path, target: &Path, made: &mut Vec<PathBuf>) -> Result<File, TargetError> {
        // Parents of the target that do not exist are made, as upstream does.
        for parent in missing(&parent(path)) {
            make_directory(&parent)?;
            made.push(parent);
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => own(path)?,
            Err(error) => return Err(failed("create directory", path)(error)),
        }
        let lock_path = path.join(LOCK);
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        let options = options.custom_flags(libc::O_NOFOLLOW);
        let lock = options.open(&lock_path).map_err(failed("create", &lock_path))?;
        if let Err(rustix::io::Errno::WOULDBLOCK) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            return Err(TargetError::Busy { path: target.to_owned() });
        }
        // The file that was opened may be that of a run which has ended since and
        // removed it: a lock on that keeps nobody out.
        let same = |there: fs::Metadata| lock.metadata().is_ok_and(|ours| ours.ino() == there.ino());
        if !fs::metadata(&lock_path).is_ok_and(same) {
            return Err(TargetError::Busy { path: target.to_owned() });
        }
        Ok(lock)
    }

    /// The directory to be filled. Whoever publishes it renames it, or what is
    /// in it, away.
    pub(super) fn tree(&self) -> PathBuf {
        self.path.join(TREE)
    }

    /// The directories that were made for this place and were not there before.
    pub(super) fn made(&self) -> &[PathBuf] {
        &self.made
    }

    /// Notes that the tree's `member` goes to `name` for the moment in which it is
    /// exchanged with the `member` that is there. A run that is killed in that moment
    /// leaves under that name either what was there, or what it staged: the next
    /// one must know which.
    pub(super) fn note_exchange(&self, name: &OsStr) -> Result<(), TargetError> {
        let member = self.tree().join("member");
        let inode = fs::metadata(&member).map_err(failed("examine", &member))?.ino();
        let mut content = format!("{inode} ").into_bytes();
        content.extend_from_slice(name.as_bytes());
        let note = self.path.join(NOTE);
        fs::write(&note, content).map_err(failed("write", &note))
    }

    /// Removes what was staged and left under the name that a note tells.
    fn clear_exchange(&self) -> Result<(), TargetError> {
        let note = self.path.join(NOTE);
        let Ok(content) = fs::read(&note) else { return Ok(()) };
        let noted =
            content.iter().position(|byte| *byte == b' ').and_then(|space| content.split_at_checked(space));
        if let Some((inode, name)) = noted
            && let Some(name) = name.get(1..).map(OsStr::from_bytes)
            && name.as_bytes().starts_with(b"member.bak-")
            && !name.as_bytes().contains(&b'/')
        {
            let path = parent(&self.path).join(name);
            let found = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_dir);
            // By its number: what was there has another one.
            if found.is_some_and(|found| found.ino().to_string().as_bytes() == inode) {
                remove(&path)?;
            }
        }
        fs::remove_file(&note).map_err(failed("remove what an earlier restore left:", &note))
    }

    /// Removes what an earlier run left.
    fn clear(&self) -> Result<(), TargetError> {
        self.clear_exchange()?;
        let tree = self.tree();
        match fs::symlink_metadata(&tree) {
            Ok(_) => remove(&tree),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed("examine", &tree)(error)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Best effort: what stays is removed by the next run.
        let _ = fs::remove_dir_all(self.tree());
        let _ = fs::remove_file(self.path.join(NOTE));
        let _ = fs::remove_file(self.path.join(LOCK));
        let _ = fs::remove_dir(&self.path);
        remove_empty(&self.made);
    }
}

/// Makes sure that a directory that was there is one that a run left: its owner's
/// alone, and with nothing in it that no run makes. Anything else is somebody's.
pub(super) fn own(path: &Path) -> Result<(), TargetError> {
    let foreign = || TargetError::Foreign { path: path.to_owned() };
    let metadata = fs::symlink_metadata(path).map_err(failed("examine", path))?;
    if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(foreign());
    }
    for entry in fs::read_dir(path).map_err(failed("read", path))? {
        let name = entry.map_err(failed("read", path))?.file_name();
        if name != LOCK && name != TREE && name != NOTE {
            return Err(foreign());
        }
    }
    Ok(())
}

/// Name of the place beside `target`.
pub(super) fn name_beside(target: &Path) -> Option<OsString> {
    let mut name = OsString::from(".");
    name.push(target.file_name()?);
    name.push(INSIDE);
    Some(name)
}

/// Removes a file or a directory with all that is in it.
pub(super) fn remove(path: &Path) -> Result<(), TargetError> {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let removed = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(failed("remove what an earlier restore left:", path))
}

fn remove_empty(made: &[PathBuf]) {
    for path in made.iter().rev() {
        if fs::remove_dir(path).is_err() {
            return;
        }
    }
}

/// The directories on the way to `path`, itself included, that do not exist.
fn missing(path: &Path) -> Vec<PathBuf> {
    let mut missing: Vec<_> = path
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .map(Path::to_owned)
        .collect();
    missing.reverse();
    missing
}

/// Makes a directory that only its owner may enter, whatever the umask.
pub(super) fn make_directory(path: &Path) -> Result<(), TargetError> {
    DirBuilder::new().mode(0o700).create(path).map_err(failed("create directory", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed("set the mode of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_exchange_that_was_cut_short_only_what_was_staged_is_removed() {
        for exchanged in [false, true] {
            let folder = tempfile::tempdir().expect("folder");
            let target = folder.path();
            let name = "member.bak-20261122T221400Z";
            let (member, bak) = (target.join("member"), target.join(name));
            fs::create_dir(&member).expect("made");
            fs::write(member.join("old"), "precious").expect("written");
            // As a run that is killed: its place stays.
            let place = Place::inside(target).expect("taken");
            let staged = place.tree().join("member");
            fs::create_dir(&staged).expect("made");
            place.note_exchange(OsStr::new(name)).expect("noted");
            fs::rename(&staged, &bak).expect("renamed");
            if exchanged {
                fs::rename(&member, target.join("x")).expect("renamed");
                fs::rename(&bak, &member).expect("renamed");
                fs::rename(target.join("x"), &bak).expect("renamed");
            }
            std::mem::forget(place);
            // The lock went with the process; here it is still held.
            fs::remove_file(target.join(INSIDE).join(LOCK)).expect("removed");
            drop(Place::inside(target).expect("taken again"));
            assert_eq!(bak.exists(), exchanged);
            let old = if exchanged { &bak } else { &member };
            assert_eq!(fs::read_to_string(old.join("old")).expect("there"), "precious");
            assert!(!target.join(INSIDE).exists());
        }
    }
}
