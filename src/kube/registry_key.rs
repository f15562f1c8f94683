//! What an etcd key of a Kubernetes store stands for.
//!
//! ```text
//! /registry/pods/default/web-1                        built in, namespaced
//! /registry/minions/node1                             built in, not namespaced
//! /registry/example.com/widgets/default/w1            custom: group, plural
//! /registry/ranges/serviceips                         no API object
//! compact_rev_key                                     outside of any prefix
//! ```
//!
//! Names are any bytes without a guarantee: a key may be damaged, or written by
//! something that is not Kubernetes at all.

use super::resources::Resource;

/// What a key stands for. Borrows from the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryKey<'a> {
    /// An object of the API.
    Object(ObjectKey<'a>),
    /// Something that a server keeps for itself.
    Internal(InternalKey<'a>),
    /// Neither: of another program, or no key that an API server writes.
    Other,
}

/// Names an object of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectKey<'a> {
    /// Plural name of its type.
    pub resource: &'a [u8],
    /// Group of its type: empty for the core group; `None` for a type that is
    /// not known and whose key does not say.
    pub group: Option<&'a [u8]>,
    /// The type, if it is built in.
    pub built_in: Option<&'static Resource>,
    /// Its namespace, if it has one.
    pub namespace: Option<&'a [u8]>,
    /// Its name, with any slashes in it.
    pub name: &'a [u8],
}

/// Keys that are no objects of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InternalKey<'a> {
    /// `ranges/serviceips`, `ranges/servicenodeports`: which addresses and ports
    /// are taken, a `RangeAllocation`. Holds what follows `ranges/`.
    Range(&'a [u8]),
    /// `masterleases/ADDRESS`: an API server is alive, an `Endpoints`.
    MasterLease(&'a [u8]),
    /// `peerserverleases/ID`: where another API server finds this one.
    PeerServerLease(&'a [u8]),
    /// `compact_rev_key`: the revision of the last compaction, in decimal.
    CompactRevision,
    /// `health`: written by health checks of some servers.
    Health,
    /// `/bootstrap/ID`: the certificates and keys of a k3s or RKE2 cluster,
    /// encrypted with its token.
    Bootstrap(&'a [u8]),
    /// `k3s/...`, `rke2/...`: addresses and join progress of those.
    Distribution(&'a [u8]),
}

impl InternalKey<'_> {
    /// The name under which such keys are listed.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Range(_) => "ranges",
            Self::MasterLease(_) => "masterleases",
            Self::PeerServerLease(_) => "peerserverleases",
            Self::CompactRevision => "compact_rev_key",
            Self::Health => "health",
            Self::Bootstrap(_) => "bootstrap",
            Self::Distribution(_) => "distribution",
        }
    }
}

impl<'a> RegistryKey<'a> {
    /// Reads `key`. Nothing can go wrong: what is not understood is
    /// [`Other`](Self::Other).
    pub fn parse(key: &'a [u8], prefixes: &Prefixes) -> Self {
        if let Some(internal) = outside(key) {
            return Self::Internal(internal);
        }
        prefixes.strip(key).map_or(Self::Other, below)
    }

    /// The object, if it is one.
    pub fn object(&self) -> Option<&ObjectKey<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }
}

/// Keys that stand at the same place whatever the prefix.
fn outside(key: &[u8]) -> Option<InternalKey<'_>> {
    if key == b"compact_rev_key" {
        return Some(InternalKey::CompactRevision);
    }
    if let Some(id) = key.strip_prefix(b"/bootstrap")
        && (id.is_empty() || id.starts_with(b"/"))
    {
        return Some(InternalKey::Bootstrap(id.strip_prefix(b"/").unwrap_or(id)));
    }
    // Source: k3s `pkg/etcd/etcd.go`, AddressKey and learnerProgressKey.
    [&b"k3s/"[..], b"rke2/"]
        .iter()
        .find(|start| key.starts_with(start))
        .map(|_| InternalKey::Distribution(key))
}

