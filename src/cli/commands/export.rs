use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use etcdsnap::kube::json;
use etcdsnap::kube::manifest::clean::{FieldGroup, Keep};
use etcdsnap::kube::manifest::left_out::{Include, Switch};
use etcdsnap::kube::manifest::namespaces::NamespaceMap;
use etcdsnap::kube::manifest::scope::{Pattern, Scope};
use etcdsnap::kube::select::labels::LabelSelector;
use etcdsnap::kube::select::types::{ResourceType, Types};
use etcdsnap::kube::value::Value;
use etcdsnap::kube::yaml;
use etcdsnap::ops::export::{
    Counts, ExportError, Manifest, ObjectReader, Read, Report, Request, Tree, TreeError, export,
};
use etcdsnap::ops::list::{Listed, Selection};
use etcdsnap::ops::objects::StoredObject;
use etcdsnap::ops::reader::{Buffer, Outcome as Became, Reader};
use etcdsnap::ops::{OpError, prepare};

use super::get::{store, unknown};
use super::keys::skipped;
use crate::cli::decryption::Decryption;
use crate::cli::failure::Failure;
use crate::cli::input::{KubernetesKeys, Reading, Threads};
use crate::cli::output::text::{count, safe};
use crate::cli::redaction::Redact;
use crate::cli::{Context, Outcome, progress};

/// Objects as manifests that can be applied to another cluster
///
/// Without what only the old cluster could know (uids, addresses, status), and
/// without what every cluster makes for itself; stderr says what was left out and
/// why. All in an order that applies cleanly.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap export [OPTIONS] FILE [TYPE[,TYPE...]]...")]
pub(crate) struct Export {
    /// The snapshot, and the types of objects
    #[arg(value_name = "FILE [TYPE]")]
    words: Vec<OsString>,
    /// A file for each object below this directory, which is made or is empty
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ManifestFormat::Yaml)]
    output: ManifestFormat,
    /// Only this namespace
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Only these namespaces; * stands for any text
    #[arg(long, value_name = "NAMESPACE,...", value_delimiter = ',')]
    include_namespaces: Vec<String>,
    /// Not these namespaces
    #[arg(long, value_name = "NAMESPACE,...", value_delimiter = ',')]
    exclude_namespaces: Vec<String>,
    /// Only these types: as to kubectl, or patterns such as *.example.com
    #[arg(long, value_name = "TYPE,...", value_delimiter = ',')]
    include_resources: Vec<String>,
    /// Not these types
    #[arg(long, value_name = "TYPE,...", value_delimiter = ',')]
    exclude_resources: Vec<String>,
    /// Only objects with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Also what every cluster makes for itself: events, leases, nodes, system roles
    #[arg(long)]
    include_system: bool,
    /// Also children of controllers: pods of a replica set
    #[arg(long)]
    include_owned: bool,
    /// Also pods and jobs that ended, which would run again
    #[arg(long)]
    include_finished: bool,
    /// Also what was being deleted
    #[arg(long)]
    include_deleted: bool,
    /// Fields to keep: status, cluster-ips, node-ports, owner-references,
    /// volume-names, ...
    #[arg(long, value_name = "GROUP,...", value_delimiter = ',')]
    keep: Vec<String>,
    /// Other names for namespaces, wherever an object names one
    #[arg(long, value_name = "OLD=NEW,...", value_delimiter = ',')]
    namespace_map: Vec<String>,
    /// As it was at this revision
    #[arg(long, alias = "revision", value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    rev: Option<i64>,
    #[command(flatten)]
    redact: Redact,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    decryption: Decryption,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ManifestFormat {
    /// Documents with --- between them
    Yaml,
    /// A List
    Json,
    /// An object a line
    Jsonl,
}

/// Reads stored values by way of the reader that `get` has.
struct Values<'r>(Reader<'r>);

