//! Can this backup be trusted? Every check there is, in one pass.
//!
//! The digest is computed on a thread of its own, as it is the one part that
//! cannot be split. Beside it the pages are walked once, and every leaf answers
//! all other questions while it is in the cache. The first finding does not end
//! anything.

mod affected;
mod auth;
mod file;
mod history;
mod kubernetes;
mod leases;
mod locked;
mod membership;
mod restored;
mod schema;
mod tree;

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::bolt::{Db, OpenError, PageCounts, WalkOptions, walk};
use crate::etcd::gaps::LivesAcrossGaps;
use crate::etcd::history::RevisionOrder;
use crate::etcd::in_order::InOrder;
use crate::etcd::keyspace::KeyspaceFold;
use crate::etcd::line::EtcdLine;
use crate::etcd::present::{Unread, nowhere};
use crate::etcd::record::Records;
use crate::etcd::schema::KEY;
use crate::etcd::snapshot::{DigestVerdict, FileKind, Trailer, trailer};
use crate::etcd::state::{LineEvidence, State};
use crate::kube::encryption::Keyring;
use crate::kube::registry_key::Prefixes;
use crate::source::Source;

use super::digest::{self, Content, Hashed};
use super::finding::{Check, Findings, Grade};
use super::{OpError, Settings};
use affected::{Evidence, Tombstones};

pub use affected::{Affected, Group, GroupName, Latest, Tally};

/// What one check covered and what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// The check.
    pub check: Check,
    /// What was looked at, in units: `("pages", 27)`.
    pub covered: Vec<(&'static str, u64)>,
    /// The worst that it found.
    pub worst: Option<Grade>,
    /// How many findings it has.
    pub findings: u64,
    /// Whether there was nothing to look at.
    pub skipped: bool,
}

/// What the file holds, as far as it could be read.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The line of etcd that wrote it, and how that is known.
    pub line: (EtcdLine, LineEvidence),
    /// The store's revision.
    pub revision: i64,
    /// Its compact revision, if it was ever compacted.
    pub compact_revision: Option<i64>,
    /// Keys that are alive.
    pub live_keys: u64,
    /// Leases granted and not yet expired.
    pub leases: u64,
    /// Whether there are objects as a Kubernetes API server stores them.
    pub is_kubernetes: bool,
    /// Pages by kind.
    pub pages: PageCounts,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct Report {
    /// Bytes of the file.
    pub file_size: u64,
    /// What each check covered, in the order they are told.
    pub checks: Vec<CheckResult>,
    /// Everything found.
    pub findings: Findings,
    /// How the digest fared; `None` if the file is no database.
    pub digest: Option<DigestVerdict>,
    /// SHA-256 of the pages, if it was computed.
    pub content: Option<[u8; 32]>,
    /// What the file holds; `None` if it is no database, or too damaged to tell.
    pub facts: Option<Facts>,
    /// What damage means for the data; `None` if no key is concerned, or it is no database.
    pub affected: Option<Affected>,
    /// What the file seems to be, if it is no database.
    pub looks_like: Option<FileKind>,
}

impl Report {
    /// The worst grade, notes included.
    pub fn worst(&self) -> Option<Grade> {
        self.findings.worst()
    }

    /// Whether nothing worse than a note was found.
    pub fn is_sound(&self) -> bool {
        self.worst().is_none_or(|worst| worst == Grade::Note)
    }

    /// Whether the file is known not to be what etcd wrote: bytes changed since, or its
    /// end is missing.
    pub fn was_changed(&self) -> bool {
        matches!(self.digest, Some(DigestVerdict::Differs { .. })) || self.findings.has("truncated")
    }

    /// Whether the digest is there and right.
    pub fn digest_matches(&self) -> bool {
        self.digest == Some(DigestVerdict::Matches)
    }
}

