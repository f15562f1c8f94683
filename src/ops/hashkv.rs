//! HashKV of a file, and of several to compare them.

use crate::bolt::Db;
use crate::etcd::credible::Judge;
use crate::etcd::hash_kv::{HashKv, Window, hash_kv};
use crate::etcd::schema;
use crate::etcd::snapshot::Snapshot;
use crate::etcd::state::State;

use super::records::{bearings, bearings_of, newest_main};
use super::{Damage, Lost, OpError, Settings, prepare};

/// The answer for one file.
#[derive(Debug, Clone)]
pub struct HashKvReport {
    /// The hash, and what it is the hash of.
    pub hash: HashKv,
    /// The revisions that could be asked for.
    pub window: Window,
    /// Damage that was skipped.
    pub damage: Damage,
}

/// Computes HashKV of `snapshot` at `revision`, or at its current one.
///
/// # Errors
/// A revision that is not there; a damaged file, unless that is to be skipped.
pub fn hashkv(
    snapshot: &Snapshot,
    revision: Option<i64>,
    settings: &Settings<'_>,
) -> Result<HashKvReport, OpError> {
    prepare(snapshot, settings.threads);
    let db = snapshot.db()?;
    let state = State::read(&db);
    if state.lacks_meta() {
        // What was compacted takes part in the hash.
        let lost = Lost::Bucket(schema::META);
        return Err(OpError::NothingLeft { lost, damage: Box::default() });
    }
    let (window, judge) = bearings_of(&state, &db, settings);
    let report = at(&db, window, window.resolve(revision)?, window.compact, judge, settings)?;
    snapshot.source().finish()?;
    Ok(report)
}

/// HashKV of a database at its current revision, as etcd will answer: what is suspicious
/// about records and pages was decided about before.
pub(crate) fn of_db(db: &Db<'_>, settings: &Settings<'_>) -> Result<HashKvReport, OpError> {
    let judge = Judge::LENIENT;
    let window = State::read(db).window(newest_main(db, judge, &settings.walk()));
    let settings = Settings { skip_damaged: true, ..*settings };
    at(db, window, window.current, window.compact, judge, &settings)
}

fn at(
    db: &Db<'_>,
    window: Window,
    revision: i64,
    compact: Option<i64>,
    judge: Judge,
    settings: &Settings<'_>,
) -> Result<HashKvReport, OpError> {
    let (hash, faults) = hash_kv(db, revision, compact, judge, &settings.walk());
    let lost = Lost::of_keys(db, faults.all_lost);
    let damage = Damage::met(db, faults.tree, faults.records, settings).tolerated(lost, settings)?;
    Ok(HashKvReport { hash, window, damage })
}

/// Why files cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incomparable {
    /// One file ends before another one's history begins.
    NoCommonRevision {
        /// The newest revision that all files have.
        newest: i64,
        /// The oldest that all files still have.
        oldest: i64,
    },
}

/// Several files at the highest revision that all of them have.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The answers, in the order of the files.
    pub hashes: Vec<HashKvReport>,
    /// Whether all hashes are equal.
    pub equal: bool,
}

/// Compares the histories of several files: at `revision`, or at the highest one
/// that all have. Where they were compacted at different revisions, each counts
/// as if it had been compacted where the last of them was, so that members can
/// be compared which were saved at different times. (Upstream does not compare
/// across compact revisions at all.)
///
/// # Errors
/// As [`hashkv`]; `Ok(Err(_))` if the files have no revision in common.
pub fn compare(
    snapshots: &[Snapshot],
    revision: Option<i64>,
    settings: &Settings<'_>,
) -> Result<Result<Comparison, Incomparable>, OpError> {
    let mut files = Vec::with_capacity(snapshots.len());
    for snapshot in snapshots {
        prepare(snapshot, settings.threads);
        let db = snapshot.db()?;
        files.push((db, bearings(&db, settings)));
    }
    let newest = files.iter().map(|(_, (window, _))| window.current).min().unwrap_or(0);
    let compact = files.iter().filter_map(|(_, (window, _))| window.compact).max();
    let common = Window { compact, current: newest };
    if newest < common.oldest() {
        return Ok(Err(Incomparable::NoCommonRevision { newest, oldest: common.oldest() }));
    }
    let revision = common.resolve(revision)?;
    let mut hashes = Vec::with_capacity(files.len());
    for (db, (window, judge)) in &files {
        hashes.push(at(db, *window, revision, compact, *judge, settings)?);
    }
    for snapshot in snapshots {
        snapshot.source().finish()?;
    }
    let equal = hashes.iter().zip(hashes.iter().skip(1)).all(|(a, b)| a.hash == b.hash);
    Ok(Ok(Comparison { hashes, equal }))
}
