//! `carve`: what a file still holds that its tree no longer reaches.

mod directory;
mod item;
mod shown;
mod summary;

use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use etcdsnap::etcd::remnant::EntryKind;
use etcdsnap::kube::object::Options;
use etcdsnap::ops::carve::{Carved, Found, Kind, Label, Selection, carve};
use etcdsnap::ops::reader::Reader;

use self::directory::Directory;
use self::item::Item;
use self::summary::Summary;
use crate::cli::decryption::Decryption;
use crate::cli::failure::Failure;
use crate::cli::input::{KubernetesKeys, Named, Opening, Threads, at_most};
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::text::shown;
use crate::cli::redaction::Redact;
use crate::cli::{Context, Outcome, progress};

/// What the file still holds that its tree no longer reaches
///
/// Deleted and overwritten keys, though compacted, and former members, users, roles,
/// leases: etcd wipes nothing, and a snapshot takes its free pages along. Each is
/// shown once, with its revision, how sure it is, and where it stands. With TYPE (as
/// kubectl has it, or several with commas) and NAME only such objects. Damage is no
/// obstacle: without a usable tree the whole file is searched.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap carve [OPTIONS] FILE [TYPE[,TYPE...] [NAME]]")]
pub(crate) struct Carve {
    /// The snapshot, types of objects, and a name
    #[arg(value_name = "FILE [TYPE [NAME]]")]
    words: Vec<OsString>,
    /// Only objects in this namespace
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Only what stood under keys that begin with this
    #[arg(long, value_name = "KEYPREFIX")]
    prefix: Option<OsString>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Format::Table, conflicts_with = "out_dir")]
    output: Format,
    /// One file for each value in this directory, which must be empty or not there,
    /// and _index.jsonl, which tells of all of them
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    #[command(flatten)]
    redact: Redact,
    #[command(flatten)]
    decryption: Decryption,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    threads: Threads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Columns with titles
    Table,
    /// Documents, each below a comment that tells where it is from
    Yaml,
    /// One JSON document per line
    Jsonl,
}

const TITLES: [&str; 10] =
    ["REVISION", "WHAT", "SURE", "TYPE", "NAMESPACE", "NAME", "SIZE", "COPIES", "PAGE", "OFFSET"];

/// What is made of a run, by whichever thread.
struct Batch {
    text: Vec<u8>,
    rows: Rows,
    summary: Summary,
    files: Vec<directory::Entry>,
    result: io::Result<()>,
}

impl Carve {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.named.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let (file, words) = self.named.split(&self.words)?;
        at_most(&words, 2)?;
        let text = |word: Option<&OsString>| word.map(|word| word.to_string_lossy().into_owned());
        let types = text(words.first()).unwrap_or_default();
        let selection = Selection {
            types: types.split(',').filter(|typed| !typed.is_empty()).map(str::to_owned).collect(),
            name: text(words.get(1)),
            namespace: self.namespace.clone(),
            key_prefix: self.prefix.as_ref().map(|prefix| prefix.as_bytes().to_vec()),
        };
        let keyring = self.decryption.keyring(context)?;
        let redaction = self.redact.redaction_beside(
            &words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        )?;
        let prefixes = self.kubernetes.prefixes();
        let reader = Reader {
            keys: keyring.as_ref(),
            options: Options::default(),
            redaction: redaction.as_ref(),
            prefixes,
            ..Reader::default()
        };
        let source = self.opening.source(context, &file)?;
        let settings = self.threads.settings(context);
        let mut directory = self.out_dir.as_deref().map(Directory::new).transpose()?;
        let total = source.bytes().len() as u64;
        let carved =
            progress::watch(context, "searching", total, progress::walked, || carve(&source, &settings));
        let carved = match carved {
            Ok(carved) => carved,
            Err(error) => {
                if let Some(directory) = directory {
                    directory.abandon();
                }
                return Err(error.into());
            }
        };
        let mut summary = Summary::default();
        let asked = Asked {
            carve: self,
            carved: &carved,
            selection: &selection,
            reader: &reader,
            verbose: context.global.verbose,
        };
        let result = asked.write(context, settings.threads, directory.as_mut(), &mut summary);
        self.out_dir.iter().for_each(|directory| context.wrote(directory));
        result?;
        source.finish()?;
        context.out.flush()?;
        let narrowed =
            !selection.types.is_empty() || selection.namespace.is_some() || selection.key_prefix.is_some();
        for line in summary.lines(&carved, self.out_dir.as_deref(), narrowed, context.global.verbose) {
            context.say(line);
        }
        // Zeros between which etcd never wrote anything, noise, a file of something else.
        if carved.tree.is_none() && carved.found.is_empty() {
            return Err(Failure::no(format!("{}: there is nothing of etcd in it", shown(&file)))
                .hint("this is no etcd snapshot, or all of it was overwritten"));
        }
        carved.unknown_type(&selection.types, &reader.prefixes, &settings).map_or(
            Ok(Outcome::Yes),
            |unknown| {
                let failure = Failure::no(format!(
                    "there is no resource type {:?}, neither built in nor in what was found",
                    unknown.typed
                ));
                Err(match unknown.nearest.as_slice() {
                    [] => failure.hint("`etcdsnap carve FILE` shows what there is"),
                    nearest => failure.hint(format!("did you mean {}?", nearest.join(", "))),
                })
            },
        )
    }
}

