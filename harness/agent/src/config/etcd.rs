//! `etcd3`: how the agent reaches etcd.

use std::path::PathBuf;

use super::{HostPort, Password, User};

/// `etcd3`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdConfig {
    /// `host`, `hosts` or `url`: the members, in the order in which they are tried.
    pub hosts: Vec<HostPort>,
    /// `protocol: https`, with what it needs; `None`: plain HTTP/2. [`is_https`] is the rule.
    pub tls: Option<EtcdTls>,
    /// `username` and `password`; `None`: etcd asks nobody who he is.
    pub user: Option<User>,
}

/// Whether etcd is spoken to inside TLS. As in Patroni (`get_etcd_client`) the scheme of `url` says it, or else `protocol`;
/// certificates alone do not.
#[must_use]
pub fn is_https(url: Option<&str>, protocol: Option<&str>) -> bool {
    let scheme = url.map(|url| url.split_once("://").map_or(url, |(scheme, _)| scheme)).or(protocol);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// `url` of `etcd3`: `https://NAME:PASSWORD@HOST:PORT`, as Patroni takes it apart (`get_etcd_client`, Python's `urlparse`): the scheme in
/// any case, an address up to the first `/`, in it a password up to the last `@` and without decoding `%40`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdUrl {
    /// Whether its scheme is https.
    pub is_https: bool,
    /// Its host and port; 2379 where it has none.
    pub host: HostPort,
    /// Who is named in it, with a password.
    pub user: Option<User>,
}

impl EtcdUrl {
    /// Nothing when it is no such URL: another scheme, no host, no number as the port, or a name without a password.
    #[must_use]
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user.split_once(':')), address),
            None => (None, authority),
        };
        let user = match user {
            None => None,
            Some(Some((name, password))) if !name.is_empty() => {
                Some(User { username: name.into(), password: Some(Password::new(password)) })
            }
            Some(_) => return None,
        };
        Some(Self { is_https, host: host_port(address)?, user })
    }
}

/// `HOST`, `HOST:PORT`, `[::1]:PORT`; an empty port is none.
fn host_port(address: &str) -> Option<HostPort> {
    const PORT: u16 = 2379;
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (address, ""),
    };
    let port = if port.is_empty() { PORT } else { port.parse().ok().filter(|port| *port > 0)? };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let legal = !bare.is_empty() && !bare.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']' | '@'));
    // Without brackets a colon divides host and port, and there is one at most.
    (legal && (bare.len() < host.len() || !bare.contains(':'))).then(|| HostPort::new(bare, port))
}

/// The TLS side of `etcd3`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdTls {
    /// `cacert`: certificates of the authorities that are trusted; `None`: those of the machine.
    pub cacert: Option<PathBuf>,
    /// `cert`: the certificate that the agent shows.
    pub cert: Option<PathBuf>,
    /// `key`: its key; `None` with a `cert`: the key is in the same file.
    pub key: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_who_speaks_to_whom_and_how() {
        let user = |url: &EtcdUrl| {
            let user = url.user.as_ref()?;
            Some(format!("{} {}", user.username, user.password.as_ref()?.reveal()))
        };
        for (text, is_https, host, named) in [
            ("https://10.0.0.1:2379", true, HostPort::new("10.0.0.1", 2379), None),
            ("HTTP://etcd", false, HostPort::new("etcd", 2379), None),
            ("https://root:s3cret@etcd:4001/", true, HostPort::new("etcd", 4001), Some("root s3cret")),
            ("http://root:s3c@r:t%40@[::1]:4001/v3?x@y", false, HostPort::new("::1", 4001), Some("root s3c@r:t%40")),
            ("https://root:@etcd:", true, HostPort::new("etcd", 2379), Some("root ")),
        ] {
            let url = EtcdUrl::parse(text).expect(text);
            assert_eq!((url.is_https, &url.host, user(&url).as_deref()), (is_https, &host, named), "{text}");
        }
        for wrong in [
            "etcd:2379",
            "ftp://etcd",
            "https://",
            "https://root@etcd",
            "https://:x@etcd",
            "http://a:b",
            "http://a,b",
            "http://::1",
        ] {
            assert_eq!(EtcdUrl::parse(wrong), None, "{wrong}");
        }
    }
}
