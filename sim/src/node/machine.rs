//! The `Postgres` port of a simulated node: what its operating system and PostgreSQL's programs offer the agent.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use pgdrill_agent::ports::{
    ControlData, DataDir as DirState, InitdbOptions, Lsn, Postgres, PostgresError, PostgresResult, Postmaster,
    ServerConfig, SignalFiles, StopMode, Upstream,
};
use pgdrill_lab::event::What;
use pgdrill_probe::Journal;
use pgdrill_sim_engine::{Control, ProcessId, SimNet};
use pgdrill_sim_postgres::{
    DataDir, ExitStatus, Signal, SignalSender, Signals, Timings, Version, disk::record::Body, run, signals, tools,
};
use tokio::time::timeout;

use super::files;
use crate::{
    cluster::{Roster, started},
    ports,
};

/// How long a server has after the dead-man's SIGQUIT, as on a real machine.
const GONE_WITHIN: Duration = Duration::from_millis(500);

/// One node's PostgreSQL. Clones are the same.
#[derive(Clone)]
pub(crate) struct Machine {
    node: String,
    /// Whose programs are installed.
    version: Version,
    control: Control,
    timings: Timings,
    journal: Journal,
    roster: Roster,
    disk: DataDir,
    server: Arc<Mutex<Option<Server>>>,
    /// `patroni.dynamic.json` in the data directory.
    kept: Arc<Mutex<Option<String>>>,
}

/// The server process, running or not.
struct Server {
    process: ProcessId,
    signals: SignalSender,
    /// What the next start of the process takes.
    handed: Arc<Mutex<Option<Signals>>>,
    start_time: SystemTime,
}

impl Machine {
    pub(crate) fn new(
        node: &str,
        version: Version,
        control: Control,
        timings: Timings,
        journal: Journal,
        roster: Roster,
    ) -> Self {
        let (disk, server, kept) = (DataDir::new(), Arc::default(), Arc::default());
        Self { node: node.to_owned(), version, control, timings, journal, roster, disk, server, kept }
    }

    /// The data directory.
    pub(crate) const fn disk(&self) -> &DataDir {
        &self.disk
    }

    /// The server's process; `None` before the first start.
    pub(crate) fn process(&self) -> Option<ProcessId> {
        self.server().as_ref().map(|s| s.process)
    }

    /// SIGINT to the postmaster by somebody else than its agent.
    pub(crate) fn ask_to_stop(&self) {
        if let Some(server) = &*self.server() {
            server.signals.send(Signal::FastShutdown);
        }
    }

    /// What the dead-man process does to the server that runs now: SIGQUIT, and SIGKILL if it is not gone at once, because
    /// it is frozen for example. A server that is started meanwhile is not touched.
    pub(super) async fn stop_at_once(&self) {
        let (Some(process), Some(start_time)) = (self.running(), self.start_time()) else { return };
        let _ = self.signal(Signal::ImmediateShutdown);
        if timeout(GONE_WITHIN, self.control.exited(process)).await.is_err() && self.start_time() == Some(start_time) {
            self.control.kill(process);
        }
    }

    fn start_time(&self) -> Option<SystemTime> {
        self.server().as_ref().map(|s| s.start_time)
    }

    /// The host's power is gone.
    pub(crate) fn lost_power(&self) {
        self.disk.power_loss();
    }

    /// The disk was replaced by an empty one. Only while nothing runs.
    pub(crate) fn wipe(&self) {
        self.disk.remove();
        *self.kept() = None;
    }

    fn kept(&self) -> MutexGuard<'_, Option<String>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> Option<ProcessId> {
        self.process().filter(|p| self.control.is_running(*p))
    }

    fn refuse_running(&self, what: &str) -> PostgresResult<()> {
        match self.running() {
            Some(_) => Err(PostgresError::Refused(format!("{what}: the server is running"))),
            None => Ok(()),
        }
    }

    fn signal(&self, signal: Signal) -> PostgresResult<()> {
        let sent = self.running().is_some() && self.server().as_ref().is_some_and(|s| s.signals.send(signal));
        if sent { Ok(()) } else { Err(PostgresError::Refused("no server is running".to_owned())) }
    }

    fn spawn(&self) -> Server {
        let (sender, receiver) = signals();
        let handed = Arc::new(Mutex::new(Some(receiver)));
        let all = (self.node.clone(), self.disk.clone(), self.timings.clone(), self.journal.clone(), handed.clone());
        let process = self.control.spawn("postgres", move || {
            let (node, disk, timings, journal, handed) = all.clone();
            async move {
                let signals = handed.lock().unwrap_or_else(PoisonError::into_inner).take();
                let signals = signals.expect("every start hands over its signals");
                journal.record(&node, started("postgres"));
                let ended = run(disk, SimNet, "0.0.0.0", ports::POSTGRESQL, signals, timings).await;
                let text = match ended {
                    ExitStatus::ShutDown => "PostgreSQL was shut down".to_owned(),
                    ExitStatus::Immediate => "PostgreSQL was stopped without a checkpoint".to_owned(),
                    ExitStatus::Fatal(why) => format!("PostgreSQL ended: {why}"),
                };
                journal.record(&node, What::Note { text });
            }
        });
        self.roster.enter(process, &self.node, "postgres");
        Server { process, signals: sender, handed, start_time: SystemTime::now() }
    }
}

impl Postgres for Machine {
    async fn postmaster(&self) -> PostgresResult<Option<Postmaster>> {
        let Some(_) = self.running() else { return Ok(None) };
        let pid = self.disk.lock().starts;
        Ok(self.server().as_ref().map(|s| Postmaster { pid, start_time: s.start_time }))
    }

