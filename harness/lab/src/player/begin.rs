//! What each line of the timeline means: whom it is done to, what a world does for it, and what is said of it.

use super::{
    Act, At, Evidence, Kind, Lateness, Line, Pending, Player, Standing,
    words::{done_on, healed},
};
use crate::{
    event::FaultPhase,
    scenario::{Action, Facts, HealSpec, Process, Shift},
};

impl Player {
    /// A line begins.
    pub(super) fn begin(&mut self, line: Line) {
        self.act(Act::Look, move |player, now, evidence| {
            let facts = player.facts(&evidence.seen());
            player.begin_with(now, line, &facts);
        });
    }

    /// A line begins when so much is known of the cluster.
    fn begin_with(&mut self, now: At, line: Line, facts: &Facts) {
        let step = self.step(line);
        let targets = self.ledger.targets(&step, line, facts);
        self.ledger.bind(&step, &targets);
        if targets.is_empty() && step.action.target().is_some() {
            return self.vacuous(now, line, "its selector matched no host at that moment", &targets);
        }
        self.say(now, line, FaultPhase::Applied, &targets);
        match step.action {
            Action::Cut(_) | Action::Delay(_) | Action::Loss(_) | Action::Bandwidth(_) => {
                self.break_links(now, line, targets, facts);
            }
            Action::DnsFail { .. } => {
                let hosts = targets.clone();
                self.begin_to_count(line, Kind::NoDns(targets), |player| {
                    player.act(Act::Dns { hosts, answers: false }, |_, _, _| {});
                });
            }
            Action::Heal(spec) => self.heal(line, &spec, facts),
            Action::Kill(spec) => self.kill(line, spec.process, targets),
            Action::Stop(spec) => self.stop(now, line, spec.process, targets),
            Action::Start(spec) => {
                let (process, hosts) = (spec.process, targets.clone());
                self.undoing(
                    line,
                    Act::Start { process, hosts, wipe: spec.wipe },
                    Kind::Down(process, vec![]),
                    targets,
                );
            }
            Action::Freeze(spec) => self.freeze(line, spec.process, targets),
            Action::Thaw(spec) => {
                let (process, hosts) = (spec.process, targets.clone());
                self.undoing(line, Act::Thaw { process, hosts }, Kind::Frozen(process, vec![]), targets);
            }
            Action::PowerOff(_) => self.power_off(line, targets),
            Action::PowerOn(_) => {
                self.undoing(line, Act::PowerOn { hosts: targets.clone() }, Kind::Dark(vec![]), targets);
            }
            Action::ClockStep { by, .. } => self.step_clocks(line, by, targets),
            Action::ClockDrift { rate, .. } => {
                let hosts = targets.clone();
                self.begin_to_count(line, Kind::Drift(targets, rate), move |player| player.run_clocks(&hosts));
            }
            Action::SlowFsync { delay, .. } => {
                let hosts = targets.clone();
                self.begin_to_count(line, Kind::SlowFsync(targets, delay.0), move |player| player.slow_fsyncs(&hosts));
            }
            Action::DiskFull { .. } => self.fill_disks(line, targets),
            Action::DiskFree { .. } => self.free_disks(line, targets),
            _ => self.operate(now, line, &targets, facts),
        }
    }

    fn vacuous(&self, now: At, line: Line, why: &str, targets: &[String]) {
        self.say(now, line, FaultPhase::Vacuous { why: why.to_owned() }, targets);
    }

    fn break_links(&mut self, now: At, line: Line, targets: Vec<String>, facts: &Facts) {
        let step = self.step(line);
        let routes = |link: &_| self.ledger.routes(link, &step, line, facts);
        let kind = match &step.action {
            Action::Cut(link) => Kind::Cut(routes(link)),
            Action::Delay(spec) => Kind::Delay(routes(&spec.link), Lateness { add: spec.add.0, jitter: spec.jitter.0 }),
            Action::Loss(spec) => Kind::Loss(routes(&spec.link), spec.probability),
            Action::Bandwidth(spec) => Kind::Bandwidth(routes(&spec.link), spec.rate.per_second.bytes),
            other => unreachable!("{} breaks no link", other.keyword()),
        };
        if kind.routes().is_empty() {
            return self.vacuous(now, line, "one side of the link matched no host at that moment", &targets);
        }
        let routes = kind.routes().to_vec();
        self.begin_to_count(line, kind, move |player| player.shape(&routes));
    }

    /// A fault whose effect is counted while it stands. Counted before it begins: what it does to the first packet is its effect.
    fn begin_to_count(&mut self, line: Line, kind: Kind, begin: impl FnOnce(&mut Self) + Send + 'static) {
        self.act(Act::Count(kind.clone()), move |player, now, evidence| {
            let (mark, _) = evidence.count();
            player.stand(now, line, kind, mark, false);
            begin(player);
        });
    }

    fn heal(&mut self, line: Line, spec: &HealSpec, facts: &Facts) {
        let step = self.step(line);
        let ending = self.ledger.take_healed(spec, &step, line, facts);
        let ended = ending.len();
        self.end(ending);
        self.then(move |player, now| player.say(now, line, healed(ended), &[]));
    }

