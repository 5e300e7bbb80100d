//! Agents whose name somebody else has, or had.

use std::path::PathBuf;

use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::{
    AgentConfig,
    config::{RestapiTls, VerifyClient},
    daemon::{AgentError, Shutdown, run},
    dcs::Tries,
    fixtures::{FakeKv, FakePostgres, Heard, config, parts},
    rest,
};

const MEMBER: &str = "/service/demo/members/pg1";

/// An etcd in which somebody of our name has told his `api_url`, on a lease of 30 s.
async fn etcd(api_url: &str) -> (FakeKv, LeaseId) {
    let kv = FakeKv::default();
    kv.set("/service/demo/initialize", "7437112345678901234");
    let lease = kv.lease_grant(30).await.expect("it is granted");
    let record = json!({"api_url": api_url, "state": "running"}).to_string();
    kv.put(MEMBER, &record, lease, Tries::Once).await.expect("it is written");
    (kv, lease)
}

/// Runs an agent for some seconds, then ends it gracefully unless it has ended. Tells what it has said.
async fn runs(seconds: u64, kv: &FakeKv, config: AgentConfig) -> (Result<(), AgentError>, Vec<String>) {
    let heard = Heard::default();
    let parts = parts(config, kv.clone(), FakePostgres::default(), heard.clone());
    let shutdown = Shutdown::new();
    let end = async {
        sleep(Duration::from_secs(seconds)).await;
        shutdown.request();
    };
    let (ended, ()) = tokio::join!(timeout(Duration::from_secs(60), run(parts, shutdown.clone())), end);
    (ended.expect("it ends in time"), heard.all())
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/fixtures/tls/openssl").join(name)
}

/// One certificate for everything, which every caller must show; `shows`: whether this agent's own calls do.
fn with_tls(shows: bool) -> AgentConfig {
    let mut config = config();
    let (certfile, keyfile) = (file("self.pem"), Some(file("self.key")));
    let cafile = Some(certfile.clone());
    config.restapi.tls = Some(RestapiTls { certfile, keyfile, cafile, verify_client: VerifyClient::Required });
    if shows {
        config.ctl.certfile = Some(file("self.pem"));
        config.ctl.keyfile = Some(file("self.key"));
    }
    config
}

/// A port of our own that is free now: the one that the record of our earlier life names.
fn on_a_free_port(mut config: AgentConfig) -> (AgentConfig, String) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound");
    config.restapi.listen.port = free.port();
    config.restapi.connect_address.port = free.port();
    let scheme = if config.restapi.tls.is_some() { "https" } else { "http" };
    (config, format!("{scheme}://{free}/patroni"))
}

/// Another agent's REST API.
async fn other(config: AgentConfig) -> (String, tokio::task::JoinHandle<()>) {
    let scheme = if config.restapi.tls.is_some() { "https" } else { "http" };
    let other = parts(config, FakeKv::default(), FakePostgres::default(), Heard::default());
    let server = rest::Server::bind(&other).await.expect("a free port");
    let api_url = format!("{scheme}://{}/patroni", server.local_addr().expect("it is bound"));
    (api_url, tokio::spawn(server.serve(other)))
}

#[tokio::test]
async fn an_agent_whose_name_another_running_agent_has_does_not_start() {
    for config in [config(), with_tls(true)] {
        let (api_url, serving) = other(config.clone()).await;
        let (kv, _) = etcd(&api_url).await;
        let (ended, _) = runs(5, &kv, config).await;
        let why = ended.expect_err("it must not run").to_string();
        assert!(why.contains("already a node named pg1 running in demo") && why.contains(&api_url), "{why}");
        let member = kv.get(MEMBER).expect("it is the other's").value;
        assert!(!member.contains("role"), "nothing of the other was touched: {member}");
        serving.abort();
    }
}

