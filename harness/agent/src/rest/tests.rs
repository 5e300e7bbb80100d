//! The REST API through its router, without a socket.

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

#[tokio::test]
async fn unsafe_calls_need_the_password_and_checks_do_not() {
    let mut config = config();
    config.restapi.authentication = Some(User { username: "admin".into(), password: Some(Password::new("x")) });
    let kv = FakeKv::default();
    kv.set("/service/demo/config", "{\"ttl\":30}");
    let parts = parts(config, kv, FakePostgres::default(), Heard::default());
    assert_eq!(call(&parts, "PATCH", "/config", json!({"ttl": 40})).await.0, 401);
    assert_eq!(call(&parts, "GET", "/config", Value::Null).await, (200, "{\"ttl\": 30}".into()));
    let request = Request::builder().method("PATCH").uri("/config").header("authorization", "Basic YWRtaW46eA==");
    let request = request.header("content-length", 10);
    let request = request.body(Body::from("{\"ttl\":40}")).unwrap();
    assert_eq!(send(router(parts), request).await, (200, "{\"ttl\": 40}".into()));
}

/// Whatever way in is closed, it is closed for every call that does more than tell.
#[tokio::test(start_paused = true)]
async fn no_unsafe_call_passes_without_what_is_asked_for() {
    let open = config();
    let mut with_password = open.clone();
    let user = User { username: "admin".into(), password: Some(Password::new("x")) };
    with_password.restapi.authentication = Some(user);
    let mut with_list = open.clone();
    with_list.restapi.allowlist = vec!["192.0.2.1".into()];
    let mut with_certificate = open.clone();
    with_certificate.restapi.tls = Some(crate::config::RestapiTls {
        certfile: "/c".into(),
        keyfile: None,
        cafile: None,
        verify_client: crate::config::VerifyClient::Optional,
    });
    let mut with_members = open.clone();
    with_members.restapi.allowlist_include_members = true;
    for (what, config, expected) in [
        ("password", with_password, 401),
        ("allowlist", with_list, 403),
        ("certificate", with_certificate, 403),
        ("members", with_members, 403),
    ] {
        let kv = FakeKv::default();
        kv.set("/service/demo/config", "{\"failsafe_mode\":true}");
        let parts = parts(config, kv.clone(), FakePostgres::default(), Heard::default());
        parts.shared.published().config.failsafe_mode = true;
        parts.shared.published().local = Some(local());
        for (method, name) in UNSAFE_CALLS {
            let peer = Peer { address: "10.0.0.9:40000".parse().unwrap(), has_certificate: false };
            // A body that nobody may read: it never comes.
            let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
            let request = Request::builder().method(method).uri(format!("/{name}")).extension(peer);
            let request = request.header("content-length", 100).body(body).unwrap();
            let (status, _) = send(router(Arc::clone(&parts)), request).await;
            // A leader in need is answered wherever it is, unless it is kept out by name (`allowlist_check_members=False`).
            if (what, name) == ("members", "failsafe") {
                assert_eq!(status, 408);
            } else {
                assert_eq!(status, expected, "{what}: {method} /{name}");
            }
        }
        assert_eq!(kv.get("/service/demo/config").unwrap().value, "{\"failsafe_mode\":true}");
    }
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
async fn a_switchover_that_cannot_be_is_refused_before_anything_is_written() {
    let kv = FakeKv::default();
    let parts = node(&kv);
    let post = async |body| call(&parts, "POST", "/switchover", body).await.0;
    assert_eq!(post(json!({})).await, 400, "a switchover names its leader");
    assert_eq!(post(json!({"member": "pg1"})).await, 400, "a switchover names its leader");
    assert_eq!(post(json!({"leader": "pg1"})).await, 412, "there is no leader");
    kv.set("/service/demo/leader", "pg1");
    kv.set("/service/demo/members/pg1", "{}");
    assert_eq!(post(json!({"leader": "pg2"})).await, 412, "the leader is another");
    assert_eq!(post(json!({"leader": "pg1"})).await, 412, "nobody could take over");
    assert_eq!(post(json!({"leader": "pg1", "candidate": "pg1"})).await, 400, "target and source are the same");
    assert_eq!(post(json!({"leader": "pg1", "candidate": "pg2"})).await, 412, "there is no such member");
    assert_eq!(post(json!({"leader": "pg1", "scheduled_at": "soon"})).await, 422);
    assert_eq!(post(json!({"leader": "pg1", "scheduled_at": "2001-01-01T00:00:00Z"})).await, 422);
    assert_eq!(post(json!({"leader": "pg1", "scheduled_at": "2999-01-01T00:00:00"})).await, 400, "no time zone");
    kv.set("/service/demo/members/pg2", "{\"api_url\":\"http://127.0.0.1:1/patroni\"}");
    let answer = call(&parts, "POST", "/switchover", json!({"leader": "pg1", "candidate": "pg2"})).await;
    assert_eq!(answer, (412, "switchover is not possible: no good candidates have been found".into()));
    kv.set("/service/demo/config", "{\"pause\":true}");
    assert_eq!(post(json!({"leader": "pg1"})).await, 400, "in pause a switchover names its candidate");
    assert_eq!(post(json!({"leader": "pg1", "scheduled_at": "2999-01-01T00:00:00Z"})).await, 400);
    assert_eq!(call(&parts, "POST", "/failover", json!({})).await.0, 400);
    assert_eq!(kv.get("/service/demo/failover"), None);
}

/// Another member's REST API, which answers one question.
async fn member(answer: Value) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/patroni", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper::service::service_fn(move |_| {
            let answer = answer.to_string();
            async move { Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(answer))) }
        });
        let served = hyper::server::conn::http1::Builder::new();
        served.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await.unwrap();
    });
    url
}

