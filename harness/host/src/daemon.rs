//! The agent as a process of this machine: its ports, its log, and the signals it obeys.
//!
//! | signal | what it does |
//! |---|---|
//! | SIGTERM, SIGINT | ends gracefully: PostgreSQL is stopped and the leader lock given away; in pause both stay |
//! | SIGHUP | reads the configuration again, applies what can be applied, and names what needs a restart |
//! | SIGKILL | ends at once: PostgreSQL goes on, and the next agent finds it |

use std::{env, io, sync::Arc, time::Duration};

use pgdrill_agent::{Agent, AgentConfig, AgentError, Shutdown, ports::ConfigSource};
use pgdrill_net::TokioNet;
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};
use tracing::{error, info};

use crate::{
    deadman::DeadMan,
    descriptors,
    logging::{self, LogObserver},
    postgres::{LocalPostgres, ServerOutput, Settings},
    programs::HostPrograms,
    systemd::{self, Notifying},
    watchdog::Device,
};

/// How long calls into the operating system that hang may keep the process from ending.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// Why an agent could not be started, or ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// It cannot be started: every reason, with the setting to change.
    #[error("{}", .0.join("\n"))]
    Preflight(Vec<String>),
    /// It cannot log, or the operating system refuses what every program may do.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It ended.
    #[error("{0}")]
    Agent(#[from] AgentError),
}

/// Runs an agent until it is asked to end. The log must have been started. `source`: where `config` comes from, to be read again
/// on SIGHUP and `POST /reload`.
///
/// # Errors
/// See [`DaemonError`]. PostgreSQL is left as it is.
pub fn run(mut config: AgentConfig, source: impl ConfigSource) -> Result<(), DaemonError> {
    config.restapi.connections = descriptors::for_rest(descriptors::raise()?);
    // One thread: a child program must die with the thread that started it, and so with the agent. Files are read and
    // written on others.
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(config, source));
    runtime.shutdown_timeout(LAST_CALLS);
    ended
}

async fn serve(config: AgentConfig, source: impl ConfigSource) -> Result<(), DaemonError> {
    let (shutdown, reload) = (Shutdown::new(), Arc::new(Notify::new()));
    obey(signal(SignalKind::terminate())?, "SIGTERM", {
        let shutdown = shutdown.clone();
        move || {
            systemd::stopping();
            shutdown.request();
        }
    });
    obey(signal(SignalKind::interrupt())?, "SIGINT", {
        let shutdown = shutdown.clone();
        move || {
            systemd::stopping();
            shutdown.request();
        }
    });
    obey(signal(SignalKind::hangup())?, "SIGHUP", {
        let reload = Arc::clone(&reload);
        move || {
            systemd::reloading();
            reload.notify_one();
        }
    });
    let mut settings = Settings::of(&crate::preflight::as_first_known(&config));
    if let Some(dir) = &config.log.dir {
        settings.server_output = ServerOutput::File(dir.join("postgresql.log"));
    }
    let passfile = std::path::absolute(&settings.passfile)?;
    let programs = HostPrograms::new(passfile.parent().unwrap_or(&passfile));
    let postgres = LocalPostgres::new(settings)?;
    let observer = Notifying::new(LogObserver::new(config.log.deduplicate_heartbeat_logs));
    let watchdog = Device::new(&config.watchdog.device);
    // The same program; should its file be replaced while it runs, the new one has the same word for it.
    let dead_man = DeadMan::new(env::current_exe()?, &config.postgresql.data_dir).logging_as(&config.log);
    let agent = Agent::new(config, TokioNet, postgres, watchdog, observer)
        .with_reload(reload)
        .with_source(source)
        .with_programs(programs)
        .with_fence(dead_man);
    let ended = agent.run(shutdown).await;
    if let Err(why) = &ended {
        error!("the agent ends: {why}");
    }
    Ok(ended?)
}

fn obey(mut signal: Signal, name: &'static str, order: impl Fn() + Send + 'static) {
    tokio::spawn(async move {
        while signal.recv().await.is_some() {
            info!("{name}");
            order();
        }
    });
}

/// Starts the log and looks whether this machine is fit for the agent.
///
/// # Errors
/// Everything that is wrong at once.
pub fn prepare(config: &AgentConfig) -> Result<(), DaemonError> {
    let problems = crate::preflight::check(config);
    if !problems.is_empty() {
        return Err(DaemonError::Preflight(problems));
    }
    Ok(logging::start(&config.log)?)
}
