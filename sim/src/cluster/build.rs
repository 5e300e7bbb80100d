//! From a scenario to hosts, links and processes.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use pgdrill_lab::{
    event::{ProcessState, Recorder, What},
    scenario::Scenario,
    world::{HAPROXY_SETTINGS, REMOTE},
};
use pgdrill_probe::{Journal, workload::Shared};
use pgdrill_sim_engine::{Engine, HostId, Latency, ProcessId, SimNet, entropy};
use pgdrill_sim_etcd::{Disk, MemberConfig, Peek, Peer};

use super::{Cluster, HAPROXY, LAB, Member, Roster, clients, clock, draw, observers, remote};
use crate::{
    calibration::Calibration,
    haproxy,
    node::{Addresses, Node, Plan},
    ports,
};

/// Builds everything and starts it; nothing has run yet.
pub(crate) fn build<'a>(
    engine: &'a mut Engine,
    scenario: &'a Scenario,
    seed: u64,
    calibration: &Calibration,
) -> Cluster<'a> {
    let zero = Arc::new(AtomicU64::new(0));
    let recorder = Recorder::new();
    let journal = Journal::new(recorder.clone(), clock(&zero));
    let hosts = add_hosts(engine, scenario);
    let addresses = Addresses::new(hosts.iter().map(|(name, id)| (name.clone(), engine.ip(*id).to_string())));
    set_latencies(engine, scenario, &hosts);
    let roster = Roster::default();
    roster.record_exits(engine, &journal);

    let etcd = start_etcd(engine, scenario, &hosts, &addresses, &journal);
    for (name, member) in &etcd {
        roster.enter(member.process, name, "etcd");
    }
    if let Some(host) = hosts.get(REMOTE) {
        remote::start(engine, *host, scenario, calibration, &journal, &roster);
    }
    let mut nodes = BTreeMap::new();
    for (i, name) in scenario.cluster.node_names().into_iter().enumerate() {
        let plan = Plan { scenario, name: &name, addresses: &addresses, calibration };
        // Machines do not boot in the same instant; the seed decides who is first.
        let delay = Duration::from_millis(draw(seed, i as u64) % 3_000);
        nodes.insert(name.clone(), Node::start(engine, hosts[&name], &plan, delay, &journal, &roster));
    }
    let routed = Arc::new(Mutex::new(BTreeMap::new()));
    let haproxy = start_haproxy(engine, scenario, &hosts, &addresses, &journal, &routed);
    if let Some(process) = haproxy {
        roster.enter(process, HAPROXY, "haproxy");
    }
    let workload = Shared::new(journal.clone());
    let mut cluster = Cluster {
        engine,
        scenario,
        hosts,
        addresses,
        nodes,
        etcd,
        haproxy,
        observers: vec![],
        recorder,
        journal,
        workload,
        routed,
        zero,
    };
    observers::start(&mut cluster);
    cluster
}

impl Cluster<'_> {
    /// Starts the clients: from now on there is a workload.
    pub(crate) fn start_clients(&mut self) {
        clients::start(self);
    }
}

fn add_hosts(engine: &mut Engine, scenario: &Scenario) -> BTreeMap<String, HostId> {
    let cluster = &scenario.cluster;
    let remote = cluster.patroni.standby_cluster.is_some().then(|| REMOTE.to_owned());
    let clients = (1..=scenario.workload.clients()).map(|n| format!("client{n}"));
    let names = cluster.hosts().into_iter().chain(remote).chain(clients).chain([LAB.to_owned()]);
    names.map(|name| (name.clone(), engine.add_host(&name))).collect()
}

fn set_latencies(engine: &mut Engine, scenario: &Scenario, hosts: &BTreeMap<String, HostId>) {
    let of = |l: pgdrill_lab::scenario::Latency| Latency { min: l.min.0, max: l.max.0 };
    engine.set_default_latency(of(scenario.cluster.network.latency));
    if scenario.cluster.network.between_zones.is_none() {
        return;
    }
    for (a, from) in hosts {
        for (b, to) in hosts.iter().filter(|(b, _)| *b != a) {
            engine.set_latency(*from, *to, of(scenario.cluster.latency_between(a, b)));
        }
    }
}

fn start_etcd(
    engine: &mut Engine,
    scenario: &Scenario,
    hosts: &BTreeMap<String, HostId>,
    addresses: &Addresses,
    journal: &Journal,
) -> BTreeMap<String, Member> {
    let names = scenario.cluster.etcd_hosts();
    let peers: Vec<Peer> = (1..)
        .zip(&names)
        .map(|(id, name)| Peer {
            id,
            name: name.clone(),
            host: addresses.of(name),
            port: ports::ETCD_PEER,
            client_port: ports::ETCD_CLIENT,
        })
        .collect();
    let start = |(id, name): (u64, &String)| {
        let (host, disk, peek) = (hosts[name], Disk::new(), Peek::new());
        let main = (MemberConfig::new(id, peers.clone()), disk.clone(), peek.clone(), journal.clone());
        let process = engine.spawn(host, "etcd", move || {
            let (mut config, disk, peek, journal) = main.clone();
            async move {
                config.seed = entropy();
                journal.record(&config.name, started("etcd"));
                // It serves until it is killed; anything else ends the process, which is an event.
                let ended = pgdrill_sim_etcd::serve(config, disk, peek, SimNet).await;
                let Err(why) = ended;
                panic!("{why}");
            }
        });
        (name.clone(), Member { process, disk, peek })
    };
    (1..).zip(&names).map(start).collect()
}

fn start_haproxy(
    engine: &mut Engine,
    scenario: &Scenario,
    hosts: &BTreeMap<String, HostId>,
    addresses: &Addresses,
    journal: &Journal,
    routed: &Arc<Mutex<BTreeMap<String, bool>>>,
) -> Option<ProcessId> {
    let host = *hosts.get(HAPROXY)?;
    let servers: Vec<haproxy::Server> = scenario
        .cluster
        .node_names()
        .into_iter()
        .map(|name| haproxy::Server {
            host: addresses.of(&name),
            name,
            port: ports::POSTGRESQL,
            check_port: ports::REST,
        })
        .collect();
    let (journal, routed) = (journal.clone(), routed.clone());
    Some(engine.spawn(host, "haproxy", move || {
        let (servers, journal, routed) = (servers.clone(), journal.clone(), routed.clone());
        async move {
            let changed = move |server: &str, up: bool| {
                routed.lock().unwrap_or_else(PoisonError::into_inner).insert(server.to_owned(), up);
                let text = format!("{server} is {}", if up { "up" } else { "down" });
                journal.record(HAPROXY, What::Note { text });
            };
            let ended = haproxy::serve(SimNet, ports::PRIMARY, servers, HAPROXY_SETTINGS, changed).await;
            if let Err(why) = ended {
                panic!("{why}");
            }
        }
    }))
}

/// A process begins to run.
pub(crate) fn started(process: &str) -> What {
    What::Process { process: process.to_owned(), state: ProcessState::Started, detail: String::new() }
}
