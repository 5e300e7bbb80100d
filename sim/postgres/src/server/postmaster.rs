//! The postmaster: starts the other processes, lets clients in, and reacts to signals.

use std::{future::Future, pin::Pin, sync::Arc};

use pgdrill_net::{Listener, Net};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    backend,
    shutdown::{Mode, shut_down},
    signals::{Signal, Signals},
    startup,
    state::{Server, Stage, now_us},
};
use crate::{DataDir, PgError, Timings, disk::PidFile, timings::seconds};

/// How a server ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// After a smart or fast shutdown: exit code 0.
    ShutDown,
    /// After an immediate shutdown: no checkpoint was made.
    Immediate,
    /// It could not start or not go on: exit code 1, with the last FATAL message.
    Fatal(String),
}

/// Runs a server until it ends. Dropping the future is SIGKILL: everything in memory is lost, what was written stays.
///
/// `host` and `port` are what it listens on (`listen_addresses`, `port` of the command line).
pub async fn run<N: Net>(
    dir: DataDir,
    net: N,
    host: &str,
    port: u16,
    mut signals: Signals,
    timings: Timings,
) -> ExitStatus {
    let lock = match Lock::take(&dir) {
        Ok(lock) => lock,
        Err(message) => return ExitStatus::Fatal(message),
    };
    let mut listener = match net.listen(host, port).await {
        Ok(listener) => listener,
        Err(error) => {
            dir.lock().postmaster_pid = None;
            return ExitStatus::Fatal(format!("could not bind IPv4 address \"{host}\": {error}"));
        }
    };
    loop {
        let postmaster = Postmaster::new(&lock, net.clone(), &timings);
        match postmaster.run(&mut listener, &mut signals).await {
            Outcome::Exit(status) => {
                dir.lock().postmaster_pid = None;
                return status;
            }
            // A process has crashed: all others are ended and recovery starts over (restart_after_crash = on).
            Outcome::Reinitialize(panic) => {
                dir.log(format!("LOG:  all server processes terminated; reinitializing ({panic})"));
                if dir.lock().full {
                    dir.lock().postmaster_pid = None;
                    return ExitStatus::Fatal(format!("aborting startup due to startup process failure: {panic}"));
                }
            }
        }
    }
}

/// The claim on a data directory; given back when the process ends, however it ends.
struct Lock {
    dir: DataDir,
    first_pid: i32,
}

impl Lock {
    fn take(dir: &DataDir) -> Result<Self, String> {
        let mut disk = dir.lock();
        if disk.running {
            return Err("lock file \"postmaster.pid\" already exists".to_owned());
        }
        if disk.half_written {
            return Err("could not locate a valid checkpoint record".to_owned());
        }
        if disk.cluster.is_none() {
            return Err("could not open file \"PG_VERSION\": No such file or directory".to_owned());
        }
        if disk.full {
            return Err("could not write lock file \"postmaster.pid\": No space left on device".to_owned());
        }
        disk.running = true;
        disk.starts += 1;
        // Process ids grow and never repeat within one data directory.
        let first_pid = i32::try_from(disk.starts).unwrap_or(1).saturating_mul(1000);
        let started_s = now_us() / 1_000_000;
        disk.postmaster_pid = Some(PidFile { pid: first_pid, started_s, status: "starting" });
        Ok(Self { dir: dir.clone(), first_pid })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut disk = self.dir.lock();
        disk.running = false;
        disk.server = std::sync::Weak::new();
    }
}

enum Outcome {
    Exit(ExitStatus),
    Reinitialize(PgError),
}

