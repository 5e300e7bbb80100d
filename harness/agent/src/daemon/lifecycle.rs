//! The long actions on PostgreSQL, as they run in the background: start, restart, promote, rewind, clone, bootstrap.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use pgdrill_ha::{Monotonic, decision::StartAs, decision::Upstream};
use tokio::time::{Instant, sleep};

use super::{
    parts::{Parts, Ports},
    peers::address,
    server_config,
    task::PointOfNoReturn,
};
use crate::{
    ports::{ClusterState, InitdbOptions, Postgres, PostgresError, StopMode},
    postgres::{SqlError, statements},
};

/// How often a short transition (accepting connections, "in production") is looked for.
const POLL: Duration = Duration::from_millis(250);
/// A CHECKPOINT may take as long as it takes; after this long something else is wrong.
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(3600);

/// What a task returns: nothing, or the error for people.
pub(crate) type Outcome = Result<(), String>;

pub(crate) fn text(error: PostgresError) -> String {
    error.to_string()
}

/// Writes the configuration as it is now desired.
pub(crate) async fn write_config<T: Ports>(parts: &Parts<T>) -> Outcome {
    let config = parts.shared.desired().server_config();
    parts.postgres.write_config(&config).await.map_err(text)
}

/// Sets whom PostgreSQL follows when it is started next.
pub(crate) fn prepare<T: Ports>(parts: &Parts<T>, start_as: &StartAs) {
    let ha = parts.shared.published().config.clone();
    let mut desired = parts.shared.desired();
    desired.recovery = match start_as {
        StartAs::Primary => None,
        StartAs::Replica(upstream) => {
            Some(server_config::recovery(&parts.config, &ha, upstream, desired.recovery.as_ref()))
        }
    };
}

/// Starts PostgreSQL and waits until it accepts connections, but no longer than `pg_ctl_timeout`: after that it is still
/// starting, which is no failure.
pub(crate) async fn start<T: Ports>(parts: Arc<Parts<T>>) -> Outcome {
    write_config(&parts).await?;
    parts.postgres.start().await.map_err(text)?;
    await_connections(&parts).await
}

