//! What an operator does: orders to agents through REST, to PostgreSQL through SQL, to etcd through its API, from the lab's own
//! machine.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use pgdrill_lab::{
    event::{FaultPhase, What},
    faults::{Kind, Line, Pending},
    scenario::{Action, Facts, SwitchoverSpec},
    world::LAB,
};
use pgdrill_net::TokioNet;
use pgdrill_probe::{
    observe,
    operate::{Order, compact, order},
};
use serde_json::json;

use super::{Faults, record};
use crate::cluster::Cluster;

impl Faults {
    pub(super) fn operate(&mut self, cluster: &Cluster, line: &Line<'_>, targets: &[String], facts: &Facts) {
        match &line.step.action {
            Action::Switchover(spec) => self.switchover(cluster, line, spec, facts),
            Action::Failover { .. } => {
                self.order_leader(cluster, line, facts, Order::Failover { candidate: targets[0].clone() });
            }
            Action::Restart { .. } => self.order_each(cluster, line, targets, &Order::Restart),
            Action::Reinitialize { .. } => self.order_each(cluster, line, targets, &Order::Reinitialize),
            Action::ReplayPause { .. } => {
                self.order_each(cluster, line, targets, &Order::ReplayPause);
                self.stand(cluster, line, Kind::ReplayPaused(targets.to_vec()), 0, true);
            }
            Action::ReplayResume { .. } => {
                self.order_each(cluster, line, targets, &Order::ReplayResume);
                self.ledger.take_where(|s| matches!(&s.kind, Kind::ReplayPaused(hosts) if hosts == targets));
            }
            Action::Pause(_) => {
                self.order_leader(cluster, line, facts, Order::EditConfig(json!({ "pause": true })));
                self.stand(cluster, line, Kind::Paused, 0, true);
            }
            Action::Resume(_) => {
                self.order_leader(cluster, line, facts, Order::EditConfig(json!({ "pause": null })));
                self.ledger.take_where(|s| s.kind == Kind::Paused);
            }
            Action::EditConfig(change) => {
                self.order_leader(cluster, line, facts, Order::EditConfig(change.clone().into()));
            }
            Action::Compact(_) => self.compact(cluster, line),
            other => unreachable!("{} is not an operator's", other.keyword()),
        }
    }

    fn switchover(&mut self, cluster: &Cluster, line: &Line<'_>, spec: &SwitchoverSpec, facts: &Facts) {
        let named = spec.leader.as_ref().and_then(|s| self.ledger.resolve(s, facts).into_iter().next());
        let Some(leader) = named.or_else(|| facts.leader.clone()) else {
            let why = "nobody leads whom one could switch away from".to_owned();
            return record(cluster, line, FaultPhase::Refused { why }, &[]);
        };
        let candidate = spec.candidate.as_ref().and_then(|s| self.ledger.resolve(s, facts).into_iter().next());
        let order = Order::Switchover { leader, candidate, after: spec.after.map(|s| s.0) };
        self.order_leader(cluster, line, facts, order);
    }

    /// Gives an order to the leader, or where nobody leads to a replica, which says whether it is to be had.
    fn order_leader(&mut self, cluster: &Cluster, line: &Line<'_>, facts: &Facts, order: Order) {
        let to = facts.leader.as_ref().or_else(|| facts.replicas.first()).unwrap_or(&facts.nodes[0]).clone();
        self.give(cluster, line, &to, order);
    }

    fn order_each(&mut self, cluster: &Cluster, line: &Line<'_>, targets: &[String], order: &Order) {
        for target in targets {
            self.give(cluster, line, target, order.clone());
        }
    }

    /// The order is given while the run goes on; its answer is recorded when it comes.
    fn give(&mut self, cluster: &Cluster, line: &Line<'_>, to: &str, what: Order) {
        let answered = self.expect_answer(line);
        let (cluster, to) = (cluster.clone(), to.to_owned());
        let (index, text) = (line.index, line.step.action.to_string());
        tokio::spawn(async move {
            let (rest, sql, login) = (cluster.rest_endpoint(&to), cluster.sql_endpoint(&to), cluster.login());
            let phase = phase_of(order(&TokioNet, &rest, &sql, &login, &what).await);
            answered.store(true, Ordering::Relaxed);
            cluster.journal.record(LAB, What::Fault { index, text, phase, targets: vec![to] });
        });
    }

    fn compact(&mut self, cluster: &Cluster, line: &Line<'_>) {
        let answered = self.expect_answer(line);
        let cluster = cluster.clone();
        let (index, text) = (line.index, line.step.action.to_string());
        tokio::spawn(async move {
            let phase = phase_of(compact(&TokioNet, &cluster.dcs()).await);
            answered.store(true, Ordering::Relaxed);
            cluster.journal.record(LAB, What::Fault { index, text, phase, targets: vec![] });
        });
    }

    fn expect_answer(&mut self, line: &Line<'_>) -> Arc<AtomicBool> {
        let answered = Arc::new(AtomicBool::new(false));
        self.pending.push(Pending::Answer { index: line.index, answered: answered.clone() });
        answered
    }

    /// Replay goes on: the end of a `for:`.
    pub(super) fn resume_replay(&self, cluster: &Cluster, hosts: &[String]) -> Vec<String> {
        for host in hosts {
            quietly(cluster, host, Order::ReplayResume);
        }
        hosts.to_vec()
    }

    /// Maintenance mode ends: the end of a `for:`.
    pub(super) async fn resume(&self, cluster: &Cluster) -> Vec<String> {
        let facts = self.facts(cluster).await;
        let to = facts.leader.unwrap_or_else(|| facts.nodes[0].clone());
        quietly(cluster, &to, Order::EditConfig(json!({ "pause": null })));
        vec![to]
    }
}

fn phase_of(answer: Result<String, String>) -> FaultPhase {
    match answer {
        Ok(evidence) => FaultPhase::Verified { evidence },
        Err(why) => FaultPhase::Refused { why },
    }
}

/// Undoing is not an order of the scenario: a refusal (a replica that was promoted meanwhile replays nothing) is no violation.
fn quietly(cluster: &Cluster, to: &str, what: Order) {
    let (cluster, to) = (cluster.clone(), to.to_owned());
    tokio::spawn(async move {
        let (rest, sql, login) = (cluster.rest_endpoint(&to), cluster.sql_endpoint(&to), cluster.login());
        let text = match order(&TokioNet, &rest, &sql, &login, &what).await {
            Ok(answer) => format!("undone: {answer}"),
            Err(why) => format!("could not be undone: {why}"),
        };
        cluster.journal.record(&to, What::Note { text });
    });
}

/// Removes a member that has lost its disk from etcd and adds it anew, through a member that answers.
pub(super) async fn replace_member(cluster: &Cluster, host: &str) -> Result<(), String> {
    let peer = format!("http://{}:{}", cluster.address(host), crate::cluster::ports::ETCD_PEER);
    let patience = std::time::Duration::from_secs(10);
    observe::replace_member(&TokioNet, &cluster.dcs(), host, &peer, patience).await
}