/// Reads a key without its prefix.
fn below(rest: &[u8]) -> RegistryKey<'_> {
    let (first, tail) = split(rest).unwrap_or((rest, b""));
    match first {
        b"health" if tail.is_empty() => return RegistryKey::Internal(InternalKey::Health),
        b"ranges" => return RegistryKey::Internal(InternalKey::Range(tail)),
        b"masterleases" => return RegistryKey::Internal(InternalKey::MasterLease(tail)),
        b"peerserverleases" => return RegistryKey::Internal(InternalKey::PeerServerLease(tail)),
        _ => {}
    }
    let object = if let Some((resource, tail)) = Resource::at_path(rest) {
        object(tail, Some(resource.namespaced)).map(|(namespace, name)| ObjectKey {
            resource: resource.plural.as_bytes(),
            group: Some(resource.group.as_bytes()),
            built_in: Some(resource),
            namespace,
            name,
        })
    } else if first.contains(&b'.') {
        custom(first, tail)
    } else {
        unknown(first, tail)
    };
    object.map_or(RegistryKey::Other, RegistryKey::Object)
}

/// Namespace and name. Where the scope is not known the number of segments
/// tells: a name has no slash.
fn object(tail: &[u8], namespaced: Option<bool>) -> Option<(Option<&[u8]>, &[u8])> {
    let parts = match (namespaced, split(tail)) {
        (Some(false), _) | (None, None) => (None, tail),
        (_, Some((namespace, name))) => (Some(namespace), name),
        (Some(true), None) => return None,
    };
    let empty = parts.0.is_some_and(<[u8]>::is_empty) || parts.1.is_empty();
    (!empty).then_some(parts)
}

/// `<group>/<plural>/...`: a group of a custom resource always has a dot, and no
/// built-in type's path begins with such a segment, two exceptions aside.
fn custom<'a>(group: &'a [u8], tail: &'a [u8]) -> Option<ObjectKey<'a>> {
    let (resource, tail) = split(tail)?;
    if !is_name(resource, b"-") || !is_name(group, b"-.") {
        return None;
    }
    let (namespace, name) = object(tail, None)?;
    Some(ObjectKey { resource, group: Some(group), built_in: None, namespace, name })
}

/// A type without a group in its path that is not in the table: of a release
/// that is newer than it.
fn unknown<'a>(resource: &'a [u8], tail: &'a [u8]) -> Option<ObjectKey<'a>> {
    if !is_name(resource, b"-") {
        return None;
    }
    let (namespace, name) = object(tail, None)?;
    Some(ObjectKey { resource, group: None, built_in: None, namespace, name })
}

fn is_name(bytes: &[u8], also: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || also.contains(byte);
    !bytes.is_empty() && bytes.iter().all(allowed)
}

/// Before and behind the first slash.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = bytes.iter().position(|byte| *byte == b'/')?;
    let (before, behind) = bytes.split_at_checked(slash)?;
    Some((before, behind.get(1..)?))
}

/// Where API servers keep their keys: their `--etcd-prefix`.
///
/// A prefix has no slashes at its ends here. Servers put one before it; keys that
/// lack it are read all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefixes {
    /// Longest first, so that one inside another is met before it.
    prefixes: Vec<Vec<u8>>,
}

/// Kubernetes; Kubernetes as a part of OpenShift; OpenShift's own types.
const WELL_KNOWN: [&[u8]; 3] = [b"registry", b"kubernetes.io", b"openshift.io"];

impl Prefixes {
    /// Those of Kubernetes and OpenShift: `/registry`, `/kubernetes.io` and
    /// `/openshift.io`.
    pub fn well_known() -> Self {
        Self::new(WELL_KNOWN)
    }

    /// Prefixes as a user gives them, with or without slashes at their ends. The
    /// empty one stands for keys that begin with the resource.
    pub fn new<P: AsRef<[u8]>>(prefixes: impl IntoIterator<Item = P>) -> Self {
        let mut prefixes: Vec<_> =
            prefixes.into_iter().map(|prefix| trim_slashes(prefix.as_ref()).to_vec()).collect();
        prefixes.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        prefixes.dedup();
        Self { prefixes }
    }

