//! The members of a cluster to be, as `--initial-cluster` has them, and whether
//! they fit the member that is to be one of them.

use std::collections::BTreeMap;
use std::fmt;

use super::{Compared, PeerUrl, PeerUrlError, sorted};

/// The members of a cluster to be, by name, each with its peer URLs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InitialCluster {
    members: BTreeMap<String, Vec<PeerUrl>>,
}

/// Why a text is no [`InitialCluster`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InitialClusterError {
    /// An item without `=`.
    #[error("{item:?} is not of the form NAME=URL")]
    NoName {
        /// The item.
        item: String,
    },
    /// A name that is none: see [`is_member_name`].
    #[error("{}", if .name.trim().is_empty() {
        "there is no name before a `=`".to_owned()
    } else {
        format!("the name {name:?} begins or ends with a blank")
    })]
    Name {
        /// The name.
        name: String,
    },
    /// A URL that is none.
    #[error("{name}: {error}")]
    Url {
        /// Whose it is.
        name: String,
        /// What is wrong with it.
        error: PeerUrlError,
    },
}

/// Whether a member can be called `name`: it is not empty, and neither begins nor
/// ends with a blank. Upstream takes any name, and so the blank behind a comma of
/// `a=..., b=...` for the first character of a name that no etcd is started with.
///
/// Blanks are those that are typed and copied: the ones of ASCII, and U+00A0.
pub fn is_member_name(name: &str) -> bool {
    let is_blank = |character: char| character.is_ascii_whitespace() || character == '\u{a0}';
    !name.is_empty() && name == name.trim_matches(is_blank)
}

impl InitialCluster {
    /// Reads `name=url,name=url,...`.
    ///
    /// Each item is split at its first `=`; a name may come more than once, which
    /// adds URLs; empty items are skipped.
    ///
    /// # Errors
    /// The first item that is wrong: without `=`, with a name that is none
    /// ([`is_member_name`]), or a URL that [`PeerUrl::parse`] refuses.
    pub fn parse(text: &str) -> Result<Self, InitialClusterError> {
        let mut members = Vec::new();
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (name, url) = item
                .split_once('=')
                .ok_or_else(|| InitialClusterError::NoName { item: item.trim().to_owned() })?;
            if !is_member_name(name) {
                return Err(InitialClusterError::Name { name: name.to_owned() });
            }
            let url =
                sorted([url]).map_err(|error| InitialClusterError::Url { name: name.to_owned(), error })?;
            members.push((name.to_owned(), url));
        }
        Ok(members.into_iter().collect())
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members in the order of their names, each with its sorted URLs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[PeerUrl])> {
        self.members.iter().map(|(name, urls)| (name.as_str(), urls.as_slice()))
    }

    /// The sorted URLs of the member called `name`.
    pub fn urls(&self, name: &str) -> Option<&[PeerUrl]> {
        self.members.get(name).map(Vec::as_slice)
    }

    /// Checks that the member `local` is in the cluster under exactly the URLs
    /// that it advertises, and that no URL is in the cluster twice.
    ///
    /// URLs are compared as text, and IP addresses by value. Upstream would
    /// resolve host names, too, and accept different texts that resolve to the
    /// same; nothing is resolved here, so those are refused.
    ///
    /// # Errors
    /// The first check that fails, in upstream's order (`VerifyBootstrap`).
    pub fn validate(&self, local: &str, advertised: &[PeerUrl]) -> Result<(), BootstrapError> {
        if self.is_empty() {
            return Err(BootstrapError::NoMembers);
        }
        let Some(urls) = self.urls(local) else {
            let members = self.iter().map(|(name, _)| name.to_owned()).collect();
            return Err(BootstrapError::UnknownName { name: local.to_owned(), members });
        };
        let mut advertised = advertised.to_vec();
        advertised.sort();
        if let Some(difference) = difference(&advertised, urls) {
            return Err(BootstrapError::OtherUrls {
                name: local.to_owned(),
                advertised,
                listed: urls.to_vec(),
                needs_resolver: matches!(difference, Difference::Name),
            });
        }
        let mut owners = BTreeMap::<&PeerUrl, &str>::new();
        for (name, url) in self.iter().flat_map(|(name, urls)| urls.iter().map(move |url| (name, url))) {
            if let Some(first) = owners.insert(url, name) {
                let (first, second) = (first.to_owned(), name.to_owned());
                return Err(BootstrapError::UrlTwice { url: url.clone(), first, second });
            }
        }
        Ok(())
    }
}