/// What to look for besides.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Prefix of the Kubernetes keys, if it is none of the usual ones.
    pub prefixes: Prefixes,
    /// Keys to open encrypted values with, which are then checked too.
    pub keyring: Option<Arc<Keyring>>,
    /// Which values of Kubernetes keys to look into.
    pub values: Values,
}

/// Which values of Kubernetes keys are looked into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Values {
    /// All of them.
    #[default]
    Every,
    /// Only until one is an object's, which makes this a store of Kubernetes. For
    /// a restore: no value stands in its way, and looking into all of them is a
    /// sixth of its work.
    First,
}

/// Checks a file.
///
/// # Errors
/// Only if the file changed while it was read. What is wrong with it, even that
/// it is no database at all, is in the report.
pub fn verify(source: &Source, settings: &Settings<'_>, options: &Options) -> Result<Report, OpError> {
    let report = match Db::open(source.bytes()) {
        Ok(db) => check_patched(source, &db, &db, settings, options, Content::IfStored),
        Err(error) => not_a_database(source, error),
    };
    source.finish()?;
    Ok(report)
}

/// Checks a file that was just written with `digest` at its end, each piece read back and
/// compared: as [`verify`], without hashing it once more.
///
/// # Errors
/// As [`verify`].
pub(crate) fn verify_written(
    source: &Source,
    digest: [u8; 32],
    settings: &Settings<'_>,
    options: &Options,
) -> Result<Report, OpError> {
    let report = match Db::open(source.bytes()) {
        Ok(db) => check_patched(source, &db, &db, settings, options, Content::Known(digest)),
        Err(error) => not_a_database(source, error),
    };
    source.finish()?;
    Ok(report)
}

/// Marks that known faults of etcd leave in the membership.
pub(crate) fn membership_findings(state: &State, findings: &mut Findings) {
    membership::findings(state, findings);
}

fn not_a_database(source: &Source, error: OpenError) -> Report {
    let mut findings = Findings::default();
    file::not_a_database(error, &mut findings);
    let file_size = source.bytes().len() as u64;
    let checks = vec![result(&findings, Check::File, vec![("bytes", file_size)])];
    let looks_like = FileKind::of(source.bytes());
    Report {
        file_size,
        checks,
        findings,
        digest: None,
        content: None,
        facts: None,
        affected: None,
        looks_like,
    }
}

