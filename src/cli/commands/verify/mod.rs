mod affected;
mod document;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::kube::encryption::Keyring;
use etcdsnap::ops::finding::{Check, Finding, Grade};
use etcdsnap::ops::known_fault;
use etcdsnap::ops::verify::{CheckResult, Options, Report, verify};

pub(crate) use document::FileDocument;

use document::Document;

use super::{PageFormat, SCHEMA_VERSION, write_json};
use crate::cli::decryption::Decryption;
use crate::cli::failure::{Failure, kind_name};
use crate::cli::input::{KubernetesKeys, Opening, Threads};
use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::terminal;
use crate::cli::output::text::{count, harmless, shown};
use crate::cli::{Context, Outcome, progress, words};

/// Can this backup be trusted?
///
/// Checks the digest, every page, every entry, every record of every key's
/// history, leases, users, members, and what the values of Kubernetes objects
/// are, in one pass. Nothing is written. Exit 0: sound. Exit 1: it is not.
#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// Snapshots, or copies of members' db files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A missing digest counts as a fault
    #[arg(long)]
    require_digest: bool,
    /// Notes count as faults
    #[arg(long)]
    strict: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PageFormat::Text)]
    output: PageFormat,
    #[command(flatten)]
    opening: Opening,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
    #[command(flatten)]
    decryption: Decryption,
}

