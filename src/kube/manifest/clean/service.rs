//! Services, what they lead to, and routes.

use super::super::provenance::Provenance;
use super::{FieldGroup, Keep, maps_in, remove};
use crate::kube::value::{Map, Value};

pub(super) fn clean(service: &mut Value<'_>, keep: Keep) {
    let provenance = Provenance::of(service);
    let is_headless = service.text(&["spec", "clusterIP"]) == "None";
    let mut gone: Vec<&str> = Vec::new();
    if keep.drops(FieldGroup::ClusterIps) {
        if !is_headless {
            gone.extend(["clusterIP", "clusterIPs"]);
        }
        let families = ["ipFamilies", "ipFamilyPolicy"];
        gone.extend(families.iter().filter(|field| !provenance.is_set(&["spec", field])));
    }
    if keep.drops(FieldGroup::HealthCheckNodePorts) && !provenance.is_set(&["spec", "healthCheckNodePort"]) {
        gone.push("healthCheckNodePort");
    }
    let assigned = if keep.drops(FieldGroup::NodePorts) {
        assigned_node_ports(service, &provenance)
    } else {
        Vec::new()
    };
    for field in gone {
        remove(service, &["spec", field]);
    }
    for port in maps_in(service, &["spec", "ports"]) {
        if assigned.contains(&port_key(port)) {
            port.remove("nodePort");
        }
    }
}

