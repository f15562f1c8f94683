//! The writes of one key as a table or as JSON.

use std::io::{self, Write};

use etcdsnap::etcd::lease::LeaseId;
use etcdsnap::etcd::record::Record;
use etcdsnap::kube::changes::Change;
use etcdsnap::kube::json as kube_json;
use etcdsnap::kube::manifest::redact::Redaction;
use etcdsnap::kube::value::Value;
use etcdsnap::ops::history::{Content, Deed, KeyHistory, Missing, dated, hidden};
use etcdsnap::ops::reader::Reader;
use serde::Serialize;
use serde_json::Value as Json;

use super::super::SCHEMA_VERSION;
use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::json;
use crate::cli::output::text::{count, hex, safe};

/// Of a longer value only the beginning is shown to people.
const SHOWN_CHARACTERS: usize = 200;

/// All there is to show.
pub(super) struct Shown<'h, 'a> {
    history: &'h KeyHistory<'a>,
    writes: Vec<Put<'h, 'a>>,
}

/// One write.
struct Put<'h, 'a> {
    record: &'h Record<'a>,
    missing: Option<Missing>,
    dated: Option<String>,
    /// With `--patch`.
    patch: Option<Patch>,
}

/// What a write changed.
#[derive(Default)]
struct Patch {
    changes: Vec<ShownChange>,
    /// Why it is not told.
    reason: Option<String>,
}

/// A change with its values, as JSON.
struct ShownChange {
    path: String,
    before: Option<Json>,
    after: Option<Json>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'d> {
    schema_version: u32,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    oldest_revision: i64,
    newest_revision: i64,
    writes: Vec<PutDocument<'d>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PutDocument<'d> {
    revision: i64,
    sub_revision: i64,
    /// `created`, `changed`, `deleted`.
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_revision: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
    value_size: u64,
    /// The newest time that the value carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    dated: Option<&'d str>,
    /// Versions right before this one that are not there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_versions: Option<[i64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ChangeDocument<'d>>>,
    /// Why the changes are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'d str>,
}

#[derive(Serialize)]
struct ChangeDocument<'d> {
    path: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'d Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'d Json>,
}

impl Patch {
    /// What leads from `before` to `after`; nothing where one of them is not there.
    fn of(before: &Content, after: &Content) -> Self {
        let mut patch = Self::default();
        match (before, after) {
            (Content::Object { redacted: old, .. }, Content::Object { redacted: new, .. }) if old != new => {
                patch.reason =
                    Some("only one of this write and the one before is a type that is hidden".to_owned());
            }
            (Content::Object { shown: old, .. }, Content::Object { shown: new, .. }) => {
                let changes = after.changes_since(before);
                patch.changes = changes.iter().map(|change| ShownChange::of(change, old, new)).collect();
            }
            (
                Content::Bytes { value: old, hidden: hides_old },
                Content::Bytes { value: new, hidden: hides_new },
            ) if old != new => {
                let hidden = *hides_old || *hides_new;
                let (before, after) = (Some(bytes(old, hidden)), Some(bytes(new, hidden)));
                patch.changes.push(ShownChange { path: "(value)".to_owned(), before, after });
            }
            (_, Content::Unreadable(why)) => patch.reason = Some(why.to_string()),
            (Content::Unreadable(_), Content::Object { .. }) => {
                patch.reason = Some("the write before cannot be read".to_owned());
            }
            _ => {}
        }
        patch
    }
}

/// Text as it is, other bytes and what is hidden by their number.
fn bytes(value: &[u8], hidden: bool) -> Json {
    match std::str::from_utf8(value) {
        _ if hidden => Json::from(format!("<redacted {}>", count(value.len() as u64, "byte", "bytes"))),
        Ok(text) => Json::from(text),
        Err(_) => Json::from(format!("<{}>", count(value.len() as u64, "byte", "bytes"))),
    }
}

fn as_json(value: &Value<'_>) -> Json {
    let mut text = Vec::new();
    kube_json::write_compact(value, &mut text);
    serde_json::from_slice(&text).unwrap_or_default()
}

impl ShownChange {
    fn of(change: &Change, before: &Value<'_>, after: &Value<'_>) -> Self {
        Self {
            path: if change.path.is_empty() { "(value)".to_owned() } else { change.to_string() },
            before: change.before(before).map(as_json),
            after: change.after(after).map(as_json),
        }
    }

    /// A line for people.
    fn line(&self) -> io::Result<String> {
        let path = safe(self.path.as_bytes());
        Ok(match (&self.before, &self.after) {
            (None, Some(after)) => format!("+ {path}: {}", shortened(after)?),
            (Some(before), None) => format!("- {path}: {}", shortened(before)?),
            (Some(before), Some(after)) => {
                format!("~ {path}: {} -> {}", shortened(before)?, shortened(after)?)
            }
            (None, None) => path,
        })
    }

    fn document(&self) -> ChangeDocument<'_> {
        ChangeDocument { path: &self.path, before: self.before.as_ref(), after: self.after.as_ref() }
    }
}

/// JSON that does nothing to a terminal, or its beginning.
fn shortened(value: &Json) -> io::Result<String> {
    let mut text = Vec::new();
    json::write_line(&mut text, value)?;
    let text = String::from_utf8_lossy(text.trim_ascii_end()).into_owned();
    Ok(match text.char_indices().nth(SHOWN_CHARACTERS) {
        None => text,
        Some((end, _)) => {
            let shown = text.get(..end).unwrap_or_default();
            format!("{shown}... ({})", count(text.len() as u64, "byte", "bytes"))
        }
    })
}

