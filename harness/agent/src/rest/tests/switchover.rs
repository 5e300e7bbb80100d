//! Requests for a switchover: what is refused, what is answered, and when.

use super::*;

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
