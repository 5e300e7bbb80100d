//! `postgres --single` after a crash: recovery and a clean shutdown, without letting anybody in.

use crate::{
    DataDir, Timings,
    disk::{control::ClusterState, record::Body, settings::Settings},
    server::state::now_us,
    timings::{seconds, transfer},
};

/// Brings a crashed cluster to a clean shutdown.
///
/// # Errors
/// It runs, is not initialised, or the disk is full.
pub async fn single_user_recovery(dir: &DataDir, timings: &Timings) -> Result<(), String> {
    let replay = {
        let disk = dir.lock();
        if disk.running {
            return Err("FATAL:  lock file \"postmaster.pid\" already exists".to_owned());
        }
        if disk.full {
            return Err("PANIC:  could not write to file \"pg_wal/xlogtemp\": No space left on device".to_owned());
        }
        let cluster = disk.cluster.as_ref().filter(|_| !disk.half_written);
        let cluster = cluster.ok_or("FATAL:  could not open file \"PG_VERSION\": No such file or directory")?;
        if cluster.standby_signal {
            return Err("FATAL:  standby mode is not supported by single-user servers".to_owned());
        }
        cluster.wal.end().since(cluster.control.checkpoint.redo)
    };
    tokio::time::sleep(seconds(timings.single_user_s) + transfer(replay, timings.replay_bytes_per_s)).await;
    let mut disk = dir.lock();
    disk.postmaster_pid = None;
    let Some(cluster) = &mut disk.cluster else { return Err("FATAL:  the data directory was removed".to_owned()) };
    let last_tli = cluster.wal.records().next_back().map_or(cluster.control.own_tli(), |record| record.tli);
    let record = cluster.wal.append(last_tli, Body::CheckpointShutdown);
    cluster.wal.flush(record.end);
    let settings = Settings::load(cluster.control.version, &cluster.configuration);
    let checkpoint = crate::disk::control::Checkpoint {
        location: record.start,
        end: record.end,
        redo: record.start,
        tli: last_tli,
        previous_tli: last_tli,
        time_s: now_us() / 1_000_000,
    };
    cluster.checkpointed(checkpoint, &settings);
    cluster.control.state = ClusterState::ShutDown;
    Ok(())
}
