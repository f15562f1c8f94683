//! What is to be changed, as data, and which keys that leaves out.

use crate::bolt::Entries;
use crate::etcd::root_user::PasswordHash;
use crate::kube::manifest::scope::Pattern;
use crate::kube::registry_key::{Prefixes, RegistryKey};
use crate::ops::list::TypeKey;

use super::Outcome;

/// What is to be changed.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Which keys stay.
    pub selection: Selection,
    /// Where history is to begin.
    pub compact: Option<CompactAt>,
    /// What becomes of leases.
    pub leases: Leases,
    /// Turn authentication off, as `etcdctl auth disable` does: users and roles stay.
    pub disable_auth: bool,
    /// Give user `root` this password and role `root`; both are made if they are not there.
    pub root_password: Option<PasswordHash>,
    /// Write the tree anew even if nothing else is to be changed.
    pub defrag: bool,
    /// The revision that the store is to have, everything before it marked as
    /// compacted, as by a restore with a bumped revision.
    pub bump_to: Option<BumpTo>,
    /// Go on although volumes would be deleted with their data.
    pub accept_reclaim: bool,
    /// Go on although objects would be deleted for want of their owners.
    pub accept_orphans: bool,
}

impl Changes {
    /// Whether the database can stay as it is.
    pub fn is_empty(&self) -> bool {
        self.selection.is_empty()
            && self.compact.is_none()
            && self.leases == Leases::Keep
            && !self.disable_auth
            && self.root_password.is_none()
            && !self.defrag
            && self.bump_to.is_none()
    }

    /// Whether history is to begin at a revision that is named or implied, a bump aside.
    pub fn compacts(&self) -> bool {
        self.compact.is_some() || !self.selection.is_empty()
    }

    /// All that the content of the result depends on, bump aside, in one form: no two
    /// changes that lead to other contents have the same, and the order in which parts
    /// are named does not count, nor how often, nor the words for a revision, nor what
    /// was asked for and had nothing to do.
    pub(super) fn canonical(&self, outcome: &Outcome, compacted: Option<i64>) -> Entries {
        let mut entries = Entries::new();
        let mut add = |what: &str, subject: &[u8], value: &[u8]| {
            entries.insert([what.as_bytes(), b" ", subject].concat(), value.to_vec());
        };
        let selection = &self.selection;
        for prefix in &selection.keep_prefixes {
            add("keep-prefix", prefix, b"");
        }
        for prefix in &selection.drop_prefixes {
            add("drop-prefix", prefix, b"");
        }
        for dropped in &selection.drop_types {
            let name = format!("{}.{}", dropped.plural, dropped.group);
            add("drop-type", name.as_bytes(), b"");
        }
        for pattern in &selection.include_namespaces {
            add("include-namespace", pattern.text().as_bytes(), b"");
        }
        for pattern in &selection.exclude_namespaces {
            add("exclude-namespace", pattern.text().as_bytes(), b"");
        }
        if selection.looks_at_objects() {
            for prefix in selection.prefixes.iter() {
                add("kubernetes-prefix", prefix, b"");
            }
        }
        if let Some(revision) = compacted {
            add("compact", b"revision", &revision.to_be_bytes());
        }
        for (what, count) in [
            (&b"remove"[..], outcome.leases_removed),
            (b"expire", outcome.expired.keys),
            (b"detach", outcome.keys_detached),
        ] {
            if count > 0 {
                add("leases", what, b"");
            }
        }
        if outcome.auth_disabled {
            add("auth", b"disable", b"");
        }
        if let Some(hash) = &self.root_password {
            add("auth", b"root-password", hash.as_bytes());
        }
        entries
    }
}

/// A revision that is far ahead of all that were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BumpTo {
    /// To be taken.
    Always(i64),
    /// To be taken if a client would see anything else than in the file
    /// ([`Outcome::is_faithful`]).
    Unfaithful(i64),
}

