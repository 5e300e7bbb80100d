//! The simulated cluster: hosts, what runs on them, and handles to all of it.

mod build;
mod clients;
mod observers;
mod remote;
mod roster;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

pub(crate) use build::{build, started};
pub(crate) use pgdrill_lab::world::{HAPROXY, LAB, draw};
use pgdrill_lab::{
    event::{At, Recorder},
    scenario::{Process, Scenario},
};
use pgdrill_probe::{Endpoint, Journal, Login, observe::DcsTarget, workload::Shared};
use pgdrill_sim_engine::{Engine, HostId, ProcessId};
pub(crate) use roster::Roster;

use crate::{
    node::{Addresses, Node, SUPERUSER},
    ports,
};

/// Everything a run works with.
pub(crate) struct Cluster<'a> {
    pub(crate) engine: &'a mut Engine,
    pub(crate) scenario: &'a Scenario,
    pub(crate) hosts: BTreeMap<String, HostId>,
    pub(crate) addresses: Addresses,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) etcd: BTreeMap<String, Member>,
    pub(crate) haproxy: Option<ProcessId>,
    pub(crate) observers: Vec<ProcessId>,
    pub(crate) recorder: Recorder,
    pub(crate) journal: Journal,
    pub(crate) workload: Shared,
    /// Which servers HAProxy takes for up.
    pub(crate) routed: Arc<Mutex<BTreeMap<String, bool>>>,
    zero: Arc<AtomicU64>,
}

/// An etcd member.
pub(crate) struct Member {
    pub(crate) process: ProcessId,
    pub(crate) disk: pgdrill_sim_etcd::Disk,
    pub(crate) peek: pgdrill_sim_etcd::Peek,
}

impl Cluster<'_> {
    /// The host with this name; the name comes from the scenario's own list of hosts.
    pub(crate) fn host(&self, name: &str) -> HostId {
        *self.hosts.get(name).expect("selectors resolve to hosts of the cluster only")
    }

    /// The process of this kind on a host, if that host has one.
    pub(crate) fn process(&self, process: Process, host: &str) -> Option<ProcessId> {
        match process {
            Process::Agent => self.nodes.get(host).map(|n| n.agent),
            Process::Deadman => self.nodes.get(host).and_then(|n| n.deadmen.process()),
            Process::Postgres => self.nodes.get(host).and_then(|n| n.machine.process()),
            Process::Etcd => self.etcd.get(host).map(|m| m.process),
            Process::Haproxy => self.haproxy.filter(|_| host == HAPROXY),
        }
    }

    /// Whether it runs (frozen processes do).
    pub(crate) fn runs(&self, process: Process, host: &str) -> bool {
        self.process(process, host).is_some_and(|p| self.engine.is_running(p))
    }

    /// Time zero is now: the scenario begins.
    pub(crate) fn begin(&self) {
        let now = u64::try_from(self.engine.now().as_nanos()).unwrap_or(u64::MAX);
        self.zero.store(now, std::sync::atomic::Ordering::Relaxed);
    }

    /// A moment of the scenario in the engine's time.
    pub(crate) fn at(&self, moment: Duration) -> Duration {
        Duration::from_nanos(self.zero.load(std::sync::atomic::Ordering::Relaxed)) + moment
    }

    /// How observers and clients log in.
    pub(crate) fn login(&self) -> Login {
        login()
    }

    /// PostgreSQL of a node, as the lab reaches it.
    pub(crate) fn sql_endpoint(&self, node: &str) -> Endpoint {
        Endpoint { name: node.to_owned(), host: self.addresses.of(node), port: ports::POSTGRESQL }
    }

    /// REST API of a node's agent.
    pub(crate) fn rest_endpoint(&self, node: &str) -> Endpoint {
        Endpoint { name: node.to_owned(), host: self.addresses.of(node), port: ports::REST }
    }

    /// The scope's keys in etcd.
    pub(crate) fn dcs(&self) -> DcsTarget {
        let patroni = &self.scenario.cluster.patroni;
        let member =
            |name: &String| Endpoint { name: name.clone(), host: self.addresses.of(name), port: ports::ETCD_CLIENT };
        DcsTarget {
            members: self.etcd.keys().map(member).collect(),
            prefix: format!("/{}/{}/", patroni.namespace.trim_matches('/'), patroni.scope),
        }
    }

    /// The servers that HAProxy routes to at present.
    pub(crate) fn routed(&self) -> Vec<String> {
        let routed = self.routed.lock().unwrap_or_else(PoisonError::into_inner);
        routed.iter().filter(|(_, up)| **up).map(|(name, _)| name.clone()).collect()
    }
}

fn login() -> Login {
    Login { user: SUPERUSER.into(), password: Some("simulated".into()), dbname: "postgres".into() }
}

/// True time since time zero; before it everything happens at zero.
fn clock(zero: &Arc<AtomicU64>) -> impl Fn() -> At + Send + Sync + 'static {
    let zero = zero.clone();
    move || {
        let now = u64::try_from(pgdrill_sim_engine::now().as_nanos()).unwrap_or(u64::MAX);
        At(now.saturating_sub(zero.load(std::sync::atomic::Ordering::Relaxed)))
    }
}
