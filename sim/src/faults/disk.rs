//! Faults of disks: no space, slow fsync.

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
                self.stand(cluster, line, Kind::SlowFsync(targets.to_vec(), delay.0), false);
                self.set_fsync_delays(cluster, targets);
            }
            other => unreachable!("{} is not about disks", other.keyword()),
        }
    }

    /// fsync takes as much longer as the standing faults say.
    pub(super) fn set_fsync_delays(&self, cluster: &Cluster<'_>, hosts: &[String]) -> Vec<String> {
        for host in hosts {
            let delay = self.ledger.fsync_delay_of(host).unwrap_or_default();
            // An etcd member on a node has a disk of its own, as etcd's manual advises.
            if let Some(node) = cluster.nodes.get(host) {
                node.machine.disk().set_fsync_delay(delay);
            } else if let Some(member) = cluster.etcd.get(host) {
                member.disk.set_fsync_delay(delay);
            }
        }
        hosts.to_vec()
    }
}

/// There is space again.
pub(super) fn free(cluster: &Cluster<'_>, hosts: &[String]) -> Vec<String> {
    for node in hosts.iter().filter_map(|h| cluster.nodes.get(h)) {
        node.machine.disk().set_full(false);
    }
    hosts.to_vec()
}
