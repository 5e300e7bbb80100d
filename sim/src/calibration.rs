//! How long real servers take for what a model cannot know: data, not constants.

use std::{fs, io, path::Path};

use pgdrill_sim_postgres::Timings;
use serde::{Deserialize, Serialize};

/// The shipped file; it says where it was measured.
const SHIPPED: &str = include_str!("../calibration.json");

/// Measured durations. `pgdrill calibrate` measures and writes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Where and when it was measured, and what was assumed instead, for people.
    pub measured: String,
    /// From a machine's reset until its services start (assumed: a small virtual machine), in seconds.
    pub boot_s: f64,
    /// PostgreSQL's.
    pub postgresql: Timings,
}

/// Why a calibration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// It cannot be read.
    #[error("cannot read the calibration file {file}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// The operating system's reason.
        why: io::Error,
    },
    /// It is not what `pgdrill calibrate` writes.
    #[error("{file}: {why}; `pgdrill calibrate --output FILE` writes such a file")]
    Invalid {
        /// The file.
        file: String,
        /// What is wrong, with line and column.
        why: serde_json::Error,
    },
}

impl Calibration {
    /// The file that comes with pgdrill.
    #[must_use]
    pub fn shipped() -> Self {
        serde_json::from_str(SHIPPED).expect("the shipped file is tested")
    }

    /// Reads a file that `pgdrill calibrate` wrote.
    ///
    /// # Errors
    /// See [`CalibrationError`].
    pub fn read(file: &Path) -> Result<Self, CalibrationError> {
        let named = || file.display().to_string();
        let text = fs::read_to_string(file).map_err(|why| CalibrationError::Unreadable { file: named(), why })?;
        serde_json::from_str(&text).map_err(|why| CalibrationError::Invalid { file: named(), why })
    }
}

#[cfg(test)]
mod tests {
    use super::Calibration;

    #[test]
    fn the_shipped_file_is_read_and_says_where_it_was_measured() {
        assert!(Calibration::shipped().measured.contains("PostgreSQL 16"));
    }
}
