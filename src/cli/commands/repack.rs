use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use etcdsnap::bolt::Db;
use etcdsnap::etcd::snapshot::{FileKind, SnapshotError};
use etcdsnap::ops::Settings;
use etcdsnap::ops::finding::{Check, Grade};
use etcdsnap::ops::reader::Reader;
use etcdsnap::ops::rebuild::Request as RebuildRequest;
use etcdsnap::ops::repack::{Input, Plan, RepackError, Request, WalView, Written, check_target, plan};
use etcdsnap::ops::verify::{Options, Report};
use etcdsnap::source::Source;
use serde::Serialize;

use super::{PageFormat, SCHEMA_VERSION, write_json};
use crate::cli::changed::{self, ChangedDocument, Remark};
use crate::cli::decryption::Decryption;
use crate::cli::failure::{Failure, digest_finding};
use crate::cli::input::{KubernetesKeys, Opening, Threads};
use crate::cli::output::shell::quoted_path;
use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::text::{hex, shown};
use crate::cli::refused::{refusal, refused};
use crate::cli::selection::{Cleansing, Databases};
use crate::cli::{Context, Outcome, progress, wal_words};

/// Make a clean snapshot with its digest, and leave out what is not wanted
///
/// SRC is the data directory of a stopped member, a copy of its db file, or a
/// snapshot. It is verified whole and never written to. Without further options its
/// pages are copied as they are; with any of them the database is written anew. What
/// was written is read again and verified before it appears as OUT, which must not be
/// there yet.
#[derive(Debug, clap::Args)]
pub(crate) struct Repack {
    /// A stopped member's directory, its db file, or a snapshot
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// The new snapshot
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Say what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on although the digest does not match; all other checks hold
    #[arg(long)]
    skip_hash_check: bool,
    /// Where the member's WAL is, if not beside its db
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PageFormat::Text)]
    output: PageFormat,
    #[command(flatten)]
    cleansing: Cleansing,
    #[command(flatten)]
    decryption: Decryption,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    source: String,
    out: String,
    written: bool,
    /// Without its digest.
    db_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    revision: Option<i64>,
    compact_revision: Option<i64>,
    live_keys: Option<u64>,
    /// Whether everything is as in the source.
    faithful: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangedDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wal: Option<WalDocument>,
    warnings: Vec<Remark>,
    /// Why nothing is written, if so.
    refused: Vec<Remark>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WalDocument {
    applied_index: u64,
    committed_index: u64,
    last_index: u64,
    /// Entries that are in the log alone.
    pending: u64,
    complete: bool,
}

