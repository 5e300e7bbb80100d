//! PostgreSQL does not run, or there is no data directory.

use std::time::Duration;

use pgdrill_ha::decision::{Action, InitializeWrite, StartAs, Then, Upstream};
use pgdrill_ha::records::Initialize;
use pgdrill_ha::view::{
    DataDir, DbState, LeaderInspection, PostgresRole, Process, TaskKind, TaskProgress, TaskView, WriteOutcome,
};
use pgdrill_ha::{Lsn, RewindState};

use crate::fixture::{END, NOW, Scene, actions, answer, control, scene};

fn down(mut scene: Scene, process: Process, state: DbState) -> Scene {
    scene.local.postgres.process = process;
    scene.local.postgres.control = Some(control(state));
    scene.memory.ever_started = true;
    scene
}

fn ended(kind: TaskKind, progress: TaskProgress) -> Option<TaskView> {
    Some(TaskView { id: 9, kind, started: NOW, progress })
}

#[test]
fn lock_mine_crashed_primary_starts_as_primary_without_a_new_timeline_zoo_50() {
    let mut scene = down(scene("pg1").holding(), Process::Crashed, DbState::InProduction);
    scene.memory.was_primary = true;
    let still_allowed_until = scene.now + scene.config.ttl;
    assert_eq!(scene.decide().actions, [Action::Start(StartAs::Primary { still_allowed_until })]);
}

#[test]
fn lock_mine_crashed_with_primary_start_timeout_0_hands_over_if_somebody_can() {
    let mut scene = down(scene("pg1").holding(), Process::Crashed, DbState::InProduction);
    scene.memory.was_primary = true;
    scene.config.primary_start_timeout = Duration::ZERO;
    let mut other = scene.clone().peers(&[("pg2", Some(answer(END)))]);
    assert_eq!(actions(&other.decide()), ["watchdog_disable", "release_lock"]);
    let mut nobody = scene.peers(&[("pg2", None)]);
    assert_eq!(actions(&nobody.decide()), ["start"]);
}

#[test]
fn lock_mine_agent_restarted_over_a_dead_primary_starts_it_read_only_first() {
    let mut scene = down(scene("pg1").holding(), Process::Stopped, DbState::ShutDown);
    assert_eq!(scene.decide().actions, [Action::Start(StartAs::Replica(Upstream::Unchanged))]);
}

#[test]
fn a_holder_that_failed_to_start_gives_the_lock_away() {
    let mut scene = down(scene("pg1").holding(), Process::Stopped, DbState::ShutDown);
    scene.decide();
    scene.local.task = ended(TaskKind::Start, TaskProgress::Failed { reason: "exit 1".into() });
    assert_eq!(actions(&scene.decide()), ["watchdog_disable", "release_lock"]);
}

#[test]
fn lock_none_crashed_primary_is_recovered_in_single_user_mode_once_unless_a_backup_label_lies_there() {
    let mut scene = down(scene("pg1").without_leader(), Process::Crashed, DbState::InProduction);
    let mut labelled = scene.clone();
    labelled.local.postgres.has_backup_label = true;
    assert_eq!(actions(&labelled.decide()), ["start"]);
    assert_eq!(actions(&scene.decide()), ["watchdog_disable", "crash_recovery"]);
    assert_eq!(actions(&scene.decide()), ["start"]);
}

/// What `reinit` leaves behind: the copy of a running primary, whose pg_control says "in production".
#[test]
fn a_copy_made_while_the_agent_lives_is_started_without_comparing_histories() {
    let mut scene = superseded();
    scene.local.postgres.control = Some(control(DbState::InProduction));
    scene.local.postgres.has_backup_label = true;
    assert_eq!(actions(&scene.clone().decide()), ["inspect_leader"], "without a copy it is a former primary's");
    scene.memory.rewind.state = RewindState::Check;
    scene.local.task = ended(TaskKind::Clone, TaskProgress::Done);
    assert_eq!(actions(&scene.decide()), ["start"]);
}

/// pg1 was the primary, pg3 leads now on timeline 3.
fn superseded() -> Scene {
    let mut scene = down(scene("pg1"), Process::Stopped, DbState::ShutDown);
    scene.cluster.leader.as_mut().unwrap().name = "pg3".into();
    scene.cluster.members.get_mut("pg3").unwrap().role = Some(pgdrill_ha::records::MemberRole::Primary);
    scene.local.postgres.role = PostgresRole::Primary;
    scene
}

