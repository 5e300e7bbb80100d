//! Who is synchronous, and whose `synchronous_standby_names` count.

use pgdrill_ha::config::SynchronousMode;
use pgdrill_ha::decision::Action;
use pgdrill_ha::view::{AwaitedPosition, StandbyView, SynchronousStandbyNames};
use pgdrill_ha::{Lsn, Monotonic};
use serde_json::json;

use crate::fixture::{END, Scene, actions, scene, standby};

fn named(names: &[&str]) -> SynchronousStandbyNames {
    SynchronousStandbyNames::all_of(names.iter().map(|name| (*name).to_owned()).collect())
}

/// pg1 leads in synchronous mode; pg2 is its synchronous standby, pg3 streams, too.
fn synchronous() -> Scene {
    let mut scene = scene("pg1").holding().sync("pg1", &["pg2"], 0);
    scene.config.synchronous_mode = SynchronousMode::On;
    let postgres = &mut scene.local.postgres;
    postgres.standbys = vec![standby("pg2", END), standby("pg3", END)];
    postgres.synchronous_standby_names = named(&["pg2"]);
    postgres.manages_standby_names = true;
    scene
}

/// The standbys that `/sync` names or `synchronous_standby_names` is set to next; empty: nothing changes.
fn next(scene: &mut Scene) -> String {
    let decision = scene.decide();
    decision
        .actions
        .iter()
        .find_map(|action| match action {
            Action::WriteSync { record: Some(record), .. } => Some(record.to_json()),
            Action::SetSynchronousStandbyNames(names) => Some(names.to_string()),
            _ => None,
        })
        .unwrap_or_default()
}

#[test]
fn with_synchronous_mode_off_the_users_own_names_are_left_alone() {
    for own in ["*", "ANY 1 (pg2,pg3)", "FIRST 2 (*)", "elsewhere"] {
        let mut scene = scene("pg1").holding();
        scene.local.postgres.synchronous_standby_names = SynchronousStandbyNames::parse(own);
        assert_eq!(actions(&scene.decide()), Vec::<&str>::new(), "{own}");
    }
}

#[test]
fn switched_off_the_setting_is_the_users_own_again_once_sync_is_gone() {
    let mut scene = synchronous();
    scene.config.synchronous_mode = SynchronousMode::Off;
    let first = scene.decide();
    assert!(matches!(first.actions[..], [Action::WriteSync { record: None, .. }]), "{first:?}");
    scene.cluster.sync = Default::default();
    assert_eq!(actions(&scene.decide()), ["reset_synchronous_standby_names"]);
    scene.local.postgres.manages_standby_names = false;
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new());
}

#[test]
fn a_new_primary_waits_for_whom_the_user_has_named_from_its_first_moment() {
    let mut scene = scene("pg2").holding();
    scene.memory.lock_deadline = Some(Monotonic::from_secs(1030));
    assert_eq!(actions(&scene.clone().decide()), ["promote"]);
    // Left from a time when it was managed.
    scene.local.postgres.manages_standby_names = true;
    assert_eq!(actions(&scene.decide()), ["reset_synchronous_standby_names", "promote"]);
}

/// pg2 has received and flushed everything; its replay is paused. Under `remote_apply` every commit would wait for it.
#[test]
fn maximum_lag_on_syncnode_measures_what_commits_wait_for() {
    let paused = |awaited: AwaitedPosition| {
        let mut scene = synchronous();
        scene.config.maximum_lag_on_syncnode_bytes = Some(1000);
        scene.local.postgres.awaited_position = awaited;
        let all = |lsn: Lsn| StandbyView { write_lsn: lsn, replay_lsn: lsn, ..standby("pg3", lsn) };
        let pg2 = StandbyView { replay_lsn: Lsn(END.0 - 5000), application_name: "pg2".into(), ..all(END) };
        scene.local.postgres.standbys = vec![pg2, all(END)];
        next(&mut scene)
    };
    assert_eq!(paused(AwaitedPosition::Flush), "");
    assert_eq!(paused(AwaitedPosition::Write), "");
    assert_eq!(paused(AwaitedPosition::Replay), r#"{"leader":"pg1","quorum":0,"sync_standby":null}"#);
}

#[test]
fn a_cascading_member_is_synchronous_only_while_its_upstream_is_gone_zoo_30() {
    let mut scene = synchronous();
    scene.cluster.members.get_mut("pg3").unwrap().tags.0.insert("replicatefrom".into(), json!("pg2"));
    scene.cluster.members.get_mut("pg2").unwrap().tags.0.insert("nofailover".into(), json!(true));
    // pg3 is here by accident: it is to hang on pg2, which streams.
    assert_eq!(next(&mut scene.clone()), "");
    // pg2 does not run any more: pg3 streams from us in earnest, and commits can wait for it.
    let mut gone = scene.clone();
    gone.cluster.members.get_mut("pg2").unwrap().state = None;
    gone.local.postgres.standbys.remove(0);
    assert_eq!(next(&mut gone), r#"{"leader":"pg1","quorum":0,"sync_standby":null}"#);
    gone.cluster.sync.value.standbys.clear();
    gone.memory.sync.written = Some(80);
    assert_eq!(next(&mut gone), "pg3");
    // pg2 runs and streams from nobody: the same.
    let mut apart = scene.clone();
    apart.local.postgres.standbys.remove(0);
    apart.cluster.sync.value.standbys.clear();
    assert_eq!(next(&mut apart), "pg3");
}

/// Whether a write of `/sync` may still arrive: then the setting waits until it cannot.
#[test]
fn before_the_setting_changes_no_late_write_of_sync_can_change_the_record() {
    let mut scene = synchronous().sync("pg1", &[], 0);
    scene.local.postgres.standbys.clear();
    assert_eq!(next(&mut scene.clone()), "", "nobody is there: commits wait for nobody");
    assert_eq!(actions(&scene.clone().decide()), ["set_synchronous_standby_names"]);
    for written in [None, Some(79)] {
        scene.memory.sync.written = written;
        assert_eq!(next(&mut scene.clone()), r#"{"leader":"pg1","quorum":0,"sync_standby":null}"#, "{written:?}");
    }
}
