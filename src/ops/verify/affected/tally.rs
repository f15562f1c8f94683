//! Keys in groups that a person can take in: objects of one type in one namespace, other
//! keys of one folder.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::bolt::Excerpt;
use crate::kube::registry_key::{Prefixes, RegistryKey};

/// Keys: how many, in which groups, and the first of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub count: u64,
    /// The largest first, up to a thousand; none if there are more than 65,536 keys.
    pub groups: Vec<Group>,
    /// Keys that are in none of these groups.
    pub ungrouped: u64,
}

/// Keys of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub name: GroupName,
    /// How many they are.
    pub count: u64,
    /// The first ten, as the file has them: of objects their names, of others the keys.
    pub first: Vec<Excerpt>,
}

/// What the keys of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupName {
    /// Objects of Kubernetes of one type, in one namespace if they are in any.
    Objects {
        /// Plural name of the type.
        resource: Excerpt,
        /// Its group; empty for the core group, or if it is not known.
        group: Excerpt,
        /// The namespace.
        namespace: Option<Excerpt>,
    },
    /// Other keys, by what they begin with, up to a slash.
    Folder(Excerpt),
}

impl Tally {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// Group, resource and namespace; or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind<'a> {
    Objects(&'a [u8], &'a [u8], Option<&'a [u8]>),
    Folder(&'a [u8]),
}

/// Counts keys. Where they are too many for anyone to read, they are not put into groups,
/// which would take longer than all else.
pub(super) struct Counter<'a, 'p> {
    prefixes: &'p Prefixes,
    count: u64,
    keys: Vec<&'a [u8]>,
}

impl<'a, 'p> Counter<'a, 'p> {
    /// Keys that are put into groups, of 16 bytes.
    const KEPT: usize = 1 << 16;
    const GROUPS: usize = 1000;
    const FIRST: usize = 10;

    pub(super) fn new(prefixes: &'p Prefixes) -> Self {
        Self { prefixes, count: 0, keys: Vec::new() }
    }

    #[inline]
    pub(super) fn add(&mut self, key: &'a [u8]) {
        self.count = self.count.saturating_add(1);
        if self.keys.len() < Self::KEPT {
            self.keys.push(key);
        }
    }

    pub(super) fn finish(self) -> Tally {
        let Self { prefixes, count, keys } = self;
        if count > keys.len() as u64 {
            return Tally { count, groups: Vec::new(), ungrouped: count };
        }
        let mut kinds: BTreeMap<Kind<'_>, (u64, Vec<&[u8]>)> = BTreeMap::new();
        let mut ungrouped = 0u64;
        for (kind, name) in keys.into_iter().map(|key| kind(key, prefixes)) {
            let is_full = kinds.len() >= Self::GROUPS;
            if is_full && !kinds.contains_key(&kind) {
                ungrouped = ungrouped.saturating_add(1);
                continue;
            }
            let (count, first) = kinds.entry(kind).or_default();
            *count = count.saturating_add(1);
            if first.len() < Self::FIRST {
                first.push(name);
            }
        }
        let mut groups: Vec<Group> = kinds.into_iter().map(group).collect();
        groups.sort_by_key(|group| Reverse(group.count));
        Tally { count, groups, ungrouped }
    }
}

/// What a key has in common with others, and how it is told from them.
fn kind<'a>(key: &'a [u8], prefixes: &Prefixes) -> (Kind<'a>, &'a [u8]) {
    match RegistryKey::parse(key, prefixes) {
        RegistryKey::Object(object) => {
            let group = object.group.unwrap_or_default();
            (Kind::Objects(object.resource, group, object.namespace), object.name)
        }
        _ => {
            // The second slash, if the first one is in front; or the first.
            let from = usize::from(key.first() == Some(&b'/'));
            let slash = key.iter().skip(from).position(|byte| *byte == b'/');
            let end = slash.map_or(0, |at| at.saturating_add(from).saturating_add(1));
            (Kind::Folder(key.get(..end).unwrap_or_default()), key)
        }
    }
}

fn group((kind, (count, first)): (Kind<'_>, (u64, Vec<&[u8]>))) -> Group {
    let name = match kind {
        Kind::Objects(resource, group, namespace) => GroupName::Objects {
            resource: Excerpt::of(resource),
            group: Excerpt::of(group),
            namespace: namespace.map(Excerpt::of),
        },
        Kind::Folder(folder) => GroupName::Folder(Excerpt::of(folder)),
    };
    Group { name, count, first: first.into_iter().map(Excerpt::of).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_counted_by_type_and_namespace_and_others_by_folder() {
        let prefixes = Prefixes::well_known();
        let mut counter = Counter::new(&prefixes);
        let keys: [&[u8]; 7] = [
            b"/registry/secrets/shop/b",
            b"/registry/secrets/shop/a",
            b"/registry/minions/n1",
            b"/registry/masterleases/10.0.0.1",
            b"/other/x/y",
            b"plain",
            b"",
        ];
        keys.into_iter().for_each(|key| counter.add(key));
        let tally = counter.finish();
        let text = |excerpt: &Excerpt| String::from_utf8_lossy(&excerpt.bytes).into_owned();
        let told: Vec<String> = tally
            .groups
            .iter()
            .map(|group| {
                let name = match &group.name {
                    GroupName::Objects { resource, namespace, .. } => {
                        format!("{} in {}", text(resource), namespace.as_ref().map(text).unwrap_or_default())
                    }
                    GroupName::Folder(folder) => format!("below {}", text(folder)),
                };
                let first: Vec<_> = group.first.iter().map(text).collect();
                format!("{} {name}: {}", group.count, first.join(","))
            })
            .collect();
        let expected = [
            "2 secrets in shop: b,a",
            "2 below : plain,",
            "1 nodes in : n1",
            "1 below /other/: /other/x/y",
            "1 below /registry/: /registry/masterleases/10.0.0.1",
        ];
        assert_eq!((told, tally.count, tally.ungrouped), (expected.map(String::from).to_vec(), 7, 0));
    }

    #[test]
    fn more_groups_than_anyone_reads_are_counted_and_not_kept() {
        let prefixes = Prefixes::well_known();
        let keys: Vec<Vec<u8>> = (0..1500).map(|index| format!("/{index}/a").into_bytes()).collect();
        let mut counter = Counter::new(&prefixes);
        keys.iter().chain(&keys).for_each(|key| counter.add(key));
        let tally = counter.finish();
        assert_eq!((tally.count, tally.groups.len(), tally.ungrouped), (3000, 1000, 1000));
        // And more keys than anyone reads are not even put into groups.
        let mut counter = Counter::new(&prefixes);
        (0..=Counter::KEPT).for_each(|_| counter.add(b"/a/b"));
        let tally = counter.finish();
        let all = Counter::KEPT as u64 + 1;
        assert_eq!((tally.count, tally.groups.len(), tally.ungrouped), (all, 0, all));
    }
}
