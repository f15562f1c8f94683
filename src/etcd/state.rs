//! Everything in the small buckets: versions, positions, members, alarms, users.

use std::collections::{BTreeMap, BTreeSet};

use crate::bolt::{Db, Excerpt, Fault, FaultLog, FileOffset, LeafElement, bucket_names, small_buckets};
use crate::codec::fixed::u64_be;
use crate::codec::protobuf::WireFault;

use super::auth::{Alarm, Role, User};
use super::conf_state;
use super::credible::Judge;
use super::go_text::JsonFault;
use super::hash_kv::Window;
use super::history::RevisionOrder;
use super::line::EtcdLine;
use super::membership::{Member, MemberId, MembershipFault, Removed};
use super::raft::ConfState;
use super::revision::{Revision, RevisionFault, RevisionKey};
use super::schema;

/// The small buckets, parsed. What could not be parsed is among `faults`.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Names of the top-level buckets.
    pub buckets: Vec<Vec<u8>>,
    /// `meta/consistent_index`.
    pub consistent_index: Option<u64>,
    /// `meta/term`.
    pub term: Option<u64>,
    /// `meta/confState`.
    pub conf_state: Option<ConfState>,
    /// `meta/storageVersion`, as it is written.
    pub storage_version: Option<String>,
    /// `meta/scheduledCompactRev`.
    pub scheduled_compact: Option<Revision>,
    /// `meta/finishedCompactRev`.
    pub finished_compact: Option<Revision>,
    /// `cluster/clusterVersion`.
    pub cluster_version: Option<String>,
    /// `cluster/downgrade`: the version it goes to, if one is under way.
    pub downgrade: Option<String>,
    /// `members`.
    pub members: Vec<Member>,
    /// `members_removed`.
    pub removed: Vec<MemberId>,
    /// `alarm`.
    pub alarms: Vec<Alarm>,
    /// `auth/authEnabled`.
    pub auth_enabled: bool,
    /// `auth/authRevision`.
    pub auth_revision: Option<u64>,
    /// `authUsers`.
    pub users: Vec<User>,
    /// `authRoles`.
    pub roles: Vec<Role>,
    /// Entries that are not what their bucket holds: the first
    /// [`KEPT`](Self::KEPT) of them.
    pub faults: Vec<EntryFault>,
    /// How many such entries there are.
    pub fault_count: u64,
    /// Damage in these buckets and on the way to them.
    pub tree_faults: FaultLog,
    /// Those of these buckets of which nothing could be read for damage.
    pub unread: Vec<&'static [u8]>,
    /// Entries read, over all these buckets.
    pub entries: u64,
}

/// An entry of a small bucket that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryFault {
    /// The bucket.
    pub bucket: &'static str,
    /// The entry's key.
    pub key: Excerpt,
    /// Where its leaf element stands in the file.
    pub offset: FileOffset,
    /// What is wrong.
    pub kind: EntryFaultKind,
}

/// The kinds of [`EntryFault`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFaultKind {
    /// A number that is not 8 bytes long.
    #[error("{0} bytes, not 8")]
    NumberLength(usize),
    /// A flag that is not one byte, 0 or 1.
    #[error("no single byte 0 or 1")]
    Flag,
    /// A revision that is none.
    #[error("no revision: {0}")]
    Revision(RevisionFault),
    /// Text that is not UTF-8.
    #[error("no UTF-8 text")]
    Text,
    /// A version that is not `major.minor.patch`.
    #[error("no version: {0}")]
    Version(Excerpt),
    /// JSON that is not what is kept here.
    #[error("{0}")]
    Json(String),
    /// No protobuf message.
    #[error("{0}")]
    Wire(WireFault),
    /// A member under another member's key.
    #[error("member {0} under another member's key")]
    OtherMember(MemberId),
    /// A user or role under another one's key.
    #[error("the name inside differs from the key")]
    OtherName,
    /// A key that etcd does not write into this bucket.
    #[error("a key that etcd does not know")]
    UnknownKey,
    /// A bucket where a value should be.
    #[error("a nested bucket")]
    Bucket,
}

impl From<MembershipFault> for EntryFaultKind {
    fn from(fault: MembershipFault) -> Self {
        Self::Json(fault.to_string())
    }
}