/// Members as a list has them; a name that comes again adds its URLs.
impl FromIterator<(String, Vec<PeerUrl>)> for InitialCluster {
    fn from_iter<T: IntoIterator<Item = (String, Vec<PeerUrl>)>>(list: T) -> Self {
        let mut members = BTreeMap::<String, Vec<PeerUrl>>::new();
        for (name, urls) in list {
            let all = members.entry(name).or_default();
            all.extend(urls);
            all.sort();
        }
        Self { members }
    }
}

/// `name=url` pairs, sorted and joined by commas.
impl fmt::Display for InitialCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = self.iter().flat_map(|(name, urls)| urls.iter().map(move |url| format!("{name}={url}")));
        let mut pairs: Vec<_> = pairs.collect();
        pairs.sort();
        f.write_str(&pairs.join(","))
    }
}

/// How two lists of URLs differ.
enum Difference {
    /// Whatever a resolver may say.
    Certain,
    /// In a host's name, which upstream would look up.
    Name,
}

/// Compares lists that are sorted by text.
fn difference(advertised: &[PeerUrl], cluster: &[PeerUrl]) -> Option<Difference> {
    if advertised.len() != cluster.len() {
        return Some(Difference::Certain);
    }
    if advertised == cluster {
        return None;
    }
    let compared = |urls: &[PeerUrl]| {
        let mut texts = Vec::new();
        for url in urls {
            match url.compared() {
                Compared::Text(text) => texts.push(text),
                Compared::Name => return Err(Difference::Name),
                Compared::Unreadable => return Err(Difference::Certain),
            }
        }
        texts.sort();
        Ok(texts)
    };
    match (compared(advertised), compared(cluster)) {
        (Ok(advertised), Ok(cluster)) if advertised == cluster => None,
        (Err(difference), _) | (_, Err(difference)) => Some(difference),
        _ => Some(Difference::Certain),
    }
}

/// Why an initial cluster does not fit a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// There is nobody in the cluster.
    #[error("there are no members")]
    NoMembers,
    /// The local member is not in the cluster.
    #[error("there is no member {name:?} in the cluster")]
    UnknownName {
        /// Its name.
        name: String,
        /// Those that are in it.
        members: Vec<String>,
    },
    /// The member advertises other URLs than the cluster has for it, or as many times.
    #[error("{name} advertises {}, and the cluster has {} for it", joined(.advertised), joined(.listed))]
    OtherUrls {
        /// The member.
        name: String,
        /// What it advertises, sorted.
        advertised: Vec<PeerUrl>,
        /// What the cluster has, sorted.
        listed: Vec<PeerUrl>,
        /// Whether a resolver could say that they are the same.
        needs_resolver: bool,
    },
    /// A URL occurs twice, be it under one name.
    #[error("the cluster has {url} twice: for {first} and for {second}")]
    UrlTwice {
        /// The URL.
        url: PeerUrl,
        /// One that it stands for.
        first: String,
        /// And the other.
        second: String,
    },
}

