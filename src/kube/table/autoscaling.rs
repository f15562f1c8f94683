//! Horizontal pod autoscalers: what they watch, and how far off it is.
//!
//! Version 1 knows CPU only; it keeps the other metrics as JSON in annotations, in
//! the form that `v2beta1` has.
//!
//! Source: besides the printers, kubernetes `pkg/apis/autoscaling/{v1,v2beta1}/conversion.go`
//! and `v2/defaults.go`, 1.35 and 1.37.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::row::{Row, UNKNOWN, count, scalar, set};
use super::{Printer, column};
use crate::kube::value::{Map, Value};

pub(super) static AUTOSCALER: Printer = Printer {
    columns: &[
        column("Name"),
        column("Reference"),
        column("Targets"),
        column("MinPods"),
        column("MaxPods"),
        column("Replicas"),
        column("Age"),
    ],
    print: autoscaler,
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.annotations",
        "spec.scaleTargetRef",
        "spec.minReplicas",
        "spec.maxReplicas",
        "spec.metrics",
        "spec.targetCPUUtilizationPercentage",
        "status.currentReplicas",
        "status.currentMetrics",
        "status.currentCPUUtilizationPercentage",
    ],
    wide_reads: &[],
};

fn autoscaler<'v>(scaler: &'v Value<'v>, row: &mut Row<'v>) {
    let release = row.context.release;
    let target = |field| scaler.text(&["spec", "scaleTargetRef", field]);
    row.name(scaler);
    row.cell(|| format!("{}/{}", target("kind"), target("name")));
    row.cell(|| targets(scaler, release));
    row.number(scaler.int(&["spec", "minReplicas"]).unwrap_or(1));
    row.number(count(scaler, &["spec", "maxReplicas"]));
    row.number(count(scaler, &["status", "currentReplicas"]));
    row.age(scaler);
}

/// Where the fields of a metric are. In version 2 they are below `target` and
/// `current`; before that each had a name of its own.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Flat,
    Nested,
}

/// `cpu: 10%/50%, 7/100 + 1 more...`
fn targets(scaler: &Value<'_>, release: u16) -> String {
    const MAX: usize = 2;
    let version = scaler.text(&["apiVersion"]);
    let (one, two) = (version == "autoscaling/v1", version != "autoscaling/v2beta1");
    let form = if two && !one { Form::Nested } else { Form::Flat };
    let noted = |name| annotation(scaler, name).filter(|_| one);
    let noted_specs = noted("autoscaling.alpha.kubernetes.io/metrics");
    let noted_statuses = noted("autoscaling.alpha.kubernetes.io/current-metrics");

    let specs = noted_specs.as_deref().unwrap_or_else(|| scaler.items(&["spec", "metrics"]));
    let mut wanted: Vec<_> = specs.iter().map(|spec| Wanted::of(spec, form)).collect();
    wanted.extend(scaler.int(&["spec", "targetCPUUtilizationPercentage"]).map(Wanted::cpu));
    if wanted.is_empty() {
        // What servers fill in.
        wanted.push(Wanted::cpu(80));
    }
    let statuses = noted_statuses.as_deref().unwrap_or_else(|| scaler.items(&["status", "currentMetrics"]));
    let cpu = scaler.int(&["status", "currentCPUUtilizationPercentage"]);
    let found = |index: usize, sort: Sort| match cpu.filter(|_| noted_statuses.is_none()) {
        Some(percent) => (index == 0 && sort == Sort::Resource).then(|| Measure::percent(percent)),
        None => {
            let status = statuses.get(index).and_then(|status| set(status, &[sort.key()]));
            status.map(|status| Measure::found(status, sort, form))
        }
    };

    let shown = wanted.iter().enumerate().take(MAX).map(|(index, wanted)| match wanted.sort {
        Some(sort) if sort != Sort::ContainerResource || release >= 20 => {
            wanted.show(sort, found(index, sort), release)
        }
        _ => "<unknown type>".to_owned(),
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match wanted.len().saturating_sub(MAX) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Resource,
    ContainerResource,
    Pods,
    Object,
    External,
}

impl Sort {
    /// The field that a metric of this sort is in.
    fn key(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::ContainerResource => "containerResource",
            Self::Pods => "pods",
            Self::Object => "object",
            Self::External => "external",
        }
    }
}

/// A metric that is to be kept at a value.
struct Wanted<'v> {
    /// None if it is not known.
    sort: Option<Sort>,
    /// Of a resource.
    name: &'v str,
    target: Measure<'v>,
}

impl<'v> Wanted<'v> {
    fn cpu(percent: i64) -> Self {
        Self { sort: Some(Sort::Resource), name: "cpu", target: Measure::percent(percent) }
    }

    fn of(spec: &'v Value<'v>, form: Form) -> Self {
        let sort = match spec.text(&["type"]) {
            "Resource" => Sort::Resource,
            "ContainerResource" => Sort::ContainerResource,
            "Pods" => Sort::Pods,
            "Object" => Sort::Object,
            "External" => Sort::External,
            _ => return Self { sort: None, name: "", target: Measure::default() },
        };
        let target = set(spec, &[sort.key()]).map(|source| Measure::target(source, sort, form));
        let name = spec.text(&[sort.key(), "name"]);
        Self { sort: Some(sort), name, target: target.unwrap_or_default() }
    }

