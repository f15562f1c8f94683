//! The forms of output that kubectl has, as `-o` names them.

use std::fs;

use etcdsnap::kube::select::custom_columns::CustomColumns;
use etcdsnap::kube::select::jsonpath::JsonPath;

use crate::cli::failure::Failure;

/// A form of output.
#[derive(Debug)]
pub(super) enum Format {
    /// Columns.
    Table {
        /// Also those of lesser importance.
        wide: bool,
    },
    /// YAML documents.
    Yaml,
    /// JSON, indented.
    Json,
    /// One object a line.
    Jsonl,
    /// `pod/web-1`.
    Name,
    /// What a path leads to.
    JsonPath(JsonPath),
    /// As `JsonPath`, as JSON.
    JsonPathAsJson(JsonPath),
    /// Columns by paths.
    CustomColumns(CustomColumns),
}

/// The names of the forms, for messages.
const FORMS: &str = "wide, yaml, json, jsonl, name, jsonpath=…, jsonpath-file=…, jsonpath-as-json=…, custom-columns=…, custom-columns-file=…";

/// In place of Go templates.
pub(super) const NO_TEMPLATES: &str =
    "-o jsonpath='{.items[*].metadata.name}' or -o custom-columns=NAME:.metadata.name";

impl Format {
    /// Reads what was typed after `-o`; whether a path may lead nowhere.
    pub(super) fn parse(typed: Option<&str>, allow_missing: bool) -> Result<Self, Failure> {
        let Some(typed) = typed.filter(|typed| !typed.is_empty()) else {
            return Ok(Self::Table { wide: false });
        };
        let (form, argument) = typed.split_once('=').map_or((typed, None), |(form, rest)| (form, Some(rest)));
        let argument = |what: &str| {
            let given = argument.filter(|argument| !argument.is_empty());
            given.ok_or_else(|| Failure::usage(format!("-o {form} needs {what}: -o {form}=…")))
        };
        let path = |template: &str| {
            JsonPath::parse(template)
                .map(|path| if allow_missing { path } else { path.strict() })
                .map_err(|error| Failure::usage(format!("the template {template:?} cannot be read: {error}")))
        };
        let columns = |spec: Result<CustomColumns, _>| {
            spec.map_err(|error| Failure::usage(format!("the columns cannot be read: {error}")))
        };
        match form {
            "wide" => Ok(Self::Table { wide: true }),
            "yaml" => Ok(Self::Yaml),
            "json" => Ok(Self::Json),
            "jsonl" => Ok(Self::Jsonl),
            "name" => Ok(Self::Name),
            "jsonpath" => Ok(Self::JsonPath(path(argument("a template")?)?)),
            "jsonpath-file" => Ok(Self::JsonPath(path(&read(argument("a file")?)?)?)),
            "jsonpath-as-json" => Ok(Self::JsonPathAsJson(path(argument("a template")?)?)),
            "custom-columns" => {
                Ok(Self::CustomColumns(columns(CustomColumns::parse(argument("NAME:PATH pairs")?))?))
            }
            "custom-columns-file" => {
                let text = read(argument("a file")?)?;
                Ok(Self::CustomColumns(columns(CustomColumns::parse_file(&text))?))
            }
            "go-template" | "go-template-file" | "template" | "templatefile" => {
                Err(Failure::usage("Go templates are not understood").hint(NO_TEMPLATES))
            }
            "kyaml" => Err(Failure::usage("there is no -o kyaml").hint("-o yaml holds the same")),
            _ => Err(Failure::usage(format!("there is no form of output {typed:?}"))
                .hint(format!("use one of: {FORMS}"))),
        }
    }
}

fn read(path: &str) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::usage(format!("{path} cannot be read: {error}")))
}
