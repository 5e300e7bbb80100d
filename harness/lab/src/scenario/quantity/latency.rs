//! How long a packet travels.

use std::{fmt, str::FromStr};

use super::Span;
use crate::scenario::text::text_value;

/// How long a packet travels one way: drawn evenly from a range (`0.2ms..1ms`), or always the same (`1ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The shortest.
    pub min: Span,
    /// The longest; never below `min`.
    pub max: Span,
}

impl Default for Latency {
    /// One data centre: 0.2 ms to 1 ms.
    fn default() -> Self {
        Self { min: Span::from_nanos(200_000), max: Span::from_millis(1) }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{}..{}", self.min, self.max) }
    }
}

impl FromStr for Latency {
    type Err = String;

    /// Parses one time or a range of two; the error says what is wrong with the text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let (min, max): (Span, Span) = (min.trim().parse()?, max.trim().parse()?);
        if min > max {
            return Err(format!("{text:?} runs from the longer to the shorter time"));
        }
        Ok(Self { min, max })
    }
}

text_value!(
    Latency,
    "Latency",
    [format!(r"^\+?{0}( *\.\. *\+?{0})?$", super::span::PATTERN)],
    "How long a packet travels one way: 1ms, or drawn from 0.2ms..1ms"
);
