//! The digest, computed beside everything else.

use std::num::NonZeroUsize;

use crate::etcd::snapshot::{DigestVerdict, Trailer, check_digest};
use crate::source::Source;

use super::{Progress, Settings};

/// How far ahead of the hashing a file that is not in memory is asked for.
const AHEAD: usize = 8 << 20;

/// Checks the digest on a thread of its own while `work` runs on the others,
/// whose number it is told: while the digest has a core to itself, three busy
/// threads on two cores would only slow it.
pub(crate) fn alongside<T>(
    source: &Source,
    trailer: &Trailer,
    settings: &Settings<'_>,
    work: impl FnOnce(NonZeroUsize) -> T,
) -> (DigestVerdict, T) {
    let bytes = source.bytes();
    let cached = source.is_cached();
    if trailer.digest().is_none() {
        if cached {
            source.populate(0, bytes.len());
        }
        return (DigestVerdict::Absent, work(settings.threads));
    }
    let hash = || {
        check_digest(bytes, trailer, |start, length| {
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
        (hashing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), done)
    })
}