/// Number and protocol name a port: no two of a Service have the same.
fn port_key(port: &Map<'_>) -> (i64, String) {
    let number = port.get("port").and_then(Value::as_int).unwrap_or_default();
    (number, port.get("protocol").and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn assigned_node_ports(service: &Value<'_>, provenance: &Provenance<'_, '_>) -> Vec<(i64, String)> {
    let ports = service.items(&["spec", "ports"]).iter().filter_map(Value::as_map).map(port_key);
    ports.filter(|(number, protocol)| !provenance.is_set_in_port(*number, protocol, "nodePort")).collect()
}

/// Endpoints and endpoint slices that were made by hand.
pub(super) fn clean_endpoints(endpoints: &mut Value<'_>, keep: Keep) {
    if keep.has(FieldGroup::ServerMetadata) {
        return;
    }
    for endpoint in maps_in(endpoints, &["endpoints"]) {
        anonymise_target(endpoint);
    }
    for subset in maps_in(endpoints, &["subsets"]) {
        for list in ["addresses", "notReadyAddresses"] {
            let Some(Value::List(addresses)) = subset.get_mut(list) else { continue };
            addresses.iter_mut().filter_map(Value::as_map_mut).for_each(anonymise_target);
        }
    }
}

fn anonymise_target(endpoint: &mut Map<'_>) {
    if let Some(target) = endpoint.get_mut("targetRef").and_then(Value::as_map_mut) {
        target.remove("uid");
        target.remove("resourceVersion");
    }
}

/// Set to `true` by OpenShift's router on routes that were given no host.
const HOST_GENERATED: &str = "openshift.io/host.generated";

pub(super) fn clean_route(route: &mut Value<'_>, keep: Keep) {
    if keep.drops(FieldGroup::RouteHosts)
        && route.text(&["metadata", "annotations", HOST_GENERATED]) == "true"
    {
        remove(route, &["spec", "host"]);
        super::retain_entries(route, &["metadata", "annotations"], |name, _| name != HOST_GENERATED);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_cleaned, cleaned};
    use super::*;
    use serde_json::{Value as Json, json};

    fn service(metadata: Json, spec: Json) -> Json {
        let mut metadata = metadata;
        metadata["name"] = json!("web");
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    }

    fn load_balancer() -> Json {
        json!({
            "type": "LoadBalancer", "clusterIP": "10.0.0.214", "clusterIPs": ["10.0.0.214"],
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 31999, "selector": {"app": "web"},
            "ports": [
                {"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080, "targetPort": 8080},
                {"name": "dns", "port": 80, "protocol": "UDP", "nodePort": 30081, "targetPort": 8081}
            ]
        })
    }

    #[test]
    fn what_the_server_allocated_goes() {
        assert_cleaned(
            service(json!({}), load_balancer()),
            service(
                json!({}),
                json!({
                    "type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": "web"},
                    "ports": [
                        {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080},
                        {"name": "dns", "port": 80, "protocol": "UDP", "targetPort": 8081}
                    ]
                }),
            ),
        );
    }

    #[test]
    fn what_somebody_set_stays_whichever_way_it_is_known() {
        let applied = json!({"annotations": {"kubectl.kubernetes.io/last-applied-configuration":
            json!({"spec": {"ipFamilies": ["IPv4"], "healthCheckNodePort": 31999, "ports": [
                {"port": 80, "nodePort": 30080}, {"port": 80, "protocol": "UDP"}]}}).to_string()}});
        let managed = json!({"managedFields": [
            {"manager": "kubectl-create", "fieldsV1": {"f:spec": {
                "f:ipFamilies": {}, "f:healthCheckNodePort": {},
                "f:ports": {
                    ".": {},
                    "k:{\"port\":80,\"protocol\":\"TCP\"}": {"f:port": {}, "f:nodePort": {}},
                    "k:{\"port\":80,\"protocol\":\"UDP\"}": {"f:port": {}}
                }}}},
            {"manager": "cloud", "subresource": "status", "fieldsV1": {"f:spec": {"f:ipFamilyPolicy": {}}}}
        ]});
        for metadata in [applied, managed] {
            let service = cleaned(service(metadata, load_balancer()), &[]);
            assert_eq!(service.items(&["spec", "ipFamilies"]).len(), 1);
            assert_eq!(service.at(&["spec", "ipFamilyPolicy"]), None);
            assert_eq!(service.int(&["spec", "healthCheckNodePort"]), Some(31999));
            let ports = service.items(&["spec", "ports"]);
            let ports: Vec<_> = ports.iter().map(|port| port.int(&["nodePort"])).collect();
            assert_eq!(ports, [Some(30080), None]);
            assert_eq!(service.at(&["spec", "clusterIP"]), None);
        }
    }

    #[test]
    fn a_headless_service_stays_headless() {
        let spec = json!({"clusterIP": "None", "clusterIPs": ["None"], "selector": {"app": "db"}});
        assert_cleaned(service(json!({}), spec.clone()), service(json!({}), spec));
    }

    #[test]
    fn each_group_of_a_service_has_its_switch() {
        for (group, field) in [
            (FieldGroup::ClusterIps, "clusterIP"),
            (FieldGroup::ClusterIps, "clusterIPs"),
            (FieldGroup::ClusterIps, "ipFamilies"),
            (FieldGroup::HealthCheckNodePorts, "healthCheckNodePort"),
        ] {
            let kept = cleaned(service(json!({}), load_balancer()), &[group]);
            assert!(kept.at(&["spec", field]).is_some(), "{field}");
        }
        let kept = cleaned(service(json!({}), load_balancer()), &[FieldGroup::NodePorts]);
        assert!(kept.items(&["spec", "ports"]).iter().all(|port| port.int(&["nodePort"]).is_some()));
    }

    #[test]
    fn endpoints_made_by_hand_do_not_point_at_objects_of_the_old_cluster() {
        let target = json!({"kind": "Pod", "name": "p", "uid": "1", "resourceVersion": "2"});
        let cleaned_target = json!({"kind": "Pod", "name": "p"});
        let object = |target: &Json| {
            json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "db"}, "subsets": [
                {"addresses": [{"ip": "1.2.3.4", "targetRef": target}], "notReadyAddresses": [{"targetRef": target}]}]})
        };
        assert_cleaned(object(&target), object(&cleaned_target));
        let slice = |target: &Json| {
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "db"},
                "endpoints": [{"addresses": ["1.2.3.4"], "targetRef": target}]})
        };
        assert_cleaned(slice(&target), slice(&cleaned_target));
    }

    #[test]
    fn a_route_loses_a_host_that_was_made_up() {
        let route = |annotations: Json, spec: Json| {
            json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "spec": spec,
                "metadata": {"name": "r", "annotations": annotations}})
        };
        let generated =
            route(json!({HOST_GENERATED: "true", "a": "b"}), json!({"host": "r-shop.apps.example.com"}));
        assert_cleaned(generated.clone(), route(json!({"a": "b"}), json!({})));
        assert!(cleaned(generated, &[FieldGroup::RouteHosts]).at(&["spec", "host"]).is_some());
        let chosen = route(json!({"a": "b"}), json!({"host": "www.example.com"}));
        assert_cleaned(chosen.clone(), chosen);
    }
}
