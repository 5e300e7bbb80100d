//! The machine lacks what a look at the data directory takes: nothing is concluded from that.

use std::time::Duration;

use pgdrill_ha::{
    decision::Reason,
    view::{DataDir, DbState, PostgresRole, Process},
};

use crate::fixture::{END, NOW, Scene, actions, answer, control, scene};

fn unseen(mut scene: Scene, process: Process) -> Scene {
    scene.local.postgres.data_dir = DataDir::Unseen;
    scene.local.postgres.process = process;
    scene
}

#[test]
fn a_primary_that_runs_goes_on_as_if_its_directory_had_been_seen() {
    let mut seen = scene("pg1").holding();
    let mut unseen = unseen(seen.clone(), seen.local.postgres.process);
    unseen.local.postgres.role = PostgresRole::Primary;
    seen.local.postgres.role = PostgresRole::Primary;
    assert_eq!(unseen.decide(), seen.decide());
}

#[test]
fn a_server_that_is_gone_is_neither_started_nor_given_up_by_guess_work() {
    for process in [Process::Stopped, Process::Crashed] {
        let mut holder = unseen(scene("pg1").holding(), process);
        holder.local.postgres.control = Some(control(DbState::InProduction));
        holder.memory.was_primary = true;
        let decision = holder.decide();
        assert_eq!((actions(&decision), decision.reason), (vec![], Reason::MachineLacks), "{process:?}");
        let mut other = unseen(scene("pg1").without_leader(), process);
        let decision = other.decide();
        assert_eq!((actions(&decision), decision.reason), (vec![], Reason::MachineLacks), "{process:?}");
    }
}

#[test]
fn a_holder_that_cannot_start_for_longer_than_a_start_may_take_hands_over() {
    let mut holder = unseen(scene("pg1").holding(), Process::Crashed);
    holder.memory.was_primary = true;
    holder.memory.start_began = Some(NOW);
    holder.now = NOW + holder.config.primary_start_timeout + Duration::from_secs(1);
    let mut holder = holder.holding();
    let mut with_other = holder.clone().peers(&[("pg2", Some(answer(END)))]);
    assert_eq!(actions(&with_other.decide()).last(), Some(&"release_lock"));
    let mut alone = holder.clone().peers(&[("pg2", None)]);
    assert_eq!(alone.decide().reason, Reason::MachineLacks, "nobody else could lead");
    assert_eq!(actions(&holder.decide()), ["ask_peers"]);
}
