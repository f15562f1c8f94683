//! What many commands have in common: which file they are about, and how it is
//! read. One struct for each concern, to be flattened into a command's arguments;
//! a command has those that make a difference to it.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;

use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::kube::registry_key::Prefixes;
use etcdsnap::ops::Settings;
use etcdsnap::source::Source;

use super::failure::Failure;
use super::{Context, GENERAL};

/// The file that a command is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct Named {
    /// The file, in place of the first word; also from ETCDSNAP_FILE
    #[arg(short, long, value_name = "FILE", env = "ETCDSNAP_FILE", hide_env = true, help_heading = GENERAL)]
    file: Option<PathBuf>,
}

/// Options of the commands that show a file as it is, damage and all.
#[derive(Debug, Clone, Args)]
pub(crate) struct Looking {
    #[command(flatten)]
    pub(crate) named: Named,
    #[command(flatten)]
    pub(crate) opening: Opening,
}

/// Options of the commands that answer from a file.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reading {
    #[command(flatten)]
    named: Named,
    /// Answer from what can be read of a damaged file; exit 1 if anything was left
    /// out
    #[arg(long, help_heading = GENERAL)]
    skip_damaged: bool,
    #[command(flatten)]
    opening: Opening,
}

/// How a file is opened.
#[derive(Debug, Clone, Args)]
pub(crate) struct Opening {
    /// Read the file into memory instead of mapping it
    #[arg(long, help_heading = GENERAL)]
    no_mmap: bool,
}

/// How much of the machine is used by what is done side by side.
#[derive(Debug, Clone, Args)]
pub(crate) struct Threads {
    /// Threads to use [default: as many as there are cores]
    #[arg(long, value_name = "N", help_heading = GENERAL)]
    threads: Option<NonZeroUsize>,
}

/// Which keys are those of Kubernetes.
#[derive(Debug, Clone, Args)]
pub(crate) struct KubernetesKeys {
    /// Where Kubernetes keeps its keys (API server's --etcd-prefix), if not /registry,
    /// /kubernetes.io or /openshift.io
    #[arg(long, value_name = "PREFIX", help_heading = GENERAL)]
    etcd_prefix: Vec<String>,
}

impl Opening {
    /// Opens a file as bytes, for a command to answer from.
    pub(crate) fn source(&self, context: &mut Context<'_>, path: &Path) -> Result<Source, Failure> {
        let source = self.open(path)?;
        context.opened(&source);
        Ok(source)
    }

    /// Opens a file as bytes, for a command that asks it whether it changed, come what may.
    pub(crate) fn open(&self, path: &Path) -> Result<Source, Failure> {
        if self.no_mmap { Source::open_unmapped(path) } else { Source::open(path) }.map_err(Failure::from)
    }
}

impl Threads {
    /// Settings with what this option says.
    pub(crate) fn settings<'c>(&self, context: &Context<'c>) -> Settings<'c> {
        let settings = context.settings();
        Settings { threads: self.threads.unwrap_or(settings.threads), ..settings }
    }
}

impl KubernetesKeys {
    /// The prefixes of Kubernetes' keys.
    pub(crate) fn prefixes(&self) -> Prefixes {
        if self.etcd_prefix.is_empty() { Prefixes::well_known() } else { Prefixes::new(&self.etcd_prefix) }
    }

    /// The values of `--etcd-prefix`.
    pub(crate) fn given(&self) -> &[String] {
        &self.etcd_prefix
    }
}

impl Reading {
    /// `settings` with what these options say.
    pub(crate) fn settings<'c>(&self, settings: Settings<'c>) -> Settings<'c> {
        Settings { skip_damaged: self.skip_damaged, ..settings }
    }

    /// Opens a file as a snapshot.
    pub(crate) fn snapshot(&self, context: &mut Context<'_>, path: &Path) -> Result<Snapshot, Failure> {
        Snapshot::from_source(self.opening.source(context, path)?).map_err(Failure::from)
    }

    /// As [`Named::split`].
    pub(crate) fn split(&self, words: &[OsString]) -> Result<(PathBuf, Vec<OsString>), Failure> {
        self.named.split(words)
    }

    /// As [`Named::input`].
    pub(crate) fn input(&self, words: &[OsString]) -> Vec<PathBuf> {
        self.named.input(words)
    }

    /// As [`Named::only`].
    pub(crate) fn only(&self, words: &[OsString]) -> Result<PathBuf, Failure> {
        self.named.only(words)
    }
}

impl Named {
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

    /// The file, if one was given.
    pub(crate) fn input(&self, words: &[OsString]) -> Vec<PathBuf> {
        self.split(words).into_iter().map(|(file, _)| file).collect()
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

/// Bytes that were given as hexadecimal digits.
#[derive(Debug, Clone)]
pub(crate) struct HexBytes(Vec<u8>);

impl HexBytes {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Reads pairs of hexadecimal digits.
pub(crate) fn bytes_of_hex(text: &str) -> Result<HexBytes, String> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    });
    let bytes: Option<Vec<u8>> = pairs.collect();
    bytes.map(HexBytes).ok_or_else(|| "pairs of hexadecimal digits are wanted, as 2f7265".to_owned())
}

/// The one word that is left for a command, or the bytes that an option gives in
/// its place.
pub(crate) fn word_or_hex(
    words: &[OsString],
    hex: Option<&HexBytes>,
    word: &str,
    option: &str,
) -> Result<Option<Vec<u8>>, Failure> {
    at_most(words, 1)?;
    match (words.first(), hex) {
        (Some(_), Some(_)) => {
            Err(Failure::usage(format!("{word} was given twice: as a word and with {option}"))
                .hint("leave out one of them"))
        }
        (Some(word), None) => Ok(Some(word.as_bytes().to_vec())),
        (None, hex) => Ok(hex.map(|HexBytes(bytes)| bytes.clone())),
    }
}
