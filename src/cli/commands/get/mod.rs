//! `get`: objects as kubectl shows them.

mod asked;
pub(crate) mod documents;
mod elsewhere;
mod format;
mod sink;
pub(crate) mod store;
mod table;
pub(crate) mod unshown;

use std::ffi::OsString;
use std::path::PathBuf;

use etcdsnap::kube::field_set::FieldSet;
use etcdsnap::kube::object::Options;
use etcdsnap::kube::select::arguments::{ArgumentFault, Request};
use etcdsnap::kube::select::fields::FieldSelector;
use etcdsnap::kube::select::labels::LabelSelector;
use etcdsnap::kube::select::sort::SortBy;
use etcdsnap::kube::select::types::{ResourceType, TypeFault, Types, Wanted};
use etcdsnap::kube::table::{Context as TableContext, NEWEST_RELEASE};
use etcdsnap::kube::unix_time::UnixTime;
use etcdsnap::ops::objects::Place;
use etcdsnap::ops::reader::Reader;
use etcdsnap::ops::release::{Sought, moment};
use etcdsnap::ops::{OpError, prepare};

use self::asked::{Asked, Job};
use self::elsewhere::Elsewhere;
use self::format::Format;
use crate::cli::decryption::Decryption;
use crate::cli::failure::Failure;
use crate::cli::input::{KubernetesKeys, Reading, Threads};
use crate::cli::redaction::Redact;
use crate::cli::switch::switch;
use crate::cli::{Context, Outcome};

/// Kubernetes objects, as kubectl shows them
///
/// The arguments after FILE and most options are those of `kubectl get`. Objects
/// are shown as they were stored, in the version they were stored in; ages are
/// counted up to the newest write in the snapshot.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap get [OPTIONS] FILE TYPE[.VERSION][.GROUP][,TYPE...] [NAME...]
       etcdsnap get [OPTIONS] FILE TYPE[.VERSION][.GROUP]/NAME...")]
pub(crate) struct Get {
    /// The snapshot, types of objects, and names
    #[arg(value_name = "FILE TYPE [NAME]")]
    words: Vec<OsString>,
    /// Only objects in this namespace [default: default]
    #[arg(short, long, value_name = "NAMESPACE", overrides_with = "namespace")]
    namespace: Option<String>,
    /// Objects in all namespaces
    #[arg(short = 'A', long, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", hide_default_value = true, hide_possible_values = true, value_name = "BOOL", value_parser = switch, overrides_with = "all_namespaces")]
    all_namespaces: bool,
    /// Only objects with these labels: a=b, a!=b, a in (b,c), a, !a, a>1, with commas
    /// between
    #[arg(short = 'l', long, value_name = "SELECTOR", overrides_with = "selector")]
    selector: Option<String>,
    /// Only objects with these fields: metadata.name=web, status.phase!=Running, with
    /// commas between; any path
    #[arg(long, value_name = "SELECTOR", overrides_with = "field_selector")]
    field_selector: Option<String>,
    /// Form of the output: wide, yaml, json, jsonl, name, jsonpath=TEMPLATE,
    /// custom-columns=NAME:PATH,...
    #[arg(short, long, value_name = "FORM", overrides_with = "output")]
    output: Option<String>,
    /// With =false: a path of -o jsonpath that leads nowhere is an error
    #[arg(hide_short_help = true, long, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "true", hide_default_value = true, hide_possible_values = true, value_name = "BOOL", value_parser = switch, overrides_with = "allow_missing_template_keys")]
    allow_missing_template_keys: bool,
    /// Order of the objects, by a path: .metadata.creationTimestamp
    #[arg(long, value_name = "PATH", overrides_with = "sort_by")]
    sort_by: Option<String>,
    /// Tables without titles
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", hide_default_value = true, hide_possible_values = true, value_name = "BOOL", value_parser = switch, overrides_with = "no_headers")]
    no_headers: bool,
    /// Tables with the type before each name
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", hide_default_value = true, hide_possible_values = true, value_name = "BOOL", value_parser = switch, overrides_with = "show_kind")]
    show_kind: bool,
    /// Tables with all labels
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", hide_default_value = true, hide_possible_values = true, value_name = "BOOL", value_parser = switch, overrides_with = "show_labels")]
    show_labels: bool,
    /// Tables with the values of these labels, as columns
    #[arg(short = 'L', long, value_name = "KEY", value_delimiter = ',')]
    label_columns: Vec<String>,
    /// Keep metadata.managedFields, which is left out otherwise
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", hide_default_value = true, hide_possible_values = true, value_name = "BOOL", value_parser = switch, overrides_with = "show_managed_fields")]
    show_managed_fields: bool,
    /// Objects that are not there are no error
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, default_value = "false", hide_default_value = true, hide_possible_values = true, value_name = "BOOL", value_parser = switch, overrides_with = "ignore_not_found")]
    ignore_not_found: bool,
    /// As it was at this revision
    #[arg(long, alias = "revision", value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    rev: Option<i64>,
    /// The time that ages are counted up to (RFC 3339) [default: that of the newest
    /// write that carries one]
    #[arg(long, value_name = "TIME")]
    now: Option<UnixTime>,
    /// The release of Kubernetes (1.28) whose tables and defaults are shown [default:
    /// that of the nodes]
    #[arg(long, value_name = "VERSION", value_parser = minor_release)]
    kube_version: Option<u16>,
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
    #[command(flatten)]
    elsewhere: Elsewhere,
}

