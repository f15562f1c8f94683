//! Where a restore goes: what may stand there already, and what may not.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::etcd::wal::FIRST_SEGMENT;

use super::aside::{Aside, Existing, WalAside, entries, not_locked};
use super::mark::{self, UNFINISHED};
use super::place::name_beside;

/// User and group ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Owner {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self { uid: metadata.uid(), gid: metadata.gid() }
    }
}

/// Why a target cannot be used or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// There is something in the directory.
    #[error("{} is not empty: it holds {}", path.display(), entries.join(", "))]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// Some of what it holds.
        entries: Vec<String>,
    },
    /// What was named is what goes into a data directory.
    #[error(
        "{} is the member directory of a data directory; --data-dir is {}",
        path.display(),
        data_dir.as_ref().map_or_else(|| "what holds `member`".into(), |data_dir| data_dir.display().to_string())
    )]
    IsMember {
        /// The directory.
        path: PathBuf,
        /// What holds it, if it has its name.
        data_dir: Option<PathBuf>,
    },
    /// A running etcd uses the directory.
    #[error("{} is in use by a running etcd", path.display())]
    InUse {
        /// The locked database, or segment of a WAL.
        path: PathBuf,
    },
    /// What stands at the target cannot be moved aside.
    #[error("{} cannot be moved aside: {why}", path.display())]
    NotMovable {
        /// What stands there.
        path: PathBuf,
        /// Why a rename cannot move it.
        why: &'static str,
    },
    /// There is something that is no directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// What stands there.
        path: PathBuf,
    },
    /// The way to the directory leads through something that is no directory.
    #[error("{} cannot be made: {} is not a directory", path.display(), parent.display())]
    ParentNotADirectory {
        /// The directory.
        path: PathBuf,
        /// What stands on the way.
        parent: PathBuf,
    },
    /// The directory, or one on the way to it, is a link to nothing.
    #[error("{} is a symbolic link to {}, which does not exist", path.display(), to.display())]
    DanglingLink {
        /// The link.
        path: PathBuf,
        /// Where it leads.
        to: PathBuf,
    },
    /// The path goes into a directory that does not exist, and out again.
    #[error("{} cannot be followed: {} does not exist", path.display(), missing.display())]
    UpFromNowhere {
        /// The path.
        path: PathBuf,
        /// The directory before `..`.
        missing: PathBuf,
    },
    /// The WAL's directory and the data directory are in each other's way.
    #[error("the WAL cannot go to {}: {why}", path.display())]
    WalPlace {
        /// The WAL's directory.
        path: PathBuf,
        /// What is in the way.
        why: &'static str,
    },
    /// Something of somebody else's stands where the restore would be staged.
    #[error("{} is in the way and was not made by an earlier restore of this user", path.display())]
    Foreign {
        /// What stands there.
        path: PathBuf,
    },
    /// All members cannot be put in place as one directory there.
    #[error("the members cannot go to {}: {why}", path.display())]
    OutDir {
        /// The directory.
        path: PathBuf,
        /// What is in the way.
        why: &'static str,
    },
    /// A member's name cannot be that of a file.
    #[error("the member name {name:?} cannot be the name of a file: {why}")]
    UnsafeName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Only root can give files away.
    #[error("only root can give the files to user {} and group {}", owner.uid, owner.gid)]
    NotRoot {
        /// Who was to own them.
        owner: Owner,
    },
    /// Another restore to the same place is running.
    #[error("another restore to {} is running", path.display())]
    Busy {
        /// The target.
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

/// Names the operation and the path in an I/O error.
pub(super) fn failed<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> TargetError + 'p {
    move |error| TargetError::Io { action, path: path.to_owned(), error }
}

/// A place to restore to, found usable.
#[derive(Debug)]
pub(super) struct Target {
    /// The directory that `member` goes into.
    pub(super) data_dir: PathBuf,
    /// Who owns that directory, if it exists.
    pub(super) existing_owner: Option<Owner>,
    /// The WAL's directory, if it is not `member/wal`.
    pub(super) wal_dir: Option<PathBuf>,
    /// Who owns the WAL's directory, if it exists.
    pub(super) wal_owner: Option<Owner>,
    /// Whether the WAL's directory holds what a killed run left.
    pub(super) wal_unfinished: bool,
    /// Whether the WAL's directory is inside the data directory.
    pub(super) wal_inside: bool,
    /// What is to be moved away.
    pub(super) aside: Aside,
    /// What else is in the directories, and stays.
    pub(super) left_alone: Vec<PathBuf>,
}

