//! `pg_rewind --source-server`.

use pgdrill_net::Net;

use super::basebackup::{SourceServer, receive};
use crate::{
    DataDir, Lsn,
    disk::{
        Cluster,
        control::{ClusterState, Control},
        history::Timeline,
        record::Body,
    },
    lsn::segment_file_name,
    replication::client::Connection,
};

/// Rewinds a cleanly shut down cluster to the last point it shares with the source, and takes the source's state. Returns
/// whether anything had to be done. `standby.signal` is not written (no `-R`), the configuration is the source's.
///
/// # Errors
/// `pg_rewind`'s: the target was not shut down cleanly, needs checksums or `wal_log_hints`, is of another system, lacks WAL
/// back to the last common checkpoint; the source is in recovery or went away, which leaves the directory half written.
pub async fn rewind<N: Net>(dir: &DataDir, net: &N, source: &SourceServer) -> Result<bool, String> {
    let fail = |message: String| format!("pg_rewind: fatal: {message}");
    check_target(dir).map_err(fail)?;
    let mut connection = source.connect(net, "pg_rewind").await?;
    let (system, source_tli, _) = connection.identify_system().await.map_err(fail)?;
    let (ours, target) = own_history(dir);
    if system != ours {
        return Err(fail("source and target clusters are from different systems".to_owned()));
    }
    let source_history = match source_tli {
        1 => Timeline::root(1),
        tli => connection.timeline_history(tli).await.map_err(fail)?,
    };
    if source_tli == target.tli {
        return Ok(false);
    }
    let (tli, fork) = target.common_ancestor(&source_history).ok_or_else(|| {
        fail("could not find common ancestor of the source and target cluster's timelines".to_owned())
    })?;
    let end = {
        let disk = dir.lock();
        let cluster = disk.cluster.as_ref().ok_or_else(|| fail("the target was removed".to_owned()))?;
        // A standby's WAL ends where its replay has come to (`target_wal_endrec`).
        cluster.control.checkpoint.end.max(cluster.control.min_recovery_point)
    };
    let divergence = fork.unwrap_or(end).min(end);
    dir.lock().log.push_back(format!("pg_rewind: servers diverged at WAL location {divergence} on timeline {tli}"));
    // The target stops exactly where the source's history goes on: nothing to undo.
    if target.tli == tli && divergence >= end {
        return Ok(false);
    }
    let checkpoint = last_common_checkpoint(dir, divergence).map_err(fail)?;
    copy(dir, &mut connection, divergence, checkpoint).await.map_err(fail)?;
    Ok(true)
}

fn check_target(dir: &DataDir) -> Result<(), String> {
    let disk = dir.lock();
    let cluster = disk.cluster.as_ref().filter(|_| !disk.half_written);
    let control = &cluster.ok_or("could not open file \"global/pg_control\": No such file or directory")?.control;
    if !control.data_checksums && !control.wal_log_hints {
        return Err("target server needs to use either data checksums or \"wal_log_hints = on\"".to_owned());
    }
    if disk.running || !matches!(control.state, ClusterState::ShutDown | ClusterState::ShutDownInRecovery) {
        return Err("target server must be shut down cleanly".to_owned());
    }
    Ok(())
}

fn own_history(dir: &DataDir) -> (u64, Timeline) {
    dir.with(|cluster| (cluster.control.system_identifier, cluster.timeline(cluster.control.own_tli())))
}

/// The last checkpoint before the divergence (`findLastCheckpoint`), as location and redo.
fn last_common_checkpoint(dir: &DataDir, divergence: Lsn) -> Result<(Lsn, Lsn), String> {
    dir.with(|cluster| {
        let before = cluster.wal.records().rev().filter(|record| record.end <= divergence);
        let found = before.filter_map(|record| match &record.body {
            Body::CheckpointShutdown => Some((record.start, record.start)),
            Body::CheckpointOnline { redo } => Some((record.start, *redo)),
            _ => None,
        });
        found.into_iter().next().ok_or_else(|| {
            let oldest = cluster.wal.oldest();
            let file = segment_file_name(cluster.control.own_tli(), oldest.segment().saturating_sub(1));
            format!("could not find previous WAL record at {oldest}: could not open file \"pg_wal/{file}\": No such file or directory")
        })
    })
}

async fn copy<N: Net>(
    dir: &DataDir,
    connection: &mut Connection<N>,
    divergence: Lsn,
    (_, redo): (Lsn, Lsn),
) -> Result<(), String> {
    // From the first changed block on, an interrupted rewind leaves a directory that cannot be started.
    dir.lock().half_written = true;
    let (snapshot, copied) = receive(connection, &format!("BASE_BACKUP REWIND {redo}")).await?;
    if snapshot.in_recovery {
        dir.lock().half_written = false;
        return Err("source server must not be in recovery mode".to_owned());
    }
    let mut disk = dir.lock();
    if disk.full {
        return Err("could not write to target file: No space left on device".to_owned());
    }
    let old = disk.cluster.take().ok_or("the target was removed")?;
    let mut wal = old.wal;
    // Recovery starts at the last common checkpoint, or earlier where the source's own begins earlier.
    let from = copied.oldest.min(wal.end());
    let mut cluster_wal = crate::disk::wal::Wal::starting_at(from);
    wal.truncate(divergence);
    cluster_wal.replace_from(from, copied.records);
    disk.cluster = Some(Cluster {
        control: Control {
            state: ClusterState::InArchiveRecovery,
            min_recovery_point: copied.end,
            min_recovery_tli: copied.end_tli,
            backup_end: None,
            ..snapshot.control
        },
        wal: cluster_wal,
        histories: snapshot.histories,
        image: snapshot.image,
        slots: old.slots,
        configuration: snapshot.configuration,
        standby_signal: false,
    });
    disk.half_written = false;
    Ok(())
}