/// The 28 of `1.28`, `v1.28.3` and `28`.
fn minor_release(typed: &str) -> Result<u16, String> {
    let number = typed.trim_start_matches('v');
    let number = number.strip_prefix("1.").unwrap_or(number);
    let number = number.split('.').next().unwrap_or_default();
    number.parse().map_err(|_| "a release of Kubernetes is wanted, as 1.28".to_owned())
}

impl Get {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.reading.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        self.elsewhere.check()?;
        let format = Format::parse(self.output.as_deref(), self.allow_missing_template_keys)?;
        let (file, words) = self.reading.split(&self.words)?;
        let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let (words, behind_redact) = self.redact.split(words, |words| self.request(words).is_ok());
        let request = self.request(&words).map_err(|error| {
            Failure::usage(error.to_string())
                .hint("`etcdsnap get FILE pods`, `get FILE pod web-1`, `get FILE pod/web-1 svc/web`; `etcdsnap api-resources FILE` lists the types there are")
        })?;
        let labels = self.selector.as_deref().map(LabelSelector::parse).transpose();
        let labels = labels.map_err(|error| Failure::usage(format!("--selector: {error}")))?;
        let fields = self.field_selector.as_deref().map(FieldSelector::parse).transpose();
        let fields = fields.map_err(|error| Failure::usage(format!("--field-selector: {error}")))?;
        let sort = self.sort_by.as_deref().map(SortBy::parse).transpose();
        let sort = sort.map_err(|error| Failure::usage(format!("--sort-by: {error}")))?;
        let keyring = self.decryption.keyring(context)?;

