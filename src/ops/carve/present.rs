//! What is found, beside what the tree holds.

use std::collections::{BTreeMap, HashMap};

use crate::bolt::{Db, LeafIndex, walk};
use crate::etcd::in_order::InOrder;
use crate::etcd::record::{Record, RecordFold, Records};
use crate::etcd::remnant::{Form, Remnant, Spot};
use crate::etcd::revision::{Revision, RevisionKey};
use crate::etcd::schema;
use crate::etcd::state::State;

use super::super::Settings;
use super::super::records::options;
use super::found::{Found, Relation};

/// The tree, ready to be asked.
#[derive(Debug)]
pub(super) struct Present<'a> {
    pub(super) db: Db<'a>,
    pub(super) indexes: BTreeMap<&'a [u8], LeafIndex<'a>>,
}

/// How many records of one transaction a piece is compared with.
const COMPARED: usize = 256;

impl Present<'_> {
    /// Whether the tree reaches the same: then it is no news.
    pub(super) fn holds(&self, file: &[u8], spot: &Spot, remnant: &Remnant<'_>) -> bool {
        match *remnant {
            Remnant::Record { revision, tombstone, kv } => {
                let Some(index) = self.indexes.get(schema::KEY) else { return false };
                if spot.form == Form::Record {
                    let key = RevisionKey { revision, tombstone }.to_bytes();
                    let Some(element) = index.find(&self.db.image, &key) else { return false };
                    let bytes = spot.bytes(file);
                    return match spot.missing {
                        0 => element.key_value() == bytes,
                        _ => element.key_value().starts_with(bytes),
                    };
                }
                let first =
                    RevisionKey { revision: Revision { main: revision.main, sub: 0 }, tombstone: false };
                let first = first.to_bytes();
                let records = index.from(&self.db.image, &first).take(COMPARED);
                let mut records = records.filter_map(|element| Record::parse(&element).ok());
                records.any(|record| {
                    record.revision.main == revision.main
                        && record.kv.key == kv.key
                        && record.kv.value.starts_with(kv.value)
                })
            }
            Remnant::Entry { kind, key, value } => {
                let index = self.indexes.get(kind.bucket());
                let element = index.and_then(|index| index.find(&self.db.image, key));
                // A key that is lost with the page in front of it leaves the value.
                element.is_some_and(|element| element.value() == value)
            }
            Remnant::Value(_) => false,
        }
    }
}

/// Says of everything what it is to the present. `revision` is that of the tree,
/// which `is_sound` if nothing of it is lost.
pub(super) fn relate(
    file: &[u8],
    found: &mut [Found],
    present: Option<&Present<'_>>,
    revision: Option<i64>,
    is_sound: bool,
    settings: &Settings<'_>,
) {
    let (Some(present), Some(last)) = (present, revision) else { return };
    let mut keys: HashMap<&[u8], u32> = HashMap::new();
    for found in found.iter() {
        if let Some(Remnant::Record { kv, .. }) = found.read(file) {
            let number = u32::try_from(keys.len()).unwrap_or(u32::MAX);
            keys.entry(kv.key).or_insert(number);
        }
    }
    let alive = if keys.is_empty() {
        Vec::new()
    } else {
        let alive = || Alive { keys: &keys };
        let ((total, _), report) = walk(&present.db, &Records(alive()), &options(settings));
        let judge = State::read(&present.db).judge();
        let in_order = InOrder::where_needed(&present.db, judge, &report.faults, &settings.walk());
        in_order.map_or(total, |in_order| in_order.ask(&present.db.image, &alive()))
    };
    // What is lost of a damaged tree may be what is looked for.
    let gone = if is_sound { Relation::Deleted } else { Relation::Unknown };
    for found in found {
        found.relation = match found.read(file) {
            Some(Remnant::Record { revision, .. }) if revision.main > last && is_sound => Relation::Later,
            Some(Remnant::Record { kv, .. }) => {
                let number = keys.get(kv.key).and_then(|number| usize::try_from(*number).ok());
                let is_alive = number.and_then(|number| alive.get(number).copied()).unwrap_or(false);
                if is_alive { Relation::Compacted } else { gone }
            }
            Some(Remnant::Entry { kind, key, .. }) => {
                let index = present.indexes.get(kind.bucket());
                let is_there = index.is_some_and(|index| index.find(&present.db.image, key).is_some());
                if is_there { Relation::Replaced } else { gone }
            }
            Some(Remnant::Value(_)) | None => Relation::Unknown,
        };
    }
}

/// Which of some keys are alive after the last record.
struct Alive<'k> {
    keys: &'k HashMap<&'k [u8], u32>,
}

impl<'a> RecordFold<'a> for Alive<'_> {
    type Part = Vec<(u32, bool)>;
    type Total = Vec<bool>;

    fn total(&self) -> Vec<bool> {
        vec![false; self.keys.len()]
    }

    fn part(&self) -> Self::Part {
        Vec::new()
    }

    #[inline]
    fn record(&self, part: &mut Self::Part, record: &Record<'a>) {
        if let Some(number) = self.keys.get(record.kv.key) {
            part.push((*number, !record.tombstone));
        }
    }

    fn join(&self, total: &mut Vec<bool>, part: Self::Part) {
        for (number, is_alive) in part {
            if let Some(alive) = usize::try_from(number).ok().and_then(|number| total.get_mut(number)) {
                *alive = is_alive;
            }
        }
    }
}
