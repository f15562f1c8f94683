//! Segments of the write-ahead log: what a restore writes, and a reader.
//!
//! A segment is a sequence of frames, each at an offset divisible by 8:
//!
//! | size | content |
//! |--:|---|
//! | 8 | little-endian: length L in the low 56 bits; if there is padding, bit 63 and the padding P in bits 56 to 58 |
//! | L | [`raft::Record`](super::raft::Record) |
//! | P | zeros up to the next multiple of 8 |
//!
//! A length field of 0, or the end of the file, ends the segment. The checksum
//! of a record covers the data of all records so far, not their frames; a record
//! of kind 4 restates it, and seeds it in a log whose older segments are gone.
//!
//! Source: `server/storage/wal/{encoder,decoder,wal}.go` @ v3.6.14,
//! `saveWALAndSnap` in `etcdutl/snapshot/v3_snapshot.go` @ v3.5.33 to v3.7.1.

use super::line::EtcdLine;
use super::membership::{ClusterId, Member, MemberId};
use super::raft::{
    ConfChange, ConfChangeKind, ConfState, Entry, EntryKind, HardState, Index, Metadata, Record, Term,
    WalSnapshot,
};
use crate::bolt::FileOffset;
use crate::codec::checksum::crc32c_append;
use crate::codec::fixed::u64_le;
use crate::codec::protobuf::WireFault;

/// Bytes that a new segment takes on disk, zeros behind its records.
pub const PREALLOCATED: u64 = 64_000_000;

/// Name of the one segment that a restore writes.
pub const FIRST_SEGMENT: &str = "0000000000000000-0000000000000000.wal";

/// Bytes of a frame's length field.
const LENGTH_FIELD: usize = 8;
/// A disk writes at least this many bytes at once, so a write cut short leaves
/// zeros from a multiple of it on.
const SECTOR: usize = 512;
/// The term that a restored log begins in.
pub(super) const FIRST_TERM: Term = Term(1);

/// What the data of a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// 1: [`Metadata`].
    Metadata,
    /// 2: [`Entry`].
    Entry,
    /// 3: [`HardState`].
    State,
    /// 4: nothing; the record only carries the checksum.
    Crc,
    /// 5: [`WalSnapshot`].
    Snapshot,
}

impl RecordKind {
    fn number(self) -> i64 {
        match self {
            Self::Metadata => 1,
            Self::Entry => 2,
            Self::State => 3,
            Self::Crc => 4,
            Self::Snapshot => 5,
        }
    }

    fn from_number(number: i64) -> Option<Self> {
        [Self::Metadata, Self::Entry, Self::State, Self::Crc, Self::Snapshot]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// Frames in the making.
#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    crc: u32,
}

impl Segment {
    fn push(&mut self, kind: RecordKind, data: Option<&[u8]>) {
        self.crc = crc32c_append(self.crc, data.unwrap_or_default());
        let record = Record { kind: kind.number(), crc: self.crc, data }.encode();
        let padded = record.len().next_multiple_of(8);
        let padding = padded.saturating_sub(record.len()) as u64;
        let marked = if padding == 0 { 0 } else { (0x80 | padding) << 56 };
        self.bytes.extend_from_slice(&(record.len() as u64 | marked).to_le_bytes());
        self.bytes.extend_from_slice(&record);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
    }
}

/// The start of the log of `node`, one of the `members` of a restored cluster:
/// everything but the zeros that fill the segment up to [`PREALLOCATED`].
///
/// In ascending order of ids, each member is added by an entry of its own; the
/// log says that all of them are committed in term 1, with a vote for the first
/// that can be voted for, and that a snapshot covers them. Upstream's restore
/// knows no learners; they are added as a running cluster adds them. `line` is taken as it is: see
/// [`EtcdLine::restored_as`] for the layout that a restore should choose.
pub fn wal_head(node: MemberId, members: &[Member], line: EtcdLine) -> Vec<u8> {
    let encoding = line.encoding();
    let conf_state = ConfState::of(members);
    let mut members: Vec<&Member> = members.iter().collect();
    members.sort_by_key(|member| member.id);
    let cluster = ClusterId::derive(members.iter().map(|member| member.id));
    let mut segment = Segment::default();
    segment.push(RecordKind::Crc, None);
    segment.push(RecordKind::Metadata, Some(&Metadata { node, cluster }.encode()));
    segment.push(RecordKind::Snapshot, Some(&WalSnapshot::default().encode(encoding)));
    let mut last = Index(0);
    for member in &members {
        last.0 = last.0.saturating_add(1);
        let context = member.to_json();
        let kind = if member.is_learner { ConfChangeKind::AddLearnerNode } else { ConfChangeKind::AddNode };
        let change = ConfChange { id: 0, kind, node: member.id, context: context.as_bytes() };
        let data = change.encode(encoding);
        let entry = Entry { kind: EntryKind::ConfChange, term: FIRST_TERM, index: last, data: &data };
        segment.push(RecordKind::Entry, Some(&entry.encode()));
    }
    let vote = conf_state.voters.first().copied().unwrap_or(MemberId(0));
    let state = HardState { term: FIRST_TERM, vote, commit: last };
    segment.push(RecordKind::State, Some(&state.encode()));
    let conf_state = line.wal_snapshot_has_conf_state().then_some(conf_state);
    let snapshot = WalSnapshot { index: last, term: FIRST_TERM, conf_state };
    segment.push(RecordKind::Snapshot, Some(&snapshot.encode(encoding)));
    segment.bytes
}

/// A record whose checksum was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FramedRecord<'a> {
    /// Where its frame begins in the segment.
    pub offset: FileOffset,
    /// What its data is.
    pub kind: RecordKind,
    /// The running checksum that it carries.
    pub crc: u32,
    /// Its message; empty for [`RecordKind::Crc`].
    pub data: &'a [u8],
}

