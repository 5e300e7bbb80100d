//! The end of a run: outstanding operations end, the end state is read, then everything is healed so that every node's rows
//! can be read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pgdrill_lab::event::What;
use pgdrill_probe::{
    Endpoint,
    observe::{read_all_rows, read_end},
};
use pgdrill_sim_engine::SimNet;

use crate::{
    cluster::{Cluster, LAB},
    faults::Faults,
};

/// How long a cluster whose faults have all been ended may take until every node can be read.
const LIMIT: Duration = Duration::from_secs(240);

pub(super) fn finish(cluster: &mut Cluster<'_>, faults: &mut Faults) {
    cluster.workload.stop();
    super::run_until(cluster, faults, cluster.scenario.until_all_is_answered());
    faults.conclude(cluster);
    read(cluster, Reading::End, Duration::from_secs(30));
    cluster.stop_observing();
    if faults.any_standing() {
        faults.end_all(cluster);
        let text = "the scenario is over; every fault is ended so that the rows of all nodes can be read".to_owned();
        cluster.journal.record(LAB, What::Note { text });
    }
    read(cluster, Reading::Rows, LIMIT);
}

#[derive(Clone, Copy)]
enum Reading {
    End,
    Rows,
}

/// Reads from the lab's own host, until done or the limit is over.
fn read(cluster: &mut Cluster<'_>, what: Reading, limit: Duration) {
    let nodes: Vec<Endpoint> = cluster.nodes.keys().map(|n| cluster.sql_endpoint(n)).collect();
    let done = Arc::new(AtomicBool::new(false));
    let all = (nodes, cluster.login(), cluster.dcs(), cluster.journal.clone(), done.clone());
    let lab = cluster.host(LAB);
    cluster.engine.spawn(lab, "reader", move || {
        let (nodes, login, dcs, journal, done) = all.clone();
        async move {
            match what {
                Reading::End => read_end(&SimNet, &nodes, &login, &dcs, &journal).await,
                Reading::Rows => read_all_rows(&SimNet, &nodes, &login, &journal, limit).await,
            }
            done.store(true, Ordering::Relaxed);
        }
    });
    let end = cluster.engine.now() + limit + Duration::from_secs(60);
    while !done.load(Ordering::Relaxed) && cluster.engine.now() < end {
        let next = cluster.engine.now() + Duration::from_secs(1);
        cluster.engine.run_until(next);
    }
}
