//! A clean snapshot from a damaged one.
//!
//! ```text
//! metas ─▶ root ─▶ survey: what the tree vouches for ─┐
//!                  search: what lies outside of it ───┴▶ records ─▶ history ─▶ new database
//!                          leaves by form, records by form          without holes
//! ```
//!
//! What the tree can still vouch for is taken as it is, and nothing is added there.
//! What lies outside is taken only for keys (of bucket `key`, so revisions) that the
//! tree lost. The rules, and how sure each of them is: `docs/salvage.md`.
//!
//! **Memory:** at most 100 bytes for each record, one bit in four for each page, and the
//! entries of the small buckets.
//!
//! Pages are read, bytes are searched and records are looked into side by side; what is one
//! line of history is put together by whichever thread has the next run of it. The digest of
//! what is read is computed beside all that. What is written is hashed and compared piece by
//! piece on a second thread, and verified while the disk takes it.

mod base;
mod facts;
mod found;
mod gather;
mod history;
mod judge;
mod missing;
mod outdated;
mod outside;
mod prove;
mod remains;
mod report;
mod search;
mod small;
mod values;
mod write;

use crate::bolt::{BuildError, Builder, Db, Layout, TxId};
use crate::source::{Source, SourceError};

use super::Settings;
use super::digest::{self, Content};
use super::verify;
use super::whole_file::FileError;
use found::Found;
use gather::Salvage;
use small::Small;
use write::emit;

pub use found::Named;
pub use report::{
    Base, BrokenEntry, BucketState, Doubt, Doubtful, Log, LostRecord, LostRevisions, LostSpan, Outdated,
    Report, SmallBucket, Undecodable, WhyLost,
};
pub use small::LEASE_SECONDS;
pub use write::Saved;

/// Why there is no new snapshot. Nothing was left at its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SalvageError {
    /// There is not one record of etcd's in it.
    #[error("not one record of etcd's history was found in {size} bytes")]
    Nothing {
        /// Bytes of the file.
        size: u64,
    },
    /// The input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The new database cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was written is not what was to be written.
    #[error("what was written does not verify")]
    ReadBack(Box<verify::Report>),
}

/// What can be saved of a file.
#[derive(Debug)]
pub struct Plan<'a> {
    source: &'a Source,
    records: Vec<Found>,
    small: Small<'a>,
    layout: Layout,
    txid: TxId,
    /// What is saved, lost and doubtful.
    pub report: Report,
}

/// Finds out what can be saved of `source`. `options` tell which keys are those of
/// Kubernetes.
///
/// # Errors
/// If there is nothing, or the file changed while it was read.
pub fn plan<'a>(
    source: &'a Source,
    options: &verify::Options,
    settings: &Settings<'_>,
) -> Result<Plan<'a>, SalvageError> {
    let file = source.bytes();
    // Nothing waits for the digest, so that it gets no core to itself.
    let work = || Salvage::of(file, settings.threads, options);
    let mut found = match Db::open(file) {
        Ok(db) => {
            let (hashed, mut found) = digest::alongside(source, &db, Content::IfStored, settings, |_| work());
            found.report.digest = Some(hashed.verdict);
            found
        }
        Err(_) => work(),
    };
    found.history.records.shrink_to_fit();
    source.finish()?;
    let Salvage { start, small, history, mut report } = found;
    if history.records.is_empty() && !start.is_good() {
        return Err(SalvageError::Nothing { size: file.len() as u64 });
    }
    let page_size = start.page_size;
    let mut measuring = Builder::measure(page_size);
    emit(&mut measuring, &small, &history.records, file)?;
    let layout = measuring.layout()?;
    report.size = layout.size();
    let txid = start.db.map_or(TxId(2), |db| TxId(db.meta.txid.0.max(2)));
    Ok(Plan { source, records: history.records, small, layout, txid, report })
}
