//! What a file has besides its bytes: who owns it, who may use it, and the label
//! by which SELinux tells who may.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::XattrFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

use super::Owner;
use super::target::{TargetError, failed};
use super::warning::Warning;

/// Name of the extended attribute with the label.
const LABEL: &str = "security.selinux";

/// A tree that was there, whose attributes new files take.
#[derive(Debug)]
pub(super) struct Model {
    /// The directory that stands for the new one.
    root: PathBuf,
    /// Whether the new tree comes in its place, and so gets its modes, too;
    /// otherwise it goes into that directory.
    replaced: bool,
}

/// Who is to own what is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Giver {
    /// As asked for.
    pub(super) owner: Option<Owner>,
    /// Whether files can be given away.
    pub(super) root: bool,
}

impl Model {
    /// The new tree takes the place of `root`.
    pub(super) fn replaced(root: PathBuf) -> Self {
        Self { root, replaced: true }
    }

    /// The new tree goes into `root`, or nowhere near anything if that is absent.
    pub(super) fn parent(root: &Path) -> Self {
        Self { root: root.to_owned(), replaced: false }
    }

    /// The path whose attributes those of `below` the new tree are to be, and
    /// whether it is that very path.
    fn of(&self, below: &Path) -> (PathBuf, bool) {
        if !self.replaced {
            return (self.root.clone(), false);
        }
        let same = self.root.join(below);
        let exists = |path: &&Path| fs::symlink_metadata(path).is_ok_and(|found| !found.is_symlink());
        let nearest = same.ancestors().take_while(|path| path.starts_with(&self.root)).find(exists);
        let nearest = nearest.unwrap_or(&self.root);
        (nearest.to_owned(), nearest == same)
    }
}

impl Giver {
    /// Gives `paths`, all in or below `top`, what `model` has. What fails in it
    /// but the owner is no obstacle and is told.
    pub(super) fn give(
        &self,
        paths: &[PathBuf],
        top: &Path,
        model: &Model,
    ) -> Result<Vec<Warning>, TargetError> {
        let mut unlabelled = None;
        let mut not_given = None;
        let me = geteuid().as_raw();
        for path in paths {
            let (like, same) = model.of(path.strip_prefix(top).unwrap_or(Path::new("")));
            let found = fs::metadata(&like).ok();
            let existing = found.as_ref().map(Owner::of);
            if self.owner.is_none() && !self.root {
                // Only root can give files away.
                let other = existing.filter(|owner| owner.uid != me);
                not_given = not_given.or(other.map(|owner| Warning::OwnerNotKept { owner }));
            }
            give_away(self.owner.or(existing.filter(|_| self.root)), path)?;
            if let Some(found) = found.filter(|_| same) {
                let mode = fs::Permissions::from_mode(found.mode() & 0o7777);
                fs::set_permissions(path, mode).map_err(failed("set the mode of", path))?;
            }
            // One label that cannot be set is like the next.
            if unlabelled.is_none()
                && let Err(error) = label_like(path, &like)
            {
                let error = std::io::Error::from(error).to_string();
                unlabelled = Some(Warning::LabelNotKept { path: path.clone(), error });
            }
        }
        Ok(not_given.into_iter().chain(unlabelled).collect())
    }
}

/// Of warnings of a kind the first: one file is like the next.
pub(super) fn first_of_each(warnings: Vec<Warning>) -> Vec<Warning> {
    let mut kinds = Vec::new();
    let mut is_first = |warning: &Warning| {
        let kind = std::mem::discriminant(warning);
        let first = !kinds.contains(&kind);
        kinds.push(kind);
        first
    };
    warnings.into_iter().filter(|warning| is_first(warning)).collect()
}

/// Gives a file to an owner, if there is one.
pub(super) fn give_away(owner: Option<Owner>, path: &Path) -> Result<(), TargetError> {
    let Some(owner) = owner else { return Ok(()) };
    std::os::unix::fs::chown(path, Some(owner.uid), Some(owner.gid)).map_err(failed("give away", path))
}

fn label(path: &Path) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 4096];
    let length = rustix::fs::getxattr(path, LABEL, buffer.as_mut_slice()).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

/// Labels `path` as `like` is, where there are labels.
fn label_like(path: &Path, like: &Path) -> Result<(), Errno> {
    let Some(wanted) = label(like) else { return Ok(()) };
    if label(path).as_ref() == Some(&wanted) {
        return Ok(());
    }
    match rustix::fs::setxattr(path, LABEL, &wanted, XattrFlags::empty()) {
        Err(Errno::NOTSUP) | Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belonged_to_another_and_cannot_be_given_to_them_is_told() {
        if !geteuid().is_root() {
            // Nobody else can have files that belong to another.
            return;
        }
        let folder = tempfile::tempdir().expect("folder");
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        for directory in [&old, &new] {
            fs::create_dir(directory).expect("made");
        }
        let owner = Owner { uid: 12345, gid: 54321 };
        let giver = |owner, root| Giver { owner, root };
        let told = |giver: Giver| {
            let warnings = giver.give(std::slice::from_ref(&new), &new, &Model::replaced(old.clone()));
            warnings.expect("given")
        };
        assert_eq!(told(giver(None, false)), [], "it is the caller's");
        give_away(Some(owner), &old).expect("given");
        assert_eq!(told(giver(None, false)), [Warning::OwnerNotKept { owner }]);
        assert_eq!(told(giver(None, true)), []);
        assert_eq!(Owner::of(&fs::metadata(&new).expect("there")), owner);
    }
}
