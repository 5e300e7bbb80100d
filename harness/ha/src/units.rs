//! The two quantities every rule is written in: a position in the WAL and a moment on the monotonic clock.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A position in the write-ahead log, in bytes, as PostgreSQL's `pg_lsn`.
///
/// In Patroni's records it is a JSON number; `Display` and `FromStr` use PostgreSQL's `16/B374D848`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lsn(pub u64);

impl Lsn {
    /// How many bytes `self` is behind `ahead`; 0 when it is level with it or beyond it.
    pub fn bytes_behind(self, ahead: Lsn) -> u64 {
        ahead.0.saturating_sub(self.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = String;

    /// Parses `16/B374D848`; the error says what was found.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("expected an LSN such as 16/B374D848, found {text:?}");
        let (high, low) = text.split_once('/').ok_or_else(wrong)?;
        let half = |part: &str| u32::from_str_radix(part, 16).map(u64::from).map_err(|_| wrong());
        Ok(Lsn(half(high)? << 32 | half(low)?))
    }
}

/// A number of bytes as people say it: `2.3 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        write!(f, "{value:.1} {}", UNITS[unit])
    }
}

/// A moment on this process's monotonic clock, counted from an arbitrary start (usually the agent's).
///
/// Wall clocks jump (Patroni issue 3560: a step of minutes back froze the loop until the lock was gone), so every
/// duration and deadline in this crate is monotonic. Wall time serves `scheduled_at` alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub Duration);

impl Monotonic {
    /// The moment `seconds` after the start of the clock.
    pub const fn from_secs(seconds: u64) -> Self {
        Monotonic(Duration::from_secs(seconds))
    }

    /// How much later `self` is than `earlier`; zero if it is not later.
    pub fn since(self, earlier: Monotonic) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Monotonic {
    type Output = Monotonic;

    fn add(self, rhs: Duration) -> Monotonic {
        Monotonic(self.0.saturating_add(rhs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lsn_reads_and_prints_as_postgresql_does() {
        let lsn: Lsn = "16/B374D848".parse().unwrap();
        assert_eq!(lsn, Lsn(0x16_B374_D848));
        assert_eq!(lsn.to_string(), "16/B374D848");
        assert!("16".parse::<Lsn>().is_err());
        assert!("16/100000000".parse::<Lsn>().is_err());
    }

    #[test]
    fn bytes_are_said_in_the_largest_fitting_unit() {
        assert_eq!(Bytes(1023).to_string(), "1023 B");
        assert_eq!(Bytes(2_411_725).to_string(), "2.3 MiB");
    }
}
