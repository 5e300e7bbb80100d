//! Faults of disks: no space, slow fsync.

use std::time::Duration;

use pgdrill_lab::{event::FaultPhase, scenario::Action};

use super::{Faults, Kind, Line, record};
use crate::cluster::Cluster;

impl Faults {
    pub(super) fn on_disks(&mut self, cluster: &mut Cluster<'_>, line: &Line<'_>, targets: &[String]) {
        match &line.step.action {
            Action::DiskFull { .. } => {
                self.stand(cluster, line, Kind::Full(targets.to_vec()), false);
                for node in targets.iter().filter_map(|h| cluster.nodes.get(h)) {
                    node.machine.disk().set_full(true);
                }
            }
            Action::DiskFree { .. } => {
                let full = |s: &super::Standing| matches!(&s.kind, Kind::Full(hosts) if hosts.iter().any(|h| targets.contains(h)));
                let ending = self.ledger.take_where(full);
                let ended = ending.len();
                self.end(cluster, ending);
                let phase = match ended {
                    0 => FaultPhase::Vacuous { why: "the disk was not full".to_owned() },
                    _ => FaultPhase::Verified { evidence: "there is space again".to_owned() },
                };
                record(cluster, line, phase, targets);
            }
            Action::SlowFsync { delay, .. } => {
                self.stand(cluster, line, Kind::SlowFsync(targets.to_vec()), false);
                set_delay(cluster, targets, delay.0);
            }
            other => unreachable!("{} is not about disks", other.keyword()),
        }
    }
}

/// There is space again.
pub(super) fn free(cluster: &Cluster<'_>, hosts: &[String]) -> Vec<String> {
    for node in hosts.iter().filter_map(|h| cluster.nodes.get(h)) {
        node.machine.disk().set_full(false);
    }
    hosts.to_vec()
}

/// fsync takes as long as it did.
pub(super) fn fast(cluster: &Cluster<'_>, hosts: &[String]) -> Vec<String> {
    set_delay(cluster, hosts, Duration::ZERO);
    hosts.to_vec()
}

fn set_delay(cluster: &Cluster<'_>, hosts: &[String], delay: Duration) {
    for host in hosts {
        // An etcd member on a node has a disk of its own, as etcd's manual advises.
        if let Some(node) = cluster.nodes.get(host) {
            node.machine.disk().set_fsync_delay(delay);
        } else if let Some(member) = cluster.etcd.get(host) {
            member.disk.set_fsync_delay(delay);
        }
    }
}