impl From<JsonFault> for EntryFaultKind {
    fn from(fault: JsonFault) -> Self {
        Self::Json(fault.to_string())
    }
}

impl From<WireFault> for EntryFaultKind {
    fn from(fault: WireFault) -> Self {
        Self::Wire(fault)
    }
}

impl From<RevisionFault> for EntryFaultKind {
    fn from(fault: RevisionFault) -> Self {
        Self::Revision(fault)
    }
}

/// Where the version of a file is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEvidence {
    /// `meta/storageVersion` names it (3.6 and later).
    StorageVersion,
    /// `meta/term` or `meta/confState` are there, which 3.5 brought.
    TermOrConfState,
    /// Neither is there: 3.4 or older.
    Absence,
}

/// Takes in one entry of a small bucket.
type ReadEntry = fn(&mut State, &[u8], &[u8]) -> Result<(), EntryFaultKind>;

impl State {
    /// How many faults are kept in full.
    pub const KEPT: usize = 1000;
    const BUCKETS: [&[u8]; 8] = [
        schema::META,
        schema::CLUSTER,
        schema::MEMBERS,
        schema::MEMBERS_REMOVED,
        schema::ALARM,
        schema::AUTH,
        schema::AUTH_USERS,
        schema::AUTH_ROLES,
    ];

    /// Reads the small buckets of `db`.
    pub fn read(db: &Db<'_>) -> Self {
        // One walk for all of them, so that what is wrong on the way is told once.
        let (elements, report) = small_buckets(db, &Self::BUCKETS);
        let mut state = Self { buckets: bucket_names(db).0, ..Self::default() };
        state.unread = Self::BUCKETS.into_iter().filter(|name| report.is_lost(name)).collect();
        state.tree_faults = report.faults;
        let mut each = |bucket, name: &[u8], entry: ReadEntry| {
            for element in elements.get(name).into_iter().flatten() {
                state.entry(bucket, element, entry);
            }
        };
        each("meta", schema::META, Self::meta);
        each("cluster", schema::CLUSTER, Self::cluster);
        each("members", schema::MEMBERS, |state, key, value| {
            let member = Member::parse(value)?;
            if key != member.id.to_string().as_bytes() {
                return Err(EntryFaultKind::OtherMember(member.id));
            }
            state.members.push(member);
            Ok(())
        });
        each("members_removed", schema::MEMBERS_REMOVED, |state, key, value| {
            state.removed.push(Removed::parse(key, value)?.id);
            Ok(())
        });
        each("alarm", schema::ALARM, |state, key, _| {
            state.alarms.push(Alarm::parse(key)?);
            Ok(())
        });
        each("auth", schema::AUTH, Self::auth);
        each("authUsers", schema::AUTH_USERS, |state, key, value| {
            let user = User::parse(value)?;
            if user.name != key {
                return Err(EntryFaultKind::OtherName);
            }
            state.users.push(user);
            Ok(())
        });
        each("authRoles", schema::AUTH_ROLES, |state, key, value| {
            let role = Role::parse(value)?;
            if role.name != key {
                return Err(EntryFaultKind::OtherName);
            }
            state.roles.push(role);
            Ok(())
        });
        state.members.sort_by_key(|member| member.id);
        state
    }

    fn entry(&mut self, bucket: &'static str, element: &LeafElement<'_>, entry: ReadEntry) {
        self.entries = self.entries.saturating_add(1);
        let read = if element.is_bucket {
            Err(EntryFaultKind::Bucket)
        } else {
            entry(self, element.key(), element.value())
        };
        if let Err(kind) = read {
            self.fault(bucket, element, kind);
        }
    }

    fn fault(&mut self, bucket: &'static str, element: &LeafElement<'_>, kind: EntryFaultKind) {
        self.fault_count = self.fault_count.saturating_add(1);
        if self.faults.len() >= Self::KEPT {
            return;
        }
        let (key, offset) = (Excerpt::of(element.key()), element.offset);
        self.faults.push(EntryFault { bucket, key, offset, kind });
    }