async fn await_connections<T: Ports>(parts: &Parts<T>) -> Outcome {
    let deadline = Instant::now() + parts.config.postgresql.pg_ctl_timeout;
    while Instant::now() < deadline {
        match parts.sql.query(statements::STATE).await {
            Ok(_) => return Ok(()),
            Err(SqlError::Refused(reason)) => return Err(reason),
            Err(SqlError::NotConnected(..) | SqlError::Unknown(_)) => {}
        }
        if parts.postgres.postmaster().await.is_ok_and(|postmaster| postmaster.is_none()) {
            return Err("PostgreSQL ended while it was starting".into());
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// Stops PostgreSQL in `mode`, then harder: at `escalate_at`, or after `pg_ctl_timeout` if a mode has no effect.
pub(crate) async fn stop<T: Ports>(parts: &Parts<T>, mode: StopMode, escalate_at: Option<Monotonic>) -> Outcome {
    let patience = parts.config.postgresql.pg_ctl_timeout;
    let first = escalate_at.map_or(patience, |at| at.since(parts.clock.now()));
    match parts.postgres.stop(mode, first).await {
        Err(PostgresError::Unknown(_)) if mode != StopMode::Immediate && escalate_at.is_some() => {}
        // A fast shutdown that nobody limits may take as long as it needs.
        Err(PostgresError::Unknown(_)) if mode != StopMode::Immediate => {
            return Box::pin(stop(parts, mode, escalate_at)).await;
        }
        Err(PostgresError::Unknown(_)) => return parts.postgres.kill().await.map_err(text),
        other => return other.map_err(text),
    }
    // A postmaster that does not die of SIGQUIT at once hangs in the kernel or is frozen: only SIGKILL is left.
    match parts.postgres.stop(StopMode::Immediate, Duration::from_secs(5)).await {
        Err(PostgresError::Unknown(_)) => parts.postgres.kill().await.map_err(text),
        other => other.map_err(text),
    }
}

/// Stops and starts PostgreSQL with the configuration as it is now desired.
pub(crate) async fn restart<T: Ports>(parts: Arc<Parts<T>>) -> Outcome {
    stop(&parts, StopMode::Fast, None).await?;
    start(parts).await
}

/// `pg_ctl promote`, then waits until `pg_control` says "in production".
pub(crate) async fn promote<T: Ports>(
    parts: Arc<Parts<T>>,
    still_allowed_until: Monotonic,
    past: PointOfNoReturn,
) -> Outcome {
    // The task may have been scheduled late: a frozen agent that wakes up here must not promote on a lock it has lost.
    if parts.clock.now() >= still_allowed_until {
        return Err("the leader lock ended before the promotion began".into());
    }
    past.store(true, Ordering::SeqCst);
    parts.postgres.promote().await.map_err(text)?;
    parts.shared.desired().recovery = None;
    let deadline = Instant::now() + parts.config.postgresql.pg_ctl_timeout;
    while Instant::now() < deadline {
        if parts.postgres.controldata().await.is_ok_and(|control| control.state == ClusterState::InProduction) {
            return Ok(());
        }
        if parts.postgres.postmaster().await.is_ok_and(|postmaster| postmaster.is_none()) {
            return Err("PostgreSQL ended during its promotion".into());
        }
        sleep(POLL).await;
    }
    Err("the promotion was ordered and did not take effect in time".into())
}

/// CHECKPOINT, on a connection without `statement_timeout`.
pub(crate) async fn checkpoint<T: Ports>(parts: Arc<Parts<T>>) -> Outcome {
    parts.sql.query_slow(statements::CHECKPOINT, CHECKPOINT_LIMIT).await.map(drop).map_err(|error| error.to_string())
}

/// `pg_rewind` against the leader.
pub(crate) async fn rewind<T: Ports>(parts: Arc<Parts<T>>, upstream: Upstream) -> Outcome {
    let leader = address(&upstream).ok_or("nobody to rewind from")?;
    stop(&parts, StopMode::Fast, None).await?;
    let source = server_config::source(&parts.config, &leader.host, leader.port, true);
    parts.postgres.rewind(&source).await.map_err(text)
}

/// `postgres --single` until it has shut down cleanly.
pub(crate) async fn crash_recovery<T: Ports>(parts: Arc<Parts<T>>) -> Outcome {
    parts.postgres.single_user_recovery().await.map_err(text)
}

/// Copies the data directory of a running server, replacing whatever is there.
pub(crate) async fn clone<T: Ports>(parts: Arc<Parts<T>>, from: Option<Upstream>) -> Outcome {
    let from = from.as_ref().and_then(address).ok_or("no running server to copy from")?;
    stop(&parts, StopMode::Immediate, None).await?;
    parts.postgres.remove_data_dir().await.map_err(text)?;
    let source = server_config::source(&parts.config, &from.host, from.port, false);
    let copied = parts.postgres.basebackup(&source).await;
    if copied.is_err() {
        // What an interrupted copy leaves must not be taken for a data directory.
        parts.postgres.remove_data_dir().await.map_err(text)?;
    }
    copied.map_err(text)
}

/// Makes a new cluster: initdb, start as primary, roles.
pub(crate) async fn bootstrap<T: Ports>(parts: Arc<Parts<T>>) -> Outcome {
    let bootstrap = parts.config.bootstrap.clone().ok_or("no bootstrap section")?;
    let superuser = parts.config.postgresql.superuser.clone();
    let options =
        InitdbOptions { options: bootstrap.initdb, superuser: superuser.username, password: superuser.password };
    parts.postgres.initdb(&options).await.map_err(text)?;
    {
        // The new cluster starts with the settings it will have from `/config` on.
        let mut desired = parts.shared.desired();
        desired.apply(&parts.config, &bootstrap.dcs);
        desired.recovery = None;
        desired.synchronous_standby_names.clear();
    }
    start(Arc::clone(&parts)).await?;
    let replication = &parts.config.postgresql.replication;
    if replication.username != options.superuser {
        let password = replication.password.as_ref().map(crate::config::Password::reveal);
        let statement = statements::create_replication_role(&replication.username, password);
        parts.sql.query(&statement).await.map_err(|error| format!("creating the replication role: {error}"))?;
    }
    Ok(())
}
