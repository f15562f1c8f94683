use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::super::{Db, WalkOptions, leaves_forward, small_buckets, top_level_buckets, walk};
use super::*;

type Buckets = BTreeMap<Vec<u8>, (u64, BTreeMap<Vec<u8>, Vec<u8>>)>;

fn fill<W: Write>(builder: &mut Builder<W>, buckets: &Buckets) -> Result<(), BuildError> {
    for (name, (sequence, entries)) in buckets {
        builder.bucket(name, *sequence)?;
        for (key, value) in entries {
            builder.entry(key, value)?;
        }
    }
    Ok(())
}

fn build(page_size: u32, buckets: &Buckets) -> Vec<u8> {
    let mut measuring = Builder::measure(PageSize::new(page_size).expect("a page size"));
    fill(&mut measuring, buckets).expect("measured");
    let layout = measuring.layout().expect("a layout");
    let mut file = Vec::new();
    let mut writing = Builder::write(layout, Metas::Stream(TxId(7)), &mut file).expect("metas");
    fill(&mut writing, buckets).expect("written");
    writing.finish().expect("finished");
    assert_eq!(file.len() as u64, layout.size());
    file
}

/// That the file is sound, has no page that nothing uses, and holds `buckets`.
fn assert_holds(file: &[u8], buckets: &Buckets) {
    let db = Db::open(file).expect("a database");
    assert!(db.is_snapshot_stream());
    let options = WalkOptions { threads: NonZeroUsize::MIN, only: None, progress: None };
    let ((), report) = walk(&db, &(), &options);
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert_eq!(report.pages.free, 0);
    let found = top_level_buckets(&db).expect("buckets");
    let sequences: Vec<_> = found.iter().map(|bucket| (bucket.name.to_vec(), bucket.sequence)).collect();
    let expected: Vec<_> = buckets.iter().map(|(name, (sequence, _))| (name.clone(), *sequence)).collect();
    assert_eq!(sequences, expected);
    for (counts, (_, entries)) in report.buckets.iter().zip(buckets.values()) {
        let size: usize = 16 + entries.iter().map(|(key, value)| 16 + key.len() + value.len()).sum::<usize>();
        assert_eq!(counts.inline, size as u64 <= db.meta.page_size.bytes() / 4, "{size} bytes");
    }
    let names: Vec<&[u8]> = buckets.keys().map(Vec::as_slice).collect();
    let (mut walked, _) = small_buckets(&db, &names);
    for (name, (_, entries)) in buckets {
        let walked = walked.remove(name.as_slice()).unwrap_or_default();
        let leaves = leaves_forward(&db, name).map(|leaf| leaf.expect("a sound leaf"));
        let forward: Vec<_> = leaves.flatten().collect();
        for elements in [&walked, &forward] {
            assert_eq!(elements.len(), entries.len());
            for (element, (key, value)) in elements.iter().zip(entries) {
                assert_eq!((element.key(), element.value()), (key.as_slice(), value.as_slice()));
            }
        }
    }
}

