//! Which PostgreSQL a cluster was made by. What differs between the versions stands here.

use serde::{Deserialize, Serialize};

/// A major version that the model knows, with the minor version whose real server it was compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Version {
    /// PostgreSQL 15.
    V15,
    /// PostgreSQL 16.
    #[default]
    V16,
    /// PostgreSQL 17.
    V17,
    /// PostgreSQL 18.
    V18,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::V15, Self::V16, Self::V17, Self::V18];

    /// The version with this major number.
    #[must_use]
    pub fn of_major(major: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.major() == major)
    }

    /// `16`, as in `PG_VERSION`.
    #[must_use]
    pub const fn major(self) -> u16 {
        match self {
            Self::V15 => 15,
            Self::V16 => 16,
            Self::V17 => 17,
            Self::V18 => 18,
        }
    }

    const fn minor(self) -> u16 {
        match self {
            Self::V15 => 18,
            Self::V16 => 14,
            Self::V17 => 12,
            Self::V18 => 4,
        }
    }

    /// Whether `pg_read_file` and `pg_read_binary_file` can be called with a name and `missing_ok` alone (PostgreSQL 16's release
    /// notes; before, offset and length had to be given).
    #[must_use]
    pub const fn reads_files_that_may_be_missing(self) -> bool {
        self.major() >= 16
    }

    /// `server_version`.
    #[must_use]
    pub fn server_version(self) -> String {
        format!("{}.{}", self.major(), self.minor())
    }

    /// `server_version_num`.
    #[must_use]
    pub fn server_version_num(self) -> String {
        format!("{}{:04}", self.major(), self.minor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_as_postgresql_tells_it() {
        let v17 = Version::of_major(17).expect("it is known");
        assert_eq!((v17.server_version(), v17.server_version_num()), ("17.12".into(), "170012".into()));
        assert_eq!(Version::of_major(14), None);
    }
}
