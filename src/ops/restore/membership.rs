//! Where the members of the new cluster come from: the command line, a file, or
//! the snapshot's own list.

use std::collections::{BTreeMap, BTreeSet};

use crate::bolt::Db;
use crate::etcd::membership::MemberId;
use crate::etcd::peer_url::{InitialCluster, InitialClusterError, PeerUrl, PeerUrlError, is_member_name};
use crate::etcd::schema;
use crate::etcd::state::State;
use crate::etcd::url_map::{self, UrlMap};
use crate::ops::finding::Findings;
use crate::ops::member_list::DEFAULT_TOKEN;
use crate::ops::verify;

use super::Membership;
use super::member_file::{ListedMember, MemberFileError, MemberList};

/// Where the members come from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// `name=url,name=url`, as etcd has it in `--initial-cluster`.
    Text(&'a str),
    /// The content of a file.
    File(&'a [u8]),
    /// The bucket `members` of the snapshot.
    Snapshot(&'a Db<'a>),
}

/// The members of a cluster to be, and what speaks against them.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The members.
    pub membership: Membership,
    /// Of a snapshot: where its list of members and raft's own contradict each
    /// other, or the list itself.
    pub doubts: Findings,
}

/// Why there are no members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MembershipError {
    /// The text is no list of members.
    #[error(transparent)]
    Text(InitialClusterError),
    /// The file is no list of members.
    #[error(transparent)]
    File(#[from] MemberFileError),
    /// The snapshot's list is damaged, so members may be missing in it.
    #[error("the list of members is damaged")]
    Damaged,
    /// The list has no members.
    #[error("there are no members")]
    Empty,
    /// A member without a name: it was added and has never been started.
    #[error("{place} ({}) has no name", .peer_urls.join(","))]
    Unnamed {
        /// Where it stands.
        place: String,
        /// Where its peers were to reach it.
        peer_urls: Vec<String>,
    },
    /// A name with blanks around it, or of nothing else.
    #[error("{place}: the name {name:?} begins or ends with a blank")]
    Blank {
        /// Where it stands.
        place: String,
        /// The name.
        name: String,
    },
    /// A name, or a URL, that cannot stand in `--initial-cluster`.
    #[error("{place}: {text:?} has a `{character}`, which --initial-cluster has no way to say")]
    Separator {
        /// Where it stands.
        place: String,
        /// Name or URL.
        text: String,
        /// The character.
        character: char,
    },
    /// Two members of one name.
    #[error("{first} and {second} are both called {name:?}")]
    NameTwice {
        /// Where one stands.
        first: String,
        /// And the other.
        second: String,
        /// Their name.
        name: String,
    },
    /// A member without peer URLs.
    #[error("{place} ({name}) has no peer URLs")]
    NoUrls {
        /// Where it stands.
        place: String,
        /// Its name.
        name: String,
    },
    /// A peer URL that is none.
    #[error("{place} ({name}): {error}")]
    Url {
        /// Where its member stands.
        place: String,
        /// The member's name.
        name: String,
        /// What is wrong.
        error: PeerUrlError,
    },
    /// A peer URL that two members have, or one has twice.
    #[error("the peer URL {url} is there twice: {first}, {second}")]
    UrlTwice {
        /// The URL, after the maps.
        url: PeerUrl,
        /// Name of one of its members.
        first: String,
        /// And of the other.
        second: String,
    },
    /// Nobody has a vote.
    #[error("all members are learners, which have no vote")]
    NoVoter,
    /// The file has one token, and another was given.
    #[error("the token {given:?} was given, and the file has {in_file:?}")]
    Token {
        /// As given.
        given: String,
        /// As in the file.
        in_file: String,
    },
    /// A map of URLs that nothing was replaced by.
    #[error("no peer URL is {old}, or another map takes it")]
    IdleMap {
        /// What was to be replaced.
        old: String,
        /// The URLs that there are.
        urls: Vec<PeerUrl>,
    },
}

impl Membership {
    /// The members from `origin`, with their URLs replaced by `maps`, and the
    /// token, which only a file can have of its own.
    ///
    /// What [`InitialCluster::validate`] checks is left to it where the members
    /// come as text; of a list, every member is checked here.
    ///
    /// # Errors
    /// [`MembershipError`].
    pub fn resolve(
        origin: Origin<'_>,
        maps: &[UrlMap],
        token: Option<&str>,
    ) -> Result<Resolved, MembershipError> {
        let mut doubts = Findings::default();
        let list = match origin {
            Origin::Text(text) => {
                let cluster = InitialCluster::parse(text).map_err(MembershipError::Text)?;
                let token = token.unwrap_or(DEFAULT_TOKEN).to_owned();
                let membership = Self { cluster, token, learners: BTreeSet::new() };
                return Ok(Resolved { membership, doubts });
            }
            Origin::File(text) => MemberList::parse(text)?,
            Origin::Snapshot(db) => {
                let state = State::read(db);
                // What is stale there is so after every restore, and no fault.
                let fresh = State { conf_state: None, ..state.clone() };
                let judged = if state.is_conf_state_stale() { &fresh } else { &state };
                verify::membership_findings(judged, &mut doubts);
                listed(&state)?
            }
        };
        let token = match (list.token.clone(), token) {
            (Some(in_file), Some(given)) if in_file != given => {
                return Err(MembershipError::Token { given: given.to_owned(), in_file });
            }
            (in_file, given) => {
                in_file.or_else(|| given.map(str::to_owned)).unwrap_or_else(|| DEFAULT_TOKEN.to_owned())
            }
        };
        let (cluster, learners) = checked(&list, maps)?;
        Ok(Resolved { membership: Self { cluster, token, learners }, doubts })
    }
}

