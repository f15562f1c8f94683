//! What can be told of values that a key management service guards. Their keys
//! are wrapped by keys that never leave the service, so they cannot be opened
//! offline.
//!
//! Version 1: a length of two bytes, big-endian, the wrapped key, then a payload
//! of aesgcm (before 1.25: aescbc). Nothing names the key it is wrapped with.
//!
//! Version 2, a message:
//!
//! | number | type | field |
//! |--:|---|---|
//! | 1 | bytes | ciphertext |
//! | 2 | string | id of the service's key |
//! | 3 | bytes | wrapped key, or seed for keys |
//! | 4 | map | annotations of the plugin |
//! | 5 | enum | what 3 is: 0 a key, 1 a seed |
//!
//! Source: kubernetes `staging/src/k8s.io/apiserver/pkg/storage/value/encrypt/
//! envelope/{envelope.go,kmsv2/v2/api.proto}`, 1.35.

use crate::codec::protobuf::Fields;
use crate::kube::envelope::{Encrypted, Provider};

/// The id of the key that a value's own key is wrapped with; `None` if that is
/// not told, as by version 1, or cannot be read.
pub fn key_id<'a>(encrypted: &Encrypted<'a>) -> Option<&'a [u8]> {
    if encrypted.provider != Provider::KmsV2 {
        return None;
    }
    let mut id = None;
    for field in Fields::new(encrypted.payload) {
        let field = field.ok()?;
        if field.number == 2 {
            id = Some(field.bytes().ok()?);
        }
    }
    id.filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::protobuf::Writer;
    use proptest::prelude::*;

    fn value(provider: Provider<'static>, payload: &[u8]) -> Option<Vec<u8>> {
        key_id(&Encrypted { provider, version: b"v2", name: b"plugin", payload }).map(<[u8]>::to_vec)
    }

    #[test]
    fn the_key_is_named_by_version_2_alone() {
        let message =
            Writer::new().bytes(1, b"text").bytes(2, b"key-1").bytes(3, b"wrapped").varint(5, 1).finish();
        assert_eq!(value(Provider::KmsV2, &message).as_deref(), Some(&b"key-1"[..]));
        assert_eq!(value(Provider::KmsV1, &message), None);
        assert_eq!(value(Provider::KmsV2, &message[..message.len() - 1]), None, "cut off");
        assert_eq!(value(Provider::KmsV2, &Writer::new().bytes(1, b"text").finish()), None);
        assert_eq!(value(Provider::KmsV2, &Writer::new().bytes(2, b"").finish()), None);
        assert_eq!(value(Provider::KmsV2, &Writer::new().varint(2, 1).finish()), None);
    }

    proptest! {
        #[test]
        fn any_payload_can_be_looked_at(payload: Vec<u8>) {
            let _ = value(Provider::KmsV2, &payload);
        }
    }
}
