//! Faults of processes and hosts: killed, stopped, started, frozen, without power, with a wrong clock.

use pgdrill_lab::{
    event::{FaultPhase, ProcessState, What},
    faults::done_on,
    scenario::{Action, Process, Shift},
};

use super::{Faults, Kind, Line, Pending, record};
use crate::cluster::Cluster;

impl Faults {
    pub(super) fn on_processes(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, targets: &[String]) {
        match &line.step.action {
            Action::Kill(spec) => self.kill(cluster, line, spec.process, targets),
            Action::Stop(spec) => self.stop(cluster, line, spec.process, targets),
            Action::Start(spec) => {
                if spec.wipe {
                    wipe(cluster, spec.process, targets);
                }
                let started = start(cluster, spec.process, targets);
                self.ledger.forget(&Kind::Down(spec.process, vec![]), &started);
                record(cluster, line, done_on(&started, &format!("{} started", spec.process)), targets);
            }
            Action::Freeze(spec) => self.freeze(cluster, line, spec.process, targets),
            Action::Thaw(spec) => {
                let thawed = thaw(cluster, spec.process, targets);
                self.ledger.forget(&Kind::Frozen(spec.process, vec![]), &thawed);
                record(cluster, line, done_on(&thawed, "running again"), targets);
            }
            other => unreachable!("{} is not about processes", other.keyword()),
        }
    }

    fn kill(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, process: Process, targets: &[String]) {
        let mut killed = vec![];
        for host in targets.iter().filter(|h| cluster.runs(process, h)).cloned().collect::<Vec<_>>() {
            let id = cluster.process(process, &host).expect("it runs");
            cluster.engine.kill(id);
            killed.push(host);
        }
        record(cluster, line, done_on(&killed, &format!("{process} was running and is gone")), targets);
        // A killed PostgreSQL or dead-man is its agent's to start again; everything else stays down until it is started.
        if !killed.is_empty() && !process.is_started_by_its_agent() {
            self.stand(cluster, line, Kind::Down(process, killed), true);
        }
    }

    fn stop(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, process: Process, targets: &[String]) {
        let running: Vec<String> = targets.iter().filter(|h| cluster.runs(process, h)).cloned().collect();
        for host in &running {
            match (process, cluster.nodes.get(host)) {
                (Process::Agent, Some(node)) => node.stop_agent(),
                (Process::Postgres, Some(node)) => node.machine.ask_to_stop(),
                // etcd and HAProxy have nothing to hand over that a kill would lose.
                _ => {
                    let id = cluster.process(process, host).expect("it runs");
                    cluster.engine.kill(id);
                }
            }
        }
        if running.is_empty() {
            return record(cluster, line, done_on(&running, ""), targets);
        }
        self.pending.push(Pending::Gone {
            index: line.index,
            process,
            hosts: running.clone(),
            since: cluster.journal.now(),
        });
        if !process.is_started_by_its_agent() {
            self.stand(cluster, line, Kind::Down(process, running), true);
        }
    }

    fn freeze(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, process: Option<Process>, targets: &[String]) {
        let mut frozen = vec![];
        for host in targets {
            match process {
                None => {
                    let id = cluster.host(host);
                    cluster.engine.freeze_host(id);
                }
                Some(process) if cluster.runs(process, host) => {
                    let id = cluster.process(process, host).expect("it runs");
                    cluster.engine.freeze(id);
                }
                Some(_) => continue,
            }
            note(cluster, host, process, ProcessState::Frozen);
            frozen.push(host.clone());
        }
        let what = process.map_or("the host", Process::name);
        record(cluster, line, done_on(&frozen, &format!("{what} was running and stands still")), targets);
        if !frozen.is_empty() {
            self.stand(cluster, line, Kind::Frozen(process, frozen), true);
        }
    }

    pub(super) fn on_hosts(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, targets: &[String]) {
        match &line.step.action {
            Action::PowerOff(_) => {
                let dark = power_off(cluster, targets);
                record(cluster, line, done_on(&dark, "without power"), targets);
                if !dark.is_empty() {
                    self.stand(cluster, line, Kind::Dark(dark), true);
                }
            }
            Action::PowerOn(_) => {
                let booted = power_on(cluster, targets);
                self.ledger.forget(&Kind::Dark(vec![]), &booted);
                record(cluster, line, done_on(&booted, "booted"), targets);
            }
            Action::ClockStep { by, .. } => step_clocks(cluster, line, *by, targets),
            Action::ClockDrift { rate, .. } => {
                self.stand(cluster, line, Kind::Drift(targets.to_vec(), *rate), false);
                self.run_clocks(cluster, targets);
            }
            other => unreachable!("{} is not about hosts", other.keyword()),
        }
    }