    fn kill(&mut self, line: Line, process: Process, targets: Vec<String>) {
        self.act(Act::Kill { process, hosts: targets.clone() }, move |player, now, evidence| {
            let killed = evidence.hosts();
            player.say(now, line, done_on(&killed, &format!("{process} was running and is gone")), &targets);
            player.down(now, line, process, killed);
        });
    }

    /// A killed PostgreSQL or dead-man is its agent's to start again; everything else stays down until it is started.
    fn down(&mut self, now: At, line: Line, process: Process, hosts: Vec<String>) {
        if !hosts.is_empty() && !process.is_started_by_its_agent() {
            self.stand(now, line, Kind::Down(process, hosts), 0, true);
        }
    }

    fn stop(&mut self, since: At, line: Line, process: Process, targets: Vec<String>) {
        self.act(Act::Stop { process, hosts: targets.clone() }, move |player, now, evidence| {
            let asked = evidence.hosts();
            if asked.is_empty() {
                return player.say(now, line, done_on(&asked, ""), &targets);
            }
            player.pending.push(Pending::Gone { index: line.index, process, hosts: asked.clone(), since });
            player.down(now, line, process, asked);
        });
    }

    fn freeze(&mut self, line: Line, process: Option<Process>, targets: Vec<String>) {
        self.act(Act::Freeze { process, hosts: targets.clone() }, move |player, now, evidence| {
            let frozen = evidence.hosts();
            let what = process.map_or("the host", Process::name);
            player.say(now, line, done_on(&frozen, &format!("{what} was running and stands still")), &targets);
            if !frozen.is_empty() {
                player.stand(now, line, Kind::Frozen(process, frozen), 0, true);
            }
        });
    }

    fn power_off(&mut self, line: Line, targets: Vec<String>) {
        self.act(Act::PowerOff { hosts: targets.clone() }, move |player, now, evidence| {
            let (dark, words) = evidence.hosts_and_words();
            player.say(now, line, done_on(&dark, &format!("without power{words}")), &targets);
            if !dark.is_empty() {
                player.stand(now, line, Kind::Dark(dark), 0, true);
            }
        });
    }

    fn step_clocks(&mut self, line: Line, by: Shift, targets: Vec<String>) {
        self.act(Act::StepClocks { hosts: targets.clone(), by }, move |player, now, evidence| match evidence {
            Evidence::Nothing { why } => player.vacuous(now, line, &why, &targets),
            evidence => {
                let (stepped, words) = evidence.hosts_and_words();
                player.say(now, line, done_on(&stepped, &format!("wall clock {by}{words}")), &targets);
            }
        });
    }

    /// Disks that are full already stay as they are, and are not free before both faults have ended.
    fn fill_disks(&mut self, line: Line, targets: Vec<String>) {
        let free = self.ledger.freed(&Kind::Full(targets.clone()));
        self.begin_to_count(line, Kind::Full(targets.clone()), move |player| {
            player.act(Act::FillDisks { hosts: free }, move |player, now, evidence| {
                let (_, evidence) = evidence.hosts_and_words();
                if !evidence.is_empty() {
                    player.ledger.verify(line);
                    player.say(now, line, FaultPhase::Verified { evidence }, &targets);
                }
            });
        });
    }

    /// Whoever was full there has had its effect by now, or never will.
    fn free_disks(&mut self, line: Line, targets: Vec<String>) {
        let is_there = |fault: &&Standing| matches!(&fault.kind, Kind::Full(hosts) if hosts.iter().any(|host| targets.contains(host)));
        let full: Vec<Standing> = self.ledger.standing().iter().filter(is_there).cloned().collect();
        full.into_iter().filter(|fault| !fault.verified).for_each(|fault| self.conclude_on(fault, &targets));
        self.act(Act::FreeDisks { hosts: targets.clone() }, move |player, now, evidence| {
            let freed = evidence.hosts();
            for over in player.ledger.forget(&Kind::Full(vec![]), &freed) {
                player.say(now, over.line, FaultPhase::Ended, over.kind.hosts());
            }
            if freed.is_empty() {
                return player.vacuous(now, line, "the disk was not full", &targets);
            }
            player.say(now, line, done_on(&freed, "there is space again"), &targets);
        });
    }

    /// A line that undoes by name what others did: what stood on those hosts no longer does.
    fn undoing(&mut self, line: Line, act: Act, like: Kind, targets: Vec<String>) {
        let evidence_of = match &act {
            Act::Start { process, .. } => format!("{process} started"),
            Act::Thaw { .. } => "running again".to_owned(),
            _ => "booted".to_owned(),
        };
        self.act(act, move |player, now, evidence| {
            let hosts = evidence.hosts();
            // What stands still or has no power on none of them any more does so by no fault; what could not be started is down.
            let over = if matches!(like, Kind::Down(..)) { &hosts } else { &targets };
            player.ledger.forget(&like, over);
            let reset = player.ledger.reset_among(&targets);
            if hosts.is_empty() && !reset.is_empty() {
                // There is nothing to undo, and not because there was no fault.
                let evidence = format!("{}: the watchdog had reset the machine before", reset.join(", "));
                return player.say(now, line, FaultPhase::Verified { evidence }, &targets);
            }
            player.say(now, line, done_on(&hosts, &evidence_of), &targets);
        });
    }
}
