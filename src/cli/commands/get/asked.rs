//! A request that was understood, carried out: objects are read side by side,
//! run by run, and written in order.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};

use etcdsnap::bolt::Db;
use etcdsnap::kube::field_set::FieldSet;
use etcdsnap::kube::manifest::redact::Redaction;
use etcdsnap::kube::select::custom_columns::CustomColumns;
use etcdsnap::kube::select::sort::SortBy;
use etcdsnap::kube::select::types::ResourceType;
use etcdsnap::kube::table::{Context as TableContext, effective_default_storage_class, row_order};
use etcdsnap::kube::value::Value;
use etcdsnap::ops::objects::{Place, StoredObject, named, objects};
use etcdsnap::ops::reader::{Buffer, Outcome as Read, Reader, hide, stand_in};
use etcdsnap::ops::{Damage, Settings};

use super::Get;
use super::documents::{Documents, Form, list};
use super::format::Format;
use super::sink::{Batch, Counts, Sink, Titles};
use super::table::{Additions, Table, printable};
use crate::cli::commands::keys::skipped;
use crate::cli::failure::Failure;
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::text::{harmless, safe};
use crate::cli::{Context, Outcome, progress, redaction, tell};

/// Objects of one type that are asked for.
pub(super) struct Job<'t> {
    pub(super) of: ResourceType<'t>,
    pub(super) place: Place,
    /// All of them, without.
    pub(super) names: Option<Vec<String>>,
    /// The version of the API that they are asked for in.
    pub(super) version: Option<String>,
}

/// A request.
pub(super) struct Asked<'r, 't> {
    pub(super) get: &'r Get,
    pub(super) format: Format,
    pub(super) sort: Option<SortBy>,
    pub(super) table_context: TableContext,
    pub(super) reader: Reader<'r>,
    pub(super) jobs: Vec<Job<'t>>,
    pub(super) settings: Settings<'r>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Answer {
    counts: Counts,
    /// Objects of which values were replaced, by type.
    redacted: BTreeMap<String, u64>,
    missing: Vec<String>,
    damage: Damage,
}

/// Whether the rows of a type depend on each other: servers sort some, and mark one
/// storage class of all.
fn is_shown_as_a_whole(job: &Job<'_>) -> bool {
    is_storage_class(job) || row_order(job.of.group(), job.of.kind()).is_some()
}

fn is_storage_class(job: &Job<'_>) -> bool {
    (job.of.group(), job.of.plural()) == ("storage.k8s.io", "storageclasses")
}

impl Asked<'_, '_> {
    /// Whether one object alone is asked for, which then stands for itself.
    fn is_single(&self) -> bool {
        matches!(self.jobs.as_slice(), [Job { names: Some(names), .. }] if names.len() == 1)
    }

    /// Whether nothing can be written before everything was read.
    fn collects(&self) -> bool {
        self.sort.is_some()
            || matches!(self.format, Format::JsonPath(_) | Format::JsonPathAsJson(_))
            || self.form().is_some() && self.is_single()
    }

    fn form(&self) -> Option<Form> {
        match self.format {
            Format::Yaml => Some(Form::Yaml),
            Format::Json => Some(Form::Json),
            Format::Jsonl => Some(Form::Jsonl),
            _ => None,
        }
    }

    fn table(&self, job: &Job<'_>) -> Option<Table> {
        self.table_with(job, self.table_context.clone())
    }

    fn table_with(&self, job: &Job<'_>, context: TableContext) -> Option<Table> {
        let Format::Table { .. } = self.format else { return None };
        let several = self.jobs.iter().any(|other| other.of != job.of);
        let additions = Additions {
            namespace: self.get.all_namespaces && job.of.namespaced(),
            prefix: (several || self.get.show_kind).then(|| prefix(job.of)),
            labels: self.get.label_columns.clone(),
            all_labels: self.get.show_labels,
        };
        Some(Table::new(job.of, context, additions))
    }

