//! Calls to this node that are neither a restart nor about the cluster: reload, reinitialize, failsafe.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    body::Body,
    http::{Request as HttpRequest, StatusCode},
    response::{IntoResponse, Response},
};
use pgdrill_ha::{FailsafeVerdict, Lsn, answer_failsafe, view::FailsafePing};
use serde_json::{Map, Value, json};
use tokio::{sync::oneshot, time::timeout};

use super::{
    Refusal, answer,
    body::{self, Wanted},
    json_answer, refuse,
};
use crate::daemon::{Parts, Ports, Request};

/// `POST /reload`.
pub(super) fn reload<T: Ports>(parts: &Parts<T>) -> Response {
    parts.shared.ask(Request::Reload);
    parts.wake.notify_one();
    answer(StatusCode::ACCEPTED, "reload scheduled")
}

/// `POST /reinitialize {force?, from_leader?}`.
pub(super) async fn reinitialize<T: Ports>(parts: &Parts<T>, request: HttpRequest<Body>) -> Result<Response, Refusal> {
    let wanted = body::read(request, Wanted::Maybe).await?;
    let (force, from_leader) = (body::is_true(wanted.get("force")), body::is_true(wanted.get("from_leader")));
    let (reply, accepted) = oneshot::channel();
    parts.shared.ask(Request::Reinitialize { force, from_leader, reply });
    parts.wake.notify_one();
    let limit = parts.shared.published().config.loop_wait.max(Duration::from_secs(10)) * 2;
    match timeout(limit, accepted).await {
        Ok(Ok(Ok(()))) => Ok(answer(StatusCode::OK, "reinitialize started")),
        Ok(Ok(Err(reason))) => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, reason)),
        _ => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "the HA loop has not answered in time")),
    }
}

/// `GET /failsafe`.
pub(super) fn get_failsafe<T: Ports>(parts: &Parts<T>) -> Result<Response, Refusal> {
    let published = parts.shared.published();
    if !published.config.failsafe_mode {
        return Err(refuse(StatusCode::BAD_GATEWAY, "failsafe mode is not enabled"));
    }
    Ok(json_answer(StatusCode::OK, &json!(published.memory.failsafe.record)))
}

/// `POST /failsafe`: a leader without DCS asks whether it may go on. Who says yes does not race for `ttl`:
/// therefore the password is asked for here as well, as Patroni does (`check_access(allowlist_check_members=False)`).
pub(super) async fn post_failsafe<T: Ports>(parts: &Parts<T>, request: HttpRequest<Body>) -> Result<Response, Refusal> {
    if !parts.shared.published().config.failsafe_mode {
        return Err(refuse(StatusCode::BAD_GATEWAY, "failsafe mode is not enabled"));
    }
    consent(parts, &body::read(request, Wanted::Always).await?)
}

fn consent<T: Ports>(parts: &Parts<T>, ping: &Map<String, Value>) -> Result<Response, Refusal> {
    let text = |name: &str| ping.get(name).and_then(Value::as_str).map(str::to_owned);
    let leader = text("name").ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "name is missing"))?;
    let published = parts.shared.published();
    let verdict = match &published.local {
        Some(local) => answer_failsafe(&leader, local, &published.memory, parts.clock.now()),
        None => FailsafeVerdict::Refuse("I have just been started".into()),
    };
    if let FailsafeVerdict::Refuse(reason) = verdict {
        return Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, reason));
    }
    let slots = ping.get("slots").and_then(Value::as_object).into_iter().flatten();
    let slots: BTreeMap<_, _> = slots.filter_map(|(name, at)| Some((name.clone(), Lsn(at.as_u64()?)))).collect();
    let position = published.postgres.position().unwrap_or_default();
    // Before anything else is published: the loop looks for a new word after each of its decisions is.
    *parts.shared.failsafe_ping() = Some(FailsafePing {
        leader,
        conn_url: text("conn_url"),
        api_url: text("api_url"),
        slots,
        received: parts.clock.now(),
    });
    drop(published);
    Ok(([("lsn", position.0.to_string())], answer(StatusCode::OK, "Accepted")).into_response())
}
