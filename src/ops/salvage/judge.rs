//! Entries of the small buckets that etcd or `verify` object to: a sound page is no proof
//! of what is on it.
//!
//! The judge is that of `verify`: what is to be written is made a database, in memory,
//! and read as any other is. So nothing that it finds fault with gets into the result,
//! whatever rules it has.

use std::collections::BTreeSet;

use crate::bolt::{BuildError, Builder, Db, Excerpt, Metas, PageSize, TxId};
use crate::etcd::lease::Lease;
use crate::etcd::remnant::EntryKind;
use crate::etcd::schema;
use crate::etcd::state::State;

use super::report::{BrokenEntry, BucketState};
use super::small::Small;

/// A bucket with more entries than these is looked through by their form first.
const MANY: usize = 1000;

/// More rounds than this many entries in eight buckets can take.
const ROUNDS: usize = 16;

/// An entry and what speaks against it.
struct Objection {
    bucket: Vec<u8>,
    key: Excerpt,
    why: String,
}

impl Small<'_> {
    /// Takes out every entry that is not what its bucket holds. `page_size`: of the
    /// database that will be written.
    pub(super) fn judge(&mut self, page_size: PageSize) {
        self.judge_each();
        for _ in 0..ROUNDS {
            let objections = self.objections(page_size);
            if objections.is_empty() {
                return;
            }
            for objection in objections {
                self.take_out(&objection);
            }
        }
        let names: BTreeSet<Vec<u8>> =
            self.objections(page_size).into_iter().map(|objection| objection.bucket).collect();
        for name in names {
            self.retain(&name, |_, _| Err("one of too many entries that are none".to_owned()));
        }
    }

    /// Looks at each entry by itself: leases, which are not read with the others, and
    /// buckets with more entries than etcd ever had.
    fn judge_each(&mut self) {
        let names: Vec<Vec<u8>> = self.buckets.keys().cloned().collect();
        for name in names {
            let many = self.buckets.get(&name).is_some_and(|(_, entries)| entries.len() > MANY);
            match EntryKind::of_bucket(&name) {
                Some(EntryKind::Lease) => self.retain(&name, |key, value| {
                    Lease::parse(key, value).map(|_| ()).map_err(|fault| fault.to_string())
                }),
                Some(kind) if many => self.retain(&name, |key, value| {
                    let refused = || "nothing that etcd keeps in this bucket".to_owned();
                    kind.accepts(key, value).then_some(()).ok_or_else(refused)
                }),
                Some(_) => {}
                // bbolt takes none.
                None => {
                    self.retain(
                        &name,
                        |key, _| {
                            if key.is_empty() { Err("an empty key".to_owned()) } else { Ok(()) }
                        },
                    )
                }
            }
        }
    }

    /// What a reader of the new database would object to.
    fn objections(&self, page_size: PageSize) -> Vec<Objection> {
        let Ok(image) = self.image(page_size) else { return Vec::new() };
        let Ok(db) = Db::open(&image) else { return Vec::new() };
        let faults = State::read(&db).faults;
        let objection = |fault: crate::etcd::state::EntryFault| Objection {
            bucket: fault.bucket.as_bytes().to_vec(),
            key: fault.key,
            why: fault.kind.to_string(),
        };
        faults.into_iter().map(objection).collect()
    }

    /// A database with these buckets and no others.
    fn image(&self, page_size: PageSize) -> Result<Vec<u8>, BuildError> {
        fn fill<W: std::io::Write>(small: &Small<'_>, builder: &mut Builder<W>) -> Result<(), BuildError> {
            let read = |name: &[u8]| EntryKind::of_bucket(name).is_some_and(|kind| kind != EntryKind::Lease);
            for (name, (sequence, entries)) in small.buckets.iter().filter(|(name, _)| read(name)) {
                builder.bucket(name, *sequence)?;
                for (key, value) in entries.iter().filter(|(key, _)| !key.is_empty()) {
                    builder.entry(key, value)?;
                }
            }
            Ok(())
        }
        let mut measuring = Builder::measure(page_size);
        fill(self, &mut measuring)?;
        let mut image = Vec::new();
        let mut builder = Builder::write(measuring.layout()?, Metas::Stream(TxId(2)), &mut image)?;
        fill(self, &mut builder)?;
        builder.finish()?;
        Ok(image)
    }

    fn take_out(&mut self, objection: &Objection) {
        let Objection { bucket, key: excerpt, why } = objection;
        self.retain(bucket, |key, _| {
            let is_it = if excerpt.cut { key.starts_with(&excerpt.bytes) } else { key == excerpt.bytes };
            if is_it || key.is_empty() { Err(why.clone()) } else { Ok(()) }
        });
    }

    /// Keeps the entries of bucket `name` that `judge` has nothing against.
    fn retain(&mut self, name: &[u8], judge: impl Fn(&[u8], &[u8]) -> Result<(), String>) {
        let Some((_, entries)) = self.buckets.get_mut(name) else { return };
        let mut broken = Vec::new();
        entries.retain(|key, value| match judge(key, value) {
            Ok(()) => true,
            Err(why) => {
                let (bucket, key) = (name.to_vec(), key.to_vec());
                broken.push((bucket, key, why));
                false
            }
        });
        for (bucket, key, why) in broken {
            let is_told = |told: &BrokenEntry| told.bucket == bucket && told.key == Excerpt::of(&key);
            // One that was left out may be met again in an older copy.
            if self.broken.count <= MANY as u64 && self.broken.first.iter().any(is_told) {
                continue;
            }
            // Those that say nothing of compactions leave no doubt about these.
            const OTHERS: [&[u8]; 4] =
                [schema::CONSISTENT_INDEX, schema::TERM, schema::CONF_STATE, schema::STORAGE_VERSION];
            if bucket == schema::META && !OTHERS.contains(&&*key) {
                self.compaction_is_whole = false;
            }
            self.partial(&bucket);
            self.broken.push(BrokenEntry { key: Excerpt::of(&key), bucket, why, replaced: false });
        }
    }

    /// Says that a bucket which was intact is not.
    fn partial(&mut self, name: &[u8]) {
        let told = self.told.iter_mut().find(|told| told.name == name);
        if let Some(told) = told.filter(|told| told.state == BucketState::Intact) {
            told.state = BucketState::Partial;
        }
    }

    /// A compaction is asked for, then done. Where only one of the two is known, or they
    /// contradict each other, etcd is told that the later one was both.
    pub(super) fn order_compactions(&mut self) {
        let at = self.compacted().at;
        let scheduled = self.compaction(schema::SCHEDULED_COMPACT).unwrap_or(0);
        let finished = self.compaction(schema::FINISHED_COMPACT).unwrap_or(0);
        if finished > scheduled {
            let key = Excerpt::of(schema::SCHEDULED_COMPACT);
            let why = format!("compaction {finished} done, and only {scheduled} asked for");
            self.partial(schema::META);
            self.broken.push(BrokenEntry { bucket: schema::META.to_vec(), key, why, replaced: false });
            self.compact(at);
        }
    }

    /// What became of those that were left out, when nothing is changed any more.
    pub(super) fn settle(&mut self) {
        for entry in &mut self.broken.first {
            let key = self.buckets.get(&entry.bucket).map(|(_, entries)| entries);
            entry.replaced =
                !entry.key.cut && key.is_some_and(|entries| entries.contains_key(&*entry.key.bytes));
        }
        for told in &mut self.told {
            told.entries = self.buckets.get(&told.name).map_or(0, |(_, entries)| entries.len() as u64);
        }
    }
}