    fn show(&self, sort: Sort, found: Option<Measure<'_>>, release: u16) -> String {
        /// What Go prints of a quantity that is not there.
        const NIL: &str = "<nil>";
        let percent = |percent: i64| Cow::Owned(format!("{percent}%"));
        let target = &self.target;
        let or_nil = |quantity: &Option<Cow<'_, str>>| quantity.as_deref().unwrap_or(NIL).to_owned();
        match (sort, &target.average) {
            (Sort::External | Sort::Object, Some(average)) if sort == Sort::External || release >= 19 => {
                let current = found.and_then(|found| found.average).unwrap_or(Cow::Borrowed(UNKNOWN));
                format!("{current}/{average} (avg)")
            }
            (Sort::External | Sort::Object, _) => {
                let current = found.map_or(UNKNOWN.to_owned(), |found| or_nil(&found.value));
                format!("{current}/{}", or_nil(&target.value))
            }
            (Sort::Pods, average) => {
                let current = found.map_or(UNKNOWN.to_owned(), |found| or_nil(&found.average));
                format!("{current}/{}", or_nil(average))
            }
            (Sort::Resource | Sort::ContainerResource, average) => {
                let prefix = if release >= 30 { format!("{}: ", self.name) } else { String::new() };
                let (current, target) = match average {
                    Some(average) => {
                        let current = found.map(|found| Cow::Owned(or_nil(&found.average)));
                        (current, Cow::Borrowed(&**average))
                    }
                    None => {
                        let current = found.and_then(|found| found.utilization).map(percent);
                        (current, target.utilization.map_or(Cow::Borrowed("<auto>"), percent))
                    }
                };
                format!("{prefix}{}/{target}", current.unwrap_or(Cow::Borrowed(UNKNOWN)))
            }
        }
    }
}

/// The values of a metric: absolute, per pod, and in percent of what was asked for.
#[derive(Default)]
struct Measure<'v> {
    value: Option<Cow<'v, str>>,
    average: Option<Cow<'v, str>>,
    utilization: Option<i64>,
}

impl<'v> Measure<'v> {
    fn percent(percent: i64) -> Self {
        Self { utilization: Some(percent), ..Self::default() }
    }

    /// What a metric should be.
    fn target(source: &'v Value<'v>, sort: Sort, form: Form) -> Self {
        match (form, sort) {
            (Form::Nested, _) => Self::nested(source, "target"),
            (Form::Flat, Sort::Object) => Self {
                value: quantity(source, "targetValue").or_else(zero),
                average: quantity(source, "averageValue"),
                utilization: None,
            },
            (Form::Flat, Sort::Pods) => {
                Self { average: quantity(source, "targetAverageValue").or_else(zero), ..Self::default() }
            }
            (Form::Flat, Sort::External | Sort::Resource | Sort::ContainerResource) => Self {
                value: quantity(source, "targetValue"),
                average: quantity(source, "targetAverageValue"),
                utilization: source.int(&["targetAverageUtilization"]),
            },
        }
    }

    /// What a metric is.
    fn found(source: &'v Value<'v>, sort: Sort, form: Form) -> Self {
        match (form, sort) {
            (Form::Nested, _) => Self::nested(source, "current"),
            (Form::Flat, Sort::Object | Sort::External) => {
                let average = if sort == Sort::Object { "averageValue" } else { "currentAverageValue" };
                Self {
                    value: quantity(source, "currentValue").or_else(zero),
                    average: quantity(source, average),
                    utilization: None,
                }
            }
            (Form::Flat, Sort::Pods | Sort::Resource | Sort::ContainerResource) => Self {
                value: None,
                average: quantity(source, "currentAverageValue").or_else(zero),
                utilization: source.int(&["currentAverageUtilization"]),
            },
        }
    }

    fn nested(source: &'v Value<'v>, side: &str) -> Self {
        let Some(values) = source.get(side) else { return Self::default() };
        Self {
            value: quantity(values, "value"),
            average: quantity(values, "averageValue"),
            utilization: values.int(&["averageUtilization"]),
        }
    }
}

fn quantity<'v>(source: &'v Value<'v>, field: &str) -> Option<Cow<'v, str>> {
    set(source, &[field]).map(scalar)
}

/// A quantity that Go always has.
fn zero<'v>() -> Option<Cow<'v, str>> {
    Some(Cow::Borrowed("0"))
}

/// The list that an annotation holds; none if it is not JSON or not a list.
fn annotation(scaler: &Value<'_>, name: &str) -> Option<Vec<Value<'static>>> {
    let text = scaler.text(&["metadata", "annotations", name]);
    match serde_json::from_str(text).ok()? {
        Json::Array(items) => Some(items.into_iter().map(tree).collect()),
        _ => None,
    }
}

fn tree(json: Json) -> Value<'static> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => number.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(text) => Value::from(text),
        Json::Array(items) => Value::List(items.into_iter().map(tree).collect()),
        Json::Object(map) => {
            let entries = map.into_iter().map(|(key, value)| (Cow::Owned(key), tree(value)));
            Value::Map(Map::from_entries(entries.collect()))
        }
    }
}
