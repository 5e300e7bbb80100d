//! The long actions on PostgreSQL, as they run in the background: start, stop, restart, promote, rewind.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use pgdrill_ha::{
    Monotonic,
    decision::{StartAs, Upstream},
    records::MemberRole,
};
use tokio::time::{Instant, sleep};

use super::{
    callbacks::Callback,
    parts::{Parts, Ports},
    patience::when_possible,
    peers::address,
    scripts, server_config,
    task::PointOfNoReturn,
};
use crate::{
    ports::{ClusterState, Postgres, PostgresError, StopMode},
    postgres::{Reachability, SqlError, statements},
};

/// How often a short transition (accepting connections, "in production") is looked for.
const POLL: Duration = Duration::from_millis(250);
/// A CHECKPOINT may take as long as it takes; after this long something else is wrong.
const CHECKPOINT_LIMIT: Duration = Duration::from_secs(3600);

/// How long `before_stop` may take when PostgreSQL must not serve any longer. Patroni waits for ever, and with it the stop that
/// fences a primary.
const SCRIPT_BEFORE_IMMEDIATE: Duration = Duration::from_secs(2);

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

/// Has the running server read its configuration, and tells so (`on_reload`).
pub(crate) async fn reload<T: Ports>(parts: &Arc<Parts<T>>) -> Outcome {
    parts.postgres.reload().await.map_err(text)?;
    let role = parts.shared.published().role.unwrap_or(MemberRole::Replica);
    let due = parts.callbacks.told().reloaded(role);
    parts.call_back(due);
    Ok(())
}

/// Sets whom PostgreSQL follows when it is started next.
pub(crate) fn prepare<T: Ports>(parts: &Parts<T>, start_as: &StartAs) {
    let ha = parts.shared.published().config.clone();
    let mut desired = parts.shared.desired();
    desired.starts();
    if matches!(start_as, StartAs::Replica(_)) && ha.is_synchronous() {
        // Nobody's commits wait here any more; before a promotion the names are set anew (`Ha.demote`, `Ha.recover`).
        desired.standby_names = None;
    }
    desired.recovery = match start_as {
        StartAs::Primary { .. } => None,
        StartAs::Replica(upstream) => {
            Some(server_config::recovery(&parts.config(), &ha, upstream, desired.recovery.as_ref()))
        }
    };
}

/// Starts PostgreSQL and waits until it accepts connections, but no longer than `pg_ctl_timeout`: after that it is still
/// starting, which is no failure.
pub(crate) async fn start<T: Ports>(parts: Arc<Parts<T>>) -> Outcome {
    parts.callbacks.told().will_start(Callback::OnStart);
    start_again(&parts).await
}

/// The same for a primary, which a leader whose lock has ended must not start. A dead-man process whose deadline has passed holds
/// nothing any more: an agent that was frozen in the middle stops it again itself.
pub(crate) async fn start_primary<T: Ports>(parts: Arc<Parts<T>>, still_allowed_until: Monotonic) -> Outcome {
    let is_over = || parts.clock.now() >= still_allowed_until;
    if is_over() {
        return Err("the leader lock ended before the start began".into());
    }
    parts.callbacks.told().will_start(Callback::OnStart);
    launch(&parts).await?;
    if is_over() {
        stop(&parts, StopMode::Immediate, None).await?;
        return Err("the leader lock ended during the start".into());
    }
    await_connections(&parts).await
}

/// Whether the server will get its port; asked before anything is made or copied for it.
pub(crate) async fn may_listen<T: Ports>(parts: &Parts<T>) -> Outcome {
    let allowed = parts.postgres.may_listen(&parts.config().postgresql.listen).await.map_err(text);
    allowed.inspect_err(|reason| parts.trouble("postgres", reason))
}

async fn start_again<T: Ports>(parts: &Parts<T>) -> Outcome {
    launch(parts).await?;
    await_connections(parts).await
}

/// Starts PostgreSQL with the configuration as it is now desired.
async fn launch<T: Ports>(parts: &Parts<T>) -> Outcome {
    may_listen(parts).await?;
    let patience = Some(parts.config().postgresql.pg_ctl_timeout);
    let config = parts.shared.desired().server_config();
    when_possible(parts, patience, || parts.postgres.write_config(&config)).await.map_err(text)?;
    when_possible(parts, patience, || parts.postgres.start()).await.map_err(text)
}

