//! Reading the end of a run from the lab's own host.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pgdrill_probe::{
    Endpoint,
    observe::{read_all_rows, read_end},
};
use pgdrill_sim_engine::SimNet;

use crate::cluster::{Cluster, LAB};

/// Every node answers or does not within this time.
const END_LIMIT: Duration = Duration::from_secs(30);

/// How long a cluster whose faults have all been ended may take until every node can be read.
const ROWS_LIMIT: Duration = Duration::from_secs(240);

/// Reads in which state everybody is.
pub(crate) fn end(cluster: &mut Cluster<'_>) {
    read(cluster, Reading::End, END_LIMIT);
}

/// Reads the rows of every node.
pub(crate) fn rows(cluster: &mut Cluster<'_>) {
    read(cluster, Reading::Rows, ROWS_LIMIT);
}

#[derive(Clone, Copy)]
enum Reading {
    End,
    Rows,
}

/// Until done or the limit is over.
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
