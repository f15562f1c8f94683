//! `--start-flags`: how etcd is to be started on what was restored.
//!
//! Of the flags, etcd takes the members, the token and the cluster's state only
//! where it finds no data. Source: etcd `server/embed/etcd.go` (`StartEtcd`),
//! `server/embed/config.go` (`checkBindURLs`), `server/storage/quota.go`
//! @ v3.6.14; the same in 3.4 to 3.7.

mod env;
mod kubeadm;
mod listen;
mod systemd;

use std::io::Write;
use std::path::{Path, PathBuf};

use etcdsnap::etcd::membership::Member;
use etcdsnap::etcd::peer_url::{InitialCluster, PeerUrl};
use etcdsnap::ops::restore::membership::Resolved;

use self::listen::listens_on;
use super::document::StartDocument;
use super::{Done, Foreseen, Place, Restore, lines};
use crate::cli::failure::Failure;
use crate::cli::output::text::is_dangerous;

/// Where packages and kubeadm have the data.
pub(super) const DATA_DIR: &str = "/var/lib/etcd";

/// What starts etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum StartForm {
    /// A unit of systemd: a drop-in for it, and the commands
    Systemd,
    /// kubeadm's static pod: what its manifest must say, and the order for the
    /// whole control plane
    Kubeadm,
    /// Variables, for an EnvironmentFile or a shell
    Env,
}

/// The cluster that is to start.
#[derive(Debug)]
struct Cluster {
    /// All its members: `name=url,...`.
    initial_cluster: String,
    token: String,
    /// Its id.
    id: String,
    /// What stands for its data.
    state: String,
    size: usize,
    /// Names of those that vote.
    voters: Vec<String>,
    /// Whether all members were made here, to be brought to their nodes.
    is_shipped: bool,
    /// Lines of etcd, oldest first.
    starts_on: Vec<String>,
    /// Bytes that the database may grow to, if etcd's default is too little.
    quota: Option<u64>,
    /// How many learners there are, if more than etcd takes unless told.
    max_learners: Option<usize>,
    /// Members that the snapshot lists and the new cluster does not have.
    others: Vec<Other>,
}

/// A member that is to join.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Other {
    name: String,
    /// `url,...`
    urls: String,
    is_learner: bool,
}

/// One member of it.
#[derive(Debug)]
struct Start {
    name: String,
    /// `url,...`
    advertised: String,
    /// `url,...`
    listens_on: String,
    /// Absolute.
    data_dir: String,
    /// Absolute; `None` if it is where etcd looks for it.
    wal_dir: Option<String>,
    /// Whether files were given to an owner that was asked for.
    owned: bool,
}

impl StartForm {
    /// How the members `starts` of `cluster` are started.
    fn text(self, cluster: &Cluster, starts: &[Start]) -> String {
        match self {
            Self::Env => starts.iter().map(|start| env::text(cluster, start)).collect::<Vec<_>>().join("\n"),
            Self::Systemd => {
                starts.iter().map(|start| systemd::text(cluster, start)).collect::<Vec<_>>().join("\n")
            }
            Self::Kubeadm => kubeadm::text(cluster, starts),
        }
    }

    /// As it is typed.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Systemd => "systemd",
            Self::Kubeadm => "kubeadm",
        }
    }
}

impl Restore {
    /// That all that has to be written can stand in a shell and in a unit.
    ///
    /// # Errors
    /// The first text that cannot.
    pub(super) fn check_start_flags(&self, resolved: &Resolved, place: &Place) -> Result<(), Failure> {
        if self.start_flags.is_none() {
            return Ok(());
        }
        // What is no UTF-8 is as little to be written as a zero byte.
        let text = |path: &Path| path.to_str().unwrap_or("\0").to_owned();
        let mut texts = vec![
            ("a member's name or URL", resolved.membership.cluster.to_string()),
            ("the token", resolved.membership.token.clone()),
        ];
        if let Place::One(placement) = place {
            texts.push(("the data directory", text(&placement.data_dir)));
            texts.extend(placement.wal_dir.iter().map(|path| ("the WAL's directory", text(path))));
        }
        match texts.into_iter().find(|(_, text)| text.chars().any(is_dangerous)) {
            None => Ok(()),
            Some((what, _)) => Err(Failure::usage(format!(
                "--start-flags: {what} has characters that no shell or unit file takes"
            ))
            .hint("leave --start-flags out, or choose another name")),
        }
    }

