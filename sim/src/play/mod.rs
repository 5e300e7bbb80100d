//! A run from boot to verdict material: the cluster is brought up, then the player is asked what to do.

pub(crate) mod read;
mod ready;

use std::{sync::Arc, time::Duration};

use pgdrill_lab::{
    event::{At, Event},
    player::{Do, Player},
    scenario::Scenario,
    world::{PlayError, Recording, remember},
};
use pgdrill_sim_engine::Engine;

use crate::{
    acts::carry_out,
    calibration::Calibration,
    cluster::{Cluster, build, draw},
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

    let boot = Duration::from_secs_f64(calibration.boot_s);
    let mut player = Player::new(Arc::new(scenario.clone()), cluster.recorder.clone(), draw(seed, u64::MAX), boot);
    loop {
        match player.poll(cluster.journal.now()) {
            Do::Act(act) => {
                let evidence = carry_out(&mut cluster, act);
                player.done(cluster.journal.now(), evidence);
            }
            Do::Until(moment) => {
                for node in run_until(&mut cluster, moment) {
                    player.watchdog_went_off(cluster.journal.now(), &node);
                }
            }
            Do::Over => break,
        }
    }

    let played = cluster.journal.now();
    let events = cluster.recorder.take();
    check_lab(cluster.engine, events).map(|events| Recording {
        events,
        played_ns: played.0,
        trace_hash: Some(cluster.engine.trace().hash()),
    })
}

/// Runs until a moment of the scenario, or until watchdog devices go off; the nodes whose did.
fn run_until(cluster: &mut Cluster<'_>, moment: At) -> Vec<String> {
    let end = cluster.at(Duration::from_nanos(moment.0));
    let watched = cluster.nodes.values().any(|n| n.device.is_present());
    loop {
        let now = cluster.engine.now();
        let next = match cluster.nodes.values().filter_map(|n| n.device.deadline()).min() {
            _ if !watched => end,
            Some(deadline) => end.min(deadline.max(now)).min(now + GLANCE),
            None => end.min(now + GLANCE),
        };
        cluster.engine.run_until(next);
        let now = cluster.engine.now();
        let expired = cluster.nodes.iter().filter(|(_, n)| n.device.expired(now)).map(|(name, _)| name.clone());
        let expired: Vec<String> = expired.collect();
        if now >= end || !expired.is_empty() {
            return expired;
        }
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
