//! The files of one member: written, read again as etcd would, made durable.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use crate::etcd::membership::MemberId;
use crate::etcd::{snap_file, wal};

use super::RestoreError;
use super::copy::first_difference;
use super::mark::UNFINISHED;
use super::place::make_directory;
use super::plan::Plan;
use super::target::{TargetError, failed};

/// Where the files of one member are made.
#[derive(Debug, Clone)]
pub(super) struct MemberTree {
    /// The directory `member`.
    pub(super) member: PathBuf,
    /// The WAL's, if it is not inside `member`.
    pub(super) wal_apart: Option<PathBuf>,
}

impl MemberTree {
    pub(super) fn snap(&self) -> PathBuf {
        self.member.join("snap")
    }

    pub(super) fn db(&self) -> PathBuf {
        self.snap().join("db")
    }

    pub(super) fn snap_file(&self, plan: &Plan<'_>) -> PathBuf {
        self.snap().join(&plan.snap_name)
    }

    pub(super) fn wal(&self) -> PathBuf {
        self.wal_apart.clone().unwrap_or_else(|| self.member.join("wal"))
    }

    pub(super) fn segment(&self) -> PathBuf {
        self.wal().join(wal::FIRST_SEGMENT)
    }

    /// All that is written for `plan`, each directory before what is in it.
    pub(super) fn paths(&self, plan: &Plan<'_>) -> [PathBuf; 6] {
        [self.member.clone(), self.snap(), self.db(), self.snap_file(plan), self.wal(), self.segment()]
    }

    pub(super) fn make_directories(&self) -> Result<(), TargetError> {
        make_directory(&self.member)?;
        make_directory(&self.snap())?;
        match self.wal_apart {
            Some(_) => Ok(()),
            None => make_directory(&self.wal()),
        }
    }

    /// Writes everything but the database. A WAL apart gets `mark` beside it.
    pub(super) fn write(
        &self,
        plan: &Plan<'_>,
        node: MemberId,
        mark: Option<&[u8]>,
    ) -> Result<(), TargetError> {
        self.write_wal(&plan.wal_head(node))?;
        if let Some(mark) = mark {
            let path = self.wal().join(UNFINISHED);
            let mut file = create(&path, 0o600)?;
            file.write_all(mark).and_then(|()| file.sync_all()).map_err(failed("write", &path))?;
        }
        // The one file whose mode upstream leaves to the umask.
        let snap = self.snap_file(plan);
        create(&snap, 0o666)?.write_all(&plan.snap).map_err(failed("write", &snap))
    }

    fn write_wal(&self, head: &[u8]) -> Result<(), TargetError> {
        let path = self.segment();
        let file = create(&path, 0o600)?;
        // Room for the first entries, as etcd itself sets aside; where the file
        // system cannot, a file of that length.
        if let Err(error) = fallocate(&file, FallocateFlags::empty(), 0, wal::PREALLOCATED) {
            if matches!(error, rustix::io::Errno::NOSPC | rustix::io::Errno::DQUOT) {
                return Err(failed("write", &path)(error.into()));
            }
            file.set_len(wal::PREALLOCATED).map_err(failed("write", &path))?;
        }
        file.write_all_at(head, 0).map_err(failed("write", &path))
    }

    /// Reads again what [`write`](Self::write) wrote.
    pub(super) fn read_back(&self, plan: &Plan<'_>, node: MemberId) -> Result<(), RestoreError> {
        let (segment, snap) = (self.segment(), self.snap_file(plan));
        let file = File::open(&segment).map_err(failed("read", &segment))?;
        let length = file.metadata().map_err(failed("examine", &segment))?.len();
        if length != wal::PREALLOCATED {
            return Err(RestoreError::ReadBack { path: segment, offset: length.min(wal::PREALLOCATED) });
        }
        check_wal(&file, 0, &segment, &plan.wal_head(node))?;
        let file = File::open(&snap).map_err(failed("read", &snap))?;
        let length = file.metadata().map_err(failed("examine", &snap))?.len();
        if length != plan.snap.len() as u64 {
            let offset = length.min(plan.snap.len() as u64);
            return Err(RestoreError::ReadBack { path: snap, offset });
        }
        check_snap(&file, 0, &snap, &plan.snap)
    }

