//! Damage by name: what was done to a sound file, and all that `verify` says of
//! it. Each case also asks every other question of the file, with several
//! numbers of threads, and tries to restore it: see `support/ask.rs`.
//!
//! The file that most cases damage has 1 KiB pages:
//!
//! ```text
//! root 18 ─▶ key ─▶ branch 16 ─▶ branch 13 ─▶ leaves 2 to 5
//!        │                  ├──▶ branch 14 ─▶ leaves 6 to 9
//!        └─▶ inline buckets └──▶ branch 15 ─▶ leaves 10 to 12       17 is free, 18 goes on in 19
//! ```
//!
//! Bucket `key` has the revisions 2 to 61, six to a leaf, and is compacted at 5.

mod support;

use etcdsnap::etcd::snapshot::Snapshot;
use etcdsnap::ops::verify::Latest;
use etcdsnap::ops::{Lost, OpError, Progress, Settings, hashkv, keys, list, lookup, member_list, status};
use support::store::{self, Built, Put, Store, deletion, leased, member, message, put, revision};
use support::{Entry, MetaFields, NO_FREELIST, Pages, ask, bucket, entry, inline_bucket, tree_bucket};

const FIRST_LEAF: u64 = 2;
const LEAF: u64 = 6;
const NEXT_LEAF: u64 = 7;
const BRANCH: u64 = 14;
const NEXT_BRANCH: u64 = 15;
const KEY_ROOT: u64 = 16;
const STALE: u64 = 17;
const ROOT: u64 = 18;
const HIGH_WATER_MARK: u64 = 20;

/// Asserts that `verify` finds exactly this, and what follows from it.
fn expect(file: &[u8], lines: &[&str]) {
    let report = ask::everything(file);
    assert_eq!(ask::lines(&report), lines, "{:#?}", report.findings);
    assert_eq!(report.is_sound(), lines.iter().all(|line| line.starts_with("note ")));
}

/// Cases that change the bytes of a file; the digest is made right again, so
/// that all that speaks is the damage itself.
macro_rules! bytes {
    ($($name:ident $store:expr, |$built:ident| $change:block => [$($line:literal),* $(,)?];)*) => {$(
        #[test]
        fn $name() {
            let mut $built: Built = $store.build();
            $change
            support::reseal(&mut $built.file);
            expect(&$built.file, &[$($line),*]);
        }
    )*};
}

/// Cases that change what is written into the file.
macro_rules! content {
    ($($name:ident |$store:ident| $change:block => [$($line:literal),* $(,)?];)*) => {$(
        #[test]
        fn $name() {
            let mut $store = sample();
            $change
            expect(&$store.build().file, &[$($line),*]);
        }
    )*};
}

/// Cases that change the file as it is, digest and all.
macro_rules! whole_file {
    ($($name:ident |$built:ident| $change:block => [$($line:literal),* $(,)?];)*) => {$(
        #[test]
        fn $name() {
            let mut $built: Built = sample().build();
            $change
            expect(&$built.file, &[$($line),*]);
        }
    )*};
}

fn sample() -> Store {
    Store::sample(60)
}

fn with_freelist(long: bool) -> Store {
    Store { freelist: Some(long), ..sample() }
}

fn inline() -> Store {
    Store { key_inline: true, ..Store::sample(5) }
}

/// A store of one bucket `key` that is a single leaf.
fn one_leaf() -> Store {
    Store { leaf_bytes: 4096, ..Store::sample(8) }
}

impl Built {
    fn child(&mut self, branch: u64, index: usize, child: u64) {
        let at = self.element(branch, index);
        self.set(at + 8, &child.to_le_bytes());
    }

    fn count(&mut self, page: u64, count: u16) {
        let at = self.at(page, 10);
        self.set(at, &count.to_le_bytes());
    }

    fn overflow(&mut self, page: u64, overflow: u32) {
        let at = self.at(page, 12);
        self.set(at, &overflow.to_le_bytes());
    }

    fn flags(&mut self, page: u64, flags: u16) {
        let at = self.at(page, 8);
        self.set(at, &flags.to_le_bytes());
    }

    fn add(&mut self, at: usize, more: u32) {
        let sum = self.word(at).wrapping_add(more);
        self.set(at, &sum.to_le_bytes());
    }

    fn meta(&self) -> MetaFields {
        MetaFields {
            page_size: 1024,
            root: ROOT,
            freelist: NO_FREELIST,
            high_water_mark: HIGH_WATER_MARK,
            txid: 8,
        }
    }

    fn metas(&mut self, meta: MetaFields) {
        support::set_meta(&mut self.file, 1024, 0, meta);
        support::set_meta(&mut self.file, 1024, 1, MetaFields { txid: meta.txid - 1, ..meta });
    }
}

#[test]
fn what_is_built_here_is_sound() {
    for store in [sample(), with_freelist(false), with_freelist(true), inline(), one_leaf()] {
        expect(&store.build().file, &[]);
    }
    let built = sample().build();
    assert_eq!(built.levels, [(2..=12).collect(), vec![13, 14, 15], vec![KEY_ROOT]]);
    assert_eq!((built.stale, built.root), (STALE, ROOT));
}

whole_file! {
    a_wrong_digest |b| {
        *b.file.last_mut().expect("bytes") ^= 1;
    } => ["data-lost digest/digest-differs"];
    a_flipped_bit_in_a_value |b| {
        let at = b.data(LEAF, 2) + 40;
        b.file[at] ^= 0x20;
    } => ["data-lost digest/digest-differs"];
    a_missing_digest |b| {
        b.file.truncate(b.file.len() - 32);
    } => ["suspicious digest/digest-lost"];
    a_digest_cut_short |b| {
        b.file.truncate(b.file.len() - 10);
    } => ["suspicious digest/digest-cut"];
    a_digest_with_bytes_behind_it |b| {
        b.file.extend([0; 5]);
    } => ["suspicious digest/digest-cut"];
    a_digest_that_a_tool_left_stale |b| {
        let meta = MetaFields { txid: 9, ..b.meta() };
        support::set_meta(&mut b.file, 1024, 1, meta);
    } => ["suspicious digest/digest-stale"];
    a_digest_half_a_page_too_late |b| {
        let end = b.file.len() - 32;
        b.file.splice(end..end, [0; 512]);
    } => [
        "data-lost digest/digest-differs",
        "suspicious file/length",
    ];
    a_copy_of_a_member_with_room_behind_its_pages |b| {
        b.file.truncate(b.file.len() - 32);
        b.file.extend([0; 4096]);
        let meta = MetaFields { txid: 9, ..b.meta() };
        support::set_meta(&mut b.file, 1024, 1, meta);
    } => ["note digest/digest-absent"];
    a_file_without_its_last_page |b| {
        b.file.truncate(18 * 1024);
    } => [
        "data-lost file/truncated",
        "data-lost tree/page-beyond-file page 18",
    ];
    a_file_cut_inside_a_page |b| {
        b.file.truncate(10 * 1024 + 100);
    } => [
        "data-lost file/truncated",
        "data-lost tree/page-beyond-file page 18",
    ];
    a_file_of_metas_alone |b| {
        b.file.truncate(2048);
    } => [
        "data-lost file/truncated",
        "data-lost tree/page-beyond-file page 18",
    ];
    a_file_of_one_meta |b| {
        b.file.truncate(1024);
    } => [
        "data-lost file/truncated",
        "data-lost tree/page-beyond-file page 18",
        "note metas/meta-unusable page 1",
    ];
    a_file_of_a_few_bytes |b| {
        b.file.truncate(40);
    } => ["fatal file/file-too-short"];
    an_empty_file |b| {
        b.file.clear();
    } => ["fatal file/empty-file"];
    a_compressed_file |b| {
        b.file.splice(..3, *b"\x1f\x8b\x08");
        b.file[16] = 0;
        b.file[1024 + 16] = 0;
    } => ["fatal file/not-a-database"];
}

