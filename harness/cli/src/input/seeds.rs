//! Seeds as they are written on the command line and in `PGDRILL_SEEDS`: `7`, `0..50`, `0..=49`.

use std::{fmt, ops::Range, str::FromStr};

/// The most seeds that one command plays: more is a slip of the finger.
const MOST: u64 = 1_000_000;

/// A range of seeds, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(Range<u64>);

impl Seeds {
    /// A single seed.
    #[must_use]
    pub fn one(seed: u64) -> Self {
        // The range's end must be representable; u64::MAX itself is refused when read.
        Self(seed..seed.saturating_add(1))
    }

    /// The seeds in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + use<> {
        self.0.clone()
    }
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| -> Result<u64, String> {
            part.trim().parse().map_err(|_| format!("`{part}` is not a seed: a whole number from 0 to 2^64 - 2"))
        };
        let range = match text.split_once("..") {
            None => {
                let seed = number(text)?;
                seed..seed.saturating_add(1)
            }
            Some((from, to)) => match to.strip_prefix('=') {
                Some(last) => number(from)?..number(last)?.saturating_add(1),
                None => number(from)?..number(to)?,
            },
        };
        if range.is_empty() {
            return Err(format!("`{text}` has no seeds: A..B is from A up to, but without, B"));
        }
        if range.end - range.start > MOST {
            return Err(format!("`{text}` has more than {MOST} seeds"));
        }
        Ok(Self(range))
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.end - self.0.start == 1 {
            write!(f, "{}", self.0.start)
        } else {
            write!(f, "{}..{}", self.0.start, self.0.end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_people_write_them() {
        let cases = [("7", vec![7]), ("0..3", vec![0, 1, 2]), ("5..=6", vec![5, 6]), (" 1 .. 2 ", vec![1])];
        for (text, expected) in cases {
            let seeds: Seeds = text.parse().expect(text);
            assert_eq!(seeds.iter().collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_range_of_seeds_is_refused_with_the_reason() {
        let cases = [
            ("", "is not a seed"),
            ("a..b", "`a` is not a seed"),
            ("3..3", "has no seeds"),
            ("9..1", "has no seeds"),
            ("0..2000000", "more than 1000000"),
            ("-1", "is not a seed"),
            ("18446744073709551615", "has no seeds"),
        ];
        for (text, reason) in cases {
            let error = text.parse::<Seeds>().expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
