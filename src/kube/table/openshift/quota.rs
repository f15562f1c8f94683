//! Quotas over several namespaces.

use super::super::labels::{format_labels, format_selector};
use super::super::row::set;
use super::super::{Printer, column};

pub(super) static CLUSTER_RESOURCE_QUOTA: Printer = Printer {
    columns: &[column("Name"), column("Labels Selector"), column("Annotations Selector")],
    print: |quota, row| {
        row.name(quota);
        row.cell(|| format_selector(set(quota, &["spec", "selector", "labels"])));
        row.cell(|| format_labels(quota.entries(&["spec", "selector", "annotations"])));
    },
    reads: &["metadata.name", "spec.selector"],
    wide_reads: &[],
};
