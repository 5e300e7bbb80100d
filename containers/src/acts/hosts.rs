//! Acts on the hosts of a scenario: each mechanism on each host, and on which of them it did its work.

use pgdrill_lab::{event::ProcessState, player::Evidence, scenario::Process};

use super::{Acts, disk, order, power, process};
use crate::{
    cluster::Cluster,
    machine::{State, Trouble, steering},
    paths::{ETCD_DATA, PGDATA},
};

impl Acts {
    pub(super) async fn kill(
        &self,
        cluster: &Cluster,
        process: Process,
        hosts: Vec<String>,
    ) -> Result<Evidence, Trouble> {
        let mut killed = vec![];
        for host in hosts {
            let Some(target) = process::target(cluster, process, &host) else { continue };
            cluster.about_to_kill(process, &host);
            if process::kill(self.machine(&host), target).await? {
                killed.push(host);
            } else {
                cluster.spared(process, &host);
            }
        }
        Ok(Evidence::on(killed))
    }

    pub(super) async fn stop(
        &self,
        cluster: &Cluster,
        process: Process,
        hosts: Vec<String>,
    ) -> Result<Evidence, Trouble> {
        let mut asked = vec![];
        for host in hosts {
            let Some(pid) = cluster.pid(process, &host) else { continue };
            // A fast shutdown of PostgreSQL; whatever the others do on SIGTERM.
            let signal = if process == Process::Postgres { "INT" } else { "TERM" };
            if process::signal(self.machine(&host), signal, pid).await? {
                asked.push(host);
            }
        }
        Ok(Evidence::on(asked))
    }

    pub(super) async fn start(
        &self,
        cluster: &Cluster,
        process: Process,
        mut hosts: Vec<String>,
        wipe: bool,
    ) -> Result<Evidence, Trouble> {
        hosts.retain(|host| !cluster.runs(process, host));
        if wipe {
            for host in &hosts {
                self.wipe(cluster, process, host).await?;
            }
        }
        let mut started = vec![];
        for host in hosts {
            let machine = self.machine(&host);
            if machine.state().await? != State::Running {
                continue;
            }
            let done = if wipe && process == Process::Etcd {
                cluster.start_new_member(&host).await
            } else {
                cluster.start(process, &host).await
            };
            done.map_err(|why| machine.trouble(why))?;
            started.push(host);
        }
        Ok(Evidence::on(started))
    }

    /// The disk was replaced by an empty one; an etcd member is removed and added anew, as its manual says.
    async fn wipe(&self, cluster: &Cluster, process: Process, host: &str) -> Result<(), Trouble> {
        let machine = self.machine(host);
        let data = if process == Process::Etcd { ETCD_DATA } else { PGDATA };
        machine.succeed(&["rm", "-rf", data]).await?;
        if process == Process::Etcd {
            order::replace_member(cluster, host).await.map_err(|why| machine.trouble(why))?;
        }
        Ok(())
    }

    pub(super) async fn freeze(
        &self,
        cluster: &Cluster,
        process: Option<Process>,
        hosts: Vec<String>,
    ) -> Result<Evidence, Trouble> {
        let mut frozen = vec![];
        for host in hosts {
            let machine = self.machine(&host);
            let stands_still = match process {
                None => power::freeze(machine).await?,
                Some(process) => match process::target(cluster, process, &host) {
                    Some(target) => process::freeze(machine, target).await?,
                    None => false,
                },
            };
            if stands_still {
                cluster.note(&host, process, ProcessState::Frozen);
                frozen.push(host);
            }
        }
        Ok(Evidence::on(frozen))
    }

    /// Lets go on what is frozen.
    pub(super) async fn thaw(
        &mut self,
        cluster: &Cluster,
        process: Option<Process>,
        hosts: Vec<String>,
    ) -> Result<Evidence, Trouble> {
        let mut thawed = vec![];
        for host in hosts {
            let machine = self.machine(&host).clone();
            let goes_on = match process {
                None => power::thaw(&machine, &mut self.network).await?,
                Some(process) => match process::target(cluster, process, &host) {
                    Some(target) => process::thaw(&machine, target).await?,
                    None => false,
                },
            };
            if goes_on {
                cluster.note(&host, process, ProcessState::Thawed);
                thawed.push(host);
            }
        }
        Ok(Evidence::on(thawed))
    }

    pub(super) async fn power_off(&mut self, cluster: &Cluster, hosts: Vec<String>) -> Result<Evidence, Trouble> {
        let mut dark = vec![];
        for host in hosts {
            for process in cluster.host(&host).processes() {
                cluster.about_to_kill(process, &host);
            }
            let machine = self.machine(&host).clone();
            if power::off(&machine, &mut self.network).await? {
                dark.push(host);
            }
        }
        Ok(Evidence::On { hosts: dark, words: power::DARK.to_owned() })
    }

    /// Boots hosts that are dark. Services start; PostgreSQL is its agent's to start.
    pub(super) async fn power_on(&mut self, cluster: &Cluster, hosts: Vec<String>) -> Result<Evidence, Trouble> {
        let mut booted = vec![];
        for host in hosts {
            let machine = self.machine(&host).clone();
            if power::on(&machine, &mut self.network).await? {
                cluster.boot(&host).await.map_err(|why| machine.trouble(why))?;
                booted.push(host);
            }
        }
        Ok(Evidence::on(booted))
    }

    pub(super) async fn step_clocks(&self, hosts: Vec<String>, by_ns: i64) -> Result<Evidence, Trouble> {
        let mut readings = 0;
        for host in &hosts {
            readings += steering::step(self.machine(host), by_ns).await?;
        }
        Ok(match readings {
            0 => Evidence::Nothing { why: "no process has read the wall clock since".to_owned() },
            _ => Evidence::On { hosts, words: format!(", read {readings} times since") },
        })
    }

    /// Only hosts that keep data can be full.
    pub(super) async fn fill_disks(&self, cluster: &Cluster, hosts: Vec<String>) -> Result<Evidence, Trouble> {
        let (mut full, mut said) = (vec![], vec![]);
        for host in hosts {
            let Some(mounted) = cluster.host(&host).kind.data() else { continue };
            said.push(format!("{host}: {}", disk::fill(self.machine(&host), mounted).await?));
            full.push(host);
        }
        Ok(Evidence::On { hosts: full, words: said.join("; ") })
    }

    pub(super) async fn free_disks(&self, cluster: &Cluster, hosts: Vec<String>) -> Result<Evidence, Trouble> {
        let mut freed = vec![];
        for host in hosts {
            let Some(mounted) = cluster.host(&host).kind.data() else { continue };
            if disk::free(self.machine(&host), mounted).await? {
                freed.push(host);
            }
        }
        Ok(Evidence::on(freed))
    }
}
