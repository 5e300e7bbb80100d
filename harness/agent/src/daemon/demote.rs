//! A stop that gives the lock away as early as is safe: switchover and graceful end of the agent.

use std::{sync::Arc, time::Duration};

use pgdrill_ha::{
    Lsn,
    decision::{EarlyRelease, Peer, StopMode as HaStopMode, StopRequest},
    records::StatusRecord,
    view::PeerStatus,
};
use tokio::time::sleep;

use super::{
    lifecycle::{self, Outcome},
    parts::{Parts, Ports},
    peers,
};
use crate::ports::{ClusterState, Postgres, StopMode, Watchdog};

/// How often the progress of the shutdown is looked at.
const POLL: Duration = Duration::from_millis(500);

/// How long candidates may take to receive the shutdown checkpoint before they are asked for it.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Carries out a stop.
pub(crate) async fn stop<T: Ports>(parts: Arc<Parts<T>>, request: StopRequest) -> Outcome {
    if request.checkpoint_first {
        // Only makes the shutdown shorter: without it, it does the same.
        if let Err(reason) = lifecycle::checkpoint(Arc::clone(&parts)).await {
            parts.trouble("sql", format!("checkpoint before the shutdown: {reason}"));
        }
    }
    let mode = match request.mode {
        HaStopMode::Fast => StopMode::Fast,
        HaStopMode::Immediate => StopMode::Immediate,
    };
    parts.sql.disconnect();
    let stopping = lifecycle::stop_for_long(&parts, mode, request.escalate_at);
    let stopped = match request.early_release {
        None => stopping.await,
        Some(release) => {
            // Watching must not outlive the stop, and the stop must not wait for the watching.
            tokio::select! {
                biased;
                stopped = stopping => stopped,
                never = release_early(&parts, &release) => match never {},
            }
        }
    };
    if stopped.is_ok() {
        // At once, not with the next cycle: that may wait long for a DCS that is gone (`Ha.demote`, `set_is_leader(False)`).
        parts.shared.published().leadership_deadline = None;
        if request.watchdog_off_at_safepoint {
            disarm(&parts).await?;
        }
    }
    stopped
}

/// There is no primary to be stopped any more: neither the watchdog nor the dead-man process may act.
pub(crate) async fn disarm<T: Ports>(parts: &Parts<T>) -> Outcome {
    if let Err(error) = parts.fencing.disarm().await {
        // One that does not answer has been ended, and its deadline with it.
        parts.trouble("fencing", error);
    }
    parts.watchdog.disable().map_err(|error| error.to_string())
}

/// Gives the lock away once `pg_control` says "shut down" and a candidate has received the shutdown checkpoint.
async fn release_early<T: Ports>(parts: &Parts<T>, release: &EarlyRelease) -> std::convert::Infallible {
    let mut seen = false;
    loop {
        sleep(POLL).await;
        let Ok(control) = parts.postgres.controldata().await else { continue };
        if control.state != ClusterState::ShutDown {
            continue;
        }
        if !std::mem::replace(&mut seen, true) {
            // The replicas get some more time to catch up (`Ha.demote`, `on_shutdown`).
            sleep(CATCH_UP).await;
        }
        let checkpoint = Lsn(control.checkpoint_lsn);
        let candidates = candidates(parts, release);
        let answers = peers::ask_peers(parts, &candidates).await;
        let received = |status: &PeerStatus| matches!(status, PeerStatus::Answered(answer) if !answer.nofailover && answer.position >= checkpoint);
        if answers.values().any(received) {
            release_lock(parts, Some(checkpoint)).await;
            // Everything is written and handed over. What is left of the server may take its time, and is not to be shot.
            if let Err(error) = parts.fencing.disarm().await {
                parts.trouble("fencing", error);
            }
            std::future::pending::<()>().await;
        }
    }
}

/// The named candidates; without names, every member.
fn candidates<T: Ports>(parts: &Parts<T>, release: &EarlyRelease) -> Vec<Peer> {
    let published = parts.shared.published();
    let members = published.cluster.iter().flat_map(|cluster| &cluster.members);
    members
        .filter(|(name, _)| **name != parts.config().name)
        .filter(|(name, _)| release.candidates.is_empty() || release.candidates.contains(*name))
        .filter_map(|(name, member)| Some(Peer { name: name.clone(), api_url: member.api_url.clone()? }))
        .collect()
}

/// Deletes the lock if it is ours, and before that publishes the last position, with the other fields of `status` as
/// last known.
pub(crate) async fn release_lock<T: Ports>(parts: &Parts<T>, optime: Option<Lsn>) -> pgdrill_ha::view::WriteOutcome {
    let status = optime.map(|optime| {
        let known = parts.shared.published().latest_status().cloned();
        StatusRecord { optime: Some(optime), ..known.unwrap_or_default() }.to_json()
    });
    // From this moment on REST must not call us leader, whatever comes of the request.
    parts.shared.published().leadership_deadline = None;
    parts.dcs.release_lock(status).await
}
