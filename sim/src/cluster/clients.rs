//! The workload's processes: each client on a host of its own.

use std::time::Duration;

use pgdrill_lab::scenario::{Router, Workload};
use pgdrill_probe::{
    Endpoint,
    workload::{ClientOptions, Route, reader, writer},
};
use pgdrill_sim_engine::SimNet;

use super::{Cluster, HAPROXY};
use crate::ports;

pub(super) fn start(cluster: &mut Cluster<'_>) {
    let workload = &cluster.scenario.workload;
    let route = route(cluster);
    let login = cluster.login();
    for n in 0..workload.clients() {
        let writes = n < usize::from(workload.writers);
        let (period, phase) = pace(workload, n);
        let options = ClientOptions {
            period,
            connect_timeout: workload.connect_timeout.0,
            operation_timeout: workload.statement_timeout.0,
            reconnect_delay: workload.reconnect_delay.0,
            keys: workload.keys,
            login: login.clone(),
        };
        let name = format!("client{}", n + 1);
        let host = cluster.host(&name);
        let all = (name, route.clone(), options, cluster.workload.clone());
        cluster.engine.spawn(host, "client", move || {
            let (name, route, options, shared) = all.clone();
            async move {
                if writes {
                    writer(name, SimNet, route, options, phase, shared).await;
                } else {
                    reader(name, SimNet, route, options, phase, shared).await;
                }
            }
        });
    }
}

/// Each client's period, and a phase that spreads the clients evenly over it.
fn pace(workload: &Workload, n: usize) -> (Duration, Duration) {
    let writers = usize::from(workload.writers);
    let (rate, among, position) = if n < writers {
        (workload.rate, writers, n)
    } else {
        (workload.read_rate, usize::from(workload.readers), n - writers)
    };
    let period = rate.interval() * u32::try_from(among).unwrap_or(u32::MAX);
    (period, period.mul_f64(position as f64 / among as f64))
}

fn route(cluster: &Cluster<'_>) -> Route {
    match cluster.scenario.cluster.router {
        Router::Haproxy => Route::Proxy {
            proxy: Endpoint { name: HAPROXY.into(), host: cluster.addresses.of(HAPROXY), port: ports::PRIMARY },
            servers: cluster.addresses.reversed(),
        },
        Router::Direct => Route::Direct { hosts: cluster.nodes.keys().map(|n| cluster.sql_endpoint(n)).collect() },
    }
}
