//! Keys in byte order, sorted as they are asked for.
//!
//! Keys of a store share long beginnings, so comparing them whole reads the same
//! bytes again and again from all over the file. Two things spare that. A sample
//! of the keys cuts them into ranges ([`Ranges`]); which range a key is in is
//! found when its record is met, so that each range can be sorted, and worked
//! on, apart from the others. And within a range each group of keys that agree
//! so far is sorted by the next eight bytes, which are read once and kept beside
//! the key ([`SortedKeys`]); groups that still agree are split further when their
//! turn comes. The first keys are therefore ready after a fraction of the work.

use crate::bolt::FileOffset;
use crate::codec::fixed::array_at;

#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    /// The eight bytes at the depth of its group, zeros behind the end.
    window: u64,
    key: &'a [u8],
    offset: FileOffset,
}

/// A run of candidates that agree in the first `depth` bytes.
#[derive(Debug)]
struct Group {
    start: usize,
    end: usize,
    depth: usize,
}

/// Yields the given keys, with the places of their records, in order.
#[derive(Debug)]
pub struct SortedKeys<'a> {
    candidates: Vec<Candidate<'a>>,
    /// Groups not yet yielded; the last one is next.
    groups: Vec<Group>,
}

const WINDOW: usize = 8;

impl<'a> SortedKeys<'a> {
    /// Sorts `keys`, each with the place of its record.
    pub fn new(keys: Vec<(&'a [u8], FileOffset)>) -> Self {
        let candidates: Vec<_> =
            keys.into_iter().map(|(key, offset)| Candidate { window: 0, key, offset }).collect();
        let groups = vec![Group { start: 0, end: candidates.len(), depth: 0 }];
        Self { candidates, groups }
    }

    /// Splits a group of at least two into groups that agree further, and
    /// returns false if it cannot be split: all its keys are equal.
    fn split(&mut self, group: &Group) -> bool {
        let Some(members) = self.candidates.get_mut(group.start..group.end) else { return false };
        let depth = group.depth.saturating_add(common(members, group.depth));
        if members.iter().all(|candidate| candidate.key.len() <= depth) {
            return false;
        }
        for candidate in members.iter_mut() {
            candidate.window = window(candidate.key, depth);
        }
        // Equal windows may still hide keys that end inside: the length decides.
        let ends = depth.saturating_add(WINDOW);
        members.sort_unstable_by_key(|candidate| (candidate.window, candidate.key.len().min(ends)));
        let mut start = group.start;
        let mut parts = Vec::new();
        for part in
            members.chunk_by(|a, b| a.window == b.window && a.key.len().min(ends) == b.key.len().min(ends))
        {
            let end = start.saturating_add(part.len());
            parts.push(Group { start, end, depth: ends });
            start = end;
        }
        self.groups.extend(parts.into_iter().rev());
        true
    }
}

/// How many bytes behind `depth` all keys share, at most a few windows' worth:
/// cheap to find, and it spares whole rounds of sorting.
fn common(candidates: &[Candidate<'_>], depth: usize) -> usize {
    let Some((first, rest)) = candidates.split_first() else { return 0 };
    let mut shared = first.key.get(depth..).unwrap_or_default();
    for candidate in rest {
        let tail = candidate.key.get(depth..).unwrap_or_default();
        let length = shared.iter().zip(tail).take_while(|(a, b)| a == b).count();
        shared = shared.get(..length).unwrap_or_default();
        if shared.is_empty() {
            break;
        }
    }
    shared.len()
}

fn window(key: &[u8], depth: usize) -> u64 {
    if let Some(bytes) = array_at::<WINDOW>(key, depth) {
        return u64::from_be_bytes(bytes);
    }
    let mut bytes = [0; WINDOW];
    for (to, from) in bytes.iter_mut().zip(key.get(depth..).unwrap_or_default()) {
        *to = *from;
    }
    u64::from_be_bytes(bytes)
}

impl<'a> Iterator for SortedKeys<'a> {
    type Item = Keyed<'a>;

    fn next(&mut self) -> Option<Keyed<'a>> {
        loop {
            let group = self.groups.pop()?;
            match group.end.saturating_sub(group.start) {
                0 => {}
                1 => {
                    return self
                        .candidates
                        .get(group.start)
                        .map(|candidate| (candidate.key, candidate.offset));
                }
                _ => {
                    if !self.split(&group) {
                        let alone =
                            |start: usize| Group { start, end: start.saturating_add(1), depth: group.depth };
                        self.groups.extend((group.start..group.end).rev().map(alone));
                    }
                }
            }
        }
    }
}

/// A key and where its record stands.
pub type Keyed<'a> = (&'a [u8], FileOffset);

