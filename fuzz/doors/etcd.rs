//! Keys and values of etcd's buckets, and the files beside the database.

use etcdsnap::bolt::FileOffset;
use etcdsnap::codec::protobuf::Fields;
use etcdsnap::etcd::key_value::KeyValue;
use etcdsnap::etcd::membership::{Member, MemberId, Removed};
use etcdsnap::etcd::raft::{self, Encoding};
use etcdsnap::etcd::revision::RevisionKey;
use etcdsnap::etcd::wal_tail::wal_end;
use etcdsnap::etcd::{auth, conf_state, lease, snap_file, wal};
use etcdsnap::kube::registry_key::{Prefixes, RegistryKey};

/// Key and value, told apart by the first byte: the length of the key.
fn entry(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some((split, rest)) = bytes.split_first() else { return (b"", b"") };
    rest.split_at_checked(usize::from(*split)).unwrap_or((rest, &[]))
}

/// A key of bucket `key`.
pub(super) fn revision_key(bytes: &[u8]) {
    if let Ok(key) = RevisionKey::parse(bytes) {
        assert_eq!(key.to_bytes(), bytes, "there is one form of each");
    }
}

/// A value of bucket `key`, and the user's key in it.
pub(super) fn key_value(bytes: &[u8]) {
    Fields::new(bytes).for_each(drop);
    let _ = RegistryKey::parse(bytes, &Prefixes::well_known());
    let Ok(parsed) = KeyValue::parse(bytes) else { return };
    assert_eq!(KeyValue::key_of(bytes), Some(parsed.key));
    let written = parsed.encode();
    assert_eq!(KeyValue::parse(&written), Ok(parsed));
    let _ = RegistryKey::parse(parsed.key, &Prefixes::well_known());
}

/// An entry of bucket `lease`.
pub(super) fn lease(bytes: &[u8]) {
    let (key, value) = entry(bytes);
    if let Ok(lease) = lease::Lease::parse(key, value) {
        assert_eq!(lease.id.0.to_be_bytes(), key);
        assert!(lease.ttl_seconds > 0);
    }
}

/// An entry of `members`, of `members_removed`, or `meta/confState`.
pub(super) fn member(bytes: &[u8]) {
    if let Ok(member) = Member::parse(bytes) {
        assert_eq!(Member::parse(member.to_json().as_bytes()), Ok(member));
    }
    if let Ok(state) = conf_state::parse(bytes) {
        assert_eq!(conf_state::parse(conf_state::to_json(&state).as_bytes()).ok(), Some(state));
    }
    let (key, value) = entry(bytes);
    let _ = (MemberId::parse_hex(bytes), Removed::parse(key, value));
}

/// An entry of `authUsers`, `authRoles` or `alarm`.
pub(super) fn auth(bytes: &[u8]) {
    let _ = auth::User::parse(bytes);
    let _ = auth::Role::parse(bytes);
    let _ = auth::Alarm::parse(bytes);
}

/// The messages that stand in a WAL and in a `.snap` file, without the checksums
/// around them.
pub(super) fn raft(bytes: &[u8]) {
    /// What was read can be written, and read again as the same.
    macro_rules! again {
        ($message:ty $(, $encoding:expr)?) => {
            if let Ok(read) = <$message>::parse(bytes) {
                let written = read.encode($($encoding)?);
                assert_eq!(<$message>::parse(&written), Ok(read));
            }
        };
    }
    again!(raft::Record<'_>);
    again!(raft::Metadata);
    again!(raft::Entry<'_>);
    again!(raft::HardState);
    again!(raft::SealedSnapshot<'_>);
    for encoding in [Encoding::Gogo, Encoding::Standard] {
        again!(raft::WalSnapshot, encoding);
        again!(raft::ConfChange<'_>, encoding);
        again!(raft::ConfState, encoding);
        again!(raft::SnapshotMetadata, encoding);
        again!(raft::Snapshot<'_>, encoding);
    }
}

/// A segment of a WAL, also as the one of two.
pub(super) fn wal(bytes: &[u8]) {
    let mut records = wal::Records::new(bytes);
    let mut end = FileOffset(0);
    while let Some(Ok(record)) = records.next() {
        assert!(record.offset == end && records.end() > end, "records follow each other");
        end = records.end();
    }
    assert!(end.0 <= bytes.len() as u64);
    let _ = wal_end(&[bytes]);
    let _ = wal_end(&[bytes, bytes]);
}

/// A raft snapshot.
pub(super) fn snap_file(bytes: &[u8]) {
    let Ok(snapshot) = snap_file::parse(bytes) else { return };
    for encoding in [Encoding::Gogo, Encoding::Standard] {
        let written = snap_file::encode(&snapshot, encoding);
        assert_eq!(snap_file::parse(&written).as_ref(), Ok(&snapshot));
    }
}
