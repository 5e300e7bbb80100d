//! Handshakes over a pipe: what a client and a server with these files come to.

use std::path::PathBuf;

use rustls::{
    pki_types::{CertificateDer, pem::PemObject},
    version::TLS12,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{certificate::Certificate, *};

pub(super) fn test_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/fixtures/tls").join(name)
}

pub(super) fn test_certificate(name: &str) -> Certificate {
    let der = CertificateDer::from_pem_file(test_file(name)).expect("it is checked in");
    Certificate::parse(&der).expect("it is right")
}

/// A certificate that has its key beside it.
fn own_files(name: &str) -> (PathBuf, PathBuf) {
    (test_file(&format!("{name}.pem")), test_file(&format!("{name}.key")))
}

fn server(name: &str, cafile: &str, verify_client: VerifyClient) -> Acceptor {
    let (certfile, keyfile) = own_files(name);
    let files = RestapiTls { certfile, keyfile: Some(keyfile), cafile: Some(test_file(cafile)), verify_client };
    Acceptor::new(files).expect("they are right")
}

fn client(cacert: &str, shown: Option<&str>, checks: Checks) -> ClientFiles {
    let (cert, key) = shown.map(own_files).unzip();
    let settings = Settings { cacert: "ctl.cacert", cert: "ctl.certfile" };
    ClientFiles { cacert: Some(test_file(cacert)), cert, key, checks, revocation: None, settings }
}

/// What the client and the server say of a handshake, and of a byte there and back: only then a client knows that it was accepted.
async fn meet(acceptor: &Acceptor, files: &ClientFiles, host: &str) -> (Result<(), String>, Result<bool, String>) {
    let (ours, theirs) = duplex(1 << 16);
    let peer = HostPort::new(host, 8008);
    let talk = async {
        let mut stream = files.connector("http/1.1").expect("they are right").connect(&peer, ours).await?;
        let exchange = async {
            stream.write_all(b"?").await?;
            stream.read_u8().await.map(drop)
        };
        exchange.await.map_err(|error| files.explained(&peer, &error).unwrap_or(error))
    };
    let serve = async {
        let (mut stream, has_certificate) = acceptor.accept(theirs).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.flush().await?;
        Ok(has_certificate)
    };
    let (said, heard) = tokio::join!(talk, serve);
    let explained = |error: io::Error| acceptor.explained(&error).unwrap_or_else(|| format!("gone: {error}"));
    (said.map_err(|error| error.to_string()), heard.map_err(explained))
}

/// `openssl req -x509 -nodes -new -addext subjectAltName=...` as certfile, cafile and client certificate at once; and what
/// PostgreSQL's manual makes, X.509 v1.
#[tokio::test]
async fn one_certificate_for_everything_and_certificates_without_extensions_are_accepted_by_both_sides() {
    for (name, authority) in [("openssl/self", "openssl/self.pem"), ("openssl/v1", "openssl/root.pem")] {
        let acceptor = server(name, authority, VerifyClient::Required);
        let files = client(authority, Some(name), Checks::AuthorityAndLibpqName);
        assert_eq!(meet(&acceptor, &files, "127.0.0.1").await, (Ok(()), Ok(true)), "{name}");
        let optional = server(name, authority, VerifyClient::Optional);
        let files = client(authority, None, Checks::Authority);
        assert_eq!(meet(&optional, &files, "anything").await, (Ok(()), Ok(false)), "{name}");
    }
    let acceptor = server("openssl/self", "openssl/self.pem", VerifyClient::Required);
    let files = client("openssl/self.pem", Some("openssl/self"), Checks::AuthorityAndName);
    assert_eq!(meet(&acceptor, &files, "localhost").await, (Ok(()), Ok(true)));
    let (said, _) = meet(&acceptor, &files, "pg1.example").await;
    let said = said.expect_err("it is for others");
    assert!(said.starts_with("TLS with pg1.example:8008: ") && said.contains("subjectAltName"), "{said}");
}

/// A key that does not belong to the certificate proves nothing, whatever is trusted.
#[tokio::test]
async fn who_shows_a_trusted_certificate_must_have_its_key() {
    for shown in ["openssl/self.pem", "openssl/v1.pem"] {
        let files = RestapiTls {
            certfile: test_file(shown),
            keyfile: Some(test_file("server.key")),
            cafile: None,
            verify_client: VerifyClient::None,
        };
        let refused = Acceptor::new(files).err().expect("they do not belong together").to_string();
        assert!(refused.contains(shown) && refused.contains("server.key"), "{refused}");
    }
    for (shown, trusted) in [("openssl/self.pem", "openssl/self.pem"), ("openssl/v1.pem", "openssl/root.pem")] {
        for versions in [&[&TLS12][..], rustls::DEFAULT_VERSIONS] {
            let impostor = impostor(shown, versions);
            let (ours, theirs) = duplex(1 << 16);
            let connector = client(trusted, None, Checks::Authority).connector("http/1.1").expect("they are right");
            let peer = HostPort::new("localhost", 1);
            let (said, _) = tokio::join!(connector.connect(&peer, ours), impostor.accept(theirs));
            let said = said.expect_err("it has not the key").to_string();
            assert!(said.contains("BadSignature"), "{shown}: {said}");
        }
    }
}

