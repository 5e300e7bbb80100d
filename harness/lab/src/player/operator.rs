//! What an operator does: orders to agents through REST, to PostgreSQL through SQL, to etcd through its API.

use serde_json::json;

use super::{Act, At, Kind, Line, Order, Pending, Player, Reply};
use crate::{
    event::FaultPhase,
    scenario::{Action, Facts, SwitchoverSpec},
};

impl Player {
    /// A line that an operator carries out.
    pub(super) fn operate(&mut self, now: At, line: Line, targets: &[String], facts: &Facts) {
        match self.step(line).action {
            Action::Switchover(spec) => self.switchover(now, line, &spec, facts),
            Action::Failover { .. } => {
                self.order_leader(line, facts, Order::Failover { candidate: targets[0].clone() });
            }
            Action::Restart { .. } => self.order_each(line, targets, &Order::Restart),
            Action::Reinitialize { .. } => self.order_each(line, targets, &Order::Reinitialize),
            Action::ReplayPause { .. } => {
                self.order_each(line, targets, &Order::ReplayPause);
                self.stand(now, line, Kind::ReplayPaused(targets.to_vec()), 0, true);
            }
            Action::ReplayResume { .. } => {
                self.order_each(line, targets, &Order::ReplayResume);
                self.ledger.forget(&Kind::ReplayPaused(vec![]), targets);
            }
            Action::Pause(_) => {
                self.order_leader(line, facts, Order::EditConfig(json!({ "pause": true })));
                self.stand(now, line, Kind::Paused, 0, true);
            }
            Action::Resume(_) => {
                self.order_leader(line, facts, Order::EditConfig(json!({ "pause": null })));
                self.ledger.take_where(|fault| fault.kind == Kind::Paused);
            }
            Action::EditConfig(change) => self.order_leader(line, facts, Order::EditConfig(change.into())),
            Action::Compact(_) => {
                let reply = self.expect_answer(line, vec![]);
                self.act(Act::CompactEtcd { reply }, |_, _, _| {});
            }
            other => unreachable!("{} is not an operator's", other.keyword()),
        }
    }

    fn switchover(&mut self, now: At, line: Line, spec: &SwitchoverSpec, facts: &Facts) {
        let step = self.step(line);
        let named =
            |of: &Option<_>| of.as_ref().and_then(|s| self.ledger.resolve(s, &step, line, facts).into_iter().next());
        let Some(leader) = named(&spec.leader).or_else(|| facts.leader.clone()) else {
            let why = "nobody leads whom one could switch away from".to_owned();
            return self.say(now, line, FaultPhase::Refused { why }, &[]);
        };
        let candidate = named(&spec.candidate);
        self.order_leader(line, facts, Order::Switchover { leader, candidate, after: spec.after.map(|s| s.0) });
    }

    /// To the leader's agent, or where nobody leads to a replica's: `patronictl` does not mind which.
    fn order_leader(&mut self, line: Line, facts: &Facts, order: Order) {
        self.order(line, agent_to_ask(facts), order);
    }

    fn order_each(&mut self, line: Line, targets: &[String], order: &Order) {
        for target in targets {
            self.order(line, target.clone(), order.clone());
        }
    }

    fn order(&mut self, line: Line, to: String, order: Order) {
        let reply = self.expect_answer(line, vec![to.clone()]);
        self.act(Act::Order { to, order, reply }, |_, _, _| {});
    }

    fn expect_answer(&mut self, line: Line, targets: Vec<String>) -> Reply {
        let text = self.scenario.timeline[line.index].action.to_string();
        let reply = Reply::to_line(self.recorder.clone(), line, text, targets);
        self.pending.push(Pending::Answer { index: line.index, answered: reply.answered() });
        reply
    }

    /// An order that undoes a fault.
    pub(super) fn order_quietly(&mut self, to: String, order: Order) {
        let reply = Reply::to_undoing(self.recorder.clone(), to.clone());
        self.act(Act::Order { to, order, reply }, |_, _, _| {});
    }
}

/// Whose agent takes an order about the whole cluster.
pub(super) fn agent_to_ask(facts: &Facts) -> String {
    facts.leader.as_ref().or_else(|| facts.replicas.first()).unwrap_or(&facts.nodes[0]).clone()
}
