//! The beginnings of faults: what each action of the timeline does.

use pgdrill_lab::{
    event::{FaultPhase, ProcessState},
    faults::{Kind, Line, Pending, done_on},
    scenario::{Action, Facts, Process, StartSpec},
};

use super::{Faults, HostKind, Trouble, disk, network::Breakage, operator, power, process, record, steering};
use crate::cluster::{Cluster, ETCD_DATA, PGDATA};

impl Faults {
    pub(super) async fn break_network(
        &mut self,
        cluster: &Cluster,
        line: &Line<'_>,
        facts: &Facts,
        targets: &[String],
    ) -> Result<(), Trouble> {
        let (link, breakage) = match &line.step.action {
            Action::Cut(link) => (link, Breakage::Cut),
            Action::Delay(spec) => (&spec.link, Breakage::Delay(spec.add.0, spec.jitter.0)),
            Action::Loss(spec) => (&spec.link, Breakage::Loss(spec.probability)),
            Action::Bandwidth(spec) => (&spec.link, Breakage::Bandwidth(spec.rate.per_second.bytes)),
            _ => {
                let fault = self.network.silence_dns(targets).await?;
                self.on_network.insert((line.index, line.repetition), fault);
                self.stand(cluster, line, Kind::NoDns(targets.to_vec()), 0, false);
                return Ok(());
            }
        };
        let routes = self.ledger.routes(link, facts);
        if routes.is_empty() {
            let why = "one side of the link matched no host at that moment".to_owned();
            record(cluster, line, FaultPhase::Vacuous { why }, targets);
            return Ok(());
        }
        let kind = match breakage {
            Breakage::Cut => Kind::Cut(routes.clone()),
            Breakage::Delay(..) => Kind::Delay(routes.clone()),
            Breakage::Loss(_) => Kind::Loss(routes.clone()),
            Breakage::Bandwidth(_) => Kind::Bandwidth(routes.clone()),
        };
        let fault = self.network.break_links(&routes, breakage).await?;
        self.on_network.insert((line.index, line.repetition), fault);
        self.stand(cluster, line, kind, 0, false);
        Ok(())
    }

    pub(super) async fn on_processes(
        &mut self,
        cluster: &Cluster,
        line: &Line<'_>,
        targets: &[String],
    ) -> Result<(), Trouble> {
        match &line.step.action {
            Action::Kill(spec) => self.kill(cluster, line, spec.process, targets).await,
            Action::Stop(spec) => self.stop(cluster, line, spec.process, targets).await,
            Action::Start(spec) => self.start(cluster, line, spec, targets).await,
            Action::Freeze(spec) => self.freeze(cluster, line, spec.process, targets).await,
            Action::Thaw(spec) => {
                let frozen: Vec<String> = targets.to_vec();
                let thawed = self.thaw(cluster, spec.process, &frozen).await?;
                self.ledger.forget(&Kind::Frozen(spec.process, vec![]), &thawed);
                record(cluster, line, done_on(&thawed, "running again"), targets);
                Ok(())
            }
            other => unreachable!("{} is not about processes", other.keyword()),
        }
    }

    async fn kill(
        &mut self,
        cluster: &Cluster,
        line: &Line<'_>,
        process: Process,
        targets: &[String],
    ) -> Result<(), Trouble> {
        let mut killed = vec![];
        for host in targets {
            let pids = process::reached(cluster, process, host).await?;
            if !pids.is_empty() {
                cluster.about_to_kill(process, host);
                process::kill(self.machine(host), &pids).await?;
                killed.push(host.clone());
            }
        }
        record(cluster, line, done_on(&killed, &format!("{process} was running and is gone")), targets);
        // A killed PostgreSQL is its agent's to start again; everything else stays down until it is started.
        if !killed.is_empty() && !process.is_started_by_its_agent() {
            self.stand(cluster, line, Kind::Down(process, killed), 0, true);
        }
        Ok(())
    }

    async fn stop(
        &mut self,
        cluster: &Cluster,
        line: &Line<'_>,
        process: Process,
        targets: &[String],
    ) -> Result<(), Trouble> {
        let since = cluster.journal.now();
        let mut asked = vec![];
        for host in targets {
            let Some(pid) = cluster.pid(process, host) else { continue };
            // A fast shutdown of PostgreSQL; whatever the others do on SIGTERM.
            let signal = if process == Process::Postgres { "INT" } else { "TERM" };
            process::signal(self.machine(host), signal, &[pid]).await?;
            asked.push(host.clone());
        }
        if asked.is_empty() {
            record(cluster, line, done_on(&asked, ""), targets);
            return Ok(());
        }
        self.pending.push(Pending::Gone { index: line.index, process, hosts: asked.clone(), since });
        if !process.is_started_by_its_agent() {
            self.stand(cluster, line, Kind::Down(process, asked), 0, true);
        }
        Ok(())
    }

    async fn start(
        &mut self,
        cluster: &Cluster,
        line: &Line<'_>,
        spec: &StartSpec,
        targets: &[String],
    ) -> Result<(), Trouble> {
        if spec.wipe {
            for host in targets.iter().filter(|host| !cluster.runs(spec.process, host)) {
                self.wipe(cluster, spec.process, host).await?;
            }
        }
        let started = self.start_on(cluster, spec.process, targets, spec.wipe).await?;
        self.ledger.forget(&Kind::Down(spec.process, vec![]), &started);
        record(cluster, line, done_on(&started, &format!("{} started", spec.process)), targets);
        Ok(())
    }

