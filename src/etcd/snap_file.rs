//! `.snap` files: a raft snapshot under a checksum.
//!
//! The file is one [`SealedSnapshot`] and is called
//! `<term as 16 hex digits>-<index as 16 hex digits>.snap`. Up to 3.6 a member
//! starts from the newest one that its WAL confirms; 3.7 writes them only for a
//! downgrade.
//!
//! Source: `server/etcdserver/api/snap/snapshotter.go` @ v3.6.14.

use super::line::EtcdLine;
use super::membership::Member;
use super::raft::{ConfState, Encoding, Index, SealedSnapshot, Snapshot, SnapshotMetadata, Term};
use super::v2_store;
use super::wal::FIRST_TERM;
use crate::codec::checksum::crc32c;
use crate::codec::protobuf::WireFault;

/// Name of the file for a snapshot at `index` of `term`.
pub fn file_name(term: Term, index: Index) -> String {
    format!("{:016x}-{:016x}.snap", term.0, index.0)
}

/// Term and index that a file's name says, if it is the name of a snapshot.
pub fn parse_file_name(name: &str) -> Option<(Term, Index)> {
    let (term, index) = name.strip_suffix(".snap")?.split_once('-')?;
    let number = |digits: &str| {
        let legal = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        legal.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
    };
    Some((Term(number(term)?), Index(number(index)?)))
}

/// Why bytes are not a `.snap` file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapFault {
    /// No bytes, no data, or a checksum of 0, which upstream takes for "none".
    #[error("expected a snapshot, found {length} bytes without data or checksum")]
    Empty {
        /// Bytes of the file.
        length: usize,
    },
    /// The file is not a message.
    #[error("{0}")]
    Seal(WireFault),
    /// The data is not what was written.
    #[error("stored checksum {stored:08x}, computed {computed:08x}")]
    Checksum {
        /// As stored.
        stored: u32,
        /// Over the data as it is.
        computed: u32,
    },
    /// The data is not a snapshot.
    #[error("data under a good checksum: {0}")]
    Snapshot(WireFault),
}

/// The bytes of the file that holds `snapshot`.
pub fn encode(snapshot: &Snapshot<'_>, encoding: Encoding) -> Vec<u8> {
    let data = snapshot.encode(encoding);
    SealedSnapshot { crc: crc32c(&data), data: &data }.encode()
}

/// Reads the bytes of a file. What the snapshot says is not looked at.
///
/// # Errors
/// The first check that fails, in upstream's order.
pub fn parse(file: &[u8]) -> Result<Snapshot<'_>, SnapFault> {
    let sealed = SealedSnapshot::parse(file).map_err(SnapFault::Seal)?;
    if sealed.data.is_empty() || sealed.crc == 0 {
        return Err(SnapFault::Empty { length: file.len() });
    }
    let computed = crc32c(sealed.data);
    if sealed.crc != computed {
        return Err(SnapFault::Checksum { stored: sealed.crc, computed });
    }
    Snapshot::parse(sealed.data).map_err(SnapFault::Snapshot)
}

/// The snapshot that a restored member starts from: all `members` have been
/// added, in term 1. Its file is written with [`EtcdLine::encoding`] and named
/// after its term and index.
pub fn restored(members: &[Member], line: EtcdLine) -> Snapshot<'static> {
    let (conf_state, index) = (ConfState::of(members), Index(members.len() as u64));
    Snapshot {
        data: v2_store::restored(members, line.v2_gets_fail()).into_bytes().into(),
        metadata: SnapshotMetadata { conf_state, index, term: FIRST_TERM },
    }
}

#[cfg(test)]
mod tests {
    use super::super::membership::MemberId;
    use super::*;

    fn snapshot() -> Snapshot<'static> {
        let conf_state = ConfState { voters: vec![MemberId(5)], ..ConfState::default() };
        let metadata = SnapshotMetadata { conf_state, index: Index(3), term: Term(1) };
        Snapshot { data: b"{}".as_slice().into(), metadata }
    }

    #[test]
    fn the_metadata_is_upstreams() {
        let gogo = encode(&snapshot(), Encoding::Gogo);
        assert!(gogo.ends_with(&[0x0a, 2, b'{', b'}', 0x12, 10, 0x0a, 4, 8, 5, 0x28, 0, 0x10, 3, 0x18, 1]));
        let standard = encode(&snapshot(), Encoding::Standard);
        assert!(standard.ends_with(&[0x12, 8, 0x0a, 2, 8, 5, 0x10, 3, 0x18, 1]));
        assert_eq!(parse(&gogo), Ok(snapshot()));
        assert_eq!(parse(&standard), Ok(snapshot()));
    }

    #[test]
    fn every_fault_is_told_apart() {
        let good = encode(&snapshot(), Encoding::Gogo);
        assert_eq!(parse(&[]), Err(SnapFault::Empty { length: 0 }));
        let sealed = |crc, data| SealedSnapshot { crc, data }.encode();
        assert_eq!(parse(&sealed(1, b"")), Err(SnapFault::Empty { length: 4 }));
        assert_eq!(parse(&sealed(0, b"a")), Err(SnapFault::Empty { length: 5 }));
        assert!(matches!(parse(&good[..good.len() - 1]), Err(SnapFault::Seal(_))));
        let mut flipped = good.clone();
        *flipped.last_mut().expect("bytes") ^= 2;
        assert!(matches!(parse(&flipped), Err(SnapFault::Checksum { .. })));
        assert!(matches!(parse(&sealed(crc32c(b"\x08"), b"\x08")), Err(SnapFault::Snapshot(_))));
    }

    #[test]
    fn names_carry_term_and_index() {
        let name = "0000000000000001-000000000000000a.snap";
        assert_eq!(file_name(Term(1), Index(10)), name);
        assert_eq!(parse_file_name(name), Some((Term(1), Index(10))));
        for other in ["", ".snap", "1-a.snap", "0000000000000001-+00000000000000a.snap"] {
            assert_eq!(parse_file_name(other), None);
        }
        assert_eq!(parse_file_name("0000000000000001-000000000000000a.snap.db"), None);
    }

    #[test]
    fn a_restored_snapshot_names_all_voters_and_learners() {
        let member = |id| Member {
            id: MemberId(id),
            name: String::new(),
            peer_urls: vec!["unix:a".to_owned()],
            client_urls: Vec::new(),
            is_learner: false,
        };
        let learner = Member { is_learner: true, ..member(4) };
        let snapshot = restored(&[member(9), learner, member(2)], EtcdLine::V3_6);
        assert_eq!(snapshot.metadata.conf_state.voters, [MemberId(2), MemberId(9)]);
        assert_eq!(snapshot.metadata.conf_state.learners, [MemberId(4)]);
        assert_eq!((snapshot.metadata.term, snapshot.metadata.index), (Term(1), Index(3)));
    }
}
