//! Exports of stores with objects in JSON, which servers store too if they are
//! told to (`--storage-media-type`).

mod support;

use std::num::NonZeroUsize;

use etcdsnap::kube::json;
use etcdsnap::kube::manifest::clean::FieldGroup;
use etcdsnap::kube::manifest::left_out::{Include, Reason};
use etcdsnap::kube::manifest::namespaces::NamespaceMap;
use etcdsnap::kube::manifest::redact::{FORBIDDING, Redaction};
use etcdsnap::kube::manifest::scope::{Pattern, Scope};
use etcdsnap::kube::select::labels::LabelSelector;
use etcdsnap::kube::value::Value;
use etcdsnap::ops::export::{ExportError, Manifest, Report, Request, export};
use etcdsnap::ops::list::Selection;
use etcdsnap::ops::reader::Reader;
use etcdsnap::ops::{Progress, Settings};
use serde_json::{Value as Json, json};
use support::store::{Put, Store, revision};
use support::{Entry, ask, entry};

/// A file with these objects, each under its key.
fn file(objects: &[(&str, Json)]) -> Vec<u8> {
    let put = |(index, (key, object)): (usize, &(&str, Json))| -> Entry {
        let main = 2 + i64::try_from(index).expect("few");
        let text = match object {
            Json::String(text) => text.clone(),
            object => object.to_string(),
        };
        let key = format!("/registry/{key}");
        let put = Put {
            key: key.as_bytes(),
            create: main,
            modified: main,
            version: 1,
            value: text.as_bytes(),
            lease: 0,
        };
        entry(revision(main, 0), put.to_bytes())
    };
    let key = objects.iter().enumerate().map(put).collect();
    let mut store = Store { page_size: 16_384, leaf_bytes: 8000, fan_out: 100, key, ..Store::sample(0) };
    store.of("meta").retain(|entry| !entry.key.ends_with(b"CompactRev"));
    store.build().file
}

fn print(object: &Value<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    json::write_compact(object, &mut text);
    text
}

/// The answer, which must not depend on the number of threads.
fn exported(file: &[u8], request: &Request<'_>) -> (Vec<Json>, Report) {
    let answers = ask::THREADS.map(|number| {
        let progress = Progress::default();
        let threads = NonZeroUsize::new(number).expect("threads");
        let settings = Settings { threads, skip_damaged: false, progress: &progress };
        let source = ask::source(file);
        let snapshot = etcdsnap::etcd::snapshot::Snapshot::from_source(source).expect("a snapshot");
        let db = snapshot.db().expect("a database");
        let mut objects = Vec::new();
        let sink = |manifest: Manifest| {
            objects.push(serde_json::from_slice(&manifest.text).expect("JSON"));
            Ok::<(), ()>(())
        };
        let report = export(&db, request, &settings, print, sink).expect("exported");
        (objects, report)
    });
    let told = answers.each_ref().map(|answer| format!("{answer:?}"));
    assert!(told.iter().all(|other| *other == told[0]), "the answer depends on the threads: {told:#?}");
    let [answer, ..] = answers;
    answer
}

fn names(objects: &[Json]) -> Vec<String> {
    let text = |value: &Json| value.as_str().unwrap_or("-").to_owned();
    let name = |object: &Json| {
        let metadata = &object["metadata"];
        format!("{} {}/{}", text(&object["kind"]), text(&metadata["namespace"]), text(&metadata["name"]))
    };
    objects.iter().map(name).collect()
}

fn left_out(report: &Report) -> Vec<(Reason, String, u64)> {
    let counts = report.left_out.iter();
    counts
        .flat_map(|(reason, types)| types.iter().map(|(name, count)| (*reason, name.clone(), *count)))
        .collect()
}

fn object(api_version: &str, kind: &str, place: &str, more: Json) -> Json {
    let (namespace, name) = place.split_once('/').expect("namespace/name");
    let mut object = json!({
        "apiVersion": api_version, "kind": kind,
        "metadata": {"name": name, "uid": "1", "creationTimestamp": "2026-11-22T14:35:16Z"}
    });
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = json!(namespace);
    }
    for (key, value) in more.as_object().expect("a map") {
        if key == "metadata" {
            for (key, value) in value.as_object().expect("a map") {
                object["metadata"][key] = value.clone();
            }
        } else {
            object[key] = value.clone();
        }
    }
    object
}

