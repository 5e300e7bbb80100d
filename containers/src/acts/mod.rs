//! What a scenario asks for, done to real containers: each act by a mechanism, each with evidence of what came of it.
//!
//! | look in | for |
//! |---|---|
//! | `network` | cuts, loss, delay, bandwidth, unanswered DNS: the packet filter of the containers |
//! | `process`, `power` | signals to processes; containers paused, killed, started |
//! | `hosts` | the same for the hosts of a scenario |
//! | `disk` | a full disk |
//! | `order` | what an operator asks for |
//! | `count` | what a fault has had an effect on |
//! | `unsupported` | what cannot be done here, and why |

mod count;
pub mod disk;
mod hosts;
pub mod network;
mod order;
pub mod power;
pub mod process;
mod unsupported;

use std::collections::BTreeMap;

use network::Network;
use pgdrill_lab::{
    player::{Act, Evidence, Lateness, Seen},
    scenario::{Process, Route, Scenario},
};
use pgdrill_net::TokioNet;
use pgdrill_probe::observe::etcd_leader;
pub use unsupported::cannot;

use crate::{
    cluster::Cluster,
    machine::{Machine, Trouble, steering},
};

/// Below this a link is as it is: containers of one machine are as near to each other as hosts of one data centre.
const NATURAL: std::time::Duration = std::time::Duration::from_millis(1);

/// Who leads etcd is asked for so long.
const LOOK_LIMIT: std::time::Duration = std::time::Duration::from_secs(1);

/// What acts are done with.
pub struct Acts {
    network: Network,
    machines: BTreeMap<String, Machine>,
}

impl Acts {
    /// Nothing is done yet.
    #[must_use]
    pub fn new(cluster: &Cluster) -> Self {
        let machines: BTreeMap<String, Machine> =
            cluster.hosts.values().map(|host| (host.name.clone(), host.machine(&cluster.docker))).collect();
        Self { network: Network::new(machines.values().cloned()), machines }
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
                    let (add, jitter) = (wanted.min.0, wanted.max.0 - wanted.min.0);
                    latency.insert(route, Lateness { add, jitter });
                }
            }
        }
        self.network.lengthen(latency).await.map_err(|e| e.to_string())
    }

    /// Does one act and says what came of it. Reading the end and the rows is the run's.
    ///
    /// # Errors
    /// When the lab could not do or prove it: the run says nothing about the cluster.
    pub async fn carry_out(&mut self, cluster: &Cluster, act: Act) -> Result<Evidence, Trouble> {
        Ok(match act {
            Act::Look => Evidence::Seen(look(cluster).await),
            Act::Links(links) => {
                self.network.set(&links).await?;
                Evidence::Done
            }
            Act::Dns { hosts, answers } => {
                self.network.answer_names(&hosts, answers).await?;
                Evidence::on(hosts)
            }
            Act::Kill { process, hosts } => self.kill(cluster, process, hosts).await?,
            Act::Stop { process, hosts } => self.stop(cluster, process, hosts).await?,
            Act::Start { process, hosts, wipe } => self.start(cluster, process, hosts, wipe).await?,
            Act::Freeze { process, hosts } => self.freeze(cluster, process, hosts).await?,
            Act::Thaw { process, hosts } => self.thaw(cluster, process, hosts).await?,
            Act::PowerOff { hosts } => self.power_off(cluster, hosts).await?,
            Act::PowerOn { hosts } => self.power_on(cluster, hosts).await?,
            Act::StepClocks { hosts, by } => self.step_clocks(hosts, by.nanos).await?,
            Act::SlowFsyncs(disks) => {
                for (host, delay) in disks {
                    steering::slow_fsync(self.machine(&host), delay).await?;
                }
                Evidence::Done
            }
            Act::FillDisks { hosts } => self.fill_disks(cluster, hosts).await?,
            Act::FreeDisks { hosts } => self.free_disks(cluster, hosts).await?,
            Act::Count(kind) => self.count(&kind).await?,
            Act::Order { to, order, reply } => order::give(cluster, to, order, reply),
            Act::CompactEtcd { reply } => order::compact_etcd(cluster, reply),
            // The clients know when to end: they were told when they were started.
            Act::StopClients => Evidence::Done,
            // `cannot` has said so before anything was started; the rest is the run's.
            Act::RunClocks(_) | Act::ReadEnd | Act::StopObserving | Act::ReadRows => {
                return Err(Trouble {
                    host: pgdrill_lab::world::LAB.to_owned(),
                    what: "containers cannot do that".into(),
                });
            }
        })
    }

    fn machine(&self, host: &str) -> &Machine {
        self.machines.get(host).expect("selectors resolve to hosts of the cluster only")
    }
}

/// Which PostgreSQL servers run, and who leads etcd.
async fn look(cluster: &Cluster) -> Seen {
    let nodes = cluster.scenario.cluster.node_names();
    let up = nodes.into_iter().filter(|node| cluster.runs(Process::Postgres, node)).collect();
    Seen { up, etcd_leader: etcd_leader(&TokioNet, &cluster.dcs(), LOOK_LIMIT).await }
}