async fn await_connections<T: Ports>(parts: &Parts<T>) -> Outcome {
    let deadline = Instant::now() + parts.config().postgresql.pg_ctl_timeout;
    while Instant::now() < deadline {
        match parts.sql.query(statements::STATE).await {
            Ok(_) => return Ok(()),
            Err(SqlError::Refused(reason) | SqlError::FileGone(reason)) => return Err(reason),
            // It is up, and no waiting lets us in: whoever looks at it next says so.
            Err(SqlError::NotConnected(Reachability::TlsFailed, _)) => return Ok(()),
            Err(SqlError::NotConnected(..) | SqlError::Unknown(_) | SqlError::Silence(_)) => {}
        }
        if parts.postgres.postmaster().await.is_ok_and(|postmaster| postmaster.is_none()) {
            return Err("PostgreSQL ended while it was starting".into());
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// Stops PostgreSQL, not to be started again at once, and tells so (`on_stop`).
pub(crate) async fn stop_for_long<T: Ports>(
    parts: &Arc<Parts<T>>,
    mode: StopMode,
    escalate_at: Option<Monotonic>,
) -> Outcome {
    // Not being able to tell is no reason to be silent.
    let ran = !matches!(parts.postgres.postmaster().await, Ok(None));
    stop(parts, mode, escalate_at).await?;
    if ran {
        let role = parts.shared.published().role.unwrap_or(MemberRole::Replica);
        let due = parts.callbacks.told().stopped(role);
        parts.call_back(due);
    }
    Ok(())
}

/// Stops PostgreSQL in `mode`, then harder: at `escalate_at`, or after `pg_ctl_timeout` if a mode has no effect.
pub(crate) async fn stop<T: Ports>(parts: &Parts<T>, mode: StopMode, escalate_at: Option<Monotonic>) -> Outcome {
    if matches!(parts.postgres.postmaster().await, Ok(None)) {
        return Ok(());
    }
    let left = |at: Monotonic| at.since(parts.clock.now());
    let for_script = match (mode, escalate_at) {
        (StopMode::Immediate, _) => Some(SCRIPT_BEFORE_IMMEDIATE),
        (_, at) => at.map(|at| left(at) / 2),
    };
    scripts::before_stop(parts, for_script).await;
    let patience = parts.config().postgresql.pg_ctl_timeout;
    let order = |mode, limit| when_possible(parts, None, move || parts.postgres.stop(mode, limit));
    let mut stopped = order(mode, escalate_at.map_or(patience, left)).await;
    while mode != StopMode::Immediate && escalate_at.is_none() && matches!(stopped, Err(PostgresError::Unknown(_))) {
        // A fast shutdown that nobody limits may take as long as it needs.
        stopped = order(mode, patience).await;
    }
    if mode != StopMode::Immediate && matches!(stopped, Err(PostgresError::Unknown(_))) {
        // A postmaster that does not die of SIGQUIT at once hangs in the kernel or is frozen: only SIGKILL is left.
        stopped = order(StopMode::Immediate, Duration::from_secs(5)).await;
    }
    match stopped {
        Err(PostgresError::Unknown(_)) => when_possible(parts, None, || parts.postgres.kill()).await.map_err(text),
        other => other.map_err(text),
    }
}

/// Stops and starts PostgreSQL with the configuration as it is now desired.
pub(crate) async fn restart<T: Ports>(parts: Arc<Parts<T>>) -> Outcome {
    stop(&parts, StopMode::Fast, None).await?;
    parts.shared.desired().starts();
    parts.callbacks.told().will_start(Callback::OnRestart);
    start_again(&parts).await
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
    parts.shared.desired().promoted();
    let due = parts.callbacks.told().promoted();
    parts.call_back(due);
    let deadline = Instant::now() + parts.config().postgresql.pg_ctl_timeout;
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
    stop_for_long(&parts, StopMode::Fast, None).await?;
    let source = server_config::source(&parts.config(), &leader.host, leader.port, true);
    when_possible(&parts, None, || parts.postgres.rewind(&source)).await.map_err(text)
}

/// `postgres --single` until it has shut down cleanly.
pub(crate) async fn crash_recovery<T: Ports>(parts: Arc<Parts<T>>) -> Outcome {
    when_possible(&parts, None, || parts.postgres.single_user_recovery()).await.map_err(text)
}
