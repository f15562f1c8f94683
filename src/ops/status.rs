//! What is in the file: the five figures that `etcdutl` prints, and the rich
//! page.

use std::collections::VecDeque;

use crate::bolt::{Db, PageCounts, WalkOptions, walk};
use crate::etcd::credible::{Answered, Credible};
use crate::etcd::hash_kv::Window;
use crate::etcd::keyspace::{Keyspace, KeyspaceFold};
use crate::etcd::line::EtcdLine;
use crate::etcd::record::{Record, RecordFold};
use crate::etcd::schema;
use crate::etcd::snapshot::{DigestVerdict, Snapshot};
use crate::etcd::state::{LineEvidence, State};
use crate::etcd::status_hash::StatusHash;
use crate::kube::envelope::Envelope;
use crate::kube::registry_key::Prefixes;

use super::damage::damage;
use super::dating::{DATED_AMONG, DatedWrite, newest_write};
use super::digest::{self, Content};
use super::member_list::{self, MembersReport};
use super::records::in_order;
use super::{Damage, OpError, Settings, prepare};

/// What `etcdutl snapshot status` 3.6 prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// CRC-32C over all buckets.
    pub hash: u32,
    /// Main revision of the last record.
    pub revision: i64,
    /// Keys that are alive.
    pub total_keys: u64,
    /// Bytes of all pages below the high-water mark.
    pub total_size: u64,
    /// The storage version, empty before 3.6.
    pub version: String,
}

/// Computes the figures. The digest is not looked at, as upstream does not.
///
/// # Errors
/// A damaged file, unless that is to be skipped.
pub fn figures(snapshot: &Snapshot, settings: &Settings<'_>) -> Result<(Figures, Damage), OpError> {
    prepare(snapshot, settings.threads);
    let db = snapshot.db()?;
    let state = State::read(&db);
    let fold = Credible { fold: KeyspaceFold::new(db.image), judge: state.judge() };
    let ((hash, answered), report) = walk(&db, &(StatusHash, fold), &settings.walk());
    let Answered { total: mut keyspace, log, .. } = answered;
    if let Some(in_order) = in_order(&db, state.judge(), &report.faults, settings) {
        keyspace = in_order.ask(&db.image, &KeyspaceFold::new(db.image));
    }
    let damage = damage(&db, report, log, settings)?;
    snapshot.source().finish()?;
    Ok((of(&db, &state, hash.value(), &keyspace), damage))
}

fn of(db: &Db<'_>, state: &State, hash: u32, keyspace: &Keyspace<'_>) -> Figures {
    Figures {
        hash,
        revision: keyspace.last,
        total_keys: keyspace.len() as u64,
        total_size: db.meta.image_size(),
        version: state.storage_version_text(),
    }
}

/// The rich page.
#[derive(Debug, Clone)]
pub struct Status {
    /// What upstream would print.
    pub figures: Figures,
    /// Bytes of the file.
    pub file_size: u64,
    /// Bytes per page.
    pub page_size: u64,
    /// Pages by kind.
    pub pages: PageCounts,
    /// How the digest fared.
    pub digest: DigestVerdict,
    /// The line of etcd that wrote the file, and how that is known.
    pub line: (EtcdLine, LineEvidence),
    /// Versions, positions, alarms, users.
    pub state: State,
    /// Members, voters, learners.
    pub members: MembersReport,
    /// The revisions that can be asked for.
    pub window: Window,
    /// Records in the history.
    pub records: u64,
    /// Deletions among them.
    pub tombstones: u64,
    /// Leases.
    pub leases: u64,
    /// The newest write that can be dated.
    pub newest_write: Option<DatedWrite>,
    /// Prefixes of Kubernetes keys, if there are any.
    pub prefixes: Option<Prefixes>,
    /// Damage that was skipped.
    pub damage: Damage,
}

/// The last records of the history, oldest first.
struct Latest {
    keep: usize,
}

impl<'a> RecordFold<'a> for Latest {
    type Part = VecDeque<Record<'a>>;
    type Total = VecDeque<Record<'a>>;

    fn total(&self) -> VecDeque<Record<'a>> {
        VecDeque::new()
    }

    fn part(&self) -> VecDeque<Record<'a>> {
        VecDeque::new()
    }

    fn record(&self, part: &mut VecDeque<Record<'a>>, record: &Record<'a>) {
        if part.len() >= self.keep {
            part.pop_front();
        }
        part.push_back(*record);
    }

    fn join(&self, total: &mut VecDeque<Record<'a>>, part: VecDeque<Record<'a>>) {
        total.extend(part);
        let surplus = total.len().saturating_sub(self.keep);
        total.drain(..surplus);
    }
}

/// Answers everything there is to say about a file at a glance.
///
/// # Errors
/// A damaged file, unless that is to be skipped.
pub fn status(snapshot: &Snapshot, prefixes: &Prefixes, settings: &Settings<'_>) -> Result<Status, OpError> {
    let db = snapshot.db()?;
    let bytes = snapshot.source().bytes();
    let state = State::read(&db);
    let question = || (KeyspaceFold::new(db.image), Latest { keep: DATED_AMONG });
    let (hashed, (walked, report)) =
        digest::alongside(snapshot.source(), &db, Content::IfStored, settings, |threads| {
            let records = Credible { fold: question(), judge: state.judge() };
            walk(&db, &(StatusHash, records), &WalkOptions { threads, ..settings.walk() })
        });
    let (hash, Answered { total: (mut keyspace, mut latest), log, .. }) = walked;
    if let Some(in_order) = in_order(&db, state.judge(), &report.faults, settings) {
        (keyspace, latest) = in_order.ask(&db.image, &question());
    }
    let leases = report.buckets.iter().find(|bucket| bucket.depth == 0 && bucket.name == schema::LEASE);
    let leases = leases.map_or(0, |bucket| bucket.keys);
    let pages = report.pages;
    let damage = damage(&db, report, log, settings)?;
    // As verify: other programs' keys may begin with /registry/ as well.
    let objects = keyspace.live().filter(|record| is_object(record.kv.value));
    let keys = objects.map(|record| record.kv.key);
    let status = Status {
        figures: of(&db, &state, hash.value(), &keyspace),
        file_size: bytes.len() as u64,
        page_size: db.meta.page_size.bytes(),
        pages,
        digest: hashed.verdict,
        line: state.line(),
        members: member_list::report(&state, Damage::default()),
        window: state.window(keyspace.last),
        records: keyspace.records,
        tombstones: keyspace.tombstones,
        leases,
        newest_write: newest_write(latest.iter()),
        prefixes: used(prefixes, keys),
        damage,
        state,
    };
    snapshot.source().finish()?;
    Ok(status)
}

/// Whether a value is, or was meant to be, what an API server stores.
fn is_object(value: &[u8]) -> bool {
    !matches!(Envelope::parse(value), Ok(Envelope::Empty | Envelope::Other))
}

/// Which of `prefixes` the store uses.
fn used<'k>(prefixes: &Prefixes, keys: impl Iterator<Item = &'k [u8]>) -> Option<Prefixes> {
    if *prefixes == Prefixes::well_known() {
        return Prefixes::detect(keys);
    }
    let mut keys = keys;
    keys.any(|key| prefixes.strip(key).is_some()).then(|| prefixes.clone())
}
