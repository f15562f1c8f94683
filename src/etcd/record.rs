//! Records: the entries of bucket `key`, each a write or a deletion.

use crate::bolt::{Bucket, Excerpt, FileOffset, Fold, Image, LeafElement, LeafView};
use crate::codec::protobuf::WireFault;

use super::history::Contradiction;
use super::key_value::{AsWritten, KeyValue};
use super::revision::{Revision, RevisionFault, RevisionKey};
use super::schema;

/// An entry of bucket `key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was written.
    pub revision: Revision,
    /// Whether it deletes its key.
    pub tombstone: bool,
    /// Whether its message has the form that etcd gives it.
    pub as_written: AsWritten,
    /// What was written.
    pub kv: KeyValue<'a>,
    /// Where its leaf element stands in the file.
    pub offset: FileOffset,
}

/// Why an entry of bucket `key` is no record, or none that can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// Its key is no revision.
    #[error("the key is no revision: {0}")]
    Revision(#[from] RevisionFault),
    /// Its value is no `KeyValue`.
    #[error("the value is no key-value message: {0}")]
    Value(#[from] WireFault),
    /// It is a nested bucket.
    #[error("a nested bucket")]
    Bucket,
    /// It can be read, and contradicts itself. Only [`Credible`](super::credible::Credible)
    /// says so.
    #[error("it contradicts itself: {0}")]
    Contradiction(Contradiction),
}

impl<'a> Record<'a> {
    /// Reads the record that a leaf element holds.
    ///
    /// # Errors
    /// See [`RecordFault`].
    #[inline]
    pub fn parse(element: &LeafElement<'a>) -> Result<Self, RecordFault> {
        if element.is_bucket {
            return Err(RecordFault::Bucket);
        }
        Self::read(element.key(), element.value(), element.offset)
    }

    /// Reads the record that an entry of bucket `key` is, which stands at `offset`.
    ///
    /// # Errors
    /// See [`RecordFault`].
    #[inline]
    pub fn read(key: &[u8], value: &'a [u8], offset: FileOffset) -> Result<Self, RecordFault> {
        let RevisionKey { revision, tombstone } = RevisionKey::parse(key)?;
        let (kv, as_written) = KeyValue::parse_with_form(value)?;
        Ok(Self { revision, tombstone, as_written, kv, offset })
    }

    /// Reads again the record whose leaf element stands at `offset`.
    #[inline]
    pub fn at(image: &Image<'a>, offset: FileOffset) -> Option<Self> {
        Self::parse(&image.element(offset)?).ok()
    }

    /// Whether this is the record that a restore with a bumped revision leaves
    /// behind: a write of nothing under no key.
    pub fn is_bump(&self) -> bool {
        !self.tombstone && self.kv == KeyValue::default()
    }
}

/// An entry of bucket `key` that is no record, or none that can be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRecord {
    /// Where its leaf element stands in the file.
    pub offset: FileOffset,
    /// Its key in the bucket.
    pub key: Excerpt,
    /// What is wrong with it.
    pub fault: RecordFault,
}

/// One question asked of all records, in the order of their revisions. What a
/// [`Fold`] is to leaves.
pub trait RecordFold<'a>: Sync {
    /// What a run of records amounts to.
    type Part: Send;
    /// What all records amount to.
    type Total: Send;

    /// The total of nothing.
    fn total(&self) -> Self::Total;
    /// An empty part.
    fn part(&self) -> Self::Part;
    /// Takes in a record.
    fn record(&self, part: &mut Self::Part, record: &Record<'a>);
    /// Adds the part that follows.
    fn join(&self, total: &mut Self::Total, part: Self::Part);
}

/// Unreadable records: how many, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnreadableLog {
    /// All of them.
    pub count: u64,
    /// The first thousand.
    pub first: Vec<UnreadableRecord>,
}

impl UnreadableLog {
    const KEPT: usize = 1000;

    pub(super) fn push(&mut self, found: UnreadableRecord) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < Self::KEPT {
            self.first.push(found);
        }
    }

    pub(super) fn append(&mut self, later: Self) {
        self.count = self.count.saturating_add(later.count);
        let room = Self::KEPT.saturating_sub(self.first.len());
        self.first.extend(later.first.into_iter().take(room));
    }
}

/// Makes a fold over leaves of a fold over records: each entry of bucket `key`
/// is parsed once, however many questions are asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Records<R>(pub R);

impl<'a, R: RecordFold<'a>> Fold<'a> for Records<R> {
    type Part = Option<(R::Part, UnreadableLog)>;
    type Total = (R::Total, UnreadableLog);

    fn total(&self) -> Self::Total {
        (self.0.total(), UnreadableLog::default())
    }

    fn part(&self, bucket: &Bucket<'a>) -> Self::Part {
        bucket.is(schema::KEY).then(|| (self.0.part(), UnreadableLog::default()))
    }

    #[inline]
    fn leaf(&self, part: &mut Self::Part, _: &Bucket<'a>, leaf: &LeafView<'_, 'a>) {
        let Some((part, unreadable)) = part else { return };
        for element in leaf.elements {
            match Record::parse(element) {
                Ok(record) => self.0.record(part, &record),
                Err(fault) => {
                    let (offset, key) = (element.offset, Excerpt::of(element.key()));
                    unreadable.push(UnreadableRecord { offset, key, fault });
                }
            }
        }
    }

    fn join(&self, total: &mut Self::Total, _: &Bucket<'a>, part: Self::Part) {
        if let Some((part, unreadable)) = part {
            self.0.join(&mut total.0, part);
            total.1.append(unreadable);
        }
    }
}

macro_rules! record_fold_of_tuple {
    ($($name:ident $index:tt),+) => {
        impl<'a, $($name: RecordFold<'a>),+> RecordFold<'a> for ($($name,)+) {
            type Part = ($($name::Part,)+);
            type Total = ($($name::Total,)+);

            fn total(&self) -> Self::Total {
                ($(self.$index.total(),)+)
            }

            fn part(&self) -> Self::Part {
                ($(self.$index.part(),)+)
            }

            #[inline]
            fn record(&self, part: &mut Self::Part, record: &Record<'a>) {
                $(self.$index.record(&mut part.$index, record);)+
            }

            fn join(&self, total: &mut Self::Total, part: Self::Part) {
                $(self.$index.join(&mut total.$index, part.$index);)+
            }
        }
    };
}

record_fold_of_tuple!(A 0, B 1);
record_fold_of_tuple!(A 0, B 1, C 2);

/// Asks only whether the records can be read.
impl<'a> RecordFold<'a> for () {
    type Part = ();
    type Total = ();

    fn total(&self) {}

    fn part(&self) {}

    #[inline]
    fn record(&self, (): &mut (), _: &Record<'a>) {}

    fn join(&self, (): &mut (), (): ()) {}
}

/// Asks a question only if there is one.
impl<'a, R: RecordFold<'a>> RecordFold<'a> for Option<R> {
    type Part = Option<R::Part>;
    type Total = Option<R::Total>;

    fn total(&self) -> Self::Total {
        self.as_ref().map(RecordFold::total)
    }

    fn part(&self) -> Self::Part {
        self.as_ref().map(RecordFold::part)
    }

    #[inline]
    fn record(&self, part: &mut Self::Part, record: &Record<'a>) {
        if let (Some(fold), Some(part)) = (self, part) {
            fold.record(part, record);
        }
    }

    fn join(&self, total: &mut Self::Total, part: Self::Part) {
        if let (Some(fold), Some(total), Some(part)) = (self, total.as_mut(), part) {
            fold.join(total, part);
        }
    }
}
