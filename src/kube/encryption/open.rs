//! Opening values for whoever wants to read them, with a configuration or without.

use super::{Keyring, Locked, Opened, Why};
use crate::kube::envelope::ENCRYPTED_MAGIC;
use crate::kube::registry_key::{Prefixes, RegistryKey};

/// Opens the value `stored` under `etcd_key` with `keys`, if there are any.
///
/// What is in plain text is given back as it is, although a server whose
/// configuration has no `identity` for it would refuse it: whoever has a backup
/// wants to read what is there. Audits, which ask what a server would do, ask the
/// [`Keyring`].
///
/// # Errors
/// If it is encrypted, or begins like it, and is not opened.
pub fn open<'v>(
    keys: Option<&Keyring>,
    prefixes: &Prefixes,
    etcd_key: &[u8],
    stored: &'v [u8],
) -> Result<Opened<'v>, Locked<'v>> {
    if !stored.starts_with(ENCRYPTED_MAGIC) {
        return Ok(Opened::stored(stored, false));
    }
    match keys {
        Some(keys) => keys.open_at(&RegistryKey::parse(etcd_key, prefixes), etcd_key, stored),
        None => Err(Locked::new(stored, Why::NoConfiguration)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"/registry/secrets/shop/db";

    fn keyring() -> Keyring {
        let secret = "c2VjcmV0IGlzIHNlY3VyZSwgb3IgaXMgaXQ/Pz8/Pz8=";
        let text = format!(
            "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n\
             - resources: [secrets]\n  providers: [{{secretbox: {{keys: [{{name: k, secret: {secret}}}]}}}}]\n"
        );
        Keyring::parse(text.as_bytes()).expect("a configuration")
    }

    #[test]
    fn plain_text_is_read_whatever_the_rules_say() {
        let prefixes = Prefixes::well_known();
        let keys = keyring();
        let registry = RegistryKey::parse(KEY, &prefixes);
        assert_eq!(keys.open_at(&registry, KEY, b"{}").expect_err("refused").why, Why::PlainText);
        for keys in [None, Some(&keys)] {
            assert_eq!(&*open(keys, &prefixes, KEY, b"{}").expect("read"), b"{}");
        }
    }

    #[test]
    fn what_stays_closed_says_why() {
        let prefixes = Prefixes::well_known();
        let keys = keyring();
        let why = |keys, stored| open(keys, &prefixes, KEY, stored).expect_err("closed").why;
        let stored = b"k8s:enc:aescbc:v1:k:0123456789abcdef0123456789abcdef";
        assert_eq!(why(None, stored), Why::NoConfiguration);
        assert_eq!(why(Some(&keys), stored), Why::NoProvider);
        for keys in [None, Some(&keys)] {
            assert_eq!(why(keys, b"k8s:enc:"), Why::Header);
        }
    }
}
