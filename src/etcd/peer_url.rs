//! Peer URLs and initial clusters, as given to a restore or a first start.
//!
//! Source: `client/pkg/types/{urls,urlsmap}.go`, `server/config/config.go`
//! (`VerifyBootstrap`), `pkg/netutil/netutil.go` @ v3.6.14; the same in 3.4 to 3.7.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::go_text::Quoted;
use super::go_url::{GoUrl, UrlFault};

/// A URL that peers of a member are reached at, in the form etcd stores it.
///
/// The scheme is `http` or `https` with `host:port` and no path, or `unix` or
/// `unixs` with anything. The scheme is in lower case, the host as it was given;
/// user name, query and fragment are kept, for upstream keeps them. Member ids
/// are derived from this text. Not checked: whether the port is in range and
/// whether the host exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerUrl(String);

/// Why a text is not a [`PeerUrl`], in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerUrlError {
    /// Not a URL at all.
    #[error("parse {}: {fault}", Quoted(.url.as_bytes()))]
    Syntax {
        /// The text.
        url: String,
        /// What is wrong with it.
        fault: UrlFault,
    },
    /// A scheme that etcd does not speak, or none.
    #[error("URL scheme must be http, https, unix, or unixs: {url}")]
    Scheme {
        /// The text.
        url: String,
    },
    /// `http` or `https` without a port.
    #[error("URL address does not have the form \"host:port\": {url}")]
    HostPort {
        /// The text.
        url: String,
    },
    /// `http` or `https` with a path, be it a slash.
    #[error("URL must not contain a path: {url}")]
    Path {
        /// The text.
        url: String,
    },
}

impl PeerUrl {
    /// Reads one URL; blanks around it are dropped.
    ///
    /// # Errors
    /// The first rule that `text` breaks, in upstream's order.
    pub fn parse(text: &str) -> Result<Self, PeerUrlError> {
        let text = text.trim();
        let parsed = GoUrl::parse(text)
            .map_err(|(quoted, fault)| PeerUrlError::Syntax { url: quoted.to_owned(), fault })?;
        let url = || text.to_owned();
        match parsed.scheme.as_str() {
            "http" | "https" if parsed.host_and_port().is_none() => {
                Err(PeerUrlError::HostPort { url: url() })
            }
            "http" | "https" if !parsed.path.is_empty() => Err(PeerUrlError::Path { url: url() }),
            "http" | "https" | "unix" | "unixs" => Ok(Self(parsed.to_string())),
            _ => Err(PeerUrlError::Scheme { url: url() }),
        }
    }

    /// Reads URLs separated by commas and sorts them by their text. An empty
    /// item is an error, so there is at least one URL.
    ///
    /// # Errors
    /// As [`PeerUrl::parse`], for the first item that is wrong.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, PeerUrlError> {
        sorted(text.split(','))
    }

    /// The URL's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What upstream compares after name resolution, if that needs no resolver:
    /// `localhost` and socket paths stay, an address is put into its usual form.
    fn resolved_without_dns(&self) -> Result<Option<String>, UrlMismatch> {
        let unreadable = || UrlMismatch::Unreadable { url: self.0.clone() };
        let mut url = GoUrl::parse(&self.0).map_err(|_| unreadable())?;
        if matches!(url.scheme.as_str(), "unix" | "unixs") {
            return Ok(Some(self.0.clone()));
        }
        let Some((host, port)) = url.host_and_port() else { return Ok(None) };
        if host == "localhost" {
            return Ok(Some(self.0.clone()));
        }
        let port = if port.is_empty() { Ok(0) } else { port.parse::<u16>() };
        // Go prints an IPv4 address that was written as an IPv6 one as IPv4.
        let address = match (host.parse::<Ipv4Addr>(), host.parse::<Ipv6Addr>()) {
            (Ok(v4), _) => Some(v4.to_string()),
            (_, Ok(v6)) => Some(v6.to_ipv4_mapped().map_or_else(|| format!("[{v6}]"), |v4| v4.to_string())),
            _ => None,
        };
        let (Ok(port), Some(address)) = (port, address) else { return Ok(None) };
        url.host = format!("{address}:{port}").into_bytes();
        Ok(Some(url.to_string()))
    }
}

impl fmt::Display for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::str::FromStr for PeerUrl {
    type Err = PeerUrlError;

    fn from_str(text: &str) -> Result<Self, PeerUrlError> {
        Self::parse(text)
    }
}

fn sorted<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Vec<PeerUrl>, PeerUrlError> {
    let mut urls = texts.into_iter().map(PeerUrl::parse).collect::<Result<Vec<_>, _>>()?;
    urls.sort();
    Ok(urls)
}

