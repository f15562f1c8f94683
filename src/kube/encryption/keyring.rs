//! The keys of a configuration, and opening values with them.

use std::borrow::Cow;
use std::ops::Deref;

use zeroize::Zeroizing;

use super::cipher::{Cipher, Closed, cipher};
use super::config::{Config, ProviderConfig};
use super::faulty::{ConfigError, Invalid, Remark};
use super::locked::{Locked, Why};
use super::rules::{Rule, Rules};
use crate::kube::envelope::{ENCRYPTED_MAGIC, Encrypted, Provider};
use crate::kube::registry_key::{InternalKey, RegistryKey};

/// A key of a [`Keyring`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(usize);

impl KeyId {
    /// Its number among the keys of the file, from 0.
    pub fn index(self) -> usize {
        self.0
    }
}

/// What is known of a key, but for the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// `aescbc`, `aesgcm` or `secretbox`.
    pub provider: Provider<'static>,
    /// Its name.
    pub name: String,
    /// Where it stands in the file: `resources[0].providers[0].aescbc.keys[0]`.
    pub place: String,
}

struct Key {
    info: KeyInfo,
    /// What values behind the provider's header begin with: name and colon.
    start: Vec<u8>,
    cipher: Box<dyn Cipher>,
}

/// A provider of the configuration.
enum Provided {
    Identity,
    /// Keys by their index.
    Keys {
        header: Vec<u8>,
        keys: Vec<usize>,
    },
    Kms {
        header: Vec<u8>,
    },
}

/// An `EncryptionConfiguration`: rules for resources, providers and keys. The
/// keys are wiped when it is dropped, and shown by nothing that it implements.
pub struct Keyring {
    rules: Rules,
    providers: Vec<Provided>,
    keys: Vec<Key>,
    remarks: Vec<Remark>,
}

/// A value in plain text. Wiped when it is dropped, if it was encrypted.
pub struct Opened<'v> {
    text: Text<'v>,
    /// The key that opened it; `None` if it was in plain text.
    pub key: Option<KeyId>,
    /// Whether a server would write it in another way now: with another key, or
    /// not in plain text, or in plain text.
    pub stale: bool,
}

enum Text<'v> {
    Stored(&'v [u8]),
    Plain(Zeroizing<Vec<u8>>),
}

impl Deref for Opened<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.text {
            Text::Stored(bytes) => bytes,
            Text::Plain(bytes) => bytes,
        }
    }
}

impl<'v> Opened<'v> {
    pub(super) fn stored(bytes: &'v [u8], stale: bool) -> Self {
        Self { text: Text::Stored(bytes), key: None, stale }
    }

    /// The bytes, for those who keep them longer. What was encrypted is then
    /// theirs to wipe.
    pub fn into_bytes(self) -> Cow<'v, [u8]> {
        match self.text {
            Text::Stored(bytes) => Cow::Borrowed(bytes),
            Text::Plain(mut bytes) => Cow::Owned(std::mem::take(&mut *bytes)),
        }
    }
}

impl std::fmt::Debug for Opened<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { text: _, key, stale } = self;
        f.debug_struct("Opened").field("key", key).field("stale", stale).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<_> = self.keys.iter().map(|key| &key.info).collect();
        f.debug_struct("Keyring").field("rules", &self.rules).field("keys", &keys).finish_non_exhaustive()
    }
}

impl Keyring {
    /// A file of more bytes than this is none: a hundred keys need a tenth. The time
    /// that a YAML parser needs grows with the square of the length if lists are
    /// opened and never closed; at this length it is seconds.
    pub const LIMIT: usize = 128 << 10;

