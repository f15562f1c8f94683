//! URLs as Go's `net/url` takes them apart and puts them together again.
//!
//! Member ids are derived from the text that Go prints for a parsed URL, so
//! what is lower-cased, unescaped and escaped again decides about the id.
//!
//! Source: Go 1.26 `net/url/url.go` (`Parse`, `parseAuthority`, `parseHost`,
//! `unescape`, `escape`, `String`) and `net/ipsock.go` (`SplitHostPort`). For an
//! address in brackets Go's message goes on with the reason of `netip`; here it
//! is always `unable to parse IP`.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::go_text::Quoted;

/// Why a text is not a URL, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlFault {
    /// A byte below 0x20, or 0x7f.
    #[error("net/url: invalid control character in URL")]
    ControlCharacter,
    /// Nothing before the first colon.
    #[error("missing protocol scheme")]
    MissingScheme,
    /// A colon before the first slash, but no scheme.
    #[error("first path segment in URL cannot contain colon")]
    ColonInFirstSegment,
    /// A character that user name and password must not have.
    #[error("net/url: invalid userinfo")]
    Userinfo,
    /// A percent sign without two hexadecimal digits, or an escape that is not
    /// allowed in a host.
    #[error("invalid URL escape {}", Quoted(.found))]
    Escape {
        /// The percent sign and up to two bytes behind it.
        found: Vec<u8>,
    },
    /// An ASCII character that a host must not have.
    #[error("invalid character {} in host name", Quoted(&[*.found]))]
    HostCharacter {
        /// The character.
        found: u8,
    },
    /// Brackets that do not begin the host, or around an IPv4 address.
    #[error("invalid IP-literal")]
    IpLiteral,
    /// An opening bracket without its closing one.
    #[error("missing ']' in host")]
    MissingBracket,
    /// Brackets around something that is no IPv6 address.
    #[error("invalid host: ParseAddr({}): unable to parse IP", Quoted(.found))]
    HostAddress {
        /// What is between the brackets.
        found: Vec<u8>,
    },
    /// Something other than digits where the port should be.
    #[error("invalid port {} after host", Quoted(.found.as_bytes()))]
    Port {
        /// The colon and what follows.
        found: String,
    },
}

/// The part of a URL that a piece of text belongs to: each has its own set of
/// bytes that may stand unescaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    Zone,
    UserPassword,
    Fragment,
}

impl Part {
    /// Whether Go escapes `byte` when it writes this part.
    fn escapes(self, byte: u8) -> bool {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            return false;
        }
        !match self {
            Self::Path => b"$&+,/:;=@".contains(&byte),
            Self::Host | Self::Zone => b"!$&'()*+,;=:[]<>\"".contains(&byte),
            Self::UserPassword => b"$&+,;=".contains(&byte),
            Self::Fragment => b"$&+,/:;=?@!()*".contains(&byte),
        }
    }

    fn unescape(self, text: &str) -> Result<Vec<u8>, UrlFault> {
        let host = matches!(self, Self::Host | Self::Zone);
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            match *first {
                b'%' => {
                    let fault = || UrlFault::Escape { found: rest.iter().take(3).copied().collect() };
                    let (digits, behind) = after.split_first_chunk::<2>().ok_or_else(fault)?;
                    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
                    let value = high
                        .zip(low)
                        .and_then(|(high, low)| u8::try_from(high << 4 | low).ok())
                        .ok_or_else(fault)?;
                    // A host escapes only what is not ASCII; a zone may escape
                    // what it could also have written plainly, and blanks.
                    let allowed = match self {
                        Self::Host => value >= 0x80 || value == b'%',
                        Self::Zone => matches!(value, b'%' | b' ') || !Self::Host.escapes(value),
                        _ => true,
                    };
                    if !allowed {
                        return Err(fault());
                    }
                    out.push(value);
                    rest = behind;
                }
                byte => {
                    if host && byte.is_ascii() && self.escapes(byte) {
                        return Err(UrlFault::HostCharacter { found: byte });
                    }
                    out.push(byte);
                    rest = after;
                }
            }
        }
        Ok(out)
    }

    fn escape(self, bytes: &[u8]) -> String {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let digit = |value: u8| char::from(DIGITS.get(usize::from(value)).copied().unwrap_or(b'0'));
        let mut out = String::with_capacity(bytes.len());
        for byte in bytes {
            if self.escapes(*byte) {
                out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            } else {
                out.push(char::from(*byte));
            }
        }
        out
    }

    /// The text Go prints for what it read as `written`: as written where that
    /// is a legal way to escape the part, in Go's own way otherwise.
    fn reprint(self, written: &str) -> Result<String, UrlFault> {
        let plain = self.unescape(written)?;
        let legal = written.bytes().all(|byte| b"!$&'()*+,;=:@[]%".contains(&byte) || !self.escapes(byte));
        Ok(if legal { written.to_owned() } else { self.escape(&plain) })
    }
}

