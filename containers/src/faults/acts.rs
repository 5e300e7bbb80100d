//! The beginnings of faults: what each action of the timeline does.

use pgdrill_lab::{
    event::{FaultPhase, ProcessState},
    faults::{Kind, Lateness, Pending, done_on},
    scenario::{Action, Facts, Process, StartSpec},
};

use super::{Faults, HostKind, Trouble, act::Act, disk, network::Breakage, operator, power, process, steering};
use crate::cluster::{Cluster, ETCD_DATA, PGDATA};

impl Faults {
    pub(super) async fn break_network(&mut self, act: Act<'_>, facts: &Facts) -> Result<(), Trouble> {
        let (link, breakage) = match &act.line.step.action {
            Action::Cut(link) => (link, Breakage::Cut),
            Action::Delay(spec) => (&spec.link, Breakage::Delay(Lateness { add: spec.add.0, jitter: spec.jitter.0 })),
            Action::Loss(spec) => (&spec.link, Breakage::Loss(spec.probability)),
            Action::Bandwidth(spec) => (&spec.link, Breakage::Bandwidth(spec.rate.per_second.bytes)),
            _ => {
                let fault = self.network.silence_dns(act.targets).await?;
                self.on_network.insert((act.line.index, act.line.repetition), fault);
                self.stand(act.cluster, act.line, Kind::NoDns(act.targets.to_vec()), 0, false);
                return Ok(());
            }
        };
        let routes = self.ledger.routes(link, facts);
        if routes.is_empty() {
            act.vacuous("one side of the link matched no host at that moment");
            return Ok(());
        }
        let fault = self.network.break_links(&routes, breakage).await?;
        let kind = match breakage {
            Breakage::Cut => Kind::Cut(routes),
            Breakage::Delay(late) => Kind::Delay(routes, late),
            Breakage::Loss(probability) => Kind::Loss(routes, probability),
            Breakage::Bandwidth(bytes_per_second) => Kind::Bandwidth(routes, bytes_per_second),
        };
        self.on_network.insert((act.line.index, act.line.repetition), fault);
        self.stand(act.cluster, act.line, kind, 0, false);
        Ok(())
    }

    pub(super) async fn on_processes(&mut self, act: Act<'_>) -> Result<(), Trouble> {
        match &act.line.step.action {
            Action::Kill(spec) => self.kill(act, spec.process).await,
            Action::Stop(spec) => self.stop(act, spec.process).await,
            Action::Start(spec) => self.start(act, spec).await,
            Action::Freeze(spec) => self.freeze(act, spec.process).await,
            Action::Thaw(spec) => {
                let thawed = self.thaw(act.cluster, spec.process, act.targets).await?;
                self.undone(act, &thawed, "running again", &Kind::Frozen(spec.process, vec![]));
                Ok(())
            }
            other => unreachable!("{} is not about processes", other.keyword()),
        }
    }

    async fn kill(&mut self, act: Act<'_>, process: Process) -> Result<(), Trouble> {
        let mut killed = vec![];
        for host in act.targets {
            let Some(target) = process::target(act.cluster, process, host) else { continue };
            act.cluster.about_to_kill(process, host);
            if process::kill(self.machine(host), target).await? {
                killed.push(host.clone());
            } else {
                act.cluster.spared(process, host);
            }
        }
        let evidence = format!("{process} was running and is gone");
        // A killed PostgreSQL is its agent's to start again; everything else stays down until it is started.
        if process.is_started_by_its_agent() {
            act.record(done_on(&killed, &evidence));
        } else {
            self.done(act, killed, &evidence, |hosts| Kind::Down(process, hosts));
        }
        Ok(())
    }

    async fn stop(&mut self, act: Act<'_>, process: Process) -> Result<(), Trouble> {
        let since = act.cluster.journal.now();
        let mut asked = vec![];
        for host in act.targets {
            let Some(pid) = act.cluster.pid(process, host) else { continue };
            // A fast shutdown of PostgreSQL; whatever the others do on SIGTERM.
            let signal = if process == Process::Postgres { "INT" } else { "TERM" };
            if process::signal(self.machine(host), signal, pid).await? {
                asked.push(host.clone());
            }
        }
        if asked.is_empty() {
            act.record(done_on(&asked, ""));
            return Ok(());
        }
        self.pending.push(Pending::Gone { index: act.line.index, process, hosts: asked.clone(), since });
        if !process.is_started_by_its_agent() {
            self.stand(act.cluster, act.line, Kind::Down(process, asked), 0, true);
        }
        Ok(())
    }

