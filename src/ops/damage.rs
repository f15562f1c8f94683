//! Damage on the way to an answer, and whether there can be one.

use crate::bolt::{Db, FaultLog, WalkReport, bucket_names};
use crate::etcd::record::UnreadableLog;
use crate::etcd::schema;

use super::{OpError, Settings};

/// Damage met on the way to an answer.
#[derive(Debug, Clone, Default)]
pub struct Damage {
    /// Bytes missing at the end of the file.
    pub missing_bytes: u64,
    /// Faults of pages and trees.
    pub tree: FaultLog,
    /// Records that cannot be read.
    pub records: UnreadableLog,
}

impl Damage {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty() && self.records.count == 0 && self.missing_bytes == 0
    }

    /// How many faults there are.
    pub fn len(&self) -> u64 {
        self.tree.len().saturating_add(self.records.count)
    }

    /// Itself if there is none, or it is to be skipped and does not take all of
    /// the bucket that the answer is made of.
    pub(crate) fn tolerated(self, lost: Option<Lost>, settings: &Settings<'_>) -> Result<Self, OpError> {
        match lost {
            Some(lost) => Err(OpError::NothingLeft { lost, damage: Box::new(self) }),
            None if self.is_empty() || settings.skip_damaged => Ok(self),
            None => Err(OpError::Damaged { damage: Box::new(self) }),
        }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = self.tree.sorted().first().map(|fault| {
            format!("{}: expected {}, found {}", fault.place, fault.kind.expected(), fault.kind.found())
        });
        let first = first.or_else(|| {
            self.records.first.first().map(|record| format!("record {}: {}", record.key, record.fault))
        });
        if self.missing_bytes > 0 {
            write!(f, "{} bytes are missing at its end", self.missing_bytes)?;
        }
        let separator = if self.missing_bytes > 0 { "; " } else { "" };
        match first {
            None => Ok(()),
            Some(first) if self.len() == 1 => write!(f, "{separator}{first}"),
            Some(first) => write!(f, "{separator}{} faults, the first: {first}", self.len()),
        }
    }
}

/// What a walk over the records met, if that can be passed over.
pub(super) fn damage(
    db: &Db<'_>,
    report: WalkReport,
    records: UnreadableLog,
    settings: &Settings<'_>,
) -> Result<Damage, OpError> {
    let lost = Lost::of(db, schema::KEY, report.is_lost(schema::KEY));
    Damage { missing_bytes: db.missing_bytes(), tree: report.faults, records }.tolerated(lost, settings)
}

/// What cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The list of the buckets.
    AllBuckets,
    /// A bucket from its first entry to its last.
    Bucket(&'static [u8]),
}

impl Lost {
    /// `bucket`, if `lost`: with all the others, if not one can be found.
    pub(crate) fn of(db: &Db<'_>, bucket: &'static [u8], lost: bool) -> Option<Self> {
        let named = || if bucket_names(db).0.is_empty() { Self::AllBuckets } else { Self::Bucket(bucket) };
        lost.then(named)
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AllBuckets => f.write_str("the list of buckets"),
            Self::Bucket(name) => write!(f, "bucket {}", name.escape_ascii()),
        }
    }
}
