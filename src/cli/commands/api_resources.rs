use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use etcdsnap::kube::field_set::FieldSet;
use etcdsnap::kube::field_table::FieldTable;
use etcdsnap::kube::object::Options;
use etcdsnap::kube::select::types::ResourceType;
use etcdsnap::ops::list::{Count, Selection, list};
use etcdsnap::ops::objects::StoredObject;
use etcdsnap::ops::reader::{Buffer, Outcome as Read, Reader};
use etcdsnap::ops::{OpError, lookup, prepare};
use serde::Serialize;

use super::get::store;
use super::keys::skipped;
use super::{SCHEMA_VERSION, write_json};
use crate::cli::decryption::Decryption;
use crate::cli::failure::Failure;
use crate::cli::input::{KubernetesKeys, Reading, Threads};
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::text::safe;
use crate::cli::{Context, Outcome};

/// Types of Kubernetes objects, with the names that `get` takes
///
/// Those of which there are objects, and those that the snapshot defines.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap api-resources [OPTIONS] FILE")]
pub(crate) struct ApiResources {
    /// The snapshot
    #[arg(value_name = "FILE")]
    words: Vec<OsString>,
    /// Also the built-in types of which there is nothing
    #[arg(long)]
    all: bool,
    /// Only types of this group; "" for the core group
    #[arg(long, value_name = "GROUP")]
    api_group: Option<String>,
    /// Only types with namespaces, or without
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    namespaced: Option<bool>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = TypesFormat::Table)]
    output: TypesFormat,
    /// The table without titles
    #[arg(long)]
    no_headers: bool,
    /// As it was at this revision
    #[arg(long, alias = "revision", value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    rev: Option<i64>,
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
enum TypesFormat {
    /// Columns
    Table,
    /// With the categories
    Wide,
    /// Full names, as `get` takes them
    Name,
    /// All of it
    Json,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    revision: i64,
    resources: Vec<TypeDocument>,
}

/// A type, and how much there is of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TypeDocument {
    name: String,
    group: String,
    kind: String,
    short_names: Vec<String>,
    categories: Vec<String>,
    /// In which version the objects are stored; of defined types without objects,
    /// in which they would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<String>,
    namespaced: bool,
    objects: u64,
    /// Whether the snapshot defines it.
    custom: bool,
}

