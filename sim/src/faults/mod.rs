//! Carries out a scenario's timeline: resolves selectors when a line fires, does it, and sees to it that it had an effect.

mod disk;
mod evidence;
mod network;
mod operator;
mod process;

use std::collections::BTreeMap;

use pgdrill_lab::{
    event::{FaultPhase, What},
    faults::{Kind, Ledger, Line, Pending, Standing, healed, hosts_of},
    scenario::{Action, Facts, HealSpec, Process, Step},
    world::{self, Moment},
};
pub(crate) use process::{power_off, power_on};

use crate::cluster::{Cluster, LAB};

/// The faults of a run.
pub(crate) struct Faults {
    ledger: Ledger,
    /// Faults whose effect shows later, with the line they belong to.
    pending: Vec<Pending>,
}

impl Faults {
    /// Nothing is wrong yet.
    pub(crate) fn new(seed: u64) -> Self {
        Self { ledger: Ledger::new(seed), pending: vec![] }
    }

    /// Does what is due at this moment.
    pub(crate) fn carry_out(&mut self, cluster: &mut Cluster<'_>, moment: Moment) {
        let step = &cluster.scenario.timeline[moment.index];
        if moment.begins {
            self.begin(cluster, step, moment);
        } else {
            let over = self.ledger.take_of(moment.index, moment.repetition);
            self.end(cluster, over);
        }
    }

    fn begin(&mut self, cluster: &mut Cluster<'_>, step: &Step, moment: Moment) {
        let line = Line { index: moment.index, repetition: moment.repetition, step };
        let targets = self.targets(cluster, &step.action);
        self.ledger.bind(step, &targets);
        if targets.is_empty() && step.action.target().is_some() {
            let why = "its selector matched no host at that moment".to_owned();
            return record(cluster, &line, FaultPhase::Vacuous { why }, &targets);
        }
        record(cluster, &line, FaultPhase::Applied, &targets);
        match &step.action {
            Action::Cut(_) | Action::Delay(_) | Action::Loss(_) | Action::Bandwidth(_) => {
                self.break_network(cluster, &line, &targets);
            }
            Action::DnsFail { .. } => self.break_network(cluster, &line, &targets),
            Action::Heal(spec) => self.heal(cluster, &line, spec),
            Action::Kill(_) | Action::Stop(_) | Action::Start(_) | Action::Freeze(_) | Action::Thaw(_) => {
                self.on_processes(cluster, &line, &targets);
            }
            Action::PowerOff(_) | Action::PowerOn(_) | Action::ClockStep { .. } | Action::ClockDrift { .. } => {
                self.on_hosts(cluster, &line, &targets);
            }
            Action::DiskFull { .. } | Action::DiskFree { .. } | Action::SlowFsync { .. } => {
                self.on_disks(cluster, &line, &targets);
            }
            _ => self.operate(cluster, &line, &targets),
        }
    }

    /// The hosts that the action's selector means now.
    fn targets(&mut self, cluster: &Cluster<'_>, action: &Action) -> Vec<String> {
        let facts = self.facts(cluster);
        self.ledger.targets(action, &facts)
    }

    fn facts(&self, cluster: &Cluster<'_>) -> Facts {
        facts(cluster, self.ledger.labels())
    }

    fn heal(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, spec: &HealSpec) {
        let facts = self.facts(cluster);
        let ending = self.ledger.take_healed(spec, &facts);
        let ended = ending.len();
        self.end(cluster, ending);
        record(cluster, line, healed(ended), &[]);
    }

    /// Ends faults: says whether they had their effect, and undoes them.
    fn end(&mut self, cluster: &mut Cluster<'_>, ending: Vec<Standing>) {
        for fault in ending {
            evidence::conclude(cluster, &fault);
            self.undo(cluster, &fault);
        }
    }

