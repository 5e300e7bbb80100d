//! `/restart`: restarts PostgreSQL of this node, now or later, if it is as asked for.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request as HttpRequest, StatusCode},
    response::Response,
};
use jiff::Timestamp;
use pgdrill_ha::records::MemberRole;
use serde_json::{Map, Value};
use tokio::{sync::oneshot, time::timeout};

use super::{
    Refusal, answer,
    body::{self, Wanted},
    python, quantity, refuse,
};
use crate::daemon::{Parts, Ports, Published, Request, ScheduledRestart};

/// `POST /restart`.
pub(super) async fn restart<T: Ports>(parts: &Parts<T>, request: HttpRequest<Body>) -> Result<Response, Refusal> {
    let mut wanted = body::read(request, Wanted::Maybe).await?;
    if parts.shared.published().config.paused && wanted.contains_key("schedule") {
        return Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "Can't schedule restart in the paused state"));
    }
    if let Some(at) = check(&mut wanted)? {
        return schedule(parts, at, wanted);
    }
    if !Conditions::new(&wanted).hold(&parts.shared.published()) {
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "restart conditions are not satisfied"));
    }
    let seconds = wanted.get("timeout").and_then(Value::as_u64).map(Duration::from_secs);
    let limit = seconds.unwrap_or(parts.shared.published().config.primary_start_timeout);
    let (reply, ended) = oneshot::channel();
    parts.shared.ask(Request::Restart(reply));
    parts.wake.notify_one();
    let unavailable = |text: &str| Err(refuse(StatusCode::SERVICE_UNAVAILABLE, text));
    match timeout(limit, ended).await {
        Ok(Ok(Ok(()))) => Ok(answer(StatusCode::OK, "restarted successfully")),
        Ok(Ok(Err(reason))) => unavailable(&reason),
        Ok(Err(_)) => unavailable("restart failed"),
        Err(_) => unavailable("postgres is still starting"),
    }
}

/// Checks what is asked for, in the order in which it is said, and reads the time out of it.
fn check(wanted: &mut Map<String, Value>) -> Result<Option<Timestamp>, Refusal> {
    let bad = |text: String| refuse(StatusCode::BAD_REQUEST, text);
    let mut at = None;
    for (name, value) in wanted.iter_mut() {
        match name.as_str() {
            "schedule" => {
                let moment = quantity::schedule(value, "restart")?;
                *value = python::isoformat(moment).into();
                at = Some(moment);
            }
            "role" => {
                role(value).ok_or_else(|| {
                    bad("PostgreSQL role should be either primary, standby_leader, or replica".into())
                })?;
            }
            "postgres_version" => {
                version(value.as_str().unwrap_or_default()).map_err(bad)?;
            }
            "timeout" => {
                let seconds = quantity::seconds(value).filter(|seconds| *seconds > 0);
                *value = seconds.ok_or_else(|| bad("Timeout should be a positive number of seconds".into()))?.into();
            }
            "restart_pending" => {}
            other => return Err(bad(format!("Unknown filter for the scheduled restart: {other}"))),
        }
    }
    Ok(at)
}

fn role(value: &Value) -> Option<MemberRole> {
    let role: MemberRole = serde_json::from_value(value.clone()).ok()?;
    matches!(role, MemberRole::Primary | MemberRole::StandbyLeader | MemberRole::Replica).then_some(role)
}

/// `X.Y` or, before 10, `X.Y.Z` as `server_version_num` counts it (`postgres_version_to_int`).
pub fn version(text: &str) -> Result<u32, String> {
    let invalid = || format!("Invalid PostgreSQL version: {text}");
    let format = || format!("Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: {text}");
    let parts: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
    match parts.map_err(|_| invalid())?.as_slice() {
        [major, minor] if *major >= 10 && *major < 1000 && *minor < 100 => Ok(major * 10_000 + minor),
        [major, middle, minor] if *major < 1000 && *middle < 100 && *minor < 100 => {
            Ok(major * 10_000 + middle * 100 + minor)
        }
        _ => Err(format()),
    }
}

/// What must be so for a restart to take place; looked at when it is due.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Conditions {
    role: Option<MemberRole>,
    older_than: Option<u32>,
    pending: bool,
}

impl Conditions {
    /// Out of a request that was checked.
    pub fn new(wanted: &Map<String, Value>) -> Self {
        Self {
            role: wanted.get("role").and_then(role),
            older_than: wanted.get("postgres_version").and_then(|value| version(value.as_str()?).ok()),
            pending: body::is_true(wanted.get("restart_pending")),
        }
    }

