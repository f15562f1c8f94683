//! What a stored value is, without decoding the object in it.
//!
//! | begins with | is |
//! |---|---|
//! | `k8s\0` | `runtime.Unknown`, a protobuf message that wraps the object's |
//! | `{`, after blanks | the object as JSON: custom resources, CRDs, API services; all, if so set |
//! | `d9 d9 f7` | the object as CBOR, self-described: custom resources, since 1.32 |
//! | `k8s:enc:` | one of the above, encrypted |
//!
//! Source: kubernetes `staging/src/k8s.io/apimachinery/pkg/runtime/types.proto`,
//! `.../serializer/{protobuf,cbor}`, `staging/src/k8s.io/apiserver/pkg/storage/
//! value/transformer.go` and `.../server/options/encryptionconfig/config.go`.

use serde::de::IgnoredAny;

use crate::codec::protobuf::{Fields, WireFault};

const PROTOBUF_MAGIC: &[u8] = b"k8s\0";
/// What every encrypted value begins with.
pub(super) const ENCRYPTED_MAGIC: &[u8] = b"k8s:enc:";
const CBOR_MAGIC: &[u8] = b"\xd9\xd9\xf7";

/// What a value is. Borrows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Envelope<'a> {
    /// An object as protobuf.
    Protobuf(Unknown<'a>),
    /// An object as JSON, without the blanks around it. Only its first and its
    /// last byte were looked at.
    Json(&'a [u8]),
    /// An object as CBOR, without the tag that says so. Nothing was looked at.
    Cbor(&'a [u8]),
    /// An object encrypted by the API server.
    Encrypted(Encrypted<'a>),
    /// No bytes.
    Empty,
    /// None of these.
    Other,
}

/// `runtime.Unknown`: an object of a type that need not be known.
///
/// | number | type | field |
/// |--:|---|---|
/// | 1 | message | type: 1 API version, 2 kind |
/// | 2 | bytes | the object's own message |
/// | 3 | string | content encoding, empty in etcd |
/// | 4 | string | content type, empty in etcd: protobuf |
///
/// Strings are bytes here: nothing says that they are text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unknown<'a> {
    /// `apps/v1`, or `v1` for the core group.
    pub api_version: &'a [u8],
    /// `Deployment`.
    pub kind: &'a [u8],
    /// The object.
    pub raw: &'a [u8],
    /// How `raw` is compressed.
    pub content_encoding: &'a [u8],
    /// What `raw` is, if not protobuf.
    pub content_type: &'a [u8],
}

/// An encrypted value: `k8s:enc:PROVIDER:VERSION:NAME:` and ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encrypted<'a> {
    /// How it is encrypted.
    pub provider: Provider<'a>,
    /// Version of the scheme: `v1`, or `v2` for KMS.
    pub version: &'a [u8],
    /// Name of the key, or of the KMS plugin.
    pub name: &'a [u8],
    /// All behind the header.
    pub payload: &'a [u8],
}

/// The providers of an `EncryptionConfiguration`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provider<'a> {
    /// AES-CBC with PKCS#7 padding, not authenticated.
    AesCbc,
    /// AES-GCM, bound to the etcd key.
    AesGcm,
    /// XSalsa20-Poly1305.
    SecretBox,
    /// A key management service that wraps a key for each value.
    KmsV1,
    /// A key management service that wraps a seed for each server.
    KmsV2,
    /// Not one that Kubernetes has.
    Other(&'a [u8]),
}

impl std::fmt::Display for Provider<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AesCbc => f.write_str("aescbc"),
            Self::AesGcm => f.write_str("aesgcm"),
            Self::SecretBox => f.write_str("secretbox"),
            Self::KmsV1 => f.write_str("kms v1"),
            Self::KmsV2 => f.write_str("kms v2"),
            Self::Other(name) => write!(f, "{}", name.escape_ascii()),
        }
    }
}

/// A value that begins like one of Kubernetes and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeFault {
    /// The wrapping message cannot be read.
    #[error("the wrapping message: {0}")]
    Unknown(WireFault),
    /// The type in it cannot be read.
    #[error("the type in the wrapping message: {0}")]
    TypeMeta(WireFault),
    /// It does not say of which kind and API version the object is.
    #[error("the wrapping message names no kind or no API version")]
    NoType,
    /// It wraps nothing.
    #[error("the wrapping message holds no object")]
    NoRaw,
    /// The header of an encrypted value ends before a name.
    #[error("the header of an encrypted value has no {0}")]
    EncryptionHeader(HeaderPart),
    /// An encrypted value ends behind its header.
    #[error("an encrypted value without ciphertext")]
    NoCiphertext,
    /// The last byte of a JSON value is not the end of an object.
    #[error("JSON that ends in {0:#04x}, not in '}}'")]
    JsonEnd(u8),
}

