//! Tables of custom resources: what their definition's `additionalPrinterColumns`
//! say, as the API server fills them in and kubectl prints them.
//!
//! Source: kubernetes `apiextensions-apiserver/pkg/registry/customresource/tableconvertor`,
//! `apiextensions-apiserver/pkg/apiserver/helpers.go`, 1.35.

use super::crd::{ColumnDefinition, CrdVersion};
use super::jsonpath::text::number_text;
use super::jsonpath::{JsonPath, PathFault};
use crate::kube::human_duration::human_duration;
use crate::kube::unix_time::UnixTime;
use crate::kube::value::Value;

/// Paths come from the store. Without `..`, which definitions are not allowed to
/// have, no object that fits into etcd holds more.
const MOST_RESULTS: usize = 1 << 20;

/// The columns of a type. The first is the name.
#[derive(Debug, Clone, PartialEq)]
pub struct PrinterColumns {
    columns: Vec<Column>,
    fault: Option<(String, PathFault)>,
}

#[derive(Debug, Clone, PartialEq)]
struct Column {
    name: String,
    wide: bool,
    kind: Kind,
    path: JsonPath,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Number,
    Boolean,
    Date,
    /// Shows nothing.
    Unknown,
}

impl PrinterColumns {
    /// The columns of a version of a type, which are name and age if it has none.
    pub fn new(version: &CrdVersion) -> Self {
        Self::from_definitions(&version.columns)
    }

    /// Name and age: the columns of a type about which nothing else is known.
    pub fn standard() -> Self {
        Self::from_definitions(&[])
    }

    fn from_definitions(definitions: &[ColumnDefinition]) -> Self {
        let definition = |name: &str, kind: &str, json_path: &str| ColumnDefinition {
            name: name.to_owned(),
            kind: kind.to_owned(),
            priority: 0,
            json_path: json_path.to_owned(),
        };
        let age = [definition("Age", "date", ".metadata.creationTimestamp")];
        let name = definition("Name", "string", ".metadata.name");
        let definitions = if definitions.is_empty() { &age } else { definitions };
        let mut columns = Vec::new();
        for definition in std::iter::once(&name).chain(definitions) {
            match Column::new(definition) {
                Ok(column) => columns.push(column),
                // The server leaves it at those before.
                Err(fault) => return Self { columns, fault: Some((definition.json_path.clone(), fault)) },
            }
        }
        Self { columns, fault: None }
    }

    /// The path that cannot be read, if there is one: it and the columns behind it
    /// are missing.
    pub fn fault(&self) -> Option<(&str, &PathFault)> {
        self.fault.as_ref().map(|(path, fault)| (path.as_str(), fault))
    }

    /// The headers as the server has them, and whether only `-o wide` shows them.
    pub fn columns(&self) -> impl Iterator<Item = (&str, bool)> {
        self.columns.iter().map(|column| (column.name.as_str(), column.wide))
    }

    /// The cells of an object, of all columns. Ages are counted up to `now`, and
    /// `<unknown>` without it.
    pub fn cells(&self, object: &Value<'_>, now: Option<UnixTime>) -> Vec<String> {
        self.columns.iter().map(|column| column.cell(object, now).unwrap_or_default()).collect()
    }
}

impl Column {
    fn new(definition: &ColumnDefinition) -> Result<Self, PathFault> {
        Ok(Self {
            name: definition.name.clone(),
            // kubectl asks whether it is zero, not whether it is above.
            wide: definition.priority != 0,
            kind: match definition.kind.as_str() {
                "string" => Kind::Text,
                "integer" => Kind::Integer,
                "number" => Kind::Number,
                "boolean" => Kind::Boolean,
                "date" => Kind::Date,
                _ => Kind::Unknown,
            },
            path: JsonPath::parse(&format!("{{{}}}", definition.json_path))?.at_most(MOST_RESULTS),
        })
    }

    /// `None` for what does not fit the column's type.
    fn cell(&self, object: &Value<'_>, now: Option<UnixTime>) -> Option<String> {
        let found = self.path.first(object).ok()??;
        if self.kind == Kind::Text {
            if found.as_value() == Some(&Value::Null) {
                return Some("<no value>".to_owned());
            }
            let mut text = Vec::new();
            found.write(&mut text);
            return Some(String::from_utf8_lossy(&text).into_owned());
        }
        match (self.kind, found.as_value()?) {
            (Kind::Integer, Value::Int(number)) => Some(number.to_string()),
            (Kind::Integer, Value::Float(number)) => Some(whole(*number).unwrap_or(i64::MIN).to_string()),
            (Kind::Number, Value::Int(number)) => Some(number_cell(*number as f64)),
            (Kind::Number, Value::Float(number)) => Some(number_cell(*number)),
            (Kind::Boolean, Value::Bool(yes)) => Some(yes.to_string()),
            (Kind::Date, Value::Str(text)) => Some(age(text, now)),
            _ => None,
        }
    }
}

