//! Orders of an operator, from the lab's own host, while the run goes on.

use pgdrill_lab::player::{Order, Reply};
use pgdrill_probe::operate::{compact, order};
use pgdrill_sim_engine::SimNet;

use crate::cluster::{Cluster, LAB};

/// Gives an order to one agent, or its PostgreSQL.
pub(super) fn give(cluster: &mut Cluster<'_>, to: &str, what: Order, reply: Reply) {
    let (rest, sql, login) = (cluster.rest_endpoint(to), cluster.sql_endpoint(to), cluster.login());
    let name = operator(&reply);
    let all = (cluster.journal.clone(), rest, sql, login, what, reply);
    let lab = cluster.host(LAB);
    cluster.engine.spawn(lab, &name, move || {
        let (journal, rest, sql, login, what, reply) = all.clone();
        async move {
            let answer = order(&SimNet, &rest, &sql, &login, &what).await;
            reply.give(|| journal.now(), answer);
        }
    });
}

/// Compacts etcd's history.
pub(super) fn compact_etcd(cluster: &mut Cluster<'_>, reply: Reply) {
    let name = operator(&reply);
    let all = (cluster.journal.clone(), cluster.dcs(), reply);
    let lab = cluster.host(LAB);
    cluster.engine.spawn(lab, &name, move || {
        let (journal, dcs, reply) = all.clone();
        async move {
            let answer = compact(&SimNet, &dcs).await;
            reply.give(|| journal.now(), answer);
        }
    });
}

/// An operator of its own for each order: what one draws depends on its name, and not on who else orders something.
fn operator(reply: &Reply) -> String {
    format!("operator, {}", reply.about())
}
