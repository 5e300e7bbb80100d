//! What lies in a simulated data directory, in the agent's terms.

use std::collections::BTreeMap;

use pgdrill_agent::ports::{
    ClusterState, ControlData, PostgresError, PostgresResult, PrimaryConninfo, ServerConfig, SignalFiles,
};
use pgdrill_sim_postgres::{DataDir, disk::control::ClusterState as ModelState};

/// `pg_controldata`.
pub(super) fn control_data(dir: &DataDir) -> PostgresResult<ControlData> {
    let disk = dir.lock();
    let Some(cluster) = disk.cluster.as_ref().filter(|_| !disk.half_written) else {
        return Err(PostgresError::Refused("there is no pg_control".to_owned()));
    };
    let control = &cluster.control;
    let settings = [
        ("max_connections", control.max_connections),
        ("max_worker_processes", control.max_worker_processes),
        ("max_wal_senders", control.max_wal_senders),
        ("max_prepared_transactions", control.max_prepared_transactions),
        ("max_locks_per_transaction", control.max_locks_per_transaction),
    ];
    Ok(ControlData {
        system_identifier: control.system_identifier,
        state: match control.state {
            ModelState::ShutDown => ClusterState::ShutDown,
            ModelState::ShutDownInRecovery => ClusterState::ShutDownInRecovery,
            ModelState::ShuttingDown => ClusterState::ShuttingDown,
            ModelState::InCrashRecovery => ClusterState::InCrashRecovery,
            ModelState::InArchiveRecovery => ClusterState::InArchiveRecovery,
            ModelState::InProduction => ClusterState::InProduction,
        },
        checkpoint_lsn: control.checkpoint.location.0,
        redo_lsn: control.checkpoint.redo.0,
        timeline: control.checkpoint.tli,
        min_recovery_end_lsn: control.min_recovery_point.0,
        min_recovery_end_timeline: control.min_recovery_tli,
        data_checksums: control.data_checksums,
        wal_log_hints: control.wal_log_hints,
        settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
    })
}

/// `standby.signal` and `backup_label`.
pub(super) fn signal_files(dir: &DataDir) -> SignalFiles {
    let disk = dir.lock();
    disk.cluster.as_ref().map_or_else(SignalFiles::default, |c| SignalFiles {
        standby_signal: c.standby_signal,
        backup_label: c.control.backup_end.is_some(),
    })
}

/// Replaces the configuration. `pg_hba.conf` has no counterpart: the model trusts everybody.
pub(super) fn write_config(dir: &DataDir, config: &ServerConfig) -> PostgresResult<()> {
    let mut parameters: BTreeMap<String, String> =
        config.parameters.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    if let Some(recovery) = config.recovery.as_ref().or(config.past_recovery.as_ref()) {
        parameters.extend(recovery.parameters.iter().map(|(name, value)| (name.clone(), value.clone())));
        let conninfo = recovery.primary_conninfo.as_ref().map(conninfo).unwrap_or_default();
        parameters.insert("primary_conninfo".to_owned(), conninfo);
        parameters.insert("primary_slot_name".to_owned(), recovery.primary_slot_name.clone().unwrap_or_default());
        parameters.insert("recovery_target_timeline".to_owned(), "latest".to_owned());
    }
    let mut disk = dir.lock();
    let Some(cluster) = disk.cluster.as_mut() else {
        return Err(PostgresError::Refused("there is no data directory to configure".to_owned()));
    };
    cluster.configuration = parameters;
    cluster.standby_signal = config.recovery.is_some();
    Ok(())
}

fn conninfo(to: &PrimaryConninfo) -> String {
    format!(
        "host={} port={} user={} application_name={} connect_timeout={}",
        to.host,
        to.port,
        to.user,
        to.application_name,
        to.connect_timeout.as_secs()
    )
}