impl Verify {
    /// The files that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.files.clone()
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::Yes;
        let mut documents = Vec::new();
        let mut reports = Vec::new();
        let mut unreadable = 0;
        let keyring = self.decryption.keyring(context)?.map(Arc::new);
        for (index, file) in self.files.iter().enumerate() {
            let report = match self.check(context, file, keyring.as_ref()) {
                Ok(report) => report,
                // The others are looked at all the same.
                Err(failure) if self.files.len() > 1 => {
                    context.out.flush()?;
                    failure.report();
                    unreadable += 1;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            outcome = outcome.max(self.outcome(&report));
            if self.output == PageFormat::Text {
                if index > 0 {
                    writeln!(context.out)?;
                }
                self.text(context, file, &report)?;
                context.out.flush()?;
            }
            reports.push((file, report));
        }
        if self.output == PageFormat::Json {
            documents.extend(
                reports.iter().map(|(file, report)| FileDocument::of(file, report, self.outcome(report))),
            );
            write_json(context.out, &Document { schema_version: SCHEMA_VERSION, files: documents })?;
        }
        if unreadable > 0 {
            context.out.flush()?;
            let files = count(unreadable, "file", "files");
            return Err(Failure::new(format!("{files} of {} could not be read", self.files.len()))
                .hint("the errors above say why; the other files were checked"));
        }
        Ok(outcome)
    }

    fn check(
        &self,
        context: &Context<'_>,
        file: &Path,
        keyring: Option<&Arc<Keyring>>,
    ) -> Result<Report, Failure> {
        // Each file is a matter of its own, with which `verify` ends by asking whether it
        // changed: no witness of those before is wanted, nor that all of them stay open.
        let source = self.opening.open(file)?;
        context.progress.hashed.store(0, Ordering::Relaxed);
        let options =
            Options { prefixes: self.kubernetes.prefixes(), keyring: keyring.cloned(), ..Options::default() };
        let size = source.bytes().len() as u64;
        let done = |progress: &etcdsnap::ops::Progress| progress.hashed.load(Ordering::Relaxed);
        let settings = self.threads.settings(context);
        progress::watch(context, "verifying", size, done, || verify(&source, &settings, &options))
            .map_err(Failure::from)
    }

    fn outcome(&self, report: &Report) -> Outcome {
        let sound = report.is_sound()
            && (!self.require_digest || report.digest_matches())
            && (!self.strict || report.worst().is_none());
        if sound { Outcome::Yes } else { Outcome::No }
    }

    fn text(&self, context: &mut Context<'_>, file: &Path, report: &Report) -> Result<(), Failure> {
        // All of it before it is written: where lines end depends on where it goes.
        let mut page = Vec::new();
        self.page(&mut page, context.global.verbose, file, report)?;
        let page = String::from_utf8_lossy(&page);
        let width = terminal::width(&std::io::stdout());
        context.out.write_all(terminal::wrapped(&harmless(&page), width).as_bytes())?;
        Ok(())
    }

    fn page(&self, out: &mut dyn Write, verbose: bool, file: &Path, report: &Report) -> Result<(), Failure> {
        let name = shown(file);
        write!(out, "{name}: {}", humanized(report.file_size))?;
        if let Some(facts) = &report.facts {
            let (line, evidence) = facts.line;
            write!(out, ", written by etcd {line} ({})", words::evidence(evidence))?;
            write!(out, ", revision {}", facts.revision)?;
        }
        writeln!(out, "\n")?;
        for check in &report.checks {
            let (mark, covered) = (mark(check), covered(check, report));
            writeln!(out, "  {mark:<10}  {:<10}  {covered}", check.check.to_string())?;
        }
        for (check, code, grade, number, findings) in report.findings.kinds() {
            let times =
                if number > 1 { format!(", {}", count(number, "time", "times")) } else { String::new() };
            writeln!(out, "\n{grade}: {code} ({check}{times})")?;
            let shown = if verbose { findings.len() } else { 5 };
            for finding in findings.iter().take(shown) {
                writeln!(out, "  {}", words::line(finding))?;
                if let Some(lost) = &finding.lost {
                    writeln!(out, "    {}", lost_keys(finding, lost))?;
                }
            }
            let rest = number.saturating_sub(findings.len().min(shown) as u64);
            if rest > 0 {
                let how = if verbose { "" } else { " (-v shows up to a thousand)" };
                writeln!(out, "  and {} more{how}", grouped(rest))?;
            }
            let explained = report.findings.explained().filter(|_| is_first_gap(code, report));
            let explained: Vec<_> =
                explained.map(|(code, count)| format!("{code} ({})", grouped(count))).collect();
            if !explained.is_empty() {
                writeln!(
                    out,
                    "  Explained by it, and not told again: later records of the same keys, {}.",
                    explained.join(", ")
                )?;
            }
            let (meaning, advice) = words::meaning(code);
            writeln!(out, "  What it means: {meaning}")?;
            for fault in known_fault::of(code, report.was_changed()) {
                writeln!(out, "  Known fault: {fault}")?;
            }
            // What it really is tells more than what it is not.
            if let Some(advice) = advice.filter(|_| report.looks_like.is_none()) {
                writeln!(out, "  What to do: {advice}")?;
            }
        }
        if report.facts.is_none()
            && let Some(kind) = report.looks_like
        {
            writeln!(out, "  It is {}.", kind_name(kind))?;
            let error = etcdsnap::bolt::OpenError::Empty;
            if let Some(advice) = crate::cli::failure::advice(&error, Some(kind), file) {
                writeln!(out, "  What to do: {advice}")?;
            }
        }
        if says_what_is_affected(report) {
            affected::write(out, report.affected.as_ref(), verbose)?;
        }
        writeln!(out, "\n{}", self.sentence(report))?;
        Ok(())
    }

    /// The one sentence to read if nothing else is.
    fn sentence(&self, report: &Report) -> String {
        let notes = report.findings.count_of(Grade::Note);
        let notes =
            if notes == 0 { String::new() } else { format!(" {} above.", count(notes, "note", "notes")) };
        match report.worst() {
            None | Some(Grade::Note) if self.require_digest && !report.digest_matches() => {
                "NOT ACCEPTED: the content is sound, but there is no digest, and --require-digest asks for one.".into()
            }
            None | Some(Grade::Note) if self.strict && report.worst().is_some() => {
                format!("NOT ACCEPTED: sound, but --strict accepts no notes.{notes}")
            }
            None | Some(Grade::Note) if report.digest_matches() && report.findings.has("meta-unusable") => {
                format!("SOUND: the digest matches, and all of it can be read by way of the meta that is left.{notes}")
            }
            None | Some(Grade::Note) if report.digest_matches() => {
                format!("SOUND: this is what etcd saved, byte for byte, and all of it can be read.{notes}")
            }
            None | Some(Grade::Note) => format!(
                "SOUND as far as can be told without a digest: all of it can be read and nothing contradicts itself.{notes}"
            ),
            Some(Grade::Suspicious) if only_locked(report) => {
                "LOCKED: the file itself can be read, but this key file does not open all of it, so a restored API server could not read it either. `etcdsnap encryption` tells more.".into()
            }
            Some(Grade::Suspicious) if stops_etcd(report) => {
                "DOUBTFUL: etcd itself would crash on this file as it is. All of it can be read, and what `etcdsnap restore` and `etcdsnap salvage` write can be opened; prefer another backup if there is one.".into()
            }
            Some(Grade::Suspicious) => {
                "DOUBTFUL: it can be read, but it is not as etcd leaves its files. Prefer another backup if there is one.".into()
            }
            Some(Grade::DataLost) => {
                "DAMAGED: do not rely on this backup. Use another copy of it or another backup; keep this file until one is restored.".into()
            }
            Some(Grade::Fatal) => {
                "NOT USABLE: neither etcd nor a restore can open this file.".into()
            }
        }
    }
}

/// Whether there is damage of which somebody wants to know what it means for the keys.
fn says_what_is_affected(report: &Report) -> bool {
    report.digest.is_some() && !report.is_sound() && !only_locked(report)
}

/// Whether findings of this code are those with which is told what gaps explain.
fn is_first_gap(code: &str, report: &Report) -> bool {
    let gaps = ["revision-gap", "sub-revision-gap"];
    gaps.into_iter().find(|gap| report.findings.has(gap)) == Some(code)
}

/// Whether etcd would crash on the file at start, by what a restore writes anew.
fn stops_etcd(report: &Report) -> bool {
    let stops = ["meta-impossible", "meta-header", "not-a-freelist", "freelist-too-long"];
    stops.into_iter().any(|code| report.findings.has(code))
}

/// Whether nothing is wrong but that keys are missing.
fn only_locked(report: &Report) -> bool {
    let kinds = report.findings.kinds();
    kinds.iter().all(|(_, code, grade, ..)| *grade == Grade::Note || *code == "value-locked")
}

fn mark(check: &CheckResult) -> String {
    match check.worst {
        Some(grade) => grade.to_string(),
        None if check.skipped => "-".to_owned(),
        None => "ok".to_owned(),
    }
}

fn covered(check: &CheckResult, report: &Report) -> String {
    if check.skipped {
        return match check.check {
            Check::Digest => "there is none".to_owned(),
            Check::Freelist => "none is stored, as always with etcd".to_owned(),
            Check::Kubernetes if report.facts.is_some() => "no Kubernetes objects".to_owned(),
            _ => "nothing of it could be read".to_owned(),
        };
    }
    let parts = check.covered.iter().map(|(unit, number)| match *unit {
        "bytes" => humanized(*number),
        "page size" => format!("pages of {} bytes", grouped(*number)),
        unit => {
            let one = unit.strip_suffix('s').filter(|_| *number == 1).unwrap_or(unit);
            format!("{} {one}", grouped(*number))
        }
    });
    let mut line = parts.collect::<Vec<_>>().join(", ");
    match (check.check, report.digest) {
        (Check::Digest, Some(DigestVerdict::Matches)) => line.push_str(", SHA-256 matches"),
        (Check::Digest, Some(DigestVerdict::Differs { .. })) => line.push_str(", SHA-256 DOES NOT MATCH"),
        _ => {}
    }
    line
}

/// Which keys of a bucket cannot be read.
fn lost_keys(finding: &Finding, lost: &etcdsnap::bolt::KeyRange) -> String {
    use etcdsnap::etcd::revision::RevisionKey;
    let in_history = finding.bucket.as_deref() == Some("key");
    let show = |key: &etcdsnap::bolt::Excerpt| match RevisionKey::parse(&key.bytes) {
        Ok(parsed) if in_history => parsed.revision.to_string(),
        _ => key.to_string(),
    };
    let what = if in_history { "records of revisions" } else { "keys" };
    match (&lost.lower, &lost.upper) {
        (None, None) if finding.bucket.is_none() => "lost: all buckets".to_owned(),
        (None, None) => "lost: all of the bucket".to_owned(),
        (Some(lower), None) => format!("lost: {what} from {} on", show(lower)),
        (None, Some(upper)) => format!("lost: {what} below {}", show(upper)),
        (Some(lower), Some(upper)) => format!("lost: {what} from {} to below {}", show(lower), show(upper)),
    }
}
