//! How long things take: calibration data, in seconds, readable from a file.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Durations and rates of one PostgreSQL server. All times in seconds, all rates in bytes per second.
///
/// The defaults were measured with PostgreSQL 16 in containers on a memory file system; where nothing was measured the
/// field says so. A file has every field: one that is missing would be somebody else's measurement, and nobody would know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timings {
    /// `initdb --no-sync`: 0.7 s measured.
    pub initdb_s: f64,
    /// From the postmaster's start until it accepts connections, without replay: 0.12 s measured.
    pub start_s: f64,
    /// Fixed part of `pg_basebackup`: 0.18 s measured.
    pub basebackup_s: f64,
    /// Rate at which a base backup is copied (assumed: one busy gigabit link).
    pub basebackup_bytes_per_s: f64,
    /// Size of a freshly initialised data directory: 23 MB (`du` of PostgreSQL 16's).
    pub empty_cluster_bytes: u64,
    /// Fixed part of `pg_rewind` (assumed).
    pub rewind_s: f64,
    /// Rate of replay in crash recovery and on standbys (assumed: 100 MB/s).
    pub replay_bytes_per_s: f64,
    /// From the promote signal to read-write, after replay has finished (assumed).
    pub promote_s: f64,
    /// A checkpoint with few dirty buffers, without its fsync (assumed).
    pub checkpoint_s: f64,
    /// Forking a backend and authenticating (assumed).
    pub connect_s: f64,
    /// `postgres --single` after a crash, without replay (assumed as long as a start).
    pub single_user_s: f64,
    /// One fsync of WAL on a healthy disk. 0: memory file system.
    pub fsync_s: f64,
    /// Default of `checkpoint_timeout`: 300 s.
    pub checkpoint_timeout_s: f64,
    /// Delay between the request for a fast promotion's checkpoint and its start. The checkpoint runs beside normal work
    /// and is what makes `pg_control` show the new timeline (assumed).
    pub checkpoint_after_promote_s: f64,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            initdb_s: 0.7,
            start_s: 0.12,
            basebackup_s: 0.18,
            basebackup_bytes_per_s: 100e6,
            empty_cluster_bytes: 23 * 1024 * 1024,
            rewind_s: 0.3,
            replay_bytes_per_s: 100e6,
            promote_s: 0.02,
            checkpoint_s: 0.02,
            connect_s: 0.002,
            single_user_s: 0.12,
            fsync_s: 0.0,
            checkpoint_timeout_s: 300.0,
            checkpoint_after_promote_s: 0.1,
        }
    }
}

/// A duration in seconds as calibration files give it; negative or not finite counts as 0.
pub(crate) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or(Duration::ZERO)
}

/// How long `bytes` take at `bytes_per_s`.
pub(crate) fn transfer(bytes: u64, bytes_per_s: f64) -> Duration {
    seconds(bytes as f64 / bytes_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_every_field_is_needed() {
        let written = serde_json::to_value(Timings { start_s: 2.5, ..Timings::default() }).expect("it is JSON");
        let read = |value: &serde_json::Value| serde_json::from_value::<Timings>(value.clone());
        assert_eq!(read(&written).expect("it is complete").start_s, 2.5);
        for field in written.as_object().expect("it has fields").keys() {
            let mut without = written.clone();
            without.as_object_mut().expect("it has fields").remove(field);
            let why = read(&without).expect_err("a field is missing").to_string();
            assert_eq!(why, format!("missing field `{field}`"));
        }
    }
}