    /// Whether this node is so now (`Ha.restart_matches`).
    pub fn hold(self, published: &Published) -> bool {
        let role = self.role.is_none_or(|role| published.role == Some(role));
        let version = self.older_than.is_none_or(|wanted| published.postgres.server_version < wanted);
        role && version && (!self.pending || !published.pending_restart.is_empty())
    }
}

fn schedule<T: Ports>(parts: &Parts<T>, at: Timestamp, request: Map<String, Value>) -> Result<Response, Refusal> {
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
    drop(published);
    // The member key tells of it: `patronictl list` shows it, `flush` looks for it.
    parts.wake.notify_one();
    Ok(answer(StatusCode::ACCEPTED, "Restart scheduled"))
}

/// `DELETE /restart`.
pub(super) fn cancel<T: Ports>(parts: &Parts<T>) -> Response {
    let cancelled = parts.shared.published().scheduled_restart.take();
    parts.wake.notify_one();
    match cancelled {
        Some(_) => answer(StatusCode::OK, "scheduled restart deleted"),
        None => answer(StatusCode::NOT_FOUND, "no restarts are scheduled"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_are_compared_as_the_server_counts_them() {
        assert_eq!(version("16.4"), Ok(160_004));
        assert_eq!(version("9.6.24"), Ok(90_624));
        for wrong in ["16", "9.6", "1.2.3.4", "16.400"] {
            assert!(version(wrong).unwrap_err().contains("X.Y or X.Y.Z"), "{wrong}");
        }
        assert_eq!(version("new").unwrap_err(), "Invalid PostgreSQL version: new");
    }

    #[test]
    fn a_restart_takes_place_only_where_all_conditions_hold() {
        let mut published = Published { role: Some(MemberRole::Replica), ..Published::default() };
        published.postgres.server_version = 160_004;
        let hold = |wanted: Value, published: &Published| Conditions::new(wanted.as_object().unwrap()).hold(published);
        assert!(hold(json!({}), &published));
        assert!(hold(json!({"role": "replica", "postgres_version": "16.5"}), &published));
        assert!(!hold(json!({"role": "primary"}), &published));
        assert!(!hold(json!({"postgres_version": "16.4"}), &published), "only servers that are older");
        assert!(!hold(json!({"restart_pending": true}), &published));
        assert!(hold(json!({"restart_pending": false}), &published));
        published.pending_restart.insert("max_connections".into(), json!({}));
        assert!(hold(json!({"restart_pending": true}), &published));
    }

    #[test]
    fn a_timeout_is_kept_as_seconds_and_must_be_a_positive_number_of_them() {
        let timeout = |value: Value| {
            let mut wanted = Map::from_iter([("timeout".to_owned(), value)]);
            check(&mut wanted)
                .map(|_| wanted["timeout"].clone())
                .map_err(|refusal| (refusal.status.as_u16(), refusal.text))
        };
        for (value, seconds) in [(json!("1min"), 60), (json!(60), 60), (json!("60"), 60), (json!("1500ms"), 2)] {
            assert_eq!(timeout(value.clone()), Ok(json!(seconds)), "{value}");
        }
        let bad = (400, "Timeout should be a positive number of seconds".to_owned());
        for value in [json!(0), json!(-1), json!("-1min"), json!("400ms"), json!("1 minute"), json!(true), json!(null)]
        {
            assert_eq!(timeout(value.clone()), Err(bad.clone()), "{value}");
        }
    }

    #[test]
    fn what_is_asked_for_is_checked_before_anything_happens() {
        let of =
            |wanted: Value| check(&mut wanted.as_object().unwrap().clone()).map_err(|refusal| refusal.status.as_u16());
        assert_eq!(of(json!({"role": "replica", "timeout": "1min", "restart_pending": true})), Ok(None));
        assert_eq!(of(json!({"role": "promoted"})), Err(400));
        assert_eq!(of(json!({"timeout": 0})), Err(400));
        assert_eq!(of(json!({"timeout": "long"})), Err(400));
        assert_eq!(of(json!({"postgres_version": 16})), Err(400));
        assert_eq!(of(json!({"colour": "red"})), Err(400));
        assert_eq!(of(json!({"schedule": "2999-01-01T00:00:00"})), Err(400));
    }
}
