//! Pages, elements, metas and the list of free pages.

use super::*;

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
    } => ["data-lost tree/multiple-references page 6", "suspicious tree/overflow-unused page 6"];
    an_overflow_over_all_pages_behind sample(), |b| {
        b.overflow(FIRST_LEAF, 16);
    } => ["data-lost tree/multiple-references page 2", "suspicious tree/overflow-unused page 2"];
    an_overflow_up_to_the_high_water_mark sample(), |b| {
        b.overflow(12, 7);
    } => ["data-lost tree/multiple-references page 12", "suspicious tree/overflow-unused page 12"];
    a_leaf_of_all_records_that_counts_none one_leaf(), |b| {
        b.count(FIRST_LEAF, 0);
    } => ["data-lost tree/elements-hidden page 2"];
    a_branch_with_overflow_over_a_free_page sample(), |b| {
        b.overflow(KEY_ROOT, 1);
    } => ["suspicious tree/overflow-unused page 16"];
    a_leaf_with_overflow_over_a_free_page one_leaf(), |b| {
        b.overflow(FIRST_LEAF, 1);
    } => ["suspicious tree/overflow-unused page 2"];
    an_overflow_of_four_billion_pages sample(), |b| {
        b.overflow(LEAF, u32::MAX);
    } => [
        "data-lost tree/overflow-out-of-range page 6",
        "data-lost history/revision-gap page 7",
    ];
    a_branch_that_overflows_into_the_next sample(), |b| {
        b.overflow(BRANCH, 1);
    } => ["data-lost tree/multiple-references page 15", "suspicious tree/overflow-unused page 14"];

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