/// The parts of the header of an encrypted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderPart {
    /// The provider.
    #[error("provider")]
    Provider,
    /// The version of its scheme.
    #[error("scheme version")]
    Version,
    /// The name of the key or plugin.
    #[error("key name")]
    Name,
}

impl<'a> Envelope<'a> {
    /// Recognises `value`.
    ///
    /// # Errors
    /// If it begins like a value of Kubernetes but is broken. What begins like
    /// none is [`Envelope::Other`].
    pub fn parse(value: &'a [u8]) -> Result<Self, EnvelopeFault> {
        if value.is_empty() {
            return Ok(Self::Empty);
        }
        if let Some(message) = value.strip_prefix(PROTOBUF_MAGIC) {
            return Unknown::parse(message).map(Self::Protobuf);
        }
        if let Some(rest) = value.strip_prefix(ENCRYPTED_MAGIC) {
            return Encrypted::parse(rest).map(Self::Encrypted);
        }
        if let Some(item) = value.strip_prefix(CBOR_MAGIC) {
            return Ok(Self::Cbor(item));
        }
        let text = value.trim_ascii();
        match (text.first(), text.last()) {
            (Some(b'{'), Some(b'}')) => Ok(Self::Json(text)),
            (Some(b'{'), Some(end)) => Err(EnvelopeFault::JsonEnd(*end)),
            _ => Ok(Self::Other),
        }
    }
}

impl<'a> Unknown<'a> {
    /// Reads the message behind `k8s\0`.
    fn parse(message: &'a [u8]) -> Result<Self, EnvelopeFault> {
        let mut unknown = Self::default();
        let mut raw = None;
        for field in Fields::new(message) {
            let field = field.map_err(EnvelopeFault::Unknown)?;
            let bytes = || field.bytes().map_err(EnvelopeFault::Unknown);
            match field.number {
                1 => unknown.type_meta(bytes()?).map_err(EnvelopeFault::TypeMeta)?,
                2 => raw = Some(bytes()?),
                3 => unknown.content_encoding = bytes()?,
                4 => unknown.content_type = bytes()?,
                _ => {}
            }
        }
        if unknown.kind.is_empty() || unknown.api_version.is_empty() {
            return Err(EnvelopeFault::NoType);
        }
        unknown.raw = raw.ok_or(EnvelopeFault::NoRaw)?;
        Ok(unknown)
    }

    fn type_meta(&mut self, message: &'a [u8]) -> Result<(), WireFault> {
        for field in Fields::new(message) {
            let field = field?;
            match field.number {
                1 => self.api_version = field.bytes()?,
                2 => self.kind = field.bytes()?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether `raw` is an uncompressed protobuf message, as in all that API
    /// servers write.
    pub fn is_protobuf(&self) -> bool {
        let named = matches!(self.content_type, b"" | b"application/vnd.kubernetes.protobuf");
        named && self.content_encoding.is_empty()
    }
}

impl<'a> Encrypted<'a> {
    /// The header of `value`, if it is encrypted.
    ///
    /// # Errors
    /// If it begins like an encrypted value but is broken.
    pub fn of(value: &'a [u8]) -> Option<Result<Self, EnvelopeFault>> {
        value.strip_prefix(ENCRYPTED_MAGIC).map(Self::parse)
    }

    /// Reads what follows `k8s:enc:`.
    fn parse(rest: &'a [u8]) -> Result<Self, EnvelopeFault> {
        let part = |bytes: &'a [u8], part| {
            let end = bytes.iter().position(|byte| *byte == b':').filter(|end| *end > 0);
            let (text, behind) = end.and_then(|end| bytes.split_at_checked(end)).unzip();
            let behind = behind.and_then(|behind: &[u8]| behind.get(1..));
            text.zip(behind).ok_or(EnvelopeFault::EncryptionHeader(part))
        };
        let (provider, rest) = part(rest, HeaderPart::Provider)?;
        let (version, rest) = part(rest, HeaderPart::Version)?;
        let (name, payload) = part(rest, HeaderPart::Name)?;
        if payload.is_empty() {
            return Err(EnvelopeFault::NoCiphertext);
        }
        let provider = match (provider, version) {
            (b"aescbc", _) => Provider::AesCbc,
            (b"aesgcm", _) => Provider::AesGcm,
            (b"secretbox", _) => Provider::SecretBox,
            (b"kms", b"v1") => Provider::KmsV1,
            (b"kms", b"v2") => Provider::KmsV2,
            _ => Provider::Other(provider),
        };
        Ok(Self { provider, version, name, payload })
    }
}

/// What is wrong inside a value whose envelope is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeFault {
    /// The object is no protobuf message.
    #[error("the object: {0}")]
    Object(WireFault),
    /// Its metadata is none.
    #[error("the object's metadata: {0}")]
    Metadata(WireFault),
    /// It is no JSON.
    #[error("no JSON from line {line}, column {column}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
    },
}

