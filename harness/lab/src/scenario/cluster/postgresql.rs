//! Which PostgreSQL.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A major version of PostgreSQL: 15, 16, 17 or 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PostgresqlMajor(#[schemars(range(min = 15, max = 18))] u16);

impl PostgresqlMajor {
    /// The oldest that every world has.
    pub const OLDEST: u16 = 15;

    /// The newest that every world has.
    pub const NEWEST: u16 = 18;

    /// That major version; `None` where no world has it.
    #[must_use]
    pub const fn new(major: u16) -> Option<Self> {
        match major {
            Self::OLDEST..=Self::NEWEST => Some(Self(major)),
            _ => None,
        }
    }

    /// As a number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl Default for PostgresqlMajor {
    /// 16, whose durations are calibrated.
    fn default() -> Self {
        Self(16)
    }
}

impl fmt::Display for PostgresqlMajor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for PostgresqlMajor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = text.parse().ok().and_then(Self::new);
        found.ok_or_else(|| format!("a major version of PostgreSQL is expected: {} to {}", Self::OLDEST, Self::NEWEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_no_world_has_is_refused() {
        assert_eq!("17".parse::<PostgresqlMajor>().map(PostgresqlMajor::number), Ok(17));
        for text in ["14", "19", "16.4", "", "sixteen"] {
            assert!(text.parse::<PostgresqlMajor>().is_err(), "{text}");
        }
    }
}
