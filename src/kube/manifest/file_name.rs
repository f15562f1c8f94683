//! Names of files for objects that may be called anything.
//!
//! ```text
//! shop/deployment.apps/web.yaml          namespace/kind.group/name
//! shop/configmap/app-config.yaml         of the core group
//! _cluster/clusterrole.rbac.authorization.k8s.io/my%3arole.yaml
//! ```
//!
//! Each part of the path is one ordinary file name on any system: letters,
//! digits, `.`, `-` and `_` stand for themselves, every other byte is `%` and two
//! hex digits. So is a first character that is neither letter nor digit, a last
//! dot, and the first letter of names that Windows keeps for devices. A part that
//! would get too long is cut and has the SHA-256 of the whole behind it. Two
//! names never become the same, but for letters' case: kinds are in small
//! letters, and some file systems do not tell case. Who writes the files must
//! therefore be ready to find a name taken, and number the others ([`ObjectPath::file`]).

use sha2::{Digest, Sha256};

use super::identity::Identity;

/// Longest name of a file on common file systems.
const LONGEST: usize = 255;
/// Left of that for an ending and a number.
const ROOM: usize = 16;
/// Where objects are that are in no namespace. No namespace becomes that.
pub const CLUSTER: &str = "_cluster";

/// The parts of an object's path: two directories, and a file without its
/// ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPath {
    /// The namespace, or [`CLUSTER`].
    pub namespace: String,
    /// `deployment.apps`.
    pub resource: String,
    /// The name.
    pub name: String,
}

impl ObjectPath {
    /// Of any object, whatever it says.
    pub fn of(identity: &Identity<'_>) -> Self {
        let namespace = match identity.namespace {
            "" => CLUSTER.to_owned(),
            namespace => part(namespace, ""),
        };
        // A dot ends the kind, so there is none in it.
        let kind = identity.kind.to_ascii_lowercase();
        let resource = match identity.group {
            "" => part(&kind, "."),
            group => {
                fit(format!("{}.{}", escape(&kind, "."), escape_tail(group)), &format!("{kind}\0{group}"))
            }
        };
        Self { namespace, resource, name: part(identity.name, "") }
    }

    /// The file's name with `ending`; if `number` is more than one that is in it.
    /// No name of an object becomes a numbered one.
    pub fn file(&self, number: u32, ending: &str) -> String {
        match number {
            0 | 1 => format!("{}.{ending}", self.name),
            _ => format!("{}~{number}.{ending}", self.name),
        }
    }
}

fn part(text: &str, also: &str) -> String {
    fit(escape(text, also), text)
}

/// Cuts what is too long, and tells it from all others by its digest.
fn fit(escaped: String, whole: &str) -> String {
    const DIGEST: usize = 64;
    let limit = LONGEST.saturating_sub(ROOM);
    if escaped.len() <= limit {
        return escaped;
    }
    let mut start = escaped.get(..limit.saturating_sub(DIGEST + 1)).unwrap_or_default();
    // Not in the midst of an escaped byte.
    if let Some(at) = start.rfind('%')
        && start.len().saturating_sub(at) < 3
    {
        start = start.get(..at).unwrap_or_default();
    }
    let digest: String = Sha256::digest(whole.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{start}~{digest}")
}

/// Escapes what is no letter, digit, `.`, `-` or `_`, or is in `also`, and what
/// must not stand where it stands. Of nothing it makes a single `%`.
fn escape(text: &str, also: &str) -> String {
    if text.is_empty() {
        return "%".to_owned();
    }
    let last = text.len().saturating_sub(1);
    let device = is_device(text);
    let mut escaped = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let plain = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => !(at == 0 && device),
            b'.' | b'-' | b'_' => at != 0 && !(byte == b'.' && at == last),
            _ => false,
        };
        push(&mut escaped, byte, plain && !also.as_bytes().contains(&byte));
    }
    escaped
}

/// A group, behind a kind and a dot: nothing in it is first.
fn escape_tail(group: &str) -> String {
    let last = group.len().saturating_sub(1);
    let mut escaped = String::with_capacity(group.len());
    for (at, byte) in group.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (byte == b'.' && at != last);
        push(&mut escaped, byte, plain);
    }
    escaped
}

fn push(escaped: &mut String, byte: u8, plain: bool) {
    if plain {
        escaped.push(char::from(byte));
    } else {
        escaped.push_str(&format!("%{byte:02x}"));
    }
}