impl BumpTo {
    /// The revision, if it is to be taken.
    pub(super) fn revision(self, faithful: bool) -> Option<i64> {
        match self {
            Self::Always(revision) => Some(revision),
            Self::Unfaithful(revision) => (!faithful).then_some(revision),
        }
    }
}

/// A revision to compact at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompactAt {
    /// The store's own: only what is alive stays.
    Now,
    /// This one.
    Revision(i64),
}

/// What becomes of leases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Leases {
    /// They stay.
    #[default]
    Keep,
    /// They are revoked: their keys are deleted, each lease with keys at a revision of its own, in the order
    /// of their ids, and the keys of each in the order of the keys.
    Expire,
    /// They go; their keys stay, attached to none.
    Detach,
}

/// Which keys stay. A key that is left out is left out with its whole history.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only keys that begin with one of these, if there are any.
    pub keep_prefixes: Vec<Vec<u8>>,
    /// No key that begins with one of these.
    pub drop_prefixes: Vec<Vec<u8>>,
    /// No objects of these types.
    pub drop_types: Vec<DroppedType>,
    /// Of objects in a namespace only those in one of these, if there are any; and
    /// of `Namespace`s only these.
    pub include_namespaces: Vec<Pattern>,
    /// No objects in these namespaces, nor those namespaces.
    pub exclude_namespaces: Vec<Pattern>,
    /// Where Kubernetes keeps its keys.
    pub prefixes: Prefixes,
}

/// A type by the names that tell it from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedType {
    /// Plural name.
    pub plural: String,
    /// Group, empty for the core group.
    pub group: String,
}

/// Why a key is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It begins with a prefix that was to be dropped.
    Prefix,
    /// It begins with none of the prefixes that were to be kept.
    NotKept,
    /// It is an object of a type that was to be dropped.
    Resource,
    /// It is in a namespace, or is one, that does not stay.
    Namespace,
    /// It is deleted with the lease that it is attached to.
    Lease,
}

/// A part of a [`Selection`] that fits no key that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmatched {
    /// Of [`Selection::keep_prefixes`].
    KeepPrefix(Vec<u8>),
    /// Of [`Selection::drop_prefixes`].
    DropPrefix(Vec<u8>),
    /// Of [`Selection::drop_types`].
    DropType(DroppedType),
    /// Of [`Selection::include_namespaces`].
    IncludeNamespace(Pattern),
    /// Of [`Selection::exclude_namespaces`].
    ExcludeNamespace(Pattern),
}

/// Which parts of a [`Selection`] fitted anything yet, in the order of its fields.
#[derive(Debug, Clone, Default)]
pub(super) struct Hits(Vec<bool>);

impl Hits {
    pub(super) fn join(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), false);
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine |= *theirs;
        }
    }
}

impl Selection {
    /// Whether every key stays.
    pub fn is_empty(&self) -> bool {
        self.parts() == 0
    }

    /// Whether it asks what objects keys are of.
    fn looks_at_objects(&self) -> bool {
        !self.drop_types.is_empty()
            || !self.include_namespaces.is_empty()
            || !self.exclude_namespaces.is_empty()
    }

