//! Templates and their instances.

use std::borrow::Cow;

use super::super::row::length;
use super::super::{Printer, column};
use crate::kube::value::Value;

pub(super) static TEMPLATE: Printer = Printer {
    columns: &[column("Name"), column("Description"), column("Parameters"), column("Objects")],
    print: |template, row| {
        row.name(template);
        row.cell(|| description(template));
        row.cell(|| parameters(template.items(&["parameters"])));
        row.number(length(template.items(&["objects"]).len()));
    },
    reads: &["metadata.name", "metadata.annotations", "parameters", "objects"],
    wide_reads: &[],
};

/// The first line, at most eighty bytes.
fn description<'v>(template: &'v Value<'v>) -> Cow<'v, str> {
    const WIDTH: usize = 80;
    const KEPT: usize = WIDTH - 3;
    let text = template.text(&["metadata", "annotations", "description"]);
    let line = match text.split_once('\n') {
        Some((line, _)) => Cow::Owned(format!("{line}...")),
        None => Cow::Borrowed(text),
    };
    if line.len() <= WIDTH {
        return line;
    }
    // Go cuts within a character, which a terminal shows as U+FFFD.
    let cut = line.as_bytes().get(..KEPT).unwrap_or_default();
    Cow::Owned(format!("{}...", String::from_utf8_lossy(cut).trim()))
}

fn parameters(parameters: &[Value<'_>]) -> String {
    let unset = parameters.iter().filter(|parameter| parameter.text(&["value"]).is_empty());
    let (generated, blank): (Vec<_>, Vec<_>) =
        unset.partition(|parameter| !parameter.text(&["generate"]).is_empty());
    let total = parameters.len();
    match (blank.len(), generated.len()) {
        (0, 0) => format!("{total} (all set)"),
        (0, generated) => format!("{total} ({generated} generated)"),
        (blank, _) => format!("{total} ({blank} blank)"),
    }
}

pub(super) static TEMPLATE_INSTANCE: Printer = Printer {
    columns: &[column("Name"), column("Template")],
    print: |instance, row| {
        row.name(instance);
        row.text(instance.text(&["spec", "template", "metadata", "name"]));
    },
    reads: &["metadata.name", "spec.template.metadata.name"],
    wide_reads: &[],
};

/// Servers give one cell more than columns: the instance's name gets lost.
pub(super) static BROKER_TEMPLATE_INSTANCE: Printer = Printer {
    columns: &[column("Name"), column("Template Instance")],
    print: |instance, row| {
        row.name(instance);
        row.text(instance.text(&["spec", "templateInstance", "namespace"]));
    },
    reads: &["metadata.name", "spec.templateInstance.namespace"],
    wide_reads: &[],
};
