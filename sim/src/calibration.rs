//! How long real servers take for what a model cannot know: data, not constants.

use pgdrill_sim_postgres::Timings;
use serde::Deserialize;

/// The shipped file; it says where it was measured.
const SHIPPED: &str = include_str!("../calibration.json");

/// Measured durations.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Calibration {
    /// Where and when it was measured, for people.
    #[serde(rename = "measured")]
    _measured: String,
    /// From a machine's reset until its services start (assumed: a small virtual machine), in seconds.
    pub(crate) boot_s: f64,
    /// PostgreSQL's.
    pub(crate) postgresql: Timings,
}

impl Calibration {
    /// The file that comes with pgdrill.
    pub(crate) fn shipped() -> Self {
        serde_json::from_str(SHIPPED).expect("the shipped file is tested")
    }
}

#[cfg(test)]
mod tests {
    use super::Calibration;

    #[test]
    fn the_shipped_file_is_read_and_says_where_it_was_measured() {
        assert!(Calibration::shipped()._measured.contains("PostgreSQL 16"));
    }
}
