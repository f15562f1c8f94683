//! Names of buckets and of the keys of bucket `meta`, each with the etcd
//! version that brought it.
//!
//! Source: etcd `server/storage/schema/bucket.go` @ v3.6.14.

/// MVCC history: every revision of every key.
pub const KEY: &[u8] = b"key";
/// Positions of raft, compaction and schema.
pub const META: &[u8] = b"meta";
/// Leases granted and not yet expired.
pub const LEASE: &[u8] = b"lease";
/// Alarms that are on.
pub const ALARM: &[u8] = b"alarm";
/// Whether authentication is on, and its revision.
pub const AUTH: &[u8] = b"auth";
/// Users.
pub const AUTH_USERS: &[u8] = b"authUsers";
/// Roles.
pub const AUTH_ROLES: &[u8] = b"authRoles";
/// The cluster's version, and a downgrade under way (3.5).
pub const CLUSTER: &[u8] = b"cluster";
/// Members, authoritative since 3.5.
pub const MEMBERS: &[u8] = b"members";
/// Ids of members that were removed.
pub const MEMBERS_REMOVED: &[u8] = b"members_removed";
/// Written by etcd's own tests only.
pub const TEST: &[u8] = b"test";

/// All buckets that etcd knows, in the order of their names.
pub const BUCKETS: [&[u8]; 11] =
    [ALARM, AUTH, AUTH_ROLES, AUTH_USERS, CLUSTER, KEY, LEASE, MEMBERS, MEMBERS_REMOVED, META, TEST];

/// `meta`: index of the last raft entry applied; `u64`, big-endian.
pub const CONSISTENT_INDEX: &[u8] = b"consistent_index";
/// `meta`, 3.5: term of that entry; `u64`, big-endian.
pub const TERM: &[u8] = b"term";
/// `meta`, 3.5: voters and learners, as JSON.
pub const CONF_STATE: &[u8] = b"confState";
/// `meta`, 3.6: version of this schema, as text.
pub const STORAGE_VERSION: &[u8] = b"storageVersion";
/// `meta`: the last compaction asked for, as a revision key.
pub const SCHEDULED_COMPACT: &[u8] = b"scheduledCompactRev";
/// `meta`: the last compaction completed, as a revision key.
pub const FINISHED_COMPACT: &[u8] = b"finishedCompactRev";

/// `cluster`: version that all members agreed on, as text.
pub const CLUSTER_VERSION: &[u8] = b"clusterVersion";
/// `cluster`, 3.5: a downgrade under way, as JSON.
pub const DOWNGRADE: &[u8] = b"downgrade";

/// `auth`: revision of users and roles; `u64`, big-endian.
pub const AUTH_REVISION: &[u8] = b"authRevision";
/// `auth`: one byte, 1 if authentication is on.
pub const AUTH_ENABLED: &[u8] = b"authEnabled";
