//! One run as a row of the table, and as JSON.

use etcdsnap::bolt::{FormFound, Parent, Run, Use};
use etcdsnap::ops::pages::Survey;
use serde::Serialize;

use super::shown;
use crate::cli::output::columns::Rows;
use crate::cli::output::text::hex;

/// The titles of the table.
pub(super) const TITLES: [&str; 10] =
    ["ID", "KIND", "BUCKET", "ELEMENTS", "OVERFLOW", "USED", "SLACK", "PARENT", "STATE", "KEYS"];

/// A run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunDocument {
    /// Its first page.
    pub(crate) id: u64,
    pages: u64,
    pub(crate) offset: u64,
    kind: &'static str,
    /// What the header of a page makes it that nothing uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elements: Option<u64>,
    overflow: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slack: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<ParentDocument>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_key_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_key_hex: Option<String>,
}

/// What leads to a page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum ParentDocument {
    Meta,
    #[serde(untagged)]
    Element {
        page: u64,
        element: u32,
    },
}

/// What a page that nothing uses was, by its header.
fn was(survey: &Survey<'_>, run: &Run) -> Option<FormFound> {
    if run.kind.is_unused() || run.kind == Use::Bad { survey.census.form(run.first) } else { None }
}

/// Elements that the header claims; of a list in the long form, its first entry.
fn elements(survey: &Survey<'_>, run: &Run) -> Option<u64> {
    match run.kind {
        Use::Freelist => survey.census.view(run).free_ids().ok().map(|ids| ids.len() as u64),
        Use::Branch | Use::Leaf => survey.census.header(run.first).map(|header| u64::from(header.count)),
        _ => None,
    }
}

impl RunDocument {
    pub(crate) fn of(survey: &Survey<'_>, run: &Run) -> Self {
        let view = survey.census.glance(run);
        let within = survey.within(run);
        let was = was(survey, run);
        let keys = if run.kind == Use::Meta { None } else { view.first_and_last() };
        let in_use = !run.kind.is_unused() && run.kind != Use::Bad;
        Self {
            id: run.first.0,
            pages: run.pages,
            offset: view.offset.0,
            kind: run.kind.name(),
            was: was.map(FormFound::name),
            bucket: shown::bucket(survey, run),
            depth: run.tree.map(|_| run.depth),
            elements: elements(survey, run),
            overflow: run.pages.saturating_sub(1),
            used: view.used().filter(|_| in_use),
            slack: view.slack().filter(|_| in_use).map(|slack| slack.len() as u64),
            parent: run.parent.map(|parent| match parent {
                Parent::Meta => ParentDocument::Meta,
                Parent::Element { page, element } => ParentDocument::Element { page: page.0, element },
            }),
            state: shown::state(run),
            first_key: keys.map(|(first, _)| shown::key_whole(within, first)),
            first_key_hex: keys.map(|(first, _)| hex(first)),
            last_key: keys.map(|(_, last)| shown::key_whole(within, last)),
            last_key_hex: keys.map(|(_, last)| hex(last)),
        }
    }
}

/// Adds a row of the table.
pub(super) fn cells(rows: &mut Rows, survey: &Survey<'_>, run: &Run) {
    let view = survey.census.glance(run);
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let in_use = !run.kind.is_unused() && run.kind != Use::Bad;
    rows.cell(&run.first.to_string());
    rows.cell(run.kind.name());
    rows.cell(shown::bucket(survey, run).as_deref().unwrap_or("-"));
    rows.cell(&number(elements(survey, run)));
    rows.cell(&run.pages.saturating_sub(1).to_string());
    rows.cell(&number(view.used().filter(|_| in_use)));
    rows.cell(&number(view.slack().filter(|_| in_use).map(|slack| slack.len() as u64)));
    rows.cell(&shown::parent(run));
    rows.cell(shown::state(run));
    let within = survey.within(run);
    let keys = view.first_and_last().filter(|_| run.kind != Use::Meta);
    let keys = keys.map(|(first, last)| match (first == last, shown::key_text(within, first)) {
        (true, key) => key,
        (false, first) => format!("{first} .. {}", shown::key_text(within, last)),
    });
    rows.cell(&match (was(survey, run), keys) {
        (Some(form), Some(keys)) => format!("was a {}: {keys}", form.name()),
        (Some(form), None) => format!("was a {}", form.name()),
        (None, Some(keys)) if in_use => keys,
        (None, _) => "-".to_owned(),
    });
}
