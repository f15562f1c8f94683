//! Objects in the version that servers take today.

use super::super::identity::Identity;
use super::find;
use crate::kube::value::{Map, Value};

/// Brings `object` into the version that took the place of its own, if that one
/// was dropped and little changed between them. Returns the version it had.
///
/// What the server of the old version filled in is there already: objects are
/// stored with all their defaults.
///
/// Source: kubernetes `pkg/apis/*/*/conversion.go`, 1.35.
pub fn convert(object: &mut Value<'_>) -> Option<String> {
    let identity = Identity::of(object);
    let (.., now) = find(identity.group, identity.version, identity.kind)?;
    let now = (*now)?;
    match identity.type_name() {
        ("networking.k8s.io", "Ingress") => ingress(object),
        ("policy", "PodDisruptionBudget") => disruption_budget(object),
        ("apps", _) => workload(object),
        ("discovery.k8s.io", "EndpointSlice") => endpoint_slice(object),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => priority_level(object),
        ("admissionregistration.k8s.io", kind) if kind.ends_with("WebhookConfiguration") => webhooks(object),
        _ => {}
    }
    let before = object.text(&["apiVersion"]).to_owned();
    object.as_map_mut()?.insert("apiVersion", Value::from(now));
    Some(before)
}

/// Moves what is under `from` to `to`.
fn rename(map: &mut Map<'_>, from: &str, to: &'static str) {
    if let Some(value) = map.remove(from) {
        map.insert(to, value);
    }
}

/// The maps of the list under `key`.
pub(super) fn each_map<'m, 'a>(map: &'m mut Map<'a>, key: &str) -> impl Iterator<Item = &'m mut Map<'a>> {
    let items = match map.get_mut(key) {
        Some(Value::List(items)) => items.as_mut_slice(),
        _ => &mut [],
    };
    items.iter_mut().filter_map(Value::as_map_mut)
}

fn spec<'v, 'a>(object: &'v mut Value<'a>) -> Option<&'v mut Map<'a>> {
    object.get_mut("spec").and_then(Value::as_map_mut)
}

fn ingress(object: &mut Value<'_>) {
    let Some(spec) = spec(object) else { return };
    rename(spec, "backend", "defaultBackend");
    if let Some(backend) = spec.get_mut("defaultBackend").and_then(Value::as_map_mut) {
        ingress_backend(backend);
    }
    for rule in each_map(spec, "rules") {
        let Some(http) = rule.get_mut("http").and_then(Value::as_map_mut) else { continue };
        for path in each_map(http, "paths") {
            if path.get("pathType").is_none() {
                path.insert("pathType", Value::from("ImplementationSpecific"));
            }
            if let Some(backend) = path.get_mut("backend").and_then(Value::as_map_mut) {
                ingress_backend(backend);
            }
        }
    }
}

fn ingress_backend(backend: &mut Map<'_>) {
    let name = backend.remove("serviceName");
    let port = backend.remove("servicePort");
    let is_empty =
        |value: &Value<'_>| matches!(value, Value::Null | Value::Int(0)) || value.as_str() == Some("");
    let mut service = Map::default();
    if let Some(name) = name.filter(|name| !is_empty(name)) {
        service.insert("name", name);
    }
    if let Some(port) = port.filter(|port| !is_empty(port)) {
        let mut map = Map::default();
        map.insert(if matches!(port, Value::Int(_)) { "number" } else { "name" }, port);
        service.insert("port", map.into());
    }
    if !service.is_empty() {
        backend.insert("service", service.into());
    }
}

/// In `v1beta1` an empty selector selects nothing, in `v1` everything.
fn disruption_budget(object: &mut Value<'_>) {
    const LABEL: &str = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match";
    let Some(Value::Map(selector)) = spec(object).and_then(|spec| spec.get_mut("selector")) else { return };
    let about_label = |expression: &Value<'_>| expression.text(&["key"]) == LABEL;
    if selector.is_empty() {
        let mut nothing = Map::default();
        nothing.insert("key", Value::from(LABEL));
        nothing.insert("operator", Value::from("Exists"));
        selector.insert("matchExpressions", Value::List(vec![nothing.into()]));
    } else if let Some(Value::List(expressions)) = selector.get_mut("matchExpressions") {
        expressions.retain(|expression| !about_label(expression));
        if expressions.is_empty() {
            selector.remove("matchExpressions");
        }
    }
}

/// `v1` wants the selector that the old versions took from the template.
fn workload(object: &mut Value<'_>) {
    let labels = object.at(&["spec", "template", "metadata", "labels"]).cloned();
    let Some(spec) = spec(object) else { return };
    spec.remove("rollbackTo");
    spec.remove("templateGeneration");
    if let (None | Some(Value::Null), Some(labels)) = (spec.get("selector"), labels) {
        let mut selector = Map::default();
        selector.insert("matchLabels", labels);
        spec.insert("selector", selector.into());
    }
}

const HOSTNAME: &str = "kubernetes.io/hostname";

