//! A simulated PostgreSQL node: one host with an agent, a PostgreSQL that the agent runs, the dead-man process beside the
//! agent, and perhaps a watchdog device.

mod deadman;
mod device;
mod files;
mod machine;
mod settings;
mod voice;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub(crate) use deadman::DeadMen;
pub(crate) use device::Device;
pub(crate) use machine::Machine;
use pgdrill_agent::{Agent, Shutdown};
use pgdrill_lab::{event::What, scenario::Scenario};
use pgdrill_probe::Journal;
use pgdrill_sim_engine::{Engine, HostId, ProcessId, SimNet};
use pgdrill_sim_postgres::Version;
pub(crate) use settings::{Addresses, SUPERUSER, agent_config};
use tokio::time::sleep;

use crate::{
    calibration::Calibration,
    cluster::{Roster, started},
};

/// One node.
pub(crate) struct Node {
    pub(crate) agent: ProcessId,
    pub(crate) machine: Machine,
    pub(crate) device: Device,
    pub(crate) deadmen: DeadMen,
    /// The running agent's shutdown handle.
    shutdown: Arc<Mutex<Shutdown>>,
}

/// What a node is made from.
pub(crate) struct Plan<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) name: &'a str,
    pub(crate) addresses: &'a Addresses,
    pub(crate) calibration: &'a Calibration,
}

impl Node {
    /// Boots the node: its agent starts after `delay`.
    pub(crate) fn start(
        engine: &mut Engine,
        host: HostId,
        plan: &Plan<'_>,
        delay: Duration,
        journal: &Journal,
        roster: &Roster,
    ) -> Self {
        let config = agent_config(plan.scenario, plan.name, plan.addresses);
        let mut timings = plan.calibration.postgresql.clone();
        timings.empty_cluster_bytes = timings.empty_cluster_bytes.max(plan.scenario.cluster.data_size.bytes);
        let major = plan.scenario.cluster.postgresql.number();
        let version = Version::of_major(major).expect("the model knows every version that a scenario can name");
        let machine = Machine::new(plan.name, version, engine.control(host), timings, journal.clone(), roster.clone());
        let device = Device::new(plan.scenario.cluster.has_watchdog_device(plan.name));
        let control = engine.control(host);
        let deadmen = DeadMen::new(plan.name, control, machine.clone(), journal.clone(), roster.clone());
        let shutdown = Arc::new(Mutex::new(Shutdown::new()));
        let first = Arc::new(Mutex::new(Some(delay)));

        let all = (config, machine.clone(), device.clone(), deadmen.clone(), shutdown.clone(), journal.clone());
        let agent = engine.spawn(host, "agent", move || {
            let (config, machine, device, deadmen, shutdown, journal) = all.clone();
            let delay = first.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            async move {
                sleep(delay).await;
                let name = config.name.clone();
                journal.record(&name, started("agent"));
                let token = Shutdown::new();
                *shutdown.lock().unwrap_or_else(PoisonError::into_inner) = token.clone();
                let voice = voice::Voice::new(&name, journal.clone());
                let agent = Agent::new(config, SimNet, machine, device, voice);
                let ended = agent.with_fence(deadmen.for_one_agent()).run(token).await;
                let text = match ended {
                    Ok(()) => "the agent has ended".to_owned(),
                    Err(why) => format!("the agent has ended: {why}"),
                };
                journal.record(&name, What::Note { text });
            }
        });
        roster.enter(agent, plan.name, "agent");
        Self { agent, machine, device, deadmen, shutdown }
    }

    /// SIGTERM to the agent.
    pub(crate) fn stop_agent(&self) {
        self.shutdown.lock().unwrap_or_else(PoisonError::into_inner).request();
    }

    /// The host has lost power: what was not fsync'd is gone, the watchdog is off.
    pub(crate) fn lost_power(&self) {
        self.machine.lost_power();
        self.device.power_off();
    }
}
