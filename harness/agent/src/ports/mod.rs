//! What the agent needs from the world around it, as traits: the operating system and `pg_ctl` ([`Postgres`]), whoever runs an
//! operator's scripts ([`Programs`]), whoever reads the configuration file ([`ConfigSource`]), the [`Watchdog`], the dead-man process ([`Fence`]), and whoever keeps the log
//! ([`Observer`]). Sockets are [`pgdrill_net::Net`]; etcd's API is
//! the `dcs` module, which is implemented once over `Net` and so needs no second implementation per world.
//!
//! The agent never learns which world it lives in: a real one or a simulated one.

mod configuration;
mod fence;
mod observer;
mod postgres;
mod programs;
mod recovery;
mod watchdog;

pub use configuration::{ConfigSource, NoSource, Reread};
pub use fence::{Fence, FenceError, NoFence};
pub use observer::{ActionOutcome, AgentEvent, NoObserver, Observer};
pub use postgres::{
    ClusterState, ControlData, DataDir, InitdbOptions, Lsn, Origin, Postgres, PostgresError, PostgresResult,
    Postmaster, SignalFiles, StopMode,
};
pub use programs::{NoPrograms, PgpassEntry, Program, ProgramError, ProgramExit, Programs};
pub use recovery::{PrimaryConninfo, Recovery, ServerConfig, Upstream};
pub use watchdog::{NoWatchdog, Watchdog, WatchdogError, WatchdogState};
