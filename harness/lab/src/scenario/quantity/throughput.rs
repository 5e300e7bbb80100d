//! How much passes in a second.

use std::{fmt, str::FromStr};

use super::Size;
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
        let per_second: Size = size.trim_end().parse()?;
        if per_second.bytes == 0 {
            return Err(format!("{text:?} is a link on which nothing passes: use cut"));
        }
        Ok(Self { per_second })
    }
}

text_value!(
    Throughput,
    "Throughput",
    r"^[0-9]+(\.[0-9]+)? ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)/s$",
    "How much passes in a second: 1MiB/s, 100kB/s"
);

#[cfg(test)]
mod tests {
    use super::Throughput;

    #[test]
    fn a_throughput_is_a_size_each_second() {
        let parsed: Throughput = "1.5MiB/s".parse().expect("it is one");
        assert_eq!(parsed.per_second.bytes, 3 << 19);
        assert_eq!(parsed.to_string(), "1536KiB/s");
        for wrong in ["1MiB", "0B/s", "/s", "5/s", "-1MiB/s"] {
            assert!(wrong.parse::<Throughput>().is_err(), "{wrong}");
        }
    }
}
