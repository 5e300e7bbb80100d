//! Calls that change this node or the configuration: restart, reload, reinitialize, config, failsafe.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use pgdrill_ha::{
    FailsafeVerdict, Lsn, answer_failsafe, config as ha_config,
    records::{Key, MemberRole},
    view::{FailsafePing, WriteOutcome},
};
use serde_json::{Map, Value, json};
use tokio::{sync::oneshot, time::timeout};

use super::{Refusal, Shared, answer, refuse};
use crate::daemon::{Parts, Ports, Request, ScheduledRestart};

/// A body as JSON object; an empty body is an empty object.
pub(super) fn object(body: &Bytes) -> Result<Map<String, Value>, Refusal> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(refuse(StatusCode::BAD_REQUEST, "a JSON object is expected")),
        Err(error) => Err(refuse(StatusCode::BAD_REQUEST, format!("invalid JSON: {error}"))),
    }
}

/// `GET /config`.
pub(super) async fn get_config<T: Ports>(State(parts): Shared<T>) -> Response {
    match parts.dcs.load().await.map(|cluster| cluster.config) {
        Ok(Some(config)) => Json(config.value).into_response(),
        Ok(None) => answer(StatusCode::BAD_GATEWAY, "config key is not present"),
        Err(error) => answer(StatusCode::BAD_GATEWAY, error.to_string()),
    }
}

/// `PATCH /config`: merges, `null` removes; compare-and-set against what it was merged with.
pub(super) async fn patch_config<T: Ports>(State(parts): Shared<T>, body: Bytes) -> Result<Response, Refusal> {
    patched(&parts, &body).await
}

async fn patched<T: Ports>(parts: &Parts<T>, body: &Bytes) -> Result<Response, Refusal> {
    let patch = Value::Object(object(body)?);
    let unavailable = |text: String| refuse(StatusCode::SERVICE_UNAVAILABLE, text);
    let cluster = parts.dcs.load().await.map_err(|error| unavailable(error.to_string()))?;
    let config = cluster.config.ok_or_else(|| unavailable("config key is not present".into()))?;
    let merged = ha_config::merge_patch(&config.value, &patch);
    if merged == config.value {
        return Ok(Json(merged).into_response());
    }
    match parts.dcs.compare_and_set(&Key::Config, config.mod_revision, &merged.to_string()).await {
        WriteOutcome::Written { .. } => {
            parts.wake.notify_one();
            Ok(Json(merged).into_response())
        }
        WriteOutcome::Conflict => Err(refuse(StatusCode::CONFLICT, "the configuration was changed meanwhile")),
        WriteOutcome::Unknown { reason } => Err(unavailable(reason)),
    }
}

/// `PUT /config`: replaces the whole document.
pub(super) async fn put_config<T: Ports>(State(parts): Shared<T>, body: Bytes) -> Result<Response, Refusal> {
    let replace = async {
        let config = Value::Object(object(&body)?);
        match parts.dcs.put(&Key::Config, &config.to_string()).await {
            WriteOutcome::Written { .. } => {
                parts.wake.notify_one();
                Ok(Json(config).into_response())
            }
            WriteOutcome::Conflict => Err(refuse(StatusCode::BAD_GATEWAY, "not written")),
            WriteOutcome::Unknown { reason } => Err(refuse(StatusCode::BAD_GATEWAY, reason)),
        }
    };
    replace.await
}

/// `POST /reload`.
pub(super) async fn reload<T: Ports>(State(parts): Shared<T>) -> Response {
    parts.shared.ask(Request::Reload);
    parts.wake.notify_one();
    answer(StatusCode::ACCEPTED, "reload scheduled")
}

/// `POST /restart`, now or later, if role, version and pending changes are as asked for.
pub(super) async fn restart<T: Ports>(State(parts): Shared<T>, body: Bytes) -> Result<Response, Refusal> {
    restarted(&parts, &body).await
}

async fn restarted<T: Ports>(parts: &Arc<Parts<T>>, body: &Bytes) -> Result<Response, Refusal> {
    let request = object(body)?;
    let bad = |text: &str| refuse(StatusCode::BAD_REQUEST, text);
    for name in request.keys() {
        if !["schedule", "role", "postgres_version", "timeout", "restart_pending"].contains(&name.as_str()) {
            return Err(bad(&format!("unknown filter: {name}")));
        }
    }
    if parts.shared.published().config.paused && request.contains_key("schedule") {
        return Err(bad("can't schedule restart in the paused state"));
    }
    restart_conditions(parts, &request)?;
    if let Some(schedule) = request.get("schedule").filter(|value| !value.is_null()) {
        let at: Timestamp = schedule
            .as_str()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| refuse(StatusCode::UNPROCESSABLE_ENTITY, "unable to parse the schedule"))?;
        return schedule_restart(parts, at, request);
    }
    let seconds = request.get("timeout").and_then(Value::as_u64);
    let limit = seconds.map_or(parts.shared.published().config.primary_start_timeout, Duration::from_secs);
    let (reply, ended) = oneshot::channel();
    parts.shared.ask(Request::Restart(reply));
    parts.wake.notify_one();
    match timeout(limit, ended).await {
        Ok(Ok(Ok(()))) => Ok(answer(StatusCode::OK, "restarted successfully")),
        Ok(Ok(Err(reason))) => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, reason)),
        Ok(Err(_)) => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "the restart was cancelled")),
        Err(_) => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "the restart has not ended in time")),
    }
}

