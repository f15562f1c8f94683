//! Against what servers printed.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::{Context, Printer, effective_default_storage_class, printer, row_order};
use crate::kube::resources::{RESOURCES, Resource};
use crate::kube::unix_time::UnixTime;
use crate::kube::value::{Map, Value};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

fn time(text: &str) -> UnixTime {
    text.parse().expect("a time")
}

fn printer_of(object: &Value<'_>) -> &'static Printer {
    let (version, kind) = (object.text(&["apiVersion"]), object.text(&["kind"]));
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    printer(group, kind).unwrap_or_else(|| panic!("no printer of {version} {kind}"))
}

/// What remains of an object if only the fields on `paths` are decoded.
fn projection(value: &Value<'static>, paths: &[&str]) -> Value<'static> {
    let entry = |key: &str, value: &Value<'static>| {
        let below: Vec<_> = paths
            .iter()
            .filter_map(|path| path.strip_prefix(key))
            .filter_map(|rest| match rest {
                "" | "{}" => Some(rest),
                _ => rest.strip_prefix('.'),
            })
            .collect();
        (!below.is_empty()).then(|| projection(value, &below))
    };
    match value {
        _ if paths.contains(&"") => value.clone(),
        Value::List(items) => Value::List(items.iter().map(|item| projection(item, paths)).collect()),
        Value::Map(map) => {
            let keys_only = paths == ["{}"];
            let entries = map.entries().iter().filter_map(|(key, value)| {
                let value = if keys_only { Some(Value::Null) } else { entry(key, value) };
                Some((key.clone(), value?))
            });
            Value::Map(Map::from_entries(entries.collect()))
        }
        _ => Value::Null,
    }
}

/// The cells of an object, made of the whole and made of the fields that the
/// printer says it reads: both must be the same.
fn cells(object: &Value<'static>, context: &Context) -> Vec<String> {
    let printer = printer_of(object);
    let mut reads: Vec<_> = printer.reads(context.wide).collect();
    reads.push("apiVersion");
    let owned = |cells: Vec<Cow<'_, str>>| cells.into_iter().map(Cow::into_owned).collect::<Vec<_>>();
    let whole = owned(printer.cells(object, context));
    assert_eq!(whole, owned(printer.cells(&projection(object, &reads), context)), "of {reads:?}");
    whole
}

fn strings(list: &Json) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|item| item.as_str().expect("text")).collect()
}

/// Objects made up by a Go program, and what the printers of a release made of
/// them.
fn compare_with_go(release: u16, text: &str) -> usize {
    let (mut context, mut columns, mut rows) = (Context::new(None), Vec::new(), 0);
    for line in text.lines() {
        let mut line: Json = serde_json::from_str(line).expect("JSON");
        if let Some(now) = line["now"].as_str() {
            context = Context { release, ..Context::new(Some(time(now))) };
        } else if line["columns"].is_array() {
            columns = line["columns"].as_array().expect("columns").clone();
        } else {
            rows += 1;
            let object = Value::from(line["object"].take());
            // Some printers make more cells than they have columns, or fewer.
            let expected = strings(&line["cells"]);
            for wide in [false, true] {
                context.wide = wide;
                let shown =
                    columns.iter().zip(&expected).filter(|(column, _)| wide || column["wide"] != true);
                let shown: Vec<_> =
                    shown.map(|(column, cell)| (column["name"].as_str().expect("a name"), *cell)).collect();
                let names = printer_of(&object).columns(&context).map(|column| column.name);
                let cells = cells(&object, &context);
                let found: Vec<_> = names.zip(cells.iter().map(String::as_str)).collect();
                assert_eq!(found, shown, "release 1.{release}: {object:?}");
                assert_eq!(cells.len(), shown.len());
            }
        }
    }
    rows
}

#[test]
fn cells_are_those_that_go_prints_for_the_same_objects() {
    for (file, release, expected) in [
        ("1.21", 21, 203),
        ("1.24", 24, 216),
        ("1.35", 35, 253),
        ("1.37", 37, 878),
        // Which Kubernetes it is does not matter to these.
        ("openshift-4.21", 34, 128),
    ] {
        let text = read(&fixture(&format!("kube/table-cells/{file}.jsonl")));
        assert_eq!(compare_with_go(release, &text), expected, "objects in {file}");
    }
}

/// A table of kubectl: names of columns and rows of cells.
fn parse_table(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut lines = text.lines();
    let header = lines.next().expect("a header");
    // Names have single blanks in them, and three or more between them.
    let mut starts = vec![0];
    let bytes = header.as_bytes();
    starts.extend((2..bytes.len()).filter(|at| bytes[*at] != b' ' && bytes[at - 2..*at] == *b"  "));
    let row = |line: &str| -> Vec<String> {
        let characters: Vec<char> = line.chars().collect();
        let ends = starts.iter().skip(1).copied().chain([usize::MAX]);
        let cell = |(start, end): (&usize, usize)| {
            let end = end.min(characters.len());
            characters.get(*start..end).unwrap_or_default().iter().collect::<String>().trim_end().to_owned()
        };
        starts.iter().zip(ends).map(cell).collect()
    };
    (row(header), lines.map(row).collect())
}

