//! The mark beside a WAL that belongs to no member yet.
//!
//! A WAL in a directory of its own is published before its database. Until that
//! is published too, a file beside the WAL says so, and names the database that is
//! to come. A later run may replace such a WAL, but only if that database never
//! came and nobody has written to the WAL since.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::etcd::wal::FIRST_SEGMENT;

use super::target::{TargetError, failed};

/// Name of the mark.
pub(super) const UNFINISHED: &str = "etcdsnap-unfinished-restore";

/// The mark of a WAL with `head` bytes of records for a member in `data_dir`.
pub(super) fn content(data_dir: &Path, head: usize) -> Result<Vec<u8>, TargetError> {
    let full = std::path::absolute(data_dir).map_err(failed("examine", data_dir))?;
    let mut content = format!("{head} ").into_bytes();
    content.extend_from_slice(full.as_os_str().as_bytes());
    Ok(content)
}

fn parse(mut content: Vec<u8>) -> Option<(u64, PathBuf)> {
    let space = content.iter().position(|byte| *byte == b' ')?;
    let path = content.split_off(space.checked_add(1)?);
    let head = std::str::from_utf8(&content).ok()?.trim_end().parse().ok()?;
    Some((head, PathBuf::from(std::ffi::OsString::from_vec(path))))
}

/// What the mark in `wal_dir` says, if there is one that says something.
fn read(wal_dir: &Path) -> Result<Option<(u64, PathBuf)>, TargetError> {
    let path = wal_dir.join(UNFINISHED);
    match fs::read(&path) {
        Ok(content) => Ok(parse(content)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(failed("read", &path)(error)),
    }
}

/// Removes the mark of a run that was killed at the very last, its database
/// published: that restore is complete.
pub(super) fn forget_finished(wal_dir: &Path) -> Result<(), TargetError> {
    match read(wal_dir)? {
        Some((_, data_dir)) if data_dir.join("member").exists() => {
            let path = wal_dir.join(UNFINISHED);
            fs::remove_file(&path).map_err(failed("remove", &path))
        }
        _ => Ok(()),
    }
}

/// Whether `wal_dir` holds a WAL that a killed run left and that is nobody's.
pub(super) fn is_unfinished(wal_dir: &Path) -> Result<bool, TargetError> {
    let Some((head, data_dir)) = read(wal_dir)? else { return Ok(false) };
    if data_dir.join("member").exists() {
        return Ok(false);
    }
    let segment = wal_dir.join(FIRST_SEGMENT);
    let file = match File::open(&segment) {
        Ok(file) => file,
        // Killed between the mark and the segment.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(failed("read", &segment)(error)),
    };
    // The frame after the last record of a restore: etcd would have written one.
    let mut next = [0; 8];
    Ok(file.read_exact_at(&mut next, head).is_ok() && next == [0; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wal_is_nobodys_only_until_its_member_is_there_or_it_was_written_to() {
        let folder = tempfile::tempdir().expect("folder");
        let (wal, data) = (folder.path().join("wal"), folder.path().join("data"));
        fs::create_dir(&wal).expect("made");
        assert!(!is_unfinished(&wal).expect("answer"), "no mark");
        let mark = wal.join(UNFINISHED);
        fs::write(&mark, "").expect("written");
        assert!(!is_unfinished(&wal).expect("answer"), "a mark that says nothing");
        fs::write(&mark, content(&data, 8).expect("content")).expect("written");
        assert!(is_unfinished(&wal).expect("answer"), "no segment yet");
        fs::write(wal.join(FIRST_SEGMENT), [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            .expect("written");
        assert!(is_unfinished(&wal).expect("answer"), "as a restore leaves it");
        forget_finished(&wal).expect("answer");
        assert!(mark.exists(), "not finished");
        fs::write(wal.join(FIRST_SEGMENT), [1; 32]).expect("written");
        assert!(!is_unfinished(&wal).expect("answer"), "written to since");
        fs::create_dir_all(data.join("member")).expect("made");
        assert!(!is_unfinished(&wal).expect("answer"), "its member is there");
        assert!(mark.exists(), "looking changes nothing");
        forget_finished(&wal).expect("removed");
        assert!(!mark.exists(), "so the mark is gone");
    }
}
