//! Which objects, and which parts of them, as kubectl has its users say it.
//!
//! ```text
//! arguments ─▶ Request      types and names as they were typed
//!           ─▶ Types        what a typed type means, with the store's own CRDs
//! -l        ─▶ LabelSelector     --field-selector ─▶ FieldSelector
//! -o        ─▶ JsonPath, CustomColumns            --sort-by ─▶ SortBy
//! a CRD     ─▶ PrinterColumns                     -L ─▶ label_columns
//! ```
//!
//! Everything is parsed once and then asked of one object after the other.
//! Source: kubernetes `staging/src/k8s.io` of 1.35; the file is named in each module.

pub mod arguments;
pub mod crd;
pub mod custom_columns;
pub mod fields;
pub mod jsonpath;
pub mod label_columns;
pub mod labels;
pub mod printer_columns;
pub mod quantity;
pub mod sort;
pub mod types;

/// Upstream's answers, as `tests/upstream/select` wrote them down.
#[cfg(test)]
mod recorded {
    use serde_json::Value as Json;

    /// The lines of `fixtures/kube/select-NAME.jsonl`.
    pub(super) fn lines(name: &str) -> Vec<Json> {
        let path = format!("{}/fixtures/kube/select-{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).expect(&path);
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}
