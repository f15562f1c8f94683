//! The input file as one slice of bytes: mapped, or read where it cannot be.
//!
//! This is the only file with `unsafe` in it. A map of a file has one danger
//! that no bounds check sees: when another process cuts the file short, reading
//! the lost part raises `SIGBUS`. Three things stand against it.
//!
//! 1. A shared, non-blocking `flock` is tried first and held: a running etcd
//!    holds an exclusive one, so a live database is refused ([`SourceError::Locked`]).
//! 2. A program that calls [`install_fault_guard`] survives the signal: the lost
//!    part reads as zeros from then on, and [`Source::finish`] reports it.
//! 3. [`Source::open_unmapped`] reads the file into memory instead.
//!
//! Bytes can also be rewritten in place while they are read. Readers therefore
//! check every offset each time they use one, never keep a `&str` of the map,
//! and [`Source::finish`] compares length and modification time.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use memmap2::{Advice, Mmap};
use rustix::fs::{FlockOperation, flock};

/// Why an input cannot be read, or cannot be trusted to have been read whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The operating system refused an operation on the file.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: `open`, `read`, `map`, `examine`.
        action: &'static str,
        /// The system's answer.
        #[source]
        error: io::Error,
    },
    /// The path names a directory.
    #[error("{} is a directory", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// Another process holds an exclusive lock: a running etcd.
    #[error("{} is locked by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file was cut, grown or rewritten while it was read.
    #[error("{} changed while it was read: {what}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What is different now.
        what: String,
    },
}

/// What identifies the content of a file as far as the file system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    length: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { length: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) })
    }
}

enum Bytes {
    // The region is given back before the map goes away: fields drop in order.
    Mapped { region: Option<Region>, map: Mmap },
    Owned(Vec<u8>),
}

/// The bytes of one input, read-only for its whole life.
pub struct Source {
    bytes: Bytes,
    path: PathBuf,
    file: Option<(File, Identity)>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("path", &self.path).field("length", &self.bytes().len()).finish()
    }
}

