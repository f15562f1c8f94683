//! What a restore will write, worked out before anything is written. A pure
//! function of the snapshot and the request.

use crate::bolt::{Db, Patched, TxId};
use crate::etcd::auth::Alarm;
use crate::etcd::credible::Judge;
use crate::etcd::line::EtcdLine;
use crate::etcd::membership::{ClusterId, Member, MemberId, new_members, with_learners};
use crate::etcd::raft::{Index, Term};
use crate::etcd::root_user::ROOT;
use crate::etcd::state::State;
use crate::etcd::{snap_file, wal};
use crate::ops::Settings;
use crate::ops::reader::Reader;
use crate::ops::rebuild::{BumpTo, Changes, Outcome, Rebuild, Refusal, Request as RebuildRequest};
use crate::ops::records::newest_main;

use super::edits::{Correction, Edits};
use super::lines::{StartsOn, newest_line};
use super::{Bump, Fingerprint, Request, RestoreError, warning};

/// What all members of the new cluster have in common, which is all but one
/// number in the WAL.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The database.
    pub database: Database<'a>,
    /// Name of the raft snapshot.
    pub snap_name: String,
    /// Content of the raft snapshot.
    pub snap: Vec<u8>,
    /// SHA-256 of what is written over the file.
    edits: [u8; 32],
    /// The transaction that a database written anew is the result of.
    pub(super) txid: TxId,
    pub(super) state: State,
    pub(super) summary: Summary,
}

/// The database to be.
#[derive(Debug)]
pub enum Database<'a> {
    /// The snapshot's own pages, and a handful behind them.
    Patched(Box<Patched<'a>>),
    /// All pages written anew, because something of the content is changed.
    Rebuilt(Box<Rebuild<'a>>),
}

impl Database<'_> {
    /// Bytes that it will have.
    pub fn size(&self) -> u64 {
        match self {
            Self::Patched(patched) => patched.size(),
            Self::Rebuilt(rebuild) => rebuild.size(),
        }
    }

    /// What will be different, if it is written anew.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Patched(_) => None,
            Self::Rebuilt(rebuild) => Some(rebuild.outcome()),
        }
    }

    /// Why it is not to be written, if what the changes come to was not accepted.
    pub fn refusals(&self) -> &[Refusal] {
        match self {
            Self::Patched(_) => &[],
            Self::Rebuilt(rebuild) => rebuild.refusals(),
        }
    }
}

/// A plan in figures.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The line of etcd that wrote the snapshot.
    pub written_by: EtcdLine,
    /// The line whose restore this follows.
    pub written_for: EtcdLine,
    /// The lines to start on the result.
    pub starts_on: StartsOn,
    /// What was done besides.
    pub corrections: Vec<Correction>,
    /// The new members.
    pub members: Vec<Member>,
    /// Those that the snapshot lists.
    pub members_before: Vec<Member>,
    /// The new cluster.
    pub cluster: ClusterId,
    /// Revision of the store as it was.
    pub revision_before: i64,
    /// And as it will be.
    pub revision_after: i64,
    /// Whether it is moved ahead, everything before marked compacted.
    pub is_bumped: bool,
    /// Revision below which there is no history, as it will be.
    pub compact_revision: Option<i64>,
    /// Bytes of the database.
    pub db_size: u64,
    /// Bytes of one of its pages.
    pub page_size: u64,
    /// What to start etcd with as `--quota-backend-bytes`, if the database is
    /// larger than what etcd takes unless told otherwise, or nearly so.
    pub quota: Option<u64>,
    /// Alarms that will be on.
    pub alarms: Vec<Alarm>,
    /// Whether users have to log in.
    pub auth_enabled: bool,
    /// How many users there are.
    pub users: usize,
    /// What is changed and left out; `None` if everything is as in the snapshot.
    pub changed: Option<Outcome>,
}

