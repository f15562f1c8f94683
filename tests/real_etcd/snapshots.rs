//! The snapshots among the fixtures, and restoring them.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::process::etcdsnap;
use super::store::Store;

/// A snapshot.
#[derive(Debug)]
pub(crate) struct Fixture {
    name: &'static str,
    /// Who may read everything, if not all may.
    pub(crate) user: Option<&'static str>,
    /// Keys with leases of a few seconds: etcd deletes them soon after its start.
    pub(crate) short_lived: i64,
    store: OnceLock<Store>,
}

pub(crate) static OF_3_4: Fixture = Fixture::new("etcd-3.4.db", Some("root:rootpw"), 0);
pub(crate) static OF_3_5: Fixture = Fixture::new("etcd-3.5.db", Some("root:rootpw"), 0);
pub(crate) static OF_3_6: Fixture = Fixture::new("etcd-3.6.db", Some("root:rootpw"), 0);
pub(crate) static KUBERNETES_OF_3_5: Fixture = Fixture::new("k8s-1.35-etcd-3.5-encrypted.db", None, 1);
pub(crate) static KUBERNETES_OF_3_6: Fixture = Fixture::new("k8s-1.35-etcd-3.6.db", None, 1);

impl Fixture {
    const fn new(name: &'static str, user: Option<&'static str>, short_lived: i64) -> Self {
        Self { name, user, short_lived, store: OnceLock::new() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/snapshots").join(self.name)
    }

    /// What is alive in it.
    pub(crate) fn store(&self) -> &Store {
        self.store.get_or_init(|| Store::of_file(&self.path(), 0))
    }
}

/// Restores `file` as the member `name`; what the answer says.
#[track_caller]
pub(crate) fn restore(
    file: &Path,
    name: &str,
    data_dir: &Path,
    peer_url: &str,
    initial_cluster: &str,
    more: &[&str],
) -> Value {
    let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let (file, data_dir) = (text(file), text(data_dir));
    let args = [
        "restore",
        &file,
        "--name",
        name,
        "--data-dir",
        &data_dir,
        "--initial-cluster",
        initial_cluster,
        "--initial-advertise-peer-urls",
        peer_url,
        "-o",
        "json",
    ];
    etcdsnap([&args, more].concat()).expect(0).json()
}

/// Where a member keeps its database.
pub(crate) fn db_of(data_dir: &Path) -> PathBuf {
    data_dir.join("member/snap/db")
}