/// The members in the snapshot's bucket, if all of it can be read.
fn listed(state: &State) -> Result<MemberList, MembershipError> {
    let lost = state.unread.contains(&schema::MEMBERS) || !state.tree_faults.is_empty();
    let in_members = state.faults.iter().any(|fault| fault.bucket.as_bytes() == schema::MEMBERS);
    if lost || in_members || state.fault_count > State::KEPT as u64 {
        return Err(MembershipError::Damaged);
    }
    let place = |id: MemberId| format!("member {id}");
    let members = state.members.iter().map(|member| ListedMember {
        place: place(member.id),
        name: member.name.clone(),
        peer_urls: member.peer_urls.clone(),
        is_learner: member.is_learner,
    });
    Ok(MemberList { members: members.collect(), token: None })
}

/// The list as a cluster and its learners.
fn checked(
    list: &MemberList,
    maps: &[UrlMap],
) -> Result<(InitialCluster, BTreeSet<String>), MembershipError> {
    if list.members.is_empty() {
        return Err(MembershipError::Empty);
    }
    let mut places = BTreeMap::<&str, &str>::new();
    let mut cluster = Vec::new();
    for member in &list.members {
        let (place, name) = (member.place.clone(), member.name.clone());
        if name.is_empty() {
            return Err(MembershipError::Unnamed { place, peer_urls: member.peer_urls.clone() });
        }
        if !is_member_name(&name) {
            return Err(MembershipError::Blank { place, name });
        }
        separators(&place, &name, &[',', '='])?;
        if let Some(first) = places.insert(&member.name, &member.place) {
            return Err(MembershipError::NameTwice { first: first.to_owned(), second: place, name });
        }
        if member.peer_urls.is_empty() {
            return Err(MembershipError::NoUrls { place, name });
        }
        let mut urls = Vec::new();
        for text in &member.peer_urls {
            separators(&place, text, &[','])?;
            let error = |error| MembershipError::Url { place: place.clone(), name: name.clone(), error };
            urls.push(PeerUrl::parse(text).map_err(error)?);
        }
        cluster.push((name, urls));
    }
    if list.members.iter().all(|member| member.is_learner) {
        return Err(MembershipError::NoVoter);
    }
    let before: Vec<_> = cluster.iter().flat_map(|(_, urls)| urls.clone()).collect();
    url_map::replace(maps, cluster.iter_mut().flat_map(|(_, urls)| urls))
        .map_err(|map| MembershipError::IdleMap { old: map.old().to_owned(), urls: before })?;
    let mut owners = BTreeMap::<&PeerUrl, &String>::new();
    for (name, url) in cluster.iter().flat_map(|(name, urls)| urls.iter().map(move |url| (name, url))) {
        if let Some(first) = owners.insert(url, name) {
            let (first, second) = (first.clone(), name.clone());
            return Err(MembershipError::UrlTwice { url: url.clone(), first, second });
        }
    }
    let learners = list.members.iter().filter(|member| member.is_learner);
    let learners = learners.map(|member| member.name.clone()).collect();
    Ok((cluster.into_iter().collect(), learners))
}

