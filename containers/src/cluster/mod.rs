//! A scenario's cluster in containers: handles to all of it.

mod bring_up;
mod host;
mod image;
mod running;
mod services;

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

pub(crate) use bring_up::{BINARY, Order, addresses};
pub use host::{Host, Kind};
pub(crate) use image::check as check_images;
use pgdrill_lab::{
    event::{ProcessState, Recorder, What},
    scenario::{Process, Scenario},
};
use pgdrill_probe::{Endpoint, Journal, Login, observe::DcsTarget};
pub use running::Running;

use crate::{
    config::Settings,
    docker::{Command, Docker, Output},
    ports,
};

/// Which agent runs the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// pgdrill's own: the world `containers`.
    Pgdrill,
    /// The real Patroni: the world `patroni`.
    Patroni,
}

impl Agent {
    /// The name of its world.
    #[must_use]
    pub const fn world(self) -> &'static str {
        match self {
            Self::Pgdrill => "containers",
            Self::Patroni => "patroni",
        }
    }
}

/// Everything a run works with. Cheap to clone; every clone is the same cluster.
#[derive(Clone)]
pub struct Cluster {
    /// The daemon.
    pub docker: Docker,
    /// What is played.
    pub scenario: Arc<Scenario>,
    /// Who runs PostgreSQL.
    pub agent: Agent,
    /// Every host by its name.
    pub hosts: Arc<BTreeMap<String, Host>>,
    /// What was seen so far, but for the clients' operations: those come when the run is over.
    pub recorder: Recorder,
    /// The same to write to, with the run's clock.
    pub journal: Journal,
    /// Which processes run, as they were last seen.
    pub running: Running,
    pub(crate) settings: Arc<Settings>,
}

impl Cluster {
    /// The host with this name; the name comes from the scenario's own list of hosts.
    #[must_use]
    pub fn host(&self, name: &str) -> &Host {
        self.hosts.get(name).expect("selectors resolve to hosts of the cluster only")
    }

    /// The address of a host.
    #[must_use]
    pub fn address(&self, name: &str) -> String {
        self.host(name).address.to_string()
    }

    /// The host with this address.
    #[must_use]
    pub fn name_of(&self, address: &str) -> Option<String> {
        let address: Ipv4Addr = address.split('/').next()?.parse().ok()?;
        self.hosts.values().find(|h| h.address == address).map(|h| h.name.clone())
    }

    /// Runs a command in a host's container, as root.
    ///
    /// # Errors
    /// When it could not be run at all (the container is paused or stopped); a command that fails is an [`Output`].
    pub async fn exec<S: Into<String>>(&self, host: &str, argv: impl IntoIterator<Item = S>) -> Result<Output, String> {
        self.run(host, &Command::new(argv)).await
    }

    /// Runs a command in a host's container.
    ///
    /// # Errors
    /// As [`Cluster::exec`].
    pub async fn run(&self, host: &str, command: &Command) -> Result<Output, String> {
        command.run(&self.docker, &self.host(host).container).await.map_err(|why| format!("{host}: {why}"))
    }

    /// The main process of this kind on a host, by its id inside the container; `None` when there is none now. What the
    /// watcher saw last, at most a few hundred milliseconds old.
    #[must_use]
    pub fn pid(&self, process: Process, host: &str) -> Option<u32> {
        self.running.pid(host, process)
    }

    /// Whether it runs (frozen processes do).
    #[must_use]
    pub fn runs(&self, process: Process, host: &str) -> bool {
        self.pid(process, host).is_some()
    }

    /// Somebody is about to kill it: its end will be told as a kill and not as an end of its own.
    pub fn about_to_kill(&self, process: Process, host: &str) {
        self.running.about_to_kill(host, process);
    }

    /// It was not killed after all: it had ended already.
    pub fn spared(&self, process: Process, host: &str) {
        self.running.spared(host, process);
    }

    /// Records what a fault did to a process, or to a whole host (`None`).
    pub fn note(&self, host: &str, process: Option<Process>, state: ProcessState) {
        let process = process.map_or("host", Process::name).to_owned();
        self.journal.record(host, What::Process { process, state, detail: String::new() });
    }

    /// How observers, operators and clients log in to PostgreSQL.
    #[must_use]
    pub fn login(&self) -> Login {
        self.settings.login()
    }

    /// PostgreSQL of a node, as the lab reaches it.
    #[must_use]
    pub fn sql_endpoint(&self, node: &str) -> Endpoint {
        self.endpoint(node, ports::POSTGRESQL)
    }

    /// REST API of a node's agent.
    #[must_use]
    pub fn rest_endpoint(&self, node: &str) -> Endpoint {
        self.endpoint(node, ports::REST)
    }

    pub(crate) fn endpoint(&self, host: &str, port: u16) -> Endpoint {
        Endpoint { name: host.to_owned(), host: self.address(host), port }
    }

    /// The scope's keys in etcd.
    #[must_use]
    pub fn dcs(&self) -> DcsTarget {
        let patroni = &self.scenario.cluster.patroni;
        DcsTarget {
            members: self.etcd_hosts().iter().map(|name| self.endpoint(name, ports::ETCD_CLIENT)).collect(),
            prefix: format!("/{}/{}/", patroni.namespace.trim_matches('/'), patroni.scope),
        }
    }

    /// The host of every etcd member, in the order of the members.
    #[must_use]
    pub fn etcd_hosts(&self) -> Vec<String> {
        self.scenario.cluster.etcd_hosts()
    }

    /// The hosts of a kind, in the order of their names.
    #[must_use]
    pub fn names(&self, kind: Kind) -> Vec<String> {
        self.hosts.values().filter(|h| h.kind == kind).map(|h| h.name.clone()).collect()
    }
}
