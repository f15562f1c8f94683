//! The vocabulary of what is wrong with a history.

use std::collections::BTreeMap;

use crate::bolt::{Excerpt, FileOffset, Image};
use crate::etcd::present::Hole;
use crate::etcd::record::Record;
use crate::etcd::revision::Revision;

/// A record that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryFault {
    /// The record's revision.
    pub revision: Revision,
    /// The record's key.
    pub key: Excerpt,
    /// Where its leaf element stands in the file.
    pub offset: FileOffset,
    /// The rule.
    pub kind: HistoryFaultKind,
}

/// The rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryFaultKind {
    /// The mod revision inside is not the record's own.
    ModRevision(i64),
    /// Created after it was written, or before there was anything.
    CreateRevision(i64),
    /// Version below 1, or greater than the revisions since creation allow.
    Version(i64),
    /// Version 1 but not created now, or created now but not version 1.
    FirstVersion {
        /// The version.
        version: i64,
        /// The create revision.
        create: i64,
    },
    /// A tombstone that holds more than its key.
    TombstoneContent,
    /// A tombstone's message under the key of a write: the deletion is lost, and
    /// the key is alive again, with an empty value.
    DeletionUnmarked,
    /// A write's message under the key of a tombstone: the write is lost, and the
    /// key is gone.
    WriteMarkedDeleted,
    /// A message with a field that etcd's records do not have, or fields in another
    /// order.
    Form,
    /// A message with fields behind all that etcd's records have.
    MoreFields,
    /// A write under the empty key that is not a restore's bump record.
    EmptyKey,
    /// The same revision as the record before, once as write, once as deletion.
    Repeated,
    /// Main revisions are missing between the record before and this one.
    Gap {
        /// Main revision of the record before.
        after: i64,
    },
    /// Changes of its transaction are missing before this one.
    SubGap {
        /// The sub revision that should come here.
        expected: i64,
    },
    /// Not the version that follows the record before it of the same key.
    VersionStep {
        /// The version before.
        previous: i64,
        /// This version.
        version: i64,
    },
    /// Another create revision than the record before it of the same life.
    CreateChanged {
        /// The create revision before.
        previous: i64,
        /// This one.
        create: i64,
    },
    /// A new life of a key that was alive.
    BornTwice,
    /// An update of a key whose earlier versions should be there and are not.
    NothingToUpdate(i64),
    /// The deletion of a key that should be there and is not.
    NothingToDelete,
}

impl HistoryFaultKind {
    /// A stable name of the rule.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ModRevision(_) => "mod-revision",
            Self::CreateRevision(_) => "create-revision",
            Self::Version(_) => "version",
            Self::FirstVersion { .. } => "first-version",
            Self::TombstoneContent => "tombstone-content",
            Self::DeletionUnmarked => "deletion-unmarked",
            Self::WriteMarkedDeleted => "write-marked-deleted",
            Self::Form => "record-form",
            Self::MoreFields => "record-unknown-field",
            Self::EmptyKey => "empty-key",
            Self::Repeated => "revision-repeated",
            Self::Gap { .. } => "revision-gap",
            Self::SubGap { .. } => "sub-revision-gap",
            Self::VersionStep { .. } => "version-step",
            Self::CreateChanged { .. } => "create-revision-changed",
            Self::BornTwice => "born-twice",
            Self::NothingToUpdate(_) => "nothing-to-update",
            Self::NothingToDelete => "nothing-to-delete",
        }
    }

    /// What should be there, and what is, of a record at `revision`.
    pub fn expected_and_found(&self, revision: Revision) -> (String, String) {
        let main = revision.main;
        match *self {
            Self::ModRevision(found) => (format!("mod revision {main}"), format!("mod revision {found}")),
            Self::CreateRevision(found) => {
                (format!("a create revision from 1 to {main}"), format!("create revision {found}"))
            }
            Self::Version(found) => {
                (format!("a version that can be at revision {main}"), format!("version {found}"))
            }
            Self::FirstVersion { version, create } => (
                "version 1 exactly if create and mod revision are equal".into(),
                format!("version {version}, created at {create}, written at {main}"),
            ),
            Self::TombstoneContent => ("a deletion with its key alone".into(), "more than a key".into()),
            Self::DeletionUnmarked => (
                "a create revision and a version, as every write has, or the mark of a deletion".into(),
                "a deletion's content, its key alone, without that mark".into(),
            ),
            Self::WriteMarkedDeleted => {
                ("a deletion with its key alone".into(), format!("the write of revision {main}"))
            }
            Self::Form => (
                "the six fields that a record has, in order".into(),
                "a field that etcd does not know, another order, or a number longer than it has to be: a field may be missing".into(),
            ),
            Self::MoreFields => (
                "the six fields that a record has".into(),
                "a field behind them that etcd 3.4 to 3.7 do not have".into(),
            ),
            Self::EmptyKey => ("a key of at least one byte".into(), "an empty key".into()),
            Self::Repeated => {
                ("every revision once".into(), format!("revision {revision} as write and as deletion"))
            }
            Self::Gap { after } => {
                let missing = main.saturating_sub(after).saturating_sub(1);
                let are = if missing == 1 { "is" } else { "are" };
                (
                    format!("revision {} after {after}", after.saturating_add(1)),
                    format!("revision {main}: {missing} {are} missing"),
                )
            }
            Self::SubGap { expected } => {
                (format!("change {expected} of revision {main}"), format!("change {}", revision.sub))
            }
            Self::VersionStep { previous, version } => (
                format!("version {} after {previous}", previous.saturating_add(1)),
                format!("version {version}"),
            ),
            Self::CreateChanged { previous, create } => {
                (format!("create revision {previous}, as before"), format!("create revision {create}"))
            }
            Self::BornTwice => {
                ("an update of a key that is alive".into(), format!("a creation at revision {main}"))
            }
            Self::NothingToUpdate(version) => (
                "an earlier version of the key above the compact revision".into(),
                format!("version {version} without any before it"),
            ),
            Self::NothingToDelete => (
                "a live key to delete".into(),
                format!("a deletion at revision {main} of a key that is not there"),
            ),
        }
    }

    /// Whether writes or deletions are gone, rather than odd.
    pub fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Gap { .. }
                | Self::SubGap { .. }
                | Self::NothingToUpdate(_)
                | Self::NothingToDelete
                | Self::DeletionUnmarked
                | Self::WriteMarkedDeleted
        )
    }
}

