//! The doors through which bytes that nobody vouches for come in, each as a
//! function of bytes. What has to hold: it comes back, without a panic, in time
//! and memory that the bytes pay for, and what it says of itself is true. The fuzz
//! targets call them with what they make up; `tests/doors.rs` calls them with the
//! first corpus and with what was found once.

mod database;
mod etcd;
mod kube;
mod words;

/// A door: its name and the function behind it.
pub(crate) type Door = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const DOORS: &[Door] = &[
    ("page", database::page),
    ("db", database::db),
    ("verify", database::verify),
    ("salvage", database::salvage),
    ("carve", database::carve),
    ("restore", database::restore),
    ("revision_key", etcd::revision_key),
    ("key_value", etcd::key_value),
    ("lease", etcd::lease),
    ("member", etcd::member),
    ("auth", etcd::auth),
    ("raft", etcd::raft),
    ("wal", etcd::wal),
    ("snap_file", etcd::snap_file),
    ("envelope", kube::envelope),
    ("object", kube::object),
    ("json", kube::json),
    ("cbor", kube::cbor),
    ("encryption_config", words::encryption_config),
    ("member_file", words::member_file),
    ("words", words::words),
];

/// The doors that take a whole snapshot: what comes to them is changed page by page,
/// with its checksums made right again (`mutate.rs`).
pub(crate) const SNAPSHOTS: &[&str] = &["db", "verify", "salvage", "carve", "restore"];

/// Sends bytes through the door of that name.
pub(crate) fn knock(name: &str, bytes: &[u8]) {
    let found = DOORS.iter().find(|(door, _)| *door == name);
    let (_, door) = found.unwrap_or_else(|| panic!("there is no door {name:?}"));
    door(bytes);
}