struct Postmaster<N: Net> {
    server: Arc<Server>,
    net: N,
    /// Backends, walsenders and the checkpointer.
    children: JoinSet<()>,
    recovery: JoinSet<Result<(), PgError>>,
    crashes: mpsc::UnboundedReceiver<PgError>,
    shutdown: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<N: Net> Postmaster<N> {
    fn new(lock: &Lock, net: N, timings: &Timings) -> Self {
        let (crash, crashes) = mpsc::unbounded_channel();
        let server = Arc::new(Server::new(lock.dir.clone(), timings.clone(), crash, lock.first_pid));
        lock.dir.lock().server = Arc::downgrade(&server);
        Self { server, net, children: JoinSet::new(), recovery: JoinSet::new(), crashes, shutdown: None }
    }

    async fn run(mut self, listener: &mut N::Listener, signals: &mut Signals) -> Outcome {
        let (server, net) = (Arc::clone(&self.server), self.net.clone());
        self.recovery.spawn(async move {
            tokio::time::sleep(seconds(server.timings.start_s)).await;
            startup::run(server, net).await
        });
        self.children.spawn(Arc::clone(&self.server).run_checkpointer());
        loop {
            tokio::select! {
                biased;
                Some(panic) = self.crashes.recv() => return Outcome::Reinitialize(panic),
                Some(signal) = signals.0.recv() => {
                    if let Some(status) = self.signalled(signal) {
                        return Outcome::Exit(status);
                    }
                }
                () = pending_or(self.shutdown.as_mut()) => return Outcome::Exit(ExitStatus::ShutDown),
                Some(result) = self.recovery.join_next() => {
                    if let Some(status) = self.recovered(result) {
                        return Outcome::Exit(status);
                    }
                }
                Some(result) = self.children.join_next() => check_child(result),
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let server = Arc::clone(&self.server);
                        self.children.spawn(backend::run(server, stream, peer));
                    }
                    Err(error) => self.server.log(format_args!("could not accept new connection: {error}")),
                },
            }
        }
    }

    fn signalled(&mut self, signal: Signal) -> Option<ExitStatus> {
        match signal {
            Signal::ImmediateShutdown => {
                self.server.log("received immediate shutdown request");
                return Some(ExitStatus::Immediate);
            }
            Signal::FastShutdown => self.start_shutdown(Mode::Fast),
            Signal::SmartShutdown if self.server.state().stage != Stage::ShuttingDown => {
                self.start_shutdown(Mode::Smart);
            }
            Signal::Reload => self.server.reload(),
            Signal::Promote => self.server.request_promotion(),
            Signal::SmartShutdown => {}
        }
        None
    }

    fn start_shutdown(&mut self, mode: Mode) {
        if self.server.state().stage == Stage::ShuttingDown {
            return;
        }
        let recovery = std::mem::take(&mut self.recovery);
        self.server.dir.set_pid_status("stopping");
        // A smart shutdown that becomes fast begins again; recovery was handed to the first one.
        self.shutdown = Some(Box::pin(shut_down(Arc::clone(&self.server), mode, recovery)));
    }

    fn recovered(&mut self, result: Result<Result<(), PgError>, tokio::task::JoinError>) -> Option<ExitStatus> {
        match result {
            Ok(Ok(())) => {
                let server = Arc::clone(&self.server);
                self.children.spawn(async move {
                    tokio::time::sleep(seconds(server.timings.checkpoint_after_promote_s)).await;
                    server.checkpoint(false).await;
                });
                None
            }
            Ok(Err(error)) => {
                self.server.dir.log(error.to_string());
                Some(ExitStatus::Fatal(error.to_string()))
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// A child that panics is a bug of the model: it must not go unnoticed.
fn check_child(result: Result<(), tokio::task::JoinError>) {
    if let Err(error) = result
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

async fn pending_or(future: Option<&mut Pin<Box<dyn Future<Output = ()> + Send>>>) {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

impl Server {
    /// SIGHUP: reads the configuration; commits that wait are looked at again.
    pub(crate) fn reload(&self) {
        self.log("received SIGHUP, reloading configuration files");
        let mut state = self.state();
        let configuration = self.dir.with(|cluster| cluster.configuration.clone());
        let mut settings = state.settings.reload(&configuration);
        if let Err(error) = crate::replication::syncrep::StandbyNames::parse(settings.get("synchronous_standby_names"))
        {
            // A value that is not valid leaves the parameter as it was.
            let old = state.settings.get("synchronous_standby_names").to_owned();
            settings.values.insert("synchronous_standby_names".to_owned(), old);
            self.log(format_args!("invalid value for parameter \"synchronous_standby_names\": {error}"));
        }
        state.settings = settings;
        state.reloaded_us = now_us();
        state.release_waiters();
        drop(state);
        self.recovery_wake.notify_one();
    }

    /// Asks a standby to promote; a primary ignores it.
    pub(crate) fn request_promotion(&self) {
        let mut state = self.state();
        if state.in_recovery {
            state.promote_requested = true;
            drop(state);
            self.recovery_wake.notify_one();
        }
    }
}
