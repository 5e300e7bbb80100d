//! Whom an unsafe call is allowed: passwords, lists of addresses, certificates.

use super::*;

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
