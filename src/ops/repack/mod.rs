//! A clean snapshot, with its digest, from what has none or from another one.
//!
//! The input is a stopped member's directory, a copy of its database, or a snapshot.
//! It is verified whole; then its pages are copied as they are, without what stands
//! behind the high-water mark, under metas as a snapshot stream has them, or the
//! database is [written anew](super::rebuild). What was written is read again and
//! verified before it appears.
//! Source: bbolt `tx.go` (`WriteTo`) @ v1.4.3.

mod place;

use std::path::{Path, PathBuf};

use crate::bolt::{Db, Metas, OpenError};
use crate::etcd::snapshot::DigestVerdict;
use crate::etcd::state::State;
use crate::source::{Source, SourceError};

use super::digest::Content;
use super::finding::{Check, Grade};
use super::rebuild::{Outcome, Rebuild, RebuildError, Request as RebuildRequest};
use super::whole_file::{FileError, WholeFile, absent};
use super::{Settings, verify};

pub use super::wal_view::{WalTail, WalView};
pub use place::Input;

/// What to write.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    /// What is to be changed, if anything is.
    pub rebuild: RebuildRequest<'r>,
    /// How to verify.
    pub verify: verify::Options,
    /// Go on although the digest does not match.
    pub skip_hash_check: bool,
    /// Where the log is, if not in the member's directory.
    pub wal_dir: Option<PathBuf>,
}

/// Why there is no new snapshot. Nothing was left at its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepackError {
    /// A directory without a member's database.
    #[error("{} holds no member's database", path.display())]
    NoMember {
        /// The directory.
        path: PathBuf,
    },
    /// The input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file is no database.
    #[error(transparent)]
    NotADatabase(#[from] OpenError),
    /// It is damaged.
    #[error("the database is damaged")]
    Damaged(Box<verify::Report>),
    /// Its digest does not match.
    #[error("the digest does not match")]
    DigestDiffers(Box<verify::Report>),
    /// It cannot be written anew.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// The result cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was written is not what was to be written.
    #[error("what was written does not verify")]
    ReadBack(Box<verify::Report>),
}

/// What is in an input, verified, and what would come of it.
#[derive(Debug)]
pub struct Plan<'a> {
    db: Db<'a>,
    source: &'a Source,
    rebuild: Option<Rebuild<'a>>,
    /// What was found in the input.
    pub report: verify::Report,
    /// What the log has beyond it.
    pub wal: WalView,
}

/// A new snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the file.
    pub size: u64,
    /// Its digest.
    pub sha256: [u8; 32],
}

/// Verifies `source` and finds out what is to be written.
///
/// # Errors
/// See [`RepackError`]; refusals of the changes come with [`Plan::write`].
pub fn plan<'a>(
    source: &'a Source,
    input: &Input,
    request: &Request<'_>,
    settings: &Settings<'_>,
) -> Result<Plan<'a>, RepackError> {
    let db = Db::open(source.bytes())?;
    let report = verify::check_patched(source, &db, &db, settings, &request.verify, Content::IfStored);
    source.finish()?;
    if is_damaged(&report) {
        return Err(RepackError::Damaged(Box::new(report)));
    }
    if let (Some(DigestVerdict::Differs { .. }), false) = (report.digest, request.skip_hash_check) {
        return Err(RepackError::DigestDiffers(Box::new(report)));
    }
    let wal_dir = request.wal_dir.as_deref().or(input.wal_dir.as_deref());
    let wal = WalView::look(wal_dir, State::read(&db).consistent_index);
    let changed = !request.rebuild.changes.is_empty() || !request.rebuild.replaced.is_empty();
    let rebuild = changed.then(|| Rebuild::plan(&db, &request.rebuild, settings)).transpose()?;
    Ok(Plan { db, source, rebuild, report, wal })
}

