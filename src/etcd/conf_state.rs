//! `meta/confState`: raft's view of the membership, as JSON.
//!
//! Written when a change of membership is applied, so it can lag; a restore
//! leaves it as it was in the old cluster.
//!
//! Source: `server/storage/schema/confstate.go` @ v3.6.14; the type is
//! `raftpb.ConfState` of `go.etcd.io/raft/v3` v3.6.0 (3.7: v3.7.0, where
//! `auto_leave` may be absent).

use std::fmt::Write as _;

use super::go_text::JsonFault;
use super::membership::MemberId;
use super::raft::ConfState;

/// The fields of the JSON, all of which Go lets be absent or null.
#[derive(serde::Deserialize)]
struct Fields {
    voters: Option<Vec<u64>>,
    learners: Option<Vec<u64>>,
    voters_outgoing: Option<Vec<u64>>,
    learners_next: Option<Vec<u64>>,
    auto_leave: Option<bool>,
}

/// Reads the value of `meta/confState`. Unknown fields are skipped.
///
/// # Errors
/// Where the text stops being such JSON.
pub fn parse(json: &[u8]) -> Result<ConfState, JsonFault> {
    let fields: Fields = serde_json::from_slice(json)?;
    let ids = |list: Option<Vec<u64>>| list.unwrap_or_default().into_iter().map(MemberId).collect();
    Ok(ConfState {
        voters: ids(fields.voters),
        learners: ids(fields.learners),
        voters_outgoing: ids(fields.voters_outgoing),
        learners_next: ids(fields.learners_next),
        auto_leave: fields.auto_leave.unwrap_or_default(),
    })
}

/// The value of `meta/confState` as 3.5 and 3.6 write it: empty lists left out,
/// `auto_leave` always there.
pub fn to_json(conf_state: &ConfState) -> String {
    let mut out = String::from("{");
    for (name, ids) in [
        ("voters", &conf_state.voters),
        ("learners", &conf_state.learners),
        ("voters_outgoing", &conf_state.voters_outgoing),
        ("learners_next", &conf_state.learners_next),
    ] {
        if !ids.is_empty() {
            let ids: Vec<_> = ids.iter().map(|id| id.0.to_string()).collect();
            // Writing to a String cannot fail.
            let _ = write!(out, "\"{name}\":[{}],", ids.join(","));
        }
    }
    let _ = write!(out, "\"auto_leave\":{}}}", conf_state.auto_leave);
    out
}

#[cfg(test)]
mod tests {
    use super::super::go_text::JsonFaultKind;
    use super::*;

    #[test]
    fn round_trips_in_upstreams_form() {
        for text in [
            r#"{"auto_leave":false}"#,
            r#"{"voters":[10276657743932975437],"auto_leave":false}"#,
            r#"{"voters":[1,18446744073709551615],"learners":[2],"voters_outgoing":[3],"learners_next":[4],"auto_leave":true}"#,
        ] {
            assert_eq!(to_json(&parse(text.as_bytes()).expect("sound")), text);
        }
    }

    #[test]
    fn absent_null_and_unknown_fields_are_fine() {
        let state = parse(br#"{"voters":[7],"learners":null,"new":1}"#).expect("tolerated");
        assert_eq!(state, ConfState { voters: vec![MemberId(7)], ..ConfState::default() });
        assert_eq!(parse(b"{}"), Ok(ConfState::default()));
    }

    #[test]
    fn other_texts_are_refused() {
        let kind = |json: &[u8]| parse(json).expect_err("a fault").kind;
        assert_eq!(kind(b""), JsonFaultKind::Truncated);
        assert_eq!(kind(b"{\"voters\":[18446744073709551616]}"), JsonFaultKind::Value);
        assert_eq!(kind(b"{\"voters\":[1.0]}"), JsonFaultKind::Value);
        assert_eq!(kind(b"\xff"), JsonFaultKind::Syntax);
    }
}
