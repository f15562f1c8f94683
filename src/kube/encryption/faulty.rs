//! What can be wrong with a configuration file, in words without its secrets.

use super::keyring::Keyring;

/// Why a file is no configuration that a server could use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It has no bytes.
    #[error("it is empty")]
    Empty,
    /// Longer than any such file.
    #[error("it has more than {} bytes, which no encryption configuration has", Keyring::LIMIT)]
    TooLong,
    /// It is neither YAML nor JSON, or has other fields or types of values than
    /// a configuration.
    #[error("{}{what}", position(*.place))]
    Document {
        /// Line and column, counted from 1, if they are known.
        place: Option<(usize, usize)>,
        /// What was expected there. Quotes nothing from the file that may be a
        /// secret.
        what: String,
    },
    /// It is something else that Kubernetes knows.
    #[error("{}", not_a_configuration(.api_version, .kind))]
    Kind {
        /// As it says; empty if it does not.
        api_version: String,
        /// As it says; empty if it does not.
        kind: String,
    },
    /// All that is wrong with its content; at least one thing.
    #[error("{}", join(.0))]
    Invalid(Vec<Invalid>),
}

/// A value that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Invalid {
    /// Where it stands: `resources[0].providers[0].aescbc.keys[0].secret`.
    pub place: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A list that has to have elements.
    #[error("at least one element is required")]
    NoElements,
    /// A value that has to be there.
    #[error("it is missing")]
    Missing,
    /// An element without a provider; `identity:` alone is none.
    #[error(
        "none of the providers aesgcm, aescbc, secretbox, identity, kms is there (`identity: {{}}` has braces)"
    )]
    NoProvider,
    /// An element with several providers.
    #[error("several providers in one element: {}; each needs its own `- `", .names.join(", "))]
    SeveralProviders {
        /// Those that are there.
        names: Vec<&'static str>,
    },
    /// A secret that is no base64.
    #[error("it is not base64")]
    Base64,
    /// A secret of a length that no key has.
    #[error("the key has {found} bytes, expected {}", lengths(.allowed))]
    KeyLength {
        /// Its length in bytes.
        found: usize,
        /// Those that its provider has keys of.
        allowed: &'static [usize],
    },
    /// A KMS version other than v1 and v2.
    #[error("expected v1 or v2")]
    KmsVersion,
    /// A colon in the name of a KMS v2 plugin.
    #[error("the name of a KMS v2 plugin cannot have a colon")]
    KmsColon,
    /// Two KMS plugins of one name.
    #[error("there is another KMS plugin called {name:?}")]
    KmsTwice {
        /// Their name.
        name: String,
    },
    /// `*` among the resources.
    #[error("`*` alone means nothing: `*.` is the core group, `*.*` are all resources")]
    Star,
    /// A wildcard beside what it covers.
    #[error("{name:?} covers another element of the same list")]
    Overlap {
        /// The wildcard.
        name: String,
    },
    /// A rule behind a wildcard that covers it.
    #[error("{name:?} is covered by {by:?} further up, and would never be used")]
    Masked {
        /// The resource of the rule.
        name: String,
        /// The wildcard.
        by: String,
    },
}

/// A name among the resources that servers refuse today (1.27 and later). Those
/// before took it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {name:?}: {odd}")]
pub struct Remark {
    /// Where it stands: `resources[0].resources[1]`.
    pub place: String,
    /// What stands there.
    pub name: String,
    /// What is odd about it.
    pub odd: Odd,
}

/// What is odd about a name among the resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Odd {
    /// Several times in one list.
    #[error("it is there several times")]
    Twice,
    /// Resources have no capital letters.
    #[error("no resource has capital letters, so nothing is meant by it")]
    Capitals,
    /// `events.events.k8s.io`.
    #[error("nothing is meant by it; events are stored as `events`")]
    Events,
    /// A group that no server has had since 1.22.
    #[error("nothing is meant by it; the group is gone since 1.22")]
    Extensions,
    /// `events.*`.
    #[error("nothing is meant by it; one resource in all groups cannot be named")]
    AcrossGroups,
    /// What a server keeps for itself.
    #[error("servers from 1.27 on never encrypt it")]
    NoApi,
}

fn position(place: Option<(usize, usize)>) -> String {
    place.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default()
}

fn not_a_configuration(api_version: &str, kind: &str) -> String {
    const EXPECTED: &str =
        "expected `kind: EncryptionConfiguration` of `apiVersion: apiserver.config.k8s.io/v1`";
    match (api_version, kind) {
        ("", "") => format!("{EXPECTED}, found neither kind nor apiVersion"),
        (_, "") => format!("{EXPECTED}, found no kind"),
        ("", _) => format!("{EXPECTED}, found kind {kind:?} without an apiVersion"),
        _ => format!("{EXPECTED}, found {kind:?} of {api_version:?}"),
    }
}

fn join(invalid: &[Invalid]) -> String {
    invalid.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn lengths(allowed: &[usize]) -> String {
    allowed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// An error of a decoder, without what it quotes from the file: that may be a
/// secret that stands in the wrong place.
pub(super) fn decode_error(message: &str, place: Option<(usize, usize)>) -> ConfigError {
    // Both decoders end with the place, which is told in front.
    let message = message.split_once(" at line ").map_or(message, |(message, _)| message);
    let what = match message.find(['"', '`']) {
        None => message.to_owned(),
        Some(start) => {
            let (before, quoted) = message.split_at_checked(start).unwrap_or((message, ""));
            let name = quoted.strip_prefix('`').and_then(|rest| rest.split('`').next());
            let name = name.filter(|name| is_harmless(name)).map(|name| format!("`{name}`"));
            let expected = quoted.rfind(", expected ").and_then(|at| quoted.get(at..)).unwrap_or_default();
            format!(
                "{}{expected}",
                [before.trim_end(), name.as_deref().unwrap_or_default()].join(" ").trim_end()
            )
        }
    };
    ConfigError::Document { place, what }
}

/// Whether it may be the name of a field, and no key: the shortest in base64 has
/// 24 characters.
fn is_harmless(name: &str) -> bool {
    name.len() <= 12 && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}
