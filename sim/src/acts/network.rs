//! Links and names.

use pgdrill_lab::{
    player::{Evidence, LinkState},
    scenario::Route,
};
use pgdrill_sim_engine::Dns;

use crate::cluster::Cluster;

/// The engine's largest probability of loss: at 1 it would be a cut.
const MOST: f64 = 0.99;

/// Makes links so.
pub(super) fn shape(cluster: &mut Cluster<'_>, links: &[(Route, LinkState)]) {
    for (route, state) in links {
        let (from, to) = (cluster.host(&route.from), cluster.host(&route.to));
        match (cluster.engine.is_cut(from, to), state.is_cut) {
            (false, true) => cluster.engine.cut(from, to),
            (true, false) => cluster.engine.heal(from, to),
            _ => {}
        }
        let late = state.late.unwrap_or_default();
        cluster.engine.set_delay(from, to, late.add, late.jitter);
        cluster.engine.set_bandwidth(from, to, state.bytes_per_second);
        cluster.engine.set_loss(from, to, state.loss.unwrap_or(0.0).min(MOST));
    }
}

/// Names resolve, or questions about them are left unanswered.
pub(super) fn answer_names(cluster: &mut Cluster<'_>, hosts: Vec<String>, answers: bool) -> Evidence {
    let dns = if answers { Dns::Answers } else { Dns::Silent };
    for host in &hosts {
        let host = cluster.host(host);
        cluster.engine.set_dns(host, dns);
    }
    Evidence::on(hosts)
}
