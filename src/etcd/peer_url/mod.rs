//! Peer URLs and initial clusters, as given to a restore or a first start.
//!
//! Source: `client/pkg/types/{urls,urlsmap}.go`, `server/config/config.go`
//! (`VerifyBootstrap`), `pkg/netutil/netutil.go` @ v3.6.14; the same in 3.4 to 3.7.

mod cluster;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::go_url::{GoUrl, UrlFault};

pub use cluster::{BootstrapError, InitialCluster, InitialClusterError, is_member_name};

/// A URL that peers of a member are reached at, in the form etcd stores it.
///
/// The scheme is `http` or `https` with `host:port` and no path, or `unix` or
/// `unixs` with anything. The scheme is in lower case, the host as it was given;
/// user name, query and fragment are kept, for upstream keeps them. Member ids
/// are derived from this text. Not checked: whether the host exists. A port above
/// 65535 is refused, which upstream takes and nobody could connect to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerUrl(String);

/// Why a text is not a [`PeerUrl`]. The situations are upstream's, but for
/// [`Port`](Self::Port).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerUrlError {
    /// Nothing stands where a URL is wanted.
    #[error("there is no URL")]
    Empty,
    /// Nothing that ends with `://` stands before the host.
    #[error("{url:?} does not begin with https:// or http://")]
    NoScheme {
        /// The text.
        url: String,
    },
    /// Not a URL at all.
    #[error("{url:?} is no URL: {fault}")]
    Syntax {
        /// The text.
        url: String,
        /// What is wrong with it.
        fault: UrlFault,
    },
    /// A scheme that etcd does not speak.
    #[error("{url:?} begins with {scheme}://, and peers speak https, http, unix and unixs")]
    Scheme {
        /// The text.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// `http` or `https` without a port.
    #[error("{url:?} is not of the form https://HOST:PORT")]
    HostPort {
        /// The text.
        url: String,
    },
    /// A port that no connection can have.
    #[error("{url:?} has port {port}, and {} is the last", u16::MAX)]
    Port {
        /// The text.
        url: String,
        /// Its port.
        port: String,
    },
    /// `http` or `https` with a path, be it a slash.
    #[error("{url:?} has a path behind the port")]
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
        let url = || text.to_owned();
        if text.is_empty() {
            return Err(PeerUrlError::Empty);
        }
        let parsed = GoUrl::parse(text).map_err(|(quoted, fault)| match fault {
            UrlFault::ColonInFirstSegment | UrlFault::MissingScheme => PeerUrlError::NoScheme { url: url() },
            fault => PeerUrlError::Syntax { url: quoted.to_owned(), fault },
        })?;
        match parsed.scheme.as_str() {
            "http" | "https" => {
                let Some((_, port)) = parsed.host_and_port() else {
                    return Err(PeerUrlError::HostPort { url: url() });
                };
                if !port.is_empty() && port.parse::<u16>().is_err() {
                    return Err(PeerUrlError::Port { url: url(), port: port.into_owned() });
                }
                match parsed.path.is_empty() {
                    true => Ok(Self(parsed.to_string())),
                    false => Err(PeerUrlError::Path { url: url() }),
                }
            }
            "unix" | "unixs" => Ok(Self(parsed.to_string())),
            scheme if text.contains("://") && !scheme.is_empty() => {
                Err(PeerUrlError::Scheme { url: url(), scheme: scheme.to_owned() })
            }
            _ => Err(PeerUrlError::NoScheme { url: url() }),
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

    /// Host and port of `http` and `https`, without escapes and brackets: of
    /// `https://[fe80::1%25eth0]:2380` they are `fe80::1%eth0` and `2380`. The port may
    /// be empty, and so may the host. `None` for sockets.
    pub fn host_and_port(&self) -> Option<(String, String)> {
        let url =
            GoUrl::parse(&self.0).ok().filter(|url| !matches!(url.scheme.as_str(), "unix" | "unixs"))?;
        url.host_and_port().map(|(host, port)| (host.into_owned(), port.into_owned()))
    }

    /// What upstream compares after name resolution: `localhost` and socket paths
    /// stay, an address is put into its usual form.
    fn compared(&self) -> Compared {
        // There are texts that Go cannot read back once it has printed them.
        let Ok(mut url) = GoUrl::parse(&self.0) else { return Compared::Unreadable };
        if matches!(url.scheme.as_str(), "unix" | "unixs") {
            return Compared::Text(self.0.clone());
        }
        let Some((host, port)) = url.host_and_port() else { return Compared::Name };
        if host == "localhost" {
            return Compared::Text(self.0.clone());
        }
        let port = if port.is_empty() { Ok(0) } else { port.parse::<u16>() };
        // Go prints an IPv4 address that was written as an IPv6 one as IPv4.
        let address = match (host.parse::<Ipv4Addr>(), host.parse::<Ipv6Addr>()) {
            (Ok(v4), _) => Some(v4.to_string()),
            (_, Ok(v6)) => Some(v6.to_ipv4_mapped().map_or_else(|| format!("[{v6}]"), |v4| v4.to_string())),
            _ => None,
        };
        let (Ok(port), Some(address)) = (port, address) else { return Compared::Name };
        url.host = format!("{address}:{port}").into_bytes();
        Compared::Text(url.to_string())
    }
}

/// A URL as it is compared with another one.
enum Compared {
    /// By this text.
    Text(String),
    /// Upstream would ask a resolver, and here nobody is asked.
    Name,
    /// Upstream compares it with nothing.
    Unreadable,
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
        assert_eq!(refused(" "), "there is no URL");
        for text in ["localhost", "node/a", "localhost:2380", "10.0.0.1:2380", "//h:1", ":1", "://h:1"] {
            assert_eq!(refused(text), format!("{text:?} does not begin with https:// or http://"));
        }
        let ftp = r#""ftp://h:1" begins with ftp://, and peers speak https, http, unix and unixs"#;
        assert_eq!(refused("ftp://h:1"), ftp);
        for text in ["http://h", "http:h:1", "https://", "http:///a", "http://[::1]"] {
            assert_eq!(refused(text), format!("{text:?} is not of the form https://HOST:PORT"));
        }
        for text in ["http://h:1/", "https://h:1/a"] {
            assert_eq!(refused(text), format!("{text:?} has a path behind the port"));
        }
        assert_eq!(refused("http://h:1#%"), r#""http://h:1#%" is no URL: invalid URL escape "%""#);
        assert_eq!(refused("http://h:x#f"), r#""http://h:x" is no URL: invalid port ":x" after host"#);
    }

    #[test]
    fn a_port_is_one_that_a_connection_can_have() {
        for text in ["http://h:65535", "http://h:0065535", "http://[::1]:0", "unix://h:99999"] {
            assert_eq!(PeerUrl::parse(text).map(|url| url.to_string()), Ok(text.to_owned()));
        }
        for port in ["65536", "99999", "18446744073709551616"] {
            for url in [format!("http://h:{port}"), format!("https://[::1]:{port}/a")] {
                assert_eq!(refused(&url), format!("{url:?} has port {port}, and 65535 is the last"));
            }
        }
    }

    #[test]
    fn a_host_is_what_a_connection_goes_to() {
        for (url, expected) in [
            ("https://[fe80::1%25eth0]:2380", Some(("fe80::1%eth0", "2380"))),
            ("https://u:p@[fd00::1]:1?q", Some(("fd00::1", "1"))),
            ("http://node-1:", Some(("node-1", ""))),
            ("http://:1", Some(("", "1"))),
            ("unix://10.0.0.1:1", None),
        ] {
            let found = PeerUrl::parse(url).expect("sound").host_and_port();
            assert_eq!(found, expected.map(|(host, port)| (host.to_owned(), port.to_owned())), "{url}");
        }
    }

    #[test]
    fn lists_are_sorted_and_without_gaps() {
        let list = PeerUrl::parse_list("http://b:1, http://a:2 ,http://a:10").expect("sound");
        let list: Vec<_> = list.iter().map(PeerUrl::as_str).collect();
        assert_eq!(list, ["http://a:10", "http://a:2", "http://b:1"]);
        assert_eq!(PeerUrl::parse_list("http://a:1,"), Err(PeerUrlError::Empty));
        assert_eq!(PeerUrl::parse_list(""), Err(PeerUrlError::Empty));
    }
}
