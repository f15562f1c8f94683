//! Members of a cluster: their ids and what the backend keeps about them.
//!
//! | bucket | key | value |
//! |---|---|---|
//! | `members` | hex id | JSON of the member |
//! | `members_removed` | hex id | `removed` |
//!
//! Source: `server/etcdserver/api/membership/{member,cluster}.go`,
//! `server/storage/schema/membership.go` @ v3.6.14; the same in 3.5 and 3.7.

use std::collections::BTreeSet;
use std::fmt;

use super::go_text::{JsonFault, push_json_string, push_json_strings};
use super::peer_url::{InitialCluster, PeerUrl};
use crate::codec::checksum::sha1_prefix_u64;

/// Identifies a member. Shown and stored in lower-case hexadecimal without
/// leading zeros; a bare decimal in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u64);

impl MemberId {
    /// The id of a member that is there from the start: the first eight bytes of
    /// the SHA-1 of its sorted URLs and the cluster's token, all concatenated.
    /// The member's name takes no part.
    ///
    /// A member that was added to a running cluster cannot be derived: its URLs
    /// are followed by the second it was added at.
    pub fn derive(peer_urls: &[PeerUrl], token: &str) -> Self {
        let mut parts: Vec<&str> = peer_urls.iter().map(PeerUrl::as_str).collect();
        parts.sort_unstable();
        parts.push(token);
        let parts: Vec<&[u8]> = parts.into_iter().map(str::as_bytes).collect();
        Self(sha1_prefix_u64(&parts))
    }

    /// Reads a key of the bucket `members`: up to 16 hexadecimal digits.
    pub fn parse_hex(key: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(key).ok()?;
        let digits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:x}", self.0))
    }
}

/// Identifies a cluster. Shown as a [`MemberId`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u64);

impl ClusterId {
    /// The id of a cluster that starts with these members: the first eight bytes
    /// of the SHA-1 of their ids in ascending order, big-endian. Later changes of
    /// membership leave it as it is.
    pub fn derive(members: impl IntoIterator<Item = MemberId>) -> Self {
        let mut ids: Vec<_> = members.into_iter().collect();
        ids.sort_unstable();
        let ids: Vec<_> = ids.iter().map(|id| id.0.to_be_bytes()).collect();
        Self(sha1_prefix_u64(&ids.iter().map(<[u8; 8]>::as_slice).collect::<Vec<_>>()))
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:x}", self.0))
    }
}

/// A member as the backend keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// Its name; empty until the member has started.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty until the member has started.
    pub client_urls: Vec<String>,
    /// Whether it has no vote.
    pub is_learner: bool,
}

/// Why bytes are not an entry of `members` or `members_removed`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipFault {
    /// The value is not the JSON of a member.
    #[error("expected the JSON of a member, found a {0}")]
    Json(JsonFault),
    /// The key is not an id.
    #[error("expected a member id in hexadecimal, found key {:?}", .found.escape_ascii().to_string())]
    Key {
        /// The key.
        found: Vec<u8>,
    },
    /// The value is not the one that marks a removed member.
    #[error("expected the value \"removed\", found {length} other bytes")]
    RemovedValue {
        /// Bytes of the value.
        length: usize,
    },
}

/// The fields of a member's JSON, all of which Go lets be absent or null.
#[derive(serde::Deserialize)]
struct MemberFields {
    id: Option<u64>,
    #[serde(rename = "peerURLs")]
    peer_urls: Option<Vec<Option<String>>>,
    #[serde(rename = "isLearner")]
    is_learner: Option<bool>,
    name: Option<String>,
    #[serde(rename = "clientURLs")]
    client_urls: Option<Vec<Option<String>>>,
}

impl Member {
    /// Reads the value of an entry of `members`. Absent and null fields are
    /// empty, unknown ones are skipped, bytes that are not UTF-8 are replaced.
    /// The id is not compared with the entry's key.
    ///
    /// # Errors
    /// [`MembershipFault::Json`].
    pub fn parse(json: &[u8]) -> Result<Self, MembershipFault> {
        let fields: MemberFields = serde_json::from_str(&String::from_utf8_lossy(json))
            .map_err(|error| MembershipFault::Json(error.into()))?;
        let texts = |list: Option<Vec<Option<String>>>| {
            list.unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect()
        };
        Ok(Self {
            id: MemberId(fields.id.unwrap_or_default()),
            name: fields.name.unwrap_or_default(),
            peer_urls: texts(fields.peer_urls),
            client_urls: texts(fields.client_urls),
            is_learner: fields.is_learner.unwrap_or_default(),
        })
    }