    /// Waits until all files and the directories they are in are on disk.
    pub(super) fn sync(&self, plan: &Plan<'_>) -> Result<(), TargetError> {
        // A directory after what is in it.
        for path in self.paths(plan).iter().rev() {
            sync_path(path)?;
        }
        Ok(())
    }
}

/// Reads the records of a WAL that begins at byte `at` of a file, as etcd would,
/// and compares them with those of the plan, up to where the zeros begin.
pub(super) fn check_wal(file: &File, at: u64, path: &Path, head: &[u8]) -> Result<(), RestoreError> {
    const END: usize = 8;
    let mut read = vec![0; head.len().saturating_add(END)];
    file.read_exact_at(&mut read, at).map_err(failed("read", path))?;
    let mut wanted = head.to_vec();
    wanted.resize(read.len(), 0);
    if let Some(difference) = first_difference(&read, &wanted) {
        return Err(RestoreError::ReadBack { path: path.to_owned(), offset: at.saturating_add(difference) });
    }
    let mut records = wal::Records::new(&read);
    if let Some(fault) = records.by_ref().find_map(Result::err) {
        return Err(RestoreError::StagedWal { path: path.to_owned(), fault });
    }
    // The records must be all there is.
    let end = records.end().0;
    if end == head.len() as u64 {
        return Ok(());
    }
    Err(RestoreError::ReadBack { path: path.to_owned(), offset: at.saturating_add(end) })
}

/// The same for a `.snap`.
pub(super) fn check_snap(file: &File, at: u64, path: &Path, wanted: &[u8]) -> Result<(), RestoreError> {
    let mut read = vec![0; wanted.len()];
    file.read_exact_at(&mut read, at).map_err(failed("read", path))?;
    if let Some(difference) = first_difference(&read, wanted) {
        return Err(RestoreError::ReadBack { path: path.to_owned(), offset: at.saturating_add(difference) });
    }
    match snap_file::parse(&read) {
        Ok(_) => Ok(()),
        Err(fault) => Err(RestoreError::StagedSnap { path: path.to_owned(), fault }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::line::EtcdLine;
    use crate::etcd::membership::new_members;
    use crate::etcd::peer_url::InitialCluster;

    #[test]
    fn a_wal_reads_back_only_as_it_was_planned() {
        let cluster = InitialCluster::parse("a=http://10.0.0.1:2380").expect("a cluster");
        let members = new_members(&cluster, "t").expect("members");
        let head = wal::wal_head(members.first().expect("one").id, &members, EtcdLine::V3_6);
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("wal");
        let check = |bytes: &[u8], head: &[u8]| {
            let mut content = vec![7; 512];
            content.extend_from_slice(bytes);
            content.extend_from_slice(&[0; 16]);
            fs::write(&path, content).expect("written");
            check_wal(&File::open(&path).expect("opened"), 512, &path, head)
        };
        check(&head, &head).expect("as planned");
        for position in [0, 150] {
            let mut changed = head.clone();
            changed[position] ^= 1;
            let Err(RestoreError::ReadBack { offset, .. }) = check(&changed, &head) else {
                panic!("byte {position}")
            };
            assert_eq!(offset, 512 + position as u64);
            // A plan that etcd could not read is not published, however well it is written.
            let Err(error) = check(&changed, &changed) else { panic!("byte {position}") };
            assert!(
                matches!(error, RestoreError::StagedWal { .. } | RestoreError::ReadBack { .. }),
                "{error:?}"
            );
        }
        let mut more = head.clone();
        more.extend_from_slice(&[0; 8]);
        assert!(check(&head, &more).is_err(), "records end before the plan does");
    }

    #[test]
    fn a_snap_reads_back_only_as_it_was_planned() {
        let members = Vec::new();
        let snap =
            snap_file::encode(&snap_file::restored(&members, EtcdLine::V3_6), EtcdLine::V3_6.encoding());
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("snap");
        let check = |bytes: &[u8], wanted: &[u8]| {
            fs::write(&path, bytes).expect("written");
            check_snap(&File::open(&path).expect("opened"), 0, &path, wanted)
        };
        check(&snap, &snap).expect("as planned");
        let mut changed = snap.clone();
        *changed.last_mut().expect("bytes") ^= 1;
        assert!(matches!(check(&changed, &snap), Err(RestoreError::ReadBack { .. })));
        assert!(matches!(check(&changed, &changed), Err(RestoreError::StagedSnap { .. })));
    }
}
