//! Carries out a scenario's timeline on real containers: each fault by a mechanism, each with evidence that it happened, each
//! undone.
//!
//! | look in | for |
//! |---|---|
//! | `network` | cuts, loss, delay, bandwidth, unanswered DNS: the packet filter of the containers |
//! | `process`, `power` | signals to processes; containers paused, killed, started |
//! | `steering` | wall clock and fsync, through the shim |
//! | `disk` | a full disk |
//! | `operator` | what an operator asks for |
//! | `unsupported` | what cannot be done here, and why |

mod act;
mod acts;
pub mod disk;
mod ends;
pub mod machine;
pub mod network;
mod operator;
pub mod power;
pub mod process;
pub mod steering;
mod unsupported;

use std::collections::BTreeMap;

use act::Act;
use machine::{Machine, Trouble};
use network::{FaultId, Network};
use pgdrill_lab::{
    event::{FaultPhase, What},
    faults::{Kind, Ledger, Line, Pending},
    scenario::{Action, Facts, Route, Scenario},
    world::{LAB, Moment},
};
pub use unsupported::{cannot, wants_shim};

use crate::cluster::{Cluster, Kind as HostKind};

/// Below this a link is as it is: containers of one machine are as near to each other as hosts of one data centre.
const NATURAL: std::time::Duration = std::time::Duration::from_millis(1);

/// The faults of a run.
pub struct Faults {
    ledger: Ledger,
    network: Network,
    machines: BTreeMap<String, Machine>,
    /// The faults of the network by line and repetition.
    on_network: BTreeMap<(usize, u32), FaultId>,
    /// Faults whose effect shows later.
    pending: Vec<Pending>,
}

impl Faults {
    /// Nothing is wrong yet.
    #[must_use]
    pub fn new(cluster: &Cluster, seed: u64) -> Self {
        let machines: BTreeMap<String, Machine> =
            cluster.hosts.values().map(|host| (host.name.clone(), Machine::of(&cluster.docker, host))).collect();
        Self {
            ledger: Ledger::new(seed),
            network: Network::new(machines.values().cloned()),
            machines,
            on_network: BTreeMap::new(),
            pending: vec![],
        }
    }

    /// Makes the network as long as the scenario says, where that is longer than it is by itself. Before services are
    /// started.
    ///
    /// # Errors
    /// When a host cannot do it.
    pub async fn lengthen(&mut self, scenario: &Scenario) -> Result<(), String> {
        let mut latency = BTreeMap::new();
        for from in self.machines.keys() {
            for to in self.machines.keys().filter(|to| *to != from) {
                let wanted = scenario.cluster.latency_between(from, to);
                if wanted.max.0 > NATURAL {
                    let route = Route { from: from.clone(), to: to.clone() };
                    latency.insert(route, (wanted.min.0, wanted.max.0 - wanted.min.0));
                }
            }
        }
        self.network.lengthen(latency).await.map_err(|e| e.to_string())
    }

    /// Does what is due at this moment.
    ///
    /// # Errors
    /// When the lab could not do, undo or prove it: the run says nothing about the cluster.
    pub async fn carry_out(&mut self, cluster: &Cluster, moment: Moment) -> Result<(), String> {
        let step = &cluster.scenario.timeline[moment.index];
        let done = if moment.begins {
            let line = Line { index: moment.index, repetition: moment.repetition, step };
            self.begin(cluster, &line).await
        } else {
            let over = self.ledger.take_of(moment.index, moment.repetition);
            self.end(cluster, over).await
        };
        done.map_err(|trouble| format!("{}: {trouble}", step.action))
    }

