//! Against a server that speaks as much of PostgreSQL's protocol as a login and one statement need, over real sockets.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use pgdrill_net::{Listener, Net, TokioNet};

use super::*;
use crate::{
    config::{RestapiTls, User, VerifyClient},
    postgres::Sql,
    tls::Acceptor,
};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/fixtures/tls").join(name)
}

/// How the server is configured.
#[derive(Clone, Copy, Debug)]
struct Server {
    /// `ssl`.
    ssl: bool,
    /// The type of the only line of its `pg_hba.conf`.
    hba: &'static str,
    /// Whether it asks for a client certificate.
    clientcert: bool,
}

const HOSTSSL: Server = Server { ssl: true, hba: "hostssl", clientcert: false };
const HOSTNOSSL: Server = Server { ssl: true, hba: "hostnossl", clientcert: false };
const HOST: Server = Server { ssl: true, hba: "host", clientcert: false };
const OFF: Server = Server { ssl: false, hba: "host", clientcert: false };

impl Server {
    fn acceptor(self) -> Option<Acceptor> {
        let verify_client = if self.clientcert { VerifyClient::Required } else { VerifyClient::None };
        let cafile = Some(file("ca.pem"));
        let (certfile, keyfile) = (file("server.pem"), Some(file("server.key")));
        self.ssl
            .then(|| Acceptor::new(RestapiTls { certfile, keyfile, cafile, verify_client }).expect("they are right"))
    }

    /// One connection, from its first packet to its end. Tells whether it was inside TLS when it came to the login.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S, logins: &Mutex<Vec<&'static str>>) {
        let startup = packet(&mut stream).await.expect("a client begins");
        if startup != SSL_REQUEST[4..] {
            return self.login(stream, "plain", logins).await;
        }
        let Some(acceptor) = self.acceptor() else {
            stream.write_all(b"N").await.expect("it listens");
            if packet(&mut stream).await.is_ok() {
                self.login(stream, "plain", logins).await;
            }
            return;
        };
        stream.write_all(b"S").await.expect("it listens");
        let Ok((mut stream, _)) = acceptor.accept(stream).await else { return };
        if packet(&mut stream).await.is_ok() {
            self.login(stream, "tls", logins).await;
        }
    }

    async fn login<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        mut stream: S,
        way: &'static str,
        logins: &Mutex<Vec<&'static str>>,
    ) {
        logins.lock().expect("no test panics while it holds this").push(way);
        let legal = match self.hba {
            "hostssl" => way == "tls",
            "hostnossl" => way == "plain",
            _ => true,
        };
        if !legal {
            let fields = format!("SFATAL\0C28000\0Mno pg_hba.conf entry for {way}\0\0");
            return message(&mut stream, b'E', fields.as_bytes()).await;
        }
        message(&mut stream, b'R', &[0, 0, 0, 0]).await;
        message(&mut stream, b'Z', b"I").await;
        stream.read_u8().await.expect("a statement follows");
        packet(&mut stream).await.expect("a statement follows");
        message(&mut stream, b'C', b"SELECT 0\0").await;
        message(&mut stream, b'Z', b"I").await;
    }
}

/// What follows a length, which counts itself.
async fn packet<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await? as usize;
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

async fn message<S: AsyncWrite + Unpin>(stream: &mut S, kind: u8, body: &[u8]) {
    let length = u32::try_from(body.len() + 4).expect("it is short").to_be_bytes();
    let whole = [&[kind], &length[..], body].concat();
    stream.write_all(&whole).await.expect("it listens");
    stream.flush().await.expect("it listens");
}

/// Sends a statement with these parameters. In which ways the server was asked to be let in, and what came of it.
async fn ask(server: Server, options: &[(&str, &str)]) -> (Vec<&'static str>, Result<(), SqlError>) {
    let mut listener = TokioNet.listen("127.0.0.1", 0).await.expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let logins = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&logins);
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            server.serve(stream, &heard).await;
        }
    });
    let path =
        |value: &str| if value.contains('.') { file(value).to_string_lossy().into_owned() } else { value.into() };
    let options = options.iter().map(|(name, value)| ((*name).to_owned(), path(value))).collect();
    let sql = Sql::new(TokioNet, HostPort::new("127.0.0.1", port), User::named("postgres")).with_options(&options);
    let outcome = sql.query_in("postgres", "SELECT", Duration::from_secs(20)).await;
    serving.abort();
    let logins = logins.lock().expect("no test panics while it holds this").clone();
    (logins, outcome)
}

