//! A restore as a page to read, and what to do next.

use std::io::Write;

use etcdsnap::etcd::line::EtcdLine;
use etcdsnap::ops::member_list::DEFAULT_TOKEN;
use etcdsnap::ops::restore::Restored;

use super::{Restore, lines, quoted, shown};
use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::text::{count, safe};

impl Restore {
    pub(super) fn text(&self, context: &mut Context<'_>, restored: &Restored) -> Result<(), Failure> {
        let summary = &restored.summary;
        let out = &mut *context.out;
        writeln!(out, "restored {} to {}\n", shown(&self.file), shown(&restored.data_dir))?;
        writeln!(out, "  this member   {} {}", restored.node, safe(self.name.as_bytes()))?;
        writeln!(
            out,
            "  cluster       {}, {}",
            summary.cluster,
            count(summary.members.len() as u64, "member", "members")
        )?;
        for member in &summary.members {
            let (name, urls) = (safe(member.name.as_bytes()), safe(member.peer_urls.join(",").as_bytes()));
            writeln!(out, "                {} {name} {urls}", member.id)?;
        }
        let (before, after) = (summary.revision_before, summary.revision_after);
        let revision = |revision: i64| grouped(revision.unsigned_abs());
        if before == after {
            writeln!(out, "  revision      {}, as in the snapshot", revision(after))?;
        } else {
            writeln!(
                out,
                "  revision      {} (in the snapshot {}), all before marked compacted",
                revision(after),
                revision(before)
            )?;
        }
        writeln!(out, "  database      {}", humanized(summary.db_size))?;
        writeln!(out, "  WAL           {}", shown(&restored.wal_dir))?;
        writeln!(
            out,
            "  etcd          written for {}, starts on {}{}",
            summary.written_for,
            lines(summary.starts_on).join(", "),
            // Later ones take the term that is written for a mark of 3.5's schema.
            if summary.starts_on.oldest == EtcdLine::V3_4 { " (of 3.4: releases before 3.4.31)" } else { "" }
        )?;
        self.next_steps(out, restored)
    }

    /// The command that restores another member of the same cluster. Whatever
    /// goes into the database or the ids must be the same for all.
    fn command_for(&self, name: &str, urls: &str) -> String {
        let mut words = vec!["etcdsnap".to_owned(), "restore".to_owned(), shown(&self.file)];
        let mut flag = |flag: &str, value: &str| words.extend([flag.to_owned(), quoted(value)]);
        flag("--name", name);
        flag("--initial-advertise-peer-urls", urls);
        flag("--initial-cluster", &self.initial_cluster);
        if self.initial_cluster_token != DEFAULT_TOKEN {
            flag("--initial-cluster-token", &self.initial_cluster_token);
        }
        if self.mark_compacted {
            flag("--bump-revision", &self.bump_revision.to_string());
            words.push("--mark-compacted".to_owned());
        }
        if self.skip_hash_check {
            words.push("--skip-hash-check".to_owned());
        }
        words.extend(["--data-dir".to_owned(), "DIR".to_owned()]);
        words.join(" ")
    }

    fn next_steps(&self, out: &mut dyn Write, restored: &Restored) -> Result<(), Failure> {
        let summary = &restored.summary;
        writeln!(out, "\nNext:")?;
        let mut others: Vec<_> = summary.members.iter().filter(|member| member.id != restored.node).collect();
        others.sort_by(|a, b| a.name.cmp(&b.name));
        if !others.is_empty() {
            writeln!(
                out,
                "  restore the same file for the other members, with the same flags but name, URL and directories:"
            )?;
        }
        for member in &others {
            writeln!(out, "    {}", self.command_for(&member.name, &member.peer_urls.join(",")))?;
        }
        let when = if others.is_empty() { "" } else { " on all of them, once all are restored" };
        writeln!(
            out,
            "  start etcd{when}, with --name {} and --data-dir {} (in a kubeadm manifest: the hostPath behind its data dir)",
            safe(self.name.as_bytes()),
            shown(&restored.data_dir)
        )?;
        if self.wal_dir.is_some() {
            writeln!(out, "  give it --wal-dir {} as well", shown(&restored.wal_dir))?;
        }
        if others.is_empty() {
            writeln!(
                out,
                "  add further members one at a time: `etcdctl member add NAME --peer-urls=URL`, then start them with an"
            )?;
            writeln!(
                out,
                "  empty data dir and --initial-cluster-state=existing, and wait for each before the next"
            )?;
        }
        writeln!(
            out,
            "  check: `etcdctl endpoint status --cluster -w table`, `etcdctl member list -w table`"
        )?;
        Ok(())
    }
}
