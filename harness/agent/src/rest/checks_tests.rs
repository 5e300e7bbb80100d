//! The truth table of the health checks.

use std::{collections::BTreeSet, time::Duration};

use pgdrill_ha::{
    Config,
    config::{SynchronousMode, Tags},
    records::{StatusRecord, SyncRecord},
    view::{Cluster, PostgresView, Versioned},
};
use serde_json::json;

use super::*;

const NOW: Monotonic = Monotonic::from_secs(100);

/// A running primary whose lock ends at `deadline_s`.
fn primary(deadline_s: u64) -> Published {
    Published {
        postgres: PostgresView { process: Process::Running, role: PostgresRole::Primary, ..PostgresView::default() },
        role: Some(MemberRole::Primary),
        leadership_deadline: Some(Monotonic::from_secs(deadline_s)),
        cluster: Some(Cluster::default()),
        dcs_read: Some(Monotonic::from_secs(95)),
        cycle_started: Monotonic::from_secs(95),
        ..Published::default()
    }
}

/// A streaming replica that has replayed 1000 bytes of the leader's 1500.
fn replica() -> Published {
    let status = StatusRecord { optime: Some(Lsn(1500)), ..StatusRecord::default() };
    let sync = SyncRecord { leader: Some("pg1".into()), standbys: BTreeSet::from(["pg2".to_owned()]), quorum: 0 };
    Published {
        postgres: PostgresView {
            process: Process::Running,
            role: PostgresRole::Replica,
            is_streaming: true,
            received_lsn: Some(Lsn(1500)),
            replayed_lsn: Some(Lsn(1000)),
            ..PostgresView::default()
        },
        role: Some(MemberRole::Replica),
        cluster: Some(Cluster {
            status: Versioned::new(status, 1),
            sync: Versioned::new(sync, 1),
            ..Cluster::default()
        }),
        config: Config { synchronous_mode: SynchronousMode::On, ..Config::default() },
        dcs_read: Some(Monotonic::from_secs(95)),
        cycle_started: Monotonic::from_secs(95),
        ..Published::default()
    }
}

fn ok(path: &str, published: &Published) -> bool {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parameter = |part: &str| part.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let parameters: Vec<_> = query.split('&').filter_map(parameter).collect();
    let failsafe_is_active = published.failsafe_is_active(None, NOW);
    let node = Node { name: "pg2", published, now: NOW, failsafe_is_active };
    Check::from_path(&format!("/{path}")).expect("a known path").holds(&node, &Query::new(&parameters))
}

