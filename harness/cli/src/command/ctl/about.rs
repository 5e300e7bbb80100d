//! `version` and `remove`.

use clap::Args;
use http::Method;
use serde_json::Value;

use super::{
    Done, Screen, Session, ask, failed,
    listing::{Style, members},
};

#[derive(Debug, Args)]
pub(super) struct VersionArgs {
    /// Name of the cluster (scope) whose members are asked
    cluster_name: Option<String>,
    /// Names of members; all if none is given
    member_names: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// Name of the cluster (scope)
    cluster_name: String,
}

/// `version`.
pub(super) async fn version(session: &Session, screen: &mut Screen, args: &VersionArgs) -> Done {
    screen.print(&format!("pgdrill ctl version {}\n", env!("CARGO_PKG_VERSION")));
    let Some(scope) = &args.cluster_name else { return Ok(()) };
    screen.print("\n");
    let cluster = session.cluster(scope).await?;
    let mut failures = Vec::new();
    for (name, record) in &cluster.members {
        let is_meant = args.member_names.is_empty() || args.member_names.contains(name);
        let Some(url) = record.api_url.as_ref().filter(|_| is_meant) else { continue };
        let answer = session.call(url, Method::GET, "patroni", None).await.map_err(|error| error.to_string());
        match answer.and_then(|answer| serde_json::from_slice::<Value>(&answer.body).map_err(|error| error.to_string()))
        {
            Ok(document) => screen.print(&format!("{name}: {}\n", versions(&document))),
            Err(error) => failures.push(format!("{name}: failed to get version: {error}")),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failed(failures.join("\n"))) }
}

fn versions(document: &Value) -> String {
    let patroni = document.pointer("/patroni/version").and_then(Value::as_str).unwrap_or("unknown");
    let postgres = document.get("server_version").and_then(Value::as_u64).map(|version| match version {
        ..100_000 => format!(" PostgreSQL {}.{}.{}", version / 10_000, version / 100 % 100, version % 100),
        _ => format!(" PostgreSQL {}.{}", version / 10_000, version % 100),
    });
    format!("Patroni {patroni}{}", postgres.unwrap_or_default())
}

/// `remove`: three answers that must be typed, on a terminal or in a file.
pub(super) async fn remove(session: &Session, screen: &mut Screen, args: &RemoveArgs) -> Done {
    let scope = &args.cluster_name;
    let cluster = session.cluster(scope).await?;
    screen.print(&members(scope, &cluster, Style::PLAIN));
    if ask::typed("Please confirm the cluster name to remove")? != *scope {
        return Err(failed("Cluster names specified do not match"));
    }
    let message = "Yes I am aware";
    let question = format!("You are about to remove all information in DCS for {scope}, please type: \"{message}\"");
    if ask::typed(&question)? != message {
        return Err(failed(format!("You did not exactly type \"{message}\"")));
    }
    if let Some(leader) = cluster.leader_name() {
        let question = "This cluster currently is healthy. Please specify the leader name to continue";
        if ask::typed(question)? != leader {
            return Err(failed("You did not specify the current leader of the cluster"));
        }
    }
    let removed = session.remove(scope).await?;
    screen.print(&format!("{removed} keys of {scope} were removed\n"));
    Ok(())
}
