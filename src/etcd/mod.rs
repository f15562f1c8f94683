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
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod auth;
pub mod conf_state;
pub mod credible;
pub mod entry;
pub mod gaps;
mod go_text;
mod go_url;
pub mod hash_kv;
pub mod history;
pub(crate) mod in_order;
pub mod key_value;
pub mod keyspace;
pub mod lease;
pub mod line;
pub mod membership;
pub mod peer_url;
pub(crate) mod present;
pub mod raft;
pub mod record;
pub mod remnant;
pub mod revision;
pub mod root_user;
pub mod schema;
pub mod snap_file;
pub mod snapshot;
pub mod sorted;
pub mod state;
pub mod status_hash;
pub mod url_map;
pub mod v2_store;
pub mod wal;
pub mod wal_tail;

pub use go_text::{JsonFault, JsonFaultKind, Quoted};
pub use go_url::UrlFault;
