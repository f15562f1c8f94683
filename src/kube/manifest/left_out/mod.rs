//! Objects that are no part of what can be made anew: the other cluster has its
//! own, a controller makes them, or they have had their day.
//!
//! Each is left out for one [`Reason`], so that they can be counted.

mod surroundings;
mod system;

pub use surroundings::Surroundings;

use super::identity::Identity;
use crate::kube::resources::Resource;
use crate::kube::value::Value;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident = $switch:ident, $words:literal;)*) => {
        /// Why an object is left out.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $reason,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$reason),*];

            /// In a few words: what these objects are.
            pub fn words(self) -> &'static str {
                match self {
                    $(Self::$reason => $words,)*
                }
            }

            /// What is to be included for them to be written.
            pub fn switch(self) -> Switch {
                match self {
                    $(Self::$reason => Switch::$switch,)*
                }
            }
        }
    };
}

reasons! {
    /// `Event`s: what happened.
    Events = System, "events";
    /// `Lease`s, and objects that leaders of an election write to.
    Leases = System, "leases and election locks";
    /// `Endpoints` and `EndpointSlice`s that a controller makes.
    Endpoints = System, "endpoints that follow from services";
    /// Secrets with tokens of service accounts, and pull secrets made from them.
    Tokens = System, "tokens made by the cluster";
    /// `kube-root-ca.crt` and `openshift-service-ca.crt`.
    Certificates = System, "the cluster's certificates";
    /// The service `kubernetes` in `default`.
    ApiServer = System, "the API server's own service";
    /// Service accounts that every namespace gets, if nothing was added to them,
    /// and those of the controllers.
    ServiceAccounts = System, "service accounts made by the cluster";
    /// Roles and bindings that servers make at every start.
    Roles = System, "roles and bindings made by the cluster";
    /// Nodes and what they or drivers say of them.
    Nodes = System, "nodes and what belongs to them";
    /// Flow schemas and priority levels that servers make.
    FlowControl = System, "flow control made by the cluster";
    /// `system-cluster-critical` and `system-node-critical`.
    PriorityClasses = System, "priority classes made by the cluster";
    /// `default`, `kube-system`, `kube-public`, `kube-node-lease`: the namespaces
    /// themselves, not what is in them.
    Namespaces = System, "namespaces that every cluster has";
    /// `APIService`s of the server itself and of CRDs.
    ApiServices = System, "API services made by the cluster";
    /// `IPAddress`es, and the `ServiceCIDR` from the server's flags.
    Addresses = System, "service addresses";
    /// Mirrors of pods that a node runs from files.
    StaticPods = System, "mirrors of static pods";
    /// Revisions that daemon sets and stateful sets keep.
    Revisions = System, "controller revisions";
    /// Requests for certificates, and other matters of an hour.
    Requests = System, "requests and records of the moment";
    /// What an installer (kubeadm) puts into every cluster: its settings, DNS,
    /// the proxy.
    Installation = System, "the installer's settings, DNS and proxy";
    /// Deletion has begun.
    Deleted = Deleted, "being deleted";
    /// A controller owns and would make it.
    Owned = Owned, "owned by a controller";
    /// Pods and jobs that ended: applied, they would run again.
    Finished = Finished, "finished pods and jobs";
}

/// What can be included after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// What every cluster makes for itself.
    System,
    /// Children of controllers.
    Owned,
    /// What would run again.
    Finished,
    /// What was being deleted.
    Deleted,
}

/// What is included that would be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Include {
    /// What every cluster makes for itself.
    pub system: bool,
    /// Children of controllers.
    pub owned: bool,
    /// Pods and jobs that ended.
    pub finished: bool,
    /// Objects whose deletion has begun.
    pub deleted: bool,
}

impl Include {
    fn has(self, switch: Switch) -> bool {
        match switch {
            Switch::System => self.system,
            Switch::Owned => self.owned,
            Switch::Finished => self.finished,
            Switch::Deleted => self.deleted,
        }
    }
}

/// Why no object of a built-in type is written, whatever it holds; `None` if that
/// depends on the object.
pub fn left_out_by_type(resource: &Resource, include: Include) -> Option<Reason> {
    system::reason_of_type(resource.group, resource.kind).filter(|reason| !include.has(reason.switch()))
}

