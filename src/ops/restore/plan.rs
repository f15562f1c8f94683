//! What a restore will write, worked out before anything is written. A pure
//! function of the snapshot and the request.

use crate::bolt::{Db, Entries, Patch, Patched, last_element};
use crate::etcd::line::EtcdLine;
use crate::etcd::membership::{ClusterId, Member, MemberId, new_members};
use crate::etcd::raft::{Index, Term};
use crate::etcd::revision::{Revision, RevisionKey};
use crate::etcd::state::State;
use crate::etcd::{schema, snap_file, wal};

use super::{Request, RestoreError};

/// What all members of the new cluster have in common, which is all but one
/// number in the WAL.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The database.
    pub patched: Patched<'a>,
    /// Name of the raft snapshot.
    pub snap_name: String,
    /// Content of the raft snapshot.
    pub snap: Vec<u8>,
    pub(super) state: State,
    pub(super) summary: Summary,
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
    /// The new members.
    pub members: Vec<Member>,
    /// The new cluster.
    pub cluster: ClusterId,
    /// Revision of the store as it was.
    pub revision_before: i64,
    /// And as it will be.
    pub revision_after: i64,
    /// Bytes of the database.
    pub db_size: u64,
}

/// The lines of etcd to start on a restored directory: from one to 3.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartsOn {
    /// The oldest of them.
    pub oldest: EtcdLine,
}

impl<'a> Plan<'a> {
    /// Works out what to write.
    ///
    /// # Errors
    /// A membership that does not fit together, a bump that goes too far, or a
    /// snapshot too damaged to be patched.
    pub fn new(db: &Db<'a>, request: &Request) -> Result<Self, RestoreError> {
        let members = new_members(&request.membership.cluster, &request.membership.token)?;
        let state = State::read(db);
        if state.is_of_unknown_line() {
            return Err(RestoreError::UnknownLine(state.storage_version_text()));
        }
        let (written_by, _) = state.line();
        let written_for = written_by.restored_as();

        let last = last_record(db).unwrap_or_default();
        let revision_before = state.window(last.main).current;
        let mut patch = Patch::new(*db);
        let mut meta = patch.entries(schema::META)?;
        let count = members.len() as u64;
        meta.insert(schema::CONSISTENT_INDEX.to_vec(), count.to_be_bytes().to_vec());
        meta.insert(schema::TERM.to_vec(), 1u64.to_be_bytes().to_vec());
        let mut revision_after = revision_before;
        if let Some(by) = request.bump_revision {
            let too_far = RestoreError::BumpTooFar { revision: last.main, by };
            let bumped = i64::try_from(by).ok().and_then(|by| last.main.checked_add(by)).ok_or(too_far)?;
            let key =
                RevisionKey { revision: Revision { main: bumped, sub: 0 }, tombstone: false }.to_bytes();
            patch.append(schema::KEY, key.clone(), Vec::new());
            meta.insert(schema::SCHEDULED_COMPACT.to_vec(), key);
            revision_after = bumped;
        }
        patch.replace(schema::META, meta);
        let entry = |member: &Member| (member.id.to_string().into_bytes(), member.to_json().into_bytes());
        patch.replace(schema::MEMBERS, members.iter().map(entry).collect());
        patch.replace(schema::MEMBERS_REMOVED, Entries::new());
        let cluster = patch.entries(schema::CLUSTER)?;
        patch.replace(schema::CLUSTER, cluster);
        let patched = patch.apply()?;

        let snap = snap_file::encode(&snap_file::restored(&members, written_for), written_for.encoding());
        let summary = Summary {
            written_by,
            written_for,
            starts_on: StartsOn::of(&state),
            cluster: ClusterId::derive(members.iter().map(|member| member.id)),
            revision_before,
            revision_after,
            db_size: patched.size(),
            members,
        };
        Ok(Self { patched, snap_name: snap_file::file_name(Term(1), Index(count)), snap, state, summary })
    }

    /// The records of one member's WAL; zeros follow.
    pub fn wal_head(&self, node: MemberId) -> Vec<u8> {
        wal::wal_head(node, &self.summary.members, self.summary.written_for)
    }

    /// The plan in figures.
    pub fn summary(&self) -> Summary {
        self.summary.clone()
    }
}

impl StartsOn {
    /// By what is in the file. 3.6 refuses a storage version newer than its own.
    /// 3.4 and 3.5 look at none and do start on the files of later lines, but that
    /// is a downgrade without the steps which upstream wants for one.
    fn of(state: &State) -> Self {
        Self { oldest: state.line().0 }
    }
}

/// The last record's revision: upstream takes the greatest key of the bucket.
fn last_record(db: &Db<'_>) -> Option<Revision> {
    RevisionKey::parse(last_element(db, schema::KEY)?.key()).ok().map(|key| key.revision)
}
