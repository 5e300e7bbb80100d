//! The body of a call: a JSON object of a length that the client announced.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value};

use tokio::time::timeout;

use super::{Refusal, refuse, serve::Line};

/// More than any request has that changes no configuration.
const MAX_BYTES: u64 = 64 << 10;
/// More than any configuration has.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// A body that anybody may send without asking whether there is room for it.
const SMALL_BYTES: u64 = 16 << 10;
/// How long a client may take to send its body, and wait for room for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is expected of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Without one it is answered with 411, with an empty one 400.
    Always,
    /// As that, and it is a configuration.
    Config,
    /// No body is an empty object.
    Maybe,
}

/// `_read_json_content`: 411 without a length, 400 for what is no JSON object. 413 and 408 are ours: for what is too large, and for
/// what does not come.
pub(super) async fn read(request: Request<Body>, wanted: Wanted) -> Result<Map<String, Value>, Refusal> {
    let length = length(request.headers())?;
    let length = match (length, wanted) {
        (None, Wanted::Always | Wanted::Config) => {
            return Err(refuse(StatusCode::LENGTH_REQUIRED, "Length Required"));
        }
        (None | Some(0), Wanted::Maybe) => return Ok(Map::new()),
        (length, _) => length.unwrap_or_default(),
    };
    let limit = if wanted == Wanted::Config { MAX_CONFIG_BYTES } else { MAX_BYTES };
    if length > limit {
        let text = format!("the body has {length} bytes; at most {limit} are read");
        return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    let bad = |text: String| refuse(StatusCode::BAD_REQUEST, text);
    match serde_json::from_slice(&receive(request, length).await?) {
        Ok(Value::Object(object)) if !object.is_empty() || wanted == Wanted::Maybe => Ok(object),
        Ok(Value::Object(_)) => Err(bad("the JSON object is empty".into())),
        Ok(_) => Err(bad("a JSON object is expected".into())),
        Err(error) => Err(bad(format!("invalid JSON: {error}"))),
    }
}

/// Waits for the bytes, and as long as they come it is the client who keeps us waiting.
async fn receive(request: Request<Body>, length: u64) -> Result<Bytes, Refusal> {
    let line = request.extensions().get::<Line>().cloned();
    let receiving = async {
        let kib = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
        let _room = match &line {
            // The semaphore is never closed.
            Some(line) if length > SMALL_BYTES => line.bodies.acquire_many(kib).await.ok(),
            _ => None,
        };
        if let Some(line) = &line {
            line.guest.waiting();
        }
        let limit = usize::try_from(length).unwrap_or(usize::MAX);
        Limited::new(request.into_body(), limit).collect().await.map(|body| body.to_bytes())
    };
    let received = timeout(PATIENCE, receiving).await;
    if let Some(line) = &line {
        line.guest.answering();
    }
    match received {
        Ok(received) => received.map_err(|error| refuse(StatusCode::BAD_REQUEST, error.to_string())),
        Err(_) => Err(refuse(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body has not come within {} s, or there was no room for it", PATIENCE.as_secs()),
        )),
    }
}

fn length(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(header::CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.map(Some).ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "the Content-Length is no number"))
}

/// `parse_bool`: what Patroni takes for yes.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    let text = match value {
        Some(Value::String(text)) => text.to_ascii_lowercase(),
        Some(other) => other.to_string(),
        None => return false,
    };
    ["on", "true", "yes", "1"].contains(&text.as_str())
}
