//! A clean snapshot from a damaged one.
//!
//! ```text
//! metas ─▶ root ─▶ survey: what the tree vouches for ─┐
//!                  search: what lies outside of it ───┴▶ records ─▶ history ─▶ new database
//!                          leaves by form, records by form          without holes
//! ```
//!
//! What the tree can still vouch for is taken as it is, and nothing is added there.
//! What lies outside is taken only for keys (of bucket `key`, so revisions) that the
//! tree lost. The rules, and how sure each of them is: `docs/salvage.md`.
//!
//! **Memory:** at most 100 bytes for each record, one bit in four for each page, and the
//! entries of the small buckets.
//!
//! Pages are read and bytes are searched side by side; what is one line of history is put
//! together by one thread, while another computes the digest of what was read.

mod base;
mod found;
mod history;
mod outdated;
mod report;
mod search;
mod small;
mod values;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;

use crate::bolt::{
    BuildError, Builder, Db, Excerpt, KeySpan, Layout, LeafElement, Metas, PageSize, Survey, Surveyor, Trust,
    TxId,
};
use crate::etcd::revision::{Revision, RevisionKey};
use crate::etcd::schema;
use crate::source::{Source, SourceError};

use super::digest::{self, Content};
use super::finding::{Check, Grade};
use super::repack::Written;
use super::whole_file::{FileError, WholeFile};
use super::{Settings, verify};
use base::Start;
use found::{Found, Origin};
use history::{Compacted, History};
use search::{Search, adopt, merge, prove};
use small::Small;

pub use found::Named;
pub use report::{
    Base, BucketState, Doubt, Doubtful, Log, LostRecord, LostRevisions, LostSpan, Outdated, Report,
    SmallBucket, Undecodable, WhyLost,
};
pub use small::LEASE_SECONDS;

/// Why there is no new snapshot. Nothing was left at its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SalvageError {
    /// There is not one record of etcd's in it.
    #[error("not one record of etcd's history was found in {size} bytes")]
    Nothing {
        /// Bytes of the file.
        size: u64,
    },
    /// The input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The new database cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was written is not what was to be written.
    #[error("what was written does not verify")]
    ReadBack(Box<verify::Report>),
}

/// What can be saved of a file.
#[derive(Debug)]
pub struct Plan<'a> {
    source: &'a Source,
    records: Vec<Found>,
    small: Small<'a>,
    layout: Layout,
    txid: TxId,
    /// What is saved, lost and doubtful.
    pub report: Report,
}

/// Finds out what can be saved of `source`. `options` tell which keys are those of
/// Kubernetes.
///
/// # Errors
/// If there is nothing, or the file changed while it was read.
pub fn plan<'a>(
    source: &'a Source,
    options: &verify::Options,
    settings: &Settings<'_>,
) -> Result<Plan<'a>, SalvageError> {
    let file = source.bytes();
    let work = |threads| Salvage::of(file, threads, options);
    let mut found = match Db::open(file) {
        Ok(db) => {
            let (hashed, mut found) = digest::alongside(source, &db, Content::IfStored, settings, work);
            found.report.digest = Some(hashed.verdict);
            found
        }
        Err(_) => work(settings.threads),
    };
    found.history.records.shrink_to_fit();
    source.finish()?;
    let Salvage { start, small, history, mut report } = found;
    if history.records.is_empty() && !start.is_good() {
        return Err(SalvageError::Nothing { size: file.len() as u64 });
    }
    let page_size = start.page_size;
    let mut measuring = Builder::measure(page_size);
    emit(&mut measuring, &small, &history.records, file)?;
    let layout = measuring.layout()?;
    report.size = layout.size();
    let txid = start.db.map_or(TxId(2), |db| TxId(db.meta.txid.0.max(2)));
    Ok(Plan { source, records: history.records, small, layout, txid, report })
}

/// Hands the new database to a builder.
fn emit<W: Write>(
    builder: &mut Builder<W>,
    small: &Small<'_>,
    records: &[Found],
    file: &[u8],
) -> Result<(), BuildError> {
    let mut names: Vec<&[u8]> = small.buckets.keys().map(Vec::as_slice).collect();
    if let Err(at) = names.binary_search(&schema::KEY) {
        names.insert(at, schema::KEY);
    }
    for name in names {
        let (sequence, entries) = match small.buckets.get(name) {
            Some((sequence, entries)) => (*sequence, Some(entries)),
            None => (0, None),
        };
        builder.bucket(name, sequence)?;
        if name == schema::KEY {
            for (key, value) in records.iter().filter_map(|found| found.entry(file)) {
                builder.entry(key, value)?;
            }
        } else {
            for (key, value) in entries.into_iter().flatten() {
                builder.entry(key, value)?;
            }
        }
    }
    Ok(())
}

