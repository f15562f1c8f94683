//! The account for people.

use std::io::Write;
use std::path::Path;

use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::ops::salvage::Saved;
use etcdsnap::ops::salvage::{Base, BucketState, Doubt, LEASE_SECONDS, Named, Outdated, Report, WhyLost};

use super::Names;
use crate::cli::failure::Failure;
use crate::cli::output::shell::quoted_path;
use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::text::{count, hex, safe, shown};

pub(super) struct Page<'p> {
    pub(super) report: &'p Report,
    pub(super) names: &'p Names,
    pub(super) file: &'p Path,
    pub(super) out: &'p Path,
}

/// How many of each kind are listed without -v.
const SHORT: usize = 10;

impl Page<'_> {
    pub(super) fn write(
        &self,
        out: &mut dyn Write,
        written: Option<&Saved>,
        verbose: bool,
    ) -> Result<(), Failure> {
        let report = self.report;
        let verb = if written.is_some() { "wrote" } else { "would write" };
        writeln!(out, "{verb} {} from {}\n", shown(self.out), shown(self.file))?;
        writeln!(out, "  digest        {}", digest(report))?;
        writeln!(out, "  tree          {}", base(report))?;
        let outside = match report.outside {
            0 => String::new(),
            outside => format!(", {} of them found outside of the tree", grouped(outside)),
        };
        writeln!(out, "  saved         {}{outside}", count(report.records, "record", "records"))?;
        writeln!(out, "  live keys     {}", grouped(report.live_keys))?;
        writeln!(out, "  revision      {}", grouped(report.revision.unsigned_abs()))?;
        writeln!(out, "  compacted at  {}", self.compaction())?;
        writeln!(out, "  buckets       {}", self.buckets())?;
        if report.leases_made > 0 {
            writeln!(
                out,
                "  leases        {} made anew, to live for {} hours",
                grouped(report.leases_made),
                LEASE_SECONDS / 3600
            )?;
        }
        if report.auth_disabled {
            writeln!(
                out,
                "  auth          OFF: it was on, and its users are lost, so that nobody could get in"
            )?;
        }
        writeln!(out, "  database      {}", humanized(report.size))?;
        if let Some(written) = written {
            writeln!(out, "  sha256        {}", hex(&written.written.sha256))?;
        }
        self.lost(out, verbose)?;
        self.broken_entries(out, verbose)?;
        self.doubtful(out, verbose)?;
        self.outdated(out, verbose)?;
        self.undecodable(out, verbose)?;
        if let Some(written) = written.filter(|written| !written.is_sound) {
            let objection = |(code, count): &(&str, u64)| match count {
                1 => (*code).to_owned(),
                count => format!("{code} ({} times)", grouped(*count)),
            };
            let objections: Vec<String> = written.objections.iter().map(objection).collect();
            writeln!(out, "\n`verify` objects to the result: {}", objections.join(", "))?;
        }
        writeln!(out, "\n{}", verdict(report, written.is_none_or(|saved| saved.is_sound)))?;
        if written.is_some() {
            writeln!(out, "\nNext:")?;
            if !report.is_complete() {
                writeln!(out, "  another backup or another member's snapshot is better, if there is one")?;
            }
            writeln!(out, "  check: etcdsnap verify {}", quoted_path(self.out))?;
            writeln!(
                out,
                "  use:   etcdsnap restore {} --data-dir DIR ... --bump-revision 1000000000 --mark-compacted",
                quoted_path(self.out)
            )?;
        }
        Ok(())
    }

    fn compaction(&self) -> String {
        let report = self.report;
        let number = |revision: i64| match revision {
            0 => "never".to_owned(),
            revision => grouped(revision.unsigned_abs()),
        };
        if report.compact_after == report.compact_before {
            return number(report.compact_after);
        }
        let dropped = match report.dropped {
            0 => String::new(),
            dropped => format!("; {} not carried over", count(dropped, "older record", "older records")),
        };
        let before = if report.compact_known {
            format!("before: {}", number(report.compact_before))
        } else {
            "not known before".to_owned()
        };
        format!("{} ({before}), where the history has its last hole{dropped}", number(report.compact_after))
    }

    fn buckets(&self) -> String {
        let states: Vec<String> = self
            .report
            .buckets
            .iter()
            .filter_map(|bucket| {
                let state = match bucket.state {
                    BucketState::Intact => return None,
                    BucketState::Partial => "in part",
                    BucketState::Older => "from an older copy",
                    BucketState::Entries => "from single entries",
                    BucketState::Empty => "lost",
                };
                Some(format!("{} {state}", safe(&bucket.name)))
            })
            .collect();
        if states.is_empty() { "all others as they were".to_owned() } else { states.join(", ") }
    }

    fn lost(&self, out: &mut dyn Write, verbose: bool) -> Result<(), Failure> {
        let report = self.report;
        let limit = if verbose { usize::MAX } else { SHORT };
        let spans: Vec<_> = report.spans.iter().filter(|span| !span.complete).collect();
        if spans.is_empty() && report.gaps.is_empty() && report.lost.is_empty() && report.foreign.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nLost:")?;
        for gap in report.gaps.first.iter().take(limit) {
            let part = if gap.part { "a part of it" } else { "which keys it changed is not known" };
            let compacted = if report.compact_known { "" } else { ", or compacted away before" };
            if gap.first == gap.last {
                writeln!(out, "  revision {}: {part}{compacted}", gap.first)?;
            } else {
                let parts = "which keys they changed is not known";
                writeln!(out, "  revisions {} to {}: {parts}{compacted}", gap.first, gap.last)?;
            }
        }
        more(out, report.gaps.count, limit.min(report.gaps.first.len()))?;
        for span in spans.iter().take(limit) {
            let from = span.first.map_or("the first".to_owned(), |revision| revision.to_string());
            let to = span.end.map_or("the last".to_owned(), |revision| format!("before {revision}"));
            let found = count(span.found, "record is", "records are");
            writeln!(
                out,
                "  of revisions {from} to {to}, {found} saved; whether there were more is not known"
            )?;
        }
        more(out, spans.len() as u64, limit.min(spans.len()))?;
        for lost in report.lost.first.iter().take(limit) {
            let key = self.key(&lost.named);
            let revision = lost.named.revision;
            let what = match lost.why {
                WhyLost::Torn { newer: false } => {
                    format!("its value of revision {revision} is cut off; an older one or none was saved")
                }
                WhyLost::Torn { newer: true } => {
                    format!("its value of revision {revision}; a newer one was saved")
                }
                WhyLost::Unreadable => format!("its record of revision {revision} cannot be read"),
                WhyLost::Contradictory => format!("its record of revision {revision} contradicts itself"),
                WhyLost::Versions { first, last } if first == last => {
                    format!("version {first}; that of revision {revision} was saved")
                }
                WhyLost::Versions { first, last } => {
                    format!("versions {first} to {last}; that of revision {revision} was saved")
                }
                WhyLost::Life => format!("what became of it before revision {revision}"),
            };
            writeln!(out, "  {key}: {what}")?;
        }
        more(out, report.lost.count, limit.min(report.lost.first.len()))?;
        for key in report.foreign.first.iter().take(limit) {
            writeln!(out, "  entry {key}: nothing that etcd keeps, left out")?;
        }
        more(out, report.foreign.count, limit.min(report.foreign.first.len()))
    }

    /// Entries of small buckets that are not in the new database.
    fn broken_entries(&self, out: &mut dyn Write, verbose: bool) -> Result<(), Failure> {
        let broken = &self.report.broken_entries;
        if broken.is_empty() {
            return Ok(());
        }
        let limit = if verbose { usize::MAX } else { SHORT };
        writeln!(out, "\nNot carried over (etcd or `verify` object to it):")?;
        for entry in broken.first.iter().take(limit) {
            let (bucket, key, why) =
                (safe(&entry.bucket), safe(&entry.key.bytes), safe(entry.why.as_bytes()));
            let cut = if entry.key.cut { "..." } else { "" };
            let outcome = if entry.replaced { "replaced" } else { "left out" };
            writeln!(out, "  bucket {bucket}, entry {key}{cut}: {why}; {outcome}")?;
        }
        more(out, broken.count, limit.min(broken.first.len()))
    }

    fn doubtful(&self, out: &mut dyn Write, verbose: bool) -> Result<(), Failure> {
        let doubtful = &self.report.doubtful;
        if doubtful.is_empty() {
            return Ok(());
        }
        let limit = if verbose { usize::MAX } else { SHORT };
        writeln!(out, "\nDoubtful (saved all the same):")?;
        for doubtful in doubtful.first.iter().take(limit) {
            let why = match doubtful.doubt {
                Doubt::Contested => "there are two records of that revision",
                Doubt::Unlinked => "it may have been changed or deleted by what is lost",
                Doubt::Unverified => "a part of its value may be of something else",
            };
            let scope = if doubtful.latest { "" } else { " (history only)" };
            let key = self.key(&doubtful.named);
            writeln!(out, "  {key}: revision {}: {why}{scope}", doubtful.named.revision)?;
        }
        more(out, doubtful.count, limit.min(doubtful.first.len()))
    }

    /// Keys that what is lost may have changed or deleted.
    fn outdated(&self, out: &mut dyn Write, verbose: bool) -> Result<(), Failure> {
        let Outdated { last_lost, keys } = &self.report.outdated;
        if keys.is_empty() {
            return Ok(());
        }
        let limit = if verbose { usize::MAX } else { SHORT };
        writeln!(out, "\nDoubtful (their newest state may be among what is lost):")?;
        let (all, live) = (grouped(keys.count), count(self.report.live_keys, "live key", "live keys"));
        let before = match last_lost {
            Some(last) => format!("before revision {}, the last that is lost", grouped(last.unsigned_abs())),
            None => "before what is lost, of which nobody knows where it ended".to_owned(),
        };
        writeln!(out, "  {all} of {live} were last written {before}. Whichever of them was")?;
        writeln!(out, "  changed or deleted since is back as it was before. The newest of them:")?;
        for named in keys.first.iter().take(limit) {
            writeln!(out, "  {}: revision {}", self.key(named), named.revision)?;
        }
        more(out, keys.count, limit.min(keys.first.len()))
    }

    fn undecodable(&self, out: &mut dyn Write, verbose: bool) -> Result<(), Failure> {
        let undecodable = &self.report.undecodable;
        if undecodable.is_empty() {
            return Ok(());
        }
        let limit = if verbose { usize::MAX } else { SHORT };
        writeln!(out, "\nBroken inside (saved as they are):")?;
        for broken in undecodable.first.iter().take(limit) {
            let scope = if broken.latest { "" } else { " (history only)" };
            let (key, why) = (self.key(&broken.named), safe(broken.why.as_bytes()));
            writeln!(out, "  {key}: revision {}: {why}{scope}", broken.named.revision)?;
        }
        more(out, undecodable.count, limit.min(undecodable.first.len()))
    }

    fn key(&self, named: &Named) -> String {
        if named.key.bytes.is_empty() {
            return "a key that is lost".to_owned();
        }
        let cut = if named.key.cut { "..." } else { "" };
        self.names.object(&named.key.bytes).unwrap_or_else(|| format!("{}{cut}", safe(&named.key.bytes)))
    }
}

