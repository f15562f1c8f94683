//! Who set a field: people, or the server that filled it in.
//!
//! Two traces tell it: `managedFields` (since 1.18; what the server allocates
//! while storing an object is owned by nobody there), and the annotation of
//! `kubectl apply`. An object with neither is silent about it.
//!
//! Source: kubernetes `staging/src/k8s.io/apimachinery/pkg/util/managedfields`,
//! `staging/src/k8s.io/apiserver/pkg/endpoints/handlers/create.go` (owners are
//! noted before the storage allocates), 1.35; velero
//! `pkg/restore/actions/service_action.go` decides in the same way.

use serde_json::Value as Json;

use super::clean::LAST_APPLIED;
use crate::kube::value::Value;

/// What is known of who set an object's fields.
pub(super) struct Provenance<'v, 'a> {
    object: &'v Value<'a>,
    applied: Option<Json>,
}

impl<'v, 'a> Provenance<'v, 'a> {
    pub(super) fn of(object: &'v Value<'a>) -> Self {
        let applied = object.text(&["metadata", "annotations", LAST_APPLIED]);
        Self { object, applied: serde_json::from_str(applied).ok() }
    }

    /// Whether somebody set the field at `path`, which leads through maps.
    pub(super) fn is_set(&self, path: &[&str]) -> bool {
        let applied = self.applied.as_ref();
        let applied = applied.and_then(|applied| path.iter().try_fold(applied, |value, key| value.get(key)));
        if applied.is_some_and(|value| !value.is_null()) {
            return true;
        }
        self.owned().any(|fields| {
            let field = |fields: &'v Value<'a>, key: &&str| fields.get(&format!("f:{key}"));
            path.iter().try_fold(fields, field).is_some()
        })
    }

    /// Whether somebody set `field` of the Service port with that number.
    pub(super) fn is_set_in_port(&self, port: i64, protocol: &str, field: &str) -> bool {
        let protocol = if protocol.is_empty() { "TCP" } else { protocol };
        let applied = self.applied.as_ref().and_then(|applied| applied.get("spec")?.get("ports")?.as_array());
        let fits = |entry: &Json| {
            entry.get("port").and_then(Json::as_i64) == Some(port)
                && entry.get("protocol").and_then(Json::as_str).unwrap_or("TCP") == protocol
        };
        let is_given =
            |entry: &Json| entry.get(field).and_then(Json::as_i64).is_some_and(|number| number != 0);
        if applied.into_iter().flatten().any(|entry| fits(entry) && is_given(entry)) {
            return true;
        }
        let key = format!("k:{{\"port\":{port},\"protocol\":\"{protocol}\"}}");
        let field = format!("f:{field}");
        self.owned().any(|fields| fields.at(&["f:spec", "f:ports", &key, &field]).is_some())
    }

    /// The fields owned by each manager, those of the status aside.
    fn owned(&self) -> impl Iterator<Item = &'v Value<'a>> {
        let entries = self.object.items(&["metadata", "managedFields"]);
        entries
            .iter()
            .filter(|entry| entry.text(&["subresource"]).is_empty())
            .filter_map(|entry| entry.get("fieldsV1"))
    }
}
