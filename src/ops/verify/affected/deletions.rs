//! Where deletions stand: whether a key that is not alive was deleted after a record of it
//! that is lost, only its deletion tells.

use crate::bolt::FileOffset;
use crate::etcd::record::{Record, RecordFold};

/// Remembers the places of deletions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tombstones;

/// Where deletions stand, up to so many.
#[derive(Debug, Default)]
pub(crate) struct Deletions {
    pub(super) places: Vec<FileOffset>,
    /// Whether there are more.
    pub(super) is_cut: bool,
}

impl Deletions {
    /// 1 MiB of places. Kubernetes compacts every few minutes, and has fewer by far.
    const KEPT: usize = 1 << 17;
}

impl<'a> RecordFold<'a> for Tombstones {
    type Part = Deletions;
    type Total = Deletions;

    fn total(&self) -> Deletions {
        Deletions::default()
    }

    fn part(&self) -> Deletions {
        Deletions::default()
    }

    #[inline]
    fn record(&self, part: &mut Deletions, record: &Record<'a>) {
        if record.tombstone {
            if part.places.len() < Deletions::KEPT {
                part.places.push(record.offset);
            } else {
                part.is_cut = true;
            }
        }
    }

    fn join(&self, total: &mut Deletions, part: Deletions) {
        let room = Deletions::KEPT.saturating_sub(total.places.len());
        total.is_cut |= part.is_cut || part.places.len() > room;
        total.places.extend(part.places.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_more_deletions_than_are_kept_it_is_said_that_there_are_more() {
        let half = || Deletions { places: vec![FileOffset(1); Deletions::KEPT / 2], is_cut: false };
        let mut total = Deletions::default();
        Tombstones.join(&mut total, half());
        Tombstones.join(&mut total, half());
        assert_eq!((total.places.len(), total.is_cut), (Deletions::KEPT, false));
        Tombstones.join(&mut total, Deletions { places: vec![FileOffset(1)], is_cut: false });
        assert_eq!((total.places.len(), total.is_cut), (Deletions::KEPT, true));
    }
}
