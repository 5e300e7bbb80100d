//! What revocation lists clear, in the words of `openssl verify -crl_check_all`; where that program is there, it is asked as well.

use std::{process::Command, sync::Arc};

use rustls::{
    client::danger::ServerCertVerifier,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

use super::*;
use crate::tls::{
    Revocation,
    files::{authorities, lists},
    provider, test_file,
    verify::{Authorities, Names, OfServers},
};

/// Shown, trusted, sent along, lists, of which there may be several; whether a server with it is trusted. They are OpenSSL 3.0's own verdicts.
const TABLE: &[(&str, &str, &str, &str, bool)] = &[
    ("leaf", "root", "middle", "root middle", true),
    ("v1", "root", "middle", "root middle", true),
    ("gone", "root", "middle", "root middle", false),
    ("v1-gone", "root", "middle", "root middle", false),
    // Of every authority one is needed, of the uppermost about itself.
    ("leaf", "root", "middle", "", false),
    ("leaf", "root", "middle", "root", false),
    ("leaf", "root", "middle", "middle", false),
    ("leaf", "root", "middle", "root-self middle", false),
    ("below-fallen", "root", "fallen", "root fallen", false),
    // What libpq trusts without partial chains.
    ("leaf", "middle", "", "root middle", false),
    ("leaf", "leaf", "", "root middle", false),
    // Dates, signatures, and the right to sign.
    ("leaf", "root", "middle", "root middle-old", false),
    ("leaf", "root", "middle", "root middle-future", false),
    ("leaf", "root", "middle", "root middle-old middle", true),
    ("leaf", "root", "middle", "root forged", false),
    ("below-mute", "root", "mute", "root mute", false),
    // The newest counts, and an entry may be taken back.
    ("gone", "root", "middle", "root middle-none", true),
    ("gone", "root", "middle", "root middle-none middle", false),
    ("back", "root", "middle", "root middle-back", true),
    // An authority that is its own server.
    ("../self", "../self", "", "self", true),
    ("../self", "../self", "", "self-gone", false),
    ("../self", "../self", "", "root", false),
];

fn file(name: &str) -> std::path::PathBuf {
    test_file(&format!("openssl/revocation/{name}"))
}

fn der(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(&format!("{name}.pem"))).expect("it is checked in")
}

fn loaded(name: &str) -> Vec<List> {
    let of = Revocation { file: Some(file(&format!("{name}.crl"))), folder: None };
    lists(&of).expect("it is right").expect("it is there").to_vec()
}

fn verdict(leaf: &str, trusted: &str, others: &str, lists: Option<Arc<[List]>>) -> Result<(), rustls::Error> {
    // 2027-01-01
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_798_761_600));
    let trusted = authorities(&file(&format!("{trusted}.pem"))).expect("it is checked in");
    let authorities = Some(Authorities { lists, ..trusted });
    let of_servers = OfServers { authorities, names: Names::Any, provider: provider() };
    let (leaf, others) = (der(leaf), others.split_whitespace().map(der).collect::<Vec<_>>());
    let name = ServerName::try_from("localhost").expect("a name");
    of_servers.verify_server_cert(&leaf, &others, &name, &[], now).map(drop)
}

fn of_files(names: &str) -> Option<Arc<[List]>> {
    Some(names.split_whitespace().flat_map(loaded).collect())
}

#[test]
fn what_openssl_clears_is_cleared_and_nothing_else() {
    for (leaf, trusted, others, lists, expected) in TABLE {
        let said = verdict(leaf, trusted, others, of_files(lists));
        assert_eq!(said.is_ok(), *expected, "{leaf}, {trusted} trusted, {lists:?}: {said:?}");
    }
    verdict("gone", "root", "middle", None).expect("without lists nothing is revoked");
}

#[test]
fn openssl_says_the_same_where_it_is_there() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("not compared: there is no openssl here");
        return;
    }
    for (leaf, trusted, others, lists, expected) in TABLE {
        let mut command = Command::new("openssl");
        command.args(["verify", "-crl_check_all", "-attime", "1798761600", "-purpose", "sslserver"]);
        command.args(["-no-CApath", "-no-CAstore", "-CAfile"]).arg(file(&format!("{trusted}.pem")));
        for other in others.split_whitespace() {
            command.arg("-untrusted").arg(file(&format!("{other}.pem")));
        }
        for list in lists.split_whitespace() {
            command.arg("-CRLfile").arg(file(&format!("{list}.crl")));
        }
        let said = command.arg(file(&format!("{leaf}.pem"))).output().expect("it is there");
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.success(), *expected, "{leaf}, {trusted} trusted, {lists:?}: {text}");
    }
}

#[test]
fn a_refusal_says_what_is_wrong() {
    for (leaf, lists, expected) in [
        ("gone", "root middle", "Revoked"),
        ("leaf", "root", "UnknownRevocationStatus"),
        ("leaf", "root middle-old", "revocation list expired"),
    ] {
        let refused = verdict(leaf, "root", "middle", of_files(lists)).expect_err("it is refused").to_string();
        assert!(refused.contains(expected), "{leaf}: {refused}");
    }
}

/// OpenSSL does take parts of a list.
#[test]
fn a_list_that_must_be_understood_and_is_not_clears_nobody() {
    let said = verdict("leaf", "root", "middle", of_files("root middle-part"));
    assert!(said.is_err_and(|error| error.to_string().contains("UnknownRevocationStatus")));
}

/// As libpq: without a file, or with nothing in it, there is no check; with a folder there is.
#[test]
fn lists_are_found_where_libpq_finds_them() {
    let count = |name: Option<&str>, folder: Option<&str>| {
        let of = Revocation { file: name.map(file), folder: folder.map(file) };
        lists(&of).map(|found| found.map(|lists| lists.len())).map_err(|error| error.to_string())
    };
    for (name, folder, expected) in [
        (Some("root.crl"), None, Some(1)),
        (Some("root.crl"), Some("hashed"), Some(4)),
        (None, Some("hashed"), Some(3)),
        (None, Some("missing"), Some(0)),
        (Some("missing.crl"), Some("hashed"), None),
        (Some("make"), None, None),
        (Some("root.pem"), None, Some(0)),
        (Some("missing.crl"), None, None),
    ] {
        assert_eq!(count(name, folder), Ok(expected), "{name:?} {folder:?}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let broken = dir.path().join("broken.crl");
    let text = std::fs::read_to_string(file("root.crl")).expect("it is checked in");
    let cut: Vec<&str> = text.lines().enumerate().filter(|(number, _)| *number != 2).map(|(_, line)| line).collect();
    std::fs::write(&broken, cut.join("\n")).expect("it is written");
    let said = lists(&Revocation { file: Some(broken), folder: None }).expect_err("a line is missing").to_string();
    assert!(said.contains("broken.crl: not a revocation list"), "{said}");
}