impl ApiResources {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.reading.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let file = self.reading.only(&self.words)?;
        let keyring = self.decryption.keyring(context)?;
        let snapshot = self.reading.snapshot(context, &file)?;
        let settings = self.reading.settings(self.threads.settings(context));
        let db = snapshot.db().map_err(OpError::from)?;
        prepare(&snapshot, settings.threads);
        // Of the objects only the types are of interest.
        let options = Options { fields: FieldSet::only([]), ..Options::default() };
        let prefixes = self.kubernetes.prefixes();
        let reader = Reader { keys: keyring.as_ref(), options, prefixes, ..Reader::default() };
        let (types, unread) = store::types(&db, None, self.all, &reader, self.rev, &settings)?;
        let selection =
            Selection { revision: self.rev, prefixes: reader.prefixes.clone(), ..Selection::default() };
        let listing = list(&db, &selection, &settings)?;
        let counts = listing.counts(settings.threads);
        // One object of each type tells the version.
        let firsts: Vec<Vec<Vec<u8>>> = counts.iter().map(|count| vec![count.first.to_vec()]).collect();
        let states = lookup::any_of(&db, &firsts, self.rev, &settings)?;
        let mut buffer = Buffer::default();
        let mut versions: HashMap<(&[u8], &[u8]), String> = HashMap::new();
        for (count, record) in counts.iter().zip(states.newest) {
            let Some(record) = record.filter(|_| !count.type_key.internal) else { continue };
            let stored = StoredObject { namespace: None, name: b"", record };
            let version = reader.read(&stored, &mut buffer, |read| match read {
                Read::Object { object, .. } => Some(object.api_version().to_owned()),
                _ => None,
            });
            if let Some(version) = version {
                versions.entry((count.type_key.resource, count.type_key.group)).or_insert(version);
            }
        }
        let objects_of = |of: ResourceType<'_>| -> u64 {
            counts.iter().filter(|count| is_of(count, of)).map(|count| count.count).sum()
        };
        let documents: Vec<TypeDocument> = types
            .all()
            .map(|of| {
                let version = versions.get(&(of.plural().as_bytes(), of.group().as_bytes())).cloned();
                document(of, objects_of(of), version)
            })
            .filter(|document| self.all || document.objects > 0 || document.custom)
            .filter(|document| self.api_group.as_ref().is_none_or(|group| *group == document.group))
            .filter(|document| self.namespaced.is_none_or(|wanted| wanted == document.namespaced))
            .collect();
        snapshot.source().finish()?;
        self.print(context, documents, listing.revision)?;
        context.out.flush()?;
        let definitions = unread.tell_of_definitions(context);
        skipped(context, &listing.damage).map(|outcome| outcome.max(definitions))
    }

    fn print(
        &self,
        context: &mut Context<'_>,
        mut types: Vec<TypeDocument>,
        revision: i64,
    ) -> Result<(), Failure> {
        types.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
        match self.output {
            TypesFormat::Json => {
                let document = Document { schema_version: SCHEMA_VERSION, revision, resources: types };
                return write_json(context.out, &document);
            }
            TypesFormat::Name => {
                for of in &types {
                    let group = if of.group.is_empty() { String::new() } else { format!(".{}", of.group) };
                    writeln!(context.out, "{}{}", safe(of.name.as_bytes()), safe(group.as_bytes()))?;
                }
            }
            TypesFormat::Table | TypesFormat::Wide => {
                let mut titles = vec!["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "OBJECTS"];
                if self.output == TypesFormat::Wide {
                    titles.push("CATEGORIES");
                }
                let mut rows = Rows::default();
                for of in &types {
                    rows.cell(&safe(of.name.as_bytes()));
                    rows.cell(&safe(of.short_names.join(",").as_bytes()));
                    rows.cell(&safe(of.api_version.as_deref().unwrap_or(&of.group).as_bytes()));
                    rows.cell(if of.namespaced { "true" } else { "false" });
                    rows.cell(&safe(of.kind.as_bytes()));
                    rows.cell(&of.objects.to_string());
                    if self.output == TypesFormat::Wide {
                        rows.cell(&safe(of.categories.join(",").as_bytes()));
                    }
                }
                let mut table = Columns::new(context.out, &titles);
                if self.no_headers {
                    table = table.without_titles();
                }
                table.add(&rows)?;
                table.finish()?;
            }
        }
        if types.is_empty() {
            context.say("No resources found");
        }
        Ok(())
    }
}

fn is_of(count: &Count<'_>, of: ResourceType<'_>) -> bool {
    let key = &count.type_key;
    !key.internal && key.resource == of.plural().as_bytes() && key.group == of.group().as_bytes()
}

fn document(of: ResourceType<'_>, objects: u64, version: Option<String>) -> TypeDocument {
    let texts = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    let defined = match of {
        ResourceType::Custom(crd) => crd.stored().map(|version| format!("{}/{}", crd.group, version.name)),
        ResourceType::BuiltIn(resource) => newest_version(resource.group, resource.kind),
    };
    TypeDocument {
        name: of.plural().to_owned(),
        group: of.group().to_owned(),
        kind: of.kind().to_owned(),
        short_names: texts(of.short_names()),
        categories: texts(of.categories()),
        api_version: version.filter(|version| !version.is_empty()).or(defined),
        namespaced: of.namespaced(),
        objects,
        custom: matches!(of, ResourceType::Custom(_)),
    }
}

/// The newest version of a built-in kind that this program knows.
fn newest_version(group: &str, kind: &str) -> Option<String> {
    use etcdsnap::kube::select::crd::compare_versions;

    let mut best: Option<&str> = None;
    for (name, _) in FieldTable::kubernetes().kinds().chain(FieldTable::openshift().kinds()) {
        let mut parts = name.splitn(3, '/');
        let (Some(of), Some(version), Some(known)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        if of == group && known == kind && best.is_none_or(|best| compare_versions(version, best).is_lt()) {
            best = Some(version);
        }
    }
    best.map(|version| if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") })
}
