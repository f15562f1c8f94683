//! Protobuf whose schema nobody here knows, by the numbers of its fields.
//!
//! | on the wire | shown as |
//! |---|---|
//! | varint | a whole number without sign; text if it needs 64 bits |
//! | fixed 32 or 64 bits | text: `0x` and all hexadecimal digits |
//! | bytes that are text without control characters | text |
//! | other bytes that are a message in full | its fields |
//! | other bytes that are UTF-8 | text |
//! | any other bytes | a map of [`BYTES`] alone, which has them in base64 |
//!
//! A field that is there several times is a list. The form of bytes is a guess,
//! as it is for `protoc --decode_raw`: what is text could be a message, and the
//! other way round. A packed list is shown as what its bytes look like.

use std::collections::BTreeMap;

use super::super::envelope::Envelope;
use super::super::text;
use super::super::value::{Map, Value};
use crate::codec::protobuf::{Fields, Value as Wire};

/// The key under which an object of unknown kind has its fields. No field of
/// Kubernetes has a name like it.
pub const BY_NUMBER: &str = "etcdsnap.fields";

/// The key that stands alone in the map for bytes that are neither text nor a
/// message.
const BYTES: &str = "base64";

/// Messages inside each other; what is deeper is shown as bytes.
const MAX_DEPTH: usize = 32;

/// Fields of one object. A message of more is not shown by number.
const MAX_FIELDS: usize = 1 << 16;

/// The fields of the message in `plain`, a stored value that is not encrypted;
/// `None` if it is no protobuf, or has too many.
pub fn by_number(plain: &[u8]) -> Option<Value<'static>> {
    let Ok(Envelope::Protobuf(unknown)) = Envelope::parse(plain) else { return None };
    let mut left = MAX_FIELDS;
    let map = unknown.is_protobuf().then(|| message(unknown.raw, 0, &mut left)).flatten()?;
    (left > 0).then_some(map)
}

/// `None` if the bytes are no message.
fn message(bytes: &[u8], depth: usize, left: &mut usize) -> Option<Value<'static>> {
    // Whether it is one is found out before anything is made of it: else bytes
    // that look like it at each level would be taken apart again and again.
    Fields::new(bytes).try_for_each(|field| field.map(drop)).ok()?;
    let mut fields: BTreeMap<u32, Vec<Value<'static>>> = BTreeMap::new();
    for field in Fields::new(bytes) {
        let field = field.ok()?;
        *left = left.saturating_sub(1);
        if *left == 0 {
            break;
        }
        let value = match field.value {
            Wire::Varint(number) => {
                i64::try_from(number).map_or_else(|_| Value::from(number.to_string()), Value::Int)
            }
            Wire::Fixed32(bits) => Value::from(format!("{bits:#010x}")),
            Wire::Fixed64(bits) => Value::from(format!("{bits:#018x}")),
            Wire::Bytes(inner) => of_bytes(inner, depth, left),
        };
        fields.entry(field.number).or_default().push(value);
    }
    let mut map = Map::default();
    for (number, mut values) in fields {
        let value = match values.len() {
            1 => values.pop().unwrap_or_default(),
            _ => Value::List(values),
        };
        map.insert(number.to_string(), value);
    }
    Some(map.into())
}

fn of_bytes(bytes: &[u8], depth: usize, left: &mut usize) -> Value<'static> {
    let as_text = std::str::from_utf8(bytes).ok();
    if let Some(text) = as_text
        && !text.chars().any(char::is_control)
    {
        return Value::from(text.to_owned());
    }
    let deeper = depth.saturating_add(1);
    let inner = if deeper < MAX_DEPTH { message(bytes, deeper, left) } else { None };
    match (inner, as_text) {
        (Some(message), _) => message,
        (None, Some(text)) => Value::from(text.to_owned()),
        (None, None) => {
            let mut map = Map::default();
            map.insert(BYTES, text::base64(bytes).into());
            map.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn stored(message: &[u8]) -> Vec<u8> {
        let length = u8::try_from(message.len()).expect("a short message");
        [b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Box\x12".as_slice(), &[length], message].concat()
    }

    /// What `protoc --decode_raw` (35.1) prints of the same bytes:
    /// `1 { 1: "web" 2: "a\nb" } 2: 300 2: 1 3: 18446744073709551615
    /// 4: 0x3fc00000 5: 0x3ff8000000000000 6: "\377\000" 7: ""`.
    #[test]
    fn fields_have_their_numbers_and_what_they_look_like() {
        let message = [
            &b"\x0a\x0a\x0a\x03web\x12\x03a\nb"[..],
            b"\x10\xac\x02\x10\x01",
            b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x25\x00\x00\xc0\x3f",
            b"\x29\x00\x00\x00\x00\x00\x00\xf8\x3f",
            b"\x32\x02\xff\x00",
            b"\x3a\x00",
        ]
        .concat();
        let expected = json!({
            "1": {"1": "web", "2": "a\nb"},
            "2": [300, 1],
            "3": "18446744073709551615",
            "4": "0x3fc00000",
            "5": "0x3ff8000000000000",
            "6": {"base64": "/wA="},
            "7": "",
        });
        assert_eq!(by_number(&stored(&message)), Some(Value::from(expected)));
    }

    #[test]
    fn what_is_no_protobuf_has_no_numbers() {
        for plain in [&b"{}"[..], b"", b"nonsense", &stored(b"\x0b")] {
            assert_eq!(by_number(plain), None, "{}", plain.escape_ascii());
        }
    }

    #[test]
    fn depth_and_number_of_fields_are_bounded() {
        let mut nested = vec![0x08, 0x01];
        for _ in 0..40 {
            let length = u8::try_from(nested.len()).expect("short");
            nested = [&[0x0a, length][..], &nested].concat();
        }
        let mut value = by_number(&stored(&nested)).expect("a message");
        let mut levels = 0;
        while let Some(inner) = value.get("1").cloned() {
            value = inner;
            levels += 1;
        }
        assert!(levels <= MAX_DEPTH, "{levels}");
        let mut left = 3;
        assert!(message(&b"\x08\x01".repeat(5), 0, &mut left).is_some());
        assert_eq!(left, 0);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_asked(bytes: Vec<u8>) {
            let _ = by_number(&[b"k8s\0", bytes.as_slice()].concat());
            let mut left = MAX_FIELDS;
            let _ = message(&bytes, 0, &mut left);
        }
    }
}
