//! The v2 store of a restored member: the `data` of its raft snapshot.
//!
//! Up to 3.5 servers take the membership from it, up to 3.6 they load it at
//! start. It is a tree of nodes and a ring of the latest 1000 events, as JSON:
//!
//! ```text
//! /            index 0
//!   0          index 0
//!     members  index 1
//!       <id>   index of its creation
//!         raftAttributes = {"peerURLs":[...]}
//!   1          index 0
//! ```
//!
//! Source: `server/etcdserver/api/v2store/{store,node,event_history,event_queue,stats}.go`,
//! `server/etcdserver/api/membership/storev2.go` @ v3.6.14.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::go_text::push_json_string;
use super::membership::Member;

/// Slots of the event ring. A server up to 3.6 writes into a loaded ring by
/// position modulo this, so all of them must be there.
const CAPACITY: usize = 1000;
/// Go's zero time: the node does not expire.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// One member's part of the store.
struct Created {
    /// Path of its directory.
    path: String,
    /// Index of its creation, from 1.
    index: usize,
    /// Its `raftAttributes`, as a JSON string.
    value: String,
}

/// The JSON of a store in which the members were created by ascending id.
///
/// `gets_fail` is [`EtcdLine::v2_gets_fail`](super::line::EtcdLine::v2_gets_fail).
/// 3.6 and 3.7 create the members in random order, of which this is one.
pub fn restored(members: &[Member], gets_fail: u64) -> String {
    let mut members: Vec<&Member> = members.iter().collect();
    members.sort_by_key(|member| member.id);
    let created: Vec<Created> = members
        .iter()
        .zip(1..)
        .map(|(member, index)| {
            let mut value = String::new();
            push_json_string(&mut value, member.raft_attributes_json().as_bytes());
            Created { path: format!("/0/members/{}", member.id), index, value }
        })
        .collect();
    let mut out = String::from("{\"Root\":");
    push_tree(&mut out, &created);
    out.push_str(",\"WatcherHub\":{\"EventHistory\":");
    push_events(&mut out, &created);
    let count = created.len();
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "}},\"CurrentIndex\":{count},\"Stats\":{{\"getsSuccess\":0,\"getsFail\":{gets_fail},\
         \"setsSuccess\":0,\"setsFail\":0,\"deleteSuccess\":0,\"deleteFail\":0,\"updateSuccess\":0,\
         \"updateFail\":0,\"createSuccess\":{count},\"createFail\":0,\"compareAndSwapSuccess\":0,\
         \"compareAndSwapFail\":0,\"compareAndDeleteSuccess\":0,\"compareAndDeleteFail\":0,\
         \"expireCount\":0,\"watchers\":0}},\"CurrentVersion\":2}}"
    );
    out
}

/// Appends a node up to its children, which the caller closes. A directory has
/// an object of children, a leaf `null`: readers tell them apart by that.
fn open_node(out: &mut String, path: &str, index: usize, value: &str) {
    // Paths are made of ids and fixed names, so they need no escapes.
    let _ = write!(
        out,
        "{{\"Path\":\"{path}\",\"CreatedIndex\":{index},\"ModifiedIndex\":{index},\
         \"ExpireTime\":\"{NEVER}\",\"Value\":{value},\"Children\":"
    );
}

fn push_tree(out: &mut String, created: &[Created]) {
    const NO_VALUE: &str = "\"\"";
    open_node(out, "/", 0, NO_VALUE);
    out.push_str("{\"0\":");
    open_node(out, "/0", 0, NO_VALUE);
    out.push('{');
    if !created.is_empty() {
        out.push_str("\"members\":");
        open_node(out, "/0/members", 1, NO_VALUE);
        // Go sorts the keys of a map as text: `10` stands before `9`.
        let children: BTreeMap<&str, &Created> = created
            .iter()
            .map(|member| (member.path.rsplit('/').next().unwrap_or_default(), member))
            .collect();
        for (position, (id, member)) in children.into_iter().enumerate() {
            let _ = write!(out, "{}\"{id}\":", if position == 0 { '{' } else { ',' });
            open_node(out, &member.path, member.index, NO_VALUE);
            out.push_str("{\"raftAttributes\":");
            open_node(out, &format!("{}/raftAttributes", member.path), member.index, &member.value);
            out.push_str("null}}}");
        }
        out.push_str("}}");
    }
    out.push_str("}},\"1\":");
    open_node(out, "/1", 0, NO_VALUE);
    out.push_str("{}}}}");
}

