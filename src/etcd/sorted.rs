//! Keys in byte order, sorted as they are asked for.
//!
//! Keys of a store share long beginnings, so comparing them whole reads the same
//! bytes again and again from all over the file. Two things spare that. A sample
//! of the keys cuts them into ranges ([`Ranges`]), so that each range can be
//! sorted, and worked on, apart from the others. And within a range each group
//! of keys that agree so far is sorted by the next eight bytes, which are read
//! once and kept beside the key ([`SortedKeys`]); groups that still agree are
//! split further when their turn comes. The first keys are therefore ready after
//! a fraction of the work.

use std::num::NonZeroUsize;

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

/// Keys cut into ranges that follow each other.
#[derive(Debug)]
pub struct Ranges<'a> {
    ranges: Vec<Vec<Keyed<'a>>>,
}

/// How many keys a range is to have, roughly.
const RANGE: usize = 8192;
/// How many sampled keys stand for a range.
const SAMPLES: usize = 8;

impl<'a> Ranges<'a> {
    /// Reads the keys of `offsets` on `threads` threads and cuts them.
    pub fn cut(
        offsets: Vec<FileOffset>,
        threads: NonZeroUsize,
        key_at: impl Fn(FileOffset) -> Option<&'a [u8]> + Sync,
    ) -> Self {
        let count = offsets.len().div_ceil(RANGE);
        let step = offsets.len().checked_div(count.saturating_mul(SAMPLES)).unwrap_or(1);
        let mut sample: Vec<&[u8]> =
            offsets.iter().step_by(step.max(1)).filter_map(|offset| key_at(*offset)).collect();
        sample.sort_unstable();
        let bounds: Vec<&[u8]> = sample.into_iter().step_by(SAMPLES).skip(1).collect();
        let share = offsets.len().div_ceil(threads.get()).max(1);
        let mut offsets = offsets;
        let deal = |share: &mut [FileOffset]| {
            // In the order of the file, which is the order they are read fastest in.
            share.sort_unstable();
            let mut ranges: Vec<Vec<Keyed<'a>>> = vec![Vec::new(); bounds.len().saturating_add(1)];
            for offset in share.iter() {
                let Some(key) = key_at(*offset) else { continue };
                let range = bounds.partition_point(|bound| *bound <= key);
                if let Some(range) = ranges.get_mut(range) {
                    range.push((key, *offset));
                }
            }
            ranges
        };
        let mut dealt: Vec<Vec<Vec<Keyed<'a>>>> = std::thread::scope(|scope| {
            let mut shares = offsets.chunks_mut(share);
            let own = shares.next();
            let others: Vec<_> = shares.map(|share| scope.spawn(|| deal(share))).collect();
            let own = own.map(deal);
            let joined = others.into_iter().map(|other| match other.join() {
                Ok(ranges) => ranges,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            own.into_iter().chain(joined).collect()
        });
        let mut ranges = dealt.pop().unwrap_or_default();
        for other in dealt {
            for (range, more) in ranges.iter_mut().zip(other) {
                range.extend(more);
            }
        }
        Self { ranges }
    }

    /// The ranges in order; what is in each is in no order.
    pub fn into_inner(self) -> Vec<Vec<Keyed<'a>>> {
        self.ranges
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

    #[test]
    fn ranges_follow_each_other() {
        let keys: Vec<Vec<u8>> =
            (0..50_000u32).map(|n| format!("k/{}", n * 7919 % 50_000).into_bytes()).collect();
        let offsets = (0..keys.len() as u64).map(FileOffset).collect();
        for threads in [1, 3] {
            let threads = NonZeroUsize::new(threads).expect("threads");
            let ranges = Ranges::cut(Vec::clone(&offsets), threads, |at| Some(&keys[at.0 as usize]));
            let ranges = ranges.into_inner();
            assert!(ranges.len() > 3 && ranges.iter().all(|range| range.len() < 4 * RANGE));
            let mut found = Vec::new();
            for range in ranges {
                found.extend(SortedKeys::new(range).map(|(key, _)| key.to_vec()));
            }
            let mut expected = keys.clone();
            expected.sort();
            assert_eq!(found, expected);
        }
        assert_eq!(Ranges::cut(Vec::new(), NonZeroUsize::MIN, |_| None).into_inner().concat(), []);
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
