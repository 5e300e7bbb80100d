//! Faults of the network: cuts, delays, loss, names that do not resolve.

use pgdrill_lab::{
    event::FaultPhase,
    faults::Lateness,
    scenario::{Action, Link, Route},
};
use pgdrill_sim_engine::Dns;

use super::{Faults, Kind, Line, record};
use crate::cluster::Cluster;

impl Faults {
    pub(super) fn break_network(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, targets: &[String]) {
        let kind = match &line.step.action {
            Action::Cut(link) => Kind::Cut(self.routes(cluster, link)),
            Action::Delay(spec) => {
                let late = Lateness { add: spec.add.0, jitter: spec.jitter.0 };
                Kind::Delay(self.routes(cluster, &spec.link), late)
            }
            Action::Loss(spec) => Kind::Loss(self.routes(cluster, &spec.link), spec.probability),
            Action::Bandwidth(spec) => Kind::Bandwidth(self.routes(cluster, &spec.link), spec.rate.per_second.bytes),
            _ => Kind::NoDns(targets.to_vec()),
        };
        if kind.routes().is_empty() && !matches!(kind, Kind::NoDns(_)) {
            let why = "one side of the link matched no host at that moment".to_owned();
            return record(cluster, line, FaultPhase::Vacuous { why }, targets);
        }
        // Counted before it begins: what it does to the first packet is its effect.
        self.stand(cluster, line, kind.clone(), false);
        self.shape(cluster, kind.routes());
        if let Kind::NoDns(hosts) = &kind {
            for host in hosts {
                let host = cluster.host(host);
                cluster.engine.set_dns(host, Dns::Silent);
            }
        }
    }

    fn routes(&mut self, cluster: &Cluster<'_>, link: &Link) -> Vec<Route> {
        let facts = self.facts(cluster);
        self.ledger.routes(link, &facts)
    }

    /// Makes links as the standing faults have them: as they are by nature where none stands any more.
    pub(super) fn shape(&self, cluster: &mut Cluster<'_>, routes: &[Route]) {
        for route in routes {
            let (from, to) = (cluster.host(&route.from), cluster.host(&route.to));
            match (cluster.engine.is_cut(from, to), self.ledger.is_cut(route)) {
                (false, true) => cluster.engine.cut(from, to),
                (true, false) => cluster.engine.heal(from, to),
                _ => {}
            }
            let late = self.ledger.lateness_of(route).unwrap_or_default();
            cluster.engine.set_delay(from, to, late.add, late.jitter);
            cluster.engine.set_bandwidth(from, to, self.ledger.bandwidth_of(route));
            cluster.engine.set_loss(from, to, self.ledger.loss_of(route).unwrap_or(0.0).min(MOST));
        }
    }
}

/// The engine's largest probability of loss: at 1 it would be a cut.
const MOST: f64 = 0.99;

/// Names resolve again.
pub(super) fn restore_dns(cluster: &mut Cluster<'_>, hosts: &[String]) -> Vec<String> {
    for host in hosts {
        let host = cluster.host(host);
        cluster.engine.set_dns(host, Dns::Answers);
    }
    hosts.to_vec()
}
