//! The configuration file: YAML or JSON, parsed and checked.
//!
//! What no API server could start with is an error. What servers refuse today
//! and took once is a [`Remark`]: the backup may be of an older cluster.
//!
//! The file is the user's own, but its secrets must not get into a message, nor
//! stay in memory: an error quotes nothing that it does not know, and what is
//! read is wiped when it is dropped.
//!
//! Source: kubernetes `staging/src/k8s.io/apiserver/pkg/apis/apiserver/v1/
//! types_encryption.go` and `.../validation/validation_encryption.go`, 1.35.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::{Zeroize as _, Zeroizing};

use super::faulty::{ConfigError, Fault, Invalid, Odd, Remark, decode_error};
use super::keyring::Keyring;
use super::rules::GroupResource;
use crate::kube::envelope::Provider;

/// Lengths of keys in bytes.
const AES_LENGTHS: &[usize] = &[16, 24, 32];
const SECRETBOX_LENGTHS: &[usize] = &[32];

/// A configuration that can be worked with.
pub(super) struct Config {
    pub(super) entries: Vec<Entry>,
    pub(super) remarks: Vec<Remark>,
}

/// One element of `resources`.
pub(super) struct Entry {
    pub(super) resources: Vec<GroupResource>,
    pub(super) providers: Vec<ProviderConfig>,
}

