//! A file that appears whole or not at all.
//!
//! It is written under another name beside its place and renamed when it is
//! complete and on disk; nothing is ever overwritten. A lock tells the file of a run
//! that is at work from what a killed run left.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use rustix::fs::{Advice, CWD, FlockOperation, RenameFlags, fadvise, flock, renameat_with};

use crate::codec::checksum::Sha256Stream;

use super::Progress;
use super::folder::{free, parent};

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is something already.
    #[error("{} exists", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Another run is writing it.
    #[error("another run is writing {}", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Something of somebody else's stands where it would be written first.
    #[error("{} is in the way and was not left by an earlier run of this user", path.display())]
    Foreign {
        /// What stands there.
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

fn failed<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> FileError + 'p {
    move |error| FileError::Io { action, path: path.to_owned(), error }
}

/// A file in the making. Removed when dropped.
#[derive(Debug)]
pub struct WholeFile {
    file: File,
    staged: PathBuf,
    target: PathBuf,
    published: bool,
}

impl WholeFile {
    /// Begins a file that will be at `target`, if there is room for `size` bytes.
    ///
    /// # Errors
    /// Anything that is there already, and what the system refuses.
    pub fn begin(target: &Path, size: u64) -> Result<Self, FileError> {
        absent(target)?;
        let Some(name) = target.file_name() else {
            return Err(FileError::Exists { path: target.to_owned() });
        };
        let folder = parent(target);
        if let Some(available) = free(&folder).filter(|available| *available < size) {
            return Err(FileError::NoSpace { path: folder, needed: size, available });
        }
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".etcdsnap-unfinished");
        let staged = folder.join(hidden);
        let file = take(&staged, target)?;
        let whole = Self { file, staged, target: target.to_owned(), published: false };
        let own = fs::Permissions::from_mode(0o600);
        whole.file.set_permissions(own).map_err(failed("set the mode of", &whole.staged))?;
        Ok(whole)
    }

    /// Where it is until it is published.
    pub fn staged(&self) -> &Path {
        &self.staged
    }

    /// Writes what `fill` hands over and the digest behind it, as a snapshot has it. Each
    /// piece is read back and compared, and hashed by a thread beside. Others may read the
    /// file then. Returns the digest.
    ///
    /// # Errors
    /// Those of `fill`, and of writing.
    pub fn write_with_digest<E: From<FileError>>(
        &self,
        progress: &Progress,
        fill: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<[u8; 32], E> {
        let (written, to_hash) = sync_channel::<Vec<u8>>(4);
        let (hashed, reuse) = channel();
        let digest = std::thread::scope(|scope| {
            let hashing = scope.spawn(move || hash(&to_hash, &hashed));
            let mut out = Pieces::new(&self.file, written, reuse, progress);
            let filled = fill(&mut out);
            let flushed = out.flush();
            drop(out);
            let digest = hashing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            filled?;
            flushed.map_err(failed("write", &self.staged))?;
            Ok::<_, E>(digest)
        })?;
        let mut file = &self.file;
        file.write_all(&digest).map_err(failed("write", &self.staged))?;
        // Who writes still needs it alone. File systems without locks do not matter.
        let _ = flock(&self.file, FlockOperation::NonBlockingLockShared);
        Ok(digest)
    }

    /// Makes it appear once all is on disk and `verdict`, which is asked in the meantime,
    /// has nothing against it. Returns what `verdict` said.
    ///
    /// # Errors
    /// Those of `verdict`, a disk that does not take it, or something that has come to its
    /// place in the meantime.
    pub fn publish<T, E: From<FileError>>(
        mut self,
        verdict: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<T, E> {
        let said = std::thread::scope(|scope| {
            let syncing = scope.spawn(|| self.file.sync_all());
            let said = verdict(&self.staged);
            let synced = syncing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let said = said?;
            synced.map_err(failed("sync", &self.staged))?;
            Ok::<_, E>(said)
        })?;
        self.rename()?;
        Ok(said)
    }

    fn rename(&mut self) -> Result<(), FileError> {
        let (staged, target) = (&self.staged, &self.target);
        match renameat_with(CWD, staged, CWD, target, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => return Err(FileError::Exists { path: target.clone() }),
            // A file system that knows no such rename: a second name does the same.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                fs::hard_link(staged, target).map_err(failed("name", target))?;
                fs::remove_file(staged).map_err(failed("remove", staged))?;
            }
            Err(error) => return Err(failed("rename", target)(error.into())),
        }
        self.published = true;
        let folder = parent(&self.target);
        File::open(&folder).and_then(|opened| opened.sync_all()).map_err(failed("sync", &folder))
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: what stays is replaced by the next run.
            let _ = fs::remove_file(&self.staged);
        }
    }
}

