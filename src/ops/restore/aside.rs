//! What stands at the target, moved out of the way: by rename, never deleted.
//!
//! Of the data directory only `member` moves, to `member.bak-TIME` beside it. A
//! WAL directory moves whole if nothing but a WAL is in it, to a name with the
//! same ending; else (it is a mount point, or holds other things) its segments move
//! into `wal.bak-TIME` inside it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, StatxFlags, fcntl_lock, flock, statx};

use crate::kube::unix_time::UnixTime;

use super::mark::UNFINISHED;
use super::place::{INSIDE, make_directory, parent};
use super::publish::rename_new;
use super::target::{TargetError, failed};
use super::tree::sync_path;
use super::warning::Warning;

/// What to do about what stands at the target already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Refuse to restore.
    #[default]
    Refuse,
    /// Move it aside, under a name that tells this time.
    MoveAside {
        /// The time.
        at: UnixTime,
    },
}

/// What was moved aside, and where it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Where it was.
    pub from: PathBuf,
    /// Where it is.
    pub to: PathBuf,
}

/// What is to be moved aside.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// `member`.
    pub(super) member: Option<Moved>,
    /// A WAL in a directory of its own.
    pub(super) wal: WalAside,
}

/// How a WAL in a directory of its own is moved.
#[derive(Debug, Default)]
pub(super) enum WalAside {
    /// There is none.
    #[default]
    Nothing,
    /// With its directory.
    Whole(Moved),
    /// Piece by piece, into a directory inside its own.
    Inside {
        /// Its directory, and that inside it.
        moved: Moved,
        /// Names of the pieces, in order.
        names: Vec<OsString>,
    },
}

/// How names of things that were moved aside go on behind their own.
const ENDING: &str = ".bak-";

impl Aside {
    /// What to move for a restore to `data_dir`, if its WAL goes to `wal_dir`.
    pub(super) fn of(data_dir: &Path, wal_dir: Option<&Path>, at: UnixTime) -> Result<Self, TargetError> {
        let stamp: String = at.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let member = data_dir.join("member");
        let mut aside = Self::default();
        if exists(&member)? {
            movable(&member)?;
            let wal = member.join("wal");
            // It would move along, and be found by nobody who mounts it.
            if wal.is_dir() {
                not_mounted(&wal)?;
            }
            aside.member = Some(Moved { to: unused(data_dir, OsStr::new("member"), &stamp)?, from: member });
        }
        if let Some(wal_dir) = wal_dir.filter(|wal_dir| wal_dir.is_dir()) {
            aside.wal = WalAside::of(wal_dir, &stamp)?;
        }
        Ok(aside)
    }

    /// That no etcd runs on what is to be moved.
    pub(super) fn not_in_use(&self, wal_dir: Option<&Path>) -> Result<(), TargetError> {
        if let Some(moved) = &self.member {
            not_locked(&moved.from, wal_dir)?;
        } else if let Some(wal_dir) = wal_dir {
            no_segment_locked(wal_dir)?;
        }
        Ok(())
    }

    /// Moves everything aside, or nothing.
    pub(super) fn perform(&self) -> Result<(), TargetError> {
        self.try_perform().inspect_err(|_| self.undo())
    }

    fn try_perform(&self) -> Result<(), TargetError> {
        // The database first: without one, nobody takes the WAL for anything.
        if let Some(moved) = &self.member {
            move_aside(&moved.from, &moved.to)?;
            sync_path(&parent(&moved.from))?;
        }
        match &self.wal {
            WalAside::Nothing => Ok(()),
            WalAside::Whole(moved) => {
                move_aside(&moved.from, &moved.to)?;
                sync_path(&parent(&moved.from))
            }
            WalAside::Inside { moved, names } => {
                make_directory(&moved.to)?;
                for name in names {
                    move_aside(&moved.from.join(name), &moved.to.join(name))?;
                }
                sync_path(&moved.to)?;
                sync_path(&moved.from)
            }
        }
    }

    /// Moves back what was moved, as far as the system lets.
    pub(super) fn undo(&self) {
        match &self.wal {
            WalAside::Nothing => {}
            WalAside::Whole(moved) => {
                let _ = rename_new(&moved.to, &moved.from);
            }
            WalAside::Inside { moved, names } => {
                for name in names.iter().rev() {
                    let _ = rename_new(&moved.to.join(name), &moved.from.join(name));
                }
                let _ = fs::remove_dir(&moved.to);
            }
        }
        if let Some(moved) = &self.member {
            let _ = rename_new(&moved.to, &moved.from);
        }
    }

