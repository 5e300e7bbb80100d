//! The server process: finding it, starting, stopping and killing it.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use pgdrill_agent::ports::{PostgresError, PostgresResult, Postmaster, ServerConfig, StopMode};
use tokio::{
    process::Command,
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::{
    controldata,
    pidfile::{self, PidFile},
    process::{self, DirId},
    program,
    settings::{ServerOutput, Settings},
    signal::Handle,
};
use crate::{lack, slot_files};

/// How long a new process has until it says in `postmaster.pid` that the directory is its own.
const CLAIM_LIMIT: Duration = Duration::from_secs(30);
/// How often that is looked for.
const POLL: Duration = Duration::from_millis(20);
/// How long processes without their postmaster have to notice and end.
const ORPHAN_GRACE: Duration = Duration::from_secs(1);
/// How long the kernel may take to end what was killed.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// Settings that follow from who and where the node is: on the command line, where `ALTER SYSTEM` cannot overrule them.
const ON_COMMAND_LINE: &[&str] = &["listen_addresses", "port", "cluster_name"];

/// The server on one data directory.
pub(super) struct Server {
    settings: Arc<Settings>,
    started: Mutex<Option<Started>>,
}

/// A server that we started and that has not ended.
#[derive(Clone, Debug)]
struct Started {
    pid: u32,
    at: SystemTime,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Started {
    /// Whether it has not ended. For want of descriptors to look with: it was not waited for yet, and so its number is its own.
    fn lives(&self) -> PostgresResult<bool> {
        match process::is_alive(self.pid) {
            Err(error) if lack::is_lack(&error) => Ok(self.ended.borrow().is_none()),
            looked => looked.map_err(|error| unseen(&error)),
        }
    }
}

impl Server {
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { settings, started: Mutex::new(None) }
    }

    /// The process that owns the data directory, if any lives. Looks at files: not for the loop's own thread.
    pub fn find(&self) -> PostgresResult<Option<Postmaster>> {
        let claimed = self.claim();
        // A server that we started counts from its first moment, before it has claimed the directory.
        let started = self.started().clone();
        if let Some(started) = started
            && started.lives()?
        {
            let file = claimed.ok().flatten().filter(|file| file.pid == started.pid);
            // Once it has said so itself, that counts, whether or not it can be read the next time.
            let start_time = file.map_or(started.at, |file| file.start_time);
            if let Some(known) = self.started().as_mut().filter(|known| known.pid == started.pid) {
                known.at = start_time;
            }
            return Ok(Some(Postmaster { pid: started.pid, start_time }));
        }
        let claimed = claimed?;
        let dir = DirId::of(&self.settings.data_dir).map_err(|error| unseen(&error))?;
        let (Some(file), Some(dir)) = (claimed, dir) else { return Ok(None) };
        // Our own crash recovery is no server; somebody else's single-user process keeps everybody else out.
        let lives = !is_our_recovery(&file)? && process::works_in(file.pid, dir).map_err(|error| unseen(&error))?;
        Ok(lives.then_some(Postmaster { pid: file.pid, start_time: file.start_time }))
    }

    fn claim(&self) -> PostgresResult<Option<PidFile>> {
        let file = self.settings.data_dir.join("postmaster.pid");
        match fs::read_to_string(&file) {
            Ok(text) => Ok(pidfile::parse(&text)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => {
                let text = format!("{}: {error}: whether the server runs cannot be seen", file.display());
                Err(lack::told(&error, text, PostgresError::Failed))
            }
        }
    }

    /// The process, held so that a signal can reach no other one.
    pub fn hold(&self) -> PostgresResult<Option<Handle>> {
        let Some(found) = self.find()? else { return Ok(None) };
        let handle = Handle::open(found.pid);
        // Had it ended before the descriptor was opened, it would be found no more, or be another one.
        Ok(self.find()?.filter(|again| *again == found || again.pid == found.pid).map(|_| handle))
    }

    /// Starts it, and waits until it has claimed the directory.
    pub async fn start(&self, config: Option<&ServerConfig>) -> PostgresResult<()> {
        self.end_orphans().await?;
        self.buried().await?;
        let mut command = self.command(config).await?;
        let mut child = command.spawn().map_err(|error| program::cannot_start(&command, &error))?;
        let pid = child.id().ok_or_else(|| PostgresError::Failed("the server ended at once".into()))?;
        let (tell, ended) = watch::channel(None);
        let mut started = Started { pid, at: SystemTime::now(), ended };
        *self.started() = Some(started.clone());
        // It is our child as long as we live: somebody must take note of its end. It does not end with us.
        tokio::spawn(async move {
            let status = child.wait().await;
            match &status {
                Ok(status) => info!("the server, process {pid}, ended with {status}"),
                Err(error) => warn!("waiting for the server, process {pid}: {error}"),
            }
            tell.send_replace(status.ok());
        });
        let deadline = Instant::now() + CLAIM_LIMIT;
        while Instant::now() < deadline {
            if self.claim()?.is_some_and(|file| file.pid == pid) {
                return Ok(());
            }
            if let Ok(Ok(status)) = timeout(POLL, started.ended.wait_for(Option::is_some)).await {
                let how = status.as_ref().map(ToString::to_string).unwrap_or_default();
                return Err(PostgresError::Failed(format!("PostgreSQL did not start ({how}): {}", self.see_log())));
            }
        }
        Err(PostgresError::Unknown(format!("PostgreSQL has not claimed its directory within {CLAIM_LIMIT:?}")))
    }

    async fn command(&self, config: Option<&ServerConfig>) -> PostgresResult<Command> {
        let settings = &self.settings;
        let mut command = program::command(&settings.program("postgres"));
        command.arg("-D").arg(&settings.data_dir);
        command.arg(format!("--config-file={}", settings.config_file().display()));
        for (name, value) in self.overrides(config).await? {
            command.arg(format!("--{name}={value}"));
        }
        if let ServerOutput::File(file) = &settings.server_output {
            let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(file);
            let cannot = |error| lack::told(&error, format!("{}: {error}", file.display()), PostgresError::Refused);
            command.stdout(Stdio::from(open().map_err(cannot)?)).stderr(Stdio::from(open().map_err(cannot)?));
        }
        // SAFETY: one system call between fork and exec. In a session of its own, no signal meant for us reaches it.
        unsafe {
            command.pre_exec(|| match libc::setsid() {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            });
        }
        Ok(command)
    }

    /// Settings for the command line. A standby does not start with less than its primary had when the WAL was written, so
    /// it gets what `pg_control` says where the configuration says less (Patroni's `effective_configuration`).
    async fn overrides(&self, config: Option<&ServerConfig>) -> PostgresResult<Vec<(String, String)>> {
        let Some(config) = config else { return Ok(Vec::new()) };
        let parameters = &config.parameters;
        let own = ON_COMMAND_LINE.iter().filter_map(|name| Some(((*name).to_owned(), parameters.get(*name)?.clone())));
        let mut all: Vec<_> = own.collect();
        let level = parameters.get("wal_level").filter(|level| *level != "logical");
        let has_logical = || {
            let unread = |error| lack::told(&error, format!("pg_replslot: {error}"), PostgresError::Failed);
            slot_files::has_logical(&self.settings.data_dir).map_err(unread)
        };
        if let Some(level) = level
            && has_logical()?
        {
            // With less PostgreSQL does not start (`StartupReplicationSlots`).
            warn!(
                "wal_level is logical instead of {level} as long as there are logical replication slots: change it, or drop them"
            );
            all.push(("wal_level".to_owned(), "logical".to_owned()));
        }
        if config.recovers_alone() {
            all.push(("hot_standby".to_owned(), "off".to_owned()));
        }
        if config.recovery.is_some() || config.keep_recovery {
            for (name, least) in controldata::read(&self.settings).await?.settings {
                let wanted = parameters.get(&name).and_then(|value| value.parse::<u64>().ok());
                if let Some(wanted) = wanted.filter(|wanted| *wanted < least) {
                    info!("{name} is {least} instead of {wanted} until the primary's change has arrived");
                    all.push((name, least.to_string()));
                }
            }
        }
        Ok(all)
    }

    fn see_log(&self) -> String {
        match &self.settings.server_output {
            ServerOutput::AsTheAgent => "its messages are above".into(),
            ServerOutput::File(file) => {
                let text = fs::read(file).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let last: Vec<_> = text.lines().rev().filter(|line| line.contains("FATAL")).take(1).collect();
                format!("{} {}", last.concat(), file.display())
            }
        }
    }

    /// Gives the order to stop, and waits.
    pub async fn stop(&self, mode: StopMode, limit: Duration) -> PostgresResult<()> {
        let Some(server) = self.hold()? else { return self.end_orphans().await };
        let signal = match mode {
            StopMode::Smart => libc::SIGTERM,
            StopMode::Fast => libc::SIGINT,
            StopMode::Immediate => libc::SIGQUIT,
        };
        server.send(signal).map_err(|error| cannot_signal(&server, &error))?;
        if timeout(limit, server.ended()).await.is_err() {
            let text = format!("the server, process {}, has not stopped within {limit:?}", server.pid());
            return Err(PostgresError::Unknown(text));
        }
        self.end_orphans().await
    }

    /// SIGKILL to all of it. The postmaster is held first, or it would start new processes and recover while we kill.
    pub async fn kill(&self) -> PostgresResult<()> {
        if let Some(server) = self.hold()? {
            let failed = |error: io::Error| cannot_signal(&server, &error);
            server.send(libc::SIGSTOP).map_err(failed)?;
            // Those that cannot be seen now are found as orphans.
            let children = process::children_of(server.pid()).unwrap_or_default();
            let children: Vec<_> = children.into_iter().map(Handle::open).collect();
            warn!("killing the server, process {}, and {} children", server.pid(), children.len());
            server.send(libc::SIGKILL).map_err(failed)?;
            for child in &children {
                child.send(libc::SIGKILL).map_err(|error| cannot_signal(child, &error))?;
            }
            if timeout(KILL_LIMIT, server.ended()).await.is_err() {
                return Err(PostgresError::Unknown(format!("process {} does not die", server.pid())));
            }
        }
        self.end_orphans().await
    }

    /// Ends processes that a dead postmaster left behind: such a backend can still commit, and its shared memory keeps the
    /// next server from starting.
    async fn end_orphans(&self) -> PostgresResult<()> {
        let Some(dir) = DirId::of(&self.settings.data_dir).map_err(|error| unseen(&error))? else { return Ok(()) };
        let began = Instant::now();
        loop {
            if self.find()?.is_some() {
                return Ok(());
            }
            let own = process::children_of(std::process::id()).map_err(|error| unseen(&error))?;
            let found = process::all_in(dir).map_err(|error| unseen(&error))?;
            let orphans: Vec<_> = found.into_iter().filter(|pid| !own.contains(pid)).collect();
            if orphans.is_empty() {
                return Ok(());
            }
            if began.elapsed() > KILL_LIMIT {
                return Err(PostgresError::Unknown(format!("processes {orphans:?} of a dead server do not end")));
            }
            if began.elapsed() > ORPHAN_GRACE {
                warn!("killing what a dead server left behind: {orphans:?}");
                for pid in orphans {
                    let orphan = Handle::open(pid);
                    if process::works_in(pid, dir).map_err(|error| unseen(&error))? {
                        orphan.send(libc::SIGKILL).map_err(|error| cannot_signal(&orphan, &error))?;
                    }
                }
            }
            sleep(POLL * 5).await;
        }
    }

    /// Waits until a dead owner of `postmaster.pid` has been taken note of by its parent, and until our own crash recovery that
    /// was just killed is gone. Until then its number is taken, and to PostgreSQL, which asks by `kill(pid, 0)`, the lock file
    /// belongs to a live process: `lock file "postmaster.pid" already exists`. An owner whose parent never looks is waited for
    /// in vain, and then it is PostgreSQL's to say so.
    pub async fn buried(&self) -> PostgresResult<()> {
        let began = Instant::now();
        while let Some(owner) = self.claim()? {
            let unburied = process::is_unburied(owner.pid).map_err(|error| unseen(&error))?;
            if !unburied && !is_our_recovery(&owner)? {
                break;
            }
            if began.elapsed() > KILL_LIMIT {
                warn!(
                    "process {} owns postmaster.pid and has ended, but its parent does not take note of it",
                    owner.pid
                );
                break;
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    fn started(&self) -> MutexGuard<'_, Option<Started>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the file is of a `postgres --single` that we run.
fn is_our_recovery(file: &PidFile) -> PostgresResult<bool> {
    let children = || process::children_of(std::process::id()).map_err(|error| unseen(&error));
    Ok(file.single_user && children()?.contains(&file.pid))
}

/// Nobody can say which processes there are.
fn unseen(error: &io::Error) -> PostgresError {
    lack::told(error, format!("/proc: {error}: whether the server runs cannot be seen"), PostgresError::Failed)
}

fn cannot_signal(server: &Handle, error: &io::Error) -> PostgresError {
    PostgresError::Failed(format!(
        "process {} cannot be signalled: {error}; the agent must run as its owner",
        server.pid()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_server_waits_until_the_dead_owner_of_the_lock_file_has_been_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let server = Server::new(Arc::new(Settings::new(dir.path(), dir.path().join("pgpass"))));
        server.buried().await.expect("there is no file");
        let mut owner = std::process::Command::new("true").spawn().expect("it runs");
        fs::write(dir.path().join("postmaster.pid"), format!("{}\n/data\n1700000000\n", owner.id())).expect("written");
        while !process::is_unburied(owner.id()).expect("readable") {
            sleep(POLL).await;
        }
        assert_eq!(server.find(), Ok(None), "a dead owner is nobody");
        assert!(timeout(POLL * 10, server.buried()).await.is_err(), "its number is still taken");
        owner.wait().expect("it has ended");
        server.buried().await.expect("its number is free");
    }
}