/// Whether Windows takes this, with any ending, for a device.
fn is_device(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let numbered = |name: &str| {
        stem.strip_prefix(name)
            .is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;

    fn identity<'v>(namespace: &'v str, group: &'v str, kind: &'v str, name: &'v str) -> Identity<'v> {
        Identity { group, version: "v1", kind, namespace, name, built_in: None }
    }

    fn path(namespace: &str, group: &str, kind: &str, name: &str) -> String {
        let path = ObjectPath::of(&identity(namespace, group, kind, name));
        format!("{}/{}/{}", path.namespace, path.resource, path.file(1, "yaml"))
    }

    #[test]
    fn ordinary_names_stay_as_they_are() {
        assert_eq!(path("shop", "apps", "Deployment", "web"), "shop/deployment.apps/web.yaml");
        assert_eq!(path("shop", "", "ConfigMap", "app.config-1"), "shop/configmap/app.config-1.yaml");
        assert_eq!(
            path("", "rbac.authorization.k8s.io", "ClusterRole", "My_Role:x"),
            "_cluster/clusterrole.rbac.authorization.k8s.io/My_Role%3ax.yaml"
        );
    }

    #[test]
    fn no_name_leaves_its_directory_or_means_anything_to_a_shell_or_a_system() {
        for (name, expected) in [
            ("..", "%2e%2e"),
            (".", "%2e"),
            ("../../etc/passwd", "%2e.%2f..%2fetc%2fpasswd"),
            ("", "%"),
            ("%", "%25"),
            ("a/b\\c", "a%2fb%5cc"),
            ("a\0b\n", "a%00b%0a"),
            ("\u{1b}[31m", "%1b%5b31m"),
            ("-rf", "%2drf"),
            ("_cluster", "%5fcluster"),
            (".hidden", "%2ehidden"),
            ("a.", "a%2e"),
            ("~1", "%7e1"),
            ("con", "%63on"),
            ("Nul.txt", "%4eul.txt"),
            ("com1", "%63om1"),
            ("com10", "com10"),
            ("console", "console"),
            ("\u{e9}", "%c3%a9"),
        ] {
            let path = ObjectPath::of(&identity(name, "", "K", name));
            assert_eq!(path.name, expected);
            assert_eq!(path.namespace, if name.is_empty() { CLUSTER } else { expected });
        }
        assert_eq!(path("n", "b.c", "A.b", "x"), "n/a%2eb.b.c/x.yaml");
        assert_eq!(path("n", "c", "A.b.b", "x"), "n/a%2eb%2eb.c/x.yaml");
        assert_eq!(path("n", "", "", "x"), "n/%/x.yaml");
        assert_eq!(path("n", "../..", "K", "x"), "n/k...%2f.%2e/x.yaml");
    }

    #[test]
    fn long_names_are_cut_and_still_differ() {
        let name = |last: char| format!("{}{last}", "a".repeat(252));
        let of = |name: &str| ObjectPath::of(&identity("n", "", "K", name));
        let (a, b) = (name('a'), name('b'));
        assert_ne!(of(&a).name, of(&b).name);
        assert!(of(&a).file(u32::MAX, "json").len() <= LONGEST);
        assert!(of(&a).name.starts_with(&"a".repeat(100)));
        let longest = "a".repeat(LONGEST - ROOM);
        assert_eq!(of(&longest).name, longest);
        // A cut name does not end within an escaped byte.
        for spaces in 80..90 {
            let cut = of(&" ".repeat(spaces)).name;
            let (start, _) = cut.split_once('~').expect("cut");
            assert_eq!(start.len() % 3, 0);
        }
    }

    #[test]
    fn numbered_files_are_nobody_elses() {
        let path = ObjectPath::of(&identity("n", "", "K", "x"));
        assert_eq!((path.file(1, "yaml"), path.file(2, "yaml")), ("x.yaml".into(), "x~2.yaml".into()));
        assert_eq!(ObjectPath::of(&identity("n", "", "K", "x~2")).file(1, "yaml"), "x%7e2.yaml");
    }

    fn is_safe(part: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_%~".contains(&byte);
        !part.is_empty()
            && part.len() <= LONGEST - ROOM
            && part.bytes().all(plain)
            && !part.starts_with(['.', '-', '~'])
            && !part.ends_with('.')
    }

    /// Text that likes to hit the rules: short, of few characters.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[./%~a:_-]{0,4}",
            "(con|aux|a)[.]?[a1%]{0,2}",
            "\\PC{0,8}",
            "[a%.]{235,260}",
            any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn every_part_of_every_path_is_a_safe_name(a in text(), b in text(), c in text(), d in text()) {
            let path = ObjectPath::of(&identity(&a, &b, &c, &d));
            prop_assert!(path.namespace == CLUSTER || is_safe(&path.namespace), "{path:?}");
            prop_assert!(is_safe(&path.resource) && is_safe(&path.name), "{path:?}");
        }

        #[test]
        fn different_objects_have_different_paths(texts in proptest::collection::vec((text(), text(), text()), 2..40)) {
            let mut seen = HashMap::new();
            for (group, kind, name) in &texts {
                let key = (name.clone(), group.clone(), kind.to_ascii_lowercase(), name.clone());
                let path = ObjectPath::of(&identity(name, group, kind, name));
                let path = (path.namespace, path.resource, path.name);
                if let Some(other) = seen.insert(path.clone(), key.clone()) {
                    prop_assert_eq!(other, key, "{:?}", path);
                }
            }
        }
    }
}
