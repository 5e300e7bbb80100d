//! Answers spelled as Python spells them. Patroni's REST API is read by scripts that search its text (`"role": "primary"`),
//! so spaces, escapes and time formats are kept as `json.dumps` and `str(datetime)` make them.

use std::{fmt::Write as _, io};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, ser::Formatter};

/// A document as `json.dumps(value)` writes it: a space after commas and colons, everything beyond ASCII escaped.
pub fn json(value: &Value) -> String {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, Spaced);
    value.serialize(&mut serializer).expect("a JSON value is always JSON");
    String::from_utf8(text).expect("only ASCII was written")
}

struct Spaced;

impl Spaced {
    fn separate<W: ?Sized + io::Write>(writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }
}

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        Self::separate(writer, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        Self::separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut escaped = String::with_capacity(fragment.len());
        for c in fragment.chars() {
            if c.is_ascii() && c != '\u{7f}' {
                escaped.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
        }
        writer.write_all(escaped.as_bytes())
    }
}

/// PostgreSQL's `timestamptz` text as `str(datetime)` prints it: microseconds in full or not at all, minutes in the offset.
/// What is no such text stays as it is.
pub(crate) fn datetime(text: &str) -> String {
    let Some(at) = text.rfind(['+', '-']).filter(|at| *at > 10) else { return text.to_owned() };
    let (moment, offset) = text.split_at(at);
    let moment = match moment.split_once('.') {
        Some((whole, fraction)) if fraction.len() <= 6 => format!("{whole}.{fraction:0<6}"),
        _ => moment.to_owned(),
    };
    let minutes = if offset.len() == 3 { ":00" } else { "" };
    format!("{moment}{offset}{minutes}")
}

/// PostgreSQL's `timestamptz` text as seconds since 1970, in the way `timedelta.total_seconds()` is printed.
pub(super) fn epoch_seconds(text: &str) -> Option<String> {
    let moment: Timestamp = datetime(text).parse().ok()?;
    #[allow(clippy::cast_precision_loss)] // microseconds of this millennium fit into 53 bits
    let seconds = moment.as_microsecond() as f64 / 1e6;
    Some(format!("{seconds:?}"))
}

/// `datetime.isoformat()` of a moment in UTC.
pub fn isoformat(at: Timestamp) -> String {
    let micros = at.as_microsecond().rem_euclid(1_000_000);
    let format = if micros == 0 { "%Y-%m-%dT%H:%M:%S+00:00" } else { "%Y-%m-%dT%H:%M:%S.%6f+00:00" };
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_looks_as_json_dumps_makes_it() {
        let value = json!({"role": "primary", "xlog": {"location": 1}, "list": [1, null, true], "name": "zürich \u{1f418}\"\n"});
        let expected = r#"{"role": "primary", "xlog": {"location": 1}, "list": [1, null, true], "name": "z\u00fcrich \ud83d\udc18\"\n"}"#;
        assert_eq!(json(&value), expected);
        assert_eq!(json(&json!({})), "{}");
    }

    #[test]
    fn times_look_as_str_of_datetime_makes_them() {
        for (postgres, python) in [
            ("2026-11-24 15:06:43.12+00", "2026-11-24 15:06:43.120000+00:00"),
            ("2026-11-24 15:06:43+00", "2026-11-24 15:06:43+00:00"),
            ("2026-11-24 20:36:43.123456+05:30", "2026-11-24 20:36:43.123456+05:30"),
            ("2026-11-24 10:06:43.1-05", "2026-11-24 10:06:43.100000-05:00"),
            ("", ""),
        ] {
            assert_eq!(datetime(postgres), python);
        }
        assert_eq!(epoch_seconds("1970-01-02 01:00:00.5+01").as_deref(), Some("86400.5"));
        assert_eq!(epoch_seconds("1970-01-01 00:00:07+00").as_deref(), Some("7.0"));
        assert_eq!(epoch_seconds("soon"), None);
    }

    #[test]
    fn a_schedule_is_written_with_its_offset() {
        assert_eq!(isoformat("2999-01-01T00:00:00Z".parse().unwrap()), "2999-01-01T00:00:00+00:00");
        assert_eq!(isoformat("2999-01-01T02:00:00.25+02:00".parse().unwrap()), "2999-01-01T00:00:00.250000+00:00");
    }
}
