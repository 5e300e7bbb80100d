//! What is told of the cluster and of the node.

use super::*;

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
