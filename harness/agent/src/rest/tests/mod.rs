//! The REST API through its router, without a socket.

mod access;
mod documents;
mod switchover;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::Request,
};
use http_body_util::BodyExt;
use pgdrill_ha::{
    Monotonic,
    records::MemberRole,
    view::{FailsafeAnswer, LocalView, PostgresRole, Process},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::{
    config::{AgentConfig, Password, RestapiConfig, User},
    fixtures::{FakeKv, FakePostgres, Heard, TestPorts, config, parts},
};

fn node(kv: &FakeKv) -> Arc<Parts<TestPorts>> {
    parts(config(), kv.clone(), FakePostgres::default(), Heard::default())
}

async fn call(parts: &Arc<Parts<TestPorts>>, method: &str, path: &str, body: Value) -> (u16, String) {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder().method(method).uri(path).header("content-length", text.len());
    let request = request.body(Body::from(text)).unwrap();
    send(router(Arc::clone(parts)), request).await
}

async fn send(router: Router, request: Request<Body>) -> (u16, String) {
    let response = router.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Makes the node a running primary whose lock ends `seconds` from now.
fn lead(parts: &Parts<TestPorts>, seconds: u64) {
    let mut published = parts.shared.published();
    published.postgres.process = Process::Running;
    published.postgres.role = PostgresRole::Primary;
    published.role = Some(MemberRole::Primary);
    published.leadership_deadline = Some(parts.clock.now() + Duration::from_secs(seconds));
}

fn local() -> LocalView {
    LocalView {
        name: "pg1".into(),
        api_url: None,
        wall: jiff::Timestamp::UNIX_EPOCH,
        postgres: Default::default(),
        task: None,
        watchdog: Default::default(),
        fence: Default::default(),
        failsafe_ping: None,
        round: Default::default(),
    }
}

#[tokio::test(start_paused = true)]
async fn primary_turns_503_when_the_lock_ends_even_if_the_loop_hangs() {
    let parts = node(&FakeKv::default());
    lead(&parts, 30);
    for path in ["/", "/primary", "/leader", "/read-write"] {
        assert_eq!(call(&parts, "GET", path, Value::Null).await.0, 200, "{path}");
    }
    tokio::time::advance(Duration::from_secs(30)).await;
    for path in ["/", "/primary", "/leader", "/read-write"] {
        assert_eq!(call(&parts, "GET", path, Value::Null).await.0, 503, "{path}");
    }
    assert_eq!(call(&parts, "GET", "/patroni", Value::Null).await.0, 200);
}

#[tokio::test]
async fn a_node_whose_required_dead_man_does_not_run_says_that_it_must_not_lead() {
    let parts = node(&FakeKv::default());
    let document =
        async || -> Value { serde_json::from_str(&call(&parts, "GET", "/patroni", Value::Null).await.1).unwrap() };
    assert_eq!(document().await.get("watchdog_failed"), None);
    {
        let mut published = parts.shared.published();
        published.config.fencing = pgdrill_ha::config::FencingMode::Required;
        published.watchdog_failed = true;
    }
    assert_eq!(document().await["watchdog_failed"], true, "the watchdog's own mode is automatic");
}

#[tokio::test]
async fn load_balancers_may_ask_with_head_and_options() {
    let parts = node(&FakeKv::default());
    lead(&parts, 30);
    for method in ["HEAD", "OPTIONS"] {
        assert_eq!(call(&parts, method, "/primary", Value::Null).await, (200, String::new()), "{method}");
        assert_eq!(call(&parts, method, "/replica", Value::Null).await.0, 503, "{method}");
    }
    assert_eq!(call(&parts, "GET", "/nonsense", Value::Null).await.0, 503, "no known check is one that fails");
    assert_eq!(call(&parts, "GET", "/switchover", Value::Null).await.0, 503);
    assert_eq!(call(&parts, "GET", "/patroni/whatever", Value::Null).await.0, 200);
    assert_eq!(call(&parts, "POST", "/nonsense", json!({"a": 1})).await, (501, "Unsupported method ('POST')".into()));
    assert_eq!(call(&parts, "DELETE", "/config", Value::Null).await.0, 501);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_read_no_longer_and_no_further_than_it_may_be() {
    let parts = node(&FakeKv::default());
    let post = async |path: &str, length: u64, body: Body| {
        let request = Request::builder().method("POST").uri(path).header("content-length", length);
        send(router(Arc::clone(&parts)), request.body(body).unwrap()).await
    };
    let never = || Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    assert_eq!(post("/mpp", 1 << 20, never()).await.0, 413, "nothing of it is waited for");
    assert_eq!(post("/restart", (64 << 10) + 1, never()).await.0, 413);
    let began = tokio::time::Instant::now();
    assert_eq!(post("/mpp", 100, never()).await.0, 408);
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    assert_eq!(post("/mpp", 7, Body::from("{\"a\":1}")).await, (200, "OK".into()));
    assert_eq!(call(&parts, "PUT", "/config", json!({"pad": "x".repeat(200_000)})).await.0, 200);
    assert_eq!(call(&parts, "PUT", "/config", json!({"pad": "x".repeat(2_000_000)})).await.0, 413);
}

#[tokio::test]
async fn patching_the_configuration_merges_and_null_removes() {
    let kv = FakeKv::default();
    let parts = node(&kv);
    assert_eq!(call(&parts, "PATCH", "/config", json!({"ttl": 40})).await.0, 503, "there is none yet");
    kv.set("/service/demo/config", "{\"ttl\":30,\"pause\":true}");
    assert_eq!(call(&parts, "PATCH", "/config", json!({"pause": null, "loop_wait": 5})).await.0, 200);
    assert_eq!(kv.get("/service/demo/config").unwrap().value, "{\"ttl\":30,\"loop_wait\":5}");
    assert_eq!(call(&parts, "PUT", "/config", json!([1])).await.0, 400);
}

#[tokio::test]
async fn a_failsafe_leader_gets_our_word_unless_we_lead() {
    let parts = node(&FakeKv::default());
    let ask = async || call(&parts, "POST", "/failsafe", json!({"name": "pg2", "slots": {"pg1": 5}})).await.0;
    assert_eq!(call(&parts, "GET", "/failsafe", Value::Null).await.0, 502);
    assert_eq!(ask().await, 502, "failsafe mode is off");
    parts.shared.published().config.failsafe_mode = true;
    assert_eq!(ask().await, 500, "nothing is known of ourselves yet");
    parts.shared.published().local = Some(local());
    assert_eq!(ask().await, 200);
    assert_eq!(parts.shared.failsafe_ping().as_ref().map(|ping| ping.leader.clone()), Some("pg2".into()));
    parts.shared.published().memory.lock_deadline = Some(Monotonic::from_secs(1_000_000));
    assert_eq!(ask().await, 500, "we hold the lock ourselves");
}

#[tokio::test(start_paused = true)]
async fn failsafe_mode_is_active_where_a_leader_has_asked_for_ttl() {
    let parts = node(&FakeKv::default());
    parts.shared.published().config.failsafe_mode = true;
    parts.shared.published().local = Some(local());
    let told = async || {
        let document: Value = serde_json::from_str(&call(&parts, "GET", "/patroni", Value::Null).await.1).unwrap();
        let (_, metrics) = call(&parts, "GET", "/metrics", Value::Null).await;
        let metric = metrics.lines().find(|line| line.starts_with("patroni_failsafe_mode_is_active{")).unwrap();
        (document.get("failsafe_mode_is_active").cloned(), metric.ends_with(" 1"))
    };
    assert_eq!(told().await, (None, false));
    assert_eq!(call(&parts, "POST", "/failsafe", json!({"name": "pg2"})).await.0, 200);
    assert_eq!(told().await, (Some(json!(true)), true), "the ping alone says so, before the loop has seen it");
    lead(&parts, 3);
    assert_eq!(told().await, (None, false), "whoever leads by the lock needs nobody's word");
    tokio::time::advance(Duration::from_secs(4)).await;
    assert_eq!(told().await, (Some(json!(true)), true));
    tokio::time::advance(Duration::from_secs(26)).await;
    assert_eq!(told().await, (None, false));
    let now = parts.clock.now();
    parts.shared.published().memory.failsafe.agreed_until = Some(now + Duration::from_secs(1));
    assert_eq!(told().await, (Some(json!(true)), true), "the leader that asked");
}

#[tokio::test]
async fn a_view_of_the_dcs_counts_for_ttl() {
    let parts = node(&FakeKv::default());
    let leader = pgdrill_ha::view::Leader { name: "pg2".into(), mod_revision: 1, lease_id: 1 };
    let cluster = pgdrill_ha::view::Cluster { leader: Some(leader), ..Default::default() };
    parts.shared.published().cluster = Some(cluster);
    let unlocked = async || call(&parts, "GET", "/patroni", Value::Null).await.1.contains("\"cluster_unlocked\": true");
    assert!(unlocked().await, "nobody knows who leads");
    parts.shared.published().dcs_read = Some(parts.clock.now());
    assert!(!unlocked().await);
    parts.shared.published().config.ttl = Duration::ZERO;
    assert!(unlocked().await, "what is older proves nothing");
}

#[tokio::test]
async fn a_restart_is_refused_when_its_conditions_are_not_met() {
    let parts = node(&FakeKv::default());
    lead(&parts, 30);
    let post = async |body| call(&parts, "POST", "/restart", body).await.0;
    assert_eq!(post(json!({"role": "replica"})).await, 503);
    assert_eq!(post(json!({"role": "king"})).await, 400);
    assert_eq!(post(json!({"restart_pending": true})).await, 503);
    assert_eq!(post(json!({"color": "red"})).await, 400);
    assert_eq!(post(json!({"schedule": "2001-01-01T00:00:00Z"})).await, 422);
    assert_eq!(post(json!({"schedule": "2999-01-01T00:00:00Z"})).await, 202);
    assert_eq!(post(json!({"schedule": "2999-01-01T00:00:00Z"})).await, 409);
    let (_, document) = call(&parts, "GET", "/patroni", Value::Null).await;
    assert!(document.contains("\"scheduled_restart\": {\"schedule\": \"2999-01-01T00:00:00+00:00\"}"), "{document}");
    assert_eq!(call(&parts, "DELETE", "/restart", Value::Null).await.0, 200);
    assert_eq!(call(&parts, "DELETE", "/restart", Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_body_is_asked_for_with_411_and_a_bad_one_refused_with_400() {
    let kv = FakeKv::default();
    kv.set("/service/demo/config", "{\"ttl\":30}");
    let parts = node(&kv);
    for (method, path) in [("PATCH", "/config"), ("PUT", "/config"), ("POST", "/switchover"), ("POST", "/mpp")] {
        let bare = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        assert_eq!(send(router(Arc::clone(&parts)), bare).await.0, 411, "{method} {path}");
        for bad in [Value::Null, json!({}), json!([1]), json!("text")] {
            assert_eq!(call(&parts, method, path, bad).await.0, 400, "{method} {path}");
        }
    }
    assert_eq!(call(&parts, "POST", "/mpp", json!({"type": "after_promote"})).await, (200, "OK".into()));
    assert_eq!(call(&parts, "POST", "/citus", json!({"type": "after_promote"})).await, (200, "OK".into()));
    assert_eq!(kv.get("/service/demo/config").unwrap().value, "{\"ttl\":30}");
}
