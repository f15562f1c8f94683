use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use etcdsnap::bolt::{BranchElement, BucketRoot, Level, PageId, Run, Use};
use etcdsnap::ops::pages::Survey;
use serde::Serialize;

use super::pages::{bucket_named, shown, surveyed};
use super::{PageFormat, SCHEMA_VERSION, write_json};
use crate::cli::failure::Failure;
use crate::cli::input::{Looking, Threads, at_most};
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::size::grouped;
use crate::cli::output::text::{count, safe};
use crate::cli::{Context, Outcome};

/// The buckets and their trees
///
/// For each bucket, or for BUCKET alone: levels, pages, keys, bytes and how full
/// they are; then its pages with the keys that they may hold, from the root down.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap tree [OPTIONS] FILE [BUCKET]")]
pub(crate) struct Tree {
    /// The snapshot, and a bucket
    #[arg(value_name = "FILE [BUCKET]")]
    words: Vec<OsString>,
    /// How many levels of each tree are drawn [default: all above the leaves]
    #[arg(long, value_name = "N")]
    depth: Option<u32>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PageFormat::Text)]
    output: PageFormat,
    #[command(flatten)]
    looking: Looking,
    #[command(flatten)]
    threads: Threads,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    page_size: u64,
    trees: Vec<TreeDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TreeDocument {
    bucket: String,
    nesting: u32,
    inline: bool,
    /// Page of the root; absent if inline.
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<u64>,
    /// The page and the element of its header; absent for the root of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    element: Option<u32>,
    sequence: u64,
    keys: u64,
    faults: u64,
    levels: Vec<LevelDocument>,
    pages: Vec<NodeDocument>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LevelDocument {
    branch_pages: u64,
    leaf_pages: u64,
    overflow_pages: u64,
    elements: u64,
    bytes: u64,
    used: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeDocument {
    depth: u32,
    id: u64,
    kind: &'static str,
    elements: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    below_key: Option<String>,
    state: &'static str,
}

impl Tree {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.looking.named.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let (file, words) = self.looking.named.split(&self.words)?;
        at_most(&words, 1)?;
        let bucket = words.first().map(|word| word.to_string_lossy().into_owned());
        surveyed(context, &self.looking, &self.threads, &file, |context, survey| {
            self.show(context, survey, bucket.as_deref())
        })
    }

    fn show(
        &self,
        context: &mut Context<'_>,
        survey: &Survey<'_>,
        bucket: Option<&str>,
    ) -> Result<Outcome, Failure> {
        if let Some(error) = &survey.no_meta {
            return Err(Failure::no(format!("no tree can be found: {error}"))
                .hint("`etcdsnap pages` shows the pages by their own headers"));
        }
        let trees = survey.census.trees();
        let wanted = bucket.map(|name| bucket_named(survey, name)).transpose()?;
        let chosen: Vec<usize> = (0..trees.len())
            .filter(|index| {
                let top = trees.get(*index).map(|tree| tree.top);
                wanted.is_none_or(|wanted| *index == wanted || (wanted != 0 && top == Some(wanted)))
            })
            .collect();
        if self.output == PageFormat::Json {
            let page_size = survey.census.image().page_size().bytes();
            let trees = chosen.iter().map(|index| self.document(survey, *index)).collect();
            write_json(context.out, &Document { schema_version: SCHEMA_VERSION, page_size, trees })?;
        } else {
            self.table(context.out, survey, &chosen)?;
            for index in &chosen {
                self.outline(context.out, survey, *index)?;
            }
        }
        let faults: u64 = chosen.iter().filter_map(|index| trees.get(*index)).map(|tree| tree.faults).sum();
        if faults == 0 && (wanted.is_some() || survey.faults().is_empty()) {
            return Ok(Outcome::Yes);
        }
        shown::warn(context, survey)?;
        Ok(Outcome::No)
    }

    fn table(
        &self,
        out: &mut (dyn Write + Send),
        survey: &Survey<'_>,
        chosen: &[usize],
    ) -> Result<(), Failure> {
        let page_size = survey.census.image().page_size().bytes();
        let titles = [
            "BUCKET", "ROOT", "LEVELS", "BRANCHES", "LEAVES", "OVERFLOW", "KEYS", "BYTES", "FILL",
            "SEQUENCE", "FAULTS",
        ];
        let mut table = Columns::new(out, &titles);
        let mut rows = Rows::default();
        for index in chosen {
            let Some(tree) = survey.census.trees().get(*index) else { continue };
            let total = tree.total();
            let bytes = total.pages().saturating_mul(page_size);
            let blank = "-".to_owned();
            rows.cell(&shown::tree_name(survey, *index));
            match tree.root {
                BucketRoot::Tree(root) => {
                    rows.cell(&root.to_string());
                    rows.cell(&tree.levels.len().to_string());
                }
                BucketRoot::Inline { .. } => {
                    rows.cell("inline");
                    rows.cell(&blank);
                }
            }
            for number in [total.branches, total.leaves, total.overflow, total.keys] {
                rows.cell(&number.to_string());
            }
            rows.cell(&if tree.is_inline() { total.used } else { bytes }.to_string());
            rows.cell(&shown::percent(total.used, bytes));
            rows.cell(&tree.sequence.to_string());
            rows.cell(&tree.faults.to_string());
        }
        Ok(table.print(&rows)?)
    }

    /// The levels of a tree, and its pages from the root down.
    fn outline(&self, out: &mut dyn Write, survey: &Survey<'_>, index: usize) -> Result<(), Failure> {
        let Some(tree) = survey.census.trees().get(index).filter(|tree| !tree.is_inline()) else {
            return Ok(());
        };
        let page_size = survey.census.image().page_size().bytes();
        writeln!(out, "\n{}", shown::tree_name(survey, index))?;
        for (depth, level) in tree.levels.iter().enumerate() {
            let bytes = level.pages().saturating_mul(page_size);
            writeln!(
                out,
                "  level {depth}: {}, {}, {} of {} bytes ({})",
                kinds(level),
                count(level.elements, "element", "elements"),
                grouped(level.used),
                grouped(bytes),
                shown::percent(level.used, bytes)
            )?;
        }
        for node in self.nodes(survey, index) {
            let indent = (node.run.depth as usize).saturating_mul(2);
            let elements = survey.census.header(node.run.first).map_or(0, |header| header.count);
            let within = survey.within(&node.run);
            let (lower, upper) = survey.census.bounds(&node.run);
            let key = |key| shown::key_text(within, key);
            let keys = match (lower, upper) {
                (None, None) => "all keys".to_owned(),
                (Some(lower), None) => format!("from {} on", key(lower)),
                (None, Some(upper)) => format!("below {}", key(upper)),
                (Some(lower), Some(upper)) => format!("from {} to below {}", key(lower), key(upper)),
            };
            let state = match shown::state(&node.run) {
                "ok" => String::new(),
                state => format!("  {state}"),
            };
            writeln!(
                out,
                "  {:indent$}{} page {}, {}: {keys}{state}",
                "",
                node.run.kind.name(),
                node.run.first,
                count(u64::from(elements), "element", "elements")
            )?;
        }
        Ok(())
    }

    /// The pages of a tree that are drawn, each before its children.
    fn nodes<'s>(&self, survey: &'s Survey<'_>, index: usize) -> impl Iterator<Item = Node> + use<'s> {
        let census = &survey.census;
        let tree = census.trees().get(index);
        let leaves = tree.map_or(0, |tree| {
            tree.levels.iter().position(|level| level.branches == 0).unwrap_or(tree.levels.len())
        });
        // A tree that is a single leaf has nothing above it.
        let limit = self.depth.unwrap_or_else(|| u32::try_from(leaves).unwrap_or(u32::MAX));
        let run =
            move |id: PageId| census.run_of(id).filter(|run| run.first == id && run.tree == Some(index));
        let root = tree.and_then(|tree| match tree.root {
            BucketRoot::Tree(root) => run(root),
            BucketRoot::Inline { .. } => None,
        });
        // One open branch for each level: its children that are still to come.
        let mut open: Vec<std::vec::IntoIter<Run>> = vec![root.into_iter().collect::<Vec<_>>().into_iter()];
        std::iter::from_fn(move || {
            loop {
                let Some(node) = open.last_mut()?.next() else {
                    open.pop();
                    continue;
                };
                let below = node.depth.saturating_add(1);
                if node.kind == Use::Branch && below < limit.max(1) {
                    let (elements, _) = census.view(&node).branch_elements();
                    // Others may have claimed the rest before.
                    let own = |element: &BranchElement<'_>| census.child(&node, element);
                    open.push(elements.iter().filter_map(own).collect::<Vec<_>>().into_iter());
                }
                if node.depth < limit {
                    return Some(Node { run: node });
                }
            }
        })
    }

    fn document(&self, survey: &Survey<'_>, index: usize) -> TreeDocument {
        let page_size = survey.census.image().page_size().bytes();
        let tree = survey.census.trees().get(index);
        let level = |level: &Level| LevelDocument {
            branch_pages: level.branches,
            leaf_pages: level.leaves,
            overflow_pages: level.overflow,
            elements: level.elements,
            bytes: level.pages().saturating_mul(page_size),
            used: level.used,
        };
        let place = tree.and_then(|tree| tree.place);
        TreeDocument {
            bucket: shown::tree_name(survey, index),
            nesting: tree.map_or(0, |tree| tree.nesting),
            inline: tree.is_some_and(|tree| tree.is_inline()),
            root: tree.and_then(|tree| match tree.root {
                BucketRoot::Tree(root) => Some(root.0),
                BucketRoot::Inline { .. } => None,
            }),
            page: place.map(|(page, _)| page.0),
            element: place.map(|(_, element)| element),
            sequence: tree.map_or(0, |tree| tree.sequence),
            keys: tree.map_or(0, |tree| tree.total().keys),
            faults: tree.map_or(0, |tree| tree.faults),
            levels: tree.map(|tree| tree.levels.iter().map(level).collect()).unwrap_or_default(),
            pages: self.nodes(survey, index).map(|node| node.document(survey)).collect(),
        }
    }
}

/// A page that is drawn.
struct Node {
    run: Run,
}

impl Node {
    fn document(&self, survey: &Survey<'_>) -> NodeDocument {
        let run = &self.run;
        let within = survey.within(run);
        let (lower, upper) = survey.census.bounds(run);
        NodeDocument {
            depth: run.depth,
            id: run.first.0,
            kind: run.kind.name(),
            elements: survey.census.header(run.first).map(|header| header.count),
            from_key: lower.map(|key| shown::key_whole(within, key)),
            below_key: upper.map(|key| shown::key_whole(within, key)),
            state: shown::state(run),
        }
    }
}

/// `1 branch`, `20 leaves`, or both in a damaged tree.
fn kinds(level: &Level) -> String {
    let overflow = match level.overflow {
        0 => String::new(),
        pages => format!(" with {}", count(pages, "overflow page", "overflow pages")),
    };
    let mut parts = Vec::new();
    if level.branches > 0 {
        parts.push(count(level.branches, "branch", "branches"));
    }
    if level.leaves > 0 || parts.is_empty() {
        parts.push(count(level.leaves, "leaf", "leaves"));
    }
    format!("{}{overflow}", safe(parts.join(" and ").as_bytes()))
}
