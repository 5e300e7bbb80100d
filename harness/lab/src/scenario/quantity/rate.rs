//! How often, and how fast a clock runs.

use std::{fmt, str::FromStr, time::Duration};

use crate::scenario::text::text_value;

/// How often something is done, written `5/s`, `0.5/s` or `30/m`. More than 0, at most 100,000 a second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate {
    /// Times per second.
    pub per_second: f64,
}

impl Rate {
    /// So many times per second.
    #[must_use]
    pub const fn per_second(per_second: f64) -> Self {
        Self { per_second }
    }

    /// The mean time from one to the next.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.per_second)
    }
}

impl FromStr for Rate {
    type Err = String;

    /// Parses `5/s` or `30/m`; the error says what is wrong with the text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = text.split_once('/').ok_or_else(|| format!("{text:?} has no unit"))?;
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" | "min" => 60.0,
            other => return Err(format!("{other:?} is not a unit of time here; s and m are")),
        };
        let number: f64 = number.trim().parse().map_err(|_| format!("{number:?} is not a number"))?;
        let per_second = number / seconds;
        if !(per_second > 0.0 && per_second <= 100_000.0) {
            return Err(format!("{text:?} is out of range"));
        }
        Ok(Self { per_second })
    }
}

text_value!(Rate, "Rate", [r"^[0-9]{1,7}(\.[0-9]+)? ?/ ?(s|m|min)$", "[1-9].*/"], "How often: 5/s, 0.5/s, 30/m");

/// How fast a clock runs, written as a factor (`1.05`) or as a deviation (`500ppm`, `-200ppm`). From 0.5 to 2.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct ClockRate {
    /// Seconds that the clock shows per true second.
    pub factor: f64,
}

impl fmt::Display for ClockRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.factor)
    }
}

impl FromStr for ClockRate {
    type Err = String;

    /// Parses a factor or a deviation in parts per million; the error says what is wrong with the text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not a clock rate");
        let factor = match text.strip_suffix("ppm") {
            Some(ppm) => 1.0 + ppm.trim().parse::<f64>().map_err(|_| wrong())? / 1e6,
            None => text.parse::<f64>().map_err(|_| wrong())?,
        };
        if !(0.5..=2.0).contains(&factor) {
            return Err(format!("{text:?} is out of range"));
        }
        Ok(Self { factor })
    }
}

text_value!(
    ClockRate,
    "ClockRate",
    "How fast a clock runs: a factor from 0.5 to 2 such as 1.05, or a deviation such as 500ppm",
    {
        "description": "How fast a clock runs: a factor from 0.5 to 2 such as 1.05, or a deviation such as 500ppm",
        "anyOf": [
            { "type": "number", "minimum": 0.5, "maximum": 2 },
            { "type": "string", "pattern": r"^(-?[0-9]{1,6}(\.[0-9]+)? ?ppm|0\.[5-9][0-9]*|1(\.[0-9]+)?|2(\.0+)?)$" }
        ]
    }
);
