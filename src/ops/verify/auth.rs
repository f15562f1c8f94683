//! Alarms that are on, and users and roles that do not fit together.

use std::collections::BTreeSet;

use crate::bolt::Excerpt;
use crate::etcd::auth::AlarmKind;
use crate::etcd::membership::MemberId;
use crate::etcd::state::State;
use crate::ops::finding::{Check, Finding, Findings, Grade};

pub(super) fn alarms(state: &State, findings: &mut Findings) {
    for alarm in &state.alarms {
        let code = match alarm.kind {
            AlarmKind::NoSpace => "alarm-nospace",
            AlarmKind::Corrupt => "alarm-corrupt",
            AlarmKind::Other(_) => "alarm-unknown",
        };
        let of = if alarm.member == 0 {
            "for the whole cluster".to_owned()
        } else {
            format!("for member {}", MemberId(alarm.member))
        };
        findings.push(
            Finding::new(Grade::Note, Check::Alarms, code)
                .of_bucket("alarm")
                .because("no alarm", format!("{} {of}", alarm.kind)),
        );
    }
}

pub(super) fn findings(state: &State, findings: &mut Findings) {
    let root = state.users.iter().find(|user| user.name == b"root");
    let is_root = |role: &Vec<u8>| role == b"root";
    if state.auth_enabled && !root.is_some_and(|user| user.roles.iter().any(is_root)) {
        findings.push(
            Finding::new(Grade::Suspicious, Check::Auth, "auth-without-root")
                .of_bucket("authUsers")
                .because("a user root with role root, as authentication is on", "none"),
        );
    }
    let roles: BTreeSet<&[u8]> = state.roles.iter().map(|role| role.name.as_slice()).collect();
    for user in &state.users {
        for role in &user.roles {
            // The role root needs no entry.
            if !is_root(role) && !roles.contains(role.as_slice()) {
                findings.push(
                    Finding::new(Grade::Note, Check::Auth, "role-missing")
                        .of_bucket("authUsers")
                        .about(Excerpt::of(&user.name))
                        .because(format!("role {}", Excerpt::of(role)), "no such role"),
                );
            }
        }
    }
}
