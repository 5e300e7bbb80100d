//! `/switchover` and `/failover`: writes the request into the DCS and waits until the cluster has carried it out.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode},
    response::Response,
};
use pgdrill_ha::{
    Config,
    decision::Peer,
    records::{FailoverRecord, Key},
    view::{Cluster, PeerStatus, WriteOutcome},
};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use super::{
    Refusal, answer,
    body::{self, Wanted},
    cluster::{config_of, load},
    quantity, refuse,
};
use crate::daemon::{Parts, Ports, peers::ask_peers};

/// How often the DCS is looked at while waiting.
const POLL: Duration = Duration::from_secs(1);

/// `POST /switchover {leader, candidate?, scheduled_at?}`.
pub(super) async fn switchover<T: Ports>(parts: &Parts<T>, request: Request<Body>) -> Result<Response, Refusal> {
    perform(parts, &body::read(request, Wanted::Always).await?, true).await
}

/// `POST /failover {candidate}`.
pub(super) async fn failover<T: Ports>(parts: &Parts<T>, request: Request<Body>) -> Result<Response, Refusal> {
    perform(parts, &body::read(request, Wanted::Always).await?, false).await
}

async fn perform<T: Ports>(
    parts: &Parts<T>,
    body: &Map<String, Value>,
    is_switchover: bool,
) -> Result<Response, Refusal> {
    let cluster = load(parts).await?;
    let config = config_of(&cluster);
    let wanted = parse(body, is_switchover, &config)?;
    if wanted.scheduled_at.is_none() {
        let impossible = |text: String| refuse(StatusCode::PRECONDITION_FAILED, text);
        let candidates = candidates(&wanted, &cluster, &config).map_err(impossible)?;
        if !any_is_good(parts, candidates).await {
            let text = format!("{} is not possible: no good candidates have been found", action(&wanted));
            return Err(impossible(text));
        }
    }
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

/// A failover that names the leader is a switchover, as in Patroni.
fn action(wanted: &FailoverRecord) -> &'static str {
    if wanted.is_switchover() { "switchover" } else { "failover" }
}

fn parse(body: &Map<String, Value>, is_switchover: bool, config: &Config) -> Result<FailoverRecord, Refusal> {
    let bad = |text: &str| Err(refuse(StatusCode::BAD_REQUEST, text));
    let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let candidate = text("candidate").or_else(|| text("member"));
    let leader = text("leader");
    let scheduled = body.get("scheduled_at").filter(|value| !value.is_null() && value.as_str() != Some(""));
    if !is_switchover && candidate.is_none() {
        return bad("Failover could be performed only to a specific candidate");
    }
    if is_switchover && leader.is_none() {
        return bad("Switchover could be performed only from a specific leader");
    }
    let scheduled_at = match scheduled {
        Some(_) if !is_switchover => return bad("Failover can't be scheduled"),
        Some(_) if config.paused => return bad("Can't schedule switchover in the paused state"),
        Some(at) => Some(quantity::schedule(at, "switchover")?),
        None => None,
    };
    if config.paused && candidate.is_none() {
        return bad("Switchover is possible only to a specific candidate in a paused state");
    }
    if leader == candidate {
        return bad("Switchover target and source are the same");
    }
    Ok(FailoverRecord { leader, candidate, scheduled_at })
}

/// Who could take over, by the DCS alone (`is_failover_possible`).
fn candidates(wanted: &FailoverRecord, cluster: &Cluster, config: &Config) -> Result<Vec<Peer>, String> {
    if wanted.leader.as_ref().is_some_and(|leader| !cluster.is_leader(leader)) {
        return Err("leader name does not match".into());
    }
    let named_in_sync = config.is_synchronous() && !config.is_quorum();
    let is_standby = |name: &str| cluster.sync.value.is_standby(name);
    let choose = |may: &dyn Fn(&str) -> bool| -> Vec<Peer> {
        let members = cluster.members.iter().filter(|(name, _)| may(name));
        members
            .map(|(name, member)| Peer { name: name.clone(), api_url: member.api_url.clone().unwrap_or_default() })
            .collect()
    };
    let action = action(wanted);
    let (found, none) = match &wanted.candidate {
        // A failover may take a node that is not synchronous; that is what it is for.
        Some(candidate) if wanted.is_switchover() && named_in_sync && !is_standby(candidate) => {
            return Err("candidate name does not match with sync_standby".into());
        }
        Some(candidate) => (choose(&|name| name == candidate), "candidate does not exists".into()),
        None if named_in_sync => (choose(&is_standby), format!("{action} is not possible: can not find sync_standby")),
        None => {
            let text = format!("{action} is not possible: cluster does not have members except leader");
            let others = choose(&|name| !cluster.is_leader(name));
            (others.into_iter().filter(|peer| !peer.api_url.is_empty()).collect(), text)
        }
    };
    if found.is_empty() { Err(none) } else { Ok(found) }
}

/// Whether one of them answers and may be promoted (`_MemberStatus.failover_limitation`).
async fn any_is_good<T: Ports>(parts: &Parts<T>, candidates: Vec<Peer>) -> bool {
    ask_peers(parts, &candidates).await.values().any(|status| match status {
        PeerStatus::Answered(answer) => !answer.nofailover && !answer.watchdog_failed,
        PeerStatus::Unreachable { .. } => false,
    })
}

/// Waits until there is another leader, or the request was cleared, or the time is up.
async fn await_outcome<T: Ports>(
    parts: &Parts<T>,
    before: Option<&str>,
    wanted: &FailoverRecord,
    limit: Duration,
) -> Result<Response, Refusal> {
    let (action, verb) = if wanted.is_switchover() { ("Switchover", "switch") } else { ("Failover", "fail") };
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        sleep(POLL).await;
        let Ok(cluster) = parts.dcs.load().await else { continue };
        match cluster.leader_name() {
            Some(leader) if Some(leader) != before => {
                if wanted.candidate.as_deref().is_none_or(|candidate| candidate == leader) {
                    return Ok(answer(StatusCode::OK, format!("Successfully {verb}ed over to \"{leader}\"")));
                }
                let wanted = wanted.candidate.as_deref().unwrap_or_default();
                let verb = if verb == "switch" { "Switch" } else { "Fail" };
                let text = format!("{verb}ed over to \"{leader}\" instead of \"{wanted}\"");
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
pub(super) async fn cancel<T: Ports>(parts: &Parts<T>) -> Result<Response, Refusal> {
    let scheduled = load(parts).await?.failover.filter(|failover| failover.value.scheduled_at.is_some());
    let Some(scheduled) = scheduled else {
        return Err(refuse(StatusCode::NOT_FOUND, "no switchover is scheduled"));
    };
    match parts.dcs.compare_and_set(&Key::Failover, scheduled.mod_revision, "{}").await {
        WriteOutcome::Written { .. } => Ok(answer(StatusCode::OK, "scheduled switchover deleted")),
        WriteOutcome::Conflict => Err(refuse(StatusCode::CONFLICT, "the switchover was changed meanwhile")),
        WriteOutcome::Unknown { reason } => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, reason)),
    }
}
