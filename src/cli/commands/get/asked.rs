//! A request that was understood, carried out: objects are read side by side,
//! run by run, and written in order.

use std::io;

use etcdsnap::bolt::Db;
use etcdsnap::kube::field_set::FieldSet;
use etcdsnap::kube::manifest::redact::Redaction;
use etcdsnap::kube::object::RAW;
use etcdsnap::kube::select::sort::SortBy;
use etcdsnap::kube::select::types::ResourceType;
use etcdsnap::kube::table::{Context as TableContext, effective_default_storage_class, row_order};
use etcdsnap::kube::value::Value;
use etcdsnap::ops::objects::{Place, StoredObject, named, objects};
use etcdsnap::ops::reader::{Buffer, Outcome as Read, Reader, stand_in};
use etcdsnap::ops::{Damage, Settings};

use super::Get;
use super::documents::{Documents, Form, list};
use super::format::Format;
use super::table::{Additions, Table, printable};
use super::unshown::Unshown;
use crate::cli::commands::keys::skipped;
use crate::cli::failure::Failure;
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::text::safe;
use crate::cli::{Context, Outcome, progress, tell};

/// Objects of one type that are asked for.
pub(super) struct Job<'t> {
    pub(super) of: ResourceType<'t>,
    pub(super) place: Place,
    /// All of them, without.
    pub(super) names: Option<Vec<String>>,
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
    shown: u64,
    unshown: Unshown,
    missing: Vec<String>,
    damage: Damage,
}

/// What a thread makes of a run of objects.
#[derive(Default)]
struct Batch {
    rows: Rows,
    text: Vec<u8>,
    values: Vec<Value<'static>>,
    shown: u64,
    unshown: Unshown,
    failure: Option<String>,
}

impl Batch {
    fn append(&mut self, more: Self) {
        self.values.extend(more.values);
        self.shown += more.shown;
        self.unshown.merge(more.unshown);
    }
}

/// Whether the rows of a type depend on each other: servers sort some, and mark one
/// storage class of all.
fn is_shown_as_a_whole(job: &Job<'_>) -> bool {
    is_storage_class(job) || row_order(job.of.group(), job.of.kind()).is_some()
}

fn is_storage_class(job: &Job<'_>) -> bool {
    (job.of.group(), job.of.plural()) == ("storage.k8s.io", "storageclasses")
}