impl ObjectReader for Values<'_> {
    fn read<T>(&self, listed: &Listed<'_>, _: &[u8], then: impl FnOnce(Result<Read<'_>, String>) -> T) -> T {
        let Some(record) = listed.record() else { return then(Err("changed while it was read".to_owned())) };
        let stored = StoredObject { namespace: listed.namespace(), name: listed.name(), record };
        self.0.read(&stored, &mut Buffer::default(), |became| match became {
            Became::Object(object) => {
                let lost = (!object.notes.is_empty()).then(|| object.notes.to_string());
                then(Ok(Read { object: object.value, lost }))
            }
            Became::Unreadable(why) => then(Err(why.reason())),
            Became::NotSelected => then(Err("not selected".to_owned())),
        })
    }
}

/// Where manifests go.
enum Sink<'o> {
    Stream {
        out: &'o mut (dyn Write + Send),
        form: ManifestFormat,
        some: bool,
    },
    /// Made with the first file, so that nothing is left where nothing is written.
    Files {
        directory: PathBuf,
        ending: &'static str,
        tree: Option<Tree>,
    },
}

#[derive(Debug, thiserror::Error)]
enum SinkError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Tree(#[from] TreeError),
}

impl Sink<'_> {
    fn put(&mut self, manifest: &Manifest) -> Result<(), SinkError> {
        match self {
            Self::Files { directory, ending, tree } => {
                let tree = match tree {
                    Some(tree) => tree,
                    None => tree.insert(Tree::new(directory, ending)?),
                };
                tree.put(manifest)?;
            }
            Self::Stream { out, form, some } => {
                let before: &[u8] = match (*form, *some) {
                    (ManifestFormat::Yaml, true) => b"---\n",
                    (ManifestFormat::Json, false) => {
                        b"{\n    \"apiVersion\": \"v1\",\n    \"kind\": \"List\",\n    \"items\": [\n        "
                    }
                    (ManifestFormat::Json, true) => b",\n        ",
                    _ => b"",
                };
                *some = true;
                out.write_all(before)?;
                out.write_all(&manifest.text)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Stream { out, form: ManifestFormat::Json, some: true } => out.write_all(b"\n    ]\n}\n"),
            Self::Stream { out, form: ManifestFormat::Json, some: false } => out.write_all(
                b"{\n    \"apiVersion\": \"v1\",\n    \"kind\": \"List\",\n    \"items\": []\n}\n",
            ),
            _ => Ok(()),
        }
    }
}