impl Target {
    /// Looks at the target without changing anything.
    pub(super) fn examine(
        data_dir: &Path,
        wal_dir: Option<&Path>,
        existing: Existing,
    ) -> Result<Self, TargetError> {
        for path in [Some(data_dir), wal_dir].into_iter().flatten() {
            reachable(path)?;
        }
        not_a_member(data_dir, wal_dir)?;
        let absolute = |path: &Path| std::path::absolute(path).map_err(failed("examine", path));
        let full_data_dir = absolute(data_dir)?;
        let mut target = Self {
            data_dir: data_dir.to_owned(),
            existing_owner: None,
            wal_dir: None,
            wal_owner: None,
            wal_unfinished: false,
            wal_inside: false,
            aside: Aside::default(),
            left_alone: Vec::new(),
        };
        let force = existing != Existing::Refuse;
        // Of the data directory's entries, those that lead to the WAL.
        let mut leads_to_wal = Vec::new();
        if let Some(wal_dir) = wal_dir {
            let full = absolute(wal_dir)?;
            let refused = |why| TargetError::WalPlace { path: wal_dir.to_owned(), why };
            if full_data_dir.starts_with(&full) {
                return Err(refused("the data directory is inside it"));
            }
            let within = full.strip_prefix(&full_data_dir).ok();
            let mut names = within.into_iter().flat_map(Path::components);
            match (names.next(), names.next(), names.next()) {
                (Some(Component::Normal(member)), Some(Component::Normal(wal)), None)
                    if member == "member" && wal == "wal" =>
                {
                    return Self::examine(data_dir, None, existing);
                }
                (Some(Component::Normal(member)), ..) if member == "member" => {
                    return Err(refused("only `wal` can be inside `member`"));
                }
                (Some(Component::ParentDir), ..) => return Err(refused("write the path without `..`")),
                (Some(Component::Normal(name)), ..) => {
                    leads_to_wal.extend(name_beside(Path::new(name)));
                    leads_to_wal.push(name.to_owned());
                }
                _ => {}
            }
            target.wal_inside = within.is_some();
            target.wal_unfinished = mark::is_unfinished(wal_dir)?;
            let left: &[OsString] = if target.wal_unfinished {
                &[OsString::from(UNFINISHED), OsString::from(FIRST_SEGMENT)]
            } else {
                &[]
            };
            target.wal_owner = target.usable(wal_dir, left, force)?.map(|found| Owner::of(&found));
            target.wal_dir = Some(wal_dir.to_owned());
        }
        let found = target.usable(data_dir, &leads_to_wal, force)?;
        target.existing_owner = found.map(|found| Owner::of(&found));
        if let Existing::MoveAside { at } = existing {
            // A WAL that a killed run left is nobody's, and is replaced.
            let wal_dir = target.wal_dir.as_deref().filter(|_| !target.wal_unfinished);
            target.aside = Aside::of(data_dir, wal_dir, at)?;
            target.aside.not_in_use(target.wal_dir.as_deref())?;
            let moves = |path: &PathBuf| target.aside.moves(path);
            target.left_alone.retain(|path| !moves(path));
            if let WalAside::Whole(_) = target.aside.wal {
                // As if there had been none.
                target.wal_owner = None;
            }
        }
        target.left_alone.sort();
        Ok(target)
    }

    /// Whether a directory is absent (`None`) or can be used: it is empty enough,
    /// or what is in it may stay or be moved.
    fn usable(
        &mut self,
        path: &Path,
        except: &[OsString],
        force: bool,
    ) -> Result<Option<fs::Metadata>, TargetError> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(TargetError::NotADirectory { path: path.to_owned() });
            }
            Err(error) => return Err(failed("examine", path)(error)),
        };
        if !metadata.is_dir() {
            return Err(TargetError::NotADirectory { path: path.to_owned() });
        }
        let found = entries(path)?.into_iter().filter(|name| !except.contains(name));
        if force {
            self.left_alone.extend(found.map(|name| path.join(name)));
            return Ok(Some(metadata));
        }
        let mut names: Vec<_> = found.map(|name| name.to_string_lossy().into_owned()).collect();
        if names.is_empty() {
            return Ok(Some(metadata));
        }
        not_locked(&path.join("member"), None)?;
        names.sort();
        names.truncate(5);
        Err(TargetError::NotEmpty { path: path.to_owned(), entries: names })
    }
}

/// That `path` is not itself what `member` is: to move that aside piece by piece, or to
/// put another one into it, is never meant. A WAL alone may be one of its own in the data
/// directory, so it counts only under that name.
fn not_a_member(path: &Path, wal_dir: Option<&Path>) -> Result<(), TargetError> {
    let Ok(full) = path.canonicalize() else { return Ok(()) };
    let has = |name: &str| full.join(name).exists();
    let is_named = full.file_name().is_some_and(|name| name == "member");
    let wal = full.join("wal");
    let has_wal = wal.is_dir()
        && !has("member")
        && wal_dir.and_then(|wal_dir| wal_dir.canonicalize().ok()).is_none_or(|given| given != wal);
    if has("snap/db") || (has_wal && (is_named || has("snap"))) {
        let data_dir = full.parent().filter(|_| is_named).map(Path::to_owned);
        return Err(TargetError::IsMember { path: path.to_owned(), data_dir });
    }
    Ok(())
}

/// Whether a path leads to a directory, or to where one can be made.
pub(super) fn reachable(path: &Path) -> Result<(), TargetError> {
    let mut way = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir && !way.as_os_str().is_empty() && !way.exists() {
            return Err(TargetError::UpFromNowhere { path: path.to_owned(), missing: way });
        }
        way.push(component);
        // Whoever may not look learns of it when the directory is examined.
        let Ok(link) = fs::symlink_metadata(&way) else { continue };
        match fs::metadata(&way) {
            Ok(found) if !found.is_dir() && way != path => {
                return Err(TargetError::ParentNotADirectory { path: path.to_owned(), parent: way });
            }
            Err(error) if link.is_symlink() && error.kind() == io::ErrorKind::NotFound => {
                let to = fs::read_link(&way).map_err(failed("examine", &way))?;
                return Err(TargetError::DanglingLink { path: way, to });
            }
            _ => {}
        }
    }
    Ok(())
}
