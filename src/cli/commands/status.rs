use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use etcdsnap::etcd::snapshot::DigestVerdict;
use etcdsnap::ops::status::{Figures, Status as Page, figures, status};
use serde::Serialize;

use super::keys::skipped;
use super::members::{self, MembersDocument};
use super::{PageFormat, SCHEMA_VERSION, UpstreamFormat, write_json};
use crate::cli::failure::Failure;
use crate::cli::input::{KubernetesKeys, Reading, Threads};
use crate::cli::output::boxed;
use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::text::{count, hex, safe, shown};
use crate::cli::{Context, Outcome, progress, words};

/// What is in the file?
///
/// With -w: exactly what `etcdutl snapshot status` 3.6 prints (the digest is
/// then not looked at, as upstream does not).
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap status [OPTIONS] FILE")]
pub(crate) struct Status {
    /// The snapshot
    #[arg(value_name = "FILE")]
    words: Vec<OsString>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PageFormat::Text)]
    output: PageFormat,
    /// Exactly what `etcdutl snapshot status` 3.6 prints
    #[arg(short, long, value_enum, conflicts_with = "output")]
    write_out: Option<UpstreamFormat>,
    /// Accepted for scripts written for etcdutl; has no effect
    #[arg(long, hide = true)]
    initial_memory_map_size: Option<u64>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    kubernetes: KubernetesKeys,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'d> {
    schema_version: u32,
    file: String,
    file_size: u64,
    digest: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest_stored: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest_computed: Option<String>,
    etcd_version: String,
    storage_version: Option<&'d str>,
    cluster_version: Option<&'d str>,
    downgrade_to: Option<&'d str>,
    status_hash: String,
    revision: i64,
    compact_revision: Option<i64>,
    oldest_revision: i64,
    live_keys: u64,
    records: u64,
    tombstones: u64,
    leases: u64,
    consistent_index: Option<u64>,
    term: Option<u64>,
    alarms: Vec<AlarmDocument>,
    auth: AuthDocument,
    size: SizeDocument,
    newest_write: Option<NewestDocument>,
    kubernetes_prefixes: Vec<String>,
    #[serde(flatten)]
    members: MembersDocument<'d>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlarmDocument {
    member_id: String,
    alarm: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AuthDocument {
    enabled: bool,
    revision: Option<u64>,
    users: Vec<String>,
    roles: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SizeDocument {
    total: u64,
    used: u64,
    free: u64,
    page_size: u64,
    pages: u64,
    pages_free: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewestDocument {
    time: String,
    key: String,
    revision: i64,
}

impl Status {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.reading.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let file = self.reading.only(&self.words)?;
        let snapshot = self.reading.snapshot(context, &file)?;
        let settings = self.reading.settings(self.threads.settings(context));
        let total = snapshot.source().bytes().len() as u64;
        if let Some(format) = self.write_out {
            let (figures, damage) = progress::watch(context, "reading", total, progress::walked, || {
                figures(&snapshot, &settings)
            })?;
            upstream(context.out, format, &figures)?;
            return skipped(context, &damage);
        }
        let prefixes = self.kubernetes.prefixes();
        let hashed = |progress: &etcdsnap::ops::Progress| progress.hashed.load(Ordering::Relaxed);
        let page =
            progress::watch(context, "reading", total, hashed, || status(&snapshot, &prefixes, &settings))?;
        let name = shown(&file);
        if self.output == PageFormat::Json {
            write_json(context.out, &document(&name, &page))?;
        } else {
            text(context.out, &name, &page)?;
        }
        let outcome = skipped(context, &page.damage)?;
        Ok(if matches!(page.digest, DigestVerdict::Differs { .. }) { Outcome::No } else { outcome })
    }
}

fn upstream(out: &mut dyn Write, format: UpstreamFormat, figures: &Figures) -> Result<(), Failure> {
    let Figures { hash, revision, total_keys, total_size, version } = figures;
    let size = humanized(*total_size);
    match format {
        UpstreamFormat::Simple => writeln!(out, "{hash:x}, {revision}, {total_keys}, {size}, {version}")?,
        UpstreamFormat::Json => {
            // The version is digits and dots, so it needs no escaping.
            writeln!(
                out,
                "{{\"hash\":{hash},\"revision\":{revision},\"totalKey\":{total_keys},\"totalSize\":{total_size},\"version\":\"{version}\"}}"
            )?;
        }
        UpstreamFormat::Table => boxed::write(
            out,
            &["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "VERSION"],
            &[vec![format!("{hash:x}"), revision.to_string(), total_keys.to_string(), size, version.clone()]],
        )?,
        UpstreamFormat::Fields => {
            writeln!(out, "\"Hash\" : {hash}")?;
            writeln!(out, "\"Revision\" : {revision}")?;
            writeln!(out, "\"Keys\" : {total_keys}")?;
            writeln!(out, "\"Size\" : {total_size}")?;
            writeln!(out, "\"Version\" : {version}")?;
        }
    }
    Ok(())
}

fn prefixes(page: &Page) -> Vec<String> {
    let prefixes = page.prefixes.iter().flat_map(|prefixes| prefixes.iter());
    prefixes.map(|prefix| format!("/{}", safe(prefix))).collect()
}

fn names(names: impl Iterator<Item = Vec<u8>>) -> Vec<String> {
    names.map(|name| safe(&name)).collect()
}

fn document<'d>(file: &str, page: &'d Page) -> Document<'d> {
    let state = &page.state;
    let (digest, digest_stored, digest_computed) = match page.digest {
        DigestVerdict::Absent => ("absent", None, None),
        DigestVerdict::Matches => ("matches", None, None),
        DigestVerdict::Differs { stored, computed } => ("differs", Some(hex(&stored)), Some(hex(&computed))),
    };
    Document {
        schema_version: SCHEMA_VERSION,
        file: file.to_owned(),
        file_size: page.file_size,
        digest,
        digest_stored,
        digest_computed,
        etcd_version: page.line.0.to_string(),
        storage_version: state.storage_version.as_deref(),
        cluster_version: state.cluster_version.as_deref(),
        downgrade_to: state.downgrade.as_deref(),
        status_hash: format!("{:08x}", page.figures.hash),
        revision: page.window.current,
        compact_revision: page.window.compact,
        oldest_revision: page.window.oldest(),
        live_keys: page.figures.total_keys,
        records: page.records,
        tombstones: page.tombstones,
        leases: page.leases,
        consistent_index: state.consistent_index,
        term: state.term,
        alarms: state
            .alarms
            .iter()
            .map(|alarm| AlarmDocument {
                member_id: format!("{:x}", alarm.member),
                alarm: alarm.kind.to_string(),
            })
            .collect(),
        auth: AuthDocument {
            enabled: state.auth_enabled,
            revision: state.auth_revision,
            users: names(state.users.iter().map(|user| user.name.clone())),
            roles: names(state.roles.iter().map(|role| role.name.clone())),
        },
        size: SizeDocument {
            total: page.figures.total_size,
            used: page.pages.in_use.saturating_mul(page.page_size),
            free: page.pages.free.saturating_mul(page.page_size),
            page_size: page.page_size,
            pages: page.pages.in_use.saturating_add(page.pages.free),
            pages_free: page.pages.free,
        },
        newest_write: page.newest_write.as_ref().map(|write| NewestDocument {
            time: write.time.to_string(),
            key: safe(&write.key),
            revision: write.revision.main,
        }),
        kubernetes_prefixes: prefixes(page),
        members: MembersDocument::of(&page.members),
    }
}

