use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use etcdsnap::ops::list::{Count, Listed, ObjectListing, Selection, TypeKey, list};
use etcdsnap::ops::{OpError, prepare};
use serde::Serialize;

use super::keys::skipped;
use super::{ListFormat, SCHEMA_VERSION, write_json};
use crate::cli::failure::Failure;
use crate::cli::input::{KubernetesKeys, Reading, Threads};
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::json;
use crate::cli::output::shell::quoted;
use crate::cli::output::text::{safe, safe_cow};
use crate::cli::{Context, Outcome, progress};

/// Kubernetes objects by resource and namespace
///
/// Without TYPE: how many there are of each, by namespace. With TYPE (as kubectl
/// has it: po, pods, deployments.apps, or several with commas), -n or -A: their
/// names. Both come in the order of the keys in etcd: by type as the store calls it
/// (nodes are minions there), then by namespace and name.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap list [OPTIONS] FILE [TYPE[,TYPE...]]")]
pub(crate) struct List {
    /// The snapshot, and the types of objects
    #[arg(value_name = "FILE [TYPE]")]
    words: Vec<OsString>,
    /// Only objects in this namespace
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// Names of the objects in all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// As they were at this revision
    #[arg(long, alias = "revision", value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    rev: Option<i64>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    output: ListFormat,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountsDocument {
    schema_version: u32,
    revision: i64,
    oldest_revision: i64,
    newest_revision: i64,
    resources: Vec<CountDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CountDocument {
    resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    count: u64,
    /// Whether these are objects of the API, and no keys of a server's own.
    api_objects: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectDocument {
    resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    mod_revision: i64,
    value_size: u64,
    key: String,
}

impl ObjectDocument {
    fn of(listed: &Listed<'_>) -> Self {
        let record = listed.record();
        Self {
            resource: listed.type_key().name(),
            namespace: listed.namespace().map(safe),
            name: safe(listed.name()),
            mod_revision: record.map_or(0, |record| record.revision.main),
            value_size: record.map_or(0, |record| record.kv.value.len() as u64),
            key: safe(listed.key),
        }
    }
}

/// A run of objects as rows, and how many they are.
fn rows(run: &mut dyn Iterator<Item = Listed<'_>>) -> (u64, Rows) {
    let mut count = 0;
    let mut rows = Rows::default();
    // Most objects have the type and the namespace of the one before.
    let mut last: Option<(TypeKey<'_>, String)> = None;
    for listed in run {
        count += 1;
        let key = listed.type_key();
        if last.as_ref().is_none_or(|(last, _)| *last != key) {
            last = Some((key, key.name()));
        }
        rows.cell(last.as_ref().map_or("", |(_, name)| name));
        rows.cell(listed.namespace().map_or(Cow::Borrowed("-"), safe_cow).as_ref());
        rows.cell(safe_cow(listed.name()).as_ref());
        let revision = listed.record().map_or(0, |record| record.revision.main);
        rows.cell(&revision.to_string());
    }
    (count, rows)
}

/// The types that were asked for, if any.
fn types(words: &[OsString]) -> Result<Vec<String>, Failure> {
    let one = |typed: &str, name: &str| {
        let name = if name.is_empty() { "NAME".to_owned() } else { quoted(name.as_bytes()) };
        let typed = quoted(typed.as_bytes());
        Failure::usage("objects are listed by type, not by name")
            .hint(format!("`etcdsnap get FILE {typed} {name}` shows one object"))
            .hint(format!("`etcdsnap list FILE {typed} -A` names all of that type"))
    };
    let Some((first, rest)) = words.split_first() else { return Ok(Vec::new()) };
    let first = first.to_string_lossy();
    if let Some(name) = rest.first() {
        return Err(one(&first, &name.to_string_lossy()));
    }
    let types: Vec<&str> = first.split(',').filter(|typed| !typed.is_empty()).collect();
    match types.iter().find_map(|typed| typed.split_once('/')) {
        Some((typed, name)) => Err(one(typed, name)),
        None => Ok(types.into_iter().map(str::to_owned).collect()),
    }
}

impl List {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.reading.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let (file, words) = self.reading.split(&self.words)?;
        let selection = Selection {
            types: types(&words)?,
            namespace: self.namespace.clone(),
            revision: self.rev,
            prefixes: self.kubernetes.prefixes(),
        };
        let snapshot = self.reading.snapshot(context, &file)?;
        let settings = self.reading.settings(self.threads.settings(context));
        prepare(&snapshot, settings.threads);
        let db = snapshot.db().map_err(OpError::from)?;
        let total = snapshot.source().bytes().len() as u64;
        let listing = progress::watch(context, "reading", total, progress::walked, || {
            list(&db, &selection, &settings)
        })?;
        let named = !selection.types.is_empty() || self.namespace.is_some() || self.all_namespaces;
        let found = match self.output {
            ListFormat::Table | ListFormat::Json if !named => {
                self.counts(context, &listing, settings.threads)?
            }
            _ => self.objects(context, &listing, settings.threads)?,
        };
        snapshot.source().finish()?;
        self.conclude(context, &listing, found, named)
    }

    fn counts(
        &self,
        context: &mut Context<'_>,
        listing: &ObjectListing<'_>,
        threads: NonZeroUsize,
    ) -> Result<u64, Failure> {
        let counts = listing.counts(threads);
        let total = counts.iter().map(|count| count.count).sum();
        if self.output == ListFormat::Json {
            let resources =
                counts.into_iter().map(|Count { type_key, namespace, count, .. }| CountDocument {
                    resource: type_key.name(),
                    namespace: namespace.map(safe),
                    count,
                    api_objects: !type_key.internal,
                });
            let document = CountsDocument {
                schema_version: SCHEMA_VERSION,
                revision: listing.revision,
                oldest_revision: listing.window.oldest(),
                newest_revision: listing.window.current,
                resources: resources.collect(),
            };
            write_json(context.out, &document)?;
            return Ok(total);
        }
        if total > 0 {
            let mut rows = Rows::default();
            for Count { type_key, namespace, count, .. } in counts {
                let name = type_key.name();
                rows.cell(&if type_key.internal { format!("({name})") } else { name });
                rows.cell(&namespace.map_or_else(|| "-".to_owned(), safe));
                rows.cell(&count.to_string());
            }
            Columns::new(context.out, &["RESOURCE", "NAMESPACE", "COUNT"]).print(&rows)?;
        }
        Ok(total)
    }

    fn objects(
        &self,
        context: &mut Context<'_>,
        listing: &ObjectListing<'_>,
        threads: NonZeroUsize,
    ) -> Result<u64, Failure> {
        let out = &mut *context.out;
        let mut found = 0u64;
        let mut result = Ok(());
        if self.output == ListFormat::Table {
            let mut table = Columns::new(out, &["RESOURCE", "NAMESPACE", "NAME", "REVISION"]);
            listing.objects(threads, rows, |(count, rows)| {
                found += count;
                if result.is_ok() && count > 0 {
                    result = table.print(&rows);
                }
            });
            result?;
            return Ok(found);
        }
        if self.output == ListFormat::Json {
            write!(
                out,
                "{{\n  \"schemaVersion\": {SCHEMA_VERSION},\n  \"revision\": {},\n  \"objects\": [",
                listing.revision
            )?;
        }
        let mut separator = "\n    ";
        let mut write = |lines: io::Result<Vec<u8>>| {
            let lines = lines?;
            if self.output != ListFormat::Json {
                return out.write_all(&lines);
            }
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                out.write_all(separator.as_bytes())?;
                out.write_all(line.trim_ascii_end())?;
                separator = ",\n    ";
            }
            Ok(())
        };
        listing.objects(
            threads,
            |run| self.lines(run),
            |(count, lines)| {
                found += count;
                if result.is_ok() {
                    result = write(lines);
                }
            },
        );
        result?;
        if self.output == ListFormat::Json {
            writeln!(context.out, "\n  ]\n}}")?;
        }
        Ok(found)
    }

    /// A run of objects as text, by whichever thread, and how many they are.
    fn lines(&self, run: &mut dyn Iterator<Item = Listed<'_>>) -> (u64, io::Result<Vec<u8>>) {
        let mut count = 0;
        let mut out = Vec::new();
        for listed in run {
            count += 1;
            match self.output {
                ListFormat::Raw0 => {
                    out.extend_from_slice(listed.key);
                    out.push(0);
                }
                ListFormat::Name => {
                    let line = format!("{}/{}\n", listed.type_key().name(), safe(listed.name()));
                    out.extend_from_slice(line.as_bytes());
                }
                ListFormat::Json | ListFormat::Jsonl | ListFormat::Table => {
                    if let Err(error) = json::write_line(&mut out, &ObjectDocument::of(&listed)) {
                        return (count, Err(error));
                    }
                }
            }
        }
        (count, Ok(out))
    }

    fn conclude(
        &self,
        context: &mut Context<'_>,
        listing: &ObjectListing<'_>,
        found: u64,
        named: bool,
    ) -> Result<Outcome, Failure> {
        context.out.flush()?;
        let outcome = skipped(context, &listing.damage)?;
        if let Some(unknown) = listing.unknown.first() {
            let failure = Failure::no(format!(
                "there is no resource type {:?}, neither built in nor in this snapshot",
                unknown.typed
            ));
            return Err(match unknown.nearest.as_slice() {
                [] => failure.hint("`etcdsnap list FILE` shows the types there are"),
                nearest => failure.hint(format!("did you mean {}?", nearest.join(", "))),
            });
        }
        if found == 0 {
            if named {
                context.say("No resources found");
            } else {
                return Err(Failure::no("this is no store of Kubernetes, or its keys have another prefix")
                    .hint("`etcdsnap keys FILE` shows them; --etcd-prefix names the prefix"));
            }
        } else if !named && self.output == ListFormat::Table {
            context.say("\n`etcdsnap list FILE TYPE` names the objects of a type, `-A` all of them");
        }
        Ok(outcome)
    }
}