    /// Clocks run as fast as the standing faults say, and right where none stands; what they are off by stays.
    pub(super) fn run_clocks(&self, cluster: &mut Cluster<'_>, hosts: &[String]) -> Vec<String> {
        for host in hosts {
            let factor = self.ledger.clock_rate_of(host).map_or(1.0, |rate| rate.factor);
            let id = cluster.host(host);
            cluster.engine.drift_clock(id, ((factor - 1.0) * 1e6).round() as i64);
        }
        hosts.to_vec()
    }
}

fn note(cluster: &Cluster<'_>, host: &str, process: Option<Process>, state: ProcessState) {
    let process = process.map_or("host", Process::name).to_owned();
    cluster.journal.record(host, What::Process { process, state, detail: String::new() });
}

/// Starts what is down; the hosts where something was.
pub(super) fn start(cluster: &mut Cluster<'_>, process: Process, hosts: &[String]) -> Vec<String> {
    let mut started = vec![];
    for host in hosts {
        let Some(id) = cluster.process(process, host) else { continue };
        let powered = cluster.engine.is_powered(cluster.host(host));
        if powered && !cluster.engine.is_running(id) {
            cluster.engine.start(id);
            started.push(host.clone());
        }
    }
    started
}

fn wipe(cluster: &Cluster<'_>, process: Process, hosts: &[String]) {
    for host in hosts.iter().filter(|h| !cluster.runs(process, h)) {
        // A host may keep the data of both; only that of the process that is started is gone.
        match process {
            Process::Etcd => _ = cluster.etcd.get(host).map(|member| member.disk.wipe()),
            _ => _ = cluster.nodes.get(host).map(|node| node.machine.wipe()),
        }
    }
}

/// Thaws; the hosts where something was frozen.
pub(super) fn thaw(cluster: &mut Cluster<'_>, process: Option<Process>, hosts: &[String]) -> Vec<String> {
    for host in hosts {
        match process {
            None => {
                let id = cluster.host(host);
                cluster.engine.thaw_host(id);
            }
            Some(process) => {
                if let Some(id) = cluster.process(process, host) {
                    cluster.engine.thaw(id);
                }
            }
        }
        note(cluster, host, process, ProcessState::Thawed);
    }
    hosts.to_vec()
}

/// Takes the power away; the hosts that had it.
pub(crate) fn power_off(cluster: &mut Cluster<'_>, hosts: &[String]) -> Vec<String> {
    let mut dark = vec![];
    for host in hosts {
        let id = cluster.host(host);
        if !cluster.engine.is_powered(id) {
            continue;
        }
        cluster.engine.power_off(id);
        if let Some(node) = cluster.nodes.get(host) {
            node.lost_power();
        }
        if let Some(member) = cluster.etcd.get(host) {
            member.disk.power_loss();
        }
        dark.push(host.clone());
    }
    dark
}

/// Boots; the hosts that were dark. Services start; PostgreSQL is its agent's to start.
pub(crate) fn power_on(cluster: &mut Cluster<'_>, hosts: &[String]) -> Vec<String> {
    let mut booted = vec![];
    for host in hosts {
        let id = cluster.host(host);
        if cluster.engine.is_powered(id) {
            continue;
        }
        cluster.engine.power_on(id);
        for process in [Process::Etcd, Process::Agent, Process::Haproxy] {
            start(cluster, process, std::slice::from_ref(host));
        }
        booted.push(host.clone());
    }
    booted
}

fn step_clocks(cluster: &mut Cluster<'_>, line: &Line<'_>, by: Shift, hosts: &[String]) {
    for host in hosts {
        let id = cluster.host(host);
        cluster.engine.step_clock(id, by.nanos);
    }
    let evidence = format!("{}: wall clock {by}", hosts.join(", "));
    record(cluster, line, FaultPhase::Verified { evidence }, hosts);
}
