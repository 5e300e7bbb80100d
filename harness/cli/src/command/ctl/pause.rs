//! `pause` and `resume`: maintenance mode.

use std::time::Duration;

use clap::Args;
use http::{Method, StatusCode};
use pgdrill_agent::rest::config_of;
use pgdrill_ha::view::Cluster;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{ClusterArg, Done, Screen, Session, Stop, failed, session::text_of};

#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    #[command(flatten)]
    cluster: ClusterArg,
    /// Wait until all members have noticed
    #[arg(long)]
    wait: bool,
}

/// Members with a REST API, the leader first.
pub(super) fn leader_first(cluster: &Cluster) -> Vec<(String, String)> {
    let members = cluster.members.iter().filter_map(|(name, record)| Some((name.clone(), record.api_url.clone()?)));
    let (mut first, others): (Vec<_>, Vec<_>) = members.partition(|(name, _)| cluster.is_leader(name));
    first.extend(others);
    first
}

/// `pause` and `resume`.
pub(super) async fn toggle(session: &Session, screen: &mut Screen, args: &PauseArgs, paused: bool) -> Done {
    let scope = session.scope(&args.cluster)?;
    let cluster = session.cluster(&scope).await?;
    if config_of(&cluster).paused == paused {
        return Err(failed(format!("Cluster is {} paused", if paused { "already" } else { "not" })));
    }
    let body = json!({ "pause": if paused { Some(true) } else { None } });
    for (name, url) in leader_first(&cluster) {
        let answer = match session.call(&url, Method::PATCH, "config", Some(&body)).await {
            Ok(answer) => answer,
            Err(error) => {
                screen.print(&format!("Member {name} is not accessible: {error}\n"));
                continue;
            }
        };
        let word = if paused { "pause" } else { "resume" };
        if answer.status != StatusCode::OK {
            let text = text_of(&answer);
            return Err(failed(format!("{word} cluster management: status code={}, ({text})", answer.status.as_u16())));
        }
        if args.wait {
            return wait(session, screen, &scope, paused, &cluster).await;
        }
        screen.print(&format!("Success: cluster management is {word}d\n"));
        return Ok(());
    }
    Err(failed("Can not find accessible cluster member"))
}

async fn wait(session: &Session, screen: &mut Screen, scope: &str, paused: bool, before: &Cluster) -> Done {
    let word = if paused { "pause" } else { "resume" };
    screen.print(&format!("'{word}' request sent, waiting until it is recognized by all nodes\n"));
    let loop_wait = config_of(before).loop_wait;
    let asked: Vec<String> = leader_first(before).into_iter().map(|(name, _)| name).collect();
    let deadline = Instant::now() + loop_wait + Duration::from_secs(1);
    loop {
        let remaining = unaware(&session.cluster(scope).await?, &asked, paused)?;
        if remaining.is_empty() {
            screen.print(&format!("Success: cluster management is {word}d\n"));
            return Ok(());
        }
        if Instant::now() >= deadline {
            let names = remaining.join(", ");
            let seconds = loop_wait.as_secs();
            return Err(failed(format!("{names} members didn't recognized pause state after {seconds} seconds")));
        }
        sleep(Duration::from_secs(1)).await;
    }
}

fn unaware(cluster: &Cluster, asked: &[String], paused: bool) -> Result<Vec<String>, Stop> {
    let members = cluster.members.iter().filter(|(name, _)| asked.contains(name));
    let unaware = members.filter(|(_, record)| record.pause.unwrap_or(false) != paused);
    Ok(unaware.map(|(name, _)| name.clone()).collect())
}
