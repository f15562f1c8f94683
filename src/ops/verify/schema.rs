//! etcd's buckets, and the entries of the small ones.

use crate::bolt::{Db, Excerpt, FileOffset, Place};
use crate::etcd::schema::{BUCKETS, KEY, META};
use crate::etcd::state::State;
use crate::ops::finding::{Check, Finding, Findings, Grade};

pub(super) fn findings(db: &Db<'_>, state: &State, findings: &mut Findings) {
    for name in &state.buckets {
        if !BUCKETS.contains(&name.as_slice()) {
            let finding = Finding::new(Grade::Note, Check::Schema, "unknown-bucket")
                .because("buckets that etcd 3.4 to 3.7 know", Excerpt::of(name).to_string());
            findings.push(finding.of_bucket(name.escape_ascii().to_string()));
        }
    }
    if state.is_of_unknown_line() {
        let version = state.storage_version_text();
        findings.push(
            Finding::new(Grade::Note, Check::Schema, "storage-version-unknown")
                .of_bucket("meta")
                .because("a storage version up to 3.7", format!("{version}, of a newer etcd")),
        );
    }
    // With damage on the way, a bucket may be there and not be seen, which was told if it is
    // known to be lost.
    let is_damaged = state.tree_faults.sorted().iter().any(|fault| !fault.kind.is_of_freelist());
    for name in [KEY, META] {
        let has_run = "none, and etcd has run on this database";
        let (grade, found) = match name == KEY {
            true if state.lacks_keys() => (Grade::DataLost, has_run),
            true if is_damaged => (Grade::DataLost, "none, in a damaged list of buckets"),
            _ if is_damaged => continue,
            false if state.lacks_meta() => (Grade::Suspicious, has_run),
            _ => (Grade::Note, "none: no etcd has run on this database"),
        };
        let is_there = state.buckets.iter().any(|found| found == name);
        let is_told = is_damaged && !state.lacks_keys() && findings.worst() == Some(Grade::DataLost);
        if !(is_there || is_told) {
            let name = name.escape_ascii().to_string();
            findings.push(
                Finding::new(grade, Check::Schema, "missing-bucket")
                    .because(format!("a bucket {name}"), found)
                    .of_bucket(name),
            );
        }
    }
    let unkept = state.fault_count.saturating_sub(state.faults.len() as u64);
    for (index, fault) in state.faults.iter().enumerate() {
        findings.count_more(
            Finding::new(Grade::Suspicious, Check::Schema, "entry")
                .at(place(db, fault.offset))
                .of_bucket(fault.bucket)
                .about(fault.key.clone())
                .because(format!("what etcd keeps in bucket {}", fault.bucket), fault.kind.to_string()),
            if index == 0 { unkept.saturating_add(1) } else { 1 },
        );
    }
}

/// The place of a leaf element.
pub(super) fn place(db: &Db<'_>, offset: FileOffset) -> Place {
    Place { page: Some(db.image.page_of(offset)), element: None, offset: Some(offset) }
}
