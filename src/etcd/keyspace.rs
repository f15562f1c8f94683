//! Which record is the newest of each key: the store's state at a revision.
//!
//! Memory follows the number of live keys: a slot of 12 bytes holds a hash and
//! where the record stands in the file; keys are read from the file again. Parts
//! of the walk only list (hash, place, mark); they are joined in the order of
//! the revisions, each record replacing the one before it and each tombstone
//! removing its key.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::bolt::{FileOffset, Image, ordered};

use super::key_value::KeyValue;
use super::record::{Record, RecordFold};
use super::sorted::{Ranges, SortedKeys};

/// Told of every record and the one before it of the same key.
pub trait Succession<'a>: Sync {
    /// What it remembers.
    type Log: Send + Default;
    /// Whether it wants to be told: reading records again is not free.
    const ACTIVE: bool;
    /// `previous` is the record that `current` replaces; `None` if the key was
    /// not alive.
    fn follow(&self, log: &mut Self::Log, previous: Option<&Record<'a>>, current: &Record<'a>);
}

impl<'a> Succession<'a> for () {
    type Log = ();
    const ACTIVE: bool = false;
    fn follow(&self, (): &mut (), _: Option<&Record<'a>>, _: &Record<'a>) {}
}

/// Builds a [`Keyspace`].
#[derive(Debug)]
pub struct KeyspaceFold<'a, S = ()> {
    image: Image<'a>,
    hasher: RandomState,
    at_most: i64,
    prefixes: Vec<Vec<u8>>,
    ranges: Ranges<'a>,
    succession: S,
}

impl<'a> KeyspaceFold<'a> {
    /// The state after the last record.
    pub fn new(image: Image<'a>) -> Self {
        Self {
            image,
            hasher: RandomState::new(),
            at_most: i64::MAX,
            prefixes: Vec::new(),
            ranges: Ranges::default(),
            succession: (),
        }
    }

    /// To be asked for keys in order: they are dealt to ranges as they are met.
    #[must_use]
    pub fn in_ranges(mut self, ranges: Ranges<'a>) -> Self {
        self.ranges = ranges;
        self
    }

    /// The state at main revision `revision`: later records do not count.
    #[must_use]
    pub fn at(mut self, revision: i64) -> Self {
        self.at_most = revision;
        self
    }

    /// Only keys that begin with one of `prefixes`, if there are any.
    #[must_use]
    pub fn with_prefixes(mut self, prefixes: Vec<Vec<u8>>) -> Self {
        self.prefixes = prefixes;
        self
    }

    /// Tells `succession` of every record.
    #[must_use]
    pub fn watched_by<S: Succession<'a>>(self, succession: S) -> KeyspaceFold<'a, S> {
        let Self { image, hasher, at_most, prefixes, ranges, succession: () } = self;
        KeyspaceFold { image, hasher, at_most, prefixes, ranges, succession }
    }
}

/// A record met by a worker, to be joined in order.
#[derive(Debug, Clone, Copy)]
pub struct Met {
    hash: u32,
    range: u16,
    tombstone: bool,
    offset: FileOffset,
}

/// Where the newest record of a live key is: 12 bytes. No file that can be mapped
/// has offsets of more than 48 bits.
#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    low: u32,
    high: u16,
    range: u16,
}

impl Slot {
    fn new(met: &Met) -> Self {
        let offset = met.offset.0;
        #[expect(clippy::cast_possible_truncation, reason = "the parts of one number")]
        let (low, high) = (offset as u32, (offset >> 32) as u16);
        Self { hash: met.hash, low, high, range: met.range }
    }

    fn offset(&self) -> FileOffset {
        FileOffset(u64::from(self.high) << 32 | u64::from(self.low))
    }
}

/// Spreads 32 bits of hash over the 64 that the table looks at: it takes the
/// place from the low end and a tag from the high end.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// The live keys of the store at a revision.
#[derive(Debug)]
pub struct Keyspace<'a, L = ()> {
    table: HashTable<Slot>,
    image: Image<'a>,
    /// How many ranges the keys were dealt to.
    ranges: usize,
    /// Records counted, tombstones included.
    pub records: u64,
    /// Tombstones among them.
    pub tombstones: u64,
    /// Main revision of the first record, 0 without records.
    pub first: i64,
    /// Main revision of the last record, 0 without records.
    pub last: i64,
    /// What the [`Succession`] remembered.
    pub log: L,
}