/// A parsed URL. Parts that need no unescaping for any purpose here are kept as
/// Go would print them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GoUrl {
    pub(super) scheme: String,
    opaque: String,
    /// Printed form of user name and password.
    user: Option<String>,
    /// Unescaped host and port, brackets included.
    pub(super) host: Vec<u8>,
    /// An authority of no bytes differs from none: `unix:///a` and `unix:/a`.
    omit_host: bool,
    /// Printed form of the path.
    pub(super) path: String,
    query: Option<String>,
    /// Printed form of the fragment.
    fragment: String,
}

impl GoUrl {
    /// Reads `text`. With the fault comes the part of the text that Go's message
    /// quotes: all of it only if the fault is in the fragment.
    pub(super) fn parse(text: &str) -> Result<Self, (&str, UrlFault)> {
        let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
        let mut url = Self::parse_before_fragment(before).map_err(|fault| (before, fault))?;
        url.fragment = Part::Fragment.reprint(fragment).map_err(|fault| (text, fault))?;
        Ok(url)
    }

    fn parse_before_fragment(text: &str) -> Result<Self, UrlFault> {
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(UrlFault::ControlCharacter);
        }
        let (scheme, rest) = split_scheme(text)?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        let mut url = Self {
            scheme: scheme.to_ascii_lowercase(),
            opaque: String::new(),
            user: None,
            host: Vec::new(),
            omit_host: false,
            path: String::new(),
            query,
            fragment: String::new(),
        };
        let mut path = rest;
        if !rest.starts_with('/') {
            if !scheme.is_empty() {
                rest.clone_into(&mut url.opaque);
                return Ok(url);
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err(UrlFault::ColonInFirstSegment);
            }
        }
        match rest.strip_prefix("//") {
            Some(after) if !scheme.is_empty() || !after.starts_with('/') => {
                let (authority, tail) = after.split_at(after.find('/').unwrap_or(after.len()));
                path = tail;
                url.read_authority(authority)?;
            }
            _ => url.omit_host = !scheme.is_empty() && rest.starts_with('/'),
        }
        url.path = Part::Path.reprint(path)?;
        Ok(url)
    }

    fn read_authority(&mut self, authority: &str) -> Result<(), UrlFault> {
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        self.host = parse_host(&self.scheme, host)?;
        let Some(user) = user else { return Ok(()) };
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
        if !user.bytes().all(legal) {
            return Err(UrlFault::Userinfo);
        }
        let reprint = |text| Ok(Part::UserPassword.escape(&Part::UserPassword.unescape(text)?));
        self.user = Some(match user.split_once(':') {
            Some((name, password)) => format!("{}:{}", reprint(name)?, reprint(password)?),
            None => reprint(user)?,
        });
        Ok(())
    }

    /// Host and port if they have the form `host:port`, brackets removed. The
    /// port may be empty.
    pub(super) fn host_and_port(&self) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
        let position = self.host.iter().rposition(|byte| *byte == b':')?;
        let (before, colon_port) = self.host.split_at_checked(position)?;
        let port = colon_port.strip_prefix(b":")?;
        let (host, bracketed) = match before.strip_prefix(b"[") {
            Some(inner) => (inner.strip_suffix(b"]")?, true),
            None => (before, false),
        };
        let stray = |byte: &u8| matches!(byte, b'[' | b']') || (!bracketed && *byte == b':');
        if host.iter().any(stray) || port.iter().any(stray) {
            return None;
        }
        Some((String::from_utf8_lossy(host), String::from_utf8_lossy(port)))
    }
}

impl std::fmt::Display for GoUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        f.write_str(&self.opaque)?;
        let named = !self.host.is_empty() || self.user.is_some();
        if self.opaque.is_empty() && (named || (!self.scheme.is_empty() && !self.omit_host)) {
            if named || !self.path.is_empty() {
                f.write_str("//")?;
            }
            if let Some(user) = &self.user {
                write!(f, "{user}@")?;
            }
            f.write_str(&Part::Host.escape(&self.host))?;
        }
        f.write_str(&self.path)?;
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        if !self.fragment.is_empty() {
            write!(f, "#{}", self.fragment)?;
        }
        Ok(())
    }
}

/// Splits off a scheme: a letter, then letters, digits, `+`, `-` and `.`, then
/// a colon. Anything else before a colon means that there is no scheme.
fn split_scheme(text: &str) -> Result<(&str, &str), UrlFault> {
    let Some((scheme, rest)) = text.split_once(':') else { return Ok(("", text)) };
    let Some(first) = scheme.bytes().next() else { return Err(UrlFault::MissingScheme) };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if first.is_ascii_alphabetic() && scheme.bytes().all(legal) { Ok((scheme, rest)) } else { Ok(("", text)) }
}

fn check_port(colon_port: &str) -> Result<(), UrlFault> {
    let legal = match colon_port.strip_prefix(':') {
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()),
        None => colon_port.is_empty(),
    };
    if legal { Ok(()) } else { Err(UrlFault::Port { found: colon_port.to_owned() }) }
}

fn parse_host(scheme: &str, host: &str) -> Result<Vec<u8>, UrlFault> {
    match host.rfind('[') {
        Some(0) => parse_bracketed(host),
        Some(_) => Err(UrlFault::IpLiteral),
        None => {
            // Other schemes may list several hosts, so only the last colon counts.
            let colon = if matches!(scheme, "http" | "https") { host.find(':') } else { host.rfind(':') };
            check_port(colon.and_then(|colon| host.get(colon..)).unwrap_or_default())?;
            Part::Host.unescape(host)
        }
    }
}

