//! Making a replica's data directory: the configured methods in their order, else `pg_basebackup` (`Bootstrap.create_replica`).

use std::{sync::Arc, time::Duration};

use pgdrill_ha::decision::Upstream;
use serde_json::Value;
use tokio::time::sleep;

use super::{
    lifecycle::{self, Outcome, text},
    parts::{Parts, Ports},
    patience::when_possible,
    peers::address,
    scripts, server_config,
};
use crate::{
    config::{HostPort, ReplicaMethod},
    ports::{DataDir, Postgres, StopMode},
};

/// The name of the built-in method.
const BASEBACKUP: &str = "basebackup";
/// How often `pg_basebackup` is tried, and how long is waited in between (Patroni's `maxfailures`).
const TRIES: u32 = 2;
const PAUSE: Duration = Duration::from_secs(5);
/// How often the data directory is marked while a command fills it.
const MARKED_AGAIN: Duration = Duration::from_secs(1);

/// Makes the data directory anew. Without `from` only methods that need no running server are tried. `only_basebackup`: as
/// `reinitialize` with `from_leader` asks for it. In a standby cluster the methods are those of its section, whoever is copied
/// from (`Ha.get_remote_member`).
pub(crate) async fn clone<T: Ports>(parts: Arc<Parts<T>>, from: Option<Upstream>, only_basebackup: bool) -> Outcome {
    let section = parts.shared.published().config.standby_cluster.clone();
    let names = match section {
        _ if only_basebackup => Vec::new(),
        Some(section) => create_replica_methods(&section),
        None => parts.config().postgresql.create_replica_methods.clone(),
    };
    copy(parts, from, &names).await
}

/// Makes the data directory of a new standby cluster's leader (`Ha.bootstrap_standby_leader`).
pub(crate) async fn clone_remote<T: Ports>(parts: Arc<Parts<T>>, section: &Value) -> Outcome {
    copy(parts, Some(Upstream::Remote(section.clone())), &create_replica_methods(section)).await
}

fn create_replica_methods(section: &Value) -> Vec<String> {
    let names = section.get("create_replica_methods").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

async fn copy<T: Ports>(parts: Arc<Parts<T>>, from: Option<Upstream>, names: &[String]) -> Outcome {
    let from = from.as_ref().and_then(address);
    let methods = methods(&parts, names, from.is_some());
    if methods.is_empty() {
        return Err("no running server to copy from, and no method that works without one".into());
    }
    lifecycle::stop_for_long(&parts, StopMode::Immediate, None).await?;
    lifecycle::may_listen(&parts).await?;
    let mut failed = Vec::new();
    for (name, method) in &methods {
        let copied = match (method, &from) {
            (Some(method), from) => custom(&parts, name, method, from.as_ref()).await,
            (None, Some(from)) => basebackup(&parts, from).await,
            (None, None) => continue,
        };
        match copied {
            Ok(()) => return Ok(()),
            Err(reason) => {
                parts.trouble("postgres", &reason);
                failed.push(reason);
            }
        }
    }
    Err(failed.join("; "))
}

/// The methods to try, by name; `None` is `pg_basebackup`, also where none is named. A name without a section of its own is a
/// command.
fn methods<T: Ports>(parts: &Parts<T>, names: &[String], has_source: bool) -> Vec<(String, Option<ReplicaMethod>)> {
    let config = parts.config();
    if names.is_empty() {
        return if has_source { vec![(BASEBACKUP.into(), None)] } else { Vec::new() };
    }
    let method = |name: &String| {
        let section = || config.postgresql.replica_methods.get(name).cloned().unwrap_or_default();
        (name.clone(), (name != BASEBACKUP).then(section))
    };
    let works = |(_, method): &(String, Option<ReplicaMethod>)| {
        has_source || method.as_ref().is_some_and(|method| method.no_leader)
    };
    names.iter().map(method).filter(works).collect()
}

async fn basebackup<T: Ports>(parts: &Parts<T>, from: &HostPort) -> Outcome {
    let source = server_config::source(&parts.config(), &from.host, from.port, false);
    let mut tried = 0;
    loop {
        tried += 1;
        parts.postgres.remove_data_dir().await.map_err(text)?;
        let copied = when_possible(parts, None, || parts.postgres.basebackup(&source)).await.map_err(text);
        if copied.is_ok() {
            return copied;
        }
        // What an interrupted copy leaves must not be taken for a data directory.
        parts.postgres.remove_data_dir().await.map_err(text)?;
        if tried == TRIES {
            return copied;
        }
        sleep(PAUSE).await;
    }
}

async fn custom<T: Ports>(parts: &Parts<T>, name: &str, method: &ReplicaMethod, from: Option<&HostPort>) -> Outcome {
    if !method.keep_data {
        parts.postgres.remove_data_dir().await.map_err(text)?;
    }
    let made = fill(parts, name, scripts::custom_replica(parts, name, method, from)).await;
    if made.is_err() && !method.keep_data {
        parts.postgres.remove_data_dir().await.map_err(text)?;
    }
    made
}

/// Has a command of the user's own fill the data directory. What it says counts only if it can be seen.
pub(super) async fn fill<T: Ports>(parts: &Parts<T>, name: &str, command: impl Future<Output = Outcome>) -> Outcome {
    let mark = || parts.postgres.mark_copy(true);
    mark().await.map_err(text)?;
    let again = async {
        // As soon as there is a directory the mark is about that one and no other.
        loop {
            sleep(MARKED_AGAIN).await;
            if let Err(error) = mark().await {
                parts.trouble("postgres", error);
            }
        }
    };
    tokio::select! {
        biased;
        ended = command => ended?,
        never = again => never,
    }
    parts.postgres.mark_copy(false).await.map_err(text)?;
    match parts.postgres.data_dir().await {
        Ok(DataDir::Valid) => Ok(()),
        Ok(found) => Err(format!("{name} ended well and left no data directory ({found:?})")),
        Err(error) => {
            // Whatever it is, it is what the command has left.
            parts.postgres.mark_copy(true).await.map_err(text)?;
            Err(format!("{name} ended well and left no data directory: {error}"))
        }
    }
}
