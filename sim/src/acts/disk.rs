//! Disks: full, free, slow.

use std::time::Duration;

use pgdrill_lab::player::Evidence;

use crate::cluster::Cluster;

/// No space is left; what that does to writes is counted later.
pub(super) fn fill(cluster: &Cluster<'_>, hosts: Vec<String>) -> Evidence {
    for node in hosts.iter().filter_map(|h| cluster.nodes.get(h)) {
        node.machine.disk().set_full(true);
    }
    Evidence::on(hosts)
}

/// There is space again, on those that had none.
pub(super) fn free(cluster: &Cluster<'_>, mut hosts: Vec<String>) -> Evidence {
    hosts.retain(|host| cluster.nodes.get(host).is_some_and(|node| node.machine.disk().is_full()));
    for node in hosts.iter().filter_map(|h| cluster.nodes.get(h)) {
        node.machine.disk().set_full(false);
    }
    Evidence::on(hosts)
}

/// fsync takes so much longer. An etcd member on a node has a disk of its own, as etcd's manual advises.
pub(super) fn slow_fsyncs(cluster: &Cluster<'_>, disks: &[(String, Duration)]) {
    for (host, delay) in disks {
        if let Some(node) = cluster.nodes.get(host) {
            node.machine.disk().set_fsync_delay(*delay);
        } else if let Some(member) = cluster.etcd.get(host) {
            member.disk.set_fsync_delay(*delay);
        }
    }
}