/// That nothing is at `target`, not even a link to nothing.
///
/// # Errors
/// That there is, or that it cannot be told.
pub fn absent(target: &Path) -> Result<(), FileError> {
    match fs::symlink_metadata(target) {
        Ok(_) => Err(FileError::Exists { path: target.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = parent(target);
            fs::metadata(&folder).map_err(failed("examine", &folder)).map(|_| ())
        }
        Err(error) => Err(failed("examine", target)(error)),
    }
}

/// Makes the staged file, or takes over that of a run which was killed.
fn take(staged: &Path, target: &Path) -> Result<File, FileError> {
    let options = || {
        let mut options = OpenOptions::new();
        options.write(true).read(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        options
    };
    let file = match options().create_new(true).open(staged) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let foreign = || FileError::Foreign { path: staged.to_owned() };
            let metadata = fs::symlink_metadata(staged).map_err(failed("examine", staged))?;
            // A second name would be written to as well.
            let ours = metadata.uid() == rustix::process::geteuid().as_raw() && metadata.nlink() == 1;
            if !metadata.is_file() || !ours {
                return Err(foreign());
            }
            options().open(staged).map_err(failed("open", staged))?
        }
        Err(error) => return Err(failed("create", staged)(error)),
    };
    let busy = || FileError::Busy { path: target.to_owned() };
    if let Err(rustix::io::Errno::WOULDBLOCK) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        return Err(busy());
    }
    // The run that had it may have published or removed it in the meantime.
    let opened = file.metadata().map_err(failed("examine", staged))?;
    if !fs::symlink_metadata(staged).is_ok_and(|there| there.ino() == opened.ino()) {
        return Err(busy());
    }
    file.set_len(0).map_err(failed("cut", staged))?;
    Ok(file)
}

/// Hashes pieces in the order in which they were written, and gives them back.
fn hash(pieces: &Receiver<Vec<u8>>, back: &Sender<Vec<u8>>) -> [u8; 32] {
    let mut hash = Sha256Stream::new();
    for mut piece in pieces {
        hash.update(&piece);
        piece.clear();
        // Nobody wants the last ones.
        let _ = back.send(piece);
    }
    hash.finish()
}

/// Writes in pieces, each of which is read back and compared, and hashed while the next is
/// made.
struct Pieces<'f> {
    file: &'f File,
    piece: Vec<u8>,
    found: Vec<u8>,
    end: u64,
    /// Where that ends which the kernel was told to write out.
    written_out: u64,
    written: SyncSender<Vec<u8>>,
    reuse: Receiver<Vec<u8>>,
    progress: &'f Progress,
}

impl<'f> Pieces<'f> {
    /// Small enough to be in the processor's cache still when it is compared.
    const PIECE: usize = 256 << 10;
    /// How much is written out in one go.
    const RUN: u64 = 8 << 20;

    fn new(
        file: &'f File,
        written: SyncSender<Vec<u8>>,
        reuse: Receiver<Vec<u8>>,
        progress: &'f Progress,
    ) -> Self {
        Self { file, piece: Vec::new(), found: Vec::new(), end: 0, written_out: 0, written, reuse, progress }
    }

    fn put(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.piece)?;
        compare(self.file, self.end, &self.piece, &mut self.found)?;
        let length = self.piece.len() as u64;
        self.end = self.end.saturating_add(length);
        Progress::add(&self.progress.written, length);
        // The kernel is told to write out what is there while more is made.
        let behind = self.end.saturating_sub(self.written_out);
        if behind >= Self::RUN {
            let _ = fadvise(self.file, self.written_out, NonZeroU64::new(behind), Advice::DontNeed);
            self.written_out = self.end;
        }
        let next = self.reuse.try_recv().unwrap_or_else(|_| Vec::with_capacity(Self::PIECE));
        let piece = std::mem::replace(&mut self.piece, next);
        self.written.send(piece).map_err(|_| io::Error::other("the digest was given up"))
    }
}

