//! Whether there is room, asked before the first byte rather than told after the
//! last that fits.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::ops::folder::free;

use super::survey::Room;
use super::target::TargetError;

/// For directories, the `.snap` and what a file system needs for itself.
const SMALL_FILES: u64 = 1 << 20;

/// Room that is needed in some directories, of which several may be on one file
/// system.
#[derive(Debug, Default)]
pub(super) struct Needed {
    /// Device, a directory on it, its name for people, bytes.
    file_systems: Vec<(u64, PathBuf, PathBuf, u64)>,
}

impl Needed {
    /// Asks for `bytes` on the file system of `directory`, which exists; people
    /// know it as `shown`.
    pub(super) fn add(&mut self, directory: &Path, shown: &Path, bytes: u64) {
        // Whoever cannot look finds out when writing.
        let Ok(metadata) = std::fs::metadata(directory) else { return };
        match self.file_systems.iter_mut().find(|(device, ..)| *device == metadata.dev()) {
            Some((.., sum)) => *sum = sum.saturating_add(bytes),
            None => {
                let sum = bytes.saturating_add(SMALL_FILES);
                self.file_systems.push((metadata.dev(), directory.to_owned(), shown.to_owned(), sum));
            }
        }
    }

    /// What is needed and free, one entry a file system.
    pub(super) fn rooms(&self) -> Vec<Room> {
        let room = |(_, directory, shown, needed): &(u64, PathBuf, PathBuf, u64)| {
            Some(Room { path: shown.clone(), needed: *needed, free: free(directory)? })
        };
        self.file_systems.iter().filter_map(room).collect()
    }

    /// Whether all of it is there. Quotas, and a shortage of inodes, show when
    /// files are written.
    pub(super) fn check(&self) -> Result<(), TargetError> {
        match self.rooms().into_iter().find(|room| room.free < room.needed) {
            Some(Room { path, needed, free }) => Err(TargetError::NoSpace { path, needed, available: free }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_on_one_file_system_is_added_up() {
        let folder = tempfile::tempdir().expect("folder");
        let room = rustix::fs::statvfs(folder.path()).expect("figures");
        // All of it, and half of it twice.
        let all = room.f_bavail.saturating_mul(room.f_frsize);
        for parts in [&[all][..], &[all / 2, all / 2]] {
            let mut needed = Needed::default();
            for bytes in parts {
                needed.add(folder.path(), Path::new("shown"), *bytes);
            }
            let Err(TargetError::NoSpace { path, .. }) = needed.check() else { panic!("{parts:?}") };
            assert_eq!(path, Path::new("shown"));
        }
        let mut needed = Needed::default();
        needed.add(folder.path(), Path::new("shown"), 1);
        needed.check().expect("room for a byte");
    }
}