impl Source {
    /// Opens `path` read-only and maps it. Pipes and other things without a
    /// length are read into memory; a FIFO that nobody writes to is refused, as it
    /// could be waited for without end.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        Self::open_as(path, true)
    }

    /// Opens `path` read-only and reads all of it into memory.
    pub fn open_unmapped(path: &Path) -> Result<Self, SourceError> {
        Self::open_as(path, false)
    }

    /// Bytes that are in memory already; `path` is used in messages.
    pub fn from_bytes(path: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        Self { bytes: Bytes::Owned(bytes), path: path.into(), file: None }
    }

    fn open_as(path: &Path, map: bool) -> Result<Self, SourceError> {
        let failed = |action, error| SourceError::Io { path: path.to_owned(), action, error };
        let mut file = open_without_trace(path).map_err(|error| failed("open", error))?;
        let metadata = file.metadata().map_err(|error| failed("examine", error))?;
        if metadata.is_dir() {
            return Err(SourceError::Directory { path: path.to_owned() });
        }
        let kind = metadata.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            let error = io::Error::new(io::ErrorKind::Unsupported, "it is a device, which has no end");
            return Err(failed("read", error));
        }
        if !metadata.is_file() {
            let bytes = read_pipe(&mut file, path).map_err(|error| failed("read", error))?;
            return Ok(Self::from_bytes(path, bytes));
        }
        // File systems without locks answer with other errors; those files
        // cannot be in use by etcd under that lock either.
        if let Err(rustix::io::Errno::WOULDBLOCK) = flock(&file, FlockOperation::NonBlockingLockShared) {
            return Err(SourceError::Locked { path: path.to_owned() });
        }
        let identity = Identity::of(&file).map_err(|error| failed("examine", error))?;
        let bytes = if map && identity.length > 0 {
            let length = usize::try_from(identity.length)
                .map_err(|_| failed("map", io::Error::from(io::ErrorKind::FileTooLarge)))?;
            // SAFETY: the map is private to this process and read-only. Its file
            // can be changed by others, which the module text deals with: no
            // reader relies on two reads of a byte being equal, and a cut file
            // ends the process (a signal, no undefined read) or meets the guard.
            let map = unsafe { memmap2::MmapOptions::new().len(length).map(&file) }
                .map_err(|error| failed("map", error))?;
            let region = Region::register(&map);
            Bytes::Mapped { region, map }
        } else {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(|error| failed("read", error))?;
            Bytes::Owned(bytes)
        };
        Ok(Self { bytes, path: path.to_owned(), file: Some((file, identity)) })
    }

    /// All bytes of the input.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped { map, .. } => map,
            Bytes::Owned(bytes) => bytes,
        }
    }

    /// The path the input was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file, for operations that want a descriptor (clone, copy).
    /// `None` where the bytes did not come from a regular file.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref().map(|(file, _)| file)
    }

    /// Whether the mapped file seems to be in the page cache: a sample of its
    /// pages, evenly spread. Bytes in memory count as cached.
    pub fn is_cached(&self) -> bool {
        const SAMPLES: usize = 64;
        let Bytes::Mapped { map, .. } = &self.bytes else { return true };
        let page = page_size();
        let pages = map.len().div_ceil(page);
        let step = pages.div_ceil(SAMPLES).max(1);
        (0..pages).step_by(step).all(|index| {
            let mut resident = 0u8;
            // SAFETY: the address is page-aligned and inside the live map
            // (`index < pages`), the length is one page, and the kernel writes
            // one byte for it.
            let answer = unsafe {
                libc::mincore(map.as_ptr().add(index * page).cast_mut().cast(), 1, (&raw mut resident).cast())
            };
            answer == 0 && resident & 1 == 1
        })
    }

    /// Maps the pages of a part of the file ahead of their use, which is much
    /// cheaper than one page fault after the other. Reads from disk what is not
    /// in memory. A hint: failure is of no consequence.
    pub fn populate(&self, offset: usize, length: usize) {
        if let Bytes::Mapped { map, .. } = &self.bytes {
            let length = length.min(map.len().saturating_sub(offset));
            if length > 0 {
                let _ = map.advise_range(Advice::PopulateRead, offset, length);
            }
        }
    }

    /// Tells the kernel that a part of the file will be read soon, so that it
    /// starts to fetch it from disk. A hint.
    pub fn will_need(&self, offset: usize, length: usize) {
        if let Bytes::Mapped { map, .. } = &self.bytes {
            let length = length.min(map.len().saturating_sub(offset));
            if length > 0 {
                let _ = map.advise_range(Advice::WillNeed, offset, length);
            }
        }
    }

    /// Says whether what was read is what the file held when it was opened. To
    /// be asked after the last read and before any answer is believed.
    pub fn finish(&self) -> Result<(), SourceError> {
        let changed = |what| Err(SourceError::Changed { path: self.path.clone(), what });
        if let Bytes::Mapped { region: Some(region), .. } = &self.bytes
            && region.faulted()
        {
            return changed("a part of it could not be read any more (cut short, or a disk error)".into());
        }
        let Some((file, before)) = &self.file else { return Ok(()) };
        let now = Identity::of(file).map_err(|error| SourceError::Io {
            path: self.path.clone(),
            action: "examine",
            error,
        })?;
        if now.length != before.length {
            return changed(format!("it had {} bytes and now has {}", before.length, now.length));
        }
        if now.modified != before.modified {
            return changed("it was written to".into());
        }
        if let Bytes::Owned(bytes) = &self.bytes
            && u64::try_from(bytes.len()) != Ok(before.length)
        {
            return changed(format!("it had {} bytes, and {} could be read", before.length, bytes.len()));
        }
        Ok(())
    }
}

/// Opens read-only, and so that reading does not set the time of last access,
/// which the system allows to a file's owner and to root.
fn open_without_trace(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    // Files are not concerned by it; the opening of a FIFO, or of a device, would wait.
    options.read(true).custom_flags(libc::O_NONBLOCK);
    #[cfg(target_os = "linux")]
    match options.clone().custom_flags(libc::O_NONBLOCK | libc::O_NOATIME).open(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        opened => return opened,
    }
    options.open(path)
}

