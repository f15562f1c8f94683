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
//!    (Where the system itself is handed the lost part, to be written somewhere,
//!    it answers `EFAULT` and there is no signal.)
//! 3. [`Source::open_unmapped`] reads the file into memory instead.
//!
//! Bytes can also be rewritten in place while they are read. Readers therefore
//! check every offset each time they use one, never keep a `&str` of the map,
//! and [`Source::finish`] compares length and modification time. Whoever reports a
//! failure may have no source any more, and asks a [`Witness`] of it.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
    Mapped(Mmap),
    Owned(Vec<u8>),
}

/// The bytes of one input, read-only for its whole life.
pub struct Source {
    bytes: Bytes,
    witness: Witness,
}

/// Knows whether an input is still what it was when it was opened, and outlives
/// the [`Source`]: for whoever has to say why something failed, when what was read
/// is gone already.
///
/// It holds no bytes, but the open file, and with it the shared lock: as long as
/// there is one, no etcd can begin to write to the file.
#[derive(Clone)]
pub struct Witness(Arc<Opened>);

/// What is known of an input besides its bytes.
struct Opened {
    path: PathBuf,
    /// Nothing if it was no regular file: what was read of it cannot change.
    file: Option<(File, Identity)>,
    /// How many bytes there were to read.
    length: usize,
    region: Region,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("path", &self.path()).field("length", &self.bytes().len()).finish()
    }
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Witness").field(&self.0.path).finish()
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // The map goes away after this, and its addresses may be another's then.
        self.witness.0.region.release();
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
        Self::new(path.into(), None, Bytes::Owned(bytes))
    }

    fn new(path: PathBuf, file: Option<(File, Identity)>, bytes: Bytes) -> Self {
        let (length, region) = match &bytes {
            Bytes::Mapped(map) => (map.len(), Region::register(map)),
            Bytes::Owned(bytes) => (bytes.len(), Region::default()),
        };
        Self { bytes, witness: Witness(Arc::new(Opened { path, file, length, region })) }
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
            Bytes::Mapped(map)
        } else {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(|error| failed("read", error))?;
            Bytes::Owned(bytes)
        };
        Ok(Self::new(path.to_owned(), Some((file, identity)), bytes))
    }

    /// All bytes of the input.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }

    /// The path the input was opened by.
    pub fn path(&self) -> &Path {
        &self.witness.0.path
    }

    /// The open file, for operations that want a descriptor (clone, copy).
    /// `None` where the bytes did not come from a regular file.
    pub fn file(&self) -> Option<&File> {
        self.witness.0.file.as_ref().map(|(file, _)| file)
    }

    /// Whether the mapped file seems to be in the page cache: a sample of its
    /// pages, evenly spread. Bytes in memory count as cached.
    pub fn is_cached(&self) -> bool {
        const SAMPLES: usize = 64;
        let Bytes::Mapped(map) = &self.bytes else { return true };
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
        if let Bytes::Mapped(map) = &self.bytes {
            let length = length.min(map.len().saturating_sub(offset));
            if length > 0 {
                let _ = map.advise_range(Advice::PopulateRead, offset, length);
            }
        }
    }

    /// Tells the kernel that a part of the file will be read soon, so that it
    /// starts to fetch it from disk. A hint.
    pub fn will_need(&self, offset: usize, length: usize) {
        if let Bytes::Mapped(map) = &self.bytes {
            let length = length.min(map.len().saturating_sub(offset));
            if length > 0 {
                let _ = map.advise_range(Advice::WillNeed, offset, length);
            }
        }
    }

    /// Says whether what was read is what the file held when it was opened. To
    /// be asked after the last read and before any answer is believed.
    pub fn finish(&self) -> Result<(), SourceError> {
        self.witness.unchanged()
    }

    /// Who can be asked the same when this is gone.
    pub fn witness(&self) -> Witness {
        self.witness.clone()
    }
}

