//! What keeps the agent itself in order: `watchdog`, `log`, and `pgdrill`, the one section that Patroni does not know.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::{Map, Value};

/// `watchdog.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchdogMode {
    /// Never used.
    Off,
    /// Used if there is one.
    #[default]
    Automatic,
    /// Without a working one this node does not become leader.
    Required,
}

/// `watchdog`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchdogConfig {
    /// `mode`.
    pub mode: WatchdogMode,
    /// `device`.
    pub device: PathBuf,
    /// `safety_margin`: how long before the lease ends the machine is reset. `None` is Patroni's -1: time-out = ttl / 2.
    pub safety_margin: Option<Duration>,
}

impl WatchdogConfig {
    /// The device's time-out.
    #[must_use]
    pub fn timeout(&self, ttl: Duration) -> Duration {
        self.safety_margin.map_or(ttl / 2, |margin| ttl.saturating_sub(margin))
    }
}

impl Default for WatchdogConfig {
    fn default() -> Self {
        Self {
            mode: WatchdogMode::Automatic,
            device: "/dev/watchdog".into(),
            safety_margin: Some(Duration::from_secs(5)),
        }
    }
}

/// `pgdrill.fencing`: the dead-man process beside the agent, which stops PostgreSQL when the leadership deadline passes
/// unrenewed. It is for what a watchdog device would catch where there is none: a frozen or hung agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FencingConfig {
    /// `mode`.
    pub mode: FencingMode,
    /// `safety_margin`: how long before the lease ends PostgreSQL is stopped. None by default: an agent that works may need
    /// the whole lease to get its renewal through (`loop_wait + 2 * retry_timeout <= ttl`), and must not be shot for it. More
    /// than `ttl - loop_wait - 2 * retry_timeout` counts as that.
    pub safety_margin: Duration,
}

/// `pgdrill.fencing.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FencingMode {
    /// Never started.
    Off,
    /// Started; a node whose dead-man cannot be started leads without it.
    #[default]
    Automatic,
    /// A node without a working one does not become leader.
    Required,
}

/// `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `type`.
    pub kind: LogType,
    /// `level`.
    pub level: LogLevel,
    /// `loggers`: another level for some modules.
    pub loggers: BTreeMap<String, LogLevel>,
    /// `static_fields`: added to every line of JSON.
    pub static_fields: Map<String, Value>,
    /// `dir`: the folder of the log files; `None`: standard error.
    pub dir: Option<PathBuf>,
    /// `mode`: permissions of the log files; `None`: as the umask says.
    pub mode: Option<u32>,
    /// `file_num`: how many old files are kept.
    pub file_num: u32,
    /// `file_size`: from how many bytes on a new file is begun.
    pub file_size: u64,
    /// `deduplicate_heartbeat_logs`: whether a round's line that says the same as the last one is left out.
    pub deduplicate_heartbeat_logs: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            kind: LogType::Plain,
            level: LogLevel::Info,
            loggers: BTreeMap::new(),
            static_fields: Map::new(),
            dir: None,
            mode: None,
            file_num: 4,
            file_size: 25_000_000,
            deduplicate_heartbeat_logs: false,
        }
    }
}

/// `log.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogType {
    /// A line of text each.
    #[default]
    Plain,
    /// A line of JSON each.
    Json,
}

/// `log.level`, by Python's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `DEBUG`.
    Debug,
    /// `INFO`.
    #[default]
    Info,
    /// `WARNING` or `WARN`.
    Warning,
    /// `ERROR`.
    Error,
    /// `CRITICAL` or `FATAL`.
    Critical,
}