    /// Which of the well-known prefixes a store with `keys` uses; `None` if it
    /// is not one of Kubernetes. A prefix counts if a built-in type or one of
    /// the server's own keys is below it. Looks at all keys unless every prefix
    /// was found.
    pub fn detect<'k>(keys: impl IntoIterator<Item = &'k [u8]>) -> Option<Self> {
        let mut missing = WELL_KNOWN.to_vec();
        for key in keys {
            let key = key.strip_prefix(b"/").unwrap_or(key);
            missing.retain(|prefix| {
                let rest = key.strip_prefix(*prefix).and_then(|rest| rest.strip_prefix(b"/"));
                !rest.is_some_and(|rest| match below(rest) {
                    RegistryKey::Object(object) => object.built_in.is_some(),
                    RegistryKey::Internal(_) => true,
                    RegistryKey::Other => false,
                })
            });
            if missing.is_empty() {
                break;
            }
        }
        let found: Vec<_> = WELL_KNOWN.into_iter().filter(|prefix| !missing.contains(prefix)).collect();
        (!found.is_empty()).then(|| Self::new(found))
    }

    /// The prefixes, longest first, without slashes at their ends.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.prefixes.iter().map(Vec::as_slice)
    }

    /// What all keys below a prefix begin with, in both spellings: `/registry/`
    /// and `registry/`.
    pub fn key_starts(&self) -> Vec<Vec<u8>> {
        let spell = |prefix: &[u8]| match prefix {
            b"" => vec![b"".to_vec()],
            _ => vec![[b"/", prefix, b"/"].concat(), [prefix, b"/"].concat()],
        };
        self.iter().flat_map(spell).collect()
    }

    /// `key` without its prefix and the slash behind; `None` if it has none of
    /// them.
    pub fn strip<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        let key = key.strip_prefix(b"/").unwrap_or(key);
        self.iter().find_map(|prefix| {
            if prefix.is_empty() {
                return Some(key);
            }
            key.strip_prefix(prefix)?.strip_prefix(b"/")
        })
    }
}

impl Default for Prefixes {
    fn default() -> Self {
        Self::well_known()
    }
}

