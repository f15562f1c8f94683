//! What damage means for the data, in words and as JSON.

use std::io::{self, Write};

use etcdsnap::bolt::Excerpt;
use etcdsnap::ops::verify::{Affected, Group, GroupName, Latest, Tally};
use serde::Serialize;

use crate::cli::output::size::grouped;
use crate::cli::output::text::{count, safe};

/// Spans of revisions, and groups of keys, that are shown where not all are asked for.
const SHOWN: usize = 8;
/// Names of a group.
const NAMES: usize = 4;

/// Whether the latest state is affected: the sentence.
pub(super) fn sentence(affected: Option<&Affected>) -> &'static str {
    match affected.map_or(Latest::Whole, |affected| affected.latest) {
        Latest::Affected => "The latest state is affected.",
        Latest::Doubtful => "The latest state may be affected.",
        Latest::Whole if affected.is_some() => "Only history is affected: the latest state is whole.",
        Latest::Whole => "No key and no part of their history is affected.",
    }
}

/// What it means for the data, behind the findings.
pub(super) fn write(out: &mut dyn Write, affected: Option<&Affected>, verbose: bool) -> io::Result<()> {
    writeln!(out, "\n{}", sentence(affected))?;
    let Some(affected) = affected else { return Ok(()) };
    if affected.anywhere {
        writeln!(
            out,
            "  Bytes were changed after the file was saved, and nothing tells all the places: any value may be wrong."
        )?;
    }
    if !affected.revisions.is_empty() {
        writeln!(out, "  Lost, whole or in part: {}.", spans(&affected.revisions, verbose))?;
    }
    if affected.accounted_for && affected.latest == Latest::Whole {
        writeln!(out, "  Newer records of the same keys account for all that is missing.")?;
    } else if affected.accounted_for && affected.latest == Latest::Doubtful {
        writeln!(
            out,
            "  Newer records of the same keys account for all that is missing, if each revision changed one key: then only history is lost there."
        )?;
    }
    if affected.past > 0 {
        let keys = count(affected.past, "key", "keys");
        writeln!(out, "  Of {keys} an older change is known to be lost, and a newer one is there.")?;
    }
    if affected.unnamed {
        writeln!(out, "  Keys that were written only in what is lost are gone, and nothing tells which.")?;
    }
    for (tally, what) in [
        (
            &affected.lost,
            "their newest change is lost, so that they are gone, older than they were, or back though deleted:",
        ),
        (&affected.undecodable, "cannot be decoded, so that an API server fails to list their types:"),
        (&affected.doubtful, "doubtful, as what is lost may have changed or deleted them:"),
    ] {
        if !tally.is_empty() {
            writeln!(out, "  {what} {}", count(tally.count, "key", "keys"))?;
            groups(out, tally, verbose)?;
        }
    }
    if affected.more {
        writeln!(out, "  There is more damage than is told of one by one: this is the least.")?;
    }
    if affected.nothing_left {
        writeln!(
            out,
            "  No key can be read; `etcdsnap salvage --dry-run FILE OUT.db` shows what could be saved."
        )?;
    } else if !affected.revisions.is_empty() {
        writeln!(
            out,
            "  `etcdsnap list --skip-damaged FILE` shows what is left of the objects, `etcdsnap salvage --dry-run FILE OUT.db` what could be saved."
        )?;
    }
    Ok(())
}

fn spans(spans: &[(i64, Option<i64>)], verbose: bool) -> String {
    let number = |revision: i64| grouped(revision.unsigned_abs());
    let shown = if verbose { spans.len() } else { SHOWN };
    let mut parts: Vec<String> = spans
        .iter()
        .take(shown)
        .map(|(first, last)| match last {
            Some(last) if last == first => format!("revision {}", number(*first)),
            Some(last) => format!("revisions {} to {}", number(*first), number(*last)),
            None => format!("all revisions from {} on", number(*first)),
        })
        .collect();
    let rest = spans.len().saturating_sub(shown);
    if rest > 0 {
        parts.push(format!("and {} more spans", grouped(rest as u64)));
    }
    parts.join(", ")
}