#[tokio::test]
async fn a_switchover_is_reported_when_another_leads_and_a_cleared_request_as_failed() {
    for (leader, expected) in
        [("pg2", (200, "Successfully switched over to \"pg2\"")), ("pg1", (503, "Switchover failed"))]
    {
        let kv = FakeKv::default();
        let parts = node(&kv);
        kv.set("/service/demo/leader", "pg1");
        kv.set("/service/demo/members/pg1", "{}");
        let url = member(json!({"role": "replica", "xlog": {"replayed_location": 1}})).await;
        kv.set("/service/demo/members/pg2", &json!({"api_url": url}).to_string());
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
    assert_eq!(cluster["scheduled_switchover"], json!({"at": "2999-01-01T00:00:00+00:00", "from": "pg1"}));
    assert_eq!(call(&parts, "DELETE", "/switchover", Value::Null).await.0, 200);
    assert_eq!(call(&parts, "DELETE", "/switchover", Value::Null).await.0, 404);
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
async fn a_failsafe_leader_shows_the_password_that_the_members_share() {
    let mut config = config();
    config.restapi.authentication = Some(User { username: "admin".into(), password: Some(Password::new("x")) });
    let parts = parts(config.clone(), FakeKv::default(), FakePostgres::default(), Heard::default());
    parts.shared.published().config.failsafe_mode = true;
    parts.shared.published().local = Some(local());
    let server = Server::bind(&parts).await.unwrap();
    let api_url = format!("http://{}/patroni", server.local_addr().unwrap());
    let serving = tokio::spawn(server.serve(Arc::clone(&parts)));
    let ask = async |config| {
        let config = AgentConfig { name: "pg2".into(), ..config };
        let leader = crate::fixtures::parts(config, FakeKv::default(), FakePostgres::default(), Heard::default());
        let peer = pgdrill_ha::decision::Peer { name: "pg1".into(), api_url: api_url.clone() };
        crate::daemon::peers::ask_failsafe(&leader, &[peer]).await.remove("pg1").unwrap()
    };
    let without =
        AgentConfig { restapi: RestapiConfig { authentication: None, ..config.restapi.clone() }, ..config.clone() };
    let refused = ask(without).await;
    assert!(matches!(&refused, FailsafeAnswer::Refused { reason } if reason.starts_with("401")), "{refused:?}");
    assert!(parts.shared.failsafe_ping().is_none(), "a stranger keeps nobody from racing");
    let accepted = ask(config).await;
    assert!(matches!(accepted, FailsafeAnswer::Accepted { .. }), "{accepted:?}");
    serving.abort();
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

#[tokio::test]
async fn a_cluster_document_tells_roles_and_lags() {
    let kv = FakeKv::default();
    let parts = node(&kv);
    kv.set("/service/demo/leader", "pg1");
    kv.set("/service/demo/config", "{\"synchronous_mode\":true}");
    kv.set("/service/demo/status", "{\"optime\":300}");
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
    assert_eq!(document["members"][1]["receive_lsn"], "unknown");
    assert_eq!(document["members"][0].get("lag"), None, "the leader is behind nobody");
    assert!(text.ends_with(", \"scope\": \"demo\"}"), "{text}");
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

#[tokio::test]
async fn nothing_that_changes_something_is_open_when_a_password_is_set() {
    let mut config = config();
    config.restapi.authentication = Some(User { username: "admin".into(), password: Some(Password::new("x")) });
    let parts = parts(config, FakeKv::default(), FakePostgres::default(), Heard::default());
    for (method, name) in UNSAFE_CALLS.into_iter().chain([("POST", "failsafe")]) {
        let answer = call(&parts, method, &format!("/{name}"), json!({"a": 1})).await;
        assert_eq!(answer, (401, "no auth header received".into()), "{method} /{name}");
    }
    for path in ["/", "/patroni", "/metrics", "/cluster", "/health", "/liveness"] {
        assert_ne!(call(&parts, "GET", path, Value::Null).await.0, 401, "{path}");
    }
}

#[tokio::test]
async fn only_listed_addresses_may_change_something() {
    let mut config = config();
    config.restapi.allowlist = vec!["10.0.0.0/8".into(), "localhost".into()];
    let parts = parts(config, FakeKv::default(), FakePostgres::default(), Heard::default());
    let from = async |address: &str| {
        let peer = Peer { address: format!("{address}:40000").parse().unwrap(), has_certificate: false };
        let request = Request::builder().method("POST").uri("/reload").extension(peer).body(Body::empty()).unwrap();
        send(router(Arc::clone(&parts)), request).await.0
    };
    assert_eq!(from("10.1.2.3").await, 202);
    assert_eq!(from("127.0.0.1").await, 202, "a name on the list is looked up");
    assert_eq!(from("192.168.0.1").await, 403);
    assert_eq!(from("[::ffff:10.1.2.3]").await, 202, "an IPv4 address on an IPv6 socket");
    assert_eq!(call(&parts, "POST", "/reload", Value::Null).await, (403, "Access is denied".into()), "from nowhere");
    assert_eq!(call(&parts, "GET", "/patroni", Value::Null).await.0, 200);
}

#[tokio::test]
async fn members_may_change_something_if_the_list_includes_them() {
    let mut config = config();
    config.restapi.allowlist_include_members = true;
    let parts = parts(config, FakeKv::default(), FakePostgres::default(), Heard::default());
    let from = async |address: &str, path: &str| {
        let peer = Peer { address: format!("{address}:40000").parse().unwrap(), has_certificate: false };
        let request = Request::builder().method("POST").uri(path).extension(peer).body(Body::empty()).unwrap();
        send(router(Arc::clone(&parts)), request).await.0
    };
    assert_eq!(from("10.0.0.2", "/reload").await, 403, "nobody is known to be a member");
    let mut cluster = pgdrill_ha::view::Cluster::default();
    let record = pgdrill_ha::records::MemberRecord {
        api_url: Some("http://10.0.0.2:8008/patroni".into()),
        ..Default::default()
    };
    cluster.members.insert("pg2".into(), record);
    parts.shared.published().cluster = Some(cluster);
    assert_eq!(from("10.0.0.2", "/reload").await, 202);
    assert_eq!(from("10.0.0.3", "/reload").await, 403);
    assert_eq!(from("10.0.0.3", "/failsafe").await, 502, "members' consent is not bound to their addresses");
}

#[tokio::test]
async fn metrics_have_patronis_names_labels_and_order() {
    let parts = node(&FakeKv::default());
    lead(&parts, 30);
    {
        let mut published = parts.shared.published();
        published.state = Some(pgdrill_ha::records::MemberState::Running);
        published.postgres.current_lsn = Some(pgdrill_ha::Lsn(67_108_960));
        published.postgres.timeline = Some(3);
        published.server = Some(crate::postgres::ServerState {
            postmaster_start_time: "2026-11-24 15:06:43.12+00".into(),
            server_version: 160_014,
            ..Default::default()
        });
    }
    let (status, page) = call(&parts, "GET", "/metrics", Value::Null).await;
    assert_eq!(status, 200);
    insta::assert_snapshot!(page);
}

#[tokio::test]
async fn the_document_of_a_replica_has_patronis_fields_in_patronis_order() {
    let kv = FakeKv::default();
    let mut config = config();
    config.tags = json!({"nofailover": false, "zone": "a"}).as_object().unwrap().clone();
    let parts = parts(config, kv, FakePostgres::default(), Heard::default());
    {
        let mut published = parts.shared.published();
        published.config.tags.0 = parts.config().tags.clone();
        published.state = Some(pgdrill_ha::records::MemberState::Running);
        published.role = Some(MemberRole::Replica);
        published.dcs_last_seen = Some("2026-11-24T15:06:43Z".parse().unwrap());
        let postgres = &mut published.postgres;
        postgres.process = Process::Running;
        postgres.role = PostgresRole::Replica;
        postgres.is_streaming = true;
        postgres.timeline = Some(2);
        postgres.system_identifier = Some(7_437_112_345_678_901_234);
        postgres.replayed_lsn = Some(pgdrill_ha::Lsn(1000));
        published.server = Some(crate::postgres::ServerState {
            in_recovery: true,
            postmaster_start_time: "2026-11-24 15:06:43.12+00".into(),
            replayed_timestamp: Some("2026-11-24 15:07:00+00".into()),
            server_version: 160_014,
            ..Default::default()
        });
    }
    let (_, document) = call(&parts, "GET", "/patroni", Value::Null).await;
    let expected = concat!(
        r#"{"state": "running", "postmaster_start_time": "2026-11-24 15:06:43.120000+00:00", "role": "replica", "#,
        r#""server_version": 160014, "xlog": {"received_location": 1000, "replayed_location": 1000, "#,
        r#""replayed_timestamp": "2026-11-24 15:07:00+00:00", "paused": false}, "timeline": 2, "#,
        r#""replication_state": "streaming", "cluster_unlocked": true, "dcs_last_seen": 1795532803, "#,
        r#""tags": {"zone": "a"}, "database_system_identifier": "7437112345678901234", "#,
        r#""patroni": {"version": "4.1.5", "scope": "demo", "name": "pg1"}}"#,
    );
    assert_eq!(document, expected);
}
