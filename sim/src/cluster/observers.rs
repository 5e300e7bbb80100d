//! The observers' processes, all on the lab's own host.

use std::time::Duration;

use pgdrill_probe::observe::{RestTarget, probe_rest, probe_sql, watch_scope};
use pgdrill_sim_engine::SimNet;

use super::{Cluster, LAB};

/// Between two looks at one node.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) fn start(cluster: &mut Cluster<'_>) {
    let lab = cluster.host(LAB);
    let (journal, dcs) = (cluster.journal.clone(), cluster.dcs());
    let follow = move || watch_scope(SimNet, dcs.clone(), journal.clone());
    cluster.observers.push(cluster.engine.spawn(lab, "dcs watcher", follow));
    let nodes: Vec<String> = cluster.nodes.keys().cloned().collect();
    for (i, node) in nodes.iter().enumerate() {
        // Spread over the period, so that one instant is not looked at by all.
        let phase = PERIOD.mul_f64(i as f64 / nodes.len() as f64);
        let (journal, server, login) = (cluster.journal.clone(), cluster.sql_endpoint(node), cluster.login());
        let sql = move || probe_sql(SimNet, server.clone(), login.clone(), PERIOD, phase, journal.clone());
        cluster.observers.push(cluster.engine.spawn(lab, &format!("sql prober of {node}"), sql));
        let journal = cluster.journal.clone();
        let paths = ["/primary", "/replica"].map(str::to_owned).to_vec();
        let target = RestTarget { agent: cluster.rest_endpoint(node), paths, period: PERIOD };
        let rest = move || probe_rest(SimNet, target.clone(), phase, journal.clone());
        cluster.observers.push(cluster.engine.spawn(lab, &format!("rest prober of {node}"), rest));
    }
}

impl Cluster<'_> {
    /// Nobody looks any more: what is done to the cluster from now on is not part of the run.
    pub(crate) fn stop_observing(&mut self) {
        for observer in std::mem::take(&mut self.observers) {
            self.engine.kill(observer);
        }
    }
}
