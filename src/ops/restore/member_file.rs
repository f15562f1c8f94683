//! A list of members in a file, YAML or JSON.
//!
//! Three forms, told apart by what only one of them has:
//!
//! | form | told by | fields of a member |
//! |---|---|---|
//! | a file written for a restore | neither of the others | `name`, `peerURLs`, `learner`; beside `members` a `token` |
//! | `etcdsnap members -o json` | `schemaVersion` | as printed; `isLearner` |
//! | `etcdctl member list -w json` | `header` | as printed; `isLearner`, and fields of newer versions are skipped |
//!
//! In the first two, fields that are not known are errors: a `laerner: true`
//! must not become a vote.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// The members that a list names, before any of them is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberList {
    /// In the order of the list.
    pub members: Vec<ListedMember>,
    /// The token of the cluster to be, if the list has one.
    pub token: Option<String>,
}

/// A member as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMember {
    /// Where it stands: `members[0]`, or `member 8e9e05c52164694d`.
    pub place: String,
    /// Empty if the list has none.
    pub name: String,
    /// Not checked.
    pub peer_urls: Vec<String>,
    /// Whether it has no vote.
    pub is_learner: bool,
}

/// Why a file is no list of members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemberFileError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// Longer than any such list.
    #[error("it has more than {} bytes, which no list of members has", MemberList::LIMIT)]
    TooLong,
    /// Printed by etcdctl, in a form that is not read.
    #[error("it is what `etcdctl member list -w {0}` prints")]
    ForPeople(&'static str),
    /// Neither YAML nor JSON, or other fields or types of values than a list of
    /// members has.
    #[error("{}{what}", position(*.place))]
    Document {
        /// Line and column, counted from 1, if they are known.
        place: Option<(usize, usize)>,
        /// What is wrong there.
        what: String,
    },
}

fn position(place: Option<(usize, usize)>) -> String {
    place.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default()
}

// The documents as they are written. What is absent or null is empty.