/// Looks whether the object has the structure of its encoding: for protobuf the
/// fields of the message and of its first field, which is the metadata of every
/// kind that is stored; for JSON all of it. Nothing can be said of other values.
/// Takes time in proportion to the value's length.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_shape(envelope: &Envelope<'_>) -> Result<(), ShapeFault> {
    match envelope {
        Envelope::Protobuf(unknown) if unknown.is_protobuf() => {
            for field in Fields::new(unknown.raw) {
                let field = field.map_err(ShapeFault::Object)?;
                if field.number == 1 {
                    let metadata = field.bytes().map_err(ShapeFault::Object)?;
                    Fields::new(metadata)
                        .try_for_each(|field| field.map(drop))
                        .map_err(ShapeFault::Metadata)?;
                }
            }
            Ok(())
        }
        Envelope::Json(text) => match serde_json::from_slice::<IgnoredAny>(text) {
            Ok(IgnoredAny) => Ok(()),
            Err(error) => Err(ShapeFault::Json { line: error.line(), column: error.column() }),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::codec::protobuf::{WireFaultKind, Writer};
    use proptest::prelude::*;

    /// A value that holds `raw` as an object of the given type.
    pub(in crate::kube) fn wrapped(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = Writer::new().bytes(1, api_version.as_bytes()).bytes(2, kind.as_bytes()).finish();
        let message = Writer::new().bytes(1, &meta).bytes(2, raw).bytes(3, b"").bytes(4, b"").finish();
        [PROTOBUF_MAGIC, &message].concat()
    }

    fn fault(value: &[u8]) -> EnvelopeFault {
        Envelope::parse(value).expect_err("a fault")
    }

    #[test]
    fn a_protobuf_object() {
        let raw = Writer::new().bytes(1, &Writer::new().bytes(1, b"web").finish()).finish();
        let value = wrapped("apps/v1", "Deployment", &raw);
        let Ok(Envelope::Protobuf(unknown)) = Envelope::parse(&value) else { panic!("protobuf") };
        assert_eq!((unknown.api_version, unknown.kind), (&b"apps/v1"[..], &b"Deployment"[..]));
        assert_eq!(unknown.raw, raw);
        assert!(unknown.is_protobuf());
    }

    #[test]
    fn a_broken_wrapping_message() {
        let value = wrapped("v1", "Pod", b"\x0a\x03\x0a\x01x");
        for cut in PROTOBUF_MAGIC.len()..value.len() {
            let found = Envelope::parse(&value[..cut]);
            // The encoding and the type at the end, both empty, can be missing.
            let whole = cut == value.len() - 4 || cut == value.len() - 2;
            assert_eq!(found.is_ok(), whole, "cut at {cut}");
        }
        assert_eq!(fault(b"k8s\0"), EnvelopeFault::NoType);
        assert_eq!(fault(&wrapped("", "Pod", b"")), EnvelopeFault::NoType);
        assert_eq!(fault(&wrapped("v1", "", b"")), EnvelopeFault::NoType);
        assert_eq!(fault(b"k8s\0\x0a\x07\x0a\x02v1\x12\x01P"), EnvelopeFault::NoRaw);
        assert!(matches!(fault(b"k8s\0\x0a\x03\x0a\x02v"), EnvelopeFault::TypeMeta(_)));
        assert!(matches!(fault(b"k8s\0\x08\x01"), EnvelopeFault::Unknown(_)));
    }

    #[test]
    fn text_and_other_values() {
        assert_eq!(Envelope::parse(b" {\"a\":1}\n"), Ok(Envelope::Json(b"{\"a\":1}")));
        assert_eq!(fault(b"{\"a\":1"), EnvelopeFault::JsonEnd(b'1'));
        assert_eq!(fault(b"{\"a\":1}\0"), EnvelopeFault::JsonEnd(0));
        assert_eq!(fault(b"{"), EnvelopeFault::JsonEnd(b'{'));
        assert_eq!(Envelope::parse(b"\xd9\xd9\xf7\xa0"), Ok(Envelope::Cbor(b"\xa0")));
        assert_eq!(Envelope::parse(b""), Ok(Envelope::Empty));
        for other in [&b"4711"[..], b" ", b"k8s", b"k8s:other", b"[]", b"\xd9\xd9"] {
            assert_eq!(Envelope::parse(other), Ok(Envelope::Other));
        }
    }

    #[test]
    fn encrypted_values() {
        let parse = |value: &'static [u8]| match Envelope::parse(value) {
            Ok(Envelope::Encrypted(encrypted)) => encrypted,
            other => unreachable!("{other:?}"),
        };
        let value = parse(b"k8s:enc:aescbc:v1:key1:\0:\x01");
        assert_eq!((value.provider, value.version, value.name), (Provider::AesCbc, &b"v1"[..], &b"key1"[..]));
        assert_eq!(value.payload, b"\0:\x01");
        assert_eq!(parse(b"k8s:enc:aesgcm:v1:k:x").provider, Provider::AesGcm);
        assert_eq!(parse(b"k8s:enc:secretbox:v1:k:x").provider.to_string(), "secretbox");
        assert_eq!(parse(b"k8s:enc:kms:v1:plugin:x").provider, Provider::KmsV1);
        assert_eq!(parse(b"k8s:enc:kms:v2:plugin:x").provider.to_string(), "kms v2");
        assert_eq!(parse(b"k8s:enc:rot\x1b:v1:k:x").provider.to_string(), "rot\\x1b");
        for (value, part) in [
            (&b"k8s:enc:"[..], HeaderPart::Provider),
            (b"k8s:enc:aescbc", HeaderPart::Provider),
            (b"k8s:enc::v1:k:x", HeaderPart::Provider),
            (b"k8s:enc:aescbc:", HeaderPart::Version),
            (b"k8s:enc:aescbc::k:x", HeaderPart::Version),
            (b"k8s:enc:aescbc:v1:", HeaderPart::Name),
            (b"k8s:enc:aescbc:v1::x", HeaderPart::Name),
            (b"k8s:enc:aescbc:v1:key", HeaderPart::Name),
        ] {
            assert_eq!(fault(value), EnvelopeFault::EncryptionHeader(part));
        }
        assert_eq!(fault(b"k8s:enc:aescbc:v1:k:"), EnvelopeFault::NoCiphertext);
    }

    #[test]
    fn damage_inside_is_noticed() {
        let shape = |value: &[u8]| check_shape(&Envelope::parse(value).expect("a sound envelope"));
        let metadata = Writer::new().bytes(1, b"web").finish();
        let mut raw = Writer::new().bytes(1, &metadata).bytes(2, b"anything").finish();
        assert_eq!(shape(&wrapped("v1", "Pod", &raw)), Ok(()));
        assert_eq!(shape(&wrapped("v1", "Pod", b"")), Ok(()));
        raw[3] = 4;
        let Err(ShapeFault::Metadata(inside)) = shape(&wrapped("v1", "Pod", &raw)) else { panic!("damage") };
        assert_eq!(inside, WireFault { offset: 0, kind: WireFaultKind::Truncated });
        raw[3] = 3;
        raw[8] = 9;
        let Err(ShapeFault::Object(inside)) = shape(&wrapped("v1", "Pod", &raw)) else { panic!("damage") };
        assert_eq!(inside, WireFault { offset: 7, kind: WireFaultKind::Truncated });
        assert!(matches!(shape(&wrapped("v1", "Pod", b"\x08\x01")), Err(ShapeFault::Object(_))));
        assert_eq!(shape(b"{\"a\":[{}]}"), Ok(()));
        assert_eq!(shape(b"{\"a\":[{]}"), Err(ShapeFault::Json { line: 1, column: 8 }));
        assert_eq!(shape(b"k8s:enc:aescbc:v1:k:x"), Ok(()));
        let deep = [b"{\"a\":".repeat(100_000), b"1".to_vec(), b"}".repeat(100_000)].concat();
        let _ = shape(&deep);
    }

    proptest! {
        #[test]
        fn any_value_can_be_read(value: Vec<u8>, text in "[{}\\[\\]\",:a1 ]{0,40}") {
            for start in [b"", PROTOBUF_MAGIC, ENCRYPTED_MAGIC, CBOR_MAGIC, b"{", b"k8s:enc:kms:v1:"] {
                if let Ok(envelope) = Envelope::parse(&[start, &value].concat()) {
                    let _ = check_shape(&envelope);
                }
            }
            if let Ok(envelope) = Envelope::parse(text.as_bytes()) {
                let _ = check_shape(&envelope);
            }
            let _ = check_shape(&Envelope::parse(&wrapped("v1", "Pod", &value)).expect("sound"));
        }
    }
}
