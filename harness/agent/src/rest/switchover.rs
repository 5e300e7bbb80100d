//! `/switchover` and `/failover`: writes the request into the DCS and waits until the cluster has carried it out.

use std::time::Duration;

use axum::{body::Bytes, extract::State, http::StatusCode, response::Response};
use jiff::Timestamp;
use pgdrill_ha::{
    records::{FailoverRecord, Key},
    view::{Cluster, WriteOutcome},
};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::{Refusal, Shared, answer, operations::object, refuse};
use crate::daemon::{Parts, Ports};

/// How often the DCS is looked at while waiting.
const POLL: Duration = Duration::from_secs(1);

/// `POST /switchover {leader, candidate?, scheduled_at?}`.
pub(super) async fn switchover<T: Ports>(State(parts): Shared<T>, body: Bytes) -> Result<Response, Refusal> {
    request(&parts, &body, true).await
}

/// `POST /failover {candidate}`.
pub(super) async fn failover<T: Ports>(State(parts): Shared<T>, body: Bytes) -> Result<Response, Refusal> {
    request(&parts, &body, false).await
}

async fn request<T: Ports>(parts: &Parts<T>, body: &Bytes, is_switchover: bool) -> Result<Response, Refusal> {
    let body = object(body)?;
    let wanted = parse(&body, is_switchover)?;
    let cluster = parts.dcs.load().await.map_err(|error| refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
    let config = parts.shared.published().config.clone();
    possible(&wanted, &cluster, &config).map_err(|reason| refuse(StatusCode::PRECONDITION_FAILED, reason))?;
    match parts.dcs.put(&Key::Failover, &wanted.to_json()).await {
        WriteOutcome::Written { .. } => {}
        _ => return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "failed to write failover key into DCS")),
    }
    parts.wake.notify_one();
    if wanted.scheduled_at.is_some() {
        return Ok(answer(StatusCode::ACCEPTED, "Switchover scheduled"));
    }
    let limit = config.loop_wait.max(Duration::from_secs(10)) * 2;
    await_outcome(parts, cluster.leader_name(), &wanted, limit).await
}

fn parse(body: &Map<String, Value>, is_switchover: bool) -> Result<FailoverRecord, Refusal> {
    let bad = |text: &str| refuse(StatusCode::BAD_REQUEST, text);
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let candidate = text("candidate").or_else(|| text("member"));
    let leader = text("leader");
    let scheduled = text("scheduled_at");
    if is_switchover && leader.is_none() {
        return Err(bad("Switchover could be performed only from a specific leader"));
    }
    if !is_switchover && candidate.is_none() {
        return Err(bad("Failover could be performed only to a specific candidate"));
    }
    if !is_switchover && scheduled.is_some() {
        return Err(bad("Failover can't be scheduled"));
    }
    let unprocessable = |text: &str| refuse(StatusCode::UNPROCESSABLE_ENTITY, text);
    let scheduled_at = match scheduled {
        None => None,
        Some(text) => {
            let at: Timestamp =
                text.parse().map_err(|_| unprocessable("Unable to parse scheduled timestamp with a time zone"))?;
            if at <= Timestamp::now() {
                return Err(unprocessable("Cannot schedule switchover in the past"));
            }
            Some(at)
        }
    };
    Ok(FailoverRecord { leader: leader.filter(|_| is_switchover), candidate, scheduled_at })
}

/// What can be told before anything is written; the leader and the candidates check the rest.
fn possible(wanted: &FailoverRecord, cluster: &Cluster, config: &pgdrill_ha::Config) -> Result<(), String> {
    let candidate = wanted.candidate.as_deref();
    if config.paused && (candidate.is_none() || wanted.scheduled_at.is_some()) {
        return Err("in pause a switchover is possible only now and to a specific candidate".into());
    }
    if let Some(leader) = &wanted.leader {
        if cluster.is_unlocked() {
            return Err("switchover is not possible because the cluster has no leader".into());
        }
        if !cluster.is_leader(leader) {
            return Err("leader name does not match".into());
        }
    }
    let Some(candidate) = candidate else {
        let others = cluster.members.keys().filter(|name| !cluster.is_leader(name)).count();
        return if others > 0 { Ok(()) } else { Err("cluster does not have members except leader".into()) };
    };
    if cluster.is_leader(candidate) {
        return Err("candidate and leader are the same".into());
    }
    if !cluster.members.contains_key(candidate) {
        return Err("candidate does not exist".into());
    }
    // A failover may take a node that is not synchronous; that is what it is for. A quorum is counted later.
    let synchronous = config.is_synchronous() && !config.is_quorum() && wanted.is_switchover();
    if synchronous && !cluster.sync.value.is_standby(candidate) {
        return Err("candidate name does not match with sync_standby".into());
    }
    Ok(())
}

/// Waits until there is another leader, or the request was cleared, or the time is up.
async fn await_outcome<T: Ports>(
    parts: &Parts<T>,
    before: Option<&str>,
    wanted: &FailoverRecord,
    limit: Duration,
) -> Result<Response, Refusal> {
    let action = if wanted.is_switchover() { "Switchover" } else { "Failover" };
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        sleep(POLL).await;
        let Ok(cluster) = parts.dcs.load().await else { continue };
        match cluster.leader_name() {
            Some(leader) if Some(leader) != before => {
                if wanted.candidate.as_deref().is_none_or(|candidate| candidate == leader) {
                    let done = if wanted.is_switchover() { "switched over" } else { "failed over" };
                    return Ok(answer(StatusCode::OK, format!("Successfully {done} to \"{leader}\"")));
                }
                let wanted = wanted.candidate.as_deref().unwrap_or_default();
                let text = format!("{action} went to \"{leader}\" instead of \"{wanted}\"");
                return Ok(answer(StatusCode::OK, text));
            }
            Some(_) if cluster.failover.is_none() => {
                return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, format!("{action} failed")));
            }
            _ => {}
        }
    }
    Err(refuse(StatusCode::SERVICE_UNAVAILABLE, format!("{action} status unknown")))
}

/// `DELETE /switchover`: takes a scheduled one back.
pub(super) async fn cancel<T: Ports>(State(parts): Shared<T>) -> Result<Response, Refusal> {
    let cancelled = async {
        let cluster =
            parts.dcs.load().await.map_err(|error| refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
        let scheduled = cluster.failover.filter(|failover| failover.value.scheduled_at.is_some());
        let Some(scheduled) = scheduled else {
            return Err(refuse(StatusCode::NOT_FOUND, "no pending scheduled switchover"));
        };
        match parts.dcs.compare_and_set(&Key::Failover, scheduled.mod_revision, "{}").await {
            WriteOutcome::Written { .. } => Ok(answer(StatusCode::OK, "scheduled switchover deleted")),
            WriteOutcome::Conflict => Err(refuse(StatusCode::CONFLICT, "the switchover was changed meanwhile")),
            WriteOutcome::Unknown { reason } => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, reason)),
        }
    };
    cancelled.await
}