bytes! {
    a_bad_checksum_of_meta_0 sample(), |b| {
        b.file[72] ^= 1;
    } => ["note metas/meta-unusable page 0"];
    a_bad_magic_of_meta_0 sample(), |b| {
        b.file[16] ^= 1;
    } => ["note metas/meta-unusable page 0"];
    a_bad_meta_1 sample(), |b| {
        b.file[1024 + 40] ^= 1;
    } => ["note metas/meta-unusable page 1"];
    a_meta_page_with_another_number sample(), |b| {
        b.file[0] = 7;
    } => ["suspicious metas/meta-header page 0"];
    a_meta_page_of_another_kind sample(), |b| {
        b.file[1024 + 8] = 2;
    } => ["suspicious metas/meta-header page 1"];
    a_meta_that_cannot_be_under_a_right_checksum sample(), |b| {
        let meta = MetaFields { freelist: 1 << 40, ..b.meta() };
        support::set_meta(&mut b.file, 1024, 0, meta);
    } => ["suspicious metas/meta-impossible page 0"];
    two_bad_metas sample(), |b| {
        b.file[72] ^= 1;
        b.file[1024 + 72] ^= 1;
    } => ["fatal file/both-metas-unusable"];
    another_format_version sample(), |b| {
        for at in [20, 1044] { b.file[at] = 3; }
    } => ["fatal file/both-metas-unusable"];
    a_big_endian_file sample(), |b| {
        for at in [16, 1040] { b.file[at..at + 4].reverse(); }
    } => ["fatal file/big-endian"];
    a_page_size_that_is_no_power_of_two sample(), |b| {
        let meta = MetaFields { page_size: 1000, ..b.meta() };
        b.metas(meta);
    } => ["fatal file/both-metas-unusable"];
    a_page_size_of_zero sample(), |b| {
        let meta = MetaFields { page_size: 0, ..b.meta() };
        b.metas(meta);
    } => ["fatal file/both-metas-unusable"];
    a_page_size_twice_the_real_one sample(), |b| {
        let meta = MetaFields { page_size: 2048, ..b.meta() };
        b.metas(meta);
    } => [
        "data-lost file/truncated",
        "data-lost tree/page-beyond-file page 18",
        "suspicious metas/meta-header page 1",
        "note metas/meta-unusable page 1",
    ];
    a_root_at_the_high_water_mark sample(), |b| {
        let meta = MetaFields { root: HIGH_WATER_MARK, ..b.meta() };
        b.metas(meta);
    } => ["fatal file/both-metas-unusable"];
    a_root_that_is_a_meta sample(), |b| {
        let meta = MetaFields { root: 1, ..b.meta() };
        b.metas(meta);
    } => ["fatal file/both-metas-unusable"];
    a_root_of_another_tree sample(), |b| {
        let meta = MetaFields { root: KEY_ROOT, ..b.meta() };
        b.metas(meta);
    } => [
        "data-lost tree/not-a-bucket x60 page 2, element 0",
    ];
    a_high_water_mark_far_beyond_the_file sample(), |b| {
        let meta = MetaFields { high_water_mark: 1 << 50, ..b.meta() };
        b.metas(meta);
    } => ["data-lost file/truncated"];
    a_high_water_mark_beyond_all_numbers sample(), |b| {
        let meta = MetaFields { high_water_mark: u64::MAX, ..b.meta() };
        b.metas(meta);
    } => ["fatal file/both-metas-unusable"];
    a_high_water_mark_below_pages_in_use sample(), |b| {
        let meta = MetaFields { high_water_mark: 12, root: 11, ..b.meta() };
        b.metas(meta);
    } => [
        "data-lost tree/not-a-bucket x6 page 11, element 0",
        "suspicious file/length",
    ];

    a_leaf_with_another_pages_number sample(), |b| {
        let at = b.at(LEAF, 0);
        b.set(at, &99u64.to_le_bytes());
    } => [
        "data-lost tree/page-id page 6",
        "data-lost history/revision-gap page 7",
    ];
    a_branch_with_another_pages_number sample(), |b| {
        let at = b.at(BRANCH, 0);
        b.set(at, &99u64.to_le_bytes());
    } => [
        "data-lost tree/page-id page 14",
        "data-lost history/revision-gap page 10",
    ];
    a_root_with_another_pages_number sample(), |b| {
        let at = b.at(ROOT, 0);
        b.set(at, &99u64.to_le_bytes());
    } => [
        "data-lost tree/page-id page 18",
    ];
    a_leaf_that_calls_itself_a_freelist sample(), |b| {
        b.flags(LEAF, 0x10);
    } => [
        "data-lost tree/page-type page 6",
        "data-lost history/revision-gap page 7",
    ];
    a_leaf_that_calls_itself_a_meta sample(), |b| {
        b.flags(LEAF, 0x04);
    } => [
        "data-lost tree/page-type page 6",
        "data-lost history/revision-gap page 7",
    ];
    a_leaf_of_two_kinds_at_once sample(), |b| {
        b.flags(LEAF, 0x03);
    } => [
        "data-lost tree/page-type page 6",
        "data-lost history/revision-gap page 7",
    ];
    a_leaf_that_calls_itself_a_branch sample(), |b| {
        b.flags(LEAF, 0x01);
    } => [
        "data-lost tree/element-outside-page x6 page 6, element 0",
        "data-lost history/revision-gap page 7",
    ];
    a_branch_that_calls_itself_a_leaf sample(), |b| {
        b.flags(BRANCH, 0x02);
    } => [
        "data-lost tree/bucket-header page 14, element 3",
        "data-lost tree/element-outside-page x3 page 14, element 0",
        "data-lost tree/key-above-parent page 14, element 3",
        "data-lost history/record-unreadable page 14",
        "data-lost history/revision-gap page 10",
        "suspicious tree/element-flags page 14, element 3",
        "suspicious tree/uneven-depth page 14",
    ];
    a_zeroed_page sample(), |b| {
        let at = b.at(LEAF, 0);
        b.set(at, &[0; 1024]);
    } => [
        "data-lost tree/page-id page 6",
        "data-lost history/revision-gap page 7",
    ];
    two_pages_that_changed_places sample(), |b| {
        let (one, two) = (b.at(LEAF, 0), b.at(NEXT_LEAF, 0));
        let page = b.file[one..one + 1024].to_vec();
        b.file.copy_within(two..two + 1024, one);
        b.set(two, &page);
    } => [
        "data-lost tree/page-id x2 page 6",
        "data-lost history/revision-gap page 8",
    ];

    a_branch_without_children sample(), |b| {
        b.count(BRANCH, 0);
    } => [
        "data-lost tree/empty-branch page 14",
        "data-lost history/revision-gap page 10",
    ];
    a_branch_that_lost_its_last_child sample(), |b| {
        b.count(BRANCH, 3);
    } => [
        "data-lost history/revision-gap page 10",
        "suspicious tree/elements-apart page 14, element 0",
    ];
    a_leaf_without_keys sample(), |b| {
        b.count(LEAF, 0);
    } => [
        "data-lost tree/elements-hidden page 6",
        "data-lost history/revision-gap page 7",
        "suspicious tree/empty-leaf page 6",
    ];
    a_leaf_that_lost_its_last_key sample(), |b| {
        b.count(LEAF, 4);
    } => [
        "data-lost history/revision-gap page 7",
        "suspicious tree/elements-apart page 6, element 0",
    ];
    the_last_leaf_without_its_last_key sample(), |b| {
        // The newest revision is gone, and nothing in the history contradicts that.
        let last = *b.leaves().last().expect("leaves");
        let at = b.at(last, 10);
        let count = b.word(at) as u16 - 1;
        b.count(last, count);
    } => ["suspicious tree/elements-apart page 12, element 0"];
    the_last_entry_of_a_page_without_its_value sample(), |b| {
        // What is left is a whole message: key, both revisions, the version.
        let last = *b.leaves().last().expect("leaves");
        let index = usize::from(b.file[b.at(last, 10)]) - 1;
        let (element, message) = (b.element(last, index), b.data(last, index) + 17);
        let size = b.file[message..].iter().position(|byte| *byte == 0x2a).expect("a value");
        b.set(element + 12, &u32::try_from(size).expect("short").to_le_bytes());
    } => ["suspicious tree/data-behind page 12"];
    the_last_branch_without_its_last_child sample(), |b| {
        b.count(NEXT_BRANCH, 2);
    } => ["suspicious tree/elements-apart page 15, element 0"];
    a_small_bucket_without_its_last_entry sample(), |b| {
        let page = b.bucket("members") + 16;
        b.set(page + 10, &2u16.to_le_bytes());
    } => [
        "suspicious tree/elements-apart page 18, element 0",
        "note membership/voter-without-member",
    ];
    a_small_bucket_without_its_only_entry sample(), |b| {
        let page = b.bucket("cluster") + 16;
        b.set(page + 10, &0u16.to_le_bytes());
    } => ["data-lost tree/elements-hidden page 18", "suspicious tree/inline-slack page 18"];
    more_elements_than_a_page_has_room_for sample(), |b| {
        b.count(LEAF, 0xFFFF);
    } => [
        "data-lost tree/element-table-too-long page 6",
        "data-lost history/revision-gap page 7",
    ];
    more_children_than_a_page_has_room_for sample(), |b| {
        b.count(BRANCH, 0xFFFF);
    } => [
        "data-lost tree/element-table-too-long page 14",
        "data-lost history/revision-gap page 10",
    ];
    a_child_far_out_of_range sample(), |b| {
        b.child(BRANCH, 1, u64::MAX);
    } => [
        "data-lost tree/reference-out-of-range page 18446744073709551615",
        "data-lost history/revision-gap page 8",
    ];
    a_child_at_the_high_water_mark sample(), |b| {
        b.child(BRANCH, 1, HIGH_WATER_MARK);
    } => [
        "data-lost tree/reference-out-of-range page 20",
        "data-lost history/revision-gap page 8",
    ];
    a_child_that_is_a_meta sample(), |b| {
        b.child(BRANCH, 1, 0);
    } => [
        "data-lost tree/reference-out-of-range page 0",
        "data-lost history/revision-gap page 8",
    ];
    a_child_that_is_its_own_parent sample(), |b| {
        b.child(BRANCH, 1, BRANCH);
    } => [
        "data-lost tree/multiple-references page 14",
        "data-lost history/revision-gap page 8",
    ];
    a_child_that_is_its_parents_parent sample(), |b| {
        b.child(BRANCH, 1, KEY_ROOT);
    } => [
        "data-lost tree/multiple-references page 16",
        "data-lost history/revision-gap page 8",
    ];
    a_child_that_is_its_sibling sample(), |b| {
        b.child(BRANCH, 1, LEAF);
    } => [
        "data-lost tree/multiple-references page 6",
        "data-lost history/revision-gap page 8",
    ];
    a_child_of_two_branches sample(), |b| {
        b.child(BRANCH, 1, 10);
    } => [
        "data-lost tree/key-above-parent x6 page 10, element 0",
        "data-lost tree/multiple-references page 10",
        "data-lost history/revision-gap page 8",
    ];
    a_child_that_is_the_root_of_all sample(), |b| {
        b.child(BRANCH, 1, ROOT);
    } => [
        "data-lost tree/multiple-references page 18",
        "data-lost history/revision-gap page 8",
    ];
    a_child_that_is_a_free_page sample(), |b| {
        b.child(BRANCH, 1, STALE);
    } => [
        "data-lost tree/key-above-parent page 17, element 0",
        "data-lost history/record-unreadable page 17",
        "data-lost history/revision-gap page 8",
    ];
    a_cycle_over_several_pages sample(), |b| {
        b.child(BRANCH, 0, NEXT_BRANCH);
        b.child(NEXT_BRANCH, 0, 13);
        b.child(13, 0, BRANCH);
    } => [
        "data-lost tree/key-above-parent x15 page 9, element 0",
        "data-lost tree/multiple-references x3 page 13",
        // Of the three leaves to which nothing leads: the keys that were there before the
        // compact revision, and all that is above it.
        "data-lost history/nothing-to-update x4 page 3",
        "data-lost history/revision-gap x3 page 3",
        "suspicious tree/uneven-depth x6 page 3",
    ];
    a_leaf_among_branches sample(), |b| {
        b.child(KEY_ROOT, 0, FIRST_LEAF);
    } => [        "data-lost history/revision-gap page 6",
        "suspicious tree/uneven-depth x7 page 6",
    ];
    a_leaf_among_branches_behind_the_first sample(), |b| {
        b.child(KEY_ROOT, 1, LEAF);
    } => [        "data-lost history/revision-gap page 10",
        "suspicious tree/uneven-depth page 6",
    ];
    a_branch_among_leaves sample(), |b| {
        b.child(BRANCH, 1, NEXT_BRANCH);
    } => [
        "data-lost tree/key-above-parent x6 page 12, element 0",
        "data-lost tree/multiple-references page 15",
        // Of page 7, to which nothing leads: what stands in another place is not missing.
        "data-lost history/revision-gap page 8",
        "suspicious tree/uneven-depth x3 page 10",
    ];
    a_bucket_whose_root_is_another_buckets_page sample(), |b| {
        let at = b.bucket("members");
        b.set(at, &LEAF.to_le_bytes());
    } => [
        "data-lost tree/multiple-references page 6",
        "suspicious schema/entry x6 page 6",
        "note membership/voter-without-member x3",
    ];
    a_bucket_whose_root_is_out_of_range sample(), |b| {
        let at = b.bucket("key");
        b.set(at, &HIGH_WATER_MARK.to_le_bytes());
    } => ["data-lost tree/reference-out-of-range page 20"];
    a_bucket_whose_root_is_the_root sample(), |b| {
        let at = b.bucket("key");
        b.set(at, &ROOT.to_le_bytes());
    } => ["data-lost tree/multiple-references page 18"];

    an_overflow_into_a_sibling sample(), |b| {
        b.overflow(LEAF, 1);
    } => ["data-lost tree/multiple-references page 6"];
    an_overflow_over_all_pages_behind sample(), |b| {
        b.overflow(FIRST_LEAF, 16);
    } => ["data-lost tree/multiple-references page 2"];
    an_overflow_up_to_the_high_water_mark sample(), |b| {
        b.overflow(12, 7);
    } => ["data-lost tree/multiple-references page 12"];
    an_overflow_of_four_billion_pages sample(), |b| {
        b.overflow(LEAF, u32::MAX);
    } => [
        "data-lost tree/overflow-out-of-range page 6",
        "data-lost history/revision-gap page 7",
    ];
    a_branch_that_overflows_into_the_next sample(), |b| {
        b.overflow(BRANCH, 1);
    } => ["data-lost tree/multiple-references page 15"];

    a_value_that_ends_behind_its_page sample(), |b| {
        let at = b.element(LEAF, 2);
        b.add(at + 12, 2000);
    } => [
        "data-lost tree/element-outside-page page 6, element 2",
        "data-lost history/revision-gap page 6",
    ];
    a_value_that_takes_what_others_have sample(), |b| {
        let at = b.element(LEAF, 2);
        // To the last byte of its page.
        let (key, data) = (b.word(at + 8) as usize, b.data(LEAF, 2));
        let rest = b.at(LEAF, 0) + b.page_size - data - key;
        b.set(at + 12, &u32::try_from(rest).expect("small").to_le_bytes());
    } => [
        "data-lost tree/elements-too-large page 6, element 2",
        "data-lost history/revision-gap page 6",
    ];
    a_key_in_the_element_table sample(), |b| {
        let at = b.element(LEAF, 2);
        b.set(at + 4, &8u32.to_le_bytes());
    } => [
        "data-lost tree/element-outside-page page 6, element 2",
        "data-lost history/revision-gap page 6",
    ];
    a_position_beyond_all_numbers sample(), |b| {
        let at = b.element(LEAF, 2);
        b.set(at + 4, &[0xFF; 12]);
    } => [
        "data-lost tree/element-outside-page page 6, element 2",
        "data-lost history/revision-gap page 6",
    ];
    a_key_of_no_bytes sample(), |b| {
        let at = b.element(LEAF, 2);
        b.set(at + 8, &[0; 4]);
    } => [
        "data-lost tree/key-size page 6, element 2",
        "data-lost history/revision-gap page 6",
    ];
    a_separator_of_no_bytes sample(), |b| {
        let at = b.element(BRANCH, 2);
        b.set(at + 4, &[0; 4]);
    } => [
        "data-lost tree/key-size page 14, element 2",
        "data-lost history/revision-gap page 9",
    ];
    a_separator_that_takes_what_others_have sample(), |b| {
        let at = b.element(BRANCH, 1);
        // To the last byte of its page.
        let rest = b.at(BRANCH, 0) + b.page_size - at - b.word(at) as usize;
        b.set(at + 4, &u32::try_from(rest).expect("small").to_le_bytes());
    } => [
        "data-lost tree/elements-too-large page 14, element 1",
        "data-lost history/revision-gap page 8",
    ];
    a_separator_outside_its_page sample(), |b| {
        let at = b.element(BRANCH, 2);
        b.add(at, 5000);
    } => [
        "data-lost tree/element-outside-page page 14, element 2",
        "data-lost history/revision-gap page 9",
    ];
    two_elements_with_the_same_data sample(), |b| {
        let at = b.element(LEAF, 2);
        let same = b.word(at + 4) + 16;
        b.set(b.element(LEAF, 1) + 4, &same.to_le_bytes());
    } => [
        "data-lost tree/key-order page 6, element 2",
        "data-lost history/revision-gap page 6",
        "suspicious tree/elements-overlap page 6, element 2",
        "suspicious history/revision-repeated page 6",
        // The same version twice; what another key misses lies in the gap.
        "suspicious history/version-step page 6",
    ];
    element_flags_that_mean_nothing sample(), |b| {
        let at = b.element(LEAF, 2);
        b.set(at, &6u32.to_le_bytes());
    } => ["suspicious tree/element-flags page 6, element 2"];
    a_record_that_calls_itself_a_bucket sample(), |b| {
        let at = b.element(LEAF, 2);
        b.set(at, &1u32.to_le_bytes());
    } => [
        "data-lost tree/reference-out-of-range page 1731370410968810250",
        "data-lost history/record-unreadable page 6",
        "data-lost history/revision-gap page 6",
    ];
    keys_out_of_order sample(), |b| {
        let (one, two) = (b.data(LEAF, 1), b.data(LEAF, 2));
        let key = b.file[one..one + 17].to_vec();
        b.file.copy_within(two..two + 17, one);
        b.set(two, &key);
    } => [
        "data-lost tree/key-order page 6, element 2",
        "suspicious history/mod-revision x2 page 6",
    ];
    two_equal_keys sample(), |b| {
        let (one, two) = (b.data(LEAF, 1), b.data(LEAF, 2));
        b.file.copy_within(one..one + 17, two);
    } => [
        "data-lost tree/key-order page 6, element 2",
        "suspicious history/mod-revision page 6",
        "suspicious history/revision-repeated page 6",
    ];
    a_key_below_its_separator sample(), |b| {
        let at = b.data(LEAF, 0);
        b.set(at, &3i64.to_be_bytes());
    } => [
        "data-lost tree/key-below-parent page 6, element 0",
        "suspicious history/create-revision page 6",
        "suspicious history/mod-revision page 6",
    ];
    a_key_above_the_next_separator sample(), |b| {
        let at = b.data(LEAF, 3);
        b.set(at, &900i64.to_be_bytes());
    } => [
        "data-lost tree/key-above-parent page 6, element 3",
        "data-lost tree/key-order page 6, element 4",
        "suspicious history/mod-revision page 6",
    ];
    a_separator_above_its_childs_keys sample(), |b| {
        let element = b.element(BRANCH, 1);
        let at = element + b.word(element) as usize;
        b.set(at + 16, &[9]);
    } => ["data-lost tree/key-below-parent page 7, element 0"];
    separators_out_of_order sample(), |b| {
        let element = b.element(BRANCH, 1);
        let at = element + b.word(element) as usize;
        b.set(at, &900i64.to_be_bytes());
    } => [
        "data-lost tree/key-above-parent page 14, element 1",
        "data-lost tree/key-below-parent x5 page 7, element 0",
        "data-lost tree/key-order page 14, element 2",
    ];

    an_inline_bucket_of_another_kind sample(), |b| {
        let at = b.bucket("meta");
        b.set(at + 24, &[1]);
    } => ["data-lost tree/inline-bucket page 18"];
    an_inline_bucket_with_overflow sample(), |b| {
        let at = b.bucket("members");
        b.set(at + 28, &[1]);
    } => [
        "data-lost tree/inline-bucket page 18",
        "note membership/voter-without-member x3",
    ];
    an_inline_bucket_with_too_many_elements sample(), |b| {
        let at = b.bucket("lease");
        b.set(at + 26, &[0xFF, 0xFF]);
    } => ["data-lost tree/element-table-too-long page 18"];
    an_inline_bucket_whose_element_is_outside sample(), |b| {
        let at = b.bucket("meta");
        b.set(at + 32 + 4, &[0xFF, 0xFF]);
    } => ["data-lost tree/element-outside-page page 18, element 0"];
    a_bucket_inside_an_inline_bucket sample(), |b| {
        let at = b.bucket("meta");
        b.set(at + 32, &[1]);
    } => [
        "suspicious tree/bucket-in-inline-bucket page 18, element 0",
        "suspicious schema/entry page 18",
    ];
    inline_records_of_which_one_is_outside inline(), |b| {
        let at = b.bucket("key");
        b.set(at + 32 + 16 + 4, &[0xFF, 0xFF]);
    } => ["data-lost tree/element-outside-page page 3, element 1"];
    a_lone_leaf_with_too_many_elements one_leaf(), |b| {
        b.count(b.leaves()[0], 0xFFFF);
    } => ["data-lost tree/element-table-too-long page 2"];
    a_lone_leaf_with_an_element_outside one_leaf(), |b| {
        let at = b.element(b.leaves()[0], 7);
        b.set(at + 4, &[0xFF; 4]);
    } => ["data-lost tree/element-outside-page page 2, element 7"];

    a_free_page_twice_in_the_list with_freelist(false), |b| {
        b.count(b.freelist, 2);
        b.set(b.at(b.freelist, 24), &STALE.to_le_bytes());
    } => ["suspicious freelist/freed-twice page 20, element 1"];
    a_free_page_out_of_range with_freelist(false), |b| {
        b.count(b.freelist, 3);
        b.set(b.at(b.freelist, 24), &99u64.to_le_bytes());
        b.set(b.at(b.freelist, 32), &1u64.to_le_bytes());
    } => ["suspicious freelist/free-out-of-range x2 page 20, element 1"];
    a_page_in_use_that_is_in_the_freelist with_freelist(false), |b| {
        b.count(b.freelist, 2);
        b.set(b.at(b.freelist, 24), &ROOT.to_le_bytes());
    } => ["suspicious freelist/reachable-freed page 18"];
    a_page_that_is_neither_in_use_nor_free with_freelist(false), |b| {
        b.count(b.freelist, 0);
    } => ["suspicious freelist/unreachable-unfreed page 17"];
    a_freelist_out_of_order with_freelist(false), |b| {
        b.count(b.freelist, 2);
        b.set(b.at(b.freelist, 24), &16u64.to_le_bytes());
    } => [
        "suspicious freelist/freelist-order page 20, element 1",
        "suspicious freelist/reachable-freed page 16",
    ];
    a_freelist_longer_than_its_page with_freelist(false), |b| {
        b.count(b.freelist, 0xFFFE);
    } => ["suspicious freelist/freelist-too-long page 20"];
    a_freelist_of_two_to_the_64_pages with_freelist(true), |b| {
        b.set(b.at(b.freelist, 16), &u64::MAX.to_le_bytes());
    } => ["suspicious freelist/freelist-too-long page 20"];
    a_freelist_whose_bytes_wrap_around with_freelist(true), |b| {
        b.set(b.at(b.freelist, 16), &(1u64 << 61).to_le_bytes());
    } => ["suspicious freelist/freelist-too-long page 20"];
    a_freelist_that_is_a_leaf with_freelist(false), |b| {
        b.flags(b.freelist, 0x02);
    } => ["suspicious freelist/not-a-freelist page 20"];
    a_freelist_that_overflows_beyond_the_file with_freelist(false), |b| {
        b.overflow(b.freelist, 9);
    } => ["data-lost tree/overflow-out-of-range page 20"];
    a_freelist_that_is_a_page_of_the_tree sample(), |b| {
        b.flags(LEAF, 0x10);
        let meta = MetaFields { freelist: LEAF, ..b.meta() };
        b.metas(meta);
    } => [
        "data-lost tree/multiple-references page 6",
        "data-lost history/revision-gap page 7",
        "suspicious freelist/free-out-of-range x6 page 6, element 0",
        "suspicious freelist/unreachable-unfreed page 17",
    ];
}

