//! A stored value as the object that an API server would answer with.

mod answer;
mod by_number;
mod crd;

use super::cbor::{self, CborFault};
use super::envelope::{Envelope, EnvelopeFault, Unknown};
use super::field_set::FieldSet;
use super::field_table::FieldTable;
use super::json::{self, JsonFault};
use super::notes::Notes;
use super::protobuf::{self, Fault};
use super::text;
use super::value::{Map, Value};

use answer::Rule;

pub use super::protobuf::Options;
pub use by_number::{BY_NUMBER, by_number};

/// An object in the version it is stored in.
#[derive(Debug, Clone, PartialEq)]
pub struct Object<'a> {
    /// The object, a map with `apiVersion` and `kind` in it. It has no
    /// `metadata.resourceVersion`, which is the revision of its key.
    pub value: Value<'a>,
    /// How it was stored.
    pub encoding: Encoding,
    /// What the tree does not show.
    pub notes: Notes,
}

/// How an object is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// Protobuf: the built-in kinds.
    Protobuf,
    /// JSON: custom resources and what extends the API.
    Json,
    /// CBOR: custom resources, if a server is told so.
    Cbor,
}

/// Why a stored value cannot be shown as an object.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Undecodable {
    /// It has no bytes.
    #[error("empty value")]
    Empty,
    /// It begins like nothing that an API server stores.
    #[error("not a Kubernetes object")]
    Unrecognised,
    /// It is encrypted.
    #[error("encrypted by {provider}, key {key}")]
    Encrypted {
        /// `aescbc`, `kms v2`.
        provider: String,
        /// Name of the key, or of the KMS plugin.
        key: String,
    },
    /// The wrapping around the object is broken.
    #[error("{0}")]
    Envelope(EnvelopeFault),
    /// The object is protobuf of a kind that no table has.
    #[error("unknown kind {kind} of {api_version}")]
    UnknownKind {
        /// `example.com/v1`.
        api_version: String,
        /// `Widget`.
        kind: String,
    },
    /// The wrapping says that the object is compressed, or not protobuf.
    #[error("content type {content_type:?}, content encoding {content_encoding:?}")]
    ContentType {
        /// What it is.
        content_type: String,
        /// How it is compressed.
        content_encoding: String,
    },
    /// The object is not what its kind says.
    #[error("{0}")]
    Protobuf(Fault),
    /// It is no JSON.
    #[error("{0}")]
    Json(JsonFault),
    /// It is no CBOR.
    #[error("{0}")]
    Cbor(CborFault),
    /// It is JSON or CBOR, but no map.
    #[error("not an object, but a list or a plain value")]
    NotAnObject,
}

impl<'a> Object<'a> {
    /// Decodes a stored value that is not encrypted, and adds what servers add
    /// when they read one.
    ///
    /// # Errors
    /// Why it is no object, or none that can be read.
    pub fn decode(stored: &'a [u8], options: &Options) -> Result<Self, Undecodable> {
        let mut notes = Notes::default();
        let fields = &options.fields;
        let (mut value, encoding) = match Envelope::parse(stored).map_err(Undecodable::Envelope)? {
            Envelope::Protobuf(unknown) => {
                let rule = Rule::of(unknown.api_version, unknown.kind);
                let more = rule.and_then(Rule::looks_at).filter(|_| !fields.is_all());
                let more = more.map(|path| Options { fields: fields.clone().with(path), ..*options });
                let mut value = in_protobuf(&unknown, more.as_ref().unwrap_or(options), &mut notes)?;
                if let Some(rule) = rule {
                    rule.apply(&mut value);
                    prune(&mut value, fields);
                }
                return Ok(Self { value, encoding: Encoding::Protobuf, notes });
            }
            Envelope::Json(text) => {
                (json::parse_noting(text, &mut notes).map_err(Undecodable::Json)?, Encoding::Json)
            }
            Envelope::Cbor(item) => {
                (cbor::parse(item, &mut notes).map_err(Undecodable::Cbor)?, Encoding::Cbor)
            }
            Envelope::Encrypted(encrypted) => {
                return Err(Undecodable::Encrypted {
                    provider: encrypted.provider.to_string(),
                    key: shown(encrypted.name),
                });
            }
            Envelope::Empty => return Err(Undecodable::Empty),
            Envelope::Other => return Err(Undecodable::Unrecognised),
        };
        if value.as_map().is_none() {
            return Err(Undecodable::NotAnObject);
        }
        let (api_version, kind) = (value.text(&[API_VERSION]), value.text(&[KIND]));
        if let Some(rule) = Rule::of(api_version.as_bytes(), kind.as_bytes()) {
            rule.apply(&mut value);
        }
        prune(&mut value, fields);
        Ok(Self { value, encoding, notes })
    }

