//! The end of a run: the settled state, then every node's rows.

use std::{collections::BTreeMap, time::Duration};

use pgdrill_lab::{event::What, world::LAB};
use pgdrill_net::Net;
use tokio::time::sleep;

use super::{DcsTarget, position, read_rows, read_scope, read_slots};
use crate::{Endpoint, Journal, Login};

/// Reads the settled state: everything in the DCS, and every node's replication slots.
pub async fn read_end<N: Net>(net: &N, nodes: &[Endpoint], login: &Login, dcs: &DcsTarget, journal: &Journal) {
    let scope = read_scope(net, dcs).await;
    let mut slots = BTreeMap::new();
    for node in nodes {
        if let Ok(found) = read_slots(net, node, login).await {
            slots.insert(node.name.clone(), found);
        }
    }
    match scope {
        Ok(dcs) => journal.record(LAB, What::End { dcs, slots }),
        Err(why) => journal.record(LAB, What::Note { text: format!("the DCS cannot be read at the end: {why}") }),
    }
}

/// Waits until no standby lags, then reads every node; what cannot be read within the limit stays unread.
pub async fn read_all_rows<N: Net>(net: &N, nodes: &[Endpoint], login: &Login, journal: &Journal, limit: Duration) {
    let started = journal.now();
    while journal.now().since(started) < limit && !caught_up(net, nodes, login).await {
        sleep(Duration::from_secs(2)).await;
    }
    for node in nodes {
        if let Err(why) = read_rows(net, node, login, journal).await {
            journal.record(&node.name, What::Note { text: format!("its rows cannot be read: {why}") });
        }
    }
}

/// Whether there is one primary, and every other node has replayed all of its WAL.
async fn caught_up<N: Net>(net: &N, nodes: &[Endpoint], login: &Login) -> bool {
    let mut positions = vec![];
    for node in nodes {
        match position(net, node, login).await {
            Ok(position) => positions.push(position),
            Err(_) => return false,
        }
    }
    let primaries: Vec<u64> = positions.iter().filter(|p| p.is_primary).map(|p| p.lsn).collect();
    matches!(primaries[..], [lsn] if positions.iter().all(|p| p.lsn >= lsn))
}
