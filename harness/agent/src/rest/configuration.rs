//! `/config`: the dynamic configuration of the whole cluster.

use axum::{
    body::Body,
    http::{HeaderValue, Request, StatusCode, header},
    response::Response,
};
use pgdrill_ha::{records::Key, view::WriteOutcome};
use serde_json::{Map, Value};

use super::{
    Refusal,
    body::{self, Wanted},
    cluster::load,
    json_answer, refuse,
};
use crate::daemon::{Parts, Ports, remarks};

/// `GET /config`.
pub(super) async fn get<T: Ports>(parts: &Parts<T>) -> Result<Response, Refusal> {
    match parts.dcs.load().await.map(|cluster| cluster.config) {
        Ok(Some(config)) => Ok(json_answer(StatusCode::OK, &config.value)),
        Ok(None) => Err(refuse(StatusCode::BAD_GATEWAY, "config key is not present")),
        Err(error) => Err(refuse(StatusCode::BAD_GATEWAY, error.to_string())),
    }
}

/// `PATCH /config`: merges, `null` removes; compare-and-set against what it was merged with.
pub(super) async fn patch<T: Ports>(parts: &Parts<T>, request: Request<Body>) -> Result<Response, Refusal> {
    let patch = body::read(request, Wanted::Config).await?;
    let unavailable = |text: String| refuse(StatusCode::SERVICE_UNAVAILABLE, text);
    let config = load(parts).await?.config.ok_or_else(|| unavailable("config key is not present".into()))?;
    let mut merged = config.value.as_object().cloned().unwrap_or_default();
    if merge(&mut merged, &patch) {
        let value = Value::Object(merged.clone()).to_string();
        match parts.dcs.compare_and_set(&Key::Config, config.mod_revision, &value).await {
            WriteOutcome::Written { .. } => {}
            WriteOutcome::Conflict => {
                return Err(refuse(StatusCode::CONFLICT, "the configuration was changed meanwhile"));
            }
            WriteOutcome::Unknown { reason } => return Err(unavailable(reason)),
        }
    }
    parts.wake.notify_one();
    Ok(taken(&Value::Object(merged)))
}

/// `PUT /config`: replaces the whole document.
pub(super) async fn put<T: Ports>(parts: &Parts<T>, request: Request<Body>) -> Result<Response, Refusal> {
    let config = Value::Object(body::read(request, Wanted::Config).await?);
    let present = load(parts).await?.config.map(|config| config.value);
    if present.as_ref() != Some(&config) {
        match parts.dcs.put(&Key::Config, &config.to_string()).await {
            WriteOutcome::Written { .. } => parts.wake.notify_one(),
            WriteOutcome::Conflict => return Err(refuse(StatusCode::BAD_GATEWAY, "not written")),
            WriteOutcome::Unknown { reason } => return Err(refuse(StatusCode::BAD_GATEWAY, reason)),
        }
    }
    Ok(taken(&config))
}

/// The document as it is now, as Patroni answers, and in `Warning` headers (RFC 7234, 5.5) what of it is wrong or does not count.
fn taken(config: &Value) -> Response {
    let mut response = json_answer(StatusCode::OK, config);
    for remark in remarks(config) {
        // In a quoted string, where only what can be seen may stand.
        let text: String = remark.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect();
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::try_from(format!("299 pgdrill \"{text}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

/// `patch_config`: tells whether anything changed. A value that is written the same (`"30"` for `30`) is no change.
pub fn merge(config: &mut Map<String, Value>, patch: &Map<String, Value>) -> bool {
    let mut changed = false;
    for (name, value) in patch {
        match (config.get_mut(name), value) {
            (_, Value::Null) => changed |= config.shift_remove(name).is_some_and(|old| !old.is_null()),
            (Some(Value::Object(inner)), Value::Object(value)) => changed |= merge(inner, value),
            (Some(old), value) if !value.is_object() && written(old) == written(value) => {}
            _ => {
                config.insert(name.clone(), value.clone());
                changed = true;
            }
        }
    }
    changed
}

fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_does_not_count_is_told_in_headers_and_the_body_is_patronis() {
        let config = json!({"ttl": 30, "postgresql": {"data_dir": "/\u{e4}\"", "parameters": {"port": 1}}});
        let response = taken(&config);
        let said: Vec<_> =
            response.headers().get_all(header::WARNING).iter().map(|value| value.to_str().unwrap()).collect();
        insta::assert_snapshot!(said.join("\n"));
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert!(!taken(&json!({"ttl": 30})).headers().contains_key(header::WARNING));
    }

    #[test]
    fn a_patch_merges_deeply_and_null_removes() {
        let cases = [
            (json!({"ttl": 30}), json!({"ttl": 40}), json!({"ttl": 40}), true),
            (json!({"ttl": 30}), json!({"ttl": "30"}), json!({"ttl": 30}), false),
            (json!({"ttl": 30, "pause": true}), json!({"pause": null}), json!({"ttl": 30}), true),
            (json!({"ttl": 30}), json!({"pause": null}), json!({"ttl": 30}), false),
            (json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": null, "d": 3}}), json!({"a": {"c": 2, "d": 3}}), true),
            (json!({"a": 1}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}}), true),
            (json!({"a": {"b": 1}}), json!({"a": 5}), json!({"a": 5}), true),
        ];
        for (before, patch, after, changed) in cases {
            let mut config = before.as_object().unwrap().clone();
            assert_eq!(merge(&mut config, patch.as_object().unwrap()), changed, "{before} {patch}");
            assert_eq!(Value::Object(config), after);
        }
    }
}