    /// `apps/v1`; empty if the object does not say.
    pub fn api_version(&self) -> &str {
        self.value.text(&[API_VERSION])
    }

    /// `Deployment`; empty if the object does not say.
    pub fn kind(&self) -> &str {
        self.value.text(&[KIND])
    }

    /// The object's name.
    pub fn name(&self) -> &str {
        self.value.text(&[METADATA, "name"])
    }

    /// The object's namespace; empty if it is in none.
    pub fn namespace(&self) -> &str {
        self.value.text(&[METADATA, "namespace"])
    }

    /// Puts the revision that last changed the object's key where servers show it.
    pub fn set_resource_version(&mut self, revision: i64) {
        let Some(object) = self.value.as_map_mut() else { return };
        if !matches!(object.get(METADATA), Some(Value::Map(_))) {
            object.insert(METADATA, Map::default().into());
        }
        if let Some(metadata) = object.get_mut(METADATA).and_then(Value::as_map_mut) {
            metadata.insert("resourceVersion", revision.to_string().into());
        }
    }
}

/// What can be shown of a value that is not decoded: a map with [`RAW`], the whole
/// value in base64, and with `apiVersion` and `kind` if its wrapping has them.
pub fn raw(stored: &[u8]) -> Value<'_> {
    let mut map = Map::default();
    map.insert(RAW, text::base64(stored).into());
    if let Ok(Envelope::Protobuf(unknown)) = Envelope::parse(stored) {
        map.insert(API_VERSION, shown(unknown.api_version).into());
        map.insert(KIND, shown(unknown.kind).into());
    }
    map.into()
}

/// The key under which [`raw`] has the value. No field of Kubernetes has a name
/// like it.
pub const RAW: &str = "etcdsnap.raw";

const API_VERSION: &str = "apiVersion";
const KIND: &str = "kind";
const METADATA: &str = "metadata";

fn in_protobuf<'a>(
    unknown: &Unknown<'a>,
    options: &Options,
    notes: &mut Notes,
) -> Result<Value<'a>, Undecodable> {
    if !unknown.is_protobuf() {
        return Err(Undecodable::ContentType {
            content_type: shown(unknown.content_type),
            content_encoding: shown(unknown.content_encoding),
        });
    }
    let tables = [FieldTable::kubernetes, FieldTable::openshift];
    let Some(kind) = tables.iter().find_map(|table| table().find(unknown.api_version, unknown.kind)) else {
        return Err(Undecodable::UnknownKind {
            api_version: shown(unknown.api_version),
            kind: shown(unknown.kind),
        });
    };
    let mut value = protobuf::decode(kind, unknown.raw, options, notes).map_err(Undecodable::Protobuf)?;
    if let Some(map) = value.as_map_mut() {
        map.insert(API_VERSION, Value::Str(text::lossy(unknown.api_version, notes)));
        map.insert(KIND, Value::Str(text::lossy(unknown.kind, notes)));
    }
    Ok(value)
}

/// Leaves of an object what is wanted, and its type.
fn prune(value: &mut Value<'_>, fields: &FieldSet) {
    if let Some(map) = value.as_map_mut().filter(|_| !fields.is_all()) {
        map.retain(|name, inner| matches!(name, API_VERSION | KIND) || fields.keeps(name, inner));
    }
}

/// Names that ought to be text.
fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
