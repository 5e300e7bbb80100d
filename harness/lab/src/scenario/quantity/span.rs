//! A length of time.

use std::{fmt, str::FromStr, time::Duration};

use super::number;
use crate::scenario::text::text_value;

/// A length of time, written `30s`, `1.5s`, `200ms`, `2m` or `1m30s`; never negative, exact to the nanosecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// From whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// From nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }

    /// In nanoseconds; a span that was read always fits (it is at most 584 years).
    #[must_use]
    pub fn nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        span.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() {
            return f.write_str("0s");
        }
        // Seconds are the field's own unit for every setting of Patroni: `90s`, not `1m30s`.
        f.write_str(&number::shortest(self.nanos(), &UNITS[2..]))
    }
}

impl FromStr for Span {
    type Err = String;

    /// Parses one or more numbers with units, the larger unit first. The error says what is wrong with the text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('-') {
            return Err(format!("{text:?} is negative"));
        }
        let mut rest = text.trim_start_matches('+');
        let (mut total, mut smallest) = (0u64, u64::MAX);
        loop {
            let (value, unit, tail) = one_part(text, rest)?;
            if unit >= smallest {
                return Err(format!("{text:?} does not go from the larger unit to the smaller"));
            }
            smallest = unit;
            total = total.checked_add(value).ok_or_else(|| format!("{text:?} is too long"))?;
            rest = tail;
            if rest.is_empty() {
                return Ok(Self::from_nanos(total));
            }
        }
    }
}

/// Reads the first `1.5s` of `rest`: its nanoseconds, its unit, and what follows.
fn one_part<'a>(text: &str, rest: &'a str) -> Result<(u64, u64, &'a str), String> {
    let (digits, tail) = number::split_unit(rest).ok_or_else(|| format!("{text:?} is not a time"))?;
    let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
    let (name, tail) = tail.split_at(end);
    if name.is_empty() {
        return Err(format!("{text:?} has no unit"));
    }
    let name = match name.trim() {
        "µs" => "us",
        "min" => "m",
        "sec" => "s",
        other => other,
    };
    let unit = UNITS
        .iter()
        .find_map(|(n, unit)| (*n == name).then_some(*unit))
        .ok_or_else(|| format!("{name:?} is not a unit of time; those are h, m (or min), s, ms, us and ns"))?;
    let value = number::times(digits, unit).ok_or_else(|| format!("{digits:?} is not a number that fits"))?;
    Ok((value, unit, tail))
}

/// A time as [`FromStr`] takes it, but that it goes from the larger unit to the smaller.
pub(super) const PATTERN: &str = r"([0-9]+(\.[0-9]+)? ?(h|min|m|sec|s|ms|us|µs|ns) ?)+";

text_value!(
    Span,
    "Duration",
    [format!(r"^\+?{PATTERN}$")],
    "A length of time with its unit: 30s, 1.5s, 200ms, 2m, 1m30s"
);
