//! The ends of faults: whether they had their effect, and how each is undone.

use pgdrill_lab::{
    event::{FaultPhase, ProcessState},
    faults::{Kind, Line, Standing, conclusion, healed, hosts_of},
    scenario::{Facts, HealSpec, Process},
};

use super::{Faults, Trouble, disk, power, process, record, steering};
use crate::cluster::Cluster;

impl Faults {
    pub(super) async fn heal(
        &mut self,
        cluster: &Cluster,
        line: &Line<'_>,
        spec: &HealSpec,
        facts: &Facts,
    ) -> Result<(), Trouble> {
        let ending = self.ledger.take_healed(spec, facts);
        let ended = ending.len();
        self.end(cluster, ending).await?;
        record(cluster, line, healed(ended), &[]);
        Ok(())
    }

    /// Ends faults: says whether they had their effect, and undoes them.
    pub(super) async fn end(&mut self, cluster: &Cluster, ending: Vec<Standing>) -> Result<(), Trouble> {
        for fault in ending {
            self.effect_of(cluster, &fault).await?;
            self.undo(cluster, &fault).await?;
        }
        Ok(())
    }

    /// Says whether a fault had its effect, unless that was said when it began.
    pub(super) async fn effect_of(&self, cluster: &Cluster, fault: &Standing) -> Result<(), Trouble> {
        if fault.verified {
            return Ok(());
        }
        let on_network = self.on_network.get(&(fault.index, fault.repetition)).copied();
        let effect = match (&fault.kind, on_network) {
            (_, Some(number)) => self.network.effect(number).await?,
            (Kind::SlowFsync(hosts, _), _) => {
                let mut fsyncs = 0;
                for host in hosts {
                    fsyncs += steering::slow_fsyncs(self.machine(host)).await?;
                }
                fsyncs.saturating_sub(fault.mark)
            }
            _ => 0,
        };
        let mut phase = conclusion(&fault.kind, effect, cluster.journal.now().since(fault.since));
        if let (Kind::Delay(..), Some(number), FaultPhase::Verified { evidence }) =
            (&fault.kind, on_network, &mut phase)
        {
            if let Some(mean) = self.network.mean_delay(number).await? {
                evidence.push_str(&format!(", {:.1} ms each on average", mean.as_secs_f64() * 1e3));
            }
            if let Some(by) = self.network.held_by(number) {
                evidence.push_str(&format!(", held by {by}"));
            }
        }
        let step = &cluster.scenario.timeline[fault.index];
        record(cluster, &Line { index: fault.index, repetition: fault.repetition, step }, phase, &[]);
        Ok(())
    }

    /// Undoes one fault, which is out of the ledger already, and says so. What another one keeps up stays as that has it.
    pub(super) async fn undo(&mut self, cluster: &Cluster, fault: &Standing) -> Result<(), Trouble> {
        let freed = self.ledger.freed(&fault.kind);
        let hosts = match &fault.kind {
            Kind::Cut(routes) | Kind::Delay(routes, _) | Kind::Loss(routes, _) | Kind::Bandwidth(routes, _) => {
                self.mend(fault).await?;
                hosts_of(routes)
            }
            Kind::NoDns(hosts) => {
                self.mend(fault).await?;
                hosts.clone()
            }
            Kind::Down(process, _) => self.start_on(cluster, *process, &freed, false).await?,
            Kind::Dark(_) => self.power_on(cluster, &freed).await?,
            Kind::Frozen(process, _) => self.thaw(cluster, *process, &freed).await?,
            Kind::Full(_) => {
                for host in &freed {
                    let mounted = cluster.host(host).kind.data().expect("only hosts that keep data can be full");
                    disk::free(self.machine(host), mounted).await?;
                }
                freed
            }
            Kind::SlowFsync(hosts, _) => {
                self.set_fsync_delays(hosts).await?;
                hosts.clone()
            }
            Kind::ReplayPaused(_) => self.resume_replay(cluster, &freed),
            Kind::Paused if self.ledger.is_paused() => vec![],
            Kind::Paused => self.resume(cluster).await,
            // No clock drifts here: `cannot` has said so.
            Kind::Drift(hosts, _) => hosts.clone(),
        };
        let step = &cluster.scenario.timeline[fault.index];
        let line = Line { index: fault.index, repetition: fault.repetition, step };
        record(cluster, &line, FaultPhase::Ended, &hosts);
        Ok(())
    }

    /// fsync takes as much longer as the standing faults say.
    pub(super) async fn set_fsync_delays(&self, hosts: &[String]) -> Result<(), Trouble> {
        for host in hosts {
            let delay = self.ledger.fsync_delay_of(host).unwrap_or_default();
            steering::slow_fsync(self.machine(host), delay).await?;
        }
        Ok(())
    }

    async fn mend(&mut self, fault: &Standing) -> Result<(), Trouble> {
        match self.on_network.remove(&(fault.index, fault.repetition)) {
            Some(number) => self.network.mend(number).await,
            None => Ok(()),
        }
    }

    /// Starts what is down; the hosts where something was.
    pub(super) async fn start_on(
        &self,
        cluster: &Cluster,
        process: Process,
        hosts: &[String],
        as_new_member: bool,
    ) -> Result<Vec<String>, Trouble> {
        let mut started = vec![];
        for host in hosts.iter().filter(|host| !cluster.runs(process, host)) {
            let machine = self.machine(host);
            if machine.state().await? != super::machine::State::Running {
                continue;
            }
            let done = if as_new_member && process == Process::Etcd {
                cluster.start_new_member(host).await
            } else {
                cluster.start(process, host).await
            };
            done.map_err(|why| machine.trouble(why))?;
            started.push(host.clone());
        }
        Ok(started)
    }

    /// Boots; the hosts that were dark. Services start; PostgreSQL is its agent's to start.
    pub(super) async fn power_on(&mut self, cluster: &Cluster, hosts: &[String]) -> Result<Vec<String>, Trouble> {
        let mut booted = vec![];
        for host in hosts {
            let machine = self.machines[host].clone();
            if power::on(&machine, &mut self.network).await? {
                cluster.boot(host).await.map_err(|why| machine.trouble(why))?;
                booted.push(host.clone());
            }
        }
        Ok(booted)
    }

    /// Thaws; the hosts where something was frozen.
    pub(super) async fn thaw(
        &mut self,
        cluster: &Cluster,
        process: Option<Process>,
        hosts: &[String],
    ) -> Result<Vec<String>, Trouble> {
        let mut thawed = vec![];
        for host in hosts {
            let machine = self.machines[host].clone();
            let goes_on = match process {
                None => power::thaw(&machine, &mut self.network).await?,
                Some(process) => match process::target(cluster, process, host) {
                    Some(target) => process::thaw(&machine, target).await?,
                    None => false,
                },
            };
            if goes_on {
                cluster.note(host, process, ProcessState::Thawed);
                thawed.push(host.clone());
            }
        }
        Ok(thawed)
    }
}