fn result(findings: &Findings, check: Check, covered: Vec<(&'static str, u64)>) -> CheckResult {
    let (worst, count) = findings.of_check(check);
    CheckResult { check, covered, worst, findings: count, skipped: false }
}

/// Checks the file of `db`, and the content of `patched`: the same database, or
/// the one that is about to be written from it.
pub(crate) fn check_patched(
    source: &Source,
    db: &Db<'_>,
    patched: &Db<'_>,
    settings: &Settings<'_>,
    options: &Options,
    content: Content,
) -> Report {
    let trailer = trailer(db, source.bytes());
    let work = |threads| {
        // A restore that moves the revision ahead marks everything before as
        // compacted. What is missing was still missing before.
        let found = State::read(db);
        let compact = found.compact_revision().unwrap_or(0);
        let mut draft = check_content(patched, compact, threads, settings, options);
        // What is about to be written is of a restore in any case.
        if std::ptr::eq(db, patched) {
            draft.restored(&found);
        }
        draft
    };
    let (hashed, mut draft) = digest::alongside(source, db, content, settings, work);
    file::digest(db, &trailer, hashed.verdict, &mut draft.findings);
    draft.look_outside(db, settings, options);
    draft.finish(db, &trailer, hashed, source.bytes().len() as u64)
}

/// Checks a database that is part of a file: all but the file and its digest.
pub(crate) fn check_part(db: &Db<'_>, settings: &Settings<'_>, options: &Options) -> Report {
    let compact = State::read(db).compact_revision().unwrap_or(0);
    let mut draft = check_content(db, compact, settings.threads, settings, options);
    draft.findings.sort();
    let Draft { findings, checks, facts, affected } = draft;
    let file_size = db.meta.image_size();
    Report { file_size, checks, findings, digest: None, content: None, facts, affected, looks_like: None }
}

/// A report in the making.
struct Draft {
    findings: Findings,
    checks: Vec<CheckResult>,
    facts: Option<Facts>,
    affected: Option<Affected>,
}

fn check_content(
    db: &Db<'_>,
    compact: i64,
    threads: NonZeroUsize,
    settings: &Settings<'_>,
    options: &Options,
) -> Draft {
    let mut findings = Findings::default();
    let state = State::read(db);
    let kubernetes = kubernetes::Values {
        prefixes: &options.prefixes,
        keyring: options.keyring.as_deref(),
        which: options.values,
    };
    let newest = || KeyspaceFold::new(db.image).watched_by(LivesAcrossGaps { compact });
    let records = ((RevisionOrder { compact }, Tombstones), newest(), kubernetes);
    let walking = WalkOptions { threads, only: None, progress: Some(&settings.progress.pages) };
    let (((((mut order, deletions), mut keyspace, values), unreadable), leases), walked) =
        walk(db, &(Records(records), leases::Leases), &walking);
    if let Some(in_order) = InOrder::where_needed(db, state.judge(), &walked.faults, &walking) {
        keyspace = in_order.ask(&db.image, &newest());
    }
    if walked.faults.is_out_of_order(KEY) {
        let holes = nowhere(db, RevisionOrder { compact }, Unread::Miss, threads);
        order.correct(&db.image, &holes);
        keyspace.log.correct(&holes);
    }

    tree::findings(&walked.faults, &mut findings);
    schema::findings(db, &state, &mut findings);
    history::findings(db, &state, &order, &keyspace.log, &unreadable, &mut findings);
    let is_there = state.buckets.iter().any(|name| name == KEY);
    let is_whole = is_there && walked.faults.is_empty() && unreadable.count == 0;
    history::compaction(&state, &order, is_whole, &mut findings);
    let evidence = Evidence {
        db,
        walked: &walked,
        order: &order,
        keyspace: &keyspace,
        unreadable: &unreadable,
        undecodable: values.undecodable(),
        compact,
        compacted: state.scheduled_compact == state.finished_compact,
        is_newer: state.is_of_unknown_line(),
        lacks_keys: state.lacks_keys(),
        prefixes: &options.prefixes,
        deletions: &deletions,
        threads,
    };
    let mut weighing = evidence.weigh();
    // Both read the newest record of every key.
    let live = keyspace.live().inspect(|record| {
        if let Some(weighing) = &mut weighing {
            weighing.live(record);
        }
    });
    let references = leases::findings(db, &leases, live, &mut findings);
    let affected = weighing.and_then(affected::Weighing::finish);
    auth::alarms(&state, &mut findings);
    auth::findings(&state, &mut findings);
    membership::findings(&state, &mut findings);
    let is_kubernetes = values.has_objects();
    let kinds = match options.values {
        Values::Every => kubernetes.findings(db, &values, &keyspace, &mut findings),
        Values::First => Vec::new(),
    };

    let pages = walked.pages;
    let elements = walked.buckets.iter().map(|bucket| bucket.keys).sum();
    let data = walked.buckets.iter().map(|bucket| bucket.bytes).sum();
    let mut checks = vec![
        result(&findings, Check::Metas, vec![("metas", 2)]),
        result(
            &findings,
            Check::Tree,
            vec![
                ("pages", pages.in_use),
                ("buckets", walked.buckets.len() as u64),
                ("elements", elements),
                ("bytes", data),
            ],
        ),
    ];
    let freelist = result(&findings, Check::Freelist, vec![("pages", pages.free)]);
    checks.push(CheckResult { skipped: db.meta.freelist.is_none(), ..freelist });
    checks.extend([
        result(
            &findings,
            Check::Schema,
            vec![("buckets", state.buckets.len() as u64), ("entries", state.entries)],
        ),
        result(
            &findings,
            Check::History,
            vec![
                ("records", keyspace.records),
                ("deletions", keyspace.tombstones),
                ("live keys", keyspace.len() as u64),
            ],
        ),
        result(
            &findings,
            Check::Leases,
            vec![("leases", leases.ids.len() as u64), ("attached keys", references)],
        ),
        result(&findings, Check::Alarms, vec![("alarms", state.alarms.len() as u64)]),
        result(
            &findings,
            Check::Auth,
            vec![("users", state.users.len() as u64), ("roles", state.roles.len() as u64)],
        ),
        result(
            &findings,
            Check::Membership,
            vec![("members", state.members.len() as u64), ("removed", state.removed.len() as u64)],
        ),
    ]);
    let skipped = kinds.is_empty();
    let kubernetes = result(&findings, Check::Kubernetes, kinds);
    checks.push(CheckResult { skipped, ..kubernetes });
    // With damage on the way to the buckets, nothing seen is nothing said.
    if !state.tree_faults.is_empty() {
        for check in &mut checks {
            check.skipped |= check.worst.is_none() && check.covered.iter().all(|(_, count)| *count == 0);
        }
    }
    let history_lost = walked.is_lost(KEY) || state.lacks_keys();
    for check in &mut checks {
        check.skipped |= history_lost && matches!(check.check, Check::History | Check::Kubernetes);
    }
    let window = state.window(keyspace.last);
    // What the small buckets say is not told if they cannot all be read, nor a
    // revision where there is no history.
    let facts = (state.tree_faults.is_empty() && !history_lost).then(|| Facts {
        line: state.line(),
        revision: window.current,
        compact_revision: window.compact,
        live_keys: keyspace.len() as u64,
        leases: leases.ids.len() as u64,
        is_kubernetes,
        pages,
    });
    Draft { findings, checks, facts, affected }
}

impl Draft {
    /// Looks whether the file, as it was found, comes from a restore.
    fn restored(&mut self, found: &State) {
        if let Some(facts) = &self.facts {
            restored::findings(found, facts.revision, &mut self.findings);
        }
    }

    /// Looks for what is newer than the tree, where that may not be the last one that was
    /// written. Of the file as it was found, whatever is about to be made of it.
    fn look_outside(&mut self, db: &Db<'_>, settings: &Settings<'_>, options: &Options) {
        let walk = WalkOptions { threads: settings.threads, only: None, progress: None };
        let prefixes = &options.prefixes;
        let question = affected::Question { db, prefixes, walk };
        self.affected = question.answer(&mut self.findings, self.affected.take());
    }

    fn finish(mut self, db: &Db<'_>, trailer: &Trailer, hashed: Hashed, file_size: u64) -> Report {
        self.findings.sort();
        let covered = match trailer.digest() {
            Some(_) => file_size.saturating_sub(32),
            None => 0,
        };
        let mut checks = vec![
            result(
                &self.findings,
                Check::File,
                vec![("bytes", file_size), ("page size", db.meta.page_size.bytes())],
            ),
            CheckResult {
                skipped: trailer.digest().is_none(),
                ..result(&self.findings, Check::Digest, vec![("bytes", covered)])
            },
        ];
        checks.append(&mut self.checks);
        // Some findings came after the checks were counted.
        for check in &mut checks {
            (check.worst, check.findings) = self.findings.of_check(check.check);
        }
        let is_spoiled = self.findings.has("digest-differs");
        Report {
            file_size,
            checks,
            findings: self.findings,
            digest: Some(hashed.verdict),
            content: hashed.content,
            facts: self.facts,
            affected: if is_spoiled {
                Some(self.affected.unwrap_or_default().of_changed_bytes())
            } else {
                self.affected
            },
            looks_like: None,
        }
    }
}
