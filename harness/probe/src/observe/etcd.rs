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

/// Removes a member that has lost its data from the cluster and adds it anew at the same address (its peer URL), as etcd's
/// manual asks before it is started on an empty directory. Through the first other member that answers.
///
/// # Errors
/// When no other member answers or agrees: etcd refuses what would cost it its quorum.
pub async fn replace_member<N: Net>(
    net: &N,
    target: &DcsTarget,
    name: &str,
    peer_url: &str,
    patience: Duration,
) -> Result<(), String> {
    let mut why = String::from("etcd has no other member");
    for member in target.members.iter().filter(|member| member.name != name) {
        let replacing = async {
            let mut client = connect(net, member).await?;
            let listed = client.member_list().await?;
            if let Some(old) =
                listed.members().iter().find(|m| m.name() == name || m.peer_urls().contains(&peer_url.to_owned()))
            {
                client.member_remove(old.id()).await?;
            }
            client.member_add([peer_url], None).await.map(drop)
        };
        match timeout(patience, replacing).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(e)) => why = format!("{}: {e}", member.name),
            Err(_) => why = format!("{}: no answer in time", member.name),
        }
    }
    Err(why)
}
