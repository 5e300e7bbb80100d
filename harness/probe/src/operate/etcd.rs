//! Orders to etcd: what an operator does with `etcdctl`, through the same API.

use std::time::Duration;

use pgdrill_net::Net;
use tokio::time::timeout;

use crate::observe::{DcsTarget, connect};

/// Compacts etcd's history up to its present revision, through the first member that answers.
///
/// # Errors
/// When none does.
pub async fn compact<N: Net>(net: &N, target: &DcsTarget) -> Result<String, String> {
    let mut why = String::from("etcd has no members");
    for member in &target.members {
        let compacting = async {
            let mut client = connect(net, member).await?;
            let revision = client.get(target.prefix.as_str(), None).await?.header().map_or(0, |h| h.revision());
            client.compact(revision, None).await.map(|_| revision)
        };
        match timeout(Duration::from_secs(5), compacting).await {
            Ok(Ok(revision)) => return Ok(format!("compacted up to revision {revision}")),
            Ok(Err(e)) => why = format!("{}: {e}", member.name),
            Err(_) => why = format!("{}: no answer in time", member.name),
        }
    }
    Err(why)
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