/// Where batches go.
enum Sink<'o> {
    Table { out: &'o mut (dyn io::Write + Send), before: bool },
    Documents(Documents<'o>),
    Text(&'o mut (dyn io::Write + Send)),
    Collected(Vec<(usize, Value<'static>)>),
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
        if matches!(self.format, Format::Name) && !reader.is_choosy() && self.sort.is_none() {
            reader.options.fields = FieldSet::only([]);
        }
        reader
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
            Read::Unreadable(why) => {
                batch.unshown.unreadable(&why);
                // Nobody knows whether it would have been selected.
                if self.reader.is_choosy() {
                    return;
                }
                let mut object = stand_in(stored, job.of.kind(), &why);
                let hidden = |redaction: &&Redaction| redaction.concerns(job.of.group(), job.of.kind());
                if self.reader.redaction.as_ref().is_some_and(hidden)
                    && let Some(map) = object.as_map_mut()
                {
                    let size = stored.record.kv.value.len();
                    map.insert(RAW, Value::from(format!("<redacted {size} bytes>")));
                }
                object
            }
            Read::Object(object) => {
                batch.unshown.noted(&object.notes);
                object.value
            }
        };
        batch.shown += 1;
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
            _ => {
                let line = format!("{}/{}\n", prefix(job.of), safe(stored.name));
                batch.text.extend_from_slice(line.as_bytes());
            }
        }
    }

    fn sink<'o>(&self, out: &'o mut (dyn io::Write + Send)) -> Sink<'o> {
        if self.collects() {
            return Sink::Collected(Vec::new());
        }
        match (&self.format, self.form()) {
            (_, Some(form)) => Sink::Documents(Documents::new(out, form)),
            (Format::Table { .. } | Format::CustomColumns(_), _) => Sink::Table { out, before: false },
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
        for (number, job) in self.jobs.iter().enumerate() {
            let table = self.table(job);
            let reader = self.reader(table.as_ref());
            let work = |run: &mut dyn Iterator<Item = StoredObject<'_>>| {
                let mut batch = Batch::default();
                let mut buffer = Buffer::default();
                for stored in run {
                    reader.read(&stored, &mut buffer, |read| {
                        self.render(job, table.as_ref(), &stored, read, &mut batch);
                    });
                }
                batch
            };
            if let Some(table) = table.as_ref().filter(|_| is_shown_as_a_whole(job) && !self.collects()) {
                let mut whole = Batch::default();
                found.at(&job.place, self.settings.threads, work, |batch| whole.append(batch));
                let batch = self.as_a_whole(job, whole);
                self.write(&mut sink, number, Some(table), &mut answer, |take| take(batch))?;
                continue;
            }
            self.write(&mut sink, number, table.as_ref(), &mut answer, |take| {
                found.at(&job.place, self.settings.threads, work, take);
            })?;
        }
        if let Some(values) = close(sink)? {
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
                    Some(stored) => reader.read(&stored, &mut buffer, |read| {
                        self.render(job, table.as_ref(), &stored, read, &mut batch);
                    }),
                    None => answer.missing.push(format!("{} {name:?} not found", job.of.full_name())),
                }
            }
            if table.is_some() && is_shown_as_a_whole(job) && !self.collects() {
                batch = self.as_a_whole(job, batch);
            }
            self.write(&mut sink, number, table.as_ref(), &mut answer, |take| take(batch))?;
        }
        if let Some(values) = close(sink)? {
            self.write_collected(values, context)?;
        }
        Ok(answer)
    }

    /// Writes the batches of a job, which `produce` hands over in order.
    fn write(
        &self,
        sink: &mut Sink<'_>,
        job: usize,
        table: Option<&Table>,
        answer: &mut Answer,
        produce: impl FnOnce(&mut (dyn FnMut(Batch) + Send)),
    ) -> Result<(), Failure> {
        let mut failure: Option<Failure> = None;
        let titles = match (table, &self.format) {
            (Some(table), _) => table.titles(),
            (None, Format::CustomColumns(columns)) => columns.headers().map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        // One row of titles for all objects, where the columns are the user's own.
        let is_first = matches!(sink, Sink::Table { before: false, .. });
        let titled = !self.get.no_headers && (table.is_some() || is_first);
        let mut take_count = |batch: &mut Batch| {
            answer.shown += batch.shown;
            answer.unshown.merge(std::mem::take(&mut batch.unshown));
            batch.failure.take().map(Failure::new)
        };
        match sink {
            Sink::Table { out, before } => {
                let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
                let mut some = false;
                let mut columns = Columns::new(*out, &titles);
                if !titled {
                    columns = columns.without_titles();
                }
                if *before && titled {
                    columns = columns.after_a_blank_line();
                }
                produce(&mut |mut batch: Batch| {
                    let failed = take_count(&mut batch);
                    some |= batch.shown > 0;
                    if failure.is_none() {
                        failure = failed.or_else(|| columns.add(&batch.rows).err().map(Failure::from));
                    }
                });
                if failure.is_none() {
                    columns.finish()?;
                }
                *before |= some;
            }
            Sink::Documents(documents) => produce(&mut |mut batch: Batch| {
                let failed = take_count(&mut batch);
                if failure.is_none() {
                    failure = failed.or_else(|| documents.add(&batch.text).err().map(Failure::from));
                }
            }),
            Sink::Text(out) => produce(&mut |mut batch: Batch| {
                let failed = take_count(&mut batch);
                if failure.is_none() {
                    failure = failed.or_else(|| out.write_all(&batch.text).err().map(Failure::from));
                }
            }),
            Sink::Collected(values) => produce(&mut |mut batch: Batch| {
                failure = failure.take().or_else(|| take_count(&mut batch));
                values.extend(batch.values.into_iter().map(|value| (job, value)));
            }),
        }
        failure.map_or(Ok(()), Err)
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
            for (job, value) in values {
                let Some(job) = self.jobs.get(*job) else { continue };
                let name = safe(value.text(&["metadata", "name"]).as_bytes());
                writeln!(context.out, "{}/{name}", prefix(job.of))?;
            }
            return Ok(());
        }
        if let Format::CustomColumns(columns) = &self.format {
            let mut rows = Rows::default();
            for (_, value) in values {
                let cells = columns.cells(value).map_err(|error| Failure::usage(error.to_string()))?;
                cells.iter().for_each(|cell| rows.cell(&printable(cell)));
            }
            let titles: Vec<&str> = columns.headers().collect();
            let table = Columns::new(context.out, &titles);
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
        for line in answer.unshown.lines() {
            context.say(format_args!("warning: {}", safe(line.as_bytes())));
        }
        if !answer.unshown.is_empty() {
            if answer.unshown.any_locked() && self.reader.keys.is_none() {
                context.say("  hint: --encryption-config names the API server's key file; `etcdsnap encryption FILE` tells what it must open");
            }
            outcome = outcome.max(Outcome::No);
        }
        let tabular = matches!(self.format, Format::Table { .. } | Format::Name);
        if answer.shown == 0 && answer.missing.is_empty() && tabular && !self.get.ignore_not_found {
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

/// Ends what was written; or returns what is still to be.
fn close(sink: Sink<'_>) -> Result<Option<Vec<(usize, Value<'static>)>>, Failure> {
    match sink {
        Sink::Table { .. } | Sink::Text(_) => Ok(None),
        Sink::Documents(documents) => documents.finish().map(|()| None).map_err(Failure::from),
        Sink::Collected(values) => Ok(Some(values)),
    }
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
