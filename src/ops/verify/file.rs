//! The file as a whole: is it a database, is it all there, is it what was saved?

use crate::bolt::{Db, MetaFault, OpenError, PageFlags, PageId, Place};
use crate::etcd::snapshot::{DIGEST_SIZE, DigestVerdict, Trailer};
use crate::ops::finding::{Check, Finding, Findings, Grade};

pub(super) fn not_a_database(error: OpenError, findings: &mut Findings) {
    let code = match error {
        OpenError::Empty => "empty-file",
        OpenError::TooShort { .. } => "file-too-short",
        OpenError::BigEndian => "big-endian",
        OpenError::BothMetas { .. } => "both-metas-unusable",
        _ => "not-a-database",
    };
    findings
        .push(Finding::new(Grade::Fatal, Check::File, code).because("a bbolt database", error.to_string()));
}

pub(super) fn digest(db: &Db<'_>, trailer: &Trailer, verdict: DigestVerdict, findings: &mut Findings) {
    length(db, trailer, findings);
    metas(db, findings);
    let mut push = |grade, code, expected: String, found: String| {
        findings.push(Finding::new(grade, Check::Digest, code).because(expected, found));
    };
    let wanted = || "32 bytes of SHA-256 behind the pages".to_owned();
    match (verdict, trailer) {
        (DigestVerdict::Matches, _) => {}
        (DigestVerdict::Differs { stored, computed }, trailer) => {
            let (expected, found) =
                (format!("SHA-256 {}", hex(&stored)), format!("SHA-256 {}", hex(&computed)));
            // A tool that opened the file for writing committed once more: then
            // only one of the metas describes what was streamed.
            let both = db.metas.iter().all(Result::is_ok);
            if both && !db.is_snapshot_stream() && matches!(trailer, Trailer::Digest(_)) {
                push(Grade::Suspicious, "digest-stale", expected, found);
            } else {
                push(Grade::DataLost, "digest-differs", expected, found);
            }
        }
        (DigestVerdict::Absent, Trailer::None) if db.is_snapshot_stream() => {
            push(Grade::Suspicious, "digest-lost", wanted(), "the file ends with its last page".into());
        }
        (DigestVerdict::Absent, Trailer::None | Trailer::Slack(_)) => {
            push(Grade::Note, "digest-absent", wanted(), "none, as in a copy of a member's db file".into());
        }
        (DigestVerdict::Absent, Trailer::Odd(more)) => {
            let found = match DIGEST_SIZE.checked_sub(*more) {
                Some(missing) => format!("{more} bytes: {missing} are missing at the end"),
                None => format!("{more} bytes: {} too many", more.saturating_sub(DIGEST_SIZE)),
            };
            push(Grade::Suspicious, "digest-cut", wanted(), found);
        }
        // Told by the length.
        (DigestVerdict::Absent, _) => {}
    }
}

fn length(db: &Db<'_>, trailer: &Trailer, findings: &mut Findings) {
    if db.missing_bytes() > 0 {
        let expected = format!("{} bytes of pages", db.meta.image_size());
        let found = format!("{} bytes: {} are missing at the end", db.file_size, db.missing_bytes());
        findings.push(Finding::new(Grade::DataLost, Check::File, "truncated").because(expected, found));
    } else if let Trailer::Misplaced { image_size, .. } = trailer {
        let expected = format!("{} bytes: the pages and their digest", image_size.saturating_add(32));
        let found = format!("{} bytes", db.file_size);
        findings.push(Finding::new(Grade::Suspicious, Check::File, "length").because(expected, found));
    }
}

fn metas(db: &Db<'_>, findings: &mut Findings) {
    for (number, meta) in (0..).zip(&db.metas) {
        if let Err(fault) = meta {
            // With a right checksum etcd takes it for good, and comes to grief.
            let (grade, code) = match fault {
                MetaFault::PageSize { .. } | MetaFault::OutOfRange { .. } => {
                    (Grade::Suspicious, "meta-impossible")
                }
                _ => (Grade::Note, "meta-unusable"),
            };
            findings.push(
                Finding::new(grade, Check::Metas, code)
                    .at(Place::page(PageId(number)))
                    .because("a meta that holds", fault.to_string()),
            );
        }
        if let Some(found) = db.image.meta_header(number).filter(|found| *found != (number, PageFlags::META))
        {
            let (id, flags) = found;
            findings.push(
                Finding::new(Grade::Suspicious, Check::Metas, "meta-header")
                    .at(Place::page(PageId(number)))
                    .because(
                        format!("a meta page with number {number}"),
                        format!("{flags} with number {id}"),
                    ),
            );
        }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