/// A rule that a record breaks by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contradiction {
    /// The record's revision.
    pub revision: Revision,
    /// The rule.
    pub rule: HistoryFaultKind,
}

impl std::fmt::Display for Contradiction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (expected, found) = self.rule.expected_and_found(self.revision);
        write!(f, "expected {expected}, found {found}")
    }
}

/// Main revisions of which nothing is there, or only a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostRevisions {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
    /// Some changes of it are there.
    pub part: bool,
}

impl std::fmt::Display for LostRevisions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { first, last, part } = self;
        match (part, first == last) {
            (true, _) => write!(f, "a part of revision {first} is missing"),
            (false, true) => write!(f, "revision {first} is missing"),
            (false, false) => write!(f, "revisions {first} to {last} are missing"),
        }
    }
}

impl HistoryFaultKind {
    /// The revisions that are missing, where this is said of a record at main revision
    /// `main`.
    pub(crate) fn lost(&self, main: i64) -> Option<LostRevisions> {
        match *self {
            Self::Gap { after } => Some(LostRevisions {
                first: after.saturating_add(1),
                last: main.saturating_sub(1),
                part: false,
            }),
            Self::SubGap { .. } => Some(LostRevisions { first: main, last: main, part: true }),
            _ => None,
        }
    }
}

/// Broken rules: exact counts, and the first of each in full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryLog {
    kinds: BTreeMap<&'static str, (u64, Vec<HistoryFault>)>,
}

impl HistoryLog {
    const KEPT: usize = 1000;

    #[cold]
    pub(in crate::etcd) fn push(&mut self, record: &Record<'_>, kind: HistoryFaultKind) {
        let (count, kept) = self.kinds.entry(kind.code()).or_default();
        *count = count.saturating_add(1);
        if kept.len() < Self::KEPT {
            let key = Excerpt::of(record.kv.key);
            kept.push(HistoryFault { revision: record.revision, key, offset: record.offset, kind });
        }
    }

    /// Takes back the revisions that were missed in order, for those that are nowhere.
    pub(in crate::etcd) fn correct(&mut self, image: &Image<'_>, holes: &[Hole]) {
        self.kinds.retain(|_, (_, kept)| kept.iter().all(|fault| fault.kind.lost(0).is_none()));
        for hole in holes {
            if let Some(record) = Record::at(image, hole.offset) {
                self.push(&Record { revision: hole.revision, ..record }, hole.rule);
            }
        }
    }

    pub(super) fn append(&mut self, later: Self) {
        for (code, (more, faults)) in later.kinds {
            let (count, kept) = self.kinds.entry(code).or_default();
            *count = count.saturating_add(more);
            let room = Self::KEPT.saturating_sub(kept.len());
            kept.extend(faults.into_iter().take(room));
        }
    }

    /// The faults of each rule: its code, how many, and the first of them.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, u64, &[HistoryFault])> {
        self.kinds.iter().map(|(code, (count, faults))| (*code, *count, faults.as_slice()))
    }

    /// Whether all rules hold.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}
