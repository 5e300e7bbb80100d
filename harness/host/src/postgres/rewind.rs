//! `pg_rewind`, and the crash recovery in single-user mode that it needs before.
//!
//! A `pg_rewind` that is interrupted after it has begun to copy leaves a directory that PostgreSQL's documentation calls
//! unusable and that nothing in `pg_control` gives away. So what it says is written to a file beside the data directory,
//! which is removed only when it has not begun or has ended well.

use std::{fs, fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::PathBuf, process::Stdio};

use pgdrill_agent::{
    config::HostPort,
    ports::{ClusterState, PostgresError, PostgresResult, Upstream},
    postgres::Conninfo,
};
use tracing::{info, warn};

use super::{archive, controldata, copy, durable, passfile, program, settings::Settings};
use crate::{lack, own_options};

/// What `pg_rewind --progress` says last before it changes the target (`pg_rewind.c`).
const BEGINS_TO_COPY: &str = "need to copy";

/// The file with what a running or interrupted `pg_rewind` said.
fn voice(settings: &Settings) -> PathBuf {
    settings.beside(".rewinding")
}

/// Whether a rewind was interrupted after it had begun to change the directory.
pub(super) fn was_interrupted(settings: &Settings) -> io::Result<bool> {
    match fs::read(voice(settings)) {
        Ok(said) => Ok(String::from_utf8_lossy(&said).contains(BEGINS_TO_COPY)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The directory it was about is gone, or the rewind ended well.
pub(super) fn forget(settings: &Settings) {
    if let Err(error) = durable::remove(&voice(settings)) {
        warn!("{error}");
    }
}

/// `pg_rewind`.
pub(super) async fn run(settings: &Settings, from: &Upstream) -> PostgresResult<()> {
    let control = controldata::read(settings).await?;
    if !matches!(control.state, ClusterState::ShutDown | ClusterState::ShutDownInRecovery) {
        let text = format!("pg_rewind: the server was not shut down cleanly: {:?}", control.state);
        return Err(PostgresError::Refused(text));
    }
    archive::ready_wal(settings).await;
    let file = voice(settings);
    let cannot = |error: std::io::Error| lack::told(&error, format!("pg_rewind: {error}"), PostgresError::Refused);
    passfile::write(&settings.passfile, &from.host, from.port, &from.user, from.password.as_ref()).map_err(cannot)?;
    let open = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&file);
    let said = open.and_then(|opened| durable::sync_parent(&file).map(|()| opened));
    let said = said.map_err(|error| cannot(durable::named(&file, error)))?;
    let mut command = program::command(&settings.program("pg_rewind"));
    command.env("PGOPTIONS", "-c statement_timeout=0");
    command.args(["--progress", "--no-ensure-shutdown", "--target-pgdata"]).arg(&settings.data_dir);
    command.arg("--source-server").arg(source(settings, from).to_string());
    if archive::setting(settings, "restore_command").await.is_some_and(|command| !command.is_empty()) {
        command.arg("--restore-target-wal");
        command.arg(format!("--config-file={}", settings.config_file().display()));
    }
    command.args(copy::long_options("postgresql.rewind", &settings.rewind, own_options::REWIND)?);
    info!("running pg_rewind from {}", HostPort::new(&from.host, from.port));
    let output = program::output_to(command, Stdio::from(said)).await?;
    if output.status.success() {
        forget(settings);
        return Ok(());
    }
    let said = fs::read(&file).unwrap_or_default();
    let told = program::told("pg_rewind", output.status, &said);
    // Not being able to tell counts as interrupted.
    if matches!(was_interrupted(settings), Ok(false)) {
        forget(settings);
    }
    Err(PostgresError::Failed(told))
}

fn source(settings: &Settings, from: &Upstream) -> Conninfo {
    let it = copy::source_of(settings, from).with("dbname", &from.dbname).with("application_name", "pg_rewind");
    it.with_all(settings.rewind_connection())
}

/// `postgres --single` until it has shut down. Archiving is on without being done, so that no WAL is lost that waits for it
/// (Patroni's `ensure_clean_shutdown`).
pub(super) async fn single_user_recovery(settings: &Settings) -> PostgresResult<()> {
    archive::ready_wal(settings).await;
    for signal in ["standby.signal", "recovery.signal"] {
        let removed = durable::remove(&settings.data_dir.join(signal));
        removed.map_err(|error| lack::told(&error, error.to_string(), PostgresError::Failed))?;
    }
    let mut command = program::command(&settings.program("postgres"));
    command.arg("--single").arg("-D").arg(&settings.data_dir);
    command.arg(format!("--config-file={}", settings.config_file().display()));
    command.args(["-c", "archive_mode=on", "-c", "archive_command=false", "template1"]);
    info!("crash recovery in single-user mode");
    program::run(command).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_rewind_that_began_to_copy_spoils_the_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = Settings::new(dir.path().join("pg"), dir.path().join("pgpass"));
        assert!(matches!(was_interrupted(&settings), Ok(false)));
        fs::write(voice(&settings), "pg_rewind: connected to server\n").expect("it is written");
        assert!(matches!(was_interrupted(&settings), Ok(false)));
        fs::write(voice(&settings), "pg_rewind: need to copy 12 MB (total 30 MB)\n 1/2 kB").expect("it is written");
        assert!(matches!(was_interrupted(&settings), Ok(true)));
        forget(&settings);
        assert!(matches!(was_interrupted(&settings), Ok(false)));
    }
}
