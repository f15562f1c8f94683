//! What is done to a file as a whole: its digest, its length, its beginning.

use super::*;

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
