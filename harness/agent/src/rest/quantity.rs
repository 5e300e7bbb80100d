//! Numbers with PostgreSQL's units, as Patroni's `parse_int` reads them, and moments that something is scheduled for.

use jiff::{Timestamp, civil};
use serde_json::Value;

use super::{Refusal, refuse};
use crate::postgres::number;
use axum::http::StatusCode;

/// A size in bytes: `1048576`, `16kB`, `1.5 MB`. Units are case-sensitive, as PostgreSQL's.
pub(super) fn bytes(text: &str) -> Option<u64> {
    quantity(text, "B")
}

/// A time in seconds: `30`, `30s`, `5min`, `"90"`.
pub(super) fn seconds(value: &Value) -> Option<u64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    quantity(&text, "s")
}

fn quantity(text: &str, unit: &str) -> Option<u64> {
    let text = text.trim();
    // Whole numbers without a unit stay exact beyond 2^53.
    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole);
    }
    let value = text.starts_with(|c: char| c.is_ascii_digit()).then(|| number(text, Some(unit)))??;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked
    (value.is_finite() && value < 1.8e19).then(|| value.round() as u64)
}

/// `parse_schedule`: when `action` is to happen. 400 without a time zone, 422 in the past and for what is no time.
pub(super) fn schedule(value: &Value, action: &str) -> Result<Timestamp, Refusal> {
    let text = value.as_str().unwrap_or_default().trim();
    match text.parse::<Timestamp>() {
        Ok(at) if at < Timestamp::now() => {
            Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, format!("Cannot schedule {action} in the past")))
        }
        Ok(at) => Ok(at),
        Err(_) if text.parse::<civil::DateTime>().is_ok() => Err(refuse(
            StatusCode::BAD_REQUEST,
            format!("Timezone information is mandatory for the scheduled {action}"),
        )),
        Err(_) => Err(refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_are_read_as_patroni_reads_them() {
        for (text, expected) in [
            ("1048576", Some(1_048_576)),
            ("16kB", Some(16_384)),
            (" 10 MB", Some(10_485_760)),
            ("1.5kB", Some(1_536)),
            ("18446744073709551615", Some(u64::MAX)),
            ("16KB", None),
            ("mB", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
        assert_eq!(seconds(&json!("5min")), Some(300));
        assert_eq!(seconds(&json!(20)), Some(20));
        assert_eq!(seconds(&json!("soon")), None);
        assert_eq!(seconds(&json!(true)), None);
    }

    #[test]
    fn a_schedule_needs_a_time_zone_and_lies_ahead() {
        let of =
            |text: &str| schedule(&json!(text), "restart").map_err(|refusal| (refusal.status.as_u16(), refusal.text));
        assert_eq!(of("2999-01-01T02:00:00+02:00"), Ok("2999-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(of("2999-01-01 02:00+02:00"), Ok("2999-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(of("2999-01-01T02:00:00").unwrap_err().0, 400);
        assert_eq!(of("2001-01-01T00:00:00Z").unwrap_err(), (422, "Cannot schedule restart in the past".into()));
        assert_eq!(of("soon").unwrap_err().0, 422);
        assert_eq!(of("").unwrap_err().0, 422);
    }
}