/// Why the records of a segment end before the segment does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record at offset {offset}: {kind}")]
pub struct WalFault {
    /// Where the frame begins in the segment.
    pub offset: FileOffset,
    /// What is wrong with it.
    pub kind: WalFaultKind,
    /// Whether a write that was cut short explains it: the frame reaches past the
    /// end of the file, or a whole sector of it is zeros. In the last segment of
    /// a log etcd drops such a record; anywhere else it refuses to start.
    pub torn: bool,
}

/// The kinds of [`WalFault`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalFaultKind {
    /// One to seven bytes where a length field should be.
    #[error("expected a length field of 8 bytes, {left} are left")]
    LengthCut {
        /// Bytes to the end of the segment.
        left: usize,
    },
    /// The frame is longer than what is left.
    #[error("expected a frame of {frame} bytes, {left} are left")]
    FrameCut {
        /// Bytes of record and padding.
        frame: u64,
        /// Bytes to the end of the segment.
        left: usize,
    },
    /// The frame does not hold a message.
    #[error("{0}")]
    Message(WireFault),
    /// The data is not what was written, or data before it is missing.
    #[error("stored checksum {stored:08x}, computed {computed:08x}")]
    Checksum {
        /// As stored.
        stored: u32,
        /// Over all data so far.
        computed: u32,
    },
    /// A kind of record that does not exist.
    #[error("expected a record of kind 1 to 5, found {found}")]
    Kind {
        /// The kind.
        found: i64,
    },
}

/// Reads the records of one segment. Ends after the last record or the first
/// fault.
///
/// Borrows from the segment and never allocates. What the messages say is not
/// looked at, and what lies behind a length field of 0 is not read.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    segment: &'a [u8],
    position: usize,
    crc: u32,
    ended: bool,
}

impl<'a> Records<'a> {
    /// Reads the first segment there is.
    pub fn new(segment: &'a [u8]) -> Self {
        Self::following(segment, 0)
    }

    /// Reads a segment whose predecessor's records ended with the checksum `crc`.
    pub fn following(segment: &'a [u8], crc: u32) -> Self {
        Self { segment, position: 0, crc, ended: false }
    }

    /// The checksum of all data read so far.
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// Where the records read so far end.
    pub fn end(&self) -> FileOffset {
        FileOffset(self.position as u64)
    }

    fn fault(&self, kind: WalFaultKind, torn: bool) -> WalFault {
        WalFault { offset: self.end(), kind, torn }
    }

