//! A few keys and what they hold, without reading more than it takes.

use std::collections::HashMap;

use crate::bolt::{Db, leaves_backward};
use crate::etcd::credible::Judge;
use crate::etcd::history::Placed;
use crate::etcd::record::{Record, RecordFold};
use crate::etcd::schema;

use super::newer::may_lead_elsewhere;
use super::records::{Answer, ask_from, bearings};
use super::{Damage, OpError, Settings};

/// The state of one key.
#[derive(Debug)]
pub struct KeyState<'a> {
    /// Its newest record up to the revision; a tombstone if it was deleted.
    pub newest: Option<Record<'a>>,
    /// The revision that was asked for, or the current one.
    pub revision: i64,
    /// Damage that was skipped.
    pub damage: Damage,
}

/// The states of several things, each of which may be under one key or another.
#[derive(Debug)]
pub struct States<'a> {
    /// For each thing the newest record of any of its keys; a tombstone if that
    /// was deleted.
    pub newest: Vec<Option<Record<'a>>>,
    /// The revision that was asked for, or the current one.
    pub revision: i64,
    /// Damage that was skipped.
    pub damage: Damage,
}

/// How many of the newest leaves are searched one after the other, before all
/// are read side by side. What is asked for was often written lately; then most
/// of the file need not be read at all.
const NEWEST_LEAVES: usize = 2000;

/// Looks up `key` as it was at `revision` or is now.
///
/// Damage is met only where it is looked at: if the key is found among the newest
/// records, nothing is said of the rest of the file.
///
/// # Errors
/// A revision that is not there; a damaged file, unless that is to be skipped.
pub fn key<'a>(
    db: &Db<'a>,
    key: &[u8],
    revision: Option<i64>,
    settings: &Settings<'_>,
) -> Result<KeyState<'a>, OpError> {
    let States { newest, revision, damage } = any_of(db, &[vec![key.to_vec()]], revision, settings)?;
    Ok(KeyState { newest: newest.into_iter().next().flatten(), revision, damage })
}

/// Looks up several things at once, each of them under any of its keys, as
/// [`key`] does.
///
/// # Errors
/// As [`key`].
pub fn any_of<'a>(
    db: &Db<'a>,
    things: &[Vec<Vec<u8>>],
    revision: Option<i64>,
    settings: &Settings<'_>,
) -> Result<States<'a>, OpError> {
    let (window, judge) = bearings(db, settings);
    let question = |revision| Wanted::new(things, revision);
    // What is known at once is not passed over: that a file is cut short, or that its tree
    // may be an older one.
    if db.missing_bytes() == 0
        && !may_lead_elsewhere(db)
        && let Ok(revision) = window.resolve(revision)
        && let Some(newest) = question(revision).among_newest(db, judge)
    {
        return Ok(States { newest, revision, damage: Damage::default() });
    }
    let answer = ask_from((window, judge), db, revision, settings, question)?;
    let Answer { total: newest, revision, damage, .. } = answer;
    Ok(States { newest, revision, damage })
}

/// Which keys are looked for.
enum Keys<'k> {
    /// A key alone, which is compared with each record's.
    One(&'k [u8]),
    /// The numbers of the things that each key is of: one may be asked for twice.
    Many(HashMap<&'k [u8], Vec<usize>>),
}

struct Wanted<'k> {
    keys: Keys<'k>,
    count: usize,
    at_most: i64,
}

impl<'k> Wanted<'k> {
    fn new(things: &'k [Vec<Vec<u8>>], at_most: i64) -> Self {
        let keys = match things {
            [keys] if keys.len() == 1 => Keys::One(keys.first().map_or(&[], Vec::as_slice)),
            _ => {
                let numbered = things.iter().enumerate();
                let mut each: HashMap<&[u8], Vec<usize>> = HashMap::new();
                for (number, keys) in numbered {
                    for key in keys {
                        each.entry(key).or_default().push(number);
                    }
                }
                Keys::Many(each)
            }
        };
        Self { keys, count: things.len(), at_most }
    }

    /// The numbers of the things that a record is of.
    #[inline]
    fn numbers(&self, record: &Record<'_>) -> &[usize] {
        if record.revision.main > self.at_most {
            return &[];
        }
        match &self.keys {
            Keys::One(key) if record.kv.key == *key => &[0],
            Keys::One(_) => &[],
            Keys::Many(numbers) => numbers.get(record.kv.key).map_or(&[], Vec::as_slice),
        }
    }

    /// The newest records of all, if they are among the newest leaves and from there to
    /// the end nothing is damaged, out of order or missing.
    fn among_newest<'a>(&self, db: &Db<'a>, judge: Judge) -> Option<Vec<Option<Record<'a>>>> {
        let order = judge.order?;
        let mut found = vec![None; self.count];
        let mut missing = self.count;
        let mut behind: Option<Placed> = None;
        for leaf in leaves_backward(db, schema::KEY).take(NEWEST_LEAVES) {
            for element in leaf.ok()?.iter().rev() {
                let record = Record::parse(element).ok()?;
                let placed = Placed::of(&record);
                let mut is_sound = judge.contradiction(&record).is_none();
                if let Some(behind) = behind.replace(placed) {
                    is_sound &= behind.revision > placed.revision;
                    order.misplaced(Some(placed.revision), behind, |_| is_sound = false);
                }
                if !is_sound {
                    return None;
                }
                for number in self.numbers(&record) {
                    if let Some(place @ None) = found.get_mut(*number) {
                        *place = Some(record);
                        missing = missing.saturating_sub(1);
                    }
                }
                if missing == 0 {
                    return Some(found);
                }
            }
        }
        None
    }
}

impl<'a> RecordFold<'a> for Wanted<'_> {
    type Part = HashMap<usize, Record<'a>>;
    type Total = Vec<Option<Record<'a>>>;

    fn total(&self) -> Self::Total {
        vec![None; self.count]
    }

    fn part(&self) -> Self::Part {
        HashMap::new()
    }

    #[inline]
    fn record(&self, part: &mut Self::Part, record: &Record<'a>) {
        for number in self.numbers(record) {
            part.insert(*number, *record);
        }
    }

    fn join(&self, total: &mut Self::Total, part: Self::Part) {
        for (number, record) in part {
            if let Some(newest) = total.get_mut(number) {
                *newest = Some(record);
            }
        }
    }
}