impl Plan<'_> {
    /// Bytes of the new database, without its digest.
    pub fn size(&self) -> u64 {
        self.layout.size()
    }

    /// Writes the new snapshot to `target`, where nothing may be yet.
    ///
    /// # Errors
    /// See [`SalvageError`].
    pub fn write(
        &self,
        target: &Path,
        options: &verify::Options,
        settings: &Settings<'_>,
    ) -> Result<Saved, SalvageError> {
        let size = self.size().saturating_add(crate::etcd::snapshot::DIGEST_SIZE);
        let file = WholeFile::begin(target, size)?;
        let bytes = self.source.bytes();
        let sha256 = file.write_with_digest(settings.progress, |out| {
            let mut builder = Builder::write(self.layout, Metas::Stream(self.txid), out)?;
            emit(&mut builder, &self.small, &self.records, bytes)?;
            builder.finish().map_err(SalvageError::from)
        })?;
        self.source.finish()?;
        let is_sound = self.read_back(&file, sha256, options, settings)?;
        file.publish()?;
        Ok(Saved { written: Written { size, sha256 }, is_sound })
    }

    /// The new snapshot in memory: for small files.
    ///
    /// # Errors
    /// See [`SalvageError`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, SalvageError> {
        let mut bytes = Vec::new();
        let mut builder = Builder::write(self.layout, Metas::Stream(self.txid), &mut bytes)?;
        emit(&mut builder, &self.small, &self.records, self.source.bytes())?;
        builder.finish()?;
        let digest = crate::codec::checksum::sha256(&bytes);
        bytes.extend_from_slice(&digest);
        Ok(bytes)
    }

    /// Verifies what was written, and says whether nothing in it is suspicious.
    fn read_back(
        &self,
        file: &WholeFile,
        sha256: [u8; 32],
        options: &verify::Options,
        settings: &Settings<'_>,
    ) -> Result<bool, SalvageError> {
        let source = Source::open(file.staged())?;
        let report =
            verify::verify_written(&source, sha256, settings, options).map_err(|error| match error {
                super::OpError::Source(error) => SalvageError::Source(error),
                _ => SalvageError::Build(BuildError::Changed),
            })?;
        if self.fits(&report) { Ok(report.is_sound()) } else { Err(SalvageError::ReadBack(Box::new(report))) }
    }

    /// Whether a file that was made by this plan is as the plan has it.
    pub fn fits(&self, report: &verify::Report) -> bool {
        let bad = |check: &verify::CheckResult| check.worst.is_some_and(|worst| worst >= Grade::DataLost);
        let plan = &self.report;
        let facts = report.facts.as_ref().is_some_and(|facts| {
            facts.revision == plan.revision
                && facts.live_keys == plan.live_keys
                && facts.compact_revision.unwrap_or(0) == plan.compact_after
        });
        // Suspicious values and users are carried over as they were.
        !report.checks.iter().any(|check| check.check != Check::Kubernetes && bad(check))
            && report.digest_matches()
            && facts
    }
}

/// A new snapshot of what was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The file.
    pub written: Written,
    /// Whether all of it is as etcd and Kubernetes leave it. What was broken inside
    /// values and entries is carried over as it was.
    pub is_sound: bool,
}

/// All that was found in a file.
struct Salvage<'a> {
    start: Start<'a>,
    small: Small<'a>,
    history: History,
    report: Report,
}