    /// The value of the member's entry in `members`, and the context of the WAL
    /// entry that adds it.
    ///
    /// Fields in upstream's order; `isLearner`, `name` and `clientURLs` only if
    /// they are not empty; no peer URLs are `null`.
    pub fn to_json(&self) -> String {
        let mut out = format!("{{\"id\":{},", self.id.0);
        self.push_raft_attributes(&mut out);
        if !self.name.is_empty() {
            out.push_str(",\"name\":");
            push_json_string(&mut out, self.name.as_bytes());
        }
        if !self.client_urls.is_empty() {
            out.push_str(",\"clientURLs\":");
            push_json_strings(&mut out, &self.client_urls);
        }
        out.push('}');
        out
    }

    /// The member's `raftAttributes` in the v2 store: peer URLs and learner flag.
    pub fn raft_attributes_json(&self) -> String {
        let mut out = String::from("{");
        self.push_raft_attributes(&mut out);
        out.push('}');
        out
    }

    fn push_raft_attributes(&self, out: &mut String) {
        out.push_str("\"peerURLs\":");
        if self.peer_urls.is_empty() {
            out.push_str("null");
        } else {
            push_json_strings(out, &self.peer_urls);
        }
        if self.is_learner {
            out.push_str(",\"isLearner\":true");
        }
    }
}

/// A member that was removed; its id is never taken again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// Its id.
    pub id: MemberId,
}

impl Removed {
    /// The value of every entry of `members_removed`.
    pub const VALUE: &'static [u8] = b"removed";

    /// Reads an entry of `members_removed`.
    ///
    /// # Errors
    /// [`MembershipFault::Key`] or [`MembershipFault::RemovedValue`].
    pub fn parse(key: &[u8], value: &[u8]) -> Result<Self, MembershipFault> {
        let id = MemberId::parse_hex(key).ok_or_else(|| MembershipFault::Key { found: key.to_vec() })?;
        if value != Self::VALUE {
            return Err(MembershipFault::RemovedValue { length: value.len() });
        }
        Ok(Self { id })
    }
}

/// Why a cluster cannot be started with the members given, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NewMembersError {
    /// Two members have URLs that give one id.
    #[error(
        "member exists with identical ID &{{{} {{[{}] {}}} {{{} []}}}}",
        .member.id, .member.peer_urls.join(" "), .member.is_learner, .member.name
    )]
    IdenticalId {
        /// The second of them, by name.
        member: Box<Member>,
    },
    /// A member has the id that stands for "none" in raft.
    #[error("cannot use 0 as member id")]
    ZeroId,
    /// A learner that is no member.
    #[error("learner {name:?} is not in the initial cluster")]
    UnknownLearner {
        /// The name.
        name: String,
    },
    /// Nobody is left to vote.
    #[error("all members are learners, so there is nobody to elect a leader")]
    NoVoter,
}

/// The members of a cluster that starts with `token`, by ascending id. All of
/// them vote: see [`with_learners`].
///
/// # Errors
/// [`NewMembersError`]. Upstream looks for equal ids before it looks for 0.
pub fn new_members(cluster: &InitialCluster, token: &str) -> Result<Vec<Member>, NewMembersError> {
    let members = cluster.iter().map(|(name, urls)| Member {
        id: MemberId::derive(urls, token),
        name: name.to_owned(),
        peer_urls: urls.iter().map(PeerUrl::to_string).collect(),
        client_urls: Vec::new(),
        is_learner: false,
    });
    sorted_by_id(members)
}

/// `members`, of whom those that `learners` names have no vote.
///
/// # Errors
/// [`NewMembersError::UnknownLearner`], and [`NewMembersError::NoVoter`] if
/// nobody else is left.
pub fn with_learners(
    mut members: Vec<Member>,
    learners: &BTreeSet<String>,
) -> Result<Vec<Member>, NewMembersError> {
    for name in learners {
        if !members.iter().any(|member| member.name == *name) {
            return Err(NewMembersError::UnknownLearner { name: name.clone() });
        }
    }
    for member in &mut members {
        member.is_learner = learners.contains(&member.name);
    }
    if !members.is_empty() && members.iter().all(|member| member.is_learner) {
        return Err(NewMembersError::NoVoter);
    }
    Ok(members)
}

