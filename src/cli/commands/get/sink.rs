//! Where rows and documents go: made by many threads, written by one, in order.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use etcdsnap::kube::value::Value;

use super::documents::Documents;
use super::unshown::Unshown;
use crate::cli::failure::Failure;
use crate::cli::output::columns::{Columns, Rows};

/// What a thread makes of a run of objects.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) rows: Rows,
    pub(super) text: Vec<u8>,
    pub(super) values: Vec<Value<'static>>,
    pub(super) counts: Counts,
    pub(super) failure: Option<String>,
}

/// What is known of objects that were shown, or not.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) shown: u64,
    pub(super) redacted: u64,
    pub(super) unshown: Unshown,
    /// In which versions they are stored that were asked for in another one.
    pub(super) other_versions: BTreeSet<String>,
}

impl Counts {
    pub(super) fn merge(&mut self, more: Self) {
        self.shown += more.shown;
        self.redacted += more.redacted;
        self.unshown.merge(more.unshown);
        self.other_versions.extend(more.other_versions);
    }
}

impl Batch {
    pub(super) fn append(&mut self, more: Self) {
        self.values.extend(more.values);
        self.counts.merge(more.counts);
    }
}

/// Where batches go.
pub(super) enum Sink<'o> {
    /// A table for each type.
    Tables {
        out: &'o mut (dyn io::Write + Send),
        before: bool,
    },
    /// One for all, where the columns are the user's own.
    Table(Columns<'o>),
    Documents(Documents<'o>),
    Text(&'o mut (dyn io::Write + Send)),
    Collected(Vec<(usize, Value<'static>)>),
}

/// The titles of a table; whether they are shown.
#[derive(Default)]
pub(super) struct Titles {
    pub(super) texts: Vec<String>,
    pub(super) shown: bool,
}

impl<'o> Sink<'o> {
    /// Writes the batches of the job with this number, which `produce` hands over in
    /// order. Sets `stop` at the first failure: a closed pipe, for one.
    pub(super) fn write(
        &mut self,
        job: usize,
        titles: &Titles,
        stop: &AtomicBool,
        produce: impl FnOnce(&mut (dyn FnMut(Batch) + Send)),
    ) -> Result<Counts, Failure> {
        let mut counts = Counts::default();
        let mut failure: Option<Failure> = None;
        let mut opened = self.open(job, titles);
        produce(&mut |mut batch: Batch| {
            counts.merge(std::mem::take(&mut batch.counts));
            if failure.is_none() {
                failure = batch.failure.take().map(Failure::new);
                failure = failure.take().or_else(|| opened.take(batch).err().map(Failure::from));
                stop.store(failure.is_some(), Ordering::Relaxed);
            }
        });
        failure.map_or(Ok(()), Err)?;
        opened.end(counts.shown > 0)?;
        Ok(counts)
    }

    fn open<'s>(&'s mut self, job: usize, titles: &Titles) -> Opened<'s, 'o> {
        match self {
            Self::Tables { out, before } => {
                let texts: Vec<&str> = titles.texts.iter().map(String::as_str).collect();
                let mut columns = Columns::new(*out, &texts);
                if !titles.shown {
                    columns = columns.without_titles();
                } else if *before {
                    columns = columns.after_a_blank_line();
                }
                Opened::Own { columns, before }
            }
            Self::Table(columns) => Opened::Common(columns),
            Self::Documents(documents) => Opened::Documents(documents),
            Self::Text(out) => Opened::Text(*out),
            Self::Collected(values) => Opened::Collected(job, values),
        }
    }

    /// Ends what was written; or returns what is still to be.
    pub(super) fn close(self) -> Result<Option<Vec<(usize, Value<'static>)>>, Failure> {
        match self {
            Self::Table(mut columns) => columns.finish().map(|()| None).map_err(Failure::from),
            Self::Tables { .. } | Self::Text(_) => Ok(None),
            Self::Documents(documents) => documents.finish().map(|()| None).map_err(Failure::from),
            Self::Collected(values) => Ok(Some(values)),
        }
    }
}

/// The part of a sink that takes the objects of one job.
enum Opened<'s, 'o> {
    Own { columns: Columns<'s>, before: &'s mut bool },
    Common(&'s mut Columns<'o>),
    Documents(&'s mut Documents<'o>),
    Text(&'s mut (dyn io::Write + Send)),
    Collected(usize, &'s mut Vec<(usize, Value<'static>)>),
}

impl Opened<'_, '_> {
    fn take(&mut self, batch: Batch) -> io::Result<()> {
        match self {
            Self::Own { columns, .. } => columns.add(&batch.rows),
            Self::Common(columns) => columns.add(&batch.rows),
            Self::Documents(documents) => documents.add(&batch.text),
            Self::Text(out) => out.write_all(&batch.text),
            Self::Collected(job, values) => {
                values.extend(batch.values.into_iter().map(|value| (*job, value)));
                Ok(())
            }
        }
    }

    fn end(self, some: bool) -> io::Result<()> {
        if let Self::Own { mut columns, before } = self {
            columns.finish()?;
            *before |= some;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe whose reader has left.
    struct Closed;

    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whoever_reads_objects_is_told_to_stop_when_nobody_takes_them() {
        let titles = Titles::default();
        let mut closed = Closed;
        let mut sink = Sink::Text(&mut closed);
        let stop = AtomicBool::new(false);
        let batch = |text: &str| Batch { text: text.into(), ..Batch::default() };
        let mut read = 0;
        let written = sink.write(0, &titles, &stop, |take| {
            for _ in 0..100 {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                read += 1;
                take(batch("x"));
            }
        });
        assert!(written.is_err());
        assert_eq!(read, 1);
    }

    #[test]
    fn counts_of_all_batches_are_added() {
        let mut out = Vec::new();
        let mut sink = Sink::Text(&mut out);
        let titles = Titles::default();
        let counts = sink.write(0, &titles, &AtomicBool::default(), |take| {
            for text in ["a", "b"] {
                let counts = Counts { shown: 2, redacted: 1, ..Counts::default() };
                take(Batch { text: text.into(), counts, ..Batch::default() });
            }
        });
        let counts = counts.expect("written");
        assert_eq!((counts.shown, counts.redacted), (4, 2));
        assert_eq!(out, b"ab");
    }
}