    async fn begin(&mut self, cluster: &Cluster, line: &Line<'_>) -> Result<(), Trouble> {
        let facts = self.facts(cluster).await;
        let targets = self.ledger.targets(&line.step.action, &facts);
        self.ledger.bind(line.step, &targets);
        let act = Act { cluster, line, targets: &targets };
        if targets.is_empty() && line.step.action.target().is_some() {
            act.vacuous("its selector matched no host at that moment");
            return Ok(());
        }
        act.record(FaultPhase::Applied);
        match &line.step.action {
            Action::Cut(_) | Action::Delay(_) | Action::Loss(_) | Action::Bandwidth(_) | Action::DnsFail { .. } => {
                self.break_network(act, &facts).await
            }
            Action::Heal(spec) => self.heal(cluster, line, spec, &facts).await,
            Action::Kill(_) | Action::Stop(_) | Action::Start(_) | Action::Freeze(_) | Action::Thaw(_) => {
                self.on_processes(act).await
            }
            Action::PowerOff(_) | Action::PowerOn(_) => self.on_power(act).await,
            Action::ClockStep { .. } | Action::ClockDrift { .. } | Action::SlowFsync { .. } => self.on_shim(act).await,
            Action::DiskFull { .. } | Action::DiskFree { .. } => self.on_disks(act).await,
            _ => {
                self.operate(cluster, line, &targets, &facts);
                Ok(())
            }
        }
    }

    async fn facts(&self, cluster: &Cluster) -> Facts {
        cluster.facts(self.ledger.labels()).await
    }

    /// A machine is reset by its watchdog: nothing of it is down, dark or frozen any more, and it will [boot](Self::boot).
    /// Whether it ran at all.
    ///
    /// # Errors
    /// When its container cannot be stopped.
    pub async fn reset(&mut self, cluster: &Cluster, host: &str) -> Result<bool, String> {
        let ran = self.power_off(cluster, host).await.map_err(|e| e.to_string())?;
        self.ledger.forget_host(host);
        Ok(ran)
    }

    /// A machine that was reset has booted, unless a line of the timeline was faster.
    ///
    /// # Errors
    /// When its container cannot be started.
    pub async fn boot(&mut self, cluster: &Cluster, host: &str) -> Result<(), String> {
        self.power_on(cluster, &[host.to_owned()]).await.map(drop).map_err(|e| e.to_string())
    }

    /// Whether anything is still wrong.
    #[must_use]
    pub fn any_standing(&self) -> bool {
        !self.ledger.standing().is_empty()
    }

    /// The scenario is over: says of every fault that still stands whether it has had its effect, and of what was asked of
    /// the cluster whether it came about.
    ///
    /// # Errors
    /// When a host does not say.
    pub async fn conclude(&mut self, cluster: &Cluster) -> Result<(), String> {
        for fault in self.ledger.standing() {
            self.effect_of(cluster, fault).await.map_err(|e| e.to_string())?;
        }
        for pending in std::mem::take(&mut self.pending) {
            if let Some((index, phase)) = pending.late(&cluster.recorder) {
                let step = &cluster.scenario.timeline[index];
                record(cluster, &Line { index, repetition: 0, step }, phase, &[]);
            }
        }
        Ok(())
    }

    /// Ends everything, so that the end state of every node can be read. Not part of the run: nobody observes any more.
    ///
    /// # Errors
    /// When something could not be undone.
    pub async fn end_all(&mut self, cluster: &Cluster) -> Result<(), String> {
        for fault in self.ledger.take_where(|_| true) {
            self.undo(cluster, &fault).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn machine(&self, host: &str) -> &Machine {
        self.machines.get(host).expect("selectors resolve to hosts of the cluster only")
    }

    fn stand(&mut self, cluster: &Cluster, line: &Line<'_>, kind: Kind, mark: u64, verified: bool) {
        self.ledger.stand(line, kind, cluster.journal.now(), mark, verified);
    }
}

/// Writes a fault's phase into the event stream.
fn record(cluster: &Cluster, line: &Line<'_>, phase: FaultPhase, targets: &[String]) {
    let text = line.step.action.to_string();
    let what = What::Fault { index: line.index, text, phase, targets: targets.to_vec() };
    cluster.journal.record(LAB, what);
}
