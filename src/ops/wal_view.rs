//! What a member's log has that its database has not.

use std::fs;
use std::path::{Path, PathBuf};

use crate::etcd::raft::Index;
use crate::etcd::wal_tail::{WalEnd, segment_name, wal_end};
use crate::source::Source;

/// Where the log of a database should be, if that is `snap/db` of a member.
pub(crate) fn log_beside(db: &Path) -> Option<PathBuf> {
    let snap = db.parent().filter(|_| db.file_name().is_some_and(|name| name == "db"))?;
    let member = snap.parent().filter(|_| snap.file_name().is_some_and(|name| name == "snap"))?;
    Some(member.join("wal"))
}

/// What a log has beyond its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalTail {
    /// The last entry that the database holds.
    pub applied: Index,
    /// Where the log ends.
    pub end: WalEnd,
}

impl WalTail {
    /// Entries that are in the log alone.
    pub fn pending(&self) -> u64 {
        self.end.last.0.saturating_sub(self.applied.0)
    }
}

/// What could be learnt of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalView {
    /// The input is no part of a member directory.
    None,
    /// There is no log where it should be.
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// It was read to its end.
    Read(WalTail),
    /// It could not be read to its end: there may be more.
    Unreadable {
        /// What could be read.
        tail: WalTail,
        /// Why no more.
        why: String,
    },
}

impl WalView {
    /// Whether there are, or may be, writes that the database does not have.
    pub fn may_have_more(&self) -> bool {
        match self {
            Self::None => false,
            Self::Read(tail) => tail.pending() > 0,
            Self::Missing { .. } | Self::Unreadable { .. } => true,
        }
    }

    /// Reads the log in `wal_dir` from where the database ends.
    pub(crate) fn look(wal_dir: Option<&Path>, consistent_index: Option<u64>) -> Self {
        let Some(wal_dir) = wal_dir else { return Self::None };
        let applied = Index(consistent_index.unwrap_or(0));
        let empty = WalTail { applied, end: WalEnd::default() };
        let unreadable = |why: String| Self::Unreadable { tail: empty, why };
        let entries = match fs::read_dir(wal_dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Self::Missing { path: wal_dir.to_owned() };
            }
            Err(error) => return unreadable(error.to_string()),
        };
        let mut segments = Vec::new();
        for entry in entries {
            let name = match entry {
                Ok(entry) => entry.file_name(),
                Err(error) => return unreadable(error.to_string()),
            };
            if let Some((sequence, first)) = name.to_str().and_then(segment_name) {
                segments.push((sequence, first, wal_dir.join(name)));
            }
        }
        segments.sort();
        if segments.is_empty() {
            return Self::Missing { path: wal_dir.to_owned() };
        }
        // The last segment that begins before what is not applied, and those behind.
        let next = Index(applied.0.saturating_add(1));
        let start = segments.iter().rposition(|(_, first, _)| *first <= next).unwrap_or(0);
        let segments = segments.get(start..).unwrap_or_default();
        let opened: Result<Vec<Source>, _> = segments.iter().map(|(.., path)| Source::open(path)).collect();
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => return unreadable(error.to_string()),
        };
        let bytes: Vec<&[u8]> = opened.iter().map(Source::bytes).collect();
        match wal_end(&bytes) {
            // A log that was cut off, or is another member's.
            Ok(end) if end.last < applied => {
                let why = format!("it ends at entry {}, before the database does", end.last.0);
                Self::Unreadable { tail: WalTail { applied, end }, why }
            }
            Ok(end) => Self::Read(WalTail { applied, end }),
            Err((end, fault)) => {
                let path = segments.get(fault.segment).map(|(.., path)| path.display().to_string());
                let why = format!("{}: {}", path.unwrap_or_default(), fault.fault);
                Self::Unreadable { tail: WalTail { applied, end }, why }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_not_there_or_not_readable_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(WalView::look(None, Some(1)), WalView::None);
        let wal_dir = folder.path().join("wal");
        let missing = WalView::Missing { path: wal_dir.clone() };
        assert_eq!(WalView::look(Some(&wal_dir), Some(1)), missing);
        fs::create_dir(&wal_dir).expect("made");
        fs::write(wal_dir.join("0.tmp"), "").expect("written");
        assert_eq!(WalView::look(Some(&wal_dir), Some(1)), missing);
        let segment = wal_dir.join("0000000000000000-0000000000000000.wal");
        // A torn record, as if it were the last; and one that is no record.
        for content in [&[1; 600][..], b"\x08\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"] {
            fs::write(&segment, content).expect("written");
            assert!(matches!(WalView::look(Some(&wal_dir), Some(1)), WalView::Unreadable { .. }));
        }
    }
}
