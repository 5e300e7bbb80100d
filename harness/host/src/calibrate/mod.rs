//! How long PostgreSQL takes on this machine for what a model of it cannot know: measured with the agent's own adapter, so that
//! what the agent adds (writing configuration, checking files) is measured with it.
//!
//! Every figure is the median of several tries on a server of its own in a folder of its own, which is removed afterwards.
//! What is not measured is not in [`Durations`]: whoever needs it must assume it, and say so.

mod bench;
mod measure;

use serde::Serialize;
use std::path::PathBuf;

pub use bench::CalibrationError;
pub use measure::measure;

/// What is measured, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The folder with PostgreSQL's programs; `None`: those in `PATH`.
    pub bin_dir: Option<PathBuf>,
    /// An existing folder; everything is done in a new folder below it, on the file system that is to be measured.
    pub dir: PathBuf,
    /// Two free ports on 127.0.0.1.
    pub ports: [u16; 2],
    /// How often each figure is taken, at least 1.
    pub tries: usize,
}

/// Measured durations in seconds, rates in bytes per second; the names are those of the simulator's calibration file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Durations {
    /// `SELECT version()`, shortened to `PostgreSQL 16.14`; no figure, so it is not written with them.
    #[serde(skip)]
    pub server: String,
    /// `initdb --no-sync`.
    pub initdb_s: f64,
    /// From the order to start until it accepts connections.
    pub start_s: f64,
    /// `pg_basebackup` of an empty cluster, less what its bytes cost.
    pub basebackup_s: f64,
    /// How fast further bytes are copied.
    pub basebackup_bytes_per_s: f64,
    /// What a new cluster takes on disk.
    pub empty_cluster_bytes: u64,
    /// `pg_rewind` of a primary that wrote a little after it was replaced.
    pub rewind_s: f64,
    /// How fast WAL is replayed in crash recovery.
    pub replay_bytes_per_s: f64,
    /// From the order to promote until it takes writes.
    pub promote_s: f64,
    /// `CHECKPOINT` after a few small writes.
    pub checkpoint_s: f64,
    /// Connecting and logging in with SCRAM.
    pub connect_s: f64,
    /// `postgres --single` after a crash with little to replay.
    pub single_user_s: f64,
    /// One fdatasync of 8 KiB in the data directory.
    pub fsync_s: f64,
    /// From the promotion until `pg_control` shows the new timeline, less a checkpoint.
    pub checkpoint_after_promote_s: f64,
}
