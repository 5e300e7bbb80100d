use super::{Order, Phase, incidents, order_of};
use crate::{
    event::{FaultPhase, ProcessState},
    history::script::{Script, primary, standby},
};

/// pg1 is killed at 10 s; pg2 takes the lock at 40 s and pg1 comes back at 60 s.
fn failover() -> Script {
    Script::new()
        .leader(0.0, "pg1")
        .writes("pg1", 0.0, 10.0)
        .fault(10.0, FaultPhase::Applied)
        .process(10.0, "pg1", "agent", ProcessState::Killed)
        .unknown(10.5, 15.5)
        .no_leader(38.0)
        .leader(40.0, "pg2")
        .sql(40.2, "pg2", Some(standby(1, 5_000, "")))
        .sql(41.2, "pg2", Some(primary(2, 5_100)))
        .write("pg2", 40.9, 41.0)
        .writes("pg2", 42.0, 70.0)
        .sql(50.0, "pg1", Some(standby(1, 5_000, "pg2")))
        .sql(60.0, "pg1", Some(standby(2, 6_000, "pg2")))
}

#[test]
fn a_failover_is_one_incident_with_its_phases_counted_from_the_fault() {
    let script = failover();
    let found = incidents(&script.history());
    assert_eq!(found.len(), 1, "{found:?}");
    let incident = &found[0];
    assert_eq!((incident.key.line, incident.key.nth, incident.fault.as_str()), (Some(0), 0, "kill pg1"));
    assert_eq!((incident.old.as_deref(), incident.new.as_deref()), (Some("pg1"), Some("pg2")));
    let ms: Vec<u64> = Phase::ALL.into_iter().map(|phase| incident.reached_ms[&phase]).collect();
    assert_eq!(ms, [28_000, 30_000, 31_200, 31_000, 50_000]);
}

#[test]
fn a_promotion_that_a_write_proves_is_not_later_than_that_write() {
    let script = failover();
    let found = incidents(&script.history());
    assert_eq!(order_of(&found[0]), Order(Phase::ALL.to_vec()));
}

#[test]
fn an_interruption_without_a_change_of_leaders_has_its_end_only() {
    let script = Script::new()
        .leader(0.0, "pg1")
        .writes("pg1", 0.0, 10.0)
        .fault(10.0, FaultPhase::Applied)
        .refused(11.0, 11.1)
        .writes("pg1", 14.0, 20.0);
    let found = incidents(&script.history());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].new.as_deref(), Some("pg1"));
    let reached: Vec<_> = found[0].reached_ms.iter().collect();
    assert_eq!(reached, [(&Phase::FirstWrite, &4_010)]);
}

#[test]
fn a_quiet_run_has_no_incident() {
    let script = Script::new().leader(0.0, "pg1").writes("pg1", 0.0, 30.0);
    assert!(incidents(&script.history()).is_empty());
}

#[test]
fn a_lock_that_nobody_takes_ends_there() {
    let script =
        Script::new().leader(0.0, "pg1").writes("pg1", 0.0, 5.0).fault(5.0, FaultPhase::Applied).no_leader(30.0);
    let found = incidents(&script.history());
    assert_eq!(found[0].new, None);
    assert_eq!(order_of(&found[0]), Order(vec![Phase::LockExpired]));
}

#[test]
fn the_second_loss_by_the_same_line_is_told_from_the_first() {
    let script = failover().no_leader(71.0).leader(72.0, "pg1");
    let found = incidents(&script.history());
    let keys: Vec<_> = found.iter().map(|incident| (incident.key.line, incident.key.nth)).collect();
    assert_eq!(keys, [(Some(0), 0), (Some(0), 1)]);
}
