//! What was found in a file, as JSON.

use std::collections::BTreeMap;
use std::path::Path;

use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::ops::finding::{Check, Finding, Grade};
use etcdsnap::ops::known_fault::{self, Versions};
use etcdsnap::ops::verify::{CheckResult, Report};
use serde::Serialize;

use super::affected::AffectedDocument;
use super::{is_first_gap, only_locked, says_what_is_affected};
use crate::cli::output::text::{hex, safe, shown};
use crate::cli::{Outcome, words};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'d> {
    pub(super) schema_version: u32,
    pub(super) files: Vec<FileDocument<'d>>,
}

/// What was found in one file.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileDocument<'d> {
    file: String,
    size: u64,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    worst: Option<Grade>,
    digest: DigestDocument,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<FactsDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    affected: Option<AffectedDocument>,
    checks: Vec<CheckDocument>,
    findings: Vec<KindDocument<'d>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DigestDocument {
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    computed: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FactsDocument {
    etcd_version: String,
    revision: i64,
    compact_revision: Option<i64>,
    live_keys: u64,
    pages_in_use: u64,
    pages_free: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckDocument {
    check: Check,
    result: String,
    findings: u64,
    covered: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KindDocument<'d> {
    check: Check,
    code: &'d str,
    grade: Grade,
    count: u64,
    meaning: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'d str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    known_faults: Vec<KnownFaultDocument>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    explains: BTreeMap<&'d str, u64>,
    first: Vec<FindingDocument<'d>>,
}

/// A fault of released versions that leaves such a mark.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KnownFaultDocument {
    what: &'static str,
    affected: Vec<String>,
    fixed_in: Vec<String>,
    references: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingDocument<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    element: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    expected: &'d str,
    found: &'d str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_to: Option<String>,
}

impl<'d> FileDocument<'d> {
    /// The document of `report`; whether it is accepted was decided before.
    pub(crate) fn of(file: &Path, report: &'d Report, outcome: Outcome) -> Self {
        let verdict = match (outcome, report.worst()) {
            (Outcome::Yes, _) => "sound",
            (Outcome::No, None | Some(Grade::Note)) => "not-accepted",
            (Outcome::No, Some(Grade::Suspicious)) if only_locked(report) => "locked",
            (Outcome::No, Some(Grade::Suspicious)) => "doubtful",
            (Outcome::No, Some(Grade::DataLost)) => "damaged",
            (Outcome::No, Some(Grade::Fatal)) => "not-usable",
        };
        Self {
            file: shown(file),
            size: report.file_size,
            verdict,
            worst: report.worst(),
            digest: digest(report.digest),
            facts: report.facts.as_ref().map(|facts| FactsDocument {
                etcd_version: facts.line.0.to_string(),
                revision: facts.revision,
                compact_revision: facts.compact_revision,
                live_keys: facts.live_keys,
                pages_in_use: facts.pages.in_use,
                pages_free: facts.pages.free,
            }),
            affected: says_what_is_affected(report).then(|| AffectedDocument::of(report.affected.as_ref())),
            checks: report.checks.iter().map(check_document).collect(),
            findings: report.findings.kinds().into_iter().map(|kind| kind_document(kind, report)).collect(),
        }
    }
}

fn digest(verdict: Option<DigestVerdict>) -> DigestDocument {
    let (verdict, stored, computed) = match verdict {
        None | Some(DigestVerdict::Absent) => ("absent", None, None),
        Some(DigestVerdict::Matches) => ("matches", None, None),
        Some(DigestVerdict::Differs { stored, computed }) => {
            ("differs", Some(hex(&stored)), Some(hex(&computed)))
        }
    };
    DigestDocument { verdict, stored, computed }
}

fn check_document(check: &CheckResult) -> CheckDocument {
    CheckDocument {
        check: check.check,
        result: match check.worst {
            Some(grade) => grade.to_string(),
            None if check.skipped => "nothing-to-check".to_owned(),
            None => "ok".to_owned(),
        },
        findings: check.findings,
        covered: check.covered.iter().map(|(unit, number)| (camel(unit), (*number).into())).collect(),
    }
}

/// `live keys` as `liveKeys`.
fn camel(words: &str) -> String {
    let mut parts = words.split(' ');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let mut letters = part.chars();
        let capital = letters.next().map(|letter| letter.to_ascii_uppercase());
        name + &capital.into_iter().chain(letters).collect::<String>()
    })
}

fn kind_document<'d>(
    (check, code, grade, count, findings): (Check, &'static str, Grade, u64, &'d [Finding]),
    report: &'d Report,
) -> KindDocument<'d> {
    let (meaning, advice) = words::meaning(code);
    let first = findings.iter().map(|finding| FindingDocument {
        page: finding.place.page.map(|page| page.0),
        element: finding.place.element,
        offset: finding.place.offset.map(|offset| offset.0),
        bucket: finding.bucket.as_deref(),
        key: finding.key.as_ref().map(|key| safe(&key.bytes)),
        expected: &finding.expected,
        found: &finding.found,
        lost_from: finding.lost.as_ref().and_then(|lost| lost.lower.as_ref()).map(|key| hex(&key.bytes)),
        lost_to: finding.lost.as_ref().and_then(|lost| lost.upper.as_ref()).map(|key| hex(&key.bytes)),
    });
    let known_faults = known_fault::of(code, report.was_changed()).iter().map(|fault| KnownFaultDocument {
        what: fault.what,
        affected: fault.versions.iter().map(ToString::to_string).collect(),
        fixed_in: fault.versions.iter().map(Versions::fixed_in).collect(),
        references: fault.pull_requests.iter().map(reference).collect(),
    });
    let known_faults = known_faults.collect();
    let explains =
        if is_first_gap(code, report) { report.findings.explained().collect() } else { BTreeMap::new() };
    KindDocument {
        check,
        code,
        grade,
        count,
        meaning,
        advice,
        known_faults,
        explains,
        first: first.collect(),
    }
}

fn reference(pull_request: &u32) -> String {
    format!("https://github.com/etcd-io/etcd/pull/{pull_request}")
}