fn strings<'u>(urls: impl IntoIterator<Item = &'u PeerUrl>) -> Vec<String> {
    urls.into_iter().map(PeerUrl::to_string).collect()
}

/// The members of a cluster to be, by name, each with its peer URLs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InitialCluster {
    members: BTreeMap<String, Vec<PeerUrl>>,
}

impl InitialCluster {
    /// Reads `name=url,name=url,...`.
    ///
    /// Each item is split at its first `=`; a name may come more than once, which
    /// adds URLs; empty items are skipped; names are taken as they are, blanks
    /// included.
    ///
    /// # Errors
    /// As [`PeerUrl::parse`]; an item without `=` has an empty URL. Of several
    /// wrong items the one with the lowest name is reported (upstream reports any).
    pub fn parse(text: &str) -> Result<Self, PeerUrlError> {
        let mut texts = BTreeMap::<&str, Vec<&str>>::new();
        for item in text.split(',').filter(|item| !item.is_empty()) {
            let (name, url) = item.split_once('=').unwrap_or((item, ""));
            texts.entry(name).or_default().push(url);
        }
        let members = texts
            .into_iter()
            .map(|(name, urls)| Ok((name.to_owned(), sorted(urls)?)))
            .collect::<Result<_, PeerUrlError>>()?;
        Ok(Self { members })
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
    /// The first check that fails, in upstream's order and words.
    pub fn validate(&self, local: &str, advertised: &[PeerUrl]) -> Result<(), BootstrapError> {
        let urls =
            self.urls(local).ok_or_else(|| BootstrapError::LocalNameMissing { name: local.to_owned() })?;
        let mut advertised: Vec<&PeerUrl> = advertised.iter().collect();
        advertised.sort();
        if let Err(mismatch) = compare(&advertised, urls) {
            return Err(describe(local, &advertised, urls, mismatch));
        }
        let mut seen = BTreeSet::new();
        if self.members.values().flatten().all(|url| seen.insert(url)) {
            Ok(())
        } else {
            Err(BootstrapError::DuplicateUrl { cluster: self.to_string() })
        }
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
        f.write_str(&join_sorted(pairs))
    }
}

fn join_sorted(texts: impl IntoIterator<Item = String>) -> String {
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort();
    texts.join(",")
}

/// Compares lists that are sorted by text.
fn compare(advertised: &[&PeerUrl], cluster: &[PeerUrl]) -> Result<(), UrlMismatch> {
    if advertised.len() != cluster.len() {
        let advertised = strings(advertised.iter().copied());
        return Err(UrlMismatch::Count { advertised, cluster: strings(cluster) });
    }
    let Some((left, right)) = advertised.iter().copied().zip(cluster).find(|(left, right)| left != right)
    else {
        return Ok(());
    };
    let resolve = |urls: &mut dyn Iterator<Item = &PeerUrl>| {
        let mut texts: Option<Vec<_>> =
            urls.map(PeerUrl::resolved_without_dns).collect::<Result<_, UrlMismatch>>()?;
        if let Some(texts) = &mut texts {
            texts.sort();
        }
        Ok::<_, UrlMismatch>(texts)
    };
    let lefts = resolve(&mut advertised.iter().copied())?;
    let rights = resolve(&mut cluster.iter())?;
    let (Some(lefts), Some(rights)) = (lefts, rights) else {
        return Err(UrlMismatch::Text { advertised: left.to_string(), cluster: right.to_string() });
    };
    match lefts.into_iter().zip(rights).find(|(left, right)| left != right) {
        Some((advertised, cluster)) => Err(UrlMismatch::Resolved { advertised, cluster }),
        None => Ok(()),
    }
}

/// Says which side lacks what, as `advertiseMatchesCluster` does.
fn describe(
    local: &str,
    advertised: &[&PeerUrl],
    cluster: &[PeerUrl],
    mismatch: UrlMismatch,
) -> BootstrapError {
    let ours: BTreeSet<&PeerUrl> = advertised.iter().copied().collect();
    let theirs: BTreeSet<&PeerUrl> = cluster.iter().collect();
    let named = |url: &PeerUrl| format!("{local}={url}");
    let advertised_text = strings(advertised.iter().copied()).join(",");
    // Upstream fills both of these from the advertised URLs.
    let cluster_text = join_sorted(advertised.iter().copied().map(named));
    let mut missing: Vec<_> = theirs.difference(&ours).copied().map(named).collect();
    if !missing.is_empty() {
        return BootstrapError::NotAdvertised {
            missing: missing.join(","),
            advertised: advertised_text,
            mismatch,
        };
    }
    missing = strings(ours.difference(&theirs).copied());
    if !missing.is_empty() {
        return BootstrapError::NotInCluster { missing: missing.join(","), cluster: cluster_text };
    }
    BootstrapError::Unmatched { advertised: advertised_text, cluster: cluster_text, mismatch }
}

/// Why an initial cluster does not fit a member, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// The local member is not in the cluster.
    #[error("couldn't find local name {} in the initial cluster configuration", Quoted(.name.as_bytes()))]
    LocalNameMissing {
        /// Its name.
        name: String,
    },
    /// The cluster has URLs for the member that it does not advertise.
    #[error(
        "--initial-cluster has {missing} but missing from --initial-advertise-peer-urls={advertised} ({mismatch})"
    )]
    NotAdvertised {
        /// `name=url` pairs, joined by commas.
        missing: String,
        /// The URLs advertised.
        advertised: String,
        /// The first difference.
        mismatch: UrlMismatch,
    },
    /// The member advertises URLs that the cluster does not have for it.
    #[error("--initial-advertise-peer-urls has {missing} but missing from --initial-cluster={cluster}")]
    NotInCluster {
        /// URLs, joined by commas.
        missing: String,
        /// `name=url` pairs: what the cluster should have.
        cluster: String,
    },
    /// The same URLs, but not the same number of times.
    #[error("failed to resolve {advertised} to match --initial-cluster={cluster} ({mismatch})")]
    Unmatched {
        /// The URLs advertised.
        advertised: String,
        /// `name=url` pairs: what the cluster should have.
        cluster: String,
        /// The first difference.
        mismatch: UrlMismatch,
    },
    /// A URL occurs twice, be it under one name.
    #[error("initial cluster {cluster} has duplicate url")]
    DuplicateUrl {
        /// The whole cluster.
        cluster: String,
    },
}