    /// How each restored member is started, for a document.
    pub(super) fn start_documents(&self, resolved: &Resolved, done: &Done) -> Option<Vec<StartDocument>> {
        let form = self.start_flags?;
        let cluster = cluster(resolved, done);
        let document = |start: Start| {
            let text = form.text(&cluster, std::slice::from_ref(&start));
            StartDocument { name: start.name, form: form.name(), text }
        };
        Some(self.starts(resolved, done).into_iter().map(document).collect())
    }

    /// How the restored members are started, for a page. Of what is refused nothing is
    /// started; where only the target is in the way, that is said first.
    pub(super) fn start_section(
        &self,
        out: &mut dyn Write,
        resolved: &Resolved,
        done: &Done,
        plan: Option<&Foreseen>,
    ) -> Result<(), Failure> {
        if let Some(form) = self.start_flags.filter(|_| !plan.is_some_and(Foreseen::is_refused)) {
            if plan.is_some_and(|plan| plan.problem.is_some()) {
                writeln!(
                    out,
                    "\nNOTHING WAS RESTORED, and nothing can be to this target. What follows is for later, once it is."
                )?;
            }
            let text = form.text(&cluster(resolved, done), &self.starts(resolved, done));
            write!(out, "\nTo start it:\n\n{text}")?;
        }
        Ok(())
    }

    fn starts(&self, resolved: &Resolved, done: &Done) -> Vec<Start> {
        let members = resolved.membership.cluster.iter();
        let start = |name: &str, urls: &[PeerUrl], data_dir: String, wal_dir, owned| Start {
            name: name.to_owned(),
            advertised: joined(urls.iter().map(PeerUrl::to_string)),
            listens_on: listens_on(urls),
            data_dir,
            wal_dir,
            owned,
        };
        match done {
            Done::One(restored) => members
                .filter(|(name, _)| *name == self.name())
                .map(|(name, urls)| {
                    let wal_dir = self.wal_dir.is_some().then(|| absolute(&restored.wal_dir));
                    start(name, urls, absolute(&restored.data_dir), wal_dir, self.owner.is_some())
                })
                .collect(),
            // On its way to other machines: each to where their data directory is.
            Done::All(_) => members
                .map(|(name, urls)| start(name, urls, DATA_DIR.to_owned(), None, self.tar_keeps_owner()))
                .collect(),
        }
    }
}

fn cluster(resolved: &Resolved, done: &Done) -> Cluster {
    let (summary, membership) = (done.summary(), &resolved.membership);
    let mut voters: Vec<_> = summary
        .members
        .iter()
        .filter(|member| !member.is_learner)
        .map(|member| member.name.clone())
        .collect();
    voters.sort();
    let learners = summary.members.len().saturating_sub(voters.len());
    Cluster {
        initial_cluster: membership.cluster.to_string(),
        token: membership.token.clone(),
        id: summary.cluster.to_string(),
        state: done.state().to_string(),
        size: membership.cluster.len(),
        voters,
        is_shipped: matches!(done, Done::All(_)),
        starts_on: lines(summary.starts_on),
        quota: summary.quota,
        max_learners: Some(learners).filter(|learners| *learners > 1),
        others: others(&summary.members_before, &membership.cluster),
    }
}

/// The members of the snapshot that can be told how to join, and are not there.
fn others(before: &[Member], cluster: &InitialCluster) -> Vec<Other> {
    let usable =
        |text: &str| !text.is_empty() && !text.chars().any(|c| is_dangerous(c) || matches!(c, ',' | ' '));
    let there = |member: &Member| {
        let known = |url: &PeerUrl| member.peer_urls.iter().any(|other| other == url.as_str());
        cluster.iter().any(|(name, urls)| name == member.name || urls.iter().any(known))
    };
    let can_join = |member: &&Member| {
        let urls = &member.peer_urls;
        let sound = urls.iter().all(|url| usable(url) && PeerUrl::parse(url).is_ok());
        usable(&member.name) && !member.name.contains('=') && !urls.is_empty() && sound && !there(member)
    };
    let mut others: Vec<_> = before
        .iter()
        .filter(can_join)
        .map(|member| Other {
            name: member.name.clone(),
            urls: joined(member.peer_urls.iter().cloned()),
            is_learner: member.is_learner,
        })
        .collect();
    others.sort();
    others
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(",")
}

fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // Without slashes behind it, which would make it another text for the same place.
    let path: PathBuf = path.components().collect();
    // That it is UTF-8 was checked.
    path.to_string_lossy().into_owned()
}

