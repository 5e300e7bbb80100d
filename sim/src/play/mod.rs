//! A run from boot to verdict material: bring the cluster up, begin, carry out the timeline, let it settle, read the end.

mod ready;
mod settle;

use std::time::Duration;

use pgdrill_lab::{
    event::{Event, What},
    scenario::{Scenario, Span},
    world::{PlayError, Recording, moments, remember},
};
use pgdrill_sim_engine::Engine;

use crate::{
    calibration::Calibration,
    cluster::{Cluster, build, draw},
    faults::{Faults, power_off, power_on},
};

/// The watchdog devices are looked at this often; their time-outs are longer, so that none goes off unnoticed.
const GLANCE: Duration = Duration::from_secs(1);

/// Plays a scenario on a fresh engine.
pub(crate) fn play(
    engine: &mut Engine,
    scenario: &Scenario,
    seed: u64,
    calibration: &Calibration,
) -> Result<Recording, PlayError> {
    let mut cluster = build(engine, scenario, seed, calibration);
    let bring_up = ready::bring_up(&mut cluster, seed);
    if let Err(message) = bring_up {
        return Err(PlayError { message, events: cluster.recorder.take() });
    }
    let known = cluster.recorder.take();
    cluster.begin();
    remember(scenario, &cluster.recorder, &known);
    cluster.start_clients();

    let mut faults = Faults::new(draw(seed, u64::MAX));
    for moment in moments(scenario) {
        run_until(&mut cluster, &mut faults, moment.at);
        faults.carry_out(&mut cluster, moment);
    }
    run_until(&mut cluster, &mut faults, scenario.duration);
    settle::finish(&mut cluster, &mut faults);

    let played = cluster.journal.now();
    let events = cluster.recorder.take();
    check_lab(cluster.engine, events).map(|events| Recording {
        events,
        played_ns: played.0,
        trace_hash: Some(cluster.engine.trace().hash()),
    })
}

/// Runs until a moment of the scenario, resetting machines whose watchdog goes off on the way.
fn run_until(cluster: &mut Cluster<'_>, faults: &mut Faults, moment: Span) {
    let end = cluster.at(moment.0);
    let watched = cluster.nodes.values().any(|n| n.device.is_present());
    while cluster.engine.now() < end {
        let now = cluster.engine.now();
        let deadlines = cluster.nodes.values().filter_map(|n| n.device.deadline());
        let due = deadlines.chain(cluster.booting.iter().map(|(at, _)| *at)).min();
        let next = match due {
            _ if !watched => end,
            Some(due) => end.min(due.max(now)).min(now + GLANCE),
            None => end.min(now + GLANCE),
        };
        cluster.engine.run_until(next);
        boot(cluster);
        reset_expired(cluster, faults);
    }
}

fn reset_expired(cluster: &mut Cluster<'_>, faults: &mut Faults) {
    let now = cluster.engine.now();
    let expired: Vec<String> =
        cluster.nodes.iter().filter(|(_, n)| n.device.expired(now)).map(|(name, _)| name.clone()).collect();
    for node in expired {
        cluster.journal.record(&node, What::Note { text: "the watchdog resets the machine".to_owned() });
        power_off(cluster, std::slice::from_ref(&node));
        faults.machine_was_reset(&node);
        let ready = now + Duration::from_secs_f64(cluster.calibration.boot_s);
        cluster.booting.push((ready, node));
    }
}

/// Machines that were reset and have come up again.
fn boot(cluster: &mut Cluster<'_>) {
    let now = cluster.engine.now();
    let (ready, booting) = std::mem::take(&mut cluster.booting).into_iter().partition(|(at, _)| *at <= now);
    cluster.booting = booting;
    let ready: Vec<(Duration, String)> = ready;
    for (_, node) in ready {
        power_on(cluster, &[node]);
    }
}

/// A process of the lab or of a model that ended by a fault of its own makes the whole run worthless.
fn check_lab(engine: &Engine, events: Vec<Event>) -> Result<Vec<Event>, PlayError> {
    let fault = engine.exits().iter().find(|e| e.reason.is_fault());
    match fault {
        None => Ok(events),
        Some(exit) => {
            let name = engine.process_name(exit.process);
            Err(PlayError { message: format!("{name} ended at {:?}: {}", exit.at, exit.reason), events })
        }
    }
}