impl<'a> Plan<'a> {
    /// Works out what to write.
    ///
    /// # Errors
    /// A membership that does not fit together, a target that the file is not
    /// for, a bump that goes too far, changes that cannot be made, or a snapshot too
    /// damaged to be patched.
    pub fn new(db: &Db<'a>, request: &Request, settings: &Settings<'_>) -> Result<Self, RestoreError> {
        let membership = &request.membership;
        let members = new_members(&membership.cluster, &membership.token)?;
        let members = with_learners(members, &membership.learners)?;
        let state = State::read(db);
        if state.is_of_unknown_line() {
            return Err(RestoreError::UnknownLine(state.storage_version_text()));
        }
        let (written_by, written_for) = lines(&state, request)?;
        let unsupported = RestoreError::CannotDowngrade { written_by, target: written_for };
        let starts_on = StartsOn::of(written_by, written_for).ok_or(unsupported)?;

        // Upstream takes the greatest key of the bucket.
        let last = newest_main(db, Judge::LENIENT, &settings.walk());
        let revision_before = state.window(last).current;
        let mut revision_after = revision_before;
        let mut compact_revision = state.compact_revision();
        let mut edits = Edits::of_upstream(db, &members)?;
        let mut is_bumped = request.bump.is_some();
        if let Some(bump) = request.bump {
            revision_after = bump.apply(last, revision_before)?;
            compact_revision = Some(revision_after);
            edits.bump(revision_after);
        }
        edits.correct(request.corrections, &state, &members, written_for);
        let patched = edits.apply(db)?;
        let starts_on = starts_on.in_view_of(&State::read(&patched.db()));
        let mut changes = None;
        let database = if request.changes.is_empty() {
            Database::Patched(Box::new(patched))
        } else {
            let bump_to = match request.bump {
                Some(_) => Some(BumpTo::Always(revision_after)),
                None if request.bump_if_unfaithful => {
                    Some(BumpTo::Unfaithful(Bump::Auto.apply(last, revision_before)?))
                }
                None => None,
            };
            let rebuild = Rebuild::plan(db, &rebuilt(request, &edits, bump_to), settings)?;
            revision_after = rebuild.outcome().revision.1;
            compact_revision = rebuild.outcome().compact_revision.1;
            // Asked for or not, the same bump is the same state.
            if let (None, Some(to)) = (request.bump, rebuild.bumped_to()) {
                is_bumped = true;
                edits.bump(to);
            }
            changes = Some(rebuild.resolved(&request.changes));
            Database::Rebuilt(Box::new(rebuild))
        };
        let changed = database.outcome().cloned();

        let layout = written_for.restored_as();
        let snap = snap_file::encode(&snap_file::restored(&members, layout), layout.encoding());
        let summary = Summary {
            written_by,
            written_for,
            starts_on,
            corrections: edits.corrections().to_vec(),
            cluster: ClusterId::derive(members.iter().map(|member| member.id)),
            revision_before,
            revision_after,
            is_bumped,
            compact_revision,
            db_size: database.size(),
            page_size: db.meta.page_size.bytes(),
            quota: warning::quota(database.size()),
            alarms: if request.corrections.clear_alarms { Vec::new() } else { state.alarms.clone() },
            auth_enabled: state.auth_enabled && !request.changes.disable_auth,
            users: users(&state, request),
            changed,
            members_before: state.members.clone(),
            members,
        };
        let txid = TxId(db.meta.txid.0.saturating_add(1));
        let snap_name = snap_file::file_name(Term(1), Index(summary.members.len() as u64));
        let edits = edits.hash(changes.as_ref());
        Ok(Self { database, snap_name, snap, edits, txid, state, summary })
    }

    /// The records of one member's WAL; zeros follow.
    pub fn wal_head(&self, node: MemberId) -> Vec<u8> {
        wal::wal_head(node, &self.summary.members, self.summary.written_for.restored_as())
    }

    /// The plan in figures.
    pub fn summary(&self) -> Summary {
        self.summary.clone()
    }

    /// What stands for the database to be, given the SHA-256 of the file's pages.
    pub fn fingerprint(&self, content: &[u8; 32]) -> Fingerprint {
        Fingerprint::new(content, &self.edits)
    }
}

/// What a database written anew is to have.
fn rebuilt<'r>(request: &'r Request, edits: &Edits, bump_to: Option<BumpTo>) -> RebuildRequest<'r> {
    let changes = Changes { bump_to, ..request.changes.clone() };
    let prefixes = request.verify.prefixes.clone();
    let reader = Reader { keys: request.keyring.as_deref(), prefixes, ..Reader::default() };
    RebuildRequest { changes, replaced: edits.replaced(), reader }
}

/// How many users there will be.
fn users(state: &State, request: &Request) -> usize {
    let has_root = state.users.iter().any(|user| user.name == ROOT);
    let new_root = request.changes.root_password.is_some() && !has_root;
    state.users.len().saturating_add(usize::from(new_root))
}

/// The line that wrote the file, and the line to write for.
fn lines(state: &State, request: &Request) -> Result<(EtcdLine, EtcdLine), RestoreError> {
    let (written_by, _) = state.line();
    let newest = newest_line(state);
    let Some(target) = request.target_line else { return Ok((written_by, newest.restored_as())) };
    if target < newest && !request.corrections.downgrade {
        return Err(match StartsOn::of(newest, target) {
            Some(_) => RestoreError::NewerThanTarget { written_by: newest, target },
            None => RestoreError::CannotDowngrade { written_by: newest, target },
        });
    }
    Ok((written_by, target))
}
