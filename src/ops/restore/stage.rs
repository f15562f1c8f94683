//! Writing a member directory where nobody looks for one yet.
//!
//! The staging place is on the file system of the target, so that a rename can
//! publish it: beside a target that does not exist yet, inside one that does
//! (an empty directory, or a mount point with nothing but `lost+found`). Its name
//! is fixed and it is locked while in use, so a second run at the same time is
//! refused, and what a killed run left behind is found and removed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Advice, FallocateFlags, FlockOperation, fadvise, fallocate, flock, ioctl_ficlone};

use crate::etcd::wal;
use crate::ops::Progress;
use crate::source::Source;

use super::RestoreError;
use super::plan::Plan;
use super::publish::Publication;

/// User and group ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Why a target cannot be used or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// There is something in the directory.
    #[error("{} is not empty: it holds {}", path.display(), entries.join(", "))]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// Some of what it holds.
        entries: Vec<String>,
    },
    /// A running etcd uses the directory.
    #[error("{} is in use by a running etcd", path.display())]
    InUse {
        /// The locked database.
        path: PathBuf,
    },
    /// There is something that is no directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// What stands there.
        path: PathBuf,
    },
    /// Another restore to the same place is running.
    #[error("another restore to {} is running", path.display())]
    Busy {
        /// The target.
        path: PathBuf,
    },
    /// Too little room.
    #[error("{} has {available} bytes free, {needed} are needed", path.display())]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        #[source]
        error: io::Error,
    },
}

/// Names the operation and the path in an I/O error.
pub(super) fn failed<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> TargetError + 'p {
    move |error| TargetError::Io { action, path: path.to_owned(), error }
}

/// Name of the staging place inside an existing target.
const INSIDE: &str = ".etcdsnap-restore";
/// Held exclusively while a staging place is in use.
const LOCK: &str = "lock";
/// Beside the WAL in a directory of its own, until the database is published:
/// whoever finds it knows that the WAL belongs to no member yet.
pub(super) const UNFINISHED: &str = "etcdsnap-unfinished-restore";

/// A place to restore to, found usable.
#[derive(Debug)]
pub(super) struct Target {
    data_dir: PathBuf,
    exists: Option<fs::Metadata>,
    wal_dir: Option<PathBuf>,
}

impl Target {
    /// Looks at the target without changing anything.
    pub(super) fn examine(data_dir: &Path, wal_dir: Option<&Path>) -> Result<Self, TargetError> {
        let exists = usable(data_dir)?;
        let wal_dir = wal_dir.filter(|wal_dir| *wal_dir != data_dir.join("member").join("wal"));
        if let Some(wal_dir) = wal_dir {
            match usable(wal_dir) {
                Err(TargetError::NotEmpty { .. }) if wal_dir.join(UNFINISHED).exists() => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(Self { data_dir: data_dir.to_owned(), exists, wal_dir: wal_dir.map(Path::to_owned) })
    }

    /// Takes the staging places and writes nothing into them yet.
    pub(super) fn stage(
        self,
        owner: Option<Owner>,
        mode: Option<u32>,
        snap_name: &str,
    ) -> Result<Staging, TargetError> {
        let existing_owner = self.exists.as_ref().map(|found| Owner { uid: found.uid(), gid: found.gid() });
        let inside_wal = self.wal_dir.as_ref().is_some_and(|wal_dir| wal_dir.starts_with(&self.data_dir));
        let mut created = None;
        let main = if self.exists.is_some() || inside_wal {
            if self.exists.is_none() {
                make_directory(&self.data_dir, true)?;
                created = Some(self.data_dir.clone());
            }
            Place::take(self.data_dir.join(INSIDE), &self.data_dir)
        } else {
            Place::take(beside(&self.data_dir)?, &self.data_dir)
        };
        let main = main.inspect_err(|_| {
            created.as_ref().map(fs::remove_dir);
        })?;
        let wal = match &self.wal_dir {
            Some(wal_dir) => Some(Place::take(beside(wal_dir)?, wal_dir)?),
            None => None,
        };
        Ok(Staging {
            main,
            wal,
            created,
            // Root keeps the owner that was there; others cannot give files away.
            owner: owner.or(existing_owner.filter(|_| rustix::process::geteuid().is_root())),
            mode,
            target: self,
            snap_name: snap_name.to_owned(),
            abandoned: AtomicBool::new(false),
        })
    }
}

/// Whether a directory is absent (`None`) or empty enough to be used.
fn usable(path: &Path) -> Result<Option<fs::Metadata>, TargetError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("examine", path)(error)),
    };
    if !metadata.is_dir() {
        return Err(TargetError::NotADirectory { path: path.to_owned() });
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(failed("read", path))? {
        let name = entry.map_err(failed("read", path))?.file_name();
        if name != "lost+found" && name != INSIDE {
            entries.push(name.to_string_lossy().into_owned());
        }
    }
    if entries.is_empty() {
        return Ok(Some(metadata));
    }
    let db = path.join("member").join("snap").join("db");
    if let Ok(file) = File::open(&db)
        && let Err(rustix::io::Errno::WOULDBLOCK) = flock(&file, FlockOperation::NonBlockingLockShared)
    {
        return Err(TargetError::InUse { path: db });
    }
    entries.sort();
    entries.truncate(5);
    Err(TargetError::NotEmpty { path: path.to_owned(), entries })
}