fn more(out: &mut dyn Write, all: u64, shown: usize) -> Result<(), Failure> {
    let rest = all.saturating_sub(shown as u64);
    if rest > 0 {
        writeln!(out, "  ... and {} more (-v, -o json)", grouped(rest))?;
    }
    Ok(())
}

/// What the digest of the file that was read says about where to look for a better one.
fn digest(report: &Report) -> &'static str {
    match report.digest {
        Some(DigestVerdict::Matches) if report.sound => "right: the file is what etcd saved, byte for byte",
        Some(DigestVerdict::Matches) => {
            "right: this is what etcd saved, so the damage is older; another member's snapshot may be whole"
        }
        Some(DigestVerdict::Differs { .. }) => {
            "wrong: the file was changed or cut after it was saved; another copy of it may be whole"
        }
        Some(DigestVerdict::Absent) => "none: nothing tells whether bytes inside values were changed",
        None => "not known: no meta tells where the pages end",
    }
}

fn base(report: &Report) -> String {
    match report.base {
        Base::Meta(_) if report.sound => "sound".to_owned(),
        Base::Meta(number) => format!("followed from meta {number}, as far as it goes"),
        Base::OlderMeta(number) => {
            format!("followed from meta {number}, the older one: the root of the newer is broken")
        }
        Base::Page(page) => {
            format!("followed from page {page}, which looks like the newest root; no meta leads to one")
        }
        Base::Newer(page) => {
            format!("followed from page {page}, a newer root than that of the meta that is left")
        }
        Base::None => "there is no root: all of it was found by its form".to_owned(),
    }
}

/// One sentence for somebody tired.
fn verdict(report: &Report, is_sound: bool) -> &'static str {
    if report.is_complete() && !(is_sound && report.undecodable.is_empty()) {
        "SAVED, BUT DOUBTFUL: all entries of the database are in the new one, some of them broken inside. `etcdsnap verify` on it tells more."
    } else if report.is_complete() {
        match report.digest {
            Some(DigestVerdict::Differs { .. }) => {
                "SAVED WHOLE: everything that the database holds is in the new one; whether bytes inside values were changed nobody can tell."
            }
            _ => "SAVED WHOLE: everything that the database held is in the new one.",
        }
    } else if report.latest_affected() {
        "SAVED IN PART: some keys may be missing, have an older value than they had, or be back though they were deleted."
    } else {
        "SAVED: every key has the value that it had; of its history or of what is around it something is lost."
    }
}
