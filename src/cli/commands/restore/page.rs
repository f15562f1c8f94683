//! A restore, or the plan of one, as a page to read, and what to do next.

use std::io::Write;

use etcdsnap::etcd::wal::PREALLOCATED;
use etcdsnap::ops::restore::{Preview, Restored};

use super::{Restore, lines, shown, words};
use crate::cli::Context;
use crate::cli::changed;
use crate::cli::failure::Failure;
use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::text::{count, safe};

impl Restore {
    pub(super) fn text(
        &self,
        context: &mut Context<'_>,
        restored: &Restored,
        plan: Option<(&Preview, Option<String>)>,
    ) -> Result<(), Failure> {
        let summary = &restored.summary;
        let out = &mut *context.out;
        let (file, data_dir) = (shown(&self.file), shown(&restored.data_dir));
        match &plan {
            Some(_) => writeln!(out, "would restore {file} to {data_dir}; nothing was written\n")?,
            None => writeln!(out, "restored {file} to {data_dir}\n")?,
        }
        row(out, "state", &format!("{}, the same on every node", restored.state))?;
        row(
            out,
            "cluster",
            &format!("{}, {}", summary.cluster, count(summary.members.len() as u64, "member", "members")),
        )?;
        let name_width = summary.members.iter().map(|member| member.name.chars().count()).max().unwrap_or(0);
        for member in &summary.members {
            let (name, urls) = (safe(member.name.as_bytes()), safe(member.peer_urls.join(",").as_bytes()));
            let marks = [(member.is_learner, " learner"), (member.id == restored.node, " (this node)")];
            let marks: String = marks.into_iter().filter(|(is, _)| *is).map(|(_, mark)| mark).collect();
            row(out, "", &format!("{:>16}  {name:name_width$}  {urls}{marks}", member.id.to_string()))?;
        }
        let (before, after) = (summary.revision_before, summary.revision_after);
        let revision = |revision: i64| grouped(revision.unsigned_abs());
        let history = match summary.compact_revision {
            _ if before != after => {
                format!("{}, {} in the snapshot; all before is compacted", revision(after), revision(before))
            }
            Some(compact) => {
                format!("{}, as in the snapshot; compacted at {}", revision(after), revision(compact))
            }
            None => format!("{}, as in the snapshot; never compacted", revision(after)),
        };
        row(out, "revision", &history)?;
        if let Some((preview, _)) = &plan {
            let hash = &preview.hash_kv;
            row(out, "HashKV", &format!("{:08x} at revision {}", hash.hash, revision(hash.revision)))?;
            if let Some(leases) = restored.leases() {
                row(out, "leases", &grouped(leases))?;
            }
            let alarms: Vec<_> = summary.alarms.iter().map(|alarm| alarm.kind.to_string()).collect();
            let alarms = if alarms.is_empty() { "none".to_owned() } else { alarms.join(", ") };
            row(out, "alarms", &alarms)?;
            let users = count(summary.users as u64, "user", "users");
            row(out, "auth", &format!("{}; {users}", if summary.auth_enabled { "ON" } else { "off" }))?;
        }
        let in_use = restored.in_use().map(|bytes| format!(", {} in use", humanized(bytes)));
        row(out, "database", &(humanized(summary.db_size) + &in_use.unwrap_or_default()))?;
        row(out, "WAL", &format!("{} in {}", humanized(PREALLOCATED), shown(&restored.wal_dir)))?;
        row(
            out,
            "etcd",
            &format!(
                "written by {}, for {}; starts on {}",
                summary.written_by,
                summary.written_for,
                lines(summary.starts_on).join(", ")
            ),
        )?;
        for (index, (_, text)) in summary.corrections.iter().map(words::correction).enumerate() {
            row(out, if index == 0 { "changed" } else { "" }, &text)?;
        }
        if let Some((preview, problem)) = plan {
            for room in &preview.survey.rooms {
                let (needed, free) = (humanized(room.needed), humanized(room.free));
                row(out, "space", &format!("{needed} needed, {free} free in {}", shown(&room.path)))?;
            }
            match summary.quota {
                None => row(out, "quota", "2 GiB, etcd's default, is enough")?,
                Some(quota) => row(out, "quota", &format!("start etcd with --quota-backend-bytes={quota}"))?,
            }
            if let Some(outcome) = &summary.changed {
                writeln!(out, "\nThe database is written anew:\n")?;
                changed::text(out, outcome)?;
            }
            if preview.refusal.is_some() {
                return Ok(());
            }
            let usable = problem.is_none();
            let target = problem.map(|problem| format!("CANNOT BE USED: {}", safe(problem.as_bytes())));
            row(out, "target", &target.unwrap_or_else(|| "can be used".to_owned()))?;
            let first = if usable { "" } else { "make the target one that can be used; then " };
            writeln!(out, "\nNext: {first}the same command without --dry-run, and with")?;
            writeln!(out, "  --expect-state {}", restored.state)?;
            writeln!(out, "It does what is written here, or refuses before anything appears.")?;
            return Ok(());
        }
        if let Some(outcome) = &summary.changed {
            writeln!(out, "\nThe database was written anew:\n")?;
            changed::text(out, outcome)?;
        }
        self.next_steps(out, restored)
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
            let command = self.command_for(restored, &member.name, &member.peer_urls.join(","));
            writeln!(out, "    {command}")?;
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
        if summary.members.iter().any(|member| member.is_learner) {
            writeln!(
                out,
                "  give learners a vote once they have caught up, one at a time: `etcdctl member promote ID`"
            )?;
        }
        writeln!(
            out,
            "  check: `etcdctl endpoint status --cluster -w table`, `etcdctl member list -w table`"
        )?;
        Ok(())
    }
}

fn row(out: &mut dyn Write, title: &str, text: &str) -> std::io::Result<()> {
    writeln!(out, "  {title:<10}{text}")
}