fn joined(urls: &[PeerUrl]) -> String {
    urls.iter().map(PeerUrl::as_str).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_initial_cluster_gathers_urls_by_name() {
        let cluster =
            InitialCluster::parse(",b=http://b:2,a=http://a:1,,c d=unix:x=y,b= http://b:1 ,").expect("ok");
        let members: Vec<_> = cluster.iter().map(|(name, urls)| (name, joined(urls))).collect();
        assert_eq!(members[0], ("a", "http://a:1".to_owned()));
        assert_eq!(members[1], ("b", "http://b:1,http://b:2".to_owned()));
        assert_eq!(members[2], ("c d", "unix:x=y".to_owned()));
        assert_eq!((cluster.len(), cluster.is_empty()), (3, false));
        assert_eq!(cluster.to_string(), "a=http://a:1,b=http://b:1,b=http://b:2,c d=unix:x=y");
        assert!(InitialCluster::parse("").is_ok_and(|cluster| cluster.is_empty()));
    }

    #[test]
    fn what_is_no_member_is_named() {
        for (text, words) in [
            ("a=http://a:1,b", "\"b\" is not of the form NAME=URL"),
            ("https://a:1", "\"https://a:1\" is not of the form NAME=URL"),
            // The first one, not that with the lowest name.
            ("b=http://b,a=x", "b: \"http://b\" is not of the form https://HOST:PORT"),
            ("a=", "a: there is no URL"),
            ("a=http://a:1, b=http://b:1", "the name \" b\" begins or ends with a blank"),
            ("a\u{a0}=http://a:1", "the name \"a\\u{a0}\" begins or ends with a blank"),
            ("=http://a:1", "there is no name before a `=`"),
            (" =http://a:1", "there is no name before a `=`"),
        ] {
            assert_eq!(InitialCluster::parse(text).expect_err(text).to_string(), words);
        }
    }

    fn verdict(name: &str, cluster: &str, advertised: &str) -> Result<(), BootstrapError> {
        let advertised = PeerUrl::parse_list(advertised).expect("sound");
        InitialCluster::parse(cluster).expect("sound").validate(name, &advertised)
    }

    fn refused(name: &str, cluster: &str, advertised: &str) -> String {
        verdict(name, cluster, advertised).expect_err(cluster).to_string()
    }

    #[test]
    fn the_local_member_must_fit() {
        let two = "a=http://h:1,a=http://g:1,b=http://b:1";
        assert_eq!(verdict("a", two, "http://g:1,http://h:1"), Ok(()));
        let members = vec!["a".to_owned(), "b".to_owned()];
        let error = BootstrapError::UnknownName { name: "c".to_owned(), members };
        assert_eq!(verdict("c", two, "http://h:1"), Err(error));
        for (cluster, advertised, words) in [
            (
                "n=https://10.20.30.101:2380",
                "http://localhost:2380",
                "n advertises http://localhost:2380, and the cluster has https://10.20.30.101:2380 for it",
            ),
            (
                "n=http://b:1,n=http://a:1",
                "http://b:1",
                "n advertises http://b:1, and the cluster has http://a:1,http://b:1 for it",
            ),
            (
                "n=http://b:1",
                "http://b:1,http://a:1",
                "n advertises http://a:1,http://b:1, and the cluster has http://b:1 for it",
            ),
            (
                "n=http://b:1",
                "http://b:1,http://b:1",
                "n advertises http://b:1,http://b:1, and the cluster has http://b:1 for it",
            ),
            (
                "n=http://h:1,m=http://z:1,m=http://h:1",
                "http://h:1",
                "the cluster has http://h:1 twice: for m and for n",
            ),
            (
                "n=http://h:1,n=http://h:1",
                "http://h:1,http://h:1",
                "the cluster has http://h:1 twice: for n and for n",
            ),
        ] {
            assert_eq!(refused("n", cluster, advertised), words);
        }
    }

    #[test]
    fn nobody_is_no_cluster() {
        assert_eq!(InitialCluster::default().validate("n", &[]), Err(BootstrapError::NoMembers));
    }

    #[test]
    fn addresses_are_compared_by_value_and_names_by_text() {
        assert_eq!(verdict("n", "n=http://[0:0::1]:2380", "http://[::1]:02380"), Ok(()));
        assert_eq!(verdict("n", "n=http://[::ffff:1.2.3.4]:1", "http://1.2.3.4:1"), Ok(()));
        let by_name = |cluster: &str, advertised: &str| match verdict("n", cluster, advertised) {
            Err(BootstrapError::OtherUrls { needs_resolver, .. }) => needs_resolver,
            other => panic!("{other:?}"),
        };
        assert!(by_name("n=http://NODE:1", "http://node:1"));
        assert!(!by_name("n=http://1.2.3.4:2", "http://1.2.3.4:1"));
        assert!(!by_name("n=http://1.2.3.4:2,n=http://a:1", "http://1.2.3.4:1"));
        assert!(!by_name("n=unix:b", "unix:a"));
    }
}
