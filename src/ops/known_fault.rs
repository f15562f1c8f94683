//! Faults of released versions of etcd that leave a mark in the database.
//!
//! A finding says what is in the file; this says which versions are known to
//! write such a thing, so that whoever runs one knows what to run instead. A
//! mark is no proof: something else may have left it.
//!
//! Source: etcd `CHANGELOG/CHANGELOG-3.{2,4,5,6}.md` @ main, 2026-08-20, and the
//! pull requests named.

use std::fmt;

/// A fault that was released and then fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownFault {
    /// What went wrong, in one sentence without its full stop.
    pub what: &'static str,
    /// The versions that have it, by line, and the first of each line without.
    pub versions: &'static [Versions],
    /// etcd's pull requests: <https://github.com/etcd-io/etcd/pull/NUMBER>.
    pub pull_requests: &'static [u32],
}

/// Versions of one line of etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The line: `3.5`.
    pub line: &'static str,
    /// The first patch release without the fault. All before have it; 0 if all
    /// lines before have it.
    pub fixed: u8,
}

impl Versions {
    const fn before(line: &'static str, fixed: u8) -> Self {
        Self { line, fixed }
    }

    /// The first version of the line without the fault: `3.5.26`.
    pub fn fixed_in(&self) -> String {
        format!("{}.{}", self.line, self.fixed)
    }
}

impl fmt::Display for Versions {
    /// The versions with the fault: `3.5.0 to 3.5.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, fixed } = self;
        match fixed.checked_sub(1) {
            None => write!(f, "all before {line}.0"),
            Some(0) => write!(f, "{line}.0"),
            Some(last) => write!(f, "{line}.0 to {line}.{last}"),
        }
    }
}

impl fmt::Display for KnownFault {
    /// `WHAT: etcd VERSIONS, fixed in VERSIONS`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let affected: Vec<_> = self.versions.iter().map(ToString::to_string).collect();
        let fixed: Vec<_> = self.versions.iter().map(Versions::fixed_in).collect();
        write!(f, "{}: etcd {}; fixed in {}", self.what, affected.join(", "), fixed.join(", "))
    }
}

const ZOMBIES: KnownFault = KnownFault {
    what: "former members stay in the list when etcd is forced to a new cluster or crashes, or when etcdctl 3.4 restored it",
    versions: &[Versions::before("3.5", 26)],
    pull_requests: &[20995],
};
const TWO_LISTS: KnownFault = KnownFault {
    what: "the list in the database and the one in the v2 store come apart",
    versions: &[Versions::before("3.5", 1)],
    pull_requests: &[13348],
};
const NOT_PROMOTED: KnownFault = KnownFault {
    what: "the promotion of a learner is not written to the database",
    versions: &[Versions::before("3.5", 20)],
    pull_requests: &[19563],
};
const NOT_PROMOTED_LATER: KnownFault = KnownFault {
    what: "a promotion that an earlier version did not write is not made up for by upgrades",
    versions: &[Versions::before("3.5", 24)],
    pull_requests: &[20797],
};
const PROMOTED: KnownFault = KnownFault {
    what: "new peer URLs for a learner make it a voter",
    versions: &[Versions::before("3.5", 31), Versions::before("3.6", 12)],
    pull_requests: &[21737, 21736],
};
const FORCED: KnownFault = KnownFault {
    what: "--force-new-cluster leaves learners behind",
    versions: &[Versions::before("3.5", 25), Versions::before("3.6", 6)],
    pull_requests: &[20896],
};
const DELETION: KnownFault = KnownFault {
    what: "a compaction drops a deletion at its own revision",
    versions: &[Versions::before("3.4", 34), Versions::before("3.5", 16)],
    pull_requests: &[18475, 18474],
};
const BACKWARDS: KnownFault = KnownFault {
    what: "after a crash in a compaction at the last revision, a deletion, the revision goes back",
    versions: &[Versions::before("3.4", 32), Versions::before("3.5", 14)],
    pull_requests: &[17864, 17865],
};
const LEASES: KnownFault = KnownFault {
    what: "leases are revoked and their keys stay",
    versions: &[Versions::before("3.4", 0)],
    pull_requests: &[10693],
};
const DEFRAGMENTED: KnownFault = KnownFault {
    what: "a defragmentation while a snapshot is received from the leader spoils the database",
    versions: &[Versions::before("3.4", 38), Versions::before("3.5", 23), Versions::before("3.6", 5)],
    pull_requests: &[20659, 20653, 20650],
};
const FREE_LIST: KnownFault = KnownFault {
    what: "bbolt spoils the list of free pages while a snapshot is streamed",
    versions: &[Versions::before("3.2", 10)],
    pull_requests: &[8813],
};

/// The known faults of etcd that a finding may come of. `changed`: whether the file is
/// known not to be what etcd wrote, as its digest is wrong or its end is missing.
///
/// A digest is made of what etcd reads from its own database, faults and all. Bytes that
/// changed after that leave pages that do not fit each other, and no version of etcd is to
/// blame for them. In the small buckets and the list of free pages the marks are too
/// particular to come about by chance.
pub fn of(code: &str, changed: bool) -> &'static [KnownFault] {
    match code {
        "zombie-member" | "member-name-shared" | "peer-url-shared" => &[ZOMBIES],
        "member-not-in-raft" | "voter-without-member" => &[ZOMBIES, TWO_LISTS],
        "learner-not-promoted" => &[NOT_PROMOTED, NOT_PROMOTED_LATER],
        "learner-promoted-silently" => &[PROMOTED],
        "stray-learner" => &[FORCED, ZOMBIES],
        "compaction-dropped-deletion" | "compacted-beyond-last-record" => &[DELETION],
        "revision-goes-back" => &[BACKWARDS],
        "lease-missing" => &[LEASES],
        "reference-out-of-range" | "page-id" | "page-type" | "multiple-references" | "page-beyond-file"
            if !changed =>
        {
            &[DEFRAGMENTED]
        }
        "free-out-of-range"
        | "freed-twice"
        | "freelist-order"
        | "reachable-freed"
        | "unreachable-unfreed" => &[FREE_LIST],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_after_it_was_saved_is_no_fault_of_a_version() {
        assert_eq!(of("page-id", false), [DEFRAGMENTED]);
        assert!(of("page-id", true).is_empty());
        assert_eq!(of("zombie-member", true), [ZOMBIES]);
    }

    #[test]
    fn versions_are_told_from_the_first_to_the_last_with_the_fault() {
        let text = |line, fixed| Versions::before(line, fixed).to_string();
        assert_eq!(text("3.5", 26), "3.5.0 to 3.5.25");
        assert_eq!(text("3.5", 1), "3.5.0");
        assert_eq!(text("3.4", 0), "all before 3.4.0");
        assert_eq!(
            DELETION.to_string(),
            "a compaction drops a deletion at its own revision: etcd 3.4.0 to 3.4.33, 3.5.0 to 3.5.15; fixed in 3.4.34, 3.5.16"
        );
    }
}
