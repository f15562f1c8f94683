//! The database's bytes on their way into one file or several at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Advice, fadvise, ioctl_ficlone};

use crate::bolt::{Metas, Patched};
use crate::ops::Progress;
use crate::ops::rebuild::Rebuild;
use crate::source::Source;

use super::RestoreError;
use super::plan::{Database, Plan};
use super::target::{TargetError, failed};

/// Small enough for a piece to be read back while it is in the cache.
const PIECE: usize = 256 << 10;

/// What is copied, and who is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copying<'a> {
    pub(super) source: &'a Source,
    pub(super) plan: &'a Plan<'a>,
    pub(super) progress: &'a Progress,
    /// Set when there is no point in going on.
    pub(super) abandoned: &'a AtomicBool,
}

/// A file that is to hold the database.
#[derive(Debug)]
pub(super) struct DbFile {
    path: PathBuf,
    file: File,
    /// Where in the file the database begins.
    at: u64,
    /// Whether the snapshot's pages are in it already.
    cloned: bool,
    buffer: Vec<u8>,
    /// Up to where the kernel was told to write out.
    written_out: u64,
    /// Whether it is one of several, which are read elsewhere: then it need not
    /// stay in memory, which three large databases would fill.
    shipped: bool,
}

impl DbFile {
    /// A file of its own.
    pub(super) fn create(path: PathBuf) -> Result<Self, TargetError> {
        Self::create_at(path, 0)
    }

    /// A file that holds the database from byte `at` on.
    pub(super) fn create_at(path: PathBuf, at: u64) -> Result<Self, TargetError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(failed("create", &path))?;
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed("set the mode of", &path))?;
        Ok(Self { path, file, at, cloned: false, buffer: Vec::new(), written_out: at, shipped: false })
    }

    /// Lets the file share the snapshot's bytes, if the file system can.
    pub(super) fn clone_source(&mut self, copying: &Copying<'_>) -> Result<bool, TargetError> {
        let Database::Patched(patched) = &copying.plan.database else { return Ok(false) };
        self.cloned = copying.source.file().is_some_and(|from| ioctl_ficlone(&self.file, from).is_ok());
        if self.cloned {
            self.file.set_len(patched.base_size()).map_err(failed("cut", &self.path))?;
        }
        Ok(self.cloned)
    }

    /// Makes one more file with the same bytes.
    pub(super) fn clone_to(&self, path: PathBuf) -> Result<(), TargetError> {
        let other = Self::create(path)?;
        ioctl_ficlone(&other.file, &self.file).map_err(|error| failed("clone", &other.path)(error.into()))
    }

    /// Writes bytes of the file and reads them again.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) -> Result<(), RestoreError> {
        const WRITE_OUT: u64 = 8 << 20;
        /// How far behind the last byte the disk may be: pages beyond are on it.
        const LAG: u64 = 128 << 20;
        self.file.write_all_at(bytes, offset).map_err(failed("write", &self.path))?;
        self.compare(bytes, offset)?;
        // The kernel is told to write out what is there while more is written: by
        // itself it would wait until much more is dirty, and the sync at the end
        // would take all the time.
        let end = offset.saturating_add(bytes.len() as u64);
        let behind = end.saturating_sub(self.written_out);
        if behind >= WRITE_OUT {
            // Drops clean pages and starts to write dirty ones, which stay: those
            // of before are clean by now, if the range reaches back to them.
            let from = if self.shipped { end.saturating_sub(LAG).max(self.at) } else { self.written_out };
            let _ = fadvise(&self.file, from, NonZeroU64::new(end.saturating_sub(from)), Advice::DontNeed);
            self.written_out = end;
        }
        Ok(())
    }

    fn compare(&mut self, bytes: &[u8], offset: u64) -> Result<(), RestoreError> {
        self.buffer.resize(bytes.len(), 0);
        self.file.read_exact_at(&mut self.buffer, offset).map_err(failed("read", &self.path))?;
        match first_difference(&self.buffer, bytes) {
            None => Ok(()),
            Some(at) => {
                Err(RestoreError::ReadBack { path: self.path.clone(), offset: offset.saturating_add(at) })
            }
        }
    }

    /// Sets the length of the file, zeros where nothing is written.
    pub(super) fn set_len(&self, length: u64) -> Result<(), TargetError> {
        self.file.set_len(length).map_err(failed("write", &self.path))
    }
}

