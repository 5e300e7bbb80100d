//! `initdb`.

use std::collections::BTreeMap;

use crate::{
    DataDir, Lsn, Timings, Version,
    disk::{
        Cluster,
        control::{Checkpoint, ClusterState, Control},
        record::Body,
        tables::Database,
        wal::Wal,
    },
    lsn::SEGMENT_BYTES,
    server::state::now_us,
    timings::seconds,
};

/// Options of `initdb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitDb {
    /// The new cluster's identity. PostgreSQL makes it from the clock and its process id.
    pub system_identifier: u64,
    /// `--data-checksums`.
    pub data_checksums: bool,
    /// Whose `initdb` it is.
    pub version: Version,
    /// `--username`: the superuser.
    pub username: String,
}

/// Where the WAL of a new cluster begins: `initdb` of PostgreSQL 16 leaves its checkpoint in segment 1, about 5 MB in.
const FIRST_CHECKPOINT: Lsn = Lsn(SEGMENT_BYTES + 0x4E_DE50);

/// Creates a cluster in an empty directory.
///
/// # Errors
/// The directory is not empty, or the disk is full.
pub async fn initdb(dir: &DataDir, options: &InitDb, timings: &Timings) -> Result<(), String> {
    if dir.lock().cluster.is_some() {
        return Err("initdb: error: directory exists but is not empty".to_owned());
    }
    dir.lock().half_written = true;
    tokio::time::sleep(seconds(timings.initdb_s)).await;
    let mut disk = dir.lock();
    if disk.full {
        return Err("initdb: error: could not write to file: No space left on device".to_owned());
    }
    let mut wal = Wal::starting_at(FIRST_CHECKPOINT);
    let record = wal.append(1, Body::CheckpointShutdown);
    wal.flush(record.end);
    let checkpoint = Checkpoint {
        location: record.start,
        end: record.end,
        redo: record.start,
        tli: 1,
        previous_tli: 1,
        time_s: now_us() / 1_000_000,
    };
    let control = Control {
        version: options.version,
        system_identifier: options.system_identifier,
        state: ClusterState::ShutDown,
        checkpoint,
        min_recovery_point: Lsn::INVALID,
        min_recovery_tli: 0,
        backup_end: None,
        data_checksums: options.data_checksums,
        wal_log_hints: false,
        max_connections: 100,
        max_worker_processes: 8,
        max_wal_senders: 10,
        max_prepared_transactions: 0,
        max_locks_per_transaction: 64,
    };
    let mut image = Database::default();
    image.roles.insert(options.username.clone(), None);
    disk.cluster = Some(Cluster {
        control,
        wal,
        histories: BTreeMap::new(),
        image,
        slots: BTreeMap::new(),
        configuration: BTreeMap::new(),
        standby_signal: false,
    });
    disk.half_written = false;
    Ok(())
}