/// Whether something is wrong that no copy should carry on, digest aside.
fn is_damaged(report: &verify::Report) -> bool {
    let bad = |check: &verify::CheckResult| {
        check.check != Check::Digest && check.worst.is_some_and(|worst| worst >= Grade::DataLost)
    };
    report.checks.iter().any(bad)
}

impl Plan<'_> {
    /// What will be different; `None` if the pages are copied as they are.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.rebuild.as_ref().map(Rebuild::outcome)
    }

    /// Why [`write`](Self::write) will do nothing.
    pub fn refusals(&self) -> &[super::rebuild::Refusal] {
        self.rebuild.as_ref().map_or(&[], Rebuild::refusals)
    }

    /// Whether every page will be as it is: none is written anew, and both metas lead
    /// to the same tree already.
    pub fn keeps_every_page(&self) -> bool {
        let metas = Metas::Stream(self.db.meta.txid).pages(self.db.meta);
        self.rebuild.is_none() && self.source.bytes().starts_with(&metas)
    }

    /// Bytes of the database, without its digest.
    pub fn size(&self) -> u64 {
        self.rebuild.as_ref().map_or(self.db.meta.image_size(), Rebuild::size)
    }

    /// Writes the new snapshot to `target`, where nothing may be yet.
    ///
    /// # Errors
    /// See [`RepackError`].
    pub fn write(
        &self,
        target: &Path,
        options: &verify::Options,
        settings: &Settings<'_>,
    ) -> Result<Written, RepackError> {
        if let Some(refusal) = self.refusals().first() {
            return Err(RebuildError::Refused(*refusal).into());
        }
        let size = self.size().saturating_add(crate::etcd::snapshot::DIGEST_SIZE);
        let file = WholeFile::begin(target, size)?;
        let metas = Metas::Stream(self.db.meta.txid);
        let sha256 = file.write_with_digest(settings.progress, |out| match &self.rebuild {
            Some(rebuild) => rebuild.write(metas, out).map_err(RepackError::from),
            None => self.copy(metas, out).map_err(|error| {
                RepackError::File(FileError::Io { action: "write", path: file.staged().to_owned(), error })
            }),
        })?;
        self.source.finish()?;
        file.publish(|staged| self.read_back(staged, sha256, options, settings))?;
        Ok(Written { size, sha256 })
    }

    /// The pages as they are, under metas that both lead to the same tree.
    fn copy(&self, metas: Metas, out: &mut dyn std::io::Write) -> std::io::Result<()> {
        let metas = metas.pages(self.db.meta);
        let end = usize::try_from(self.db.meta.image_size()).unwrap_or(usize::MAX);
        let pages = self.source.bytes().get(metas.len()..end).unwrap_or_default();
        out.write_all(&metas)?;
        out.write_all(pages)
    }

    /// Verifies what was written.
    fn read_back(
        &self,
        staged: &Path,
        sha256: [u8; 32],
        options: &verify::Options,
        settings: &Settings<'_>,
    ) -> Result<(), RepackError> {
        let source = Source::open(staged)?;
        let db = Db::open(source.bytes())?;
        let content = Content::Known(sha256);
        let report = verify::check_patched(&source, &db, &db, settings, options, content);
        source.finish()?;
        let as_planned = match (self.outcome(), &self.report.facts, &report.facts) {
            (Some(outcome), _, Some(found)) => outcome.agrees_with(found),
            (None, Some(facts), Some(found)) => {
                let figures =
                    |facts: &verify::Facts| (facts.revision, facts.compact_revision, facts.live_keys);
                figures(facts) == figures(found)
            }
            (_, _, None) | (None, None, _) => false,
        };
        if is_damaged(&report) || !report.digest_matches() || !as_planned {
            return Err(RepackError::ReadBack(Box::new(report)));
        }
        Ok(())
    }
}

/// Whether something can be written to `target`, before the work of verifying.
///
/// # Errors
/// Something that is there already.
pub fn check_target(target: &Path) -> Result<(), RepackError> {
    Ok(absent(target)?)
}
