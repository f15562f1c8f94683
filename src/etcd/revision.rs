//! Revisions, and the keys of bucket `key` that hold them.

use crate::codec::fixed::i64_be;

/// A position in the store's history: the transaction, and the change in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Counts the transactions that changed something; the first writes 2.
    pub main: i64,
    /// Counts the changes within one transaction, from 0.
    pub sub: i64,
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.main)?;
        if self.sub != 0 {
            write!(f, ".{}", self.sub)?;
        }
        Ok(())
    }
}

/// Why bytes are not the key of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevisionFault {
    /// Neither 17 nor 18 bytes.
    #[error("{0} bytes, not 17 or 18")]
    Length(usize),
    /// The ninth byte is not `_`.
    #[error("separator {0:#04x}, not '_'")]
    Separator(u8),
    /// The eighteenth byte is not `t`.
    #[error("mark {0:#04x}, not 't'")]
    Mark(u8),
    /// The sign bit of a part is set.
    #[error("negative revision {}.{}", .0.main, .0.sub)]
    Negative(Revision),
}

/// The key of a record: 17 bytes, or 18 for a deletion.
///
/// | offset | size | field |
/// |--:|--:|---|
/// | 0 | 8 | main, big-endian |
/// | 8 | 1 | `_` |
/// | 9 | 8 | sub, big-endian |
/// | 17 | 1 | `t`, only for a tombstone |
///
/// Source: etcd `server/storage/mvcc/revision.go`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevisionKey {
    /// The revision.
    pub revision: Revision,
    /// Whether the record says that its key was deleted.
    pub tombstone: bool,
}

impl RevisionKey {
    /// Reads a key of bucket `key`, or a compaction revision of bucket `meta`.
    ///
    /// # Errors
    /// The first thing that is wrong with the bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, RevisionFault> {
        let tombstone = match bytes {
            [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] => false,
            [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, b't'] => true,
            [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, mark] => {
                return Err(RevisionFault::Mark(*mark));
            }
            _ => return Err(RevisionFault::Length(bytes.len())),
        };
        match bytes.get(8) {
            Some(b'_') => {}
            other => return Err(RevisionFault::Separator(other.copied().unwrap_or_default())),
        }
        let length = RevisionFault::Length(bytes.len());
        let revision =
            Revision { main: i64_be(bytes, 0).ok_or(length)?, sub: i64_be(bytes, 9).ok_or(length)? };
        if revision.main < 0 || revision.sub < 0 {
            return Err(RevisionFault::Negative(revision));
        }
        Ok(Self { revision, tombstone })
    }

    /// The bytes of the key.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(18);
        self.append_to(&mut bytes);
        bytes
    }

    /// Appends the bytes of the key.
    pub(crate) fn append_to(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.revision.main.to_be_bytes());
        bytes.push(b'_');
        bytes.extend_from_slice(&self.revision.sub.to_be_bytes());
        if self.tombstone {
            bytes.push(b't');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_is_marked() {
        let key = RevisionKey { revision: Revision { main: 11, sub: 2 }, tombstone: true };
        let bytes = b"\0\0\0\0\0\0\0\x0b_\0\0\0\0\0\0\0\x02t";
        assert_eq!(key.to_bytes(), bytes);
        assert_eq!(RevisionKey::parse(bytes), Ok(key));
        assert_eq!(RevisionKey::parse(&bytes[..17]), Ok(RevisionKey { tombstone: false, ..key }));
    }

    #[test]
    fn what_is_no_revision_is_refused() {
        let fault = |bytes: &[u8]| RevisionKey::parse(bytes).expect_err("a fault");
        assert_eq!(fault(b"short"), RevisionFault::Length(5));
        assert_eq!(fault(&[b'_'; 19]), RevisionFault::Length(19));
        assert_eq!(fault(&[b'a'; 17]), RevisionFault::Separator(b'a'));
        assert_eq!(fault(&[b'_'; 18]), RevisionFault::Mark(b'_'));
        assert!(matches!(fault(b"\xff\0\0\0\0\0\0\0_\0\0\0\0\0\0\0\0"), RevisionFault::Negative(_)));
    }
}
