//! Every single byte of a small snapshot changed in turn, and the file cut at every
//! length. With its digest all of it is noticed. With the digest made right again, what
//! `verify` must notice follows from what the byte is for, and a rule for each says so.

#[path = "../examples/campaign/anatomy.rs"]
#[allow(dead_code, unreachable_pub)]
mod anatomy;
mod support;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::Range;

use anatomy::{Anatomy, Place};
use etcdsnap::ops::finding::Grade;
use etcdsnap::ops::verify::{self, Report};
use etcdsnap::ops::{Progress, Settings};
use etcdsnap::source::Source;
use support::store::Store;

/// What `verify` says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// Something worse than a note.
    Detected,
    /// Sound, with a note.
    Noted,
    /// Nothing.
    Unseen,
}

fn report(file: Vec<u8>) -> Report {
    let progress = Progress::default();
    let settings = Settings { threads: NonZeroUsize::MIN, ..Settings::new(&progress) };
    let source = Source::from_bytes("small.db", file);
    verify::verify(&source, &settings, &verify::Options::default()).expect("nobody writes to it")
}

fn verdict(file: Vec<u8>) -> Verdict {
    match report(file).worst() {
        None => Verdict::Unseen,
        Some(Grade::Note) => Verdict::Noted,
        Some(_) => Verdict::Detected,
    }
}

/// A store of a few pages: metas, leaves, a branch, a free page, inline buckets, a list
/// of free pages.
fn small(freelist: Option<bool>) -> Vec<u8> {
    Store { freelist, ..Store::sample(24) }.build().file
}

/// What `verify` may say of a change to one byte, with the digest made right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// It must be found.
    Detected,
    /// At least a note.
    Seen,
    /// Nobody reads it, so nothing can contradict it.
    Unseen,
    /// It may stand for something else that makes sense as well.
    Any,
}

impl Rule {
    fn allows(self, verdict: Verdict) -> bool {
        match self {
            Self::Detected => verdict == Verdict::Detected,
            Self::Seen => verdict != Verdict::Unseen,
            Self::Unseen => verdict == Verdict::Unseen,
            Self::Any => true,
        }
    }
}

/// The rules need to know a little more of a byte than what it is for.
struct Rules<'f> {
    file: &'f [u8],
    anatomy: &'f Anatomy,
    /// The messages of records under a lease.
    leased: Vec<Range<usize>>,
}

impl<'f> Rules<'f> {
    fn new(file: &'f [u8], anatomy: &'f Anatomy) -> Self {
        // All of key `k03`, and no other: the tag and the number of the lease end them.
        let starts = (0..file.len()).filter(|at| file[*at..].starts_with(b"\x0a\x03k03"));
        let end = |start: usize| (start..file.len()).find(|at| file[*at..].starts_with(&[0x30, 77]));
        let leased = starts.map(|start| start..end(start).expect("a lease") + 2).collect();
        Self { file, anatomy, leased }
    }

    /// Bytes before `at` that are for the same thing.
    fn within(&self, at: usize, place: Place) -> usize {
        (0..at).rev().take_while(|before| self.anatomy.place(*before) == Some(place)).count()
    }

    /// What stands before the bytes around `at` that are for the same thing.
    fn before(&self, at: usize, place: Place) -> Option<Place> {
        self.anatomy.place((at - self.within(at, place)).checked_sub(1)?)
    }