#[derive(Deserialize, Default)]
#[serde(default, expecting = "a mapping with `members`")]
struct Head {
    header: Option<IgnoredAny>,
    #[serde(rename = "schemaVersion")]
    schema_version: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `members`")]
struct Own {
    members: Option<Vec<OwnMember>>,
    token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping with `name` and `peerURLs`")]
struct OwnMember {
    name: Option<String>,
    #[serde(rename = "peerURLs")]
    peer_urls: Option<Vec<String>>,
    learner: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Printed {
    members: Option<Vec<PrintedMember>>,
    #[serde(rename = "schemaVersion")]
    _schema_version: IgnoredAny,
    #[serde(rename = "clusterId")]
    _cluster_id: Option<IgnoredAny>,
    #[serde(rename = "clusterIdCertain")]
    _cluster_id_certain: Option<IgnoredAny>,
    #[serde(rename = "removedIds")]
    _removed_ids: Option<IgnoredAny>,
    #[serde(rename = "confStateStale")]
    _conf_state_stale: Option<IgnoredAny>,
    #[serde(rename = "unknownToList")]
    _unknown_to_list: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PrintedMember {
    name: Option<String>,
    #[serde(rename = "peerURLs")]
    peer_urls: Option<Vec<String>>,
    is_learner: Option<bool>,
    #[serde(rename = "id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "clientURLs")]
    _client_urls: Option<IgnoredAny>,
    #[serde(rename = "raftRole")]
    _raft_role: Option<IgnoredAny>,
}

/// Ids are numbers, or text with `--hex`; they are not needed.
#[derive(Deserialize)]
struct Upstream {
    members: Option<Vec<UpstreamMember>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UpstreamMember {
    name: Option<String>,
    #[serde(rename = "peerURLs")]
    peer_urls: Option<Vec<String>>,
    is_learner: Option<bool>,
}

type Row = (Option<String>, Option<Vec<String>>, Option<bool>);

impl MemberList {
    /// A file of more bytes than this is none: two hundred members need less.
    pub const LIMIT: usize = 64 << 10;

    /// Reads a file's content.
    ///
    /// # Errors
    /// [`MemberFileError`]. That there are members, that they have names and that
    /// their URLs are sound is not looked at.
    pub fn parse(text: &[u8]) -> Result<Self, MemberFileError> {
        if text.len() > Self::LIMIT {
            return Err(MemberFileError::TooLong);
        }
        if let Some(form) = form_for_people(text) {
            return Err(MemberFileError::ForPeople(form));
        }
        let head: Head = decode(text)?;
        let (rows, token): (Vec<Row>, _) = if head.schema_version.is_some() {
            let members = decode::<Printed>(text)?.members.unwrap_or_default();
            (members.into_iter().map(|m| (m.name, m.peer_urls, m.is_learner)).collect(), None)
        } else if head.header.is_some() {
            let members = decode::<Upstream>(text)?.members.unwrap_or_default();
            (members.into_iter().map(|m| (m.name, m.peer_urls, m.is_learner)).collect(), None)
        } else {
            let own: Own = decode(text)?;
            let members = own.members.unwrap_or_default();
            (members.into_iter().map(|m| (m.name, m.peer_urls, m.learner)).collect(), own.token)
        };
        let member = |(index, (name, urls, learner)): (usize, Row)| ListedMember {
            place: format!("members[{index}]"),
            name: name.unwrap_or_default(),
            peer_urls: urls.unwrap_or_default(),
            is_learner: learner.unwrap_or_default(),
        };
        Ok(Self { members: rows.into_iter().enumerate().map(member).collect(), token })
    }
}

/// Which of etcdctl's other forms it is, by its first line; the names are those of its
/// `-w`.
fn form_for_people(text: &[u8]) -> Option<&'static str> {
    let line = text.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).ok()?.trim_end();
    if line.starts_with("+-") || line.starts_with('\u{250c}') {
        return Some("table");
    }
    if line.starts_with("\"ClusterID\" : ") {
        return Some("fields");
    }
    let mut cells = line.split(", ");
    let is_id = cells.next().is_some_and(|id| u64::from_str_radix(id, 16).is_ok());
    (is_id && matches!(cells.next(), Some("started" | "unstarted"))).then_some("simple")
}

/// Reads JSON, or YAML of one document.
fn decode<T: DeserializeOwned>(text: &[u8]) -> Result<T, MemberFileError> {
    // Most JSON is YAML, but not all of it, and JSON has the better errors.
    if text.trim_ascii_start().first() == Some(&b'{') {
        match serde_json::from_slice(text) {
            Ok(value) => return Ok(value),
            Err(error) if error.is_data() => {
                return Err(document(&error.to_string(), Some((error.line(), error.column()))));
            }
            Err(_) => {}
        }
    }
    match yaml_serde::from_slice::<Option<T>>(text) {
        Ok(value) => value.ok_or(MemberFileError::Empty),
        Err(error) => {
            let place = error.location().map(|location| (location.line(), location.column()));
            Err(document(&error.to_string(), place))
        }
    }
}

fn document(message: &str, place: Option<(usize, usize)>) -> MemberFileError {
    // Both decoders end with the place, which is told in front.
    let what = message.split_once(" at line ").map_or(message, |(message, _)| message);
    MemberFileError::Document { place, what: shortened(what) }
}

/// Both decoders repeat what they found, however long it is, and say behind it what they
/// expected.
fn shortened(what: &str) -> String {
    const KEPT: usize = 80;
    let length = what.chars().count();
    if length <= 2 * KEPT {
        return what.to_owned();
    }
    let first: String = what.chars().take(KEPT).collect();
    let last: String = what.chars().skip(length.saturating_sub(KEPT)).collect();
    format!("{first}...{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> (Vec<(String, String, bool)>, Option<String>) {
        let list = MemberList::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
        let row = |member: ListedMember| (member.name, member.peer_urls.join(","), member.is_learner);
        (list.members.into_iter().map(row).collect(), list.token)
    }

    fn refused(text: &str) -> String {
        MemberList::parse(text.as_bytes()).expect_err(text).to_string()
    }

    fn row(name: &str, urls: &str, learner: bool) -> (String, String, bool) {
        (name.to_owned(), urls.to_owned(), learner)
    }

    #[test]
    fn a_file_written_for_a_restore_is_yaml_or_json() {
        let yaml = "# the new machines\ntoken: recovery-1\nmembers:\n- name: node1\n  peerURLs: [https://a:1, https://b:1]\n\
                    - {name: node2, peerURLs: [https://c:1], learner: true}\n";
        let json = r#"{"members":[{"name":"node1","peerURLs":["https://a:1","https://b:1"]},
            {"name":"node2","peerURLs":["https://c:1"],"learner":true}],"token":"recovery-1"}"#;
        let expected =
            vec![row("node1", "https://a:1,https://b:1", false), row("node2", "https://c:1", true)];
        for text in [yaml, json, &format!("---\n{yaml}...\n")] {
            assert_eq!(rows(text), (expected.clone(), Some("recovery-1".to_owned())));
        }
        assert_eq!(rows("members:\n"), (Vec::new(), None));
        // No JSON, but YAML.
        assert_eq!(rows("{members: [{name: a, peerURLs: [u]}]}").0, [row("a", "u", false)]);
    }

