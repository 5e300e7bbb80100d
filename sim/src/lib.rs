//! The simulated world: pgdrill's agents, etcd, PostgreSQL, HAProxy and clients on simulated hosts, in simulated time.
//!
//! | folder | what it holds |
//! |---|---|
//! | `engine` (crate) | time, hosts, processes, links, sockets |
//! | `etcd`, `postgres` (crates) | the servers' models |
//! | `haproxy` | the router's model |
//! | `node` | one PostgreSQL node: agent, PostgreSQL, watchdog device |
//! | `cluster` | all hosts, clients and observers of a scenario |
//! | `acts` | what a scenario asks for, done to all that, with evidence |
//! | `play` | a run from boot to the reading of the end state |
//!
//! ```
//! use pgdrill_lab::{scenario, world::World};
//! use pgdrill_sim::SimWorld;
//!
//! let text = "name: doc\nabout: Nothing happens.\nduration: 10s\n";
//! let scenario = scenario::load_text("doc.yaml".as_ref(), text).expect("it is a scenario").scenario;
//! let run = SimWorld.play(&scenario, 7).expect("it can be played");
//! assert_eq!(run.trace_hash, SimWorld.play(&scenario, 7).expect("again").trace_hash);
//! ```

mod acts;
mod calibration;
mod cluster;
mod haproxy;
mod node;
mod play;
mod ports;
#[cfg(test)]
mod tests;

use pgdrill_lab::{
    scenario::Scenario,
    world::{PlayError, REMOTE, Recording, World},
};

pub use calibration::{Calibration, CalibrationError};

/// The simulator, with the durations of the calibration file that comes with pgdrill.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimWorld;

/// The simulator with durations measured elsewhere.
#[derive(Clone, Debug)]
pub struct CalibratedSim(pub Calibration);

impl World for CalibratedSim {
    fn name(&self) -> &'static str {
        SimWorld.name()
    }

    fn cannot(&self, scenario: &Scenario) -> Vec<String> {
        SimWorld.cannot(scenario)
    }

    fn play(&self, scenario: &Scenario, seed: u64) -> Result<Recording, PlayError> {
        pgdrill_sim_engine::run_isolated(seed, |engine| play::play(engine, scenario, seed, &self.0))
    }
}

impl World for SimWorld {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn cannot(&self, scenario: &Scenario) -> Vec<String> {
        let patroni = &scenario.cluster.patroni;
        let mut cannot = vec![];
        if let Some(section) = &patroni.standby_cluster {
            if section.get("host").and_then(|host| host.as_str()) != Some(REMOTE) || section.contains_key("port") {
                cannot.push(format!(
                    "standby_cluster: the simulator has one remote primary, with `host: {REMOTE}` and no `port`"
                ));
            }
            if scenario.workload.clients() > 0 {
                cannot.push(
                    "standby_cluster: no member takes writes, so there is no workload: `writers: 0, readers: 0`"
                        .to_owned(),
                );
            }
        }
        if !patroni.slots.is_empty() {
            cannot.push(
                "slots: the simulated PostgreSQL has no logical decoding, and permanent slots are not kept".to_owned(),
            );
        }
        cannot
    }

    fn play(&self, scenario: &Scenario, seed: u64) -> Result<Recording, PlayError> {
        pgdrill_sim_engine::run_isolated(seed, |engine| play::play(engine, scenario, seed, &Calibration::shipped()))
    }
}
