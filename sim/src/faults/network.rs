//! Faults of the network: cuts, delays, loss, names that do not resolve.

use std::time::Duration;

use pgdrill_lab::{
    event::FaultPhase,
    faults::hosts_of,
    scenario::{Action, Link, Route},
};
use pgdrill_sim_engine::Dns;

use super::{Faults, Kind, Line, record};
use crate::cluster::Cluster;

impl Faults {
    pub(super) fn break_network(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, targets: &[String]) {
        let kind = match &line.step.action {
            Action::Cut(link) => Kind::Cut(self.routes(cluster, link)),
            Action::Delay(spec) => Kind::Delay(self.routes(cluster, &spec.link)),
            Action::Loss(spec) => Kind::Loss(self.routes(cluster, &spec.link)),
            Action::Bandwidth(spec) => Kind::Bandwidth(self.routes(cluster, &spec.link)),
            _ => Kind::NoDns(targets.to_vec()),
        };
        if kind.routes().is_empty() && !matches!(kind, Kind::NoDns(_)) {
            let why = "one side of the link matched no host at that moment".to_owned();
            return record(cluster, line, FaultPhase::Vacuous { why }, targets);
        }
        // Counted before it begins: what it does to the first packet is its effect.
        self.stand(cluster, line, kind.clone(), false);
        for route in kind.routes() {
            let (from, to) = (cluster.host(&route.from), cluster.host(&route.to));
            match &line.step.action {
                Action::Cut(_) if self.cuts.add(route) => cluster.engine.cut(from, to),
                Action::Delay(spec) => cluster.engine.set_delay(from, to, spec.add.0, spec.jitter.0),
                Action::Bandwidth(spec) => {
                    cluster.engine.set_bandwidth(from, to, Some(spec.rate.per_second.bytes));
                }
                Action::Loss(spec) => cluster.engine.set_loss(from, to, spec.probability.min(MOST)),
                _ => {}
            }
        }
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

    /// Ends a cut; a link that another fault cuts as well stays cut.
    pub(super) fn mend(&mut self, cluster: &mut Cluster<'_>, routes: &[Route]) -> Vec<String> {
        for route in routes {
            if self.cuts.remove(route) {
                let (from, to) = (cluster.host(&route.from), cluster.host(&route.to));
                cluster.engine.heal(from, to);
            }
        }
        hosts_of(routes)
    }
}

/// The engine's largest probability of loss: at 1 it would be a cut.
const MOST: f64 = 0.99;

/// Ends delay, loss or a narrow link.
pub(super) fn restore(cluster: &mut Cluster<'_>, kind: &Kind, routes: &[Route]) -> Vec<String> {
    for route in routes {
        let (from, to) = (cluster.host(&route.from), cluster.host(&route.to));
        match kind {
            Kind::Delay(_) => cluster.engine.set_delay(from, to, Duration::ZERO, Duration::ZERO),
            Kind::Bandwidth(_) => cluster.engine.set_bandwidth(from, to, None),
            _ => cluster.engine.set_loss(from, to, 0.0),
        }
    }
    hosts_of(routes)
}

/// Names resolve again.
pub(super) fn restore_dns(cluster: &mut Cluster<'_>, hosts: &[String]) -> Vec<String> {
    for host in hosts {
        let host = cluster.host(host);
        cluster.engine.set_dns(host, Dns::Answers);
    }
    hosts.to_vec()
}
