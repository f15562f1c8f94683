//! The new snapshot: written, read back, and put in its place.

use std::io::Write;
use std::path::Path;

use crate::bolt::{BuildError, Builder, Metas};
use crate::etcd::schema;
use crate::source::Source;

use super::super::finding::{Check, Grade};
use super::super::repack::Written;
use super::super::whole_file::WholeFile;
use super::super::{OpError, Settings, verify};
use super::found::Found;
use super::small::Small;
use super::{Plan, SalvageError};

/// Hands the new database to a builder.
pub(super) fn emit<W: Write>(
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
            let mut key = Vec::new();
            for found in records {
                // Not as the file has it: to measure, nothing is read.
                key.clear();
                found.revision_key().append_to(&mut key);
                if let Some((_, value)) = found.entry(file) {
                    builder.entry(&key, value)?;
                }
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
        let objections = file.publish(|staged| self.read_back(staged, sha256, options, settings))?;
        Ok(Saved { written: Written { size, sha256 }, is_sound: objections.is_empty(), objections })
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

    /// Verifies what was written, and says what in it is suspicious.
    fn read_back(
        &self,
        staged: &Path,
        sha256: [u8; 32],
        options: &verify::Options,
        settings: &Settings<'_>,
    ) -> Result<Vec<(&'static str, u64)>, SalvageError> {
        let source = Source::open(staged)?;
        let report =
            verify::verify_written(&source, sha256, settings, options).map_err(|error| match error {
                OpError::Source(error) => SalvageError::Source(error),
                _ => SalvageError::Build(BuildError::Changed),
            })?;
        if !self.fits(&report) {
            return Err(SalvageError::ReadBack(Box::new(report)));
        }
        let kinds = report.findings.kinds().into_iter();
        let objections = kinds.filter(|(_, _, grade, ..)| *grade > Grade::Note);
        Ok(objections.map(|(_, code, _, count, _)| (code, count)).collect())
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
    /// values is carried over as it was.
    pub is_sound: bool,
    /// What it is not, as `verify` calls it: codes of findings, and how many there are.
    pub objections: Vec<(&'static str, u64)>,
}