/// What a run of records amounts to.
#[derive(Debug, Default)]
pub struct KeyspacePart {
    met: Vec<Met>,
    records: u64,
    tombstones: u64,
    first: Option<i64>,
    last: i64,
}

impl<'a, S: Succession<'a>> RecordFold<'a> for KeyspaceFold<'a, S> {
    type Part = KeyspacePart;
    type Total = Keyspace<'a, S::Log>;

    fn total(&self) -> Self::Total {
        Keyspace {
            table: HashTable::new(),
            image: self.image,
            ranges: self.ranges.count(),
            records: 0,
            tombstones: 0,
            first: 0,
            last: 0,
            log: S::Log::default(),
        }
    }

    fn part(&self) -> KeyspacePart {
        KeyspacePart::default()
    }

    #[inline]
    fn record(&self, part: &mut KeyspacePart, record: &Record<'a>) {
        let main = record.revision.main;
        if main > self.at_most {
            return;
        }
        part.records = part.records.saturating_add(1);
        part.tombstones = part.tombstones.saturating_add(u64::from(record.tombstone));
        part.first.get_or_insert(main);
        part.last = main;
        let key = record.kv.key;
        if !self.prefixes.is_empty() && !self.prefixes.iter().any(|prefix| key.starts_with(prefix)) {
            return;
        }
        let hash = self.hasher.hash_one(key) as u32;
        let range = self.ranges.number_of(key);
        part.met.push(Met { hash, range, tombstone: record.tombstone, offset: record.offset });
    }

    fn join(&self, total: &mut Self::Total, part: KeyspacePart) {
        if total.records == 0 {
            total.first = part.first.unwrap_or_default();
        }
        if part.records > 0 {
            total.last = part.last;
        }
        total.records = total.records.saturating_add(part.records);
        total.tombstones = total.tombstones.saturating_add(part.tombstones);
        for met in &part.met {
            total.replace(met, &self.succession);
        }
    }
}

