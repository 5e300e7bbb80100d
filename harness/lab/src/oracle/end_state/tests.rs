//! Hand-made ends of runs.

use super::{judge, slot_name, synchronous_standby_names};
use crate::{
    event::{Slot, SqlState, What},
    history::script::{Script, primary},
    oracle::Finding,
    rules::Rules,
    scenario::{End, Expect, SynchronousMode},
};

const KEYS: [(&str, &str); 5] = [
    ("initialize", "7412345678901234567"),
    ("leader", "pg1"),
    ("members/pg1", "{}"),
    ("members/pg2", "{}"),
    ("members/pg3", "{}"),
];

fn slot(name: &str, active: bool) -> Slot {
    Slot { name: name.into(), active, restart_lsn: Some(1) }
}

/// The settled state with further or changed keys and the leader's slots.
fn end(script: Script, changed: &[(&str, &str)], slots: Vec<Slot>) -> Script {
    let dcs = KEYS.iter().chain(changed).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    script.push(3_000.0, "lab", What::End { dcs, slots: [("pg1".to_owned(), slots)].into() })
}

fn good_slots() -> Vec<Slot> {
    vec![slot("pg2", true), slot("pg3", true)]
}

fn codes(rules: &Rules, script: &Script) -> Vec<&'static str> {
    judge(rules, &script.history()).violations().iter().map(super::Violation::code).collect()
}

fn synchronous() -> Rules {
    Rules { synchronous_mode: SynchronousMode::On, ..Rules::default() }
}

/// The leader's last probe under synchronous replication.
fn leading(names: &str, standbys: &[(&str, &str)]) -> Script {
    let standbys = standbys.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect();
    let state = SqlState { synchronous_standby_names: names.into(), standbys, ..primary(1, 9) };
    Script::new().sql(2_990.0, "pg1", Some(state))
}

#[test]
fn a_settled_cluster_passes() {
    assert_eq!(judge(&Rules::default(), &end(Script::new(), &[], good_slots()).history()), Finding::Pass);
}

#[test]
fn a_missing_an_unused_and_a_left_over_slot_are_wrong() {
    for slots in [
        vec![slot("pg2", true)],
        vec![slot("pg2", true), slot("pg3", false)],
        vec![slot("pg2", true), slot("pg3", true), slot("ghost", false)],
    ] {
        assert_eq!(codes(&Rules::default(), &end(Script::new(), &[], slots.clone())), ["wrong_slots"], "{slots:?}");
    }
}

#[test]
fn the_slot_of_a_member_that_is_gone_is_kept_for_member_slots_ttl() {
    let gone_at = |seconds: f64| {
        let script = Script::new().dcs(1.0, "members/pg4", "{}").key(seconds, "members/pg4", None);
        end(script, &[], [good_slots(), vec![slot("pg4", false)]].concat())
    };
    // The run ends at 3000 s; 30 minutes and a turn of the loop before that is 1190 s.
    assert_eq!(codes(&Rules::default(), &gone_at(1_191.0)), [""; 0]);
    assert_eq!(codes(&Rules::default(), &gone_at(1_189.0)), ["wrong_slots"]);
}

#[test]
fn keys_that_were_left_over_are_stale() {
    for (key, value) in [("failover", r#"{"leader":"pg1"}"#), ("initialize", ""), ("leader", "ghost")] {
        let script = end(Script::new(), &[(key, value)], good_slots());
        assert_eq!(codes(&Rules::default(), &script), ["stale_key"], "{key}");
    }
    let cleared = end(Script::new(), &[("failover", "{}")], good_slots());
    assert_eq!(codes(&Rules::default(), &cleared), [""; 0]);
    let scheduled = r#"{"leader":"pg1","scheduled_at":"2030-01-01T00:00:00Z"}"#;
    assert_eq!(codes(&Rules::default(), &end(Script::new(), &[("failover", scheduled)], good_slots())), [""; 0]);
}

#[test]
fn the_sync_key_must_name_the_leader_and_standbys_that_really_are_synchronous() {
    let sync = ("sync", r#"{"leader":"pg1","sync_standby":"pg2"}"#);
    let states = [("pg2", "sync"), ("pg3", "async")];
    let script = |names: &str, states: &[(&str, &str)], sync| end(leading(names, states), &[sync], good_slots());
    assert_eq!(codes(&synchronous(), &script("pg2", &states, sync)), [""; 0]);
    assert_eq!(codes(&synchronous(), &script("FIRST 1 (\"pg2\")", &states, sync)), [""; 0]);
    assert_eq!(codes(&synchronous(), &script("pg3", &states, sync)), ["wrong_sync"]);
    assert_eq!(codes(&synchronous(), &script("pg2", &[("pg2", "potential")], sync)), ["wrong_sync"]);
    let of_another = ("sync", r#"{"leader":"pg3","sync_standby":"pg2"}"#);
    assert_eq!(codes(&synchronous(), &script("pg2", &states, of_another)), ["wrong_sync"]);
    let of_nobody = ("sync", r#"{"leader":"pg1","sync_standby":null}"#);
    assert_eq!(codes(&synchronous(), &script("", &states, of_nobody)), ["wrong_sync"]);
    assert_eq!(codes(&synchronous(), &end(Script::new(), &[], good_slots())), ["wrong_sync"]);
}

#[test]
fn a_sync_key_under_asynchronous_replication_is_stale() {
    let script = end(Script::new(), &[("sync", r#"{"leader":"pg1","sync_standby":"pg2"}"#)], good_slots());
    assert_eq!(codes(&Rules::default(), &script), ["stale_key"]);
}

#[test]
fn without_the_settled_state_nobody_can_say_and_other_ends_are_not_judged() {
    let script = Script::new().leader(1.0, "pg1");
    assert!(matches!(judge(&Rules::default(), &script.history()), Finding::Unknown { .. }));
    let expect = Expect { end: Some(End::Unavailable), ..Expect::default() };
    assert!(matches!(judge(&Rules { expect, ..Rules::default() }, &script.history()), Finding::NotApplicable { .. }));
}

#[test]
fn names_are_read_as_postgresql_and_patroni_write_them() {
    for (setting, expected) in [("", ""), ("*", "*"), ("a, b", "a b"), ("ANY 2 (a,\"b\")", "a b"), ("1 (a)", "a")] {
        let found: Vec<String> = synchronous_standby_names(setting).into_iter().collect();
        assert_eq!(found.join(" "), expected, "{setting}");
    }
    for (member, slot) in [("pg1", "pg1"), ("PG-1.example", "pg_1_example"), ("ä", "u0228")] {
        assert_eq!(slot_name(member), slot);
    }
}

/// Strictly, commits wait by name for who left, and `/sync` goes on vouching for it.
#[test]
fn strict_a_standby_that_has_gone_may_go_on_being_named_while_nobody_could_take_its_place() {
    let sync = [("sync", r#"{"leader":"pg1","quorum":0,"sync_standby":"pg2"}"#)];
    let gone = |strict: bool, standbys: &[(&str, &str)]| {
        let rules = Rules { synchronous_mode_strict: strict, ..synchronous() };
        codes(&rules, &end(leading("pg2", standbys), &sync, good_slots()))
    };
    assert!(gone(true, &[]).is_empty());
    assert_eq!(gone(false, &[]), ["wrong_sync"]);
    assert_eq!(gone(true, &[("pg3", "async")]), ["wrong_sync"], "pg3 could");
}