fn record(main: i64, kv: Put<'_>) -> Entry {
    entry(revision(main, 0), kv.to_bytes())
}

fn write(main: i64) -> Put<'static> {
    Put { key: b"new", create: main, modified: main, version: 1, value: b"v", lease: 0 }
}

/// Index of the record with main revision `main`.
fn of(main: usize) -> usize {
    main - 2
}

content! {
    a_record_under_a_short_key |s| { s.key[of(31)].key.pop(); } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_record_under_a_long_key |s| { s.key[of(31)].key.extend(b"tt"); } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_record_with_another_separator |s| { s.key[of(31)].key[8] = b'-'; } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_record_with_another_mark |s| { s.key[of(31)].key.push(b'd'); } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_record_with_a_negative_revision |s| {
        let last = s.key.len() - 1;
        s.key[last].key[0] = 0x80;
    } => ["data-lost history/record-unreadable page 12"];
    a_value_that_is_no_message |s| { s.key[of(31)].value = b"\x0a\xffjunk".to_vec(); } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_value_with_its_key_twice |s| {
        let again = message(&[(1, Err(b"other"))]);
        s.key[of(31)].value.extend(again);
    } => [
        "data-lost history/record-unreadable page 7",
        "data-lost history/revision-gap page 7",
    ];
    a_value_with_fields_nobody_knows |s| {
        let more = message(&[(9, Ok(1)), (100, Err(b"more"))]);
        s.key[of(31)].value.extend(more);
    } => ["suspicious history/record-form page 7"];
    another_mod_revision_inside |s| { s.key[of(31)] = put("k01", 31, 11, 3); s.key[of(31)].value[8] ^= 1; } => ["suspicious history/mod-revision page 7"];
    a_revision_missing_above_the_compact_revision |s| { s.key.remove(of(31)); } => [
        "data-lost history/revision-gap page 7",
    ];
    the_first_revision_above_the_compact_revision_missing |s| { s.key.remove(of(6)); } => [        "data-lost history/revision-gap page 2",
    ];
    a_revision_missing_below_the_compact_revision |s| { s.key.remove(of(4)); } => ["data-lost history/nothing-to-update page 4"];
    a_change_missing_inside_a_transaction |s| {
        s.key.push(record(62, write(62)));
        s.key.push(Entry { key: revision(62, 2), ..put("l", 62, 62, 1) });
    } => ["data-lost history/sub-revision-gap page 12"];
    a_revision_both_as_write_and_deletion |s| { s.key.push(deletion("k01", 61)); } => ["suspicious history/revision-repeated page 12"];
    a_version_that_skips_one |s| { s.key.push(put("k01", 62, 11, 8)); } => ["suspicious history/version-step page 12"];
    a_version_below_one |s| { s.key.push(record(62, Put { version: 0, ..write(62) })); } => ["suspicious history/version page 12"];
    a_version_greater_than_its_age |s| { s.key.push(record(62, Put { create: 61, version: 5, ..write(62) })); } => [
        "data-lost history/nothing-to-update page 12",
        "suspicious history/version page 12",
    ];
    a_create_revision_in_the_future |s| { s.key.push(record(62, Put { create: 63, ..write(62) })); } => ["suspicious history/create-revision page 12"];
    a_create_revision_that_changed |s| { s.key.push(put("k01", 62, 21, 7)); } => ["suspicious history/create-revision-changed page 12"];
    a_first_version_of_an_older_life |s| { s.key.push(record(62, Put { create: 61, ..write(62) })); } => ["suspicious history/first-version page 12"];
    a_key_born_twice |s| { s.key.push(put("k01", 62, 62, 1)); } => ["suspicious history/born-twice page 12"];
    an_update_of_nothing |s| { s.key.push(put("new", 62, 50, 2)); } => ["data-lost history/nothing-to-update page 12"];
    a_deletion_of_nothing |s| { s.key.push(deletion("new", 62)); } => ["data-lost history/nothing-to-delete page 12"];
    a_deletion_with_a_value |s| {
        let kv = Put { create: 0, modified: 0, version: 0, key: b"k01", ..write(62) };
        s.key.push(Entry { key: deletion("k01", 62).key, ..record(62, kv) });
    } => ["suspicious history/tombstone-content page 12"];
    a_deletion_that_lost_its_mark |s| { s.key.push(Entry { key: revision(62, 0), ..deletion("k01", 62) }); } => ["data-lost history/deletion-unmarked page 12"];
    a_deletion_that_lost_its_mark_and_the_key_born_again |s| {
        s.key.push(Entry { key: revision(62, 0), ..deletion("k01", 62) });
        s.key.push(put("k01", 63, 63, 1));
    } => ["data-lost history/deletion-unmarked page 12"];
    a_write_with_the_mark_of_a_deletion |s| {
        let key = deletion("new", 62).key;
        s.key.push(Entry { key, ..record(62, write(62)) });
    } => [
        "data-lost history/nothing-to-delete page 12",
        "data-lost history/write-marked-deleted page 12",
    ];
    a_record_with_a_field_that_etcd_does_not_have |s| {
        // The tag of field 5, the value, turned into that of field 7 by one bit.
        let mut changed = put("new", 62, 62, 1);
        let tag = changed.value.iter().position(|byte| *byte == 0x2a).expect("a value");
        changed.value[tag] ^= 0x10;
        s.key.push(changed);
    } => ["suspicious history/record-form page 12"];
    fields_of_a_newer_etcd |s| {
        *s.value("meta", "storageVersion") = b"3.8.0".to_vec();
        for key in [31, 32] {
            let more = message(&[(7, Ok(1)), (100, Err(b"more"))]);
            s.key[of(key)].value.extend(more);
        }
    } => ["note schema/storage-version-unknown", "note history/record-unknown-field x2 page 7"];
    fields_of_a_newer_etcd_in_the_wrong_order |s| {
        *s.value("meta", "storageVersion") = b"3.8.0".to_vec();
        let more = [message(&[(8, Ok(1))]), message(&[(7, Ok(1))])].concat();
        s.key[of(31)].value.extend(more);
    } => ["suspicious history/record-form page 7", "note schema/storage-version-unknown"];
    a_write_under_no_key |s| { s.key.push(record(62, Put { key: b"", ..write(62) })); } => ["suspicious history/empty-key page 12"];
    the_record_of_a_bumped_restore |s| { s.key.push(entry(revision(900, 0), "")); } => [];
    a_nested_bucket_among_the_records |s| {
        s.key.push(bucket(revision(62, 0), inline_bucket(&[entry("a", "b")])));
    } => ["data-lost history/record-unreadable page 12"];

    a_lease_under_a_short_key |s| { s.of("lease")[0].key.pop(); } => ["suspicious leases/lease-unreadable page 18"];
    a_lease_under_anothers_id |s| { s.of("lease")[0].key[7] ^= 1; } => ["suspicious leases/lease-unreadable page 18"];
    a_lease_without_time |s| { s.of("lease")[0].value = message(&[(1, Ok(77))]); } => ["suspicious leases/lease-unreadable page 18"];
    a_lease_that_is_no_message |s| { s.of("lease")[0].value = vec![0xFF]; } => ["suspicious leases/lease-unreadable page 18"];
    a_key_under_a_lease_that_is_not_there |s| { s.key.push(leased("new", 62, 62, 1, 78)); } => ["note leases/lease-missing page 12"];
    a_lease_without_keys |s| { s.of("lease").push(store::lease(78)); } => [];
    an_alarm_for_lack_of_space |s| { s.of("alarm").push(entry(message(&[(1, Ok(1)), (2, Ok(1))]), "")); } => ["note alarms/alarm-nospace"];
    an_alarm_for_corruption |s| { s.of("alarm").push(entry(message(&[(2, Ok(2))]), "")); } => ["note alarms/alarm-corrupt"];
    an_alarm_that_nobody_knows |s| { s.of("alarm").push(entry(message(&[(2, Ok(9))]), "")); } => ["note alarms/alarm-unknown"];
    an_alarm_that_is_no_message |s| { s.of("alarm").push(entry([0xFF], "")); } => ["suspicious schema/entry page 18"];
    authentication_without_root |s| { *s.value("auth", "authEnabled") = vec![1]; } => ["suspicious auth/auth-without-root"];
    authentication_with_root |s| {
        *s.value("auth", "authEnabled") = vec![1];
        s.of("authUsers").push(entry("root", message(&[(1, Err(b"root")), (3, Err(b"root"))])));
    } => [];
    a_user_with_a_role_that_is_not_there |s| {
        s.of("authUsers").push(entry("bob", message(&[(1, Err(b"bob")), (3, Err(b"reader"))])));
    } => ["note auth/role-missing"];
    a_user_under_another_name |s| { s.of("authUsers").push(entry("bob", message(&[(1, Err(b"rob"))]))); } => ["suspicious schema/entry page 18"];
    a_role_that_is_no_message |s| { s.of("authRoles").push(entry("r", [0x12, 0x09])); } => ["suspicious schema/entry page 18"];
    a_flag_that_is_no_flag |s| { *s.value("auth", "authEnabled") = vec![2]; } => ["suspicious schema/entry page 18"];

    a_member_that_was_removed |s| { s.of("members_removed").insert(0, entry("3", "removed")); } => ["note membership/zombie-member"];
    a_removed_member_with_another_mark |s| { s.of("members_removed")[0].value = b"gone".to_vec(); } => ["suspicious schema/entry page 18"];
    a_learner_that_votes |s| { s.of("members")[2] = member(3, "c", true); } => ["note membership/learner-not-promoted"];
    a_voter_that_learns |s| {
        *s.value("meta", "confState") = b"{\"voters\":[1,2],\"learners\":[3],\"auto_leave\":false}".to_vec();
    } => ["note membership/learner-promoted-silently"];
    two_members_of_one_name |s| { s.of("members")[2] = member(3, "a", false); } => ["note membership/member-name-shared"];
    a_member_that_raft_does_not_know |s| { s.of("members").push(member(5, "d", false)); } => ["note membership/member-not-in-raft"];
    a_voter_that_is_no_member |s| { s.of("members").pop(); } => ["note membership/voter-without-member"];
    a_conf_state_of_an_earlier_cluster |s| {
        *s.value("meta", "confState") = b"{\"voters\":[11,12],\"auto_leave\":false}".to_vec();
    } => ["note membership/conf-state-stale"];
    a_conf_state_that_is_no_json |s| { *s.value("meta", "confState") = b"{\"voters\":[".to_vec(); } => ["suspicious schema/entry page 18"];
    a_member_that_is_no_json |s| { s.of("members")[1].value = b"{".to_vec(); } => [
        "suspicious schema/entry page 18",
        "note membership/voter-without-member",
    ];
    a_member_under_anothers_key |s| { s.of("members")[1].key = b"2f".to_vec(); } => [
        "suspicious schema/entry page 18",
        "note membership/voter-without-member",
    ];
    a_consistent_index_of_seven_bytes |s| { s.value("meta", "consistent_index").pop(); } => ["suspicious schema/entry page 18"];
    a_storage_version_that_is_none |s| { *s.value("meta", "storageVersion") = b"three".to_vec(); } => ["suspicious schema/entry page 18"];
    a_compaction_done_that_nobody_asked_for |s| {
        *s.value("meta", "finishedCompactRev") = revision(9, 0);
    } => ["suspicious history/compaction-out-of-order"];
    a_compact_revision_that_is_none |s| { *s.value("meta", "finishedCompactRev") = b"5".to_vec(); } => [
        "suspicious schema/entry page 18",
        "note history/compaction-unfinished",
    ];
    a_key_of_meta_that_nobody_knows |s| { s.of("meta").push(entry("zzz", "1")); } => ["suspicious schema/entry page 18"];
    a_compaction_that_was_not_finished |s| { *s.value("meta", "scheduledCompactRev") = revision(20, 0); } => ["note history/compaction-unfinished"];
    a_compaction_beyond_the_last_record |s| {
        for key in ["scheduledCompactRev", "finishedCompactRev"] { *s.value("meta", key) = revision(200, 0); }
    } => ["note history/compacted-beyond-last-record"];
    no_bucket_meta |s| { s.small.remove("meta"); } => ["suspicious schema/missing-bucket"];
    a_bucket_that_nobody_knows |s| { s.of("zebra").push(entry("a", "b")); } => ["note schema/unknown-bucket"];

    a_kubernetes_value_cut_short |s| {
        for main in 62..65 {
            let object = kubernetes_object(if main == 63 { 3 } else { 0 });
            let key = format!("/registry/configmaps/default/c{main}");
            s.key.push(record(main, Put { key: key.as_bytes(), value: &object, ..write(main) }));
        }
    } => ["suspicious kubernetes/value-broken page 13"];
    a_kubernetes_value_that_is_none |s| {
        for (main, object) in [(62, kubernetes_object(0)), (63, b"\x01\x02\x03".to_vec()), (64, Vec::new())] {
            let key = format!("/registry/configmaps/default/c{main}");
            s.key.push(record(main, Put { key: key.as_bytes(), value: &object, ..write(main) }));
        }
    } => ["suspicious kubernetes/value-unknown x2 page 13"];
}