fn restart_conditions<T: Ports>(parts: &Parts<T>, request: &Map<String, Value>) -> Result<(), Refusal> {
    let published = parts.shared.published();
    let unmet = |text: &str| refuse(StatusCode::SERVICE_UNAVAILABLE, text);
    if let Some(role) = request.get("role").filter(|value| !value.is_null()) {
        let wanted: MemberRole = serde_json::from_value(role.clone()).map_err(|_| {
            refuse(StatusCode::BAD_REQUEST, "PostgreSQL role should be either primary, standby_leader, or replica")
        })?;
        if published.role != Some(wanted) {
            return Err(unmet("PostgreSQL role does not match"));
        }
    }
    if let Some(version) = request.get("postgres_version").and_then(Value::as_str) {
        let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
        // The restart is for servers older than the wanted version.
        if published.postgres.server_version / 10_000 >= major {
            return Err(unmet("PostgreSQL version is not older than the one asked for"));
        }
    }
    if request.get("restart_pending").and_then(Value::as_bool) == Some(true) && published.pending_restart.is_empty() {
        return Err(unmet("no restart is pending"));
    }
    Ok(())
}

fn schedule_restart<T: Ports>(
    parts: &Parts<T>,
    at: Timestamp,
    request: Map<String, Value>,
) -> Result<Response, Refusal> {
    if at <= Timestamp::now() {
        return Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, "Cannot schedule restart in the past"));
    }
    let mut published = parts.shared.published();
    if published.scheduled_restart.is_some() {
        return Err(refuse(StatusCode::CONFLICT, "Another restart is already scheduled"));
    }
    let started = published.server.as_ref().map(|server| server.postmaster_start_time.clone());
    published.scheduled_restart = Some(ScheduledRestart {
        at,
        request: Value::Object(request),
        postmaster_start_time: started.unwrap_or_default(),
    });
    Ok(answer(StatusCode::ACCEPTED, "Restart scheduled"))
}

/// `DELETE /restart`.
pub(super) async fn cancel_restart<T: Ports>(State(parts): Shared<T>) -> Response {
    match parts.shared.published().scheduled_restart.take() {
        Some(_) => answer(StatusCode::OK, "scheduled restart deleted"),
        None => answer(StatusCode::NOT_FOUND, "no restarts are scheduled"),
    }
}

/// `POST /reinitialize`.
pub(super) async fn reinitialize<T: Ports>(State(parts): Shared<T>, body: Bytes) -> Result<Response, Refusal> {
    let ask = async {
        let request = object(&body)?;
        let force = request.get("force").and_then(Value::as_bool).unwrap_or(false);
        let (reply, accepted) = oneshot::channel();
        parts.shared.ask(Request::Reinitialize { force, reply });
        parts.wake.notify_one();
        let limit = parts.shared.published().config.loop_wait.max(Duration::from_secs(10)) * 2;
        match timeout(limit, accepted).await {
            Ok(Ok(Ok(()))) => Ok(answer(StatusCode::OK, "reinitialize started")),
            Ok(Ok(Err(reason))) => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, reason)),
            _ => Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "the HA loop has not answered in time")),
        }
    };
    ask.await
}

/// `GET /failsafe`.
pub(super) async fn get_failsafe<T: Ports>(State(parts): Shared<T>) -> Response {
    let published = parts.shared.published();
    if !published.config.failsafe_mode {
        return answer(StatusCode::BAD_GATEWAY, "failsafe mode is not enabled");
    }
    Json(json!(published.memory.failsafe.record)).into_response()
}

/// `POST /failsafe`: a leader without DCS asks whether it may go on. Who says yes does not race for `ttl`.
pub(super) async fn post_failsafe<T: Ports>(State(parts): Shared<T>, body: Bytes) -> Result<Response, Refusal> {
    let judge = || {
        let request = object(&body)?;
        let text = |name: &str| request.get(name).and_then(Value::as_str).map(str::to_owned);
        let leader = text("name").ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "name is missing"))?;
        let published = parts.shared.published();
        let verdict = match &published.local {
            _ if !published.config.failsafe_mode => {
                return Err(refuse(StatusCode::BAD_GATEWAY, "failsafe mode is not enabled"));
            }
            Some(local) => answer_failsafe(&leader, local, &published.memory, parts.clock.now()),
            None => FailsafeVerdict::Refuse("I have just been started".into()),
        };
        if let FailsafeVerdict::Refuse(reason) = verdict {
            return Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, reason));
        }
        let slots = request.get("slots").and_then(Value::as_object).into_iter().flatten();
        let slots: BTreeMap<_, _> = slots.filter_map(|(name, at)| Some((name.clone(), Lsn(at.as_u64()?)))).collect();
        let position = published.postgres.position().unwrap_or_default();
        drop(published);
        *parts.shared.failsafe_ping() = Some(FailsafePing {
            leader,
            conn_url: text("conn_url"),
            api_url: text("api_url"),
            slots,
            received: parts.clock.now(),
        });
        Ok((StatusCode::OK, [("lsn", position.0.to_string())], "Accepted").into_response())
    };
    judge()
}