impl<'a> Salvage<'a> {
    fn of(file: &'a [u8], threads: NonZeroUsize, options: &verify::Options) -> Self {
        let mut start = Start::of_metas(file);
        if start.db.is_none() {
            let nothing = Survey::default();
            let search = Search { file, page_size: start.page_size, survey: &nothing, again: &[], threads };
            let surveyor = Surveyor::new(search.image());
            let remains = search.remains(&surveyor.rest(file.len() as u64));
            start = start.or_by_form(&search, &remains);
        }
        let image = match &start.db {
            Some(db) => db.image,
            None => Db::with_root(file, start.page_size, crate::bolt::PageId(2)).image,
        };
        let surveyor = Surveyor::new(image);
        let mut small = small::read(start.db.as_ref(), &surveyor);
        if start.stale {
            small.is_older();
        }
        let mut records = Vec::new();
        let mut unreadable = Vec::new();
        let mut survey = Survey::default();
        if let Some(root) = start.key {
            let read = |elements: &[LeafElement<'a>], whole: bool| read_leaf(elements, whole, file);
            survey = surveyor.side_by_side(root, threads, read, |(mut found, mut foreign)| {
                records.append(&mut found);
                unreadable.append(&mut foreign);
            });
        }
        let broken = records.iter().filter(|found: &&Found| found.origin == Origin::Broken);
        let mut again: Vec<_> = broken.map(Found::order).collect();
        again.sort_unstable();
        let sound = start.is_good() && small.is_intact() && survey.is_whole() && again.is_empty();
        let outside = if sound {
            Outside::default()
        } else {
            let mut tree = Tree { surveyor: &surveyor, survey: &mut survey, again: &again, threads };
            Outside::find(file, &start, &mut tree, &mut records, &mut small)
        };
        small.make_usable();
        // Those of a sound tree are in order.
        records.sort_by_key(Found::rank);
        merge(&mut records, file);
        let (at, known) = small.compacted();
        let compacted = Compacted { at, known };
        let mut history = history::make(records, file, compacted, outside.records == 0);
        outside.lose_torn(file, &mut history);
        small.leases(&history.leases);
        if history.compact != at || outside.records > 0 && at > 0 {
            small.compact(history.compact);
        }
        let spans = spans(&survey, &outside, &history, compacted);
        let from_outside =
            |found: &&Found| matches!(found.origin, Origin::Page | Origin::Stray | Origin::Pointed);
        for key in unreadable {
            small.foreign.push(key);
        }
        let report = Report {
            base: start.base,
            sound,
            records: history.records.len() as u64,
            live_keys: history.live_keys,
            outside: history.records.iter().filter(from_outside).count() as u64,
            proven_gone: outside.proven_gone,
            dropped: history.dropped,
            revision: history.revision,
            compact_before: at,
            compact_known: known,
            compact_after: history.compact,
            outdated: outdated::outdated(&history, &spans, file),
            spans,
            gaps: std::mem::take(&mut history.gaps),
            lost: std::mem::take(&mut history.lost),
            doubtful: std::mem::take(&mut history.doubtful),
            undecodable: values::undecodable(&history.records, file, &options.prefixes, threads),
            digest: None,
            buckets: std::mem::take(&mut small.told),
            leases_made: small.leases_made,
            auth_disabled: small.auth_disabled,
            foreign: std::mem::take(&mut small.foreign),
            size: 0,
        };
        Self { start, small, history, report }
    }
}

/// The records of a leaf of the tree, and keys that are none of records; and how far the
/// leaf is to be trusted.
fn read_leaf(elements: &[LeafElement<'_>], whole: bool, file: &[u8]) -> (OnLeaf, Trust) {
    let mut records = Vec::with_capacity(elements.len());
    let mut foreign = Vec::new();
    for element in elements {
        match Found::of_element(element) {
            Some(found) => records.push(if found.is_cut(file) { found.broken() } else { found }),
            None => foreign.push(Excerpt::of(element.key())),
        }
    }
    let broken = records.iter().any(|found| found.origin == Origin::Broken);
    let trust = match foreign.is_empty() {
        // Data that was moved gives any keys.
        false => Trust::Nothing,
        true if broken => Trust::Keys,
        true => Trust::Full,
    };
    if !whole {
        foreign.clear();
    }
    ((records, foreign), trust)
}

/// Records, and keys that are none of records.
type OnLeaf = (Vec<Found>, Vec<Excerpt>);

/// The tree of bucket `key`, as far as there is one.
struct Tree<'t, 'a> {
    surveyor: &'t Surveyor<'a>,
    survey: &'t mut Survey<'a>,
    again: &'t [(i64, i64, bool)],
    threads: NonZeroUsize,
}

/// What was found outside of the tree.
#[derive(Debug, Default)]
struct Outside {
    records: u64,
    torn: Vec<Found>,
    proven_gone: u64,
    healed: Vec<crate::bolt::PageId>,
    /// The last record of a tree to which nothing led.
    adopted: Option<Revision>,
}

impl Outside {
    fn find<'a>(
        file: &'a [u8],
        start: &Start<'a>,
        tree: &mut Tree<'_, 'a>,
        records: &mut Vec<Found>,
        small: &mut Small<'a>,
    ) -> Self {
        let page_size: PageSize = start.page_size;
        let size = file.len() as u64;
        let Tree { surveyor, survey, again, threads } = tree;
        let (again, threads) = (*again, *threads);
        let mut adopted = None;
        let mut remains = Search { file, page_size, survey, again, threads }.remains(&surveyor.rest(size));
        if survey.lost().contains(&KeySpan { lower: b"", upper: None }) {
            let search = Search { file, page_size, survey, again, threads };
            if let Some((top, first)) = adopt(&search, &remains) {
                let root = crate::bolt::BucketRoot::Tree(top);
                let image = search.image();
                let read = |elements: &[LeafElement<'a>], whole: bool| read_leaf(elements, whole, file);
                **survey = Surveyor::new(image).side_by_side(root, threads, read, |(mut found, _)| {
                    records.append(&mut found);
                });
                survey.begin_at(first);
                // Had there been a newer one, and it is lost, nothing would tell.
                adopted = remains.newest().map(|(main, sub, _)| Revision { main, sub });
                let search = Search { file, page_size, survey, again, threads };
                let is_wanted = |found: &Found| found.entry(file).is_some_and(|(key, _)| search.wants(key));
                remains.records.retain(is_wanted);
                remains.torn.retain(is_wanted);
            }
        }
        let image = Search { file, page_size, survey, again, threads }.image();
        if !start.is_good() || !small.is_intact() {
            small.complete(&image, file, &remains.roots, &remains.entries, start.is_good());
        }
        let mut found = std::mem::take(&mut remains.records);
        let proven_gone = prove(&mut found, &remains, file, &image);
        let mut torn = std::mem::take(&mut remains.torn);
        if !torn.is_empty() {
            prove(&mut torn, &remains, file, &image);
        }
        let outside = Self {
            records: found.len() as u64,
            torn,
            proven_gone,
            adopted,
            healed: std::mem::take(&mut remains.healed),
        };
        records.append(&mut found);
        outside
    }

    /// Takes down the records of which a part is missing, unless all of one was found
    /// elsewhere, or it was superseded before the last compaction.
    fn lose_torn(&self, file: &[u8], history: &mut History) {
        let keys = self.torn.iter().filter_map(|found| found.key(file));
        let mut newest: HashMap<&[u8], Option<Revision>> = keys.map(|key| (key, None)).collect();
        if newest.is_empty() && self.torn.is_empty() {
            return;
        }
        for found in &history.records {
            if let Some(slot) = found.key(file).and_then(|key| newest.get_mut(key)) {
                *slot = Some(found.revision());
            }
        }
        let mut told: HashSet<Revision> = history.lost.first.iter().map(|lost| lost.named.revision).collect();
        for found in &self.torn {
            if !told.insert(found.revision()) {
                continue;
            }
            let at = history.records.partition_point(|other| other.revision() < found.revision());
            if history.records.get(at).is_some_and(|other| other.revision() == found.revision()) {
                continue;
            }
            let newest = found.key(file).and_then(|key| newest.get(key).copied().flatten());
            let newer = newest.is_some_and(|newest| newest > found.revision());
            if !newer || found.revision().main > history.compact {
                history.lost.push(LostRecord { named: found.named(file), why: WhyLost::Torn { newer } });
            }
        }
    }
}

/// What became of the keys that the tree lost.
fn spans(survey: &Survey<'_>, outside: &Outside, history: &History, compacted: Compacted) -> Vec<LostSpan> {
    let revision = |key: &[u8]| RevisionKey::parse(key).ok().map(|key| key.revision);
    let mut broken = survey.broken.clone();
    broken.sort_unstable_by_key(|broken| broken.span.lower);
    let lost = survey.lost();
    let mut spans = Vec::with_capacity(lost.len());
    for span in lost {
        let (first, end) = (revision(span.lower), span.upper.and_then(revision));
        let from = history.records.partition_point(|found| Some(found.revision()) < first);
        let to = end.map_or(history.records.len(), |end| {
            history.records.partition_point(|found| found.revision() < end)
        });
        let found = to.saturating_sub(from) as u64;
        let inside = broken.partition_point(|broken| broken.span.lower < span.lower);
        let behind = broken.partition_point(|broken| span.upper.is_none_or(|end| broken.span.lower < end));
        let inside = broken.get(inside..behind).unwrap_or_default();
        let is_healed = |page| outside.healed.binary_search(&page).is_ok();
        let healed = !inside.is_empty() && inside.iter().all(|broken| broken.page.is_some_and(is_healed));
        // Above the compact revision every revision was there: none may be missing.
        let above = compacted.known && first.is_some_and(|first| first.main > compacted.at);
        let gaps = &history.gaps.first;
        let next = gaps.partition_point(|gap| first.is_some_and(|first| gap.last < first.main));
        let unkept = history.gaps.count > gaps.len() as u64;
        let hole = unkept || gaps.get(next).is_some_and(|gap| end.is_none_or(|end| gap.first <= end.main));
        let complete = healed || above && end.is_some() && !hole && found > 0;
        spans.push(LostSpan { first, end, found, complete });
    }
    if let Some(last) = outside.adopted {
        spans.push(LostSpan { first: Some(last), end: None, found: 1, complete: false });
    }
    spans
}
