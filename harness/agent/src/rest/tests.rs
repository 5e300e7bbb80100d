//! The REST API through its router, without a socket.

use std::sync::Arc;

use axum::{Router, body::Body, http::Request};
use http_body_util::BodyExt;
use pgdrill_ha::{
    Monotonic,
    records::MemberRole,
    view::{LocalView, PostgresRole, Process},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::{
    config::{Password, User},
    fixtures::{FakeKv, FakePostgres, Heard, TestPorts, config, parts},
};

fn node(kv: &FakeKv) -> Arc<Parts<TestPorts>> {
    parts(config(), kv.clone(), FakePostgres::default(), Heard::default())
}

async fn call(parts: &Arc<Parts<TestPorts>>, method: &str, path: &str, body: Value) -> (u16, String) {
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let request = Request::builder().method(method).uri(path).body(body).unwrap();
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
async fn load_balancers_may_ask_with_head_and_options() {
    let parts = node(&FakeKv::default());
    lead(&parts, 30);
    for method in ["HEAD", "OPTIONS"] {
        assert_eq!(call(&parts, method, "/primary", Value::Null).await, (200, String::new()), "{method}");
        assert_eq!(call(&parts, method, "/replica", Value::Null).await.0, 503, "{method}");
    }
    assert_eq!(call(&parts, "GET", "/nonsense", Value::Null).await.0, 404);
}

#[tokio::test]
async fn unsafe_calls_need_the_password_and_checks_do_not() {
    let mut config = config();
    config.restapi.authentication = Some(User { username: "admin".into(), password: Some(Password::new("x")) });
    let kv = FakeKv::default();
    kv.set("/service/demo/config", "{\"ttl\":30}");
    let parts = parts(config, kv, FakePostgres::default(), Heard::default());
    assert_eq!(call(&parts, "PATCH", "/config", json!({"ttl": 40})).await.0, 401);
    assert_eq!(call(&parts, "GET", "/config", Value::Null).await, (200, "{\"ttl\":30}".into()));
    let request = Request::builder().method("PATCH").uri("/config").header("authorization", "Basic YWRtaW46eA==");
    let request = request.body(Body::from("{\"ttl\":40}")).unwrap();
    assert_eq!(send(router(parts), request).await, (200, "{\"ttl\":40}".into()));
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
async fn a_switchover_that_cannot_be_is_refused_before_anything_is_written() {
    let kv = FakeKv::default();
    let parts = node(&kv);
    let post = async |body| call(&parts, "POST", "/switchover", body).await.0;
    assert_eq!(post(json!({})).await, 400, "a switchover names its leader");
    assert_eq!(post(json!({"leader": "pg1"})).await, 412, "there is no leader");
    kv.set("/service/demo/leader", "pg1");
    kv.set("/service/demo/members/pg1", "{}");
    assert_eq!(post(json!({"leader": "pg2"})).await, 412, "the leader is another");
    assert_eq!(post(json!({"leader": "pg1"})).await, 412, "nobody could take over");
    assert_eq!(post(json!({"leader": "pg1", "candidate": "pg1"})).await, 412);
    assert_eq!(post(json!({"leader": "pg1", "candidate": "pg2"})).await, 412, "there is no such member");
    assert_eq!(post(json!({"leader": "pg1", "scheduled_at": "soon"})).await, 422);
    assert_eq!(post(json!({"leader": "pg1", "scheduled_at": "2001-01-01T00:00:00Z"})).await, 422);
    assert_eq!(call(&parts, "POST", "/failover", json!({})).await.0, 400);
    assert_eq!(kv.get("/service/demo/failover"), None);
}

#[tokio::test(start_paused = true)]
async fn a_switchover_is_reported_when_another_leads_and_a_cleared_request_as_failed() {
    for (leader, expected) in
        [("pg2", (200, "Successfully switched over to \"pg2\"")), ("pg1", (503, "Switchover failed"))]
    {
        let kv = FakeKv::default();
        let parts = node(&kv);
        kv.set("/service/demo/leader", "pg1");
        kv.set("/service/demo/members/pg1", "{}");
        kv.set("/service/demo/members/pg2", "{}");
        let wanted = json!({"leader": "pg1", "candidate": "pg2"});
        let cluster = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert_eq!(kv.get("/service/demo/failover").unwrap().value, "{\"leader\":\"pg1\",\"member\":\"pg2\"}");
            kv.set("/service/demo/failover", "{}");
            kv.set("/service/demo/leader", leader);
        };
        let (answer, ()) = tokio::join!(call(&parts, "POST", "/switchover", wanted), cluster);
        assert_eq!((answer.0, answer.1.as_str()), expected);
    }
}

#[tokio::test]
async fn a_scheduled_switchover_can_be_taken_back() {
    let kv = FakeKv::default();
    let parts = node(&kv);
    kv.set("/service/demo/leader", "pg1");
    kv.set("/service/demo/members/pg1", "{}");
    kv.set("/service/demo/members/pg2", "{}");
    let wanted = json!({"leader": "pg1", "scheduled_at": "2999-01-01T00:00:00Z"});
    assert_eq!(call(&parts, "POST", "/switchover", wanted).await.0, 202);
    let (_, cluster) = call(&parts, "GET", "/cluster", Value::Null).await;
    let cluster: Value = serde_json::from_str(&cluster).unwrap();
    assert_eq!(cluster["scheduled_switchover"], json!({"at": "2999-01-01T00:00:00Z", "from": "pg1"}));
    assert_eq!(call(&parts, "DELETE", "/switchover", Value::Null).await.0, 200);
    assert_eq!(call(&parts, "DELETE", "/switchover", Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_failsafe_leader_gets_our_word_unless_we_lead() {
    let parts = node(&FakeKv::default());
    let ask = async || call(&parts, "POST", "/failsafe", json!({"name": "pg2", "slots": {"pg1": 5}})).await.0;
    assert_eq!(ask().await, 502, "failsafe mode is off");
    parts.shared.published().config.failsafe_mode = true;
    assert_eq!(ask().await, 500, "nothing is known of ourselves yet");
    parts.shared.published().local = Some(local());
    assert_eq!(ask().await, 200);
    assert_eq!(parts.shared.failsafe_ping().as_ref().map(|ping| ping.leader.clone()), Some("pg2".into()));
    parts.shared.published().memory.lock_deadline = Some(Monotonic::from_secs(1_000_000));
    assert_eq!(ask().await, 500, "we hold the lock ourselves");
}

fn local() -> LocalView {
    LocalView {
        name: "pg1".into(),
        api_url: None,
        wall: jiff::Timestamp::UNIX_EPOCH,
        postgres: Default::default(),
        task: None,
        watchdog: Default::default(),
        failsafe_ping: None,
        round: Default::default(),
    }
}

#[tokio::test]
async fn a_cluster_document_tells_roles_and_lags() {
    let kv = FakeKv::default();
    let parts = node(&kv);
    kv.set("/service/demo/leader", "pg1");
    kv.set("/service/demo/sync", "{\"leader\":\"pg1\",\"quorum\":0,\"sync_standby\":\"pg2\"}");
    let member = |role: &str, lsn: u64| json!({"role": role, "state": "running", "conn_url": "postgres://10.0.0.1:5432/postgres", "xlog_location": lsn});
    kv.set("/service/demo/members/pg1", &member("primary", 300).to_string());
    kv.set("/service/demo/members/pg2", &member("replica", 100).to_string());
    kv.set("/service/demo/members/pg3", "{\"state\":\"starting\",\"role\":\"replica\"}");
    let (status, text) = call(&parts, "GET", "/cluster", Value::Null).await;
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &document["members"][0]["role"]), (200, &json!("leader")));
    assert_eq!(document["members"][1]["role"], "sync_standby");
    assert_eq!(document["members"][1]["lag"], 200);
    assert_eq!(document["members"][1]["host"], "10.0.0.1");
    assert_eq!(document["members"][2]["lag"], "unknown");
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
    assert_eq!(call(&parts, "DELETE", "/restart", Value::Null).await.0, 200);
    assert_eq!(call(&parts, "DELETE", "/restart", Value::Null).await.0, 404);
}
