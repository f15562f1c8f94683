//! Entries of the small buckets, known by their form.

use crate::codec::fixed::u64_be;
use crate::codec::protobuf::{Fields, Value};
use crate::etcd::auth::{Alarm, AlarmKind, Role, User};
use crate::etcd::lease::Lease;
use crate::etcd::membership::{Member, Removed};
use crate::etcd::revision::RevisionKey;
use crate::etcd::schema;

/// What an entry of a small bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A member of the cluster.
    Member,
    /// A member that was removed.
    RemovedMember,
    /// A user, with a hash of the password.
    User,
    /// A role.
    Role,
    /// A lease.
    Lease,
    /// An alarm.
    Alarm,
    /// A field of bucket `auth`.
    Auth,
    /// A field of bucket `cluster`.
    Cluster,
    /// A field of bucket `meta`: how far etcd was.
    Meta,
}

impl EntryKind {
    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::RemovedMember => "removed-member",
            Self::User => "user",
            Self::Role => "role",
            Self::Lease => "lease",
            Self::Alarm => "alarm",
            Self::Auth => "auth",
            Self::Cluster => "cluster",
            Self::Meta => "meta",
        }
    }

    /// All such words.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::name)
    }

    /// Its bucket.
    pub fn bucket(self) -> &'static [u8] {
        match self {
            Self::Member => schema::MEMBERS,
            Self::RemovedMember => schema::MEMBERS_REMOVED,
            Self::User => schema::AUTH_USERS,
            Self::Role => schema::AUTH_ROLES,
            Self::Lease => schema::LEASE,
            Self::Alarm => schema::ALARM,
            Self::Auth => schema::AUTH,
            Self::Cluster => schema::CLUSTER,
            Self::Meta => schema::META,
        }
    }

    const ALL: [Self; 9] = [
        Self::Member,
        Self::RemovedMember,
        Self::Lease,
        Self::Auth,
        Self::Cluster,
        Self::Meta,
        Self::Alarm,
        Self::User,
        Self::Role,
    ];

    /// What the entries of a bucket are; `None` if it is none of the small ones.
    pub fn of_bucket(bucket: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.bucket() == bucket)
    }

    /// Whether etcd would take `key` and `value` for such an entry where they stand in its
    /// bucket. To be known anywhere else takes more.
    pub fn accepts(self, key: &[u8], value: &[u8]) -> bool {
        match self {
            Self::Lease => Lease::parse(key, value).is_ok(),
            Self::Member => Member::parse(value).is_ok_and(|member| member.id.to_string().as_bytes() == key),
            Self::RemovedMember => Removed::parse(key, value).is_ok(),
            Self::User => User::parse(value).is_ok_and(|user| user.name == key),
            Self::Role => Role::parse(value).is_ok_and(|role| role.name == key),
            Self::Alarm => Alarm::parse(key).is_ok(),
            Self::Auth => [schema::AUTH_ENABLED, schema::AUTH_REVISION].contains(&key),
            Self::Cluster => [schema::CLUSTER_VERSION, schema::DOWNGRADE].contains(&key),
            Self::Meta => match key {
                schema::CONSISTENT_INDEX | schema::TERM => value.len() == 8,
                schema::SCHEDULED_COMPACT | schema::FINISHED_COMPACT => RevisionKey::parse(value).is_ok(),
                schema::CONF_STATE | schema::STORAGE_VERSION => true,
                _ => false,
            },
        }
    }

    /// The kind of entry that `key` and `value` are, in `bucket` if that is known.
    pub(super) fn of(bucket: Option<&[u8]>, key: &[u8], value: &[u8]) -> Option<Self> {
        let may = |kind: &Self| bucket.is_none_or(|bucket| bucket == kind.bucket());
        Self::ALL.into_iter().filter(may).find(|kind| kind.fits(key, value))
    }

    fn fits(self, key: &[u8], value: &[u8]) -> bool {
        let number = || u64_be(value, 0).is_some() && value.len() == 8;
        match self {
            // The cheap test first: this is asked of everything.
            Self::Member => {
                value.starts_with(b"{")
                    && key.len() <= 16
                    && Member::parse(value).is_ok_and(|member| member.id.to_string().as_bytes() == key)
            }
            Self::RemovedMember => Removed::parse(key, value).is_ok(),
            Self::Lease => Lease::parse(key, value).is_ok(),
            Self::Auth => match key {
                schema::AUTH_ENABLED => matches!(value, [0 | 1]),
                schema::AUTH_REVISION => number(),
                _ => false,
            },
            Self::Cluster => key == schema::CLUSTER_VERSION || key == schema::DOWNGRADE,
            Self::Meta => match key {
                schema::CONSISTENT_INDEX | schema::TERM => number(),
                schema::SCHEDULED_COMPACT | schema::FINISHED_COMPACT => RevisionKey::parse(value).is_ok(),
                schema::CONF_STATE => value.starts_with(b"{"),
                schema::STORAGE_VERSION => std::str::from_utf8(value).is_ok(),
                _ => false,
            },
            Self::Alarm => value.is_empty() && is_alarm(key),
            Self::User => is_named(key, value) && is_user(value),
            Self::Role => is_named(key, value) && is_role(value),
        }
    }
}

/// The message has only the fields of an alarm, and names one that there is.
fn is_alarm(key: &[u8]) -> bool {
    let fields = |field: Result<crate::codec::protobuf::Field<'_>, _>| {
        field.is_ok_and(|field| matches!((field.number, field.value), (1 | 2, Value::Varint(_))))
    };
    Fields::new(key).all(fields)
        && Alarm::parse(key).is_ok_and(|alarm| !matches!(alarm.kind, AlarmKind::Other(_)))
}

/// Users and roles have their key as the first field of their value.
fn is_named(key: &[u8], value: &[u8]) -> bool {
    value.first() == Some(&0x0a)
        && !key.is_empty()
        && matches!(Fields::new(value).next(), Some(Ok(first)) if first.bytes() == Ok(key))
}

/// Fields 2 (a bcrypt hash), 3 (names of roles) and 4 (options), in order, of which
/// at least one is there. Without any it is a role that may do nothing.
fn is_user(value: &[u8]) -> bool {
    let mut last = 1;
    let in_order = Fields::new(value).skip(1).all(|field| match field {
        Ok(field) => {
            let rises = field.number > last || (field.number == 3 && last == 3);
            last = field.number;
            let fits = match (field.number, field.bytes()) {
                (2, Ok(hash)) => hash.is_empty() || hash.starts_with(b"$2"),
                (3 | 4, Ok(_)) => true,
                _ => false,
            };
            rises && fits
        }
        Err(_) => false,
    });
    in_order && last > 1 && User::parse(value).is_ok()
}

/// Fields 2, each a permission: {1 type, 2 key, 3 end of range}.
fn is_role(value: &[u8]) -> bool {
    let is_permission = |inner: &[u8]| {
        Fields::new(inner).all(|field| {
            field.is_ok_and(|field| {
                matches!((field.number, field.value), (1, Value::Varint(0..=2)) | (2 | 3, Value::Bytes(_)))
            })
        })
    };
    Fields::new(value)
        .skip(1)
        .all(|field| field.is_ok_and(|field| field.number == 2 && field.bytes().is_ok_and(is_permission)))
}
