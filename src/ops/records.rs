//! Questions asked of the records of a store, as it was at a revision or is now.

use crate::bolt::{Db, FaultLog, WalkOptions, walk};
use crate::etcd::credible::{Answered, Credible, Judge};
use crate::etcd::hash_kv::{OutOfWindow, Window};
use crate::etcd::in_order::InOrder;
use crate::etcd::record::RecordFold;
use crate::etcd::schema;

use super::damage::damage;
use super::hashkv::bearings;
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
    let (mut window, judge) = bearings(db, settings);
    let resolved = match window.resolve(revision) {
        // If the file is damaged, its last record need not be the newest.
        Err(OutOfWindow::Future { .. }) => window.current,
        resolved => resolved?,
    };
    let fold = Credible { fold: question(resolved), judge };
    let (Answered { mut total, log, .. }, report) = walk(db, &fold, &options(settings));
    let in_order = in_order(db, judge, &report.faults, settings);
    let damage = damage(db, report, log, settings)?;
    if let Some(in_order) = &in_order {
        window.current = window.current.max(in_order.newest());
    }
    let revision = window.resolve(revision)?;
    if let Some(in_order) = in_order {
        total = in_order.ask(&db.image, &question(revision));
    }
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

/// The records, and what says which revisions there are.
pub(super) fn options<'s>(settings: &Settings<'s>) -> WalkOptions<'s> {
    WalkOptions { only: Some(&[schema::KEY, schema::META]), ..settings.walk() }
}
