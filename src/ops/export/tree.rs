//! Manifests as a tree of files.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Manifest;
use crate::kube::manifest::file_name::ObjectPath;

/// A directory that is filled with one file for each object.
///
/// Nothing that is there already is ever written to: the directory is empty at
/// first, and each file is made new. Directories have the mode 0700, files 0600:
/// there are Secrets among them.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    ending: &'static str,
    made: HashSet<PathBuf>,
    /// Whether the root was not there.
    is_ours: bool,
}

/// Why a file or directory cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// There is something in the directory.
    #[error("directory {} is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// The system refused.
    #[error("cannot write {}: {error}", path.display())]
    Io {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Files of the same name, but for letters' case, that are told apart by a
/// number.
const MOST_ALIKE: u32 = 10_000;

fn failed(path: &Path) -> impl FnOnce(io::Error) -> TreeError {
    let path = path.to_owned();
    move |error| TreeError::Io { path, error }
}

impl Tree {
    /// Makes the directory `root`, or takes one that is empty. Files will have
    /// `ending`.
    ///
    /// # Errors
    /// Something is there, or the system refuses.
    pub fn new(root: &Path, ending: &'static str) -> Result<Self, TreeError> {
        let is_ours = match make(root) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let mut inside = fs::read_dir(root).map_err(failed(root))?;
                if inside.next().is_some() {
                    return Err(TreeError::NotEmpty(root.to_owned()));
                }
                false
            }
            Err(error) => return Err(failed(root)(error)),
        };
        Ok(Self { root: root.to_owned(), ending, made: HashSet::new(), is_ours })
    }

    /// Writes one file. If one of that name is there, which other systems may
    /// think of names that differ in case only, it has a number.
    ///
    /// # Errors
    /// The system refuses.
    pub fn put(&mut self, manifest: &Manifest) -> Result<(), TreeError> {
        self.put_as(&manifest.path, self.ending, &manifest.text).map(drop)
    }

    /// As [`put`](Self::put), with another ending. Returns the path below the root.
    ///
    /// # Errors
    /// The system refuses.
    pub fn put_as(&mut self, path: &ObjectPath, ending: &str, bytes: &[u8]) -> Result<PathBuf, TreeError> {
        let namespace = self.root.join(&path.namespace);
        let directory = namespace.join(&path.resource);
        if !self.made.contains(&directory) {
            self.directory(&namespace)?;
            self.directory(&directory)?;
            self.made.insert(directory.clone());
        }
        let mut number = 1;
        loop {
            let name = path.file(number, ending);
            let file_path = directory.join(&name);
            match create(&file_path) {
                Ok(mut file) => {
                    file.write_all(bytes).map_err(failed(&file_path))?;
                    return Ok(Path::new(&path.namespace).join(&path.resource).join(name));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_ALIKE => {
                    number = number.saturating_add(1);
                }
                Err(error) => return Err(failed(&file_path)(error)),
            }
        }
    }

    /// Makes a file beside the directories of namespaces. If `name` begins with `_`, no
    /// namespace has that name.
    ///
    /// # Errors
    /// It is there, or the system refuses.
    pub fn file(&mut self, name: &str) -> Result<File, TreeError> {
        let path = self.root.join(name);
        create(&path).map_err(failed(&path))
    }

    /// Removes the directory if nothing was written: for an export that failed.
    pub fn remove_if_empty(self) {
        if self.is_ours && self.made.is_empty() {
            let _ = fs::remove_dir(&self.root);
        }
    }

    /// Removes the directory with the file that [`file`](Self::file) made, if nothing
    /// else was written.
    pub fn remove_with(self, name: &str) {
        if self.is_ours && self.made.is_empty() {
            let _ = fs::remove_file(self.root.join(name));
        }
        self.remove_if_empty();
    }

    fn directory(&self, path: &Path) -> Result<(), TreeError> {
        match make(path) {
            // Nobody else writes here: it is one of ours.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result.map_err(failed(path)),
        }
    }
}

/// With its mode whatever the umask is.
fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn manifest(namespace: &str, name: &str) -> Manifest {
        let path =
            ObjectPath { namespace: namespace.into(), resource: "configmap".into(), name: name.into() };
        Manifest { path, text: name.as_bytes().to_vec() }
    }

    #[test]
    fn each_object_is_a_file_that_only_its_owner_can_read() {
        let home = tempfile::tempdir().expect("a directory");
        let root = home.path().join("out");
        let mut tree = Tree::new(&root, "yaml").expect("made");
        for (namespace, name) in [("shop", "a"), ("shop", "b"), ("team", "a")] {
            tree.put(&manifest(namespace, name)).expect("written");
        }
        let file = root.join("shop/configmap/b.yaml");
        assert_eq!(fs::read(&file).expect("there"), b"b");
        assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o600);
        for directory in ["", "shop", "shop/configmap"] {
            assert_eq!(fs::metadata(root.join(directory)).expect("there").mode() & 0o777, 0o700);
        }
        assert!(root.join("team/configmap/a.yaml").is_file());
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten() {
        let home = tempfile::tempdir().expect("a directory");
        let mut tree = Tree::new(home.path(), "json").expect("taken");
        for text in ["one", "two", "three"] {
            let object = Manifest { text: text.into(), ..manifest("n", "x") };
            tree.put(&object).expect("written");
        }
        let read = |name: &str| fs::read_to_string(home.path().join("n/configmap").join(name)).expect(name);
        assert_eq!([read("x.json"), read("x~2.json"), read("x~3.json")], ["one", "two", "three"]);
    }

    #[test]
    fn a_directory_with_something_in_it_is_refused() {
        let home = tempfile::tempdir().expect("a directory");
        fs::write(home.path().join("x"), "").expect("written");
        assert!(matches!(Tree::new(home.path(), "yaml"), Err(TreeError::NotEmpty(_))));
        assert!(matches!(Tree::new(&home.path().join("x"), "yaml"), Err(TreeError::Io { .. })));
        assert!(matches!(Tree::new(&home.path().join("a/b"), "yaml"), Err(TreeError::Io { .. })));
    }

    #[test]
    fn a_directory_that_stayed_empty_is_removed_if_it_was_not_there() {
        let home = tempfile::tempdir().expect("a directory");
        let root = home.path().join("out");
        Tree::new(&root, "yaml").expect("made").remove_if_empty();
        assert!(!root.exists());
        fs::create_dir(&root).expect("made");
        Tree::new(&root, "yaml").expect("taken").remove_if_empty();
        assert!(root.exists());
        let mut tree = Tree::new(&root, "yaml").expect("taken");
        tree.put(&manifest("n", "x")).expect("written");
        tree.remove_if_empty();
        assert!(root.join("n/configmap/x.yaml").exists());
    }

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let home = tempfile::tempdir().expect("a directory");
        let outside = home.path().join("outside");
        let root = home.path().join("out");
        let mut tree = Tree::new(&root, "yaml").expect("made");
        tree.put(&manifest("n", "first")).expect("written");
        std::os::unix::fs::symlink(&outside, root.join("n/configmap/x.yaml")).expect("linked");
        tree.put(&manifest("n", "x")).expect("written");
        assert!(!outside.exists());
        assert!(root.join("n/configmap/x~2.yaml").is_file());
    }
}