fn told(history: Vec<(u32, Lsn)>) -> Option<LeaderInspection> {
    Some(LeaderInspection::Answered { in_recovery: false, timeline: 3, history })
}

#[test]
fn lock_other_former_primary_compares_histories_before_it_follows() {
    let mut scene = superseded();
    assert_eq!(actions(&scene.decide()), ["inspect_leader"]);
    scene.local.round.leader = told(vec![(1, Lsn(100)), (2, END)]);
    let decision = scene.decide();
    assert!(matches!(&decision.actions[..],
        [Action::Start(StartAs::Replica(Upstream::Member { name, .. }))] if name == "pg3"));
    assert_eq!(scene.memory.rewind.state, RewindState::NotNeed);
}

#[test]
fn lock_other_diverged_former_primary_is_rewound_recloned_or_just_follows() {
    let mut scene = superseded();
    scene.local.round.leader = told(vec![(1, Lsn(100)), (2, Lsn(END.0 - 8))]);
    assert_eq!(actions(&scene.clone().decide()), ["start"]);
    let mut reclone = scene.clone();
    reclone.config.remove_data_directory_on_diverged_timelines = true;
    assert_eq!(actions(&reclone.decide()), ["remove_data_dir"]);
    let mut rewind = scene.clone();
    rewind.config.use_pg_rewind = true;
    let decision = rewind.decide();
    assert_eq!(actions(&decision), ["rewind"]);
    insta::assert_snapshot!(decision.reason.to_string(), @"running pg_rewind: we ended timeline 2 at 0/50000000, the leader left it at 0/4FFFFFF8");
    let mut without_hints = rewind.clone();
    without_hints.memory.rewind.state = RewindState::Need;
    without_hints.local.postgres.control.as_mut().unwrap().data_checksums = false;
    assert_eq!(actions(&without_hints.decide()), ["start"]);
}

#[test]
fn a_rewind_waits_for_the_leaders_checkpoint_zoo_49() {
    let mut scene = superseded();
    scene.config.use_pg_rewind = true;
    scene.memory.rewind.state = RewindState::Need;
    scene.cluster.members.get_mut("pg3").unwrap().checkpoint_after_promote = Some(false);
    assert_eq!(scene.decide().reason.code(), "waiting_for_leader_checkpoint");
    scene.cluster.members.get_mut("pg3").unwrap().checkpoint_after_promote = None;
    assert_eq!(actions(&scene.decide()), ["rewind"]);
}

#[test]
fn a_directory_that_a_rewind_left_half_done_is_not_started_zoo_52() {
    let mut scene = superseded();
    scene.cluster.leader = None;
    scene.local.task = ended(TaskKind::Rewind, TaskProgress::Failed { reason: "connection lost".into() });
    assert_eq!(scene.decide().reason.code(), "waiting_for_leader");
}

fn empty(mut scene: Scene) -> Scene {
    scene.local.postgres = Default::default();
    scene
}

#[test]
fn lock_mine_data_dir_empty_releases_the_lock() {
    assert_eq!(actions(&empty(scene("pg1").holding()).decide()), ["release_lock"]);
}

/// A lost permission or a broken disk, or somebody's half of a cluster: the agent that took it for nothing removed it.
#[test]
fn a_data_dir_that_cannot_be_used_is_neither_started_nor_replaced_and_its_node_does_not_lead() {
    let inaccessible = |mut scene: Scene| {
        scene.local.postgres.data_dir = DataDir::Inaccessible;
        scene
    };
    assert_eq!(actions(&inaccessible(scene("pg1").holding()).decide()), ["stop", "release_lock"]);
    for mut scene in [empty(scene("pg2")), empty(scene("pg2").without_leader()), scene("pg2")] {
        scene.cluster.initialize = scene.cluster.leader.as_ref().and(scene.cluster.initialize);
        scene = inaccessible(scene);
        let decision = scene.decide();
        assert_eq!(decision.reason.code(), "data_dir_inaccessible");
        assert!(decision.actions.iter().all(|action| matches!(action, Action::Stop(_))), "{decision:?}");
    }
}

