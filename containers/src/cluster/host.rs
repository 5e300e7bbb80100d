//! A host of the scenario, as a container.

use std::net::Ipv4Addr;

use pgdrill_lab::scenario::Process;

use crate::{
    docker::{Docker, Mounted},
    machine::Machine,
};

/// What a host is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// PostgreSQL and its agent: `pg1`.
    Node,
    /// An etcd member: `etcd1`.
    Etcd,
    /// The router: `haproxy`.
    Haproxy,
    /// A client of the workload: `client1`. All clients live in one container, each with an address of its own on the
    /// container's interface; what is done to one client is done by its address.
    Client,
}

impl Kind {
    /// The services of such a host, in the order in which a machine starts them. PostgreSQL is its agent's to start.
    #[must_use]
    pub const fn services(self) -> &'static [Process] {
        match self {
            Self::Node => &[Process::Agent],
            Self::Etcd => &[Process::Etcd],
            Self::Haproxy => &[Process::Haproxy],
            Self::Client => &[],
        }
    }

    /// Where such a host's data is mounted: a volume in memory of limited size that outlives a restart of the container.
    #[must_use]
    pub const fn data(self) -> Option<&'static str> {
        match self {
            Self::Node => Some("/var/lib/postgresql/data"),
            Self::Etcd => Some("/var/lib/etcd"),
            Self::Haproxy | Self::Client => None,
        }
    }

    /// Every process of it that is looked at.
    #[must_use]
    pub const fn processes(self) -> &'static [Process] {
        match self {
            Self::Node => &[Process::Agent, Process::Deadman, Process::Postgres],
            other => other.services(),
        }
    }
}

/// A host: where it is and in which container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name in the scenario.
    pub name: String,
    /// What it is there for.
    pub kind: Kind,
    /// Its address, the same for the whole run.
    pub address: Ipv4Addr,
    /// The container, by the daemon's id. Clients share one.
    pub container: String,
    /// The volume that holds its data, mounted at [`Kind::data`]; clients and the router have none.
    pub volume: Option<String>,
    /// Of a node that an etcd member runs on, too: the volume that holds the member's data, its own disk as it were.
    pub etcd_volume: Option<String>,
    /// Whether an etcd member runs on this node.
    pub etcd: bool,
}

impl Host {
    /// The services of this host, in the order in which a machine starts them. PostgreSQL is its agent's to start.
    #[must_use]
    pub fn services(&self) -> Vec<Process> {
        let member = self.etcd.then_some(Process::Etcd);
        member.into_iter().chain(self.kind.services().iter().copied()).collect()
    }

    /// Every process of it that is looked at.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        let member = self.etcd.then_some(Process::Etcd);
        self.kind.processes().iter().copied().chain(member).collect()
    }

    /// Its container.
    #[must_use]
    pub fn machine(&self, docker: &Docker) -> Machine {
        Machine::new(docker.clone(), &self.name, &self.container, self.address)
    }

    /// Its volumes, and where they are mounted.
    #[must_use]
    pub fn volumes(&self) -> Vec<Mounted> {
        let mounted = |volume: &Option<String>, at: Option<&str>| Some(Mounted::new(volume.as_ref()?, at?));
        let volumes = [mounted(&self.volume, self.kind.data()), mounted(&self.etcd_volume, Kind::Etcd.data())];
        volumes.into_iter().flatten().collect()
    }
}