        let snapshot = self.reading.snapshot(context, &file)?;
        let settings = self.reading.settings(self.threads.settings(context));
        let db = snapshot.db().map_err(OpError::from)?;
        let prefixes = self.kubernetes.prefixes();
        let mut reader = Reader {
            keys: keyring.as_ref(),
            options: Options::default(),
            labels,
            fields,
            redaction: None,
            prefixes,
        };
        let requests = [&request, &self.redact.request(&behind_redact)];
        let (types, unread) = store::types(&db, Some(&requests), false, &reader, self.rev, &settings)?;
        let definitions = unread.tell_of_definitions(context);
        let jobs = self.jobs(&request, &types)?;
        let redaction = self.redact.redaction(&behind_redact, &types)?;
        reader.redaction = redaction.as_ref();
        let is_table = matches!(format, Format::Table { .. });
        let sought = Sought {
            time: is_table && self.now.is_none(),
            release: !matches!(format, Format::Name) && self.kube_version.is_none(),
        };
        let moment = moment(&db, self.rev.unwrap_or(i64::MAX), &reader.prefixes, reader.keys, sought);
        let release = self.kube_version.or(moment.release).unwrap_or(NEWEST_RELEASE);
        let mut table_context = TableContext::new(self.now.or(moment.newest_write.map(|write| write.time)));
        table_context.release = release;
        table_context.wide = matches!(format, Format::Table { wide: true });
        reader.options.null_creation_timestamps = release < FIRST_WITHOUT_NULL_TIMESTAMPS;
        if self.show_managed_fields {
            reader.options.fields = FieldSet::all();
        }

        let asked = Asked { get: self, format, sort, table_context, reader, jobs, settings };
        let answer = if asked.jobs.iter().all(|job| job.names.is_some()) {
            asked.by_name(context, &db)?
        } else {
            prepare(&snapshot, settings.threads);
            asked.all(context, &db, snapshot.source().bytes().len() as u64)?
        };
        snapshot.source().finish()?;
        asked.conclude(context, answer).map(|outcome| outcome.max(definitions))
    }

    /// What is asked for.
    fn request(&self, words: &[String]) -> Result<Request, ArgumentFault> {
        let request = Request::parse(words)?;
        request.check(self.selector.is_some() || self.field_selector.is_some(), self.all_namespaces)?;
        Ok(request)
    }

    /// The namespace that is meant; as to kubectl, none is the default.
    fn namespace(&self) -> &str {
        self.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default")
    }

    fn jobs<'t>(&self, request: &Request, types: &'t Types) -> Result<Vec<Job<'t>>, Failure> {
        let wanted = types.resolve(request).map_err(|fault| unknown(&fault))?;
        let job = |wanted: Wanted<'t>| {
            let of = wanted.resource;
            let path = path(of)
                .ok_or_else(|| Failure::no(format!("{}: they are not stored in etcd", of.full_name())))?;
            let namespace = match (of.namespaced(), self.all_namespaces) {
                (true, false) => Some(self.namespace().to_owned()),
                _ => None,
            };
            Ok(Job { of, place: Place { path, namespace }, names: wanted.names, version: wanted.version })
        };
        wanted.into_iter().map(job).collect()
    }
}

/// Where the objects of a type are below the store's prefix.
pub(crate) fn path(of: ResourceType<'_>) -> Option<String> {
    match of {
        ResourceType::BuiltIn(resource) => resource.path.map(str::to_owned),
        ResourceType::Custom(crd) => Some(format!("{}/{}", crd.group, crd.plural)),
    }
}

/// A type that means nothing.
pub(crate) fn unknown(fault: &TypeFault) -> Failure {
    if let TypeFault::Version { known, stored, .. } = fault {
        let stored = stored.as_ref().map_or_else(String::new, |stored| format!("; stored is {stored}"));
        return Failure::no(fault.to_string()).hint(format!(
            "known: {}{stored}. Without a version, each object is shown in the one it is stored in",
            known.join(", ")
        ));
    }
    let TypeFault::Unknown { typed, nearest } = fault else { return Failure::usage(fault.to_string()) };
    let failure =
        Failure::no(format!("there is no resource type {typed:?}, neither built in nor in this snapshot"));
    match nearest.as_slice() {
        [] => failure.hint("`etcdsnap api-resources FILE` shows the types there are"),
        nearest => failure.hint(format!("did you mean {}?", nearest.join(", "))),
    }
}

/// From this release on servers leave out a `creationTimestamp` that is not set.
pub(crate) const FIRST_WITHOUT_NULL_TIMESTAMPS: u16 = 34;
