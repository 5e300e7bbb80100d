//! Cost: a simulation is small and quickly built, and idle time is free.

use std::time::Instant;

use pgdrill_sim_engine::run_isolated;

use crate::peers::{pair, secs, spawn_idler, with_keepalive};

#[test]
fn an_idle_hour_takes_no_steps() {
    run_isolated(1, |engine| {
        let (_, client, _) = pair(engine);
        spawn_idler(engine, client, with_keepalive(3, 2, 3));
        engine.run_until(secs(10));
        let steps = engine.steps();
        engine.run_until(secs(3_600));
        assert!(engine.steps() <= steps + 2, "{} steps", engine.steps() - steps);
    });
}

#[test]
fn a_thousand_simulations_are_built_and_torn_down_quickly() {
    let started = Instant::now();
    for seed in 0..1_000 {
        run_isolated(seed, |engine| {
            pair(engine);
            engine.run_until(secs(1));
        });
    }
    // A tenth of this on an idle machine: the bound only has to notice a build that became ten times as dear.
    assert!(started.elapsed() < secs(10), "{:?}", started.elapsed());
}
