//! The settings decisions read, typed.

use std::time::Duration;

use pgdrill_settings::{SynchronousMode, Timing};
use serde_json::Value;

use super::Tags;

/// `watchdog.mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WatchdogMode {
    /// Not used.
    Off,
    /// Used if it is there.
    #[default]
    Automatic,
    /// No leader without it.
    Required,
}

/// `pgdrill.fencing.mode`: the dead-man process, which stops PostgreSQL when the leadership ends unrenewed. Patroni has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FencingMode {
    /// Never started.
    Off,
    /// Used; without a working one the node leads all the same, and says so.
    #[default]
    Automatic,
    /// Without a working one the node does not lead.
    Required,
}

/// The resolved configuration of one node: all layers merged, illegal values replaced, timings adjusted.
///
/// Make one with [`resolve`](super::resolve); `Config::default()` is Patroni's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How long the leader lock lives without being renewed.
    pub ttl: Duration,
    /// How long a cycle waits for the next.
    pub loop_wait: Duration,
    /// How long a DCS or PostgreSQL call is retried.
    pub retry_timeout: Duration,
    /// A replica further behind the last known leader position than this does not take part in the race.
    pub maximum_lag_on_failover_bytes: u64,
    /// A synchronous standby further behind the best one than this is replaced; `None` never.
    pub maximum_lag_on_syncnode_bytes: Option<u64>,
    /// Whether a replica on an older timeline than the cluster's is barred from the race.
    pub check_timeline: bool,
    /// How many lines `/history` keeps; 0 keeps all.
    pub max_timelines_history: usize,
    /// How long a primary may take to start before another node takes over; 0 means at once.
    pub primary_start_timeout: Duration,
    /// How long a stopping primary is waited for in synchronous mode before the next harder mode; 0 means for ever.
    pub primary_stop_timeout: Duration,
    /// Whether and how commits wait for standbys.
    pub synchronous_mode: SynchronousMode,
    /// Whether commits wait even when there is no standby to wait for.
    pub synchronous_mode_strict: bool,
    /// How many standbys a commit waits for.
    pub synchronous_node_count: u32,
    /// Whether a leader that all members agree with goes on without the DCS.
    pub failsafe_mode: bool,
    /// How long a slot outlives its member's key.
    pub member_slots_ttl: Duration,
    /// Maintenance mode: nothing is started, stopped or promoted by itself.
    pub paused: bool,
    /// `postgresql.use_slots`.
    pub use_slots: bool,
    /// `postgresql.use_pg_rewind`.
    pub use_pg_rewind: bool,
    /// `postgresql.remove_data_directory_on_diverged_timelines`.
    pub remove_data_directory_on_diverged_timelines: bool,
    /// `postgresql.remove_data_directory_on_rewind_failure`.
    pub remove_data_directory_on_rewind_failure: bool,
    /// Whether a `pre_promote` script is to be run before a promotion.
    pub has_pre_promote: bool,
    /// Whether one of the methods that make a replica here works while there is no leader (`no_leader`).
    pub clones_without_leader: bool,
    /// `standby_cluster`, if the cluster replicates from another.
    pub standby_cluster: Option<Value>,
    /// Whether there is a `bootstrap` section, so that this node may create a new cluster.
    pub may_bootstrap: bool,
    /// `bootstrap.dcs`: the first content of `/config`.
    pub bootstrap_dcs: Value,
    /// `watchdog.mode`.
    pub watchdog: WatchdogMode,
    /// `pgdrill.fencing.mode`.
    pub fencing: FencingMode,
    /// This node's tags.
    pub tags: Tags,
    /// The merged document (dynamic and local), for what is not interpreted here.
    pub dynamic: Value,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            ttl: Duration::from_secs(Timing::DEFAULT.ttl),
            loop_wait: Duration::from_secs(Timing::DEFAULT.loop_wait),
            retry_timeout: Duration::from_secs(Timing::DEFAULT.retry_timeout),
            maximum_lag_on_failover_bytes: 1_048_576,
            maximum_lag_on_syncnode_bytes: None,
            check_timeline: false,
            max_timelines_history: 0,
            primary_start_timeout: Duration::from_secs(300),
            primary_stop_timeout: Duration::ZERO,
            synchronous_mode: SynchronousMode::Off,
            synchronous_mode_strict: false,
            synchronous_node_count: 1,
            failsafe_mode: false,
            member_slots_ttl: Duration::from_secs(30 * 60),
            paused: false,
            use_slots: true,
            use_pg_rewind: false,
            remove_data_directory_on_diverged_timelines: false,
            remove_data_directory_on_rewind_failure: false,
            has_pre_promote: false,
            clones_without_leader: false,
            standby_cluster: None,
            may_bootstrap: true,
            bootstrap_dcs: Value::Object(Default::default()),
            watchdog: WatchdogMode::Automatic,
            fencing: FencingMode::Automatic,
            tags: Tags::default(),
            dynamic: Value::Object(Default::default()),
        }
    }
}

impl Config {
    /// Whether synchronous replication is managed. Never in a standby cluster (documentation "Standby cluster").
    pub fn is_synchronous(&self) -> bool {
        self.synchronous_mode != SynchronousMode::Off && self.standby_cluster.is_none()
    }

    /// Whether a standby's WAL may come from an archive (`restore_command` of `recovery_conf` or of `standby_cluster`).
    pub fn restores(&self) -> bool {
        let own = self.dynamic.pointer("/postgresql/recovery_conf/restore_command");
        let section = self.standby_cluster.as_ref().and_then(|section| section.get("restore_command"));
        let says = |command: &Value| command.as_str().is_some_and(|command| !command.is_empty());
        own.is_some_and(says) || section.is_some_and(says)
    }

    /// Whether it is managed as a quorum.
    pub fn is_quorum(&self) -> bool {
        self.synchronous_mode == SynchronousMode::Quorum && self.standby_cluster.is_none()
    }
}
