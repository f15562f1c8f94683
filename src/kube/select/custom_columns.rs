//! `-o custom-columns=NAME:.metadata.name,…` and its file form.
//!
//! Source: kubernetes `kubectl/pkg/cmd/get/customcolumn.go`, 1.35.

use super::jsonpath::{JsonPath, PathFault};
use crate::kube::value::Value;

/// Columns that a user made up.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomColumns {
    columns: Vec<(String, JsonPath)>,
}

/// Why text describes no columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsFault {
    /// Nothing is described.
    #[error("custom-columns format specified but no custom columns given")]
    Empty,
    /// A column without a `:` in it.
    #[error("unexpected custom-columns spec: {0}, expected <header>:<json-path-expr>")]
    NoPath(String),
    /// The file does not have two lines.
    #[error(
        "missing {0} line: expected one line of space separated headers, then one of space separated column specs"
    )]
    NoLine(&'static str),
    /// The lines of the file do not match.
    #[error("number of headers ({headers}) and field specifications ({paths}) don't match")]
    Counts {
        /// Words in the first line.
        headers: usize,
        /// Words in the second.
        paths: usize,
    },
    /// A path cannot be read.
    #[error("column {header}: {fault}")]
    Path {
        /// The column's header.
        header: String,
        /// What is wrong with the path.
        fault: PathFault,
    },
}

impl CustomColumns {
    /// Reads `HEADER:PATH,HEADER:PATH`. A path cannot contain a comma.
    pub fn parse(spec: &str) -> Result<Self, ColumnsFault> {
        if spec.is_empty() {
            return Err(ColumnsFault::Empty);
        }
        let pair = |part: &str| {
            let (header, path) = part.split_once(':').ok_or_else(|| ColumnsFault::NoPath(part.to_owned()))?;
            column(header, path)
        };
        Ok(Self { columns: spec.split(',').map(pair).collect::<Result<_, _>>()? })
    }

    /// Reads a file: a line of headers over a line of paths, with blanks between them.
    pub fn parse_file(text: &str) -> Result<Self, ColumnsFault> {
        let mut lines = text.lines();
        let headers = lines.next().ok_or(ColumnsFault::NoLine("header"))?;
        let paths = lines.next().ok_or(ColumnsFault::NoLine("spec"))?;
        let count = |line: &str| line.split_whitespace().count();
        if count(headers) != count(paths) {
            return Err(ColumnsFault::Counts { headers: count(headers), paths: count(paths) });
        }
        let pairs = headers.split_whitespace().zip(paths.split_whitespace());
        Ok(Self { columns: pairs.map(|(header, path)| column(header, path)).collect::<Result<_, _>>()? })
    }

    /// What stands over the columns, as it was given.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(header, _)| header.as_str())
    }

    /// The cells of an object: what is found, with commas between, or `<none>`.
    /// Lists and maps are printed as Go prints them: `[a b]`, `map[k:v]`.
    pub fn cells(&self, object: &Value<'_>) -> Result<Vec<String>, ColumnsFault> {
        let cell = |(header, path): &(String, JsonPath)| {
            let mut out = Vec::new();
            let mut some = false;
            let result = path.each(object, |results| {
                for found in results {
                    if some {
                        out.push(b',');
                    }
                    some = true;
                    found.write_plain(&mut out);
                }
            });
            result.map_err(|fault| ColumnsFault::Path { header: header.clone(), fault })?;
            if !some {
                out.extend_from_slice(b"<none>");
            }
            Ok(String::from_utf8_lossy(&out).into_owned())
        };
        self.columns.iter().map(cell).collect()
    }
}

fn column(header: &str, path: &str) -> Result<(String, JsonPath), ColumnsFault> {
    let fault = |fault| ColumnsFault::Path { header: header.to_owned(), fault };
    Ok((header.to_owned(), JsonPath::parse_relaxed(path).map_err(fault)?))
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn cells_are_those_of_kubectl() {
        let lines = recorded::lines("columns");
        let (objects, cases) = lines.split_first().expect("a first line");
        let objects: Vec<Value<'_>> =
            objects.as_array().expect("a list").iter().cloned().map(Value::from).collect();
        let mut printed = 0;
        for case in cases.iter().filter(|case| case["relaxed"].is_null()) {
            let object = &objects[case["object"].as_u64().expect("a number") as usize];
            let columns = match case["spec"].as_str() {
                Some(spec) => CustomColumns::parse(spec),
                None => CustomColumns::parse_file(case["template"].as_str().expect("text")),
            };
            let printed_cells = columns.and_then(|columns| {
                let headers: Vec<String> = columns.headers().map(str::to_owned).collect();
                Ok(json!({"headers": headers, "cells": columns.cells(object)?}))
            });
            if case["error"].is_string() {
                assert!(printed_cells.is_err(), "{case} but {printed_cells:?}");
                continue;
            }
            let mut expected = json!({"headers": case["headers"], "cells": case["cells"]});
            let mut printed_cells = printed_cells.unwrap_or_else(|fault| panic!("{case} but {fault}"));
            if case["unordered"] == true {
                for cells in [&mut expected["cells"], &mut printed_cells["cells"]] {
                    let text = cells.to_string();
                    let mut words: Vec<_> = text.split([',', ' ', '[', ']', '"']).collect();
                    words.sort_unstable();
                    *cells = json!(words);
                }
            }
            assert_eq!(printed_cells, expected, "{case}");
            printed += 1;
        }
        assert!(printed > 150, "{printed}");
    }

    proptest! {
        #[test]
        fn any_columns_can_be_read(any in ".*", near in "([A-C]:\\.?[a-c.*]{1,3},?){1,3}") {
            let object = Value::from(json!({"a": [1, {"b": null}], "b": {"c": "x"}}));
            for text in [any, near] {
                for columns in [CustomColumns::parse(&text), CustomColumns::parse_file(&text)] {
                    let _ = columns.map(|columns| columns.cells(&object));
                }
            }
        }
    }
}
