mod map;
mod row;
pub(super) mod shown;
mod summary;

use std::ffi::OsString;
use std::path::PathBuf;

use etcdsnap::bolt::{Run, Use};
use etcdsnap::ops::pages::{Survey, survey};
use serde::Serialize;

pub(super) use row::RunDocument;

use super::SCHEMA_VERSION;
use crate::cli::failure::Failure;
use crate::cli::input::{Looking, Threads};
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::json;
use crate::cli::output::terminal;
use crate::cli::output::text::{count, safe};
use crate::cli::{Context, Outcome, progress};
use summary::Summary;

/// What every page is used for
///
/// A row for each page with its overflow: kind, bucket, elements, bytes used and
/// not, the page and element that lead to it, and its first and last key
/// (revisions as main/sub). Sums for each bucket at the end. Damaged files are
/// shown as they are; exit 1 if there is damage in what is shown.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap pages [OPTIONS] FILE")]
pub(crate) struct Pages {
    /// The snapshot
    #[arg(value_name = "FILE")]
    words: Vec<OsString>,
    /// A picture: a character for each page, or for a block of them
    #[arg(long, conflicts_with_all = ["output", "free", "kind", "bucket"])]
    map: bool,
    /// Only pages that nothing uses
    #[arg(long)]
    free: bool,
    /// Only pages of these kinds
    #[arg(long, value_enum, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<Kind>,
    /// Only pages of this bucket, and of those in it
    #[arg(long, value_name = "BUCKET")]
    bucket: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PagesFormat::Table)]
    output: PagesFormat,
    #[command(flatten)]
    looking: Looking,
    #[command(flatten)]
    threads: Threads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PagesFormat {
    /// Columns with titles
    Table,
    /// One JSON document
    Json,
    /// One JSON document per line
    Jsonl,
    /// Numbers alone, one per line
    Name,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Meta,
    Freelist,
    Branch,
    Leaf,
    Bad,
    Free,
    Leaked,
    Unknown,
}

impl Kind {
    fn is(self, kind: Use) -> bool {
        let wanted = match self {
            Self::Meta => Use::Meta,
            Self::Freelist => Use::Freelist,
            Self::Branch => Use::Branch,
            Self::Leaf => Use::Leaf,
            Self::Bad => Use::Bad,
            Self::Free => Use::Free,
            Self::Leaked => Use::Leaked,
            Self::Unknown => Use::Unknown,
        };
        kind == wanted
    }
}

/// What follows the rows.
#[derive(Serialize)]
struct Tail {
    summary: Summary,
}