    /// The disk was replaced by an empty one; an etcd member is removed and added anew, as its manual says.
    async fn wipe(&self, cluster: &Cluster, process: Process, host: &str) -> Result<(), Trouble> {
        let machine = self.machine(host);
        let data = if process == Process::Etcd { ETCD_DATA } else { PGDATA };
        machine.succeed(&["rm", "-rf", data]).await?;
        if process == Process::Etcd {
            operator::replace_member(cluster, host).await.map_err(|why| machine.trouble(why))?;
        }
        Ok(())
    }

    async fn freeze(
        &mut self,
        cluster: &Cluster,
        line: &Line<'_>,
        process: Option<Process>,
        targets: &[String],
    ) -> Result<(), Trouble> {
        let mut frozen = vec![];
        for host in targets {
            let machine = self.machine(host);
            let stands_still = match process {
                None => power::freeze(machine).await?,
                Some(process) => {
                    let pids = process::reached(cluster, process, host).await?;
                    if !pids.is_empty() {
                        process::freeze(machine, &pids).await?;
                    }
                    !pids.is_empty()
                }
            };
            if stands_still {
                cluster.note(host, process, ProcessState::Frozen);
                frozen.push(host.clone());
            }
        }
        let what = process.map_or("the host", Process::name);
        record(cluster, line, done_on(&frozen, &format!("{what} was running and stands still")), targets);
        if !frozen.is_empty() {
            self.stand(cluster, line, Kind::Frozen(process, frozen), 0, true);
        }
        Ok(())
    }

    pub(super) async fn on_power(
        &mut self,
        cluster: &Cluster,
        line: &Line<'_>,
        targets: &[String],
    ) -> Result<(), Trouble> {
        if matches!(line.step.action, Action::PowerOn(_)) {
            let booted = self.power_on(cluster, targets).await?;
            self.ledger.forget(&Kind::Dark(vec![]), &booted);
            record(cluster, line, done_on(&booted, "booted"), targets);
            return Ok(());
        }
        let mut dark = vec![];
        for host in targets {
            for process in cluster.host(host).kind.processes() {
                cluster.about_to_kill(*process, host);
            }
            let machine = self.machines[host].clone();
            if power::off(&machine, &mut self.network).await? {
                dark.push(host.clone());
            }
        }
        record(cluster, line, done_on(&dark, power::DARK), targets);
        if !dark.is_empty() {
            self.stand(cluster, line, Kind::Dark(dark), 0, true);
        }
        Ok(())
    }

    pub(super) async fn on_shim(
        &mut self,
        cluster: &Cluster,
        line: &Line<'_>,
        targets: &[String],
    ) -> Result<(), Trouble> {
        match &line.step.action {
            Action::ClockStep { by, .. } => {
                let mut readings = 0;
                for host in targets {
                    readings += steering::step(self.machine(host), by.nanos).await?;
                }
                let phase = if readings > 0 {
                    let evidence = format!("{}: wall clock {by}, read {readings} times since", targets.join(", "));
                    FaultPhase::Verified { evidence }
                } else {
                    FaultPhase::Vacuous { why: "no process has read the wall clock since".to_owned() }
                };
                record(cluster, line, phase, targets);
            }
            Action::SlowFsync { delay, .. } => {
                let mut mark = 0;
                for host in targets {
                    mark += steering::slow_fsyncs(self.machine(host)).await?;
                    steering::slow_fsync(self.machine(host), delay.0).await?;
                }
                self.stand(cluster, line, Kind::SlowFsync(targets.to_vec()), mark, false);
            }
            // `cannot` has said so before anything was started.
            other => return Err(self.machine(&targets[0]).trouble(format!("{other}: containers cannot do that"))),
        }
        Ok(())
    }

    pub(super) async fn on_disks(
        &mut self,
        cluster: &Cluster,
        line: &Line<'_>,
        targets: &[String],
    ) -> Result<(), Trouble> {
        let keeps_data = |host: &&String| matches!(cluster.host(host).kind, HostKind::Node | HostKind::Etcd);
        let targets: Vec<String> = targets.iter().filter(keeps_data).cloned().collect();
        if matches!(line.step.action, Action::DiskFree { .. }) {
            let full = |hosts: &[String]| hosts.iter().any(|host| targets.contains(host));
            let ending = self.ledger.take_where(|s| matches!(&s.kind, Kind::Full(hosts) if full(hosts)));
            let phase = if ending.is_empty() {
                FaultPhase::Vacuous { why: "the disk was not full".to_owned() }
            } else {
                FaultPhase::Verified { evidence: "there is space again".to_owned() }
            };
            self.end(cluster, ending).await?;
            record(cluster, line, phase, &targets);
            return Ok(());
        }
        let mut said = vec![];
        for host in &targets {
            let mounted = cluster.host(host).kind.data().expect("only hosts that keep data are left");
            said.push(format!("{host}: {}", disk::fill(self.machine(host), mounted).await?));
        }
        record(cluster, line, done_on(&targets, &said.join("; ")), &targets);
        self.stand(cluster, line, Kind::Full(targets), 0, true);
        Ok(())
    }
}