    async fn start(&mut self, act: Act<'_>, spec: &StartSpec) -> Result<(), Trouble> {
        if spec.wipe {
            for host in act.targets.iter().filter(|host| !act.cluster.runs(spec.process, host)) {
                self.wipe(act.cluster, spec.process, host).await?;
            }
        }
        let started = self.start_on(act.cluster, spec.process, act.targets, spec.wipe).await?;
        self.undone(act, &started, &format!("{} started", spec.process), &Kind::Down(spec.process, vec![]));
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

    async fn freeze(&mut self, act: Act<'_>, process: Option<Process>) -> Result<(), Trouble> {
        let mut frozen = vec![];
        for host in act.targets {
            let machine = self.machine(host);
            let stands_still = match process {
                None => power::freeze(machine).await?,
                Some(process) => match process::target(act.cluster, process, host) {
                    Some(target) => process::freeze(machine, target).await?,
                    None => false,
                },
            };
            if stands_still {
                act.cluster.note(host, process, ProcessState::Frozen);
                frozen.push(host.clone());
            }
        }
        let what = process.map_or("the host", Process::name);
        let evidence = format!("{what} was running and stands still");
        self.done(act, frozen, &evidence, |hosts| Kind::Frozen(process, hosts));
        Ok(())
    }

    pub(super) async fn on_power(&mut self, act: Act<'_>) -> Result<(), Trouble> {
        if matches!(act.line.step.action, Action::PowerOn(_)) {
            let booted = self.power_on(act.cluster, act.targets).await?;
            self.undone(act, &booted, "booted", &Kind::Dark(vec![]));
            return Ok(());
        }
        let mut dark = vec![];
        for host in act.targets {
            if self.power_off(act.cluster, host).await? {
                dark.push(host.clone());
            }
        }
        self.done(act, dark, power::DARK, Kind::Dark);
        Ok(())
    }

    /// Takes the power of a host away; whether it had any.
    pub(super) async fn power_off(&mut self, cluster: &Cluster, host: &str) -> Result<bool, Trouble> {
        for process in cluster.host(host).processes() {
            cluster.about_to_kill(process, host);
        }
        let machine = self.machine(host).clone();
        power::off(&machine, &mut self.network).await
    }

    pub(super) async fn on_shim(&mut self, act: Act<'_>) -> Result<(), Trouble> {
        match &act.line.step.action {
            Action::ClockStep { by, .. } => {
                let mut readings = 0;
                for host in act.targets {
                    readings += steering::step(self.machine(host), by.nanos).await?;
                }
                if readings > 0 {
                    let evidence = format!("{}: wall clock {by}, read {readings} times since", act.targets.join(", "));
                    act.record(FaultPhase::Verified { evidence });
                } else {
                    act.vacuous("no process has read the wall clock since");
                }
            }
            Action::SlowFsync { delay, .. } => {
                let mut mark = 0;
                for host in act.targets {
                    mark += steering::slow_fsyncs(self.machine(host)).await?;
                }
                self.stand(act.cluster, act.line, Kind::SlowFsync(act.targets.to_vec(), delay.0), mark, false);
                self.set_fsync_delays(act.targets).await?;
            }
            // `cannot` has said so before anything was started.
            other => return Err(self.machine(&act.targets[0]).trouble(format!("{other}: containers cannot do that"))),
        }
        Ok(())
    }

    pub(super) async fn on_disks(&mut self, act: Act<'_>) -> Result<(), Trouble> {
        let keeps_data = |host: &&String| matches!(act.cluster.host(host).kind, HostKind::Node | HostKind::Etcd);
        let targets: Vec<String> = act.targets.iter().filter(keeps_data).cloned().collect();
        let act = Act { targets: &targets, ..act };
        if matches!(act.line.step.action, Action::DiskFree { .. }) {
            return self.free_disks(act).await;
        }
        let mut said = vec![];
        let still_free = self.ledger.freed(&Kind::Full(targets.clone()));
        for host in &targets {
            if !still_free.contains(host) {
                said.push(format!("{host}: it was full already"));
                continue;
            }
            let mounted = act.cluster.host(host).kind.data().expect("only hosts that keep data are left");
            said.push(format!("{host}: {}", disk::fill(self.machine(host), mounted).await?));
        }
        self.done(act, targets.clone(), &said.join("; "), Kind::Full);
        Ok(())
    }

    async fn free_disks(&mut self, act: Act<'_>) -> Result<(), Trouble> {
        let full = |hosts: &[String]| hosts.iter().any(|host| act.targets.contains(host));
        let ending = self.ledger.take_where(|s| matches!(&s.kind, Kind::Full(hosts) if full(hosts)));
        let was_full = !ending.is_empty();
        self.end(act.cluster, ending).await?;
        if was_full {
            act.record(FaultPhase::Verified { evidence: "there is space again".to_owned() });
        } else {
            act.vacuous("the disk was not full");
        }
        Ok(())
    }
}