/// Opens a file and looks at all its pages, and hands them to `each`.
pub(super) fn surveyed<T>(
    context: &mut Context<'_>,
    looking: &Looking,
    threads: &Threads,
    file: &std::path::Path,
    each: impl FnOnce(&mut Context<'_>, &Survey<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let source = looking.opening.source(context, file)?;
    let settings = threads.settings(context);
    let total = source.bytes().len() as u64;
    let survey = progress::watch(context, "reading", total, progress::walked, || survey(&source, &settings))?;
    let answer = each(context, &survey)?;
    source.finish()?;
    Ok(answer)
}

/// The tree of a top-level bucket, or of the root by its name in the output.
pub(super) fn bucket_named(survey: &Survey<'_>, name: &str) -> Result<usize, Failure> {
    let trees = survey.census.trees();
    let named = |tree: &etcdsnap::bolt::Tree<'_>| match tree.nesting {
        0 => name == shown::ROOT,
        1 => tree.name == name.as_bytes() || safe(tree.name) == name,
        _ => false,
    };
    trees.iter().position(named).ok_or_else(|| {
        let names: Vec<String> = (0..trees.len())
            .filter(|index| trees.get(*index).is_some_and(|tree| tree.nesting <= 1))
            .map(|index| shown::tree_name(survey, index))
            .collect();
        let hint = if names.is_empty() {
            "no bucket can be found in this file: `etcdsnap pages` without --bucket shows what is left"
                .to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        Failure::no(format!("there is no bucket {name}")).hint(hint)
    })
}

impl Pages {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.looking.named.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let file = self.looking.named.only(&self.words)?;
        surveyed(context, &self.looking, &self.threads, &file, |context, survey| self.show(context, survey))
    }

    fn is_filtered(&self) -> bool {
        self.free || !self.kind.is_empty() || self.bucket.is_some()
    }

    fn show(&self, context: &mut Context<'_>, survey: &Survey<'_>) -> Result<Outcome, Failure> {
        if self.map {
            map::write(context.out, survey, width())?;
            shown::warn(context, survey)?;
            return Ok(if survey.faults().is_empty() { Outcome::Yes } else { Outcome::No });
        }
        let top = self.bucket.as_deref().map(|name| bucket_named(survey, name)).transpose()?;
        let wanted = |run: &Run| {
            let tops = |tree: usize| survey.census.trees().get(tree).map(|tree| tree.top);
            (!self.free || run.kind.is_unused())
                && (self.kind.is_empty() || self.kind.iter().any(|kind| kind.is(run.kind)))
                && top.is_none_or(|top| {
                    run.tree == Some(top) || (top != 0 && run.tree.and_then(tops) == Some(top))
                })
        };
        let mut shown = 0u64;
        let mut faulty = false;
        let mut runs = survey.census.runs().filter(wanted).inspect(|run| {
            shown += 1;
            faulty |= run.faulty || run.shared;
        });
        self.write(context, survey, &mut runs)?;
        drop(runs);
        if !self.is_filtered() {
            shown::warn(context, survey)?;
            return Ok(if survey.faults().is_empty() { Outcome::Yes } else { Outcome::No });
        }
        if self.output == PagesFormat::Table && shown == 0 {
            context.say("no page is like that");
        }
        if faulty || survey.no_meta.is_some() {
            shown::warn(context, survey)?;
            return Ok(Outcome::No);
        }
        Ok(Outcome::Yes)
    }

    fn write(
        &self,
        context: &mut Context<'_>,
        survey: &Survey<'_>,
        runs: &mut dyn Iterator<Item = Run>,
    ) -> Result<(), Failure> {
        let out = &mut *context.out;
        match self.output {
            PagesFormat::Name => {
                for run in runs {
                    writeln!(out, "{}", run.first)?;
                }
            }
            PagesFormat::Jsonl => {
                for run in runs {
                    json::write_line(out, &RunDocument::of(survey, &run))?;
                }
            }
            PagesFormat::Json => {
                write!(out, "{{\n  \"schemaVersion\": {SCHEMA_VERSION},\n  \"pages\": [")?;
                let mut separator = "\n    ";
                for run in runs {
                    let mut line = Vec::new();
                    json::write_line(&mut line, &RunDocument::of(survey, &run))?;
                    write!(out, "{separator}")?;
                    out.write_all(line.trim_ascii_end())?;
                    separator = ",\n    ";
                }
                let mut tail = Vec::new();
                json::write_line(&mut tail, &Tail { summary: Summary::of(survey) })?;
                // Its fields stand beside the list.
                let tail = tail.trim_ascii().strip_prefix(b"{").unwrap_or_default();
                out.write_all(b"\n  ],\n  ")?;
                out.write_all(tail.strip_suffix(b"}").unwrap_or(tail))?;
                out.write_all(b"\n}\n")?;
            }
            PagesFormat::Table => {
                let mut shown = 0u64;
                let mut table = Columns::new(out, &row::TITLES);
                for run in runs {
                    let mut rows = Rows::default();
                    row::cells(&mut rows, survey, &run);
                    table.add(&rows)?;
                    shown += 1;
                }
                table.finish()?;
                if self.is_filtered() {
                    context.say(count(shown, "row", "rows"));
                } else {
                    Summary::of(survey).write(context.out)?;
                }
            }
        }
        Ok(())
    }
}

/// The width of the terminal; of a picture that goes elsewhere, that of most.
fn width() -> usize {
    const USUAL: usize = 80;
    terminal::width(&std::io::stdout()).unwrap_or(USUAL)
}
