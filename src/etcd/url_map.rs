//! `OLD=NEW`: peer URLs of a cluster as they will be on other machines.

use std::net::{IpAddr, Ipv6Addr};

use super::go_url::GoUrl;
use super::peer_url::{PeerUrl, PeerUrlError};

/// One replacement of peer URLs.
///
/// With a scheme, OLD and NEW are whole URLs: `https://a:2380=https://b:2380`.
/// Without, they are hosts, `a=b`, or hosts with ports, `a:2380=b:2390`: in
/// every `http` and `https` URL with that host (and port) only this is replaced.
/// A text is split at its first `=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlMap {
    text: String,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    Url { old: PeerUrl, new: PeerUrl },
    HostAndPort { old: (String, String), new: (String, String) },
    Host { old: String, new: String },
}

/// Why a text is no [`UrlMap`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlMapError {
    /// Without `=`.
    #[error("expected OLD=NEW")]
    NoEquals,
    /// A URL that peers cannot have.
    #[error(transparent)]
    Url(#[from] PeerUrlError),
    /// Neither a URL nor a host.
    #[error("expected a URL, a host, or host:port, found {found:?}")]
    Host {
        /// The text.
        found: String,
    },
    /// A URL on one side and a host on the other, or a port on one side only.
    #[error("expected the same form on both sides: two URLs, two hosts, or host:port twice")]
    Sides,
}

impl UrlMap {
    /// Reads `OLD=NEW`.
    ///
    /// # Errors
    /// [`UrlMapError`].
    pub fn parse(text: &str) -> Result<Self, UrlMapError> {
        let (old, new) = text.split_once('=').ok_or(UrlMapError::NoEquals)?;
        let rule = match (is_url(old), is_url(new)) {
            (true, true) => Rule::Url { old: PeerUrl::parse(old)?, new: PeerUrl::parse(new)? },
            (false, false) => match (host_and_port(old)?, host_and_port(new)?) {
                ((old, Some(old_port)), (new, Some(new_port))) => {
                    Rule::HostAndPort { old: (old, old_port), new: (new, new_port) }
                }
                ((old, None), (new, None)) => Rule::Host { old, new },
                _ => return Err(UrlMapError::Sides),
            },
            _ => return Err(UrlMapError::Sides),
        };
        Ok(Self { text: text.to_owned(), rule })
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is to be replaced, as it was given.
    pub fn old(&self) -> &str {
        self.text.split_once('=').map_or(&self.text, |(old, _)| old)
    }

    /// How much of a URL it asks for: the more, the more it goes before others.
    fn precision(&self) -> u8 {
        match self.rule {
            Rule::Url { .. } => 2,
            Rule::HostAndPort { .. } => 1,
            Rule::Host { .. } => 0,
        }
    }

    /// The URL instead of `url`; `None` if this is not about it.
    fn apply(&self, url: &PeerUrl) -> Option<PeerUrl> {
        if let Rule::Url { old, new } = &self.rule {
            return (old == url).then(|| new.clone());
        }
        let mut parts = GoUrl::parse(url.as_str()).ok()?;
        if !matches!(parts.scheme.as_str(), "http" | "https") {
            return None;
        }
        let (host, port) = parts.host_and_port()?;
        let (host, port) = match &self.rule {
            Rule::HostAndPort { old, new } if same_host(&old.0, &host) && old.1 == port => {
                (new.0.clone(), new.1.clone())
            }
            Rule::Host { old, new } if same_host(old, &host) => (new.clone(), port.into_owned()),
            _ => return None,
        };
        parts.host = with_port(&host, &port).into_bytes();
        PeerUrl::parse(&parts.to_string()).ok()
    }
}

/// Replaces each of `urls` at most once, by the map that asks for most of it: a
/// URL that a map has made is not looked up again, so hosts can be exchanged.
///
/// # Errors
/// The first map that nothing was replaced by.
pub fn replace<'m>(
    maps: &'m [UrlMap],
    urls: impl IntoIterator<Item = &'m mut PeerUrl>,
) -> Result<(), &'m UrlMap> {
    let mut used = vec![false; maps.len()];
    for url in urls {
        let fits = |(map, used): (&UrlMap, _)| Some((map.precision(), map.apply(url)?, used));
        let fitting = maps.iter().zip(used.iter_mut()).filter_map(fits);
        // Of equals the first: the other would be told as unused.
        let best = fitting.reduce(|best, next| if next.0 > best.0 { next } else { best });
        if let Some((_, new, used)) = best {
            *url = new;
            *used = true;
        }
    }
    maps.iter().zip(used).find(|(_, used)| !used).map_or(Ok(()), |(map, _)| Err(map))
}

fn is_url(text: &str) -> bool {
    text.contains("://") || text.starts_with("unix:") || text.starts_with("unixs:")
}