    fn record(&mut self) -> Result<Option<FramedRecord<'a>>, WalFault> {
        let rest = self.segment.get(self.position..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let Some(field) = u64_le(rest, 0) else {
            return Err(self.fault(WalFaultKind::LengthCut { left: rest.len() }, true));
        };
        if field == 0 {
            return Ok(None);
        }
        let length = field & 0x00ff_ffff_ffff_ffff;
        let padding = if field >> 63 == 1 { field >> 56 & 7 } else { 0 };
        // Below 2^56 and 7: the sum fits.
        let frame = length.saturating_add(padding);
        let body = rest.get(LENGTH_FIELD..).unwrap_or_default();
        let cut = || self.fault(WalFaultKind::FrameCut { frame, left: body.len() }, true);
        let frame_length = usize::try_from(frame).map_err(|_| cut())?;
        let framed = body.get(..frame_length).ok_or_else(cut)?;
        let message =
            usize::try_from(length).ok().and_then(|length| framed.get(..length)).unwrap_or_default();
        let body_offset = self.position.saturating_add(LENGTH_FIELD);
        let torn = || has_blank_sector(framed, body_offset);
        let record =
            Record::parse(message).map_err(|fault| self.fault(WalFaultKind::Message(fault), torn()))?;
        let data = record.data.unwrap_or_default();
        let kind = RecordKind::from_number(record.kind);
        let computed = match kind {
            // With no data before it, the record is where the chain begins.
            Some(RecordKind::Crc) if self.crc == 0 => record.crc,
            Some(RecordKind::Crc) => self.crc,
            _ => crc32c_append(self.crc, data),
        };
        if record.crc != computed {
            let restated = kind == Some(RecordKind::Crc);
            let kind = WalFaultKind::Checksum { stored: record.crc, computed };
            return Err(self.fault(kind, !restated && torn()));
        }
        let kind = kind.ok_or_else(|| self.fault(WalFaultKind::Kind { found: record.kind }, false))?;
        let framed = FramedRecord { offset: self.end(), kind, crc: record.crc, data };
        self.crc = computed;
        self.position = body_offset.saturating_add(frame_length);
        Ok(Some(framed))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<FramedRecord<'a>, WalFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.record().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}

/// Whether a part of `frame` that lies in one sector of the file is all zeros.
/// `offset` is where the frame begins in the file.
fn has_blank_sector(frame: &[u8], offset: usize) -> bool {
    let first = offset.next_multiple_of(SECTOR).saturating_sub(offset).min(frame.len());
    let (head, tail) = frame.split_at_checked(first).unwrap_or((frame, &[]));
    let blank = |sector: &[u8]| !sector.is_empty() && sector.iter().all(|byte| *byte == 0);
    blank(head) || tail.chunks(SECTOR).any(blank)
}

#[cfg(test)]
mod tests {
    use super::super::membership::new_members;
    use super::super::peer_url::InitialCluster;
    use super::*;

    const THREE: &str = "node1=https://10.20.30.101:2380,node2=https://10.20.30.102:2380,\
                         node3=https://10.20.30.103:2380";

    fn head(cluster: &str, name: &str, line: EtcdLine) -> Vec<u8> {
        let cluster = InitialCluster::parse(cluster).expect("sound");
        let members = new_members(&cluster, "etcd-cluster").expect("distinct");
        let node = members.iter().find(|member| member.name == name).expect("there").id;
        wal_head(node, &members, line)
    }

    /// Offset, L, checksum of every frame.
    fn frames(segment: &[u8]) -> Vec<(u64, u64, u32)> {
        Records::new(segment)
            .map(|record| record.expect("sound"))
            .map(|record| {
                let offset = usize::try_from(record.offset.0).expect("small");
                let field = u64_le(segment, offset).expect("a length field");
                (record.offset.0, field << 8 >> 8, record.crc)
            })
            .collect()
    }

    #[test]
    fn three_members_give_upstreams_frames() {
        let shared = [(0, 4, 0), (16, 30, 0x7c6c_9fbc), (56, 14, 0xb89c_abe6)];
        let gogo = [
            (80, 0x73, 0x0f3d_fcd5),
            (208, 0x74, 0xbd2b_3052),
            (336, 0x76, 0x4ecf_e43f),
            (464, 0x18, 0x3b7d_241a),
        ];
        let standard = [
            (80, 114, 0xd981_30f4),
            (208, 114, 0x8fcb_8f99),
            (336, 116, 0x33e7_1b86),
            (464, 24, 0xec9e_3d5a),
        ];
        for (line, middle, snapshot, end) in [
            (EtcdLine::V3_4, gogo, (496, 14, 0x9071_389a), 520),
            (EtcdLine::V3_5, gogo, (496, 49, 0x67e7_b4fd), 560),
            (EtcdLine::V3_6, gogo, (496, 49, 0x67e7_b4fd), 560),
            (EtcdLine::V3_7, standard, (496, 47, 0x9203_f80f), 552),
        ] {
            let bytes = head(THREE, "node1", line);
            let expected: Vec<_> = shared.into_iter().chain(middle).chain([snapshot]).collect();
            assert_eq!(frames(&bytes), expected, "{line}");
            assert_eq!(bytes.len(), end, "{line}");
        }
        let bytes = head(THREE, "node1", EtcdLine::V3_5);
        assert_eq!(bytes[..16], [4, 0, 0, 0, 0, 0, 0, 0x84, 8, 4, 0x10, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16..24], [0x1e, 0, 0, 0, 0, 0, 0, 0x82]);
        assert_eq!(bytes[464..472], [0x18, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn one_default_member_gives_upstreams_frames() {
        let bytes = head("default=http://localhost:2380", "default", EtcdLine::V3_6);
        assert_eq!(
            frames(&bytes)[1..],
            [
                (16, 32, 0x5f91_c0bb),
                (56, 14, 0xedb1_dd94),
                (80, 116, 0xb2a4_b742),
                (208, 25, 0x8875_8c1b),
                (248, 29, 0xddeb_8f0d)
            ]
        );
        assert_eq!(bytes.len(), 288);
    }

    #[test]
    fn the_order_of_members_does_not_matter() {
        let cluster = InitialCluster::parse(THREE).expect("sound");
        let mut members = new_members(&cluster, "t").expect("distinct");
        let node = members[0].id;
        let sorted = wal_head(node, &members, EtcdLine::V3_7);
        members.reverse();
        assert_eq!(wal_head(node, &members, EtcdLine::V3_7), sorted);
    }

    #[test]
    fn messages_say_what_was_restored() {
        let bytes = head(THREE, "node2", EtcdLine::V3_6);
        let records: Vec<_> = Records::new(&bytes).map(|record| record.expect("sound")).collect();
        let metadata = Metadata::parse(records[1].data).expect("sound");
        assert_eq!(metadata.node, MemberId(0x11ab_c49c_8f7d_2160));
        assert_eq!(metadata.cluster, ClusterId(0x2e33_bdde_1b2c_af1f));
        assert_eq!(WalSnapshot::parse(records[2].data), Ok(WalSnapshot::default()));
        let entry = Entry::parse(records[4].data).expect("sound");
        assert_eq!((entry.kind, entry.term, entry.index), (EntryKind::ConfChange, Term(1), Index(2)));
        let change = ConfChange::parse(entry.data).expect("sound");
        assert_eq!((change.kind, change.node), (ConfChangeKind::AddNode, MemberId(0x6164_6fee_b29f_a0bd)));
        assert_eq!(Member::parse(change.context).expect("sound").name, "node1");
        let state = HardState::parse(records[6].data).expect("sound");
        assert_eq!((state.vote, state.commit), (MemberId(0x11ab_c49c_8f7d_2160), Index(3)));
        let snapshot = WalSnapshot::parse(records[7].data).expect("sound");
        assert_eq!(snapshot.conf_state.map(|state| state.voters.len()), Some(3));
    }

    #[test]
    fn a_learner_is_added_as_one_and_gets_no_vote() {
        let cluster = InitialCluster::parse(THREE).expect("sound");
        let mut members = new_members(&cluster, "etcd-cluster").expect("distinct");
        // The first by id, which would have had the vote.
        members[0].is_learner = true;
        let bytes = wal_head(members[0].id, &members, EtcdLine::V3_6);
        let records: Vec<_> = Records::new(&bytes).map(|record| record.expect("sound")).collect();
        let kinds: Vec<_> = records[3..6]
            .iter()
            .map(|record| Entry::parse(record.data).expect("sound"))
            .map(|entry| ConfChange::parse(entry.data).expect("sound").kind)
            .collect();
        assert_eq!(kinds, [ConfChangeKind::AddLearnerNode, ConfChangeKind::AddNode, ConfChangeKind::AddNode]);
        let state = HardState::parse(records[6].data).expect("sound");
        assert_eq!(state.vote, members[1].id);
        let snapshot = WalSnapshot::parse(records[7].data).expect("sound");
        let conf_state = snapshot.conf_state.expect("there");
        assert_eq!(conf_state.voters, [members[1].id, members[2].id]);
        assert_eq!(conf_state.learners, [members[0].id]);
    }

    #[test]
    fn records_end_at_zeros_or_the_end() {
        let mut bytes = head(THREE, "node1", EtcdLine::V3_6);
        let read = |bytes: &[u8]| {
            let mut records = Records::new(bytes);
            let sound = records.by_ref().filter(Result::is_ok).count();
            (sound, records.end(), records.crc())
        };
        let whole = (8, FileOffset(560), 0x67e7_b4fd);
        assert_eq!(read(&bytes), whole);
        bytes.resize(4096, 0);
        bytes.push(1);
        assert_eq!(read(&bytes), whole);
        assert_eq!(read(&[]), (0, FileOffset(0), 0));
    }

    #[test]
    fn every_fault_has_its_place() {
        let good = head(THREE, "node1", EtcdLine::V3_6);
        let fault = |bytes: &[u8]| {
            let mut records = Records::new(bytes);
            let fault = records.find_map(Result::err).expect("a fault");
            assert!(records.next().is_none());
            fault
        };
        let at = |offset, kind, torn| WalFault { offset: FileOffset(offset), kind, torn };
        assert_eq!(fault(&good[..59]), at(56, WalFaultKind::LengthCut { left: 3 }, true));
        assert_eq!(fault(&good[..559]), at(496, WalFaultKind::FrameCut { frame: 56, left: 55 }, true));
        assert_eq!(
            fault(&[0xff; 16]),
            at(0, WalFaultKind::FrameCut { frame: 0x0100_0000_0000_0006, left: 8 }, true)
        );
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            fault(&bytes)
        };
        assert!(matches!(with(&|b| b[88] = 0x0b).kind, WalFaultKind::Message(_)));
        let flipped = with(&|b| b[150] ^= 1);
        assert!(matches!(flipped.kind, WalFaultKind::Checksum { stored: 0x0f3d_fcd5, .. }));
        assert_eq!((flipped.offset, flipped.torn), (FileOffset(80), false));
        // The frame at 496 reaches into the second sector.
        let torn = with(&|b| b[512..560].fill(0));
        assert_eq!((torn.offset, torn.torn), (FileOffset(496), true));
        assert_eq!(with(&|b| b[65] = 9), at(56, WalFaultKind::Kind { found: 9 }, false));
    }

    #[test]
    fn a_checksum_record_seeds_or_restates() {
        let mut first = Segment::default();
        first.push(RecordKind::Metadata, Some(b"a"));
        let mut next = Segment { bytes: Vec::new(), crc: first.crc };
        next.push(RecordKind::Crc, None);
        next.push(RecordKind::Metadata, Some(b"b"));
        let sound = |records: Records<'_>| records.filter(Result::is_ok).count();
        assert_eq!(sound(Records::new(&next.bytes)), 2);
        assert_eq!(sound(Records::following(&next.bytes, first.crc)), 2);
        let fault = Records::following(&next.bytes, 1).find_map(Result::err).expect("a fault");
        let kind = WalFaultKind::Checksum { stored: first.crc, computed: 1 };
        assert_eq!(fault, WalFault { offset: FileOffset(0), kind, torn: false });
    }

    #[test]
    fn any_bytes_are_read_without_panic() {
        let good = head(THREE, "node1", EtcdLine::V3_6);
        for position in 0..good.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[position] = value;
                let _ = Records::new(&bytes).count();
            }
            let _ = Records::new(&good[..position]).count();
        }
    }
}