/// Whether `piece` is what the file holds at `offset`, read into `found`.
fn compare(file: &File, offset: u64, piece: &[u8], found: &mut Vec<u8>) -> io::Result<()> {
    found.resize(piece.len(), 0);
    file.read_exact_at(found, offset)?;
    if found == piece { Ok(()) } else { Err(io::Error::other("it is read back other than it was written")) }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = Self::PIECE.saturating_sub(self.piece.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.piece.extend_from_slice(taken);
        if self.piece.len() >= Self::PIECE {
            self.put()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.put()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::checksum::sha256;

    fn write(target: &Path, content: &[u8]) -> Result<(), FileError> {
        let whole = WholeFile::begin(target, content.len() as u64)?;
        let digest = whole.write_with_digest(&Progress::default(), |out| {
            out.write_all(content).map_err(failed("write", target))
        })?;
        assert_eq!(digest, sha256(content));
        whole.publish(|_| Ok(()))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_digest_follows_the_content_whatever_its_length() {
        let folder = tempfile::tempdir().expect("a folder");
        for length in [0, 1, (1 << 20) - 1, 1 << 20, (5 << 20) + 7] {
            let content: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
            let target = folder.path().join(format!("f{length}"));
            write(&target, &content).expect("written");
            let found = fs::read(&target).expect("there");
            assert!(found[..length] == content && found[length..] == sha256(&content));
            assert_eq!(fs::metadata(&target).expect("there").mode() & 0o777, 0o600);
        }
        assert_eq!(names(folder.path()).len(), 5, "nothing else stays");
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_half_made_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("f");
        fs::write(&target, "there").expect("written");
        assert!(matches!(write(&target, b"new"), Err(FileError::Exists { .. })));
        fs::remove_file(&target).expect("removed");
        std::os::unix::fs::symlink("nowhere", &target).expect("linked");
        assert!(matches!(write(&target, b"new"), Err(FileError::Exists { .. })));
        fs::remove_file(&target).expect("removed");
        let whole = WholeFile::begin(&target, 1).expect("begun");
        fs::write(&target, "came later").expect("written");
        let published = whole.publish(|_| Ok::<_, FileError>(()));
        assert!(matches!(published, Err(FileError::Exists { .. })));
        assert_eq!(fs::read(&target).expect("there"), b"came later");
        assert_eq!(names(folder.path()), ["f"]);
    }

    #[test]
    fn a_piece_that_is_found_other_than_it_was_written_is_an_error() {
        let file = tempfile::tempfile().expect("a file");
        file.write_all_at(b"what is there", 0).expect("written");
        let compared = |offset, piece: &str| compare(&file, offset, piece.as_bytes(), &mut Vec::new());
        assert!(compared(0, "what ").is_ok() && compared(5, "is there").is_ok());
        assert!(compared(5, "is their").is_err());
        assert!(compared(8, "there!").is_err());
    }

    #[test]
    fn what_the_verdict_is_against_does_not_appear() {
        let folder = tempfile::tempdir().expect("a folder");
        let whole = WholeFile::begin(&folder.path().join("f"), 1).expect("begun");
        whole.write_with_digest(&Progress::default(), |_| Ok::<_, FileError>(())).expect("written");
        let staged = whole.staged().to_owned();
        let refused = whole.publish(|path| {
            assert_eq!(path, staged);
            Err::<(), _>(FileError::Busy { path: path.to_owned() })
        });
        assert!(matches!(refused, Err(FileError::Busy { .. })));
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn a_run_at_work_is_told_from_what_a_killed_one_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("f");
        let at_work = WholeFile::begin(&target, 1).expect("begun");
        assert!(matches!(WholeFile::begin(&target, 1), Err(FileError::Busy { .. })));
        let left = at_work.staged().to_owned();
        drop(at_work);
        fs::write(&left, "left behind and longer than what comes").expect("written");
        write(&target, b"new").expect("written");
        assert_eq!(fs::metadata(&target).expect("there").len(), 3 + 32);
        let other = folder.path().join("g");
        let link = folder.path().join(".g.etcdsnap-unfinished");
        fs::hard_link(&target, &link).expect("linked");
        assert!(matches!(WholeFile::begin(&other, 1), Err(FileError::Foreign { .. })));
    }

    #[test]
    fn too_little_room_and_a_missing_folder_are_told_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("f");
        assert!(matches!(WholeFile::begin(&target, u64::MAX), Err(FileError::NoSpace { .. })));
        let nowhere = folder.path().join("missing/f");
        assert!(matches!(WholeFile::begin(&nowhere, 1), Err(FileError::Io { action: "examine", .. })));
        assert_eq!(names(folder.path()), [""; 0]);
    }
}
