//! One short text by which nodes can be told to hold the same.

use std::fmt;
use std::str::FromStr;

use crate::bolt::Entries;
use crate::codec::checksum::Sha256Stream;

/// Stands for the content of a restored database: equal on two nodes only if both
/// have restored the same file in the same way, with the same members. Depends on
/// nothing else: not on the node's name and directories, its clock, or chance.
///
/// The first 16 bytes of the SHA-256 of [`TAG`](Self::TAG), the SHA-256 of the
/// file's pages (what its digest is, if that is right), and the SHA-256 of what is
/// written over them. Shown as eight groups of four hexadecimal digits, which can
/// be read out over a telephone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

/// A text that is no [`Fingerprint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("32 hexadecimal digits are expected, with or without - between them")]
pub struct NoFingerprint;

impl Fingerprint {
    /// Changes with every change of what is hashed, so that different versions of
    /// this program never agree by mistake.
    pub const TAG: &'static [u8] = b"etcdsnap restored state 1\n";

    pub(super) fn new(content: &[u8; 32], edits: &[u8; 32]) -> Self {
        let mut hash = Sha256Stream::new();
        for part in [Self::TAG, content, edits] {
            hash.update(part);
        }
        let mut first = [0; 16];
        first.iter_mut().zip(hash.finish()).for_each(|(to, from)| *to = from);
        Self(first)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, pair) in self.0.chunks(2).enumerate() {
            if index > 0 {
                f.write_str("-")?;
            }
            pair.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    /// Reads all 32 digits, upper or lower case: a part of them is refused, as it
    /// would match what it should not.
    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|char| *char != '-')
            .map(|char| char.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or(NoFingerprint))
            .collect::<Result<_, _>>()?;
        let bytes: Vec<u8> =
            digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
        if digits.len() != 32 {
            return Err(NoFingerprint);
        }
        bytes.try_into().map(Self).map_err(|_| NoFingerprint)
    }
}

/// SHA-256 of entries and the buckets that they are for, each text behind its
/// length, so that no two sets of them give the same bytes.
#[derive(Default)]
pub(super) struct EntriesHash(Sha256Stream);

impl EntriesHash {
    fn text(&mut self, text: &[u8]) {
        self.0.update(&(text.len() as u64).to_be_bytes());
        self.0.update(text);
    }

    /// Takes in all entries of a bucket; `how` says what becomes of those that
    /// the file has.
    pub(super) fn bucket(&mut self, how: &str, name: &[u8], entries: &Entries) {
        self.text(how.as_bytes());
        self.text(name);
        self.0.update(&(entries.len() as u64).to_be_bytes());
        for (key, value) in entries {
            self.text(key);
            self.text(value);
        }
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_read_back_with_and_without_hyphens() {
        let state = Fingerprint::new(&[1; 32], &[2; 32]);
        let text = state.to_string();
        assert_eq!((text.len(), text.matches('-').count()), (39, 7));
        assert_eq!(text.parse(), Ok(state));
        assert_eq!(text.replace('-', "").to_uppercase().parse(), Ok(state));
        for other in ["", &text[..38], &text[..4], &format!("{text}0"), &text.replace('-', " ")] {
            assert_eq!(other.parse::<Fingerprint>(), Err(NoFingerprint), "{other:?}");
        }
        assert!("é".repeat(32).parse::<Fingerprint>().is_err());
    }

    #[test]
    fn it_is_the_hash_that_is_documented() {
        let mut bytes = b"etcdsnap restored state 1\n".to_vec();
        bytes.extend([1; 32]);
        bytes.extend([2; 32]);
        let expected = crate::codec::checksum::sha256(&bytes);
        assert_eq!(Fingerprint::new(&[1; 32], &[2; 32]).0, expected[..16]);
    }

    #[test]
    fn every_part_counts() {
        let of = |buckets: &[(&str, &str)], entry: Option<(&str, &str)>| {
            let entry = entry.map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec()));
            let mut hash = EntriesHash::default();
            for (how, name) in buckets {
                hash.bucket(how, name.as_bytes(), &entry.clone().into_iter().collect());
            }
            hash.finish()
        };
        let all = [
            of(&[], None),
            of(&[("replace", "a")], None),
            of(&[("append", "a")], None),
            of(&[("replace", "b")], None),
            of(&[("replace", "a")], Some(("k", "v"))),
            of(&[("replace", "a")], Some(("kv", ""))),
            of(&[("replace", "a")], Some(("", "kv"))),
            of(&[("replace", "a"), ("replace", "b")], Some(("k", "v"))),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all[index + 1..].iter().all(|other| other != one), "{index}");
        }
    }
}