#[test]
fn tables_are_those_that_kubectl_showed() {
    let directory = fixture("reference/kubectl/k8s-1.35-etcd-3.6");
    let recorded = time(read(&directory.join("recorded-at")).trim());
    let mut rows = 0;
    for file in fs::read_dir(directory.join("json")).expect("a directory") {
        let path = file.expect("a file").path();
        let resource = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        if resource == "widgets.example.com" {
            // A custom resource, whose columns are in its definition.
            continue;
        }
        let list: Json = serde_json::from_str(&read(&path)).expect("JSON");
        let mut objects: Vec<_> =
            list["items"].as_array().expect("items").iter().map(|item| Value::from(item.clone())).collect();
        if let Some((_, group @ "flowcontrol.apiserver.k8s.io")) = resource.split_once('.')
            && let Some(order) = row_order(group, objects[0].text(&["kind"]))
        {
            objects.sort_by(order);
        }
        for (form, wide) in [("table", false), ("wide", true)] {
            let (names, expected) = parse_table(&read(&directory.join(form).join(format!("{resource}.txt"))));
            let namespaced = names.first().is_some_and(|name| name == "NAMESPACE");
            // The answers came within some seconds before all of them were there.
            let found = (0..30).map(|seconds| {
                let now = UnixTime::from_seconds(recorded.seconds() - seconds);
                let context = Context { release: 35, wide, ..Context::new(now) };
                let row = |object: &Value<'static>| {
                    let namespace = namespaced.then(|| object.text(&["metadata", "namespace"]).to_owned());
                    namespace.into_iter().chain(cells(object, &context)).collect::<Vec<_>>()
                };
                let columns =
                    objects.first().into_iter().flat_map(|first| printer_of(first).columns(&context));
                let columns = columns.map(|column| column.name.to_uppercase());
                let columns: Vec<_> =
                    namespaced.then(|| "NAMESPACE".to_owned()).into_iter().chain(columns).collect();
                (columns, objects.iter().map(row).collect::<Vec<_>>())
            });
            let found: Vec<_> = found.collect();
            assert!(
                found.contains(&(names.clone(), expected.clone())),
                "{resource}, {form}:\n{:?}\n{names:?} {expected:?}",
                found[5]
            );
            rows += expected.len();
        }
    }
    assert_eq!(rows, 506);
}

#[test]
fn without_a_time_ages_are_unknown() {
    let pod = Value::from(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "a"}]},
        "status": {"phase": "Running", "containerStatuses": [{
            "name": "a", "ready": true, "restartCount": 2, "state": {"running": {}},
            "lastState": {"terminated": {"finishedAt": "2026-01-02T00:00:00Z"}},
        }]},
    }));
    assert_eq!(cells(&pod, &Context::new(None)), ["web", "1/1", "Running", "2 (<unknown> ago)", "<unknown>"]);
    let context = Context::new(Some(time("2026-01-22T00:00:00Z")));
    assert_eq!(cells(&pod, &context), ["web", "1/1", "Running", "2 (20d ago)", "21d"]);
}

#[test]
fn of_several_default_storage_classes_the_youngest_is_marked_from_1_37_on() {
    let class = |name: &str, made: &str, default: &str| {
        Value::from(json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {
                "name": name, "creationTimestamp": made,
                "annotations": {"storageclass.kubernetes.io/is-default-class": default},
            },
            "provisioner": "p",
        }))
    };
    let classes = [
        class("c", "2026-01-02T00:00:00Z", "true"),
        class("b", "2026-01-02T00:00:00Z", "true"),
        class("a", "2026-01-01T00:00:00Z", "true"),
        class("d", "2026-01-03T00:00:00Z", "false"),
    ];
    let default = effective_default_storage_class(&classes);
    assert_eq!(default.as_deref(), Some("b"));
    let names =
        |context: &Context| classes.iter().map(|class| cells(class, context).remove(0)).collect::<Vec<_>>();
    let newest = Context { default_storage_class: default, ..Context::new(None) };
    assert_eq!(names(&newest), ["c", "b (default)", "a", "d"]);
    assert_eq!(names(&Context::new(None)), ["c", "b", "a", "d"]);
    let older = Context { release: 36, ..newest };
    assert_eq!(names(&older), ["c (default)", "b (default)", "a (default)", "d"]);
    assert_eq!(effective_default_storage_class(&classes[3..]), None);
}

/// No field is what it should be; nothing may panic.
#[test]
fn objects_of_any_shape_get_all_their_cells() {
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!({"metadata": 1, "spec": [1], "status": "x"}),
        json!({"spec": {"containers": [1, null], "metrics": [null], "rules": ["x"], "ports": [[]], "taint": []}}),
        json!({"metadata": {"creationTimestamp": "9999-12-31T23:59:59Z", "labels": {"a": []}}}),
        json!({"status": {"containerStatuses": [{"restartCount": i64::MAX}, {"restartCount": i64::MAX}],
            "initContainerStatuses": ["x", {"state": {"terminated": {"exitCode": i64::MIN}}}],
            "duration": i64::MAX, "pools": [{"totalDevices": i64::MAX}, {"totalDevices": i64::MAX}]}}),
    ];
    let printers = RESOURCES.iter().filter_map(|resource| printer(resource.group, resource.kind));
    for printer in printers {
        for object in &odd {
            let object = Value::from(object.clone());
            for release in [14, 20, 28, 34, 37] {
                let context = Context { release, wide: true, ..Context::new(Some(UnixTime::MIN)) };
                assert_eq!(printer.cells(&object, &context).len(), printer.columns(&context).count());
            }
        }
    }
}

#[test]
fn every_resource_that_is_stored_has_a_printer() {
    let missing = |resource: &&Resource| {
        let groups = std::iter::once(resource.group).chain(resource.also_in);
        groups.filter_map(|group| printer(group, resource.kind)).next().is_none()
    };
    let missing = RESOURCES.iter().filter(|resource| resource.path.is_some()).filter(missing);
    let missing: Vec<_> = missing.map(|resource| format!("{}.{}", resource.kind, resource.group)).collect();
    assert_eq!(missing, Vec::<String>::new());
    assert!(printer("example.com", "Pod").is_none());
    assert!(printer("apps", "Pod").is_none());
}
