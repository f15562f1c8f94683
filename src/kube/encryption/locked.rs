//! A value that was not opened, and why.

use super::KeyId;
use super::cipher::Closed;
use crate::kube::envelope::{Encrypted, EnvelopeFault, Provider};

/// A value that was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locked<'v> {
    /// What its header says; `None` if it is in plain text, or its header is
    /// broken.
    pub encrypted: Option<Encrypted<'v>>,
    /// Why it was not opened.
    pub why: Why,
    /// The key of the configuration that is the right one all the same: it has
    /// another name, or stands in the rule for another resource.
    pub other_key: Option<KeyId>,
}

/// Why a value was not opened. Of several attempts the last in this order is
/// told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// No configuration was given.
    #[error("no encryption configuration was given")]
    NoConfiguration,
    /// It is in plain text, and its rule has no provider `identity`. Of all
    /// these, the one that can be read all the same.
    #[error("it is in plain text, and the rule for its resource has no `identity`, so a server refuses it")]
    PlainText,
    /// It begins like an encrypted value, and is none.
    #[error("begins like an encrypted value, and its header is broken")]
    Header,
    /// No rule is for its resource, so a server takes plain text alone.
    #[error("no rule of the configuration is for its resource")]
    NotCovered,
    /// The rule for its resource has no provider of its kind.
    #[error("the rule for its resource has no such provider")]
    NoProvider,
    /// None of the provider's keys has its name.
    #[error("the rule for its resource has no key of that name")]
    NoKey,
    /// It was never encrypted to this length.
    #[error("it has a length that cannot be: it was cut off or changed")]
    Length,
    /// The keys of its name do not open it.
    #[error("the key of that name does not open it: the secret is another one, or the value was changed")]
    WrongKey,
    /// The key is right; the value was changed, or stood under another etcd key
    /// (another prefix, say) when it was encrypted with aesgcm.
    #[error("the key is right, but the value was changed or moved here from another etcd key")]
    Altered,
    /// Its key is held by a service.
    #[error("its key is held by a key management service, and it cannot be opened offline")]
    Kms,
}

impl Why {
    /// A stable name of it.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoConfiguration => "no-configuration",
            Self::PlainText => "plain-text",
            Self::Header => "header",
            Self::NotCovered => "not-covered",
            Self::NoProvider => "no-provider",
            Self::NoKey => "no-key",
            Self::Length => "length",
            Self::WrongKey => "wrong-key",
            Self::Altered => "altered",
            Self::Kms => "kms",
        }
    }
}

impl From<Closed> for Why {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Length => Self::Length,
            Closed::WrongKey => Self::WrongKey,
            Closed::Altered => Self::Altered,
        }
    }
}

impl<'v> Locked<'v> {
    pub(super) fn new(stored: &'v [u8], why: Why) -> Self {
        match Encrypted::of(stored) {
            None => Self { encrypted: None, why: Why::PlainText, other_key: None },
            Some(Ok(encrypted)) => Self { encrypted: Some(encrypted), why, other_key: None },
            Some(Err(fault)) => {
                let why = if fault == EnvelopeFault::NoCiphertext { why } else { Why::Header };
                Self { encrypted: None, why, other_key: None }
            }
        }
    }

    /// A value for which there is no configuration; `None` if it is in plain
    /// text.
    pub fn without_configuration(stored: &'v [u8]) -> Option<Self> {
        Encrypted::of(stored).map(|_| Self::new(stored, Why::NoConfiguration))
    }
}

impl std::fmt::Display for Locked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(encrypted) = &self.encrypted {
            let name = encrypted.name.escape_ascii();
            match encrypted.provider {
                Provider::KmsV1 | Provider::KmsV2 => {
                    write!(f, "encrypted with {}, plugin {name}", encrypted.provider)?;
                    if let Some(id) = super::kms::key_id(encrypted) {
                        write!(f, ", key {}", id.escape_ascii())?;
                    }
                }
                provider => write!(f, "encrypted with {provider}, key {name}")?,
            }
            f.write_str(": ")?;
        }
        write!(f, "{}", self.why)
    }
}

impl std::error::Error for Locked<'_> {}