impl<'a, L> Keyspace<'a, L> {
    fn replace<S: Succession<'a, Log = L>>(&mut self, met: &Met, succession: &S) {
        let image = self.image;
        // Keys are only read where hashes agree: most records are of keys that are
        // new, and their bytes have left the cache since they were met.
        let same = |slot: &Slot| {
            slot.hash == met.hash
                && key_at(&image, slot.offset()).is_some_and(|key| key_at(&image, met.offset) == Some(key))
        };
        let entry = self.table.entry(spread(met.hash), same, |slot| spread(slot.hash));
        if S::ACTIVE
            && let Some(current) = Record::at(&image, met.offset)
        {
            let previous = match &entry {
                Entry::Occupied(slot) => Record::at(&image, slot.get().offset()),
                Entry::Vacant(_) => None,
            };
            succession.follow(&mut self.log, previous.as_ref(), &current);
        }
        match entry {
            Entry::Occupied(slot) if met.tombstone => {
                slot.remove();
            }
            Entry::Occupied(mut slot) => *slot.get_mut() = Slot::new(met),
            Entry::Vacant(_) if met.tombstone => {}
            Entry::Vacant(slot) => {
                slot.insert(Slot::new(met));
            }
        }
    }

    /// How many keys are alive, the empty key of a bumped restore included, as
    /// `etcdutl` 3.6 counts.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no key is alive.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Where the newest records of the live keys stand, in no order.
    pub fn offsets(&self) -> impl Iterator<Item = FileOffset> {
        self.table.iter().map(Slot::offset)
    }

    /// Where the newest records of the live keys stand, in the order of the file.
    pub fn sorted_offsets(&self) -> Vec<FileOffset> {
        let mut offsets: Vec<_> = self.offsets().collect();
        offsets.sort_unstable();
        offsets
    }

    /// The newest records of the live keys, in the order of the file (much the
    /// fastest order to read them in).
    pub fn live(&self) -> impl Iterator<Item = Record<'a>> + use<'a, L> {
        let image = self.image;
        self.sorted_offsets().into_iter().filter_map(move |offset| Record::at(&image, offset))
    }

    /// The live key whose newest record is at `offset`, as [`LiveKey::offset`] told;
    /// `None` if the file was changed since.
    pub fn at(&self, offset: FileOffset) -> Option<LiveKey<'a>> {
        Some(LiveKey { key: key_at(&self.image, offset)?, offset, image: self.image })
    }

    /// The live keys in order. Sorts as it goes; [`by_key`](Self::by_key) is
    /// faster where there are many.
    pub fn iter(&self) -> impl Iterator<Item = LiveKey<'a>> + use<'a, L> {
        let image = self.image;
        let offsets = self.sorted_offsets().into_iter();
        let keyed = offsets.filter_map(|offset| Some((key_at(&image, offset)?, offset))).collect();
        SortedKeys::new(keyed).map(move |(key, offset)| LiveKey { key, offset, image })
    }

    /// Hands the live keys that are `wanted` to `map`, in runs that follow
    /// each other in the order of the keys, side by side on `threads` threads;
    /// `join` gets what becomes of the runs, in order. With
    /// [`in_ranges`](KeyspaceFold::in_ranges) there are several, and the first is
    /// ready long before the last.
    pub fn by_key<T: Send>(
        &self,
        threads: NonZeroUsize,
        wanted: impl Fn(&[u8]) -> bool + Sync,
        map: impl Fn(&mut dyn Iterator<Item = LiveKey<'a>>) -> T + Sync,
        join: impl FnMut(T) + Send,
    ) {
        let image = self.image;
        let mut ranges = vec![Vec::new(); self.ranges];
        for slot in &self.table {
            if let Some(range) = ranges.get_mut(usize::from(slot.range)) {
                range.push(slot.offset());
            }
        }
        let work = |range: &Vec<FileOffset>| {
            // Read in the order of the file, which is fastest.
            let mut offsets = range.clone();
            offsets.sort_unstable();
            let keyed = offsets.into_iter().filter_map(|offset| Some((key_at(&image, offset)?, offset)));
            let keyed = keyed.filter(|(key, _)| wanted(key));
            let keys = SortedKeys::new(keyed.collect());
            map(&mut keys.map(|(key, offset)| LiveKey { key, offset, image }))
        };
        ordered(&ranges, threads, work, join);
    }

    /// As [`by_key`](Self::by_key), but the order is that of the file, which is
    /// faster where the order does not matter.
    pub fn in_file_order<T: Send>(
        &self,
        threads: NonZeroUsize,
        map: impl Fn(&mut dyn Iterator<Item = LiveKey<'a>>) -> T + Sync,
        join: impl FnMut(T) + Send,
    ) {
        const RUN: usize = 16_384;
        let image = self.image;
        let offsets = self.sorted_offsets();
        let runs: Vec<&[FileOffset]> = offsets.chunks(RUN).collect();
        let live =
            |offset: &FileOffset| Some(LiveKey { key: key_at(&image, *offset)?, offset: *offset, image });
        let map = |run: &&[FileOffset]| map(&mut run.iter().filter_map(live));
        ordered(&runs, threads, map, join);
    }
}

/// A key that is alive. Its record is read when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct LiveKey<'a> {
    /// The key.
    pub key: &'a [u8],
    offset: FileOffset,
    image: Image<'a>,
}

impl<'a> LiveKey<'a> {
    /// Where its newest record is: enough to find it again with [`Keyspace::at`].
    pub fn offset(&self) -> FileOffset {
        self.offset
    }

    /// Its newest record; `None` if the file was changed since it was met.
    pub fn record(&self) -> Option<Record<'a>> {
        Record::at(&self.image, self.offset)
    }
}

fn key_at<'a>(image: &Image<'a>, offset: FileOffset) -> Option<&'a [u8]> {
    KeyValue::key_of(image.element(offset)?.value())
}
