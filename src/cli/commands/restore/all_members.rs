//! All members at once: the flags, and what to do with the result.

use std::io::Write;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use etcdsnap::etcd::peer_url::PeerUrl;
use etcdsnap::ops::restore::{AllRestored, Form, OutDir};

use super::Restore;
use super::flags::OwnerArgument;
use super::page::learners_step;
use super::start_flags::{DATA_DIR, StartForm};
use crate::cli::failure::Failure;
use crate::cli::output::shell::{quoted, quoted_path};

#[derive(Debug, clap::Args)]
pub(super) struct AllMembers {
    /// Restore every member of the new cluster, from one read of the file
    #[arg(long, requires = "out_dir")]
    all_members: bool,
    /// Where the members go, each to DIR/NAME: a directory that is absent or empty
    #[arg(long, value_name = "DIR", requires = "all_members")]
    out_dir: Option<PathBuf>,
    /// One archive DIR/NAME.tar a member instead, ready to ship
    #[arg(long, requires = "all_members")]
    tar: bool,
}

impl AllMembers {
    pub(super) fn is_asked_for(&self) -> bool {
        self.all_members
    }

    pub(super) fn is_tar(&self) -> bool {
        self.tar
    }

    /// Where all members go, if all are asked for.
    pub(super) fn out_dir(&self, args: &Restore) -> Result<Option<OutDir>, Failure> {
        let Some(path) = self.out_dir.as_ref().filter(|_| self.all_members) else { return Ok(None) };
        for (given, flag, why) in [
            (args.name.is_some(), "--name", "every member has its own, in the list of members"),
            (
                args.members.advertised_is_given(),
                "--initial-advertise-peer-urls",
                "each member announces the URLs that the list of members has for it",
            ),
            (
                args.data_dir.is_some(),
                "--data-dir",
                "each member goes to a directory of its own below --out-dir",
            ),
            (args.wal_dir.is_some(), "--wal-dir", "each WAL goes with its member, to member/wal"),
            (args.force, "--force", "nothing is replaced; name an --out-dir that is not there yet"),
            (
                args.mode.is_some() && self.tar,
                "--mode",
                "there is no data directory in an archive; its mode is that of the one it is unpacked in",
            ),
        ] {
            if given {
                let with = if flag == "--mode" { "--tar" } else { "--all-members" };
                return Err(Failure::usage(format!("{flag} cannot be used with {with}")).hint(why));
            }
        }
        let form = if self.tar { Form::Archives } else { Form::Directories };
        let owner = args.owner.as_ref().map(OwnerArgument::owner);
        Ok(Some(OutDir { path: path.clone(), form, owner, mode: args.mode }))
    }
}

impl Restore {
    pub(super) fn next_steps_of_all(
        &self,
        out: &mut dyn Write,
        restored: &AllRestored,
    ) -> Result<(), Failure> {
        writeln!(out, "\nNext:")?;
        if self.start_flags == Some(StartForm::Kubeadm) {
            // Which has its own way to put data aside, and two would be one too many.
            writeln!(
                out,
                "  stop etcd on every node and put the old data aside there: steps 1 and 2 at the end"
            )?;
        } else {
            writeln!(
                out,
                "  stop etcd on every node and move the old data aside there: `mv /var/lib/etcd/member /var/lib/etcd/member.old`"
            )?;
        }
        writeln!(
            out,
            "  copy to each node its own, and to none another's (/var/lib/etcd: what its --data-dir is there):"
        )?;
        for (member, path) in &restored.members {
            let host = host_of(&member.peer_urls).unwrap_or_else(|| member.name.clone());
            writeln!(out, "    {}", self.shipping(path, &host))?;
        }
        if !self.tar_keeps_owner() {
            writeln!(
                out,
                "  give it to the user that etcd runs as there, if that is not root: `chown -R etcd:etcd /var/lib/etcd`"
            )?;
        }
        writeln!(
            out,
            "  start etcd on all of them, once all are there, each with its own --name, and without --wal-dir: the WAL is in member/wal"
        )?;
        learners_step(out, &restored.summary.members)?;
        Ok(())
    }

    pub(super) fn tar_keeps_owner(&self) -> bool {
        self.all.tar && self.owner.is_some()
    }

    /// The command that brings a member to its node. Where one is, it does nothing:
    /// `mkdir` makes `member` or says that it is there, be it a link that leads nowhere.
    fn shipping(&self, path: &Path, host: &str) -> String {
        let first = format!("mkdir -p -m 700 {DATA_DIR} && mkdir -m 700 {DATA_DIR}/member");
        // Nothing in a host is a flag to ssh, or a word to a shell.
        let node = quoted(format!("root@{host}").as_bytes());
        if self.all.tar {
            let archive = quoted_path(path);
            return format!("ssh {node} '{first} && tar -xpf - -C {DATA_DIR}' < {archive}");
        }
        let member = quoted_path(&path.join("member"));
        // A colon ends the host here, and there it is part of it.
        let target = match is_ipv6(host) {
            true => quoted(format!("root@[{host}]").as_bytes()),
            false => node.clone(),
        };
        format!("ssh {node} '{first}' && rsync -aS {member} {target}:{DATA_DIR}/")
    }
}

/// The host of a member's first URL that has one.
fn host_of(peer_urls: &[String]) -> Option<String> {
    let hosts = peer_urls.iter().filter_map(|url| PeerUrl::parse(url).ok()?.host_and_port());
    hosts.map(|(host, _)| host).find(|host| !host.is_empty())
}

/// Whether it is an address of IPv6, with or without its zone.
fn is_ipv6(host: &str) -> bool {
    host.split('%').next().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_as_ssh_wants_it() {
        for (urls, host) in [
            (&["https://[fd00::1]:2380"][..], Some("fd00::1")),
            (&["https://[fe80::1%25eth0]:2380"], Some("fe80::1%eth0")),
            (&["unix://m1", "http://:1", "http://u:p@node1:2380"], Some("node1")),
            (&["unix:m1"], None),
        ] {
            let urls: Vec<_> = urls.iter().map(|url| (*url).to_owned()).collect();
            assert_eq!(host_of(&urls).as_deref(), host);
        }
        assert!(is_ipv6("fd00::1") && is_ipv6("fe80::1%eth0"));
        assert!(!is_ipv6("10.0.0.1") && !is_ipv6("node1"));
    }
}