/// What was asked for, and what to answer from.
struct Asked<'c, 'a> {
    carve: &'c Carve,
    carved: &'c Carved<'a>,
    selection: &'c Selection,
    reader: &'c Reader<'c>,
    verbose: bool,
}

/// Where batches go.
enum Sink<'s> {
    Directory(&'s mut Directory),
    Table(Columns<'s>),
    Text { out: &'s mut (dyn io::Write + Send), form: Format, begun: bool },
}

impl Sink<'_> {
    fn put(&mut self, batch: Batch) -> Result<(), Failure> {
        batch.result?;
        match self {
            Self::Directory(directory) => {
                batch.files.into_iter().try_for_each(|file| directory.put(file))?;
            }
            Self::Table(_) if batch.rows.is_empty() => {}
            Self::Table(table) => table.add(&batch.rows)?,
            Self::Text { out, form, begun } => {
                // Each document has its separator in front.
                let is_first = !*begun && *form == Format::Yaml;
                let skip = if is_first { shown::SEPARATOR.len() } else { 0 };
                *begun |= !batch.text.is_empty();
                out.write_all(batch.text.get(skip..).unwrap_or_default())?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Directory(directory) => directory.finish(),
            Self::Table(mut table) => Ok(table.finish()?),
            Self::Text { .. } => Ok(()),
        }
    }
}

impl Asked<'_, '_> {
    fn write(
        &self,
        context: &mut Context<'_>,
        threads: NonZeroUsize,
        directory: Option<&mut Directory>,
        summary: &mut Summary,
    ) -> Result<(), Failure> {
        let out = &mut *context.out;
        let mut sink = match (directory, self.carve.output) {
            (Some(directory), _) => Sink::Directory(directory),
            (None, Format::Table) => Sink::Table(Columns::new(out, &TITLES)),
            (None, form) => Sink::Text { out, form, begun: false },
        };
        let mut result = Ok(());
        self.carved.in_runs(
            threads,
            |run| self.batch(run),
            |mut batch| {
                summary.merge(std::mem::take(&mut batch.summary));
                if result.is_ok() {
                    result = sink.put(batch);
                }
            },
        );
        result?;
        sink.finish()
    }

    fn batch(&self, run: &[Found]) -> Batch {
        let mut batch = Batch {
            text: Vec::new(),
            rows: Rows::default(),
            summary: Summary::default(),
            files: Vec::new(),
            result: Ok(()),
        };
        for found in run {
            let Some(remnant) = found.read(self.carved.file()) else { continue };
            let label = Label::of(&remnant, &self.reader.prefixes);
            if !self.selection.selects(&remnant, &label) {
                continue;
            }
            batch.summary.count(found, &remnant, &label);
            let item = Item::new(self, found, remnant, label);
            if self.carve.out_dir.is_some() {
                match item.file(&mut batch.summary) {
                    Ok(file) => batch.files.push(file),
                    Err(error) => batch.result = Err(error),
                }
                continue;
            }
            match self.carve.output {
                Format::Table => {
                    // How far etcd was at each of its commits: many, and of no use to most.
                    if item.label.kind == Kind::Entry(EntryKind::Meta) && !self.verbose {
                        batch.summary.left_out();
                    } else {
                        item.row(&mut batch.rows);
                    }
                }
                Format::Yaml => item.yaml(&mut batch.text, &mut batch.summary),
                Format::Jsonl => {
                    if let Err(error) = item.json(&mut batch.text, &mut batch.summary) {
                        batch.result = Err(error);
                        return batch;
                    }
                }
            }
        }
        batch
    }
}
