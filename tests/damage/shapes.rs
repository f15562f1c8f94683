//! Shapes that no bbolt makes, many of them made to cost time or memory.

use super::*;

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
    let file = support::seal(pages.finish(root, freelist, 1));
    expect(&file, &["note schema/missing-bucket x2"]);
    // There is nothing to restore, with the record of a bump or without.
    for bump in [None, Some(1000)] {
        assert!(ask::restore(&file, bump).is_err(), "{bump:?}");
    }
    // That the list of free pages is none says nothing of the buckets.
    let mut file = file;
    let kind = usize::try_from(freelist).expect("small") * 4096 + 8;
    file[kind] = 2;
    support::reseal(&mut file);
    let lines = ["suspicious freelist/not-a-freelist page 2", "note schema/missing-bucket x2"];
    expect(&file, &lines);
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
