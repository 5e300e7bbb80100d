//! Which callback is told when, as Patroni's `cb_called` and `__cb_pending` do, and that one ends another.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use pgdrill_ha::records::MemberRole::{Demoted, Primary, Replica, StandbyLeader};
use tokio::time::{Duration, sleep};

use super::{
    Callback::{OnReload, OnRestart, OnRoleChange, OnStart, OnStop},
    Told,
};
use crate::{
    fixtures::{FakeKv, FakePostgres, Heard, config, parts_with_programs},
    ports::{Program, ProgramError, ProgramExit, Programs},
};

#[test]
fn the_first_sight_of_a_running_server_is_a_start_and_then_there_is_nothing_to_tell() {
    let mut told = Told::default();
    assert_eq!(told.runs(Replica), Some((OnStart, Replica)));
    assert_eq!(told.runs(Replica), None);
}

#[test]
fn a_start_and_a_restart_are_told_once_the_server_accepts_connections() {
    let mut told = Told::default();
    told.will_start(OnStart);
    assert_eq!(told.runs(Replica), Some((OnStart, Replica)));
    told.will_start(OnRestart);
    assert_eq!(told.runs(Replica), Some((OnRestart, Replica)));
    assert_eq!(told.stopped(Replica), Some((OnStop, Replica)));
    told.will_start(OnStart);
    assert_eq!(told.runs(Replica), Some((OnStart, Replica)));
}

#[test]
fn a_promotion_and_a_demotion_are_changes_of_role_not_starts() {
    let mut told = Told::default();
    told.runs(Replica);
    assert_eq!(told.promoted(), Some((OnRoleChange, Primary)));
    assert_eq!(told.runs(Primary), None, "it was told when the order was given");
    assert_eq!(told.stopped(Primary), Some((OnStop, Primary)));
    told.will_start(OnStart);
    assert_eq!(told.runs(Replica), Some((OnRoleChange, Replica)));
}

#[test]
fn a_crashed_primary_that_comes_back_as_primary_is_a_start() {
    let mut told = Told::default();
    told.runs(Primary);
    told.will_start(OnStart);
    assert_eq!(told.runs(Primary), Some((OnStart, Primary)));
}

#[test]
fn the_leader_of_a_standby_cluster_has_a_role_of_its_own() {
    let mut told = Told::default();
    told.runs(Replica);
    assert_eq!(told.runs(StandbyLeader), Some((OnRoleChange, StandbyLeader)));
    told.will_start(OnRestart);
    assert_eq!(told.runs(Replica), Some((OnRoleChange, Replica)));
}

#[test]
fn a_leader_whose_server_does_not_start_tells_that_it_is_demoted() {
    let mut told = Told::default();
    told.runs(Primary);
    assert_eq!(told.failed_in_office(), Some((OnRoleChange, Demoted)));
    assert_eq!(told.failed_in_office(), None);
}

#[test]
fn a_bootstrap_is_silent_until_the_cluster_is_made() {
    let mut told = Told::default();
    told.bootstrapping(true);
    told.will_start(OnStart);
    assert_eq!((told.runs(Primary), told.reloaded(Primary), told.stopped(Primary)), (None, None, None));
    told.bootstrapping(false);
    assert_eq!(told.runs(Primary), Some((OnStart, Primary)));
    assert_eq!(told.reloaded(Primary), Some((OnReload, Primary)));
}

/// Programs that take ten seconds each, and say when they begin, end and are ended.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Vec<String>>>);

struct Run(Slow, String);

impl Slow {
    fn note(&self, what: String) {
        self.0.lock().expect("no test panics while it holds this").push(what);
    }

    fn notes(&self) -> Vec<String> {
        self.0.lock().expect("no test panics while it holds this").clone()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.note(format!("end {}", self.1));
    }
}

impl Programs for Slow {
    fn run(&self, program: Program) -> BoxFuture<'_, Result<ProgramExit, ProgramError>> {
        let text = program.argv.join(" ");
        self.note(format!("begin {text}"));
        let run = Run(self.clone(), text);
        Box::pin(async move {
            sleep(Duration::from_secs(10)).await;
            drop(run);
            Ok(ProgramExit::Code(0))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_callback_ends_an_older_one_and_a_reload_ends_only_a_reload() {
    let mut config = config();
    config.postgresql.callbacks.on_start = Some("notify --from 'pg drill'".into());
    config.postgresql.callbacks.on_role_change = Some("notify".into());
    config.postgresql.callbacks.on_reload = Some("reloaded".into());
    let slow = Slow::default();
    let parts = parts_with_programs(config, FakeKv::default(), FakePostgres::default(), Heard::default(), slow.clone());
    parts.call_back(Some((OnStart, Replica)));
    sleep(Duration::from_secs(1)).await;
    parts.call_back(Some((OnReload, Replica)));
    parts.call_back(Some((OnRestart, Replica)));
    sleep(Duration::from_secs(1)).await;
    parts.call_back(Some((OnRoleChange, Primary)));
    sleep(Duration::from_secs(20)).await;
    let expected = [
        "begin notify --from pg drill on_start replica demo",
        "begin reloaded on_reload replica demo",
        "end notify --from pg drill on_start replica demo",
        "begin notify on_role_change primary demo",
        "end reloaded on_reload replica demo",
        "end notify on_role_change primary demo",
    ];
    assert_eq!(slow.notes(), expected, "what is not configured (on_restart) ends nothing");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_agent_ends_its_callbacks() {
    let mut config = config();
    config.postgresql.callbacks.on_stop = Some("slow".into());
    let slow = Slow::default();
    let parts = parts_with_programs(config, FakeKv::default(), FakePostgres::default(), Heard::default(), slow.clone());
    parts.call_back(Some((OnStop, Replica)));
    sleep(Duration::from_secs(1)).await;
    drop(parts);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(slow.notes().len(), 2, "begun and ended: {:?}", slow.notes());
}
