//! Bringing the cluster up: the scenario's clock starts when one node leads, every other streams from it, and the router
//! knows.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pgdrill_lab::event::{SqlState, What};
use pgdrill_probe::{Connection, workload::CREATE_TABLE};
use pgdrill_sim_engine::SimNet;

use crate::cluster::{Cluster, LAB, draw};

/// A cluster that is not up by then never will be: bootstrap, two loops and a base backup take far less.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs until the cluster is up, creates the workload's table, and lets a part of a loop go by that depends on the seed, so
/// that faults meet every phase of it.
pub(super) fn bring_up(cluster: &mut Cluster<'_>, seed: u64) -> Result<(), String> {
    let second = Duration::from_secs(1);
    loop {
        let now = cluster.engine.now();
        cluster.engine.run_until(now + second);
        match missing(cluster) {
            None => break,
            Some(what) if now > LIMIT => {
                return Err(format!("the cluster did not come up within {} s: {what}", LIMIT.as_secs()));
            }
            Some(_) => {}
        }
    }
    create_table(cluster)?;
    let loop_wait_ms = u64::from(cluster.scenario.cluster.patroni.loop_wait) * 1000;
    let phase = Duration::from_millis(draw(seed, 1 << 40) % loop_wait_ms.max(1));
    let now = cluster.engine.now();
    cluster.engine.run_until(now + second + phase);
    Ok(())
}

/// What the cluster still lacks.
fn missing(cluster: &Cluster<'_>) -> Option<String> {
    let leader = cluster.recorder.last(|e| match &e.what {
        What::Dcs { key, value, .. } if key == "leader" => Some(value.clone()),
        _ => None,
    });
    let Some(Some(leader)) = leader else { return Some("nobody holds the leader lock".to_owned()) };
    let mut states: BTreeMap<&String, SqlState> = BTreeMap::new();
    for node in cluster.nodes.keys() {
        let newest = cluster.recorder.last(|e| match &e.what {
            What::Sql { state, .. } if e.node == *node => Some(state.clone()),
            _ => None,
        });
        let Some(Some(state)) = newest else { return Some(format!("{node} does not answer SQL")) };
        states.insert(node, state);
    }
    for (node, state) in &states {
        let streams = state.streaming_from.as_ref().and_then(|h| cluster.addresses.name_of(h));
        if **node == leader {
            if state.in_recovery {
                return Some(format!("{node} leads but is in recovery"));
            }
        } else if !state.in_recovery || streams.is_none() {
            return Some(format!("{node} does not stream"));
        }
    }
    unsynchronised(cluster).or_else(|| unrouted(cluster, &leader))
}

/// In synchronous mode `/sync` must name a standby first: before, the mode promises nothing.
fn unsynchronised(cluster: &Cluster<'_>) -> Option<String> {
    let spec = &cluster.scenario.cluster;
    let off = spec.patroni.synchronous_mode == pgdrill_lab::scenario::SynchronousMode::Off;
    if off || spec.nodes < 2 {
        return None;
    }
    let named = cluster.recorder.last(|e| match &e.what {
        What::Dcs { key, value: Some(value), .. } if key == "sync" => Some(value.contains("\"sync_standby\":\"")),
        _ => None,
    });
    (named != Some(true)).then(|| "/sync names no standby".to_owned())
}

fn unrouted(cluster: &Cluster<'_>, leader: &str) -> Option<String> {
    let routed = cluster.routed();
    let wrong = cluster.haproxy.is_some() && routed != [leader.to_owned()];
    wrong.then(|| format!("HAProxy routes to {routed:?} and not to {leader}"))
}

fn create_table(cluster: &mut Cluster<'_>) -> Result<(), String> {
    let result = Arc::new(Mutex::new(None));
    let leader = cluster.recorder.last(|e| match &e.what {
        What::Dcs { key, value, .. } if key == "leader" => value.clone(),
        _ => None,
    });
    let (server, login) = (cluster.sql_endpoint(&leader.unwrap_or_default()), cluster.login());
    let (lab, slot) = (cluster.host(LAB), result.clone());
    cluster.engine.spawn(lab, "create table", move || {
        let (server, login, slot) = (server.clone(), login.clone(), slot.clone());
        async move {
            let limit = Duration::from_secs(5);
            let done = match Connection::open(&SimNet, &server, &login, "pgdrill-lab", limit).await {
                Err(e) => Err(e.to_string()),
                Ok(connection) => match connection.query(CREATE_TABLE, limit).await {
                    Some(Ok(_)) => Ok(()),
                    Some(Err(e)) => Err(e.to_string()),
                    None => Err("no answer in time".to_owned()),
                },
            };
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        }
    });
    let now = cluster.engine.now();
    cluster.engine.run_until(now + Duration::from_secs(10));
    let done = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    done.unwrap_or_else(|| Err("no answer".to_owned()))
        .map_err(|why| format!("cannot create the workload's table: {why}"))
}
