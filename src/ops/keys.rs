//! Which keys there are.

use std::num::NonZeroUsize;

use crate::bolt::{Db, FileOffset, sample};
use crate::etcd::hash_kv::Window;
use crate::etcd::key_value::KeyValue;
use crate::etcd::keyspace::{Keyspace, KeyspaceFold, LiveKey};
use crate::etcd::schema;
use crate::etcd::sorted::Ranges;

use super::records::{Answer, ask};
use super::{Damage, OpError, Settings};

/// The live keys of a store at a revision.
#[derive(Debug)]
pub struct KeyListing<'a> {
    keyspace: Keyspace<'a>,
    /// The revision that was asked for, or the current one.
    pub revision: i64,
    /// The revisions that could be asked for.
    pub window: Window,
    /// Damage that was skipped.
    pub damage: Damage,
}

/// Lists the keys of `db` that begin with one of `prefixes` (all keys, if there
/// are none), as they were at `revision` or are now.
///
/// # Errors
/// A revision that is not there; a damaged file, unless that is to be skipped.
pub fn keys<'a>(
    db: &Db<'a>,
    prefixes: Vec<Vec<u8>>,
    revision: Option<i64>,
    settings: &Settings<'_>,
) -> Result<KeyListing<'a>, OpError> {
    let question = |revision| {
        KeyspaceFold::new(db.image).at(revision).in_ranges(ranges(db)).with_prefixes(prefixes.clone())
    };
    let Answer { total: keyspace, revision, window, damage } = ask(db, revision, settings, question)?;
    Ok(KeyListing { keyspace, revision, window, damage })
}

/// Ranges of a few hundred or thousand keys each, by a sample of the records: what
/// is made of a few ranges at a time is in memory.
fn ranges<'a>(db: &Db<'a>) -> Ranges<'a> {
    const SAMPLES_PER_RANGE: u32 = 8;
    let count = range_count(db);
    let elements = sample(db, schema::KEY, u32::from(count).saturating_mul(SAMPLES_PER_RANGE));
    let keys = elements.iter().filter_map(|element| KeyValue::key_of(element.value()));
    Ranges::of_sample(keys.collect(), count)
}

/// By the pages that are there, not by those that a meta claims.
fn range_count(db: &Db<'_>) -> u16 {
    const PAGES_PER_RANGE: u64 = 1024;
    let count = db.image.page_limit().checked_div(PAGES_PER_RANGE).unwrap_or(0);
    u16::try_from(count).unwrap_or(u16::MAX)
}

impl<'a> KeyListing<'a> {
    /// How many keys there are, at most: the empty key that a restore with a
    /// bumped revision leaves behind is counted here and not listed.
    pub fn len(&self) -> usize {
        self.keyspace.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keyspace.is_empty()
    }

    /// The keys in order, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = LiveKey<'a>> + use<'a> {
        self.keyspace.iter().filter(is_visible)
    }

    /// The key that stood at `offset`, as [`LiveKey::offset`] told; `None` if the file
    /// was changed since.
    pub fn at(&self, offset: FileOffset) -> Option<LiveKey<'a>> {
        self.keyspace.at(offset)
    }

    /// Hands the keys to `map`, in runs that follow each other in order, and what becomes of each run to `join`, in
    /// order. No client ever sees the empty key, so it is left out.
    pub fn by_key<T: Send>(
        &self,
        threads: NonZeroUsize,
        map: impl Fn(&mut dyn Iterator<Item = LiveKey<'a>>) -> T + Sync,
        join: impl FnMut(T) + Send,
    ) {
        self.keyspace.by_key(threads, |key| !key.is_empty(), |run| map(run), join);
    }

    /// As [`by_key`](Self::by_key), but only the keys that begin with one of `prefixes`.
    pub fn below<T: Send>(
        &self,
        prefixes: &[Vec<u8>],
        threads: NonZeroUsize,
        map: impl Fn(&mut dyn Iterator<Item = LiveKey<'a>>) -> T + Sync,
        join: impl FnMut(T) + Send,
    ) {
        let below = |key: &[u8]| prefixes.iter().any(|prefix| key.starts_with(prefix));
        self.keyspace.by_key(threads, below, map, join);
    }

    /// As [`by_key`](Self::by_key), in the order of the file, which is faster.
    pub fn in_file_order<T: Send>(
        &self,
        threads: NonZeroUsize,
        map: impl Fn(&mut dyn Iterator<Item = LiveKey<'a>>) -> T + Sync,
        join: impl FnMut(T) + Send,
    ) {
        self.keyspace.in_file_order(threads, |run| map(&mut run.filter(is_visible)), join);
    }
}

fn is_visible(live: &LiveKey<'_>) -> bool {
    !live.key.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bolt::{Meta, PageId, PageSize, TxId};

    #[test]
    fn a_small_file_that_claims_to_be_large_is_sampled_as_a_small_one() {
        let meta = |high_water_mark| Meta {
            page_size: PageSize::new(1024).expect("a page size"),
            root: PageId(2),
            sequence: 0,
            freelist: None,
            high_water_mark: PageId(high_water_mark),
            txid: TxId(1),
        };
        let count = |claimed, pages: usize| {
            let mut file = [meta(claimed).to_page(0), meta(claimed).to_page(1)].concat();
            file.resize(pages * 1024, 0);
            range_count(&Db::open(&file).expect("sound metas"))
        };
        assert_eq!(count(4, 4), 0);
        assert_eq!(count(1 << 50, 4), 0);
        assert_eq!(count(4096, 4096), 4);
        assert_eq!(count(1 << 50, 4096), 4);
    }
}
