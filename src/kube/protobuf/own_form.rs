//! The types whose JSON is not that of their fields.
//!
//! | type | message | JSON |
//! |---|---|---|
//! | `metav1.Time` | {1: seconds, 2: nanoseconds} | RFC 3339, whole seconds; `null` if empty or Go's zero time |
//! | `metav1.MicroTime` | the same | the same with six decimals, cut and not rounded |
//! | `resource.Quantity` | {1: text} | the text; `0` if empty |
//! | `intstr.IntOrString` | {1: type, 2: number, 3: text} | by its type: 0 number, 1 text |
//! | `runtime.RawExtension` | {1: raw} | the object in `raw`: JSON, or CBOR if it says so; `null` if empty |
//! | `metav1.FieldsV1` | {1: raw} | the same, CBOR without saying so |
//! | `apiextensions.JSON` | {1: raw} | the JSON in `raw` |
//! | `JSONSchemaPropsOrBool` | {1: boolean, 2: schema} | the schema if there, else the boolean |
//! | `JSONSchemaPropsOrArray` | {1: schema, 2: schemas} | the list if not empty, else the schema, else `null` |
//! | `JSONSchemaPropsOrStringArray` | {1: schema, 2: texts} | the same |
//! | `metav1.Verbs`, `ExtraValue` | {1: texts} | the list |
//! | OpenShift's `DeploymentTriggerPolicies` | {1: messages} | the list |
//! | OpenShift's `OptionalNodeSelector` | {1: map of texts} | the map |
//! | `metav1.Fields`, 1.14 and 1.15 | {1: map of `Fields`} | the map; `null` if empty |
//!
//! Source: kubernetes `staging/src/k8s.io/apimachinery/pkg/{apis/meta/v1,
//! api/resource,util/intstr,runtime}`, `.../apiextensions-apiserver/pkg/apis/
//! apiextensions/v1/marshal.go`, 1.35.

use std::borrow::Cow;

use super::FaultKind;
use super::decoder::{Decoder, Found, Occurrences, Stop, stop};
use crate::codec::protobuf::Fields;
use crate::kube::field_set::Wanted;
use crate::kube::field_table::{Field, Form};
use crate::kube::unix_time::UnixTime;
use crate::kube::value::{MAX_DEPTH, Value};
use crate::kube::{cbor, json, text};

/// `0001-01-01T00:00:00Z`, Go's time that was never set.
const GO_ZERO: i64 = -62_135_596_800;

/// What a CBOR item begins with that says that it is one.
const CBOR_MAGIC: &[u8] = b"\xd9\xd9\xf7";