#[track_caller]
fn assert_only(published: &Published, expected: &[&str]) {
    let all = [
        "primary",
        "read-write",
        "leader",
        "standby-leader",
        "replica",
        "read-only",
        "sync",
        "async",
        "quorum",
        "read-only-sync",
        "read-only-quorum",
        "health",
        "liveness",
        "readiness",
    ];
    let found: Vec<_> = all.into_iter().filter(|path| ok(path, published)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_leader_with_a_valid_lock_is_primary() {
    let expected = [
        "primary",
        "read-write",
        "leader",
        "read-only",
        "read-only-sync",
        "read-only-quorum",
        "health",
        "liveness",
        "readiness",
    ];
    assert_only(&primary(101), &expected);
}

#[test]
fn a_primary_whose_lock_has_ended_is_no_primary_any_more() {
    assert_only(&primary(100), &["health", "liveness"]);
    assert_only(&Published { leadership_deadline: None, ..primary(0) }, &["health", "liveness"]);
}

#[test]
fn a_leader_that_is_still_promoting_is_leader_but_takes_no_writes() {
    let mut promoting = primary(101);
    promoting.postgres.role = PostgresRole::Replica;
    promoting.role = Some(MemberRole::Promoted);
    assert_only(&promoting, &["leader", "health", "liveness", "readiness"]);
}

#[test]
fn the_leader_of_a_standby_cluster_is_not_primary() {
    let mut standby = primary(101);
    standby.config.standby_cluster = Some(json!({"host": "elsewhere"}));
    standby.postgres.role = PostgresRole::Replica;
    standby.role = Some(MemberRole::StandbyLeader);
    let expected = [
        "leader",
        "standby-leader",
        "read-only",
        "read-only-sync",
        "read-only-quorum",
        "health",
        "liveness",
        "readiness",
    ];
    assert_only(&standby, &expected);
}

#[test]
fn a_paused_primary_that_cannot_see_the_dcs_is_still_primary() {
    let mut paused = primary(100);
    paused.config.paused = true;
    assert!(!ok("primary", &paused), "what was read is not older than ttl");
    paused.dcs_read = Some(Monotonic::from_secs(70));
    assert!(ok("primary", &paused) && ok("leader", &paused) && ok("read-only", &paused));
    assert!(!ok("read-only-sync", &paused), "without a view of the DCS nobody is synchronous");
    paused.config.paused = false;
    assert!(!ok("primary", &paused) && !ok("leader", &paused));
}

#[test]
fn a_replica_answers_by_its_place_in_sync() {
    assert_only(&replica(), &["replica", "read-only", "sync", "read-only-sync", "health", "liveness", "readiness"]);
    let mut quorum = replica();
    quorum.config = Config { synchronous_mode: SynchronousMode::Quorum, ..Config::default() };
    assert!(ok("quorum", &quorum) && ok("read-only-quorum", &quorum) && !ok("sync", &quorum));
    let mut asynchronous = replica();
    asynchronous.cluster = Some(Cluster::default());
    assert!(ok("async", &asynchronous) && !ok("sync", &asynchronous));
    let mut off = replica();
    off.config = Config::default();
    assert!(ok("async", &off) && !ok("sync", &off), "what a mode that is off left behind in /sync does not count");
    let unknown = Published { dcs_read: Some(Monotonic::from_secs(70)), ..replica() };
    assert!(!ok("async", &unknown) && !ok("sync", &unknown) && ok("replica", &unknown));
}

#[test]
fn a_replica_further_behind_than_asked_for_is_left_out() {
    assert!(ok("replica?lag=500", &replica()) && !ok("replica?lag=499", &replica()));
    assert!(ok("replica?lag=1kB", &replica()));
    assert!(ok("replica?lag=much", &replica()) && ok("replica?lag=", &replica()), "no number, no limit");
    assert!(!ok("async?lag=499", &Published { config: Config::default(), ..replica() }));
    assert!(!ok("readiness?lag=100", &replica()) && ok("readiness?lag=100&mode=write", &replica()));
}

#[test]
fn tags_keep_a_replica_out_of_load_balancing_or_choose_it() {
    let with = |tags: serde_json::Value| Published {
        config: Config { tags: Tags(tags.as_object().unwrap().clone()), ..Config::default() },
        ..replica()
    };
    assert!(!ok("replica", &with(json!({"noloadbalance": true}))));
    assert!(ok("replica?tag_zone=b&tag_zone=c", &with(json!({"zone": "b"}))), "the first of a kind counts");
    assert!(!ok("replica?tag_zone=B", &with(json!({"zone": "b"}))));
    assert!(ok("replica?tag_clonefrom=true&tag_rack=7", &with(json!({"clonefrom": true, "rack": 7}))));
    assert!(!ok("replica?tag_nosync=false", &with(json!({"nosync": false}))), "a tag at its default is none");
    assert!(!ok("health?tag_zone=a", &with(json!({"zone": "b"}))) && ok("readiness?tag_zone=a", &replica()));
    assert!(!ok("replica?tag_zone=a", &with(json!({"zone": "b"}))));
    assert!(!ok("replica?tag_zone=a", &replica()));
}

#[test]
fn liveness_ends_when_the_loop_hangs() {
    let mut hung = primary(101);
    hung.config.ttl = Duration::from_secs(30);
    hung.cycle_started = Monotonic::from_secs(70);
    assert!(!ok("liveness", &hung), "a primary gets ttl");
    hung.postgres.role = PostgresRole::Replica;
    assert!(ok("liveness", &hung), "a replica twice that");
    hung.cycle_started = Monotonic::from_secs(40);
    assert!(!ok("liveness", &hung));
    hung.config.paused = true;
    assert!(ok("liveness", &hung));
}

#[test]
fn a_stopped_server_is_nothing() {
    let mut stopped = primary(101);
    stopped.postgres.process = Process::Stopped;
    assert_only(&stopped, &["leader", "liveness"]);
}

#[test]
fn paths_are_searched_for_words_as_patroni_does() {
    for (path, expected) in [
        ("/", Some(Check::Primary)),
        ("/master", Some(Check::Primary)),
        ("/my-standby_leader", Some(Check::StandbyLeader)),
        ("/leader/x", Some(Check::Leader)),
        ("/read-only-replica", Some(Check::Replica)),
        ("/read-only-synchronous", Some(Check::ReadOnlySynchronous)),
        ("/healthz", Some(Check::Health)),
        ("/sync/x", None),
        ("/nonsense", None),
    ] {
        assert_eq!(Check::from_path(path), expected, "{path}");
    }
}

#[test]
fn a_replica_that_cannot_tell_its_lag_is_ready_by_the_members_word_alone() {
    let mut blind = Published { dcs_read: None, ..replica() };
    assert!(!ok("readiness", &blind));
    blind.memory.failsafe.agreed_until = Some(NOW + Duration::from_secs(1));
    assert!(ok("readiness", &blind));
}
