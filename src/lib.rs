//! Reads etcd's snapshot files offline: what is in them, whether they can be
//! trusted, and a fresh member directory made from them. No etcd is run or asked.
//!
//! # Layers
//!
//! Each module knows only those to its left, and each turns less trusted bytes
//! into a more trusted type.
//!
//! ```text
//! source ─▶ codec ─▶ bolt ───────▶ etcd ──────▶ kube ────────▶ ops
//! a file    fields   pages,        records,     registry       questions and
//! as        and      buckets,      keyspace,    keys,          deeds, answered
//! bytes     back     keys/values   members      envelopes      as reports
//! ```
//!
//! - [`source`] maps or reads the file, and notices if it changes meanwhile.
//! - [`codec`] has integers, the protobuf wire format and checksums.
//! - [`bolt`] is a bbolt file. It walks all pages once, checks each, and hands
//!   every leaf to a [`Fold`](bolt::Fold); several folds share one walk.
//! - [`etcd`] is what etcd keeps in the buckets, and in a member directory.
//! - [`kube`] is what Kubernetes keeps in etcd's keys and values.
//! - [`ops`] puts these together: [`verify`](ops::verify::verify),
//!   [`status`](ops::status), [`restore`](ops::restore::restore) and others.
//!   Nothing in this library prints.
//!
//! # Damaged and hostile files
//!
//! Every number in a file is checked before it is used. Whatever the bytes are,
//! reading them does not panic, does not recurse by their will, visits a page at
//! most once per pass, and makes at most two passes. Memory follows the number
//! of live keys and of pages, not what the file claims. Damage is a value with
//! its place, what was expected and what was found; readers report it and go on.
//! A map of a file that another process cuts short raises `SIGBUS`: see
//! [`source`] for what stands against that. `docs/threat-model.md` has the rest.
//!
//! # Example
//!
//! ```
//! use std::path::Path;
//!
//! use etcdsnap::ops::verify::{Options, verify};
//! use etcdsnap::ops::{Progress, Settings, keys};
//! use etcdsnap::etcd::snapshot::Snapshot;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let snapshot = Snapshot::open(Path::new("fixtures/snapshots/etcd-3.6.db"))?;
//! let progress = Progress::default();
//! let settings = Settings::new(&progress);
//!
//! let report = verify(snapshot.source(), &settings, &Options::default())?;
//! assert!(report.is_sound() && report.digest_matches());
//!
//! let db = snapshot.db()?;
//! let leased = keys::keys(&db, vec![b"/leased/".to_vec()], None, &settings)?;
//! for record in leased.iter().filter_map(|key| key.record()) {
//!     println!("{} at revision {}", record.kv.key.escape_ascii(), record.revision);
//! }
//! # assert_eq!(leased.iter().count(), 3);
//! # Ok(())
//! # }
//! ```

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

pub mod bolt;
pub mod codec;
pub mod etcd;
pub mod kube;
pub mod ops;
pub mod source;
