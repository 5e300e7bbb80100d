//! The end of a fault: whether it had its effect, and how it is undone.

use serde_json::json;

use super::{
    Act, Kind, LinkState, Order, Player, Standing, operator,
    words::{conclusion, hosts_of},
};
use crate::{
    event::FaultPhase,
    scenario::{ClockRate, Route},
};

impl Player {
    /// Ends faults, which are out of the ledger already: says whether they had their effect, and undoes them.
    pub(super) fn end(&mut self, ending: Vec<Standing>) {
        for fault in ending {
            self.conclude_fault(fault.clone());
            self.undo(fault);
        }
    }

    /// Says whether a fault had its effect, unless that was said when it began.
    pub(super) fn conclude_fault(&mut self, fault: Standing) {
        if fault.verified {
            return;
        }
        self.act(Act::Count(fault.kind.clone()), move |player, now, evidence| {
            let (count, words) = evidence.count();
            let mut phase = conclusion(&fault.kind, count.abs_diff(fault.mark), now.since(fault.since));
            if let FaultPhase::Verified { evidence } = &mut phase {
                evidence.push_str(&words);
            }
            player.say(now, fault.line, phase, &[]);
        });
    }

    /// The same of a fault that ends on some of its hosts. Where it has had no effect yet, and goes on elsewhere, it may still have.
    pub(super) fn conclude_on(&mut self, fault: Standing, ending: &[String]) {
        let mut left = fault.kind.clone();
        if let Some(hosts) = left.hosts_mut() {
            hosts.retain(|host| !ending.contains(host));
        }
        let line = fault.line;
        if left.hosts().is_empty() {
            self.conclude_fault(fault);
            return self.then(move |player, _| player.ledger.verify(line));
        }
        self.act(Act::Count(fault.kind.clone()), move |player, now, evidence| {
            let effect = evidence.count().0.abs_diff(fault.mark);
            if effect > 0 {
                player.ledger.verify(line);
                return player.say(now, line, conclusion(&fault.kind, effect, now.since(fault.since)), &[]);
            }
            player.act(Act::Count(left), move |player, _, evidence| player.ledger.mark(line, evidence.count().0));
        });
    }

    /// Undoes one fault, which is out of the ledger already, and says so. What another one keeps up stays as that has it.
    pub(super) fn undo(&mut self, fault: Standing) {
        self.then(move |player, _| {
            let freed = player.ledger.freed(&fault.kind);
            match &fault.kind {
                Kind::Cut(routes) | Kind::Delay(routes, _) | Kind::Loss(routes, _) | Kind::Bandwidth(routes, _) => {
                    player.shape(routes);
                    player.ended(&fault, hosts_of(routes));
                }
                Kind::Drift(hosts, _) => {
                    player.run_clocks(hosts);
                    player.ended(&fault, hosts.clone());
                }
                Kind::SlowFsync(hosts, _) => {
                    player.slow_fsyncs(hosts);
                    player.ended(&fault, hosts.clone());
                }
                Kind::ReplayPaused(_) => {
                    for host in &freed {
                        player.order_quietly(host.clone(), Order::ReplayResume);
                    }
                    player.ended(&fault, freed);
                }
                Kind::Paused if player.ledger.is_paused() => player.ended(&fault, vec![]),
                Kind::Paused => player.resume(fault),
                Kind::NoDns(_) => player.undo_by(fault, Act::Dns { hosts: freed, answers: true }),
                Kind::Down(process, _) => {
                    let process = *process;
                    player.undo_by(fault, Act::Start { process, hosts: freed, wipe: false });
                }
                Kind::Dark(_) => player.undo_by(fault, Act::PowerOn { hosts: freed }),
                Kind::Frozen(process, _) => {
                    let process = *process;
                    player.undo_by(fault, Act::Thaw { process, hosts: freed });
                }
                Kind::Full(_) => player.undo_by(fault, Act::FreeDisks { hosts: freed }),
            }
        });
    }

    fn undo_by(&mut self, fault: Standing, act: Act) {
        self.act(act, move |player, now, evidence| player.say(now, fault.line, FaultPhase::Ended, &evidence.hosts()));
    }

    fn ended(&mut self, fault: &Standing, hosts: Vec<String>) {
        let line = fault.line;
        self.then(move |player, now| player.say(now, line, FaultPhase::Ended, &hosts));
    }

    /// Maintenance mode ends.
    fn resume(&mut self, fault: Standing) {
        self.act(Act::Look, move |player, _, evidence| {
            let to = operator::agent_to_ask(&player.facts(&evidence.seen()));
            player.order_quietly(to.clone(), Order::EditConfig(json!({ "pause": null })));
            player.ended(&fault, vec![to]);
        });
    }

    /// Makes links as the standing faults have them: as they are by nature where none stands any more.
    pub(super) fn shape(&mut self, routes: &[Route]) {
        let state = |route: &Route| LinkState {
            is_cut: self.ledger.is_cut(route),
            late: self.ledger.lateness_of(route),
            loss: self.ledger.loss_of(route),
            bytes_per_second: self.ledger.bandwidth_of(route),
        };
        let links = routes.iter().map(|route| (route.clone(), state(route))).collect();
        self.act(Act::Links(links), |_, _, _| {});
    }

    /// Clocks run as fast as the standing faults say, and right where none stands.
    pub(super) fn run_clocks(&mut self, hosts: &[String]) {
        let rate = |host: &String| self.ledger.clock_rate_of(host).unwrap_or(ClockRate { factor: 1.0 });
        let clocks = hosts.iter().map(|host| (host.clone(), rate(host))).collect();
        self.act(Act::RunClocks(clocks), |_, _, _| {});
    }

    /// fsync takes as much longer as the standing faults say.
    pub(super) fn slow_fsyncs(&mut self, hosts: &[String]) {
        let delay = |host: &String| self.ledger.fsync_delay_of(host).unwrap_or_default();
        let disks = hosts.iter().map(|host| (host.clone(), delay(host))).collect();
        self.act(Act::SlowFsyncs(disks), |_, _, _| {});
    }
}
