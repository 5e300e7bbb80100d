//! What a run must not depend on and only code on the simulating thread can change.

use std::{
    hash::{BuildHasher, RandomState},
    hint::black_box,
    time::Duration,
};

use pgdrill_lab::{
    scenario,
    world::{Recording, World},
};
use pgdrill_sim_engine::run_isolated;

use crate::{Calibration, SimWorld, play};

/// Everything that draws: elections of etcd and of the agents, loss, clients, restarts.
const SCENARIO: &str = "
name: tables
about: Whatever draws.
cluster:
  patroni: { ttl: 20, loop_wait: 5, retry_timeout: 5 }
timeline:
  - { at: 3s, loss: { between: [nodes, etcd], probability: 0.2 }, for: 10s }
  - { at: 5s, kill: { process: etcd, on: etcd leader }, for: 10s }
  - { at: 8s, power_off: leader, for: 20s }
duration: 40s
";

/// Plays, with so many of std's tables made on the thread beforehand and, again and again, in between.
fn play_with(tables: u64) -> Recording {
    let loaded = scenario::load_text("tables.yaml".as_ref(), SCENARIO).unwrap_or_else(|e| panic!("{e:?}"));
    run_isolated(4, |engine| {
        let make = move || (0..tables).for_each(|n| _ = black_box(RandomState::new().hash_one(n)));
        make();
        for n in 1..800 {
            engine.at(Duration::from_nanos(n * 73_000_001), move |_| make());
        }
        play::play(engine, &loaded.scenario, 4, &Calibration::shipped()).unwrap_or_else(|e| panic!("{e}"))
    })
}

/// std counts the keys of its tables by thread. A run in which an order of keys, or what tower and others draw from them, decided
/// anything would be another one as soon as any process had made one table more.
#[test]
fn no_run_depends_on_the_keys_of_tables() {
    let none = play_with(0);
    assert!(none.events.len() > 300, "only {} events: nothing was played", none.events.len());
    for tables in [1, 1_000] {
        let other = play_with(tables);
        let lines = |r: &Recording| r.events.iter().map(|e| format!("{e:?}")).collect::<Vec<_>>();
        let (a, b) = (lines(&none), lines(&other));
        assert_eq!(a.iter().zip(&b).find(|(x, y)| x != y), None, "{tables} tables: the first difference");
        assert_eq!((a.len(), none.trace_hash), (b.len(), other.trace_hash), "{tables} tables");
    }
    let loaded = scenario::load_text("tables.yaml".as_ref(), SCENARIO).unwrap_or_else(|e| panic!("{e:?}"));
    let plain = SimWorld.play(&loaded.scenario, 4).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(plain.trace_hash, none.trace_hash, "calls in between change nothing by themselves");
}

/// A generator that a library keeps for each thread would be filled by whoever draws from it first, and shared by all.
#[test]
fn nobody_asks_for_entropy_but_the_members_of_etcd_for_their_elections() {
    let loaded = scenario::load_text("tables.yaml".as_ref(), SCENARIO).unwrap_or_else(|e| panic!("{e:?}"));
    let asked = run_isolated(4, |engine| {
        play::play(engine, &loaded.scenario, 4, &Calibration::shipped()).unwrap_or_else(|e| panic!("{e}"));
        let hosts = ["pg1", "pg2", "pg3", "etcd1", "etcd2", "etcd3", "haproxy", "client1", "client5", "lab"];
        let hosts = hosts.map(|name| engine.host(name).unwrap_or_else(|| panic!("there is no {name}")));
        let processes = hosts.iter().flat_map(|host| engine.processes_of(*host).to_vec());
        let asked = |process| (engine.process_name(process), engine.entropy_calls(process));
        processes.map(asked).filter(|(_, calls)| *calls > 0).collect::<Vec<_>>()
    });
    assert_eq!(asked, ["etcd1/etcd", "etcd2/etcd", "etcd3/etcd"].map(|name| (name.to_owned(), 1)));
}
