//! From the runs of several worlds to one comparison.

use std::collections::BTreeMap;

use pgdrill_lab::{
    history::History,
    phases::{Incident, IncidentKey, Order, Phase, incidents, order_of},
};

use super::{
    Comparison, Distribution, IncidentFigures, Measurements, OrderDifference, PhaseFigures, SIMULATOR, WorldRuns,
};
use crate::run::Run;

/// A run with its incidents, which are read while its events are still there.
#[derive(Clone, Debug)]
pub struct Seen {
    world: String,
    run: Run,
    incidents: Vec<Incident>,
}

impl Seen {
    /// Reads the incidents of a run and lets go of its events.
    #[must_use]
    pub fn of(mut run: Run) -> Self {
        let incidents = incidents(&History::of(&run.events));
        run.events = Vec::new();
        let world = run.reproduce.world.clone().unwrap_or_else(|| SIMULATOR.to_owned());
        Self { world, run, incidents }
    }

    /// When this run reached a phase of an incident, in milliseconds since the fault.
    fn reached_ms(&self, key: IncidentKey, phase: Phase) -> Option<u64> {
        self.incidents.iter().find(|found| found.key == key)?.reached_ms.get(&phase).copied()
    }

    /// The run, without its events.
    #[must_use]
    pub const fn run(&self) -> &Run {
        &self.run
    }
}

/// Compares the runs of one scenario. `measured` is the date, `calibration` what the simulator's durations are.
#[must_use]
pub fn compare(about: &str, measured: &str, calibration: &str, version: &str, seen: &[Seen]) -> Comparison {
    let mut worlds: Vec<&str> = Vec::new();
    for run in seen {
        if !worlds.contains(&run.world.as_str()) {
            worlds.push(&run.world);
        }
    }
    worlds.sort_by_key(|world| *world != SIMULATOR);
    let mut keys: Vec<IncidentKey> = seen.iter().flat_map(|run| &run.incidents).map(|incident| incident.key).collect();
    keys.sort_unstable();
    keys.dedup();
    Comparison {
        format: "pgdrill-compare-1",
        version: version.to_owned(),
        interrupted: None,
        measured: measured.to_owned(),
        scenario: seen.first().map(|run| run.run.scenario.clone()).unwrap_or_default(),
        about: about.to_owned(),
        calibration: calibration.to_owned(),
        worlds: worlds.iter().map(|world| world_runs(world, seen)).collect(),
        incidents: keys.into_iter().map(|key| figures(key, &worlds, seen)).collect(),
    }
}

fn of_world<'a>(world: &'a str, seen: &'a [Seen]) -> impl Iterator<Item = &'a Seen> {
    seen.iter().filter(move |run| run.world == world)
}

/// The incident in each run of a world that met it.
fn met_in<'a>(key: IncidentKey, world: &str, seen: &'a [Seen]) -> Vec<&'a Incident> {
    let runs = seen.iter().filter(|run| run.world == world);
    runs.filter_map(|run| run.incidents.iter().find(|found| found.key == key)).collect()
}

fn world_runs(world: &str, seen: &[Seen]) -> WorldRuns {
    let runs: Vec<&Run> = of_world(world, seen).map(|seen| &seen.run).collect();
    let mut verdicts = BTreeMap::new();
    let mut reasons: Vec<String> = Vec::new();
    for run in &runs {
        let word = run.word();
        if word != "pass" && !reasons.contains(&run.reason()) {
            reasons.push(run.reason());
        }
        *verdicts.entry(word).or_default() += 1;
    }
    WorldRuns {
        world: world.to_owned(),
        runs: runs.len(),
        verdicts,
        reasons,
        outage_ms: runs.iter().filter_map(|run| run.measured()?.outage_ms).collect(),
        lost_rows: runs.iter().filter_map(|run| run.measured()?.lost_rows).collect(),
        took_ms: runs.iter().map(|run| u64::try_from(run.took.as_millis()).unwrap_or(u64::MAX)).collect(),
    }
}

fn figures(key: IncidentKey, worlds: &[&str], seen: &[Seen]) -> IncidentFigures {
    let of = |world: &str| met_in(key, world, seen);
    let met = worlds.iter().map(|world| ((*world).to_owned(), of(world).len())).collect();
    let fault = seen.iter().flat_map(|run| &run.incidents).find(|incident| incident.key == key);
    let times = |world: &str, phase: Phase| -> Vec<u64> {
        of(world).iter().filter_map(|incident| incident.reached_ms.get(&phase).copied()).collect()
    };
    let phases = Phase::ALL.into_iter().filter_map(|phase| {
        let simulated = Distribution::of(&times(SIMULATOR, phase));
        let real = worlds.iter().filter(|world| **world != SIMULATOR);
        let real: Vec<_> = real.map(|world| Measurements::of(world, times(world, phase), simulated.as_ref())).collect();
        let reached = simulated.is_some() || real.iter().any(|world| !world.times_ms.is_empty());
        let singles =
            |world: &str| of_world(world, seen).map(|run| (run.run.seed, run.reached_ms(key, phase))).collect();
        let times_by_seed_ms = worlds.iter().map(|world| ((*world).to_owned(), singles(world))).collect();
        reached.then_some(PhaseFigures { phase, simulated, real, times_by_seed_ms })
    });
    IncidentFigures {
        key,
        fault: fault.map(|incident| incident.fault.clone()).unwrap_or_default(),
        met,
        phases: phases.collect(),
        orders: orders(worlds, of),
    }
}

/// The orders that are not the simulator's most frequent one, compared by the phases that both have.
fn orders<'a>(worlds: &[&str], of: impl Fn(&str) -> Vec<&'a Incident>) -> Vec<OrderDifference> {
    let counted = |world: &str| {
        let mut counts: BTreeMap<Order, usize> = BTreeMap::new();
        for incident in of(world) {
            *counts.entry(order_of(incident)).or_default() += 1;
        }
        counts
    };
    let simulated = counted(SIMULATOR).into_iter().max_by_key(|(_, runs)| *runs);
    let Some((usual, _)) = simulated else { return Vec::new() };
    let mut differences: Vec<OrderDifference> = Vec::new();
    for world in worlds {
        for (order, runs) in counted(world) {
            let (order, simulated) = (order.shared_with(&usual), usual.shared_with(&order));
            if order == simulated {
                continue;
            }
            match differences.iter_mut().find(|known| known.world == *world && known.order == order) {
                Some(known) => known.runs += runs,
                None => differences.push(OrderDifference { world: (*world).to_owned(), runs, order, simulated }),
            }
        }
    }
    differences
}
