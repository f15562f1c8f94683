//! Real etcd, started on what was restored, and snapshots that it takes.
//!
//! Upstream's programs are looked for in `ETCDSNAP_UPSTREAM_BIN`, else in
//! `tests/upstream/bin`, where `tests/upstream/build.sh` puts them. Without them
//! every test says `SKIPPED` and passes; with `ETCDSNAP_REQUIRE_UPSTREAM=1` it
//! fails.
#![cfg(feature = "cli")]

mod carved;
mod cleansed;
mod client;
mod gateway;
mod learners;
mod lines;
mod live;
mod made_up;
mod matrix;
mod members;
mod process;
mod repacked;
mod restored;
mod salvaged;
mod server;
mod snapshots;
mod store;
#[path = "../harness/terminal.rs"]
#[allow(dead_code)]
mod terminal;
mod upstream_restore;
