//! The observers, in the lab's own process: the scope's keys, each node's SQL and REST, the router, and the processes of every
//! host.

use std::time::Duration;

use pgdrill_lab::world::HAPROXY;
use pgdrill_net::TokioNet;
use pgdrill_probe::observe::{RestTarget, Routed, probe_rest, probe_sql, watch_haproxy, watch_scope};
use tokio::task::{JoinSet, spawn_local};

use crate::{
    cluster::{Cluster, Kind},
    ports,
};

/// Between two looks at one node.
const PERIOD: Duration = Duration::from_secs(1);

/// Those who look. They stop when this is dropped.
pub(super) struct Observers {
    looking: JoinSet<()>,
    /// Who follows processes is not stopped with the others: faults are still ended then.
    following: JoinSet<String>,
    routed: Option<Routed>,
}

impl Observers {
    /// Starts to look.
    pub(super) fn start(cluster: &Cluster) -> Self {
        let mut looking = JoinSet::new();
        looking.spawn_local(watch_scope(TokioNet, cluster.dcs(), cluster.journal.clone()));
        let nodes = cluster.names(Kind::Node);
        for (i, node) in nodes.iter().enumerate() {
            // Spread over the period, so that one instant is not looked at by all.
            let phase = PERIOD.mul_f64(i as f64 / nodes.len() as f64);
            let journal = cluster.journal.clone();
            looking.spawn_local(probe_sql(
                TokioNet,
                cluster.sql_endpoint(node),
                cluster.login(),
                PERIOD,
                phase,
                journal.clone(),
            ));
            let paths = ["/primary", "/replica"].map(str::to_owned).to_vec();
            let target = RestTarget { agent: cluster.rest_endpoint(node), paths, period: PERIOD };
            looking.spawn_local(probe_rest(TokioNet, target, phase, journal));
        }
        let routed = cluster.hosts.contains_key(HAPROXY).then(Routed::default);
        if let Some(routed) = &routed {
            let statistics = cluster.endpoint(HAPROXY, ports::STATISTICS);
            looking.spawn_local(watch_haproxy(TokioNet, statistics, routed.clone(), cluster.journal.clone()));
        }
        Self { looking, following: follow(cluster), routed }
    }

    /// The servers that the router takes for up, where there is a router.
    pub(super) fn routed(&self) -> Option<Vec<String>> {
        self.routed.as_ref().map(Routed::servers)
    }

    /// Nobody looks any more: what is done to the cluster from now on is not part of the run.
    pub(super) fn stop(&mut self) {
        self.looking.abort_all();
    }

    /// None of them ends by itself: one that has is a fault of the lab.
    pub(super) fn check(&mut self) -> Result<(), String> {
        let looking = self.looking.try_join_next().map(|ended| ended.map(|()| "an observer has ended".to_owned()));
        match looking.or_else(|| self.following.try_join_next()) {
            None => Ok(()),
            Some(Ok(why)) => Err(why),
            Some(Err(why)) => Err(format!("an observer has ended: {why}")),
        }
    }
}

fn follow(cluster: &Cluster) -> JoinSet<String> {
    let mut following = JoinSet::new();
    for host in cluster.followed() {
        let cluster = cluster.clone();
        following.spawn_local(async move { cluster.follow_processes(&host).await });
    }
    following
}

/// Keeps a future going on the lab's thread.
pub(super) fn beside<R: 'static>(work: impl Future<Output = R> + 'static) -> tokio::task::JoinHandle<R> {
    spawn_local(work)
}