#[tokio::test]
async fn every_sslmode_tries_what_libpq_tries() {
    for (sslmode, server, logins, works) in [
        ("disable", HOST, &["plain"][..], true),
        ("disable", HOSTSSL, &["plain"], false),
        ("allow", HOST, &["plain"], true),
        ("allow", HOSTSSL, &["plain", "tls"], true),
        ("allow", OFF, &["plain"], true),
        ("prefer", HOST, &["tls"], true),
        ("prefer", HOSTSSL, &["tls"], true),
        ("prefer", HOSTNOSSL, &["tls", "plain"], true),
        ("prefer", OFF, &["plain"], true),
        ("require", HOSTSSL, &["tls"], true),
        ("require", HOSTNOSSL, &["tls"], false),
        ("require", OFF, &[], false),
    ] {
        let (asked, outcome) = ask(server, &[("sslmode", sslmode)]).await;
        assert_eq!((&asked[..], outcome.is_ok()), (logins, works), "{sslmode}, {server:?}: {outcome:?}");
    }
    assert_eq!(ask(HOST, &[]).await, (vec!["plain"], Ok(())), "without an sslmode there is no TLS");
}

#[tokio::test]
async fn a_certificate_is_checked_as_far_as_the_sslmode_says() {
    let missing = ("sslrootcert", "missing.pem");
    let (ours, other) = (("sslrootcert", "ca.pem"), ("sslrootcert", "client.pem"));
    for (sslmode, rootcert, works) in [
        ("require", missing, true),
        ("require", ours, true),
        ("require", other, false),
        ("verify-ca", ours, true),
        ("verify-ca", other, false),
        ("verify-ca", missing, false),
        ("verify-full", ours, true),
        ("verify-full", other, false),
    ] {
        let (_, outcome) = ask(HOSTSSL, &[("sslmode", sslmode), rootcert]).await;
        assert_eq!(outcome.is_ok(), works, "{sslmode}, {rootcert:?}: {outcome:?}");
    }
    let (logins, outcome) = ask(HOST, &[("sslmode", "prefer"), other]).await;
    assert_eq!((&logins[..], outcome), (&["plain"][..], Ok(())), "prefer turns to a connection without TLS");
}

#[tokio::test]
async fn what_is_wrong_with_tls_is_told_with_what_would_be_right() {
    let told = async |server: Server, options: &[(&str, &str)]| match ask(server, options).await.1 {
        Err(SqlError::NotConnected(Reachability::TlsFailed, text)) => text,
        other => panic!("{options:?}: {other:?}"),
    };
    let off = told(OFF, &[("sslmode", "require")]).await;
    assert!(off.contains("TLS with 127.0.0.1:") && off.contains("ssl is off"), "{off}");
    let other = told(HOST, &[("sslmode", "verify-ca"), ("sslrootcert", "client.pem")]).await;
    assert!(other.contains("no authority in sslrootcert (") && other.contains("/client.pem)"), "{other}");
    let missing = told(HOST, &[("sslmode", "verify-ca"), ("sslrootcert", "missing.pem")]).await;
    assert!(missing.contains("/missing.pem: "), "{missing}");
}

#[tokio::test]
async fn the_name_in_a_certificate_counts_with_verify_full_alone() {
    let server = |sslmode: &str| Ssl {
        mode: Ssl::of(&[("sslmode".to_owned(), sslmode.to_owned())].into()).mode,
        rootcert: Some(file("ca.pem")),
        ..Ssl::default()
    };
    for (sslmode, host, works) in [
        ("verify-ca", "pg1.example", true),
        ("verify-full", "localhost", true),
        ("verify-full", "127.0.0.1", true),
        ("verify-full", "pg1.example", false),
        ("verify-full", "127.0.0.2", false),
    ] {
        let (client, mut stream) = tokio::io::duplex(4096);
        let accepting = tokio::spawn(async move {
            packet(&mut stream).await.expect("the request");
            stream.write_all(b"S").await.expect("it listens");
            HOST.acceptor().expect("it has one").accept(stream).await.map(drop)
        });
        let outcome = server(sslmode).open(Way::Tls, &HostPort::new(host, 5432), client).await.map(drop);
        let _ = accepting.await.expect("it does not panic");
        assert_eq!(outcome.is_ok(), works, "{sslmode} {host}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(error.to_string().contains("verify-ca does not compare names"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_asked_for() {
    let server = Server { clientcert: true, ..HOSTSSL };
    let cert = [("sslmode", "require"), ("sslcert", "client.pem"), ("sslkey", "client.key")];
    assert_eq!(ask(server, &cert).await, (vec!["tls"], Ok(())));
    let (logins, outcome) = ask(server, &cert[..1]).await;
    assert!(logins.is_empty() && outcome.is_err(), "{logins:?} {outcome:?}");
}
