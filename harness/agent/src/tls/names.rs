//! The name of a PostgreSQL server, compared as libpq does with `sslmode: verify-full` (`fe-secure-common.c`, `fe-secure-openssl.c`;
//! manual "Client Verification of Server Certificates"): `subjectAltName`, and the common name where that has nothing of the
//! host's kind.

use std::net::IpAddr;

use super::certificate::{AlternativeName, Certificate};

/// Whether the certificate is for `host`, a name or an address.
pub(super) fn is_for(certificate: &Certificate, host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    let Ok(names) = certificate.alternative_names() else { return false };
    // A name of the host's own kind keeps the common name from counting.
    let of_its_kind = |name: &AlternativeName| matches!(name, AlternativeName::Ip(_)) == address.is_some();
    let by_common_name = !names.iter().any(of_its_kind);
    let matches = |name: &AlternativeName| match name {
        AlternativeName::Dns(pattern) => is_match(pattern, host),
        AlternativeName::Ip(bytes) => match address {
            Some(IpAddr::V4(address)) => address.octets() == bytes[..],
            Some(IpAddr::V6(address)) => address.octets() == bytes[..],
            None => false,
        },
    };
    names.iter().any(matches)
        || by_common_name && certificate.common_name().is_some_and(|pattern| is_match(pattern, host))
}

/// The same but for case, or `*.` before the same: for one label, and only the first.
fn is_match(pattern: &[u8], host: &str) -> bool {
    let host = host.as_bytes();
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(rest) = pattern.strip_prefix(b"*").filter(|rest| rest.starts_with(b".") && rest.len() < host.len()) else {
        return false;
    };
    let (label, domain) = host.split_at(host.len() - rest.len());
    domain.eq_ignore_ascii_case(rest) && !label.contains(&b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::test_certificate;

    #[test]
    fn a_star_stands_for_one_label_and_only_the_first() {
        for (pattern, host, expected) in [
            ("db.example.com", "DB.Example.com", true),
            ("*.example.com", "db.example.com", true),
            ("*.example.com", "a.db.example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "example.com", false),
            ("d*.example.com", "db.example.com", false),
            ("*", "localhost", false),
            ("db.example.com\0.evil.com", "db.example.com", false),
        ] {
            assert_eq!(is_match(pattern.as_bytes(), host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn the_common_name_counts_where_no_alternative_name_is_of_the_hosts_kind() {
        let v1 = test_certificate("openssl/v1.pem");
        assert!(is_for(&v1, "127.0.0.1") && !is_for(&v1, "localhost"), "its common name is 127.0.0.1");
        let own = test_certificate("openssl/self.pem");
        for (host, expected) in [("127.0.0.1", true), ("localhost", true), ("a", false), ("::1", false)] {
            assert_eq!(is_for(&own, host), expected, "{host}");
        }
    }
}
