//! Orders of an operator: to agents through REST, to PostgreSQL through SQL, to etcd through its API, from the lab's own machine,
//! while the run goes on.

use pgdrill_lab::player::{Evidence, Order, Reply};
use pgdrill_net::TokioNet;
use pgdrill_probe::operate::{self, compact, order};

use crate::{cluster::Cluster, ports};

/// Removing an etcd member and adding it anew takes no longer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Gives an order; its answer is recorded when it comes.
pub(super) fn give(cluster: &Cluster, to: String, what: Order, reply: Reply) -> Evidence {
    let cluster = cluster.clone();
    tokio::spawn(async move {
        let (rest, sql, login) = (cluster.rest_endpoint(&to), cluster.sql_endpoint(&to), cluster.login());
        let answer = order(&TokioNet, &rest, &sql, &login, &what).await;
        reply.give(|| cluster.journal.now(), answer);
    });
    Evidence::Done
}

/// Compacts etcd's history; the answer is recorded when it comes.
pub(super) fn compact_etcd(cluster: &Cluster, reply: Reply) -> Evidence {
    let cluster = cluster.clone();
    tokio::spawn(async move {
        let answer = compact(&TokioNet, &cluster.dcs()).await;
        reply.give(|| cluster.journal.now(), answer);
    });
    Evidence::Done
}

/// Removes a member that has lost its disk from etcd and adds it anew, through a member that answers.
pub(super) async fn replace_member(cluster: &Cluster, host: &str) -> Result<(), String> {
    let peer = format!("http://{}:{}", cluster.address(host), ports::ETCD_PEER);
    operate::replace_member(&TokioNet, &cluster.dcs(), host, &peer, PATIENCE).await
}