impl Export {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let (file, words) = self.reading.split(&self.words)?;
        let types: Vec<String> = words
            .iter()
            .flat_map(|word| word.to_string_lossy().split(',').map(str::to_owned).collect::<Vec<_>>())
            .filter(|typed| !typed.is_empty())
            .collect();
        let labels = self.selector.as_deref().map(LabelSelector::parse).transpose();
        let labels = labels.map_err(|error| Failure::usage(format!("--selector: {error}")))?;
        let namespaces = NamespaceMap::parse(&self.namespace_map)
            .map_err(|error| Failure::usage(format!("--namespace-map: {error}")))?;
        let keyring = self.decryption.keyring(context)?;
        let filter = |object: &Value<'_>| labels.as_ref().is_none_or(|labels| labels.matches(object));
        let prefixes = self.kubernetes.prefixes();
        let snapshot = self.reading.snapshot(&file)?;
        let settings = self.reading.settings(self.threads.settings(context));
        let db = snapshot.db().map_err(OpError::from)?;
        prepare(&snapshot, settings.threads);
        let values =
            Values(Reader { keys: keyring.as_ref(), prefixes: prefixes.clone(), ..Reader::default() });
        // Names are known before anything is written.
        let names = || types.iter().chain(&self.include_resources).chain(&self.exclude_resources);
        let needed = names().any(|name| !name.contains('*'));
        let known = match needed {
            true => {
                let (types, unread) = store::types(&db, None, true, &values.0, self.rev, &settings)?;
                unread.tell_of_definitions(context);
                types
            }
            false => Types::default(),
        };
        let types = plurals(&known, &types)?;
        let include_resources = plurals(&known, &self.include_resources)?;
        let exclude_resources = plurals(&known, &self.exclude_resources)?;
        let request = Request {
            selection: Selection { types, namespace: None, revision: self.rev, prefixes: prefixes.clone() },
            scope: self.scope(&include_resources, &exclude_resources),
            filter: labels.is_some().then_some(&filter),
            include: Include {
                system: self.include_system,
                owned: self.include_owned,
                finished: self.include_finished,
                deleted: self.include_deleted,
            },
            keep: self.keep()?,
            redaction: self.redact.redaction()?,
            namespaces,
        };
        let total = snapshot.source().bytes().len() as u64;
        let in_files = self.out_dir.is_some();
        let (quiet, done) = (context.global.quiet, context.progress);
        let print = |object: &Value<'_>| self.print(object, in_files);
        let mut sink = match &self.out_dir {
            Some(directory) => {
                let ending = if self.output == ManifestFormat::Yaml { "yaml" } else { "json" };
                // Told before the file is read.
                if std::fs::read_dir(directory).is_ok_and(|mut inside| inside.next().is_some()) {
                    return Err(directory_failure(&TreeError::NotEmpty(directory.clone())));
                }
                Sink::Files { directory: directory.clone(), ending, tree: None }
            }
            None => Sink::Stream { out: &mut *context.out, form: self.output, some: false },
        };
        if request.redaction.is_some()
            && let Sink::Stream { out, form: ManifestFormat::Yaml, .. } = &mut sink
        {
            out.write_all(b"# Redacted: the values of Secrets are not in it. Not to be applied.\n")?;
        }
        let report = progress::watch_progress(quiet, done, "reading", total, progress::walked, || {
            export(&db, &request, &values, &settings, print, |manifest| sink.put(&manifest))
        });
        let report = report.map_err(|error| match error {
            ExportError::Op(error) => Failure::from(error),
            ExportError::Sink(SinkError::Io(error)) => Failure::from(error),
            ExportError::Sink(SinkError::Tree(error)) => directory_failure(&error),
        })?;
        sink.finish()?;
        snapshot.source().finish()?;
        self.conclude(context, &report, request.redaction.is_some())
    }

    fn scope(&self, include_resources: &[String], exclude_resources: &[String]) -> Scope {
        let patterns = |texts: &[String]| -> Vec<Pattern> { texts.iter().map(Pattern::new).collect() };
        let mut include_namespaces = patterns(&self.include_namespaces);
        include_namespaces.extend(self.namespace.as_ref().map(Pattern::new));
        Scope {
            include_namespaces,
            exclude_namespaces: patterns(&self.exclude_namespaces),
            include_resources: patterns(include_resources),
            exclude_resources: patterns(exclude_resources),
        }
    }

    fn keep(&self) -> Result<Keep, Failure> {
        let group = |typed: &String| {
            typed.parse::<FieldGroup>().map_err(|error| {
                let failure = Failure::usage(format!("--keep: {error}"));
                match error.nearest.as_slice() {
                    [] => failure.hint(format!(
                        "the groups are {}",
                        FieldGroup::ALL.iter().map(|group| group.name()).collect::<Vec<_>>().join(", ")
                    )),
                    nearest => failure.hint(format!("did you mean {}?", nearest.join(", "))),
                }
            })
        };
        self.keep.iter().map(group).collect()
    }

    fn print(&self, object: &Value<'_>, in_files: bool) -> Vec<u8> {
        let mut text = Vec::new();
        match (self.output, in_files) {
            (ManifestFormat::Yaml, _) => yaml::write_exactly(object, &mut text),
            (ManifestFormat::Json, false) => json::write_at(object, 2, &mut text),
            (ManifestFormat::Json, true) => json::write(object, &mut text),
            (ManifestFormat::Jsonl, _) => {
                json::write_compact(object, &mut text);
                text.push(b'\n');
            }
        }
        text
    }

    /// Says what was written, what was not, and what to do with it.
    fn conclude(
        &self,
        context: &mut Context<'_>,
        report: &Report,
        redacted: bool,
    ) -> Result<Outcome, Failure> {
        context.out.flush()?;
        let mut outcome = skipped(context, &report.damage)?;
        if let Some(unknown) = report.unknown.first() {
            let failure = Failure::no(format!(
                "there is no resource type {:?}, neither built in nor in this snapshot",
                unknown.typed
            ));
            return Err(match unknown.nearest.as_slice() {
                [] => failure.hint("`etcdsnap api-resources FILE` shows the types there are"),
                nearest => failure.hint(format!("did you mean {}?", nearest.join(", "))),
            });
        }
        let written: u64 = report.written.values().sum();
        context.say(format_args!("{} written", count(written, "object", "objects")));
        if report.needed > 0 {
            context.say(format_args!("  {} of them because others need them", report.needed));
        }
        let mut switches = Vec::new();
        for (reason, types) in &report.left_out {
            context.say(format_args!("left out: {}: {}", reason.words(), told(types)));
            let switch = match reason.switch() {
                Switch::System => "--include-system",
                Switch::Owned => "--include-owned",
                Switch::Finished => "--include-finished",
                Switch::Deleted => "--include-deleted",
            };
            if !switches.contains(&switch) {
                switches.push(switch);
            }
        }
        if !switches.is_empty() {
            context.say(format_args!("  hint: {} would write them too", switches.join(", ")));
        }
        outcome = outcome.max(self.warn(context, &report.unreadable, "cannot be read"));
        outcome = outcome.max(self.warn(context, &report.partial, "written without a part"));
        for ((release, version), types) in &report.outdated {
            context.say(format_args!(
                "warning: {version} is not taken by Kubernetes 1.{release} and later: {}; `kubectl convert` makes another version of them",
                told(types)
            ));
        }
        for left in &report.namespaces_left {
            let object = format!("{} {}/{}", left.resource, left.path.namespace, left.path.name);
            context.say(format_args!(
                "warning: {} may still mean the old namespace in {}",
                safe(object.as_bytes()),
                safe(left.places.join(", ").as_bytes())
            ));
        }
        let more = report.namespaces_left_in.saturating_sub(report.namespaces_left.len() as u64);
        if more > 0 {
            context.say(format_args!("warning: {more} more objects may still mean an old namespace"));
        }
        if report.volumes_to_delete > 0 {
            context.say(format_args!(
                "warning: {} with the reclaim policy Delete: if the old cluster still runs, deleting a claim in either deletes the disk of both",
                count(report.volumes_to_delete, "volume", "volumes")
            ));
        }
        if redacted {
            context.say("values of secrets, and of the types named with --redact=TYPE, are hidden; every API server will refuse this output");
        } else if written > 0 {
            match &self.out_dir {
                Some(directory) => context.say(format_args!(
                    "next: kubectl apply -R -f {}",
                    safe(directory.as_os_str().as_encoded_bytes())
                )),
                None => context.say("next: kubectl apply -f -"),
            }
            if report.custom > 0 {
                context
                    .say("  apply it twice: custom resources are refused until their definitions are there");
            }
        }
        Ok(outcome)
    }

    fn warn(&self, context: &Context<'_>, counts: &Counts<String>, what: &str) -> Outcome {
        for (why, types) in counts {
            context.say(format_args!("warning: {what}: {}: {}", safe(why.as_bytes()), told(types)));
        }
        if counts.is_empty() { Outcome::Yes } else { Outcome::No }
    }
}

/// The full names of the types that are meant; patterns stay as they are.
fn plurals(known: &Types, typed: &[String]) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for typed in typed {
        if typed.contains('*') {
            names.push(typed.clone());
            continue;
        }
        let found = match known.category(typed) {
            none if none.is_empty() => vec![known.find(typed).map_err(|fault| unknown(&fault))?],
            category => category,
        };
        names.extend(found.iter().map(ResourceType::full_name));
    }
    Ok(names)
}

/// `3 pods, 1 services`, the most first.
fn told(types: &std::collections::BTreeMap<String, u64>) -> String {
    let mut types: Vec<_> = types.iter().collect();
    types.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let each: Vec<String> =
        types.iter().map(|(name, count)| format!("{count} {}", safe(name.as_bytes()))).collect();
    each.join(", ")
}

fn directory_failure(error: &TreeError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        TreeError::NotEmpty(_) => {
            failure.hint("name a directory that is empty or not there: nothing is ever overwritten")
        }
        _ => failure.hint("check the permissions and the space of that file system"),
    }
}
