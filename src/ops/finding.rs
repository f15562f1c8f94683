//! Findings: what a check has to say, graded.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bolt::{Excerpt, KeyRange, Place};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Worth knowing; the backup is sound.
    Note,
    /// Not as etcd leaves it; the data may be affected.
    Suspicious,
    /// Data is lost.
    DataLost,
    /// No database that can be opened.
    Fatal,
}

impl std::fmt::Display for Grade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Suspicious => "suspicious",
            Self::DataLost => "data-lost",
            Self::Fatal => "fatal",
        })
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Is it a database, and all there?
    File,
    /// The SHA-256 behind the pages.
    Digest,
    /// The two metas.
    Metas,
    /// Every page, its elements, their order.
    Tree,
    /// The stored list of free pages.
    Freelist,
    /// etcd's buckets and the entries of the small ones.
    Schema,
    /// Every record of every key's history.
    History,
    /// Leases, and keys attached to them.
    Leases,
    /// Alarms that are on.
    Alarms,
    /// Users and roles.
    Auth,
    /// Members, voters, learners.
    Membership,
    /// Stored values of Kubernetes objects.
    Kubernetes,
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Digest => "digest",
            Self::Metas => "metas",
            Self::Tree => "tree",
            Self::Freelist => "freelist",
            Self::Schema => "schema",
            Self::History => "history",
            Self::Leases => "leases",
            Self::Alarms => "alarms",
            Self::Auth => "auth",
            Self::Membership => "membership",
            Self::Kubernetes => "kubernetes",
        })
    }
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub grade: Grade,
    /// The check that found it.
    pub check: Check,
    /// A stable name of what it is.
    pub code: &'static str,
    /// Where.
    pub place: Place,
    /// The bucket, if it is in one.
    pub bucket: Option<String>,
    /// The key it is about: of the bucket, or the user's key.
    pub key: Option<Excerpt>,
    /// What a sound file would have.
    pub expected: String,
    /// What there is.
    pub found: String,
    /// Keys of the bucket that cannot be read because of it.
    pub lost: Option<KeyRange>,
}

impl Finding {
    /// A finding without a place in the file.
    pub fn new(grade: Grade, check: Check, code: &'static str) -> Self {
        Self {
            grade,
            check,
            code,
            place: Place::default(),
            bucket: None,
            key: None,
            expected: String::new(),
            found: String::new(),
            lost: None,
        }
    }

    /// With what a sound file would have, and what there is.
    #[must_use]
    pub fn because(mut self, expected: impl Into<String>, found: impl Into<String>) -> Self {
        self.expected = expected.into();
        self.found = found.into();
        self
    }

    /// With a place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// With a key.
    #[must_use]
    pub fn about(mut self, key: Excerpt) -> Self {
        self.key = Some(key);
        self
    }

    /// With a bucket.
    #[must_use]
    pub fn of_bucket(mut self, bucket: impl Into<String>) -> Self {
        self.bucket = Some(bucket.into());
        self
    }
}

/// Findings: exact counts, and the first thousand of each kind.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    kinds: BTreeMap<(Check, &'static str), Kind>,
    explained: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Clone)]
struct Kind {
    count: u64,
    grade: Grade,
    kept: Vec<Finding>,
}

impl Findings {
    /// How many findings of one kind are kept in full.
    pub const KEPT: usize = 1000;

    /// Adds a finding.
    pub fn push(&mut self, finding: Finding) {
        self.count_more(finding, 1);
    }

    /// Adds a finding that stands for `count` of its kind.
    pub fn count_more(&mut self, finding: Finding, count: u64) {
        let kind = self.kinds.entry((finding.check, finding.code)).or_insert_with(|| Kind {
            count: 0,
            grade: finding.grade,
            kept: Vec::new(),
        });
        kind.count = kind.count.saturating_add(count);
        kind.grade = kind.grade.max(finding.grade);
        if kind.kept.len() < Self::KEPT {
            kind.kept.push(finding);
        }
    }

    /// Counts findings that revisions which are missing explain, and that are told with
    /// these.
    pub(crate) fn explain(&mut self, code: &'static str, count: u64) {
        let explained = self.explained.entry(code).or_default();
        *explained = explained.saturating_add(count);
    }

    /// What the revisions that are missing explain (`revision-gap`, `sub-revision-gap`):
    /// rules that later records of the same keys break because of them, by code. They are
    /// no findings of their own.
    pub fn explained(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.explained.iter().map(|(code, count)| (*code, *count))
    }

    /// Whether there is a finding of this code.
    pub fn has(&self, code: &str) -> bool {
        self.kinds.keys().any(|(_, of)| *of == code)
    }

    /// The kinds of findings, the worst first: check, code, grade, exact count,
    /// and the first of them in the order of their places.
    pub fn kinds(&self) -> Vec<(Check, &'static str, Grade, u64, &[Finding])> {
        let mut kinds: Vec<_> = self
            .kinds
            .iter()
            .map(|((check, code), kind)| (*check, *code, kind.grade, kind.count, kind.kept.as_slice()))
            .collect();
        kinds.sort_by_key(|(check, _, grade, ..)| (std::cmp::Reverse(*grade), *check));
        kinds
    }

    /// Brings the kept findings into the order of their places.
    pub(crate) fn sort(&mut self) {
        for kind in self.kinds.values_mut() {
            kind.kept.sort_by_key(|finding| finding.place);
        }
    }

    /// The worst grade there is.
    pub fn worst(&self) -> Option<Grade> {
        self.kinds.values().map(|kind| kind.grade).max()
    }

    /// The worst grade that a check gave, and how many findings.
    pub fn of_check(&self, check: Check) -> (Option<Grade>, u64) {
        let mine = self.kinds.iter().filter(|((of, _), _)| *of == check).map(|(_, kind)| kind);
        mine.fold((None, 0), |(grade, count), kind| {
            (grade.max(Some(kind.grade)), kind.count.saturating_add(count))
        })
    }

    /// How many findings there are of a grade.
    pub fn count_of(&self, grade: Grade) -> u64 {
        self.kinds.values().filter(|kind| kind.grade == grade).map(|kind| kind.count).sum()
    }
}
