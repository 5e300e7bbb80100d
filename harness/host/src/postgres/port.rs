//! The port itself.

use std::{
    collections::BTreeMap,
    path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pgdrill_agent::{
    config::{HostPort, PostgresqlConfig},
    ports::{
        ControlData, DataDir, InitdbOptions, Lsn, Origin, Postgres, PostgresError, PostgresResult, Postmaster,
        ServerConfig, SignalFiles, StopMode, Upstream,
    },
};
use tokio::task;

use super::{
    archive, controldata, copy, directory, durable, fitting, kept, listen, managed, program, rewind, server::Server,
    settings::Settings, signal::Handle, wal,
};
use crate::{lack, origin, slot_files};

/// PostgreSQL on this machine.
///
/// Needs a tokio runtime with I/O. Whatever touches files runs on its blocking threads: a disk that hangs must not keep
/// the agent's REST API from answering.
pub struct LocalPostgres {
    /// As of the start, with the options of the latest reload.
    settings: Mutex<Arc<Settings>>,
    server: Arc<Server>,
    /// As last written.
    config: Mutex<Option<ServerConfig>>,
}

impl LocalPostgres {
    /// The server that `settings` names. Relative paths are taken from the present working directory, once.
    ///
    /// # Errors
    /// There is no working directory.
    pub fn new(mut settings: Settings) -> std::io::Result<Self> {
        settings.data_dir = path::absolute(&settings.data_dir)?;
        settings.passfile = path::absolute(&settings.passfile)?;
        settings.config_dir = settings.config_dir.map(path::absolute).transpose()?;
        let settings = Arc::new(settings);
        let server = Arc::new(Server::new(Arc::clone(&settings)));
        Ok(Self { settings: Mutex::new(settings), server, config: Mutex::new(None) })
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Settings) -> PostgresResult<T> + Send + 'static,
    ) -> PostgresResult<T> {
        let settings = self.settings();
        blocking(move || work(&settings)).await
    }

    async fn copy_ended(&self) -> PostgresResult<()> {
        self.files(directory::copy_ended).await
    }

    async fn refuse_running(&self, what: &str) -> PostgresResult<()> {
        match self.postmaster().await? {
            Some(found) => {
                Err(PostgresError::Refused(format!("{what}: the server is running (process {})", found.pid)))
            }
            None => Ok(()),
        }
    }

    async fn refuse_unless(&self, allowed: &[DataDir], what: &str) -> PostgresResult<()> {
        let found = self.data_dir().await?;
        if allowed.contains(&found) {
            return Ok(());
        }
        let settings = self.settings();
        let dir = settings.data_dir.display();
        Err(PostgresError::Refused(format!("{what}: the data directory {dir} is {}", word(found))))
    }

    async fn running(&self, what: &str) -> PostgresResult<Handle> {
        let server = Arc::clone(&self.server);
        let held = blocking(move || server.hold()).await?;
        held.ok_or_else(|| PostgresError::Refused(format!("{what}: no server is running")))
    }
}

const fn word(dir: DataDir) -> &'static str {
    match dir {
        DataDir::Missing => "missing",
        DataDir::Empty => "empty",
        DataDir::Valid => "in use by a database cluster",
        DataDir::Incomplete => "incomplete",
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> PostgresResult<T> + Send + 'static) -> PostgresResult<T> {
    // A panic of the work is a panic of the agent.
    task::spawn_blocking(work).await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => Err(PostgresError::Unknown(error.to_string())),
    })
}

impl Postgres for LocalPostgres {
    async fn postmaster(&self) -> PostgresResult<Option<Postmaster>> {
        let server = Arc::clone(&self.server);
        blocking(move || server.find()).await
    }

    async fn origin(&self) -> PostgresResult<Option<Origin>> {
        let Some(server) = self.postmaster().await? else { return Ok(None) };
        self.files(move |_| Ok(origin::of(server.pid))).await
    }

    async fn kept_dynamic_config(&self) -> PostgresResult<Option<String>> {
        self.files(kept::read).await
    }

    async fn keep_dynamic_config(&self, config: &str) -> PostgresResult<()> {
        self.refuse_unless(&[DataDir::Valid], "keeping the dynamic configuration").await?;
        let config = config.to_owned();
        self.files(move |settings| kept::write(settings, &config)).await
    }

    async fn exited(&self) {
        match self.running("waiting").await {
            Ok(server) => server.ended().await,
            Err(_) => std::future::pending().await,
        }
    }

    async fn data_dir(&self) -> PostgresResult<DataDir> {
        self.files(directory::state).await
    }

    async fn controldata(&self) -> PostgresResult<ControlData> {
        self.refuse_unless(&[DataDir::Valid], "pg_controldata").await?;
        controldata::read(&self.settings()).await
    }

    async fn signal_files(&self) -> PostgresResult<SignalFiles> {
        self.files(|settings| {
            // A file that cannot be looked at is not one that is missing.
            let there = |name| {
                let file = settings.data_dir.join(name);
                file.try_exists().map_err(|error| {
                    let error = durable::named(&file, error);
                    lack::told(&error, error.to_string(), PostgresError::Failed)
                })
            };
            Ok(SignalFiles { standby_signal: there("standby.signal")?, backup_label: there("backup_label")? })
        })
        .await
    }

