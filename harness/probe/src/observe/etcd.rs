//! Who leads the etcd cluster.

use std::time::Duration;

use futures::future::join_all;
use pgdrill_net::Net;
use tokio::time::timeout;

use super::dcs::{DcsTarget, connect};

/// The name of the member that says that it leads; of several (an old one that has not heard yet) that of the highest term.
/// Every member is asked at the same time and has so long to answer.
pub async fn etcd_leader<N: Net>(net: &N, target: &DcsTarget, patience: Duration) -> Option<String> {
    let ask = async |member: &crate::Endpoint| {
        let status = timeout(patience, async { connect(net, member).await?.status().await }).await.ok()?.ok()?;
        let own = status.header()?.member_id();
        (status.leader() == own && own != 0).then(|| (status.raft_term(), member.name.clone()))
    };
    let leaders = join_all(target.members.iter().map(ask)).await;
    leaders.into_iter().flatten().max().map(|(_, name)| name)
}
