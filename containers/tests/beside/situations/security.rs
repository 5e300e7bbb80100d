//! Passwords, certificates, allow lists.

use std::process::Command;

use serde_json::{Value, json};

use super::{Situation, set};
use crate::stage::Stage;

pub(super) const SITUATIONS: [Situation; 4] = [
    Situation::new("a_rest_api_with_a_password_and_an_allowlist", guarded),
    Situation::new("a_rest_api_with_a_certificate_that_is_its_own_authority", own_authority).short(),
    Situation::with_tls("postgresql_inside_tls", inside_tls),
    Situation::with_tls("postgresql_inside_tls_and_a_socket_outside_of_it", socket),
];

fn guarded(stage: &mut Stage) {
    stage.cluster(1, |file| {
        set(file, "restapi.authentication", json!({ "username": "admin", "password": "rest-secret" }));
        set(file, "restapi.allowlist", json!(["10.0.0.1"]));
    });
    for (method, path) in [
        ("GET", "/patroni"),
        ("GET", "/config"),
        ("PATCH", "/config"),
        ("PUT", "/config"),
        ("POST", "/reload"),
        ("POST", "/restart"),
        ("DELETE", "/restart"),
        ("POST", "/reinitialize"),
        ("POST", "/switchover"),
        ("DELETE", "/switchover"),
        ("POST", "/failover"),
        ("POST", "/failsafe"),
        ("POST", "/mpp"),
        ("POST", "/citus"),
        ("POST", "/sigterm"),
        ("POST", "/nothing"),
        ("PUT", "/nothing"),
        ("BREW", "/patroni"),
    ] {
        let answer = stage.of("pg1").ask(method, path, &json!({}));
        stage.note(&format!("{method} {path}"), json!(answer.map(|(status, _)| status)));
    }
}

/// Made as Patroni's users make them: one self-signed certificate for everything.
fn certificate(stage: &Stage) -> [String; 2] {
    let file = |name: &str| stage.place.write(name, "").to_string_lossy().into_owned();
    let (key, certificate) = (file("own.key"), file("own.pem"));
    let names = (1..=3).map(|number| format!("IP:{}", stage.place.address(number))).collect::<Vec<_>>().join(",");
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-nodes", "-new", "-newkey", "rsa:2048", "-subj", "/CN=own", "-days", "2"]);
    openssl.args(["-addext", &format!("subjectAltName={names}"), "-keyout", &key, "-out", &certificate]);
    let made = openssl.output().expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    [certificate, key]
}

fn own_authority(stage: &mut Stage) {
    let [certificate, key] = certificate(stage);
    for number in 1..=2 {
        stage.add(number, |file| {
            set(file, "restapi.certfile", json!(certificate));
            set(file, "restapi.keyfile", json!(key));
            set(file, "restapi.cafile", json!(certificate));
            set(file, "restapi.verify_client", json!("required"));
            set(file, "ctl", json!({ "certfile": certificate, "keyfile": key, "cacert": certificate }));
        });
        stage.of_mut(&format!("pg{number}")).tls = Some((certificate.clone(), key.clone()));
    }
    stage.start_all();
    stage.until_streaming(&["pg2"]);
    stage.request("switchover", "pg1", "POST /switchover", &json!({ "leader": "pg1", "candidate": "pg2" }));
    stage.until_primary("pg2");
    stage.until_streaming(&["pg1"]);
    stage.record("settled");
}

/// Every user inside TLS, with a certificate.
fn with_tls(file: &mut Value, network: &str, [certificate, key]: &[String; 2]) {
    for (name, value) in
        [("ssl", "on"), ("ssl_cert_file", certificate), ("ssl_key_file", key), ("ssl_ca_file", certificate)]
    {
        set(file, &format!("postgresql.parameters.{name}"), json!(value));
    }
    set(
        file,
        "postgresql.pg_hba",
        json!([
            "local all all trust",
            format!("hostssl all all {network} scram-sha-256"),
            format!("hostssl replication all {network} scram-sha-256"),
        ]),
    );
    for user in ["superuser", "replication", "rewind"] {
        let place = format!("postgresql.authentication.{user}");
        for (name, value) in
            [("sslmode", "verify-ca"), ("sslrootcert", certificate), ("sslcert", certificate), ("sslkey", key)]
        {
            set(file, &format!("{place}.{name}"), json!(value));
        }
    }
}

fn inside_tls(stage: &mut Stage) {
    let (files, network) = (certificate(stage), stage.place.network());
    stage.cluster(2, |file| with_tls(file, &network, &files));
    stage.until_streaming(&["pg2"]);
    stage.record("settled");
}

fn socket(stage: &mut Stage) {
    let (files, network) = (certificate(stage), stage.place.network());
    stage.cluster(1, |file| {
        with_tls(file, &network, &files);
        set(file, "postgresql.use_unix_socket", json!(true));
        set(file, "postgresql.use_unix_socket_repl", json!(true));
    });
    stage.record("settled");
}