fn separators(place: &str, text: &str, separators: &[char]) -> Result<(), MembershipError> {
    match text.chars().find(|character| separators.contains(character)) {
        None => Ok(()),
        Some(character) => {
            Err(MembershipError::Separator { place: place.to_owned(), text: text.to_owned(), character })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::membership::Member;

    fn from_file(text: &str, maps: &[&str], token: Option<&str>) -> Result<Membership, MembershipError> {
        let maps: Vec<_> = maps.iter().map(|map| UrlMap::parse(map).expect("a map")).collect();
        Membership::resolve(Origin::File(text.as_bytes()), &maps, token).map(|resolved| resolved.membership)
    }

    fn refused(members: &str) -> String {
        from_file(&format!("members: [{members}]"), &[], None).expect_err(members).to_string()
    }

    const THREE: &str = "members:\n- {name: a, peerURLs: ['https://10.0.0.1:1', 'https://10.0.0.1:2']}\n\
                         - {name: b, peerURLs: ['https://10.0.0.2:1'], learner: true}\n";

    #[test]
    fn a_file_is_a_cluster_with_learners_and_a_token() {
        let membership = from_file(THREE, &[], None).expect("sound");
        let cluster = "a=https://10.0.0.1:1,a=https://10.0.0.1:2,b=https://10.0.0.2:1";
        assert_eq!(membership.cluster, InitialCluster::parse(cluster).expect("sound"));
        assert_eq!(membership.learners, BTreeSet::from(["b".to_owned()]));
        assert_eq!(membership.token, "etcd-cluster");
        assert_eq!(from_file(THREE, &[], Some("given")).expect("sound").token, "given");
        let with_token = format!("{THREE}token: own\n");
        for given in [None, Some("own")] {
            assert_eq!(from_file(&with_token, &[], given).expect("sound").token, "own");
        }
        let error = from_file(&with_token, &[], Some("given")).expect_err("two tokens");
        assert_eq!(error.to_string(), "the token \"given\" was given, and the file has \"own\"");
    }

    #[test]
    fn maps_move_the_members() {
        let moved = from_file(THREE, &["10.0.0.1=10.9.0.1", "https://10.0.0.2:1=http://x:9"], None);
        let cluster = "a=https://10.9.0.1:1,a=https://10.9.0.1:2,b=http://x:9";
        assert_eq!(moved.expect("sound").cluster.to_string(), cluster);
        let idle = from_file(THREE, &["10.0.0.3=10.9.0.3"], None).expect_err("idle");
        assert_eq!(idle.to_string(), "no peer URL is 10.0.0.3, or another map takes it");
        // Only together do they become one.
        let error = from_file(THREE, &["10.0.0.2=10.0.0.1"], None).expect_err("one URL twice");
        assert_eq!(error.to_string(), "the peer URL https://10.0.0.1:1 is there twice: a, b");
    }

    #[test]
    fn a_list_that_is_no_cluster_is_refused() {
        assert_eq!(refused(""), "there are no members");
        assert_eq!(refused("{peerURLs: ['http://a:1']}"), "members[0] (http://a:1) has no name");
        let twice = "{name: a, peerURLs: ['http://a:1']}, {name: a, peerURLs: ['http://b:1']}";
        assert_eq!(refused(twice), "members[0] and members[1] are both called \"a\"");
        assert_eq!(refused("{name: a}"), "members[0] (a) has no peer URLs");
        let no_port = "members[0] (a): \"http://a\" is not of the form https://HOST:PORT";
        assert_eq!(refused("{name: a, peerURLs: ['http://a']}"), no_port);
        for name in [" a", "a\u{a0}", "  "] {
            let member = format!("{{name: '{name}', peerURLs: ['http://a:1']}}");
            assert_eq!(
                refused(&member),
                format!("members[0]: the name {name:?} begins or ends with a blank")
            );
        }
        for (member, text, character) in [
            ("{name: 'a,b', peerURLs: ['http://a:1']}", "a,b", ','),
            ("{name: 'a=b', peerURLs: ['http://a:1']}", "a=b", '='),
            ("{name: a, peerURLs: ['unix:a,b']}", "unix:a,b", ','),
        ] {
            let words = "which --initial-cluster has no way to say";
            assert_eq!(refused(member), format!("members[0]: {text:?} has a `{character}`, {words}"));
        }
        let same = "{name: a, peerURLs: ['http://a:1', 'HTTP://a:1']}";
        assert_eq!(refused(same), "the peer URL http://a:1 is there twice: a, a");
        let learner = "{name: a, peerURLs: ['http://a:1'], learner: true}";
        assert_eq!(refused(learner), "all members are learners, which have no vote");
    }

    #[test]
    fn a_text_is_taken_as_upstream_takes_it() {
        let resolve = |text| Membership::resolve(Origin::Text(text), &[], None);
        let membership = resolve("a=http://a:1,a=http://b:1").expect("sound").membership;
        assert_eq!(membership.cluster.to_string(), "a=http://a:1,a=http://b:1");
        assert_eq!(membership.token, "etcd-cluster");
        assert!(matches!(resolve("a=b").expect_err("no URL"), MembershipError::Text(_)));
    }

    fn member(id: u64, name: &str, url: &str) -> Member {
        Member {
            id: MemberId(id),
            name: name.to_owned(),
            peer_urls: vec![url.to_owned()],
            client_urls: Vec::new(),
            is_learner: false,
        }
    }

    #[test]
    fn a_snapshot_that_does_not_know_its_members_is_refused() {
        let refused = |state: &State| {
            let list = listed(state);
            list.and_then(|list| checked(&list, &[])).expect_err("refused").to_string()
        };
        let members = vec![member(0xa, "a", "http://a:1"), member(0xb, "", "http://b:1")];
        let state = State { members, ..State::default() };
        assert_eq!(refused(&state), "member b (http://b:1) has no name");
        assert_eq!(refused(&State::default()), "there are no members");
        assert_eq!(
            refused(&State { unread: vec![schema::MEMBERS], ..State::default() }),
            "the list of members is damaged"
        );
    }
}
