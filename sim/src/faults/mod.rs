//! Carries out a scenario's timeline: resolves selectors when a line fires, does it, and sees to it that it had an effect.

mod disk;
mod evidence;
mod network;
mod operator;
mod process;

use std::collections::BTreeMap;

use pgdrill_lab::{
    event::{FaultPhase, What},
    faults::{Kind, Ledger, Line, Pending, Standing, healed},
    scenario::{Action, Facts, HealSpec, Process, Route, Step},
    world::{self, Moment},
};
pub(crate) use process::{power_off, power_on};

use crate::cluster::{Cluster, LAB};

/// The faults of a run.
pub(crate) struct Faults {
    ledger: Ledger,
    cuts: Cuts,
    /// Faults whose effect shows later, with the line they belong to.
    pending: Vec<Pending>,
}

/// How often each link is cut: two cuts of one link need two heals.
#[derive(Debug, Default)]
struct Cuts(BTreeMap<Route, u32>);

impl Cuts {
    /// Whether this was the first cut of the link.
    fn add(&mut self, route: &Route) -> bool {
        let count = self.0.entry(route.clone()).or_default();
        *count += 1;
        *count == 1
    }

    /// Whether this was the last.
    fn remove(&mut self, route: &Route) -> bool {
        let Some(count) = self.0.get_mut(route) else { return false };
        *count -= 1;
        let gone = *count == 0;
        if gone {
            self.0.remove(route);
        }
        gone
    }
}

impl Faults {
    /// Nothing is wrong yet.
    pub(crate) fn new(seed: u64) -> Self {
        Self { ledger: Ledger::new(seed), cuts: Cuts::default(), pending: vec![] }
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

    /// Undoes one fault and says so.
    fn undo(&mut self, cluster: &mut Cluster<'_>, fault: &Standing) {
        let hosts = match &fault.kind {
            Kind::Cut(routes) => self.mend(cluster, routes),
            Kind::Delay(routes) | Kind::Loss(routes) | Kind::Bandwidth(routes) => {
                network::restore(cluster, &fault.kind, routes)
            }
            Kind::NoDns(hosts) => network::restore_dns(cluster, hosts),
            Kind::Down(process, hosts) => process::start(cluster, *process, hosts),
            Kind::Dark(hosts) => process::power_on(cluster, hosts),
            Kind::Frozen(process, hosts) => process::thaw(cluster, *process, hosts),
            Kind::Drift(hosts) => process::undrift(cluster, hosts),
            Kind::Full(hosts) => disk::free(cluster, hosts),
            Kind::SlowFsync(hosts) => disk::fast(cluster, hosts),
            Kind::ReplayPaused(hosts) => operator::resume_replay(cluster, hosts),
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
