//! `export`: objects as manifests for another cluster.

mod stream;
mod summary;

use std::ffi::OsString;
use std::path::PathBuf;

use etcdsnap::bolt::Db;
use etcdsnap::kube::manifest::clean::FieldGroup;
use etcdsnap::kube::manifest::left_out::Include;
use etcdsnap::kube::manifest::namespaces::NamespaceMap;
use etcdsnap::kube::manifest::scope::{Pattern, Scope};
use etcdsnap::kube::select::arguments::Request as TypeRequest;
use etcdsnap::kube::select::labels::LabelSelector;
use etcdsnap::ops::export::{ExportError, Manifest, Merged, Report, Request, Tree, TreeError, export};
use etcdsnap::ops::list::Selection;
use etcdsnap::ops::reader::Reader;
use etcdsnap::ops::{OpError, Settings, prepare};

use super::get::{store, unknown};
use super::keys::skipped;
use crate::cli::decryption::Decryption;
use crate::cli::failure::Failure;
use crate::cli::input::{KubernetesKeys, Reading, Threads};
use crate::cli::redaction::Redact;
use crate::cli::{Context, Outcome, progress, redaction};
use stream::{Form, Stream};

/// Kubernetes objects as manifests for another cluster
///
/// Writes what `kubectl apply -f` takes, in an order that works: namespaces and CRDs
/// first. What every cluster makes for itself, children of controllers, what is
/// being deleted and what would run again are left out and counted on stderr; fields
/// that belong to the old cluster are taken away. With TYPE (as kubectl has it, or
/// several with commas) only objects of these types. Options that choose narrow each
/// other: an object is written if it passes all of them.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap export [OPTIONS] FILE [TYPE...]")]
pub(crate) struct Export {
    /// The snapshot, and the types of objects
    #[arg(value_name = "FILE [TYPE]")]
    words: Vec<OsString>,
    /// One file for each object, NAMESPACE/KIND.GROUP/NAME.yaml, in this directory,
    /// which must be empty or not there
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Yaml)]
    output: Form,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    also: Also,
    /// Fields not to be taken away: groups of them, with commas between
    #[arg(long, value_name = "GROUP", value_delimiter = ',', help_heading = CONTENT,
        value_parser = clap::builder::PossibleValuesParser::new(FieldGroup::ALL.iter().map(|group| group.name())))]
    keep: Vec<String>,
    /// Another name for a namespace, wherever it is named; not that of another one
    /// that is written, too
    #[arg(long, value_name = "OLD=NEW", value_delimiter = ',', help_heading = CONTENT)]
    namespace_map: Vec<String>,
    #[command(flatten)]
    redact: Redact,
    #[command(flatten)]
    decryption: Decryption,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
    #[command(flatten)]
    threads: Threads,
}

const WHICH: &str = "Which objects";
const CONTENT: &str = "What is in them";

/// Which objects.
#[derive(Debug, clap::Args)]
struct Which {
    /// Only this namespace, itself, and what it needs
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "include_namespaces", help_heading = WHICH)]
    namespace: Option<String>,
    /// Only these namespaces, themselves, and what they need; * stands for any text
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', help_heading = WHICH)]
    include_namespaces: Vec<String>,
    /// Not these
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', help_heading = WHICH)]
    exclude_namespaces: Vec<String>,
    /// Only these types: as kubectl has them, or patterns of PLURAL.GROUP
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', help_heading = WHICH)]
    include_resources: Vec<String>,
    /// Not these
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', help_heading = WHICH)]
    exclude_resources: Vec<String>,
    /// Only objects with these labels, and what they need
    #[arg(short = 'l', long, value_name = "SELECTOR", help_heading = WHICH)]
    selector: Option<String>,
    /// As they were at this revision
    #[arg(long, alias = "revision", value_name = "N", value_parser = clap::value_parser!(i64).range(1..), help_heading = WHICH)]
    rev: Option<i64>,
}