/// One element of `providers`.
pub(super) enum ProviderConfig {
    Identity,
    Keys { provider: Provider<'static>, keys: Vec<KeyConfig> },
    Kms { version: &'static str, name: String },
}

pub(super) struct KeyConfig {
    pub(super) name: String,
    pub(super) secret: Zeroizing<Vec<u8>>,
    /// Where it stands: `resources[0].providers[0].aescbc.keys[0]`.
    pub(super) place: String,
}

// The document as it is written. Everything may be missing, as for Go.

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping with apiVersion, kind and resources")]
struct Head {
    api_version: Option<String>,
    kind: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with apiVersion, kind and resources")]
struct Document {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    resources: Option<Vec<RawEntry>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with resources and providers")]
struct RawEntry {
    resources: Option<Vec<String>>,
    providers: Option<Vec<RawProvider>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with one provider")]
struct RawProvider {
    aesgcm: Option<RawKeys>,
    aescbc: Option<RawKeys>,
    secretbox: Option<RawKeys>,
    identity: Option<RawIdentity>,
    kms: Option<RawKms>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with keys")]
struct RawKeys {
    keys: Option<Vec<RawKey>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{}`")]
struct RawIdentity {}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, expecting = "a mapping with name and secret")]
struct RawKey {
    name: Option<String>,
    secret: Option<Zeroizing<String>>,
}

/// Where the plugin is and how long to wait for it does not matter here.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default, expecting = "a mapping with name")]
struct RawKms {
    api_version: Option<String>,
    name: Option<String>,
    #[serde(rename = "cachesize")]
    _cache_size: IgnoredAny,
    #[serde(rename = "endpoint")]
    _endpoint: IgnoredAny,
    #[serde(rename = "timeout")]
    _timeout: IgnoredAny,
}

impl Config {
    /// Reads a configuration.
    pub(super) fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        if text.is_empty() {
            return Err(ConfigError::Empty);
        }
        if text.len() > Keyring::LIMIT {
            return Err(ConfigError::TooLong);
        }
        let head: Option<Head> = decode(text)?;
        let Head { api_version, kind } = head.unwrap_or_default();
        let named = (api_version.as_deref().unwrap_or_default(), kind.as_deref().unwrap_or_default());
        // The second is from a mistake in the documentation of 1.7 to 1.12.
        let known = [("apiserver.config.k8s.io/v1", "EncryptionConfiguration"), ("v1", "EncryptionConfig")];
        if !known.contains(&named) {
            let (api_version, kind) = (named.0.to_owned(), named.1.to_owned());
            return Err(ConfigError::Kind { api_version, kind });
        }
        let document: Option<Document> = decode(text)?;
        let mut checked = Checking::default();
        let entries = checked.entries(document.unwrap_or_default());
        if !checked.invalid.is_empty() {
            return Err(ConfigError::Invalid(checked.invalid));
        }
        Ok(Self { entries, remarks: checked.remarks })
    }
}

/// Reads JSON, or the first document of YAML.
fn decode<T: for<'de> Deserialize<'de>>(text: &[u8]) -> Result<Option<T>, ConfigError> {
    // Most JSON is YAML, but not all of it, and JSON has the better errors.
    if text.trim_ascii_start().first() == Some(&b'{') {
        match serde_json::from_slice(text) {
            Ok(value) => return Ok(Some(value)),
            Err(error) if error.is_data() => {
                let place = Some((error.line(), error.column()));
                return Err(decode_error(&error.to_string(), place));
            }
            Err(_) => {}
        }
    }
    let Some(document) = yaml_serde::Deserializer::from_slice(text).next() else { return Ok(None) };
    Option::<T>::deserialize(document).map_err(|error| {
        let place = error.location().map(|location| (location.line(), location.column()));
        decode_error(&error.to_string(), place)
    })
}

/// What was found on the way through a document.
#[derive(Default)]
struct Checking {
    invalid: Vec<Invalid>,
    remarks: Vec<Remark>,
    kms_names: Vec<String>,
}

impl Checking {
    fn refuse(&mut self, place: impl Into<String>, fault: Fault) {
        self.invalid.push(Invalid { place: place.into(), fault });
    }

    fn entries(&mut self, document: Document) -> Vec<Entry> {
        let raw = document.resources.unwrap_or_default();
        if raw.is_empty() {
            self.refuse("resources", Fault::NoElements);
        }
        let entry = |(index, raw)| self.entry(&format!("resources[{index}]"), raw);
        raw.into_iter().enumerate().map(entry).collect()
    }

    fn entry(&mut self, place: &str, raw: RawEntry) -> Entry {
        let names = raw.resources.unwrap_or_default();
        let resources: Vec<_> = names.iter().map(|name| GroupResource::parse(name)).collect();
        self.resources(&format!("{place}.resources"), &names, &resources);
        let raw = raw.providers.unwrap_or_default();
        if raw.is_empty() {
            self.refuse(format!("{place}.providers"), Fault::NoElements);
        }
        let mut providers = Vec::new();
        for (index, raw) in raw.into_iter().enumerate() {
            providers.extend(self.provider(&format!("{place}.providers[{index}]"), raw));
        }
        Entry { resources, providers }
    }

    fn resources(&mut self, place: &str, names: &[String], resources: &[GroupResource]) {
        if names.is_empty() {
            self.refuse(place, Fault::NoElements);
        }
        for (index, (name, resource)) in names.iter().zip(resources).enumerate() {
            let place = format!("{place}[{index}]");
            if name == "*" {
                self.refuse(place, Fault::Star);
                continue;
            }
            if resources.iter().any(|other| resource != other && resource.covers(other)) {
                self.refuse(place, Fault::Overlap { name: name.clone() });
                continue;
            }
            let before = resources.get(..index).unwrap_or_default();
            let twice = before.contains(resource).then_some(Odd::Twice);
            if let Some(odd) = twice.or_else(|| resource.oddity()) {
                self.remarks.push(Remark { place, name: name.clone(), odd });
            }
        }
    }

    fn provider(&mut self, place: &str, raw: RawProvider) -> Option<ProviderConfig> {
        let RawProvider { aesgcm, aescbc, secretbox, identity, kms } = raw;
        let there = [
            (aesgcm.is_some(), "aesgcm"),
            (aescbc.is_some(), "aescbc"),
            (secretbox.is_some(), "secretbox"),
            (identity.is_some(), "identity"),
            (kms.is_some(), "kms"),
        ];
        let names: Vec<_> = there.into_iter().filter(|(there, _)| *there).map(|(_, name)| name).collect();
        if names.len() > 1 {
            self.refuse(place, Fault::SeveralProviders { names });
            return None;
        }
        let keys = [
            (aesgcm, Provider::AesGcm, AES_LENGTHS),
            (aescbc, Provider::AesCbc, AES_LENGTHS),
            (secretbox, Provider::SecretBox, SECRETBOX_LENGTHS),
        ];
        for (raw, provider, lengths) in keys {
            if let Some(raw) = raw {
                let place = format!("{place}.{provider}.keys");
                return Some(ProviderConfig::Keys { provider, keys: self.keys(&place, raw, lengths) });
            }
        }
        match (kms, identity) {
            (Some(raw), _) => self.kms(&format!("{place}.kms"), raw),
            (None, Some(RawIdentity {})) => Some(ProviderConfig::Identity),
            (None, None) => {
                self.refuse(place, Fault::NoProvider);
                None
            }
        }
    }

    fn keys(&mut self, place: &str, raw: RawKeys, lengths: &'static [usize]) -> Vec<KeyConfig> {
        let raw = raw.keys.unwrap_or_default();
        if raw.is_empty() {
            self.refuse(place, Fault::NoElements);
        }
        let mut keys = Vec::with_capacity(raw.len());
        for (index, raw) in raw.into_iter().enumerate() {
            let place = format!("{place}[{index}]");
            let name = raw.name.unwrap_or_default();
            if name.is_empty() {
                self.refuse(format!("{place}.name"), Fault::Missing);
            }
            match secret(&raw.secret.unwrap_or_default(), lengths) {
                Ok(secret) => keys.push(KeyConfig { name, secret, place }),
                Err(fault) => self.refuse(format!("{place}.secret"), fault),
            }
        }
        keys
    }

    fn kms(&mut self, place: &str, raw: RawKms) -> Option<ProviderConfig> {
        let name = raw.name.unwrap_or_default();
        let version = match raw.api_version.as_deref().unwrap_or_default() {
            "" | "v1" => "v1",
            "v2" => "v2",
            _ => {
                self.refuse(format!("{place}.apiVersion"), Fault::KmsVersion);
                return None;
            }
        };
        let fault = if name.is_empty() {
            Some(Fault::Missing)
        } else if version == "v2" && name.contains(':') {
            Some(Fault::KmsColon)
        } else if version == "v2" && self.kms_names.contains(&name) {
            Some(Fault::KmsTwice { name: name.clone() })
        } else {
            None
        };
        if let Some(fault) = fault {
            self.refuse(format!("{place}.name"), fault);
        }
        self.kms_names.push(name.clone());
        Some(ProviderConfig::Kms { version, name })
    }
}

/// A secret from its base64, which Go reads with line breaks anywhere and with
/// any loose bits at the end.
fn secret(text: &str, lengths: &'static [usize]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    const BASE64: GeneralPurpose =
        GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    if text.is_empty() {
        return Err(Fault::Missing);
    }
    // Of full size from the start: a vector that grows leaves copies behind.
    let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
    digits.extend(text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    let mut bytes = Zeroizing::new(vec![0; digits.len()]);
    let Ok(length) = BASE64.decode_slice(&digits, &mut bytes) else {
        return Err(Fault::Base64);
    };
    if !lengths.contains(&length) {
        bytes.zeroize();
        return Err(Fault::KeyLength { found: length, allowed: lengths });
    }
    bytes.truncate(length);
    Ok(bytes)
}
