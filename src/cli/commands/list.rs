use std::ffi::OsString;

use etcdsnap::ops::OpError;
use etcdsnap::ops::list::{Listed, ObjectListing, Selection, list};
use serde::Serialize;

use super::keys::skipped;
use super::{ListFormat, SCHEMA_VERSION, write_json};
use crate::cli::failure::Failure;
use crate::cli::input::{self, FileOption};
use crate::cli::output::columns::Columns;
use crate::cli::output::text::safe;
use crate::cli::{Context, Outcome};

/// Kubernetes objects by resource and namespace
///
/// Without TYPE: how many there are of each, by namespace. With TYPE (as kubectl
/// has it: po, pods, deployments.apps, or several with commas), -n or -A: their
/// names.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap list [OPTIONS] FILE [TYPE[,TYPE...]]")]
pub(crate) struct List {
    /// The snapshot, and the types of objects
    #[arg(value_name = "FILE [TYPE]")]
    words: Vec<OsString>,
    #[command(flatten)]
    file: FileOption,
    /// Only objects in this namespace
    #[arg(short, long, value_name = "NAMESPACE", conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// Names of the objects in all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// As they were at this revision
    #[arg(long, alias = "revision", value_name = "N")]
    rev: Option<i64>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    output: ListFormat,
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
        Self {
            resource: listed.label().name,
            namespace: listed.namespace().map(safe),
            name: safe(listed.name()),
            mod_revision: listed.mod_revision,
            value_size: listed.value_size,
            key: safe(listed.key),
        }
    }
}

impl List {
    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let (file, words) = self.file.split(&self.words)?;
        let types = words
            .iter()
            .flat_map(|word| word.to_string_lossy().split(',').map(str::to_owned).collect::<Vec<_>>());
        let selection = Selection {
            types: types.filter(|typed| !typed.is_empty()).collect(),
            namespace: self.namespace.clone(),
            revision: self.rev,
            prefixes: context.prefixes(),
        };
        let snapshot = input::snapshot(&file, context.global)?;
        etcdsnap::ops::prepare(&snapshot);
        let db = snapshot.db().map_err(OpError::from)?;
        let listing = list(&db, &selection, &context.settings())?;
        let named = !selection.types.is_empty() || self.namespace.is_some() || self.all_namespaces;
        let found = match self.output {
            ListFormat::Table | ListFormat::Json if !named => self.counts(context, &listing)?,
            _ => self.objects(context, &listing)?,
        };
        snapshot.source().finish()?;
        self.conclude(context, &listing, found, named)
    }

    fn counts(&self, context: &mut Context<'_>, listing: &ObjectListing<'_>) -> Result<u64, Failure> {
        let counts = listing.counts();
        let total = counts.values().sum();
        if self.output == ListFormat::Json {
            let resources = counts.into_iter().map(|((label, namespace), count)| CountDocument {
                resource: label.name,
                namespace: namespace.as_deref().map(safe),
                count,
                api_objects: !label.internal,
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
            let mut table = Columns::new(context.out, &["RESOURCE", "NAMESPACE", "COUNT"]);
            for ((label, namespace), count) in counts {
                let name = if label.internal { format!("({})", label.name) } else { label.name };
                let namespace = namespace.as_deref().map_or_else(|| "-".to_owned(), safe);
                table.row(vec![name, namespace, count.to_string()])?;
            }
            table.finish()?;
        }
        Ok(total)
    }

    fn objects(&self, context: &mut Context<'_>, listing: &ObjectListing<'_>) -> Result<u64, Failure> {
        let mut found = 0u64;
        let mut objects = listing.objects().inspect(|_| found += 1).peekable();
        let out = &mut *context.out;
        match self.output {
            ListFormat::Table => {
                if objects.peek().is_some() {
                    let mut table = Columns::new(out, &["RESOURCE", "NAMESPACE", "NAME", "REVISION"]);
                    for listed in objects {
                        table.row(vec![
                            listed.label().name,
                            listed.namespace().map_or_else(|| "-".to_owned(), safe),
                            safe(listed.name()),
                            listed.mod_revision.to_string(),
                        ])?;
                    }
                    table.finish()?;
                }
            }
            ListFormat::Name => {
                for listed in objects {
                    writeln!(out, "{}/{}", listed.label().name, safe(listed.name()))?;
                }
            }
            ListFormat::Raw0 => {
                for listed in objects {
                    out.write_all(listed.key)?;
                    out.write_all(&[0])?;
                }
            }
            ListFormat::Jsonl => {
                for listed in objects {
                    serde_json::to_writer(&mut *out, &ObjectDocument::of(&listed))?;
                    writeln!(out)?;
                }
            }
            ListFormat::Json => {
                write!(
                    out,
                    "{{\n  \"schemaVersion\": {SCHEMA_VERSION},\n  \"revision\": {},\n  \"objects\": [",
                    listing.revision
                )?;
                for (index, listed) in objects.enumerate() {
                    write!(out, "{}\n    ", if index > 0 { "," } else { "" })?;
                    serde_json::to_writer(&mut *out, &ObjectDocument::of(&listed))?;
                }
                writeln!(out, "\n  ]\n}}")?;
            }
        }
        Ok(found)
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