/// What is left out otherwise.
#[derive(Debug, clap::Args)]
struct Also {
    /// Also what every cluster makes for itself: events, nodes, system: roles, ...
    #[arg(long, help_heading = WHICH)]
    include_system: bool,
    /// Also children of controllers: pods of a replica set, ...
    #[arg(long, help_heading = WHICH)]
    include_owned: bool,
    /// Also pods and jobs that ended, which would run again
    #[arg(long, help_heading = WHICH)]
    include_finished: bool,
    /// Also what is being deleted
    #[arg(long, help_heading = WHICH)]
    include_deleted: bool,
}

impl Which {
    fn scope(&self) -> Scope {
        let patterns = |texts: &[String]| texts.iter().map(Pattern::new).collect::<Vec<_>>();
        let mut include_namespaces = patterns(&self.include_namespaces);
        include_namespaces.extend(self.namespace.as_ref().map(Pattern::new));
        Scope {
            include_namespaces,
            exclude_namespaces: patterns(&self.exclude_namespaces),
            include_resources: patterns(&self.include_resources),
            exclude_resources: patterns(&self.exclude_resources),
        }
    }
}

impl Export {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.reading.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let ending = self.output.ending();
        if self.out_dir.is_some() && self.output == Form::Jsonl {
            return Err(Failure::usage("-o jsonl is one stream, and --out-dir a file for each object")
                .hint("leave out one of them, or take -o json"));
        }
        let (file, words) = self.reading.split(&self.words)?;
        let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        // Any word can be a type that is asked for.
        let (words, behind_redact) = self.redact.split(words, |_| true);
        if let Some(word) = words.iter().find(|word| word.contains('/')) {
            return Err(Failure::usage(format!("{word:?} names an object, and types are wanted")).hint(
                "-l chooses objects by their labels; `etcdsnap get FILE TYPE/NAME -o yaml` shows one",
            ));
        }
        let labels = self.which.selector.as_deref().map(LabelSelector::parse).transpose();
        let labels = labels.map_err(|error| {
            Failure::usage(format!("--selector: {error}")).hint("app=web, app!=web, app in (a,b), app, !app")
        })?;
        let namespaces = NamespaceMap::parse(&self.namespace_map).map_err(|error| {
            Failure::usage(format!("--namespace-map: {error}")).hint("OLD=NEW, each name once")
        })?;
        let keyring = self.decryption.keyring(context)?;
        let prefixes = self.kubernetes.prefixes();
        let mut request = Request {
            selection: Selection {
                revision: self.which.rev,
                prefixes: prefixes.clone(),
                ..Selection::default()
            },
            scope: self.which.scope(),
            reader: Reader { keys: keyring.as_ref(), labels, prefixes, ..Reader::default() },
            include: Include {
                system: self.also.include_system,
                owned: self.also.include_owned,
                finished: self.also.include_finished,
                deleted: self.also.include_deleted,
            },
            keep: self.keep.iter().filter_map(|name| name.parse::<FieldGroup>().ok()).collect(),
            redaction: None,
            namespaces,
        };