#[tokio::test]
async fn an_agent_that_finds_its_own_record_or_nobody_behind_it_starts() {
    for config in [config(), with_tls(true), with_tls(false)] {
        let shows = config.ctl.certfile.is_some() || config.restapi.tls.is_none();
        let (config, api_url) = on_a_free_port(config);
        let (kv, _) = etcd(&api_url).await;
        let (ended, said) = runs(5, &kv, config).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert!(kv.get(MEMBER).expect("it is ours").value.contains("role"));
        let told = said.iter().any(|line| line.contains("this node's own REST API") && line.contains("ctl.certfile"));
        assert_eq!(told, !shows, "that others cannot ask it either is told: {said:?}");
    }
    let (kv, lease) = etcd("http://127.0.0.1:1/patroni").await;
    kv.expire(lease);
    let (ended, _) = runs(5, &kv, config()).await;
    assert!(ended.is_ok(), "{ended:?}");
}

/// It cannot be asked, but its lease is renewed: with a certificate that it does not accept, or through a firewall.
#[tokio::test(start_paused = true)]
async fn an_agent_that_cannot_ask_its_namesake_learns_from_etcd_whether_it_is_alive() {
    let (api_url, serving) = other(with_tls(true)).await;
    for url in [api_url.as_str(), "http://127.0.0.1:1/patroni"] {
        let (kv, lease) = etcd(url).await;
        let renewing = kv.clone();
        let renews = tokio::spawn(async move {
            loop {
                sleep(Duration::from_secs(10)).await;
                let _ = renewing.lease_keepalive(lease).await;
            }
        });
        let (ended, said) = runs(40, &kv, with_tls(false)).await;
        let why = ended.expect_err("it must not run").to_string();
        assert!(why.contains("its lease in etcd is being renewed") && why.contains(url), "{why}");
        assert!(said.iter().any(|line| line.contains("cannot be asked whether it is another one")), "{said:?}");
        assert!(!kv.get(MEMBER).expect("it is the other's").value.contains("role"), "nothing of the other was touched");
        renews.abort();

        let (kv, _) = etcd(url).await;
        let (ended, _) = runs(8, &kv, with_tls(false)).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert!(!kv.get(MEMBER).expect("nobody knows whose").value.contains("role"), "it has ended before it knew");
        let (ended, _) = runs(20, &kv, with_tls(false)).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert!(kv.get(MEMBER).expect("it is ours").value.contains("role"), "whoever does not renew a lease is gone");
    }
    serving.abort();
}

/// Both have begun before either could see the other.
#[tokio::test(start_paused = true)]
async fn of_two_agents_of_one_name_that_run_the_one_whose_record_was_replaced_ends_with_its_primary() {
    let (kv, heard) = (FakeKv::default(), Heard::default());
    kv.set("/service/demo/initialize", "7437112345678901234");
    let postgres = FakePostgres::default();
    let first = parts(config(), kv.clone(), postgres.clone(), heard.clone());
    let first = tokio::spawn(run(first, Shutdown::new()));
    sleep(Duration::from_secs(5)).await;
    let postgres = postgres.running(Duration::from_secs(1));
    let second = tokio::spawn(run(parts(config(), kv.clone(), FakePostgres::default(), heard), Shutdown::new()));
    let ended = timeout(Duration::from_secs(20), first).await.expect("the next cycle sees it").expect("no panic");
    let why = ended.expect_err("it must not go on").to_string();
    assert!(why.contains("another node named pg1 has joined demo (http://127.0.0.1:8008/patroni)"), "{why}");
    assert!(postgres.calls().contains(&"stop Immediate".to_owned()), "{:?}", postgres.calls());
    let requests = kv.requests().len();
    sleep(Duration::from_secs(60)).await;
    assert!(!second.is_finished(), "the other goes on");
    let more = kv.requests().len();
    assert!(requests < 40 && more < 40, "nobody takes anything from anybody: {requests}, then {more} requests");
    second.abort();
}
