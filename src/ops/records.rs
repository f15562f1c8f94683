//! Questions asked of the records of a store, as it was at a revision or is now.

use crate::bolt::{Db, FaultLog, WalkOptions, last_element, walk};
use crate::etcd::credible::{Answered, Credible, Judge};
use crate::etcd::hash_kv::Window;
use crate::etcd::in_order::InOrder;
use crate::etcd::record::{Record, RecordFault, RecordFold};
use crate::etcd::revision::{Revision, RevisionKey};
use crate::etcd::schema;
use crate::etcd::state::State;

use super::damage::damage;
use super::{Damage, OpError, Settings};

/// What became of a question.
#[derive(Debug)]
pub(super) struct Answer<T> {
    /// The answer.
    pub(super) total: T,
    /// The revision that was asked for, or the current one.
    pub(super) revision: i64,
    /// The revisions that could be asked for.
    pub(super) window: Window,
    /// Damage that was skipped.
    pub(super) damage: Damage,
}

/// Asks `question`, which depends on the revision, of all records that can be believed, in
/// the order of their revisions.
///
/// # Errors
/// A revision that is not there; a damaged file, unless that is to be skipped.
pub(super) fn ask<'a, R: RecordFold<'a>>(
    db: &Db<'a>,
    revision: Option<i64>,
    settings: &Settings<'_>,
    question: impl Fn(i64) -> R,
) -> Result<Answer<R::Total>, OpError> {
    ask_from(bearings(db, settings), db, revision, settings, question)
}

/// As [`ask`], by whom the bearings are known already.
pub(super) fn ask_from<'a, R: RecordFold<'a>>(
    (window, judge): (Window, Judge),
    db: &Db<'a>,
    revision: Option<i64>,
    settings: &Settings<'_>,
    question: impl Fn(i64) -> R,
) -> Result<Answer<R::Total>, OpError> {
    let revision = window.resolve(revision)?;
    let fold = Credible { fold: question(revision), judge };
    let (Answered { mut total, log, .. }, report) = walk(db, &fold, &options(settings));
    if let Some(in_order) = in_order(db, judge, &report.faults, settings) {
        total = in_order.ask(&db.image, &question(revision));
    }
    let damage = damage(db, report, log, settings)?;
    Ok(Answer { total, revision, window, damage })
}

/// The records in order, if damage is to be skipped and the tree has them in another.
pub(super) fn in_order(
    db: &Db<'_>,
    judge: Judge,
    faults: &FaultLog,
    settings: &Settings<'_>,
) -> Option<InOrder> {
    if !settings.skip_damaged {
        return None;
    }
    InOrder::where_needed(db, judge, faults, &settings.walk())
}

/// The revisions that a store can be asked for, and how its records are judged.
pub(crate) fn bearings(db: &Db<'_>, settings: &Settings<'_>) -> (Window, Judge) {
    bearings_of(&State::read(db), db, settings)
}

/// As [`bearings`], of a database whose small buckets were read already.
pub(super) fn bearings_of(state: &State, db: &Db<'_>, settings: &Settings<'_>) -> (Window, Judge) {
    let judge = state.judge();
    (state.window(newest_main(db, judge, &settings.walk())), judge)
}

/// The revision of the newest record that `judge` believes. It is the last one of the tree,
/// and known at once, unless something is wrong with that or with what leads to it: then all
/// records are read.
pub(super) fn newest(db: &Db<'_>, judge: Judge, options: &WalkOptions<'_>) -> Option<Revision> {
    if let Some(element) = last_element(db, schema::KEY) {
        match Record::parse(&element) {
            Ok(record) if judge.contradiction(&record).is_none() => return Some(record.revision),
            // There was a write, whatever it was.
            Err(RecordFault::Value(_)) => {
                return RevisionKey::parse(element.key()).ok().map(|key| key.revision);
            }
            _ => {}
        }
    }
    let options = WalkOptions { only: Some(&[schema::KEY]), progress: None, ..*options };
    walk(db, &Credible { fold: Newest, judge }, &options).0.total
}

/// As [`newest`], the main revision; 0 without records.
pub(super) fn newest_main(db: &Db<'_>, judge: Judge, options: &WalkOptions<'_>) -> i64 {
    newest(db, judge, options).map_or(0, |revision| revision.main)
}

/// The highest revision.
struct Newest;

impl<'a> RecordFold<'a> for Newest {
    type Part = Option<Revision>;
    type Total = Option<Revision>;

    fn total(&self) -> Option<Revision> {
        None
    }

    fn part(&self) -> Option<Revision> {
        None
    }

    #[inline]
    fn record(&self, part: &mut Option<Revision>, record: &Record<'a>) {
        *part = (*part).max(Some(record.revision));
    }

    fn join(&self, total: &mut Option<Revision>, part: Option<Revision>) {
        *total = (*total).max(part);
    }
}

/// The records, and what says which revisions there are.
pub(super) fn options<'s>(settings: &Settings<'s>) -> WalkOptions<'s> {
    WalkOptions { only: Some(&[schema::KEY, schema::META]), ..settings.walk() }
}
