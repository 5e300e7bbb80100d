//! How much passes in a second.

use std::{fmt, str::FromStr};

use super::{Size, number};
use crate::scenario::text::text_value;

/// How much data passes a link each second, written `1MiB/s` or `100kB/s`. More than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throughput {
    /// In one second.
    pub per_second: Size,
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.per_second)
    }
}

impl FromStr for Throughput {
    type Err = String;

    /// Parses a size and `/s`; the error says what is wrong with the text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size = text.strip_suffix("/s").ok_or_else(|| format!("{text:?} does not end in /s"))?;
        let per_second = match bits(size.trim_end()) {
            Some(per_second) => per_second.ok_or_else(|| format!("{text:?} is no number of whole bytes that fits"))?,
            None => size.trim_end().parse()?,
        };
        if per_second.bytes == 0 {
            return Err(format!("{text:?} is a link on which nothing passes: use cut"));
        }
        Ok(Self { per_second })
    }
}

/// As links are sold, in bits: `10Mbit`. `None` where it is something else; nothing in it where it is no whole number of bytes.
fn bits(text: &str) -> Option<Option<Size>> {
    let prefixes = [("kbit", 125), ("Mbit", 125_000), ("Gbit", 125_000_000)];
    let (number, bytes) = prefixes
        .iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, Some(*bytes))))
        .or_else(|| Some((text.strip_suffix("bit")?, None)))?;
    let number = number.trim_end();
    Some(match bytes {
        Some(bytes) => number::times(number, bytes).map(|bytes| Size { bytes }),
        None => number.parse::<u64>().ok().filter(|bits| bits % 8 == 0).map(|bits| Size { bytes: bits / 8 }),
    })
}

text_value!(
    Throughput,
    "Throughput",
    [r"^[0-9]+(\.[0-9]+)? *(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB|[kMG]?bit) */s$", "[1-9]"],
    "How much passes in a second: 1MiB/s, 100kB/s, 10Mbit/s"
);

#[cfg(test)]
mod tests {
    use super::Throughput;

    #[test]
    fn a_throughput_is_a_size_each_second() {
        let parsed: Throughput = "1.5MiB/s".parse().expect("it is one");
        assert_eq!(parsed.per_second.bytes, 3 << 19);
        assert_eq!(parsed.to_string(), "1536KiB/s");
        let of = |text: &str| text.parse::<Throughput>().map(|rate| rate.per_second.bytes);
        assert_eq!(
            (of("10Mbit/s"), of("1.5kbit/s"), of("800bit/s")),
            (Ok(1_250_000), Err("\"1.5kbit/s\" is no number of whole bytes that fits".into()), Ok(100))
        );
        for wrong in ["1MiB", "0B/s", "/s", "5/s", "-1MiB/s"] {
            assert!(wrong.parse::<Throughput>().is_err(), "{wrong}");
        }
    }
}