fn push_events(out: &mut String, created: &[Created]) {
    // With more members than slots, the oldest events are overwritten in place.
    let slot = |created: &Created| created.index.saturating_sub(1) % CAPACITY;
    let oldest = created.len().saturating_sub(CAPACITY);
    let mut ring: Vec<Option<&Created>> = vec![None; CAPACITY];
    for member in created.iter().skip(oldest) {
        if let Some(place) = ring.get_mut(slot(member)) {
            *place = Some(member);
        }
    }
    out.push_str("{\"Queue\":{\"Events\":[");
    for (position, event) in ring.into_iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        let Some(Created { path, index, value }) = event else {
            out.push_str("null");
            continue;
        };
        let _ = write!(
            out,
            "{{\"action\":\"create\",\"node\":{{\"key\":\"{path}/raftAttributes\",\"value\":{value},\
             \"modifiedIndex\":{index},\"createdIndex\":{index}}}}}"
        );
    }
    let _ = write!(
        out,
        "],\"Size\":{},\"Front\":{},\"Back\":{},\"Capacity\":{CAPACITY}}},\"StartIndex\":{},\"LastIndex\":{}}}",
        created.len().min(CAPACITY),
        oldest % CAPACITY,
        created.len() % CAPACITY,
        created.get(oldest).map_or(0, |first| first.index),
        created.len()
    );
}

#[cfg(test)]
mod tests {
    use super::super::membership::MemberId;
    use super::*;

    fn member(id: u64, url: &str) -> Member {
        Member {
            id: MemberId(id),
            name: "not stored".to_owned(),
            peer_urls: vec![url.to_owned()],
            client_urls: Vec::new(),
            is_learner: false,
        }
    }

    fn json(text: &str) -> serde_json::Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn members_are_created_by_id_and_listed_by_text() {
        let text = restored(&[member(0x10, "http://b:1"), member(9, "http://a:1?x&y")], 1);
        assert!(text.find("\"10\":").expect("there") < text.find("\"9\":").expect("there"));
        // Escaped once as the attribute's JSON, then once more as a string.
        assert!(text.contains(r#""Value":"{\"peerURLs\":[\"http://a:1?x\\u0026y\"]}","Children":null"#));
        let store = json(&text);
        let members = &store["Root"]["Children"]["0"]["Children"]["members"];
        assert_eq!(members["CreatedIndex"], 1);
        assert_eq!(members["Children"]["9"]["CreatedIndex"], 1);
        assert_eq!(members["Children"]["10"]["Children"]["raftAttributes"]["ModifiedIndex"], 2);
        let history = &store["WatcherHub"]["EventHistory"];
        assert_eq!(history["Queue"]["Events"].as_array().map(Vec::len), Some(1000));
        assert_eq!(history["Queue"]["Events"][1]["node"]["key"], "/0/members/10/raftAttributes");
        assert_eq!((&history["Queue"]["Back"], &history["LastIndex"]), (&2.into(), &2.into()));
        assert_eq!((&store["Stats"]["getsFail"], &store["Stats"]["createSuccess"]), (&1.into(), &2.into()));
    }

    #[test]
    fn the_ring_keeps_the_latest_thousand() {
        let members: Vec<_> = (1..=1001).map(|id| member(id, "unix:a")).collect();
        let history = &json(&restored(&members, 0))["WatcherHub"]["EventHistory"];
        let queue = &history["Queue"];
        assert_eq!(queue["Events"][0]["node"]["createdIndex"], 1001);
        assert_eq!(queue["Events"][1]["node"]["createdIndex"], 2);
        assert_eq!((&queue["Size"], &queue["Front"], &queue["Back"]), (&1000.into(), &1.into(), &1.into()));
        assert_eq!((&history["StartIndex"], &history["LastIndex"]), (&2.into(), &1001.into()));
        assert_eq!(json(&restored(&[], 0))["CurrentIndex"], 0);
    }
}