impl Copying<'_> {
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Writes the database into all `files`, piece by piece, so that the snapshot
    /// is read once. Every byte is read again after it was written.
    pub(super) fn write(&self, files: &mut [DbFile]) -> Result<(), RestoreError> {
        if files.len() > 1 {
            files.iter_mut().for_each(|file| file.shipped = true);
        }
        match &self.plan.database {
            Database::Patched(patched) => self.write_patched(patched, files),
            Database::Rebuilt(rebuild) => self.write_rebuilt(rebuild, files),
        }
    }

    /// All pages, made one after the other.
    fn write_rebuilt(&self, rebuild: &Rebuild<'_>, files: &mut [DbFile]) -> Result<(), RestoreError> {
        let mut stream = Stream { copying: self, files, offset: 0, failure: None };
        let pages = BufWriter::with_capacity(PIECE, &mut stream);
        let written = rebuild.write(Metas::Committed(self.plan.txid), pages);
        match stream.failure {
            Some(failure) => Err(failure),
            None if self.is_abandoned() => Ok(()),
            None => Ok(written?),
        }
    }

    /// The snapshot's pages as they are, what comes behind them, and then the metas.
    fn write_patched(&self, patched: &Patched<'_>, files: &mut [DbFile]) -> Result<(), RestoreError> {
        let length = usize::try_from(patched.base_size()).unwrap_or(usize::MAX);
        let base = self.source.bytes().get(..length).unwrap_or_default();
        let mut offset = 0u64;
        for piece in base.chunks(PIECE) {
            for file in files.iter_mut() {
                if self.is_abandoned() {
                    return Ok(());
                }
                let at = file.at.saturating_add(offset);
                if file.cloned { file.compare(piece, at)? } else { file.write(piece, at)? }
            }
            offset = offset.saturating_add(piece.len() as u64);
            Progress::add(&self.progress.written, piece.len() as u64);
        }
        let (start, appendix) = patched.appendix();
        for file in files {
            file.write(appendix, file.at.saturating_add(start.0))?;
            file.write(&patched.meta_pages(), file.at)?;
        }
        Ok(())
    }
}

/// A database that comes in the order of its bytes, on its way into all files.
struct Stream<'s> {
    copying: &'s Copying<'s>,
    files: &'s mut [DbFile],
    offset: u64,
    /// Why it ended early: a writer knows only one kind of error.
    failure: Option<RestoreError>,
}

impl io::Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let ended = || io::Error::other("given up");
        let piece = bytes.get(..PIECE).unwrap_or(bytes);
        for file in self.files.iter_mut() {
            if self.copying.is_abandoned() {
                return Err(ended());
            }
            file.write(piece, file.at.saturating_add(self.offset)).map_err(|failure| {
                self.failure = Some(failure);
                ended()
            })?;
        }
        self.offset = self.offset.saturating_add(piece.len() as u64);
        Progress::add(&self.copying.progress.written, piece.len() as u64);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where the bytes that were read differ from those that were wanted.
pub(super) fn first_difference(read: &[u8], wanted: &[u8]) -> Option<u64> {
    if read == wanted {
        return None;
    }
    Some(read.iter().zip(wanted).take_while(|(a, b)| a == b).count() as u64)
}

/// Whether files in `directory` can share their bytes: tried with a small one.
pub(super) fn can_clone(directory: &Path) -> bool {
    let paths = ["clone-from", "clone-to"].map(|name| directory.join(name));
    let [from, to] = &paths;
    let tried = || -> Option<()> {
        fs::write(from, [1; 4096]).ok()?;
        let (from, to) = (File::open(from).ok()?, File::create_new(to).ok()?);
        ioctl_ficlone(&to, &from).ok()
    };
    let can = tried().is_some();
    for path in &paths {
        let _ = fs::remove_file(path);
    }
    can
}
