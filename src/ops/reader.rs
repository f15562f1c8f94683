//! Stored values as objects: opened, decoded, and chosen by what is in them.

use zeroize::Zeroize;

use crate::kube::encryption::{Keyring, open};
use crate::kube::json::{JsonFault, JsonFaultKind};
use crate::kube::manifest::redact::Redaction;
use crate::kube::object::{BY_NUMBER, Object, Options, RAW, Undecodable, by_number, raw};
use crate::kube::registry_key::Prefixes;
use crate::kube::select::fields::FieldSelector;
use crate::kube::select::labels::LabelSelector;
use crate::kube::value::{Map, Value};

use super::objects::StoredObject;

/// How stored objects are read.
#[derive(Debug, Clone, Default)]
pub struct Reader<'r> {
    /// Opens encrypted values.
    pub keys: Option<&'r Keyring>,
    /// Which parts are decoded, and how.
    pub options: Options,
    /// Only objects with these labels.
    pub labels: Option<LabelSelector>,
    /// Only objects with these fields.
    pub fields: Option<FieldSelector>,
    /// What is not shown of the objects.
    pub redaction: Option<&'r Redaction>,
    /// Where Kubernetes keeps its keys.
    pub prefixes: Prefixes,
}

/// What became of a stored object.
#[derive(Debug)]
pub enum Outcome<'v> {
    /// It is as asked for.
    Object {
        /// The object.
        object: Object<'v>,
        /// Whether values of it were replaced.
        redacted: bool,
    },
    /// It has other labels or fields than asked for.
    NotSelected,
    /// It cannot be read.
    Unreadable {
        /// Why.
        why: Unreadable,
        /// The value in plain text, if it is not encrypted or was opened.
        plain: Option<&'v [u8]>,
    },
}

/// Why a stored value is not shown as an object.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unreadable {
    /// It is encrypted.
    #[error("{0}")]
    Locked(String),
    /// It cannot be decoded.
    #[error("{0}")]
    Undecodable(Undecodable),
}

impl Unreadable {
    /// Under which many of them are counted: without what differs from object to
    /// object.
    pub fn reason(&self) -> String {
        match self {
            Self::Locked(why) => why.clone(),
            Self::Undecodable(Undecodable::UnknownKind { api_version, kind }) => {
                format!("of kind {kind} in {api_version}, which this version does not know")
            }
            Self::Undecodable(Undecodable::Empty) => "empty".to_owned(),
            Self::Undecodable(Undecodable::Unrecognised) => "not in a form that API servers store".to_owned(),
            Self::Undecodable(Undecodable::Json(JsonFault {
                kind: kind @ JsonFaultKind::TooDeep, ..
            })) => kind.to_string(),
            Self::Undecodable(_) => "damaged or in a form of its own".to_owned(),
        }
    }
}

/// Keeps memory from one object to the next. What it held is wiped.
#[derive(Debug, Default)]
pub struct Buffer(Vec<u8>);

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Reader<'_> {
    /// Reads `stored` and tells `then` what became of it.
    pub fn read<T>(
        &self,
        stored: &StoredObject<'_>,
        buffer: &mut Buffer,
        then: impl FnOnce(Outcome<'_>) -> T,
    ) -> T {
        // A copy: the file may change while it is read, and text must not.
        buffer.0.clear();
        buffer.0.extend_from_slice(stored.record.kv.value);
        let bytes = buffer.0.as_slice();
        let opened = match open(self.keys, &self.prefixes, stored.record.kv.key, bytes) {
            Ok(opened) => opened,
            Err(locked) => {
                let why = Unreadable::Locked(locked.to_string());
                return then(Outcome::Unreadable { why, plain: None });
            }
        };
        match Object::decode(&opened, &self.options) {
            Err(why) => then(Outcome::Unreadable { why: Unreadable::Undecodable(why), plain: Some(&opened) }),
            Ok(mut object) => {
                // First: a selector must not tell what is hidden.
                let redacted = self.redaction.is_some_and(|redaction| redaction.apply(&mut object.value));
                if !self.selects(&object.value) {
                    return then(Outcome::NotSelected);
                }
                object.set_resource_version(stored.record.revision.main);
                then(Outcome::Object { object, redacted })
            }
        }
    }

    /// Whether objects are chosen by what is in them.
    pub fn is_choosy(&self) -> bool {
        self.labels.is_some() || self.fields.is_some()
    }

    /// Whether `object` has the labels and fields that are asked for.
    pub fn selects(&self, object: &Value<'_>) -> bool {
        self.labels.as_ref().is_none_or(|labels| labels.matches(object))
            && self.fields.as_ref().is_none_or(|fields| fields.matches(object))
    }
}

/// The key under which [`stand_in`] says why. No field of Kubernetes has a name
/// like it.
pub const REASON: &str = "etcdsnap.reason";

/// What is known of an object that cannot be read, in the form of an object: its
/// name, and its bytes as they are stored. Of a kind that no table has, also its
/// fields by their numbers, from `plain`, the value in plain text.
pub fn stand_in<'v>(
    stored: &StoredObject<'v>,
    kind: &str,
    why: &Unreadable,
    plain: Option<&[u8]>,
) -> Value<'v> {
    let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes).into_owned());
    let mut metadata = Map::default();
    metadata.insert("name", text(stored.name));
    if let Some(namespace) = stored.namespace {
        metadata.insert("namespace", text(namespace));
    }
    metadata.insert("resourceVersion", Value::from(stored.record.revision.main.to_string()));
    let mut object = match raw(stored.record.kv.value) {
        Value::Map(map) => map,
        _ => Map::default(),
    };
    if object.get("kind").is_none() && !kind.is_empty() {
        object.insert("kind", Value::from(kind.to_owned()));
    }
    object.insert("metadata", metadata.into());
    object.insert(REASON, Value::from(why.to_string()));
    if let Some(fields) = plain.and_then(by_number) {
        object.insert(BY_NUMBER, fields);
    }
    object.into()
}

/// Takes out of a [`stand_in`] all that tells what its object holds.
pub fn hide(stand_in: &mut Value<'_>, stored: &StoredObject<'_>) {
    let Some(map) = stand_in.as_map_mut() else { return };
    let size = stored.record.kv.value.len();
    map.insert(RAW, Value::from(format!("<redacted {size} bytes>")));
    map.remove(BY_NUMBER);
}
