//! Patroni's settings, under Patroni's own names and with its own defaults.
//!
//! In a scenario they are written inline, dynamic and local ones side by side; a user's own `patroni.yml` can be taken
//! instead, with inline settings over it. See Patroni's documentation, "Dynamic Configuration Settings" and "YAML
//! Configuration Settings".

mod about;
mod account;
mod config;
mod differ;
mod own_file;
mod postgresql;
mod read;
mod tags;

pub(in crate::scenario) use about::{Said, play_with};
pub use account::{Account, Fate};
pub use config::TimingRule;
pub use differ::{Difference, differences};
pub use own_file::OwnFile;
pub(in crate::scenario) use own_file::read_patroni_yml;
pub use postgresql::Postgresql;
pub(in crate::scenario) use read::{inline, overlay, patch, tags as read_tags};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
pub use tags::Tags;

/// The settings of a cluster's agents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Patroni {
    /// The user's own `patroni.yml` that the settings were taken from, relative to the scenario file. Inline settings are over
    /// it. What is written out again is what it came to, not its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Lease of the leader lock and the member keys, in seconds; at least 20.
    pub ttl: u32,
    /// From one HA loop to the next, in seconds; at least 1.
    pub loop_wait: u32,
    /// How long DCS and PostgreSQL operations are retried, in seconds; at least 3. `loop_wait + 2 * retry_timeout <= ttl`.
    pub retry_timeout: u32,
    /// A replica further behind the last known leader position than this may not lead; bytes.
    pub maximum_lag_on_failover: u64,
    /// A synchronous standby further behind is replaced; bytes, -1 for never.
    pub maximum_lag_on_syncnode: i64,
    /// Whether a candidate's timeline must be the cluster's.
    pub check_timeline: bool,
    /// How many entries of the history are kept; 0 keeps all.
    pub max_timelines_history: u32,
    /// How long a crashed primary may take to start before a failover, in seconds; 0 fails over at once.
    pub primary_start_timeout: u32,
    /// How long a primary may take to stop when synchronous mode is on, in seconds; 0 waits for ever.
    pub primary_stop_timeout: u32,
    /// Synchronous replication.
    pub synchronous_mode: SynchronousMode,
    /// Whether writes wait when there is no synchronous standby at all.
    pub synchronous_mode_strict: bool,
    /// How many synchronous standbys; at least 1.
    pub synchronous_node_count: u32,
    /// Whether a leader that lost the DCS may go on while every member agrees.
    pub failsafe_mode: bool,
    /// How long the slot of a member that is gone is kept, in seconds.
    pub member_slots_ttl: u32,
    /// Permanent replication slots.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub slots: Map<String, Value>,
    /// Slots that Patroni must leave alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_slots: Vec<Value>,
    /// Makes this a standby cluster of another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standby_cluster: Option<Map<String, Value>>,
    /// Maintenance mode from the start.
    pub pause: bool,
    /// PostgreSQL.
    pub postgresql: Postgresql,
    /// Tags of every node; `cluster.tags` sets those of single ones.
    pub tags: Tags,
    /// The watchdog's settings; `cluster.watchdog` says whether there is one.
    pub watchdog: WatchdogSettings,
    /// The cluster's name in the DCS.
    pub scope: String,
    /// The root of its keys, without slashes.
    pub namespace: String,
    /// Whether `initdb` is told to keep data checksums (`bootstrap.initdb`).
    pub data_checksums: bool,
    /// What the scenario itself says, as it says it: what it is about. Over a user's own file these settings count.
    #[serde(skip)]
    #[schemars(skip)]
    pub(in crate::scenario) said: Said,
}

/// `synchronous_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SynchronousMode {
    /// Commits wait for no standby.
    #[default]
    Off,
    /// Commits wait for the standbys in `/sync`, and only those may lead.
    On,
    /// Commits wait for any `synchronous_node_count` of the voters in `/sync`.
    Quorum,
}

/// `watchdog.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WatchdogMode {
    /// Never used.
    Off,
    /// Used if there is a device.
    #[default]
    Automatic,
    /// A node without a working one may not lead.
    Required,
}

/// `watchdog`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WatchdogSettings {
    /// `mode`.
    pub mode: WatchdogMode,
    /// How many seconds before the lease ends the machine is reset; -1: at half of the ttl.
    pub safety_margin: i32,
}

impl Default for WatchdogSettings {
    fn default() -> Self {
        Self { mode: WatchdogMode::Automatic, safety_margin: 5 }
    }
}

impl Default for Patroni {
    fn default() -> Self {
        Self {
            file: None,
            ttl: 30,
            loop_wait: 10,
            retry_timeout: 10,
            maximum_lag_on_failover: 1 << 20,
            maximum_lag_on_syncnode: -1,
            check_timeline: false,
            max_timelines_history: 0,
            primary_start_timeout: 300,
            primary_stop_timeout: 0,
            synchronous_mode: SynchronousMode::Off,
            synchronous_mode_strict: false,
            synchronous_node_count: 1,
            failsafe_mode: false,
            member_slots_ttl: 1800,
            slots: Map::new(),
            ignore_slots: Vec::new(),
            standby_cluster: None,
            pause: false,
            postgresql: Postgresql::default(),
            tags: Tags::default(),
            watchdog: WatchdogSettings::default(),
            scope: "drill".into(),
            namespace: "service".into(),
            // pg_rewind needs checksums or wal_log_hints, and PostgreSQL 18 makes them the default.
            data_checksums: true,
            said: Said::default(),
        }
    }
}
