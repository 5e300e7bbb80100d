//! The REST API inside TLS, over real sockets: certificates of a test authority that nothing else trusts.

use std::path::PathBuf;

use super::{client::Client, *};
use crate::{
    config::{AgentConfig, CtlConfig, Password, RestapiTls, User, VerifyClient},
    fixtures::{FakeKv, FakePostgres, Heard, config, parts},
};
use pgdrill_net::TokioNet;
use std::time::Duration;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/fixtures/tls").join(name)
}

fn with_tls(verify_client: VerifyClient) -> AgentConfig {
    let mut config = config();
    config.restapi.tls = Some(RestapiTls {
        certfile: file("server.pem"),
        keyfile: Some(file("server.key")),
        cafile: Some(file("ca.pem")),
        verify_client,
    });
    config.restapi.authentication = Some(User { username: "admin".into(), password: Some(Password::new("x")) });
    config
}

fn shows_certificate() -> CtlConfig {
    CtlConfig { certfile: Some(file("client.pem")), keyfile: Some(file("client.key")), ..CtlConfig::default() }
}

/// Serves a node with `config` and sends one request as another member would.
async fn ask(config: AgentConfig, ctl: &CtlConfig, method: Method, path: &str) -> Result<u16, String> {
    let restapi = config.restapi.clone();
    let parts = parts(config, FakeKv::default(), FakePostgres::default(), Heard::default());
    let server = Server::bind(&parts).await.unwrap();
    let address = server.local_addr().unwrap();
    let serving = tokio::spawn(server.serve(parts));
    let client = Client::new(TokioNet, Some(&restapi), ctl);
    let limit = Duration::from_secs(20);
    let answer = client.request(method, &format!("https://{address}{path}"), None, limit).await;
    serving.abort();
    answer.map(|answer| answer.status.as_u16()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn members_talk_over_tls_with_their_authority_and_password() {
    let ctl = CtlConfig::default();
    assert_eq!(ask(with_tls(VerifyClient::None), &ctl, Method::GET, "/patroni").await, Ok(200));
    assert_eq!(ask(with_tls(VerifyClient::None), &ctl, Method::POST, "/reload").await, Ok(202));
    let wrong = CtlConfig { authentication: Some(User::named("admin")), ..CtlConfig::default() };
    assert_eq!(ask(with_tls(VerifyClient::None), &wrong, Method::POST, "/reload").await, Ok(401));
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_is_not_ours_is_refused_unless_insecure() {
    let ctl = CtlConfig { cacert: Some(file("client.pem")), ..CtlConfig::default() };
    let refused = ask(with_tls(VerifyClient::None), &ctl, Method::GET, "/patroni").await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    let ctl = CtlConfig { insecure: true, ..ctl };
    assert_eq!(ask(with_tls(VerifyClient::None), &ctl, Method::GET, "/patroni").await, Ok(200));
}

#[tokio::test]
async fn client_certificates_are_asked_for_as_configured() {
    let none = CtlConfig::default();
    let optional = || with_tls(VerifyClient::Optional);
    assert_eq!(ask(optional(), &none, Method::GET, "/patroni").await, Ok(200));
    assert_eq!(ask(optional(), &none, Method::POST, "/reload").await, Ok(403));
    assert_eq!(ask(optional(), &shows_certificate(), Method::POST, "/reload").await, Ok(202));
    let required = || with_tls(VerifyClient::Required);
    assert!(ask(required(), &none, Method::GET, "/patroni").await.is_err());
    assert_eq!(ask(required(), &shows_certificate(), Method::GET, "/patroni").await, Ok(200));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named_at_the_start() {
    let start = async |change: fn(&mut RestapiTls)| {
        let mut config = with_tls(VerifyClient::None);
        change(config.restapi.tls.as_mut().unwrap());
        let parts = parts(config, FakeKv::default(), FakePostgres::default(), Heard::default());
        Server::bind(&parts).await.err().expect("it must not start").to_string()
    };
    let missing = start(|tls| tls.certfile = "/nowhere/server.pem".into()).await;
    assert!(missing.starts_with("/nowhere/server.pem: "), "{missing}");
    let no_key = start(|tls| tls.keyfile = Some(file("ca.pem"))).await;
    assert!(no_key.contains("ca.pem: no private key"), "{no_key}");
    let another = start(|tls| tls.keyfile = Some(file("client.key"))).await;
    assert!(another.contains("server.pem: "), "{another}");
    let no_authority = start(|tls| {
        tls.verify_client = VerifyClient::Required;
        tls.cafile = None;
    });
    assert!(no_authority.await.contains("restapi.cafile"));
}
