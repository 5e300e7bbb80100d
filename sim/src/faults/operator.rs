//! What an operator does: orders to agents through REST, to PostgreSQL through SQL, from the lab's own host.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use pgdrill_lab::{
    event::{FaultPhase, What},
    scenario::{Action, SwitchoverSpec},
};
use pgdrill_probe::operate::{Order, compact, order};
use pgdrill_sim_engine::SimNet;
use serde_json::json;

use super::{Faults, Kind, Line, Pending, facts, record};
use crate::cluster::{Cluster, LAB};

impl Faults {
    pub(super) fn operate(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, targets: &[String]) {
        match &line.step.action {
            Action::Switchover(spec) => self.switchover(cluster, line, spec),
            Action::Failover { .. } => {
                self.order_leader(cluster, line, Order::Failover { candidate: targets[0].clone() })
            }
            Action::Restart { .. } => self.order_each(cluster, line, targets, &Order::Restart),
            Action::Reinitialize { .. } => self.order_each(cluster, line, targets, &Order::Reinitialize),
            Action::ReplayPause { .. } => {
                self.order_each(cluster, line, targets, &Order::ReplayPause);
                self.stand(cluster, line, Kind::ReplayPaused(targets.to_vec()), true);
            }
            Action::ReplayResume { .. } => {
                self.order_each(cluster, line, targets, &Order::ReplayResume);
                self.ledger.take_where(|s| matches!(&s.kind, Kind::ReplayPaused(hosts) if hosts == targets));
            }
            Action::Pause(_) => {
                self.order_leader(cluster, line, Order::EditConfig(json!({ "pause": true })));
                self.stand(cluster, line, Kind::Paused, true);
            }
            Action::Resume(_) => {
                self.order_leader(cluster, line, Order::EditConfig(json!({ "pause": null })));
                self.ledger.take_where(|s| s.kind == Kind::Paused);
            }
            Action::EditConfig(change) => self.order_leader(cluster, line, Order::EditConfig(change.clone().into())),
            Action::Compact(_) => self.compact(cluster, line),
            other => unreachable!("{} is not an operator's", other.keyword()),
        }
    }

    fn switchover(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, spec: &SwitchoverSpec) {
        let facts = self.facts(cluster);
        let named = spec.leader.as_ref().and_then(|s| self.ledger.resolve(s, &facts).into_iter().next());
        let Some(leader) = named.or_else(|| facts.leader.clone()) else {
            let why = "nobody leads whom one could switch away from".to_owned();
            return record(cluster, line, FaultPhase::Refused { why }, &[]);
        };
        let candidate = spec.candidate.as_ref().and_then(|s| self.ledger.resolve(s, &facts).into_iter().next());
        let order = Order::Switchover { leader, candidate, after: spec.after.map(|s| s.0) };
        self.order_leader(cluster, line, order);
    }

    /// To the leader's agent, or to any that runs: `patronictl` does not mind which.
    fn order_leader(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, order: Order) {
        let facts = self.facts(cluster);
        let to = facts.leader.or_else(|| facts.replicas.first().cloned()).unwrap_or_else(|| facts.nodes[0].clone());
        self.give(cluster, line, &to, order);
    }

    fn order_each(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, targets: &[String], order: &Order) {
        for target in targets {
            self.give(cluster, line, target, order.clone());
        }
    }

    fn give(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, to: &str, what: Order) {
        let answered = self.expect_answer(line);
        give(cluster, line, to, what, answered);
    }

    fn compact(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>) {
        let answered = self.expect_answer(line);
        let (journal, dcs) = (cluster.journal.clone(), cluster.dcs());
        let (index, text) = (line.index, line.step.action.to_string());
        let lab = cluster.host(LAB);
        cluster.engine.spawn(lab, "operator", move || {
            let (journal, dcs, text, answered) = (journal.clone(), dcs.clone(), text.clone(), answered.clone());
            async move {
                let phase = phase_of(compact(&SimNet, &dcs).await);
                answered.store(true, Ordering::Relaxed);
                journal.record(LAB, What::Fault { index, text, phase, targets: vec![] });
            }
        });
    }

    fn expect_answer(&mut self, line: &Line<'_>) -> Arc<AtomicBool> {
        let answered = Arc::new(AtomicBool::new(false));
        self.pending.push(Pending::Answer { index: line.index, answered: answered.clone() });
        answered
    }
}

fn give(cluster: &mut Cluster<'_>, line: &Line<'_>, to: &str, what: Order, answered: Arc<AtomicBool>) {
    let (rest, sql, login) = (cluster.rest_endpoint(to), cluster.sql_endpoint(to), cluster.login());
    let all = (cluster.journal.clone(), rest, sql, login, what, line.step.action.to_string(), answered);
    let (index, lab) = (line.index, cluster.host(LAB));
    cluster.engine.spawn(lab, "operator", move || {
        let (journal, rest, sql, login, what, text, answered) = all.clone();
        async move {
            let phase = phase_of(order(&SimNet, &rest, &sql, &login, &what).await);
            answered.store(true, Ordering::Relaxed);
            journal.record(LAB, What::Fault { index, text, phase, targets: vec![rest.name] });
        }
    });
}

fn phase_of(answer: Result<String, String>) -> FaultPhase {
    match answer {
        Ok(evidence) => FaultPhase::Verified { evidence },
        Err(why) => FaultPhase::Refused { why },
    }
}

/// Replay goes on: the end of a `for:`.
pub(super) fn resume_replay(cluster: &mut Cluster<'_>, hosts: &[String]) -> Vec<String> {
    for host in hosts {
        quietly(cluster, host, Order::ReplayResume);
    }
    hosts.to_vec()
}

/// Maintenance mode ends: the end of a `for:`.
pub(super) fn resume(cluster: &mut Cluster<'_>) -> Vec<String> {
    let leader = facts(cluster, &std::collections::BTreeMap::new()).leader;
    let to = leader.or_else(|| cluster.nodes.keys().next().cloned()).unwrap_or_default();
    quietly(cluster, &to, Order::EditConfig(json!({ "pause": null })));
    vec![to]
}

/// Undoing is not an order of the scenario: a refusal (a replica that was promoted meanwhile replays nothing) is no violation.
fn quietly(cluster: &mut Cluster<'_>, to: &str, what: Order) {
    let all = (cluster.journal.clone(), cluster.rest_endpoint(to), cluster.sql_endpoint(to), cluster.login(), what);
    let lab = cluster.host(LAB);
    cluster.engine.spawn(lab, "operator", move || {
        let (journal, rest, sql, login, what) = all.clone();
        async move {
            let text = match order(&SimNet, &rest, &sql, &login, &what).await {
                Ok(answer) => format!("undone: {answer}"),
                Err(why) => format!("could not be undone: {why}"),
            };
            journal.record(&rest.name, What::Note { text });
        }
    });
}
