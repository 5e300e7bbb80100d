//! What is trusted, kind by kind, in the words of `openssl verify`; where that program is there, it is asked as well.

use std::{process::Command, time::Duration};

use rustls::{
    client::danger::ServerCertVerifier,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
    server::danger::ClientCertVerifier,
};

use super::*;
use crate::tls::{
    files::authorities,
    provider, test_file,
    verify::{Names, OfClients, OfServers},
};

/// Shown, trusted, sent along; whether it is trusted as a server's and as a client's. They are OpenSSL 3.0's own verdicts.
const TABLE: &[(&str, &str, &[&str], bool, bool)] = &[
    // An authority as its own server and client: what `openssl req -x509` makes.
    ("self", "self", &[], true, true),
    ("self-ed25519", "self-ed25519", &[], true, true),
    ("self-p384", "self-p384", &[], true, true),
    ("self-rsa", "self-rsa", &[], true, true),
    ("self-rsa-pss", "self-rsa-pss", &[], true, true),
    ("self-both", "self-both", &[], true, true),
    ("self-leaf", "self-leaf", &[], true, true),
    ("self", "namesake", &[], false, false),
    ("self-leaf", "self", &[], false, false),
    // What it is for, when, and whether all of it is understood.
    ("self-signs-only", "self-signs-only", &[], false, false),
    ("self-for-clients", "self-for-clients", &[], false, true),
    ("self-for-anything", "self-for-anything", &[], false, false),
    ("self-critical", "self-critical", &[], false, false),
    ("self-expired", "self-expired", &[], false, false),
    ("self-future", "self-future", &[], false, false),
    // Signed by an authority: X.509 v3, v1, and authorities again.
    ("leaf", "root", &[], true, true),
    ("v1", "root", &[], true, true),
    ("ca-leaf", "root", &[], true, true),
    ("v1-below-middle", "root", &["middle"], true, true),
    ("v1-below-middle", "root", &[], false, false),
    ("ca-leaf-below-middle", "root", &["middle"], true, true),
    ("ca-leaf-below-middle", "root", &["leaf", "middle", "middle"], true, true),
    ("v1-below-narrow", "root", &["narrow"], true, true),
    ("v1-too-deep", "root", &["middle-below-narrow", "narrow"], false, false),
    // By somebody who may not sign.
    ("v1-below-v1", "root", &["v1"], false, false),
    ("v1-below-leaf", "root", &["leaf"], false, false),
    ("middle", "root", &[], false, false),
    ("root", "root", &[], false, false),
    // Authorities from before there were extensions.
    ("v1-root", "v1-root", &[], true, true),
    ("v1-below-v1-root", "v1-root", &[], true, true),
    ("leaf-below-v1-root", "v1-root", &[], true, true),
    // Trusted by themselves.
    ("v1", "v1", &[], true, true),
    ("ca-leaf", "ca-leaf", &[], true, true),
    ("v1-below-middle", "middle", &[], true, true),
    // Name constraints: they say nothing against a name of another kind, and hold for authorities as well.
    ("v1-below-named", "root", &["named"], true, true),
    ("constraints/dns-v1-in", "constraints/dns", &[], true, true),
    ("constraints/dns-v1-out", "constraints/dns", &[], false, false),
    ("constraints/dns-v1-in", "constraints/root", &["constraints/dns"], true, true),
    ("constraints/dns-v1-out", "constraints/root", &["constraints/dns"], false, false),
    ("constraints/dns-v1-label", "constraints/root", &["constraints/dns"], true, true),
    ("constraints/dns-v1-text", "constraints/root", &["constraints/dns"], true, true),
    ("constraints/dns-v1-second", "constraints/root", &["constraints/dns"], false, false),
    ("constraints/dns-in", "constraints/root", &["constraints/dns"], true, true),
    ("constraints/dns-out", "constraints/root", &["constraints/dns"], false, false),
    ("constraints/dns-longer", "constraints/root", &["constraints/dns"], false, false),
    ("constraints/dns-name-unseen", "constraints/root", &["constraints/dns"], true, true),
    ("constraints/dns-name-seen", "constraints/root", &["constraints/dns"], false, false),
    ("constraints/dot-in", "constraints/root", &["constraints/dot"], true, true),
    ("constraints/dot-out", "constraints/root", &["constraints/dot"], false, false),
    ("constraints/secret-in", "constraints/root", &["constraints/secret"], true, true),
    ("constraints/secret-out", "constraints/root", &["constraints/secret"], false, false),
    ("constraints/two-in", "constraints/root", &["constraints/two"], true, true),
    ("constraints/two-out", "constraints/root", &["constraints/two"], false, false),
    ("constraints/ip-in", "constraints/root", &["constraints/ip"], true, true),
    ("constraints/ip-out", "constraints/root", &["constraints/ip"], false, false),
    ("constraints/ip-excluded", "constraints/root", &["constraints/ip"], false, false),
    ("constraints/ip-six", "constraints/root", &["constraints/ip"], false, false),
    ("constraints/ip-v1", "constraints/root", &["constraints/ip"], true, true),
    ("constraints/folder-v1-in", "constraints/root", &["constraints/folder"], true, true),
    ("constraints/folder-v1-out", "constraints/root", &["constraints/folder"], false, false),
    ("constraints/folder-in", "constraints/root", &["constraints/folder"], true, true),
    ("constraints/folder-out", "constraints/root", &["constraints/folder"], false, false),
    ("constraints/mail-in", "constraints/root", &["constraints/mail"], true, true),
    ("constraints/mail-out", "constraints/root", &["constraints/mail"], false, false),
    ("constraints/mail-below", "constraints/root", &["constraints/mail"], false, false),
    ("constraints/mail-none", "constraints/root", &["constraints/mail"], false, false),
    ("constraints/mail-v1-in", "constraints/root", &["constraints/mail"], true, true),
    ("constraints/mail-v1-out", "constraints/root", &["constraints/mail"], false, false),
    ("constraints/uri-in", "constraints/root", &["constraints/uri"], true, true),
    ("constraints/uri-out", "constraints/root", &["constraints/uri"], false, false),
    ("constraints/uri-none", "constraints/root", &["constraints/uri"], false, false),
    ("constraints/rid-has", "constraints/root", &["constraints/rid"], false, false),
    ("constraints/rid-none", "constraints/root", &["constraints/rid"], true, true),
    ("constraints/named-has", "constraints/root", &["constraints/named"], false, false),
    ("constraints/named-another", "constraints/root", &["constraints/named"], true, true),
    ("constraints/deep-dns", "constraints/root", &["constraints/deep"], false, false),
    ("constraints/deep-ip", "constraints/root", &["constraints/deep"], true, true),
    ("constraints/below-others", "constraints/root", &["constraints/others", "constraints/folder"], false, false),
    ("constraints/below-again", "constraints/root", &["constraints/again", "constraints/folder"], true, true),
    ("constraints/below-ours", "constraints/root", &["constraints/ours", "constraints/folder"], true, true),
    ("constraints/below-ours-out", "constraints/root", &["constraints/ours", "constraints/folder"], false, false),
];

