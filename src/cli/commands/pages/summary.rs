//! What all pages of a file come to, bucket by bucket.

use std::io::{self, Write};

use etcdsnap::bolt::{Run, Use};
use etcdsnap::etcd::snapshot::Trailer;
use etcdsnap::ops::pages::Survey;
use serde::Serialize;

use super::shown;
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::text::count;

/// The sums.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    page_size: u64,
    /// Below the high-water mark.
    pages: u64,
    free_pages: u64,
    /// Free pages that the stored list does not have.
    leaked_pages: u64,
    damaged_runs: u64,
    /// Pages that the file is too short for.
    missing_pages: u64,
    /// Bytes behind the data of branches and leaves.
    slack: u64,
    /// Whether a list of free pages is stored.
    freelist_stored: bool,
    bytes_behind_pages: u64,
    behind: &'static str,
    buckets: Vec<BucketDocument>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BucketDocument {
    bucket: String,
    levels: usize,
    inline: bool,
    branch_pages: u64,
    leaf_pages: u64,
    overflow_pages: u64,
    keys: u64,
    bytes: u64,
    used: u64,
}

/// What stands behind the pages, in a word.
fn behind(survey: &Survey<'_>) -> &'static str {
    match survey.trailer {
        None => "unknown",
        Some(Trailer::None) => "nothing",
        Some(Trailer::Digest(_)) => "digest",
        Some(Trailer::Misplaced { .. }) => "misplaced digest",
        Some(Trailer::Slack(_)) => "room set aside",
        Some(Trailer::Odd(_)) => "odd bytes",
        Some(Trailer::Missing(_)) => "missing",
    }
}

impl Summary {
    pub(super) fn of(survey: &Survey<'_>) -> Self {
        let census = &survey.census;
        let page_size = census.image().page_size().bytes();
        let trees = census.trees().iter().enumerate();
        let buckets: Vec<BucketDocument> = trees
            .map(|(index, tree)| {
                let total = tree.total();
                BucketDocument {
                    bucket: shown::tree_name(survey, index),
                    levels: tree.levels.len(),
                    inline: tree.is_inline(),
                    branch_pages: total.branches,
                    leaf_pages: total.leaves,
                    overflow_pages: total.overflow,
                    keys: total.keys,
                    bytes: total.pages().saturating_mul(page_size),
                    used: total.used,
                }
            })
            .collect();
        let runs = |wanted: fn(&Run) -> bool| {
            census.runs().filter(wanted).map(|run| run.pages).fold(0, u64::saturating_add)
        };
        let own = buckets.iter().filter(|bucket| !bucket.inline);
        Self {
            page_size,
            pages: census.pages(),
            free_pages: runs(|run| run.kind == Use::Free),
            leaked_pages: runs(|run| run.kind == Use::Leaked),
            damaged_runs: census.runs().filter(|run| run.faulty || run.shared).count() as u64,
            missing_pages: census.missing_pages(),
            slack: own.map(|bucket| bucket.bytes.saturating_sub(bucket.used)).fold(0, u64::saturating_add),
            freelist_stored: census.has_freelist(),
            bytes_behind_pages: census.behind().1,
            behind: behind(survey),
            buckets,
        }
    }

    pub(super) fn write(&self, out: &mut (dyn Write + Send)) -> io::Result<()> {
        let titles = ["BUCKET", "LEVELS", "BRANCHES", "LEAVES", "OVERFLOW", "KEYS", "BYTES", "USED", "FILL"];
        if !self.buckets.is_empty() {
            let mut table = Columns::new(out, &titles).after_a_blank_line();
            let mut rows = Rows::default();
            for bucket in &self.buckets {
                rows.cell(&bucket.bucket);
                rows.cell(&if bucket.inline { "inline".to_owned() } else { bucket.levels.to_string() });
                for number in [bucket.branch_pages, bucket.leaf_pages, bucket.overflow_pages, bucket.keys] {
                    rows.cell(&number.to_string());
                }
                rows.cell(&if bucket.inline { "-".to_owned() } else { bucket.bytes.to_string() });
                rows.cell(&bucket.used.to_string());
                rows.cell(&shown::percent(bucket.used, bucket.bytes));
            }
            table.print(&rows)?;
        }
        let size = |pages: u64| humanized(pages.saturating_mul(self.page_size));
        writeln!(
            out,
            "\n{} of {} bytes: {} free ({}), {} of slack",
            count(self.pages, "page", "pages"),
            grouped(self.page_size),
            grouped(self.free_pages),
            size(self.free_pages),
            humanized(self.slack)
        )?;
        if self.leaked_pages > 0 {
            let pages = count(self.leaked_pages, "page", "pages");
            writeln!(out, "{pages} that nothing reaches and the list of free pages does not have")?;
        }
        if self.damaged_runs > 0 {
            writeln!(out, "{} damaged or shared", count(self.damaged_runs, "page", "pages"))?;
        }
        if self.missing_pages > 0 {
            writeln!(
                out,
                "{} missing: the file ends before them",
                count(self.missing_pages, "page", "pages")
            )?;
        }
        if self.bytes_behind_pages > 0 {
            let bytes = count(self.bytes_behind_pages, "byte", "bytes");
            writeln!(out, "{bytes} behind the pages: {}", self.behind)?;
        }
        Ok(())
    }
}
