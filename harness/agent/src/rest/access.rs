//! Who may make calls that change something: `restapi.allowlist`, client certificates, `restapi.authentication`, checked in
//! this order (`RestApiServer.check_access`).

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, StatusCode, header};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::Uri;
use pgdrill_net::Net;

use super::{Refusal, refuse};
use crate::{
    config::{RestapiConfig, User, VerifyClient},
    daemon::{Parts, Ports},
};

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// It showed a certificate that our authorities have signed.
    pub has_certificate: bool,
}

/// Which calls the members' own addresses may make when `allowlist_include_members` is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Members {
    /// Being a member is enough.
    Count,
    /// The call is answered to members only by what it says (`POST /failsafe`): not by their addresses.
    DoNotCount,
}

/// Lets a call pass or says why not: 403 for the wrong place or certificate, 401 for the wrong password.
pub(super) async fn check<T: Ports>(
    parts: &Parts<T>,
    peer: Option<Peer>,
    headers: &HeaderMap,
    members: Members,
) -> Result<(), Refusal> {
    let config = parts.config();
    let config = &config.restapi;
    let members = members == Members::Count && config.allowlist_include_members;
    if (members || !config.allowlist.is_empty()) && !is_listed(parts, peer, members).await {
        return Err(refuse(StatusCode::FORBIDDEN, "Access is denied"));
    }
    if wants_certificate(config) && !peer.is_some_and(|peer| peer.has_certificate) {
        return Err(refuse(StatusCode::FORBIDDEN, "client certificate required"));
    }
    match authenticate(config.authentication.as_ref(), headers) {
        Ok(()) => Ok(()),
        Err(text) => Err(Refusal { challenge: true, ..refuse(StatusCode::UNAUTHORIZED, text) }),
    }
}

fn wants_certificate(config: &RestapiConfig) -> bool {
    config.tls.as_ref().is_some_and(|tls| tls.verify_client != VerifyClient::None)
}

async fn is_listed<T: Ports>(parts: &Parts<T>, peer: Option<Peer>, members: bool) -> bool {
    let Some(peer) = peer.map(|peer| peer.address.ip().to_canonical()) else { return false };
    for entry in &parts.config().restapi.allowlist {
        let listed = match Network::parse(entry) {
            Some(network) => network.contains(peer),
            None => resolves_to(parts, entry, peer).await,
        };
        if listed {
            return true;
        }
    }
    for host in if members { member_hosts(parts) } else { Vec::new() } {
        if resolves_to(parts, &host, peer).await {
            return true;
        }
    }
    false
}

/// Hosts of the members' `api_url`.
fn member_hosts<T: Ports>(parts: &Parts<T>) -> Vec<String> {
    let published = parts.shared.published();
    let members = published.cluster.iter().flat_map(|cluster| cluster.members.values());
    let host = |url: &String| Some(url.parse::<Uri>().ok()?.host()?.trim_matches(['[', ']']).to_owned());
    members.filter_map(|member| member.api_url.as_ref().and_then(host)).collect()
}

async fn resolves_to<T: Ports>(parts: &Parts<T>, host: &str, peer: IpAddr) -> bool {
    match parts.net.resolve(host).await {
        Ok(found) => found.into_iter().any(|address| address.to_canonical() == peer),
        Err(error) => {
            parts.trouble("rest", format!("allowlist: {host}: {error}"));
            false
        }
    }
}

/// An address, or all addresses with the same first bits: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.trim().parse().ok()).filter(|bits| *bits <= all)?;
        Some(Self { address, bits })
    }

    fn contains(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= self.bits,
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= self.bits,
            _ => false,
        }
    }
}

fn authenticate(wanted: Option<&User>, headers: &HeaderMap) -> Result<(), &'static str> {
    let Some(user) = wanted else { return Ok(()) };
    let sent = headers.get(header::AUTHORIZATION).ok_or("no auth header received")?;
    let sent = sent.to_str().ok().and_then(|value| BASE64_STANDARD.decode(value.strip_prefix("Basic ")?.trim()).ok());
    let is_right = sent.is_some_and(|sent| same(&sent, credentials(user).as_bytes()));
    if is_right { Ok(()) } else { Err("not authenticated") }
}

/// `name:password`, as it is sent.
pub(super) fn credentials(user: &User) -> String {
    let password = user.password.as_ref().map_or("", |password| password.reveal());
    format!("{}:{password}", user.username)
}

/// Takes as long for a wrong password as for the right one.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Password;

    #[test]
    fn only_the_configured_name_and_password_pass() {
        let user = User { username: "admin".into(), password: Some(Password::new("s3cret")) };
        let with = |text: &str| {
            let value = format!("Basic {}", BASE64_STANDARD.encode(text)).parse().unwrap();
            HeaderMap::from_iter([(header::AUTHORIZATION, value)])
        };
        let bearer = HeaderMap::from_iter([(header::AUTHORIZATION, "Bearer YWRtaW46czNjcmV0".parse().unwrap())]);
        assert_eq!(authenticate(None, &HeaderMap::new()), Ok(()), "nothing is configured");
        assert_eq!(authenticate(Some(&user), &with("admin:s3cret")), Ok(()));
        for wrong in [with("admin:s3creT"), with("admin:"), with("admin:s3cret2"), bearer] {
            assert_eq!(authenticate(Some(&user), &wrong), Err("not authenticated"));
        }
        assert_eq!(authenticate(Some(&user), &HeaderMap::new()), Err("no auth header received"));
    }

    #[test]
    fn networks_are_matched_by_their_first_bits() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.200.3.4", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "::1", false),
            ("fe80::/10", "fe80::1", true),
            ("::1", "::1", true),
        ] {
            let found = Network::parse(network).unwrap().contains(address.parse().unwrap());
            assert_eq!(found, expected, "{network} {address}");
        }
        for none in ["10.0.0.0/33", "pg1", "pg1/8", "10.0.0.0/x"] {
            assert_eq!(Network::parse(none), None, "{none}");
        }
    }
}