fn text(out: &mut (dyn Write + Send), file: &str, page: &Page) -> Result<(), Failure> {
    let state = &page.state;
    let (line, evidence) = page.line;
    let number = |number: i64| grouped(number.unsigned_abs());
    writeln!(out, "{file}: {}\n", humanized(page.file_size))?;
    let mut row = |title: &str, text: String| writeln!(out, "  {title:<13} {text}");
    row(
        "digest",
        match page.digest {
            DigestVerdict::Matches => "matches: the file is what etcd saved".to_owned(),
            DigestVerdict::Absent => "none: a copy of a member's db file, or cut off".to_owned(),
            DigestVerdict::Differs { .. } => {
                "DOES NOT MATCH: the file was changed after it was saved (see verify)".to_owned()
            }
        },
    )?;
    row("written by", format!("etcd {line}, {}", words::evidence(evidence)))?;
    let versions = [
        state.storage_version.as_ref().map(|version| format!("storage {}", safe(version.as_bytes()))),
        state.cluster_version.as_ref().map(|version| format!("cluster {}", safe(version.as_bytes()))),
        state
            .downgrade
            .as_ref()
            .map(|target| format!("A DOWNGRADE TO {} IS UNDER WAY", safe(target.as_bytes()))),
    ];
    let versions: Vec<String> = versions.into_iter().flatten().collect();
    row("versions", if versions.is_empty() { "none stored".to_owned() } else { versions.join(", ") })?;
    row("status hash", format!("{} ({:08x})", page.figures.hash, page.figures.hash))?;
    row("revision", number(page.window.current))?;
    row(
        "history",
        match page.window.compact {
            None => {
                format!("never compacted: revisions 1 to {} can be asked for", number(page.window.current))
            }
            Some(compact) => format!(
                "compacted at {}: revisions {} to {} can be asked for",
                number(compact),
                number(page.window.oldest()),
                number(page.window.current)
            ),
        },
    )?;
    row(
        "keys",
        format!(
            "{} alive; {}, {} of them",
            grouped(page.figures.total_keys),
            count(page.records, "record", "records"),
            count(page.tombstones, "deletion", "deletions")
        ),
    )?;
    row("leases", grouped(page.leases))?;
    row(
        "size",
        format!(
            "{} in {} of {}: {} used, {} free",
            humanized(page.figures.total_size),
            count(page.pages.in_use.saturating_add(page.pages.free), "page", "pages"),
            grouped(page.page_size),
            humanized(page.pages.in_use.saturating_mul(page.page_size)),
            humanized(page.pages.free.saturating_mul(page.page_size))
        ),
    )?;
    row(
        "newest write",
        match &page.newest_write {
            None => "cannot be dated".to_owned(),
            Some(write) => format!("{}, {} at revision {}", write.time, safe(&write.key), write.revision),
        },
    )?;
    let prefixes = prefixes(page);
    row(
        "Kubernetes",
        if prefixes.is_empty() { "no".to_owned() } else { format!("yes, under {}", prefixes.join(" and ")) },
    )?;
    let alarms: Vec<String> =
        state.alarms.iter().map(|alarm| format!("{} of member {:x}", alarm.kind, alarm.member)).collect();
    row("alarms", if alarms.is_empty() { "none".to_owned() } else { alarms.join(", ") })?;
    row(
        "auth",
        format!(
            "{}; {}, {}",
            if state.auth_enabled { "ON" } else { "off" },
            count(state.users.len() as u64, "user", "users"),
            count(state.roles.len() as u64, "role", "roles")
        ),
    )?;
    if let (Some(index), term) = (state.consistent_index, state.term) {
        let term = term.map_or_else(String::new, |term| format!(", term {term}"));
        row("raft", format!("index {}{term}", grouped(index)))?;
    }
    writeln!(out)?;
    members::text(out, &page.members)
}
