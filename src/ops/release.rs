//! Which minor release of Kubernetes a store was written by.
//!
//! Nothing says so outright. Nodes say which release their kubelet is of, and an
//! API server is never older than the kubelets it serves.

use zeroize::Zeroizing;

use crate::bolt::{Db, leaves_backward_in_any_order};
use crate::etcd::record::Record;
use crate::etcd::schema;
use crate::kube::encryption::{Keyring, open};
use crate::kube::field_set::FieldSet;
use crate::kube::object::{Object, Options};
use crate::kube::registry_key::{ObjectKey, Prefixes, RegistryKey};

use super::dating::{DATED_AMONG, DatedWrite, newest};

/// What the newest records tell of the moment they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moment {
    /// The newest write that can be dated.
    pub newest_write: Option<DatedWrite>,
    /// The 35 of Kubernetes 1.35, if nodes were met.
    pub release: Option<u16>,
}

/// What is to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sought {
    /// The newest write that can be dated.
    pub time: bool,
    /// The release.
    pub release: bool,
}

/// How many of the newest leaves are looked through for a node: kubelets write
/// theirs every five minutes.
const LEAVES: usize = 1000;

/// Looks for what is `sought` in the newest records of `db` up to revision
/// `at_most`; `keys` open what is encrypted. Pages and values that cannot be read
/// are passed over.
pub fn moment(
    db: &Db<'_>,
    at_most: i64,
    prefixes: &Prefixes,
    keys: Option<&Keyring>,
    sought: Sought,
) -> Moment {
    let mut writes = Vec::new();
    let mut release = None;
    let mut looked_at = if sought.time { 0 } else { DATED_AMONG };
    if !sought.time && !sought.release {
        return Moment::default();
    }
    for leaf in leaves_backward_in_any_order(db, schema::KEY).take(LEAVES).flatten() {
        for record in leaf.iter().rev().filter_map(|element| Record::parse(element).ok()) {
            if record.revision.main > at_most || record.tombstone {
                continue;
            }
            let is_node = sought.release && release.is_none() && is_of_node(record.kv.key, prefixes);
            if !is_node && looked_at >= DATED_AMONG {
                continue;
            }
            let Some(value) = opened(&record, prefixes, keys) else { continue };
            if is_node {
                release = of_node(&value);
            }
            if looked_at < DATED_AMONG {
                looked_at = looked_at.saturating_add(1);
                writes.extend(DatedWrite::of(&record, &value));
            }
        }
        if (release.is_some() || !sought.release) && looked_at >= DATED_AMONG {
            break;
        }
    }
    Moment { newest_write: newest(writes.into_iter()), release }
}

/// A copy of a record's value in plain text; `None` if it cannot be opened.
fn opened(record: &Record<'_>, prefixes: &Prefixes, keys: Option<&Keyring>) -> Option<Zeroizing<Vec<u8>>> {
    // First the copy: the file may change while it is read.
    let copy = record.kv.value.to_vec();
    let opened = open(keys, prefixes, record.kv.key, &copy).ok()?;
    Some(Zeroizing::new(opened.to_vec()))
}

fn is_of_node(key: &[u8], prefixes: &Prefixes) -> bool {
    let is_node = |object: ObjectKey<'_>| object.built_in.is_some_and(|resource| resource.kind == "Node");
    prefixes.strip(key).is_some_and(|rest| rest.starts_with(b"minions/"))
        && matches!(RegistryKey::parse(key, prefixes), RegistryKey::Object(object) if is_node(object))
}

/// The release of a node's kubelet.
fn of_node(value: &[u8]) -> Option<u16> {
    let options = Options { fields: FieldSet::only([VERSION]), ..Options::default() };
    let node = Object::decode(value, &options).ok()?;
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