#[test]
fn what_a_compaction_drops_is_not_missed() {
    let mut store = sample();
    for key in ["scheduledCompactRev", "finishedCompactRev"] {
        *store.value("meta", key) = revision(25, 0);
    }
    // Each key is written again ten revisions later: up to 15 all are replaced,
    // but for the deletion at 7.
    store.key.drain(..of(16));
    expect(&store.build().file, &[]);
    store.key.remove(of(20) - of(16));
    expect(&store.build().file, &["data-lost history/nothing-to-delete page 4"]);
}

/// Asks what a damaged file answers when damage is to be skipped: nothing, if
/// what the answer is made of is gone, told with its one cause.
fn nothing_left(file: &[u8], lost: &Lost, questions: &[&str]) {
    let snapshot = Snapshot::from_source(ask::source(file)).expect("it opens");
    let db = snapshot.db().expect("it opens");
    let progress = Progress::default();
    let settings = Settings { skip_damaged: true, ..Settings::new(&progress) };
    let answers = [
        ("status", status::status(&snapshot, &Default::default(), &settings).err()),
        ("figures", status::figures(&snapshot, &settings).err()),
        ("hashkv", hashkv::hashkv(&snapshot, None, &settings).err()),
        ("members", member_list::members(&snapshot, &settings).err()),
        ("keys", keys::keys(&db, Vec::new(), None, &settings).err()),
        ("key", lookup::key(&db, b"k03", None, &settings).err()),
        ("list", list::list(&db, &list::Selection::default(), &settings).err()),
    ];
    for (question, error) in answers {
        match error {
            Some(OpError::NothingLeft { lost: found, damage }) => {
                assert_eq!((&found, damage.len()), (lost, 1), "{question}: {damage}");
                assert!(questions.contains(&question), "{question}");
            }
            Some(error) => panic!("{question}: {error}"),
            None => assert!(!questions.contains(&question), "{question} was answered"),
        }
    }
}