/// How the URLs advertised differ from those in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlMismatch {
    /// Not the same number of URLs.
    Count {
        /// Those advertised.
        advertised: Vec<String>,
        /// Those in the cluster.
        cluster: Vec<String>,
    },
    /// All hosts are addresses, sockets or `localhost`, and two differ.
    Resolved {
        /// The first advertised URL that differs.
        advertised: String,
        /// Its counterpart.
        cluster: String,
    },
    /// Two texts differ; upstream would ask a resolver whether they mean the same.
    Text {
        /// The first advertised URL that differs.
        advertised: String,
        /// Its counterpart.
        cluster: String,
    },
    /// A URL that upstream cannot read back once it has printed it.
    Unreadable {
        /// The URL.
        url: String,
    },
}

impl fmt::Display for UrlMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |urls: &[String]| {
            let quoted: Vec<_> = urls.iter().map(|url| Quoted(url.as_bytes()).to_string()).collect();
            quoted.join(" ")
        };
        match self {
            Self::Count { advertised, cluster } => {
                write!(f, "len([{}]) != len([{}])", list(advertised), list(cluster))
            }
            Self::Resolved { advertised, cluster } => write!(
                f,
                "resolved urls: {} != {}",
                Quoted(advertised.as_bytes()),
                Quoted(cluster.as_bytes())
            ),
            Self::Text { advertised, cluster } => write!(
                f,
                "textually different: {} != {}",
                Quoted(advertised.as_bytes()),
                Quoted(cluster.as_bytes())
            ),
            Self::Unreadable { url } => {
                write!(f, "failed to parse string to URL: {}", Quoted(url.as_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        PeerUrl::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn a_peer_url_is_host_and_port_or_a_socket() {
        for (text, stored) in [
            (" HTTP://Node:2380\u{a0}", "http://Node:2380"),
            ("https://[::1]:2380", "https://[::1]:2380"),
            ("https://user:pw@h:1?q#f", "https://user:pw@h:1?q#f"),
            ("http://:0", "http://:0"),
            ("http://h:", "http://h:"),
            ("unix://m1", "unix://m1"),
            ("unixs:///run/m1", "unixs:///run/m1"),
            ("unix:m1", "unix:m1"),
        ] {
            assert_eq!(PeerUrl::parse(text).map(|url| url.to_string()), Ok(stored.to_owned()));
        }
        for text in ["", "localhost", "node/a", "ftp://h:1", "localhost:2380", "//h:1"] {
            assert_eq!(refused(text), format!("URL scheme must be http, https, unix, or unixs: {text}"));
        }
        for text in ["http://h", "http:h:1", "https://", "http:///a", "http://[::1]"] {
            assert_eq!(refused(text), format!("URL address does not have the form \"host:port\": {text}"));
        }
        for text in ["http://h:1/", "https://h:1/a"] {
            assert_eq!(refused(text), format!("URL must not contain a path: {text}"));
        }
        assert_eq!(
            refused("10.0.0.1:2380"),
            r#"parse "10.0.0.1:2380": first path segment in URL cannot contain colon"#
        );
        assert_eq!(refused("http://h:1#%"), r#"parse "http://h:1#%": invalid URL escape "%""#);
        assert_eq!(refused("http://h:x#f"), r#"parse "http://h:x": invalid port ":x" after host"#);
    }

    #[test]
    fn lists_are_sorted_and_without_gaps() {
        let list = PeerUrl::parse_list("http://b:1, http://a:2 ,http://a:10").expect("sound");
        assert_eq!(strings(&list), ["http://a:10", "http://a:2", "http://b:1"]);
        let gap = PeerUrlError::Scheme { url: String::new() };
        assert_eq!(PeerUrl::parse_list("http://a:1,"), Err(gap.clone()));
        assert_eq!(PeerUrl::parse_list(""), Err(gap));
    }

    #[test]
    fn an_initial_cluster_gathers_urls_by_name() {
        let cluster =
            InitialCluster::parse(",b=http://b:2,a=http://a:1,, c=unix:x=y,b=http://b:1,").expect("ok");
        let members: Vec<_> = cluster.iter().map(|(name, urls)| (name, strings(urls))).collect();
        assert_eq!(members[0], (" c", vec!["unix:x=y".to_owned()]));
        assert_eq!(members[1], ("a", vec!["http://a:1".to_owned()]));
        assert_eq!(members[2], ("b", vec!["http://b:1".to_owned(), "http://b:2".to_owned()]));
        assert_eq!((cluster.len(), cluster.is_empty()), (3, false));
        assert_eq!(cluster.to_string(), " c=unix:x=y,a=http://a:1,b=http://b:1,b=http://b:2");
        assert!(InitialCluster::parse("").is_ok_and(|cluster| cluster.is_empty()));
        let no_url = InitialCluster::parse("a=http://a:1,b");
        assert_eq!(no_url, Err(PeerUrlError::Scheme { url: String::new() }));
    }

    fn verdict(name: &str, cluster: &str, advertised: &str) -> String {
        let advertised = PeerUrl::parse_list(advertised).expect("sound");
        let cluster = InitialCluster::parse(cluster).expect("sound");
        cluster.validate(name, &advertised).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_local_member_must_fit() {
        assert_eq!(verdict("a", "a=http://h:1,a=http://g:1,b=http://b:1", "http://g:1,http://h:1"), "");
        assert_eq!(
            verdict("a\"", "a=http://h:1", "http://h:1"),
            r#"couldn't find local name "a\"" in the initial cluster configuration"#
        );
        assert_eq!(
            verdict("n", "n=https://10.20.30.101:2380", "http://localhost:2380"),
            "--initial-cluster has n=https://10.20.30.101:2380 but missing from \
             --initial-advertise-peer-urls=http://localhost:2380 \
             (resolved urls: \"http://localhost:2380\" != \"https://10.20.30.101:2380\")"
        );
        assert_eq!(
            verdict("n", "n=http://b:1,n=http://a:1", "http://b:1"),
            "--initial-cluster has n=http://a:1 but missing from --initial-advertise-peer-urls=http://b:1 \
             (len([\"http://b:1\"]) != len([\"http://a:1\" \"http://b:1\"]))"
        );
        assert_eq!(
            verdict("n", "n=http://b:1", "http://b:1,http://a:1"),
            "--initial-advertise-peer-urls has http://a:1 but missing from \
             --initial-cluster=n=http://a:1,n=http://b:1"
        );
        assert_eq!(
            verdict("n", "n=http://b:1", "http://b:1,http://b:1"),
            "failed to resolve http://b:1,http://b:1 to match --initial-cluster=n=http://b:1,n=http://b:1 \
             (len([\"http://b:1\" \"http://b:1\"]) != len([\"http://b:1\"]))"
        );
        assert_eq!(
            verdict("n", "n=http://h:1,m=http://z:1,m=http://h:1", "http://h:1"),
            "initial cluster m=http://h:1,m=http://z:1,n=http://h:1 has duplicate url"
        );
    }

    #[test]
    fn addresses_are_compared_by_value_and_names_by_text() {
        assert_eq!(verdict("n", "n=http://[0:0::1]:2380", "http://[::1]:02380"), "");
        assert_eq!(verdict("n", "n=http://[::ffff:1.2.3.4]:1", "http://1.2.3.4:1"), "");
        assert!(
            verdict("n", "n=http://1.2.3.4:2", "http://1.2.3.4:1")
                .ends_with("(resolved urls: \"http://1.2.3.4:1\" != \"http://1.2.3.4:2\")")
        );
        assert!(
            verdict("n", "n=http://NODE:1", "http://node:1")
                .ends_with("(textually different: \"http://node:1\" != \"http://NODE:1\")")
        );
        assert!(verdict("n", "n=unix:b", "unix:a").ends_with("(resolved urls: \"unix:a\" != \"unix:b\")"));
    }
}
