//! What etcd keeps in the buckets of its database, and around it in a member
//! directory.
//!
//! ```text
//! bolt::Db ─▶ State     small buckets: meta, members, alarms, auth …
//!          ─▶ Records   bucket `key`: every revision of every key
//!          ─▶ Keyspace  which record is the newest of each key, at a revision
//! ```
//!
//! Layout and version differences: `docs/format/etcd.md`. Source: etcd
//! `server/storage/schema`, `server/storage/mvcc` @ v3.6.14, and their
//! counterparts in 3.4, 3.5 and 3.7.

pub mod auth;
mod go_text;
mod go_url;
pub mod hash_kv;
pub mod key_value;
pub mod keyspace;
pub mod lease;
pub mod membership;
pub mod peer_url;
pub mod record;
pub mod revision;
pub mod schema;
pub mod snapshot;
pub mod sorted;
pub mod status_hash;

pub use go_text::{JsonFault, JsonFaultKind, Quoted};
pub use go_url::UrlFault;