fn endpoint_slice(object: &mut Value<'_>) {
    let Some(object) = object.as_map_mut() else { return };
    for endpoint in each_map(object, "endpoints") {
        let Some(Value::Map(mut topology)) = endpoint.remove("topology") else { continue };
        if let Some(zone) = topology.remove("topology.kubernetes.io/zone") {
            endpoint.insert("zone", zone);
        }
        if topology.get(HOSTNAME).is_some_and(|host| endpoint.get("nodeName") == Some(host)) {
            topology.remove(HOSTNAME);
        }
        if !topology.is_empty() {
            endpoint.insert("deprecatedTopology", topology.into());
        }
    }
}

fn priority_level(object: &mut Value<'_>) {
    if let Some(limited) = object.at_mut(&["spec", "limited"]).and_then(Value::as_map_mut) {
        rename(limited, "assuredConcurrencyShares", "nominalConcurrencyShares");
    }
}

/// `v1` wants to be told what old servers sent unasked.
fn webhooks(object: &mut Value<'_>) {
    let Some(object) = object.as_map_mut() else { return };
    for webhook in each_map(object, "webhooks") {
        if webhook.get("admissionReviewVersions").is_none() {
            webhook.insert("admissionReviewVersions", Value::List(vec![Value::from("v1beta1")]));
        }
    }
}

/// Against what an API server of 1.35 answers of objects that are stored in old
/// versions: `fixtures/README.md` says how it was asked.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::manifest::clean::{FieldGroup, clean};
    use crate::kube::manifest::identity::built_in;
    use crate::kube::object::{Object, Options};
    use serde_json::{Value as Json, json};

    const VERSIONS: &str = include_str!("../../../../fixtures/kube/stored-versions.jsonl");

    /// Servers show what a CRD has always said, but take none that keeps unknown
    /// fields in that way, nor one without a schema.
    fn as_taken(served: &mut Json) {
        let Some(keeps) = served["spec"].get("preserveUnknownFields").map(|keeps| keeps == true) else {
            return;
        };
        served["spec"].as_object_mut().expect("a map").remove("preserveUnknownFields");
        for version in served["spec"]["versions"].as_array_mut().expect("a list") {
            let schema = &mut version["schema"]["openAPIV3Schema"];
            if keeps || schema.is_null() {
                schema["x-kubernetes-preserve-unknown-fields"] = json!(true);
            }
            schema["type"] = json!("object");
        }
    }

    #[test]
    fn what_was_stored_in_an_old_version_becomes_what_a_server_would_show() {
        let (mut kinds, mut different) = (Vec::new(), Vec::new());
        for line in VERSIONS.lines() {
            let mut pair: Json = serde_json::from_str(line).expect("JSON");
            let is_definition = pair["served"]["kind"] == "CustomResourceDefinition";
            if is_definition {
                as_taken(&mut pair["served"]);
            }
            let before = pair["stored"]["apiVersion"].as_str().expect("a version").to_owned();
            let text = pair["stored"].to_string();
            let mut stored = Object::decode(text.as_bytes(), &Options::default()).expect("an object").value;
            let mut served = Value::from(pair["served"].clone());
            // Definitions are brought into today's version when they are decoded.
            assert_eq!(convert(&mut stored), (!is_definition).then(|| before.clone()), "{line}");
            kinds.push(format!("{before} {}", stored.text(&["kind"])));
            let keep = [FieldGroup::AggregatedRules].into_iter().collect();
            clean(&mut stored, keep);
            clean(&mut served, keep);
            if stored != served {
                different.push(format!("{stored:?}\n{served:?}"));
            }
        }
        assert!(different.is_empty(), "{}", different.join("\n\n"));
        kinds.dedup();
        assert!(kinds.len() > 40, "{kinds:?}");
    }

    #[test]
    fn versions_of_today_and_those_that_changed_too_much_stay() {
        for (api_version, kind) in [
            ("v1", "Pod"),
            ("networking.k8s.io/v1", "Ingress"),
            ("example.com/v1beta1", "Ingress"),
            ("autoscaling/v2beta1", "HorizontalPodAutoscaler"),
            ("policy/v1beta1", "PodSecurityPolicy"),
        ] {
            let object =
                Value::from(json!({"apiVersion": api_version, "kind": kind, "spec": {"backend": {}}}));
            let mut converted = object.clone();
            assert_eq!(convert(&mut converted), None);
            assert_eq!(converted, object);
        }
    }

    #[test]
    fn the_version_of_every_row_is_one_that_servers_take() {
        for (group, _, kinds, _, now) in super::super::REMOVED {
            let Some((to, version)) = now.and_then(|now| now.rsplit_once('/')) else { continue };
            for kind in *kinds {
                assert_eq!(super::super::removed_in(to, version, kind), None, "{group} {kind}");
                // Of the same type under either group.
                assert!(
                    built_in(to, kind).is_some() && built_in(to, kind) == built_in(group, kind),
                    "{kind}"
                );
            }
        }
    }
}
