//! Numbers with PostgreSQL's units, as Patroni's `parse_int` reads them, and moments that something is scheduled for.

use jiff::{Timestamp, civil};
use pgdrill_settings::value;
use serde_json::Value;

use super::{Refusal, refuse};
use axum::http::StatusCode;

/// A size in bytes: `1048576`, `16kB`, `1.5 MB`. Units are case-sensitive, as PostgreSQL's.
pub(super) fn bytes(text: &str) -> Option<u64> {
    value::integer(&Value::from(text), Some("B"))?.try_into().ok()
}

/// A time in seconds: `30`, `30s`, `5min`, `"90"`.
pub(super) fn seconds(value: &Value) -> Option<u64> {
    value::integer(value, Some("s"))?.try_into().ok()
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
    }

    /// Each as `parse_int(value, 's')` of Patroni 4.1.5 answers it; what is negative there is nothing here.
    #[test]
    fn times_are_read_as_patroni_reads_them() {
        let values = json!({
            "60": 60, " 90 ": 90, "1min": 60, "5 min": 300, "2h": 7200, "1d": 86_400, "90s": 90, "+60": 60,
            "1000 ms": 1, "1500ms": 2, "2500ms": 2, "500ms": 0, "1499ms": 1, "1us": 0,
            "0.5min": 30, ".5min": 30, "1.5 min": 90, "1.5": 2, "2.5": 2, "0.5d": 43_200, "0.3d": 25_200,
            "1e2": 100, "1e1min": 600, "070": 56, "0x3C": 60, "0x3Cs": 60,
            "": null, "soon": null, "min": null, "1 minute": null, "60S": null, "1MIN": null, "1s 2": null, "1MB": null,
            "1.": null, "08": null, "-5": null, "e1": null, ".": null, "0x": null, "1e400": null,
        });
        for (text, expected) in values.as_object().expect("an object") {
            assert_eq!(json!(seconds(&json!(text))), *expected, "{text:?}");
        }
        for (value, expected) in [(json!(60), Some(60)), (json!(60.5), Some(60)), (json!(0), Some(0))] {
            assert_eq!(seconds(&value), expected, "{value}");
        }
        for value in [json!(true), json!(null), json!([60]), json!({"s": 60}), json!(-5)] {
            assert_eq!(seconds(&value), None, "{value}");
        }
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