fn trim_slashes(mut bytes: &[u8]) -> &[u8] {
    while let Some(shorter) = bytes.strip_prefix(b"/").or_else(|| bytes.strip_suffix(b"/")) {
        bytes = shorter;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `group/resource namespace|name`, or what else it is.
    fn shown(key: &[u8], prefixes: &Prefixes) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match RegistryKey::parse(key, prefixes) {
            RegistryKey::Object(object) => {
                let group = object.group.map_or("?".into(), text);
                let namespace = object.namespace.map(text).unwrap_or_default();
                format!("{group}/{} {namespace}|{}", text(object.resource), text(object.name))
            }
            RegistryKey::Internal(internal) => format!("{internal:?}"),
            RegistryKey::Other => "other".into(),
        }
    }

    #[test]
    fn keys_of_kubernetes() {
        let prefixes = Prefixes::well_known();
        for (key, expected) in [
            ("/registry/pods/default/web-1", "/pods default|web-1"),
            ("registry/pods/default/web-1", "/pods default|web-1"),
            ("/registry/minions/node1", "/nodes |node1"),
            ("/registry/services/specs/default/kubernetes", "/services default|kubernetes"),
            ("/registry/services/endpoints/default/kubernetes", "/endpoints default|kubernetes"),
            ("/registry/controllers/ns/rc", "/replicationcontrollers ns|rc"),
            ("/registry/ingress/shop/front", "networking.k8s.io/ingresses shop|front"),
            ("/registry/podsecuritypolicy/p", "policy/podsecuritypolicies |p"),
            ("/registry/clusterroles/system:node", "rbac.authorization.k8s.io/clusterroles |system:node"),
            (
                "/registry/apiregistration.k8s.io/apiservices/v1.apps",
                "apiregistration.k8s.io/apiservices |v1.apps",
            ),
            (
                "/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.example.com",
                "apiextensions.k8s.io/customresourcedefinitions |widgets.example.com",
            ),
            ("/registry/example.com/widgets/shop/w1", "example.com/widgets shop|w1"),
            ("/registry/example.com/clusterwidgets/w1", "example.com/clusterwidgets |w1"),
            ("/registry/newthings/ns/x", "?/newthings ns|x"),
            ("/registry/newthings/x", "?/newthings |x"),
            ("/registry/minions/a/b", "/nodes |a/b"),
            ("/registry/pods/ns/a/b", "/pods ns|a/b"),
            ("/registry/pods/x", "other"),
            ("/registry/pods/", "other"),
            ("/registry/pods", "other"),
            ("/registry/pods//x", "other"),
            ("/registry/pods/ns/", "other"),
            ("/registry/example.com/x", "other"),
            ("/registry/Example.com/widgets/w1", "other"),
            ("/registry/", "other"),
            ("/registry", "other"),
            ("/registryx/pods/ns/x", "other"),
            ("//registry/pods/ns/x", "other"),
            ("", "other"),
            ("/", "other"),
        ] {
            assert_eq!(shown(key.as_bytes(), &prefixes), expected, "{key}");
        }
        let odd = RegistryKey::parse(b"/registry/pods/n\xff/\0\xfe", &prefixes);
        let odd = odd.object().expect("an object");
        assert_eq!((odd.namespace, odd.name), (Some(&b"n\xff"[..]), &b"\0\xfe"[..]));
    }

    #[test]
    fn keys_that_are_no_objects() {
        let prefixes = Prefixes::well_known();
        let internal = |key: &'static str| match RegistryKey::parse(key.as_bytes(), &prefixes) {
            RegistryKey::Internal(internal) => (internal, internal.label()),
            other => unreachable!("{other:?}"),
        };
        assert_eq!(internal("/registry/ranges/serviceips"), (InternalKey::Range(b"serviceips"), "ranges"));
        assert_eq!(internal("/registry/ranges/servicenodeports").1, "ranges");
        assert_eq!(internal("/openshift.io/ranges/uids").1, "ranges");
        assert_eq!(
            internal("/registry/masterleases/10.0.0.1"),
            (InternalKey::MasterLease(b"10.0.0.1"), "masterleases")
        );
        assert_eq!(internal("/kubernetes.io/peerserverleases/a").1, "peerserverleases");
        assert_eq!(internal("compact_rev_key").1, "compact_rev_key");
        assert_eq!(internal("/registry/health").1, "health");
        assert_eq!(internal("/bootstrap/0a1b"), (InternalKey::Bootstrap(b"0a1b"), "bootstrap"));
        assert_eq!(internal("/bootstrap").1, "bootstrap");
        assert_eq!(internal("k3s/apiaddresses").1, "distribution");
        assert_eq!(internal("rke2/etcd/learnerProgress").1, "distribution");
        assert_eq!(shown(b"/bootstrapped", &prefixes), "other");
        assert_eq!(shown(b"/registry/health/x", &prefixes), "?/health |x");
    }

    #[test]
    fn keys_of_openshift() {
        let prefixes = Prefixes::well_known();
        for (key, expected) in [
            ("/kubernetes.io/pods/ns/p", "/pods ns|p"),
            ("/openshift.io/routes/shop/front", "route.openshift.io/routes shop|front"),
            ("/openshift.io/oauth/clients/console", "oauth.openshift.io/oauthclients |console"),
            (
                "/openshift.io/oauth/clientauthorizations/u:system:serviceaccount:ns:c",
                "oauth.openshift.io/oauthclientauthorizations |u:system:serviceaccount:ns:c",
            ),
            ("/openshift.io/useridentities/github:u", "user.openshift.io/identities |github:u"),
            ("/openshift.io/authorization/local/policies/ns/p", "authorization.openshift.io/policies ns|p"),
            ("/openshift.io/registry/sdnsubnets/node1", "network.openshift.io/hostsubnets |node1"),
            ("/openshift.io/images/sha256:0a", "image.openshift.io/images |sha256:0a"),
            (
                "/kubernetes.io/config.openshift.io/clusteroperators/dns",
                "config.openshift.io/clusteroperators |dns",
            ),
        ] {
            assert_eq!(shown(key.as_bytes(), &prefixes), expected, "{key}");
        }
    }

    #[test]
    fn prefixes_as_users_give_them() {
        for prefix in ["my/cluster", "/my/cluster", "my/cluster/", "//my/cluster//"] {
            let prefixes = Prefixes::new([prefix]);
            assert_eq!(shown(b"/my/cluster/pods/ns/p", &prefixes), "/pods ns|p");
            assert_eq!(shown(b"my/cluster/pods/ns/p", &prefixes), "/pods ns|p");
            assert_eq!(shown(b"/registry/pods/ns/p", &prefixes), "other");
            assert_eq!(prefixes.key_starts(), [&b"/my/cluster/"[..], b"my/cluster/"]);
        }
        for prefix in ["", "/"] {
            assert_eq!(shown(b"/pods/ns/p", &Prefixes::new([prefix])), "/pods ns|p");
            assert_eq!(Prefixes::new([prefix]).key_starts(), [b""]);
        }
        let nested = Prefixes::new(["a", "a/b", "/a/"]);
        assert_eq!(nested.iter().collect::<Vec<_>>(), [&b"a/b"[..], b"a"]);
        assert_eq!(shown(b"/a/b/pods/ns/p", &nested), "/pods ns|p");
        assert_eq!(shown(b"/a/pods/ns/p", &nested), "/pods ns|p");
    }

    #[test]
    fn the_store_shows_its_prefixes() {
        let detect = |keys: &[&'static str]| {
            let found = Prefixes::detect(keys.iter().map(|key| key.as_bytes()))?;
            Some(found.iter().map(|prefix| String::from_utf8_lossy(prefix).into_owned()).collect::<Vec<_>>())
        };
        assert_eq!(detect(&["a", "/registry/minions/n", "compact_rev_key"]), Some(vec!["registry".into()]));
        assert_eq!(detect(&["registry/ranges/serviceips"]), Some(vec!["registry".into()]));
        let openshift = ["/kubernetes.io/minions/n", "/openshift.io/routes/ns/r", "/registry/x"];
        assert_eq!(detect(&openshift), Some(vec!["kubernetes.io".into(), "openshift.io".into()]));
        assert_eq!(detect(&["/registry/docker/image", "k1", "/a.b/c/d", "compact_rev_key"]), None);
        assert_eq!(detect(&[]), None);
    }

    proptest! {
        #[test]
        fn any_key_can_be_read(key: Vec<u8>, prefix: Vec<u8>, tail in "[a-z./]{0,30}") {
            let prefixes = Prefixes::new([prefix.as_slice(), b"registry"]);
            let _ = RegistryKey::parse(&key, &prefixes);
            let _ = RegistryKey::parse(&[&b"/registry/"[..], &key].concat(), &prefixes);
            let _ = RegistryKey::parse(format!("/registry/{tail}").as_bytes(), &prefixes);
            let _ = Prefixes::detect([key.as_slice()]);
        }

        #[test]
        fn an_object_is_read_back(namespace in "[a-z0-9.:-]{1,20}", name in "[a-z0-9.:-]{1,20}") {
            for resource in super::super::resources::RESOURCES {
                let Some(path) = resource.path else { continue };
                let key = match resource.namespaced {
                    true => format!("/registry/{path}/{namespace}/{name}"),
                    false => format!("/registry/{path}/{name}"),
                };
                let parsed = RegistryKey::parse(key.as_bytes(), &Prefixes::well_known());
                let object = parsed.object().expect("an object");
                prop_assert_eq!(object.built_in, Some(resource));
                prop_assert_eq!(object.namespace, resource.namespaced.then_some(namespace.as_bytes()));
                prop_assert_eq!(object.name, name.as_bytes());
            }
        }
    }
}
