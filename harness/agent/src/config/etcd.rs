//! `etcd3`: how the agent reaches etcd.

use std::path::PathBuf;

use super::{HostPort, User};

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
