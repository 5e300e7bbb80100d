//! Bringing the cluster up: the scenario's clock starts when one node leads, every other streams from it, and the router
//! knows.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pgdrill_lab::world;
use pgdrill_probe::workload::create_table;
use pgdrill_sim_engine::SimNet;

use crate::cluster::{Cluster, LAB};

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
                let said = world::last_words(cluster.scenario, &cluster.recorder);
                return Err(format!("the cluster did not come up within {} s: {what}{said}", LIMIT.as_secs()));
            }
            Some(_) => {}
        }
    }
    make_table(cluster)?;
    let now = cluster.engine.now();
    cluster.engine.run_until(now + second + world::phase_of_loop(cluster.scenario, seed));
    Ok(())
}

/// What the cluster still lacks.
fn missing(cluster: &Cluster<'_>) -> Option<String> {
    let routed = cluster.haproxy.is_some().then(|| cluster.routed());
    let name_of = |address: &str| cluster.addresses.name_of(address);
    world::missing(cluster.scenario, &cluster.recorder, name_of, routed.as_deref())
}

fn make_table(cluster: &mut Cluster<'_>) -> Result<(), String> {
    let result = Arc::new(Mutex::new(None));
    // Of a standby cluster only the remote primary takes it.
    let remote = cluster.hosts.contains_key(world::REMOTE).then(|| world::REMOTE.to_owned());
    let leader = remote.or_else(|| world::holder(&cluster.recorder));
    let (server, login) = (cluster.sql_endpoint(&leader.unwrap_or_default()), cluster.login());
    let (lab, slot) = (cluster.host(LAB), result.clone());
    cluster.engine.spawn(lab, "create table", move || {
        let (server, login, slot) = (server.clone(), login.clone(), slot.clone());
        async move {
            let done = create_table(&SimNet, &server, &login).await;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        }
    });
    let now = cluster.engine.now();
    cluster.engine.run_until(now + Duration::from_secs(10));
    let done = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    done.unwrap_or_else(|| Err("no answer".to_owned())).map_err(|why| world::no_table(cluster.scenario, &why))
}