/// Two namespaces with a bit of everything in one of them.
fn shop() -> Vec<(&'static str, Json)> {
    let labels = json!({"metadata": {"labels": {"app": "web"}}});
    let service = |selector: Json| json!({"spec": {"clusterIP": "10.0.0.7", "selector": selector}});
    let pod = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"priorityClassName": "gold", "nodeName": "node1"}});
    let mut owned = pod.clone();
    owned["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "controller": true}]);
    vec![
        (
            "apiextensions.k8s.io/customresourcedefinitions/gadgets.example.com",
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "/gadgets.example.com", json!({})),
        ),
        (
            "apiextensions.k8s.io/customresourcedefinitions/widgets.example.com",
            object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "/widgets.example.com", json!({})),
        ),
        (
            "apiregistration.k8s.io/apiservices/v1.apps",
            object("apiregistration.k8s.io/v1", "APIService", "/v1.apps", json!({"spec": {}})),
        ),
        ("configmaps/other/app", object("v1", "ConfigMap", "other/app", labels.clone())),
        ("configmaps/shop/app", object("v1", "ConfigMap", "shop/app", labels.clone())),
        ("configmaps/shop/broken", json!("{")),
        ("configmaps/shop/kube-root-ca.crt", object("v1", "ConfigMap", "shop/kube-root-ca.crt", json!({}))),
        (
            "endpointslices/shop/db-1",
            object(
                "discovery.k8s.io/v1",
                "EndpointSlice",
                "shop/db-1",
                json!({"metadata": {"labels": {"kubernetes.io/service-name": "db"}}}),
            ),
        ),
        (
            "endpointslices/shop/web-1",
            object(
                "discovery.k8s.io/v1",
                "EndpointSlice",
                "shop/web-1",
                json!({"metadata": {"labels": {"kubernetes.io/service-name": "web"}}}),
            ),
        ),
        ("events/shop/web.1", object("v1", "Event", "shop/web.1", json!({}))),
        (
            "example.com/widgets/shop/w1",
            object("example.com/v1", "Widget", "shop/w1", json!({"spec": {"url": "http://db.shop.svc/"}})),
        ),
        ("minions/node1", object("v1", "Node", "/node1", json!({}))),
        ("namespaces/kube-system", object("v1", "Namespace", "/kube-system", json!({}))),
        ("namespaces/other", object("v1", "Namespace", "/other", json!({}))),
        ("namespaces/shop", object("v1", "Namespace", "/shop", json!({}))),
        ("pods/shop/web-1", object("v1", "Pod", "shop/web-1", pod)),
        ("pods/shop/web-2", object("v1", "Pod", "shop/web-2", owned)),
        ("priorityclasses/gold", object("scheduling.k8s.io/v1", "PriorityClass", "/gold", json!({}))),
        ("priorityclasses/silver", object("scheduling.k8s.io/v1", "PriorityClass", "/silver", json!({}))),
        ("ranges/serviceips", json!("anything")),
        ("resourcequotas/shop/q", object("v1", "ResourceQuota", "shop/q", json!({}))),
        ("secrets/shop/db", object("v1", "Secret", "shop/db", json!({"data": {"password": "czNjcjN0"}}))),
        ("services/specs/shop/db", object("v1", "Service", "shop/db", service(json!(null)))),
        ("services/specs/shop/web", object("v1", "Service", "shop/web", service(json!({"app": "web"})))),
    ]
}

fn include_namespaces(patterns: &[&str]) -> Scope {
    Scope { include_namespaces: patterns.iter().copied().map(Pattern::new).collect(), ..Scope::default() }
}