    /// Whether `path` is among what is moved.
    pub(super) fn moves(&self, path: &Path) -> bool {
        if self.member.as_ref().is_some_and(|moved| moved.from == path) {
            return true;
        }
        match &self.wal {
            WalAside::Nothing => false,
            WalAside::Whole(moved) => path.starts_with(&moved.from),
            WalAside::Inside { moved, names } => names.iter().any(|name| moved.from.join(name) == path),
        }
    }

    /// What was moved, for people.
    pub(super) fn moved(&self) -> Vec<Moved> {
        let wal = match &self.wal {
            WalAside::Nothing => None,
            WalAside::Whole(moved) | WalAside::Inside { moved, .. } => Some(moved.clone()),
        };
        self.member.iter().cloned().chain(wal).collect()
    }
}

/// That a member was or would be moved by itself, and its WAL is not in it.
pub(super) fn lacks_its_wal(moved: &[Moved]) -> Option<Warning> {
    let [member] = moved else { return None };
    let is_member = |path: &PathBuf| path.join("snap").join("db").is_file();
    // Of a plan it is still where it was; afterwards the new one is there.
    let path = [&member.to, &member.from].into_iter().find(|path| is_member(path))?;
    (!path.join("wal").is_dir()).then_some(Warning::OldWalElsewhere)
}

/// Renames, and names what could not be moved.
fn move_aside(from: &Path, to: &Path) -> Result<(), TargetError> {
    rename_new(from, to).map_err(|error| match error {
        TargetError::Io { error, .. } => failed("move aside", from)(error),
        error => error,
    })
}

impl WalAside {
    fn of(wal_dir: &Path, stamp: &str) -> Result<Self, TargetError> {
        let (mut names, mut others) = (Vec::new(), false);
        for name in entries(wal_dir)? {
            if is_of_a_wal(&name) {
                names.push(name);
            } else {
                others = true;
            }
        }
        names.sort();
        if names.is_empty() {
            return Ok(Self::Nothing);
        }
        let whole = wal_dir.file_name().filter(|_| !others && movable(wal_dir).is_ok());
        let from = wal_dir.to_owned();
        match whole {
            Some(name) => {
                let to = unused(&parent(wal_dir), name, stamp)?;
                Ok(Self::Whole(Moved { from, to }))
            }
            None => {
                let to = unused(wal_dir, OsStr::new("wal"), stamp)?;
                Ok(Self::Inside { moved: Moved { from, to }, names })
            }
        }
    }
}

/// Whether a file of that name is etcd's in a directory of a WAL, or a restore's.
fn is_of_a_wal(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    [".wal", ".wal.broken", ".tmp"].iter().any(|ending| name.ends_with(ending)) || name == UNFINISHED
}

/// Names in a directory, but for those that are no obstacle to anything.
pub(super) fn entries(directory: &Path) -> Result<Vec<OsString>, TargetError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed("read", directory))? {
        let name = entry.map_err(failed("read", directory))?.file_name();
        if name != "lost+found" && name != INSIDE {
            names.push(name);
        }
    }
    Ok(names)
}

fn exists(path: &Path) -> Result<bool, TargetError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("examine", path)(error)),
    }
}

/// `directory/NAME.bak-STAMP`, or with a number behind if that is there.
fn unused(directory: &Path, name: &OsStr, stamp: &str) -> Result<PathBuf, TargetError> {
    let mut base = name.to_owned();
    base.push(ENDING);
    base.push(stamp);
    for number in 1u32..1000 {
        let mut name = base.clone();
        if number > 1 {
            name.push(format!("-{number}"));
        }
        let path = directory.join(name);
        if !exists(&path)? {
            return Ok(path);
        }
    }
    let error = io::Error::from(io::ErrorKind::AlreadyExists);
    Err(failed("find a name beside", &directory.join(base))(error))
}

/// Whether `path` is a directory that a rename can move.
fn movable(path: &Path) -> Result<(), TargetError> {
    let refused = |why| TargetError::NotMovable { path: path.to_owned(), why };
    let metadata = fs::symlink_metadata(path).map_err(failed("examine", path))?;
    if metadata.is_symlink() {
        return Err(refused("it is a symbolic link"));
    }
    if !metadata.is_dir() {
        return Err(refused("it is not a directory"));
    }
    not_mounted(path)
}

fn not_mounted(path: &Path) -> Result<(), TargetError> {
    if is_mount_point(path) {
        return Err(TargetError::NotMovable { path: path.to_owned(), why: "it is a mount point" });
    }
    Ok(())
}

