//! CBOR as API servers store custom resources.
