//! What was found as a row, a YAML document or a line of JSON.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use etcdsnap::etcd::lease::LeaseId;
use etcdsnap::etcd::remnant::Remnant;
use etcdsnap::kube::object::RAW;
use etcdsnap::kube::value::{Map, Value};
use etcdsnap::kube::{json as kube_json, yaml};
use etcdsnap::ops::carve::Kind;
use etcdsnap::ops::reader::REASON;
use serde::Serialize;

use super::super::SCHEMA_VERSION;
use super::item::{Content, Item};
use super::summary::Summary;
use crate::cli::output::columns::Rows;
use crate::cli::output::json;
use crate::cli::output::text::{count, hex, safe};

/// Between two documents.
pub(super) const SEPARATOR: &[u8] = b"---\n";

/// Of a line of JSON.
pub(super) const END: &[u8] = b"}\n";

/// Provenance in JSON. The object or the value stands behind it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    /// `deleted`, `compacted`, `replaced`, `later`, `unknown`.
    relation: &'static str,
    /// `whole`, `element`, `scan`, `fragment`.
    sure: &'static str,
    /// `put`, `tombstone`, `entry`, `value`.
    kind: &'static str,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_hex: Option<String>,
    #[serde(flatten)]
    record: Option<RecordDocument>,
    page: u64,
    offset: u64,
    copies: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_offsets: Vec<u64>,
    /// Bytes of the value that are there.
    value_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing_bytes: Option<u32>,
    /// Why it is not shown as an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// In base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordDocument {
    mod_revision: i64,
    /// Not known where the revision key is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_revision: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_revision: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
}

impl Item<'_, '_> {
    fn has_revision_key(&self) -> bool {
        self.found.spot.key_length > 0
    }