/// Whether something is mounted at a directory, as far as the kernel tells.
pub(super) fn is_mount_point(path: &Path) -> bool {
    let id = |path: &Path| {
        let found = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID | StatxFlags::INO).ok()?;
        // Before Linux 5.8 there is no id of a mount.
        let told = found.stx_mask & StatxFlags::MNT_ID.bits() != 0;
        Some((told.then_some(found.stx_mnt_id), found.stx_dev_major, found.stx_dev_minor))
    };
    id(path).is_some_and(|own| id(&path.join("..")).is_some_and(|above| own != above))
}

/// That no etcd holds the database in `member`, or its WAL.
pub(super) fn not_locked(member: &Path, wal_dir: Option<&Path>) -> Result<(), TargetError> {
    let db = member.join("snap").join("db");
    if let Ok(file) = File::open(&db)
        && let Err(rustix::io::Errno::WOULDBLOCK) = flock(&file, FlockOperation::NonBlockingLockShared)
    {
        return Err(TargetError::InUse { path: db });
    }
    no_segment_locked(wal_dir.unwrap_or(&member.join("wal")))
}

/// etcd locks the segments that it may still write to by a lock of another kind.
fn no_segment_locked(wal_dir: &Path) -> Result<(), TargetError> {
    let Ok(names) = entries(wal_dir) else { return Ok(()) };
    for path in names.iter().filter(|name| is_of_a_wal(name)).map(|name| wal_dir.join(name)) {
        if let Ok(file) = File::open(&path)
            && let Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) =
                fcntl_lock(&file, FlockOperation::NonBlockingLockShared)
        {
            return Err(TargetError::InUse { path });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> UnixTime {
        "2026-11-22T22:14:00Z".parse().expect("a time")
    }

    #[test]
    fn names_tell_the_time_and_are_not_taken() {
        let folder = tempfile::tempdir().expect("folder");
        let data = folder.path();
        let name = |aside: &Aside| {
            let to = aside.member.as_ref().expect("a member").to.clone();
            to.strip_prefix(data).expect("inside").display().to_string()
        };
        assert!(Aside::of(data, None, at()).expect("nothing").member.is_none());
        fs::create_dir(data.join("member")).expect("made");
        assert_eq!(name(&Aside::of(data, None, at()).expect("found")), "member.bak-20261122T221400Z");
        fs::create_dir(data.join("member.bak-20261122T221400Z")).expect("made");
        assert_eq!(name(&Aside::of(data, None, at()).expect("found")), "member.bak-20261122T221400Z-2");
    }

    #[test]
    fn a_wal_moves_with_its_directory_only_if_that_holds_nothing_else() {
        let folder = tempfile::tempdir().expect("folder");
        let (data, wal) = (folder.path().join("data"), folder.path().join("wal"));
        fs::create_dir_all(data.join("member")).expect("made");
        fs::create_dir(&wal).expect("made");
        let aside = || Aside::of(&data, Some(&wal), at()).expect("found");
        assert!(matches!(aside().wal, WalAside::Nothing));
        fs::write(wal.join("a.wal"), "a").expect("written");
        fs::write(wal.join("0.tmp"), "b").expect("written");
        assert!(matches!(aside().wal, WalAside::Whole(_)));
        fs::write(wal.join("precious"), "c").expect("written");
        for undone in [true, false] {
            let aside = aside();
            aside.perform().expect("moved");
            let inside = wal.join("wal.bak-20261122T221400Z");
            assert_eq!(fs::read_to_string(inside.join("a.wal")).expect("there"), "a");
            assert_eq!(fs::read_to_string(inside.join("0.tmp")).expect("there"), "b");
            assert!(wal.join("precious").exists() && !wal.join("a.wal").exists());
            assert!(!data.join("member").exists());
            if undone {
                aside.undo();
                assert!(data.join("member").exists() && wal.join("a.wal").exists() && !inside.exists());
            }
        }
    }

    #[test]
    fn what_cannot_be_moved_by_a_rename_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let member = folder.path().join("member");
        std::os::unix::fs::symlink("/nowhere", &member).expect("linked");
        let refused = |why: &str| {
            let error = Aside::of(folder.path(), None, at()).expect_err("refused");
            assert!(error.to_string().ends_with(why), "{error}");
        };
        refused("it is a symbolic link");
        fs::remove_file(&member).expect("removed");
        fs::write(&member, "").expect("written");
        refused("it is not a directory");
        assert!(is_mount_point(Path::new("/proc")) && !is_mount_point(Path::new("/proc/self")));
    }
}