/// Why `object` is left out; `None` if it is not.
pub fn left_out(object: &Value<'_>, surroundings: &Surroundings, include: Include) -> Option<Reason> {
    let identity = Identity::of(object);
    let reasons: [&dyn Fn() -> Option<Reason>; 4] = [
        &|| system::reason(object, &identity, surroundings),
        &|| is_set(object, "deletionTimestamp").then_some(Reason::Deleted),
        &|| is_owned(object).then_some(Reason::Owned),
        &|| is_finished(object, &identity).then_some(Reason::Finished),
    ];
    reasons.iter().filter_map(|reason| reason()).find(|reason| !include.has(reason.switch()))
}

fn is_set(object: &Value<'_>, field: &str) -> bool {
    object.at(&["metadata", field]).is_some_and(|value| *value != Value::Null)
}

fn is_owned(object: &Value<'_>) -> bool {
    object.items(&["metadata", "ownerReferences"]).iter().any(|owner| owner.is_true(&["controller"]))
}

fn is_finished(object: &Value<'_>, identity: &Identity<'_>) -> bool {
    match identity.type_name() {
        ("", "Pod") => matches!(object.text(&["status", "phase"]), "Succeeded" | "Failed"),
        ("batch", "Job") => object.items(&["status", "conditions"]).iter().any(|condition| {
            matches!(condition.text(&["type"]), "Complete" | "Failed")
                && condition.text(&["status"]) == "True"
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn reason(object: Json, include: Include) -> Option<Reason> {
        left_out(&Value::from(object), &Surroundings::default(), include)
    }

    #[test]
    fn children_of_controllers_are_left_out_and_those_of_others_are_not() {
        let pod = |controller: Json| {
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "ownerReferences": [
                {"kind": "Other", "name": "o"}, {"kind": "ReplicaSet", "name": "web", "controller": controller}]}})
        };
        assert_eq!(reason(pod(json!(true)), Include::default()), Some(Reason::Owned));
        assert_eq!(reason(pod(json!(true)), Include { owned: true, ..Include::default() }), None);
        assert_eq!(reason(pod(json!(false)), Include::default()), None);
        assert_eq!(reason(pod(json!(null)), Include::default()), None);
    }

    #[test]
    fn what_would_run_again_is_left_out() {
        let pod = |phase: &str| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "status": {"phase": phase}});
        let job = |condition: &str, status: &str| {
            json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {}, "status": {"conditions": [
                {"type": "Suspended", "status": "False"}, {"type": condition, "status": status}]}})
        };
        for (object, expected) in [
            (pod("Succeeded"), Some(Reason::Finished)),
            (pod("Failed"), Some(Reason::Finished)),
            (pod("Running"), None),
            (job("Complete", "True"), Some(Reason::Finished)),
            (job("Failed", "True"), Some(Reason::Finished)),
            (job("Complete", "False"), None),
            (job("FailureTarget", "True"), None),
        ] {
            assert_eq!(reason(object.clone(), Include::default()), expected, "{object}");
            assert_eq!(reason(object, Include { finished: true, ..Include::default() }), None);
        }
    }

    #[test]
    fn what_is_being_deleted_is_left_out() {
        let object = |time: Json| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"deletionTimestamp": time}});
        assert_eq!(reason(object(json!("2026-11-22T14:35:16Z")), Include::default()), Some(Reason::Deleted));
        assert_eq!(reason(object(json!(null)), Include::default()), None);
        let include = Include { deleted: true, ..Include::default() };
        assert_eq!(reason(object(json!("2026-11-22T14:35:16Z")), include), None);
    }

    /// An object may be left out for several reasons: all must be included.
    #[test]
    fn one_switch_does_not_answer_for_another() {
        let mirror = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [{"kind": "Node", "controller": true}]}});
        assert_eq!(reason(mirror.clone(), Include::default()), Some(Reason::StaticPods));
        assert_eq!(
            reason(mirror.clone(), Include { system: true, ..Include::default() }),
            Some(Reason::Owned)
        );
        assert_eq!(reason(mirror, Include { system: true, owned: true, ..Include::default() }), None);
    }

    #[test]
    fn every_reason_is_explained_in_the_docs() {
        let docs = include_str!("../../../../docs/export.md");
        for reason in Reason::ALL {
            assert!(docs.contains(&format!("| {} |", reason.words())), "{}", reason.words());
        }
    }
}