/// A word for a shell. Control characters were refused.
fn word(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Whether no shell and no unit file reads anything into it.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=+:,./@".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// What a member's old companions must not do, or what they must wait for, as
/// comments.
fn companions(cluster: &Cluster) -> String {
    if cluster.size > 1 {
        format!(
            "# One of {} members of cluster {}, state {}: all of them must be restored,\n\
             # with that state, before any of them starts. Then start all together.\n",
            cluster.size, cluster.id, cluster.state
        )
    } else {
        "# The only member: others join later, with empty data directories. Started on its old\n\
         # data, an old member could talk to this one, and crash or spoil it.\n"
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use etcdsnap::etcd::membership::MemberId;

    use super::*;

    pub(super) fn other(name: &str, urls: &str) -> Other {
        Other { name: name.to_owned(), urls: urls.to_owned(), is_learner: false }
    }

    pub(super) fn one() -> (Cluster, Start) {
        let cluster = Cluster {
            initial_cluster: "node1=https://10.20.30.101:2380".to_owned(),
            token: "etcd-cluster".to_owned(),
            id: "5bcc13b438f35d3b".to_owned(),
            state: "8d1f-03".to_owned(),
            size: 1,
            voters: vec!["node1".to_owned()],
            is_shipped: false,
            starts_on: vec!["3.6".to_owned(), "3.7".to_owned()],
            quota: None,
            max_learners: None,
            others: vec![
                other("node2", "https://10.20.30.102:2380"),
                other("node3", "https://10.20.30.103:2380"),
            ],
        };
        let start = Start {
            name: "node1".to_owned(),
            advertised: "https://10.20.30.101:2380".to_owned(),
            listens_on: "https://10.20.30.101:2380".to_owned(),
            data_dir: "/var/lib/etcd".to_owned(),
            wal_dir: None,
            owned: false,
        };
        (cluster, start)
    }

    pub(super) fn two() -> (Cluster, Vec<Start>) {
        let (cluster, start) = one();
        let cluster = Cluster {
            initial_cluster: "node 1=https://a:2380,node2=https://b:2380".to_owned(),
            token: "a \"$b\"%".to_owned(),
            size: 2,
            voters: vec!["node 1".to_owned(), "node2".to_owned()],
            quota: Some(8 << 30),
            max_learners: Some(2),
            others: Vec::new(),
            ..cluster
        };
        let first = Start {
            name: "node 1".to_owned(),
            advertised: "https://a:2380".to_owned(),
            listens_on: "https://0.0.0.0:2380".to_owned(),
            data_dir: "/srv/etcd".to_owned(),
            wal_dir: Some("/fast/wal".to_owned()),
            owned: true,
        };
        let second = Start { name: "node2".to_owned(), advertised: "https://b:2380".to_owned(), ..start };
        (cluster, vec![first, second])
    }

    #[test]
    fn a_directory_has_one_name_however_it_is_written() {
        for path in ["/var/lib/etcd", "/var/lib/etcd/", "/var/lib//etcd//", "/var/lib/./etcd/."] {
            assert_eq!(absolute(Path::new(path)), DATA_DIR);
        }
        assert_eq!(absolute(Path::new("/")), "/");
    }

    #[test]
    fn only_others_that_can_be_written_down_are_named() {
        let member = |name: &str, url: &str| Member {
            id: MemberId(1),
            name: name.to_owned(),
            peer_urls: vec![url.to_owned()],
            client_urls: Vec::new(),
            is_learner: false,
        };
        let before = [
            member("c", "http://c:1"),
            member("b", "http://b:1"),
            member("a", "http://elsewhere:1"),
            member("renamed", "http://a:1"),
            member("", "http://d:1"),
            member("e;\u{1b}", "http://e:1"),
            member("f", "http://f:1 && x"),
            member("g=", "http://g:1"),
            member("h", "h"),
        ];
        let cluster = InitialCluster::parse("a=http://a:1").expect("sound");
        let expected = [other("b", "http://b:1"), other("c", "http://c:1")];
        assert_eq!(others(&before, &cluster), expected);
    }

    #[test]
    fn words_are_what_a_shell_reads_them_as() {
        assert_eq!(word("/var/lib/etcd"), "/var/lib/etcd");
        for text in ["", "a b", "it's", "$(x)", "a;b", "~", "\\", "\"", "*", "[a]"] {
            let script = format!("printf %s {}", word(text));
            let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), text);
        }
    }
}
