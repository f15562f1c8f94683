//! The digest, computed beside everything else.

use std::num::NonZeroUsize;

use crate::bolt::Db;
use crate::etcd::snapshot::{DIGEST_SIZE, DigestVerdict, hash_content, trailer};
use crate::source::Source;

use super::{Progress, Settings};

/// How far ahead of the hashing a file that is not in memory is asked for.
const AHEAD: usize = 8 << 20;

/// When the content of a file is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// If there is a digest to compare the hash with.
    IfStored,
    /// In any case.
    Always,
    /// Not at all: this is its hash, of bytes that were compared with what the file
    /// holds when they were written.
    Known([u8; 32]),
}

/// What became of the digest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hashed {
    pub(crate) verdict: DigestVerdict,
    /// SHA-256 of the content, if it was computed: of all but the digest, or of
    /// the pages if there is none.
    pub(crate) content: Option<[u8; 32]>,
}

/// Checks the digest on a thread of its own while `work` runs on the others,
/// whose number it is told: while the digest has a core to itself, three busy
/// threads on two cores would only slow it.
pub(crate) fn alongside<T>(
    source: &Source,
    db: &Db<'_>,
    wanted: Content,
    settings: &Settings<'_>,
    work: impl FnOnce(NonZeroUsize) -> T,
) -> (Hashed, T) {
    let bytes = source.bytes();
    let cached = source.is_cached();
    let stored = trailer(db, bytes).digest();
    let compare = |computed| match stored {
        None => DigestVerdict::Absent,
        Some(stored) if stored == computed => DigestVerdict::Matches,
        Some(stored) => DigestVerdict::Differs { stored, computed },
    };
    let known = match (wanted, stored) {
        (Content::Known(known), _) => Some(Hashed { verdict: compare(known), content: Some(known) }),
        (Content::IfStored, None) => Some(Hashed { verdict: DigestVerdict::Absent, content: None }),
        _ => None,
    };
    if let Some(known) = known {
        if cached {
            source.populate(0, bytes.len());
        }
        return (known, work(settings.threads));
    }
    let length = match stored {
        Some(_) => bytes.len().saturating_sub(DIGEST_SIZE as usize),
        None => usize::try_from(db.meta.image_size()).unwrap_or(usize::MAX).min(bytes.len()),
    };
    let hash = || {
        hash_content(bytes.get(..length).unwrap_or_default(), |start, length| {
            Progress::add(&settings.progress.hashed, length as u64);
            if cached {
                source.populate(start, length);
            } else {
                source.will_need(start, AHEAD);
            }
        })
    };
    std::thread::scope(|scope| {
        let hashing = scope.spawn(hash);
        let others = NonZeroUsize::new(settings.threads.get().saturating_sub(1));
        let done = work(others.unwrap_or(NonZeroUsize::MIN));
        let computed = hashing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (Hashed { verdict: compare(computed), content: Some(computed) }, done)
    })
}