/// Without its fraction, if it is one of 64 bits.
#[cfg_attr(not(test), expect(clippy::cast_possible_truncation, reason = "checked to be in the range"))]
fn whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (-LIMIT..LIMIT).contains(&number).then_some(number as i64)
}

/// JSON on its way to kubectl makes whole numbers of those without a fraction.
fn number_cell(number: f64) -> String {
    match whole(number).filter(|_| number.trunc() == number) {
        Some(whole) => whole.to_string(),
        None => number_text(number),
    }
}

fn age(text: &str, now: Option<UnixTime>) -> String {
    // Go's form is stricter than ours: capitals, and no leap seconds.
    let is_go = |text: &&str| !text.contains(['t', 'z', ' ']) && text.get(17..19) != Some("60");
    let time = match Some(text).filter(is_go).map(str::parse::<UnixTime>) {
        _ if text.is_empty() => return "<unknown>".to_owned(),
        Some(Ok(time)) => time,
        _ => return "<invalid>".to_owned(),
    };
    match now {
        Some(now) if time.seconds() != GO_ZERO_TIME => {
            human_duration(now.seconds().saturating_sub(time.seconds()))
        }
        _ => "<unknown>".to_owned(),
    }
}

/// 0001-01-01T00:00:00Z, which stands for no time at all.
const GO_ZERO_TIME: i64 = -62_135_596_800;

/// A header as kubectl prints it: each letter in its capital form, if that is
/// one letter, too.
pub fn capitals(name: &str) -> String {
    let capital = |letter: char| {
        let mut capital = letter.to_uppercase();
        capital.next().filter(|_| capital.next().is_none()).unwrap_or(letter)
    };
    name.chars().map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::super::recorded;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn definitions(columns: &serde_json::Value) -> Vec<ColumnDefinition> {
        let text = |column: &serde_json::Value, key: &str| column[key].as_str().expect("text").to_owned();
        let columns = columns.as_array().map(Vec::as_slice).unwrap_or_default();
        let column = |column: &serde_json::Value| ColumnDefinition {
            name: text(column, "name"),
            kind: text(column, "type"),
            priority: column["priority"].as_i64().expect("a number"),
            json_path: text(column, "jsonPath"),
        };
        columns.iter().map(column).collect()
    }

    #[test]
    fn cells_are_those_of_the_server() {
        let lines = recorded::lines("printer");
        let now: UnixTime = lines[0]["now"].as_str().expect("text").parse().expect("a time");
        let objects: Vec<Value<'_>> =
            lines[1].as_array().expect("a list").iter().cloned().map(Value::from).collect();
        assert!(lines.len() > 20);
        for case in &lines[2..] {
            let columns = PrinterColumns::from_definitions(&definitions(&case["columns"]));
            assert_eq!(columns.fault().is_some(), case["fault"].is_string(), "{case}");
            let headers: Vec<_> = columns.columns().map(|(name, _)| capitals(name)).collect();
            assert_eq!(json!(headers), case["headers"]);
            let object = &objects[case["object"].as_u64().expect("a number") as usize];
            let cells = columns.cells(object, Some(now));
            let expected: Vec<_> = case["cells"].as_array().expect("a list").iter().collect();
            assert_eq!(cells.len(), expected.len());
            for (place, (ours, theirs)) in cells.iter().zip(expected).enumerate() {
                assert_eq!(
                    ours,
                    theirs.as_str().expect("text"),
                    "{} {:?}",
                    case["columns"][place.wrapping_sub(1)],
                    headers[place]
                );
            }
        }
    }

    #[test]
    fn without_a_moment_ages_are_unknown() {
        let object =
            Value::from(json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}}));
        assert_eq!(PrinterColumns::standard().cells(&object, None), ["a", "<unknown>"]);
        for (text, shown) in
            [("2026-01-01t00:00:00Z", "<invalid>"), ("2016-12-31T23:59:60Z", "<invalid>"), ("", "<unknown>")]
        {
            assert_eq!(age(text, Some(UnixTime::MAX)), shown);
        }
    }

    #[test]
    fn priorities_make_columns_wide() {
        let column =
            |priority| ColumnDefinition { priority, kind: "string".into(), ..ColumnDefinition::default() };
        let version = CrdVersion { columns: vec![column(0), column(1), column(-1)], ..CrdVersion::default() };
        let wide: Vec<_> = PrinterColumns::new(&version).columns().map(|(_, wide)| wide).collect();
        assert_eq!(wide, [false, false, true, true]);
    }

    proptest! {
        #[test]
        fn any_column_can_be_shown(path in r"(\.[ab]|\[[0-9*]?\]|\}\{|range |\.\.){0,8}", kind in 0usize..6, value in any::<f64>()) {
            let kind = ["string", "integer", "number", "boolean", "date", "x"][kind].to_owned();
            let definition = ColumnDefinition { kind, json_path: path, ..ColumnDefinition::default() };
            let object = Value::from(json!({"a": [[1, value], {"b": value.to_string()}], "b": value}));
            let _ = PrinterColumns::from_definitions(&[definition]).cells(&object, Some(UnixTime::MAX));
        }
    }
}
