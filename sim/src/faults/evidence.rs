//! Proof that a fault happened: what it did to packets, disks and clocks, counted from the moment it began.

use pgdrill_lab::faults::{Pending, conclusion};

use super::{Kind, Line, Standing, record};
use crate::cluster::Cluster;

/// A count that grows when the fault has an effect.
pub(super) fn mark(cluster: &Cluster<'_>, kind: &Kind) -> u64 {
    match kind {
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
    }
}

/// What has been made durable on a host: bytes of WAL, revisions of etcd.
fn written(cluster: &Cluster<'_>, host: &str) -> u64 {
    let wal = cluster.nodes.get(host).and_then(|n| n.machine.disk().inspect()).map_or(0, |i| i.flushed.0);
    let revision = cluster.etcd.get(host).map_or(0, |m| m.peek.applied_index());
    wal + revision
}

/// The fault is about to end: says whether it had its effect, unless that was said when it began.
pub(super) fn conclude(cluster: &Cluster<'_>, fault: &Standing) {
    if fault.verified {
        return;
    }
    let step = &cluster.scenario.timeline[fault.index];
    let line = Line { index: fault.index, repetition: fault.repetition, step };
    let effect = mark(cluster, &fault.kind).abs_diff(fault.mark);
    let lasted = cluster.journal.now().since(fault.since);
    record(cluster, &line, conclusion(&fault.kind, effect, lasted), &[]);
}

/// The scenario is over: did what was asked for come about?
pub(super) fn late(cluster: &Cluster<'_>, pending: &Pending) {
    if let Some((index, phase)) = pending.late(&cluster.recorder) {
        let step = &cluster.scenario.timeline[index];
        record(cluster, &Line { index, repetition: 0, step }, phase, &[]);
    }
}
