//! One entry of any bucket, on its own: for looking at pages.
//!
//! [`State`](super::state::State) puts the entries of the small buckets together
//! and judges them; this says what a single one is, also where its bucket is not
//! known because nothing leads to its page any more.

use crate::bolt::LeafElement;
use crate::codec::fixed::{u64_be, u64_le};

use super::auth::{Alarm, Role, User};
use super::lease::{Lease, LeaseFault};
use super::membership::MemberId;
use super::record::{Record, RecordFault};
use super::revision::RevisionKey;
use super::schema;
use super::state::EntryFaultKind;

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within<'a> {
    /// Among the buckets.
    Root,
    /// In a top-level bucket.
    Bucket(&'a [u8]),
    /// In a bucket inside another, of which etcd has none.
    Nested,
    /// In a page of which it is not known.
    Unknown,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A bucket.
    Bucket {
        /// Page of its root; 0 if it is inline.
        root: u64,
        /// bbolt's counter.
        sequence: u64,
    },
    /// A revision of a key.
    Record(Record<'a>),
    /// A lease.
    Lease(Lease),
    /// A number.
    Number(u64),
    /// A revision.
    Revision(RevisionKey),
    /// A switch.
    Flag(bool),
    /// Text: a version, or JSON.
    Text(&'a str),
    /// The id of a member that was removed.
    Removed(MemberId),
    /// An alarm.
    Alarm(Alarm),
    /// A user.
    User(User),
    /// A role.
    Role(Role),
    /// Nothing that etcd is known to keep here.
    Unknown,
}

/// Why an entry is not what its bucket holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// No record.
    #[error(transparent)]
    Record(#[from] RecordFault),
    /// No lease.
    #[error(transparent)]
    Lease(#[from] LeaseFault),
    /// Not what a small bucket has under this key.
    #[error(transparent)]
    Entry(#[from] EntryFaultKind),
    /// A bucket whose header is cut off.
    #[error("a bucket of {0} bytes, too few for its header")]
    BucketHeader(usize),
}

impl<'a> Entry<'a> {
    /// Reads an element of a leaf.
    ///
    /// Where the bucket is not known, a key that has the form of a revision with
    /// a message that can be read is taken for a record, all else is `Unknown`.
    ///
    /// # Errors
    /// An entry that its bucket cannot hold.
    pub fn parse(within: Within<'_>, element: &LeafElement<'a>) -> Result<Self, EntryError> {
        let (key, value) = (element.key(), element.value());
        if element.is_bucket {
            let header = || Some((u64_le(value, 0)?, u64_le(value, 8)?));
            let (root, sequence) = header().ok_or(EntryError::BucketHeader(value.len()))?;
            return Ok(Self::Bucket { root, sequence });
        }
        match within {
            Within::Root | Within::Nested => Ok(Self::Unknown),
            Within::Unknown => Ok(Record::parse(element).map_or(Self::Unknown, Self::Record)),
            Within::Bucket(bucket) => Self::of_bucket(bucket, key, value, element),
        }
    }

    fn of_bucket(
        bucket: &[u8],
        key: &'a [u8],
        value: &'a [u8],
        element: &LeafElement<'a>,
    ) -> Result<Self, EntryError> {
        let number = || match value.len() {
            8 => u64_be(value, 0).map(Self::Number).ok_or(EntryFaultKind::NumberLength(8)),
            length => Err(EntryFaultKind::NumberLength(length)),
        };
        let text = || std::str::from_utf8(value).map(Self::Text).map_err(|_| EntryFaultKind::Text);
        Ok(match (bucket, key) {
            (schema::KEY, _) => Self::Record(Record::parse(element)?),
            (schema::LEASE, _) => Self::Lease(Lease::parse(key, value)?),
            (schema::META, schema::CONSISTENT_INDEX | schema::TERM) => number()?,
            (schema::META, schema::SCHEDULED_COMPACT | schema::FINISHED_COMPACT) => {
                Self::Revision(RevisionKey::parse(value).map_err(EntryFaultKind::from)?)
            }
            (schema::META, schema::CONF_STATE | schema::STORAGE_VERSION) => text()?,
            (schema::CLUSTER, schema::CLUSTER_VERSION | schema::DOWNGRADE) => text()?,
            (schema::MEMBERS, _) => text()?,
            (schema::MEMBERS_REMOVED, _) => match MemberId::parse_hex(key) {
                Some(id) => Self::Removed(id),
                None => return Err(EntryFaultKind::UnknownKey.into()),
            },
            (schema::ALARM, _) => Self::Alarm(Alarm::parse(key).map_err(EntryFaultKind::from)?),
            (schema::AUTH, schema::AUTH_ENABLED) => match value {
                [flag @ 0..=1] => Self::Flag(*flag == 1),
                _ => return Err(EntryFaultKind::Flag.into()),
            },
            (schema::AUTH, schema::AUTH_REVISION) => number()?,
            (schema::AUTH_USERS, _) => Self::User(User::parse(value).map_err(EntryFaultKind::from)?),
            (schema::AUTH_ROLES, _) => Self::Role(Role::parse(value).map_err(EntryFaultKind::from)?),
            _ => Self::Unknown,
        })
    }
}
