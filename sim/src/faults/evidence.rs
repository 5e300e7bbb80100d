//! Proof that a fault happened: what it did to packets, disks and clocks, counted from the moment it began.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use pgdrill_lab::{
    event::{At, Event, FaultPhase, ProcessState, What},
    scenario::Process,
};

use super::{Kind, Line, Standing, record};
use crate::cluster::Cluster;

/// What shows only later.
pub(super) enum Pending {
    /// A process that was asked to end.
    Gone { index: usize, process: Process, hosts: Vec<String>, since: At },
    /// An order that was given.
    Answer { index: usize, answered: Arc<AtomicBool> },
}

/// A count that grows when the fault has an effect.
pub(super) fn mark(cluster: &Cluster<'_>, kind: &Kind) -> u64 {
    match kind {
        Kind::Cut(routes) | Kind::Delay(routes) | Kind::Loss(routes) => routes
            .iter()
            .map(|r| cluster.engine.link_stats(cluster.host(&r.from), cluster.host(&r.to)).affected())
            .sum(),
        Kind::Full(hosts) => {
            let refused = |h: &String| cluster.nodes.get(h).map_or(0, |n| n.machine.disk().lock().refused_for_space);
            hosts.iter().map(refused).sum()
        }
        Kind::SlowFsync(hosts) => hosts.iter().map(|h| written(cluster, h)).sum(),
        Kind::Drift(hosts) => hosts.iter().map(|h| cluster.engine.clock_error_ns(cluster.host(h)).unsigned_abs()).sum(),
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
    let lasted = (cluster.engine.now() - fault.since).as_secs_f64();
    let phase = if effect > 0 {
        FaultPhase::Verified { evidence: format!("{} in {lasted:.1} s", describe(&fault.kind, effect)) }
    } else {
        FaultPhase::Vacuous { why: nothing(&fault.kind) }
    };
    record(cluster, &line, phase, &[]);
}

fn describe(kind: &Kind, effect: u64) -> String {
    match kind {
        Kind::Cut(_) => format!("{effect} packets held"),
        Kind::Delay(_) => format!("{effect} packets delayed"),
        Kind::Loss(_) => format!("{effect} packets lost at first"),
        Kind::Full(_) => format!("{effect} writes failed for lack of space"),
        Kind::SlowFsync(_) => format!("{effect} bytes or entries written through slow fsyncs"),
        _ => format!("clocks off by another {:.3} s", effect as f64 / 1e9),
    }
}

fn nothing(kind: &Kind) -> String {
    match kind {
        Kind::Cut(_) | Kind::Delay(_) | Kind::Loss(_) => "no packet was affected",
        Kind::Full(_) => "nothing was written that needed space",
        Kind::SlowFsync(_) => "nothing was written",
        Kind::NoDns(_) => "no name was looked up: the hosts of the simulator know each other by address",
        _ => "nothing changed",
    }
    .to_owned()
}

fn has_ended(cluster: &Cluster<'_>, process: Process, host: &str, since: At) -> bool {
    let end = |e: &Event| match &e.what {
        What::Process { process: p, state: ProcessState::Exited | ProcessState::Killed, .. } => {
            (e.node == host && p == process.name() && e.at >= since).then_some(())
        }
        _ => None,
    };
    cluster.recorder.last(end).is_some()
}

/// The scenario is over: did what was asked for come about?
pub(super) fn late(cluster: &Cluster<'_>, pending: &Pending) {
    let (index, phase) = match pending {
        Pending::Gone { index, process, hosts, since } => {
            let still: Vec<&String> = hosts.iter().filter(|h| !has_ended(cluster, *process, h, *since)).collect();
            let phase = match still.as_slice() {
                [] => FaultPhase::Verified { evidence: format!("{process} ended on {}", hosts.join(", ")) },
                _ => FaultPhase::Vacuous { why: format!("{process} never ended on {still:?}") },
            };
            (*index, phase)
        }
        Pending::Answer { answered, .. } if answered.load(Ordering::Relaxed) => return,
        Pending::Answer { index, .. } => {
            (*index, FaultPhase::Vacuous { why: "nobody answered until the end".to_owned() })
        }
    };
    let step = &cluster.scenario.timeline[index];
    record(cluster, &Line { index, repetition: 0, step }, phase, &[]);
}