    fn meta(&mut self, key: &[u8], value: &[u8]) -> Result<(), EntryFaultKind> {
        match key {
            schema::CONSISTENT_INDEX => self.consistent_index = Some(number(value)?),
            schema::TERM => self.term = Some(number(value)?),
            schema::CONF_STATE => self.conf_state = Some(conf_state::parse(value)?),
            schema::SCHEDULED_COMPACT => self.scheduled_compact = Some(RevisionKey::parse(value)?.revision),
            schema::FINISHED_COMPACT => self.finished_compact = Some(RevisionKey::parse(value)?.revision),
            schema::STORAGE_VERSION => {
                let text = text(value)?;
                // Empty for a moment during a migration.
                if !text.is_empty() && parse_version(&text).is_none() {
                    return Err(EntryFaultKind::Version(Excerpt::of(value)));
                }
                self.storage_version = Some(text);
            }
            _ => return Err(EntryFaultKind::UnknownKey),
        }
        Ok(())
    }

    fn cluster(&mut self, key: &[u8], value: &[u8]) -> Result<(), EntryFaultKind> {
        match key {
            schema::CLUSTER_VERSION => {
                let text = text(value)?;
                if parse_version(&text).is_none() {
                    return Err(EntryFaultKind::Version(Excerpt::of(value)));
                }
                self.cluster_version = Some(text);
            }
            schema::DOWNGRADE => {
                // etcd gives up at its start on a target that is no version; source:
                // `server/storage/schema/membership.go` (`DowngradeInfoFromBackend`) @ v3.6.14.
                let json: BTreeMap<String, serde_json::Value> =
                    serde_json::from_slice(value).map_err(|error| EntryFaultKind::Json(error.to_string()))?;
                if json.get("enabled").and_then(serde_json::Value::as_bool) == Some(true) {
                    let target = json.get("target-version").and_then(serde_json::Value::as_str);
                    let target = target.unwrap_or_default();
                    if parse_version(target).is_none() {
                        return Err(EntryFaultKind::Version(Excerpt::of(target.as_bytes())));
                    }
                    self.downgrade = Some(target.to_owned());
                }
            }
            _ => return Err(EntryFaultKind::UnknownKey),
        }
        Ok(())
    }

    fn auth(&mut self, key: &[u8], value: &[u8]) -> Result<(), EntryFaultKind> {
        match key {
            schema::AUTH_REVISION => self.auth_revision = Some(number(value)?),
            schema::AUTH_ENABLED => {
                self.auth_enabled = match value {
                    [0] => false,
                    [1] => true,
                    _ => return Err(EntryFaultKind::Flag),
                }
            }
            _ => return Err(EntryFaultKind::UnknownKey),
        }
        Ok(())
    }

    /// Main revision below which history is gone: of the last compaction done or
    /// asked for, as opening the store resumes the latter. `None` before the
    /// first.
    pub fn compact_revision(&self) -> Option<i64> {
        self.scheduled_compact.max(self.finished_compact).map(|revision| revision.main)
    }

    /// How those who answer from this store's records judge them.
    ///
    /// Where bucket `meta` is not there, or damage hides a part of it, it is not known which
    /// revisions were compacted away, and none are missed.
    pub fn judge(&self) -> Judge {
        let is_there = self.has_bucket(schema::META);
        let hides = |fault: &&Fault| fault.bucket.as_deref().is_none_or(|name| name == schema::META);
        let is_known = is_there && !self.tree_faults.sorted().iter().any(hides);
        let order = RevisionOrder { compact: self.compact_revision().unwrap_or(0) };
        Judge { alone: true, is_newer: self.is_of_unknown_line(), order: is_known.then_some(order) }
    }

    /// The revisions that the store can be asked for, given the main revision of
    /// its last record.
    pub fn window(&self, last: i64) -> Window {
        let compact = self.compact_revision();
        Window { compact, current: last.max(compact.unwrap_or(0)).max(1) }
    }

    /// Whether `confState` speaks of an earlier cluster: none of its voters and
    /// learners is a member. A restore by upstream leaves it so, for ever.
    pub fn is_conf_state_stale(&self) -> bool {
        let Some(conf_state) = &self.conf_state else { return false };
        let mut ids = conf_state.voters.iter().chain(&conf_state.learners).peekable();
        let members: BTreeSet<_> = self.members.iter().map(|member| member.id).collect();
        !members.is_empty() && ids.peek().is_some() && ids.all(|id| !members.contains(id))
    }