    fn parts(&self) -> usize {
        [
            self.keep_prefixes.len(),
            self.drop_prefixes.len(),
            self.drop_types.len(),
            self.include_namespaces.len(),
            self.exclude_namespaces.len(),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// Whether `key` stays.
    pub fn takes(&self, key: &[u8]) -> bool {
        self.judge(key, None).is_none()
    }

    /// Why `key` does not stay, and what of the selection says so: a prefix, a type,
    /// a namespace. Notes in `hits` what fits it.
    pub(super) fn judge(&self, key: &[u8], hits: Option<&mut Hits>) -> Option<(Reason, Vec<u8>)> {
        if self.is_empty() {
            return None;
        }
        let mut found = Vec::new();
        let mut noted = Vec::new();
        let mut any = |fits: &mut dyn Iterator<Item = bool>| {
            let before = noted.len();
            noted.extend(fits);
            noted.get(before..).unwrap_or_default().iter().position(|fits| *fits)
        };
        let starts = |prefix: &Vec<u8>| key.starts_with(prefix);
        let kept = any(&mut self.keep_prefixes.iter().map(starts));
        if !self.keep_prefixes.is_empty() && kept.is_none() {
            found.push((Reason::NotKept, Vec::new()));
        }
        let dropped = any(&mut self.drop_prefixes.iter().map(starts));
        found.extend(
            dropped
                .and_then(|index| self.drop_prefixes.get(index))
                .map(|prefix| (Reason::Prefix, prefix.clone())),
        );
        let registry = self.looks_at_objects().then(|| RegistryKey::parse(key, &self.prefixes));
        let object = registry.as_ref().and_then(|registry| Some((TypeKey::of(registry), registry.object()?)));
        let is_type = |dropped: &DroppedType| {
            object.is_some_and(|(type_key, _)| {
                type_key.resource == dropped.plural.as_bytes() && type_key.group == dropped.group.as_bytes()
            })
        };
        if any(&mut self.drop_types.iter().map(is_type)).is_some()
            && let Some((type_key, _)) = object
        {
            found.push((Reason::Resource, type_key.name().into_bytes()));
        }
        let namespace = object.and_then(|(type_key, object)| {
            let is_namespace = type_key.resource == b"namespaces" && type_key.group.is_empty();
            object.namespace.or(is_namespace.then_some(object.name))
        });
        let is_in = |pattern: &Pattern| namespace.is_some_and(|namespace| pattern.fits(namespace));
        let included = any(&mut self.include_namespaces.iter().map(is_in));
        let excluded = any(&mut self.exclude_namespaces.iter().map(is_in));
        if let Some(namespace) = namespace
            && (excluded.is_some() || (!self.include_namespaces.is_empty() && included.is_none()))
        {
            found.push((Reason::Namespace, namespace.to_vec()));
        }
        if let Some(hits) = hits {
            hits.join(&Hits(noted));
        }
        found.into_iter().next()
    }

    /// The parts that nothing fitted.
    pub(super) fn unmatched(&self, hits: &Hits) -> Vec<Unmatched> {
        let parts = (self.keep_prefixes.iter().cloned().map(Unmatched::KeepPrefix))
            .chain(self.drop_prefixes.iter().cloned().map(Unmatched::DropPrefix))
            .chain(self.drop_types.iter().cloned().map(Unmatched::DropType))
            .chain(self.include_namespaces.iter().cloned().map(Unmatched::IncludeNamespace))
            .chain(self.exclude_namespaces.iter().cloned().map(Unmatched::ExcludeNamespace));
        let hits = hits.0.iter().copied().chain(std::iter::repeat(false));
        parts.zip(hits).filter(|(_, hit)| !hit).map(|(part, _)| part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::LeftOutLog;
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::new(*text)).collect()
    }

    #[test]
    fn changes_that_differ_in_nothing_but_order_are_the_same() {
        let changes = |drop: &[&str], exclude: &[&str]| Changes {
            selection: Selection {
                drop_prefixes: drop.iter().map(|prefix| prefix.as_bytes().to_vec()).collect(),
                exclude_namespaces: patterns(exclude),
                ..Selection::default()
            },
            ..Changes::default()
        };
        let none = Outcome::default();
        let form = |changes: &Changes| changes.canonical(&none, None);
        let one = changes(&["a", "b", "a"], &["x"]);
        assert_eq!(form(&one), form(&changes(&["b", "a"], &["x", "x"])));
        // Words that come to the same revision, and those that had nothing to do.
        let idle = Changes {
            compact: Some(CompactAt::Now),
            leases: Leases::Expire,
            disable_auth: true,
            accept_orphans: true,
            ..one.clone()
        };
        assert_eq!(form(&one), form(&idle));
        let password = "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga".parse().ok();
        let mut forms: Vec<_> = [
            one,
            changes(&["a", "b"], &[]),
            changes(&["a", "b"], &["y"]),
            changes(&["a", "b x"], &[]),
            Changes::default(),
            Changes { root_password: password, ..Changes::default() },
        ]
        .iter()
        .map(form)
        .collect();
        let one_key = LeftOutLog { keys: 1, ..LeftOutLog::default() };
        let outcomes = [
            Outcome { leases_removed: 1, ..Outcome::default() },
            Outcome { leases_removed: 1, expired: one_key, ..Outcome::default() },
            Outcome { leases_removed: 1, keys_detached: 1, ..Outcome::default() },
            Outcome { auth_disabled: true, ..Outcome::default() },
        ];
        forms.extend(outcomes.iter().map(|outcome| Changes::default().canonical(outcome, None)));
        forms.extend([6, 7].map(|at| Changes::default().canonical(&none, Some(at))));
        let different: std::collections::BTreeSet<_> = forms.iter().collect();
        assert_eq!(forms.len(), different.len());
    }

    #[test]
    fn prefixes_types_and_namespaces_leave_keys_out() {
        let selection = Selection {
            keep_prefixes: vec![b"/registry/".to_vec(), b"/other/".to_vec()],
            drop_prefixes: vec![b"/registry/masterleases/".to_vec()],
            drop_types: vec![DroppedType {
                plural: "leases".to_owned(),
                group: "coordination.k8s.io".to_owned(),
            }],
            exclude_namespaces: patterns(&["dev*"]),
            ..Selection::default()
        };
        let mut hits = Hits::default();
        for (key, reason) in [
            ("/registry/pods/prod/web", None),
            ("/registry/pods/dev-1/web", Some((Reason::Namespace, "dev-1"))),
            ("/registry/namespaces/dev-1", Some((Reason::Namespace, "dev-1"))),
            ("/registry/namespaces/prod", None),
            // No namespace of that name, but a name in none.
            ("/registry/clusterroles/dev-1", None),
            ("/registry/leases/kube-system/x", Some((Reason::Resource, "leases.coordination.k8s.io"))),
            ("/registry/masterleases/10.0.0.1", Some((Reason::Prefix, "/registry/masterleases/"))),
            ("elsewhere", Some((Reason::NotKept, ""))),
            ("", Some((Reason::NotKept, ""))),
        ] {
            let judged = selection.judge(key.as_bytes(), Some(&mut hits));
            let expected = reason.map(|(reason, what): (Reason, &str)| (reason, what.as_bytes().to_vec()));
            assert_eq!(judged, expected, "{key}");
            assert_eq!(selection.takes(key.as_bytes()), expected.is_none());
        }
        assert_eq!(selection.unmatched(&hits), [Unmatched::KeepPrefix(b"/other/".to_vec())]);
    }

    #[test]
    fn only_objects_in_a_namespace_can_be_outside_of_those_included() {
        let selection = Selection { include_namespaces: patterns(&["prod"]), ..Selection::default() };
        for (key, taken) in [
            ("/registry/pods/prod/web", true),
            ("/registry/pods/dev/web", false),
            ("/registry/namespaces/prod", true),
            ("/registry/namespaces/dev", false),
            ("/registry/persistentvolumes/pv-1", true),
            ("/registry/example.com/widgets/dev/w", false),
            ("/registry/ranges/serviceips", true),
            ("compact_rev_key", true),
            ("no kubernetes at all", true),
        ] {
            assert_eq!(selection.takes(key.as_bytes()), taken, "{key}");
        }
    }

    #[test]
    fn without_a_selection_everything_stays() {
        assert!(Selection::default().takes(b""));
        assert!(Changes::default().is_empty());
        assert!(!Changes { defrag: true, ..Changes::default() }.is_empty());
    }
}