    fn rule(&self, at: usize, place: Place, new: u8) -> Rule {
        match place {
            // What was cut off the last element of a leaf would begin there.
            Place::Slack if self.within(at, place) == 0 && self.is_on_leaf(at) => Rule::Detected,
            Place::FreePage | Place::Slack | Place::MetaPadding | Place::Sequence => Rule::Unseen,
            // A client may store any value.
            Place::Value => Rule::Unseen,
            // Its number means nothing; with an overflow it would be no inline page.
            Place::InlinePadding => match self.before(at, place) {
                Some(Place::PageHeader) => Rule::Detected,
                _ => Rule::Unseen,
            },
            // Names, times, indexes: many numbers and texts are as good as others.
            Place::Entry => Rule::Any,
            // Every key of this store is written more than once, so another key is
            // missing or too much somewhere.
            Place::RecordKey => Rule::Detected,
            // A lease of a record that was superseded may be any; and the length of a
            // value can take in the lease that is behind it.
            Place::RecordField if self.leased.iter().any(|record| record.contains(&at)) => Rule::Any,
            Place::RecordField => Rule::Detected,
            // Up to the compact revision, 5, other changes of a transaction may be gone.
            Place::Revision => match self.within(at, place) {
                sub @ 9..=16 if self.file[at - sub..][..8] <= 5u64.to_be_bytes()[..] => Rule::Any,
                _ => Rule::Detected,
            },
            // It may be lower than the first key of its child, never higher.
            Place::Separator if new > self.file[at] => Rule::Detected,
            Place::Separator => Rule::Any,
            // A bucket of another name is one that is missing, and one that etcd does not
            // know. Both are notes.
            Place::Bucket | Place::Meta => Rule::Seen,
            // The last key of a branch may be shorter or longer: it still separates.
            Place::Element if self.is_last_size_of_branch(at) => Rule::Any,
            Place::Element | Place::Freelist | Place::PageHeader | Place::MetaHeader => Rule::Detected,
            Place::Digest => Rule::Detected,
        }
    }

    fn is_on_leaf(&self, at: usize) -> bool {
        let size = self.anatomy.page_size;
        // A page may go on behind its first one, which alone has a number.
        let is_first = |id: &usize| self.file[id * size..][..8] == (*id as u64).to_le_bytes()[..];
        let first = (0..=at / size).rev().find(is_first).expect("a page");
        self.file[first * size + 8] == 2
    }

    fn is_last_size_of_branch(&self, at: usize) -> bool {
        let (id, within) = (at / self.anatomy.page_size, at % self.anatomy.page_size);
        let branch = self.anatomy.pages.iter().find(|page| page.id == id && !page.is_leaf);
        branch.is_some_and(|page| (16 * page.count + 4..16 * page.count + 8).contains(&within))
    }
}

#[test]
fn every_bit_of_a_small_snapshot_is_judged_by_what_it_is_for() {
    let file = small(Some(false));
    let anatomy = Anatomy::of(&file).expect("as the format has it");
    let rules = Rules::new(&file, &anatomy);
    let judge = |at: usize| {
        let place = anatomy.place(at).expect("a byte");
        for bit in 0..8 {
            let mut changed = file.clone();
            changed[at] ^= 1 << bit;
            let new = changed[at];
            support::reseal(&mut changed);
            let (rule, verdict) = (rules.rule(at, place, new), verdict(changed));
            assert!(
                rule.allows(verdict),
                "bit {bit} of byte {} of page {} ({}): {rule:?} is the rule, {verdict:?} it was",
                at % anatomy.page_size,
                at / anatomy.page_size,
                place.words(),
            );
        }
    };
    let middle = anatomy.image / 2;
    std::thread::scope(|scope| {
        scope.spawn(|| (0..middle).for_each(judge));
        scope.spawn(|| (middle..anatomy.image).for_each(judge));
    });
    // Every rule was asked.
    let seen: BTreeSet<Place> = (0..file.len()).filter_map(|at| anatomy.place(at)).collect();
    assert_eq!(seen.len(), 18, "{seen:?}");
}

#[test]
fn with_its_digest_every_changed_byte_of_a_small_snapshot_is_detected() {
    let file = small(None);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0xff;
        assert_eq!(verdict(changed), Verdict::Detected, "byte {at}");
    }
}

#[test]
fn every_length_of_a_cut_snapshot_is_detected() {
    let file = small(None);
    for length in 0..file.len() {
        assert_eq!(verdict(file[..length].to_vec()), Verdict::Detected, "{length} bytes");
        // And with a digest of what is left.
        let is_whole = length >= file.len() - 32;
        let resealed = support::seal(file[..length].to_vec());
        assert!(is_whole || verdict(resealed) == Verdict::Detected, "{length} bytes and a digest");
    }
}