    fn kind(&self) -> &'static str {
        match (&self.remnant, self.is_tombstone()) {
            (_, true) => "tombstone",
            (Remnant::Record { .. }, _) => "put",
            (Remnant::Entry { .. }, _) => "entry",
            (Remnant::Value(_), _) => "value",
        }
    }

    pub(super) fn row(&self, rows: &mut Rows) {
        let found = self.found;
        let revision = self.revision().map_or_else(|| "-".to_owned(), |revision| revision.to_string());
        rows.cell(&revision);
        rows.cell(found.relation.name());
        rows.cell(found.spot.sure.name());
        let label = &self.label;
        let is_object = label.kind == Kind::Object;
        let type_name = safe(label.type_name.as_bytes());
        rows.cell(&if is_object { type_name } else { format!("({type_name})") });
        rows.cell(&label.namespace.as_deref().map_or_else(|| "-".to_owned(), safe));
        rows.cell(&if label.name.is_empty() { "-".to_owned() } else { safe(&label.name) });
        let size = self.stored().len() as u64;
        rows.cell(&match found.spot.missing {
            _ if self.is_tombstone() => "-".to_owned(),
            0 => size.to_string(),
            missing => format!("{size} of {}", size.saturating_add(u64::from(missing))),
        });
        rows.cell(&found.copies.to_string());
        rows.cell(&self.page.to_string());
        rows.cell(&found.spot.offset.to_string());
    }

    /// Where it is from, in two lines of comment.
    fn provenance(&self, out: &mut Vec<u8>) {
        let found = self.found;
        let name = match self.key() {
            Some(key) if matches!(self.label.kind, Kind::Entry(_)) => {
                format!("{} {}", self.label.type_name, safe(key))
            }
            Some(key) => safe(key),
            None => format!("a value of type {} without its key", safe(self.label.type_name.as_bytes())),
        };
        let revision = self.revision().map_or_else(String::new, |revision| format!(", revision {revision}"));
        let missing = match found.spot.missing {
            0 => String::new(),
            missing => format!(", {} missing", count(u64::from(missing), "byte", "bytes")),
        };
        let text = format!(
            "# {name}{revision}: {}\n# {}{missing}; page {}, offset {}; {}\n",
            found.relation.name(),
            found.spot.sure.name(),
            self.page,
            found.spot.offset,
            count(u64::from(found.copies), "copy", "copies")
        );
        out.extend_from_slice(text.as_bytes());
    }

    /// A document with a separator in front; nothing for what has no value.
    pub(super) fn yaml(&self, out: &mut Vec<u8>, summary: &mut Summary) {
        if let Some(value) = self.value(summary) {
            out.extend_from_slice(SEPARATOR);
            self.provenance(out);
            yaml::write(&value, out);
        }
    }

    /// A document for a file of its own.
    pub(super) fn yaml_file(&self, object: &Value<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        self.provenance(&mut out);
        yaml::write_exactly(object, &mut out);
        out
    }

    /// The value in the form of an object.
    fn value(&self, summary: &mut Summary) -> Option<Value<'static>> {
        let (bytes, why) = match self.content(summary) {
            Content::Nothing => {
                summary.left_out();
                return None;
            }
            Content::Object(object) => return Some(object),
            Content::Bytes(bytes, why) => (Some(bytes), why),
            Content::Hidden(why) => (None, Some(format!("{why}; --redact hides what is left"))),
        };
        let mut map = Map::default();
        if let Some(key) = self.key() {
            map.insert("etcdsnap.key", Value::from(safe(key)));
        }
        match bytes.map(std::str::from_utf8) {
            Some(Ok(text)) if why.is_none() => {
                map.insert("etcdsnap.value", Value::from(text.to_owned()));
            }
            Some(_) => {
                map.insert(RAW, Value::from(STANDARD.encode(bytes.unwrap_or_default())));
            }
            None => {}
        }
        if let Some(why) = why {
            map.insert(REASON, Value::from(why));
        }
        Some(map.into())
    }

    /// A line of JSON, with the object or the value at its end.
    pub(super) fn json(&self, out: &mut Vec<u8>, summary: &mut Summary) -> io::Result<()> {
        let mut document = self.document();
        let mut object = None;
        match self.content(summary) {
            Content::Nothing => {}
            Content::Object(value) => object = Some(value),
            Content::Bytes(bytes, why) => {
                document.reason = why;
                document.value = Some(STANDARD.encode(bytes));
            }
            Content::Hidden(why) => document.reason = Some(why),
        }
        json::write_line(out, &document)?;
        if let Some(object) = object {
            // Objects have a form of their own: numbers and escapes as Go writes them.
            out.truncate(out.len().saturating_sub(END.len()));
            out.extend_from_slice(b",\"object\":");
            kube_json::write_compact(&object, out);
            out.extend_from_slice(END);
        }
        Ok(())
    }

    /// A line of JSON without the value.
    pub(super) fn json_line(&self, out: &mut Vec<u8>) -> io::Result<()> {
        json::write_line(out, &self.document())
    }

    fn document(&self) -> Document {
        let (found, label) = (self.found, &self.label);
        let key = self.key();
        let shown = key.map(safe);
        let escaped = shown.as_deref().map(str::as_bytes) != key;
        let record = match self.remnant {
            Remnant::Record { revision, tombstone, kv } => Some(RecordDocument {
                mod_revision: revision.main,
                sub_revision: self.has_revision_key().then_some(revision.sub),
                create_revision: (!tombstone).then_some(kv.create_revision),
                version: (!tombstone).then_some(kv.version),
                lease: (kv.lease != 0).then(|| LeaseId(kv.lease).to_string()),
            }),
            _ => None,
        };
        Document {
            schema_version: SCHEMA_VERSION,
            relation: found.relation.name(),
            sure: found.spot.sure.name(),
            kind: self.kind(),
            r#type: label.type_name.clone(),
            namespace: label.namespace.as_deref().map(safe),
            name: safe(&label.name),
            key_hex: key.filter(|_| escaped).map(hex),
            key: shown,
            record,
            page: self.page,
            offset: found.spot.offset.0,
            copies: found.copies,
            other_offsets: found.other_offsets().map(|offset| offset.0).collect(),
            value_size: self.stored().len() as u64,
            missing_bytes: Some(found.spot.missing).filter(|missing| *missing > 0),
            reason: None,
            value: None,
        }
    }
}
