//! The conformance suite against the model, over the machine's own sockets and in real time.

mod cluster;
mod faults;

use cluster::LoopbackCluster;
use pgdrill_sim_etcd::conformance;

/// Runs a conformance body against a fresh cluster of `members`.
fn run(members: usize, body: impl AsyncFnOnce(&mut LoopbackCluster)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let mut cluster = LoopbackCluster::start(members).await;
        body(&mut cluster).await;
    });
}

macro_rules! on_the_model {
    ($($module:ident::$body:ident, $members:expr;)*) => {
        $(#[test]
        fn $body() {
            run($members, conformance::$module::$body);
        })*
    };
}

pgdrill_sim_etcd::for_each_conformance_body!(on_the_model);