    /// The line of etcd that wrote the file, and how that is known.
    /// Source: etcd `server/storage/schema/schema.go` @ v3.6.14,
    /// `mvcc/downgrade.go` @ v3.4.45.
    pub fn line(&self) -> (EtcdLine, LineEvidence) {
        match self.storage_version.as_deref().and_then(parse_version) {
            Some((3, 6, _)) => (EtcdLine::V3_6, LineEvidence::StorageVersion),
            Some((3, minor, _)) if minor >= 7 => (EtcdLine::V3_7, LineEvidence::StorageVersion),
            Some((major, ..)) if major > 3 => (EtcdLine::V3_7, LineEvidence::StorageVersion),
            _ if self.conf_state.is_some() || self.term.is_some_and(|term| term > 0) => {
                (EtcdLine::V3_5, LineEvidence::TermOrConfState)
            }
            _ => (EtcdLine::V3_4, LineEvidence::Absence),
        }
    }

    /// Whether bucket `key` is not there, though every etcd makes it before it keeps anything,
    /// as the members and how far it is.
    pub fn lacks_keys(&self) -> bool {
        let has_run = self.consistent_index.is_some_and(|index| index > 0) || !self.members.is_empty();
        has_run && !self.has_bucket(schema::KEY)
    }

    /// Whether bucket `meta` is not there, though every etcd makes it before it keeps members.
    pub fn lacks_meta(&self) -> bool {
        !self.members.is_empty() && !self.has_bucket(schema::META)
    }

    fn has_bucket(&self, name: &[u8]) -> bool {
        self.buckets.iter().any(|found| found == name)
    }

    /// Whether the storage version is newer than the newest line known here.
    pub fn is_of_unknown_line(&self) -> bool {
        let version = self.storage_version.as_deref().and_then(parse_version);
        version.is_some_and(|(major, minor, _)| (major, minor) > (3, 7))
    }

    /// The storage version as `etcdutl` prints it: `major.minor.patch`, or empty.
    pub fn storage_version_text(&self) -> String {
        let version = self.storage_version.as_deref().and_then(parse_version);
        version.map_or_else(String::new, |(major, minor, patch)| format!("{major}.{minor}.{patch}"))
    }
}

fn number(value: &[u8]) -> Result<u64, EntryFaultKind> {
    u64_be(value, 0).filter(|_| value.len() == 8).ok_or(EntryFaultKind::NumberLength(value.len()))
}

fn text(value: &[u8]) -> Result<String, EntryFaultKind> {
    std::str::from_utf8(value).map(str::to_owned).map_err(|_| EntryFaultKind::Text)
}

/// `major.minor.patch`; what may follow (`-rc.0`) is passed over.
fn parse_version(text: &str) -> Option<(u64, u64, u64)> {
    let number =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
    let release = text.split(['-', '+']).next()?;
    let mut parts = release.split('.');
    let version = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    parts.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(parse_version("3.6.0"), Some((3, 6, 0)));
        assert_eq!(parse_version("3.7.0-rc.0"), Some((3, 7, 0)));
        for text in ["", "3.6", "3.6.0.1", "3.+6.0", "a.b.c", "3..0"] {
            assert_eq!(parse_version(text), None, "{text}");
        }
    }

    #[test]
    fn the_line_is_known_from_what_each_line_brought() {
        let line = |state: &State| state.line().0;
        let mut state = State::default();
        assert_eq!(line(&state), EtcdLine::V3_4);
        state.term = Some(0);
        assert_eq!(line(&state), EtcdLine::V3_4);
        state.term = Some(2);
        assert_eq!(line(&state), EtcdLine::V3_5);
        state.storage_version = Some("3.6.0".into());
        assert_eq!(line(&state), EtcdLine::V3_6);
        state.storage_version = Some("3.7.0".into());
        assert_eq!(line(&state), EtcdLine::V3_7);
        assert!(!state.is_of_unknown_line());
        state.storage_version = Some("3.8.0".into());
        assert!(state.is_of_unknown_line());
    }

    #[test]
    fn an_unfinished_compaction_counts() {
        let revision = |main| Some(Revision { main, sub: 0 });
        let state =
            State { scheduled_compact: revision(9), finished_compact: revision(5), ..State::default() };
        assert_eq!(state.compact_revision(), Some(9));
        assert_eq!(state.window(7), Window { compact: Some(9), current: 9 });
        assert_eq!(State::default().window(0), Window { compact: None, current: 1 });
    }
}
