//! A restore, or the plan of one, as a page to read, and what to do next.

use std::io::Write;
use std::path::Path;

use etcdsnap::etcd::membership::Member;
use etcdsnap::etcd::wal::PREALLOCATED;
use etcdsnap::ops::restore::{Moved, Restored, Warning};

use super::{Done, Foreseen, Restore, lines, words};
use crate::cli::changed;
use crate::cli::failure::{Failure, target_fault};
use crate::cli::output::shell::{quoted, quoted_path};
use crate::cli::output::size::{grouped, humanized};
use crate::cli::output::text::{count, safe, shown};

impl Restore {
    pub(super) fn page(
        &self,
        out: &mut dyn Write,
        restored: &Done,
        plan: Option<&Foreseen>,
    ) -> Result<(), Failure> {
        let summary = restored.summary();
        let (file, directory) = (shown(&self.file), shown(restored.directory()));
        let to = match restored {
            Done::One(_) => directory,
            Done::All(_) => format!("{directory}, all members"),
        };
        match plan {
            Some(plan) if plan.is_refused() => {
                writeln!(out, "REFUSED to restore {file} to {to}; nothing was written\n")?;
            }
            Some(_) => writeln!(out, "would restore {file} to {to}; nothing was written\n")?,
            None => writeln!(out, "restored {file} to {to}\n")?,
        }
        row(out, "state", &format!("{}, the same on every node", restored.state()))?;
        let members = count(summary.members.len() as u64, "member", "members");
        row(out, "cluster", &format!("{}, {members}", summary.cluster))?;
        members_rows(out, restored)?;
        let (before, after) = (summary.revision_before, summary.revision_after);
        let revision = |revision: i64| grouped(revision.unsigned_abs());
        let from = if before == after {
            "as in the snapshot".to_owned()
        } else {
            format!("{} in the snapshot", revision(before))
        };
        let compacted = match summary.compact_revision {
            Some(compact) if compact >= after && before != after => "all before is compacted".to_owned(),
            Some(compact) => format!("compacted at {}", revision(compact)),
            None => "never compacted".to_owned(),
        };
        let history = format!("{}, {from}; {compacted}", revision(after));
        row(out, "revision", &history)?;
        if let Some(plan) = plan {
            let hash = &plan.hash_kv;
            // etcdctl prints the number.
            let text = format!("{} ({:08x}) at revision {}", hash.hash, hash.hash, revision(hash.revision));
            row(out, "HashKV", &text)?;
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
        if let Done::One(restored) = restored {
            row(out, "WAL", &format!("{} in {}", humanized(PREALLOCATED), shown(&restored.wal_dir)))?;
            let moved = restored.moved_aside.iter();
            let moved = moved.map(|moved| format!("{} to {}", shown(&moved.from), shown(&moved.to)));
            rows(out, "aside", moved)?;
            rows(out, "untouched", restored.left_alone.iter().map(|path| shown(path)))?;
        } else {
            let each = humanized(PREALLOCATED);
            row(out, "WAL", &format!("{each} in each member's own member/wal"))?;
        }
        let starts_on = lines(summary.starts_on).join(", ");
        let etcd =
            format!("written by {}, for {}; starts on {starts_on}", summary.written_by, summary.written_for);
        row(out, "etcd", &etcd)?;
        rows(out, "changed", summary.corrections.iter().map(|correction| words::correction(correction).1))?;
        if plan.is_none() {
            changes(out, restored)?;
        }
        match (plan, restored) {
            (Some(plan), _) => return self.plan_ends(out, restored, plan),
            (None, Done::One(restored)) => self.next_steps(out, restored)?,
            (None, Done::All(restored)) => self.next_steps_of_all(out, restored)?,
        }
        writeln!(
            out,
            "  check: `etcdctl endpoint status --cluster -w table`, `etcdctl member list -w table`"
        )?;
        if let Done::All(restored) = restored {
            let directory = quoted_path(&restored.out_dir);
            writeln!(out, "  then remove {directory}: it holds all that the snapshot holds")?;
        }
        Ok(())
    }

    /// What only a plan has to say.
    fn plan_ends(&self, out: &mut dyn Write, restored: &Done, plan: &Foreseen) -> Result<(), Failure> {
        for room in &plan.rooms {
            let (needed, free) = (humanized(room.needed), humanized(room.free));
            row(out, "space", &format!("{needed} needed, {free} free in {}", shown(&room.path)))?;
        }
        match restored.summary().quota {
            None => row(out, "quota", "2 GiB, etcd's default, is enough")?,
            Some(quota) => row(out, "quota", &format!("start etcd with --quota-backend-bytes={quota}"))?,
        }
        let problem = plan.problem.as_ref();
        if let Some(problem) = problem {
            row(out, "target", &format!("CANNOT BE USED: {}", safe(target_fault(problem).as_bytes())))?;
        } else if !plan.is_refused() {
            row(out, "target", "can be used")?;
        }
        changes(out, restored)?;
        if plan.is_refused() {
            return Ok(());
        }
        let first = if problem.is_none() { "" } else { "make the target one that can be used; then " };
        writeln!(out, "\nNext: {first}the same command without --dry-run, and with")?;
        writeln!(out, "  --expect-state {}", restored.state())?;
        writeln!(out, "It does what is written here, or refuses before anything appears.")?;
        Ok(())
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
            quoted(self.name().as_bytes()),
            quoted_path(&restored.data_dir)
        )?;
        if self.wal_dir.is_some() {
            writeln!(out, "  give it --wal-dir {} as well", quoted_path(&restored.wal_dir))?;
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
        learners_step(out, &summary.members)?;
        if !restored.moved_aside.is_empty() {
            writeln!(out, "  to go back, stop etcd and put the old data in the place of the new:")?;
        }
        for moved in &restored.moved_aside {
            writeln!(out, "    {}", way_back(moved))?;
        }
        if restored.warnings.contains(&Warning::OldWalElsewhere) {
            writeln!(out, "    its WAL was elsewhere: start etcd on it with the --wal-dir that it had")?;
        }
        let wal = self.wal_dir.as_deref().filter(|_| restored.moved_aside.len() > 1);
        if let Some(wal_dir) = wal {
            let wal_dir = quoted_path(wal_dir);
            writeln!(
                out,
                "    both belong together; start etcd on them with --wal-dir {wal_dir}, as before"
            )?;
        }
        Ok(())
    }
}

/// The members with their URLs, and which this node is or where each was put.
fn members_rows(out: &mut dyn Write, restored: &Done) -> std::io::Result<()> {
    let members = &restored.summary().members;
    let name_width = members.iter().map(|member| member.name.chars().count()).max().unwrap_or(0);
    let mut member_row = |member: &Member, mark: &str| {
        let (name, urls) = (safe(member.name.as_bytes()), safe(member.peer_urls.join(",").as_bytes()));
        let learner = if member.is_learner { " learner" } else { "" };
        row(out, "", &format!("{:>16}  {name:name_width$}  {urls}{learner}{mark}", member.id.to_string()))
    };
    match restored {
        Done::One(restored) => members.iter().try_for_each(|member| {
            member_row(member, if member.id == restored.node { " (this node)" } else { "" })
        }),
        Done::All(restored) => restored
            .members
            .iter()
            .try_for_each(|(member, path)| member_row(member, &format!(" in {}", shown(path)))),
    }
}

/// What was left out or changed, if anything was.
fn changes(out: &mut dyn Write, restored: &Done) -> std::io::Result<()> {
    let Some(outcome) = &restored.summary().changed else { return Ok(()) };
    let mut text = Vec::new();
    changed::text(&mut text, outcome)?;
    writeln!(out, "\nThe database is written anew:\n")?;
    out.write_all(text.trim_ascii_end())?;
    writeln!(out)
}

/// What to do about learners, if there are any.
pub(super) fn learners_step(out: &mut dyn Write, members: &[Member]) -> std::io::Result<()> {
    if !members.iter().any(|member| member.is_learner) {
        return Ok(());
    }
    writeln!(
        out,
        "  give learners a vote once they have caught up, one at a time: `etcdctl member promote ID`"
    )
}

fn row(out: &mut dyn Write, title: &str, text: &str) -> std::io::Result<()> {
    writeln!(out, "  {title:<10}{text}")
}

/// Rows of which only the first has the title.
fn rows(out: &mut dyn Write, title: &str, texts: impl Iterator<Item = String>) -> std::io::Result<()> {
    for (index, text) in texts.enumerate() {
        row(out, if index == 0 { title } else { "" }, &text)?;
    }
    Ok(())
}

/// The commands that undo what was moved aside. The new data is kept, too.
fn way_back(moved: &Moved) -> String {
    let (from, to) = (quoted_path(&moved.from), quoted_path(&moved.to));
    let mut aside = moved.from.clone().into_os_string();
    if moved.to.starts_with(&moved.from) {
        // Pieces of a WAL, in a directory that stays.
        let new = quoted_path(&moved.from.join("wal.restored"));
        return format!("mkdir {new} && mv {from}/*.wal {new}/ && mv {to}/* {from}/ && rmdir {to}");
    }
    aside.push(".restored");
    let new = quoted_path(Path::new(&aside));
    format!("mv {from} {new} && mv {to} {from}")
}
