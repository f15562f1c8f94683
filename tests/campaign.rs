//! The campaign of mutations (`examples/campaign`): that its mutations are what they
//! claim to be, and that it knows what each byte of a file is for. `.ci/run` runs it.

#[path = "../examples/campaign/anatomy.rs"]
#[allow(dead_code, unreachable_pub)]
mod anatomy;
#[path = "../examples/campaign/mutation.rs"]
#[allow(dead_code, unreachable_pub)]
mod mutation;
#[path = "../examples/campaign/random.rs"]
mod random;
mod support;

use std::collections::BTreeMap;

use anatomy::{Anatomy, Place};
use etcdsnap::bolt::{Bucket, Db, Fold, LeafView, Use, WalkOptions, walk};
use etcdsnap::etcd::key_value::KeyValue;
use etcdsnap::ops::{Progress, Settings, pages};
use etcdsnap::source::Source;
use mutation::{Kind, Mutant, mutant, sealed};

#[test]
fn a_mutation_follows_from_its_seed_and_number_alone() {
    let (_, file) = support::fixtures().swap_remove(0);
    let anatomy = Anatomy::of(&file).expect("sound");
    for number in 0..50 {
        let once = mutant(&file, &anatomy, 7, number);
        assert_eq!(once, mutant(&file, &anatomy, 7, number));
        assert_ne!(once.as_is, mutant(&file, &anatomy, 8, number).as_is, "case {number}");
        assert_ne!(once.as_is, mutant(&file, &anatomy, 7, number + 1).as_is, "case {number}");
    }
}

#[test]
fn every_mutation_changes_bytes_and_says_what_they_were_for() {
    for (name, file) in support::fixtures() {
        let anatomy = Anatomy::of(&file).expect("sound");
        let mut kinds: BTreeMap<Kind, u32> = BTreeMap::new();
        for number in 0..100 {
            let Mutant { kind, as_is, resealed, places } = mutant(&file, &anatomy, 1, number);
            *kinds.entry(kind).or_default() += 1;
            assert_ne!(as_is, file, "{name}, case {number}");
            let only: Option<&[Place]> = match kind {
                Kind::Counts => Some(&[Place::PageHeader]),
                Kind::Lengths => Some(&[Place::Element, Place::RecordField]),
                Kind::Numbers => Some(&[Place::RecordField]),
                _ => None,
            };
            let is_there = |place: &Place| only.is_none_or(|only| only.contains(place));
            assert!(places.iter().all(is_there), "{name}, case {number}: {kind:?} {places:?}");
            let changed = (0..file.len()).filter(|at| as_is.get(*at) != file.get(*at));
            let changed: Vec<Place> = changed.map(|at| anatomy.place(at).expect("a byte")).collect();
            let beyond_digest = changed.iter().filter(|place| **place != Place::Digest);
            assert!(beyond_digest.clone().all(|place| places.contains(place)), "{name}, case {number}");
            assert!(places.iter().all(|place| changed.contains(place)), "{name}, case {number}");
            // With the digest made right again: the same damage, and the right digest.
            let Some(resealed) = resealed else {
                assert_eq!(beyond_digest.count(), 0, "{name}, case {number}");
                continue;
            };
            let (image, _) = resealed.split_at(resealed.len() - 32);
            assert_eq!(image, &as_is[..image.len()], "{name}, case {number}");
            assert_eq!(sealed(image), resealed);
            let is_cut = kind == Kind::Truncated;
            assert_eq!(
                image.len(),
                if is_cut { as_is.len() } else { anatomy.image },
                "{name}, case {number}"
            );
        }
        assert_eq!(kinds.len(), Kind::ALL.len(), "{name}: {kinds:?}");
    }
}

#[test]
fn readers_refuse_what_verify_finds_wrong_with_records() {
    let count = std::env::var("MUTANTS").ok().and_then(|count| count.parse().ok()).unwrap_or(60);
    let mut refused = 0;
    for (_, file) in support::fixtures() {
        let anatomy = Anatomy::of(&file).expect("sound");
        for number in 0..count {
            let Some(resealed) = mutant(&file, &anatomy, 3, number).resealed else { continue };
            let report = support::ask::verify(&resealed);
            support::ask::readers(&resealed, &report);
            refused += u32::from(!report.is_sound());
        }
    }
    assert!(refused > 100, "{refused}");
}

/// Bytes of keys and values, by what they are.
struct Sizes;

#[derive(Default)]
struct Sums {
    revisions: usize,
    values: usize,
    user_keys: usize,
}

impl<'a> Fold<'a> for Sizes {
    type Part = Sums;
    type Total = Sums;

    fn total(&self) -> Sums {
        Sums::default()
    }

    fn part(&self, _: &Bucket<'a>) -> Sums {
        Sums::default()
    }

    fn leaf(&self, sums: &mut Sums, bucket: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        for element in leaf.elements {
            if bucket.name == b"key" {
                let record = KeyValue::parse(element.value()).expect("a record");
                sums.revisions += element.key().len();
                sums.values += record.value.len();
                sums.user_keys += record.key.len();
            }
        }
    }

    fn join(&self, total: &mut Sums, _: &Bucket<'a>, part: Sums) {
        total.revisions += part.revisions;
        total.values += part.values;
        total.user_keys += part.user_keys;
    }
}

#[test]
fn what_bytes_are_for_is_what_the_reader_makes_of_them() {
    for (name, file) in support::fixtures() {
        let anatomy = Anatomy::of(&file).expect("sound");
        let bytes = |wanted: Place| (0..file.len()).filter(|at| anatomy.place(*at) == Some(wanted)).count();
        let db = Db::open(&file).expect("a database");
        let options = WalkOptions { threads: std::num::NonZeroUsize::MIN, only: None, progress: None };
        let (sums, _) = walk(&db, &Sizes, &options);
        assert_eq!(bytes(Place::Revision), sums.revisions, "{name}");
        assert_eq!(bytes(Place::Value), sums.values, "{name}");
        assert_eq!(bytes(Place::RecordKey), sums.user_keys, "{name}");
        assert_eq!(bytes(Place::Digest), 32, "{name}");
        let source = Source::from_bytes("fixture.db", file.clone());
        let progress = Progress::default();
        let survey = pages::survey(&source, &Settings::new(&progress)).expect("a database");
        let runs: Vec<_> = survey.census.runs().collect();
        let pages = |wanted: Use| runs.iter().filter(move |run| run.kind == wanted);
        let free: u64 = pages(Use::Free).map(|run| run.pages).sum();
        assert_eq!(bytes(Place::FreePage), usize::try_from(free).expect("few") * anatomy.page_size, "{name}");
        let leaves = pages(Use::Leaf).count();
        assert_eq!(anatomy.pages.iter().filter(|page| page.is_leaf).count(), leaves, "{name}");
        assert_eq!(anatomy.pages.len() - leaves, pages(Use::Branch).count(), "{name}");
    }
}