    #[test]
    fn what_the_tools_print_is_taken_as_it_is() {
        let etcdctl = r#"{"header":{"cluster_id":17237436991929493444,"member_id":9372538179322589801,"raft_term":2},
            "members":[{"ID":9372538179322589801,"name":"infra1","peerURLs":["http://127.0.0.1:12380"],"clientURLs":["http://127.0.0.1:2379"]},
            {"ID":"91bc3c398fb3c146","peerURLs":["http://127.0.0.1:22380"],"isLearner":true,"newer":{}}]}"#;
        let expected =
            [row("infra1", "http://127.0.0.1:12380", false), row("", "http://127.0.0.1:22380", true)];
        assert_eq!(rows(etcdctl), (expected.to_vec(), None));
        let etcdsnap = r#"{"schemaVersion":1,"clusterId":"x","clusterIdCertain":true,"members":[{"id":"1","name":"a",
            "peerURLs":["u"],"clientURLs":[],"isLearner":true,"raftRole":"learner"}],"removedIds":[],"confStateStale":false,"unknownToList":[]}"#;
        assert_eq!(rows(etcdsnap), (vec![row("a", "u", true)], None));
    }

    #[test]
    fn a_typo_is_an_error_at_its_place() {
        for (text, words) in [
            (
                "members: []\ntokn: a\n",
                "line 2, column 1: unknown field `tokn`, expected `members` or `token`",
            ),
            ("members:\n- name: a\n  laerner: true\n", "unknown field `laerner`, expected one of `name`"),
            (r#"{"members":[{"nmae":"a"}]}"#, "line 1, column 19: unknown field `nmae`"),
            (r#"{"schemaVersion":1,"members":[{"isLaerner":true}]}"#, "unknown field `isLaerner`"),
            ("members:\n- name: a\n  peerURLs: https://a:1\n", "expected a sequence"),
            ("members:\n- name: a\n  name: b\n", "duplicate"),
            ("members:\n- name: a\n  learner: yes\n", "expected a boolean"),
            ("members: []\n---\nmembers: []\n", "more than one document"),
            ("- a\n", "a mapping with `members`"),
            ("{\"members\": [", "line "),
            ("node1=https://a:1", "a mapping with `members`"),
            ("\u{0}", "control characters"),
        ] {
            assert!(refused(text).contains(words), "{text:?}: {}", refused(text));
        }
        let long = refused(&"x".repeat(5000));
        assert!(long.len() < 200 && long.ends_with("a mapping with `members`"), "{long}");
        for text in ["", "\n# nothing\n", "---\n", "null"] {
            assert_eq!(refused(text), "it is empty", "{text:?}");
        }
    }

    #[test]
    fn what_etcdctl_prints_for_people_is_known_by_its_form() {
        // As etcdctl 3.6 and 3.7 print them.
        let simple = "8e9e05c52164694d, started, infra1, http://10.0.0.1:2380, http://10.0.0.1:2379, false\n";
        let table = "+------------------+---------+--------+\n|        ID        | STATUS  |  NAME  |\n";
        let fields = "\"ClusterID\" : 14841639068965178418\n\"MemberID\" : 10276657743932975437\n";
        for (text, form) in [
            (simple, "simple"),
            ("91bc3c398fb3c146, unstarted, , http://10.0.0.2:2380, , false", "simple"),
            (table, "table"),
            ("\u{250c}\u{2500}\u{2500}\u{252c}\u{2500}\u{2500}\u{2510}\n", "table"),
            (fields, "fields"),
        ] {
            assert_eq!(refused(text), format!("it is what `etcdctl member list -w {form}` prints"));
        }
        assert_eq!(rows("{\"header\": {}, \"members\": []}").0, []);
    }

    #[test]
    fn no_file_is_too_much() {
        let start = std::time::Instant::now();
        let bomb: String = std::iter::once("a0: &a0 [x]\n".to_owned())
            .chain((1..60).map(|n| format!("a{n}: &a{n} [*a{0},*a{0},*a{0},*a{0}]\n", n - 1)))
            .chain(std::iter::once("members: *a59\n".to_owned()))
            .collect();
        let deep = |open: &str| open.repeat(MemberList::LIMIT / open.len());
        for text in
            [bomb, deep("["), deep("{a: "), deep("{\"a\":"), deep("- "), deep("? "), deep("&a "), deep("!")]
        {
            let members = MemberList::parse(text.as_bytes()).map(|list| list.members);
            assert_eq!(members.unwrap_or_default(), [], "{}", &text[..20]);
        }
        let long = vec![b' '; MemberList::LIMIT + 1];
        assert_eq!(MemberList::parse(&long), Err(MemberFileError::TooLong));
        assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    }
}
