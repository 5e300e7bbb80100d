//! An amount of data.

use std::{fmt, str::FromStr};

use super::number;
use crate::scenario::text::text_value;

/// An amount of data, written `1MiB`, `16MB`, `512kB` or `8192B`. `KiB`, `MiB`... are powers of 1024, `kB`, `MB`... of 1000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    /// Bytes.
    pub bytes: u64,
}

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Size {
    /// From mebibytes.
    #[must_use]
    pub const fn from_mib(mib: u64) -> Self {
        Self { bytes: mib << 20 }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS[..4].iter().find(|(_, unit)| self.bytes > 0 && self.bytes.is_multiple_of(*unit));
        let (name, unit) = exact.copied().unwrap_or(("B", 1));
        write!(f, "{}{name}", self.bytes / unit)
    }
}

impl FromStr for Size {
    type Err = String;

    /// Parses a number with its unit; the error says what is wrong with the text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('-') {
            return Err(format!("{text:?} is negative"));
        }
        let (digits, name) = number::split_unit(text).ok_or_else(|| format!("{text:?} is not a size"))?;
        if name.is_empty() {
            return Err(format!("{text:?} has no unit"));
        }
        let unit = UNITS
            .iter()
            .find_map(|(n, unit)| (*n == name.trim_start()).then_some(*unit))
            .ok_or_else(|| format!("{:?} is not a unit of size", name.trim()))?;
        let bytes = number::times(digits, unit).ok_or_else(|| format!("{digits:?} is not a number that fits"))?;
        Ok(Self { bytes })
    }
}

text_value!(
    Size,
    "Size",
    [r"^[0-9]+(\.[0-9]+)? *(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)$"],
    "An amount of data with its unit: 1MiB, 16MB, 8192B"
);