impl Witness {
    /// Says whether the file is what it was when it was opened, and could be read
    /// all the time that it was mapped.
    ///
    /// # Errors
    /// [`SourceError::Changed`] if not, [`SourceError::Io`] if that cannot be found out.
    pub fn unchanged(&self) -> Result<(), SourceError> {
        let Opened { path, file, length, region } = &*self.0;
        let changed = |what| Err(SourceError::Changed { path: path.clone(), what });
        if region.faulted() {
            return changed("a part of it could not be read any more (cut short, or a disk error)".into());
        }
        let Some((file, before)) = file else { return Ok(()) };
        let now = Identity::of(file).map_err(|error| SourceError::Io {
            path: path.clone(),
            action: "examine",
            error,
        })?;
        if now.length != before.length {
            return changed(format!("it had {} bytes and now has {}", before.length, now.length));
        }
        if now.modified != before.modified {
            return changed("it was written to".into());
        }
        if u64::try_from(*length) != Ok(before.length) {
            return changed(format!("it had {} bytes, and {length} could be read", before.length));
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

/// Whether the handler met a fault in a map: asked of its entry in [`SLOTS`], and
/// once that was given back, which lets it be another map's, told from memory.
///
/// The handler knows entries alone. What is locked here it never waits for.
struct Region(Mutex<Fault>);

#[derive(Clone, Copy)]
enum Fault {
    /// What the entry says.
    InSlot(&'static Slot),
    /// What it said.
    Remembered(bool),
}

impl Default for Region {
    /// Bytes in memory, which have no faults, or a map without an entry.
    fn default() -> Self {
        Self(Mutex::new(Fault::Remembered(false)))
    }
}

impl Region {
    fn register(map: &Mmap) -> Self {
        let start = map.as_ptr() as usize;
        let free =
            |slot: &&Slot| slot.start.compare_exchange(0, start, Ordering::AcqRel, Ordering::Acquire).is_ok();
        let Some(slot) = SLOTS.iter().find(free) else { return Self::default() };
        slot.faulted.store(false, Ordering::Release);
        slot.end.store(start.saturating_add(map.len().next_multiple_of(page_size())), Ordering::Release);
        Self(Mutex::new(Fault::InSlot(slot)))
    }

    fn faulted(&self) -> bool {
        // The entry is asked under the lock: so long nobody gives it back.
        match *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Fault::InSlot(slot) => slot.faulted.load(Ordering::Acquire),
            Fault::Remembered(faulted) => faulted,
        }
    }

    /// Gives the entry back.
    fn release(&self) {
        let mut fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Fault::InSlot(slot) = *fault {
            *fault = Fault::Remembered(slot.faulted.load(Ordering::Acquire));
            slot.end.store(0, Ordering::Release);
            slot.start.store(0, Ordering::Release);
        }
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

    /// A file of 64 KiB without a zero.
    fn full() -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(&vec![7; 64 * 1024]).expect("write");
        file
    }

    /// Cuts a file short, reads what is lost, and makes it look as before. (A guard is
    /// there.)
    fn cut_and_mend(file: &tempfile::NamedTempFile, source: &Source) {
        let file = file.as_file();
        let modified = file.metadata().and_then(|metadata| metadata.modified()).expect("a time");
        file.set_len(8192).expect("cut");
        assert_eq!(source.bytes()[40_000], 0);
        file.set_len(64 * 1024).expect("grown");
        file.set_modified(modified).expect("set");
    }

    fn slot(witness: &Witness) -> Option<*const Slot> {
        match *witness.0.region.0.lock().expect("held by nobody") {
            Fault::InSlot(slot) => Some(slot),
            Fault::Remembered(_) => None,
        }
    }

    #[test]
    fn a_witness_outlives_the_source_and_sees_what_becomes_of_the_file() {
        fn anywhere(_: &(impl Clone + Send + Sync + 'static)) {}
        for open in [Source::open, Source::open_unmapped] {
            for change in [
                (|file| file.set_len(8192).expect("cut")) as fn(&File),
                |file| file.set_len(1 << 20).expect("grown"),
                |file| file.set_modified(std::time::UNIX_EPOCH).expect("set"),
            ] {
                let file = full();
                let source = open(file.path()).expect("open");
                let witness = source.witness();
                anywhere(&witness);
                drop(source);
                // Whoever replaces the file does not change it.
                let other = full();
                std::fs::rename(other.path(), file.path()).expect("replaced");
                witness.unchanged().expect("unchanged so far");
                change(file.as_file());
                assert!(matches!(witness.unchanged(), Err(SourceError::Changed { .. })));
            }
        }
        let source = Source::from_bytes("-", vec![7]);
        let witness = source.witness();
        drop(source);
        witness.unchanged().expect("there is no file");
    }

    #[test]
    fn a_fault_is_remembered_when_the_place_where_it_was_noted_is_anothers() {
        install_fault_guard();
        // Which of two maps that have the same place, one after the other, has the fault.
        for faulty in [[true, false], [false, true]] {
            let files = [full(), full()];
            let fault = |which: usize, source: &Source| {
                if faulty[which] {
                    cut_and_mend(&files[which], source);
                }
            };
            let source = Source::open(files[0].path()).expect("open");
            let first = source.witness();
            let place = slot(&first).expect("guarded");
            fault(0, &source);
            assert_eq!(first.unchanged().is_err(), faulty[0], "while it is mapped");
            drop(source);
            assert_eq!(first.unchanged().is_err(), faulty[0]);
            // Other tests take places, too.
            let source = (0..1000)
                .find_map(|_| {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                    let source = Source::open(files[1].path()).expect("open");
                    (slot(&source.witness()) == Some(place)).then_some(source)
                })
                .expect("the place is free again");
            let second = source.witness();
            fault(1, &source);
            for mapped in [Some(source), None] {
                assert_eq!(first.unchanged().is_err(), faulty[0], "{}", mapped.is_some());
                assert_eq!(second.unchanged().is_err(), faulty[1], "{}", mapped.is_some());
            }
        }
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