/// `[address]`, `[address%25zone]`, both with or without a port.
fn parse_bracketed(host: &str) -> Result<Vec<u8>, UrlFault> {
    let (inner, port) =
        host.get(1..).and_then(|inner| inner.rsplit_once(']')).ok_or(UrlFault::MissingBracket)?;
    check_port(port)?;
    let (address, zone) = inner.split_at(inner.find("%25").unwrap_or(inner.len()));
    let mut found = Part::Host.unescape(address)?;
    found.extend(Part::Zone.unescape(zone)?);
    check_address(&found)?;
    let mut out = Vec::with_capacity(host.len());
    out.push(b'[');
    out.extend(found);
    out.push(b']');
    out.extend(port.bytes());
    Ok(out)
}

fn check_address(found: &[u8]) -> Result<(), UrlFault> {
    let percent = found.iter().position(|byte| *byte == b'%').unwrap_or(found.len());
    let (address, zone) = found.split_at_checked(percent).unwrap_or((found, b""));
    let text = std::str::from_utf8(address).unwrap_or_default();
    if text.parse::<Ipv6Addr>().is_ok() && zone != b"%" {
        return Ok(());
    }
    if text.parse::<Ipv4Addr>().is_ok() && zone.is_empty() {
        return Err(UrlFault::IpLiteral);
    }
    Err(UrlFault::HostAddress { found: found.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Go 1.26 printed for each text.
    #[test]
    fn prints_what_go_prints() {
        for (text, printed) in [
            ("HTTPS://Node-1.Example:02380", "https://Node-1.Example:02380"),
            ("http://u%40x:p%3Aq@h:1", "http://u%40x:p%3Aq@h:1"),
            ("http://us$er@h:1?q=%zz&<#fr ag", "http://us$er@h:1?q=%zz&<#fr%20ag"),
            ("http://h:1?", "http://h:1?"),
            ("http://h:1#", "http://h:1"),
            ("http://h:1#a%2fb", "http://h:1#a%2fb"),
            ("http://h\u{e9}:1", "http://h%C3%A9:1"),
            ("http://h%c3%a9:1", "http://h%C3%A9:1"),
            ("http://[FE80::1%25eth0]:2380", "http://[FE80::1%25eth0]:2380"),
            ("unix:///a b/%2f'", "unix:///a%20b//%27"),
            ("unix:///a/%2f!", "unix:///a/%2f!"),
            ("unix:/a", "unix:/a"),
            ("unix://m1:0/p", "unix://m1:0/p"),
            ("unix:m1 %zz", "unix:m1 %zz"),
            ("unixs:", "unixs:"),
            ("unix://", "unix:"),
        ] {
            let url = GoUrl::parse(text).expect(text);
            assert_eq!(url.to_string(), printed, "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for (text, message) in [
            ("http://a\tb:1", "net/url: invalid control character in URL"),
            (":2380", "missing protocol scheme"),
            ("10.0.0.1:2380", "first path segment in URL cannot contain colon"),
            ("http://a b@h:1", "net/url: invalid userinfo"),
            ("http://%zz", r#"invalid URL escape "%zz""#),
            ("http://%4", r#"invalid URL escape "%4""#),
            ("http://%41:1", r#"invalid URL escape "%41""#),
            ("http://a b:1", r#"invalid character " " in host name"#),
            ("http://a[::1]:1", "invalid IP-literal"),
            ("http://[1.2.3.4]:1", "invalid IP-literal"),
            ("http://[::1:1", "missing ']' in host"),
            ("http://[node]:1", r#"invalid host: ParseAddr("node"): unable to parse IP"#),
            ("http://::1:2380", r#"invalid port "::1:2380" after host"#),
            ("http://h:23a", r#"invalid port ":23a" after host"#),
            ("unix:///%", r#"invalid URL escape "%""#),
            ("http://h:1#%a\u{e9}", r#"invalid URL escape "%a\xc3""#),
        ] {
            let (_, fault) = GoUrl::parse(text).expect_err(text);
            assert_eq!(fault.to_string(), message, "{text}");
        }
    }

    #[test]
    fn the_port_stands_behind_the_last_colon() {
        let split = |text: &str| {
            let url = GoUrl::parse(text).expect(text);
            url.host_and_port().map(|(host, port)| (host.into_owned(), port.into_owned()))
        };
        let pair = |host: &str, port: &str| Some((host.to_owned(), port.to_owned()));
        assert_eq!(split("http://h:1"), pair("h", "1"));
        assert_eq!(split("http://:"), pair("", ""));
        assert_eq!(split("http://[::1]:23"), pair("::1", "23"));
        for without in ["http://h", "http://", "http:h:1", "http://[::1]", "http://h]:1", "unix://a:b:1"] {
            assert_eq!(GoUrl::parse(without).ok().and_then(|url| url.host_and_port().map(|_| ())), None);
        }
    }
}