#[test]
fn what_is_lost_whole_cannot_be_skipped() {
    let of_key = ["status", "figures", "hashkv", "keys", "key", "list"];
    let all = [&of_key[..], &["members"]].concat();
    let broken = |page: u64| {
        let mut built = sample().build();
        built.flags(page, 0x77);
        built.file
    };
    nothing_left(&broken(ROOT), &Lost::AllBuckets, &all);
    nothing_left(&broken(KEY_ROOT), &Lost::Bucket(b"key"), &of_key);
    // One record in the place of the root: no bucket is listed, and there is one fault.
    let mut store = Store { page_size: 4096, leaf_bytes: 4096, ..Store::sample(1) };
    store.value("meta", "scheduledCompactRev").clone_from(&revision(1, 0));
    store.value("meta", "finishedCompactRev").clone_from(&revision(1, 0));
    let mut built = store.build();
    let (leaf, root) = (built.at(built.leaves()[0], 16), built.at(built.root, 16));
    let leaf = built.file[leaf - 6..leaf + 4080].to_vec();
    built.set(root - 6, &leaf);
    support::reseal(&mut built.file);
    nothing_left(&built.file, &Lost::AllBuckets, &all);
    let affected = ask::verify(&built.file).affected.expect("affected");
    assert!(affected.nothing_left && affected.latest == Latest::Affected, "{affected:?}");
    let inline = |name: &str| {
        let mut built = sample().build();
        let at = built.bucket(name) + 16 + 8;
        built.set(at, &[0x77]);
        built.file
    };
    nothing_left(&inline("members"), &Lost::Bucket(b"members"), &["members"]);
    nothing_left(&inline("alarm"), &Lost::AllBuckets, &[]);
}

