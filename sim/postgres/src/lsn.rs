//! Log sequence numbers and WAL file names, in PostgreSQL's own notation.

use std::{fmt, ops::Add, str::FromStr};

use serde::{Deserialize, Serialize};

/// Size of a WAL segment in bytes (`wal_segment_size`, PostgreSQL's default).
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// A position in the WAL, in bytes since the beginning of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lsn(pub u64);

impl Lsn {
    /// `InvalidXLogRecPtr`, printed `0/0`.
    pub const INVALID: Self = Self(0);

    /// Number of the segment that holds this position.
    #[must_use]
    pub fn segment(self) -> u64 {
        self.0 / SEGMENT_BYTES
    }

    /// Bytes from `earlier` to here; 0 when `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Lsn {
    type Output = Self;
    fn add(self, bytes: u64) -> Self {
        Self(self.0 + bytes)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl FromStr for Lsn {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("invalid input syntax for type pg_lsn: \"{text}\"");
        let (high, low) = text.split_once('/').ok_or_else(wrong)?;
        let part = |digits: &str| u32::from_str_radix(digits, 16).map_err(|_| wrong());
        Ok(Self(u64::from(part(high)?) << 32 | u64::from(part(low)?)))
    }
}

/// Name of WAL segment number `segment` on timeline `tli`, 24 hexadecimal digits.
#[must_use]
pub fn segment_file_name(tli: u32, segment: u64) -> String {
    let per_id = 0x1_0000_0000 / SEGMENT_BYTES;
    format!("{tli:08X}{:08X}{:08X}", segment / per_id, segment % per_id)
}

/// What `pg_walfile_name` answers: a position on a segment boundary belongs to the segment before it.
#[must_use]
pub fn walfile_name(tli: u32, lsn: Lsn) -> String {
    segment_file_name(tli, lsn.0.saturating_sub(1) / SEGMENT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lsn_is_printed_and_read_as_postgresql_does() {
        for (text, value) in [("0/0", 0), ("0/14EDE50", 0x14E_DE50), ("1/0", 1 << 32), ("A/FFFFFFFF", 0xA_FFFF_FFFF)] {
            assert_eq!(text.parse::<Lsn>().expect("valid"), Lsn(value));
            assert_eq!(Lsn(value).to_string(), text);
        }
        for wrong in ["", "1", "1/", "x/1", "1/1/1"] {
            assert!(wrong.parse::<Lsn>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn wal_files_are_named_by_timeline_and_segment() {
        assert_eq!(segment_file_name(1, 1), "000000010000000000000001");
        assert_eq!(segment_file_name(2, 256), "000000020000000100000000");
        assert_eq!(walfile_name(1, Lsn(2 * SEGMENT_BYTES)), "000000010000000000000001");
        assert_eq!(walfile_name(1, Lsn(2 * SEGMENT_BYTES + 1)), "000000010000000000000002");
    }
}