/// The staging place beside a path that does not exist yet.
fn beside(path: &Path) -> Result<PathBuf, TargetError> {
    let no_name = || TargetError::NotADirectory { path: path.to_owned() };
    let name = path.file_name().ok_or_else(no_name)?.to_string_lossy().into_owned();
    Ok(parent(path).join(format!(".{name}{INSIDE}")))
}

/// The directory that a path is in; `.` for a bare name.
pub(super) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn make_directory(path: &Path, parents: bool) -> Result<(), TargetError> {
    DirBuilder::new()
        .recursive(parents)
        .mode(0o700)
        .create(path)
        .map_err(failed("create directory", path))?;
    // Whatever the umask.
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed("set the mode of", path))
}

/// A staging place that this process holds. Removed when dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    _lock: File,
}

impl Place {
    fn take(path: PathBuf, target: &Path) -> Result<Self, TargetError> {
        // Parents of the target that do not exist are made, as upstream does.
        fs::create_dir_all(parent(&path)).map_err(failed("create directory", &path))?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("create directory", &path)(error)),
        }
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed("create", &lock_path))?;
        if let Err(rustix::io::Errno::WOULDBLOCK) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            return Err(TargetError::Busy { path: target.to_owned() });
        }
        let place = Self { path, _lock: lock };
        place.clear()?;
        Ok(place)
    }

    /// Removes what an earlier run left.
    fn clear(&self) -> Result<(), TargetError> {
        for entry in fs::read_dir(&self.path).map_err(failed("read", &self.path))? {
            let path = entry.map_err(failed("read", &self.path))?.path();
            if path.file_name().is_some_and(|name| name == LOCK) {
                continue;
            }
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(failed("remove what an earlier restore left:", &path))?;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Best effort: what stays is removed by the next run.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A member directory in the making.
#[derive(Debug)]
pub(super) struct Staging {
    main: Place,
    wal: Option<Place>,
    /// The target itself, if it had to be made to stage inside it.
    created: Option<PathBuf>,
    owner: Option<Owner>,
    mode: Option<u32>,
    target: Target,
    snap_name: String,
    /// Set when the verdict is out and there is no point in going on.
    abandoned: AtomicBool,
}

impl Staging {
    /// Ends the writing early: nothing of it will be published.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    fn member(&self) -> PathBuf {
        self.main.path.join("member")
    }

    fn snap(&self) -> PathBuf {
        self.member().join("snap")
    }

    fn db(&self) -> PathBuf {
        self.snap().join("db")
    }

    fn wal(&self) -> PathBuf {
        match &self.wal {
            Some(place) => place.path.join("wal"),
            None => self.member().join("wal"),
        }
    }

    /// Writes everything. It is on disk only after [`sync`](Self::sync).
    pub(super) fn write(
        &self,
        source: &Source,
        plan: &Plan<'_>,
        progress: &Progress,
    ) -> Result<(), TargetError> {
        for directory in [self.member(), self.snap(), self.wal()] {
            make_directory(&directory, false)?;
        }
        self.write_db(source, plan, progress)?;
        self.write_wal(&plan.wal_head)?;
        // The one file whose mode upstream leaves to the umask.
        let snap = self.snap().join(&self.snap_name);
        create(&snap, 0o666)?.write_all(&plan.snap).map_err(failed("write", &snap))?;
        self.give_away()
    }

    /// Waits until all files and the directories they are in are on disk.
    pub(super) fn sync(&self) -> Result<(), TargetError> {
        let segment = self.wal().join(wal::FIRST_SEGMENT);
        let snap = self.snap();
        if self.abandoned.load(Ordering::Relaxed) {
            return Ok(());
        }
        for path in [self.db(), segment, snap.join(&self.snap_name), snap, self.wal(), self.member()] {
            sync_path(&path)?;
        }
        sync_path(&self.main.path)
    }

    fn write_db(&self, source: &Source, plan: &Plan<'_>, progress: &Progress) -> Result<(), TargetError> {
        let path = self.db();
        let file = create(&path, 0o600)?;
        let base = plan.patched.base_size();
        let cloned = source.file().is_some_and(|from| ioctl_ficlone(&file, from).is_ok());
        if cloned {
            file.set_len(base).map_err(failed("cut", &path))?;
            Progress::add(&progress.written, base);
        } else {
            self.check_space(plan.patched.size())?;
            let length = usize::try_from(base).unwrap_or(usize::MAX);
            let bytes = source.bytes().get(..length).unwrap_or_default();
            copy(bytes, &file, &path, progress, &self.abandoned)?;
        }
        let (offset, appendix) = plan.patched.appendix();
        file.write_all_at(appendix, offset.0).map_err(failed("write", &path))?;
        file.write_all_at(&plan.patched.meta_pages(), 0).map_err(failed("write", &path))
    }

    /// Before the first byte, rather than after the last that fits.
    fn check_space(&self, db_size: u64) -> Result<(), TargetError> {
        let wal = if self.wal.is_some() { 0 } else { wal::PREALLOCATED };
        let needed = db_size.saturating_add(wal).saturating_add(1 << 20);
        let Ok(room) = rustix::fs::statvfs(&self.main.path) else { return Ok(()) };
        let available = room.f_bavail.saturating_mul(room.f_frsize);
        if available < needed {
            let path = parent(&self.main.path);
            return Err(TargetError::NoSpace { path, needed, available });
        }
        Ok(())
    }

    fn write_wal(&self, head: &[u8]) -> Result<(), TargetError> {
        let path = self.wal().join(wal::FIRST_SEGMENT);
        let file = create(&path, 0o600)?;
        // Room for the first entries, as etcd itself sets aside; where the file
        // system cannot, a file of that length.
        if let Err(error) = fallocate(&file, FallocateFlags::empty(), 0, wal::PREALLOCATED) {
            if error == rustix::io::Errno::NOSPC {
                return Err(failed("write", &path)(error.into()));
            }
            file.set_len(wal::PREALLOCATED).map_err(failed("write", &path))?;
        }
        file.write_all_at(head, 0).map_err(failed("write", &path))?;
        if self.wal.is_some() {
            create(&self.wal().join(UNFINISHED), 0o600)?;
        }
        Ok(())
    }

    fn give_away(&self) -> Result<(), TargetError> {
        let Some(owner) = self.owner else { return Ok(()) };
        let segment = self.wal().join(wal::FIRST_SEGMENT);
        let mut paths = vec![
            self.member(),
            self.snap(),
            self.wal(),
            self.db(),
            self.snap().join(&self.snap_name),
            segment,
        ];
        if self.target.exists.is_none() {
            paths.push(self.main.path.clone());
            paths.extend(self.created.clone());
        }
        for path in paths {
            std::os::unix::fs::chown(&path, Some(owner.uid), Some(owner.gid))
                .map_err(failed("give away", &path))?;
        }
        Ok(())
    }

    /// Reads the database again and compares it with what was to be written.
    pub(super) fn read_back(&self, source: &Source, plan: &Plan<'_>) -> Result<(), RestoreError> {
        let path = self.db();
        let staged = Source::open(&path)?;
        staged.populate(0, staged.bytes().len());
        let metas = plan.patched.meta_pages();
        let (start, appendix) = plan.patched.appendix();
        let base = source.bytes().get(metas.len()..usize::try_from(start.0).unwrap_or(usize::MAX));
        let expected = [metas.as_slice(), base.unwrap_or_default(), appendix];
        let mut rest = staged.bytes();
        let mut offset = 0u64;
        for part in expected {
            let (found, behind) = rest.split_at_checked(part.len()).unwrap_or((rest, &[]));
            if found != part {
                let same = found.iter().zip(part).take_while(|(a, b)| a == b).count();
                return Err(RestoreError::ReadBack { path, offset: offset.saturating_add(same as u64) });
            }
            offset = offset.saturating_add(part.len() as u64);
            rest = behind;
        }
        if !rest.is_empty() {
            return Err(RestoreError::ReadBack { path, offset });
        }
        Ok(())
    }

    /// Makes the directory appear at the target.
    pub(super) fn publish(self) -> Result<(PathBuf, PathBuf), RestoreError> {
        let Self { main, wal, created, mode, target, .. } = self;
        let into_existing = target.exists.is_some() || created.is_some();
        let done = Publication {
            main,
            wal,
            into_existing,
            mode,
            data_dir: &target.data_dir,
            wal_dir: target.wal_dir.as_deref(),
        }
        .publish()
        .inspect_err(|_| {
            created.as_ref().map(fs::remove_dir);
        });
        done?;
        let wal_dir = target.wal_dir.unwrap_or_else(|| target.data_dir.join("member").join("wal"));
        Ok((target.data_dir, wal_dir))
    }
}

/// Copies bytes to the start of a file. The kernel is told to write out each
/// piece while the next ones are copied: by itself it would wait until much more
/// is dirty, and the sync at the end would take all the time.
fn copy(
    bytes: &[u8],
    file: &File,
    path: &Path,
    progress: &Progress,
    abandoned: &AtomicBool,
) -> Result<(), TargetError> {
    const PIECE: usize = 1 << 20;
    const WRITE_OUT: u64 = 8 << 20;
    let mut writer = file;
    let mut done = 0u64;
    let mut told = 0u64;
    for piece in bytes.chunks(PIECE) {
        if abandoned.load(Ordering::Relaxed) {
            break;
        }
        writer.write_all(piece).map_err(failed("write", path))?;
        done = done.saturating_add(piece.len() as u64);
        Progress::add(&progress.written, piece.len() as u64);
        if done.saturating_sub(told) >= WRITE_OUT {
            // Drops clean pages and starts to write dirty ones, which stay.
            let _ = fadvise(file, told, NonZeroU64::new(done.saturating_sub(told)), Advice::DontNeed);
            told = done;
        }
    }
    Ok(())
}

fn create(path: &Path, mode: u32) -> Result<File, TargetError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let file = file.map_err(failed("create", path))?;
    if mode == 0o600 {
        file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed("set the mode of", path))?;
    }
    Ok(file)
}

/// Makes a file, or the entries of a directory, durable.
pub(super) fn sync_path(path: &Path) -> Result<(), TargetError> {
    File::open(path).and_then(|opened| opened.sync_all()).map_err(failed("sync", path))
}
