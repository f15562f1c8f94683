//! How far a log goes beyond what its database holds.
//!
//! etcd writes an entry to the log first and applies it to the database later. A
//! member that was stopped in good order has applied everything; one that was killed
//! has not always. What is only in the log is not in a copy of the database.

use super::raft::{Entry, HardState, Index, WalSnapshot};
use super::wal::{RecordKind, Records, WalFault};

/// Sequence number and first index of a segment, from its name:
/// `%016x-%016x.wal`. `None` for other files, which etcd passes over, too.
pub fn segment_name(name: &str) -> Option<(u64, Index)> {
    let (sequence, index) = name.strip_suffix(".wal")?.split_once('-')?;
    let number = |text: &str| {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
    };
    Some((number(sequence)?, Index(number(index)?)))
}

/// Where a log ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WalEnd {
    /// The last entry, or the last that a snapshot stands for; 0 if there is none.
    pub last: Index,
    /// The last entry that the log says is committed. It may say so late: etcd does
    /// not wait until a mere commit is on disk.
    pub committed: Index,
}

/// Why a log cannot be followed to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("segment {segment}, {fault}")]
pub struct WalEndFault {
    /// Which of the segments, from 0.
    pub segment: usize,
    /// What is wrong with it.
    pub fault: WalFault,
}

/// Reads segments that follow each other. They may begin in the midst of the log, as
/// the first record of each carries the checksum of those before it.
///
/// # Errors
/// A damaged segment, with the end of what could be read. A last record that was cut
/// off while it was written is none, as etcd drops it.
pub fn wal_end(segments: &[&[u8]]) -> Result<WalEnd, (WalEnd, WalEndFault)> {
    let mut end = WalEnd::default();
    let mut crc = 0;
    for (number, segment) in segments.iter().enumerate() {
        let mut records = Records::following(segment, crc);
        for record in &mut records {
            match record {
                Ok(record) if record.kind == RecordKind::Entry => {
                    // An index that was there before replaces what follows it.
                    end.last = Entry::parse(record.data).map_or(end.last, |entry| entry.index);
                }
                Ok(record) if record.kind == RecordKind::State => {
                    end.committed = HardState::parse(record.data).map_or(end.committed, |state| state.commit);
                }
                // What a member got from its leader as a snapshot has no entries.
                Ok(record) if record.kind == RecordKind::Snapshot => {
                    let snapshot = WalSnapshot::parse(record.data).map_or(Index(0), |found| found.index);
                    end.last = end.last.max(snapshot);
                }
                Ok(_) => {}
                Err(fault) if fault.torn && number.saturating_add(1) == segments.len() => {}
                Err(fault) => return Err((end, WalEndFault { segment: number, fault })),
            }
        }
        crc = records.crc();
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::line::EtcdLine;
    use crate::etcd::membership::Member;
    use crate::etcd::wal::wal_head;

    fn log() -> Vec<u8> {
        let member = Member::parse(br#"{"id":7,"peerURLs":["http://10.0.0.1:2380"]}"#).expect("a member");
        let mut segment = wal_head(member.id, &[member], EtcdLine::V3_6);
        segment.resize(4096, 0);
        segment
    }

    #[test]
    fn segments_are_known_by_their_names() {
        let name = "0000000000000001-00000000000000ff.wal";
        assert_eq!(segment_name(name), Some((1, Index(255))));
        for other in ["0.tmp", "1-ff.wal", "0000000000000001-00000000000000ff.wal.broken", ".wal"] {
            assert_eq!(segment_name(other), None, "{other}");
        }
    }

    #[test]
    fn a_restored_log_ends_with_its_members() {
        let log = log();
        assert_eq!(wal_end(&[&log]), Ok(WalEnd { last: Index(1), committed: Index(1) }));
        assert_eq!(wal_end(&[]), Ok(WalEnd::default()));
    }

    #[test]
    fn a_torn_end_is_none_and_a_damaged_record_is_one() {
        let whole = log();
        let records = whole.iter().rposition(|byte| *byte != 0).expect("records");
        assert!(wal_end(&[&whole[..records - 8]]).is_ok());
        let mut damaged = whole;
        damaged[40] ^= 1;
        let (end, fault) = wal_end(&[&damaged]).expect_err("a fault");
        assert_eq!((end.last, fault.segment), (Index(0), 0));
    }
}
