//! A row while it is made, and the forms of cells that many kinds share.

use std::borrow::Cow;

use super::{Column, Context};
use crate::kube::human_duration::human_duration;
use crate::kube::unix_time::UnixTime;
use crate::kube::value::Value;

/// What Go's zero `time.Time` is: 0001-01-01T00:00:00Z.
const ZERO_TIME: i64 = -62_135_596_800;

pub(super) const NONE: &str = "<none>";
pub(super) const UNSET: &str = "<unset>";
pub(super) const UNKNOWN: &str = "<unknown>";

/// A row of cells, given column by column.
pub(super) struct Row<'v> {
    pub(super) context: &'v Context,
    columns: std::slice::Iter<'static, Column>,
    cells: Vec<Cow<'v, str>>,
}

impl<'v> Row<'v> {
    pub(super) fn new(columns: &'static [Column], context: &'v Context) -> Self {
        Self { context, columns: columns.iter(), cells: Vec::with_capacity(columns.len()) }
    }

    pub(super) fn finish(self) -> Vec<Cow<'v, str>> {
        self.cells
    }

    /// The cell of the next column, made only if that is shown.
    pub(super) fn cell<C: Into<Cow<'v, str>>>(&mut self, cell: impl FnOnce() -> C) {
        if self.columns.next().is_some_and(|column| self.context.shows(column)) {
            self.cells.push(cell().into());
        }
    }

    pub(super) fn text(&mut self, text: &'v str) {
        self.cell(|| text);
    }

    /// `text`, or `otherwise` if it is empty.
    pub(super) fn text_or(&mut self, text: &'v str, otherwise: &'static str) {
        self.cell(|| if text.is_empty() { otherwise } else { text });
    }

    pub(super) fn number(&mut self, number: i64) {
        self.cell(|| decimal(number));
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.cell(|| if flag { "true" } else { "false" });
    }

    pub(super) fn name(&mut self, object: &'v Value<'v>) {
        self.text(object.text(&["metadata", "name"]));
    }

    /// How long ago the object was made.
    pub(super) fn age(&mut self, object: &'v Value<'v>) {
        self.since(object.at(&["metadata", "creationTimestamp"]));
    }

    /// When the object was made, as it stands there.
    pub(super) fn created(&mut self, object: &'v Value<'v>) {
        // Go prints its zero time.
        self.text_or(object.text(&["metadata", "creationTimestamp"]), "0001-01-01T00:00:00Z");
    }

    /// How long ago `time` was.
    pub(super) fn since(&mut self, time: Option<&'v Value<'v>>) {
        let context = self.context;
        self.cell(|| context.since(instant(time)));
    }
}

impl Context {
    /// How long ago a time was: `20d`.
    pub(super) fn since(&self, time: Option<UnixTime>) -> Cow<'static, str> {
        match (self.now, time) {
            (Some(now), Some(time)) => Cow::Owned(elapsed(time, now)),
            _ => Cow::Borrowed(UNKNOWN),
        }
    }
}

/// The time between two points in time.
pub(super) fn elapsed(from: UnixTime, to: UnixTime) -> String {
    human_duration(to.seconds().saturating_sub(from.seconds()))
}

/// A point in time. None if there is no text, if it is no time, and if it is
/// Go's zero time, which stands for none.
pub(super) fn instant(value: Option<&Value<'_>>) -> Option<UnixTime> {
    let time: UnixTime = value?.as_str()?.parse().ok()?;
    (time.seconds() != ZERO_TIME).then_some(time)
}

/// A number, without an allocation if it is one of the usual.
pub(super) fn decimal(number: i64) -> Cow<'static, str> {
    const SMALL: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let small = usize::try_from(number).ok().and_then(|number| SMALL.get(number));
    small.map_or_else(|| Cow::Owned(number.to_string()), |text| Cow::Borrowed(*text))
}

/// The whole number at the end of `path`, zero if there is none.
pub(super) fn count(object: &Value<'_>, path: &[&str]) -> i64 {
    object.int(path).unwrap_or_default()
}

/// The value at the end of `path`, unless it is `null`: what Go has as a pointer
/// that is set.
pub(super) fn set<'v>(object: &'v Value<'v>, path: &[&str]) -> Option<&'v Value<'v>> {
    object.at(path).filter(|value| **value != Value::Null)
}

/// The text at the end of `path`, if one is set, be it empty.
pub(super) fn set_text<'v>(object: &'v Value<'v>, path: &[&str]) -> Option<&'v str> {
    object.at(path).and_then(Value::as_str)
}

/// The flag at the end of `path`, if one is set.
pub(super) fn set_flag(object: &Value<'_>, path: &[&str]) -> Option<bool> {
    match object.at(path) {
        Some(Value::Bool(flag)) => Some(*flag),
        _ => None,
    }
}

/// A number of elements as a number.
pub(super) fn length(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

/// A value that is a text or a number: quantities, and numbers or percentages.
pub(super) fn scalar<'v>(value: &'v Value<'v>) -> Cow<'v, str> {
    match value {
        Value::Str(text) => Cow::Borrowed(text),
        Value::Int(number) => decimal(*number),
        Value::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
        Value::Float(number) => Cow::Owned(number.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => Cow::Borrowed(""),
    }
}

/// The texts of a list with `separator` between them.
pub(super) fn joined<'v>(items: &'v [Value<'v>], separator: &str) -> Cow<'v, str> {
    match items {
        [] => Cow::Borrowed(""),
        [one] => Cow::Borrowed(one.as_str().unwrap_or_default()),
        _ => {
            let texts: Vec<_> = items.iter().map(|item| item.as_str().unwrap_or_default()).collect();
            Cow::Owned(texts.join(separator))
        }
    }
}

/// The first `max` texts and the number of the others; `<unset>` for nothing.
pub(super) fn first_few<'v>(texts: impl Iterator<Item = Cow<'v, str>>, max: usize) -> String {
    let mut shown = Vec::new();
    let mut more: usize = 0;
    for text in texts {
        if shown.len() < max {
            shown.push(text);
        } else {
            more = more.saturating_add(1);
        }
    }
    let shown = shown.join(",");
    match (more, shown.is_empty()) {
        (0, true) => UNSET.to_owned(),
        (0, false) => shown,
        (more, _) => format!("{shown} + {more} more..."),
    }
}

/// The first condition of a type.
pub(super) fn condition<'v>(conditions: &'v [Value<'v>], of: &str) -> Option<&'v Value<'v>> {
    conditions.iter().find(|condition| condition.text(&["type"]) == of)
}

/// Whether the first condition of a type holds.
pub(super) fn holds(conditions: &[Value<'_>], of: &str) -> bool {
    conditions
        .iter()
        .find(|condition| condition.text(&["type"]) == of)
        .is_some_and(|condition| condition.text(&["status"]) == "True")
}