#[test]
fn what_depends_on_a_lost_compact_revision_is_refused_unless_damage_is_skipped() {
    let mut built = sample().build();
    let at = built.bucket("meta") + 16 + 8;
    built.set(at, &[0x77]);
    let snapshot = Snapshot::from_source(ask::source(&built.file)).expect("it opens");
    let db = snapshot.db().expect("it opens");
    let progress = Progress::default();
    for skip_damaged in [false, true] {
        let settings = Settings { skip_damaged, ..Settings::new(&progress) };
        let hash = hashkv::hashkv(&snapshot, None, &settings);
        let listing = keys::keys(&db, Vec::new(), None, &settings);
        assert_eq!((hash.is_ok(), listing.is_ok()), (skip_damaged, skip_damaged));
        assert!(hash.is_ok_and(|hash| hash.damage.len() == 1) || !skip_damaged);
    }
}

/// A ConfigMap as an API server stores it, less its last bytes.
fn kubernetes_object(cut: usize) -> Vec<u8> {
    let type_meta = message(&[(1, Err(b"v1")), (2, Err(b"ConfigMap"))]);
    let object = message(&[(1, Err(&message(&[(1, Err(b"name")), (3, Err(b"default"))])))]);
    let unknown = message(&[(1, Err(&type_meta)), (2, Err(&object))]);
    let bytes = [b"k8s\0".as_slice(), &unknown].concat();
    bytes[..bytes.len() - cut].to_vec()
}

