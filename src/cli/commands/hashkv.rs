use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use etcdsnap::ops::hashkv::{Comparison, HashKvReport, Incomparable, compare, hashkv};
use serde::Serialize;

use super::keys::skipped;
use super::{PageFormat, SCHEMA_VERSION, UpstreamFormat, write_json};
use crate::cli::failure::Failure;
use crate::cli::input::{Reading, Threads};
use crate::cli::output::boxed;
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::text::shown;
use crate::cli::progress;
use crate::cli::{Context, Outcome};

/// The hash by which members compare their data
///
/// One file: its HashKV, as the running server would have answered. Several
/// files: whether they hold the same data, at the highest revision that all of
/// them have; exit 1 if not.
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap hashkv [OPTIONS] FILE...")]
pub(crate) struct Hashkv {
    /// Snapshots, or copies of members' db files
    #[arg(value_name = "FILE")]
    words: Vec<OsString>,
    /// At this revision instead of the newest (0)
    #[arg(long, alias = "revision", value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    rev: Option<i64>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PageFormat::Text)]
    output: PageFormat,
    /// Exactly what `etcdutl hashkv` 3.6 prints
    #[arg(short, long, value_enum, conflicts_with = "output")]
    write_out: Option<UpstreamFormat>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    threads: Threads,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    files: Vec<FileDocument>,
    equal: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileDocument {
    file: String,
    hash: String,
    hash_revision: i64,
    compact_revision: Option<i64>,
    oldest_revision: i64,
    newest_revision: i64,
    faults_skipped: u64,
}

impl Hashkv {
    /// The files that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        let split = self.reading.split(&self.words).into_iter();
        split
            .flat_map(|(first, others)| std::iter::once(first).chain(others.into_iter().map(PathBuf::from)))
            .collect()
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let settings = self.reading.settings(self.threads.settings(context));
        let (first, others) = self.reading.split(&self.words)?;
        let files: Vec<PathBuf> =
            std::iter::once(first).chain(others.into_iter().map(PathBuf::from)).collect();
        let mut snapshots = Vec::with_capacity(files.len());
        for file in &files {
            snapshots.push(self.reading.snapshot(context, file)?);
        }
        let total = snapshots.iter().map(|snapshot| snapshot.source().bytes().len() as u64).sum();
        let answer =
            progress::watch(context, "hashing", total, progress::walked, || match snapshots.as_slice() {
                [only] => hashkv(only, self.rev, &settings)
                    .map(|report| Ok(Comparison { hashes: vec![report], equal: true })),
                all => compare(all, self.rev, &settings),
            })?;
        let comparison = answer.map_err(|Incomparable::NoCommonRevision { newest, oldest }| {
            Failure::no(format!(
                "the files have no revision in common: one of them ends at {newest}, another was compacted at {oldest}"
            ))
            .hint("compare snapshots that were taken closer together")
        })?;
        match self.write_out {
            Some(format) => upstream(context.out, format, &comparison.hashes)?,
            None if self.output == PageFormat::Json => json(context, &files, &comparison)?,
            None => text(context, &files, &comparison)?,
        }
        let mut outcome = if comparison.equal { Outcome::Yes } else { Outcome::No };
        for report in &comparison.hashes {
            outcome = outcome.max(skipped(context, &report.damage)?);
        }
        Ok(outcome)
    }
}

fn json(context: &mut Context<'_>, names: &[PathBuf], comparison: &Comparison) -> Result<(), Failure> {
    let files = names.iter().zip(&comparison.hashes).map(|(file, report)| FileDocument {
        file: shown(file),
        hash: format!("{:08x}", report.hash.hash),
        hash_revision: report.hash.revision,
        compact_revision: Some(report.hash.compact_revision).filter(|revision| *revision >= 0),
        oldest_revision: report.window.oldest(),
        newest_revision: report.window.current,
        faults_skipped: report.damage.len(),
    });
    let equal = (names.len() > 1).then_some(comparison.equal);
    let document = Document { schema_version: SCHEMA_VERSION, files: files.collect(), equal };
    write_json(context.out, &document)
}

fn text(context: &mut Context<'_>, names: &[PathBuf], comparison: &Comparison) -> Result<(), Failure> {
    let mut rows = Rows::default();
    for (file, report) in names.iter().zip(&comparison.hashes) {
        let hash = &report.hash;
        rows.cell(&shown(file));
        rows.cell(&format!("{} ({:08x})", hash.hash, hash.hash));
        rows.cell(&hash.revision.to_string());
        rows.cell(&match hash.compact_revision {
            -1 => "never".to_owned(),
            revision => revision.to_string(),
        });
        rows.cell(&format!("{} to {}", report.window.oldest(), report.window.current));
    }
    Columns::new(context.out, &["FILE", "HASHKV", "AT REVISION", "COMPACTED AT", "REVISIONS"])
        .print(&rows)?;
    if names.len() > 1 {
        let revision = comparison.hashes.first().map_or(0, |report| report.hash.revision);
        let verdict = if comparison.equal { "the same data" } else { "DIFFERENT DATA" };
        writeln!(context.out, "\n{verdict} at revision {revision}")?;
    }
    Ok(())
}

fn upstream(out: &mut dyn Write, format: UpstreamFormat, reports: &[HashKvReport]) -> Result<(), Failure> {
    for report in reports {
        let hash = &report.hash;
        match format {
            UpstreamFormat::Simple => {
                writeln!(out, "{}, {}, {}", hash.hash, hash.revision, hash.compact_revision)?;
            }
            UpstreamFormat::Json => writeln!(
                out,
                "{{\"hash\":{},\"hashRevision\":{},\"compactRevision\":{}}}",
                hash.hash, hash.revision, hash.compact_revision
            )?,
            UpstreamFormat::Table => boxed::write(
                out,
                &["HASH", "HASH REVISION", "COMPACT REVISION"],
                &[vec![hash.hash.to_string(), hash.revision.to_string(), hash.compact_revision.to_string()]],
            )?,
            UpstreamFormat::Fields => {
                writeln!(out, "\"Hash\" : {}", hash.hash)?;
                writeln!(out, "\"Hash revision\" : {}", hash.revision)?;
                writeln!(out, "\"Compact revision\" : {}", hash.compact_revision)?;
            }
        }
    }
    Ok(())
}