#[test]
fn lock_other_data_dir_empty_clones_from_a_clonefrom_member_or_the_leader() {
    let mut scene = empty(scene("pg2"));
    let source = |scene: &mut Scene| match &scene.decide().actions[..] {
        [Action::Clone { from: Some(Upstream::Member { name, .. }) }] => name.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(source(&mut scene), "pg1");
    scene.cluster.members.get_mut("pg3").unwrap().tags.0.insert("clonefrom".into(), true.into());
    assert_eq!(source(&mut scene), "pg3");
}

#[test]
fn lock_none_data_dir_empty_races_for_initialize() {
    let mut scene = empty(scene("pg2").without_leader());
    assert_eq!(scene.decide().reason.code(), "waiting_for_leader");
    scene.cluster.initialize = Some(Initialize::InProgress);
    assert_eq!(scene.decide().reason.code(), "waiting_for_bootstrap");
    scene.cluster.initialize = None;
    assert_eq!(scene.decide().actions, [Action::WriteInitialize(InitializeWrite::Create)]);
    let mut barred = scene.clone().tag("nofailover", true.into());
    assert_eq!(barred.decide().reason.code(), "waiting_for_bootstrap");
    scene.local.round.initialize = Some(WriteOutcome::Written { mod_revision: 5 });
    assert_eq!(actions(&scene.decide()), ["bootstrap"]);
}

#[test]
fn a_bootstrap_ends_with_identity_configuration_and_lock_or_cleans_up() {
    let mut scene = scene("pg1").without_leader();
    scene.memory.bootstrapping = true;
    scene.local.task = ended(TaskKind::Bootstrap, TaskProgress::Done);
    let mut failed = scene.clone();
    assert_eq!(actions(&scene.decide()), ["write_initialize", "write_config", "acquire_lock"]);
    failed.local.task = ended(TaskKind::Bootstrap, TaskProgress::Failed { reason: "initdb".into() });
    let decision = failed.decide();
    assert_eq!(actions(&decision), ["stop", "watchdog_disable", "move_data_dir_away", "write_initialize"]);
    assert_eq!(decision.then, Then::Exit);
}

#[test]
fn a_new_standby_cluster_begins_with_a_running_standby() {
    let mut scene = scene("pg2").without_leader();
    scene.memory.bootstrapping = true;
    scene.local.task = ended(TaskKind::Bootstrap, TaskProgress::Done);
    let mut without = scene.clone();
    assert_eq!(without.decide().then, Then::Exit, "a standby is no new primary");
    scene.config.bootstrap_dcs = serde_json::json!({"standby_cluster": {"host": "dc1"}});
    assert_eq!(actions(&scene.decide()), ["write_initialize", "write_config", "acquire_lock"]);
    let mut primary = self::scene("pg1").without_leader();
    primary.memory.bootstrapping = true;
    primary.local.task = ended(TaskKind::Bootstrap, TaskProgress::Done);
    primary.config.bootstrap_dcs = scene.config.bootstrap_dcs.clone();
    assert_eq!(primary.decide().then, Then::Exit, "a primary does not follow the remote one");
}

#[test]
fn a_method_that_needs_no_leader_is_used_when_there_is_none() {
    let mut scene = empty(scene("pg2").without_leader());
    scene.config.clones_without_leader = true;
    assert_eq!(scene.decide().actions, [Action::Clone { from: None }]);
    scene.cluster.initialize = Some(Initialize::InProgress);
    assert_eq!(scene.decide().reason.code(), "waiting_for_bootstrap");
    scene.cluster.initialize = None;
    assert_eq!(scene.decide().actions, [Action::WriteInitialize(InitializeWrite::Create)]);
    let mut barred = scene.tag("nofailover", true.into());
    assert_eq!(barred.decide().actions, [Action::Clone { from: None }]);
}

#[test]
fn a_foreign_data_directory_ends_the_agent_and_in_pause_only_the_leadership() {
    let mut scene = scene("pg1").holding();
    scene.local.postgres.system_identifier = Some(1);
    assert_eq!(scene.decide().then, Then::Exit);
    scene.config.paused = true;
    let decision = scene.decide();
    assert_eq!(actions(&decision), ["release_lock"]);
    assert_ne!(decision.then, Then::Exit);
}
