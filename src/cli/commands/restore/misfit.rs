//! Members and a member that do not fit together: what to change.

use etcdsnap::etcd::peer_url::{BootstrapError, PeerUrl};
use etcdsnap::kube::type_name::nearest;

use super::membership::{DEFAULT_NAME, Members};
use crate::cli::failure::Failure;
use crate::cli::output::shell::quoted;

impl Members {
    /// What is wrong, and which flag to give or change; `name` is that of this
    /// member, if it was given.
    pub(super) fn misfit(&self, error: &BootstrapError, name: Option<&str>) -> Failure {
        match error {
            BootstrapError::NoMembers => self.no_members(),
            BootstrapError::UnknownName { members, .. } => {
                self.unknown_name(name, &members.iter().map(String::as_str).collect::<Vec<_>>())
            }
            BootstrapError::OtherUrls { name, advertised, listed, needs_resolver } => {
                let failure = self.other_urls(name, advertised, listed);
                if *needs_resolver {
                    return failure.hint(
                        "write the same in both: no name is looked up, and names are compared as text",
                    );
                }
                failure
            }
            BootstrapError::UrlTwice { url, first, second } => {
                let origin = self.origin();
                let whose = match first == second {
                    true => format!("for {first}"),
                    false => format!("for {first} and for {second}"),
                };
                Failure::usage(format!("{origin} has {url} twice: {whose}"))
                    .hint("every member needs a peer URL of its own: correct one of the two")
            }
            error => Failure::usage(error.to_string()),
        }
    }

    /// This member is none of those that there are.
    pub(super) fn unknown_name(&self, name: Option<&str>, members: &[&str]) -> Failure {
        let origin = self.origin();
        let wanted = name.unwrap_or(DEFAULT_NAME);
        if members.is_empty() {
            return self.no_members();
        }
        if !self.are_given() {
            return Failure::usage(format!(
                "--initial-cluster was not given, and its default has only the member {DEFAULT_NAME:?}, not {wanted:?}"
            ))
            .hint(format!(
                "add --initial-cluster with all members of the new cluster, this one too: {}",
                quoted(format!("{wanted}=https://HOST:2380").as_bytes())
            ));
        }
        let near = nearest(wanted, members.iter().copied());
        let others = members.iter().copied().filter(|member| !near.contains(member));
        let all: Vec<_> = near.iter().copied().chain(others).collect();
        let failure = match name {
            Some(name) => Failure::usage(format!("there is no member {name:?} in {origin}")),
            None => Failure::usage(format!(
                "--name was not given, and there is no member {DEFAULT_NAME:?} in {origin}"
            )),
        };
        failure.hint(format!("--name says which of them this is: {}", all.join(", ")))
    }

    /// Only a text can have none: lists were refused before.
    fn no_members(&self) -> Failure {
        Failure::usage(format!("there are no members in {}", self.origin()))
            .hint("it has all members of the new cluster: NAME=URL,NAME=URL...")
    }

    /// This member is to announce something else than the list has for it.
    fn other_urls(&self, name: &str, advertised: &[PeerUrl], listed: &[PeerUrl]) -> Failure {
        let origin = self.origin();
        let joined = |urls: &[PeerUrl]| urls.iter().map(PeerUrl::as_str).collect::<Vec<_>>().join(",");
        let (ours, theirs) = (joined(advertised), joined(listed));
        let is_repeated = listed.len() > 1 && !self.is_listed();
        let times =
            if is_repeated { format!(" ({name} is there {} times)", listed.len()) } else { String::new() };
        let has = format!("{origin} has {theirs} for {name}{times}");
        let flag = format!("--initial-advertise-peer-urls={}", quoted(theirs.as_bytes()));
        let failure = match (self.advertised_is_given(), self.is_listed()) {
            (false, _) => Failure::usage(format!("--initial-advertise-peer-urls was not given; {has}"))
                .hint(format!("add {flag}")),
            (true, true) => Failure::usage(format!("{has}, and --initial-advertise-peer-urls is {ours}"))
                .hint("leave --initial-advertise-peer-urls out: the list says it; or correct the list, the same on every node"),
            (true, false) => {
                let failure = Failure::usage(format!("{has}, and --initial-advertise-peer-urls is {ours}"))
                    .hint(format!("if --initial-cluster is right: {flag}"));
                let mut once = advertised.to_vec();
                once.dedup();
                let items: Vec<_> = once.iter().map(|url| format!("{name}={url}")).collect();
                let instead = quoted(items.join(",").as_bytes());
                // One that is given twice is right nowhere.
                match once == *listed {
                    true => failure,
                    false => failure.hint(format!("if not: {instead} belongs into it, on every node")),
                }
            }
        };
        if is_repeated {
            return failure.hint(format!(
                "a name that comes again adds a URL to its member: if {} members were meant, give each a name of its own",
                listed.len()
            ));
        }
        failure
    }
}