    async fn shutdown_checkpoint_end(&self, timeline: u32, checkpoint_lsn: Lsn) -> PostgresResult<Option<Lsn>> {
        wal::checkpoint_end(&self.settings(), timeline, checkpoint_lsn).await
    }

    async fn read_history(&self, timeline: u32) -> PostgresResult<Option<String>> {
        self.files(move |settings| wal::read_history(settings, timeline)).await
    }

    async fn initdb(&self, options: &InitdbOptions) -> PostgresResult<()> {
        self.refuse_unless(&[DataDir::Missing, DataDir::Empty], "initdb").await?;
        self.files(directory::copy_begins).await?;
        copy::initdb(&self.settings(), options).await?;
        self.copy_ended().await
    }

    async fn write_config(&self, config: &ServerConfig) -> PostgresResult<()> {
        self.refuse_unless(&[DataDir::Valid], "writing the configuration").await?;
        let config = fitting::fitting(&self.settings(), config).await;
        let wanted = config.clone();
        self.files(move |settings| managed::write(settings, &wanted)).await?;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Some(config);
        Ok(())
    }

    async fn configured(&self, name: &str) -> PostgresResult<Option<String>> {
        self.refuse_unless(&[DataDir::Valid], "postgres -C").await?;
        Ok(archive::setting(&self.settings(), name).await)
    }

    async fn may_listen(&self, listen: &HostPort) -> PostgresResult<()> {
        // Our own server has its port.
        if self.postmaster().await?.is_some() {
            return Ok(());
        }
        let listen = listen.clone();
        blocking(move || listen::may(&listen)).await
    }

    async fn start(&self) -> PostgresResult<()> {
        self.refuse_running("start").await?;
        self.refuse_unless(&[DataDir::Valid], "start").await?;
        // Somebody has started it before the mark was taken away: it is no copy any longer.
        self.copy_ended().await?;
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.server.start(config.as_ref()).await
    }

    async fn stop(&self, mode: StopMode, timeout: Duration) -> PostgresResult<()> {
        self.server.stop(mode, timeout).await
    }

    async fn kill(&self) -> PostgresResult<()> {
        self.server.kill().await
    }

    async fn promote(&self) -> PostgresResult<()> {
        self.running("promote").await?;
        let mut command = program::command(&self.settings().program("pg_ctl"));
        command.args(["promote", "--no-wait", "-D"]).arg(&self.settings().data_dir);
        match program::run(command).await {
            Err(PostgresError::Failed(text)) if text.contains("not in standby mode") => {
                Err(PostgresError::Refused(text))
            }
            other => other.map(drop),
        }
    }

    fn reconfigure(&self, config: &PostgresqlConfig) {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        *settings = Arc::new(Settings {
            rewind: config.rewind_options.clone(),
            basebackup: config.basebackup.clone(),
            bin_dir: config.bin_dir.clone(),
            bin_name: config.bin_name.clone(),
            custom_conf: config.custom_conf.clone(),
            ..Settings::clone(&settings)
        });
    }

    async fn reload(&self) -> PostgresResult<()> {
        let server = self.running("reload").await?;
        server.send(libc::SIGHUP).map_err(|error| PostgresError::Failed(format!("reload: {error}")))
    }

    async fn basebackup(&self, from: &Upstream) -> PostgresResult<()> {
        self.refuse_unless(&[DataDir::Missing, DataDir::Empty], "pg_basebackup").await?;
        self.files(directory::copy_begins).await?;
        copy::basebackup(&self.settings(), from).await?;
        self.copy_ended().await
    }

    async fn rewind(&self, from: &Upstream) -> PostgresResult<()> {
        self.refuse_running("pg_rewind").await?;
        self.refuse_unless(&[DataDir::Valid], "pg_rewind").await?;
        rewind::run(&self.settings(), from).await
    }

    async fn single_user_recovery(&self) -> PostgresResult<()> {
        self.refuse_running("postgres --single").await?;
        self.refuse_unless(&[DataDir::Valid], "postgres --single").await?;
        self.server.buried().await?;
        rewind::single_user_recovery(&self.settings()).await
    }

    async fn install_slots(&self, states: &BTreeMap<String, Vec<u8>>) -> PostgresResult<()> {
        self.refuse_running("putting slots into the data directory").await?;
        self.refuse_unless(&[DataDir::Valid], "putting slots into the data directory").await?;
        let states = states.clone();
        let install = move |settings: &Settings| slot_files::install(&settings.data_dir, &states);
        let told = |error: std::io::Error| lack::told(&error, error.to_string(), PostgresError::Failed);
        self.files(move |settings| install(settings).map_err(told)).await
    }

    async fn mark_copy(&self, runs: bool) -> PostgresResult<()> {
        if runs { self.files(directory::own_copy_begins).await } else { self.copy_ended().await }
    }

    async fn remove_data_dir(&self) -> PostgresResult<()> {
        self.refuse_running("removing the data directory").await?;
        self.files(directory::remove).await
    }

    async fn set_aside_data_dir(&self) -> PostgresResult<()> {
        self.refuse_running("setting the data directory aside").await?;
        self.files(directory::set_aside).await
    }
}
