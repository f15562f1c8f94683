//! The flags that say who the members of the new cluster are.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use etcdsnap::bolt::Db;
use etcdsnap::etcd::peer_url::{InitialClusterError, PeerUrl, is_member_name};
use etcdsnap::etcd::url_map::UrlMap;
use etcdsnap::ops::member_list::DEFAULT_TOKEN;
use etcdsnap::ops::restore::Membership;
use etcdsnap::ops::restore::member_file::{MemberFileError, MemberList};
use etcdsnap::ops::restore::membership::{MembershipError, Origin, Resolved};

use crate::cli::failure::Failure;
use crate::cli::output::shell::{option, quoted_path};
use crate::cli::output::text::safe;
use crate::cli::words;

/// Upstream's defaults.
const INITIAL_CLUSTER: &str = "default=http://localhost:2380";
const ADVERTISED: &str = "http://localhost:2380";
const URL_HINT: &str = "a URL is https://HOST:PORT, with nothing behind the port";
const NAME_HINT: &str =
    "write the name without blanks around it, and none behind a comma: no etcd is started with such a name";
/// What a member is called that was given no name.
pub(super) const DEFAULT_NAME: &str = "default";

#[derive(Debug, clap::Args)]
pub(super) struct Members {
    /// All members of the new cluster: NAME=URL,NAME=URL...
    /// [default: default=http://localhost:2380]
    #[arg(long, value_name = "MEMBERS", conflicts_with_all = ["members_file", "same_members"])]
    initial_cluster: Option<String>,
    /// Take the members from FILE (YAML or JSON): a list of `name`, `peerURLs` and
    /// `learner` under `members`, or what `etcdctl member list -w json` or
    /// `etcdsnap members -o json` printed
    #[arg(long, value_name = "FILE", group = "list")]
    members_file: Option<PathBuf>,
    /// Take the members that the snapshot lists, with their names, peer URLs and
    /// learners
    #[arg(long, group = "list")]
    same_members: bool,
    /// Replace a peer URL, or a host (HOST or HOST:PORT) in all of them, in the
    /// members of a file or the snapshot; may be repeated
    #[arg(long, value_name = "OLD=NEW", requires = "list", value_parser = parse_map)]
    map_url: Vec<UrlMap>,
    /// Sets clusters with the same URLs apart
    /// [default: the file's, or etcd-cluster]
    #[arg(long, value_name = "TOKEN")]
    initial_cluster_token: Option<String>,
    /// Peer URLs of this member, as in --initial-cluster
    /// [default: those that a file or the snapshot has for it, or
    /// http://localhost:2380]
    #[arg(long, value_name = "URLS")]
    initial_advertise_peer_urls: Option<String>,
}

fn parse_map(text: &str) -> Result<UrlMap, String> {
    UrlMap::parse(text).map_err(|error| error.to_string())
}

impl Members {
    /// Whether the snapshot has to be read to know them.
    pub(super) fn are_in_the_snapshot(&self) -> bool {
        self.same_members
    }

    /// Whether this member's URLs are said apart.
    pub(super) fn advertised_is_given(&self) -> bool {
        self.initial_advertise_peer_urls.is_some()
    }

    /// The members, from wherever they are to come. `db` is looked at only if the
    /// snapshot is to say.
    ///
    /// # Errors
    /// A file that cannot be read, or a list that is no cluster.
    pub(super) fn resolve(&self, db: Option<&Db<'_>>, snapshot: &Path) -> Result<Resolved, Failure> {
        let token = self.initial_cluster_token.as_deref();
        let resolved = match (&self.members_file, db) {
            (Some(path), _) => {
                let text = read(path).map_err(|error| {
                    Failure::new(format!("cannot read the members in {}: {error}", path.display()))
                        .hint("name a file with a list of members, or write them into --initial-cluster")
                })?;
                Membership::resolve(Origin::File(&text), &self.map_url, token)
            }
            (None, Some(db)) => Membership::resolve(Origin::Snapshot(db), &self.map_url, token),
            (None, None) => {
                let text = self.initial_cluster.as_deref().unwrap_or(INITIAL_CLUSTER);
                Membership::resolve(Origin::Text(text), &[], token)
            }
        };
        resolved.map_err(|error| self.failure(error, snapshot))
    }

    /// The URLs that the member `name` announces.
    ///
    /// # Errors
    /// Given URLs that are none; a name that no member can have, or that is not
    /// among the members.
    pub(super) fn advertised(
        &self,
        name: Option<&str>,
        membership: &Membership,
    ) -> Result<Vec<PeerUrl>, Failure> {
        if let Some(name) = name.filter(|name| !is_member_name(name)) {
            return Err(Failure::usage(format!("--name {name:?} is empty, or begins or ends with a blank"))
                .hint(NAME_HINT));
        }
        let wanted = name.unwrap_or(DEFAULT_NAME);
        let Some(urls) = membership.cluster.urls(wanted) else {
            let names: Vec<_> = membership.cluster.iter().map(|(name, _)| name).collect();
            return Err(self.unknown_name(name, &names));
        };
        let text = match (&self.initial_advertise_peer_urls, self.is_listed()) {
            (Some(text), _) => text,
            (None, false) => ADVERTISED,
            (None, true) => return Ok(urls.to_vec()),
        };
        PeerUrl::parse_list(text)
            .map_err(|error| Failure::usage(format!("--initial-advertise-peer-urls: {error}")).hint(URL_HINT))
    }