fn one_bucket(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Buckets {
    Buckets::from([(b"key".to_vec(), (0, entries.into_iter().collect()))])
}

#[test]
fn a_database_without_buckets_is_one_empty_leaf() {
    let file = build(4096, &Buckets::new());
    assert_eq!(file.len(), 3 * 4096);
    assert_holds(&file, &Buckets::new());
}

#[test]
fn trees_of_every_height_hold_what_was_put_in() {
    // A page of 1024 bytes holds some fifty children; 3000 leaves make three levels.
    for count in [0, 1, 2, 9, 10, 60, 500, 1500, 30_000] {
        let entry = |number: u32| (number.to_be_bytes().to_vec(), vec![b'v'; 80]);
        let buckets = one_bucket((0..count).map(entry));
        assert_holds(&build(1024, &buckets), &buckets);
    }
}

#[test]
fn long_keys_and_values_get_overflow_pages() {
    let entries = (0u8..40).map(|number| {
        let length = usize::from(number) * 900;
        (vec![number + 1; 1 + length.min(32_000)], vec![number; 40_000 - length])
    });
    let buckets = one_bucket(entries);
    assert_holds(&build(1024, &buckets), &buckets);
    assert_holds(&build(65_536, &buckets), &buckets);
}

#[test]
fn more_buckets_than_a_root_page_holds_make_a_tree_of_them() {
    let bucket =
        |number: u16| (number.to_be_bytes().to_vec(), (3, BTreeMap::from([(vec![1], vec![2; 100])])));
    let buckets: Buckets = (0..500).map(bucket).collect();
    assert_holds(&build(1024, &buckets), &buckets);
}

#[test]
fn branches_have_at_least_two_children() {
    for count in 1..400 {
        let entry = |number: u32| (number.to_be_bytes().to_vec(), vec![0; 700]);
        let buckets = one_bucket((0..count).map(entry));
        let file = build(1024, &buckets);
        for page in file.chunks(1024).skip(2) {
            let (flags, elements) = (page[8], u16::from_le_bytes([page[10], page[11]]));
            assert!(flags != 1 || elements >= 2, "{count} entries: a branch of {elements}");
        }
    }
}

#[test]
fn what_is_out_of_order_is_refused() {
    let page_size = PageSize::new(4096).expect("a page size");
    let mut builder = Builder::measure(page_size);
    assert!(matches!(builder.entry(b"k", b""), Err(BuildError::NoBucket)));
    builder.bucket(b"b", 0).expect("a bucket");
    builder.entry(b"k2", b"").expect("an entry");
    for key in [&b"k1"[..], b"k2"] {
        assert!(matches!(builder.entry(key, b""), Err(BuildError::Order { .. })));
    }
    builder.bucket(b"a", 0).expect("begun");
    assert!(matches!(builder.layout(), Err(BuildError::Order { .. })));
    let mut builder = Builder::measure(page_size);
    builder.bucket(b"b", 0).expect("a bucket");
    assert!(matches!(builder.entry(b"", b""), Err(BuildError::TooLarge)));
    assert!(matches!(builder.entry(&[0; 32_769], b""), Err(BuildError::TooLarge)));
}

#[test]
fn entries_that_change_between_the_passes_are_noticed() {
    let few = one_bucket((0u32..100).map(|number| (number.to_be_bytes().to_vec(), vec![0; 100])));
    let many = one_bucket((0u32..200).map(|number| (number.to_be_bytes().to_vec(), vec![0; 100])));
    for (first, second) in [(&few, &many), (&many, &few)] {
        let mut measuring = Builder::measure(PageSize::new(4096).expect("a page size"));
        fill(&mut measuring, first).expect("measured");
        let layout = measuring.layout().expect("a layout");
        let mut writing = Builder::write(layout, Metas::Stream(TxId(1)), Vec::new()).expect("metas");
        let written = fill(&mut writing, second).and_then(|()| writing.finish());
        assert!(matches!(written, Err(BuildError::Changed)), "{written:?}");
    }
}

#[test]
fn metas_are_those_of_a_stream_or_of_commits() {
    let page_size = PageSize::new(4096).expect("a page size");
    let layout = Builder::measure(page_size).layout().expect("a layout");
    let txids = |metas| {
        let mut file = Vec::new();
        Builder::write(layout, metas, &mut file).and_then(Builder::finish).expect("written");
        let db = Db::open(&file).expect("a database");
        (db.metas.map(|meta| meta.expect("a meta").txid.0), db.is_snapshot_stream())
    };
    assert_eq!(txids(Metas::Stream(TxId(8))), ([8, 7], true));
    assert_eq!(txids(Metas::Stream(TxId(0))), ([1, 0], true));
    assert_eq!(txids(Metas::Committed(TxId(8))), ([8, 9], false));
    assert_eq!(txids(Metas::Committed(TxId(9))), ([8, 9], false));
}

fn bytes(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 1..20),
        1 => proptest::collection::vec(any::<u8>(), 1..longest),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whatever_goes_in_is_there(
        buckets in proptest::collection::btree_map(
            bytes(300),
            (any::<u64>(), proptest::collection::btree_map(bytes(3000), bytes(9000), 0..120)),
            0..12,
        ),
        shift in 10u32..15,
    ) {
        assert_holds(&build(1 << shift, &buckets), &buckets);
    }
}
