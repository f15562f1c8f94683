//! Objects as text: YAML, JSON, names. One alone stands for itself, several are
//! a `List`, of which the items are written as they come.

use std::io::{self, Write};

use etcdsnap::kube::value::{Map, Value};
use etcdsnap::kube::{json, yaml};

/// The forms in which whole objects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::commands) enum Form {
    Yaml,
    Json,
    Jsonl,
}

/// Objects that are written as they come.
pub(in crate::cli::commands) struct Documents<'o> {
    out: &'o mut (dyn Write + Send),
    form: Form,
    items: bool,
}

impl Form {
    /// An object alone.
    pub(in crate::cli::commands) fn write(self, object: &Value<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Yaml => yaml::write(object, out),
            Self::Json => json::write(object, out),
            Self::Jsonl => {
                json::write_compact(object, out);
                out.push(b'\n');
            }
        }
    }

    /// An object as one of a list, behind those that `out` holds already.
    pub(in crate::cli::commands) fn write_item(self, object: &Value<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Yaml => yaml::write_item(object, 0, out),
            Self::Json => {
                if !out.is_empty() {
                    out.extend_from_slice(BETWEEN);
                }
                out.extend_from_slice(b"        ");
                json::write_at(object, 2, out);
            }
            Self::Jsonl => self.write(object, out),
        }
    }
}

const BETWEEN: &[u8] = b",\n";

impl<'o> Documents<'o> {
    pub(in crate::cli::commands) fn new(out: &'o mut (dyn Write + Send), form: Form) -> Self {
        Self { out, form, items: false }
    }

    /// Writes items that [`Form::write_item`] made.
    pub(in crate::cli::commands) fn add(&mut self, items: &[u8]) -> io::Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let before: &[u8] = match (self.form, self.items) {
            (Form::Yaml, false) => b"apiVersion: v1\nitems:\n",
            (Form::Json, false) => b"{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n",
            (Form::Json, true) => BETWEEN,
            (Form::Yaml, true) | (Form::Jsonl, _) => b"",
        };
        self.items = true;
        self.out.write_all(before)?;
        self.out.write_all(items)
    }

    /// Ends the list.
    pub(in crate::cli::commands) fn finish(self) -> io::Result<()> {
        let end: &[u8] = match (self.form, self.items) {
            (Form::Yaml, true) => b"kind: List\nmetadata:\n  resourceVersion: \"\"\n",
            (Form::Json, true) => {
                b"\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n"
            }
            (Form::Jsonl, _) => b"",
            (form, false) => {
                let mut text = Vec::new();
                form.write(&list(Vec::new()), &mut text);
                return self.out.write_all(&text);
            }
        };
        self.out.write_all(end)
    }
}

/// What kubectl makes of several objects.
pub(in crate::cli::commands) fn list(items: Vec<Value<'_>>) -> Value<'_> {
    let mut metadata = Map::default();
    metadata.insert("resourceVersion", Value::from(""));
    let mut list = Map::default();
    list.insert("apiVersion", Value::from("v1"));
    list.insert("items", Value::List(items));
    list.insert("kind", Value::from("List"));
    list.insert("metadata", metadata.into());
    list.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &'static str) -> Value<'static> {
        let mut map = Map::default();
        map.insert("kind", Value::from(name));
        map.into()
    }

    #[test]
    fn a_list_written_piece_by_piece_is_the_list_written_at_once() {
        for form in [Form::Yaml, Form::Json] {
            for names in [&[][..], &[&["A"][..]], &[&["A", "B"], &["C"]], &[&[], &["A"], &[], &["B"]]] {
                let mut out = Vec::new();
                let mut documents = Documents::new(&mut out, form);
                for batch in names {
                    let mut items = Vec::new();
                    batch.iter().for_each(|name| form.write_item(&object(name), &mut items));
                    documents.add(&items).expect("written");
                }
                documents.finish().expect("written");
                let mut whole = Vec::new();
                form.write(
                    &list(names.iter().flat_map(|batch| batch.iter().map(|name| object(name))).collect()),
                    &mut whole,
                );
                assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&whole), "{form:?}");
            }
        }
    }
}
