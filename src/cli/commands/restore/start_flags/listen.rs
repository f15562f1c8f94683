//! Where the peers of URLs are listened to: etcd binds to addresses, `localhost` and
//! sockets, not to names.
//!
//! Source: etcd `server/embed/config.go` (`checkBindURLs`) @ v3.6.14; the same in 3.4 to
//! 3.7; Go `net/ipsock_posix.go` (`favoriteAddrFamily`): either of the two addresses that
//! stand for all takes the port of the whole host.

use std::net::{IpAddr, Ipv4Addr};

use etcdsnap::etcd::peer_url::PeerUrl;

const ALL_IPV4: &str = "0.0.0.0";
const ALL_IPV6: &str = "[::]";

/// What a URL of a member asks for.
struct Wanted<'u> {
    scheme: &'u str,
    port: Option<u16>,
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// All addresses: this one stands for them, or there is only a name.
    All,
    Localhost,
    Address(IpAddr),
}

impl<'u> Wanted<'u> {
    /// `None` for a socket. The address comes with it, zone or not.
    fn of(url: &'u PeerUrl) -> Option<(Self, Option<IpAddr>)> {
        let (host, port) = url.host_and_port()?;
        let (scheme, _) = url.as_str().split_once(':')?;
        let address = host.split('%').next().and_then(|host| host.parse::<IpAddr>().ok());
        let address = address.map(|address| address.to_canonical());
        let at = match address {
            _ if host == "localhost" => At::Localhost,
            // An address with its zone is none to etcd.
            Some(address) if !address.is_unspecified() && !host.contains('%') => At::Address(address),
            _ => At::All,
        };
        Some((Self { scheme, port: port.parse().ok(), at }, address))
    }

    fn shares_its_port_with(&self, other: &Self) -> bool {
        (self.scheme, self.port) == (other.scheme, other.port)
    }
}

/// The URLs to listen on for peers that know a member by `urls`. No two of them are in
/// each other's way, but for two schemes on one port, which no etcd can have.
pub(super) fn listens_on(urls: &[PeerUrl]) -> String {
    let all: Vec<_> = urls.iter().filter_map(Wanted::of).collect();
    let addresses: Vec<_> = all.iter().filter_map(|(_, address)| *address).collect();
    let only_ipv6 = !addresses.is_empty() && addresses.iter().all(IpAddr::is_ipv6);
    let mut found = Vec::new();
    for url in urls {
        let listens = match Wanted::of(url) {
            None => url.to_string(),
            Some((wanted, _)) => {
                let beside = || all.iter().filter(|(other, _)| other.shares_its_port_with(&wanted));
                let has = |at| beside().any(|(other, _)| other.at == at);
                let host = match (wanted.at, has(At::All)) {
                    (At::All, _) | (_, true) => {
                        let of_all = |address: &IpAddr| address.is_unspecified() && address.is_ipv6();
                        let named = beside().any(|(_, address)| address.as_ref().is_some_and(of_all));
                        (if only_ipv6 || named { ALL_IPV6 } else { ALL_IPV4 }).to_owned()
                    }
                    // Which is what Go takes it for.
                    (At::Localhost, _) if has(At::Address(Ipv4Addr::LOCALHOST.into())) => {
                        Ipv4Addr::LOCALHOST.to_string()
                    }
                    (At::Localhost, _) => "localhost".to_owned(),
                    (At::Address(IpAddr::V4(address)), _) => address.to_string(),
                    (At::Address(IpAddr::V6(address)), _) => format!("[{address}]"),
                };
                let port = wanted.port.map(|port| port.to_string()).unwrap_or_default();
                format!("{}://{host}:{port}", wanted.scheme)
            }
        };
        if !found.contains(&listens) {
            found.push(listens);
        }
    }
    found.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(urls: &str) -> String {
        listens_on(&PeerUrl::parse_list(urls).expect("sound"))
    }

    #[test]
    fn etcd_listens_on_addresses() {
        for (urls, listens) in [
            ("https://10.0.0.1:2380", "https://10.0.0.1:2380"),
            ("http://[fd00::1]:2380", "http://[fd00::1]:2380"),
            ("http://localhost:1", "http://localhost:1"),
            ("https://etcd-0.etcd:2380,https://etcd-0:2380", "https://0.0.0.0:2380"),
            ("http://u:p@10.0.0.1:1?q", "http://10.0.0.1:1"),
            ("unix://m1", "unix://m1"),
            ("unix:m1", "unix:m1"),
            ("http://:1", "http://0.0.0.0:1"),
            ("http://10.0.0.1:", "http://10.0.0.1:"),
        ] {
            assert_eq!(of(urls), listens);
        }
    }

    #[test]
    fn what_stands_for_all_addresses_has_its_port_alone() {
        for (urls, listens) in [
            ("http://127.0.0.1:1,http://node1:1", "http://0.0.0.0:1"),
            ("http://localhost:1,http://node1:1", "http://0.0.0.0:1"),
            ("http://0.0.0.0:1,http://10.0.0.1:1,http://[::]:1", "http://[::]:1"),
            (
                "http://10.0.0.1:01,http://10.0.0.1:1,http://localhost:1",
                "http://10.0.0.1:1,http://localhost:1",
            ),
            ("http://127.0.0.1:1,http://localhost:1", "http://127.0.0.1:1"),
            // Another port, or another scheme.
            ("http://10.0.0.1:2,http://node1:1", "http://10.0.0.1:2,http://0.0.0.0:1"),
            ("http://10.0.0.1:1,https://node1:1", "http://10.0.0.1:1,https://0.0.0.0:1"),
        ] {
            assert_eq!(of(urls), listens, "{urls}");
        }
    }

    #[test]
    fn who_has_only_ipv6_listens_on_ipv6() {
        for (urls, listens) in [
            ("https://[fe80::1%25eth0]:2380", "https://[::]:2380"),
            ("https://[fd00::1]:1,https://node1:2", "https://[fd00::1]:1,https://[::]:2"),
            ("https://[fd00::1]:1,https://[fd00:0::1]:1", "https://[fd00::1]:1"),
            ("https://[::ffff:10.0.0.1]:1", "https://10.0.0.1:1"),
            ("https://[::]:1,https://10.0.0.1:2", "https://10.0.0.1:2,https://[::]:1"),
            ("https://10.0.0.1:1,https://[fd00::1]:1,https://node1:1", "https://0.0.0.0:1"),
        ] {
            assert_eq!(of(urls), listens, "{urls}");
        }
    }
}