        let snapshot = self.reading.snapshot(context, &file)?;
        let settings = self.reading.settings(self.threads.settings(context));
        prepare(&snapshot, settings.threads);
        let db = snapshot.db().map_err(OpError::from)?;
        let named = self.redact.request(&behind_redact);
        let revision = request.selection.revision;
        let (known, _) = store::types(&db, Some(&[&named]), false, &request.reader, revision, &settings)?;
        request.redaction = self.redact.redaction(&behind_redact, &known)?;
        request.selection.types = types(&words, &db, &request, &settings)?;
        // A mistyped name would let through what was to be left out.
        let exact = |typed: &[String]| -> Result<Vec<Pattern>, Failure> {
            let (broad, exact): (Vec<String>, Vec<String>) =
                typed.iter().cloned().partition(|typed| typed.contains('*'));
            let names = types(&exact, &db, &request, &settings)?;
            Ok(broad.into_iter().chain(names).map(Pattern::new).collect())
        };
        let included = exact(&self.which.include_resources)?;
        let excluded = exact(&self.which.exclude_resources)?;
        request.scope.include_resources = included;
        request.scope.exclude_resources = excluded;
        let total = snapshot.source().bytes().len() as u64;
        let report = match &self.out_dir {
            Some(directory) => {
                let mut tree = Tree::new(directory, ending)?;
                let report = progress::watch(context, "exporting", total, progress::walked, || {
                    export(
                        &db,
                        &request,
                        &settings,
                        |object| self.output.text(object),
                        |manifest| tree.put(&manifest),
                    )
                });
                if report.is_err() {
                    tree.remove_if_empty();
                }
                let report = report.map_err(Failure::from)?;
                context.wrote(directory);
                report
            }
            None => {
                let (quiet, done) = (context.global.quiet, context.progress);
                let redacted = request.redaction.is_some();
                let mut stream = Stream::new(&mut *context.out, self.output, redacted);
                let put = |manifest: Manifest| stream.put(&manifest.text);
                let report =
                    progress::watch_progress(quiet, done, "exporting", total, progress::walked, || {
                        export(&db, &request, &settings, |object| self.output.item(object), put)
                    });
                let report = report.map_err(Failure::from)?;
                stream.finish()?;
                report
            }
        };
        snapshot.source().finish()?;
        self.conclude(context, &report, request.redaction.is_some())
    }

    fn conclude(
        &self,
        context: &mut Context<'_>,
        report: &Report,
        redacted: bool,
    ) -> Result<Outcome, Failure> {
        context.out.flush()?;
        let outcome = skipped(context, &report.damage)?;
        redaction::tell(context, &report.redacted);
        for line in summary::lines(report, self.out_dir.as_deref(), redacted, context.global.verbose) {
            context.say(line);
        }
        let complete = report.unreadable.is_empty() && report.partial.is_empty();
        Ok(if complete { outcome } else { Outcome::No })
    }
}

/// The full names of the types that were typed.
fn types(
    words: &[impl AsRef<str>],
    db: &Db<'_>,
    request: &Request<'_>,
    settings: &Settings<'_>,
) -> Result<Vec<String>, Failure> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let joined = words.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(",");
    let typed = TypeRequest::parse(&[joined]).map_err(|error| {
        Failure::usage(error.to_string()).hint("`etcdsnap export FILE deployments,services`")
    })?;
    let revision = request.selection.revision;
    let (known, _) = store::types(db, Some(&[&typed]), false, &request.reader, revision, settings)?;
    let wanted = known.resolve(&typed).map_err(|fault| unknown(&fault))?;
    Ok(wanted.iter().map(|wanted| wanted.resource.full_name()).collect())
}

impl<E: Into<Self>> From<ExportError<E>> for Failure {
    fn from(error: ExportError<E>) -> Self {
        match error {
            ExportError::Op(error) => error.into(),
            ExportError::Merged(merged) => Self::merged(&merged),
            ExportError::Sink(error) => error.into(),
        }
    }
}

impl Failure {
    fn merged(merged: &Merged) -> Self {
        let Merged { old, new, in_both, first } = merged;
        let failure = Self::new(format!(
            "--namespace-map {old}={new}: {new:?} is a namespace of the snapshot that is written, too, and both would become one"
        ));
        let failure = match in_both {
            0 => failure,
            _ => failure.hint(format!(
                "in both there {}: {}{}",
                if *in_both == 1 { "is".to_owned() } else { format!("are {in_both}") },
                first.join(", "),
                if *in_both > first.len() { ", ..." } else { "" }
            )),
        };
        failure
            .hint(format!("export one alone: -n {old}, or --exclude-namespaces {new}; or take another name"))
    }
}

impl From<TreeError> for Failure {
    fn from(error: TreeError) -> Self {
        let failure = Self::new(error.to_string()).regardless();
        match error {
            TreeError::NotEmpty(_) => {
                failure.hint("name a directory that is empty or not there: nothing is ever overwritten")
            }
            _ => failure
                .hint("what was written so far is not complete: remove it, look at the disk, and try again"),
        }
    }
}
