//! What something that was found is called, and whether it was asked for.

use crate::etcd::auth::Alarm;
use crate::etcd::lease::LeaseId;
use crate::etcd::remnant::{EntryKind, Remnant};
use crate::kube::envelope::Envelope;
use crate::kube::manifest::identity::{Identity, built_in};
use crate::kube::object::{Object, Options};
use crate::kube::registry_key::{Prefixes, RegistryKey};
use crate::kube::resources::Resource;
use crate::kube::type_name::TypeName;

use super::super::list::TypeKey;

/// What something is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Of what kind it is.
    pub kind: Kind,
    /// Its type: `pods`, `widgets.example.com`; for a key of another program `key`, for
    /// an entry what it is.
    pub type_name: String,
    /// Its namespace.
    pub namespace: Option<Vec<u8>>,
    /// Its name; for a key that is no object, all of it. Empty if it is not known.
    pub name: Vec<u8>,
}

/// The kinds of things that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An object of the API of Kubernetes.
    Object,
    /// A key that a server of Kubernetes keeps for itself.
    Internal,
    /// A key of another program.
    Key,
    /// An entry of one of the small buckets.
    Entry(EntryKind),
    /// A value whose key is gone, and which is no object that can be read.
    Value,
}

impl Label {
    /// Names `remnant`.
    pub fn of(remnant: &Remnant<'_>, prefixes: &Prefixes) -> Self {
        match remnant {
            Remnant::Record { kv, .. } => Self::of_key(kv.key, prefixes),
            Remnant::Entry { kind, key, .. } => Self {
                kind: Kind::Entry(*kind),
                type_name: kind.name().to_owned(),
                namespace: None,
                name: entry_name(*kind, key, remnant),
            },
            Remnant::Value(value) => Self::of_value(value),
        }
    }

    fn of_key(key: &[u8], prefixes: &Prefixes) -> Self {
        let registry = RegistryKey::parse(key, prefixes);
        let kind = match registry {
            RegistryKey::Object(_) => Kind::Object,
            RegistryKey::Internal(_) => Kind::Internal,
            RegistryKey::Other => Kind::Key,
        };
        let object = registry.object();
        let type_name = if kind == Kind::Key { "key".to_owned() } else { TypeKey::of(&registry).name() };
        let namespace = object.and_then(|object| object.namespace).map(<[u8]>::to_vec);
        Self { kind, type_name, namespace, name: object.map_or(key, |object| object.name).to_vec() }
    }

    /// By what is in it: nothing else is left to tell.
    fn of_value(value: &[u8]) -> Self {
        if let Ok(object) = Object::decode(value, &Options::default()) {
            let identity = Identity::of(&object.value);
            if !identity.kind.is_empty() {
                let namespace = Some(identity.namespace).filter(|namespace| !namespace.is_empty());
                return Self {
                    kind: Kind::Object,
                    type_name: type_name(identity.group, identity.kind),
                    namespace: namespace.map(|namespace| namespace.as_bytes().to_vec()),
                    name: identity.name.as_bytes().to_vec(),
                };
            }
        }
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let type_name = match Envelope::parse(value) {
            Ok(Envelope::Protobuf(unknown)) => {
                let (version, kind) = (text(unknown.api_version), text(unknown.kind));
                type_name(version.split_once('/').map_or("", |(group, _)| group), &kind)
            }
            _ => cut_type(value).unwrap_or_else(|| "value".to_owned()),
        };
        Self { kind: Kind::Value, type_name, namespace: None, name: Vec::new() }
    }

    /// Whether it is a Secret of Kubernetes.
    pub fn is_secret(&self) -> bool {
        self.type_name == "secrets"
    }
}

/// The type at the front of an envelope whose end is missing.
fn cut_type(value: &[u8]) -> Option<String> {
    use crate::codec::protobuf::{Fields, take_bytes};
    let mut rest = value.strip_prefix(b"k8s\0")?;
    let mut names = [String::new(), String::new()];
    for field in Fields::new(take_bytes(&mut rest, 0x0a)?) {
        let field = field.ok()?;
        let index = (field.number as usize).checked_sub(1)?;
        *names.get_mut(index)? = String::from_utf8_lossy(field.bytes().ok()?).into_owned();
    }
    let [version, kind] = names;
    Some(type_name(version.split_once('/').map_or("", |(group, _)| group), &kind))
}

/// The plural of a built-in kind; of others the kind itself.
fn type_name(group: &str, kind: &str) -> String {
    let (plural, group) = match built_in(group, kind) {
        Some(resource) => (resource.plural.to_owned(), resource.group),
        None => (kind.to_ascii_lowercase(), group),
    };
    if group.is_empty() { plural } else { format!("{plural}.{group}") }
}

fn entry_name(kind: EntryKind, key: &[u8], remnant: &Remnant<'_>) -> Vec<u8> {
    let value = match remnant {
        Remnant::Entry { value, .. } => *value,
        _ => &[],
    };
    match kind {
        EntryKind::Lease => crate::codec::fixed::i64_be(key, 0)
            .map_or_else(|| key.to_vec(), |id| LeaseId(id).to_string().into_bytes()),
        EntryKind::Alarm => Alarm::parse(key)
            .map_or_else(|_| key.to_vec(), |alarm| format!("{} {:x}", alarm.kind, alarm.member).into_bytes()),
        EntryKind::Member => crate::etcd::membership::Member::parse(value).map_or_else(
            |_| key.to_vec(),
            |member| format!("{} {}", member.id, member.name).trim_end().as_bytes().to_vec(),
        ),
        EntryKind::User if key.is_empty() => {
            crate::etcd::auth::User::parse(value).map_or_else(|_| Vec::new(), |user| user.name)
        }
        _ => key.to_vec(),
    }
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Types, as a user types them; all and everything else if there are none.
    pub types: Vec<String>,
    /// Only objects of this name.
    pub name: Option<String>,
    /// Only objects in this namespace.
    pub namespace: Option<String>,
    /// Only what stood under keys that begin with this.
    pub key_prefix: Option<Vec<u8>>,
}

impl Selection {
    /// Whether something is asked for.
    pub fn selects(&self, remnant: &Remnant<'_>, label: &Label) -> bool {
        let key = match remnant {
            Remnant::Record { kv, .. } => Some(kv.key),
            _ => None,
        };
        let prefix = self.key_prefix.as_deref();
        let same = |wanted: &Option<String>, found: Option<&[u8]>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted.as_bytes()))
        };
        prefix.is_none_or(|prefix| key.is_some_and(|key| key.starts_with(prefix)))
            && same(&self.namespace, label.namespace.as_deref())
            && same(&self.name, Some(&label.name))
            && (self.types.is_empty() || self.types.iter().any(|typed| is_of_type(typed, label)))
    }
}

/// Whether a type may be asked for wherever it is not among what was found: it is built
/// in, or one of etcd's own.
pub(super) fn is_built_in(typed: &str) -> bool {
    let others = ["key", "value"].into_iter();
    Resource::find(typed).is_some() || EntryKind::names().chain(others).any(|name| name == typed)
}

fn is_of_type(typed: &str, label: &Label) -> bool {
    is_named(typed, &label.type_name)
}

/// Whether `typed` names the type `type_name`.
pub(super) fn is_named(typed: &str, of: &str) -> bool {
    if let Some(resource) = Resource::find(typed) {
        return of == type_name(resource.group, resource.kind);
    }
    let parsed = TypeName::parse(typed);
    let (name, group) = of.split_once('.').unwrap_or((of, ""));
    parsed.is_name(name) && parsed.fit(group).is_some()
}
