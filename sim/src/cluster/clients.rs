//! The workload's processes: each client on a host of its own.

use pgdrill_lab::scenario::Router;
use pgdrill_probe::{
    Endpoint,
    workload::{ClientOptions, Route, pace, reader, writer},
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
        let (_, phase) = pace(workload, n);
        let options = ClientOptions::of(workload, n, login.clone());
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

fn route(cluster: &Cluster<'_>) -> Route {
    match cluster.scenario.cluster.router {
        Router::Haproxy => Route::Proxy {
            proxy: Endpoint { name: HAPROXY.into(), host: cluster.addresses.of(HAPROXY), port: ports::PRIMARY },
            servers: cluster.addresses.reversed(),
        },
        Router::Direct => Route::Direct { hosts: cluster.nodes.keys().map(|n| cluster.sql_endpoint(n)).collect() },
    }
}