/// Ranges of keys that follow each other, known by the first keys of all but the
/// first of them.
#[derive(Debug, Default)]
pub struct Ranges<'a> {
    keys: Vec<&'a [u8]>,
    /// How many bytes they all share.
    shared: usize,
    /// The eight bytes behind those.
    windows: Vec<u64>,
}

impl<'a> Ranges<'a> {
    /// Cuts keys into `count` ranges that hold about as many keys of `sample`.
    pub fn of_sample(mut sample: Vec<&'a [u8]>, count: u16) -> Self {
        sample.sort_unstable();
        let step = sample.len().checked_div(usize::from(count)).unwrap_or(0).max(1);
        let mut keys: Vec<&[u8]> = sample.into_iter().step_by(step).skip(1).collect();
        keys.dedup();
        keys.truncate(usize::from(count).saturating_sub(1));
        let (first, last) =
            (keys.first().copied().unwrap_or_default(), keys.last().copied().unwrap_or_default());
        let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
        let windows = keys.iter().map(|key| window(key, shared)).collect();
        Self { keys, shared, windows }
    }

    /// How many ranges there are.
    pub fn count(&self) -> usize {
        self.keys.len().saturating_add(1)
    }

    /// The number of the range that `key` is in: how many bounds are not above it.
    #[inline]
    pub fn number_of(&self, key: &[u8]) -> u16 {
        let Some(first) = self.keys.first() else { return 0 };
        let number = if key.get(..self.shared) == first.get(..self.shared) {
            // Whole keys are only compared with the bounds that look the same.
            let window = window(key, self.shared);
            let start = self.windows.partition_point(|bound| *bound < window);
            let behind = self.windows.get(start..).unwrap_or_default();
            let end = start.saturating_add(behind.partition_point(|bound| *bound == window));
            let alike = self.keys.get(start..end).unwrap_or_default();
            start.saturating_add(alike.partition_point(|bound| *bound <= key))
        } else {
            self.keys.partition_point(|bound| *bound <= key)
        };
        // There are at most 65,535 bounds.
        u16::try_from(number).unwrap_or(u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(keys: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let places = keys.iter().enumerate().map(|(n, key)| (key.as_slice(), FileOffset(n as u64))).collect();
        SortedKeys::new(places).map(|(key, _)| key.to_vec()).collect()
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_bytes(
            mut keys in prop::collection::vec(prop::collection::vec(0u8..3, 0..30), 0..200)
        ) {
            let found = sorted(&keys);
            keys.sort();
            prop_assert_eq!(found, keys);
        }
    }

    proptest! {
        #[test]
        fn a_key_is_in_the_range_that_its_bounds_say(
            sample in prop::collection::vec(prop::collection::vec(0u8..3, 0..14), 0..60),
            keys in prop::collection::vec(prop::collection::vec(0u8..3, 0..14), 0..60),
            count in 0u16..20,
            shared in prop::collection::vec(0u8..3, 0..10),
        ) {
            let with = |keys: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
                keys.into_iter().map(|key| [shared.clone(), key].concat()).collect()
            };
            let (sample, mut keys) = (with(sample), with(keys));
            keys.push(vec![1]);
            let ranges = Ranges::of_sample(sample.iter().map(Vec::as_slice).collect(), count);
            prop_assert!(ranges.count() <= usize::from(count.max(1)));
            for key in &keys {
                let below = ranges.keys.iter().filter(|bound| **bound <= key.as_slice()).count();
                prop_assert_eq!(usize::from(ranges.number_of(key)), below);
            }
        }
    }

    #[test]
    fn zeros_behind_a_key_are_not_its_end() {
        let keys = [&b"a\0\0"[..], b"a", b"a\0", b"", b"a\0\0\0\0\0\0\0\0\0", b"a\0\0\0\0\0\0\0"];
        let keys: Vec<_> = keys.iter().map(|key| key.to_vec()).collect();
        let mut expected = keys.clone();
        expected.sort();
        assert_eq!(sorted(&keys), expected);
    }
}
