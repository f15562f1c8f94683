//! Alarms, users and roles: buckets `alarm`, `auth`, `authUsers`, `authRoles`.

use crate::codec::protobuf::{Fields, WireFault};

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmKind {
    /// The database reached its quota: no writes until it is disarmed.
    NoSpace,
    /// Members disagreed about the data: no requests until it is disarmed.
    Corrupt,
    /// A number that no etcd up to 3.7 knows.
    Other(u64),
}

impl std::fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoSpace => f.write_str("NOSPACE"),
            Self::Corrupt => f.write_str("CORRUPT"),
            Self::Other(number) => write!(f, "alarm {number}"),
        }
    }
}

/// An alarm that is on. The key of its entry is the message itself, the value
/// is empty. Source: etcd `api/etcdserverpb/rpc.proto`, `AlarmMember`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alarm {
    /// The member that raised it; 0 if it is not known which member is wrong.
    pub member: u64,
    /// What it is about.
    pub kind: AlarmKind,
}

impl Alarm {
    /// Reads the key of an entry of bucket `alarm`.
    ///
    /// # Errors
    /// Bytes that are no protobuf message.
    pub fn parse(key: &[u8]) -> Result<Self, WireFault> {
        let mut alarm = Self { member: 0, kind: AlarmKind::Other(0) };
        for field in Fields::new(key) {
            let field = field?;
            match field.number {
                1 => alarm.member = field.varint()?,
                2 => {
                    alarm.kind = match field.varint()? {
                        1 => AlarmKind::NoSpace,
                        2 => AlarmKind::Corrupt,
                        other => AlarmKind::Other(other),
                    }
                }
                _ => {}
            }
        }
        Ok(alarm)
    }
}

/// A user: `authpb.User` {1 name, 2 password, 3 roles, 4 options}. The password
/// (a bcrypt hash) is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: Vec<u8>,
    /// Whether the user has a password.
    pub has_password: bool,
    /// Names of the user's roles.
    pub roles: Vec<Vec<u8>>,
}

impl User {
    /// Reads a value of bucket `authUsers`.
    ///
    /// # Errors
    /// Bytes that are no protobuf message.
    pub fn parse(value: &[u8]) -> Result<Self, WireFault> {
        let mut user = Self { name: Vec::new(), has_password: false, roles: Vec::new() };
        for field in Fields::new(value) {
            let field = field?;
            match field.number {
                1 => user.name = field.bytes()?.to_vec(),
                2 => user.has_password = !field.bytes()?.is_empty(),
                3 => user.roles.push(field.bytes()?.to_vec()),
                _ => {}
            }
        }
        Ok(user)
    }
}

/// A role: `authpb.Role` {1 name, 2 permissions}.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The name.
    pub name: Vec<u8>,
    /// How many permissions it grants.
    pub permissions: usize,
}

impl Role {
    /// Reads a value of bucket `authRoles`.
    ///
    /// # Errors
    /// Bytes that are no protobuf message.
    pub fn parse(value: &[u8]) -> Result<Self, WireFault> {
        let mut role = Self { name: Vec::new(), permissions: 0 };
        for field in Fields::new(value) {
            let field = field?;
            match field.number {
                1 => role.name = field.bytes()?.to_vec(),
                2 => {
                    for inner in Fields::new(field.bytes()?) {
                        inner?;
                    }
                    role.permissions = role.permissions.saturating_add(1);
                }
                _ => {}
            }
        }
        Ok(role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::protobuf::Writer;

    #[test]
    fn alarms_name_their_member() {
        let key = Writer::new().varint(1, 7).varint(2, 2).finish();
        assert_eq!(Alarm::parse(&key), Ok(Alarm { member: 7, kind: AlarmKind::Corrupt }));
        let key = Writer::new().varint(2, 1).finish();
        assert_eq!(Alarm::parse(&key), Ok(Alarm { member: 0, kind: AlarmKind::NoSpace }));
        assert!(Alarm::parse(b"\x08").is_err());
    }

    #[test]
    fn users_and_roles() {
        let user =
            Writer::new().bytes(1, b"bob").bytes(2, b"$2a$").bytes(3, b"reader").bytes(4, b"").finish();
        let parsed = User::parse(&user).expect("sound");
        assert!(parsed.has_password);
        assert_eq!((parsed.name, parsed.roles), (b"bob".to_vec(), vec![b"reader".to_vec()]));
        let role = Writer::new().bytes(1, b"reader").bytes(2, b"\x12\x01k").finish();
        assert_eq!(Role::parse(&role), Ok(Role { name: b"reader".to_vec(), permissions: 1 }));
        assert!(Role::parse(b"\x12\x02\x12\x09").is_err());
    }
}