impl<'a> Decoder<'a, '_> {
    /// The value of a field whose form is none of the plain ones.
    pub(super) fn own_form(
        &mut self,
        field: &Field,
        form: Form,
        found: Occurrences,
    ) -> Result<Value<'a>, Stop> {
        let base = self.found.len();
        let value = match form {
            Form::Time => self.time(&found, false),
            Form::MicroTime => self.time(&found, true),
            Form::Quantity => self.quantity(found),
            Form::IntOrString => self.int_or_string(found),
            Form::RawExtension | Form::FieldsV1 | Form::Json => self.raw(form, found),
            Form::SchemaOrBool => self.schema_or_bool(field, found),
            Form::SchemaOrArray => self.schema_or_list(field, Form::Message, found),
            Form::SchemaOrStrings => self.schema_or_list(field, Form::Str, found),
            Form::StrList => self.wrapped_list(field, Form::Str, found),
            Form::MessageList => self.wrapped_list(field, Form::Message, found),
            Form::StrMap => self.wrapped_map(field, Form::Str, found),
            Form::Fields => self.wrapped_map(field, form, found).map(null_if_empty),
            // These do not get here.
            Form::Str | Form::Bool | Form::Int | Form::Float | Form::Bytes | Form::Message => Ok(Value::Null),
        };
        self.found.truncate(base);
        value
    }

    /// Appends the fields with `number` of a message of `known` fields to
    /// `found`, and counts those of other numbers when asked for the first.
    fn parts(&mut self, found: Occurrences, number: u32, known: u32) -> Result<Occurrences, Stop> {
        let start = self.found.len();
        for occurrence in found {
            for field in Fields::new(self.bytes(occurrence)?) {
                let field = field.map_err(stop)?;
                if field.number == number {
                    self.found.push(Found { position: 0, field });
                } else if field.number > known && number == 1 {
                    self.unknown(field.number);
                }
            }
        }
        Ok(start..self.found.len())
    }

    fn time(&mut self, found: &Occurrences, micro: bool) -> Result<Value<'a>, Stop> {
        // Go reads each occurrence anew.
        let message = self.last_bytes(found)?;
        if message.is_empty() {
            return Ok(Value::Null);
        }
        let (mut seconds, mut nanos) = (0, 0);
        for field in Fields::new(message) {
            let field = field.map_err(stop)?;
            match field.number {
                1 => seconds = field.int64().map_err(stop)?,
                2 => nanos = field.int64().map_err(stop)?,
                number => self.unknown(number),
            }
        }
        let micros = if micro { nanos / 1_000 } else { 0 };
        let seconds = seconds.saturating_add(micros.div_euclid(1_000_000));
        let micros = micros.rem_euclid(1_000_000);
        if seconds == GO_ZERO && micros == 0 {
            return Ok(Value::Null);
        }
        let mut text = UnixTime::from_seconds(seconds).ok_or(FaultKind::Time(seconds))?.to_string();
        if micro {
            // Before the `Z`.
            text.truncate(text.len().saturating_sub(1));
            text.push_str(&format!(".{micros:06}Z"));
        }
        Ok(text.into())
    }

    fn quantity(&mut self, found: Occurrences) -> Result<Value<'a>, Stop> {
        let texts = self.parts(found, 1, 1)?;
        Ok(Value::Str(match self.last_bytes(&texts)? {
            b"" => Cow::Borrowed("0"),
            text => self.text(text),
        }))
    }

    fn int_or_string(&mut self, found: Occurrences) -> Result<Value<'a>, Stop> {
        let types = self.parts(found.clone(), 1, 3)?;
        match self.last_varint(&types)? {
            0 => {
                let numbers = self.parts(found, 2, 3)?;
                Ok(Value::Int(self.last_varint(&numbers)?.cast_signed()))
            }
            1 => {
                let texts = self.parts(found, 3, 3)?;
                let bytes = self.last_bytes(&texts)?;
                Ok(Value::Str(self.text(bytes)))
            }
            other => Err(FaultKind::IntOrString(other).into()),
        }
    }

    /// An object inside the object, in an encoding of its own. What cannot be
    /// read is shown in base64.
    fn raw(&mut self, form: Form, found: Occurrences) -> Result<Value<'a>, Stop> {
        let raws = self.parts(found, 1, 1)?;
        let raw = self.last_bytes(&raws)?;
        let inner = match (form, raw) {
            (_, []) => return Ok(Value::Null),
            (Form::RawExtension, _) if raw.starts_with(CBOR_MAGIC) => cbor::parse(raw, self.notes).ok(),
            // The first bytes of a map, a tag and `null`, none of which begins JSON.
            (Form::FieldsV1, [0xa0..=0xbf | 0xc6..=0xdb | 0xf6, ..]) => cbor::parse(raw, self.notes).ok(),
            _ => json::parse(raw).ok(),
        };
        let Some(inner) = inner else {
            self.notes.opaque_parts = self.notes.opaque_parts.saturating_add(1);
            return Ok(text::base64(raw).into());
        };
        if levels(&inner) > MAX_DEPTH.saturating_sub(self.depth) {
            return Err(FaultKind::TooDeep.into());
        }
        Ok(inner)
    }

    fn schema_or_bool(&mut self, field: &Field, found: Occurrences) -> Result<Value<'a>, Stop> {
        let allows = self.parts(found.clone(), 1, 2)?;
        let allows = self.last_varint(&allows)? != 0;
        let schemas = self.parts(found, 2, 2)?;
        match field.message_type() {
            Some(of) if !schemas.is_empty() => self.message(of, schemas, Wanted::All),
            _ => Ok(Value::Bool(allows)),
        }
    }

    fn schema_or_list(&mut self, field: &Field, items: Form, found: Occurrences) -> Result<Value<'a>, Stop> {
        let schemas = self.parts(found.clone(), 1, 2)?;
        let listed = self.parts(found, 2, 2)?;
        if !listed.is_empty() {
            return self.list(field, items, listed, Wanted::All);
        }
        match field.message_type() {
            Some(of) if !schemas.is_empty() => self.message(of, schemas, Wanted::All),
            _ => Ok(Value::Null),
        }
    }

    /// The list that is the only field of a message.
    fn wrapped_list(&mut self, field: &Field, items: Form, found: Occurrences) -> Result<Value<'a>, Stop> {
        let listed = self.parts(found, 1, 1)?;
        self.list(field, items, listed, Wanted::All)
    }

    /// The map that is the only field of a message.
    fn wrapped_map(&mut self, field: &Field, values: Form, found: Occurrences) -> Result<Value<'a>, Stop> {
        let entries = self.parts(found, 1, 1)?;
        self.map(field, values, entries, Wanted::All)
    }
}

fn null_if_empty(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Map(map) if map.is_empty() => Value::Null,
        other => other,
    }
}

/// Levels of lists and maps in a value; 0 for a plain one.
fn levels(value: &Value<'_>) -> usize {
    let inside = match value {
        Value::List(items) => items.iter().map(levels).max(),
        Value::Map(map) => map.entries().iter().map(|(_, value)| levels(value)).max(),
        _ => return 0,
    };
    inside.unwrap_or_default().saturating_add(1)
}