fn sorted_by_id(members: impl Iterator<Item = Member>) -> Result<Vec<Member>, NewMembersError> {
    let mut by_id = std::collections::BTreeMap::new();
    for member in members {
        if by_id.contains_key(&member.id) {
            return Err(NewMembersError::IdenticalId { member: Box::new(member) });
        }
        if member.id == MemberId(0) {
            return Err(NewMembersError::ZeroId);
        }
        by_id.insert(member.id, member);
    }
    Ok(by_id.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::super::go_text::JsonFaultKind;
    use super::*;

    fn id(urls: &str, token: &str) -> u64 {
        MemberId::derive(&PeerUrl::parse_list(urls).expect("sound"), token).0
    }

    #[test]
    fn ids_are_those_upstream_derives() {
        let members = [
            ("https://10.20.30.101:2380", 0x6164_6fee_b29f_a0bd, 0x2faf_23c4_c748_9673),
            ("https://10.20.30.102:2380", 0x11ab_c49c_8f7d_2160, 0xa403_732b_3f11_c03e),
            ("https://10.20.30.103:2380", 0xd1e1_d6a7_d887_d1fd, 0x4ad8_df9e_4595_4263),
        ];
        for (url, with_token, without) in members {
            assert_eq!((id(url, "etcd-cluster"), id(url, "")), (with_token, without));
        }
        let cluster = |ids: &[u64]| ClusterId::derive(ids.iter().copied().map(MemberId)).0;
        assert_eq!(cluster(&members.map(|member| member.1)), 0x2e33_bdde_1b2c_af1f);
        assert_eq!(cluster(&members.map(|member| member.2)), 0xe4b0_56ac_2af4_1eda);
        assert_eq!(cluster(&[0x6164_6fee_b29f_a0bd]), 0x5bcc_13b4_38f3_5d3b);
        assert_eq!(cluster(&[0x2faf_23c4_c748_9673]), 0x4a82_2bdc_1482_6919);
        assert_eq!(id("http://localhost:2380", "etcd-cluster"), 0x8e9e_05c5_2164_694d);
        assert_eq!(cluster(&[0x8e9e_05c5_2164_694d]), 0xcdf8_1819_4e3a_8c32);
        let two = "https://10.20.30.102:2380,https://10.20.30.101:2380";
        assert_eq!(id(two, "tok"), 0x5e0a_8e44_3d09_1c64);
    }

    #[test]
    fn ids_are_shown_without_zeros() {
        assert_eq!(MemberId(0x0bc).to_string(), "bc");
        assert_eq!(format!("{:>4}", ClusterId(0)), "   0");
        assert_eq!(MemberId::parse_hex(b"11abc49c8f7d2160"), Some(MemberId(0x11ab_c49c_8f7d_2160)));
        for other in [&b""[..], b"+1", b"0x1", b"11abc49c8f7d21600", b"\xff"] {
            assert_eq!(MemberId::parse_hex(other), None);
        }
    }

    fn full() -> Member {
        Member {
            id: MemberId(u64::MAX),
            name: "m<\u{2028}>".to_owned(),
            peer_urls: vec!["http://a:1?x&y".to_owned(), "http://b:1".to_owned()],
            client_urls: vec!["http://a:2".to_owned()],
            is_learner: true,
        }
    }

    #[test]
    fn json_is_gos() {
        let text = concat!(
            r#"{"id":18446744073709551615,"peerURLs":["http://a:1?x\u0026y","http://b:1"],"isLearner":true,"#,
            r#""name":"m\u003c\u2028\u003e","clientURLs":["http://a:2"]}"#
        );
        assert_eq!(full().to_json(), text);
        assert_eq!(Member::parse(text.as_bytes()), Ok(full()));
        let bare = Member {
            id: MemberId(7),
            name: String::new(),
            peer_urls: Vec::new(),
            client_urls: Vec::new(),
            is_learner: false,
        };
        assert_eq!(bare.to_json(), r#"{"id":7,"peerURLs":null}"#);
        assert_eq!(bare.raft_attributes_json(), r#"{"peerURLs":null}"#);
        assert_eq!(Member::parse(bare.to_json().as_bytes()), Ok(bare));
        let tolerated = br#" {"peerURLs":[null,"u"],"new":{"a":[1]},"name":null,"clientURLs":null} "#;
        let member = Member::parse(tolerated).expect("tolerated");
        assert_eq!((member.id, member.peer_urls), (MemberId(0), vec![String::new(), "u".to_owned()]));
        assert_eq!(Member::parse(b"{\"name\":\"a\xff\"}").expect("tolerated").name, "a\u{fffd}");
    }

    #[test]
    fn what_is_no_member_is_refused() {
        let kind = |json: &[u8]| match Member::parse(json) {
            Err(MembershipFault::Json(fault)) => fault.kind,
            other => panic!("{other:?}"),
        };
        assert_eq!(kind(b""), JsonFaultKind::Truncated);
        assert_eq!(kind(b"{\"id\":1"), JsonFaultKind::Truncated);
        assert_eq!(kind(b"{} x"), JsonFaultKind::Syntax);
        assert_eq!(kind(b"{\"id\":-1}"), JsonFaultKind::Value);
        assert_eq!(kind(b"{\"id\":18446744073709551616}"), JsonFaultKind::Value);
        assert_eq!(kind(b"{\"id\":1.5}"), JsonFaultKind::Value);
        assert_eq!(kind(b"{\"peerURLs\":\"u\"}"), JsonFaultKind::Value);
        assert_eq!(kind(&b"[".repeat(100_000)), JsonFaultKind::Value);
    }

    #[test]
    fn removed_members_carry_one_value() {
        assert_eq!(Removed::parse(b"ff", b"removed"), Ok(Removed { id: MemberId(255) }));
        assert_eq!(Removed::parse(b"ff", b""), Err(MembershipFault::RemovedValue { length: 0 }));
        let fault = Removed::parse(b"g\n", b"removed").expect_err("no id");
        assert_eq!(fault.to_string(), "expected a member id in hexadecimal, found key \"g\\\\n\"");
    }

    #[test]
    fn learners_are_members_and_leave_a_voter() {
        let cluster = InitialCluster::parse("a=http://a:1,b=http://b:1").expect("sound");
        let chosen = |names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            with_learners(new_members(&cluster, "t").expect("distinct"), &names)
        };
        let members = chosen(&["b"]).expect("a voter is left");
        assert!(members.iter().all(|member| member.is_learner == (member.name == "b")));
        assert!(members.iter().any(|member| member.to_json().contains("\"isLearner\":true")));
        assert_eq!(chosen(&[]).expect("voters"), new_members(&cluster, "t").expect("distinct"));
        let unknown = NewMembersError::UnknownLearner { name: "c".to_owned() };
        assert_eq!(chosen(&["b", "c"]), Err(unknown));
        assert_eq!(chosen(&["a", "b"]), Err(NewMembersError::NoVoter));
    }

    #[test]
    fn new_members_have_distinct_ids() {
        let cluster = InitialCluster::parse("b=http://b:1,a=http://a:1,b=http://b:0").expect("sound");
        let members = new_members(&cluster, "tok").expect("distinct");
        assert!(members.is_sorted_by_key(|member| member.id));
        let b = members.iter().find(|member| member.name == "b").expect("there");
        assert_eq!(b.peer_urls, ["http://b:0", "http://b:1"]);
        assert_eq!(b.id.0, id("http://b:1,http://b:0", "tok"));

        // Ids are derived from texts without a separator.
        let cluster = InitialCluster::parse("a=unix:aunix:b,z=unix:a,z=unix:b").expect("sound");
        let error = new_members(&cluster, "tok").expect_err("one id").to_string();
        assert_eq!(
            error,
            format!(
                "member exists with identical ID &{{{:x} {{[unix:a unix:b] false}} {{z []}}}}",
                id("unix:a,unix:b", "tok")
            )
        );
        let zero = Member { id: MemberId(0), ..full() };
        let error = sorted_by_id(std::iter::once(zero)).expect_err("zero");
        assert_eq!(error.to_string(), "cannot use 0 as member id");
    }
}