    /// The reader of a job, which decodes no more than its table shows.
    fn reader(&self, table: Option<&Table>) -> Reader<'_> {
        let mut reader = self.reader.clone();
        if let Some(paths) = table.and_then(Table::reads)
            && !reader.is_choosy()
            && self.sort.is_none()
        {
            reader.options.fields = FieldSet::only(paths);
        }
        reader
    }

    /// Whether keys tell all that is asked for.
    fn needs_no_values(&self) -> bool {
        matches!(self.format, Format::Name) && !self.reader.is_choosy() && self.sort.is_none()
    }

    /// Puts into `batch` what becomes of one stored object.
    fn take(
        &self,
        job: &Job<'_>,
        table: Option<&Table>,
        (reader, buffer): (&Reader<'_>, &mut Buffer),
        stored: &StoredObject<'_>,
        batch: &mut Batch,
    ) {
        if self.needs_no_values() {
            batch.counts.shown += 1;
            push_name(job.of, stored.name, &mut batch.text);
            return;
        }
        reader.read(stored, buffer, |read| self.render(job, table, stored, read, batch));
    }

    /// Puts into `batch` what becomes of one object.
    fn render(
        &self,
        job: &Job<'_>,
        table: Option<&Table>,
        stored: &StoredObject<'_>,
        read: Read<'_>,
        batch: &mut Batch,
    ) {
        let object = match read {
            Read::NotSelected => return,
            Read::Unreadable { why, plain } => {
                batch.counts.unshown.unreadable(&why);
                // Nobody knows whether it would have been selected.
                if self.reader.is_choosy() {
                    return;
                }
                let mut object = stand_in(stored, job.of.kind(), &why, plain);
                let hidden = |redaction: &&Redaction| redaction.concerns(job.of.group(), job.of.kind());
                if self.reader.redaction.as_ref().is_some_and(hidden) {
                    hide(&mut object, stored);
                    batch.counts.redacted += 1;
                }
                object
            }
            Read::Object { object, redacted } => {
                batch.counts.redacted += u64::from(redacted);
                batch.counts.unshown.noted(&object.notes);
                if let Some(asked) = &job.version {
                    let stored = object.api_version();
                    if stored.rsplit('/').next() != Some(asked) {
                        batch.counts.other_versions.insert(stored.to_owned());
                    }
                }
                object.value
            }
        };
        batch.counts.shown += 1;
        if self.collects() || table.is_some_and(|_| is_shown_as_a_whole(job)) {
            batch.values.push(object.into_owned());
            return;
        }
        match (&self.format, self.form(), table) {
            (_, _, Some(table)) => table.row(&object, &mut batch.rows),
            (_, Some(form), _) => form.write_item(&object, &mut batch.text),
            (Format::CustomColumns(columns), ..) => match columns.cells(&object) {
                Ok(cells) => cells.iter().for_each(|cell| batch.rows.cell(&printable(cell))),
                Err(error) => batch.failure = Some(error.to_string()),
            },
            _ => push_name(job.of, stored.name, &mut batch.text),
        }
    }

    fn sink<'o>(&self, out: &'o mut (dyn io::Write + Send)) -> Sink<'o> {
        if self.collects() {
            return Sink::Collected(Vec::new());
        }
        match (&self.format, self.form()) {
            (_, Some(form)) => Sink::Documents(Documents::new(out, form)),
            (Format::Table { .. }, _) => Sink::Tables { out, before: false },
            (Format::CustomColumns(columns), _) => {
                let table = with_titles(columns, out);
                Sink::Table(if self.get.no_headers { table.without_titles() } else { table })
            }
            _ => Sink::Text(out),
        }
    }

    /// All objects of some types.
    pub(super) fn all(&self, context: &mut Context<'_>, db: &Db<'_>, total: u64) -> Result<Answer, Failure> {
        let places: Vec<Place> = self.jobs.iter().map(|job| job.place.clone()).collect();
        let found = progress::watch(context, "reading", total, progress::walked, || {
            objects(db, &places, &self.reader.prefixes, self.get.rev, &self.settings)
        })?;
        let mut answer = Answer { damage: found.damage().clone(), ..Answer::default() };
        let mut sink = self.sink(context.out);
        let stop = AtomicBool::new(false);
        for (number, job) in self.jobs.iter().enumerate() {
            let table = self.table(job);
            let reader = self.reader(table.as_ref());
            let work = |run: &mut dyn Iterator<Item = StoredObject<'_>>| {
                let mut batch = Batch::default();
                let mut buffer = Buffer::default();
                for stored in run.take_while(|_| !stop.load(Ordering::Relaxed)) {
                    self.take(job, table.as_ref(), (&reader, &mut buffer), &stored, &mut batch);
                }
                batch
            };
            if let Some(table) = table.as_ref().filter(|_| is_shown_as_a_whole(job) && !self.collects()) {
                let mut whole = Batch::default();
                found.at(&job.place, self.settings.threads, work, |batch| whole.append(batch));
                let batch = self.as_a_whole(job, whole);
                let titles = self.titles(Some(table));
                let counts = sink.write(number, &titles, &stop, |take| take(batch))?;
                answer.add(job, counts);
                continue;
            }
            let titles = self.titles(table.as_ref());
            let counts = sink.write(number, &titles, &stop, |take| {
                found.at(&job.place, self.settings.threads, work, take);
            })?;
            answer.add(job, counts);
        }
        if let Some(values) = sink.close()? {
            self.write_collected(values, context)?;
        }
        Ok(answer)
    }

    /// The rows of objects that look different beside others.
    fn as_a_whole(&self, job: &Job<'_>, mut batch: Batch) -> Batch {
        let mut context = self.table_context.clone();
        if let Some(order) = row_order(job.of.group(), job.of.kind()) {
            batch.values.sort_by(order);
        }
        // A class asked for by name is marked by no server that looks at all.
        if is_storage_class(job) && job.names.is_none() {
            context.default_storage_class = effective_default_storage_class(&batch.values);
        }
        if let Some(table) = self.table_with(job, context) {
            batch.values.iter().for_each(|object| table.row(object, &mut batch.rows));
        }
        batch.values.clear();
        batch
    }

    /// Objects by name.
    pub(super) fn by_name(&self, context: &mut Context<'_>, db: &Db<'_>) -> Result<Answer, Failure> {
        let wanted: Vec<(&Place, &str)> = self
            .jobs
            .iter()
            .flat_map(|job| job.names.iter().flatten().map(move |name| (&job.place, name.as_str())))
            .collect();
        let found = named(db, &wanted, &self.reader.prefixes, self.get.rev, &self.settings)?;
        let mut answer = Answer { damage: found.damage, ..Answer::default() };
        let mut found = found.objects.into_iter();
        let mut sink = self.sink(context.out);
        for (number, job) in self.jobs.iter().enumerate() {
            let table = self.table(job);
            let reader = self.reader(table.as_ref());
            let mut batch = Batch::default();
            let mut buffer = Buffer::default();
            for (name, stored) in job.names.iter().flatten().zip(found.by_ref()) {
                match stored {
                    Some(stored) => {
                        self.take(job, table.as_ref(), (&reader, &mut buffer), &stored, &mut batch);
                    }
                    None => answer.missing.push(format!("{} {name:?} not found", job.of.full_name())),
                }
            }
            if table.is_some() && is_shown_as_a_whole(job) && !self.collects() {
                batch = self.as_a_whole(job, batch);
            }
            let titles = self.titles(table.as_ref());
            let counts = sink.write(number, &titles, &AtomicBool::default(), |take| take(batch))?;
            answer.add(job, counts);
        }
        if let Some(values) = sink.close()? {
            self.write_collected(values, context)?;
        }
        Ok(answer)
    }

    fn titles(&self, table: Option<&Table>) -> Titles {
        Titles { texts: table.map(Table::titles).unwrap_or_default(), shown: !self.get.no_headers }
    }

    /// Writes objects that had to be collected first.
    fn write_collected(
        &self,
        values: Vec<(usize, Value<'static>)>,
        context: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let values = self.sorted(values)?;
        let mut text = Vec::new();
        if let Some(form) = self.form()
            && form == Form::Jsonl
        {
            values.iter().for_each(|(_, value)| form.write(value, &mut text));
        } else if matches!(self.format, Format::Table { .. } | Format::CustomColumns(_) | Format::Name) {
            return self.write_rows(&values, context);
        } else {
            if self.is_single() && values.is_empty() {
                return Ok(());
            }
            let mut objects: Vec<Value<'static>> = values.into_iter().map(|(_, value)| value).collect();
            let whole = match (self.is_single(), objects.pop()) {
                (true, Some(object)) => object,
                (_, last) => {
                    objects.extend(last);
                    list(objects)
                }
            };
            let written = match &self.format {
                Format::JsonPath(path) => path.write(&whole, &mut text),
                Format::JsonPathAsJson(path) => path.write_json(&whole, &mut text),
                _ => {
                    if let Some(form) = self.form() {
                        form.write(&whole, &mut text);
                    }
                    Ok(())
                }
            };
            written.map_err(|error| Failure::usage(format!("-o jsonpath: {error}")))?;
            // A path gives text as it is stored, which a program wants as it is.
            if matches!(self.format, Format::JsonPath(_)) && io::stdout().is_terminal() {
                text = harmless(&String::from_utf8_lossy(&text)).into_owned().into_bytes();
            }
        }
        context.out.write_all(&text)?;
        Ok(())
    }

    fn sorted(&self, values: Vec<(usize, Value<'static>)>) -> Result<Vec<(usize, Value<'static>)>, Failure> {
        let Some(sort) = &self.sort else { return Ok(values) };
        let wrong = |error: String| Failure::usage(format!("--sort-by: {error}"));
        let keys = values.iter().map(|(_, value)| sort.key(value)).collect::<Result<Vec<_>, _>>();
        let order = sort.order(&keys.map_err(|error| wrong(error.to_string()))?);
        let order = order.map_err(|error| wrong(error.to_string()))?;
        let mut values: Vec<Option<_>> = values.into_iter().map(Some).collect();
        Ok(order.into_iter().filter_map(|place| values.get_mut(place)?.take()).collect())
    }

    /// Sorted objects as rows, a table for each type; or as names.
    fn write_rows(
        &self,
        values: &[(usize, Value<'static>)],
        context: &mut Context<'_>,
    ) -> Result<(), Failure> {
        let mut before = false;
        if matches!(self.format, Format::Name) {
            let mut text = Vec::new();
            for (job, value) in values {
                let Some(job) = self.jobs.get(*job) else { continue };
                push_name(job.of, value.text(&["metadata", "name"]).as_bytes(), &mut text);
            }
            context.out.write_all(&text)?;
            return Ok(());
        }
        if let Format::CustomColumns(columns) = &self.format {
            let mut rows = Rows::default();
            for (_, value) in values {
                let cells = columns.cells(value).map_err(|error| Failure::usage(error.to_string()))?;
                cells.iter().for_each(|cell| rows.cell(&printable(cell)));
            }
            let table = with_titles(columns, context.out);
            let mut table = if self.get.no_headers { table.without_titles() } else { table };
            table.print(&rows)?;
            return Ok(());
        }
        for (number, job) in self.jobs.iter().enumerate() {
            let own = values.iter().filter(|(of, _)| *of == number).map(|(_, value)| value);
            let Some(table) = self.table(job) else { continue };
            let mut rows = Rows::default();
            own.for_each(|value| table.row(value, &mut rows));
            let titles = table.titles();
            let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
            let mut columns = Columns::new(context.out, &titles);
            if self.get.no_headers {
                columns = columns.without_titles();
            } else if before {
                columns = columns.after_a_blank_line();
            }
            before |= !rows.is_empty();
            columns.add(&rows)?;
            columns.finish()?;
        }
        Ok(())
    }

    /// Says what was not shown, and comes to an outcome.
    pub(super) fn conclude(&self, context: &mut Context<'_>, answer: Answer) -> Result<Outcome, Failure> {
        context.out.flush()?;
        let mut outcome = skipped(context, &answer.damage)?;
        let at = self.get.rev.map_or_else(String::new, |revision| format!(" at revision {revision}"));
        if !self.get.ignore_not_found {
            for missing in &answer.missing {
                tell(format_args!("error: {}{at}", safe(missing.as_bytes())));
            }
            if !answer.missing.is_empty() {
                let namespaced = self.jobs.iter().any(|job| job.of.namespaced());
                if namespaced && self.get.namespace.is_none() {
                    context.say("  hint: only namespace default was looked at; -n names another one");
                }
                outcome = outcome.max(Outcome::No);
            }
        }
        if !answer.counts.other_versions.is_empty() {
            let versions: Vec<&str> = answer.counts.other_versions.iter().map(String::as_str).collect();
            let versions = safe(versions.join(", ").as_bytes());
            context
                .say(format_args!("note: objects are shown in the version they are stored in: {versions}"));
        }
        redaction::tell(context, &answer.redacted);
        for line in answer.counts.unshown.lines() {
            context.say(format_args!("warning: {}", safe(line.as_bytes())));
        }
        if !answer.counts.unshown.is_empty() {
            if answer.counts.unshown.any_locked() && self.reader.keys.is_none() {
                context.say("  hint: --encryption-config names the API server's key file; `etcdsnap encryption FILE` tells what it must open");
            }
            outcome = outcome.max(Outcome::No);
        }
        let tabular = matches!(self.format, Format::Table { .. } | Format::Name);
        if answer.counts.shown == 0 && answer.missing.is_empty() && tabular && !self.get.ignore_not_found {
            let namespaced = self.jobs.iter().all(|job| job.of.namespaced()) && !self.get.all_namespaces;
            match self.get.namespace() {
                namespace if namespaced => context
                    .say(format_args!("No resources found in {} namespace.", safe(namespace.as_bytes()))),
                _ => context.say("No resources found"),
            }
        }
        Ok(outcome)
    }
}

impl Answer {
    fn add(&mut self, job: &Job<'_>, counts: Counts) {
        if counts.redacted > 0 {
            *self.redacted.entry(job.of.full_name()).or_default() += counts.redacted;
        }
        self.counts.merge(counts);
    }
}

/// A table with the columns that the user named.
fn with_titles<'o>(columns: &CustomColumns, out: &'o mut (dyn io::Write + Send)) -> Columns<'o> {
    let titles: Vec<_> = columns.headers().map(printable).collect();
    let titles: Vec<&str> = titles.iter().map(AsRef::as_ref).collect();
    Columns::new(out, &titles)
}

/// As `-o name` has it.
fn push_name(of: ResourceType<'_>, name: &[u8], text: &mut Vec<u8>) {
    text.extend_from_slice(format!("{}/{}\n", safe(prefix(of).as_bytes()), safe(name)).as_bytes());
}

/// What stands before a name where types are mixed: `deployment.apps`.
fn prefix(of: ResourceType<'_>) -> String {
    let kind = of.kind().to_lowercase();
    match (kind.as_str(), of.group()) {
        ("", _) => of.full_name(),
        (_, "") => kind,
        (_, group) => format!("{kind}.{group}"),
    }
}