impl Repack {
    /// The database that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        vec![Input::find(&self.source).map_or_else(|_| self.source.clone(), |input| input.db)]
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        check_target(&self.out).map_err(|error| self.failure(error, None))?;
        let keyring = self.decryption.keyring(context)?;
        let input = Input::find(&self.source).map_err(|error| self.failure(error, None))?;
        let source = self.opening.source(context, &input.db)?;
        let settings = self.threads.settings(context);
        let reader =
            Reader { keys: keyring.as_ref(), prefixes: self.kubernetes.prefixes(), ..Reader::default() };
        let root_password = self.cleansing.root_password(Databases::One)?;
        let changes = match Db::open(source.bytes()) {
            Ok(db) => self.cleansing.changes(&db, &reader, root_password, &settings)?,
            Err(error) => return Err(self.failure(error.into(), Some(&source))),
        };
        let options = Options { prefixes: self.kubernetes.prefixes(), ..Options::default() };
        let request = Request {
            rebuild: RebuildRequest { changes, replaced: Default::default(), reader },
            verify: options.clone(),
            skip_hash_check: self.skip_hash_check,
            wal_dir: self.wal_dir.clone(),
        };
        let total = source.bytes().len() as u64;
        let plan = progress::watch(context, "verifying", total, progress::walked, || {
            plan(&source, &input, &request, &settings)
        })
        .map_err(|error| self.failure(error, Some(&source)))?;
        let warnings = warnings(&plan);
        for warning in &warnings {
            context.warn(&warning.text);
        }
        if self.dry_run || !plan.refusals().is_empty() {
            self.tell(context, &plan, None, warnings)?;
            context.out.flush()?;
            return match plan.refusals() {
                [] => Ok(Outcome::Yes),
                refusals => Err(refused(refusals, "SRC")),
            };
        }
        let written = self.write(context, &plan, &options, &settings)?;
        context.wrote(&self.out);
        let told = self.tell(context, &plan, Some(&written), warnings);
        let told = told.and_then(|()| context.out.flush().map_err(Failure::from));
        told.map_err(|failure| failure.hint(format!("{} was written all the same", shown(&self.out))))?;
        Ok(Outcome::Yes)
    }

    fn write(
        &self,
        context: &Context<'_>,
        plan: &Plan<'_>,
        options: &Options,
        settings: &Settings<'_>,
    ) -> Result<Written, Failure> {
        let done = |progress: &etcdsnap::ops::Progress| progress.written.load(Ordering::Relaxed);
        progress::watch(context, "writing", plan.size(), done, || plan.write(&self.out, options, settings))
            .map_err(|error| self.failure(error, None))
    }

    fn failure(&self, error: RepackError, source: Option<&Source>) -> Failure {
        match (error, source) {
            (RepackError::NotADatabase(error), Some(source)) => SnapshotError::NotADatabase {
                path: source.path().to_owned(),
                error,
                looks_like: FileKind::of(source.bytes()),
            }
            .into(),
            (error, _) => error.into(),
        }
    }

    fn tell(
        &self,
        context: &mut Context<'_>,
        plan: &Plan<'_>,
        written: Option<&Written>,
        warnings: Vec<Remark>,
    ) -> Result<(), Failure> {
        match self.output {
            PageFormat::Json => write_json(context.out, &self.document(plan, written, warnings)),
            PageFormat::Text => self.text(context.out, plan, written),
        }
    }

    fn text(&self, out: &mut dyn Write, plan: &Plan<'_>, written: Option<&Written>) -> Result<(), Failure> {
        let verb = match written {
            Some(_) => "wrote",
            None if plan.refusals().is_empty() => "would write",
            None => "REFUSED to write",
        };
        writeln!(out, "{verb} {} from {}\n", shown(&self.out), shown(&self.source))?;
        match plan.outcome() {
            Some(outcome) => changed::text(out, outcome)?,
            None => {
                let but = if plan.keeps_every_page() { "" } else { " but for the first two pages" };
                writeln!(out, "  content       as in the source, byte for byte{but}")?;
                if let Some(facts) = &plan.report.facts {
                    writeln!(out, "  revision      {}", grouped(facts.revision.unsigned_abs()))?;
                    writeln!(out, "  live keys     {}", grouped(facts.live_keys))?;
                }
                writeln!(out, "  database      {}", humanized(plan.size()))?;
            }
        }
        if let WalView::Read(tail) = &plan.wal {
            let pending = match tail.pending() {
                0 => format!("nothing beyond the database, which ends at entry {}", tail.applied.0),
                pending => {
                    format!("{} beyond the database: NOT in this snapshot", changed::entries(pending))
                }
            };
            writeln!(out, "  WAL           {pending}")?;
        }
        if let Some(written) = written {
            writeln!(out, "  sha256        {}", hex(&written.sha256))?;
            writeln!(out, "\nNext:")?;
            writeln!(out, "  check: etcdsnap verify {}", quoted_path(&self.out))?;
            let faithful = plan.outcome().is_none_or(|outcome| outcome.is_faithful());
            // Here nobody has moved the revision yet.
            let bump = if faithful { "" } else { "--bump-revision auto " };
            writeln!(out, "  use:   etcdsnap restore {} --data-dir DIR {bump}...", quoted_path(&self.out))?;
        }
        Ok(())
    }

    fn document(&self, plan: &Plan<'_>, written: Option<&Written>, warnings: Vec<Remark>) -> Document {
        let facts = plan.report.facts.as_ref();
        let changed = plan.outcome();
        let (revision, compact_revision, live_keys) = match changed {
            Some(changed) => {
                (Some(changed.revision.1), changed.compact_revision.1, Some(changed.live_keys.1))
            }
            None => (
                facts.map(|facts| facts.revision),
                facts.and_then(|facts| facts.compact_revision),
                facts.map(|facts| facts.live_keys),
            ),
        };
        let wal = match &plan.wal {
            WalView::Read(tail) => Some((tail, true)),
            WalView::Unreadable { tail, .. } => Some((tail, false)),
            _ => None,
        };
        Document {
            schema_version: SCHEMA_VERSION,
            source: shown(&self.source),
            out: shown(&self.out),
            written: written.is_some(),
            db_size: plan.size(),
            size: written.map(|written| written.size),
            sha256: written.map(|written| hex(&written.sha256)),
            revision,
            compact_revision,
            live_keys,
            faithful: changed.is_none_or(|outcome| outcome.is_faithful()),
            changes: changed.map(ChangedDocument::of),
            wal: wal.map(|(tail, complete)| WalDocument {
                applied_index: tail.applied.0,
                committed_index: tail.end.committed.0,
                last_index: tail.end.last.0,
                pending: tail.pending(),
                complete,
            }),
            warnings,
            refused: plan.refusals().iter().map(refusal).collect(),
        }
    }
}

/// What is wrong with the digest that the new one would hide.
fn digest_warning(report: &Report) -> Option<Remark> {
    let (code, told) = digest_finding(report)?;
    let means = match code {
        "digest-differs" => "the digest does not match: bytes inside values may be wrong",
        "digest-stale" => {
            "the digest does not match, as a tool has written into the file since it was saved (etcd-dump-db, `etcdutl hashkv`, defrag)"
        }
        "digest-lost" => {
            "the file ends where its digest should begin: 32 bytes were cut off (or a member got it from its leader: *.snap.db never has any)"
        }
        "digest-cut" => "the digest is not whole, or not at the end: the file was cut, or written to",
        // As in every copy of a data directory's file.
        _ => return None,
    };
    let text = format!(
        "{means} ({told}). Bytes that were changed before now cannot be noticed, and the new digest only says that they stayed so: prefer another copy of this backup"
    );
    Some(Remark::new(code, text))
}

/// Where an operator would walk into a trap.
fn warnings(plan: &Plan<'_>) -> Vec<Remark> {
    let mut warnings = Vec::new();
    warnings.extend(digest_warning(&plan.report));
    let others = plan.report.findings.kinds().into_iter().filter(|(check, ..)| *check != Check::Digest);
    if others.into_iter().any(|(_, _, grade, ..)| grade >= Grade::Suspicious) {
        warnings.push(Remark::new(
            "suspicious",
            "the source is not as etcd leaves its files: see `etcdsnap verify`",
        ));
    }
    warnings.extend(wal_words::warning(&plan.wal, "--wal-dir names another place"));
    warnings.extend(plan.outcome().map(|outcome| changed::warnings(outcome, "SRC")).unwrap_or_default());
    warnings
}