#[test]
fn a_plain_value_among_the_buckets() {
    let mut pages = Pages::new(4096);
    let names = [bucket("key", inline_bucket(&[])), bucket("meta", inline_bucket(&[])), entry("value", "v")];
    let root = pages.place(support::leaf_image(&names));
    expect(
        &support::seal(pages.finish(root, NO_FREELIST, 8)),
        &["data-lost tree/not-a-bucket page 2, element 2"],
    );
}

#[test]
fn a_bucket_too_short_to_be_one() {
    for size in [0, 8, 15, 16, 31] {
        let mut pages = Pages::new(4096);
        let names = [bucket("key", vec![0; size]), bucket("meta", inline_bucket(&[]))];
        let root = pages.place(support::leaf_image(&names));
        expect(
            &support::seal(pages.finish(root, NO_FREELIST, 8)),
            &["data-lost tree/bucket-header page 2, element 0"],
        );
    }
}

#[test]
fn a_file_that_etcd_never_ran_on() {
    let mut pages = Pages::new(4096);
    let freelist = pages.freelist(&[], false);
    let root = pages.place(support::leaf_image(&[]));
    expect(&support::seal(pages.finish(root, freelist, 1)), &["note schema/missing-bucket x2"]);
}

#[test]
fn sixty_five_thousand_elements_that_share_one_huge_value() {
    let mut pages = Pages::new(4096);
    const COUNT: usize = 0xFFFF;
    const HUGE: usize = 4 << 20;
    let mut image = support::leaf_image(&[]);
    image[10..12].copy_from_slice(&[0xFF; 2]);
    for index in 0..COUNT {
        let position = u32::try_from((COUNT - index) * 16).expect("small");
        for field in [0, position, 17, u32::try_from(HUGE).expect("small")] {
            image.extend(field.to_le_bytes());
        }
    }
    image.resize(image.len() + 17 + HUGE, b'_');
    let key = pages.place(image);
    let names = [bucket("key", tree_bucket(key)), bucket("meta", inline_bucket(&[]))];
    let root = pages.place(support::leaf_image(&names));
    expect(
        &support::seal(pages.finish(root, NO_FREELIST, 8)),
        &[
            "data-lost tree/elements-too-large x65534 page 2, element 1",
            "data-lost history/record-unreadable page 2",
        ],
    );
}

