//! `pg_controldata`.

use crate::{DataDir, lsn::walfile_name, sql::types::timestamp_text};

/// The lines of `pg_controldata` as label and value, in its order and with its labels.
///
/// # Errors
/// There is no `pg_control`.
pub fn controldata(dir: &DataDir) -> Result<Vec<(&'static str, String)>, String> {
    let disk = dir.lock();
    let missing =
        "pg_controldata: error: could not open file \"global/pg_control\" for reading: No such file or directory";
    let cluster = disk.cluster.as_ref().filter(|_| !disk.half_written).ok_or(missing)?;
    let (control, checkpoint) = (&cluster.control, &cluster.control.checkpoint);
    let on_off = |value: bool| if value { "on" } else { "off" }.to_owned();
    Ok(vec![
        ("pg_control version number", "1300".to_owned()),
        ("Catalog version number", "202307071".to_owned()),
        ("Database system identifier", control.system_identifier.to_string()),
        ("Database cluster state", control.state.as_str().to_owned()),
        ("Latest checkpoint location", checkpoint.location.to_string()),
        ("Latest checkpoint's REDO location", checkpoint.redo.to_string()),
        ("Latest checkpoint's REDO WAL file", walfile_name(checkpoint.tli, checkpoint.redo)),
        ("Latest checkpoint's TimeLineID", checkpoint.tli.to_string()),
        ("Latest checkpoint's PrevTimeLineID", checkpoint.previous_tli.to_string()),
        ("Time of latest checkpoint", timestamp_text(checkpoint.time_s * 1_000_000)),
        ("Minimum recovery ending location", control.min_recovery_point.to_string()),
        ("Min recovery ending loc's timeline", control.min_recovery_tli.to_string()),
        ("Backup start location", "0/0".to_owned()),
        ("Backup end location", control.backup_end.unwrap_or_default().to_string()),
        ("End-of-backup record required", "no".to_owned()),
        ("wal_level setting", "replica".to_owned()),
        ("wal_log_hints setting", on_off(control.wal_log_hints)),
        ("max_connections setting", control.max_connections.to_string()),
        ("max_worker_processes setting", control.max_worker_processes.to_string()),
        ("max_wal_senders setting", control.max_wal_senders.to_string()),
        ("max_prepared_xacts setting", control.max_prepared_transactions.to_string()),
        ("max_locks_per_xact setting", control.max_locks_per_transaction.to_string()),
        ("track_commit_timestamp setting", "off".to_owned()),
        ("Bytes per WAL segment", crate::SEGMENT_BYTES.to_string()),
        ("Data page checksum version", u8::from(control.data_checksums).to_string()),
    ])
}