    /// The flags again, for another member's command.
    pub(super) fn words(&self, name: &str, urls: &str) -> Vec<String> {
        let mut words = vec![option("--name", name.as_bytes())];
        let listed = self.members_file.as_deref();
        words.extend(listed.into_iter().flat_map(|path| ["--members-file".to_owned(), quoted_path(path)]));
        let mut flag = |flag: &str, value: &str| words.push(option(flag, value.as_bytes()));
        if !self.is_listed() {
            flag("--initial-advertise-peer-urls", urls);
            flag("--initial-cluster", self.initial_cluster.as_deref().unwrap_or(INITIAL_CLUSTER));
        }
        for map in &self.map_url {
            flag("--map-url", map.as_str());
        }
        if let Some(token) = self.initial_cluster_token.as_deref().filter(|token| *token != DEFAULT_TOKEN) {
            flag("--initial-cluster-token", token);
        }
        if self.same_members {
            words.push("--same-members".to_owned());
        }
        words
    }

    /// Whether the members come from a file or the snapshot.
    pub(super) fn is_listed(&self) -> bool {
        self.same_members || self.members_file.is_some()
    }

    /// Whether they are said at all, or upstream's default.
    pub(super) fn are_given(&self) -> bool {
        self.is_listed() || self.initial_cluster.is_some()
    }

    /// What has the list.
    pub(super) fn origin(&self) -> String {
        match &self.members_file {
            Some(path) => path.display().to_string(),
            None if self.same_members => "the snapshot".to_owned(),
            None => "--initial-cluster".to_owned(),
        }
    }

    fn failure(&self, error: MembershipError, snapshot: &Path) -> Failure {
        let instead = format!(
            "or write the list yourself: `etcdsnap members {} -o json > members.json`, correct it, then --members-file members.json",
            quoted_path(snapshot)
        );
        let from_snapshot = self.same_members;
        let words = match &error {
            MembershipError::Text(_) => format!("--initial-cluster: {error}"),
            MembershipError::IdleMap { .. } => format!("--map-url: {error}"),
            MembershipError::Token { .. } => format!("--initial-cluster-token: {error}"),
            _ => format!("{}: {error}", self.origin()),
        };
        let usage = matches!(error, MembershipError::IdleMap { .. } | MembershipError::UrlTwice { .. });
        let failure = if from_snapshot && !usage { Failure::no(words) } else { Failure::usage(words) };
        match error {
            MembershipError::Text(error) => failure.hint(text_hint(&error)),
            MembershipError::File(MemberFileError::ForPeople(_)) => {
                failure.hint("save it with -w json: `etcdctl member list -w json > members.json`")
            }
            MembershipError::File(_) => failure.hint(
                "as in `members: [{name: node1, peerURLs: [\"https://10.20.30.101:2380\"]}]`; or what `etcdctl member list -w json` printed",
            ),
            MembershipError::Damaged => failure
                .hint("members could be missing from it; `etcdsnap verify FILE` tells what is damaged")
                .hint(instead),
            MembershipError::Empty if from_snapshot => {
                failure.hint(instead)
            }
            MembershipError::Unnamed { .. } if from_snapshot => failure
                .found("it was added to the cluster and had never been started when the snapshot was taken")
                .hint(instead),
            MembershipError::Unnamed { .. } => {
                failure.hint("give it the name that its etcd will be started with, or leave it out")
            }
            MembershipError::IdleMap { urls, .. } => {
                let urls: Vec<_> = urls.iter().map(PeerUrl::as_str).collect();
                failure.hint(format!("the peer URLs in {}: {}", self.origin(), urls.join(", ")))
            }
            MembershipError::Token { .. } => {
                failure.hint("leave the flag out, or change the file: on every node the same")
            }
            MembershipError::UrlTwice { .. } if !self.map_url.is_empty() => {
                failure.hint("two members cannot be at one address: look at --map-url")
            }
            MembershipError::Blank { .. } if !from_snapshot => failure.hint(NAME_HINT),
            MembershipError::NoVoter => failure.hint("take `learner` away from at least one"),
            _ if from_snapshot => failure.hint(instead),
            MembershipError::Url { .. } => failure.hint(URL_HINT),
            _ => failure.hint("correct the file: it must be the same on every node"),
        }
    }
}

/// What to write in place of a text that is no list of members.
fn text_hint(error: &InitialClusterError) -> String {
    match error {
        InitialClusterError::NoName { item } if PeerUrl::parse(item).is_ok() => {
            format!("put the member's name before each of its URLs: NAME={item}")
        }
        InitialClusterError::NoName { .. } => {
            "a member is NAME=URL, as node1=https://10.20.30.101:2380, and a comma stands between two"
                .to_owned()
        }
        InitialClusterError::Name { .. } => NAME_HINT.to_owned(),
        _ => URL_HINT.to_owned(),
    }
}

/// At most one byte more than a list can have.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MemberList::LIMIT as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// What speaks against the members that were taken from the snapshot.
pub(super) fn doubt(resolved: &Resolved) -> Option<(&'static str, String)> {
    let mut lines = Vec::new();
    for (_, code, _, _, findings) in resolved.doubts.kinds() {
        lines.extend(findings.iter().map(|finding| format!("{code}: {}", words::line(finding))));
    }
    lines.truncate(3);
    let cluster = &resolved.membership.cluster;
    let names: Vec<_> = cluster.iter().map(|(name, _)| safe(name.as_bytes())).collect();
    let text = format!(
        "the snapshot contradicts itself about its members ({}); the new cluster gets those that it lists: {}. If these are not right, restore again (every member) with --members-file",
        lines.join("; "),
        names.join(", ")
    );
    (!lines.is_empty()).then_some(("members-doubtful", text))
}
