//! Carries out a scenario's timeline: resolves selectors when a line fires, does it, and sees to it that it had an effect.

mod disk;
mod evidence;
mod ledger;
mod network;
mod operator;
mod process;

use std::collections::BTreeMap;

use ledger::{Cuts, Kind, Standing};
use pgdrill_lab::{
    event::{FaultPhase, What},
    scenario::{Action, Facts, HealSpec, Selector, Step, resolve},
    world::{self, Moment},
};
pub(crate) use process::{power_off, power_on};

use crate::cluster::{Cluster, LAB, draw};

/// The faults of a run.
pub(crate) struct Faults {
    standing: Vec<Standing>,
    labels: BTreeMap<String, Vec<String>>,
    cuts: Cuts,
    /// Faults whose effect shows later, with the line they belong to.
    pending: Vec<evidence::Pending>,
    seed: u64,
    draws: u64,
}

impl Faults {
    /// Nothing is wrong yet.
    pub(crate) fn new(seed: u64) -> Self {
        Self { standing: vec![], labels: BTreeMap::new(), cuts: Cuts::default(), pending: vec![], seed, draws: 0 }
    }

    /// Does what is due at this moment.
    pub(crate) fn carry_out(&mut self, cluster: &mut Cluster<'_>, moment: Moment) {
        let step = &cluster.scenario.timeline[moment.index];
        if moment.begins {
            self.begin(cluster, step, moment);
        } else {
            let index = |s: &Standing| s.index == moment.index && s.repetition == moment.repetition;
            self.end_where(cluster, index);
        }
    }

    fn begin(&mut self, cluster: &mut Cluster<'_>, step: &Step, moment: Moment) {
        let line = Line { index: moment.index, repetition: moment.repetition, step };
        let targets = self.targets(cluster, &step.action);
        if let Some(label) = &step.label {
            self.labels.insert(label.clone(), targets.clone());
        }
        if targets.is_empty() && step.action.target().is_some() {
            let why = "its selector matched no host at that moment".to_owned();
            return record(cluster, &line, FaultPhase::Vacuous { why }, &targets);
        }
        record(cluster, &line, FaultPhase::Applied, &targets);
        match &step.action {
            Action::Cut(_) | Action::Delay(_) | Action::Loss(_) | Action::DnsFail { .. } => {
                self.break_network(cluster, &line, &targets);
            }
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
        let facts = facts(cluster, &self.labels);
        match action.target() {
            Some(selector) => self.resolve(&selector, &facts),
            None => vec![],
        }
    }

    fn resolve(&mut self, selector: &Selector, facts: &Facts) -> Vec<String> {
        let mut pick = self.picker();
        resolve(selector, facts, &mut pick)
    }

    /// Draws from the seed; every use of it draws anew.
    fn picker(&mut self) -> impl FnMut(usize) -> usize {
        self.draws += 1;
        let (seed, purpose) = (self.seed, self.draws << 32);
        move |below| (draw(seed, purpose) % below.max(1) as u64) as usize
    }

    fn heal(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, spec: &HealSpec) {
        let before = self.standing.len();
        match spec {
            HealSpec::Named(all) if all == "all" => self.end_where(cluster, |s| s.kind.is_of_the_network()),
            HealSpec::Named(label) => self.end_where(cluster, |s| s.label.as_ref() == Some(label)),
            HealSpec::Links(link) => {
                let facts = facts(cluster, &self.labels);
                let routes = link.routes(&facts, &mut self.picker());
                self.end_where(cluster, |s| s.kind.routes().iter().any(|r| routes.contains(r)));
            }
        }
        let ended = before - self.standing.len();
        let phase = match ended {
            0 => FaultPhase::Vacuous { why: "there was nothing to heal".to_owned() },
            n => FaultPhase::Verified { evidence: format!("{n} faults of the network ended") },
        };
        record(cluster, line, phase, &[]);
    }

    /// Ends every standing fault that `which` says.
    fn end_where(&mut self, cluster: &mut Cluster<'_>, which: impl Fn(&Standing) -> bool) {
        let (ending, standing) = std::mem::take(&mut self.standing).into_iter().partition(which);
        self.standing = standing;
        let ending: Vec<Standing> = ending;
        for fault in ending {
            evidence::conclude(cluster, &fault);
            self.undo(cluster, &fault);
        }
    }

    /// Undoes one fault and says so.
    fn undo(&mut self, cluster: &mut Cluster<'_>, fault: &Standing) {
        let hosts = match &fault.kind {
            Kind::Cut(routes) => self.mend(cluster, routes),
            Kind::Delay(routes) | Kind::Loss(routes) => network::restore(cluster, &fault.kind, routes),
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
        let label = line.step.label.clone();
        let (index, repetition, since) = (line.index, line.repetition, cluster.engine.now());
        self.standing.push(Standing { index, repetition, kind, label, since, verified, mark });
    }

    /// The machine was reset: nothing of it is down, dark or frozen any more.
    pub(crate) fn machine_was_reset(&mut self, host: &str) {
        self.forget_host(host);
    }

    /// Whether anything is still wrong.
    pub(crate) fn any_standing(&self) -> bool {
        !self.standing.is_empty()
    }

    /// The scenario is over: says of every fault that still stands whether it has had its effect, and of what was asked of
    /// the cluster whether it came about.
    pub(crate) fn conclude(&mut self, cluster: &mut Cluster<'_>) {
        for fault in &self.standing {
            evidence::conclude(cluster, fault);
        }
        for pending in std::mem::take(&mut self.pending) {
            evidence::late(cluster, &pending);
        }
    }

    /// Ends everything, so that the end state of every node can be read. Not part of the run: records nothing that is
    /// judged, because nobody observes any more.
    pub(crate) fn end_all(&mut self, cluster: &mut Cluster<'_>) {
        for fault in std::mem::take(&mut self.standing) {
            self.undo(cluster, &fault);
        }
    }
}

/// A line of the timeline as it is carried out.
pub(super) struct Line<'a> {
    pub(super) index: usize,
    pub(super) repetition: u32,
    pub(super) step: &'a Step,
}

/// Writes a fault's phase into the event stream.
fn record(cluster: &Cluster<'_>, line: &Line<'_>, phase: FaultPhase, targets: &[String]) {
    let text = line.step.action.to_string();
    let what = What::Fault { index: line.index, text, phase, targets: targets.to_vec() };
    cluster.journal.record(LAB, what);
}

/// What is known of the cluster at this moment, from what was observed and from which processes run.
fn facts(cluster: &Cluster<'_>, labels: &BTreeMap<String, Vec<String>>) -> Facts {
    let up = |n: &str| cluster.runs(pgdrill_lab::scenario::Process::Postgres, n);
    world::facts(cluster.scenario, &cluster.recorder, labels, up, etcd_leader(cluster))
}

/// The member that most recently became leader, as the living members see it.
fn etcd_leader(cluster: &Cluster<'_>) -> Option<String> {
    let living = cluster.etcd.iter().filter(|(name, _)| cluster.runs(pgdrill_lab::scenario::Process::Etcd, name));
    let newest = living.max_by_key(|(_, m)| (m.peek.leader() != 0, m.peek.term()))?;
    let leader = newest.1.peek.leader();
    cluster.etcd.keys().nth(usize::try_from(leader).ok()?.checked_sub(1)?).cloned()
}
