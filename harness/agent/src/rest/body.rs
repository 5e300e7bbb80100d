//! The body of a call: a JSON object of a length that the client announced.

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use http_body_util::{BodyExt, Limited};
use serde_json::{Map, Value};

use super::{Refusal, refuse};

/// More than any configuration has; a client cannot fill our memory.
const MAX_BYTES: usize = 1 << 20;

/// Whether a call makes sense without a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Without one it is answered with 411, with an empty one 400.
    Always,
    /// No body is an empty object.
    Maybe,
}

/// `_read_json_content`: 411 without a length, 400 for what is no JSON object.
pub(super) async fn read(request: Request<Body>, wanted: Wanted) -> Result<Map<String, Value>, Refusal> {
    let length = length(request.headers())?;
    match (length, wanted) {
        (None, Wanted::Always) => return Err(refuse(StatusCode::LENGTH_REQUIRED, "Length Required")),
        (None | Some(0), Wanted::Maybe) => return Ok(Map::new()),
        _ => {}
    }
    let bad = |text: String| refuse(StatusCode::BAD_REQUEST, text);
    let body = Limited::new(request.into_body(), MAX_BYTES).collect().await.map_err(|error| bad(error.to_string()))?;
    match serde_json::from_slice(&body.to_bytes()) {
        Ok(Value::Object(object)) if !object.is_empty() || wanted == Wanted::Maybe => Ok(object),
        Ok(Value::Object(_)) => Err(bad("the JSON object is empty".into())),
        Ok(_) => Err(bad("a JSON object is expected".into())),
        Err(error) => Err(bad(format!("invalid JSON: {error}"))),
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
