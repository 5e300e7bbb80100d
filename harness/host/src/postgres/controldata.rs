//! `pg_controldata`, read by its labels.

use std::collections::BTreeMap;

use pgdrill_agent::ports::{ClusterState, ControlData, Lsn, PostgresError, PostgresResult};

use super::{program, settings::Settings};

/// Runs `pg_controldata`.
pub(super) async fn read(settings: &Settings) -> PostgresResult<ControlData> {
    let mut command = program::command(&settings.program("pg_controldata"));
    command.arg("-D").arg(&settings.data_dir);
    parse(&program::run(command).await?).map_err(PostgresError::Failed)
}

/// Reads what it prints.
///
/// # Errors
/// Names the label that is missing or whose value makes no sense.
pub(super) fn parse(text: &str) -> Result<ControlData, String> {
    let labels = text.lines().filter_map(|line| line.split_once(':')).map(|(label, value)| (label, value.trim()));
    let labels: BTreeMap<_, _> = labels.collect();
    let get = |label: &str| labels.get(label).copied().ok_or_else(|| format!("pg_controldata prints no \"{label}\""));
    let number = |label: &str| {
        let value = get(label)?;
        value.parse::<u64>().map_err(|_| format!("pg_controldata: {label}: {value} is no number"))
    };
    let position = |label: &str| {
        let value = get(label)?;
        lsn(value).ok_or_else(|| format!("pg_controldata: {label}: {value} is no position"))
    };
    let timeline =
        |label: &str| u32::try_from(number(label)?).map_err(|_| format!("pg_controldata: {label}: too large"));
    let settings = [
        ("max_connections", "max_connections setting"),
        ("max_worker_processes", "max_worker_processes setting"),
        ("max_wal_senders", "max_wal_senders setting"),
        ("max_prepared_transactions", "max_prepared_xacts setting"),
        ("max_locks_per_transaction", "max_locks_per_xact setting"),
    ];
    Ok(ControlData {
        system_identifier: number("Database system identifier")?,
        state: state(get("Database cluster state")?)?,
        checkpoint_lsn: position("Latest checkpoint location")?,
        redo_lsn: position("Latest checkpoint's REDO location")?,
        timeline: timeline("Latest checkpoint's TimeLineID")?,
        min_recovery_end_lsn: position("Minimum recovery ending location")?,
        min_recovery_end_timeline: timeline("Min recovery ending loc's timeline")?,
        data_checksums: number("Data page checksum version")? != 0,
        wal_log_hints: get("wal_log_hints setting")? == "on",
        settings: settings
            .into_iter()
            .map(|(name, label)| Ok((name.to_owned(), number(label)?)))
            .collect::<Result<_, String>>()?,
    })
}

fn state(text: &str) -> Result<ClusterState, String> {
    Ok(match text {
        "starting up" => ClusterState::StartingUp,
        "shut down" => ClusterState::ShutDown,
        "shut down in recovery" => ClusterState::ShutDownInRecovery,
        "shutting down" => ClusterState::ShuttingDown,
        "in crash recovery" => ClusterState::InCrashRecovery,
        "in archive recovery" => ClusterState::InArchiveRecovery,
        "in production" => ClusterState::InProduction,
        other => return Err(format!("pg_controldata: an unknown state: {other}")),
    })
}

/// `0/3000060`.
pub(super) fn lsn(text: &str) -> Option<Lsn> {
    let (high, low) = text.split_once('/')?;
    let (high, low) = (u32::from_str_radix(high, 16).ok()?, u32::from_str_radix(low, 16).ok()?);
    Some(u64::from(high) << 32 | u64::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDBY: &str = "\
pg_control version number:            1300
Catalog version number:               202307071
Database system identifier:           7441234567890123456
Database cluster state:               in archive recovery
pg_control last modified:             Tue Nov 24 15:00:00 2026
Latest checkpoint location:           0/3000060
Latest checkpoint's REDO location:    0/3000028
Latest checkpoint's REDO WAL file:    000000010000000000000003
Latest checkpoint's TimeLineID:       1
Latest checkpoint's PrevTimeLineID:   1
Time of latest checkpoint:            Tue Nov 24 14:59:59 2026
Minimum recovery ending location:     1/A0000F8
Min recovery ending loc's timeline:   2
wal_level setting:                    replica
wal_log_hints setting:                on
max_connections setting:              100
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
track_commit_timestamp setting:       off
Data page checksum version:           1
Mock authentication nonce:            00
";

    #[test]
    fn what_failover_decisions_need_is_read() {
        let read = parse(STANDBY).expect("it is whole");
        assert_eq!(read.system_identifier, 7_441_234_567_890_123_456);
        assert_eq!(read.state, ClusterState::InArchiveRecovery);
        assert_eq!((read.checkpoint_lsn, read.redo_lsn, read.timeline), (0x300_0060, 0x300_0028, 1));
        assert_eq!((read.min_recovery_end_lsn, read.min_recovery_end_timeline), (0x1_0A00_00F8, 2));
        assert!(read.data_checksums && read.wal_log_hints);
        assert_eq!(read.settings["max_locks_per_transaction"], 64);
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let without = STANDBY.replace("Latest checkpoint location:", "Something else:");
        assert_eq!(parse(&without).unwrap_err(), "pg_controldata prints no \"Latest checkpoint location\"");
        let odd = STANDBY.replace("in archive recovery", "asleep");
        assert_eq!(parse(&odd).unwrap_err(), "pg_controldata: an unknown state: asleep");
    }

    #[test]
    fn positions_are_two_hexadecimal_halves() {
        assert_eq!(lsn("0/3000060"), Some(0x300_0060));
        assert_eq!(lsn("1F/0"), Some(0x1F_0000_0000));
        assert_eq!(lsn("0/100000000"), None);
        assert_eq!(lsn("nothing"), None);
    }
}