impl<'h, 'a> Shown<'h, 'a> {
    pub(super) fn new(
        history: &'h KeyHistory<'a>,
        reader: &Reader<'_>,
        redaction: Option<&Redaction>,
        with_patch: bool,
    ) -> Self {
        let mut writes = Vec::new();
        let mut before = Content::Nothing;
        let mut hidden = hidden(if with_patch { &history.records } else { &[] }, reader, redaction);
        for (record, missing) in history.records.iter().zip(history.missing()) {
            let mut patch = None;
            if with_patch {
                let content = Content::read(record, reader, redaction, &mut hidden);
                // Of what stands between nothing is known.
                let since = if missing.is_some() { &Content::Nothing } else { &before };
                patch = Some(Patch::of(since, &content));
                before = content;
            }
            let dated = dated(record, reader.keys, &reader.prefixes).map(|time| time.to_string());
            writes.push(Put { record, missing, dated, patch });
        }
        Self { history, writes }
    }

    /// Whether everything was told that was asked for.
    pub(super) fn all_shown(&self) -> bool {
        self.reasons().next().is_none()
    }

    fn reasons(&self) -> impl Iterator<Item = &str> {
        self.writes.iter().filter_map(|write| write.patch.as_ref()?.reason.as_deref())
    }

    /// A row for each write; the changes of each below it.
    pub(super) fn table(&self, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        const TITLES: [&str; 6] = ["REVISION", "WHAT", "VERSION", "SIZE", "LEASE", "DATED"];
        let mut text = Vec::new();
        let mut table = Columns::new(&mut text, &TITLES);
        let mut rows = Rows::default();
        self.writes.iter().for_each(|write| write.row(&mut rows));
        table.print(&rows)?;
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        out.write_all(lines.next().unwrap_or_default())?;
        for (line, write) in lines.zip(&self.writes) {
            if let Some(missing) = write.missing {
                writeln!(out, "({})", absent(missing))?;
            }
            out.write_all(line)?;
            let Some(patch) = &write.patch else { continue };
            for change in &patch.changes {
                writeln!(out, "    {}", change.line()?)?;
            }
            if let Some(reason) = &patch.reason {
                writeln!(out, "    ! not told: {}", safe(reason.as_bytes()))?;
            }
        }
        Ok(())
    }

    pub(super) fn json(&self, out: &mut (dyn Write + Send)) -> Result<(), Failure> {
        let key = self.history.records.first().map_or(&[][..], |record| record.kv.key);
        let shown = safe(key);
        let document = Document {
            schema_version: SCHEMA_VERSION,
            key_hex: (shown.as_bytes() != key).then(|| hex(key)),
            key: shown,
            oldest_revision: self.history.window.oldest(),
            newest_revision: self.history.window.current,
            writes: self.writes.iter().map(Put::document).collect(),
        };
        json::write_page(out, &document)?;
        Ok(())
    }

    pub(super) fn lines(&self, mut out: &mut (dyn Write + Send)) -> io::Result<()> {
        self.writes.iter().try_for_each(|write| json::write_line(&mut out, &write.document()))
    }

    /// Says what a reader of the table has to know, and where to go on.
    pub(super) fn tell(&self, context: &Context<'_>) {
        if let Some(reason) = self.reasons().next() {
            let shown = self.reasons().count() as u64;
            context.say(format_args!(
                "warning: the changes of {} are not told: {}",
                count(shown, "write", "writes"),
                safe(reason.as_bytes())
            ));
        }
        if self.writes.first().is_some_and(|write| write.missing.is_some()) {
            context.say("note: older writes were compacted away; `etcdsnap carve FILE` finds what the file still holds of them");
        }
    }
}

fn absent(missing: Missing) -> String {
    let Missing { from, to } = missing;
    if from == to {
        format!("version {from} is not there any more")
    } else {
        format!("versions {from} to {to} are not there any more")
    }
}

impl Put<'_, '_> {
    fn row(&self, rows: &mut Rows) {
        let kv = &self.record.kv;
        let dash = || "-".to_owned();
        rows.cell(&self.record.revision.main.to_string());
        rows.cell(Deed::of(self.record).name());
        rows.cell(&if self.record.tombstone { dash() } else { kv.version.to_string() });
        rows.cell(&if self.record.tombstone { dash() } else { kv.value.len().to_string() });
        rows.cell(&if kv.lease == 0 { dash() } else { LeaseId(kv.lease).to_string() });
        rows.cell(self.dated.as_deref().unwrap_or("-"));
    }

    fn document(&self) -> PutDocument<'_> {
        let (record, kv) = (self.record, &self.record.kv);
        PutDocument {
            revision: record.revision.main,
            sub_revision: record.revision.sub,
            what: Deed::of(record).name(),
            create_revision: (!record.tombstone).then_some(kv.create_revision),
            version: (!record.tombstone).then_some(kv.version),
            lease: (kv.lease != 0).then(|| LeaseId(kv.lease).to_string()),
            value_size: kv.value.len() as u64,
            dated: self.dated.as_deref(),
            missing_versions: self.missing.map(|missing| [missing.from, missing.to]),
            changes: self
                .patch
                .as_ref()
                .map(|patch| patch.changes.iter().map(ShownChange::document).collect()),
            reason: self.patch.as_ref().and_then(|patch| patch.reason.as_deref()),
        }
    }
}
