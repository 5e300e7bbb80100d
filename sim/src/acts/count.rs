//! Proof that a fault happened: what it did to packets, disks and clocks. The numbers grow with each effect.

use pgdrill_lab::player::{Evidence, Kind};

use crate::cluster::Cluster;

pub(super) fn count(cluster: &Cluster<'_>, kind: &Kind) -> Evidence {
    let number = match kind {
        Kind::Cut(routes) | Kind::Delay(routes, _) | Kind::Loss(routes, _) | Kind::Bandwidth(routes, _) => routes
            .iter()
            .map(|r| cluster.engine.link_stats(cluster.host(&r.from), cluster.host(&r.to)).affected())
            .sum(),
        Kind::Full(hosts) => {
            let refused = |h: &String| cluster.nodes.get(h).map_or(0, |n| n.machine.disk().lock().refused_for_space);
            hosts.iter().map(refused).sum()
        }
        Kind::SlowFsync(hosts, _) => hosts.iter().map(|h| written(cluster, h)).sum(),
        Kind::Drift(hosts, _) => {
            hosts.iter().map(|h| cluster.engine.clock_error_ns(cluster.host(h)).unsigned_abs()).sum()
        }
        Kind::Down(..) | Kind::Dark(_) | Kind::Frozen(..) | Kind::ReplayPaused(_) | Kind::NoDns(_) | Kind::Paused => 0,
    };
    Evidence::Count { number, words: String::new() }
}

/// What has been made durable on a host: bytes of WAL, revisions of etcd.
fn written(cluster: &Cluster<'_>, host: &str) -> u64 {
    let wal = cluster.nodes.get(host).and_then(|n| n.machine.disk().inspect()).map_or(0, |i| i.flushed.0);
    let revision = cluster.etcd.get(host).map_or(0, |m| m.peek.applied_index());
    wal + revision
}
