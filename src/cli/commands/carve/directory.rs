//! `--out-dir`: a file for each value, and an index.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use etcdsnap::kube::manifest::file_name::ObjectPath;
use etcdsnap::kube::manifest::identity::Identity;
use etcdsnap::ops::carve::Kind;
use etcdsnap::ops::export::{Tree, TreeError};

use super::item::{Content, Item};
use super::shown::END;
use super::summary::Summary;
use crate::cli::failure::Failure;
use crate::cli::output::text::safe;

/// No namespace has that name.
const INDEX: &str = "_index.jsonl";
/// Where what is no object is.
const NO_OBJECT: &str = "_etcd";

/// A value that is to be written, and its line of the index without the file's name.
pub(super) struct Entry {
    path: ObjectPath,
    /// The file's ending and content, if there is a value.
    content: Option<(&'static str, Vec<u8>)>,
    line: Vec<u8>,
}

/// The directory.
pub(super) struct Directory {
    tree: Tree,
    index: BufWriter<File>,
}

impl Directory {
    pub(super) fn new(root: &Path) -> Result<Self, TreeError> {
        let mut tree = Tree::new(root, "yaml")?;
        let index = BufWriter::new(tree.file(INDEX)?);
        Ok(Self { tree, index })
    }

    pub(super) fn put(&mut self, entry: Entry) -> Result<(), Failure> {
        let Entry { path, content, mut line } = entry;
        if let Some((ending, bytes)) = content {
            let file = self.tree.put_as(&path, ending, &bytes)?;
            // Names of files have no character that JSON escapes.
            let name = format!(",\"file\":\"{}\"", file.display());
            line.truncate(line.len().saturating_sub(END.len()));
            line.extend_from_slice(name.as_bytes());
            line.extend_from_slice(END);
        }
        self.index.write_all(&line).map_err(|error| unwritten(&error))
    }

    /// Removes the directory if it was not there: for a search that failed.
    pub(super) fn abandon(self) {
        self.tree.remove_with(INDEX);
    }

    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.index.flush().map_err(|error| unwritten(&error))
    }
}

impl Item<'_, '_> {
    /// What is to be written of it.
    pub(super) fn file(&self, summary: &mut Summary) -> Result<Entry, std::io::Error> {
        let content = match self.content(summary) {
            Content::Nothing | Content::Hidden(_) => None,
            Content::Object(object) => Some(("yaml", self.yaml_file(&object))),
            Content::Bytes(bytes, _) => Some(("bin", bytes.to_vec())),
        };
        let mut line = Vec::new();
        self.json_line(&mut line)?;
        Ok(Entry { path: self.path(), content, line })
    }

    /// Where it is written: as an object that is exported, with its revision.
    fn path(&self) -> ObjectPath {
        let revision = self.revision().map_or_else(String::new, |revision| format!(".r{revision}"));
        let (kind, group) = self.label.type_name.split_once('.').unwrap_or((&self.label.type_name, ""));
        let namespace = self.label.namespace.as_deref().map(safe).unwrap_or_default();
        let name = format!("{}{revision}", safe(&self.label.name));
        let identity =
            Identity { group, version: "", kind, namespace: &namespace, name: &name, built_in: None };
        let mut path = ObjectPath::of(&identity);
        if !matches!(self.label.kind, Kind::Object) {
            NO_OBJECT.clone_into(&mut path.namespace);
        }
        path
    }
}

fn unwritten(error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write {INDEX}: {error}"))
        .regardless()
        .hint("what was written so far is not complete: remove it, look at the disk, and try again")
}
