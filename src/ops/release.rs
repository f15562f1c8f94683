//! Which minor release of Kubernetes a store was written by.
//!
//! Nothing says so outright. Nodes say which release their kubelet is of, and an
//! API server is never older than the kubelets it serves.

use crate::bolt::{Db, leaves_backward};
use crate::etcd::record::Record;
use crate::etcd::schema;
use crate::kube::field_set::FieldSet;
use crate::kube::object::{Object, Options};
use crate::kube::registry_key::{Prefixes, RegistryKey};

use super::dating::{DATED_AMONG, DatedWrite, newest_write};

/// What the newest records tell of the moment they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moment {
    /// The newest write that can be dated.
    pub newest_write: Option<DatedWrite>,
    /// The 35 of Kubernetes 1.35, if nodes were met.
    pub release: Option<u16>,
}

/// How many of the newest leaves are looked through for a node: kubelets write
/// theirs every five minutes.
const LEAVES: usize = 1000;

/// Looks through the newest records of `db` up to revision `at_most`. Pages that
/// cannot be read are passed over.
pub fn moment(db: &Db<'_>, at_most: i64, prefixes: &Prefixes) -> Moment {
    let mut records = Vec::new();
    let mut release = None;
    for leaf in leaves_backward(db, schema::KEY).take(LEAVES).flatten() {
        for record in leaf.iter().rev().filter_map(|element| Record::parse(element).ok()) {
            if record.revision.main > at_most || record.tombstone {
                continue;
            }
            if release.is_none() {
                release = of_node(&record, prefixes);
            }
            if records.len() < DATED_AMONG {
                records.push(record);
            }
        }
        if release.is_some() && records.len() >= DATED_AMONG {
            break;
        }
    }
    Moment { newest_write: newest_write(records.iter()), release }
}

/// The release of a kubelet, if `record` is of its node.
fn of_node(record: &Record<'_>, prefixes: &Prefixes) -> Option<u16> {
    let rest = prefixes.strip(record.kv.key)?;
    if !rest.starts_with(b"minions/") {
        return None;
    }
    match RegistryKey::parse(record.kv.key, prefixes) {
        RegistryKey::Object(object) if object.built_in.is_some_and(|resource| resource.kind == "Node") => {}
        _ => return None,
    }
    let copy = record.kv.value.to_vec();
    let options = Options { fields: FieldSet::only([VERSION]), ..Options::default() };
    let node = Object::decode(&copy, &options).ok()?;
    minor(node.value.text(&["status", "nodeInfo", "kubeletVersion"]))
}

const VERSION: &str = "status.nodeInfo.kubeletVersion";

/// The 35 of `v1.35.4+k3s1`.
fn minor(version: &str) -> Option<u16> {
    let mut parts = version.strip_prefix('v')?.split('.');
    (parts.next()? == "1").then_some(())?;
    let digits = parts.next()?;
    let end = digits.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::minor;

    #[test]
    fn versions_of_kubelets() {
        for (version, release) in [
            ("v1.35.4", Some(35)),
            ("v1.28.6+k3s1", Some(28)),
            ("v1.14.10-gke.27", Some(14)),
            ("v1.9+", Some(9)),
            ("v2.0.0", None),
            ("1.30.0", None),
            ("", None),
        ] {
            assert_eq!(minor(version), release, "{version}");
        }
    }
}
