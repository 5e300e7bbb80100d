//! Every field of every document, in Patroni's order, on nodes that have something to say in each: the names are those of Patroni
//! 4.1.5's `get_postgresql_status`, `_write_status_response`, `do_GET_metrics`, `touch_member` and `cluster_as_json`.

use std::sync::Arc;

use axum::{body::Body, http::Request};
use http_body_util::BodyExt;
use pgdrill_ha::{
    Lsn,
    records::{MemberRecord, MemberRole, MemberState, SyncRecord},
    view::{Cluster, PostgresRole, Process, StandbyView, Versioned},
};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::{
    daemon::ScheduledRestart,
    fixtures::{FakeKv, FakePostgres, Heard, TestPorts, config, parts},
    postgres::{ServerState, StandbyRow, Walreceiver},
};

/// Fields of `/patroni` that all nodes have in the end, after what PostgreSQL tells.
const COMMON: &[&str] = &[
    "pause",
    "cluster_unlocked",
    "failsafe_mode_is_active",
    "dcs_last_seen",
    "tags",
    "database_system_identifier",
    "pending_restart",
    "pending_restart_reason",
    "patroni",
    "scheduled_restart",
    "watchdog_failed",
];

async fn get(parts: &Arc<Parts<TestPorts>>, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(Arc::clone(parts)).oneshot(request).await.unwrap();
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn names(document: &Value) -> Vec<&str> {
    document.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A node with something to say in every field.
fn node(role: PostgresRole) -> Arc<Parts<TestPorts>> {
    let parts = parts(config(), FakeKv::default(), FakePostgres::default(), Heard::default());
    let now = parts.clock.now();
    let mut published = parts.shared.published();
    published.config.paused = true;
    published.config.synchronous_mode = pgdrill_ha::config::SynchronousMode::On;
    published.config.tags.0.insert("zone".into(), "a".into());
    let sync = SyncRecord { leader: Some("pg2".into()), standbys: ["pg1".to_owned()].into(), quorum: 0 };
    published.cluster = Some(Cluster { sync: Versioned::new(sync, 1), ..Cluster::default() });
    published.dcs_read = Some(now);
    published.dcs_last_seen = Some("2026-11-24T15:06:43Z".parse().unwrap());
    published.memory.failsafe.agreed_until = Some(now + std::time::Duration::from_secs(30));
    published.pending_restart.insert("max_connections".into(), json!({"old_value": "100", "new_value": "200"}));
    published.scheduled_restart = Some(ScheduledRestart {
        at: "2999-01-01T00:00:00Z".parse().unwrap(),
        request: json!({"schedule": "2999-01-01T00:00:00+00:00", "restart_pending": true}),
        postmaster_start_time: "2026-11-24 15:06:43.12+00".into(),
    });
    published.watchdog_failed = true;
    published.state = Some(MemberState::Running);
    let is_replica = role == PostgresRole::Replica;
    published.role = Some(if is_replica { MemberRole::Replica } else { MemberRole::Primary });
    let postgres = &mut published.postgres;
    (postgres.process, postgres.role) = (Process::Running, role);
    postgres.system_identifier = Some(7_437_112_345_678_901_234);
    postgres.timeline = Some(2);
    postgres.current_lsn = (!is_replica).then_some(Lsn(3000));
    postgres.received_lsn = is_replica.then_some(Lsn(2000));
    postgres.replayed_lsn = is_replica.then_some(Lsn(1000));
    let view = StandbyView { application_name: "pg3".into(), ..StandbyView::default() };
    let standby = StandbyRow {
        view,
        state: "streaming".into(),
        sync_state: "async".into(),
        sync_priority: 0,
        usename: "replicator".into(),
        client_addr: Some("10.0.0.3".into()),
    };
    published.server = Some(ServerState {
        in_recovery: is_replica,
        postmaster_start_time: "2026-11-24 15:06:43.12+00".into(),
        // A primary that was promoted has one, too.
        replayed_timestamp: Some("2026-11-24 15:07:00+00".into()),
        server_version: 160_014,
        restores: true,
        walreceiver: is_replica.then(Walreceiver::default),
        standbys: vec![standby],
        ..ServerState::default()
    });
    drop(published);
    parts
}

#[tokio::test]
async fn a_primarys_document_has_patronis_fields() {
    let document: Value = serde_json::from_str(&get(&node(PostgresRole::Primary), "/patroni").await).unwrap();
    let mut expected =
        vec!["state", "postmaster_start_time", "role", "server_version", "xlog", "timeline", "replication"];
    expected.extend(COMMON);
    assert_eq!(names(&document), expected);
    assert_eq!(names(&document["xlog"]), ["location"]);
    let standby = ["usename", "application_name", "client_addr", "state", "sync_state", "sync_priority"];
    assert_eq!(names(&document["replication"][0]), standby);
    assert_eq!(names(&document["patroni"]), ["version", "scope", "name"]);
    assert_eq!(
        document["scheduled_restart"],
        json!({"schedule": "2999-01-01T00:00:00+00:00", "restart_pending": true})
    );
    assert_eq!(document["database_system_identifier"], "7437112345678901234", "text, as Patroni has it");
}

#[tokio::test]
async fn a_replicas_document_has_patronis_fields() {
    let document: Value = serde_json::from_str(&get(&node(PostgresRole::Replica), "/patroni").await).unwrap();
    let mut expected = vec![
        "state",
        "postmaster_start_time",
        "role",
        "server_version",
        "xlog",
        "sync_standby",
        "timeline",
        "replication_state",
        "replication",
    ];
    expected.extend(COMMON);
    assert_eq!(names(&document), expected);
    assert_eq!(names(&document["xlog"]), ["received_location", "replayed_location", "replayed_timestamp", "paused"]);
    assert_eq!(document["replication_state"], "in archive recovery", "by the server's own restore_command");
    let quorum = node(PostgresRole::Replica);
    quorum.shared.published().config.synchronous_mode = pgdrill_ha::config::SynchronousMode::Quorum;
    assert!(get(&quorum, "/patroni").await.contains("\"quorum_standby\": true"));
}

#[tokio::test]
async fn a_node_without_postgresql_tells_the_rest() {
    let parts = node(PostgresRole::Primary);
    parts.shared.published().postgres.process = Process::Crashed;
    parts.shared.published().state = Some(MemberState::StartFailed);
    let document: Value = serde_json::from_str(&get(&parts, "/patroni").await).unwrap();
    let mut expected = vec!["state", "role"];
    expected.extend(COMMON);
    assert_eq!((names(&document), &document["state"]), (expected, &json!("start failed")));
    let metrics = get(&parts, "/metrics").await;
    let value = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(&format!("patroni_{name}{{"))).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    assert_eq!(
        (value("postgres_state"), value("postgres_running"), value("primary")),
        ("8".into(), "0".into(), "1".into())
    );
    parts.shared.published().postgres.process = Process::Running;
    parts.shared.published().postgres.is_silent = true;
    assert!(
        get(&parts, "/patroni").await.starts_with("{\"state\": \"unknown\", \"role\": \"primary\", \"pause\": true")
    );
    let metrics = get(&parts, "/metrics").await;
    assert!(metrics.contains("\npatroni_postgres_state{scope=\"demo\",name=\"pg1\"} -1\n"), "nobody knows: {metrics}");
}

#[tokio::test]
async fn the_metrics_are_patronis_in_its_order() {
    let expected = "version postgres_running postmaster_start_time primary xlog_location standby_leader replica sync_standby \
        quorum_standby xlog_received_location xlog_replayed_location xlog_replayed_timestamp xlog_paused postgres_streaming \
        postgres_in_archive_recovery postgres_server_version cluster_unlocked failsafe_mode_is_active postgres_timeline \
        dcs_last_seen pending_restart is_paused postgres_state";
    let page = get(&node(PostgresRole::Replica), "/metrics").await;
    let told = page.lines().filter_map(|line| line.strip_prefix("patroni_")?.split('{').next());
    assert_eq!(told.collect::<Vec<_>>(), expected.split_whitespace().collect::<Vec<_>>());
    for (name, value) in [
        ("sync_standby", "1"),
        ("postgres_in_archive_recovery", "1"),
        ("failsafe_mode_is_active", "1"),
        ("pending_restart", "1"),
        ("is_paused", "1"),
        ("xlog_received_location", "2000"),
        ("postgres_state", "5"),
    ] {
        let line = format!("\npatroni_{name}{{scope=\"demo\",name=\"pg1\"}} {value}\n");
        assert!(page.contains(&line), "{name} is not {value}: {page}");
    }
    let page = get(&node(PostgresRole::Primary), "/metrics").await;
    for name in
        ["xlog_replayed_timestamp", "xlog_received_location", "xlog_paused", "sync_standby", "postgres_streaming"]
    {
        let line = format!("\npatroni_{name}{{scope=\"demo\",name=\"pg1\"}} 0\n");
        assert!(page.contains(&line), "{name} of a primary: {page}");
    }
}

#[test]
fn a_cluster_document_has_patronis_fields() {
    let record = MemberRecord::parse(
        &json!({
            "conn_url": "postgres://10.0.0.2:5433/postgres", "api_url": "http://10.0.0.2:8008/patroni",
            "state": "running", "role": "replica", "version": "4.1.5", "tags": {"zone": "a"}, "pending_restart": true,
            "pending_restart_reason": {"max_connections": {}}, "xlog_location": 2000, "replay_lsn": 1000,
            "receive_lsn": 0, "replication_state": "in archive recovery", "timeline": 2,
            "scheduled_restart": {"schedule": "2999-01-01T00:00:00+00:00", "postmaster_start_time": "x"},
        })
        .to_string(),
    );
    let cluster = Cluster { members: [("pg2".to_owned(), record)].into(), ..Cluster::default() };
    let document = Value::Object(cluster_document(&cluster));
    let member = &document["members"][0];
    let expected = "name role state api_url host port timeline pending_restart pending_restart_reason scheduled_restart tags \
        receive_lsn receive_lag replay_lsn replay_lag lsn lag";
    assert_eq!(names(member), expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!((&member["state"], &member["port"]), (&json!("in archive recovery"), &json!(5433)));
    assert_eq!((&member["receive_lsn"], &member["lsn"]), (&json!("unknown"), &json!("0/7D0")), "0 is no position");
    assert_eq!(member["scheduled_restart"]["postmaster_start_time"], "x", "as the member has it");
}
