//! Writing a member directory where nobody looks for one yet.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate, ioctl_ficlone};

use crate::etcd::membership::MemberId;
use crate::etcd::wal;
use crate::ops::Progress;
use crate::source::Source;

use super::RestoreError;
use super::mark::{self, UNFINISHED};
use super::place::{Place, make_directory, parent};
use super::plan::Plan;
use super::publish::Publication;
use super::target::{Owner, Target, TargetError, failed};

/// A member directory in the making.
#[derive(Debug)]
pub(super) struct Staging {
    main: Place,
    wal: Option<Place>,
    /// As asked for.
    owner: Option<Owner>,
    /// Whether files can be given away.
    root: bool,
    mode: Option<u32>,
    target: Target,
    /// Set when the verdict is out and there is no point in going on.
    abandoned: AtomicBool,
}

impl Staging {
    /// Takes the places and writes nothing into them yet.
    pub(super) fn take(target: Target, owner: Option<Owner>, mode: Option<u32>) -> Result<Self, TargetError> {
        let data_dir = &target.data_dir;
        let root = rustix::process::geteuid().is_root();
        if let Some(owner) = owner.filter(|owner| !root && owner.uid != rustix::process::geteuid().as_raw()) {
            return Err(TargetError::NotRoot { owner });
        }
        // A WAL inside the data directory needs that directory first.
        let main = if target.existing_owner.is_some() || target.wal_inside {
            Place::inside(data_dir)?
        } else {
            Place::beside(data_dir)?
        };
        let wal = match &target.wal_dir {
            Some(wal_dir) if target.wal_owner.is_some() => Some(Place::inside(wal_dir)?),
            Some(wal_dir) => Some(Place::beside(wal_dir)?),
            None => None,
        };
        // Before this run had the locks, another one may have published.
        let again = Target::examine(data_dir, target.wal_dir.as_deref())?;
        let wal_appeared = again.wal_owner.is_some() && target.wal_owner.is_none();
        if wal_appeared
            || again.existing_owner.is_some() && target.existing_owner.is_none() && !target.wal_inside
        {
            return Err(TargetError::Busy { path: data_dir.clone() });
        }
        Ok(Self { main, wal, owner, root, mode, target, abandoned: AtomicBool::new(false) })
    }