/// Host without brackets, and port, if there is one.
fn host_and_port(text: &str) -> Result<(String, Option<String>), UrlMapError> {
    let wrong = || UrlMapError::Host { found: text.to_owned() };
    let is_address = text.parse::<Ipv6Addr>().is_ok();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            match rest.strip_prefix(':') {
                None if !rest.is_empty() => return Err(wrong()),
                port => (host, port),
            }
        }
        None if is_address => (text, None),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    // Whatever a URL would read otherwise (a path, a user name) is no host.
    let port_or_some = port.unwrap_or("1");
    let url = GoUrl::parse(&format!("http://{}", with_port(host, port_or_some))).map_err(|_| wrong())?;
    let read_back =
        url.host_and_port().is_some_and(|(found, number)| found == host && number == port_or_some);
    if host.is_empty() || port_or_some.parse::<u16>().is_err() || !read_back {
        return Err(wrong());
    }
    Ok((host.to_owned(), port.map(str::to_owned)))
}

fn with_port(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Addresses are compared by value, names without regard to case.
fn same_host(one: &str, other: &str) -> bool {
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.eq_ignore_ascii_case(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(maps: &[&str], urls: &str) -> Result<String, String> {
        let maps: Vec<_> = maps.iter().map(|map| UrlMap::parse(map).expect(map)).collect();
        let urls = urls.split(',').map(PeerUrl::parse).collect::<Result<Vec<_>, _>>();
        let mut urls = urls.expect("sound");
        replace(&maps, &mut urls).map_err(|map| map.old().to_owned())?;
        Ok(urls.iter().map(PeerUrl::as_str).collect::<Vec<_>>().join(","))
    }

    fn refused(text: &str) -> String {
        UrlMap::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn a_url_is_replaced_whole() {
        let map = "https://10.0.0.1:2380=http://[fd00::1]:1";
        assert_eq!(mapped(&[map], "https://10.0.0.1:2380").as_deref(), Ok("http://[fd00::1]:1"));
        assert_eq!(mapped(&[map], "http://10.0.0.1:2380"), Err("https://10.0.0.1:2380".to_owned()));
        assert_eq!(mapped(&["unix:a=unix:b"], "unix:a").as_deref(), Ok("unix:b"));
    }

    #[test]
    fn a_host_is_replaced_wherever_it_stands() {
        let urls = "https://10.0.0.1:2380,http://u@10.0.0.1:99?q,https://10.0.0.11:2380";
        let moved = "https://10.9.0.1:2380,http://u@10.9.0.1:99?q,https://10.0.0.11:2380";
        assert_eq!(mapped(&["10.0.0.1=10.9.0.1"], urls).as_deref(), Ok(moved));
        let moved = "https://node1:1,http://u@10.0.0.1:99?q,https://10.0.0.11:2380";
        assert_eq!(mapped(&["10.0.0.1:2380=node1:1"], urls).as_deref(), Ok(moved));
        for map in ["fd00::1=fd00::2", "[fd00:0::1]=[fd00::2]", "[fd00::1]:2380=[fd00::2]:2380"] {
            assert_eq!(mapped(&[map], "https://[fd00::1]:2380").as_deref(), Ok("https://[fd00::2]:2380"));
        }
        assert_eq!(mapped(&["NODE1=node2"], "https://node1:1").as_deref(), Ok("https://node2:1"));
        assert_eq!(mapped(&["m1=m2"], "unix://m1"), Err("m1".to_owned()));
    }

    #[test]
    fn hosts_can_be_exchanged() {
        let found = mapped(&["a=b", "b=a"], "http://a:1,http://b:1");
        assert_eq!(found.as_deref(), Ok("http://b:1,http://a:1"));
    }

    #[test]
    fn the_closer_map_goes_first_and_none_may_be_idle() {
        let urls = "http://a:1,http://a:2,http://a:3";
        let maps = ["a=z", "a:2=y:2", "http://a:3=http://x:3"];
        assert_eq!(mapped(&maps, urls).as_deref(), Ok("http://z:1,http://y:2,http://x:3"));
        assert_eq!(mapped(&["a=b", "c=d"], urls), Err("c".to_owned()));
        assert_eq!(mapped(&["a=b", "a=c"], urls), Err("a".to_owned()));
        assert_eq!(mapped(&[], urls).as_deref(), Ok(urls));
    }

    #[test]
    fn what_is_no_map_is_refused() {
        assert_eq!(refused("10.0.0.1"), "expected OLD=NEW");
        let sides = "expected the same form on both sides: two URLs, two hosts, or host:port twice";
        for text in ["a=http://b:1", "http://b:1=a", "a:1=b", "a=b:1"] {
            assert_eq!(refused(text), sides);
        }
        assert_eq!(refused("http://a:1=http://b:1/"), "\"http://b:1/\" has a path behind the port");
        assert_eq!(
            refused("http://a:1=http://b:99999"),
            "\"http://b:99999\" has port 99999, and 65535 is the last"
        );
        for host in
            ["", ":1", "b/c", "u@b", "b:", "b:x", "b:99999", "[b", "[fd00::1]x", "1:2:3", "b?q", "b#f", "b c"]
        {
            assert_eq!(
                refused(&format!("a={host}")),
                format!("expected a URL, a host, or host:port, found {host:?}")
            );
        }
    }
}
