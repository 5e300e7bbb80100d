//! Processes and hosts: killed, stopped, started, frozen, without power, with a wrong clock.

use pgdrill_lab::{
    event::{ProcessState, What},
    player::Evidence,
    scenario::{ClockRate, Process, Shift},
};

use crate::cluster::Cluster;

pub(super) fn kill(cluster: &mut Cluster<'_>, process: Process, mut hosts: Vec<String>) -> Evidence {
    hosts.retain(|host| cluster.runs(process, host));
    for host in &hosts {
        kill_one(cluster, process, host);
    }
    Evidence::on(hosts)
}

fn kill_one(cluster: &mut Cluster<'_>, process: Process, host: &str) {
    let id = cluster.process(process, host).expect("it runs");
    cluster.engine.kill(id);
}

pub(super) fn stop(cluster: &mut Cluster<'_>, process: Process, mut hosts: Vec<String>) -> Evidence {
    hosts.retain(|host| cluster.runs(process, host));
    for host in &hosts {
        match (process, cluster.nodes.get(host)) {
            (Process::Agent, Some(node)) => node.stop_agent(),
            (Process::Postgres, Some(node)) => node.machine.ask_to_stop(),
            // etcd and HAProxy have nothing to hand over that a kill would lose.
            _ => kill_one(cluster, process, host),
        }
    }
    Evidence::on(hosts)
}

pub(super) fn start_on(cluster: &mut Cluster<'_>, process: Process, hosts: Vec<String>, wipe: bool) -> Evidence {
    if wipe {
        self::wipe(cluster, process, &hosts);
    }
    Evidence::on(start(cluster, process, &hosts))
}

/// Starts what is down; the hosts where something was.
fn start(cluster: &mut Cluster<'_>, process: Process, hosts: &[String]) -> Vec<String> {
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

pub(super) fn freeze(cluster: &mut Cluster<'_>, process: Option<Process>, mut hosts: Vec<String>) -> Evidence {
    hosts.retain(|host| process.is_none_or(|process| cluster.runs(process, host)));
    for host in &hosts {
        match process {
            None => {
                let id = cluster.host(host);
                cluster.engine.freeze_host(id);
            }
            Some(process) => {
                let id = cluster.process(process, host).expect("it runs");
                cluster.engine.freeze(id);
            }
        }
        note(cluster, host, process, ProcessState::Frozen);
    }
    Evidence::on(hosts)
}

/// Lets go on what is frozen.
pub(super) fn thaw(cluster: &mut Cluster<'_>, process: Option<Process>, mut hosts: Vec<String>) -> Evidence {
    hosts.retain(|host| match process {
        None => {
            let id = cluster.host(host);
            cluster.engine.thaw_host(id)
        }
        Some(process) => cluster.process(process, host).is_some_and(|id| cluster.engine.thaw(id)),
    });
    for host in &hosts {
        note(cluster, host, process, ProcessState::Thawed);
    }
    Evidence::on(hosts)
}

fn note(cluster: &Cluster<'_>, host: &str, process: Option<Process>, state: ProcessState) {
    let process = process.map_or("host", Process::name).to_owned();
    cluster.journal.record(host, What::Process { process, state, detail: String::new() });
}

/// Takes the power away, where there is some.
pub(super) fn power_off(cluster: &mut Cluster<'_>, mut hosts: Vec<String>) -> Evidence {
    hosts.retain(|host| cluster.engine.is_powered(cluster.host(host)));
    for host in &hosts {
        let id = cluster.host(host);
        cluster.engine.power_off(id);
        if let Some(node) = cluster.nodes.get(host) {
            node.lost_power();
        }
        if let Some(member) = cluster.etcd.get(host) {
            member.disk.power_loss();
        }
    }
    Evidence::on(hosts)
}

/// Boots hosts that are dark. Services start; PostgreSQL is its agent's to start.
pub(super) fn power_on(cluster: &mut Cluster<'_>, mut hosts: Vec<String>) -> Evidence {
    hosts.retain(|host| !cluster.engine.is_powered(cluster.host(host)));
    for host in &hosts {
        let id = cluster.host(host);
        cluster.engine.power_on(id);
        for process in [Process::Etcd, Process::Agent, Process::Haproxy] {
            start(cluster, process, std::slice::from_ref(host));
        }
    }
    Evidence::on(hosts)
}

pub(super) fn step_clocks(cluster: &mut Cluster<'_>, hosts: Vec<String>, by: Shift) -> Evidence {
    for host in &hosts {
        let id = cluster.host(host);
        cluster.engine.step_clock(id, by.nanos);
    }
    Evidence::on(hosts)
}

pub(super) fn run_clocks(cluster: &mut Cluster<'_>, clocks: &[(String, ClockRate)]) {
    for (host, rate) in clocks {
        let id = cluster.host(host);
        cluster.engine.drift_clock(id, ((rate.factor - 1.0) * 1e6).round() as i64);
    }
}
