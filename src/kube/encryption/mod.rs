//! Encryption at rest: the API server's `EncryptionConfiguration`, and opening
//! values with it.
//!
//! ```text
//! k8s:enc:PROVIDER:VERSION:NAME: payload
//!         aescbc   v1      key    what the cipher made, see the table there
//!         aesgcm
//!         secretbox
//!         kms      v1, v2  plugin a wrapped key, and what that made
//! ```
//!
//! The rule for a resource has providers in order. The first one writes. To read,
//! every provider is tried whose header the value begins with, in it every key
//! whose name follows; the first that succeeds counts. `identity` takes what is
//! in plain text and passes over the rest. Layout and order:
//! `docs/format/encryption.md`.
//!
//! Source: kubernetes `staging/src/k8s.io/apiserver/pkg/server/options/
//! encryptionconfig/config.go` and `.../pkg/storage/value/transformer.go`, 1.35.

mod cipher;
mod config;
mod faulty;
mod keyring;
mod locked;
mod open;
mod rules;

pub mod kms;

pub use faulty::{ConfigError, Fault, Invalid, Odd, Remark};
pub use keyring::{KeyId, KeyInfo, Keyring, Opened};
pub use locked::{Locked, Why};
pub use open::open;
