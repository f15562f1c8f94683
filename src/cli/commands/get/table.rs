//! Objects as rows: the columns of their kind, and those that options add.

use std::borrow::Cow;
use std::io::{self, IsTerminal};

use etcdsnap::kube::select::label_columns;
use etcdsnap::kube::select::printer_columns::{PrinterColumns, capitals};
use etcdsnap::kube::select::types::ResourceType;
use etcdsnap::kube::table::{self, Context, Printer};
use etcdsnap::kube::value::Value;
use etcdsnap::ops::reader::REASON;

use crate::cli::output::columns::Rows;
use crate::cli::output::text::{acts_on_display, is_dangerous};

/// Where the columns come from.
#[derive(Debug)]
enum Source {
    BuiltIn(&'static Printer),
    Custom(PrinterColumns),
}

/// What options add to the columns of a kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Additions {
    pub(super) namespace: bool,
    /// Before each name, with a slash: `pod`.
    pub(super) prefix: Option<String>,
    pub(super) labels: Vec<String>,
    pub(super) all_labels: bool,
}

/// How objects of one type become rows.
#[derive(Debug)]
pub(super) struct Table {
    source: Source,
    context: Context,
    additions: Additions,
    /// Whether each column of a custom kind is shown, and how many are.
    shown: Vec<bool>,
    columns: usize,
}

impl Table {
    pub(super) fn new(of: ResourceType<'_>, context: Context, additions: Additions) -> Self {
        let source = match of {
            ResourceType::BuiltIn(resource) => {
                Source::BuiltIn(table::printer(resource.group, resource.kind).unwrap_or(&table::DEFAULT))
            }
            ResourceType::Custom(crd) => Source::Custom(
                crd.preferred()
                    .or_else(|| crd.stored())
                    .map_or_else(PrinterColumns::standard, PrinterColumns::new),
            ),
        };
        let shown: Vec<bool> = match &source {
            Source::BuiltIn(_) => Vec::new(),
            Source::Custom(columns) => columns.columns().map(|(_, wide)| context.wide || !wide).collect(),
        };
        let columns = match &source {
            Source::BuiltIn(printer) => printer.columns(&context).count(),
            Source::Custom(_) => shown.iter().filter(|shown| **shown).count(),
        };
        Self { source, context, additions, shown, columns }
    }

    /// The titles, in capitals.
    pub(super) fn titles(&self) -> Vec<String> {
        let mut titles = Vec::new();
        if self.additions.namespace {
            titles.push("NAMESPACE".to_owned());
        }
        match &self.source {
            Source::BuiltIn(printer) => {
                titles.extend(printer.columns(&self.context).map(|column| capitals(column.name)));
            }
            Source::Custom(columns) => {
                let named = columns.columns().zip(&self.shown).filter(|(_, shown)| **shown);
                titles.extend(named.map(|((name, _), _)| printable(&capitals(name)).into_owned()));
            }
        }
        titles.extend(
            self.additions.labels.iter().map(|key| printable(&label_columns::header(key)).into_owned()),
        );
        if self.additions.all_labels {
            titles.push("LABELS".to_owned());
        }
        titles
    }

    /// The fields that rows are made of; `None` if any may be.
    pub(super) fn reads(&self) -> Option<Vec<&'static str>> {
        let Source::BuiltIn(printer) = &self.source else { return None };
        let mut paths: Vec<&'static str> = printer
            .reads(self.context.wide)
            // Of some maps only the keys are shown.
            .map(|path| path.trim_end_matches("{}"))
            .collect();
        paths.push("metadata.namespace");
        if self.additions.all_labels || !self.additions.labels.is_empty() {
            paths.push("metadata.labels");
        }
        Some(paths)
    }

    /// Adds the row of `object`.
    pub(super) fn row(&self, object: &Value<'_>, rows: &mut Rows) {
        if self.additions.namespace {
            rows.cell(&printable(object.text(&["metadata", "namespace"])));
        }
        if let Some(why) = object.get(REASON).and_then(Value::as_str) {
            return self.row_of_unreadable(object, why, rows);
        }
        match &self.source {
            Source::BuiltIn(printer) => {
                let cells = printer.cells(object, &self.context);
                self.cells(cells.iter().map(AsRef::as_ref), rows);
            }
            Source::Custom(columns) => {
                let cells = columns.cells(object, self.context.now);
                let shown = cells.iter().zip(&self.shown).filter(|(_, shown)| **shown);
                self.cells(shown.map(|(cell, _)| cell.as_str()), rows);
            }
        }
        for key in &self.additions.labels {
            rows.cell(&printable(label_columns::value(object, key)));
        }
        if self.additions.all_labels {
            rows.cell(&printable(&label_columns::all(object)));
        }
    }

    fn cells<'c>(&self, cells: impl Iterator<Item = &'c str>, rows: &mut Rows) {
        for (number, cell) in cells.enumerate() {
            match &self.additions.prefix {
                // The name is the first column of every kind.
                Some(prefix) if number == 0 => rows.cell(&printable(&format!("{prefix}/{cell}"))),
                _ => rows.cell(&printable(cell)),
            }
        }
    }

    /// Adds the row of an object that cannot be read: its name, and why.
    fn row_of_unreadable(&self, object: &Value<'_>, why: &str, rows: &mut Rows) {
        let name = object.text(&["metadata", "name"]);
        match &self.additions.prefix {
            Some(prefix) => rows.cell(&printable(&format!("{prefix}/{name}"))),
            None => rows.cell(&printable(name)),
        }
        // The reason stands in the last column, where it widens no other.
        let behind = (self.columns + self.additions.labels.len() + usize::from(self.additions.all_labels))
            .saturating_sub(1);
        for _ in 1..behind {
            rows.cell("<unknown>");
        }
        if behind > 0 {
            rows.cell(&format!("<{}>", printable(why)));
        }
    }
}

/// As kubectl shows a cell: its first line, and ESC as `^[`. Other characters
/// that a terminal would take for a command are escaped, too; and on a terminal those
/// that cannot be seen. A program gets these as kubectl writes them.
pub(super) fn printable(cell: &str) -> Cow<'_, str> {
    if cell.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return Cow::Borrowed(cell);
    }
    let escapes = if io::stdout().is_terminal() { is_dangerous } else { acts_on_display };
    if !cell.chars().any(escapes) {
        return Cow::Borrowed(cell);
    }
    let (first, rest) = cell.split_at(cell.find(['\n', '\r', '\u{c}']).unwrap_or(cell.len()));
    let mut text = String::with_capacity(cell.len());
    for character in first.chars() {
        match character {
            '\u{1b}' => text.push_str("^["),
            character if escapes(character) => text.extend(character.escape_unicode()),
            character => text.push(character),
        }
    }
    if !rest.is_empty() {
        text.push_str("...");
    }
    Cow::Owned(text)
}
