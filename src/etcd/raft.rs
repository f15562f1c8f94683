//! The messages of raft and of the WAL that a member directory holds.
//!
//! Fields are written in ascending order of their numbers. [`Encoding`] decides
//! about those that are zero; the readers accept both ways, skip unknown fields
//! and take the last value of a field that comes twice.
//!
//! Source: `raft/raftpb/raft.proto`, `server/storage/wal/walpb/record.proto`,
//! `server/etcdserver/api/snap/snappb/snap.proto`,
//! `api/etcdserverpb/etcdserver.proto` @ v3.5.33, v3.6.14 (with
//! `go.etcd.io/raft/v3` v3.6.0) and v3.7.1 (v3.7.0).

use std::fmt;

use super::membership::{ClusterId, Member, MemberId};
use crate::codec::protobuf::{Field, Fields, WireFault, Writer};

/// How fields are written that hold their zero value. Only a change of
/// configuration and a configuration differ: everything else a restore writes
/// has all its fields set, which both ways write out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// gogo-proto, up to 3.6: always written.
    Gogo,
    /// Standard Go protobuf, from 3.7 on: written only where upstream sets them.
    Standard,
}

/// Number of an election; entries and snapshots carry that of their leader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

/// Position of an entry in the raft log; the first is 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn each_field<'a>(
    message: &'a [u8],
    mut read: impl FnMut(Field<'a>) -> Result<(), WireFault>,
) -> Result<(), WireFault> {
    Fields::new(message).try_for_each(|field| read(field?))
}

/// A `uint32`: Go drops the higher bits of a longer varint.
fn low_u32(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default()
}

