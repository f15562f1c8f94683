//! What an operator calls a member's data: the database in it.

use std::path::{Path, PathBuf};

use super::RepackError;
use crate::ops::wal_view::log_beside;

/// The database that is meant, and where its log should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The database.
    pub db: PathBuf,
    /// `member/wal` of the directory that it is in, if it is in one.
    pub wal_dir: Option<PathBuf>,
}

impl Input {
    /// Finds the database in a data directory, a `member` directory or its `snap`; a
    /// file is taken for the database itself.
    ///
    /// # Errors
    /// A directory that holds none.
    pub fn find(path: &Path) -> Result<Self, RepackError> {
        if !path.is_dir() {
            return Ok(Self { db: path.to_owned(), wal_dir: log_beside(path) });
        }
        for member in [path.join("member"), path.to_owned()] {
            let db = member.join("snap").join("db");
            if db.is_file() {
                return Ok(Self { db, wal_dir: Some(member.join("wal")) });
            }
        }
        let db = path.join("db");
        if db.is_file() && path.file_name().is_some_and(|name| name == "snap") {
            return Ok(Self { db, wal_dir: path.parent().map(|member| member.join("wal")) });
        }
        Err(RepackError::NoMember { path: path.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_way_to_name_a_member_leads_to_its_database_and_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let member = folder.path().join("member");
        fs::create_dir_all(member.join("snap")).expect("made");
        assert!(matches!(Input::find(folder.path()), Err(RepackError::NoMember { .. })));
        let db = member.join("snap/db");
        fs::write(&db, "").expect("written");
        let expected = Input { db: db.clone(), wal_dir: Some(member.join("wal")) };
        for path in [folder.path().to_owned(), member.clone(), member.join("snap"), db] {
            assert_eq!(Input::find(&path).expect("found"), expected, "{}", path.display());
        }
        let copy = folder.path().join("db");
        assert_eq!(Input::find(&copy).expect("a file"), Input { db: copy, wal_dir: None });
    }
}
