//! A step of a clock.

use std::{fmt, str::FromStr};

use super::Span;
use crate::scenario::text::text_value;

/// How far a clock is set forward (`+5m`, `5m`) or back (`-5m`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shift {
    /// Nanoseconds; negative is back.
    pub nanos: i64,
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.nanos < 0 { "-" } else { "+" };
        write!(f, "{sign}{}", Span::from_nanos(self.nanos.unsigned_abs()))
    }
}

impl FromStr for Shift {
    type Err = String;

    /// As [`Span`], with a sign.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sign, magnitude) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let span: Span = magnitude.parse()?;
        let nanos = i64::try_from(span.nanos()).map_err(|_| format!("{text:?} is too far"))?;
        Ok(Self { nanos: sign * nanos })
    }
}

text_value!(
    Shift,
    "ClockStep",
    [format!("^[+-]?{}$", super::span::PATTERN)],
    "How far a clock is set: -5m is five minutes back, +30s half a minute forward"
);