/// `walpb.Record`: what one frame of the WAL holds.
///
/// | # | type | field |
/// |--:|---|---|
/// | 1 | int64 | type |
/// | 2 | uint32 | CRC-32C of all data of the WAL up to and with this record's |
/// | 3 | bytes | data, absent in a record that only carries the checksum |
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Record<'a> {
    /// What the data is.
    pub kind: i64,
    /// The running checksum.
    pub crc: u32,
    /// A message.
    pub data: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let head = Writer::new().varint(1, self.kind.cast_unsigned()).varint(2, self.crc.into());
        match self.data {
            Some(data) => head.bytes(3, data).finish(),
            None => head.finish(),
        }
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The first fault of the wire format.
    pub fn parse(message: &'a [u8]) -> Result<Self, WireFault> {
        let mut out = Self::default();
        each_field(message, |field| {
            match field.number {
                1 => out.kind = field.int64()?,
                2 => out.crc = low_u32(field.varint()?),
                3 => out.data = Some(field.bytes()?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// `etcdserverpb.Metadata`: whose WAL it is. 1 node id, 2 cluster id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// The member.
    pub node: MemberId,
    /// Its cluster.
    pub cluster: ClusterId,
}

impl Metadata {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        Writer::new().varint(1, self.node.0).varint(2, self.cluster.0).finish()
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The first fault of the wire format.
    pub fn parse(message: &[u8]) -> Result<Self, WireFault> {
        let mut out = Self { node: MemberId(0), cluster: ClusterId(0) };
        each_field(message, |field| {
            match field.number {
                1 => out.node.0 = field.varint()?,
                2 => out.cluster.0 = field.varint()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// What the data of an [`Entry`] is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// 0: a request, or nothing (a new leader's first entry).
    #[default]
    Normal,
    /// 1: a [`ConfChange`].
    ConfChange,
    /// 2: a `ConfChangeV2`, which etcd does not write.
    ConfChangeV2,
    /// Any other number.
    Other(u64),
}

impl EntryKind {
    fn number(self) -> u64 {
        match self {
            Self::Normal => 0,
            Self::ConfChange => 1,
            Self::ConfChangeV2 => 2,
            Self::Other(number) => number,
        }
    }

    fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Normal,
            1 => Self::ConfChange,
            2 => Self::ConfChangeV2,
            other => Self::Other(other),
        }
    }
}

/// `raftpb.Entry`: 1 type, 2 term, 3 index, 4 data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What the data is.
    pub kind: EntryKind,
    /// Term of the leader that appended it.
    pub term: Term,
    /// Its position.
    pub index: Index,
    /// The request or change; empty in a leader's first entry.
    pub data: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let head = Writer::new().varint(1, self.kind.number()).varint(2, self.term.0).varint(3, self.index.0);
        if self.data.is_empty() { head.finish() } else { head.bytes(4, self.data).finish() }
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The first fault of the wire format.
    pub fn parse(message: &'a [u8]) -> Result<Self, WireFault> {
        let mut out = Self::default();
        each_field(message, |field| {
            match field.number {
                1 => out.kind = EntryKind::from_number(field.varint()?),
                2 => out.term.0 = field.varint()?,
                3 => out.index.0 = field.varint()?,
                4 => out.data = field.bytes()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// `raftpb.HardState`: what raft must not forget. 1 term, 2 vote, 3 commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardState {
    /// The current term.
    pub term: Term,
    /// Whom the member voted for in it; 0 is nobody.
    pub vote: MemberId,
    /// The last entry known to be committed.
    pub commit: Index,
}

impl HardState {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        Writer::new().varint(1, self.term.0).varint(2, self.vote.0).varint(3, self.commit.0).finish()
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The first fault of the wire format.
    pub fn parse(message: &[u8]) -> Result<Self, WireFault> {
        let mut out = Self { term: Term(0), vote: MemberId(0), commit: Index(0) };
        each_field(message, |field| {
            match field.number {
                1 => out.term.0 = field.varint()?,
                2 => out.vote.0 = field.varint()?,
                3 => out.commit.0 = field.varint()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// `walpb.Snapshot`: marks a snapshot in the WAL. 1 index, 2 term, 3 [`ConfState`]
/// (since 3.5; absent in the empty snapshot that every WAL begins with).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalSnapshot {
    /// The last entry the snapshot covers.
    pub index: Index,
    /// That entry's term.
    pub term: Term,
    /// The members then.
    pub conf_state: Option<ConfState>,
}

impl WalSnapshot {
    /// The message's bytes.
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        let head = Writer::new().varint(1, self.index.0).varint(2, self.term.0);
        match &self.conf_state {
            Some(conf_state) => head.bytes(3, &conf_state.encode(encoding)).finish(),
            None => head.finish(),
        }
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The first fault of the wire format; inside `conf_state` its offset counts
    /// from there.
    pub fn parse(message: &[u8]) -> Result<Self, WireFault> {
        let mut out = Self::default();
        each_field(message, |field| {
            match field.number {
                1 => out.index.0 = field.varint()?,
                2 => out.term.0 = field.varint()?,
                3 => out.conf_state = Some(ConfState::parse(field.bytes()?)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// What a [`ConfChange`] does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ConfChangeKind {
    /// 0: adds a voter, or makes a learner one.
    #[default]
    AddNode,
    /// 1: removes a member.
    RemoveNode,
    /// 2: changes what is known about a member.
    UpdateNode,
    /// 3: adds a learner.
    AddLearnerNode,
    /// Any other number.
    Other(u64),
}

impl ConfChangeKind {
    fn number(self) -> u64 {
        match self {
            Self::AddNode => 0,
            Self::RemoveNode => 1,
            Self::UpdateNode => 2,
            Self::AddLearnerNode => 3,
            Self::Other(number) => number,
        }
    }

    fn from_number(number: u64) -> Self {
        match number {
            0 => Self::AddNode,
            1 => Self::RemoveNode,
            2 => Self::UpdateNode,
            3 => Self::AddLearnerNode,
            other => Self::Other(other),
        }
    }
}

/// `raftpb.ConfChange`: one change of membership. 1 id, 2 type, 3 node id,
/// 4 context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfChange<'a> {
    /// Number of the request; a restore writes 0.
    pub id: u64,
    /// What is done.
    pub kind: ConfChangeKind,
    /// To whom.
    pub node: MemberId,
    /// The member's JSON.
    pub context: &'a [u8],
}

impl<'a> ConfChange<'a> {
    /// The message's bytes.
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        let mut out = Writer::new();
        if self.id != 0 || encoding == Encoding::Gogo {
            out = out.varint(1, self.id);
        }
        out = out.varint(2, self.kind.number()).varint(3, self.node.0);
        if !self.context.is_empty() {
            out = out.bytes(4, self.context);
        }
        out.finish()
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The first fault of the wire format.
    pub fn parse(message: &'a [u8]) -> Result<Self, WireFault> {
        let mut out = Self { id: 0, kind: ConfChangeKind::AddNode, node: MemberId(0), context: &[] };
        each_field(message, |field| {
            match field.number {
                1 => out.id = field.varint()?,
                2 => out.kind = ConfChangeKind::from_number(field.varint()?),
                3 => out.node.0 = field.varint()?,
                4 => out.context = field.bytes()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// `raftpb.ConfState`: who takes part.
///
/// | # | type | field |
/// |--:|---|---|
/// | 1 | repeated uint64, not packed | voters |
/// | 2 | repeated uint64 | learners |
/// | 3 | repeated uint64 | voters outgoing, while a joint change is under way |
/// | 4 | repeated uint64 | learners next |
/// | 5 | bool | whether a joint change is left by itself |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfState {
    /// Those who vote.
    pub voters: Vec<MemberId>,
    /// Those who only listen.
    pub learners: Vec<MemberId>,
    /// Those who vote in the configuration that is being left.
    pub voters_outgoing: Vec<MemberId>,
    /// Those who become learners once it is left.
    pub learners_next: Vec<MemberId>,
    /// Whether it is left without being asked.
    pub auto_leave: bool,
}

impl ConfState {
    /// The configuration of a cluster that starts with `members`: ids in
    /// ascending order, those who vote apart from those who only listen.
    pub fn of(members: &[Member]) -> Self {
        let ids = |learner: bool| {
            let members = members.iter().filter(|member| member.is_learner == learner);
            let mut ids: Vec<_> = members.map(|member| member.id).collect();
            ids.sort_unstable();
            ids
        };
        Self { voters: ids(false), learners: ids(true), ..Self::default() }
    }

    /// The message's bytes.
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        let lists =
            [(1, &self.voters), (2, &self.learners), (3, &self.voters_outgoing), (4, &self.learners_next)];
        let mut out = Writer::new();
        for (number, ids) in lists {
            out = ids.iter().fold(out, |out, id| out.varint(number, id.0));
        }
        if self.auto_leave || encoding == Encoding::Gogo {
            out = out.varint(5, self.auto_leave.into());
        }
        out.finish()
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The first fault of the wire format; packed lists, which no version of
    /// etcd writes, are one.
    pub fn parse(message: &[u8]) -> Result<Self, WireFault> {
        let mut out = Self::default();
        each_field(message, |field| {
            let list = match field.number {
                1 => &mut out.voters,
                2 => &mut out.learners,
                3 => &mut out.voters_outgoing,
                4 => &mut out.learners_next,
                5 => {
                    out.auto_leave = field.varint()? != 0;
                    return Ok(());
                }
                _ => return Ok(()),
            };
            list.push(MemberId(field.varint()?));
            Ok(())
        })?;
        Ok(out)
    }
}

/// `raftpb.SnapshotMetadata`: 1 [`ConfState`], 2 index, 3 term.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotMetadata {
    /// The members then.
    pub conf_state: ConfState,
    /// The last entry the snapshot covers.
    pub index: Index,
    /// That entry's term.
    pub term: Term,
}

impl SnapshotMetadata {
    /// The message's bytes.
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        let conf_state = self.conf_state.encode(encoding);
        Writer::new().bytes(1, &conf_state).varint(2, self.index.0).varint(3, self.term.0).finish()
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The first fault of the wire format; inside `conf_state` its offset counts
    /// from there.
    pub fn parse(message: &[u8]) -> Result<Self, WireFault> {
        let mut out = Self::default();
        each_field(message, |field| {
            match field.number {
                1 => out.conf_state = ConfState::parse(field.bytes()?)?,
                2 => out.index.0 = field.varint()?,
                3 => out.term.0 = field.varint()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// `raftpb.Snapshot`: 1 data, 2 [`SnapshotMetadata`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot<'a> {
    /// The v2 store, as JSON.
    pub data: std::borrow::Cow<'a, [u8]>,
    /// Where in the log it stands.
    pub metadata: SnapshotMetadata,
}

impl<'a> Snapshot<'a> {
    /// The message's bytes.
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        let mut out = Writer::new();
        if !self.data.is_empty() {
            out = out.bytes(1, &self.data);
        }
        out.bytes(2, &self.metadata.encode(encoding)).finish()
    }

    /// Reads the message.
    ///
    /// # Errors
    /// The first fault of the wire format; inside `metadata` its offset counts
    /// from there.
    pub fn parse(message: &'a [u8]) -> Result<Self, WireFault> {
        let mut out = Self::default();
        each_field(message, |field| {
            match field.number {
                1 => out.data = field.bytes()?.into(),
                2 => out.metadata = SnapshotMetadata::parse(field.bytes()?)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(out)
    }
}

/// `snappb.snapshot`: the whole of a `.snap` file. 1 CRC-32C of the data,
/// 2 data: a [`Snapshot`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SealedSnapshot<'a> {
    /// The stored checksum.
    pub crc: u32,
    /// A message.
    pub data: &'a [u8],
}

impl<'a> SealedSnapshot<'a> {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        Writer::new().varint(1, self.crc.into()).bytes(2, self.data).finish()
    }

    /// Reads the message; the checksum is not compared.
    ///
    /// # Errors
    /// The first fault of the wire format.
    pub fn parse(message: &'a [u8]) -> Result<Self, WireFault> {
        let mut out = Self::default();
        each_field(message, |field| {
            match field.number {
                1 => out.crc = low_u32(field.varint()?),
                2 => out.data = field.bytes()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Encoding; 2] = [Encoding::Gogo, Encoding::Standard];

    fn ids(ids: &[u64]) -> Vec<MemberId> {
        ids.iter().copied().map(MemberId).collect()
    }

    #[test]
    fn zero_fields_follow_the_encoding() {
        let change = ConfChange { id: 0, kind: ConfChangeKind::AddNode, node: MemberId(1), context: b"{}" };
        assert_eq!(change.encode(Encoding::Gogo), b"\x08\x00\x10\x00\x18\x01\x22\x02{}");
        assert_eq!(change.encode(Encoding::Standard), b"\x10\x00\x18\x01\x22\x02{}");
        let state = ConfState { voters: ids(&[1, 300]), ..ConfState::default() };
        assert_eq!(state.encode(Encoding::Gogo), [8, 1, 8, 0xac, 2, 0x28, 0]);
        assert_eq!(state.encode(Encoding::Standard), [8, 1, 8, 0xac, 2]);
        for encoding in BOTH {
            assert_eq!(WalSnapshot::default().encode(encoding), [8, 0, 0x10, 0]);
        }
        assert_eq!(Record { kind: 4, crc: 0, data: None }.encode(), [8, 4, 0x10, 0]);
    }

    #[test]
    fn every_message_is_read_back() {
        for data in [None, Some(&b""[..]), Some(b"abc")] {
            let record = Record { kind: -1, crc: u32::MAX, data };
            assert_eq!(Record::parse(&record.encode()), Ok(record));
        }
        let metadata = Metadata { node: MemberId(u64::MAX), cluster: ClusterId(1) };
        assert_eq!(Metadata::parse(&metadata.encode()), Ok(metadata));
        for (number, data) in [(0, &b""[..]), (1, b"x"), (2, b"y"), (77, b"z")] {
            let kind = EntryKind::from_number(number);
            let entry = Entry { kind, term: Term(2), index: Index(9), data };
            assert_eq!(Entry::parse(&entry.encode()), Ok(entry));
        }
        let hard_state = HardState { term: Term(3), vote: MemberId(4), commit: Index(5) };
        assert_eq!(HardState::parse(&hard_state.encode()), Ok(hard_state));
        let conf_state = ConfState {
            voters: ids(&[1, u64::MAX]),
            learners: ids(&[2]),
            voters_outgoing: ids(&[3]),
            learners_next: ids(&[4]),
            auto_leave: true,
        };
        for encoding in BOTH {
            for number in 0..6 {
                let kind = ConfChangeKind::from_number(number);
                let change = ConfChange { id: number, kind, node: MemberId(1), context: b"{}" };
                assert_eq!(ConfChange::parse(&change.encode(encoding)), Ok(change));
            }
            for conf_state in [None, Some(ConfState::default()), Some(conf_state.clone())] {
                let mark = WalSnapshot { index: Index(1), term: Term(2), conf_state };
                assert_eq!(WalSnapshot::parse(&mark.encode(encoding)), Ok(mark));
            }
            let metadata =
                SnapshotMetadata { conf_state: conf_state.clone(), index: Index(7), term: Term(8) };
            let snapshot = Snapshot { data: b"{}".as_slice().into(), metadata };
            assert_eq!(Snapshot::parse(&snapshot.encode(encoding)), Ok(snapshot));
        }
        let sealed = SealedSnapshot { crc: 1, data: b"a" };
        assert_eq!(SealedSnapshot::parse(&sealed.encode()), Ok(sealed));
    }

    #[test]
    fn wrong_types_are_faults() {
        let bytes_for_varint = [0x0a, 0];
        assert!(Record::parse(&bytes_for_varint).is_err());
        assert!(Metadata::parse(&bytes_for_varint).is_err());
        assert!(Entry::parse(&bytes_for_varint).is_err());
        assert!(HardState::parse(&bytes_for_varint).is_err());
        assert!(WalSnapshot::parse(&bytes_for_varint).is_err());
        assert!(ConfChange::parse(&bytes_for_varint).is_err());
        assert!(SealedSnapshot::parse(&bytes_for_varint).is_err());
        assert!(Snapshot::parse(&[0x08, 0]).is_err());
        assert!(SnapshotMetadata::parse(&[0x08, 0]).is_err());
        assert!(ConfState::parse(&[0x2a, 0]).is_err());
        assert!(ConfState::parse(&[0x0a, 1, 7]).is_err());
    }
}
