//! Which file a command is about, and opening it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;

use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::ops::Settings;
use etcdsnap::source::Source;

use super::failure::Failure;
use super::{Context, Global};

/// Options of the commands that answer from a file.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reading {
    /// The file, in place of the first word; also from ETCDSNAP_FILE
    #[arg(short, long, value_name = "FILE", env = "ETCDSNAP_FILE", hide_env = true)]
    file: Option<PathBuf>,
    /// Answer from what can be read of a damaged file; exit 1 if anything was left
    /// out
    #[arg(long)]
    skip_damaged: bool,
}

impl Reading {
    /// Settings with what these options say.
    pub(crate) fn settings<'c>(&self, context: &Context<'c>) -> Settings<'c> {
        Settings { skip_damaged: self.skip_damaged, ..context.settings() }
    }

    /// The file, and the words that are left for the command.
    ///
    /// # Errors
    /// No file at all, or two of them.
    pub(crate) fn split(&self, words: &[OsString]) -> Result<(PathBuf, Vec<OsString>), Failure> {
        match (&self.file, words.split_first()) {
            (None, None) => Err(Failure::usage("no FILE was given")
                .hint("name the snapshot: as the first word, with --file, or in ETCDSNAP_FILE")),
            (None, Some((file, rest))) => Ok((PathBuf::from(file), rest.to_vec())),
            (Some(file), Some((first, _))) if Path::new(first).is_file() => Err(Failure::usage(format!(
                "two files were given: {} (with --file or ETCDSNAP_FILE) and {}",
                file.display(),
                Path::new(first).display()
            ))
            .hint("leave out one of them")),
            (Some(file), _) => Ok((file.clone(), words.to_vec())),
        }
    }

    /// As [`split`](Self::split), for a command that takes nothing else.
    pub(crate) fn only(&self, words: &[OsString]) -> Result<PathBuf, Failure> {
        let (file, rest) = self.split(words)?;
        at_most(&rest, 0)?;
        Ok(file)
    }
}

/// Refuses more words than a command has a use for.
pub(crate) fn at_most(words: &[OsString], limit: usize) -> Result<(), Failure> {
    match words.get(limit) {
        None => Ok(()),
        Some(word) => {
            Err(Failure::usage(format!("unexpected argument {:?}", word.to_string_lossy()))
                .hint("see --help"))
        }
    }
}

/// Opens a file as bytes.
pub(crate) fn source(path: &Path, global: &Global) -> Result<Source, Failure> {
    if global.no_mmap { Source::open_unmapped(path) } else { Source::open(path) }.map_err(Failure::from)
}

/// Opens a file as a snapshot.
pub(crate) fn snapshot(path: &Path, global: &Global) -> Result<Snapshot, Failure> {
    Snapshot::from_source(source(path, global)?).map_err(Failure::from)
}