fn der(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(test_file(&format!("openssl/{name}.pem"))).expect("it is checked in")
}

fn now() -> UnixTime {
    // 2027-01-01
    UnixTime::since_unix_epoch(Duration::from_secs(1_798_761_600))
}

fn verdicts(leaf: &str, trusted: &str, others: &[&str]) -> (Result<(), rustls::Error>, Result<(), rustls::Error>) {
    let authorities = authorities(&test_file(&format!("openssl/{trusted}.pem"))).expect("it is checked in");
    let (leaf, others) = (der(leaf), others.iter().map(|other| der(other)).collect::<Vec<_>>());
    let of_servers = OfServers { authorities: Some(authorities.clone()), names: Names::Any, provider: provider() };
    let name = ServerName::try_from("localhost").expect("a name");
    let server = of_servers.verify_server_cert(&leaf, &others, &name, &[], now());
    let of_clients = OfClients::new(authorities, true, provider()).expect("there is an authority");
    (server.map(drop), of_clients.verify_client_cert(&leaf, &others, now()).map(drop))
}

#[test]
fn what_openssl_accepts_is_accepted_and_nothing_else() {
    for (leaf, trusted, others, server, client) in TABLE {
        let (as_server, as_client) = verdicts(leaf, trusted, others);
        assert_eq!(as_server.is_ok(), *server, "{leaf} as a server's, {trusted} trusted: {as_server:?}");
        assert_eq!(as_client.is_ok(), *client, "{leaf} as a client's, {trusted} trusted: {as_client:?}");
    }
}

#[test]
fn openssl_says_the_same_where_it_is_there() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("not compared: there is no openssl here");
        return;
    }
    let path = |name: &&str| test_file(&format!("openssl/{name}.pem"));
    for (leaf, trusted, others, server, client) in TABLE {
        for (purpose, expected) in [("sslserver", *server), ("sslclient", *client)] {
            let mut command = Command::new("openssl");
            command.args(["verify", "-partial_chain", "-attime", "1798761600", "-purpose", purpose]);
            command.args(["-no-CApath", "-no-CAstore", "-CAfile"]).arg(path(trusted));
            for other in *others {
                command.arg("-untrusted").arg(path(other));
            }
            let said = command.arg(path(leaf)).output().expect("it is there");
            let accepts = said.status.success();
            let said = String::from_utf8_lossy(&said.stderr).into_owned();
            assert_eq!(accepts, expected, "{leaf}, {trusted} trusted, {purpose}: {said}");
        }
    }
}

#[test]
fn a_refusal_says_what_is_wrong() {
    for (leaf, trusted, others, expected) in [
        ("self-expired", "self-expired", &[][..], "expired"),
        ("self-future", "self-future", &[], "not valid yet"),
        ("self-for-clients", "self-for-clients", &[], "InvalidPurpose"),
        ("self-critical", "self-critical", &[], "UnhandledCriticalExtension"),
        ("v1", "self", &[], "UnknownIssuer"),
        ("constraints/dns-out", "constraints/dns", &[], "DNS name \\\"db.example.org\\\""),
        ("constraints/secret-out", "constraints/secret", &[], "Excluded"),
        ("constraints/ip-out", "constraints/ip", &[], "address 11.1.2.3"),
        ("constraints/rid-has", "constraints/rid", &[], "Unsupported"),
        ("constraints/deep-dns", "constraints/deep", &[], "Distance"),
    ] {
        let refused = verdicts(leaf, trusted, others).0.expect_err("it is refused").to_string();
        assert!(refused.contains(expected), "{leaf}: {refused}");
    }
}

/// Everybody who may connect can send any number of certificates.
#[test]
fn certificates_that_sign_each_other_do_not_lead_round_in_circles() {
    let middles = vec!["middle"; 200];
    let began = std::time::Instant::now();
    let (refused, _) = verdicts("ca-leaf-below-middle", "self", &middles);
    assert!(refused.is_err() && began.elapsed() < Duration::from_secs(5), "{refused:?} {:?}", began.elapsed());
}