    /// Reads a configuration file, YAML or JSON. The caller wipes `text`.
    ///
    /// # Errors
    /// If no API server could start with it. No message holds a secret.
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        let Config { entries, remarks } = Config::parse(text)?;
        let mut ring = Self { rules: Rules::default(), providers: Vec::new(), keys: Vec::new(), remarks };
        let mut invalid = Vec::new();
        for (number, entry) in entries.into_iter().enumerate() {
            let first = ring.providers.len();
            entry.providers.into_iter().for_each(|provider| ring.add(provider));
            let providers: Vec<usize> = (first..ring.providers.len()).collect();
            for (index, target) in entry.resources.iter().enumerate() {
                if let Err(fault) = ring.rules.add(target, &providers) {
                    invalid.push(Invalid { place: format!("resources[{number}].resources[{index}]"), fault });
                }
            }
        }
        if invalid.is_empty() { Ok(ring) } else { Err(ConfigError::Invalid(invalid)) }
    }

    fn add(&mut self, config: ProviderConfig) {
        let provided = match config {
            ProviderConfig::Identity => Provided::Identity,
            ProviderConfig::Kms { version, name } => {
                Provided::Kms { header: format!("k8s:enc:kms:{version}:{name}:").into_bytes() }
            }
            ProviderConfig::Keys { provider, keys: configs } => {
                let mut keys = Vec::new();
                for config in configs {
                    // All lengths were checked.
                    let Some(cipher) = cipher(provider, &config.secret) else { continue };
                    keys.push(self.keys.len());
                    let start = format!("{}:", config.name).into_bytes();
                    let info = KeyInfo { provider, name: config.name, place: config.place };
                    self.keys.push(Key { info, start, cipher });
                }
                Provided::Keys { header: format!("k8s:enc:{provider}:v1:").into_bytes(), keys }
            }
        };
        self.providers.push(provided);
    }

    /// What is odd about the file, though it can be used.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// All keys, in the order of the file.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = (KeyId, &KeyInfo)> {
        self.keys.iter().enumerate().map(|(index, key)| (KeyId(index), &key.info))
    }

    /// What is known of a key.
    pub fn key(&self, id: KeyId) -> Option<&KeyInfo> {
        self.keys.get(id.0).map(|key| &key.info)
    }

    /// Opens the value `stored` under `etcd_key`, an object of `resource` in
    /// `group` (empty for the core group), as an API server with this
    /// configuration would. A value in plain text is given back as it is.
    ///
    /// Two differences: a server that asks a KMS may open more, and one that
    /// tries a wrong aescbc key takes, once in 256 times, what comes out for the
    /// plaintext, while here it has to look like an object.
    ///
    /// # Errors
    /// If a server could not read it, [`Why::PlainText`] among the reasons.
    pub fn open<'v>(
        &self,
        group: &[u8],
        resource: &[u8],
        etcd_key: &[u8],
        stored: &'v [u8],
    ) -> Result<Opened<'v>, Locked<'v>> {
        self.open_by(self.rules.of(group, resource), etcd_key, stored)
    }

    /// As [`open`](Self::open), for what an etcd key stands for. Where the key
    /// does not tell the group of a resource, every rule is tried that may be
    /// for it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_at<'v>(
        &self,
        key: &RegistryKey<'_>,
        etcd_key: &[u8],
        stored: &'v [u8],
    ) -> Result<Opened<'v>, Locked<'v>> {
        match key {
            RegistryKey::Object(object) => match object.group {
                Some(group) => self.open(group, object.resource, etcd_key, stored),
                None => self.open_by_any(self.rules.of_any_group(object.resource), etcd_key, stored),
            },
            // Not encrypted since 1.27, whatever the rules.
            RegistryKey::Internal(internal) if stored.starts_with(ENCRYPTED_MAGIC) => {
                let rules = once_under(internal).iter().filter_map(|name| self.rules.named(b"", name));
                self.open_by_any(rules, etcd_key, stored)
            }
            RegistryKey::Internal(_) | RegistryKey::Other => self.open_by(None, etcd_key, stored),
        }
    }

    /// Opens with the first rule that can; without any, as an API server does
    /// that has no rule.
    fn open_by_any<'v, 'r>(
        &self,
        rules: impl Iterator<Item = &'r Rule>,
        etcd_key: &[u8],
        stored: &'v [u8],
    ) -> Result<Opened<'v>, Locked<'v>> {
        let mut telling: Option<Locked<'v>> = None;
        for rule in rules {
            match self.open_by(Some(rule), etcd_key, stored) {
                Ok(opened) => return Ok(opened),
                Err(locked) if telling.is_none_or(|other| other.why < locked.why) => telling = Some(locked),
                Err(_) => {}
            }
        }
        telling.map_or_else(|| self.open_by(None, etcd_key, stored), Err)
    }

    fn open_by<'v>(
        &self,
        rule: Option<&Rule>,
        etcd_key: &[u8],
        stored: &'v [u8],
    ) -> Result<Opened<'v>, Locked<'v>> {
        let is_plain = !stored.starts_with(ENCRYPTED_MAGIC);
        let Some(rule) = rule else {
            return match is_plain {
                true => Ok(Opened::stored(stored, false)),
                false => Err(self.locked(Why::NotCovered, etcd_key, stored)),
            };
        };
        // Providers may overlap: none that fails keeps the next from being tried.
        let mut why = Why::NoProvider;
        for (place, index) in rule.providers.iter().enumerate() {
            match self.providers.get(*index) {
                Some(Provided::Identity) if is_plain => return Ok(Opened::stored(stored, place > 0)),
                Some(Provided::Keys { header, keys }) => {
                    let Some(rest) = stored.strip_prefix(header.as_slice()) else { continue };
                    match self.try_keys(keys, rest, etcd_key) {
                        Ok((nth, key, plain)) => {
                            let stale = place > 0 || nth > 0;
                            return Ok(Opened { text: Text::Plain(plain), key: Some(key), stale });
                        }
                        Err(failed) => why = why.max(failed),
                    }
                }
                Some(Provided::Kms { header }) if stored.starts_with(header) => why = why.max(Why::Kms),
                _ => {}
            }
        }
        Err(self.locked(why, etcd_key, stored))
    }

    /// Tries the keys of one provider whose name a value begins with.
    fn try_keys(
        &self,
        keys: &[usize],
        rest: &[u8],
        etcd_key: &[u8],
    ) -> Result<(usize, KeyId, Zeroizing<Vec<u8>>), Why> {
        let mut why = Why::NoKey;
        for (nth, index) in keys.iter().enumerate() {
            let Some(key) = self.keys.get(*index) else { continue };
            let Some(payload) = rest.strip_prefix(key.start.as_slice()) else { continue };
            match key.cipher.open(payload, etcd_key) {
                Ok(plain) => return Ok((nth, KeyId(*index), plain)),
                Err(closed) => why = why.max(closed.into()),
            }
        }
        Err(why)
    }

    /// A value that stays closed, with the key that would open it if it had the
    /// right name and place.
    fn locked<'v>(&self, why: Why, etcd_key: &[u8], stored: &'v [u8]) -> Locked<'v> {
        let mut locked = Locked::new(stored, why);
        if let Some(encrypted) = locked.encrypted
            && matches!(why, Why::NotCovered | Why::NoProvider | Why::NoKey | Why::WrongKey)
        {
            locked.other_key = self.any_key(&encrypted, etcd_key);
        }
        locked
    }

    fn any_key(&self, encrypted: &Encrypted<'_>, etcd_key: &[u8]) -> Option<KeyId> {
        if encrypted.version != b"v1" {
            return None;
        }
        let opens = |key: &Key| {
            let same = key.info.provider == encrypted.provider;
            same && !matches!(
                key.cipher.open(encrypted.payload, etcd_key),
                Err(Closed::Length | Closed::WrongKey)
            )
        };
        self.keys.iter().position(opens).map(KeyId)
    }
}

/// The resources whose rules servers before 1.27 used for what they keep for
/// themselves.
///
/// Source: kubernetes `pkg/registry/core/rest/storage_core.go` and
/// `pkg/controlplane/instance.go` up to 1.26: the argument of `NewConfig`.
fn once_under(key: &InternalKey<'_>) -> &'static [&'static [u8]] {
    match key {
        InternalKey::Range(b"serviceips" | b"secondaryserviceips") => &[b"services", b"serviceipallocations"],
        InternalKey::Range(b"servicenodeports") => &[b"services", b"servicenodeportallocations"],
        InternalKey::MasterLease(_) => &[b"apiServerIPInfo", b"apiserveripinfo"],
        _ => &[],
    }
}
