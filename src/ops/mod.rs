//! Questions asked of a snapshot, and deeds done with it. Each returns a report
//! as data; nothing here prints.

pub mod carve;
mod damage;
pub mod dating;
pub(crate) mod digest;
pub mod encryption;
pub mod export;
pub mod finding;
mod folder;
pub mod hashkv;
pub mod history;
pub mod keys;
pub mod known_fault;
pub mod list;
pub mod lookup;
pub mod member_list;
mod newer;
pub mod objects;
pub mod pages;
pub mod reader;
pub mod rebuild;
mod records;
pub mod release;
pub mod repack;
pub mod restore;
pub mod salvage;
pub mod status;
pub mod verify;
pub mod wal_view;
pub mod whole_file;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bolt::WalkOptions;
use crate::etcd::hash_kv::OutOfWindow;
use crate::etcd::snapshot::{Snapshot, SnapshotError};
use crate::source::SourceError;

pub use damage::{Damage, LeftOut, Lost};
pub use newer::Newer;

/// What every operation may be told.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'s> {
    /// Threads to use.
    pub threads: NonZeroUsize,
    /// Whether to answer in spite of damage, from what can be read.
    pub skip_damaged: bool,
    /// Where progress is counted.
    pub progress: &'s Progress,
}

/// How far an operation is. Counted by the library, shown by whoever likes.
#[derive(Debug, Default)]
pub struct Progress {
    /// Pages walked.
    pub pages: AtomicU64,
    /// Bytes hashed.
    pub hashed: AtomicU64,
    /// Bytes written.
    pub written: AtomicU64,
}

impl Progress {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

impl<'s> Settings<'s> {
    /// All cores, no tolerance.
    pub fn new(progress: &'s Progress) -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { threads, skip_damaged: false, progress }
    }

    pub(crate) fn walk(&self) -> WalkOptions<'s> {
        WalkOptions { threads: self.threads, only: None, progress: Some(&self.progress.pages) }
    }
}

/// Why an operation has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// The file cannot be opened.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The file cannot be read, or changed while it was.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The revision asked for is not there.
    #[error(transparent)]
    Revision(#[from] OutOfWindow),
    /// The file is damaged, and an answer from what is left was not asked for.
    #[error("the file is damaged: {damage}")]
    Damaged {
        /// What is wrong.
        damage: Box<Damage>,
    },
    /// So much is damaged that nothing is left to answer from, however tolerant.
    #[error("the file is damaged, and nothing is left to answer from: {}", .lost.because(damage))]
    NothingLeft {
        /// What the answer would have been made of.
        lost: Lost,
        /// What is wrong.
        damage: Box<Damage>,
    },
}

/// Maps the file ahead of a full pass on one thread, if that reads nothing from
/// disk: one call instead of a fault for each group of pages. Several threads
/// take those faults side by side, which is faster than one call on one of them.
pub fn prepare(snapshot: &Snapshot, threads: NonZeroUsize) {
    let source = snapshot.source();
    if threads == NonZeroUsize::MIN && source.is_cached() {
        source.populate(0, source.bytes().len());
    }
}