    /// Ends the writing early: nothing of it will be published.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    fn member(&self) -> PathBuf {
        self.main.tree().join("member")
    }

    fn snap(&self) -> PathBuf {
        self.member().join("snap")
    }

    fn db(&self) -> PathBuf {
        self.snap().join("db")
    }

    fn wal(&self) -> PathBuf {
        match &self.wal {
            Some(place) => place.tree(),
            None => self.member().join("wal"),
        }
    }

    /// Writes everything, and reads again what it wrote of the database. It is on
    /// disk only after [`sync`](Self::sync).
    pub(super) fn write(
        &self,
        source: &Source,
        plan: &Plan<'_>,
        node: MemberId,
        progress: &Progress,
    ) -> Result<(), RestoreError> {
        make_directory(&self.member())?;
        make_directory(&self.snap())?;
        if self.wal.is_none() {
            make_directory(&self.wal())?;
        }
        self.write_db(source, plan, progress)?;
        self.write_wal(&plan.wal_head(node))?;
        // The one file whose mode upstream leaves to the umask.
        let snap = self.snap().join(&plan.snap_name);
        create(&snap, 0o666)?.write_all(&plan.snap).map_err(failed("write", &snap))?;
        self.give_away(plan).map_err(RestoreError::from)
    }

    /// Waits until all files and the directories they are in are on disk.
    pub(super) fn sync(&self, plan: &Plan<'_>) -> Result<(), TargetError> {
        let segment = self.wal().join(wal::FIRST_SEGMENT);
        let snap = self.snap();
        if self.abandoned.load(Ordering::Relaxed) {
            return Ok(());
        }
        for path in [self.db(), segment, snap.join(&plan.snap_name), snap, self.wal(), self.member()] {
            sync_path(&path)?;
        }
        sync_path(&self.main.tree())
    }

    fn write_db(&self, source: &Source, plan: &Plan<'_>, progress: &Progress) -> Result<(), RestoreError> {
        let path = self.db();
        let options = &mut OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(failed("create", &path))?;
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed("set the mode of", &path))?;
        let length = usize::try_from(plan.patched.base_size()).unwrap_or(usize::MAX);
        let base = source.bytes().get(..length).unwrap_or_default();
        let cloned = source.file().is_some_and(|from| ioctl_ficlone(&file, from).is_ok());
        if cloned {
            file.set_len(plan.patched.base_size()).map_err(failed("cut", &path))?;
        } else {
            self.check_space(plan.patched.size())?;
        }
        let mut target = Checked { file: &file, path: &path, buffer: Vec::new(), written_out: 0 };
        let mut offset = 0u64;
        // Small enough for a piece to be read back while it is in the cache.
        for piece in base.chunks(256 << 10) {
            if self.abandoned.load(Ordering::Relaxed) {
                return Ok(());
            }
            if cloned {
                target.compare(piece, offset)?
            } else {
                target.write(piece, offset)?
            }
            offset = offset.saturating_add(piece.len() as u64);
            Progress::add(&progress.written, piece.len() as u64);
        }
        let (start, appendix) = plan.patched.appendix();
        target.write(appendix, start.0)?;
        target.write(&plan.patched.meta_pages(), 0)
    }

    /// Before the first byte, rather than after the last that fits.
    fn check_space(&self, db_size: u64) -> Result<(), TargetError> {
        let wal = if self.wal.is_some() { 0 } else { wal::PREALLOCATED };
        let needed = db_size.saturating_add(wal).saturating_add(1 << 20);
        let Ok(room) = rustix::fs::statvfs(self.main.tree()) else { return Ok(()) };
        let available = room.f_bavail.saturating_mul(room.f_frsize);
        if available < needed {
            let path = parent(&self.target.data_dir);
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
            let mark = self.wal().join(UNFINISHED);
            let content = mark::content(&self.target.data_dir, head.len())?;
            create(&mark, 0o600)?.write_all(&content).map_err(failed("write", &mark))?;
        }
        Ok(())
    }

    /// Gives what was written to who was named, or to the owner of the directory
    /// that it goes into; root alone can do that.
    fn give_away(&self, plan: &Plan<'_>) -> Result<(), TargetError> {
        let existing = |owner: Option<Owner>| owner.filter(|_| self.root);
        let owner = self.owner.or(existing(self.target.existing_owner));
        let mut paths = vec![self.member(), self.snap(), self.db(), self.snap().join(&plan.snap_name)];
        if self.target.existing_owner.is_none() {
            // The data directory itself, which is still to appear or was made.
            paths.push(self.main.tree());
        }
        if self.wal.is_none() {
            paths.extend([self.wal(), self.wal().join(wal::FIRST_SEGMENT)]);
        }
        if self.owner.is_some() {
            paths.extend(self.main.made().iter().cloned());
            paths.extend(self.target.existing_owner.map(|_| self.target.data_dir.clone()));
        }
        give(owner, &paths)?;
        if let Some(place) = &self.wal {
            let owner = self.owner.or(existing(self.target.wal_owner)).or(owner);
            let mut paths = vec![self.wal(), self.wal().join(wal::FIRST_SEGMENT)];
            if self.owner.is_some() {
                paths.extend(place.made().iter().cloned());
                paths.extend(self.target.wal_owner.and(self.target.wal_dir.clone()));
            }
            give(owner, &paths)?;
        }
        Ok(())
    }

    /// Makes the directory appear at the target.
    pub(super) fn publish(self) -> Result<(PathBuf, PathBuf), RestoreError> {
        let wal_dir =
            self.target.wal_dir.clone().unwrap_or_else(|| self.target.data_dir.join("member").join("wal"));
        let Self { main, wal, mode, target, .. } = self;
        let into_existing = target.existing_owner.is_some() || target.wal_inside;
        let published = Publication { main, wal, mode, into_existing, target: &target }.publish()?;
        published.map_err(RestoreError::NotDurable)?;
        Ok((target.data_dir, wal_dir))
    }
}

fn give(owner: Option<Owner>, paths: &[PathBuf]) -> Result<(), TargetError> {
    let Some(owner) = owner else { return Ok(()) };
    for path in paths {
        std::os::unix::fs::chown(path, Some(owner.uid), Some(owner.gid))
            .map_err(failed("give away", path))?;
    }
    Ok(())
}

/// A file whose every byte is read again after it was written.
struct Checked<'f> {
    file: &'f File,
    path: &'f Path,
    buffer: Vec<u8>,
    /// Up to where the kernel was told to write out.
    written_out: u64,
}

impl Checked<'_> {
    fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), RestoreError> {
        const WRITE_OUT: u64 = 8 << 20;
        self.file.write_all_at(bytes, offset).map_err(failed("write", self.path))?;
        self.compare(bytes, offset)?;
        // The kernel is told to write out what is there while more is written: by
        // itself it would wait until much more is dirty, and the sync at the end
        // would take all the time.
        let end = offset.saturating_add(bytes.len() as u64);
        let behind = end.saturating_sub(self.written_out);
        if behind >= WRITE_OUT {
            // Drops clean pages and starts to write dirty ones, which stay.
            let _ = fadvise(self.file, self.written_out, NonZeroU64::new(behind), Advice::DontNeed);
            self.written_out = end;
        }
        Ok(())
    }

    fn compare(&mut self, bytes: &[u8], offset: u64) -> Result<(), RestoreError> {
        self.buffer.resize(bytes.len(), 0);
        self.file.read_exact_at(&mut self.buffer, offset).map_err(failed("read", self.path))?;
        if self.buffer == bytes {
            return Ok(());
        }
        let same = self.buffer.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        Err(RestoreError::ReadBack { path: self.path.to_owned(), offset: offset.saturating_add(same as u64) })
    }
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