#[test]
fn everything_comes_in_an_order_that_applies() {
    let (objects, report) = exported(&file(&shop()), &Request::default());
    assert_eq!(
        names(&objects),
        [
            "Namespace -/other",
            "Namespace -/shop",
            "CustomResourceDefinition -/gadgets.example.com",
            "CustomResourceDefinition -/widgets.example.com",
            "PriorityClass -/gold",
            "PriorityClass -/silver",
            "Secret shop/db",
            "ConfigMap other/app",
            "ConfigMap shop/app",
            "Service shop/db",
            "Service shop/web",
            "EndpointSlice shop/db-1",
            "Pod shop/web-1",
            "Widget shop/w1",
            "ResourceQuota shop/q",
        ]
    );
    assert_eq!((report.total(), report.custom), (15, 1));
    assert_eq!(report.revision, 25);
    assert_eq!(
        left_out(&report),
        [
            (Reason::Events, "events".into(), 1),
            (Reason::Endpoints, "endpointslices.discovery.k8s.io".into(), 1),
            (Reason::Certificates, "configmaps".into(), 1),
            (Reason::Nodes, "nodes".into(), 1),
            (Reason::Namespaces, "namespaces".into(), 1),
            (Reason::ApiServices, "apiservices.apiregistration.k8s.io".into(), 1),
            (Reason::Owned, "pods".into(), 1),
        ]
    );
    let unreadable: Vec<_> = report.unreadable.iter().collect();
    assert_eq!(
        unreadable,
        [(&"damaged or in a form of its own".to_owned(), &[("configmaps".to_owned(), 1)].into())]
    );
    assert_eq!(
        objects[12],
        json!({"apiVersion": "v1", "kind": "Pod", "spec": {"priorityClassName": "gold"},
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web"}}})
    );
}

#[test]
fn what_is_left_out_can_be_included_and_what_is_taken_away_kept() {
    let include = Include { system: true, owned: true, ..Include::default() };
    let keep = [FieldGroup::NodeNames].into_iter().collect();
    let request = Request { include, keep, ..Request::default() };
    let (objects, report) = exported(&file(&shop()), &request);
    // All but the broken one and the server's own key.
    assert_eq!(objects.len(), shop().len() - 2);
    assert_eq!(left_out(&report), []);
    let pod = objects.iter().find(|object| object["metadata"]["name"] == "web-2").expect("there");
    assert_eq!(pod["spec"]["nodeName"], "node1");
    assert_eq!(pod["metadata"]["ownerReferences"], Json::Null);
}

#[test]
fn a_namespace_comes_with_what_it_needs() {
    let request = Request { scope: include_namespaces(&["shop"]), ..Request::default() };
    let (objects, report) = exported(&file(&shop()), &request);
    let names = names(&objects);
    assert_eq!(
        names[..4],
        [
            "Namespace -/shop",
            "CustomResourceDefinition -/widgets.example.com",
            "PriorityClass -/gold",
            "Secret shop/db"
        ]
    );
    assert!(names.iter().skip(3).all(|name| name.contains(" shop/")), "{names:?}");
    assert_eq!(names.len(), 11);
    assert_eq!(report.needed, 2);
    // Of what is in no namespace nothing was asked for, so nothing was left out.
    assert!(left_out(&report).iter().all(|(_, name, _)| !["nodes", "namespaces"].contains(&name.as_str())));
}

#[test]
fn objects_chosen_by_their_labels_come_with_their_namespaces() {
    let labels = Some(LabelSelector::parse("app=web").expect("a selector"));
    let request = Request { reader: Reader { labels, ..Reader::default() }, ..Request::default() };
    let (objects, report) = exported(&file(&shop()), &request);
    assert_eq!(
        names(&objects),
        [
            "Namespace -/other",
            "Namespace -/shop",
            "PriorityClass -/gold",
            "ConfigMap other/app",
            "ConfigMap shop/app",
            "Pod shop/web-1"
        ]
    );
    assert_eq!(report.needed, 3);
    assert_eq!(left_out(&report), [(Reason::Owned, "pods".into(), 1)]);
}

#[test]
fn types_come_alone() {
    let types = |types: &[&str]| Request {
        selection: Selection {
            types: types.iter().map(|name| (*name).to_owned()).collect(),
            ..Selection::default()
        },
        scope: include_namespaces(&["shop"]),
        ..Request::default()
    };
    let file = file(&shop());
    let (objects, _) = exported(&file, &types(&["po", "widgets"]));
    assert_eq!(names(&objects), ["Pod shop/web-1", "Widget shop/w1"]);
    // Whether a service selects anything is known although services were not asked for.
    let (objects, report) = exported(&file, &types(&["endpointslices"]));
    assert_eq!(names(&objects), ["EndpointSlice shop/db-1"]);
    assert_eq!(left_out(&report).len(), 1);
    let (objects, report) = exported(&file, &types(&["widget"]));
    assert_eq!(names(&objects), [""; 0]);
    assert_eq!(report.unknown[0].typed, "widget");
    let scope = Scope { include_resources: vec![Pattern::new("*.example.com")], ..Scope::default() };
    let (objects, _) = exported(&file, &Request { scope, ..Request::default() });
    assert_eq!(names(&objects), ["Widget shop/w1"]);
}

#[test]
fn redacted_objects_have_no_values_and_none_can_be_applied() {
    let request = Request { redaction: Some(Redaction::secrets()), ..Request::default() };
    let (objects, _) = exported(&file(&shop()), &request);
    assert!(objects.iter().all(|object| object["metadata"]["annotations"][FORBIDDING] == "true"));
    let secret = objects.iter().find(|object| object["kind"] == "Secret").expect("there");
    assert_eq!(secret["data"], json!({"password": "<redacted 6 bytes>"}));
}

#[test]
fn a_renamed_namespace_is_renamed_in_names_of_files_too() {
    let namespaces = NamespaceMap::parse(["shop=market"]).expect("a map");
    let request = Request { scope: include_namespaces(&["shop"]), namespaces, ..Request::default() };
    let (objects, report) = exported(&file(&shop()), &request);
    let names = names(&objects);
    assert_eq!(names[0], "Namespace -/market");
    assert!(names.iter().all(|name| !name.contains("shop")), "{names:?}");
    assert_eq!(report.namespaces_left_in, 1);
    assert_eq!(report.namespaces_left[0].path.namespace, "market");
    assert_eq!(report.namespaces_left[0].places, ["spec.url"]);
}

#[test]
fn what_newer_servers_do_not_take_and_what_can_lose_data_is_told() {
    let volume = |policy: &str| {
        object("v1", "PersistentVolume", "/pv", json!({"spec": {"persistentVolumeReclaimPolicy": policy}}))
    };
    let file = file(&[
        ("cronjobs/shop/nightly", object("batch/v1beta1", "CronJob", "shop/nightly", json!({}))),
        (
            "horizontalpodautoscalers/shop/web",
            object("autoscaling/v2beta1", "HorizontalPodAutoscaler", "shop/web", json!({})),
        ),
        ("persistentvolumes/a", volume("Delete")),
        ("persistentvolumes/b", volume("Retain")),
    ]);
    let (objects, report) = exported(&file, &Request::default());
    assert_eq!(objects[2]["apiVersion"], "batch/v1");
    let converted: Vec<_> = report.converted.iter().collect();
    let versions = ("batch/v1beta1".to_owned(), "batch/v1".to_owned());
    assert_eq!(converted, [(&versions, &[("cronjobs.batch".to_owned(), 1)].into())]);
    let outdated: Vec<_> = report.outdated.iter().collect();
    let version = (25, "autoscaling/v2beta1".to_owned());
    assert_eq!(outdated, [(&version, &[("horizontalpodautoscalers.autoscaling".to_owned(), 1)].into())]);
    assert_eq!(report.volumes_to_delete, 1);
}

#[test]
fn an_error_of_the_output_ends_it() {
    let file = file(&shop());
    for number in ask::THREADS {
        let progress = Progress::default();
        let threads = NonZeroUsize::new(number).expect("threads");
        let settings = Settings { threads, skip_damaged: false, progress: &progress };
        let snapshot =
            etcdsnap::etcd::snapshot::Snapshot::from_source(ask::source(&file)).expect("a snapshot");
        let db = snapshot.db().expect("a database");
        let mut given = 0;
        let sink = |_: Manifest| {
            given += 1;
            if given == 3 { Err("full") } else { Ok(()) }
        };
        let result = export(&db, &Request::default(), &settings, print, sink);
        assert!(matches!(result, Err(ExportError::Sink("full"))));
        assert_eq!(given, 3);
    }
}
