//! Histories of a store, and the answers about them computed the slow way: from
//! the description of etcd's algorithms, step by step.

use std::collections::{BTreeMap, BTreeSet};

use super::Entry;
use super::store::{Put, message, revision};

/// A change to one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub main: i64,
    pub sub: i64,
    pub key: Vec<u8>,
    /// `None` deletes.
    pub value: Option<Vec<u8>>,
    pub create: i64,
    pub version: i64,
}

impl Change {
    pub fn entry(&self) -> Entry {
        let mut key = revision(self.main, self.sub);
        let value = match &self.value {
            None => {
                key.push(b't');
                message(&[(1, Err(&self.key))])
            }
            Some(value) => Put {
                key: &self.key,
                create: self.create,
                modified: self.main,
                version: self.version,
                value,
                lease: 0,
            }
            .to_bytes(),
        };
        super::entry(key, value)
    }
}

/// Everything that happened: each transaction changes some keys, none twice.
/// `None` deletes the key if it is there.
pub fn history(transactions: &[BTreeMap<u8, Option<u8>>]) -> Vec<Change> {
    let mut lives: BTreeMap<u8, (i64, i64)> = BTreeMap::new();
    let mut changes = Vec::new();
    let mut main = 1;
    for transaction in transactions {
        let mut sub = 0;
        for (key, value) in transaction {
            if value.is_none() && !lives.contains_key(key) {
                continue;
            }
            let life = lives.entry(*key).or_insert((main + 1, 0));
            life.1 += 1;
            let (create, version) = *life;
            if value.is_none() {
                lives.remove(key);
            }
            let value = value.map(|value| vec![value; usize::from(value)]);
            changes.push(Change { main: main + 1, sub, key: vec![b'k', *key], value, create, version });
            sub += 1;
        }
        main += i64::from(sub > 0);
    }
    changes
}

/// What a compaction at `at` leaves: of each key the newest change up to `at`,
/// unless it is a deletion before `at`; and all that came later. A deletion right
/// at `at` stays if `keep_last` (3.5.16 and later).
pub fn compacted(changes: &[Change], at: i64, keep_last: bool) -> Vec<Change> {
    let newest: BTreeMap<&[u8], &Change> = changes
        .iter()
        .filter(|change| change.main <= at)
        .map(|change| (change.key.as_slice(), change))
        .collect();
    let stays = |change: &&Change| {
        change.main > at
            || newest.get(change.key.as_slice()) == Some(change)
                && (change.value.is_some() || change.main == at && keep_last)
    };
    changes.iter().filter(stays).cloned().collect()
}

/// The live keys at a revision, each with its newest change.
pub fn live(changes: &[Change], at: i64) -> BTreeMap<Vec<u8>, Change> {
    let mut live = BTreeMap::new();
    for change in changes.iter().filter(|change| change.main <= at) {
        match change.value {
            Some(_) => drop(live.insert(change.key.clone(), change.clone())),
            None => drop(live.remove(&change.key)),
        }
    }
    live
}

type At = (i64, i64);

/// HashKV by generations, as etcd has it.
pub fn hash_kv(changes: &[Change], at: i64, compact: i64) -> u32 {
    let mut generations: BTreeMap<&[u8], Vec<Vec<At>>> = BTreeMap::new();
    for change in changes {
        let revision = (change.main, change.sub);
        let own = generations.entry(&change.key).or_insert_with(|| vec![Vec::new()]);
        let first = own.len() == 1 && own[0].is_empty();
        let last = own.last_mut().expect("one at least");
        if change.value.is_some() {
            last.push(revision);
        } else if first || !last.is_empty() {
            last.push(revision);
            own.push(Vec::new());
        }
    }
    let mut keep = BTreeSet::new();
    for own in generations.values() {
        let (last, earlier) = own.split_last().expect("one at least");
        let ended = earlier.iter().find(|generation| generation.last().is_some_and(|end| end.0 >= at));
        let generation = ended.unwrap_or(last);
        if let Some(found) = generation.iter().rfind(|revision| revision.0 <= at)
            && !(ended.is_some() && generation.last() == Some(found))
        {
            keep.insert(*found);
        }
    }
    let mut bytes = b"key".to_vec();
    for change in changes {
        let skipped = change.main > at
            || change.main <= compact && !keep.is_empty() && !keep.contains(&(change.main, change.sub))
            || change.main == compact && change.value.is_none();
        if !skipped {
            let entry = change.entry();
            bytes.extend(entry.key);
            bytes.extend(entry.value);
        }
    }
    crc32c::crc32c(&bytes)
}

/// The hash of `snapshot status`: names, keys and values of all buckets.
pub fn status_hash(buckets: &BTreeMap<&str, Vec<Entry>>) -> u32 {
    let mut bytes = Vec::new();
    for (name, entries) in buckets {
        bytes.extend(name.as_bytes());
        for entry in entries {
            bytes.extend(&entry.key);
            bytes.extend(&entry.value);
        }
    }
    crc32c::crc32c(&bytes)
}