fn groups(out: &mut dyn Write, tally: &Tally, verbose: bool) -> io::Result<()> {
    if tally.groups.is_empty() {
        return writeln!(
            out,
            "    too many to be told one by one: `etcdsnap keys --skip-damaged -o table FILE` shows when each was written"
        );
    }
    let shown = if verbose { tally.groups.len() } else { SHOWN };
    for group in tally.groups.iter().take(shown) {
        let mut names: Vec<String> =
            group.first.iter().take(if verbose { usize::MAX } else { NAMES }).map(excerpt).collect();
        let rest = group.count.saturating_sub(names.len() as u64);
        if rest > 0 {
            names.push(format!("and {} more", grouped(rest)));
        }
        writeln!(out, "    {} {}: {}", grouped(group.count), of(group), names.join(", "))?;
    }
    let others = tally.groups.iter().skip(shown).map(|group| group.count).sum::<u64>() + tally.ungrouped;
    if others > 0 {
        let how = if verbose { "" } else { " (-v shows them)" };
        writeln!(out, "    and {} of other kinds{how}", count(others, "key", "keys"))?;
    }
    Ok(())
}

/// `secrets in namespace shop`, `deployments.apps`, `below /other/`.
fn of(group: &Group) -> String {
    match &group.name {
        GroupName::Objects { resource, group, namespace } => {
            let dot = if group.bytes.is_empty() { "" } else { "." };
            let place = namespace.as_ref().map(|name| format!(" in namespace {}", excerpt(name)));
            format!("{}{dot}{}{}", excerpt(resource), excerpt(group), place.unwrap_or_default())
        }
        GroupName::Folder(folder) if folder.bytes.is_empty() => "without a folder".to_owned(),
        GroupName::Folder(folder) => format!("below {}", excerpt(folder)),
    }
}

fn excerpt(excerpt: &Excerpt) -> String {
    format!("{}{}", safe(&excerpt.bytes), if excerpt.cut { "..." } else { "" })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AffectedDocument {
    latest_state: &'static str,
    lost_revisions: Vec<SpanDocument>,
    missing_revisions: u64,
    accounted_for: bool,
    unnamed_keys: bool,
    nothing_left: bool,
    anywhere: bool,
    lost: TallyDocument,
    undecodable: TallyDocument,
    doubtful: TallyDocument,
    past_only: u64,
    more: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanDocument {
    first: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TallyDocument {
    count: u64,
    groups: Vec<GroupDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    count: u64,
    first: Vec<String>,
}

impl AffectedDocument {
    pub(super) fn of(affected: Option<&Affected>) -> Self {
        let latest_state = match affected.map_or(Latest::Whole, |affected| affected.latest) {
            Latest::Affected => "affected",
            Latest::Doubtful => "doubtful",
            Latest::Whole => "whole",
        };
        let nothing = Affected::default();
        let affected = affected.unwrap_or(&nothing);
        let spans = affected.revisions.iter();
        Self {
            latest_state,
            lost_revisions: spans.map(|(first, last)| SpanDocument { first: *first, last: *last }).collect(),
            missing_revisions: affected.missing,
            accounted_for: affected.accounted_for,
            unnamed_keys: affected.unnamed,
            nothing_left: affected.nothing_left,
            anywhere: affected.anywhere,
            lost: TallyDocument::of(&affected.lost),
            undecodable: TallyDocument::of(&affected.undecodable),
            doubtful: TallyDocument::of(&affected.doubtful),
            past_only: affected.past,
            more: affected.more,
        }
    }
}

impl TallyDocument {
    fn of(tally: &Tally) -> Self {
        Self { count: tally.count, groups: tally.groups.iter().map(GroupDocument::of).collect() }
    }
}

impl GroupDocument {
    fn of(group: &Group) -> Self {
        let first = group.first.iter().map(excerpt).collect();
        let mut document =
            Self { resource: None, group: None, namespace: None, folder: None, count: group.count, first };
        match &group.name {
            GroupName::Objects { resource, group, namespace } => {
                document.resource = Some(excerpt(resource));
                document.group = Some(excerpt(group));
                document.namespace = namespace.as_ref().map(excerpt);
            }
            GroupName::Folder(folder) => document.folder = Some(excerpt(folder)),
        }
        document
    }
}