/// A server that shows a certificate whose key it has not.
fn impostor(shown: &str, versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsAcceptor {
    use rustls::{
        pki_types::PrivateKeyDer,
        sign::{CertifiedKey, SingleCertAndKey},
    };
    let key = PrivateKeyDer::from_pem_file(test_file("server.key")).expect("it is checked in");
    let key = provider().key_provider.load_private_key(key).expect("it is right");
    let chain = vec![CertificateDer::from_pem_file(test_file(shown)).expect("it is checked in")];
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("they are known")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))));
    TlsAcceptor::from(Arc::new(config))
}

/// TLS 1.2 signs in another way.
#[tokio::test]
async fn certificates_without_extensions_work_with_old_tls_as_well() {
    let config =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS12]).expect("it is known");
    let trusted = authorities(&test_file("openssl/root.pem")).expect("it is right");
    let verifier = OfClients::new(trusted, true, provider()).expect("there is an authority");
    let (cert, key) = own_files("openssl/v1");
    let config = config
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(own(&cert, &key).expect("they belong together"));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let connector = client("openssl/root.pem", Some("openssl/v1"), Checks::Authority).connector("x").expect("right");
    let (ours, theirs) = duplex(1 << 16);
    let peer = HostPort::new("localhost", 1);
    let (client, server) = tokio::join!(connector.connect(&peer, ours), acceptor.accept(theirs));
    assert!(client.is_ok() && server.is_ok(), "{:?} {:?}", client.err(), server.err());
}

#[tokio::test]
async fn both_sides_say_why_with_the_peer_and_the_file() {
    let required = server("server", "ca.pem", VerifyClient::Required);
    let none = client("ca.pem", None, Checks::AuthorityAndName);
    let (client_says, server_says) = meet(&required, &none, "localhost").await;
    let client_says = client_says.expect_err("it shows none");
    assert!(
        client_says.starts_with("TLS with localhost:8008: ") && client_says.contains("ctl.certfile"),
        "{client_says}"
    );
    assert_eq!(server_says, Err("it shows no certificate, and restapi.verify_client requires one".into()));

    let stranger = client("ca.pem", Some("openssl/self"), Checks::AuthorityAndName);
    let (client_says, server_says) = meet(&required, &stranger, "localhost").await;
    let (client_says, server_says) = (client_says.expect_err("unknown"), server_says.expect_err("unknown"));
    assert!(client_says.contains("does not accept our certificate, ctl.certfile ("), "{client_says}");
    assert!(client_says.contains("openssl/self.pem"), "{client_says}");
    assert!(
        server_says.contains("no authority in restapi.cafile (") && server_says.contains("/ca.pem)"),
        "{server_says}"
    );

    let suspicious = client("openssl/self.pem", None, Checks::AuthorityAndName);
    let open = server("server", "ca.pem", VerifyClient::None);
    let (client_says, server_says) = meet(&open, &suspicious, "localhost").await;
    let (client_says, server_says) = (client_says.expect_err("unknown"), server_says.expect_err("unknown"));
    assert!(client_says.contains("no authority in ctl.cacert (") && client_says.contains("self.pem"), "{client_says}");
    assert!(server_says.contains("does not accept our certificate, restapi.certfile ("), "{server_says}");

    let (mut plain, theirs) = duplex(1 << 16);
    plain.write_all(b"GET /patroni HTTP/1.0\r\n\r\n").await.expect("it is open");
    let error = open.accept(theirs).await.expect_err("that is no TLS");
    assert!(open.explained(&error).is_some_and(|why| why.contains("does not speak TLS")), "{error}");
    let (gone, theirs) = duplex(1 << 16);
    drop(gone);
    let error = open.accept(theirs).await.expect_err("nobody is there");
    assert_eq!(open.explained(&error), None, "checks of load balancers do that: {error}");
}

/// A renewed certificate counts without a restart, for clients, too.
#[tokio::test]
async fn renewed_files_count_from_the_next_connection_on_and_broken_ones_never() {
    let dir = tempfile::tempdir().expect("a directory");
    let cacert = dir.path().join("ca.pem");
    let write = |name: &str, age: u64| {
        std::fs::copy(test_file(name), &cacert).expect("it is copied");
        touch(&cacert, age);
    };
    write("openssl/self.pem", 30);
    let files = ClientFiles { cacert: Some(cacert.clone()), ..client("ca.pem", None, Checks::AuthorityAndName) };
    let connectors = Connectors::new(files, "http/1.1");
    let acceptor = server("server", "ca.pem", VerifyClient::None);
    let works = async || {
        let (ours, theirs) = duplex(1 << 16);
        let connector = connectors.get().expect("there was one");
        let peer = HostPort::new("localhost", 1);
        let (client, _) = tokio::join!(connector.connect(&peer, ours), acceptor.accept(theirs));
        client.is_ok()
    };
    assert!(!works().await, "another authority");
    write("ca.pem", 20);
    assert!(works().await, "the new one");
    std::fs::write(&cacert, "half of").expect("it is written");
    touch(&cacert, 10);
    assert!(works().await, "the last good one stays");
}

fn touch(file: &std::path::Path, seconds_ago: u64) {
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds_ago);
    let file = std::fs::File::options().write(true).open(file).expect("it is there");
    file.set_modified(then).expect("it is ours");
}