#[test]
fn sixty_five_thousand_separators_that_share_one_long_key() {
    let mut pages = Pages::new(4096);
    const COUNT: usize = 0xFFFF;
    let leaf = pages.place(support::leaf_image(&[put("k", 2, 2, 1)]));
    let mut image = support::branch_image(&[]);
    image[10..12].copy_from_slice(&[0xFF; 2]);
    for index in 0..COUNT {
        image.extend(u32::try_from((COUNT - index) * 16).expect("small").to_le_bytes());
        image.extend(32_768u32.to_le_bytes());
        image.extend(leaf.to_le_bytes());
    }
    image.resize(image.len() + 32_768, 0);
    let key = pages.place(image);
    let names = [bucket("key", tree_bucket(key)), bucket("meta", inline_bucket(&[]))];
    let root = pages.place(support::leaf_image(&names));
    expect(
        &support::seal(pages.finish(root, NO_FREELIST, 8)),
        &["data-lost tree/elements-too-large x65534 page 3, element 1"],
    );
}

#[test]
fn thousands_of_branches_that_share_their_children() {
    let mut pages = Pages::new(1024);
    let leaf = pages.place(support::leaf_image(&[put("k", 2, 2, 1)]));
    let mut children: Vec<(Vec<u8>, u64)> = Vec::new();
    for main in 0..2000 {
        let shared = [(revision(2 * main, 0), leaf), (revision(2 * main + 1, 0), leaf)];
        children.push((revision(2 * main, 0), pages.place(support::branch_image(&shared))));
    }
    let key = pages.place(support::branch_image(&children));
    let names = [bucket("key", tree_bucket(key)), bucket("meta", inline_bucket(&[]))];
    let root = pages.place(support::leaf_image(&names));
    expect(
        &support::seal(pages.finish(root, NO_FREELIST, 8)),
        &[
            "data-lost tree/key-above-parent page 2, element 0",
            "data-lost tree/multiple-references x3999 page 2",
        ],
    );
}

#[test]
fn a_tree_deeper_than_any() {
    let mut pages = Pages::new(1024);
    let mut page = pages.place(support::leaf_image(&[put("k", 2, 2, 1)]));
    for _ in 0..100 {
        page = pages.place(support::branch_image(&[(revision(2, 0), page)]));
    }
    let names = [bucket("key", tree_bucket(page)), bucket("meta", inline_bucket(&[]))];
    let root = pages.place(support::leaf_image(&names));
    expect(&support::seal(pages.finish(root, NO_FREELIST, 8)), &["data-lost tree/too-deep page 38"]);
}

#[test]
fn buckets_in_buckets_in_buckets() {
    let mut pages = Pages::new(1024);
    let mut inner = pages.place(support::leaf_image(&[entry("a", "b")]));
    for _ in 0..3000 {
        inner = pages.place(support::leaf_image(&[bucket("b", tree_bucket(inner))]));
    }
    let names = [
        bucket("key", inline_bucket(&[])),
        bucket("meta", inline_bucket(&[])),
        bucket("test", tree_bucket(inner)),
    ];
    let root = pages.place(support::leaf_image(&names));
    expect(&support::seal(pages.finish(root, NO_FREELIST, 8)), &[]);
}

#[test]
fn a_nested_bucket_that_leads_back_to_itself() {
    let mut pages = Pages::new(1024);
    let own = pages.next();
    let inner = pages.place(support::leaf_image(&[bucket("b", tree_bucket(own))]));
    let names = [
        bucket("key", inline_bucket(&[])),
        bucket("meta", inline_bucket(&[])),
        bucket("test", tree_bucket(inner)),
    ];
    let root = pages.place(support::leaf_image(&names));
    expect(
        &support::seal(pages.finish(root, NO_FREELIST, 8)),
        &["data-lost tree/multiple-references page 2"],
    );
}

/// The worst finding and the first damaged place, whatever the length.
#[test]
fn a_file_cut_at_any_length_is_never_sound() {
    let whole = sample().build().file;
    let fixtures = support::fixtures();
    let files = fixtures.iter().map(|(_, file)| file.as_slice()).chain([whole.as_slice()]);
    for file in files {
        let image = file.len() - 32;
        let lengths = (0..600).step_by(37).chain((600..file.len()).step_by(file.len() / 40));
        for length in lengths.chain([image - 1, image, image + 1, image + 31]) {
            let report = ask::verify(&file[..length]);
            let told = ask::lines(&report);
            assert!(!report.is_sound(), "{length} bytes: {told:?}");
            if length < image {
                assert!(ask::is_damaged(&report), "{length} bytes: {told:?}");
            }
            ask::questions(&file[..length]);
            ask::plans(&file[..length]);
        }
    }
}

#[test]
fn every_bit_that_flips_is_noticed_by_the_digest() {
    let whole = Store::sample(6).build().file;
    for at in 0..whole.len() {
        let mut file = whole.clone();
        file[at] ^= 1 << (at % 8);
        let report = ask::verify(&file);
        assert!(!report.is_sound(), "byte {at}: {:?}", ask::lines(&report));
        assert!(!report.digest_matches(), "byte {at}");
    }
}
