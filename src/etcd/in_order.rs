//! Records in the order of their revisions, where the tree has them in another.
//!
//! Whoever answers from records takes them in the order of the tree, in which a later one
//! replaces those before it. Where a page stands in another one's place, an older value
//! would come last, and what was deleted would be alive again. Such a tree is walked once
//! more for a list of what it holds, and the records are read in the order of that list.
//! It costs up to 48 bytes for each record while the list grows.

use crate::bolt::{Db, FaultLog, FileOffset, Image, WalkOptions, walk};

use super::credible::{Credible, Judge};
use super::record::{Record, RecordFold};
use super::revision::Revision;
use super::schema;

/// Where the records of a store are, by their revisions.
#[derive(Debug)]
pub(crate) struct InOrder {
    records: Vec<(Revision, FileOffset)>,
}

impl InOrder {
    /// How many records make a part: what a fold keeps of one is not all of them.
    const PART: usize = 1 << 14;

    /// The records of `db` that `judge` believes, after a walk that met `faults`; `None` if
    /// the tree has them in order. Of two with one revision the one farther behind in the
    /// file counts.
    pub(crate) fn where_needed(
        db: &Db<'_>,
        judge: Judge,
        faults: &FaultLog,
        options: &WalkOptions<'_>,
    ) -> Option<Self> {
        if !faults.is_out_of_order(schema::KEY) {
            return None;
        }
        let options = WalkOptions { only: Some(&[schema::KEY]), progress: None, ..*options };
        let (answered, _) = walk(db, &Credible { fold: Places, judge }, &options);
        let mut records = answered.total;
        if records.is_sorted_by_key(|(revision, _)| *revision) {
            return None;
        }
        records.sort_unstable();
        records.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                *kept = *later;
            }
            same
        });
        Some(Self { records })
    }

    /// Where the records are, in the order of their revisions.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = FileOffset> {
        self.records.iter().map(|(_, offset)| *offset)
    }

    /// Asks `fold` of them.
    pub(crate) fn ask<'a, R: RecordFold<'a>>(&self, image: &Image<'a>, fold: &R) -> R::Total {
        let mut total = fold.total();
        for places in self.records.chunks(Self::PART) {
            let mut part = fold.part();
            for record in places.iter().filter_map(|(_, offset)| Record::at(image, *offset)) {
                fold.record(&mut part, &record);
            }
            fold.join(&mut total, part);
        }
        total
    }
}

/// Lists records.
struct Places;

impl<'a> RecordFold<'a> for Places {
    type Part = Vec<(Revision, FileOffset)>;
    type Total = Vec<(Revision, FileOffset)>;

    fn total(&self) -> Self::Total {
        Vec::new()
    }

    fn part(&self) -> Self::Part {
        Vec::new()
    }

    fn record(&self, part: &mut Self::Part, record: &Record<'a>) {
        part.push((record.revision, record.offset));
    }

    fn join(&self, total: &mut Self::Total, part: Self::Part) {
        total.extend(part);
    }
}
