use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use etcdsnap::ops::known_fault;
use etcdsnap::ops::member_list::{ClusterIdGuess, MembersReport, Role, members};
use serde::Serialize;

use super::keys::skipped;
use super::{PageFormat, SCHEMA_VERSION, write_json};
use crate::cli::failure::Failure;
use crate::cli::input::Reading;
use crate::cli::output::boxed;
use crate::cli::output::columns::{Columns, Rows};
use crate::cli::output::text::{count, safe};
use crate::cli::{Context, Outcome, words};

/// Who was in the cluster
#[derive(Debug, clap::Args)]
#[command(override_usage = "etcdsnap members [OPTIONS] FILE")]
pub(crate) struct Members {
    /// The snapshot
    #[arg(value_name = "FILE")]
    words: Vec<OsString>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = PageFormat::Text)]
    output: PageFormat,
    /// Exactly what `etcdctl member list` prints
    #[arg(short, long, value_enum, conflicts_with = "output")]
    write_out: Option<MemberFormat>,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MemberFormat {
    Simple,
    Table,
}

/// The members in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MembersDocument<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_id: Option<String>,
    cluster_id_certain: bool,
    members: Vec<MemberDocument<'d>>,
    removed_ids: Vec<String>,
    conf_state_stale: bool,
    unknown_to_list: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberDocument<'d> {
    id: String,
    name: &'d str,
    #[serde(rename = "peerURLs")]
    peer_urls: &'d [String],
    #[serde(rename = "clientURLs")]
    client_urls: &'d [String],
    is_learner: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    raft_role: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'d> {
    schema_version: u32,
    #[serde(flatten)]
    members: MembersDocument<'d>,
}

impl<'d> MembersDocument<'d> {
    pub(super) fn of(report: &'d MembersReport) -> Self {
        let (cluster_id, cluster_id_certain) = match report.cluster_id {
            ClusterIdGuess::Certain(id) => (Some(id.to_string()), true),
            ClusterIdGuess::Likely(id) => (Some(id.to_string()), false),
            ClusterIdGuess::Unknown => (None, false),
        };
        let members = report.members.iter().map(|info| MemberDocument {
            id: info.member.id.to_string(),
            name: &info.member.name,
            peer_urls: &info.member.peer_urls,
            client_urls: &info.member.client_urls,
            is_learner: info.role == Role::Learner,
            raft_role: info.raft_role.map(role),
        });
        Self {
            cluster_id,
            cluster_id_certain,
            members: members.collect(),
            removed_ids: report.removed.iter().map(ToString::to_string).collect(),
            conf_state_stale: report.stale_conf_state,
            unknown_to_list: report.unknown_to_bucket.iter().map(ToString::to_string).collect(),
        }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Voter => "voter",
        Role::Learner => "learner",
    }
}

impl Members {
    /// The file that it reads.
    pub(crate) fn inputs(&self) -> Vec<PathBuf> {
        self.reading.input(&self.words)
    }

    pub(crate) fn run(&self, context: &mut Context<'_>) -> Result<Outcome, Failure> {
        let file = self.reading.only(&self.words)?;
        let snapshot = self.reading.snapshot(context, &file)?;
        let report = members(&snapshot, &self.reading.settings(context.settings()))?;
        match self.write_out {
            Some(format) => upstream(context.out, format, &report)?,
            None if self.output == PageFormat::Json => {
                let members = MembersDocument::of(&report);
                write_json(context.out, &Document { schema_version: SCHEMA_VERSION, members })?;
            }
            None => text(context.out, &report)?,
        }
        skipped(context, &report.damage)
    }
}

fn upstream(out: &mut dyn Write, format: MemberFormat, report: &MembersReport) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = report
        .members
        .iter()
        .map(|info| {
            let member = &info.member;
            vec![
                member.id.to_string(),
                if member.name.is_empty() { "unstarted" } else { "started" }.to_owned(),
                safe(member.name.as_bytes()),
                safe(member.peer_urls.join(",").as_bytes()),
                safe(member.client_urls.join(",").as_bytes()),
                (info.role == Role::Learner).to_string(),
            ]
        })
        .collect();
    match format {
        MemberFormat::Simple => {
            for row in rows {
                writeln!(out, "{}", row.join(", "))?;
            }
        }
        MemberFormat::Table => {
            boxed::write(out, &["ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"], &rows)?;
        }
    }
    Ok(())
}

/// The members as a table and what else is known of them.
pub(super) fn text(out: &mut (dyn Write + Send), report: &MembersReport) -> Result<(), Failure> {
    let mut rows = Rows::default();
    for info in &report.members {
        let member = &info.member;
        let listed = role(info.role);
        let role = match info.raft_role.map(role) {
            Some(raft) if raft != listed => format!("{listed} (raft: {raft})"),
            _ => listed.to_owned(),
        };
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { safe(text.as_bytes()) };
        rows.cell(&member.id.to_string());
        rows.cell(&or_dash(member.name.clone()));
        rows.cell(&role);
        rows.cell(&or_dash(member.peer_urls.join(",")));
        rows.cell(&or_dash(member.client_urls.join(",")));
    }
    Columns::new(&mut *out, &["ID", "NAME", "ROLE", "PEER URLS", "CLIENT URLS"]).print(&rows)?;
    writeln!(out)?;
    match report.cluster_id {
        ClusterIdGuess::Certain(id) => writeln!(out, "cluster id: {id}")?,
        ClusterIdGuess::Likely(id) => {
            writeln!(out, "cluster id: {id}, if no member was added after the cluster began")?;
        }
        ClusterIdGuess::Unknown if report.removed.is_empty() => writeln!(out, "cluster id: not known")?,
        ClusterIdGuess::Unknown => {
            writeln!(
                out,
                "cluster id: not known, as it follows from the first members and some were removed"
            )?;
        }
    }
    if !report.removed.is_empty() {
        let ids: Vec<String> = report.removed.iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "{}: {}",
            count(ids.len() as u64, "removed member", "removed members"),
            ids.join(", ")
        )?;
    }
    for (_, code, _, _, findings) in report.findings.kinds() {
        for finding in findings {
            writeln!(out, "note: {code}: {}", words::line(finding))?;
        }
        let (meaning, advice) = words::meaning(code);
        writeln!(out, "  {meaning}")?;
        for fault in known_fault::of(code, false) {
            writeln!(out, "  Known fault: {fault}")?;
        }
        if let Some(advice) = advice {
            writeln!(out, "  What to do: {advice}")?;
        }
    }
    Ok(())
}
