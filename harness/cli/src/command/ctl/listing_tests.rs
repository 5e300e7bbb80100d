//! The tables, beside what patronictl 4.1.5 prints for the same keys.

use pgdrill_ha::{
    records::{FailoverRecord, MemberRecord, StatusRecord, SyncRecord},
    view::{Leader, Versioned},
};

use super::*;

/// Three members: a leader, a synchronous standby, and one that replicates from it.
fn cluster() -> Cluster {
    let member = |text: &str| MemberRecord::parse(text);
    let mut cluster = Cluster {
        leader: Some(Leader { name: "pg1".into(), mod_revision: 1, lease_id: 1 }),
        initialize: Some(Initialize::SystemIdentifier(7_437_112_345_678_901_234)),
        config: Some(Versioned::new(json!({"synchronous_mode": true}), 1)),
        status: Versioned::new(StatusRecord::parse("{\"optime\":67108960}"), 1),
        sync: Versioned::new(SyncRecord::parse("{\"leader\":\"pg1\",\"sync_standby\":\"pg2\"}"), 1),
        ..Cluster::default()
    };
    for (name, text) in [
        (
            "pg1",
            r#"{"conn_url":"postgres://10.0.0.1:5432/postgres","state":"running","role":"primary","timeline":2,"xlog_location":67108960}"#,
        ),
        (
            "pg2",
            r#"{"conn_url":"postgres://10.0.0.2:5432/postgres","state":"running","role":"replica","timeline":2,"xlog_location":67108960,"receive_lsn":67108960,"replay_lsn":64000000,"replication_state":"streaming"}"#,
        ),
        ("pg3", r#"{"conn_url":"postgres://10.0.0.3:5432/postgres","state":"stopped","role":"replica"}"#),
    ] {
        cluster.members.insert(name.into(), member(text));
    }
    cluster
}

fn with_extras() -> Cluster {
    let mut cluster = cluster();
    let pg3 = cluster.members.get_mut("pg3").unwrap();
    pg3.tags.0 = json!({"replicatefrom": "pg2", "nofailover": true}).as_object().unwrap().clone();
    pg3.pending_restart = Some(true);
    let reason = json!({"max_connections": {"old_value": "100", "new_value": "200"}});
    pg3.pending_restart_reason = reason.as_object().unwrap().clone();
    pg3.scheduled_restart = Some(json!({"schedule": "2999-01-01T00:00:00+00:00", "postgres_version": "16.5"}));
    cluster.config = Some(Versioned::new(json!({"pause": true}), 1));
    let failover = r#"{"leader":"pg1","member":"pg2","scheduled_at":"2999-01-01T00:00:00Z"}"#;
    cluster.failover = Some(Versioned::new(FailoverRecord::parse(failover).unwrap(), 1));
    cluster
}

#[test]
fn a_cluster_is_listed_as_patronictl_lists_it() {
    insta::assert_snapshot!(members("demo", &cluster(), Style::PLAIN));
    insta::assert_snapshot!(members("demo", &with_extras(), Style::PLAIN));
    insta::assert_snapshot!(members("demo", &Cluster::default(), Style::PLAIN));
}

#[test]
fn a_topology_shows_who_hangs_on_whom() {
    insta::assert_snapshot!(members("demo", &with_extras(), Style { topology: true, ..Style::PLAIN }));
    let mut headless = with_extras();
    headless.leader = None;
    insta::assert_snapshot!(members("demo", &headless, Style { topology: true, ..Style::PLAIN }));
}

#[test]
fn machines_get_the_same_in_their_formats() {
    for format in [Format::Tsv, Format::Json, Format::Yaml] {
        insta::assert_snapshot!(members("demo", &with_extras(), Style { format, ..Style::PLAIN }));
    }
}