/// All of something that is no file: a pipe. What was opened without waiting is waited
/// for from here on, if there is somebody who writes to it.
fn read_pipe(file: &mut File, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 1 << 16];
    match file.read(&mut bytes) {
        Ok(0) => {
            // A pipe without a name has ended. One with a name may never begin.
            if std::fs::canonicalize(path).is_ok() {
                let why = "it is a FIFO, and nobody writes to it";
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
            return Ok(Vec::new());
        }
        Ok(first) => bytes.truncate(first),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => bytes.clear(),
        Err(error) => return Err(error),
    }
    rustix::fs::fcntl_setfl(&*file, rustix::fs::OFlags::empty())?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn page_size() -> usize {
    rustix::param::page_size()
}

/// Maps that the signal handler knows. A map beyond this many is not guarded.
const GUARDED_MAPS: usize = 64;

struct Slot {
    start: AtomicUsize,
    end: AtomicUsize,
    faulted: AtomicBool,
}

static SLOTS: [Slot; GUARDED_MAPS] = [const {
    Slot { start: AtomicUsize::new(0), end: AtomicUsize::new(0), faulted: AtomicBool::new(false) }
}; GUARDED_MAPS];

/// A map's entry in [`SLOTS`], given back when dropped.
struct Region(&'static Slot);

impl Region {
    fn register(map: &Mmap) -> Option<Self> {
        let start = map.as_ptr() as usize;
        SLOTS.iter().find_map(|slot| {
            slot.start.compare_exchange(0, start, Ordering::AcqRel, Ordering::Acquire).ok()?;
            slot.faulted.store(false, Ordering::Release);
            slot.end.store(start.saturating_add(map.len().next_multiple_of(page_size())), Ordering::Release);
            Some(Self(slot))
        })
    }

    fn faulted(&self) -> bool {
        self.0.faulted.load(Ordering::Acquire)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        self.0.end.store(0, Ordering::Release);
        self.0.start.store(0, Ordering::Release);
    }
}

/// Makes a file that is cut short while mapped read as zeros from the cut on,
/// instead of ending the process, so that destructors run and [`Source::finish`]
/// can report it. For programs: it sets the process-wide handler of `SIGBUS`.
/// The signal from any other cause keeps its effect.
pub fn install_fault_guard() {
    // SAFETY: `action` is a valid sigaction for its whole use, and the handler
    // only does what a signal handler may: atomics and system calls.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_bus_error as extern "C" fn(_, _, _) as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
    }
}

extern "C" fn on_bus_error(_signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo for a handler with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() } as usize;
    for slot in &SLOTS {
        let (start, end) = (slot.start.load(Ordering::Acquire), slot.end.load(Ordering::Acquire));
        if address < start || address >= end {
            continue;
        }
        slot.faulted.store(true, Ordering::Release);
        let page = page_size();
        let fault = address & !(page - 1);
        // One page first; if the process has no mappings left, all of the rest.
        for length in [page, end - fault] {
            // SAFETY: the range lies inside a map that this module owns, which
            // is only ever read; replacing its pages with zeros keeps every
            // borrowed slice readable.
            let mapped = unsafe {
                libc::mmap(
                    fault as *mut libc::c_void,
                    length,
                    libc::PROT_READ,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                    -1,
                    0,
                )
            };
            if mapped != libc::MAP_FAILED {
                return;
            }
        }
    }
    // Not ours: back to the default, and the access faults again.
    // SAFETY: resetting a signal to its default is allowed in a handler.
    unsafe {
        libc::signal(libc::SIGBUS, libc::SIG_DFL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_directory_is_named_as_one() {
        let folder = tempfile::tempdir().expect("folder");
        let error = Source::open(folder.path()).expect_err("a directory");
        assert!(matches!(error, SourceError::Directory { .. }));
    }

    #[test]
    fn a_pipe_is_read_if_somebody_writes_and_never_waited_for_otherwise() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        let error = Source::open(&path).expect_err("nobody writes");
        assert!(error.to_string().contains("nobody writes to it"), "{error}");
        // More than a pipe holds, some of it late.
        let content = vec![7; 300_000];
        for late in [false, true] {
            let mut writer = File::options().read(true).write(true).open(&path).expect("opened");
            std::thread::scope(|scope| {
                let written = content.clone();
                scope.spawn(move || {
                    if late {
                        std::thread::sleep(std::time::Duration::from_millis(50));
                    }
                    writer.write_all(&written).expect("written");
                });
                let source = Source::open(&path).expect("read");
                assert!(source.bytes() == content);
            });
        }
    }

    #[test]
    fn an_exclusive_lock_is_a_running_etcd() {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(b"content").expect("write");
        flock(file.as_file(), FlockOperation::NonBlockingLockExclusive).expect("lock");
        let error = Source::open(file.path()).expect_err("locked");
        assert!(matches!(error, SourceError::Locked { .. }));
    }

    #[test]
    fn an_empty_file_has_no_bytes() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let source = Source::open(file.path()).expect("open");
        assert!(source.bytes().is_empty());
        source.finish().expect("unchanged");
    }

    #[test]
    fn growing_is_noticed() {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(b"content").expect("write");
        for open in [Source::open, Source::open_unmapped] {
            let source = open(file.path()).expect("open");
            source.finish().expect("unchanged so far");
            file.write_all(b"more").expect("write");
            assert!(matches!(source.finish(), Err(SourceError::Changed { .. })));
        }
    }

    #[test]
    fn a_file_cut_while_mapped_reads_as_zeros_and_is_reported() {
        install_fault_guard();
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(&vec![7; 64 * 1024]).expect("write");
        let source = Source::open(file.path()).expect("open");
        assert_eq!(source.bytes()[40_000], 7);
        file.as_file().set_len(8192).expect("cut");
        assert_eq!(source.bytes()[8191], 7);
        assert_eq!(source.bytes().iter().skip(8192).copied().max(), Some(0));
        assert!(matches!(source.finish(), Err(SourceError::Changed { .. })));
    }

    #[test]
    fn what_was_just_written_is_cached() {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(&vec![7; 1 << 20]).expect("write");
        let source = Source::open(file.path()).expect("open");
        source.populate(4096, usize::MAX - 4096);
        assert!(source.is_cached());
    }
}