    async fn kept_dynamic_config(&self) -> PostgresResult<Option<String>> {
        Ok(self.kept().clone())
    }

    async fn keep_dynamic_config(&self, config: &str) -> PostgresResult<()> {
        if self.disk.lock().cluster.is_none() {
            return Err(PostgresError::Refused("there is no data directory".to_owned()));
        }
        *self.kept() = Some(config.to_owned());
        Ok(())
    }

    async fn exited(&self) {
        match self.running() {
            Some(process) => drop(self.control.exited(process).await),
            None => std::future::pending().await,
        }
    }

    async fn data_dir(&self) -> PostgresResult<DirState> {
        let disk = self.disk.lock();
        Ok(match (&disk.cluster, disk.half_written) {
            (_, true) => DirState::Incomplete,
            (Some(_), false) => DirState::Valid,
            (None, false) => DirState::Missing,
        })
    }

    async fn controldata(&self) -> PostgresResult<ControlData> {
        files::control_data(&self.disk)
    }

    async fn signal_files(&self) -> PostgresResult<SignalFiles> {
        Ok(files::signal_files(&self.disk))
    }

    async fn shutdown_checkpoint_end(&self, timeline: u32, checkpoint_lsn: Lsn) -> PostgresResult<Option<Lsn>> {
        let disk = self.disk.lock();
        let Some(cluster) = &disk.cluster else { return Ok(None) };
        let last = cluster.wal.records().next_back();
        Ok(last
            .filter(|r| r.tli == timeline && r.start.0 == checkpoint_lsn)
            .filter(|r| matches!(r.body, Body::CheckpointShutdown))
            .map(|r| r.end.0))
    }

    async fn read_history(&self, timeline: u32) -> PostgresResult<Option<String>> {
        let disk = self.disk.lock();
        let history = disk.cluster.as_ref().and_then(|c| c.histories.get(&timeline));
        Ok(history.map(pgdrill_sim_postgres::disk::history::Timeline::to_file))
    }

    async fn initdb(&self, options: &InitdbOptions) -> PostgresResult<()> {
        self.refuse_running("initdb")?;
        let options = tools::InitDb {
            system_identifier: system_identifier(),
            data_checksums: options.options.iter().any(|(name, _)| name == "data-checksums" || name == "k"),
            version: self.version,
            username: options.superuser.clone(),
        };
        tools::initdb(&self.disk, &options, &self.timings).await.map_err(PostgresError::Failed)
    }

    async fn write_config(&self, config: &ServerConfig) -> PostgresResult<()> {
        files::write_config(&self.disk, config)
    }

    async fn start(&self) -> PostgresResult<()> {
        self.refuse_running("start")?;
        if self.data_dir().await? != DirState::Valid {
            return Err(PostgresError::Refused("there is no data directory to start on".to_owned()));
        }
        let mut server = self.server();
        match &mut *server {
            None => *server = Some(self.spawn()),
            Some(server) => {
                let (sender, receiver) = signals();
                *server.handed.lock().unwrap_or_else(PoisonError::into_inner) = Some(receiver);
                server.signals = sender;
                server.start_time = SystemTime::now();
                self.control.start(server.process);
            }
        }
        Ok(())
    }

    async fn stop(&self, mode: StopMode, limit: Duration) -> PostgresResult<()> {
        let Some(process) = self.running() else { return Ok(()) };
        // A server that ends between these lines is stopped as well: the wait below sees it.
        let _ = self.signal(match mode {
            StopMode::Smart => Signal::SmartShutdown,
            StopMode::Fast => Signal::FastShutdown,
            StopMode::Immediate => Signal::ImmediateShutdown,
        });
        match timeout(limit, self.control.exited(process)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(PostgresError::Unknown(format!("the server has not stopped within {limit:?}"))),
        }
    }

    async fn kill(&self) -> PostgresResult<()> {
        if let Some(process) = self.running() {
            self.control.kill(process);
            self.control.exited(process).await;
        }
        Ok(())
    }

    async fn promote(&self) -> PostgresResult<()> {
        self.signal(Signal::Promote)
    }

    async fn reload(&self) -> PostgresResult<()> {
        self.signal(Signal::Reload)
    }

    async fn basebackup(&self, from: &Upstream) -> PostgresResult<()> {
        self.refuse_running("pg_basebackup")?;
        tools::basebackup(&self.disk, &SimNet, &source(from)).await.map_err(PostgresError::Failed)
    }

    async fn rewind(&self, from: &Upstream) -> PostgresResult<()> {
        self.refuse_running("pg_rewind")?;
        tools::rewind(&self.disk, &SimNet, &source(from)).await.map(drop).map_err(PostgresError::Failed)
    }

    async fn single_user_recovery(&self) -> PostgresResult<()> {
        self.refuse_running("postgres --single")?;
        tools::single_user_recovery(&self.disk, &self.timings).await.map_err(PostgresError::Failed)
    }

    fn remove_data_dir(&self) -> impl Future<Output = PostgresResult<()>> + Send {
        let refused = self.refuse_running("removing the data directory");
        async move {
            refused?;
            self.wipe();
            Ok(())
        }
    }

    async fn set_aside_data_dir(&self) -> PostgresResult<()> {
        self.refuse_running("renaming the data directory")?;
        // Nobody looks into a simulated `.failed` directory.
        self.wipe();
        Ok(())
    }
}

fn source(from: &Upstream) -> tools::SourceServer {
    tools::SourceServer::new(&format!("host={} port={} user={}", from.host, from.port, from.user))
}

/// As `BootStrapXLOG` makes it: seconds, microseconds and a process id.
fn system_identifier() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() << 32 | u64::from(now.subsec_micros()) << 12 | 1
}