    /// Undoes one fault, which is out of the ledger already, and says so. What another one keeps up stays as that has it.
    fn undo(&mut self, cluster: &mut Cluster<'_>, fault: &Standing) {
        let freed = self.ledger.freed(&fault.kind);
        let hosts = match &fault.kind {
            Kind::Cut(routes) | Kind::Delay(routes, _) | Kind::Loss(routes, _) | Kind::Bandwidth(routes, _) => {
                self.shape(cluster, routes);
                hosts_of(routes)
            }
            Kind::NoDns(_) => network::restore_dns(cluster, &freed),
            Kind::Down(process, _) => process::start(cluster, *process, &freed),
            Kind::Dark(_) => process::power_on(cluster, &freed),
            Kind::Frozen(process, _) => process::thaw(cluster, *process, &freed),
            Kind::Drift(hosts, _) => self.run_clocks(cluster, hosts),
            Kind::Full(_) => disk::free(cluster, &freed),
            Kind::SlowFsync(hosts, _) => self.set_fsync_delays(cluster, hosts),
            Kind::ReplayPaused(_) => operator::resume_replay(cluster, &freed),
            Kind::Paused if self.ledger.is_paused() => vec![],
            Kind::Paused => operator::resume(cluster),
        };
        let step = &cluster.scenario.timeline[fault.index];
        let line = Line { index: fault.index, repetition: fault.repetition, step };
        record(cluster, &line, FaultPhase::Ended, &hosts);
    }

    /// Remembers a fault that lasts.
    fn stand(&mut self, cluster: &Cluster<'_>, line: &Line<'_>, kind: Kind, verified: bool) {
        let mark = evidence::mark(cluster, &kind);
        self.ledger.stand(line, kind, cluster.journal.now(), mark, verified);
    }

    /// The machine was reset: nothing of it is down, dark or frozen any more.
    pub(crate) fn machine_was_reset(&mut self, host: &str) {
        self.ledger.forget_host(host);
    }

    /// Whether anything is still wrong.
    pub(crate) fn any_standing(&self) -> bool {
        !self.ledger.standing().is_empty()
    }

    /// The scenario is over: says of every fault that still stands whether it has had its effect, and of what was asked of
    /// the cluster whether it came about.
    pub(crate) fn conclude(&mut self, cluster: &mut Cluster<'_>) {
        for fault in self.ledger.standing() {
            evidence::conclude(cluster, fault);
        }
        for pending in std::mem::take(&mut self.pending) {
            evidence::late(cluster, &pending);
        }
    }

    /// Ends everything, so that the end state of every node can be read. Not part of the run: records nothing that is
    /// judged, because nobody observes any more.
    pub(crate) fn end_all(&mut self, cluster: &mut Cluster<'_>) {
        for fault in self.ledger.take_where(|_| true) {
            self.undo(cluster, &fault);
        }
    }
}

/// Writes a fault's phase into the event stream.
fn record(cluster: &Cluster<'_>, line: &Line<'_>, phase: FaultPhase, targets: &[String]) {
    let text = line.step.action.to_string();
    let what = What::Fault { index: line.index, text, phase, targets: targets.to_vec() };
    cluster.journal.record(LAB, what);
}

/// What is known of the cluster at this moment, from what was observed and from which processes run.
fn facts(cluster: &Cluster<'_>, labels: &BTreeMap<String, Vec<String>>) -> Facts {
    let up = |node: &str| cluster.runs(Process::Postgres, node);
    world::facts(cluster.scenario, &cluster.recorder, labels, up, etcd_leader(cluster))
}

/// The member that most recently became leader, as the living members see it.
fn etcd_leader(cluster: &Cluster<'_>) -> Option<String> {
    let living = cluster.etcd.iter().filter(|(name, _)| cluster.runs(Process::Etcd, name));
    let newest = living.max_by_key(|(_, m)| (m.peek.leader() != 0, m.peek.term()))?;
    let leader = newest.1.peek.leader();
    // The number that a member goes by is its place in the scenario's list; the map's order of names is another from ten on.
    cluster.scenario.cluster.etcd_hosts().into_iter().nth(usize::try_from(leader).ok()?.checked_sub(1)?)
}
